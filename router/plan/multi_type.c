/* Types of expressions, where they can be told without the server; only those count that
 * an aggregate's sum depends on. */
#include <errno.h>
#include <stdlib.h>

#include "router/plan/multi_int.h"

static const char *const numbers[] = {
    "int2", "int4", "int8", "numeric", "float4", "float8"};
#define N_NUMBERS (sizeof numbers / sizeof *numbers)

static int
number_rank(const char *type)
{
	for (size_t i = 0; type != NULL && i < N_NUMBERS; i++)
		if (strcmp(numbers[i], type) == 0)
			return (int)i;
	return -1;
}

/* A column of a table, through subqueries, CTEs and views. */
const struct schema_column *
base_column(struct build *b, const struct sql_query *q, const struct sql_expr *e)
{
	struct compile *c = &b->c;
	struct col col;

	for (int depth = 0; depth < 32; depth++) {
		const struct sql_query *inner;
		const struct schema_table *st;
		const char *real;
		int i;

		if (e != NULL && (e->cast != NULL || !resolve_col(c, q, NULL, e, &col)))
			return NULL;
		if (e == NULL && col.rel == NULL)
			return NULL;
		real = real_name(c, col.rel, col.name);
		if (real == NULL)
			return NULL;
		st = columns_of(c, col.rel);
		i = st == NULL ? -1 : schema_column(st, real);
		if (i >= 0)
			return &st->columns[i];
		inner = rel_query(c, col.rel);
		if (inner == NULL || inner->kind != Q_SELECT ||
		    (col.rel->kind == REL_CTE && col.rel->cte->recursive) ||
		    !inner_of(c, col, inner, &e, &col))
			return NULL;
		q = inner;
	}
	return NULL;
}

static const char *
type_of_column(struct build *b, const struct sql_query *q, const struct sql_expr *e)
{
	const struct schema_column *c = base_column(b, q, e);

	return c == NULL ? NULL : c->type;
}

static bool
is_deterministic(struct build *b, const struct sql_query *q, const PgQuery__Node *n)
{
	struct sql_expr e = column_expr(n);
	const struct schema_column *c = e.kind == EXPR_COL ? base_column(b, q, &e) : NULL;

	return c != NULL && c->deterministic;
}

/* + - * of two numbers; an operator of a user's would change that. */
static const char *
type_of_operator(struct build *b, const struct sql_query *q, const PgQuery__AExpr *x)
{
	const char *op = tree_name(x->n_name, x->name);
	int l, r;

	if (x->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || x->n_name != 1 ||
	    strlen(op) != 1 || strchr("+-*/", *op) == NULL ||
	    (b->c.schema != NULL && schema_operator(b->c.schema, NULL, op).found))
		return NULL;
	r = number_rank(type_of(b, q, x->rexpr));
	l = x->lexpr == NULL ? r : number_rank(type_of(b, q, x->lexpr));
	if (l < 0 || r < 0)
		return NULL;
	if (x->lexpr == NULL)
		return numbers[r];
	l = l > r ? l : r;
	/* float4 with anything but float4 is float8 */
	return numbers[l] == numbers[4] &&
		strcmp(type_of(b, q, x->lexpr), type_of(b, q, x->rexpr)) != 0
	    ? "float8"
	    : numbers[l];
}

static const char *
type_of_const(const PgQuery__AConst *c)
{
	long long v;
	char *end;

	if (c->val_case == PG_QUERY__A__CONST__VAL_IVAL)
		return "int4";
	if (c->val_case != PG_QUERY__A__CONST__VAL_FVAL)
		return NULL;
	if (strpbrk(c->fval->fval, ".eE") != NULL)
		return "numeric";
	errno = 0;
	v = strtoll(c->fval->fval, &end, 10);
	(void)v;
	return errno == 0 && *end == '\0' ? "int8" : "numeric";
}

static const char *
type_of_all(struct build *b, const struct sql_query *q, size_t n, PgQuery__Node *const *v)
{
	const char *all = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *one = type_of(b, q, v[i]);
		int r = number_rank(one), l = all == NULL ? r : number_rank(all);

		/* integers and numeric give the widest of them */
		if (r < 0 || (l != r && (l > 3 || r > 3)))
			return NULL;
		all = numbers[l > r ? l : r];
	}
	return all;
}

static const char *
type_of_case(struct build *b, const struct sql_query *q, const PgQuery__CaseExpr *x)
{
	PgQuery__Node **v = NULL;
	size_t n = 0;

	for (size_t i = 0; i < x->n_args; i++)
		tree_push(b->arena, &n, &v, x->args[i]->case_when->result);
	if (x->defresult != NULL)
		tree_push(b->arena, &n, &v, x->defresult);
	return type_of_all(b, q, n, v);
}

/* Of PostgreSQL's own, which no function of a user's hides. */
static const char *
type_of_call(struct build *b, const struct sql_query *q, const PgQuery__FuncCall *f)
{
	const char *name = tree_name(f->n_funcname, f->funcname), *t;

	if (func_info(&b->c, f->n_funcname > 1 ? tree_str(f->funcname[0]) : NULL, name,
		(int)f->n_args, NULL)
		.user)
		return NULL;
	if (strcmp(name, "count") == 0 || strcmp(name, "row_number") == 0 ||
	    (f->over != NULL &&
		(strcmp(name, "rank") == 0 || strcmp(name, "dense_rank") == 0)))
		return "int8";
	t = f->n_args == 1 ? type_of(b, q, f->args[0]) : NULL;
	if (t == NULL)
		return NULL;
	if (strcmp(name, "min") == 0 || strcmp(name, "max") == 0)
		return number_rank(t) >= 0 ? t : NULL;
	if (strcmp(name, "sum") == 0)
		return number_rank(t) < 0 ? NULL
		    : number_rank(t) < 2  ? "int8"
		    : number_rank(t) < 4  ? "numeric"
					  : t;
	if (strcmp(name, "avg") == 0)
		return number_rank(t) < 0 ? NULL
		    : number_rank(t) < 4  ? "numeric"
					  : "float8";
	return NULL;
}

enum exactness
exactness_of(struct build *b, const struct sql_query *q, const PgQuery__Node *n)
{
	static const char *const any[] = {
	    "int2", "int4", "int8", "numeric", "oid", "bool", "uuid"};
	static const char *const binary[] = {"float4", "float8", "date", "time",
	    "timestamp", "timestamptz", "interval", "bytea"};
	const char *t = type_of(b, q, n);

	for (size_t i = 0; t != NULL && i < sizeof any / sizeof *any; i++)
		if (strcmp(t, any[i]) == 0)
			return EXACT_ANY;
	for (size_t i = 0; t != NULL && i < sizeof binary / sizeof *binary; i++)
		if (strcmp(t, binary[i]) == 0)
			return EXACT_BINARY;
	return t != NULL && (strcmp(t, "text") == 0 || strcmp(t, "varchar") == 0) &&
		is_deterministic(b, q, n)
	    ? EXACT_EQUAL
	    : EXACT_NOT;
}

const char *
type_of(struct build *b, const struct sql_query *q, const PgQuery__Node *n)
{
	struct sql_expr e = column_expr(n);
	const PgQuery__TypeName *t;

	if (e.kind == EXPR_COL)
		return type_of_column(b, q, &e);
	if (NODE_IS(n, A_CONST))
		return type_of_const(n->a_const);
	if (NODE_IS(n, A_EXPR))
		return type_of_operator(b, q, n->a_expr);
	if (NODE_IS(n, FUNC_CALL))
		return type_of_call(b, q, n->func_call);
	if (NODE_IS(n, COALESCE_EXPR))
		return type_of_all(
		    b, q, n->coalesce_expr->n_args, n->coalesce_expr->args);
	if (NODE_IS(n, CASE_EXPR))
		return type_of_case(b, q, n->case_expr);
	if (!NODE_IS(n, TYPE_CAST))
		return NULL;
	t = n->type_cast->type_name;
	if (t->n_array_bounds > 0 || t->setof || t->n_names == 0 ||
	    (t->n_names == 2 && strcmp(tree_name(1, t->names), "pg_catalog") != 0))
		return NULL;
	/* one part only: it may be a user's type, which has no such name */
	return number_rank(tree_name(t->n_names, t->names)) >= 0
	    ? tree_name(t->n_names, t->names)
	    : NULL;
}
