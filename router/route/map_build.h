/* router/route/map_build.h: puts a shard map together and checks it whole before it is
 * used. Every call takes the place (file and line) of what it adds; mistakes are
 * collected, all of them, and map_builder_finish() gives a map only when there is none.
 * Warnings do not prevent it.
 *   b = map_builder_create(names, n, "s1", seed);
 *   map_load(b, database_group);
 *   map = map_builder_finish(b, epoch);
 *   for (i = 0; (p = map_builder_problem(b, i)) != NULL; i++) …;
 *   map_builder_destroy(b);
 * Thread:  one. Memory: strings are copied; the builder owns the problems. */
#ifndef WEIR_ROUTER_ROUTE_MAP_BUILD_H
#define WEIR_ROUTER_ROUTE_MAP_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "router/route/map.h"

struct map_loc {
	const char *file; /* NULL: not from a file */
	int line;
};

struct map_problem {
	bool warning;
	struct map_loc loc;
	const char *text; /* without the location and without a full stop */
};

struct map_builder;

/* Names of the shards in the configuration's order; default_shard NULL: none. `seed` is
 * random per process and keys the directories' hash tables (never the sharding
 * functions). */
struct map_builder *map_builder_create(
    const char *const *shards, int n_shards, const char *default_shard, uint64_t seed);
void map_builder_destroy(struct map_builder *);

void map_mistake(struct map_builder *, struct map_loc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void map_warning(struct map_builder *, struct map_loc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns a handle for the calls below, valid even where it reported a mistake. `types`:
 * "bigint", or "bigint, text". */
int map_add_distribution(struct map_builder *, struct map_loc, const char *name,
    enum dist_kind, const char *types);
/* hash */
void map_set_buckets(struct map_builder *, struct map_loc, int dist, int64_t buckets);
void map_add_placement(struct map_builder *, struct map_loc, int dist, const char *shard,
    const char *buckets);
/* range: from NULL: unbounded below; to NULL: above */
void map_add_range(struct map_builder *, struct map_loc, int dist, const char *from,
    const char *to, const char *shard);
void map_allow_gaps(struct map_builder *, int dist);
/* directory; cache_size and ttl_s: 0 for the defaults (100000 keys, 300 s) */
void map_set_default(struct map_builder *, struct map_loc, int dist, const char *shard);
void map_add_entry(
    struct map_builder *, struct map_loc, int dist, struct slice key, struct slice shard);
void map_set_lookup(struct map_builder *, struct map_loc, int dist, const char *sql);
void map_set_lookup_cache(
    struct map_builder *, struct map_loc, int dist, int64_t cache_size, int64_t ttl_s);

/* schema NULL: "schema.name" is split, else public. distribution NULL: a reference table.
 */
void map_add_table(struct map_builder *, struct map_loc, const char *schema,
    const char *name, const char *distribution, const char *const *key, int n_key);
/* schema NULL: "schema.name" is split, else any. distribution NULL: runs on any shard.
 * argument: 1-based. */
void map_add_function(struct map_builder *, struct map_loc, const char *schema,
    const char *name, const char *distribution, int64_t argument, bool read_only);

/* Checks all and builds. NULL: there are mistakes. The builder is used up; only the
 * problems can still be read. */
struct shard_map *map_builder_finish(struct map_builder *, uint64_t epoch);
int map_builder_mistakes(const struct map_builder *);
/* In the order of their finding; NULL: no more. At most 1000 are kept, the last says how
 * many more there are. */
const struct map_problem *map_builder_problem(const struct map_builder *, int i);

#endif
