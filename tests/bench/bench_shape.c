/* What a cached shape costs: nanoseconds of a shape_get() that hits; under callgrind,
 * instructions.
 *   gcc -std=gnu11 -D_GNU_SOURCE -O2 -g -I. tests/bench/bench_shape.c router/sql/[a-z]*.c \
 *       base/arena.c base/err.c -o /tmp/bench_shape -lpg_query -lprotobuf-c -lxxhash -lm
 *   /tmp/bench_shape
 *   valgrind --tool=callgrind --toggle-collect=shape_get /tmp/bench_shape 100 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "router/sql/encoding.h"
#include "router/sql/shape.h"

static const char *const texts[] = {
    "BEGIN;",
    "SELECT abalance FROM pgbench_accounts WHERE aid = 1234567;",
    "UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 1234567;",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (12, 3, 1234567, "
    "-1234, CURRENT_TIMESTAMP);",
    "SELECT \"users\".* FROM \"users\" WHERE \"users\".\"email\" = 'someone@example.org' "
    "AND "
    "\"users\".\"deleted_at\" IS NULL ORDER BY \"users\".\"id\" ASC LIMIT 1 /*app:web*/",
    "select o.id, o.total, c.name from orders o join customers c on c.id = o.customer_id "
    "where o.customer_id = 42 and o.created_at > '2026-01-01' and o.state in "
    "('new','paid','sent') order by o.created_at desc limit 20 offset 40",
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int
main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1000000;
	struct shape_cache *c = shape_cache_create(1 << 20);
	struct sql_env env = {ENC_UTF8, true};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct slice text = slice_of(texts[i]);
		struct sql_consts consts;
		uint64_t start;

		shape_get(c, text, &env, &consts);
		start = now_ns();
		for (int r = 0; r < rounds; r++)
			shape_get(c, text, &env, &consts);
		printf("%4zu bytes %2u constants %5.0f ns  %.40s\n", text.len, consts.n,
		    (double)(now_ns() - start) / rounds, texts[i]);
	}
	shape_cache_destroy(c);
	return 0;
}
