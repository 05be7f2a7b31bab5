/* Where statements run that are not queries: DDL where its tables are, the rest as its
 * kind says. */
#include <stdio.h>
#include <stdlib.h>

#include "router/plan/plan_int.h"

#define HINT_EACH "Run it on each shard: SET weir.shard names one."

/* ---- the shards of a statement's tables ---- */

struct where {
	struct shard_set set;
	bool any;          /* set holds something */
	const char *first; /* a table of it, for the message */
	bool temp;
};

static void
set_all(struct compile *c, struct shard_set *s)
{
	for (int i = 0; i < c->map->n_shards; i++)
		s->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool
same_set(const struct shard_set *a, const struct shard_set *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static void
add_set(struct compile *c, struct where *w, const struct shard_set *s, const char *table)
{
	if (w->any && !same_set(&w->set, s)) {
		fail(c, "0A000", "tables \"%s\" and \"%s\" are not on the same shards",
		    w->first, table);
		fail_hint(c, "Split the statement, one for each set of shards.");
		return;
	}
	w->set = *s;
	w->any = true;
	w->first = table;
}

static void
add_default(struct compile *c, struct where *w, const char *table)
{
	struct shard_set s = {{0}};
	int d = c->map->default_shard;

	if (c->plain)
		d = 0;
	if (d < 0) {
		fail(c, "42P01",
		    "table \"%s\" is not in the shard map, and there is no default shard",
		    table);
		fail_hint(c,
		    "Add it to the map's tables, set default_shard, or name the "
		    "shard with SET weir.shard.");
		return;
	}
	s.bits[d / 64] |= UINT64_C(1) << (d % 64);
	add_set(c, w, &s, table);
}

static void
add_map_table(struct compile *c, struct where *w, const struct map_table *mt)
{
	struct shard_set s = {{0}};

	memcpy(
	    s.bits, mt->shards, (size_t)((c->map->n_shards + 63) / 64) * sizeof *s.bits);
	c->p->sharded = true;
	add_set(c, w, &s, mt->name);
}

static void add_level_tables(struct compile *, struct where *, const struct sql_query *);

static void
add_rel(struct compile *c, struct where *w, const struct sql_rel *rel, bool inside_query)
{
	const struct rel_info r = *rel_info(c, rel);

	switch (r.kind) {
	case TABLE_SHARDED:
	case TABLE_REFERENCE:
		add_map_table(c, w, r.mt);
		break;
	case TABLE_TEMP:
		w->temp = true;
		break;
	case TABLE_CATALOG:
		/* on every shard: says nothing in a query, has one place as an object */
		if (!inside_query)
			add_default(c, w, r.name);
		break;
	case TABLE_LOCAL:
		add_default(c, w, r.name);
		break;
	case TABLE_VIEW:
		/* a view is where its tables are */
		if (r.view != NULL)
			add_level_tables(c, w, r.view);
		if (!w->any && !inside_query)
			add_default(c, w, r.name);
		break;
	}
}

static void
add_from(struct compile *c, struct where *w, const struct sql_from *f)
{
	if (f->rel == NULL) {
		add_from(c, w, f->left);
		add_from(c, w, f->right);
	} else if (f->rel->kind == REL_TABLE) {
		add_rel(c, w, f->rel, true);
	} else if (f->rel->kind == REL_QUERY) {
		add_level_tables(c, w, f->rel->query);
	}
}

static void
add_level_tables(struct compile *c, struct where *w, const struct sql_query *q)
{
	if (q == NULL)
		return;
	for (int i = 0; i < q->n_from; i++)
		add_from(c, w, q->from[i]);
	for (int i = 0; i < q->n_ctes; i++)
		add_level_tables(c, w, q->ctes[i]->query);
	for (int i = 0; i < q->n_subs; i++)
		add_level_tables(c, w, q->subs[i]);
	add_level_tables(c, w, q->left);
	add_level_tables(c, w, q->right);
	add_level_tables(c, w, q->source);
}

/* ---- DDL ---- */

static void
created_rel(struct compile *c, struct where *w, const struct sql_query *q,
    const struct sql_rel *rel)
{
	const char *schema =
	    rel->schema != NULL ? rel->schema : creation_schema(c, rel->name);
	const struct map_table *mt = shard_map_table(c->map, schema, rel->name);

	/* CREATE OR REPLACE, IF NOT EXISTS: what is there already may belong to a sharded
	 * table */
	if (mt == NULL && c->schema != NULL &&
	    schema_table(c->schema, schema, rel->name) != NULL && q->n_from == 1 &&
	    !q->creates_view)
		mt = rel_info(c, rel)->mt;
	if (mt != NULL)
		add_map_table(c, w, mt);
	else if (q->creates_view)
		add_level_tables(c, w, q->source);
	else if (q->n_from > 1)
		return; /* PARTITION OF, INHERITS, OWNED BY: with that table */
	if (!w->any && !w->temp)
		add_default(c, w, rel->name);
}

static void
go(struct compile *c, const struct where *w)
{
	int n = shard_set_count(&w->set);

	c->temp = c->temp || w->temp;
	if (n == 0) {
		if (!w->temp)
			go_default(c, NULL);
		return;
	}
	memcpy(c->p->shards, w->set.bits, sizeof c->p->shards);
	if (n == 1)
		c->p->fixed = shard_set_first(&w->set);
	else
		c->p->kind = PROGRAM_ALL;
}

static void
ddl_tables(struct compile *c, const struct sql_stmt *st)
{
	const struct sql_query *q = st->query;
	struct where w = {.any = false};

	if (st->temp_object || (q->creates_rel && creates_temp(c, q->from[0]->rel))) {
		c->temp = true;
		return;
	}
	for (int i = 0; i < q->n_from; i++)
		if (i == 0 && q->creates_rel)
			created_rel(c, &w, q, q->from[i]->rel);
		else
			add_rel(c, &w, q->from[i]->rel, false);
	go(c, &w);
}

/* CREATE TABLE AS and CREATE MATERIALIZED VIEW run a query and keep its rows where it
 * ran. */
static void
create_as(struct compile *c, const struct sql_stmt *st)
{
	const struct sql_query *q = st->query;

	visit_query(c, q->source);
	if (q->n_from > 0)
		add_created(c, q->from[0]->rel, st->temp_object);
}

static void
ddl(struct compile *c, const struct sql_stmt *st)
{
	const struct sql_query *q = st->query;
	struct where w = {.any = false};

	switch (q->scope) {
	case UTILITY_TABLES:
		if (q->source != NULL && !q->creates_view)
			create_as(c, st);
		else
			ddl_tables(c, st);
		break;
	case UTILITY_EVERYWHERE:
		set_all(c, &w.set);
		go(c, &w);
		break;
	case UTILITY_DEFAULT:
		go_default(c, NULL);
		break;
	case UTILITY_SINGLE:
		fail(c, "0A000",
		    "this statement is about a whole server, and the database has "
		    "several shards");
		fail_hint(c,
		    "Connect to the servers themselves, or name one with SET "
		    "weir.shard.");
		break;
	}
}

/* ---- COPY, TRUNCATE, LOCK ---- */

static void
one_place(struct compile *c, const struct sql_stmt *st, bool writes, const char *what)
{
	const struct sql_query *q = st->query;

	for (int i = 0; i < q->n_from; i++) {
		const struct rel_info r = *rel_info(c, q->from[i]->rel);
		int only;

		if (r.kind == TABLE_LOCAL) {
			go_default(c, r.name);
		} else if (r.kind == TABLE_VIEW) {
			visit_query(c, r.view);
			if (r.view == NULL)
				fail(c, "0A000",
				    "the definition of view \"%s\" cannot be read",
				    r.name);
		}
		if (r.kind == TABLE_TEMP)
			c->temp = true;
		if (r.kind == TABLE_CATALOG)
			go_default(c, NULL);
		if (r.st != NULL && r.st->unlogged)
			c->primary = true;
		if (r.kind != TABLE_SHARDED && r.kind != TABLE_REFERENCE)
			continue;
		hold(c, r.mt);
		if (r.kind == TABLE_REFERENCE && !writes)
			continue;
		only = only_shard(r.mt);
		if (only == SHARD_NONE) {
			fail(c, "0A000",
			    "%s table \"%s\", which stands on several shards", what,
			    r.name);
			fail_hint(c, HINT_EACH);
		} else if (c->p->fixed != SHARD_NONE && c->p->fixed != only) {
			fail(c, "0A000", "%s tables of several shards", what);
			fail_hint(c, HINT_EACH);
		} else {
			c->p->fixed = only;
		}
	}
}

static void
copy_table(struct compile *c, const struct sql_stmt *st)
{
	bool from = st->kind == STMT_COPY_FROM;

	one_place(c, st, from, from ? "COPY FROM to" : "COPY TO from");
	visit_calls(c, st->query);
	c->p->read_only = !from && st->copy_stdio && !c->primary && !c->temp;
}

/* ---- statements around another ---- */

static void
inner(struct compile *c, const struct sql_stmt *st)
{
	const struct sql_stmt *in = st->inner;

	if (in == NULL)
		return;
	if (in->kind <= STMT_MERGE)
		compile_query(c, in);
	else
		compile_utility(c, in);
	/* COPY … TO a file or program does something on the server */
	if (st->kind == STMT_COPY_TO && !st->copy_stdio)
		c->p->read_only = false;
}

static void
call(struct compile *c, const struct sql_stmt *st)
{
	visit_calls(c, st->query);
	for (int i = 0; i < st->query->n_subs; i++)
		visit_query(c, st->query->subs[i]);
	if (!c->p->sharded && c->p->fixed == SHARD_NONE)
		go_default(c, NULL);
}

void
compile_utility(struct compile *c, const struct sql_stmt *st)
{
	switch (st->kind) {
	case STMT_COPY_FROM:
	case STMT_COPY_TO:
		if (st->inner != NULL)
			inner(c, st);
		else
			copy_table(c, st);
		break;
	case STMT_EXPLAIN:
	case STMT_DECLARE:
		inner(c, st);
		break;
	case STMT_TRUNCATE:
		one_place(c, st, true, "TRUNCATE of");
		break;
	case STMT_LOCK:
		one_place(c, st, true, "LOCK of");
		break;
	case STMT_CALL:
		call(c, st);
		break;
	case STMT_DO:
		fail(c, "0A000", "DO may read or write tables on any shard");
		fail_hint(c, HINT_EACH);
		break;
	case STMT_DDL:
	case STMT_MAINTENANCE:
	case STMT_CLUSTER_DDL:
		ddl(c, st);
		break;
	case STMT_LISTEN:
	case STMT_UNLISTEN:
	case STMT_NOTIFY:
		go_default(c, NULL);
		break;
	case STMT_PREPARE_XACT:
	case STMT_COMMIT_PREPARED:
	case STMT_ROLLBACK_PREPARED:
	case STMT_LOAD:
	case STMT_FETCH:
	case STMT_EXECUTE:
		break;
	default:
		/* settings, transactions and the like touch no table */
		c->p->read_only = true;
		break;
	}
}
