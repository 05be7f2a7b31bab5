/* router/sql/shape_words.h: the words that decide what shape_scan.c pins; all other names
 * are W_OTHER. */
#ifndef WEIR_ROUTER_SQL_SHAPE_WORDS_H
#define WEIR_ROUTER_SQL_SHAPE_WORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* clang-format off */
enum word {
	W_OTHER,
	/* may begin a statement that is not keyed by its bytes */
	W_SELECT, W_INSERT, W_UPDATE, W_DELETE, W_MERGE, W_WITH, W_VALUES, W_TABLE,
	/* begin a clause or change the next; clause_word() minds all up to W_DISTINCT */
	W_FROM, W_WHERE, W_GROUP, W_ORDER, W_HAVING, W_WINDOW, W_LIMIT, W_OFFSET,
	W_FETCH, W_SET, W_RETURNING, W_UNION, W_INTERSECT, W_EXCEPT, W_INTO,
	W_DISTINCT,
	W_AS, W_CREATE, W_JOIN, W_LATERAL, W_OVER,
	/* an expression may follow */
	W_AND, W_OR, W_NOT, W_LIKE, W_ILIKE, W_IN, W_BETWEEN, W_CASE, W_WHEN, W_THEN,
	W_ELSE, W_ON, W_BY, W_TO
};
/* clang-format on */

#define IS(text, w)                                                          \
	if (len == sizeof text - 1 && memcmp(s, text, sizeof text - 1) == 0) \
	return w

/* s is in small letters, with at least len bytes; len > 0. */
static inline enum word
word_of(const uint8_t *s, size_t len)
{
	switch (s[0]) {
	case 'a':
		IS("and", W_AND);
		IS("as", W_AS);
		break;
	case 'b':
		IS("by", W_BY);
		IS("between", W_BETWEEN);
		break;
	case 'c':
		IS("case", W_CASE);
		IS("create", W_CREATE);
		break;
	case 'd':
		IS("delete", W_DELETE);
		IS("distinct", W_DISTINCT);
		break;
	case 'e':
		IS("else", W_ELSE);
		IS("except", W_EXCEPT);
		break;
	case 'f':
		IS("from", W_FROM);
		IS("fetch", W_FETCH);
		break;
	case 'g':
		IS("group", W_GROUP);
		break;
	case 'h':
		IS("having", W_HAVING);
		break;
	case 'i':
		IS("in", W_IN);
		IS("insert", W_INSERT);
		IS("into", W_INTO);
		IS("intersect", W_INTERSECT);
		IS("ilike", W_ILIKE);
		break;
	case 'j':
		IS("join", W_JOIN);
		break;
	case 'l':
		IS("limit", W_LIMIT);
		IS("like", W_LIKE);
		IS("lateral", W_LATERAL);
		break;
	case 'm':
		IS("merge", W_MERGE);
		break;
	case 'n':
		IS("not", W_NOT);
		break;
	case 'o':
		IS("or", W_OR);
		IS("on", W_ON);
		IS("order", W_ORDER);
		IS("offset", W_OFFSET);
		IS("over", W_OVER);
		break;
	case 'r':
		IS("returning", W_RETURNING);
		break;
	case 's':
		IS("select", W_SELECT);
		IS("set", W_SET);
		break;
	case 't':
		IS("then", W_THEN);
		IS("to", W_TO);
		IS("table", W_TABLE);
		break;
	case 'u':
		IS("update", W_UPDATE);
		IS("union", W_UNION);
		break;
	case 'v':
		IS("values", W_VALUES);
		break;
	case 'w':
		IS("where", W_WHERE);
		IS("with", W_WITH);
		IS("when", W_WHEN);
		IS("window", W_WINDOW);
		break;
	}
	return W_OTHER;
}

#undef IS

#endif
