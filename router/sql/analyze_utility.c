/* Statements that mean something to the session: settings, transactions, prepared
 * statements, cursors, notifications. */
#include <ctype.h>
#include <strings.h>

#include "router/sql/analyze_int.h"

#define NODE(x) PG_QUERY__NODE__NODE_##x

/* DECLARE's option bits, as PostgreSQL's parser gives them. */
#define CURSOR_HOLD 0x0020

static char *
lower(struct analysis *an, const char *s)
{
	char *copy = arena_strdup(an->arena, s == NULL ? "" : s);

	for (char *p = copy; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

/* ---- SET ---- */

static const char *
const_text(struct analysis *an, const PgQuery__Node *n)
{
	const PgQuery__AConst *c =
	    n != NULL && n->node_case == NODE(A_CONST) ? n->a_const : NULL;

	if (c == NULL || c->isnull)
		return NULL;
	switch (c->val_case) {
	case PG_QUERY__A__CONST__VAL_IVAL:
		return arena_printf(an->arena, "%d", c->ival->ival);
	case PG_QUERY__A__CONST__VAL_FVAL:
		return c->fval->fval;
	case PG_QUERY__A__CONST__VAL_SVAL:
		return c->sval->sval;
	case PG_QUERY__A__CONST__VAL_BOOLVAL:
		return c->boolval->boolval ? "true" : "false";
	default:
		return NULL;
	}
}

static bool
plain_name(const char *s)
{
	if (!(islower((unsigned char)*s) || *s == '_'))
		return false;
	for (; *s != '\0'; s++)
		if (!islower((unsigned char)*s) && !isdigit((unsigned char)*s) &&
		    *s != '_')
			return false;
	return true;
}

/* "a, b": each as a quoted name where it must be, as the server keeps lists of names. */
static const char *
append_quoted(struct analysis *an, const char *list, const char *item, bool names)
{
	char *quoted, *p;

	if (names && !plain_name(item)) {
		p = quoted = arena_alloc(an->arena, strlen(item) * 2 + 3);
		*p++ = '"';
		for (; *item != '\0'; item++) {
			if (*item == '"')
				*p++ = '"';
			*p++ = *item;
		}
		*p = '"';
		item = quoted;
	}
	return list == NULL ? arena_strdup(an->arena, item)
			    : arena_printf(an->arena, "%s, %s", list, item);
}

static bool
is_name_list(const char *setting)
{
	static const char *const lists[] = {"search_path", "temp_tablespaces",
	    "session_preload_libraries", "local_preload_libraries",
	    "shared_preload_libraries", "unix_socket_directories"};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		if (strcmp(setting, lists[i]) == 0)
			return true;
	return false;
}

/* Several arguments: the value that the server makes of them. What it cannot be made of
 * (an INTERVAL) is given as written. */
static struct slice
list_value(struct analysis *an, const PgQuery__VariableSetStmt *s)
{
	const char *list = NULL;

	if (s->n_args > 1000)
		return (struct slice){NULL, 0};
	for (size_t i = 0; i < s->n_args; i++) {
		const char *item = const_text(an, s->args[i]);

		if (item == NULL)
			return (struct slice){NULL, 0};
		list = append_quoted(an, list, item, is_name_list(an->stmt->name));
	}
	return list == NULL ? (struct slice){NULL, 0} : slice_of(list);
}

/* The arguments as they stand in the text: behind TO, '=' or the words of SET TIME ZONE.
 */
static struct slice
written_value(const struct sql_stmt *st)
{
	struct scan s = {st->text.ptr, st->text.ptr + st->text.len, NULL, 0};
	enum token t;

	while ((t = scan_next(&s)) != TOKEN_END)
		if ((t == TOKEN_OP && s.len == 1 && *s.token == '=') ||
		    (t == TOKEN_WORD &&
			(scan_word(&s, "to") || scan_word(&s, "zone") ||
			    scan_word(&s, "snapshot"))))
			return scan_trim((struct slice){s.p, (size_t)(s.end - s.p)});
	return st->text;
}

static void
set_value(struct analysis *an, const PgQuery__VariableSetStmt *s)
{
	struct sql_stmt *st = an->stmt;
	const char *one = s->n_args == 1 ? const_text(an, s->args[0]) : NULL;

	if (one != NULL && !is_name_list(st->name))
		st->value = slice_of(arena_strdup(an->arena, one));
	else if (s->n_args > 0)
		st->value = list_value(an, s);
	if (st->value.ptr == NULL)
		st->value = written_value(st);
}

/* The modes of BEGIN, SET TRANSACTION and SET SESSION CHARACTERISTICS. */
static void
transaction_modes(struct sql_stmt *st, size_t n, PgQuery__Node *const *opts)
{
	for (size_t i = 0; i < n; i++) {
		const PgQuery__DefElem *d =
		    opts[i]->node_case == NODE(DEF_ELEM) ? opts[i]->def_elem : NULL;
		const PgQuery__Node *arg = d == NULL ? NULL : d->arg;

		if (d == NULL || strcmp(d->defname, "transaction_read_only") != 0 ||
		    arg == NULL || arg->node_case != NODE(A_CONST) ||
		    arg->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
			continue;
		st->read_only = arg->a_const->ival->ival != 0;
		st->read_write = !st->read_only;
	}
}

static void
set_multi(struct analysis *an, const PgQuery__VariableSetStmt *s)
{
	struct sql_stmt *st = an->stmt;

	if (strcmp(s->name, "SESSION CHARACTERISTICS") == 0) {
		st->kind = STMT_SET;
		st->name = "transaction_mode";
		st->value = scan_behind(st->text, "transaction");
	} else {
		st->kind = STMT_SET_TRANSACTION;
	}
	if (strcmp(s->name, "TRANSACTION SNAPSHOT") != 0)
		transaction_modes(st, s->n_args, s->args);
}

/* SET transaction_read_only = on speaks of the current transaction, as SET TRANSACTION
 * does. */
static void
set_of_transaction(struct sql_stmt *st)
{
	static const char *const words[] = {"on", "true", "yes", "1", "t", "y"};

	if (strcmp(st->name, "transaction_read_only") == 0) {
		st->read_write = true;
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (st->value.len == strlen(words[i]) &&
			    strncasecmp(st->value.ptr, words[i], st->value.len) == 0)
				st->read_only = true;
		st->read_write = !st->read_only;
	}
	st->kind = STMT_SET_TRANSACTION;
}

static bool
is_of_transaction(const char *name)
{
	return strcmp(name, "transaction_read_only") == 0 ||
	    strcmp(name, "transaction_isolation") == 0 ||
	    strcmp(name, "transaction_deferrable") == 0;
}

static void
set_stmt(struct analysis *an, const PgQuery__VariableSetStmt *s)
{
	struct sql_stmt *st = an->stmt;

	if (s->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI) {
		set_multi(an, s);
		return;
	}
	st->kind = s->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL ? STMT_RESET_ALL
	    : s->is_local                                                ? STMT_SET_LOCAL
	    : s->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET ||
		s->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT
	    ? STMT_RESET
	    : STMT_SET;
	if (st->kind == STMT_RESET_ALL)
		return;
	st->name = lower(an, s->name);
	st->value_default = s->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT;
	if (s->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE)
		set_value(an, s);
	if (is_of_transaction(st->name))
		set_of_transaction(st);
}

/* ---- transactions ---- */

static void
transaction_stmt(struct analysis *an, const PgQuery__TransactionStmt *t)
{
	static const enum stmt_kind kinds[] = {
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN] = STMT_BEGIN,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START] = STMT_BEGIN,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT] = STMT_COMMIT,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK] = STMT_ROLLBACK,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT] = STMT_SAVEPOINT,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE] = STMT_RELEASE,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO] = STMT_ROLLBACK_TO,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE] = STMT_PREPARE_XACT,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT_PREPARED] =
		STMT_COMMIT_PREPARED,
	    [PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_PREPARED] =
		STMT_ROLLBACK_PREPARED,
	};
	struct sql_stmt *st = an->stmt;

	if ((size_t)t->kind >= sizeof kinds / sizeof *kinds || t->kind == 0)
		return;
	st->kind = kinds[t->kind];
	st->chain = t->chain;
	st->name = an_strdup(an, t->gid);
	if (st->name == NULL)
		st->name = an_strdup(an, t->savepoint_name);
	if (st->kind == STMT_BEGIN)
		transaction_modes(st, t->n_options, t->options);
	if (st->kind == STMT_COMMIT_PREPARED || st->kind == STMT_ROLLBACK_PREPARED)
		st->if_needed_alone = true;
}

/* ---- prepared statements, cursors ---- */

static void
adopt_inner(struct sql_stmt *st, bool runs)
{
	if (st->inner == NULL || !runs)
		return;
	st->pins |= st->inner->pins;
	st->temp_object |= st->inner->temp_object;
	st->uses_session_seq |= st->inner->uses_session_seq;
}

static void
declare_stmt(struct analysis *an, const PgQuery__DeclareCursorStmt *d)
{
	struct sql_stmt *st = an->stmt;

	st->kind = STMT_DECLARE;
	st->name = an_strdup(an, d->portalname);
	st->inner = an_inner(an, d->query);
	st->body = scan_behind(st->text, "for");
	adopt_inner(st, true);
	if ((d->options & CURSOR_HOLD) != 0)
		st->pins |= PIN_CURSOR_HOLD;
}

static void
execute_stmt(struct analysis *an, const PgQuery__ExecuteStmt *e)
{
	struct sql_stmt *st = an->stmt;
	struct sql_value *args =
	    ARENA_NEW_N(an->arena, struct sql_value, e->n_params + 1);
	struct sql_query *q = an_level(an, Q_UTILITY, NULL, PLACE_ROOT, NULL);

	st->kind = STMT_EXECUTE;
	st->name = an_strdup(an, e->name);
	st->args = args;
	for (size_t i = 0; i < e->n_params; i++) {
		struct sql_expr x;

		an_expr(an, (struct spot){q, PLACE_TOP, NULL}, e->params[i], &x);
		args[st->n_args] = x.value;
		if (x.kind != EXPR_VALUE)
			args[st->n_args].kind = VALUE_UNKNOWN;
		st->n_args++;
	}
}

static bool
explain_option_on(const PgQuery__Node *arg)
{
	const char *s = an_string(arg);

	if (arg == NULL)
		return true;
	if (arg->node_case == NODE(INTEGER))
		return arg->integer->ival != 0;
	if (arg->node_case == NODE(BOOLEAN))
		return arg->boolean->boolval;
	return s == NULL ||
	    (strcasecmp(s, "off") != 0 && strcasecmp(s, "false") != 0 &&
		strcmp(s, "0") != 0);
}

static void
explain_stmt(struct analysis *an, const PgQuery__ExplainStmt *e)
{
	struct sql_stmt *st = an->stmt;

	st->kind = STMT_EXPLAIN;
	for (size_t i = 0; i < e->n_options; i++)
		if (e->options[i]->node_case == NODE(DEF_ELEM) &&
		    strcmp(e->options[i]->def_elem->defname, "analyze") == 0)
			st->analyze = explain_option_on(e->options[i]->def_elem->arg);
	st->inner = an_inner(an, e->query);
	st->body = scan_behind_explain(st->text);
	adopt_inner(st, st->analyze);
}

static void
prepare_stmt(struct analysis *an, const PgQuery__PrepareStmt *p)
{
	struct sql_stmt *st = an->stmt;

	st->kind = STMT_PREPARE;
	st->name = an_strdup(an, p->name);
	st->inner = an_inner(an, p->query);
	st->body = scan_behind(st->text, "as");
}

static void
copy_stmt(struct analysis *an, const PgQuery__CopyStmt *c)
{
	struct sql_stmt *st = an->stmt;

	st->kind = c->is_from ? STMT_COPY_FROM : STMT_COPY_TO;
	st->copy_stdio =
	    !c->is_program && (c->filename == NULL || c->filename[0] == '\0');
	if (c->query != NULL) {
		st->inner = an_inner(an, c->query);
		adopt_inner(st, true);
		return;
	}
	st->query = an_level(an, Q_UTILITY, NULL, PLACE_ROOT, NULL);
	st->query->copy_from = c->is_from;
	if (c->relation != NULL)
		an_add_table(an, st->query, c->relation);
	if (c->where_clause != NULL)
		an_walk(an, (struct spot){st->query, PLACE_TOP, NULL},
		    &c->where_clause->base);
}

/* ---- tables named by LOCK and TRUNCATE ---- */

static void
named_tables(
    struct analysis *an, enum stmt_kind kind, size_t n, PgQuery__Node *const *rels)
{
	struct sql_stmt *st = an->stmt;

	st->kind = kind;
	st->query = an_level(an, Q_UTILITY, NULL, PLACE_ROOT, NULL);
	st->query->truncates = kind == STMT_TRUNCATE;
	for (size_t i = 0; i < n; i++)
		if (rels[i]->node_case == NODE(RANGE_VAR))
			an_add_table(an, st->query, rels[i]->range_var);
}

static void
call_stmt(struct analysis *an, const PgQuery__CallStmt *c)
{
	struct sql_stmt *st = an->stmt;
	PgQuery__Node n = PG_QUERY__NODE__INIT;

	st->kind = STMT_CALL;
	st->query = an_level(an, Q_UTILITY, NULL, PLACE_ROOT, NULL);
	if (c->funccall == NULL)
		return;
	n.node_case = NODE(FUNC_CALL);
	n.func_call = c->funccall;
	an_walk(an, (struct spot){st->query, PLACE_TOP, NULL}, &n.base);
}

static void
discard_stmt(struct sql_stmt *st, const PgQuery__DiscardStmt *d)
{
	st->kind = d->target == PG_QUERY__DISCARD_MODE__DISCARD_ALL ? STMT_DISCARD_ALL
								    : STMT_DISCARD;
	st->if_needed_alone = st->kind == STMT_DISCARD_ALL;
	st->name = d->target == PG_QUERY__DISCARD_MODE__DISCARD_PLANS ? "plans"
	    : d->target == PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES  ? "sequences"
	    : d->target == PG_QUERY__DISCARD_MODE__DISCARD_TEMP       ? "temp"
								      : "all";
}

static void
named(struct analysis *an, enum stmt_kind with_name, enum stmt_kind without,
    const char *name)
{
	an->stmt->name = an_strdup(an, name);
	an->stmt->kind = an->stmt->name == NULL ? without : with_name;
}

bool
an_utility(struct analysis *an, const PgQuery__Node *n)
{
	struct sql_stmt *st = an->stmt;

	switch (n->node_case) {
	case NODE(VARIABLE_SET_STMT):
		set_stmt(an, n->variable_set_stmt);
		return true;
	case NODE(VARIABLE_SHOW_STMT):
		st->kind = STMT_SHOW;
		st->name = lower(an, n->variable_show_stmt->name);
		return true;
	case NODE(TRANSACTION_STMT):
		transaction_stmt(an, n->transaction_stmt);
		return true;
	case NODE(PREPARE_STMT):
		prepare_stmt(an, n->prepare_stmt);
		return true;
	case NODE(EXECUTE_STMT):
		execute_stmt(an, n->execute_stmt);
		return true;
	case NODE(DEALLOCATE_STMT):
		named(an, STMT_DEALLOCATE, STMT_DEALLOCATE_ALL, n->deallocate_stmt->name);
		return true;
	case NODE(DECLARE_CURSOR_STMT):
		declare_stmt(an, n->declare_cursor_stmt);
		return true;
	case NODE(FETCH_STMT):
		named(an, STMT_FETCH, STMT_FETCH, n->fetch_stmt->portalname);
		return true;
	case NODE(CLOSE_PORTAL_STMT):
		named(an, STMT_CLOSE, STMT_CLOSE_ALL, n->close_portal_stmt->portalname);
		return true;
	case NODE(EXPLAIN_STMT):
		explain_stmt(an, n->explain_stmt);
		return true;
	case NODE(COPY_STMT):
		copy_stmt(an, n->copy_stmt);
		return true;
	case NODE(LISTEN_STMT):
		named(an, STMT_LISTEN, STMT_LISTEN, n->listen_stmt->conditionname);
		st->pins |= PIN_LISTEN;
		return true;
	case NODE(UNLISTEN_STMT):
		named(an, STMT_UNLISTEN, STMT_UNLISTEN, n->unlisten_stmt->conditionname);
		return true;
	case NODE(NOTIFY_STMT):
		named(an, STMT_NOTIFY, STMT_NOTIFY, n->notify_stmt->conditionname);
		return true;
	case NODE(DISCARD_STMT):
		discard_stmt(st, n->discard_stmt);
		return true;
	case NODE(LOCK_STMT):
		named_tables(
		    an, STMT_LOCK, n->lock_stmt->n_relations, n->lock_stmt->relations);
		return true;
	case NODE(TRUNCATE_STMT):
		named_tables(an, STMT_TRUNCATE, n->truncate_stmt->n_relations,
		    n->truncate_stmt->relations);
		return true;
	case NODE(CALL_STMT):
		call_stmt(an, n->call_stmt);
		return true;
	case NODE(DO_STMT):
		st->kind = STMT_DO;
		return true;
	case NODE(LOAD_STMT):
		st->kind = STMT_LOAD;
		st->name = an_strdup(an, n->load_stmt->filename);
		st->pins |= PIN_LOAD;
		return true;
	case NODE(CONSTRAINTS_SET_STMT):
		st->kind = STMT_SET_CONSTRAINTS;
		return true;
	default:
		return false;
	}
}
