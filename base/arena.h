/* base/arena.h: memory that is given back all at once.
 * Thread:  its owner's.
 * Memory:  blocks come from malloc; under AddressSanitizer every allocation is a malloc of its own.
 * Failure: out of memory aborts (arenas are capped by their callers' input limits). */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used; /* bytes handed out since the last reset */
};

void arena_init(struct arena *);
/* With the caller's memory as its first block; none comes from malloc until that is full. */
void arena_init_in(struct arena *, void *room, size_t size);
/* Frees everything; the arena can be used again. */
void arena_reset(struct arena *);
/* Zeroed, aligned to 16. */
void *arena_alloc(struct arena *, size_t size);
void *arena_dup(struct arena *, const void *ptr, size_t len);
/* Zero-terminated copies. */
char *arena_strdup(struct arena *, const char *);
char *arena_strndup(struct arena *, const char *, size_t len);
char *arena_printf(struct arena *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_NEW_N(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (n)))

#endif
