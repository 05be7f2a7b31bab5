#include "router/plan/merge.h"

#include <stdio.h>
#include <stdlib.h>

#include "router/plan/merge_int.h"

#define OID_INT8    20
#define OID_NUMERIC 1700

enum input_state {
	INPUT_NEW,  /* has not been fed yet */
	INPUT_ROW,  /* its row waits */
	INPUT_USED, /* its row was given out */
	INPUT_ENDED
};

struct input {
	enum input_state state;
	struct slice row; /* as fed; sorted inputs: a copy, in buf */
	char *buf;
	size_t cap;
	struct field *fields;
};

struct column {
	uint32_t type;
	int format;
	compare_fn *compare;      /* of a key, MIN, MAX */
	struct slice description; /* its part of the RowDescription, name first */
	size_t name_len;          /* with its zero */
};

/* A value that outlives its row. */
struct kept {
	struct field v;
	char *buf;
	size_t cap;
};

/* What a group has come to, for one output. */
struct state {
	bool any;
	int64_t i;
	struct num sum, scratch;
	struct kept value,
	    key;    /* GROUP, MIN, MAX: the value, and what it is compared by */
	int format; /* of the output */
};

struct merge {
	struct merge_spec spec;
	int n_inputs, n_columns;
	struct input *inputs;
	struct column *columns;
	int *heap; /* sorted: inputs with a row, the least first */
	int n_heap, n_new;
	int turn;          /* as they come: whose row is looked for first */
	struct kept *last; /* keys of the latest row or of the group */
	bool have_last;    /* AGGREGATE: a group is open */
	struct state *outs;
	uint64_t rows;
	int64_t skip, left;
	bool done, failed;
	struct err err;
	char *out; /* a row of our own */
	size_t out_len, out_cap;
	char *description; /* the client's */
};

/* ---- memory ---- */

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct merge *
merge_create(const struct merge_spec *spec, int n_inputs)
{
	struct merge *m = must(calloc(1, sizeof *m));

	m->spec = *spec;
	m->n_inputs = m->n_new = n_inputs;
	m->inputs = must(calloc((size_t)n_inputs + 1, sizeof *m->inputs));
	m->heap = must(calloc((size_t)n_inputs + 1, sizeof *m->heap));
	m->last = must(calloc((size_t)spec->n_keys + 1, sizeof *m->last));
	m->outs = must(calloc((size_t)spec->n_outs + 1, sizeof *m->outs));
	m->skip = spec->offset;
	m->left = spec->limit;
	return m;
}

void
merge_destroy(struct merge *m)
{
	if (m == NULL)
		return;
	for (int i = 0; i < m->n_inputs; i++) {
		free(m->inputs[i].buf);
		free(m->inputs[i].fields);
	}
	for (int i = 0; i < m->spec.n_keys; i++)
		free(m->last[i].buf);
	for (int i = 0; i < m->spec.n_outs; i++) {
		num_fini(&m->outs[i].sum);
		num_fini(&m->outs[i].scratch);
		free(m->outs[i].value.buf);
		free(m->outs[i].key.buf);
	}
	free(m->inputs);
	free(m->columns);
	free(m->heap);
	free(m->last);
	free(m->outs);
	free(m->out);
	free(m->description);
	free(m);
}

static void
keep(struct kept *k, struct field v)
{
	if (v.len > 0 && (size_t)v.len > k->cap) {
		k->cap = (size_t)v.len * 2;
		free(k->buf);
		k->buf = must(malloc(k->cap));
	}
	if (v.len > 0)
		memcpy(k->buf, v.ptr, (size_t)v.len);
	k->v = (struct field){k->buf == NULL ? "" : k->buf, v.len};
}

static char *
more(struct merge *m, size_t n)
{
	char *p;

	if (m->out_len + n > m->out_cap) {
		m->out_cap = (m->out_len + n) * 2;
		m->out = must(realloc(m->out, m->out_cap));
	}
	p = m->out + m->out_len;
	m->out_len += n;
	return p;
}

static void
put(struct merge *m, const void *bytes, size_t n)
{
	char *p = more(m, n);

	if (n > 0)
		memcpy(p, bytes, n);
}

static void
put_number(struct merge *m, uint64_t v, int size)
{
	char *p = more(m, (size_t)size);

	for (int i = 0; i < size; i++)
		p[i] = (char)(v >> (8 * (size - 1 - i)));
}

/* ---- columns ---- */

static enum rc
malformed(struct err *e, const char *what)
{
	return err_set(e, "08P01", BLAST_SESSION, "a server sent a malformed %s", what);
}

static enum rc
read_description(struct merge *m, struct slice d, struct err *e)
{
	const char *p = d.ptr, *end = d.ptr + d.len;

	if (d.len < 2)
		return malformed(e, "RowDescription");
	m->n_columns = be16(p);
	p += 2;
	free(m->columns);
	m->columns = must(calloc((size_t)m->n_columns + 1, sizeof *m->columns));
	for (int i = 0; i < m->n_columns; i++) {
		struct column *c = &m->columns[i];
		const char *zero = memchr(p, '\0', (size_t)(end - p));

		if (zero == NULL || end - zero < 19)
			return malformed(e, "RowDescription");
		c->name_len = (size_t)(zero - p) + 1;
		c->description = (struct slice){p, c->name_len + 18};
		c->type = be32(zero + 7);
		c->format = be16(zero + 17);
		p = zero + 19;
	}
	return p == end ? RC_OK : malformed(e, "RowDescription");
}

static enum rc
comparable(struct merge *m, int column, bool bytes, struct err *e)
{
	struct column *c = &m->columns[column];

	c->compare = compare_of(c->type, c->format, bytes);
	if (c->compare != NULL)
		return RC_OK;
	err_set(e, "0A000", BLAST_STMT,
	    "rows of several shards cannot be sorted by a column of type %u", c->type);
	err_hint(e, "The schema that Weir knows differs from the shards'.");
	return RC_ERR;
}

static enum rc
wrong_type(struct err *e, uint32_t type)
{
	err_set(e, "0A000", BLAST_STMT,
	    "a column of type %u where rows of several shards are aggregated", type);
	err_hint(e, "The schema that Weir knows differs from the shards'.");
	return RC_ERR;
}

static bool
column_exists(const struct merge *m, int c)
{
	return c >= 0 && c < m->n_columns;
}

static enum rc
check_out(struct merge *m, const struct merge_out *o, struct err *e)
{
	uint32_t type = m->columns[o->a].type;

	switch (o->op) {
	case MERGE_COUNT:
	case MERGE_SUM_INT:
		return type == OID_INT8 ? RC_OK : wrong_type(e, type);
	case MERGE_SUM_NUMERIC:
		return type == OID_NUMERIC ? RC_OK : wrong_type(e, type);
	case MERGE_AVG:
		if (type != OID_NUMERIC)
			return wrong_type(e, type);
		type = m->columns[o->b].type;
		return type == OID_INT8 ? RC_OK : wrong_type(e, type);
	case MERGE_AND:
	case MERGE_OR:
		return type == 16 ? RC_OK : wrong_type(e, type);
	case MERGE_MIN:
	case MERGE_MAX:
		return comparable(m, o->b, false, e);
	default:
		return RC_OK;
	}
}

static int
client_format(const struct merge_spec *s, int column)
{
	if (s->n_client_formats == 0)
		return 0;
	if (s->n_client_formats == 1)
		return s->client_formats[0];
	return column < s->n_client_formats ? s->client_formats[column] : 0;
}

/* A value that is passed through has the format in which it came. */
static bool
is_computed(const struct merge_out *o)
{
	return o->op != MERGE_GROUP && o->op != MERGE_MIN && o->op != MERGE_MAX;
}

static void
describe_column(struct merge *m, const struct column *c, int format)
{
	put(m, c->description.ptr, c->description.len - 2);
	put_number(m, (uint64_t)format, 2);
}

enum rc
merge_columns(
    struct merge *m, struct slice description, struct slice *client, struct err *e)
{
	const struct merge_spec *s = &m->spec;

	if (read_description(m, description, e) != RC_OK)
		return RC_ERR;
	for (int i = 0; i < s->n_keys; i++)
		if (!column_exists(m, s->keys[i].column))
			return malformed(e, "RowDescription");
		else if (comparable(m, s->keys[i].column, s->keys[i].bytes, e) != RC_OK)
			return RC_ERR;
	for (int i = 0; i < s->n_outs; i++)
		if (!column_exists(m, s->outs[i].a) || !column_exists(m, s->outs[i].b))
			return malformed(e, "RowDescription");
		else if (check_out(m, &s->outs[i], e) != RC_OK)
			return RC_ERR;
	if (s->n_junk > m->n_columns)
		return malformed(e, "RowDescription");
	*client = description;
	m->out_len = 0;
	if (s->outs != NULL) {
		put_number(m, (uint64_t)s->n_outs, 2);
		for (int i = 0; i < s->n_outs; i++) {
			const struct column *c = &m->columns[s->outs[i].a];

			m->outs[i].format =
			    is_computed(&s->outs[i]) ? client_format(s, i) : c->format;
			describe_column(m, c, m->outs[i].format);
		}
	} else if (s->n_junk > 0) {
		put_number(m, (uint64_t)(m->n_columns - s->n_junk), 2);
		for (int i = 0; i < m->n_columns - s->n_junk; i++)
			describe_column(m, &m->columns[i], m->columns[i].format);
	}
	if (m->out_len > 0) {
		free(m->description);
		m->description = must(malloc(m->out_len));
		memcpy(m->description, m->out, m->out_len);
		*client = (struct slice){m->description, m->out_len};
	}
	for (int i = 0; i < m->n_inputs; i++)
		m->inputs[i].fields =
		    must(calloc((size_t)m->n_columns + 1, sizeof(struct field)));
	return RC_OK;
}

/* ---- feeding ---- */

static void
fail_with(struct merge *m, const char *sqlstate, const char *msg)
{
	if (m->failed)
		return;
	m->failed = true;
	err_set(&m->err, sqlstate, BLAST_STMT, "%s", msg);
}

static bool
split(const struct merge *m, struct slice row, struct field *fields)
{
	const char *p, *end;

	if (row.len < 2 || be16(row.ptr) != m->n_columns)
		return false;
	p = row.ptr + 2;
	end = row.ptr + row.len;
	for (int i = 0; i < m->n_columns; i++) {
		if (end - p < 4)
			return false;
		fields[i].len = (int32_t)be32(p);
		fields[i].ptr = p += 4;
		if (fields[i].len < -1 || (fields[i].len > 0 && fields[i].len > end - p))
			return false;
		p += fields[i].len > 0 ? fields[i].len : 0;
	}
	return p == end;
}

static int
compare_fields(struct merge *m, const struct merge_key *k, struct field a, struct field b)
{
	int c = 0;

	if (a.len < 0 || b.len < 0) {
		if (a.len < 0 && b.len < 0)
			return 0;
		return (a.len < 0) == k->nulls_first ? -1 : 1;
	}
	if (!m->columns[k->column].compare(a, b, &c))
		fail_with(m, "22P03", "a server sent a value that is none of its type");
	return k->desc ? -c : c;
}

static bool
before(struct merge *m, int a, int b)
{
	for (int i = 0; i < m->spec.n_keys; i++) {
		const struct merge_key *k = &m->spec.keys[i];
		int c = compare_fields(
		    m, k, m->inputs[a].fields[k->column], m->inputs[b].fields[k->column]);

		if (c != 0)
			return c < 0;
	}
	return a < b;
}

static void
sift_down(struct merge *m)
{
	int at = 0;

	for (;;) {
		int least = at, l = 2 * at + 1, r = l + 1, t;

		if (l < m->n_heap && before(m, m->heap[l], m->heap[least]))
			least = l;
		if (r < m->n_heap && before(m, m->heap[r], m->heap[least]))
			least = r;
		if (least == at)
			return;
		t = m->heap[at];
		m->heap[at] = m->heap[least];
		m->heap[least] = t;
		at = least;
	}
}

static void
sift_up(struct merge *m, int at)
{
	while (at > 0 && before(m, m->heap[at], m->heap[(at - 1) / 2])) {
		int up = (at - 1) / 2, t = m->heap[at];

		m->heap[at] = m->heap[up];
		m->heap[up] = t;
		at = up;
	}
}

static bool
is_sorted(const struct merge *m)
{
	return m->spec.n_keys > 0 || m->spec.outs != NULL;
}

bool
merge_wants(const struct merge *m, int i)
{
	return !m->done && !m->failed &&
	    (m->inputs[i].state == INPUT_NEW || m->inputs[i].state == INPUT_USED);
}

static void
copy_row(struct input *in, struct slice row)
{
	if (row.len > in->cap) {
		in->cap = row.len * 2;
		free(in->buf);
		in->buf = must(malloc(in->cap));
	}
	if (row.len > 0)
		memcpy(in->buf, row.ptr, row.len);
	in->row = (struct slice){in->buf, row.len};
}

/* Only the least row is ever given out, so an input that was used is the heap's first. */
static void
settle(struct merge *m, int i, bool was_new)
{
	if (was_new) {
		m->heap[m->n_heap++] = i;
		sift_up(m, m->n_heap - 1);
	} else {
		sift_down(m);
	}
}

void
merge_feed(struct merge *m, int i, struct slice row)
{
	struct input *in = &m->inputs[i];
	bool was_new = in->state == INPUT_NEW;

	if (!merge_wants(m, i))
		return;
	m->n_new -= was_new;
	in->state = INPUT_ROW;
	in->row = row;
	if (is_sorted(m))
		copy_row(in, row);
	if (!split(m, in->row, in->fields)) {
		fail_with(m, "08P01", "a server sent a malformed DataRow");
		return;
	}
	if (is_sorted(m))
		settle(m, i, was_new);
}

void
merge_end(struct merge *m, int i)
{
	struct input *in = &m->inputs[i];

	if (in->state == INPUT_ENDED)
		return;
	m->n_new -= in->state == INPUT_NEW;
	if (in->state == INPUT_USED && is_sorted(m)) {
		m->heap[0] = m->heap[--m->n_heap];
		sift_down(m);
	}
	in->state = INPUT_ENDED;
}

/* ---- rows out ---- */

static struct slice
without_junk(struct merge *m, const struct input *in)
{
	const struct field *last;
	int n = m->n_columns - m->spec.n_junk;

	if (m->spec.n_junk == 0)
		return in->row;
	m->out_len = 0;
	put_number(m, (uint64_t)n, 2);
	if (n > 0) {
		last = &in->fields[n - 1];
		put(m, in->row.ptr + 2,
		    (size_t)(last->ptr - in->row.ptr) - 2 +
			(last->len > 0 ? (size_t)last->len : 0));
	}
	return (struct slice){m->out, m->out_len};
}

/* LIMIT and OFFSET: whether this row is one of those that are given out. */
static bool
counts(struct merge *m)
{
	if (m->skip > 0) {
		m->skip--;
		return false;
	}
	if (m->left > 0)
		m->left--;
	m->rows++;
	return true;
}

uint64_t
merge_rows(const struct merge *m)
{
	return m->rows;
}

static bool
same_as_last(struct merge *m, const struct input *in, int n)
{
	for (int i = 0; i < n; i++) {
		const struct merge_key *k = &m->spec.keys[i];

		if (compare_fields(m, k, m->last[i].v, in->fields[k->column]) != 0)
			return false;
	}
	return true;
}

static void
keep_last(struct merge *m, const struct input *in, int n)
{
	m->have_last = true;
	for (int i = 0; i < n; i++)
		keep(&m->last[i], in->fields[m->spec.keys[i].column]);
}

/* ---- groups ---- */

static void
open_group(struct merge *m, const struct input *in)
{
	keep_last(m, in, m->spec.n_keys);
	for (int i = 0; i < m->spec.n_outs; i++) {
		struct state *s = &m->outs[i];

		s->any = false;
		s->i = 0;
		s->sum.kind = NUM_FINITE;
		s->sum.n = s->sum.dscale = s->sum.weight = 0;
		s->sum.negative = false;
	}
}

static void
add_int(struct merge *m, struct state *s, struct field v, int format)
{
	int64_t one;

	if (!read_int(v, format, &one))
		fail_with(m, "22P03", "a server sent a value that is none of its type");
	else if (__builtin_add_overflow(s->i, one, &s->i))
		fail_with(m, "22003", "bigint out of range");
}

static void
add_numeric(struct merge *m, struct state *s, struct field v, int format)
{
	if (!num_read(&s->scratch, v, format))
		fail_with(m, "22P03", "a server sent a value that is none of its type");
	else
		num_add(&s->sum, &s->scratch);
}

static void
add_bool(struct merge *m, struct state *s, struct field v, int format, bool all)
{
	bool one;

	if (!read_bool(v, format, &one))
		fail_with(m, "22P03", "a server sent a value that is none of its type");
	else
		s->i = !s->any ? one : all ? (s->i && one) : (s->i || one);
}

static void
add_extreme(
    struct merge *m, struct state *s, const struct merge_out *o, const struct input *in)
{
	int c = 0;

	if (s->any && !m->columns[o->b].compare(in->fields[o->b], s->key.v, &c)) {
		fail_with(m, "22P03", "a server sent a value that is none of its type");
		return;
	}
	if (s->any && (o->op == MERGE_MIN ? c >= 0 : c <= 0))
		return;
	keep(&s->value, in->fields[o->a]);
	keep(&s->key, in->fields[o->b]);
}

static void
add_to_group(struct merge *m, const struct input *in)
{
	for (int i = 0; i < m->spec.n_outs; i++) {
		const struct merge_out *o = &m->spec.outs[i];
		struct state *s = &m->outs[i];
		struct field v = in->fields[o->a];
		int format = m->columns[o->a].format;

		if (o->op == MERGE_GROUP && !s->any)
			keep(&s->value, v);
		if (v.len < 0 && o->op != MERGE_GROUP)
			continue;
		switch (o->op) {
		case MERGE_COUNT:
		case MERGE_SUM_INT:
			add_int(m, s, v, format);
			break;
		case MERGE_AVG:
			add_int(m, s, in->fields[o->b], m->columns[o->b].format);
			/* fall through */
		case MERGE_SUM_NUMERIC:
			add_numeric(m, s, v, format);
			break;
		case MERGE_MIN:
		case MERGE_MAX:
			add_extreme(m, s, o, in);
			break;
		case MERGE_AND:
		case MERGE_OR:
			add_bool(m, s, v, format, o->op == MERGE_AND);
			break;
		default:
			break;
		}
		s->any = true;
	}
}

static void
put_field(struct merge *m, struct field v)
{
	put_number(m, (uint32_t)v.len, 4);
	if (v.len > 0)
		put(m, v.ptr, (size_t)v.len);
}

static void
put_int(struct merge *m, int64_t v, int format)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%lld", (long long)v);

	if (format == 0) {
		put_field(m, (struct field){text, n});
		return;
	}
	put_number(m, 8, 4);
	put_number(m, (uint64_t)v, 8);
}

static void
put_num(struct merge *m, const struct num *x, int format)
{
	size_t n = num_write(x, format, NULL);

	put_number(m, n, 4);
	num_write(x, format, more(m, n));
}

static void
put_bool(struct merge *m, bool v, int format)
{
	put_field(
	    m, (struct field){format == 1 ? (v ? "\1" : "\0") : (v ? "t" : "f"), 1});
}

static void
put_out(struct merge *m, const struct merge_out *o, struct state *s)
{
	if (!s->any && o->op != MERGE_COUNT) {
		put_number(m, UINT32_MAX, 4);
		return;
	}
	switch (o->op) {
	case MERGE_COUNT:
	case MERGE_SUM_INT:
		put_int(m, s->i, s->format);
		break;
	case MERGE_SUM_NUMERIC:
		put_num(m, &s->sum, s->format);
		break;
	case MERGE_AVG:
		if (s->i <= 0) {
			put_number(m, UINT32_MAX, 4);
			break;
		}
		num_average(&s->scratch, &s->sum, s->i);
		put_num(m, &s->scratch, s->format);
		break;
	case MERGE_AND:
	case MERGE_OR:
		put_bool(m, s->i != 0, s->format);
		break;
	default:
		put_field(m, s->value.v);
	}
}

static struct slice
group_row(struct merge *m)
{
	m->out_len = 0;
	put_number(m, (uint64_t)m->spec.n_outs, 2);
	for (int i = 0; i < m->spec.n_outs; i++)
		put_out(m, &m->spec.outs[i], &m->outs[i]);
	m->have_last = false;
	return (struct slice){m->out, m->out_len};
}

/* ---- the next step ---- */

static enum merge_step
failed(struct merge *m, struct err *e)
{
	*e = m->err;
	return MERGE_FAILED;
}

static enum merge_step
finish(struct merge *m)
{
	m->done = true;
	return MERGE_DONE;
}

static enum merge_step next_any(struct merge *, struct merge_result *);

/* Rows in the order of their turns; what is left after them as it comes. */
static enum merge_step
next_turn(struct merge *m, struct merge_result *out)
{
	for (; m->turn < m->spec.n_turns; m->turn++) {
		int i = m->spec.turns[m->turn];
		struct input *in = &m->inputs[i < m->n_inputs ? i : 0];

		if (in->state == INPUT_ENDED)
			continue;
		out->input = i;
		if (in->state != INPUT_ROW)
			return MERGE_FEED;
		in->state = INPUT_USED;
		if (!counts(m))
			continue;
		m->turn++;
		out->row = without_junk(m, in);
		return MERGE_ROW;
	}
	m->turn = 0;
	m->spec.n_turns = 0;
	return next_any(m, out);
}

/* Rows as they come. */
static enum merge_step
next_any(struct merge *m, struct merge_result *out)
{
	int hungry = -1;

	for (int n = 0; n < m->n_inputs; n++) {
		int i = (m->turn + n) % m->n_inputs;
		struct input *in = &m->inputs[i];

		if (in->state == INPUT_ROW) {
			in->state = INPUT_USED;
			m->turn = i;
			if (!counts(m)) {
				n = -1; /* look again: others may have rows */
				continue;
			}
			out->input = i;
			out->row = without_junk(m, in);
			return MERGE_ROW;
		}
		if (in->state != INPUT_ENDED && hungry < 0)
			hungry = i;
	}
	if (hungry < 0)
		return finish(m);
	out->input = hungry;
	return MERGE_FEED;
}

static int
first_new(const struct merge *m)
{
	for (int i = 0; i < m->n_inputs; i++)
		if (m->inputs[i].state == INPUT_NEW)
			return i;
	return -1;
}

/* Whose row is the least; -1: *out says who must be fed, or all have ended (MERGE_DONE).
 */
static int
least(struct merge *m, struct merge_result *out, enum merge_step *step)
{
	*step = MERGE_FEED;
	if (m->n_new > 0) {
		out->input = first_new(m);
		return -1;
	}
	if (m->n_heap == 0) {
		*step = MERGE_DONE;
		return -1;
	}
	if (m->inputs[m->heap[0]].state == INPUT_USED) {
		out->input = m->heap[0];
		return -1;
	}
	return m->heap[0];
}

static enum merge_step
next_sorted(struct merge *m, struct merge_result *out)
{
	enum merge_step step;
	int i = least(m, out, &step);
	struct input *in = &m->inputs[i < 0 ? 0 : i];

	if (i < 0)
		return step == MERGE_DONE ? finish(m) : step;
	in->state = INPUT_USED;
	out->input = i;
	if (m->spec.n_distinct > 0) {
		if (m->have_last && same_as_last(m, in, m->spec.n_distinct))
			return MERGE_FEED;
		keep_last(m, in, m->spec.n_distinct);
	}
	if (!counts(m))
		return MERGE_FEED;
	out->row = without_junk(m, in);
	return MERGE_ROW;
}

static enum merge_step
next_group(struct merge *m, struct merge_result *out)
{
	for (;;) {
		enum merge_step step;
		int i = least(m, out, &step);
		struct input *in = &m->inputs[i < 0 ? 0 : i];

		if (i < 0 && step == MERGE_FEED)
			return MERGE_FEED;
		if (m->have_last && (i < 0 || !same_as_last(m, in, m->spec.n_keys))) {
			m->have_last = false;
			if (!counts(m))
				continue;
			out->row = group_row(m);
			return MERGE_ROW;
		}
		if (i < 0)
			return finish(m);
		if (!m->have_last)
			open_group(m, in);
		add_to_group(m, in);
		in->state = INPUT_USED;
		if (m->failed)
			return MERGE_FAILED;
	}
}

enum merge_step
merge_next(struct merge *m, struct merge_result *out, struct err *e)
{
	enum merge_step step;

	if (m->failed)
		return failed(m, e);
	if (m->done || m->left == 0)
		return finish(m);
	step = m->spec.outs != NULL ? next_group(m, out)
	    : m->spec.n_keys > 0    ? next_sorted(m, out)
	    : m->spec.n_turns > 0   ? next_turn(m, out)
				    : next_any(m, out);
	return m->failed ? failed(m, e) : step;
}
