/* `weir check` against a real server: one cluster whose databases play the shards. */
#include "router/config/check.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define BIN "/usr/lib/postgresql/15/bin"

static char folder[64], path[128];
static bool have_server;

static int __attribute__((format(printf, 1, 2))) run(const char *fmt, ...)
{
	char command[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	return system(command);
}

/* Servers do not run as root. */
static const char *
as_postgres(void)
{
	return geteuid() == 0
	    ? "setpriv --reuid=postgres --regid=postgres --clear-groups "
	    : "";
}

static void
sql(const char *dbname, const char *text)
{
	char conninfo[200];
	PGconn *conn;
	PGresult *r;

	snprintf(
	    conninfo, sizeof conninfo, "host=%s dbname=%s user=tester", folder, dbname);
	conn = PQconnectdb(conninfo);
	r = PQexec(conn, text);
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		fail_msg("%s", PQerrorMessage(conn));
	PQclear(r);
	PQfinish(conn);
}

static int
start_server(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/weir-check-XXXXXX");
	if (access(BIN "/postgres", X_OK) != 0)
		return 0;
	if (mkdtemp(folder) == NULL ||
	    run("chmod 755 %s; mkdir %s/data && if [ $(id -u) = 0 ]; then chown -R "
		"postgres %s; fi",
		folder, folder, folder) != 0 ||
	    run("cd / && %s" BIN
		"/initdb -D %s/data -U tester -A trust -N -E UTF8 --locale=C.UTF-8 "
		">%s/initdb.log 2>&1",
		as_postgres(), folder, folder) != 0 ||
	    run("cd / && %s" BIN "/pg_ctl -D %s/data -w -l %s/data/log -o \"-k %s -c "
		"listen_addresses='' -c fsync=off -c max_connections=30\" start "
		">/dev/null",
		as_postgres(), folder, folder, folder) != 0)
		return 1;
	have_server = true;
	sql("postgres", "CREATE DATABASE s1");
	sql("postgres", "CREATE DATABASE s2");
	sql("postgres",
	    "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "
	    "TEMPLATE template0");
	return 0;
}

static int
stop_server(void **state)
{
	(void)state;
	if (!have_server)
		return 0;
	return run("cd / && %s" BIN
		   "/pg_ctl -D %s/data -m immediate stop >/dev/null; rm -rf %s",
	    as_postgres(), folder, folder);
}

static struct config_report report;

/* The text's %s are all the folder. */
static void
check(const char *fmt)
{
	struct config *cfg;
	struct err err;
	FILE *f;

	if (!have_server)
		skip();
	snprintf(path, sizeof path, "%s/weir.conf", folder);
	f = fopen(path, "w");
	assert_non_null(f);
	for (const char *p = fmt; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 's')
			fputs((p++, folder), f);
		else
			fputc(*p, f);
	}
	fclose(f);
	config_report_fini(&report);
	config_report_init(&report);
	if (config_load(path, &cfg, &report, &err) != RC_OK) {
		config_report_print(&report, stderr);
		fail_msg("%s", err.msg);
	}
	config_check_servers(cfg, &report, NULL);
	config_unref(cfg);
}

static bool
told(bool warning, int line, const char *part)
{
	for (int i = 0; i < report.n; i++)
		if (report.items[i].warning == warning && report.items[i].line == line &&
		    strstr(report.items[i].text, part) != NULL)
			return true;
	fprintf(stderr, "line %d: no \"%s\" among:\n", line, part);
	config_report_print(&report, stderr);
	return false;
}

static void
all_is_well(void **state)
{
	(void)state;
	check("auth = { type = \"trust\"; };\ndatabases = ( { name = \"s1\"; primary = "
	      "\"host=%s user=tester\"; } );\n");
	config_report_print(&report, stderr);
	assert_int_equal(report.n, 0);
}

static void
roles_and_reach(void **state)
{
	(void)state;
	check("auth = { type = \"trust\"; };\npool_size = 10;\ndatabases = ( { name = "
	      "\"s1\";\n"
	      "primary = \"host=%s user=tester\";\n"
	      "replicas = ( \"host=%s user=tester\",\n"
	      "  \"host=%s port=1 user=tester\",\n"
	      "  \"host=%s user=nobody\" ); },\n"
	      "{ name = \"*\"; primary = \"host=%s\"; },\n"
	      "{ name = \"missing\"; primary = \"host=%s user=tester\"; },\n"
	      "{ name = \"s2\"; primary = \"host=%s\"; } );\n");
	assert_true(told(false, 5, "a primary, not a replica"));
	assert_true(told(false, 6, "No such file"));
	assert_true(told(false, 7, "nobody"));
	assert_true(told(false, 9, "missing"));
	assert_true(told(true, 10, "no user to log in as"));
	/* one server behind five pools of ten */
	assert_true(told(true, 4, "it takes 27 connections"));
}

static const char sharded[] =
    "auth = { type = \"trust\"; };\npool_size = 5;\ndatabases = ( { name = \"shop\"; "
    "shards = (\n"
    "{ name = \"s1\"; primary = \"host=%s dbname=s1 user=tester\"; },\n"
    "{ name = \"s2\"; primary = \"host=%s dbname=s2 user=tester\"; } );\n"
    "distributions = ( { name = \"c\"; kind = \"hash\"; type = \"bigint\"; buckets = 4;\n"
    "placement = ( { shard = \"s1\"; buckets = \"0-1\"; }, { shard = \"s2\"; buckets = "
    "\"2-3\"; } ); },\n"
    "{ name = \"n\"; kind = \"directory\"; type = \"text\"; default = \"s1\"; } );\n"
    "tables = ( { name = \"customers\"; distribution = \"c\"; key = \"id\"; },\n"
    "{ name = \"orders\"; distribution = \"c\"; key = \"customer_id\"; },\n"
    "{ name = \"notes\"; distribution = \"n\"; key = \"tenant\"; },\n"
    "{ name = \"countries\"; reference = true; } ); } );\n";

static void
maps(void **state)
{
	(void)state;
	if (!have_server)
		skip();
	for (int i = 0; i < 2; i++) {
		const char *db = i == 0 ? "s1" : "s2";

		sql(db, "CREATE TABLE customers (id int PRIMARY KEY, email text UNIQUE)");
		sql(db, "CREATE TABLE countries (code text PRIMARY KEY)");
		sql(db,
		    "CREATE COLLATION nd (provider = icu, locale = 'und', "
		    "deterministic = false)");
		sql(db,
		    "CREATE TABLE notes (tenant text COLLATE nd, n int, PRIMARY KEY "
		    "(tenant, n))");
	}
	sql("s1", "CREATE TABLE orders (id bigint, customer_id text)");
	sql("s2", "CREATE TABLE orders (id bigint, customer bigint)");
	check(sharded);
	assert_true(
	    told(true, 4, "unique index customers_email_key of public.customers lacks"));
	assert_true(
	    told(true, 5, "unique index customers_email_key of public.customers lacks"));
	assert_true(told(false, 4,
	    "customer_id is of type text, the distribution \"c\" of type bigint"));
	assert_true(told(false, 5, "public.orders has no column \"customer_id\""));
	assert_true(told(true, 5, "the columns of public.orders are not those"));
	assert_true(told(false, 4, "nondeterministic collation"));
	assert_true(told(true, 4, "max_prepared_transactions is 0"));
	assert_int_equal(report.n_errors, 3);
	sql("s2", "DROP TABLE countries");
	check(sharded);
	assert_true(told(false, 5, "there is no table public.countries"));
}

static void
shards_differ(void **state)
{
	(void)state;
	check("auth = { type = \"trust\"; };\npool_size = 5;\ndatabases = ( { name = "
	      "\"x\"; shards = (\n"
	      "{ name = \"a\"; primary = \"host=%s dbname=s1 user=tester\"; },\n"
	      "{ name = \"b\"; primary = \"host=%s dbname=latin user=tester\"; } ); } "
	      ");\n");
	assert_true(told(false, 5, "its encoding is LATIN1"));
	assert_true(told(false, 5, "its collation is C "));
}

static void
put_users(const char *secret)
{
	FILE *f;

	snprintf(path, sizeof path, "%s/users.txt", folder);
	f = fopen(path, "w");
	fprintf(f, "\"tester\" \"\"\n\"app\" \"%s\"\n", secret);
	fclose(f);
}

#define SCRAM(salt, rest) "SCRAM-SHA-256$4096:" salt "$" rest
#define REST                                            \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void
secrets(void **state)
{
	static const char conf[] = "auth = { type = \"scram-sha-256\"; users_file = "
				   "\"users.txt\"; auth_user = \"tester\"; };\n"
				   "pool_size = 5;\ndatabases = ( { name = \"s1\"; "
				   "primary = \"host=%s\"; } );\n";

	(void)state;
	if (!have_server)
		skip();
	sql("s1",
	    "CREATE ROLE app LOGIN PASSWORD '" SCRAM(
		"AAAAAAAAAAAAAAAAAAAAAA==", REST) "'");
	put_users(SCRAM("AAAAAAAAAAAAAAAAAAAAAA==", REST));
	check(conf);
	assert_int_equal(report.n, 0);
	put_users(SCRAM("BAAAAAAAAAAAAAAAAAAAAA==", REST));
	check(conf);
	assert_true(told(false, 3, "its secret of user \"app\" is not the one"));
	for (int i = 0; i < report.n; i++)
		assert_null(strstr(report.items[i].text, "SCRAM-SHA"));
	sql("s1", "CREATE ROLE weak LOGIN");
	check("auth = { type = \"scram-sha-256\"; users_file = \"users.txt\"; auth_user "
	      "= \"weak\"; };\n"
	      "pool_size = 5;\ndatabases = ( { name = \"s1\"; primary = \"host=%s\"; } "
	      ");\n");
	assert_true(told(true, 3, "may not read secrets"));
}

static int
silent(int argc, char **argv)
{
	int out = dup(1), errs = dup(2), code;

	fflush(stdout);
	assert_non_null(freopen("/dev/null", "w", stderr));
	if (freopen("/dev/null", "w", stdout) == NULL)
		return -1;
	code = config_check_main(argc, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(out, 1);
	dup2(errs, 2);
	close(out);
	close(errs);
	return code;
}

static void
command(void **state)
{
	char file[] = "/tmp/weir-check-conf-XXXXXX";
	char *good[] = {"check", "-c", file, "--offline", NULL};
	char *none[] = {"check", NULL};
	int fd = mkstemp(file);
	static const char text[] =
	    "auth = { type = \"trust\"; };\ndatabases = ( { name = \"a\"; "
	    "primary = \"host=h\"; } );\n";

	(void)state;
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	assert_int_equal(silent(4, good), 0);
	assert_int_equal(silent(1, none), 2);
	assert_int_equal(write(fd, "x = 1;\n", 7), 7);
	assert_int_equal(silent(4, good), 1);
	close(fd);
	unlink(file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_is_well),
	    cmocka_unit_test(roles_and_reach),
	    cmocka_unit_test(maps),
	    cmocka_unit_test(shards_differ),
	    cmocka_unit_test(secrets),
	    cmocka_unit_test(command),
	};
	int failed;

	config_report_init(&report);
	failed = cmocka_run_group_tests(tests, start_server, stop_server);
	config_report_fini(&report);
	return failed;
}
