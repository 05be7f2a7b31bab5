/* A line is put together on the stack and leaves with one write(2). What does not fit is
 * cut, never the form of the line: room for its end is kept free. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192
#define END_ROOM       16 /* for the mark of a cut value, its quote, "}" and the line feed */

static _Atomic int format = LOG_LOGFMT;
static _Atomic int least = LOG_INFO;
static _Atomic unsigned rate = 1000;
static _Atomic int out_fd = 2;
static _Atomic int file_fd =
    -1; /* stays open for ever once it was opened, see log_open() */
static _Atomic uint64_t window; /* second << 32 | lines written in it */
static _Atomic uint64_t left_out;

static const char *const level_names[] = {
    "debug", "info", "notice", "warning", "error", "fatal"};

struct line {
	size_t len;
	bool json;
	char text[LINE_MAX_BYTES];
};

void
log_setup(enum log_format f, enum log_level l, unsigned lines_per_second)
{
	atomic_store(&format, (int)f);
	atomic_store(&least, (int)l);
	atomic_store(&rate, lines_per_second);
}

/* A descriptor that other threads may be writing to must never be closed, as its number
 * might come back as a client's: dup3() replaces what it stands for in one step. */
bool
log_open(const char *path)
{
	int fd, old = atomic_load(&file_fd);

	if (path == NULL) {
		atomic_store(&out_fd, 2);
		if (old >= 0)
			(void)dup3(2, old, O_CLOEXEC);
		return true;
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return false;
	if (old >= 0) {
		bool ok = dup3(fd, old, O_CLOEXEC) >= 0;

		(void)close(fd);
		if (!ok)
			return false;
		fd = old;
	}
	atomic_store(&file_fd, fd);
	atomic_store(&out_fd, fd);
	return true;
}

bool
log_enabled(enum log_level level)
{
	return (int)level >= atomic_load_explicit(&least, memory_order_relaxed);
}

const char *
log_num_(char *buf24, long long n)
{
	snprintf(buf24, 24, "%lld", n);
	return buf24;
}

/* ---- text ---- */

static size_t
room(const struct line *l)
{
	return l->len < LINE_MAX_BYTES - END_ROOM ? LINE_MAX_BYTES - END_ROOM - l->len
						  : 0;
}

static void
put(struct line *l, const char *s, size_t n)
{
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

/* The length of the character at s if it is well-formed UTF-8 (no surrogates, no overlong
 * forms), else 0. The terminating zero ends any sequence. */
static size_t
utf8_char(const unsigned char *s, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1
	    : s[0] >= 0xf5     ? 0
	    : s[0] >= 0xf0     ? 4
	    : s[0] >= 0xe0     ? 3
	    : s[0] >= 0xc2     ? 2
			       : 0;

	if (n == 0)
		return 0;
	*code = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	if (*code < smallest[n] || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return n;
}

/* One character as it may stand between quotes, in JSON and logfmt alike. Returns the
 * bytes taken from s. */
static size_t
escape_char(const unsigned char *s, char *out, size_t *n)
{
	static const char names[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	uint32_t code;
	size_t taken = utf8_char(s, &code);

	if (taken == 0) {
		*n = 3;
		memcpy(out, "\xef\xbf\xbd", 3); /* U+FFFD */
		return 1;
	}
	for (const char *p = names; taken == 1 && *p != '\0'; p += 2)
		if (code == (unsigned char)p[0]) {
			*n = 2;
			out[0] = '\\';
			out[1] = p[1];
			return 1;
		}
	/* The C1 controls move a terminal's cursor as the C0 ones do. */
	if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
		*n = (size_t)snprintf(out, 8, "\\u%04x", code);
	} else {
		*n = taken;
		memcpy(out, s, taken);
	}
	return taken;
}

static void
put_quoted(struct line *l, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	put(l, "\"", 1);
	while (*s != '\0') {
		char c[8];
		size_t n, taken = escape_char(s, c, &n);

		if (n + 3 > room(l)) {
			put(l, "\xe2\x80\xa6", 3); /* an ellipsis */
			break;
		}
		put(l, c, n);
		s += taken;
	}
	put(l, "\"", 1);
}

/* logfmt: a value of plain characters only stands as it is. */
static bool
is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f || *s == '=' || *s == '"' || *s == '\\')
			return false;
	return true;
}

static void
put_field(struct line *l, const char *name, const char *value)
{
	size_t name_len = strlen(name);

	if (name_len + 32 > room(l))
		return;
	if (l->json) {
		put(l, l->len == 0 ? "{" : ",", 1);
		put_quoted(l, name);
		put(l, ":", 1);
		put_quoted(l, value);
		return;
	}
	if (l->len > 0)
		put(l, " ", 1);
	put(l, name, name_len);
	put(l, "=", 1);
	if (is_plain(value) && strlen(value) <= room(l))
		put(l, value, strlen(value));
	else
		put_quoted(l, value);
}

static void
put_head(
    struct line *l, const struct timespec *now, enum log_level level, const char *message)
{
	char text[64];
	struct tm tm;
	size_t n;

	l->len = 0;
	l->json = atomic_load_explicit(&format, memory_order_relaxed) == LOG_JSON;
	gmtime_r(&now->tv_sec, &tm);
	n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof text - n, ".%03ldZ", now->tv_nsec / 1000000);
	put_field(l, "time", text);
	put_field(l, "level", level_names[level]);
	put_field(l, "msg", message);
}

/* A line that cannot be written is lost: there is nowhere to say so. */
static void
finish_line(struct line *l)
{
	const char *p = l->text;
	int fd = atomic_load_explicit(&out_fd, memory_order_relaxed);

	put(l, &"}\n"[!l->json], 1 + (size_t)l->json);
	while (l->len > 0) {
		ssize_t n = write(fd, p, l->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		p += n;
		l->len -= (size_t)n;
	}
}

/* ---- rate ---- */

/* Takes one of this second's lines; false: none is left. */
static bool
take_line(uint32_t second, unsigned most)
{
	uint64_t old = atomic_load_explicit(&window, memory_order_relaxed), new;

	do {
		bool same = (uint32_t)(old >> 32) == second;

		if (same && (uint32_t)old >= most)
			return false;
		new = (same ? old : (uint64_t)second << 32) + 1;
	} while (!atomic_compare_exchange_weak_explicit(
	    &window, &old, new, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static void
say_left_out(struct line *l, const struct timespec *now)
{
	uint64_t n;

	if (atomic_load_explicit(&left_out, memory_order_relaxed) == 0)
		return;
	n = atomic_exchange_explicit(&left_out, 0, memory_order_relaxed);
	if (n == 0)
		return;
	put_head(l, now, LOG_WARNING, "log lines left out");
	put_field(l, "left_out", LOG_NUM(n));
	finish_line(l);
}

void
log_line(enum log_level level, const char *message, ...)
{
	unsigned most = atomic_load_explicit(&rate, memory_order_relaxed);
	struct timespec now;
	struct line l;
	const char *name;
	va_list ap;

	if (!log_enabled(level))
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (most > 0 && level != LOG_FATAL && !take_line((uint32_t)now.tv_sec, most)) {
		atomic_fetch_add_explicit(&left_out, 1, memory_order_relaxed);
		return;
	}
	say_left_out(&l, &now);
	put_head(&l, &now, level, message);
	va_start(ap, message);
	while ((name = va_arg(ap, const char *)) != NULL) {
		const char *value = va_arg(ap, const char *);

		if (value != NULL)
			put_field(&l, name, value);
	}
	va_end(ap);
	finish_line(&l);
}
