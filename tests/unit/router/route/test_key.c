#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "router/route/key.h"

static struct arena arena;
static struct key_env utc, dmy, berlin;

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena);
	key_env_init(&utc, "ISO, MDY", "UTC", "UTF8", "UTF8");
	key_env_init(&dmy, "SQL, DMY", "<+03>-03", "UTF8", "UTF8");
	key_env_init(&berlin, "ISO, MDY", "Europe/Berlin", "LATIN1", "UTF8");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

/* The canonical text of a value, or the SQLSTATE of its refusal. */
static const char *
read_as(enum key_type t, const char *text, const struct key_env *env)
{
	struct key k;
	struct err e;
	struct slice s;

	if (key_from_text(t, slice_of(text), env, &arena, &k, &e) != RC_OK)
		return arena_strdup(&arena, e.sqlstate);
	s = key_to_text(&k, &arena);
	return arena_strndup(&arena, s.ptr, s.len);
}

static const char *
param_as(enum key_type t, uint32_t oid, int format, const void *bytes, size_t len,
    const struct key_env *env)
{
	struct key k;
	struct err e;
	struct slice s;

	if (key_from_param(
		t, oid, format, (struct slice){bytes, len}, env, &arena, &k, &e) != RC_OK)
		return arena_strdup(&arena, e.sqlstate);
	assert_int_equal(k.type, t);
	s = key_to_text(&k, &arena);
	return arena_strndup(&arena, s.ptr, s.len);
}

struct row {
	const char *in, *out;
};

#define CHECK_ROWS(type, env, ...)                                                 \
	do {                                                                       \
		static const struct row rows_[] = {__VA_ARGS__};                   \
		for (size_t i_ = 0; i_ < sizeof rows_ / sizeof rows_[0]; i_++) {   \
			const char *got_ = read_as(type, rows_[i_].in, env);       \
			if (strcmp(got_, rows_[i_].out) != 0)                      \
				fail_msg("\"%s\": %s, not %s", rows_[i_].in, got_, \
				    rows_[i_].out);                                \
		}                                                                  \
	} while (0)

static void
integers(void **state)
{
	(void)state;
	CHECK_ROWS(KEY_INT8, &utc, {"0", "0"}, {" +7 ", "7"}, {"-0", "0"}, {"007", "7"},
	    {"9223372036854775807", "9223372036854775807"},
	    {"9223372036854775808", "22003"},
	    {"-9223372036854775808", "-9223372036854775808"},
	    {"-9223372036854775809", "22003"}, {"", "22P02"}, {" ", "22P02"},
	    {"-", "22P02"}, {"1 2", "22P02"}, {"1.0", "22P02"}, {"5x", "0A000"},
	    {"0x10", "0A000"}, {"1_000", "0A000"},
	    {"99999999999999999999999999", "22003"}, {"abc", "22P02"});
	/* A literal is not cut to the column's width: it equals no smallint, on any
	 * shard. */
	CHECK_ROWS(KEY_INT2, &utc, {"70000", "70000"});
}

static void
numerics(void **state)
{
	(void)state;
	CHECK_ROWS(KEY_NUMERIC, &utc, {"1.0", "1"}, {"1.00", "1"}, {"100e-2", "1"},
	    {"0001", "1"}, {".5", "0.5"}, {"5.", "5"}, {"-0", "0"}, {"-0.000", "0"},
	    {"+1.50", "1.5"}, {"1e3", "1000"}, {"12e-5", "0.00012"}, {"nan", "NaN"},
	    {"inf", "Infinity"}, {"-INFINITY", "-Infinity"}, {"", "22P02"},
	    {".", "22P02"}, {"1e", "22P02"}, {"1e+", "22P02"}, {"1.2.3", "22P02"},
	    {"-NaN", "22P02"}, {"1e131072", "22003"}, {"1e99999999999999999999", "22003"},
	    {"1e-20000", "0A000"}, {"1 e5", "22P02"});
	assert_int_equal(strlen(read_as(KEY_NUMERIC, "1e131071", &utc)), 131072);
}

static void
uuids(void **state)
{
	(void)state;
	CHECK_ROWS(KEY_UUID, &utc,
	    {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
		"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	    {"{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
		"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	    {"a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
		"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
	    {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "22P02"},
	    {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-", "22P02"},
	    {"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "22P02"},
	    {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g", "22P02"}, {"", "22P02"},
	    {"{}", "22P02"}, {" a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "22P02"});
}

static void
dates(void **state)
{
	(void)state;
	CHECK_ROWS(KEY_DATE, &utc, {"2026-01-31", "2026-01-31"},
	    {"20260131", "2026-01-31"}, {"01/31/2026", "2026-01-31"},
	    {"31/01/2026", "22008"}, {"Jan 31, 2026", "2026-01-31"},
	    {"31-Jan-2026", "2026-01-31"}, {"2026-01-31 23:59:59+14", "2026-01-31"},
	    {"0044-03-15 BC", "0044-03-15 BC"}, {"2024-02-29", "2024-02-29"},
	    {"2023-02-29", "22008"}, {"1900-02-29", "22008"}, {"0000-01-01", "22008"},
	    {"infinity", "infinity"}, {"-Infinity", "-infinity"}, {"epoch", "1970-01-01"},
	    {"today", "0A000"}, {"tomorrow", "0A000"}, {"now", "0A000"},
	    {"J2451187", "0A000"}, {"", "0A000"}, {"2026-01-31 24:00:00", "0A000"},
	    {"01/02/03", "2003-01-02"}, {"01/02/70", "1970-01-02"},
	    {"4714-11-23 BC", "22008"}, {"5874897-12-31", "5874897-12-31"},
	    {"5874898-01-01", "22008"}, {"99999999-01-01", "0A000"},
	    {"999999999-01-01", "0A000"});
	CHECK_ROWS(KEY_DATE, &dmy, {"31/01/2026", "2026-01-31"},
	    {"01-02-2026", "2026-02-01"}, {"2026-01-31", "2026-01-31"});
}

static void
timestamps(void **state)
{
	(void)state;
	CHECK_ROWS(KEY_TIMESTAMP, &utc, {"2026-01-31", "2026-01-31 00:00:00"},
	    {"2026-01-31T10:11", "2026-01-31 10:11:00"},
	    {"2026-01-31 10:11:12.5+02", "2026-01-31 10:11:12.500000"},
	    {"1999-12-31 23:59:59.999999", "1999-12-31 23:59:59.999999"},
	    {"2026-01-31 10:61:00", "22008"}, {"2026-01-31 10", "0A000"},
	    {"294276-12-31 23:59:59", "294276-12-31 23:59:59"}, {"294277-01-01", "22008"},
	    {"10:00:00", "0A000"}, {"2026-01-31 10:00 PM", "0A000"});
	CHECK_ROWS(KEY_TIMESTAMPTZ, &utc,
	    {"2026-01-31 10:00:00", "2026-01-31 10:00:00+00"},
	    {"2026-01-31 10:00:00+02", "2026-01-31 08:00:00+00"},
	    {"2026-01-31 10:00:00 -05:30", "2026-01-31 15:30:00+00"},
	    {"Sat Jan 31 10:00:00 2026 UTC", "2026-01-31 10:00:00+00"},
	    {"2026-01-31 10:00:00 PST", "0A000"},
	    {"2026-01-31 10:00:00 Europe/Berlin", "0A000"},
	    {"2026-01-31 10:00:00+16", "22008"});
	CHECK_ROWS(KEY_TIMESTAMPTZ, &dmy,
	    {"2026-01-31 10:00:00", "2026-01-31 07:00:00+00"},
	    {"31/01/2026 10:00:00Z", "2026-01-31 10:00:00+00"});
	CHECK_ROWS(KEY_TIMESTAMPTZ, &berlin, {"2026-01-31 10:00:00", "0A000"},
	    {"2026-01-31 10:00:00+01", "2026-01-31 09:00:00+00"},
	    {"infinity", "infinity"}, {"epoch", "1970-01-01 00:00:00+00"});
}

static void
zones(void **state)
{
	static const struct {
		const char *name;
		bool fixed;
		int seconds;
	} rows[] = {{"UTC", true, 0}, {"utc", true, 0}, {"GMT", true, 0},
	    {"Etc/UTC", true, 0}, {"<+03>-03", true, 10800}, {"<-05>+05", true, -18000},
	    {"<+05:30>-05:30", true, 19800}, {"Etc/GMT-3", true, 10800},
	    {"Etc/GMT+12", true, -43200}, {"Europe/Berlin", false, 0}, {"", false, 0},
	    {"<+03>", false, 0}, {"<+03>-03CEST", false, 0}, {"Etc/GMT-99", false, 0},
	    {",", false, 0}, {"EST5EDT", false, 0}, {"UTC,GMT", false, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct key_env env;

		key_env_init(&env, NULL, rows[i].name, NULL, NULL);
		if (env.zone_fixed != rows[i].fixed ||
		    (env.zone_fixed && env.zone_s != rows[i].seconds))
			fail_msg(
			    "\"%s\": %d %d", rows[i].name, env.zone_fixed, env.zone_s);
	}
	key_env_init(&utc, "ISO, MDY", NULL, "UTF8", "UTF8");
	assert_false(utc.zone_fixed);
	key_env_init(&utc, "ISO, MDY", "UTC", "UTF8", "UTF8");
}

static void
texts(void **state)
{
	struct key_env env;

	(void)state;
	CHECK_ROWS(
	    KEY_TEXT, &utc, {"acme", "acme"}, {"acme ", "acme "}, {"", ""}, {"é", "é"});
	assert_string_equal(read_as(KEY_TEXT, "caf\xe9", &berlin), "café");
	assert_string_equal(read_as(KEY_TEXT, "cafe", &berlin), "cafe");
	key_env_init(&env, NULL, NULL, "utf-8", "LATIN1");
	assert_string_equal(read_as(KEY_TEXT, "café", &env), "caf\xe9");
	assert_string_equal(read_as(KEY_TEXT, "€", &env), "22P05");
	assert_string_equal(read_as(KEY_TEXT, "caf\xc3", &env), "22P05");
	key_env_init(&env, NULL, NULL, "WIN1252", "UTF8");
	assert_string_equal(read_as(KEY_TEXT, "\x80", &env), "€");
	assert_string_equal(read_as(KEY_TEXT, "\x81", &env), "22P05");
	key_env_init(&env, NULL, NULL, "SJIS", "UTF8");
	assert_string_equal(read_as(KEY_TEXT, "\x83\x65", &env), "0A000");
	assert_string_equal(read_as(KEY_TEXT, "abc", &env), "abc");
	key_env_init(&env, NULL, NULL, "SJIS", "sjis");
	assert_string_equal(read_as(KEY_TEXT, "\x83\x65", &env), "\x83\x65");
	key_env_init(&env, NULL, NULL, "SQL_ASCII", "UTF8");
	assert_string_equal(read_as(KEY_TEXT, "\xe9", &env), "\xe9");
}

#define BIN(t, oid, bytes) param_as(t, oid, 1, bytes, sizeof bytes - 1, &utc)
#define TXT(t, oid, text)  param_as(t, oid, 0, text, strlen(text), &utc)

static void
binary(void **state)
{
	(void)state;
	assert_string_equal(BIN(KEY_INT8, 0, "\0\0\0\0\0\0\0\x05"), "5");
	assert_string_equal(BIN(KEY_INT8, 23, "\xff\xff\xff\xff"), "-1");
	assert_string_equal(BIN(KEY_INT4, 20, "\0\0\0\1\0\0\0\0"), "4294967296");
	assert_string_equal(BIN(KEY_INT8, 21, "\0\7"), "7");
	assert_string_equal(BIN(KEY_INT8, 0, "\0\0\5"), "22P03");
	assert_string_equal(BIN(KEY_INT8, 701, "\0\0\0\0\0\0\0\0"), "0A000");
	assert_string_equal(BIN(KEY_DATE, 0, "\0\0\0\0"), "2000-01-01");
	assert_string_equal(BIN(KEY_DATE, 0, "\x80\0\0\0"), "-infinity");
	assert_string_equal(BIN(KEY_DATE, 0, "\x80\0\0\1"), "22008");
	assert_string_equal(
	    BIN(KEY_TIMESTAMP, 0, "\0\0\0\0\0\x0f\x42\x40"), "2000-01-01 00:00:01");
	assert_string_equal(BIN(KEY_TIMESTAMP, 0, "\0\0\0"), "22P03");
	assert_string_equal(BIN(KEY_NUMERIC, 0, "\0\2\0\0\0\0\0\1\0\1\x13\x88"), "1.5");
	assert_string_equal(BIN(KEY_NUMERIC, 0, "\0\2\0\0\x40\0\0\0\0\1\x13\x88"),
	    "-1"); /* cut to scale 0 */
	assert_string_equal(BIN(KEY_NUMERIC, 0, "\0\0\0\0\xc0\0\0\0"), "NaN");
	assert_string_equal(BIN(KEY_NUMERIC, 0, "\0\1\0\0\0\0\0\0\x27\x10"), "22P03");
	assert_int_equal(
	    strlen(BIN(KEY_NUMERIC, 0, "\0\1\x7f\xff\0\0\0\0\0\1")), 4 * 0x7fff + 1);
	assert_string_equal(BIN(KEY_NUMERIC, 0, "\xff\xff\0\0\0\0\0\0"), "22P03");
	assert_string_equal(BIN(KEY_INT8, 1700, "\0\1\0\1\0\0\0\0\0\1"), "10000");
	assert_string_equal(
	    BIN(KEY_UUID, 0, "0123456789abcdef"), "30313233-3435-3637-3839-616263646566");
	assert_string_equal(BIN(KEY_UUID, 0, "0123456789abcde"), "22P03");
	assert_string_equal(BIN(KEY_TEXT, 25, "abc"), "abc");
	assert_string_equal(BIN(KEY_TEXT, 705, "abc"), "abc");
	assert_string_equal(BIN(KEY_INT8, 705, "abc"), "0A000");
}

static void
parameters(void **state)
{
	(void)state;
	assert_string_equal(TXT(KEY_INT8, 1700, "5.0"), "5");
	assert_string_equal(TXT(KEY_INT8, 1700, "5.5"), "0A000");
	assert_string_equal(TXT(KEY_INT8, 1700, "NaN"), "0A000");
	assert_string_equal(TXT(KEY_INT8, 1700, "Infinity"), "0A000");
	assert_string_equal(TXT(KEY_INT8, 1700, "1e30"), "0A000");
	assert_string_equal(TXT(KEY_INT8, 25, "5"), "0A000");
	assert_string_equal(TXT(KEY_INT8, 701, "5"), "0A000");
	assert_string_equal(TXT(KEY_INT8, 705, "5"), "5");
	assert_string_equal(TXT(KEY_NUMERIC, 23, "5"), "5");
	assert_string_equal(TXT(KEY_TEXT, 1043, "x"), "x");
	assert_string_equal(TXT(KEY_VARCHAR, 25, "x"), "x");
	assert_string_equal(TXT(KEY_TEXT, 1042, "x"), "0A000"); /* char(n) */
	assert_string_equal(TXT(KEY_TEXT, 19, "x"), "x");
	assert_string_equal(
	    TXT(KEY_TEXT, 19,
		"0123456789012345678901234567890123456789012345678901234567890123"),
	    "0A000");
	assert_string_equal(TXT(KEY_DATE, 1114, "2026-01-31 00:00:00"), "2026-01-31");
	assert_string_equal(TXT(KEY_DATE, 1114, "2026-01-31 00:00:01"), "0A000");
	assert_string_equal(
	    TXT(KEY_TIMESTAMP, 1082, "2026-01-31"), "2026-01-31 00:00:00");
	assert_string_equal(TXT(KEY_TIMESTAMP, 1082, "5874897-12-31"), "22008");
	assert_string_equal(TXT(KEY_TIMESTAMPTZ, 1082, "infinity"), "infinity");
	assert_string_equal(
	    param_as(KEY_TIMESTAMPTZ, 1114, 0, "2026-01-31 00:00:00", 19, &dmy),
	    "2026-01-30 21:00:00+00");
	assert_string_equal(
	    param_as(KEY_TIMESTAMPTZ, 1114, 0, "2026-01-31 00:00:00", 19, &berlin),
	    "0A000");
	assert_string_equal(
	    TXT(KEY_UUID, 25, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "0A000");
}

static void
type_names(void **state)
{
	static const struct {
		const char *name;
		enum key_type type;
	} rows[] = {{"bigint", KEY_INT8}, {"int8", KEY_INT8}, {"integer", KEY_INT4},
	    {"int", KEY_INT4}, {"int4", KEY_INT4}, {"smallint", KEY_INT2},
	    {"int2", KEY_INT2}, {"text", KEY_TEXT}, {"varchar", KEY_VARCHAR},
	    {"character varying", KEY_VARCHAR}, {"uuid", KEY_UUID}, {"date", KEY_DATE},
	    {"timestamp", KEY_TIMESTAMP}, {"timestamp without time zone", KEY_TIMESTAMP},
	    {"timestamptz", KEY_TIMESTAMPTZ},
	    {"timestamp with time zone", KEY_TIMESTAMPTZ}, {"numeric", KEY_NUMERIC},
	    {"decimal", KEY_NUMERIC}, {"", KEY_TYPE_COUNT}, {",", KEY_TYPE_COUNT},
	    {"int,int4", KEY_TYPE_COUNT}, {"float8", KEY_TYPE_COUNT}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(key_type_find(slice_of(rows[i].name)), rows[i].type);
	for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++)
		assert_int_equal(key_type_of_oid(key_type_oid(t)), t);
}

/* Text that is not ended by a zero, and hostile lengths. */
static void
bounds(void **state)
{
	char *big = arena_alloc(&arena, 1000001);
	struct key k;
	struct err e;

	(void)state;
	memset(big, '9', 1000000);
	for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++) {
		enum rc rc =
		    key_from_text(t, (struct slice){big, 1000000}, &utc, &arena, &k, &e);

		assert_true(rc == (t == KEY_TEXT || t == KEY_VARCHAR ? RC_OK : RC_ERR));
		for (size_t n = 0; n < 40; n++) {
			/* A malloc of its own, so that the sanitizer sees one byte too
			 * far. */
			char *exact = malloc(n);

			assert_true(n == 0 || exact != NULL);
			memcpy(exact, "2026-01-31 10:11:12.123456+02:00:00 BC x", n);

			if (key_from_text(t, (struct slice){exact, n}, &utc, &arena, &k,
				&e) == RC_OK)
				key_to_text(&k, &arena);
			if (key_from_binary(t, 0, (struct slice){exact, n}, &utc, &arena,
				&k, &e) == RC_OK)
				key_to_text(&k, &arena);
			free(exact);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(integers),
	    cmocka_unit_test(numerics),
	    cmocka_unit_test(uuids),
	    cmocka_unit_test(dates),
	    cmocka_unit_test(timestamps),
	    cmocka_unit_test(zones),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(binary),
	    cmocka_unit_test(parameters),
	    cmocka_unit_test(type_names),
	    cmocka_unit_test(bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
