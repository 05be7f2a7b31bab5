/* weir explain: where statements would run, by the same planner that serves, without running
 * them. What the planner must know besides the configuration is the schema: of a file that
 * pg_dump -s wrote, or of the default shard when it can be reached. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "router/commands.h"
#include "router/config/config.h"
#include "router/plan/multi.h"
#include "router/route/map.h"
#include "router/route/schema.h"
#include "router/session/schema_load.h"
#include "router/session/service.h"
#include "router/sql/encoding.h"

#define PARAMS_MAX   65535
#define FILE_MAX     ((size_t)1 << 30)
#define CACHE_MAX    ((size_t)64 << 20)
#define NO_PARAMETER "08P01" /* of the planner: a key is a parameter that was not given */

static const char help[] =
    "Usage: weir explain -c FILE -d DATABASE [OPTION ...] 'SQL'\n\n"
    "Prints for every statement of SQL where it would run, and why, or why it is refused. Nothing is\n"
    "run. SQL may be - for standard input. Each statement is looked at by itself: what a SET or a\n"
    "transaction before it would change is not considered.\n\n"
    "  -c, --config FILE       the configuration\n"
    "  -d, --database NAME     the database, by the name that clients use\n"
    "  -s, --schema FILE       its schema, as pg_dump -s writes it; without this the default shard is\n"
    "                          asked, and where that cannot be reached the schema is not known\n"
    "  -p, --param VALUE       value of $1, the next of $2, and so on, as text\n"
    "  -n, --null              the next parameter is NULL\n"
    "  -u, --user NAME         who is logged in, for \"$user\" in the search path\n"
    "      --search-path PATH  default: that of the server, or \"$user\", public\n"
    "      --json              print one JSON object\n"
    "  -h, --help              this text\n\n"
    "Exit status: 0 every statement has a plan, 1 one is refused or something failed, 2 wrong usage.\n";

struct args {
	const char *config, *database, *schema, *user, *search_path, *sql;
	bool json;
	struct plan_param *params;
	int n_params;
};

struct explain {
	struct args args;
	struct config *config;
	struct snapshot *snap;
	struct cluster *cluster;
	const struct db_conf *db;
	struct schema *schema;
	char schema_note[1000]; /* where the schema is from, or why it is not known */
	char *server_encoding, *date_style, *time_zone,
	    *search_path; /* NULL: the default */
	char *text;       /* SQL of standard input */
	struct shape_cache *cache;
	struct arena arena;
	struct slice sql;
	json_t *json; /* the array of statements; NULL without --json */
	int n_refused;
};

/* ---- arguments ---- */

static bool
add_param(struct args *a, const char *value)
{
	if (a->n_params == PARAMS_MAX || (value != NULL && strlen(value) > INT32_MAX)) {
		fprintf(stderr, "weir explain: too many parameters, or too long\n");
		return false;
	}
	a->params = realloc(a->params, (size_t)(a->n_params + 1) * sizeof *a->params);
	if (a->params == NULL)
		abort();
	a->params[a->n_params++] = (struct plan_param){
	    .ptr = value, .len = value == NULL ? -1 : (int32_t)strlen(value)};
	return true;
}

static bool
read_option(struct args *a, int c)
{
	switch (c) {
	case 'c':
		a->config = optarg;
		return true;
	case 'd':
		a->database = optarg;
		return true;
	case 's':
		a->schema = optarg;
		return true;
	case 'u':
		a->user = optarg;
		return true;
	case 'P':
		a->search_path = optarg;
		return true;
	case 'j':
		a->json = true;
		return true;
	case 'p':
		return add_param(a, optarg);
	case 'n':
		return add_param(a, NULL);
	default:
		return false;
	}
}

static bool
read_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	    {"database", required_argument, NULL, 'd'},
	    {"schema", required_argument, NULL, 's'},
	    {"param", required_argument, NULL, 'p'}, {"null", no_argument, NULL, 'n'},
	    {"user", required_argument, NULL, 'u'},
	    {"search-path", required_argument, NULL, 'P'},
	    {"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:d:s:p:nu:", options, NULL)) != -1)
		if (!read_option(a, c))
			return false;
	if (optind != argc - 1 || a->config == NULL || a->database == NULL)
		return false;
	a->sql = argv[optind];
	return true;
}

/* Whole; heap, zero-terminated. NULL: said why. */
static char *
read_all(FILE *f, const char *name, size_t *len)
{
	char *buf = NULL;
	size_t cap = 0;

	*len = 0;
	do {
		if (cap - *len < 2) {
			cap = cap == 0 ? 65536 : cap * 2;
			buf = cap > FILE_MAX ? NULL : realloc(buf, cap);
			if (buf == NULL) {
				fprintf(stderr, "weir explain: %s is too large\n", name);
				return NULL;
			}
		}
		*len += fread(buf + *len, 1, cap - *len - 1, f);
	} while (!feof(f) && !ferror(f));
	if (ferror(f)) {
		fprintf(stderr, "weir explain: cannot read %s\n", name);
		free(buf);
		return NULL;
	}
	buf[*len] = '\0';
	return buf;
}

/* ---- what the planner must know ---- */

static bool
load_config(struct explain *x)
{
	struct config_report report;
	struct err e;
	enum rc rc;

	config_report_init(&report);
	rc = config_load(x->args.config, &x->config, &report, &e);
	config_report_print(&report, stderr);
	if (rc != RC_OK && report.n == 0)
		fprintf(stderr, "weir explain: %s\n", e.msg);
	config_report_fini(&report);
	if (rc != RC_OK)
		return false;
	x->db = config_database(x->config, slice_of(x->args.database));
	if (x->db != NULL)
		return true;
	fprintf(stderr,
	    "weir explain: no database \"%s\" in %s; there are:", x->args.database,
	    x->args.config);
	for (int i = 0; i < x->config->n_databases; i++)
		fprintf(stderr, " %s", x->config->databases[i].name);
	fputc('\n', stderr);
	return false;
}

static bool
schema_of_file(struct explain *x)
{
	FILE *f = fopen(x->args.schema, "r");
	struct err e;
	size_t len;
	char *text;
	enum rc rc;

	if (f == NULL) {
		fprintf(stderr, "weir explain: cannot open %s: %m\n", x->args.schema);
		return false;
	}
	text = read_all(f, x->args.schema, &len);
	fclose(f);
	if (text == NULL)
		return false;
	rc = schema_from_sql((struct slice){text, len}, &x->schema, &e);
	free(text);
	if (rc != RC_OK) {
		fprintf(stderr, "weir explain: %s: %s\n", x->args.schema, e.msg);
		return false;
	}
	snprintf(
	    x->schema_note, sizeof x->schema_note, "of the file %.900s", x->args.schema);
	return true;
}

static char *
reported(PGconn *conn, const char *name)
{
	const char *value = PQparameterStatus(conn, name);

	return value == NULL ? NULL : strdup(value);
}

static char *
server_search_path(PGconn *conn)
{
	PGresult *r = PQexec(conn, "SHOW search_path");
	char *path = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1
	    ? strdup(PQgetvalue(r, 0, 0))
	    : NULL;

	PQclear(r);
	return path;
}

/* Whether it can be had or not, the planner says what it can prove. */
static void
schema_of_server(struct explain *x)
{
	int shard = x->db->default_shard < 0 ? 0 : x->db->default_shard;
	const char *name = x->db->shards[shard].name;
	struct err e = {.msg = ""};
	struct service *service;

	x->snap = snapshot_create(x->config, NULL);
	x->cluster = snapshot_cluster(x->snap, slice_of(x->args.database));
	service =
	    x->cluster == NULL ? NULL : service_connect(x->cluster, shard, NULL, &e);
	if (service != NULL) {
		PGconn *conn = service->conn;

		x->server_encoding = reported(conn, "server_encoding");
		x->date_style = reported(conn, "DateStyle");
		x->time_zone = reported(conn, "TimeZone");
		x->search_path = server_search_path(conn);
		x->schema = schema_load(conn, &e);
		service_release(service);
	}
	if (x->schema != NULL)
		snprintf(x->schema_note, sizeof x->schema_note, "of shard %.100s", name);
	else
		snprintf(x->schema_note, sizeof x->schema_note,
		    "not known (shard %.100s: %s): nothing is known of views, of functions that are not built in, and of "
		    "columns; --schema FILE gives it",
		    name, e.msg);
}

/* ---- printing ---- */

static void
json_set(json_t *o, const char *name, json_t *value)
{
	if (json_object_set_new(o, name, value) != 0)
		abort();
}

/* What is not UTF-8 is shown by its place only. */
static json_t *
json_text(const char *ptr, size_t len)
{
	json_t *s = json_stringn(ptr, len);

	return s != NULL ? s : json_string("(not UTF-8)");
}

static void
print_refusal(struct explain *x, const char *kind, const struct err *e)
{
	json_t *o;

	x->n_refused++;
	if (x->json == NULL) {
		printf("statement: %s\nrefused: %s: %s\n", kind, e->sqlstate, e->msg);
		if (e->hint[0] != '\0')
			printf("hint: %s\n", e->hint);
		if (e->position > 0)
			printf("position: %d\n", e->position);
		return;
	}
	o = json_object();
	json_set(o, "statement", json_string(kind));
	json_set(o, "refused", json_true());
	json_set(o, "sqlstate", json_string(e->sqlstate));
	json_set(o, "message", json_text(e->msg, strlen(e->msg)));
	json_set(o, "hint",
	    e->hint[0] == '\0' ? json_null() : json_text(e->hint, strlen(e->hint)));
	json_set(
	    o, "position", e->position > 0 ? json_integer(e->position) : json_null());
	if (json_array_append_new(x->json, o) != 0)
		abort();
}

static json_t *
json_shards(const struct explain *x, const struct plan *p)
{
	json_t *a = json_array();

	for (int i = 0; i < x->db->n_shards; i++) {
		bool in = p->kind == PLAN_ALL || p->kind == PLAN_MULTI
		    ? (p->shards[i / 64] >> (i % 64) & 1) != 0
		    : p->kind != PLAN_LOOKUP && i == p->shard;

		if (in &&
		    json_array_append_new(a, json_string(x->db->shards[i].name)) != 0)
			abort();
	}
	return a;
}

static void
print_plan(struct explain *x, const char *kind, const struct plan *p, struct slice text,
    const char *note)
{
	static const char *const kinds[] = {"one", "any", "all", "lookup", "several"};
	json_t *o;

	if (x->json == NULL) {
		printf("%.*s", (int)text.len, text.ptr);
		if (note != NULL)
			printf("note: %s\n", note);
		return;
	}
	o = json_object();
	json_set(o, "statement", json_string(kind));
	json_set(o, "refused", json_false());
	json_set(o, "plan", json_string(kinds[p->kind]));
	json_set(o, "shards", json_shards(x, p));
	json_set(o, "replica", json_boolean(p->read_only));
	json_set(o, "text", json_text(text.ptr, text.len));
	json_set(o, "note", note == NULL ? json_null() : json_string(note));
	if (json_array_append_new(x->json, o) != 0)
		abort();
}

/* ---- one statement after the other ---- */

static const struct sql_env env = {.encoding = ENC_UTF8, .standard_strings = true};

static const char *
or_default(const char *given, const char *otherwise)
{
	return given != NULL ? given : otherwise;
}

/* One shard cannot answer it: several may. */
static enum rc
explain_multi(struct explain *x, struct shape *shape, int i, struct plan_ctx *ctx,
    struct plan *plan, struct slice *text, struct err *e)
{
	struct multi m;
	struct slice body;
	enum rc rc = multi_plan(shape, i, ctx, &env, x->sql, &m, e);

	if (rc == RC_AGAIN) {
		plan->kind = PLAN_LOOKUP;
		plan->lookup.distribution = m.lookup.distribution;
		plan->lookup.key = m.lookup.key;
		plan_describe(shape, i, ctx, plan, &x->arena, text);
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc;
	plan->kind = PLAN_MULTI;
	memset(plan->shards, 0, sizeof plan->shards);
	for (int f = 0; f < m.n_fragments; f++)
		for (size_t k = 0; k < sizeof plan->shards / sizeof plan->shards[0]; k++)
			plan->shards[k] |= m.fragments[f].shards[k];
	multi_describe(ctx, &m, &x->arena, &body);
	*text = slice_of(arena_printf(&x->arena, "statement: %s\n%.*s",
	    stmt_kind_name(shape->stmts->v[i].kind), (int)body.len, body.ptr));
	return RC_OK;
}

static void
explain_one(struct explain *x, struct shape *shape, int i, struct plan_ctx *ctx)
{
	static const struct plan_param none[1];
	const char *kind =
	    shape->stmts == NULL ? "unreadable" : stmt_kind_name(shape->stmts->v[i].kind);
	const char *note = NULL;
	struct plan plan;
	struct slice text;
	struct err e;
	enum rc rc;

	ctx->params = x->args.n_params > 0 ? x->args.params : none;
	rc = plan_run(shape, i, ctx, &plan, &e);
	if (rc != RC_OK && x->args.n_params == 0 &&
	    strcmp(e.sqlstate, NO_PARAMETER) == 0) {
		note =
		    "this is the plan of its Parse; its parameters decide where it runs, and --param gives them";
		ctx->params = NULL;
		rc = plan_run(shape, i, ctx, &plan, &e);
	}
	if (rc == RC_OK)
		plan_describe(shape, i, ctx, &plan, &x->arena, &text);
	else if (shape->stmts != NULL && x->db->n_shards > 1 && ctx->params != NULL &&
	    strcmp(e.sqlstate, "0A000") == 0)
		rc = explain_multi(x, shape, i, ctx, &plan, &text, &e);
	if (rc != RC_OK) {
		print_refusal(x, kind, &e);
		return;
	}
	print_plan(x, kind, &plan, text, note);
}

static void
explain_text(struct explain *x, struct slice sql)
{
	struct sql_consts consts;
	struct shape *shape = shape_get(x->cache, sql, &env, &consts);
	struct plan_ctx ctx = {
	    .map = x->db->map,
	    .schema = x->schema,
	    .search_path = or_default(
		x->args.search_path, or_default(x->search_path, "\"$user\", public")),
	    .user = or_default(x->args.user, or_default(x->db->user, "")),
	    .date_style = or_default(x->date_style, "ISO, MDY"),
	    .time_zone = or_default(x->time_zone, "UTC"),
	    .client_encoding = "UTF8",
	    .server_encoding = or_default(x->server_encoding, "UTF8"),
	    .consts = &consts,
	    .n_params = x->args.n_params,
	    .arena = &x->arena,
	};
	int n = shape->stmts == NULL ? 1 : shape->stmts->n;

	x->sql = sql;
	for (int i = 0; i < n; i++) {
		if (i > 0 && x->json == NULL)
			putchar('\n');
		explain_one(x, shape, i, &ctx);
	}
}

static bool
prepare(struct explain *x, struct slice *sql)
{
	*sql = slice_of(x->args.sql);
	if (strcmp(x->args.sql, "-") == 0) {
		x->text = read_all(stdin, "standard input", &sql->len);
		sql->ptr = x->text;
	}
	if (sql->ptr == NULL || !load_config(x))
		return false;
	if (x->args.schema == NULL)
		schema_of_server(x);
	else if (!schema_of_file(x))
		return false;
	x->cache = shape_cache_create(CACHE_MAX);
	return true;
}

static void
run(struct explain *x, struct slice sql)
{
	json_t *top;

	if (!x->args.json) {
		printf("database: %s, schema %s\n\n", x->args.database, x->schema_note);
		explain_text(x, sql);
		return;
	}
	x->json = json_array();
	explain_text(x, sql);
	top = json_object();
	json_set(top, "database", json_text(x->args.database, strlen(x->args.database)));
	json_set(top, "schema", json_text(x->schema_note, strlen(x->schema_note)));
	json_set(top, "schema_known", json_boolean(x->schema != NULL));
	json_set(top, "statements", x->json);
	json_dumpf(top, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(top);
}

static void
clean_up(struct explain *x)
{
	if (x->cache != NULL)
		shape_cache_destroy(x->cache);
	if (x->schema != NULL)
		schema_unref(x->schema);
	cluster_unref(x->cluster);
	service_close_all();
	if (x->snap != NULL)
		snapshot_unref(x->snap);
	config_unref(x->config);
	arena_reset(&x->arena);
	free(x->server_encoding);
	free(x->date_style);
	free(x->time_zone);
	free(x->search_path);
	free(x->args.params);
	free(x->text);
}

int
command_explain(int argc, char **argv)
{
	struct explain x = {.args = {.config = NULL}};
	struct slice sql;
	int code = 1;

	if (command_help(argc, argv, help))
		return 0;
	if (!read_args(argc, argv, &x.args)) {
		fputs(help, stderr);
		free(x.args.params);
		return 2;
	}
	arena_init(&x.arena);
	if (prepare(&x, &sql)) {
		run(&x, sql);
		code = x.n_refused > 0 || fflush(stdout) != 0 ? 1 : 0;
	}
	clean_up(&x);
	return code;
}
