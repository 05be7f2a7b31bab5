#include "router/session/cluster.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool/quota.h"
#include "router/route/map.h"
#include "router/route/schema.h"
#include "wire/secret.h"

/* ---- backends from the configuration ---- */

static const char *
tls_mode_word(enum tls_mode m)
{
	static const char *const words[] = {
	    "disable", "allow", "prefer", "require", "verify-ca", "verify-full"};

	return words[m];
}

static void
target_of(const struct db_conf *db, const char *name, const struct server_conf *s,
    const struct host_conf *host, struct backend_target *t, char port[8])
{
	const char *service;

	memset(t, 0, sizeof *t);
	snprintf(port, 8, "%u", host->port);
	t->host = host->host;
	t->hostaddr = host->hostaddr;
	t->port = port;
	t->dbname = s->dbname != NULL ? s->dbname : name;
	t->user = db->user != NULL ? db->user : s->user;
	t->password = db->user != NULL ? db->password : host->password;
	t->sslmode = tls_mode_word(s->tls_mode);
	t->sslrootcert = s->sslrootcert;
	t->sslcert = s->sslcert;
	t->sslkey = s->sslkey;
	t->options = s->options;
	t->application_name = s->application_name;
	t->probe_user = t->user;
	t->probe_password = t->password;
	service = db->settings.service_user[0] != '\0' ? db->settings.service_user
	    : t->user == NULL                          ? db->settings.auth_user
						       : "";
	if (service[0] != '\0') {
		const struct secret *secret = db->users == NULL
		    ? NULL
		    : secret_file_find(db->users, slice_of(service));

		t->probe_user = service;
		t->probe_password = secret != NULL && secret->kind == SECRET_PLAIN
		    ? secret->password
		    : NULL;
	}
}

static void
set_limits(struct backend *b, const struct settings *s)
{
	struct backend_limits *l = &b->limits;

	atomic_store(&l->pool_size, s->pool_size);
	atomic_store(&l->min_pool_size, s->min_pool_size);
	atomic_store(&l->reserve_pool_size, s->reserve_pool_size);
	atomic_store(&l->reserve_pool_timeout_us, s->reserve_pool_timeout_us);
	atomic_store(&l->server_lifetime_us, s->server_lifetime_us);
	atomic_store(&l->server_idle_timeout_us, s->server_idle_timeout_us);
	atomic_store(&l->server_connect_timeout_us, s->server_connect_timeout_us);
	atomic_store(&l->server_login_retry_us, s->server_login_retry_us);
	atomic_store(&l->query_wait_timeout_us, s->query_wait_timeout_us);
	atomic_store(&l->cancel_wait_timeout_us, s->cancel_wait_timeout_us);
	atomic_store(&l->max_replica_lag_us, s->max_replica_lag_us);
	atomic_store(&l->probe_interval_us, s->replica_probe_interval_us);
	atomic_store(&l->probe_timeout_us, s->probe_timeout_us);
	atomic_store(&l->breaker_open_us, s->breaker_open_time_us);
	atomic_store(&l->breaker_failures, s->breaker_failures);
	atomic_store(&l->server_check_delay_us, s->server_check_delay_us);
	atomic_store(&l->dns_max_ttl_us, s->dns_max_ttl_us);
	atomic_store(&l->server_round_robin, s->server_round_robin);
	quota_set_limit(b->quota, s->max_db_connections);
	backend_set_check_query(b, s->server_check_query);
}

/* Where a backend stands in the configuration. */
struct place {
	const struct server_conf *server;
	int host;            /* of the server's hosts */
	int position, first; /* see struct backend */
};

static struct backend *
find_before(struct snapshot *before, const char *db, const char *shard,
    const struct place *p, const struct backend_target *t)
{
	for (int i = 0; before != NULL && i < before->n; i++)
		for (int j = 0; j < before->clusters[i]->n_shards; j++)
			for (int k = 0; k < before->clusters[i]->shards[j].n; k++) {
				struct backend *b =
				    before->clusters[i]->shards[j].backends[k];

				if (backend_same(b, db, shard, p->position, t) &&
				    b->several == (p->server->n_hosts > 1) &&
				    b->first == p->first)
					return b;
			}
	return NULL;
}

static struct backend *
backend_for(struct cluster *c, const struct shard_conf *shard, const struct place *p,
    struct snapshot *before)
{
	struct backend_target target;
	struct backend *b;
	char port[8];

	target_of(c->conf, c->name, p->server, &p->server->hosts[p->host], &target, port);
	b = find_before(before, c->name, shard->name, p, &target);
	if (b != NULL) {
		backend_ref(b);
		atomic_store(&b->weight, p->server->weight);
	} else {
		b = backend_create(
		    c->name, shard->name, p->position, p->server->weight, &target);
		if (p->server->n_hosts > 1)
			backend_set_first(b, p->first);
	}
	set_limits(b, &shard->settings);
	if (p->server->connect_timeout_us != 0)
		atomic_store(
		    &b->limits.server_connect_timeout_us, p->server->connect_timeout_us);
	return b;
}

/* Positions count the conninfos: the primary's, the replicas'; further hosts of any come
 * behind all of these. */
static void
make_shard(struct cluster *c, int i, struct snapshot *before)
{
	const struct shard_conf *conf = &c->conf->shards[i];
	struct cluster_shard *s = &c->shards[i];
	struct place p;

	s->name = conf->name;
	s->n = conf->primary->n_hosts;
	for (int k = 0; k < conf->n_replicas; k++)
		s->n += conf->replicas[k]->n_hosts;
	s->backends = calloc((size_t)s->n, sizeof *s->backends);
	if (s->backends == NULL)
		abort();
	p.position = conf->n_replicas + 1;
	for (int k = 0; k <= conf->n_replicas; k++) {
		struct place first = {.position = k, .first = k};

		p.server = first.server = k == 0 ? conf->primary : conf->replicas[k - 1];
		p.first = k;
		s->backends[k] = backend_for(c, conf, &first, before);
		for (p.host = 1; p.host < p.server->n_hosts; p.host++, p.position++)
			s->backends[p.position] = backend_for(c, conf, &p, before);
	}
}

static void
carry_over(struct cluster *c, struct snapshot *before)
{
	for (int i = 0; before != NULL && i < before->n; i++) {
		struct cluster *old = before->clusters[i];

		if (strcmp(old->name, c->name) != 0)
			continue;
		atomic_store(&c->paused, atomic_load(&old->paused));
		atomic_store(&c->probed, atomic_load(&old->probed));
		for (int k = 0; k < c->n_shards; k++)
			for (int j = 0; j < c->shards[k].n; j++)
				atomic_store(&c->shards[k].backends[j]->paused,
				    atomic_load(&old->paused));
		atomic_store(&c->disabled, atomic_load(&old->disabled));
		pthread_mutex_lock(&old->lock);
		if (old->schema != NULL)
			schema_ref(c->schema = old->schema);
		atomic_store(&c->schema_gen, atomic_load(&old->schema_gen));
		atomic_store(&c->schema_wanted, atomic_load(&old->schema_wanted));
		atomic_store(&c->schema_done, atomic_load(&old->schema_done));
		atomic_store(&c->ddl, atomic_load(&old->ddl));
		pthread_mutex_unlock(&old->lock);
	}
}

static struct cluster *
cluster_create(struct config *config, const struct db_conf *conf, const char *name,
    struct snapshot *before)
{
	struct cluster *c = calloc(1, sizeof *c);

	if (c == NULL)
		abort();
	atomic_init(&c->refs, 1);
	c->config = config_ref(config);
	c->conf = conf;
	c->name = strdup(name);
	c->n_shards = conf->n_shards;
	c->shards = calloc((size_t)conf->n_shards, sizeof *c->shards);
	if (c->shards == NULL || c->name == NULL)
		abort();
	pthread_mutex_init(&c->lock, NULL);
	list_init(&c->logins);
	for (int i = 0; i < conf->n_shards; i++)
		make_shard(c, i, before);
	carry_over(c, before);
	return c;
}

struct cluster *
cluster_ref(struct cluster *c)
{
	atomic_fetch_add(&c->refs, 1);
	return c;
}

void
cluster_unref(struct cluster *c)
{
	if (c == NULL || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	for (int i = 0; i < c->n_shards; i++) {
		for (int k = 0; k < c->shards[i].n; k++)
			backend_unref(c->shards[i].backends[k]);
		free(c->shards[i].backends);
	}
	if (c->schema != NULL)
		schema_unref(c->schema);
	pthread_mutex_destroy(&c->lock);
	login_params_clear(c);
	if (c->login_password != NULL)
		OPENSSL_cleanse(c->login_password, strlen(c->login_password));
	free(c->login_password);
	free(c->login_user);
	free(c->shards);
	free(c->own_conf);
	free(c->name);
	config_unref(c->config);
	free(c);
}

bool
cluster_remember_login(struct cluster *c, const char *user, const char *password)
{
	bool first;

	if (password == NULL)
		return false;
	pthread_mutex_lock(&c->lock);
	first = c->login_user == NULL;
	if (first) {
		c->login_user = strdup(user);
		c->login_password = strdup(password);
	}
	pthread_mutex_unlock(&c->lock);
	return first;
}

/* ---- snapshots ---- */

static struct cluster *
add_wildcard(struct snapshot *s, const char *name, struct snapshot *before)
{
	struct cluster *c = cluster_create(s->config, s->config->wildcard, name, before);

	s->clusters = realloc(s->clusters, sizeof *s->clusters * (size_t)(s->n + 1));
	if (s->clusters == NULL)
		abort();
	s->clusters[s->n++] = c;
	return c;
}

static bool
in_use(struct cluster *c)
{
	bool used = atomic_load(&c->clients) > 0 || atomic_load(&c->paused) ||
	    atomic_load(&c->disabled);

	for (int i = 0; i < c->n_shards; i++)
		for (int k = 0; k < c->shards[i].n; k++)
			used |= atomic_load(&c->shards[i].backends[k]->connections) > 0;
	return used;
}

/* Names that came by the wildcard keep their servers, and what was done to them; those
 * that nobody uses are forgotten. */
static void
keep_wildcards(struct snapshot *s, struct snapshot *before)
{
	pthread_mutex_lock(&before->lock);
	for (int i = 0; i < before->n; i++) {
		struct cluster *c = before->clusters[i];

		if (c->conf->wildcard && in_use(c) &&
		    config_database(s->config, slice_of(c->name)) == s->config->wildcard)
			(void)add_wildcard(s, c->name, before);
	}
	pthread_mutex_unlock(&before->lock);
}

struct snapshot *
snapshot_create(struct config *config, struct snapshot *before)
{
	struct snapshot *s = calloc(1, sizeof *s);

	if (s == NULL)
		abort();
	atomic_init(&s->refs, 1);
	s->gen = before == NULL ? 1 : before->gen + 1;
	s->config = config_ref(config);
	pthread_mutex_init(&s->lock, NULL);
	s->clusters = calloc((size_t)config->n_databases + 1, sizeof *s->clusters);
	if (s->clusters == NULL)
		abort();
	for (int i = 0; i < config->n_databases; i++)
		if (!config->databases[i].wildcard)
			s->clusters[s->n++] = cluster_create(config,
			    &config->databases[i], config->databases[i].name, before);
	if (before != NULL && config->wildcard != NULL)
		keep_wildcards(s, before);
	return s;
}

struct snapshot *
snapshot_ref(struct snapshot *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

void
snapshot_unref(struct snapshot *s)
{
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	for (int i = 0; i < s->n; i++)
		cluster_unref(s->clusters[i]);
	free(s->clusters);
	pthread_mutex_destroy(&s->lock);
	config_unref(s->config);
	free(s);
}

struct cluster *
snapshot_cluster(struct snapshot *s, struct slice name)
{
	struct cluster *found = NULL;

	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < s->n && found == NULL; i++)
		if (slice_eq_str(name, s->clusters[i]->name))
			found = s->clusters[i];
	if (found == NULL && s->config->wildcard != NULL && name.len > 0) {
		char *copy = strndup(name.ptr, name.len);

		found = add_wildcard(s, copy, NULL);
		free(copy);
	}
	if (found != NULL)
		cluster_ref(found);
	pthread_mutex_unlock(&s->lock);
	return found;
}

static bool
is_probed(const struct cluster *c)
{
	return !c->conf->wildcard || atomic_load(&c->probed);
}

bool
cluster_wants_probes(struct cluster *c)
{
	bool several = false;

	for (int i = 0; c->conf->wildcard && i < c->n_shards; i++)
		several |= c->shards[i].n > 1;
	return several && !atomic_exchange(&c->probed, true);
}

struct backend **
snapshot_backends(struct snapshot *s, bool probed, int *n)
{
	struct backend **v = NULL;

	*n = 0;
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < s->n; i++) {
		struct cluster *c = s->clusters[i];

		for (int j = 0; j < c->n_shards && (!probed || is_probed(c)); j++) {
			struct cluster_shard *shard = &c->shards[j];

			v = realloc(v, sizeof *v * (size_t)(*n + shard->n));
			if (v == NULL)
				abort();
			for (int k = 0; k < shard->n; k++)
				v[(*n)++] = shard->backends[k];
		}
	}
	pthread_mutex_unlock(&s->lock);
	return v;
}
