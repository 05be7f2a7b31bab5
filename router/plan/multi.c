/* A statement to its multi-shard plan: what cannot be done at all, then the kinds from the
 * cheapest to the one that does nearly everything. */
#include "router/plan/multi.h"

#include <stdarg.h>
#include <stdio.h>

#include "router/plan/multi_int.h"
#include "router/sql/encoding.h"

const char *
multi_kind_name(enum multi_kind k)
{
	static const char *const names[] = {
#define X(id, text) text,
	    MULTI_KINDS(X)
#undef X
	};

	return names[k];
}

/* ---- help for all kinds ---- */

enum rc
refuse(struct build *b, const char *hint, const char *fmt, ...)
{
	va_list ap;
	char msg[sizeof b->err->msg];

	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	err_set(b->err, "0A000", BLAST_STMT, "%s", msg);
	err_hint(b->err, "%s", hint);
	return RC_ERR;
}

PgQuery__SelectStmt *
select_of(const struct sql_query *q)
{
	return q->kind == Q_SELECT || q->kind == Q_SETOP || q->kind == Q_VALUES ? q->node
										: NULL;
}

/* a.b.c as the analysis has it; *, a.* */
struct sql_expr
column_expr(const PgQuery__Node *n)
{
	struct sql_expr e = {.kind = EXPR_OTHER};
	const PgQuery__ColumnRef *r;
	const char *v[3] = {NULL, NULL, NULL};
	size_t first;

	if (!NODE_IS(n, COLUMN_REF) || n->column_ref->n_fields > 3)
		return e;
	r = n->column_ref;
	first = 3 - r->n_fields;
	for (size_t i = 0; i < r->n_fields; i++) {
		v[first + i] = tree_str(r->fields[i]);
		if (v[first + i] == NULL && i + 1 < r->n_fields)
			return e;
	}
	e.kind = v[2] == NULL ? EXPR_STAR : EXPR_COL;
	e.schema = v[0];
	e.rel = v[1];
	e.col = v[2];
	return e;
}

struct multi_fragment *
add_fragment(struct build *b)
{
	struct multi *m = b->out;
	struct multi_fragment *v =
	    ARENA_NEW_N(b->arena, struct multi_fragment, (size_t)m->n_fragments + 1);

	if (m->n_fragments > 0)
		memcpy(v, m->fragments, (size_t)m->n_fragments * sizeof *v);
	m->fragments = v;
	v = &v[m->n_fragments++];
	v->table = arena_printf(b->arena, "weir_%d", m->n_fragments);
	return v;
}

enum rc
shards_of_pin(struct build *b, const struct pin *p, uint64_t *shards)
{
	struct shard_set set = {{0}};
	enum rc rc = eval_pin(&b->ev, p, &set, &b->plan, b->err);

	memcpy(shards, set.bits, sizeof set.bits);
	if (rc == RC_AGAIN) {
		b->out->lookup.distribution = b->plan.lookup.distribution;
		b->out->lookup.key = b->plan.lookup.key;
	}
	return rc;
}

enum rc
text_of(struct build *b, PgQuery__Node *stmt, struct multi_text *out)
{
	const uint16_t *params;

	out->n_params = tree_renumber(b->arena, stmt, &params);
	out->params = params;
	return tree_text(b->arena, stmt, &out->sql, b->err);
}

enum rc
fragment_texts(
    struct build *b, struct multi_fragment *f, PgQuery__Node *select, const char *names)
{
	PgQuery__Node *head = tree_copy(b->arena, select);

	/* what says nothing of types goes, with its parameters */
	head->select_stmt->where_clause = NULL;
	if (head->select_stmt->n_distinct_clause == 0)
		head->select_stmt->n_sort_clause = 0;
	head->select_stmt->limit_count = head->select_stmt->limit_offset = NULL;
	head->select_stmt->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
	if (text_of(b, select, &f->query) != RC_OK ||
	    text_of(b, head, &f->create) != RC_OK)
		return RC_ERR;
	f->create.sql = slice_of(arena_printf(b->arena,
	    "CREATE TEMPORARY TABLE %s%s%s%s ON COMMIT DROP AS %.*s WITH NO DATA",
	    f->table, names == NULL ? "" : " (", names == NULL ? "" : names,
	    names == NULL ? "" : ")", (int)f->create.sql.len, f->create.sql.ptr));
	f->copy = slice_of(arena_printf(
	    b->arena, "COPY pg_temp.%s FROM STDIN (FORMAT binary)", f->table));
	return RC_OK;
}

/* ---- going through levels ---- */

struct each {
	struct build *b;
	void (*level)(void *, const struct sql_query *);
	void (*rel)(void *, const struct sql_rel *);
	void *arg;
};

static void visit(const struct each *, const struct sql_query *);

static void
visit_tree(const struct each *e, const struct sql_from *f)
{
	if (f->rel == NULL) {
		visit_tree(e, f->left);
		visit_tree(e, f->right);
		return;
	}
	if (e->rel != NULL)
		e->rel(e->arg, f->rel);
	if (f->rel->kind == REL_QUERY || f->rel->kind == REL_TABLE)
		visit(e, rel_query(&e->b->c, f->rel));
}

static void
visit(const struct each *e, const struct sql_query *q)
{
	if (q == NULL)
		return;
	if (e->level != NULL)
		e->level(e->arg, q);
	for (int i = 0; i < q->n_ctes; i++)
		visit(e, q->ctes[i]->query);
	for (int i = 0; i < q->n_from; i++)
		visit_tree(e, q->from[i]);
	for (int i = 0; i < q->n_subs; i++)
		visit(e, q->subs[i]);
	visit(e, q->left);
	visit(e, q->right);
	visit(e, q->source);
}

void
each_rel(struct build *b, const struct sql_query *q,
    void (*fn)(void *, const struct sql_rel *), void *arg)
{
	visit(&(struct each){b, NULL, fn, arg}, q);
}

void
each_level(struct build *b, const struct sql_query *q,
    void (*fn)(void *, const struct sql_query *), void *arg)
{
	visit(&(struct each){b, fn, NULL, arg}, q);
}

/* ---- what cannot be done ---- */

static enum walk
is_system_column(void *arg, ProtobufCMessage *m)
{
	static const char *const names[] = {
	    "tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"};
	struct sql_expr e = column_expr(tree_node(m));

	for (size_t i = 0; e.kind == EXPR_COL && i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], e.col) == 0) {
			*(const char **)arg = e.col;
			return WALK_END;
		}
	return WALK_ON;
}

struct bad_call {
	struct build *b;
	const char *name;
};

static void
find_bad_call(void *arg, const struct sql_query *q)
{
	struct bad_call *bad = arg;

	for (int i = 0; i < q->n_calls; i++) {
		const struct sql_call *c = &q->calls[i];
		struct func_info f = func_info(&bad->b->c, c->schema, c->name, c->n_args,
		    view_around(&bad->b->c, q));

		if (f.primary ||
		    (f.mf != NULL && (f.mf->distribution >= 0 || !f.mf->read_only)))
			bad->name = c->name;
	}
}

static void
find_temp(void *arg, const struct sql_rel *rel)
{
	struct bad_call *bad = arg;

	if (rel->kind == REL_TABLE && rel_info(&bad->b->c, rel)->kind == TABLE_TEMP)
		bad->name = rel->name;
}

static enum rc
check(struct build *b)
{
	static const char hint[] =
	    "Give each sharded table a condition on its key, or name the "
	    "shard with SET weir.shard.";
	struct bad_call bad = {.b = b};
	const char *column;

	visit_query(&b->c, b->root);
	if (b->c.failed) {
		*b->err = b->p.err;
		return RC_ERR;
	}
	if (b->st->locks_rows)
		return refuse(b, hint, "FOR UPDATE and its like over several shards");
	if (b->st->modifies)
		return refuse(b, hint, "a query over several shards that writes");
	each_level(b, b->root, find_bad_call, &bad);
	if (bad.name != NULL)
		return refuse(b, hint,
		    "function \"%s\" in a statement over several shards", bad.name);
	each_rel(b, b->root, find_temp, &bad);
	if (bad.name != NULL)
		return refuse(b, hint,
		    "temporary table \"%s\" in a statement over several shards",
		    bad.name);
	if (tree_walk(b->stmt, is_system_column, &column))
		return refuse(b, hint,
		    "system column \"%s\" in a statement over several shards", column);
	return RC_OK;
}

static enum rc
check_text(struct build *b, const struct sql_env *env)
{
	bool ascii = true;

	for (size_t i = 0; i < b->text.len; i++)
		ascii &= (unsigned char)b->text.ptr[i] < 0x80;
	if (!ascii && sql_encoding_client_only(env->encoding))
		return refuse(b, "Use client_encoding UTF8.",
		    "a statement over several shards that is not ASCII in client "
		    "encoding %s",
		    sql_encoding_name(env->encoding));
	if (!env->standard_strings && memchr(b->text.ptr, '\\', b->text.len) != NULL)
		return refuse(b, "SET standard_conforming_strings = on.",
		    "a statement over several shards with a backslash while "
		    "standard_conforming_strings is off");
	return RC_OK;
}

/* ---- the way ---- */

/* The i-th of the statements that the analysis counts: empty ones are left out. */
static PgQuery__Node *
statement_at(const PgQuery__ParseResult *tree, int i)
{
	for (size_t k = 0; k < tree->n_stmts; k++) {
		PgQuery__Node *n = tree->stmts[k]->stmt;

		if (n != NULL && n->node_case != PG_QUERY__NODE__NODE__NOT_SET &&
		    i-- == 0)
			return n;
	}
	return NULL;
}

static enum rc
build_kind(struct build *b)
{
	bool done = false;
	enum rc rc;

	if (b->st->kind != STMT_SELECT)
		return plan_write(b);
	rc = check(b);

	if (rc == RC_OK)
		rc = plan_level(b, &done);
	if (rc == RC_OK && !done) {
		*b->out = (struct multi){.kind = MULTI_INTERMEDIATE, .merge.limit = -1};
		rc = plan_tables(b);
	}
	return rc;
}

static enum rc
build(struct build *b)
{
	struct sql_stmts *views[VIEWS_MAX];
	enum rc rc;

	compile_init(&b->c, &b->p, b->ctx, views);
	b->c.trees = b->arena;
	b->ev = (struct eval){.ctx = b->ctx, .map = b->ctx->map};
	rc = build_kind(b);
	compile_fini(&b->c);
	arena_reset(&b->p.arena);
	return rc;
}

enum rc
multi_plan(struct shape *s, int i, const struct plan_ctx *ctx, const struct sql_env *env,
    struct slice text, struct multi *out, struct err *e)
{
	struct build b = {.ctx = ctx, .arena = ctx->arena, .out = out, .err = e};
	enum rc rc;

	*out = (struct multi){.kind = MULTI_CONCAT, .merge.limit = -1};
	if (s->stmts == NULL || i >= s->stmts->n || s->stmts->v[i].kind > STMT_MERGE) {
		rc = plan_run(s, i, ctx, &b.plan, e);
		return rc != RC_OK
		    ? rc
		    : err_set(e, "0A000", BLAST_STMT, "statement needs one shard");
	}
	b.text = (struct slice){arena_strndup(b.arena, text.ptr, text.len), text.len};
	if (check_text(&b, env) != RC_OK ||
	    tree_parse(b.arena, b.text, &b.tree, e) != RC_OK)
		return RC_ERR;
	b.stmt = statement_at(b.tree, i);
	b.stmts = tree_analyze(b.tree, b.text, NULL, 0);
	b.st = &b.stmts->v[i];
	b.root = b.st->query;
	rc = build(&b);
	sql_stmts_free(b.stmts);
	return rc;
}
