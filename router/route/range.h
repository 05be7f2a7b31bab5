/* router/route/range.h: the ranges of a distribution: sorted, disjoint, [lo, hi). Private
 * to router/route. Memory: the map's arena. */
#ifndef WEIR_ROUTER_ROUTE_RANGE_H
#define WEIR_ROUTER_ROUTE_RANGE_H

#include "router/route/key.h"

struct range {
	struct key lo, hi; /* only where bounded */
	bool has_lo, has_hi;
	int shard;
};

struct range_set {
	struct range *v;
	int n;
};

#endif
