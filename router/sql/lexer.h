/* router/sql/lexer.h: the tokens of an SQL text, cut where PostgreSQL 15 cuts them.
 * Thread:  any; pure. One pass, linear, no recursion, no allocation.
 * Memory:  a token is a range of the text; sql_const_decode() unescapes.
 * Depends: on standard_conforming_strings ('a\'b') and, in client-only encodings, on
 *          where characters begin.
 * Failure: TOK_ERROR with PostgreSQL's message; what is wrong inside an escape is not
 *          looked at. Any bytes may be fed. */
#ifndef WEIR_ROUTER_SQL_LEXER_H
#define WEIR_ROUTER_SQL_LEXER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "router/sql/encoding.h"

enum token_kind {
	TOK_END,
	TOK_ERROR,
	TOK_COMMENT, /* both kinds; the caller skips it */
	TOK_IDENT,   /* keyword or unquoted identifier; also the N of N'…' */
	TOK_QIDENT,  /* "…" */
	TOK_UIDENT,  /* U&"…", without UESCAPE */
	TOK_STRING,  /* '…' as it stands, with its continuations over lines */
	TOK_ESTRING, /* E'…', and '…' while standard_conforming_strings is off */
	TOK_USTRING, /* U&'…', without UESCAPE */
	TOK_DOLLAR,  /* $tag$…$tag$ */
	TOK_BITS,    /* B'…' */
	TOK_HEX,     /* X'…' */
	TOK_INT,     /* digits only, of any size */
	TOK_FLOAT,   /* with a point or an exponent */
	TOK_PARAM,   /* $1 */
	TOK_OP,      /* an operator of PostgreSQL's Op class */
	TOK_TYPECAST,
	TOK_DOT_DOT,
	TOK_COLON_EQUALS,
	TOK_EQUALS_GREATER,
	TOK_LESS_EQUALS,
	TOK_GREATER_EQUALS,
	TOK_NOT_EQUALS, /* <> and != */
	TOK_CHAR        /* any other single character: itself */
};

struct token {
	enum token_kind kind;
	const char *start, *end;
};

struct lexer {
	const char *text, *end;
	const char *p;
	const char *error;  /* after TOK_ERROR: PostgreSQL's words; "at or near" the
			       token's range follows them */
	uint8_t encoding;   /* enum sql_encoding */
	bool by_characters; /* the encoding is client-only */
	bool standard_strings;
};

void lexer_init(
    struct lexer *, struct slice text, enum sql_encoding, bool standard_strings);
/* After TOK_END or TOK_ERROR it must not be called again. */
enum token_kind lexer_next(struct lexer *, struct token *);

/* What the lexer and sql_const_decode() share. */
/* A string that ended before p goes on behind white space with a line end: the byte
 * behind its next quote, else NULL. */
const char *lexer_string_goes_on(const char *p, const char *end);
/* Is a comment a hint for Weir? Then *hint is the rest behind "weir:", trimmed, without
 * the comment's end. */
bool lexer_comment_hint(struct slice comment, struct slice *hint);

/* Unquoted identifiers fold as PostgreSQL folds ASCII. */
extern const unsigned char sql_fold[256];

#endif
