/* pool/health.h: the prober, and the choice among a shard's servers.
 * Thread:  one of its own, on libpq's non-blocking calls, so that a frozen server never
 *          delays the probes of the others; health_hurry() and health_watch(): any.
 * Memory:  holds references to the backends it watches; keeps one connection to each,
 *          outside the budget.
 * Each probe asks for recovery or not, timeline, position (insert or replay), lag; within
 * probe_timeout. It publishes into struct backend's atomics, then calls `changed` (in its
 * own thread) so that parked sessions look again. */
#ifndef WEIR_POOL_HEALTH_H
#define WEIR_POOL_HEALTH_H

#include "pool/backend.h"

struct health;

enum rc health_create(
    struct health **, void (*changed)(void *arg), void *arg, struct err *) WARN_UNUSED;
void health_destroy(struct health *);
/* The set of backends to watch from now on (references are taken). Old ones no longer in
 * it are let go. */
void health_watch(struct health *, struct backend *const *, int n);
/* Probe this backend now and every few milliseconds until `until_us` (monotonic):
 * somebody waits for its LSN. Cheap when repeated. Any thread. */
void health_hurry(struct health *, struct backend *, uint64_t until_us);

/* ---- choice, pure: see choose.c ---- */
enum replica_policy {
	REPLICA_LEAST_CONNECTIONS,
	REPLICA_ROUND_ROBIN,
	REPLICA_WEIGHTED,
	REPLICA_RANDOM
};

struct read_token { /* what a session must see on a shard; zero: nothing */
	uint64_t lsn;
	uint32_t timeline;
	uint64_t written_us; /* a commit at this monotonic time whose LSN is not known
				yet; 0: none */
};

/* The shard's primary: the one backend that is known not to be in recovery (highest
 * timeline if two claim it, never two writers: with two of the same timeline the
 * configured one, position 0), NULL while there is none. */
struct backend *choose_primary(struct backend *const *, int n);
/* A replica for a read, or NULL (then the primary). Leaves out: breaker open, role
 * unknown or primary, lag above the limit, not yet past the token (a token with
 * written_us counts as passed by a replica whose replayed lsn >= the lsn of a primary's
 * probe that was sent after written_us). `rnd` is a fresh random number; *cursor belongs
 * to the caller (round robin). */
struct backend *choose_replica(struct backend *const *, int n, enum replica_policy,
    const struct read_token *, uint64_t now_us, uint64_t rnd, unsigned *cursor);

#endif
