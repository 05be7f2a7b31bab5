/* Golden plans: tests/plan/NAME.sql holds statements, one each line or several lines up
 * to a semicolon at the end of a line; NAME.golden what the planner says of each.
 * GOLDEN_UPDATE=1 writes them anew: look at what changed before committing it. A line
 * that begins with a backslash is for the next statement only, but \map: \params 5, abc,
 * NULL     text parameters         \binary 0000000000000005, …   binary ones, in
 * hexadecimal \oids 20, 25             their declared types    \path app, public
 * search_path \temp orders             a temporary table       \noschema the catalog is
 * not known \encoding LATIN1         the client's            \unbound Parse without Bind
 *   \map plain | nodefault | shop
 * In files whose names begin with multi, what needs several shards gets a plan for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <ctype.h>
#include <dirent.h>
#include <cmocka.h>

#include "fixture.h"

#define PARAMS_MAX 32

struct bench {
	struct shard_map *shop, *nodefault, *plain;
	struct schema *schema;
	struct shape_cache *cache;
	FILE *out;
	/* for the next statement */
	const struct shard_map *map;
	struct plan_param params[PARAMS_MAX];
	char values[PARAMS_MAX][256];
	int n_params;
	uint32_t oids[PARAMS_MAX];
	int n_oids;
	char path[256], encoding[32];
	char temp[8][64];
	const char *temp_list[9];
	bool noschema, unbound;
	bool multi; /* what needs several shards is planned for them */
};

static void
reset(struct bench *b)
{
	b->n_params = b->n_oids = 0;
	strcpy(b->path, "\"$user\", public");
	strcpy(b->encoding, "UTF8");
	b->temp_list[0] = NULL;
	b->noschema = b->unbound = false;
}

/* Items of a list parted by commas, without the blanks around them. */
static int
split(char *list, char **items, int most)
{
	int n = 0;

	for (char *p = strtok(list, ","); p != NULL && n < most; p = strtok(NULL, ",")) {
		char *end;

		while (isspace((unsigned char)*p))
			p++;
		end = p + strlen(p);
		while (end > p && isspace((unsigned char)end[-1]))
			*--end = '\0';
		items[n++] = p;
	}
	return n;
}

static void
add_param(struct bench *b, const char *s, bool binary)
{
	struct plan_param *p = &b->params[b->n_params];
	char *v = b->values[b->n_params++];

	p->ptr = v;
	p->format = binary;
	p->len = -1;
	if (strcmp(s, "NULL") == 0)
		return;
	if (!binary) {
		/* a semicolon stands for a comma, which parts the list */
		snprintf(v, 256, "%s", s);
		for (char *c = v; *c != '\0'; c++)
			*c = *c == ';' ? ',' : *c;
		p->len = (int32_t)strlen(v);
		return;
	}
	for (p->len = 0; s[0] != '\0' && s[1] != '\0'; s += 2) {
		unsigned byte;

		sscanf(s, "%2x", &byte);
		v[p->len++] = (char)byte;
	}
}

static void
directive(struct bench *b, char *line)
{
	char *items[PARAMS_MAX];
	char *rest = strchr(line, ' ');
	int n;

	if (rest != NULL)
		*rest++ = '\0';
	else
		rest = line + strlen(line);
	if (strcmp(line, "\\path") == 0) {
		snprintf(b->path, sizeof b->path, "%s", rest);
		return;
	}
	n = split(rest, items, PARAMS_MAX);
	for (int i = 0; i < n; i++) {
		if (strcmp(line, "\\params") == 0 || strcmp(line, "\\binary") == 0)
			add_param(b, items[i], line[1] == 'b');
		else if (strcmp(line, "\\oids") == 0)
			b->oids[b->n_oids++] = (uint32_t)strtoul(items[i], NULL, 10);
		else if (strcmp(line, "\\temp") == 0) {
			snprintf(b->temp[i], sizeof b->temp[i], "%s", items[i]);
			b->temp_list[i] = b->temp[i];
			b->temp_list[i + 1] = NULL;
		} else if (strcmp(line, "\\encoding") == 0)
			snprintf(b->encoding, sizeof b->encoding, "%s", items[i]);
		else if (strcmp(line, "\\map") == 0)
			b->map = strcmp(items[i], "plain") == 0  ? b->plain
			    : strcmp(items[i], "nodefault") == 0 ? b->nodefault
								 : b->shop;
		else
			fail_msg("unknown directive %s", line);
	}
	b->noschema |= strcmp(line, "\\noschema") == 0;
	b->unbound |= strcmp(line, "\\unbound") == 0;
}

static void
print_refusal(struct bench *b, const struct err *e)
{
	fprintf(b->out, "  ! %s %s\n", e->sqlstate, e->msg);
	if (e->hint[0] != '\0')
		fprintf(b->out, "    %s\n", e->hint);
}

static void
print_multi(struct bench *b, struct shape *s, int i, const struct plan_ctx *ctx,
    const struct sql_env *env, const char *sql)
{
	struct multi m;
	struct err e = {.sqlstate = ""};
	struct slice text;
	char *line, *save;
	enum rc rc = multi_plan(s, i, ctx, env, slice_of(sql), &m, &e);

	if (rc == RC_ERR) {
		print_refusal(b, &e);
		return;
	}
	if (rc == RC_AGAIN) {
		fprintf(b->out, "  = look-up of key \"%.*s\"\n", (int)m.lookup.key.len,
		    m.lookup.key.ptr);
		return;
	}
	multi_describe(ctx, &m, ctx->arena, &text);
	for (line = strtok_r((char *)text.ptr, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "runs on: several shards: ", 25) == 0)
			fprintf(b->out, "  = %s\n", line + 25);
		else
			fprintf(b->out, "    %s\n", line);
}

static void
print_plan(struct bench *b, struct shape *s, int i, const struct plan_ctx *ctx,
    const struct sql_env *env, const char *sql)
{
	struct plan plan = {.kind = PLAN_ONE};
	struct err e = {.sqlstate = ""};
	struct slice text;
	char *line, *save;

	if (plan_run(s, i, ctx, &plan, &e) != RC_OK) {
		if (b->multi)
			print_multi(b, s, i, ctx, env, sql);
		else
			print_refusal(b, &e);
		return;
	}
	plan_describe(s, i, ctx, &plan, ctx->arena, &text);
	for (line = strtok_r((char *)text.ptr, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "runs on: ", 9) == 0)
			fprintf(b->out, "  = %s%s\n", line + 9,
			    plan.read_only ? "; replica" : "");
		else if (strncmp(line, "because: ", 9) == 0)
			fprintf(b->out, "    %s\n", line + 9);
	}
}

static void
statement(struct bench *b, const char *sql)
{
	struct sql_env env = {0, true};
	struct sql_consts consts;
	struct arena arena;
	struct shape *s;
	struct plan_ctx ctx = {.map = b->map,
	    .search_path = b->path,
	    .user = "joe",
	    .date_style = "ISO, MDY",
	    .time_zone = "UTC",
	    .client_encoding = b->encoding,
	    .server_encoding = "UTF8",
	    .consts = &consts,
	    .n_params = b->n_params,
	    .param_oids = b->oids,
	    .n_oids = b->n_oids,
	    .temp_tables = b->temp_list,
	    .arena = &arena};

	arena_init(&arena);
	ctx.schema = b->noschema ? NULL : b->schema;
	ctx.params = b->unbound ? NULL : b->params;
	s = shape_get(b->cache, slice_of(sql), &env, &consts);
	fprintf(b->out, "%s\n", sql);
	for (int i = 0; i < (s->stmts == NULL ? 1 : s->stmts->n); i++)
		print_plan(b, s, i, &ctx, &env, sql);
	arena_reset(&arena);
	reset(b);
}

static void
run_file(struct bench *b, const char *path)
{
	char *text = read_file(path), *line, *save, sql[65536] = "";
	size_t n = 0;

	assert_non_null(text);
	for (line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (line[0] == '\\') {
			fprintf(b->out, "%s\n", line);
			directive(b, line);
			continue;
		}
		if (strncmp(line, "---", 3) == 0) {
			fprintf(b->out, "\n%s\n", line);
			continue;
		}
		n += (size_t)snprintf(
		    sql + n, sizeof sql - n, "%s%s", n > 0 ? "\n" : "", line);
		if (n > 0 && sql[n - 1] == ';') {
			sql[n - 1] = '\0';
			statement(b, sql);
			n = 0;
			sql[0] = '\0';
		}
	}
	free(text);
}

static int
compare(const char *golden, const char *got, size_t len)
{
	char *want = read_file(golden);
	int differs = want == NULL || strlen(want) != len || memcmp(want, got, len) != 0;
	char got_path[420], command[1400];
	FILE *f;

	free(want);
	if (!differs)
		return 0;
	snprintf(got_path, sizeof got_path, "%s.got", golden);
	f = fopen(got_path, "w");
	assert_non_null(f);
	fwrite(got, 1, len, f);
	fclose(f);
	snprintf(command, sizeof command, "diff -u %s %s | head -60; rm -f %s", golden,
	    got_path, got_path);
	fflush(stdout);
	if (system(command) != 0)
		print_error("%s differs\n", golden);
	return 1;
}

static int
golden(struct bench *b, const char *name)
{
	char sql[400], path[400], *got = NULL;
	size_t len = 0;
	int bad = 0;
	FILE *f;

	snprintf(sql, sizeof sql, "tests/plan/%s.sql", name);
	snprintf(path, sizeof path, "tests/plan/%s.golden", name);
	b->out = open_memstream(&got, &len);
	b->map = b->shop;
	b->multi = strncmp(name, "multi", 5) == 0;
	reset(b);
	run_file(b, sql);
	fclose(b->out);
	if (getenv("GOLDEN_UPDATE") != NULL) {
		f = fopen(path, "w");
		assert_non_null(f);
		fwrite(got, 1, len, f);
		fclose(f);
	} else {
		bad = compare(path, got, len);
	}
	free(got);
	return bad;
}

static int
is_case(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 4 && strcmp(d->d_name + n - 4, ".sql") == 0 &&
	    strcmp(d->d_name, "schema.sql") != 0;
}

static void
test_golden(void **state)
{
	struct bench b = {.shop = fixture_map("s1"),
	    .nodefault = fixture_map(NULL),
	    .plain = plain_map(),
	    .schema = fixture_schema(),
	    .cache = shape_cache_create(1 << 24)};
	struct dirent **files;
	int n, bad = 0;

	(void)state;
	assert_true(
	    b.shop != NULL && b.nodefault != NULL && b.plain != NULL && b.schema != NULL);
	n = scandir("tests/plan", &files, is_case, alphasort);
	assert_true(n > 0);
	for (int i = 0; i < n; i++) {
		files[i]->d_name[strlen(files[i]->d_name) - 4] = '\0';
		bad += golden(&b, files[i]->d_name);
		free(files[i]);
	}
	free(files);
	shape_cache_destroy(b.cache);
	schema_unref(b.schema);
	shard_map_destroy(b.shop);
	shard_map_destroy(b.nodefault);
	shard_map_destroy(b.plain);
	assert_int_equal(bad, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
