/* Rows of several shards become the rows of one answer. A statement whose rows may come in any order is passed on as it is, by reference to
 * the buffers that it came in; else router/plan/merge.h says whose row is next, and a shard is not read before its row is wanted. */
#include <stdio.h>
#include <stdlib.h>

#include "router/session/scatter.h"

static void pull(struct scatter *);
static void finish_if_done(struct scatter *);

/* ---- the rows' description ---- */

#define FIRST_OWN_TYPE 16384 /* OIDs from here on are each server's own */

static bool
same_column(struct msgread *a, struct msgread *b)
{
	struct slice name_a = read_str(a), name_b = read_str(b);
	int32_t type_a, type_b;
	bool same;

	(void)read_bytes(a, 6); /* table and column */
	(void)read_bytes(b, 6);
	type_a = read_int32(a);
	type_b = read_int32(b);
	same = slice_eq(name_a, name_b) &&
	    (type_a == type_b || (type_a >= FIRST_OWN_TYPE && type_b >= FIRST_OWN_TYPE));
	same &=
	    slice_eq(read_bytes(a, 8), read_bytes(b, 8)); /* length, modifier, format */
	return same && !a->bad && !b->bad;
}

static bool
same_columns(struct slice one, struct slice other)
{
	struct msgread a = msgread_of(one), b = msgread_of(other);
	int n = read_int16(&a);

	if (read_int16(&b) != n)
		return false;
	for (int i = 0; i < n; i++)
		if (!same_column(&a, &b))
			return false;
	return true;
}

static void
tell_columns(struct scatter *sc, struct slice columns)
{
	struct msgbuf *out = &sc->session->x->out;

	if (!sc->describe)
		return;
	msgbuf_clear(out);
	msg_begin(out, 'T');
	msg_bytes(out, columns.ptr, columns.len);
	msg_end(out);
	stream_write(&sc->session->stream, out->data, out->len);
	sc->session->x->sent_to_client = true;
}

static void
first_columns(struct scatter *sc, struct slice body)
{
	struct slice client = body;
	struct err e;

	sc->first_columns =
	    (struct slice){arena_dup(&sc->arena, body.ptr, body.len), body.len};
	if (!sc->plain &&
	    merge_columns(sc->merge, sc->first_columns, &client, &e) != RC_OK)
		scatter_fail(sc, &e);
	else
		tell_columns(sc, client);
}

static void
columns(struct scatter *sc, struct branch *b, struct slice body)
{
	const struct cluster_shard *shards = sc->session->db->cluster->shards;
	struct err e;

	if (sc->first_columns.ptr == NULL) {
		first_columns(sc, body);
	} else if (!same_columns(sc->first_columns, body)) {
		(void)err_set(&e, "0A000", BLAST_STMT,
		    "the columns of this statement are not the same on shards %s and %s",
		    shards[sc->shards[0].shard].name, shards[b->shard].name);
		err_hint(
		    &e, "The schemas of the shards differ: weir check compares them.");
		scatter_fail(sc, &e);
	}
}

/* ---- rows ---- */

/* The client's Execute asked for so many. */
bool
scatter_enough(struct scatter *sc)
{
	sc->cut = sc->cut || (sc->max_rows > 0 && sc->rows >= (uint64_t)sc->max_rows);
	return sc->cut;
}

static void
write_row(struct scatter *sc, struct slice row)
{
	struct msgbuf *out = &sc->session->x->out;

	if (scatter_enough(sc))
		return;
	msgbuf_clear(out);
	msg_begin(out, 'D');
	msg_bytes(out, row.ptr, row.len);
	msg_end(out);
	stream_write(&sc->session->stream, out->data, out->len);
	sc->session->x->sent_to_client = true;
	sc->rows++;
}

/* Enough rows: what else the shards send is dropped. */
static void
drain(struct scatter *sc)
{
	sc->draining = true;
	scatter_hold(sc);
	for (int i = 0; sc->phase == SCATTER_RUNNING && i < sc->n_shards; i++)
		if (sc->shards[i].branch != NULL && sc->shards[i].branch->paused)
			branch_resume(sc->shards[i].branch);
	finish_if_done(sc);
	scatter_let_go(sc);
}

static void
finish_write(struct scatter *sc)
{
	char tag[64];

	scatter_write_whole_tag(sc, tag, sizeof tag);
	memcpy(sc->tag, tag, sizeof sc->tag);
	if (sc->own_block)
		scatter_end_block(sc, true);
	else
		scatter_finish(sc, sc->tag);
}

static void
finish_if_done(struct scatter *sc)
{
	char tag[64];

	if (sc->phase != SCATTER_RUNNING || sc->busy > 0 ||
	    !(sc->plain || sc->draining || sc->first_columns.ptr == NULL))
		return;
	if (sc->multi.kind == MULTI_WRITE) {
		finish_write(sc);
		return;
	}
	snprintf(tag, sizeof tag, "SELECT %llu", (unsigned long long)sc->rows);
	scatter_finish(sc, sc->only_describe ? NULL : tag);
}

/* Any order will do: the row leaves as it came. */
static void
pass_row(struct scatter *sc, struct branch *b, const struct read_msg *m, struct buf *in)
{
	struct session *s = sc->session;
	const struct merge_spec *spec = &sc->multi.merge;

	if (sc->skipped < spec->offset) {
		sc->skipped++;
		return;
	}
	if ((spec->limit >= 0 && sc->rows >= (uint64_t)spec->limit) || scatter_enough(sc))
		return;
	if (in != NULL)
		stream_write_buf(&s->stream, in,
		    (uint32_t)((const unsigned char *)m->raw.ptr - in->data),
		    (uint32_t)m->raw.len);
	else
		stream_write(&s->stream, m->raw.ptr, m->raw.len);
	s->x->sent_to_client = true;
	sc->rows++;
	if (stream_queued(&s->stream) > OUTPUT_HIGH)
		branch_pause(b);
}

static void
row(struct scatter *sc, struct branch *b, const struct read_msg *m, struct buf *in)
{
	if (sc->plain) {
		pass_row(sc, b, m, in);
		return;
	}
	if (b->index > 0 && sc->multi.same_count)
		return;
	merge_feed(sc->merge, b->index, m->body);
	sc->fed[b->index] = true;
	branch_pause(b);
	pull(sc);
}

/* The next row of this shard. False: it is still to come. */
static bool
feed(struct scatter *sc, int input)
{
	sc->fed[input] = false;
	branch_resume(sc->by_input[input]);
	return sc->phase == SCATTER_RUNNING && sc->fed[input];
}

/* False: for now, or for good. */
static bool
pull_one(struct scatter *sc)
{
	struct merge_result r;
	struct err e;

	if (stream_queued(&sc->session->stream) > OUTPUT_HIGH)
		return false;
	switch (merge_next(sc->merge, &r, &e)) {
	case MERGE_FEED:
		return feed(sc, r.input);
	case MERGE_ROW:
		write_row(sc, r.row);
		return true;
	case MERGE_DONE:
		drain(sc);
		return false;
	case MERGE_FAILED:
		scatter_fail(sc, &e);
		return false;
	}
	return false;
}

static void
pull(struct scatter *sc)
{
	if (sc->pulling || sc->draining || sc->phase != SCATTER_RUNNING ||
	    sc->first_columns.ptr == NULL)
		return;
	sc->pulling = true;
	scatter_hold(sc);
	while (pull_one(sc))
		continue;
	sc->pulling = false;
	scatter_let_go(sc);
}

/* ---- a shard's messages ---- */

static void
at_rest(struct scatter *sc, struct branch *b)
{
	scatter_hold(sc);
	scatter_rested(sc, b);
	if (sc->phase == SCATTER_RUNNING && !sc->plain)
		pull(sc);
	finish_if_done(sc);
	scatter_let_go(sc);
}

static void
message(struct branch *b, const struct read_msg *m, struct buf *in)
{
	struct scatter *sc = b->owner;

	if (m->type == 'Z') {
		at_rest(sc, b);
		return;
	}
	if (sc->phase == SCATTER_RUNNING && m->type == 'C' &&
	    sc->multi.kind == MULTI_WRITE)
		scatter_write_tag(sc, b, m->body);
	if (sc->phase != SCATTER_RUNNING || (sc->draining && m->type != 'E'))
		return;
	switch (m->type) {
	case 'T':
		columns(sc, b, m->body);
		break;
	case 'n':
		if (sc->only_describe)
			stream_write(&sc->session->stream, m->raw.ptr, m->raw.len);
		break;
	case 'D':
		row(sc, b, m, in);
		break;
	case 'C':
	case 's':
		if (sc->plain || sc->first_columns.ptr == NULL ||
		    (b->index > 0 && sc->multi.same_count))
			break;
		merge_end(sc->merge, b->index);
		sc->fed[b->index] = true;
		pull(sc);
		break;
	case 'E':
		scatter_server_error(sc, b, m->body);
		break;
	default:
		break;
	}
}

static void
drained(struct branch *b)
{
	(void)b;
}

static void
lost(struct branch *b)
{
	struct scatter *sc = b->owner;
	struct err e;

	(void)branch_failed(b, &e);
	scatter_fail(sc, &e);
	scatter_rested(sc, b);
}

static const struct branch_ops ops = {
    .message = message, .drained = drained, .lost = lost};

/* ---- beginning and end ---- */

static int16_t
client_format(const struct scatter *sc, int column)
{
	return sc->n_formats == 0    ? 0
	    : sc->n_formats == 1     ? sc->formats[0]
	    : column < sc->n_formats ? sc->formats[column]
				     : 0;
}

/* What the fragment's Bind asks for. */
static void
fragment_formats(struct scatter *sc, const int16_t **formats, int *n)
{
	struct merge_spec *spec = &sc->multi.merge;
	int16_t *own;

	spec->client_formats = sc->formats;
	spec->n_client_formats = sc->n_formats;
	*formats = sc->formats;
	*n = sc->n_formats;
	if (spec->formats == NULL)
		return;
	own = ARENA_NEW_N(&sc->arena, int16_t, spec->n_formats + 1);
	for (int i = 0; i < spec->n_formats; i++)
		own[i] = spec->formats[i] == MERGE_CLIENTS ? client_format(sc, i)
							   : spec->formats[i];
	*formats = own;
	*n = spec->n_formats;
}

/* No shard has to give more rows than that, and one more tells whether there are more. */
static int
rows_wanted(const struct scatter *sc)
{
	const struct merge_spec *spec = &sc->multi.merge;
	bool row_by_row = sc->multi.kind == MULTI_CONCAT ||
	    (sc->multi.kind == MULTI_SORTED && spec->n_distinct == 0);
	int64_t n = spec->offset + sc->max_rows + 1;

	return sc->max_rows > 0 && row_by_row && n > 0 && n <= INT32_MAX ? (int)n : 0;
}

void
scatter_rows_begin(struct scatter *sc)
{
	bool write = sc->multi.kind == MULTI_WRITE;
	const int16_t *formats;
	struct err e;
	int n;

	sc->plain = sc->multi.kind == MULTI_CONCAT && sc->multi.merge.n_junk == 0;
	sc->fetch = rows_wanted(sc);
	fragment_formats(sc, &formats, &n);
	if (write && !scatter_write_inputs(sc)) {
		(void)err_set(
		    &e, "0A000", BLAST_STMT, "a statement that writes twice on a shard");
		err_hint(&e, "Send it in two.");
		scatter_fail(sc, &e);
		return;
	}
	if (!sc->plain)
		sc->merge = merge_create(
		    &sc->multi.merge, sc->multi.same_count ? 1 : sc->n_shards);
	sc->fed = ARENA_NEW_N(&sc->arena, bool, sc->n_shards);
	sc->by_input = ARENA_NEW_N(&sc->arena, struct branch *, sc->n_shards);
	for (int i = 0; i < sc->n_shards; i++) {
		struct branch *b = sc->shards[i].branch;

		if (!write)
			b->index = i;
		sc->by_input[b->index] = b;
		branch_listen(b, &ops, sc);
		scatter_send(sc, b, &sc->multi.fragments[sc->shards[i].fragment].query,
		    formats, n);
	}
}

void
scatter_rows_end(struct scatter *sc)
{
	if (sc->merge != NULL)
		merge_destroy(sc->merge);
	sc->merge = NULL;
}

void
scatter_rows_drained(struct scatter *sc)
{
	if (!sc->plain) {
		pull(sc);
		return;
	}
	scatter_hold(sc);
	for (int i = 0; sc->phase == SCATTER_RUNNING && i < sc->n_shards; i++)
		if (sc->shards[i].branch != NULL && sc->shards[i].branch->paused)
			branch_resume(sc->shards[i].branch);
	scatter_let_go(sc);
}
