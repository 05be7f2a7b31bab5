/* Expressions and conditions. Only what can pin a key down gets a shape of its own; the
 * rest is walked by protobuf-c's descriptions of the messages, so that no function,
 * operator or subquery in it is missed whatever the node is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/sql/analyze_int.h"

#define NODE(x) PG_QUERY__NODE__NODE_##x

void *
an_grow(struct analysis *an, void *array, int n, size_t size)
{
	void *bigger;

	if (n > 0 && (n < 4 || (n & (n - 1)) != 0))
		return array;
	bigger = arena_alloc(an->arena, (n == 0 ? 4 : (size_t)n * 2) * size);
	if (n > 0)
		memcpy(bigger, array, (size_t)n * size);
	return bigger;
}

const char *
an_strdup(struct analysis *an, const char *s)
{
	return s == NULL || *s == '\0' ? NULL : arena_strdup(an->arena, s);
}

const char *
an_string(const PgQuery__Node *n)
{
	return n != NULL && n->node_case == NODE(STRING) ? n->string->sval : NULL;
}

void
an_name(struct analysis *an, size_t n, PgQuery__Node *const *names, const char **schema,
    const char **name)
{
	*name = n >= 1 ? an_strdup(an, an_string(names[n - 1])) : NULL;
	*schema = n >= 2 ? an_strdup(an, an_string(names[n - 2])) : NULL;
	if (*name == NULL)
		*name = "";
}

/* ---- types ---- */

const char *
an_type_name(struct analysis *an, const PgQuery__TypeName *t)
{
	const char *schema, *name;

	if (t == NULL || t->n_names == 0 || t->n_names > 2 || t->setof || t->pct_type ||
	    t->n_typmods > 0 || t->n_array_bounds > 1)
		return NULL;
	an_name(an, t->n_names, t->names, &schema, &name);
	if (schema != NULL && strcmp(schema, "pg_catalog") != 0)
		return NULL;
	return t->n_array_bounds == 1 ? arena_printf(an->arena, "_%s", name) : name;
}

/* ---- constants ---- */

/* The index of the constant that begins at a byte of the text; -1: it is part of the
 * shape. */
static int
const_at(const struct analysis *an, const char *p)
{
	uint32_t lo = 0, hi = an->n_consts;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const char *at = an->text + (an->consts[mid].raw.ptr - an->consts_base);

		if (at == p)
			return (int)mid;
		if (at < p)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

/* PostgreSQL folds a minus into the number and moves the location to it: steps over signs
 * and parentheses to the number. */
static const char *
skip_sign(const struct analysis *an, int location, bool *negated)
{
	struct scan s = {an->text + location, an->text + an->len, NULL, 0};
	enum token t;

	*negated = false;
	while ((t = scan_next(&s)) != TOKEN_END) {
		if (t == TOKEN_OP) {
			for (size_t i = 0; i < s.len; i++)
				*negated ^= s.token[i] == '-';
			continue;
		}
		if (t != TOKEN_PUNCT || *s.token != '(')
			break;
	}
	return s.token;
}

static const char *
float_type(const char *digits)
{
	char *end;

	errno = 0;
	strtoll(digits, &end, 10);
	return *end == '\0' && errno == 0 ? "int8" : "numeric";
}

static struct slice
text_of(struct analysis *an, const char *s)
{
	return slice_of(arena_strdup(an->arena, s));
}

/* A constant that is part of the shape. */
static void
pinned_const(struct analysis *an, const PgQuery__AConst *c, struct sql_value *v)
{
	v->kind = VALUE_TEXT;
	switch (c->val_case) {
	case PG_QUERY__A__CONST__VAL_IVAL:
		v->text = slice_of(arena_printf(an->arena, "%d", c->ival->ival));
		v->cast = "int4";
		break;
	case PG_QUERY__A__CONST__VAL_FVAL:
		v->text = text_of(an, c->fval->fval);
		v->cast = float_type(c->fval->fval);
		break;
	case PG_QUERY__A__CONST__VAL_SVAL:
		v->text = text_of(an, c->sval->sval);
		break;
	default:
		v->kind = VALUE_UNKNOWN;
	}
}

static void
const_value(struct analysis *an, const PgQuery__AConst *c, struct sql_value *v)
{
	const char *p;
	bool negated = false;
	int index;

	*v = (struct sql_value){.kind = VALUE_NULL};
	if (c->isnull)
		return;
	if (c->location < 0 || (size_t)c->location >= an->len || an->n_consts == 0) {
		pinned_const(an, c, v);
		return;
	}
	p = an->text + c->location;
	if (c->val_case == PG_QUERY__A__CONST__VAL_IVAL ||
	    c->val_case == PG_QUERY__A__CONST__VAL_FVAL)
		p = skip_sign(an, c->location, &negated);
	index = const_at(an, p);
	if (index < 0) {
		pinned_const(an, c, v);
	} else if (c->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL ||
	    c->val_case == PG_QUERY__A__CONST__VAL_BSVAL) {
		v->kind = VALUE_UNKNOWN;
	} else {
		v->kind = VALUE_CONST;
		v->index = (uint32_t)index;
		v->negated = negated;
	}
}

/* ---- expressions ---- */

static bool
is_int_type(const char *t)
{
	return strcmp(t, "int2") == 0 || strcmp(t, "int4") == 0 || strcmp(t, "int8") == 0;
}

/* A cast of a number: to an integer only from an integer, since 5.7::int is 6. */
static bool
number_cast_ok(const PgQuery__AConst *c, const char *cast)
{
	bool integer = c->val_case == PG_QUERY__A__CONST__VAL_IVAL ||
	    (c->val_case == PG_QUERY__A__CONST__VAL_FVAL &&
		strcmp(float_type(c->fval->fval), "int8") == 0);

	return strcmp(cast, "numeric") == 0 || (integer && is_int_type(cast));
}

static void
cast_expr(
    struct analysis *an, struct spot at, const PgQuery__TypeCast *tc, struct sql_expr *e)
{
	const char *cast = an_type_name(an, tc->type_name);
	const PgQuery__Node *arg = tc->arg;

	an_expr(an, at, arg, e);
	if (cast == NULL || arg == NULL) {
		e->kind = EXPR_OTHER;
	} else if (e->kind == EXPR_COL) {
		e->kind = e->cast == NULL ? EXPR_COL : EXPR_OTHER;
		e->cast = cast;
	} else if (e->kind == EXPR_VALUE && arg->node_case == NODE(A_CONST)) {
		const PgQuery__AConst *c = arg->a_const;
		bool number = c->val_case == PG_QUERY__A__CONST__VAL_IVAL ||
		    c->val_case == PG_QUERY__A__CONST__VAL_FVAL;

		if (number && !number_cast_ok(c, cast))
			e->kind = EXPR_OTHER;
		e->value.cast = cast;
	} else if (e->kind == EXPR_VALUE && arg->node_case == NODE(PARAM_REF)) {
		e->value.cast = cast;
	} else {
		e->kind = EXPR_OTHER;
	}
}

static void
col_expr(struct analysis *an, const PgQuery__ColumnRef *c, struct sql_expr *e)
{
	size_t n = c->n_fields;
	const PgQuery__Node *last = n == 0 ? NULL : c->fields[n - 1];

	if (last == NULL || n > 4)
		return;
	e->kind = last->node_case == NODE(A_STAR) ? EXPR_STAR : EXPR_COL;
	e->col = e->kind == EXPR_COL ? an_strdup(an, an_string(last)) : NULL;
	if (e->kind == EXPR_COL && e->col == NULL)
		e->kind = EXPR_OTHER;
	e->rel = n >= 2 ? an_strdup(an, an_string(c->fields[n - 2])) : NULL;
	e->schema = n >= 3 ? an_strdup(an, an_string(c->fields[n - 3])) : NULL;
}

static bool
is_op(size_t n, PgQuery__Node *const *name, const char *op)
{
	const char *last = n >= 1 ? an_string(name[n - 1]) : NULL;
	const char *schema = n >= 2 ? an_string(name[n - 2]) : NULL;

	return last != NULL && strcmp(last, op) == 0 &&
	    (n == 1 || (n == 2 && schema != NULL && strcmp(schema, "pg_catalog") == 0));
}

/* -(5::int8): the minus stands before a cast, so it was not folded. */
static bool
minus_expr(
    struct analysis *an, struct spot at, const PgQuery__AExpr *a, struct sql_expr *e)
{
	if (a->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || a->lexpr != NULL ||
	    a->rexpr == NULL || a->rexpr->node_case != NODE(TYPE_CAST) ||
	    !is_op(a->n_name, a->name, "-"))
		return false;
	an_expr(an, at, a->rexpr, e);
	if (e->kind == EXPR_VALUE && e->value.kind == VALUE_CONST &&
	    e->value.cast != NULL &&
	    (is_int_type(e->value.cast) || strcmp(e->value.cast, "numeric") == 0))
		e->value.negated = !e->value.negated;
	else
		e->kind = EXPR_OTHER;
	return true;
}

void
an_expr(struct analysis *an, struct spot at, const PgQuery__Node *n, struct sql_expr *e)
{
	*e = (struct sql_expr){.kind = EXPR_OTHER};
	if (n == NULL)
		return;
	switch (n->node_case) {
	case NODE(COLUMN_REF):
		col_expr(an, n->column_ref, e);
		return;
	case NODE(A_CONST):
		const_value(an, n->a_const, &e->value);
		e->kind = e->value.kind == VALUE_UNKNOWN ? EXPR_OTHER : EXPR_VALUE;
		return;
	case NODE(PARAM_REF):
		e->kind = n->param_ref->number > 0 ? EXPR_VALUE : EXPR_OTHER;
		e->value = (struct sql_value){
		    .kind = VALUE_PARAM, .index = (uint32_t)n->param_ref->number};
		return;
	case NODE(TYPE_CAST):
		cast_expr(an, at, n->type_cast, e);
		return;
	case NODE(SET_TO_DEFAULT):
		e->kind = EXPR_DEFAULT;
		return;
	case NODE(A_EXPR):
		if (minus_expr(an, at, n->a_expr, e))
			return;
		break;
	default:
		break;
	}
	an_walk(an, at, &n->base);
}

/* ---- walking ---- */

static void
record_op(struct analysis *an, struct sql_query *q, size_t n, PgQuery__Node *const *names)
{
	struct sql_op *op;
	const char *schema, *name;

	if (n == 0 || an_string(names[n - 1]) == NULL)
		return;
	for (int i = 0; i < q->n_ops; i++)
		if (n == 1 && q->ops[i].schema == NULL &&
		    strcmp(q->ops[i].name, an_string(names[0])) == 0)
			return;
	an_name(an, n, names, &schema, &name);
	op = AN_PUSH(an, q->ops, q->n_ops);
	*op = (struct sql_op){schema, name};
}

static void
record_func(struct analysis *an, const char *schema, const char *name, int n_args)
{
	for (int i = 0; i < an->n_funcs; i++)
		if (an->funcs[i].n_args == n_args &&
		    strcmp(an->funcs[i].name, name) == 0 &&
		    (schema == NULL) == (an->funcs[i].schema == NULL) &&
		    (schema == NULL || strcmp(schema, an->funcs[i].schema) == 0))
			return;
	struct sql_func *f = AN_PUSH(an, an->funcs, an->n_funcs);

	*f = (struct sql_func){schema, name, n_args};
}

static void
record_call(struct analysis *an, struct spot at, const PgQuery__FuncCall *f)
{
	struct sql_call call = {0};
	int n = f->n_args > SQL_CALL_ARGS_MAX ? SQL_CALL_ARGS_MAX : (int)f->n_args;
	struct sql_call *c;

	an_name(an, f->n_funcname, f->funcname, &call.schema, &call.name);
	call.n_args = f->n_args > 10000 ? 10000 : (int)f->n_args;
	call.args = ARENA_NEW_N(an->arena, struct sql_expr, (size_t)n + 1);
	/* what the arguments hold is recorded here too: an_expr() walks what is not plain
	 */
	for (int i = 0; i < n; i++)
		an_expr(an, at, f->args[i], &call.args[i]);
	for (size_t i = (size_t)n; i < f->n_args; i++)
		an_walk(an, at, &f->args[i]->base);
	an_walk_list(an, at, f->n_agg_order, f->agg_order);
	if (f->agg_filter != NULL)
		an_walk(an, at, &f->agg_filter->base);
	if (f->over != NULL) {
		at.level->window = true;
		an_walk(an, at, &f->over->base);
	}
	record_func(an, call.schema, call.name, call.n_args);
	c = AN_PUSH(an, at.level->calls, at.level->n_calls);
	*c = call;
}

static void
record_sublink(struct analysis *an, struct spot at, const PgQuery__SubLink *s)
{
	struct sql_query *q;

	if (s->testexpr != NULL)
		an_walk(an, at, &s->testexpr->base);
	record_op(an, at.level, s->n_oper_name, s->oper_name);
	if (s->subselect == NULL)
		return;
	q = an_query(an, s->subselect, at.level, at.place, at.at);
	if (q != NULL)
		*AN_PUSH(an, at.level->subs, at.level->n_subs) = q;
}

/* Nodes that mean more than their parts. False: look at the parts. */
static bool
walk_node(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	switch (n->node_case) {
	case NODE(FUNC_CALL):
		record_call(an, at, n->func_call);
		return true;
	case NODE(SUB_LINK):
		record_sublink(an, at, n->sub_link);
		return true;
	case NODE(A_EXPR):
		record_op(an, at.level, n->a_expr->n_name, n->a_expr->name);
		return false;
	case NODE(SELECT_STMT): {
		struct sql_query *q = an_query(an, n, at.level, at.place, at.at);

		if (q != NULL)
			*AN_PUSH(an, at.level->subs, at.level->n_subs) = q;
		return true;
	}
	default:
		return false;
	}
}

void
an_walk(struct analysis *an, struct spot at, const ProtobufCMessage *m)
{
	const ProtobufCMessageDescriptor *d;

	if (m == NULL)
		return;
	d = m->descriptor;
	if (d == &pg_query__node__descriptor &&
	    walk_node(an, at, (const PgQuery__Node *)(const void *)m))
		return;
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		const char *member = (const char *)m + f->offset;

		if (f->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			size_t n = *(const size_t *)(const void *)((const char *)m +
			    f->quantifier_offset);
			ProtobufCMessage *const *v =
			    *(ProtobufCMessage *const *const *)(const void *)member;

			for (size_t k = 0; k < n; k++)
				an_walk(an, at, v[k]);
			continue;
		}
		if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
		    *(const uint32_t *)(const void *)((const char *)m +
			f->quantifier_offset) != f->id)
			continue;
		an_walk(an, at, *(ProtobufCMessage *const *)(const void *)member);
	}
}

void
an_walk_list(struct analysis *an, struct spot at, size_t n, PgQuery__Node *const *v)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] != NULL)
			an_walk(an, at, &v[i]->base);
}

/* ---- conditions ---- */

static struct sql_cond *
new_cond(struct analysis *an, enum cond_kind kind)
{
	struct sql_cond *c = ARENA_NEW(an->arena, struct sql_cond);

	c->kind = kind;
	return c;
}

static struct sql_cond *
other_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	an_walk(an, at, &n->base);
	return new_cond(an, COND_OTHER);
}

static struct sql_cond *
list_cond(struct analysis *an, enum cond_kind kind, int n)
{
	struct sql_cond *c = new_cond(an, kind);

	c->args = ARENA_NEW_N(an->arena, struct sql_cond *, (size_t)n + 1);
	return c;
}

static struct sql_cond *
bool_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	const PgQuery__BoolExpr *b = n->bool_expr;
	struct sql_cond *c;

	if (b->boolop != PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR &&
	    b->boolop != PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR)
		return other_cond(an, at, n);
	c = list_cond(an,
	    b->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR ? COND_AND : COND_OR,
	    (int)b->n_args);
	for (size_t i = 0; i < b->n_args; i++)
		c->args[c->n++] = an_cond(an, at, b->args[i]);
	return c;
}

static bool
is_row(const PgQuery__Node *n)
{
	return n != NULL && n->node_case == NODE(ROW_EXPR);
}

static bool
is_scalar_sublink(const PgQuery__Node *n)
{
	return n != NULL && n->node_case == NODE(SUB_LINK) &&
	    n->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK;
}

static struct sql_cond *
subquery_cond(struct analysis *an, struct spot at, const PgQuery__Node *left,
    const PgQuery__Node *subselect, bool scalar)
{
	struct sql_cond *c = new_cond(an, COND_SUBQUERY);
	size_t n = is_row(left) ? left->row_expr->n_args : 1;

	c->scalar = scalar;
	c->left = ARENA_NEW_N(an->arena, struct sql_expr, n + 1);
	c->n = (int)n;
	for (size_t i = 0; i < n; i++)
		an_expr(
		    an, at, is_row(left) ? left->row_expr->args[i] : left, &c->left[i]);
	c->subquery = an_query(an, subselect, at.level, at.place, at.at);
	if (c->subquery == NULL)
		return new_cond(an, COND_OTHER);
	*AN_PUSH(an, at.level->subs, at.level->n_subs) = c->subquery;
	return c;
}

static struct sql_cond *
compare_cond(struct analysis *an, struct spot at, enum cond_kind kind, enum cmp_op op,
    const PgQuery__Node *left, const PgQuery__Node *right)
{
	struct sql_cond *c = new_cond(an, kind);

	c->op = op;
	c->n = 1;
	c->left = ARENA_NEW(an->arena, struct sql_expr);
	c->right = ARENA_NEW(an->arena, struct sql_expr);
	an_expr(an, at, left, c->left);
	an_expr(an, at, right, c->right);
	return c;
}

/* (a, b) = (1, 2) */
static struct sql_cond *
row_equal(struct analysis *an, struct spot at, const PgQuery__RowExpr *l,
    const PgQuery__RowExpr *r)
{
	struct sql_cond *c = list_cond(an, COND_AND, (int)l->n_args);

	for (size_t i = 0; i < l->n_args; i++)
		c->args[c->n++] =
		    compare_cond(an, at, COND_EQ, CMP_LT, l->args[i], r->args[i]);
	return c;
}

static struct sql_cond *
equal_cond(struct analysis *an, struct spot at, const PgQuery__AExpr *a)
{
	if (is_scalar_sublink(a->rexpr) && !is_row(a->lexpr))
		return subquery_cond(
		    an, at, a->lexpr, a->rexpr->sub_link->subselect, true);
	if (is_scalar_sublink(a->lexpr) && !is_row(a->rexpr))
		return subquery_cond(
		    an, at, a->rexpr, a->lexpr->sub_link->subselect, true);
	if (is_row(a->lexpr) && is_row(a->rexpr) &&
	    a->lexpr->row_expr->n_args == a->rexpr->row_expr->n_args)
		return row_equal(an, at, a->lexpr->row_expr, a->rexpr->row_expr);
	return compare_cond(an, at, COND_EQ, CMP_LT, a->lexpr, a->rexpr);
}

static struct sql_cond *
op_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	static const struct {
		const char *name;
		enum cmp_op op;
	} ops[] = {{"<", CMP_LT}, {"<=", CMP_LE}, {">=", CMP_GE}, {">", CMP_GT}};
	const PgQuery__AExpr *a = n->a_expr;

	if (a->lexpr == NULL || a->rexpr == NULL)
		return other_cond(an, at, n);
	if (is_op(a->n_name, a->name, "=")) {
		record_op(an, at.level, a->n_name, a->name);
		return equal_cond(an, at, a);
	}
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
		if (is_op(a->n_name, a->name, ops[i].name) && !is_row(a->lexpr)) {
			record_op(an, at.level, a->n_name, a->name);
			return compare_cond(
			    an, at, COND_CMP, ops[i].op, a->lexpr, a->rexpr);
		}
	return other_cond(an, at, n);
}

/* col IN (…) and col = ANY (ARRAY[…]); elem_cast NULL or the type that the array is cast
 * to. */
static struct sql_cond *
in_cond(struct analysis *an, struct spot at, const PgQuery__Node *left, size_t n,
    PgQuery__Node *const *items, const char *elem_cast)
{
	struct sql_cond *c = new_cond(an, COND_IN);

	c->left = ARENA_NEW(an->arena, struct sql_expr);
	c->right = ARENA_NEW_N(an->arena, struct sql_expr, n + 1);
	an_expr(an, at, left, c->left);
	for (size_t i = 0; i < n; i++) {
		struct sql_expr *e = &c->right[c->n++];

		an_expr(an, at, items[i], e);
		if (elem_cast == NULL || e->kind != EXPR_VALUE)
			continue;
		if (e->value.cast == NULL && items[i]->node_case == NODE(A_CONST) &&
		    items[i]->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL &&
		    !items[i]->a_const->isnull &&
		    !number_cast_ok(items[i]->a_const, elem_cast))
			e->kind = EXPR_OTHER;
		if (e->value.cast == NULL)
			e->value.cast = elem_cast;
	}
	return c;
}

/* (a, b) IN ((1, 2), (3, 4)) */
static struct sql_cond *
row_in(struct analysis *an, struct spot at, const PgQuery__RowExpr *l,
    const PgQuery__List *items)
{
	struct sql_cond *c = list_cond(an, COND_OR, (int)items->n_items);

	for (size_t i = 0; i < items->n_items; i++)
		c->args[c->n++] = row_equal(an, at, l, items->items[i]->row_expr);
	return c;
}

static bool
all_rows(const PgQuery__List *l, size_t width)
{
	for (size_t i = 0; i < l->n_items; i++)
		if (!is_row(l->items[i]) || l->items[i]->row_expr->n_args != width)
			return false;
	return l->n_items > 0;
}

static struct sql_cond *
in_list_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	const PgQuery__AExpr *a = n->a_expr;

	if (!is_op(a->n_name, a->name, "=") || a->rexpr == NULL ||
	    a->rexpr->node_case != NODE(LIST))
		return other_cond(an, at, n);
	record_op(an, at.level, a->n_name, a->name);
	if (!is_row(a->lexpr))
		return in_cond(an, at, a->lexpr, a->rexpr->list->n_items,
		    a->rexpr->list->items, NULL);
	if (all_rows(a->rexpr->list, a->lexpr->row_expr->n_args))
		return row_in(an, at, a->lexpr->row_expr, a->rexpr->list);
	return other_cond(an, at, n);
}

static struct sql_cond *
any_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	const PgQuery__AExpr *a = n->a_expr;
	const PgQuery__Node *right = a->rexpr;
	const char *cast = NULL;
	struct sql_cond *c;

	if (!is_op(a->n_name, a->name, "=") || right == NULL || is_row(a->lexpr))
		return other_cond(an, at, n);
	record_op(an, at.level, a->n_name, a->name);
	if (right->node_case == NODE(TYPE_CAST) && right->type_cast->arg != NULL &&
	    right->type_cast->arg->node_case == NODE(A_ARRAY_EXPR)) {
		cast = an_type_name(an, right->type_cast->type_name);
		if (cast == NULL || cast[0] != '_')
			return other_cond(an, at, n);
		cast++;
		right = right->type_cast->arg;
	}
	if (right->node_case == NODE(A_ARRAY_EXPR))
		return in_cond(an, at, a->lexpr, right->a_array_expr->n_elements,
		    right->a_array_expr->elements, cast);
	c = compare_cond(an, at, COND_ANY, CMP_LT, a->lexpr, right);
	return c->right->kind == EXPR_VALUE ? c : new_cond(an, COND_OTHER);
}

static struct sql_cond *
between_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	const PgQuery__AExpr *a = n->a_expr;
	struct sql_cond *c;

	if (a->rexpr == NULL || a->rexpr->node_case != NODE(LIST) ||
	    a->rexpr->list->n_items != 2)
		return other_cond(an, at, n);
	c = list_cond(an, COND_AND, 2);
	c->args[c->n++] =
	    compare_cond(an, at, COND_CMP, CMP_GE, a->lexpr, a->rexpr->list->items[0]);
	c->args[c->n++] =
	    compare_cond(an, at, COND_CMP, CMP_LE, a->lexpr, a->rexpr->list->items[1]);
	return c;
}

static struct sql_cond *
sublink_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	const PgQuery__SubLink *s = n->sub_link;

	if (s->sub_link_type != PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK ||
	    s->testexpr == NULL || s->subselect == NULL ||
	    (s->n_oper_name > 0 && !is_op(s->n_oper_name, s->oper_name, "=")))
		return other_cond(an, at, n);
	return subquery_cond(an, at, s->testexpr, s->subselect, false);
}

static struct sql_cond *
expr_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	switch (n->a_expr->kind) {
	case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
		return op_cond(an, at, n);
	case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
		return in_list_cond(an, at, n);
	case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
		return any_cond(an, at, n);
	case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
		return between_cond(an, at, n);
	default:
		return other_cond(an, at, n);
	}
}

struct sql_cond *
an_cond(struct analysis *an, struct spot at, const PgQuery__Node *n)
{
	if (n == NULL)
		return NULL;
	switch (n->node_case) {
	case NODE(BOOL_EXPR):
		return bool_cond(an, at, n);
	case NODE(A_EXPR):
		return expr_cond(an, at, n);
	case NODE(SUB_LINK):
		return sublink_cond(an, at, n);
	case NODE(BOOLEAN_TEST):
		if (n->boolean_test->booltesttype == PG_QUERY__BOOL_TEST_TYPE__IS_TRUE)
			return an_cond(an, at, n->boolean_test->arg);
		return other_cond(an, at, n);
	default:
		return other_cond(an, at, n);
	}
}
