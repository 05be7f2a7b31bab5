/* The proof that the rows of a query over all shards are those that each shard finds by
 * itself, put together.
 *
 * One table of its FROM list, which is on no nullable side, is the anchor: every row of
 * the FROM list has a row of it, so a filter on the anchor's key parts the rows. Take the
 * filter "the key is one of shard s". If it follows (facts.c) that every other sharded
 * table, wherever it stands in the query, can be narrowed to the rows of s too, then shard
 * s can answer the filtered query by itself; and it need not filter, since it has no
 * other rows of the anchor. A level that groups, numbers or makes distinct keeps this if
 * it does so within the anchor's key. */
#include "router/plan/multi_int.h"

/* ---- levels by their parse tree ---- */

static enum walk
find_aggregates(void *arg, ProtobufCMessage *m)
{
	struct shape_of_level *out = arg;
	const PgQuery__Node *n = tree_node(m);

	if (n == NULL)
		return WALK_ON;
	if (NODE_IS(n, SUB_LINK) || NODE_IS(n, SELECT_STMT))
		return WALK_SKIP;
	if (NODE_IS(n, GROUPING_FUNC))
		out->aggregates = true;
	if (!NODE_IS(n, FUNC_CALL))
		return WALK_ON;
	if (n->func_call->over != NULL)
		out->windows = true;
	else if (is_aggregate(n->func_call))
		out->aggregates = true;
	else if (builtin_func(
		     tree_name(n->func_call->n_funcname, n->func_call->funcname)) == NULL)
		out->maybe = true;
	return WALK_ON;
}

/* An aggregate of which all columns are those of a level outside belongs to that one. */
struct outer {
	struct build *b;
	const struct sql_query *top, *level;
	bool found, columns, own;
};

static enum walk
find_own_column(void *arg, ProtobufCMessage *m)
{
	struct outer *o = arg;
	const PgQuery__Node *n = tree_node(m);
	struct sql_expr e;
	struct col col;

	if (!NODE_IS(n, COLUMN_REF))
		return WALK_ON;
	e = column_expr(n);
	o->columns = true;
	o->own |= e.kind == EXPR_COL && resolve_col(&o->b->c, o->level, NULL, &e, &col) &&
	    col.rel->level == o->level;
	return WALK_ON;
}

static enum walk
find_outer_call(void *arg, ProtobufCMessage *m)
{
	struct outer *o = arg;
	const PgQuery__Node *n = tree_node(m);

	if (NODE_IS(n, SUB_LINK) || NODE_IS(n, SELECT_STMT))
		return WALK_SKIP;
	if (!NODE_IS(n, FUNC_CALL) || !is_aggregate(n->func_call) ||
	    n->func_call->over != NULL)
		return WALK_ON;
	o->columns = o->own = false;
	for (size_t i = 0; i < n->func_call->n_args; i++)
		tree_walk(n->func_call->args[i], find_own_column, o);
	o->found |= o->columns && !o->own;
	return WALK_ON;
}

static void
find_outer(void *arg, const struct sql_query *q)
{
	struct outer *o = arg;
	PgQuery__SelectStmt *s = select_of(q);

	if (q == o->top || s == NULL)
		return;
	o->level = q;
	for (size_t i = 0; i < s->n_target_list; i++)
		tree_walk(s->target_list[i], find_outer_call, o);
	for (size_t i = 0; i < s->n_sort_clause; i++)
		tree_walk(s->sort_clause[i], find_outer_call, o);
	tree_walk(s->having_clause, find_outer_call, o);
}

void
level_shape(struct build *b, const struct sql_query *q, struct shape_of_level *out)
{
	PgQuery__SelectStmt *s = select_of(q);
	struct outer o = {.b = b, .top = q};

	*out = (struct shape_of_level){.grouped = s->n_group_clause > 0,
	    .limit = s->limit_count != NULL || s->limit_offset != NULL,
	    .sorted = s->n_sort_clause > 0,
	    .windows = s->n_window_clause > 0,
	    .aggregates = s->having_clause != NULL};
	for (size_t i = 0; i < s->n_distinct_clause; i++) {
		out->distinct = true;
		out->distinct_on |=
		    s->distinct_clause[i]->node_case != PG_QUERY__NODE__NODE__NOT_SET;
	}
	for (size_t i = 0; i < s->n_target_list; i++)
		tree_walk(s->target_list[i], find_aggregates, out);
	for (size_t i = 0; i < s->n_sort_clause; i++)
		tree_walk(s->sort_clause[i], find_aggregates, out);
	each_level(b, q, find_outer, &o);
	out->maybe |= o.found;
}

/* ---- anchors ---- */

#define CANDIDATES_MAX 8

struct candidate {
	const struct sql_rel *v[ANCHORS_MAX];
	int n;
};

struct candidates {
	struct candidate v[CANDIDATES_MAX];
	int n;
};

static void add_level(
    struct build *, const struct sql_query *, bool inner, struct candidates *);

static void
anchor_leaf(struct build *b, const struct sql_rel *rel, struct candidates *out)
{
	const struct sql_query *q;

	if (rel->kind == REL_TABLE && rel_info(&b->c, rel)->kind == TABLE_SHARDED) {
		if (out->n < CANDIDATES_MAX)
			out->v[out->n++] = (struct candidate){{rel}, 1};
		return;
	}
	if (rel->lateral ||
	    (rel->kind == REL_CTE && (rel->cte->n_refs != 1 || rel->cte->recursive)))
		return;
	q = rel_query(&b->c, rel);
	if (q != NULL)
		add_level(b, q, true, out);
}

static void
anchor_tree(struct build *b, const struct sql_from *f, struct candidates *out)
{
	if (f->rel != NULL) {
		anchor_leaf(b, f->rel, out);
		return;
	}
	if (f->join == JOIN_INNER || f->join == JOIN_LEFT)
		anchor_tree(b, f->left, out);
	if (f->join == JOIN_INNER || f->join == JOIN_RIGHT)
		anchor_tree(b, f->right, out);
}

/* UNION ALL: one anchor of each branch. */
static void
add_branches(
    struct build *b, const struct sql_query *q, bool inner, struct candidates *out)
{
	struct candidates l = {.n = 0}, r = {.n = 0};
	const PgQuery__SelectStmt *s = select_of(q);
	struct candidate *c;

	if (s == NULL || s->op != PG_QUERY__SET_OPERATION__SETOP_UNION || !s->all ||
	    (inner && q->limit) || q->locks)
		return;
	add_level(b, q->left, true, &l);
	add_level(b, q->right, true, &r);
	if (l.n == 0 || r.n == 0 || l.v[0].n + r.v[0].n > ANCHORS_MAX ||
	    out->n == CANDIDATES_MAX)
		return;
	c = &out->v[out->n++];
	*c = l.v[0];
	for (int i = 0; i < r.v[0].n; i++)
		c->v[c->n++] = r.v[0].v[i];
}

/* inner: the level must keep the parting itself. */
static void
add_level(struct build *b, const struct sql_query *q, bool inner, struct candidates *out)
{
	struct candidates here = {.n = 0};

	if (q->kind == Q_SETOP) {
		add_branches(b, q, inner, out);
		return;
	}
	/* rows that are written are the target's */
	if (!inner && (q->kind == Q_UPDATE || q->kind == Q_DELETE)) {
		anchor_leaf(b, q->target, out);
		return;
	}
	if (q->kind != Q_SELECT || q->locks)
		return;
	for (int i = 0; i < q->n_from; i++)
		anchor_tree(b, q->from[i], &here);
	for (int i = 0; i < here.n && out->n < CANDIDATES_MAX; i++) {
		struct spread s = {.n = here.v[i].n};

		memcpy(s.anchors, here.v[i].v, sizeof s.anchors);
		if (!inner ||
		    (spread_keeps(b, q, &s) && spread_distinct(b, q, &s) && !q->limit))
			out->v[out->n++] = here.v[i];
	}
}

/* ---- keys ---- */

/* Follows a column down to an anchor's key column. */
static bool
reaches_key(struct build *b, struct col col, const struct sql_rel *anchor, int k)
{
	struct compile *c = &b->c;

	for (int depth = 0; depth < 32; depth++) {
		const struct map_table *mt;
		const struct sql_query *q;
		const struct sql_expr *e;
		const char *real = real_name(c, col.rel, col.name);
		struct col inner;

		if (col.rel == anchor) {
			mt = rel_info(c, anchor)->mt;
			return real != NULL && k < mt->n_key &&
			    strcmp(real, mt->key[k]) == 0;
		}
		q = rel_query(c, col.rel);
		if (q == NULL || real == NULL ||
		    (col.rel->kind == REL_CTE && col.rel->cte->recursive))
			return false;
		if (q->kind == Q_SETOP) { /* the branch that the anchor is in */
			int pos = own_position(c, col.rel, real);

			while (q->kind == Q_SETOP) {
				const struct sql_query *in = anchor->level;

				while (in != NULL && in != q->left && in != q->right)
					in = in->parent;
				if (in == NULL)
					return false;
				q = in;
			}
			if (pos < 0 || !output_by_pos(c, q, pos, &e, &inner))
				return false;
		} else if (!inner_of(c, col, q, &e, &inner)) {
			return false;
		}
		if (e == NULL ? inner.rel == NULL
			      : e->cast != NULL || !resolve_col(c, q, NULL, e, &inner))
			return false;
		col = inner;
	}
	return false;
}

bool
spread_is_key(struct build *b, const struct sql_query *q, const struct spread *s,
    PgQuery__Node *n, int k)
{
	struct sql_expr e = column_expr(n);
	struct col col;

	if (e.kind != EXPR_COL || !resolve_col(&b->c, q, NULL, &e, &col))
		return false;
	for (int i = 0; i < s->n; i++)
		if (!reaches_key(b, col, s->anchors[i], k))
			return false;
	return true;
}

bool
spread_output_is_key(
    struct build *b, const struct sql_query *q, const struct spread *s, int pos, int k)
{
	const struct sql_expr *e;
	struct col col;

	if (!output_by_pos(&b->c, q, pos, &e, &col) ||
	    (e == NULL ? col.rel == NULL
		       : e->cast != NULL || !resolve_col(&b->c, q, NULL, e, &col)))
		return false;
	for (int i = 0; i < s->n; i++)
		if (!reaches_key(b, col, s->anchors[i], k))
			return false;
	return true;
}

/* GROUP BY 1, and an output's name; output names come after columns there. */
static PgQuery__Node *
meant(struct build *b, const struct sql_query *q, PgQuery__Node *n)
{
	const PgQuery__SelectStmt *s = select_of(q);
	int64_t pos;

	(void)b;
	if (s == NULL || !NODE_IS(n, A_CONST) ||
	    n->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
		return n;
	pos = n->a_const->ival->ival;
	if (pos < 1 || (size_t)pos > s->n_target_list)
		return n;
	for (int64_t i = 0; i < pos; i++) { /* stars make other positions of it */
		struct sql_expr e = column_expr(s->target_list[i]->res_target->val);

		if (e.kind == EXPR_STAR)
			return n;
	}
	return s->target_list[pos - 1]->res_target->val;
}

bool
spread_has_key(struct build *b, const struct sql_query *q, const struct spread *s,
    PgQuery__Node *const *list, size_t n)
{
	const struct map_table *mt = rel_info(&b->c, s->anchors[0])->mt;

	for (int k = 0; k < mt->n_key; k++) {
		bool found = false;

		for (size_t i = 0; i < n && !found; i++)
			found = spread_is_key(b, q, s, meant(b, q, list[i]), k);
		if (!found)
			return false;
	}
	return true;
}

/* ---- what a level does to its rows ---- */

struct windows {
	struct build *b;
	const struct sql_query *q;
	const struct spread *s;
};

static enum walk
not_by_key(void *arg, ProtobufCMessage *m)
{
	const struct windows *w = arg;
	const PgQuery__WindowDef *d = (const PgQuery__WindowDef *)(void *)m;

	if (NODE_IS(tree_node(m), SUB_LINK) || NODE_IS(tree_node(m), SELECT_STMT))
		return WALK_SKIP;
	if (m->descriptor != &pg_query__window_def__descriptor)
		return WALK_ON;
	/* OVER w: the definition itself is looked at where it stands */
	if (d->name[0] != '\0' && d->n_partition_clause == 0 && d->n_order_clause == 0 &&
	    d->refname[0] == '\0' && d->location >= 0 && w->q->window &&
	    select_of(w->q)->n_window_clause > 0)
		for (size_t i = 0; i < select_of(w->q)->n_window_clause; i++) {
			const PgQuery__WindowDef *def =
			    select_of(w->q)->window_clause[i]->window_def;

			if (def != d && strcmp(def->name, d->name) == 0)
				return WALK_ON;
		}
	if (d->refname[0] != '\0') /* copies another's partitions */
		return WALK_ON;
	return spread_has_key(
		   w->b, w->q, w->s, d->partition_clause, d->n_partition_clause)
	    ? WALK_ON
	    : WALK_END;
}

bool
spread_keeps(struct build *b, const struct sql_query *q, const struct spread *sp)
{
	PgQuery__SelectStmt *s = select_of(q);
	struct windows w = {b, q, sp};
	struct shape_of_level is;

	if (s == NULL || q->grouping_sets)
		return false;
	level_shape(b, q, &is);
	if (is.grouped ? !spread_has_key(b, q, sp, s->group_clause, s->n_group_clause)
		       : is.aggregates || is.maybe)
		return false;
	if (!is.windows)
		return true;
	for (size_t i = 0; i < s->n_target_list; i++)
		if (tree_walk(s->target_list[i], not_by_key, &w))
			return false;
	for (size_t i = 0; i < s->n_sort_clause; i++)
		if (tree_walk(s->sort_clause[i], not_by_key, &w))
			return false;
	for (size_t i = 0; i < s->n_window_clause; i++)
		if (tree_walk(s->window_clause[i], not_by_key, &w))
			return false;
	return true;
}

/* DISTINCT within the key. */
bool
spread_distinct(struct build *b, const struct sql_query *q, const struct spread *sp)
{
	PgQuery__SelectStmt *s = select_of(q);
	PgQuery__Node **v = NULL;
	size_t n = 0;

	if (s == NULL)
		return false;
	if (s->n_distinct_clause == 0)
		return true;
	if (s->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET)
		return spread_has_key(b, q, sp, s->distinct_clause, s->n_distinct_clause);
	for (size_t i = 0; i < s->n_target_list; i++)
		tree_push(b->arena, &n, &v, s->target_list[i]->res_target->val);
	return spread_has_key(b, q, sp, v, n);
}

/* ---- the proof ---- */

/* The table's rows are narrowed to the keys of the anchors' shard. */
static bool
is_anchored(const struct pin *p, int distribution, int n_key)
{
	if (p->distribution != distribution)
		return false;
	if (p->kind == PIN_AND) {
		for (int i = 0; i < p->n; i++)
			if (is_anchored(p->args[i], distribution, n_key))
				return true;
		return false;
	}
	if (p->kind == PIN_OR) {
		for (int i = 0; i < p->n; i++)
			if (!is_anchored(p->args[i], distribution, n_key))
				return false;
		return p->n > 0;
	}
	if (p->kind != PIN_KEYS)
		return false;
	for (int k = 0; k < n_key; k++)
		for (int i = 0; i < p->sets[k].n; i++)
			if (!p->sets[k].v[i].anchor ||
			    p->sets[k].v[i].index != (uint32_t)k)
				return false;
	return true;
}

struct checking {
	struct build *b;
	const struct sql_query *top;
	bool bad, sharded;
};

static void
check_rel(void *arg, const struct sql_rel *rel)
{
	struct checking *k = arg;
	const struct rel_info *r;

	if (rel->kind != REL_TABLE)
		return;
	r = rel_info(&k->b->c, rel);
	k->sharded |= r->kind == TABLE_SHARDED;
	k->bad |= r->kind == TABLE_LOCAL || r->kind == TABLE_CATALOG ||
	    r->kind == TABLE_TEMP || (r->kind == TABLE_VIEW && r->view == NULL);
}

/* A CTE that stands outside would be missing on the shards. */
static void
check_cte(void *arg, const struct sql_rel *rel)
{
	struct checking *k = arg;
	const struct sql_query *up = rel->level;

	if (rel->kind != REL_CTE)
		return;
	for (; up != NULL; up = up->parent) {
		for (int i = 0; i < up->n_ctes; i++)
			if (up->ctes[i] == rel->cte)
				return;
		if (up == k->top)
			break;
	}
	k->bad = true;
}

/* Without a row of a sharded table in it, each shard does it anew: the outcome must not
 * depend on the order of rows. */
static void
check_level(void *arg, const struct sql_query *q)
{
	struct checking *k = arg, in = {.b = k->b};

	if (q == k->top || k->bad)
		return;
	if (q->kind == Q_SELECT && select_of(q) == NULL)
		k->bad = true;
	each_rel(k->b, q, check_rel, &in);
	if (in.sharded)
		return;
	k->bad |= q->limit || q->distinct_on || q->window || q->grouping_sets;
	for (int i = 0; i < q->n_calls; i++) {
		const char *name = q->calls[i].name;
		bool fine = is_aggregate_name(name) ? is_decided_aggregate(name)
						    : builtin_func(name) != NULL;

		k->bad |= !fine;
	}
}

static void
check_same(void *arg, const struct sql_query *q)
{
	struct checking *k = arg;

	/* the roots of trees: those of views, and the level itself */
	if (!k->bad && (q == k->top || q->place == PLACE_VIEW))
		k->bad |= q->node == NULL ||
		    !is_same_everywhere(k->b, q->node, view_around(&k->b->c, q), true);
}

/* Whether the level, all in it included, is answered by each shard for its own anchors. */
static bool
prove(struct build *b, const struct sql_query *q)
{
	struct compile *c = &b->c;
	const struct map_table *mt = rel_info(c, c->anchors[0])->mt;
	struct checking k = {.b = b, .top = q};
	struct program p = b->p;
	bool good;

	each_rel(b, q, check_rel, &k);
	each_rel(b, q, check_cte, &k);
	each_level(b, q, check_level, &k);
	each_level(b, q, check_same, &k);
	if (k.bad)
		return false;
	b->p.n_pins = 0;
	b->p.fixed = SHARD_NONE;
	memset(b->p.shards, 0xff, sizeof b->p.shards);
	visit_query(c, q);
	good = !c->failed && c->budget >= 0 && b->p.fixed == SHARD_NONE;
	for (int i = 0; good && i < b->p.n_pins; i++)
		good = is_anchored(b->p.pins[i], mt->distribution, mt->n_key);
	/* all tables are wherever the anchors' rows are */
	for (int w = 0; good && w < (c->map->n_shards + 63) / 64; w++)
		for (int i = 0; i < c->n_anchors; i++)
			good = good &&
			    (rel_info(c, c->anchors[i])->mt->shards[w] &
				~b->p.shards[w]) == 0;
	p.arena = b->p.arena;
	c->failed = false;
	b->p = p;
	return good;
}

static enum rc
anchor_shards(struct build *b, struct spread *s)
{
	for (int i = 0; i < s->n; i++) {
		uint64_t one[MAP_SHARD_WORDS] = {0};
		enum rc rc = shards_of_pin(b,
		    pin_of_table(
			&b->c, s->anchors[i], rel_info(&b->c, s->anchors[i])->mt),
		    one);

		if (rc != RC_OK)
			return rc;
		for (int w = 0; w < MAP_SHARD_WORDS; w++)
			s->shards[w] |= one[w];
	}
	return RC_OK;
}

enum rc
spread_find(struct build *b, const struct sql_query *q, struct spread *out, bool *found)
{
	struct candidates all = {.n = 0};
	struct sql_query *level = (struct sql_query *)(uintptr_t)q;
	struct sql_query *parent = q->parent;
	enum rc rc = RC_OK;

	*found = false;
	/* by itself, without what is known around it */
	level->parent = NULL;
	b->c.top = q;
	add_level(b, q, false, &all);
	for (int i = 0; i < all.n && !*found; i++) {
		*out = (struct spread){.n = all.v[i].n};
		memcpy(out->anchors, all.v[i].v, sizeof out->anchors);
		b->c.anchors = out->anchors;
		b->c.n_anchors = out->n;
		*found = prove(b, q);
	}
	if (*found)
		rc = anchor_shards(b, out);
	level->parent = parent;
	b->c.top = NULL;
	b->c.anchors = NULL;
	b->c.n_anchors = 0;
	return rc;
}
