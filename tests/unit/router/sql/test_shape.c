#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* The analysis is not what is tested here: a double that remembers what it was given. */
#define sql_analyze    fake_analyze
#define sql_stmts_free fake_free
#include "router/sql/shape.c"
#include "tests/unit/router/sql/pin_check.h"

static int analyses, frees;
static size_t weight; /* of each analysis' arena */
static char seen_text[400], seen_consts[400];

struct sql_stmts *
fake_analyze(struct slice text, const struct sql_const *consts, uint32_t n)
{
	struct sql_stmts *s = calloc(1, sizeof *s);

	analyses++;
	arena_init(&s->arena);
	if (weight > 0)
		arena_alloc(&s->arena, weight);
	snprintf(seen_text, sizeof seen_text, "%.*s", (int)text.len, text.ptr);
	seen_consts[0] = '\0';
	for (uint32_t i = 0; i < n && i < 10; i++) {
		assert_true(consts[i].raw.ptr >= text.ptr);
		assert_true(consts[i].raw.ptr + consts[i].raw.len <= text.ptr + text.len);
		snprintf(seen_consts + strlen(seen_consts),
		    sizeof seen_consts - strlen(seen_consts), "%s%.*s", i == 0 ? "" : "|",
		    (int)consts[i].raw.len, consts[i].raw.ptr);
	}
	return s;
}

void
fake_free(struct sql_stmts *s)
{
	frees++;
	arena_reset(&s->arena);
	free(s);
}

static const struct sql_env plain = {ENC_UTF8, true};

static struct shape *
get(struct shape_cache *c, const char *text)
{
	struct sql_consts consts;
	struct shape *s = shape_get(c, slice_of(text), &plain, &consts);

	assert_int_equal(consts.n, s->n_consts);
	return s;
}

static bool
same(const char *a, const char *b)
{
	struct shape_cache *c = shape_cache_create(1 << 20);
	bool yes;

	get(c, a);
	yes = get(c, b)->hits == 1;
	shape_cache_destroy(c);
	return yes;
}

static void
check_consts(const char *text, const char *wanted)
{
	struct shape_cache *c = shape_cache_create(1 << 20);
	struct shape *s = get(c, text);

	if (s->err != NULL)
		fail_msg("%s: %s", text, s->err->msg);
	if (strcmp(seen_consts, wanted) != 0)
		fail_msg("%s: constants are %s, not %s", text, seen_consts, wanted);
	shape_cache_destroy(c);
}

static const char *const same_pairs[][2] = {
    {"SELECT a FROM t WHERE id = 1", "select  A\nfrom T where ID=2"},
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 2147483647"},
    {"SELECT a FROM t WHERE id = -1", "SELECT a FROM t WHERE id = - 7"},
    {"SELECT a FROM t WHERE id = 2147483649",
	"SELECT a FROM t WHERE id = 9223372036854775807"},
    {"SELECT a FROM t WHERE id = 1.0", "SELECT a FROM t WHERE id = 1e5"},
    {"SELECT a FROM t WHERE id = 1.0", "SELECT a FROM t WHERE id = 99999999999999999999"},
    {"SELECT a FROM t WHERE n = 'x'", "SELECT a FROM t WHERE n = 'it''s'"},
    {"SELECT a FROM t WHERE n = 'x'", "SELECT a FROM t WHERE n = $q$it's$q$"},
    {"SELECT a FROM t WHERE n = 'x'", "SELECT a FROM t WHERE n = 'x'\n'y'"},
    {"SELECT a FROM t WHERE n = E'x'", "SELECT a FROM t WHERE n = e'\\'y\\n'"},
    {"SELECT a FROM t WHERE n = B'1'", "SELECT a FROM t WHERE n = x'f0'"},
    {"SELECT a FROM t WHERE n LIKE 'x%'", "SELECT a FROM t WHERE n LIKE 'y%'"},
    {"SELECT a FROM t WHERE n ILIKE 'x%' OR 'a' = n",
	"SELECT a FROM t WHERE n ILIKE 'y' OR 'b' = n"},
    {"SELECT a FROM t WHERE n BETWEEN 'a' AND 'b'",
	"SELECT a FROM t WHERE n BETWEEN 'c' AND 'd'"},
    {"SELECT a FROM t WHERE n IS DISTINCT FROM 'a'",
	"SELECT a FROM t WHERE n IS DISTINCT FROM 'b'"},
    {"SELECT a FROM t WHERE id IN (1,2,3)", "SELECT a FROM t WHERE id IN (4, 5, 6)"},
    {"SELECT a FROM t WHERE n::text IN ('a')", "SELECT a FROM t WHERE n::text IN ('b')"},
    {"SELECT a FROM t WHERE id = f(1, 'a')", "SELECT a FROM t WHERE id = f(2, 'b')"},
    {"SELECT a FROM t WHERE id = '5'::int", "SELECT a FROM t WHERE id = '6'::int"},
    {"SELECT a FROM t WHERE id = CAST('5' AS int)",
	"SELECT a FROM t WHERE id = CAST('6' AS int)"},
    {"SELECT a FROM t WHERE CASE WHEN id = 1 THEN 'a' ELSE 'b' END = n",
	"SELECT a FROM t WHERE CASE WHEN id = 2 THEN 'c' ELSE 'd' END = n"},
    {"SELECT a FROM t LIMIT 10 OFFSET 20", "SELECT a FROM t LIMIT 11 OFFSET 21"},
    {"SELECT a FROM t ORDER BY a LIMIT 10", "SELECT a FROM t ORDER BY a LIMIT 11"},
    {"SELECT a FROM t ORDER BY 1 FETCH FIRST 5 ROWS ONLY",
	"SELECT a FROM t ORDER BY 1 FETCH FIRST 6 ROWS ONLY"},
    {"SELECT a FROM t AS x JOIN u ON u.id = t.id AND u.k = 5",
	"SELECT a FROM t AS x JOIN u ON u.id = t.id AND u.k = 6"},
    {"SELECT a FROM t AS x JOIN (SELECT b FROM u WHERE k = 5) y USING (b)",
	"SELECT a FROM t AS x JOIN (SELECT b FROM u WHERE k = 6) y USING (b)"},
    {"SELECT a FROM place_order(1, 'x')", "SELECT a FROM place_order(2, 'y')"},
    {"WITH x AS (SELECT a FROM t WHERE id = 1) SELECT a FROM x WHERE a = 2",
	"WITH x AS (SELECT a FROM t WHERE id = 3) SELECT a FROM x WHERE a = 4"},
    {"WITH x AS MATERIALIZED (SELECT a FROM t WHERE id = 1) SELECT a FROM x",
	"WITH x AS MATERIALIZED (SELECT a FROM t WHERE id = 3) SELECT a FROM x"},
    {"WITH x AS (UPDATE t SET a = 1 WHERE id = 2 RETURNING a) SELECT a FROM x",
	"WITH x AS (UPDATE t SET a = 3 WHERE id = 4 RETURNING a) SELECT a FROM x"},
    {"SELECT a FROM t WHERE id = 1 UNION SELECT b FROM u WHERE id = 2",
	"SELECT a FROM t WHERE id = 3 UNION SELECT b FROM u WHERE id = 4"},
    {"(SELECT a FROM t WHERE id = 1) ORDER BY a LIMIT 1",
	"(SELECT a FROM t WHERE id = 2) ORDER BY a LIMIT 2"},
    {"INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')"},
    {"INSERT INTO t (a, b) VALUES (1, 'a'), (2, 'b')",
	"INSERT INTO t (a, b) VALUES (3, 'c'), (4, 'd')"},
    {"INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 5 WHERE t.c = 6",
	"INSERT INTO t VALUES (2) ON CONFLICT (a) DO UPDATE SET b = 7 WHERE t.c = 8"},
    {"UPDATE t SET a = a + 1, b = 'x' WHERE id = 2",
	"UPDATE t SET a = a + 3, b = 'y' WHERE id = 4"},
    {"UPDATE t SET (a, b) = (1, 2) FROM u WHERE u.x = 3",
	"UPDATE t SET (a, b) = (4, 5) FROM u WHERE u.x = 6"},
    {"DELETE FROM t WHERE id = 1", "DELETE FROM t WHERE id = 2"},
    {"DELETE FROM t USING u WHERE u.id = 1", "DELETE FROM t USING u WHERE u.id = 2"},
    {"MERGE INTO t USING u ON t.id = u.id AND u.k = 1 WHEN MATCHED AND u.z > 2 THEN "
     "UPDATE SET a = 3 WHEN NOT MATCHED THEN INSERT VALUES (4)",
	"MERGE INTO t USING u ON t.id = u.id AND u.k = 5 WHEN MATCHED AND u.z > 6 THEN "
	"UPDATE SET a = 7 WHEN NOT MATCHED THEN INSERT VALUES (8)"},
    {"VALUES (1, 2)", "VALUES (3, 4)"},
    {"SELECT f(42, 'x')", "SELECT f(43, 'y')"},
    {"SELECT EXISTS (SELECT 1 FROM t WHERE id = 1)",
	"SELECT EXISTS (SELECT 1 FROM t WHERE id = 2)"},
    {"SELECT 1; SELECT 2", "SELECT 3; SELECT 4"},
    {"SELECT /* x */ a FROM t -- y\n WHERE id = 1",
	"SELECT a/* z */FROM t WHERE id = 2/* weird: */"},
    {"SELECT a FROM t WHERE extract(day from d) = 1",
	"SELECT a FROM t WHERE extract(day from d) = 2"},
    {"SELECT a FROM t WHERE x -> 'k' = '1'", "SELECT a FROM t WHERE x -> 'l' = '2'"},
    {"SELECT a FROM t WHERE x[1] = 1", "SELECT a FROM t WHERE x[2] = 2"},
    {"SELECT a FROM t WHERE id = ANY('{1,2}')", "SELECT a FROM t WHERE id = ANY('{3}')"},
    {"SELECT a FROM t WHERE (a, b) IN ((1, 'x'), (2, 'y'))",
	"SELECT a FROM t WHERE (a, b) IN ((3, 'z'), (4, 'w'))"},
    {"SELECT a FROM t WHERE (id = 1 OR (id = 2))",
	"SELECT a FROM t WHERE (id = 3 OR (id = 4))"},
    {"SELECT a AS set FROM t WHERE id = 1", "SELECT a AS set FROM t WHERE id = 2"},
    {"SELECT t.from FROM t WHERE id = 1", "SELECT t.from FROM t WHERE id = 2"},
};

static const char *const different_pairs[][2] = {
    {"SELECT a FROM t WHERE id = 1", "SELECT b FROM t WHERE id = 1"},
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 1;"},
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM \"T\" WHERE id = 1"},
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = '1'"},
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 1.0"},
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = 2147483648"},
    {"SELECT a FROM t WHERE id = 2147483648", "SELECT a FROM t WHERE id = 2147483649"},
    {"SELECT a FROM t WHERE id = 9223372036854775808",
	"SELECT a FROM t WHERE id = 9223372036854775809"},
    {"SELECT a FROM t WHERE id = 9223372036854775807",
	"SELECT a FROM t WHERE id = 9223372036854775809"},
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = $1"},
    {"SELECT a FROM t WHERE id = $1", "SELECT a FROM t WHERE id = $2"},
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = NULL"},
    {"SELECT a FROM t WHERE b = TRUE", "SELECT a FROM t WHERE b = FALSE"},
    {"SELECT a FROM t WHERE n = 'x'", "SELECT a FROM t WHERE n = E'x'"},
    {"SELECT a FROM t WHERE n = 'x'", "SELECT a FROM t WHERE n = B'1'"},
    {"SELECT a FROM t WHERE id IN (1,2)", "SELECT a FROM t WHERE id IN (1,2,3)"},
    {"SELECT a FROM t WHERE x IN (('a','b'))",
	"SELECT a FROM t WHERE x IN (('a'),('b'))"},
    {"INSERT INTO t VALUES ('a','b')", "INSERT INTO t VALUES ('a'),('b')"},
    {"SELECT a - b FROM t", "SELECT a -b, c FROM t"},
    {"SELECT a <- 1 FROM t", "SELECT a < -1 FROM t WHERE a @- 1"},
    {"SELECT a FROM t WHERE a @ -1 > 0", "SELECT a FROM t WHERE a @- 1 > 0"},
    {"SELECT ab FROM t", "SELECT a b FROM t"},
    {"SELECT a.b FROM t", "SELECT a,b FROM t"},
    /* the target list, and what may be equal to it */
    {"SELECT 1 FROM t", "SELECT 2 FROM t"},
    {"SELECT a % 10 FROM t GROUP BY a % 10", "SELECT a % 7 FROM t GROUP BY a % 10"},
    {"SELECT a % 10 FROM t GROUP BY a % 10", "SELECT a % 10 FROM t GROUP BY a % 7"},
    {"SELECT a FROM t GROUP BY 1", "SELECT a FROM t GROUP BY 2"},
    {"SELECT a FROM t ORDER BY 1", "SELECT a FROM t ORDER BY 2"},
    {"SELECT a FROM t ORDER BY (a + 1)", "SELECT a FROM t ORDER BY (a + 2)"},
    {"SELECT a FROM t ORDER BY a IS DISTINCT FROM 1, 2",
	"SELECT a FROM t ORDER BY a IS DISTINCT FROM 1, 3"},
    {"SELECT a FROM t ORDER BY (SELECT b FROM u WHERE c = 1)",
	"SELECT a FROM t ORDER BY (SELECT b FROM u WHERE c = 2)"},
    {"SELECT (SELECT b FROM u WHERE c = 1) FROM t",
	"SELECT (SELECT b FROM u WHERE c = 2) FROM t"},
    {"SELECT a FROM t GROUP BY a HAVING sum(b + 1) > 2",
	"SELECT a FROM t GROUP BY a HAVING sum(b + 2) > 2"},
    {"SELECT DISTINCT ON (a % 2) a FROM t", "SELECT DISTINCT ON (a % 3) a FROM t"},
    {"SELECT sum(a) OVER (ORDER BY b % 2) FROM t",
	"SELECT sum(a) OVER (ORDER BY b % 3) FROM t"},
    {"SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY b % 2)",
	"SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY b % 3)"},
    {"SELECT count(*) FILTER (WHERE a = 1) FROM t",
	"SELECT count(*) FILTER (WHERE a = 2) FROM t"},
    {"SELECT a, 1 UNION SELECT b, 2", "SELECT a, 1 UNION SELECT b, 3"},
    {"SELECT 1 UNION SELECT 2", "SELECT 3 UNION SELECT 2"},
    {"SELECT 1 ORDER BY 1", "SELECT 2 ORDER BY 1"},
    {"SELECT a FROM (SELECT 1 AS a) x", "SELECT a FROM (SELECT 2 AS a) x"},
    {"SELECT a IS DISTINCT FROM 1, 5 FROM t", "SELECT a IS DISTINCT FROM 1, 6 FROM t"},
    {"SELECT extract(day from b), 5 FROM t", "SELECT extract(day from b), 6 FROM t"},
    {"SELECT 1 AS limit, 5 FROM t", "SELECT 1 AS limit, 6 FROM t"},
    {"SELECT a.where, 5 FROM t", "SELECT a.where, 6 FROM t"},
    {"SELECT set, 5 FROM t", "SELECT set, 6 FROM t"},
    {"SELECT update, set, 5 FROM t", "SELECT update, set, 6 FROM t"},
    {"SELECT 1 values, 5 FROM t", "SELECT 1 values, 6 FROM t"},
    {"SELECT a distinct FROM t, f(1) WHERE b = 2",
	"SELECT a distinct FROM t, f(3) WHERE b = 2"},
    {"INSERT INTO t VALUES (1) RETURNING a + 1",
	"INSERT INTO t VALUES (1) RETURNING a + 2"},
    {"UPDATE t SET a = 1 RETURNING set, 5", "UPDATE t SET a = 1 RETURNING set, 6"},
    {"INSERT INTO t SELECT 1, b FROM u", "INSERT INTO t SELECT 2, b FROM u"},
    /* typed literals and types */
    {"SELECT a FROM t WHERE d = DATE '2020-01-01'",
	"SELECT a FROM t WHERE d = DATE '2020-01-02'"},
    {"SELECT a FROM t WHERE d > now() - INTERVAL '1 day'",
	"SELECT a FROM t WHERE d > now() - INTERVAL '2 day'"},
    {"SELECT a FROM t WHERE d = \"date\" '2020-01-01'",
	"SELECT a FROM t WHERE d = \"date\" '2020-01-02'"},
    {"SELECT a FROM t WHERE d = timestamp(3) '2020-01-01'",
	"SELECT a FROM t WHERE d = timestamp(4) '2020-01-01'"},
    {"SELECT a FROM t WHERE d = timestamp with time zone 'a'",
	"SELECT a FROM t WHERE d = timestamp with time zone 'b'"},
    {"SELECT a FROM t WHERE d = interval '1' second(3)",
	"SELECT a FROM t WHERE d = interval '1' second(4)"},
    {"SELECT a FROM t WHERE d = x::interval day to second(3)",
	"SELECT a FROM t WHERE d = x::interval day to second(4)"},
    {"SELECT a FROM t WHERE x = N'a'", "SELECT a FROM t WHERE x = N'b'"},
    {"SELECT a FROM t WHERE x = '1'::numeric(10,2)",
	"SELECT a FROM t WHERE x = '1'::numeric(10,3)"},
    {"SELECT a FROM t WHERE x = cast('1' as varchar(3))",
	"SELECT a FROM t WHERE x = cast('1' as varchar(4))"},
    {"SELECT a FROM t WHERE x = '{1}'::int[3]",
	"SELECT a FROM t WHERE x = '{1}'::int[4]"},
    {"SELECT a FROM t WHERE x = U&'a'", "SELECT a FROM t WHERE x = U&'b'"},
    {"SELECT a FROM t WHERE x = U&'a' UESCAPE '!'",
	"SELECT a FROM t WHERE x = U&'a' UESCAPE '?'"},
    {"SELECT a FROM t WHERE x = E'\\x41'", "SELECT a FROM t WHERE x = E'\\x42'"},
    /* functions whose arguments are read */
    {"SELECT set_config('a', 'b', true)", "SELECT set_config('a', 'c', true)"},
    {"SELECT pg_catalog.SET_CONFIG('a', 'b', true)",
	"SELECT pg_catalog.SET_CONFIG('a', 'c', true)"},
    {"SELECT a FROM t WHERE set_config('a', ('b'), true) = 'x'",
	"SELECT a FROM t WHERE set_config('a', ('c'), true) = 'x'"},
    {"SELECT a FROM \"set_config\"('a', 'b', true)",
	"SELECT a FROM \"set_config\"('a', 'c', true)"},
    {"INSERT INTO t VALUES (nextval('a'))", "INSERT INTO t VALUES (nextval('b'))"},
    /* hints */
    {"SELECT a FROM t", "SELECT /* weir: primary */ a FROM t"},
    {"SELECT /* weir: replica */ a FROM t", "SELECT /* weir: primary */ a FROM t"},
    {"SELECT a FROM t -- weir: primary", "SELECT a FROM t"},
    /* other statements, whole */
    {"SET a = 1", "SET a = 2"},
    {"SET a = 1", "set a = 1"},
    {"EXPLAIN SELECT a FROM t WHERE id = 1", "EXPLAIN SELECT a FROM t WHERE id = 2"},
    {"SELECT 1; SET a = 1", "SELECT 1; SET a = 2"},
    {"SET a = 1; SELECT b FROM t WHERE c = 1", "SET a = 2; SELECT b FROM t WHERE c = 1"},
    {"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
	"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 3; END"},
    {"BEGIN", "BEGIN "},
    {"", ";"},
    /* what is no SQL must not be taken for it */
    {"SELECT a FROM t WHERE id = 1", "SELECT a FROM t WHERE id = \x01"},
    {"SELECT a FROM t WHERE id = 'x", "SELECT a FROM t WHERE id = 'y"},
};

static void
test_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof same_pairs / sizeof *same_pairs; i++)
		if (!same(same_pairs[i][0], same_pairs[i][1]))
			fail_msg("differ: %s", same_pairs[i][0]);
}

static void
test_different(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof different_pairs / sizeof *different_pairs; i++)
		if (same(different_pairs[i][0], different_pairs[i][1]))
			fail_msg("same: %s", different_pairs[i][0]);
}

static bool
same_as_earlier_line(size_t line)
{
	for (size_t i = 0; i < line; i++)
		if (same(same_pairs[i][0], same_pairs[line][0]))
			return true;
	return false;
}

/* Lines of the table are shapes of their own, but for those that begin with the same
 * text. */
static void
test_all_lines(void **state)
{
	struct shape_cache *c = shape_cache_create(1 << 22);

	(void)state;
	for (size_t i = 0; i < sizeof same_pairs / sizeof *same_pairs; i++)
		assert_int_equal(
		    get(c, same_pairs[i][0])->hits != 0, same_as_earlier_line(i));
	shape_cache_destroy(c);
}

static void
test_consts(void **state)
{
	(void)state;
	check_consts(
	    "SELECT a, 1 FROM t WHERE b = 2 AND c = 'x' ORDER BY 3 LIMIT 4", "2|'x'|4");
	check_consts("SELECT 1, f('a'), -2", "1|'a'|2");
	check_consts("SELECT EXISTS (SELECT 1 FROM t WHERE id = 2)", "2");
	check_consts(
	    "SELECT EXISTS (SELECT 1 FROM t WHERE id = 2) FROM u WHERE x = 3", "3");
	check_consts(
	    "SELECT 1; SELECT 2 FROM t WHERE b = 3; SET x = 4; UPDATE t SET a = 5",
	    "1|3|5");
	check_consts(
	    "WITH x AS (SELECT 1 FROM t WHERE a = 2) UPDATE t SET b = 3 WHERE c = 4",
	    "2|3|4");
	check_consts("INSERT INTO t SELECT 1, 'a' FROM u WHERE b = 2", "2");
	check_consts("INSERT INTO t VALUES (1, DATE 'x', 'y', NULL, E'z') RETURNING 5",
	    "1|'y'|E'z'");
	check_consts("SELECT a FROM t WHERE d = timestamp(3) 'x' AND b = 7", "7");
	check_consts(
	    "SELECT a FROM t WHERE d::numeric(3) IN (4) AND x::int[2] = 5", "4|5");
	check_consts("SELECT a FROM t WHERE id = $1 AND b = 2", "2");
	check_consts(
	    "(SELECT 1 FROM t WHERE a = 2) UNION (SELECT 3 FROM t WHERE a = 4) LIMIT 5",
	    "2|4|5");
	check_consts("CREATE TABLE t AS SELECT 1; SELECT 2", "");
}

static void
test_classes(void **state)
{
	static const enum const_class wanted[] = {CONST_INT4, CONST_INT8, CONST_INT8,
	    CONST_NUMERIC, CONST_NUMERIC, CONST_STRING, CONST_ESTRING, CONST_BITS,
	    CONST_STRING, CONST_INT4};
	struct shape_cache *c = shape_cache_create(1 << 20);
	struct sql_consts k;

	(void)state;
	shape_get(c,
	    slice_of(
		"VALUES (1, 2147483648, 9223372036854775807, 9223372036854775808, "
		"1.5, 'a', E'a', X'1', $$a$$, 000000000000000000000000000000000012)"),
	    &plain, &k);
	assert_int_equal(k.n, sizeof wanted / sizeof *wanted);
	for (uint32_t i = 0; i < k.n; i++)
		assert_int_equal(k.v[i].class, wanted[i]);
	shape_cache_destroy(c);
}

/* ---- statements at random: what is not pinned must not matter ---- */

/* @X stands for any of the rules of X; after some depth for the first. */
static const struct rule {
	char name;
	const char *text;
} rules[] = {
    {'S', "SELECT @L"},
    {'S', "@Q"},
    {'S', "@Q"},
    {'S', "@Q; @S"},
    {'S', "INSERT INTO t (a, b) VALUES (@E, @E), (@E, @E) RETURNING @L"},
    {'S',
	"INSERT INTO t AS x @Q ON CONFLICT (a) WHERE @E DO UPDATE SET a = @E, b = @E "
	"WHERE @E RETURNING @L"},
    {'S',
	"INSERT INTO set VALUES (@E) ON CONFLICT (a) DO UPDATE SET a = @E RETURNING @L"},
    {'S',
	"UPDATE t AS x SET a = @E, (b, c) = (@E, @E), c[@E] = @E FROM @F WHERE @E "
	"RETURNING @L"},
    {'S', "UPDATE set SET set = @E RETURNING set, @E"},
    {'S', "DELETE FROM t USING @F WHERE @E RETURNING @L"},
    {'S',
	"WITH x AS (@S), set AS MATERIALIZED (@S), update (a) AS NOT MATERIALIZED (@S) "
	"@S"},
    {'S',
	"MERGE INTO t USING @F ON @E WHEN MATCHED AND @E THEN UPDATE SET a = @E WHEN "
	"NOT MATCHED THEN INSERT (a) VALUES (@E)"},
    {'S', "SET a = 'x'"},
    {'Q', "SELECT @L FROM @F"},
    {'Q', "SELECT @L FROM @F WHERE @E"},
    {'Q', "SELECT DISTINCT @L FROM @F WHERE @E ORDER BY @L LIMIT @E OFFSET @E"},
    {'Q', "SELECT DISTINCT ON (@L) @L FROM @F OFFSET @E ROWS FETCH FIRST 5 ROWS ONLY"},
    {'Q',
	"SELECT @L FROM @F WHERE @E GROUP BY @L HAVING @E ORDER BY @L DESC NULLS LAST "
	"LIMIT @E FOR UPDATE"},
    {'Q',
	"SELECT @L FROM @F WINDOW w AS (PARTITION BY @L ORDER BY @E), v AS (ORDER BY "
	"@E) ORDER BY @E"},
    {'Q', "SELECT @L GROUP BY GROUPING SETS ((@E), (@L), ROLLUP (@E, @E))"},
    {'Q', "SELECT @L WHERE @E"},
    {'Q', "SELECT @L"},
    {'Q', "SELECT ALL @L FROM @F"},
    {'Q', "(@Q) UNION ALL (@Q) ORDER BY @E LIMIT @E"},
    {'Q', "SELECT @L UNION SELECT @L"},
    {'Q',
	"SELECT @L FROM @F WHERE @E EXCEPT SELECT @L FROM @F INTERSECT VALUES (@E, @E)"},
    {'Q', "VALUES (@E, @E), (@E, @E)"},
    {'Q', "TABLE t ORDER BY @E LIMIT @E"},
    {'Q',
	"WITH RECURSIVE x AS (@Q UNION ALL @Q) SEARCH DEPTH FIRST BY a SET s CYCLE a "
	"SET b TO 1 DEFAULT 2 USING p SELECT @L FROM x WHERE @E"},
    {'L', "@E"},
    {'L', "@E, @L"},
    {'L', "@E AS limit, @L"},
    {'L', "@E values, @L"},
    {'L', "@E set, @L"},
    {'L', "@E AS from, @E AS where, @E"},
    {'L', "@E distinct, @L"},
    {'L', "x.*, @L"},
    {'L', "@E update, @E set, @E"},
    {'L', "@E \"from\", @E"},
    {'L', "@E AS select, @E"},
    {'L', "@E select, @E"},
    {'L', "@E merge, @E insert, @E"},
    {'F', "t"},
    {'F', "t AS a JOIN (@Q) b ON @E"},
    {'F', "f(@E) AS g (a)"},
    {'F', "(@Q) s"},
    {'F', "t x, @F"},
    {'F', "t AS set LEFT JOIN LATERAL (@Q) s (a) ON @E"},
    {'F', "(VALUES (@E, @E), (@E, @E)) AS v (a, b)"},
    {'F', "t TABLESAMPLE bernoulli(@E)"},
    {'F', "ROWS FROM (f(@E), g(@E)) AS s"},
    {'F', "(t CROSS JOIN u)"},
    {'F', "f(@E) AS x (a numeric(10,2), b text)"},
    {'F', "t values JOIN u set USING (a)"},
    {'E', "1"},
    {'E', "2"},
    {'E', "'x'"},
    {'E', "E'x'"},
    {'E', "a"},
    {'E', "x.set"},
    {'E', "x.from"},
    {'E', "set"},
    {'E', "update"},
    {'E', "values"},
    {'E', "1.5"},
    {'E', "-7"},
    {'E', "$1"},
    {'E', "3000000000"},
    {'E', "B'1'"},
    {'E', "NULL"},
    {'E', "$$x$$"},
    {'E', "U&'x'"},
    {'E', "'a'\n'b'"},
    {'E', "\"set\""},
    {'E', "@E + @E"},
    {'E', "@E + @E"},
    {'E', "@E = @E"},
    {'E', "(@E)"},
    {'E', "((@E) - @E)"},
    {'E', "f(@E, @E)"},
    {'E', "(SELECT @L FROM @F WHERE @E)"},
    {'E', "(@Q)"},
    {'E', "EXISTS (@Q)"},
    {'E', "@E IN (@E, @E)"},
    {'E', "@E IN (@Q)"},
    {'E', "(@E, @E) IN ((@E, @E), (@E, @E))"},
    {'E', "@E = ANY (ARRAY[@E, @E])"},
    {'E', "@E IS DISTINCT FROM @E"},
    {'E', "CASE WHEN @E THEN @E ELSE @E END"},
    {'E', "CASE @E WHEN 'x' THEN 'y' END"},
    {'E', "extract(day FROM @E)"},
    {'E', "DATE 'x'"},
    {'E', "interval '1' second(3)"},
    {'E', "interval(3) 'x'"},
    {'E', "timestamp(3) 'x'"},
    {'E', "\"date\" 'x'"},
    {'E', "a.b 'x'"},
    {'E', "float8 E'x'"},
    {'E', "f(1, 2) 'x'"},
    {'E', "@E::numeric(5, 2)"},
    {'E', "@E::int[3]"},
    {'E', "@E::timestamp(3) with time zone"},
    {'E', "@E::interval day to second(3)"},
    {'E', "cast(@E as varchar(3))"},
    {'E', "cast(@E as a.b(3))"},
    {'E', "count(*) FILTER (WHERE @E)"},
    {'E', "sum(@E ORDER BY @E, @E)"},
    {'E', "sum(DISTINCT @E)"},
    {'E', "sum(@E) OVER (PARTITION BY @E ORDER BY @E ROWS 1 PRECEDING)"},
    {'E', "sum(@E) OVER w"},
    {'E', "percentile_cont(@E) WITHIN GROUP (ORDER BY @E)"},
    {'E', "set_config('a', @E, (@E))"},
    {'E', "pg_catalog.\"nextval\"(@E)"},
    {'E', "u&\"x\"(@E)"},
    {'E', "a[@E]"},
    {'E', "a[@E:@E]"},
    {'E', "substring(@E from @E for @E)"},
    {'E', "overlay(@E placing @E from @E)"},
    {'E', "trim(both 'x' from @E)"},
    {'E', "ROW(@E, @E)"},
    {'E', "ARRAY[@E]"},
    {'E', "ARRAY(@Q)"},
    {'E', "@E::text LIKE @E ESCAPE 'x'"},
    {'E', "@E SIMILAR TO @E"},
    {'E', "@E BETWEEN @E AND @E"},
    {'E', "@E NOT IN (@E)"},
    {'E', "a COLLATE \"C\""},
    {'E', "@E AT TIME ZONE @E"},
    {'E', "@E OPERATOR(pg_catalog.+) @E"},
    {'E', "f(a => @E, b := @E)"},
    {'E', "coalesce(@E, @E)"},
    {'E', "f(VARIADIC @E)"},
    {'E', "grouping(@E)"},
    {'E', "N'x'"},
    {'E', "bit '1'"},
    {'E', "f(@E).a"},
    {'E', "(@E).a"},
    {'E', "@E AND @E OR NOT @E"},
    {'E', "@E ISNULL"},
    {'E', "@E /* c */ || @E"},
};

static uint64_t seed = 1;

static uint32_t
dice(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static void
derive(char *out, size_t size, char name, int depth)
{
	const struct rule *chosen = NULL;
	uint32_t n = 0;

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		n += rules[i].name == name;
	n = depth > 0 ? dice(n) : 0;
	for (size_t i = 0; chosen == NULL; i++)
		if (rules[i].name == name && n-- == 0)
			chosen = &rules[i];
	for (const char *p = chosen->text; *p != '\0'; p++) {
		size_t len = strlen(out);

		if (len + 2 >= size)
			return;
		if (*p == '@')
			derive(out, size, *++p, depth - 1);
		else
			out[len] = *p, out[len + 1] = '\0';
	}
}

static void
test_pinned_enough(void **state)
{
	struct shape_cache *c = shape_cache_create(16 << 20);
	static char text[8000];
	struct sql_consts k;
	int bad = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		text[0] = '\0';
		derive(text, sizeof text, 'S', 1 + (int)dice(5));
		if (shape_get(c, slice_of(text), &plain, &k)->err == NULL)
			bad += !pins_enough(text, &k);
	}
	shape_cache_destroy(c);
	assert_int_equal(bad, 0);
}

/* ---- the session's settings ---- */

static void
test_env(void **state)
{
	struct shape_cache *c = shape_cache_create(1 << 20);
	struct sql_env off = {ENC_UTF8, false}, latin1 = {ENC_LATIN1, true},
		       sjis = {ENC_SJIS, true};
	struct slice text =
	    slice_of("SELECT a FROM t WHERE b = 'x' AND c = 'a\\'b' AND d = 5");
	struct sql_consts k;
	struct shape *s;

	(void)state;
	s = shape_get(c, text, &plain, &k);
	assert_non_null(s->err); /* the last quote is never closed */
	s = shape_get(c, text, &off, &k);
	assert_null(s->err);
	assert_int_equal(k.n, 3);
	assert_int_equal(k.v[1].class, CONST_ESTRING);
	assert_true(k.v[1].raw.ptr > text.ptr && k.v[1].raw.ptr < text.ptr + text.len);
	/* the parser is shown what it reads alike */
	assert_string_equal(
	    seen_text, "SELECT a FROM t WHERE b = 'x' AND c =  E'a\\'b' AND d = 5");
	assert_string_equal(seen_consts, "'x'|E'a\\'b'|5");
	text = slice_of("SELECT 'it\\'s', 'plain' FROM t WHERE d = 5 ");
	shape_get(c, text, &off, &k);
	assert_string_equal(seen_text, "SELECT  E'it\\'s', 'plain' FROM t WHERE d = 5");
	assert_string_equal(seen_consts, "5");
	text = slice_of("SELECT'it\\'s'");
	shape_get(c, text, &off, &k);
	assert_string_equal(seen_text, "SELECT E'it\\'s'");
	assert_string_equal(seen_consts, "E'it\\'s'");
	/* and each setting is part of the key */
	text = slice_of("SELECT a FROM t");
	assert_int_equal(shape_get(c, text, &plain, &k)->hits, 0);
	assert_int_equal(shape_get(c, text, &off, &k)->hits, 0);
	assert_int_equal(shape_get(c, text, &latin1, &k)->hits, 0);
	assert_int_equal(shape_get(c, text, &sjis, &k)->hits, 0);
	assert_int_equal(shape_get(c, text, &plain, &k)->hits, 1);
	shape_cache_destroy(c);
}

static void
test_client_only_encoding(void **state)
{
	struct shape_cache *c = shape_cache_create(1 << 20);
	struct sql_env sjis = {ENC_SJIS, true};
	struct sql_consts k;
	struct shape *s;

	(void)state;
	s = shape_get(
	    c, slice_of("SELECT a FROM t WHERE b = '\x95\x5c' AND c = 1"), &sjis, &k);
	assert_null(s->err);
	assert_int_equal(k.n, 2);
	s = shape_get(c, slice_of("SELECT '\x81\x7e', \x95\x5c FROM t"), &sjis, &k);
	assert_string_equal(s->err->sqlstate, "0A000");
	assert_int_equal(s->err->position, 13);
	assert_non_null(shape_get(c, slice_of("SELECT E'\x95\x5c'"), &sjis, &k)->err);
	assert_non_null(shape_get(c, slice_of("SELECT $\x95|$a$\x95|$"), &sjis, &k)->err);
	assert_null(shape_get(c, slice_of("SELECT $x$\x95\x5c$x$"), &sjis, &k)->err);
	shape_cache_destroy(c);
}

static void
check_error(const char *text, const char *msg, int position)
{
	struct shape_cache *c = shape_cache_create(1 << 20);
	int before = analyses;
	struct shape *s = get(c, text);

	assert_non_null(s->err);
	assert_null(s->stmts);
	assert_string_equal(s->err->sqlstate, "42601");
	assert_string_equal(s->err->msg, msg);
	assert_int_equal(s->err->position, position);
	assert_int_equal(s->err->blast, BLAST_STMT);
	assert_int_equal(get(c, text)->hits, 1);
	assert_int_equal(analyses, before);
	shape_cache_destroy(c);
}

static void
test_errors(void **state)
{
	struct shape_cache *c;
	struct sql_consts k;

	(void)state;
	check_error("SELECT 'abc", "unterminated quoted string at or near \"'abc\"", 8);
	check_error("SELECT \xc3\xa9, \"abc",
	    "unterminated quoted identifier at or near \"\"abc\"", 11);
	check_error("/* x", "unterminated /* comment at or near \"/* x\"", 1);
	check_error("SELECT $a$ $b$",
	    "unterminated dollar-quoted string at or near \"$a$ $b$\"", 8);
	check_error(
	    "SET x = 1a", "trailing junk after numeric literal at or near \"1a\"", 9);
	c = shape_cache_create(1 << 20);
	assert_string_equal(
	    shape_get(c, SLICE_LIT("SELECT 'a\0b'"), &plain, &k)->err->sqlstate, "22021");
	shape_cache_destroy(c);
}

/* ---- the cache ---- */

static void
test_lru(void **state)
{
	struct shape_cache *c = shape_cache_create(400 << 10);
	struct shape_stats st;
	char text[100];
	int f = frees;

	(void)state;
	weight = 4000;
	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof text, "SELECT a%d FROM t", i);
		get(c, text);
		get(c, "SELECT kept FROM t");
		shape_cache_stats(c, &st);
		assert_true(st.bytes <= 400 << 10);
	}
	assert_int_equal(st.misses, 501);
	assert_int_equal(st.hits, 499);
	assert_true(st.evictions > 400);
	assert_int_equal(st.shapes, 501 - st.evictions);
	assert_int_equal(get(c, "SELECT kept FROM t")->hits, 500);
	snprintf(text, sizeof text, "SELECT a%d FROM t", 499);
	assert_int_equal(get(c, text)->hits, 1);
	shape_cache_destroy(c);
	assert_int_equal(frees - f, 501);
	weight = 0;
}

static int routes_freed;

static void
route_free(void *route)
{
	routes_freed += *(int *)route;
}

static void
test_held(void **state)
{
	struct shape_cache *c = shape_cache_create(100 << 10);
	struct shape *s = get(c, "SELECT held FROM t WHERE a = 5");
	char text[100];
	int one = 1;

	(void)state;
	shape_ref(s);
	s->route = &one;
	s->route_free = route_free;
	weight = 2000;
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof text, "SELECT a%d FROM t", i);
		get(c, text);
	}
	assert_int_equal(routes_freed, 0);
	assert_string_equal(s->sample, "SELECT held FROM t WHERE a = 5");
	assert_int_equal(s->n_consts, 1);
	assert_ptr_not_equal(get(c, "SELECT held FROM t WHERE a = 5"), s);
	shape_cache_destroy(c);
	assert_int_equal(routes_freed, 0);
	shape_unref(s);
	assert_int_equal(routes_freed, 1);
	weight = 0;
}

/* A shape too heavy to keep is there until the next one. */
static void
test_passing(void **state)
{
	struct shape_cache *c = shape_cache_create(64 << 10);
	struct shape_stats st;
	struct shape *s, *again;
	int f = frees;

	(void)state;
	weight = 8 << 10;
	s = get(c, "SELECT heavy FROM t");
	shape_cache_stats(c, &st);
	assert_int_equal(st.shapes, 0);
	assert_int_equal(frees, f);
	shape_ref(s);
	again = get(c, "SELECT heavy FROM t");
	assert_ptr_not_equal(again, s);
	assert_int_equal(again->hits, 0);
	assert_int_equal(frees, f);
	shape_unref(s);
	assert_int_equal(frees, f + 1);
	weight = 0;
	get(c, "SELECT light FROM t");
	assert_int_equal(frees, f + 2);
	shape_cache_destroy(c);
	assert_int_equal(frees, f + 3);
}

static void
count_one(const struct shape *s, void *arg)
{
	assert_non_null(s->sample);
	++*(int *)arg;
}

static void
test_growth(void **state)
{
	struct shape_cache *c = shape_cache_create(64 << 20);
	char text[400];
	int n = 0;

	(void)state;
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 3000; i++) {
			snprintf(text, sizeof text, "SELECT a%d FROM t WHERE b = %d", i,
			    round);
			assert_int_equal(get(c, text)->hits, round);
		}
	shape_cache_each(c, count_one, &n);
	assert_int_equal(n, 3000);
	memset(text, 'x', sizeof text);
	memcpy(text, "SELECT ", 7);
	text[399] = '\0';
	assert_int_equal(strlen(get(c, text)->sample), 200);
	shape_cache_destroy(c);
}

/* Many constants, deep parentheses, long names. */
static void
test_large(void **state)
{
	enum { N = 200000 };
	struct shape_cache *c = shape_cache_create(1 << 20);
	char *text = malloc(N * 8 + 200);
	struct sql_consts k;
	size_t n;

	(void)state;
	for (int round = 0; round < 2; round++) {
		n = (size_t)sprintf(text, "SELECT a FROM t WHERE id IN (");
		for (int i = 0; i < N; i++)
			n += (size_t)sprintf(
			    text + n, "%s%d", i == 0 ? "" : ",", i + round);
		sprintf(text + n, ")");
		assert_int_equal(shape_get(c, slice_of(text), &plain, &k)->hits, round);
		assert_int_equal(k.n, N);
		for (int i = 0; i < N; i += 999)
			assert_int_equal(strtol(k.v[i].raw.ptr, NULL, 10), i + round);
	}
	n = (size_t)sprintf(text, "SELECT a FROM t WHERE id = 1 AND ");
	memset(text + n, '(', N);
	sprintf(text + n + N, "2");
	memset(text + n + N + 1, ')', N);
	sprintf(text + n + N + 1 + N, " AND c = 3");
	shape_get(c, slice_of(text), &plain, &k);
	assert_int_equal(k.n, 2); /* beyond LEVELS all is pinned */
	assert_true(*k.v[0].raw.ptr == '1' && *k.v[1].raw.ptr == '3');
	n = (size_t)sprintf(text, "SELECT ");
	memset(text + n, 'N', N);
	sprintf(text + n + N, " FROM t");
	get(c, text);
	memset(text + n, 'n', N);
	assert_int_equal(get(c, text)->hits, 1);
	text[n + N - 1] = 'm';
	assert_int_equal(get(c, text)->hits, 0);
	free(text);
	shape_cache_destroy(c);
}

/* The authors' test vectors: the key is 00 01 … 0f, the input 00 01 …. */
static void
test_siphash(void **state)
{
	static const uint8_t wanted[][16] = {
	    {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
		0x55, 0x02, 0x93},
	    {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
		0x22, 0xfc, 0x45},
	};
	struct sip_key key;
	uint8_t bytes[2000];
	uint64_t whole[2], parts[2];
	struct sip s;

	(void)state;
	for (int i = 0; i < 16; i++)
		((uint8_t *)&key)[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
	for (size_t n = 0; n < 2; n++) {
		sip_init(&s, &key);
		sip_bytes(&s, bytes, n);
		sip_final(&s, whole);
		assert_memory_equal(whole, wanted[n], 16);
	}
	/* in pieces as at once */
	for (size_t piece = 1; piece < 300; piece += 7) {
		sip_init(&s, &key);
		sip_bytes(&s, bytes, sizeof bytes);
		sip_final(&s, whole);
		sip_init(&s, &key);
		for (size_t at = 0; at < sizeof bytes; at += piece)
			sip_bytes(&s, bytes + at,
			    piece < sizeof bytes - at ? piece : sizeof bytes - at);
		sip_final(&s, parts);
		assert_memory_equal(whole, parts, 16);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same),
	    cmocka_unit_test(test_different),
	    cmocka_unit_test(test_all_lines),
	    cmocka_unit_test(test_consts),
	    cmocka_unit_test(test_classes),
	    cmocka_unit_test(test_pinned_enough),
	    cmocka_unit_test(test_env),
	    cmocka_unit_test(test_client_only_encoding),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_lru),
	    cmocka_unit_test(test_held),
	    cmocka_unit_test(test_passing),
	    cmocka_unit_test(test_growth),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_siphash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
