/* What a text is to the session: kinds, names, values, inner texts, hints, flags; and
 * that no text brings the analysis down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "router/sql/query.h"
#include "router/sql/stmt.h"

static char *
flag_words(const struct sql_stmt *s, char *out, size_t size)
{
	static const char *const pins[] = {
	    "temp", "listen", "hold", "advisory", "load", "set_config", "user"};
	size_t n = strlen(out);

#define WORD(cond, word) \
	if (cond)        \
	n += (size_t)snprintf(out + n, size - n, " %s", word)
	WORD(s->locks_rows, "locks");
	WORD(s->modifies, "modifies");
	WORD(s->read_only, "read-only");
	WORD(s->read_write, "read-write");
	WORD(s->chain, "chain");
	WORD(s->analyze, "analyze");
	WORD(s->if_needed_alone, "alone");
	WORD(s->temp_object, "temp");
	WORD(s->uses_session_seq, "seq");
	WORD(s->value_default, "default");
	WORD(s->copy_stdio, "stdio");
	for (int i = 0; i < 7; i++)
		if ((s->pins & (1U << i)) != 0)
			n += (size_t)snprintf(out + n, size - n, " pin=%s", pins[i]);
	return out;
}

/* "kind name=… value=… body=… inner=… flags" of each statement, parted by " ; ". */
static const char *
summary(const char *sql)
{
	static char out[8192];
	struct sql_stmts *st = sql_analyze(slice_of(sql), NULL, 0);
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < st->n; i++) {
		const struct sql_stmt *s = &st->v[i];

		n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", i > 0 ? " ; " : "",
		    stmt_kind_name(s->kind));
		if (s->name != NULL)
			n += (size_t)snprintf(
			    out + n, sizeof out - n, " name=%s", s->name);
		if (s->value.ptr != NULL)
			n += (size_t)snprintf(out + n, sizeof out - n, " value=%.*s",
			    (int)s->value.len, s->value.ptr);
		if (s->body.ptr != NULL)
			n += (size_t)snprintf(out + n, sizeof out - n, " body=%.*s",
			    (int)s->body.len, s->body.ptr);
		if (s->inner != NULL)
			n += (size_t)snprintf(out + n, sizeof out - n, " inner=%s",
			    stmt_kind_name(s->inner->kind));
		for (int k = 0; k < s->n_sets; k++)
			n += (size_t)snprintf(out + n, sizeof out - n, " set%s(%s,%.*s)",
			    s->sets[k].local ? "_local" : "", s->sets[k].name,
			    (int)s->sets[k].value.len, s->sets[k].value.ptr);
		for (int k = 0; k < s->n_args; k++)
			n += (size_t)snprintf(out + n, sizeof out - n, " arg=%.*s",
			    (int)s->args[k].text.len,
			    s->args[k].text.ptr == NULL ? "" : s->args[k].text.ptr);
		flag_words(s, out, sizeof out);
		n = strlen(out);
	}
	if (st->weir_primary)
		n += (size_t)snprintf(out + n, sizeof out - n, " hint=primary");
	if (st->weir_replica)
		n += (size_t)snprintf(out + n, sizeof out - n, " hint=replica");
	if (st->weir_shard != NULL)
		snprintf(out + n, sizeof out - n, " hint=shard:%s", st->weir_shard);
	sql_stmts_free(st);
	return out;
}

static const struct {
	const char *sql, *want;
} cases[] = {
    {"", ""},
    {" ; ;", ""},
    {"-- only a comment", ""},
    {"SELECT 1", "select"},
    {"VALUES (1)", "select"},
    {"TABLE t", "select"},
    {"SELECT 1; INSERT INTO t VALUES (1);", "select ; insert"},
    {"UPDATE t SET a = 1", "update"},
    {"DELETE FROM t", "delete"},
    {"MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", "merge"},
    {"SELECT * FROM t FOR UPDATE", "select locks"},
    {"SELECT * FROM (SELECT * FROM t FOR SHARE) x", "select locks"},
    {"SELECT * INTO x FROM t", "select modifies"},
    {"SELECT * INTO TEMP x FROM t", "select modifies temp pin=temp"},
    {"WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "select modifies"},
    {"WITH d AS (SELECT 1) SELECT * FROM d", "select"},
    /* transactions */
    {"BEGIN", "begin"},
    {"START TRANSACTION READ ONLY", "begin read-only"},
    {"BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE", "begin read-write"},
    {"COMMIT AND CHAIN", "commit chain"},
    {"END", "commit"},
    {"ROLLBACK", "rollback"},
    {"ABORT", "rollback"},
    {"SAVEPOINT a", "savepoint name=a"},
    {"RELEASE a", "release name=a"},
    {"ROLLBACK TO SAVEPOINT \"A b\"", "rollback to name=A b"},
    {"PREPARE TRANSACTION 'x''y'", "prepare transaction name=x'y"},
    {"COMMIT PREPARED 'x'", "commit prepared name=x alone"},
    {"ROLLBACK PREPARED 'x'", "rollback prepared name=x alone"},
    {"SET TRANSACTION READ ONLY", "set transaction read-only"},
    {"SET TRANSACTION SNAPSHOT 'x'", "set transaction"},
    {"SET transaction_read_only = on",
	"set transaction name=transaction_read_only value=on read-only"},
    {"SET transaction_read_only TO 'off'",
	"set transaction name=transaction_read_only value=off read-write"},
    /* settings */
    {"SET x = on", "set name=x value=on"},
    {"SET SESSION x TO 'a''b'", "set name=x value=a'b"},
    {"SET LOCAL x = 1", "set local name=x value=1"},
    {"SET x = -5", "set name=x value=-5"},
    {"SET x = 1.5", "set name=x value=1.5"},
    {"SET x TO DEFAULT", "reset name=x default"},
    {"SET LOCAL x TO DEFAULT", "set local name=x default"},
    {"SET \"DateStyle\" TO ISO, DMY", "set name=datestyle value=iso, dmy"},
    {"SET search_path TO \"A b\", public, \"$user\"",
	"set name=search_path value=\"A b\", public, \"$user\""},
    {"SET search_path = 'x, y', z", "set name=search_path value=\"x, y\", z"},
    {"SET search_path = app", "set name=search_path value=app"},
    {"SET TIME ZONE 'UTC'", "set name=timezone value=UTC"},
    {"SET TIME ZONE LOCAL", "reset name=timezone default"},
    {"SET TIME ZONE -7", "set name=timezone value=-7"},
    {"SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE",
	"set name=timezone value=INTERVAL '-08:00' HOUR TO MINUTE"},
    {"SET NAMES 'LATIN1'", "set name=client_encoding value=LATIN1"},
    {"SET NAMES", "reset name=client_encoding default"},
    {"SET search_path = 'x, y'", "set name=search_path value=\"x, y\""},
    {"SET SCHEMA 'app'", "set name=search_path value=app"},
    {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
	"set name=transaction_mode value=READ ONLY read-only"},
    {"SET ROLE joe", "set name=role value=joe"},
    {"SET ROLE NONE", "set name=role value=none"},
    {"SET SESSION AUTHORIZATION 'joe'", "set name=session_authorization value=joe"},
    {"SET SESSION AUTHORIZATION DEFAULT", "reset name=session_authorization default"},
    {"SET weir.shard = 's1'", "set name=weir.shard value=s1"},
    {"SET LOCAL my.var TO a, 'b c'", "set local name=my.var value=a, b c"},
    {"RESET ROLE", "reset name=role"},
    {"RESET SESSION AUTHORIZATION", "reset name=session_authorization"},
    {"RESET TIME ZONE", "reset name=timezone"},
    {"RESET weir.shard", "reset name=weir.shard"},
    {"RESET ALL", "reset all"},
    {"SHOW TIME ZONE", "show name=timezone"},
    {"SHOW ALL", "show name=all"},
    {"SHOW weir.shard", "show name=weir.shard"},
    {"DISCARD ALL", "discard all name=all alone"},
    {"DISCARD TEMP", "discard name=temp"},
    {"SELECT set_config('Search_Path', 'app', false)", "select set(search_path,app)"},
    {"SELECT set_config('a.b', 'x', false), pg_catalog.set_config('c.d', 'y', false)",
	"select set(a.b,x) set(c.d,y)"},
    {"SELECT set_config('a.b', 'x', true)", "select set_local(a.b,x)"},
    {"SELECT set_config('a.b', $1, false)", "select pin=set_config"},
    {"SELECT set_config('a.b', 'x' || 'y', false)", "select pin=set_config"},
    {"SELECT set_config('a.b', 'x', false) FROM t", "select pin=set_config"},
    {"SELECT 1 FROM t WHERE set_config('a.b', 'x', false) = 'x'",
	"select pin=set_config"},
    {"SELECT (SELECT set_config('a.b', 'x', false))", "select pin=set_config"},
    {"SELECT pg_advisory_lock(1)", "select pin=advisory"},
    {"SELECT * FROM t WHERE pg_try_advisory_lock(id)", "select pin=advisory"},
    {"SELECT pg_advisory_xact_lock(1)", "select"},
    {"SELECT currval('s')", "select seq"},
    /* prepared statements, cursors */
    {"PREPARE p AS SELECT $1", "prepare name=p body=SELECT $1 inner=select"},
    {"PREPARE p(int, numeric(10,2)) AS INSERT INTO t VALUES ($1) ;",
	"prepare name=p body=INSERT INTO t VALUES ($1) inner=insert"},
    {"PREPARE p /* AS x */ AS SELECT 'AS'",
	"prepare name=p body=SELECT 'AS' inner=select"},
    {"EXECUTE p(1, 'a', -2.5)", "execute name=p arg=1 arg=a arg=-2.5"},
    {"EXECUTE p", "execute name=p"},
    {"DEALLOCATE p", "deallocate name=p"},
    {"DEALLOCATE PREPARE ALL", "deallocate all"},
    {"DECLARE c CURSOR FOR SELECT * FROM t",
	"declare name=c body=SELECT * FROM t inner=select"},
    {"DECLARE c CURSOR WITH HOLD FOR SELECT 1",
	"declare name=c body=SELECT 1 inner=select pin=hold"},
    {"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1",
	"declare name=c body=SELECT 1 inner=select"},
    {"FETCH 10 FROM c", "fetch name=c"},
    {"MOVE c", "fetch name=c"},
    {"CLOSE c", "close name=c"},
    {"CLOSE ALL", "close all"},
    {"LISTEN a", "listen name=a pin=listen"},
    {"UNLISTEN a", "unlisten name=a"},
    {"UNLISTEN *", "unlisten"},
    {"NOTIFY a, 'x'", "notify name=a"},
    /* EXPLAIN */
    {"EXPLAIN SELECT 1", "explain body=SELECT 1 inner=select"},
    {"EXPLAIN ANALYZE VERBOSE UPDATE t SET a = 1",
	"explain body=UPDATE t SET a = 1 inner=update analyze"},
    {"EXPLAIN (ANALYZE off, FORMAT json) SELECT 1", "explain body=SELECT 1 inner=select"},
    {"EXPLAIN (ANALYZE, BUFFERS) (SELECT 1)",
	"explain body=(SELECT 1) inner=select analyze"},
    {"EXPLAIN (SELECT 1)", "explain body=(SELECT 1) inner=select"},
    {"EXPLAIN EXECUTE p(1)", "explain body=EXECUTE p(1) inner=execute"},
    /* others */
    {"COPY t FROM STDIN", "copy from stdio"},
    {"COPY t (a) TO STDOUT WITH (FORMAT csv)", "copy to stdio"},
    {"COPY t FROM '/tmp/x'", "copy from"},
    {"COPY t TO PROGRAM 'cat'", "copy to"},
    {"COPY (SELECT 1) TO STDOUT", "copy to inner=select stdio"},
    {"LOCK TABLE t", "lock"},
    {"TRUNCATE a, b", "truncate"},
    {"CALL p(1)", "call"},
    {"DO $$ BEGIN END $$", "do"},
    {"LOAD 'x'", "load name=x pin=load"},
    {"SET CONSTRAINTS ALL DEFERRED", "set constraints"},
    {"CREATE TABLE t (a int)", "ddl"},
    {"CREATE TEMP TABLE t (a int)", "ddl temp pin=temp"},
    {"CREATE TABLE pg_temp.t (a int)", "ddl temp pin=temp"},
    {"CREATE TEMP VIEW v AS SELECT 1", "ddl temp pin=temp"},
    {"CREATE TEMP SEQUENCE s", "ddl temp pin=temp"},
    {"CREATE TEMP TABLE t AS SELECT 1", "ddl temp pin=temp"},
    {"DROP TABLE pg_temp.t", "ddl temp"},
    {"CREATE INDEX CONCURRENTLY i ON t (a)", "ddl alone"},
    {"CREATE INDEX i ON t (a)", "ddl"},
    {"DROP INDEX CONCURRENTLY i", "ddl alone"},
    {"VACUUM", "maintenance alone"},
    {"VACUUM (ANALYZE) t", "maintenance alone"},
    {"ANALYZE t", "maintenance"},
    {"REINDEX TABLE t", "maintenance"},
    {"REINDEX (CONCURRENTLY) TABLE t", "maintenance alone"},
    {"REINDEX DATABASE d", "maintenance alone"},
    {"CLUSTER t", "maintenance"},
    {"REFRESH MATERIALIZED VIEW v", "maintenance"},
    {"CREATE ROLE r", "cluster ddl"},
    {"GRANT a TO b", "cluster ddl"},
    {"GRANT SELECT ON t TO b", "ddl"},
    {"CREATE DATABASE d", "cluster ddl alone"},
    {"ALTER SYSTEM SET x = 1", "cluster ddl alone"},
    {"CHECKPOINT", "cluster ddl"},
    {"SELEC 1", "unreadable"},
    /* hints */
    {"/* weir: primary */ SELECT 1", "select hint=primary"},
    {"SELECT 1 -- weir: replica", "select hint=replica"},
    {"SELECT /*weir: shard=s1*/ 1", "select hint=shard:s1"},
    {"SELECT /* Weir: shard=s1, primary */ 1", "select hint=primary hint=shard:s1"},
    {"SELECT '/* weir: primary */'", "select"},
    {"SELECT $x$ /* weir: primary */ $x$", "select"},
    {"SELECT 1 /* see weir: primary */", "select"},
    {"SELECT E'\\'/* weir: primary */'", "select"},
};

static void
test_summaries(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *got = summary(cases[i].sql);

		if (strcmp(got, cases[i].want) != 0) {
			print_error("%s\n  want: %s\n  got:  %s\n", cases[i].sql,
			    cases[i].want, got);
			bad++;
		}
	}
	assert_int_equal(bad, 0);
}

/* ---- constants ---- */

static struct sql_const
constant(const char *sql, const char *raw, enum const_class class)
{
	const char *p = strstr(sql, raw);

	assert_non_null(p);
	return (struct sql_const){class, {p, strlen(raw)}};
}

static void
test_constants(void **state)
{
	const char *sql = "SELECT 7 FROM t WHERE a = - 5 AND b = 'x' AND c = -(6) AND d "
			  "= 9.5 AND e = - - 8";
	struct sql_const v[] = {constant(sql, "5 AND", CONST_INT4),
	    constant(sql, "'x'", CONST_STRING), constant(sql, "6)", CONST_INT4),
	    constant(sql, "8", CONST_INT4)};
	struct sql_stmts *st;
	struct sql_cond **c;

	(void)state;
	st = sql_analyze(slice_of(sql), v, 4);
	assert_int_equal(st->n, 1);
	c = st->v[0].query->where->args;
	assert_int_equal(c[0]->right->value.kind, VALUE_CONST);
	assert_int_equal(c[0]->right->value.index, 0);
	assert_true(c[0]->right->value.negated);
	assert_int_equal(c[1]->right->value.index, 1);
	assert_int_equal(c[2]->right->value.index, 2);
	assert_true(c[2]->right->value.negated);
	assert_int_equal(c[3]->right->value.kind, VALUE_TEXT); /* pinned */
	assert_string_equal(c[3]->right->value.cast, "numeric");
	assert_int_equal(c[4]->right->value.index, 3);
	assert_false(c[4]->right->value.negated);
	assert_int_equal(st->v[0].query->targets[0].expr.value.kind, VALUE_TEXT);
	sql_stmts_free(st);
}

static void
test_casts(void **state)
{
	struct sql_stmts *st = sql_analyze(
	    SLICE_LIT("SELECT 5::int8, '5'::bigint, 5.7::int, DATE '2026-01-01', "
		      "'x'::varchar(2), a::text, 9999999999, '{1}'::int[], -(5::int8)"),
	    NULL, 0);
	const struct sql_target *t = st->v[0].query->targets;

	(void)state;
	assert_string_equal(t[0].expr.value.cast, "int8");
	assert_string_equal(t[1].expr.value.cast, "int8");
	assert_int_equal(t[2].expr.kind, EXPR_OTHER);
	assert_string_equal(t[3].expr.value.cast, "date");
	assert_int_equal(t[4].expr.kind, EXPR_OTHER);
	assert_int_equal(t[5].expr.kind, EXPR_COL);
	assert_string_equal(t[5].expr.cast, "text");
	assert_string_equal(t[6].expr.value.cast, "int8");
	assert_string_equal(t[7].expr.value.cast, "_int4");
	assert_int_equal(t[8].expr.kind, EXPR_OTHER);
	sql_stmts_free(st);
}

/* ---- hostile texts ---- */

static char *
repeat(const char *before, const char *s, int n, const char *middle, const char *t)
{
	char *out = malloc(strlen(before) + (strlen(s) + strlen(t)) * (size_t)n +
		 strlen(middle) + 1),
	     *p = out;

	assert_non_null(out);
	p = stpcpy(p, before);
	for (int i = 0; i < n; i++)
		p = stpcpy(p, s);
	p = stpcpy(p, middle);
	for (int i = 0; i < n; i++)
		p = stpcpy(p, t);
	return out;
}

static void
test_depth(void **state)
{
	static const struct {
		const char *before, *s, *middle, *t;
	} texts[] = {{"SELECT ", "(", "1", ")"}, {"SELECT ", "1+", "1", ""},
	    {"SELECT ", "1*", "1", ""}, {"SELECT ", "NOT ", "true", ""},
	    {"SELECT ", "(SELECT ", "1", ")"},
	    {"", "SELECT 1 UNION ALL ", "SELECT 1", ""}, {"SELECT ", "ARRAY[", "1", "]"},
	    {"SELECT ", "", "1", "::int"},
	    {"SELECT 1 FROM a ", "JOIN b ON true ", "", ""},
	    {"SELECT ", "CASE WHEN true THEN ", "1", " END"}, {"SELECT ", "- ", "a", ""},
	    {"SELECT * FROM ", "(SELECT * FROM ", "t", ") x"},
	    {"SELECT ", "f(", "1", ")"}};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (int n = 10; n <= 100000; n *= 10) {
			char *sql = repeat(
			    texts[i].before, texts[i].s, n, texts[i].middle, texts[i].t);
			struct sql_stmts *st = sql_analyze(slice_of(sql), NULL, 0);

			assert_int_equal(st->n, 1);
			if (n <= 100 && st->v[0].kind != STMT_SELECT)
				fail_msg(
				    "refused: %s × %d: %s", texts[i].s, n, st->err.msg);
			if (n >= 1000)
				assert_string_equal(st->err.sqlstate, "54001");
			sql_stmts_free(st);
			free(sql);
		}
}

/* Long, but not deep. */
static void
test_long(void **state)
{
	static const struct {
		const char *before, *s, *middle;
	} texts[] = {{"SELECT 1 FROM t WHERE a = 1", " OR a = 1", ""},
	    {"SELECT 1 FROM t WHERE a IN (1", ", 2", ")"},
	    {"INSERT INTO t VALUES (1, 'x')", ", (2, 'y')", ""},
	    {"SELECT 1", ", a + 1", ""}, {"SELECT CASE", " WHEN a = 1 THEN 2", " END"}};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char *sql =
		    repeat(texts[i].before, texts[i].s, 5000, texts[i].middle, "");
		struct sql_stmts *st = sql_analyze(slice_of(sql), NULL, 0);

		assert_int_equal(st->n, 1);
		if (st->v[0].kind == STMT_UNREADABLE)
			fail_msg("refused: %s: %s", texts[i].s, st->err.msg);
		sql_stmts_free(st);
		free(sql);
	}
}

static void
test_unreadable(void **state)
{
	struct sql_stmts *st = sql_analyze(SLICE_LIT("SELECT 1 +"), NULL, 0);

	(void)state;
	assert_int_equal(st->v[0].kind, STMT_UNREADABLE);
	assert_string_equal(st->err.sqlstate, "42601");
	assert_string_equal(st->err.msg, "syntax error at end of input");
	assert_int_equal(st->err.position, 11);
	sql_stmts_free(st);
	st = sql_analyze((struct slice){"SELECT\0 1", 9}, NULL, 0);
	assert_int_equal(st->v[0].kind, STMT_UNREADABLE);
	sql_stmts_free(st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_summaries),
	    cmocka_unit_test(test_constants),
	    cmocka_unit_test(test_casts),
	    cmocka_unit_test(test_depth),
	    cmocka_unit_test(test_long),
	    cmocka_unit_test(test_unreadable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
