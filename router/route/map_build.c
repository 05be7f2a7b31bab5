/* Collects the pieces of a map, each checked on its own as it comes; map_check.c checks
 * the whole and lays the finished map out. */
#include "router/route/map_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "router/route/key_in.h"
#include "router/route/map_build_impl.h"
#include "router/route/route.h"

#define CACHE_SIZE_DEFAULT 100000
#define CACHE_SIZE_MAX     100000000
#define TTL_S_DEFAULT      300
#define TTL_S_MAX          (10 * 365 * 86400)
#define ARGUMENT_MAX       100
#define NAME_LEN_MAX       63
#define TAG_LINE_BITS      26

/* ---- problems ---- */

/* Room for one more element. */
static void *
grown(void *v, int n, int *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap == 0 ? 8 : *cap * 2;
	v = realloc(v, (size_t)*cap * size);
	if (v == NULL)
		abort();
	return v;
}

static void __attribute__((format(printf, 4, 0))) add_problem(
    struct map_builder *b, struct map_loc loc, bool warning, const char *fmt, va_list ap)
{
	char text[500];

	if (!warning)
		b->n_mistakes++;
	if (b->n_problems >= PROBLEMS_MAX) {
		b->n_more++;
		return;
	}
	vsnprintf(text, sizeof text, fmt, ap);
	b->problems =
	    grown(b->problems, b->n_problems, &b->cap_problems, sizeof *b->problems);
	b->problems[b->n_problems++] = (struct map_problem){warning,
	    {loc.file == NULL ? NULL : arena_strdup(&b->problem_arena, loc.file),
		loc.line},
	    arena_strdup(&b->problem_arena, text)};
}

void
map_mistake(struct map_builder *b, struct map_loc loc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_problem(b, loc, false, fmt, ap);
	va_end(ap);
}

void
map_warning(struct map_builder *b, struct map_loc loc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_problem(b, loc, true, fmt, ap);
	va_end(ap);
}

int
map_builder_mistakes(const struct map_builder *b)
{
	return b->n_mistakes;
}

const struct map_problem *
map_builder_problem(const struct map_builder *b, int i)
{
	return i >= 0 && i < b->n_problems ? &b->problems[i] : NULL;
}

/* ---- the builder ---- */

/* The location's file outlives the caller's. */
static struct map_loc
kept_loc(struct map_builder *b, struct map_loc loc)
{
	for (int i = 0; loc.file != NULL && i < b->n_files; i++)
		if (strcmp(b->files[i], loc.file) == 0)
			return (struct map_loc){b->files[i], loc.line};
	if (loc.file == NULL)
		return loc;
	loc.file = arena_strdup(&b->arena, loc.file);
	if (b->n_files < FILES_MAX)
		b->files[b->n_files++] = loc.file;
	return loc;
}

static void
add_shards(struct map_builder *b, const char *const *names, int n)
{
	b->shards = ARENA_NEW_N(&b->arena, const char *, (size_t)(n > 0 ? n : 1));
	for (int i = 0; i < n; i++) {
		if (b->n_shards == MAP_SHARDS_MAX) {
			map_mistake(b, (struct map_loc){0}, "more than %d shards",
			    MAP_SHARDS_MAX);
			return;
		}
		for (int j = 0; j < b->n_shards; j++)
			if (strcmp(b->shards[j], names[i]) == 0)
				map_mistake(b, (struct map_loc){0},
				    "two shards are named \"%s\"", names[i]);
		b->shards[b->n_shards++] = arena_strdup(&b->arena, names[i]);
	}
}

static int
find_shard(struct map_builder *b, struct slice name)
{
	/* Directories name the same shard again and again. */
	if (b->last_shard < b->n_shards && slice_eq_str(name, b->shards[b->last_shard]))
		return b->last_shard;
	for (int i = 0; i < b->n_shards; i++)
		if (slice_eq_str(name, b->shards[i]))
			return b->last_shard = i;
	return -1;
}

/* -1 after a mistake. */
static int
need_shard(struct map_builder *b, struct map_loc loc, struct slice name)
{
	int i = find_shard(b, name);
	struct suggest s;

	if (i >= 0)
		return i;
	suggest_init(&s, arena_strndup(&b->scratch, name.ptr, name.len));
	for (i = 0; i < b->n_shards; i++)
		suggest_consider(&s, b->shards[i]);
	if (s.best != NULL)
		map_mistake(b, loc, "unknown shard \"%.60s\"; did you mean \"%s\"?",
		    s.word, s.best);
	else
		map_mistake(b, loc, "unknown shard \"%.60s\"", s.word);
	arena_reset(&b->scratch);
	return -1;
}

struct map_builder *
map_builder_create(
    const char *const *shards, int n_shards, const char *default_shard, uint64_t seed)
{
	struct map_builder *b = calloc(1, sizeof *b);

	if (b == NULL)
		abort();
	arena_init(&b->arena);
	arena_init(&b->problem_arena);
	arena_init(&b->scratch);
	b->seed = seed;
	b->default_shard = -1;
	add_shards(b, shards, n_shards);
	if (n_shards < 1)
		map_mistake(b, (struct map_loc){0}, "there are no shards");
	else if (default_shard != NULL)
		b->default_shard =
		    need_shard(b, (struct map_loc){0}, slice_of(default_shard));
	return b;
}

void
map_builder_destroy(struct map_builder *b)
{
	if (b == NULL)
		return;
	for (int i = 0; i < b->n_dists; i++) {
		free(b->dists[i].placements);
		free(b->dists[i].ranges);
		if (!b->finished)
			directory_destroy(b->dists[i].d.directory);
	}
	free(b->dists);
	free(b->tables);
	free(b->functions);
	free(b->problems);
	arena_reset(&b->arena);
	arena_reset(&b->scratch);
	arena_reset(&b->problem_arena);
	free(b);
}

/* ---- distributions ---- */

static const char *
kind_name(enum dist_kind kind)
{
	return kind == DIST_HASH ? "hash" : kind == DIST_RANGE ? "range" : "directory";
}

static bool
need_kind(struct map_builder *b, struct map_loc loc, const struct build_dist *bd,
    enum dist_kind kind, const char *what)
{
	if (bd->d.kind == kind)
		return true;
	map_mistake(b, loc, "%s in \"%s\", which is a %s distribution, not a %s one",
	    what, bd->d.name, kind_name(bd->d.kind), kind_name(kind));
	return false;
}

static void
unknown_type(struct map_builder *b, struct map_loc loc, struct slice word)
{
	char name[64];
	struct suggest s;

	snprintf(
	    name, sizeof name, "%.*s", (int)(word.len < 60 ? word.len : 60), word.ptr);
	if (strncmp(name, "char", 4) == 0 || strcmp(name, "bpchar") == 0 ||
	    strcmp(name, "citext") == 0) {
		map_mistake(b, loc,
		    "key type \"%s\": its equality is not that of its bytes; use text",
		    name);
		return;
	}
	suggest_init(&s, name);
	for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++)
		suggest_consider(&s, key_type_name(t));
	if (s.best != NULL)
		map_mistake(
		    b, loc, "unknown key type \"%s\"; did you mean %s?", name, s.best);
	else
		map_mistake(b, loc,
		    "unknown key type \"%s\"; there are smallint, integer, bigint, text, "
		    "varchar, uuid, date, timestamp, timestamptz, numeric",
		    name);
}

/* "bigint, text"; false after a mistake. */
static bool
parse_types(
    struct map_builder *b, struct map_loc loc, struct distribution *d, const char *types)
{
	bool good = true;

	for (const char *p = types, *comma; p != NULL;
	     p = comma == NULL ? NULL : comma + 1) {
		struct slice word;
		enum key_type t;

		comma = strchr(p, ',');
		word = slice_trim(
		    (struct slice){p, comma == NULL ? strlen(p) : (size_t)(comma - p)});
		t = key_type_find(word);
		if (t == KEY_TYPE_COUNT) {
			unknown_type(b, loc, word);
			good = false;
		} else if (d->n_types == MAP_KEY_COLUMNS_MAX) {
			map_mistake(
			    b, loc, "more than %d key columns", MAP_KEY_COLUMNS_MAX);
			return false;
		} else {
			d->types[d->n_types++] = t;
		}
	}
	if (good && d->n_types > 1 && d->kind != DIST_HASH) {
		map_mistake(b, loc,
		    "several key columns: only a hash distribution can have them, \"%s\" "
		    "is a %s distribution",
		    d->name, kind_name(d->kind));
		return false;
	}
	return good;
}

static size_t
fixed_len_of(enum key_type t)
{
	struct key k = {.type = t};

	return t == KEY_TEXT || t == KEY_VARCHAR || t == KEY_NUMERIC ? 0
								     : key_bytes(&k).len;
}

static void
need_name(struct map_builder *b, struct map_loc loc, const char *what, const char *name)
{
	if (*name == '\0')
		map_mistake(b, loc, "%s without a name", what);
	else if (strlen(name) > NAME_LEN_MAX)
		map_mistake(b, loc, "the %s name \"%.30s…\" is longer than %d bytes",
		    what, name, NAME_LEN_MAX);
}

int
map_add_distribution(struct map_builder *b, struct map_loc loc, const char *name,
    enum dist_kind kind, const char *types)
{
	struct build_dist *bd;

	need_name(b, loc, "distribution", name);
	for (int i = 0; i < b->n_dists; i++)
		if (strcmp(b->dists[i].d.name, name) == 0)
			map_mistake(b, loc,
			    "distribution \"%s\" was already defined at line %d", name,
			    b->dists[i].loc.line);
	b->dists = grown(b->dists, b->n_dists, &b->cap_dists, sizeof *b->dists);
	bd = &b->dists[b->n_dists];
	*bd = (struct build_dist){.loc = kept_loc(b, loc),
	    .cache_size = CACHE_SIZE_DEFAULT,
	    .ttl_s = TTL_S_DEFAULT};
	bd->d.name = arena_strdup(&b->arena, name);
	bd->d.kind = kind;
	bd->d.default_shard = -1;
	bd->types_known = parse_types(b, loc, &bd->d, types);
	bd->shards = ARENA_NEW_N(&b->arena, uint64_t, MAP_SHARD_WORDS);
	bd->d.shards = bd->shards;
	if (kind == DIST_DIRECTORY && bd->types_known)
		bd->d.directory = directory_create(fixed_len_of(bd->d.types[0]), b->seed);
	return b->n_dists++;
}

static void
hold(struct build_dist *bd, int shard)
{
	bd->shards[shard / 64] |= UINT64_C(1) << (shard % 64);
}

/* ---- hash ---- */

void
map_set_buckets(struct map_builder *b, struct map_loc loc, int dist, int64_t buckets)
{
	struct build_dist *bd = &b->dists[dist];

	if (!need_kind(b, loc, bd, DIST_HASH, "`buckets`"))
		return;
	bd->buckets_given = true;
	if (buckets < 1 || buckets > BUCKETS_MAX || (buckets & (buckets - 1)) != 0)
		map_mistake(b, loc,
		    "buckets = %lld: a power of two from 1 to %d is needed",
		    (long long)buckets, BUCKETS_MAX);
	else
		bd->d.buckets = (uint32_t)buckets;
}

/* Digits at *p; false: none, or too large. */
static bool
bucket_number(const char **p, uint32_t *v)
{
	const char *from = *p;

	*v = 0;
	while (is_digit(**p) && *v < BUCKETS_MAX)
		*v = *v * 10 + (uint32_t)(*(*p)++ - '0');
	return *p > from && !is_digit(**p);
}

static const char *
skip_spaces(const char *p)
{
	while (is_space(*p))
		p++;
	return p;
}

/* "0-511, 600" */
static bool
parse_placement(struct map_builder *b, struct build_dist *bd, struct map_loc loc,
    int shard, const char *buckets)
{
	const char *p = buckets;

	for (;; p++) {
		uint32_t first, last;

		p = skip_spaces(p);
		if (!bucket_number(&p, &first))
			return false;
		last = first;
		p = skip_spaces(p);
		if (*p == '-') {
			p = skip_spaces(p + 1);
			if (!bucket_number(&p, &last))
				return false;
		}
		p = skip_spaces(p);
		if (*p != '\0' && *p != ',')
			return false;
		if (first > last)
			map_mistake(b, loc,
			    "buckets %u-%u: the first is greater than the last", first,
			    last);
		bd->placements = grown(bd->placements, bd->n_placements,
		    &bd->cap_placements, sizeof *bd->placements);
		bd->placements[bd->n_placements++] =
		    (struct placement){loc, shard, first, last};
		if (*p == '\0')
			return true;
	}
}

void
map_add_placement(struct map_builder *b, struct map_loc loc, int dist, const char *shard,
    const char *buckets)
{
	struct build_dist *bd = &b->dists[dist];
	int s = need_shard(b, loc, slice_of(shard));

	if (!need_kind(b, loc, bd, DIST_HASH, "`placement`"))
		return;
	/* An unknown shard (-1) still takes its buckets, so that they are not reported as
	 * missing too. */
	if (!parse_placement(b, bd, kept_loc(b, loc), s, buckets)) {
		map_mistake(b, loc,
		    "buckets = \"%.60s\" cannot be read; like \"0-511, 600\"", buckets);
		bd->bad_pieces++;
	}
	if (s >= 0)
		hold(bd, s);
}

/* ---- range ---- */

/* Bounds and entries mean the same whatever a session's settings: ISO dates, offsets
 * written out. */
static bool
parse_key(struct map_builder *b, struct map_loc loc, const struct build_dist *bd,
    const char *what, struct slice text, struct arena *a, struct key *k)
{
	struct key_env env;
	struct err e;

	key_env_init(&env, "ISO, YMD", NULL, NULL, NULL);
	if (key_from_text(bd->d.types[0], text, &env, a, k, &e) == RC_OK)
		return true;
	if (strcmp(e.sqlstate, "0A000") == 0 && e.hint[0] != '\0')
		map_mistake(b, loc, "%s: %s. %s", what, e.msg, e.hint);
	else
		map_mistake(b, loc, "%s: %s", what, e.msg);
	return false;
}

static bool
parse_bound(struct map_builder *b, struct map_loc loc, const struct build_dist *bd,
    const char *what, const char *text, bool *given, struct key *k)
{
	*given = text != NULL;
	return text == NULL ||
	    parse_key(
		b, loc, bd, what, slice_of(arena_strdup(&b->arena, text)), &b->arena, k);
}

void
map_add_range(struct map_builder *b, struct map_loc loc, int dist, const char *from,
    const char *to, const char *shard)
{
	struct build_dist *bd = &b->dists[dist];
	struct build_range r = {.loc = kept_loc(b, loc)};
	bool good = true;

	r.range.shard = need_shard(b, loc, slice_of(shard));
	if (!need_kind(b, loc, bd, DIST_RANGE, "`ranges`") || !bd->types_known)
		return;
	good = parse_bound(b, loc, bd, "from", from, &r.range.has_lo, &r.range.lo);
	good = parse_bound(b, loc, bd, "to", to, &r.range.has_hi, &r.range.hi) && good;
	if (good && from != NULL && to != NULL &&
	    key_compare(&r.range.lo, &r.range.hi) >= 0) {
		map_mistake(b, loc,
		    "the range from \"%.60s\" to \"%.60s\" is empty (`to` is not part of "
		    "it)",
		    from, to);
		good = false;
	}
	if (!good) {
		bd->bad_pieces++;
		return;
	}
	bd->ranges = grown(bd->ranges, bd->n_ranges, &bd->cap_ranges, sizeof *bd->ranges);
	bd->ranges[bd->n_ranges++] = r;
	if (r.range.shard >= 0)
		hold(bd, r.range.shard);
}

void
map_allow_gaps(struct map_builder *b, int dist)
{
	b->dists[dist].gaps_allowed = true;
}

/* ---- directory ---- */

void
map_set_default(struct map_builder *b, struct map_loc loc, int dist, const char *shard)
{
	struct build_dist *bd = &b->dists[dist];

	if (!need_kind(b, loc, bd, DIST_DIRECTORY, "`default`"))
		return;
	bd->d.default_shard = need_shard(b, loc, slice_of(shard));
	if (bd->d.default_shard >= 0)
		hold(bd, bd->d.default_shard);
}

static uint32_t
tag_of(struct map_builder *b, struct map_loc loc)
{
	uint32_t file = FILES_MAX - 1, line = loc.line > 0 ? (uint32_t)loc.line : 0;

	loc = kept_loc(b, loc);
	for (int i = 0; loc.file != NULL && i < b->n_files; i++)
		if (b->files[i] == loc.file)
			file = (uint32_t)i;
	if (line >= 1u << TAG_LINE_BITS)
		line = (1u << TAG_LINE_BITS) - 1;
	return file << TAG_LINE_BITS | line;
}

void
map_add_entry(struct map_builder *b, struct map_loc loc, int dist, struct slice key,
    struct slice shard)
{
	struct build_dist *bd = &b->dists[dist];
	int s = need_shard(b, loc, shard);
	struct key k;

	if (!need_kind(b, loc, bd, DIST_DIRECTORY, "an entry") || !bd->types_known)
		return;
	if (parse_key(b, loc, bd, "key", key, &b->scratch, &k) && s >= 0) {
		hold(bd, s);
		switch (
		    directory_add(bd->d.directory, key_bytes(&k), s, tag_of(b, loc))) {
		case DIRECTORY_ADDED:
			break;
		case DIRECTORY_KEY_TOO_LONG:
			map_mistake(
			    b, loc, "the key has more than %d bytes", DIRECTORY_KEY_MAX);
			break;
		case DIRECTORY_FULL:
			map_mistake(b, loc,
			    "the directory is full: more than %d keys, or 4 GiB of them",
			    DIRECTORY_ENTRIES_MAX);
			break;
		}
	}
	if (b->scratch.blocks != NULL && b->scratch.used > 0)
		arena_reset(&b->scratch);
}

void
map_set_lookup(struct map_builder *b, struct map_loc loc, int dist, const char *sql)
{
	struct build_dist *bd = &b->dists[dist];

	if (!need_kind(b, loc, bd, DIST_DIRECTORY, "`lookup`"))
		return;
	if (strstr(sql, "$1") == NULL)
		map_mistake(
		    b, loc, "the look-up query does not name its parameter $1, the key");
	bd->d.lookup = arena_strdup(&b->arena, sql);
	for (int i = 0; i < b->n_shards; i++)
		hold(bd, i);
}

void
map_set_lookup_cache(struct map_builder *b, struct map_loc loc, int dist,
    int64_t cache_size, int64_t ttl_s)
{
	struct build_dist *bd = &b->dists[dist];

	if (!need_kind(
		b, loc, bd, DIST_DIRECTORY, "`lookup_cache_size` or `lookup_cache_ttl`"))
		return;
	if (cache_size < 0 || cache_size > CACHE_SIZE_MAX)
		map_mistake(b, loc, "lookup_cache_size = %lld: from 1 to %d keys",
		    (long long)cache_size, CACHE_SIZE_MAX);
	else if (cache_size > 0)
		bd->cache_size = cache_size;
	if (ttl_s < 0 || ttl_s > TTL_S_MAX)
		map_mistake(b, loc, "lookup_cache_ttl = %lld: from 1 to %d seconds",
		    (long long)ttl_s, TTL_S_MAX);
	else if (ttl_s > 0)
		bd->ttl_s = ttl_s;
}

/* ---- tables and functions ---- */

/* "schema.name" where no schema is given. */
static void
split_name(struct map_builder *b, const char *schema, const char *name, const char *none,
    const char **schema_out, const char **name_out)
{
	const char *dot = schema == NULL ? strchr(name, '.') : NULL;

	*name_out = arena_strdup(&b->arena, dot == NULL ? name : dot + 1);
	if (schema != NULL)
		*schema_out = arena_strdup(&b->arena, schema);
	else if (dot != NULL)
		*schema_out = arena_strndup(&b->arena, name, (size_t)(dot - name));
	else
		*schema_out = none;
}

static void
add_key_columns(struct map_builder *b, struct map_loc loc, struct map_table *t,
    const char *const *key, int n_key)
{
	for (int i = 0; i < n_key; i++) {
		need_name(b, loc, "key column", key[i]);
		for (int j = 0; j < t->n_key; j++)
			if (strcmp(t->key[j], key[i]) == 0)
				map_mistake(b, loc,
				    "key column \"%s\" of table \"%s\" is named twice",
				    key[i], t->name);
		if (t->n_key == MAP_KEY_COLUMNS_MAX) {
			map_mistake(b, loc, "table \"%s\" has more than %d key columns",
			    t->name, MAP_KEY_COLUMNS_MAX);
			return;
		}
		t->key[t->n_key++] = arena_strdup(&b->arena, key[i]);
	}
}

void
map_add_table(struct map_builder *b, struct map_loc loc, const char *schema,
    const char *name, const char *distribution, const char *const *key, int n_key)
{
	struct build_table bt = {.loc = kept_loc(b, loc)};

	split_name(b, schema, name, "public", &bt.t.schema, &bt.t.name);
	need_name(b, loc, "table", bt.t.name);
	need_name(b, loc, "schema", bt.t.schema);
	bt.t.reference = distribution == NULL;
	bt.t.distribution = -1;
	bt.distribution =
	    distribution == NULL ? NULL : arena_strdup(&b->arena, distribution);
	add_key_columns(b, loc, &bt.t, key, n_key);
	b->tables = grown(b->tables, b->n_tables, &b->cap_tables, sizeof *b->tables);
	b->tables[b->n_tables++] = bt;
}

void
map_add_function(struct map_builder *b, struct map_loc loc, const char *schema,
    const char *name, const char *distribution, int64_t argument, bool read_only)
{
	struct build_function bf = {.loc = kept_loc(b, loc)};

	split_name(b, schema, name, NULL, &bf.f.schema, &bf.f.name);
	need_name(b, loc, "function", bf.f.name);
	bf.f.distribution = -1;
	bf.f.read_only = read_only;
	bf.distribution =
	    distribution == NULL ? NULL : arena_strdup(&b->arena, distribution);
	if (distribution != NULL && (argument < 1 || argument > ARGUMENT_MAX))
		map_mistake(b, loc,
		    "function \"%s\": argument = %lld; the position of the key among its "
		    "arguments is needed, counted from 1",
		    bf.f.name, (long long)argument);
	else if (distribution != NULL)
		bf.f.argument = (int)argument;
	b->functions =
	    grown(b->functions, b->n_functions, &b->cap_functions, sizeof *b->functions);
	b->functions[b->n_functions++] = bf;
}
