/* Buffers and queues of output pieces. Free buffers of the standard size are kept for
 * reuse, but few, so that memory belongs to traffic; under AddressSanitizer none is. */
#include "base/asan.h"
#include "base/loop_impl.h"

#include <assert.h>
#include <stdlib.h>

#define BUF_STD_CAP ((uint32_t)(16384 - sizeof(struct buf)))
#if defined(WEIR_ASAN)
#define KEEP_FREE false
#else
#define KEEP_FREE true
#endif
#define BUF_FREE_MAX 32

struct buf *
buf_create(struct loop *loop, size_t size)
{
	struct buf *b = loop->free_bufs;
	uint32_t cap = size > BUF_STD_CAP ? (uint32_t)size : BUF_STD_CAP;

	assert(size <= UINT32_MAX - sizeof *b);
	if (cap == BUF_STD_CAP && b != NULL) {
		loop->free_bufs = b->next_free;
		loop->n_free--;
	} else {
		b = malloc(sizeof *b + cap);
		if (b == NULL)
			abort();
		b->cap = cap;
		b->loop = loop;
		loop->n_bufs++;
	}
	b->refs = 1;
	b->next_free = NULL;
	return b;
}

void
buf_unref(struct buf *b)
{
	struct loop *loop = b->loop;

	assert(b->refs > 0);
	if (--b->refs > 0)
		return;
	if (loop->backend->buf_return != NULL && loop->backend->buf_return(loop, b))
		return;
	if (KEEP_FREE && b->cap == BUF_STD_CAP && loop->n_free < BUF_FREE_MAX) {
		b->next_free = loop->free_bufs;
		loop->free_bufs = b;
		loop->n_free++;
		return;
	}
	loop->n_bufs--;
	free(b);
}

/* A buffer that is only partly filled is used on, though others may still hold what came
 * before; from its beginning when nobody does. */
static struct buf *
room_of(struct loop *loop, struct buf **current, uint32_t *off, uint32_t least)
{
	struct buf *b = *current;

	if (b != NULL && b->refs == 1)
		*off = 0;
	if (b != NULL && b->cap - *off < least) {
		buf_unref(b);
		b = NULL;
	}
	if (b == NULL) {
		b = buf_create(loop, 0);
		*off = 0;
	}
	return *current = b;
}

struct buf *
loop_recv_room(struct loop *loop, uint32_t *off)
{
	struct buf *b = room_of(loop, &loop->recv_buf, &loop->recv_off, RECV_ROOM_MIN);

	*off = loop->recv_off;
	return b;
}

void
loop_bufs_fini(struct loop *loop)
{
	if (loop->recv_buf != NULL)
		buf_unref(loop->recv_buf);
	if (loop->copy_buf != NULL)
		buf_unref(loop->copy_buf);
	loop->recv_buf = loop->copy_buf = NULL;
	while (loop->free_bufs != NULL) {
		struct buf *b = loop->free_bufs;

		loop->free_bufs = b->next_free;
		free(b);
		loop->n_bufs--;
	}
	loop->n_free = 0;
}

void
loop_out_push(struct loop *loop, struct io_out **head, struct io_out **tail,
    struct buf *b, uint32_t off, uint32_t len)
{
	struct io_out *last = *head == NULL ? NULL : *tail;

	if (last != NULL && last->buf == b && last->off + last->len == off) {
		last->len += len;
		return;
	}
	last = slab_alloc(&loop->outs);
	last->buf = b;
	last->off = off;
	last->len = len;
	buf_ref(b);
	if (*head == NULL)
		*head = last;
	else
		(*tail)->next = last;
	*tail = last;
}

void
loop_out_pop(struct loop *loop, struct io_out **head, struct io_out **tail)
{
	struct io_out *o = *head;

	*head = o->next;
	if (*head == NULL)
		*tail = NULL;
	buf_unref(o->buf);
	slab_free(&loop->outs, o);
}

/* Bytes to write by reference come whole; those to copy are spread over what room there
 * is. */
void
io_write(struct io *io, const void *ptr, size_t len)
{
	struct loop *loop = io->loop;
	const unsigned char *from = ptr;

	while (len > 0) {
		struct buf *b;
		uint32_t n;

		if (len >= BUF_STD_CAP) {
			n = len > 65536 ? 65536 : (uint32_t)len;
			b = buf_create(loop, n);
			__builtin_memcpy(b->data, from, n);
			io_write_buf(io, b, 0, n);
			buf_unref(b);
		} else {
			b = room_of(loop, &loop->copy_buf, &loop->copy_off, 1);
			n = b->cap - loop->copy_off;
			if (n > len)
				n = (uint32_t)len;
			__builtin_memcpy(b->data + loop->copy_off, from, n);
			io_write_buf(io, b, loop->copy_off, n);
			loop->copy_off += n;
		}
		from += n;
		len -= n;
	}
}
