/* A lexer for as much of libconfig's grammar as tells numbers from words, strings and
 * comments. */
#include "router/route/map_ints.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "router/route/key_in.h"

#define TOKEN_MAX 80

struct scan {
	FILE *f;
	int line;
};

static int
next(struct scan *s)
{
	int ch = getc_unlocked(s->f);

	if (ch == '\n')
		s->line++;
	return ch;
}

static void
back(struct scan *s, int ch)
{
	if (ch == '\n')
		s->line--;
	if (ch != EOF)
		ungetc(ch, s->f);
}

static void
skip_string(struct scan *s)
{
	for (int ch = next(s); ch != '"' && ch != EOF; ch = next(s))
		if (ch == '\\')
			next(s);
}

static void
skip_line(struct scan *s)
{
	for (int ch = next(s); ch != '\n' && ch != EOF; ch = next(s))
		;
}

static void
skip_block(struct scan *s)
{
	int before = 0;

	for (int ch = next(s); ch != EOF && !(before == '*' && ch == '/'); ch = next(s))
		before = ch;
}

static bool
is_word(int ch)
{
	return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') ||
	    (ch >= 'A' && ch <= 'Z') || ch == '_' || ch == '*' || ch == '-' ||
	    ch == '+' || ch == '.';
}

static bool
fits(const char *token)
{
	char *end;
	long long v;
	bool hex = strncmp(token, "0x", 2) == 0 || strncmp(token, "0X", 2) == 0;

	errno = 0;
	if (hex) {
		unsigned long long u = strtoull(token, &end, 16);

		v = u > LLONG_MAX ? LLONG_MAX : (long long)u;
	} else {
		v = strtoll(token, &end, 10);
	}
	if (errno == ERANGE)
		return false;
	/* With L: 64 bits. Followed by anything else: a float, or a word. */
	return *end != '\0' || (v >= INT_MIN && v <= INT_MAX);
}

static void
check_number(struct map_builder *b, struct scan *s, const char *path, int ch)
{
	char token[TOKEN_MAX];
	size_t n = 0;
	struct map_loc loc = {path, s->line};

	for (; is_word(ch); ch = next(s))
		if (n + 1 < sizeof token)
			token[n++] = (char)ch;
	back(s, ch);
	token[n] = '\0';
	if (!fits(token))
		map_mistake(
		    b, loc, "the integer %.60s is too large; write it in quotes", token);
}

bool
map_ints_check(struct map_builder *b, const char *path)
{
	struct scan s = {fopen(path, "re"), 1};
	struct stat st;

	if (s.f == NULL)
		return false;
	if (fstat(fileno(s.f), &st) != 0 || !S_ISREG(st.st_mode)) {
		fclose(s.f);
		return false;
	}
	for (int ch = next(&s); ch != EOF; ch = next(&s)) {
		if (ch == '"') {
			skip_string(&s);
		} else if (ch == '#') {
			skip_line(&s);
		} else if (ch == '/') {
			ch = next(&s);
			if (ch == '/')
				skip_line(&s);
			else if (ch == '*')
				skip_block(&s);
			else
				back(&s, ch);
		} else if (is_digit((char)ch) || ch == '-' || ch == '+') {
			check_number(b, &s, path, ch);
		} else if (is_word(ch)) {
			while (is_word(ch))
				ch = next(&s);
			back(&s, ch);
		}
	}
	fclose(s.f);
	return true;
}
