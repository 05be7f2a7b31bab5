/* router/sql/query.h: the tree of query levels behind sql_stmt.query: tables, joins,
 * conditions, values. Read by router/plan and by router/route/schema.c (views); the
 * session knows only that it is there. A level is a SELECT, one branch of a set
 * operation, a VALUES list or a data-modifying statement. Names are kept as they were
 * written (folded); what they mean depends on search_path and schema and is the planner's
 * business. Conditions keep only what can pin a key down: AND, OR, comparisons of columns
 * with values and with each other. Everything else is COND_OTHER, which proves nothing;
 * its functions and subqueries are still recorded in the level. Memory: the arena of the
 * struct sql_stmts; immutable after sql_analyze(). */
#ifndef WEIR_ROUTER_SQL_QUERY_H
#define WEIR_ROUTER_SQL_QUERY_H

#include <stdbool.h>

#include "router/sql/stmt.h"

struct sql_query;
struct sql_cte;

/* ---- expressions ---- */

enum expr_kind {
	EXPR_OTHER,  /* anything that is not below */
	EXPR_COL,    /* [[schema.]rel.]col */
	EXPR_STAR,   /* [[schema.]rel.]* */
	EXPR_VALUE,  /* a constant or parameter; value.cast: "int8", or "_int8" for an
			array of it */
	EXPR_DEFAULT /* DEFAULT in INSERT and UPDATE */
};

struct sql_expr {
	enum expr_kind kind;
	const char *schema, *rel, *col; /* COL, STAR; NULL where not written */
	const char *cast;               /* COL: type it is cast to, or NULL */
	struct sql_value value;
};

/* ---- conditions ---- */

enum cond_kind {
	COND_OTHER,
	COND_AND,
	COND_OR,
	COND_EQ,
	COND_CMP,
	COND_IN,
	COND_ANY,
	COND_SUBQUERY
};
enum cmp_op { CMP_LT, CMP_LE, CMP_GE, CMP_GT };

struct sql_cond {
	enum cond_kind kind;
	enum cmp_op op;         /* CMP: left op right */
	int n;                  /* AND, OR: of args; IN: of right; SUBQUERY: of left */
	struct sql_cond **args; /* AND, OR */
	struct sql_expr *left;  /* EQ, CMP, IN, ANY: one; SUBQUERY: n */
	struct sql_expr *right; /* EQ, CMP: one; IN: n; ANY: the array */
	struct sql_query *subquery; /* left IN (subquery), left = (subquery) */
	bool scalar; /* SUBQUERY: = (subquery), which must not be narrowed: it may fail
			with two rows */
};

/* ---- tables and joins ---- */

enum rel_kind {
	REL_TABLE, /* [schema.]name */
	REL_QUERY, /* a subquery */
	REL_CTE,
	REL_OTHER /* a function, XMLTABLE … : no table in it */
};

struct sql_rel {
	enum rel_kind kind;
	bool lateral;
	bool hidden;               /* inside a join that has an alias: cannot be named */
	const char *schema, *name; /* TABLE */
	const char *alias;         /* what it is called in its level; NULL: nothing */
	const char *const *colnames; /* the alias's names of the first columns */
	int n_colnames;
	struct sql_query *query; /* QUERY */
	struct sql_cte *cte;     /* CTE */
	struct sql_query *level; /* where it stands */
	struct sql_from *leaf;   /* NULL: the target of an INSERT */
	void *node; /* of tree_analyze(): its PgQuery__RangeVar or RangeSubselect */
};

enum join_kind { JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL };

struct sql_from {
	struct sql_rel *rel; /* a leaf; NULL: a join */
	struct sql_from *parent;
	int item; /* which item of the level's FROM list it is in */
	enum join_kind join;
	struct sql_from *left, *right;
	bool natural;
	bool renamed; /* the join has an alias with column names: its columns cannot be
			 told */
	const char *alias; /* the join's own, or NULL */
	const char *const *using;
	int n_using;
	struct sql_cond *on; /* or NULL */
	void *node;          /* of tree_analyze(): a join's PgQuery__JoinExpr */
};

/* ---- levels ---- */

enum query_kind {
	Q_SELECT,
	Q_VALUES,
	Q_SETOP,
	Q_INSERT,
	Q_UPDATE,
	Q_DELETE,
	Q_MERGE,
	Q_UTILITY
};

/* How a level hangs in its parent. */
enum query_place {
	PLACE_ROOT,
	PLACE_TOP,  /* a subquery above the joins: WHERE, select list, HAVING, SET … */
	PLACE_ON,   /* a subquery in the ON of the join `at` */
	PLACE_FROM, /* a table of the parent: `at` is its leaf */
	PLACE_CTE,
	PLACE_BRANCH, /* of the parent's set operation */
	PLACE_SOURCE, /* of the parent INSERT, CREATE TABLE AS, CREATE VIEW */
	PLACE_VIEW /* the planner's: the query of a view, hung in where the view stands;
		      sees no names outside */
};

struct sql_target {
	const char *name; /* output name, NULL: none that could be referred to */
	struct sql_expr expr;
};

struct sql_assign {
	const char *col;
	struct sql_expr expr;
};

struct sql_call {
	const char *schema, *name; /* schema NULL: unqualified */
	int n_args;
	struct sql_expr *args; /* the first SQL_CALL_ARGS_MAX; by name: OTHER */
};
#define SQL_CALL_ARGS_MAX 16

struct sql_op {
	const char *schema, *name;
};

/* INSERT's and MERGE's rows: columns NULL: all of the table, in its order */
struct sql_rows {
	const char *const *columns;
	int n_columns;
	const struct sql_expr *cells; /* n_rows * width */
	int n_rows, width;
};

struct sql_cte {
	const char *name;
	const char *const *colnames;
	int n_colnames;
	struct sql_query *query;
	bool recursive; /* refers to itself */
	int n_refs;
	struct sql_rel *ref; /* the latest reference; n_refs 1: the only one */
};

enum conflict { CONFLICT_NONE, CONFLICT_NOTHING, CONFLICT_UPDATE };

/* What a utility statement is about; decides together with its tables which shards it
 * goes to. */
enum utility_scope {
	UTILITY_TABLES,     /* the tables of its FROM list (none: the default shard) */
	UTILITY_EVERYWHERE, /* schemas, types, functions, roles …: every shard */
	UTILITY_DEFAULT,    /* the default shard */
	UTILITY_SINGLE /* databases, tablespaces, ALTER SYSTEM …: only where there is one
			  shard */
};

struct sql_query {
	enum query_kind kind;
	enum query_place place;
	struct sql_query *parent; /* NULL: outermost */
	struct sql_from *at;      /* PLACE_ON, PLACE_FROM */
	struct sql_cte *cte;      /* PLACE_CTE */
	void *node; /* of tree_analyze(): its PgQuery__SelectStmt, InsertStmt … */

	struct sql_from **from;
	int n_from;
	struct sql_cond *where;
	struct sql_target *targets; /* select list, RETURNING */
	int n_targets;
	bool limit; /* LIMIT, OFFSET, FETCH */
	bool distinct_on;
	bool window;
	bool grouped;       /* GROUP BY */
	bool grouping_sets; /* ROLLUP, CUBE, GROUPING SETS, also () */
	bool maybe_agg;     /* no GROUP BY, but functions in the select list or a HAVING:
			       perhaps one row out of nothing */
	bool locks;
	bool into; /* SELECT INTO */

	struct sql_query *left, *right; /* SETOP */

	struct sql_rows values;   /* VALUES; INSERT … VALUES; one row: MERGE's INSERT */
	struct sql_rel *target;   /* INSERT, UPDATE, DELETE, MERGE */
	struct sql_query *source; /* INSERT … SELECT, CREATE TABLE AS, CREATE VIEW */
	bool default_values;
	const char *const *columns; /* INSERT … SELECT: its column list, or NULL */
	int n_columns;
	struct sql_rows *merge_rows; /* MERGE: each INSERT action */
	int n_merge_rows;
	struct sql_assign *sets; /* UPDATE, ON CONFLICT DO UPDATE, MERGE's UPDATE */
	int n_sets;
	enum conflict conflict;
	const char *const
	    *conflict_cols;  /* ON CONFLICT (…): plain columns of the target */
	int n_conflict_cols; /* -1: it has none, or names a constraint */
	bool no_match_by_source;

	struct sql_cte **ctes;
	int n_ctes;
	struct sql_query **subs; /* subqueries in expressions */
	int n_subs;
	struct sql_call *calls;
	int n_calls;
	struct sql_op *ops; /* distinct names */
	int n_ops;

	/* UTILITY */
	enum utility_scope scope;
	bool creates_rel; /* the first table of FROM is created here */
	bool creates_view;
	bool copy_from;
	bool truncates;
};

#endif
