/* router/route/map_build_impl.h: what map_build.c collects and map_check.c checks.
 * Private to the two. */
#ifndef WEIR_ROUTER_ROUTE_MAP_BUILD_IMPL_H
#define WEIR_ROUTER_ROUTE_MAP_BUILD_IMPL_H

#include "router/route/directory.h"
#include "router/route/map_build.h"
#include "router/route/range.h"

#define BUCKETS_MAX  (1 << 20)
#define PROBLEMS_MAX 1000
#define FILES_MAX    64 /* for the tags of directory entries: file << 26 | line */

struct placement {
	struct map_loc loc;
	int shard;
	uint32_t first, last;
};

struct build_range {
	struct map_loc loc;
	struct range range;
};

struct build_dist {
	struct map_loc loc, default_loc;
	struct distribution d;
	bool types_known, buckets_given, gaps_allowed;
	struct placement *placements;
	int n_placements, cap_placements;
	struct build_range *ranges;
	int n_ranges, cap_ranges;
	int bad_pieces; /* placements, ranges and entries that were refused: what is
			   missing is then not said */
	int64_t cache_size, ttl_s;
	uint64_t *shards;
};

struct build_table {
	struct map_loc loc;
	struct map_table t;
	const char *distribution; /* name; NULL: reference */
};

struct build_function {
	struct map_loc loc;
	struct map_function f;
	const char *distribution;
};

struct map_builder {
	struct arena arena; /* becomes the map's */
	struct arena problem_arena;
	struct arena scratch; /* for values on their way into a directory */
	struct map_problem *problems;
	int n_problems, cap_problems, n_more, n_mistakes;
	const char **shards;
	int n_shards, default_shard, last_shard;
	uint64_t seed;
	struct build_dist *dists;
	int n_dists, cap_dists;
	struct build_table *tables;
	int n_tables, cap_tables;
	struct build_function *functions;
	int n_functions, cap_functions;
	const char *files[FILES_MAX];
	int n_files;
	bool finished;
};

#endif
