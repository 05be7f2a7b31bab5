/* Which backend of a shard: pure functions of what the prober published. Each field is
 * read once, so a probe that comes in between changes the next choice, not this one. */
#include "pool/health.h"

/* ---- the primary ---- */

/* Two hosts of one conninfo may be two ways to one server: the one that answers. */
static bool
is_better_way(const struct backend *a, const struct backend *b)
{
	bool well = atomic_load(&a->breaker) == BREAKER_CLOSED;

	return well != (atomic_load(&b->breaker) == BREAKER_CLOSED)
	    ? well
	    : a->position < b->position;
}

/* Two that claim it: the one promoted last, which has the higher timeline; else the one
 * of the lower position. So two choosers never choose differently for long, and an old
 * primary that comes back is not written to. */
static bool
is_better_primary(const struct backend *a, const struct backend *b)
{
	uint32_t ta = atomic_load(&a->timeline), tb = atomic_load(&b->timeline);

	if (ta != tb)
		return ta > tb;
	if (a->several && b->several && a->first == b->first)
		return is_better_way(a, b);
	return a->position < b->position;
}

struct backend *
choose_primary(struct backend *const *backends, int n)
{
	struct backend *best = NULL;

	for (int i = 0; i < n; i++) {
		struct backend *b = backends[i];

		if (!atomic_load(&b->retired) && backend_role(b) == ROLE_PRIMARY &&
		    (best == NULL || is_better_primary(b, best)))
			best = b;
	}
	return best;
}

/* ---- replicas ---- */

/* The position that a replica must have replayed; UINT64_MAX: not known yet, so none will
 * do. */
static uint64_t
needed_lsn(const struct backend *primary, const struct read_token *t)
{
	uint64_t probed, lsn;

	if (t->written_us == 0)
		return t->lsn;
	if (primary == NULL)
		return UINT64_MAX;
	/* The prober stores the time after the position, so the position is of that probe
	 * or a later one. */
	probed = atomic_load(&primary->probed_us);
	if (probed <= t->written_us)
		return UINT64_MAX;
	lsn = atomic_load(&primary->lsn);
	return lsn > t->lsn ? lsn : t->lsn;
}

/* A promotion may have thrown away what was written on the old timeline: then nothing can
 * be shown, and the primary has to be read. */
static bool
is_past(const struct backend *b, const struct read_token *t, uint64_t lsn)
{
	if (lsn == 0)
		return true;
	if (lsn == UINT64_MAX || atomic_load(&b->lsn) < lsn)
		return false;
	return t->timeline == 0 || atomic_load(&b->timeline) >= t->timeline;
}

/* The prober closes the breaker again; where it cannot probe, a read has to try. */
static bool
is_well(const struct backend *b, uint64_t now_us)
{
	return atomic_load(&b->breaker) == BREAKER_CLOSED ||
	    (!backend_can_probe(b) && backend_would_be_usable(b, now_us));
}

static bool
is_eligible(const struct backend *b, uint64_t now_us)
{
	uint64_t most = atomic_load(&b->limits.max_replica_lag_us);

	return backend_role(b) == ROLE_REPLICA && !atomic_load(&b->disabled) &&
	    !atomic_load(&b->retired) && is_well(b, now_us) &&
	    (most == 0 || atomic_load(&b->lag_us) <= most);
}

static bool
may_read(
    const struct backend *b, const struct read_token *t, uint64_t lsn, uint64_t now_us)
{
	return is_eligible(b, now_us) && (t == NULL || is_past(b, t, lsn));
}

/* Of several hosts of one conninfo only one is used: of the primary's the primary, of a
 * replica's the first that fits. */
static bool
stands_back(struct backend *const *all, int n, const struct backend *b, uint64_t now_us)
{
	if (!b->several)
		return false;
	for (int i = 0; i < n && b->first != 0; i++)
		if (all[i]->several && all[i]->first == b->first &&
		    all[i]->position < b->position && is_eligible(all[i], now_us))
			return true;
	return b->first == 0;
}

static unsigned
weight_of(const struct backend *b, enum replica_policy policy)
{
	if (policy != REPLICA_WEIGHTED)
		return 1;
	int weight = atomic_load_explicit(&b->weight, memory_order_relaxed);

	return weight > 0 ? (unsigned)weight : 0;
}

/* Least connections in use; among equals one by chance, else the first would get all
 * reads of a quiet system. */
static struct backend *
least_used(struct backend *const *set, int n, uint64_t rnd)
{
	struct backend *best = NULL;
	int least = 0, start = (int)(rnd % (unsigned)n);

	for (int i = 0; i < n; i++) {
		struct backend *b = set[(start + i) % n];
		int active = backend_active(b);

		if (best == NULL || active < least) {
			best = b;
			least = active;
		}
	}
	return best;
}

static struct backend *
by_chance(struct backend *const *set, int n, enum replica_policy policy, uint64_t rnd)
{
	uint64_t total = 0;

	for (int i = 0; i < n; i++)
		total += weight_of(set[i], policy);
	if (total == 0)
		return NULL;
	rnd %= total;
	for (int i = 0; i < n; i++) {
		unsigned w = weight_of(set[i], policy);

		if (rnd < w)
			return set[i];
		rnd -= w;
	}
	return NULL;
}

#define REPLICAS_MAX 64 /* looked at in one choice */

struct backend *
choose_replica(struct backend *const *backends, int n, enum replica_policy policy,
    const struct read_token *t, uint64_t now_us, uint64_t rnd, unsigned *cursor)
{
	struct backend *set[REPLICAS_MAX];
	uint64_t lsn = t == NULL ? 0 : needed_lsn(choose_primary(backends, n), t);
	int m = 0;

	for (int i = 0; i < n && m < REPLICAS_MAX; i++)
		if (may_read(backends[i], t, lsn, now_us) &&
		    !stands_back(backends, n, backends[i], now_us))
			set[m++] = backends[i];
	if (m == 0)
		return NULL;
	switch (policy) {
	case REPLICA_ROUND_ROBIN:
		return set[(*cursor)++ % (unsigned)m];
	case REPLICA_WEIGHTED:
	case REPLICA_RANDOM:
		return by_chance(set, m, policy, rnd);
	case REPLICA_LEAST_CONNECTIONS:
		break;
	}
	return least_used(set, m, rnd);
}
