/* What statements do to the session once they succeeded: settings, prepared statements, pins, savepoints, the transaction's end.
 * Settings are immutable sets, so what a rollback goes back to is a pointer that was kept. */
#include "router/session/session.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
session_set_var(struct session *s, const char *name, const char *sql)
{
	struct link *l = s->server == NULL ? NULL : link_of(s->server);
	bool same = l != NULL && l->vars == s->vars;

	varset_assign(&s->vars, varset_with(s->vars, name, sql));
	if (l != NULL) /* it is applied there too */
		varset_assign(&l->vars,
		    same ? varset_ref(s->vars) : varset_with(l->vars, name, sql));
}

static void
go_back_to(struct session *s, struct varset *vars)
{
	varset_assign(&s->vars, varset_ref(vars));
	if (s->server != NULL)
		varset_assign(&link_of(s->server)->vars, varset_ref(vars));
}

/* ---- savepoints ---- */

static void
savepoint_push(struct exec *x, const char *name, struct varset *vars)
{
	struct savepoint *p = malloc(sizeof *p + strlen(name) + 1);

	if (p == NULL)
		abort();
	p->next = x->savepoints;
	p->vars = varset_ref(vars);
	p->temps = temps_ref(x->temps);
	p->local_path = x->local_path == NULL ? NULL : strdup(x->local_path);
	strcpy(p->name, name);
	x->savepoints = p;
}

static void
savepoint_pop(struct exec *x)
{
	struct savepoint *p = x->savepoints;

	x->savepoints = p->next;
	varset_unref(p->vars);
	temps_unref(p->temps);
	free(p->local_path);
	free(p);
}

void
savepoints_clear(struct exec *x)
{
	while (x->savepoints != NULL)
		savepoint_pop(x);
}

bool
savepoint_exists(const struct exec *x, const char *name)
{
	for (const struct savepoint *p = x->savepoints; p != NULL; p = p->next)
		if (strcmp(p->name, name) == 0)
			return true;
	return false;
}

static void
release_savepoint(struct exec *x, const char *name)
{
	bool found = false;

	if (!savepoint_exists(x, name))
		return;
	while (!found) {
		found = strcmp(x->savepoints->name, name) == 0;
		savepoint_pop(x);
	}
}

static void
rollback_to(struct session *s, const char *name)
{
	struct exec *x = s->x;

	if (!savepoint_exists(x, name))
		return;
	while (strcmp(x->savepoints->name, name) != 0)
		savepoint_pop(x);
	go_back_to(s, x->savepoints->vars);
	temps_unref(x->temps);
	x->temps = temps_ref(x->savepoints->temps);
	path_go_back(s, x->savepoints->local_path);
	x->tx_failed = false;
	x->unpin = 0; /* not known how much of it stands; a pin too many does no harm */
}

/* ---- cursors ---- */

static struct cursor *
cursor_of(const struct exec *x, const char *name)
{
	for (struct cursor *c = x->cursors; c != NULL; c = c->next)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static void
cursor_declared(struct exec *x, const char *name)
{
	struct cursor *c = cursor_of(x, name);

	if (c == NULL) {
		c = malloc(sizeof *c + strlen(name) + 1);
		if (c == NULL)
			abort();
		strcpy(c->name, name);
		c->next = x->cursors;
		x->cursors = c;
	}
	c->shard = x->shard;
}

static void
cursors_clear(struct exec *x)
{
	while (x->cursors != NULL) {
		struct cursor *c = x->cursors;

		x->cursors = c->next;
		free(c);
	}
}

int
effects_cursor_shard(const struct session *s, const char *name)
{
	const struct cursor *c = cursor_of(s->x, name);

	return c != NULL                       ? c->shard
	    : (s->pins & PIN_CURSOR_HOLD) != 0 ? s->x->pin_shard
					       : SHARD_NONE;
}

/* ---- the transaction ---- */

void
effects_log(struct session *s, enum stmt_kind kind, const char *name, struct slice sql)
{
	struct exec *x = s->x;
	int others = 0;

	LIST_FOREACH(it, &x->branches) {
		int done = LIST_ENTRY(it, struct branch, node)->log_done;

		others = done > others ? done : others;
	}
	txlog_add(&x->log, kind, name, sql, others);
	if (s->server != NULL)
		x->log_done = x->log.n;
}

#define ROLLED_BACK (PIN_TEMP | PIN_LISTEN | PIN_CURSOR_HOLD)

void
effects_transaction_over(struct session *s, bool committed)
{
	struct exec *x = s->x;

	if (s->vars != s->tx_vars && committed)
		varset_assign(&s->tx_vars, varset_ref(s->vars));
	else if (s->vars != s->tx_vars)
		go_back_to(s, s->tx_vars);
	if (x == NULL)
		return;
	if (committed)
		s->pins &= (uint8_t)~x->unpin;
	else /* what it made is gone */
		s->pins &= (uint8_t) ~(ROLLED_BACK & ~x->tx_pins);
	x->unpin = 0;
	x->tx_pins = s->pins;
	temps_transaction_over(x, committed);
	path_go_back(s, NULL);
	if (x->schema_changed) { /* nobody need wait for it before */
		atomic_fetch_add(&s->db->cluster->schema_wanted, 1);
		s->w->proc->schema_wanted(s->w->proc, s->db->cluster);
	}
	x->schema_changed = false;
	free(x->lost);
	x->lost = NULL;
	savepoints_clear(x);
	cursors_clear(x);
	free(x->begin);
	x->begin = NULL;
	txlog_clear(&x->log);
	x->log_done = 0;
	x->begun = x->firm = x->tx_read_only = x->tx_failed = x->doomed = false;
	x->locked = x->unpreparable = x->set_unseen = false;
	x->wrote_nth = x->n_wrote = 0;
}

/* ---- prepared statements ---- */

void
effects_forget_names(struct session *s)
{
	names_clear(&s->names);
}

static void
discard_all(struct session *s)
{
	effects_forget_names(s);
	s->x->all_reset = true;
	s->pins = 0;
	varset_assign(&s->vars, varset_ref(s->start_vars));
	varset_assign(&s->tx_vars, varset_ref(s->start_vars));
	s->shard_setting = SHARD_NONE;
	s->target = TARGET_AUTO;
	if (s->server != NULL) {
		varset_assign(&link_of(s->server)->vars, NULL);
		link_drop_all(link_of(s->server));
	}
}

/* ---- settings ---- */

/* SET SESSION CHARACTERISTICS sets up to three settings; each is kept under its own name, so that RESET finds it. */
static void
set_characteristics(struct session *s, const char *sql)
{
	static const char *const modes[][3] = {
	    {"default_transaction_isolation", "isolation level serializable",
		"serializable"},
	    {"default_transaction_isolation", "isolation level repeatable read",
		"repeatable read"},
	    {"default_transaction_isolation", "isolation level read committed",
		"read committed"},
	    {"default_transaction_isolation", "isolation level read uncommitted",
		"read uncommitted"},
	    {"default_transaction_read_only", "read only", "on"},
	    {"default_transaction_read_only", "read write", "off"},
	    {"default_transaction_deferrable", "not deferrable", "off"},
	    {"default_transaction_deferrable", "deferrable", "on"}};
	char plain[512], value[128];
	size_t n = 0;

	for (const char *p = sql; *p != '\0' && n + 1 < sizeof plain; p++)
		if (!isspace((unsigned char)*p) || (n > 0 && plain[n - 1] != ' '))
			plain[n++] = (char)(isspace((unsigned char)*p)
				? ' '
				: tolower((unsigned char)*p));
	plain[n] = '\0';
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		if (strstr(plain, modes[i][1]) != NULL &&
		    !(i == 7 && strstr(plain, modes[6][1]) != NULL)) {
			snprintf(value, sizeof value, "SET %s TO '%s'", modes[i][0],
			    modes[i][2]);
			session_set_var(s, modes[i][0], value);
		}
}

/* Who is in force sets the role aside, as PostgreSQL does. */
static void
role_goes(struct session *s, const char *name)
{
	if (strcmp(name, "session_authorization") == 0)
		session_set_var(s, "role", NULL);
}

static void
set(struct session *s, const struct sql_stmt *stmt)
{
	char *sql;

	if (strncmp(stmt->name, "weir.", 5) == 0)
		return;
	sql = strcmp(stmt->name, "search_path") == 0
	    ? path_sql(stmt->value)
	    : strndup(stmt->text.ptr, stmt->text.len);
	if (strcmp(stmt->name, "transaction_mode") == 0)
		set_characteristics(s, sql);
	else
		session_set_var(s, stmt->name, sql);
	role_goes(s, stmt->name);
	free(sql);
}

/* The server goes to its own default: what the start-up packet set is replayed before the next statement. */
static void
reset(struct session *s, const char *name)
{
	const char *start = varset_get(s->start_vars, name);

	role_goes(s, name);
	session_set_var(s, name, NULL);
	if (start != NULL)
		varset_assign(&s->vars, varset_with(s->vars, name, start));
}

/* `to`, but who the session is stays: RESET ALL does not concern roles. */
static struct varset *
with_roles_of(const struct varset *from, struct varset *to)
{
	static const char *const names[] = {"role", "session_authorization"};
	struct varset *set = varset_ref(to);

	for (int i = 0; i < 2; i++) {
		const char *value = varset_get(from, names[i]);

		if (value != NULL)
			varset_assign(&set, varset_with(set, names[i], value));
	}
	return set;
}

static void
reset_all(struct session *s)
{
	if (s->server != NULL)
		varset_assign(&link_of(s->server)->vars, with_roles_of(s->vars, NULL));
	varset_assign(&s->vars, with_roles_of(s->vars, s->start_vars));
}

static void
set_configs(struct session *s, const struct sql_stmt *stmt)
{
	for (int i = 0; i < stmt->n_sets; i++) {
		bool local = stmt->sets[i].local;
		char *sql = session_set_config_sql(
		    stmt->sets[i].name, stmt->sets[i].value, local);

		if (!local)
			session_set_var(s, stmt->sets[i].name, sql);
		if (s->x->begin != NULL)
			effects_log(
			    s, local ? STMT_SET_LOCAL : STMT_SET, NULL, slice_of(sql));
		free(sql);
	}
}

/* ---- one statement ---- */

/* A server has begun a transaction block. */
static void
begin(struct session *s, struct slice sql, bool read_only)
{
	struct exec *x = s->x;

	if (x->begin != NULL)
		return;
	x->begin = strndup(sql.ptr, sql.len);
	x->begun = true;
	x->firm = true;
	x->tx_read_only = read_only;
}

static void
end(struct session *s, const struct sql_stmt *stmt, struct slice tag)
{
	struct exec *x = s->x;
	char *sql =
	    stmt->chain && x->begin != NULL ? txlog_chain(&x->log, x->begin) : NULL;
	bool read_only = x->tx_read_only;

	effects_transaction_over(s, slice_eq_str(tag, "COMMIT"));
	if (sql != NULL)
		begin(s, slice_of(sql), read_only);
	free(sql);
}

static void
statement(struct session *s, const struct sql_stmt *stmt, struct prepared *prepared,
    struct slice tag)
{
	switch (stmt->kind) {
	case STMT_SET:
		set(s, stmt);
		break;
	case STMT_RESET:
		reset(s, stmt->name);
		break;
	case STMT_RESET_ALL:
		s->x->all_reset = true;
		reset_all(s);
		break;
	case STMT_DISCARD_ALL:
		discard_all(s);
		break;
	case STMT_DISCARD:
		if (stmt->name != NULL && strcmp(stmt->name, "temp") == 0)
			s->x->unpin |= PIN_TEMP;
		break;
	case STMT_PREPARE:
		if (prepared != NULL)
			prepared_unref(names_put(
			    &s->names, slice_of(stmt->name), prepared_ref(prepared)));
		break;
	case STMT_DEALLOCATE:
		prepared_unref(names_put(&s->names, slice_of(stmt->name), NULL));
		break;
	case STMT_DEALLOCATE_ALL:
		effects_forget_names(s);
		if (s->server != NULL)
			link_drop_all(link_of(s->server));
		break;
	case STMT_UNLISTEN:
		if (stmt->name == NULL)
			s->x->unpin |= PIN_LISTEN;
		break;
	case STMT_BEGIN:
		begin(s, stmt->text, stmt->read_only);
		break;
	case STMT_COMMIT:
	case STMT_ROLLBACK:
		end(s, stmt, tag);
		if (s->tx == 'E')
			s->tx = stmt->chain ? 'T' : 'I';
		break;
	case STMT_PREPARE_XACT:
		effects_transaction_over(s, slice_eq_str(tag, "PREPARE TRANSACTION"));
		break;
	case STMT_DECLARE:
		if (s->x->begin != NULL)
			cursor_declared(s->x, stmt->name);
		break;
	case STMT_SAVEPOINT:
		savepoint_push(s->x, stmt->name, s->vars);
		break;
	case STMT_RELEASE:
		release_savepoint(s->x, stmt->name);
		break;
	case STMT_ROLLBACK_TO:
		rollback_to(s, stmt->name);
		if (s->tx == 'E')
			s->tx = 'T';
		break;
	case STMT_DDL:
		atomic_fetch_add(&s->db->cluster->ddl, 1);
		if (temps_made_by(s, stmt))
			break;
		s->x->schema_changed = true;
		break;
	default:
		break;
	}
}

/* By the extended protocol EXECUTE is a statement of its own, above what it runs. */
static const struct sql_stmt *
executed(const struct sql_stmt *stmt, const struct prepared *p)
{
	if (stmt->kind != STMT_EXECUTE || p == NULL)
		return stmt;
	if (p->below != NULL)
		p = p->below;
	return p->shape->stmts != NULL && p->shape->stmts->n == 1 ? &p->shape->stmts->v[0]
								  : stmt;
}

static bool
tentative(const struct sql_stmt *stmt)
{
	switch (stmt->kind) {
	case STMT_SET:
	case STMT_SET_LOCAL:
	case STMT_SET_TRANSACTION:
	case STMT_RESET:
	case STMT_RESET_ALL:
	case STMT_SHOW:
	case STMT_SAVEPOINT:
	case STMT_RELEASE:
	case STMT_ROLLBACK_TO:
	case STMT_SET_CONSTRAINTS:
		return true;
	default:
		return false;
	}
}

/* What brings the settings there on another server: RESET would stop at that server's own. */
static void
log_statement(struct session *s, const struct sql_stmt *stmt)
{
	const struct varset *start = s->start_vars;
	bool all = stmt->kind == STMT_RESET_ALL;

	effects_log(s, stmt->kind, stmt->name, stmt->text);
	for (int i = 0;
	     (all || stmt->kind == STMT_RESET) && start != NULL && i < start->n; i++)
		if (all || strcmp(start->v[i].name, stmt->name) == 0)
			effects_log(s, STMT_SET, NULL, slice_of(start->v[i].value));
}

/* What PostgreSQL refuses at PREPARE TRANSACTION; a session that has temporary tables may have used one. */
static bool
unpreparable(const struct session *s, const struct sql_stmt *stmt)
{
	if (stmt->kind == STMT_LISTEN || stmt->kind == STMT_UNLISTEN ||
	    stmt->kind == STMT_NOTIFY ||
	    (stmt->pins & (PIN_TEMP | PIN_CURSOR_HOLD)) != 0 ||
	    ((s->pins & PIN_TEMP) != 0 && s->x->pin_shard == s->x->shard))
		return true;
	for (int i = 0; i < stmt->n_funcs; i++)
		if (strcmp(stmt->funcs[i].name, "pg_notify") == 0 ||
		    strcmp(stmt->funcs[i].name, "pg_export_snapshot") == 0)
			return true;
	return false;
}

void
effects_apply(struct session *s, const struct sql_stmt *stmt, struct prepared *prepared,
    struct slice tag)
{
	struct exec *x = s->x;
	bool logged = x->begin != NULL;

	stmt = executed(stmt, prepared);
	if (s->pins == 0 && (temps_made_by(s, stmt) || stmt->pins != 0))
		x->pin_shard = x->shard;
	if (temps_made_by(s, stmt))
		s->pins |= PIN_TEMP;
	s->pins |= (uint8_t)stmt->pins;
	x->unpin &= (uint8_t)~stmt->pins;
	x->unpreparable = x->unpreparable || unpreparable(s, stmt);
	if (stmt->n_sets > 0 && !slice_eq_str(tag, "SELECT 0"))
		set_configs(s, stmt);
	x->set_unseen = x->set_unseen || (stmt->pins & PIN_SET_CONFIG) != 0;
	path_apply(s, stmt);
	temps_apply(s, stmt);
	statement(s, stmt, prepared, tag);
	if (logged && x->begin != NULL && stmt->text.len > 0 && tentative(stmt) &&
	    stmt->kind != STMT_SHOW)
		log_statement(s, stmt);
}

/* ---- settings that no parser sees: what a function or DO has set ---- */

static bool
is_tracked(const struct session *s, const char *name)
{
	static const char *const always[] = {"application_name", "client_encoding",
	    "datestyle", "standard_conforming_strings", "timezone"};
	const struct setting_list *more =
	    &s->db->cluster->conf->settings.track_extra_parameters;

	for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
		if (strcasecmp(always[i], name) == 0)
			return true;
	for (int i = 0; i < more->n; i++)
		if (strcasecmp(more->items[i], name) == 0)
			return true;
	return false;
}

static bool
same_value(const struct varset *a, const struct varset *b, const char *name)
{
	const char *x = varset_get(a, name), *y = varset_get(b, name);

	return x == y || (x != NULL && y != NULL && strcmp(x, y) == 0);
}

/* The server reports another value, and no statement of the transaction says why: `vars`
 * are the session's settings before it. */
static void
keep_hidden(struct session *s, const struct varset *vars)
{
	const struct varset *before = s->x->params_before,
			    *now = s->server == NULL ? NULL : link_of(s->server)->params;

	for (int i = 0; now != NULL && i < now->n; i++) {
		const struct var *v = &now->v[i];
		char *sql, *name;

		if (!is_tracked(s, v->name) || same_value(before, now, v->name) ||
		    !same_value(vars, s->vars, v->name))
			continue;
		sql = session_set_config_sql(v->name, slice_of(v->value), false);
		name = strdup(v->name);
		for (char *p = name; *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		session_set_var(s, name, sql);
		free(name);
		free(sql);
	}
	varset_assign(&s->tx_vars, varset_ref(s->vars));
}

static void
transaction_ends(struct session *s)
{
	struct exec *x = s->x;
	struct varset *vars;

	if (x->params_before == NULL) {
		effects_transaction_over(s, !x->failed);
		return;
	}
	vars = varset_ref(s->tx_vars);
	effects_transaction_over(s, !x->failed);
	if (!x->all_reset)
		keep_hidden(s, vars);
	varset_unref(vars);
	varset_assign(&x->params_before, NULL);
	x->all_reset = false;
}

/* ---- the end of a cycle ---- */

void
effects_cycle_end(struct session *s, char status)
{
	struct exec *x = s->x;

	if (status == 'I') {
		transaction_ends(s);
		if (x->wrote)
			tokens_wrote(s, x->shard);
		x->wrote = false;
	} else if (status == 'T') {
		x->tx_failed = x->tx_failed && s->tx == 'E';
	}
}

/* ---- kinds ---- */

bool
effects_ends_failed(const struct session *s, const struct sql_stmts *stmts)
{
	enum stmt_kind kind;

	if (stmts == NULL || stmts->n == 0)
		return stmts != NULL;
	kind = stmts->v[0].kind;
	return kind == STMT_COMMIT || kind == STMT_ROLLBACK ||
	    kind == STMT_PREPARE_XACT || (kind == STMT_ROLLBACK_TO && !s->x->doomed);
}

bool
effects_tentative(const struct sql_stmts *stmts)
{
	return stmts != NULL && stmts->n == 1 && tentative(&stmts->v[0]) &&
	    stmts->v[0].text.len > 0;
}
