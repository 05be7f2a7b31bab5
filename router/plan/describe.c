/* A plan in words, for people and golden files. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/plan/plan_int.h"

#define VALUES_SHOWN 20

struct text {
	char *buf;
	size_t len, cap;
	struct arena *arena;
};

static void __attribute__((format(printf, 2, 3)))
put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (t->len + (size_t)n + 1 > t->cap) {
		char *bigger;

		t->cap = (t->len + (size_t)n + 1) * 2;
		bigger = arena_alloc(t->arena, t->cap);
		if (t->len > 0)
			memcpy(bigger, t->buf, t->len);
		t->buf = bigger;
	}
	va_start(ap, fmt);
	vsnprintf(t->buf + t->len, t->cap - t->len, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

static void
put_value(struct text *t, const struct plan_ctx *ctx, const struct plan_value *v)
{
	const struct slice *raw;

	switch (v->kind) {
	case VALUE_CONST:
		if (ctx->consts == NULL || v->index >= ctx->consts->n) {
			put(t, "?");
			return;
		}
		raw = &ctx->consts->v[v->index].raw;
		put(t, "%s%.*s", v->negated ? "-" : "",
		    (int)(raw->len < 200 ? raw->len : 200), raw->ptr);
		return;
	case VALUE_PARAM:
		put(t, "$%u", v->index);
		return;
	case VALUE_TEXT:
		put(t, "%.*s", (int)(v->text.len < 200 ? v->text.len : 200),
		    v->text.len > 0 ? v->text.ptr : "");
		return;
	default:
		put(t, "NULL");
	}
}

static void
put_set(struct text *t, const struct plan_ctx *ctx, const struct value_set *s)
{
	if (s->n == 1 && !s->v[0].array) {
		put(t, "= ");
		put_value(t, ctx, &s->v[0]);
		return;
	}
	if (s->n == 1) {
		put(t, "= ANY (");
		put_value(t, ctx, &s->v[0]);
		put(t, ")");
		return;
	}
	put(t, "IN (");
	for (int i = 0; i < s->n && i < VALUES_SHOWN; i++) {
		put(t, i > 0 ? ", " : "");
		put_value(t, ctx, &s->v[i]);
	}
	if (s->n > VALUES_SHOWN)
		put(t, ", … %d more", s->n - VALUES_SHOWN);
	put(t, ")");
}

static void
put_keys(struct text *t, const struct plan_ctx *ctx, const struct pin *p)
{
	int n = ctx->map->distributions[p->distribution].n_types;

	for (int i = 0; i < n; i++) {
		if (n == 1)
			put(t, "%s ", p->key);
		else
			put(t, "%skey %d ", i > 0 ? " AND " : "", i + 1);
		put_set(t, ctx, &p->sets[i]);
	}
}

static void
put_range(struct text *t, const struct plan_ctx *ctx, const struct pin *p)
{
	if (p->lo != NULL) {
		put(t, "%s %s ", p->key, p->lo_inclusive ? ">=" : ">");
		put_value(t, ctx, p->lo);
	}
	if (p->hi != NULL) {
		put(t, "%s%s %s ", p->lo != NULL ? " AND " : "", p->key,
		    p->hi_inclusive ? "<=" : "<");
		put_value(t, ctx, p->hi);
	}
}

static void
put_pin(struct text *t, const struct plan_ctx *ctx, const struct pin *p)
{
	switch (p->kind) {
	case PIN_ALL:
		put(t, "nothing pins %s down", p->key);
		break;
	case PIN_KEYS:
		put_keys(t, ctx, p);
		break;
	case PIN_RANGE:
		put_range(t, ctx, p);
		break;
	case PIN_AND:
	case PIN_OR:
		for (int i = 0; i < p->n; i++) {
			put(t, i == 0 ? "(" : p->kind == PIN_AND ? ") AND (" : ") OR (");
			if (i == VALUES_SHOWN) {
				put(t, "… %d more", p->n - i);
				break;
			}
			put_pin(t, ctx, p->args[i]);
		}
		put(t, ")");
		break;
	}
}

static const char *
shard_name(const struct plan_ctx *ctx, int shard)
{
	return shard >= 0 && shard < ctx->map->n_shards ? ctx->map->shards[shard]
							: "none";
}

static void
put_where(struct text *t, const struct plan_ctx *ctx, const struct plan *plan)
{
	const char *sep = " ";

	switch (plan->kind) {
	case PLAN_ONE:
		put(t, "runs on: shard %s\n", shard_name(ctx, plan->shard));
		break;
	case PLAN_ANY:
		put(t, "runs on: any shard (%s if the session is on none)\n",
		    shard_name(ctx, plan->shard));
		break;
	case PLAN_LOOKUP:
		put(t,
		    "runs on: the shard that the look-up of key \"%.*s\" in distribution "
		    "\"%s\" will give\n",
		    (int)plan->lookup.key.len, plan->lookup.key.ptr,
		    ctx->map->distributions[plan->lookup.distribution].name);
		break;
	case PLAN_ALL:
		put(t, "runs on: shards");
		for (int i = 0; i < ctx->map->n_shards; i++)
			if ((plan->shards[i / 64] >> (i % 64) & 1) != 0) {
				put(t, "%s%s", sep, ctx->map->shards[i]);
				sep = ", ";
			}
		put(t, "\n");
		break;
	case PLAN_MULTI: /* multi_describe() tells it */
		break;
	}
}

void
plan_describe(struct shape *s, int i, const struct plan_ctx *ctx, const struct plan *plan,
    struct arena *a, struct slice *out)
{
	struct text t = {.arena = a};
	const struct program *p;

	if (s->stmts == NULL) {
		*out = SLICE_LIT("statement: unreadable\n");
		return;
	}
	p = plan_program(s, i, ctx);
	put(&t, "statement: %s\n", stmt_kind_name(s->stmts->v[i].kind));
	put_where(&t, ctx, plan);
	put(&t, "server: %s\n", plan->read_only ? "primary or replica" : "primary");
	if (p->fixed != SHARD_NONE)
		put(&t, "because: %s\n",
		    s->stmts->weir_shard != NULL    ? "the statement names the shard"
			: shard_map_plain(ctx->map) ? "there is one shard"
			: p->sharded                ? "all its tables are there"
						    : "it concerns the default shard");
	for (int k = 0; k < p->n_pins; k++) {
		put(&t, "because: %s: ", p->pins[k]->table);
		put_pin(&t, ctx, p->pins[k]);
		put(&t, p->pins[k]->stored ? " (stored)\n" : "\n");
	}
	*out = (struct slice){t.buf, t.len};
}
