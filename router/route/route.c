#include "router/route/route.h"

#include <stdio.h>

#include "router/route/directory.h"
#include "router/route/hash.h"
#include "router/route/range.h"

static void
bitmap_add(uint64_t *bitmap, int shard)
{
	bitmap[shard / 64] |= UINT64_C(1) << (shard % 64);
}

/* ---- one key ---- */

uint32_t
shard_map_bucket(const struct distribution *d, const struct key *keys)
{
	uint64_t hash = 0;

	if (d->n_types == 1)
		return (uint32_t)key_hash(keys, 0) & (d->buckets - 1);
	for (int i = 0; i < d->n_types; i++)
		hash = hash_combine(hash, key_hash(&keys[i], HASH_PARTITION_SEED));
	return (uint32_t)hash & (d->buckets - 1);
}

/* The first range whose upper bound lies above the key. */
static int
first_range_above(const struct range_set *set, const struct key *k)
{
	int lo = 0, hi = set->n;

	while (lo < hi) {
		int mid = lo + (hi - lo) / 2;

		if (set->v[mid].has_hi && key_compare(&set->v[mid].hi, k) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int
range_shard(const struct range_set *set, const struct key *k)
{
	int i = first_range_above(set, k);

	if (i == set->n || (set->v[i].has_lo && key_compare(&set->v[i].lo, k) > 0))
		return SHARD_NONE;
	return set->v[i].shard;
}

static enum rc
directory_shard(
    const struct distribution *d, const struct key *k, uint64_t now_us, int *shard)
{
	struct slice key = key_bytes(k);
	int found = directory_get(d->directory, key);

	if (found == DIRECTORY_MISS && d->lookup != NULL) {
		found = directory_cache_get(d->directory, key, now_us);
		if (found == DIRECTORY_MISS)
			return RC_AGAIN;
	}
	*shard = found >= 0 ? found : d->default_shard;
	return RC_OK;
}

enum rc
shard_map_route(const struct shard_map *m, const struct distribution *d,
    const struct key *keys, uint64_t now_us, int *shard, struct err *e)
{
	(void)m;
	for (int i = 0; i < d->n_types; i++)
		if (keys[i].type != d->types[i])
			return err_set(e, "XX000", BLAST_STMT,
			    "key %d of distribution \"%s\" has type %s, not %s", i + 1,
			    d->name, key_type_name(keys[i].type),
			    key_type_name(d->types[i]));
	switch (d->kind) {
	case DIST_HASH:
		*shard = d->bucket_shard[shard_map_bucket(d, keys)];
		return RC_OK;
	case DIST_RANGE:
		*shard = range_shard(d->ranges, keys);
		return RC_OK;
	case DIST_DIRECTORY:
		break;
	}
	return directory_shard(d, keys, now_us, shard);
}

enum rc
route_no_shard(const struct shard_map *m, const struct distribution *d,
    const struct key *keys, struct err *e)
{
	struct arena a;
	struct slice text;

	(void)m;
	arena_init(&a);
	text = key_to_text(keys, &a);
	err_set(e, "23514", BLAST_STMT,
	    "no shard of distribution \"%s\" holds the key \"%.*s\"", d->name,
	    (int)(text.len < 80 ? text.len : 80), text.len > 0 ? text.ptr : "");
	if (d->kind == DIST_RANGE)
		err_hint(e, "Add a range that holds it to the shard map.");
	else if (d->lookup != NULL)
		err_hint(e,
		    "The distribution's look-up query found no shard for it; add "
		    "it there, or give the distribution a default.");
	else
		err_hint(e,
		    "Add it to the distribution's entries, or give the "
		    "distribution a default.");
	arena_reset(&a);
	return RC_ERR;
}

/* ---- many keys ---- */

/* Nothing lies between the bounds. Of neighbouring values (x > 5 AND x < 6) nothing is
 * known. */
static bool
nothing_between(
    const struct key *lo, bool lo_inclusive, const struct key *hi, bool hi_inclusive)
{
	int d;

	if (lo == NULL || hi == NULL)
		return false;
	d = key_compare(lo, hi);
	return d > 0 || (d == 0 && !(lo_inclusive && hi_inclusive));
}

static void
ranges_between(const struct range_set *set, const struct key *lo, bool lo_inclusive,
    const struct key *hi, bool hi_inclusive, uint64_t *bitmap)
{
	if (nothing_between(lo, lo_inclusive, hi, hi_inclusive))
		return;
	/* A range begins at its own lower bound, so an exclusive lo still lies in (or
	 * before) that range. */
	for (int i = lo == NULL ? 0 : first_range_above(set, lo); i < set->n; i++) {
		const struct range *r = &set->v[i];
		int d = hi == NULL || !r->has_lo ? -1 : key_compare(&r->lo, hi);

		if (d > 0 || (d == 0 && !hi_inclusive))
			return;
		bitmap_add(bitmap, r->shard);
	}
}

void
shard_map_shards(
    const struct shard_map *m, const struct distribution *d, uint64_t *bitmap)
{
	for (int i = 0; i < (m->n_shards + 63) / 64; i++)
		bitmap[i] |= d->shards[i];
}

void
shard_map_range(const struct shard_map *m, const struct distribution *d,
    const struct key *lo, bool lo_inclusive, const struct key *hi, bool hi_inclusive,
    uint64_t *bitmap)
{
	if (d->kind == DIST_RANGE)
		ranges_between(d->ranges, lo, lo_inclusive, hi, hi_inclusive, bitmap);
	else
		shard_map_shards(m, d, bitmap);
}

/* ---- the cache ---- */

/* key_to_text() is read back the same in any session. */
static enum rc
key_of_text(const struct distribution *d, struct slice text, struct arena *a,
    struct key *k, struct err *e)
{
	struct key_env env;

	key_env_init(&env, NULL, NULL, NULL, NULL);
	return key_from_text(d->types[0], text, &env, a, k, e);
}

enum rc
shard_map_learn(const struct shard_map *m, const struct distribution *d,
    struct slice text, const char *shard_name, uint64_t now_us, struct err *e)
{
	int shard = shard_name == NULL ? SHARD_NONE : shard_map_shard(m, shard_name);
	struct arena a;
	struct key k;
	enum rc rc;

	if (shard_name != NULL && shard < 0)
		return err_set(e, "58000", BLAST_STMT,
		    "the look-up query of distribution \"%s\" answered \"%.60s\", which "
		    "is no shard",
		    d->name, shard_name);
	if (d->kind != DIST_DIRECTORY || !directory_has_cache(d->directory))
		return err_set(e, "XX000", BLAST_STMT,
		    "distribution \"%s\" has no look-up query", d->name);
	arena_init(&a);
	rc = key_of_text(d, text, &a, &k, e);
	if (rc == RC_OK)
		directory_cache_learn(d->directory, key_bytes(&k), shard, now_us);
	arena_reset(&a);
	return rc;
}

void
shard_map_forget(
    const struct shard_map *m, const struct distribution *d, struct slice text)
{
	struct arena a;
	struct key k;
	struct err e;

	(void)m;
	if (d->kind != DIST_DIRECTORY || !directory_has_cache(d->directory))
		return;
	arena_init(&a);
	if (key_of_text(d, text, &a, &k, &e) == RC_OK)
		directory_cache_forget(d->directory, key_bytes(&k));
	arena_reset(&a);
}

void
shard_map_forget_all(const struct shard_map *m, const struct distribution *d)
{
	(void)m;
	if (d->kind == DIST_DIRECTORY && directory_has_cache(d->directory))
		directory_cache_clear(d->directory);
}
