#include "router/sql/encoding.h"

#include <ctype.h>
#include <string.h>

enum measure { SINGLE, PAIR, EUC, EUC_CN, EUC_TW, UTF8, MULE, SJIS, GB18030 };

static const struct {
	const char *name;
	enum measure measure;
	bool client_only;
} encodings[] = {
#define X(id, name, measure, client_only) {name, measure, client_only},
    SQL_ENCODINGS(X)
#undef X
};

/* Spellings that are not the canonical name without its punctuation, lower-cased. */
static const struct {
	const char *alias;
	enum sql_encoding encoding;
} aliases[] = {
    {"abc", ENC_WIN1258},
    {"alt", ENC_WIN866},
    {"iso88591", ENC_LATIN1},
    {"iso885910", ENC_LATIN6},
    {"iso885913", ENC_LATIN7},
    {"iso885914", ENC_LATIN8},
    {"iso885915", ENC_LATIN9},
    {"iso885916", ENC_LATIN10},
    {"iso88592", ENC_LATIN2},
    {"iso88593", ENC_LATIN3},
    {"iso88594", ENC_LATIN4},
    {"iso88599", ENC_LATIN5},
    {"koi8", ENC_KOI8R},
    {"mskanji", ENC_SJIS},
    {"shiftjis", ENC_SJIS},
    {"tcvn", ENC_WIN1258},
    {"tcvn5712", ENC_WIN1258},
    {"unicode", ENC_UTF8},
    {"vscii", ENC_WIN1258},
    {"win", ENC_WIN1251},
    {"win932", ENC_SJIS},
    {"win936", ENC_GBK},
    {"win949", ENC_UHC},
    {"win950", ENC_BIG5},
    {"windows932", ENC_SJIS},
    {"windows936", ENC_GBK},
    {"windows949", ENC_UHC},
    {"windows950", ENC_BIG5},
    {"windows866", ENC_WIN866},
    {"windows874", ENC_WIN874},
    {"windows1250", ENC_WIN1250},
    {"windows1251", ENC_WIN1251},
    {"windows1252", ENC_WIN1252},
    {"windows1253", ENC_WIN1253},
    {"windows1254", ENC_WIN1254},
    {"windows1255", ENC_WIN1255},
    {"windows1256", ENC_WIN1256},
    {"windows1257", ENC_WIN1257},
    {"windows1258", ENC_WIN1258},
};

/* Letters and digits of a name, in lower case. false: longer than any name (PostgreSQL
 * stops at 63 as well). */
static bool
plain_name(const char *name, char out[64])
{
	size_t n = 0;

	if (strlen(name) >= 64)
		return false;
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < 0x80 && isalnum((unsigned char)*name))
			out[n++] = (char)tolower((unsigned char)*name);
	out[n] = '\0';
	return n > 0;
}

bool
sql_encoding_parse(const char *name, enum sql_encoding *out)
{
	char plain[64], canonical[64];

	if (!plain_name(name, plain))
		return false;
	for (size_t i = 0; i < ENC_COUNT; i++) {
		plain_name(encodings[i].name, canonical);
		if (strcmp(plain, canonical) == 0) {
			*out = (enum sql_encoding)i;
			return true;
		}
	}
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (strcmp(plain, aliases[i].alias) == 0) {
			*out = aliases[i].encoding;
			return true;
		}
	return false;
}

const char *
sql_encoding_name(enum sql_encoding e)
{
	return encodings[e].name;
}

bool
sql_encoding_client_only(enum sql_encoding e)
{
	return encodings[e].client_only;
}

static size_t
utf8_len(unsigned char c)
{
	if (c < 0xc0)
		return 1;
	if (c < 0xe0)
		return 2;
	if (c < 0xf0)
		return 3;
	return c < 0xf8 ? 4 : 1;
}

/* The single shifts: 8E starts two bytes (three in EUC_CN, four in EUC_TW), 8F three. */
static size_t
euc_len(unsigned char c, size_t after_ss2)
{
	if (c == 0x8e)
		return after_ss2;
	return c == 0x8f ? 3 : 2;
}

static size_t
mule_len(unsigned char c)
{
	if (c >= 0x81 && c <= 0x8d)
		return 2;
	if (c >= 0x90 && c <= 0x99)
		return 3;
	if (c == 0x9a || c == 0x9b)
		return 3;
	return c == 0x9c || c == 0x9d ? 4 : 1;
}

static size_t
wanted_len(enum measure m, unsigned char c, const char *p, const char *end)
{
	switch (m) {
	case SINGLE:
		return 1;
	case PAIR:
		return 2;
	case EUC:
		return euc_len(c, 2);
	case EUC_CN:
		return euc_len(c, 3);
	case EUC_TW:
		return euc_len(c, 4);
	case UTF8:
		return utf8_len(c);
	case MULE:
		return mule_len(c);
	case SJIS:
		return c >= 0xa1 && c <= 0xdf ? 1 : 2; /* half-width katakana */
	case GB18030:
		return end - p > 1 && p[1] >= '0' && p[1] <= '9' ? 4 : 2;
	}
	return 1;
}

size_t
sql_char_len(enum sql_encoding e, const char *p, const char *end)
{
	unsigned char c = (unsigned char)*p;
	size_t n;

	if (c < 0x80)
		return 1;
	n = wanted_len(encodings[e].measure, c, p, end);
	return n <= (size_t)(end - p) ? n : (size_t)(end - p);
}

size_t
sql_char_count(enum sql_encoding e, const char *p, const char *end)
{
	size_t n = 0;

	for (; p < end; p += sql_char_len(e, p, end))
		n++;
	return n;
}

size_t
sql_char_clip(enum sql_encoding e, const char *p, size_t len, size_t max)
{
	size_t at = 0;

	if (len <= max)
		return len;
	for (;;) {
		size_t n = sql_char_len(e, p + at, p + len);

		if (at + n > max)
			return at;
		at += n;
	}
}
