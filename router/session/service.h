/* router/session/service.h: connections of Weir's own, by libpq, for what may block: directory look-ups, auth_query, schema knowledge.
 * Thread:  dialer and service threads; never a worker's loop.
 * Login:   the server's own user (conninfo, database), else auth_user with its secret of the users file.
 * Memory:  service_release() keeps a few idle connections per cluster for the next. */
#ifndef WEIR_ROUTER_SESSION_SERVICE_H
#define WEIR_ROUTER_SESSION_SERVICE_H

#include <libpq-fe.h>

#include "router/session/cluster.h"

/* user NULL: as above. NULL with *e when it cannot be had. search_path is pg_catalog only where `user` is given. */
PGconn *service_connect(struct cluster *, int shard, const char *user, struct err *e);
void service_release(struct cluster *, int shard, PGconn *);
void service_close_all(void);
/* The server's own SQLSTATE and text. */
void service_error(PGconn *, const char *what, struct err *);

#endif
