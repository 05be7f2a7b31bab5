/* router/config/check_map.c: do the tables of the shard map exist on its shards, with key
 * columns of the types that are hashed? A key of another type would be hashed
 * differently, and its rows would not be found. */
#include "router/config/check_server.h"

#include <stdlib.h>

#include "router/route/key.h"
#include "router/route/map.h"

static const char kind_sql[] =
    "SELECT c.relkind FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'f', 'v', 'm')";

static const char column_sql[] =
    "SELECT a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod),"
    " coalesce(l.collisdeterministic, true), a.attnotnull"
    " FROM pg_catalog.pg_attribute a"
    " JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation"
    " WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND a.attnum > 0"
    " AND NOT a.attisdropped";

/* Unique indexes, with their columns as an array's text, "{id,email}"; expressions are
 * left out. */
static const char unique_sql[] =
    "SELECT i.indexrelid::pg_catalog.regclass, i.indisprimary,"
    " ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a"
    "       WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])) @>"
    "   $3::text[]"
    " FROM pg_catalog.pg_index i"
    " JOIN pg_catalog.pg_class c ON c.oid = i.indrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique";

/* Columns in order with their types, as one text to compare. */
static const char shape_sql[] =
    "SELECT pg_catalog.string_agg(a.attname || ' ' ||"
    "   pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)"
    " FROM pg_catalog.pg_attribute a"
    " JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname || '.' || c.relname = $1 AND a.attnum > 0 AND NOT a.attisdropped";

static PGresult *
ask3(struct probe *p, const char *sql, const char *a, const char *b, const char *third)
{
	const char *values[3] = {a, b, third};

	return PQexecParams(
	    p->conn, sql, third != NULL ? 3 : 2, NULL, values, NULL, NULL, 0);
}

static bool
on_shard(const struct map_table *t, int shard)
{
	return (t->shards[shard / 64] >> (shard % 64)) & 1;
}

/* Integers hash and compare alike in all their widths, and so do text and varchar. */
static bool
types_agree(enum key_type wanted, uint32_t oid)
{
	enum key_type found = key_type_of_oid(oid);

	if (found == wanted)
		return true;
	if (wanted <= KEY_INT8)
		return found <= KEY_INT8;
	return (wanted == KEY_TEXT || wanted == KEY_VARCHAR) &&
	    (found == KEY_TEXT || found == KEY_VARCHAR);
}

static void
check_column(struct check *c, struct probe *p, const struct map_table *t, int i)
{
	const struct distribution *d = &p->db->map->distributions[t->distribution];
	PGresult *r = ask3(p, column_sql, t->schema, t->name, t->key[i]);

	if (PQresultStatus(r) != PGRES_TUPLES_OK) {
		check_tell(
		    c, false, p->server, "%s: %s", p->label, PQerrorMessage(p->conn));
	} else if (PQntuples(r) == 0) {
		check_tell(c, false, p->server,
		    "%s: the table %s.%s has no column \"%s\"", p->label, t->schema,
		    t->name, t->key[i]);
	} else {
		uint32_t oid = (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 10);

		if (!types_agree(d->types[i], oid))
			check_tell(c, false, p->server,
			    "%s: the key %s.%s.%s is of type %s, the distribution \"%s\" "
			    "of type %s",
			    p->label, t->schema, t->name, t->key[i], PQgetvalue(r, 0, 1),
			    d->name, key_type_name(d->types[i]));
		if (PQgetvalue(r, 0, 2)[0] == 'f')
			check_tell(c, false, p->server,
			    "%s: the key %s.%s.%s has a nondeterministic collation, so "
			    "equal keys may be hashed differently",
			    p->label, t->schema, t->name, t->key[i]);
	}
	PQclear(r);
}

static const char *
array_text(struct check *c, const struct map_table *t)
{
	const char *text = "{";

	for (int i = 0; i < t->n_key; i++) {
		char *quoted = arena_alloc(&c->arena, 2 * strlen(t->key[i]) + 1),
		     *to = quoted;

		for (const char *from = t->key[i]; *from != '\0'; from++) {
			if (*from == '"' || *from == '\\')
				*to++ = '\\';
			*to++ = *from;
		}
		text = arena_printf(
		    &c->arena, "%s%s\"%s\"", text, i == 0 ? "" : ",", quoted);
	}
	return arena_printf(&c->arena, "%s}", text);
}

static void
check_unique(struct check *c, struct probe *p, const struct map_table *t)
{
	PGresult *r = ask3(p, unique_sql, t->schema, t->name, array_text(c, t));

	for (int i = 0; i < PQntuples(r); i++)
		if (PQgetvalue(r, i, 2)[0] != 't')
			check_tell(c, true, p->server,
			    "%s: the %s %s of %s.%s lacks the sharding key: its values "
			    "are unique within a shard only",
			    p->label,
			    PQgetvalue(r, i, 1)[0] == 't' ? "primary key"
							  : "unique index",
			    PQgetvalue(r, i, 0), t->schema, t->name);
	PQclear(r);
}

static void
check_table(struct check *c, struct probe *p, const struct map_table *t)
{
	PGresult *r = ask3(p, kind_sql, t->schema, t->name, NULL);
	bool found = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0;

	PQclear(r);
	if (!found) {
		check_tell(c, false, p->server, "%s: there is no table %s.%s", p->label,
		    t->schema, t->name);
		return;
	}
	if (t->reference)
		return;
	for (int i = 0; i < t->n_key; i++)
		check_column(c, p, t, i);
	check_unique(c, p, t);
}

void
check_map(struct check *c, struct probe *p)
{
	const struct shard_map *m = p->db->map;

	for (int i = 0; i < m->n_tables; i++)
		if (on_shard(&m->tables[i], p->shard->index))
			check_table(c, p, &m->tables[i]);
}

static void
compare_table(struct check *c, const struct db_conf *db, const struct map_table *t)
{
	const char *name = arena_printf(&c->arena, "%s.%s", t->schema, t->name);
	const char *first = NULL, *shape;
	const struct probe *first_at = NULL;

	for (int i = 0; i < c->n; i++) {
		struct probe *p = &c->probes[i];

		if (p->db != db || !p->is_primary || p->conn == NULL ||
		    !on_shard(t, p->shard->index))
			continue;
		shape = check_ask(c, p, shape_sql, name);
		if (shape != NULL && first != NULL && strcmp(shape, first) != 0)
			check_tell(c, true, p->server,
			    "%s: the columns of %s are not those of %s: (%.200s) here, "
			    "(%.200s) there",
			    p->label, name, first_at->label, shape, first);
		if (shape != NULL && first == NULL) {
			first = shape;
			first_at = p;
		}
	}
}

void
check_same_tables(struct check *c, const struct db_conf *db)
{
	for (int i = 0; i < db->map->n_tables; i++)
		compare_table(c, db, &db->map->tables[i]);
}
