/* router/session/schema_load.h: keeps every cluster's schema knowledge fresh: at start, after DDL that went through Weir, and by polling for DDL
 * that did not.
 * Thread:  one service thread of its own; libpq. */
#ifndef WEIR_ROUTER_SESSION_SCHEMA_LOAD_H
#define WEIR_ROUTER_SESSION_SCHEMA_LOAD_H

#include <libpq-fe.h>

#include "router/session/worker.h"

enum rc schema_loader_start(
    struct proc *, void (*changed)(struct proc *), struct err *) WARN_UNUSED;
void schema_loader_stop(struct proc *);
/* Look soon at what is wanted. Any thread. */
void schema_loader_wake(struct proc *, struct cluster *);
/* Reads a server's catalog; NULL with *e. For `weir explain` too. */
struct schema *schema_load(PGconn *, struct err *);

#endif
