/* router/session/extended.h: what extended.c, bind.c and pending.c share of the extended protocol; nobody else includes it. */
#ifndef WEIR_ROUTER_SESSION_EXTENDED_H
#define WEIR_ROUTER_SESSION_EXTENDED_H

#include "router/session/session.h"

/* ---- extended.c ---- */
void ext_fail(struct session *, struct err *);
void ext_bad_message(struct session *, const char *what);
/* NULL: *e says that there is none of that name. */
struct prepared *ext_find_statement(struct session *, struct slice name, struct err *e);
/* RC_ERR: the transaction has failed, and this statement does not end it. */
enum rc ext_failed_transaction(
    struct session *, struct prepared *, struct err *) WARN_UNUSED;

/* ---- pending.c ---- */
void ext_reply_empty(struct session *, char type);
/* The message being worked on, as it is. */
void ext_forward(struct session *);
/* Sees that the server holds the statement. */
void ext_ensure_on_server(struct session *, struct prepared *, bool unnamed);
/* Takes the reference over. */
void ext_pend(
    struct session *, char type, struct prepared *, struct slice name, bool undo);
void ext_pending_free(struct pending *);
void ext_describe_here(struct session *, struct prepared *, struct msgbuf *out);
/* Without a server: what can be said of what waits is said here. */
void ext_answer_pending_here(struct session *);

/* ---- bind.c ---- */
struct portal *ext_portal_find(struct exec *, struct slice name);
void ext_portal_drop(struct portal *);
/* Does Weir answer this statement itself? */
bool ext_answered_here(struct session *, struct prepared *);
void ext_bind_message(struct session *);
/* Finds the server of x->plan, then goes on. */
void ext_go_to_server(struct session *, void (*then)(struct session *));

#endif
