#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <libpq-fe.h>

#include "base/arena.h"
#include "router/sql/stmt.h"
#include "tests/unit/router/sql/scan_compare.h"

/* libpq knows PostgreSQL's names and lengths. */
int pg_char_to_encoding(const char *name);
const char *pg_encoding_to_char(int encoding);

static const char *const fragments[] = {"a", "A1$b", "_x", "select", "\xc3\xa9", "e", "E",
    "b", "x", "n", "N", "u", "U", "u&", "'x'", "'it''s'", "''", "'a\\'", "e'a\\'b'",
    "E'\\\\'", "E'\\n\\101\\x41'", "b'01'", "B''", "x'1F'", "X'zz'", "n'q'", "N'q'",
    "u&'d\\0061t'", "U&'x'", "u&\"d\\0061t\"", "U&\"q\"", "\"Q\"", "\"a\"\"b\"", "$$d$$",
    "$t$ $$ $t$", "$t$a$t $t$", "$_1$'$_1$", "$", "$a", "$1", "$12", "$1$", "$$", "1",
    "12", "0", "007", "2147483647", "2147483648", "9223372036854775808",
    "99999999999999999999", "1.", ".5", "1.5", "1e10", "1E+5", "1.e-3", ".5e1", "1..2",
    "1...2", ".", "..", "...", "1_000", "0x1F", "1e", "1e+", "1.5.3", "+", "-", "*", "/",
    "%", "^", "<", ">", "=", "<=", ">=", "<>", "!=", "=>", "!==", "<=>", "=-", "<-",
    "<--", "@-", "@+", "|-", "||", "->", "->>", "#>", "~*", "!~", "?", "?|", "@>", "<@",
    "*-", "+-", "-+", "*+-+", "/-", "*/", "//*c*/", "-/*c*/-", "--c\n", "--", "--\r",
    "/*c*/", "/* /* n */ */", "/**/", "/***/", "/*/*/*/**/*/*/", "/*", "(", ")", "[", "]",
    ",", ";", ":", "::", ":=", "::=", ":::", "{", "}", "\\", "#", "~", "&", "|", "`", "!",
    "@", "\n", "\t", "\f", "\r", "\v", "'", "\"", "\"\"", "e'", "b'1", "x'", "U&'",
    "U&\"", "$q$", "E'\\", "E'\\'", "uescape '!'", "\x7f", "\x01"};

static const char *const texts[] = {"", " ", ";", "SELECT 1", "select 'a'\n'b'",
    "select 'a' 'b'", "select 'a' \t\n\r\f 'b'", "select 'a'\r'b'",
    "select 'a' /* c */ \n'b'", "select 'a'\n/*c*/'b'", "select 'a' -- c\n'b'",
    "select 'a'\n -- c\n 'b'", "select 'a'\n -- c", "select 'a'\n--'b'",
    "select 'a'\n\n\n", "select e'a\\''\n'b\\'c'", "select 'a'\ne'b'", "select b'1'\n'0'",
    "select x'1'\n'0' , 5", "select b'10''01'", "select u&'a'\n'b' uescape '!'",
    "select n'a'\n'b'", "select $$a$$\n'b'", "select 'a'\n$$b$$", "select \"a\"\n\"b\"",
    "select $a$ $b$ $a$", "select $a$ $$ $A$ $a$", "select $a$$a$", "select $a$ $a$$a$",
    "select $a1b$x$a1b$", "select $1a$x$1a$", "select a$$b$$", "select a$1", "select 1$1",
    "select $$$$$$", "select $a$x$ab$ $a$", "select $\xc3\xa9$q$\xc3\xa9$", "select -1",
    "select --1", "select - -1", "select 1-1", "select 1--1", "select a=-1",
    "select a<-1", "select a@-1", "select a@-@1", "select a*-1", "select a<>-1",
    "select a!=-1", "select a>=-1", "select a=>-1", "select a<=+-+1", "select a ~-1",
    "select a->-1", "select a->>'b'", "select a#-'{b}'", "select a||-1",
    "select 1/*c*/+2", "select 1+/*c*/2", "select 1+--c\n2", "select a|/*c*/b",
    "select a+/-b", "select a-/*", "select 5!", "select !!5", "select @ -5",
    "select |/ 25", "select ||/ 27", "select a[1:2]", "select a[1::int]",
    "select a[b::int:c]", "select a[:1]", "f(a:=1)", "f(a=>1)", "f(a := $1::int)",
    "a::int", "a:: int", "a : : int", "1::int", "'1'::int", "$1::int",
    "for i in 1..10 loop", "1.2..3", "1.2.3.4", "a.b.c", "a.*", "a . b", "1.a", "1.e",
    "1.e5x", "1e5e5", ".5a", "5a", "5_5", "5$", "$5$6", "$5x", "1 a", "0b11", "0o17",
    "1e-", "1e-5", "1E5", "1.E5", "00000000000000000000001", "2147483647", "2147483648",
    "-2147483648", "9223372036854775807", "/* a */ select /* b /* c */ d */ 1 -- e",
    "/* ' */ select '/*' , '*/'", "-- '\nselect 1", "/* unterminated", "/* /* half */",
    "'unterminated", "\"unterminated", "$x$unterminated", "e'unt\\'", "b'unt", "x'unt",
    "u&'unt", "u&\"unt", "\"\"", "u&\"\"", "select \"\" from t", "select 'a\nb\nc'",
    "select E'a\\\nb'", "select E'\\u0041\\U00000041'", "select E'\\u12'",
    "select E'\\uD83D\\uDE00'", "select E'\\400'", "select E'\\xff'", "select E'\\0'",
    "a+++++++b", "a+++++++@b", "a-------b",
    "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@",
    "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@",
    "++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++",
    "================================================================",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 5;",
    "INSERT INTO t VALUES (1,'a',NULL),(2,E'b\\'c',TRUE);",
    "select * from t where a ? 'b' and c ?| array['x']", "\xef\xbb\xbfselect 1",
    "select \xff", "select '\xff'", "select \"\xff\""};

static void
test_texts(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		bad += !same_as_postgres(texts[i]);
	assert_int_equal(bad, 0);
}

static void
test_pairs(void **state)
{
	static const char *const between[] = {"", " ", "\n", "/**/", "--\n"};
	size_t n = sizeof fragments / sizeof *fragments;
	char text[200];
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			for (size_t k = 0; k < sizeof between / sizeof *between; k++) {
				snprintf(text, sizeof text, "%s%s%s", fragments[i],
				    between[k], fragments[j]);
				bad += !same_as_postgres(text);
			}
	assert_int_equal(bad, 0);
}

/* Four fragments at random, from a fixed seed. */
static void
test_random(void **state)
{
	size_t n = sizeof fragments / sizeof *fragments;
	uint64_t seed = 12345;
	char text[400];
	int bad = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		text[0] = '\0';
		for (int j = 0; j < 5; j++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			strcat(text, fragments[(seed >> 33) % n]);
			if (seed >> 62 == 0)
				strcat(text, " ");
		}
		bad += !same_as_postgres(text);
	}
	assert_int_equal(bad, 0);
}

static enum token_kind
first_token(const char *text, enum sql_encoding e, bool standard_strings, size_t *len)
{
	char *own = malloc(strlen(text) + 1); /* without slack, for AddressSanitizer */
	size_t n = strlen(text);
	struct lexer lx;
	struct token t;

	memcpy(own, text, n);
	own = realloc(own, n + (n == 0));
	lexer_init(&lx, (struct slice){own, n}, e, standard_strings);
	lexer_next(&lx, &t);
	*len = (size_t)(t.end - t.start);
	free(own);
	return t.kind;
}

static void
check_first(
    const char *text, enum sql_encoding e, bool std, enum token_kind kind, size_t len)
{
	size_t n;

	assert_int_equal(first_token(text, e, std, &n), kind);
	assert_int_equal(n, len);
}

static void
test_standard_strings_off(void **state)
{
	(void)state;
	check_first("'a\\'b' c", ENC_UTF8, false, TOK_ESTRING, 6);
	check_first("'a\\'b' c", ENC_UTF8, true, TOK_STRING, 4);
	check_first("'a\\\\' c", ENC_UTF8, false, TOK_ESTRING, 5);
	check_first("'a'\n'b\\'c'", ENC_UTF8, false, TOK_ESTRING, 10);
	check_first("'a\\'", ENC_UTF8, false, TOK_ERROR, 4);
	check_first("u&'a\\'", ENC_UTF8, false, TOK_USTRING, 6);
	check_first("$$a\\$$", ENC_UTF8, false, TOK_DOLLAR, 6);
}

/* libpg_query does not know this; PostgreSQL's grammar of white space between pieces
 * does. */
static void
test_string_over_comment(void **state)
{
	(void)state;
	check_first("'a' --x\n'b' c", ENC_UTF8, true, TOK_STRING, 11);
	check_first("'a'\n--x\n'b' c", ENC_UTF8, true, TOK_STRING, 11);
	check_first("'a'\n--x'b' c", ENC_UTF8, true, TOK_STRING, 3);
	check_first("'a' /*\n*/ 'b' c", ENC_UTF8, true, TOK_STRING, 3);
}

static void
test_by_characters(void **state)
{
	(void)state;
	/* 95 5C is one character of SJIS; as bytes its second half would escape the quote
	 */
	check_first("E'\x95\x5c' c", ENC_SJIS, true, TOK_ESTRING, 5);
	check_first("E'\x95\x5c' c'", ENC_UTF8, true, TOK_ESTRING, 8);
	check_first("'\x95\x5c' c", ENC_SJIS, false, TOK_ESTRING, 4);
	check_first("E'\\\x95\x5c' c", ENC_SJIS, true, TOK_ESTRING, 6);
	/* A1 is a whole character of SJIS, half a one of BIG5 */
	check_first("E'\xa1\x5c'' c", ENC_SJIS, true, TOK_ESTRING, 6);
	check_first("E'\xa1\x5c' c", ENC_BIG5, true, TOK_ESTRING, 5);
	/* names go on over the second halves [ and ` */
	check_first("a\x81[b c", ENC_SJIS, true, TOK_IDENT, 4);
	check_first("\x81`.x", ENC_GBK, true, TOK_IDENT, 2);
	check_first("$\x81|$ $ $\x81|$ x", ENC_BIG5, true, TOK_DOLLAR, 11);
	/* four bytes in GB18030; cut off at the end of the text */
	check_first("E'\x81\x30\x81\x30\\'' c", ENC_GB18030, true, TOK_ESTRING, 9);
	check_first("E'\x81", ENC_GB18030, true, TOK_ERROR, 3);
	check_first("\x81", ENC_UHC, true, TOK_IDENT, 1);
	check_first("\x8f\xa1", ENC_JOHAB, true, TOK_IDENT, 2);
}

static void
test_hints(void **state)
{
	struct slice h;

	(void)state;
	assert_true(lexer_comment_hint(SLICE_LIT("/* weir: primary */"), &h));
	assert_true(slice_eq_str(h, "primary"));
	assert_true(lexer_comment_hint(SLICE_LIT("/*WEIR:shard=a b*/"), &h));
	assert_true(slice_eq_str(h, "shard=a b"));
	assert_true(lexer_comment_hint(SLICE_LIT("-- weir: replica"), &h));
	assert_true(slice_eq_str(h, "replica"));
	assert_true(lexer_comment_hint(SLICE_LIT("/*weir:*/"), &h));
	assert_int_equal(h.len, 0);
	assert_false(lexer_comment_hint(SLICE_LIT("/**/"), &h));
	assert_false(lexer_comment_hint(SLICE_LIT("/*weir*/"), &h));
	assert_false(lexer_comment_hint(SLICE_LIT("/* my weir: primary */"), &h));
	assert_false(lexer_comment_hint(SLICE_LIT("--"), &h));
}

/* A pathological text takes time in proportion to its length. */
static void
test_linear(void **state)
{
	static const char *const pieces[] = {
	    "$a$ ", "$a", "'a' ", "'a'\n--\n", "/*", "@", "((", "\"a\"", "1.", "e'\\"};
	size_t len = 4 << 20;
	char *text = malloc(len);
	struct lexer lx;
	struct token t;

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		size_t n = strlen(pieces[i]);

		for (size_t at = 0; at + n <= len; at += n)
			memcpy(text + at, pieces[i], n);
		memset(text + len - len % n, ' ', len % n);
		lexer_init(&lx, (struct slice){text, len}, ENC_UTF8, true);
		while (lexer_next(&lx, &t) > TOK_ERROR)
			continue;
	}
	free(text);
}

/* ---- encodings ---- */

static void
test_encoding_names(void **state)
{
	static const char *const names[] = {"utf-8", "UTF8", "Unicode", "utf8",
	    "sql_ascii", "latin1", "LATIN-1", "iso-8859-1", "iso8859-15", "ISO_8859_5",
	    "iso88595", "win1252", "windows-1252", "WIN", "koi8", "koi8-r", "KOI8U",
	    "sjis", "Shift_JIS", "mskanji", "shiftjis2004", "big5", "gbk", "gb18030",
	    "uhc", "johab", "win949", "win950", "windows932", "windows936", "euc_jp",
	    "eucjp", "euc-kr", "euc_tw", "euccn", "euc_jis_2004", "mule_internal", "alt",
	    "abc", "tcvn", "vscii", "tcvn5712", "win874", "windows866", "latin10",
	    "iso885916", "", "-", "nonsense", "utf16", "utf", "iso", "windows1249",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	enum sql_encoding e;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		int theirs = pg_char_to_encoding(names[i]);

		assert_int_equal(sql_encoding_parse(names[i], &e), theirs >= 0);
		if (theirs >= 0)
			assert_string_equal(
			    sql_encoding_name(e), pg_encoding_to_char(theirs));
	}
	for (int i = 0; i < ENC_COUNT; i++) {
		assert_true(sql_encoding_parse(pg_encoding_to_char(i), &e));
		assert_string_equal(sql_encoding_name(e), pg_encoding_to_char(i));
	}
}

static void
test_encoding_lengths(void **state)
{
	(void)state;
	for (int e = 0; e < ENC_COUNT; e++) {
		int theirs = pg_char_to_encoding(sql_encoding_name((enum sql_encoding)e));

		for (int c = 1; c < 256; c++)
			for (int second = 1; second < 256; second += 5) {
				char s[8] = {(char)c, (char)second, 'a', 'b', 'c', 0};

				if ((int)sql_char_len((enum sql_encoding)e, s, s + 5) !=
				    PQmblen(s, theirs))
					fail_msg("%s: %x %x",
					    sql_encoding_name((enum sql_encoding)e), c,
					    second);
				assert_int_equal(
				    sql_char_len((enum sql_encoding)e, s, s + 1), 1);
			}
	}
	assert_int_equal(sql_char_count(ENC_UTF8, "a\xc3\xa9z", "a\xc3\xa9z" + 4), 3);
	assert_int_equal(sql_char_clip(ENC_UTF8, "a\xc3\xa9z", 4, 2), 1);
	assert_int_equal(sql_char_clip(ENC_UTF8, "a\xc3\xa9z", 4, 3), 3);
	assert_int_equal(sql_char_clip(ENC_UTF8, "a\xc3\xa9z", 4, 9), 4);
}

/* ---- values ---- */

static void
check_value(enum const_class class, const char *raw, const char *value)
{
	struct sql_const c = {class, slice_of(raw)};
	struct arena a;
	struct slice out;
	struct err err = {0};

	arena_init(&a);
	if (sql_const_decode(&a, &c, &out, &err) != RC_OK)
		fail_msg("%s: %s", raw, err.msg);
	if (!slice_eq_str(out, value))
		fail_msg("%s: got <%.*s>", raw, (int)out.len, out.ptr);
	arena_reset(&a);
}

static void
check_refused(enum const_class class, const char *raw, const char *sqlstate)
{
	struct sql_const c = {class, slice_of(raw)};
	struct arena a;
	struct slice out;
	struct err err = {0};

	arena_init(&a);
	if (sql_const_decode(&a, &c, &out, &err) == RC_OK)
		fail_msg("%s is taken", raw);
	assert_string_equal(err.sqlstate, sqlstate);
	arena_reset(&a);
}

static void
test_values(void **state)
{
	(void)state;
	check_value(CONST_STRING, "'it''s'", "it's");
	check_value(CONST_STRING, "''", "");
	check_value(CONST_STRING, "''''", "'");
	check_value(CONST_STRING, "'a\\n'", "a\\n");
	check_value(CONST_STRING, "'a'\n  'b' -- c\n'''c'", "ab'c");
	check_value(CONST_STRING, "$$a'b\\$$", "a'b\\");
	check_value(CONST_STRING, "$x$$$$x$", "$$");
	check_value(CONST_STRING, "$$$$", "");
	check_value(CONST_ESTRING, "E'a\\'b''c\\\\'", "a'b'c\\");
	check_value(CONST_ESTRING, "e'\\b\\f\\n\\r\\t\\q\\e'", "\b\f\n\r\tqe");
	check_value(CONST_ESTRING, "E'\\101\\60\\7'", "A0\7");
	check_value(CONST_ESTRING, "E'\\x41\\x4\\xg\\x4G'", "A\4xg\4G");
	check_value(CONST_ESTRING, "E'\\u00e9\\U0001F600\\u0041'",
	    "\xc3\xa9\xf0\x9f\x98\x80"
	    "A");
	check_value(CONST_ESTRING, "E'\\uD83D\\uDE00'", "\xf0\x9f\x98\x80");
	check_value(CONST_ESTRING, "E'\\uD83D\\U0000DE00'", "\xf0\x9f\x98\x80");
	check_value(CONST_ESTRING, "E'a'\n'\\''", "a'");
	check_value(CONST_ESTRING, "'a\\'b'", "a'b");
	check_value(CONST_STRING, "U&'d\\0061t\\+000061'", "data");
	check_value(CONST_STRING, "u&'\\\\\\D83D\\DE00'", "\\\xf0\x9f\x98\x80");
	check_value(CONST_STRING, "U&'d!0061t!!\\' UESCAPE '!'", "dat!\\");
	check_value(CONST_STRING, "U&'a!0062' UESCAPE E'!'", "ab");
	check_value(CONST_STRING, "U&'a!0062' UESCAPE $x$!$x$", "ab");
	check_value(CONST_STRING, "U&'!0061' /* c */ uescape -- d\n '!'", "a");
	check_value(CONST_BITS, "B'101'", "101");
	check_value(CONST_BITS, "x'1F'", "00011111");
	check_value(CONST_BITS, "X'1'\n'f'", "00011111");
	check_value(CONST_BITS, "b''", "");
	check_value(CONST_INT4, "007", "7");
	check_value(CONST_INT4, "0", "0");
	check_value(CONST_INT8, "2147483648", "2147483648");
	check_value(CONST_NUMERIC, "1.50", "1.50");
	check_value(CONST_NUMERIC, ".5e3", ".5e3");
}

static void
test_refused_values(void **state)
{
	(void)state;
	check_refused(CONST_ESTRING, "E'\\u12'", "22025");
	check_refused(CONST_ESTRING, "E'\\u'", "22025");
	check_refused(CONST_ESTRING, "E'\\U0011FFFF'", "42601");
	check_refused(CONST_ESTRING, "E'\\uD83D'", "42601");
	check_refused(CONST_ESTRING, "E'\\uDE00'", "42601");
	check_refused(CONST_ESTRING, "E'\\uD83D\\n'", "42601");
	check_refused(CONST_ESTRING, "E'\\0'", "22021");
	check_refused(CONST_ESTRING, "E'\\x00'", "22021");
	check_refused(CONST_STRING, "U&'\\06'", "42601");
	check_refused(CONST_STRING, "U&'\\0000'", "42601");
	check_refused(CONST_STRING, "U&'a' UESCAPE 'a'", "42601");
	check_refused(CONST_STRING, "U&'a' UESCAPE '!!'", "42601");
	check_refused(CONST_STRING, "U&'a' UESCAPE ''''", "42601");
	check_refused(CONST_STRING, "U&'a' UESCAPE $$$$", "42601");
	check_refused(CONST_STRING, "U&'a' UESCAPE", "42601");
	check_refused(CONST_STRING, "U&'a' UESCAPE 'x", "42601");
	check_refused(CONST_BITS, "B'12'", "22P02");
	check_refused(CONST_BITS, "X'g'", "22P02");
	check_refused(CONST_STRING, "'a", "42601");
	check_refused(CONST_STRING, "(", "42601");
	check_refused(CONST_STRING, "", "42601");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_pairs),
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_standard_strings_off),
	    cmocka_unit_test(test_string_over_comment),
	    cmocka_unit_test(test_by_characters),
	    cmocka_unit_test(test_hints),
	    cmocka_unit_test(test_linear),
	    cmocka_unit_test(test_encoding_names),
	    cmocka_unit_test(test_encoding_lengths),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_refused_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
