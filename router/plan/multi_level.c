/* The plans of a statement whose rows are those of the shards put together (spread.c): the
 * shards run all of it but its end. */
#include <stdlib.h>

#include "router/plan/multi_int.h"

/* ---- LIMIT and OFFSET ---- */

struct bound {
	bool known;
	int64_t v; /* -1: none */
};

static bool
digits(const char *p, size_t n, int64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9' || __builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, p[i] - '0', v))
			return false;
	return n > 0;
}

static struct bound
param_bound(const struct plan_ctx *ctx, int number)
{
	const struct plan_param *p;
	struct bound b = {.known = true, .v = -1};

	if (ctx->params == NULL || number < 1 || number > ctx->n_params)
		return (struct bound){.known = false};
	p = &ctx->params[number - 1];
	if (p->len < 0)
		return b;
	if (p->format == 0) {
		b.known = digits(p->ptr, (size_t)p->len, &b.v);
		return b;
	}
	if (number > ctx->n_oids || ctx->param_oids[number - 1] == 0 ||
	    ctx->param_oids[number - 1] == 20)
		b.known = p->len == 8;
	else
		b.known = p->len == 4 && ctx->param_oids[number - 1] == 23;
	for (int i = b.v = 0; b.known && i < p->len; i++)
		b.v = (int64_t)((uint64_t)b.v << 8 | (unsigned char)p->ptr[i]);
	b.known &= b.v >= 0 && (p->len == 8 || b.v <= INT32_MAX);
	return b;
}

/* What it says, where that is plain; negative numbers are left to the server. */
static struct bound
bound_of(const struct plan_ctx *ctx, const PgQuery__Node *n)
{
	struct bound b = {.known = true, .v = -1};
	const PgQuery__AConst *c;

	if (n == NULL)
		return b;
	if (NODE_IS(n, TYPE_CAST) && n->type_cast->type_name != NULL &&
	    strcmp(tree_name(
		       n->type_cast->type_name->n_names, n->type_cast->type_name->names),
		"int8") == 0)
		return bound_of(ctx, n->type_cast->arg);
	if (NODE_IS(n, PARAM_REF))
		return param_bound(ctx, n->param_ref->number);
	if (!NODE_IS(n, A_CONST))
		return (struct bound){.known = false};
	c = n->a_const;
	if (c->isnull)
		return b;
	if (c->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
		b.v = c->ival->ival;
		b.known = b.v >= 0;
	} else if (c->val_case == PG_QUERY__A__CONST__VAL_FVAL) {
		b.known = digits(c->fval->fval, strlen(c->fval->fval), &b.v);
	} else {
		b.known = false;
	}
	return b;
}

struct limits
limits_of(struct build *b, const PgQuery__SelectStmt *s)
{
	struct bound l = bound_of(b->ctx, s->limit_count);
	struct bound o = bound_of(b->ctx, s->limit_offset);
	struct limits out = {.known = l.known && o.known &&
		s->limit_option != PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES};

	out.limit = l.v;
	out.offset = o.v < 0 ? 0 : o.v;
	if (out.limit < 0 || __builtin_add_overflow(out.limit, out.offset, &out.pushed))
		out.pushed = -1;
	return out;
}

void
push_limit(struct build *b, PgQuery__SelectStmt *s, const struct limits *l)
{
	s->limit_offset = NULL;
	s->limit_count = l->pushed < 0 ? NULL : tree_int(b->arena, l->pushed);
	s->limit_option = l->pushed < 0 ? PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT
					: PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_COUNT;
}

/* ---- concatenation ---- */

/* The statement's own text, as the client wrote it. */
struct slice
own_text(struct build *b)
{
	const PgQuery__RawStmt *raw = NULL;
	size_t at, len;

	for (size_t k = 0; k < b->tree->n_stmts; k++)
		if (b->tree->stmts[k]->stmt == b->stmt)
			raw = b->tree->stmts[k];
	at = raw == NULL || raw->stmt_location < 0 ? 0 : (size_t)raw->stmt_location;
	len =
	    raw == NULL || raw->stmt_len <= 0 ? b->text.len - at : (size_t)raw->stmt_len;
	return (struct slice){b->text.ptr + at, len};
}

void
set_shards(struct build *b, struct multi_fragment *f, const struct spread *s, bool some)
{
	memcpy(f->shards, s->shards, sizeof f->shards);
	for (int w = 0; w < MAP_SHARD_WORDS; w++)
		some &= f->shards[w] == 0;
	/* somebody must say what the columns are */
	for (int i = 0; some && i < b->ctx->map->n_shards; i++)
		if ((rel_info(&b->c, s->anchors[0])->mt->shards[i / 64] >> (i % 64) &
			1) != 0) {
			f->shards[i / 64] |= UINT64_C(1) << (i % 64);
			some = false;
		}
}

void
set_final_shards(struct build *b, const struct spread *s)
{
	for (int i = 0; i < s->n; i++)
		for (int w = 0; w < (b->ctx->map->n_shards + 63) / 64; w++)
			b->out->final_shards[w] |=
			    rel_info(&b->c, s->anchors[i])->mt->shards[w];
}

struct names {
	struct build *b;
	char *text;
};

static void
add_source(void *arg, const struct sql_rel *rel)
{
	struct names *k = arg;
	const struct rel_info *r;

	if (rel->kind != REL_TABLE)
		return;
	r = rel_info(&k->b->c, rel);
	if (r->in_view != NULL)
		return;
	k->text =
	    arena_printf(k->b->arena, "%s%s%s%s%s", k->text, *k->text == '\0' ? "" : ", ",
		r->name, strcmp(r->name, rel->alias) == 0 ? "" : " ",
		strcmp(r->name, rel->alias) == 0 ? "" : rel->alias);
}

const char *
sources_of(struct build *b, const struct sql_query *q)
{
	struct names k = {b, arena_strdup(b->arena, "")};

	each_rel(b, q, add_source, &k);
	return k.text;
}

static enum rc
concat(struct build *b, const struct spread *s, bool *done)
{
	PgQuery__SelectStmt *top = b->stmt->select_stmt;
	struct limits l = limits_of(b, top);
	struct multi_fragment *f;

	if (!l.known)
		return RC_OK;
	*done = true;
	b->out->kind = MULTI_CONCAT;
	b->out->merge.limit = l.limit;
	b->out->merge.offset = l.offset;
	f = add_fragment(b);
	f->source = sources_of(b, b->root);
	set_shards(b, f, s, true);
	if (l.offset == 0) {
		f->query.sql = own_text(b);
		return RC_OK;
	}
	push_limit(b, top, &l);
	return text_of(b, b->stmt, &f->query);
}

enum rc
plan_level(struct build *b, bool *done)
{
	const struct sql_query *q = b->root;
	PgQuery__SelectStmt *s = select_of(q);
	struct spread spread;
	bool found = false, keeps;
	enum rc rc;

	if (s == NULL || q->kind == Q_VALUES)
		return RC_OK;
	rc = spread_find(b, q, &spread, &found);
	if (rc != RC_OK || !found)
		return rc;
	keeps = q->kind == Q_SETOP || spread_keeps(b, q, &spread);
	if (keeps && s->n_sort_clause == 0 &&
	    (q->kind == Q_SETOP || spread_distinct(b, q, &spread)))
		rc = concat(b, &spread, done);
	if (rc == RC_OK && !*done && keeps)
		rc = plan_tail(b, &spread, done);
	if (rc == RC_OK && !*done && !keeps && q->kind == Q_SELECT)
		rc = plan_group(b, &spread, done);
	return rc;
}
