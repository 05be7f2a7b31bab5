/* Which equalities hold for the rows of a table that can matter to a statement's result.
 *
 * A row of table T matters only if some combination of rows with it passes all filters on
 * T's way up: WHERE, the ON of inner joins, the ON of an outer join whose nullable side T
 * is on, and the ON of an outer join whose nullable side another of these filters asks
 * something of (so that it must be there). These filters are strict in T's columns, so a
 * row that fails them can be left out: where leaving it out makes an outer join give a
 * row of NULLs instead, that row fails the filters that the lost one failed. The ON of an
 * outer join says nothing of its preserved side; that of a FULL JOIN nothing. From a
 * subquery the way goes on: what its parent demands of its outputs holds for its rows, as
 * long as nothing between counts or numbers rows (LIMIT, DISTINCT ON, windows, grouping
 * sets); what the parent demands of its own rows holds in a correlated subquery, since
 * for the other rows it does not matter what the subquery says. Equalities are kept as
 * classes of columns (union-find), each with the sets of values that it must be in. An OR
 * holds if each branch does: its pins are united. */
#include "router/plan/facts.h"

/* ---- values ---- */

static uint32_t
cast_oid(const char *cast)
{
	static const struct {
		const char *name;
		uint32_t oid;
	} others[] = {{"name", 19}, {"unknown", 705}};
	enum key_type t = key_type_find(slice_of(cast));

	if (t != KEY_TYPE_COUNT)
		return key_type_oid(t);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcmp(cast, others[i].name) == 0)
			return others[i].oid;
	return 0;
}

struct plan_value
compile_value(struct compile *c, const struct sql_value *v, bool array)
{
	struct plan_value p = {.kind = v->kind,
	    .negated = v->negated,
	    .array = array,
	    .index = v->index,
	    .text = v->text};
	const char *cast = v->cast;

	if (v->kind == VALUE_TEXT)
		p.text.ptr = arena_dup(c->arena, v->text.ptr, v->text.len);
	if (cast == NULL)
		return p;
	if (array != (cast[0] == '_')) {
		p.kind = VALUE_UNKNOWN;
		return p;
	}
	p.oid = cast_oid(cast + array);
	if (p.oid == 0)
		p.kind = VALUE_UNKNOWN;
	return p;
}

bool
compile_values(struct compile *c, const struct sql_expr *e, int n, struct value_set *out)
{
	struct plan_value *v = ARENA_NEW_N(c->arena, struct plan_value, (size_t)n + 1);

	for (int i = 0; i < n; i++) {
		if (e[i].kind != EXPR_VALUE)
			return false;
		v[i] = compile_value(c, &e[i].value, false);
		if (v[i].kind == VALUE_UNKNOWN)
			return false;
	}
	*out = (struct value_set){v, n};
	return true;
}

/* ---- classes ---- */

int
facts_root(const struct facts *f, int i)
{
	while (f->v[i].up != i)
		i = f->v[i].up;
	return i;
}

int
facts_node_of(struct compile *c, struct facts *f, struct col col)
{
	struct node *v;

	for (int i = 0; i < f->n; i++)
		if (f->v[i].col.rel == col.rel && strcmp(f->v[i].col.name, col.name) == 0)
			return i;
	if (f->n == f->cap) {
		f->cap = f->cap == 0 ? 8 : f->cap * 2;
		v = ARENA_NEW_N(&c->scratch, struct node, (size_t)f->cap);
		if (f->n > 0)
			memcpy(v, f->v, (size_t)f->n * sizeof *v);
		f->v = v;
	}
	f->v[f->n] = (struct node){col, f->n, NULL};
	return f->n++;
}

static void
unite(struct facts *f, int a, int b)
{
	struct fact_set **end;

	a = facts_root(f, a);
	b = facts_root(f, b);
	if (a == b)
		return;
	f->v[b].up = a;
	for (end = &f->v[a].sets; *end != NULL; end = &(*end)->next)
		;
	*end = f->v[b].sets;
	f->v[b].sets = NULL;
}

static void
attach(struct compile *c, struct facts *f, int node, struct fact_set set)
{
	struct fact_set *s = ARENA_NEW(&c->scratch, struct fact_set);
	int r = facts_root(f, node);

	*s = set;
	s->next = f->v[r].sets;
	f->v[r].sets = s;
}

/* A copy that an OR's branch may add to. The sets' chains are spliced by unite(), so they
 * are copied too. */
struct facts
facts_copy(struct compile *c, const struct facts *f)
{
	struct facts n = *f;

	n.cap = f->n + 8;
	n.v = ARENA_NEW_N(&c->scratch, struct node, (size_t)n.cap);
	if (f->n > 0)
		memcpy(n.v, f->v, (size_t)f->n * sizeof *n.v);
	for (int i = 0; i < n.n; i++) {
		n.v[i].sets = NULL;
		for (const struct fact_set *s = f->v[i].sets; s != NULL; s = s->next)
			attach(c, &n, i, *s);
	}
	n.ors = NULL;
	return n;
}

/* ---- conditions ---- */

/* A column that takes part: of a known family, not cast to another. -1: none. */
int
facts_column_node(struct compile *c, struct facts *f, struct place at,
    const struct sql_expr *e, enum family *family)
{
	struct col col;

	if (e->kind != EXPR_COL || !resolve_col(c, at.level, at.on, e, &col))
		return -1;
	*family = col_family(c, col);
	if (*family == FAMILY_NONE ||
	    (e->cast != NULL && type_family(e->cast) != *family))
		return -1;
	return facts_node_of(c, f, col);
}

static void
equal(struct compile *c, struct facts *f, struct place at, const struct sql_expr *a,
    const struct sql_expr *b)
{
	enum family fa, fb;
	struct fact_set set = {.lo = NULL};
	int na, nb;

	if (a->kind == EXPR_VALUE) {
		const struct sql_expr *t = a;

		a = b;
		b = t;
	}
	na = facts_column_node(c, f, at, a, &fa);
	if (na < 0)
		return;
	if (b->kind == EXPR_VALUE) {
		if (compile_values(c, b, 1, &set.set))
			attach(c, f, na, set);
		return;
	}
	nb = facts_column_node(c, f, at, b, &fb);
	if (nb >= 0 && fa == fb)
		unite(f, na, nb);
}

static void
compare(struct compile *c, struct facts *f, struct place at, const struct sql_cond *cond)
{
	const struct sql_expr *col = cond->left, *value = cond->right;
	enum cmp_op op = cond->op;
	struct fact_set set = {.inclusive = op == CMP_LE || op == CMP_GE};
	struct value_set one;
	enum family family;
	int n;

	if (col->kind == EXPR_VALUE) {
		col = cond->right;
		value = cond->left;
		op = op == CMP_LT  ? CMP_GT
		    : op == CMP_LE ? CMP_GE
		    : op == CMP_GE ? CMP_LE
				   : CMP_LT;
	}
	n = facts_column_node(c, f, at, col, &family);
	if (n < 0 || !compile_values(c, value, 1, &one))
		return;
	if (op == CMP_LT || op == CMP_LE)
		set.hi = one.v;
	else
		set.lo = one.v;
	attach(c, f, n, set);
}

static void
among(struct compile *c, struct facts *f, struct place at, const struct sql_cond *cond)
{
	struct fact_set set = {.lo = NULL};
	enum family family;
	int n;

	if (cond->kind == COND_IN && cond->n == 1) {
		equal(c, f, at, cond->left, cond->right);
		return;
	}
	n = facts_column_node(c, f, at, cond->left, &family);
	if (n < 0)
		return;
	if (cond->kind == COND_IN) {
		if (compile_values(c, cond->right, cond->n, &set.set))
			attach(c, f, n, set);
		return;
	}
	struct plan_value *v = ARENA_NEW(c->arena, struct plan_value);

	*v = compile_value(c, &cond->right->value, true);
	set.set = (struct value_set){v, 1};
	if (v->kind != VALUE_UNKNOWN)
		attach(c, f, n, set);
}

/* The level of the row's own chain that is this subquery or a branch of it; NULL: the row
 * is not inside. */
static const struct sql_query *
inside(const struct facts *f, const struct sql_query *q, bool *open)
{
	for (int i = 0; i < f->n_inside; i++) {
		const struct sql_query *up = f->inside[i];

		while (up->place == PLACE_BRANCH && up != q)
			up = up->parent;
		if (up == q) {
			*open = f->inside_open[i];
			return f->inside[i];
		}
	}
	return NULL;
}

/* left = an output of the subquery: its values hold for left; and for a row inside,
 * left's hold for the output. */
static void
subquery(struct compile *c, struct facts *f, struct place at, const struct sql_cond *cond)
{
	bool open = false;
	const struct sql_query *level = inside(f, cond->subquery, &open);

	for (int i = 0; i < cond->n; i++) {
		struct fact_set set = {.lo = NULL};
		enum family fl, fr;
		int l = facts_column_node(c, f, at, &cond->left[i], &fl), r;
		struct value_set *values;
		const struct sql_expr *e;
		struct col col;

		if (level == NULL) {
			if (l < 0 || output_family(c, cond->subquery, i) != fl ||
			    (values = output_values(c, cond->subquery, i)) == NULL)
				continue;
			set.set = *values;
			attach(c, f, l, set);
			continue;
		}
		if (cond->scalar || !open || !output_by_pos(c, level, i, &e, &col))
			continue;
		if (e == NULL) {
			fr = col_family(c, col);
			if (l >= 0 && fr == fl)
				unite(f, l, facts_node_of(c, f, col));
			continue;
		}
		if (cond->left[i].kind == EXPR_VALUE) {
			equal(c, f, (struct place){level, NULL}, &cond->left[i], e);
			continue;
		}
		r = facts_column_node(c, f, (struct place){level, NULL}, e, &fr);
		if (l >= 0 && r >= 0 && fl == fr)
			unite(f, l, r);
	}
}

void
facts_add_cond(struct compile *c, struct facts *f, const struct sql_query *q,
    const struct sql_from *on, const struct sql_cond *cond)
{
	struct place at = {q, on};
	struct branchings *b;

	if (cond == NULL || --c->budget < 0)
		return;
	switch (cond->kind) {
	case COND_AND:
		for (int i = 0; i < cond->n; i++)
			facts_add_cond(c, f, q, on, cond->args[i]);
		break;
	case COND_OR:
		b = ARENA_NEW(&c->scratch, struct branchings);
		*b = (struct branchings){cond, q, on, f->ors};
		f->ors = b;
		break;
	case COND_EQ:
		equal(c, f, at, cond->left, cond->right);
		break;
	case COND_CMP:
		compare(c, f, at, cond);
		break;
	case COND_IN:
	case COND_ANY:
		among(c, f, at, cond);
		break;
	case COND_SUBQUERY:
		subquery(c, f, at, cond);
		break;
	case COND_OTHER:
		break;
	}
}

/* ---- joins ---- */

/* The ON and USING of a join, for rows in which both sides are there. */
static void
add_join(struct compile *c, struct facts *f, const struct sql_query *q,
    const struct sql_from *j)
{
	facts_add_cond(c, f, q, j, j->on);
	if (j->join == JOIN_FULL)
		return;
	for (int i = 0; i < j->n_using && --c->budget >= 0; i++) {
		struct sql_expr e = {.kind = EXPR_COL, .col = j->using[i]};
		enum family fl, fr;
		int l = facts_column_node(c, f, (struct place){q, j->left}, &e, &fl);
		int r = facts_column_node(c, f, (struct place){q, j->right}, &e, &fr);

		if (l >= 0 && r >= 0 && fl == fr)
			unite(f, l, r);
	}
}

static void
note_outer(struct compile *c, struct facts *f, const struct sql_query *q,
    const struct sql_from *j)
{
	struct outer_join *o;

	if (f->n_outer == 64 || (j->join != JOIN_LEFT && j->join != JOIN_RIGHT))
		return;
	o = ARENA_NEW(&c->scratch, struct outer_join);
	*o = (struct outer_join){j, q, f->outer, f->n_outer++};
	f->outer = o;
}

/* Joins of a tree that is known to be there: the inner ones hold. */
static void
add_tree(struct compile *c, struct facts *f, const struct sql_query *q,
    const struct sql_from *t)
{
	if (t->rel != NULL || t->join == JOIN_FULL)
		return;
	if (t->join == JOIN_INNER)
		add_join(c, f, q, t);
	else
		note_outer(c, f, q, t);
	if (t->join != JOIN_RIGHT)
		add_tree(c, f, q, t->left);
	if (t->join != JOIN_LEFT)
		add_tree(c, f, q, t->right);
}

/* From a table or join up to its item of the FROM list. */
static void
add_way_up(struct compile *c, struct facts *f, const struct sql_query *q,
    const struct sql_from *t)
{
	for (const struct sql_from *j = t->parent; j != NULL; t = j, j = j->parent) {
		bool left = t == j->left;

		/* the other side is there whenever this one is, but on the preserved side
		 * of an outer join */
		if (j->join == JOIN_FULL || (j->join == JOIN_LEFT && left) ||
		    (j->join == JOIN_RIGHT && !left)) {
			note_outer(c, f, q, j);
			continue;
		}
		add_join(c, f, q, j);
		add_tree(c, f, q, left ? j->right : j->left);
	}
}

/* The keys of the anchors are those of one shard: one value, as good as known, that only
 * equality hands on. */
static void
add_anchors(struct compile *c, struct facts *f, const struct sql_query *q)
{
	for (int i = 0; i < c->n_anchors; i++) {
		const struct sql_rel *rel = c->anchors[i];
		const struct map_table *mt = rel_info(c, rel)->mt;

		for (int k = 0; rel->level == q && k < mt->n_key; k++) {
			const char *name = visible_name(c, rel, mt->key[k]);
			struct plan_value *v = ARENA_NEW(c->arena, struct plan_value);
			struct fact_set set = {.set = {v, 1}};

			*v = (struct plan_value){
			    .kind = VALUE_UNKNOWN, .index = (uint32_t)k, .anchor = true};
			if (name != NULL)
				attach(c, f, facts_node_of(c, f, (struct col){rel, name}),
				    set);
		}
	}
}

/* All that holds in a level for rows of the table or join t (NULL: for whole rows of its
 * FROM list). */
void
facts_add_level(struct compile *c, struct facts *f, const struct sql_query *q,
    const struct sql_from *t)
{
	if (t != NULL)
		add_way_up(c, f, q, t);
	for (int i = 0; i < q->n_from; i++)
		if (t == NULL || i != t->item)
			add_tree(c, f, q, q->from[i]);
	if (q->kind != Q_INSERT && q->kind != Q_UTILITY)
		facts_add_cond(c, f, q, NULL, q->where);
	add_anchors(c, f, q);
}

static bool
holds_rel(const struct sql_from *t, const struct sql_rel *rel)
{
	return t->rel != NULL ? t->rel == rel
			      : holds_rel(t->left, rel) || holds_rel(t->right, rel);
}

/* Every column that came up is in a filter that NULL does not pass: the outer joins that
 * would make it NULL have joined. */
static bool
join_one(struct compile *c, struct facts *f)
{
	for (const struct outer_join *o = f->outer; o != NULL; o = o->next) {
		const struct sql_from *nullable =
		    o->join->join == JOIN_LEFT ? o->join->right : o->join->left;

		if ((f->joined >> o->index & 1) != 0)
			continue;
		for (int i = 0; i < f->n && --c->budget >= 0; i++)
			if (f->v[i].col.rel->level == o->level &&
			    holds_rel(nullable, f->v[i].col.rel)) {
				f->joined |= UINT64_C(1) << o->index;
				add_join(c, f, o->level, o->join);
				add_tree(c, f, o->level, nullable);
				return true;
			}
	}
	return false;
}

void
facts_add_joined(struct compile *c, struct facts *f)
{
	do
		facts_settle(c, f);
	while (c->budget >= 0 && join_one(c, f));
}

/* ---- the way up through subqueries ---- */

/* Nothing in this level counts, numbers or locks rows: a filter on its outputs can as
 * well stand inside. */
static bool
is_open(const struct sql_query *q)
{
	return q->kind <= Q_SETOP && !q->limit && !q->distinct_on && !q->window &&
	    !q->grouping_sets && !q->locks;
}

/* The table of a level that stands for the query on the way; NULL: the way ends. */
static const struct sql_rel *
stands_for(const struct sql_query *q)
{
	switch (q->place) {
	case PLACE_FROM:
	case PLACE_VIEW:
		/* a subquery among a function's arguments is a FROM place too, but no
		 * table */
		return q->at->rel;
	case PLACE_CTE:
		if (q->cte->n_refs != 1 || q->cte->recursive || q->kind >= Q_INSERT ||
		    q->cte->ref->leaf == NULL)
			return NULL;
		return q->cte->ref;
	default:
		return NULL;
	}
}

static void
add_inside(struct facts *f, const struct sql_query *q, bool open)
{
	if (f->n_inside == CHAIN_MAX)
		return;
	f->inside[f->n_inside] = q;
	f->inside_open[f->n_inside++] = open;
}

/* One step from query q (the branch `level` of it) to its parent. Gives the next level;
 * NULL: it ends. *at: where in it. */
static const struct sql_query *
step_up(struct compile *c, struct facts *f, const struct sql_query *q,
    const struct sql_query *level, bool open, const struct sql_from **at)
{
	const struct sql_rel *rel = stands_for(q);

	*at = NULL;
	if (q == c->top)
		return NULL;
	if (rel != NULL) {
		if (rel_query(c, rel) == q && f->n_chain < CHAIN_MAX)
			f->chain[f->n_chain++] = (struct link){rel, level, open};
		*at = rel->leaf;
		return rel->level;
	}
	if (q->place == PLACE_ON) {
		*at = q->at;
		return q->parent;
	}
	return q->place == PLACE_TOP ? q->parent : NULL;
}

/* Collects what holds for rows of t, a table of level q. */
void
facts_collect(struct compile *c, struct facts *f, const struct sql_query *q,
    const struct sql_from *t)
{
	bool subquery_on = false;

	for (int depth = 0; q != NULL && depth < CHAIN_MAX; depth++) {
		const struct sql_query *level = q;
		bool open = is_open(q);

		while (q->place == PLACE_BRANCH && q->parent != NULL) {
			q = q->parent;
			open = open && is_open(q);
		}
		add_inside(f, level, open);
		/* a subquery in an ON speaks of pairs of rows: both sides are there */
		if (subquery_on) {
			add_join(c, f, level, t);
			add_tree(c, f, level, t->left);
			add_tree(c, f, level, t->right);
		}
		facts_add_level(c, f, level, t);
		subquery_on = q->place == PLACE_ON;
		q = step_up(c, f, q, level, open, &t);
	}
	facts_add_joined(c, f);
}

/* ---- columns of subqueries ---- */

static void
link_node(struct compile *c, struct facts *f, int i, const struct link *l)
{
	const struct sql_expr *e;
	struct fact_set set = {.lo = NULL};
	struct col inner, col = f->v[i].col;
	enum family family = col_family(c, col), fi;
	int n;

	if (!inner_of(c, col, l->level, &e, &inner))
		return;
	if (e != NULL && e->kind == EXPR_VALUE) {
		if (compile_values(c, e, 1, &set.set))
			attach(c, f, i, set);
		return;
	}
	if (!l->open)
		return;
	if (e == NULL) {
		if (col_family(c, inner) == family && family != FAMILY_NONE)
			unite(f, i, facts_node_of(c, f, inner));
		return;
	}
	n = facts_column_node(c, f, (struct place){l->level, NULL}, e, &fi);
	if (n >= 0 && fi == family)
		unite(f, i, n);
}

/* Each column of a subquery that came up: the row's own subqueries are looked through,
 * the others give their values. */
void
facts_settle(struct compile *c, struct facts *f)
{
	for (; f->settled < f->n && --c->budget >= 0; f->settled++) {
		int i = f->settled;
		struct col col = f->v[i].col;
		const struct link *l = NULL;
		struct sql_query *q;
		struct fact_set set = {.lo = NULL};
		struct value_set *values;
		const struct sql_expr *e;
		struct col inner;

		for (int k = 0; k < f->n_chain && l == NULL; k++)
			if (f->chain[k].rel == col.rel)
				l = &f->chain[k];
		if (l != NULL) {
			link_node(c, f, i, l);
			continue;
		}
		q = rel_query(c, col.rel);
		if (q == NULL || (col.rel->kind == REL_CTE && col.rel->cte->recursive))
			continue;
		if (q->kind == Q_SETOP || q->kind == Q_VALUES) {
			const char *real = real_name(c, col.rel, col.name);

			values = real == NULL
			    ? NULL
			    : output_values(c, q, output_position(c, q, real));
		} else {
			values = inner_of(c, col, q, &e, &inner)
			    ? values_of(c, q, e, inner)
			    : NULL;
		}
		if (values == NULL)
			continue;
		set.set = *values;
		attach(c, f, i, set);
	}
}
