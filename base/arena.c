#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/asan.h"

#if defined(WEIR_ASAN)
#define BLOCK_MIN 0
#else
#define BLOCK_MIN 2048
#endif

struct arena_block {
	struct arena_block *next;
	size_t used, cap;
	bool borrowed; /* the caller's: always the last in the list */
	_Alignas(16) char data[];
};

void
arena_init(struct arena *a)
{
	a->blocks = NULL;
	a->used = 0;
}

void
arena_init_in(struct arena *a, void *room, size_t size)
{
	size_t skip = -(uintptr_t)room & 15;
	struct arena_block *b = (struct arena_block *)(void *)((char *)room + skip);

	arena_init(a);
	if (BLOCK_MIN == 0 || size < skip + sizeof *b + 16)
		return;
	*b = (struct arena_block){.cap = size - skip - sizeof *b, .borrowed = true};
	a->blocks = b;
}

void
arena_reset(struct arena *a)
{
	while (a->blocks != NULL && !a->blocks->borrowed) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	if (a->blocks != NULL)
		a->blocks->used = 0;
	a->used = 0;
}

static struct arena_block *
block_with_room(struct arena *a, size_t size)
{
	struct arena_block *b = a->blocks;
	size_t cap = size > BLOCK_MIN ? size : BLOCK_MIN;

	if (b != NULL && b->cap - b->used >= size)
		return b;
	b = malloc(sizeof *b + cap);
	if (b == NULL)
		abort();
	b->next = a->blocks;
	b->used = 0;
	b->cap = cap;
	b->borrowed = false;
	a->blocks = b;
	return b;
}

void *
arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b;
	void *p;

	if (size > SIZE_MAX / 2)
		abort();
	size = (size + 15) & ~(size_t)15;
	b = block_with_room(a, size);
	p = b->data + b->used;
	b->used += size;
	a->used += size;
	return memset(p, 0, size);
}

void *
arena_dup(struct arena *a, const void *ptr, size_t len)
{
	void *p = arena_alloc(a, len);

	return len == 0 ? p : memcpy(p, ptr, len);
}

char *
arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	if (len > 0)
		memcpy(p, s, len);
	return p;
}

char *
arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
