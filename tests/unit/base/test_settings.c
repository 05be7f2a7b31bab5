/* Settings: every kind from text and numbers, and back to text. */
#include "base/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/suggest.h"

struct values {
	bool flag;
	int count;
	uint64_t wait_us, room_bytes;
	int colour;
	const char *name;
	struct setting_list hosts;
};

static const char *const colours[] = {"red|rouge", "green", "blue", NULL};

enum { FLAG, COUNT, WAIT, ROOM, COLOUR, NAME, HOSTS };

static const struct setting settings[] = {
    {"flag", SETTING_BOOL, offsetof(struct values, flag), "true", 0, 0, NULL, 1, true,
	""},
    {"count", SETTING_INT, offsetof(struct values, count), "7", -5, 1000, NULL, 1, true,
	""},
    {"wait", SETTING_DURATION, offsetof(struct values, wait_us), "1.5", 0, 3600000000,
	NULL, 1, true, ""},
    {"room", SETTING_SIZE, offsetof(struct values, room_bytes), "16MB", 0, 0, NULL, 1,
	true, ""},
    {"colour", SETTING_ENUM, offsetof(struct values, colour), "green", 0, 0, colours, 1,
	true, "Paint."},
    {"group.name", SETTING_STRING, offsetof(struct values, name), "x y", 0, 0, NULL, 1,
	false, ""},
    {"hosts", SETTING_LIST, offsetof(struct values, hosts), "a, b,,c ", 0, 0, NULL, 1,
	true, ""},
};

static const struct setting_alias aliases[] = {{"default_count", "count"}};
static const struct setting_section sections[] = {{"All", 0}};
static const struct setting_table table = {
    settings, 7, sections, 1, sizeof(struct values), aliases, 1};

static struct arena arena;
static struct values v;
static struct err err;

static int
begin(void **state)
{
	(void)state;
	arena_init(&arena);
	settings_defaults(&table, &v, &arena);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

static enum rc
parse(int id, const char *text)
{
	return setting_parse(&settings[id], &v, slice_of(text), &arena, &err);
}

static const char *
text(int id)
{
	return setting_text(&settings[id], &v, &arena);
}

static void
defaults(void **state)
{
	(void)state;
	assert_true(v.flag);
	assert_int_equal(v.count, 7);
	assert_int_equal(v.wait_us, 1500000);
	assert_int_equal(v.room_bytes, 16 << 20);
	assert_int_equal(v.colour, 1);
	assert_string_equal(v.name, "x y");
	assert_int_equal(v.hosts.n, 3);
	assert_string_equal(v.hosts.items[2], "c");
	assert_string_equal(text(HOSTS), "a, b, c");
	assert_int_equal(setting_find(&table, slice_of("default_count")), COUNT);
	assert_int_equal(setting_find(&table, slice_of("group.name")), NAME);
	assert_int_equal(setting_find(&table, slice_of("name")), -1);
}

static void
durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t us; /* 1: refused */
	} cases[] = {{"0", 0}, {"10", 10000000}, {"0.25", 250000}, {".5", 500000},
	    {" 500ms ", 500000}, {"500 ms", 500000}, {"3us", 3}, {"10s", 10000000},
	    {"5min", 300000000}, {"2m", 120000000}, {"1h", 3600000000},
	    {"1.5H", 5400000000}, {"2d", 172800000000}, {"0.0000001", 1}, {"", 1},
	    {"s", 1}, {".", 1}, {"-1", 1}, {"5 parsecs", 1}, {"1h30m", 1},
	    {"99999999999999999999", 1}, {"18446744073709551615d", 1},
	    {"0.12345678901", 1}, {"1e3", 1}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t us = 77;
		enum rc rc = parse_duration(slice_of(cases[i].text), &us, &err);

		assert_int_equal(rc, cases[i].us == 1 ? RC_ERR : RC_OK);
		assert_int_equal(us, cases[i].us == 1 ? 77 : cases[i].us);
	}
}

static void
sizes(void **state)
{
	uint64_t n;

	(void)state;
	assert_int_equal(parse_size(slice_of("64kB"), &n, &err), RC_OK);
	assert_int_equal(n, 65536);
	assert_int_equal(parse_size(slice_of("1.5 GB"), &n, &err), RC_OK);
	assert_int_equal(n, 1610612736);
	assert_int_equal(parse_size(slice_of("2TB"), &n, &err), RC_OK);
	assert_int_equal(n, 2199023255552);
	assert_int_equal(parse_size(slice_of("20000000TB"), &n, &err), RC_ERR);
	assert_int_equal(parse_size(slice_of("5 s"), &n, &err), RC_ERR);
}

static void
limits_and_kinds(void **state)
{
	(void)state;
	assert_int_equal(parse(COUNT, "1000"), RC_OK);
	assert_int_equal(parse(COUNT, "-5"), RC_OK);
	assert_int_equal(v.count, -5);
	assert_int_equal(parse(COUNT, "1001"), RC_ERR);
	assert_string_equal(err.msg, "the value must lie between -5 and 1000");
	assert_int_equal(parse(COUNT, "5000000000"), RC_ERR);
	assert_int_equal(parse(COUNT, "1.0"), RC_ERR);
	assert_int_equal(parse(COUNT, "1x"), RC_ERR);
	assert_int_equal(v.count, -5);
	assert_int_equal(parse(WAIT, "2h"), RC_ERR);
	assert_string_equal(err.msg, "the value must lie between 0 s and 3600 s");
	assert_int_equal(parse(FLAG, "OFF"), RC_OK);
	assert_false(v.flag);
	assert_int_equal(parse(FLAG, "maybe"), RC_ERR);
	assert_int_equal(parse(COLOUR, "Rouge"), RC_OK);
	assert_int_equal(v.colour, 0);
	assert_string_equal(text(COLOUR), "red");
	assert_int_equal(parse(COLOUR, ""), RC_ERR);
	assert_int_equal(parse(COLOUR, "red|rouge"), RC_ERR);
	assert_string_equal(err.msg, "one of \"red\", \"green\", \"blue\" is expected");
	assert_int_equal(parse(HOSTS, ""), RC_OK);
	assert_int_equal(v.hosts.n, 0);
	assert_int_equal(
	    setting_parse(&settings[NAME], &v, (struct slice){"a\0b", 3}, &arena, &err),
	    RC_ERR);
}

static void
numbers(void **state)
{
	(void)state;
	assert_int_equal(setting_put_int(&settings[WAIT], &v, 60, &err), RC_OK);
	assert_int_equal(v.wait_us, 60000000);
	assert_int_equal(setting_put_int(&settings[WAIT], &v, -1, &err), RC_ERR);
	assert_int_equal(setting_put_int(&settings[WAIT], &v, INT64_MAX, &err), RC_ERR);
	assert_int_equal(setting_put_float(&settings[WAIT], &v, 0.25, &err), RC_OK);
	assert_string_equal(text(WAIT), "0.25");
	assert_int_equal(setting_put_float(&settings[WAIT], &v, 1e-9, &err), RC_ERR);
	assert_int_equal(setting_put_float(&settings[WAIT], &v, -1, &err), RC_ERR);
	assert_int_equal(
	    setting_put_float(&settings[WAIT], &v, strtod("nan", NULL), &err), RC_ERR);
	assert_int_equal(
	    setting_put_float(&settings[WAIT], &v, strtod("inf", NULL), &err), RC_ERR);
	assert_int_equal(setting_put_float(&settings[COUNT], &v, 1.0, &err), RC_ERR);
	assert_int_equal(setting_put_int(&settings[FLAG], &v, 0, &err), RC_OK);
	assert_int_equal(setting_put_int(&settings[FLAG], &v, 2, &err), RC_ERR);
	assert_int_equal(setting_put_int(&settings[NAME], &v, 2, &err), RC_ERR);
	assert_int_equal(setting_put_bool(&settings[COUNT], &v, true, &err), RC_ERR);
	assert_int_equal(setting_put_int(&settings[ROOM], &v, 4096, &err), RC_OK);
	assert_string_equal(text(ROOM), "4096");
	assert_int_equal(v.wait_us, 250000);
}

/* What is shown can be read back. */
static void
round_trip(void **state)
{
	struct values other;

	(void)state;
	for (int i = 0; i < table.n; i++) {
		settings_defaults(&table, &other, &arena);
		assert_int_equal(
		    setting_parse(&settings[i], &other,
			slice_of(setting_text(&settings[i], &v, &arena)), &arena, &err),
		    RC_OK);
		assert_true(setting_equal(&settings[i], &v, &other));
	}
	assert_int_equal(parse(HOSTS, "a, b"), RC_OK);
	assert_false(setting_equal(&settings[HOSTS], &v, &other));
	setting_copy(&settings[HOSTS], &other, &v);
	assert_true(setting_equal(&settings[HOSTS], &v, &other));
}

static const char *
nearest(const char *word)
{
	struct suggest s;

	suggest_init(&s, word);
	for (int i = 0; i < table.n; i++)
		suggest_consider(&s, settings[i].name);
	return s.best;
}

static void
suggestions(void **state)
{
	(void)state;
	assert_string_equal(nearest("coutn"), "count");
	assert_string_equal(nearest("colur"), "colour");
	assert_string_equal(nearest("COLOUR"), "colour");
	assert_string_equal(nearest("group_name"), "group.name");
	assert_null(nearest("databases"));
	assert_null(nearest("zz"));
	assert_null(nearest(
	    "a word that is far longer than any that can be compared with others"));
}

static void
docs(void **state)
{
	char *page = NULL;
	size_t size;
	FILE *f = open_memstream(&page, &size);

	(void)state;
	settings_docs(&table, f);
	fclose(f);
	assert_non_null(strstr(page, "## All\n"));
	assert_non_null(strstr(page, "### `colour`\n\nPaint.\n"));
	assert_non_null(strstr(page, "Also read as `default_count`."));
	free(page);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(defaults, begin, end),
	    cmocka_unit_test_setup_teardown(durations, begin, end),
	    cmocka_unit_test_setup_teardown(sizes, begin, end),
	    cmocka_unit_test_setup_teardown(limits_and_kinds, begin, end),
	    cmocka_unit_test_setup_teardown(numbers, begin, end),
	    cmocka_unit_test_setup_teardown(round_trip, begin, end),
	    cmocka_unit_test_setup_teardown(suggestions, begin, end),
	    cmocka_unit_test_setup_teardown(docs, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
