/* What names mean: tables by search_path, schema and map; columns by the rules of SQL's scopes. Where a name cannot be told
 * for certain, the answer is "not known", which proves nothing. */
#include <ctype.h>
#include <stdlib.h>

#include "router/plan/plan_int.h"

/* ---- search_path ---- */

static const char *
path_item(struct compile *c, const char **p)
{
	const char *s = *p;
	char *item = arena_alloc(c->arena, strlen(s) + 1), *w = item;

	while (isspace((unsigned char)*s) || *s == ',')
		s++;
	if (*s == '"') {
		for (s++; *s != '\0' && !(*s == '"' && s[1] != '"'); s++) {
			if (*s == '"')
				s++;
			*w++ = *s;
		}
		s += *s == '"';
	} else {
		while (*s != '\0' && *s != ',' && !isspace((unsigned char)*s))
			*w++ = (char)tolower((unsigned char)*s++);
	}
	*p = s;
	return item;
}

void
names_init(struct compile *c)
{
	const char *p = c->ctx->search_path == NULL ? "\"$user\", public" : c->ctx->search_path;
	size_t most = 1;

	for (const char *q = p; *q != '\0'; q++)
		most += *q == ',';
	c->path = ARENA_NEW_N(c->arena, const char *, most + 1);
	while (*p != '\0' && (size_t)c->n_path < most) {
		const char *item = path_item(c, &p);

		if (strcmp(item, "$user") == 0)
			item = c->ctx->user;
		if (item != NULL && *item != '\0')
			c->path[c->n_path++] = item;
		while (isspace((unsigned char)*p))
			p++;
	}
}

/* ---- tables ---- */

static bool
is_catalog_schema(const char *s)
{
	return strcmp(s, "pg_catalog") == 0 || strcmp(s, "information_schema") == 0 || strncmp(s, "pg_toast", 8) == 0;
}

static bool
is_temp(struct compile *c, const char *name)
{
	if (c->ctx->temp_tables == NULL)
		return false;
	for (int i = 0; c->ctx->temp_tables[i] != NULL; i++)
		if (strcmp(c->ctx->temp_tables[i], name) == 0)
			return true;
	return false;
}

/* Unqualified names, which the program's validity depends on. */
static void
note_name(struct compile *c, const char *name)
{
	struct program *p = c->p;
	const char **names;

	for (int i = 0; i < p->n_names; i++)
		if (strcmp(p->names[i], name) == 0)
			return;
	if (p->n_names % 8 == 0) {
		names = ARENA_NEW_N(c->arena, const char *, (size_t)p->n_names + 8);
		if (p->n_names > 0)
			memcpy(names, p->names, (size_t)p->n_names * sizeof *names);
		p->names = names;
	}
	p->names[p->n_names] = arena_strdup(c->arena, name);
	if (is_temp(c, name) && p->n_names < 64)
		p->shadowed |= UINT64_C(1) << p->n_names;
	p->n_names++;
}

/* The map's row for a table of the catalog: its own, or that of the table that it is a partition, index or sequence of. */
static const struct map_table *
map_table_of(struct compile *c, const struct schema_table *st, const char *schema, const char *name)
{
	const struct map_table *mt = shard_map_table(c->map, schema, name);

	for (int depth = 0; mt == NULL && st != NULL && st->parent != NULL && depth < 32; depth++) {
		mt = shard_map_table(c->map, st->parent_schema, st->parent);
		st = schema_table(c->schema, st->parent_schema, st->parent);
	}
	return mt;
}

static bool
try_schema(struct compile *c, const char *schema, const char *name, bool known, struct rel_info *r)
{
	const struct schema_table *st = c->schema == NULL ? NULL : schema_table(c->schema, schema, name);

	if (known ? st == NULL : shard_map_table(c->map, schema, name) == NULL)
		return false;
	r->schema = schema;
	r->name = name;
	r->st = st;
	r->mt = map_table_of(c, st, schema, name);
	return true;
}

/* First what the catalog knows, then what only the map does (a table that was just made). */
static bool
search(struct compile *c, const struct schema_table *in_view, const char *name, struct rel_info *r)
{
	for (int known = c->schema != NULL; known >= 0; known--) {
		if (in_view != NULL && (try_schema(c, in_view->schema, name, known, r) || try_schema(c, "public", name, known, r)))
			return true;
		for (int i = 0; in_view == NULL && i < c->n_path; i++)
			if (try_schema(c, c->path[i], name, known, r))
				return true;
	}
	return false;
}

static void
resolve_table(struct compile *c, const struct sql_rel *rel, struct rel_info *r)
{
	r->name = rel->name;
	r->kind = TABLE_LOCAL;
	if (rel->schema != NULL && (strcmp(rel->schema, "pg_temp") == 0 || strncmp(rel->schema, "pg_temp_", 8) == 0)) {
		r->kind = TABLE_TEMP;
		return;
	}
	if (rel->schema != NULL) {
		r->schema = rel->schema;
		if (is_catalog_schema(rel->schema)) {
			r->kind = TABLE_CATALOG;
			return;
		}
		try_schema(c, rel->schema, rel->name, false, r);
		if (r->st == NULL && c->schema != NULL)
			try_schema(c, rel->schema, rel->name, true, r);
	} else {
		if (r->in_view == NULL)
			note_name(c, rel->name);
		if (r->in_view == NULL && is_temp(c, rel->name)) {
			r->kind = TABLE_TEMP;
			return;
		}
		if (!search(c, r->in_view, rel->name, r) && strncmp(rel->name, "pg_", 3) == 0) {
			r->kind = TABLE_CATALOG;
			return;
		}
	}
	if (r->mt != NULL)
		r->kind = r->mt->reference ? TABLE_REFERENCE : TABLE_SHARDED;
	else if (r->st != NULL && r->st->kind == 'v')
		r->kind = TABLE_VIEW;
}

const struct schema_table *
view_around(struct compile *c, const struct sql_query *q)
{
	for (; q != NULL; q = q->parent)
		if (q->place == PLACE_VIEW)
			return rel_info(c, q->at->rel)->st;
	return NULL;
}

/* A view stands for its own copy of its query at each place, so that its tables are not mixed up with those of another. */
static void
open_view(struct compile *c, const struct sql_rel *rel, struct rel_info *r)
{
	struct sql_stmts *s;
	struct sql_from *leaf;

	if (r->st->view_sql == NULL || c->n_views == VIEWS_MAX)
		return;
	s = sql_analyze(slice_of(r->st->view_sql), NULL, 0);
	c->views[c->n_views++] = s;
	if (s->n != 1 || s->v[0].query == NULL)
		return;
	r->view = s->v[0].kind == STMT_SELECT ? s->v[0].query : s->v[0].query->source;
	if (r->view == NULL)
		return;
	r->view->parent = rel->level;
	r->view->place = PLACE_VIEW;
	r->view->at = rel->leaf;
	if (rel->leaf == NULL) { /* the target of an INSERT */
		leaf = ARENA_NEW(&c->scratch, struct sql_from);
		leaf->rel = (struct sql_rel *)(uintptr_t)rel;
		r->view->at = leaf;
	}
}

static struct rel_info *
new_info(struct compile *c, const struct sql_rel *rel)
{
	struct rel_info *v;

	if (c->n_rels == c->rels_cap) {
		int cap = c->rels_cap == 0 ? 16 : c->rels_cap * 2;

		v = ARENA_NEW_N(&c->scratch, struct rel_info, (size_t)cap);
		if (c->n_rels > 0)
			memcpy(v, c->rels, (size_t)c->n_rels * sizeof *v);
		c->rels = v;
		c->rels_cap = cap;
	}
	v = &c->rels[c->n_rels++];
	v->rel = rel;
	return v;
}

/* The address is good until the next call with a table that was not asked for before. */
struct rel_info *
rel_info(struct compile *c, const struct sql_rel *rel)
{
	struct rel_info r = {.rel = rel}, *v;

	for (int i = c->n_rels - 1; i >= 0; i--)
		if (c->rels[i].rel == rel)
			return &c->rels[i];
	if (rel->kind == REL_TABLE) {
		r.in_view = view_around(c, rel->level);
		resolve_table(c, rel, &r);
	}
	v = new_info(c, rel);
	*v = r;
	if (rel->kind == REL_TABLE && r.kind == TABLE_VIEW) {
		open_view(c, rel, &r);
		v = &c->rels[c->n_rels - 1];
		v->view = r.view;
	}
	return v;
}

struct sql_query *
rel_query(struct compile *c, const struct sql_rel *rel)
{
	switch (rel->kind) {
	case REL_QUERY:
		return rel->query;
	case REL_CTE:
		return rel->cte->query;
	case REL_TABLE:
		return rel_info(c, rel)->kind == TABLE_VIEW ? rel_info(c, rel)->view : NULL;
	default:
		return NULL;
	}
}

/* The schema in which an unqualified CREATE makes its table: the first of search_path that exists. */
const char *
creation_schema(struct compile *c, const char *name)
{
	for (int i = 0; i < c->n_path; i++)
		if (c->schema != NULL ? schema_has_namespace(c->schema, c->path[i])
				      : shard_map_table(c->map, c->path[i], name) != NULL)
			return c->path[i];
	return c->n_path > 0 && c->schema != NULL ? c->path[0] : "public";
}

/* ---- columns of a table ---- */

/* The catalog's names of a view's columns go before those of its query. */
static const struct schema_table *
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
		if (rel->kind == REL_CTE && (rel->cte->n_colnames > 0 || rel->cte->recursive))
			return output_position(c, q, name) >= 0 ? FOUND_YES : FOUND_MAYBE;
		if (output_by_name(c, q, name, &e, &col))
			return FOUND_YES;
		return output_name_at(c, q, 0) != NULL && output_position(c, q, name) == -1 ? FOUND_NO : FOUND_MAYBE;
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

static const char *
own_name_at(struct compile *c, const struct sql_rel *rel, int pos)
{
	const struct schema_table *st = columns_of(c, rel);
	struct sql_query *q;

	if (st != NULL)
		return pos < st->n_columns ? st->columns[pos].name : NULL;
	q = rel_query(c, rel);
	return q != NULL ? output_name_at(c, q, pos) : NULL;
}

static int
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

static enum found
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

/* ---- scopes ---- */

/* All the tables that an expression sees at one level: up to `n` items of the FROM list and one tree. */
struct scope {
	struct sql_from *const *items;
	int n;
	const struct sql_from *tree; /* or NULL */
};

static enum found look_in(struct compile *, const struct sql_from *, const char *name, struct col *);

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
look_in_join(struct compile *c, const struct sql_from *j, const char *name, struct col *col)
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

static enum found
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

static bool
names_rel(struct compile *c, const struct sql_rel *rel, const struct sql_expr *e)
{
	if (rel->hidden || rel->alias == NULL || strcmp(rel->alias, e->rel) != 0)
		return false;
	if (e->schema == NULL)
		return true;
	return rel->kind == REL_TABLE && rel->name == rel->alias && rel_info(c, rel)->schema != NULL &&
	    strcmp(rel_info(c, rel)->schema, e->schema) == 0;
}

/* rel.col; FOUND_MAYBE: the table is here, the column is not known. */
static enum found
look_qualified(struct compile *c, const struct sql_from *f, const struct sql_expr *e, struct col *col)
{
	enum found l;

	if (f->rel != NULL) {
		if (!names_rel(c, f->rel, e))
			return FOUND_NO;
		*col = (struct col){f->rel, e->col};
		return has_column(c, f->rel, e->col) == FOUND_NO ? FOUND_MAYBE : FOUND_YES;
	}
	if (f->alias != NULL && e->schema == NULL && strcmp(f->alias, e->rel) == 0)
		return look_in_join(c, f, e->col, col) == FOUND_YES ? FOUND_YES : FOUND_MAYBE;
	l = look_qualified(c, f->left, e, col);
	return l != FOUND_NO ? l : look_qualified(c, f->right, e, col);
}

static enum found
look_up_qualified(struct compile *c, const struct scope *s, const struct sql_expr *e, struct col *col)
{
	for (int i = 0; i < s->n + (s->tree != NULL); i++) {
		enum found f = look_qualified(c, i < s->n ? s->items[i] : s->tree, e, col);

		if (f != FOUND_NO)
			return f;
	}
	return FOUND_NO;
}

/* What stands to the left of a LATERAL table: items before its own, and left sides of the joins around it. */
static void
lateral_scopes(const struct sql_query *q, const struct sql_from *leaf, struct scope *v, int *n, int most)
{
	for (const struct sql_from *f = leaf; f->parent != NULL; f = f->parent)
		if (f == f->parent->right && *n < most)
			v[(*n)++] = (struct scope){NULL, 0, f->parent->left};
	if (*n < most)
		v[(*n)++] = (struct scope){q->from, leaf->item, NULL};
}

#define SCOPES_MAX 64

/* The scopes that an expression of level q sees, from the inside out. False: too many, or a name may come from elsewhere. */
static int
scopes_of(const struct sql_query *q, const struct sql_from *on, struct scope *v)
{
	int n = 0;

	v[n++] = on != NULL ? (struct scope){NULL, 0, on} : (struct scope){q->from, q->n_from, NULL};
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
only_table(const struct sql_query *q, const struct scope *v, int n, const char *name, struct col *col)
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
resolve_col(struct compile *c, const struct sql_query *q, const struct sql_from *on, const struct sql_expr *e, struct col *col)
{
	struct scope v[SCOPES_MAX];
	int n;

	if (e->kind != EXPR_COL)
		return false;
	n = scopes_of(q, on, v);
	for (int i = 0; i < n; i++) {
		enum found f = e->rel != NULL ? look_up_qualified(c, &v[i], e, col) : look_up(c, &v[i], e->col, col);

		if (f == FOUND_YES)
			return true;
		if (f == FOUND_MAYBE)
			return e->rel == NULL && only_table(q, v, n, e->col, col);
	}
	return false;
}

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

static const char *
visible_at(struct compile *c, const struct sql_rel *rel, int pos)
{
	const char *const *names;
	int n = alias_names(rel, &names);

	if (renamed_twice(rel))
		return NULL;
	return pos < n ? names[pos] : own_name_at(c, rel, pos);
}

/* Where a star's columns come from, in order: the tables of the FROM list, unless a join merges columns. */
struct star_walk {
	int pos; /* counts down to the column wanted */
	struct col col;
	bool found, lost;
};

static void
walk_star(struct compile *c, const struct sql_from *f, const struct sql_expr *e, struct star_walk *w)
{
	int width;

	if (w->found || w->lost)
		return;
	if (f->rel == NULL) {
		/* a.* is not touched by USING */
		w->lost = (e->rel == NULL && (f->n_using > 0 || f->natural)) || f->renamed ||
		    (e->rel != NULL && f->alias != NULL);
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
star_at(struct compile *c, const struct sql_query *q, const struct sql_expr *e, struct star_walk *w)
{
	for (int i = 0; i < q->n_from; i++)
		walk_star(c, q->from[i], e, w);
	/* RETURNING * of an INSERT */
	if (q->n_from == 0)
		w->lost = true;
}

bool
output_by_pos(struct compile *c, const struct sql_query *q, int pos, const struct sql_expr **e, struct col *col)
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

const char *
output_name_at(struct compile *c, const struct sql_query *q, int pos)
{
	const struct sql_expr *e;
	struct col col;

	q = leftmost(q);
	if (q->kind == Q_VALUES)
		return pos < q->values.width ? arena_printf(&c->scratch, "column%d", pos + 1) : NULL;
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
				if (l->targets[k].expr.kind == EXPR_STAR && !output_by_pos(c, l, i, &e, &col)) {
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
output_by_name(struct compile *c, const struct sql_query *q, const char *name, const struct sql_expr **e, struct col *col)
{
	struct scope s = {q->from, q->n_from, NULL};
	int pos;

	*e = NULL;
	*col = (struct col){NULL, NULL};
	if (--c->budget < 0)
		return false;
	if (q->kind == Q_VALUES || q->kind == Q_SETOP) {
		pos = output_position(c, q, name);
		return pos >= 0 && (q->kind == Q_SETOP || output_by_pos(c, q, pos, e, col));
	}
	for (int i = 0; i < q->n_targets; i++) {
		const struct sql_target *t = &q->targets[i];
		struct sql_expr x = t->expr;

		if (t->expr.kind != EXPR_STAR && t->name != NULL && strcmp(t->name, name) == 0) {
			*e = &t->expr;
			return true;
		}
		if (t->expr.kind != EXPR_STAR)
			continue;
		x.kind = EXPR_COL;
		x.col = name;
		if ((t->expr.rel != NULL ? look_up_qualified(c, &s, &x, col) : look_up(c, &s, name, col)) == FOUND_YES &&
		    has_column(c, col->rel, name) == FOUND_YES)
			return true;
	}
	*col = (struct col){NULL, NULL};
	return false;
}

/* ---- types ---- */

enum family
key_family(enum key_type t)
{
	static const enum family families[KEY_TYPE_COUNT] = {[KEY_INT2] = FAMILY_INT, [KEY_INT4] = FAMILY_INT,
	    [KEY_INT8] = FAMILY_INT, [KEY_TEXT] = FAMILY_TEXT, [KEY_VARCHAR] = FAMILY_TEXT, [KEY_UUID] = FAMILY_UUID,
	    [KEY_DATE] = FAMILY_DATE, [KEY_TIMESTAMP] = FAMILY_TIMESTAMP, [KEY_TIMESTAMPTZ] = FAMILY_TIMESTAMPTZ,
	    [KEY_NUMERIC] = FAMILY_NUMERIC};

	return (unsigned)t < KEY_TYPE_COUNT ? families[t] : FAMILY_NONE;
}

enum family
type_family(const char *type)
{
	return type == NULL || *type == '\0' ? FAMILY_NONE : key_family(key_type_find(slice_of(type)));
}

static enum family
value_family(struct compile *c, const struct sql_value *v)
{
	if (v->cast != NULL)
		return type_family(v->cast);
	if (v->kind != VALUE_CONST || c->ctx->consts == NULL || v->index >= c->ctx->consts->n)
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
		return i >= 0 && r->st->columns[i].deterministic ? type_family(r->st->columns[i].type) : FAMILY_NONE;
	}
	if (r->mt != NULL && r->mt->distribution >= 0)
		for (i = 0; i < r->mt->n_key; i++)
			if (strcmp(r->mt->key[i], real) == 0)
				return key_family(c->map->distributions[r->mt->distribution].types[i]);
	return FAMILY_NONE;
}

static enum family
expr_family(struct compile *c, const struct sql_query *q, const struct sql_expr *e, struct col col)
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
		enum family f = e->kind == EXPR_VALUE ? value_family(c, &e->value) : FAMILY_NONE;

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
	return output_by_pos(c, q, pos, &e, &col) ? expr_family(c, q, e, col) : FAMILY_NONE;
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
		return col.rel->kind == REL_TABLE ? table_family(c, col.rel, col.name) : FAMILY_NONE;
	if (col.rel->kind == REL_CTE && col.rel->cte->recursive)
		return FAMILY_NONE;
	real = real_name(c, col.rel, col.name);
	if (real == NULL)
		return FAMILY_NONE;
	if (q->kind == Q_SETOP || q->kind == Q_VALUES || columns_of(c, col.rel) != NULL)
		return output_family(c, q, own_position(c, col.rel, real));
	return output_by_name(c, q, real, &e, &inner) ? expr_family(c, q, e, inner) : FAMILY_NONE;
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
	return i < 0 || type_family(st->columns[i].type) != key_family(type) || !st->columns[i].deterministic;
}

bool
inner_of(struct compile *c, struct col col, const struct sql_query *level, const struct sql_expr **e, struct col *inner)
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
