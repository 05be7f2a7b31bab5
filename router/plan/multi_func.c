/* Functions that a fragment may call: those that give the same on every shard, at any
 * time while the statement runs. */
#include <ctype.h>
#include <stdlib.h>

#include "router/plan/multi_int.h"

/* Sorted. */
static const char *const aggregates[] = {"any_value", "array_agg", "avg", "bit_and",
    "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar_pop",
    "covar_samp", "cume_dist", "dense_rank", "every", "json_agg", "json_agg_strict",
    "json_object_agg", "json_object_agg_strict", "json_object_agg_unique",
    "json_object_agg_unique_strict", "jsonb_agg", "jsonb_agg_strict", "jsonb_object_agg",
    "jsonb_object_agg_strict", "jsonb_object_agg_unique",
    "jsonb_object_agg_unique_strict", "max", "min", "mode", "percent_rank",
    "percentile_cont", "percentile_disc", "range_agg", "range_intersect_agg", "rank",
    "regr_avgx", "regr_avgy", "regr_count", "regr_intercept", "regr_r2", "regr_slope",
    "regr_sxx", "regr_sxy", "regr_syy", "stddev", "stddev_pop", "stddev_samp",
    "string_agg", "sum", "var_pop", "var_samp", "variance", "xmlagg"};

/* Stable by pg_proc, but by the session's settings only, which are the same everywhere;
 * sorted. */
static const char *const by_settings[] = {"array_agg", "array_to_json", "array_to_string",
    "concat", "concat_ws", "date", "date_part", "date_trunc", "extract", "format",
    "generate_series", "isfinite", "json_agg", "json_build_array", "json_build_object",
    "json_object_agg", "json_strip_nulls", "jsonb_agg", "jsonb_build_array",
    "jsonb_build_object", "jsonb_object_agg", "make_timestamptz", "overlaps",
    "quote_literal", "quote_nullable", "row_to_json", "string_agg", "time", "timestamp",
    "timestamptz", "timezone", "to_char", "to_date", "to_json", "to_jsonb", "to_number",
    "to_timestamp"};

static int
by_name(const void *name, const void *row)
{
	return strcmp(name, *(const char *const *)row);
}

bool
is_aggregate_name(const char *name)
{
	return bsearch(name, aggregates, sizeof aggregates / sizeof *aggregates,
		   sizeof *aggregates, by_name) != NULL;
}

bool
is_decided_aggregate(const char *name)
{
	static const char *const good[] = {"avg", "bit_and", "bit_or", "bit_xor",
	    "bool_and", "bool_or", "count", "every", "max", "min", "sum"};

	return bsearch(name, good, sizeof good / sizeof *good, sizeof *good, by_name) !=
	    NULL;
}

const char *
tree_name(size_t n, PgQuery__Node *const *names)
{
	const char *last = n == 0 ? NULL : tree_str(names[n - 1]);

	return last == NULL ? "" : last;
}

bool
is_aggregate(const PgQuery__FuncCall *f)
{
	return f->agg_star || f->agg_distinct || f->agg_within_group ||
	    f->n_agg_order > 0 || f->agg_filter != NULL ||
	    is_aggregate_name(tree_name(f->n_funcname, f->funcname));
}

struct same {
	struct build *b;
	const struct schema_table *in_view;
	bool subqueries;
};

static bool
same_function(const struct same *s, const PgQuery__FuncCall *f)
{
	const char *name =
	    f->n_funcname > 0 ? tree_str(f->funcname[f->n_funcname - 1]) : NULL;
	const char *schema = f->n_funcname > 1 ? tree_str(f->funcname[0]) : NULL;
	const struct builtin *b = name == NULL ? NULL : builtin_func(name);
	struct func_info i;

	if (name == NULL || f->n_funcname > 2)
		return false;
	i = func_info(&s->b->c, schema, name, (int)f->n_args, s->in_view);
	if (i.mf != NULL || i.unknown || i.primary || i.tables)
		return false;
	/* random() is volatile in name, which is enough here */
	if (b != NULL && b->volatility == SCHEMA_VOLATILE)
		return false;
	if (i.volatility == SCHEMA_IMMUTABLE)
		return true;
	if (i.user || i.volatility == SCHEMA_VOLATILE)
		return false;
	if (strcmp(name, "age") == 0)
		return f->n_args == 2;
	return bsearch(name, by_settings, sizeof by_settings / sizeof *by_settings,
		   sizeof *by_settings, by_name) != NULL;
}

/* 'now', 'today' … as a date or time would be read anew on each shard. */
static bool
names_a_time(const char *s, size_t n)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && isalpha((unsigned char)s[i - 1]))
			continue;
		for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
			size_t end = i + strlen(words[w]);

			if (end <= n && strncasecmp(s + i, words[w], end - i) == 0 &&
			    (end == n || !isalpha((unsigned char)s[end])))
				return true;
		}
	}
	return false;
}

/* Types whose values are numbers of a server's own catalog. */
bool
is_catalog_type(const char *type)
{
	static const char *const names[] = {"regclass", "regcollation", "regconfig",
	    "regdictionary", "regnamespace", "regoper", "regoperator", "regproc",
	    "regprocedure", "regrole", "regtype"};

	type += *type == '_';
	return bsearch(type, names, sizeof names / sizeof *names, sizeof *names,
		   by_name) != NULL;
}

static bool
same_param(const struct same *s, const PgQuery__ParamRef *p)
{
	const struct plan_ctx *ctx = s->b->ctx;
	const struct plan_param *v;

	if (ctx->params == NULL || p->number < 1 || p->number > ctx->n_params)
		return false;
	v = &ctx->params[p->number - 1];
	return v->format != 0 || v->len < 0 || !names_a_time(v->ptr, (size_t)v->len);
}

/* regclass and its like give numbers that are each shard's own. */
static bool
same_type(const PgQuery__TypeName *t)
{
	const char *name = t->n_names > 0 ? tree_str(t->names[t->n_names - 1]) : NULL;

	return name != NULL && strncmp(name, "reg", 3) != 0 && !t->pct_type;
}

static bool
same_node(const struct same *s, const PgQuery__Node *n)
{
	switch (n->node_case) {
	case PG_QUERY__NODE__NODE_FUNC_CALL:
		return same_function(s, n->func_call);
	case PG_QUERY__NODE__NODE_A_CONST:
		return n->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL ||
		    !names_a_time(n->a_const->sval->sval, strlen(n->a_const->sval->sval));
	case PG_QUERY__NODE__NODE_PARAM_REF:
		return same_param(s, n->param_ref);
	case PG_QUERY__NODE__NODE_TYPE_CAST:
		return same_type(n->type_cast->type_name);
	case PG_QUERY__NODE__NODE_SUB_LINK:
	case PG_QUERY__NODE__NODE_SELECT_STMT:
		return s->subqueries;
	case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
	case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
	case PG_QUERY__NODE__NODE_CURRENT_OF_EXPR:
	case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
		return false;
	default:
		return true;
	}
}

static enum walk
differs(void *arg, ProtobufCMessage *m)
{
	const PgQuery__Node *n = tree_node(m);

	return n != NULL && !same_node(arg, n) ? WALK_END : WALK_ON;
}

bool
is_same_everywhere(
    struct build *b, void *tree, const struct schema_table *in_view, bool subqueries)
{
	struct same s = {b, in_view, subqueries};

	return !tree_walk(tree, differs, &s);
}
