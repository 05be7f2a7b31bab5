/* router/session/branch.h: the servers of a transaction beside the session's current one. A statement runs on one server at a time, the
 * current one (session->server); when the next belongs to another shard, the current one is put aside as a branch, and comes back when a
 * statement wants its shard again. At the transaction's end all are branches, and what they are told runs on all at once (commit.c).
 * Thread:  the session's worker's.
 * Memory:  x->branches, heap; a branch goes with branch_release(), or with the session.
 * States:  REST: in its transaction block, nothing outstanding. BUSY: a query of branch_query() runs. LOST: its server is gone, and with it
 *          what the transaction did there: the session's transaction is doomed. */
#ifndef WEIR_ROUTER_SESSION_BRANCH_H
#define WEIR_ROUTER_SESSION_BRANCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"

struct branch;
struct buf;
struct chunk;
struct read_msg;
struct session;
struct server;
struct backend;

enum branch_state { BRANCH_REST, BRANCH_BUSY, BRANCH_LOST };

/* Who listens to a busy branch, where it is not a query of Weir's own. Any of these may free the branch. */
struct branch_ops {
	/* A message; in `in` (by reference) or, when NULL, elsewhere. Behind its ReadyForQuery the branch is at REST. */
	void (*message)(struct branch *, const struct read_msg *, struct buf *in);
	void (*drained)(struct branch *); /* its output queue has become short */
	void (*lost)(struct branch *);
};

struct branch {
	struct list node; /* x->branches, in the order in which they were put aside */
	struct session *session;
	struct server *server; /* NULL: lost */
	struct backend *backend;
	int shard;
	enum branch_state state;
	bool on_replica, begun, firm, wrote, locked, unpreparable; /* as in struct exec */
	int wrote_nth;
	int log_done;                 /* entries of x->log that ran there */
	const struct branch_ops *ops; /* NULL: branch_query() */
	void *owner;                  /* of ops */
	int index;                    /* for ops */
	bool paused;                  /* its messages wait in `input` */
	bool *gone;                   /* set when it is freed while it is worked on */
	bool fed;                     /* the reader stands in the first chunk */
	struct chunk *input, *input_last;
	uint32_t held; /* bytes of it */
	/* ---- the latest branch_query() ---- */
	void (*done)(struct branch *);
	char status; /* of its ReadyForQuery; 0: the server was lost */
	char tag[32],
	    value[64]; /* of its last statement, and the first value of its last row */
	char *
	    error; /* body of its first ErrorResponse, or of the server's last words; heap */
	size_t error_len;
};

/* Puts the current server aside; it has nothing outstanding. NULL: it is gone, and with it what the transaction did there. */
struct branch *branch_stash(struct session *, struct err *);
struct branch *branch_of_shard(struct session *, int shard); /* NULL: none */
/* Makes it the session's current server; frees it. */
void branch_take(struct branch *);
/* Sends one Query, whose end is told by done() once, never from inside this call. done() may free the branch. */
void branch_query(struct branch *, const char *sql, void (*done)(struct branch *));
/* The branch is BUSY with what the caller sends on its server's stream, up to a ReadyForQuery. */
void branch_listen(struct branch *, const struct branch_ops *, void *owner);
/* Nothing more is handed out; what comes is held, up to a bound, and then waits in the kernel. */
void branch_pause(struct branch *);
/* Hands out what was held. */
void branch_resume(struct branch *);
/* Fills *e from what went wrong; raw lives as long as the branch. True: something went wrong. */
bool branch_failed(const struct branch *, struct err *e);
/* Gives the server back, or closes it when it is not at rest outside a transaction; frees the branch. */
void branch_release(struct branch *);
/* Closes its server, as if that were lost. */
void branch_abandon(struct branch *);
/* Whose branch this server is; NULL: nobody's. */
struct session *branch_owner(const struct server *);
/* Closes the servers of all: the session ends. */
void branches_drop(struct session *);

#endif
