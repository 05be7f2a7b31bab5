/* router/config/check.c: `weir check`: the file, then the servers one by one, then what
 * must agree between them. */
#include "router/config/check.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

#include "router/config/check_server.h"

void
check_tell(
    struct check *c, bool warning, const struct server_conf *at, const char *fmt, ...)
{
	char text[900];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	config_report_add(c->report, warning, at->file, at->line, "%s", text);
}

/* ---- the servers ---- */

static void
add_probe(struct check *c, const struct db_conf *db, const struct shard_conf *sh,
    const struct server_conf *s, bool is_primary)
{
	const struct host_conf *h = &s->hosts[0];
	const char *host = h->host != NULL ? h->host : h->hostaddr;
	struct probe *p;

	if (c->n == c->cap) {
		c->cap = c->cap == 0 ? 16 : c->cap * 2;
		c->probes = realloc(c->probes, (size_t)c->cap * sizeof *c->probes);
		if (c->probes == NULL)
			abort();
	}
	p = &c->probes[c->n++];
	*p = (struct probe){.db = db, .shard = sh, .server = s, .is_primary = is_primary};
	p->label = arena_printf(&c->arena, "%s/%s %s %s:%u", db->name, sh->name,
	    is_primary ? "primary" : "replica", host, h->port);
}

static void
add_probes(struct check *c)
{
	for (int i = 0; i < c->cfg->n_databases; i++) {
		const struct db_conf *db = &c->cfg->databases[i];

		for (int j = 0; j < db->n_shards; j++) {
			const struct shard_conf *sh = &db->shards[j];

			add_probe(c, db, sh, sh->primary, true);
			for (int k = 0; k < sh->n_replicas; k++)
				add_probe(c, db, sh, sh->replicas[k], false);
		}
	}
}

/* ---- what must agree ---- */

static bool
same_host(const struct server_conf *a, const struct server_conf *b)
{
	const struct host_conf *x = &a->hosts[0], *y = &b->hosts[0];
	const char *xn = x->hostaddr != NULL ? x->hostaddr : x->host;
	const char *yn = y->hostaddr != NULL ? y->hostaddr : y->host;

	return x->port == y->port && strcmp(xn, yn) == 0;
}

static int
wanted_connections(const struct probe *p)
{
	return p->shard->settings.pool_size + p->shard->settings.reserve_pool_size;
}

/* One server may stand behind several shards and databases: their pools add up. */
static void
check_connections(struct check *c, int first)
{
	const struct probe *p = &c->probes[first];
	long long wanted = 0;
	int room = p->max_connections - p->reserved_connections, users = 0;

	if (p->conn == NULL)
		return;
	for (int i = 0; i < c->n; i++) {
		if (!same_host(p->server, c->probes[i].server))
			continue;
		if (i < first)
			return;
		wanted += wanted_connections(&c->probes[i]);
		users++;
	}
	if (wanted > room)
		check_tell(c, true, p->server,
		    "%s: it takes %d connections, and the pools that use it (%d) may "
		    "open %lld",
		    p->label, room, users, wanted);
}

static bool
differ(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) != 0;
}

static void
compare_primaries(struct check *c, const struct probe *a, const struct probe *b)
{
	if (differ(a->encoding, b->encoding))
		check_tell(c, false, b->server,
		    "%s: its encoding is %s, that of %s is %s", b->label, b->encoding,
		    a->label, a->encoding);
	if (differ(a->collation, b->collation) || differ(a->ctype, b->ctype))
		check_tell(c, false, b->server,
		    "%s: its collation is %s (ctype %s), that of %s is %s (ctype %s)",
		    b->label, b->collation, b->ctype, a->label, a->collation, a->ctype);
	else if (differ(a->collation_version, b->collation_version))
		check_tell(c, true, b->server,
		    "%s: its collation %s has version %s, on %s it is %s", b->label,
		    b->collation, b->collation_version, a->label, a->collation_version);
	if (a->version / 10000 != b->version / 10000)
		check_tell(c, true, b->server, "%s: it is PostgreSQL %d, %s is %d",
		    b->label, b->version / 10000, a->label, a->version / 10000);
}

/* A replica of another cluster would give other rows. */
static void
compare_replica(struct check *c, const struct probe *primary, const struct probe *replica)
{
	if (differ(primary->system_id, replica->system_id))
		check_tell(c, false, replica->server,
		    "%s: it is no replica of %s (their system identifiers differ)",
		    replica->label, primary->label);
	if (primary->version / 10000 != replica->version / 10000)
		check_tell(c, false, replica->server, "%s: it is PostgreSQL %d, %s is %d",
		    replica->label, replica->version / 10000, primary->label,
		    primary->version / 10000);
}

static void
compare(struct check *c, const struct db_conf *db)
{
	const struct probe *first = NULL, *primary = NULL;

	for (int i = 0; i < c->n; i++) {
		const struct probe *p = &c->probes[i];

		if (p->db != db)
			continue;
		if (p->is_primary)
			primary = p;
		if (p->conn == NULL)
			continue;
		if (!p->is_primary && primary->conn != NULL && primary->shard == p->shard)
			compare_replica(c, primary, p);
		if (p->is_primary && first != NULL)
			compare_primaries(c, first, p);
		if (p->is_primary && first == NULL)
			first = p;
	}
}

/* What transactions over shards stand on. */
static void
check_two_phase(struct check *c, struct probe *p)
{
	const char *standbys;

	if (!p->is_primary || p->db->n_shards == 1 ||
	    p->db->settings.multi_shard_commit == MULTI_SHARD_BEST_EFFORT)
		return;
	if (p->max_prepared_transactions == 0)
		check_tell(c, true, p->server,
		    "%s: max_prepared_transactions is 0, so two-phase commit is "
		    "impossible there",
		    p->label);
	p->identity = check_ask(c, p, "SELECT weir.shard_identity()", NULL);
	if (p->identity == NULL)
		check_tell(c, true, p->server,
		    "%s: schema weir is missing, so a transaction cannot write there and "
		    "on other shards: run \"weir catalog init\"",
		    p->label);
	standbys = check_ask(
	    c, p, "SELECT pg_catalog.current_setting('synchronous_standby_names')", NULL);
	if (p->shard->n_replicas > 0 && standbys != NULL && standbys[0] == '\0')
		check_tell(c, true, p->server,
		    "%s: it has replicas, but synchronous_standby_names is empty: a replica "
		    "that is promoted may lack the last commits over several shards, which "
		    "then stand on the other shards alone",
		    p->label);
}

/* A copy of a shard has its identity too: recovery could not tell which one decided. */
static void
compare_identities(struct check *c, const struct db_conf *db)
{
	for (int i = 0; i < c->n; i++)
		for (int j = 0; j < i; j++) {
			const struct probe *a = &c->probes[j], *b = &c->probes[i];

			if (a->db != db || b->db != db || a->identity == NULL ||
			    b->identity == NULL || strcmp(a->identity, b->identity) != 0)
				continue;
			check_tell(c, false, b->server,
			    "%s: its identity in weir.identity is that of %s; if it was made "
			    "from a copy of that, DROP SCHEMA weir CASCADE there and run "
			    "\"weir catalog init\"",
			    b->label, a->label);
		}
}

void
config_check_servers(
    const struct config *cfg, struct config_report *report, FILE *progress)
{
	struct check c = {.cfg = cfg, .report = report, .progress = progress};

	arena_init(&c.arena);
	add_probes(&c);
	for (int i = 0; i < c.n; i++) {
		struct probe *p = &c.probes[i];

		check_server(&c, p);
		if (p->conn == NULL)
			continue;
		check_two_phase(&c, p);
		if (!p->is_primary)
			continue;
		check_map(&c, p);
		check_secrets(&c, p);
	}
	for (int i = 0; i < c.n; i++)
		check_connections(&c, i);
	for (int i = 0; i < cfg->n_databases; i++) {
		compare(&c, &cfg->databases[i]);
		compare_identities(&c, &cfg->databases[i]);
		check_same_tables(&c, &cfg->databases[i]);
	}
	for (int i = 0; i < c.n; i++)
		PQfinish(c.probes[i].conn);
	free(c.probes);
	arena_reset(&c.arena);
}

/* ---- the command ---- */

static int
usage(FILE *f, int code)
{
	fputs("Usage: weir check -c FILE [--offline]\n\n"
	      "Reads the configuration, tells every mistake in it, then tries its "
	      "servers.\n\n"
	      "  -c, --config FILE  the configuration\n"
	      "      --offline      do not try the servers\n"
	      "  -h, --help         this text\n",
	    f);
	return code;
}

static int
sum_up(const struct config_report *r, const char *file)
{
	int warnings = 0;

	for (int i = 0; i < r->n; i++)
		warnings += r->items[i].warning;
	config_report_print(r, stderr);
	if (r->n_errors == 0)
		printf("%s is right", file);
	else
		printf(
		    "%s: %d mistake%s", file, r->n_errors, r->n_errors == 1 ? "" : "s");
	if (warnings > 0)
		printf(", %d warning%s", warnings, warnings == 1 ? "" : "s");
	printf("\n");
	return r->n_errors == 0 ? 0 : 1;
}

static int
run(const char *file, bool offline)
{
	struct config_report report;
	struct config *cfg = NULL;
	struct err err;
	int code;

	config_report_init(&report);
	if (config_load(file, &cfg, &report, &err) == RC_OK && !offline)
		config_check_servers(cfg, &report, stdout);
	fflush(stdout);
	code = sum_up(&report, file);
	config_unref(cfg);
	config_report_fini(&report);
	return code;
}

int
config_check_main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	    {"offline", no_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0}};
	const char *file = NULL;
	bool offline = false;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (c == 'c')
			file = optarg;
		else if (c == 'o')
			offline = true;
		else
			return usage(c == 'h' ? stdout : stderr, c == 'h' ? 0 : 2);
	}
	if (file == NULL || optind < argc)
		return usage(stderr, 2);
	return run(file, offline);
}
