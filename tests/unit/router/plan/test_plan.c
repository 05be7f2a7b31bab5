/* The planner's other half: when a compiled program is used again and when not, look-ups,
 * several statements, values from outside (parameters of any bytes), and what a plan
 * costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

#include "fixture.h"

struct world {
	struct shard_map *map;
	struct schema *schema;
	struct shape_cache *cache;
	struct arena arena;
	struct sql_consts consts;
	struct plan_ctx ctx;
};

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	w->map = fixture_map("s1");
	w->schema = fixture_schema();
	w->cache = shape_cache_create(1 << 20);
	arena_init(&w->arena);
	w->ctx = (struct plan_ctx){.map = w->map,
	    .schema = w->schema,
	    .search_path = "public",
	    .user = "joe",
	    .date_style = "ISO, MDY",
	    .time_zone = "UTC",
	    .client_encoding = "UTF8",
	    .server_encoding = "UTF8",
	    .consts = &w->consts,
	    .arena = &w->arena};
	*state = w;
	return w->map == NULL || w->schema == NULL;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	shape_cache_destroy(w->cache);
	schema_unref(w->schema);
	shard_map_destroy(w->map);
	arena_reset(&w->arena);
	free(w);
	return 0;
}

static struct shape *
shape(struct world *w, const char *sql)
{
	static const struct sql_env env = {0, true};

	return shape_get(w->cache, slice_of(sql), &env, &w->consts);
}

/* "one 2", "any 0", "all", "lookup KEY" or the SQLSTATE. */
static const char *
plan(struct world *w, const char *sql)
{
	static char out[100];
	struct plan p;
	struct err e;

	if (plan_run(shape(w, sql), 0, &w->ctx, &p, &e) != RC_OK)
		snprintf(out, sizeof out, "%s", e.sqlstate);
	else if (p.kind == PLAN_LOOKUP)
		snprintf(out, sizeof out, "lookup %.*s", (int)p.lookup.key.len,
		    p.lookup.key.ptr);
	else if (p.kind == PLAN_ALL)
		snprintf(out, sizeof out, "all");
	else
		snprintf(out, sizeof out, "%s %d", p.kind == PLAN_ONE ? "one" : "any",
		    p.shard);
	arena_reset(&w->arena);
	return out;
}

static void
test_same_shape_other_keys(void **state)
{
	struct world *w = *state;

	assert_string_equal(
	    plan(w, "SELECT * FROM orders WHERE customer_id = 5"), "one 2");
	assert_string_equal(
	    plan(w, "SELECT * FROM orders WHERE customer_id = 1"), "one 1");
	assert_string_equal(
	    plan(w, "SELECT * FROM orders WHERE customer_id = 6"), "one 0");
	assert_string_equal(
	    plan(w, "SELECT * FROM orders WHERE customer_id = - 5"), "one 1");
}

static void
test_recompiled_when_something_changes(void **state)
{
	struct world *w = *state;
	static const char *const temp[] = {"orders", NULL},
				 *const other[] = {"elsewhere", NULL};
	const char *sql = "SELECT * FROM orders WHERE customer_id = 5";
	struct shard_map *one = plain_map(), *map = w->map;

	assert_string_equal(plan(w, sql), "one 2");
	w->ctx.temp_tables = temp;
	assert_string_equal(plan(w, sql), "any 0");
	w->ctx.temp_tables = other;
	assert_string_equal(plan(w, sql), "one 2");
	w->ctx.temp_tables = NULL;
	assert_string_equal(plan(w, sql), "one 2");
	w->ctx.search_path = "app";
	assert_string_equal(plan(w, sql), "one 0");
	w->ctx.search_path = "app, public";
	assert_string_equal(plan(w, sql), "one 2");
	w->ctx.search_path = "\"$user\"";
	assert_string_equal(plan(w, sql), "one 0");
	w->ctx.user = "public";
	assert_string_equal(plan(w, sql), "one 2");
	w->ctx.map = one;
	assert_string_equal(plan(w, sql), "one 0");
	w->ctx.map = map;
	w->ctx.schema = NULL;
	assert_string_equal(plan(w, sql), "one 2");
	shard_map_destroy(one);
}

static void
test_lookup_and_again(void **state)
{
	struct world *w = *state;
	const char *sql = "SELECT * FROM visitors WHERE visitor = 'v9'";
	struct plan p;
	struct err e;

	assert_string_equal(plan(w, sql), "lookup v9");
	assert_int_equal(plan_run(shape(w, sql), 0, &w->ctx, &p, &e), RC_OK);
	assert_int_equal(
	    shard_map_learn(w->map, &w->map->distributions[p.lookup.distribution],
		p.lookup.key, "s3", 1, &e),
	    RC_OK);
	assert_string_equal(plan(w, sql), "one 2");
	assert_string_equal(
	    plan(w, "SELECT * FROM visitors WHERE visitor IN ('v9', 'v8')"), "lookup v8");
}

static void
test_several_statements(void **state)
{
	struct world *w = *state;
	struct shape *s = shape(
	    w, "SELECT 1; DELETE FROM orders WHERE customer_id = 5; DELETE FROM orders");
	struct plan p;
	struct err e;

	assert_int_equal(s->stmts->n, 3);
	assert_int_equal(plan_run(s, 1, &w->ctx, &p, &e), RC_OK);
	assert_int_equal(p.shard, 2);
	assert_false(p.read_only);
	assert_true(p.sharded);
	assert_int_equal(plan_run(s, 2, &w->ctx, &p, &e), RC_ERR);
	assert_int_equal(plan_run(s, 0, &w->ctx, &p, &e), RC_OK);
	assert_int_equal(p.kind, PLAN_ANY);
	assert_false(p.sharded);
}

static void
test_unreadable(void **state)
{
	struct world *w = *state;
	struct shard_map *one = plain_map(), *map = w->map;

	assert_string_equal(plan(w, "SELECT 'open"), "42601");
	assert_string_equal(plan(w, "SELEC 1"), "42601");
	w->ctx.map = one;
	assert_string_equal(plan(w, "SELECT 'open"), "one 0");
	assert_string_equal(plan(w, "SELEC 1"), "one 0");
	w->ctx.map = map;
	shard_map_destroy(one);
}

/* Any bytes in a parameter: an answer or an error, never more. */
static void
test_hostile_parameters(void **state)
{
	static const char *const sqls[] = {"SELECT * FROM orders WHERE customer_id = $1",
	    "SELECT * FROM orders WHERE customer_id = ANY ($1)",
	    "SELECT * FROM items WHERE id = $1", "SELECT * FROM amounts WHERE price = $1",
	    "SELECT * FROM stamps WHERE at = $1",
	    "SELECT * FROM tenants WHERE name = ANY ($1)",
	    "INSERT INTO codes (code) VALUES ($1)"};
	static const uint32_t oids[] = {
	    0, 20, 23, 25, 1016, 1009, 1700, 2950, 1114, 4294967295U};
	struct world *w = *state;
	struct plan_param p;
	char bytes[64];
	unsigned seed = 7;

	w->ctx.params = &p;
	w->ctx.n_params = 1;
	for (int i = 0; i < 20000; i++) {
		uint32_t oid = oids[(size_t)rand_r(&seed) % (sizeof oids / sizeof *oids)];

		p.len = rand_r(&seed) % 41;
		p.format = (int16_t)(rand_r(&seed) % 2);
		p.ptr = bytes + 64 - p.len; /* so that one byte too far is seen */
		for (int k = 0; k < 64; k++)
			bytes[k] = (char)(rand_r(&seed) % 3 == 0
				? rand_r(&seed)
				: "{}\",0123456789NULL\\ "[rand_r(&seed) % 20]);
		if (p.format == 1 && p.len >= 20 && i % 2 == 0)
			memcpy((char *)p.ptr, "\0\0\0\1\0\0\0\0\0\0\0\24\0\0\0\2\0\0\0\1",
			    20);
		w->ctx.param_oids = &oid;
		w->ctx.n_oids = 1;
		plan(w, sqls[(size_t)rand_r(&seed) % (sizeof sqls / sizeof *sqls)]);
	}
}

/* A great many alternatives, keys and tables are planned in bounded time: proven or
 * refused. */
static char *
long_sql(const char *before, const char *piece, int n, const char *after)
{
	char *sql =
		 malloc(strlen(before) + strlen(piece) * (size_t)n + strlen(after) + 1),
	     *p = stpcpy(sql, before);

	for (int i = 0; i < n; i++)
		p = stpcpy(p, piece);
	strcpy(p, after);
	return sql;
}

static void
test_large(void **state)
{
	static const struct {
		const char *before, *piece, *after, *want;
	} cases[] = {
	    {"SELECT * FROM orders WHERE customer_id IN (5", ", 5", ")", "one 2"},
	    {"SELECT * FROM orders WHERE customer_id = 5", " OR customer_id = 5", "",
		NULL},
	    {"SELECT * FROM orders WHERE customer_id = 5 AND (id = 1", " OR id = 2", ")",
		"one 2"},
	    {"INSERT INTO orders (id, customer_id) VALUES (1, 5)", ", (2, 5)", "",
		"one 2"},
	    {"SELECT * FROM orders WHERE customer_id = 5", " AND id = 5", "", "one 2"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *sql =
		    long_sql(cases[i].before, cases[i].piece, 3000, cases[i].after);
		const char *got = plan(w, sql);

		if (cases[i].want != NULL)
			assert_string_equal(got, cases[i].want);
		free(sql);
	}
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Printed, not judged: tests run on slow machines too. */
static void
test_cost(void **state)
{
	struct world *w = *state;
	struct plan_param param = {"\0\0\0\0\0\0\0\5", 8, 1};
	uint32_t oid = 20;
	struct shape *s;
	struct plan p;
	struct err e;
	double t;
	size_t used;

	w->ctx.params = &param;
	w->ctx.n_params = w->ctx.n_oids = 1;
	w->ctx.param_oids = &oid;
	s = shape(w, "SELECT * FROM orders WHERE customer_id = $1");
	assert_int_equal(plan_run(s, 0, &w->ctx, &p, &e), RC_OK);
	used = w->arena.used;
	t = now_s();
	for (int i = 0; i < 100000; i++)
		assert_int_equal(plan_run(s, 0, &w->ctx, &p, &e), RC_OK);
	t = now_s() - t;
	print_message("plan_run: %.0f ns\n", t * 1e9 / 100000);
	assert_int_equal(w->arena.used, used); /* nothing is allocated */
	assert_int_equal(p.shard, 2);
	s = shape(w, "SELECT * FROM orders WHERE customer_id = 5");
	used = w->arena.used;
	assert_int_equal(plan_run(s, 0, &w->ctx, &p, &e), RC_OK);
	assert_int_equal(w->arena.used, used);
}

/* A schema as the loader makes it, which knows the volatile functions of pg_catalog. */
static void
test_catalog_functions(void **state)
{
	struct world *w = *state;
	struct schema_builder *b = schema_builder_create();
	struct schema *loaded;
	struct plan p;
	struct err e;

	schema_builder_func(b, "pg_catalog", "random", 0, 0, false, 'v');
	schema_builder_func(b, "pg_catalog", "from_the_future", 1, 0, false, 'v');
	schema_builder_func(b, "public", "many", 3, 1, false, 'i');
	schema_builder_func(b, "public", "many", 1, 0, true, 's');
	loaded = schema_builder_finish(b);
	w->ctx.schema = loaded;
	w->ctx.search_path = "pg_catalog, public";
	assert_int_equal(
	    plan_run(shape(w, "SELECT random()"), 0, &w->ctx, &p, &e), RC_OK);
	assert_true(p.read_only);
	assert_int_equal(
	    plan_run(shape(w, "SELECT from_the_future(1)"), 0, &w->ctx, &p, &e), RC_OK);
	assert_false(p.read_only);
	assert_string_equal(plan(w, "SELECT many(1, 2, 3)"), "0A000");
	assert_false(schema_func(loaded, "public", "random", 0).found);
	assert_int_equal(
	    schema_func(loaded, "public", "many", 2).volatility, SCHEMA_STABLE);
	w->ctx.schema = w->schema;
	schema_unref(loaded);
}

static void
test_describe(void **state)
{
	struct world *w = *state;
	struct shape *s = shape(w, "SELECT * FROM orders WHERE customer_id IN (5, 7)");
	struct slice text;
	struct plan p;
	struct err e;

	assert_int_equal(plan_run(s, 0, &w->ctx, &p, &e), RC_OK);
	plan_describe(s, 0, &w->ctx, &p, &w->arena, &text);
	assert_true(slice_eq_str(text,
	    "statement: select\nruns on: shard s3\nserver: primary or replica\n"
	    "because: orders: customer_id IN (5, 7)\n"));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CASE(test_same_shape_other_keys),
	    CASE(test_recompiled_when_something_changes),
	    CASE(test_lookup_and_again),
	    CASE(test_several_statements),
	    CASE(test_unreadable),
	    CASE(test_hostile_parameters),
	    CASE(test_large),
	    CASE(test_cost),
	    CASE(test_catalog_functions),
	    CASE(test_describe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
