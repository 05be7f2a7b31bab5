/* What follows from the facts: the values that a column can have, and the pin of a table.
 */
#include "router/plan/facts.h"

/* ---- values of outputs ---- */

static struct value_set *
values_of_class(struct compile *c, const struct facts *f, int node)
{
	struct value_set *out;

	for (const struct fact_set *s = f->v[facts_root(f, node)].sets; s != NULL;
	     s = s->next)
		if (s->lo == NULL && s->hi == NULL && !s->set.v[0].array) {
			out = ARENA_NEW(&c->scratch, struct value_set);
			*out = s->set;
			return out;
		}
	return NULL;
}

/* A list of no values would be nobody's key. */
static struct value_set *
values_of_rows(struct compile *c, const struct sql_query *q, int pos)
{
	struct sql_expr *e =
	    ARENA_NEW_N(&c->scratch, struct sql_expr, (size_t)q->values.n_rows + 1);
	struct value_set *out = ARENA_NEW(&c->scratch, struct value_set);

	if (pos >= q->values.width || q->values.n_rows == 0)
		return NULL;
	for (int r = 0; r < q->values.n_rows; r++)
		e[r] = q->values.cells[r * q->values.width + pos];
	return compile_values(c, e, q->values.n_rows, out) ? out : NULL;
}

static struct value_set *
values_of_setop(struct compile *c, const struct sql_query *q, int pos)
{
	struct value_set *l = output_values(c, q->left, pos),
			 *r = output_values(c, q->right, pos), *out;
	struct plan_value *v;

	if (l == NULL || r == NULL)
		return NULL;
	out = ARENA_NEW(&c->scratch, struct value_set);
	v = ARENA_NEW_N(c->arena, struct plan_value, (size_t)(l->n + r->n));
	memcpy(v, l->v, (size_t)l->n * sizeof *v);
	memcpy(v + l->n, r->v, (size_t)r->n * sizeof *v);
	*out = (struct value_set){v, l->n + r->n};
	return out;
}

static bool
is_assigned(const struct sql_query *q, const char *name)
{
	for (int i = 0; i < q->n_sets; i++)
		if (strcmp(q->sets[i].col, name) == 0)
			return true;
	return false;
}

struct value_set *
column_values(
    struct compile *c, const struct sql_query *q, const struct sql_expr *e, bool where)
{
	struct facts f = {.n = 0};
	enum family family;
	int n;

	if (--c->budget < 0)
		return NULL;
	if (where)
		facts_add_level(c, &f, q, NULL);
	facts_add_joined(c, &f);
	/* after that: it may be NULL itself */
	n = facts_column_node(c, &f, (struct place){q, NULL}, e, &family);
	if (n < 0 || f.v[n].col.rel->level != q)
		return NULL;
	facts_settle(c, &f);
	return values_of_class(c, &f, n);
}

/* Of an output of a SELECT or RETURNING list: an expression, or (e NULL) a column that a
 * star stands for. */
struct value_set *
values_of(struct compile *c, const struct sql_query *q, const struct sql_expr *e,
    struct col col)
{
	struct value_set *out;
	struct sql_expr star;

	if (q->kind >= Q_INSERT && q->kind != Q_UPDATE && q->kind != Q_DELETE)
		return NULL;
	if (q->grouping_sets || (q->place == PLACE_CTE && q->cte->recursive))
		return NULL;
	if (e == NULL) {
		star = (struct sql_expr){
		    .kind = EXPR_COL, .rel = col.rel->alias, .col = col.name};
		if (col.rel->alias == NULL || col.rel->hidden)
			return NULL;
		e = &star;
	}
	if (e->kind == EXPR_VALUE) {
		out = ARENA_NEW(&c->scratch, struct value_set);
		return compile_values(c, e, 1, out) ? out : NULL;
	}
	/* RETURNING gives what was assigned */
	if (e->kind != EXPR_COL || (q->kind == Q_UPDATE && is_assigned(q, e->col)))
		return NULL;
	return column_values(c, q, e, true);
}

struct value_set *
output_values(struct compile *c, const struct sql_query *q, int pos)
{
	const struct sql_expr *e;
	struct col col;

	if (pos < 0 || --c->budget < 0)
		return NULL;
	if (q->kind == Q_SETOP)
		return values_of_setop(c, q, pos);
	if (q->kind == Q_VALUES)
		return values_of_rows(c, q, pos);
	return output_by_pos(c, q, pos, &e, &col) ? values_of(c, q, e, col) : NULL;
}

/* ---- NULL ---- */

/* Values are proven for where an output is compared, which NULL does not pass. Where it is stored, NULL counts. */

static bool
may_be_left_out(const struct sql_from *t)
{
	for (const struct sql_from *j = t->parent; j != NULL; t = j, j = j->parent)
		if (j->join == JOIN_FULL || (j->join == JOIN_LEFT && t == j->right) ||
		    (j->join == JOIN_RIGHT && t == j->left))
			return true;
	return false;
}

static bool
col_never_null(struct compile *c, const struct sql_query *q, struct col col, bool where)
{
	struct facts f = {.n = 0};
	struct sql_query *inner = rel_query(c, col.rel);
	const char *real;

	if (--c->budget < 0 || col.rel->level != q || col.rel->leaf == NULL)
		return false;
	if (where)
		facts_add_level(c, &f, q, NULL);
	facts_add_joined(c, &f);
	for (int i = 0; i < f.n; i++)
		if (f.v[i].col.rel == col.rel && strcmp(f.v[i].col.name, col.name) == 0)
			return true; /* a filter asks for it */
	real = inner == NULL ? NULL : real_name(c, col.rel, col.name);
	return real != NULL && !may_be_left_out(col.rel->leaf) &&
	    output_never_null(c, inner, own_position(c, col.rel, real));
}

bool
column_never_null(
    struct compile *c, const struct sql_query *q, const struct sql_expr *e, bool where)
{
	struct col col;

	/* a constant NULL is found when the values are read */
	return e->kind == EXPR_VALUE ||
	    (resolve_col(c, q, NULL, e, &col) && col_never_null(c, q, col, where));
}

bool
output_never_null(struct compile *c, const struct sql_query *q, int pos)
{
	const struct sql_expr *e;
	struct col col;

	if (pos < 0 || --c->budget < 0 || (q->place == PLACE_CTE && q->cte->recursive))
		return false;
	if (q->kind == Q_SETOP)
		return output_never_null(c, q->left, pos) &&
		    output_never_null(c, q->right, pos);
	if (q->kind == Q_VALUES)
		return pos < q->values.width;
	if (q->grouping_sets || !output_by_pos(c, q, pos, &e, &col))
		return false;
	return e == NULL ? col_never_null(c, q, col, true)
			 : column_never_null(c, q, e, true);
}

/* ---- pins ---- */

static struct pin *
new_pin(struct compile *c, enum pin_kind kind, const struct map_table *mt)
{
	struct pin *p = ARENA_NEW(c->arena, struct pin);

	p->kind = kind;
	p->distribution = mt->distribution;
	p->table = mt->name;
	p->key = mt->key[0];
	return p;
}

static struct pin *
and_pin(struct compile *c, const struct map_table *mt, struct pin *a, struct pin *b)
{
	struct pin *p;

	if (a == NULL || a->kind == PIN_ALL)
		return b;
	if (b == NULL || b->kind == PIN_ALL)
		return a;
	p = new_pin(c, PIN_AND, mt);
	p->n = 2;
	p->args = ARENA_NEW_N(c->arena, struct pin *, 2);
	p->args[0] = a;
	p->args[1] = b;
	return p;
}

/* The node of a key column; -1: it has no name here. */
static int
key_node(struct compile *c, struct facts *f, const struct sql_rel *rel,
    const struct map_table *mt, int key)
{
	const char *name = visible_name(c, rel, mt->key[key]);

	return name == NULL ? -1 : facts_node_of(c, f, (struct col){rel, name});
}

/* Several bounds of one class: each is a pin of its own, united by AND; a pair of bounds
 * is one. */
static struct pin *
range_pin(struct compile *c, const struct facts *f, int node, const struct map_table *mt)
{
	struct pin *p = NULL, *all = NULL;

	for (const struct fact_set *s = f->v[facts_root(f, node)].sets; s != NULL;
	     s = s->next) {
		if (s->lo == NULL && s->hi == NULL)
			continue;
		if (p == NULL || (s->lo != NULL && p->lo != NULL) ||
		    (s->hi != NULL && p->hi != NULL)) {
			p = new_pin(c, PIN_RANGE, mt);
			all = all == NULL ? p : and_pin(c, mt, all, p);
		}
		if (s->lo != NULL) {
			p->lo = s->lo;
			p->lo_inclusive = s->inclusive;
		} else {
			p->hi = s->hi;
			p->hi_inclusive = s->inclusive;
		}
	}
	return all;
}

static struct pin *
column_pin(struct compile *c, const struct facts *f, int node, const struct map_table *mt)
{
	struct pin *all = NULL, *p;

	for (const struct fact_set *s = f->v[facts_root(f, node)].sets; s != NULL;
	     s = s->next) {
		if (s->lo != NULL || s->hi != NULL)
			continue;
		p = new_pin(c, PIN_KEYS, mt);
		p->sets[0] = s->set;
		all = and_pin(c, mt, all, p);
	}
	if (c->map->distributions[mt->distribution].kind == DIST_RANGE)
		all = and_pin(c, mt, all, range_pin(c, f, node, mt));
	return all;
}

/* Several key columns: the shortest list of each, or (anchors) the anchor's own key. */
static struct pin *
columns_pin_of(struct compile *c, struct facts *f, const struct sql_rel *rel,
    const struct map_table *mt, bool anchors)
{
	struct pin *p = new_pin(c, PIN_KEYS, mt);

	for (int k = 0; k < mt->n_key; k++) {
		const struct value_set *best = NULL;
		int node = key_node(c, f, rel, mt, k);

		if (node < 0)
			return NULL;
		for (const struct fact_set *s = f->v[facts_root(f, node)].sets; s != NULL;
		     s = s->next)
			if (s->lo == NULL && s->hi == NULL && !s->set.v[0].array &&
			    s->set.v[0].anchor == anchors &&
			    (!anchors || s->set.v[0].index == (uint32_t)k) &&
			    (best == NULL || s->set.n < best->n))
				best = &s->set;
		if (best == NULL)
			return NULL;
		p->sets[k] = *best;
	}
	return p;
}

static struct pin *
columns_pin(struct compile *c, struct facts *f, const struct sql_rel *rel,
    const struct map_table *mt)
{
	struct pin *values = columns_pin_of(c, f, rel, mt, false);

	return c->n_anchors == 0
	    ? values
	    : and_pin(c, mt, values, columns_pin_of(c, f, rel, mt, true));
}

static struct pin *pin_of_facts(
    struct compile *, struct facts *, const struct sql_rel *, const struct map_table *);

static struct pin *
or_pin(struct compile *c, const struct facts *f, const struct branchings *b,
    const struct sql_rel *rel, const struct map_table *mt)
{
	struct pin *p = new_pin(c, PIN_OR, mt);

	p->args = ARENA_NEW_N(c->arena, struct pin *, (size_t)b->cond->n + 1);
	for (int i = 0; i < b->cond->n; i++) {
		struct facts branch;
		struct pin *one;

		c->budget -= f->n / 8;
		if (--c->budget < 0)
			return NULL;
		branch = facts_copy(c, f);
		facts_add_cond(c, &branch, b->level, b->on, b->cond->args[i]);
		facts_add_joined(c, &branch);
		one = pin_of_facts(c, &branch, rel, mt);
		if (one->kind == PIN_ALL)
			return NULL;
		p->args[p->n++] = one;
	}
	return p;
}

static struct pin *
pin_of_facts(struct compile *c, struct facts *f, const struct sql_rel *rel,
    const struct map_table *mt)
{
	struct pin *p = NULL;
	int node;

	if (mt->n_key == 1) {
		node = key_node(c, f, rel, mt, 0);
		if (node >= 0) {
			facts_settle(c, f);
			p = column_pin(c, f, node, mt);
		}
	} else {
		p = columns_pin(c, f, rel, mt);
	}
	for (const struct branchings *b = f->ors; b != NULL; b = b->next)
		p = and_pin(c, mt, p, or_pin(c, f, b, rel, mt));
	return p != NULL && c->budget >= 0 ? p : new_pin(c, PIN_ALL, mt);
}

struct pin *
pin_of_table(struct compile *c, const struct sql_rel *rel, const struct map_table *mt)
{
	struct facts f = {.n = 0};

	if (rel->leaf == NULL)
		return new_pin(c, PIN_ALL, mt);
	facts_collect(c, &f, rel->level, rel->leaf);
	return pin_of_facts(c, &f, rel, mt);
}
