/* router/route/schema.h: what the planner knows of a database's catalog: tables and their
 * columns, views, functions, operators. An immutable snapshot, replaced whole after DDL;
 * read from a shard (router/session/schema_load.c by the queries of schema_sql.h) or from
 * a pg_dump -s file (`weir explain --schema`). System schemas are left out but for
 * volatile functions of pg_catalog: what is not here and has a name of pg_catalog is
 * built in. Memory: reference-counted by its owners; one arena. Thread: any, read only.
 */
#ifndef WEIR_ROUTER_ROUTE_SCHEMA_H
#define WEIR_ROUTER_ROUTE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

struct schema_column {
	const char *name;
	const char *type; /* pg_type's name: "int8", "varchar", "_text"; a domain's is the
			     domain's own */
	int typmod;       /* as pg_attribute has it, -1: none */
	bool deterministic; /* its collation; true where it has none */
	bool has_default;   /* a default, an identity, generated */
};

/* kind: pg_class.relkind. r table, p partitioned, v view, m materialized view, S
 * sequence, f foreign, i and I index. */
struct schema_table {
	const char *schema, *name;
	char kind;
	bool unlogged;
	const struct schema_column *columns;
	int n_columns;
	/* What it belongs to: a partition's parent, an index's table, a sequence's owner.
	 * NULL: itself. */
	const char *parent_schema, *parent;
	const char *view_sql;      /* kind v: its query's text, or its CREATE VIEW */
	struct schema_table *next; /* in the hash chain */
};

enum schema_volatility { SCHEMA_IMMUTABLE, SCHEMA_STABLE, SCHEMA_VOLATILE };

/* All functions, aggregates, procedures and window functions of one name that take that
 * many arguments. */
struct schema_func {
	bool found;
	enum schema_volatility volatility; /* the worst */
};

struct schema;

/* NULL: not there. */
const struct schema_table *schema_table(
    const struct schema *, const char *schema, const char *name);
/* -1: no such column. */
int schema_column(const struct schema_table *, const char *name);
struct schema_func schema_func(
    const struct schema *, const char *schema, const char *name, int n_args);
/* The worst volatility among user-defined operators of that name (schema NULL: of any
 * schema). */
struct schema_func schema_operator(
    const struct schema *, const char *schema, const char *name);
bool schema_has_namespace(const struct schema *, const char *name);

/* A number that no other schema of the process has (a new one may have an old one's
 * address). NULL: 0. */
uint64_t schema_id(const struct schema *);
void schema_ref(struct schema *);
void schema_unref(struct schema *);
/* Tables in no particular order. */
void schema_each_table(
    const struct schema *, void (*fn)(const struct schema_table *, void *arg), void *arg);
size_t schema_bytes(const struct schema *);

/* ---- building; strings are copied ---- */

struct schema_builder;
struct schema_builder *schema_builder_create(void);
void schema_builder_namespace(struct schema_builder *, const char *name);
/* Columns are added to the latest table of that name, in their order. */
void schema_builder_table(struct schema_builder *, const char *schema, const char *name,
    char kind, bool unlogged);
void schema_builder_parent(struct schema_builder *, const char *schema, const char *name,
    const char *parent_schema, const char *parent);
void schema_builder_column(struct schema_builder *, const char *schema, const char *table,
    const char *column, const char *type, int typmod, bool deterministic,
    bool has_default);
void schema_builder_view(
    struct schema_builder *, const char *schema, const char *name, const char *sql);
/* n_args: of the declaration; n_defaults of them have defaults; volatility 'i', 's' or
 * 'v'. */
void schema_builder_func(struct schema_builder *, const char *schema, const char *name,
    int n_args, int n_defaults, bool variadic, char volatility);
void schema_builder_operator(
    struct schema_builder *, const char *schema, const char *name, char volatility);
/* What has been added until now; borrowed. */
struct schema *schema_builder_so_far(struct schema_builder *);
/* The builder is used up. One reference. */
struct schema *schema_builder_finish(struct schema_builder *);
void schema_builder_abandon(struct schema_builder *);

/* A file of CREATE statements, as pg_dump -s writes it. Statements that say nothing about
 * tables, views or functions are skipped. RC_ERR: it cannot be parsed (42601 with a
 * position). */
enum rc schema_from_sql(struct slice text, struct schema **, struct err *) WARN_UNUSED;

#endif
