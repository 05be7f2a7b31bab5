/* pool/dialer.h: threads for what blocks: opening server connections (name look-up,
 * TLS), cancel requests.
 * Thread:  jobs are given by any thread, run in one of the dialer's, and come back as
 *          mail to a loop.
 * Memory:  a job is its caller's again when `done` runs.
 * Limits:  threads are started when all are busy, up to DIALER_THREADS_MAX, and end
 *          after some idle seconds; of one backend at most DIALER_PER_BACKEND jobs run
 *          at a time, so that a frozen server does not take all threads. */
#ifndef WEIR_POOL_DIALER_H
#define WEIR_POOL_DIALER_H

#include "base/list.h"
#include "base/loop.h"
#include "pool/backend.h"

#define DIALER_THREADS_MAX 64
#define DIALER_PER_BACKEND 4

struct job {
	struct mail mail;
	struct list node;
	struct loop *loop;       /* where `done` is called */
	struct backend *backend; /* whose limit counts; NULL: none does */
	bool urgent; /* goes before others, and no limit counts (cancel requests) */
	void (*run)(struct job *);
	void (*done)(struct job *);
};

/* How server connections are kept alive; 0: the system's way. */
struct dialer_tcp {
	int keepalive_idle_s, keepalive_interval_s, keepalive_count, user_timeout_ms;
};

struct dialer;

/* `threads`: how many are kept when there is nothing to do. */
enum rc dialer_create(struct dialer **, int threads, struct err *) WARN_UNUSED;
/* Waits for the jobs that run. Jobs that were not begun are forgotten: their owners free
 * them (pools_destroy()). */
void dialer_destroy(struct dialer *);
void dialer_set_tcp(struct dialer *, const struct dialer_tcp *);
void dialer_tcp(struct dialer *, struct dialer_tcp *);
void dialer_run(struct dialer *, struct job *);
/* For SHOW. */
void dialer_stats(struct dialer *, int *queued, int *running, int *threads);

#endif
