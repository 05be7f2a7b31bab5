/* The budget: places, counted in backend.connections over the whole process. */
#include "pool/pool_impl.h"

bool
budget_take(struct backend *b, int limit)
{
	int n = atomic_load(&b->connections);

	while (n < limit)
		if (atomic_compare_exchange_weak(&b->connections, &n, n + 1))
			return true;
	return false;
}

int
budget_limit(const struct backend *b, uint64_t waited_us)
{
	uint64_t timeout = atomic_load(&b->limits.reserve_pool_timeout_us);
	int n = atomic_load(&b->limits.pool_size);

	if (timeout > 0 && waited_us >= timeout)
		n += atomic_load(&b->limits.reserve_pool_size);
	return n;
}

int
budget_neediest(const struct backend *b, int n_workers, int skip, uint64_t *since_us)
{
	int who = -1;

	*since_us = UINT64_MAX;
	if (atomic_load(&b->waiting) == 0)
		return -1;
	for (int i = 0; i < n_workers; i++) {
		uint64_t since = atomic_load(&b->worker[i].oldest_wait_us);

		if (i != skip && since != 0 && since < *since_us &&
		    atomic_load(&b->worker[i].coming) == 0) {
			*since_us = since;
			who = i;
		}
	}
	return who;
}

static void
give_to(struct site *s, int who)
{
	if (who != s->pools->index) {
		move_place(s, who, NULL);
		return;
	}
	s->n_places++;
	site_want_serve(s);
}

/* A place above pool_size (the reserve's, or of a limit that was lowered) is not passed
 * on: who has waited long enough for the reserve takes it anew. */
void
place_free(struct site *s, int heir)
{
	struct backend *b = s->backend;
	int limit = atomic_load(&b->limits.pool_size), who = heir;
	uint64_t since;

	if (s->pools->ending) {
		atomic_fetch_sub(&b->connections, 1);
		return;
	}
	if (heir < 0 && atomic_load(&b->connections) <= limit)
		who = budget_neediest(b, s->pools->n_peers, -1, &since);
	if (who >= 0) {
		give_to(s, who);
		return;
	}
	atomic_fetch_sub(&b->connections, 1);
	/* Somebody may have come to wait between the look and the count. */
	who = budget_neediest(b, s->pools->n_peers, -1, &since);
	if (who >= 0 && budget_take(b, limit))
		give_to(s, who);
}

/* Who waits because its login has all the connections it may have does not lack a place,
 * so nobody else would tell it. */
void
place_left(struct pool *p, int heir)
{
	int who = -1;

	if (p->max_connections > 0 && !p->pools->ending)
		who = lane_waiting(p->lane);
	place_free(p->site, heir);
	if (who == p->pools->index)
		site_want_serve(p->site);
	else if (who >= 0)
		move_nothing(p->site, who);
}
