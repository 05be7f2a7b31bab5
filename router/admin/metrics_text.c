#include "router/admin/metrics_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/recovery/service.h"

void
text_add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	for (;;) {
		va_start(ap, fmt);
		n = vsnprintf(
		    t->p == NULL ? NULL : t->p + t->len, t->cap - t->len, fmt, ap);
		va_end(ap);
		if (n < 0)
			abort();
		if ((size_t)n < t->cap - t->len)
			break;
		t->cap = (t->cap + (size_t)n + 1) * 2;
		t->p = realloc(t->p, t->cap);
		if (t->p == NULL)
			abort();
	}
	t->len += (size_t)n;
}

void
text_label(struct text *t, const char *value)
{
	while (*value != '\0') {
		size_t n = utf8_char(value);

		if (*value == '\\' || *value == '"')
			text_add(t, "\\%c", *value);
		else if (*value == '\n')
			text_add(t, "\\n");
		else
			text_add(t, "%.*s", n == 0 ? 1 : (int)n, n == 0 ? "?" : value);
		value += n == 0 ? 1 : n;
	}
}

static void
head(struct text *t, const char *name, const char *type, const char *help)
{
	text_add(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Whole numbers as such: %g would round what is above six digits. */
static void
number(struct text *t, double v)
{
	if (v == (double)(int64_t)v)
		text_add(t, " %lld\n", (long long)v);
	else
		text_add(t, " %.6f\n", v);
}

static void
database_label(struct text *t, const char *name, const char *database)
{
	text_add(t, "%s{database=\"", name);
	text_label(t, database);
	text_add(t, "\"");
}

/* ---- histograms ---- */

/* `labels` writes the sample's name and all labels but `le`. */
static void
write_histogram(struct text *t, const char *name,
    void (*labels)(struct text *, const char *sample, const void *of), const void *of,
    const struct histogram *h)
{
	char sample[100];
	uint64_t n = 0;

	snprintf(sample, sizeof sample, "%s_bucket", name);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		n += counter_get(&h->bucket[i]);
		if (i % 4 != 3 || i == HISTOGRAM_BUCKETS - 1)
			continue;
		labels(t, sample, of);
		text_add(t, ",le=\"%.6f\"} %llu\n", (double)histogram_upper_us(i) / 1e6,
		    (unsigned long long)n);
	}
	labels(t, sample, of);
	text_add(t, ",le=\"+Inf\"} %llu\n", (unsigned long long)n);
	snprintf(sample, sizeof sample, "%s_sum", name);
	labels(t, sample, of);
	text_add(t, "} %.6f\n", (double)histogram_sum_us(h) / 1e6);
	snprintf(sample, sizeof sample, "%s_count", name);
	labels(t, sample, of);
	text_add(t, "} %llu\n", (unsigned long long)n);
}

static void
by_database(struct text *t, const char *sample, const void *of)
{
	database_label(t, sample, of);
}

void
metrics_histogram(
    struct text *t, const char *name, const char *database, const struct histogram *h)
{
	write_histogram(t, name, by_database, database, h);
}

/* ---- samples ---- */

static void
backend_labels(struct text *t, const char *name, const struct backend *b)
{
	database_label(t, name, b->database);
	text_add(t, ",shard=\"");
	text_label(t, b->shard);
	text_add(t, "\",server=\"%d\",role=\"%s\"", b->position,
	    backend_role(b) == ROLE_PRIMARY       ? "primary"
		: backend_role(b) == ROLE_REPLICA ? "replica"
						  : "unknown");
}

static double
age_s(uint64_t since_us, uint64_t now_us)
{
	return since_us == 0    ? -1
	    : now_us > since_us ? (double)(now_us - since_us) / 1e6
				: 0;
}

static void
write_info(const struct scrape *m, struct text *t, const char *name)
{
	text_add(t, "%s{version=\"%s\",event_loop=\"%s\"} 1\n", name, WEIR_VERSION,
	    m->event_loop);
}

static const char *const plan_kinds[] = {[PLAN_ONE] = "one",
    [PLAN_ANY] = "any",
    [PLAN_ALL] = "all",
    [PLAN_LOOKUP] = "lookup",
    [PLAN_MULTI] = "several"};

#define N_PLAN_KINDS (sizeof plan_kinds / sizeof plan_kinds[0])
_Static_assert(N_PLAN_KINDS <= PLAN_KINDS, "every kind of plan has a counter");
_Static_assert(N_PLAN_KINDS <= QUERY_KINDS, "every kind of plan has a histogram");

static void
write_plans(const struct scrape *m, struct text *t, const char *name)
{
	for (int i = 0; i < m->n_sums; i++)
		for (size_t k = 0; k < N_PLAN_KINDS; k++) {
			database_label(t, name, m->sums[i].database);
			text_add(t, ",kind=\"%s\"} %llu\n", plan_kinds[k],
			    (unsigned long long)m->sums[i].plans[k]);
		}
}

static void
write_query_duration(const struct scrape *m, struct text *t, const char *name)
{
	for (int i = 0; i < m->n_sums; i++)
		metrics_histogram(t, name, m->sums[i].database, &m->sums[i].query);
}

static void
write_wait_duration(const struct scrape *m, struct text *t, const char *name)
{
	for (int i = 0; i < m->n_sums; i++)
		metrics_histogram(t, name, m->sums[i].database, &m->sums[i].wait);
}

static void
write_db_clients(const struct scrape *m, struct text *t, const char *name)
{
	for (int i = 0; i < m->n_clients; i++) {
		database_label(t, name, m->clients[i].database);
		text_add(t, ",state=\"active\"} %llu\n",
		    (unsigned long long)m->clients[i].active);
		database_label(t, name, m->clients[i].database);
		text_add(t, ",state=\"waiting\"} %llu\n",
		    (unsigned long long)m->clients[i].waiting);
	}
}

static void
write_max_wait(const struct scrape *m, struct text *t, const char *name)
{
	for (int i = 0; i < m->n_clients; i++) {
		database_label(t, name, m->clients[i].database);
		text_add(t, "} %.6f\n", (double)m->clients[i].max_wait_us / 1e6);
	}
}

/* The snapshot's lock is held by metrics_text(). */
static void
write_db_paused(const struct scrape *m, struct text *t, const char *name)
{
	for (int i = 0; i < m->snap->n; i++) {
		database_label(t, name, m->snap->clusters[i]->name);
		text_add(t, "} %d\n", atomic_load(&m->snap->clusters[i]->paused));
	}
}

static void
write_db_disabled(const struct scrape *m, struct text *t, const char *name)
{
	for (int i = 0; i < m->snap->n; i++) {
		database_label(t, name, m->snap->clusters[i]->name);
		text_add(t, "} %d\n", atomic_load(&m->snap->clusters[i]->disabled));
	}
}

#define EACH_BACKEND(m, b)                                                           \
	for (int i_ = 0; i_ < (m)->snap->n; i_++)                                    \
		for (int j_ = 0; j_ < (m)->snap->clusters[i_]->n_shards; j_++)       \
			for (int k_ = 0; k_ < (m)->snap->clusters[i_]->shards[j_].n; \
			     k_++)                                                   \
				for (struct backend *b = (m)->snap->clusters[i_]     \
							     ->shards[j_]            \
							     .backends[k_];          \
				     b != NULL; b = NULL)

struct queries {
	const struct backend *backend;
	unsigned kind;
	struct histogram sum; /* over the workers */
};

static void
by_backend_and_kind(struct text *t, const char *sample, const void *of)
{
	const struct queries *q = of;

	backend_labels(t, sample, q->backend);
	text_add(t, ",kind=\"%s\"", plan_kinds[q->kind]);
}

/* Kinds that never ran there are left out: most databases know one or two. */
static void
write_server_query_duration(const struct scrape *m, struct text *t, const char *name)
{
	EACH_BACKEND(m, b)
	for (unsigned kind = 0; kind < N_PLAN_KINDS; kind++) {
		struct queries q = {.backend = b, .kind = kind};

		for (int i = 0; i < backend_workers(); i++) {
			struct histogram *h = atomic_load_explicit(
			    &b->worker[i].queries[kind], memory_order_acquire);

			if (h != NULL)
				histogram_merge(&q.sum, h);
		}
		if (kind == PLAN_ONE || histogram_count(&q.sum) > 0)
			write_histogram(t, name, by_backend_and_kind, &q, &q.sum);
	}
}

static void
write_connections(const struct scrape *m, struct text *t, const char *name)
{
	EACH_BACKEND(m, b)
	{
		int active = backend_active(b), idle = 0,
		    all = atomic_load(&b->connections);

		for (int i = 0; i < backend_workers(); i++)
			idle += atomic_load_explicit(
			    &b->worker[i].idle, memory_order_relaxed);
		backend_labels(t, name, b);
		text_add(t, ",state=\"active\"} %d\n", active);
		backend_labels(t, name, b);
		text_add(t, ",state=\"idle\"} %d\n", idle);
		backend_labels(t, name, b);
		text_add(t, ",state=\"other\"} %d\n",
		    all > active + idle ? all - active - idle : 0);
	}
}

/* ---- all of it, in the table's order ---- */

void
metrics_text(const struct scrape *m, struct text *t)
{
	uint64_t now_us = m->now_us;

	pthread_mutex_lock(&m->snap->lock);
#define PROCESS(id, name, type, help, value) \
	head(t, name, type, help);           \
	text_add(t, "%s", name);             \
	number(t, (double)(value));
#define DATABASE(id, name, type, help, value)         \
	head(t, name, type, help);                    \
	for (int i = 0; i < m->n_sums; i++) {         \
		const struct db_sum *d = &m->sums[i]; \
                                                      \
		database_label(t, name, d->database); \
		text_add(t, "}");                     \
		number(t, (double)(value));           \
	}
#define BACKEND(id, name, type, help, value) \
	head(t, name, type, help);           \
	EACH_BACKEND(m, b)                   \
	{                                    \
		backend_labels(t, name, b);  \
		text_add(t, "}");            \
		number(t, (double)(value));  \
	}
#define WORKER(id, name, type, help, value)                        \
	head(t, name, type, help);                                 \
	for (int i = 0; i < m->n_workers; i++) {                   \
		const struct worker_numbers *wk = &m->workers[i];  \
                                                                   \
		text_add(t, "%s{worker=\"%d\"}", name, wk->index); \
		number(t, (double)(value));                        \
	}
#define OTHER(id, name, type, help) \
	head(t, name, type, help);  \
	write_##id(m, t, name);
#include "router/admin/metrics.def"
	pthread_mutex_unlock(&m->snap->lock);
}
