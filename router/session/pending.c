/* Parse, Describe and Close of statements wait until their server is known; then they go there in order, with the statement under
 * Weir's own name where the server lacks it. An error undoes what the messages behind it did to the client's names. */
#include "router/session/extended.h"

#include <stdlib.h>

void
ext_reply_empty(struct session *s, char type)
{
	struct msgbuf *out = &s->x->out;

	msgbuf_clear(out);
	msg_begin(out, type);
	msg_end(out);
	session_reply(s, out);
}

/* It leaves with what the server says next; alone it would be one more packet. */
static struct reply *
reply_later(struct session *s, char type)
{
	struct reply *r = link_push(link_of(s->server), REPLY_LOCAL);

	r->letter = type;
	return r;
}

void
ext_forward(struct session *s)
{
	struct exec *x = s->x;
	struct read_msg *m = &x->msg;

	if (m->in_chunk)
		stream_write_buf(&s->server->stream, x->chunk->buf,
		    (uint32_t)((const unsigned char *)m->raw.ptr - x->chunk->buf->data),
		    (uint32_t)m->raw.len);
	else
		stream_write(&s->server->stream, m->raw.ptr, m->raw.len);
}

/* ---- statements on the server ---- */

static void
write_parse(struct session *s, struct prepared *p, const char *name)
{
	struct msgbuf *out = &s->x->out;

	msgbuf_clear(out);
	msg_begin(out, 'P');
	msg_str(out, name);
	msg_slice_str(out, p->text);
	msg_int16(out, (int16_t)p->n_oids);
	for (int i = 0; i < p->n_oids; i++)
		msg_int32(out, (int32_t)p->oids[i]);
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	stat_add(&s->db->stats->server_parses, 1);
}

static void
close_evicted(struct session *s, uint64_t id)
{
	struct msgbuf *out = &s->x->out;
	char name[PREPARED_NAME_MAX];
	struct reply *r;

	if (id == 0)
		return;
	prepared_name(id, name);
	msgbuf_clear(out);
	msg_begin(out, 'C');
	msg_byte(out, 'S');
	msg_str(out, name);
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	r = link_push(link_of(s->server), REPLY_CLOSE);
	r->swallow = true;
	r->prepared_id = id;
}

/* At least two: an EXECUTE needs itself and what it runs. */
static uint32_t
max_statements(const struct session *s)
{
	int n = s->db->cluster->conf->settings.max_prepared_statements;

	return n < 2 ? 2 : (uint32_t)n;
}

void
ext_hold(struct session *s, struct prepared *p)
{
	uint64_t evicted;

	link_hold(link_of(s->server), p->id, max_statements(s), &evicted);
	close_evicted(s, evicted);
}

static bool
on_server_already(struct session *s, struct prepared *p, bool unnamed)
{
	struct link *l = link_of(s->server);

	return unnamed ? l->unnamed_id == p->id : link_holds(l, p->id);
}

/* Sends Parse and notes its reply. */
static struct reply *
parse_on_server(struct session *s, struct prepared *p, bool unnamed)
{
	struct link *l = link_of(s->server);
	char name[PREPARED_NAME_MAX] = "";
	struct reply *r;

	if (unnamed) {
		l->unnamed_id = p->id;
	} else {
		ext_hold(s, p);
		prepared_name(p->id, name);
	}
	write_parse(s, p, name);
	r = link_push(l, REPLY_PARSE);
	r->unnamed = unnamed;
	r->prepared_id = unnamed ? 0 : p->id;
	return r;
}

void
ext_ensure_on_server(struct session *s, struct prepared *p, bool unnamed)
{
	if (p->below != NULL) /* EXECUTE: what it runs */
		ext_ensure_on_server(s, p->below, false);
	if (on_server_already(s, p, unnamed))
		return;
	if (p->by_sql)
		sqlprep_inject(s, p);
	else
		parse_on_server(s, p, unnamed)->swallow = true;
}

/* ---- pending messages ---- */

struct prepared *
ext_name(struct session *s, struct slice name, struct prepared *p)
{
	struct prepared *before = s->unnamed;

	if (name.len > 0)
		return names_put(&s->names, name, p);
	s->unnamed = p;
	return before;
}

void
ext_pend(struct session *s, char type, struct prepared *p, struct slice name,
    struct prepared *before)
{
	struct exec *x = s->x;
	struct pending *v;

	if (x->n_pending == x->cap_pending) {
		x->cap_pending = x->cap_pending == 0 ? 4 : x->cap_pending * 2;
		x->pending =
		    realloc(x->pending, sizeof *x->pending * (size_t)x->cap_pending);
		if (x->pending == NULL)
			abort();
	}
	v = &x->pending[x->n_pending++];
	*v = (struct pending){.type = type,
	    .prepared = p,
	    .before = before,
	    .name = strndup(name.ptr == NULL ? "" : name.ptr, name.len)};
}

void
ext_pending_free(struct pending *v)
{
	prepared_unref(v->prepared);
	prepared_unref(v->before);
	free(v->name);
}

static void
describe_on_server(struct session *s, struct prepared *p, bool unnamed)
{
	struct msgbuf *out = &s->x->out;
	char name[PREPARED_NAME_MAX] = "";

	ext_ensure_on_server(s, p, unnamed);
	if (!unnamed)
		prepared_name(p->id, name);
	msgbuf_clear(out);
	msg_begin(out, 'D');
	msg_byte(out, 'S');
	msg_str(out, name);
	msg_end(out);
	stream_write(&s->server->stream, out->data, out->len);
	link_push(link_of(s->server), REPLY_DESCRIBE_STATEMENT)->prepared =
	    prepared_ref(p);
}

static char
answer_to(const struct pending *v)
{
	return v->type == 'P' ? '1' : '3';
}

static void
flush_one(struct session *s, struct pending *v)
{
	bool unnamed = v->name[0] == '\0';
	struct reply *r;

	if (v->type == 'D') {
		describe_on_server(s, v->prepared, unnamed);
		return;
	}
	if (v->type != 'P' || on_server_already(s, v->prepared, unnamed)) {
		r = reply_later(s, answer_to(v));
	} else {
		if (v->prepared->below != NULL)
			ext_ensure_on_server(s, v->prepared->below, false);
		r = parse_on_server(s, v->prepared, unnamed);
	}
	if (v->type == 'c') /* answered: it stays */
		return;
	r->undo_name = v->name;
	r->prepared = v->before;
	v->name = NULL;
	v->before = NULL;
}

void
extended_flush_pending(struct session *s)
{
	struct exec *x = s->x;

	for (int i = 0; i < x->n_pending; i++) {
		flush_one(s, &x->pending[i]);
		ext_pending_free(&x->pending[i]);
	}
	if (x->n_pending > 0)
		x->unsynced = true;
	x->n_pending = 0;
}

void
ext_describe_here(struct session *s, struct prepared *p, struct msgbuf *out)
{
	struct sql_stmts *stmts = p->shape->stmts;

	if (s->admin)
		s->w->proc->admin->describe(s, p->text, out);
	else
		local_describe(
		    s, stmts == NULL || stmts->n == 0 ? NULL : &stmts->v[0], out);
}

/* Without a server: what can be said of them is said here. */
void
ext_answer_pending_here(struct session *s)
{
	struct exec *x = s->x;
	struct msgbuf *out = &x->out;

	for (int i = 0; i < x->n_pending; i++) {
		struct pending *v = &x->pending[i];

		if (v->type == 'D') {
			msgbuf_clear(out);
			msg_begin(out, 't');
			msg_int16(out, 0);
			msg_end(out);
			ext_describe_here(s, v->prepared, out);
			session_reply(s, out);
		} else {
			ext_reply_empty(s, answer_to(v));
		}
		ext_pending_free(v);
	}
	x->n_pending = 0;
}

/* An error of Weir's own comes behind the answers to what stood before it. */
void
extended_settle_pending(struct session *s)
{
	struct exec *x = s->x;

	if (s->server != NULL && x->n_pending > 0) {
		extended_flush_pending(s);
		return;
	}
	for (int i = 0; i < x->n_pending; i++) {
		if (x->pending[i].type != 'D')
			ext_reply_empty(s, answer_to(&x->pending[i]));
		ext_pending_free(&x->pending[i]);
	}
	x->n_pending = 0;
}

void
extended_drop_pending(struct session *s)
{
	struct exec *x = s->x;

	while (x->n_pending > 0) {
		struct pending *v = &x->pending[--x->n_pending];

		if (v->type == 'P' || v->type == 'C') {
			prepared_unref(ext_name(s, slice_of(v->name), v->before));
			v->before = NULL;
		}
		ext_pending_free(v);
	}
}

/* What a discarded message would have done on the server. */
static void
undo_on_server(struct link *l, const struct reply *r)
{
	uint64_t evicted;

	if (r->unnamed)
		l->unnamed_id = 0;
	if (r->prepared_id == 0)
		return;
	if (r->type != REPLY_CLOSE)
		link_drop(l, r->prepared_id);
	else if (!link_holds(l, r->prepared_id))
		link_hold(l, r->prepared_id, UINT32_MAX, &evicted);
}

void
extended_undo_name(struct session *s, struct reply *r)
{
	if (r->undo_name == NULL)
		return;
	prepared_unref(ext_name(s, slice_of(r->undo_name), r->prepared));
	r->prepared = NULL;
	free(r->undo_name);
	r->undo_name = NULL;
}

/* Takes back what a discarded message did. A Parse that failed has taken the unnamed statement with it; one that was skipped has not. */
void
extended_undo(struct session *s, struct reply *r, bool failed)
{
	undo_on_server(link_of(s->server), r);
	if (failed && r->undo_name != NULL && r->undo_name[0] == '\0') {
		prepared_unref(r->prepared);
		r->prepared = NULL;
	}
	extended_undo_name(s, r);
}
