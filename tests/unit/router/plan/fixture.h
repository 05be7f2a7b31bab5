/* The map and the schema that the planner's tests share. */
#ifndef WEIR_TESTS_PLAN_FIXTURE_H
#define WEIR_TESTS_PLAN_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "router/plan/multi.h"
#include "router/plan/plan.h"
#include "router/route/map_build.h"
#include "router/route/route.h"
#include "router/route/schema.h"

static inline char *
read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t cap = 0;

	if (f == NULL)
		return NULL;
	if (getdelim(&text, &cap, '\0', f) < 0 && text != NULL)
		text[0] = '\0';
	fclose(f);
	return text;
}

static inline int
hash_distribution(struct map_builder *b, const char *name, const char *types)
{
	int d = map_add_distribution(b, (struct map_loc){0}, name, DIST_HASH, types);

	map_set_buckets(b, (struct map_loc){0}, d, 16);
	map_add_placement(b, (struct map_loc){0}, d, "s1", "0-5");
	map_add_placement(b, (struct map_loc){0}, d, "s2", "6-10");
	map_add_placement(b, (struct map_loc){0}, d, "s3", "11-15");
	return d;
}

static inline void
table(struct map_builder *b, const char *name, const char *distribution, const char *key)
{
	const char *keys[] = {key};

	map_add_table(
	    b, (struct map_loc){0}, NULL, name, distribution, keys, key == NULL ? 0 : 1);
}

static inline void
distributions(struct map_builder *b)
{
	struct map_loc l = {0};
	int d;

	hash_distribution(b, "customer", "bigint");
	hash_distribution(b, "seat", "bigint, text");
	hash_distribution(b, "item", "uuid");
	hash_distribution(b, "amount", "numeric");
	hash_distribution(b, "stamp", "timestamp");
	hash_distribution(b, "code", "varchar");
	d = map_add_distribution(b, l, "day", DIST_RANGE, "date");
	map_add_range(b, l, d, NULL, "2026-01-01", "s1");
	map_add_range(b, l, d, "2026-01-01", "2027-01-01", "s2");
	map_add_range(b, l, d, "2027-01-01", NULL, "s3");
	d = map_add_distribution(b, l, "tenant", DIST_DIRECTORY, "text");
	map_add_entry(b, l, d, SLICE_LIT("acme"), SLICE_LIT("s2"));
	map_add_entry(b, l, d, SLICE_LIT("globex"), SLICE_LIT("s3"));
	map_add_entry(b, l, d, SLICE_LIT("it's"), SLICE_LIT("s3"));
	d = map_add_distribution(b, l, "visitor", DIST_DIRECTORY, "text");
	map_set_lookup(b, l, d, "SELECT shard FROM visitors_at WHERE visitor = $1");
	d = map_add_distribution(b, l, "only", DIST_HASH, "bigint");
	map_set_buckets(b, l, d, 4);
	map_add_placement(b, l, d, "s2", "0-3");
}

/* default_shard NULL: none. */
static inline struct shard_map *
fixture_map(const char *default_shard)
{
	static const char *const shards[] = {"s1", "s2", "s3"};
	static const char *const seat[] = {"venue", "row_name"};
	struct map_builder *b = map_builder_create(shards, 3, default_shard, 1);
	struct shard_map *m;
	struct map_loc l = {0};

	distributions(b);
	table(b, "customers", "customer", "id");
	table(b, "orders", "customer", "customer_id");
	table(b, "order_lines", "customer", "customer_id");
	table(b, "app.customers", "customer", "id");
	table(b, "parted", "customer", "customer_id");
	table(b, "mistyped", "customer", "id");
	table(b, "events", "day", "happened_on");
	table(b, "tenants", "tenant", "name");
	table(b, "notes", "tenant", "tenant");
	table(b, "visitors", "visitor", "visitor");
	map_add_table(b, l, NULL, "seats", "seat", seat, 2);
	table(b, "items", "item", "id");
	table(b, "amounts", "amount", "price");
	table(b, "stamps", "stamp", "at");
	table(b, "codes", "code", "code");
	table(b, "onlys", "only", "id");
	table(b, "countries", NULL, NULL);
	table(b, "currencies", NULL, NULL);
	map_add_function(b, l, NULL, "place_order", "customer", 1, false);
	map_add_function(b, l, NULL, "read_balance", "customer", 1, true);
	map_add_function(b, l, NULL, "pick_any", NULL, 0, true);
	map_add_function(b, l, NULL, "cleanup", "customer", 1, false);
	m = map_builder_finish(b, 1);
	for (int i = 0; m == NULL && map_builder_problem(b, i) != NULL; i++)
		fprintf(stderr, "map: %s\n", map_builder_problem(b, i)->text);
	map_builder_destroy(b);
	return m;
}

static inline struct shard_map *
plain_map(void)
{
	static const char *const shards[] = {"s1"};
	struct map_builder *b = map_builder_create(shards, 1, NULL, 1);
	struct shard_map *m = map_builder_finish(b, 1);

	map_builder_destroy(b);
	return m;
}

static inline struct schema *
fixture_schema(void)
{
	char *text = read_file("tests/plan/schema.sql");
	struct schema *s = NULL;
	struct err e;

	if (text != NULL && schema_from_sql(slice_of(text), &s, &e) != RC_OK)
		fprintf(stderr, "schema.sql: %s at %d\n", e.msg, e.position);
	free(text);
	return s;
}

#endif
