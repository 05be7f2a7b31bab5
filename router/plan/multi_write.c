/* INSERT, UPDATE and DELETE over several shards. UPDATE and DELETE run as they are on every
 * shard that may have rows of the target, where all else that they read is there with
 * them (spread.c). The rows of an INSERT are parted by their keys. INSERT … SELECT runs as
 * it is where each shard's rows stay there. What is written to a reference table must come
 * out the same on every shard. */
#include "router/plan/multi_int.h"

static const char one_shard[] =
    "Give each sharded table a condition on its key, or name the shard with SET "
    "weir.shard.";

static struct multi_fragment *
write_fragment(struct build *b)
{
	struct multi_fragment *f = add_fragment(b);

	b->out->kind = MULTI_WRITE;
	f->source = sources_of(b, b->root);
	if (*f->source == '\0')
		f->source =
		    arena_strdup(b->arena, rel_info(&b->c, b->root->target)->name);
	return f;
}

/* ---- UPDATE, DELETE ---- */

/* NULL: none */
static const char *
assigned_key(struct build *b)
{
	const struct map_table *mt = rel_info(&b->c, b->root->target)->mt;

	for (int i = 0; i < b->root->n_sets; i++)
		for (int k = 0; k < mt->n_key; k++)
			if (strcmp(b->root->sets[i].col, mt->key[k]) == 0)
				return mt->key[k];
	return NULL;
}

static enum rc
write_where_it_is(struct build *b)
{
	const char *key = assigned_key(b);
	struct spread s;
	bool found;
	enum rc rc = spread_find(b, b->root, &s, &found);
	struct multi_fragment *f;

	if (rc != RC_OK)
		return rc;
	if (!found && key != NULL)
		return refuse(b,
		    "A row cannot move to another shard yet: DELETE and INSERT it.",
		    "UPDATE of column \"%s\", the key of table \"%s\"", key,
		    rel_info(&b->c, b->root->target)->name);
	if (!found)
		return refuse(b,
		    "Its other tables must be joined by the key of the table that is "
		    "written, and its values be the same on every shard (no now(), no "
		    "random()).",
		    "this statement writes on several shards, and cannot be run by each "
		    "for itself");
	f = write_fragment(b);
	set_shards(b, f, &s, true);
	f->query.sql = own_text(b);
	return RC_OK;
}

/* ---- INSERT … VALUES ---- */

struct rows {
	struct build *b;
	const struct pin *pin;
	int *shard; /* of each row */
	int n;
};

/* The pin of one row out of that of all. */
static struct pin
pin_of_row(const struct rows *r, int row)
{
	struct pin one;

	if (r->pin->kind == PIN_OR)
		return *r->pin->args[row];
	one = *r->pin;
	one.sets[0] = (struct value_set){&r->pin->sets[0].v[row], 1};
	return one;
}

static enum rc
part_rows(struct rows *r)
{
	r->shard = ARENA_NEW_N(r->b->arena, int, (size_t)r->n + 1);
	for (int i = 0; i < r->n; i++) {
		struct shard_set set = {{0}};
		struct pin one = pin_of_row(r, i);
		enum rc rc = shards_of_pin(r->b, &one, set.bits);

		if (rc != RC_OK)
			return rc;
		r->shard[i] = shard_set_first(&set);
		if (shard_set_count(&set) != 1)
			return refuse(r->b, "Give the key as a plain value.",
			    "the shard of row %d is not known", i + 1);
	}
	return RC_OK;
}

/* The statement with the rows of one shard. */
static enum rc
insert_on(struct rows *r, int shard)
{
	struct build *b = r->b;
	PgQuery__InsertStmt *s = b->stmt->insert_stmt;
	PgQuery__SelectStmt *values = s->select_stmt->select_stmt;
	PgQuery__Node **all = values->values_lists, **v, *copy;
	struct multi_fragment *f = write_fragment(b);
	size_t n_all = values->n_values_lists, n = 0;

	v = ARENA_NEW_N(b->arena, PgQuery__Node *, n_all + 1);
	for (size_t i = 0; i < n_all; i++)
		if (r->shard[i] == shard)
			v[n++] = all[i];
	values->values_lists = v;
	values->n_values_lists = n;
	copy = tree_copy(b->arena, b->stmt);
	values->values_lists = all;
	values->n_values_lists = n_all;
	f->shards[shard / 64] = UINT64_C(1) << (shard % 64);
	return text_of(b, copy, &f->query);
}

static enum rc
insert_parted(struct rows *r)
{
	struct build *b = r->b;
	uint16_t *turns = ARENA_NEW_N(b->arena, uint16_t, (size_t)r->n + 1);
	uint16_t input[MAP_SHARDS_MAX];

	for (int shard = 0; shard < b->ctx->map->n_shards; shard++) {
		bool any = false;

		input[shard] = (uint16_t)b->out->n_fragments;
		for (int i = 0; i < r->n; i++)
			any |= r->shard[i] == shard;
		if (any && insert_on(r, shard) != RC_OK)
			return RC_ERR;
	}
	for (int i = 0; i < r->n; i++)
		turns[i] = input[r->shard[i]];
	if (b->root->conflict == CONFLICT_NONE && b->root->n_targets > 0) {
		b->out->merge.turns = turns;
		b->out->merge.n_turns = r->n;
	}
	return RC_OK;
}

static enum rc
insert_rows(struct build *b)
{
	PgQuery__InsertStmt *s = b->stmt->insert_stmt;
	struct rows r = {.b = b, .n = b->root->values.n_rows};
	enum rc rc;

	visit_query(&b->c, b->root);
	if (b->c.failed) {
		*b->err = b->p.err;
		return RC_ERR;
	}
	/* the rows, and nothing else that is on one shard */
	if (b->p.n_pins != 1 || !b->p.pins[0]->stored || b->p.fixed != SHARD_NONE ||
	    s->select_stmt == NULL || r.n == 0)
		return refuse(b, one_shard, "INSERT on several shards that reads tables");
	r.pin = b->p.pins[0];
	rc = part_rows(&r);
	return rc == RC_OK ? insert_parted(&r) : rc;
}

/* ---- INSERT … SELECT ---- */

/* What is stored in key column k is the key of the row that it comes from. */
static bool
stays(struct build *b, const struct spread *s, const struct rel_info *r, int k)
{
	const struct sql_query *q = b->root;
	const struct distribution *d = &b->ctx->map->distributions[r->mt->distribution];
	int column = r->st == NULL ? -1 : schema_column(r->st, r->mt->key[k]), pos = -1;

	if (column < 0 || r->st->columns[column].typmod >= 0)
		return false;
	if (q->columns == NULL)
		pos = column;
	for (int i = 0; i < q->n_columns; i++)
		if (strcmp(q->columns[i], r->mt->key[k]) == 0)
			pos = i;
	return pos >= 0 &&
	    output_family(&b->c, q->source, pos) == key_family(d->types[k]) &&
	    spread_output_is_key(b, q->source, s, pos, k);
}

static enum rc
insert_select(struct build *b)
{
	const struct rel_info r = *rel_info(&b->c, b->root->target);
	const struct sql_query *source = b->root->source;
	struct multi_fragment *f;
	struct spread s;
	bool good;
	enum rc rc = spread_find(b, source, &s, &good);

	if (rc != RC_OK)
		return rc;
	good = good && source->kind == Q_SELECT && !source->limit &&
	    spread_keeps(b, source, &s) && spread_distinct(b, source, &s) &&
	    rel_info(&b->c, s.anchors[0])->mt->distribution == r.mt->distribution &&
	    good_key(&b->c, &r) && is_same_everywhere(b, b->stmt, NULL, true);
	for (int k = 0; good && k < r.mt->n_key; k++)
		good = stays(b, &s, &r, k);
	/* conflicts and what RETURNING reads besides */
	good = good && b->root->n_subs == 0 &&
	    (b->root->conflict == CONFLICT_NONE || b->root->n_conflict_cols < 0);
	if (!good)
		return refuse(b,
		    "Select the rows in the application, or select the key of a table of "
		    "the same distribution for the key.",
		    "INSERT … SELECT of rows that do not stay on their shard");
	f = write_fragment(b);
	set_shards(b, f, &s, true);
	f->query.sql = own_text(b);
	return RC_OK;
}

/* ---- reference tables ---- */

struct reference {
	struct build *b;
	bool bad;
};

static void
only_reference(void *arg, const struct sql_rel *rel)
{
	struct reference *k = arg;

	k->bad |=
	    rel->kind == REL_TABLE && rel_info(&k->b->c, rel)->kind != TABLE_REFERENCE;
}

/* What depends on the order of rows may come out otherwise on another shard. */
static void
only_decided(void *arg, const struct sql_query *q)
{
	struct reference *k = arg;

	k->bad |= q->limit || q->distinct_on || q->window || q->locks;
	k->bad |= q != k->b->root && q->kind >= Q_INSERT;
	for (int i = 0; i < q->n_calls; i++)
		k->bad |= is_aggregate_name(q->calls[i].name) &&
		    !is_decided_aggregate(q->calls[i].name);
}

/* A column that is left out has its default, which may be another on each shard. */
static const char *
left_to_default(struct build *b, const struct rel_info *r)
{
	const struct sql_query *q = b->root;

	if (q->kind != Q_INSERT)
		return NULL;
	if (r->st == NULL)
		return "?";
	for (int i = 0; i < r->st->n_columns; i++) {
		bool given = q->columns == NULL && !q->default_values;

		for (int k = 0; k < q->n_columns; k++)
			given |= strcmp(q->columns[k], r->st->columns[i].name) == 0;
		/* fewer values than columns */
		if (q->columns == NULL && q->source == NULL && i >= q->values.width)
			given = false;
		if (q->columns == NULL && q->source != NULL &&
		    i >= output_count(&b->c, q->source))
			given = false;
		if (!given && r->st->columns[i].has_default)
			return r->st->columns[i].name;
	}
	return NULL;
}

static enum rc
write_everywhere(struct build *b, const struct rel_info *r)
{
	struct reference k = {.b = b};
	const char *column = left_to_default(b, r);
	struct multi_fragment *f;

	each_rel(b, b->root, only_reference, &k);
	each_level(b, b->root, only_decided, &k);
	if (k.bad || !is_same_everywhere(b, b->stmt, NULL, true))
		return refuse(b,
		    "Compute the values in the application, or run the statement once on "
		    "each shard: SET weir.shard names one.",
		    "what is written to reference table \"%s\" may differ between shards",
		    r->name);
	if (column != NULL)
		return refuse(b, "Give it a value.",
		    "column \"%s\" of reference table \"%s\" is left to its default",
		    column, r->name);
	f = write_fragment(b);
	f->query.sql = own_text(b);
	for (int w = 0; w < (b->ctx->map->n_shards + 63) / 64; w++)
		f->shards[w] = r->mt->shards[w];
	b->out->same_count = true;
	return RC_OK;
}

/* ---- all ---- */

static void
find_inner_write(void *arg, const struct sql_query *q)
{
	struct reference *k = arg;

	k->bad |= q != k->b->root && q->kind >= Q_INSERT;
}

enum rc
plan_write(struct build *b)
{
	const struct sql_query *q = b->root;
	struct rel_info r;
	struct reference k = {.b = b};

	if (q->target == NULL ||
	    (q->kind != Q_INSERT && q->kind != Q_UPDATE && q->kind != Q_DELETE))
		return refuse(b, one_shard, "MERGE over several shards");
	each_level(b, q, find_inner_write, &k);
	if (k.bad || b->st->locks_rows)
		return refuse(b, one_shard,
		    "a statement over several shards that writes several tables or "
		    "locks rows");
	r = *rel_info(&b->c, q->target);
	if (r.kind == TABLE_REFERENCE)
		return write_everywhere(b, &r);
	if (r.kind != TABLE_SHARDED)
		return refuse(b, one_shard,
		    "writing table \"%s\" with rows of several shards", r.name);
	if (q->kind != Q_INSERT)
		return write_where_it_is(b);
	return q->source != NULL ? insert_select(b) : insert_rows(b);
}
