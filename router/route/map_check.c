/* The end of a builder: checks that need the whole map: every bucket placed once, ranges
 * that do not meet, names that exist and are unique. Also sorts the ranges, tables and
 * functions, and resolves the names of distributions. */
#include <stdlib.h>

#include "base/suggest.h"
#include "router/route/key_in.h"
#include "router/route/map_build_impl.h"
#include "router/route/route.h"

#define RUNS_SHOWN 8
#define UNPLACED   UINT16_MAX
#define ANY_SHARD \
	(UINT16_MAX - 1) /* placed on a shard that is unknown, which has been said */
#define LINE_OF_TAG ((1u << 26) - 1)

/* ---- hash ---- */

/* One run of buckets that two placements claim. */
static void
report_twice(struct map_builder *b, const struct build_dist *bd,
    const struct placement *now, const struct placement *before, uint32_t first,
    uint32_t last)
{
	map_mistake(b, now->loc,
	    "distribution \"%s\": buckets %u-%u are placed twice: here and at line %d",
	    bd->d.name, first, last, before->loc.line);
}

static void
place(struct map_builder *b, struct build_dist *bd, int number, uint16_t *owner,
    uint16_t *shards)
{
	const struct placement *p = &bd->placements[number];

	if (p->last >= bd->d.buckets) {
		map_mistake(b, p->loc,
		    "distribution \"%s\" has buckets 0-%u; %u-%u goes beyond", bd->d.name,
		    bd->d.buckets - 1, p->first, p->last);
		return;
	}
	for (uint32_t i = p->first; i <= p->last; i++) {
		uint32_t first = i;
		uint16_t other = owner[i];

		if (other == UNPLACED) {
			owner[i] = (uint16_t)(number < UNPLACED ? number : UNPLACED - 1);
			shards[i] = p->shard < 0 ? ANY_SHARD : (uint16_t)p->shard;
			continue;
		}
		while (i < p->last && owner[i + 1] == other)
			i++;
		report_twice(b, bd, p, &bd->placements[other], first, i);
	}
}

static void
check_all_placed(struct map_builder *b, struct build_dist *bd, const uint16_t *shards)
{
	int runs = 0;

	for (uint32_t i = 0; i < bd->d.buckets; i++) {
		uint32_t first = i;

		if (shards[i] != UNPLACED)
			continue;
		while (i + 1 < bd->d.buckets && shards[i + 1] == UNPLACED)
			i++;
		if (++runs <= RUNS_SHOWN)
			map_mistake(b, bd->loc,
			    "distribution \"%s\": buckets %u-%u have no shard",
			    bd->d.name, first, i);
	}
	if (runs > RUNS_SHOWN)
		map_mistake(b, bd->loc,
		    "distribution \"%s\": %d more runs of buckets have no shard",
		    bd->d.name, runs - RUNS_SHOWN);
}

static void
check_hash(struct map_builder *b, struct build_dist *bd)
{
	uint16_t *owner, *shards;
	size_t bytes = bd->d.buckets * sizeof *shards;

	if (!bd->buckets_given)
		map_mistake(b, bd->loc,
		    "distribution \"%s\" does not say how many buckets it has",
		    bd->d.name);
	if (bd->d.buckets == 0)
		return;
	owner = malloc(bytes);
	shards = arena_alloc(&b->arena, bytes);
	if (owner == NULL)
		abort();
	memset(owner, 0xff, bytes);
	memset(shards, 0xff, bytes);
	for (int i = 0; i < bd->n_placements; i++)
		if (bd->placements[i].first <= bd->placements[i].last)
			place(b, bd, i, owner, shards);
	free(owner);
	if (bd->bad_pieces == 0)
		check_all_placed(b, bd, shards);
	bd->d.bucket_shard = shards;
}

/* ---- range ---- */

static int
range_order(const void *x, const void *y)
{
	const struct build_range *a = x, *b = y;

	if (!a->range.has_lo || !b->range.has_lo)
		return a->range.has_lo - b->range.has_lo;
	return key_compare(&a->range.lo, &b->range.lo);
}

static void
gap(struct map_builder *b, const struct build_dist *bd, const struct key *from,
    const struct key *to)
{
	struct slice f = SLICE_LIT(""), t = f;

	if (bd->gaps_allowed || bd->bad_pieces > 0)
		return;
	if (from != NULL)
		f = key_to_text(from, &b->scratch);
	if (to != NULL)
		t = key_to_text(to, &b->scratch);
	map_warning(b, bd->loc,
	    "distribution \"%s\": no shard for keys%s%.*s%s%.*s (allow_gaps = true if "
	    "that is meant)",
	    bd->d.name, from != NULL ? " from " : "", (int)(f.len < 60 ? f.len : 60),
	    f.ptr, to != NULL ? " up to " : "", (int)(t.len < 60 ? t.len : 60), t.ptr);
	arena_reset(&b->scratch);
}

/* Sorted by their lower bounds; `top` is the one that reaches farthest so far. */
static void
check_range(struct map_builder *b, struct build_dist *bd)
{
	const struct build_range *top;

	if (bd->n_ranges == 0) {
		if (bd->bad_pieces == 0)
			map_mistake(
			    b, bd->loc, "distribution \"%s\" has no ranges", bd->d.name);
		return;
	}
	qsort(bd->ranges, (size_t)bd->n_ranges, sizeof *bd->ranges, range_order);
	top = &bd->ranges[0];
	if (top->range.has_lo)
		gap(b, bd, NULL, &top->range.lo);
	for (int i = 1; i < bd->n_ranges; i++) {
		const struct build_range *r = &bd->ranges[i];
		int d = !top->range.has_hi || !r->range.has_lo
		    ? 1
		    : key_compare(&top->range.hi, &r->range.lo);

		if (d > 0)
			map_mistake(b, r->loc,
			    "distribution \"%s\": the range overlaps the one at line %d",
			    bd->d.name, top->loc.line);
		else if (d < 0)
			gap(b, bd, &top->range.hi, &r->range.lo);
		if (top->range.has_hi &&
		    (!r->range.has_hi || key_compare(&r->range.hi, &top->range.hi) > 0))
			top = r;
	}
	if (top->range.has_hi)
		gap(b, bd, &top->range.hi, NULL);
}

/* ---- directory ---- */

struct duplicates {
	struct map_builder *b;
	const struct build_dist *bd;
};

static void
report_duplicate(void *arg, struct slice key, uint32_t first, uint32_t second)
{
	struct duplicates *dup = arg;
	struct map_builder *b = dup->b;
	uint32_t file = second >> 26;
	struct map_loc loc = {file < (uint32_t)b->n_files ? b->files[file] : NULL,
	    (int)(second & LINE_OF_TAG)};

	(void)key;
	map_mistake(b, loc,
	    "distribution \"%s\": this key stands twice, first at line %u",
	    dup->bd->d.name, first & LINE_OF_TAG);
}

static void
check_directory(struct map_builder *b, struct build_dist *bd)
{
	struct duplicates dup = {b, bd};

	if (bd->d.directory == NULL)
		return;
	directory_seal(bd->d.directory, report_duplicate, &dup);
	if (directory_count(bd->d.directory) == 0 && bd->d.lookup == NULL &&
	    bd->d.default_shard < 0 && b->n_mistakes == 0)
		map_mistake(b, bd->loc,
		    "directory \"%s\" has no entries, no look-up query and no default",
		    bd->d.name);
}

/* ---- tables and functions ---- */

/* -1 after a mistake. */
static int
need_distribution(struct map_builder *b, struct map_loc loc, const char *what,
    const char *owner, const char *name)
{
	struct suggest s;

	suggest_init(&s, name);
	for (int i = 0; i < b->n_dists; i++) {
		if (strcmp(b->dists[i].d.name, name) == 0)
			return i;
		suggest_consider(&s, b->dists[i].d.name);
	}
	if (s.best != NULL)
		map_mistake(b, loc,
		    "%s \"%s\": unknown distribution \"%.60s\"; did you mean \"%s\"?",
		    what, owner, name, s.best);
	else
		map_mistake(b, loc, "%s \"%s\": unknown distribution \"%.60s\"", what,
		    owner, name);
	return -1;
}

static void
check_table(struct map_builder *b, struct build_table *bt)
{
	const struct distribution *d;

	if (bt->t.reference) {
		if (bt->t.n_key > 0)
			map_mistake(b, bt->loc,
			    "reference table \"%s\" has a key; it stands on every shard",
			    bt->t.name);
		return;
	}
	bt->t.distribution =
	    need_distribution(b, bt->loc, "table", bt->t.name, bt->distribution);
	if (bt->t.distribution < 0)
		return;
	d = &b->dists[bt->t.distribution].d;
	if (bt->t.n_key == 0)
		map_mistake(
		    b, bt->loc, "table \"%s\" does not name its key column", bt->t.name);
	else if (b->dists[bt->t.distribution].types_known && bt->t.n_key != d->n_types)
		map_mistake(b, bt->loc,
		    "table \"%s\" names %d key column%s; distribution \"%s\" has %d "
		    "type%s",
		    bt->t.name, bt->t.n_key, bt->t.n_key == 1 ? "" : "s", d->name,
		    d->n_types, d->n_types == 1 ? "" : "s");
}

static void
check_function(struct map_builder *b, struct build_function *bf)
{
	if (bf->distribution == NULL)
		return;
	bf->f.distribution =
	    need_distribution(b, bf->loc, "function", bf->f.name, bf->distribution);
	if (bf->f.distribution >= 0 && b->dists[bf->f.distribution].d.n_types > 1)
		map_mistake(b, bf->loc,
		    "function \"%s\": distribution \"%s\" has several key columns, and "
		    "one argument cannot name them",
		    bf->f.name, bf->distribution);
}

static int
name_order(const char *name_a, const char *schema_a, struct map_loc a, const char *name_b,
    const char *schema_b, struct map_loc b)
{
	int d = strcmp(name_a, name_b);

	if (d == 0 && (schema_a == NULL || schema_b == NULL))
		d = (schema_a != NULL) - (schema_b != NULL);
	else if (d == 0)
		d = strcmp(schema_a, schema_b);
	return d != 0 ? d : (a.line > b.line) - (a.line < b.line);
}

static int
table_order(const void *x, const void *y)
{
	const struct build_table *a = x, *b = y;

	return name_order(a->t.name, a->t.schema, a->loc, b->t.name, b->t.schema, b->loc);
}

static int
function_order(const void *x, const void *y)
{
	const struct build_function *a = x, *b = y;

	return name_order(a->f.name, a->f.schema, a->loc, b->f.name, b->f.schema, b->loc);
}

static bool
same_name(
    const char *name_a, const char *schema_a, const char *name_b, const char *schema_b)
{
	struct map_loc none = {0};

	return name_order(name_a, schema_a, none, name_b, schema_b, none) == 0;
}

static void
check_names(struct map_builder *b)
{
	for (int i = 0; i < b->n_tables; i++)
		check_table(b, &b->tables[i]);
	for (int i = 0; i < b->n_functions; i++)
		check_function(b, &b->functions[i]);
	if (b->n_tables > 0)
		qsort(b->tables, (size_t)b->n_tables, sizeof *b->tables, table_order);
	for (int i = 1; i < b->n_tables; i++) {
		const struct build_table *t = &b->tables[i], *before = t - 1;

		if (same_name(t->t.name, t->t.schema, before->t.name, before->t.schema))
			map_mistake(b, t->loc,
			    "table \"%s.%s\" was already defined at line %d", t->t.schema,
			    t->t.name, before->loc.line);
	}
	if (b->n_functions > 0)
		qsort(b->functions, (size_t)b->n_functions, sizeof *b->functions,
		    function_order);
	for (int i = 1; i < b->n_functions; i++) {
		const struct build_function *f = &b->functions[i], *before = f - 1;

		if (same_name(f->f.name, f->f.schema, before->f.name, before->f.schema))
			map_mistake(b, f->loc,
			    "function \"%s\" was already defined at line %d", f->f.name,
			    before->loc.line);
	}
}

static void
check(struct map_builder *b)
{
	for (int i = 0; i < b->n_dists; i++) {
		switch (b->dists[i].d.kind) {
		case DIST_HASH:
			check_hash(b, &b->dists[i]);
			break;
		case DIST_RANGE:
			check_range(b, &b->dists[i]);
			break;
		case DIST_DIRECTORY:
			check_directory(b, &b->dists[i]);
			break;
		}
	}
	check_names(b);
}

/* ---- the finished map ---- */

static void
lay_out_distribution(struct map_builder *b, struct build_dist *bd)
{
	struct distribution *d = &bd->d;

	if (d->kind == DIST_RANGE) {
		d->ranges = ARENA_NEW(&b->arena, struct range_set);
		d->ranges->v = ARENA_NEW_N(&b->arena, struct range, (size_t)bd->n_ranges);
		for (int i = 0; i < bd->n_ranges; i++)
			d->ranges->v[d->ranges->n++] = bd->ranges[i].range;
	}
	if (d->lookup != NULL)
		directory_cache_init(
		    d->directory, (size_t)bd->cache_size, (uint64_t)bd->ttl_s * 1000000);
}

static const uint64_t *
all_shards(struct map_builder *b)
{
	uint64_t *all = ARENA_NEW_N(&b->arena, uint64_t, MAP_SHARD_WORDS);

	for (int i = 0; i < b->n_shards; i++)
		all[i / 64] |= UINT64_C(1) << (i % 64);
	return all;
}

static void
lay_out_tables(struct map_builder *b, struct shard_map *m)
{
	const uint64_t *all = all_shards(b);

	m->tables = ARENA_NEW_N(&b->arena, struct map_table, (size_t)b->n_tables);
	m->n_tables = b->n_tables;
	for (int i = 0; i < b->n_tables; i++) {
		m->tables[i] = b->tables[i].t;
		m->tables[i].shards = m->tables[i].reference
		    ? all
		    : m->distributions[m->tables[i].distribution].shards;
	}
	m->functions =
	    ARENA_NEW_N(&b->arena, struct map_function, (size_t)b->n_functions);
	m->n_functions = b->n_functions;
	for (int i = 0; i < b->n_functions; i++)
		m->functions[i] = b->functions[i].f;
}

struct shard_map *
map_builder_finish(struct map_builder *b, uint64_t epoch)
{
	struct shard_map *m;

	if (b->finished)
		return NULL;
	check(b);
	if (b->n_more > 0 && b->n_problems == PROBLEMS_MAX)
		b->problems[PROBLEMS_MAX - 1].text =
		    arena_printf(&b->problem_arena, "… and %d more", b->n_more + 1);
	if (b->n_mistakes > 0)
		return NULL;
	m = ARENA_NEW(&b->arena, struct shard_map);
	m->epoch = epoch;
	m->n_shards = b->n_shards;
	m->shards = b->shards;
	m->default_shard = b->default_shard;
	m->distributions =
	    ARENA_NEW_N(&b->arena, struct distribution, (size_t)b->n_dists);
	m->n_distributions = b->n_dists;
	for (int i = 0; i < b->n_dists; i++) {
		lay_out_distribution(b, &b->dists[i]);
		m->distributions[i] = b->dists[i].d;
	}
	lay_out_tables(b, m);
	m->arena = b->arena;
	arena_init(&b->arena);
	b->finished = true;
	return m;
}
