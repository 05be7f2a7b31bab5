/* Messages longer than max_message_buffer on a database with one shard: Query and Bind are passed on as they come, in pieces, and are never held
 * whole. Nothing is known of such a Query but that it may write; what it sets is not seen (docs/pooling.md). */
#include "router/session/session.h"

#include <stdlib.h>

#define NAMES_MAX 1024 /* of a Bind's portal and statement together */

static void
big_error(struct session *s, const char *sqlstate, const char *text)
{
	struct err e;

	(void)err_set(&e, sqlstate, BLAST_STMT, "%s", text);
	session_error(s, &e);
}

static void
forward(struct session *s, const char *bytes, size_t len, bool in_chunk)
{
	struct exec *x = s->x;

	if (in_chunk)
		stream_write_buf(&s->server->stream, x->chunk->buf,
		    (uint32_t)((const unsigned char *)bytes - x->chunk->buf->data),
		    (uint32_t)len);
	else
		stream_write(&s->server->stream, bytes, len);
	if (stream_queued(&s->server->stream) > OUTPUT_HIGH && x->blocked == BLOCK_NOT)
		session_block(s, BLOCK_OUTPUT);
}

static void
ended(struct session *s)
{
	struct exec *x = s->x;
	char type = x->big;

	x->big = 0;
	if (type != 'Q')
		return;
	if (x->discard) /* what stood before it failed: the server skips it */
		x->unsynced = true;
	else
		session_block(s, BLOCK_REPLIES);
}

/* ---- Query ---- */

static void
query_on_server(struct session *s)
{
	static const struct plan write = {.kind = PLAN_ANY};
	struct exec *x = s->x;

	extended_flush_pending(s);
	link_push(link_of(s->server), REPLY_QUERY);
	session_sent(s, &write, NULL);
	x->unsynced = false;
	x->big_ready = true;
}

/* ---- Bind ---- */

/* Where its two names end; 0: not all there yet. */
static size_t
names_end(const struct msgbuf *head, struct slice *portal, struct slice *statement)
{
	struct msgread r = msgread_of((struct slice){head->data, head->len});

	(void)read_bytes(&r, 5);
	*portal = read_str(&r);
	*statement = read_str(&r);
	return r.bad ? 0 : (size_t)(r.at - head->data);
}

static void
bind_on_server(struct session *s)
{
	struct exec *x = s->x;
	struct slice portal, statement;
	size_t end = names_end(&x->head, &portal, &statement);

	extended_bind_big(s, portal, statement, x->big_len - (uint32_t)end,
	    (struct slice){x->head.data + end, x->head.len - end});
	msgbuf_fini(&x->head);
	msgbuf_init(&x->head);
	x->big_ready = true;
	if (x->big_ended)
		ended(s);
}

static void
need_server(struct session *s, void (*then)(struct session *))
{
	struct plan plan = {.kind = PLAN_ANY, .shard = 0};
	struct err e;

	switch (session_need_server(s, &plan, then, &e)) {
	case RC_OK:
		then(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		session_error(s, &e);
		break;
	}
}

static void
bind_piece(struct session *s, const struct read_msg *m)
{
	struct exec *x = s->x;
	struct slice portal, statement;

	msg_bytes(&x->head, m->raw.ptr, m->raw.len);
	x->big_ended = m->last;
	if (names_end(&x->head, &portal, &statement) == 0) {
		if (x->head.len > NAMES_MAX || m->last)
			big_error(s, "08P01", "invalid Bind message");
		return;
	}
	x->prepared = statement.len == 0 ? s->unnamed : names_get(s->names, statement);
	if (x->prepared == NULL) {
		big_error(s, "26000", "the prepared statement does not exist");
		return;
	}
	need_server(s, bind_on_server);
}

/* ---- both ---- */

bool
big_begin(struct session *s)
{
	struct exec *x = s->x;

	if (!session_one_shard(s) || s->admin || x->tx_failed ||
	    (x->msg.type != 'Q' && x->msg.type != 'B'))
		return false;
	x->big = x->msg.type;
	x->big_len = x->msg.len;
	x->big_ready = x->big_ended = false;
	msgbuf_clear(&x->head);
	if (x->big == 'Q') {
		if (x->shape != NULL)
			shape_unref(x->shape);
		x->shape = NULL;
		need_server(s, query_on_server);
	}
	return true;
}

void
big_piece(struct session *s, const struct read_msg *m)
{
	struct exec *x = s->x;

	if (!x->big_ready) {
		bind_piece(s, m);
		return;
	}
	forward(s, m->raw.ptr, m->raw.len, m->in_chunk);
	if (m->last)
		ended(s);
}
