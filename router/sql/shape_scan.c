/* The key of a shape is a hash over the text's tokens: white space and comments gone,
 * unquoted names in lower case, and in the place of each constant either its class (the
 * constant is handed out) or, where its value is part of the meaning, the constant as
 * written (it is "pinned").
 *
 * Each pair of parentheses has a level, each level is in a clause, and the clause is
 *
 * - pinned: the start of a statement, ORDER BY, GROUP BY, HAVING, WINDOW, RETURNING. Of
 *   these all but the start also pin whatever stands in their parentheses, sub-selects
 *   included.
 * - free: FROM, WHERE, LIMIT, OFFSET, FETCH, VALUES, DELETE, MERGE, and the SET of
 *   UPDATE and ON CONFLICT.
 * - undecided: a select list. It is pinned when any clause follows it, or at its
 *   closing parenthesis. So only the list of a statement that is nothing else (SELECT
 *   f(42)) stays free: there is nothing that it could be equal to.
 *
 * A plain parenthesis is in the clause of its surroundings. Pinned in any clause are:
 *
 * - OVER (...)
 * - a string that follows a name at once (DATE 'x'), and the arguments between the two
 *   (timestamp(3) 'x')
 * - the arguments of a type (::numeric(10,2)); not those of the columns in FROM f() AS
 *   x (a numeric(10,2)), which nothing reads
 * - the arguments of set_config, nextval, currval and setval, which the analysis reads
 * - U&'x', whose meaning depends on UESCAPE, and E'x' with escapes of bytes or code
 *   points, which may be malformed.
 *
 * NULL, TRUE and FALSE are keywords, so part of the key. Pinning too much costs a
 * parse; pinning too little could cost a wrong answer: when in doubt, pin.
 *
 * A statement that does not begin with a word of SQL's data manipulation is keyed by
 * its bytes; one that begins with CREATE by all bytes that follow, since a function's
 * body may hold semicolons. */
#include "router/sql/shape_scan.h"

#include <stdlib.h>

#include "router/sql/lexer.h"
#include "router/sql/shape_words.h"

#define LEVELS    64
#define NO_TARGET UINT32_MAX

/* Bytes that no token begins with mark what is not a token. Constants by class; the two
 * magnitudes that a minus sign would bring into the smaller class are classes of their
 * own. */
enum mark {
	MARK_INT4 = 1,
	MARK_INT4_MINUS,
	MARK_INT8,
	MARK_INT8_MINUS,
	MARK_NUMERIC,
	MARK_STRING,
	MARK_ESTRING,
	MARK_BITS,
	MARK_PINNED_LATE,
	MARK_PINNED_END,
	MARK_HINT,
	MARK_CONTROL, /* a control character that stands alone, which is no SQL */
	MARK_WHOLE,
	MARK_FAILED,
	MARK_SEPARATOR = 0x1f
};

#define BIT(w) ((uint64_t)1 << (w))
/* A string behind one of these is a value; behind any other name it is a typed literal.
 * None of them names a type. */
static const uint64_t before_value = BIT(W_SELECT) | BIT(W_FROM) | BIT(W_WHERE) |
    BIT(W_HAVING) | BIT(W_LIMIT) | BIT(W_OFFSET) | BIT(W_FETCH) | BIT(W_RETURNING) |
    BIT(W_DISTINCT) | BIT(W_AND) | BIT(W_OR) | BIT(W_NOT) | BIT(W_LIKE) | BIT(W_ILIKE) |
    BIT(W_IN) | BIT(W_BETWEEN) | BIT(W_CASE) | BIT(W_WHEN) | BIT(W_THEN) | BIT(W_ELSE) |
    BIT(W_ON) | BIT(W_BY) | BIT(W_TO);

enum verb {
	V_NONE,
	V_OTHER,
	V_SELECT,
	V_INSERT,
	V_UPDATE,
	V_DELETE,
	V_MERGE,
	V_WITH,
	V_RETURNING
};

struct level {
	uint8_t verb;
	bool pin;        /* constants are pinned here */
	bool pin_inside; /* and in every parenthesis that opens here */
	bool locked;     /* no clause ends the pinning */
	uint32_t target; /* the first constant of an undecided select list */
	uint32_t opened; /* constants when it opened */
};

struct scan {
	struct lexer lx;
	struct shape_scan *out;
	struct level *lv;
	uint32_t depth;    /* of lv */
	uint32_t too_deep; /* levels beyond those that are kept; all pinned */
	/* the token before */
	uint8_t prev_kind; /* enum token_kind */
	char prev_char;
	uint8_t prev_word;
	struct slice prev_name;
	uint32_t closed; /* constants when the level that just closed had opened */
	bool type_name;  /* between :: or AS and the end of the type's name */
	/* the statement */
	const char *statement;
	bool begun, whole, to_the_end, lone_select;
	struct sip sip;
	struct level levels[LEVELS];
};

/* ---- words ---- */

/* Functions whose arguments the analysis reads. A name in U&"…" may be any of them. */
static bool
pins_arguments(const struct scan *s)
{
	static const char *const names[] = {"set_config", "nextval", "currval", "setval"};
	struct slice n = s->prev_name;

	if (s->prev_kind == TOK_UIDENT)
		return true;
	if (s->prev_kind == TOK_QIDENT) {
		n.ptr++;
		n.len -= 2;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == n.len && strncasecmp(names[i], n.ptr, n.len) == 0)
			return true;
	return false;
}

/* ---- writing the key ---- */

/* ASCII capitals of eight bytes at once to small letters. */
static inline uint64_t
fold8(uint64_t x)
{
	const uint64_t ones = 0x0101010101010101;
	uint64_t low = x & 0x7f * ones;
	uint64_t from_a = low + (0x80 - 'A') * ones, beyond_z = low + (0x7f - 'Z') * ones;

	return x | ((from_a ^ beyond_z) & ~x & 0x80 * ones) >> 2;
}

/* Unquoted names up to this length are looked up as words; longer ones are written in
 * pieces. */
#define NAME_PIECE 64

static inline __attribute__((always_inline)) void
fold_into(const struct scan *s, uint8_t *to, const char *from, size_t len)
{
	size_t i = 0;
	uint64_t x;

	for (; i < len && s->lx.end - (from + i) >= 8; i += 8) {
		memcpy(&x, from + i, 8);
		x = fold8(x);
		memcpy(
		    to + i, &x, 8); /* up to seven bytes beyond len: the buffer's slack */
	}
	for (; i < len; i++)
		to[i] = sql_fold[(unsigned char)from[i]];
}

static enum word
put_name(struct scan *s, const struct token *t)
{
	const char *p = t->start;
	size_t len = (size_t)(t->end - p);
	enum word w = W_OTHER;
	uint8_t *to;

	for (; len > NAME_PIECE; p += NAME_PIECE, len -= NAME_PIECE) {
		fold_into(s, sip_room(&s->sip, NAME_PIECE), p, NAME_PIECE);
		s->sip.n += NAME_PIECE;
	}
	to = sip_room(&s->sip, NAME_PIECE + 1);
	fold_into(s, to, p, len);
	if (p == t->start)
		w = word_of(to, len);
	to[len] = MARK_SEPARATOR;
	s->sip.n += len + 1;
	return w;
}

static void
put_raw(struct scan *s, const char *start, const char *end)
{
	sip_bytes(&s->sip, start, (size_t)(end - start));
	sip_byte(&s->sip, MARK_SEPARATOR);
}

/* What stood in the list from `first` on is part of the meaning after all. */
static void
pin_late(struct scan *s, uint32_t first)
{
	struct shape_scan *out = s->out;

	if (first >= out->n)
		return;
	sip_byte(&s->sip, MARK_PINNED_LATE);
	for (uint32_t i = first; i < out->n; i++)
		put_raw(s, out->v[i].raw.ptr, out->v[i].raw.ptr + out->v[i].raw.len);
	sip_byte(&s->sip, MARK_PINNED_END);
	out->n = first;
}

/* ---- constants ---- */

static enum mark
int_mark(const char *p, const char *end)
{
	static const char int4_end[] = "2147483648", int8_end[] = "9223372036854775808";
	size_t len;
	int c;

	while (p < end - 1 && *p == '0')
		p++;
	len = (size_t)(end - p);
	if (len < 10)
		return MARK_INT4;
	if (len == 10) {
		c = memcmp(p, int4_end, 10);
		return c < 0 ? MARK_INT4 : c == 0 ? MARK_INT4_MINUS : MARK_INT8;
	}
	if (len < 19)
		return MARK_INT8;
	if (len > 19)
		return MARK_NUMERIC;
	c = memcmp(p, int8_end, 19);
	return c < 0 ? MARK_INT8 : c == 0 ? MARK_INT8_MINUS : MARK_NUMERIC;
}

static const uint8_t class_of_mark[] = {
    [MARK_INT4] = CONST_INT4,
    [MARK_INT4_MINUS] = CONST_INT8,
    [MARK_INT8] = CONST_INT8,
    [MARK_INT8_MINUS] = CONST_NUMERIC,
    [MARK_NUMERIC] = CONST_NUMERIC,
    [MARK_STRING] = CONST_STRING,
    [MARK_ESTRING] = CONST_ESTRING,
    [MARK_BITS] = CONST_BITS,
};

static void
grow(struct shape_scan *out)
{
	uint32_t cap = out->cap == 0 ? 64 : out->cap * 2;
	struct sql_const *v = realloc(out->v, cap * sizeof *v);

	if (v == NULL)
		abort(); /* as arenas do; a text is limited to 1 GB by the protocol */
	out->v = v;
	out->cap = cap;
}

static void
add_const(struct scan *s, const struct token *t, enum mark m)
{
	struct shape_scan *out = s->out;

	if (out->n == out->cap)
		grow(out);
	out->v[out->n].class = class_of_mark[m];
	out->v[out->n].raw = (struct slice){t->start, (size_t)(t->end - t->start)};
	out->n++;
	sip_byte(&s->sip, (uint8_t)m);
}

/* \x, \u and octal escapes, and a backslash before half a character, may make a string
 * malformed; the parser then rejects the text. */
static bool
may_be_malformed(const struct token *t)
{
	const char *p = t->start;

	while ((p = memchr(p, '\\', (size_t)(t->end - p))) != NULL) {
		char c = p[1]; /* a backslash is never the last byte of a string */

		if ((c >= '0' && c <= '7') || c == 'x' || c == 'u' || c == 'U' ||
		    (c & 0x80))
			return true;
		p += 2;
	}
	return false;
}

static bool
follows_name(const struct scan *s)
{
	if (s->prev_kind == TOK_IDENT)
		return !(before_value & BIT(s->prev_word));
	return s->prev_kind == TOK_QIDENT || s->prev_kind == TOK_UIDENT;
}

static void
string_const(struct scan *s, const struct token *t)
{
	enum mark m = t->kind == TOK_ESTRING ? MARK_ESTRING : MARK_STRING;
	bool typed = false;

	if (follows_name(s)) {
		typed = true;
	} else if (s->prev_kind == TOK_CHAR && s->prev_char == ')') {
		pin_late(s, s->closed);
		typed = true;
	}
	s->type_name = typed; /* interval '1' second(3) */
	if (typed || s->lv->pin || s->too_deep > 0 || t->kind == TOK_USTRING ||
	    (t->kind == TOK_ESTRING && may_be_malformed(t)))
		put_raw(s, t->start, t->end);
	else
		add_const(s, t, m);
}

static void
other_const(struct scan *s, const struct token *t, enum mark m)
{
	bool in_type = s->type_name && s->prev_kind == TOK_CHAR && s->prev_char == '[';

	if (!in_type)
		s->type_name = false;
	if (in_type || s->lv->pin || s->too_deep > 0)
		put_raw(s, t->start, t->end);
	else
		add_const(s, t, m);
}

/* ---- clauses ---- */

static void
end_target(struct scan *s)
{
	if (s->lv->target != NO_TARGET)
		pin_late(s, s->lv->target);
	s->lv->target = NO_TARGET;
}

static void
free_clause(struct scan *s)
{
	end_target(s);
	s->lv->pin = s->lv->locked;
	s->lv->pin_inside = false;
}

static void
pinned_clause(struct scan *s, bool inside)
{
	end_target(s);
	s->lv->pin = true;
	s->lv->pin_inside = inside;
}

static void
begin_select(struct scan *s)
{
	free_clause(s);
	s->lv->verb = V_SELECT;
	s->lv->target = s->out->n;
}

static void
begin_verb(struct scan *s, enum verb v)
{
	s->lv->verb = (uint8_t)v;
	if (v == V_DELETE || v == V_MERGE)
		free_clause(s);
	else
		pinned_clause(s, false);
}

/* Words that can also be names (SET, UPDATE, VALUES …) count only where they must be
 * keywords. */
static void
clause_word(struct scan *s, enum word w, bool first)
{
	static const uint8_t verbs[] = {[W_INSERT] = V_INSERT,
	    [W_UPDATE] = V_UPDATE,
	    [W_DELETE] = V_DELETE,
	    [W_MERGE] = V_MERGE,
	    [W_WITH] = V_WITH,
	    [W_TABLE] = V_SELECT};
	enum verb v = s->lv->verb;

	switch (w) {
	case W_SELECT:
		if (s->depth == 0 && !first)
			s->lone_select = false;
		begin_select(s);
		break;
	case W_INSERT:
	case W_UPDATE:
	case W_DELETE:
	case W_MERGE:
	case W_WITH:
	case W_TABLE:
		if (first || v == V_WITH)
			begin_verb(s, verbs[w]);
		break;
	case W_FROM: /* not that of extract(… from …) or IS DISTINCT FROM */
		if ((v == V_SELECT || v == V_UPDATE || v == V_DELETE) &&
		    s->prev_word != W_DISTINCT)
			free_clause(s);
		break;
	case W_WHERE: /* not that of FILTER (WHERE …) */
		if (v != V_OTHER)
			free_clause(s);
		break;
	case W_SET:
		if (v == V_UPDATE || v == V_INSERT || v == V_MERGE)
			free_clause(s);
		break;
	case W_LIMIT:
	case W_OFFSET:
	case W_FETCH:
		free_clause(s);
		break;
	case W_RETURNING:
		s->lv->verb = V_RETURNING;
		pinned_clause(s, true);
		break;
	case W_GROUP:
	case W_ORDER:
	case W_HAVING:
	case W_WINDOW:
		pinned_clause(s, true);
		break;
	case W_UNION:
	case W_INTERSECT:
	case W_EXCEPT:
		s->lone_select = false;
		pinned_clause(s, false);
		break;
	case W_INTO:
		if (v == V_SELECT)
			pinned_clause(s, false);
		break;
	case W_DISTINCT:
		s->lone_select = false;
		break;
	default:
		break;
	}
}

static void
open_level(struct scan *s)
{
	struct level *up = s->lv, *lv;
	bool after_name = s->prev_kind == TOK_IDENT || s->prev_kind == TOK_QIDENT ||
	    s->prev_kind == TOK_UIDENT;

	if (s->too_deep > 0 || s->depth == LEVELS - 1) {
		s->too_deep++;
		return;
	}
	if (s->prev_word == W_VALUES && up->target == NO_TARGET) {
		free_clause(s);
		if (up->verb == V_OTHER || up->verb == V_WITH)
			up->verb = V_SELECT;
	}
	lv = s->lv = &s->levels[++s->depth];
	lv->verb = V_NONE;
	lv->locked = up->locked || up->pin_inside || s->prev_word == W_OVER ||
	    (after_name && s->prev_word == W_OTHER && pins_arguments(s));
	lv->pin = lv->locked || up->pin || (after_name && s->type_name);
	lv->pin_inside = false;
	lv->target = NO_TARGET;
	lv->opened = s->out->n;
}

static void
close_level(struct scan *s)
{
	if (s->too_deep > 0) {
		s->too_deep--;
		s->closed = s->out->n;
		return;
	}
	if (s->depth == 0)
		return; /* a syntax error; the parser will say so */
	end_target(s);
	s->closed = s->lv->opened;
	s->lv = &s->levels[--s->depth];
}

/* ---- statements ---- */

static void
begin_text(struct scan *s)
{
	s->depth = s->too_deep = 0;
	s->lv = s->levels;
	*s->lv = (struct level){.verb = V_NONE, .pin = true, .target = NO_TARGET};
	s->begun = s->whole = s->type_name = false;
	s->prev_kind = TOK_CHAR;
	s->prev_char = ';';
	s->prev_word = W_OTHER;
	s->lone_select = true;
	s->closed = s->out->n;
	s->lv->opened = s->out->n;
}

static void
end_statement(struct scan *s, const char *end)
{
	if (s->whole) {
		sip_byte(&s->sip, MARK_WHOLE);
		put_raw(s, s->statement, end);
	}
	if (s->begun && !s->whole && !(s->lone_select && s->depth == 0))
		pin_late(s, s->levels[0].target);
}

/* Decides by its first token how a statement is keyed. */
static void
begin_statement(struct scan *s, const struct token *t)
{
	enum word w = W_OTHER;
	uint8_t buf[16 + 8] = {0};
	size_t len = (size_t)(t->end - t->start);

	s->begun = true;
	if (t->kind == TOK_CHAR && *t->start == '(') {
		s->lone_select = false;
		return;
	}
	if (t->kind == TOK_IDENT && len < 16) {
		fold_into(s, buf, t->start, len);
		w = word_of(buf, len);
	}
	s->lone_select = w == W_SELECT;
	s->whole = !(w >= W_SELECT && w <= W_TABLE);
	s->to_the_end = w == W_CREATE;
}

/* ---- tokens ---- */

static enum word
name_token(struct scan *s, const struct token *t, bool first)
{
	enum word w = put_name(s, t);

	/* behind a point or AS any word is a name */
	if (w != W_OTHER &&
	    ((s->prev_kind == TOK_CHAR && s->prev_char == '.') || s->prev_word == W_AS))
		w = W_OTHER;
	if (w == W_OTHER)
		return w;
	s->type_name = w == W_AS || (w == W_TO && s->type_name);
	if (w < W_AS && s->too_deep == 0)
		clause_word(s, w, first);
	return w;
}

static void
char_token(struct scan *s, const struct token *t)
{
	char c = *t->start;

	if ((unsigned char)c < ' ')
		sip_byte(&s->sip, MARK_CONTROL);
	sip_byte(&s->sip, (uint8_t)c);
	switch (c) {
	case '(':
		open_level(s);
		s->type_name = false;
		return;
	case ')':
		close_level(s);
		s->type_name = false;
		return;
	case ',':
	case ';':
		s->type_name = false;
		return;
	case '.':
	case '[':
	case ']':
		break;
	default:
		s->type_name = false;
	}
	sip_byte(&s->sip, MARK_SEPARATOR);
}

static void
put_token(struct scan *s, const struct token *t)
{
	bool first = s->lv->verb == V_NONE;
	enum word w = W_OTHER;

	if (first)
		s->lv->verb = V_OTHER;
	switch (t->kind) {
	case TOK_IDENT:
		w = name_token(s, t, first);
		break;
	case TOK_CHAR:
		char_token(s, t);
		break;
	case TOK_INT:
		other_const(s, t, int_mark(t->start, t->end));
		break;
	case TOK_FLOAT:
		other_const(s, t, MARK_NUMERIC);
		break;
	case TOK_BITS:
	case TOK_HEX:
		other_const(s, t, MARK_BITS);
		break;
	case TOK_STRING:
	case TOK_ESTRING:
	case TOK_USTRING:
	case TOK_DOLLAR:
		string_const(s, t);
		break;
	case TOK_QIDENT:
	case TOK_UIDENT:
		put_raw(s, t->start, t->end);
		break;
	default:
		put_raw(s, t->start, t->end);
		s->type_name = t->kind == TOK_TYPECAST;
	}
	s->prev_kind = (uint8_t)t->kind;
	s->prev_char = *t->start;
	s->prev_word = (uint8_t)w;
	s->prev_name.ptr = t->start;
	s->prev_name.len = (size_t)(t->end - t->start);
}

static void
put_comment(struct scan *s, const struct token *t)
{
	struct slice comment = {t->start, (size_t)(t->end - t->start)}, hint;

	if (lexer_comment_hint(comment, &hint)) {
		sip_byte(&s->sip, MARK_HINT);
		put_raw(s, t->start, t->end);
	}
}

/* ---- what cannot be keyed by its tokens ---- */

static void
fail_at(struct scan *s, const struct token *t)
{
	struct err *e = &s->out->err;
	size_t len =
	    sql_char_clip(s->lx.encoding, t->start, (size_t)(t->end - t->start), 250);

	err_set(e, "42601", BLAST_STMT, "%s at or near \"%.*s\"", s->lx.error, (int)len,
	    t->start);
	e->position = 1 + (int)sql_char_count(s->lx.encoding, s->lx.text, t->start);
	s->out->failed = true;
}

static bool
is_ascii(const char *p, const char *end)
{
	for (; p < end; p++)
		if ((unsigned char)*p >= 0x80)
			return false;
	return true;
}

/* In a client-only encoding the parser, which sees bytes, could take half a character of
 * such a token for something else. Plain strings are safe: no second byte is a quote. */
static bool
misread_by_parser(const struct scan *s, const struct token *t)
{
	const char *end = t->end;

	switch (t->kind) {
	case TOK_DOLLAR:
		end = (const char *)memchr(
		    t->start + 1, '$', (size_t)(t->end - t->start) - 1);
		break;
	case TOK_IDENT:
	case TOK_QIDENT:
	case TOK_UIDENT:
	case TOK_ESTRING:
	case TOK_USTRING:
		break;
	default:
		return false;
	}
	return s->lx.by_characters && !is_ascii(t->start, end);
}

static void
fail_encoding(struct scan *s, const struct token *t)
{
	struct err *e = &s->out->err;

	err_set(e, "0A000", BLAST_STMT,
	    "names and escape strings that are not ASCII cannot be read in client "
	    "encoding %s",
	    sql_encoding_name(s->lx.encoding));
	err_hint(e, "Set client_encoding to UTF8.");
	e->position = 1 + (int)sql_char_count(s->lx.encoding, s->lx.text, t->start);
	s->out->failed = true;
}

static void
scan_tokens(struct scan *s)
{
	struct token t;

	for (;;) {
		switch (lexer_next(&s->lx, &t)) {
		case TOK_END:
			end_statement(s, t.start);
			return;
		case TOK_ERROR:
			fail_at(s, &t);
			return;
		case TOK_COMMENT:
			put_comment(s, &t);
			continue;
		default:
			break;
		}
		if (s->lx.by_characters && misread_by_parser(s, &t)) {
			fail_encoding(s, &t);
			return;
		}
		if (t.kind == TOK_CHAR && *t.start == ';' && !s->to_the_end) {
			end_statement(s, t.start);
			sip_byte(&s->sip, ';');
			begin_text(s);
			s->statement = t.end;
			continue;
		}
		if (!s->begun)
			begin_statement(s, &t);
		if (!s->whole)
			put_token(s, &t);
	}
}

static void
begin_key(struct scan *s, const struct sip_key *key, const struct sql_env *env)
{
	uint8_t *to;

	sip_init(&s->sip, key);
	to = sip_room(&s->sip, 2);
	to[0] = env->encoding;
	to[1] = env->standard_strings;
	s->sip.n += 2;
}

void
shape_scan_init(struct shape_scan *out)
{
	memset(out, 0, sizeof *out);
}

void
shape_scan_fini(struct shape_scan *out)
{
	free(out->v);
	shape_scan_init(out);
}

void
shape_scan_text(struct shape_scan *out, const struct sip_key *key, struct slice text,
    const struct sql_env *env)
{
	struct scan s;

	out->n = 0;
	out->failed = false;
	s.out = out;
	lexer_init(&s.lx, text, env->encoding, env->standard_strings);
	s.statement = text.ptr;
	s.to_the_end = false;
	begin_text(&s);
	begin_key(&s, key, env);
	if (text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL) {
		err_set(&out->err, "22021", BLAST_STMT,
		    "invalid byte sequence for encoding \"%s\": 0x00",
		    sql_encoding_name(env->encoding));
		out->failed = true;
	} else {
		scan_tokens(&s);
	}
	if (out->failed) {
		out->n = 0;
		begin_key(&s, key, env);
		sip_byte(&s.sip, MARK_FAILED);
		sip_bytes(&s.sip, text.ptr, text.len);
	}
	sip_final(&s.sip, out->hash);
}
