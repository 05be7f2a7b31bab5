/* router/route/directory.h: keys to shards, one by one.
 * Entries: an immutable open-addressing table, filled at load: 10 bytes a key at the load
 *          of 0.8, and the key's own bytes (integers, dates: 8; uuid: 16; others: length
 *          + 1 or 3, at most 4 GiB in all). Up to DIRECTORY_ENTRIES_MAX keys.
 * Cache:   for look-up queries: at most `cache_size` keys, each for `ttl_us`; keys that
 *          have no shard are remembered too. 64 stripes, each with a mutex, a table and a
 *          clock hand (second chance) of its own.
 * Thread:  entries: any, read only after directory_seal(). Cache: any.
 * Memory:  its own mallocs; freed by directory_destroy(). The seeds of its hash are the
 *          caller's, random per process. */
#ifndef WEIR_ROUTER_ROUTE_DIRECTORY_H
#define WEIR_ROUTER_ROUTE_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define DIRECTORY_ENTRIES_MAX 50000000
#define DIRECTORY_KEY_MAX     65535 /* bytes */

struct directory;

/* fixed_len: bytes of every key, 0: they vary. */
struct directory *directory_create(size_t fixed_len, uint64_t seed);
void directory_destroy(struct directory *);

/* ---- filling ---- */
enum directory_add { DIRECTORY_ADDED, DIRECTORY_KEY_TOO_LONG, DIRECTORY_FULL };
/* `tag` (a line number) is kept until directory_seal(). */
enum directory_add directory_add(
    struct directory *, struct slice key, int shard, uint32_t tag);
/* Builds the table; calls `duplicate` for each key that stands twice (the tags of both).
 */
void directory_seal(struct directory *,
    void (*duplicate)(void *arg, struct slice key, uint32_t first, uint32_t second),
    void *arg);

/* ---- entries ---- */
#define DIRECTORY_MISS (-2)
int directory_get(
    const struct directory *, struct slice key); /* a shard, or DIRECTORY_MISS */
size_t directory_count(const struct directory *);
size_t directory_bytes(const struct directory *);
/* In the order in which they were added, until fn returns false. */
void directory_each(const struct directory *,
    bool (*fn)(void *arg, struct slice key, int shard), void *arg);

/* ---- cache ---- */
void directory_cache_init(struct directory *, size_t cache_size, uint64_t ttl_us);
bool directory_has_cache(const struct directory *);
/* A shard, -1: known to have none, DIRECTORY_MISS: not known (any more). now_us 0: the
 * latest time told. */
int directory_cache_get(struct directory *, struct slice key, uint64_t now_us);
void directory_cache_learn(
    struct directory *, struct slice key, int shard, uint64_t now_us);
void directory_cache_forget(struct directory *, struct slice key);
void directory_cache_clear(struct directory *);

struct directory_stats {
	uint64_t hits, misses, learned, evicted, expired, forgotten;
	size_t keys, bytes;
};
void directory_cache_stats(struct directory *, struct directory_stats *);

#endif
