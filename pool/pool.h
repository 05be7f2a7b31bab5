/* pool/pool.h: a worker's server connections to one backend for one login.
 * Thread:  a pool belongs to one worker; the budget (backend.connections) is process-
 *          wide and never exceeded. A connection counts from before it is opened until
 *          the server has closed it (a polite close waits for that).
 * Memory:  a pool goes when nothing of it is left and it was not asked for in
 *          POOL_UNUSED_US; who keeps a pointer for longer than a turn of the loop holds
 *          it (pool_hold()), or waits in it, or has a server of it.
 * Fair:    waiters are first in, first out within a worker; a release serves its own
 *          worker's oldest unless another worker's oldest (of any pool on that backend)
 *          has waited POOL_FAIR_US longer: then the connection moves there (same login)
 *          or gives its place up (to another login's waiter after POOL_EVICT_US, since
 *          that costs a login). Nothing shared is written while backend.waiting is 0,
 *          but a worker's own counters in its own cache line.
 * Limits:  at the limit an idle connection of another login on the same backend is
 *          evicted (own worker first, then by mail to the others); reserve_pool_size
 *          more for who has waited for reserve_pool_timeout. A waiter times out after
 *          query_wait_timeout with 53300, and the reason why it waited as hint.
 * Failure: when a connect fails, waiters get its error at once if no connection of the
 *          pool is alive or being opened in any worker; else they keep waiting. The
 *          first failure is followed by another attempt at once, then there is a pause
 *          that doubles from POOL_RETRY_US to server_login_retry. What is the login's
 *          own fault (28…, 3D000, 42501) fails all that wait in the pool, with the
 *          server's error, and who comes within POOL_RETRY_US; it says nothing about
 *          the backend. */
#ifndef WEIR_POOL_POOL_H
#define WEIR_POOL_POOL_H

#include "base/slab.h"
#include "pool/backend.h"
#include "pool/server.h"

#define POOL_FAIR_US   2000
#define POOL_EVICT_US  10000
#define POOL_RETRY_US  50000
#define POOL_UNUSED_US 60000000

/* Who logs in, and with what. Texts are copied by the pool. */
struct pool_login {
	const char *user;
	const char *database; /* on the server; NULL or "": the target's */
	/* credential: the target's own password if it has one, else one of these */
	const char *password; /* plain, or NULL */
	const char *md5;      /* "md5…" hash, or NULL */
	bool has_scram_keys;
	unsigned char client_key[32], server_key[32];
	/* start-up parameters that cannot be replayed, NULL-ended pairs; part of the
	 * pool's identity (replication=…). May be NULL. */
	const char *const *startup;
	bool replication; /* a connection is never lent twice */
	/* in the whole process; 0: no limit but the backend's */
	int max_connections;      /* of this login to one backend */
	int max_user_connections; /* of this user to all backends */
};

struct pools; /* all pools of one worker */
struct pool;

enum waiter_state { WAITER_OUT, WAITER_QUEUED, WAITER_GRANTED };

/* All zero, then granted and failed set, before its first use. */
struct waiter {
	struct list node;
	enum waiter_state state;
	struct server *server; /* GRANTED: to be handed over at the end of this turn */
	struct pool *pool;
	uint64_t since_us;
	uint64_t
	    patience_us; /* 0: the backend's query_wait_timeout; UINT64_MAX: no end */
	struct timer timeout;
	/* Exactly one of these is called, never from inside a call into the pool. The
	 * server is ACTIVE and owned by the caller. */
	void (*granted)(struct waiter *, struct server *);
	void (*failed)(struct waiter *, const struct err *);
};

struct dialer; /* pool/dialer.h */

/* worker_index in 0 … n_workers-1; peers are found through the array given to
 * pools_set_peers() before any worker runs. */
struct pools *pools_create(struct loop *, int worker_index, struct dialer *);
void pools_set_peers(struct pools **all, int n);
/* The end, in this order: pools_end() in each worker's thread, which fails waiters
 * (57P01), loses what is lent and closes all without a word; until all have ended, their
 * loops run on; loops are stopped; dialer_destroy(); pools_destroy(); loop_destroy().
 * pools_ended(): any thread. Without pools_end() open connections are leaked, for a
 * process that exits. */
void pools_end(struct pools *);
bool pools_ended(struct pools *);
void pools_destroy(struct pools *);
/* The session layer's hook: called when a server's memory goes, to free server->link. And
 * when one moves to another worker: the link must then be free of worker-local things
 * (NULL is fine). */
void pools_set_link_free(struct pools *, void (*link_free)(struct server *));
/* Called when a ParameterStatus came for a server at rest (server->params has it
 * already). */
void pools_set_param_changed(struct pools *,
    void (*changed)(struct server *, const char *name, const char *value));

/* The pool for this backend and login; made at first use, removed when long unused.
 * Refreshes the stored credential. */
struct pool *pools_get(struct pools *, struct backend *, const struct pool_login *);
void pool_hold(struct pool *);
void pool_unhold(struct pool *);
struct backend *pool_backend(const struct pool *);
const char *pool_user(const struct pool *);

/* RC_OK: *out is ACTIVE and yours: set owner and owner_ops, reading is on. RC_AGAIN:
 * waiter is queued (waiter->granted, failed set before). RC_ERR: nothing queued (disabled
 * database: 3D000; breaker open and no connection alive: 08001 with the backend's last
 * error). */
enum rc pool_acquire(
    struct pool *, struct waiter *, struct server **out, struct err *) WARN_UNUSED;
/* Harmless when it does not wait. */
void pool_cancel_wait(struct waiter *);
/* Why it waits, for SHOW CLIENTS and the time-out's message: "pool_size of shop/s1/0 (20)
 * reached, 20 active", "connecting", "paused", … */
const char *pool_wait_reason(const struct waiter *, char *buf, size_t size);

/* Gives it back. The protocol must be at ReadyForQuery 'I' with nothing outstanding, else
 * use pool_discard(). */
void pool_release(struct server *);
/* Closes it (Terminate is sent when polite). */
void pool_discard(struct server *, bool polite);
/* Runs the reset query first (session mode's end, server_reset_query_always), then
 * releases. */
void pool_reset_and_release(struct server *, const char *sql);

/* Cancels what runs on it: a dialer thread opens the cancel connection. The server is not
 * reused before that is closed. */
void pool_cancel_query(struct server *);

/* ---- control (each worker is told by mail by the admin layer; these act on one worker)
 * ---- */
void pools_reconnect(struct pools *,
    const char *database); /* NULL: all; closes idle ones, marks the others */
void pools_kill(struct pools *,
    const char
	*database); /* lent ones are lost with ECONNABORTED, waiters fail with 57P01 */
void pools_resume(struct pools *, const char *database); /* after PAUSE: serve waiters */
/* True when no server of it is ACTIVE in this worker (PAUSE, WAIT_CLOSE). */
bool pools_quiet(struct pools *, const char *database);
void pools_close_idle(struct pools *); /* shutdown */

/* ---- for SHOW: visits in this worker's thread ---- */
void pools_each(struct pools *, void (*fn)(struct pool *, void *arg), void *arg);
void pool_each_server(struct pool *, void (*fn)(struct server *, void *arg), void *arg);
struct pool_stats {
	int active, idle, resetting, connecting, waiting, cancelling;
	int held; /* at rest but for a cancel request under way */
	uint64_t max_wait_us;
};
void pool_stats(const struct pool *, struct pool_stats *);

#endif
