/* router/config/load_check.c: mistakes that only show once all is read: settings that
 * contradict each other, files that are not there, names that nobody has. Needs no
 * server. */
#include "router/config/load.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "router/config/hba.h"
#include "router/route/map.h"

#define SOCKET_PATH_MAX 107

struct place {
	struct loader *l;
	const char *file;
	int line;
	const char *what; /* "", or "database \"shop\": " */
};

static void __attribute__((format(printf, 2, 3)))
mistake(const struct place *p, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	config_report_add(p->l->report, false, p->file, p->line, "%s%s", p->what, text);
}

/* Where a setting stands in the file; else the whole file. */
static struct place
place_of(struct loader *l, const config_setting_t *root, const char *path)
{
	const config_setting_t *s = config_lookup(root->config, path);
	const char *file = s != NULL ? config_setting_source_file(s) : NULL;

	return (struct place){l, file != NULL ? file : l->cfg->file,
	    s != NULL ? (int)config_setting_source_line(s) : 0, ""};
}

/* ---- listening ---- */

static void
check_readable(const struct place *p, const char *name, const char *path)
{
	if (path[0] != '\0' && access(path, R_OK) != 0)
		mistake(p, "%s: \"%s\" cannot be read: %s", name, path, strerror(errno));
}

static void
check_listen(struct loader *l, const config_setting_t *root)
{
	const struct settings *s = &l->cfg->settings;
	struct place p = place_of(l, root, "listen");
	bool tcp = s->listen_port != 0 && s->listen_address.n > 0;

	if (!tcp && s->unix_socket_dir[0] == '\0')
		mistake(&p,
		    "there is neither an address and port nor a Unix socket to "
		    "listen on");
	if (strlen(s->unix_socket_dir) + strlen("/.s.PGSQL.65535") > SOCKET_PATH_MAX)
		mistake(&p, "listen.unix_socket_dir: the path is too long (%zu bytes)",
		    strlen(s->unix_socket_dir));
	else if (s->unix_socket_dir[0] != '\0' && s->unix_socket_dir[0] != '@' &&
	    access(s->unix_socket_dir, W_OK) != 0)
		mistake(&p, "listen.unix_socket_dir: \"%s\" cannot be written to: %s",
		    s->unix_socket_dir, strerror(errno));
}

static void
check_listen_tls(struct loader *l, const config_setting_t *root)
{
	const struct settings *s = &l->cfg->settings;
	struct place p = place_of(l, root, "listen.tls");

	if (s->listen_tls_mode == TLS_MODE_OFF)
		return;
	if (s->listen_tls_cert[0] == '\0' || s->listen_tls_key[0] == '\0')
		mistake(&p, "listen.tls needs a cert and a key");
	if (s->listen_tls_mode >= TLS_MODE_VERIFY_CA && s->listen_tls_ca[0] == '\0')
		mistake(&p, "listen.tls needs a ca to verify clients' certificates by");
	check_readable(&p, "listen.tls.cert", s->listen_tls_cert);
	check_readable(&p, "listen.tls.key", s->listen_tls_key);
	check_readable(&p, "listen.tls.ca", s->listen_tls_ca);
}

static void
check_peers(struct loader *l, const config_setting_t *root)
{
	struct place p = place_of(l, root, "peers");
	const struct config *c = l->cfg;

	if (c->n_peers > 0 && c->settings.peer_id == 0)
		mistake(
		    &p, "there are peers, but peer_id does not say which one this is");
}

/* ---- authentication ---- */

static bool
has_own_login(const struct server_conf *s, const struct db_conf *db)
{
	return s == NULL || s->user != NULL || db->user != NULL;
}

static void
check_any(const struct place *p, const struct db_conf *db)
{
	for (int i = 0; i < db->n_shards; i++) {
		const struct shard_conf *sh = &db->shards[i];
		bool fine = has_own_login(sh->primary, db);

		for (int j = 0; j < sh->n_replicas; j++)
			fine = fine && has_own_login(sh->replicas[j], db);
		if (!fine)
			mistake(p,
			    "auth.type is \"any\", so every server needs a user of its "
			    "own; one of shard \"%s\" has none",
			    sh->name);
	}
}

static void
check_auth(const struct place *p, const struct settings *s, const struct db_conf *db)
{
	bool knows_users = s->users_file[0] != '\0' || s->auth_user[0] != '\0';

	switch (s->auth_type) {
	case AUTH_HBA:
		if (s->hba_file[0] == '\0')
			mistake(p, "auth.type is \"hba\", and there is no auth.hba_file");
		break;
	case AUTH_PASSWORD:
	case AUTH_MD5:
	case AUTH_SCRAM:
		if (!knows_users)
			mistake(p,
			    "no user can log in: there is neither auth.users_file nor "
			    "auth.auth_user (or set auth.type)");
		break;
	case AUTH_CERT:
		if (p->l->cfg->settings.listen_tls_mode < TLS_MODE_ALLOW ||
		    p->l->cfg->settings.listen_tls_ca[0] == '\0')
			mistake(
			    p, "auth.type is \"cert\", which needs listen.tls with a ca");
		break;
	case AUTH_PEER:
		if (p->l->cfg->settings.unix_socket_dir[0] == '\0')
			mistake(p,
			    "auth.type is \"peer\", which needs listen.unix_socket_dir");
		break;
	case AUTH_ANY:
		if (db != NULL)
			check_any(p, db);
		break;
	case AUTH_TRUST:
		break;
	}
	if (s->auth_database[0] != '\0' &&
	    config_database(p->l->cfg, slice_of(s->auth_database)) == NULL)
		mistake(p, "auth.auth_database: there is no database \"%s\"",
		    s->auth_database);
	if (s->auth_user[0] != '\0' && s->auth_query[0] == '\0')
		mistake(p, "there is an auth.auth_user, but auth.auth_query is empty");
}

/* ---- databases ---- */

static void
check_server_files(struct loader *l, const struct server_conf *s)
{
	struct place p;

	if (s == NULL)
		return;
	p = (struct place){l, s->file, s->line, ""};
	if (s->tls_mode == TLS_MODE_OFF)
		return;
	check_readable(&p, "the servers' ca", s->sslrootcert);
	check_readable(&p, "the client certificate", s->sslcert);
	check_readable(&p, "the client certificate's key", s->sslkey);
}

static void
check_sizes(const struct place *p, const struct settings *s)
{
	if (s->min_pool_size > s->pool_size)
		mistake(p, "min_pool_size (%d) is above pool_size (%d)", s->min_pool_size,
		    s->pool_size);
}

/* Which of several hosts is taken. A primary has to be one, a replica is to be one. */
static void
check_attrs(struct loader *l, const struct server_conf *s, bool is_primary)
{
	static const char *const fine[2][4] = {
	    {"any", "standby", "prefer-standby", "read-only"},
	    {"any", "primary", "read-write", "read-write"}};
	struct place p = {l, s->file, s->line, ""};

	for (int i = 0; i < s->n_params; i++) {
		bool good = strcmp(s->params[i].name, "target_session_attrs") != 0;

		for (int k = 0; k < 4; k++)
			good |= strcmp(s->params[i].value, fine[is_primary][k]) == 0;
		if (!good)
			mistake(&p, "target_session_attrs=%.40s cannot be meant of a %s",
			    s->params[i].value, is_primary ? "primary" : "replica");
	}
}

/* Only a probe tells which of several hosts it is. */
static void
check_hosts(struct loader *l, const struct db_conf *db, const struct server_conf *s,
    bool is_primary)
{
	struct place p;

	if (s == NULL)
		return;
	p = (struct place){l, s->file, s->line, ""};
	check_attrs(l, s, is_primary);
	if (s->n_hosts > 1 && db->user == NULL && s->user == NULL &&
	    db->settings.service_user[0] == '\0' && db->settings.auth_user[0] == '\0')
		mistake(&p,
		    "the conninfo names several hosts; to find out which is the primary, "
		    "a login for probes is needed: service_user");
}

/* Those that nobody can set, so that nothing could be restored. */
static void
check_tracked(const struct place *p, const struct settings *s)
{
	static const char *const fixed[] = {"in_hot_standby", "integer_datetimes",
	    "is_superuser", "server_encoding", "server_version", "session_authorization"};

	for (int i = 0; i < s->track_extra_parameters.n; i++)
		for (size_t k = 0; k < sizeof fixed / sizeof fixed[0]; k++)
			if (strcasecmp(s->track_extra_parameters.items[i], fixed[k]) == 0)
				mistake(p,
				    "track_extra_parameters: \"%s\" cannot be set, so it "
				    "cannot be restored",
				    fixed[k]);
}

static void
check_shard(struct loader *l, const struct place *p, const struct db_conf *db,
    const struct shard_conf *sh)
{
	struct place shard = *p;
	struct arena a;

	arena_init(&a);
	shard.what = arena_printf(&a, "%sshard \"%s\": ", p->what, sh->name);
	check_sizes(&shard, &sh->settings);
	check_server_files(l, sh->primary);
	check_hosts(l, db, sh->primary, true);
	for (int i = 0; i < sh->n_replicas; i++) {
		check_server_files(l, sh->replicas[i]);
		check_hosts(l, db, sh->replicas[i], false);
	}
	arena_reset(&a);
}

static void
check_database(struct loader *l, const struct db_conf *db)
{
	struct arena a;
	struct place p = {l, db->file, db->line, NULL};

	arena_init(&a);
	p.what = arena_printf(&a, "database \"%.100s\": ", db->name);
	check_auth(&p, &db->settings, db);
	check_tracked(&p, &db->settings);
	for (int i = 0; i < db->n_shards; i++)
		check_shard(l, &p, db, &db->shards[i]);
	if (db->n_shards > 1 && db->map != NULL && db->map->n_tables == 0)
		config_report_add(l->report, true, db->file, db->line,
		    "%sit has %d shards, and no table of it is in a map", p.what,
		    db->n_shards);
	arena_reset(&a);
}

void
load_check(struct loader *l, const config_setting_t *root)
{
	struct place p = {l, l->cfg->file, 0, ""};
	const struct config *c = l->cfg;

	check_listen(l, root);
	check_listen_tls(l, root);
	check_peers(l, root);
	if (config_setting_get_member(root, "databases") == NULL)
		mistake(&p, "there are no databases");
	/* what is wrong for all is said once, not for every database */
	for (int i = 0; i < c->n_databases; i++)
		check_database(l, &c->databases[i]);
	if (c->n_databases == 0) {
		p = place_of(l, root, "auth");
		check_auth(&p, &c->settings, NULL);
	}
}
