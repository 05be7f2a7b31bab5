/* Compares with a live PostgreSQL (PGHOST and its like; skipped without). Started by
 * tests/it/hash_vectors.py. What Weir reads, the server reads as the same value: same
 * hash, same order, same binary form. What Weir refuses is not compared. WEIR_LIVE_ROUNDS
 * scales the number of random values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <libpq-fe.h>

#include "router/route/hash.h"
#include "router/route/key.h"
#include "router/route/map_build.h"
#include "router/route/route.h"

static PGconn *conn;
static struct arena arena;
static unsigned long long seed = 88172645463325252ULL;

static unsigned long long
rnd(unsigned long long n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static int
rounds(int n)
{
	const char *scale = getenv("WEIR_LIVE_ROUNDS");

	return scale == NULL ? n : n * atoi(scale);
}

#define NEED_SERVER()     \
	(void)state;      \
	if (conn == NULL) \
	skip()

static void
run(const char *sql)
{
	PGresult *r = PQexec(conn, sql);

	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(conn));
	PQclear(r);
}

/* One row; NULL: the server refused. */
static PGresult *
ask(const char *sql, const char *param, int result_format)
{
	PGresult *r = PQexecParams(conn, sql, 1, NULL, &param, NULL, NULL, result_format);

	if (PQresultStatus(r) == PGRES_TUPLES_OK)
		return r;
	PQclear(r);
	return NULL;
}

/* ---- one value against the server ---- */

static int accepted, refused;

static void
check_binary(
    enum key_type t, const char *text, const struct key_env *env, const struct key *k)
{
	char sql[100];
	PGresult *r;
	struct key b;
	struct err e;

	snprintf(sql, sizeof sql, "SELECT $1::%s", key_type_name(t));
	r = ask(sql, text, 1);
	assert_non_null(r);
	if (key_from_binary(t, key_type_oid(t),
		(struct slice){PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0)}, env,
		&arena, &b, &e) != RC_OK)
		fail_msg("binary %s \"%s\": %s", key_type_name(t), text, e.msg);
	if (!key_equal(k, &b))
		fail_msg("binary %s \"%s\" is another key", key_type_name(t), text);
	PQclear(r);
}

/* The text that is printed must mean the same under settings that differ from the
 * session's. */
static void
check_printed(enum key_type t, const char *text, uint64_t hash, const struct key *k)
{
	char sql[100];
	struct slice s = key_to_text(k, &arena);
	char *printed = arena_strndup(&arena, s.ptr, s.len);
	PGresult *r;

	snprintf(sql, sizeof sql, "SELECT hash_record_extended(ROW($1::%s), 0)",
	    key_type_name(t));
	r = ask(sql, printed, 0);
	if (r == NULL)
		fail_msg("%s \"%s\" printed as \"%s\": refused", key_type_name(t), text,
		    printed);
	if ((uint64_t)strtoll(PQgetvalue(r, 0, 0), NULL, 10) != hash)
		fail_msg("%s \"%s\" printed as \"%s\": another value", key_type_name(t),
		    text, printed);
	PQclear(r);
}

static bool
check(enum key_type t, const char *text, const struct key_env *env)
{
	char sql[100];
	struct key k;
	struct err e;
	PGresult *r;
	uint64_t hash;

	if (key_from_text(t, slice_of(text), env, &arena, &k, &e) != RC_OK) {
		refused++;
		arena_reset(&arena);
		return false;
	}
	snprintf(sql, sizeof sql, "SELECT hash_record_extended(ROW($1::%s), 0)",
	    key_type_name(t));
	r = ask(sql, text, 0);
	if (r == NULL)
		fail_msg("%s \"%s\" is accepted by Weir, but: %s", key_type_name(t), text,
		    PQerrorMessage(conn));
	hash = (uint64_t)strtoll(PQgetvalue(r, 0, 0), NULL, 10);
	PQclear(r);
	if (hash != key_hash(&k, 0)) {
		struct slice s = key_to_text(&k, &arena);

		fail_msg(
		    "%s \"%s\" (order %d): Weir reads %.*s, the server another value",
		    key_type_name(t), text, env->order, (int)s.len, s.ptr);
	}
	check_binary(t, text, env, &k);
	check_printed(t, text, hash, &k);
	accepted++;
	arena_reset(&arena);
	return true;
}

/* Changes, doubles, removes or swaps characters. */
static void
mutate(char *s)
{
	static const char alphabet[] = "0123456789 -+/.:,TZBCeE{}aNif";
	size_t n = strlen(s), i = n == 0 ? 0 : rnd(n);

	switch (n == 0 ? 0 : rnd(4)) {
	case 0:
		s[i] = alphabet[rnd(sizeof alphabet - 1)];
		s[n == 0 ? 1 : n] = '\0';
		break;
	case 1:
		memmove(s + i, s + i + 1, n - i);
		break;
	case 2:
		memmove(s + i + 1, s + i, n - i + 1);
		break;
	case 3:
		if (i + 1 < n) {
			char c = s[i];

			s[i] = s[i + 1];
			s[i + 1] = c;
		}
		break;
	}
}

static void
check_mutants(enum key_type t, const char *text, const struct key_env *env)
{
	char buf[200];

	snprintf(buf, sizeof buf - 20, "%s", text);
	for (int i = 0; i < 3; i++) {
		mutate(buf);
		check(t, buf, env);
	}
}

/* ---- integers, numerics, uuids, text ---- */

static long long
random_int(void)
{
	long long v = (long long)(rnd(~0ULL) >> rnd(64));

	return rnd(2) ? v : -v;
}

static void
integers(void **state)
{
	struct key_env env;
	char buf[100];

	NEED_SERVER();
	key_env_init(&env, "ISO, MDY", "UTC", "UTF8", "UTF8");
	for (int i = 0; i < rounds(1000); i++) {
		long long v = random_int();

		snprintf(buf, sizeof buf, rnd(3) ? "%lld" : " %+lld\t", v);
		assert_true(check(KEY_INT8, buf, &env));
		check_mutants(KEY_INT8, buf, &env);
		snprintf(buf, sizeof buf, "%d", (int)v);
		assert_true(check(KEY_INT4, buf, &env));
		snprintf(buf, sizeof buf, "%d", (short)v);
		assert_true(check(KEY_INT2, buf, &env));
	}
}

static void
buckets_in_sql(void **state)
{
	NEED_SERVER();
	for (int i = 0; i < rounds(500); i++) {
		struct key k = {KEY_INT8, .i = random_int()};
		struct distribution d = {
		    .n_types = 1, .types = {KEY_INT8}, .buckets = 1u << rnd(21)};
		char buf[60];
		PGresult *r;

		snprintf(buf, sizeof buf, "{%lld,%u}", (long long)k.i, d.buckets);
		r = ask("SELECT hashint8extended(($1::bigint[])[1], 0) & "
			"(($1::bigint[])[2] - 1)",
		    buf, 0);
		assert_non_null(r);
		assert_int_equal(
		    strtoll(PQgetvalue(r, 0, 0), NULL, 10), shard_map_bucket(&d, &k));
		PQclear(r);
	}
}

static void
numerics(void **state)
{
	struct key_env env;
	char buf[200];

	NEED_SERVER();
	key_env_init(&env, "ISO, MDY", "UTC", "UTF8", "UTF8");
	for (int i = 0; i < rounds(1500); i++) {
		int n = 0;

		if (rnd(3) == 0)
			buf[n++] = rnd(2) ? '-' : '+';
		for (int j = (int)rnd(25); j > 0; j--)
			buf[n++] = (char)('0' + (rnd(3) ? 0 : rnd(10)));
		if (rnd(3) > 0)
			buf[n++] = '.';
		for (int j = (int)rnd(25); j > 0; j--)
			buf[n++] = (char)('0' + (rnd(3) ? 0 : rnd(10)));
		if (rnd(4) == 0)
			n += sprintf(buf + n, "e%d", (int)rnd(60) - 30);
		buf[n] = '\0';
		check(KEY_NUMERIC, buf, &env);
		check_mutants(KEY_NUMERIC, buf, &env);
	}
	assert_true(check(KEY_NUMERIC, "NaN", &env) && check(KEY_NUMERIC, "-inf", &env) &&
	    check(KEY_NUMERIC, "1e1000", &env) && check(KEY_NUMERIC, "1e-1000", &env));
}

static void
uuids(void **state)
{
	struct key_env env;
	char buf[100];

	NEED_SERVER();
	key_env_init(&env, "ISO, MDY", "UTC", "UTF8", "UTF8");
	for (int i = 0; i < rounds(500); i++) {
		int n = 0, style = (int)rnd(4);

		if (style & 1)
			buf[n++] = '{';
		for (int j = 0; j < 32; j++) {
			if (j > 0 && j % 4 == 0 &&
			    ((style & 2) ? rnd(2) : (j >= 8 && j <= 20)))
				buf[n++] = '-';
			buf[n++] = "0123456789abcdefABCDEF"[rnd(22)];
		}
		if (style & 1)
			buf[n++] = '}';
		buf[n] = '\0';
		assert_true(check(KEY_UUID, buf, &env));
		check_mutants(KEY_UUID, buf, &env);
	}
}

static void
texts(void **state)
{
	static const char *const pieces[] = {
	    "a", "B", " ", "é", "日", "𝄞", "-", "%", "0", "ß", "\\", "'"};
	struct key_env env;
	char buf[200];

	NEED_SERVER();
	key_env_init(&env, "ISO, MDY", "UTC", "UTF8", "UTF8");
	for (int i = 0; i < rounds(1000); i++) {
		buf[0] = '\0';
		for (int j = (int)rnd(40); j > 0; j--)
			strcat(buf, pieces[rnd(sizeof pieces / sizeof pieces[0])]);
		assert_true(check(KEY_TEXT, buf, &env));
		assert_true(check(KEY_VARCHAR, buf, &env));
	}
}

static void
encodings(void **state)
{
	static const char *const names[] = {"LATIN1", "LATIN9", "WIN1252"};

	NEED_SERVER();
	for (int n = 0; n < 3; n++) {
		struct key_env env;

		key_env_init(&env, NULL, NULL, names[n], "UTF8");
		for (int c = 1; c < 256; c++) {
			char in[4] = {'x', (char)c, 'y', 0}, hex[20], sql[200];
			struct key k;
			struct err e;
			bool ours = key_from_text(KEY_TEXT, slice_of(in), &env, &arena,
					&k, &e) == RC_OK;
			PGresult *r;

			snprintf(hex, sizeof hex, "\\x78%02x79", c);
			snprintf(sql, sizeof sql,
			    "SELECT hashtextextended(convert_from($1::bytea, '%s'), 0)",
			    names[n]);
			r = ask(sql, hex, 0);
			assert_int_equal(r != NULL, ours);
			if (r != NULL)
				assert_true((uint64_t)strtoll(PQgetvalue(r, 0, 0), NULL,
						10) == key_hash(&k, 0));
			PQclear(r);
		}
	}
	arena_reset(&arena);
}

/* ---- dates and times ---- */

static const char *const styles[] = {"ISO, MDY", "ISO, DMY", "ISO, YMD", "SQL, MDY",
    "SQL, DMY", "German, DMY", "Postgres, MDY", "Postgres, DMY", "Postgres, YMD"};
static const char *const zones[] = {
    "UTC", "GMT", "<+03>-03", "<-05>+05", "<+05:30>-05:30", "Etc/GMT+7", "Etc/GMT-11"};

static void
set_env(struct key_env *env, const char *style, const char *zone)
{
	char sql[200];

	snprintf(
	    sql, sizeof sql, "SET datestyle = '%s'; SET timezone = '%s'", style, zone);
	run(sql);
	key_env_init(env, PQparameterStatus(conn, "DateStyle"),
	    PQparameterStatus(conn, "TimeZone"), "UTF8", "UTF8");
	if (!env->zone_fixed)
		fail_msg("%s (%s) is not known to be fixed", zone,
		    PQparameterStatus(conn, "TimeZone"));
}

/* Random moments near and far, as the server prints them in this style. */
static void
server_prints(enum key_type t, const struct key_env *env, int n)
{
	static const char *const spans[] = {
	    "100", "36500", "700000", "1000000", "50000000"};
	char sql[300];
	int good = 0;

	snprintf(sql, sizeof sql,
	    "SELECT (('2000-01-01 00:00:00+00'::timestamptz + make_interval(secs => "
	    "round((random() - 0.3) * 86400 * %s)) + make_interval(secs => "
	    "%s))::%s)::text FROM generate_series(1, %d) WHERE $1 = ''",
	    t == KEY_DATE ? spans[rnd(4)] : spans[rnd(4)], rnd(2) ? "0" : "random()",
	    key_type_name(t), n);
	PGresult *r = ask(sql, "", 0);
	if (r == NULL)
		fail_msg("%s: %s", sql, PQerrorMessage(conn));
	for (int i = 0; i < PQntuples(r); i++) {
		char buf[200];

		snprintf(buf, sizeof buf, "%s", PQgetvalue(r, i, 0));
		good += check(t, buf, env);
		check_mutants(t, buf, env);
	}
	/* What the server prints is read, but for names of zones, and for dates in a
	 * style that it cannot read itself. */
	if ((env->zone_s == 0 || t != KEY_TIMESTAMPTZ) &&
	    (t != KEY_DATE ||
		strcmp(PQparameterStatus(conn, "DateStyle"), "Postgres, YMD") != 0))
		if (good < PQntuples(r))
			fail_msg("%s: %d of %d read in DateStyle %s, like \"%s\"",
			    key_type_name(t), good, PQntuples(r),
			    PQparameterStatus(conn, "DateStyle"), PQgetvalue(r, 0, 0));
	PQclear(r);
}

static void
printed_by_the_server(void **state)
{
	NEED_SERVER();
	for (size_t s = 0; s < sizeof styles / sizeof styles[0]; s++)
		for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
			struct key_env env;

			set_env(&env, styles[s], zones[z]);
			server_prints(KEY_DATE, &env, rounds(5));
			server_prints(KEY_TIMESTAMP, &env, rounds(5));
			server_prints(KEY_TIMESTAMPTZ, &env, rounds(5));
		}
	run("RESET datestyle; RESET timezone");
}

static void
written_forms(void **state)
{
	static const char *const dates[] = {"%1$04d-%2$02d-%3$02d", "%1$d-%2$d-%3$d",
	    "%1$04d/%2$02d/%3$02d", "%1$04d%2$02d%3$02d", "%2$02d/%3$02d/%1$04d",
	    "%3$02d.%2$02d.%1$04d", "%3$d.%2$d.%1$d", "%2$d-%3$d-%1$02d",
	    "%4$s %3$d, %1$04d", "%4$s %3$02d %1$04d", "%3$d %4$s %1$04d",
	    "%3$d-%4$s-%1$04d", "%1$04d-%4$s-%3$d", "%1$04d %4$s %3$d",
	    "Tue %4$s %3$d %1$04d", "Wednesday, %3$d %4$s %1$04d",
	    "%1$04d-%2$02d-%3$02d BC", "%1$04d-%2$02d-%3$02d AD", "infinity", "-infinity",
	    "Epoch", " %1$04d-%2$02d-%3$02d ", "%3$02d/%2$02d/%5$02d"};
	static const char *const months[] = {"Jan", "FEBRUARY", "mar", "Apr", "may",
	    "June", "jul", "Aug", "Sept", "Oct", "november", "Dec"};
	static const char *const times[] = {"", " %02d:%02d:%02d", "T%02d:%02d:%02d",
	    " %d:%02d", "t%02d:%02d", " %02d:%02d:%02d.5", " %02d:%02d:%02d.123456",
	    " %02d:%02d:%02d.9999999", " %02d:%02d:%02d.1234565", " %02d:%d:%d",
	    "  %02d:%02d:%02d"};
	static const char *const offsets[] = {"", "", "Z", "+00", "-08", "+05:30",
	    "+0530", " UTC", " gmt", "z", "-3", "+15:59:59", " +02", "-00:00:01", " BC",
	    "+02 BC", "+16"};
	static const enum key_type types[] = {KEY_DATE, KEY_TIMESTAMP, KEY_TIMESTAMPTZ};

	NEED_SERVER();
	accepted = refused = 0;
	for (int i = 0; i < rounds(6000); i++) {
		static const int years[] = {2026, 1999, 1, 99, 294276, 294277, 4713, 4714,
		    10000, 5874897, 1900, 2000, 0};
		char buf[200];
		struct key_env env;
		int m = (int)rnd(12) + 1, d = (int)rnd(31) + 1;
		int y = rnd(2) ? 1900 + (int)rnd(200)
			       : years[rnd(sizeof years / sizeof years[0])];
		const char *time = times[rnd(sizeof times / sizeof times[0])];
		int n;

		if (i % 200 == 0)
			set_env(&env, styles[rnd(9)], zones[rnd(7)]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		n = snprintf(buf, sizeof buf, dates[rnd(sizeof dates / sizeof dates[0])],
		    y, m, d, months[m - 1], y % 100);
		n += snprintf(buf + n, sizeof buf - (size_t)n, time, (int)rnd(25),
		    (int)rnd(60), (int)rnd(61));
#pragma GCC diagnostic pop
		if (*time != '\0')
			snprintf(buf + n, sizeof buf - (size_t)n, "%s",
			    offsets[rnd(sizeof offsets / sizeof offsets[0])]);
		check(types[i % 3], buf, &env);
		check_mutants(types[i % 3], buf, &env);
	}
	print_message("dates and times: %d read, %d refused\n", accepted, refused);
	assert_true(accepted > refused / 10);
	run("RESET datestyle; RESET timezone");
}

/* ---- parameters of other types ---- */

/* What is accepted is equal to the parameter and is what an assignment would store. */
static void
check_param(
    enum key_type t, enum key_type param, const char *text, const struct key_env *env)
{
	char sql[300];
	struct key k, b;
	struct err e;
	PGresult *r;

	if (key_from_param(t, key_type_oid(param), 0, slice_of(text), env, &arena, &k,
		&e) != RC_OK) {
		refused++;
		return;
	}
	accepted++;
	snprintf(sql, sizeof sql,
	    "SELECT hash_record_extended(ROW($1::%2$s::%1$s), 0), $1::%2$s::%1$s = "
	    "$1::%2$s",
	    key_type_name(t), key_type_name(param));
	r = ask(sql, text, 0);
	/* A smallint never equals 1e5: any shard is right. */
	if (r == NULL && strstr(PQerrorMessage(conn), "out of range") != NULL &&
	    k.type <= KEY_INT8)
		return;
	if (r == NULL)
		fail_msg("%s as %s \"%s\": %s", key_type_name(param), key_type_name(t),
		    text, PQerrorMessage(conn));
	if ((uint64_t)strtoll(PQgetvalue(r, 0, 0), NULL, 10) != key_hash(&k, 0) ||
	    *PQgetvalue(r, 0, 1) != 't')
		fail_msg("%s as %s \"%s\": another value", key_type_name(param),
		    key_type_name(t), text);
	PQclear(r);
	snprintf(sql, sizeof sql, "SELECT $1::%s", key_type_name(param));
	r = ask(sql, text, 1);
	assert_non_null(r);
	assert_int_equal(
	    key_from_binary(t, key_type_oid(param),
		(struct slice){PQgetvalue(r, 0, 0), (size_t)PQgetlength(r, 0, 0)}, env,
		&arena, &b, &e),
	    RC_OK);
	assert_true(key_equal(&k, &b));
	PQclear(r);
	arena_reset(&arena);
}

static void
parameters(void **state)
{
	static const char *const values[] = {"1", "-7", "0", "32767", "2.0", "2.5",
	    "100e-2", "NaN", "abc", "2026-01-31", "2026-01-31 00:00:00",
	    "2026-01-31 10:00:00", "2026-01-31 00:00:00+02", "2026-01-31 03:00:00+00",
	    "infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "294276-12-31",
	    "294276-12-31 23:59:59", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "",
	    "0001-01-01 BC", "1e5"};

	NEED_SERVER();
	accepted = refused = 0;
	for (size_t z = 0; z < sizeof zones / sizeof zones[0]; z++) {
		struct key_env env;

		set_env(&env, "ISO, MDY", zones[z]);
		for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++)
			for (enum key_type p = 0; p < KEY_TYPE_COUNT; p++)
				for (size_t i = 0; i < sizeof values / sizeof values[0];
				     i++)
					check_param(t, p, values[i], &env);
	}
	run("RESET timezone; RESET datestyle");
	print_message("parameters: %d read, %d refused\n", accepted, refused);
	assert_true(accepted > 300);
}

/* ---- order, several columns ---- */

static void
order(void **state)
{
	static const struct {
		enum key_type type;
		const char *v[14];
	} sets[] = {
	    {KEY_INT8,
		{"-9223372036854775808", "-1", "0", "1", "5000000000",
		    "9223372036854775807"}},
	    {KEY_NUMERIC,
		{"-Infinity", "-100", "-10.5", "-10.05", "-0.001", "0", "0.0001", "0.001",
		    "9", "10", "10.05", "10.5", "NaN", "Infinity"}},
	    {KEY_TEXT, {"", "A", "Z", "a", "a ", "aa", "b", "é", "ÿ", "日", "𝄞", "~"}},
	    {KEY_UUID,
		{"00000000-0000-0000-0000-000000000001",
		    "7fffffff-0000-0000-0000-000000000000",
		    "80000000-0000-0000-0000-000000000000",
		    "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
	    {KEY_DATE,
		{"-infinity", "4714-11-24 BC", "0001-01-01 BC", "1999-12-31",
		    "2000-01-01", "infinity"}},
	    {KEY_TIMESTAMP,
		{"-infinity", "0001-01-01 BC", "1999-12-31 23:59:59.999999", "2000-01-01",
		    "infinity"}},
	};
	struct key_env env;

	NEED_SERVER();
	key_env_init(&env, "ISO, MDY", "UTC", "UTF8", "UTF8");
	for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++)
		for (int i = 0; i < 14 && sets[s].v[i] != NULL; i++)
			for (int j = 0; j < 14 && sets[s].v[j] != NULL; j++) {
				const char *params[2] = {sets[s].v[i], sets[s].v[j]},
					   *type = key_type_name(sets[s].type);
				struct key a, b;
				struct err e;
				char sql[200];
				int d;
				PGresult *r;

				assert_int_equal(
				    key_from_text(sets[s].type, slice_of(params[0]), &env,
					&arena, &a, &e),
				    RC_OK);
				assert_int_equal(
				    key_from_text(sets[s].type, slice_of(params[1]), &env,
					&arena, &b, &e),
				    RC_OK);
				d = key_compare(&a, &b);
				snprintf(sql, sizeof sql,
				    "SELECT CASE WHEN $1::%1$s%2$s < $2::%1$s THEN -1 "
				    "WHEN $1::%1$s%2$s > $2::%1$s THEN 1 ELSE 0 END",
				    type,
				    sets[s].type == KEY_TEXT ? " COLLATE \"C\"" : "");
				r = PQexecParams(
				    conn, sql, 2, NULL, params, NULL, NULL, 0);
				assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
				if (atoi(PQgetvalue(r, 0, 0)) != (d > 0) - (d < 0))
					fail_msg("%s: \"%s\" and \"%s\" compare as %d",
					    type, params[0], params[1], d);
				PQclear(r);
			}
	arena_reset(&arena);
}

static void
several_columns(void **state)
{
	struct distribution d = {
	    .n_types = 3, .types = {KEY_INT8, KEY_TEXT, KEY_DATE}, .buckets = 1024};
	struct key_env env;

	NEED_SERVER();
	key_env_init(&env, "ISO, MDY", "UTC", "UTF8", "UTF8");
	run("CREATE TEMP TABLE parent (a bigint, b text, c date) PARTITION BY HASH (a, "
	    "b, c)");
	for (int i = 0; i < rounds(300); i++) {
		char a[30], b[30], c[40], bucket[20];
		const char *params[4] = {a, b, c, bucket};
		struct key k[3];
		struct err e;
		PGresult *r;

		snprintf(a, sizeof a, "%lld", random_int());
		snprintf(b, sizeof b, "t%llu", rnd(100000));
		snprintf(c, sizeof c, "%d-%02d-%02d", 1900 + (int)rnd(300),
		    1 + (int)rnd(12), 1 + (int)rnd(28));
		for (int j = 0; j < 3; j++)
			assert_int_equal(key_from_text(d.types[j], slice_of(params[j]),
					     &env, &arena, &k[j], &e),
			    RC_OK);
		snprintf(bucket, sizeof bucket, "%u", shard_map_bucket(&d, k));
		r = PQexecParams(conn,
		    "SELECT satisfies_hash_partition('parent'::regclass, 1024, $4::int, "
		    "$1::bigint, $2::text, $3::date)",
		    4, NULL, params, NULL, NULL, 0);
		if (PQresultStatus(r) != PGRES_TUPLES_OK)
			fail_msg("%s", PQerrorMessage(conn));
		assert_string_equal(PQgetvalue(r, 0, 0), "t");
		PQclear(r);
	}
	arena_reset(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(integers),
	    cmocka_unit_test(buckets_in_sql),
	    cmocka_unit_test(numerics),
	    cmocka_unit_test(uuids),
	    cmocka_unit_test(texts),
	    cmocka_unit_test(encodings),
	    cmocka_unit_test(printed_by_the_server),
	    cmocka_unit_test(written_forms),
	    cmocka_unit_test(parameters),
	    cmocka_unit_test(order),
	    cmocka_unit_test(several_columns),
	};
	int rc;

	arena_init(&arena);
	if (getenv("WEIR_LIVE_SEED") != NULL)
		seed ^=
		    strtoull(getenv("WEIR_LIVE_SEED"), NULL, 10) * 0x9E3779B97F4A7C15ULL;
	if (getenv("PGHOST") != NULL) {
		conn = PQconnectdb("dbname=postgres client_encoding=UTF8 options='-c "
				   "datestyle=ISO,MDY -c timezone=UTC'");
		if (PQstatus(conn) != CONNECTION_OK) {
			fprintf(stderr, "%s", PQerrorMessage(conn));
			return 1;
		}
	}
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	PQfinish(conn);
	arena_reset(&arena);
	return rc;
}
