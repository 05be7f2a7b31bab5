/* The part of the event loop that epoll and io_uring share: turns, connections, mail,
 * deferred calls. */
#include "base/asan.h"
#include "base/fault.h"
#include "base/loop_impl.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Deferred calls and callbacks at the end of a turn may cause more of their kind; what is
 * left after so many rounds waits for the next turn, which looks at the sockets before.
 */
#define END_ROUNDS 16
/* What is thrown away unread when a connection is closed, so that the peer gets our last
 * bytes and not a reset. */
#define CLOSE_DRAIN_BYTES (64 * 1024)

uint64_t
loop_clock_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t
loop_now_us(const struct loop *loop)
{
	return loop->now_us;
}

/* ---- mail ---- */

static void
wake(struct loop *loop)
{
	uint64_t one = 1;

	/* EAGAIN means that it is awake already. */
	while (write(loop->wake.fd, &one, sizeof one) < 0 && errno == EINTR)
		;
}

static void
wake_ready(struct watch *w)
{
	uint64_t n;

	while (read(w->fd, &n, sizeof n) < 0 && errno == EINTR)
		;
}

void
loop_post(struct loop *loop, struct mail *m)
{
	struct mail *old = atomic_load_explicit(&loop->mail, memory_order_relaxed);

	do {
		m->next = old;
	} while (!atomic_compare_exchange_weak_explicit(
	    &loop->mail, &old, m, memory_order_release, memory_order_relaxed));
	if (old == NULL)
		wake(loop);
}

static void
deliver_mail(struct loop *loop)
{
	struct mail *m, *first = NULL;

	if (atomic_load_explicit(&loop->mail, memory_order_relaxed) == NULL)
		return;
	m = atomic_exchange_explicit(&loop->mail, NULL, memory_order_acquire);
	while (m != NULL) {
		struct mail *next = m->next;

		m->next = first;
		first = m;
		m = next;
	}
	while (first != NULL) {
		m = first;
		first = m->next;
		m->deliver(m);
	}
}

void
loop_stop(struct loop *loop)
{
	atomic_store(&loop->stop, true);
	wake(loop);
}

/* ---- deferred calls ---- */

void
deferred_init(struct deferred *d, void (*run)(struct deferred *))
{
	list_init(&d->node);
	d->run = run;
}

void
loop_defer(struct loop *loop, struct deferred *d)
{
	if (list_empty(&d->node))
		list_push_back(&loop->deferred, &d->node);
}

void
deferred_cancel(struct deferred *d)
{
	list_remove(&d->node);
}

/* Moves all of a list, so that what is added meanwhile waits for the next round. */
static void
list_take(struct list *from, struct list *into)
{
	list_init(into);
	if (list_empty(from))
		return;
	*into = *from;
	into->next->prev = into;
	into->prev->next = into;
	list_init(from);
}

static void
run_deferred(struct loop *loop)
{
	struct list now, *n;

	list_take(&loop->deferred, &now);
	while ((n = list_pop_front(&now)) != NULL) {
		struct deferred *d = LIST_ENTRY(n, struct deferred, node);

		d->run(d);
	}
}

/* ---- turns ---- */

static void
flush_io(struct io *io)
{
	/* Output failed while it was read; now that it is not, nothing else would tell.
	 */
	if ((io->flags & IO_OUT_FAILED) &&
	    !(io->flags & (IO_READING | IO_ENDED | IO_CLOSING)))
		loop_io_ended(io, loop_io_extra(io)->error);
	if (!(io->flags & IO_FINISHING))
		io->loop->backend->io_flush(io);
}

static void
flush_dirty(struct loop *loop)
{
	struct list now, *n;

	list_take(&loop->dirty, &now);
	while ((n = list_pop_front(&now)) != NULL)
		flush_io(LIST_ENTRY(n, struct io, dirty));
}

static void
finish_ios(struct loop *loop)
{
	struct list now, *n;

	list_take(&loop->finishing, &now);
	while ((n = list_pop_front(&now)) != NULL)
		loop->backend->io_finish(LIST_ENTRY(n, struct io, dirty));
}

static bool
is_quiet(const struct loop *loop)
{
	return list_empty(&loop->deferred) && list_empty(&loop->dirty) &&
	    list_empty(&loop->finishing);
}

static void
turn(struct loop *loop)
{
	loop->turns++;
	loop->backend->wait(loop, is_quiet(loop) ? wheel_next_us(&loop->wheel) : 0);
	deliver_mail(loop);
	wheel_run(&loop->wheel, loop->now_us);
	for (int i = 0; i < END_ROUNDS; i++) {
		run_deferred(loop);
		flush_dirty(loop);
		finish_ios(loop);
		if (is_quiet(loop))
			break;
	}
	loop_listeners_reap(loop, false);
}

void
loop_run(struct loop *loop)
{
	while (!atomic_load(&loop->stop))
		turn(loop);
	atomic_store(&loop->stop, false);
}

/* ---- connections ---- */

struct io_extra *
loop_io_extra(struct io *io)
{
	struct io_extra *x = io->loop_data;

	if (x == NULL) {
		x = slab_alloc(&io->loop->extras);
		x->io = io;
		timer_init(&x->linger, NULL);
		io->loop_data = x;
	}
	return x;
}

static int
saved_error(const struct io *io)
{
	const struct io_extra *x = io->loop_data;

	return x == NULL ? 0 : x->error;
}

void
loop_io_dirty(struct io *io)
{
	if (!(io->flags & IO_FINISHING) && list_empty(&io->dirty))
		list_push_back(&io->loop->dirty, &io->dirty);
}

void
io_open(struct io *io, struct loop *loop, int fd, const struct io_ops *ops)
{
	io->ops = ops;
	io->loop = loop;
	io->fd = fd;
	io->flags = io->flags2 = 0;
	io->generation++;
	io->low_water = 0;
	io->out_bytes = 0;
	io->out_head = io->out_tail = NULL;
	list_init(&io->dirty);
	io->loop_data = NULL;
	loop_io_dirty(io);
}

bool
io_reading(const struct io *io)
{
	return (io->flags & IO_READING) != 0;
}

void
io_read_start(struct io *io)
{
	if (io->flags & (IO_READING | IO_ENDED | IO_CLOSING | IO_DETACHING))
		return;
	io->flags |= IO_READING;
	loop_io_dirty(io);
}

void
io_read_stop(struct io *io)
{
	if (!(io->flags & IO_READING))
		return;
	io->flags &= (uint8_t)~IO_READING;
	loop_io_dirty(io);
}

void
io_write_buf(struct io *io, struct buf *b, uint32_t off, uint32_t len)
{
	assert(b->loop == io->loop);
	assert(off <= b->cap && len <= b->cap - off);
	if (len == 0 || (io->flags & (IO_OUT_FAILED | IO_CLOSING | IO_DETACHING)))
		return;
	assert(io->out_bytes <= UINT32_MAX - len);
	loop_out_push(io->loop, &io->out_head, &io->out_tail, b, off, len);
	io->out_bytes += len;
	if (io->out_bytes > io->low_water)
		io->flags |= IO_ABOVE;
	if (!(io->flags & IO_BLOCKED))
		loop_io_dirty(io);
}

unsigned
loop_io_iov(const struct io *io, struct iovec *iov, size_t *bytes)
{
	unsigned n = 0;

	*bytes = 0;
	for (struct io_out *o = io->out_head; o != NULL && n < LOOP_IOV_MAX;
	     o = o->next) {
		iov[n].iov_base = o->buf->data + o->off;
		iov[n++].iov_len = o->len;
		*bytes += o->len;
	}
	return n;
}

/* io_uring may still be reading from the pieces of a send in flight: they stay until its
 * completion. */
void
loop_io_drop_output(struct io *io)
{
	io->out_bytes = 0;
	io->flags &= (uint8_t)~IO_ABOVE;
	if (io->loop->backend->kind == LOOP_URING && (io->flags & IO_BLOCKED))
		return;
	while (io->out_head != NULL)
		loop_out_pop(io->loop, &io->out_head, &io->out_tail);
}

/* Nothing more is sent. The backend forgets the io at the end of the turn. */
static void
finish(struct io *io)
{
	if (io->flags & IO_FINISHING)
		return;
	loop_io_drop_output(io);
	list_remove(&io->dirty);
	io->flags |= IO_FINISHING;
	list_push_back(&io->loop->finishing, &io->dirty);
}

static void
linger_is_over(struct timer *t)
{
	finish(LIST_ENTRY(t, struct io_extra, linger)->io);
}

void
io_close(struct io *io, unsigned linger_ms)
{
	bool again = (io->flags & IO_CLOSING) != 0;

	io->flags |= IO_CLOSING;
	io->flags &= (uint8_t) ~(IO_READING | IO_DETACHING);
	if (io->flags & IO_FINISHING)
		return;
	if (linger_ms == 0 || io->out_bytes == 0) {
		if (linger_ms > 0)
			loop_io_extra(io)->lingers = true;
		finish(io);
	} else if (!again) {
		struct io_extra *x = loop_io_extra(io);

		x->lingers = true;
		x->linger.fire = linger_is_over;
		timer_start(io->loop, &x->linger, linger_ms);
		loop_io_dirty(io);
	}
}

void
io_detach(struct io *io)
{
	assert(io->out_bytes == 0 && !(io->flags & (IO_CLOSING | IO_DETACHING)));
	io->flags |= IO_DETACHING;
	finish(io);
}

/* What the peer sent and nobody reads would turn our end into a reset, which may overtake
 * our last bytes. */
static void
end_politely(struct io *io)
{
	uint32_t off;
	ssize_t n;

	if (shutdown(io->fd, SHUT_WR) < 0)
		return;
	for (size_t left = CLOSE_DRAIN_BYTES; left > 0; left -= (size_t)n) {
		struct buf *b = loop_recv_room(io->loop, &off);
		size_t room = b->cap - off < left ? b->cap - off : left;

		n = recv(io->fd, b->data + off, room, MSG_DONTWAIT);
		if (n <= 0)
			return;
	}
}

void
loop_io_done(struct io *io)
{
	struct loop *loop = io->loop;
	struct io_extra *x = io->loop_data;
	bool lingers = x != NULL && x->lingers;

	assert(io->out_head == NULL);
	if (x != NULL) {
		timer_stop(&x->linger);
		while (x->held != NULL)
			loop_out_pop(loop, &x->held, &x->held_tail);
		slab_free(&loop->extras, x);
		io->loop_data = NULL;
	}
	if (io->flags & IO_CLOSING) {
		if (lingers)
			end_politely(io);
		(void)close(io->fd);
		io->fd = -1;
	}
	io->ops->closed(io);
}

/* After bytes left the queue, one way or the other. */
static void
output_shrank(struct io *io)
{
	if (io->flags & IO_CLOSING) {
		if (io->out_bytes == 0)
			finish(io);
	} else if ((io->flags & IO_ABOVE) && io->out_bytes <= io->low_water) {
		io->flags &= (uint8_t)~IO_ABOVE;
		io->ops->drained(io);
	}
}

void
loop_io_sent(struct io *io, size_t n)
{
	io->loop->bytes_sent += n;
	io->out_bytes -= (uint32_t)n;
	while (n > 0) {
		struct io_out *o = io->out_head;

		if (n < o->len) {
			o->off += (uint32_t)n;
			o->len -= (uint32_t)n;
			break;
		}
		n -= o->len;
		loop_out_pop(io->loop, &io->out_head, &io->out_tail);
	}
	output_shrank(io);
}

/* Of a single piece, as most output is, by the cheaper call. */
static ssize_t
send_once(struct io *io, size_t *bytes)
{
	const struct io_out *o = io->out_head;
	struct iovec iov[LOOP_IOV_MAX];
	struct msghdr msg = {.msg_iov = iov};

	*bytes = o->len;
	if (FAULT("send.eintr")) {
		errno = EINTR;
		return -1;
	}
	if (FAULT("send.short"))
		return send(
		    io->fd, o->buf->data + o->off, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (o->next == NULL)
		return send(
		    io->fd, o->buf->data + o->off, o->len, MSG_NOSIGNAL | MSG_DONTWAIT);
	msg.msg_iovlen = loop_io_iov(io, iov, bytes);
	return sendmsg(io->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

enum loop_sent
loop_io_send(struct io *io)
{
	size_t bytes;
	ssize_t n;

	io->loop->sends++;
	do
		n = send_once(io, &bytes);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN) {
		loop_io_send_failed(io, errno);
		return LOOP_FAILED;
	}
	if (n > 0)
		loop_io_sent(io, (size_t)n);
	return n == (ssize_t)bytes ? LOOP_SENT : LOOP_FULL;
}

/* The peer's last words may still wait to be read (a server says why it ends), so while
 * the io reads `ended` comes behind them. */
void
loop_io_send_failed(struct io *io, int error)
{
	bool owed = (io->flags & IO_ABOVE) != 0;

	loop_io_drop_output(io);
	io->flags |= IO_OUT_FAILED;
	if (io->flags & IO_CLOSING) {
		finish(io);
	} else if (io->flags & IO_ENDED) {
		/* There is no second `ended`; whoever waits for room learns of the error
		 * when closing. */
		if (owed)
			io->ops->drained(io);
	} else if (io->flags & IO_READING) {
		loop_io_extra(io)->error = error;
		(void)shutdown(io->fd, SHUT_RD);
	} else {
		loop_io_ended(io, error);
	}
}

void
loop_io_ended(struct io *io, int error)
{
	if (io->flags & (IO_ENDED | IO_CLOSING | IO_DETACHING))
		return;
	if (saved_error(io) != 0)
		error = saved_error(io);
	io->flags |= IO_ENDED;
	io->flags &= (uint8_t)~IO_READING;
	if (error != 0) {
		io->flags |= IO_OUT_FAILED;
		loop_io_drop_output(io);
	}
	loop_io_dirty(io);
	io->ops->ended(io, error);
}

void
loop_io_received(struct io *io, struct buf *b, uint32_t off, uint32_t len)
{
	struct loop *loop = io->loop;

	loop->bytes_received += len;
	loop->recv_off = off + len;
	io->ops->received(io, b, off, len);
#if defined(WEIR_ASAN)
	/* A use of bytes that were not kept shall be seen. */
	if (loop->recv_buf != NULL)
		buf_unref(loop->recv_buf);
	loop->recv_buf = NULL;
#endif
}

/* Bytes that were not read yet wait until reading goes on, and the end behind them. */
void
loop_io_hung_up(struct io *io)
{
	const struct io_extra *x = io->loop_data;
	int error = 0;
	socklen_t len = sizeof error;
	char c;

	if (io->flags & (IO_ENDED | IO_CLOSING | IO_DETACHING))
		return;
	if (getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0)
		loop_io_ended(io, error);
	else if ((x == NULL || x->held == NULL) &&
	    recv(io->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		loop_io_ended(io, 0);
}

/* ---- the loop ---- */

static enum rc
choose(struct loop *loop, enum loop_kind kind, struct err *e)
{
	enum rc rc;

	if (kind == LOOP_EPOLL) {
		snprintf(loop->reason, sizeof loop->reason, "epoll was asked for");
		return loop_epoll_init(loop, e);
	}
	rc = loop_uring_init(loop, e);
	if (rc == RC_OK) {
		snprintf(loop->reason, sizeof loop->reason, "%s",
		    kind == LOOP_URING ? "io_uring was asked for"
				       : "the kernel has all that is needed");
		return RC_OK;
	}
	if (kind == LOOP_URING)
		return rc;
	snprintf(loop->reason, sizeof loop->reason, "no io_uring: %.150s", e->msg);
	return loop_epoll_init(loop, e);
}

enum rc
loop_create(struct loop **out, enum loop_kind kind, struct err *e)
{
	struct loop *loop = calloc(1, sizeof *loop);
	enum rc rc;

	if (loop == NULL)
		abort();
	list_init(&loop->dirty);
	list_init(&loop->finishing);
	list_init(&loop->deferred);
	list_init(&loop->dead_listeners);
	slab_init(&loop->outs, sizeof(struct io_out));
	slab_init(&loop->extras, sizeof(struct io_extra));
	loop->now_us = loop_clock_us();
	wheel_init(&loop->wheel, loop->now_us);
	loop->wake.ready = wake_ready;
	loop->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (loop->wake.fd < 0)
		rc = err_set(
		    e, "58000", BLAST_SESSION, "cannot make an eventfd: errno %d", errno);
	else
		rc = choose(loop, kind, e);
	if (rc != RC_OK) {
		if (loop->wake.fd >= 0)
			(void)close(loop->wake.fd);
		free(loop);
		return rc;
	}
	loop->backend->watch_set(loop, &loop->wake, true);
	*out = loop;
	return RC_OK;
}

/* Connections are their owners' to close before; what an open one still has queued is
 * leaked, not touched. */
void
loop_destroy(struct loop *loop)
{
	loop->backend->fini(loop);
	loop_listeners_reap(loop, true);
	loop_bufs_fini(loop);
	(void)close(loop->wake.fd);
	if (loop->outs.live == 0)
		slab_fini(&loop->outs);
	if (loop->extras.live == 0)
		slab_fini(&loop->extras);
	free(loop);
}

enum loop_kind
loop_kind(const struct loop *loop)
{
	return loop->backend->kind;
}

const char *
loop_kind_reason(const struct loop *loop)
{
	return loop->reason;
}

/* The two buffers that the loop itself fills count as live while somebody else holds
 * them. */
void
loop_stats(const struct loop *loop, struct loop_stats *s)
{
	*s = (struct loop_stats){
	    .turns = loop->turns,
	    .bytes_received = loop->bytes_received,
	    .bytes_sent = loop->bytes_sent,
	    .sends = loop->sends,
	    .receives = loop->receives,
	    .enobufs = loop->enobufs,
	    .bufs_live = loop->n_bufs - loop->n_free,
	    .bufs_free = loop->n_free,
	};
	if (loop->recv_buf != NULL && loop->recv_buf->refs == 1)
		s->bufs_live--;
	if (loop->copy_buf != NULL && loop->copy_buf->refs == 1)
		s->bufs_live--;
}
