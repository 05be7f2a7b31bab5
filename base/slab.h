/* base/slab.h: objects of one size, taken from chunks of SLAB_CHUNK and given back to
 * them. Thread:  its owner's. Memory:  aligned to 8. Of the chunks that are wholly empty
 * one is kept, so memory follows use. Under AddressSanitizer every object is a malloc of
 * its own. Failure: out of memory aborts. */
#ifndef WEIR_BASE_SLAB_H
#define WEIR_BASE_SLAB_H

#include <stddef.h>

#include "base/list.h"

#define SLAB_CHUNK 64

struct slab {
	size_t stride; /* an object and its header */
	struct list
	    room;    /* chunks with a free object; the empty one, if any, comes last */
	size_t live; /* objects handed out */
	size_t chunks, empty;
};

void slab_init(struct slab *, size_t object_size);
/* Zeroed. */
void *slab_alloc(struct slab *);
/* NULL is harmless. */
void slab_free(struct slab *, void *);
/* Every object must have come back (asserted). */
void slab_fini(struct slab *);

#endif
