#include "base/slab.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/asan.h"

#if defined(WEIR_ASAN)
#define SLAB_IS_MALLOC 1
#else
#define SLAB_IS_MALLOC 0
#endif

/* Before each object stands its chunk while it is in use, or the next free object's
 * header. */
struct slab_obj {
	union {
		struct slab_chunk *chunk;
		struct slab_obj *next_free;
	};
	char data[];
};

struct slab_chunk {
	struct list node; /* in slab->room unless it is full */
	struct slab_obj *free;
	unsigned used;  /* objects handed out */
	unsigned fresh; /* objects [fresh, SLAB_CHUNK) were never touched */
	char objs[];
};

void
slab_init(struct slab *s, size_t object_size)
{
	s->stride = (sizeof(struct slab_obj) + object_size + 7) & ~(size_t)7;
	list_init(&s->room);
	s->live = s->chunks = s->empty = 0;
}

static struct slab_chunk *
chunk_with_room(struct slab *s)
{
	struct slab_chunk *c;

	if (!list_empty(&s->room))
		return LIST_ENTRY(s->room.next, struct slab_chunk, node);
	c = malloc(sizeof *c + s->stride * SLAB_CHUNK);
	if (c == NULL)
		abort();
	c->free = NULL;
	c->used = c->fresh = 0;
	list_push_front(&s->room, &c->node);
	s->chunks++;
	s->empty++;
	return c;
}

void *
slab_alloc(struct slab *s)
{
	struct slab_chunk *c;
	struct slab_obj *o;

	s->live++;
	if (SLAB_IS_MALLOC) {
		o = calloc(1, s->stride);
		if (o == NULL)
			abort();
		return o->data;
	}
	c = chunk_with_room(s);
	if (c->free != NULL) {
		o = c->free;
		c->free = o->next_free;
	} else {
		o = (struct slab_obj *)(void *)(c->objs + s->stride * c->fresh++);
	}
	if (c->used++ == 0)
		s->empty--;
	if (c->used == SLAB_CHUNK)
		list_remove(&c->node);
	o->chunk = c;
	return memset(o->data, 0, s->stride - sizeof *o);
}

void
slab_free(struct slab *s, void *ptr)
{
	struct slab_obj *o;
	struct slab_chunk *c;

	if (ptr == NULL)
		return;
	assert(s->live > 0);
	s->live--;
	o = (struct slab_obj *)(void *)((char *)ptr - offsetof(struct slab_obj, data));
	if (SLAB_IS_MALLOC) {
		free(o);
		return;
	}
	c = o->chunk;
	o->next_free = c->free;
	c->free = o;
	if (c->used-- == SLAB_CHUNK)
		list_push_front(&s->room, &c->node);
	if (c->used > 0)
		return;
	list_remove(&c->node);
	if (s->empty > 0) {
		s->chunks--;
		free(c);
	} else {
		s->empty++;
		list_push_back(&s->room, &c->node);
	}
}

void
slab_fini(struct slab *s)
{
	struct list *n;

	assert(s->live == 0);
	while ((n = list_pop_front(&s->room)) != NULL)
		free(LIST_ENTRY(n, struct slab_chunk, node));
	s->chunks = s->empty = 0;
}
