/* A cycle that is run once more, without a word to the client: a replica's conflict with recovery goes to the primary. Only outside
 * transactions, and only while nothing of the answer has left.
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
		buf_unref(c->buf);
		free(c);
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

static bool
conflict_with_recovery(struct slice error)
{
	struct slice text = msg_error_field(error, 'M');

	return slice_eq_str(msg_error_field(error, 'C'), "40001") &&
	    slice_eq_str(msg_error_field(error, 'V'), "ERROR") && text.len > 0 &&
	    memmem(text.ptr, text.len, "conflict with recovery", 22) != NULL;
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

/* The ErrorResponse that comes before any row and any completion; empty: there is none. */
static struct slice
first_error(const unsigned char *at, size_t left)
{
	while (left >= 5) {
		size_t len = 1 +
		    ((size_t)at[1] << 24 | (size_t)at[2] << 16 | (size_t)at[3] << 8 |
			at[4]);

		if (len < 5 || len > left)
			break;
		if (at[0] == 'E')
			return (struct slice){(const char *)at + 5, len - 5};
		if (strchr("123tTn", at[0]) == NULL)
			break;
		at += len;
		left -= len;
	}
	return (struct slice){NULL, 0};
}

/* What the first run did to the client's names. */
static void
undo_names(struct session *s)
{
	struct link *l = link_of(s->server);

	for (uint32_t i = l->ring_len; i-- > 0;)
		extended_undo_name(s, link_nth(l, i));
}

bool
redo_wanted(struct session *s, const unsigned char *at, size_t len)
{
	struct exec *x = s->x;
	struct slice error;

	if (!whole_cycle(s))
		return false;
	error = first_error(at, len);
	if (error.ptr == NULL || !x->on_replica || !conflict_with_recovery(error))
		return false;
	x->primary_only = true;
	undo_names(s);
	return true;
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
