/* The merger over any RowDescription and any DataRows: it never reads beyond what it is
 * fed, and comes to an end. Input: options, then messages of one byte of length each. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "router/plan/merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct merge_key keys[] = {
    {.column = 0, .bytes = true}, {.column = 1, .desc = true, .nulls_first = true}};
static const struct merge_out outs[] = {{MERGE_GROUP, 0, 0}, {MERGE_COUNT, 1, 1},
    {MERGE_SUM_NUMERIC, 2, 2}, {MERGE_AVG, 2, 1}, {MERGE_MIN, 0, 1}, {MERGE_MAX, 0, 2},
    {MERGE_OR, 3, 3}, {MERGE_SUM_INT, 1, 1}};

/* The next message, in memory of its own so that reading beyond it shows. */
static char *
next(const uint8_t **p, const uint8_t *end, size_t *n)
{
	char *copy;

	*n = *p < end ? *(*p)++ : 0;
	if (*n > (size_t)(end - *p))
		*n = (size_t)(end - *p);
	copy = malloc(*n + 1);
	if (copy == NULL)
		abort();
	memcpy(copy, *p, *n);
	*p += *n;
	return realloc(copy, *n == 0 ? 1 : *n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *p = data + 2, *end = data + size;
	struct merge_spec spec = {.limit = -1};
	struct merge_result r;
	struct slice client;
	struct err e;
	struct merge *m;
	char *fed[3] = {NULL, NULL, NULL}, *description;
	enum merge_step step = MERGE_FEED;
	int16_t formats[] = {1, 0};
	size_t n;

	if (size < 2)
		return 0;
	if ((data[0] & 1) != 0) {
		spec.keys = keys;
		spec.n_keys = 1 + (data[0] >> 1 & 1);
	}
	if ((data[0] & 4) != 0) {
		spec.outs = outs;
		spec.n_outs = data[1] & 7;
		spec.client_formats = formats;
		spec.n_client_formats = data[1] >> 3 & 1;
	}
	spec.n_distinct = (data[0] & 8) != 0 ? spec.n_keys : 0;
	spec.n_junk = data[0] >> 4 & 1;
	spec.limit = (data[0] & 32) != 0 ? data[1] >> 4 : -1;
	spec.offset = data[0] >> 6;
	m = merge_create(&spec, 3);
	description = next(&p, end, &n);
	if (merge_columns(m, (struct slice){description, n}, &client, &e) == RC_OK)
		while (step != MERGE_DONE && step != MERGE_FAILED) {
			step = merge_next(m, &r, &e);
			if (step != MERGE_FEED)
				continue;
			free(fed[r.input]);
			fed[r.input] = NULL;
			if (p == end) {
				merge_end(m, r.input);
				continue;
			}
			fed[r.input] = next(&p, end, &n);
			merge_feed(m, r.input, (struct slice){fed[r.input], n});
		}
	merge_destroy(m);
	for (int i = 0; i < 3; i++)
		free(fed[i]);
	free(description);
	return 0;
}
