/* sql_const_decode(): the value of a constant, from the way it is written. The piece
 * after the quotes of '…', E'…' and U&'…' may go on over lines; escapes become UTF-8.
 * Numbers stay as written, but for the zeros before an integer. */
#include <string.h>

#include "router/sql/lexer.h"
#include "router/sql/stmt.h"

/* Output is never longer than input: the shortest escape of a code point, \377 or \uXXXX,
 * takes more bytes than UTF-8. */
struct decode {
	const char *p, *end; /* input */
	char *out;
	size_t n;
	char escape; /* of U&'…' */
	struct err *err;
};

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Exactly n digits at p; false when there are fewer. */
static bool
hex_number(const struct decode *d, const char *p, int n, uint32_t *out)
{
	*out = 0;
	if (d->end - p < n)
		return false;
	for (int i = 0; i < n; i++) {
		int v = hex_digit(p[i]);

		if (v < 0)
			return false;
		*out = *out << 4 | (uint32_t)v;
	}
	return true;
}

static void
put_utf8(struct decode *d, uint32_t c)
{
	char *o = d->out + d->n;

	if (c < 0x80) {
		o[0] = (char)c;
		d->n += 1;
	} else if (c < 0x800) {
		o[0] = (char)(0xc0 | c >> 6);
		o[1] = (char)(0x80 | (c & 0x3f));
		d->n += 2;
	} else if (c < 0x10000) {
		o[0] = (char)(0xe0 | c >> 12);
		o[1] = (char)(0x80 | (c >> 6 & 0x3f));
		o[2] = (char)(0x80 | (c & 0x3f));
		d->n += 3;
	} else {
		o[0] = (char)(0xf0 | c >> 18);
		o[1] = (char)(0x80 | (c >> 12 & 0x3f));
		o[2] = (char)(0x80 | (c >> 6 & 0x3f));
		o[3] = (char)(0x80 | (c & 0x3f));
		d->n += 4;
	}
}

/* PostgreSQL's codes differ: its lexer reads E'…', its parser U&'…'. */
static enum rc
bad_escape(struct decode *d, bool estring)
{
	return err_set(
	    d->err, estring ? "22025" : "42601", BLAST_STMT, "invalid Unicode escape");
}

/* One escape of the form \XXXX; which digits follow depends on the kind of string. */
static bool
unicode_escape(struct decode *d, bool estring, uint32_t *out)
{
	const char *p = d->p;
	int digits = 4, skip = 0;

	if (estring) {
		if (d->end - p < 2 || (p[1] != 'u' && p[1] != 'U'))
			return false;
		digits = p[1] == 'u' ? 4 : 8;
		skip = 1;
	} else if (d->end - p > 1 && p[1] == '+') {
		digits = 6;
		skip = 1;
	}
	if (!hex_number(d, p + 1 + skip, digits, out))
		return false;
	d->p = p + 1 + skip + digits;
	return true;
}

static enum rc
put_unicode(struct decode *d, bool estring)
{
	static const char lone[] = "invalid Unicode surrogate pair";
	uint32_t c, low;

	if (!unicode_escape(d, estring, &c))
		return bad_escape(d, estring);
	if (c == 0 || c > 0x10ffff)
		return err_set(
		    d->err, "42601", BLAST_STMT, "invalid Unicode escape value");
	if (c >= 0xdc00 && c <= 0xdfff)
		return err_set(d->err, "42601", BLAST_STMT, "%s", lone);
	if (c >= 0xd800 && c <= 0xdbff) {
		if (d->p >= d->end || *d->p != d->escape ||
		    !unicode_escape(d, estring, &low) || low < 0xdc00 || low > 0xdfff)
			return err_set(d->err, "42601", BLAST_STMT, "%s", lone);
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	put_utf8(d, c);
	return RC_OK;
}

static enum rc
put_byte(struct decode *d, unsigned v)
{
	if ((v & 0xff) == 0)
		return err_set(d->err, "22021", BLAST_STMT,
		    "invalid byte sequence for encoding: 0x00");
	d->out[d->n++] = (char)v;
	return RC_OK;
}

static enum rc
octal_escape(struct decode *d)
{
	unsigned v = 0;

	d->p++;
	for (int i = 0; i < 3 && d->p < d->end && *d->p >= '0' && *d->p <= '7'; i++)
		v = v * 8 + (unsigned)(*d->p++ - '0');
	return put_byte(d, v);
}

/* \x is followed by one or two digits; without any it is an x. */
static enum rc
hex_escape(struct decode *d)
{
	unsigned v = 0;
	int i = 0;

	d->p += 2;
	for (; i < 2 && d->p < d->end && hex_digit(*d->p) >= 0; i++)
		v = v * 16 + (unsigned)hex_digit(*d->p++);
	return put_byte(d, i == 0 ? 'x' : v);
}

static enum rc
backslash(struct decode *d)
{
	static const char letters[] = "bfnrt", values[] = "\b\f\n\r\t";
	const char *known;
	char c;

	if (d->end - d->p < 2)
		return bad_escape(d, true);
	c = d->p[1];
	if (c == 'u' || c == 'U')
		return put_unicode(d, true);
	if (c >= '0' && c <= '7')
		return octal_escape(d);
	if (c == 'x')
		return hex_escape(d);
	known = c == '\0' ? NULL : strchr(letters, c);
	d->p += 2;
	d->out[d->n++] = known != NULL ? values[known - letters] : c;
	return RC_OK;
}

/* From behind an opening quote to behind the closing one. */
static enum rc
piece(struct decode *d, enum token_kind kind)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && d->p < d->end) {
		char c = *d->p;

		if (kind == TOK_ESTRING && c == '\\') {
			rc = backslash(d);
		} else if (c == '\'') {
			d->p++;
			if (d->p >= d->end || *d->p != '\'')
				return RC_OK;
			d->p++;
			d->out[d->n++] = '\'';
		} else if (kind == TOK_USTRING && c == d->escape) {
			if (d->end - d->p > 1 && d->p[1] == c) {
				d->p += 2;
				d->out[d->n++] = c;
			} else {
				rc = put_unicode(d, false);
			}
		} else {
			d->p++;
			d->out[d->n++] = c;
		}
	}
	if (rc != RC_OK)
		return rc;
	return err_set(d->err, "42601", BLAST_STMT, "unterminated quoted string");
}

static enum rc
pieces(struct decode *d, enum token_kind kind)
{
	enum rc rc;

	do {
		rc = piece(d, kind);
		if (rc != RC_OK)
			return rc;
		d->p = lexer_string_goes_on(d->p, d->end);
	} while (d->p != NULL);
	return RC_OK;
}

/* The only character of a string, or '+', which cannot be an escape character. */
static char
only_char(enum token_kind k, const struct token *t)
{
	size_t len = (size_t)(t->end - t->start), quote = 1;

	if (k == TOK_ESTRING && *t->start != '\'')
		quote = 2;
	else if (k == TOK_DOLLAR)
		quote = (size_t)((const char *)memchr(t->start + 1, '$', len - 1) + 1 -
		    t->start);
	else if (k != TOK_STRING)
		return '+';
	return len == (k == TOK_DOLLAR ? 2 * quote : quote + 1) + 1 ? t->start[quote]
								    : '+';
}

/* The character in UESCAPE '!' behind the string, if it is there. */
static enum rc
find_uescape(struct decode *d, const struct lexer *after)
{
	struct lexer lx = *after;
	struct token t;
	enum token_kind k;
	char c;

	d->escape = '\\';
	while ((k = lexer_next(&lx, &t)) == TOK_COMMENT)
		continue;
	if (k != TOK_IDENT || t.end - t.start != 7 ||
	    strncasecmp(t.start, "uescape", 7) != 0)
		return RC_OK;
	while ((k = lexer_next(&lx, &t)) == TOK_COMMENT)
		continue;
	c = only_char(k, &t);
	if (hex_digit(c) >= 0 || c == '+' || c == '\'' || c == '"' || c == ' ' ||
	    (c >= '\t' && c <= '\r'))
		return err_set(
		    d->err, "42601", BLAST_STMT, "invalid Unicode escape character");
	d->escape = c;
	return RC_OK;
}

static enum rc
dollar(struct decode *d, const struct token *t)
{
	const char *inner = memchr(t->start + 1, '$', (size_t)(t->end - t->start) - 1);
	size_t tag = (size_t)(inner + 1 - t->start);

	d->n = (size_t)(t->end - t->start) - 2 * tag;
	memcpy(d->out, inner + 1, d->n);
	return RC_OK;
}

/* B'…' and X'…' over their pieces; the value is binary digits. */
static enum rc
bits(struct decode *d, bool hex)
{
	do {
		for (; d->p < d->end && *d->p != '\''; d->p++) {
			int v = hex_digit(*d->p);

			if (v < 0 || (!hex && v > 1))
				return err_set(d->err, "22P02", BLAST_STMT,
				    "\"%c\" is not a valid %s digit", *d->p,
				    hex ? "hexadecimal" : "binary");
			for (int bit = hex ? 3 : 0; bit >= 0; bit--)
				d->out[d->n++] = (char)('0' + (v >> bit & 1));
		}
		d->p = d->p < d->end ? lexer_string_goes_on(d->p + 1, d->end) : NULL;
	} while (d->p != NULL);
	return RC_OK;
}

static enum rc
decode_token(struct decode *d, const struct token *t, const struct lexer *lx)
{
	d->escape = '\\';
	switch (t->kind) {
	case TOK_STRING:
		d->p = t->start + 1;
		return pieces(d, TOK_STRING);
	case TOK_ESTRING:
		d->p = t->start + (*t->start == '\'' ? 1 : 2);
		return pieces(d, TOK_ESTRING);
	case TOK_USTRING:
		d->p = t->start + 3;
		if (find_uescape(d, lx) != RC_OK)
			return RC_ERR;
		return pieces(d, TOK_USTRING);
	case TOK_DOLLAR:
		return dollar(d, t);
	case TOK_BITS:
	case TOK_HEX:
		d->p = t->start + 2;
		return bits(d, t->kind == TOK_HEX);
	case TOK_INT:
	case TOK_FLOAT:
	case TOK_IDENT: /* NULL, TRUE, FALSE */
		while (t->kind == TOK_INT && d->p < d->end - 1 && *d->p == '0')
			d->p++;
		d->n = (size_t)(d->end - d->p);
		memcpy(d->out, d->p, d->n);
		return RC_OK;
	default:
		return err_set(d->err, "42601", BLAST_STMT, "not a constant");
	}
}

enum rc
sql_const_decode(
    struct arena *a, const struct sql_const *c, struct slice *out, struct err *err)
{
	struct lexer lx;
	struct token t;
	struct decode d = {.err = err};

	/* ESTRING without its E was written while standard_conforming_strings was off */
	lexer_init(&lx, c->raw, ENC_UTF8, c->class != CONST_ESTRING);
	if (lexer_next(&lx, &t) == TOK_ERROR)
		return err_set(err, "42601", BLAST_STMT, "%s", lx.error);
	d.p = t.start;
	d.end = t.end;
	d.out =
	    arena_alloc(a, (size_t)(t.end - t.start) * (t.kind == TOK_HEX ? 4 : 1) + 1);
	if (decode_token(&d, &t, &lx) != RC_OK)
		return RC_ERR;
	*out = (struct slice){d.out, d.n};
	return RC_OK;
}
