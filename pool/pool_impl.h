/* pool/pool_impl.h: what the files of pool/ share.
 *
 *   lane    one login to one backend, in the whole process: what workers must know of
 *           each other's pools
 *   site    one backend as one worker sees it; it decides who gets what (serve.c)
 *   pool    one login to one backend in one worker
 *   place   the right to one connection, counted in backend.connections. A connection
 *           has one; one that was given up goes, counted all the time, to the worker
 *           whose waiter has lacked one for longest. So newcomers never take it before
 *           those who wait, and the count never passes the limit.
 *
 * No wake-up is lost: who waits says so (backend.waiting, lane and worker entries),
 * then looks again for what is free; who frees something shows that (idle counters,
 * backend.connections), then looks whether anybody waits. All of it is sequentially
 * consistent, so one of the two sees the other. Beside that a timer looks every
 * JANITOR_MS. */
#ifndef WEIR_POOL_POOL_IMPL_H
#define WEIR_POOL_POOL_IMPL_H

#include <assert.h>

#include "pool/dialer.h"
#include "pool/pool.h"
#include "pool/quota.h"
#include "wire/login.h"

#define JANITOR_MS     333
#define DIALS_PER_SITE 4
#define CLOSE_WAIT_MS  1000 /* for the server's end after Terminate */
#define CHECK_MS       2000
#define TEST_BYTES_MAX \
	65536 /* longest answer to a reset query that is looked at as a whole */

struct lane {
	struct list node; /* backend->lanes */
	struct backend *backend;
	int refs; /* under backend->lock */
	uint64_t hash;
	char *user, *database;
	char **startup; /* pairs, NULL-ended; NULL: none */
	bool replication;
	int n_workers;
	struct quota *quotas[QUOTA_KINDS]; /* references */
	atomic_int connections;            /* open or being opened */
	struct {
		_Alignas(64) _Atomic uint64_t oldest_wait_us; /* 0: nobody waits */
		atomic_int waiting; /* but for those that an ask was sent for */
		atomic_int idle;
		atomic_int coming; /* connections given to it unasked, on their way */
	} worker[];
};

struct site {
	struct list node; /* pools->sites */
	struct pools *pools;
	struct backend *backend; /* a reference */
	struct list members;     /* all pools, the one made last first */
	struct list hungry;      /* those with waiters */
	struct list idle;    /* resting servers of all pools, the one used last first */
	struct list granted; /* waiters whose server is decided on */
	struct deferred serve;
	struct timer wake; /* end of a pause after a failure, reserve */
	int n_active, n_idle, n_waiting, n_dialing;
	int n_places;           /* at hand, without a connection */
	int n_expected;         /* places that evictions will bring */
	unsigned moves_of_name; /* of the backend's, as obeyed */
	int tokens;             /* serve: expected places not spoken for yet */
	unsigned round;         /* serve: of provide() */
	uint64_t asked_places;  /* workers that were asked to evict since somebody came to
				  wait */
	/* failed connects */
	int failures;
	uint64_t failed_us, retry_us;
	struct err last_error;
};

struct pool {
	struct list node;   /* pools->all */
	struct list member; /* site->members */
	struct list hungry; /* site->hungry */
	struct pool *chain; /* in the table */
	struct pools *pools;
	struct site *site;
	struct backend *backend;
	struct lane *lane;
	/* credential */
	char *password, *md5;
	bool has_keys;
	struct scram_keys keys;
	struct scram_known known;
	struct err *refused; /* the server's answer to this credential, until then; NULL:
				none yet */
	uint64_t refused_until_us;
	int max_connections;
	struct quota_need need; /* of room in one of its quotas */

	struct list idle, active, testing, closing, waiters;
	int n_idle, n_active, n_testing, n_checking, n_dialing, n_waiting, n_asked;
	int n_servers;  /* whose memory lives */
	uint64_t asked; /* workers that were asked since somebody came to wait */
	unsigned round; /* provide() can do no more for it in this round */
	bool lacks_place;
	int promised;
	unsigned epoch; /* RECONNECT makes connections of older ones unwanted */
	int holds;
	uint64_t used_us;
};

struct pools {
	struct loop *loop;
	int index, n_peers;
	struct pools **peers, *self;
	struct dialer *dialer;
	struct slab servers;
	struct list all, sites;
	struct pool **table;
	size_t table_size, n_pools;
	struct timer janitor;
	void (*link_free)(struct server *);
	void (*param_changed)(struct server *, const char *name, const char *value);
	struct list jobs; /* dials and cancels under way */
	uint64_t random;
	bool ending;          /* pools_end(): nothing is begun any more */
	atomic_bool ended;    /* and nothing was under way when it was last looked at */
	atomic_int n_parcels; /* on their way to this worker */
	int n_mail;           /* asks of ours that were not answered yet */
};

/* ---- lane.c ---- */
struct lane *lane_get(struct backend *, const struct pool_login *, uint64_t hash);
void lane_ref(struct lane *);
void lane_unref(struct lane *);
uint64_t login_hash(const struct backend *, const struct pool_login *);
bool lane_is(const struct lane *, const struct backend *, const struct pool_login *,
    uint64_t hash);
/* One more connection of this login; max 0: no limit. In all its quotas, too: else false,
 * and *need (may be NULL) is in the queue of the one that has no room. */
bool lane_enter(struct lane *, int max, struct quota_need *need, uint64_t since_us);
void lane_leave(struct lane *);
/* Does anybody lack room in one of its quotas, or are there too many? */
static inline bool
lane_pressed(const struct lane *lane)
{
	return quota_presses(lane->quotas[QUOTA_DATABASE]) ||
	    quota_presses(lane->quotas[QUOTA_USER]);
}
/* A worker where somebody waits for this login; -1: none. */
int lane_waiting(const struct lane *);

/* ---- budget.c ---- */
bool budget_take(struct backend *, int limit);
/* The worker, but for `skip`, whose waiter has lacked a place for longest and that none
 * is on its way to; -1: none. */
int budget_neediest(const struct backend *, int n_workers, int skip, uint64_t *since_us);
/* A place came free in this worker. heir: who gets it; -1: the neediest, if any. */
void place_free(struct site *, int heir);
/* The same, when a connection of this pool (which left its lane) or an attempt at one had
 * it. */
void place_left(struct pool *, int heir);
/* Most connections that may be opened now for who has waited for so long. */
int budget_limit(const struct backend *, uint64_t waited_us);
static inline int
budget_hard_limit(const struct backend *b)
{
	return atomic_load_explicit(&b->limits.pool_size, memory_order_relaxed) +
	    atomic_load_explicit(&b->limits.reserve_pool_size, memory_order_relaxed);
}

/* ---- pools.c ---- */
struct site *site_get(struct pools *, struct backend *);
struct pool *pools_of_lane(struct pools *, struct lane *);
uint64_t pools_random(struct pools *);
static inline uint64_t
pools_now(const struct pools *ps)
{
	return loop_now_us(ps->loop);
}

/* ---- server.c ---- */
struct server *server_create(struct pool *, int fd, SSL *ssl);
/* From what state it was in to IDLE; serves who waits. */
void server_rest(struct server *);
/* From IDLE, out of the lists. */
void server_lend(struct server *);
void server_close(struct server *, bool polite);
/* Lets it go to another worker; `closed` follows. */
void server_begin_move(struct server *, int to, struct ask *);
/* From IDLE or ACTIVE: sends sql (NULL: an empty query) and rests when that has worked.
 */
void server_test(struct server *, enum server_test, const char *sql);
bool server_needs_check(const struct server *, uint64_t now_us);
bool server_too_old(const struct server *, uint64_t now_us);
void server_params_free(struct server *);
void server_cancel_done(struct server *);
/* From ACTIVE: its owner loses it. */
void server_lose(struct server *, int error);
extern const struct stream_ops server_stream_ops;

/* ---- waiters.c ---- */
enum rc waiter_queue(struct pool *, struct waiter *, struct err *) WARN_UNUSED;
void waiter_grant(struct waiter *, struct server *);
/* Calls `granted` of all whose server is decided on. */
void waiters_deliver(struct site *);
void waiters_fail(struct pool *, const struct err *);
void pool_publish_waiting(struct pool *);

/* ---- serve.c ---- */
/* Closes the connection of this worker that has rested longest, of those that count in
 * the quota, if somebody lacks room in it. */
void evict_for_quota(struct pools *, struct site *preferred, struct quota *);
void site_serve(struct deferred *);
void site_wake(struct timer *);
static inline void
site_want_serve(struct site *s)
{
	loop_defer(s->pools->loop, &s->serve);
}
bool site_may_dial(const struct site *, uint64_t now_us);

/* ---- connect.c ---- */
/* The caller has a place for it and the lane was entered. */
void dial_start(struct pool *);
/* Looks the server's name up anew, once for all workers, when dns_max_ttl is over; has
 * connections closed that go elsewhere than the name does now. */
void site_follow_name(struct site *, uint64_t now_us);
/* Frees those whose end was not told: no loop and no dialer is there any more. */
void jobs_forget(struct pools *);

/* ---- moves.c ---- */
/* The server's stream is detached. */
void move_send(struct server *);
void move_place(struct site *, int to, struct ask *);
void move_nothing(struct site *, int to);
void ask_send(struct pool *, int whom, bool evict);
/* Its worker looks again. Any thread. */
void wake_pool(struct pool *);
/* All other workers look for a resting connection to close for who lacks room in it. */
void ask_for_room(struct pools *, struct quota *);

static inline struct server *
server_of_node(struct list *n)
{
	return LIST_ENTRY(n, struct server, node);
}
static inline struct waiter *
first_waiter(const struct pool *p)
{
	return list_empty(&p->waiters) ? NULL
				       : LIST_ENTRY(p->waiters.next, struct waiter, node);
}

#endif
