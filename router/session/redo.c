/* A cycle that is run once more, without a word to the client: a replica's conflict with recovery goes to the primary, a statement whose
 * rows have changed since it was prepared is prepared anew. Only outside transactions, and only while nothing of the answer has left.
 *
 * What a cycle's first run did is the client's input, which is still held: most cycles lie whole in the buffer being read, some in one that was
 * read before, and then it is kept until the cycle ends. The reader goes back to its first byte, and everything is worked through again. The
 * decision is made before a byte of the server's answer is relayed: an error comes in one piece with what stands before it. */
#include "router/session/session.h"

#include <stdlib.h>

#define KEEP_MAX IO_RECV_PIN_MAX /* buffers; with more of them, receiving would copy */
#define RUNS_MAX 8

/* ---- the client's input ---- */

void
redo_begin(struct session *s, const struct read_msg *m)
{
	struct exec *x = s->x;
	const unsigned char *data = x->chunk->buf->data;

	x->in_cycle = true;
	x->redoable = s->tx == 'I' && x->begin == NULL && !s->admin;
	if (m == NULL) /* its beginning was set aside by the reader */
		x->cycle_at = x->chunk->off + x->chunk->len - (uint32_t)s->reader.have;
	else if (m->in_chunk)
		x->cycle_at = (uint32_t)((const unsigned char *)m->raw.ptr - data);
	else
		x->redoable = false;
}

static void
drop_kept(struct exec *x)
{
	while (x->kept != NULL) {
		struct chunk *c = x->kept;

		x->kept = c->next;
		chunk_free(x, c);
	}
	x->n_kept = 0;
}

void
redo_give_up(struct exec *x)
{
	x->redoable = false;
	drop_kept(x);
}

bool
redo_keep(struct exec *x, struct chunk *c)
{
	if (!x->in_cycle || !x->redoable)
		return false;
	if (x->n_kept == KEEP_MAX || x->sent_to_client) {
		redo_give_up(x);
		return false;
	}
	c->next = NULL;
	if (x->kept == NULL)
		x->kept = c;
	else
		x->kept_last->next = c;
	x->kept_last = c;
	x->n_kept++;
	return true;
}

static void
rewind_input(struct session *s)
{
	struct exec *x = s->x;
	struct chunk *first;

	reader_fini(&s->reader);
	for (struct chunk *c = x->kept; c != NULL; c = c->next)
		x->held += c->len;
	if (x->kept != NULL) {
		x->kept_last->next = x->chunk;
		if (x->chunk == NULL)
			x->chunk_last = x->kept_last;
		x->chunk = x->kept;
		x->kept = NULL;
		x->n_kept = 0;
	}
	first = x->chunk;
	x->held -= x->cycle_at - first->off;
	first->len -= x->cycle_at - first->off;
	first->off = x->cycle_at;
	x->fed = false;
}

/* ---- the server's answer ---- */

/* In a read on a replica nothing else has these. */
static bool
conflict_with_recovery(struct slice error)
{
	struct slice state = msg_error_field(error, 'C');

	return slice_eq_str(msg_error_field(error, 'V'), "ERROR") &&
	    (slice_eq_str(state, "40001") || slice_eq_str(state, "40P01"));
}

/* "cached plan must not change result type", in whatever language. */
static bool
rows_changed(struct slice error)
{
	return slice_eq_str(msg_error_field(error, 'C'), "0A000") &&
	    slice_eq_str(msg_error_field(error, 'R'), "RevalidateCachedQuery");
}

/* One whole cycle is under way, and this is its answer's beginning. */
static bool
whole_cycle(const struct session *s)
{
	const struct exec *x = s->x;
	struct link *l = link_of(s->server);

	return s->tx == 'I' && x->begin == NULL && list_empty(&x->branches) &&
	    x->ddl_shard == SHARD_NONE && !x->cancelled && x->runs < RUNS_MAX &&
	    l->syncs == 1 && !l->copy_in &&
	    (link_tail(l)->type == REPLY_SYNC || link_tail(l)->type == REPLY_QUERY);
}

static bool
ends_reply(char type, const struct reply *r)
{
	return strchr("123n", type) != NULL || (type == 'T' && r->type != REPLY_QUERY);
}

/* The ErrorResponse that comes before any row and any completion, and what it answers. False: there is none. */
static bool
first_error(struct link *l, const unsigned char *at, size_t left, struct slice *error,
    const struct reply **failed)
{
	for (uint32_t i = 0; left >= 5;) {
		size_t len = 1 +
		    ((size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 |
			at[4]);

		while (i < l->ring_len && link_nth(l, i)->type == REPLY_LOCAL)
			i++;
		if (len < 5 || len > left || i == l->ring_len)
			break;
		*error = (struct slice){(const char *)at + 5, len - 5};
		*failed = link_nth(l, i);
		if (at[0] == 'E')
			return true;
		if (at[0] == '\0' || strchr("123tTn", at[0]) == NULL)
			break;
		i += ends_reply((char)at[0], *failed);
		at += len;
		left -= len;
	}
	return false;
}

/* What the first run did to the client's names. */
static void
undo_names(struct session *s)
{
	struct link *l = link_of(s->server);

	for (uint32_t i = l->ring_len; i-- > 0;)
		extended_undo_name(s, link_nth(l, i));
}

/* What the failed message ran by its plan; NULL: not known. */
static struct prepared *
planned(const struct session *s, const struct reply *failed)
{
	const struct exec *x = s->x;

	if (failed->type != REPLY_QUERY)
		return failed->prepared == NULL || failed->prepared->below == NULL
		    ? failed->prepared
		    : failed->prepared->below;
	return failed->swallow || x->shape == NULL || x->shape->stmts == NULL ||
		x->shape->stmts->v[0].kind != STMT_EXECUTE
	    ? NULL
	    : x->sql_prepared;
}

static bool
parses(struct session *s, const struct reply *r, const struct prepared *p)
{
	return r->undo_name != NULL && (r->type == REPLY_PARSE || r->letter == '1') &&
	    (r->undo_name[0] == '\0' ? s->unnamed
				     : names_get(s->names, slice_of(r->undo_name))) == p;
}

/* Does the client prepare it, or ask for its description, before each of its Executes? Else it may go by what it was told long ago. */
static bool
told_first(struct session *s, const struct prepared *p)
{
	struct link *l = link_of(s->server);
	bool told = false;

	for (uint32_t i = 0; i < l->ring_len; i++) {
		const struct reply *r = link_nth(l, i);

		told = told || parses(s, r, p) ||
		    (r->prepared == p && !r->swallow &&
			(r->type == REPLY_DESCRIBE_STATEMENT ||
			    r->type == REPLY_DESCRIBE_PORTAL));
		if (r->type == REPLY_EXECUTE && r->prepared == p && !told)
			return false;
	}
	return true;
}

/* The client's names stand for a fresh one. */
static void
prepare_anew(struct session *s, struct prepared *p)
{
	struct prepared *now;

	prepared_ref(p);
	prepared_retire(p);
	now = session_prepare_again(s, p);
	names_replace(s->names, p, now);
	if (s->unnamed == p) {
		s->unnamed = prepared_ref(now);
		prepared_unref(p);
	}
	prepared_unref(now);
	prepared_unref(p);
}

bool
redo_wanted(struct session *s, const unsigned char *at, size_t len)
{
	struct exec *x = s->x;
	struct prepared *changed = NULL;
	const struct reply *failed;
	struct slice error;

	if (!whole_cycle(s) || !first_error(link_of(s->server), at, len, &error, &failed))
		return false;
	if (x->on_replica && conflict_with_recovery(error)) {
		x->primary_only = true;
	} else {
		changed = rows_changed(error) ? planned(s, failed) : NULL;
		if (changed == NULL || !told_first(s, changed) ||
		    (failed->prepared != NULL && failed->prepared->below != NULL))
			return false;
	}
	undo_names(s);
	if (changed != NULL)
		prepare_anew(s, changed);
	return true;
}

void
redo_note(struct session *s, const struct reply *failed, struct slice error)
{
	struct prepared *p = rows_changed(error) ? planned(s, failed) : NULL;

	if (p != NULL)
		prepared_retire(p);
}

/* ---- the next run ---- */

void
redo_run(struct session *s)
{
	struct exec *x = s->x;

	x->redoing = false;
	x->runs++;
	x->failed = true; /* so that its transaction counts as rolled back */
	x->wrote = x->schema_changed = false;
	effects_cycle_end(s, 'I');
	x->failed = x->discard = x->refused = x->unsynced = false;
	extended_reset(s);
	if (!session_keeps_server(s))
		session_release_server(s);
	rewind_input(s);
	x->in_cycle = x->redoable = false;
	x->resume = NULL;
	x->blocked = BLOCK_NOT;
	session_run(s);
}

void
redo_forget(struct exec *x)
{
	redo_give_up(x);
	x->in_cycle = x->redoing = x->primary_only = false;
	x->runs = 0;
}
