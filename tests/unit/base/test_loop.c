/* The event loop's contract, for both of its kinds: every test runs under epoll and,
 * where the kernel has it, under io_uring. The other end of each connection is a plain
 * blocking or non-blocking socket of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/loop.h"

static enum loop_kind kind;
static struct loop *loop;

/* One end in the loop, the other (fd) in the test's hands. */
struct end {
	struct io io;
	int fd;
	struct {
		unsigned char *data;
		size_t len, cap;
	} got;
	int ended, error, closed, drained;
	size_t got_when_ended;
	void (*on_received)(struct end *);
	void (*on_ended)(struct end *);
	void (*on_closed)(struct end *);
	struct end *forward; /* what is received is written there by reference */
	bool keep;           /* holds a reference to each buffer received */
	struct buf *kept[4096];
	int n_kept;
};

static struct end *
end_of(struct io *io)
{
	return LIST_ENTRY(io, struct end, io);
}

static void
on_received(struct io *io, struct buf *b, uint32_t off, uint32_t len)
{
	struct end *e = end_of(io);

	assert_true(len > 0 && off + len <= b->cap);
	assert_int_equal(e->ended, 0);
	assert_int_equal(e->closed, 0);
	if (e->got.len + len > e->got.cap) {
		e->got.cap = (e->got.len + len) * 2;
		e->got.data = realloc(e->got.data, e->got.cap);
	}
	memcpy(e->got.data + e->got.len, b->data + off, len);
	e->got.len += len;
	if (e->keep) {
		assert_true(e->n_kept < 4096);
		buf_ref(b);
		e->kept[e->n_kept++] = b;
	}
	if (e->forward != NULL)
		io_write_buf(&e->forward->io, b, off, len);
	if (e->on_received != NULL)
		e->on_received(e);
}

static void
on_drained(struct io *io)
{
	assert_true(io_queued(io) <= io->low_water);
	end_of(io)->drained++;
}

static void
on_ended(struct io *io, int error)
{
	struct end *e = end_of(io);

	e->ended++;
	e->error = error;
	e->got_when_ended = e->got.len;
	if (e->on_ended != NULL)
		e->on_ended(e);
}

static void
on_closed(struct io *io)
{
	struct end *e = end_of(io);

	e->closed++;
	if (e->on_closed != NULL)
		e->on_closed(e);
}

static const struct io_ops ops = {on_received, on_drained, on_ended, on_closed};

/* ---- running ---- */

static struct timer ticker;
static bool (*awaited)(void *);
static void *awaited_arg;
static int ticks_left;

static void
tick(struct timer *t)
{
	if ((awaited != NULL && awaited(awaited_arg)) || --ticks_left <= 0)
		loop_stop(loop);
	else
		timer_start(loop, t, 1);
}

static bool
run_until(bool (*cond)(void *), void *arg)
{
	awaited = cond;
	awaited_arg = arg;
	ticks_left = 20000;
	timer_init(&ticker, tick);
	timer_start(loop, &ticker, 0);
	loop_run(loop);
	return cond(arg);
}

static void
run_ms(int ms)
{
	awaited = NULL;
	ticks_left = ms;
	timer_init(&ticker, tick);
	timer_start(loop, &ticker, 0);
	loop_run(loop);
}

static bool
has_ended(void *arg)
{
	return ((struct end *)arg)->ended > 0;
}

static bool
has_closed(void *arg)
{
	return ((struct end *)arg)->closed > 0;
}

static bool
has_drained(void *arg)
{
	return io_queued(&((struct end *)arg)->io) == 0;
}

struct want {
	struct end *e;
	size_t len;
};

static bool
has_got(void *arg)
{
	const struct want *w = arg;

	return w->e->got.len >= w->len;
}

static bool
run_until_got(struct end *e, size_t len)
{
	struct want w = {e, len};

	return run_until(has_got, &w);
}

/* ---- connections ---- */

static void
tcp_pair(int fds[2])
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&a, sizeof a), 0);
	fds[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fds[1] >= 0);
	close(l);
}

static bool use_unix;

static struct end *
open_end(void)
{
	struct end *e = calloc(1, sizeof *e);
	int fds[2];

	if (use_unix)
		assert_int_equal(
		    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	else
		tcp_pair(fds);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	e->fd = fds[1];
	io_open(&e->io, loop, fds[0], &ops);
	assert_false(io_reading(&e->io));
	return e;
}

static void
free_end(struct end *e)
{
	if (e->closed == 0) {
		io_close(&e->io, 0);
		assert_true(run_until(has_closed, e));
	}
	for (int i = 0; i < e->n_kept; i++)
		buf_unref(e->kept[i]);
	assert_int_equal(e->closed, 1);
	if (e->fd >= 0)
		close(e->fd);
	free(e->got.data);
	free(e);
}

static void
reset_peer(struct end *e)
{
	struct linger l = {1, 0};

	setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(e->fd);
	e->fd = -1;
}

static void
peer_says(struct end *e, const char *s)
{
	assert_int_equal(write(e->fd, s, strlen(s)), strlen(s));
}

static void
assert_got(const struct end *e, const char *s)
{
	assert_int_equal(e->got.len, strlen(s));
	assert_memory_equal(e->got.data, s, strlen(s));
}

static void
assert_peer_reads(struct end *e, const char *s)
{
	char got[256];
	size_t n = 0, want = strlen(s);

	while (n < want) {
		ssize_t r = recv(e->fd, got + n, want - n, 0);

		assert_true(r > 0);
		n += (size_t)r;
	}
	assert_memory_equal(got, s, want);
}

static void
fill(unsigned char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)((i * 31 + (i >> 8) * 7 + seed) & 0xff);
}

static int
setup(void **state)
{
	struct err e;

	(void)state;
	if (loop_create(&loop, kind, &e) != RC_OK) {
		fprintf(stderr, "%s\n", e.msg);
		loop = NULL;
		return -1;
	}
	return 0;
}

static int
teardown(void **state)
{
	struct loop_stats s;

	(void)state;
	run_ms(3);
	loop_stats(loop, &s);
	assert_int_equal(s.bufs_live, 0);
	loop_destroy(loop);
	return 0;
}

/* ---- the tests ---- */

static void
test_receive_and_write(void **state)
{
	struct end *e = open_end();

	(void)state;
	assert_int_equal(loop_kind(loop), kind);
	assert_true(strlen(loop_kind_reason(loop)) > 0);
	peer_says(e, "hello");
	run_ms(5);
	assert_got(e, ""); /* reading is off */
	io_read_start(&e->io);
	assert_true(io_reading(&e->io));
	assert_got(e, ""); /* never from inside the call */
	assert_true(run_until_got(e, 5));
	assert_got(e, "hello");
	io_write(&e->io, "wor", 3);
	io_write(&e->io, "ld", 2);
	assert_int_equal(io_queued(&e->io), 5);
	assert_true(run_until(has_drained, e));
	assert_peer_reads(e, "world");
	assert_true(e->drained > 0);
	free_end(e);
}

static void
test_orderly_end_leaves_output(void **state)
{
	struct end *e = open_end();

	(void)state;
	peer_says(e, "bye");
	shutdown(e->fd, SHUT_WR);
	io_read_start(&e->io);
	assert_true(run_until(has_ended, e));
	assert_int_equal(e->error, 0);
	assert_got(e, "bye");
	io_write(&e->io, "you too", 7);
	assert_true(run_until(has_drained, e));
	assert_peer_reads(e, "you too");
	io_read_start(&e->io);
	assert_false(io_reading(&e->io));
	run_ms(5);
	assert_int_equal(e->ended, 1);
	free_end(e);
}

/* An end that came while reading is stopped waits, with the bytes before it. */
static void
test_orderly_end_while_stopped(void **state)
{
	struct end *e = open_end();

	(void)state;
	io_read_start(&e->io);
	run_ms(2);
	io_read_stop(&e->io);
	run_ms(2);
	peer_says(e, "last words");
	shutdown(e->fd, SHUT_WR);
	run_ms(10);
	assert_int_equal(e->ended, 0);
	assert_got(e, "");
	io_read_start(&e->io);
	assert_true(run_until(has_ended, e));
	assert_got(e, "last words");
	assert_int_equal(e->error, 0);
	free_end(e);
}

static void
test_reset(void **state)
{
	(void)state;
	for (int reading = 0; reading < 3; reading++) {
		struct end *e = open_end();

		if (reading > 0)
			io_read_start(&e->io);
		run_ms(2);
		if (reading == 2)
			io_read_stop(&e->io);
		run_ms(2);
		reset_peer(e);
		assert_true(run_until(has_ended, e));
		assert_int_equal(e->error, ECONNRESET);
		run_ms(3);
		assert_int_equal(e->ended, 1);
		io_write(&e->io, "x", 1);
		assert_int_equal(io_queued(&e->io), 0);
		free_end(e);
	}
}

static uint64_t
turns(void)
{
	struct loop_stats s;

	loop_stats(loop, &s);
	return s.turns;
}

/* A peer that is gone does not keep the loop busy, whatever the io waits for. */
static void
test_no_spinning(void **state)
{
	(void)state;
	for (int how = 0; how < 12; how++) {
		struct end *e;
		uint64_t before;

		use_unix = how >= 6;
		e = open_end();
		io_read_start(&e->io);
		run_ms(2);
		io_read_stop(&e->io);
		run_ms(2);
		if (how % 2)
			peer_says(e, "unread");
		if (how % 6 / 2 == 0)
			shutdown(e->fd, SHUT_WR);
		else if (how % 6 / 2 == 1)
			reset_peer(e);
		else {
			close(e->fd);
			e->fd = -1;
		}
		before = turns();
		run_ms(30);
		assert_true(turns() - before < 60);
		if (e->ended == 0) {
			io_read_start(&e->io);
			assert_true(run_until(has_ended, e));
			assert_int_equal(e->got.len, how % 2 ? 6 : 0);
		}
		before = turns();
		run_ms(30);
		assert_true(turns() - before < 60);
		assert_int_equal(e->ended, 1);
		free_end(e);
	}
	use_unix = false;
}

/* What the peer said before it went is read though writing to it failed. */
static void
test_last_words_before_write_error(void **state)
{
	struct end *e = open_end();

	(void)state;
	peer_says(e, "FATAL: ");
	peer_says(e, "the reason");
	io_write(&e->io, "query", 5);
	assert_true(run_until(has_drained, e));
	close(e->fd); /* with our bytes unread: a reset */
	e->fd = -1;
	io_write(&e->io, "more", 4);
	io_read_start(&e->io);
	assert_true(run_until(has_ended, e));
	assert_true(e->error == EPIPE || e->error == ECONNRESET);
	run_ms(3);
	assert_int_equal(e->ended, 1);
	free_end(e);
}

static void
test_write_error_while_stopped(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct end *e;

		use_unix = i == 1;
		e = open_end();
		run_ms(1);
		close(e->fd);
		e->fd = -1;
		for (int j = 0; j < 20 && e->ended == 0; j++) {
			io_write(&e->io, "more", 4);
			run_ms(2);
		}
		assert_int_equal(e->ended, 1);
		free_end(e);
	}
	use_unix = false;
}

/* Megabytes through a small socket, in pieces of many sizes, to a slow peer. */
static void
test_bulk_output(void **state)
{
	enum { SIZE = 6 << 20 };
	static unsigned char out[SIZE], in[SIZE];
	struct end *e = open_end();
	size_t sent = 0, got = 0;

	(void)state;
	fill(out, SIZE, 1);
	fcntl(e->fd, F_SETFL, O_NONBLOCK);
	e->io.low_water = 10000;
	for (int i = 0; got < SIZE; i++) {
		assert_true(i < 100000);
		while (sent < SIZE && io_queued(&e->io) < 300000) {
			size_t n = (size_t)rand() %
				(i % 3 == 0          ? 100
					: i % 3 == 1 ? 9000
						     : 200000) +
			    1;

			if (n > SIZE - sent)
				n = SIZE - sent;
			if (i % 2) {
				struct buf *b = buf_create(loop, n);

				assert_true(b->cap >= n);
				memcpy(b->data, out + sent, n);
				io_write_buf(&e->io, b, 0, (uint32_t)(n / 2));
				io_write_buf(
				    &e->io, b, (uint32_t)(n / 2), (uint32_t)(n - n / 2));
				buf_unref(b);
			} else {
				io_write(&e->io, out + sent, n);
			}
			sent += n;
		}
		run_ms(1);
		for (ssize_t n; got < SIZE &&
		     (n = recv(e->fd, in + got, SIZE - got < 300000 ? SIZE - got : 300000,
			  0)) > 0;)
			got += (size_t)n;
	}
	assert_memory_equal(out, in, SIZE);
	assert_true(e->drained > 5);
	assert_true(run_until(has_drained, e));
	free_end(e);
}

/* Output below the low water has no completion to wake the loop: what hangs on it must not
 * wait for the next event, which may be far. */
struct late {
	struct deferred first, second;
	struct end *e;
	bool closes;
};

static void
late_second(struct deferred *d)
{
	struct late *l = LIST_ENTRY(d, struct late, second);

	io_write(&l->e->io, "more", 4);
	if (l->closes)
		io_close(&l->e->io, 5000);
}

static void
late_first(struct deferred *d)
{
	struct late *l = LIST_ENTRY(d, struct late, first);

	io_write(&l->e->io, "first ", 6);
	loop_defer(loop, &l->second); /* behind the flush of this round */
}

static void
late_closed(struct end *e)
{
	(void)e;
	loop_stop(loop);
}

static void *
late_reader(void *arg)
{
	struct late *l = arg;

	assert_peer_reads(l->e, "first more");
	if (!l->closes)
		loop_stop(loop);
	return NULL;
}

static void
test_output_below_low_water(void **state)
{
	(void)state;
	for (int closes = 0; closes < 2; closes++) {
		struct late l = {.e = open_end(), .closes = closes != 0};
		pthread_t reader;

		l.e->io.low_water = 1 << 20;
		l.e->on_closed = closes ? late_closed : NULL;
		io_read_start(&l.e->io);
		deferred_init(&l.first, late_first);
		deferred_init(&l.second, late_second);
		alarm(60); /* no timer of the loop's, which would wake it */
		loop_defer(loop, &l.first);
		pthread_create(&reader, NULL, late_reader, &l);
		loop_run(loop);
		alarm(0);
		pthread_join(reader, NULL);
		assert_int_equal(l.e->closed, closes);
		free_end(l.e);
	}
}

/* More than the socket takes, and nobody to be told when it has left. */
static void
test_much_below_low_water(void **state)
{
	enum { SIZE = 20 << 20 };
	static unsigned char out[SIZE], in[SIZE];
	struct end *e = open_end();
	size_t got = 0;

	(void)state;
	fill(out, SIZE, 3);
	e->io.low_water = UINT32_MAX;
	for (size_t at = 0; at < SIZE; at += SIZE / 4) {
		io_write(&e->io, out + at, SIZE / 4);
		run_ms(3);
	}
	fcntl(e->fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; got < SIZE; i++) {
		ssize_t n = recv(e->fd, in + got, SIZE - got, 0);

		assert_true(i < 100000);
		if (n > 0)
			got += (size_t)n;
		else
			run_ms(1);
	}
	assert_memory_equal(out, in, SIZE);
	assert_true(run_until(has_drained, e));
	assert_int_equal(e->drained, 0);
	free_end(e);
}

struct feeder {
	int fd;
	size_t len;
	const unsigned char *data;
};

static void *
feed(void *arg)
{
	struct feeder *f = arg;

	for (size_t n = 0; n < f->len;) {
		ssize_t r = write(f->fd, f->data + n, f->len - n);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	shutdown(f->fd, SHUT_WR);
	return NULL;
}

static void
stop_after_each(struct end *e)
{
	if (rand() % 3 == 0) {
		io_read_stop(&e->io);
		if (rand() % 2)
			io_read_start(&e->io);
	}
}

/* A flood into a reader that stops and starts: nothing lost, nothing twice, the end
 * behind all. */
static void
test_bulk_input_with_stops(void **state)
{
	enum { SIZE = 8 << 20 };
	static unsigned char out[SIZE];
	struct end *e = open_end();
	struct feeder f = {e->fd, SIZE, out};
	pthread_t t;

	(void)state;
	fill(out, SIZE, 2);
	pthread_create(&t, NULL, feed, &f);
	e->on_received = stop_after_each;
	for (int i = 0; e->ended == 0; i++) {
		size_t before;

		assert_true(i < 100000);
		io_read_start(&e->io);
		run_ms(1);
		if (i % 16 == 0) {
			io_read_stop(&e->io);
			before = e->got.len;
			run_ms(2);
			/* It was stopped outside of any turn. */
			if (e->ended == 0)
				assert_int_equal(e->got.len, before);
		}
	}
	pthread_join(t, NULL);
	assert_int_equal(e->error, 0);
	assert_int_equal(e->got.len, SIZE);
	assert_memory_equal(e->got.data, out, SIZE);
	free_end(e);
}

/* A proxy's way: buffers go from one connection to another by reference. */
static void
test_forwarding(void **state)
{
	enum { SIZE = 4 << 20 };
	static unsigned char out[SIZE], in[SIZE];
	struct end *a = open_end(), *b = open_end();
	struct feeder f = {a->fd, SIZE, out};
	size_t got = 0;
	pthread_t t;

	(void)state;
	fill(out, SIZE, 3);
	pthread_create(&t, NULL, feed, &f);
	fcntl(b->fd, F_SETFL, O_NONBLOCK);
	a->forward = b;
	while (got < SIZE) {
		if (io_queued(&b->io) < 65536)
			io_read_start(&a->io);
		else
			io_read_stop(&a->io);
		run_ms(1);
		for (ssize_t n;
		     got < SIZE && (n = recv(b->fd, in + got, SIZE - got, 0)) > 0;)
			got += (size_t)n;
	}
	pthread_join(t, NULL);
	assert_memory_equal(out, in, SIZE);
	free_end(a);
	free_end(b);
}

/* Receivers that keep what they get must not starve the others. */
static void
test_hoarders(void **state)
{
	enum { HOARDERS = 12, BYTES = 100000 };
	static unsigned char out[BYTES];
	struct end *h[HOARDERS], *e = open_end();

	(void)state;
	fill(out, BYTES, 4);
	for (int i = 0; i < HOARDERS; i++) {
		h[i] = open_end();
		h[i]->keep = true;
		io_read_start(&h[i]->io);
		fcntl(h[i]->fd, F_SETFL, O_NONBLOCK);
	}
	for (size_t at = 0; at < BYTES; at += 1000) {
		for (int i = 0; i < HOARDERS; i++)
			assert_int_equal(write(h[i]->fd, out + at, 1000), 1000);
		run_ms(1);
	}
	for (int i = 0; i < HOARDERS; i++)
		assert_true(run_until_got(h[i], BYTES));
	io_read_start(&e->io);
	for (int i = 1; i <= 1000; i++) {
		peer_says(e, "ping!");
		if (i % 100 == 0)
			assert_true(run_until_got(e, (size_t)i * 5));
	}
	for (int i = 0; i < HOARDERS; i++) {
		assert_int_equal(h[i]->got.len, BYTES);
		assert_memory_equal(h[i]->got.data, out, BYTES);
		free_end(h[i]);
	}
	free_end(e);
}

/* ---- closing ---- */

static struct end *victim;

static void
close_victim_and_self(struct end *e)
{
	io_close(&victim->io, 0);
	io_close(&e->io, 0);
	assert_int_equal(e->closed, 0);
}

/* Both have events in the same turn; whoever comes first closes both. */
static void
test_close_of_others_in_a_batch(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct end *a = open_end(), *b = open_end();

		io_read_start(&a->io);
		io_read_start(&b->io);
		run_ms(1);
		a->on_received = b->on_received = close_victim_and_self;
		victim = i % 2 ? a : b;
		peer_says(a, "x");
		peer_says(b, "y");
		assert_true(run_until(has_closed, a) || victim != a);
		assert_true(run_until(has_closed, victim));
		assert_int_equal(a->got.len + b->got.len <= 2, 1);
		free_end(a);
		free_end(b);
	}
}

static void
reopen(struct end *e)
{
	/* The memory is ours again at once. */
	memset(&e->io, 0xa5, sizeof e->io);
}

static void
test_memory_is_free_in_closed(void **state)
{
	struct end *e = open_end();

	(void)state;
	e->on_closed = reopen;
	io_read_start(&e->io);
	io_write(&e->io, "abc", 3);
	run_ms(2);
	peer_says(e, "x");
	io_close(&e->io, 0);
	assert_int_equal(e->closed, 0);
	assert_true(run_until(has_closed, e));
	run_ms(5);
	free_end(e);
}

static void
close_in_ended(struct end *e)
{
	io_close(&e->io, 100);
}

static void
test_close_in_ended(void **state)
{
	struct end *e = open_end();

	(void)state;
	e->on_ended = close_in_ended;
	io_read_start(&e->io);
	close(e->fd);
	e->fd = -1;
	assert_true(run_until(has_closed, e));
	assert_int_equal(e->ended, 1);
	free_end(e);
}

/* The peer gets all that was queued and an orderly end, though it had sent what nobody
 * read. */
static void
test_linger_sends_all(void **state)
{
	enum { SIZE = 3 << 20 };
	static unsigned char out[SIZE], in[SIZE];
	struct end *e = open_end();
	size_t got = 0;
	ssize_t n;

	(void)state;
	fill(out, SIZE, 5);
	io_read_start(&e->io);
	run_ms(1);
	fcntl(e->fd, F_SETFL, O_NONBLOCK);
	io_write(&e->io, out, SIZE);
	io_close(&e->io, 10000);
	peer_says(e, "nobody reads this");
	while (e->closed == 0) {
		run_ms(1);
		while (got < SIZE && (n = recv(e->fd, in + got, SIZE - got, 0)) > 0)
			got += (size_t)n;
	}
	while (got < SIZE && (n = recv(e->fd, in + got, SIZE - got, 0)) > 0)
		got += (size_t)n;
	assert_int_equal(got, SIZE);
	assert_memory_equal(out, in, SIZE);
	assert_int_equal(recv(e->fd, in, 1, 0), 0);
	assert_int_equal(e->got.len, 0);
	assert_int_equal(e->drained, 0);
	free_end(e);
}

static void
test_linger_is_bounded(void **state)
{
	static unsigned char out[8 << 20];

	(void)state;
	for (int again = 0; again < 2; again++) {
		struct end *e = open_end();
		uint64_t before;

		io_read_start(&e->io);
		io_write(&e->io, out, sizeof out);
		run_ms(1);
		before = loop_now_us(loop);
		io_close(&e->io, again ? 100000 : 50);
		if (again) {
			run_ms(20);
			assert_int_equal(e->closed, 0);
			io_close(&e->io, 0);
		}
		assert_true(run_until(has_closed, e));
		if (!again)
			assert_true(loop_now_us(loop) - before >= 49000);
		assert_true(loop_now_us(loop) - before < 5000000);
		free_end(e);
	}
}

static void
test_linger_ends_with_the_peer(void **state)
{
	static unsigned char out[8 << 20];
	struct end *e = open_end();

	(void)state;
	io_write(&e->io, out, sizeof out);
	run_ms(1);
	io_close(&e->io, 1000000);
	run_ms(3);
	reset_peer(e);
	assert_true(run_until(has_closed, e));
	assert_int_equal(e->ended, 0);
	free_end(e);
}

static void
test_detach(void **state)
{
	(void)state;
	for (int stopped = 0; stopped < 3; stopped++) {
		struct end *e = open_end();
		char rest[64];
		ssize_t n;
		int flags;

		if (stopped < 2)
			io_read_start(&e->io);
		run_ms(2);
		if (stopped == 1)
			io_read_stop(&e->io);
		peer_says(e, "before");
		io_detach(&e->io);
		assert_int_equal(e->closed, 0);
		assert_true(run_until(has_closed, e));
		assert_true(e->io.fd >= 0);
		peer_says(e, "after");
		/* Each byte comes once: by `received` or from the descriptor. */
		flags = fcntl(e->io.fd, F_GETFL);
		assert_true(flags & O_NONBLOCK);
		run_ms(2);
		n = recv(e->io.fd, rest, sizeof rest, 0);
		assert_true(n >= 5);
		assert_int_equal(e->got.len + (size_t)n, 11);
		assert_memory_equal(rest + n - 5, "after", 5);
		/* And it can be opened again. */
		io_open(&e->io, loop, e->io.fd, &ops);
		e->closed = 0;
		e->got.len = 0;
		io_read_start(&e->io);
		peer_says(e, "again");
		assert_true(run_until_got(e, 5));
		assert_got(e, "again");
		free_end(e);
	}
}

/* ---- many ---- */

static void
echo(struct end *e)
{
	io_write(&e->io, e->got.data, e->got.len);
	e->got.len = 0;
}

static void
test_many_connections(void **state)
{
	enum { N = 300 };
	static struct end *e[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		e[i] = open_end();
		e[i]->on_received = echo;
		io_read_start(&e[i]->io);
	}
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < N; i++)
			peer_says(e[i], "ping");
		run_ms(2);
		for (int i = 0; i < N; i++) {
			struct timeval tv = {5, 0};

			setsockopt(e[i]->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
			while (
			    recv(e[i]->fd, (char[4]){0}, 4, MSG_PEEK | MSG_DONTWAIT) < 4)
				run_ms(1);
			assert_peer_reads(e[i], "ping");
		}
	}
	for (int i = 0; i < N; i++)
		io_close(&e[i]->io, 0);
	for (int i = 0; i < N; i++) {
		assert_true(run_until(has_closed, e[i]));
		free_end(e[i]);
	}
}

/* More to submit in one turn than any queue of the kernel's holds, before the loop ever
 * ran. */
static void
test_many_at_once(void **state)
{
	enum { N = 800 };
	static struct end *e[N];

	(void)state;
	use_unix = true;
	for (int i = 0; i < N; i++) {
		e[i] = open_end();
		io_read_start(&e[i]->io);
	}
	for (int i = 0; i < N; i++) {
		struct buf *b = buf_create(loop, 0);

		memcpy(b->data, "two", 3);
		io_write_buf(&e[i]->io, b, 2, 1);
		io_write_buf(&e[i]->io, b, 0, 2);
		buf_unref(b);
		peer_says(e[i], "x");
	}
	for (int i = 0; i < N; i++) {
		assert_true(run_until_got(e[i], 1));
		assert_peer_reads(e[i], "otw");
		io_close(&e[i]->io, 0);
	}
	for (int i = 0; i < N; i++) {
		assert_true(run_until(has_closed, e[i]));
		free_end(e[i]);
	}
	use_unix = false;
}

/* A descriptor that cannot be waited for ends its io, and nothing else. */
static void
test_unfit_descriptor(void **state)
{
	struct end *e = calloc(1, sizeof *e);

	(void)state;
	e->fd = -1;
	io_open(&e->io, loop, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), &ops);
	io_read_start(&e->io);
	assert_true(run_until(has_ended, e));
	assert_int_not_equal(e->error, 0);
	free_end(e);
}

/* More at once than there are receive buffers, each with more than one buffer's worth. */
static void
test_flood_of_many(void **state)
{
	enum { N = 200, BYTES = 30000 };
	static struct end *e[N];
	static unsigned char out[BYTES];

	(void)state;
	fill(out, BYTES, 6);
	for (int i = 0; i < N; i++) {
		e[i] = open_end();
		io_read_start(&e[i]->io);
	}
	run_ms(1);
	for (int i = 0; i < N; i++)
		assert_int_equal(write(e[i]->fd, out, BYTES), BYTES);
	for (int i = 0; i < N; i++) {
		assert_true(run_until_got(e[i], BYTES));
		assert_memory_equal(e[i]->got.data, out, BYTES);
	}
	for (int i = 0; i < N; i++)
		free_end(e[i]);
}

/* Random callers against random peers; the sanitizers and the contract's asserts watch.
 */
static void
chaos_received(struct end *e)
{
	switch (rand() % 8) {
	case 0:
		io_read_stop(&e->io);
		break;
	case 1:
		io_write(&e->io, "chaos", 5);
		break;
	case 2:
		if (rand() % 8 == 0)
			io_close(&e->io, (unsigned)rand() % 3);
		break;
	default:
		break;
	}
}

static void
test_chaos(void **state)
{
	enum { N = 40 };
	static struct end *e[N];
	static unsigned char out[70000];

	(void)state;
	srand(getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : 11);
	for (int i = 0; i < N; i++)
		e[i] = NULL;
	for (int step = 0; step < 6000; step++) {
		int i = rand() % N;

		use_unix = rand() % 2;
		if (e[i] == NULL) {
			e[i] = open_end();
			e[i]->on_received = chaos_received;
			e[i]->forward = rand() % 4 == 0 ? e[i] : NULL;
			fcntl(e[i]->fd, F_SETFL, O_NONBLOCK);
		}
		switch (e[i]->closed ? 0 : rand() % 12) {
		case 0:
			free_end(e[i]);
			e[i] = NULL;
			break;
		case 1:
		case 2:
			io_read_start(&e[i]->io);
			break;
		case 3:
			io_read_stop(&e[i]->io);
			break;
		case 4:
			if (io_queued(&e[i]->io) < 1000000)
				io_write(&e[i]->io, out, (size_t)rand() % sizeof out);
			break;
		case 5:
			if (e[i]->fd >= 0)
				(void)!send(e[i]->fd, out, (size_t)rand() % sizeof out,
				    MSG_NOSIGNAL);
			break;
		case 6:
			if (e[i]->fd >= 0)
				(void)!recv(e[i]->fd, out, sizeof out, 0);
			break;
		case 7:
			if (e[i]->fd >= 0 && rand() % 3 == 0)
				reset_peer(e[i]);
			break;
		case 8:
			if (e[i]->fd >= 0)
				shutdown(e[i]->fd, rand() % 3);
			break;
		case 9:
			if (rand() % 3 == 0 && !(e[i]->io.flags & 4))
				io_close(&e[i]->io, (unsigned)rand() % 4);
			break;
		default:
			run_ms(1);
		}
		if (e[i] != NULL)
			assert_true(e[i]->ended <= 1 && e[i]->closed <= 1);
	}
	for (int i = 0; i < N; i++)
		if (e[i] != NULL)
			free_end(e[i]);
	use_unix = false;
}

/* ---- listeners ---- */

static int accepted[4000];
static int n_accepted;
static struct listener *listener;

static void
on_accepted(void *arg, int fd)
{
	assert_ptr_equal(arg, accepted);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	accepted[n_accepted++] = fd;
}

static bool
accepted_all(void *arg)
{
	return n_accepted >= *(int *)arg;
}

static int
listening(struct sockaddr_in *a)
{
	socklen_t len = sizeof *a;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*a = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(l, (struct sockaddr *)a, sizeof *a), 0);
	assert_int_equal(listen(l, 500), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)a, &len), 0);
	n_accepted = 0;
	return l;
}

static void
close_accepted(void)
{
	while (n_accepted > 0)
		close(accepted[--n_accepted]);
}

static int
connected(const struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)a, sizeof *a), 0);
	return fd;
}

static void
test_listener(void **state)
{
	enum { N = 100 };
	struct sockaddr_in a;
	int l = listening(&a), fds[N], want = N;

	(void)state;
	listener = listener_create(loop, l, on_accepted, accepted);
	for (int i = 0; i < N; i++)
		fds[i] = connected(&a);
	assert_true(run_until(accepted_all, &want));
	listener_pause(listener, true);
	run_ms(2);
	int one = connected(&a);
	run_ms(10);
	assert_int_equal(n_accepted, N);
	listener_pause(listener, false);
	want = N + 1;
	assert_true(run_until(accepted_all, &want));
	listener_destroy(listener);
	int two = connected(&a);
	run_ms(10);
	assert_int_equal(n_accepted, N + 1);
	close_accepted();
	for (int i = 0; i < N; i++)
		close(fds[i]);
	close(one);
	close(two);
	close(l);
}

static void
destroys(void *arg, int fd)
{
	on_accepted(arg, fd);
	listener_destroy(listener);
}

static void
test_listener_destroyed_in_accepted(void **state)
{
	struct sockaddr_in a;
	int l = listening(&a), want = 1;
	int fds[2];

	(void)state;
	listener = listener_create(loop, l, destroys, accepted);
	fds[0] = connected(&a);
	fds[1] = connected(&a);
	assert_true(run_until(accepted_all, &want));
	run_ms(5);
	assert_int_equal(n_accepted, 1);
	close_accepted();
	close(fds[0]);
	close(fds[1]);
	close(l);
}

/* Out of descriptors: no spinning, and it goes on when there are some again. */
static void
test_listener_out_of_descriptors(void **state)
{
	struct sockaddr_in a;
	int l = listening(&a), want = 1, fd, spare = -1;
	struct rlimit old, low;
	uint64_t before;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	listener = listener_create(loop, l, on_accepted, accepted);
	run_ms(1);
	fd = connected(&a);
	spare = dup(0);
	low = old;
	low.rlim_cur = (rlim_t)spare;
	close(spare);
	setrlimit(RLIMIT_NOFILE, &low);
	before = turns();
	run_ms(40);
	assert_true(turns() - before < 80);
	assert_int_equal(n_accepted, 0);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_true(run_until(accepted_all, &want));
	listener_destroy(listener);
	close_accepted();
	close(fd);
	close(l);
}

/* ---- timers, deferred calls, mail ---- */

static struct timer t1, t2;
static uint64_t fired_at[2], started_at;

static void
note(struct timer *t)
{
	fired_at[t == &t2] = loop_now_us(loop);
}

static void
test_timers(void **state)
{
	(void)state;
	usleep(20000); /* the loop's clock is late */
	started_at = 0;
	fired_at[0] = fired_at[1] = 0;
	timer_init(&t1, note);
	timer_init(&t2, note);
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	started_at = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	timer_start(loop, &t1, 1000);
	timer_start(loop, &t1, 15);
	timer_start(loop, &t2, 5);
	assert_true(timer_armed(&t2));
	timer_stop(&t2);
	timer_stop(&t2);
	assert_false(timer_armed(&t2));
	run_ms(40);
	assert_true(fired_at[0] >= started_at + 15000);
	assert_true(fired_at[0] < started_at + 5000000);
	assert_int_equal(fired_at[1], 0);
	assert_false(timer_armed(&t1));
}

/* Without anything to do the loop sleeps. */
static void
test_many_timers_sleep(void **state)
{
	static struct timer many[50000];
	uint64_t before;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		timer_init(&many[i], note);
		timer_start(loop, &many[i], 600000 + (uint64_t)i * 7);
	}
	before = turns();
	timer_init(&ticker, tick);
	ticks_left = 0;
	awaited = NULL;
	timer_start(loop, &ticker, 300);
	loop_run(loop);
	assert_true(turns() - before < 20);
	for (int i = 0; i < 50000; i++)
		timer_stop(&many[i]);
}

static struct deferred d1, d2, d3;
static struct end *deferred_end;
static char order[64];

static void
say1(struct deferred *d)
{
	(void)d;
	strcat(order, "1");
	loop_defer(loop, &d2);
	deferred_cancel(&d3);
}

static void
say2(struct deferred *d)
{
	(void)d;
	strcat(order, "2");
	/* Nothing was flushed yet in this turn. */
	io_write(&deferred_end->io, "b", 1);
}

static void
say3(struct deferred *d)
{
	(void)d;
	strcat(order, "3");
}

static void
defer_all(struct end *e)
{
	strcat(order, "r");
	io_write(&e->io, "a", 1);
	loop_defer(loop, &d1);
	loop_defer(loop, &d1);
	loop_defer(loop, &d3);
	deferred_end = e;
}

static void
test_deferred(void **state)
{
	struct end *e = open_end();

	(void)state;
	order[0] = '\0';
	deferred_init(&d1, say1);
	deferred_init(&d2, say2);
	deferred_init(&d3, say3);
	e->on_received = defer_all;
	io_read_start(&e->io);
	run_ms(1);
	peer_says(e, "x");
	assert_true(run_until_got(e, 1));
	run_ms(2);
	assert_string_equal(order, "r12");
	assert_peer_reads(e, "ab");
	deferred_cancel(&d1);
	free_end(e);
}

static unsigned endless;

static void
defer_again(struct deferred *d)
{
	endless++;
	loop_defer(loop, d);
}

/* A call that defers itself without end leaves time for the rest. */
static void
test_endless_deferred(void **state)
{
	struct end *e = open_end();

	(void)state;
	deferred_init(&d1, defer_again);
	loop_defer(loop, &d1);
	io_read_start(&e->io);
	peer_says(e, "x");
	assert_true(run_until_got(e, 1));
	assert_true(endless > 0);
	deferred_cancel(&d1);
	free_end(e);
}

enum { SENDERS = 3, LETTERS = 20000 };

struct letter {
	struct mail mail;
	int sender, number;
};

static int next_letter[SENDERS];
static int letters_left;

static void
deliver(struct mail *m)
{
	struct letter *l =
	    (struct letter *)(void *)((char *)m - offsetof(struct letter, mail));

	assert_int_equal(next_letter[l->sender], l->number);
	next_letter[l->sender]++;
	free(l);
	if (--letters_left == 0)
		loop_stop(loop);
}

static void *
post_many(void *arg)
{
	int sender = *(int *)arg;

	for (int i = 0; i < LETTERS; i++) {
		struct letter *l = malloc(sizeof *l);

		*l = (struct letter){{NULL, deliver}, sender, i};
		loop_post(loop, &l->mail);
		if (i % 1000 == 0)
			usleep(100);
	}
	return NULL;
}

static void
test_mail(void **state)
{
	pthread_t t[SENDERS];
	int id[SENDERS];

	(void)state;
	letters_left = SENDERS * LETTERS;
	for (int i = 0; i < SENDERS; i++) {
		id[i] = i;
		next_letter[i] = 0;
		pthread_create(&t[i], NULL, post_many, &id[i]);
	}
	loop_run(loop);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(next_letter[i], LETTERS);
}

static void *
stop_soon(void *arg)
{
	usleep(20000);
	loop_stop(arg);
	return NULL;
}

static void
test_stop_from_another_thread(void **state)
{
	pthread_t t;

	(void)state;
	pthread_create(&t, NULL, stop_soon, loop);
	loop_run(loop);
	pthread_join(t, NULL);
	loop_stop(loop);
	loop_run(loop); /* returns at once */
}

/* ---- buffers ---- */

static void
test_buffers(void **state)
{
	static struct buf *b[200];
	struct loop_stats s;

	(void)state;
	for (int i = 0; i < 200; i++) {
		b[i] = buf_create(loop, i % 2 ? 0 : (size_t)i * 1000);
		assert_true(b[i]->cap >= (i % 2 ? 4096u : (unsigned)i * 1000));
		memset(b[i]->data, i, b[i]->cap);
		buf_ref(b[i]);
	}
	for (int i = 0; i < 200; i++)
		buf_unref(b[i]);
	loop_stats(loop, &s);
	assert_int_equal(s.bufs_live, 200);
	for (int i = 0; i < 200; i++)
		buf_unref(b[i]);
	loop_stats(loop, &s);
	assert_int_equal(s.bufs_live, 0);
	assert_true(s.bufs_free <= 64);
}

/* ---- the choice of the kind ---- */

/* As containers do: io_uring_setup() is not permitted. */
static void
forbid_io_uring(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof code / sizeof *code, code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0)
		_exit(9);
}

static void
test_falls_back(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct loop *l;
		struct err e;

		forbid_io_uring();
		if (loop_create(&l, LOOP_URING, &e) != RC_ERR ||
		    strstr(e.msg, "io_uring") == NULL)
			_exit(1);
		if (loop_create(&l, LOOP_AUTO, &e) != RC_OK || loop_kind(l) != LOOP_EPOLL)
			_exit(2);
		if (strstr(loop_kind_reason(l), "not permitted") == NULL)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct CMUnitTest tests[] = {
    T(test_receive_and_write),
    T(test_orderly_end_leaves_output),
    T(test_orderly_end_while_stopped),
    T(test_reset),
    T(test_no_spinning),
    T(test_last_words_before_write_error),
    T(test_write_error_while_stopped),
    T(test_bulk_output),
    T(test_output_below_low_water),
    T(test_much_below_low_water),
    T(test_bulk_input_with_stops),
    T(test_forwarding),
    T(test_hoarders),
    T(test_close_of_others_in_a_batch),
    T(test_memory_is_free_in_closed),
    T(test_close_in_ended),
    T(test_linger_sends_all),
    T(test_linger_is_bounded),
    T(test_linger_ends_with_the_peer),
    T(test_detach),
    T(test_many_connections),
    T(test_many_at_once),
    T(test_unfit_descriptor),
    T(test_flood_of_many),
    T(test_chaos),
    T(test_listener),
    T(test_listener_destroyed_in_accepted),
    T(test_listener_out_of_descriptors),
    T(test_timers),
    T(test_many_timers_sleep),
    T(test_deferred),
    T(test_endless_deferred),
    T(test_mail),
    T(test_stop_from_another_thread),
    T(test_buffers),
    T(test_falls_back),
};

int
main(int argc, char **argv)
{
	struct loop *probe;
	struct err e;
	int failed = 0;

	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	kind = LOOP_EPOLL;
	if (argc < 2 || strcmp(argv[1], "epoll") == 0)
		failed = cmocka_run_group_tests_name("epoll", tests, NULL, NULL);
	kind = LOOP_URING;
	if (loop_create(&probe, kind, &e) != RC_OK) {
		fprintf(stderr, "no io_uring here: %s\n", e.msg);
		return failed;
	}
	loop_destroy(probe);
	if (argc < 2 || strcmp(argv[1], "uring") == 0)
		failed += cmocka_run_group_tests_name("io_uring", tests, NULL, NULL);
	return failed;
}
