/* The event loop on epoll, level-triggered. The kernel's interest set is changed lazily:
 * reading that stops and starts again before the peer sends anything costs no system
 * call, and EPOLLOUT is asked for only after the socket was full. An io that waits for
 * nothing is registered one-shot, so a hang-up (which cannot be masked) wakes the loop
 * once and not for ever. */
#include "base/fault.h"
#include "base/loop_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_PER_TURN 256
/* A fast reader of a long queue lets others have their turn. */
#define SENDS_PER_FLUSH 16

/* io->flags2: what the kernel was told */
enum { EP_ADDED = 1, EP_IN = 2, EP_OUT = 4, EP_REFUSED = 8 };

/* epoll_data: a pointer, whose lowest bit is set for a watch */
#define WATCH_BIT ((uintptr_t)1)
#define TIMER     ((uintptr_t)3)

struct epoll_loop {
	int fd;
	int timer; /* stays armed over many turns, so that a wait costs no timer */
	uint64_t wakes_us; /* when it ends a wait; UINT64_MAX: it is not armed */
	struct epoll_event events[EVENTS_PER_TURN];
};

static void
set_interest(struct io *io, uint8_t want)
{
	struct epoll_loop *ep = io->loop->impl;
	struct epoll_event ev = {.data.ptr = io};
	int op = (io->flags2 & EP_ADDED) ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

	ev.events = (want & EP_IN ? EPOLLIN : 0u) | (want & EP_OUT ? EPOLLOUT : 0u);
	if (ev.events == 0)
		ev.events = EPOLLONESHOT;
	io->flags2 = EP_ADDED | want;
	if (epoll_ctl(ep->fd, op, io->fd, &ev) < 0) {
		if (op == EPOLL_CTL_ADD)
			io->flags2 = EP_REFUSED;
		loop_io_send_failed(io, errno);
		io->flags &= (uint8_t)~IO_READING;
		loop_io_dirty(io);
	}
}

/* lazy: reading that is not wanted any more may stay registered. */
static void
update_interest(struct io *io, bool lazy)
{
	uint8_t want =
	    (loop_io_wants_read(io) ? EP_IN : 0) | (io->flags & IO_BLOCKED ? EP_OUT : 0);
	uint8_t have = io->flags2 & (EP_IN | EP_OUT);

	if (io->flags2 & EP_ADDED) {
		if (want == have || (lazy && (want | EP_IN) == have))
			return;
	} else if (io->flags2 & EP_REFUSED) {
		return;
	}
	set_interest(io, want);
}

/* Sends until the queue is empty, the socket full, or others should have their turn. */
static void
send_output(struct io *io)
{
	for (int i = 0; io->out_head != NULL && !(io->flags & IO_FINISHING); i++) {
		if (i == SENDS_PER_FLUSH) {
			loop_io_dirty(io);
			return;
		}
		switch (loop_io_send(io)) {
		case LOOP_SENT:
			break;
		case LOOP_FULL:
			io->flags |= IO_BLOCKED;
			return;
		case LOOP_FAILED:
			return;
		}
	}
}

static void
epoll_io_flush(struct io *io)
{
	if (!(io->flags & IO_BLOCKED))
		send_output(io);
	if (!(io->flags & IO_FINISHING))
		update_interest(io, true);
}

static void
epoll_io_finish(struct io *io)
{
	struct epoll_loop *ep = io->loop->impl;

	if (io->flags2 & EP_ADDED)
		(void)epoll_ctl(ep->fd, EPOLL_CTL_DEL, io->fd, NULL);
	loop_io_done(io);
}

/* One receive a turn: what did not fit waits for the next. */
static void
receive(struct io *io, uint32_t events)
{
	uint32_t off;
	struct buf *b = loop_recv_room(io->loop, &off);
	ssize_t n;

	io->loop->receives++;
	do
		if (FAULT("recv.eintr"))
			errno = EINTR, n = -1;
		else
			n = recv(io->fd, b->data + off, b->cap - off, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		loop_io_received(io, b, off, (uint32_t)n);
	else if (n == 0)
		loop_io_ended(io, 0);
	else if (errno != EAGAIN)
		loop_io_ended(io, errno);
	else if (events & (EPOLLERR | EPOLLHUP))
		loop_io_hung_up(io);
}

static void
io_event(struct io *io, uint32_t events)
{
	if (io->flags & IO_FINISHING)
		return;
	if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) && (io->flags & IO_BLOCKED)) {
		io->flags &= (uint8_t)~IO_BLOCKED;
		loop_io_dirty(io);
	}
	if (loop_io_wants_read(io)) {
		if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
			receive(io, events);
		return;
	}
	if (io->flags2 & EP_IN)
		update_interest(io, false);
	if (events & (EPOLLERR | EPOLLHUP))
		loop_io_hung_up(io);
}

static void
watch_event(struct watch *w)
{
	if (w->on)
		w->ready(w);
}

static void
arm_timer(struct epoll_loop *ep, uint64_t at_us)
{
	struct itimerspec at = {.it_value = {.tv_sec = (time_t)(at_us / 1000000),
				    .tv_nsec = (long)(at_us % 1000000 * 1000)}};

	if (at_us >= ep->wakes_us)
		return;
	ep->wakes_us = at_us;
	if (timerfd_settime(ep->timer, TFD_TIMER_ABSTIME, &at, NULL) < 0)
		abort();
}

static void
epoll_wait_turn(struct loop *loop, uint64_t until_us)
{
	struct epoll_loop *ep = loop->impl;
	int n;

	arm_timer(ep, until_us == 0 ? UINT64_MAX : until_us);
	if (FAULT("wait.eintr"))
		n = -1;
	else
		n = epoll_wait(
		    ep->fd, ep->events, EVENTS_PER_TURN, until_us == 0 ? 0 : -1);
	loop->now_us = loop_clock_us();
	for (int i = 0; i < n; i++) {
		uintptr_t p = (uintptr_t)ep->events[i].data.ptr;

		if (p == TIMER)
			ep->wakes_us = UINT64_MAX;
		else if (p & WATCH_BIT)
			watch_event((struct watch *)(p & ~WATCH_BIT));
		else
			io_event((struct io *)p, ep->events[i].events);
	}
}

static void
epoll_watch_set(struct loop *loop, struct watch *w, bool on)
{
	struct epoll_loop *ep = loop->impl;
	struct epoll_event ev = {
	    .events = EPOLLIN, .data.ptr = (void *)((uintptr_t)w | WATCH_BIT)};

	if (w->on == on)
		return;
	w->on = on;
	if (epoll_ctl(ep->fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, w->fd, &ev) < 0 && on)
		w->on = false;
	w->armed = false;
}

static void
epoll_fini(struct loop *loop)
{
	struct epoll_loop *ep = loop->impl;

	(void)close(ep->timer);
	(void)close(ep->fd);
	free(ep);
}

static const struct loop_backend epoll_backend = {
    .kind = LOOP_EPOLL,
    .fini = epoll_fini,
    .wait = epoll_wait_turn,
    .io_flush = epoll_io_flush,
    .io_finish = epoll_io_finish,
    .watch_set = epoll_watch_set,
};

enum rc
loop_epoll_init(struct loop *loop, struct err *e)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = (void *)TIMER};
	struct epoll_loop *ep = calloc(1, sizeof *ep);

	if (ep == NULL)
		abort();
	ep->wakes_us = UINT64_MAX;
	ep->fd = epoll_create1(EPOLL_CLOEXEC);
	ep->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ep->fd < 0 || ep->timer < 0 ||
	    epoll_ctl(ep->fd, EPOLL_CTL_ADD, ep->timer, &ev) < 0) {
		int error = errno;

		if (ep->fd >= 0)
			(void)close(ep->fd);
		if (ep->timer >= 0)
			(void)close(ep->timer);
		free(ep);
		return err_set(e, "58000", BLAST_SESSION,
		    "cannot make an epoll descriptor: %s", strerror(error));
	}
	loop->impl = ep;
	loop->backend = &epoll_backend;
	return RC_OK;
}
