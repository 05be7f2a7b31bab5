/* router/sql/shape_scan.h: one pass over a text: the key of its shape, and the
 * constants that are not part of the key.
 * Thread:  any; a scan belongs to its caller, who reuses it.
 * Memory:  v grows to the largest text's constants; its slices point into the text.
 * Failure: never; a text that cannot be cut into tokens has `failed` and `err` set,
 *          and is keyed by its bytes. */
#ifndef WEIR_ROUTER_SQL_SHAPE_SCAN_H
#define WEIR_ROUTER_SQL_SHAPE_SCAN_H

#include "base/err.h"
#include "base/slice.h"
#include "router/sql/shape.h"
#include "router/sql/siphash.h"

struct shape_scan {
	struct sql_const *v;
	uint32_t n, cap;
	uint64_t hash[2];
	bool failed;
	struct err err; /* when failed */
};

void shape_scan_init(struct shape_scan *);
void shape_scan_fini(struct shape_scan *);
void shape_scan_text(struct shape_scan *, const struct sip_key *, struct slice text,
    const struct sql_env *);

#endif
