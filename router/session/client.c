/* The client's messages, in order. Input comes in chunks that are kept by reference; the reader stands in the first one. While the session is
 * blocked nothing is read: the chunk stays, the rest waits in the kernel. */
#include "router/session/scatter.h"

#include <stdlib.h>

#include "base/log.h"

#define BIG_MESSAGE_MAX (1u << 30)
#define INPUT_HELD_MAX  (64 * 1024) /* bytes of input kept while the session is blocked */

void
session_block(struct session *s, enum block why)
{
	s->x->blocked =
	    why; /* reading goes on until INPUT_HELD_MAX is held: so a client that leaves is noticed */
}

/* The first one has its place in exec: mostly there is no other. */
static struct chunk *
chunk_new(struct exec *x)
{
	struct chunk *c =
	    x->first_chunk.buf == NULL ? &x->first_chunk : malloc(sizeof *c);

	if (c == NULL)
		abort();
	return c;
}

void
chunk_free(struct exec *x, struct chunk *c)
{
	buf_unref(c->buf);
	if (c == &x->first_chunk)
		c->buf = NULL;
	else
		free(c);
}

static void
drop_chunk(struct exec *x)
{
	struct chunk *c = x->chunk;

	x->chunk = c->next;
	x->fed = false;
	x->held -= c->len;
	if (redo_keep(x, c))
		return;
	chunk_free(x, c);
}

static void
keep_chunk(struct exec *x, struct buf *b, uint32_t off, uint32_t len)
{
	struct chunk *c = chunk_new(x);

	*c = (struct chunk){NULL, b, off, len};
	buf_ref(b);
	if (x->chunk == NULL)
		x->chunk = c;
	else
		x->chunk_last->next = c;
	x->chunk_last = c;
}

void
session_bytes(struct session *s, struct buf *b, uint32_t off, uint32_t len)
{
	struct exec *x = session_exec(s);

	if (s->kill) {
		session_kill(
		    s, "57P01", "the database was removed from the configuration");
		return;
	}
	keep_chunk(x, b, off, len);
	s->request_us = loop_now_us(s->w->loop);
	x->held += len;
	if (x->held > INPUT_HELD_MAX)
		stream_read_stop(&s->stream);
	session_run(s);
}

/* ---- COPY data from the client ---- */

static bool
copy_from_client(struct session *s)
{
	return s->server != NULL && link_of(s->server)->copy_in;
}

/* CopyData, CopyDone, CopyFail: to the server while it takes them; else they are left over from a COPY that failed, and are
 * dropped as PostgreSQL does. */
static void
copy_message(struct session *s, const struct read_msg *m)
{
	struct exec *x = s->x;
	struct link *l = s->server == NULL ? NULL : link_of(s->server);

	if (l == NULL || (!l->copy_in && !l->half_sent))
		return;
	redo_give_up(x);
	l->half_sent = !m->last;
	if (m->in_chunk)
		stream_write_buf(&s->server->stream, x->chunk->buf,
		    (uint32_t)((const unsigned char *)m->raw.ptr - x->chunk->buf->data),
		    (uint32_t)m->raw.len);
	else
		stream_write(&s->server->stream, m->raw.ptr, m->raw.len);
	if (l->copy_in && m->type != 'd' && m->last) {
		l->copy_in = false;
		if (link_head(l)->type == REPLY_QUERY)
			session_block(s, BLOCK_REPLIES);
	}
	if (!l->copy_in)
		session_release_if_free(s);
	if (s->server != NULL && stream_queued(&s->server->stream) > OUTPUT_HIGH)
		session_block(s, BLOCK_OUTPUT);
}

/* ---- the admin console: simple protocol here, extended in extended.c ---- */

void
session_admin_done(struct session *s, struct msgbuf *out, const struct err *e)
{
	struct exec *x = s->x;

	if (e != NULL) {
		x->blocked = BLOCK_NOT;
		session_error(s, e);
	} else {
		if (x->msg.type == 'Q')
			msg_ready(out, 'I');
		session_reply(s, out);
	}
	if (s->state == SESSION_ACTIVE && x->blocked == BLOCK_ADMIN)
		session_unblock(s);
	else if (s->state == SESSION_ACTIVE)
		session_run(s);
}

static void
admin_message(struct session *s, struct read_msg *m)
{
	struct exec *x = s->x;
	struct slice sql = m->body;
	struct msgbuf *out = &x->out;
	struct err e;

	if (sql.len > 0 && sql.ptr[sql.len - 1] == '\0')
		sql.len--;
	msgbuf_clear(out);
	switch (s->w->proc->admin->command(s, sql, true, out, &e)) {
	case RC_OK:
		msg_ready(out, 'I');
		session_reply(s, out);
		break;
	case RC_AGAIN:
		session_block(s, BLOCK_ADMIN);
		break;
	case RC_ERR:
		session_error(s, &e);
		break;
	}
}

/* ---- dispatch ---- */

static void
protocol_error(struct session *s, const char *what, int value)
{
	struct err e;

	(void)err_set(&e, "08P01", BLAST_SESSION, "%s %d", what, value);
	session_fatal(s, &e);
}

static void
function_on_server(struct session *s)
{
	struct exec *x = s->x;

	extended_flush_pending(s);
	stream_write(&s->server->stream, x->msg.raw.ptr, x->msg.raw.len);
	link_push(link_of(s->server), REPLY_FUNCTION);
	x->unsynced = false;
	session_sent(s, &x->plan, NULL);
	session_block(s, BLOCK_REPLIES);
}

/* Its function is a number that no map can speak of: it goes where the session is, or to the only shard. */
static void
function_call(struct session *s)
{
	struct exec *x = s->x;
	struct plan plan = {.kind = PLAN_ANY, .shard = session_any_shard(s)};
	struct err e;
	enum rc rc;

	if (x->tx_failed)
		rc = err_set(&e, "25P02", BLAST_STMT,
		    "current transaction is aborted, commands ignored until end of transaction block");
	else if (s->server == NULL && !session_one_shard(s) &&
	    s->shard_setting == SHARD_NONE)
		rc = err_set(&e, "0A000", BLAST_STMT,
		    "a function call message on a sharded database"),
		err_hint(&e, "Call the function with SELECT, or SET weir.shard.");
	else
		rc = session_need_server(s, &plan, function_on_server, &e);
	if (rc == RC_OK)
		function_on_server(s);
	else if (rc == RC_ERR)
		session_error(s, &e);
}

static bool
extended_type(char type)
{
	return type == 'P' || type == 'B' || type == 'D' || type == 'E' || type == 'C' ||
	    type == 'H' || type == 'S';
}

/* DDL went through: what it changed is read before anything else is planned. */
bool
session_schema_behind(const struct session *s)
{
	const struct cluster *c = s->db->cluster;

	return atomic_load_explicit(&c->schema_wanted, memory_order_relaxed) !=
	    atomic_load_explicit(&c->schema_done, memory_order_relaxed) &&
	    c->n_shards > 1;
}

static void
message(struct session *s)
{
	struct read_msg *m = &s->x->msg;

	if ((m->type == 'Q' || m->type == 'B') && session_schema_behind(s) &&
	    !s->x->gave_up) {
		s->x->resume = message;
		session_park(s, BLOCK_SCHEMA, 1000000);
		return;
	}

	if (m->type == 'X') {
		session_close(s, 0);
		return;
	}
	if (m->type == 'd' || m->type == 'c' || m->type == 'f') {
		copy_message(s, m);
		return;
	}
	if (copy_from_client(
		s)) { /* the server ignores Flush and Sync there, and has its own words for the rest */
		if (m->type != 'S' && m->type != 'H')
			stream_write(&s->server->stream, m->raw.ptr, m->raw.len);
		return;
	}
	if (s->x->discard && m->type != 'S')
		return;
	if (s->admin && m->type == 'Q')
		admin_message(s, m);
	else if (m->type == 'Q')
		simple_query(s);
	else if (extended_type(m->type))
		extended_message(s);
	else if (m->type == 'F')
		function_call(s);
	else
		protocol_error(
		    s, "invalid frontend message type", (unsigned char)m->type);
}

/* Longer than is ever assembled. COPY data passes in pieces; a statement is refused and its bytes dropped. */
static void
big_message(struct session *s)
{
	struct exec *x = s->x;
	struct err e;

	reader_pass(&s->reader);
	if (x->msg.type != 'd' && copy_from_client(s)) {
		protocol_error(s,
		    "unexpected message type during COPY:", (unsigned char)x->msg.type);
		return;
	}
	redo_give_up(x);
	if (x->msg.type == 'd' || x->discard || big_begin(s))
		return;
	if (x->msg.len > BIG_MESSAGE_MAX) {
		protocol_error(s, "invalid message length", (int)x->msg.len);
		return;
	}
	(void)err_set(&e, "54000", BLAST_STMT,
	    "message of %u bytes is longer than max_message_buffer (%llu bytes)",
	    x->msg.len,
	    (unsigned long long)s->db->cluster->conf->settings.max_message_buffer_bytes);
	err_hint(&e,
	    "Raise max_message_buffer, or send the data by COPY or in smaller statements.");
	if (x->msg.type != 'Q')
		x->discard = true;
	session_error(s, &e);
}

static size_t
message_max(const struct session *s)
{
	return s->db == NULL || s->db->cluster == NULL
	    ? 1 << 20
	    : (size_t)s->db->cluster->conf->settings.max_message_buffer_bytes;
}

/* One unit of input. False: there is none. */
static bool
step(struct session *s)
{
	struct exec *x = s->x;
	enum read_kind kind;
	char type = x->msg.type;

	if (!x->fed) {
		if (x->chunk == NULL)
			return false;
		reader_feed(
		    &s->reader, x->chunk->buf->data + x->chunk->off, x->chunk->len);
		x->fed = true;
	}
	kind = reader_next(&s->reader, message_max(s), &x->msg);
	switch (kind) {
	case READ_MORE:
		if (!x->in_cycle && s->reader.have > 0)
			redo_begin(s, NULL);
		drop_chunk(x);
		break;
	case READ_MSG:
		if (!x->in_cycle)
			redo_begin(s, &x->msg);
		message(s);
		break;
	case READ_PIECE:
		if (!x->msg.in_chunk && x->msg.raw.len >= 5)
			type = x->msg.raw.ptr[0];
		x->msg.type = type;
		redo_give_up(x);
		if (type == 'd')
			copy_message(s, &x->msg);
		else if (x->big != 0)
			big_piece(s, &x->msg);
		break;
	case READ_BIG:
		big_message(s);
		break;
	case READ_BAD:
		protocol_error(s, "invalid message length in message of type",
		    (unsigned char)x->msg.type);
		break;
	}
	return true;
}

void
session_run(struct session *s)
{
	struct exec *x = s->x;

	if (x == NULL || x->running || x->blocked != BLOCK_NOT)
		return;
	x->running = true;
	while (s->state == SESSION_ACTIVE && s->x->blocked == BLOCK_NOT) {
		if (stream_queued(&s->stream) > OUTPUT_HIGH ||
		    (s->server != NULL &&
			stream_queued(&s->server->stream) > OUTPUT_HIGH))
			session_block(s, BLOCK_OUTPUT); /* one of the two does not read */
		else if (!step(s))
			break;
	}
	if (s->x == NULL)
		return;
	x->running = false;
	if (s->state == SESSION_ACTIVE && x->blocked == BLOCK_NOT) {
		if (!io_reading(&s->stream.io))
			stream_read_start(&s->stream);
		session_rest(s);
	}
}

bool
session_await_answers(struct session *s)
{
	static const char flush[] = {'H', 0, 0, 0, 4};

	if (s->server != NULL)
		session_send_local(s);
	if (s->server == NULL || link_quiet(link_of(s->server)))
		return false;
	stream_write(&s->server->stream, flush, sizeof flush);
	s->x->resume = message;
	session_block(s, BLOCK_ANSWERS);
	return true;
}

/* Was the message that waits overtaken by an error of one before it? */
static bool
is_skipped(const struct exec *x)
{
	return x->discard && extended_type(x->msg.type) && x->msg.type != 'S';
}

void
session_unblock(struct session *s)
{
	struct exec *x = s->x;
	void (*resume)(struct session *) = x->resume;

	x->blocked = BLOCK_NOT;
	x->resume = NULL;
	if (resume != NULL && !is_skipped(x))
		resume(s);
	if (s->state == SESSION_ACTIVE && s->x != NULL)
		session_run(s);
}

/* ---- answers ---- */

void
session_reply(struct session *s, struct msgbuf *out)
{
	struct link *l = s->server == NULL ? NULL : link_of(s->server);
	struct reply *r;

	if (out->len == 0)
		return;
	if (l == NULL || link_quiet(l)) {
		stream_write(&s->stream, out->data, out->len);
		if (s->x != NULL)
			s->x->sent_to_client = true;
		return;
	}
	r = link_push(l, REPLY_LOCAL);
	r->text = malloc(out->len);
	if (r->text == NULL)
		abort();
	memcpy(r->text, out->data, out->len);
	r->len = (uint32_t)out->len;
	session_send_local(s);
}

/* The server holds work of this cycle that it would commit at Sync: the cycle's end sends ROLLBACK first (extended.c). */
void
session_error(struct session *s, const struct err *e)
{
	struct exec *x = session_exec(s);
	struct msgbuf *out = &x->out;

	if (x->scatter != NULL) { /* it had not begun; it gives its servers back */
		scatter_fail(x->scatter, e);
		return;
	}
	stat_add(e->sqlstate[0] == '0' && e->sqlstate[1] == 'A' ? &s->db->stats->refused
								: &s->db->stats->errors,
	    1);
	if (e->blast == BLAST_SESSION || s->state == SESSION_LOGIN) {
		session_fatal(s, e);
		return;
	}
	redo_give_up(x);
	msgbuf_clear(out);
	msg_error(out, "ERROR", e);
	x->failed = true;
	x->big = 0; /* what is still to come of it is dropped */
	if (s->tx == 'T') {
		s->tx = 'E';
		x->tx_failed = true;
	}
	if (extended_type(x->msg.type) && x->msg.type != 'S') {
		extended_settle_pending(s);
		msgbuf_clear(out);
		msg_error(out, "ERROR", e);
		x->discard = true;
		x->refused = true;
		session_reply(s, out);
		return;
	}
	if (x->unsynced && s->server != NULL && x->msg.type != 'S') {
		session_reply(s, out);
		extended_end_refused(s);
		return;
	}
	x->discard = x->refused = false;
	msg_ready(out, s->tx);
	session_reply(s, out);
	session_cycle_done(s);
}
