#include "router/recovery/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/recovery/catalog_sql.h"

#define LOCK_KEY "7738145893720180594" /* two at once would trip over each other */

struct object {
	const char *kind, *name, *exists, *sql;
};
static const struct object objects[] = {
#define OBJECT(kind, name, exists, sql) {kind, name, exists, sql},
    CATALOG_OBJECTS(OBJECT)
#undef OBJECT
};

struct routine {
	const char *signature, *caller, *sql;
};
static const struct routine routines[] = {
#define ROUTINE(signature, caller, sql) {signature, caller, sql},
    CATALOG_ROUTINES(ROUTINE)
#undef ROUTINE
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

struct init {
	PGconn *conn;
	const char *role; /* quoted */
	void (*made)(const char *kind, const char *name, void *arg);
	void *arg;
};

/* "message (hint)" of the server, on one line. */
static enum rc
server_error(PGconn *conn, const PGresult *r, struct err *e)
{
	const char *state = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text =
	    r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (text == NULL)
		text = PQerrorMessage(conn);
	return err_set(e, state != NULL ? state : "08006", BLAST_SESSION, "%.*s",
	    (int)strcspn(text, "\n"), text);
}

static enum rc
execute(struct init *c, const char *sql, struct err *e)
{
	PGresult *r = PQexec(c->conn, sql);
	ExecStatusType s = PQresultStatus(r);
	enum rc rc = RC_OK;

	if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK)
		rc = server_error(c->conn, r, e);
	PQclear(r);
	return rc;
}

/* The only value of a query; heap. NULL value: *out is NULL. */
static enum rc
ask(struct init *c, const char *sql, const char *param, char **out, struct err *e)
{
	PGresult *r = PQexecParams(
	    c->conn, sql, param == NULL ? 0 : 1, NULL, &param, NULL, NULL, 0);
	enum rc rc = RC_OK;

	*out = NULL;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		rc = server_error(c->conn, r, e);
	else if (PQntuples(r) == 1 && !PQgetisnull(r, 0, 0))
		*out = strdup(PQgetvalue(r, 0, 0));
	PQclear(r);
	return rc;
}

static enum rc
make_object(struct init *c, const struct object *o, struct err *e)
{
	char *there;
	bool exists;

	if (ask(c, o->exists, NULL, &there, e) != RC_OK)
		return RC_ERR;
	exists = there != NULL && there[0] == 't';
	free(there);
	if (exists)
		return RC_OK;
	if (execute(c, o->sql, e) != RC_OK)
		return RC_ERR;
	c->made(o->kind, o->name, c->arg);
	return RC_OK;
}

static enum rc
digest(struct init *c, const struct routine *f, char **out, struct err *e)
{
	return ask(c,
	    "SELECT pg_catalog.md5(pg_catalog.pg_get_functiondef(pg_catalog.to_regprocedure($1)))",
	    f->signature, out, e);
}

static enum rc
grant(struct init *c, const struct routine *f, struct err *e)
{
	char sql[600];

	snprintf(sql, sizeof sql,
	    "REVOKE ALL ON FUNCTION %s FROM PUBLIC; GRANT EXECUTE ON FUNCTION %s TO %s",
	    f->signature, f->signature,
	    strcmp(f->caller, "PUBLIC") == 0 ? "PUBLIC" : c->role);
	return execute(c, sql, e);
}

static enum rc
make_routine(struct init *c, const struct routine *f, struct err *e)
{
	char *before = NULL, *after = NULL;
	enum rc rc = digest(c, f, &before, e);

	if (rc == RC_OK)
		rc = execute(c, f->sql, e);
	if (rc == RC_OK)
		rc = digest(c, f, &after, e);
	if (rc == RC_OK)
		rc = grant(c, f, e);
	if (rc == RC_OK &&
	    (before == NULL || after == NULL || strcmp(before, after) != 0))
		c->made(before == NULL ? "function" : "a newer function", f->signature,
		    c->arg);
	free(before);
	free(after);
	return rc;
}

/* A schema of this name that somebody else has made is not ours to trust. */
static enum rc
check_owner(struct init *c, struct err *e)
{
	char *owner;

	if (ask(c,
		"SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace "
		"WHERE nspname OPERATOR(pg_catalog.=) 'weir' AND NOT pg_catalog.pg_has_role("
		"current_user, nspowner, 'USAGE')",
		NULL, &owner, e) != RC_OK)
		return RC_ERR;
	if (owner == NULL)
		return RC_OK;
	(void)err_set(e, "42501", BLAST_SESSION,
	    "schema weir belongs to \"%s\", and this user may not act for it", owner);
	free(owner);
	return RC_ERR;
}

static enum rc
make_all(struct init *c, struct err *e)
{
	char sql[400];

	if (execute(c,
		"BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_catalog.pg_advisory_xact_lock(" LOCK_KEY
		")",
		e) != RC_OK ||
	    check_owner(c, e) != RC_OK)
		return RC_ERR;
	for (size_t i = 0; i < COUNT(objects); i++)
		if (make_object(c, &objects[i], e) != RC_OK)
			return RC_ERR;
	for (size_t i = 0; i < COUNT(routines); i++)
		if (make_routine(c, &routines[i], e) != RC_OK)
			return RC_ERR;
	snprintf(sql, sizeof sql,
	    "REVOKE ALL ON weir.txn, weir.identity FROM PUBLIC; "
	    "GRANT USAGE ON SCHEMA weir TO PUBLIC; GRANT SELECT ON weir.txn, weir.identity TO %s; COMMIT",
	    c->role);
	return execute(c, sql, e);
}

enum rc
catalog_init(PGconn *conn, const char *role,
    void (*made)(const char *kind, const char *name, void *arg), void *arg, struct err *e)
{
	char *quoted = PQescapeIdentifier(conn, role, strlen(role));
	struct init c = {conn, quoted, made, arg};
	enum rc rc;

	if (quoted == NULL)
		return server_error(conn, NULL, e);
	rc = make_all(&c, e);
	if (rc != RC_OK)
		PQclear(PQexec(conn, "ROLLBACK"));
	PQfreemem(quoted);
	return rc;
}
