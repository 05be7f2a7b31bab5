/* router/config/check_server.c: connects to one server and looks at it. */
#include "router/config/check_server.h"

#include <stdarg.h>
#include <stdlib.h>

#include "wire/secret.h"

#define TIMEOUT_MAX_S 10
#define PARAMS_MAX    40

static const char facts_sql[] =
    "SELECT pg_is_in_recovery(), current_setting('server_version_num'),"
    " current_setting('max_connections'), "
    "current_setting('superuser_reserved_connections'),"
    " current_setting('max_prepared_transactions'),"
    " pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype"
    " FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

static const char collation_sql[] =
    "SELECT coalesce(d.datcollversion, '') FROM pg_catalog.pg_database d"
    " WHERE d.datname = pg_catalog.current_database()";

static const char system_sql[] =
    "SELECT system_identifier FROM pg_catalog.pg_control_system()";

/* ---- login ---- */

struct login {
	const char *user, *password;
};

/* Who asks: service_user, else the database's user, else the server's, else the one who runs auth_query. */
static struct login
login_of(const struct probe *p)
{
	const struct db_conf *db = p->db;
	bool service = db->settings.service_user[0] != '\0';
	const char *auth_user =
	    service ? db->settings.service_user : db->settings.auth_user;
	const struct secret *secret;

	if (!service && db->user != NULL)
		return (struct login){db->user, db->password};
	if (!service && p->server->user != NULL)
		return (struct login){p->server->user, p->server->password};
	if (auth_user[0] == '\0')
		return (struct login){NULL, NULL};
	secret =
	    db->users != NULL ? secret_file_find(db->users, slice_of(auth_user)) : NULL;
	if (secret != NULL && secret->kind == SECRET_PLAIN)
		return (struct login){auth_user, secret->password};
	return (struct login){auth_user,
	    server_password(p->server, &p->server->hosts[0],
		p->server->dbname != NULL ? p->server->dbname : db->name, auth_user)};
}

struct params {
	const char *names[PARAMS_MAX], *values[PARAMS_MAX];
	int n;
};

static void
put(struct params *ps, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0' || ps->n >= PARAMS_MAX - 1)
		return;
	ps->names[ps->n] = name;
	ps->values[ps->n++] = value;
}

static const char *
joined_hosts(struct check *c, const struct server_conf *s, char part)
{
	const char *text = "";
	bool any = false;

	for (int i = 0; i < s->n_hosts; i++) {
		const struct host_conf *h = &s->hosts[i];
		const char *between = i == 0 ? "" : ",";

		if (part == 'p') {
			text = arena_printf(&c->arena, "%s%s%u", text, between, h->port);
			any = true;
		} else {
			const char *v = part == 'h' ? h->host : h->hostaddr;

			text = arena_printf(
			    &c->arena, "%s%s%s", text, between, v != NULL ? v : "");
			any = any || v != NULL;
		}
	}
	return any ? text : NULL;
}

static const char *
libpq_mode(enum tls_mode mode)
{
	static const char *const names[] = {[TLS_MODE_OFF] = "disable",
	    [TLS_MODE_ALLOW] = "allow",
	    [TLS_MODE_PREFER] = "prefer",
	    [TLS_MODE_REQUIRE] = "require",
	    [TLS_MODE_VERIFY_CA] = "verify-ca",
	    [TLS_MODE_VERIFY_FULL] = "verify-full"};

	return names[mode];
}

static void
fill_params(
    struct check *c, const struct probe *p, const struct login *l, struct params *ps)
{
	const struct server_conf *s = p->server;
	uint64_t us = s->connect_timeout_us != 0
	    ? s->connect_timeout_us
	    : p->db->settings.server_connect_timeout_us;
	uint64_t seconds = us / 1000000;

	if (seconds > TIMEOUT_MAX_S)
		seconds = TIMEOUT_MAX_S;
	put(ps, "host", joined_hosts(c, s, 'h'));
	put(ps, "hostaddr", joined_hosts(c, s, 'a'));
	put(ps, "port", joined_hosts(c, s, 'p'));
	if (p->is_primary && s->n_hosts > 1)
		put(ps, "target_session_attrs", "primary");
	put(ps, "dbname", s->dbname != NULL ? s->dbname : p->db->name);
	put(ps, "user", l->user);
	put(ps, "password", l->password);
	put(ps, "sslmode", libpq_mode(s->tls_mode));
	put(ps, "sslrootcert", s->sslrootcert);
	put(ps, "sslcert", s->sslcert);
	put(ps, "sslkey", s->sslkey);
	put(ps, "options", s->options);
	put(ps, "gssencmode", "disable");
	put(ps, "passfile", "/dev/null/none");
	put(ps, "application_name", "weir check");
	put(ps, "connect_timeout",
	    arena_printf(&c->arena, "%d", seconds < 2 ? 2 : (int)seconds));
	ps->names[ps->n] = NULL;
	ps->values[ps->n] = NULL;
}

/* libpq's message on one line. */
static const char *
one_line(struct check *c, const char *message)
{
	char *copy = arena_strdup(&c->arena, message);
	size_t len = strlen(copy);

	while (len > 0 && copy[len - 1] == '\n')
		copy[--len] = '\0';
	for (char *nl = copy; (nl = strchr(nl, '\n')) != NULL;)
		*nl = ' ';
	return copy;
}

/* ---- facts ---- */

const char *
check_ask(struct check *c, struct probe *p, const char *sql, const char *param)
{
	PGresult *r = PQexecParams(
	    p->conn, sql, param != NULL ? 1 : 0, NULL, &param, NULL, NULL, 0);
	const char *text = NULL;

	if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0 &&
	    !PQgetisnull(r, 0, 0))
		text = arena_strdup(&c->arena, PQgetvalue(r, 0, 0));
	PQclear(r);
	return text;
}

static const char *
cell(struct check *c, const PGresult *r, int column)
{
	return arena_strdup(&c->arena, PQgetvalue(r, 0, column));
}

static bool
ask_facts(struct check *c, struct probe *p)
{
	PGresult *r = PQexec(p->conn, facts_sql);

	if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
		check_tell(c, false, p->server, "%s: %s", p->label,
		    one_line(c, PQerrorMessage(p->conn)));
		PQclear(r);
		return false;
	}
	p->in_recovery = PQgetvalue(r, 0, 0)[0] == 't';
	p->version = atoi(PQgetvalue(r, 0, 1));
	p->max_connections = atoi(PQgetvalue(r, 0, 2));
	p->reserved_connections = atoi(PQgetvalue(r, 0, 3));
	p->max_prepared_transactions = atoi(PQgetvalue(r, 0, 4));
	p->encoding = cell(c, r, 5);
	p->collation = cell(c, r, 6);
	p->ctype = cell(c, r, 7);
	PQclear(r);
	if (p->version >= 150000)
		p->collation_version = check_ask(c, p, collation_sql, NULL);
	p->system_id = check_ask(c, p, system_sql, NULL);
	return true;
}

static void
check_role(struct check *c, const struct probe *p)
{
	if (p->is_primary && p->in_recovery)
		check_tell(c, false, p->server,
		    "%s: it is in recovery: a replica, not a primary", p->label);
	if (!p->is_primary && !p->in_recovery)
		check_tell(c, false, p->server,
		    "%s: it is not in recovery: a primary, not a replica", p->label);
}

static void __attribute__((format(printf, 3, 4)))
progress(struct check *c, const struct probe *p, const char *fmt, ...)
{
	va_list ap;

	if (c->progress == NULL)
		return;
	fprintf(c->progress, "%s: ", p->label);
	va_start(ap, fmt);
	vfprintf(c->progress, fmt, ap);
	va_end(ap);
	fputc('\n', c->progress);
	fflush(c->progress);
}

static void
not_reached(struct check *c, struct probe *p)
{
	check_tell(c, false, p->server, "%s: %s", p->label,
	    one_line(c, PQerrorMessage(p->conn)));
	progress(c, p, "not reached");
	PQfinish(p->conn);
	p->conn = NULL;
}

void
check_server(struct check *c, struct probe *p)
{
	struct login l = login_of(p);
	struct params ps = {.n = 0};

	if (p->db->wildcard && p->server->dbname == NULL) {
		progress(c, p, "not tried (the database's name is the client's)");
		return;
	}
	if (l.user == NULL) {
		check_tell(c, true, p->server,
		    "%s: not tried, as there is no user to log in as (the conninfo's, "
		    "the database's, or auth.auth_user)",
		    p->label);
		return;
	}
	fill_params(c, p, &l, &ps);
	p->conn = PQconnectdbParams(ps.names, ps.values, 0);
	if (PQstatus(p->conn) != CONNECTION_OK || !ask_facts(c, p)) {
		not_reached(c, p);
		return;
	}
	progress(c, p, "PostgreSQL %d.%d, %s, %d connections", p->version / 10000,
	    p->version % 10000, p->in_recovery ? "replica" : "primary",
	    p->max_connections);
	check_role(c, p);
}
