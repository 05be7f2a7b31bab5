#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "wire/secret.h"

static struct err err;

#define PENCIL                                          \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"  \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SECRET_OF_JOE "md5c59ec932d911ffdf487595b5a2adf973" /* "secret" */

static struct secret
parsed(const char *text)
{
	struct secret s;

	assert_int_equal(secret_parse(slice_of(text), &s, &err), RC_OK);
	return s;
}

static void
kinds(void **state)
{
	static const struct {
		const char *text;
		enum secret_kind kind;
	} t[] = {{"", SECRET_NONE}, {"secret", SECRET_PLAIN}, {SECRET_OF_JOE, SECRET_MD5},
	    {PENCIL, SECRET_SCRAM}, {"md5", SECRET_PLAIN},
	    {"md5C59EC932D911FFDF487595B5A2ADF973", SECRET_PLAIN},
	    {"md5c59ec932d911ffdf487595b5a2adf97", SECRET_PLAIN},
	    {"md5c59ec932d911ffdf487595b5a2adf9733", SECRET_PLAIN},
	    {"SCRAM-SHA-256", SECRET_PLAIN}};
	struct secret s;

	(void)state;
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		s = parsed(t[i].text);
		assert_int_equal(s.kind, t[i].kind);
		secret_fini(&s);
	}
	assert_int_equal(
	    secret_parse(SLICE_LIT("SCRAM-SHA-256$broken"), &s, &err), RC_ERR);
	assert_null(strstr(err.msg, "broken"));
	assert_int_equal(secret_parse((struct slice){"a\0b", 3}, &s, &err), RC_ERR);
}

static enum rc
check(const char *kept, const char *user, const char *password)
{
	struct secret s = parsed(kept);
	enum rc rc = secret_check(&s, slice_of(user), slice_of(password), &err);

	secret_fini(&s);
	if (rc == RC_ERR)
		assert_string_equal(err.sqlstate, "28P01");
	return rc;
}

static void
clear_passwords_against_all_kinds(void **state)
{
	(void)state;
	assert_int_equal(check("secret", "joe", "secret"), RC_OK);
	assert_int_equal(check("secret", "joe", "Secret"), RC_ERR);
	assert_int_equal(check("secret", "joe", "secrets"), RC_ERR);
	assert_int_equal(check(SECRET_OF_JOE, "joe", "secret"), RC_OK);
	assert_int_equal(check(SECRET_OF_JOE, "jim", "secret"), RC_ERR);
	assert_int_equal(check(PENCIL, "joe", "pencil"), RC_OK);
	assert_int_equal(check(PENCIL, "joe", "pen"), RC_ERR);
	assert_int_equal(check("", "joe", "x"), RC_ERR);
	assert_int_equal(check("", "joe", ""), RC_ERR);
	/* the hash itself is no password */
	assert_int_equal(check(SECRET_OF_JOE, "joe", SECRET_OF_JOE), RC_ERR);
	assert_int_equal(check(PENCIL, "joe", PENCIL), RC_ERR);
}

static void
which_method_can_use_which(void **state)
{
	static const char *const texts[] = {"", "secret", SECRET_OF_JOE, PENCIL};
	static const bool scram_can[] = {false, true, false, true};
	static const bool md5_can[] = {false, true, true, false};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct secret s = parsed(texts[i]);
		const struct scram_secret *scram;
		char hex[MD5_HEX];

		assert_int_equal(
		    secret_scram(&s, &scram, &err), scram_can[i] ? RC_OK : RC_ERR);
		if (!scram_can[i])
			assert_string_equal(err.sqlstate, "28000");
		assert_int_equal(secret_md5(&s, SLICE_LIT("joe"), hex, &err),
		    md5_can[i] ? RC_OK : RC_ERR);
		if (md5_can[i])
			assert_memory_equal(hex, SECRET_OF_JOE + 3, MD5_HEX);
		secret_fini(&s);
	}
}

static void *
ask(void *arg)
{
	const struct scram_secret *scram;
	struct err e;

	if (secret_scram(arg, &scram, &e) != RC_OK)
		return NULL;
	return (void *)(size_t)scram;
}

static void
derived_once_for_all_threads(void **state)
{
	struct secret s = parsed("secret");
	pthread_t t[4];
	void *got[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask, &s), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], &got[i]);
	for (int i = 0; i < 4; i++) {
		assert_non_null(got[i]);
		assert_ptr_equal(got[i], got[0]);
	}
	assert_ptr_equal(ask(&s), got[0]);
	secret_fini(&s);
}

/* ---- files ---- */

static struct secret_file *
file_of(const char *text)
{
	struct secret_file *f;

	if (secret_file_parse(slice_of(text), "users.txt", &f, &err) != RC_OK)
		fail_msg("%s", err.msg);
	return f;
}

static void
files_parse(void **state)
{
	struct secret_file *f =
	    file_of("; users\n"
		    "\n"
		    "\"zoe\" \"" PENCIL "\"\r\n"
		    "  \"joe\"\t\"" SECRET_OF_JOE "\" \"more\" columns ; of them\n"
		    "\t; indented\n"
		    "\"a\"\"b c\" \"p\"\"w;\"\n"
		    "\"empty\" \"\"\n"
		    "\"last\" \"no line end\"");
	const struct secret *s;

	(void)state;
	assert_int_equal(secret_file_count(f), 5);
	assert_string_equal(secret_file_user(f, 0), "a\"b c");
	assert_string_equal(secret_file_user(f, 4), "zoe");
	s = secret_file_find(f, SLICE_LIT("a\"b c"));
	assert_non_null(s);
	assert_string_equal(s->password, "p\"w;");
	assert_int_equal(secret_file_find(f, SLICE_LIT("joe"))->kind, SECRET_MD5);
	assert_int_equal(secret_file_find(f, SLICE_LIT("zoe"))->kind, SECRET_SCRAM);
	assert_int_equal(secret_file_find(f, SLICE_LIT("empty"))->kind, SECRET_NONE);
	assert_string_equal(
	    secret_file_find(f, SLICE_LIT("last"))->password, "no line end");
	assert_null(secret_file_find(f, SLICE_LIT("jo")));
	assert_null(secret_file_find(f, SLICE_LIT("joey")));
	assert_null(secret_file_find(f, SLICE_LIT("Joe")));
	assert_null(secret_file_find(f, (struct slice){"", 0}));
	assert_null(secret_file_find(f, (struct slice){NULL, 0}));
	secret_file_destroy(f);
	f = file_of("");
	assert_int_equal(secret_file_count(f), 0);
	assert_null(secret_file_find(f, SLICE_LIT("joe")));
	secret_file_destroy(f);
	secret_file_destroy(NULL);
}

static void
mistakes_have_their_line(void **state)
{
	static const struct {
		const char *text, *msg;
	} bad[] = {
	    {"joe secret\n", "users.txt:1: a user's name in double quotes expected"},
	    {"\n\n\"joe\" hunter2\n", "users.txt:3: a secret in double quotes expected"},
	    {"\"joe\"", "users.txt:1: a secret in double quotes expected"},
	    {"\"joe\" \"hunter2\n\"jim\" \"x\"\n",
		"users.txt:1: closing double quote is missing"},
	    {"\"joe\" \"x\"\n\"\" \"hunter2\"\n", "users.txt:2: a user's name is empty"},
	    {"\"joe\" \"SCRAM-SHA-256$hunter2\"\n",
		"users.txt:1: iteration count of the SCRAM secret is invalid"},
	    {"\"joe\" \"hunter2\"\n\"jim\" \"x\"\n\"joe\" \"y\"\n",
		"users.txt:3: user \"joe\" stands there twice, first in line 1"},
	};
	struct secret_file *f;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(
		    secret_file_parse(slice_of(bad[i].text), "users.txt", &f, &err),
		    RC_ERR);
		assert_string_equal(err.sqlstate, "F0000");
		assert_string_equal(err.msg, bad[i].msg);
		assert_null(strstr(err.msg, "hunter2"));
		assert_null(f);
	}
	assert_int_equal(
	    secret_file_parse((struct slice){"\"a\0b\" \"x\"", 9}, "users.txt", &f, &err),
	    RC_ERR);
}

static void
every_cut_of_a_file(void **state)
{
	static const char text[] = "; c\n\"a\"\"b\" \"" SECRET_OF_JOE "\" x\n\"c\" \"d\"";
	struct secret_file *f;

	(void)state;
	for (size_t n = 0; n < sizeof text; n++) {
		char *own = malloc(n + 1);

		memcpy(own, text, n);
		if (secret_file_parse((struct slice){own, n}, "x", &f, &err) == RC_OK)
			secret_file_destroy(f);
		free(own);
	}
}

static void
many_users(void **state)
{
	char *text = malloc(40 * 20000), *at = text, name[20];
	struct secret_file *f;

	(void)state;
	for (int i = 0; i < 20000; i++)
		at += sprintf(
		    at, "\"user%d\" \"pw%d\"\n", i * 7919 % 20000, i * 7919 % 20000);
	f = file_of(text);
	assert_int_equal(secret_file_count(f), 20000);
	for (int i = 0; i < 20000; i += 97) {
		const struct secret *s;
		char want[20];

		sprintf(name, "user%d", i);
		sprintf(want, "pw%d", i);
		s = secret_file_find(f, slice_of(name));
		assert_non_null(s);
		assert_string_equal(s->password, want);
	}
	secret_file_destroy(f);
	free(text);
}

static void
from_disk(void **state)
{
	char path[] = "/tmp/weir-users-XXXXXX";
	int fd = mkstemp(path);
	struct secret_file *f;

	(void)state;
	assert_int_equal(write(fd, "\"joe\" \"x\"\n", 10), 10);
	close(fd);
	assert_int_equal(secret_file_load(path, &f, &err), RC_OK);
	assert_non_null(secret_file_find(f, SLICE_LIT("joe")));
	secret_file_destroy(f);
	unlink(path);
	assert_int_equal(secret_file_load(path, &f, &err), RC_ERR);
	assert_non_null(strstr(err.msg, "No such file"));
	assert_int_equal(secret_file_load("/tmp", &f, &err), RC_ERR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kinds),
	    cmocka_unit_test(clear_passwords_against_all_kinds),
	    cmocka_unit_test(which_method_can_use_which),
	    cmocka_unit_test(derived_once_for_all_threads),
	    cmocka_unit_test(files_parse),
	    cmocka_unit_test(mistakes_have_their_line),
	    cmocka_unit_test(every_cut_of_a_file),
	    cmocka_unit_test(many_users),
	    cmocka_unit_test(from_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
