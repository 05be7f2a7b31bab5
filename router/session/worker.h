/* router/session/worker.h: one of N identical threads: an event loop, sessions, pools, shape cache and prepared statements.
 * Thread:  fields belong to the worker's own thread, but the atomics. Others talk to it by mail. */
#ifndef WEIR_ROUTER_SESSION_WORKER_H
#define WEIR_ROUTER_SESSION_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/loop.h"
#include "base/metric.h"
#include "base/slab.h"
#include "pool/dialer.h"
#include "pool/pool.h"
#include "router/plan/plan.h"
#include "router/session/cluster.h"
#include "router/session/prepared.h"
#include "router/session/varset.h"
#include "wire/msg.h"

struct health;
struct session;
struct proc;

/* A worker's view of a database: what is asked on every statement, without locks. Lives while a session uses it. */
struct dbview {
	struct list node;
	int refs;
	struct cluster *cluster;
	struct schema *schema; /* a reference */
	unsigned schema_gen;
	struct dbstats *stats;
};

/* Who a session is to the servers; shared by the sessions of one user. */
struct identity {
	struct list node;
	int refs;
	char *user;                   /* the client's */
	struct pool_login login;      /* texts owned by the identity */
	const struct user_conf *conf; /* of the cluster's config; NULL */
	struct dbview *db;
};

/* Counters of one database in one worker; read by others without locks (they may be a moment old). */
struct dbstats {
	struct dbstats *next;
	char database[64];
	_Atomic uint64_t server_assignments, xacts, queries, received, sent, xact_us,
	    query_us, wait_us, client_parses, server_parses, binds, errors, refused;
	_Atomic uint64_t plans[8]; /* by enum plan_kind */
	struct histogram *query_hist, *wait_hist;
};

/* By the worker itself, the only writer: no locked instruction. */
static inline void
stat_add(_Atomic uint64_t *stat, uint64_t n)
{
	uint64_t now = atomic_load_explicit(stat, memory_order_relaxed);

	atomic_store_explicit(stat, now + n, memory_order_relaxed);
}

struct worker {
	struct loop *loop;
	int index;
	pthread_t thread;
	struct proc *proc;
	struct pools *pools;
	struct shape_cache *shapes;
	struct preparedset *prepared;
	struct snapshot *snap; /* a reference */
	struct list sessions;  /* all */
	atomic_int n_sessions;
	struct list parked; /* sessions that wait for health, primary or LSN */
	struct list views, identities;
	struct dbstats *_Atomic stats; /* list; only grows */
	struct slab session_slab, exec_slab;
	uint64_t rnd; /* xorshift state, for choices that need no secrecy */
	atomic_bool draining;
	struct mail end;     /* pools end */
	struct mail changed; /* health changed */
	atomic_bool changed_posted;
	atomic_int n_parked;
};

/* What all workers share. */
struct proc {
	struct worker *workers;
	int n_workers;
	struct pools *pools[WORKERS_MAX]; /* the workers' */
	struct dialer *dialer;
	struct health *health;
	_Atomic(struct snapshot *) snap; /* the control thread's */
	unsigned char secret[32];        /* keys of cancel keys */
	int peer_id;                     /* as it was at the start; 0: no peers */
	atomic_int clients;              /* all sessions */
	_Atomic uint64_t next_session;
	atomic_bool shutting_down; /* SIGTERM: 57P01 for the idle */
	atomic_bool stop_now;      /* not even transactions are waited for */
	void *control;             /* proc.c's */
	struct snapshot *previous; /* replaced by the latest reload */
	uint64_t started_us;
	/* The admin console's handler, set by main.c before any worker runs; called for messages of sessions on database `weir`. */
	const struct admin_ops *admin;
	/* A wildcard's database is used for the first time, and has several servers. */
	void (*want_probes)(struct proc *);
	/* Asks the schema loader for a refresh of this database (after DDL). */
	void (*schema_wanted)(struct proc *, struct cluster *);
	void *schema_loader;
	SSL_CTX *_Atomic
	    tls; /* listen.tls; NULL: off. Replaced on reload, never freed while in use (SSL_CTX counts). */
};

struct admin_ops {
	/* One command; answers by appending whole messages to out, without ReadyForQuery, and RC_OK; or RC_AGAIN: it will call
	 * session_admin_done() later, in the session's worker; or RC_ERR. with_columns: RowDescription comes first. */
	enum rc (*command)(struct session *, struct slice sql, bool with_columns,
	    struct msgbuf *out, struct err *);
	/* RowDescription or NoData of a command. */
	void (*describe)(struct session *, struct slice sql, struct msgbuf *out);
};

/* The fields that depend on nothing; the others are set by who makes it. */
void worker_init(struct worker *);
void worker_start(struct worker *);
/* In the worker's thread. */
struct dbview *worker_view(struct worker *, struct slice database);
struct dbview *worker_view_of(struct worker *, struct cluster *);
/* Of the admin console: a database without shards. */
struct dbview *worker_admin_view(struct worker *);
void worker_view_unref(struct dbview *);
const struct schema *dbview_schema(struct dbview *);
struct identity *worker_identity(
    struct worker *, struct dbview *, struct slice user, const struct pool_login *);
void identity_unref(struct identity *);
/* Accepted socket from the accepting thread. */
void worker_give_client(struct worker *, int fd, bool unix_socket);
uint64_t worker_random(struct worker *);

#endif
