#include "router/session/branch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "router/session/session.h"

#define ANSWER_MAX (1u << 30) /* of one message */

static const struct server_owner_ops ops;

struct branch *
branch_of_shard(struct session *s, int shard)
{
	LIST_FOREACH(it, &s->x->branches) {
		struct branch *b = LIST_ENTRY(it, struct branch, node);

		if (b->shard == shard)
			return b;
	}
	return NULL;
}

static struct branch *
branch_create(struct session *s)
{
	struct exec *x = s->x;
	struct branch *b = calloc(1, sizeof *b);

	if (b == NULL)
		abort();
	*b = (struct branch){.session = s,
	    .server = s->server,
	    .backend = x->backend,
	    .shard = x->shard,
	    .on_replica = x->on_replica,
	    .begun = x->begun,
	    .firm = x->firm,
	    .wrote = x->wrote,
	    .locked = x->locked,
	    .unpreparable = x->unpreparable,
	    .wrote_nth = x->wrote_nth,
	    .log_done = x->log_done};
	list_init(&b->node);
	list_push_back(&x->branches, &b->node);
	b->server->owner = b;
	b->server->owner_ops = &ops;
	b->server->reader.pieces = NULL;
	if (!io_reading(&b->server->stream.io))
		stream_read_start(&b->server->stream);
	return b;
}

struct branch *
branch_stash(struct session *s, struct err *e)
{
	struct exec *x = s->x;
	struct server *server = s->server;
	struct branch *b = NULL;

	if (reader_at_boundary(&server->reader)) {
		b = branch_create(s);
	} else { /* something came behind ReadyForQuery */
		(void)err_set(e, "08006", BLAST_TXN,
		    "the connection to the server of shard %s was lost",
		    s->db->cluster->shards[x->shard].name);
		x->doomed = x->doomed || x->begun;
		pool_discard(server, false);
	}
	s->server = NULL;
	x->shard = SHARD_NONE;
	x->backend = NULL;
	x->on_replica = x->begun = x->firm = x->wrote = x->locked = x->unpreparable =
	    false;
	x->log_done = x->wrote_nth = 0;
	return b;
}

static void
drop_chunk(struct branch *b)
{
	struct chunk *c = b->input;

	b->input = c->next;
	b->held -= c->len;
	b->fed = false;
	buf_unref(c->buf);
	free(c);
}

static void
free_branch(struct branch *b)
{
	list_remove(&b->node);
	if (b->gone != NULL)
		*b->gone = true;
	while (b->input != NULL)
		drop_chunk(b);
	free(b->error);
	free(b);
}

void
branch_take(struct branch *b)
{
	struct session *s = b->session;
	struct exec *x = s->x;

	s->server = b->server;
	s->server->owner = s;
	s->server->owner_ops = &session_server_ops;
	if (!io_reading(&s->server->stream.io)) /* much had come at once */
		stream_read_start(&s->server->stream);
	x->shard = b->shard;
	x->backend = b->backend;
	x->on_replica = b->on_replica;
	x->begun = b->begun;
	x->firm = b->firm;
	x->used = true;
	x->wrote = b->wrote;
	x->locked = b->locked;
	x->unpreparable = b->unpreparable;
	x->wrote_nth = b->wrote_nth;
	x->log_done = b->log_done;
	free_branch(b);
}

void
branch_release(struct branch *b)
{
	struct session *s = b->session;
	struct server *server = b->server;

	if (server != NULL && b->state == BRANCH_REST &&
	    link_of(server)->tx_status == 'I')
		session_give_back(s, server);
	else if (server != NULL)
		pool_discard(server, true);
	free_branch(b);
}

void
branches_drop(struct session *s)
{
	while (!list_empty(&s->x->branches)) {
		struct branch *b = LIST_ENTRY(s->x->branches.next, struct branch, node);

		if (b->server != NULL && b->state == BRANCH_BUSY)
			pool_cancel_query(b->server);
		if (b->server != NULL)
			pool_discard(b->server, true);
		free_branch(b);
	}
}

/* ---- a query of Weir's own ---- */

void
branch_query(struct branch *b, const char *sql, void (*done)(struct branch *))
{
	struct msgbuf out;

	free(b->error);
	b->error = NULL;
	b->error_len = 0;
	b->status = 0;
	b->tag[0] = b->value[0] = '\0';
	b->done = done;
	b->ops = NULL;
	b->paused = false;
	b->state = BRANCH_BUSY;
	link_of(b->server)->unnamed_id = 0; /* a simple Query drops it */
	msgbuf_init(&out);
	msg_query(&out, sql);
	stream_write(&b->server->stream, out.data, out.len);
	msgbuf_fini(&out);
}

bool
branch_failed(const struct branch *b, struct err *e)
{
	struct slice body = {b->error, b->error_len};
	const char *shard = b->session->db->cluster->shards[b->shard].name;

	if (b->error == NULL && b->status != 0)
		return false;
	(void)err_set(e, "08006", BLAST_TXN,
	    "the connection to the server of shard %s was lost", shard);
	if (body.ptr == NULL)
		return true;
	if (msg_error_field(body, 'C').len == 5)
		memcpy(e->sqlstate, msg_error_field(body, 'C').ptr, 5);
	snprintf(e->msg, sizeof e->msg, "shard %s: %.*s", shard,
	    (int)msg_error_field(body, 'M').len, msg_error_field(body, 'M').ptr);
	if (b->status != 0)
		e->raw = body;
	return true;
}

static void
keep_error(struct branch *b, struct slice body)
{
	if (b->error != NULL)
		return;
	b->error = malloc(body.len);
	if (b->error == NULL)
		abort();
	memcpy(b->error, body.ptr, body.len);
	b->error_len = body.len;
}

static void
keep_text(char *to, size_t size, struct slice text)
{
	snprintf(
	    to, size, "%.*s", (int)(text.len < size ? text.len : size - 1), text.ptr);
}

static void
keep_value(struct branch *b, struct slice row)
{
	struct msgread r = msgread_of(row);
	int n = read_int16(&r);
	int32_t len = n < 1 ? -1 : read_int32(&r);

	if (!r.bad && len >= 0 && (size_t)len <= read_left(&r))
		keep_text(b->value, sizeof b->value, read_bytes(&r, (size_t)len));
}

static void
keep_param(struct branch *b, struct slice body)
{
	struct msgread r = msgread_of(body);
	struct slice name = read_str(&r), value = read_str(&r);
	struct link *l = link_of(b->server);

	if (!r.bad)
		varset_assign(&l->params, varset_with(l->params, name.ptr, value.ptr));
}

static void
lost(struct branch *b)
{
	bool busy = b->state == BRANCH_BUSY;

	b->server = NULL;
	b->status = 0;
	b->state = BRANCH_LOST;
	if (busy && b->ops != NULL)
		b->ops->lost(b);
	else if (busy)
		b->done(b);
	else if (!ending_lost(b))
		session_branch_lost(b->session, b);
}

void
branch_abandon(struct branch *b)
{
	pool_discard(b->server, false);
	lost(b);
}

static void
broken(struct branch *b, char type)
{
	struct server *server = b->server;

	log_line(LOG_ERROR, "server broke the protocol", "database",
	    session_database(b->session), "what", "an answer that nothing asked for",
	    "type", (char[2]){type, '\0'}, "backend", b->backend->label, NULL);
	pool_discard(server, false);
	lost(b);
}

/* ---- messages ---- */

static void
query_message(struct branch *b, const struct read_msg *m)
{
	switch (m->type) {
	case 'E':
		keep_error(b, m->body);
		break;
	case 'D':
		keep_value(b, m->body);
		break;
	case 'C':
		keep_text(b->tag, sizeof b->tag, m->body);
		break;
	case 'Z':
		b->status = m->body.ptr[0];
		b->done(b);
		break;
	default:
		break;
	}
}

/* What a server may say at any time. */
static bool
is_async(struct branch *b, const struct read_msg *m)
{
	if (m->type == 'S')
		keep_param(b, m->body);
	if (m->type == 'A' && b->session->server == NULL) /* at the transaction's end */
		stream_write(&b->session->stream, m->raw.ptr, m->raw.len);
	if (m->type == 'E' && b->state != BRANCH_BUSY) /* its last words */
		keep_error(b, m->body);
	return m->type == 'S' || m->type == 'N' || m->type == 'A' ||
	    (m->type == 'E' && b->state != BRANCH_BUSY);
}

static void
message(struct branch *b, const struct read_msg *m)
{
	bool ready = m->type == 'Z' && m->body.len == 1;

	if (is_async(b, m))
		return;
	if (b->state != BRANCH_BUSY ||
	    (m->type == 'Z' &&
		(!ready || !reader_at_boundary(&b->server->reader) ||
		    b->input->next != NULL))) {
		broken(b, m->type);
		return;
	}
	if (ready) {
		link_of(b->server)->tx_status = m->body.ptr[0];
		b->state = BRANCH_REST;
	}
	if (b->ops == NULL)
		query_message(b, m);
	else
		b->ops->message(b, m, m->in_chunk ? b->input->buf : NULL);
}

static void
keep_chunk(struct branch *b, struct buf *buf, uint32_t off, uint32_t len)
{
	struct chunk *c = malloc(sizeof *c);

	if (c == NULL)
		abort();
	*c = (struct chunk){NULL, buf, off, len};
	buf_ref(buf);
	if (b->input == NULL)
		b->input = c;
	else
		b->input_last->next = c;
	b->input_last = c;
	b->held += len;
}

/* One unit of input. */
static void
step(struct branch *b)
{
	struct read_msg m = {.type = 'Z'};

	if (!b->fed) {
		reader_feed(&b->server->reader, b->input->buf->data + b->input->off,
		    b->input->len);
		b->fed = true;
	}
	switch (reader_next(&b->server->reader, ANSWER_MAX, &m)) {
	case READ_MORE:
		drop_chunk(b);
		break;
	case READ_MSG:
		message(b, &m);
		break;
	case READ_PIECE:
	case READ_BIG:
	case READ_BAD:
		broken(b, m.type);
		break;
	}
}

static void
work(struct branch *b)
{
	bool gone = false;

	if (b->gone != NULL) /* it is being worked on */
		return;
	b->gone = &gone;
	while (!gone && b->server != NULL && !b->paused && b->input != NULL)
		step(b);
	if (gone)
		return;
	b->gone = NULL;
	if (b->server != NULL && !b->paused && !io_reading(&b->server->stream.io))
		stream_read_start(&b->server->stream);
}

void
branch_listen(struct branch *b, const struct branch_ops *listener, void *owner)
{
	b->ops = listener;
	b->owner = owner;
	b->state = BRANCH_BUSY;
	free(b->error);
	b->error = NULL;
	link_of(b->server)->unnamed_id = 0; /* it will be another's */
}

void
branch_pause(struct branch *b)
{
	b->paused = true;
}

void
branch_resume(struct branch *b)
{
	b->paused = false;
	work(b);
}

static void
received(struct server *server, struct buf *buf, uint32_t off, uint32_t len)
{
	struct branch *b = server->owner;

	stat_add(&b->session->db->stats->sent, len);
	keep_chunk(b, buf, off, len);
	if (b->held > OUTPUT_HIGH)
		stream_read_stop(&server->stream);
	work(b);
}

struct session *
branch_owner(const struct server *server)
{
	return server->owner_ops == &ops ? ((struct branch *)server->owner)->session
					 : NULL;
}

static void
drained(struct server *server)
{
	struct branch *b = server->owner;

	if (b->ops != NULL && b->state == BRANCH_BUSY)
		b->ops->drained(b);
}

static void
server_lost(struct server *server, int error)
{
	(void)error;
	lost(server->owner);
}

static const struct server_owner_ops ops = {
    .received = received, .drained = drained, .lost = server_lost};
