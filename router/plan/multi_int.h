/* router/plan/multi_int.h: what the files of multi-shard plans share; nobody else includes
 * it.
 * multi.c           which kind; texts and their shards
 * spread.c          the proof that a query's rows are those of the shards put together
 * multi_func.c      functions that give the same on each shard; aggregates
 * multi_table.c     each sharded table fetched into a table of its own
 * multi_level.c     a whole query run on the shards; only its end is left to be done
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
/* By its name or what only an aggregate's call has; a window function's too. */
bool is_aggregate(const PgQuery__FuncCall *);
/* The last part of a name; "" where there is none. */
const char *tree_name(size_t n, PgQuery__Node *const *);
/* It gives the same on each shard and at any time of the statement: it can be sent down. */
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
/* query, create and copy of an INTERMEDIATE fragment. */
enum rc fragment_texts(
    struct build *, struct multi_fragment *, PgQuery__Node *select) WARN_UNUSED;
/* Calls fn for each table of a level and below, those of views and CTEs too. */
void each_rel(struct build *, const struct sql_query *,
    void (*fn)(void *, const struct sql_rel *), void *arg);
void each_level(struct build *, const struct sql_query *,
    void (*fn)(void *, const struct sql_query *), void *arg);
PgQuery__SelectStmt *select_of(const struct sql_query *);

/* ---- the kinds ---- */

/* *done false: it is not of that kind. */
enum rc plan_level(struct build *, bool *done) WARN_UNUSED;
enum rc plan_tables(struct build *) WARN_UNUSED;

#endif
