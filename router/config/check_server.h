/* router/config/check_server.h: one server, as `weir check` sees it. Private to check*.c.
 * Memory:  texts are in the arena of the check. */
#ifndef WEIR_ROUTER_CONFIG_CHECK_SERVER_H
#define WEIR_ROUTER_CONFIG_CHECK_SERVER_H

#include <libpq-fe.h>

#include "router/config/config.h"

struct probe {
	const struct db_conf *db;
	const struct shard_conf *shard;
	const struct server_conf *server;
	const char *label; /* "shop/s1 primary 10.0.0.1:5432" */
	bool is_primary;   /* by the configuration */
	PGconn *conn;      /* NULL: not tried, or not reached */
	bool in_recovery;
	int version; /* 150004 */
	int max_connections, reserved_connections, max_prepared_transactions;
	const char *encoding, *collation, *ctype, *collation_version;
	const char *system_id; /* NULL: may not be asked for */
	const char *identity;  /* of schema weir; NULL: it has none */
};

struct check {
	const struct config *cfg;
	struct config_report *report;
	FILE *progress; /* or NULL */
	struct arena arena;
	struct probe *probes;
	int n, cap;
};

void check_tell(struct check *, bool warning, const struct server_conf *at,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Connects and fills the facts in; tells what is wrong with this server alone. */
void check_server(struct check *, struct probe *);
/* Text of a query's only column and row, in the arena; NULL: failed or no row. */
const char *check_ask(struct check *, struct probe *, const char *sql, const char *param);

/* check_map.c: the tables of the map on one primary. */
void check_map(struct check *, struct probe *);
/* check_map.c: the tables of the map are alike on all primaries of a database. */
void check_same_tables(struct check *, const struct db_conf *);
/* check_secret.c: SCRAM secrets of the users file are those of the servers. */
void check_secrets(struct check *, struct probe *);

#endif
