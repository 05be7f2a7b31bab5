/* router/sql/shape.h: statements that differ only in their constants share one analysis.
 * One pass of the lexer over the text finds the constants, hashes the rest with a keyed 128-bit hash (SipHash-like or
 * XXH3 with a secret; the key is random per process) together with each constant's class, and looks the shape up.
 * Thread:  a cache belongs to one worker; no locks.
 * Memory:  bounded by max_bytes, least recently used goes first; a shape that is held (shape_ref) outlives eviction.
 * Pinned:  constants whose value is part of the meaning (ORDER BY 1, target list, GROUP BY, ORDER BY, DISTINCT, HAVING,
 *          window expressions, typed literals such as DATE 'x'; LIMIT is not, nor a statement that is a select list only; the
 *          whole rule: shape_scan.c) are part of the hash. Utility statements (anything
 *          that does not start with SELECT, INSERT, UPDATE, DELETE, WITH, VALUES, MERGE, TABLE or '(') are
 *          keyed by their whole text. Comments do not count but for hints that begin with "weir:". */
#ifndef WEIR_ROUTER_SQL_SHAPE_H
#define WEIR_ROUTER_SQL_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct sql_stmts; /* router/sql/stmt.h */

/* What the lexer must know of the session; part of the key. */
struct sql_env {
	uint8_t
	    encoding; /* enum sql_encoding (encoding.h): how to step over characters */
	bool standard_strings; /* standard_conforming_strings */
};

enum const_class {
	CONST_INT4,
	CONST_INT8,
	CONST_NUMERIC,
	CONST_STRING,
	CONST_ESTRING,
	CONST_BITS,
	CONST_NULL,
	CONST_BOOL
};

/* A constant of one text, in the order in which they stand. A minus sign that belongs to a number is not part of it
 * (the analysis knows). */
struct sql_const {
	enum const_class class;
	struct slice raw; /* as written, with its quotes; points into the text */
};

struct shape {
	uint64_t hash[2];
	uint32_t refs;
	uint32_t n_consts;
	uint64_t hits;
	struct sql_stmts
	    *stmts;      /* the analysis; owned by the shape; NULL when err is set */
	struct err *err; /* a syntax error, kept so that it costs no parse either */
	void *
	    route; /* what the planner compiled for it (router/plan); freed by route_free */
	void (*route_free)(void *);
	const char
	    *sample; /* the first text seen of it, cut at 200 bytes; for SHOW PLANS */
};

struct shape_cache;

struct shape_cache *shape_cache_create(size_t max_bytes);
void shape_cache_destroy(struct shape_cache *);
/* Constants found by the latest shape_get() of this cache; valid until the next and as long as the text lives.
 * consts->n == shape->n_consts. Only unpinned constants are in it. */
struct sql_consts {
	const struct sql_const *v;
	uint32_t n;
};
/* Never fails: a text that cannot be lexed or parsed yields a shape with err set (42601 with a position, or 54000).
 * The returned shape is valid until the next shape_get(), longer with shape_ref(). */
struct shape *shape_get(struct shape_cache *, struct slice text, const struct sql_env *,
    struct sql_consts *out);
void shape_ref(struct shape *);
void shape_unref(struct shape *);

struct shape_stats {
	uint64_t hits, misses, evictions;
	size_t bytes, shapes;
};
void shape_cache_stats(const struct shape_cache *, struct shape_stats *);
/* Calls fn for each shape (SHOW PLANS). */
void shape_cache_each(
    struct shape_cache *, void (*fn)(const struct shape *, void *arg), void *arg);

#endif
