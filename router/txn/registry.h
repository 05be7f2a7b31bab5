/* router/txn/registry.h: what sessions and the recovery service know of each other: transactions that are being committed
 * over shards, shards' identities, and requests to recovery.
 * Thread:  any; one mutex, taken only by transactions that are prepared, never by others.
 * Memory:  the registry copies what it keeps; entries are their owners', unregistered before they are freed.
 * The service (router/recovery) runs in its own thread. It calls a request's `done` there: pass it on by loop_post(). */
#ifndef WEIR_ROUTER_TXN_REGISTRY_H
#define WEIR_ROUTER_TXN_REGISTRY_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/list.h"
#include "router/txn/commit.h"

/* ---- transactions under way, for SHOW TRANSACTIONS: embed one beside struct txn ---- */
struct txn_entry {
	struct list node;
	char key[TXN_KEY_SIZE];
	const char *database, *user; /* outlive the entry */
	const char *anchor;          /* shard */
	uint64_t client_id;
	uint64_t since_us; /* wall clock */
	uint64_t boot_us;  /* set by txn_register(): CLOCK_BOOTTIME */
	int participants;
	_Atomic int state; /* enum txn_state; the owner stores it after each step */
};

/* After txn_begin(), before its first action is carried out: the age of a commit counts from here (recover_believe()). */
void txn_register(struct txn_entry *);
void txn_unregister(struct txn_entry *);
/* Calls fn for each, under the lock. */
void txn_each(void (*fn)(const struct txn_entry *, void *arg), void *arg);
/* Time since it was registered, of which the process may have been frozen; UINT64_MAX: it is not. */
uint64_t txn_age_us(const char *key);
/* Is this process itself about to decide that transaction? Its own recovery leaves it alone then. */
bool txn_is_active(const char *key);

/* ---- what is known of shards ---- */
enum txn_shard_state {
	TXN_SHARD_NOT_YET, /* not asked yet, or it could not be reached so far */
	TXN_SHARD_READY,
	TXN_SHARD_NO_CATALOG, /* schema weir is not there, or may not be read */
	TXN_SHARD_NO_PREPARE  /* max_prepared_transactions = 0 */
};
/* Names are the configuration's. */
void txn_shard_learn(const char *database, const char *shard, enum txn_shard_state,
    const struct txn_identity *);
enum txn_shard_state txn_shard_state(
    const char *database, const char *shard, struct txn_identity *);
/* Before a COMMIT for which txn_needs_two_phase() is true (or before a second shard is written): fills the parts' identities
 * in. RC_ERR: 55000 with a hint; refuse, and roll back. */
enum rc txn_ready(
    const char *database, struct txn_part *, int n, struct err *) WARN_UNUSED;

/* ---- requests to recovery ---- */
enum txn_request_kind {
	TXN_REQUEST_SETTLE, /* which verdict has `key`? Asked at once; makes it 'abort' if nothing stands there yet */
	TXN_REQUEST_HURRY /* look at this database's prepared transactions soon, `key` at once; `done` may be NULL */
};

struct txn_request {
	struct list node;
	enum txn_request_kind kind;
	char key[TXN_KEY_SIZE];
	char database[64]; /* the configuration's name (cluster->name) */
	/* In the service's thread; the request is the caller's again. Called exactly once, unless taken back. */
	void (*done)(struct txn_request *);
	enum txn_verdict verdict;
	bool taken;    /* the service has it */
	bool unwanted; /* and nobody waits for the answer any more */
};

/* The memory stays valid until `done` was called or txn_request_forget() said true. HURRY without `done` is copied.
 * Where no service runs, `done` is called at once, with UNKNOWN. */
void txn_request(struct txn_request *);
/* True: taken back, `done` will not be called. False: it will be, within seconds. */
bool txn_request_forget(struct txn_request *);

/* ---- the service's side ---- */
/* Called (in any thread, under the lock) when a request has come. NULL: no service; requests are answered UNKNOWN. */
void txn_service_set(void (*wake)(void *arg), void *arg);
/* The next request, or NULL; it is the service's until txn_request_answer(). */
struct txn_request *txn_request_take(void);
bool txn_request_wanted(const struct txn_request *);
void txn_request_answer(struct txn_request *, enum txn_verdict);

#endif
