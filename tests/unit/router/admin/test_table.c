/* Answers of the admin console: columns, rows, and the text of the metrics. */
#include "router/admin/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/admin/metrics_text.h"

/* ---- columns ---- */

static void
begins_with(enum table_id t, const char *names)
{
	char copy[1000], *p = copy, *name;
	int i = 0;

	snprintf(copy, sizeof copy, "%s", names);
	while ((name = strsep(&p, " ")) != NULL)
		assert_string_equal(table_column(t, i++), name);
}

/* What PgBouncer's monitoring reads, in its order. */
static void
test_columns(void **state)
{
	(void)state;
	begins_with(TABLE_pools,
	    "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active "
	    "sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode "
	    "load_balance_hosts");
	begins_with(TABLE_stats,
	    "database total_server_assignment_count total_xact_count total_query_count total_received "
	    "total_sent total_xact_time total_query_time total_wait_time total_client_parse_count "
	    "total_server_parse_count total_bind_count avg_server_assignment_count avg_xact_count avg_query_count "
	    "avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time");
	begins_with(TABLE_clients,
	    "type user database replication state addr port local_addr local_port connect_time "
	    "request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id");
	assert_int_equal(table_columns(TABLE_none), 0);
	assert_int_equal(table_columns(TABLE_version), 1);
}

static void
test_describe(void **state)
{
	struct msgbuf out;
	struct msgread r;

	(void)state;
	msgbuf_init(&out);
	table_describe(TABLE_none, &out);
	assert_int_equal(out.len, 5);
	assert_int_equal(out.data[0], 'n');
	msgbuf_clear(&out);
	table_describe(TABLE_lists, &out);
	assert_int_equal(out.data[0], 'T');
	r = msgread_of((struct slice){out.data + 5, out.len - 5});
	assert_int_equal(read_int16(&r), 2);
	assert_true(slice_eq_str(read_str(&r), "list"));
	msgbuf_fini(&out);
}

/* ---- rows ---- */

static void
value_is(struct msgread *r, const char *value)
{
	int32_t len = read_int32(r);

	if (value == NULL) {
		assert_int_equal(len, -1);
		return;
	}
	assert_true(len >= 0);
	if (!slice_eq_str(read_bytes(r, (size_t)len), value))
		fail_msg("not %s", value);
}

static void
test_rows(void **state)
{
	struct msgbuf out;
	struct msgread r;
	struct rows rows;

	(void)state;
	msgbuf_init(&out);
	rows_init(&rows, TABLE_replicas, &out);
	row_text(&rows, "shop");
	row_slice(&rows, (struct slice){"s1xx", 2});
	row_int(&rows, -1);
	row_null(&rows);
	row_fmt(&rows, "%d-%s", 7, "x");
	row_uint(&rows, UINT64_MAX);
	row_slice(&rows, (struct slice){NULL, 0});
	row_int(&rows, INT64_MIN);
	row_int(&rows, 0);
	row_seconds(&rows, 1000001);
	row_time(&rows, 0);
	row_lsn(&rows, 0x16b374d848u);
	row_lsn(&rows, 0);
	row_time(&rows, 1700000000000000u);
	row_seconds(&rows, 0);
	row_end(&rows);
	rows_fini(&rows);
	assert_int_equal(out.data[0], 'D');
	r = msgread_of((struct slice){out.data + 5, out.len - 5});
	assert_int_equal(read_int16(&r), table_columns(TABLE_replicas));
	value_is(&r, "shop");
	value_is(&r, "s1");
	value_is(&r, "-1");
	value_is(&r, NULL);
	value_is(&r, "7-x");
	value_is(&r, "18446744073709551615");
	value_is(&r, "");
	value_is(&r, "-9223372036854775808");
	value_is(&r, "0");
	value_is(&r, "1.000001");
	value_is(&r, NULL);
	value_is(&r, "16/B374D848");
	value_is(&r, NULL);
	value_is(&r, "2023-11-14 22:13:20 UTC");
	value_is(&r, "0.000000");
	assert_false(r.bad);
	assert_int_equal(read_left(&r), 0);
	msgbuf_fini(&out);
}

static void
test_utf8(void **state)
{
	struct msgbuf out;
	struct msgread r;
	struct rows rows;

	(void)state;
	assert_int_equal(utf8_char("a"), 1);
	assert_int_equal(utf8_char("\xc3\xa9"), 2);
	assert_int_equal(utf8_char("\xe2\x82\xac"), 3);
	assert_int_equal(utf8_char("\xf0\x9f\x98\x80"), 4);
	for (const char *const *p = (const char *const[]){"\xff", "\xc3", "\xc0\x80",
		 "\xe0\x80\x80", "\xed\xa0\x80", "\xe2\x82", "\xf4\x90\x80\x80", "\x80",
		 "\xf0\x9f\x98", NULL};
	     *p; p++)
		assert_int_equal(utf8_char(*p), 0);
	msgbuf_init(&out);
	rows_init(&rows, TABLE_version, &out);
	row_text(&rows, "a\xff\xc3\xa9\xe2\x82z");
	row_end(&rows);
	r = msgread_of((struct slice){out.data + 7, out.len - 7});
	value_is(&r, "a?\xc3\xa9??z");
	rows_fini(&rows);
	msgbuf_fini(&out);
}

/* ---- metrics ---- */

static void
test_labels(void **state)
{
	struct text t = {NULL, 0, 0};

	(void)state;
	text_add(&t, "x{a=\"");
	text_label(&t, "a\"b\\c\nd\xff\xc3\xa9");
	text_add(&t, "\"} %d\n", 1);
	assert_string_equal(t.p, "x{a=\"a\\\"b\\\\c\\nd?\xc3\xa9\"} 1\n");
	free(t.p);
}

static void
test_histogram(void **state)
{
	struct text t = {NULL, 0, 0};
	struct histogram h = {0};

	(void)state;
	histogram_record(&h, 2);
	histogram_record(&h, 1000);
	histogram_record(&h, UINT64_C(1) << 50);
	metrics_histogram(&t, "weir_x_seconds", "shop", &h);
	assert_non_null(
	    strstr(t.p, "weir_x_seconds_bucket{database=\"shop\",le=\"0.000003\"} 1\n"));
	assert_non_null(
	    strstr(t.p, "weir_x_seconds_bucket{database=\"shop\",le=\"0.001023\"} 2\n"));
	assert_non_null(
	    strstr(t.p, "weir_x_seconds_bucket{database=\"shop\",le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(t.p, "weir_x_seconds_count{database=\"shop\"} 3\n"));
	free(t.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_columns),
	    cmocka_unit_test(test_describe),
	    cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_labels),
	    cmocka_unit_test(test_histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
