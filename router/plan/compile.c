/* A statement to its program: each table in it, wherever it occurs, adds what it demands;
 * each function too. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/plan/plan_int.h"

/* ---- refusals: the first counts ---- */

void
fail(struct compile *c, const char *sqlstate, const char *fmt, ...)
{
	char msg[sizeof c->err->msg];
	va_list ap;

	if (c->failed || c->plain)
		return;
	c->failed = true;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof msg, fmt, ap);
	va_end(ap);
	err_set(c->err, sqlstate, BLAST_STMT, "%s", msg);
}

/* Belongs to the fail() just before it: a hint is there already where that was not the
 * first. */
void
fail_hint(struct compile *c, const char *fmt, ...)
{
	char hint[sizeof c->err->hint];
	va_list ap;

	if (!c->failed || c->err->hint[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(hint, sizeof hint, fmt, ap);
	va_end(ap);
	err_hint(c->err, "%s", hint);
}

/* ---- shards ---- */

static int
default_shard(const struct compile *c)
{
	return c->plain ? 0 : c->map->default_shard;
}

void
go_default(struct compile *c, const char *table)
{
	if (default_shard(c) >= 0) {
		c->p->fixed = default_shard(c);
		return;
	}
	if (table != NULL) {
		fail(c, "42P01",
		    "table \"%s\" is not in the shard map, and there is no default shard",
		    table);
		fail_hint(
		    c, "Add it to the map's tables, or set default_shard. " HINT_SHARD);
		return;
	}
	c->p->fixed = 0; /* one place for all, so that locks and the like meet there */
}

void
hold(struct compile *c, const struct map_table *mt)
{
	c->p->sharded = true;
	for (int i = 0; i < (c->map->n_shards + 63) / 64; i++)
		c->p->shards[i] &= mt->shards[i];
}

int
only_shard(const struct map_table *mt)
{
	struct shard_set s = {{0}};

	/* the bitmap is as long as it must be */
	for (int i = 0; i < MAP_SHARD_WORDS; i++) {
		s.bits[i] = mt->shards[i];
		if (shard_set_count(&s) > 1)
			return SHARD_NONE;
	}
	return shard_set_first(&s);
}

void
add_pin(struct compile *c, struct pin *p)
{
	struct program *g = c->p;

	if (g->n_pins % 8 == 0) {
		struct pin **v =
		    ARENA_NEW_N(c->arena, struct pin *, (size_t)g->n_pins + 8);

		if (g->n_pins > 0)
			memcpy(v, g->pins, (size_t)g->n_pins * sizeof *v);
		g->pins = v;
	}
	g->pins[g->n_pins++] = p;
}

/* ---- tables ---- */

/* The shortest hint that helps: which table lacks a key, and what the key is. */
bool
good_key(struct compile *c, const struct rel_info *r)
{
	for (int i = 0; i < r->mt->n_key; i++)
		if (key_type_differs(c->map, r, i)) {
			fail(c, "0A000",
			    "the key column \"%s\" of table \"%s\" has not the type or "
			    "collation that the shard map says",
			    r->mt->key[i], r->name);
			fail_hint(c,
			    "Correct the distribution's type in the map; weir "
			    "check compares them.");
			return false;
		}
	return true;
}

static void
add_sharded(struct compile *c, const struct sql_rel *rel, const struct rel_info *r)
{
	hold(c, r->mt);
	if (r->st != NULL &&
	    (r->st->kind == 'S' || r->st->kind == 'i' || r->st->kind == 'I')) {
		fail(c, "0A000", "\"%s\" is there once on each shard", r->name);
		fail_hint(c, HINT_SHARD);
		return;
	}
	if (c->plain || c->failed || !good_key(c, r))
		return;
	/* the target of an INSERT is pinned by the rows */
	if (rel->leaf != NULL)
		add_pin(c, pin_of_table(c, rel, r->mt));
}

static void
add_reference(struct compile *c, const struct rel_info *r, bool writes)
{
	hold(c, r->mt);
	if (!writes || only_shard(r->mt) != SHARD_NONE)
		return;
	fail(c, "0A000", "writing to reference table \"%s\" needs all its shards",
	    r->name);
	fail_hint(c, "Run the statement once on each shard: SET weir.shard names one.");
}

static bool
belongs_on_primary(const char *name)
{
	static const char *const names[] = {"pg_locks", "pg_prepared_xacts",
	    "pg_replication_slots", "pg_cursors", "pg_prepared_statements",
	    "pg_sequences"};

	if (strncmp(name, "pg_stat_", 8) == 0 || strncmp(name, "pg_statio_", 10) == 0)
		return true;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void
add_view(struct compile *c, const struct rel_info *r, bool writes)
{
	bool around = c->written_view;
	const struct sql_query *view = r->view;

	if (view == NULL) {
		fail(c, "0A000", "the definition of view \"%s\" cannot be read", r->name);
		fail_hint(c, "Name its tables instead. " HINT_SHARD);
		c->primary = true;
		return;
	}
	c->written_view |= writes;
	visit_query(c, view);
	c->written_view = around;
}

/* Without the catalog it may as well be a view of sharded tables, or a part of one. */
static void
add_local(struct compile *c, const struct rel_info *r)
{
	if (c->schema == NULL && !c->plain) {
		fail(c, "0A000",
		    "table \"%s\" is not in the shard map, and the schema has not been "
		    "read",
		    r->name);
		fail_hint(c,
		    "It may be a view of sharded tables. A shard must be "
		    "reachable, or name one with SET weir.shard.");
	}
	go_default(c, r->name);
}

static void
add_table(struct compile *c, const struct sql_rel *rel, bool writes)
{
	const struct rel_info r = *rel_info(c, rel);

	if (c->n_rels > RELS_MAX) {
		fail(c, "54001", "too many tables in one statement");
		return;
	}
	if (r.st != NULL && (r.st->unlogged || r.st->kind == 'S'))
		c->primary = true;
	if (c->written_view && (r.kind == TABLE_SHARDED || r.kind == TABLE_REFERENCE)) {
		fail(c, "0A000",
		    "writing through a view to table \"%s\", which stands on several "
		    "shards",
		    r.name);
		fail_hint(c, "Write to the table itself.");
		return;
	}
	switch (r.kind) {
	case TABLE_SHARDED:
		add_sharded(c, rel, &r);
		break;
	case TABLE_REFERENCE:
		add_reference(c, &r, writes);
		break;
	case TABLE_LOCAL:
		add_local(c, &r);
		break;
	case TABLE_CATALOG:
		c->primary |= belongs_on_primary(r.name);
		break;
	case TABLE_TEMP:
		c->temp = c->primary = true;
		break;
	case TABLE_VIEW:
		add_view(c, &r, writes);
		break;
	}
}

void
add_created(struct compile *c, const struct sql_rel *rel, bool temp)
{
	const char *schema =
	    rel->schema != NULL ? rel->schema : creation_schema(c, rel->name);

	c->primary = true;
	if (temp || creates_temp(c, rel)) {
		c->temp = true;
		return;
	}
	if (shard_map_table(c->map, schema, rel->name) != NULL) {
		fail(c, "0A000",
		    "table \"%s\" of the shard map cannot be made from a query",
		    rel->name);
		fail_hint(c, "CREATE TABLE it on all its shards first.");
		return;
	}
	go_default(c, rel->name);
}

/* ---- functions and operators ---- */

static void
add_map_function(
    struct compile *c, const struct sql_call *call, const struct map_function *mf)
{
	struct pin *p;
	const struct distribution *d;
	int i = mf->argument - 1;

	c->primary |= !mf->read_only;
	c->p->sharded = true;
	if (mf->distribution < 0 || c->plain)
		return;
	d = &c->map->distributions[mf->distribution];
	p = ARENA_NEW(c->arena, struct pin);
	p->kind = PIN_KEYS;
	p->distribution = mf->distribution;
	p->table = mf->name;
	p->key = arena_printf(c->arena, "argument %d", mf->argument);
	p->typmod[0] = -1;
	if (d->n_types == 1 && i >= 0 && i < call->n_args && i < SQL_CALL_ARGS_MAX &&
	    call->args[i].kind == EXPR_VALUE &&
	    compile_values(c, &call->args[i], 1, &p->sets[0])) {
		add_pin(c, p);
		return;
	}
	fail(c, "0A000", "the key of function \"%s\" is not a constant or parameter",
	    call->name);
	fail_hint(
	    c, "Its argument %d says on which shard it runs. " HINT_SHARD, mf->argument);
}

static void
add_call(struct compile *c, const struct sql_query *q, const struct sql_call *call)
{
	struct func_info f =
	    func_info(c, call->schema, call->name, call->n_args, view_around(c, q));

	if (f.mf != NULL) {
		add_map_function(c, call, f.mf);
		return;
	}
	c->primary |= f.primary || f.unknown;
	if (c->plain || c->failed)
		return;
	if (f.tables) {
		fail(c, "0A000", "function \"%s\" reads tables that Weir cannot see",
		    call->name);
		fail_hint(c, HINT_SHARD);
	} else if (f.unknown) {
		fail(c, "0A000", "function \"%s\" with %d arguments is not known",
		    call->name, call->n_args);
		fail_hint(c, "Name it in the map's functions. " HINT_SHARD);
	} else if (f.user && f.volatility != SCHEMA_IMMUTABLE) {
		fail(c, "0A000", "function \"%s\" may read or write tables on any shard",
		    call->name);
		fail_hint(c,
		    "Name it in the map: functions = ( { name = \"%s\"; distribution = "
		    "…; argument = …; } ), or "
		    "reference = true where it may run anywhere.",
		    call->name);
	}
}

static void
add_op(struct compile *c, const struct sql_op *op)
{
	struct schema_func f;

	if (c->schema == NULL ||
	    (op->schema != NULL && strcmp(op->schema, "pg_catalog") == 0))
		return;
	f = schema_operator(c->schema, op->schema, op->name);
	if (!f.found || f.volatility == SCHEMA_IMMUTABLE)
		return;
	c->primary |= f.volatility == SCHEMA_VOLATILE;
	fail(c, "0A000",
	    "an operator %s is not immutable and may read tables on any shard", op->name);
	fail_hint(c, HINT_SHARD);
}

void
visit_calls(struct compile *c, const struct sql_query *q)
{
	for (int i = 0; i < q->n_calls; i++)
		add_call(c, q, &q->calls[i]);
	for (int i = 0; i < q->n_ops; i++)
		add_op(c, &q->ops[i]);
}

/* ---- levels ---- */

static void
visit_from(struct compile *c, const struct sql_query *q, const struct sql_from *f)
{
	if (f->rel == NULL) {
		visit_from(c, q, f->left);
		visit_from(c, q, f->right);
	} else if (f->rel->kind == REL_TABLE) {
		add_table(c, f->rel, f->rel == q->target);
	} else if (f->rel->kind == REL_QUERY) {
		visit_query(c, f->rel->query);
	}
}

void
visit_query(struct compile *c, const struct sql_query *q)
{
	if (q == NULL)
		return;
	for (int i = 0; i < q->n_ctes; i++)
		visit_query(c, q->ctes[i]->query);
	for (int i = 0; i < q->n_from; i++)
		visit_from(c, q, q->from[i]);
	if (q->into) {
		add_created(c, q->target, c->p->writes);
	} else if (q->target != NULL) {
		if (q->target->leaf == NULL)
			add_table(c, q->target, true);
		add_write(c, q);
	}
	for (int i = 0; i < q->n_subs; i++)
		visit_query(c, q->subs[i]);
	visit_query(c, q->left);
	visit_query(c, q->right);
	visit_query(c, q->source);
	visit_calls(c, q);
}

/* A statement without tables that does something belongs to one place: two sessions that
 * lock the same number must meet. */
void
compile_query(struct compile *c, const struct sql_stmt *st)
{
	c->p->writes = st->temp_object; /* SELECT INTO TEMP */
	visit_query(c, st->query);
	if (c->primary && !c->p->sharded && !c->temp && c->p->fixed == SHARD_NONE &&
	    c->p->n_pins == 0)
		go_default(c, NULL);
	c->p->read_only =
	    st->kind == STMT_SELECT && !st->locks_rows && !st->modifies && !c->primary;
	c->p->locks_only =
	    st->kind == STMT_SELECT && st->locks_rows && !st->modifies && !c->primary;
}

/* ---- programs ---- */

static void
hints(struct compile *c, const struct sql_stmts *all, const struct sql_stmt *st)
{
	int shard;

	if (st->pins != 0) /* the session stays there, and may write */
		c->p->read_only = false;
	if (all->weir_replica && st->kind == STMT_SELECT && !st->locks_rows &&
	    !st->modifies && !c->temp)
		c->p->read_only = true;
	if (all->weir_primary)
		c->p->read_only = false;
	if (all->weir_shard == NULL)
		return;
	shard = shard_map_shard(c->map, all->weir_shard);
	if (shard < 0) {
		c->failed = true;
		err_set(c->err, "22023", BLAST_STMT, "there is no shard \"%s\"",
		    all->weir_shard);
		return;
	}
	c->failed = false;
	c->p->kind = PROGRAM_QUERY;
	c->p->n_pins = 0;
	c->p->fixed = shard;
	memset(c->p->shards, 0xff, sizeof c->p->shards);
}

static void
compile_kind(struct compile *c, const struct sql_stmts *all, const struct sql_stmt *st)
{
	if (st->kind == STMT_UNREADABLE) {
		if (c->plain)
			return;
		c->failed = true;
		*c->err = all->err;
		if (c->err->hint[0] == '\0')
			err_hint(
			    c->err, "Weir reads PostgreSQL 15's grammar. " HINT_SHARD);
		return;
	}
	if (st->kind <= STMT_MERGE)
		compile_query(c, st);
	else
		compile_utility(c, st);
}

/* Whether a pin's values are all known before Bind. */
static bool
needs_params(const struct pin *p, int n_types)
{
	if ((p->lo != NULL && p->lo->kind == VALUE_PARAM) ||
	    (p->hi != NULL && p->hi->kind == VALUE_PARAM))
		return true;
	for (int i = 0; i < p->n; i++)
		if (needs_params(p->args[i], n_types))
			return true;
	for (int k = 0; p->kind == PIN_KEYS && k < n_types; k++)
		for (int i = 0; i < p->sets[k].n; i++)
			if (p->sets[k].v[i].kind == VALUE_PARAM)
				return true;
	return false;
}

static void
program_key(struct program *p, const struct plan_ctx *ctx)
{
	p->map = ctx->map;
	p->epoch = ctx->map->epoch;
	p->schema_id = schema_id(ctx->schema);
	p->search_path =
	    arena_strdup(&p->arena, ctx->search_path == NULL ? "" : ctx->search_path);
	p->user = arena_strdup(&p->arena, ctx->user == NULL ? "" : ctx->user);
}

void
compile_init(struct compile *c, struct program *p, const struct plan_ctx *ctx,
    struct sql_stmts **views)
{
	*c = (struct compile){.ctx = ctx,
	    .map = ctx->map,
	    .schema = ctx->schema,
	    .p = p,
	    .arena = &p->arena,
	    .views = views,
	    .budget = FACTS_BUDGET,
	    .err = &p->err,
	    .plain = shard_map_plain(ctx->map)};
	arena_init(&p->arena);
	arena_init(&c->scratch);
	program_key(p, ctx);
	p->kind = PROGRAM_QUERY;
	p->fixed = SHARD_NONE;
	memset(p->shards, 0xff, sizeof p->shards);
	names_init(c);
}

void
compile_fini(struct compile *c)
{
	for (int i = 0; i < c->n_views; i++)
		sql_stmts_free(c->views[i]);
	arena_reset(&c->scratch);
}

struct program *
compile_stmt(
    const struct sql_stmts *all, const struct sql_stmt *st, const struct plan_ctx *ctx)
{
	struct program *p = calloc(1, sizeof *p);
	struct sql_stmts *views[VIEWS_MAX];
	struct compile c;

	if (p == NULL)
		abort();
	compile_init(&c, p, ctx, views);
	compile_kind(&c, all, st);
	hints(&c, all, st);
	p->temp = c.temp;
	if (c.failed)
		p->kind = PROGRAM_ERROR;
	if (c.plain) {
		p->kind = PROGRAM_QUERY;
		p->n_pins = 0;
		p->fixed = 0;
	}
	for (int i = 0; i < p->n_pins; i++)
		p->uses_params |= needs_params(
		    p->pins[i], c.map->distributions[p->pins[i]->distribution].n_types);
	compile_fini(&c);
	return p;
}

void
program_free(struct program *p)
{
	if (p == NULL)
		return;
	arena_reset(&p->arena);
	free(p);
}
