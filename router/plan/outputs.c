/* What a level gives: its columns by name and position, stars included, and the families
 * of their types. */
#include <stdlib.h>

#include "router/plan/plan_int.h"

/* ---- outputs of a level ---- */

static const struct sql_query *
leftmost(const struct sql_query *q)
{
	while (q->kind == Q_SETOP)
		q = q->left;
	return q;
}

static int
rel_width(struct compile *c, const struct sql_rel *rel)
{
	const struct schema_table *st = columns_of(c, rel);
	struct sql_query *q;
	int n = 0;

	if (st != NULL)
		return st->n_columns;
	q = rel_query(c, rel);
	if (q == NULL || (rel->kind == REL_CTE && rel->cte->recursive))
		return -1;
	while (n < 2000 && output_name_at(c, q, n) != NULL)
		n++;
	return n == 0 ? -1 : n;
}

/* Where a star's columns come from, in order: the tables of the FROM list, unless a join
 * merges columns. */
struct star_walk {
	int pos; /* counts down to the column wanted */
	struct col col;
	bool found, lost;
};

static void
walk_star(struct compile *c, const struct sql_from *f, const struct sql_expr *e,
    struct star_walk *w)
{
	int width;

	if (w->found || w->lost)
		return;
	if (f->rel == NULL) {
		/* a.* is not touched by USING */
		w->lost = (e->rel == NULL && (f->n_using > 0 || f->natural)) ||
		    f->renamed || (e->rel != NULL && f->alias != NULL);
		walk_star(c, f->left, e, w);
		walk_star(c, f->right, e, w);
		return;
	}
	if (e->rel != NULL && !names_rel(c, f->rel, e))
		return;
	width = rel_width(c, f->rel);
	if (width < 0) {
		w->lost = true;
	} else if (w->pos < width) {
		w->found = true;
		w->col = (struct col){f->rel, visible_at(c, f->rel, w->pos)};
		w->lost = w->col.name == NULL;
	} else {
		w->pos -= width;
	}
}

static void
star_at(struct compile *c, const struct sql_query *q, const struct sql_expr *e,
    struct star_walk *w)
{
	for (int i = 0; i < q->n_from; i++)
		walk_star(c, q->from[i], e, w);
	/* RETURNING * of an INSERT */
	if (q->n_from == 0)
		w->lost = true;
}

bool
output_by_pos(struct compile *c, const struct sql_query *q, int pos,
    const struct sql_expr **e, struct col *col)
{
	*e = NULL;
	*col = (struct col){NULL, NULL};
	if (--c->budget < 0)
		return false;
	if (q->kind == Q_VALUES)
		return pos < q->values.width;
	for (int i = 0; i < q->n_targets; i++) {
		const struct sql_target *t = &q->targets[i];
		struct star_walk w = {.pos = pos};

		if (t->expr.kind != EXPR_STAR) {
			if (pos-- == 0) {
				*e = &t->expr;
				return true;
			}
			continue;
		}
		star_at(c, q, &t->expr, &w);
		if (w.lost)
			return false;
		if (w.found) {
			*col = w.col;
			return true;
		}
		pos = w.pos;
	}
	return false;
}

int
output_count(struct compile *c, const struct sql_query *q)
{
	int n = 0;

	q = leftmost(q);
	if (q->kind == Q_VALUES)
		return q->values.width;
	for (int i = 0; i < q->n_targets; i++) {
		struct star_walk w = {.pos = 1 << 20};

		if (q->targets[i].expr.kind != EXPR_STAR) {
			n++;
			continue;
		}
		star_at(c, q, &q->targets[i].expr, &w);
		if (w.lost)
			return -1;
		n += (1 << 20) - w.pos;
	}
	return n;
}

const char *
output_name_at(struct compile *c, const struct sql_query *q, int pos)
{
	const struct sql_expr *e;
	struct col col;

	q = leftmost(q);
	if (q->kind == Q_VALUES)
		return pos < q->values.width
		    ? arena_printf(&c->scratch, "column%d", pos + 1)
		    : NULL;
	if (!output_by_pos(c, q, pos, &e, &col))
		return NULL;
	if (e == NULL)
		return col.name;
	for (int i = 0; i < q->n_targets; i++)
		if (e == &q->targets[i].expr)
			return q->targets[i].name == NULL ? "" : q->targets[i].name;
	return NULL;
}

/* -1: no such output; -2: not known. */
int
output_position(struct compile *c, const struct sql_query *q, const char *name)
{
	for (int i = 0; i < 2000; i++) {
		const char *n = output_name_at(c, q, i);
		const struct sql_expr *e;
		struct col col;

		if (n == NULL) {
			/* the end, or a star that cannot be expanded */
			const struct sql_query *l = leftmost(q);

			for (int k = 0; l->kind != Q_VALUES && k < l->n_targets; k++)
				if (l->targets[k].expr.kind == EXPR_STAR &&
				    !output_by_pos(c, l, i, &e, &col)) {
					struct star_walk w = {.pos = 1 << 20};

					star_at(c, l, &l->targets[k].expr, &w);
					if (w.lost)
						return -2;
				}
			return -1;
		}
		if (*n == '\0')
			return -2;
		if (strcmp(n, name) == 0)
			return i;
	}
	return -2;
}

bool
output_by_name(struct compile *c, const struct sql_query *q, const char *name,
    const struct sql_expr **e, struct col *col)
{
	struct scope s = {q->from, q->n_from, NULL};
	int pos;

	*e = NULL;
	*col = (struct col){NULL, NULL};
	if (--c->budget < 0)
		return false;
	if (q->kind == Q_VALUES || q->kind == Q_SETOP) {
		pos = output_position(c, q, name);
		return pos >= 0 &&
		    (q->kind == Q_SETOP || output_by_pos(c, q, pos, e, col));
	}
	for (int i = 0; i < q->n_targets; i++) {
		const struct sql_target *t = &q->targets[i];
		struct sql_expr x = t->expr;

		if (t->expr.kind != EXPR_STAR && t->name != NULL &&
		    strcmp(t->name, name) == 0) {
			*e = &t->expr;
			return true;
		}
		if (t->expr.kind != EXPR_STAR)
			continue;
		x.kind = EXPR_COL;
		x.col = name;
		if ((t->expr.rel != NULL ? look_up_qualified(c, &s, &x, col)
					 : look_up(c, &s, name, col)) == FOUND_YES &&
		    has_column(c, col->rel, name) == FOUND_YES)
			return true;
	}
	*col = (struct col){NULL, NULL};
	return false;
}

bool
inner_of(struct compile *c, struct col col, const struct sql_query *level,
    const struct sql_expr **e, struct col *inner)
{
	struct sql_query *q = rel_query(c, col.rel);
	const char *real = q == NULL ? NULL : real_name(c, col.rel, col.name);

	if (real == NULL)
		return false;
	if (q == level && q->kind != Q_VALUES && columns_of(c, col.rel) == NULL)
		return output_by_name(c, q, real, e, inner);
	int pos = own_position(c, col.rel, real);

	return pos >= 0 && output_by_pos(c, level, pos, e, inner);
}

/* ---- types ---- */

enum family
key_family(enum key_type t)
{
	static const enum family families[KEY_TYPE_COUNT] = {[KEY_INT2] = FAMILY_INT,
	    [KEY_INT4] = FAMILY_INT,
	    [KEY_INT8] = FAMILY_INT,
	    [KEY_TEXT] = FAMILY_TEXT,
	    [KEY_VARCHAR] = FAMILY_TEXT,
	    [KEY_UUID] = FAMILY_UUID,
	    [KEY_DATE] = FAMILY_DATE,
	    [KEY_TIMESTAMP] = FAMILY_TIMESTAMP,
	    [KEY_TIMESTAMPTZ] = FAMILY_TIMESTAMPTZ,
	    [KEY_NUMERIC] = FAMILY_NUMERIC};

	return (unsigned)t < KEY_TYPE_COUNT ? families[t] : FAMILY_NONE;
}

enum family
type_family(const char *type)
{
	return type == NULL || *type == '\0' ? FAMILY_NONE
					     : key_family(key_type_find(slice_of(type)));
}

static enum family
value_family(struct compile *c, const struct sql_value *v)
{
	if (v->cast != NULL)
		return type_family(v->cast);
	if (v->kind != VALUE_CONST || c->ctx->consts == NULL ||
	    v->index >= c->ctx->consts->n)
		return v->kind == VALUE_TEXT ? FAMILY_TEXT : FAMILY_NONE;
	switch (c->ctx->consts->v[v->index].class) {
	case CONST_INT4:
	case CONST_INT8:
		return FAMILY_INT;
	case CONST_NUMERIC:
		return FAMILY_NUMERIC;
	case CONST_STRING:
	case CONST_ESTRING:
		return FAMILY_TEXT;
	default:
		return FAMILY_NONE;
	}
}

static enum family
table_family(struct compile *c, const struct sql_rel *rel, const char *visible)
{
	const struct rel_info *r = rel_info(c, rel);
	const char *real = real_name(c, rel, visible);
	int i;

	if (real == NULL)
		return FAMILY_NONE;
	if (r->st != NULL && r->kind != TABLE_VIEW) {
		i = schema_column(r->st, real);
		return i >= 0 && r->st->columns[i].deterministic
		    ? type_family(r->st->columns[i].type)
		    : FAMILY_NONE;
	}
	if (r->mt != NULL && r->mt->distribution >= 0)
		for (i = 0; i < r->mt->n_key; i++)
			if (strcmp(r->mt->key[i], real) == 0)
				return key_family(
				    c->map->distributions[r->mt->distribution].types[i]);
	return FAMILY_NONE;
}

static enum family
expr_family(struct compile *c, const struct sql_query *q, const struct sql_expr *e,
    struct col col)
{
	if (e == NULL)
		return col.rel == NULL ? FAMILY_NONE : col_family(c, col);
	if (e->kind == EXPR_VALUE)
		return value_family(c, &e->value);
	if (!resolve_col(c, q, NULL, e, &col))
		return FAMILY_NONE;
	return e->cast != NULL ? type_family(e->cast) : col_family(c, col);
}

static enum family
rows_family(struct compile *c, const struct sql_query *q, int pos)
{
	enum family all = FAMILY_NONE;

	for (int r = 0; r < q->values.n_rows; r++) {
		const struct sql_expr *e = &q->values.cells[r * q->values.width + pos];
		enum family f =
		    e->kind == EXPR_VALUE ? value_family(c, &e->value) : FAMILY_NONE;

		if (f == FAMILY_NONE || (all != FAMILY_NONE && f != all))
			return FAMILY_NONE;
		all = f;
	}
	return all;
}

enum family
output_family(struct compile *c, const struct sql_query *q, int pos)
{
	const struct sql_expr *e;
	struct col col;
	enum family f;

	if (pos < 0 || --c->budget < 0)
		return FAMILY_NONE;
	if (q->kind == Q_SETOP) {
		f = output_family(c, q->left, pos);
		return f == output_family(c, q->right, pos) ? f : FAMILY_NONE;
	}
	if (q->kind == Q_VALUES)
		return pos < q->values.width ? rows_family(c, q, pos) : FAMILY_NONE;
	return output_by_pos(c, q, pos, &e, &col) ? expr_family(c, q, e, col)
						  : FAMILY_NONE;
}

enum family
col_family(struct compile *c, struct col col)
{
	struct sql_query *q = rel_query(c, col.rel);
	const struct sql_expr *e;
	const char *real;
	struct col inner;

	if (--c->budget < 0)
		return FAMILY_NONE;
	if (q == NULL)
		return col.rel->kind == REL_TABLE ? table_family(c, col.rel, col.name)
						  : FAMILY_NONE;
	if (col.rel->kind == REL_CTE && col.rel->cte->recursive)
		return FAMILY_NONE;
	real = real_name(c, col.rel, col.name);
	if (real == NULL)
		return FAMILY_NONE;
	if (q->kind == Q_SETOP || q->kind == Q_VALUES || columns_of(c, col.rel) != NULL)
		return output_family(c, q, own_position(c, col.rel, real));
	return output_by_name(c, q, real, &e, &inner) ? expr_family(c, q, e, inner)
						      : FAMILY_NONE;
}

bool
key_type_differs(const struct shard_map *map, const struct rel_info *r, int key)
{
	const struct schema_table *st = r->st;
	enum key_type type;
	int i;

	if (r->mt == NULL || r->mt->distribution < 0 || st == NULL || st->n_columns == 0)
		return false;
	type = map->distributions[r->mt->distribution].types[key];
	i = schema_column(st, r->mt->key[key]);
	return i < 0 || type_family(st->columns[i].type) != key_family(type) ||
	    !st->columns[i].deterministic;
}
