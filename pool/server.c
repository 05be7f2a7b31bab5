/* A server connection's life in its pool. While it is lent its bytes go to its owner; at
 * all other times the pool listens itself, so that a connection that dies at rest is gone
 * before anybody is lent it. */
#include "pool/pool_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"

static const char *const state_names[] = {
    "idle", "active", "resetting", "moving", "closing"};

const char *
server_state_name(enum server_state s)
{
	return state_names[s];
}

/* Which states may follow: bit by enum server_state. */
#define MAY(s) (1u << (s))
static const unsigned may_follow[] = {
    [SERVER_IDLE] = MAY(SERVER_ACTIVE) | MAY(SERVER_RESETTING) | MAY(SERVER_MOVING) |
	MAY(SERVER_CLOSING),
    [SERVER_ACTIVE] = MAY(SERVER_IDLE) | MAY(SERVER_RESETTING) | MAY(SERVER_CLOSING),
    [SERVER_RESETTING] = MAY(SERVER_IDLE) | MAY(SERVER_CLOSING),
    [SERVER_MOVING] = 0,
    [SERVER_CLOSING] = 0,
};

static void
server_set_state(struct server *s, enum server_state to)
{
	if (!(may_follow[s->state] & MAY(to))) {
		log_line(LOG_FATAL, "illegal move of a server connection", "from",
		    state_names[s->state], "to", state_names[to], NULL);
		abort();
	}
	s->state = to;
}

/* ---- counters: own ones first, then what other workers look at ---- */

static void
publish_active(struct site *site)
{
	atomic_store_explicit(&site->backend->worker[site->pools->index].active,
	    site->n_active, memory_order_relaxed);
}

/* Sequentially consistent: who looks for waiters afterwards must have shown this before.
 */
static void
publish_idle(struct pool *p)
{
	int i = p->pools->index;

	atomic_store(&p->backend->worker[i].idle, p->site->n_idle);
	atomic_store(&p->lane->worker[i].idle, p->n_idle);
}

/* One that is gone already is asked for in vain, no more. */
static void
publish_fewer_idle(struct pool *p)
{
	int i = p->pools->index;

	atomic_store_explicit(
	    &p->backend->worker[i].idle, p->site->n_idle, memory_order_relaxed);
	atomic_store_explicit(&p->lane->worker[i].idle, p->n_idle, memory_order_relaxed);
}

static void
count_in(struct server *s)
{
	struct pool *p = s->pool;

	switch (s->state) {
	case SERVER_IDLE:
		p->n_idle++;
		p->site->n_idle++;
		publish_idle(p);
		break;
	case SERVER_ACTIVE:
		p->n_active++;
		p->site->n_active++;
		publish_active(p->site);
		break;
	case SERVER_RESETTING:
		p->n_testing++;
		p->n_checking += s->test == TEST_CHECK;
		break;
	default:
		break;
	}
}

static void
count_out(struct server *s)
{
	struct pool *p = s->pool;

	switch (s->state) {
	case SERVER_IDLE:
		p->n_idle--;
		p->site->n_idle--;
		publish_fewer_idle(p);
		break;
	case SERVER_ACTIVE:
		p->n_active--;
		p->site->n_active--;
		publish_active(p->site);
		break;
	case SERVER_RESETTING:
		p->n_testing--;
		p->n_checking -= s->test == TEST_CHECK;
		break;
	default:
		break;
	}
}

/* Out of the old state's list and counters, into the new ones'. */
static void
server_enter(struct server *s, enum server_state to)
{
	struct pool *p = s->pool;

	count_out(s);
	list_remove(&s->node);
	list_remove(&s->rest);
	timer_stop(&s->timer);
	if (s->state != to)
		server_set_state(s, to);
	count_in(s);
	switch (to) {
	case SERVER_IDLE:
		list_push_front(&p->idle, &s->node);
		list_push_front(&p->site->idle, &s->rest);
		break;
	case SERVER_ACTIVE:
		list_push_back(&p->active, &s->node);
		break;
	case SERVER_RESETTING:
		list_push_back(&p->testing, &s->node);
		break;
	case SERVER_MOVING:
	case SERVER_CLOSING:
		list_push_back(&p->closing, &s->node);
		break;
	}
}

/* ---- parameters ---- */

static char *
copy(const char *text)
{
	char *c = strdup(text);

	if (c == NULL)
		abort();
	return c;
}

static int
param_index(const struct server *s, const char *name)
{
	for (int i = 0; i < s->n_params; i++)
		if (strcasecmp(s->params[2 * i], name) == 0)
			return i;
	return -1;
}

const char *
server_param(const struct server *s, const char *name)
{
	int i = param_index(s, name);

	return i < 0 ? NULL : s->params[2 * i + 1];
}

void
server_set_param(struct server *s, const char *name, const char *value)
{
	int i = param_index(s, name);

	if (i >= 0) {
		free(s->params[2 * i + 1]);
		s->params[2 * i + 1] = copy(value);
		return;
	}
	i = s->n_params++;
	s->params = realloc(s->params, 2 * (size_t)s->n_params * sizeof *s->params);
	if (s->params == NULL)
		abort();
	s->params[2 * i] = copy(name);
	s->params[2 * i + 1] = copy(value);
}

void
server_params_free(struct server *s)
{
	for (int i = 0; i < 2 * s->n_params; i++)
		free(s->params[i]);
	free(s->params);
	s->params = NULL;
	s->n_params = 0;
}

/* ---- birth and death ---- */

static void test_expired(struct timer *);

struct server *
server_create(struct pool *p, int fd, SSL *ssl)
{
	static _Atomic uint64_t last_id;
	struct server *s = slab_alloc(&p->pools->servers);

	s->pool = p;
	list_init(&s->node);
	list_init(&s->rest);
	timer_init(&s->timer, test_expired);
	reader_init(&s->reader, NULL);
	s->state = SERVER_RESETTING; /* until its maker lets it rest */
	s->test = TEST_NONE;
	p->n_testing++;
	list_push_back(&p->testing, &s->node);
	s->heir = -1;
	s->id = atomic_fetch_add(&last_id, 1) + 1;
	s->jitter = (uint16_t)pools_random(p->pools);
	s->replication = p->lane->replication;
	s->connected_us = s->idle_since_us = s->tested_us = pools_now(p->pools);
	p->n_servers++;
	stream_open(&s->stream, p->pools->loop, fd, &server_stream_ops, ssl);
	stream_read_start(&s->stream);
	return s;
}

static void
server_free(struct server *s)
{
	struct pool *p = s->pool;

	if (s->link != NULL && p->pools->link_free != NULL)
		p->pools->link_free(s);
	server_params_free(s);
	reader_fini(&s->reader);
	explicit_bzero(s->key, sizeof s->key);
	p->n_servers--;
	slab_free(&p->pools->servers, s);
}

void
server_cancel_done(struct server *s)
{
	s->cancels--;
	if (s->cancels > 0)
		return;
	if (s->gone)
		server_free(s);
	else if (s->state == SERVER_RESETTING && s->test == TEST_HOLD)
		server_rest(s);
}

void
server_close(struct server *s, bool polite)
{
	static const char terminate[5] = {'X', 0, 0, 0, 4};

	if (s->state == SERVER_CLOSING || s->state == SERVER_MOVING)
		return;
	server_enter(s, SERVER_CLOSING);
	s->owner = NULL;
	s->owner_ops = NULL;
	if (!polite || s->ended || s->pool->pools->ending) {
		stream_close(&s->stream, 0);
		return;
	}
	stream_write(&s->stream, terminate, sizeof terminate);
	stream_read_start(&s->stream);
	timer_start(s->pool->pools->loop, &s->timer, CLOSE_WAIT_MS);
}

/* The place goes on, or is given back; a parcel takes it along. */
static void
server_closed(struct stream *stream)
{
	struct server *s = LIST_ENTRY(stream, struct server, stream);
	struct pool *p = s->pool;
	struct site *site = p->site;

	list_remove(&s->node);
	timer_stop(&s->timer);
	if (s->state == SERVER_MOVING && !s->ended) {
		move_send(s);
		p->n_servers--;
		slab_free(&p->pools->servers, s);
		return;
	}
	if (s->state == SERVER_MOVING) {
		SSL_free(stream_ssl(&s->stream));
		(void)close(s->stream.io.fd);
		if (s->ask == NULL)
			atomic_fetch_sub(&p->lane->worker[s->heir].coming, 1);
	}
	if (s->evicted_for != NULL)
		quota_evicted(s->evicted_for);
	lane_leave(p->lane);
	site->n_expected -= s->expected;
	if (s->promised)
		atomic_fetch_sub(&site->backend->worker[s->heir].coming, 1);
	if (s->ask != NULL)
		move_place(site, s->heir, s->ask);
	else
		place_left(p, s->heir);
	s->gone = true;
	if (s->cancels == 0)
		server_free(s);
}

void
server_begin_move(struct server *s, int to, struct ask *a)
{
	server_enter(s, SERVER_MOVING);
	s->heir = to;
	s->ask = a;
	if (a == NULL)
		atomic_fetch_add(&s->pool->lane->worker[to].coming, 1);
	stream_detach(&s->stream);
}

void
server_lose(struct server *s, int error)
{
	const struct server_owner_ops *ops = s->owner_ops;

	server_enter(s, SERVER_CLOSING);
	if (ops != NULL)
		ops->lost(s, error);
	s->owner = NULL;
	s->owner_ops = NULL;
	stream_close(&s->stream, 0);
}

/* ---- rest ---- */

bool
server_too_old(const struct server *s, uint64_t now_us)
{
	uint64_t lifetime = atomic_load_explicit(
	    &s->pool->backend->limits.server_lifetime_us, memory_order_relaxed);

	if (lifetime == 0)
		return s->requested_us != 0;
	/* Spread over a tenth, so that connections made together do not end together. */
	lifetime -= lifetime / 10 * s->jitter / 65536;
	return now_us - s->connected_us >= lifetime;
}

bool
server_needs_check(const struct server *s, uint64_t now_us)
{
	uint64_t delay = atomic_load_explicit(
	    &s->pool->backend->limits.server_check_delay_us, memory_order_relaxed);
	uint64_t since =
	    s->tested_us > s->idle_since_us ? s->tested_us : s->idle_since_us;

	/* Since the breaker opened nobody has heard from it: its machine may be another
	 * one by now. */
	return now_us - since > delay || !reader_at_boundary(&s->reader) ||
	    (delay == 0 && s->tested_us < s->idle_since_us) ||
	    since <=
	    atomic_load_explicit(&s->pool->backend->opened_us, memory_order_relaxed);
}

/* Is there a reason to close it rather than keep it? */
static bool
unwanted(const struct server *s)
{
	const struct backend *b = s->pool->backend;
	int connections = atomic_load_explicit(&b->connections, memory_order_relaxed);

	return s->close_needed || s->pool->pools->ending ||
	    atomic_load_explicit(&b->retired, memory_order_relaxed) ||
	    server_too_old(s, pools_now(s->pool->pools)) ||
	    connections > budget_hard_limit(b) ||
	    (connections >
		    atomic_load_explicit(&b->limits.pool_size, memory_order_relaxed) &&
		atomic_load_explicit(&b->waiting, memory_order_relaxed) == 0);
}

void
server_rest(struct server *s)
{
	struct pool *p = s->pool;

	s->owner = NULL;
	s->owner_ops = NULL;
	if (s->ended) {
		server_close(s, false);
		return;
	}
	if (s->cancels > 0) {
		server_test(s, TEST_HOLD, NULL);
		return;
	}
	server_enter(s, SERVER_IDLE);
	s->test = TEST_NONE;
	s->idle_since_us = pools_now(p->pools);
	stream_read_start(&s->stream);
	if (unwanted(s))
		server_close(s, true);
	else if (atomic_load(&p->backend->waiting) > 0 || lane_pressed(p->lane))
		site_want_serve(p->site);
}

void
server_lend(struct server *s)
{
	server_enter(s, SERVER_ACTIVE);
	s->requested_us = pools_now(s->pool->pools);
}

static void
send_query(struct server *s, const char *sql)
{
	struct msgbuf m;

	msgbuf_init(&m);
	msg_query(&m, sql == NULL ? "" : sql);
	stream_write(&s->stream, m.data, m.len);
	msgbuf_fini(&m);
}

/* Somebody waits for a check, and could have another connection instead. */
static uint64_t
test_timeout_ms(const struct pool *p, enum server_test test)
{
	uint64_t ms = atomic_load(&p->backend->limits.server_connect_timeout_us) / 1000;

	return test == TEST_CHECK && ms > CHECK_MS ? CHECK_MS : ms;
}

void
server_test(struct server *s, enum server_test test, const char *sql)
{
	struct pool *p = s->pool;

	s->owner = NULL;
	s->owner_ops = NULL;
	if (s->state == SERVER_RESETTING) {
		count_out(s);
		timer_stop(&s->timer);
		s->test = test;
		count_in(s);
	} else {
		s->test = test;
		server_enter(s, SERVER_RESETTING);
	}
	s->test_failed = false;
	stream_read_start(&s->stream);
	if (test == TEST_HOLD)
		return;
	send_query(s, sql);
	timer_start(p->pools->loop, &s->timer, test_timeout_ms(p, test));
}

/* ---- what a server says at rest ---- */

static void
log_server(
    enum log_level level, const char *message, const struct server *s, const char *error)
{
	log_line(level, message, "backend", s->pool->backend->label, "user",
	    s->pool->lane->user, "address", s->address, "error", error, NULL);
}

static void
parameter_status(struct server *s, struct slice body)
{
	struct msgread r = msgread_of(body);
	struct slice name = read_str(&r), value = read_str(&r);

	/* Both end in a zero, inside the message. */
	if (r.bad)
		return;
	server_set_param(s, name.ptr, value.ptr);
	if (s->pool->pools->param_changed != NULL)
		s->pool->pools->param_changed(s, name.ptr, value.ptr);
}

/* One that moves is closed when its stream is detached. */
static void
end_at_rest(struct server *s)
{
	if (s->state == SERVER_MOVING)
		s->ended = true;
	else
		server_close(s, false);
}

static void
error_at_rest(struct server *s, struct slice body)
{
	struct slice code = msg_error_field(body, 'C'), text = msg_error_field(body, 'M');
	struct err e;

	(void)err_set(&e, "57P01", BLAST_SESSION, "%.*s",
	    (int)(text.len > 300 ? 300 : text.len), text.ptr == NULL ? "" : text.ptr);
	backend_note(s->pool->backend, &e);
	log_server(slice_eq_str(code, "57P01") ? LOG_INFO : LOG_NOTICE,
	    "server ended a connection at rest", s, e.msg);
	end_at_rest(s);
}

static void
test_finished(struct server *s, char status)
{
	s->tested_us = pools_now(s->pool->pools);
	if (s->test_failed || status != 'I') {
		log_server(
		    LOG_NOTICE, "reset or check of a server connection failed", s, NULL);
		server_close(s, true);
		return;
	}
	server_rest(s);
}

static void
message_at_rest(struct server *s, const struct read_msg *m)
{
	bool testing = s->state == SERVER_RESETTING && s->test != TEST_HOLD;

	switch (m->type) {
	case 'S':
		parameter_status(s, m->body);
		return;
	case 'N':
		return;
	case 'E':
		if (!testing)
			error_at_rest(s, m->body);
		else
			s->test_failed = true;
		return;
	case 'C':
	case 'D':
	case 'I':
	case 'T':
		if (testing)
			return;
		break;
	case 'Z':
		if (testing) {
			test_finished(s, m->body.len == 1 ? m->body.ptr[0] : 0);
			return;
		}
		break;
	default:
		break;
	}
	log_server(LOG_WARNING, "unexpected message of a server at rest", s,
	    (char[2]){m->type >= ' ' && m->type < 127 ? m->type : '?', 0});
	end_at_rest(s);
}

static void
bytes_at_rest(struct server *s, struct buf *b, uint32_t off, uint32_t len)
{
	struct read_msg m;

	reader_feed(&s->reader, b->data + off, len);
	while (s->state != SERVER_CLOSING && !s->ended) {
		switch (reader_next(&s->reader, TEST_BYTES_MAX, &m)) {
		case READ_MORE:
			return;
		case READ_MSG:
			message_at_rest(s, &m);
			break;
		case READ_PIECE:
			break;
		case READ_BIG:
			if (s->state == SERVER_RESETTING &&
			    (m.type == 'D' || m.type == 'T')) {
				reader_pass(&s->reader);
				break;
			}
			/* fall through */
		case READ_BAD:
			log_server(
			    LOG_WARNING, "nonsense from a server at rest", s, NULL);
			end_at_rest(s);
			break;
		}
	}
}

static void
server_received(struct stream *stream, struct buf *b, uint32_t off, uint32_t len)
{
	struct server *s = LIST_ENTRY(stream, struct server, stream);

	if (FAULT("reply.lost")) {
		(void)shutdown(stream->io.fd, SHUT_RDWR);
		return;
	}
	if (s->owner_ops != NULL)
		s->owner_ops->received(s, b, off, len);
	else if (s->state != SERVER_CLOSING)
		bytes_at_rest(s, b, off, len);
}

static void
server_drained(struct stream *stream)
{
	struct server *s = LIST_ENTRY(stream, struct server, stream);

	if (s->owner_ops != NULL)
		s->owner_ops->drained(s);
}

/* The machine or the way to it is gone, as opposed to one process there. */
static bool
is_network_error(int error)
{
	return error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH ||
	    error == EHOSTDOWN || error == ENETDOWN;
}

static void
tell_backend(struct server *s, int error)
{
	struct pool *p = s->pool;
	const char *why = error == EPROTO ? stream_tls_error(&s->stream) : NULL;
	struct err e;

	if (error == 0)
		return;
	(void)err_set(&e, "08006", BLAST_SESSION, "connection to %s lost: %s", s->address,
	    why != NULL ? why : strerror(error));
	if (is_network_error(error))
		backend_failed(p->backend, &e, pools_now(p->pools));
	else
		backend_note(p->backend, &e);
}

static void
server_ended(struct stream *stream, int error)
{
	struct server *s = LIST_ENTRY(stream, struct server, stream);

	s->ended = true;
	if (s->state == SERVER_CLOSING) {
		timer_stop(&s->timer);
		stream_close(&s->stream, 0);
		return;
	}
	tell_backend(s, error);
	if (s->state != SERVER_ACTIVE) {
		log_server(LOG_INFO, "server closed a connection at rest", s,
		    error == 0 ? NULL : strerror(error));
		server_close(s, false);
		return;
	}
	server_lose(s, error);
}

/* Time is over: of a reset or check, or of a polite end. */
static void
test_expired(struct timer *t)
{
	struct server *s = LIST_ENTRY(t, struct server, timer);

	if (s->state == SERVER_CLOSING) {
		stream_close(&s->stream, 0);
		return;
	}
	log_server(
	    LOG_NOTICE, "reset or check of a server connection timed out", s, NULL);
	server_close(s, false);
}

const struct stream_ops server_stream_ops = {
    .received = server_received,
    .drained = server_drained,
    .ended = server_ended,
    .closed = server_closed,
};
