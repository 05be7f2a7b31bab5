/* router/config/scan.c: a look at the text before libconfig reads it, for what
 * libconfig 1.5 gets wrong without a word: integers that do not fit are wrapped, and
 * including a folder or an unreadable file ends the process or the parsing with no reason
 * given. */
#include "router/config/load.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INCLUDE_DEPTH_MAX 10 /* libconfig's own limit */
#define FILE_BYTES_MAX    (256u << 20)

struct scan {
	struct config_report *report;
	const char
	    *folder; /* of the main file, ends with a slash; "" is the current one */
	const char *file;
	const char *p, *end;
	int line;
	int depth;
};

static void scan_one(struct config_report *, const char *folder, const char *file,
    const char *from_file, int from_line, int depth);

/* NULL, with *why. */
static char *
read_whole(const char *file, size_t *len, const char **why)
{
	struct stat st;
	char *text = NULL;
	FILE *f;

	/* looked at before it is opened, as opening a FIFO waits */
	if (stat(file, &st) != 0) {
		*why = strerror(errno);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
		*why = S_ISREG(st.st_mode) ? "it is too large" : "it is not a plain file";
		return NULL;
	}
	f = fopen(file, "re");
	if (f == NULL) {
		*why = strerror(errno);
		return NULL;
	}
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		abort();
	*len = fread(text, 1, (size_t)st.st_size, f);
	fclose(f);
	return text;
}

static void
skip_string(struct scan *s)
{
	for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
		if (*s->p == '\\' && s->p + 1 < s->end)
			s->p++;
		s->line += *s->p == '\n';
	}
	if (s->p < s->end)
		s->p++;
}

static void
skip_line(struct scan *s)
{
	while (s->p < s->end && *s->p != '\n')
		s->p++;
}

static void
skip_comment(struct scan *s)
{
	for (s->p += 2; s->p < s->end; s->p++) {
		s->line += *s->p == '\n';
		if (s->p[0] == '*' && s->p + 1 < s->end && s->p[1] == '/') {
			s->p += 2;
			return;
		}
	}
}

static bool
is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*';
}

/* Hexadecimal ones may use all bits. */
static bool
fits(const char *digits, size_t len, bool negative, bool wide)
{
	bool hex = len > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
	uint64_t n = 0, most = wide ? INT64_MAX : INT32_MAX;

	if (hex)
		most = wide ? UINT64_MAX : UINT32_MAX;
	for (size_t i = hex ? 2 : 0; i < len; i++) {
		int c = tolower((unsigned char)digits[i]);
		uint64_t digit = (uint64_t)(isdigit(c) ? c - '0' : c - 'a' + 10);

		if (__builtin_mul_overflow(n, hex ? 16 : 10, &n) ||
		    __builtin_add_overflow(n, digit, &n))
			return false;
	}
	return n <= most + (negative && !hex);
}

static void
scan_number(struct scan *s, bool negative)
{
	const char *start = s->p;
	bool hex =
	    s->end - s->p > 2 && s->p[0] == '0' && (s->p[1] == 'x' || s->p[1] == 'X');
	bool wide;
	int len;

	if (hex)
		s->p += 2;
	while (s->p < s->end &&
	    (hex ? isxdigit((unsigned char)*s->p) : isdigit((unsigned char)*s->p)))
		s->p++;
	len = (int)(s->p - start < 100 ? s->p - start : 100);
	wide = s->p < s->end && *s->p == 'L';
	if (!wide && s->p < s->end && (is_name(*s->p) || *s->p == '.')) {
		/* a floating-point number, or nonsense that libconfig reports */
		while (s->p < s->end && (is_name(*s->p) || *s->p == '.' || *s->p == '+'))
			s->p++;
		return;
	}
	if (!fits(start, (size_t)(s->p - start), negative, wide))
		config_report_add(s->report, false, s->file, s->line,
		    "the integer %.*s does not fit in %d bits%s", len, start,
		    wide ? 64 : 32,
		    wide ? "" : "; write it with an L at its end, or in quotes");
}

static bool
at_line_start(const struct scan *s, const char *text)
{
	for (const char *p = s->p; p > text; p--) {
		if (p[-1] == '\n')
			return true;
		if (p[-1] != ' ' && p[-1] != '\t')
			return false;
	}
	return true;
}

static void
scan_include(struct scan *s, const char *text)
{
	static const char word[] = "@include";
	size_t len = sizeof word - 1;
	const char *name, *quote;
	char path[4096];

	if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0 ||
	    !at_line_start(s, text)) {
		s->p++;
		return;
	}
	for (s->p += len; s->p < s->end && (*s->p == ' ' || *s->p == '\t'); s->p++)
		continue;
	if (s->p == s->end || *s->p != '"')
		return;
	name = ++s->p;
	quote = memchr(name, '"', (size_t)(s->end - name));
	if (quote == NULL || memchr(name, '\n', (size_t)(quote - name)) != NULL)
		return;
	s->p = quote + 1;
	if (snprintf(path, sizeof path, "%s%.*s", s->folder, (int)(quote - name), name) >=
	    (int)sizeof path)
		config_report_add(s->report, false, s->file, s->line,
		    "the @include's path is too long");
	else
		scan_one(s->report, s->folder, path, s->file, s->line, s->depth + 1);
}

static void
scan_text(struct scan *s, const char *text)
{
	while (s->p < s->end) {
		char c = *s->p, next = s->p + 1 < s->end ? s->p[1] : '\0';

		if (c == '"') {
			skip_string(s);
		} else if (c == '#' || (c == '/' && next == '/')) {
			skip_line(s);
		} else if (c == '/' && next == '*') {
			skip_comment(s);
		} else if (c == '@') {
			scan_include(s, text);
		} else if (isdigit((unsigned char)c)) {
			scan_number(s, s->p > text && s->p[-1] == '-');
		} else if (isalpha((unsigned char)c) || c == '*') {
			while (s->p < s->end && is_name(*s->p))
				s->p++;
		} else {
			s->line += c == '\n';
			s->p++;
		}
	}
}

static void
scan_one(struct config_report *report, const char *folder, const char *file,
    const char *from_file, int from_line, int depth)
{
	const char *why = NULL;
	size_t len = 0;
	char *text;
	struct scan s = {.report = report, .folder = folder, .file = file, .line = 1};

	if (depth > INCLUDE_DEPTH_MAX) {
		config_report_add(report, false, from_file, from_line,
		    "files include each other more than %d deep", INCLUDE_DEPTH_MAX);
		return;
	}
	text = read_whole(file, &len, &why);
	if (text == NULL) {
		if (from_file == NULL)
			config_report_add(
			    report, false, file, 0, "the file cannot be read: %s", why);
		else
			config_report_add(report, false, from_file, from_line,
			    "the included file \"%s\" cannot be read: %s", file, why);
		return;
	}
	s.p = text;
	s.end = text + len;
	s.depth = depth;
	scan_text(&s, text);
	free(text);
}

void
scan_file(struct config_report *report, const char *file)
{
	const char *slash = strrchr(file, '/');
	struct arena a;
	const char *folder;

	arena_init(&a);
	folder =
	    slash == NULL ? "./" : arena_strndup(&a, file, (size_t)(slash - file) + 1);
	scan_one(report, folder, file, NULL, 0, 0);
	arena_reset(&a);
}
