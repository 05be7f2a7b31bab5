/* router/session/service.h: connections of Weir's own, by libpq, for what may block: directory look-ups, auth_query, schema knowledge.
 * Thread:  dialer and service threads; never a worker's loop.
 * Login:   the server's own user (conninfo, database), else auth_user with its secret of the users file.
 * Memory:  service_release() keeps a few idle connections per cluster for the next. */
#ifndef WEIR_ROUTER_SESSION_SERVICE_H
#define WEIR_ROUTER_SESSION_SERVICE_H

#include <libpq-fe.h>

#include "router/session/cluster.h"

struct service {
	struct service *next;
	PGconn *conn;
	struct backend *backend; /* a reference */
	bool fixed_path;         /* its search_path is pg_catalog */
	bool kept;               /* it was idle meanwhile, and may be gone */
};

/* user NULL: as above. NULL with *e when it cannot be had. search_path is pg_catalog only where `user` is given. */
struct service *service_connect(
    struct cluster *, int shard, const char *user, struct err *e);
void service_release(struct service *);
/* A new one, the caller's to PQfinish(). */
PGconn *service_open(struct cluster *, int shard, const char *user, struct err *e);
/* A kept one was gone when it was used: another try is worth it. */
bool service_was_gone(const struct service *);
/* One query with one parameter, on a connection as above. NULL with *e; `what` is what failed. */
PGresult *service_query(struct cluster *, int shard, const char *user, const char *sql,
    const char *arg, const char *what, struct err *e);
void service_close_all(void);
/* The server's own SQLSTATE and text. */
void service_error(PGconn *, const char *what, struct err *);

#endif
