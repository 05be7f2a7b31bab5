/* tests/sim/sim.h: a world of shards, proxies and clients under one clock of its own and one source of chance, so that a seed gives
 * one run. What is tested is the code of router/txn as it is; all else is a model of what it stands on:
 *
 *   shard.c   PostgreSQL: transactions in flight, prepared ones, verdicts and their unique key (with the insert that waits), what a
 *             crash keeps and loses, failover to a replica that has not seen the last COMMIT PREPARED
 *   net.c     connections: order within one, none between them; delay, loss of either direction, ends that are noticed late
 *   proxy.c   coordinators, recoverers, crashes, freezes
 *   check.c   what must be true at any moment, and at the end */
#ifndef WEIR_TESTS_SIM_SIM_H
#define WEIR_TESTS_SIM_SIM_H

#include <stdint.h>
#include <stdio.h>

#include "router/txn/commit.h"
#include "router/txn/recover.h"
#include "tests/sim/mutant.h"

#define SHARDS_MAX  4
#define PROXIES_MAX 3
#define TXNS_MAX    6
#define ROWS_MAX    64
#define MS          UINT64_C(1000)
#define SECOND      UINT64_C(1000000)

/* ---- the clock and chance: world.c ---- */
enum event_kind {
	EV_TO_SERVER,
	EV_SERVER_END,
	EV_FLUSHED,
	EV_LOCK_TIMEOUT,
	EV_TO_CLIENT,
	EV_CLIENT_END,
	EV_TIMER,
	EV_PERIOD,
	EV_HANDOVER,
	EV_SETTLE,
	EV_CANCEL,
	EV_TXN,
	EV_CRASH_PROXY,
	EV_START_PROXY,
	EV_FREEZE_PROXY,
	EV_CRASH_SHARD,
	EV_START_SHARD
};

struct event {
	uint64_t at, seq;
	enum event_kind kind;
	int a, b;      /* connection, coordinator, proxy or shard; an epoch or number */
	const void *p; /* a text or a reply, in world.arena */
};

/* ---- transactions of clients, as only the simulator knows them ---- */
enum deed_flags {
	FAIL_PREPARE = 1, /* PREPARE or COMMIT of it fails */
	FAIL_SILENT = 2,  /* it had failed before: PREPARE says ROLLBACK */
	READ_ONLY = 4,    /* was set to READ ONLY at last: cannot record a verdict */
	NO_SYNC = 8       /* synchronous_commit = off */
};

struct gtxn {
	char key[TXN_KEY_SIZE]; /* empty: no two-phase commit */
	int n;
	int shard[SHARDS_MAX];
	enum txn_deed deed[SHARDS_MAX];
	int flags[SHARDS_MAX];
	int writers;
	bool best_effort, serializable;
	bool decided;               /* the anchor, or the only writer, has committed */
	bool failed[SHARDS_MAX];    /* this participant has told of a failure */
	bool committed[SHARDS_MAX]; /* by shard */
	bool told;
	enum txn_outcome outcome;
};

/* ---- what has happened, over all seeds: a fault that never comes tests nothing ---- */
enum sim_count {
	COUNT_COMMITTED, /* the first five are as enum txn_outcome */
	COUNT_ROLLED_BACK,
	COUNT_SERVER_ERROR,
	COUNT_FAILED,
	COUNT_UNKNOWN,
	COUNT_DECIDED,
	COUNT_SETTLED_COMMIT,
	COUNT_SETTLED_ABORT,
	COUNT_SETTLED_UNKNOWN,
	COUNT_ABORT_FIRST, /* the anchor's commit came after recovery's 'abort' */
	COUNT_WAITED,      /* an insert waited for another */
	COUNT_FAILED_OVER,
	COUNT_REMOVED_COMMIT,
	COUNT_REMOVED_ABORT,
	COUNT_RECOVERED, /* and the results of recovery after it */
	COUNTS = COUNT_RECOVERED + RECOVER_RESULTS
};
extern uint64_t sim_counts[COUNTS];

/* ---- a reply ---- */
struct row {
	char a[160], b[200];
	double age_s;
};
struct reply {
	const char *tag;
	const char *sqlstate; /* NULL: no error */
	char status;
	int n_rows;
	struct row *rows;
};

/* ---- connections: net.c ---- */
struct conn {
	int proxy, shard;
	int client_epoch; /* of the proxy */
	int shard_epoch;  /* of the shard, when it was accepted */
	bool client_closed, server_closed, server_end_seen;
	uint64_t c2s_at, s2c_at;          /* latest arrival so far */
	int c2s_sent, c2s_got, c2s_limit; /* messages beyond the limit are lost */
	int s2c_sent, s2c_limit;
	/* who waits for the answer on the proxy's side */
	enum waits { WAITS_NOBODY, WAITS_COORD, WAITS_ASK } waits;
	int waits_id, waits_part;
	/* the server's side */
	const char *rest; /* of the text being executed; NULL: idle */
	int op_stage;     /* flushed once `op` is durable */
	enum op { OP_NONE, OP_COMMIT, OP_PREPARE, OP_FINISH, OP_ABORT } op;
	int op_target;
	const char *tag;
	struct reply *rows;
	int waits_for; /* connection whose insert it waits for; -1 */
	int wait_no;
	struct stxn {
		bool open, failed, no_sync;
		int gtxn, part, flags;
		enum txn_deed deed;
		uint64_t vxid;
		char inserted[TXN_KEY_SIZE]; /* verdict 'commit' of its own */
		char participants[200];
	} t;
	char inserting[TXN_KEY_SIZE]; /* 'abort', until flushed */
};

void net_init(void);
int net_open(int proxy, int shard, enum waits, int id, int part);
struct conn *net_conn(int conn);
int net_count(void);
void net_send(int conn, const char *text);
void net_reply(int conn, const struct reply *);
void net_close_client(int conn);
void net_client_died(int proxy); /* all its connections */
void net_server_died(int shard);
void net_event(const struct event *);

/* ---- shards: shard.c ---- */
struct prepared {
	char gid[GID_MAX];
	int gtxn, part;
	uint64_t at;
	int busy; /* connection that is finishing it; -1 */
};
struct verdict {
	char key[TXN_KEY_SIZE];
	enum txn_verdict verdict;
	char participants[200];
	uint64_t at, vxids[64];
	int n_vxids;
	bool flushed; /* false: a crash loses it */
	int gtxn;
};
struct shard {
	bool up;
	int epoch;
	struct txn_identity identity;
	struct prepared prepared[ROWS_MAX];
	int n_prepared;
	struct verdict verdicts[ROWS_MAX];
	int n_verdicts;
	/* the last COMMIT or ROLLBACK PREPARED, which a replica may have missed */
	struct prepared undone;
	bool undone_committed;
	uint64_t undone_at;
	int messages; /* executed, for crashes at each */
};
void shard_init(int shard);
void shard_receive(int conn, const char *text);
void shard_client_gone(int conn);
void shard_flushed(int conn, int stage);
void shard_lock_timeout(int conn, int no);
void shard_crash(int shard);
void shard_start(int shard);

/* ---- proxies: proxy.c ---- */
void proxies_init(void);
void proxy_event(const struct event *);
void proxy_answer(int conn, const struct reply *);
void proxy_lost(int conn);
bool proxies_quiet(void);
void proxy_crash(int proxy);

/* ---- checks: check.c ---- */
void check_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void check_verdict_removed(int shard, const struct verdict *);
void check_locks_given_up(const struct stxn *);
void check_end(void);
bool check_settled(void);

/* ---- world.c ---- */
struct world {
	uint64_t seed, now;
	int n_shards, n_proxies, n_txns;
	struct shard shards[SHARDS_MAX];
	struct gtxn txns[TXNS_MAX];
	struct proxy {
		bool up;
		int epoch;
		uint64_t frozen_until;
		int actions;
	} proxies[PROXIES_MAX];
	uint64_t calm_at; /* no faults from then on */
	uint64_t grace_us, period_us, retention_us, commit_timeout_us, lock_timeout_us;
	/* chances, in parts of a thousand */
	int p_break, p_late, p_disk_full;
	int crash_proxy_at, crash_shard_at; /* the action, the message */
	struct arena arena;
	char failure[500];
	bool trace;
};
extern struct world world;

uint64_t chance(void);
int pick(int n);             /* 0 … n - 1 */
bool maybe(int thousandths); /* never once it is calm */
uint64_t between(uint64_t lo, uint64_t hi);
void at(uint64_t when, enum event_kind, int a, int b, const void *p);
void push_back(struct event, uint64_t when); /* keeps its place in the order */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* True: nothing wrong was found. */
bool world_run(uint64_t seed, bool trace);

#endif
