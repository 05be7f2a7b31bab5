/* router/session/txlog.h: what a transaction did to its own state (SET, SAVEPOINT and their like), in order, as texts. Each server that takes
 * part runs all of it, those that join late when they join, the others when they are next used or at the end.
 * Thread:  the session's worker's. Memory: heap, until txlog_clear().
 * Size:    a savepoint that is released or rolled back to takes out what it makes needless, as long as no server has run only a part. */
#ifndef WEIR_ROUTER_SESSION_TXLOG_H
#define WEIR_ROUTER_SESSION_TXLOG_H

#include "base/slice.h"
#include "router/sql/stmt.h"
#include "wire/msg.h"

struct txlog {
	struct txlog_entry {
		char *sql;
		char *name; /* of the savepoint; NULL */
		enum stmt_kind kind;
	} * v;
	int n, cap;
};

/* `all` ran on the current server, up to this entry; no other server has run more than `others` entries. */
void txlog_add(
    struct txlog *, enum stmt_kind, const char *name, struct slice sql, int others);
/* The entries from `from` on, each with a semicolon on a line of its own. */
void txlog_write(const struct txlog *, int from, struct msgbuf *sql);
/* Is there a ROLLBACK TO among them? */
bool txlog_undoes(const struct txlog *, int from);
/* The BEGIN of the next transaction by AND CHAIN: SET TRANSACTION goes on holding. Heap. */
char *txlog_chain(const struct txlog *, const char *begin);
void txlog_clear(struct txlog *);

#endif
