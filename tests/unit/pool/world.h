/* What the pool's tests share: workers in threads of their own, and clients that run in
 * them. A client is a waiter with a script: acquire, send a query, wait for its answer,
 * keep the server for a while, release, again. */
#ifndef WEIR_TESTS_POOL_WORLD_H
#define WEIR_TESTS_POOL_WORLD_H

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "base/log.h"
#include "pool/dialer.h"
#include "pool/pool.h"
#include "tests/unit/wire/postgres.h"

#define WORLD_WORKERS 4

struct world {
	struct backend *backend;
	struct dialer *dialer;
	int n;
	struct loop *loop[WORLD_WORKERS];
	struct pools *pools[WORLD_WORKERS];
	pthread_t thread[WORLD_WORKERS];
};

static inline uint64_t
clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- calls into a worker's thread ---- */

struct world_call {
	struct mail mail;
	void (*fn)(void *);
	void *arg;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static inline void
world_call_deliver(struct mail *m)
{
	struct world_call *c = (struct world_call *)(void *)m;

	c->fn(c->arg);
	pthread_mutex_lock(&c->lock);
	c->done = true;
	pthread_cond_signal(&c->cond);
	pthread_mutex_unlock(&c->lock);
}

/* Runs fn in the worker's thread and waits for it. */
static inline void
world_call(struct world *w, int i, void (*fn)(void *), void *arg)
{
	struct world_call c = {.mail.deliver = world_call_deliver, .fn = fn, .arg = arg};

	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.cond, NULL);
	loop_post(w->loop[i], &c.mail);
	pthread_mutex_lock(&c.lock);
	while (!c.done)
		pthread_cond_wait(&c.cond, &c.lock);
	pthread_mutex_unlock(&c.lock);
	pthread_mutex_destroy(&c.lock);
	pthread_cond_destroy(&c.cond);
}

/* ---- workers ---- */

static inline void *
world_thread(void *arg)
{
	loop_run(arg);
	return NULL;
}

static inline struct backend *
world_backend(const char *host, const char *port)
{
	struct backend_target t = {
	    .host = host, .port = port, .dbname = "postgres", .sslmode = "disable"};

	return backend_create("shop", "s1", 0, 1, &t);
}

static inline void
world_start(struct world *w, const struct test_pg *pg, int n)
{
	struct err e;

	memset(w, 0, sizeof *w);
	w->n = n;
	w->backend = world_backend(pg->dir, pg->port);
	assert_int_equal(dialer_create(&w->dialer, 2, &e), RC_OK);
	for (int i = 0; i < n; i++) {
		enum loop_kind kind = getenv("WEIR_EVENT_LOOP") != NULL &&
			strcmp(getenv("WEIR_EVENT_LOOP"), "epoll") == 0
		    ? LOOP_EPOLL
		    : LOOP_AUTO;

		assert_int_equal(loop_create(&w->loop[i], kind, &e), RC_OK);
		w->pools[i] = pools_create(w->loop[i], i, w->dialer);
	}
	pools_set_peers(w->pools, n);
	for (int i = 0; i < n; i++)
		assert_int_equal(
		    pthread_create(&w->thread[i], NULL, world_thread, w->loop[i]), 0);
}

static inline void
world_end_pools(void *pools)
{
	pools_end(pools);
}

static inline bool
world_ended(struct world *w)
{
	for (int i = 0; i < w->n; i++)
		if (!pools_ended(w->pools[i]))
			return false;
	return true;
}

static inline void
world_stop(struct world *w)
{
	for (int i = 0; i < w->n; i++)
		world_call(w, i, world_end_pools, w->pools[i]);
	while (!world_ended(w))
		usleep(1000);
	for (int i = 0; i < w->n; i++) {
		loop_stop(w->loop[i]);
		pthread_join(w->thread[i], NULL);
	}
	dialer_destroy(w->dialer);
	for (int i = 0; i < w->n; i++)
		pools_destroy(w->pools[i]);
	for (int i = 0; i < w->n; i++)
		loop_destroy(w->loop[i]);
	assert_int_equal(atomic_load(&w->backend->connections), 0);
	assert_int_equal(atomic_load(&w->backend->waiting), 0);
	assert_true(list_empty(&w->backend->lanes));
	assert_int_equal(atomic_load(&w->backend->refs), 1);
	backend_unref(w->backend);
}

static inline void
world_sleep_ms(int ms)
{
	usleep((useconds_t)ms * 1000);
}

/* ---- clients ---- */

struct client {
	struct world *w;
	int worker;
	const char *user, *sql;
	atomic_int rounds; /* to go */
	int hold_ms;       /* after the answer */
	struct waiter waiter;
	struct timer timer;
	struct server *server;
	uint64_t asked_us;
	bool sent;
	/* ---- to be looked at by the test ---- */
	atomic_int done; /* rounds that worked */
	atomic_int failed, lost;
	atomic_bool finished;
	_Atomic uint64_t max_wait_us;
	_Atomic uint32_t pid; /* of the server last used */
	_Atomic uint64_t server_id;
	struct err err; /* once `failed` is counted */
};

static inline void client_next(struct client *);

static inline void
client_finish(struct client *c)
{
	timer_stop(&c->timer);
	atomic_store(&c->finished, true);
}

static inline void
client_release(struct client *c)
{
	struct server *s = c->server;

	c->server = NULL;
	pool_release(s);
	atomic_fetch_add(&c->done, 1);
	if (--c->rounds <= 0)
		client_finish(c);
	else
		client_next(c);
}

static inline void
client_held(struct timer *t)
{
	client_release(LIST_ENTRY(t, struct client, timer));
}

static inline void
client_received(struct server *s, struct buf *b, uint32_t off, uint32_t len)
{
	struct client *c = s->owner;
	struct read_msg m;
	bool ready = false;

	reader_feed(&s->reader, b->data + off, len);
	while (reader_next(&s->reader, 1 << 20, &m) == READ_MSG)
		ready |= m.type == 'Z';
	if (!ready)
		return;
	if (c->hold_ms > 0)
		timer_start(c->w->loop[c->worker], &c->timer, (uint64_t)c->hold_ms);
	else
		client_release(c);
}

static inline void
client_drained(struct server *s)
{
	(void)s;
}

static inline void
client_lost(struct server *s, int error)
{
	struct client *c = s->owner;

	(void)error;
	timer_stop(&c->timer);
	c->server = NULL;
	atomic_fetch_add(&c->lost, 1);
	if (c->rounds <= 0)
		client_finish(c);
	else
		client_next(c);
}

static const struct server_owner_ops client_ops = {
    client_received, client_drained, client_lost};

static inline void
client_use(struct client *c, struct server *s)
{
	struct msgbuf m;
	uint64_t waited = clock_us() - c->asked_us;

	if (waited > atomic_load(&c->max_wait_us))
		atomic_store(&c->max_wait_us, waited);
	c->server = s;
	s->owner = c;
	s->owner_ops = &client_ops;
	atomic_store(&c->pid, s->backend_pid);
	atomic_store(&c->server_id, s->id);
	msgbuf_init(&m);
	msg_query(&m, c->sql);
	stream_write(&s->stream, m.data, m.len);
	msgbuf_fini(&m);
}

static inline void
client_granted(struct waiter *w, struct server *s)
{
	client_use(LIST_ENTRY(w, struct client, waiter), s);
}

static inline void
client_failed(struct waiter *w, const struct err *e)
{
	struct client *c = LIST_ENTRY(w, struct client, waiter);

	c->err = *e;
	atomic_fetch_add(&c->failed, 1);
	client_finish(c);
}

static inline void
client_next(struct client *c)
{
	struct pool_login login = {.user = c->user, .database = "postgres"};
	struct pool *p = pools_get(c->w->pools[c->worker], c->w->backend, &login);
	struct server *s = NULL;
	struct err e;

	c->waiter.granted = client_granted;
	c->waiter.failed = client_failed;
	c->asked_us = clock_us();
	switch (pool_acquire(p, &c->waiter, &s, &e)) {
	case RC_OK:
		client_use(c, s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		client_failed(&c->waiter, &e);
		break;
	}
}

static inline void
client_begin(void *arg)
{
	struct client *c = arg;

	timer_init(&c->timer, client_held);
	client_next(c);
}

static inline void
client_start(struct client *c, struct world *w, int worker, const char *user,
    const char *sql, int rounds, int hold_ms)
{
	memset(c, 0, sizeof *c);
	c->w = w;
	c->worker = worker;
	c->user = user;
	c->sql = sql;
	c->rounds = rounds;
	c->hold_ms = hold_ms;
	world_call(w, worker, client_begin, c);
}

/* False after that time. */
static inline bool
client_wait(struct client *c, int ms)
{
	for (int i = 0; i < ms && !atomic_load(&c->finished); i++)
		usleep(1000);
	return atomic_load(&c->finished);
}

/* Ends them after the round they are in. */
static inline void
world_stop_clients(struct client *c, int n)
{
	for (int i = 0; i < n; i++)
		atomic_store(&c[i].rounds, 0);
	for (int i = 0; i < n; i++)
		if (n > 1)
			assert_true(client_wait(&c[i], 5000));
}

/* Waits until the expression holds, for at most so many milliseconds. */
#define EVENTUALLY(ms, expr)                                          \
	do {                                                          \
		for (int wait_ = 0; wait_ < (ms) && !(expr); wait_++) \
			usleep(1000);                                 \
		assert_true(expr);                                    \
	} while (0)

static inline int
world_idle(struct world *w, int worker)
{
	return atomic_load(&w->backend->worker[worker].idle);
}
#endif
