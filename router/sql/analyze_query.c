/* Query levels out of SELECT, INSERT, UPDATE, DELETE and MERGE: their tables and joins,
 * conditions, outputs and subqueries. */
#include "router/sql/analyze_int.h"

#define NODE(x) PG_QUERY__NODE__NODE_##x

struct sql_query *
an_level(struct analysis *an, enum query_kind kind, struct sql_query *parent,
    enum query_place place, struct sql_from *at)
{
	struct sql_query *q = ARENA_NEW(an->arena, struct sql_query);

	q->kind = kind;
	q->parent = parent;
	q->place = parent == NULL ? PLACE_ROOT : place;
	q->at = at;
	q->n_conflict_cols = -1;
	return q;
}

static struct spot
top_of(struct sql_query *q)
{
	return (struct spot){q, PLACE_TOP, NULL};
}

static const char *const *
name_list(struct analysis *an, size_t n, PgQuery__Node *const *nodes, int *count)
{
	const char **v = NULL;

	*count = 0;
	if (n == 0)
		return NULL;
	v = ARENA_NEW_N(an->arena, const char *, n);
	for (size_t i = 0; i < n; i++) {
		const char *s = nodes[i]->node_case == NODE(RES_TARGET)
		    ? (nodes[i]->res_target->n_indirection > 0
			      ? NULL
			      : nodes[i]->res_target->name)
		    : an_string(nodes[i]);

		v[(*count)++] = s == NULL ? "" : arena_strdup(an->arena, s);
	}
	return v;
}

/* ---- output names, as PostgreSQL's FigureColname gives them; NULL: not told ---- */

static const char *output_name(const PgQuery__Node *n, int *strength);

static const char *
cast_output_name(const PgQuery__TypeCast *c, int *strength)
{
	const char *name = output_name(c->arg, strength);
	const PgQuery__TypeName *t = c->type_name;

	if (*strength == 2 || t == NULL || t->n_names == 0)
		return name;
	*strength = 1;
	return an_string(t->names[t->n_names - 1]);
}

static const char *
sublink_output_name(const PgQuery__SubLink *s, int *strength)
{
	const PgQuery__SelectStmt *q;

	*strength = 2;
	switch (s->sub_link_type) {
	case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
		return "exists";
	case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
		return "array";
	case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
		q = s->subselect != NULL && s->subselect->node_case == NODE(SELECT_STMT)
		    ? s->subselect->select_stmt
		    : NULL;
		while (q != NULL && q->larg != NULL)
			q = q->larg;
		if (q != NULL && q->n_target_list == 1)
			return q->target_list[0]->res_target->name[0] != '\0'
			    ? q->target_list[0]->res_target->name
			    : output_name(q->target_list[0]->res_target->val, strength);
		return NULL;
	default:
		*strength = 0;
		return "?column?";
	}
}

static const char *
output_name(const PgQuery__Node *n, int *strength)
{
	*strength = 2;
	if (n == NULL)
		return NULL;
	switch (n->node_case) {
	case NODE(COLUMN_REF):
		return n->column_ref->n_fields == 0
		    ? NULL
		    : an_string(n->column_ref->fields[n->column_ref->n_fields - 1]);
	case NODE(FUNC_CALL):
		return n->func_call->n_funcname == 0
		    ? NULL
		    : an_string(n->func_call->funcname[n->func_call->n_funcname - 1]);
	case NODE(TYPE_CAST):
		return cast_output_name(n->type_cast, strength);
	case NODE(SUB_LINK):
		return sublink_output_name(n->sub_link, strength);
	case NODE(COLLATE_CLAUSE):
		return output_name(n->collate_clause->arg, strength);
	case NODE(COALESCE_EXPR):
		return "coalesce";
	case NODE(ROW_EXPR):
		return "row";
	case NODE(A_ARRAY_EXPR):
		return "array";
	case NODE(GROUPING_FUNC):
		return "grouping";
	case NODE(CASE_EXPR): {
		const char *name = output_name(n->case_expr->defresult, strength);

		if (name != NULL && *strength == 2)
			return name;
		if (name == NULL && n->case_expr->defresult != NULL)
			return NULL;
		*strength = 1;
		return "case";
	}
	case NODE(MIN_MAX_EXPR):
		return n->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST
		    ? "greatest"
		    : "least";
	case NODE(A_EXPR):
		if (n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF)
			return "nullif";
		/* fall through */
	case NODE(A_CONST):
	case NODE(PARAM_REF):
	case NODE(BOOL_EXPR):
	case NODE(NULL_TEST):
	case NODE(BOOLEAN_TEST):
		*strength = 0;
		return "?column?";
	default:
		*strength = 0;
		return NULL;
	}
}

static void
add_targets(
    struct analysis *an, struct sql_query *q, size_t n, PgQuery__Node *const *list)
{
	for (size_t i = 0; i < n; i++) {
		const PgQuery__ResTarget *r =
		    list[i]->node_case == NODE(RES_TARGET) ? list[i]->res_target : NULL;
		struct sql_target *t;
		int strength;

		if (r == NULL)
			continue;
		t = AN_PUSH(an, q->targets, q->n_targets);
		t->name = r->name != NULL && r->name[0] != '\0'
		    ? r->name
		    : output_name(r->val, &strength);
		t->name = an_strdup(an, t->name);
		an_expr(an, top_of(q), r->val, &t->expr);
	}
}

/* ---- CTEs ---- */

static struct sql_cte *
find_cte(const struct sql_query *q, const char *name)
{
	for (; q != NULL; q = q->parent)
		for (int i = q->n_ctes - 1; i >= 0; i--)
			if (strcmp(q->ctes[i]->name, name) == 0)
				return q->ctes[i];
	return NULL;
}

static struct sql_cte *
new_cte(struct analysis *an, const PgQuery__CommonTableExpr *c)
{
	struct sql_cte *cte = ARENA_NEW(an->arena, struct sql_cte);

	cte->name = arena_strdup(an->arena, c->ctename);
	cte->colnames =
	    name_list(an, c->n_aliascolnames, c->aliascolnames, &cte->n_colnames);
	return cte;
}

static void
cte_query(struct analysis *an, struct sql_query *q, struct sql_cte *cte,
    const PgQuery__CommonTableExpr *c)
{
	cte->query = an_query(an, c->ctequery, q, PLACE_CTE, NULL);
	if (cte->query == NULL)
		cte->query = an_level(an, Q_UTILITY, q, PLACE_CTE, NULL);
	cte->query->cte = cte;
	if (cte->query->kind >= Q_INSERT)
		an->stmt->modifies = true;
	/* SEARCH and CYCLE add columns; what they say proves nothing */
	if (c->search_clause != NULL || c->cycle_clause != NULL)
		cte->recursive = true;
}

static void
add_ctes(struct analysis *an, struct sql_query *q, const PgQuery__WithClause *w)
{
	int first = q->n_ctes;

	if (w == NULL)
		return;
	/* WITH RECURSIVE: each sees all of them, also those that come later */
	for (size_t i = 0; w->recursive && i < w->n_ctes; i++)
		*AN_PUSH(an, q->ctes, q->n_ctes) =
		    new_cte(an, w->ctes[i]->common_table_expr);
	for (size_t i = 0; i < w->n_ctes; i++) {
		const PgQuery__CommonTableExpr *c = w->ctes[i]->common_table_expr;
		struct sql_cte *cte =
		    w->recursive ? q->ctes[first + (int)i] : new_cte(an, c);

		cte_query(an, q, cte, c);
		if (!w->recursive)
			*AN_PUSH(an, q->ctes, q->n_ctes) = cte;
	}
}

/* ---- FROM ---- */

static void
rel_alias(struct analysis *an, struct sql_rel *r, const PgQuery__Alias *a)
{
	if (a == NULL)
		return;
	r->alias = an_strdup(an, a->aliasname);
	r->colnames = name_list(an, a->n_colnames, a->colnames, &r->n_colnames);
}

static struct sql_from *
new_leaf(struct analysis *an, struct sql_query *q, int item, struct sql_from *parent,
    enum rel_kind kind)
{
	struct sql_from *f = ARENA_NEW(an->arena, struct sql_from);

	f->item = item;
	f->parent = parent;
	f->rel = ARENA_NEW(an->arena, struct sql_rel);
	f->rel->kind = kind;
	f->rel->level = q;
	f->rel->leaf = f;
	return f;
}

static void
table_rel(struct analysis *an, struct sql_query *q, struct sql_rel *r,
    const PgQuery__RangeVar *v, bool ctes)
{
	r->kind = REL_TABLE;
	r->node = an_node(an, v);
	r->level = q;
	r->schema = an_strdup(an, v->schemaname);
	r->name = arena_strdup(an->arena, v->relname);
	r->alias = r->name;
	rel_alias(an, r, v->alias);
	r->cte = r->schema == NULL && ctes ? find_cte(q, r->name) : NULL;
	if (r->cte == NULL)
		return;
	r->kind = REL_CTE;
	if (r->cte->query == NULL)
		r->cte->recursive =
		    true; /* or a forward reference, which is as little proof */
	r->cte->n_refs++;
	r->cte->ref = r;
}

static struct sql_from *from_item(struct analysis *, struct sql_query *, int item,
    struct sql_from *parent, const PgQuery__Node *);

static void
hide(struct sql_from *f)
{
	if (f->rel != NULL) {
		f->rel->hidden = true;
		return;
	}
	f->alias = NULL;
	hide(f->left);
	hide(f->right);
}

static struct sql_from *
from_join(struct analysis *an, struct sql_query *q, int item, struct sql_from *parent,
    const PgQuery__JoinExpr *j)
{
	struct sql_from *f = ARENA_NEW(an->arena, struct sql_from);

	f->item = item;
	f->parent = parent;
	f->node = an_node(an, j);
	f->join = j->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT ? JOIN_LEFT
	    : j->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT    ? JOIN_RIGHT
	    : j->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL     ? JOIN_FULL
								: JOIN_INNER;
	f->natural = j->is_natural;
	f->using = name_list(an, j->n_using_clause, j->using_clause, &f->n_using);
	f->left = from_item(an, q, item, f, j->larg);
	f->right = from_item(an, q, item, f, j->rarg);
	if (j->alias != NULL) {
		hide(f->left);
		hide(f->right);
		f->alias = an_strdup(an, j->alias->aliasname);
		f->renamed = j->alias->n_colnames > 0;
	}
	f->on = an_cond(an, (struct spot){q, PLACE_ON, f}, j->quals);
	return f;
}

static struct sql_from *
from_function(struct analysis *an, struct sql_query *q, int item, struct sql_from *parent,
    const PgQuery__Node *n)
{
	struct sql_from *f = new_leaf(an, q, item, parent, REL_OTHER);

	f->rel->lateral = true;
	if (n->node_case == NODE(RANGE_FUNCTION)) {
		rel_alias(an, f->rel, n->range_function->alias);
		if (f->rel->alias == NULL) {
			int strength;
			const PgQuery__Node *fn = n->range_function->n_functions > 0
			    ? n->range_function->functions[0]
			    : NULL;

			if (fn != NULL && fn->node_case == NODE(LIST) &&
			    fn->list->n_items > 0)
				f->rel->alias = an_strdup(
				    an, output_name(fn->list->items[0], &strength));
		}
	} else if (n->node_case == NODE(RANGE_TABLE_FUNC)) {
		rel_alias(an, f->rel, n->range_table_func->alias);
	}
	an_walk(an, (struct spot){q, PLACE_FROM, f}, &n->base);
	return f;
}

static struct sql_from *
from_item(struct analysis *an, struct sql_query *q, int item, struct sql_from *parent,
    const PgQuery__Node *n)
{
	struct sql_from *f;

	switch (n == NULL ? NODE(_NOT_SET) : n->node_case) {
	case NODE(RANGE_VAR):
		f = new_leaf(an, q, item, parent, REL_TABLE);
		table_rel(an, q, f->rel, n->range_var, true);
		return f;
	case NODE(RANGE_SUBSELECT):
		f = new_leaf(an, q, item, parent, REL_QUERY);
		f->rel->lateral = n->range_subselect->lateral;
		f->rel->node = an_node(an, n->range_subselect);
		rel_alias(an, f->rel, n->range_subselect->alias);
		f->rel->query =
		    an_query(an, n->range_subselect->subquery, q, PLACE_FROM, f);
		if (f->rel->query == NULL)
			f->rel->kind = REL_OTHER;
		return f;
	case NODE(RANGE_TABLE_SAMPLE):
		f = from_item(an, q, item, parent, n->range_table_sample->relation);
		an_walk_list(an, (struct spot){q, PLACE_FROM, f},
		    n->range_table_sample->n_args, n->range_table_sample->args);
		if (n->range_table_sample->repeatable != NULL)
			an_walk(an, (struct spot){q, PLACE_FROM, f},
			    &n->range_table_sample->repeatable->base);
		return f;
	case NODE(JOIN_EXPR):
		return from_join(an, q, item, parent, n->join_expr);
	case NODE(_NOT_SET):
		return new_leaf(an, q, item, parent, REL_OTHER);
	default:
		return from_function(an, q, item, parent, n);
	}
}

static void
add_from(struct analysis *an, struct sql_query *q, size_t n, PgQuery__Node *const *items)
{
	for (size_t i = 0; i < n; i++) {
		struct sql_from *f = from_item(an, q, q->n_from, NULL, items[i]);

		*AN_PUSH(an, q->from, q->n_from) = f;
	}
}

struct sql_rel *
an_add_table(struct analysis *an, struct sql_query *q, const PgQuery__RangeVar *v)
{
	struct sql_from *f = new_leaf(an, q, q->n_from, NULL, REL_TABLE);

	table_rel(an, q, f->rel, v, false);
	*AN_PUSH(an, q->from, q->n_from) = f;
	return f->rel;
}

/* ---- SELECT, VALUES, set operations ---- */

static void
add_rows(struct analysis *an, struct sql_query *q, const PgQuery__SelectStmt *s)
{
	struct sql_expr *cells;
	size_t width = s->values_lists[0]->list->n_items;

	q->values.width = (int)width;
	cells = ARENA_NEW_N(an->arena, struct sql_expr, s->n_values_lists * width + 1);
	q->values.cells = cells;
	for (size_t r = 0; r < s->n_values_lists; r++) {
		const PgQuery__List *l = s->values_lists[r]->list;

		/* rows of different widths: the server refuses them */
		for (size_t c = 0; c < l->n_items && c < width; c++)
			an_expr(an, top_of(q), l->items[c], &cells[r * width + c]);
		q->values.n_rows++;
	}
}

static void
add_group(struct analysis *an, struct sql_query *q, const PgQuery__SelectStmt *s)
{
	q->grouped = s->n_group_clause > 0;
	for (size_t i = 0; i < s->n_group_clause; i++)
		if (s->group_clause[i]->node_case == NODE(GROUPING_SET))
			q->grouping_sets = true;
	an_walk_list(an, top_of(q), s->n_group_clause, s->group_clause);
}

/* ORDER BY, LIMIT and locking, which a set operation and VALUES may have too. */
static void
add_tail(struct analysis *an, struct sql_query *q, const PgQuery__SelectStmt *s)
{
	an_walk_list(an, top_of(q), s->n_sort_clause, s->sort_clause);
	if (s->limit_count != NULL) {
		q->limit = true;
		an_walk(an, top_of(q), &s->limit_count->base);
	}
	if (s->limit_offset != NULL) {
		q->limit = true;
		an_walk(an, top_of(q), &s->limit_offset->base);
	}
	if (s->n_locking_clause > 0)
		q->locks = an->stmt->locks_rows = true;
}

static bool
is_temp(const PgQuery__RangeVar *v)
{
	return (v->relpersistence != NULL && v->relpersistence[0] == 't') ||
	    (v->schemaname != NULL && strcmp(v->schemaname, "pg_temp") == 0);
}

static void
add_into(struct analysis *an, struct sql_query *q, const PgQuery__IntoClause *into)
{
	if (into == NULL || into->rel == NULL)
		return;
	q->into = an->stmt->modifies = true;
	q->target = ARENA_NEW(an->arena, struct sql_rel);
	table_rel(an, q, q->target, into->rel, false);
	an_makes(an, into->rel);
	an->stmt->on_commit_drop =
	    into->on_commit == PG_QUERY__ON_COMMIT_ACTION__ONCOMMIT_DROP;
	if (is_temp(into->rel)) {
		an->stmt->temp_object = true;
		an->stmt->pins |= PIN_TEMP;
	}
}

static void
plain_select(struct analysis *an, struct sql_query *q, const PgQuery__SelectStmt *s)
{
	int calls, subs;

	add_from(an, q, s->n_from_clause, s->from_clause);
	q->where = an_cond(an, top_of(q), s->where_clause);
	calls = q->n_calls;
	subs = q->n_subs;
	add_targets(an, q, s->n_target_list, s->target_list);
	if (s->having_clause != NULL)
		an_walk(an, top_of(q), &s->having_clause->base);
	q->maybe_agg = s->n_group_clause == 0 &&
	    (s->having_clause != NULL || q->n_calls > calls || q->n_subs > subs);
	add_group(an, q, s);
	for (size_t i = 0; i < s->n_distinct_clause; i++)
		if (s->distinct_clause[i]->node_case != NODE(_NOT_SET)) {
			q->distinct_on = true;
			an_walk(an, top_of(q), &s->distinct_clause[i]->base);
		}
	if (s->n_window_clause > 0)
		q->window = true;
	an_walk_list(an, top_of(q), s->n_window_clause, s->window_clause);
	add_into(an, q, s->into_clause);
}

struct sql_query *
an_select(struct analysis *an, const PgQuery__SelectStmt *s, struct sql_query *parent,
    enum query_place place, struct sql_from *at)
{
	bool setop = s->op > PG_QUERY__SET_OPERATION__SETOP_NONE && s->larg != NULL &&
	    s->rarg != NULL;
	enum query_kind kind = setop ? Q_SETOP
	    : s->n_values_lists > 0  ? Q_VALUES
				     : Q_SELECT;
	struct sql_query *q = an_level(an, kind, parent, place, at);

	q->node = an_node(an, s);
	add_ctes(an, q, s->with_clause);
	if (setop) {
		q->left = an_select(an, s->larg, q, PLACE_BRANCH, NULL);
		q->right = an_select(an, s->rarg, q, PLACE_BRANCH, NULL);
	} else if (kind == Q_VALUES) {
		add_rows(an, q, s);
	} else {
		plain_select(an, q, s);
	}
	add_tail(an, q, s);
	return q;
}

/* ---- INSERT, UPDATE, DELETE, MERGE ---- */

static void
add_sets(struct analysis *an, struct sql_query *q, size_t n, PgQuery__Node *const *list)
{
	for (size_t i = 0; i < n; i++) {
		const PgQuery__ResTarget *r = list[i]->res_target;
		struct sql_assign *s = AN_PUSH(an, q->sets, q->n_sets);
		const PgQuery__Node *val = r->val;
		const PgQuery__MultiAssignRef *m;

		s->col = arena_strdup(an->arena, r->name);
		if (val != NULL && val->node_case == NODE(MULTI_ASSIGN_REF)) {
			m = val->multi_assign_ref;
			val = m->source;
			if (val != NULL && val->node_case == NODE(ROW_EXPR) &&
			    m->colno >= 1 && (size_t)m->colno <= val->row_expr->n_args)
				val = val->row_expr->args[m->colno - 1];
		}
		an_expr(an, top_of(q), val, &s->expr);
		if (r->n_indirection > 0)
			s->expr.kind = EXPR_OTHER;
	}
}

static void
add_conflict(struct analysis *an, struct sql_query *q, const PgQuery__OnConflictClause *c)
{
	const PgQuery__InferClause *infer;
	const char **cols;

	if (c == NULL)
		return;
	q->conflict = c->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE
	    ? CONFLICT_UPDATE
	    : CONFLICT_NOTHING;
	add_sets(an, q, c->n_target_list, c->target_list);
	if (c->where_clause != NULL)
		an_walk(an, top_of(q), &c->where_clause->base);
	infer = c->infer;
	if (infer == NULL || infer->n_index_elems == 0)
		return;
	cols = ARENA_NEW_N(an->arena, const char *, infer->n_index_elems);
	q->n_conflict_cols = 0;
	q->conflict_cols = cols;
	for (size_t i = 0; i < infer->n_index_elems; i++) {
		const PgQuery__Node *e = infer->index_elems[i];

		if (e->node_case == NODE(INDEX_ELEM) && e->index_elem->name != NULL &&
		    e->index_elem->name[0] != '\0')
			cols[q->n_conflict_cols++] =
			    arena_strdup(an->arena, e->index_elem->name);
		else
			an_walk(an, top_of(q), &e->base);
	}
	if (infer->where_clause != NULL)
		an_walk(an, top_of(q), &infer->where_clause->base);
}

static struct sql_query *
an_insert(struct analysis *an, const PgQuery__InsertStmt *s, struct sql_query *parent,
    enum query_place place)
{
	struct sql_query *q = an_level(an, Q_INSERT, parent, place, NULL);
	const PgQuery__SelectStmt *src =
	    s->select_stmt != NULL && s->select_stmt->node_case == NODE(SELECT_STMT)
	    ? s->select_stmt->select_stmt
	    : NULL;

	q->node = an_node(an, s);
	add_ctes(an, q, s->with_clause);
	q->target = ARENA_NEW(an->arena, struct sql_rel);
	table_rel(an, q, q->target, s->relation, false);
	q->columns = name_list(an, s->n_cols, s->cols, &q->n_columns);
	if (src == NULL) {
		q->default_values = true;
	} else if (src->n_values_lists > 0 && src->with_clause == NULL &&
	    src->n_sort_clause == 0 && src->limit_count == NULL &&
	    src->limit_offset == NULL) {
		add_rows(an, q, src);
		q->values.columns = q->columns;
		q->values.n_columns = q->n_columns;
	} else {
		q->source = an_select(an, src, q, PLACE_SOURCE, NULL);
	}
	add_conflict(an, q, s->on_conflict_clause);
	add_targets(an, q, s->n_returning_list, s->returning_list);
	return q;
}

static struct sql_query *
an_update(struct analysis *an, const PgQuery__UpdateStmt *s, struct sql_query *parent,
    enum query_place place)
{
	struct sql_query *q = an_level(an, Q_UPDATE, parent, place, NULL);

	q->node = an_node(an, s);
	add_ctes(an, q, s->with_clause);
	q->target = an_add_table(an, q, s->relation);
	add_from(an, q, s->n_from_clause, s->from_clause);
	q->where = an_cond(an, top_of(q), s->where_clause);
	add_sets(an, q, s->n_target_list, s->target_list);
	add_targets(an, q, s->n_returning_list, s->returning_list);
	return q;
}

static struct sql_query *
an_delete(struct analysis *an, const PgQuery__DeleteStmt *s, struct sql_query *parent,
    enum query_place place)
{
	struct sql_query *q = an_level(an, Q_DELETE, parent, place, NULL);

	q->node = an_node(an, s);
	add_ctes(an, q, s->with_clause);
	q->target = an_add_table(an, q, s->relation);
	add_from(an, q, s->n_using_clause, s->using_clause);
	q->where = an_cond(an, top_of(q), s->where_clause);
	add_targets(an, q, s->n_returning_list, s->returning_list);
	return q;
}

static void
merge_when(struct analysis *an, struct sql_query *q, const PgQuery__MergeWhenClause *w)
{
	struct sql_rows *rows;
	struct sql_expr *cells;

	if (w->condition != NULL)
		an_walk(an, top_of(q), &w->condition->base);
	if (w->command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE)
		add_sets(an, q, w->n_target_list, w->target_list);
	if (w->command_type != PG_QUERY__CMD_TYPE__CMD_INSERT)
		return;
	rows = AN_PUSH(an, q->merge_rows, q->n_merge_rows);
	*rows = (struct sql_rows){.n_rows = 1, .width = (int)w->n_values};
	rows->columns = name_list(an, w->n_target_list, w->target_list, &rows->n_columns);
	rows->cells = cells = ARENA_NEW_N(an->arena, struct sql_expr, w->n_values + 1);
	for (size_t i = 0; i < w->n_values; i++)
		an_expr(an, top_of(q), w->values[i], &cells[i]);
}

/* The source LEFT JOIN the target: source rows stay whether they match or not. */
static struct sql_query *
an_merge(struct analysis *an, const PgQuery__MergeStmt *s, struct sql_query *parent,
    enum query_place place)
{
	struct sql_query *q = an_level(an, Q_MERGE, parent, place, NULL);
	struct sql_from *j = ARENA_NEW(an->arena, struct sql_from);

	q->node = an_node(an, s);
	add_ctes(an, q, s->with_clause);
	j->join = JOIN_LEFT;
	j->left = from_item(an, q, 0, j, s->source_relation);
	j->right = new_leaf(an, q, 0, j, REL_TABLE);
	table_rel(an, q, j->right->rel, s->relation, false);
	q->target = j->right->rel;
	*AN_PUSH(an, q->from, q->n_from) = j;
	j->on = an_cond(an, (struct spot){q, PLACE_ON, j}, s->join_condition);
	for (size_t i = 0; i < s->n_merge_when_clauses; i++)
		if (s->merge_when_clauses[i]->node_case == NODE(MERGE_WHEN_CLAUSE))
			merge_when(an, q, s->merge_when_clauses[i]->merge_when_clause);
	return q;
}

struct sql_query *
an_query(struct analysis *an, const PgQuery__Node *n, struct sql_query *parent,
    enum query_place place, struct sql_from *at)
{
	switch (n == NULL ? NODE(_NOT_SET) : n->node_case) {
	case NODE(SELECT_STMT):
		return an_select(an, n->select_stmt, parent, place, at);
	case NODE(INSERT_STMT):
		return an_insert(an, n->insert_stmt, parent, place);
	case NODE(UPDATE_STMT):
		return an_update(an, n->update_stmt, parent, place);
	case NODE(DELETE_STMT):
		return an_delete(an, n->delete_stmt, parent, place);
	case NODE(MERGE_STMT):
		return an_merge(an, n->merge_stmt, parent, place);
	default:
		return NULL;
	}
}
