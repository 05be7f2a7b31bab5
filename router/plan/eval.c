/* Pins to shards: reads the values, hashes or looks them up, unites and intersects. */
#include "router/plan/plan_int.h"

int
shard_set_count(const struct shard_set *s)
{
	int n = 0;

	for (int i = 0; i < MAP_SHARD_WORDS; i++)
		n += __builtin_popcountll(s->bits[i]);
	return n;
}

int
shard_set_first(const struct shard_set *s)
{
	for (int i = 0; i < MAP_SHARD_WORDS; i++)
		if (s->bits[i] != 0)
			return i * 64 + __builtin_ctzll(s->bits[i]);
	return SHARD_NONE;
}

static void
set_add(struct shard_set *s, int shard)
{
	s->bits[shard / 64] |= UINT64_C(1) << (shard % 64);
}

struct routing {
	struct eval *ev;
	const struct pin *pin;
	const struct distribution *dist;
	struct shard_set *out;
	struct plan *plan;
	bool again;
};

static enum value_result
null_key(const struct pin *p, struct err *e)
{
	err_set(
	    e, "23502", BLAST_STMT, "null value in the key of table \"%s\"", p->table);
	err_hint(e, "A row without a value for its key has no shard.");
	return VALUE_IS_ERROR;
}

static bool
fits(const struct pin *p, const struct distribution *d, const struct key *keys,
    struct err *e)
{
	for (int i = 0; i < d->n_types; i++)
		if (!key_fits_typmod(&keys[i], p->typmod[i])) {
			err_set(e, "0A000", BLAST_STMT,
			    "the key of table \"%s\" is shortened or rounded when it is "
			    "stored",
			    p->table);
			err_hint(
			    e, "Give the value as the column %s will have it.", p->key);
			return false;
		}
	return true;
}

/* One whole key. */
static enum value_result
route_keys(struct routing *r, const struct key *keys, struct err *e)
{
	int shard;
	enum rc rc;

	if (r->pin->stored && !fits(r->pin, r->dist, keys, e))
		return VALUE_IS_ERROR;
	rc = shard_map_route(r->ev->map, r->dist, keys, 0, &shard, e);
	if (rc == RC_ERR)
		return VALUE_IS_ERROR;
	if (rc == RC_AGAIN) {
		struct slice text = key_to_text(&keys[0], r->ev->ctx->arena);

		r->plan->kind = PLAN_LOOKUP;
		r->plan->lookup.distribution = r->pin->distribution;
		r->plan->lookup.key = (struct slice){
		    arena_dup(r->ev->ctx->arena, text.ptr, text.len), text.len};
		r->again = true;
		return VALUE_IS_ERROR;
	}
	if (shard != SHARD_NONE)
		set_add(r->out, shard);
	else if (r->pin->stored && route_no_shard(r->ev->map, r->dist, keys, e) != RC_OK)
		return VALUE_IS_ERROR;
	return VALUE_IS_KEY;
}

static enum value_result
route_element(void *arg, enum value_result v, const struct key *key, struct err *e)
{
	(void)v;
	return route_keys(arg, key, e);
}

/* In `day IN ('2026-01-01', TIMESTAMP '…')` the server reads the first as a timestamp
 * too: such lists are not taken apart. */
static bool
mixes_times(const struct eval *ev, const struct pin *p, const struct value_set *set,
    enum key_type type)
{
	enum family f = key_family(type);

	if (set->n < 2 || p->stored ||
	    (f != FAMILY_DATE && f != FAMILY_TIMESTAMP && f != FAMILY_TIMESTAMPTZ))
		return false;
	for (int i = 0; i < set->n; i++) {
		uint32_t oid = value_oid(ev, &set->v[i]);

		if (oid != 0 && oid != key_type_oid(type))
			return true;
	}
	return false;
}

/* One column: each value by itself. */
static enum value_result
route_list(struct routing *r, struct err *e)
{
	const struct value_set *set = &r->pin->sets[0];
	struct key key;

	if (set->n > KEYS_MAX || mixes_times(r->ev, r->pin, set, r->dist->types[0]))
		return VALUE_IS_UNKNOWN;
	for (int i = 0; i < set->n; i++) {
		enum value_result v = set->v[i].array
		    ? value_array(
			  r->ev, &set->v[i], r->dist->types[0], route_element, r, e)
		    : value_key(r->ev, &set->v[i], r->dist->types[0], &key, e);

		if (v == VALUE_IS_NULL && r->pin->stored)
			return null_key(r->pin, e);
		if (v == VALUE_IS_NULL)
			continue;
		if (v == VALUE_IS_KEY && !set->v[i].array)
			v = route_keys(r, &key, e);
		if (v != VALUE_IS_KEY)
			return v;
	}
	return VALUE_IS_KEY;
}

/* Several columns: all combinations of their values. */
static enum value_result
route_combinations(
    struct routing *r, struct key *keys, int column, int *left, struct err *e)
{
	const struct value_set *set = &r->pin->sets[column];

	if (column == r->dist->n_types)
		return --*left < 0 ? VALUE_IS_UNKNOWN : route_keys(r, keys, e);
	if (mixes_times(r->ev, r->pin, set, r->dist->types[column]))
		return VALUE_IS_UNKNOWN;
	for (int i = 0; i < set->n; i++) {
		enum value_result v = value_key(
		    r->ev, &set->v[i], r->dist->types[column], &keys[column], e);

		if (v == VALUE_IS_NULL && r->pin->stored)
			return null_key(r->pin, e);
		if (v == VALUE_IS_NULL)
			continue;
		if (v == VALUE_IS_KEY)
			v = route_combinations(r, keys, column + 1, left, e);
		if (v != VALUE_IS_KEY)
			return v;
	}
	return VALUE_IS_KEY;
}

static enum value_result
route_range(struct routing *r, struct err *e)
{
	const struct pin *p = r->pin;
	struct key lo, hi;
	enum value_result vl = VALUE_IS_UNKNOWN, vh = VALUE_IS_UNKNOWN;

	if (p->lo != NULL)
		vl = value_key(r->ev, p->lo, r->dist->types[0], &lo, e);
	if (vl == VALUE_IS_ERROR)
		return vl;
	if (p->hi != NULL)
		vh = value_key(r->ev, p->hi, r->dist->types[0], &hi, e);
	if (vh == VALUE_IS_ERROR)
		return vh;
	if (vl == VALUE_IS_NULL || vh == VALUE_IS_NULL)
		return VALUE_IS_KEY;
	shard_map_range(r->ev->map, r->dist, vl == VALUE_IS_KEY ? &lo : NULL,
	    p->lo_inclusive, vh == VALUE_IS_KEY ? &hi : NULL, p->hi_inclusive,
	    r->out->bits);
	return VALUE_IS_KEY;
}

static enum rc
eval_leaf(struct eval *ev, const struct pin *p, struct shard_set *out, struct plan *plan,
    struct err *e)
{
	const struct distribution *d = &ev->map->distributions[p->distribution];
	struct routing r = {ev, p, d, out, plan, false};
	enum value_result v = VALUE_IS_UNKNOWN;
	struct key keys[MAP_KEY_COLUMNS_MAX];
	int left = 4096;

	if (p->kind == PIN_KEYS)
		v = d->n_types == 1 ? route_list(&r, e)
				    : route_combinations(&r, keys, 0, &left, e);
	else if (p->kind == PIN_RANGE)
		v = route_range(&r, e);
	if (r.again)
		return RC_AGAIN;
	if (v == VALUE_IS_ERROR)
		return RC_ERR;
	if (v == VALUE_IS_UNKNOWN)
		shard_map_shards(ev->map, d, out->bits);
	return RC_OK;
}

static enum rc
eval_list(struct eval *ev, const struct pin *p, struct shard_set *out, struct plan *plan,
    struct err *e)
{
	enum rc rc;

	for (int i = 0; i < p->n; i++) {
		struct shard_set one = {{0}};

		rc = eval_pin(ev, p->args[i], &one, plan, e);
		if (rc != RC_OK)
			return rc;
		for (int w = 0; w < MAP_SHARD_WORDS; w++)
			out->bits[w] = i == 0    ? one.bits[w]
			    : p->kind == PIN_AND ? out->bits[w] & one.bits[w]
						 : out->bits[w] | one.bits[w];
	}
	return RC_OK;
}

enum rc
eval_pin(struct eval *ev, const struct pin *p, struct shard_set *out, struct plan *plan,
    struct err *e)
{
	return p->kind == PIN_AND || p->kind == PIN_OR ? eval_list(ev, p, out, plan, e)
						       : eval_leaf(ev, p, out, plan, e);
}
