/* router/admin/stats.h: the counters of each database, summed over the workers, and their averages over stats_period.
 * Thread:  any; counters are atomics, the samples are under a lock. */
#ifndef WEIR_ROUTER_ADMIN_STATS_H
#define WEIR_ROUTER_ADMIN_STATS_H

#include "router/session/worker.h"

enum stat_id {
#define STAT(field, total, avg, plain, per) STAT_##field,
#define STAT_OURS(field, name)              STAT_##field,
#include "router/admin/stats.def"
	STAT_COUNT
};

#define PLAN_KINDS 8

struct db_sum {
	char database[64];
	uint64_t v[STAT_COUNT];
	uint64_t plans[PLAN_KINDS];
	struct histogram query, wait;
};

/* By name; the caller frees. Databases that nobody has used are not in it. */
struct db_sum *stats_sums(const struct proc *, int *n);
/* What one second, query … of the latest whole period had (before the first has ended: since the start). `now` is that
 * database's sum now. */
void stats_averages(const struct db_sum *now, uint64_t now_us, uint64_t out[STAT_COUNT]);
/* The same over all databases, whose totals are `now`. */
void stats_total_averages(
    const uint64_t now[STAT_COUNT], uint64_t now_us, uint64_t out[STAT_COUNT]);
/* Takes a sample each stats_period, in the first worker's loop, and logs a line about it. */
void stats_start(struct proc *);

#endif
