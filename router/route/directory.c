/* Entries: keys stand one behind the other in one block of bytes; the table has slots of
 * 8 bytes (where the key stands, its shard, 16 bits of its hash) and is probed linearly.
 * Its size need not be a power of two: the slot is the high half of hash × size. Two
 * cache misses a look-up.
 *
 * Cache: a hit takes its stripe's mutex and writes nothing else but a reference bit that
 * is not set yet. */
#include "router/route/directory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

#define EMPTY         UINT32_MAX
#define LONG_KEY      255 /* the length byte of a key whose length follows in two more */
#define STRIPES       64
#define NO_ENTRY      UINT32_MAX
#define CLOCK_STEP_US 1000000

struct slot {
	uint32_t
	    at; /* fixed length: the key's number, else its offset in the block; EMPTY */
	uint16_t shard, check;
};

struct pending {
	uint32_t at, tag;
	uint16_t shard;
};

struct cached {
	char *key;
	uint64_t hash, expires_us;
	uint32_t len, next; /* in its chain, or in the free list */
	int16_t shard;      /* -1: has none */
	bool referenced;
};

struct stripe {
	_Alignas(64) pthread_mutex_t mutex;
	struct cached *entries;
	uint32_t *heads; /* n_allocated of them, a power of two */
	uint32_t n_allocated, n_touched, n_used, n_max, hand, free;
	size_t key_bytes;
	struct directory_stats stats;
};

struct directory_cache {
	struct stripe stripes[STRIPES];
	uint64_t ttl_us;
	_Atomic uint64_t now_us; /* the latest time told, to within CLOCK_STEP_US */
};

struct directory {
	size_t fixed_len;
	uint64_t seed;
	char *block;
	size_t block_len, block_cap;
	size_t count;
	struct pending *pending; /* until sealed */
	size_t pending_cap;
	struct slot *slots;
	size_t n_slots;
	struct directory_cache *cache;
};

static void *
need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct directory *
directory_create(size_t fixed_len, uint64_t seed)
{
	struct directory *d = need(calloc(1, sizeof *d));

	d->fixed_len = fixed_len;
	d->seed = seed;
	return d;
}

/* ---- filling ---- */

static void
block_reserve(struct directory *d, size_t more)
{
	if (d->block_cap - d->block_len >= more)
		return;
	d->block_cap = d->block_cap < 4096 ? 4096 : d->block_cap + d->block_cap / 2;
	if (d->block_cap < d->block_len + more)
		d->block_cap = d->block_len + more;
	d->block = need(realloc(d->block, d->block_cap));
}

static void
block_append(struct directory *d, struct slice key)
{
	char *p;

	block_reserve(d, key.len + 3);
	p = d->block + d->block_len;
	if (d->fixed_len == 0) {
		*p++ = (char)(key.len < LONG_KEY ? key.len : LONG_KEY);
		if (key.len >= LONG_KEY) {
			*p++ = (char)(key.len >> 8);
			*p++ = (char)key.len;
		}
	}
	if (key.len > 0)
		memcpy(p, key.ptr, key.len);
	d->block_len = (size_t)(p - d->block) + key.len;
}

enum directory_add
directory_add(struct directory *d, struct slice key, int shard, uint32_t tag)
{
	uint32_t at;

	if (key.len > DIRECTORY_KEY_MAX || (d->fixed_len != 0 && key.len != d->fixed_len))
		return DIRECTORY_KEY_TOO_LONG;
	if (d->count >= DIRECTORY_ENTRIES_MAX || d->block_len + key.len + 3 >= UINT32_MAX)
		return DIRECTORY_FULL;
	at = (uint32_t)(d->fixed_len != 0 ? d->count : d->block_len);
	block_append(d, key);
	if (d->count == d->pending_cap) {
		d->pending_cap = d->pending_cap < 64 ? 64 : d->pending_cap * 2;
		d->pending =
		    need(realloc(d->pending, d->pending_cap * sizeof *d->pending));
	}
	d->pending[d->count++] = (struct pending){at, tag, (uint16_t)shard};
	return DIRECTORY_ADDED;
}

/* The key that stands at `at`. */
static inline struct slice
key_at(const struct directory *d, uint32_t at)
{
	const unsigned char *p;

	if (d->fixed_len != 0)
		return (struct slice){d->block + at * d->fixed_len, d->fixed_len};
	p = (const unsigned char *)d->block + at;
	if (*p < LONG_KEY)
		return (struct slice){(const char *)p + 1, *p};
	return (struct slice){(const char *)p + 3, (size_t)p[1] << 8 | p[2]};
}

static inline uint64_t
hash_of(const struct directory *d, struct slice key)
{
	return XXH3_64bits_withSeed(key.ptr, key.len, d->seed);
}

/* The slot that holds the key, or the empty one where it belongs. */
static inline struct slot *
find_slot(const struct directory *d, struct slice key, uint64_t hash)
{
	size_t i = (size_t)(((unsigned __int128)hash * d->n_slots) >> 64);

	for (;; i = i + 1 == d->n_slots ? 0 : i + 1) {
		struct slot *s = &d->slots[i];

		if (s->at == EMPTY ||
		    (s->check == (uint16_t)hash && slice_eq(key_at(d, s->at), key)))
			return s;
	}
}

static int
pending_order(const void *a, const void *b)
{
	const uint32_t *at = a;
	const struct pending *p = b;

	return (*at > p->at) - (*at < p->at);
}

static uint32_t
tag_of(const struct directory *d, uint32_t at)
{
	const struct pending *p =
	    bsearch(&at, d->pending, d->count, sizeof *p, pending_order);

	return p == NULL ? 0 : p->tag;
}

void
directory_seal(struct directory *d,
    void (*duplicate)(void *, struct slice, uint32_t, uint32_t), void *arg)
{
	d->n_slots = d->count + d->count / 4 + 1;
	d->slots = need(malloc(d->n_slots * sizeof *d->slots));
	for (size_t i = 0; i < d->n_slots; i++)
		d->slots[i].at = EMPTY;
	for (size_t i = 0; i < d->count; i++) {
		const struct pending *p = &d->pending[i];
		struct slice key = key_at(d, p->at);
		uint64_t hash = hash_of(d, key);
		struct slot *s = find_slot(d, key, hash);

		if (s->at == EMPTY)
			*s = (struct slot){p->at, p->shard, (uint16_t)hash};
		else
			duplicate(arg, key, tag_of(d, s->at), p->tag);
	}
	free(d->pending);
	d->pending = NULL;
	d->pending_cap = 0;
	if (d->block_len > 0)
		d->block = need(realloc(d->block, d->block_len));
	d->block_cap = d->block_len;
}

/* ---- entries ---- */

int
directory_get(const struct directory *d, struct slice key)
{
	const struct slot *s;

	if (d->n_slots == 0)
		return DIRECTORY_MISS;
	s = find_slot(d, key, hash_of(d, key));
	return s->at == EMPTY ? DIRECTORY_MISS : s->shard;
}

size_t
directory_count(const struct directory *d)
{
	return d->count;
}

size_t
directory_bytes(const struct directory *d)
{
	return sizeof *d + d->block_cap + d->n_slots * sizeof *d->slots;
}

void
directory_each(
    const struct directory *d, bool (*fn)(void *, struct slice, int), void *arg)
{
	uint32_t at = 0;

	for (size_t i = 0; i < d->count; i++) {
		struct slice key = key_at(d, at);

		if (!fn(arg, key, directory_get(d, key)))
			return;
		at =
		    d->fixed_len != 0 ? at + 1 : (uint32_t)(key.ptr + key.len - d->block);
	}
}

/* ---- cache ---- */

void
directory_cache_init(struct directory *d, size_t cache_size, uint64_t ttl_us)
{
	struct directory_cache *c = need(aligned_alloc(64, sizeof *c));
	size_t each = (cache_size + STRIPES - 1) / STRIPES;

	memset(c, 0, sizeof *c);
	if (each < 1)
		each = 1;
	if (each > UINT32_MAX / 4)
		each = UINT32_MAX / 4;
	for (int i = 0; i < STRIPES; i++) {
		struct stripe *s = &c->stripes[i];

		pthread_mutex_init(&s->mutex, NULL);
		s->n_max = (uint32_t)each;
		s->free = NO_ENTRY;
	}
	c->ttl_us = ttl_us;
	d->cache = c;
}

bool
directory_has_cache(const struct directory *d)
{
	return d->cache != NULL;
}

static uint64_t
clock_told(struct directory_cache *c, uint64_t now_us)
{
	uint64_t known = atomic_load_explicit(&c->now_us, memory_order_relaxed);

	if (now_us == 0)
		return known;
	/* Seldom, so that a hit writes nothing that workers share; an older time than
	 * another's does no harm. */
	if (now_us > known + CLOCK_STEP_US)
		atomic_store_explicit(&c->now_us, now_us, memory_order_relaxed);
	return now_us;
}

static struct stripe *
lock_stripe(struct directory_cache *c, uint64_t hash)
{
	struct stripe *s = &c->stripes[hash >> 58];

	pthread_mutex_lock(&s->mutex);
	return s;
}

static uint32_t *
chain_of(struct stripe *s, uint64_t hash)
{
	return &s->heads[(uint32_t)hash & (s->n_allocated - 1)];
}

/* The link that points at the key's entry, or the chain's last link. */
static uint32_t *
find_link(struct stripe *s, struct slice key, uint64_t hash)
{
	uint32_t *link = chain_of(s, hash);

	while (*link != NO_ENTRY) {
		struct cached *e = &s->entries[*link];

		if (e->hash == hash && slice_eq((struct slice){e->key, e->len}, key))
			break;
		link = &e->next;
	}
	return link;
}

static void
drop(struct stripe *s, uint32_t *link)
{
	uint32_t i = *link;
	struct cached *e = &s->entries[i];

	*link = e->next;
	s->key_bytes -= e->len;
	free(e->key);
	*e = (struct cached){.next = s->free};
	s->free = i;
	s->n_used--;
}

int
directory_cache_get(struct directory *d, struct slice key, uint64_t now_us)
{
	uint64_t now = clock_told(d->cache, now_us), hash = hash_of(d, key);
	struct stripe *s = lock_stripe(d->cache, hash);
	int shard = DIRECTORY_MISS;
	uint32_t *link;

	if (s->n_allocated > 0 && *(link = find_link(s, key, hash)) != NO_ENTRY) {
		struct cached *e = &s->entries[*link];

		if (e->expires_us > now) {
			shard = e->shard;
			if (!e->referenced)
				e->referenced = true;
		} else {
			drop(s, link);
			s->stats.expired++;
		}
	}
	if (shard != DIRECTORY_MISS)
		s->stats.hits++;
	else
		s->stats.misses++;
	pthread_mutex_unlock(&s->mutex);
	return shard;
}

/* Twice the room; all chains are made anew. */
static void
grow(struct stripe *s)
{
	s->n_allocated = s->n_allocated == 0 ? 16 : s->n_allocated * 2;
	s->entries = need(realloc(s->entries, s->n_allocated * sizeof *s->entries));
	s->heads = need(realloc(s->heads, s->n_allocated * sizeof *s->heads));
	memset(s->heads, 0xff, s->n_allocated * sizeof *s->heads);
	for (uint32_t i = 0; i < s->n_touched; i++) {
		uint32_t *head = chain_of(s, s->entries[i].hash);

		s->entries[i].next = *head;
		*head = i;
	}
}

/* Second chance: the first whose reference bit is not set; all are used, so it ends
 * within two rounds. */
static void
evict_one(struct stripe *s)
{
	for (;; s->hand++) {
		struct cached *e;

		if (s->hand >= s->n_touched)
			s->hand = 0;
		e = &s->entries[s->hand];
		if (!e->referenced) {
			drop(s, find_link(s, (struct slice){e->key, e->len}, e->hash));
			s->stats.evicted++;
			return;
		}
		e->referenced = false;
	}
}

static uint32_t
take_entry(struct stripe *s)
{
	uint32_t i;

	if (s->free == NO_ENTRY && s->n_used == s->n_max)
		evict_one(s);
	if (s->free != NO_ENTRY) {
		i = s->free;
		s->free = s->entries[i].next;
		return i;
	}
	if (s->n_touched == s->n_allocated)
		grow(s);
	return s->n_touched++;
}

static void
insert(struct stripe *s, struct slice key, uint64_t hash, int shard, uint64_t expires_us)
{
	uint32_t i = take_entry(s), *head = chain_of(s, hash);
	char *copy = need(malloc(key.len + 1));

	if (key.len > 0)
		memcpy(copy, key.ptr, key.len);
	s->entries[i] = (struct cached){
	    copy, hash, expires_us, (uint32_t)key.len, *head, (int16_t)shard, false};
	*head = i;
	s->n_used++;
	s->key_bytes += key.len;
}

void
directory_cache_learn(struct directory *d, struct slice key, int shard, uint64_t now_us)
{
	uint64_t now = clock_told(d->cache, now_us), hash = hash_of(d, key);
	uint64_t expires_us =
	    now + d->cache->ttl_us < now ? UINT64_MAX : now + d->cache->ttl_us;
	struct stripe *s = lock_stripe(d->cache, hash);
	uint32_t *link;

	if (s->n_allocated > 0 && *(link = find_link(s, key, hash)) != NO_ENTRY) {
		s->entries[*link].shard = (int16_t)shard;
		s->entries[*link].expires_us = expires_us;
	} else {
		insert(s, key, hash, shard, expires_us);
	}
	s->stats.learned++;
	pthread_mutex_unlock(&s->mutex);
}

void
directory_cache_forget(struct directory *d, struct slice key)
{
	uint64_t hash = hash_of(d, key);
	struct stripe *s = lock_stripe(d->cache, hash);
	uint32_t *link;

	if (s->n_allocated > 0 && *(link = find_link(s, key, hash)) != NO_ENTRY) {
		drop(s, link);
		s->stats.forgotten++;
	}
	pthread_mutex_unlock(&s->mutex);
}

/* The memory of keys is given back, that of the tables kept. */
static void
clear_stripe(struct stripe *s)
{
	for (uint32_t i = 0; i < s->n_touched; i++)
		free(s->entries[i].key);
	if (s->n_allocated > 0)
		memset(s->heads, 0xff, s->n_allocated * sizeof *s->heads);
	s->stats.forgotten += s->n_used;
	s->n_touched = s->n_used = s->hand = 0;
	s->key_bytes = 0;
	s->free = NO_ENTRY;
}

void
directory_cache_clear(struct directory *d)
{
	for (int i = 0; i < STRIPES; i++) {
		struct stripe *s = &d->cache->stripes[i];

		pthread_mutex_lock(&s->mutex);
		clear_stripe(s);
		pthread_mutex_unlock(&s->mutex);
	}
}

void
directory_cache_stats(struct directory *d, struct directory_stats *out)
{
	*out = (struct directory_stats){0};
	for (int i = 0; d->cache != NULL && i < STRIPES; i++) {
		struct stripe *s = &d->cache->stripes[i];

		pthread_mutex_lock(&s->mutex);
		out->hits += s->stats.hits;
		out->misses += s->stats.misses;
		out->learned += s->stats.learned;
		out->evicted += s->stats.evicted;
		out->expired += s->stats.expired;
		out->forgotten += s->stats.forgotten;
		out->keys += s->n_used;
		out->bytes += s->key_bytes +
		    s->n_allocated * (sizeof *s->entries + sizeof *s->heads);
		pthread_mutex_unlock(&s->mutex);
	}
}

static void
cache_destroy(struct directory_cache *c)
{
	for (int i = 0; c != NULL && i < STRIPES; i++) {
		struct stripe *s = &c->stripes[i];

		clear_stripe(s);
		free(s->entries);
		free(s->heads);
		pthread_mutex_destroy(&s->mutex);
	}
	free(c);
}

void
directory_destroy(struct directory *d)
{
	if (d == NULL)
		return;
	cache_destroy(d->cache);
	free(d->block);
	free(d->pending);
	free(d->slots);
	free(d);
}
