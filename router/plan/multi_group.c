/* Groups and aggregates over several shards. The shards give for each group the partial
 * aggregates that the whole ones are made of; or, where an aggregate is not made of parts,
 * its arguments row by row. Over the table of these the statement's own end runs: its
 * GROUP BY, HAVING, windows, DISTINCT, ORDER BY, LIMIT, with references to the table in the
 * place of group keys and aggregates. */
#include "router/plan/multi_int.h"

struct group {
	struct lift l;
	PgQuery__Node **keys; /* what the groups are by, as they stand in the statement */
	size_t n_keys;
	bool rows;            /* arguments, not parts */
	bool failed;          /* of something it cannot be told what becomes of it */
	PgQuery__Node **more; /* columns that depend on the keys */
	size_t n_more;
};

/* ---- keys ---- */

static void
add_key(struct group *g, PgQuery__Node *n)
{
	struct sql_expr e = column_expr(n);
	struct col col;
	int64_t pos;

	if (NODE_IS(n, GROUPING_SET)) {
		for (size_t i = 0; i < n->grouping_set->n_content; i++)
			add_key(g, n->grouping_set->content[i]);
		return;
	}
	if (NODE_IS(n, LIST)) {
		for (size_t i = 0; i < n->list->n_items; i++)
			add_key(g, n->list->items[i]);
		return;
	}
	if (NODE_IS(n, ROW_EXPR)) {
		for (size_t i = 0; i < n->row_expr->n_args; i++)
			add_key(g, n->row_expr->args[i]);
		return;
	}
	if (NODE_IS(n, A_CONST)) {
		pos = n->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL
		    ? n->a_const->ival->ival
		    : 0;
		if (pos < 1 || pos > g->l.n_outs) {
			g->failed = true;
			return;
		}
		n = g->l.outs[pos - 1];
	} else if (e.kind == EXPR_COL && e.rel == NULL &&
	    !resolve_col(&g->l.b->c, g->l.q, NULL, &e, &col)) {
		/* an output's name, which comes after the columns here */
		int i = lift_meant(&g->l, n);

		if (i < 0) {
			g->failed = true;
			return;
		}
		n = g->l.outs[i];
	}
	if (NODE_IS(n, A_CONST) || NODE_IS(n, PARAM_REF) || NODE_IS(n, SUB_LINK))
		g->failed = true;
	lift_column(&g->l, n, true);
	tree_push(g->l.b->arena, &g->n_keys, &g->keys, n);
}

/* ---- parts of aggregates ---- */

static PgQuery__Node *
catalog_call(struct group *g, const char *name, PgQuery__Node *arg)
{
	return tree_call(g->l.b->arena, true, name, &arg, 1);
}

/* The aggregate itself, or another of the same argument, as a column of the fragment. */
static PgQuery__Node *
part(struct group *g, const PgQuery__Node *call, const char *name, const char *cast)
{
	PgQuery__Node *n = tree_copy(g->l.b->arena, call);

	if (name != NULL) {
		n->func_call->n_funcname = 0;
		tree_push(g->l.b->arena, &n->func_call->n_funcname,
		    &n->func_call->funcname, tree_string(g->l.b->arena, "pg_catalog"));
		tree_push(g->l.b->arena, &n->func_call->n_funcname,
		    &n->func_call->funcname, tree_string(g->l.b->arena, name));
	}
	if (cast != NULL)
		n = tree_cast(g->l.b->arena, n, cast);
	return lifted(&g->l, lift_column(&g->l, n, true));
}

static PgQuery__Node *
average(struct group *g, const PgQuery__Node *call, bool is_float)
{
	struct arena *a = g->l.b->arena;
	PgQuery__Node *sum =
	    catalog_call(g, "sum", part(g, call, "sum", is_float ? "float8" : "numeric"));
	PgQuery__Node *count = catalog_call(g, "sum", part(g, call, "count", NULL));

	if (is_float)
		count = tree_cast(a, count, "float8");
	return tree_operator(a, "/", sum, tree_nullif(a, count, tree_int(a, 0)));
}

static const char *
type_of_argument(struct group *g, const PgQuery__FuncCall *f)
{
	const char *t = f->n_args == 1 ? type_of(g->l.b, g->l.q, f->args[0]) : NULL;

	return t;
}

static bool
is_one_of(const char *name, const char *const *list)
{
	for (; name != NULL && *list != NULL; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

static const char *const same_again[] = {
    "min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or", "bit_xor", NULL};
static const char *const exact[] = {"int2", "int4", "int8", "numeric", NULL};
static const char *const inexact[] = {"float4", "float8", NULL};
static const char *const small[] = {"int2", "int4", NULL};

/* PostgreSQL's own aggregate of this name, made of parts. */
static bool
has_parts(struct group *g, const PgQuery__FuncCall *f)
{
	const char *name = tree_name(f->n_funcname, f->funcname);
	const char *t;

	if (f->agg_distinct || f->n_agg_order > 0 || f->agg_within_group ||
	    f->func_variadic || f->n_args > 1)
		return false;
	if (is_one_of(name, same_again) || strcmp(name, "count") == 0)
		return true;
	t = type_of_argument(g, f);
	return (strcmp(name, "sum") == 0 || strcmp(name, "avg") == 0) &&
	    (is_one_of(t, exact) || is_one_of(t, inexact));
}

static PgQuery__Node *
of_parts(struct group *g, const PgQuery__Node *n)
{
	const PgQuery__FuncCall *f = n->func_call;
	const char *name = tree_name(f->n_funcname, f->funcname);
	const char *t = type_of_argument(g, f);
	struct arena *a = g->l.b->arena;
	PgQuery__Node *sum;

	if (is_one_of(name, same_again))
		return catalog_call(g, name, part(g, n, NULL, NULL));
	if (strcmp(name, "avg") == 0)
		return average(g, n, is_one_of(t, inexact));
	sum = catalog_call(g, "sum", part(g, n, NULL, NULL));
	if (strcmp(name, "count") == 0)
		return tree_cast(a, tree_coalesce(a, sum, tree_int(a, 0)), "int8");
	return is_one_of(t, small) ? tree_cast(a, sum, "int8") : sum;
}

/* ---- arguments of aggregates ---- */

static enum walk
any_column(void *arg, ProtobufCMessage *m)
{
	(void)arg;
	return NODE_IS(tree_node(m), COLUMN_REF) ? WALK_END : WALK_ON;
}

static enum walk
is_unknown_column(void *arg, ProtobufCMessage *m)
{
	struct group *g = arg;
	const PgQuery__Node *n = tree_node(m);
	struct sql_expr e;
	struct col col;

	if (NODE_IS(n, SUB_LINK))
		return WALK_END;
	if (!NODE_IS(n, COLUMN_REF))
		return WALK_ON;
	e = column_expr(n);
	return e.kind == EXPR_COL && resolve_col(&g->l.b->c, g->l.q, NULL, &e, &col) &&
		col.rel->level == g->l.q
	    ? WALK_SKIP
	    : WALK_END;
}

static void
lift_argument(struct group *g, PgQuery__Node **n)
{
	if (*n == NULL || !tree_walk(*n, any_column, NULL))
		return;
	/* a row has no type that a column could have */
	if (NODE_IS(*n, ROW_EXPR) || tree_walk(*n, is_unknown_column, g)) {
		g->failed = true;
		return;
	}
	*n = lifted(&g->l, lift_column(&g->l, *n, true));
}

static enum walk replace(void *, ProtobufCMessage *);

/* The direct arguments of an ordered-set aggregate are of the group, not of its rows. */
static void
lift_arguments(struct group *g, PgQuery__FuncCall *f)
{
	for (size_t i = 0; i < f->n_args; i++) {
		if (NODE_IS(f->args[i], NAMED_ARG_EXPR))
			g->failed = true;
		if (f->agg_within_group)
			tree_walk(f->args[i], replace, g);
		else
			lift_argument(g, &f->args[i]);
	}
	for (size_t i = 0; i < f->n_agg_order; i++)
		lift_argument(g, &f->agg_order[i]->sort_by->node);
	lift_argument(g, &f->agg_filter);
}

/* ---- putting references in the place of keys and aggregates ---- */

static int
key_of(struct group *g, PgQuery__Node *n)
{
	for (size_t i = 0; i < g->n_keys; i++)
		if (lift_same(&g->l, g->keys[i], n))
			return lift_column(&g->l, g->keys[i], true);
	return -1;
}

/* A column that is no key: right only where it depends on the keys, which each shard
 * checks. */
static void
depend(struct group *g, PgQuery__Node *n)
{
	struct sql_expr e = column_expr(n);
	struct col col;
	PgQuery__Node *ref;

	if (g->rows || g->l.q->grouping_sets || e.kind != EXPR_COL ||
	    !resolve_col(&g->l.b->c, g->l.q, NULL, &e, &col) ||
	    col.rel->level != g->l.q || !g->l.q->grouped) {
		g->failed = true;
		return;
	}
	ref = lifted(&g->l, lift_column(&g->l, n, true));
	for (size_t i = 0; i < g->n_more; i++)
		if (tree_equal(g->more[i], ref)) {
			*n = *ref;
			return;
		}
	tree_push(g->l.b->arena, &g->n_more, &g->more, ref);
	*n = *(PgQuery__Node *)tree_copy(g->l.b->arena, ref);
}

static enum walk
replace(void *arg, ProtobufCMessage *m)
{
	struct group *g = arg;
	PgQuery__Node *n = tree_node(m);
	int key;

	if (g->failed)
		return WALK_END;
	if (n == NULL || n->node_case == PG_QUERY__NODE__NODE__NOT_SET)
		return WALK_ON;
	if (NODE_IS(n, SUB_LINK)) {
		g->failed = true;
		return WALK_END;
	}
	key = NODE_IS(n, A_CONST) ? -1 : key_of(g, n);
	if (key >= 0) {
		*n = *lifted(&g->l, key);
		return WALK_SKIP;
	}
	if (NODE_IS(n, FUNC_CALL) && n->func_call->over == NULL &&
	    is_aggregate(n->func_call)) {
		if (g->rows)
			lift_arguments(g, n->func_call);
		else
			*n = *of_parts(g, n);
		return WALK_SKIP;
	}
	if (!NODE_IS(n, COLUMN_REF))
		return WALK_ON;
	depend(g, n);
	return WALK_SKIP;
}

/* ORDER BY and DISTINCT ON: an output's name or position stays. */
static void
replace_item(struct group *g, PgQuery__Node **item)
{
	struct sql_expr e = column_expr(*item);
	int i;

	if (NODE_IS(*item, A_CONST))
		return;
	if (e.kind == EXPR_COL && e.rel == NULL) {
		i = lift_meant(&g->l, *item);
		if (i == -2)
			g->failed = true;
		if (i >= 0) {
			*item = tree_int(g->l.b->arena, i + 1);
			return;
		}
	}
	tree_walk(*item, replace, g);
}

static void
replace_group(struct group *g, PgQuery__Node **n)
{
	int i;

	if (NODE_IS(*n, GROUPING_SET) || NODE_IS(*n, ROW_EXPR)) {
		tree_walk(*n, replace, g);
		return;
	}
	if (NODE_IS(*n, A_CONST))
		*n = g->l.outs[(*n)->a_const->ival->ival - 1];
	i = key_of(g, *n);
	if (i < 0) { /* an output's name */
		i = lift_meant(&g->l, *n);
		i = i < 0 ? -1 : key_of(g, g->l.outs[i]);
	}
	if (i < 0)
		g->failed = true;
	else
		*n = lifted(&g->l, i);
}

/* ---- whether ---- */

struct finding {
	struct group *g;
	bool whole;   /* an aggregate that is not made of parts */
	bool foreign; /* one that may be a user's, or is none */
};

static enum walk
look_at_aggregate(void *arg, ProtobufCMessage *m)
{
	struct finding *f = arg;
	const PgQuery__Node *n = tree_node(m);
	const PgQuery__FuncCall *c;
	struct func_info i;
	const char *name;

	if (!NODE_IS(n, FUNC_CALL))
		return WALK_ON;
	c = n->func_call;
	name = tree_name(c->n_funcname, c->funcname);
	i = func_info(&f->g->l.b->c, c->n_funcname > 1 ? tree_str(c->funcname[0]) : NULL,
	    name, (int)c->n_args, NULL);
	f->foreign |= i.user;
	if (c->over != NULL)
		return WALK_ON; /* its arguments may be aggregates */
	if (!is_aggregate(c))
		return WALK_ON;
	f->foreign |= !is_aggregate_name(name);
	f->whole |= !has_parts(f->g, c);
	return WALK_SKIP;
}

static void
look(struct finding *f, PgQuery__SelectStmt *s)
{
	for (size_t i = 0; i < s->n_target_list; i++)
		tree_walk(s->target_list[i], look_at_aggregate, f);
	for (size_t i = 0; i < s->n_sort_clause; i++)
		tree_walk(s->sort_clause[i], look_at_aggregate, f);
	for (size_t i = 0; i < s->n_window_clause; i++)
		tree_walk(s->window_clause[i], look_at_aggregate, f);
	for (size_t i = 0; i < s->n_distinct_clause; i++)
		tree_walk(s->distinct_clause[i], look_at_aggregate, f);
	tree_walk(s->having_clause, look_at_aggregate, f);
}

/* ---- the two texts ---- */

static void
lift_end(struct group *g, PgQuery__SelectStmt *f)
{
	struct arena *a = g->l.b->arena;

	f->with_clause = NULL;
	f->n_from_clause = 0;
	tree_push(a, &f->n_from_clause, &f->from_clause,
	    tree_table(a, "pg_temp", "weir_1", NULL));
	f->where_clause = NULL;
	for (size_t i = 0; i < f->n_group_clause && !g->failed; i++)
		replace_group(g, &f->group_clause[i]);
	for (size_t i = 0; i < f->n_target_list && !g->failed; i++) {
		PgQuery__ResTarget *r = f->target_list[i]->res_target;

		r->name = arena_strdup(a, g->l.names[i]);
		tree_walk(r->val, replace, g);
	}
	tree_walk(f->having_clause, replace, g);
	for (size_t i = 0; i < f->n_window_clause; i++)
		tree_walk(f->window_clause[i], replace, g);
	for (size_t i = 0; i < f->n_sort_clause && !g->failed; i++)
		replace_item(g, &f->sort_clause[i]->sort_by->node);
	for (size_t i = 0; i < f->n_distinct_clause && !g->failed; i++)
		if (f->distinct_clause[i]->node_case != PG_QUERY__NODE__NODE__NOT_SET)
			replace_item(g, &f->distinct_clause[i]);
	for (size_t i = 0; i < g->n_more; i++)
		tree_push(a, &f->n_group_clause, &f->group_clause, g->more[i]);
}

static void
lift_start(struct group *g, PgQuery__SelectStmt *s)
{
	s->n_distinct_clause = s->n_sort_clause = s->n_window_clause = 0;
	s->having_clause = NULL;
	s->limit_count = s->limit_offset = NULL;
	s->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
	s->n_group_clause = 0;
	s->group_clause = NULL;
	s->group_distinct = false;
	for (size_t i = 0; !g->rows && i < g->n_keys; i++) {
		int c = lift_column(&g->l, g->keys[i], true);

		tree_push(g->l.b->arena, &s->n_group_clause, &s->group_clause,
		    tree_int(g->l.b->arena, c + 1));
	}
}

enum rc
plan_group(struct build *b, const struct spread *spread, bool *done)
{
	struct group g = {.l = {.b = b, .q = b->root, .s = select_of(b->root)}};
	struct finding f = {.g = &g};
	PgQuery__Node *final = tree_copy(b->arena, b->stmt), *fragment;
	PgQuery__SelectStmt *s = g.l.s;
	bool star = false;
	enum rc rc;

	for (size_t i = 0; i < s->n_target_list; i++)
		star |= column_expr(s->target_list[i]->res_target->val).kind == EXPR_STAR;
	if (star || !lift_outputs(&g.l))
		return RC_OK;
	look(&f, s);
	if (f.foreign)
		return RC_OK;
	g.rows = f.whole;
	for (size_t i = 0; i < s->n_group_clause; i++)
		add_key(&g, s->group_clause[i]);
	if (!g.failed && !g.rows) {
		rc = plan_aggregate(b, spread, g.keys, g.n_keys, done);
		if (rc != RC_OK || *done)
			return rc;
	}
	if (!g.failed)
		lift_end(&g, final->select_stmt);
	if (g.failed || g.l.n_cols == 0)
		return RC_OK;
	fragment = tree_copy(b->arena, b->stmt);
	lift_start(&g, fragment->select_stmt);
	*done = true;
	b->out->kind = MULTI_INTERMEDIATE;
	rc = lift_fragment(&g.l, fragment, spread);
	return rc == RC_OK ? text_of(b, final, &b->out->final) : rc;
}
