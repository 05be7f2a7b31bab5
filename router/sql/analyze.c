/* A text to its statements. What libpg_query must not see (too long, too deep) or cannot
 * read becomes one statement of kind STMT_UNREADABLE; the planner says what happens to
 * it. */
#include <ctype.h>
#include <pg_query.h>
#include <stdint.h>
#include <stdlib.h>

#include "router/sql/analyze_int.h"
#include "router/sql/tree.h"

#define NODE(x) PG_QUERY__NODE__NODE_##x

/* ---- functions that the session must know of ---- */

static bool
in_list(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

/* set_config(name, value, false) once, in a SELECT without tables: the same as SET. */
static bool
is_plain_set(const struct sql_stmt *st, const struct sql_call *c)
{
	return st->kind == STMT_SELECT && st->query->kind == Q_SELECT &&
	    st->query->n_from == 0 && st->query->where == NULL && c->n_args == 3 &&
	    c->args[0].kind == EXPR_VALUE && c->args[0].value.kind == VALUE_TEXT &&
	    c->args[0].value.cast == NULL && c->args[1].kind == EXPR_VALUE &&
	    c->args[1].value.kind == VALUE_TEXT && c->args[1].value.cast == NULL;
}

/* The third argument is a boolean, which is no value to the planner: read it from the
 * parse tree. */
static const PgQuery__AConst *
is_local_arg(const PgQuery__FuncCall *f)
{
	const PgQuery__Node *n = f->n_args == 3 ? f->args[2] : NULL;

	if (n != NULL && n->node_case == NODE(A_CONST) &&
	    n->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL)
		return n->a_const;
	return NULL;
}

static void
session_func(struct sql_stmt *st, const struct sql_call *c)
{
	static const char *const advisory[] = {"pg_advisory_lock",
	    "pg_advisory_lock_shared", "pg_try_advisory_lock",
	    "pg_try_advisory_lock_shared", NULL};
	static const char *const sequence[] = {"currval", "lastval", NULL};

	if (c->schema != NULL && strcmp(c->schema, "pg_catalog") != 0)
		return;
	if (in_list(c->name, advisory))
		st->pins |= PIN_ADVISORY;
	if (in_list(c->name, sequence))
		st->uses_session_seq = true;
}

static const char *
lower(struct analysis *an, const char *name)
{
	char *copy = arena_strdup(an->arena, name);

	for (char *p = copy; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

/* Finds set_config() in the select list, where the booleans can be seen. */
static void
top_set_configs(struct analysis *an, const PgQuery__SelectStmt *s, int *n_plain)
{
	struct sql_set *sets = NULL;
	struct sql_stmt *st = an->stmt;

	for (size_t i = 0; i < s->n_target_list; i++) {
		const PgQuery__Node *v = s->target_list[i]->res_target->val;
		const PgQuery__AConst *local;
		const struct sql_call *c = NULL;
		const char *schema, *name;

		if (v == NULL || v->node_case != NODE(FUNC_CALL))
			continue;
		an_name(
		    an, v->func_call->n_funcname, v->func_call->funcname, &schema, &name);
		if (strcmp(name, "set_config") != 0)
			continue;
		local = is_local_arg(v->func_call);
		for (int k = 0, seen = 0; k < st->query->n_calls && c == NULL; k++)
			if (strcmp(st->query->calls[k].name, "set_config") == 0 &&
			    seen++ == *n_plain)
				c = &st->query->calls[k];
		if (c == NULL || local == NULL || !is_plain_set(st, c))
			return;
		(*n_plain)++;
		*AN_PUSH(an, sets, st->n_sets) =
		    (struct sql_set){lower(an, c->args[0].value.text.ptr),
			c->args[1].value.text, local->boolval->boolval};
	}
	st->sets = sets;
}

static int count_calls(const struct sql_query *q, const char *name, struct sql_stmt *st);

static int
count_from(const struct sql_from *f, const char *name, struct sql_stmt *st)
{
	if (f->rel == NULL)
		return count_from(f->left, name, st) + count_from(f->right, name, st);
	return f->rel->kind == REL_QUERY ? count_calls(f->rel->query, name, st) : 0;
}

/* Goes over all levels; also notes the functions that matter to the session. */
static int
count_calls(const struct sql_query *q, const char *name, struct sql_stmt *st)
{
	int n = 0;

	if (q == NULL)
		return 0;
	for (int i = 0; i < q->n_calls; i++) {
		session_func(st, &q->calls[i]);
		n += strcmp(q->calls[i].name, name) == 0;
	}
	for (int i = 0; i < q->n_from; i++)
		n += count_from(q->from[i], name, st);
	for (int i = 0; i < q->n_subs; i++)
		n += count_calls(q->subs[i], name, st);
	for (int i = 0; i < q->n_ctes; i++)
		n += count_calls(q->ctes[i]->query, name, st);
	return n + count_calls(q->left, name, st) + count_calls(q->right, name, st) +
	    count_calls(q->source, name, st);
}

static void
session_funcs(struct analysis *an, const PgQuery__Node *n)
{
	struct sql_stmt *st = an->stmt;
	int plain = 0;

	if (st->query == NULL)
		return;
	if (n->node_case == NODE(SELECT_STMT) && st->query->kind == Q_SELECT)
		top_set_configs(an, n->select_stmt, &plain);
	if (count_calls(st->query, "set_config", st) > plain)
		st->pins |= PIN_SET_CONFIG;
}

/* ---- statements ---- */

static enum stmt_kind
query_stmt_kind(const struct sql_query *q)
{
	switch (q->kind) {
	case Q_INSERT:
		return STMT_INSERT;
	case Q_UPDATE:
		return STMT_UPDATE;
	case Q_DELETE:
		return STMT_DELETE;
	case Q_MERGE:
		return STMT_MERGE;
	default:
		return STMT_SELECT;
	}
}

void
an_statement(struct analysis *an, const PgQuery__Node *n)
{
	struct sql_stmt *st = an->stmt;

	an->funcs = NULL;
	an->n_funcs = 0;
	st->query = an_query(an, n, NULL, PLACE_ROOT, NULL);
	if (st->query != NULL)
		st->kind = query_stmt_kind(st->query);
	else if (!an_utility(an, n))
		an_ddl(an, n);
	st->funcs = an->funcs;
	st->n_funcs = an->n_funcs;
	if (st->inner != NULL && st->n_funcs == 0) {
		st->funcs = st->inner->funcs;
		st->n_funcs = st->inner->n_funcs;
	}
	session_funcs(an, n);
}

struct sql_stmt *
an_inner(struct analysis *an, const PgQuery__Node *n)
{
	struct sql_stmt *outer = an->stmt, *inner;

	if (n == NULL)
		return NULL;
	inner = ARENA_NEW(an->arena, struct sql_stmt);
	an->stmt = inner;
	inner->text = outer->text;
	an_statement(an, n);
	inner->text = (struct slice){NULL, 0};
	an->stmt = outer;
	an->funcs = NULL;
	an->n_funcs = 0;
	return inner;
}

static bool
is_dml(const PgQuery__Node *n)
{
	return n->node_case == NODE(SELECT_STMT) || n->node_case == NODE(INSERT_STMT) ||
	    n->node_case == NODE(UPDATE_STMT) || n->node_case == NODE(DELETE_STMT) ||
	    n->node_case == NODE(MERGE_STMT);
}

static void
raw_stmt(struct analysis *an, const PgQuery__RawStmt *raw, struct sql_stmt *st)
{
	size_t at = raw->stmt_location > 0 ? (size_t)raw->stmt_location : 0;
	size_t len = raw->stmt_len > 0 ? (size_t)raw->stmt_len : an->len - at;

	if (at > an->len)
		at = an->len;
	if (len > an->len - at)
		len = an->len - at;
	an->stmt = st;
	st->text = scan_trim((struct slice){an->text + at, len});
	if (is_dml(raw->stmt))
		st->text.len = 0; /* may be megabytes of rows */
	st->text.ptr = arena_strndup(an->arena, st->text.ptr, st->text.len);
	an_statement(an, raw->stmt);
}

/* ---- a text ---- */

static void
unreadable(struct sql_stmts *out, const char *sqlstate, const char *msg, int position)
{
	out->n = 1;
	out->v = ARENA_NEW(&out->arena, struct sql_stmt);
	out->v[0].kind = STMT_UNREADABLE;
	err_set(&out->err, sqlstate, BLAST_STMT, "%s", msg);
	out->err.position = position;
}

static void
read_tree(struct analysis *an, struct sql_stmts *out, const PgQuery__ParseResult *tree)
{
	out->v = ARENA_NEW_N(&out->arena, struct sql_stmt, tree->n_stmts + 1);
	for (size_t i = 0; i < tree->n_stmts; i++) {
		const PgQuery__RawStmt *raw = tree->stmts[i];

		if (raw->stmt == NULL || raw->stmt->node_case == NODE(_NOT_SET))
			continue;
		raw_stmt(an, raw, &out->v[out->n++]);
	}
}

/* Error messages of libpg_query name functions of the server in rare cases; what the user
 * sees is PostgreSQL's own wording. */
static void
parse(struct analysis *an, struct sql_stmts *out)
{
	PgQueryProtobufParseResult r = pg_query_parse_protobuf(an->text);
	PgQuery__ParseResult *tree;

	if (r.error != NULL) {
		unreadable(out, "42601", r.error->message, r.error->cursorpos);
		pg_query_free_protobuf_parse_result(r);
		return;
	}
	tree = pg_query__parse_result__unpack(
	    NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
	pg_query_free_protobuf_parse_result(r);
	if (tree == NULL) {
		unreadable(out, "54001", "statement is too complex", 0);
		return;
	}
	read_tree(an, out, tree);
	pg_query__parse_result__free_unpacked(tree, NULL);
}

struct sql_stmts *
tree_analyze(const PgQuery__ParseResult *tree, struct slice text,
    const struct sql_const *consts, uint32_t n_consts)
{
	struct sql_stmts *out = sql_stmts_create();
	struct analysis an = {.arena = &out->arena,
	    .text = text.ptr,
	    .len = text.len,
	    .consts = consts,
	    .n_consts = n_consts,
	    .consts_base = text.ptr,
	    .keep_nodes = true};

	scan_hints(text, out);
	read_tree(&an, out, tree);
	return out;
}

struct sql_stmts *
sql_analyze(struct slice text, const struct sql_const *consts, uint32_t n_consts)
{
	struct sql_stmts *out = sql_stmts_create();
	struct analysis an = {.arena = &out->arena,
	    .len = text.len,
	    .consts = consts,
	    .n_consts = n_consts,
	    .consts_base = text.ptr};
	char *copy;

	if (text.len > ANALYZE_TEXT_MAX) {
		unreadable(out, "54000", "statement is too long", 0);
		return out;
	}
	scan_hints(text, out);
	if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) {
		unreadable(out, "42601", "statement contains a zero byte", 0);
		return out;
	}
	if (scan_depth(text) > ANALYZE_DEPTH_MAX) {
		unreadable(out, "54001", "statement nests too deeply", 0);
		return out;
	}
	copy = malloc(text.len + 1);
	if (copy == NULL)
		abort();
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	an.text = copy;
	parse(&an, out);
	free(copy);
	return out;
}
