/* The event loop on io_uring. Each reading connection has one multishot receive armed,
 * which takes a buffer from a ring that all share when bytes arrive; everything asked for
 * in a turn is submitted with the wait for the next.
 *
 * An io has at most one receive or hang-up poll in the kernel (rx) and at most one send
 * (IO_BLOCKED). Each is named by the io's address, so the io is given back only after the
 * last completion of both.
 *
 *   rx:  NONE -> RECV    the io reads    RECV -> NONE    end, error, ring empty, cancelled
 *        NONE -> HANGUP  it is paused    HANGUP -> NONE  hang-up, cancelled
 *
 * A change between RECV and HANGUP goes through NONE: cancel, await the completion, arm
 * anew at the end of the turn. Bytes that a receive had taken before its cancellation was
 * known are held (io_extra) until reading goes on. */
#include "base/asan.h"
#include "base/fault.h"
#include "base/loop_impl.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SQ_ENTRIES 512
#define CQ_ENTRIES 4096
#define RING_BUFS  512
#define RING_STEP  64 /* the ring grows by so many when it runs short */
#define SLOT_BYTES 4096
#define SLOT_CAP   ((uint32_t)(SLOT_BYTES - sizeof(struct buf)))
#define MSGS       64

_Static_assert(
    SLOT_BYTES <= RECV_ROOM_MIN, "the bytes of a slot are copied in one piece");

/* io->flags2 */
enum {
	RX_NONE = 0,
	RX_RECV = 1,
	RX_HANGUP = 2,
	RX_KIND = 3,
	RX_CANCELLED = 4,
	RX_HUNG_UP =
	    8, /* the poll ended by itself; nothing to await until reading goes on */
	PIN_ONE = 16,
	PINS = 7 * PIN_ONE, /* ring buffers of this io that somebody keeps */
	FORGETTING = 128,   /* only last completions are awaited */
};
_Static_assert(IO_RECV_PIN_MAX < 8, "the counter is three bits wide");

/* user_data: address | tag, the io's generation above; of a quiet send its index */
enum { TAG_RX, TAG_TX, TAG_WATCH, TAG_NONE, TAG_QUIET, TAG_TIMEOUT, TAG_BITS = 3 };
#define TAG_MASK         ((1u << TAG_BITS) - 1)
#define GENERATION_SHIFT 48

/* A message must stay until it is submitted (IORING_FEAT_SUBMIT_STABLE). */
struct uring_msg {
	struct msghdr hdr;
	struct iovec iov[LOOP_IOV_MAX];
};

/* A send that completes while it is submitted, one way or the other: the kernel is told
 * not to wait for room (MSG_DONTWAIT), and to speak up only if not all was taken. */
struct quiet_send {
	struct io *io;
	uint32_t len;
	int res; /* what was taken, or a negative errno */
};

struct uring_loop {
	struct io_uring ring;
	bool enabled;
	struct io_uring_buf_ring *buf_ring;
	unsigned char *slots;
	struct io *pinned_by[RING_BUFS];
	unsigned slots_made; /* so many are in use: the ring is used in turn, so all of
				them would be touched */
	unsigned slots_out;  /* of these, not in the kernel's hands */
	uint64_t wakes_us;   /* when the armed timeout ends a wait; UINT64_MAX: none is */
	unsigned n_msgs;
	struct uring_msg msgs[MSGS];
	struct quiet_send *quiet; /* since the last wait */
	unsigned n_quiet, cap_quiet;
};

static uint64_t
user_data(const struct io *io, unsigned tag)
{
	return (uint64_t)(uintptr_t)io | tag |
	    (uint64_t)io->generation << GENERATION_SHIFT;
}

/* ---- submission ---- */

/* The thread that submits first is the only one that may from then on. */
static void
enable(struct uring_loop *u)
{
	/* liburing 2.3 declares io_uring_enable_rings() and does not export it. */
	if (!u->enabled &&
	    syscall(__NR_io_uring_register, u->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS,
		NULL, 0) < 0)
		abort();
	u->enabled = true;
}

static void
submitted(struct uring_loop *u, int rc)
{
	assert(rc != -EEXIST && rc != -EBADF && rc != -EINVAL && rc != -EFAULT);
	if (io_uring_sq_ready(&u->ring) == 0)
		u->n_msgs = 0;
}

static struct io_uring_sqe *
new_sqe(struct uring_loop *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	for (int i = 0; sqe == NULL; i++) {
		/* The kernel is out of memory for requests; what completes gives some
		 * back. */
		if (i > 1000)
			abort();
		enable(u);
		submitted(u, io_uring_submit(&u->ring));
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

/* Success is silent; a failure means that the completion is under way already. */
static void
cancel(struct uring_loop *u, uint64_t data)
{
	struct io_uring_sqe *sqe = new_sqe(u);

	io_uring_prep_cancel64(sqe, data, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = TAG_NONE;
}

/* ---- the ring of receive buffers ---- */

static struct buf *
slot_of(const struct uring_loop *u, unsigned id)
{
	return (struct buf *)(void *)(u->slots + (size_t)id * SLOT_BYTES);
}

static void
slot_to_kernel(struct uring_loop *u, unsigned id)
{
	struct buf *b = slot_of(u, id);

	ASAN_POISON_MEMORY_REGION(b->data, SLOT_CAP);
	io_uring_buf_ring_add(u->buf_ring, b->data, SLOT_CAP, (unsigned short)id,
	    io_uring_buf_ring_mask(RING_BUFS), 0);
	io_uring_buf_ring_advance(u->buf_ring, 1);
	u->slots_out--;
}

static struct buf *
slot_from_kernel(struct uring_loop *u, unsigned id)
{
	struct buf *b;

	assert(id < u->slots_made);
	b = slot_of(u, id);
	ASAN_UNPOISON_MEMORY_REGION(b->data, SLOT_CAP);
	assert(b->refs == 0);
	b->refs = 1;
	b->loop->n_bufs++;
	u->slots_out++;
	return b;
}

static void
grow_ring(struct loop *loop, struct uring_loop *u)
{
	for (unsigned i = 0; i < RING_STEP && u->slots_made < RING_BUFS; i++) {
		struct buf *b = slot_of(u, u->slots_made);

		b->cap = SLOT_CAP;
		b->loop = loop;
		u->slots_out++;
		slot_to_kernel(u, u->slots_made++);
	}
}

/* Three quarters of the ring are kept by somebody: what arrives is copied. */
static bool
is_short_of_slots(struct loop *loop)
{
	struct uring_loop *u = loop->impl;

	if (u->slots_out > u->slots_made / 4 * 3)
		grow_ring(loop, u);
	return u->slots_out > u->slots_made / 4 * 3;
}

static bool
uring_buf_return(struct loop *loop, struct buf *b)
{
	struct uring_loop *u = loop->impl;
	uintptr_t at = (uintptr_t)b - (uintptr_t)u->slots;
	unsigned id = (unsigned)(at / SLOT_BYTES);

	if (at >= (uintptr_t)RING_BUFS * SLOT_BYTES)
		return false;
	if (u->pinned_by[id] != NULL)
		u->pinned_by[id]->flags2 -= PIN_ONE;
	u->pinned_by[id] = NULL;
	loop->n_bufs--;
	slot_to_kernel(u, id);
	return true;
}

/* The io goes, buffers that it received stay with those who keep them. */
static void
disown_pins(struct io *io)
{
	struct uring_loop *u = io->loop->impl;

	for (unsigned i = 0; i < RING_BUFS && (io->flags2 & PINS) != 0; i++)
		if (u->pinned_by[i] == io) {
			u->pinned_by[i] = NULL;
			io->flags2 -= PIN_ONE;
		}
}

/* ---- receiving ---- */

static void
arm_rx(struct io *io, uint8_t kind)
{
	struct io_uring_sqe *sqe = new_sqe(io->loop->impl);

	if (kind == RX_RECV) {
		io_uring_prep_recv_multishot(sqe, io->fd, NULL, 0, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = LOOP_URING_GROUP + FAULT("recv.enobufs");
	} else {
		/* Any poll also reports the end of the peer's output (POLLRDHUP); one
		 * shot would come back for it at once, for ever. This one tells of
		 * changes only. */
		io_uring_prep_poll_multishot(sqe, io->fd, POLLERR | POLLHUP);
	}
	sqe->user_data = user_data(io, TAG_RX);
	io->flags2 |= kind;
}

static void
cancel_rx(struct io *io)
{
	if ((io->flags2 & RX_KIND) == RX_NONE || (io->flags2 & RX_CANCELLED))
		return;
	io->flags2 |= RX_CANCELLED;
	cancel(io->loop->impl, user_data(io, TAG_RX));
}

static void
update_rx(struct io *io)
{
	uint8_t have = io->flags2 & RX_KIND, want = RX_HANGUP;

	if (loop_io_wants_read(io)) {
		want = RX_RECV;
		io->flags2 &= (uint8_t)~RX_HUNG_UP;
	} else if ((io->flags & (IO_ENDED | IO_CLOSING)) || (io->flags2 & RX_HUNG_UP)) {
		want = RX_NONE;
	}
	if (have == want)
		return;
	if (have == RX_NONE)
		arm_rx(io, want);
	else
		cancel_rx(io);
}

static bool
holds(const struct io *io)
{
	const struct io_extra *x = io->loop_data;

	return x != NULL && x->held != NULL;
}

/* Hands out what was held: as long as the io reads, or all of it when it is being
 * detached. */
static void
deliver_held(struct io *io)
{
	struct io_extra *x = io->loop_data;

	while (x != NULL && x->held != NULL &&
	    (loop_io_wants_read(io) || (io->flags & IO_DETACHING))) {
		struct io_out *o = x->held;

		io->ops->received(io, o->buf, o->off, o->len);
		loop_out_pop(io->loop, &x->held, &x->held_tail);
	}
}

/* Bytes for an io that must not have more ring buffers, or must not be given any bytes
 * now. */
static void
rx_copied(struct io *io, const struct buf *from, uint32_t len, bool hold)
{
	struct loop *loop = io->loop;
	uint32_t off;
	struct buf *b = loop_recv_room(loop, &off);

	memcpy(b->data + off, from->data, len);
	if (hold) {
		struct io_extra *x = loop_io_extra(io);

		loop_out_push(loop, &x->held, &x->held_tail, b, off, len);
		loop->recv_off = off + len;
		loop->bytes_received += len;
	} else {
		loop_io_received(io, b, off, len);
	}
}

static void
rx_bytes(struct io *io, unsigned id, uint32_t len)
{
	struct uring_loop *u = io->loop->impl;
	struct buf *b = slot_from_kernel(u, id);
	bool hold = !loop_io_wants_read(io) || holds(io);

	io->loop->receives++;
	if (io->flags & IO_DETACHING)
		hold = holds(io);
	if (io->flags & (IO_CLOSING | IO_ENDED)) {
		/* nobody wants them */
	} else if (hold || (io->flags2 & PINS) >= IO_RECV_PIN_MAX * PIN_ONE ||
	    is_short_of_slots(io->loop)) {
		rx_copied(io, b, len, hold);
	} else {
		io->loop->bytes_received += len;
		io->ops->received(io, b, 0, len);
		if (b->refs > 1) {
			u->pinned_by[id] = io;
			io->flags2 += PIN_ONE;
		}
	}
	buf_unref(b);
}

static void
forget_if_done(struct io *io)
{
	if (!(io->flags2 & FORGETTING) || (io->flags2 & RX_KIND) != RX_NONE ||
	    (io->flags & IO_BLOCKED))
		return;
	disown_pins(io);
	loop_io_done(io);
}

/* An orderly end that nobody reads yet comes again when the receive is armed anew; an
 * error does not. */
static void
rx_ended(struct io *io, int error)
{
	if (error == ENOBUFS) {
		io->loop->enobufs++;
		grow_ring(io->loop, io->loop->impl);
	} else if (error == 0) {
		if (loop_io_wants_read(io) && !holds(io))
			loop_io_ended(io, 0);
	} else if (error != ECANCELED && error != EINTR && error != EAGAIN) {
		if (loop_io_wants_read(io) && holds(io))
			loop_io_extra(io)->error = error;
		else
			loop_io_ended(io, error);
	}
}

static void
rx_completed(struct io *io, int res, uint32_t flags)
{
	uint8_t kind = io->flags2 & RX_KIND;

	if (!(flags & IORING_CQE_F_MORE)) {
		io->flags2 &= (uint8_t) ~(RX_KIND | RX_CANCELLED);
		loop_io_dirty(io);
	}
	if (kind == RX_RECV && res > 0) {
		assert(flags & IORING_CQE_F_BUFFER);
		rx_bytes(io, flags >> IORING_CQE_BUFFER_SHIFT, (uint32_t)res);
	} else if (kind == RX_RECV) {
		if (flags & IORING_CQE_F_BUFFER)
			buf_unref(slot_from_kernel(
			    io->loop->impl, flags >> IORING_CQE_BUFFER_SHIFT));
		rx_ended(io, -res);
	} else if (res > 0 && !loop_io_wants_read(io)) {
		if (!(flags & IORING_CQE_F_MORE))
			io->flags2 |= RX_HUNG_UP;
		if (res & (POLLERR | POLLHUP))
			loop_io_hung_up(io);
	}
	forget_if_done(io);
}

/* ---- sending ---- */

static struct uring_msg *
new_msg(struct uring_loop *u)
{
	for (int i = 0; u->n_msgs == MSGS; i++) {
		if (i > 1000)
			abort();
		enable(u);
		submitted(u, io_uring_submit(&u->ring));
	}
	return &u->msgs[u->n_msgs++];
}

/* Output that nobody waits for: neither `drained` nor the end of a closing io hangs on it. */
static bool
may_be_quiet(const struct io *io)
{
	return (io->flags & (IO_ABOVE | IO_CLOSING)) == 0;
}

static struct quiet_send *
new_quiet(struct uring_loop *u)
{
	if (u->n_quiet == u->cap_quiet) {
		u->cap_quiet = u->cap_quiet == 0 ? 64 : u->cap_quiet * 2;
		u->quiet = realloc(u->quiet, u->cap_quiet * sizeof *u->quiet);
		if (u->quiet == NULL)
			abort();
	}
	return &u->quiet[u->n_quiet++];
}

static void
make_quiet(struct io *io, struct io_uring_sqe *sqe, size_t len)
{
	struct uring_loop *u = io->loop->impl;

	sqe->msg_flags |= MSG_DONTWAIT | MSG_WAITALL;
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = (uint64_t)u->n_quiet << TAG_BITS | TAG_QUIET;
	*new_quiet(u) = (struct quiet_send){io, (uint32_t)len, (int)len};
}

static void
submit_output(struct io *io, bool quiet)
{
	struct uring_loop *u = io->loop->impl;
	const struct io_out *o = io->out_head;
	struct io_uring_sqe *sqe;
	size_t len = o->len;
	bool whole = false;

	if (o->next == NULL) {
		sqe = new_sqe(u);
		io_uring_prep_send(sqe, io->fd, o->buf->data + o->off, len, MSG_NOSIGNAL);
	} else {
		struct uring_msg *m = new_msg(u);

		sqe = new_sqe(u);
		memset(&m->hdr, 0, sizeof m->hdr);
		m->hdr.msg_iov = m->iov;
		m->hdr.msg_iovlen = loop_io_iov(io, m->iov, &len);
		io_uring_prep_sendmsg(sqe, io->fd, &m->hdr, MSG_NOSIGNAL);
	}
	if (FAULT("send.short"))
		io_uring_prep_send(sqe, io->fd, o->buf->data + o->off, 1, MSG_NOSIGNAL);
	else if (FAULT("send.eintr"))
		io_uring_prep_nop(sqe);
	else
		whole = true;
	if (quiet && whole)
		make_quiet(io, sqe, len);
	else
		sqe->user_data = user_data(io, TAG_TX);
	io->flags |= IO_BLOCKED;
	io->loop->sends++;
}

static void
tx_completed(struct io *io, int res)
{
	io->flags &= (uint8_t)~IO_BLOCKED;
	if (io->flags & (IO_FINISHING | IO_OUT_FAILED)) {
		if (res > 0)
			io->loop->bytes_sent += (uint32_t)res;
		loop_io_drop_output(io);
		forget_if_done(io);
		return;
	}
	if (res > 0)
		loop_io_sent(io, (size_t)res);
	else if (res < 0 && res != -EINTR && res != -EAGAIN && res != -ECANCELED)
		loop_io_send_failed(io, -res);
	if (io->out_head != NULL)
		loop_io_dirty(io);
}

/* The socket was full: the rest waits for room in the kernel. */
static void
quiet_completed(const struct quiet_send *q)
{
	struct io *io = q->io;
	bool short_of_room = q->res != (int)q->len;

	tx_completed(io, q->res);
	if (short_of_room && io->out_head != NULL &&
	    !(io->flags & (IO_FINISHING | IO_BLOCKED)))
		submit_output(io, false);
}

/* Nothing would end the wait that these need. */
static bool
quiet_are_awaited(const struct uring_loop *u)
{
	for (unsigned i = 0; i < u->n_quiet; i++) {
		const struct io *io = u->quiet[i].io;

		if (!may_be_quiet(io) || (io->flags & IO_FINISHING) ||
		    io->out_bytes != u->quiet[i].len)
			return true;
	}
	return false;
}

static void
note_quiet_failures(struct uring_loop *u)
{
	struct io_uring_cqe *cqe;
	unsigned head;

	io_uring_for_each_cqe(&u->ring, head, cqe)
	{
		if ((cqe->user_data & TAG_MASK) == TAG_QUIET)
			u->quiet[cqe->user_data >> TAG_BITS].res = cqe->res;
	}
}

/* All that was submitted has completed; those that failed are in the queue. */
static void
settle_quiet(struct uring_loop *u)
{
	unsigned n = u->n_quiet;

	if (n == 0 || io_uring_sq_ready(&u->ring) > 0 ||
	    io_uring_cq_has_overflow(&u->ring))
		return;
	note_quiet_failures(u);
	for (unsigned i = 0; i < n; i++) {
		struct quiet_send q = u->quiet[i];

		quiet_completed(&q);
	}
	u->n_quiet = 0;
}

static void
uring_io_flush(struct io *io)
{
	if (!(io->flags & IO_BLOCKED) && io->out_head != NULL)
		submit_output(io, may_be_quiet(io));
	deliver_held(io);
	if (!(io->flags & IO_FINISHING))
		update_rx(io);
}

static void
uring_io_finish(struct io *io)
{
	if (io->flags & IO_DETACHING)
		deliver_held(io);
	io->flags2 |= FORGETTING;
	cancel_rx(io);
	if (io->flags & IO_BLOCKED)
		cancel(io->loop->impl, user_data(io, TAG_TX));
	forget_if_done(io);
}

/* ---- watches ---- */

static void
arm_watch(struct uring_loop *u, struct watch *w)
{
	struct io_uring_sqe *sqe = new_sqe(u);

	io_uring_prep_poll_add(sqe, w->fd, POLLIN);
	sqe->user_data = (uint64_t)(uintptr_t)w | TAG_WATCH;
	w->armed = true;
}

static void
uring_watch_set(struct loop *loop, struct watch *w, bool on)
{
	if (w->on == on)
		return;
	w->on = on;
	if (on && !w->armed)
		arm_watch(loop->impl, w);
	else if (!on && w->armed)
		cancel(loop->impl, (uint64_t)(uintptr_t)w | TAG_WATCH);
}

static void
watch_completed(struct loop *loop, struct watch *w, int res)
{
	w->armed = false;
	if (w->on && res != -ECANCELED)
		w->ready(w);
	if (w->on && !w->armed)
		arm_watch(loop->impl, w);
}

/* ---- turns ---- */

static void
completed(struct loop *loop, const struct io_uring_cqe *cqe)
{
	uint64_t data = cqe->user_data;
	void *p = (void *)(uintptr_t)(data & (((uint64_t)1 << GENERATION_SHIFT) - 1) &
	    ~(uint64_t)TAG_MASK);
	struct io *io = p;
	unsigned tag = data & TAG_MASK;

	if (tag == TAG_NONE || tag == TAG_QUIET)
		return;
	if (tag == TAG_TIMEOUT) {
		((struct uring_loop *)loop->impl)->wakes_us = UINT64_MAX;
		return;
	}
	if (tag == TAG_WATCH) {
		watch_completed(loop, p, cqe->res);
		return;
	}
	assert(
	    io->loop == loop && io->generation == (uint16_t)(data >> GENERATION_SHIFT));
	if (tag == TAG_RX)
		rx_completed(io, cqe->res, cqe->flags);
	else
		tx_completed(io, cqe->res);
}

/* One timeout stays armed over many turns, so that a wait costs no timer. One that is too
 * early ends a wait for nothing, once. */
static void
arm_timeout(struct uring_loop *u, uint64_t at_us, struct __kernel_timespec *ts)
{
	struct io_uring_sqe *sqe;

	if (at_us >= u->wakes_us)
		return;
	*ts = (struct __kernel_timespec){
	    .tv_sec = (long long)(at_us / 1000000),
	    .tv_nsec = (long long)(at_us % 1000000 * 1000),
	};
	sqe = new_sqe(u);
	if (u->wakes_us == UINT64_MAX) {
		io_uring_prep_timeout(sqe, ts, 0, IORING_TIMEOUT_ABS);
		sqe->user_data = TAG_TIMEOUT;
	} else {
		io_uring_prep_timeout_update(sqe, ts, TAG_TIMEOUT, IORING_TIMEOUT_ABS);
		sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
		sqe->user_data = TAG_NONE; /* it fails when the timeout has just ended */
	}
	u->wakes_us = at_us;
}

static int
submit_and_wait(struct uring_loop *u, uint64_t until_us)
{
	struct __kernel_timespec ts;

	if (FAULT("wait.eintr"))
		return -EINTR;
	if (until_us == 0 || io_uring_cq_ready(&u->ring) > 0 || quiet_are_awaited(u))
		return io_uring_submit_and_get_events(&u->ring);
	arm_timeout(u, until_us, &ts);
	return io_uring_submit_and_wait(&u->ring, 1);
}

static void
uring_wait(struct loop *loop, uint64_t until_us)
{
	struct uring_loop *u = loop->impl;
	unsigned n;

	enable(u);
	submitted(u, submit_and_wait(u, until_us));
	loop->now_us = loop_clock_us();
	n = io_uring_cq_ready(&u->ring);
	settle_quiet(u);
	for (; n > 0; n--) {
		struct io_uring_cqe *next, cqe;

		if (io_uring_peek_cqe(&u->ring, &next) != 0)
			break;
		cqe = *next;
		/* Given back before the callback, which may submit. */
		io_uring_cq_advance(&u->ring, 1);
		completed(loop, &cqe);
	}
}

/* ---- start and end ---- */

static void *
map(size_t size)
{
	void *p =
	    mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return p;
}

#define BUF_RING_BYTES (RING_BUFS * sizeof(struct io_uring_buf))

static void
uring_fini(struct loop *loop)
{
	struct uring_loop *u = loop->impl;

	io_uring_queue_exit(&u->ring);
	loop_bufs_fini(loop); /* while it is still known which are the ring's */
	ASAN_UNPOISON_MEMORY_REGION(u->slots, (size_t)RING_BUFS * SLOT_BYTES);
	(void)munmap(u->slots, (size_t)RING_BUFS * SLOT_BYTES);
	(void)munmap(u->buf_ring, BUF_RING_BYTES);
	free(u->quiet);
	free(u);
}

static const struct loop_backend uring_backend = {
    .kind = LOOP_URING,
    .fini = uring_fini,
    .wait = uring_wait,
    .io_flush = uring_io_flush,
    .io_finish = uring_io_finish,
    .watch_set = uring_watch_set,
    .buf_return = uring_buf_return,
};

enum rc
loop_uring_init(struct loop *loop, struct err *e)
{
	/* Disabled at first, so that the thread that runs the loop is the one that may
	 * submit. */
	struct io_uring_params params = {
	    .flags = LOOP_URING_FLAGS | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE,
	    .cq_entries = CQ_ENTRIES,
	};
	struct uring_loop *u;
	int rc;

	if (loop_uring_probe(e) != RC_OK)
		return RC_ERR;
	u = calloc(1, sizeof *u);
	if (u == NULL)
		abort();
	rc = FAULT("ring.setup")
	    ? -ENOMEM
	    : io_uring_queue_init_params(SQ_ENTRIES, &u->ring, &params);
	if (rc < 0) {
		free(u);
		return err_set(
		    e, "0A000", BLAST_SESSION, "io_uring_setup: %s", strerror(-rc));
	}
	u->buf_ring = map(BUF_RING_BYTES);
	rc = FAULT("ring.buffers")
	    ? -ENOMEM
	    : loop_uring_register(&u->ring, u->buf_ring, RING_BUFS);
	if (rc < 0) {
		io_uring_queue_exit(&u->ring);
		(void)munmap(u->buf_ring, BUF_RING_BYTES);
		free(u);
		return err_set(e, "0A000", BLAST_SESSION, "ring of provided buffers: %s",
		    strerror(-rc));
	}
	u->slots = map((size_t)RING_BUFS * SLOT_BYTES);
	grow_ring(loop, u);
	u->wakes_us = UINT64_MAX;
	loop->impl = u;
	loop->backend = &uring_backend;
	return RC_OK;
}
