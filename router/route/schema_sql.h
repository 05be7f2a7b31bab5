/* router/route/schema_sql.h: the queries that read a database's catalog for the planner, on PostgreSQL 13 and later. Run them in one
 * REPEATABLE READ, READ ONLY transaction after SCHEMA_SQL_PATH, so that view definitions name their schemas; results are
 * text, each row goes to the call of schema.h that its comment names. */
#ifndef WEIR_ROUTER_ROUTE_SCHEMA_SQL_H
#define WEIR_ROUTER_ROUTE_SCHEMA_SQL_H

#define SCHEMA_SQL_BEGIN "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
#define SCHEMA_SQL_PATH  "SET LOCAL search_path = pg_catalog"

#define SCHEMA_SQL_USER_                                                                                            \
	"n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp\\_%' " \
	"AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'"

/* schema_builder_namespace(0) */
#define SCHEMA_SQL_NAMESPACES \
	"SELECT n.nspname FROM pg_namespace n WHERE " SCHEMA_SQL_USER_

/* schema_builder_table(0, 1, 2, 3 = 't') */
#define SCHEMA_SQL_TABLES                                                 \
	"SELECT n.nspname, c.relname, c.relkind, c.relpersistence = 'u' " \
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "  \
	"WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I') AND " SCHEMA_SQL_USER_

/* schema_builder_parent(0, 1, 2, 3): partitions and children, indexes, owned sequences */
#define SCHEMA_SQL_PARENTS                                                                        \
	"SELECT n.nspname, c.relname, pn.nspname, p.relname FROM "                                \
	"(SELECT inhrelid AS child, inhparent AS parent FROM pg_inherits WHERE inhseqno = 1 "     \
	"UNION ALL SELECT indexrelid, indrelid FROM pg_index "                                    \
	"UNION ALL SELECT objid, refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass "   \
	"AND refclassid = 'pg_class'::regclass AND refobjsubid > 0 AND deptype IN ('a', 'i')) d " \
	"JOIN pg_class c ON c.oid = d.child AND c.relkind IN ('r', 'p', 'f', 'i', 'I', 'S') "     \
	"JOIN pg_namespace n ON n.oid = c.relnamespace "                                          \
	"JOIN pg_class p ON p.oid = d.parent AND p.relkind IN ('r', 'p', 'f', 'm') "              \
	"JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE " SCHEMA_SQL_USER_

/* schema_builder_column(0, 1, 2, 3, 4, 5 = 't', 6 = 't') */
#define SCHEMA_SQL_COLUMNS                                                                      \
	"SELECT n.nspname, c.relname, a.attname, t.typname, a.atttypmod, "                      \
	"coalesce(co.collisdeterministic, true), a.atthasdef OR a.attidentity <> '' "           \
	"FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "                            \
	"JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid "   \
	"LEFT JOIN pg_collation co ON co.oid = a.attcollation "                                 \
	"WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') " \
	"AND " SCHEMA_SQL_USER_ " ORDER BY a.attrelid, a.attnum"

/* schema_builder_view(0, 1, 2) */
#define SCHEMA_SQL_VIEWS                                                      \
	"SELECT n.nspname, c.relname, pg_get_viewdef(c.oid) FROM pg_class c " \
	"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND " SCHEMA_SQL_USER_

/* schema_builder_func(0, 1, 2, 3, 4 = 't', 5): all of the users', the volatile ones of pg_catalog */
#define SCHEMA_SQL_FUNCS                                                                                 \
	"SELECT n.nspname, p.proname, p.pronargs, p.pronargdefaults, p.provariadic <> 0, p.provolatile " \
	"FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "                                  \
	"WHERE (n.nspname = 'pg_catalog' AND p.provolatile = 'v') OR (" SCHEMA_SQL_USER_                 \
	")"

/* schema_builder_operator(0, 1, 2) */
#define SCHEMA_SQL_OPERATORS                                                                 \
	"SELECT n.nspname, o.oprname, p.provolatile FROM pg_operator o "                     \
	"JOIN pg_namespace n ON n.oid = o.oprnamespace JOIN pg_proc p ON p.oid = o.oprcode " \
	"WHERE " SCHEMA_SQL_USER_

#define SCHEMA_SQL_END "COMMIT"

/* One number that changes when any of the above may have changed; cheap enough to ask after DDL that a session did not see. */
#define SCHEMA_SQL_VERSION                                                                                                    \
	"SELECT md5(string_agg(x, ',')) FROM (SELECT (count(*), max(xmin::text::bigint), max(oid))::text AS x FROM pg_class " \
	"UNION ALL SELECT (count(*), max(xmin::text::bigint), max(oid))::text FROM pg_proc "                                  \
	"UNION ALL SELECT (count(*), max(xmin::text::bigint), max(attrelid))::text FROM pg_attribute "                        \
	"UNION ALL SELECT (count(*), max(xmin::text::bigint), max(oid))::text FROM pg_operator) s"

#endif
