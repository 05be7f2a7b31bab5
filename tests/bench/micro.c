/* What the pieces of the hot path cost, in instructions; tests/bench/run builds it, runs it
 * under callgrind and divides by ROUNDS. */
#include <stdio.h>
#include <stdlib.h>

#include "router/sql/lexer.h"
#include "tests/unit/router/plan/fixture.h"
#include "wire/reader.h"

#define ROUNDS   1000
#define NOINLINE __attribute__((noinline))

static const char sql[] = "SELECT * FROM orders WHERE customer_id = 5";
/* RowDescription of a column, DataRow, CommandComplete, ReadyForQuery */
static const char answer[] =
    "T\0\0\0\x21\0\1abalance\0\0\0\x40\1\0\4\0\0\0\x17\0\4\xff\xff\xff\xff\0\0"
    "D\0\0\0\x0b\0\1\0\0\0\1"
    "0"
    "C\0\0\0\x0d"
    "SELECT 1\0"
    "Z\0\0\0\5I";
static const struct sql_env env = {0, true};

int bench_lexer(void), bench_shape(struct shape_cache *, struct sql_consts *),
    bench_route(struct shape *, const struct plan_ctx *), bench_reader(struct reader *);

NOINLINE int
bench_lexer(void)
{
	struct lexer lex;
	struct token t;
	int n = 0;

	lexer_init(&lex, slice_of(sql), 0, true);
	while (lexer_next(&lex, &t) != TOK_END)
		n++;
	return n;
}

NOINLINE int
bench_shape(struct shape_cache *cache, struct sql_consts *consts)
{
	return (int)shape_get(cache, slice_of(sql), &env, consts)->n_consts;
}

NOINLINE int
bench_route(struct shape *shape, const struct plan_ctx *ctx)
{
	struct plan plan;
	struct err e;

	return plan_run(shape, 0, ctx, &plan, &e) == RC_OK ? plan.shard : -1;
}

NOINLINE int
bench_reader(struct reader *r)
{
	struct read_msg m;
	int n = 0;

	reader_feed(r, answer, sizeof answer - 1);
	while (reader_next(r, 1 << 20, &m) == READ_MSG)
		n++;
	return n;
}

int
main(void)
{
	struct shape_cache *cache = shape_cache_create(1 << 20);
	struct shard_map *map = fixture_map("s1");
	struct schema *schema = fixture_schema();
	struct sql_consts consts;
	struct arena arena;
	struct reader reader;
	struct plan_ctx ctx = {.map = map,
	    .schema = schema,
	    .search_path = "public",
	    .user = "joe",
	    .date_style = "ISO, MDY",
	    .time_zone = "UTC",
	    .client_encoding = "UTF8",
	    .server_encoding = "UTF8",
	    .consts = &consts,
	    .arena = &arena};
	struct shape *shape;
	int sum = 0;

	if (map == NULL || schema == NULL)
		return 1;
	arena_init(&arena);
	reader_init(&reader, NULL);
	shape = shape_get(cache, slice_of(sql), &env, &consts);
	if (bench_lexer() != 8 || bench_route(shape, &ctx) < 0 ||
	    bench_reader(&reader) != 4)
		return 1;
	for (int i = 1; i < ROUNDS; i++) {
		sum += bench_lexer() + bench_shape(cache, &consts) +
		    bench_route(shape, &ctx) + bench_reader(&reader);
		arena_reset(&arena);
	}
	return sum == 0;
}
