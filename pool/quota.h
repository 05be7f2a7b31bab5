/* pool/quota.h: how many connections a database may have over all its servers, and a user
 * over all databases. What backend.connections is for one server, this is for many.
 * Exact:   a connection counts from before it is opened until the server has closed it,
 *          in all workers.
 * Thread:  any. Under a lock; who lends and takes back only reads `lacking`.
 * Memory:  one for each database and user by name, in a table of the process; counted
 *          references. It outlives a reload, so nothing is forgotten by one.
 * Fair:    who found no room queues with its oldest waiter's time; what comes free goes to
 *          the oldest. Nobody holds room while waiting for something else. */
#ifndef WEIR_POOL_QUOTA_H
#define WEIR_POOL_QUOTA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum quota_kind { QUOTA_DATABASE, QUOTA_USER, QUOTA_KINDS };

struct pool;

/* A pool in the queue. All zero at first; belongs to the pool's worker, the queue to the
 * quota's lock. */
struct quota_need {
	struct list node;
	struct quota *quota; /* whose queue it is in; NULL: none's */
	struct pool *pool;
	uint64_t since_us;
	bool told;      /* to look again: room is kept for it */
	bool asked;     /* the other workers were asked to close something for it */
	unsigned round; /* the pool's own: when it last asked */
};

struct quota {
	struct list node; /* of the table */
	int refs;         /* under the table's lock */
	enum quota_kind kind;
	pthread_mutex_t lock;
	struct list queue; /* under lock: oldest first */
	int n_evicting;    /* under lock: connections that are closed for the queue */
	_Alignas(64) atomic_int limit; /* 0: none */
	atomic_int connections;
	atomic_int lacking; /* in the queue */
	char name[];
};

struct quota *quota_get(enum quota_kind, const char *name);
void quota_unref(struct quota *);
void quota_set_limit(struct quota *, int limit);

/* Room for one connection. Else false, and need is in the queue. need may be NULL: then
 * only what nobody waits for. */
bool quota_enter(struct quota *, struct quota_need *, uint64_t since_us);
void quota_leave(struct quota *);
/* Out of the queue, if it is in one. */
void quota_forget(struct quota_need *);
/* May one more connection be closed, for the queue or since there are more than there may
 * be? evicted: it is closed. */
bool quota_claim(struct quota *);
void quota_evicted(struct quota *);
/* When the first in the queue came; 0: nobody. */
uint64_t quota_oldest(struct quota *);

/* More than there may be, after a reload. */
static inline bool
quota_over(const struct quota *q)
{
	int limit = atomic_load_explicit(&q->limit, memory_order_relaxed);

	return limit > 0 &&
	    atomic_load_explicit(&q->connections, memory_order_relaxed) > limit;
}
/* Is a connection to be closed rather than lent again? */
static inline bool
quota_presses(const struct quota *q)
{
	return atomic_load(&q->lacking) > 0 || quota_over(q);
}

#endif
