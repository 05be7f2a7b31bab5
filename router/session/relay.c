/* The server's messages. Only their headers are read; runs of them that go to the client untouched leave by reference to the
 * buffer that they came in. Each answer is matched with the message that it is owed for (link.h). */
#include "router/session/session.h"

#include <stdlib.h>

#include "base/log.h"

#define SERVER_MESSAGE_MAX \
	(16u << 20) /* of those that must be whole: all but rows and COPY data */

struct relay {
	struct session *s;
	struct server *server;
	struct link *link;
	struct buf *buf;
	uint32_t run_off, run_len; /* bytes of buf that wait to be forwarded */
	bool gone;                 /* the server is no longer this session's */
};

static void
flush_run(struct relay *r)
{
	if (r->run_len == 0)
		return;
	stream_write_buf(&r->s->stream, r->buf, r->run_off, r->run_len);
	r->run_len = 0;
	r->s->x->sent_to_client = true;
}

static void
forward(struct relay *r, const struct read_msg *m)
{
	uint32_t off;

	if (r->s->x->redoing && m->type != 'S')
		return;
	if (!m->in_chunk) {
		flush_run(r);
		stream_write(&r->s->stream, m->raw.ptr, m->raw.len);
		r->s->x->sent_to_client = true;
		return;
	}
	off = (uint32_t)((const unsigned char *)m->raw.ptr - r->buf->data);
	if (r->run_len > 0 && r->run_off + r->run_len == off) {
		r->run_len += (uint32_t)m->raw.len;
		return;
	}
	flush_run(r);
	r->run_off = off;
	r->run_len = (uint32_t)m->raw.len;
}

/* Replies of our own whose turn has come. */
static void
send_local(struct relay *r)
{
	struct reply *head;

	while ((head = link_head(r->link)) != NULL && head->type == REPLY_LOCAL) {
		const char bare[5] = {head->letter, 0, 0, 0, 4};

		if (!r->s->x->redoing) {
			flush_run(r);
			stream_write(&r->s->stream,
			    head->text == NULL ? bare : head->text,
			    head->text == NULL ? sizeof bare : head->len);
			r->s->x->sent_to_client = true;
		}
		prepared_unref(head->prepared);
		link_pop(r->link);
	}
}

static void
pop(struct relay *r)
{
	prepared_unref(link_head(r->link)->prepared);
	link_pop(r->link);
	send_local(r);
}

static void
violation(struct relay *r, const struct read_msg *m, const char *what)
{
	struct session *s = r->s;
	struct err e;

	flush_run(r);
	log_line(LOG_ERROR, "server broke the protocol", "database", session_database(s),
	    "what", what, "type", (char[2]){m->type, '\0'}, "backend",
	    s->x->backend == NULL ? NULL : s->x->backend->label, NULL);
	(void)err_set(
	    &e, "08P01", BLAST_SESSION, "the server broke the protocol: %s", what);
	r->gone = true;
	session_drop_server(s, false);
	session_fatal(s, &e);
}

/* ---- ErrorResponse ---- */

static void
send_sync(struct relay *r)
{
	static const char sync[] = {'S', 0, 0, 0, 4};

	stream_write(&r->server->stream, sync, sizeof sync);
	link_push(r->link, REPLY_SYNC);
}

/* What was sent behind the message that failed is ignored by the server up to Sync. */
static void
discard_to_sync(struct relay *r)
{
	struct link *l = r->link;
	struct exec *x = r->s->x;
	bool injected = link_head(l)->swallow, query = false, open, ours;
	uint32_t n = 0;

	while (n < l->ring_len && link_nth(l, n)->type != REPLY_SYNC)
		query = query || link_nth(l, n++)->type == REPLY_QUERY;
	open = n == l->ring_len;
	ours = !open &&
	    link_nth(l, n)
		->swallow; /* session_settle(): the client's Sync is still to come */
	if (open || ours)
		extended_drop_pending(r->s);
	for (uint32_t i = n; i-- > 0;)
		extended_undo(r->s, link_nth(l, i), i == 0);
	while (n-- > 0) {
		prepared_unref(link_head(l)->prepared);
		link_pop(l);
	}
	if (open && injected && query) { /* its client waits for ReadyForQuery */
		send_sync(r);
	} else if (open || ours) {
		x->discard = true;
		x->refused = false;
	}
}

static bool
extended_reply(const struct reply *r)
{
	return r->type <= REPLY_CLOSE;
}

/* Clients rely on a SQLSTATE; a server that leaves it out is broken, but its word still counts. */
static void
nameless_error(struct relay *r, const struct read_msg *m)
{
	struct slice text = msg_error_field(m->body, 'M');
	struct msgbuf *out = &r->s->x->out;
	struct err e;

	(void)err_set(&e, "08P01", BLAST_STMT,
	    "the server sent an error without a SQLSTATE: %.*s",
	    text.len > 300 ? 300 : (int)text.len, text.ptr == NULL ? "" : text.ptr);
	flush_run(r);
	msgbuf_clear(out);
	msg_error(out, "ERROR", &e);
	stream_write(&r->s->stream, out->data, out->len);
	r->s->x->sent_to_client = true;
}

/* Of the last of several shards: it says which, and where the statement has run. */
static void
ddl_error(struct relay *r, const struct read_msg *m)
{
	struct msgbuf *out = &r->s->x->out;
	struct err e;

	session_server_error(m->body, &e);
	ddl_failed(r->s, &e);
	flush_run(r);
	msgbuf_clear(out);
	msg_error(out, "ERROR", &e);
	stream_write(&r->s->stream, out->data, out->len);
}

/* An error that names a prepared statement names it as the server knows it: the client's name is put in its place. */
static void
forward_error(struct relay *r, const struct read_msg *m)
{
	struct session *s = r->s;
	const char *at = m->body.len < 6 ? NULL
					 : memmem(m->body.ptr, m->body.len, "\"weir_", 6),
		   *end;
	struct msgbuf *out = &s->x->out;
	const char *name;

	if (msg_error_field(m->body, 'C').len != 5 ||
	    msg_error_field(m->body, 'M').len == 0) {
		nameless_error(r, m);
		return;
	}
	end = at == NULL
	    ? NULL
	    : memchr(at + 1, '"', (size_t)(m->body.ptr + m->body.len - at - 1));
	name = end == NULL ? NULL : names_find_id(s->names, strtoull(at + 6, NULL, 10));
	if (name == NULL) {
		forward(r, m);
		return;
	}
	flush_run(r);
	msgbuf_clear(out);
	msg_begin(out, 'E');
	msg_bytes(out, m->body.ptr, (size_t)(at + 1 - m->body.ptr));
	msg_bytes(out, name, strlen(name));
	msg_bytes(out, end, (size_t)(m->body.ptr + m->body.len - end));
	msg_end(out);
	stream_write(&s->stream, out->data, out->len);
}

static void
on_error(struct relay *r, const struct read_msg *m)
{
	struct session *s = r->s;
	struct exec *x = s->x;
	struct reply *head = link_head(r->link);
	bool fatal = slice_eq_str(msg_error_field(m->body, 'V'), "FATAL");

	r->link->copy_in = false;
	if (head == NULL || (head->swallow && fatal)) {
		session_keep_last_words(
		    s, m); /* the connection ends; `lost` reports it */
		return;
	}
	if (head->swallow && head->check) {
		free(x->replay_error);
		x->replay_error = malloc(m->body.len);
		if (x->replay_error != NULL)
			memcpy(x->replay_error, m->body.ptr, m->body.len);
		x->replay_error_len = m->body.len;
		return;
	}
	if (x->redoing) {
		if (extended_reply(head))
			discard_to_sync(r);
		send_local(r);
		return;
	}
	if (head->type == REPLY_REFUSED) {
		pop(r);
		return;
	}
	if (head->type == REPLY_QUERY && head->prepared_id != 0)
		link_drop(r->link, head->prepared_id);
	redo_note(s, head, m->body);
	x->failed = true;
	x->fatal_forwarded = fatal;
	if (!head->swallow || extended_reply(head)) {
		if (x->ddl_shard != SHARD_NONE && !x->fatal_forwarded)
			ddl_error(r, m);
		else
			forward_error(r, m);
		stat_add(&s->db->stats->errors, 1);
	}
	if (extended_reply(head))
		discard_to_sync(r);
	send_local(r);
}

/* ---- ReadyForQuery ---- */

static void
patched_ready(struct relay *r)
{
	struct msgbuf *out = &r->s->x->out;

	flush_run(r);
	msgbuf_clear(out);
	msg_ready(out, 'E');
	stream_write(&r->s->stream, out->data, out->len);
}

/* In statement mode, and no parser saw that it would: a query string that failed before its COMMIT. The server's transaction goes with its
 * connection. */
static void
left_open(struct relay *r)
{
	struct err e;

	pop(r);
	flush_run(r);
	(void)session_refuse_block(&e);
	session_drop_server(r->s, true);
	session_fatal(r->s, &e);
	r->gone = true;
}

static void
on_ready(struct relay *r, const struct read_msg *m)
{
	struct session *s = r->s;
	struct exec *x = s->x;
	struct reply head;
	char status = m->body.len == 1 ? m->body.ptr[0] : '?';

	if (link_head(r->link) == NULL || m->body.len != 1 ||
	    (status != 'I' && status != 'T' && status != 'E')) {
		violation(r, m, "ReadyForQuery that nothing asked for");
		return;
	}
	head = *link_head(r->link);
	if (head.type != REPLY_SYNC && head.type != REPLY_QUERY &&
	    head.type != REPLY_FUNCTION) {
		violation(r, m, "ReadyForQuery before an answer");
		return;
	}
	r->link->tx_status = status;
	r->link->copy_in = false;
	if (head.swallow) {
		bool check = head.check;

		pop(r);
		flush_run(r);
		if (check) {
			char *error = x->replay_error;

			x->replay_error = NULL;
			session_replay_done(s, error, x->replay_error_len);
			free(error);
			r->gone = s->server != r->server;
		}
		return;
	}
	if (x->redoing) {
		pop(r);
		flush_run(r);
		r->gone = true;
		redo_run(s);
		return;
	}
	if (status != 'I' && session_statement_mode(s)) {
		left_open(r);
		return;
	}
	if (x->tx_failed && status == 'T')
		patched_ready(r);
	else
		forward(r, m);
	pop(r);
	flush_run(r);
	s->tx = x->tx_failed && status == 'T' ? 'E' : (uint8_t)status;
	effects_cycle_end(s, status);
	session_cycle_done(s);
	r->gone = s->server != r->server;
}

/* ---- the other answers ---- */

static void
complete(struct relay *r, const struct read_msg *m)
{
	struct session *s = r->s;
	struct reply *head = link_head(r->link);
	struct slice tag = m->type == 'C' && m->body.len > 0
	    ? (struct slice){m->body.ptr, m->body.len - 1}
	    : (struct slice){"", 0};

	if (head == NULL || (head->type != REPLY_EXECUTE && head->type != REPLY_QUERY)) {
		violation(r, m, "completion of nothing");
		return;
	}
	r->link->described = false;
	if (!head->swallow)
		forward(r, m);
	if (head->type == REPLY_QUERY) {
		struct shape *shape = s->x->shape;
		uint32_t i = head->done++;

		if (!head->swallow && shape != NULL && shape->stmts != NULL &&
		    i < (uint32_t)shape->stmts->n)
			effects_apply(s, &shape->stmts->v[i], s->x->sql_prepared, tag);
		return;
	}
	if (m->type == 'C' && head->prepared != NULL &&
	    head->prepared->shape->stmts != NULL &&
	    head->prepared->shape->stmts->n == 1 && !head->swallow)
		effects_apply(
		    s, &head->prepared->shape->stmts->v[0], head->prepared, tag);
	pop(r);
}

static void
simple_answer(struct relay *r, const struct read_msg *m, bool ends, enum reply_type a,
    enum reply_type b)
{
	struct reply *head = link_head(r->link);

	if (head == NULL || (head->type != a && head->type != b)) {
		violation(r, m, "an answer that nothing asked for");
		return;
	}
	if (!head->swallow)
		forward(r, m);
	if (ends)
		pop(r);
}

static void
row_description(struct relay *r, const struct read_msg *m)
{
	struct reply *head = link_head(r->link);

	if (head == NULL) {
		violation(r, m, "RowDescription that nothing asked for");
		return;
	}
	r->link->described = head->type == REPLY_QUERY;
	if (!head->swallow)
		forward(r, m);
	if (head->type == REPLY_DESCRIBE_STATEMENT || head->type == REPLY_DESCRIBE_PORTAL)
		pop(r);
}

/* Syncs that were sent behind the COPY are eaten by it. */
static void
copy_in_begins(struct relay *r, const struct read_msg *m)
{
	struct link *l = r->link;

	if (link_quiet(l)) {
		violation(r, m, "COPY that nothing asked for");
		return;
	}
	forward(r, m);
	flush_run(r);
	l->copy_in = true;
	while (l->ring_len > 1 && link_tail(l)->type == REPLY_SYNC)
		link_pop_tail(l);
	if (r->s->x->blocked == BLOCK_REPLIES || r->s->x->blocked == BLOCK_ANSWERS) {
		session_unblock(r->s);
		r->gone = r->s->server != r->server;
	}
}

static void
parameter_status(struct relay *r, const struct read_msg *m)
{
	struct session *s = r->s;
	struct msgread rd = msgread_of(m->body);
	struct slice name = read_str(&rd), value = read_str(&rd);

	if (rd.bad) {
		violation(r, m, "malformed ParameterStatus");
		return;
	}
	if (slice_eq_str(name, "in_hot_standby"))
		return;
	if (s->x->blocked != BLOCK_REPLAY && s->x->params_before == NULL)
		s->x->params_before = varset_ref(r->link->params);
	varset_assign(
	    &r->link->params, varset_with(r->link->params, name.ptr, value.ptr));
	if (s->x->blocked == BLOCK_REPLAY)
		return; /* told at the end of the replay, if it differs */
	forward(r, m);
	varset_assign(&s->params, varset_ref(r->link->params));
}

static void
other(struct relay *r, const struct read_msg *m)
{
	struct reply *head = link_head(r->link);

	if (head != NULL && head->swallow)
		return;
	forward(r, m);
}

/* Rows of a Query come behind their description only, so that what a broken server said too much is never taken for an answer. */
static bool
data_expected(struct link *l, char type)
{
	const struct reply *head = link_head(l);

	if (head == NULL)
		return false;
	return head->type == REPLY_EXECUTE ||
	    (head->type == REPLY_QUERY && (type == 'd' || l->described));
}

static void
one_message(struct relay *r, const struct read_msg *m)
{
	switch (m->type) {
	case 'D':
	case 'd':
		if (!data_expected(r->link, m->type))
			violation(r, m, "data that nothing asked for");
		else
			other(r, m);
		break;
	case 'C':
	case 'I':
	case 's':
		complete(r, m);
		break;
	case 'Z':
		on_ready(r, m);
		break;
	case 'E':
		on_error(r, m);
		break;
	case '1':
		simple_answer(r, m, true, REPLY_PARSE, REPLY_PARSE);
		break;
	case '2':
		simple_answer(r, m, true, REPLY_BIND, REPLY_BIND);
		break;
	case '3':
		simple_answer(r, m, true, REPLY_CLOSE, REPLY_CLOSE);
		break;
	case 't':
		simple_answer(
		    r, m, false, REPLY_DESCRIBE_STATEMENT, REPLY_DESCRIBE_STATEMENT);
		break;
	case 'n':
		simple_answer(
		    r, m, true, REPLY_DESCRIBE_STATEMENT, REPLY_DESCRIBE_PORTAL);
		break;
	case 'T':
		row_description(r, m);
		break;
	case 'G':
		copy_in_begins(r, m);
		break;
	case 'S':
		parameter_status(r, m);
		break;
	case 'A': /* is no answer to anything */
		forward(r, m);
		break;
	case 'N':
	case 'H':
	case 'V':
	case 'c':
		other(r, m);
		break;
	default:
		violation(r, m, "unknown message");
	}
}

static const bool pieces[256] = {['D'] = true, ['d'] = true};

static void
relay_chunk(struct relay *r, struct reader *reader)
{
	struct read_msg m = {.type = 'D'};

	for (;;) {
		switch (reader_next(reader, SERVER_MESSAGE_MAX, &m)) {
		case READ_MORE:
			return;
		case READ_MSG:
			one_message(r, &m);
			break;
		case READ_PIECE:
			if (link_quiet(
				r->link)) { /* its beginning was judged with its header */
				violation(r, &m, "data that nothing asked for");
				return;
			}
			other(r, &m);
			break;
		case READ_BIG:
			if (!pieces[(unsigned char)m.type]) {
				violation(r, &m, "message too long");
				return;
			}
			reader_pass(reader);
			break;
		case READ_BAD:
			violation(r, &m, "invalid length");
			return;
		}
		if (r->gone)
			return;
	}
}

void
session_server_bytes(struct server *server, struct buf *b, uint32_t off, uint32_t len)
{
	struct session *s = server->owner;
	struct relay r = {.s = s, .server = server, .link = link_of(server), .buf = b};

	server->reader.pieces = pieces;
	stat_add(&s->db->stats->sent, len);
	if (redo_possible(s->x) && reader_at_boundary(&server->reader) &&
	    redo_wanted(s, b->data + off, len))
		s->x->redoing = true;
	reader_feed(&server->reader, b->data + off, len);
	send_local(&r);
	relay_chunk(&r, &server->reader);
	if (r.gone)
		return;
	flush_run(&r);
	if (stream_queued(&s->stream) > OUTPUT_HIGH)
		stream_read_stop(&server->stream);
	if (s->x->blocked == BLOCK_ANSWERS && link_quiet(r.link)) {
		session_unblock(s);
	} else if (s->x->blocked == BLOCK_REPLIES && s->x->discard &&
	    link_quiet(r.link)) {
		s->x->unsynced =
		    true; /* a Query amid extended messages was skipped: the client's Sync is what counts */
		session_unblock(s);
	}
}

void
session_send_local(struct session *s)
{
	struct relay r = {.s = s, .server = s->server, .link = link_of(s->server)};

	send_local(&r);
}

/* ---- owner ops ---- */

static void
server_drained(struct server *server)
{
	struct session *s = server->owner;

	if (s->x != NULL && s->x->blocked == BLOCK_OUTPUT)
		session_unblock(s);
}

static void
server_lost(struct server *server, int error)
{
	session_lost_server(server->owner, error);
}

const struct server_owner_ops session_server_ops = {
    .received = session_server_bytes,
    .drained = server_drained,
    .lost = server_lost,
};
