/* Lanes: what the workers' pools of one login share. They are found by the backend's
 * list, under its lock, when a pool is made; after that everything in them is constant or
 * atomic. */
#include "pool/pool_impl.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static char *
copy(const char *s)
{
	char *c = strdup(s == NULL ? "" : s);

	if (c == NULL)
		abort();
	return c;
}

static size_t
count_startup(const char *const *startup)
{
	size_t n = 0;

	while (startup != NULL && startup[n] != NULL)
		n++;
	return n;
}

uint64_t
login_hash(const struct backend *b, const struct pool_login *l)
{
	uint64_t h = XXH3_64bits_withSeed(l->user, strlen(l->user), (uintptr_t)b);

	if (l->database != NULL)
		h = XXH3_64bits_withSeed(l->database, strlen(l->database), h);
	for (size_t i = 0, n = count_startup(l->startup); i < n; i++)
		h = XXH3_64bits_withSeed(l->startup[i], strlen(l->startup[i]), h);
	return h ^ l->replication;
}

bool
lane_is(const struct lane *lane, const struct backend *b, const struct pool_login *l,
    uint64_t hash)
{
	size_t n = count_startup(l->startup);

	if (lane->hash != hash || lane->backend != b ||
	    lane->replication != l->replication || strcmp(lane->user, l->user) != 0 ||
	    strcmp(lane->database, l->database == NULL ? "" : l->database) != 0 ||
	    count_startup((const char *const *)lane->startup) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(lane->startup[i], l->startup[i]) != 0)
			return false;
	return true;
}

static struct lane *
lane_create(struct backend *b, const struct pool_login *l, uint64_t hash)
{
	int workers = backend_workers();
	size_t n = count_startup(l->startup);
	size_t size =
	    sizeof(struct lane) + (size_t)workers * sizeof(((struct lane *)0)->worker[0]);
	struct lane *lane = aligned_alloc(64, (size + 63) & ~(size_t)63);

	if (lane == NULL)
		abort();
	memset(lane, 0, size);
	lane->backend = b;
	lane->hash = hash;
	lane->user = copy(l->user);
	lane->database = copy(l->database);
	lane->replication = l->replication;
	lane->n_workers = workers;
	lane->quotas[QUOTA_DATABASE] = quota_get(QUOTA_DATABASE, b->database);
	lane->quotas[QUOTA_USER] = quota_get(QUOTA_USER, l->user);
	if (n > 0) {
		lane->startup = calloc(n + 1, sizeof *lane->startup);
		if (lane->startup == NULL)
			abort();
		for (size_t i = 0; i < n; i++)
			lane->startup[i] = copy(l->startup[i]);
	}
	list_push_back(&b->lanes, &lane->node);
	return lane;
}

struct lane *
lane_get(struct backend *b, const struct pool_login *l, uint64_t hash)
{
	struct lane *found = NULL;

	pthread_mutex_lock(&b->lock);
	LIST_FOREACH(n, &b->lanes) {
		struct lane *lane = LIST_ENTRY(n, struct lane, node);

		if (lane_is(lane, b, l, hash)) {
			found = lane;
			break;
		}
	}
	if (found == NULL)
		found = lane_create(b, l, hash);
	found->refs++;
	pthread_mutex_unlock(&b->lock);
	return found;
}

void
lane_ref(struct lane *lane)
{
	pthread_mutex_lock(&lane->backend->lock);
	lane->refs++;
	pthread_mutex_unlock(&lane->backend->lock);
}

void
lane_unref(struct lane *lane)
{
	struct backend *b = lane->backend;

	pthread_mutex_lock(&b->lock);
	if (--lane->refs > 0) {
		pthread_mutex_unlock(&b->lock);
		return;
	}
	list_remove(&lane->node);
	pthread_mutex_unlock(&b->lock);
	for (size_t i = 0; lane->startup != NULL && lane->startup[i] != NULL; i++)
		free(lane->startup[i]);
	for (int i = 0; i < QUOTA_KINDS; i++)
		quota_unref(lane->quotas[i]);
	free(lane->startup);
	free(lane->user);
	free(lane->database);
	free(lane);
}

static bool
enter_quotas(struct lane *lane, struct quota_need *need, uint64_t since_us)
{
	for (int i = 0; i < QUOTA_KINDS; i++) {
		if (quota_enter(lane->quotas[i], need, since_us))
			continue;
		while (i-- > 0)
			quota_leave(lane->quotas[i]);
		return false;
	}
	return true;
}

static bool
enter_lane(struct lane *lane, int max)
{
	int n = atomic_load(&lane->connections);

	while (max == 0 || n < max)
		if (atomic_compare_exchange_weak(&lane->connections, &n, n + 1))
			return true;
	return false;
}

bool
lane_enter(struct lane *lane, int max, struct quota_need *need, uint64_t since_us)
{
	if (!enter_lane(lane, max)) {
		if (need != NULL)
			quota_forget(need);
		return false;
	}
	if (enter_quotas(lane, need, since_us))
		return true;
	atomic_fetch_sub(&lane->connections, 1);
	return false;
}

void
lane_leave(struct lane *lane)
{
	atomic_fetch_sub(&lane->connections, 1);
	for (int i = 0; i < QUOTA_KINDS; i++)
		quota_leave(lane->quotas[i]);
}

int
lane_waiting(const struct lane *lane)
{
	for (int i = 0; i < lane->n_workers; i++)
		if (atomic_load(&lane->worker[i].waiting) > 0)
			return i;
	return -1;
}
