/* router/recovery/site.h: connections to the primaries of one database's shards, for recovery: libpq, with time limits.
 * Thread:  one; it blocks, for some seconds at most where a server does not answer, and then not again for a while.
 * Login:   service_user's (service_open()); where a statement must run as another role, SET ROLE, else that role's own login
 *          if auth.users_file has its password.
 * Memory:  holds its cluster; connections are kept for the next time. */
#ifndef WEIR_ROUTER_RECOVERY_SITE_H
#define WEIR_ROUTER_RECOVERY_SITE_H

#include "router/session/service.h"
#include "router/txn/recover.h"
#include "router/txn/registry.h"

struct site_shard {
	const char *name;
	PGconn *conn;            /* NULL: none now */
	struct backend *backend; /* whose connection it is; borrowed from the cluster */
	uint64_t retry_at_us;    /* it was not reached; not tried again before */
	struct txn_identity identity;
	enum txn_shard_state state;
	char error[400]; /* why it is not ready; "" */
};

struct site {
	struct cluster *cluster;
	struct site_shard *shards;
	int n;
};

struct site *site_create(struct cluster *); /* takes a reference of its own */
void site_destroy(struct site *);
void site_disconnect(struct site *);

/* One statement, outside a transaction. `owner` NULL: as service_user. The result is the caller's to PQclear(); NULL: not reached, or lost. */
PGresult *site_run(struct site *, int shard, const char *owner, const char *sql);
/* The same as what the step functions want; value and sqlstate live in the result. */
struct recover_reply site_reply(const PGresult *);
/* Asks every shard who it is, and tells the registry. Called again at each pass: a promoted standby is the same shard, a server that
 * was put in its place is not. */
void site_learn(struct site *);
/* The shard with that identity; -1: none is known to have it. Two: -1 as well, for a copy is not the anchor. */
int site_shard_of(const struct site *, const struct txn_identity *);
/* Some shard has not said who it is. */
bool site_incomplete(const struct site *);
uint64_t site_now_us(void); /* CLOCK_MONOTONIC */

#endif
