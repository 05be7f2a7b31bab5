/* router/session/session.h: one client connection, from its first byte to its last.
 * Thread:  its worker's, from birth to death.
 * Memory:  the session itself is all that an idle client costs; what a running statement or transaction needs hangs on `x` and goes away
 *          with it. Heap pieces are owned by the session unless said otherwise.
 * States:  session_state.def. A session that is ACTIVE works through its client's messages in order; `x->blocked` says what it waits for
 *          when it cannot go on; input stays in the kernel meanwhile.
 * Failure: errors of BLAST_STMT and BLAST_TXN are reported and the session goes on as PostgreSQL would; BLAST_SESSION ends it. */
#ifndef WEIR_ROUTER_SESSION_SESSION_H
#define WEIR_ROUTER_SESSION_SESSION_H

#include "pool/health.h"
#include "router/session/branch.h"
#include "router/session/link.h"
#include "router/session/temps.h"
#include "router/session/txlog.h"
#include "router/session/worker.h"
#include "wire/msg.h"

enum session_state {
	SESSION_STARTUP, /* until the start-up packet is read; TLS is negotiated here */
	SESSION_AUTH,    /* password exchange */
	SESSION_LOGIN,   /* known, but what servers report is not yet */
	SESSION_IDLE,    /* between messages, no server, no transaction */
	SESSION_ACTIVE,  /* a statement or transaction is under way */
	SESSION_RAW,     /* replication: bytes go one to one */
	SESSION_CLOSING, /* the last bytes leave */
	SESSION_STATES
};

enum block {
	BLOCK_NOT,
	BLOCK_REPLIES, /* answers of the last cycle are still to come */
	BLOCK_ANSWERS, /* answers to what stands before this message in its pipeline */
	BLOCK_LOOKUP,  /* a directory key is being looked up */
	BLOCK_PRIMARY, /* no primary is known */
	BLOCK_TOKEN,   /* read your writes: no replica is there yet */
	BLOCK_SERVER,  /* the pool's queue */
	BLOCK_REPLAY,  /* settings or BEGIN are applied on the new server */
	BLOCK_OUTPUT,  /* the server's or client's output queue is full */
	BLOCK_ADMIN,   /* the admin console works on it */
	BLOCK_LSN,     /* SHOW weir.lsn */
	BLOCK_SCATTER, /* a statement over several shards runs (scatter.h) */
	BLOCK_ENDING,  /* COMMIT or ROLLBACK on several servers */
	BLOCK_SCHEMA   /* DDL went through; the new schema is being read */
};
const char *block_name(enum block);

enum target { TARGET_AUTO, TARGET_PRIMARY, TARGET_REPLICA };

#define OUTPUT_HIGH \
	(128 * 1024) /* bytes queued to one side above which the other is not read */
#define OUTPUT_LOW (32 * 1024)

struct lookup;

struct tokens { /* read-your-writes, per shard */
	int n, cap;
	struct shard_token {
		int shard;
		struct read_token token;
	} v[];
};

/* A message of the extended protocol that waits until its server is known. */
struct pending {
	char type; /* P, D (statement), C (statement), c (a portal that is not there) */
	struct prepared *prepared; /* P, D: a reference */
	struct prepared
	    *before; /* P, C: what the name stood for until then; a reference */
	char *name;  /* the client's; heap */
};

struct portal {
	struct list node;
	struct prepared *prepared; /* a reference */
	bool local;                /* Weir answers Execute itself */
	bool done;                 /* local: was executed */
	bool limited;              /* scatter: by an Execute that limits its rows */
	int shard;                 /* not local: where it is */
	struct scatter *scatter;   /* local: it needs several shards */
	struct slice name;         /* in the same allocation */
};

struct cursor { /* DECLARE: where it is */
	struct cursor *next;
	int shard;
	char name[];
};

struct savepoint {
	struct savepoint *next;
	struct varset *vars;
	struct temps *temps;
	char *local_path; /* heap */
	char name[];
};

struct chunk {
	struct chunk *next;
	struct buf *buf;
	uint32_t off, len;
};

/* What a session needs only while it does something. */
struct exec {
	struct session *session;
	struct arena
	    arena; /* until the end of the cycle (Sync, or the answer to Query) */
	struct chunk first_chunk;
	struct chunk *chunk,
	    *chunk_last; /* input not worked through yet; the reader stands in the first */
	struct chunk *kept,
	    *kept_last; /* input of this cycle that was worked through, while it may run again (redo.c) */
	uint32_t held; /* bytes in the chunks */
	bool fed;      /* the reader has been fed `chunk` */
	enum block blocked;
	bool running; /* session_run() is on the stack */
	struct waiter waiter;
	struct timer wait_timer;          /* BLOCK_TOKEN, BLOCK_PRIMARY, BLOCK_LSN */
	struct list parked;               /* worker's list */
	struct read_msg msg;              /* the message being worked on, while blocked */
	void (*resume)(struct session *); /* goes on with it once the server is there */
	struct plan plan;
	struct plan_param *params; /* of the Bind being worked on; in arena */
	int n_params;
	struct prepared
	    *prepared; /* of the Bind being worked on; borrowed from names or unnamed */
	struct prepared *
	    rollback; /* a reference: what runs when COMMIT ends a transaction that Weir refused */

	/* ---- the current cycle ---- */
	struct shape *shape; /* of the Query under way; a reference */
	struct prepared *
	    sql_prepared; /* what that Query's EXECUTE runs or its PREPARE makes; a reference */
	struct slice
	    plan_text; /* what is planned, where it may be carried out on several shards */
	struct scatter *planned; /* that plan */
	const char
	    *tag; /* of a statement that Weir answers once the server's settings fit */
	struct err *
	    lost; /* the server of an idle transaction is gone: for its next statement; heap */
	bool fatal_forwarded;
	char *
	    sql_text; /* that Query as it goes to the server, where names were rewritten; in arena */
	bool failed;   /* an error was reported in this cycle */
	bool discard;  /* extended: drop messages up to Sync */
	bool refused;  /* the error was Weir's own, and the server does not know of it */
	bool unsynced; /* messages of this cycle were sent to the server, no Sync yet */
	bool
	    sent_to_client; /* something of the answer has left: the cycle cannot run again */
	bool in_cycle;      /* a message of it has begun */
	bool redoable;      /* all of its input is still held */
	bool redoing;       /* its answer is dropped: it runs once more */
	bool primary_only; /* that run is not for a replica */
	uint8_t runs, n_kept;
	uint32_t cycle_at; /* of its first byte, in the first buffer that holds it */
	struct pending *pending;
	int n_pending, cap_pending;
	struct list portals;

	/* ---- the server and the transaction ---- */
	int shard;               /* of session->server; SHARD_NONE without one */
	struct backend *backend; /* of session->server; borrowed */
	bool on_replica;
	char *begin;      /* the BEGIN of this transaction, answered by Weir; heap */
	bool begun;       /* it has been sent to the current server */
	struct txlog log; /* SET, SAVEPOINT and their like since BEGIN */
	int log_done;     /* of it, what the current server has run */
	bool
	    firm; /* something else ran on the current server: it cannot be left without a trace */
	struct list branches; /* the transaction's other servers (branch.h) */
	int pin_shard;        /* where the server is that the session keeps */
	bool ending_commits;
	void (*ending_then)(struct session *);
	struct scatter *scatter; /* the statement over several shards that runs */
	struct ending
	    *ending; /* ending.c: the transaction's end on several servers; heap */
	bool
	    doomed; /* a server of the transaction is gone: it can only be rolled back, and not to a savepoint */
	bool tx_read_only;
	bool tx_failed; /* failed by Weir's own error: the server's part is still 'T' */
	bool used;      /* statements of the client ran on the current server */
	bool wrote,
	    locked; /* on the current server; locked: rows, by a reading statement */
	bool
	    unpreparable; /* the current server's part cannot be prepared: temporary tables, NOTIFY … */
	int wrote_nth,
	    n_wrote; /* the current server was the n-th that the transaction wrote on; how many there are */
	struct savepoint *savepoints;
	struct cursor *cursors;         /* of the transaction */
	struct temps *temps, *tx_temps; /* temporary tables now, and when it began */
	uint8_t tx_pins;                /* pins when it began */
	char *local_path;               /* SET LOCAL search_path (path.c); heap */
	bool
	    names_change; /* a statement is under way behind which names may mean something else */
	bool
	    set_unseen; /* set_config() with a value that is not known: other servers would lack it */
	/* what the server reported when the transaction began; NULL: no change since */
	struct varset *params_before;
	bool all_reset;      /* RESET ALL or DISCARD ALL ran since */
	uint8_t unpin;       /* pins that end when this transaction commits */
	struct msgbuf out;   /* scratch for building messages */
	uint64_t started_us; /* of the query; 0: none is running */
	uint64_t tx_started_us;
	uint64_t waited_since_us;
	int bad_server_tries;
	uint64_t
	    trouble_since_us; /* its server could not be reached since; 0: no trouble */
	bool cancelled;       /* query_timeout has sent a cancel */
	bool gave_up; /* the wait for a replica, a position or a schema timed out */
	bool schema_changed;
	int replays;        /* checked answers still to come (BLOCK_REPLAY) */
	char *replay_error; /* body of an ErrorResponse to one of them; heap */
	size_t replay_error_len;
	void (*move_resume)(
	    struct session *); /* what goes on once the transaction has left its shard */
	void (*settle_resume)(
	    struct session *); /* … once the current server has answered all */
	char *last_words; /* body of an ErrorResponse that nothing had asked for; heap */
	size_t last_words_len;
	struct plan ddl_plan;
	int ddl_shard; /* DDL over shards: the one it runs on now; SHARD_NONE: no such thing */
	char big;      /* type of the message that passes in pieces (big.c); 0: none */
	bool big_ready, big_ended;
	uint32_t big_len;
	struct msgbuf head; /* its first bytes, until its names are known */
	struct lookup
	    *lookup; /* the one under way; told to forget us when the session goes */
	char arena_room[512]; /* the arena's first block */
};

struct session {
	struct stream stream;
	struct reader reader;
	struct worker *w;
	struct dbview *db;
	struct identity *identity;
	struct exec *x; /* NULL while idle */
	struct server *server;
	struct varset *vars; /* settings as the client wants them now (SQL by name) */
	struct varset *
	    tx_vars; /* as they were when the transaction began: what a rollback goes back to */
	struct varset *start_vars; /* from the start-up packet: what RESET goes back to */
	struct varset *params;    /* values that the client was told by ParameterStatus */
	struct names *names;      /* prepared statements */
	struct prepared *unnamed; /* a reference */
	struct tokens *tokens;
	void *login; /* STARTUP, AUTH, LOGIN: struct client_login (login.h); then NULL */
	struct list node;   /* worker's sessions */
	struct timer timer; /* login, idle, idle in transaction, query */
	uint64_t id, connected_us, request_us;
	uint64_t txns;
	uint8_t state, tx; /* tx: I, T, E as the client sees it */
	uint8_t protocol_minor;
	uint8_t target;
	uint8_t pins;           /* enum pin_reason */
	uint8_t moves[4];       /* the latest states, for the log of an illegal move */
	int16_t shard_setting;  /* weir.shard; SHARD_NONE */
	bool admin, stats_only; /* on the admin console */
	bool unix_socket;
	bool half_closed;        /* the client sends no more, but may still read */
	bool kill;               /* to be closed at the next chance */
	bool terminate_after_tx; /* shutdown: 57P01 once idle */
	bool counted;            /* in the cluster's clients */
	bool ryw_off;
	bool close_wanted; /* the transaction's end is under way; then it is closed */
};

/* ---- session.c ---- */
struct session *session_create(struct worker *, int fd, bool unix_socket);
void session_set_state(struct session *, enum session_state);
struct exec *session_exec(struct session *); /* makes it when it is not there */
void session_rest(
    struct session *); /* nothing is under way: gives x back, arms the idle timer */
void session_close(struct session *,
    unsigned linger_ms); /* frees it in time; releases or discards the server */
/* FATAL to the client, then close. */
void session_fatal(struct session *, const struct err *);
const char *session_user(const struct session *);
const char *session_database(const struct session *);
void session_log(struct session *, int level, const char *message, const struct err *);
void session_cancel_key(const struct session *, unsigned char *key, size_t len);
uint32_t session_pid(const struct session *);
struct session *worker_find_session(struct worker *, uint64_t id);
void session_start_timer(struct session *);

void session_lost_server(struct session *, int error);
/* One of x->branches is LOST, while nothing ran on it. */
void session_branch_lost(struct session *, struct branch *);
void session_drained(struct session *);
void session_keep_last_words(struct session *, const struct read_msg *);
void session_kill(
    struct session *, const char *sqlstate, const char *why); /* admin, shutdown */

/* ---- startup.c, auth.c ---- */
void session_startup_bytes(struct session *, struct buf *, uint32_t off, uint32_t len);
void session_login_begin(struct session *);
void session_login_end(struct session *);     /* frees what the login needed */
void session_login_changed(struct session *); /* looked-up things arrived */

/* ---- client.c: the client's messages ---- */
void session_bytes(struct session *, struct buf *, uint32_t off, uint32_t len);
void session_run(struct session *);
bool session_schema_behind(const struct session *);
void chunk_free(struct exec *, struct chunk *); /* gives its buffer back */
void session_block(struct session *, enum block);
/* The message is looked at again when all before it is answered. False: it is. */
bool session_await_answers(struct session *);
/* The reason is over: runs x->resume if there is one, then goes on with the messages. */
void session_unblock(struct session *);
/* Answers in order, behind what the server still owes. */
void session_reply(struct session *, struct msgbuf *);
/* Reports an error of Weir's own, in the manner of the protocol in use, and does to the transaction what PostgreSQL would. */
void session_error(struct session *, const struct err *);
/* Why a statement in a failed transaction is refused: a lost server is said once, then it is aborted like any other. */
enum rc session_refuse_failed(struct session *, struct err *) WARN_UNUSED;
void session_cycle_done(struct session *); /* after ReadyForQuery */

/* ---- local.c ---- */
bool session_statement_mode(const struct session *);
enum rc session_refuse_block(
    struct err *); /* RC_ERR: no transactions of several statements */

/* ---- simple.c, extended.c ---- */
void simple_query(struct session *);
void extended_message(struct session *);
void extended_flush_pending(struct session *);
void extended_reset(
    struct session *); /* end of cycle, end of transaction: portals, pending */
/* `failed`: this is the message that failed; else it is one that the server skips. */
void extended_undo(struct session *, struct reply *, bool failed);
/* Only what it did to the client's names. */
void extended_undo_name(struct session *, struct reply *);
/* Weir refused a Query behind extended messages: those fail too, and their cycle ends. */
void extended_end_refused(struct session *);
void extended_settle_pending(struct session *);
void extended_drop_pending(struct session *); /* and takes back what they did */
struct prepared *session_prepare(struct session *, struct slice text,
    const uint32_t *oids, int n_oids, struct slice sql_types, bool by_sql);
/* The same statement, as it is prepared now. */
struct prepared *session_prepare_again(struct session *, const struct prepared *);
void session_env(const struct session *, struct sql_env *);

/* ---- big.c ---- */
/* Takes a message that is too long to be held. False: it cannot be passed on. */
bool big_begin(struct session *);
void big_piece(struct session *, const struct read_msg *);
/* A Bind whose `more` bytes follow its names; `first` are those at hand. */
void extended_bind_big(struct session *, struct slice portal, struct slice statement,
    uint32_t more, struct slice first);

/* ---- sqlprep.c: PREPARE, EXECUTE and DEALLOCATE as SQL ---- */
/* Rewrites the names in x->sql_text when the Query is one of them. */
enum rc sqlprep_rewrite(struct session *, struct slice sql, struct err *) WARN_UNUSED;
/* Where the semicolon behind the first statement of a text is, or its end. */
size_t sqlprep_behind_first(struct session *, struct slice sql);
/* Sees that the statement is on the server. False: nothing must be sent, the server has it (PREPARE). *makes: what the server holds once
 * the Query has succeeded, or 0. */
bool sqlprep_ensure(struct session *, uint64_t *makes);
void sqlprep_inject(struct session *, struct prepared *);
void sqlprep_forget(struct exec *);
/* The same for Parse: PREPARE and EXECUTE by extended messages. May replace *p. */
enum rc sqlprep_parse(struct session *, struct prepared **p, struct err *) WARN_UNUSED;

/* "SELECT set_config(…)" for a setting; heap. */
char *session_set_config_sql(const char *name, struct slice value, bool local);
/* A setting's name, quoted part by part where needed; lives until the next call in this thread. */
const char *session_quote_setting(const char *name);

/* ---- redo.c: a cycle that runs once more ---- */
/* The first message of a cycle, or (m NULL) the beginning of one, is at hand. */
void redo_begin(struct session *, const struct read_msg *m);
/* Input was worked through. True: it is kept. */
bool redo_keep(struct exec *, struct chunk *);
/* What the cycle does cannot be done twice. */
void redo_give_up(struct exec *);
/* Does the server's answer, beginning here, end in an error that another run mends? */
bool redo_wanted(struct session *, const unsigned char *, size_t);
static inline bool
redo_possible(const struct exec *x)
{
	return x->redoable && !x->redoing && !x->sent_to_client &&
	    x->blocked == BLOCK_REPLIES;
}
/* An error that is passed on. */
void redo_note(struct session *, const struct reply *failed, struct slice error);
/* That error is through: runs it. */
void redo_run(struct session *);
void redo_forget(struct exec *); /* the cycle is over */

/* ---- lookup.c, ddl.c ---- */
void lookup_forget(struct lookup *);
/* Looks x->plan's directory key up, then calls resume. */
void lookup_start(struct session *, void (*resume)(struct session *));
/* The Query goes to every shard of x->plan, one after the other. */
void ddl_start(struct session *);
void ddl_failed(struct session *, struct err *);
/* Is it the statement's own answer that is waited for? */
bool ddl_answers(const struct exec *);
/* The server that the session is pinned to is its current one again. */
void ddl_over(struct session *);

/* ---- target.c: the server for a statement ---- */
struct shape *session_shape(struct session *, struct slice sql, struct sql_consts *);
/* Plans statement i of a shape; settings of the session (weir.shard) win. */
enum rc session_plan(struct session *, struct shape *, int i, struct plan_ctx *,
    struct plan *, struct err *) WARN_UNUSED;
int session_any_shard(const struct session *);
/* As the session set it. */

/* ---- path.c: the search path ---- */
/* The SET for a value of search_path; heap. */
char *path_sql(struct slice value);
const char *session_search_path(struct session *);
void path_apply(struct session *, const struct sql_stmt *);
/* What the transaction had set for itself; NULL: nothing. */
void path_go_back(struct session *, const char *to);
bool path_changes(const struct sql_stmt *);
/* Must its answer be known before names can be looked up? */
bool path_may_change(const struct session *, const struct sql_stmts *);
/* Something of the current statement went to the server. */
void session_sent(struct session *, const struct plan *, const struct sql_stmts *);
bool session_one_shard(const struct session *);
/* RC_OK: session->server is there and has all settings. RC_AGAIN: blocked; resume is called. RC_ERR: refused. */
enum rc session_need_server(struct session *, const struct plan *,
    void (*resume)(struct session *), struct err *) WARN_UNUSED;
void session_plan_ctx(struct session *, struct plan_ctx *);
/* Is it this session's between transactions too? */
bool session_keeps_server(const struct session *);
void session_release_server(struct session *);
/* Gives it back if nothing holds it any more. */
void session_release_if_free(struct session *);
/* It is gone, or will be: what it owed is forgotten, what ran on it may have been committed. */
void session_forget_server(struct session *);
/* branch_stash() of the session's own server, which it may keep when all is over. */
struct branch *session_stash(struct session *, struct err *);
/* A server at rest goes back to its pool. */
void session_give_back(struct session *, struct server *);
/* What was sent to the current server in this cycle is finished first; then calls resume, unless it failed. */
void session_settle(struct session *, void (*resume)(struct session *));
void session_drop_server(struct session *, bool polite);
void session_health_changed(struct session *);
void session_wait_timeout(struct timer *);
void session_park(struct session *, enum block, uint64_t timeout_us);
void session_unpark(struct session *);
extern const struct server_owner_ops session_server_ops;

/* ---- replay.c ---- */
/* Applies settings and a deferred BEGIN. RC_OK: nothing to wait for. RC_AGAIN: blocked (BLOCK_REPLAY). */
enum rc session_replay(struct session *);
void session_replay_done(struct session *, const char *error_body, size_t len);
void session_report_params(struct session *);
/* A server's ErrorResponse in Weir's own words. */
void session_server_error(struct slice body, struct err *);

/* ---- relay.c: the server's messages ---- */
void session_server_bytes(struct server *, struct buf *, uint32_t off, uint32_t len);
/* Answers of Weir's own that the server owes nothing before. */
void session_send_local(struct session *);

/* ---- effects.c: what statements do to the session ---- */
void effects_apply(
    struct session *, const struct sql_stmt *, struct prepared *, struct slice tag);
/* The client's named statements are gone. */
void effects_forget_names(struct session *);
void effects_cycle_end(struct session *, char status);
/* Is this what the failed transaction still takes? */
bool effects_ends_failed(const struct session *, const struct sql_stmts *);
/* May it run again on another server of the same transaction (SET LOCAL, SAVEPOINT, SHOW)? */
bool effects_tentative(const struct sql_stmts *);
void effects_transaction_over(struct session *, bool committed);
/* Keeps a statement for the transaction's other servers (txlog.h). */
void effects_log(struct session *, enum stmt_kind, const char *name, struct slice sql);
void savepoints_clear(struct exec *);
/* Where the cursor of that name is; SHARD_NONE: not known. */
int effects_cursor_shard(const struct session *, const char *name);
bool savepoint_exists(const struct exec *, const char *name);
void session_set_var(struct session *, const char *name, const char *sql);

/* ---- local.c: statements that Weir answers itself ---- */
/* Answers one statement without ReadyForQuery. RC_AGAIN: it is not Weir's. */
enum rc local_statement(struct session *, struct sql_stmts *, int i, struct msgbuf *out,
    struct err *) WARN_UNUSED;
/* Would it? (For Bind and Describe.) */
bool local_is(struct session *, const struct sql_stmts *, int i);
void local_describe(struct session *, const struct sql_stmt *, struct msgbuf *out);

enum rc session_setting(
    struct session *, const char *name, struct slice value, struct err *) WARN_UNUSED;

/* ---- ending.c: COMMIT and ROLLBACK of a transaction that has several servers ---- */
bool ending_needed(const struct session *);
/* Is it the server that a pinned session, or one in session mode, keeps? */
bool session_is_home(const struct session *, const struct branch *);
/* RC_AGAIN: blocked; the message is worked on once more when it is over. RC_OK: over, *tag is what the client is told. */
enum rc ending_run(
    struct session *, bool commit, const char **tag, struct err *) WARN_UNUSED;
/* The same for a block of Weir's own: `then` is called when it is over, never from inside this call but when it is over at once; there
 * ending_result() says how it ended. */
void ending_begin(struct session *, bool commit, void (*then)(struct session *));
enum rc ending_result(struct session *, const char **tag, struct err *) WARN_UNUSED;
/* A branch is LOST. False: nothing to do with an end under way. */
bool ending_lost(struct branch *);
void ending_cancel(struct session *);
bool ending_busy(const struct exec *);
void ending_free(struct exec *);

/* ---- tokens.c: read your writes ---- */
void tokens_wrote(struct session *, int shard);
const struct read_token *tokens_get(struct session *, int shard);
enum rc tokens_parse(struct session *, struct slice text, struct err *) WARN_UNUSED;
/* RC_AGAIN: an LSN is not known yet. */
void tokens_wait(struct session *, void (*again)(struct session *));
enum rc tokens_print(
    struct session *, struct arena *, const char **text, struct err *) WARN_UNUSED;

/* ---- peer.c ---- */
/* The process id that a session's client is told. */
uint32_t peer_told_pid(const struct proc *, uint64_t session);
/* True: the request is another peer's, and on its way. */
bool peer_pass_on(struct worker *, uint32_t pid, struct slice key);

/* ---- cancel.c ---- */
void cancel_request(struct worker *, uint32_t pid, struct slice key);

/* ---- admin ---- */
void session_admin_done(struct session *, struct msgbuf *out, const struct err *);

#endif
