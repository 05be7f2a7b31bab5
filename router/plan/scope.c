/* Columns: which table of which level a name means, by the rules of SQL's scopes. Where
 * that cannot be told for certain, the answer is "not known", which proves nothing. */
#include <stdlib.h>

#include "router/plan/plan_int.h"

/* ---- columns of a table ---- */

/* The catalog's names of a view's columns go before those of its query. */
const struct schema_table *
columns_of(struct compile *c, const struct sql_rel *rel)
{
	const struct rel_info *r = rel->kind == REL_TABLE ? rel_info(c, rel) : NULL;

	return r != NULL && r->st != NULL && r->st->n_columns > 0 ? r->st : NULL;
}

/* A name before the alias's column names were put over it. FOUND_MAYBE: not known. */
static enum found
has_own_column(struct compile *c, const struct sql_rel *rel, const char *name)
{
	const struct schema_table *st = columns_of(c, rel);
	const struct rel_info *r;
	struct sql_query *q;
	const struct sql_expr *e;
	struct col col;

	if (st != NULL)
		return schema_column(st, name) >= 0 ? FOUND_YES : FOUND_NO;
	q = rel_query(c, rel);
	if (q != NULL) {
		if (rel->kind == REL_CTE &&
		    (rel->cte->n_colnames > 0 || rel->cte->recursive))
			return output_position(c, q, name) >= 0 ? FOUND_YES : FOUND_MAYBE;
		if (output_by_name(c, q, name, &e, &col))
			return FOUND_YES;
		return output_name_at(c, q, 0) != NULL &&
			output_position(c, q, name) == -1
		    ? FOUND_NO
		    : FOUND_MAYBE;
	}
	if (rel->kind != REL_TABLE)
		return FOUND_MAYBE;
	r = rel_info(c, rel);
	for (int i = 0; r->mt != NULL && i < r->mt->n_key; i++)
		if (strcmp(r->mt->key[i], name) == 0)
			return FOUND_YES;
	return FOUND_MAYBE;
}

/* A CTE with a list of names whose alias has another list. */
static bool
renamed_twice(const struct sql_rel *rel)
{
	return rel->kind == REL_CTE && rel->n_colnames > 0 && rel->cte->n_colnames > 0;
}

/* The names that the alias (or the CTE's own list) puts over the first columns. */
static int
alias_names(const struct sql_rel *rel, const char *const **names)
{
	*names = rel->colnames;
	if (rel->n_colnames > 0 || rel->kind != REL_CTE)
		return rel->n_colnames;
	*names = rel->cte->colnames;
	return rel->cte->n_colnames;
}

const char *
own_name_at(struct compile *c, const struct sql_rel *rel, int pos)
{
	const struct schema_table *st = columns_of(c, rel);
	struct sql_query *q;

	if (st != NULL)
		return pos < st->n_columns ? st->columns[pos].name : NULL;
	q = rel_query(c, rel);
	return q != NULL ? output_name_at(c, q, pos) : NULL;
}

int
own_position(struct compile *c, const struct sql_rel *rel, const char *name)
{
	const struct schema_table *st = columns_of(c, rel);
	struct sql_query *q;

	if (st != NULL)
		return schema_column(st, name);
	q = rel_query(c, rel);
	return q != NULL ? output_position(c, q, name) : -1;
}

const char *
real_name(struct compile *c, const struct sql_rel *rel, const char *visible)
{
	const char *const *names;
	int n = alias_names(rel, &names), pos;

	if (renamed_twice(rel))
		return NULL;
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], visible) == 0)
			return own_name_at(c, rel, i);
	if (n == 0)
		return visible;
	/* behind the renamed ones */
	pos = own_position(c, rel, visible);
	return pos >= n ? visible : NULL;
}

const char *
visible_name(struct compile *c, const struct sql_rel *rel, const char *real)
{
	const char *const *names;
	int n = alias_names(rel, &names), pos;

	if (n == 0)
		return real;
	if (renamed_twice(rel))
		return NULL;
	pos = own_position(c, rel, real);
	return pos < 0 ? NULL : pos < n ? names[pos] : real;
}

enum found
has_column(struct compile *c, const struct sql_rel *rel, const char *name)
{
	const char *const *names;
	int n = alias_names(rel, &names), pos;

	if (renamed_twice(rel))
		return FOUND_MAYBE;
	for (int i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return FOUND_YES;
	if (n == 0)
		return has_own_column(c, rel, name);
	pos = own_position(c, rel, name);
	if (pos >= 0)
		return pos >= n ? FOUND_YES : FOUND_NO;
	return FOUND_MAYBE;
}

const char *
visible_at(struct compile *c, const struct sql_rel *rel, int pos)
{
	const char *const *names;
	int n = alias_names(rel, &names);

	if (renamed_twice(rel))
		return NULL;
	return pos < n ? names[pos] : own_name_at(c, rel, pos);
}

/* ---- scopes ---- */

static enum found look_in(
    struct compile *, const struct sql_from *, const char *name, struct col *);

static bool
in_using(const struct sql_from *j, const char *name)
{
	for (int i = 0; i < j->n_using; i++)
		if (strcmp(j->using[i], name) == 0)
			return true;
	return false;
}

/* MAYBE with col->rel set: it is one of several, or perhaps none: not known. */
static enum found
look_in_join(
    struct compile *c, const struct sql_from *j, const char *name, struct col *col)
{
	struct col l = {NULL, NULL}, r = {NULL, NULL};
	enum found fl, fr;

	if (j->renamed)
		return FOUND_MAYBE;
	fl = look_in(c, j->left, name, &l);
	fr = look_in(c, j->right, name, &r);
	if (in_using(j, name) || (j->natural && fl != FOUND_NO && fr != FOUND_NO)) {
		/* one column made of both: a full join's is neither */
		*col = j->join == JOIN_RIGHT ? r : l;
		if (j->join == JOIN_FULL)
			return FOUND_MAYBE;
		return j->join == JOIN_RIGHT ? fr : fl;
	}
	if (fl == FOUND_YES && fr == FOUND_YES)
		return FOUND_MAYBE;
	*col = fl == FOUND_YES ? l : r;
	if (fl == FOUND_YES || fr == FOUND_YES)
		return FOUND_YES;
	return fl == FOUND_NO && fr == FOUND_NO ? FOUND_NO : FOUND_MAYBE;
}

static enum found
look_in(struct compile *c, const struct sql_from *f, const char *name, struct col *col)
{
	if (f->rel == NULL)
		return look_in_join(c, f, name, col);
	*col = (struct col){f->rel, name};
	return has_column(c, f->rel, name);
}

static int
count_leaves(const struct sql_from *f)
{
	return f->rel != NULL ? 1 : count_leaves(f->left) + count_leaves(f->right);
}

enum found
look_up(struct compile *c, const struct scope *s, const char *name, struct col *col)
{
	enum found best = FOUND_NO;
	int yes = 0;

	for (int i = 0; i < s->n + (s->tree != NULL); i++) {
		struct col here;
		enum found f = look_in(c, i < s->n ? s->items[i] : s->tree, name, &here);

		if (f == FOUND_YES) {
			*col = here;
			yes++;
		}
		best = f > best ? f : best;
	}
	return yes > 1 ? FOUND_MAYBE : best;
}

bool
names_rel(struct compile *c, const struct sql_rel *rel, const struct sql_expr *e)
{
	if (rel->hidden || rel->alias == NULL || strcmp(rel->alias, e->rel) != 0)
		return false;
	if (e->schema == NULL)
		return true;
	return rel->kind == REL_TABLE && rel->name == rel->alias &&
	    rel_info(c, rel)->schema != NULL &&
	    strcmp(rel_info(c, rel)->schema, e->schema) == 0;
}

/* rel.col; FOUND_MAYBE: the table is here, the column is not known. */
static enum found
look_qualified(struct compile *c, const struct sql_from *f, const struct sql_expr *e,
    struct col *col)
{
	enum found l;

	if (f->rel != NULL) {
		if (!names_rel(c, f->rel, e))
			return FOUND_NO;
		*col = (struct col){f->rel, e->col};
		return has_column(c, f->rel, e->col) == FOUND_NO ? FOUND_MAYBE
								 : FOUND_YES;
	}
	if (f->alias != NULL && e->schema == NULL && strcmp(f->alias, e->rel) == 0)
		return look_in_join(c, f, e->col, col) == FOUND_YES ? FOUND_YES
								    : FOUND_MAYBE;
	l = look_qualified(c, f->left, e, col);
	return l != FOUND_NO ? l : look_qualified(c, f->right, e, col);
}

enum found
look_up_qualified(
    struct compile *c, const struct scope *s, const struct sql_expr *e, struct col *col)
{
	for (int i = 0; i < s->n + (s->tree != NULL); i++) {
		enum found f =
		    look_qualified(c, i < s->n ? s->items[i] : s->tree, e, col);

		if (f != FOUND_NO)
			return f;
	}
	return FOUND_NO;
}

/* What stands to the left of a LATERAL table: items before its own, and left sides of the
 * joins around it. */
static void
lateral_scopes(const struct sql_query *q, const struct sql_from *leaf, struct scope *v,
    int *n, int most)
{
	for (const struct sql_from *f = leaf; f->parent != NULL; f = f->parent)
		if (f == f->parent->right && *n < most)
			v[(*n)++] = (struct scope){NULL, 0, f->parent->left};
	if (*n < most)
		v[(*n)++] = (struct scope){q->from, leaf->item, NULL};
}

#define SCOPES_MAX 64

/* The scopes that an expression of level q sees, from the inside out. False: too many, or
 * a name may come from elsewhere. */
static int
scopes_of(const struct sql_query *q, const struct sql_from *on, struct scope *v)
{
	int n = 0;

	v[n++] = on != NULL ? (struct scope){NULL, 0, on}
			    : (struct scope){q->from, q->n_from, NULL};
	for (; q->parent != NULL && n < SCOPES_MAX; q = q->parent) {
		const struct sql_query *p = q->parent;

		switch (q->place) {
		case PLACE_TOP:
			v[n++] = (struct scope){p->from, p->n_from, NULL};
			break;
		case PLACE_ON:
			v[n++] = (struct scope){NULL, 0, q->at};
			break;
		case PLACE_FROM:
			if (q->at->rel != NULL && q->at->rel->lateral)
				lateral_scopes(p, q->at, v, &n, SCOPES_MAX);
			break;
		case PLACE_VIEW:
			return n;
		default:
			break;
		}
	}
	return n;
}

/* A name that nobody is known to have belongs to the only table that there is. */
static bool
only_table(const struct sql_query *q, const struct scope *v, int n, const char *name,
    struct col *col)
{
	const struct sql_from *only = NULL;
	int leaves = 0;

	/* RETURNING sees an INSERT's table, which is in no FROM list */
	for (; q != NULL; q = q->parent)
		if (q->kind == Q_INSERT)
			return false;
	for (int i = 0; i < n; i++) {
		for (int k = 0; k < v[i].n; k++) {
			leaves += count_leaves(v[i].items[k]);
			only = v[i].items[k];
		}
		if (v[i].tree != NULL) {
			leaves += count_leaves(v[i].tree);
			only = v[i].tree;
		}
	}
	if (leaves != 1 || only->rel == NULL)
		return false;
	*col = (struct col){only->rel, name};
	return true;
}

bool
resolve_col(struct compile *c, const struct sql_query *q, const struct sql_from *on,
    const struct sql_expr *e, struct col *col)
{
	struct scope v[SCOPES_MAX];
	int n;

	if (e->kind != EXPR_COL)
		return false;
	n = scopes_of(q, on, v);
	for (int i = 0; i < n; i++) {
		enum found f = e->rel != NULL ? look_up_qualified(c, &v[i], e, col)
					      : look_up(c, &v[i], e->col, col);

		if (f == FOUND_YES)
			return true;
		if (f == FOUND_MAYBE)
			return e->rel == NULL && only_table(q, v, n, e->col, col);
	}
	return false;
}
