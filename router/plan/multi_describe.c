/* A multi-shard plan in words, for people and golden files. */
#include <stdarg.h>
#include <stdio.h>

#include "router/plan/multi_int.h"

struct text {
	char *buf;
	struct arena *arena;
};

static void __attribute__((format(printf, 2, 3)))
put(struct text *t, const char *fmt, ...)
{
	char line[2048], *more = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof line) {
		more = arena_alloc(t->arena, (size_t)n + 1);
		va_start(ap, fmt);
		vsnprintf(more, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	t->buf = arena_printf(t->arena, "%s%s", t->buf, more != NULL ? more : line);
}

static void
put_shards(struct text *t, const struct plan_ctx *ctx, const uint64_t *shards)
{
	const char *sep = "";

	for (int i = 0; i < ctx->map->n_shards; i++)
		if ((shards[i / 64] >> (i % 64) & 1) != 0) {
			put(t, "%s%s", sep, ctx->map->shards[i]);
			sep = ", ";
		}
	put(t, "%s", *sep == '\0' ? "none" : "");
}

static void
put_text(struct text *t, const char *what, const struct multi_text *x)
{
	put(t, "%s: %.*s\n", what, (int)x->sql.len, x->sql.ptr);
	for (int i = 0; x->params != NULL && i < x->n_params; i++)
		if (x->params[i] != i + 1)
			put(t, "    $%d is $%d\n", i + 1, x->params[i]);
}

static void
put_merge(struct text *t, const struct merge_spec *m)
{
	for (int i = 0; i < m->n_keys; i++)
		put(t, "%s column %d%s%s", i == 0 ? "sorted by:" : ",",
		    m->keys[i].column + 1, m->keys[i].desc ? " descending" : "",
		    m->keys[i].nulls_first ? ", nulls first" : "");
	if (m->n_keys > 0)
		put(t, "\n");
	if (m->n_distinct > 0)
		put(t,
		    "distinct: the first of those that agree in the first %d of these\n",
		    m->n_distinct);
	for (int i = 0; i < m->n_outs; i++) {
		static const char *const ops[] = {
#define X(id, text) text,
		    MERGE_OPS(X)
#undef X
		};

		put(t, "%s %s of column %d", i == 0 ? "columns:" : ",",
		    ops[m->outs[i].op], m->outs[i].a + 1);
	}
	if (m->n_outs > 0)
		put(t, "\n");
	if (m->n_junk > 0)
		put(t, "left out: the last %d column%s\n", m->n_junk,
		    m->n_junk == 1 ? "" : "s");
	if (m->n_turns > 0)
		put(t, "in the order of the statement's rows\n");
	if (m->limit >= 0)
		put(t, "limit: %lld\n", (long long)m->limit);
	if (m->offset > 0)
		put(t, "offset: %lld\n", (long long)m->offset);
}

void
multi_describe(
    const struct plan_ctx *ctx, const struct multi *m, struct arena *a, struct slice *out)
{
	struct text t = {arena_strdup(a, ""), a};
	bool tables = m->kind == MULTI_INTERMEDIATE;
	const char *verb = m->kind == MULTI_WRITE ? "write" : "fetch";

	put(&t, "runs on: several shards: %s\n", multi_kind_name(m->kind));
	for (int i = 0; i < m->n_fragments; i++) {
		const struct multi_fragment *f = &m->fragments[i];

		put(&t, "%s%s%s: %s %s ", verb, tables ? " " : "", tables ? f->table : "",
		    f->source, m->kind == MULTI_WRITE ? "on" : "from");
		put_shards(&t, ctx, f->shards);
		put(&t, "\n");
		put_text(&t, "by", &f->query);
		if (f->create.sql.len > 0 &&
		    memmem(f->create.sql.ptr, f->create.sql.len, "(LIKE ", 6) != NULL)
			put(&t, "into: a table with the keys of the original\n");
		if (f->after.len > 0)
			put(&t, "then: %.*s\n", (int)f->after.len, f->after.ptr);
	}
	if (tables) {
		put_text(&t, "then", &m->final);
		put(&t, "on one of: ");
		put_shards(&t, ctx, m->final_shards);
		put(&t, "\n");
	} else {
		put_merge(&t, &m->merge);
	}
	if (m->same_count)
		put(&t, "the same on each, counted once\n");
	*out = slice_of(t.buf);
}
