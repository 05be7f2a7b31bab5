/* The search path, as far as plans depend on it: what the session has set, and what its transaction has set for itself (SET LOCAL). It is kept
 * in one form, "SET search_path TO" and quoted names, which is what is replayed and what the planner reads. */
#include "router/session/session.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SET_PATH "SET search_path TO "

static bool
names_path(const char *setting)
{
	return setting != NULL && strcmp(setting, "search_path") == 0;
}

/* One name of the list, quoted. Returns what is behind it. */
static const char *
quote_name(struct msgbuf *sql, const char *p, const char *end)
{
	bool quoted = *p == '"';

	msg_byte(sql, '"');
	for (p += quoted; p < end; p++) {
		if (quoted ? *p == '"' && (p + 1 == end || p[1] != '"')
			   : *p == ',' || isspace((unsigned char)*p))
			break;
		if (*p == '"') {
			msg_bytes(sql, "\"\"", 2);
			p += quoted;
		} else {
			msg_byte(sql,
			    quoted ? (uint8_t)*p : (uint8_t)tolower((unsigned char)*p));
		}
	}
	msg_byte(sql, '"');
	return quoted && p < end ? p + 1 : p;
}

char *
path_sql(struct slice value)
{
	const char *p = value.ptr, *end = value.ptr + value.len;
	struct msgbuf sql;
	bool any = false;

	msgbuf_init(&sql);
	msg_bytes(&sql, SET_PATH, strlen(SET_PATH));
	while (p < end) {
		if (*p == ',' || isspace((unsigned char)*p)) {
			p++;
		} else if (end - p >= 2 && p[0] == '"' && p[1] == '"') {
			p += 2; /* a name without letters is no schema */
		} else {
			msg_bytes(&sql, ", ", any ? 2 : 0);
			p = quote_name(&sql, p, end);
			any = true;
		}
	}
	msg_bytes(&sql, "''", any ? 0 : 2);
	msg_byte(&sql, '\0');
	return sql.data;
}

const char *
session_search_path(struct session *s)
{
	const char *sql = s->x != NULL && s->x->local_path != NULL
	    ? s->x->local_path
	    : varset_get(s->vars, "search_path");

	return sql == NULL ? "\"$user\", public" : sql + strlen(SET_PATH);
}

static void
assign(struct session *s, char *sql)
{
	free(s->x->local_path);
	s->x->local_path = sql;
}

void
path_apply(struct session *s, const struct sql_stmt *stmt)
{
	bool one = names_path(stmt->name);

	if ((one && (stmt->kind == STMT_SET || stmt->kind == STMT_RESET)) ||
	    stmt->kind == STMT_RESET_ALL || stmt->kind == STMT_DISCARD_ALL)
		assign(s, NULL);
	if (one && stmt->kind == STMT_SET_LOCAL)
		assign(s,
		    path_sql(stmt->value_default ? SLICE_LIT("\"$user\", public")
						 : stmt->value));
	for (int i = 0; i < stmt->n_sets; i++)
		if (names_path(stmt->sets[i].name))
			assign(s,
			    stmt->sets[i].local ? path_sql(stmt->sets[i].value) : NULL);
}

void
path_go_back(struct session *s, const char *to)
{
	assign(s, to == NULL ? NULL : strdup(to));
}

bool
path_changes(const struct sql_stmt *stmt)
{
	if (stmt->kind == STMT_RESET_ALL || stmt->kind == STMT_DISCARD_ALL)
		return true;
	if (stmt->kind == STMT_SET || stmt->kind == STMT_SET_LOCAL ||
	    stmt->kind == STMT_RESET)
		return names_path(stmt->name);
	for (int i = 0; i < stmt->n_sets; i++)
		if (names_path(stmt->sets[i].name))
			return true;
	return false;
}

/* The end of a transaction that has set one, too. */
bool
path_may_change(const struct session *s, const struct sql_stmts *stmts)
{
	const struct sql_stmt *stmt =
	    stmts == NULL || stmts->n == 0 ? NULL : &stmts->v[0];

	if (stmt == NULL || session_one_shard(s))
		return false;
	return path_changes(stmt) ||
	    ((s->x->local_path != NULL || s->vars != s->tx_vars) &&
		(stmt->kind == STMT_COMMIT || stmt->kind == STMT_ROLLBACK ||
		    stmt->kind == STMT_ROLLBACK_TO));
}
