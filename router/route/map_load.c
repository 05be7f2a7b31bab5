/* From libconfig to the builder. Each group knows its members; whatever else stands in it
 * is a mistake. */
#include "router/route/map_load.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "router/route/map_csv.h"
#include "router/route/map_ints.h"

#define INT_FILES_MAX 64

struct load {
	struct map_builder *b;
	struct arena arena;
	/* Files whose integers have been checked. */
	const char *files[INT_FILES_MAX];
	bool readable[INT_FILES_MAX];
	int n_files;
};

/* A group under reading; `what` for messages. */
struct group {
	struct load *l;
	const config_setting_t *s;
	const char *what;
};

const char *const map_load_members[] = {"distributions", "tables", "functions", NULL};

/* ---- places ---- */

/* True when the integers of the setting's file are known to be those that were written.
 */
static bool
ints_checked(struct load *l, const char *file)
{
	if (file == NULL)
		return false;
	for (int i = 0; i < l->n_files; i++)
		if (strcmp(l->files[i], file) == 0)
			return l->readable[i];
	if (l->n_files == INT_FILES_MAX)
		return false;
	l->files[l->n_files] = file;
	l->readable[l->n_files] = map_ints_check(l->b, file);
	return l->readable[l->n_files++];
}

static struct map_loc
loc_of(const config_setting_t *s)
{
	return (struct map_loc){
	    config_setting_source_file(s), (int)config_setting_source_line(s)};
}

/* ---- members ---- */

static bool
in_list(const char *const *names, const char *name)
{
	for (; *names != NULL; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static void
check_members(const struct group *g, const char *const *names)
{
	for (int i = 0; i < config_setting_length(g->s); i++) {
		const config_setting_t *m = config_setting_get_elem(g->s, (unsigned)i);
		struct suggest s;

		if (in_list(names, config_setting_name(m)))
			continue;
		suggest_init(&s, config_setting_name(m));
		for (int j = 0; names[j] != NULL; j++)
			suggest_consider(&s, names[j]);
		if (s.best != NULL)
			map_mistake(g->l->b, loc_of(m),
			    "unknown setting \"%.60s\" in a %s; did you mean \"%s\"?",
			    s.word, g->what, s.best);
		else
			map_mistake(g->l->b, loc_of(m),
			    "unknown setting \"%.60s\" in a %s", s.word, g->what);
	}
}

static config_setting_t *
member(const struct group *g, const char *name)
{
	return config_setting_get_member(g->s, name);
}

/* NULL: absent, or a mistake that has been reported. */
static const char *
string_member(const struct group *g, const char *name, bool required)
{
	const config_setting_t *m = member(g, name);

	if (m == NULL) {
		if (required)
			map_mistake(
			    g->l->b, loc_of(g->s), "a %s needs `%s`", g->what, name);
		return NULL;
	}
	if (config_setting_type(m) == CONFIG_TYPE_STRING)
		return config_setting_get_string(m);
	map_mistake(g->l->b, loc_of(m), "`%s` must be a string in quotes", name);
	return NULL;
}

static bool
bool_member(const struct group *g, const char *name)
{
	const config_setting_t *m = member(g, name);

	if (m == NULL)
		return false;
	if (config_setting_type(m) == CONFIG_TYPE_BOOL)
		return config_setting_get_bool(m) != 0;
	map_mistake(g->l->b, loc_of(m), "`%s` must be true or false", name);
	return false;
}

/* False: absent, or a mistake that has been reported. */
static bool
int_member(const struct group *g, const char *name, int64_t *v)
{
	const config_setting_t *m = member(g, name);

	if (m == NULL)
		return false;
	ints_checked(g->l, config_setting_source_file(m));
	if (config_setting_type(m) == CONFIG_TYPE_INT ||
	    config_setting_type(m) == CONFIG_TYPE_INT64) {
		*v = config_setting_get_int64(m);
		return true;
	}
	map_mistake(g->l->b, loc_of(m), "`%s` must be a whole number", name);
	return false;
}

/* A key or a bound: a string; an integer where it is certain that libconfig has not
 * wrapped it. NULL: as above. */
static const char *
value_member(const struct group *g, const char *name, bool required)
{
	const config_setting_t *m = member(g, name);

	if (m == NULL || config_setting_type(m) == CONFIG_TYPE_STRING)
		return string_member(g, name, required);
	if (config_setting_type(m) == CONFIG_TYPE_INT64 ||
	    (config_setting_type(m) == CONFIG_TYPE_INT &&
		ints_checked(g->l, config_setting_source_file(m)))) {
		return arena_printf(&g->l->arena, "%lld", config_setting_get_int64(m));
	}
	map_mistake(g->l->b, loc_of(m), "`%s` must be a string in quotes", name);
	return NULL;
}

/* Calls fn for each group of the list `name`. */
static void
each_group(const struct group *g, const char *name, const char *what,
    void (*fn)(const struct group *, int), int arg)
{
	const config_setting_t *list = member(g, name);

	if (list == NULL)
		return;
	if (config_setting_type(list) != CONFIG_TYPE_LIST) {
		map_mistake(g->l->b, loc_of(list),
		    "`%s` must be a list of groups: ( { … }, { … } )", name);
		return;
	}
	for (int i = 0; i < config_setting_length(list); i++) {
		struct group element = {
		    g->l, config_setting_get_elem(list, (unsigned)i), what};

		if (config_setting_type(element.s) == CONFIG_TYPE_GROUP)
			fn(&element, arg);
		else
			map_mistake(g->l->b, loc_of(element.s),
			    "`%s`: a group { … } is needed for each %s", name, what);
		arena_reset(&g->l->arena);
	}
}

/* One string, or a list or array of strings; -1: absent, or a mistake that has been
 * reported. */
static int
strings_member(const struct group *g, const char *name, const char **v, int max)
{
	const config_setting_t *m = member(g, name);
	int n;

	if (m == NULL)
		return -1;
	if (config_setting_type(m) == CONFIG_TYPE_STRING) {
		v[0] = config_setting_get_string(m);
		return 1;
	}
	n = config_setting_is_aggregate(m) && !config_setting_is_group(m)
	    ? config_setting_length(m)
	    : 0;
	if (n < 1 || n > max) {
		map_mistake(g->l->b, loc_of(m),
		    "`%s` must be a string, or a list of 1 to %d strings", name, max);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		v[i] = config_setting_get_string_elem(m, i);
		if (v[i] == NULL) {
			map_mistake(g->l->b, loc_of(m),
			    "`%s` must be a list of strings in quotes", name);
			return -1;
		}
	}
	return n;
}

/* ---- distributions ---- */

static void
load_placement(const struct group *g, int dist)
{
	static const char *const names[] = {"shard", "buckets", NULL};
	const char *shard, *buckets;

	check_members(g, names);
	shard = string_member(g, "shard", true);
	buckets = value_member(g, "buckets", true);
	if (shard != NULL && buckets != NULL)
		map_add_placement(g->l->b, loc_of(g->s), dist, shard, buckets);
}

static void
load_range(const struct group *g, int dist)
{
	static const char *const names[] = {"from", "to", "shard", NULL};
	const char *from, *to, *shard;
	int before = map_builder_mistakes(g->l->b);

	check_members(g, names);
	from = value_member(g, "from", false);
	to = value_member(g, "to", false);
	shard = string_member(g, "shard", true);
	/* A bound that could not be read is not "unbounded". */
	if (shard != NULL && map_builder_mistakes(g->l->b) == before)
		map_add_range(g->l->b, loc_of(g->s), dist, from, to, shard);
}

static void
load_entry(const struct group *g, int dist)
{
	static const char *const names[] = {"key", "shard", NULL};
	const char *key, *shard;

	check_members(g, names);
	key = value_member(g, "key", true);
	shard = string_member(g, "shard", true);
	if (key != NULL && shard != NULL)
		map_add_entry(
		    g->l->b, loc_of(g->s), dist, slice_of(key), slice_of(shard));
}

static void
load_hash(const struct group *g, int dist)
{
	static const char *const names[] = {
	    "name", "kind", "type", "buckets", "placement", NULL};
	int64_t buckets;

	check_members(g, names);
	if (int_member(g, "buckets", &buckets))
		map_set_buckets(g->l->b, loc_of(member(g, "buckets")), dist, buckets);
	each_group(g, "placement", "placement", load_placement, dist);
}

static void
load_ranges(const struct group *g, int dist)
{
	static const char *const names[] = {
	    "name", "kind", "type", "ranges", "allow_gaps", NULL};

	check_members(g, names);
	if (bool_member(g, "allow_gaps"))
		map_allow_gaps(g->l->b, dist);
	each_group(g, "ranges", "range", load_range, dist);
}

/* Relative to the file that names it. */
static const char *
path_beside(struct load *l, const char *file, const char *path)
{
	const char *slash = file == NULL ? NULL : strrchr(file, '/');

	if (path[0] == '/' || slash == NULL)
		return path;
	return arena_printf(&l->arena, "%.*s/%s", (int)(slash - file), file, path);
}

static void
load_directory(const struct group *g, int dist)
{
	static const char *const names[] = {"name", "kind", "type", "default", "entries",
	    "entries_file", "lookup", "lookup_cache_size", "lookup_cache_ttl", NULL};
	const char *shard, *path, *lookup;
	int64_t size = 0, ttl_s = 0;
	bool cache;

	check_members(g, names);
	shard = string_member(g, "default", false);
	if (shard != NULL)
		map_set_default(g->l->b, loc_of(member(g, "default")), dist, shard);
	path = string_member(g, "entries_file", false);
	if (path != NULL)
		map_csv_load(g->l->b, loc_of(member(g, "entries_file")), dist,
		    path_beside(g->l, config_setting_source_file(g->s), path));
	lookup = string_member(g, "lookup", false);
	if (lookup != NULL)
		map_set_lookup(g->l->b, loc_of(member(g, "lookup")), dist, lookup);
	cache = int_member(g, "lookup_cache_size", &size);
	cache = int_member(g, "lookup_cache_ttl", &ttl_s) || cache;
	if (cache && lookup == NULL)
		map_mistake(g->l->b, loc_of(g->s),
		    "`lookup_cache_size` and `lookup_cache_ttl` need `lookup`");
	else if (cache)
		map_set_lookup_cache(g->l->b, loc_of(g->s), dist, size, ttl_s);
	each_group(g, "entries", "directory entry", load_entry, dist);
}

/* What was probably meant, so that the rest can still be checked. */
static enum dist_kind
guess_kind(const struct group *g)
{
	if (member(g, "buckets") != NULL || member(g, "placement") != NULL)
		return DIST_HASH;
	return member(g, "ranges") != NULL ? DIST_RANGE : DIST_DIRECTORY;
}

static enum dist_kind
kind_member(const struct group *g)
{
	const char *kind = string_member(g, "kind", true);

	if (kind == NULL)
		return guess_kind(g);
	if (strcmp(kind, "hash") == 0)
		return DIST_HASH;
	if (strcmp(kind, "range") == 0)
		return DIST_RANGE;
	if (strcmp(kind, "directory") != 0) {
		map_mistake(g->l->b, loc_of(member(g, "kind")),
		    "kind = \"%.60s\"; there are hash, range and directory", kind);
		return guess_kind(g);
	}
	return DIST_DIRECTORY;
}

/* "bigint, text" of a string or a list. A missing type is reported here, and text assumed
 * for the rest. */
static const char *
type_member(const struct group *g)
{
	const char *v[MAP_KEY_COLUMNS_MAX];
	const char *types;
	int n = strings_member(g, "type", v, MAP_KEY_COLUMNS_MAX);

	if (n < 0) {
		if (member(g, "type") == NULL)
			map_mistake(g->l->b, loc_of(g->s),
			    "a distribution needs `type`, the type of its key");
		return "text";
	}
	types = v[0];
	for (int i = 1; i < n; i++)
		types = arena_printf(&g->l->arena, "%s,%s", types, v[i]);
	return types;
}

static void
load_distribution(const struct group *g, int unused)
{
	const char *name = string_member(g, "name", true);
	enum dist_kind kind = kind_member(g);
	int dist = map_add_distribution(
	    g->l->b, loc_of(g->s), name == NULL ? "?" : name, kind, type_member(g));

	(void)unused;
	if (kind == DIST_HASH)
		load_hash(g, dist);
	else if (kind == DIST_RANGE)
		load_ranges(g, dist);
	else
		load_directory(g, dist);
}

/* ---- tables and functions ---- */

/* Either `distribution` or `reference = true`; false after a mistake. */
static bool
placed(const struct group *g, const char **distribution)
{
	bool reference = bool_member(g, "reference");

	*distribution = string_member(g, "distribution", false);
	if (reference != (*distribution != NULL))
		return true;
	if (reference)
		map_mistake(g->l->b, loc_of(g->s),
		    "a %s has either `distribution` or `reference = true`, not both",
		    g->what);
	else if (member(g, "distribution") == NULL)
		map_mistake(g->l->b, loc_of(g->s),
		    "a %s needs `distribution`, or `reference = true`", g->what);
	return false;
}

static void
load_table(const struct group *g, int unused)
{
	static const char *const names[] = {
	    "name", "schema", "distribution", "key", "reference", NULL};
	const char *name, *schema, *distribution, *key[MAP_KEY_COLUMNS_MAX];
	int n_key;

	(void)unused;
	check_members(g, names);
	name = string_member(g, "name", true);
	schema = string_member(g, "schema", false);
	n_key = strings_member(g, "key", key, MAP_KEY_COLUMNS_MAX);
	if (!placed(g, &distribution) || name == NULL ||
	    (n_key < 0 && member(g, "key") != NULL))
		return;
	map_add_table(g->l->b, loc_of(g->s), schema, name, distribution, key,
	    n_key < 0 ? 0 : n_key);
}

static void
load_function(const struct group *g, int unused)
{
	static const char *const names[] = {
	    "name", "schema", "distribution", "argument", "reference", "read_only", NULL};
	const char *name, *schema, *distribution;
	int64_t argument = 0;
	bool read_only;

	(void)unused;
	check_members(g, names);
	name = string_member(g, "name", true);
	schema = string_member(g, "schema", false);
	read_only = bool_member(g, "read_only");
	if (!int_member(g, "argument", &argument) && member(g, "argument") != NULL)
		return;
	if (placed(g, &distribution) && name != NULL)
		map_add_function(g->l->b, loc_of(g->s), schema, name, distribution,
		    argument, read_only);
}

void
map_load(struct map_builder *b, const config_setting_t *database)
{
	struct load l = {.b = b};
	struct group g = {&l, database, "database"};

	arena_init(&l.arena);
	each_group(&g, "distributions", "distribution", load_distribution, 0);
	each_group(&g, "tables", "table", load_table, 0);
	each_group(&g, "functions", "function", load_function, 0);
	arena_reset(&l.arena);
}
