/* For tests/plan/differential: one statement a line on standard input; "ONE shard", "ANY shard" or "NO sqlstate" on
 * standard output. Run from the top of the tree. */
#include "tests/unit/router/plan/fixture.h"

static void
print_plan(struct shape_cache *cache, struct plan_ctx *ctx, const char *sql)
{
	static const struct sql_env env = {0, true};
	struct sql_consts consts;
	struct shape *s = shape_get(cache, slice_of(sql), &env, &consts);
	struct plan plan;
	struct err e = {.sqlstate = "empty"};

	ctx->consts = &consts;
	if ((s->stmts != NULL && s->stmts->n != 1) ||
	    plan_run(s, 0, ctx, &plan, &e) != RC_OK)
		printf("NO %s\n", e.sqlstate);
	else if (plan.kind == PLAN_ONE || plan.kind == PLAN_ANY)
		printf("%s %d\n", plan.kind == PLAN_ONE ? "ONE" : "ANY", plan.shard);
	else
		printf("NO other\n");
	arena_reset(ctx->arena);
}

int
main(void)
{
	struct arena arena;
	struct shard_map *map = fixture_map("s1");
	struct schema *schema = fixture_schema();
	struct shape_cache *cache = shape_cache_create(1 << 24);
	struct plan_ctx ctx = {.map = map,
	    .schema = schema,
	    .search_path = "public",
	    .user = "joe",
	    .date_style = "ISO, MDY",
	    .time_zone = "UTC",
	    .client_encoding = "UTF8",
	    .server_encoding = "UTF8",
	    .arena = &arena};
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (map == NULL || schema == NULL)
		return 1;
	arena_init(&arena);
	while ((n = getline(&line, &cap, stdin)) > 0) {
		line[n - 1] = '\0';
		print_plan(cache, &ctx, line);
	}
	free(line);
	shape_cache_destroy(cache);
	schema_unref(schema);
	shard_map_destroy(map);
	return 0;
}
