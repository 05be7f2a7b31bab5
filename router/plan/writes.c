/* What data-modifying statements do to their targets: the keys of the rows that they store, and what they may not assign. */
#include "router/plan/plan_int.h"

/* ---- rows that are stored ---- */

/* Where a key column stands among the columns that are given. -1: it is not given; -2:
 * not known. */
static int
position_of_key(const struct rel_info *r, const char *const *columns, int n, int width,
    const char *key)
{
	int i;

	for (i = 0; i < n; i++)
		if (strcmp(columns[i], key) == 0)
			return i;
	if (columns != NULL)
		return -1;
	if (r->st == NULL || r->st->n_columns == 0)
		return -2;
	i = schema_column(r->st, key);
	return i < width ? i : -1;
}

static int
typmod_of_key(struct compile *c, const struct rel_info *r, int key)
{
	enum key_type t = c->map->distributions[r->mt->distribution].types[key];
	int i = r->st == NULL ? -1 : schema_column(r->st, r->mt->key[key]);

	if (i >= 0)
		return r->st->columns[i].typmod;
	if (t == KEY_VARCHAR || t == KEY_NUMERIC || t == KEY_TIMESTAMP ||
	    t == KEY_TIMESTAMPTZ) {
		fail(c, "0A000", "the column of key \"%s\" of table \"%s\" is not known",
		    r->mt->key[key], r->name);
		fail_hint(c, "Weir has not read the schema: a shard must be reachable.");
	}
	return -1;
}

static struct pin *
stored_pin(struct compile *c, const struct rel_info *r)
{
	struct pin *p = ARENA_NEW(c->arena, struct pin);

	p->kind = PIN_KEYS;
	p->distribution = r->mt->distribution;
	p->stored = true;
	p->table = r->mt->name;
	p->key = r->mt->key[0];
	for (int k = 0; k < r->mt->n_key; k++)
		p->typmod[k] = typmod_of_key(c, r, k);
	return p;
}

static void
fail_key(struct compile *c, const struct rel_info *r, int key, const char *what)
{
	fail(c, "0A000", "%s column \"%s\", the key of table \"%s\"", what,
	    r->mt->key[key], r->name);
	fail_hint(c,
	    "The row's shard must follow from a constant or parameter for "
	    "%s. " HINT_SHARD,
	    r->mt->key[key]);
}

/* All positions, or a refusal. */
static bool
key_positions(struct compile *c, const struct rel_info *r, const char *const *columns,
    int n, int width, int *pos)
{
	for (int k = 0; k < r->mt->n_key; k++) {
		pos[k] = position_of_key(r, columns, n, width, r->mt->key[k]);
		if (pos[k] == -2) {
			fail(c, "0A000",
			    "INSERT without a list of columns into table \"%s\", whose "
			    "columns are not known",
			    r->name);
			fail_hint(c, "Name the columns: INSERT INTO %s (%s, …).", r->name,
			    r->mt->key[k]);
			return false;
		}
		if (pos[k] < 0) {
			fail_key(c, r, k, "INSERT gives no value to");
			return false;
		}
	}
	return true;
}

/* Several key columns: one pin a row. */
static void
rows_pin(struct compile *c, const struct rel_info *r, const struct sql_rows *rows,
    const int *pos)
{
	struct pin *all = stored_pin(c, r), *p;

	all->kind = PIN_OR;
	all->args = ARENA_NEW_N(c->arena, struct pin *, (size_t)rows->n_rows + 1);
	for (int i = 0; i < rows->n_rows; i++) {
		p = stored_pin(c, r);
		for (int k = 0; k < r->mt->n_key; k++)
			if (!compile_values(c, &rows->cells[i * rows->width + pos[k]], 1,
				&p->sets[k])) {
				fail_key(c, r, k, "INSERT gives no plain value to");
				return;
			}
		all->args[all->n++] = p;
	}
	add_pin(c, all);
}

static void
insert_rows(struct compile *c, const struct rel_info *r, const struct sql_rows *rows)
{
	struct sql_expr *cells;
	struct pin *p;
	int pos[MAP_KEY_COLUMNS_MAX];

	if (rows->n_rows == 0 ||
	    !key_positions(c, r, rows->columns, rows->n_columns, rows->width, pos))
		return;
	/* more columns than values: the server says so, and must not be guessed for */
	for (int k = 0; k < r->mt->n_key; k++)
		if (pos[k] >= rows->width) {
			fail_key(c, r, k, "INSERT gives no value to");
			return;
		}
	if (r->mt->n_key > 1) {
		rows_pin(c, r, rows, pos);
		return;
	}
	p = stored_pin(c, r);
	cells = ARENA_NEW_N(&c->scratch, struct sql_expr, (size_t)rows->n_rows);
	for (int i = 0; i < rows->n_rows; i++)
		cells[i] = rows->cells[i * rows->width + pos[0]];
	if (compile_values(c, cells, rows->n_rows, &p->sets[0]))
		add_pin(c, p);
	else
		fail_key(c, r, 0, "INSERT gives no plain value to");
}

/* Its output is a constant or parameter in each branch, so that it takes the type of the
 * column it is stored in. */
static bool
is_direct(struct compile *c, const struct sql_query *q, int pos)
{
	const struct sql_expr *e;
	struct col col;

	if (q->kind == Q_SETOP)
		return is_direct(c, q->left, pos) && is_direct(c, q->right, pos);
	if (q->kind == Q_VALUES)
		return pos < q->values.width;
	return output_by_pos(c, q, pos, &e, &col) && e != NULL && e->kind == EXPR_VALUE;
}

static void
insert_select(struct compile *c, const struct rel_info *r, const struct sql_query *q)
{
	const struct distribution *d = &c->map->distributions[r->mt->distribution];
	struct pin *p = stored_pin(c, r);
	int pos[MAP_KEY_COLUMNS_MAX];

	if (!key_positions(c, r, q->columns, q->n_columns, 1 << 20, pos))
		return;
	for (int k = 0; k < r->mt->n_key; k++) {
		const struct value_set *v = NULL;

		if (is_direct(c, q->source, pos[k]) ||
		    output_family(c, q->source, pos[k]) == key_family(d->types[k]))
			v = output_values(c, q->source, pos[k]);
		if (v != NULL && !output_never_null(c, q->source, pos[k]))
			v = NULL;
		if (v == NULL) {
			fail_key(
			    c, r, k, "INSERT … SELECT gives rows of several shards to");
			return;
		}
		p->sets[k] = *v;
	}
	add_pin(c, p);
}

/* The key is assigned its own value, which may be written in three ways. */
static bool
keeps_key(struct compile *c, const struct sql_query *q, const struct rel_info *r,
    const struct sql_expr *e, const char *key)
{
	struct col col;
	const char *real;

	if (e->kind != EXPR_COL || e->cast != NULL || strcmp(e->col, key) != 0)
		return false;
	if (q->kind == Q_INSERT) {
		if (e->rel != NULL && strcmp(e->rel, "excluded") == 0)
			return r->mt->n_key == 1 || q->n_conflict_cols >= 0;
		return e->rel == NULL || strcmp(e->rel, q->target->alias) == 0;
	}
	if (!resolve_col(c, q, NULL, e, &col) || col.rel != q->target)
		return false;
	real = real_name(c, col.rel, col.name);
	return real != NULL && strcmp(real, key) == 0;
}

static void
check_sets(struct compile *c, const struct sql_query *q, const struct rel_info *r)
{
	for (int i = 0; i < q->n_sets; i++)
		for (int k = 0; k < r->mt->n_key; k++) {
			const struct sql_assign *s = &q->sets[i];
			struct pin *p;

			if (strcmp(s->col, r->mt->key[k]) != 0 ||
			    keeps_key(c, q, r, &s->expr, r->mt->key[k]))
				continue;
			/* to a value that turns out to be on the same shard; else the
			 * statement needs two */
			p = stored_pin(c, r);
			p->moves = true;
			if (r->mt->n_key == 1 &&
			    compile_values(c, &s->expr, 1, &p->sets[0])) {
				add_pin(c, p);
				continue;
			}
			fail(c, "0A000",
			    "UPDATE of column \"%s\", the key of table \"%s\"",
			    r->mt->key[k], r->name);
			fail_hint(c,
			    "A row cannot move to another shard yet: DELETE and "
			    "INSERT it.");
		}
}

static void
check_conflict(struct compile *c, const struct sql_query *q, const struct rel_info *r)
{
	if (q->conflict == CONFLICT_NONE || q->n_conflict_cols < 0)
		return;
	for (int k = 0; k < r->mt->n_key; k++) {
		bool found = false;

		for (int i = 0; i < q->n_conflict_cols; i++)
			found |= strcmp(q->conflict_cols[i], r->mt->key[k]) == 0;
		if (found)
			continue;
		fail(c, "0A000",
		    "ON CONFLICT without column \"%s\", the key of table \"%s\"",
		    r->mt->key[k], r->name);
		fail_hint(c,
		    "Rows are unique over all shards only by columns that hold the key.");
	}
}

static void
merge_insert(struct compile *c, const struct sql_query *q, const struct rel_info *r,
    const struct sql_rows *rows)
{
	const struct distribution *d = &c->map->distributions[r->mt->distribution];
	struct pin *p = stored_pin(c, r);
	int pos[MAP_KEY_COLUMNS_MAX];

	if (!key_positions(c, r, rows->columns, rows->n_columns, rows->width, pos))
		return;
	for (int k = 0; k < r->mt->n_key; k++) {
		const struct sql_expr *e =
		    pos[k] < rows->width ? &rows->cells[pos[k]] : NULL;
		const struct value_set *v = NULL;
		struct col col;

		if (e != NULL && e->kind == EXPR_VALUE &&
		    compile_values(c, e, 1, &p->sets[k]))
			continue;
		if (e != NULL && e->kind == EXPR_COL && e->cast == NULL &&
		    resolve_col(c, q, NULL, e, &col) &&
		    col_family(c, col) == key_family(d->types[k]))
			v = column_values(c, q, e, false);
		if (v != NULL && !column_never_null(c, q, e, false))
			v = NULL;
		if (v == NULL) {
			fail_key(c, r, k, "MERGE inserts rows of several shards by");
			return;
		}
		p->sets[k] = *v;
	}
	add_pin(c, p);
}

/* What a data-modifying level does to its target, beside reading it. */
void
add_write(struct compile *c, const struct sql_query *q)
{
	const struct rel_info r = *rel_info(c, q->target);

	c->primary = true;
	if (r.kind != TABLE_SHARDED || c->plain || c->failed || !good_key(c, &r))
		return;
	if (q->kind == Q_INSERT) {
		if (q->default_values)
			fail_key(c, &r, 0, "INSERT gives no value to");
		else if (q->source != NULL)
			insert_select(c, &r, q);
		else
			insert_rows(c, &r, &q->values);
		check_conflict(c, q, &r);
	}
	for (int i = 0; i < q->n_merge_rows; i++)
		merge_insert(c, q, &r, &q->merge_rows[i]);
	check_sets(c, q, &r);
}
