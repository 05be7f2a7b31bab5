#include "router/session/service.h"

#include <stdlib.h>
#include <string.h>

#include "pool/health.h"
#include "wire/secret.h"

#define IDLE_MAX 8

/* Idle connections, keyed by backend and user. */
struct idle {
	struct idle *next;
	struct backend *backend; /* a reference */
	PGconn *conn;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct idle *idle_list;
static int n_idle;

static PGconn *
take_idle(struct backend *b, const char *user)
{
	PGconn *conn = NULL;

	pthread_mutex_lock(&lock);
	for (struct idle **at = &idle_list; *at != NULL; at = &(*at)->next) {
		struct idle *i = *at;

		if (i->backend != b ||
		    (user != NULL && strcmp(PQuser(i->conn), user) != 0))
			continue;
		conn = i->conn;
		*at = i->next;
		n_idle--;
		backend_unref(i->backend);
		free(i);
		break;
	}
	pthread_mutex_unlock(&lock);
	return conn;
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

PGconn *
service_connect(struct cluster *c, int shard, const char *user, struct err *e)
{
	struct backend *b = backend_of(c, shard);
	const struct backend_target *t = &b->target;
	const char *login = user != NULL ? user
	    : t->probe_user != NULL      ? t->probe_user
					 : c->login_user;
	const char *password = user == NULL ? t->probe_password : NULL;
	const struct secret *secret = login == NULL || c->conf->users == NULL
	    ? NULL
	    : secret_file_find(c->conf->users, slice_of(login));
	PGconn *conn = take_idle(b, login);

	if (conn != NULL && PQstatus(conn) == CONNECTION_OK)
		return conn;
	PQfinish(conn);
	if (password == NULL && secret != NULL && secret->kind == SECRET_PLAIN)
		password = secret->password;
	if (password == NULL && t->user != NULL && login != NULL &&
	    strcmp(login, t->user) == 0)
		password = t->password;
	if (password == NULL && login != NULL && login == c->login_user)
		password = c->login_password;
	const char *const names[] = {"host", "hostaddr", "port", "dbname", "user",
	    "password", "sslmode", "sslrootcert", "sslcert", "sslkey", "gssencmode",
	    "connect_timeout", "application_name", "options", NULL};
	const char *const values[] = {t->host, t->hostaddr, t->port, t->dbname, login,
	    password, t->sslmode, t->sslrootcert, t->sslcert, t->sslkey, "disable", "5",
	    "weir", user != NULL ? "-c search_path=pg_catalog" : NULL, NULL};
	conn = PQconnectdbParams(names, values, 0);
	if (PQstatus(conn) == CONNECTION_OK)
		return conn;
	service_error(conn, "connecting to the server", e);
	PQfinish(conn);
	return NULL;
}

void
service_release(struct cluster *c, int shard, PGconn *conn)
{
	struct idle *i;

	if (PQstatus(conn) != CONNECTION_OK ||
	    PQtransactionStatus(conn) != PQTRANS_IDLE || n_idle >= IDLE_MAX ||
	    (i = malloc(sizeof *i)) == NULL) {
		PQfinish(conn);
		return;
	}
	i->backend = backend_of(c, shard);
	backend_ref(i->backend);
	i->conn = conn;
	pthread_mutex_lock(&lock);
	i->next = idle_list;
	idle_list = i;
	n_idle++;
	pthread_mutex_unlock(&lock);
}

void
service_close_all(void)
{
	pthread_mutex_lock(&lock);
	while (idle_list != NULL) {
		struct idle *i = idle_list;

		idle_list = i->next;
		PQfinish(i->conn);
		backend_unref(i->backend);
		free(i);
	}
	n_idle = 0;
	pthread_mutex_unlock(&lock);
}
