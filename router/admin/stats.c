#include "router/admin/stats.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

/* ---- sums ---- */

static struct db_sum *
sum_of(struct db_sum **v, int *n, const char *database)
{
	for (int i = 0; i < *n; i++)
		if (strcmp((*v)[i].database, database) == 0)
			return &(*v)[i];
	*v = realloc(*v, sizeof **v * (size_t)(*n + 1));
	if (*v == NULL)
		abort();
	memset(&(*v)[*n], 0, sizeof **v);
	memcpy((*v)[*n].database, database, sizeof(*v)[*n].database);
	return &(*v)[(*n)++];
}

static void
add(struct db_sum *to, const struct dbstats *st)
{
#define STAT(field, total, avg, plain, per) \
	to->v[STAT_##field] += atomic_load_explicit(&st->field, memory_order_relaxed);
#define STAT_OURS(field, name) \
	to->v[STAT_##field] += atomic_load_explicit(&st->field, memory_order_relaxed);
#include "router/admin/stats.def"
	for (int i = 0; i < PLAN_KINDS; i++)
		to->plans[i] += atomic_load_explicit(&st->plans[i], memory_order_relaxed);
	histogram_merge(&to->query, st->query_hist);
	histogram_merge(&to->wait, st->wait_hist);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(
	    ((const struct db_sum *)a)->database, ((const struct db_sum *)b)->database);
}

struct db_sum *
stats_sums(const struct proc *p, int *n)
{
	struct db_sum *v = NULL;

	*n = 0;
	for (int i = 0; i < p->n_workers; i++)
		for (const struct dbstats *st = atomic_load(&p->workers[i].stats);
		     st != NULL; st = st->next)
			add(sum_of(&v, n, st->database), st);
	if (*n > 1)
		qsort(v, (size_t)*n, sizeof *v, by_name);
	return v;
}

/* ---- samples ---- */

struct sample {
	uint64_t at_us;
	struct db_sum *v;
	int n;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sample before,
    latest; /* the last whole period lies between them; latest.at_us 0: none has ended */

enum { STAT_SECONDS = STAT_COUNT };

static const int divisors[STAT_COUNT] = {
#define STAT(field, total, avg, plain, per) [STAT_##field] = (int)STAT_##per,
#define STAT_OURS(field, name)              [STAT_##field] = STAT_SECONDS,
#include "router/admin/stats.def"
};

/* Growth between two samples of one database; what was not there counts as zero. */
static void
average(const uint64_t *from, const uint64_t *to, uint64_t us, uint64_t out[STAT_COUNT])
{
	uint64_t grown[STAT_COUNT];

	for (int i = 0; i < STAT_COUNT; i++)
		grown[i] = to[i] - (from == NULL ? 0 : from[i]);
	for (int i = 0; i < STAT_COUNT; i++) {
		uint64_t by = divisors[i] == STAT_SECONDS ? us : grown[divisors[i]];

		if (divisors[i] == STAT_SECONDS && by > 0)
			out[i] = (uint64_t)((double)grown[i] * 1e6 / (double)by);
		else
			out[i] = by == 0 ? 0 : grown[i] / by;
	}
}

static const uint64_t *
find(const struct sample *s, const char *database)
{
	for (int i = 0; i < s->n; i++)
		if (strcmp(s->v[i].database, database) == 0)
			return s->v[i].v;
	return NULL;
}

void
stats_averages(const struct db_sum *now, uint64_t now_us, uint64_t out[STAT_COUNT])
{
	static const uint64_t zero[STAT_COUNT];
	const uint64_t *from, *to;

	pthread_mutex_lock(&lock);
	from = find(&before, now->database);
	to = latest.at_us == 0 ? now->v : find(&latest, now->database);
	average(from, to == NULL ? zero : to,
	    (latest.at_us == 0 ? now_us : latest.at_us) - before.at_us, out);
	pthread_mutex_unlock(&lock);
}

static void
sum_all(const struct sample *s, uint64_t out[STAT_COUNT])
{
	memset(out, 0, sizeof out[0] * STAT_COUNT);
	for (int i = 0; i < s->n; i++)
		for (int j = 0; j < STAT_COUNT; j++)
			out[j] += s->v[i].v[j];
}

static void
period_average(const uint64_t *now, uint64_t now_us, uint64_t out[STAT_COUNT])
{
	uint64_t from[STAT_COUNT], to[STAT_COUNT];

	sum_all(&before, from);
	sum_all(&latest, to);
	if (latest.at_us == 0)
		average(from, now, now_us - before.at_us, out);
	else
		average(from, to, latest.at_us - before.at_us, out);
}

void
stats_total_averages(
    const uint64_t now[STAT_COUNT], uint64_t now_us, uint64_t out[STAT_COUNT])
{
	pthread_mutex_lock(&lock);
	period_average(now, now_us, out);
	pthread_mutex_unlock(&lock);
}

static void
log_period(void)
{
	uint64_t avg[STAT_COUNT];

	period_average(NULL, 0, avg);
	log_line(LOG_INFO, "stats", "xacts_s", LOG_NUM((long long)avg[STAT_xacts]),
	    "queries_s", LOG_NUM((long long)avg[STAT_queries]), "in_bytes_s",
	    LOG_NUM((long long)avg[STAT_received]), "out_bytes_s",
	    LOG_NUM((long long)avg[STAT_sent]), "xact_us",
	    LOG_NUM((long long)avg[STAT_xact_us]), "query_us",
	    LOG_NUM((long long)avg[STAT_query_us]), "wait_us",
	    LOG_NUM((long long)avg[STAT_wait_us]), NULL);
}

/* ---- the timer ---- */

static struct {
	struct mail mail;
	struct timer timer;
	struct worker *w;
} sampler;

static void
arm(void)
{
	timer_start(sampler.w->loop, &sampler.timer,
	    sampler.w->snap->config->settings.stats_period_us / 1000);
}

static void
period_over(struct timer *t)
{
	(void)t;
	pthread_mutex_lock(&lock);
	if (latest.at_us != 0) {
		free(before.v);
		before = latest;
	}
	latest.v = stats_sums(sampler.w->proc, &latest.n);
	latest.at_us = loop_now_us(sampler.w->loop);
	log_period();
	pthread_mutex_unlock(&lock);
	arm();
}

static void
begin(struct mail *m)
{
	(void)m;
	before.at_us = loop_now_us(sampler.w->loop);
	timer_init(&sampler.timer, period_over);
	arm();
}

void
stats_start(struct proc *p)
{
	sampler.w = &p->workers[0];
	sampler.mail.deliver = begin;
	loop_post(sampler.w->loop, &sampler.mail);
}
