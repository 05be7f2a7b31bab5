/* The shards run all of a statement but that its rows still have to be sorted, cut, or
 * made distinct over all of them: they become the rows of one table, over which ORDER BY,
 * LIMIT and DISTINCT run once more. Each shard sorts and cuts by itself before. */
#include <stdlib.h>

#include "router/plan/multi_int.h"

/* ---- outputs and columns ---- */

static bool
add_output(struct lift *l, PgQuery__Node *value, const char *name, const char *alias)
{
	/* a row has no type that a column could have */
	if (name == NULL || NODE_IS(value, ROW_EXPR))
		return false;
	l->outs[l->n_outs] = value;
	l->aliases[l->n_outs] = alias;
	l->names[l->n_outs++] = name;
	return true;
}

static int
make_room(struct lift *l)
{
	int n = output_count(&l->b->c, l->q);

	if (n <= 0)
		return 0;
	l->outs = ARENA_NEW_N(l->b->arena, PgQuery__Node *, (size_t)n);
	l->names = ARENA_NEW_N(l->b->arena, const char *, (size_t)n);
	l->aliases = ARENA_NEW_N(l->b->arena, const char *, (size_t)n);
	return n;
}

bool
lift_outputs(struct lift *l)
{
	int n = l->q->kind == Q_SELECT ? make_room(l) : 0, target = 0;

	for (int i = 0; i < n; i++) {
		const PgQuery__ResTarget *r;
		const struct sql_expr *e;
		struct col col;

		if (!output_by_pos(&l->b->c, l->q, i, &e, &col))
			return false;
		if (e == NULL) {
			if (col.rel == NULL || col.rel->hidden ||
			    col.rel->alias == NULL ||
			    !add_output(l,
				tree_column(l->b->arena, col.rel->alias, col.name),
				col.name, ""))
				return false;
			continue;
		}
		while (target < l->q->n_targets && &l->q->targets[target].expr != e)
			target++;
		if ((size_t)target >= l->s->n_target_list)
			return false;
		r = l->s->target_list[target]->res_target;
		if (!add_output(l, r->val, l->q->targets[target].name, r->name))
			return false;
	}
	return n > 0;
}

/* The same column, however it is written. */
bool
lift_same(struct lift *l, const PgQuery__Node *a, const PgQuery__Node *b)
{
	struct sql_expr x = column_expr(a), y = column_expr(b);
	struct col cx, cy;

	if (tree_equal(a, b))
		return true;
	return x.kind == EXPR_COL && y.kind == EXPR_COL &&
	    resolve_col(&l->b->c, l->q, NULL, &x, &cx) &&
	    resolve_col(&l->b->c, l->q, NULL, &y, &cy) && cx.rel == cy.rel &&
	    cx.rel->level == l->q && strcmp(cx.name, cy.name) == 0;
}

int
lift_column(struct lift *l, PgQuery__Node *value, bool find)
{
	for (size_t i = 0; find && i < l->n_cols; i++)
		if (lift_same(l, l->cols[i]->res_target->val, value))
			return (int)i;
	tree_push(l->b->arena, &l->n_cols, &l->cols,
	    tree_target(l->b->arena, tree_copy(l->b->arena, value),
		arena_printf(l->b->arena, "weir_c%zu", l->n_cols + 1)));
	return (int)l->n_cols - 1;
}

PgQuery__Node *
lifted(struct lift *l, int column)
{
	return tree_column(
	    l->b->arena, "weir_1", arena_printf(l->b->arena, "weir_c%d", column + 1));
}

static int
by_name(struct lift *l, const char *name)
{
	int found = -1;

	for (int i = 0; i < l->n_outs; i++) {
		if (strcmp(l->names[i], name) != 0)
			continue;
		if (found >= 0 && !lift_same(l, l->outs[found], l->outs[i]))
			return -2;
		found = i;
	}
	return found;
}

int
lift_meant(struct lift *l, PgQuery__Node *item)
{
	struct sql_expr e = column_expr(item);
	int i;

	if (NODE_IS(item, A_CONST)) {
		if (item->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
			return -2;
		i = item->a_const->ival->ival;
		return i >= 1 && i <= l->n_outs ? i - 1 : -2;
	}
	if (e.kind == EXPR_STAR)
		return -2;
	if (e.kind == EXPR_COL && e.rel == NULL && (i = by_name(l, e.col)) != -1)
		return i;
	for (i = 0; i < l->n_outs; i++)
		if (lift_same(l, l->outs[i], item))
			return i;
	return -1;
}

static enum walk
is_catalog_value(void *arg, ProtobufCMessage *m)
{
	struct lift *l = arg;
	const PgQuery__Node *n = tree_node(m);
	struct sql_expr e = column_expr(n);
	const struct schema_column *c =
	    e.kind == EXPR_COL ? base_column(l->b, l->q, &e) : NULL;

	return c != NULL && is_catalog_type(c->type) ? WALK_END : WALK_ON;
}

enum rc
lift_fragment(struct lift *l, PgQuery__Node *select, const struct spread *spread)
{
	struct build *b = l->b;
	struct multi_fragment *f = add_fragment(b);
	const char *names = "";

	for (size_t i = 0; i < l->n_cols; i++)
		if (tree_walk(l->cols[i], is_catalog_value, l))
			return refuse(b, "Cast it to text in a subquery.",
			    "a column of a type that means each shard's own catalog");

	f->source = sources_of(b, l->q);
	set_shards(b, f, spread, false);
	set_final_shards(b, spread);
	select->select_stmt->target_list = l->cols;
	select->select_stmt->n_target_list = l->n_cols;
	for (size_t i = 0; i < l->n_cols; i++)
		names = arena_printf(
		    b->arena, "%s%sweir_c%zu", names, i > 0 ? ", " : "", i + 1);
	return fragment_texts(b, f, select, names);
}

/* ---- the end of a statement ---- */

/* The column of the fragment that an item sorts by: one of the outputs, or one more. */
static int
sort_column(struct lift *l, PgQuery__Node *item, bool more)
{
	int i = lift_meant(l, item);

	if (i == -1 && more)
		return lift_column(l, item, true);
	return i;
}

/* ORDER BY over the fragment's columns, and by position in the fragment. */
static bool
lift_sort(struct lift *l, PgQuery__SelectStmt *in, PgQuery__SelectStmt *final, bool more)
{
	PgQuery__Node **v = NULL, **w = NULL;
	size_t n = 0, m = 0;

	for (size_t i = 0; i < l->s->n_sort_clause; i++) {
		PgQuery__Node *outer = tree_copy(l->b->arena, l->s->sort_clause[i]);
		PgQuery__Node *inner = tree_copy(l->b->arena, l->s->sort_clause[i]);
		int c = sort_column(l, l->s->sort_clause[i]->sort_by->node, more);

		if (c < 0)
			return false;
		outer->sort_by->node = lifted(l, c);
		inner->sort_by->node = tree_int(l->b->arena, c + 1);
		tree_push(l->b->arena, &n, &v, outer);
		tree_push(l->b->arena, &m, &w, inner);
	}
	final->sort_clause = v;
	final->n_sort_clause = n;
	in->sort_clause = w;
	in->n_sort_clause = m;
	return true;
}

static bool
lift_distinct(struct lift *l, PgQuery__SelectStmt *in, PgQuery__SelectStmt *final)
{
	PgQuery__Node **v = NULL, **w = NULL;
	size_t n = 0, m = 0;

	for (size_t i = 0; i < l->s->n_distinct_clause; i++) {
		PgQuery__Node *one = l->s->distinct_clause[i];
		int c;

		if (one->node_case == PG_QUERY__NODE__NODE__NOT_SET) {
			tree_push(l->b->arena, &n, &v, one);
			tree_push(l->b->arena, &m, &w, one);
			continue;
		}
		c = sort_column(l, one, true);
		if (c < 0)
			return false;
		tree_push(l->b->arena, &n, &v, lifted(l, c));
		tree_push(l->b->arena, &m, &w, tree_int(l->b->arena, c + 1));
	}
	final->distinct_clause = v;
	final->n_distinct_clause = n;
	in->distinct_clause = w;
	in->n_distinct_clause = m;
	return true;
}

/* A set operation becomes a subquery, so that its rows have columns to be sorted by. */
static bool
wrap(struct lift *l, PgQuery__Node **fragment)
{
	struct arena *a = l->b->arena;
	PgQuery__SelectStmt *outer, *inner;
	PgQuery__Node *from = tree_subselect(a, tree_copy(a, l->b->stmt), "weir_u");
	int n = make_room(l);

	*fragment = tree_select(a, &outer);
	inner = from->range_subselect->subquery->select_stmt;
	inner->n_sort_clause = 0;
	inner->limit_count = inner->limit_offset = NULL;
	inner->limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
	for (int i = 0; i < n; i++) {
		char *name = arena_printf(a, "weir_u%d", i + 1);
		PgQuery__Alias *alias = from->range_subselect->alias;

		tree_push(a, &alias->n_colnames, &alias->colnames, tree_string(a, name));
		if (!add_output(l, tree_column(a, "weir_u", name),
			output_name_at(&l->b->c, l->q, i), ""))
			return false;
	}
	tree_push(a, &outer->n_from_clause, &outer->from_clause, from);
	return n > 0;
}

enum rc
plan_tail(struct build *b, const struct spread *spread, bool *done)
{
	struct lift l = {.b = b, .q = b->root, .s = select_of(b->root)};
	struct limits limits = limits_of(b, l.s);
	PgQuery__SelectStmt *in, *final;
	PgQuery__Node *fragment, *last = tree_select(b->arena, &final);
	bool setop = b->root->kind == Q_SETOP;
	bool plain = l.s->n_distinct_clause == 0 ||
	    l.s->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET;
	enum rc rc;

	if (setop ? !wrap(&l, &fragment) : !lift_outputs(&l))
		return RC_OK;
	for (int i = 0; i < l.n_outs; i++) {
		lift_column(&l, l.outs[i], false);
		l.cols[i]->res_target->name = arena_strdup(b->arena, l.aliases[i]);
		tree_push(b->arena, &final->n_target_list, &final->target_list,
		    tree_target(b->arena, lifted(&l, i), l.names[i]));
	}
	if (!setop)
		fragment = tree_copy(b->arena, b->stmt);
	in = fragment->select_stmt;
	if (!lift_distinct(&l, in, final) || !lift_sort(&l, in, final, plain && !setop))
		return RC_OK;
	tree_push(b->arena, &final->n_from_clause, &final->from_clause,
	    tree_table(b->arena, "pg_temp", "weir_1", NULL));
	final->limit_count = l.s->limit_count;
	final->limit_offset = l.s->limit_offset;
	final->limit_option = l.s->limit_option;
	if (!limits.known)
		limits.pushed = -1;
	push_limit(b, in, &limits);
	if (limits.known && in->n_distinct_clause == 0 && in->n_sort_clause > 0) {
		rc = plan_sorted(&l, fragment, spread, done);
		if (rc != RC_OK || *done)
			return rc;
	}
	if (limits.pushed < 0 && in->n_distinct_clause == 0)
		in->n_sort_clause = 0;
	*done = true;
	b->out->kind = MULTI_INTERMEDIATE;
	rc = lift_fragment(&l, fragment, spread);
	return rc == RC_OK ? text_of(b, last, &b->out->final) : rc;
}
