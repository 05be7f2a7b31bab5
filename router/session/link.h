/* router/session/link.h: what the session layer knows of a server connection: which replies are still to come, which settings are applied,
 * which prepared statements it holds.
 * Thread:  the server's worker; it holds nothing that belongs to one worker, so it moves with the connection.
 * Memory:  hangs on server->link; freed by link_free() when the connection goes. */
#ifndef WEIR_ROUTER_SESSION_LINK_H
#define WEIR_ROUTER_SESSION_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "pool/server.h"
#include "router/session/varset.h"

/* A reply that is owed to the client, in the order of the messages that were sent. */
enum reply_type {
	REPLY_PARSE,
	REPLY_BIND,
	REPLY_DESCRIBE_STATEMENT,
	REPLY_DESCRIBE_PORTAL,
	REPLY_EXECUTE,
	REPLY_CLOSE,
	REPLY_SYNC,
	REPLY_QUERY,
	REPLY_FUNCTION,
	REPLY_REFUSED, /* a message of Weir's own that the server cannot but refuse */
	REPLY_LOCAL    /* bytes of our own, to be sent when their turn comes */
};

struct prepared;
struct shape;

struct reply {
	enum reply_type type : 8;
	bool
	    swallow : 1; /* Weir's own message: nothing of the answer goes to the client */
	bool check : 1;  /* swallowed, and its failure must stop what waits for it */
	bool unnamed : 1; /* PARSE: it becomes the server's unnamed statement */
	char letter;      /* LOCAL without text: the type of a message without a body */
	/* PARSE, EXECUTE, QUERY: the statement that the server holds after it; CLOSE: that it no longer holds; 0: none. */
	uint64_t prepared_id;
	/* A reference of the session's. BIND, DESCRIBE, EXECUTE: of what; with undo_name: what that stood for before, NULL: nothing. */
	struct prepared *prepared;
	char *
	    undo_name; /* the client's name that goes back if this is discarded ("": the unnamed statement); heap */
	char *text;    /* LOCAL: the bytes; heap */
	uint32_t len;  /* of text */
	uint32_t done; /* QUERY: statements completed */
};

struct held_stmt { /* one prepared statement on the server */
	uint64_t id;
	uint32_t newer, older; /* LRU, indexes into held; 0 is the list's head */
};

struct link {
	struct varset *vars;   /* applied settings: SQL by name */
	struct varset *params; /* reported by ParameterStatus: value by name */
	struct reply *ring;    /* NULL: none yet */
	uint32_t ring_cap, ring_head, ring_len;
	char tx_status; /* of the last ReadyForQuery */
	bool copy_in;   /* the server takes CopyData */
	bool copy_both;
	bool half_sent; /* CopyData that goes in pieces: its end is still to be sent */
	bool described; /* a RowDescription came for the Query under way */
	bool
	    skipping; /* it reported an error to an extended message and ignores all up to the next Sync */
	uint32_t syncs;         /* REPLY_SYNC and REPLY_QUERY entries in the ring */
	uint64_t tested_us;     /* server->tested_us when it was last lent */
	uint64_t unnamed_id;    /* what its unnamed statement is; 0: unknown */
	struct held_stmt *held; /* open table of them by id; [0] is the LRU's head */
	uint32_t held_cap, held_n;
};

static inline struct link *
link_of(struct server *server)
{
	return server->link;
}
/* Made at first use; takes over what the server reported at login. */
struct link *link_get(struct server *);
void link_free(struct server *);
/* A ParameterStatus came while the server was at rest. */
void link_param_changed(struct server *, const char *name, const char *value);

/* ---- replies ---- */

struct reply *link_push(struct link *, enum reply_type);
static inline struct reply *
link_nth(struct link *l, uint32_t i)
{
	return &l->ring[(l->ring_head + i) & (l->ring_cap - 1)];
}
/* NULL: nothing outstanding */
static inline struct reply *
link_head(struct link *l)
{
	return l->ring_len == 0 ? NULL : link_nth(l, 0);
}
static inline struct reply *
link_tail(struct link *l)
{
	return l->ring_len == 0 ? NULL : link_nth(l, l->ring_len - 1);
}
/* Frees what the entry owns but for `prepared`, which the session releases. */
void link_pop(struct link *);
void link_pop_tail(struct link *);
static inline bool
link_quiet(const struct link *l)
{
	return l->ring_len == 0;
}

/* ---- prepared statements on the server ---- */

/* Is it there? Makes it the newest. */
bool link_holds(struct link *, uint64_t id);
/* Notes it. *evicted gets the id of one that must be closed for it, or 0. max at least 1. */
void link_hold(struct link *, uint64_t id, uint32_t max, uint64_t *evicted);
void link_drop(struct link *, uint64_t id);
void link_drop_all(struct link *);

#endif
