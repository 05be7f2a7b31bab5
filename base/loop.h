/* base/loop.h: one event loop a worker; completion-based, over io_uring or epoll.
 * Thread:  everything here belongs to the loop's own thread, but loop_post() and loop_stop(), which any may call.
 * Memory:  `struct io`, `struct timer`, `struct mail` are embedded in their owners. An io's memory may be freed
 *          (or reused) only in or after its `closed` callback. Received bytes come in reference-counted buffers of
 *          the loop's own pool; queueing them for another io of the same loop copies nothing.
 * Order:   callbacks run in loop_run() only, never from inside a call into the loop; so io_write() and io_close()
 *          may be called from any callback of any io.
 * Output:  writes are queued and leave together at the end of the turn (one sendmsg an io, more only after a
 *          short send).
 * Limits:  a reader that stalls pins at most IO_RECV_PIN_MAX receive buffers; the rest waits in the kernel. */
#ifndef WEIR_BASE_LOOP_H
#define WEIR_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

struct loop;
struct io;

enum loop_kind { LOOP_AUTO, LOOP_URING, LOOP_EPOLL };

/* AUTO takes io_uring where the kernel allows all that is needed, else epoll. RC_ERR: the asked-for kind cannot be
 * had; *e says why. */
enum rc loop_create(struct loop **, enum loop_kind, struct err *e) WARN_UNUSED;
void loop_destroy(struct loop *);
/* Runs until loop_stop(); always in the same thread, which need not be the creator's. */
void loop_run(struct loop *);
void loop_stop(struct loop *);
enum loop_kind loop_kind(const struct loop *);
/* Why this kind was taken, for the log and SHOW STATE. */
const char *loop_kind_reason(const struct loop *);
/* Monotonic clock, read once per turn (microseconds). */
uint64_t loop_now_us(const struct loop *);

/* ---- buffers ---- */

struct buf {
	uint32_t refs;
	uint32_t cap; /* bytes in data */
	struct loop *loop;
	struct buf *next_free;
	unsigned char data[];
};

/* A fresh buffer with one reference: capacity is at least `size` (0: the pool's standard 4 kB to 16 kB). */
struct buf *buf_create(struct loop *, size_t size);
static inline void
buf_ref(struct buf *b)
{
	b->refs++;
}
void buf_unref(struct buf *);

/* ---- connections ---- */

#define IO_RECV_PIN_MAX 4

struct io_ops {
	/* Bytes [off, off+len) of b arrived. They live until the callback returns, longer with buf_ref(). */
	void (*received)(struct io *, struct buf *b, uint32_t off, uint32_t len);
	/* Queued output fell to io->low_water or below, after it had been above it (with the default of 0, after every
	 * write that left). Also when sending failed after ended(0) and the queue was dropped. */
	void (*drained)(struct io *);
	/* The peer ended: error 0 is an orderly end of its output, else an errno. Comes once; nothing is received
	 * after it. Also comes while reading is stopped when the peer reset or the socket failed. */
	void (*ended)(struct io *, int error);
	/* After io_close(): the loop has forgotten the io. */
	void (*closed)(struct io *);
};

struct io_out; /* one queued piece of output */

struct io {
	const struct io_ops *ops;
	struct loop *loop;
	int fd;
	uint8_t flags;  /* the loop's */
	uint8_t flags2; /* the loop's */
	uint16_t generation;
	uint32_t low_water; /* bytes; 0 by default */
	uint32_t out_bytes; /* queued and not yet taken by the kernel */
	struct io_out *out_head, *out_tail;
	struct list dirty; /* the loop's list of ios with output to flush */
	void *loop_data;   /* the loop's, only while there is traffic */
};

/* Takes over a connected, non-blocking socket. Reading is off until io_read_start(). */
void io_open(struct io *, struct loop *, int fd, const struct io_ops *);
void io_read_start(struct io *);
/* At most what has already arrived in this turn may still be delivered after it, never after the turn. The caller
 * must accept those bytes. A hang-up of the peer is still noticed. */
void io_read_stop(struct io *);
bool io_reading(const struct io *);
/* Queue bytes [off, off+len) of b, by reference. Ignored after ended-with-error or io_close(). */
void io_write_buf(struct io *, struct buf *b, uint32_t off, uint32_t len);
/* Queue a copy. Consecutive small copies share a buffer. */
void io_write(struct io *, const void *ptr, size_t len);
static inline uint32_t
io_queued(const struct io *io)
{
	return io->out_bytes;
}
/* Sends what is queued (for at most `linger_ms`; 0 drops it), then shuts down, closes the descriptor, calls `closed`.
 * No other callback comes after this call. */
void io_close(struct io *, unsigned linger_ms);
/* Gives the descriptor back without closing it: `closed` is called with io->fd still valid, then it is the caller's.
 * Bytes that arrive until then are delivered by `received` first. Queued output must be empty. */
void io_detach(struct io *);

/* ---- listening sockets ---- */

struct listener;
/* `accepted` gets a non-blocking, close-on-exec descriptor. When no descriptors are left (EMFILE, ENFILE, ENOMEM) it
 * is logged once, and accepting goes on after a pause. */
struct listener *listener_create(
    struct loop *, int fd, void (*accepted)(void *arg, int fd), void *arg);
void listener_pause(struct listener *, bool paused);
/* Does not close the descriptor. */
void listener_destroy(struct listener *);

/* ---- timers: millisecond resolution, never early ---- */

struct timer {
	struct list node; /* the loop's wheel */
	uint64_t due_us;
	void (*fire)(struct timer *);
};

void timer_init(struct timer *, void (*fire)(struct timer *));
/* Re-arms if it is armed already. */
void timer_start(struct loop *, struct timer *, uint64_t delay_ms);
void timer_stop(struct timer *);
static inline bool
timer_armed(const struct timer *t)
{
	return t->node.next != &t->node;
}

/* ---- deferred calls: run at the end of the turn, before output is flushed ---- */

struct deferred {
	struct list node;
	void (*run)(struct deferred *);
};
void deferred_init(struct deferred *, void (*run)(struct deferred *));
/* Harmless when it is already waiting. */
void loop_defer(struct loop *, struct deferred *);
void deferred_cancel(struct deferred *);

/* ---- mail from other threads ---- */

struct mail {
	struct mail *next;
	void (*deliver)(struct mail *); /* runs in the loop's thread; may free the mail */
};
/* First in, first out per sender. Wakes the loop by eventfd only when its box was empty. */
void loop_post(struct loop *, struct mail *);

/* ---- for tests and SHOW ---- */
struct loop_stats {
	uint64_t turns, bytes_received, bytes_sent, sends, receives, enobufs;
	uint32_t bufs_live, bufs_free;
};
void loop_stats(const struct loop *, struct loop_stats *);

#endif
