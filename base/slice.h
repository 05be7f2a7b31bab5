/* base/slice.h: bytes that somebody else owns.
 * Memory: a slice never owns; the function that hands one out says how long it lives. */
#ifndef WEIR_BASE_SLICE_H
#define WEIR_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE_LIT(s) ((struct slice){(s), sizeof(s) - 1})

static inline struct slice
slice_of(const char *cstr)
{
	return (struct slice){cstr, strlen(cstr)};
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool
slice_eq_str(struct slice a, const char *cstr)
{
	return slice_eq(a, slice_of(cstr));
}

#endif
