/* router/admin/metrics_text.h: the metrics in Prometheus' text format.
 * Pure but for reading atomics. Memory: the text grows on the heap; its owner frees it. */
#ifndef WEIR_ROUTER_ADMIN_METRICS_TEXT_H
#define WEIR_ROUTER_ADMIN_METRICS_TEXT_H

#include "router/admin/census.h"
#include "router/admin/stats.h"

struct worker_numbers {
	int index;
	uint64_t sessions, parked;
	struct shape_stats shapes;
	struct loop_stats loop;
};

struct db_clients {
	const char *database;
	uint64_t active, waiting;
	uint64_t max_wait_us;
};

/* All that a scrape knows. */
struct scrape {
	const struct proc *proc;
	struct snapshot *snap;     /* a reference */
	uint64_t now_us, start_us; /* monotonic; wall clock */
	uint64_t resident, cpu_us;
	int fds;
	const char *event_loop;
	int absent;
	struct db_sum *sums;
	int n_sums;
	struct worker_numbers *workers;
	int n_workers;
	struct db_clients *clients;
	int n_clients;
};

struct text {
	char *p;
	size_t len, cap;
};

void text_add(struct text *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A label's value: backslash, quote and line end are escaped; what is not UTF-8 becomes '?'. */
void text_label(struct text *, const char *value);
void metrics_text(const struct scrape *, struct text *);
/* One histogram's samples, an octave a bucket. */
void metrics_histogram(
    struct text *, const char *name, const char *database, const struct histogram *);

#endif
