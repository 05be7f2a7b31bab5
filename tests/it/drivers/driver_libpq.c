/* libpq: parameters in text and binary, pipeline mode with errors, COPY, single-row mode, notices, cancel, and eight
 * connections that use the same prepared name for different statements. */
#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #cond); \
			exit(1);                                           \
		}                                                          \
	} while (0)

static PGconn *
open_conn(void)
{
	PGconn *c = PQconnectdb("");
	if (PQstatus(c) != CONNECTION_OK) {
		fprintf(stderr, "%s", PQerrorMessage(c));
		exit(1);
	}
	return c;
}

static void
must(PGconn *c, const char *sql)
{
	PGresult *r = PQexec(c, sql);
	ExecStatusType s = PQresultStatus(r);
	if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK) {
		fprintf(stderr, "%s: %s", sql, PQerrorMessage(c));
		exit(1);
	}
	PQclear(r);
}

static void
test_params(PGconn *c)
{
	uint32_t n = htonl(42);
	const char *values[] = {(char *)&n, "gr\xc3\xbc\xc3\x9f dich", NULL};
	int lengths[] = {4, 0, 0}, formats[] = {1, 0, 0};
	Oid types[] = {23, 25, 1082};
	PGresult *r = PQexecParams(
	    c, "SELECT $1 + 1, $2, $3 IS NULL", 3, types, values, lengths, formats, 1);
	CHECK(PQresultStatus(r) == PGRES_TUPLES_OK);
	uint32_t got;
	memcpy(&got, PQgetvalue(r, 0, 0), 4);
	CHECK(ntohl(got) == 43);
	CHECK(strcmp(PQgetvalue(r, 0, 1), values[1]) == 0);
	CHECK(PQgetvalue(r, 0, 2)[0] == 1);
	PQclear(r);
	r = PQprepare(c, "p1", "SELECT id, v FROM drv_libpq WHERE id = $1", 0, NULL);
	CHECK(PQresultStatus(r) == PGRES_COMMAND_OK);
	PQclear(r);
	r = PQdescribePrepared(c, "p1");
	CHECK(PQnparams(r) == 1 && PQparamtype(r, 0) == 23 && PQnfields(r) == 2);
	PQclear(r);
	r = PQexec(c, "SELECT 1/0");
	CHECK(strcmp(PQresultErrorField(r, PG_DIAG_SQLSTATE), "22012") == 0);
	PQclear(r);
}

static PGresult *
next_result(PGconn *c)
{
	PGresult *r = PQgetResult(c);
	CHECK(r != NULL);
	return r;
}

/* One statement's answer and the NULL behind it. */
static void
expect(PGconn *c, ExecStatusType status)
{
	PGresult *r = next_result(c);
	if (PQresultStatus(r) != status) {
		fprintf(stderr, "got %s, wanted %s: %s", PQresStatus(PQresultStatus(r)),
		    PQresStatus(status), PQresultErrorMessage(r));
		exit(1);
	}
	PQclear(r);
	if (status != PGRES_PIPELINE_SYNC)
		CHECK(PQgetResult(c) == NULL);
}

static void
insert(PGconn *c, const char *id)
{
	const char *values[] = {id, "pipelined"};
	CHECK(PQsendQueryPrepared(c, "ins", 2, values, NULL, NULL, 0));
}

static void
test_pipeline(PGconn *c)
{
	char id[20];
	CHECK(PQenterPipelineMode(c));
	CHECK(PQsendPrepare(c, "ins", "INSERT INTO drv_libpq VALUES ($1, $2)", 0, NULL));
	for (int i = 100; i < 400; i++) {
		snprintf(id, sizeof id, "%d", i);
		insert(c, id);
	}
	CHECK(PQpipelineSync(c));
	insert(c, "500"); /* undone by the next one's error */
	insert(c, "100");
	insert(c, "501"); /* aborted */
	CHECK(PQpipelineSync(c));
	insert(c, "502");
	CHECK(PQpipelineSync(c));
	expect(c, PGRES_COMMAND_OK);
	for (int i = 100; i < 400; i++)
		expect(c, PGRES_COMMAND_OK);
	expect(c, PGRES_PIPELINE_SYNC);
	expect(c, PGRES_COMMAND_OK);
	expect(c, PGRES_FATAL_ERROR);
	expect(c, PGRES_PIPELINE_ABORTED);
	expect(c, PGRES_PIPELINE_SYNC);
	expect(c, PGRES_COMMAND_OK);
	expect(c, PGRES_PIPELINE_SYNC);
	/* a flush request brings the answer with no sync */
	CHECK(PQsendQueryParams(c, "SELECT count(*) FROM drv_libpq WHERE id >= 100", 0,
	    NULL, NULL, NULL, NULL, 0));
	CHECK(PQsendFlushRequest(c));
	CHECK(PQflush(c) == 0);
	PGresult *r = next_result(c);
	CHECK(strcmp(PQgetvalue(r, 0, 0), "301") == 0);
	PQclear(r);
	CHECK(PQgetResult(c) == NULL);
	CHECK(PQpipelineSync(c));
	expect(c, PGRES_PIPELINE_SYNC);
	CHECK(PQexitPipelineMode(c));
}

static void
test_copy(PGconn *c)
{
	PGresult *r = PQexec(c, "COPY drv_libpq FROM STDIN");
	CHECK(PQresultStatus(r) == PGRES_COPY_IN);
	PQclear(r);
	for (int i = 1000; i < 3000; i++) {
		char line[64];
		int n = snprintf(line, sizeof line, "%d\tcopied %d\n", i, i);
		CHECK(PQputCopyData(c, line, n) == 1);
	}
	CHECK(PQputCopyEnd(c, NULL) == 1);
	expect(c, PGRES_COMMAND_OK);
	r = PQexec(c, "COPY drv_libpq FROM STDIN");
	PQclear(r);
	CHECK(PQputCopyEnd(c, "given up") == 1);
	expect(c, PGRES_FATAL_ERROR);
	r = PQexec(c, "COPY (SELECT id FROM drv_libpq WHERE id >= 1000) TO STDOUT");
	CHECK(PQresultStatus(r) == PGRES_COPY_OUT);
	PQclear(r);
	int lines = 0, n;
	char *buf;
	while ((n = PQgetCopyData(c, &buf, 0)) > 0) {
		lines++;
		PQfreemem(buf);
	}
	CHECK(n == -1 && lines == 2000);
	expect(c, PGRES_COMMAND_OK);
}

static void
test_single_row(PGconn *c)
{
	CHECK(PQsendQuery(c, "SELECT id FROM drv_libpq WHERE id >= 1000 ORDER BY id"));
	CHECK(PQsetSingleRowMode(c));
	int rows = 0;
	PGresult *r;
	while ((r = PQgetResult(c)) != NULL) {
		rows += PQresultStatus(r) == PGRES_SINGLE_TUPLE;
		PQclear(r);
	}
	CHECK(rows == 2000);
}

static void
test_cancel(PGconn *c)
{
	char err[256];
	CHECK(PQsendQuery(c, "SELECT pg_sleep(30)"));
	PGcancel *k = PQgetCancel(c);
	struct timespec pause = {0, 300000000};
	nanosleep(&pause, NULL);
	CHECK(PQcancel(k, err, sizeof err));
	PQfreeCancel(k);
	PGresult *r = next_result(c);
	CHECK(strcmp(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57014") == 0);
	PQclear(r);
	CHECK(PQgetResult(c) == NULL);
}

/* Eight connections, one name, eight statements; used in turn, with answers outstanding on all at once. */
static void
test_same_names(void)
{
	PGconn *c[8];
	char sql[64];
	for (int i = 0; i < 8; i++) {
		c[i] = open_conn();
		snprintf(sql, sizeof sql, "SELECT $1::int * 10 + %d", i);
		PGresult *r = PQprepare(c[i], "same", sql, 0, NULL);
		CHECK(PQresultStatus(r) == PGRES_COMMAND_OK);
		PQclear(r);
	}
	for (int round = 0; round < 100; round++) {
		char arg[16];
		snprintf(arg, sizeof arg, "%d", round);
		const char *values[] = {arg};
		for (int i = 0; i < 8; i++)
			CHECK(
			    PQsendQueryPrepared(c[i], "same", 1, values, NULL, NULL, 0));
		for (int i = 0; i < 8; i++) {
			PGresult *r = next_result(c[i]);
			CHECK(PQresultStatus(r) == PGRES_TUPLES_OK);
			CHECK(atoi(PQgetvalue(r, 0, 0)) == round * 10 + i);
			PQclear(r);
			CHECK(PQgetResult(c[i]) == NULL);
		}
	}
	for (int i = 0; i < 8; i++)
		PQfinish(c[i]);
}

static void
quiet(void *arg, const char *text)
{
	(void)arg;
	(void)text;
}

int
main(void)
{
	PGconn *c = open_conn();
	PQsetNoticeProcessor(c, quiet, NULL);
	must(c, "DROP TABLE IF EXISTS drv_libpq");
	must(c, "CREATE TABLE drv_libpq (id int PRIMARY KEY, v text)");
	test_params(c);
	test_pipeline(c);
	test_copy(c);
	test_single_row(c);
	test_cancel(c);
	test_same_names();
	must(c, "DROP TABLE drv_libpq");
	PQfinish(c);
	puts("PASS");
	return 0;
}
