#include "router/session/schema_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "router/route/map.h"
#include "router/route/schema.h"
#include "router/route/schema_sql.h"
#include "router/session/service.h"

#define POLL_MS  5000 /* between two looks for DDL that did not go through Weir */
#define RETRY_MS 500  /* after a failure */

struct loader {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, woken;
	struct proc *proc;
	void (*changed)(struct proc *);
};

/* ---- reading one server ---- */

static const char *
text(const PGresult *r, int row, int column)
{
	return PQgetvalue(r, row, column);
}

static bool
truth(const PGresult *r, int row, int column)
{
	return text(r, row, column)[0] == 't';
}

static void
namespace_row(struct schema_builder *b, const PGresult *r, int i)
{
	schema_builder_namespace(b, text(r, i, 0));
}

static void
table_row(struct schema_builder *b, const PGresult *r, int i)
{
	schema_builder_table(
	    b, text(r, i, 0), text(r, i, 1), text(r, i, 2)[0], truth(r, i, 3));
}

static void
parent_row(struct schema_builder *b, const PGresult *r, int i)
{
	schema_builder_parent(
	    b, text(r, i, 0), text(r, i, 1), text(r, i, 2), text(r, i, 3));
}

static void
column_row(struct schema_builder *b, const PGresult *r, int i)
{
	schema_builder_column(b, text(r, i, 0), text(r, i, 1), text(r, i, 2),
	    text(r, i, 3), atoi(text(r, i, 4)), truth(r, i, 5), truth(r, i, 6));
}

static void
view_row(struct schema_builder *b, const PGresult *r, int i)
{
	schema_builder_view(b, text(r, i, 0), text(r, i, 1), text(r, i, 2));
}

static void
func_row(struct schema_builder *b, const PGresult *r, int i)
{
	schema_builder_func(b, text(r, i, 0), text(r, i, 1), atoi(text(r, i, 2)),
	    atoi(text(r, i, 3)), truth(r, i, 4), text(r, i, 5)[0]);
}

static void
operator_row(struct schema_builder *b, const PGresult *r, int i)
{
	schema_builder_operator(b, text(r, i, 0), text(r, i, 1), text(r, i, 2)[0]);
}

static bool
read_rows(PGconn *conn, const char *sql, struct schema_builder *b,
    void (*row)(struct schema_builder *, const PGresult *, int))
{
	PGresult *r = PQexec(conn, sql);
	bool ok = PQresultStatus(r) == PGRES_TUPLES_OK;

	for (int i = 0; ok && i < PQntuples(r); i++)
		row(b, r, i);
	PQclear(r);
	return ok;
}

static bool
command(PGconn *conn, const char *sql)
{
	PGresult *r = PQexec(conn, sql);
	bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;

	PQclear(r);
	return ok;
}

struct schema *
schema_load(PGconn *conn, struct err *e)
{
	struct schema_builder *b = schema_builder_create();

	if (command(conn, SCHEMA_SQL_BEGIN) && command(conn, SCHEMA_SQL_PATH) &&
	    read_rows(conn, SCHEMA_SQL_NAMESPACES, b, namespace_row) &&
	    read_rows(conn, SCHEMA_SQL_TABLES, b, table_row) &&
	    read_rows(conn, SCHEMA_SQL_PARENTS, b, parent_row) &&
	    read_rows(conn, SCHEMA_SQL_COLUMNS, b, column_row) &&
	    read_rows(conn, SCHEMA_SQL_VIEWS, b, view_row) &&
	    read_rows(conn, SCHEMA_SQL_FUNCS, b, func_row) &&
	    read_rows(conn, SCHEMA_SQL_OPERATORS, b, operator_row) &&
	    command(conn, SCHEMA_SQL_END))
		return schema_builder_finish(b);
	service_error(conn, "reading the catalog", e);
	schema_builder_abandon(b);
	(void)command(conn, "ROLLBACK");
	return NULL;
}

/* ---- one cluster ---- */

static bool
version_changed(struct cluster *c, PGconn *conn)
{
	PGresult *r = PQexec(conn, SCHEMA_SQL_VERSION);
	bool changed = PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1 ||
	    strncmp(c->schema_version, PQgetvalue(r, 0, 0), sizeof c->schema_version) !=
		0;

	if (changed && PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1)
		snprintf(c->schema_version, sizeof c->schema_version, "%s",
		    PQgetvalue(r, 0, 0));
	PQclear(r);
	return changed;
}

static void
publish(struct cluster *c, struct schema *schema)
{
	struct schema *old;

	pthread_mutex_lock(&c->lock);
	old = c->schema;
	c->schema = schema;
	pthread_mutex_unlock(&c->lock);
	atomic_fetch_add(&c->schema_gen, 1);
	if (old != NULL)
		schema_unref(old);
}

/* What could not be read is read at the next look, whatever its version. */
static bool
read_schema(struct cluster *c, PGconn *conn, bool asked, struct err *e)
{
	struct schema *schema;

	if (!version_changed(c, conn) && !asked)
		return true;
	schema = schema_load(conn, e);
	if (schema == NULL)
		c->schema_version[0] = '\0';
	else
		publish(c, schema);
	return schema != NULL;
}

static bool
load_cluster(struct cluster *c)
{
	int shard = c->conf->default_shard < 0 ? 0 : c->conf->default_shard;
	uint64_t wanted = atomic_load(&c->schema_wanted);
	bool asked =
	    wanted != atomic_load(&c->schema_done) || atomic_load(&c->schema_gen) == 0;
	struct service *service;
	struct err e = {0};
	bool ok = false, gone = true;

	while (gone && (service = service_connect(c, shard, NULL, &e)) != NULL) {
		ok = read_schema(c, service->conn, asked, &e);
		gone = !ok && service_was_gone(service);
		service_release(service);
	}
	if (!ok && strcmp(c->schema_error, e.msg) != 0)
		log_line(LOG_WARNING, "cannot read the schema", "database", c->name,
		    "shard", c->shards[shard].name, "error", e.msg, NULL);
	snprintf(c->schema_error, sizeof c->schema_error, "%s", ok ? "" : e.msg);
	atomic_store(&c->schema_failed, !ok);
	atomic_store(
	    &c->schema_done, wanted); /* also after a failure: nobody waits for long */
	return ok;
}

/* Where nothing depends on it: one shard, no replicas. */
static bool
matters(const struct cluster *c)
{
	return c->n_shards > 1 || c->shards[0].n > 1;
}

static bool
load_all(struct loader *l)
{
	struct snapshot *snap = snapshot_ref(atomic_load(&l->proc->snap));
	bool ok = true;

	for (int i = 0;; i++) {
		struct cluster *c = NULL;

		pthread_mutex_lock(&snap->lock);
		if (i < snap->n)
			c = cluster_ref(snap->clusters[i]);
		pthread_mutex_unlock(&snap->lock);
		if (c == NULL)
			break;
		if (matters(c))
			ok = load_cluster(c) && ok;
		cluster_unref(c);
	}
	snapshot_unref(snap);
	return ok;
}

static void *
run(void *arg)
{
	struct loader *l = arg;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		struct timespec until;
		bool ok;

		l->woken = false;
		pthread_mutex_unlock(&l->lock);
		ok = load_all(l);
		l->changed(l->proc);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += (ok ? POLL_MS : RETRY_MS) / 1000;
		until.tv_nsec += ok ? 0 : RETRY_MS % 1000 * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		pthread_mutex_lock(&l->lock);
		while (!l->stop && !l->woken &&
		    pthread_cond_timedwait(&l->wake, &l->lock, &until) == 0)
			;
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

enum rc
schema_loader_start(struct proc *proc, void (*changed)(struct proc *), struct err *e)
{
	struct loader *l = calloc(1, sizeof *l);

	if (l == NULL)
		abort();
	l->proc = proc;
	l->changed = changed;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->wake, NULL);
	proc->schema_loader = l;
	proc->schema_wanted = schema_loader_wake;
	if (pthread_create(&l->thread, NULL, run, l) != 0)
		return err_set(
		    e, "53000", BLAST_SESSION, "cannot start the schema loader");
	return RC_OK;
}

void
schema_loader_wake(struct proc *proc, struct cluster *c)
{
	struct loader *l = proc->schema_loader;

	(void)c;
	pthread_mutex_lock(&l->lock);
	l->woken = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
}

void
schema_loader_stop(struct proc *proc)
{
	struct loader *l = proc->schema_loader;

	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	free(l);
	proc->schema_loader = NULL;
	service_close_all();
}
