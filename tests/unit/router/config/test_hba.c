/* Access rules: reading, mistakes, matching. */
#include "router/config/hba.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "router/config/config.h"

static struct config_report report;

static int
begin(void **state)
{
	(void)state;
	config_report_init(&report);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	config_report_fini(&report);
	return 0;
}

static struct hba *
parse(const char *text)
{
	return hba_parse(slice_of(text), slice_of(""), NULL, NULL, &report);
}

static union {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
} address;

static const struct sockaddr *
from(const char *text)
{
	if (text == NULL)
		return NULL;
	memset(&address, 0, sizeof address);
	if (strchr(text, ':') != NULL) {
		address.v6.sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &address.v6.sin6_addr), 1);
	} else {
		address.v4.sin_family = AF_INET;
		assert_int_equal(inet_pton(AF_INET, text, &address.v4.sin_addr), 1);
	}
	return &address.any;
}

/* The line of the rule that fits. */
static int
line(
    const struct hba *h, const char *ip, bool tls, const char *database, const char *user)
{
	struct hba_client c = {from(ip), tls, false, slice_of(database), slice_of(user)};

	return hba_match(h, &c).line;
}

static void
first_that_fits(void **state)
{
	struct hba *h = parse("# comment\n"
			      "local all all peer\n"
			      "hostssl shop,crm app 10.0.0.0/8 scram-sha-256\n"
			      "hostnossl shop app 10.0.0.0/8 reject\n"
			      "host sameuser all 192.168.1.0 255.255.255.0 md5\n"
			      "host \"all\" bob ::1/128 trust # trailing\n"
			      "host all \"a b\",c all password\n");

	(void)state;
	assert_non_null(h);
	assert_int_equal(line(h, NULL, false, "x", "y"), 2);
	assert_int_equal(line(h, "10.1.2.3", true, "shop", "app"), 3);
	assert_int_equal(line(h, "10.1.2.3", true, "crm", "app"), 3);
	assert_int_equal(line(h, "10.1.2.3", false, "shop", "app"), 4);
	assert_int_equal(line(h, "::ffff:10.1.2.3", true, "shop", "app"), 3);
	assert_int_equal(line(h, "11.1.2.3", true, "shop", "app"), 0);
	assert_int_equal(line(h, "192.168.1.77", true, "ann", "ann"), 5);
	assert_int_equal(line(h, "192.168.2.77", true, "ann", "ann"), 0);
	assert_int_equal(line(h, "192.168.1.77", true, "ann", "eve"), 0);
	assert_int_equal(line(h, "::1", false, "all", "bob"), 6);
	assert_int_equal(line(h, "::1", false, "shop", "bob"), 0);
	assert_int_equal(line(h, "2001:db8::5", false, "shop", "a b"), 7);
	assert_int_equal(line(h, "2001:db8::5", false, "shop", "c"), 7);
	assert_int_equal(line(h, "2001:db8::5", false, "shop", "a"), 0);
	hba_destroy(h);
}

static void
replication(void **state)
{
	struct hba *h = parse("host all all all trust\nhost replication rep all md5\n");
	struct hba_client c = {from("10.0.0.1"), false, true, {"", 0}, slice_of("rep")};
	struct hba_client all = c;

	(void)state;
	assert_int_equal(hba_match(h, &c).line, 2);
	all.user = slice_of("other");
	assert_int_equal(hba_match(h, &all).line, 0);
	assert_int_equal(hba_match(h, &all).method, HBA_REJECT);
	assert_int_equal(line(h, "10.0.0.1", false, "replication", "rep"), 1);
	hba_destroy(h);
}

static void
methods(void **state)
{
	struct hba *h = parse("hostssl a all all cert\n"
			      "hostssl b all all md5 clientcert=verify-ca\n"
			      "hostssl c all all scram-sha-256 \\\n"
			      "   clientcert=verify-full\n"
			      "host d all samehost reject\n"
			      "host e all samenet trust\n");
	struct hba_client c = {
	    from("127.0.0.1"), true, false, slice_of("a"), slice_of("u")};

	(void)state;
	assert_non_null(h);
	assert_int_equal(hba_match(h, &c).method, HBA_CERT);
	assert_int_equal(hba_match(h, &c).client_cert, HBA_CERT_VERIFY_FULL);
	c.database = slice_of("b");
	assert_int_equal(hba_match(h, &c).method, HBA_MD5);
	assert_int_equal(hba_match(h, &c).client_cert, HBA_CERT_VERIFY_CA);
	c.database = slice_of("c");
	assert_int_equal(hba_match(h, &c).method, HBA_SCRAM);
	assert_int_equal(hba_match(h, &c).client_cert, HBA_CERT_VERIFY_FULL);
	c.database = slice_of("d");
	assert_int_equal(hba_match(h, &c).line, 5);
	c.database = slice_of("e");
	c.addr = from("127.99.0.1");
	assert_int_equal(hba_match(h, &c).method, HBA_TRUST);
	c.database = slice_of("d");
	assert_int_equal(hba_match(h, &c).line, 0);
	hba_destroy(h);
}

static void
mistakes(void **state)
{
	static const char *const bad[] = {
	    "hots all all all trust",
	    "host",
	    "host all",
	    "host all all",
	    "host all all 10.0.0.1 trust",
	    "host all all 10.0.0.0/33 trust",
	    "host all all 10.0.0.0/ trust",
	    "host all all 10.0.0.0/-1 trust",
	    "host all all 300.0.0.0/8 trust",
	    "host all all 10.0.0.0 ffff:: trust",
	    "host all all example.com trust",
	    "host all all .example.com trust",
	    "host all all all",
	    "host all all all gss",
	    "host all all all ldap ldapserver=x",
	    "host all all all peer",
	    "host all all all cert",
	    "hostgssenc all all all trust",
	    "local all all trust clientcert=verify-ca",
	    "hostssl all all all cert clientcert=verify-ca",
	    "hostssl all all all md5 clientcert=1",
	    "hostssl all all all cert map=nobody",
	    "host all all all md5 map=x",
	    "host all +admins all md5",
	    "host samerole all all md5",
	    "host all /^x all md5",
	    "host all @names all md5",
	    "host all all all trust extra=1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char text[200];
		int before = report.n_errors;

		snprintf(text, sizeof text, "local all all trust\n%s\n", bad[i]);
		if (parse(text) != NULL)
			fail_msg("\"%s\" was accepted", bad[i]);
		assert_true(report.n_errors > before);
		assert_int_equal(report.items[report.n - 1].line, 2);
	}
}

/* Every mistake, not only the first. */
static void
all_mistakes(void **state)
{
	(void)state;
	assert_null(
	    parse("bad\n\nlocal all all trust\nhost all all all nope\nworse line\n"));
	assert_int_equal(report.n, 3);
	assert_int_equal(report.items[0].line, 1);
	assert_int_equal(report.items[1].line, 4);
	assert_int_equal(report.items[2].line, 5);
}

static void
maps(void **state)
{
	struct hba *h = hba_parse(slice_of("hostssl all all all cert map=m\n"),
	    slice_of(
		"# map system user\nm \"CN of Ann\" ann\nm /^(.*)@example\\.com$ \\1\n"
		"m /^root$ app_\\1\nn x y\n"),
	    NULL, "ident", &report);

	(void)state;
	assert_non_null(h);
	assert_true(hba_map_allows(h, "m", slice_of("CN of Ann"), slice_of("ann")));
	assert_false(hba_map_allows(h, "m", slice_of("CN of Ann"), slice_of("bob")));
	assert_true(hba_map_allows(h, "m", slice_of("bob@example.com"), slice_of("bob")));
	assert_false(
	    hba_map_allows(h, "m", slice_of("bob@example.com"), slice_of("bobo")));
	assert_false(
	    hba_map_allows(h, "m", slice_of("bob@example.com.evil"), slice_of("bob")));
	assert_false(hba_map_allows(h, "m", slice_of("x"), slice_of("y")));
	assert_true(hba_map_allows(h, "n", slice_of("x"), slice_of("y")));
	assert_true(hba_map_allows(h, "m", slice_of("root"), slice_of("app_")));
	assert_false(hba_map_allows(h, "none", slice_of("x"), slice_of("x")));
	assert_true(hba_map_allows(h, NULL, slice_of("x"), slice_of("x")));
	assert_false(hba_map_allows(h, NULL, slice_of(""), slice_of("")));
	hba_destroy(h);
	assert_null(
	    hba_parse(slice_of(""), slice_of("a b\nm /( x\n"), NULL, "ident", &report));
	assert_int_equal(report.n, 2);
}

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
files_of_names(void **state)
{
	char folder[] = "/tmp/weir-hba-XXXXXX", path[64];
	struct hba *h;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/names", folder);
	write_file(path, "ann, bob\n# nobody\n\"c d\"\n");
	snprintf(path, sizeof path, "%s/hba", folder);
	write_file(path, "host all @names,eve all trust\n");
	h = hba_read(path, NULL, &report);
	assert_non_null(h);
	assert_int_equal(line(h, "10.0.0.1", false, "x", "bob"), 1);
	assert_int_equal(line(h, "10.0.0.1", false, "x", "c d"), 1);
	assert_int_equal(line(h, "10.0.0.1", false, "x", "eve"), 1);
	assert_int_equal(line(h, "10.0.0.1", false, "x", "nobody"), 0);
	hba_destroy(h);
	write_file(path, "host all @missing all trust\n");
	assert_null(hba_read(path, NULL, &report));
	snprintf(path, sizeof path, "%s/names", folder);
	write_file(path, "@names\n");
	snprintf(path, sizeof path, "%s/hba", folder);
	write_file(path, "host all @names all trust\n");
	assert_null(hba_read(path, NULL, &report));
	assert_null(hba_read(folder, NULL, &report));
	unlink(path);
	snprintf(path, sizeof path, "%s/names", folder);
	unlink(path);
	rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(first_that_fits, begin, end),
	    cmocka_unit_test_setup_teardown(replication, begin, end),
	    cmocka_unit_test_setup_teardown(methods, begin, end),
	    cmocka_unit_test_setup_teardown(mistakes, begin, end),
	    cmocka_unit_test_setup_teardown(all_mistakes, begin, end),
	    cmocka_unit_test_setup_teardown(maps, begin, end),
	    cmocka_unit_test_setup_teardown(files_of_names, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
