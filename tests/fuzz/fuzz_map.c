/* libconfig text → map_load() → map; a map that is accepted is printed and routed
 * through. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "router/route/map_load.h"
#include "router/route/map_print.h"
#include "router/route/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 leaks its string buffer at a syntax error. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

static void
use(const struct shard_map *m, const char *text)
{
	struct arena a;
	struct key_env env;

	arena_init(&a);
	shard_map_print(m, 10, &a);
	key_env_init(&env, "ISO, MDY", "UTC", "LATIN1", "UTF8");
	for (int i = 0; i < m->n_distributions; i++) {
		const struct distribution *d = &m->distributions[i];
		struct key k[MAP_KEY_COLUMNS_MAX];
		struct err e;
		int shard = SHARD_NONE, n = 0;
		uint64_t bitmap[MAP_SHARD_WORDS] = {0};

		for (; n < d->n_types; n++)
			if (key_from_text(d->types[n],
				(struct slice){text, strnlen(text, 40)}, &env, &a, &k[n],
				&e) != RC_OK)
				break;
		if (n == d->n_types && shard_map_route(m, d, k, 1, &shard, &e) == RC_OK &&
		    shard >= m->n_shards)
			abort();
		if (n > 0)
			shard_map_range(m, d, &k[0], true, NULL, false, bitmap);
	}
	shard_map_table(m, "public", text);
	shard_map_function(m, NULL, text);
	arena_reset(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const shards[] = {"s1", "s2", "s3"};
	struct map_builder *b;
	struct shard_map *m;
	config_t c;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	/* No files: neither includes nor CSV. */
	if (strstr(text, "@include") != NULL || strstr(text, "entries_file") != NULL) {
		free(text);
		return 0;
	}
	config_init(&c);
	if (config_read_string(&c, text) == CONFIG_TRUE) {
		b = map_builder_create(shards, 3, "s1", 1);
		map_load(b, config_root_setting(&c));
		m = map_builder_finish(b, 1);
		for (int i = 0; map_builder_problem(b, i) != NULL; i++)
			;
		map_builder_destroy(b);
		if (m != NULL)
			use(m, text);
		shard_map_destroy(m);
	}
	config_destroy(&c);
	free(text);
	return 0;
}
