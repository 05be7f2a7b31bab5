/* base/loop_impl.h: what loop.c shares with its two implementations; for base/ only.
 *
 * A turn:  wait and dispatch (backend) -> mail -> timers -> { deferred, dirty ios,
 * finishing ios } until quiet. Dirty:   an io whose output or interest in reading
 * changed; the backend acts once, at the end of the turn. Finishing: an io that was
 * closed or detached; the backend forgets it, then loop_io_done() closes and tells. So an
 *          io stays valid through the batch of events in which it was closed.
 * Which of the flags hold when: CLOSING (io_close was called; output may linger) ->
 * FINISHING (nothing is sent any more). */
#ifndef WEIR_BASE_LOOP_IMPL_H
#define WEIR_BASE_LOOP_IMPL_H

#include <stdatomic.h>

#include "base/loop.h"
#include "base/slab.h"

/* io->flags */
enum {
	IO_READING = 1,
	IO_ENDED = 2, /* `ended` was called */
	IO_CLOSING = 4,
	IO_DETACHING = 8,
	IO_BLOCKED =
	    16, /* epoll: waits for room in the socket; io_uring: a send is in flight */
	IO_ABOVE = 32,      /* output was above low_water: `drained` is owed */
	IO_OUT_FAILED = 64, /* output is ignored from now on */
	IO_FINISHING = 128,
};

struct io_out {
	struct io_out *next;
	struct buf *buf;
	uint32_t off, len;
};

/* What few ios need, and only for a while: io->loop_data. */
struct io_extra {
	struct timer linger;
	struct io *io;
	int error; /* why output failed; told by `ended` once what was received has been
		      read */
	bool lingers; /* io_close() was given time */
	struct io_out *held,
	    *held_tail; /* io_uring: bytes that arrived after reading was stopped */
};

/* A descriptor that is polled for readability: listeners and the mailbox's eventfd. */
struct watch {
	int fd;
	bool on;    /* wanted */
	bool armed; /* the kernel may still report it */
	void (*ready)(struct watch *);
};

/* Hierarchical timer wheel. Source: Varghese and Lauck, "Hashed and hierarchical timing
 * wheels", scheme 7. */
#define WHEEL_LEVELS 5
#define WHEEL_SLOTS  64

struct wheel {
	uint64_t tick;               /* milliseconds; all timers up to it have fired */
	uint64_t used[WHEEL_LEVELS]; /* bit set: the slot may hold timers */
	struct list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *, uint64_t now_us);
void wheel_add(struct wheel *, struct timer *);
void wheel_run(struct wheel *, uint64_t now_us);
/* When to look again at the latest (microseconds, absolute); UINT64_MAX: no timer. */
uint64_t wheel_next_us(struct wheel *);

struct loop_backend {
	enum loop_kind kind;
	void (*fini)(struct loop *);
	/* Waits for events, at the latest until until_us (0: does not wait; UINT64_MAX: for
	 * ever), refreshes loop->now_us, dispatches what happened. */
	void (*wait)(struct loop *, uint64_t until_us);
	/* The io is dirty: send its output, adjust what is awaited. */
	void (*io_flush)(struct io *);
	/* Forget the io; calls loop_io_done() once the kernel cannot touch it any more.
	 */
	void (*io_finish)(struct io *);
	void (*watch_set)(struct loop *, struct watch *, bool on);
	/* A buffer that belongs to the backend came back; false: it is not the backend's.
	 */
	bool (*buf_return)(struct loop *, struct buf *);
};

struct loop {
	const struct loop_backend *backend;
	void *impl; /* the backend's own state */
	uint64_t now_us;
	struct wheel wheel;
	struct list dirty, finishing, deferred;
	struct list dead_listeners;
	struct slab outs, extras;

	/* buffers */
	struct buf *free_bufs;
	uint32_t n_free, n_bufs; /* in the free list; existing in all */
	struct buf *recv_buf;    /* bytes are received behind recv_off */
	uint32_t recv_off;
	struct buf *copy_buf; /* io_write() appends behind copy_off */
	uint32_t copy_off;

	/* mail */
	_Atomic(struct mail *) mail;
	atomic_bool stop;
	struct watch wake; /* eventfd */

	uint64_t turns, bytes_received, bytes_sent, sends, receives, enobufs;
	char reason[200];
};

uint64_t loop_clock_us(void);

/* Room to receive into: at least RECV_ROOM_MIN bytes behind *off of the returned buffer
 * (not a new reference). */
#define RECV_ROOM_MIN 4096
struct buf *loop_recv_room(struct loop *, uint32_t *off);
void loop_bufs_fini(struct loop *);
/* Appends to a queue of outputs, merged into its last piece where the bytes follow on.
 * Takes a reference where needed. */
void loop_out_push(struct loop *, struct io_out **head, struct io_out **tail,
    struct buf *, uint32_t off, uint32_t len);
/* Drops the first piece. */
void loop_out_pop(struct loop *, struct io_out **head, struct io_out **tail);

static inline bool
loop_io_wants_read(const struct io *io)
{
	return (io->flags & (IO_READING | IO_ENDED | IO_CLOSING | IO_DETACHING)) ==
	    IO_READING;
}

/* Puts the io among those that are looked at the end of the turn. */
void loop_io_dirty(struct io *);
struct io_extra *loop_io_extra(struct io *);
/* The kernel took n bytes. */
void loop_io_sent(struct io *, size_t n);
/* One sendmsg(2). LOOP_SENT: all that was given; there may be more. */
enum loop_sent { LOOP_SENT, LOOP_FULL, LOOP_FAILED };
enum loop_sent loop_io_send(struct io *);
/* Sending failed for good. */
void loop_io_send_failed(struct io *, int error);
/* Reading came to its end: calls `ended` unless it was. */
void loop_io_ended(struct io *, int error);
/* Bytes arrived, by a receive of the loop's own into loop_recv_room(). */
void loop_io_received(struct io *, struct buf *, uint32_t off, uint32_t len);
void loop_io_drop_output(struct io *);
void loop_io_done(struct io *);
/* The peer of an io that does not read hung up: finds out how. */
void loop_io_hung_up(struct io *);
#define LOOP_IOV_MAX 64
struct iovec;
/* At most LOOP_IOV_MAX pieces of the io's output. */
unsigned loop_io_iov(const struct io *, struct iovec *, size_t *bytes);

void loop_listeners_reap(struct loop *, bool all);

enum rc loop_epoll_init(struct loop *, struct err *e) WARN_UNUSED;
enum rc loop_uring_init(struct loop *, struct err *e) WARN_UNUSED;

/* How rings are set up; the one group of provided buffers. */
#define LOOP_URING_FLAGS                                        \
	(IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | \
	    IORING_SETUP_DEFER_TASKRUN)
#define LOOP_URING_GROUP 0
struct io_uring;
struct io_uring_buf_ring;
/* 0 or a negative errno. */
int loop_uring_register(struct io_uring *, struct io_uring_buf_ring *, unsigned entries);
enum rc loop_uring_probe(struct err *e) WARN_UNUSED;

#endif
