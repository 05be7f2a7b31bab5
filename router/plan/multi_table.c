/* The plan that nearly every SELECT has: each sharded table in it, wherever it occurs, is
 * fetched into a temporary table of the same columns, and the statement runs over these.
 *
 * Of a table come the columns whose names occur anywhere in the statement (all of them
 * where a star, the whole row or NATURAL may mean any), so that each name still means what
 * it meant; and the rows that pass those of the conditions around it which speak of it
 * alone and whose other rows could not matter: WHERE and ON of inner joins for what is on
 * no nullable side below them, the ON of an outer join for its nullable side. */
#include "router/plan/multi_int.h"

/* ---- columns ---- */

#define NAMES_MAX 4096

struct needs {
	const char *names[NAMES_MAX]; /* last parts of all references */
	int n;
	bool all;
	/* tables by their names here of which all columns are needed */
	const char *whole[NAMES_MAX];
	int n_whole;
	/* tables that a bare star covers */
	const void *covered[NAMES_MAX];
	int n_covered;
};

static bool
has_name(const char *const *v, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(v[i], name) == 0)
			return true;
	return false;
}

static void
need_name(struct needs *k, const char *name)
{
	if (has_name(k->names, k->n, name))
		return;
	if (k->n == NAMES_MAX)
		k->all = true;
	else
		k->names[k->n++] = name;
}

/* All tables of a FROM item, but for those inside of subqueries. */
static enum walk
cover(void *arg, ProtobufCMessage *m)
{
	struct needs *k = arg;
	const PgQuery__Node *n = tree_node(m);

	if (NODE_IS(n, RANGE_SUBSELECT) || NODE_IS(n, SUB_LINK))
		return WALK_SKIP;
	if (m->descriptor != &pg_query__range_var__descriptor)
		return WALK_ON;
	if (k->n_covered == NAMES_MAX)
		k->all = true;
	else
		k->covered[k->n_covered++] = m;
	return WALK_ON;
}

/* A star as an output of a level. */
static bool
is_bare_star(const PgQuery__Node *target)
{
	struct sql_expr e =
	    column_expr(NODE_IS(target, RES_TARGET) ? target->res_target->val : NULL);

	return e.kind == EXPR_STAR && e.rel == NULL;
}

static void
cover_stars(struct needs *k, PgQuery__SelectStmt *s)
{
	for (size_t i = 0; i < s->n_target_list; i++)
		if (is_bare_star(s->target_list[i]))
			for (size_t f = 0; f < s->n_from_clause; f++)
				tree_walk(s->from_clause[f], cover, k);
}

static enum walk
collect(void *arg, ProtobufCMessage *m)
{
	struct needs *k = arg;
	PgQuery__Node *n = tree_node(m);
	struct sql_expr e;

	if (m->descriptor == &pg_query__select_stmt__descriptor)
		cover_stars(k, (PgQuery__SelectStmt *)(void *)m);
	if (m->descriptor == &pg_query__join_expr__descriptor) {
		PgQuery__JoinExpr *j = (PgQuery__JoinExpr *)(void *)m;

		for (size_t i = 0; i < j->n_using_clause; i++)
			if (tree_str(j->using_clause[i]) != NULL)
				need_name(k, tree_str(j->using_clause[i]));
		/* an alias of the join may stand for all its columns */
		if (j->is_natural || j->alias != NULL || j->join_using_alias != NULL) {
			tree_walk(j->larg, cover, k);
			tree_walk(j->rarg, cover, k);
		}
	}
	if (is_bare_star(n)) /* cover_stars() has seen it */
		return WALK_SKIP;
	if (!NODE_IS(n, COLUMN_REF))
		return WALK_ON;
	e = column_expr(n);
	if (e.kind == EXPR_OTHER || (e.kind == EXPR_STAR && e.rel == NULL))
		k->all = true;
	else if (e.kind == EXPR_COL)
		need_name(k, e.col);
	else if (k->n_whole == NAMES_MAX)
		k->all = true;
	else
		k->whole[k->n_whole++] = e.rel;
	return WALK_SKIP;
}

static bool
needs_all(const struct needs *k, const struct sql_rel *rel)
{
	if (k->all || rel->n_colnames > 0 || rel->alias == NULL ||
	    has_name(k->whole, k->n_whole, rel->alias) ||
	    has_name(k->names, k->n, rel->alias)) /* perhaps the whole row */
		return true;
	for (int i = 0; i < k->n_covered; i++)
		if (k->covered[i] == rel->node)
			return true;
	return false;
}

/* The select list of the fragment: the table's own names. */
static enum rc
add_columns(struct build *b, const struct sql_rel *rel, bool all, const struct needs *k,
    PgQuery__SelectStmt *s)
{
	const struct schema_table *st = columns_of(&b->c, rel);

	if (st == NULL) {
		PgQuery__Node *star = tree_column(b->arena, NULL, "");

		star->column_ref->fields[0]->node_case = PG_QUERY__NODE__NODE_A_STAR;
		star->column_ref->fields[0]->a_star = ARENA_NEW(b->arena, PgQuery__AStar);
		pg_query__a__star__init(star->column_ref->fields[0]->a_star);
		tree_push(b->arena, &s->n_target_list, &s->target_list,
		    tree_target(b->arena, star, NULL));
		return RC_OK;
	}
	for (int i = 0; i < st->n_columns; i++) {
		if (!all && !has_name(k->names, k->n, st->columns[i].name))
			continue;
		if (is_catalog_type(st->columns[i].type))
			return refuse(b, "Cast it to text in a subquery on one shard.",
			    "column \"%s\" of table \"%s\", whose type means each shard's "
			    "own catalog",
			    st->columns[i].name, st->name);
		tree_push(b->arena, &s->n_target_list, &s->target_list,
		    tree_target(b->arena,
			tree_column(b->arena, rel->alias, st->columns[i].name), NULL));
	}
	/* a table of which only the number of rows counts */
	if (s->n_target_list == 0)
		tree_push(b->arena, &s->n_target_list, &s->target_list,
		    tree_target(b->arena,
			tree_column(b->arena, rel->alias, st->columns[0].name), NULL));
	return RC_OK;
}

/* ---- GROUP BY a primary key ---- */

struct dependent {
	struct build *b;
	const struct sql_rel *rel;
};

static bool
is_grouped(const struct dependent *d, const char *name)
{
	const PgQuery__SelectStmt *s = select_of(d->rel->level);

	for (size_t i = 0; i < s->n_group_clause; i++) {
		struct sql_expr e = column_expr(s->group_clause[i]);
		struct col col;

		if (e.kind == EXPR_COL &&
		    resolve_col(&d->b->c, d->rel->level, NULL, &e, &col) &&
		    col.rel == d->rel && strcmp(col.name, name) == 0)
			return true;
	}
	return false;
}

static enum walk
is_dependent(void *arg, ProtobufCMessage *m)
{
	const struct dependent *d = arg;
	const PgQuery__Node *n = tree_node(m);
	struct sql_expr e = column_expr(n);
	struct col col;

	if (NODE_IS(n, FUNC_CALL) && n->func_call->over == NULL &&
	    is_aggregate(n->func_call))
		return WALK_SKIP;
	if (e.kind == EXPR_STAR)
		return WALK_END;
	return e.kind == EXPR_COL &&
		resolve_col(&d->b->c, d->rel->level, NULL, &e, &col) &&
		col.rel == d->rel && !is_grouped(d, col.name)
	    ? WALK_END
	    : WALK_ON;
}

/* Columns that are used ungrouped in a grouped level depend on the table's primary key,
 * which the temporary table must have too. */
static bool
needs_key(struct build *b, const struct sql_rel *rel)
{
	const PgQuery__SelectStmt *s = select_of(rel->level);
	struct dependent d = {b, rel};
	bool found = false;

	if (s == NULL || s->n_group_clause == 0)
		return false;
	for (size_t i = 0; i < s->n_target_list; i++)
		found |= tree_walk(s->target_list[i], is_dependent, &d);
	for (size_t i = 0; i < s->n_sort_clause; i++)
		found |= tree_walk(s->sort_clause[i], is_dependent, &d);
	return found || tree_walk(s->having_clause, is_dependent, &d);
}

static const char *
quoted(struct arena *a, const char *name)
{
	char *out = arena_alloc(a, strlen(name) * 2 + 3), *p = out;

	*p++ = '"';
	for (; *name != '\0'; name++) {
		if (*name == '"')
			*p++ = '"';
		*p++ = *name;
	}
	*p = '"';
	return out;
}

static void
create_with_key(struct build *b, struct multi_fragment *f, const struct rel_info *r)
{
	f->create = (struct multi_text){
	    .sql = slice_of(arena_printf(b->arena,
		"CREATE TEMPORARY TABLE %s (LIKE %s.%s INCLUDING INDEXES) ON COMMIT DROP",
		f->table, quoted(b->arena, r->schema), quoted(b->arena, r->name)))};
	f->create.params = ARENA_NEW_N(b->arena, uint16_t, 1);
}

/* ---- conditions ---- */

struct filter {
	struct build *b;
	const struct sql_rel *rel;
	const struct sql_from *on; /* of this join, or NULL: WHERE */
	bool alien;
	int columns;
};

/* Makes the reference alias.column, as the fragment has it. */
static enum walk
to_fragment(void *arg, ProtobufCMessage *m)
{
	struct filter *f = arg;
	PgQuery__Node *n = tree_node(m);
	struct sql_expr e;
	struct col col;
	const char *real;

	if (!NODE_IS(n, COLUMN_REF))
		return WALK_ON;
	e = column_expr(n);
	real = e.kind == EXPR_COL &&
		resolve_col(&f->b->c, f->rel->level, f->on, &e, &col) && col.rel == f->rel
	    ? real_name(&f->b->c, col.rel, col.name)
	    : NULL;
	if (real == NULL) {
		f->alien = true;
		return WALK_END;
	}
	f->columns++;
	*n->column_ref = *tree_column(f->b->arena, f->rel->alias, real)->column_ref;
	return WALK_SKIP;
}

/* Those of a condition's parts that speak of the table alone. */
static void
push_down(struct build *b, const struct sql_rel *rel, const struct sql_from *on,
    PgQuery__Node *cond, size_t *n, PgQuery__Node ***out)
{
	struct filter f = {.b = b, .rel = rel, .on = on};
	PgQuery__Node *copy;

	if (NODE_IS(cond, BOOL_EXPR) &&
	    cond->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
		for (size_t i = 0; i < cond->bool_expr->n_args; i++)
			push_down(b, rel, on, cond->bool_expr->args[i], n, out);
		return;
	}
	if (cond == NULL ||
	    !is_same_everywhere(b, cond, view_around(&b->c, rel->level), false))
		return;
	copy = tree_copy(b->arena, cond);
	tree_walk(copy, to_fragment, &f);
	if (!f.alien && f.columns > 0)
		tree_push(b->arena, n, out, copy);
}

static PgQuery__Node *
filters(struct build *b, const struct sql_rel *rel)
{
	PgQuery__SelectStmt *s = select_of(rel->level);
	const struct sql_from *t = rel->leaf, *j;
	PgQuery__Node **v = NULL;
	size_t n = 0;

	if (s == NULL || rel->alias == NULL)
		return NULL;
	for (j = t->parent; j != NULL; t = j, j = j->parent) {
		bool left = t == j->left;
		PgQuery__JoinExpr *expr = j->node;

		if (expr == NULL || j->join == JOIN_FULL)
			return tree_and(b->arena, v, (int)n);
		if ((j->join == JOIN_LEFT && left) || (j->join == JOIN_RIGHT && !left))
			continue;
		push_down(b, rel, j, expr->quals, &n, &v);
		if (j->join != JOIN_INNER)
			return tree_and(b->arena, v, (int)n);
	}
	push_down(b, rel, NULL, s->where_clause, &n, &v);
	return tree_and(b->arena, v, (int)n);
}

/* ---- fragments ---- */

struct tables {
	struct build *b;
	struct needs *needs;
	enum rc rc;
	uint64_t final[MAP_SHARD_WORDS];
};

static PgQuery__Alias *
new_alias(struct arena *a, const char *name)
{
	PgQuery__Alias *alias = ARENA_NEW(a, PgQuery__Alias);

	pg_query__alias__init(alias);
	alias->aliasname = arena_strdup(a, name);
	return alias;
}

/* The same rows are fetched once. */
static const char *
same_fragment(const struct multi *m, const struct multi_fragment *f)
{
	for (const struct multi_fragment *o = m->fragments; o != f; o++)
		if (slice_eq(o->query.sql, f->query.sql) &&
		    o->query.n_params == f->query.n_params &&
		    memcmp(o->query.params, f->query.params,
			(size_t)f->query.n_params * sizeof *f->query.params) == 0 &&
		    memcmp(o->shards, f->shards, sizeof f->shards) == 0)
			return o->table;
	return NULL;
}

static enum rc
fetch(struct tables *t, const struct sql_rel *rel, const struct rel_info *r,
    const struct spread *view)
{
	struct build *b = t->b;
	PgQuery__RangeVar *var = rel->node;
	struct multi_fragment *f = add_fragment(b);
	PgQuery__SelectStmt *s;
	PgQuery__Node *select = tree_select(b->arena, &s), *from;
	const char *same;
	enum rc rc = RC_OK;
	bool key;

	if (view != NULL)
		memcpy(f->shards, view->shards, sizeof f->shards);
	else
		rc = shards_of_pin(b, pin_of_table(&b->c, rel, r->mt), f->shards);
	if (rc != RC_OK)
		return rc;
	from = tree_table(b->arena, r->schema, r->name,
	    rel->alias == NULL || strcmp(rel->alias, r->name) == 0 ? NULL : rel->alias);
	from->range_var->inh = var->inh;
	tree_push(b->arena, &s->n_from_clause, &s->from_clause, from);
	key = view == NULL && r->schema != NULL && needs_key(b, rel);
	if (add_columns(b, rel, key || needs_all(t->needs, rel), t->needs, s) != RC_OK)
		return RC_ERR;
	s->where_clause = filters(b, rel);
	f->source = strcmp(rel->alias, r->name) == 0
	    ? arena_strdup(b->arena, r->name)
	    : arena_printf(b->arena, "%s %s", r->name, rel->alias);
	if (fragment_texts(b, f, select, NULL) != RC_OK)
		return RC_ERR;
	if (key)
		create_with_key(b, f, r);
	same = key ? NULL : same_fragment(b->out, f);
	if (same != NULL)
		b->out->n_fragments--;
	var->schemaname = arena_strdup(b->arena, "pg_temp");
	var->relname = arena_strdup(b->arena, same != NULL ? same : f->table);
	var->inh = true;
	if (var->alias == NULL)
		var->alias = new_alias(b->arena, r->name);
	return RC_OK;
}

/* ---- views ---- */

struct hole {
	const void *var;
	PgQuery__Node *node;
};

static enum walk
find_hole(void *arg, ProtobufCMessage *m)
{
	struct hole *h = arg;
	PgQuery__Node *n = tree_node(m);

	if (!NODE_IS(n, RANGE_VAR) || n->range_var != h->var)
		return WALK_ON;
	h->node = n;
	return WALK_END;
}

struct search {
	struct build *b;
	bool found;
};

static void
find_sharded(void *arg, const struct sql_rel *rel)
{
	struct search *k = arg;

	k->found |=
	    rel->kind == REL_TABLE && rel_info(&k->b->c, rel)->kind == TABLE_SHARDED;
}

static bool
has_sharded(struct build *b, const struct sql_query *q)
{
	struct search k = {b, false};

	each_rel(b, q, find_sharded, &k);
	return k.found;
}

/* In the place of the view's name its query stands, with the names of its columns. */
static enum rc
expand(struct build *b, const struct sql_rel *rel, const struct rel_info *r)
{
	struct hole h = {.var = rel->node};
	PgQuery__RangeSubselect *sub = ARENA_NEW(b->arena, PgQuery__RangeSubselect);
	PgQuery__RangeVar *var = rel->node;
	PgQuery__Alias *alias =
	    var->alias != NULL ? var->alias : new_alias(b->arena, r->name);
	PgQuery__Node *query = ARENA_NEW(b->arena, PgQuery__Node);

	tree_walk(b->stmt, find_hole, &h);
	if (h.node == NULL || select_of(r->view) == NULL || r->st == NULL)
		return refuse(b, "Name its tables instead.",
		    "view \"%s\" over several shards", r->name);
	for (int i = (int)alias->n_colnames; i < r->st->n_columns; i++)
		tree_push(b->arena, &alias->n_colnames, &alias->colnames,
		    tree_string(b->arena, r->st->columns[i].name));
	pg_query__node__init(query);
	query->node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
	query->select_stmt = select_of(r->view);
	pg_query__range_subselect__init(sub);
	sub->subquery = query;
	sub->alias = alias;
	h.node->node_case = PG_QUERY__NODE__NODE_RANGE_SUBSELECT;
	h.node->range_subselect = sub;
	return RC_OK;
}

/* A view is fetched as it is where each shard has all that its rows are made of; else its
 * tables are. */
static enum rc
add_view(struct tables *t, const struct sql_rel *rel, const struct rel_info *r)
{
	struct build *b = t->b;
	struct spread s;
	bool found;
	enum rc rc;

	if (!has_sharded(b, r->view))
		return RC_OK;
	rc = spread_find(b, r->view, &s, &found);
	if (rc != RC_OK)
		return rc;
	if (found && r->view->kind == Q_SELECT && !r->view->limit &&
	    spread_keeps(b, r->view, &s) && spread_distinct(b, r->view, &s))
		return fetch(t, rel, r, &s);
	return expand(b, rel, r);
}

/* ---- all tables ---- */

static void
keep_only(uint64_t *shards, const uint64_t *those, int n_shards)
{
	for (int w = 0; w < MAP_SHARD_WORDS; w++)
		shards[w] &= w < (n_shards + 63) / 64 ? those[w] : 0;
}

/* The tables of a view that was fetched are not in the statement. */
static bool
is_fetched(const struct sql_rel *rel)
{
	for (const struct sql_query *q = rel->level; q != NULL; q = q->parent)
		if (q->place == PLACE_VIEW) {
			const PgQuery__RangeVar *v = q->at->rel->node;

			if (strcmp(v->schemaname, "pg_temp") == 0)
				return true;
		}
	return false;
}

static void
add_views(void *arg, const struct sql_rel *rel)
{
	struct tables *t = arg;
	struct rel_info r;

	if (t->rc != RC_OK || rel->kind != REL_TABLE || is_fetched(rel))
		return;
	r = *rel_info(&t->b->c, rel);
	if (r.kind == TABLE_VIEW && r.view != NULL)
		t->rc = add_view(t, rel, &r);
}

static void
add_table(void *arg, const struct sql_rel *rel)
{
	struct tables *t = arg;
	struct build *b = t->b;
	PgQuery__RangeVar *var = rel->node;
	struct rel_info r;

	if (t->rc != RC_OK || rel->kind != REL_TABLE || is_fetched(rel))
		return;
	r = *rel_info(&b->c, rel);
	if (r.mt != NULL)
		keep_only(t->final, r.mt->shards, b->ctx->map->n_shards);
	if (r.kind == TABLE_LOCAL) {
		uint64_t only[MAP_SHARD_WORDS] = {0};
		int d = b->ctx->map->default_shard;

		if (d >= 0)
			only[d / 64] = UINT64_C(1) << (d % 64);
		keep_only(t->final, only, b->ctx->map->n_shards);
	}
	/* a view's names are not those of the session; and none may be taken for a
	 * temporary table's */
	if (r.schema != NULL && r.kind != TABLE_CATALOG &&
	    (r.in_view != NULL || strncmp(r.name, "weir_", 5) == 0))
		var->schemaname = arena_strdup(b->arena, r.schema);
	if (r.kind == TABLE_SHARDED)
		t->rc = fetch(t, rel, &r, NULL);
}

/* ---- names with a schema ---- */

struct qualified {
	struct build *b;
	const char *table;
	int n;
	bool bad;
};

static void
count_alias(void *arg, const struct sql_rel *rel)
{
	struct qualified *k = arg;

	k->n += rel->alias != NULL && strcmp(rel->alias, k->table) == 0;
}

/* schema.table.column: the temporary table is in another schema, so the name must be
 * nobody else's. */
static enum walk
strip_schema(void *arg, ProtobufCMessage *m)
{
	struct qualified *k = arg;
	PgQuery__Node *n = tree_node(m);
	PgQuery__ColumnRef *c;

	if (!NODE_IS(n, COLUMN_REF) || n->column_ref->n_fields < 3)
		return WALK_ON;
	c = n->column_ref;
	k->table = tree_str(c->fields[c->n_fields - 2]);
	k->n = 0;
	if (c->n_fields == 3 && k->table != NULL)
		each_rel(k->b, k->b->root, count_alias, k);
	k->bad |= k->n != 1;
	c->fields += c->n_fields - 2;
	c->n_fields = 2;
	return WALK_SKIP;
}

static void
find_double(void *arg, const struct sql_rel *rel)
{
	struct qualified *k = arg;
	struct sql_query *q = rel->level;
	struct qualified here = {.table = rel->alias};

	/* without an alias of its own: a name that another schema's table may share */
	if (rel->kind != REL_TABLE || rel->alias != rel->name || k->bad)
		return;
	for (int i = 0; i < q->n_from; i++) {
		const struct sql_from *stack[64];
		int n = 0;

		stack[n++] = q->from[i];
		while (n > 0) {
			const struct sql_from *f = stack[--n];

			if (f->rel != NULL) {
				count_alias(&here, f->rel);
			} else if (n + 2 <= 64) {
				stack[n++] = f->left;
				stack[n++] = f->right;
			}
		}
	}
	k->bad |= here.n > 1;
}

static enum rc
check_names(struct build *b)
{
	struct qualified k = {.b = b};

	tree_walk(b->stmt, strip_schema, &k);
	each_rel(b, b->root, find_double, &k);
	return k.bad ? refuse(b, "Give the tables aliases.",
			   "tables of one name in a statement over several shards")
		     : RC_OK;
}

enum rc
plan_tables(struct build *b)
{
	struct needs *needs = ARENA_NEW(b->arena, struct needs);
	struct tables t = {.b = b, .needs = needs};

	b->out->kind = MULTI_INTERMEDIATE;
	memset(t.final, 0xff, sizeof t.final);
	keep_only(t.final, t.final, b->ctx->map->n_shards);
	if (b->ctx->map->n_shards % 64 != 0)
		t.final[b->ctx->map->n_shards / 64] &=
		    (UINT64_C(1) << (b->ctx->map->n_shards % 64)) - 1;
	tree_walk(b->stmt, collect, needs);
	each_rel(b, b->root, add_views, &t);
	needs->n = needs->n_whole = needs->n_covered = 0;
	tree_walk(b->stmt, collect, needs); /* with the views' names */
	if (t.rc == RC_OK)
		each_rel(b, b->root, add_table, &t);
	if (t.rc != RC_OK)
		return t.rc;
	memcpy(b->out->final_shards, t.final, sizeof t.final);
	for (int w = 0; w < MAP_SHARD_WORDS; w++)
		if (t.final[w] != 0)
			return check_names(b) != RC_OK
			    ? RC_ERR
			    : text_of(b, b->stmt, &b->out->final);
	return refuse(b,
	    "Make the small tables reference tables, or place the distributions on "
	    "the same shards.",
	    "no shard has all tables of the statement");
}
