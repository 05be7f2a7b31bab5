/* A small scanner over SQL text for what the parse tree does not tell: where comments
 * with hints stand, how deeply a text nests, and where the inner statement of PREPARE,
 * DECLARE and EXPLAIN begins. Takes strings as standard_conforming_strings has them. */
#include <ctype.h>
#include <strings.h>

#include "router/sql/analyze_int.h"

static bool
word_start(unsigned char c)
{
	return isalpha(c) || c == '_' || c >= 0x80;
}

static bool
word_char(unsigned char c)
{
	return word_start(c) || isdigit(c) || c == '$';
}

static bool
op_char(char c)
{
	return c != '\0' && strchr("+-*/<>=~!@#%^&|`?:", c) != NULL;
}

/* p is behind the opening quote; returns behind the closing one. */
static const char *
skip_quoted(const char *p, const char *end, char quote, bool backslash)
{
	while (p < end) {
		if (backslash && *p == '\\' && p + 1 < end) {
			p += 2;
		} else if (*p != quote) {
			p++;
		} else if (p + 1 < end && p[1] == quote) {
			p += 2;
		} else {
			return p + 1;
		}
	}
	return end;
}

static const char *
skip_block_comment(const char *p, const char *end)
{
	int depth = 0;

	while (p < end) {
		if (p + 1 < end && p[0] == '/' && p[1] == '*') {
			depth++;
			p += 2;
		} else if (p + 1 < end && p[0] == '*' && p[1] == '/') {
			p += 2;
			if (--depth == 0)
				return p;
		} else {
			p++;
		}
	}
	return end;
}

/* A dollar-quoted string that begins at p; NULL: it is none. */
static const char *
skip_dollar(const char *p, const char *end)
{
	const char *tag = p + 1;
	size_t len;

	if (tag < end && isdigit((unsigned char)*tag))
		return NULL;
	while (tag < end && *tag != '$' && word_char((unsigned char)*tag))
		tag++;
	if (tag >= end || *tag != '$')
		return NULL;
	len = (size_t)(tag + 1 - p);
	p = memmem(tag + 1, (size_t)(end - tag - 1), p, len);
	return p == NULL ? end : p + len;
}

static enum token
scan_word_token(struct scan *s)
{
	const char *p = s->token;

	while (s->p < s->end && word_char((unsigned char)*s->p))
		s->p++;
	if (s->p < s->end && *s->p == '\'' && s->p - p == 1 &&
	    strchr("eEbBxXnN", *p) != NULL) {
		s->p = skip_quoted(s->p + 1, s->end, '\'', *p == 'e' || *p == 'E');
		return TOKEN_STRING;
	}
	if (s->end - s->p >= 2 && s->p - p == 1 && (*p == 'u' || *p == 'U') &&
	    *s->p == '&' && (s->p[1] == '\'' || s->p[1] == '"')) {
		char quote = s->p[1];

		s->p = skip_quoted(s->p + 2, s->end, quote, false);
		return quote == '"' ? TOKEN_NAME : TOKEN_STRING;
	}
	return TOKEN_WORD;
}

static enum token
scan_number(struct scan *s)
{
	while (s->p < s->end) {
		char c = *s->p;

		if (isalnum((unsigned char)c) || c == '.' || c == '_')
			s->p++;
		else if ((c == '+' || c == '-') && (s->p[-1] == 'e' || s->p[-1] == 'E'))
			s->p++;
		else
			break;
	}
	return TOKEN_NUMBER;
}

static bool
comment_at(const char *p, const char *end)
{
	return end - p >= 2 &&
	    ((p[0] == '-' && p[1] == '-') || (p[0] == '/' && p[1] == '*'));
}

static enum token
scan_op(struct scan *s)
{
	while (s->p < s->end && op_char(*s->p) && !comment_at(s->p, s->end))
		s->p++;
	return TOKEN_OP;
}

static enum token
scan_token(struct scan *s)
{
	unsigned char c = (unsigned char)*s->p;
	const char *q;

	if (comment_at(s->p, s->end)) {
		if (c == '/')
			s->p = skip_block_comment(s->p, s->end);
		else
			while (s->p < s->end && *s->p != '\n' && *s->p != '\r')
				s->p++;
		return TOKEN_COMMENT;
	}
	if (word_start(c))
		return scan_word_token(s);
	if (isdigit(c) ||
	    (c == '.' && s->p + 1 < s->end && isdigit((unsigned char)s->p[1]))) {
		s->p++;
		return scan_number(s);
	}
	if (c == '\'' || c == '"') {
		s->p = skip_quoted(s->p + 1, s->end, (char)c, false);
		return c == '"' ? TOKEN_NAME : TOKEN_STRING;
	}
	if (c == '$' && (q = skip_dollar(s->p, s->end)) != NULL) {
		s->p = q;
		return TOKEN_STRING;
	}
	if (c == '$') {
		s->p++;
		while (s->p < s->end && isdigit((unsigned char)*s->p))
			s->p++;
		return TOKEN_PARAM;
	}
	if (op_char((char)c))
		return scan_op(s);
	s->p++;
	return TOKEN_PUNCT;
}

enum token
scan_next_comment(struct scan *s)
{
	enum token t;

	while (s->p < s->end && (isspace((unsigned char)*s->p) || *s->p == '\0'))
		s->p++;
	s->token = s->p;
	s->len = 0;
	if (s->p >= s->end)
		return TOKEN_END;
	t = scan_token(s);
	s->len = (size_t)(s->p - s->token);
	return t;
}

enum token
scan_next(struct scan *s)
{
	enum token t;

	do
		t = scan_next_comment(s);
	while (t == TOKEN_COMMENT);
	return t;
}

bool
scan_word(const struct scan *s, const char *lower)
{
	return s->len == strlen(lower) && strncasecmp(s->token, lower, s->len) == 0;
}

/* What makes the tree deeper without a parenthesis: chains of operators (`a || b || c`),
 * of set operations and of joins. AND and OR, commas and clauses begin a new chain. A
 * level is what stands between two parentheses, or CASE and END. */
struct nesting {
	char opener;
	int chain, longest, sums;
	int inside; /* deepest of the levels in it that have ended */
};

struct nest {
	struct nesting v[ANALYZE_DEPTH_MAX + 1];
	int level, deepest;
};

static bool
word_among(const struct scan *s, const char *const *words)
{
	for (; *words != NULL; words++)
		if (scan_word(s, *words))
			return true;
	return false;
}

static int
nesting_depth(const struct nesting *n)
{
	return 1 + n->longest + n->sums + n->inside;
}

static bool
nest_open(struct nest *n, char opener)
{
	if (n->level == ANALYZE_DEPTH_MAX)
		return false;
	n->v[++n->level] = (struct nesting){.opener = opener};
	return true;
}

static void
nest_close_one(struct nest *n)
{
	int depth = nesting_depth(&n->v[n->level]);

	n->level--;
	if (depth > n->v[n->level].inside)
		n->v[n->level].inside = depth;
}

/* A closing parenthesis also ends what looked like a CASE in it (`AS case`). */
static void
nest_close(struct nest *n, char opener)
{
	if (opener == 'c' && n->v[n->level].opener != 'c')
		return;
	while (opener != 'c' && n->level > 0 && n->v[n->level].opener == 'c')
		nest_close_one(n);
	if (n->level > 0)
		nest_close_one(n);
}

static bool
nest_word(struct nest *n, const struct scan *s)
{
	static const char *const breaks[] = {"and", "or", "where", "having", "from", "on",
	    "select", "values", "set", "when", "then", "else", NULL};
	static const char *const sums[] = {"join", "union", "intersect", "except", NULL};
	static const char *const chains[] = {"not", "collate", "is", "at", "like",
	    "ilike", "similar", "between", "in", "isnull", "notnull", "overlaps",
	    "escape", NULL};

	if (scan_word(s, "case"))
		return nest_open(n, 'c');
	if (scan_word(s, "end"))
		nest_close(n, 'c');
	else if (word_among(s, breaks))
		n->v[n->level].chain = 0;
	else if (word_among(s, sums))
		n->v[n->level].sums++;
	else if (word_among(s, chains))
		n->v[n->level].chain++;
	return true;
}

/* One statement has ended: the next is a tree of its own. */
static void
nest_statement(struct nest *n)
{
	while (n->level > 0)
		nest_close_one(n);
	if (nesting_depth(&n->v[0]) > n->deepest)
		n->deepest = nesting_depth(&n->v[0]);
	n->v[0] = (struct nesting){0};
}

static bool
nest_punct(struct nest *n, char c)
{
	if (c == '(' || c == '[')
		return nest_open(n, '(');
	if (c == ')' || c == ']')
		nest_close(n, '(');
	else if (c == ',')
		n->v[n->level].chain = 0;
	else if (c == ';')
		nest_statement(n);
	return true;
}

/* `=-` may be two operators. */
static int
op_depth(const struct scan *s)
{
	int n = 1;

	for (size_t i = 1; i < s->len && n <= ANALYZE_DEPTH_MAX; i++)
		n += s->token[i] == '-' || s->token[i] == '+';
	return n;
}

int
scan_depth(struct slice text)
{
	struct scan s = {text.ptr, text.ptr + text.len, NULL, 0};
	struct nest n = {.level = 0};
	enum token t;

	while ((t = scan_next(&s)) != TOKEN_END) {
		struct nesting *v = &n.v[n.level];

		if (t == TOKEN_WORD && !nest_word(&n, &s))
			return ANALYZE_DEPTH_MAX + 1;
		if (t == TOKEN_PUNCT && !nest_punct(&n, *s.token))
			return ANALYZE_DEPTH_MAX + 1;
		if (t == TOKEN_OP)
			v->chain += op_depth(&s);
		v = &n.v[n.level];
		if (v->chain > v->longest)
			v->longest = v->chain;
	}
	nest_statement(&n);
	return n.deepest;
}

/* ---- hints ---- */

/* "weir: primary", "weir: replica", "weir: shard=NAME"; several are parted by commas or
 * blanks. */
static void
hint_words(struct sql_stmts *out, const char *p, const char *end)
{
	while (p < end) {
		const char *word;
		size_t n;

		while (p < end && (isspace((unsigned char)*p) || *p == ','))
			p++;
		word = p;
		while (p < end && !isspace((unsigned char)*p) && *p != ',')
			p++;
		n = (size_t)(p - word);
		if (n == 7 && strncasecmp(word, "primary", 7) == 0)
			out->weir_primary = true;
		else if (n == 7 && strncasecmp(word, "replica", 7) == 0)
			out->weir_replica = true;
		else if (n > 6 && strncasecmp(word, "shard=", 6) == 0)
			out->weir_shard = arena_strndup(&out->arena, word + 6, n - 6);
	}
}

void
scan_hints(struct slice text, struct sql_stmts *out)
{
	struct scan s = {text.ptr, text.ptr + text.len, NULL, 0};
	enum token t;

	if (memmem(text.ptr, text.len, "eir:", 4) == NULL &&
	    memmem(text.ptr, text.len, "EIR:", 4) == NULL)
		return;
	while ((t = scan_next_comment(&s)) != TOKEN_END) {
		const char *p = s.token + 2, *end = s.token + s.len;

		if (t != TOKEN_COMMENT)
			continue;
		if (*s.token == '/' && s.len >= 4)
			end -= 2;
		while (p < end && isspace((unsigned char)*p))
			p++;
		if (end - p >= 5 && strncasecmp(p, "weir:", 5) == 0)
			hint_words(out, p + 5, end);
	}
}

/* ---- inner statements ---- */

struct slice
scan_trim(struct slice t)
{
	while (t.len > 0 && (isspace((unsigned char)t.ptr[0]) || t.ptr[0] == '\0'))
		t.ptr++, t.len--;
	while (t.len > 0 &&
	    (isspace((unsigned char)t.ptr[t.len - 1]) || t.ptr[t.len - 1] == ';' ||
		t.ptr[t.len - 1] == '\0'))
		t.len--;
	return t;
}

struct slice
scan_behind(struct slice text, const char *keyword)
{
	struct scan s = {text.ptr, text.ptr + text.len, NULL, 0};
	int level = 0;
	enum token t;

	while ((t = scan_next(&s)) != TOKEN_END) {
		if (t == TOKEN_PUNCT && *s.token == '(')
			level++;
		else if (t == TOKEN_PUNCT && *s.token == ')')
			level--;
		else if (t == TOKEN_WORD && level == 0 && scan_word(&s, keyword))
			return scan_trim((struct slice){s.p, (size_t)(s.end - s.p)});
	}
	return (struct slice){s.end, 0};
}

static bool
begins_query(const struct scan *s, enum token t)
{
	return (t == TOKEN_PUNCT && *s->token == '(') || scan_word(s, "select") ||
	    scan_word(s, "with") || scan_word(s, "values") || scan_word(s, "table");
}

struct slice
scan_behind_explain(struct slice text)
{
	struct scan s = {text.ptr, text.ptr + text.len, NULL, 0}, ahead;
	int level = 0;
	enum token t;

	t = scan_next(&s); /* EXPLAIN */
	t = scan_next(&s);
	if (t == TOKEN_PUNCT && *s.token == '(') {
		ahead = s;
		if (!begins_query(&ahead, scan_next(&ahead))) {
			for (level = 1; level > 0 && t != TOKEN_END;) {
				t = scan_next(&s);
				if (t == TOKEN_PUNCT)
					level += *s.token == '(' ? 1
					    : *s.token == ')'    ? -1
								 : 0;
			}
			scan_next(&s);
		}
	} else {
		while (scan_word(&s, "analyze") || scan_word(&s, "analyse") ||
		    scan_word(&s, "verbose"))
			scan_next(&s);
	}
	return scan_trim((struct slice){s.token, (size_t)(s.end - s.token)});
}
