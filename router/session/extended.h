/* router/session/extended.h: what extended.c, bind.c, pending.c and sqlprep.c share of the extended protocol; nobody else includes it. */
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
/* What waits goes to the server that its first statement wants, then `then`. */
void ext_pending_to_server(struct session *, void (*then)(struct session *));
bool ext_pending_is_local(struct session *);
bool ext_pending_describes(const struct session *);

/* ---- pending.c ---- */
void ext_reply_empty(struct session *, char type);
/* The message being worked on, as it is. */
void ext_forward(struct session *);
/* Sees that the server holds the statement. */
void ext_ensure_on_server(struct session *, struct prepared *, bool unnamed);
/* Notes that the server holds it from now on; another may have to go for it. */
void ext_hold(struct session *, struct prepared *);
/* What a name stands for from now on ("": the unnamed statement); takes the reference over, gives back the old one. */
struct prepared *ext_name(struct session *, struct slice name, struct prepared *);
/* Takes the references over. */
void ext_pend(struct session *, char type, struct prepared *, struct slice name,
    struct prepared *before);
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
/* A portal that Weir made, of a statement that it does not answer any more. */
void ext_plan_late(struct session *, struct portal *, void (*then)(struct session *));
void ext_bind_late(struct session *, struct portal *);
/* Finds the server of x->plan, then goes on. */
void ext_go_to_server(struct session *, void (*then)(struct session *));

#endif
