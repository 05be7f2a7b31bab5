/* What names mean: tables by search_path, schema and map; columns by the rules of SQL's
 * scopes. Where a name cannot be told for certain, the answer is "not known", which
 * proves nothing. */
#include <ctype.h>
#include <stdlib.h>

#include "router/plan/plan_int.h"
#include "router/sql/tree.h"

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
	const char *p =
	    c->ctx->search_path == NULL ? "\"$user\", public" : c->ctx->search_path;
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
	return strcmp(s, "pg_catalog") == 0 || strcmp(s, "information_schema") == 0 ||
	    strncmp(s, "pg_toast", 8) == 0;
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

/* The map's row for a table of the catalog: its own, or that of the table that it is a
 * partition, index or sequence of. */
static const struct map_table *
map_table_of(struct compile *c, const struct schema_table *st, const char *schema,
    const char *name)
{
	const struct map_table *mt = shard_map_table(c->map, schema, name);

	for (int depth = 0; mt == NULL && st != NULL && st->parent != NULL && depth < 32;
	     depth++) {
		mt = shard_map_table(c->map, st->parent_schema, st->parent);
		st = schema_table(c->schema, st->parent_schema, st->parent);
	}
	return mt;
}

static bool
try_schema(struct compile *c, const char *schema, const char *name, bool known,
    struct rel_info *r)
{
	const struct schema_table *st =
	    c->schema == NULL ? NULL : schema_table(c->schema, schema, name);

	if (known ? st == NULL : shard_map_table(c->map, schema, name) == NULL)
		return false;
	r->schema = schema;
	r->name = name;
	r->st = st;
	r->mt = map_table_of(c, st, schema, name);
	return true;
}

/* First what the catalog knows, then what only the map does (a table that was just made).
 */
static bool
search(struct compile *c, const struct schema_table *in_view, const char *name,
    struct rel_info *r)
{
	for (int known = c->schema != NULL; known >= 0; known--) {
		if (in_view != NULL &&
		    (try_schema(c, in_view->schema, name, known, r) ||
			try_schema(c, "public", name, known, r)))
			return true;
		for (int i = 0; in_view == NULL && i < c->n_path; i++)
			if (try_schema(c, c->path[i], name, known, r))
				return true;
	}
	return false;
}

/* Temporary tables come first, but where the path itself says when. */
static bool
shadows(struct compile *c, const char *name, struct rel_info *r)
{
	bool listed = false;

	if (!is_temp(c, name))
		return false;
	for (int i = 0; i < c->n_path; i++)
		listed = listed || strcmp(c->path[i], "pg_temp") == 0;
	for (int i = 0; listed && strcmp(c->path[i], "pg_temp") != 0; i++)
		if (try_schema(c, c->path[i], name, c->schema != NULL, r))
			return false;
	return true;
}

static void
resolve_table(struct compile *c, const struct sql_rel *rel, struct rel_info *r)
{
	r->name = rel->name;
	r->kind = TABLE_LOCAL;
	if (rel->schema != NULL &&
	    (strcmp(rel->schema, "pg_temp") == 0 ||
		strncmp(rel->schema, "pg_temp_", 8) == 0)) {
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
		if (r->in_view == NULL && shadows(c, rel->name, r)) {
			r->kind = TABLE_TEMP;
			return;
		}
		if (!search(c, r->in_view, rel->name, r) &&
		    strncmp(rel->name, "pg_", 3) == 0) {
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

/* With the parse tree, where the caller wants it. */
static struct sql_stmts *
analyze_view(struct compile *c, struct slice sql)
{
	PgQuery__ParseResult *tree;
	struct err ignored;

	if (c->trees == NULL || tree_parse(c->trees, sql, &tree, &ignored) != RC_OK)
		return sql_analyze(sql, NULL, 0);
	return tree_analyze(tree, sql, NULL, 0);
}

/* A view stands for its own copy of its query at each place, so that its tables are not
 * mixed up with those of another. */
static void
open_view(struct compile *c, const struct sql_rel *rel, struct rel_info *r)
{
	struct sql_stmts *s;
	struct sql_from *leaf;

	if (r->st->view_sql == NULL || c->n_views == VIEWS_MAX)
		return;
	s = analyze_view(c, slice_of(r->st->view_sql));
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
		return rel_info(c, rel)->kind == TABLE_VIEW ? rel_info(c, rel)->view
							    : NULL;
	default:
		return NULL;
	}
}

bool
creates_temp(const struct compile *c, const struct sql_rel *rel)
{
	return rel->schema == NULL && c->n_path > 0 && strcmp(c->path[0], "pg_temp") == 0;
}

/* The schema in which an unqualified CREATE makes its table: the first of search_path
 * that exists. */
const char *
creation_schema(struct compile *c, const char *name)
{
	for (int i = 0; i < c->n_path; i++)
		if (c->schema != NULL ? schema_has_namespace(c->schema, c->path[i])
				      : shard_map_table(c->map, c->path[i], name) != NULL)
			return c->path[i];
	return c->n_path > 0 && c->schema != NULL ? c->path[0] : "public";
}
