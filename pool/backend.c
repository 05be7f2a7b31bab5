/* What is known of one database server, and its circuit breaker:
 *
 *   CLOSED --breaker_failures in a row--> OPEN
 *   OPEN --breaker_open_us later, one trial--> HALF_OPEN
 *   HALF_OPEN --the trial failed--> OPEN
 *   any --something worked--> CLOSED
 *
 * In HALF_OPEN breaker_until_us says when another trial may begin, should the first
 * never report. */
#include "pool/backend.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pool/quota.h"
#include "wire/login.h"

#define SECOND UINT64_C(1000000)

static atomic_int workers = WORKERS_MAX;

void
backend_set_workers(int n)
{
	atomic_store(&workers, n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : n);
}

int
backend_workers(void)
{
	return atomic_load_explicit(&workers, memory_order_relaxed);
}

static char *
copy(const char *s)
{
	char *c;

	if (s == NULL)
		return NULL;
	c = strdup(s);
	if (c == NULL)
		abort();
	return c;
}

/* Every text of a target, so that copying, freeing and comparing cannot differ. */
/* clang-format off */
#define TARGET_TEXTS(X)                                                              \
	X(host)                                                                      \
	X(hostaddr)                                                                  \
	X(port)                                                                      \
	X(dbname) X(user) X(password) X(sslmode) X(sslrootcert) X(sslcert) X(sslkey) \
	    X(options) X(application_name) X(probe_user) X(probe_password)
/* clang-format on */

static void
target_copy(struct backend_target *to, const struct backend_target *from)
{
#define X(f) to->f = copy(from->f);
	TARGET_TEXTS(X)
#undef X
}

static void
target_fini(struct backend_target *t)
{
#define X(f) free((char *)t->f);
	if (t->password != NULL)
		explicit_bzero((char *)t->password, strlen(t->password));
	if (t->probe_password != NULL)
		explicit_bzero((char *)t->probe_password, strlen(t->probe_password));
	TARGET_TEXTS(X)
#undef X
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
target_same(const struct backend_target *a, const struct backend_target *b)
{
#define X(f) &&same_text(a->f, b->f)
	return true TARGET_TEXTS(X);
#undef X
}

/* The settings' defaults (router/config/settings.def). */
static void
limits_init(struct backend_limits *l)
{
	l->pool_size = 20;
	l->reserve_pool_timeout_us = 5 * SECOND;
	l->server_lifetime_us = 3600 * SECOND;
	l->server_idle_timeout_us = 600 * SECOND;
	l->server_connect_timeout_us = 15 * SECOND;
	l->server_login_retry_us = SECOND;
	l->query_wait_timeout_us = 120 * SECOND;
	l->cancel_wait_timeout_us = 10 * SECOND;
	l->probe_interval_us = SECOND;
	l->probe_timeout_us = 2 * SECOND;
	l->breaker_open_us = 5 * SECOND;
	l->breaker_failures = 3;
	l->server_check_delay_us = 30 * SECOND;
	l->dns_max_ttl_us = 15 * SECOND;
}

static bool
is_name(const struct backend_target *t)
{
	unsigned char address[sizeof(struct in6_addr)];

	return t->host != NULL && (t->hostaddr == NULL || *t->hostaddr == 0) &&
	    *t->host != '/' && *t->host != '@' &&
	    inet_pton(AF_INET, t->host, address) != 1 &&
	    inet_pton(AF_INET6, t->host, address) != 1;
}

struct backend *
backend_create(const char *database, const char *shard, int position, int weight,
    const struct backend_target *target)
{
	struct backend *b = aligned_alloc(64, (sizeof *b + 63) & ~(size_t)63);

	if (b == NULL)
		abort();
	memset(b, 0, sizeof *b);
	b->refs = 1;
	b->database = copy(database);
	b->shard = copy(shard);
	b->quota = quota_get(QUOTA_DATABASE, database);
	(void)snprintf(b->label, sizeof b->label, "%s/%s/%d", database, shard, position);
	b->position = position;
	b->weight = weight;
	b->first = position;
	target_copy(&b->target, target);
	b->named = is_name(target);
	limits_init(&b->limits);
	(void)pthread_mutex_init(&b->lock, NULL);
	list_init(&b->lanes);
	return b;
}

void
backend_set_first(struct backend *b, int first)
{
	b->several = true;
	b->first = first;
}

void
backend_ref(struct backend *b)
{
	atomic_fetch_add(&b->refs, 1);
}

void
backend_unref(struct backend *b)
{
	if (b == NULL || atomic_fetch_sub(&b->refs, 1) > 1)
		return;
	target_fini(&b->target);
	SSL_CTX_free(b->tls);
	free(b->addresses);
	quota_unref(b->quota);
	free((char *)b->database);
	free((char *)b->shard);
	free(b->check_query);
	for (int i = 0; i < WORKERS_MAX * QUERY_KINDS; i++)
		free(atomic_load(&b->worker[i / QUERY_KINDS].queries[i % QUERY_KINDS]));
	pthread_mutex_destroy(&b->lock);
	free(b);
}

bool
backend_same(const struct backend *b, const char *database, const char *shard,
    int position, const struct backend_target *target)
{
	return b->position == position && strcmp(b->database, database) == 0 &&
	    strcmp(b->shard, shard) == 0 && target_same(&b->target, target);
}

/* ---- addresses of its name ---- */

static bool
knows(const struct login_address *list, int n, const struct login_address *a)
{
	for (int i = 0; i < n; i++)
		if (list[i].len == a->len && memcmp(&list[i].any, &a->any, a->len) == 0)
			return true;
	return false;
}

/* Their order may change with each answer, and says nothing. */
bool
backend_set_addresses(struct backend *b, const struct login_address *list, int n)
{
	bool same;

	pthread_mutex_lock(&b->lock);
	same = n == b->n_addresses;
	for (int i = 0; i < n; i++)
		same = same && knows(b->addresses, b->n_addresses, &list[i]);
	if (!same) {
		free(b->addresses);
		b->addresses = malloc((size_t)n * sizeof *list);
		if (b->addresses == NULL)
			abort();
		memcpy(b->addresses, list, (size_t)n * sizeof *list);
		b->n_addresses = n;
		atomic_fetch_add(&b->moves_of_name, 1);
	}
	pthread_mutex_unlock(&b->lock);
	return !same;
}

bool
backend_is_at(struct backend *b, const struct login_address *a)
{
	bool good;

	pthread_mutex_lock(&b->lock);
	good = b->n_addresses == 0 || knows(b->addresses, b->n_addresses, a);
	pthread_mutex_unlock(&b->lock);
	return good;
}

bool
backend_is_at_text(struct backend *b, const char *address)
{
	bool good;

	pthread_mutex_lock(&b->lock);
	good = b->n_addresses == 0;
	for (int i = 0; i < b->n_addresses && !good; i++) {
		char text[NI_MAXHOST];

		good = getnameinfo(&b->addresses[i].any, b->addresses[i].len, text,
			   sizeof text, NULL, 0, NI_NUMERICHOST) == 0 &&
		    strcmp(text, address) == 0;
	}
	pthread_mutex_unlock(&b->lock);
	return good;
}

void
backend_query_took(struct backend *b, int worker, unsigned kind, uint64_t us)
{
	_Atomic(struct histogram *) *slot =
	    &b->worker[worker].queries[kind % QUERY_KINDS];
	struct histogram *h = atomic_load_explicit(slot, memory_order_relaxed);

	if (h == NULL) {
		h = calloc(1, sizeof *h);
		if (h == NULL)
			abort();
		atomic_store_explicit(slot, h, memory_order_release);
	}
	histogram_record(h, us);
}

int
backend_active(const struct backend *b)
{
	int n = 0, end = backend_workers();

	for (int i = 0; i < end; i++)
		n += atomic_load_explicit(&b->worker[i].active, memory_order_relaxed);
	return n;
}

void
backend_set_check_query(struct backend *b, const char *sql)
{
	pthread_mutex_lock(&b->lock);
	free(b->check_query);
	b->check_query = sql == NULL || *sql == 0 ? NULL : copy(sql);
	pthread_mutex_unlock(&b->lock);
}

enum rc
backend_tls(struct backend *b, enum sslmode *mode, SSL_CTX **ctx, struct err *e)
{
	const struct backend_target *t = &b->target;
	struct tls_client_conf conf = {
	    .ca = t->sslrootcert, .cert = t->sslcert, .key = t->sslkey};
	enum rc rc = RC_OK;

	*ctx = NULL;
	*mode = SSLMODE_PREFER;
	if (t->sslmode != NULL && sslmode_parse(t->sslmode, mode, e) != RC_OK)
		return RC_ERR;
	if (*mode == SSLMODE_DISABLE)
		return RC_OK;
	conf.mode = *mode;
	pthread_mutex_lock(&b->lock);
	if (b->tls == NULL)
		rc = tls_client_create(&conf, &b->tls, e);
	if (rc == RC_OK)
		*ctx = b->tls;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* ---- role ---- */

bool
backend_can_probe(const struct backend *b)
{
	return b->target.probe_user != NULL || b->target.user != NULL;
}

enum backend_role
backend_role(const struct backend *b)
{
	enum backend_role role = (enum backend_role)atomic_load(&b->role);

	if (role != ROLE_UNKNOWN || backend_can_probe(b))
		return role;
	return b->position == 0 ? ROLE_PRIMARY : ROLE_REPLICA;
}

/* ---- failures ---- */

static uint64_t
wall_clock_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec / 1000;
}

void
backend_note(struct backend *b, const struct err *e)
{
	pthread_mutex_lock(&b->lock);
	(void)snprintf(b->last_error, sizeof b->last_error, "%.*s",
	    (int)sizeof b->last_error - 1, e->msg);
	b->last_error_us = wall_clock_us();
	pthread_mutex_unlock(&b->lock);
}

uint64_t
backend_last_error(struct backend *b, char *buf, size_t size)
{
	uint64_t at;

	pthread_mutex_lock(&b->lock);
	(void)snprintf(buf, size, "%s", b->last_error);
	at = b->last_error_us;
	pthread_mutex_unlock(&b->lock);
	return at;
}

void
backend_failed(struct backend *b, const struct err *e, uint64_t now_us)
{
	int failures = atomic_fetch_add(&b->failures, 1) + 1;
	bool trial = atomic_load(&b->breaker) == BREAKER_HALF_OPEN;

	backend_note(b, e);
	if (!trial && failures < atomic_load(&b->limits.breaker_failures))
		return;
	atomic_store(
	    &b->breaker_until_us, now_us + atomic_load(&b->limits.breaker_open_us));
	atomic_store(&b->opened_us, now_us);
	atomic_store(&b->breaker, BREAKER_OPEN);
}

void
backend_worked(struct backend *b)
{
	/* Mostly there is nothing to write, and the line is shared. */
	if (atomic_load_explicit(&b->failures, memory_order_relaxed) != 0)
		atomic_store(&b->failures, 0);
	if (atomic_load_explicit(&b->breaker, memory_order_relaxed) != BREAKER_CLOSED)
		atomic_store(&b->breaker, BREAKER_CLOSED);
}

bool
backend_would_be_usable(const struct backend *b, uint64_t now_us)
{
	return atomic_load(&b->breaker) == BREAKER_CLOSED ||
	    now_us >= atomic_load(&b->breaker_until_us);
}

bool
backend_usable(struct backend *b, uint64_t now_us)
{
	uint64_t until = atomic_load(&b->breaker_until_us);

	if (atomic_load(&b->breaker) == BREAKER_CLOSED)
		return true;
	/* Who moves the time on has the trial. */
	if (now_us < until ||
	    !atomic_compare_exchange_strong(&b->breaker_until_us, &until,
		now_us + atomic_load(&b->limits.breaker_open_us)))
		return false;
	atomic_store(&b->breaker, BREAKER_HALF_OPEN);
	return true;
}
