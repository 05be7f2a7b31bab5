/* router/session/temps.h: the temporary tables, views and sequences of a session, by name, so that a statement on one of them goes to the
 * server that has it, and not where the map's table of that name is.
 * Thread:  its session's worker's.
 * Memory:  immutable sets, counted by reference: what a rollback goes back to is a pointer that was kept. The empty set is NULL.
 * Limits:  what functions and DO blocks make or drop is not seen (docs/pooling.md). */
#ifndef WEIR_ROUTER_SESSION_TEMPS_H
#define WEIR_ROUTER_SESSION_TEMPS_H

#include "base/arena.h"
#include "base/err.h"

struct session;
struct exec;
struct sql_stmt;
struct sql_stmts;
struct plan;
struct temps;

struct temps *temps_ref(struct temps *);
void temps_unref(struct temps *);
/* The names, NULL-ended, for plan_ctx; NULL: none. */
const char *const *temps_names(const struct temps *, struct arena *);
/* Does this statement make a temporary object, though it may not say so (search_path = pg_temp)? */
bool temps_made_by(struct session *, const struct sql_stmt *);
/* It has succeeded. */
void temps_apply(struct session *, const struct sql_stmt *);
/* Until its answer is there, nothing behind it can be planned. */
bool temps_may_change(struct session *, const struct sql_stmts *);
void temps_transaction_over(struct exec *, bool committed);
/* A plan goes where the session's temporary objects are. RC_ERR: part of it belongs elsewhere. */
enum rc temps_place(
    struct session *, const struct sql_stmt *, struct plan *, struct err *) WARN_UNUSED;

#endif
