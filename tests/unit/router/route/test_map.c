/* The loader, the builder's checks, the map as text, and routing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "router/route/map_load.h"
#include "router/route/map_print.h"
#include "router/route/route.h"

static const char *const shard_names[] = {"s1", "s2", "s3"};
static struct arena arena;
static char folder[] = "/tmp/weir-map-XXXXXX";

/* ---- helpers ---- */

static const char *
write_file(const char *name, const char *text)
{
	const char *path = arena_printf(&arena, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

/* All problems, one a line: "LINE: text", "LINE: warning: text". */
static const char *
problems_of(const struct map_builder *b)
{
	const struct map_problem *p;
	const char *all = "";

	for (int i = 0; (p = map_builder_problem(b, i)) != NULL; i++)
		all = arena_printf(&arena, "%s%d: %s%s\n", all, p->loc.line,
		    p->warning ? "warning: " : "", p->text);
	return all;
}

static struct shard_map *
load(const char *text, const char **problems)
{
	struct map_builder *b = map_builder_create(shard_names, 3, "s1", 42);
	const char *path = write_file("test.map", text);
	struct shard_map *m;
	config_t c;

	config_init(&c);
	config_set_include_dir(&c, folder);
	if (config_read_file(&c, path) != CONFIG_TRUE)
		fail_msg("%s:%d: %s", path, config_error_line(&c), config_error_text(&c));
	map_load(b, config_root_setting(&c));
	config_destroy(&c);
	m = map_builder_finish(b, 7);
	*problems = problems_of(b);
	assert_int_equal(m == NULL, map_builder_mistakes(b) > 0);
	map_builder_destroy(b);
	return m;
}

static struct shard_map *
good(const char *text)
{
	const char *problems;
	struct shard_map *m = load(text, &problems);

	if (m == NULL || *problems != '\0')
		fail_msg("%s", problems);
	return m;
}

/* Exactly these problems. */
static void
bad(const char *text, const char *expected)
{
	const char *problems;
	struct shard_map *m = load(text, &problems);

	if (strcmp(problems, expected) != 0)
		fail_msg("found:\n%sexpected:\n%s", problems, expected);
	shard_map_destroy(m);
}

static int
route(const struct shard_map *m, int dist, const char *text)
{
	const struct distribution *d = &m->distributions[dist];
	struct key_env env;
	struct key k;
	struct err e;
	int shard = 99;

	key_env_init(&env, "ISO, MDY", "UTC", NULL, NULL);
	if (key_from_text(d->types[0], slice_of(text), &env, &arena, &k, &e) != RC_OK)
		fail_msg("%s", e.msg);
	return shard_map_route(m, d, &k, 1, &shard, &e) == RC_AGAIN ? 98 : shard;
}

static const char *
range_of(const struct shard_map *m, int dist, const char *lo, bool lo_in, const char *hi,
    bool hi_in)
{
	const struct distribution *d = &m->distributions[dist];
	uint64_t bitmap[MAP_SHARD_WORDS] = {0};
	struct key_env env;
	struct key l, h;
	struct err e;

	key_env_init(&env, "ISO, MDY", "UTC", NULL, NULL);
	if (lo != NULL)
		assert_int_equal(
		    key_from_text(d->types[0], slice_of(lo), &env, &arena, &l, &e),
		    RC_OK);
	if (hi != NULL)
		assert_int_equal(
		    key_from_text(d->types[0], slice_of(hi), &env, &arena, &h, &e),
		    RC_OK);
	shard_map_range(
	    m, d, lo == NULL ? NULL : &l, lo_in, hi == NULL ? NULL : &h, hi_in, bitmap);
	return arena_printf(&arena, "%s%s%s", bitmap[0] & 1 ? "1" : "",
	    bitmap[0] & 2 ? "2" : "", bitmap[0] & 4 ? "3" : "");
}

/* ---- a whole map ---- */

#define SHOP                                                                             \
	"distributions = (\n"                                                            \
	"  { name = \"customer\"; kind = \"hash\"; type = \"bigint\"; buckets = 1024;\n" \
	"    placement = ( { shard = \"s1\"; buckets = \"0-511\"; }, { shard = \"s2\"; " \
	"buckets = \"512-1023\"; } ); },\n"                                              \
	"  { name = \"day\"; kind = \"range\"; type = \"date\";\n"                       \
	"    ranges = ( { to = \"2026-01-01\"; shard = \"s1\"; }, { from = "             \
	"\"2026-01-01\"; shard = \"s2\"; } ); },\n"                                      \
	"  { name = \"tenant\"; kind = \"directory\"; type = \"text\"; default = "       \
	"\"s1\";\n"                                                                      \
	"    entries = ( { key = \"acme\"; shard = \"s2\"; } ); },\n"                    \
	"  { name = \"pair\"; kind = \"hash\"; type = (\"bigint\", \"text\"); buckets "  \
	"= 4;\n"                                                                         \
	"    placement = ( { shard = \"s3\"; buckets = \"0, 2 - 3\"; }, { shard = "      \
	"\"s1\"; buckets = 1; } ); },\n"                                                 \
	"  { name = \"asked\"; kind = \"directory\"; type = \"uuid\"; lookup = "         \
	"\"SELECT shard FROM t WHERE k = $1\";\n"                                        \
	"    lookup_cache_size = 10; lookup_cache_ttl = 60; } );\n"                      \
	"tables = (\n"                                                                   \
	"  { name = \"customers\"; distribution = \"customer\"; key = \"id\"; },\n"      \
	"  { name = \"orders\"; distribution = \"customer\"; key = \"customer_id\"; "    \
	"},\n"                                                                           \
	"  { name = \"orders\"; schema = \"old\"; distribution = \"customer\"; key = "   \
	"[\"c.id\"]; },\n"                                                               \
	"  { name = \"sales.events\"; distribution = \"day\"; key = \"happened_on\"; "   \
	"},\n"                                                                           \
	"  { name = \"pairs\"; distribution = \"pair\"; key = (\"a\", \"b\"); },\n"      \
	"  { name = \"tenants\"; distribution = \"tenant\"; key = \"name\"; },\n"        \
	"  { name = \"countries\"; reference = true; } );\n"                             \
	"functions = (\n"                                                                \
	"  { name = \"place_order\"; distribution = \"customer\"; argument = 1; },\n"    \
	"  { name = \"place_order\"; schema = \"old\"; distribution = \"day\"; "         \
	"argument = 2; read_only = true; },\n"                                           \
	"  { name = \"vat\"; reference = true; read_only = true; } );\n"

static void
whole_map(void **state)
{
	struct shard_map *m = good(SHOP);
	struct slice s = shard_map_print(m, 10, &arena);

	(void)state;
	assert_string_equal(s.ptr,
	    "shards: s1 (default) s2 s3\n"
	    "distribution customer: hash (bigint), 1024 buckets\n"
	    "  0-511 -> s1\n"
	    "  512-1023 -> s2\n"
	    "distribution day: range (date), 2 ranges\n"
	    "  (, 2026-01-01) -> s1\n"
	    "  [2026-01-01, ) -> s2\n"
	    "distribution tenant: directory (text), 1 entries, default s1\n"
	    "  acme -> s2\n"
	    "distribution pair: hash (bigint, text), 4 buckets\n"
	    "  0 -> s3\n"
	    "  1 -> s1\n"
	    "  2-3 -> s3\n"
	    "distribution asked: directory (uuid), 0 entries, lookup SELECT shard FROM t "
	    "WHERE k = $1\n"
	    "table public.countries: reference\n"
	    "table public.customers: customer (id)\n"
	    "table sales.events: day (happened_on)\n"
	    "table old.orders: customer (c.id)\n"
	    "table public.orders: customer (customer_id)\n"
	    "table public.pairs: pair (a, b)\n"
	    "table public.tenants: tenant (name)\n"
	    "function place_order(): customer by argument 1\n"
	    "function old.place_order(): day by argument 2, read only\n"
	    "function vat(): any shard, read only\n");
	assert_int_equal(m->epoch, 7);
	assert_int_equal(m->default_shard, 0);
	assert_false(shard_map_plain(m));
	shard_map_destroy(m);
}

static void
names(void **state)
{
	struct shard_map *m = good(SHOP);
	const struct map_table *t;

	(void)state;
	t = shard_map_table(m, "public", "orders");
	assert_string_equal(t->key[0], "customer_id");
	assert_int_equal(t->shards[0], 3);
	assert_string_equal(shard_map_table(m, "old", "orders")->key[0], "c.id");
	assert_string_equal(shard_map_table(m, "sales", "events")->schema, "sales");
	assert_null(shard_map_table(m, "sales", "orders"));
	assert_null(shard_map_table(m, "public", "zzz"));
	assert_null(shard_map_table(m, "public", ""));
	t = shard_map_table(m, "public", "countries");
	assert_true(t->reference && t->distribution == -1 && t->shards[0] == 7);
	assert_int_equal(shard_map_table(m, "public", "pairs")->n_key, 2);
	assert_int_equal(shard_map_function(m, "old", "place_order")->argument, 2);
	assert_int_equal(shard_map_function(m, "public", "place_order")->argument, 1);
	assert_int_equal(shard_map_function(m, NULL, "place_order")->argument, 1);
	assert_int_equal(shard_map_function(m, "x", "vat")->distribution, -1);
	assert_null(shard_map_function(m, NULL, "nothing"));
	assert_int_equal(shard_map_shard(m, "s3"), 2);
	assert_int_equal(shard_map_shard(m, "s4"), -1);
	shard_map_destroy(m);
}

static void
empty_map(void **state)
{
	struct shard_map *m = good("");

	(void)state;
	assert_null(shard_map_table(m, "public", "x"));
	assert_null(shard_map_function(m, "public", "x"));
	shard_map_destroy(m);
	m = good("distributions = (); tables = (); functions = ();");
	shard_map_destroy(m);
}

/* ---- routing ---- */

static void
route_hash(void **state)
{
	struct shard_map *m = good(SHOP);
	int count[3] = {0};

	(void)state;
	/* SELECT hashint8extended(42, 0) & 1023 */
	assert_int_equal(
	    route(m, 0, "1"), (int)(((uint64_t)-3670598878359251130LL & 1023) >= 512));
	for (int i = 0; i < 10000; i++)
		count[route(m, 0, arena_printf(&arena, "%d", i))]++;
	assert_int_equal(count[2], 0);
	assert_true(count[0] > 4800 && count[1] > 4800);
	shard_map_destroy(m);
}

static void
route_range(void **state)
{
	struct shard_map *m = good(SHOP), *g;

	(void)state;
	assert_int_equal(route(m, 1, "2025-12-31"), 0);
	assert_int_equal(route(m, 1, "2026-01-01"), 1);
	assert_int_equal(route(m, 1, "-infinity"), 0);
	assert_int_equal(route(m, 1, "infinity"), 1);
	assert_string_equal(range_of(m, 1, NULL, false, NULL, false), "12");
	assert_string_equal(range_of(m, 1, "2025-01-01", true, "2025-12-31", true), "1");
	assert_string_equal(range_of(m, 1, "2025-01-01", true, "2026-01-01", false), "1");
	assert_string_equal(range_of(m, 1, "2025-01-01", true, "2026-01-01", true), "12");
	assert_string_equal(range_of(m, 1, "2026-01-01", false, NULL, false), "2");
	assert_string_equal(range_of(m, 1, "2026-01-01", true, "2026-01-01", true), "2");
	assert_string_equal(range_of(m, 1, "2026-01-01", true, "2026-01-01", false), "");
	assert_string_equal(range_of(m, 1, "2026-01-02", true, "2026-01-01", true), "");
	/* Not a range distribution: all its shards. */
	assert_string_equal(range_of(m, 0, "1", true, "2", true), "12");
	shard_map_destroy(m);
	g = good("distributions = ( { name = \"r\"; kind = \"range\"; type = \"int\"; "
		 "allow_gaps = true; ranges = (\n"
		 "{ from = \"30\"; to = \"40\"; shard = \"s3\"; }, { from = -10; to = "
		 "10; shard = \"s1\"; },\n"
		 "{ from = \"10\"; to = 20L; shard = \"s2\"; } ); } );");
	assert_int_equal(route(g, 0, "-11"), SHARD_NONE);
	assert_int_equal(route(g, 0, "-10"), 0);
	assert_int_equal(route(g, 0, "9"), 0);
	assert_int_equal(route(g, 0, "10"), 1);
	assert_int_equal(route(g, 0, "20"), SHARD_NONE);
	assert_int_equal(route(g, 0, "29"), SHARD_NONE);
	assert_int_equal(route(g, 0, "39"), 2);
	assert_int_equal(route(g, 0, "40"), SHARD_NONE);
	assert_string_equal(range_of(g, 0, "20", true, "30", false), "");
	assert_string_equal(range_of(g, 0, "20", true, "30", true), "3");
	assert_string_equal(range_of(g, 0, "9", true, "11", true), "12");
	assert_string_equal(range_of(g, 0, NULL, true, "10", true), "12");
	assert_string_equal(range_of(g, 0, "40", true, NULL, true), "");
	shard_map_destroy(g);
}

static void
route_text_range(void **state)
{
	struct shard_map *m = good(
	    "distributions = ( { name = \"r\"; kind = \"range\"; type = \"text\"; ranges "
	    "= (\n"
	    "{ to = \"m\"; shard = \"s1\"; }, { from = \"m\"; shard = \"s2\"; } ); } );");

	(void)state;
	assert_int_equal(route(m, 0, ""), 0);
	assert_int_equal(route(m, 0, "lz"), 0);
	assert_int_equal(route(m, 0, "m"), 1);
	assert_int_equal(route(m, 0, "Z"), 0);
	assert_int_equal(route(m, 0, "é"), 1);
	shard_map_destroy(m);
}

static void
route_directory(void **state)
{
	struct shard_map *m = good(SHOP), *n;
	const struct distribution *d = &m->distributions[4];
	static const char uuid[] = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
	struct key k = {KEY_TEXT, .text = SLICE_LIT("nobody")};
	struct err e;

	(void)state;
	assert_int_equal(route(m, 2, "acme"), 1);
	assert_int_equal(route(m, 2, "acme "), 0);
	assert_int_equal(route(m, 2, ""), 0);
	/* By look-up. */
	assert_int_equal(route(m, 4, uuid), 98);
	assert_int_equal(shard_map_learn(m, d, SLICE_LIT(uuid), "s9", 5, &e), RC_ERR);
	assert_string_equal(e.sqlstate, "58000");
	assert_int_equal(shard_map_learn(m, d, SLICE_LIT("junk"), "s2", 5, &e), RC_ERR);
	assert_int_equal(shard_map_learn(m, d, SLICE_LIT(uuid), "s2", 5, &e), RC_OK);
	assert_int_equal(route(m, 4, uuid), 1);
	assert_int_equal(route(m, 4, "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}"), 1);
	shard_map_forget(m, d, SLICE_LIT(uuid));
	assert_int_equal(route(m, 4, uuid), 98);
	assert_int_equal(shard_map_learn(m, d, SLICE_LIT(uuid), NULL, 5, &e), RC_OK);
	assert_int_equal(route(m, 4, uuid), SHARD_NONE);
	shard_map_forget_all(m, d);
	assert_int_equal(route(m, 4, uuid), 98);
	assert_int_equal(
	    shard_map_learn(m, &m->distributions[2], SLICE_LIT("x"), "s1", 5, &e),
	    RC_ERR);
	shard_map_forget(m, &m->distributions[2], SLICE_LIT("x"));
	shard_map_forget_all(m, &m->distributions[2]);
	shard_map_destroy(m);
	n = good(
	    "distributions = ( { name = \"t\"; kind = \"directory\"; type = \"text\";\n"
	    "entries = ( { key = \"a\"; shard = \"s1\"; } ); } );");
	assert_int_equal(route(n, 0, "nobody"), SHARD_NONE);
	assert_int_equal(route_no_shard(n, &n->distributions[0], &k, &e), RC_ERR);
	assert_string_equal(e.sqlstate, "23514");
	assert_non_null(strstr(e.msg, "nobody"));
	k.type = KEY_INT8;
	assert_int_equal(
	    shard_map_route(n, &n->distributions[0], &k, 0, &(int){0}, &e), RC_ERR);
	shard_map_destroy(n);
}

/* ---- mistakes ---- */

static void
mistakes_in_hash(void **state)
{
	(void)state;
	bad("distributions = (\n"
	    "{ name = \"a\"; kind = \"hash\"; type = \"bigint\"; buckets = 1000; },\n"
	    "{ name = \"b\"; kind = \"hash\"; type = \"bigint\"; buckets = 16;\n"
	    "  placement = ( { shard = \"s1\"; buckets = \"0-5\"; },\n"
	    "    { shard = \"s2\"; buckets = \"4-7, 9, 14-20\"; },\n"
	    "    { shard = \"s22\"; buckets = \"11\"; } ); },\n"
	    "{ name = \"c\"; kind = \"hash\"; type = \"bigint\"; },\n"
	    "{ name = \"d\"; kind = \"hash\"; type = \"bigint\"; buckets = 2;\n"
	    "  placement = ( { shard = \"s1\"; buckets = \"0-\"; }, { shard = \"s1\"; "
	    "buckets = \"1-0\"; } ); },\n"
	    "{ name = \"a\"; kind = \"hash\"; type = \"bigint\"; buckets = 0; } );\n",
	    "2: buckets = 1000: a power of two from 1 to 1048576 is needed\n"
	    "6: unknown shard \"s22\"; did you mean \"s2\"?\n"
	    "9: buckets = \"0-\" cannot be read; like \"0-511, 600\"\n"
	    "9: buckets 1-0: the first is greater than the last\n"
	    "10: distribution \"a\" was already defined at line 2\n"
	    "10: buckets = 0: a power of two from 1 to 1048576 is needed\n"
	    "5: distribution \"b\": buckets 4-5 are placed twice: here and at line 4\n"
	    "5: distribution \"b\" has buckets 0-15; 14-20 goes beyond\n"
	    "3: distribution \"b\": buckets 8-8 have no shard\n"
	    "3: distribution \"b\": buckets 10-10 have no shard\n"
	    "3: distribution \"b\": buckets 12-15 have no shard\n"
	    "7: distribution \"c\" does not say how many buckets it has\n");
}

static void
mistakes_in_ranges(void **state)
{
	(void)state;
	bad("distributions = (\n"
	    "{ name = \"a\"; kind = \"range\"; type = \"date\"; ranges = (\n"
	    "  { to = \"2026-01-01\"; shard = \"s1\"; },\n"
	    "  { from = \"2025-12-31\"; to = \"2026-02-01\"; shard = \"s2\"; },\n"
	    "  { from = \"2026-03-01\"; shard = \"s3\"; },\n"
	    "  { from = \"2026-02-30\"; shard = \"s3\"; },\n"
	    "  { from = \"tomorrow\"; shard = \"s3\"; },\n"
	    "  { from = \"2026-01-01\"; to = \"2026-01-01\"; shard = \"s3\"; } ); },\n"
	    "{ name = \"b\"; kind = \"range\"; type = \"timestamptz\"; ranges = (\n"
	    "  { from = \"2026-01-01 00:00:00\"; shard = \"s1\"; } ); },\n"
	    "{ name = \"c\"; kind = \"range\"; type = \"int\"; ranges = ( { from = "
	    "\"1\"; shard = \"s1\"; }, { shard = \"s2\"; } ); },\n"
	    "{ name = \"d\"; kind = \"range\"; type = \"int\"; },\n"
	    "{ name = \"e\"; kind = \"range\"; type = \"bigint, text\"; ranges = ( ); } "
	    ");\n",
	    "6: from: date/time field value out of range: \"2026-02-30\"\n"
	    "7: from: the value of a date key cannot be proven from \"tomorrow\". Write "
	    "it in ISO 8601 form: 2026-01-31, or 2026-01-31 10:00:00+00.\n"
	    "8: the range from \"2026-01-01\" to \"2026-01-01\" is empty (`to` is not "
	    "part of it)\n"
	    "10: from: timestamp with time zone key without an offset, in a session "
	    "whose TimeZone is neither UTC nor a fixed "
	    "offset. Write the offset: 2026-01-31 10:00:00+01, or SET TimeZone TO "
	    "'UTC'.\n"
	    "13: several key columns: only a hash distribution can have them, \"e\" is a "
	    "range distribution\n"
	    "4: distribution \"a\": the range overlaps the one at line 3\n"
	    "11: distribution \"c\": the range overlaps the one at line 11\n"
	    "12: distribution \"d\" has no ranges\n"
	    "13: distribution \"e\" has no ranges\n");
	bad("distributions = ( { name = \"a\"; kind = \"range\"; type = \"int\"; ranges "
	    "= (\n"
	    "  { from = \"1\"; to = \"5\"; shard = \"s1\"; }, { from = \"7\"; to = "
	    "\"9\"; shard = \"s2\"; } ); } );\n",
	    "1: warning: distribution \"a\": no shard for keys up to 1 (allow_gaps = "
	    "true if that is meant)\n"
	    "1: warning: distribution \"a\": no shard for keys from 5 up to 7 "
	    "(allow_gaps = true if that is meant)\n"
	    "1: warning: distribution \"a\": no shard for keys from 9 (allow_gaps = true "
	    "if that is meant)\n");
	/* One range inside another, the farthest reaching counts. */
	bad("distributions = ( { name = \"a\"; kind = \"range\"; type = \"int\"; ranges "
	    "= (\n"
	    "  { to = \"100\"; shard = \"s1\"; },\n"
	    "  { from = \"5\"; to = \"9\"; shard = \"s2\"; },\n"
	    "  { from = \"50\"; shard = \"s2\"; } ); } );\n",
	    "3: distribution \"a\": the range overlaps the one at line 2\n"
	    "4: distribution \"a\": the range overlaps the one at line 2\n");
}

static void
mistakes_in_directories(void **state)
{
	(void)state;
	bad("distributions = (\n"
	    "{ name = \"a\"; kind = \"directory\"; type = \"bigint\"; default = \"x\"; "
	    "entries = (\n"
	    "  { key = \"1\"; shard = \"s1\"; },\n"
	    "  { key = \"01\"; shard = \"s2\"; },\n"
	    "  { key = \"one\"; shard = \"s2\"; },\n"
	    "  { key = 5000000000L; shard = \"s2\"; },\n"
	    "  { key = 7; shard = \"s4\"; },\n"
	    "  { key = 1.5; shard = \"s1\"; } ); },\n"
	    "{ name = \"b\"; kind = \"directory\"; type = \"text\"; lookup = \"SELECT "
	    "1\"; lookup_cache_size = -1; lookup_cache_ttl = \"5\"; },\n"
	    "{ name = \"c\"; kind = \"directory\"; type = \"text\"; lookup_cache_size = "
	    "5; },\n"
	    "{ name = \"d\"; kind = \"directory\"; type = \"text\"; entries_file = "
	    "\"none.csv\"; } );\n",
	    arena_printf(&arena,
		"2: unknown shard \"x\"\n"
		"5: key: invalid input syntax for type bigint: \"one\"\n"
		"7: unknown shard \"s4\"; did you mean \"s1\"?\n"
		"8: `key` must be a string in quotes\n"
		"9: the look-up query does not name its parameter $1, the key\n"
		"9: `lookup_cache_ttl` must be a whole number\n"
		"9: lookup_cache_size = -1: from 1 to 100000000 keys\n"
		"10: `lookup_cache_size` and `lookup_cache_ttl` need `lookup`\n"
		"11: cannot read %s/none.csv: No such file or directory\n"
		"4: distribution \"a\": this key stands twice, first at line 3\n",
		folder));
	bad("distributions = ( { name = \"a\"; kind = \"directory\"; type = \"text\"; } "
	    ");\n",
	    "1: directory \"a\" has no entries, no look-up query and no default\n");
}

static void
mistakes_in_shape(void **state)
{
	(void)state;
	bad("distributions = (\n"
	    "{ name = \"a\"; kind = \"hsah\"; type = \"bigin\"; buckets = 1; placment = "
	    "( ); placement = ( { shard = \"s1\"; buckets = 0; } ); },\n"
	    "{ kind = \"hash\"; buckets = \"1\"; ranges = ( ); },\n"
	    "7,\n"
	    "{ name = 5; type = \"char(5)\"; kind = \"directory\"; default = \"s1\"; "
	    "entries = { }; } );\n"
	    "tables = { };\n"
	    "functions = ( { name = \"f\"; reference = \"yes\"; }, { distribution = "
	    "\"a\"; argument = 1; }, { name = \"g\"; "
	    "distribution = \"b\"; argument = 0; } );\n",
	    "2: kind = \"hsah\"; there are hash, range and directory\n"
	    "2: unknown key type \"bigin\"; did you mean bigint?\n"
	    "2: unknown setting \"placment\" in a distribution; did you mean "
	    "\"placement\"?\n"
	    "3: a distribution needs `name`\n"
	    "3: a distribution needs `type`, the type of its key\n"
	    "3: unknown setting \"ranges\" in a distribution\n"
	    "3: `buckets` must be a whole number\n"
	    "4: `distributions`: a group { … } is needed for each distribution\n"
	    "5: `name` must be a string in quotes\n"
	    "5: distribution \"?\" was already defined at line 3\n"
	    "5: key type \"char(5)\": its equality is not that of its bytes; use text\n"
	    "5: `entries` must be a list of groups: ( { … }, { … } )\n"
	    "6: `tables` must be a list of groups: ( { … }, { … } )\n"
	    "7: `reference` must be true or false\n"
	    "7: a function needs `distribution`, or `reference = true`\n"
	    "7: a function needs `name`\n"
	    "7: function \"g\": argument = 0; the position of the key among its "
	    "arguments is needed, counted from 1\n"
	    "3: distribution \"?\" does not say how many buckets it has\n"
	    "7: function \"g\": unknown distribution \"b\"; did you mean \"a\"?\n");
}

static void
mistakes_in_tables(void **state)
{
	(void)state;
	bad("distributions = ( { name = \"c\"; kind = \"hash\"; type = \"bigint\"; "
	    "buckets = 1; placement = ( { shard = \"s1\"; buckets = \"0\"; } ); },\n"
	    "{ name = \"pair\"; kind = \"hash\"; type = \"bigint, text\"; buckets = 1; "
	    "placement = ( { shard = \"s1\"; buckets = \"0\"; } ); } );\n"
	    "tables = (\n"
	    "{ name = \"t\"; distribution = \"c\"; key = \"id\"; },\n"
	    "{ name = \"public.t\"; distribution = \"c\"; key = \"id\"; },\n"
	    "{ name = \"u\"; distribution = \"customer\"; key = \"id\"; },\n"
	    "{ name = \"v\"; distribution = \"c\"; },\n"
	    "{ name = \"w\"; distribution = \"pair\"; key = \"id\"; },\n"
	    "{ name = \"x\"; distribution = \"pair\"; key = (\"a\", \"a\"); },\n"
	    "{ name = \"y\"; distribution = \"c\"; reference = true; },\n"
	    "{ name = \"z\"; },\n"
	    "{ name = \"r\"; reference = true; key = \"id\"; },\n"
	    "{ name = \"\"; reference = true; },\n"
	    "{ name = \"k\"; distribution = \"c\"; key = (1); },\n"
	    "{ name = \"l\"; distribution = \"c\"; key = \"\"; } );\n"
	    "functions = ( { name = \"f\"; distribution = \"pair\"; argument = 1; }, { "
	    "name = \"f\"; reference = true; } );\n",
	    "9: key column \"a\" of table \"x\" is named twice\n"
	    "10: a table has either `distribution` or `reference = true`, not both\n"
	    "11: a table needs `distribution`, or `reference = true`\n"
	    "13: table without a name\n"
	    "14: `key` must be a list of strings in quotes\n"
	    "15: key column without a name\n"
	    "6: table \"u\": unknown distribution \"customer\"\n"
	    "7: table \"v\" does not name its key column\n"
	    "8: table \"w\" names 1 key column; distribution \"pair\" has 2 types\n"
	    "12: reference table \"r\" has a key; it stands on every shard\n"
	    "16: function \"f\": distribution \"pair\" has several key columns, and one "
	    "argument cannot name them\n"
	    "5: table \"public.t\" was already defined at line 4\n"
	    "16: function \"f\" was already defined at line 16\n");
}

/* libconfig makes 705032704 of 5000000000. */
static void
wrapped_integers(void **state)
{
	(void)state;
	bad("# 5000000000 in a comment, // 5000000000\n"
	    "/* 5000000000\n"
	    " */ name = \"5000000000 \\\" 5000000000\";\n"
	    "distributions = ( { name = \"a\"; kind = \"directory\"; type = \"bigint\"; "
	    "default = \"s1\"; entries = (\n"
	    "  { key = 2147483647; shard = \"s1\"; },\n"
	    "  { key = 5000000000; shard = \"s2\"; },\n"
	    "  { key = -5000000000; shard = \"s2\"; },\n"
	    "  { key = 0x1FFFFFFFF; shard = \"s2\"; } ); } );\n",
	    "6: the integer 5000000000 is too large; write it in quotes\n"
	    "7: the integer -5000000000 is too large; write it in quotes\n"
	    "8: the integer 0x1FFFFFFFF is too large; write it in quotes\n");
}

static void
many_mistakes(void **state)
{
	struct map_builder *b = map_builder_create(shard_names, 3, "s9", 1);
	const struct map_problem *last = NULL, *p;
	int n = 0;

	(void)state;
	for (int i = 0; i < 5000; i++)
		map_mistake(b, (struct map_loc){"x", i}, "mistake %d", i);
	assert_null(map_builder_finish(b, 1));
	for (; (p = map_builder_problem(b, n)) != NULL; n++)
		last = p;
	assert_int_equal(n, 1000);
	assert_string_equal(last->text, "… and 4002 more");
	assert_int_equal(map_builder_mistakes(b), 5001);
	assert_string_equal(map_builder_problem(b, 0)->text,
	    "unknown shard \"s9\"; did you mean \"s1\"?");
	map_builder_destroy(b);
	b = map_builder_create(NULL, 0, NULL, 1);
	assert_null(map_builder_finish(b, 1));
	map_builder_destroy(b);
	map_builder_destroy(
	    map_builder_create((const char *const[]){"a", "a"}, 2, NULL, 1));
}

/* A builder that is thrown away without finish. */
static void
abandoned(void **state)
{
	struct map_builder *b = map_builder_create(shard_names, 3, NULL, 1);
	int d = map_add_distribution(b, (struct map_loc){0}, "d", DIST_DIRECTORY, "text");

	(void)state;
	map_add_entry(b, (struct map_loc){0}, d, SLICE_LIT("k"), SLICE_LIT("s1"));
	d = map_add_distribution(b, (struct map_loc){0}, "r", DIST_RANGE, "text");
	map_add_range(b, (struct map_loc){0}, d, "a", "b", "s1");
	map_builder_destroy(b);
	map_builder_destroy(NULL);
	shard_map_destroy(NULL);
}

/* ---- CSV ---- */

#define CSV_MAP                                                                     \
	"distributions = ( { name = \"t\"; kind = \"directory\"; type = \"text\"; " \
	"entries_file = \"t.csv\"; } );\n"

static void
csv(void **state)
{
	struct shard_map *m;
	struct slice s;

	(void)state;
	write_file("t.csv",
	    "\xEF\xBB\xBFplain,s1\r\n\"quoted, "
	    "\"\"one\"\"\",s2\n\n\"two\nlines\",\"s3\"\n,s1\nlast,s3");
	m = good(CSV_MAP);
	assert_int_equal(route(m, 0, "plain"), 0);
	assert_int_equal(route(m, 0, "quoted, \"one\""), 1);
	assert_int_equal(route(m, 0, "two\nlines"), 2);
	assert_int_equal(route(m, 0, ""), 0);
	assert_int_equal(route(m, 0, "last"), 2);
	assert_int_equal(route(m, 0, "other"), SHARD_NONE);
	s = shard_map_print(m, 2, &arena);
	assert_string_equal(s.ptr,
	    "shards: s1 (default) s2 s3\n"
	    "distribution t: directory (text), 5 entries\n"
	    "  plain -> s1\n"
	    "  quoted, \"one\" -> s2\n"
	    "  ...\n");
	shard_map_destroy(m);
}

static void
csv_mistakes(void **state)
{
	(void)state;
	write_file(
	    "t.csv", "a,s1\nb\nc,s1,x\n\"d\"e,s1\n\"two\nlines\",s9\na,s2\n\"open,s1\n");
	bad(CSV_MAP,
	    "2: 1 field in this record; \"key,shard\" is needed\n"
	    "3: 3 fields in this record; \"key,shard\" is needed\n"
	    "4: text behind a closing quote\n"
	    "5: unknown shard \"s9\"; did you mean \"s1\"?\n"
	    "8: the quote is not closed\n"
	    "7: distribution \"t\": this key stands twice, first at line 1\n");
	bad("distributions = ( { name = \"t\"; kind = \"directory\"; type = \"text\"; "
	    "entries_file = \"/tmp\"; } );\n",
	    "1: /tmp is not a file\n");
}

static void
included(void **state)
{
	const char *problems;
	struct shard_map *m;

	(void)state;
	write_file("inner.map",
	    "tables = (\n { name = \"t\"; distribution = \"nope\"; key = \"id\"; } );\n");
	m = load("distributions = ( );\n@include \"inner.map\"\n", &problems);
	assert_null(m);
	assert_string_equal(problems, "2: table \"t\": unknown distribution \"nope\"\n");
}

static int
setup(void **state)
{
	(void)state;
	arena_init(&arena);
	return mkdtemp(folder) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	if (strncmp(folder, "/tmp/weir-map-", 14) == 0) {
		static const char *const files[] = {"test.map", "t.csv", "inner.map"};

		for (int i = 0; i < 3; i++)
			unlink(arena_printf(&arena, "%s/%s", folder, files[i]));
		rmdir(folder);
	}
	arena_reset(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(whole_map),
	    cmocka_unit_test(names),
	    cmocka_unit_test(empty_map),
	    cmocka_unit_test(route_hash),
	    cmocka_unit_test(route_range),
	    cmocka_unit_test(route_text_range),
	    cmocka_unit_test(route_directory),
	    cmocka_unit_test(mistakes_in_hash),
	    cmocka_unit_test(mistakes_in_ranges),
	    cmocka_unit_test(mistakes_in_directories),
	    cmocka_unit_test(mistakes_in_shape),
	    cmocka_unit_test(mistakes_in_tables),
	    cmocka_unit_test(wrapped_integers),
	    cmocka_unit_test(many_mistakes),
	    cmocka_unit_test(abandoned),
	    cmocka_unit_test(csv),
	    cmocka_unit_test(csv_mistakes),
	    cmocka_unit_test(included),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
