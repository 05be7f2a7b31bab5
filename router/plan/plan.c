#include "router/plan/plan.h"

#include <assert.h>
#include <stdlib.h>

#include "router/plan/plan_int.h"

/* ---- the compiled programs of a shape: one a statement, made when they are first needed
 * ---- */

struct compiled {
	int n;
	struct program *v[];
};

static void
compiled_free(void *route)
{
	struct compiled *all = route;

	for (int i = 0; i < all->n; i++)
		program_free(all->v[i]);
	free(all);
}

static struct compiled *
compiled_of(struct shape *s)
{
	struct compiled *all = s->route;

	if (all != NULL)
		return all;
	all = calloc(1, sizeof *all + (size_t)s->stmts->n * sizeof all->v[0]);
	if (all == NULL)
		abort();
	all->n = s->stmts->n;
	s->route = all;
	s->route_free = compiled_free;
	return all;
}

static bool
same_text(const char *compiled, const char *now)
{
	return strcmp(compiled, now == NULL ? "" : now) == 0;
}

/* Which of the program's unqualified names a temporary table has now. */
static uint64_t
shadowed_now(const struct program *p, const char *const *temp)
{
	uint64_t mask = 0;

	for (int i = 0; temp != NULL && temp[i] != NULL; i++)
		for (int k = 0; k < p->n_names && k < 64; k++)
			if (strcmp(p->names[k], temp[i]) == 0)
				mask |= UINT64_C(1) << k;
	return mask;
}

static bool
is_current(const struct program *p, const struct plan_ctx *ctx)
{
	return p->map == ctx->map && p->epoch == ctx->map->epoch &&
	    p->schema_id == schema_id(ctx->schema) &&
	    same_text(p->search_path, ctx->search_path) &&
	    same_text(p->user, ctx->user) &&
	    p->shadowed == shadowed_now(p, ctx->temp_tables) &&
	    (p->n_names <= 64 || ctx->temp_tables == NULL);
}

struct program *
plan_program(struct shape *s, int i, const struct plan_ctx *ctx)
{
	struct compiled *all = compiled_of(s);

	assert(i >= 0 && i < all->n);
	if (all->v[i] != NULL && is_current(all->v[i], ctx))
		return all->v[i];
	program_free(all->v[i]);
	all->v[i] = compile_stmt(s->stmts, &s->stmts->v[i], ctx);
	return all->v[i];
}

/* ---- running ---- */

/* Any shard that has the tables: the default one, or the first. */
static int
any_shard(const struct program *p, const struct plan_ctx *ctx)
{
	int d = ctx->map->default_shard;

	if (d >= 0 && (p->shards[d / 64] >> (d % 64) & 1) != 0)
		return d;
	for (int i = 0; i < ctx->map->n_shards; i++)
		if ((p->shards[i / 64] >> (i % 64) & 1) != 0)
			return i;
	return SHARD_NONE;
}

static enum rc
nowhere(struct err *e)
{
	err_set(e, "0A000", BLAST_STMT, "no shard has all tables of the statement");
	err_hint(e,
	    "Reference tables are on every shard of the map; the others where "
	    "their distribution has rows.");
	return RC_ERR;
}

static enum rc
go_any(
    const struct program *p, const struct plan_ctx *ctx, struct plan *out, struct err *e)
{
	out->kind = PLAN_ANY;
	out->shard = any_shard(p, ctx);
	return out->shard == SHARD_NONE ? nowhere(e) : RC_OK;
}

static enum rc
go_one(const struct program *p, int shard, struct plan *out, struct err *e)
{
	out->kind = PLAN_ONE;
	out->shard = shard;
	return (p->shards[shard / 64] >> (shard % 64) & 1) != 0 ? RC_OK : nowhere(e);
}

/* Which table is to blame: the first whose own pins leave several shards; else the tables
 * differ. */
static enum rc
several(const struct eval *ev, const struct program *p, const struct pin *blamed, int n,
    struct err *e)
{
	for (int i = 0; i < p->n_pins && blamed == NULL; i++)
		if (p->pins[i]->moves) {
			err_set(e, "0A000", BLAST_STMT,
			    "UPDATE of the key moves rows of table \"%s\" to another "
			    "shard",
			    p->pins[i]->table);
			err_hint(e,
			    "A row cannot move to another shard yet: DELETE and "
			    "INSERT it.");
			return RC_ERR;
		}
	if (ev->unproven.sqlstate[0] != '\0' && blamed != NULL) {
		*e = ev->unproven;
		if (e->hint[0] == '\0')
			err_hint(e,
			    "Give table \"%s\" a plain value for its key %s, or name the "
			    "shard with SET weir.shard.",
			    blamed->table, blamed->key);
		return RC_ERR;
	}
	err_set(e, "0A000", BLAST_STMT, "statement needs %d shards", n);
	if (blamed != NULL && (blamed->kind == PIN_ALL || blamed->kind == PIN_RANGE))
		err_hint(e,
		    "Table \"%s\" has no condition that pins its key down: add %s = …, "
		    "or name the shard with SET weir.shard.",
		    blamed->table, blamed->key);
	else if (blamed != NULL)
		err_hint(e,
		    "The keys of table \"%s\" (%s) are on several shards: run one "
		    "statement for each.",
		    blamed->table, blamed->key);
	else
		err_hint(e,
		    "Its tables are on different shards: run one statement for "
		    "each, or name the shard with SET weir.shard.");
	return RC_ERR;
}

static bool
widen(struct shard_set *all, const struct shard_set *one)
{
	bool single;

	for (int i = 0; i < MAP_SHARD_WORDS; i++)
		all->bits[i] |= one->bits[i];
	single = shard_set_count(one) <= 1;
	return single;
}

/* The common case, one table with one key column and one value: no sets, no bitmaps.
 * False: not that simple. */
static bool
run_simple(const struct program *p, struct eval *ev, struct plan *out, struct err *e,
    enum rc *rc)
{
	const struct pin *pin = p->pins[0];
	const struct distribution *d = &ev->map->distributions[pin->distribution];
	struct key key;
	int shard;

	if (p->n_pins != 1 || p->fixed != SHARD_NONE || pin->kind != PIN_KEYS ||
	    d->n_types != 1 || (pin->stored && pin->typmod[0] >= 0) ||
	    pin->sets[0].n != 1 || pin->sets[0].v[0].array ||
	    value_key(ev, &pin->sets[0].v[0], d->types[0], &key, e) != VALUE_IS_KEY ||
	    shard_map_route(ev->map, d, &key, 0, &shard, e) != RC_OK ||
	    shard == SHARD_NONE)
		return false;
	*rc = go_one(p, shard, out, e);
	return true;
}

static enum rc
run_pins(const struct program *p, struct eval *ev, struct plan *out, struct err *e)
{
	struct shard_set all = {{0}};
	const struct pin *blamed = NULL;
	int n;

	if (p->fixed != SHARD_NONE)
		all.bits[p->fixed / 64] |= UINT64_C(1) << (p->fixed % 64);
	for (int i = 0; i < p->n_pins; i++) {
		struct shard_set one = {{0}};
		enum rc rc = eval_pin(ev, p->pins[i], &one, out, e);

		if (rc == RC_AGAIN)
			return RC_OK; /* PLAN_LOOKUP */
		if (rc == RC_ERR)
			return rc;
		if (!widen(&all, &one) && blamed == NULL)
			blamed = p->pins[i];
	}
	n = shard_set_count(&all);
	if (n > 1)
		return several(ev, p, blamed, n, e);
	/* no key at all (= NULL, no shard): there is nothing to find, anywhere */
	return n == 0 ? go_any(p, ev->ctx, out, e)
		      : go_one(p, shard_set_first(&all), out, e);
}

enum rc
plan_run(
    struct shape *s, int i, const struct plan_ctx *ctx, struct plan *out, struct err *e)
{
	const struct program *p;
	struct eval ev;
	enum rc rc;

	if (s->stmts == NULL) {
		*e = *s->err;
		*out = (struct plan){.kind = PLAN_ONE};
		return shard_map_plain(ctx->map) ? RC_OK : RC_ERR;
	}
	p = plan_program(s, i, ctx);
	out->kind = PLAN_ANY;
	out->shard = SHARD_NONE;
	out->read_only = p->read_only;
	out->locks_only = p->locks_only;
	out->sharded = p->sharded;
	out->temp = p->temp;
	if (p->kind == PROGRAM_ERROR) {
		*e = p->err;
		return RC_ERR;
	}
	if (p->kind == PROGRAM_ALL) {
		out->kind = PLAN_ALL;
		out->shard = any_shard(p, ctx);
		memcpy(out->shards, p->shards, sizeof out->shards);
		return RC_OK;
	}
	if (p->n_pins == 0)
		return p->fixed != SHARD_NONE ? go_one(p, p->fixed, out, e)
					      : go_any(p, ctx, out, e);
	if (p->uses_params && ctx->params == NULL)
		return go_any(p, ctx, out, e);
	ev.ctx = ctx;
	ev.map = ctx->map;
	ev.env_ready = false;
	ev.unproven.sqlstate[0] = '\0';
	if (run_simple(p, &ev, out, e, &rc))
		return rc;
	return run_pins(p, &ev, out, e);
}
