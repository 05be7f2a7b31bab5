/* Text keys: the bytes that the server will store, so in its encoding. ASCII is the same
 * in all encodings that PostgreSQL has; of the rest, LATIN1, LATIN9 and WIN1252 are
 * converted to UTF8, and UTF8 to LATIN1; other pairs are refused. */
#include <strings.h>

#include "router/route/key_in.h"

enum encoding { ENC_UTF8, ENC_LATIN1, ENC_LATIN9, ENC_WIN1252, ENC_NONE, ENC_OTHER };

/* The server ignores case and anything but letters and digits in names of encodings. */
static bool
encoding_name_eq(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (*a == '-' || *a == '_' || *a == ' ')
			a++;
		while (*b == '-' || *b == '_' || *b == ' ')
			b++;
		if ((*a | 0x20) != (*b | 0x20))
			return false;
		if (*a == '\0' || *b == '\0')
			return *a == *b;
	}
}

static enum encoding
encoding_of(const char *name)
{
	static const struct {
		const char *name;
		enum encoding encoding;
	} names[] = {{"UTF8", ENC_UTF8}, {"UNICODE", ENC_UTF8}, {"LATIN1", ENC_LATIN1},
	    {"ISO88591", ENC_LATIN1}, {"LATIN9", ENC_LATIN9}, {"ISO885915", ENC_LATIN9},
	    {"WIN1252", ENC_WIN1252}, {"SQL_ASCII", ENC_NONE}};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (encoding_name_eq(name, names[i].name))
			return names[i].encoding;
	return ENC_OTHER;
}

static bool
is_ascii(struct slice s)
{
	unsigned char any = 0;

	for (size_t i = 0; i < s.len; i++)
		any |= (unsigned char)s.ptr[i];
	return any < 0x80;
}

/* Unicode of a byte; 0: the encoding has no such character. */
static unsigned
code_point(enum encoding encoding, unsigned char c)
{
	static const uint16_t win1252_80[32] = {0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026,
	    0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D, 0, 0,
	    0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122,
	    0x0161, 0x203A, 0x0153, 0, 0x017E, 0x0178};
	static const struct {
		unsigned char byte;
		uint16_t code;
	} latin9[] = {{0xA4, 0x20AC}, {0xA6, 0x0160}, {0xA8, 0x0161}, {0xB4, 0x017D},
	    {0xB8, 0x017E}, {0xBC, 0x0152}, {0xBD, 0x0153}, {0xBE, 0x0178}};

	if (encoding == ENC_WIN1252 && c >= 0x80 && c < 0xA0)
		return win1252_80[c - 0x80];
	for (size_t i = 0; encoding == ENC_LATIN9 && i < sizeof latin9 / sizeof latin9[0];
	     i++)
		if (latin9[i].byte == c)
			return latin9[i].code;
	return c;
}

static enum rc
no_such_character(struct err *e, const char *from, const char *to)
{
	return err_set(e, "22P05", BLAST_STMT,
	    "a character of the key in encoding \"%s\" has no equivalent in encoding "
	    "\"%s\"",
	    from, to);
}

static enum rc
to_utf8(struct slice in, enum encoding from, const struct key_env *env, struct arena *a,
    struct key *k, struct err *e)
{
	char *out = arena_alloc(a, 3 * in.len + 1), *p = out;

	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.ptr[i];
		unsigned u = code_point(from, c);

		if (u == 0 && c != 0)
			return no_such_character(
			    e, env->client_encoding, env->server_encoding);
		if (u < 0x80) {
			*p++ = (char)u;
		} else if (u < 0x800) {
			*p++ = (char)(0xC0 | u >> 6);
			*p++ = (char)(0x80 | (u & 0x3F));
		} else {
			*p++ = (char)(0xE0 | u >> 12);
			*p++ = (char)(0x80 | (u >> 6 & 0x3F));
			*p++ = (char)(0x80 | (u & 0x3F));
		}
	}
	k->text = (struct slice){out, (size_t)(p - out)};
	return RC_OK;
}

static enum rc
utf8_to_latin1(struct slice in, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	char *out = arena_alloc(a, in.len + 1), *p = out;

	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = (unsigned char)in.ptr[i],
			      next = i + 1 < in.len ? (unsigned char)in.ptr[i + 1] : 0;

		if (c < 0x80) {
			*p++ = (char)c;
		} else if ((c == 0xC2 || c == 0xC3) && (next & 0xC0) == 0x80) {
			*p++ = (char)((c & 3) << 6 | (next & 0x3F));
			i++;
		} else {
			return no_such_character(
			    e, env->client_encoding, env->server_encoding);
		}
	}
	k->text = (struct slice){out, (size_t)(p - out)};
	return RC_OK;
}

enum rc
text_in(struct slice text, const struct key_env *env, struct arena *a, struct key *k,
    struct err *e)
{
	const char *client = env->client_encoding, *server = env->server_encoding;
	enum encoding from, to;

	k->text = text;
	if (client == NULL || server == NULL || is_ascii(text) ||
	    encoding_name_eq(client, server))
		return RC_OK;
	from = encoding_of(client);
	to = encoding_of(server);
	/* SQL_ASCII on either side: the server stores the bytes as they are. */
	if ((from == to && from != ENC_OTHER) || from == ENC_NONE || to == ENC_NONE)
		return RC_OK;
	if (to == ENC_UTF8 && from != ENC_OTHER)
		return to_utf8(text, from, env, a, k, e);
	if (to == ENC_LATIN1 && from == ENC_UTF8)
		return utf8_to_latin1(text, env, a, k, e);
	err_set(e, "0A000", BLAST_STMT,
	    "a key that is not ASCII cannot be converted from \"%s\" to \"%s\"", client,
	    server);
	err_hint(e, "Set client_encoding to \"%s\".", server);
	return RC_ERR;
}
