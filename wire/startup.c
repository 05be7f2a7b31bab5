/* A start-up packet is a length, a version, and zero-terminated pairs up to an empty
 * name. The `options` parameter is a command line of its own, so that settings may hide
 * in it; they are taken out here and nobody else need know. */
#include "wire/startup.h"

#include <strings.h>

enum rc
startup_length(struct slice have, size_t *len, struct err *e)
{
	struct msgread r = msgread_of(have);
	uint32_t n;

	if (have.len < 4)
		return RC_AGAIN;
	n = (uint32_t)read_int32(&r);
	if (n < 8 || n > STARTUP_PACKET_MAX)
		return err_set(
		    e, "08P01", BLAST_SESSION, "invalid length of startup packet");
	*len = n;
	return RC_OK;
}

/* ---- options ---- */

struct words {
	struct slice rest; /* still escaped */
	char *out;         /* where the next word goes; there is room for all of them */
};

/* The next word of a command line, unescaped; false at the end. Whitespace separates, a
 * backslash takes the next character as it is. */
static bool
next_word(struct words *w, char **at, size_t *len)
{
	static const char space[] = " \t\n\r\f\v";
	const char *p = w->rest.ptr, *end = p + w->rest.len;

	while (p < end && strchr(space, *p) != NULL)
		p++;
	*at = w->out;
	for (bool escaped = false; p < end && (escaped || strchr(space, *p) == NULL);
	     p++) {
		if (escaped || *p != '\\')
			*w->out++ = *p;
		escaped = !escaped && *p == '\\';
	}
	*len = (size_t)(w->out - *at);
	w->rest = (struct slice){p, (size_t)(end - p)};
	return *len > 0;
}

/* name=value; a dash in the name stands for an underscore. */
static enum rc
add_setting(struct startup *s, const char *flag, char *text, size_t len, struct err *e)
{
	char *eq = len == 0 ? NULL : memchr(text, '=', len);
	struct startup_param *p = &s->params[s->n_params];

	if (eq == NULL || eq == text)
		return err_set(e, "42601", BLAST_SESSION, "%s%.*s requires a value", flag,
		    (int)(len < 64 ? len : 64), text);
	p->name = (struct slice){text, (size_t)(eq - text)};
	p->value = (struct slice){eq + 1, len - p->name.len - 1};
	for (char *c = text; c < eq; c++)
		if (*c == '-')
			*c = '_';
	s->n_params++;
	return RC_OK;
}

static enum rc
bad_argument(const char *at, size_t len, struct err *e)
{
	(void)err_set(e, "42601", BLAST_SESSION,
	    "invalid command-line argument for server process: %.*s",
	    (int)(len < 64 ? len : 64), at);
	err_hint(e, "Only -c name=value and --name=value can be used in options.");
	return RC_ERR;
}

static enum rc
parse_options(struct slice options, struct arena *a, struct startup *s, struct err *e)
{
	struct words w = {options, arena_alloc(a, options.len + 1)};
	char *at;
	size_t len;

	while (next_word(&w, &at, &len)) {
		enum rc rc;

		if (len > 2 && memcmp(at, "--", 2) == 0)
			rc = add_setting(s, "--", at + 2, len - 2, e);
		else if (len > 2 && memcmp(at, "-c", 2) == 0)
			rc = add_setting(s, "-c ", at + 2, len - 2, e);
		else if (len == 2 && memcmp(at, "-c", 2) == 0)
			rc = next_word(&w, &at, &len) ? add_setting(s, "-c ", at, len, e)
						      : bad_argument("-c", 2, e);
		else
			rc = bad_argument(at, len, e);
		if (rc != RC_OK)
			return rc;
	}
	return RC_OK;
}

/* ---- the packet ---- */

static bool
one_of(struct slice v, const char *const *words)
{
	for (; *words != NULL; words++)
		if (v.len == strlen(*words) && strncasecmp(v.ptr, *words, v.len) == 0)
			return true;
	return false;
}

static bool
prefix_of(struct slice v, const char *word, size_t least)
{
	return v.len >= least && v.len <= strlen(word) &&
	    strncasecmp(v.ptr, word, v.len) == 0;
}

/* "database", or a boolean as PostgreSQL reads them: any unique beginning of the words.
 */
static enum rc
parse_replication(struct slice v, enum startup_replication *out, struct err *e)
{
	static const char *const yes[] = {"on", "1", NULL},
				 *const no[] = {"off", "of", "0", NULL};

	if (slice_eq_str(v, "database"))
		*out = REPLICATION_DATABASE;
	else if (one_of(v, yes) || prefix_of(v, "true", 1) || prefix_of(v, "yes", 1))
		*out = REPLICATION_PHYSICAL;
	else if (one_of(v, no) || prefix_of(v, "false", 1) || prefix_of(v, "no", 1))
		*out = REPLICATION_NONE;
	else {
		(void)err_set(e, "22023", BLAST_SESSION,
		    "invalid value for parameter \"replication\": \"%.*s\"",
		    (int)(v.len < 64 ? v.len : 64), v.ptr);
		err_hint(e, "Valid values are: \"false\", 0, \"true\", 1, \"database\".");
		return RC_ERR;
	}
	return RC_OK;
}

static enum rc
bad_layout(struct err *e)
{
	return err_set(e, "08P01", BLAST_SESSION,
	    "invalid startup packet layout: expected terminator as last byte");
}

/* Walks the pairs twice: `options` first, since the packet's own settings win over those
 * in it. */
static enum rc
pairs(struct msgread r, struct arena *a, struct startup *s, bool settings, struct err *e)
{
	struct slice options = {"", 0};

	for (;;) {
		struct slice name = read_str(&r), value;

		if (r.bad)
			return bad_layout(e);
		if (name.len == 0)
			break;
		value = read_str(&r);
		if (r.bad)
			return bad_layout(e);
		if (slice_eq_str(name, "options")) {
			options = value;
		} else if (settings) {
			bool reserved = slice_eq_str(name, "user") ||
			    slice_eq_str(name, "database") ||
			    slice_eq_str(name, "replication");

			if (name.len >= 5 && memcmp(name.ptr, "_pq_.", 5) == 0)
				s->unknown[s->n_unknown++] = name;
			else if (!reserved)
				s->params[s->n_params++] =
				    (struct startup_param){name, value};
		} else if (slice_eq_str(name, "user")) {
			s->user = value;
		} else if (slice_eq_str(name, "database")) {
			s->database = value;
		} else if (slice_eq_str(name, "replication")) {
			enum rc rc = parse_replication(value, &s->replication, e);

			if (rc != RC_OK)
				return rc;
		}
	}
	if (read_left(&r) > 0)
		return bad_layout(e);
	return settings ? RC_OK : parse_options(options, a, s, e);
}

static enum rc
parse_start(struct msgread r, struct arena *a, struct startup *s, struct err *e)
{
	/* A setting takes at least three bytes (a=b in options takes more). */
	size_t most = read_left(&r) / 3 + 1;

	s->kind = STARTUP_START;
	if (PROTO_MAJOR(s->asked) != 3)
		return err_set(e, "0A000", BLAST_SESSION,
		    "unsupported frontend protocol %u.%u: server supports 3.0 to 3.2",
		    PROTO_MAJOR(s->asked), PROTO_MINOR(s->asked));
	s->params = ARENA_NEW_N(a, struct startup_param, most);
	s->unknown = ARENA_NEW_N(a, struct slice, most);
	s->user = s->database = (struct slice){"", 0};
	for (int settings = 0; settings < 2; settings++) {
		enum rc rc = pairs(r, a, s, settings, e);

		if (rc != RC_OK)
			return rc;
	}
	if (s->user.len == 0)
		return err_set(e, "28000", BLAST_SESSION,
		    "no PostgreSQL user name specified in startup packet");
	if (s->database.len == 0)
		s->database = s->user;
	s->proto = s->asked > PROTO_LATEST ? PROTO_LATEST : s->asked;
	s->negotiate = s->proto != s->asked || s->n_unknown > 0;
	return RC_OK;
}

static enum rc
parse_cancel(struct msgread r, struct startup *s, struct err *e)
{
	s->kind = STARTUP_CANCEL;
	s->pid = (uint32_t)read_int32(&r);
	s->key = read_bytes(&r, read_left(&r));
	if (r.bad || s->key.len < CANCEL_KEY_MIN || s->key.len > CANCEL_KEY_MAX)
		return err_set(
		    e, "08P01", BLAST_SESSION, "invalid length of query cancel packet");
	return RC_OK;
}

enum rc
startup_parse(struct slice packet, struct arena *a, struct startup *s, struct err *e)
{
	struct msgread r = msgread_of(packet);
	size_t len = 0;

	memset(s, 0, sizeof *s);
	if (startup_length(packet, &len, e) != RC_OK || len != packet.len)
		return err_set(
		    e, "08P01", BLAST_SESSION, "invalid length of startup packet");
	(void)read_int32(&r);
	s->asked = (uint32_t)read_int32(&r);
	if (s->asked == PROTO_CANCEL)
		return parse_cancel(r, s, e);
	if (s->asked != PROTO_SSL && s->asked != PROTO_GSSENC)
		return parse_start(r, a, s, e);
	s->kind = s->asked == PROTO_SSL ? STARTUP_SSL : STARTUP_GSSENC;
	if (read_left(&r) > 0)
		return err_set(
		    e, "08P01", BLAST_SESSION, "invalid length of startup packet");
	return RC_OK;
}

const struct slice *
startup_param(const struct startup *s, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = s->n_params; i > 0; i--) {
		const struct startup_param *p = &s->params[i - 1];

		if (p->name.len == len && strncasecmp(p->name.ptr, name, len) == 0)
			return &p->value;
	}
	return NULL;
}

/* ---- building ---- */

void
msg_negotiate(struct msgbuf *b, const struct startup *s)
{
	msg_begin(b, 'v');
	msg_int32(b, (int32_t)s->proto);
	msg_int32(b, (int32_t)s->n_unknown);
	for (size_t i = 0; i < s->n_unknown; i++)
		msg_slice_str(b, s->unknown[i]);
	msg_end(b);
}

void
msg_startup(struct msgbuf *b, uint32_t version, const struct startup_param *p, size_t n)
{
	msg_begin(b, 0);
	msg_int32(b, (int32_t)version);
	for (size_t i = 0; i < n; i++) {
		msg_slice_str(b, p[i].name);
		msg_slice_str(b, p[i].value);
	}
	msg_byte(b, 0);
	msg_end(b);
}

void
msg_request(struct msgbuf *b, uint32_t code)
{
	msg_begin(b, 0);
	msg_int32(b, (int32_t)code);
	msg_end(b);
}

void
msg_cancel(struct msgbuf *b, uint32_t pid, struct slice key)
{
	msg_begin(b, 0);
	msg_int32(b, (int32_t)PROTO_CANCEL);
	msg_int32(b, (int32_t)pid);
	msg_bytes(b, key.ptr, key.len);
	msg_end(b);
}
