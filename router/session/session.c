#include "router/session/scatter.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "router/session/usercount.h"

#define HALF_CLOSED_MS \
	200 /* until a client that sends no more is asked whether it still reads */
#define LINGER_MS       5000
#define CANCEL_GRACE_MS 2000 /* for a server to obey a cancel */

/* ---- states ---- */

static const char *const state_names[SESSION_STATES] = {
    "STARTUP", "AUTH", "LOGIN", "IDLE", "ACTIVE", "RAW", "CLOSING"};

static const bool legal[SESSION_STATES][SESSION_STATES] = {
#define MOVE(from, to, by) [SESSION_##from][SESSION_##to] = true,
#include "router/session/session_state.def"
#undef MOVE
};

const char *
block_name(enum block b)
{
	static const char *const names[] = {"", "replies", "answers", "directory look-up",
	    "no primary", "read your writes", "server", "settings", "output", "admin",
	    "lsn", "shards", "transaction's end", "schema"};

	return names[b];
}

void
session_set_state(struct session *s, enum session_state to)
{
	if (!legal[s->state][to]) {
		log_line(LOG_ERROR, "illegal move of a session", "from",
		    state_names[s->state], "to", state_names[to], "before",
		    state_names[s->moves[0]], "session", LOG_NUM(s->id), NULL);
#ifdef WEIR_DEBUG
		abort();
#endif
		if (s->state == SESSION_CLOSING)
			return;
		s->state = SESSION_CLOSING;
		stream_close(&s->stream, 0);
		return;
	}
	memmove(s->moves + 1, s->moves, sizeof s->moves - 1);
	s->moves[0] = s->state;
	s->state = (uint8_t)to;
}

/* ---- who ---- */

const char *
session_user(const struct session *s)
{
	return s->identity == NULL ? NULL : s->identity->user;
}

const char *
session_database(const struct session *s)
{
	return s->db == NULL ? NULL : s->db->cluster->name;
}

void
session_log(struct session *s, int level, const char *message, const struct err *e)
{
	if (!log_enabled(level))
		return;
	log_line(level, message, "session", LOG_NUM(s->id), "user", session_user(s),
	    "database", session_database(s), "shard",
	    s->x != NULL && s->x->shard >= 0 && s->db != NULL
		? s->db->cluster->shards[s->x->shard].name
		: NULL,
	    "state", state_names[s->state], "sqlstate", e == NULL ? NULL : e->sqlstate,
	    "error", e == NULL ? NULL : e->msg, NULL);
}

uint32_t
session_pid(const struct session *s)
{
	return peer_told_pid(s->w->proc, s->id);
}

/* Made from the id by a keyed hash, so that it need not be kept. */
void
session_cancel_key(const struct session *s, unsigned char *key, size_t len)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned n = sizeof mac;

	HMAC(EVP_sha256(), s->w->proc->secret, sizeof s->w->proc->secret,
	    (const unsigned char *)&s->id, sizeof s->id, mac, &n);
	memcpy(key, mac, len < n ? len : n);
}

struct session *
worker_find_session(struct worker *w, uint64_t id)
{
	LIST_FOREACH(it, &w->sessions) {
		struct session *s = LIST_ENTRY(it, struct session, node);

		if (s->id == id)
			return s;
	}
	return NULL;
}

/* ---- what is needed only while something is under way ---- */

/* A reload came since the last statement: the session goes over to the new configuration of its database. False: there is none any more. */
static bool
rebind(struct session *s)
{
	struct dbview *view = s->admin
	    ? worker_admin_view(s->w)
	    : worker_view(s->w, slice_of(s->db->cluster->name));
	struct identity *old = s->identity;
	const char *shard =
	    s->shard_setting < 0 ? NULL : s->db->cluster->shards[s->shard_setting].name;

	if (view == NULL)
		return false;
	s->shard_setting = SHARD_NONE;
	for (int i = 0; shard != NULL && i < view->cluster->n_shards; i++)
		if (strcmp(view->cluster->shards[i].name, shard) == 0)
			s->shard_setting = (int16_t)i;
	if (view->cluster->n_shards !=
	    s->db->cluster->n_shards) { /* shard numbers may mean others now */
		free(s->tokens);
		s->tokens = NULL;
	}
	if (s->counted) {
		atomic_fetch_sub(&s->db->cluster->clients, 1);
		atomic_fetch_add(&view->cluster->clients, 1);
	}
	s->identity = worker_identity(s->w, view, slice_of(old->user), &old->login);
	identity_unref(old);
	worker_view_unref(s->db);
	s->db = view;
	return true;
}

struct exec *
session_exec(struct session *s)
{
	struct exec *x = s->x;

	if (x != NULL)
		return x;
	if (s->state == SESSION_IDLE)
		session_set_state(s, SESSION_ACTIVE);
	timer_stop(&s->timer);
	if (s->state == SESSION_ACTIVE && s->db->cluster->config != s->w->snap->config &&
	    !rebind(s))
		s->kill = true;
	s->x = x = slab_alloc(&s->w->exec_slab);
	x->session = s;
	x->shard = SHARD_NONE;
	x->ddl_shard = SHARD_NONE;
	x->pin_shard = SHARD_NONE;
	arena_init_in(&x->arena, x->arena_room, sizeof x->arena_room);
	list_init(&x->portals);
	list_init(&x->parked);
	list_init(&x->branches);
	list_init(&x->waiter.node);
	timer_init(&x->wait_timer, session_wait_timeout);
	msgbuf_init(&x->out);
	msgbuf_init(&x->head);
	return x;
}

static void
drop_chunks(struct exec *x)
{
	while (x->chunk != NULL) {
		struct chunk *c = x->chunk;

		x->chunk = c->next;
		chunk_free(x, c);
	}
}

static void
end_cycle(struct session *s)
{
	struct exec *x = s->x;

	arena_reset(&x->arena);
	if (x->shape != NULL)
		shape_unref(x->shape);
	x->shape = NULL;
	sqlprep_forget(x);
	scatter_destroy(x->planned);
	x->planned = NULL;
	x->sql_text = NULL;
	prepared_unref(x->rollback);
	x->rollback = NULL;
	x->failed = x->sent_to_client = x->gave_up = false;
	x->started_us = 0;
	x->cancelled = false;
	x->trouble_since_us = 0;
	x->bad_server_tries = 0;
	redo_forget(x);
	x->ddl_shard = SHARD_NONE;
	if (x->ending != NULL && !ending_needed(s))
		ending_free(x);
}

static void
free_exec(struct session *s)
{
	struct exec *x = s->x;

	session_unpark(s);
	pool_cancel_wait(&x->waiter);
	if (x->lookup != NULL)
		lookup_forget(x->lookup);
	drop_chunks(x);
	extended_reset(s);
	end_cycle(s);
	branches_drop(s);
	scatter_destroy(x->scatter);
	x->scatter = NULL;
	effects_transaction_over(s, true);
	temps_unref(x->temps);
	temps_unref(x->tx_temps);
	ending_free(x);
	free(x->pending);
	free(x->replay_error);
	free(x->last_words);
	free(x->lost);
	varset_assign(&x->params_before, NULL);
	msgbuf_fini(&x->out);
	msgbuf_fini(&x->head);
	s->x = NULL;
	slab_free(&s->w->exec_slab, x);
}

void
session_rest(struct session *s)
{
	struct exec *x = s->x;

	if (x != NULL && s->half_closed && x->chunk == NULL && x->blocked == BLOCK_NOT &&
	    !x->running) {
		session_close(s, LINGER_MS);
		return;
	}
	if (x == NULL || x->running || s->server != NULL || s->tx != 'I' ||
	    x->n_pending > 0 || x->discard || x->unsynced || x->chunk != NULL ||
	    x->kept != NULL || !list_empty(&x->portals) || s->reader.pass > 0 ||
	    x->begin != NULL || !list_empty(&x->branches)) {
		session_start_timer(s);
		return;
	}
	free_exec(s);
	session_set_state(s, SESSION_IDLE);
	if (s->w->proc != NULL &&
	    atomic_load_explicit(&s->w->draining, memory_order_relaxed)) {
		session_kill(
		    s, "57P01", "terminating connection due to administrator command");
		return;
	}
	session_start_timer(s);
}

bool
session_keeps_server(const struct session *s)
{
	return s->pins != 0 ||
	    CONFIG_VALUE(s->identity->conf, s->db->cluster->conf, pool_mode) ==
	    POOL_MODE_SESSION;
}

/* Nothing is owed by it or to it. (After an error it skips all up to a Sync.) */
static bool
server_at_rest(const struct session *s)
{
	const struct link *l = link_of(s->server);

	return s->tx == 'I' && link_quiet(l) && !l->half_sent &&
	    (s->x == NULL || (!s->x->unsynced && !s->x->discard));
}

void
session_release_if_free(struct session *s)
{
	if (s->server != NULL && server_at_rest(s) && !session_keeps_server(s))
		session_release_server(s);
}

/* After ReadyForQuery: what the cycle held is given back; the server too, unless the transaction or a pin holds it. */
void
session_cycle_done(struct session *s)
{
	struct exec *x = s->x;
	struct dbstats *st = s->db == NULL ? NULL : s->db->stats;

	if (x->started_us != 0 && st != NULL) {
		uint64_t took = loop_now_us(s->w->loop) - x->started_us;

		stat_add(&st->queries, 1);
		stat_add(&st->query_us, took);
		histogram_record(st->query_hist, took);
		if (x->backend != NULL)
			backend_query_took(x->backend, s->w->index, x->plan.kind, took);
	}
	if (x->ddl_shard != SHARD_NONE)
		ddl_over(s);
	if (s->tx == 'I') {
		extended_reset(s);
		if (st != NULL && x->started_us != 0)
			stat_add(&st->xacts, 1);
		if (st != NULL && x->tx_started_us != 0)
			stat_add(
			    &st->xact_us, loop_now_us(s->w->loop) - x->tx_started_us);
		x->tx_started_us = 0;
		s->txns++;
		session_release_if_free(s);
	}
	end_cycle(s);
	if (s->tx == 'I' && s->pins != 0 && s->server == NULL &&
	    x->pin_shard != SHARD_NONE) {
		session_kill(s, "08006",
		    "the connection to the server that the session is pinned to was lost");
		return;
	}
	if (x->blocked == BLOCK_REPLIES || x->blocked == BLOCK_OUTPUT)
		x->blocked = BLOCK_NOT;
	session_run(s);
}

/* What waits for an answer is told; the rest of its cycle is skipped as after any error. */
static void
tell_lost(struct session *s, const struct err *e, bool in_cycle)
{
	struct exec *x = s->x;

	if (x->msg.type != 'Q' && x->msg.type != 'F')
		x->msg.type = in_cycle ? 'E' : 'S';
	x->unsynced = false;
	x->resume = NULL;
	x->blocked = BLOCK_NOT;
	session_error(s, e);
	if (s->state == SESSION_ACTIVE && s->x != NULL)
		session_run(s);
}

static bool
whole_messages_only(const struct server *server)
{
	return server == NULL || server->reader.pass == 0;
}

/* ---- time limits: one timer, whose meaning is the state's ---- */

/* What ends an idle transaction first. */
static uint64_t
transaction_limit(struct session *s, const struct user_conf *u, const struct db_conf *db,
    const char **what)
{
	uint64_t idle = CONFIG_VALUE(u, db, idle_transaction_timeout_us);
	uint64_t whole = CONFIG_VALUE(u, db, transaction_timeout_us);
	uint64_t open = loop_now_us(s->w->loop) - s->x->tx_started_us;
	uint64_t left = open < whole ? whole - open : 1000;

	if (whole == 0 || s->x->tx_started_us == 0 || (idle != 0 && idle < left)) {
		*what = "idle_transaction_timeout";
		return idle;
	}
	*what = "transaction_timeout";
	return left;
}

static uint64_t
time_limit(struct session *s, const char **what)
{
	const struct user_conf *u = s->identity == NULL ? NULL : s->identity->conf;
	const struct db_conf *db = s->db == NULL ? NULL : s->db->cluster->conf;

	*what = "";
	if (db == NULL || s->admin)
		return 0;
	if (s->state == SESSION_IDLE) {
		*what = "client_idle_timeout";
		return CONFIG_VALUE(u, db, client_idle_timeout_us);
	}
	if (s->state != SESSION_ACTIVE)
		return 0;
	if (s->x->started_us != 0) {
		*what = "query_timeout";
		return CONFIG_VALUE(u, db, query_timeout_us);
	}
	return s->tx == 'I' ? 0 : transaction_limit(s, u, db, what);
}

void
session_start_timer(struct session *s)
{
	const char *what;
	uint64_t limit = time_limit(s, &what);

	if (s->half_closed)
		return;
	if (limit == 0)
		timer_stop(&s->timer);
	else
		timer_start(s->w->loop, &s->timer, limit / 1000);
}

/* A client that has closed answers any byte with a reset; one that only shut its writing down takes a ParameterStatus as what it is,
 * unless it stands amid a row. */
static void
ask_half_closed(struct session *s)
{
	const char *value = varset_get(s->params, "client_encoding");
	struct pollfd state = {s->stream.io.fd, 0, 0};
	struct msgbuf out;

	if (poll(&state, 1, 0) == 1 && (state.revents & (POLLHUP | POLLERR)) != 0) {
		session_close(s, 0);
		return;
	}
	if (whole_messages_only(s->server)) {
		msgbuf_init(&out);
		msg_parameter_status(
		    &out, "client_encoding", value == NULL ? "UTF8" : value);
		stream_write(&s->stream, out.data, out.len);
		msgbuf_fini(&out);
	}
	timer_start(s->w->loop, &s->timer, 5 * HALF_CLOSED_MS);
}

/* The server's own 57014 comes back, or it is given up. */
static void
query_timed_out(struct session *s)
{
	struct exec *x = s->x;
	struct err e;

	if (!x->cancelled) {
		x->cancelled = true;
		pool_cancel_query(s->server);
		timer_start(s->w->loop, &s->timer, CANCEL_GRACE_MS);
		return;
	}
	(void)err_set(&e, "57014", BLAST_TXN,
	    "canceling statement due to query_timeout; the server did not answer");
	if (s->tx != 'I' || session_keeps_server(s) || !whole_messages_only(s->server)) {
		session_fatal(s, &e);
		return;
	}
	session_drop_server(s, false);
	tell_lost(s, &e, x->unsynced);
}

static void
timed_out(struct timer *t)
{
	struct session *s = LIST_ENTRY(t, struct session, timer);
	const char *what;
	struct err e;

	if (s->half_closed) {
		ask_half_closed(s);
		return;
	}
	if (s->login != NULL) {
		(void)err_set(&e, "08P01", BLAST_SESSION, "client_login_timeout");
		session_fatal(s, &e);
		return;
	}
	if (time_limit(s, &what) == 0)
		return;
	if (strcmp(what, "query_timeout") == 0 && s->x->scatter != NULL) {
		timer_start(s->w->loop, &s->timer, CANCEL_GRACE_MS);
		if (s->x->cancelled) {
			scatter_give_up(s->x->scatter);
			return;
		}
		s->x->cancelled = true;
		scatter_cancel(s, "query_timeout");
		return;
	}
	if (strcmp(what, "query_timeout") == 0 && s->server != NULL) {
		query_timed_out(s);
		return;
	}
	if (strcmp(what, "idle_transaction_timeout") == 0 && s->x->blocked != BLOCK_NOT) {
		session_start_timer(s); /* it waits for its server, and is not idle */
		return;
	}
	(void)err_set(&e, strstr(what, "transaction_timeout") != NULL ? "25P03" : "57P05",
	    BLAST_SESSION, "terminating connection due to %s", what);
	session_fatal(s, &e);
}

/* ---- birth and death ---- */

static void
received(struct stream *st, struct buf *b, uint32_t off, uint32_t len)
{
	struct session *s = LIST_ENTRY(st, struct session, stream);

	if (s->state == SESSION_IDLE || s->state == SESSION_ACTIVE) {
		stat_add(&s->db->stats->received, len);
		session_bytes(s, b, off, len);
	} else if (s->state == SESSION_RAW) {
		if (s->server != NULL)
			stream_write_buf(&s->server->stream, b, off, len);
	} else {
		session_startup_bytes(s, b, off, len);
	}
}

void
session_drained(struct session *s)
{
	if (s->server != NULL && !io_reading(&s->server->stream.io))
		stream_read_start(&s->server->stream);
	if (s->x != NULL && s->x->scatter != NULL)
		scatter_client_drained(s);
	if (s->x != NULL && s->x->blocked == BLOCK_OUTPUT &&
	    stream_queued(&s->stream) <= OUTPUT_HIGH)
		session_unblock(s);
}

static void
drained(struct stream *st)
{
	session_drained(LIST_ENTRY(st, struct session, stream));
}

static void
ended(struct stream *st, int error)
{
	struct session *s = LIST_ENTRY(st, struct session, stream);

	if (error != 0 && log_enabled(LOG_DEBUG))
		session_log(s, LOG_DEBUG, "client connection lost", NULL);
	if (error == 0 && s->state == SESSION_ACTIVE &&
	    (s->x->blocked != BLOCK_NOT || s->x->chunk != NULL)) {
		s->half_closed = true;
		timer_start(s->w->loop, &s->timer, HALF_CLOSED_MS);
		return;
	}
	session_close(s, 0);
}

static void
closed(struct stream *st)
{
	struct session *s = LIST_ENTRY(st, struct session, stream);
	struct worker *w = s->w;

	reader_fini(&s->reader);
	list_remove(&s->node);
	slab_free(&w->session_slab, s);
	atomic_fetch_sub(&w->n_sessions, 1);
	atomic_fetch_sub(&w->proc->clients, 1);
}

static void
secured(struct stream *st)
{
	session_login_changed(LIST_ENTRY(st, struct session, stream));
}

static const struct stream_ops ops = {.received = received,
    .drained = drained,
    .ended = ended,
    .closed = closed,
    .secured = secured};

struct session *
session_create(struct worker *w, int fd, bool unix_socket)
{
	struct session *s = slab_alloc(&w->session_slab);

	s->w = w;
	s->id = atomic_fetch_add(&w->proc->next_session, 1) * WORKERS_MAX +
	    (uint64_t)w->index;
	s->id &= 0x7fffffff; /* a pid of the protocol */
	s->tx = 'I';
	s->shard_setting = SHARD_NONE;
	s->unix_socket = unix_socket;
	s->connected_us = s->request_us = loop_now_us(w->loop);
	reader_init(&s->reader, NULL);
	timer_init(&s->timer, timed_out);
	list_init(&s->node);
	list_push_back(&w->sessions, &s->node);
	stream_open(&s->stream, w->loop, fd, &ops, NULL);
	s->stream.io.low_water = OUTPUT_LOW;
	session_login_begin(s);
	stream_read_start(&s->stream);
	return s;
}

/* Session mode, pins, a transaction left open: the server is cleaned or closed. */
static void
leave_server(struct session *s)
{
	struct server *server = s->server;
	const struct settings *set;
	struct link *l;

	if (server == NULL)
		return;
	l = link_of(server);
	set = &s->db->cluster->conf->settings;
	if (server_at_rest(s) && s->state == SESSION_ACTIVE &&
	    set->server_reset_query[0] != '\0' && reader_at_boundary(&server->reader) &&
	    stream_queued(&server->stream) == 0) {
		s->server = NULL;
		varset_assign(&l->vars, NULL);
		link_drop_all(l);
		if (!io_reading(&server->stream.io))
			stream_read_start(&server->stream);
		pool_reset_and_release(server, set->server_reset_query);
		return;
	}
	if (!link_quiet(l))
		pool_cancel_query(server); /* or it would go on working for nobody */
	session_drop_server(s, true);
}

void
session_close(struct session *s, unsigned linger_ms)
{
	if (s->state == SESSION_CLOSING)
		return;
	if (ending_busy(s->x)) {
		s->close_wanted = true;
		return;
	}
	leave_server(s);
	if (s->x != NULL)
		free_exec(s);
	session_set_state(s, SESSION_CLOSING);
	timer_stop(&s->timer);
	session_login_end(s);
	names_clear(&s->names);
	prepared_unref(s->unnamed);
	s->unnamed = NULL;
	varset_assign(&s->vars, NULL);
	varset_assign(&s->tx_vars, NULL);
	varset_assign(&s->start_vars, NULL);
	varset_assign(&s->params, NULL);
	free(s->tokens);
	s->tokens = NULL;
	if (s->counted) {
		atomic_fetch_sub(&s->db->cluster->clients, 1);
		usercount_remove(s->identity->user);
	}
	s->counted = false;
	if (s->identity != NULL)
		identity_unref(s->identity);
	if (s->db != NULL)
		worker_view_unref(s->db);
	s->identity = NULL;
	s->db = NULL;
	stream_close(&s->stream, linger_ms);
}

void
session_fatal(struct session *s, const struct err *e)
{
	struct msgbuf out;

	if (s->state == SESSION_CLOSING)
		return;
	session_log(s, LOG_INFO, "client disconnected with an error", e);
	if (whole_messages_only(s->server)) { /* amid a row it would be taken for that */
		msgbuf_init(&out);
		msg_error(&out, "FATAL", e);
		stream_write(&s->stream, out.data, out.len);
		msgbuf_fini(&out);
	}
	session_close(s, LINGER_MS);
}

void
session_kill(struct session *s, const char *sqlstate, const char *why)
{
	struct err e;

	(void)err_set(&e, sqlstate, BLAST_SESSION, "%s", why);
	session_fatal(s, &e);
}

/* ---- the server is gone ---- */

void
session_keep_last_words(struct session *s, const struct read_msg *m)
{
	struct exec *x = s->x;

	free(x->last_words);
	x->last_words = malloc(m->body.len);
	if (x->last_words != NULL)
		memcpy(x->last_words, m->body.ptr, m->body.len);
	x->last_words_len = x->last_words == NULL ? 0 : m->body.len;
}

static void
lost_error(struct session *s, struct err *e)
{
	struct exec *x = s->x;
	struct slice body = {
	    x->last_words_len == 0 ? NULL : x->last_words, x->last_words_len};
	const char *label = x->backend == NULL ? "?" : x->backend->label;

	(void)err_set(
	    e, "08006", BLAST_TXN, "the connection to server %s was lost", label);
	if (body.ptr != NULL && msg_error_field(body, 'C').len == 5) {
		memcpy(e->sqlstate, msg_error_field(body, 'C').ptr, 5);
		snprintf(e->msg, sizeof e->msg, "server %s: %.*s", label,
		    (int)msg_error_field(body, 'M').len, msg_error_field(body, 'M').ptr);
	}
	err_hint(e,
	    s->tx == 'I'
		? "Whether the statement took effect is not known; run it again if that is safe."
		: "The transaction is lost; start it again.");
}

/* Nothing was sent on it but Weir's own messages: another one will do. */
static bool
try_another(struct session *s)
{
	struct exec *x = s->x;
	void (*resume)(struct session *) = x->resume;
	struct err e;

	if ((x->blocked != BLOCK_REPLAY && x->blocked != BLOCK_NOT) ||
	    x->resume == NULL || x->bad_server_tries++ > 3 || x->begin != NULL ||
	    x->plan.shard == SHARD_NONE ||
	    x->ddl_shard != SHARD_NONE) /* that was the client's own statement */
		return false;
	x->blocked = BLOCK_NOT;
	if (session_need_server(s, &x->plan, resume, &e) == RC_ERR) {
		x->resume = NULL;
		session_error(s, &e);
		session_run(s);
	} else if (x->blocked == BLOCK_NOT) {
		x->resume = resume;
		session_unblock(s);
	}
	return true;
}

/* The transaction is idle: it hears of it when it asks for something. */
static void
tell_lost_later(struct session *s, const struct err *e)
{
	struct exec *x = s->x;

	free(x->lost);
	x->lost = malloc(sizeof *x->lost);
	if (x->lost == NULL)
		abort();
	*x->lost = *e;
	x->lost->raw = (struct slice){NULL, 0};
	x->tx_failed = true;
	s->tx = 'E';
	if (x->begin == NULL)
		x->begin = strdup("BEGIN");
}

void
session_lost_server(struct session *s, int error)
{
	struct exec *x = s->x;
	struct server *server = s->server;
	bool clean = whole_messages_only(server), quiet, redoing = x->redoing;
	struct err e;

	(void)error;
	if (s->state == SESSION_RAW || s->state == SESSION_LOGIN) {
		lost_error(s, &e);
		s->server = NULL;
		if (s->state == SESSION_LOGIN)
			session_fatal(s, &e);
		else
			session_close(s, LINGER_MS);
		return;
	}
	lost_error(s, &e);
	x->last_words_len = 0;
	quiet =
	    link_quiet(link_of(server)) && !x->unsynced && x->blocked != BLOCK_REPLIES;
	for (uint32_t i = link_of(server)->ring_len; i-- > 0;)
		extended_undo_name(s, link_nth(link_of(server), i));
	session_forget_server(s);
	x->redoing = false;
	if (x->ddl_shard != SHARD_NONE)
		ddl_failed(s, &e);
	session_log(s, LOG_WARNING, "server lost in use", &e);
	if (redoing && !(session_keeps_server(s) && x->used))
		redo_run(s); /* its error had come: nothing of the cycle stands */
	else if (x->fatal_forwarded ||
	    !clean) /* the client has the server's last words, or half a row */
		session_close(s, LINGER_MS);
	else if (session_keeps_server(s) && x->used)
		session_fatal(s, &e);
	else if (try_another(s))
		return;
	else if (!quiet || x->ddl_shard != SHARD_NONE)
		tell_lost(s, &e, x->unsynced);
	else if (s->tx != 'I')
		tell_lost_later(s, &e);
	else
		session_rest(s);
}

void
session_branch_lost(struct session *s, struct branch *b)
{
	struct exec *x = s->x;
	struct err e;

	if (x->scatter != NULL) {
		scatter_lost(x->scatter, b);
		return;
	}
	(void)branch_failed(b, &e);
	session_log(
	    s, LOG_WARNING, "server lost in a transaction over several shards", &e);
	err_hint(&e, "The transaction is lost on all shards; start it again.");
	if (s->pins != 0 &&
	    b->shard == x->pin_shard) { /* and with it what it is pinned for */
		branch_release(b);
		session_fatal(s, &e);
		return;
	}
	branch_release(b);
	x->doomed = true;
	tell_lost_later(s, &e);
}
