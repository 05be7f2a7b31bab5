/* A users file is one sorted array of names with their secrets; the names and the texts
 * are its arena's. */
#include "wire/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/arena.h"

#define FILE_MAX ((size_t)256 << 20)
#define TEXT_MAX 4096 /* bytes of a user's name or of a secret */

/* ---- one secret ---- */

static bool
is_md5(struct slice s)
{
	if (s.len != MD5_TEXT || memcmp(s.ptr, "md5", 3) != 0)
		return false;
	for (size_t i = 3; i < s.len; i++)
		if (memchr("0123456789abcdef", s.ptr[i], 16) == NULL)
			return false;
	return true;
}

static void *
alloc(size_t n)
{
	void *p = calloc(1, n);

	if (p == NULL)
		abort();
	return p;
}

enum rc
secret_parse(struct slice text, struct secret *s, struct err *e)
{
	static const char scram[] = SCRAM_PLAIN "$";
	struct scram_secret *parsed;

	memset(s, 0, sizeof *s);
	if (text.len == 0)
		return RC_OK;
	if (memchr(text.ptr, '\0', text.len) != NULL)
		return err_set(
		    e, "22023", BLAST_STMT, "a password must not hold a zero byte");
	if (is_md5(text)) {
		s->kind = SECRET_MD5;
		memcpy(s->md5, text.ptr + 3, MD5_HEX);
		return RC_OK;
	}
	if (text.len >= sizeof scram - 1 &&
	    memcmp(text.ptr, scram, sizeof scram - 1) == 0) {
		parsed = alloc(sizeof *parsed);
		if (scram_secret_parse(text, parsed, e) != RC_OK) {
			free(parsed);
			return RC_ERR;
		}
		s->kind = SECRET_SCRAM;
		atomic_init(&s->scram, parsed);
		return RC_OK;
	}
	s->kind = SECRET_PLAIN;
	s->password = alloc(text.len + 1);
	memcpy(s->password, text.ptr, text.len);
	return RC_OK;
}

void
secret_fini(struct secret *s)
{
	struct scram_secret *scram = atomic_load(&s->scram);

	if (scram != NULL)
		OPENSSL_cleanse(scram, sizeof *scram);
	free(scram);
	if (s->password != NULL)
		OPENSSL_cleanse(s->password, strlen(s->password));
	free(s->password);
	OPENSSL_cleanse(s, sizeof *s);
}

static enum rc
no_use(const char *what, struct err *e)
{
	return err_set(e, "28000", BLAST_SESSION, "%s", what);
}

/* Two threads may derive at the same time; the first to publish wins. */
static enum rc
derive(struct secret *s, const struct scram_secret **out, struct err *e)
{
	struct scram_secret *mine = alloc(sizeof *mine), *theirs = NULL;

	if (scram_secret_derive(
		slice_of(s->password), NULL, 0, SCRAM_ITERATIONS, mine, e) != RC_OK) {
		free(mine);
		return RC_ERR;
	}
	*out = mine;
	if (!atomic_compare_exchange_strong(&s->scram, &theirs, mine)) {
		OPENSSL_cleanse(mine, sizeof *mine);
		free(mine);
		*out = theirs;
	}
	return RC_OK;
}

enum rc
secret_scram(const struct secret *s, const struct scram_secret **out, struct err *e)
{
	/* Immutable to see; what is derived is only remembered. */
	struct secret *known = (struct secret *)(size_t)s;

	*out = atomic_load(&known->scram);
	if (*out != NULL)
		return RC_OK;
	if (s->kind == SECRET_PLAIN)
		return derive(known, out, e);
	return no_use(s->kind == SECRET_MD5
		? "the user has an md5 password: SCRAM cannot use it"
		: "the user has no password",
	    e);
}

enum rc
secret_md5(const struct secret *s, struct slice user, char hex[MD5_HEX], struct err *e)
{
	if (s->kind == SECRET_PLAIN)
		return md5_stored(slice_of(s->password), user, hex, e);
	if (s->kind == SECRET_MD5) {
		memcpy(hex, s->md5, MD5_HEX);
		return RC_OK;
	}
	return no_use(s->kind == SECRET_SCRAM
		? "the user has a SCRAM secret: md5 cannot use it"
		: "the user has no password",
	    e);
}

static bool
same_password(const char *a, struct slice b)
{
	size_t n = strlen(a);

	return n == b.len && CRYPTO_memcmp(a, b.ptr, n) == 0;
}

enum rc
secret_check(
    const struct secret *s, struct slice user, struct slice password, struct err *e)
{
	struct scram_secret mine;
	const struct scram_secret *kept;
	char hex[MD5_HEX];
	bool same = false;

	if (password.len == 0)
		return err_set(
		    e, "28P01", BLAST_SESSION, "empty password returned by client");
	switch (s->kind) {
	case SECRET_NONE:
		break;
	case SECRET_PLAIN:
		same = same_password(s->password, password);
		break;
	case SECRET_MD5:
		if (md5_stored(password, user, hex, e) != RC_OK)
			return RC_ERR;
		same = CRYPTO_memcmp(hex, s->md5, MD5_HEX) == 0;
		break;
	case SECRET_SCRAM:
		if (secret_scram(s, &kept, e) != RC_OK ||
		    scram_secret_derive(password, kept->salt, kept->salt_len,
			kept->iterations, &mine, e) != RC_OK)
			return RC_ERR;
		same = CRYPTO_memcmp(mine.stored_key, kept->stored_key, SCRAM_KEY) == 0;
		OPENSSL_cleanse(&mine, sizeof mine);
		break;
	}
	if (!same)
		return err_set(
		    e, "28P01", BLAST_SESSION, "password authentication failed");
	return RC_OK;
}

/* ---- a file of them ---- */

struct entry {
	struct slice user; /* zero-terminated, the arena's */
	struct secret secret;
	int line;
};

struct secret_file {
	struct arena arena;
	struct entry *entries;
	size_t n, cap;
};

struct parser {
	const char *at, *end;
	const char *name;
	int line;
	struct secret_file *file;
};

static enum rc
complain(const struct parser *p, const char *what, struct err *e)
{
	return err_set(
	    e, "F0000", BLAST_SESSION, "%.200s:%d: %s", p->name, p->line, what);
}

static void
skip_blanks(struct parser *p)
{
	while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\r'))
		p->at++;
}

static void
skip_line(struct parser *p)
{
	while (p->at < p->end && *p->at != '\n')
		p->at++;
}

/* "text", where "" stands for one quote. Must end on its line. */
static enum rc
quoted(struct parser *p, const char *what, char *out, size_t *len, struct err *e)
{
	char text[64];

	snprintf(text, sizeof text, "%s in double quotes expected", what);
	if (p->at == p->end || *p->at != '"')
		return complain(p, text, e);
	*len = 0;
	for (p->at++; p->at < p->end && *p->at != '\n'; p->at++) {
		if (*p->at == '"' && (p->at + 1 == p->end || p->at[1] != '"')) {
			p->at++;
			return RC_OK;
		}
		if (*p->at == '"')
			p->at++;
		if (*p->at == '\0')
			return complain(p, "a zero byte", e);
		if (*len == TEXT_MAX)
			return complain(p, "a name or secret is too long", e);
		out[(*len)++] = *p->at;
	}
	return complain(p, "closing double quote is missing", e);
}

static struct entry *
add(struct secret_file *f)
{
	if (f->n == f->cap) {
		size_t cap = f->cap == 0 ? 64 : f->cap * 2;
		struct entry *more = alloc(cap * sizeof *more);

		if (f->n > 0) {
			memcpy(more, f->entries, f->n * sizeof *more);
			OPENSSL_cleanse(f->entries, f->n * sizeof *more);
		}
		free(f->entries);
		f->entries = more;
		f->cap = cap;
	}
	return &f->entries[f->n];
}

static enum rc
parse_user(struct parser *p, char *buf, struct err *e)
{
	struct entry *entry = add(p->file);
	struct err why;
	size_t len;

	if (quoted(p, "a user's name", buf, &len, e) != RC_OK)
		return RC_ERR;
	if (len == 0)
		return complain(p, "a user's name is empty", e);
	entry->user.ptr = arena_strndup(&p->file->arena, buf, len);
	entry->user.len = len;
	entry->line = p->line;
	skip_blanks(p);
	if (quoted(p, "a secret", buf, &len, e) != RC_OK)
		return RC_ERR;
	if (secret_parse((struct slice){buf, len}, &entry->secret, &why) != RC_OK)
		return complain(p, why.msg, e);
	p->file->n++;
	skip_line(p);
	return RC_OK;
}

static enum rc
parse_lines(struct parser *p, char *buf, struct err *e)
{
	while (p->at < p->end) {
		skip_blanks(p);
		if (p->at == p->end)
			break;
		if (*p->at == ';')
			skip_line(p);
		else if (*p->at != '\n' && parse_user(p, buf, e) != RC_OK)
			return RC_ERR;
		if (p->at < p->end) { /* at its end */
			p->at++;
			p->line++;
		}
	}
	return RC_OK;
}

static int
compare(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);

	return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

static int
by_user(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = compare(x->user, y->user);

	return c != 0 ? c : x->line - y->line;
}

static enum rc
sort(struct parser *p, struct err *e)
{
	struct secret_file *f = p->file;
	char text[160];

	if (f->n > 0)
		qsort(f->entries, f->n, sizeof *f->entries, by_user);
	for (size_t i = 1; i < f->n; i++) {
		if (slice_eq(f->entries[i - 1].user, f->entries[i].user)) {
			snprintf(text, sizeof text,
			    "user \"%.64s\" stands there twice, first in line %d",
			    f->entries[i].user.ptr, f->entries[i - 1].line);
			p->line = f->entries[i].line;
			return complain(p, text, e);
		}
	}
	return RC_OK;
}

enum rc
secret_file_parse(
    struct slice text, const char *name, struct secret_file **out, struct err *e)
{
	struct secret_file *f = alloc(sizeof *f);
	const char *start = text.len == 0 ? "" : text.ptr;
	struct parser p = {start, start + text.len, name, 1, f};
	char *buf = alloc(TEXT_MAX + 1);
	enum rc rc;

	arena_init(&f->arena);
	rc = parse_lines(&p, buf, e);
	OPENSSL_cleanse(buf, TEXT_MAX + 1);
	free(buf);
	if (rc == RC_OK)
		rc = sort(&p, e);
	if (rc != RC_OK) {
		secret_file_destroy(f);
		f = NULL;
	}
	*out = f;
	return rc;
}

static enum rc
cannot_read(const char *path, const char *why, struct err *e)
{
	return err_set(
	    e, "F0000", BLAST_SESSION, "%.200s: cannot read it: %s", path, why);
}

static enum rc
read_all(int fd, const char *path, char *text, size_t size, size_t *len, struct err *e)
{
	for (*len = 0; *len < size;) {
		ssize_t n = read(fd, text + *len, size - *len);
		char why[100];

		if (n == 0)
			break;
		if (n > 0)
			*len += (size_t)n;
		else if (errno != EINTR)
			return cannot_read(path, strerror_r(errno, why, sizeof why), e);
	}
	return RC_OK;
}

enum rc
secret_file_load(const char *path, struct secret_file **out, struct err *e)
{
	struct stat st;
	char why[100], *text;
	size_t len;
	enum rc rc;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*out = NULL;
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = cannot_read(path, strerror_r(errno, why, sizeof why), e);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > FILE_MAX) {
		close(fd);
		return cannot_read(path, "not a regular file, or too large", e);
	}
	text = alloc((size_t)st.st_size + 1);
	rc = read_all(fd, path, text, (size_t)st.st_size, &len, e);
	close(fd);
	if (rc == RC_OK)
		rc = secret_file_parse((struct slice){text, len}, path, out, e);
	OPENSSL_cleanse(text, (size_t)st.st_size + 1);
	free(text);
	return rc;
}

void
secret_file_destroy(struct secret_file *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->n; i++)
		secret_fini(&f->entries[i].secret);
	free(f->entries);
	arena_reset(&f->arena);
	free(f);
}

const struct secret *
secret_file_find(const struct secret_file *f, struct slice user)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = compare(user, f->entries[mid].user);

		if (c == 0)
			return &f->entries[mid].secret;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

size_t
secret_file_count(const struct secret_file *f)
{
	return f->n;
}

const char *
secret_file_user(const struct secret_file *f, size_t i)
{
	return f->entries[i].user.ptr;
}
