/* Is every constant whose value is part of the meaning pinned? The parse tree says where
 * those stand: below the clauses named here, in types, in typed literals and in the
 * arguments of functions that the analysis reads. */
#ifndef WEIR_TESTS_PIN_CHECK_H
#define WEIR_TESTS_PIN_CHECK_H

#include <jansson.h>
#include <pg_query.h>
#include <stdio.h>
#include <string.h>

#include "router/sql/shape.h"

struct pin_check {
	const char *text;
	const struct sql_consts *consts;
	int wrong;
};

static int
is_free(const struct pin_check *c, long long location)
{
	for (uint32_t i = 0; i < c->consts->n; i++)
		if (c->consts->v[i].raw.ptr - c->text == location)
			return 1;
	return 0;
}

static long long
location_of(const json_t *node)
{
	return json_integer_value(json_object_get(node, "location"));
}

static int
key_pins(const char *key)
{
	static const char *const keys[] = {"groupClause", "sortClause", "windowClause",
	    "havingClause", "distinctClause", "returningList", "agg_order", "over",
	    "typmods", "typeName"};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (strcmp(keys[i], key) == 0)
			return 1;
	return 0;
}

/* A query that is a select list and nothing else, and not part of another. */
static int
lone_select(const json_t *select)
{
	static const char *const clauses[] = {"fromClause", "whereClause", "sortClause",
	    "groupClause", "limitCount", "limitOffset", "withClause", "larg",
	    "havingClause", "windowClause", "distinctClause", "intoClause", "valuesLists",
	    "lockingClause"};

	for (size_t i = 0; i < sizeof clauses / sizeof *clauses; i++)
		if (json_object_get(select, clauses[i]) != NULL)
			return 0;
	return 1;
}

static int
reads_arguments(const json_t *call)
{
	const json_t *names = json_object_get(call, "funcname");
	const json_t *last = json_array_get(names, json_array_size(names) - 1);
	const char *name =
	    json_string_value(json_object_get(json_object_get(last, "String"), "sval"));

	if (name == NULL)
		name = json_string_value(
		    json_object_get(json_object_get(last, "String"), "str"));
	return name != NULL &&
	    (strcmp(name, "set_config") == 0 || strcmp(name, "nextval") == 0 ||
		strcmp(name, "setval") == 0 || strcmp(name, "currval") == 0);
}

static void
pin_walk(struct pin_check *c, const char *type, const json_t *node, int pinned, int top)
{
	const char *key;
	const json_t *value;
	size_t i;

	if (json_is_array(node)) {
		json_array_foreach(node, i, value) pin_walk(c, type, value, pinned, top);
		return;
	}
	if (!json_is_object(node))
		return;
	if (strcmp(type, "A_Const") == 0 && pinned && is_free(c, location_of(node)))
		c->wrong++;
	if (strcmp(type, "FuncCall") == 0 && reads_arguments(node))
		pinned = 1;
	json_object_foreach((json_t *)node, key, value)
	{
		/* FROM f() AS x (a numeric(10,2)): nothing reads these */
		if (strcmp(key, "coldeflist") == 0)
			continue;

		int p = pinned || key_pins(key);

		if (strcmp(key, "targetList") == 0 && strcmp(type, "SelectStmt") == 0)
			p |= !(top && lone_select(node));
		pin_walk(c, key, value, p,
		    top &&
			(strcmp(key, "stmts") == 0 || strcmp(key, "RawStmt") == 0 ||
			    strcmp(key, "stmt") == 0 || strcmp(key, "SelectStmt") == 0));
	}
}

/* 1: all is well, or the text cannot be parsed. */
static int
pins_enough(const char *text, const struct sql_consts *consts)
{
	PgQueryParseResult r = pg_query_parse(text);
	struct pin_check c = {text, consts, 0};
	json_t *tree;

	if (r.error == NULL) {
		tree = json_loads(r.parse_tree, JSON_ALLOW_NUL, NULL);
		if (tree != NULL)
			pin_walk(&c, "", tree, 0, 1);
		json_decref(tree);
	}
	if (c.wrong > 0)
		fprintf(stderr, "%d constants are not pinned: %s\n", c.wrong, text);
	pg_query_free_parse_result(r);
	return c.wrong == 0;
}

#endif
