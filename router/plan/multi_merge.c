/* ORDER BY and plain aggregates that need no server after the shards: the shards sort, the
 * merger puts their rows in order, or adds up what they found for each group. Only for
 * types whose comparison and sums it knows to be PostgreSQL's. */
#include "router/plan/multi_int.h"

enum rc
merge_fragment(struct lift *l, PgQuery__Node *select, const struct spread *spread,
    const int16_t *formats)
{
	struct build *b = l->b;
	struct multi_fragment *f = add_fragment(b);
	int16_t *own;

	f->source = sources_of(b, l->q);
	set_shards(b, f, spread, true);
	select->select_stmt->target_list = l->cols;
	select->select_stmt->n_target_list = l->n_cols;
	if (formats == NULL && l->n_cols > (size_t)l->n_outs) {
		own = ARENA_NEW_N(b->arena, int16_t, l->n_cols);
		for (size_t i = 0; i < l->n_cols; i++)
			own[i] = i < (size_t)l->n_outs ? MERGE_CLIENTS : 1;
		formats = own;
	}
	b->out->merge.formats = formats;
	b->out->merge.n_formats = formats == NULL ? 0 : (int)l->n_cols;
	return text_of(b, select, &f->query);
}

/* ---- ORDER BY ---- */

static struct merge_key
key_of(const PgQuery__SortBy *s, int column)
{
	struct merge_key k = {.column = column,
	    .desc = s->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC};

	k.nulls_first = s->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
	    ? k.desc
	    : s->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
	return k;
}

/* The column that the merger compares for column c of the fragment: itself, or a copy of it
 * in binary; -1: none. */
static int
compared(struct lift *l, int c)
{
	PgQuery__Node *value = l->cols[c]->res_target->val;

	switch (exactness_of(l->b, l->q, value)) {
	case EXACT_ANY:
		return c;
	case EXACT_BINARY:
		return c < l->n_outs ? lift_column(l, value, false) : c;
	default:
		return -1;
	}
}

enum rc
plan_sorted(
    struct lift *l, PgQuery__Node *select, const struct spread *spread, bool *done)
{
	struct build *b = l->b;
	PgQuery__SelectStmt *s = select->select_stmt;
	struct limits limits = limits_of(b, l->s);
	struct merge_key *keys =
	    ARENA_NEW_N(b->arena, struct merge_key, s->n_sort_clause);
	size_t n_cols = l->n_cols;

	for (size_t i = 0; i < s->n_sort_clause; i++) {
		const PgQuery__SortBy *by = s->sort_clause[i]->sort_by;
		int c = by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING
		    ? -1
		    : compared(l, by->node->a_const->ival->ival - 1);

		if (c < 0) {
			l->n_cols = n_cols;
			return RC_OK;
		}
		keys[i] = key_of(by, c);
	}
	*done = true;
	b->out->kind = MULTI_SORTED;
	b->out->merge = (struct merge_spec){.keys = keys,
	    .n_keys = (int)s->n_sort_clause,
	    .n_junk = (int)l->n_cols - l->n_outs,
	    .limit = limits.limit,
	    .offset = limits.offset};
	return merge_fragment(l, select, spread, NULL);
}

/* ---- aggregates ---- */

struct aggregate {
	struct lift l;
	struct merge_out *outs;
	int16_t *formats; /* room for all columns */
	bool failed;
};

/* A column of the fragment beyond the client's own, in binary. */
static int
extra(struct aggregate *g, PgQuery__Node *value)
{
	int c = lift_column(&g->l, value, false);

	g->formats[c] = 1;
	return c;
}

static PgQuery__Node *
renamed(struct aggregate *g, const PgQuery__Node *call, const char *name)
{
	PgQuery__Node *n = tree_copy(g->l.b->arena, call);

	n->func_call->n_funcname = 0;
	tree_push(g->l.b->arena, &n->func_call->n_funcname, &n->func_call->funcname,
	    tree_string(g->l.b->arena, "pg_catalog"));
	tree_push(g->l.b->arena, &n->func_call->n_funcname, &n->func_call->funcname,
	    tree_string(g->l.b->arena, name));
	return n;
}

/* Output i is this aggregate; the value of its column is what is given here. */
static PgQuery__Node *
add_aggregate(struct aggregate *g, int i, PgQuery__Node *n)
{
	static const struct {
		const char *name, *type;
		enum merge_op op;
	} known[] = {{"count", NULL, MERGE_COUNT}, {"sum", "int2", MERGE_SUM_INT},
	    {"sum", "int4", MERGE_SUM_INT}, {"sum", "int8", MERGE_SUM_NUMERIC},
	    {"sum", "numeric", MERGE_SUM_NUMERIC}, {"avg", "int2", MERGE_AVG},
	    {"avg", "int4", MERGE_AVG}, {"avg", "int8", MERGE_AVG},
	    {"avg", "numeric", MERGE_AVG}, {"bool_and", NULL, MERGE_AND},
	    {"every", NULL, MERGE_AND}, {"bool_or", NULL, MERGE_OR}};
	const PgQuery__FuncCall *f = n->func_call;
	const char *name = tree_name(f->n_funcname, f->funcname);
	const char *t = f->n_args == 1 ? type_of(g->l.b, g->l.q, f->args[0]) : NULL;

	g->outs[i] = (struct merge_out){MERGE_OP_COUNT, i, i};
	for (size_t k = 0; k < sizeof known / sizeof *known; k++)
		if (strcmp(name, known[k].name) == 0 &&
		    (known[k].type == NULL ||
			(t != NULL && strcmp(t, known[k].type) == 0)))
			g->outs[i].op = known[k].op;
	if (strcmp(name, "min") == 0)
		g->outs[i].op = MERGE_MIN;
	if (strcmp(name, "max") == 0)
		g->outs[i].op = MERGE_MAX;
	g->failed |= g->outs[i].op == MERGE_OP_COUNT;
	g->formats[i] = 1;
	if (g->outs[i].op == MERGE_AVG)
		return tree_cast(g->l.b->arena, renamed(g, n, "sum"), "numeric");
	if (g->outs[i].op == MERGE_MIN || g->outs[i].op == MERGE_MAX)
		g->formats[i] = MERGE_CLIENTS;
	return n;
}

/* What an output is compared or divided by, behind the client's columns. */
static void
add_second(struct aggregate *g, int i, PgQuery__Node *n)
{
	const PgQuery__FuncCall *f = n->func_call;

	if (g->outs[i].op == MERGE_AVG)
		g->outs[i].b = extra(g, renamed(g, n, "count"));
	if (g->outs[i].op != MERGE_MIN && g->outs[i].op != MERGE_MAX)
		return;
	switch (exactness_of(g->l.b, g->l.q, f->args[0])) {
	case EXACT_ANY:
		break;
	case EXACT_BINARY:
		g->outs[i].b = extra(g, n);
		break;
	default:
		g->failed = true;
	}
}

static bool
is_plain_aggregate(const PgQuery__Node *n)
{
	return NODE_IS(n, FUNC_CALL) && n->func_call->over == NULL &&
	    is_aggregate(n->func_call);
}

static int
key_index(struct aggregate *g, PgQuery__Node *const *keys, size_t n, PgQuery__Node *value)
{
	for (size_t i = 0; i < n; i++)
		if (lift_same(&g->l, keys[i], value))
			return (int)i;
	return -1;
}

static void
add_outputs(struct aggregate *g, PgQuery__Node *const *keys, size_t n_keys)
{
	struct lift *l = &g->l;

	for (int i = 0; i < l->n_outs && !g->failed; i++) {
		PgQuery__Node *value = l->outs[i];

		if (key_index(g, keys, n_keys, value) >= 0) {
			g->outs[i] = (struct merge_out){MERGE_GROUP, i, i};
			g->formats[i] = MERGE_CLIENTS;
		} else if (is_plain_aggregate(value)) {
			value = add_aggregate(g, i, value);
		} else {
			g->failed = true;
		}
		lift_column(l, value, false);
		l->cols[i]->res_target->name = arena_strdup(l->b->arena, l->names[i]);
	}
	for (int i = 0; i < l->n_outs && !g->failed; i++)
		if (g->outs[i].op != MERGE_GROUP)
			add_second(g, i, l->outs[i]);
}

/* The column of a group key by which the fragment's rows are sorted and compared. */
static struct merge_key
sort_key(struct aggregate *g, PgQuery__Node *key, const PgQuery__SortBy *by)
{
	static const PgQuery__SortBy plain = {
	    .sortby_dir = PG_QUERY__SORT_BY_DIR__SORTBY_DEFAULT,
	    .sortby_nulls = PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT};
	struct merge_key k = key_of(by == NULL ? &plain : by, -1);
	enum exactness exact = exactness_of(g->l.b, g->l.q, key);

	for (int i = 0; i < g->l.n_outs && exact != EXACT_BINARY; i++)
		if (g->outs[i].op == MERGE_GROUP && lift_same(&g->l, g->l.outs[i], key))
			k.column = i;
	if (k.column < 0)
		k.column = extra(g, key);
	k.bytes = exact == EXACT_EQUAL;
	/* ORDER BY text is by its collation, which the merger does not know */
	g->failed |= exact == EXACT_NOT || (k.bytes && by != NULL) ||
	    (by != NULL && by->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING);
	return k;
}

static PgQuery__Node *
sort_item(struct aggregate *g, const struct merge_key *k)
{
	struct arena *a = g->l.b->arena;
	PgQuery__Node *item = k->bytes
	    ? tree_collate(a, tree_copy(a, g->l.cols[k->column]->res_target->val), "C")
	    : tree_int(a, k->column + 1);

	return tree_sort(a, item, k->desc, k->nulls_first);
}

/* The keys that ORDER BY asks for in its order, then the others. */
static int
sort_keys(
    struct aggregate *g, PgQuery__Node *const *keys, size_t n_keys, struct merge_key *out)
{
	const PgQuery__SelectStmt *s = g->l.s;
	bool *taken = ARENA_NEW_N(g->l.b->arena, bool, n_keys + 1);
	int n = 0;

	for (size_t i = 0; i < s->n_sort_clause && !g->failed; i++) {
		PgQuery__SortBy *by = s->sort_clause[i]->sort_by;
		int o = lift_meant(&g->l, by->node);
		int k = o == -2
		    ? -1
		    : key_index(g, keys, n_keys, o >= 0 ? g->l.outs[o] : by->node);

		if (k < 0) {
			g->failed = true;
		} else if (!taken[k]) {
			taken[k] = true;
			out[n++] = sort_key(g, keys[k], by);
		}
	}
	for (size_t k = 0; k < n_keys && !g->failed; k++)
		if (!taken[k]) {
			/* GROUP BY a, a */
			taken[k] = true;
			out[n++] = sort_key(g, keys[k], NULL);
		}
	return n;
}

static void
group_by(struct aggregate *g, PgQuery__SelectStmt *s, const struct merge_key *keys, int n)
{
	struct arena *a = g->l.b->arena;

	s->n_sort_clause = s->n_group_clause = 0;
	s->sort_clause = s->group_clause = NULL;
	s->group_distinct = false;
	s->limit_count = s->limit_offset = NULL;
	s->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
	for (int i = 0; i < n; i++) {
		tree_push(a, &s->n_group_clause, &s->group_clause,
		    tree_int(a, keys[i].column + 1));
		tree_push(a, &s->n_sort_clause, &s->sort_clause, sort_item(g, &keys[i]));
	}
}

enum rc
plan_aggregate(struct build *b, const struct spread *spread, PgQuery__Node *const *group,
    size_t n_group, bool *done)
{
	struct aggregate g = {.l = {.b = b, .q = b->root, .s = select_of(b->root)}};
	const PgQuery__SelectStmt *s = g.l.s;
	struct limits limits = limits_of(b, s);
	struct merge_key *keys = ARENA_NEW_N(b->arena, struct merge_key, n_group + 1);
	PgQuery__Node *fragment;
	int n;

	if (!limits.known || s->having_clause != NULL || s->n_window_clause > 0 ||
	    s->n_distinct_clause > 0 || b->root->grouping_sets || b->root->window ||
	    !lift_outputs(&g.l))
		return RC_OK;
	g.outs = ARENA_NEW_N(b->arena, struct merge_out, (size_t)g.l.n_outs);
	g.formats = ARENA_NEW_N(b->arena, int16_t, (size_t)g.l.n_outs * 2 + n_group + 1);
	add_outputs(&g, group, n_group);
	n = sort_keys(&g, group, n_group, keys);
	if (g.failed)
		return RC_OK;
	fragment = tree_copy(b->arena, b->stmt);
	group_by(&g, fragment->select_stmt, keys, n);
	*done = true;
	b->out->kind = MULTI_AGGREGATE;
	b->out->merge = (struct merge_spec){.keys = keys,
	    .n_keys = n,
	    .outs = g.outs,
	    .n_outs = g.l.n_outs,
	    .limit = limits.limit,
	    .offset = limits.offset};
	return merge_fragment(&g.l, fragment, spread, g.formats);
}
