/* router/plan/facts.h: the facts about the rows of one table, between facts.c, which
 * collects them, and pins.c, which draws the conclusion. Memory: the compilation's
 * scratch arena. */
#ifndef WEIR_ROUTER_PLAN_FACTS_H
#define WEIR_ROUTER_PLAN_FACTS_H

#include "router/plan/plan_int.h"

#define CHAIN_MAX 64

struct fact_set {
	struct value_set set;
	const struct plan_value *lo, *hi; /* instead: a bound */
	bool inclusive;
	struct fact_set *next;
};

struct node {
	struct col col;
	int up;                /* union-find: a parent, or itself */
	struct fact_set *sets; /* of the class, at its root */
};

/* An OR, kept until the pins are made. */
struct branchings {
	const struct sql_cond *cond;
	const struct sql_query *level;
	const struct sql_from *on;
	struct branchings *next;
};

/* A LEFT or RIGHT join whose ON holds if its nullable side is there. */
struct outer_join {
	const struct sql_from *join;
	const struct sql_query *level;
	struct outer_join *next;
	int index; /* bit in facts.joined */
};

/* A table whose query the row comes from: its columns are those of `level`, one branch of
 * the query. */
struct link {
	const struct sql_rel *rel;
	const struct sql_query *level;
	bool open; /* demands on the outputs hold inside */
};

struct facts {
	struct node *v;
	int n, cap, settled;
	struct branchings *ors;
	struct outer_join *outer;
	int n_outer;
	uint64_t joined; /* those whose nullable side is there */
	/* how the row's own level hangs in the statement */
	struct link chain[CHAIN_MAX];
	int n_chain;
	const struct sql_query
	    *inside[CHAIN_MAX]; /* levels around the row, and the branch of each */
	bool inside_open[CHAIN_MAX];
	int n_inside;
};

struct place {
	const struct sql_query *level;
	const struct sql_from *on;
};

int facts_root(const struct facts *, int node);
int facts_node_of(struct compile *, struct facts *, struct col);
/* A column that takes part: of a known family, not cast to another. -1: none. */
int facts_column_node(struct compile *, struct facts *, struct place,
    const struct sql_expr *, enum family *);
/* A copy that an OR's branch may add to. */
struct facts facts_copy(struct compile *, const struct facts *);
void facts_add_cond(struct compile *, struct facts *, const struct sql_query *,
    const struct sql_from *on, const struct sql_cond *);
/* All that holds in a level for rows of the table or join t (NULL: for whole rows of its
 * FROM list). */
void facts_add_level(
    struct compile *, struct facts *, const struct sql_query *, const struct sql_from *t);
/* All that holds for rows of t, a table of the level, also from outside. */
void facts_collect(
    struct compile *, struct facts *, const struct sql_query *, const struct sql_from *t);
/* Looks into the subqueries whose columns came up. */
void facts_settle(struct compile *, struct facts *);
/* … and into the outer joins that must have joined. */
void facts_add_joined(struct compile *, struct facts *);
/* The values that an output of a SELECT or RETURNING list can have: an expression, or (e
 * NULL) a column that a star stands for. */
struct value_set *values_of(
    struct compile *, const struct sql_query *, const struct sql_expr *, struct col);

#endif
