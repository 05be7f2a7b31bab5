/* For tests/plan/differential: runs statements over several shards as the session would,
 * on live servers, and compares with a database that has all rows.
 *
 *   multi_run HOST     PostgreSQL there has the databases whole, s1, s2 and s3
 *
 * One statement a line on standard input; one that begins with '=' must give its rows in
 * the same order, one with '#' only as many. On standard output a line each: "one" (it needs no several shards),
 * "same KIND", "refused MESSAGE", "failed" (on all rows too), "wrong MESSAGE" or "error
 * MESSAGE" (only over shards). Run from the top of the tree. */
#include <libpq-fe.h>

#include "router/plan/merge_int.h"
#include "router/sql/encoding.h"
#include "tests/unit/router/plan/fixture.h"

static PGconn *whole, *shards[3], *final[3];
static struct shard_map *map;
static char why[4096];

static PGconn *
connect_to(const char *host, const char *db)
{
	const char *keys[] = {"host", "dbname", "user", NULL};
	const char *values[] = {host, db, "postgres", NULL};
	PGconn *c = PQconnectdbParams(keys, values, 0);

	if (PQstatus(c) != CONNECTION_OK) {
		fprintf(stderr, "%s", PQerrorMessage(c));
		exit(1);
	}
	PQclear(PQexec(c, "SET statement_timeout = '10s'"));
	PQclear(PQexec(c, "SET client_min_messages = error"));
	return c;
}

static PGresult *
bad(PGresult *r, struct slice sql)
{
	snprintf(why, sizeof why, "%s in %.*s", PQresultErrorMessage(r), (int)sql.len,
	    sql.ptr);
	for (char *p = why; *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	PQclear(r);
	return NULL;
}

static PGresult *
ask(PGconn *c, struct slice sql, int format)
{
	char *copy = strndup(sql.ptr, sql.len);
	PGresult *r = PQexecParams(c, copy, 0, NULL, NULL, NULL, NULL, format);
	ExecStatusType s = PQresultStatus(r);

	free(copy);
	return s == PGRES_TUPLES_OK || s == PGRES_COMMAND_OK || s == PGRES_COPY_IN
	    ? r
	    : bad(r, sql);
}

/* ---- rows as messages ---- */

struct bytes {
	char *v;
	size_t n, cap;
};

static void
add(struct bytes *b, const void *p, size_t n)
{
	if (b->n + n > b->cap) {
		b->cap = (b->n + n) * 2;
		b->v = realloc(b->v, b->cap);
	}
	if (n > 0)
		memcpy(b->v + b->n, p, n);
	b->n += n;
}

static void
add_number(struct bytes *b, int64_t v, int size)
{
	char c[8];

	for (int i = 0; i < size; i++)
		c[i] = (char)(v >> (8 * (size - 1 - i)));
	add(b, c, (size_t)size);
}

static void
add_field(struct bytes *b, const PGresult *r, int row, int c)
{
	bool null = PQgetisnull(r, row, c);
	int n = PQgetlength(r, row, c);

	add_number(b, null ? -1 : n, 4);
	if (!null)
		add(b, PQgetvalue(r, row, c), (size_t)n);
}

static void
add_row(struct bytes *b, const PGresult *r, int row)
{
	add_number(b, PQnfields(r), 2);
	for (int c = 0; c < PQnfields(r); c++)
		add_field(b, r, row, c);
}

/* ---- a result: rows as lines, and what their columns are ---- */

struct rows {
	char **v;
	size_t n;
	char *columns;
};

static void
rows_free(struct rows *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->v[i]);
	free(r->v);
	free(r->columns);
}

static void
take_columns(struct rows *out, const PGresult *r)
{
	size_t n;
	FILE *f = open_memstream(&out->columns, &n);

	for (int c = 0; c < PQnfields(r); c++)
		fprintf(f, "%s:%u:%d ", PQfname(r, c),
		    PQftype(r, c) < 16384 ? PQftype(r, c) : 0, PQfmod(r, c));
	fclose(f);
}

static void
take_row(struct rows *out, const PGresult *r, int row)
{
	size_t n;
	FILE *f;

	out->v = realloc(out->v, (out->n + 1) * sizeof *out->v);
	f = open_memstream(&out->v[out->n++], &n);
	for (int c = 0; c < PQnfields(r); c++)
		fprintf(
		    f, "%s|", PQgetisnull(r, row, c) ? "NULL" : PQgetvalue(r, row, c));
	fclose(f);
}

static void
take(struct rows *out, const PGresult *r)
{
	take_columns(out, r);
	for (int i = 0; i < PQntuples(r); i++)
		take_row(out, r, i);
}

/* ---- the kinds ---- */

static bool
on_shard(const uint64_t *set, int i)
{
	return (set[0] >> i & 1) != 0;
}

/* libpq knows one format for all columns, so a fragment is asked twice: r[0] in text, r[1]
 * in binary. The client of these tests wants text. */
static int
format_of(const struct multi *m, int column)
{
	return column < m->merge.n_formats && m->merge.formats[column] == 1;
}

static void
describe(struct bytes *b, const struct multi *m, PGresult *const *r)
{
	b->n = 0;
	add_number(b, PQnfields(r[0]), 2);
	for (int c = 0; c < PQnfields(r[0]); c++) {
		add(b, PQfname(r[0], c), strlen(PQfname(r[0], c)) + 1);
		add_number(b, PQftable(r[0], c), 4);
		add_number(b, PQftablecol(r[0], c), 2);
		add_number(b, PQftype(r[0], c), 4);
		add_number(b, PQfsize(r[0], c), 2);
		add_number(b, PQfmod(r[0], c), 4);
		add_number(b, format_of(m, c), 2);
	}
}

static void
add_mixed_row(struct bytes *b, const struct multi *m, PGresult *const *r, int row)
{
	add_number(b, PQnfields(r[0]), 2);
	for (int c = 0; c < PQnfields(r[0]); c++)
		add_field(b, r[format_of(m, c)], row, c);
}

/* The merger's row as a line; its columns as take_columns() has them. */
static void
take_message(struct rows *out, struct slice row)
{
	const char *p = row.ptr + 2;
	size_t n;
	FILE *f;

	out->v = realloc(out->v, (out->n + 1) * sizeof *out->v);
	f = open_memstream(&out->v[out->n++], &n);
	for (int c = 0; c < be16(row.ptr); c++) {
		int32_t len = (int32_t)be32(p);

		p += 4;
		fprintf(f, "%.*s|", len < 0 ? 4 : len, len < 0 ? "NULL" : p);
		p += len > 0 ? len : 0;
	}
	fclose(f);
}

static void
take_description(struct rows *out, struct slice d)
{
	const char *p = d.ptr + 2;
	size_t n;
	FILE *f = open_memstream(&out->columns, &n);

	for (int c = 0; c < be16(d.ptr); c++) {
		const char *name = p;

		p += strlen(p) + 1;
		fprintf(f, "%s:%u:%d ", name, be32(p + 6) < 16384 ? be32(p + 6) : 0,
		    (int32_t)be32(p + 12));
		p += 18;
	}
	fclose(f);
}

static bool
merged(const struct multi *m, struct rows *out)
{
	const struct multi_fragment *f = &m->fragments[0];
	PGresult *r[3][2] = {{NULL, NULL}, {NULL, NULL}, {NULL, NULL}};
	int at[3] = {0, 0, 0}, n = 0;
	struct merge *merge;
	struct bytes b = {NULL, 0, 0};
	struct merge_result next;
	struct slice client;
	struct err e = {.sqlstate = ""};
	enum merge_step step = MERGE_FEED;

	for (int i = 0; i < 3; i++) {
		if (!on_shard(f->shards, i))
			continue;
		for (int k = 0; k < 2; k++)
			if ((r[n][k] = ask(shards[i], f->query.sql, k)) == NULL)
				return false;
		n++;
	}
	merge = merge_create(&m->merge, n);
	describe(&b, m, r[0]);
	if (merge_columns(merge, (struct slice){b.v, b.n}, &client, &e) == RC_OK)
		take_description(out, client);
	else
		step = MERGE_FAILED;
	while (step != MERGE_DONE && step != MERGE_FAILED) {
		step = merge_next(merge, &next, &e);
		if (step == MERGE_ROW)
			take_message(out, next.row);
		if (step != MERGE_FEED)
			continue;
		if (at[next.input] == PQntuples(r[next.input][0])) {
			merge_end(merge, next.input);
			continue;
		}
		b.n = 0;
		add_mixed_row(&b, m, r[next.input], at[next.input]++);
		merge_feed(merge, next.input, (struct slice){b.v, b.n});
	}
	snprintf(why, sizeof why, "%s %s", e.sqlstate, e.msg);
	merge_destroy(merge);
	free(b.v);
	for (int i = 0; i < n; i++) {
		PQclear(r[i][0]);
		PQclear(r[i][1]);
	}
	return step == MERGE_DONE;
}

static bool
load(PGconn *c, const struct multi_fragment *f)
{
	struct bytes b = {NULL, 0, 0};
	PGresult *r = ask(c, f->create.sql, 0);
	bool good;

	if (r == NULL)
		return false;
	PQclear(r);
	add(&b, MULTI_COPY_HEADER, MULTI_COPY_HEADER_LEN);
	for (int i = 0; i < 3; i++) {
		if (!on_shard(f->shards, i))
			continue;
		r = ask(shards[i], f->query.sql, 1);
		if (r == NULL) {
			free(b.v);
			return false;
		}
		for (int k = 0; k < PQntuples(r); k++)
			add_row(&b, r, k);
		PQclear(r);
	}
	add(&b, MULTI_COPY_TRAILER, 2);
	r = ask(c, f->copy, 0);
	if (r == NULL) {
		free(b.v);
		return false;
	}
	PQclear(r);
	good = PQputCopyData(c, b.v, (int)b.n) == 1 && PQputCopyEnd(c, NULL) == 1;
	free(b.v);
	r = PQgetResult(c);
	good &= PQresultStatus(r) == PGRES_COMMAND_OK;
	if (!good)
		bad(r, f->copy);
	else
		PQclear(r);
	while ((r = PQgetResult(c)) != NULL)
		PQclear(r);
	return good;
}

static bool
intermediate(const struct multi *m, struct rows *out)
{
	PGresult *r = NULL;
	PGconn *c = NULL;
	bool good = true;

	for (int i = 0; i < 3 && c == NULL; i++)
		if (on_shard(m->final_shards, i))
			c = final[i];
	PQclear(PQexec(c, "BEGIN"));
	for (int i = 0; i < m->n_fragments && good; i++)
		good = load(c, &m->fragments[i]);
	if (good)
		r = ask(c, m->final.sql, 0);
	if (r != NULL) {
		take(out, r);
		PQclear(r);
	}
	PQclear(PQexec(c, "ROLLBACK"));
	return r != NULL;
}

/* ---- comparing ---- */

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
differ(struct rows *a, struct rows *b, char how)
{
	bool ordered = how == '=';

	if (strcmp(a->columns, b->columns) != 0) {
		snprintf(why, sizeof why, "columns %s, not %s", b->columns, a->columns);
		return true;
	}
	if (!ordered && a->n > 0 && b->n > 0) {
		qsort(a->v, a->n, sizeof *a->v, by_text);
		qsort(b->v, b->n, sizeof *b->v, by_text);
	}
	for (size_t i = 0; i < a->n && i < b->n && how != '#'; i++)
		if (strcmp(a->v[i], b->v[i]) != 0) {
			snprintf(
			    why, sizeof why, "row %zu: %s, not %s", i, b->v[i], a->v[i]);
			return true;
		}
	snprintf(why, sizeof why, "%zu rows, not %zu", b->n, a->n);
	return a->n != b->n;
}

/* ---- writes: in transactions that are undone, with the tables as they are after ---- */

static const struct {
	const char *name;
	bool reference;
} tables[] = {{"customers", false}, {"orders", false}, {"order_lines", false},
    {"events", false}, {"tenants", false}, {"seats", false}, {"countries", true},
    {"currencies", true}};

static void
everywhere(const char *sql)
{
	PQclear(PQexec(whole, sql));
	for (int i = 0; i < 3; i++)
		PQclear(PQexec(shards[i], sql));
}

static void
dump(struct rows *out, PGconn *c, bool sharded, bool reference)
{
	char sql[200];

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		PGresult *r;

		if (tables[i].reference ? !reference : !sharded)
			continue;
		snprintf(sql, sizeof sql, "SELECT '%s', x::text FROM %s x",
		    tables[i].name, tables[i].name);
		r = ask(c, slice_of(sql), 0);
		for (int k = 0; r != NULL && k < PQntuples(r); k++)
			take_row(out, r, k);
		PQclear(r);
	}
}

/* Each row stands on the shard of its key. */
static bool
at_home(void)
{
	static const char *const keys[][2] = {{"customers", "id"},
	    {"orders", "customer_id"}, {"order_lines", "customer_id"}};
	static const int first[] = {0, 6, 11, 16};
	char sql[200];

	for (int i = 0; i < 3; i++)
		for (int t = 0; t < 3; t++) {
			PGresult *r;
			bool stray;

			snprintf(sql, sizeof sql,
			    "SELECT count(*) FROM %s WHERE NOT (hashint8extended(%s, 0) & 15) "
			    "BETWEEN %d AND %d",
			    keys[t][0], keys[t][1], first[i], first[i + 1] - 1);
			r = ask(shards[i], slice_of(sql), 0);
			stray = r == NULL || strcmp(PQgetvalue(r, 0, 0), "0") != 0;
			PQclear(r);
			if (stray)
				return false;
		}
	return true;
}

static bool
write_all(const struct multi *m, struct rows *out, long *count)
{
	int input = 0;

	*count = 0;
	for (int i = 0; i < m->n_fragments; i++)
		for (int k = 0; k < 3; k++) {
			PGresult *r;
			long n;

			if (!on_shard(m->fragments[i].shards, k))
				continue;
			r = ask(shards[k], m->fragments[i].query.sql, 0);
			if (r == NULL)
				return false;
			n = atol(PQcmdTuples(r));
			if (m->same_count && input > 0 && n != *count)
				return snprintf(why, sizeof why, "counts differ") < 0;
			*count = m->same_count ? n : *count + n;
			if (out->columns == NULL)
				take_columns(out, r);
			for (int t = 0; t < PQntuples(r) && !(m->same_count && input > 0);
			     t++)
				take_row(out, r, t);
			PQclear(r);
			input++;
		}
	return true;
}

static void
run_write(const struct multi *m, const char *sql)
{
	struct rows want = {NULL, 0, NULL}, got = {NULL, 0, NULL};
	PGresult *r;
	long count, done;

	everywhere("BEGIN");
	r = ask(whole, slice_of(sql), 0);
	if (r == NULL) {
		printf("failed\n");
		everywhere("ROLLBACK");
		return;
	}
	take(&want, r);
	count = atol(PQcmdTuples(r));
	PQclear(r);
	dump(&want, whole, true, true);
	if (!write_all(m, &got, &done)) {
		printf("error %s\n", why);
	} else {
		for (int i = 0; i < 3; i++)
			dump(&got, shards[i], true, i == 0);
		if (!at_home())
			printf("wrong write: a row on a shard that is not its own\n");
		else if (count != done)
			printf("wrong write: count %ld, not %ld\n", done, count);
		else if (differ(&want, &got, ' '))
			printf("wrong write: %s\n", why);
		else
			printf("same write\n");
	}
	everywhere("ROLLBACK");
	rows_free(&want);
	rows_free(&got);
}

static void
run(const struct multi *m, const char *sql, char how)
{
	PGresult *r = ask(whole, slice_of(sql), 0);
	struct rows want = {NULL, 0, NULL}, got = {NULL, 0, NULL};

	if (r == NULL) {
		printf("failed\n");
		return;
	}
	take(&want, r);
	PQclear(r);
	if (!(m->kind == MULTI_INTERMEDIATE ? intermediate(m, &got) : merged(m, &got)))
		printf("error %s\n", why);
	else if (differ(&want, &got, how))
		printf("wrong %s: %s\n", multi_kind_name(m->kind), why);
	else
		printf("same %s\n", multi_kind_name(m->kind));
	rows_free(&want);
	rows_free(&got);
}

static void
statement(struct shape_cache *cache, struct plan_ctx *ctx, const char *sql)
{
	static const struct sql_env env = {ENC_UTF8, true};
	char how = *sql == '=' || *sql == '#' ? *sql++ : ' ';
	struct sql_consts consts;
	struct shape *s = shape_get(cache, slice_of(sql), &env, &consts);
	struct plan plan;
	struct multi m;
	struct err e = {.sqlstate = ""};

	ctx->consts = &consts;
	if (s->stmts == NULL || s->stmts->n != 1)
		printf("failed\n");
	else if (plan_run(s, 0, ctx, &plan, &e) == RC_OK)
		printf("one\n");
	else if (multi_plan(s, 0, ctx, &env, slice_of(sql), &m, &e) != RC_OK)
		printf("refused %s %s\n", e.sqlstate, e.msg);
	else if (m.kind == MULTI_WRITE)
		run_write(&m, sql);
	else
		run(&m, sql, how);
	fflush(stdout);
	arena_reset(ctx->arena);
}

int
main(int argc, char **argv)
{
	struct arena arena;
	struct schema *schema = fixture_schema();
	struct shape_cache *cache = shape_cache_create(1 << 24);
	struct plan_ctx ctx = {.schema = schema,
	    .search_path = "public",
	    .user = "joe",
	    .date_style = "ISO, MDY",
	    .time_zone = "UTC",
	    .client_encoding = "UTF8",
	    .server_encoding = "UTF8",
	    .arena = &arena};
	char *line = NULL, db[8];
	size_t cap = 0;
	ssize_t n;

	ctx.map = map = fixture_map("s1");
	if (argc != 2 || map == NULL || schema == NULL)
		return 1;
	whole = connect_to(argv[1], "whole");
	for (int i = 0; i < 3; i++) {
		snprintf(db, sizeof db, "s%d", i + 1);
		shards[i] = connect_to(argv[1], db);
		final[i] = connect_to(argv[1], db);
	}
	arena_init(&arena);
	while ((n = getline(&line, &cap, stdin)) > 0) {
		line[n - 1] = '\0';
		statement(cache, &ctx, line);
	}
	free(line);
	PQfinish(whole);
	for (int i = 0; i < 3; i++) {
		PQfinish(shards[i]);
		PQfinish(final[i]);
	}
	shape_cache_destroy(cache);
	schema_unref(schema);
	shard_map_destroy(map);
	return 0;
}
