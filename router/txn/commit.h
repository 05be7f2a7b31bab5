/* router/txn/commit.h: how a transaction that is open on one or several shards ends: a step function. Events go in,
 * actions come out; docs/transactions.md has the algorithm, txn_state.def the states.
 * Pure: no sockets, no clock, no chance. Thread: the caller's. Memory: the arena's (keep it until TXN_OVER).
 *
 * The session drives it so:
 *
 *  1. COMMIT came (or ROLLBACK; or a statement over shards in no transaction block is done). Every participant's connection is
 *     at rest inside its transaction: ReadyForQuery 'T' (or 'E', before a rollback), nothing owed. Fill `struct txn_part` for each
 *     shard that joined; txn_init(); txn_begin().
 *  2. Carry out what txn_next() gives, until it gives NULL:
 *        TXN_SEND      a->sql as one simple Query to participant a->part
 *        TXN_RELEASE   participant a->part is at rest in no transaction: back to its pool
 *        TXN_DISCARD   close the connection of a->part, whatever it does
 *        TXN_TIMER     (re)start the timer of commit_timeout; when it fires: txn_timeout()
 *        TXN_SETTLE    the reply to the decision was lost: txn_request() of registry.h, TXN_REQUEST_SETTLE with t->key.
 *                      Its answer goes to txn_verdict(). The timer runs meanwhile
 *        TXN_HANDOVER  recovery is to finish a->sql (a gid) soon: txn_request(), TXN_REQUEST_HURRY with t->key.
 *                      It would find it by itself
 *        TXN_OVER      the last: answer the client as t->answer says. Nothing is owed, no connection is held any more
 *  3. Feed what happens, and go to 2 each time:
 *        txn_reply()   the answer to a TXN_SEND is whole (ReadyForQuery). Pass the tag of the last CommandComplete, the
 *                      SQLSTATE of an ErrorResponse or NULL, and ReadyForQuery's status. Rows are dropped; WARNINGs may be passed
 *                      on. Keep an ErrorResponse's body until TXN_OVER: TXN_SERVER_ERROR forwards it
 *        txn_lost()    a participant's connection is gone (a FATAL is that, too), with or without something owed;
 *                      TXN_DISCARD follows for it
 *        txn_timeout() the timer fired
 *        txn_cancel()  the client's cancel request. Do not forward it yourself but if txn_forwards_cancel()
 *        txn_verdict() answer to TXN_SETTLE
 *
 * A session whose client has left goes on until TXN_OVER, and answers nobody. It may also drop everything at any moment
 * (a crash is just that) by closing the connections: recovery makes one outcome of it.
 * The step function never waits for a pool: connections stay with the transaction until TXN_RELEASE or TXN_DISCARD. */
#ifndef WEIR_ROUTER_TXN_COMMIT_H
#define WEIR_ROUTER_TXN_COMMIT_H

#include "base/arena.h"
#include "base/err.h"
#include "router/txn/gid.h"

enum txn_state {
#define STATE(id, doc) TXN_STATE_##id,
#include "router/txn/txn_state.def"
	TXN_STATES
};
const char *txn_state_name(enum txn_state);

/* What the transaction did on a shard, the strongest that is true. In doubt say TXN_WROTE. */
enum txn_deed {
	TXN_READ, /* every statement is provably read-only, and took no lock but a read's */
	TXN_LOCKED, /* nothing written, but FOR UPDATE, LOCK, advisory locks: held until the decision is made */
	TXN_WROTE
};

struct txn_part {
	const char *shard; /* name, for messages; outlives the transaction */
	struct txn_identity identity;
	enum txn_deed deed;
	/* PostgreSQL would refuse to prepare it: temporary tables, NOTIFY, LISTEN, WITH HOLD,
	 * pg_export_snapshot(). One may be, and becomes the anchor. NOTIFY counts as a write. */
	bool unpreparable;
	bool serializable; /* its isolation level */
	bool first;        /* it wrote first: the anchor, where nothing else says which */

	/* the step function's own */
	bool
	    prepared; /* PREPARE was sent, and it is not known that nothing is left of it */
	bool committed; /* best_effort */
	enum txn_part_state {
		TXN_PART_OPEN,      /* in its transaction, nothing owed */
		TXN_PART_ENDING,    /* COMMIT sent: it only read */
		TXN_PART_CHECKING,  /* holds locks: is it alive? */
		TXN_PART_CHECKED,   /* it is */
		TXN_PART_PREPARING, /* PREPARE TRANSACTION sent */
		TXN_PART_PREPARED,
		TXN_PART_DECIDING, /* the anchor's (or the only writer's) COMMIT sent */
		TXN_PART_CLOSING, /* ROLLBACK, COMMIT of locks, COMMIT or ROLLBACK PREPARED sent */
		TXN_PART_OVER /* released or discarded */
	} state;
};

enum txn_action_kind {
	TXN_SEND,
	TXN_RELEASE,
	TXN_DISCARD,
	TXN_TIMER,
	TXN_SETTLE,
	TXN_HANDOVER,
	TXN_OVER
};

struct txn_action {
	enum txn_action_kind kind;
	int part;
	const char *sql; /* TXN_SEND: the text; TXN_HANDOVER: the gid; in the arena */
};

enum txn_outcome {
	TXN_COMMITTED,   /* say COMMIT (or the statement's own tag) */
	TXN_ROLLED_BACK, /* ROLLBACK was asked for: say ROLLBACK */
	TXN_SERVER_ERROR, /* nothing is committed: forward the ErrorResponse of participant `part` */
	TXN_FAILED, /* nothing is committed: report `err` */
	TXN_UNKNOWN /* report `err` (08007): the outcome is not known yet, or, by best_effort, differs */
};

struct txn_answer {
	enum txn_outcome outcome;
	int part;
	struct err err;
	bool
	    late; /* committed, but some shard shows it only when recovery has been there: a WARNING may say so */
};

enum txn_verdict {
	TXN_VERDICT_COMMIT,
	TXN_VERDICT_ABORT,
	TXN_VERDICT_UNKNOWN /* the anchor could not be asked */
};

struct txn {
	enum txn_state state;
	struct arena *arena;
	struct txn_part *parts;
	int n;
	int anchor;     /* index; -1: none is needed */
	bool two_phase; /* several participants are prepared or decide: there is a key */
	bool best_effort;
	bool rollback; /* was asked for */
	bool shielded; /* a PREPARE was sent: cancels are not forwarded */
	bool cancelled, failed;
	char token[TXN_TOKEN_LEN + 1];
	char key[TXN_KEY_SIZE]; /* empty: not two_phase */
	struct txn_answer answer;
	struct txn_action *actions;
	int n_actions, next_action, cap_actions;
};

/* `random` must be fresh from the system's generator. The parts' public fields are filled in. */
void txn_init(struct txn *, struct arena *, struct txn_part *, int n, bool best_effort,
    const uint8_t random[TXN_RANDOM_BYTES]);
/* True: COMMIT needs more than plain COMMITs, so txn_ready() of registry.h must agree, which knows identities. Pure. */
bool txn_needs_two_phase(const struct txn_part *, int n);
/* commit false: ROLLBACK everywhere. */
void txn_begin(struct txn *, bool commit);
/* NULL: none left for now. */
const struct txn_action *txn_next(struct txn *);

void txn_reply(
    struct txn *, int part, const char *tag, const char *sqlstate, char status);
void txn_lost(struct txn *, int part);
void txn_timeout(struct txn *);
void txn_cancel(struct txn *);
void txn_verdict(struct txn *, enum txn_verdict);
/* Before the first PREPARE a cancel request goes to all participants that owe something. */
bool txn_forwards_cancel(const struct txn *);

#endif
