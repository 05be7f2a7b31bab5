/* weir catalog init: makes on every shard's primary what Weir keeps there (schema weir). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/commands.h"
#include "router/recovery/catalog.h"
#include "router/recovery/site.h"

static const char help[] =
    "Usage: weir catalog init -c FILE [-d DATABASE] [-u USER]\n\n"
    "Makes schema weir on the primary of every shard: the shard's identity, the verdicts of transactions over\n"
    "shards, and the functions that write them. Says what it made; what is there already stays. Databases with\n"
    "one shard need none, and are left out unless -d names them.\n\n"
    "  -c, --config FILE      the configuration\n"
    "  -d, --database NAME    this database alone\n"
    "  -u, --user USER        who makes it: a superuser, or who may create schemas there; the password is that of\n"
    "                         auth.users_file, else PGPASSWORD or ~/.pgpass. Default: service_user\n"
    "  -h, --help             this text\n\n"
    "The rights of recovery go to service_user. Exit status: 0 done, 1 something failed, 2 wrong usage.\n";

struct args {
	const char *file, *database, *user;
};

static bool
read_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	    {"database", required_argument, NULL, 'd'},
	    {"user", required_argument, NULL, 'u'}, {NULL, 0, NULL, 0}};
	int c;

	optind = 2;
	while ((c = getopt_long(argc, argv, "c:d:u:", options, NULL)) != -1) {
		if (c == 'c')
			a->file = optarg;
		else if (c == 'd')
			a->database = optarg;
		else if (c == 'u')
			a->user = optarg;
		else
			return false;
	}
	return argc > 1 && strcmp(argv[1], "init") == 0 && a->file != NULL &&
	    optind == argc;
}

struct progress {
	const char *database, *shard;
	int made;
};

static void
say_made(const char *kind, const char *name, void *arg)
{
	struct progress *p = arg;

	p->made++;
	printf("%s/%s: made %s %s\n", p->database, p->shard, kind, name);
}

/* The only value, as a number; -1: no answer. */
static int
ask_number(PGconn *conn, const char *sql)
{
	PGresult *r = PQexec(conn, sql);
	int n = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1
	    ? atoi(PQgetvalue(r, 0, 0))
	    : -1;

	PQclear(r);
	return n;
}

/* What is in the way still, though the catalog is there. */
static void
say_missing(const struct progress *p, PGconn *service)
{
	if (ask_number(service, "SHOW max_prepared_transactions") == 0)
		printf(
		    "%s/%s: max_prepared_transactions is 0: set it to max_connections or more, and restart the server\n",
		    p->database, p->shard);
	if (ask_number(service,
		"SELECT rolsuper::int FROM pg_catalog.pg_roles WHERE rolname = current_user") ==
	    0)
		printf(
		    "%s/%s: \"%s\" is no superuser: recovery finishes the transactions of roles that it is granted "
		    "(GRANT role TO \"%s\"), and of users whose password auth.users_file has\n",
		    p->database, p->shard, PQuser(service), PQuser(service));
}

static enum rc
init_shard(struct cluster *c, int shard, const char *user, struct err *e)
{
	struct progress p = {c->name, c->shards[shard].name, 0};
	PGconn *service = service_open(c, shard, NULL, e);
	PGconn *conn =
	    service == NULL || user == NULL ? service : service_open(c, shard, user, e);
	enum rc rc = RC_ERR;

	if (conn != NULL &&
	    ask_number(conn, "SELECT pg_catalog.pg_is_in_recovery()::int") == 1)
		(void)err_set(e, "25006", BLAST_SESSION,
		    "it is a replica; name the present primary in the configuration");
	else if (conn != NULL)
		rc = catalog_init(conn, PQuser(service), say_made, &p, e);
	if (rc == RC_OK && p.made == 0)
		printf("%s/%s: all is there\n", p.database, p.shard);
	if (rc == RC_OK)
		say_missing(&p, service);
	else
		fprintf(stderr, "weir: %s/%s: %s\n", p.database, p.shard, e->msg);
	if (conn != service)
		PQfinish(conn);
	PQfinish(service);
	return rc;
}

static int
init_cluster(struct cluster *c, const char *user)
{
	int failed = 0;

	for (int i = 0; i < c->n_shards; i++) {
		struct err e = {0};

		failed += init_shard(c, i, user, &e) != RC_OK;
	}
	return failed;
}

static int
init(struct config *config, const struct args *a)
{
	struct snapshot *snap = snapshot_create(config, NULL);
	struct cluster *named =
	    a->database == NULL ? NULL : snapshot_cluster(snap, slice_of(a->database));
	int failed = 0, done = 0;

	for (int i = 0; i < snap->n; i++) {
		struct cluster *c = snap->clusters[i];

		if (named != NULL ? c != named : c->n_shards == 1 || a->database != NULL)
			continue;
		failed += init_cluster(c, a->user);
		done++;
	}
	if (done == 0) {
		fprintf(stderr,
		    a->database != NULL ? "weir: there is no database \"%s\"\n"
					: "weir: no database has several shards%s\n",
		    a->database != NULL ? a->database : "; -d names one");
		failed++;
	}
	cluster_unref(named);
	snapshot_unref(snap);
	return failed == 0 ? 0 : 1;
}

int
command_catalog(int argc, char **argv)
{
	struct args a = {0};
	struct config *config;
	int code;

	if (command_help(argc, argv, help))
		return 0;
	if (!read_args(argc, argv, &a)) {
		fputs(help, stderr);
		return 2;
	}
	config = command_load(a.file);
	if (config == NULL)
		return 1;
	code = init(config, &a);
	config_unref(config);
	return code;
}
