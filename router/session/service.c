#include "router/session/service.h"

#include <stdlib.h>
#include <string.h>

#include "pool/health.h"
#include "wire/secret.h"

#define IDLE_MAX 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct service *idle; /* the latest first */

static struct service *
take_idle(struct backend *b, const char *user, bool fixed_path)
{
	struct service *found = NULL;

	pthread_mutex_lock(&lock);
	for (struct service **at = &idle; *at != NULL; at = &(*at)->next) {
		struct service *s = *at;

		if (s->backend != b || s->fixed_path != fixed_path ||
		    (user != NULL && strcmp(PQuser(s->conn), user) != 0))
			continue;
		*at = s->next;
		found = s;
		break;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static void
end(struct service *s)
{
	PQfinish(s->conn);
	backend_unref(s->backend);
	free(s);
}

void
service_error(PGconn *conn, const char *what, struct err *e)
{
	const char *text = conn == NULL ? "out of memory" : PQerrorMessage(conn);
	size_t len = strcspn(text, "\n");

	(void)err_set(e, "08001", BLAST_SESSION, "%s: %.*s", what, (int)len, text);
}

static struct backend *
backend_of(struct cluster *c, int shard)
{
	struct cluster_shard *s = &c->shards[shard];
	struct backend *b = choose_primary(s->backends, s->n);

	return b == NULL ? s->backends[0] : b;
}

/* What Weir knows of the password of `login`. */
static const char *
password_of(const struct cluster *c, const struct backend_target *t, const char *user,
    const char *login)
{
	const struct secret *secret = login == NULL || c->conf->users == NULL
	    ? NULL
	    : secret_file_find(c->conf->users, slice_of(login));

	if (user == NULL && t->probe_password != NULL)
		return t->probe_password;
	if (secret != NULL && secret->kind == SECRET_PLAIN)
		return secret->password;
	if (t->user != NULL && login != NULL && strcmp(login, t->user) == 0 &&
	    t->password != NULL)
		return t->password;
	return login != NULL && login == c->login_user ? c->login_password : NULL;
}

static PGconn *
dial(const struct backend_target *t, const char *login, const char *password,
    bool fixed_path)
{
	const char *const names[] = {"host", "hostaddr", "port", "dbname", "user",
	    "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "gssencmode",
	    "connect_timeout", "application_name", "options", NULL};
	const char *const values[] = {t->host, t->hostaddr, t->port, t->dbname, login,
	    password, t->sslmode, t->sslrootcert, t->sslcert, t->sslkey, "disable", "5",
	    "weir", fixed_path ? "-c search_path=pg_catalog" : NULL, NULL};

	return PQconnectdbParams(names, values, 0);
}

static const char *
login_of(const struct cluster *c, const struct backend_target *t, const char *user)
{
	return user != NULL         ? user
	    : t->probe_user != NULL ? t->probe_user
				    : c->login_user;
}

static PGconn *
open_to(struct cluster *c, struct backend *b, const char *user, struct err *e)
{
	const struct backend_target *t = &b->target;
	const char *login = login_of(c, t, user);
	PGconn *conn = dial(t, login, password_of(c, t, user, login), user != NULL);

	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	service_error(conn, "connecting to the server", e);
	PQfinish(conn);
	return NULL;
}

PGconn *
service_open(struct cluster *c, int shard, const char *user, struct err *e)
{
	return open_to(c, backend_of(c, shard), user, e);
}

struct service *
service_connect(struct cluster *c, int shard, const char *user, struct err *e)
{
	struct backend *b = backend_of(c, shard);
	struct service *s = take_idle(b, login_of(c, &b->target, user), user != NULL);
	PGconn *conn;

	if (s != NULL && PQstatus(s->conn) == CONNECTION_OK)
		return s;
	if (s != NULL)
		end(s);
	conn = open_to(c, b, user, e);
	if (conn == NULL)
		return NULL;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		abort();
	s->conn = conn;
	s->fixed_path = user != NULL;
	s->backend = b;
	backend_ref(b);
	return s;
}

/* The oldest goes when there are too many: its server may be one of an older configuration. */
void
service_release(struct service *s)
{
	struct service *oldest = NULL;
	int n = 0;

	if (PQstatus(s->conn) != CONNECTION_OK ||
	    PQtransactionStatus(s->conn) != PQTRANS_IDLE) {
		end(s);
		return;
	}
	s->kept = true;
	pthread_mutex_lock(&lock);
	s->next = idle;
	idle = s;
	for (struct service **at = &idle; *at != NULL; at = &(*at)->next)
		if (++n > IDLE_MAX) {
			oldest = *at;
			*at = NULL;
			break;
		}
	pthread_mutex_unlock(&lock);
	if (oldest != NULL)
		end(oldest);
}

bool
service_was_gone(const struct service *s)
{
	return s->kept && PQstatus(s->conn) != CONNECTION_OK;
}

PGresult *
service_query(struct cluster *c, int shard, const char *user, const char *sql,
    const char *arg, const char *what, struct err *e)
{
	struct service *s;
	bool gone = true;

	while (gone && (s = service_connect(c, shard, user, e)) != NULL) {
		PGresult *r = PQexecParams(s->conn, sql, 1, NULL, &arg, NULL, NULL, 0);
		bool ok = PQresultStatus(r) == PGRES_TUPLES_OK;

		gone = !ok && service_was_gone(s);
		if (!ok)
			service_error(s->conn, what, e);
		service_release(s);
		if (ok)
			return r;
		PQclear(r);
	}
	return NULL;
}

void
service_close_all(void)
{
	pthread_mutex_lock(&lock);
	while (idle != NULL) {
		struct service *s = idle;

		idle = s->next;
		end(s);
	}
	pthread_mutex_unlock(&lock);
}
