/* Commands of the admin console: what is understood, what is refused, and by what words. */
#include "router/admin/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/admin/console.h"

static struct arena arena;
static struct admin_line line;
static struct err err;

static enum rc
parse(const char *sql)
{
	arena_reset(&arena);
	return admin_parse(slice_of(sql), &arena, &line, &err);
}

static void
is(const char *sql, enum admin_command_id id, const char *arg)
{
	if (parse(sql) != RC_OK)
		fail_msg("%s: %s", sql, err.msg);
	assert_false(line.empty);
	assert_int_equal(line.id, id);
	if (!slice_eq_str(line.arg, arg))
		fail_msg("%s: argument \"%.*s\"", sql, (int)line.arg.len, line.arg.ptr);
}

static void
sets(const char *sql, const char *key, const char *value)
{
	if (parse(sql) != RC_OK)
		fail_msg("%s: %s", sql, err.msg);
	assert_int_equal(line.id, COMMAND_set);
	if (!slice_eq_str(line.key, key) || !slice_eq_str(line.value, value))
		fail_msg("%s: \"%.*s\" = \"%.*s\"", sql, (int)line.key.len, line.key.ptr,
		    (int)line.value.len, line.value.ptr);
}

static void
refused(const char *sql)
{
	if (parse(sql) != RC_ERR)
		fail_msg("%s: understood as %s", sql, admin_commands[line.id].words);
	assert_string_equal(err.sqlstate, "42601");
}

static void
test_words(void **state)
{
	(void)state;
	is("SHOW POOLS", COMMAND_show_pools, "");
	is("show pools;", COMMAND_show_pools, "");
	is("  Show\n\tPools ; ; ", COMMAND_show_pools, "");
	is("/* a /* nested */ comment */ SHOW -- here\n STATS_TOTALS; -- and here",
	    COMMAND_show_stats_totals, "");
	is("SHOW HELP", COMMAND_show_help, "");
	is("SELECT 1", COMMAND_select_one, "");
	is("discard all", COMMAND_ignore_discard, "all");
}

static void
test_arguments(void **state)
{
	(void)state;
	is("PAUSE", COMMAND_pause, "");
	is("PAUSE shop;", COMMAND_pause, "shop");
	is("pause \"My \"\"Shop\"\"\"", COMMAND_pause, "My \"Shop\"");
	is("pause 'it''s'", COMMAND_pause, "it's");
	is("pause my-shop.v2", COMMAND_pause, "my-shop.v2");
	is("KILL_CLIENT 12", COMMAND_kill_client, "12");
	assert_int_equal(line.client, 12);
	is("kill_client c4711", COMMAND_kill_client, "c4711");
	assert_int_equal(line.client, 4711);
	is("KILL_CLIENT '7'", COMMAND_kill_client, "7");
	is("shutdown", COMMAND_shutdown, "");
	is("SHUTDOWN WAIT_FOR_CLIENTS", COMMAND_shutdown, "wait_for_clients");
	is("pause 2nd_shop;", COMMAND_pause, "2nd_shop");
	is("SHOW MAP shop", COMMAND_show_map, "shop");
}

static void
test_set(void **state)
{
	(void)state;
	sets("SET query_timeout = 5", "query_timeout", "5");
	sets("SET Query_Timeout TO '7s';", "query_timeout", "7s");
	sets("SET listen.tls.mode = 'require'", "listen.tls.mode", "require");
	sets("SET \"application_name\" = 'it''s me'", "application_name", "it's me");
	sets("SET SESSION extra_float_digits = 3", "extra_float_digits", "3");
	sets("set session = 1", "session", "1");
	sets("SET x = a, b", "x", "a, b");
	sets("SET x = -10s", "x", "-10s");
	sets("SET x = 1.5min;", "x", "1.5min");
	sets("SET x = ''", "x", "");
	sets("SET TIME ZONE 'UTC'", "timezone", "UTC");
	sets("set session characteristics as transaction read only", "characteristics",
	    "characteristics as transaction read only");
	assert_true(admin_ignores_setting(line.key));
	refused("SET");
	refused("SET x");
	refused("SET x =");
	refused("SET = 5");
	refused("SET TIME ZONE");
}

static void
test_refused(void **state)
{
	(void)state;
	refused("SHOW NONSENSE");
	refused("SHOW");
	refused("FROBNICATE the servers");
	refused("SHOW POOLS now");
	refused("SHOW POOLS; SHOW STATS");
	refused("SELECT 1 FROM pg_class");
	refused("DISABLE");
	refused("KILL_CLIENT");
	refused("KILL_CLIENT twelve");
	refused("KILL_CLIENT 99999999999999999999999");
	refused("KILL_CLIENT c");
	refused("KILL_CLIENT ''");
	refused("SHUTDOWN SOON");
	refused("SHOW 'POOLS");
	refused("'");
	refused("/*");
	parse("SHOW NONSENSE");
	assert_string_equal(err.msg, "invalid command 'SHOW NONSENSE', use SHOW HELP;");
}

/* A long text is quoted in part, cut between characters. */
static void
test_long(void **state)
{
	char sql[300] = "", *p = sql;

	(void)state;
	*p++ = 'x';
	for (int i = 0; i < 100; i++, p += 2)
		memcpy(p, "é", 2);
	assert_int_equal(parse(sql), RC_ERR);
	assert_true(strlen(err.msg) < 120);
	assert_non_null(strstr(err.msg, "éé', use"));
}

static void
test_empty(void **state)
{
	(void)state;
	for (const char *const *p = (const char *const[]){"", ";", " \n;; ", "-- nothing",
		 "/* nothing */ ;", NULL};
	     *p; p++) {
		assert_int_equal(parse(*p), RC_OK);
		assert_true(line.empty);
	}
}

/* Any bytes: an answer, and nothing read beyond them (the sanitizer looks). */
static void
test_any_bytes(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		static const char alphabet[] =
		    "SETshow pause'\"\\;$=-/*.\xc3\x28\xff\0a1";
		size_t n = (seed >> 8) % 40;
		char *text = malloc(n + 1);

		for (size_t j = 0; j < n; j++) {
			seed = seed * 1664525 + 1013904223;
			text[j] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
		}
		text = realloc(text, n == 0 ? 1 : n);
		arena_reset(&arena);
		(void)!admin_parse((struct slice){text, n}, &arena, &line, &err);
		free(text);
		seed++;
	}
}

static void
test_table(void **state)
{
	char tag[32];

	(void)state;
	for (int i = 0; i < COMMAND_COUNT; i++) {
		assert_true(admin_commands[i].help[0] != '\0');
		assert_true(table_columns(admin_commands[i].table) <= TABLE_COLUMNS_MAX);
		admin_tag((enum admin_command_id)i, tag, sizeof tag);
		assert_true(tag[0] != '\0');
		if (strncmp(admin_commands[i].words, "SHOW", 4) != 0 &&
		    strcmp(admin_commands[i].words, "SELECT 1") != 0)
			assert_int_equal(admin_commands[i].table, TABLE_none);
	}
	admin_tag(COMMAND_show_pools, tag, sizeof tag);
	assert_string_equal(tag, "SHOW");
	admin_tag(COMMAND_kill_client, tag, sizeof tag);
	assert_string_equal(tag, "KILL_CLIENT");
}

static const char *
masked(const char *sql, size_t max)
{
	arena_reset(&arena);
	return console_mask(slice_of(sql), max, &arena);
}

static void
test_mask(void **state)
{
	(void)state;
	assert_string_equal(masked("SELECT * FROM t WHERE a = 'x' AND b=-12.5", 200),
	    "SELECT * FROM t WHERE a = ? AND b=-?");
	assert_string_equal(
	    masked("ALTER ROLE a PASSWORD 'secret'", 200), "ALTER ROLE a PASSWORD ?");
	assert_string_equal(masked("ALTER ROLE a PASSWORD $$secret$$ -- secret", 200),
	    "ALTER ROLE a PASSWORD ?");
	assert_string_equal(masked("SELECT 'cut off in the mid", 200), "SELECT …");
	assert_string_equal(masked("select\n  /* c */  $1", 200), "select $1");
	assert_string_equal(masked("select column_a, column_b", 12), "select …");
	assert_string_equal(masked("", 200), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_arguments),
	    cmocka_unit_test(test_set),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_empty),
	    cmocka_unit_test(test_any_bytes),
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_mask),
	};
	int failed;

	arena_init(&arena);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	arena_reset(&arena);
	return failed;
}
