/* router/plan/merge_int.h: values as the merger reads, compares and adds them.
 * merge.c           inputs, order, groups
 * merge_value.c     comparisons, for each type in both formats
 * merge_number.c    numeric: PostgreSQL's sums and quotients, digit for digit */
#ifndef WEIR_ROUTER_PLAN_MERGE_INT_H
#define WEIR_ROUTER_PLAN_MERGE_INT_H

#include "router/plan/merge.h"

/* A field of a DataRow; len -1: NULL. */
struct field {
	const char *ptr;
	int32_t len;
};

/* ---- numeric ---- */

enum num_kind { NUM_FINITE, NUM_MINUS_INF, NUM_INF, NUM_NAN };

/* Σ digits[i] * 10000^(weight - i), as PostgreSQL's. Digits are 0 … 9999. */
struct num {
	enum num_kind kind;
	bool negative;
	int weight, dscale;
	int n, cap;
	int16_t *digits; /* heap */
};

/* False: it is none. */
bool num_read(struct num *, struct field, int format);
void num_from_int(struct num *, int64_t);
int num_compare(const struct num *, const struct num *);
void num_add(struct num *sum, const struct num *); /* sum += … */
/* sum / count, as avg() gives it; count > 0. */
void num_average(struct num *out, const struct num *sum, int64_t count);
/* The length; written to `out` where that is not NULL. */
size_t num_write(const struct num *, int format, char *out);
void num_fini(struct num *);

/* ---- values ---- */

/* How values of one column are compared. NULL: not known to be exact. */
typedef bool compare_fn(
    struct field a, struct field b, int *out); /* false: no value of it */
compare_fn *compare_of(uint32_t type, int format, bool bytes);
bool read_int(struct field, int format, int64_t *);
bool read_bool(struct field, int format, bool *);

static inline uint32_t
be32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static inline uint16_t
be16(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint16_t)(u[0] << 8 | u[1]);
}

#endif
