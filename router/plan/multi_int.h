/* router/plan/multi_int.h: what the files of multi-shard plans share; nobody else includes
 * it.
 * multi.c           which kind; texts and their shards
 * spread.c          the proof that a query's rows are those of the shards put together
 * multi_func.c      functions that give the same on each shard; aggregates
 * multi_table.c     each sharded table fetched into a table of its own
 * multi_level.c     a whole query run on the shards: rows put together
 * multi_tail.c      … and what is left is to sort, cut, make distinct
 * multi_group.c     … or to group: partial aggregates, or their arguments
 * multi_type.c      types of expressions, as far as they are known
 * multi_merge.c     what the merger can do of both by itself
 * multi_write.c     INSERT, UPDATE, DELETE
 * multi_describe.c  words for people */
#ifndef WEIR_ROUTER_PLAN_MULTI_INT_H
#define WEIR_ROUTER_PLAN_MULTI_INT_H

#include "router/plan/multi.h"
#include "router/plan/plan_int.h"
#include "router/sql/tree.h"

#define ANCHORS_MAX 16

struct build {
	const struct plan_ctx *ctx;
	struct arena *arena; /* the caller's */
	struct slice text;   /* zero-terminated */
	PgQuery__ParseResult *tree;
	PgQuery__Node *stmt; /* of the tree, which is changed in place */
	struct sql_stmts *stmts;
	const struct sql_stmt *st;
	const struct sql_query *root;
	struct program p;
	struct compile c;
	struct eval ev;
	struct plan plan; /* for look-ups */
	struct multi *out;
	struct err *err;
};

/* ---- spread.c ---- */

/* A level whose rows before grouping are those of the shards put together: each row comes
 * from one row of an anchor. Several anchors: the branches of UNION ALL. */
struct spread {
	const struct sql_rel *anchors[ANCHORS_MAX];
	int n;
	uint64_t shards[MAP_SHARD_WORDS]; /* where rows can be */
};

/* Of the FROM list, WHERE and all that stands in the level. RC_ERR: a value's error;
 * RC_AGAIN: a look-up. *found false: not proven. */
enum rc spread_find(
    struct build *, const struct sql_query *, struct spread *, bool *found) WARN_UNUSED;
/* The expression, in this level, is the anchors' key column k, or equal to it by name. */
bool spread_is_key(struct build *, const struct sql_query *, const struct spread *,
    PgQuery__Node *, int k);
/* All key columns are among these expressions. */
/* … the output at a position. */
bool spread_output_is_key(
    struct build *, const struct sql_query *, const struct spread *, int pos, int k);
bool spread_has_key(struct build *, const struct sql_query *, const struct spread *,
    PgQuery__Node *const *list, size_t n);
/* What a level makes of its rows, by its parse tree. */
struct shape_of_level {
	bool grouped, aggregates, windows, distinct, distinct_on, limit, sorted;
	bool maybe; /* a user's function that may be an aggregate */
};
void level_shape(struct build *, const struct sql_query *, struct shape_of_level *);
/* Its outputs are those of the shards put together too, but for ORDER BY and LIMIT (and
 * DISTINCT, unless it is asked for). */
bool spread_keeps(struct build *, const struct sql_query *, const struct spread *);
bool spread_distinct(struct build *, const struct sql_query *, const struct spread *);

/* ---- multi_func.c ---- */

bool is_aggregate_name(const char *name);
/* Whatever the order of its rows, it gives the same. */
bool is_decided_aggregate(const char *name);
/* By its name or what only an aggregate's call has; a window function's too. */
bool is_aggregate(const PgQuery__FuncCall *);
/* The last part of a name; "" where there is none. */
const char *tree_name(size_t n, PgQuery__Node *const *);
/* It gives the same on each shard and at any time of the statement: it can be sent down. */
bool is_catalog_type(const char *type);
bool is_same_everywhere(
    struct build *, void *tree, const struct schema_table *in_view, bool subqueries);

/* ---- multi.c ---- */

/* As err_set() and a hint, once; always RC_ERR. */
enum rc refuse(struct build *, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct sql_expr column_expr(const PgQuery__Node *); /* a ColumnRef's; OTHER: none */
struct multi_fragment *add_fragment(struct build *);
/* Where a table's rows can be, by its pin. */
enum rc shards_of_pin(struct build *, const struct pin *, uint64_t *shards) WARN_UNUSED;
/* The text of a statement with its own numbering of parameters. */
enum rc text_of(struct build *, PgQuery__Node *stmt, struct multi_text *) WARN_UNUSED;
/* query, create and copy of an INTERMEDIATE fragment; names: of the table's columns, or
 * NULL. */
enum rc fragment_texts(struct build *, struct multi_fragment *, PgQuery__Node *select,
    const char *names) WARN_UNUSED;
/* Calls fn for each table of a level and below, those of views and CTEs too. */
void each_rel(struct build *, const struct sql_query *,
    void (*fn)(void *, const struct sql_rel *), void *arg);
void each_level(struct build *, const struct sql_query *,
    void (*fn)(void *, const struct sql_query *), void *arg);
PgQuery__SelectStmt *select_of(const struct sql_query *);

/* ---- multi_level.c ---- */

struct limits {
	bool known;
	int64_t limit, offset; /* limit -1: none */
	int64_t pushed;        /* limit + offset; -1: none */
};
struct limits limits_of(struct build *, const PgQuery__SelectStmt *);
/* The shards need no more rows than this. */
void push_limit(struct build *, PgQuery__SelectStmt *, const struct limits *);
/* Where a query's rows can be; at least one shard where `some`. */
void set_shards(
    struct build *, struct multi_fragment *, const struct spread *, bool some);
/* "orders o, customers" */
const char *sources_of(struct build *, const struct sql_query *);
/* The statement as the client wrote it. */
struct slice own_text(struct build *);
/* The shards that have all the tables that are left when the whole statement is run on
 * its shards: any of the spread's. */
void set_final_shards(struct build *, const struct spread *);

/* ---- multi_tail.c ---- */

/* A statement to be run on the shards, whose columns get names of their own: what stands
 * in `final` are references to them. */
struct lift {
	struct build *b;
	const struct sql_query *q;
	PgQuery__SelectStmt *s; /* of the statement */
	PgQuery__Node **cols;   /* of the fragment: ResTargets */
	size_t n_cols;
	PgQuery__Node **outs; /* the statement's outputs, stars taken apart */
	const char **names;   /* what they are called */
	const char **aliases; /* … by AS; "": not */
	int n_outs;
};

/* False: stars or names that cannot be told. */
bool lift_outputs(struct lift *);
/* Adds a column to the fragment, or finds it; its number from 0. */
int lift_column(struct lift *, PgQuery__Node *value, bool find);
/* Two expressions of the statement are the same column, or written the same. */
bool lift_same(struct lift *, const PgQuery__Node *, const PgQuery__Node *);
/* The column by its name in `final`. */
PgQuery__Node *lifted(struct lift *, int column);
/* Which output an item of ORDER BY or DISTINCT ON means: by position, name or expression;
 * -1: none of them; -2: not decided. */
int lift_meant(struct lift *, PgQuery__Node *item);
/* query, create, copy of the fragment that gives these columns. */
enum rc lift_fragment(
    struct lift *, PgQuery__Node *select, const struct spread *) WARN_UNUSED;

/* ---- multi_type.c ---- */

/* pg_type's name of an expression of a level: "int8"; NULL: not known. */
const char *type_of(struct build *, const struct sql_query *, const PgQuery__Node *);
/* The column of a table that an expression of a level is; NULL: none, or not known. */
const struct schema_column *base_column(
    struct build *, const struct sql_query *, const struct sql_expr *);

/* How far the merger can compare values of an expression. */
enum exactness {
	EXACT_NOT,
	EXACT_EQUAL,  /* text: by COLLATE "C", which tells what is equal */
	EXACT_BINARY, /* in the binary format */
	EXACT_ANY
};
enum exactness exactness_of(
    struct build *, const struct sql_query *, const PgQuery__Node *);

/* ---- multi_merge.c ---- */

/* The statement with these columns, run on the shards, is what the merger is fed: the
 * first n_outs are the client's, the others are asked for in binary. */
enum rc merge_fragment(struct lift *, PgQuery__Node *select, const struct spread *,
    const int16_t *formats) WARN_UNUSED;
/* ORDER BY by the merger; in: the fragment, whose ORDER BY is by position. */
enum rc plan_sorted(
    struct lift *, PgQuery__Node *select, const struct spread *, bool *done) WARN_UNUSED;
/* Plain aggregates by the merger. keys: what the groups are by. */
enum rc plan_aggregate(struct build *, const struct spread *, PgQuery__Node *const *keys,
    size_t n_keys, bool *done) WARN_UNUSED;

/* ---- the kinds ---- */

enum rc plan_tail(struct build *, const struct spread *, bool *done) WARN_UNUSED;
enum rc plan_group(struct build *, const struct spread *, bool *done) WARN_UNUSED;

/* *done false: it is not of that kind. */
enum rc plan_level(struct build *, bool *done) WARN_UNUSED;
enum rc plan_tables(struct build *) WARN_UNUSED;
enum rc plan_write(struct build *) WARN_UNUSED;

#endif
