/* Loading, look-up, order of values, SHOW, SET; every mistake with its place. */
#include "router/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "router/route/map.h"
#include "wire/secret.h"

static char folder[64], path[128];
static struct config_report report;
static struct config *cfg;
static struct err err;

static int
begin(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/weir-config-XXXXXX");
	config_report_init(&report);
	cfg = NULL;
	return mkdtemp(folder) == NULL;
}

static int
end(void **state)
{
	char command[100];

	(void)state;
	config_unref(cfg);
	config_report_fini(&report);
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

static const char *
put(const char *name, const char *text)
{
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return path;
}

static enum rc
load(const char *text)
{
	config_unref(cfg);
	cfg = NULL;
	config_report_fini(&report);
	return config_load(put("weir.conf", text), &cfg, &report, &err);
}

static void
load_good(const char *text)
{
	enum rc rc = load(text);

	config_report_print(&report, stderr);
	assert_int_equal(rc, RC_OK);
}

/* Is there such a mistake (or warning) at that line? */
static bool
told(int line, const char *part)
{
	for (int i = 0; i < report.n; i++)
		if (report.items[i].line == line &&
		    strstr(report.items[i].text, part) != NULL)
			return true;
	fprintf(stderr, "line %d: no \"%s\" among:\n", line, part);
	config_report_print(&report, stderr);
	return false;
}

#define TRUST "auth = { type = \"trust\"; };\n"

static void
smallest(void **state)
{
	const struct db_conf *db;

	(void)state;
	load_good(
	    TRUST "databases = ( { name = \"shop\"; primary = \"host=10.0.0.1\"; } );\n");
	assert_int_equal(cfg->n_databases, 1);
	db = config_database(cfg, slice_of("shop"));
	assert_non_null(db);
	assert_int_equal(db->n_shards, 1);
	assert_int_equal(db->default_shard, 0);
	assert_string_equal(db->shards[0].name, "main");
	assert_int_equal(db->shards[0].primary->hosts[0].port, 5432);
	assert_null(db->shards[0].primary->user);
	assert_null(db->shards[0].primary->dbname);
	assert_int_equal(db->settings.pool_size, 20);
	assert_int_equal(db->settings.server_lifetime_us, 3600000000);
	assert_int_equal(db->shards[0].primary->tls_mode, TLS_MODE_PREFER);
	assert_true(shard_map_plain(db->map));
	assert_null(config_database(cfg, slice_of("other")));
	assert_null(config_user(cfg, slice_of("ann")));
}

static void
order_of_values(void **state)
{
	const struct db_conf *shop, *crm;
	const struct user_conf *ann, *bob;

	(void)state;
	load_good(TRUST
	    "pool_size = 5; query_timeout = 1.5; pool_mode = \"session\";\n"
	    "databases = (\n"
	    "  { name = \"shop\"; pool_size = 7; query_timeout = \"2min\";\n"
	    "    shards = ( { name = \"a\"; primary = \"host=h\"; pool_size = 9; },\n"
	    "               { name = \"b\"; primary = \"host=h port=5433\"; } ); },\n"
	    "  { name = \"crm\"; primary = \"host=h\"; default_pool_size = 3; } );\n"
	    "users = ( { name = \"ann\"; query_timeout = 0; }, { name = \"bob\"; "
	    "pool_mode = \"statement\"; max_user_connections = 4; } );\n");
	shop = config_database(cfg, slice_of("shop"));
	crm = config_database(cfg, slice_of("crm"));
	ann = config_user(cfg, slice_of("ann"));
	bob = config_user(cfg, slice_of("bob"));
	assert_int_equal(cfg->settings.pool_size, 5);
	assert_int_equal(shop->settings.pool_size, 7);
	assert_int_equal(shop->shards[0].settings.pool_size, 9);
	assert_int_equal(shop->shards[1].settings.pool_size, 7);
	assert_int_equal(shop->default_shard, -1);
	assert_int_equal(crm->settings.pool_size, 3);
	assert_int_equal(crm->shards[0].settings.pool_size, 3);
	assert_int_equal(CONFIG_VALUE(ann, shop, query_timeout_us), 0);
	assert_int_equal(CONFIG_VALUE(bob, shop, query_timeout_us), 120000000);
	assert_int_equal(CONFIG_VALUE(bob, crm, query_timeout_us), 1500000);
	assert_int_equal(
	    CONFIG_VALUE((struct user_conf *)NULL, crm, query_timeout_us), 1500000);
	assert_int_equal(CONFIG_VALUE(bob, crm, pool_mode), POOL_MODE_STATEMENT);
	assert_int_equal(CONFIG_VALUE(ann, crm, pool_mode), POOL_MODE_SESSION);
	assert_int_equal(CONFIG_VALUE(bob, crm, max_user_connections), 4);
}

static void
full_example(void **state)
{
	const struct db_conf *db;
	const struct server_conf *s;

	(void)state;
	put("users.txt", "\"app\" \"secret\"\n");
	put("rules", "host all all all scram-sha-256\n");
	put("ca.pem", "x");
	put("shop.map",
	    "distributions = (\n"
	    "  { name = \"customer\"; kind = \"hash\"; type = \"bigint\"; buckets = "
	    "1024;\n"
	    "    placement = ( { shard = \"s1\"; buckets = \"0-511\"; },\n"
	    "                  { shard = \"s2\"; buckets = \"512-1023\"; } ); } );\n"
	    "tables = ( { name = \"customers\"; distribution = \"customer\"; key = "
	    "\"id\"; },\n"
	    "  { name = \"countries\"; reference = true; } );\n");
	load_good(
	    "listen = { address = (\"127.0.0.1\", \"::1\"); port = 7000; };\n"
	    "auth = { type = \"hba\"; hba_file = \"rules\"; users_file = \"users.txt\"; "
	    "};\n"
	    "log = { level = \"debug\"; format = \"json\"; };\n"
	    "admin_users = ( \"admin\" ); stats_users = \"a, b\";\n"
	    "max_message_buffer = \"1MB\"; shape_cache_size = 1000000L;\n"
	    "peer_id = 1; peers = ( { id = 2; host = \"10.1.1.1\"; port = 6433; } );\n"
	    "databases = (\n"
	    "  { name = \"shop\"; default_shard = \"s1\";\n"
	    "    server_tls = { mode = \"verify-full\"; ca = \"ca.pem\"; };\n"
	    "    shards = (\n"
	    "      { name = \"s1\"; primary = \"host=h1,h2 port=1,2 dbname=x user=u "
	    "password='p w' sslmode=require options='-c geqo=off'\";\n"
	    "        replicas = ( \"hostaddr=10.0.0.9\", { conninfo = \"host=/tmp\"; "
	    "weight = 3; } ); },\n"
	    "      { name = \"s2\"; primary = \"postgresql://v:hidden@h3:99/y\"; } );\n"
	    "    @include \"shop.map\"\n"
	    "  },\n"
	    "  { name = \"*\"; user = \"forced\"; password = \"hidden\"; primary = "
	    "\"host=h9\"; } );\n");
	db = config_database(cfg, slice_of("shop"));
	s = db->shards[0].primary;
	assert_int_equal(cfg->settings.listen_address.n, 2);
	assert_int_equal(cfg->settings.log_level, LOG_DEBUG);
	assert_int_equal(cfg->settings.max_message_buffer_bytes, 1 << 20);
	assert_true(setting_list_has(&cfg->settings.stats_users, slice_of("b")));
	assert_int_equal(s->n_hosts, 2);
	assert_string_equal(s->hosts[1].host, "h2");
	assert_int_equal(s->hosts[1].port, 2);
	assert_string_equal(s->password, "p w");
	assert_string_equal(s->options, "-c geqo=off");
	assert_null(strstr(s->raw, "p w"));
	assert_non_null(strstr(s->raw, "password=***"));
	assert_int_equal(s->tls_mode, TLS_MODE_REQUIRE);
	assert_int_equal(db->shards[1].primary->tls_mode, TLS_MODE_VERIFY_FULL);
	assert_int_equal(db->shards[1].primary->hosts[0].port, 99);
	assert_null(strstr(db->shards[1].primary->raw, "hidden"));
	assert_int_equal(db->shards[0].n_replicas, 2);
	assert_string_equal(db->shards[0].replicas[0]->hosts[0].hostaddr, "10.0.0.9");
	assert_int_equal(db->shards[0].replicas[1]->weight, 3);
	assert_int_equal(db->default_shard, 0);
	assert_int_equal(db->map->n_shards, 2);
	assert_int_equal(db->map->n_tables, 2);
	assert_non_null(db->hba);
	assert_ptr_equal(db->hba, cfg->hba);
	assert_non_null(secret_file_find(db->users, slice_of("app")));
	assert_true(config_database(cfg, slice_of("anything"))->wildcard);
	assert_string_equal(config_database(cfg, slice_of("zzz"))->user, "forced");
	assert_int_equal(cfg->n_peers, 1);
	assert_int_equal(cfg->peers[0].port, 6433);
}

static void
all_mistakes_at_once(void **state)
{
	(void)state;
	assert_int_equal(
	    load("auth = { type = \"trusty\"; };\n"
		 "pool_size = 0; pol_mode = \"session\";\n"
		 "listen = { adress = \"x\"; port = 70000; };\n"
		 "query_timeout = \"5 parsecs\"; workers = true;\n"
		 "databases = (\n"
		 "  { name = \"shop\"; workers = 2; pool_sise = 3;\n"
		 "    shards = ( { name = \"a\"; primary = \"host=h prt=1\"; },\n"
		 "      { name = \"a\"; primary = \"dbname=x\"; },\n"
		 "      { primary = \"host=h port=0\"; replica = \"\"; } );\n"
		 "    default_shard = \"z\"; },\n"
		 "  { name = \"shop\"; },\n"
		 "  { name = \"weir\"; primary = \"host=a,b port=1,2,3\"; } );\n"
		 "users = ( { name = \"u\"; min_pool_size = 1; }, { name = \"u\"; } );\n"
		 "peers = ( { id = 1; } );\n"),
	    RC_ERR);
	assert_null(cfg);
	assert_true(told(1, "auth.type: one of \"trust\""));
	assert_true(told(2, "pool_size: the value must lie between 1 and 100000"));
	assert_true(told(2, "\"pol_mode\" is not known; did you mean \"pool_mode\"?"));
	assert_true(
	    told(3, "\"listen.adress\" is not known; did you mean \"listen.address\"?"));
	assert_true(told(3, "listen.port: the value must lie between 0 and 65535"));
	assert_true(told(4, "query_timeout: a time"));
	assert_true(told(4, "workers: a whole number"));
	assert_true(told(6, "\"workers\" cannot be set for a database"));
	assert_true(told(6, "\"pool_sise\" is not known; did you mean \"pool_size\"?"));
	assert_true(told(7, "invalid connection option \"prt\""));
	assert_true(told(8, "the shard \"a\" is there twice"));
	assert_true(told(8, "names no host"));
	assert_true(told(9, "the shard has no name"));
	assert_true(told(9, "\"replica\" is not known; did you mean \"replicas\"?"));
	assert_true(told(9, "\"0\" in the conninfo is not a port"));
	assert_true(told(10, "has no shard \"z\""));
	assert_true(told(11, "the database \"shop\" is there twice"));
	assert_true(told(11, "has no servers"));
	assert_true(told(12, "admin console"));
	assert_true(told(12, "must match"));
	assert_true(told(13, "\"min_pool_size\" cannot be set for a user"));
	assert_true(told(13, "the user \"u\" is there twice"));
	assert_true(told(14, "a peer needs an id and a host"));
	assert_non_null(strstr(err.msg, "weir.conf:1: "));
}

static void
contradictions(void **state)
{
	(void)state;
	assert_int_equal(
	    load("listen = { port = 0; };\npeers = ( { id = 1; host = \"h\"; } );\n"
		 "databases = ( { name = \"a\"; primary = \"host=h "
		 "sslmode=verify-ca\"; min_pool_size = 30; } );\n"),
	    RC_ERR);
	assert_true(told(1, "to listen on"));
	assert_true(told(2, "peer_id"));
	assert_true(told(3, "min_pool_size (30) is above pool_size (20)"));
	assert_true(told(3, "no user can log in"));
	assert_true(told(3, "neither sslrootcert nor"));
	assert_int_equal(
	    load("listen = { tls = { mode = \"require\"; cert = \"no.pem\"; }; };\n"
		 "auth = { type = \"any\"; };\n"
		 "databases = ( { name = \"a\"; primary = \"host=h\"; } );\n"),
	    RC_ERR);
	assert_true(told(1, "needs a cert and a key"));
	assert_true(told(1, "cannot be read"));
	assert_true(told(3, "needs a user of its own"));
	assert_int_equal(load("auth = { type = \"hba\"; };\n"), RC_ERR);
	assert_true(told(0, "there are no databases"));
	assert_true(told(1, "there is no auth.hba_file"));
	assert_int_equal(
	    load(TRUST
		"databases = ( { name = \"a\"; password = \"x\"; primary = \"host=h\"; "
		"shards = (); } );\n"),
	    RC_ERR);
	assert_true(told(2, "a password and no user"));
	assert_true(told(2, "beside them"));
	assert_int_equal(
	    load(TRUST "pool_size = 5;\ndefault_pool_size = 6;\ndatabases = ( { name "
		       "= \"a\"; primary = \"host=h\"; } );\n"),
	    RC_ERR);
	assert_true(told(3, "given twice"));
}

/* What libconfig would get wrong without a word. */
static void
libconfig_traps(void **state)
{
	(void)state;
	assert_int_equal(
	    load("# 9999999999 in a comment\n/* 9999999999\n*/ x = \"9999999999\";\n"
		 "pool_size = 5000000000;\n"),
	    RC_ERR);
	assert_int_equal(report.n, 1);
	assert_true(told(4, "5000000000 does not fit in 32 bits"));
	assert_int_equal(
	    load("a = 99999999999999999999L;\nb = -2147483648;\nc = -2147483649;\n"
		 "d = 1e10; e = 12345678901.5; f = 0xFFFFFFFF; g = 0x1FFFFFFFF;\n"),
	    RC_ERR);
	assert_int_equal(report.n, 3);
	assert_true(told(1, "64 bits"));
	assert_true(told(3, "2147483649"));
	assert_true(told(4, "0x1FFFFFFFF"));
	assert_int_equal(load("x = 1;\n  @include \"missing.conf\"\n"), RC_ERR);
	assert_true(told(2, "missing.conf\" cannot be read: No such file"));
	assert_int_equal(load("@include \"weir.conf\"\n"), RC_ERR);
	assert_true(told(1, "include each other"));
	assert_int_equal(load("@include \".\"\n"), RC_ERR);
	assert_true(told(1, "not a plain file"));
	assert_int_equal(load("pool_size = ;\n"), RC_ERR);
	assert_true(told(1, "syntax error"));
	put("other.conf", "\n\npool_size = 3000000000;\n");
	assert_int_equal(load("@include \"other.conf\"\n"), RC_ERR);
	assert_true(told(3, "3000000000"));
	assert_non_null(strstr(report.items[0].file, "other.conf"));
	assert_int_equal(config_load(folder, &cfg, &report, &err), RC_ERR);
	assert_int_equal(config_load("/nonexistent", &cfg, &report, &err), RC_ERR);
}

static void
secrets_are_not_told(void **state)
{
	(void)state;
	assert_int_equal(load(TRUST "databases = ( { name = \"a\"; primary = \"host=h "
				    "password=top hidden\"; } );\n"),
	    RC_ERR);
	for (int i = 0; i < report.n; i++) {
		assert_null(strstr(report.items[i].text, "hidden"));
		assert_null(strstr(report.items[i].text, "top"));
	}
	assert_int_equal(load(TRUST "databases = ( { name = \"a\"; primary = "
				    "\"postgresql://u:hidden@h:x/y?z=1\"; } );\n"),
	    RC_ERR);
	assert_null(strstr(report.items[0].text, "hidden"));
}

static void
refused_keywords(void **state)
{
	(void)state;
	assert_int_equal(
	    load(TRUST "databases = (\n"
		       "{ name = \"a\"; primary = \"host=h sslcrl=x\"; },\n"
		       "{ name = \"b\"; primary = \"host=h gssencmode=require\"; },\n"
		       "{ name = \"c\"; primary = \"host=h channel_binding=require "
		       "keepalives=0\"; } );\n"),
	    RC_ERR);
	assert_int_equal(report.n_errors, 3);
	assert_true(told(5, "\"keepalives\" in a conninfo is not used"));
	load_good(
	    TRUST "databases = ( { name = \"a\"; primary = \"host=h gssencmode=disable "
		  "channel_binding=prefer connect_timeout=3 keepalives=1\"; } );\n");
	assert_int_equal(
	    cfg->databases[0].shards[0].primary->connect_timeout_us, 3000000);
}

static void
services_and_passfiles(void **state)
{
	const struct server_conf *s;
	char text[400];

	(void)state;
	put("services",
	    "# x\n[other]\nhost=no\n[mine]\nhost=h7\nport=77\nuser=u7\n[mine]\nport=1\n");
	setenv("PGSERVICEFILE", path, 1);
	put("pass", "h7:77:db:u7:one\n# c\n*:*:*:back\\:slash:t\\\\wo\n*:*:*:*:*\n");
	chmod(path, 0600);
	snprintf(text, sizeof text,
	    TRUST "databases = ( { name = \"a\"; primary = \"service=mine user=u8 "
		  "passfile=pass\"; } );\n");
	load_good(text);
	s = cfg->databases[0].shards[0].primary;
	assert_string_equal(s->hosts[0].host, "h7");
	assert_int_equal(s->hosts[0].port, 77);
	assert_string_equal(s->user, "u8");
	assert_string_equal(s->password, "*");
	s = &(struct server_conf){
	    .passes = s->passes, .n_passes = s->n_passes, .hosts = s->hosts};
	assert_string_equal(server_password(s, &s->hosts[0], "db", "u7"), "one");
	assert_string_equal(server_password(s, &s->hosts[0], "x", "back:slash"), "t\\wo");
	assert_string_equal(server_password(s, &s->hosts[0], "x", "else"), "*");
	snprintf(text, sizeof text, "%s/pass", folder);
	chmod(text, 0644);
	assert_int_equal(
	    load(TRUST
		"databases = ( { name = \"a\"; primary = \"host=h passfile=pass\"; },\n"
		"{ name = \"b\"; primary = \"service=nobody\"; } );\n"),
	    RC_ERR);
	assert_true(told(2, "must be 0600"));
	assert_true(told(3, "\"nobody\" is in no service file"));
	unsetenv("PGSERVICEFILE");
}

/* A fixed login whose password is in the users file alone. */
static void
passwords_of_fixed_logins(void **state)
{
	const struct db_conf *db;

	(void)state;
	put("users.txt", "\"app\" \"one\"\n\"own\" \"two\"\n");
	load_good(
	    "auth = { users_file = \"users.txt\"; };\n"
	    "databases = ( { name = \"a\"; user = \"app\"; primary = \"host=h\"; },\n"
	    "{ name = \"b\"; primary = \"host=h user=own\"; },\n"
	    "{ name = \"c\"; primary = \"host=h user=nobody\"; } );\n");
	assert_string_equal(config_database(cfg, slice_of("a"))->password, "one");
	db = config_database(cfg, slice_of("b"));
	assert_string_equal(db->shards[0].primary->password, "two");
	assert_null(config_database(cfg, slice_of("c"))->shards[0].primary->password);
}

static void
map_mistakes(void **state)
{
	(void)state;
	put("m.map",
	    "distributions = ( { name = \"d\"; kind = \"hash\"; type = \"bigint\";\n"
	    "buckets = 3; placement = ( { shard = \"nope\"; buckets = \"0-2\"; } ); } "
	    ");\n"
	    "tables = ( { name = \"t\"; distribution = \"e\"; key = \"id\"; } );\n");
	assert_int_equal(
	    load(TRUST "databases = ( { name = \"a\"; primary = \"host=h\";\n@include "
		       "\"m.map\"\n} );\n"),
	    RC_ERR);
	assert_true(report.n_errors >= 3);
	assert_non_null(strstr(report.items[0].file, "m.map"));
}

struct shown {
	int n, changeable;
	char pool_size[20], listen[40];
};

static void
show_row(const char *name, const char *value, const char *default_value, bool changeable,
    void *arg)
{
	struct shown *s = arg;

	assert_non_null(default_value);
	s->n++;
	s->changeable += changeable;
	if (strcmp(name, "pool_size") == 0)
		snprintf(
		    s->pool_size, sizeof s->pool_size, "%s/%s", value, default_value);
	if (strcmp(name, "listen.address") == 0)
		snprintf(s->listen, sizeof s->listen, "%s", value);
}

static void
count_restart(const char *name, void *arg)
{
	assert_string_equal(name, "workers");
	++*(int *)arg;
}

static void
set_and_show(void **state)
{
	struct config *changed, *again;
	struct shown shown = {0, 0, "", ""};
	int n = 0;

	(void)state;
	load_good(TRUST
	    "databases = ( { name = \"a\"; primary = \"host=h\"; },\n"
	    "{ name = \"b\"; pool_size = 4; shards = ( { name = \"x\"; pool_size = 6; "
	    "primary = \"host=h\"; } ); }, { name = \"*\"; primary = \"host=h\"; } );\n");
	assert_int_equal(config_with(cfg, slice_of("default_pool_size"), slice_of("9"),
			     &changed, &err),
	    RC_OK);
	assert_int_equal(cfg->settings.pool_size, 20);
	assert_int_equal(changed->settings.pool_size, 9);
	assert_int_equal(config_database(changed, slice_of("a"))->settings.pool_size, 9);
	assert_int_equal(
	    config_database(changed, slice_of("a"))->shards[0].settings.pool_size, 9);
	assert_int_equal(config_database(changed, slice_of("b"))->settings.pool_size, 4);
	assert_int_equal(
	    config_database(changed, slice_of("b"))->shards[0].settings.pool_size, 6);
	assert_int_equal(config_database(changed, slice_of("q"))->settings.pool_size, 9);
	assert_int_equal(
	    config_with(changed, slice_of("log.file"), slice_of("x.log"), &again, &err),
	    RC_OK);
	config_unref(changed);
	assert_int_equal(again->settings.pool_size, 9);
	assert_int_equal(again->settings.log_file[0], '/');
	config_show(again, show_row, &shown);
	assert_int_equal(shown.n, SETTING_COUNT);
	assert_string_equal(shown.pool_size, "9/20");
	assert_string_equal(shown.listen, "127.0.0.1");
	config_restart_needed(cfg, again, count_restart, &n);
	assert_int_equal(n, 0);
	config_unref(again);
	assert_int_equal(
	    config_with(cfg, slice_of("workers"), slice_of("2"), &again, &err), RC_ERR);
	assert_string_equal(err.sqlstate, "55P02");
	assert_int_equal(
	    config_with(cfg, slice_of("nope"), slice_of("2"), &again, &err), RC_ERR);
	assert_string_equal(err.sqlstate, "42704");
	assert_int_equal(
	    config_with(cfg, slice_of("pool_size"), slice_of("x"), &again, &err), RC_ERR);
	assert_string_equal(err.sqlstate, "22023");
	assert_int_equal(
	    config_with(cfg, slice_of("auth.users_file"), slice_of("x"), &again, &err),
	    RC_ERR);
}

/* The table itself: every default is read, names and sections are as they should be. */
static void
the_table(void **state)
{
	(void)state;
	for (int i = 0; i < SETTING_COUNT; i++) {
		const struct setting *s = &config_settings.settings[i];

		assert_int_equal(setting_find(&config_settings, slice_of(s->name)), i);
		assert_true(s->scopes & SCOPE_GLOBAL);
		assert_true(strlen(s->doc) > 10 &&
		    strchr(".)", s->doc[strlen(s->doc) - 1]) != NULL);
		assert_true((s->kind == SETTING_ENUM) == (s->choices != NULL));
	}
	for (int i = 0; i < config_settings.n_aliases; i++) {
		const struct setting_alias *a = &config_settings.aliases[i];

		assert_true(setting_find(&config_settings, slice_of(a->name)) >= 0);
		assert_true(setting_find(&config_settings, slice_of(a->alias)) >= 0);
	}
	assert_int_equal(config_settings.sections[0].first, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_table, begin, end),
	    cmocka_unit_test_setup_teardown(smallest, begin, end),
	    cmocka_unit_test_setup_teardown(order_of_values, begin, end),
	    cmocka_unit_test_setup_teardown(full_example, begin, end),
	    cmocka_unit_test_setup_teardown(all_mistakes_at_once, begin, end),
	    cmocka_unit_test_setup_teardown(contradictions, begin, end),
	    cmocka_unit_test_setup_teardown(libconfig_traps, begin, end),
	    cmocka_unit_test_setup_teardown(secrets_are_not_told, begin, end),
	    cmocka_unit_test_setup_teardown(refused_keywords, begin, end),
	    cmocka_unit_test_setup_teardown(services_and_passfiles, begin, end),
	    cmocka_unit_test_setup_teardown(passwords_of_fixed_logins, begin, end),
	    cmocka_unit_test_setup_teardown(map_mistakes, begin, end),
	    cmocka_unit_test_setup_teardown(set_and_show, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
