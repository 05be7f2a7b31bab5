/* The finished map: look-ups by name. Tables and functions are sorted by name, then
 * schema. */
#include "router/route/map.h"

#include <stdlib.h>

#include "router/route/directory.h"

/* The first row of a sorted array whose name is not less. */
#define LOWER_BOUND(first, array, count, wanted)                    \
	do {                                                        \
		int lo_ = 0, hi_ = (count);                         \
		while (lo_ < hi_) {                                 \
			int mid_ = lo_ + (hi_ - lo_) / 2;           \
			if (strcmp((array)[mid_].name, wanted) < 0) \
				lo_ = mid_ + 1;                     \
			else                                        \
				hi_ = mid_;                         \
		}                                                   \
		(first) = lo_;                                      \
	} while (0)

const struct map_table *
shard_map_table(const struct shard_map *m, const char *schema, const char *name)
{
	int i;

	LOWER_BOUND(i, m->tables, m->n_tables, name);
	for (; i < m->n_tables && strcmp(m->tables[i].name, name) == 0; i++)
		if (strcmp(m->tables[i].schema, schema) == 0)
			return &m->tables[i];
	return NULL;
}

/* A row without a schema holds for any; one with the schema asked for goes before it.
 * Asked without a schema: the first of that name. */
const struct map_function *
shard_map_function(const struct shard_map *m, const char *schema, const char *name)
{
	const struct map_function *any = NULL;
	int i;

	LOWER_BOUND(i, m->functions, m->n_functions, name);
	for (; i < m->n_functions && strcmp(m->functions[i].name, name) == 0; i++) {
		const struct map_function *f = &m->functions[i];

		if (schema != NULL && f->schema != NULL && strcmp(f->schema, schema) == 0)
			return f;
		if (any == NULL && (schema == NULL || f->schema == NULL))
			any = f;
	}
	return any;
}

int
shard_map_shard(const struct shard_map *m, const char *name)
{
	for (int i = 0; i < m->n_shards; i++)
		if (strcmp(m->shards[i], name) == 0)
			return i;
	return -1;
}

void
shard_map_destroy(struct shard_map *m)
{
	struct arena arena;

	if (m == NULL)
		return;
	for (int i = 0; i < m->n_distributions; i++)
		directory_destroy(m->distributions[i].directory);
	/* The map stands in its own arena. */
	arena = m->arena;
	arena_reset(&arena);
}
