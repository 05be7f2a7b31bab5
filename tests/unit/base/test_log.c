#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/log.h"

static char path[] = "/tmp/weir-test-log-XXXXXX";
static char text[1 << 20];

static void
start(enum log_format f, unsigned rate)
{
	assert_int_equal(truncate(path, 0), 0);
	assert_true(log_open(path));
	log_setup(f, LOG_DEBUG, rate);
}

/* What was logged since start(). */
static const char *
logged(void)
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

/* Behind the time, which is checked for its form. */
static const char *
logged_behind_time(void)
{
	const char *t = logged();
	static const char form[] = "time=dddd-dd-ddTdd:dd:dd.dddZ ";

	for (size_t i = 0; form[i] != '\0'; i++)
		assert_true(
		    form[i] == 'd' ? t[i] >= '0' && t[i] <= '9' : t[i] == form[i]);
	return t + strlen(form);
}

static void
test_logfmt(void **state)
{
	(void)state;
	start(LOG_LOGFMT, 0);
	log_line(LOG_NOTICE, "client connected", "user", "ann", "database", NULL, "n",
	    LOG_NUM(-5), "empty", "", "eq", "a=b", "q", "say \"hi\" \\", "ctl",
	    "a\nb\tc\001\x7f", NULL);
	assert_string_equal(logged_behind_time(),
	    "level=notice msg=\"client connected\" user=ann n=-5 empty=\"\" eq=\"a=b\" "
	    "q=\"say \\\"hi\\\" \\\\\" ctl=\"a\\nb\\tc\\u0001\\u007f\"\n");
}

static void
test_bad_utf8(void **state)
{
	(void)state;
	start(LOG_LOGFMT, 0);
	log_line(LOG_INFO, "m", "a",
	    "x\xff\xc3(\xc3\xa9\xed\xa0\x80\xc0\xaf\xf0\x9f\x98\x80\xc2\x9b\xe2\x82",
	    NULL);
#define R "\xef\xbf\xbd"
	assert_string_equal(logged_behind_time(),
	    "level=info msg=m a=\"x" R R "(\xc3\xa9" R R R R R
	    "\xf0\x9f\x98\x80\\u009b" R R "\"\n");
}

/* Every sequence of bytes gives a line that a JSON parser takes, and one line only. */
static void
test_json_of_anything(void **state)
{
	(void)state;
	srand(7);
	start(LOG_JSON, 0);
	for (int i = 0; i < 2000; i++) {
		char value[40];
		int n = rand() % 39;

		for (int j = 0; j < n; j++)
			value[j] = (char)(1 + rand() % 255);
		value[n] = '\0';
		log_line(LOG_ERROR, "m", "v", value, NULL);
	}
	logged();
	int lines = 0;
	for (char *p = text, *end; (end = strchr(p, '\n')) != NULL; p = end + 1) {
		json_t *j = json_loadb(p, (size_t)(end - p), 0, NULL);

		assert_non_null(j);
		assert_string_equal(
		    json_string_value(json_object_get(j, "level")), "error");
		assert_non_null(json_string_value(json_object_get(j, "v")));
		json_decref(j);
		lines++;
	}
	assert_int_equal(lines, 2000);
}

static void
test_long_values_are_cut(void **state)
{
	static char value[30000];

	(void)state;
	for (int quote = 0; quote < 2; quote++)
		for (size_t n = 8000; n < 8300; n += 7) {
			json_t *j;

			memset(value, quote ? '\x01' : 'x', sizeof value);
			value[n] = '\0';
			start(LOG_JSON, 0);
			log_line(LOG_INFO, "m", "v", value, "w", value, "x", "y", NULL);
			j = json_loads(logged(), 0, NULL);
			assert_non_null(j);
			assert_true(strlen(text) <= 8192);
			json_decref(j);
			start(LOG_LOGFMT, 0);
			log_line(LOG_INFO, "m", "v", value, "w", value, NULL);
			assert_true(text[strlen(logged()) - 1] == '\n');
			assert_true(strlen(text) <= 8192);
		}
}

static void
test_levels(void **state)
{
	(void)state;
	start(LOG_LOGFMT, 0);
	log_setup(LOG_LOGFMT, LOG_WARNING, 0);
	assert_false(log_enabled(LOG_INFO));
	assert_true(log_enabled(LOG_ERROR));
	log_line(LOG_INFO, "no", NULL);
	assert_string_equal(logged(), "");
}

static void
test_reopen_and_stderr(void **state)
{
	char moved[64];

	(void)state;
	start(LOG_LOGFMT, 0);
	log_line(LOG_INFO, "one", NULL);
	snprintf(moved, sizeof moved, "%s.1", path);
	assert_int_equal(rename(path, moved), 0);
	log_line(LOG_INFO, "two", NULL);
	assert_true(log_open(path));
	log_line(LOG_INFO, "three", NULL);
	assert_string_equal(logged_behind_time(), "level=info msg=three\n");
	assert_false(log_open("/nonexistent/x"));
	assert_true(log_open(NULL));
	assert_true(log_open(path));
	unlink(moved);
}

static void *
flood(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++)
		log_line(LOG_INFO, "flood", NULL);
	return NULL;
}

/* What is written and what is said to be left out add up to what was logged. */
static void
test_rate(void **state)
{
	pthread_t t[3];
	long said = 0, lines = 0, at_most = 0;

	(void)state;
	start(LOG_LOGFMT, 10);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, flood, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	sleep(1);
	log_line(LOG_INFO, "flood", NULL);
	logged();
	for (char *p = text, *end; (end = strchr(p, '\n')) != NULL; p = end + 1) {
		char *n = strstr(p, "left_out=");

		if (n != NULL && n < end)
			said += atol(n + 9);
		else
			lines++;
	}
	assert_int_equal(said + lines, 6001);
	at_most = 10 * 60; /* a slow machine may need many seconds */
	assert_true(lines >= 10 && lines <= at_most);
}

static void
test_fatal_is_never_left_out(void **state)
{
	(void)state;
	start(LOG_LOGFMT, 1);
	log_line(LOG_INFO, "a", NULL);
	log_line(LOG_INFO, "b", NULL);
	log_line(LOG_FATAL, "the end", NULL);
	assert_non_null(strstr(logged(), "level=fatal msg=\"the end\"\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_logfmt),
	    cmocka_unit_test(test_bad_utf8),
	    cmocka_unit_test(test_json_of_anything),
	    cmocka_unit_test(test_long_values_are_cut),
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_reopen_and_stderr),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_fatal_is_never_left_out),
	};
	int failed;

	close(mkstemp(path));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
