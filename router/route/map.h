/* router/route/map.h: the shard map of one database: which shard holds a key of a table.
 * Pure and immutable; replaced whole. Tables of one distribution are co-located. A directory that looks keys up has a bounded cache of its
 * own beside the map (route/directory.h), which is the only part that changes.
 * Memory:  one arena, freed by shard_map_destroy(). */
#ifndef WEIR_ROUTER_ROUTE_MAP_H
#define WEIR_ROUTER_ROUTE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

enum dist_kind { DIST_HASH, DIST_RANGE, DIST_DIRECTORY };

/* Key types: one line each in key_type.def. */
enum key_type {
#define KEY_TYPE(id, ...) KEY_##id,
#include "router/route/key_type.def"
#undef KEY_TYPE
	KEY_TYPE_COUNT
};

#define MAP_KEY_COLUMNS_MAX 8
#define MAP_SHARDS_MAX      1024

struct distribution {
	const char *name;
	enum dist_kind kind;
	int n_types; /* number of key columns; several: hash only, combined */
	enum key_type types[MAP_KEY_COLUMNS_MAX];
	/* hash */
	uint32_t buckets; /* a power of two, 1 … 1048576 */
	const uint16_t *bucket_shard;
	/* the others: private to router/route */
	struct range_set *ranges;
	struct directory *directory;
	const char *lookup; /* SQL of the look-up query, or NULL */
	int default_shard;  /* directory: -1 when there is none */
	const uint64_t *
	    shards; /* bitmap of the shards that may hold a row of it; (n_shards + 63) / 64 words */
};

struct map_table {
	const char *schema, *name;
	bool reference;
	int distribution;                     /* -1 for reference tables */
	const char *key[MAP_KEY_COLUMNS_MAX]; /* column names */
	int n_key;
	const uint64_t *shards; /* bitmap of the shards that hold it */
};

struct map_function {
	const char *schema, *name; /* schema NULL: any */
	int distribution;          /* -1: runs anywhere (reference) */
	int argument;              /* 1-based position of the key */
	bool read_only;
};

struct shard_map {
	struct arena arena;
	uint64_t epoch;
	int n_shards;
	const char *const *shards; /* names, in the configuration's order */
	int default_shard;         /* -1: none */
	struct distribution *distributions;
	int n_distributions;
	struct map_table *tables; /* sorted by name and schema */
	int n_tables;
	struct map_function *functions;
	int n_functions;
};

/* NULL: not in the map. */
const struct map_table *shard_map_table(
    const struct shard_map *, const char *schema, const char *name);
const struct map_function *shard_map_function(
    const struct shard_map *, const char *schema, const char *name);
int shard_map_shard(const struct shard_map *, const char *name); /* -1: unknown */
/* No distribution and no table: one shard, everything is forwarded. */
static inline bool
shard_map_plain(const struct shard_map *m)
{
	return m->n_shards == 1;
}
void shard_map_destroy(struct shard_map *);

#endif
