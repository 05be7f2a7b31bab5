/* router/sql/stmt.h: what one statement is and does, apart from where it runs.
 * Pure: computed once a shape by sql_analyze(), immutable after that, in the shape's arena.
 * Values (of a key, of SET, of PREPARE …) are `struct sql_value`: a constant by its index in the shape's constants, a
 * parameter, or literal text that is part of the shape. */
#ifndef WEIR_ROUTER_SQL_STMT_H
#define WEIR_ROUTER_SQL_STMT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "router/sql/shape.h"

/* What a statement means to the session. One line each: kind, name for SHOW and logs. */
/* clang-format off */
#define STMT_KINDS(X)                                                                      \
	X(SELECT, "select")           /* also VALUES, TABLE */                             \
	X(INSERT, "insert") X(UPDATE, "update") X(DELETE, "delete") X(MERGE, "merge")          \
	X(COPY_FROM, "copy from") X(COPY_TO, "copy to")                                        \
	X(EXPLAIN, "explain")         /* inner: the statement explained */                 \
	X(BEGIN, "begin")             /* also START TRANSACTION; read_only as written */   \
	X(COMMIT, "commit") X(ROLLBACK, "rollback") /* chain: AND CHAIN */                     \
	X(SAVEPOINT, "savepoint") X(RELEASE, "release") X(ROLLBACK_TO, "rollback to")          \
	X(PREPARE_XACT, "prepare transaction") X(COMMIT_PREPARED, "commit prepared")           \
	X(ROLLBACK_PREPARED, "rollback prepared") X(SET_TRANSACTION, "set transaction")        \
	X(SET, "set")                 /* session level; name, text */                      \
	X(SET_LOCAL, "set local") X(RESET, "reset") X(RESET_ALL, "reset all")                  \
	X(SHOW, "show")               /* name */                                           \
	X(DISCARD_ALL, "discard all") X(DISCARD, "discard") /* PLANS, SEQUENCES, TEMP */       \
	X(PREPARE, "prepare") X(EXECUTE, "execute") X(DEALLOCATE, "deallocate")                \
	X(DEALLOCATE_ALL, "deallocate all")                                                    \
	X(LISTEN, "listen") X(UNLISTEN, "unlisten") X(NOTIFY, "notify")                        \
	X(DECLARE, "declare") X(FETCH, "fetch") X(CLOSE, "close") X(CLOSE_ALL, "close all")    \
	X(LOCK, "lock") X(TRUNCATE, "truncate") X(CALL, "call") X(DO, "do") X(LOAD, "load")    \
	X(SET_CONSTRAINTS, "set constraints")                                                  \
	X(DDL, "ddl")                 /* CREATE, ALTER, DROP, GRANT, COMMENT, … of objects */ \
	X(MAINTENANCE, "maintenance") /* VACUUM, ANALYZE, REINDEX, CLUSTER, REFRESH MATVIEW */ \
	X(CLUSTER_DDL, "cluster ddl") /* roles, databases, tablespaces, ALTER SYSTEM, CHECKPOINT */ \
	X(UNREADABLE, "unreadable")   /* libpg_query cannot read it: sql_stmts.err says why */
/* clang-format on */

enum stmt_kind {
#define X(name, text) STMT_##name,
	STMT_KINDS(X)
#undef X
	    STMT_KIND_COUNT
};
const char *stmt_kind_name(enum stmt_kind);

enum value_kind { VALUE_CONST, VALUE_PARAM, VALUE_TEXT, VALUE_NULL, VALUE_UNKNOWN };

struct sql_value {
	enum value_kind kind;
	bool negated;      /* a minus sign stands before it */
	uint32_t index;    /* CONST: into sql_consts; PARAM: $n, 1-based */
	struct slice text; /* TEXT: the value itself (unquoted), fixed for the shape */
	const char *
	    cast; /* type it is cast to, as pg_catalog names it ("int8", "date"), or NULL */
};

/* Why a statement keeps its server after the transaction (session pinning); bits. */
enum pin_reason {
	PIN_TEMP = 1, /* creates a temporary table, view or sequence */
	PIN_LISTEN = 2,
	PIN_CURSOR_HOLD = 4,
	PIN_ADVISORY = 8, /* pg_advisory_lock and its session-level like */
	PIN_LOAD = 16,
	PIN_SET_CONFIG = 32, /* set_config() whose arguments are not constants */
	PIN_USER_STATE = 64  /* asked for by the session */
};

struct sql_func {
	const char *schema; /* NULL: unqualified */
	const char *name;
	int n_args;
};

struct
    sql_query; /* the tree of query levels, tables and conditions; private to sql/query.h, used by route and plan */

struct sql_stmt {
	enum stmt_kind kind;
	struct sql_stmt *
	    inner; /* EXPLAIN, DECLARE, PREPARE, COPY (query) TO: the query inside; else NULL */
	struct sql_query *
	    query; /* SELECT, INSERT, UPDATE, DELETE, MERGE, COPY of a table, LOCK, TRUNCATE, DDL, MAINTENANCE:
	                          * its tables; else NULL */
	/* Read or write, before the volatility of its functions is known */
	bool locks_rows; /* FOR UPDATE and its like, at any level */
	bool modifies;   /* data-modifying CTE, SELECT INTO */
	bool read_only;  /* BEGIN, SET TRANSACTION: READ ONLY was written */
	bool read_write; /* … READ WRITE was written */
	bool chain;      /* COMMIT/ROLLBACK AND CHAIN */
	bool analyze;    /* EXPLAIN ANALYZE */
	bool
	    if_needed_alone; /* cannot run in a transaction block (VACUUM, CREATE INDEX CONCURRENTLY, CREATE DATABASE …) */
	bool temp_object;    /* creates or drops something in pg_temp */
	bool uses_session_seq; /* currval(), lastval() */
	/* Tables, views, sequences by their names, without schema or in pg_temp; the session's temporary ones may be among them. */
	const char *makes; /* CREATE, SELECT INTO: what it makes; NULL */
	bool makes_in_schema, makes_view, on_commit_drop; /* of that */
	const char *const *drops;                         /* DROP */
	int n_drops;
	bool cascade;
	const char *renames, *new_name; /* ALTER … RENAME TO */
	unsigned pins; /* enum pin_reason bits it asks for when it succeeds */
	const struct sql_func *funcs; /* every function called, at any level */
	int n_funcs;
	/* Utility details */
	const char *
	    name; /* SET/RESET/SHOW: the setting, lower case ("search_path", "timezone", "role",
	                          * "session_authorization"); PREPARE/EXECUTE/DEALLOCATE: the statement; SAVEPOINT and its like, cursors,
	                          * LISTEN/UNLISTEN (NULL: all), PREPARE TRANSACTION: the gid */
	struct slice
	    value; /* SET: the value when it is one constant ("on"), decoded; else the arguments as written */
	bool value_default; /* SET x TO DEFAULT (kind is then RESET) */
	struct slice
	    text; /* the statement's own text, without the semicolon; for utility statements only (their shape is
	                          * their whole text), else empty */
	struct slice
	    body; /* PREPARE: the text behind AS; DECLARE: behind FOR; EXPLAIN: the explained text */
	/* set_config(name, value, false) calls with constant arguments in a SELECT: take effect like SET on success. */
	const struct sql_set {
		const char *name;
		struct slice value;
		bool local; /* for the transaction */
	} * sets;
	int n_sets;
	const struct sql_value *args; /* EXECUTE: its arguments */
	int n_args;
	bool copy_stdio; /* COPY … FROM STDIN / TO STDOUT */
};

struct sql_stmts {
	struct sql_stmt *v;
	int n;          /* 0: an empty query */
	struct err err; /* for UNREADABLE */
	bool weir_primary,
	    weir_replica;       /* hints in comments: weir: primary, weir: replica */
	const char *weir_shard; /* weir: shard=NAME, or NULL */
	struct arena arena;
};

/* consts: positions (byte offset in text) of the unpinned constants, in order, so that the analysis can name them. Never returns
 * NULL: what cannot be read yields one STMT_UNREADABLE statement. The result is freed with sql_stmts_free(). */
struct sql_stmts *sql_analyze(
    struct slice text, const struct sql_const *consts, uint32_t n_consts);
void sql_stmts_free(struct sql_stmts *);

/* A constant's value, unquoted and unescaped, in the arena. RC_ERR: a malformed escape (22025 or 42601). */
enum rc sql_const_decode(struct arena *, const struct sql_const *, struct slice *out,
    struct err *) WARN_UNUSED;

#endif
