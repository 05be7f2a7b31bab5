/* The rules are those of PostgreSQL 15's scan.l, written down by hand: where flex takes
 * the longest match, a function here decides by what follows. The class of each byte
 * comes from one table. */
#include "router/sql/lexer.h"

#include <string.h>

/* Kinds of bytes; several may hold. */
enum {
	C_SPACE = 1,
	C_ID_START = 2, /* letters, _, and every byte above 127 */
	C_ID_CONT = 4,  /* also digits and $ */
	C_DIGIT = 8,
	C_OP = 16,      /* may stand in an operator */
	C_OP_FREE = 32, /* an operator that holds one of these may end in + or - */
	C_SELF = 64,    /* is its own token when alone */
	C_PREFIX = 128  /* a letter that may start a literal: B, E, U, X */
};
#define C_LETTER (C_ID_START | C_ID_CONT)

static const uint8_t class_of[256] = {
    [' '] = C_SPACE,
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\r'] = C_SPACE,
    ['\f'] = C_SPACE,
    ['a'] = C_LETTER,
    ['b'] = C_LETTER | C_PREFIX,
    ['c' ... 'd'] = C_LETTER,
    ['e'] = C_LETTER | C_PREFIX,
    ['f' ... 't'] = C_LETTER,
    ['u'] = C_LETTER | C_PREFIX,
    ['v' ... 'w'] = C_LETTER,
    ['x'] = C_LETTER | C_PREFIX,
    ['y' ... 'z'] = C_LETTER,
    ['A'] = C_LETTER,
    ['B'] = C_LETTER | C_PREFIX,
    ['C' ... 'D'] = C_LETTER,
    ['E'] = C_LETTER | C_PREFIX,
    ['F' ... 'T'] = C_LETTER,
    ['U'] = C_LETTER | C_PREFIX,
    ['V' ... 'W'] = C_LETTER,
    ['X'] = C_LETTER | C_PREFIX,
    ['Y' ... 'Z'] = C_LETTER,
    ['_'] = C_LETTER,
    [128 ... 255] = C_LETTER,
    ['0' ... '9'] = C_ID_CONT | C_DIGIT,
    ['$'] = C_ID_CONT,
    ['~'] = C_OP | C_OP_FREE,
    ['!'] = C_OP | C_OP_FREE,
    ['@'] = C_OP | C_OP_FREE,
    ['#'] = C_OP | C_OP_FREE,
    ['&'] = C_OP | C_OP_FREE,
    ['|'] = C_OP | C_OP_FREE,
    ['`'] = C_OP | C_OP_FREE,
    ['?'] = C_OP | C_OP_FREE,
    ['^'] = C_OP | C_OP_FREE | C_SELF,
    ['%'] = C_OP | C_OP_FREE | C_SELF,
    ['+'] = C_OP | C_SELF,
    ['-'] = C_OP | C_SELF,
    ['*'] = C_OP | C_SELF,
    ['/'] = C_OP | C_SELF,
    ['<'] = C_OP | C_SELF,
    ['>'] = C_OP | C_SELF,
    ['='] = C_OP | C_SELF,
};

#define SAME16(c)                                                                 \
	c, c + 1, c + 2, c + 3, c + 4, c + 5, c + 6, c + 7, c + 8, c + 9, c + 10, \
	    c + 11, c + 12, c + 13, c + 14, c + 15
const unsigned char sql_fold[256] = {SAME16(0x00), SAME16(0x10), SAME16(0x20),
    SAME16(0x30), '@', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm',
    'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '[', '\\', ']', '^',
    '_', SAME16(0x60), SAME16(0x70), SAME16(0x80), SAME16(0x90), SAME16(0xa0),
    SAME16(0xb0), SAME16(0xc0), SAME16(0xd0), SAME16(0xe0), SAME16(0xf0)};

/* Out of line, lest every token pay for the registers that the rare ones need. */
#define OUT_OF_LINE static __attribute__((noinline)) enum token_kind

static inline uint8_t
class_at(char c)
{
	return class_of[(unsigned char)c];
}

/* The byte at p, or 0 beyond the end: no rule begins or goes on with a zero byte. */
static inline char
at(const struct lexer *lx, const char *p)
{
	return p < lx->end ? *p : '\0';
}

void
lexer_init(struct lexer *lx, struct slice text, enum sql_encoding encoding,
    bool standard_strings)
{
	lx->text = text.ptr;
	lx->end = text.ptr + text.len;
	lx->p = text.ptr;
	lx->error = NULL;
	lx->encoding = (uint8_t)encoding;
	lx->by_characters = sql_encoding_client_only(encoding);
	lx->standard_strings = standard_strings;
}

static enum token_kind
token(struct lexer *lx, struct token *t, enum token_kind kind, const char *end)
{
	t->kind = kind;
	t->end = end;
	lx->p = end;
	return kind;
}

static enum token_kind
error(struct lexer *lx, struct token *t, const char *message, const char *end)
{
	lx->error = message;
	return token(lx, t, TOK_ERROR, end);
}

/* ---- comments ---- */

OUT_OF_LINE
line_comment(struct lexer *lx, struct token *t)
{
	const char *p = t->start + 2;

	while (p < lx->end && *p != '\n' && *p != '\r')
		p++;
	return token(lx, t, TOK_COMMENT, p);
}

OUT_OF_LINE
block_comment(struct lexer *lx, struct token *t)
{
	const char *p = t->start + 2;
	size_t depth = 1;

	while (depth > 0) {
		if (lx->end - p < 2)
			return error(lx, t, "unterminated /* comment", lx->end);
		if (p[0] == '*' && p[1] == '/') {
			depth--;
			p += 2;
		} else if (p[0] == '/' && p[1] == '*') {
			depth++;
			p += 2;
		} else {
			p++;
		}
	}
	return token(lx, t, TOK_COMMENT, p);
}

/* Blank as C has it: whoever reads hints otherwise must not see more of them than the key
 * does. */
static bool
blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct slice
trim(struct slice s)
{
	while (s.len > 0 && blank(s.ptr[0]))
		s.ptr++, s.len--;
	while (s.len > 0 && blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool
lexer_comment_hint(struct slice comment, struct slice *hint)
{
	static const char word[5] = "weir:";
	struct slice s = {comment.ptr + 2, comment.len - 2};

	if (comment.ptr[0] == '/')
		s.len -= 2;
	s = trim(s);
	if (s.len < sizeof word)
		return false;
	for (size_t i = 0; i < sizeof word; i++)
		if (sql_fold[(unsigned char)s.ptr[i]] != (unsigned char)word[i])
			return false;
	*hint = trim((struct slice){s.ptr + sizeof word, s.len - sizeof word});
	return true;
}

/* ---- strings ---- */

const char *
lexer_string_goes_on(const char *p, const char *end)
{
	bool line_end = false;

	for (;;) {
		while (p < end && (class_at(*p) & C_SPACE)) {
			line_end |= *p == '\n' || *p == '\r';
			p++;
		}
		if (end - p < 2 || p[0] != '-' || p[1] != '-')
			break;
		while (p < end && *p != '\n' && *p != '\r')
			p++;
	}
	return line_end && p < end && *p == '\'' ? p + 1 : NULL;
}

/* Behind the closing quote of the piece that begins at p, or NULL. Doubled quotes are
 * part of it if `doubled`. */
static const char *
plain_piece(const struct lexer *lx, const char *p, bool doubled)
{
	for (;;) {
		p = p < lx->end ? memchr(p, '\'', (size_t)(lx->end - p)) : NULL;
		if (p == NULL)
			return NULL;
		p++;
		if (!doubled || at(lx, p) != '\'')
			return p;
		p++;
	}
}

static inline const char *
step(const struct lexer *lx, const char *p)
{
	if (!lx->by_characters || (unsigned char)*p < 0x80)
		return p + 1;
	return p + sql_char_len(lx->encoding, p, lx->end);
}

static const char *
escape_piece(const struct lexer *lx, const char *p)
{
	while (p < lx->end) {
		if (*p == '\\') {
			p++;
			if (p < lx->end)
				p = step(lx, p);
		} else if (*p == '\'') {
			p++;
			if (at(lx, p) != '\'')
				return p;
			p++;
		} else {
			p = step(lx, p);
		}
	}
	return NULL;
}

/* From the byte behind the opening quote; continuation pieces are in the mode of the
 * first. */
static enum token_kind
string(struct lexer *lx, struct token *t, enum token_kind kind, const char *p)
{
	const char *end, *message = "unterminated quoted string";
	bool doubled = true;

	if (kind == TOK_BITS || kind == TOK_HEX) {
		doubled = false;
		message = kind == TOK_BITS ? "unterminated bit string literal"
					   : "unterminated hexadecimal string literal";
	}
	do {
		end = kind == TOK_ESTRING ? escape_piece(lx, p)
					  : plain_piece(lx, p, doubled);
		if (end == NULL)
			return error(lx, t, message, lx->end);
		p = lexer_string_goes_on(end, lx->end);
	} while (p != NULL);
	return token(lx, t, kind, end);
}

static enum token_kind
quoted_ident(struct lexer *lx, struct token *t, enum token_kind kind, const char *p)
{
	const char *inner = p;

	for (;;) {
		p = p < lx->end ? memchr(p, '"', (size_t)(lx->end - p)) : NULL;
		if (p == NULL)
			return error(lx, t, "unterminated quoted identifier", lx->end);
		p++;
		if (at(lx, p) != '"')
			break;
		p++;
	}
	if (p == inner + 1)
		return error(lx, t, "zero-length delimited identifier", p);
	return token(lx, t, kind, p);
}

/* $tag$ begins at the token's start, its second $ is at p - 1. */
static enum token_kind
dollar_string(struct lexer *lx, struct token *t, const char *p)
{
	size_t len = (size_t)(p - t->start);

	for (;; p++) {
		p = p < lx->end ? memchr(p, '$', (size_t)(lx->end - p)) : NULL;
		if (p == NULL)
			return error(lx, t, "unterminated dollar-quoted string", lx->end);
		if ((size_t)(lx->end - p) >= len && memcmp(p, t->start, len) == 0)
			return token(lx, t, TOK_DOLLAR, p + len);
	}
}

/* ---- identifiers, parameters, numbers ---- */

static enum token_kind
ident(struct lexer *lx, struct token *t)
{
	const char *p = t->start + 1;

	if (lx->by_characters) {
		p = t->start;
		while (p < lx->end && (class_at(*p) & C_ID_CONT))
			p = step(lx, p);
	} else {
		while (p < lx->end && (class_at(*p) & C_ID_CONT))
			p++;
	}
	return token(lx, t, TOK_IDENT, p);
}

/* A letter that makes a literal when a quote follows at once. */
OUT_OF_LINE
prefixed(struct lexer *lx, struct token *t)
{
	const char *p = t->start + 1;
	char next = at(lx, p);

	if (next == '\'') {
		switch (*t->start | 0x20) {
		case 'b':
			return string(lx, t, TOK_BITS, p + 1);
		case 'x':
			return string(lx, t, TOK_HEX, p + 1);
		case 'e':
			return string(lx, t, TOK_ESTRING, p + 1);
		}
	} else if (next == '&' && (*t->start | 0x20) == 'u') {
		if (at(lx, p + 1) == '\'')
			return string(lx, t, TOK_USTRING, p + 2);
		if (at(lx, p + 1) == '"')
			return quoted_ident(lx, t, TOK_UIDENT, p + 2);
	}
	return ident(lx, t);
}

static const char *
digits(const struct lexer *lx, const char *p)
{
	while (p < lx->end && (class_at(*p) & C_DIGIT))
		p++;
	return p;
}

static enum token_kind
dollar(struct lexer *lx, struct token *t)
{
	const char *p = t->start + 1;

	if (class_at(at(lx, p)) & C_DIGIT) {
		p = digits(lx, p);
		if (class_at(at(lx, p)) & C_ID_START)
			return error(lx, t, "trailing junk after parameter", p + 1);
		return token(lx, t, TOK_PARAM, p);
	}
	if (class_at(at(lx, p)) & C_ID_START)
		while (p < lx->end && *p != '$' && (class_at(*p) & C_ID_CONT))
			p = step(lx, p);
	if (at(lx, p) == '$')
		return dollar_string(lx, t, p + 1);
	return token(lx, t, TOK_CHAR, t->start + 1);
}

OUT_OF_LINE
number(struct lexer *lx, struct token *t)
{
	static const char junk[] = "trailing junk after numeric literal";
	enum token_kind kind = TOK_INT;
	const char *p = digits(lx, t->start), *exponent;

	if (at(lx, p) == '.') {
		if (p > t->start && at(lx, p + 1) == '.')
			return token(lx, t, TOK_INT, p); /* 1..2 */
		p = digits(lx, p + 1);
		kind = TOK_FLOAT;
	}
	if ((at(lx, p) | 0x20) == 'e') {
		exponent = p + 1;
		if (at(lx, exponent) == '+' || at(lx, exponent) == '-')
			exponent++;
		if (!(class_at(at(lx, exponent)) & C_DIGIT))
			return error(lx, t, junk, exponent);
		p = digits(lx, exponent);
		kind = TOK_FLOAT;
	}
	if (class_at(at(lx, p)) & C_ID_START)
		return error(lx, t, junk, p + 1);
	return token(lx, t, kind, p);
}

/* ---- operators ---- */

static enum token_kind
two_chars(const char *p)
{
	if (p[0] == '<')
		return p[1] == '=' ? TOK_LESS_EQUALS
		    : p[1] == '>'  ? TOK_NOT_EQUALS
				   : TOK_OP;
	if (p[0] == '=')
		return p[1] == '>' ? TOK_EQUALS_GREATER : TOK_OP;
	if (p[1] != '=')
		return TOK_OP;
	return p[0] == '>' ? TOK_GREATER_EQUALS : p[0] == '!' ? TOK_NOT_EQUALS : TOK_OP;
}

/* A comment's start ends an operator. And SQL wants `a=-1` to be two: + and - at its end
 * are cut off unless the rest holds a character that no standard operator has. */
OUT_OF_LINE
operator_token(struct lexer *lx, struct token *t)
{
	const char *s = t->start, *p = s + 1;
	uint8_t seen = class_at(*s);

	if (!(class_at(at(lx, p)) & C_OP))
		return token(lx, t, seen & C_SELF ? TOK_CHAR : TOK_OP, p);
	while (p < lx->end && (class_at(*p) & C_OP)) {
		if ((*p == '-' && at(lx, p + 1) == '-') ||
		    (*p == '/' && at(lx, p + 1) == '*'))
			break;
		seen |= class_at(*p++);
	}
	if (!(seen & C_OP_FREE))
		while (p > s + 1 && (p[-1] == '+' || p[-1] == '-'))
			p--;
	if (p == s + 1)
		return token(lx, t, class_at(*s) & C_SELF ? TOK_CHAR : TOK_OP, p);
	if (p == s + 2)
		return token(lx, t, two_chars(s), p);
	if (p - s >= 64)
		return error(lx, t, "operator too long", p);
	return token(lx, t, TOK_OP, p);
}

OUT_OF_LINE
punctuation(struct lexer *lx, struct token *t)
{
	const char *p = t->start + 1;
	char next = at(lx, p);

	switch (*t->start) {
	case '\'':
		return string(lx, t, lx->standard_strings ? TOK_STRING : TOK_ESTRING, p);
	case '"':
		return quoted_ident(lx, t, TOK_QIDENT, p);
	case '$':
		return dollar(lx, t);
	case '.':
		if (next == '.')
			return token(lx, t, TOK_DOT_DOT, p + 1);
		if (class_at(next) & C_DIGIT)
			return number(lx, t);
		break;
	case ':':
		if (next == ':')
			return token(lx, t, TOK_TYPECAST, p + 1);
		if (next == '=')
			return token(lx, t, TOK_COLON_EQUALS, p + 1);
		break;
	}
	return token(lx, t, TOK_CHAR, p);
}

enum token_kind
lexer_next(struct lexer *lx, struct token *t)
{
	const char *p = lx->p;
	uint8_t c;

	while (p < lx->end && (class_at(*p) & C_SPACE))
		p++;
	t->start = p;
	if (p == lx->end)
		return token(lx, t, TOK_END, p);
	c = class_at(*p);
	if (c & C_ID_START)
		return c & C_PREFIX ? prefixed(lx, t) : ident(lx, t);
	if (c & C_DIGIT)
		return number(lx, t);
	if (c & C_OP) {
		if (*p == '-' && at(lx, p + 1) == '-')
			return line_comment(lx, t);
		if (*p == '/' && at(lx, p + 1) == '*')
			return block_comment(lx, t);
		return operator_token(lx, t);
	}
	return punctuation(lx, t);
}
