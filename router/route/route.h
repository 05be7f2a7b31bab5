/* router/route/route.h: keys to shard.
 * Hash:      one column: hash(key, seed 0) & (buckets - 1), which a server computes as
 *            hashint8extended(id, 0) & 1023. Several columns: PostgreSQL's partition
 *            hashing, so that a server computes it with
 *            satisfies_hash_partition(parent, buckets, bucket, a, b): each column is
 *            hashed with the seed 0x7A5B22367996DCFD, and the hashes are combined in
 *            their order by hash_combine64, starting from 0.
 * Range:     the range that holds the key; text by bytes.
 * Directory: its entries, then the cache of its look-up query, then its default shard.
 * Pure but for the cache. Thread: any. */
#ifndef WEIR_ROUTER_ROUTE_ROUTE_H
#define WEIR_ROUTER_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "router/route/key.h"
#include "router/route/map.h"

#ifndef SHARD_NONE
#define SHARD_NONE (-1)
#endif

/* The shard of `keys` (distribution->n_types of them, of its types).
 * RC_OK:    *shard is a shard, or SHARD_NONE where no shard can hold the key: a gap
 *           between ranges, a key that the directory does not know. A read with it finds
 *           no row on any shard; an INSERT is refused with route_no_shard().
 * RC_AGAIN: the key must be looked up with distribution->lookup first ($1 is
 *           key_to_text()), its result given to shard_map_learn(); then ask again.
 * RC_ERR:   keys of other types than the distribution's (XX000).
 * now_us: monotonic; 0: the latest time that the cache has been told. */
enum rc shard_map_route(const struct shard_map *, const struct distribution *,
    const struct key *keys, uint64_t now_us, int *shard, struct err *) WARN_UNUSED;
/* For an INSERT or COPY of a key without a shard: 23514 with a hint. Always RC_ERR. */
enum rc route_no_shard(const struct shard_map *, const struct distribution *,
    const struct key *keys, struct err *);
/* The bucket of a hash distribution. */
uint32_t shard_map_bucket(const struct distribution *, const struct key *keys);

/* Adds to `bitmap` (n_shards bits, MAP_SHARD_WORDS words are always enough) the shards
 * that may hold keys between lo and hi; NULL: unbounded. Exact for range distributions;
 * all the distribution's shards for the others. */
#define MAP_SHARD_WORDS (MAP_SHARDS_MAX / 64)
void shard_map_range(const struct shard_map *, const struct distribution *,
    const struct key *lo, bool lo_inclusive, const struct key *hi, bool hi_inclusive,
    uint64_t *bitmap);
/* Adds all shards that may hold a row of the distribution. */
void shard_map_shards(
    const struct shard_map *, const struct distribution *, uint64_t *bitmap);

/* ---- the cache of a look-up directory; also changes through a const map ---- */

/* What the look-up query said: a shard's name, or NULL where it found no row (remembered
 * too, for the same time). RC_ERR: no such shard (58000); nothing is learned. `key` is
 * its canonical text, as key_to_text() gave it. */
enum rc shard_map_learn(const struct shard_map *, const struct distribution *,
    struct slice key, const char *shard_name, uint64_t now_us, struct err *) WARN_UNUSED;
/* After a row was found not to be where the cache says, or by an admin's command. */
void shard_map_forget(
    const struct shard_map *, const struct distribution *, struct slice key);
void shard_map_forget_all(const struct shard_map *, const struct distribution *);

#endif
