/* router/sql/encoding.h: client encodings, as far as a lexer must know them.
 * Thread:  any; pure.
 * Why:     in the encodings that PostgreSQL takes from clients only, a byte that looks
 *          like a backslash or a bracket can be the second half of a character; the
 *          lexer steps over whole characters there.
 * Source:  lengths and names are those of PostgreSQL 15 (pg_encoding_mblen,
 *          pg_char_to_encoding). */
#ifndef WEIR_ROUTER_SQL_ENCODING_H
#define WEIR_ROUTER_SQL_ENCODING_H

#include <stdbool.h>
#include <stddef.h>

/* X(identifier, canonical name, how its characters are measured, from clients only) */
#define SQL_ENCODINGS(X)                               \
	X(SQL_ASCII, "SQL_ASCII", SINGLE, false)       \
	X(EUC_JP, "EUC_JP", EUC, false)                \
	X(EUC_CN, "EUC_CN", EUC_CN, false)             \
	X(EUC_KR, "EUC_KR", EUC, false)                \
	X(EUC_TW, "EUC_TW", EUC_TW, false)             \
	X(EUC_JIS_2004, "EUC_JIS_2004", EUC, false)    \
	X(UTF8, "UTF8", UTF8, false)                   \
	X(MULE_INTERNAL, "MULE_INTERNAL", MULE, false) \
	X(LATIN1, "LATIN1", SINGLE, false)             \
	X(LATIN2, "LATIN2", SINGLE, false)             \
	X(LATIN3, "LATIN3", SINGLE, false)             \
	X(LATIN4, "LATIN4", SINGLE, false)             \
	X(LATIN5, "LATIN5", SINGLE, false)             \
	X(LATIN6, "LATIN6", SINGLE, false)             \
	X(LATIN7, "LATIN7", SINGLE, false)             \
	X(LATIN8, "LATIN8", SINGLE, false)             \
	X(LATIN9, "LATIN9", SINGLE, false)             \
	X(LATIN10, "LATIN10", SINGLE, false)           \
	X(WIN1256, "WIN1256", SINGLE, false)           \
	X(WIN1258, "WIN1258", SINGLE, false)           \
	X(WIN866, "WIN866", SINGLE, false)             \
	X(WIN874, "WIN874", SINGLE, false)             \
	X(KOI8R, "KOI8R", SINGLE, false)               \
	X(WIN1251, "WIN1251", SINGLE, false)           \
	X(WIN1252, "WIN1252", SINGLE, false)           \
	X(ISO_8859_5, "ISO_8859_5", SINGLE, false)     \
	X(ISO_8859_6, "ISO_8859_6", SINGLE, false)     \
	X(ISO_8859_7, "ISO_8859_7", SINGLE, false)     \
	X(ISO_8859_8, "ISO_8859_8", SINGLE, false)     \
	X(WIN1250, "WIN1250", SINGLE, false)           \
	X(WIN1253, "WIN1253", SINGLE, false)           \
	X(WIN1254, "WIN1254", SINGLE, false)           \
	X(WIN1255, "WIN1255", SINGLE, false)           \
	X(WIN1257, "WIN1257", SINGLE, false)           \
	X(KOI8U, "KOI8U", SINGLE, false)               \
	X(SJIS, "SJIS", SJIS, true)                    \
	X(BIG5, "BIG5", PAIR, true)                    \
	X(GBK, "GBK", PAIR, true)                      \
	X(UHC, "UHC", PAIR, true)                      \
	X(GB18030, "GB18030", GB18030, true)           \
	X(JOHAB, "JOHAB", EUC, true)                   \
	X(SHIFT_JIS_2004, "SHIFT_JIS_2004", SJIS, true)

enum sql_encoding {
#define X(id, name, measure, client_only) ENC_##id,
	SQL_ENCODINGS(X)
#undef X
	    ENC_COUNT
};

/* Any spelling that PostgreSQL takes ("utf-8", "Unicode", "windows-1252"). false: not an
 * encoding. */
bool sql_encoding_parse(const char *name, enum sql_encoding *out);
/* As PostgreSQL reports it in client_encoding. */
const char *sql_encoding_name(enum sql_encoding);
/* SJIS, BIG5, GBK, UHC, GB18030, JOHAB, SHIFT_JIS_2004. */
bool sql_encoding_client_only(enum sql_encoding);
/* Bytes of the character at p, at least 1, never beyond end; p < end. Trusts the first
 * byte (GB18030: two). */
size_t sql_char_len(enum sql_encoding, const char *p, const char *end);
/* Characters in [p, end). */
size_t sql_char_count(enum sql_encoding, const char *p, const char *end);
/* The longest prefix of [p, p+len) that is at most max bytes and ends between characters.
 */
size_t sql_char_clip(enum sql_encoding, const char *p, size_t len, size_t max);

#endif
