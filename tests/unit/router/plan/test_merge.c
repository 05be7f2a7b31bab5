/* The merger: order, LIMIT, DISTINCT, groups; and each comparison and sum against a live
 * PostgreSQL (PGHOST and its like; skipped without), started by tests/plan/differential.
 * WEIR_LIVE_ROUNDS scales the number of random values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <libpq-fe.h>

#include "router/plan/merge_int.h"

static PGconn *conn;
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

/* ---- messages ---- */

struct message {
	char v[8192];
	size_t n;
};

static void
put(struct message *m, const void *p, size_t n)
{
	assert_true(m->n + n <= sizeof m->v);
	memcpy(m->v + m->n, p, n);
	m->n += n;
}

static void
put_number(struct message *m, long long v, int size)
{
	for (int i = size - 1; i >= 0; i--) {
		char c = (char)(v >> (8 * i));

		put(m, &c, 1);
	}
}

static struct slice
slice(const struct message *m)
{
	return (struct slice){m->v, m->n};
}

static void
describe(struct message *m, int n, const uint32_t *types, int format)
{
	m->n = 0;
	put_number(m, n, 2);
	for (int i = 0; i < n; i++) {
		put(m, "c", 2);
		put_number(m, 0, 4);
		put_number(m, 0, 2);
		put_number(m, types[i], 4);
		put_number(m, -1, 2);
		put_number(m, -1, 4);
		put_number(m, format, 2);
	}
}

/* Values parted by commas; "-": NULL. */
static void
row(struct message *m, const char *values)
{
	char copy[1000], *save, *v;
	int n = 1;

	m->n = 0;
	for (const char *p = values; *p != '\0'; p++)
		n += *p == ',';
	put_number(m, n, 2);
	snprintf(copy, sizeof copy, "%s", values);
	for (v = strtok_r(copy, ",", &save); v != NULL; v = strtok_r(NULL, ",", &save)) {
		bool null = strcmp(v, "-") == 0;

		put_number(m, null ? -1 : (long long)strlen(v), 4);
		if (!null)
			put(m, v, strlen(v));
	}
}

static void
append(char *out, size_t size, struct slice row)
{
	const char *p = row.ptr + 2;
	size_t n = strlen(out);

	for (int i = 0; i < be16(row.ptr); i++) {
		int32_t len = (int32_t)be32(p);

		p += 4;
		n += (size_t)snprintf(out + n, size - n, "%s%.*s", i > 0 ? "," : "",
		    len < 0 ? 1 : len, len < 0 ? "-" : p);
		p += len > 0 ? len : 0;
	}
	snprintf(out + n, size - n, " ");
}

/* Inputs are lists of rows parted by blanks. Gives the rows, or "!SQLSTATE". */
static const char *
merged(const struct merge_spec *spec, int n_columns, const uint32_t *types, int n_inputs,
    const char *const *inputs)
{
	static char out[4000];
	struct merge *m = merge_create(spec, n_inputs);
	const char *at[8];
	struct message msg;
	struct slice client;
	struct merge_result r;
	struct err e;

	out[0] = '\0';
	for (int i = 0; i < n_inputs; i++)
		at[i] = inputs[i];
	describe(&msg, n_columns, types, 0);
	if (merge_columns(m, slice(&msg), &client, &e) != RC_OK) {
		merge_destroy(m);
		snprintf(out, sizeof out, "!%s", e.sqlstate);
		return out;
	}
	for (;;) {
		enum merge_step step = merge_next(m, &r, &e);
		char one[200];
		size_t len;

		if (step == MERGE_DONE)
			break;
		if (step == MERGE_FAILED) {
			snprintf(out, sizeof out, "!%s", e.sqlstate);
			break;
		}
		if (step == MERGE_ROW) {
			append(out, sizeof out, r.row);
			continue;
		}
		assert_true(merge_wants(m, r.input));
		len = strcspn(at[r.input], " ");
		if (len == 0) {
			merge_end(m, r.input);
			continue;
		}
		snprintf(one, sizeof one, "%.*s", (int)len, at[r.input]);
		at[r.input] += len + (at[r.input][len] == ' ');
		row(&msg, one);
		merge_feed(m, r.input, slice(&msg));
	}
	merge_destroy(m);
	return out;
}

static const uint32_t ints[] = {23, 23, 23};

static void
test_concat(void **state)
{
	static const char *const in[] = {"1,a 2,b", "", "3,- 4,d"};
	struct merge_spec s = {.limit = -1};

	(void)state;
	assert_string_equal(merged(&s, 2, ints, 3, in), "1,a 2,b 3,- 4,d ");
	s.limit = 2;
	s.offset = 1;
	assert_string_equal(merged(&s, 2, ints, 3, in), "2,b 3,- ");
	s.n_junk = 1;
	assert_string_equal(merged(&s, 2, ints, 3, in), "2 3 ");
	s.limit = 0;
	assert_string_equal(merged(&s, 2, ints, 3, in), "");
	s = (struct merge_spec){.limit = -1, .offset = 9};
	assert_string_equal(merged(&s, 2, ints, 3, in), "");
	assert_string_equal(merged(&s, 3, ints, 3, in), "!08P01");
}

static void
test_sorted(void **state)
{
	static const char *const up[] = {"1,9 3,8 -,0", "2,1 3,1", "", "3,5"};
	static const char *const down[] = {"-,1 5,2", "9,9 5,1"};
	struct merge_key keys[] = {{.column = 0}, {.column = 1, .desc = true}};
	struct merge_spec s = {.keys = keys, .n_keys = 2, .limit = -1};

	(void)state;
	assert_string_equal(merged(&s, 2, ints, 4, up), "1,9 2,1 3,8 3,5 3,1 -,0 ");
	s.limit = 2;
	s.offset = 3;
	s.n_junk = 1;
	assert_string_equal(merged(&s, 2, ints, 4, up), "3 3 ");
	s = (struct merge_spec){.keys = keys, .n_keys = 1, .n_distinct = 1, .limit = -1};
	assert_string_equal(merged(&s, 2, ints, 4, up), "1,9 2,1 3,8 -,0 ");
	keys[0].desc = keys[0].nulls_first = true;
	assert_string_equal(merged(&s, 2, ints, 2, down), "-,1 9,9 5,2 ");
	assert_string_equal(merged(&s, 2, (uint32_t[]){1082, 23}, 2, down), "!0A000");
	assert_string_equal(
	    merged(&s, 1, ints, 2, (const char *const[]){"x", "y"}), "!22P03");
}

static void
test_groups(void **state)
{
	static const uint32_t types[] = {25, 20, 1700, 20, 23, 16};
	static const char *const in[] = {
	    "a,1,1.50,1,7,t b,2,-,0,9,f", "a,4,2.5,2,3,f -,1,NaN,1,5,t"};
	struct merge_key keys[] = {{.column = 0, .bytes = true}};
	struct merge_out outs[] = {{MERGE_GROUP, 0, 0}, {MERGE_COUNT, 1, 1},
	    {MERGE_SUM_NUMERIC, 2, 2}, {MERGE_AVG, 2, 3}, {MERGE_MIN, 4, 4},
	    {MERGE_MAX, 4, 4}, {MERGE_AND, 5, 5}, {MERGE_OR, 5, 5}};
	struct merge_spec s = {
	    .keys = keys, .n_keys = 1, .outs = outs, .n_outs = 8, .limit = -1};

	(void)state;
	assert_string_equal(merged(&s, 6, types, 2, in),
	    "a,5,4.00,1.3333333333333333,3,7,f,t b,2,-,-,9,9,f,f -,1,NaN,NaN,5,5,t,t ");
	s.limit = s.offset = 1;
	assert_string_equal(merged(&s, 6, types, 2, in), "b,2,-,-,9,9,f,f ");
	s = (struct merge_spec){.outs = outs + 1, .n_outs = 1, .limit = -1};
	assert_string_equal(merged(&s, 6, types, 2, in), "8 ");
	assert_string_equal(merged(&s, 1, types, 2, in), "!08P01");
	assert_string_equal(merged(&s, 2, (uint32_t[]){20, 20}, 2,
				(const char *const[]){"1,9223372036854775807", "1,1"}),
	    "!22003");
	assert_string_equal(merged(&s, 2, (uint32_t[]){20, 23}, 2, in), "!0A000");
}

/* ---- numeric against the server ---- */

static void
random_numeric(char *out, size_t size)
{
	static const char *const special[] = {
	    "0", "NaN", "Infinity", "-Infinity", "0.000"};
	int before = (int)rnd(rnd(8) == 0 ? 40 : 8),
	    behind = (int)rnd(rnd(4) == 0 ? 30 : 5);
	size_t n = 0;

	if (rnd(40) == 0) {
		snprintf(out, size, "%s", special[rnd(5)]);
		return;
	}
	if (rnd(2))
		out[n++] = '-';
	out[n++] = (char)('0' + rnd(10));
	for (int i = 0; i < before; i++)
		out[n++] = (char)('0' + rnd(4) * 3);
	if (behind > 0)
		out[n++] = '.';
	for (int i = 0; i < behind; i++)
		out[n++] = (char)('0' + rnd(4) * 3);
	out[n] = '\0';
}

static PGresult *
ask(const char *sql, const char *param, int format)
{
	PGresult *r = PQexecParams(conn, sql, 1, NULL, &param, NULL, NULL, format);

	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(conn));
	return r;
}

static struct field
field(const PGresult *r, int i, int c)
{
	return (struct field){PQgetvalue(r, i, c), PQgetlength(r, i, c)};
}

static void
same(const struct num *x, const PGresult *r, int c, int format, const char *what)
{
	char *out = malloc(num_write(x, format, NULL) + 1);
	size_t n = num_write(x, format, out);

	if (n != (size_t)PQgetlength(r, 0, c) || memcmp(out, PQgetvalue(r, 0, c), n) != 0)
		fail_msg("%s: %.*s, the server says %s", what, (int)n, out,
		    PQgetvalue(r, 0, c));
	free(out);
}

/* All rows in text and binary: read, summed, averaged, written. */
static void
check_sums(const char *array)
{
	for (int format = 0; format < 2; format++) {
		PGresult *rows =
		    ask("SELECT x FROM unnest($1::numeric[]) x", array, format);
		PGresult *want = ask(
		    "SELECT sum(x), avg(x) FROM unnest($1::numeric[]) x", array, format);
		struct num sum = {.n = 0}, x = {.n = 0}, avg = {.n = 0};

		for (int i = 0; i < PQntuples(rows); i++) {
			assert_true(num_read(&x, field(rows, i, 0), format));
			num_add(&sum, &x);
		}
		num_average(&avg, &sum, PQntuples(rows));
		same(&sum, want, 0, format, array);
		same(&avg, want, 1, format, array);
		num_fini(&sum);
		num_fini(&x);
		num_fini(&avg);
		PQclear(rows);
		PQclear(want);
	}
}

static void
test_numeric_live(void **state)
{
	NEED_SERVER();
	for (int i = 0; i < rounds(500); i++) {
		char array[4000] = "{", one[100];
		int n = 1 + (int)rnd(rnd(3) == 0 ? 30 : 4);

		for (int k = 0; k < n; k++) {
			random_numeric(one, sizeof one);
			strcat(array, k > 0 ? "," : "");
			strcat(array, one);
		}
		strcat(array, "}");
		check_sums(array);
	}
}

/* ---- order against the server ---- */

struct order_case {
	const char *type, *values; /* SQL that gives values of it */
	bool text;                 /* its text can be compared as well */
};

static void
check_order(const struct order_case *o, int format)
{
	char sql[1000];
	PGresult *r;
	compare_fn *compare;

	snprintf(sql, sizeof sql,
	    "SELECT x, dense_rank() OVER (ORDER BY x) FROM (%s) s(x) ORDER BY $1::int, x",
	    o->values);
	r = ask(sql, "1", format);
	compare = compare_of(PQftype(r, 0), format, strcmp(o->type, "text") == 0);
	if (compare == NULL)
		fail_msg("%s in format %d: no comparison", o->type, format);
	for (int i = 1; i < PQntuples(r); i++) {
		int k = (int)rnd((unsigned)i), c = 5;
		int64_t ranks[2];
		int want;

		assert_true(read_int(field(r, k, 1), format, &ranks[0]));
		assert_true(read_int(field(r, i, 1), format, &ranks[1]));
		want = (ranks[0] > ranks[1]) - (ranks[0] < ranks[1]);
		if (!compare(field(r, k, 0), field(r, i, 0), &c) || c != want)
			fail_msg("%s: rows %d and %d in format %d: %d", o->type, k, i,
			    format, c);
		assert_true(compare(field(r, i, 0), field(r, k, 0), &c) && c == -want);
	}
	PQclear(r);
}

static void
test_order_live(void **state)
{
	static const struct order_case cases[] = {
	    {"int2",
		"SELECT (random() * 60000 - 30000)::int2 FROM generate_series(1, 300)",
		true},
	    {"int4", "SELECT (random() * 40 - 20)::int4 FROM generate_series(1, 300)",
		true},
	    {"int8",
		"SELECT ((random() - 0.5) * 1.8e19)::int8 FROM generate_series(1, 300) "
		"UNION ALL VALUES (-9223372036854775808), (9223372036854775807), (0)",
		true},
	    {"oid",
		"SELECT (random() * 4294967295)::int8::oid FROM generate_series(1, 300)",
		true},
	    {"bool", "SELECT random() < 0.5 FROM generate_series(1, 20)", true},
	    {"uuid", "SELECT gen_random_uuid() FROM generate_series(1, 300)", true},
	    {"numeric",
		"SELECT ((random() - 0.5) * 10 ^ (random() * 30 - 15))::numeric FROM "
		"generate_series(1, 300) UNION ALL VALUES ('NaN'::numeric), ('Infinity'), "
		"('-Infinity'), (0), (0.00), (1.0), (1.00), (-1), (-0.0001), (10000), (9999)",
		true},
	    {"float8",
		"SELECT ((random() - 0.5) * 10 ^ (random() * 30 - 15))::float8 FROM "
		"generate_series(1, 300) UNION ALL VALUES ('NaN'::float8), ('Infinity'), "
		"('-Infinity'), (0), ('-0')",
		false},
	    {"float4",
		"SELECT (random() - 0.5)::float4 FROM generate_series(1, 300) UNION ALL "
		"VALUES ('NaN'::float4), ('Infinity'), ('-Infinity'), (0), ('-0')",
		false},
	    {"date",
		"SELECT '2000-01-01'::date + (random() * 100000 - 50000)::int FROM "
		"generate_series(1, 300) UNION ALL VALUES ('infinity'::date), ('-infinity'), "
		"('0044-03-15 BC')",
		false},
	    {"time",
		"SELECT '00:00'::time + random() * interval '24 hours' FROM "
		"generate_series(1, 300)",
		false},
	    {"timestamp",
		"SELECT '2000-01-01'::timestamp + (random() - 0.5) * interval '900 years' "
		"FROM generate_series(1, 300) UNION ALL VALUES ('infinity'::timestamp), "
		"('-infinity')",
		false},
	    {"timestamptz",
		"SELECT '2000-01-01'::timestamptz + (random() - 0.5) * interval '900 years' "
		"FROM generate_series(1, 300)",
		false},
	    {"interval",
		"SELECT make_interval(0, (random() * 9 - 4)::int, 0, (random() * 200 - "
		"100)::int, 0, 0, random() * 1e6 - 5e5) FROM generate_series(1, 300) UNION ALL "
		"VALUES ('1 month'::interval), ('30 days'), ('720 hours'), ('-30 days')",
		false},
	    {"bytea",
		"SELECT decode(left(md5(i::text), 2 * (i % 7)), 'hex') FROM "
		"generate_series(1, 300) i",
		false},
	    {"text",
		"SELECT left(md5(i::text), i % 7) || chr(1 + i * 37 % 5000) COLLATE \"C\" FROM "
		"generate_series(1, 300) i",
		true}};

	NEED_SERVER();
	for (int n = 0; n < rounds(2); n++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			check_order(&cases[i], 1);
			if (cases[i].text)
				check_order(&cases[i], 0);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_concat),
	    cmocka_unit_test(test_sorted), cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_numeric_live), cmocka_unit_test(test_order_live)};
	int failed;

	if (getenv("PGHOST") != NULL) {
		conn = PQconnectdb("");
		if (PQstatus(conn) != CONNECTION_OK) {
			fprintf(stderr, "%s", PQerrorMessage(conn));
			return 1;
		}
	}
	if (getenv("WEIR_LIVE_SEED") != NULL)
		seed ^= strtoull(getenv("WEIR_LIVE_SEED"), NULL, 10) << 20;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	if (conn != NULL)
		PQfinish(conn);
	return failed;
}
