/* SHOW STATS and its like: the workers' counters are atomics, so nobody is asked. */
#include <stdlib.h>

#include "router/admin/console.h"
#include "router/admin/stats.h"

struct stat_rows {
	struct rows rows;
	const struct db_sum *sums;
	int n;
	uint64_t now_us;
	void (*row)(struct stat_rows *, const struct db_sum *);
};

static const char *const totals[STAT_COUNT] = {
#define STAT(field, total, avg, plain, per) [STAT_##field] = "total_" total,
#define STAT_OURS(field, name)              [STAT_##field] = "total_" name,
#include "router/admin/stats.def"
};

static const char *const averages[STAT_COUNT] = {
#define STAT(field, total, avg, plain, per) [STAT_##field] = "avg_" avg,
#include "router/admin/stats.def"
};

static void
total_columns(struct stat_rows *s, const struct db_sum *sum, bool ours)
{
	for (int i = 0; i < STAT_COUNT; i++)
		if ((averages[i] == NULL) == ours)
			row_uint(&s->rows, sum->v[i]);
}

static void
average_columns(struct stat_rows *s, const struct db_sum *sum)
{
	uint64_t avg[STAT_COUNT];

	stats_averages(sum, s->now_us, avg);
	for (int i = 0; i < STAT_COUNT; i++)
		if (averages[i] != NULL)
			row_uint(&s->rows, avg[i]);
}

static void
full_row(struct stat_rows *s, const struct db_sum *sum)
{
	row_text(&s->rows, sum->database);
	total_columns(s, sum, false);
	average_columns(s, sum);
	total_columns(s, sum, true);
	row_uint(&s->rows, (uint64_t)histogram_quantile(&sum->query, 0.5));
	row_uint(&s->rows, (uint64_t)histogram_quantile(&sum->query, 0.95));
	row_uint(&s->rows, (uint64_t)histogram_quantile(&sum->query, 0.99));
	row_uint(&s->rows, (uint64_t)histogram_quantile(&sum->wait, 0.99));
	row_end(&s->rows);
}

static void
totals_row(struct stat_rows *s, const struct db_sum *sum)
{
	row_text(&s->rows, sum->database);
	total_columns(s, sum, false);
	total_columns(s, sum, true);
	row_end(&s->rows);
}

static void
averages_row(struct stat_rows *s, const struct db_sum *sum)
{
	row_text(&s->rows, sum->database);
	average_columns(s, sum);
	row_end(&s->rows);
}

static bool
has_sum(const struct stat_rows *s, const char *database)
{
	for (int i = 0; i < s->n; i++)
		if (strncmp(s->sums[i].database, database,
			sizeof s->sums[i].database - 1) == 0)
			return true;
	return false;
}

/* A database that nobody has used yet. */
static void
unused_row(struct cluster *c, void *arg)
{
	struct stat_rows *s = arg;
	struct db_sum *zero;

	if (has_sum(s, c->name))
		return;
	zero = calloc(1, sizeof *zero);
	if (zero == NULL)
		abort();
	strncpy(zero->database, c->name, sizeof zero->database - 1);
	s->row(s, zero);
	free(zero);
}

static enum rc
show(struct call *call, enum table_id table,
    void (*row)(struct stat_rows *, const struct db_sum *))
{
	struct stat_rows s = {.row = row, .now_us = loop_now_us(call->w->loop)};
	struct db_sum *sums = stats_sums(call->w->proc, &s.n);

	s.sums = sums;
	rows_init(&s.rows, table, call->out);
	for (int i = 0; i < s.n; i++)
		row(&s, &sums[i]);
	console_each_cluster(call->w, NULL, unused_row, &s);
	rows_fini(&s.rows);
	free(sums);
	return RC_OK;
}

enum rc
admin_show_stats(struct call *call, struct err *e)
{
	(void)e;
	return show(call, TABLE_stats, full_row);
}

enum rc
admin_show_stats_totals(struct call *call, struct err *e)
{
	(void)e;
	return show(call, TABLE_stats_totals, totals_row);
}

enum rc
admin_show_stats_averages(struct call *call, struct err *e)
{
	(void)e;
	return show(call, TABLE_stats_averages, averages_row);
}

/* ---- TOTALS: everything together ---- */

static void
named(struct rows *rows, const char *name, uint64_t value)
{
	row_text(rows, name);
	row_uint(rows, value);
	row_end(rows);
}

enum rc
admin_show_totals(struct call *call, struct err *e)
{
	uint64_t now = loop_now_us(call->w->loop), total[STAT_COUNT] = {0},
		 avg[STAT_COUNT];
	struct rows rows;
	int n;
	struct db_sum *sums = stats_sums(call->w->proc, &n);

	(void)e;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < STAT_COUNT; j++)
			total[j] += sums[i].v[j];
	stats_total_averages(total, now, avg);
	rows_init(&rows, TABLE_totals, call->out);
	for (int i = 0; i < STAT_COUNT; i++)
		named(&rows, totals[i], total[i]);
	for (int i = 0; i < STAT_COUNT; i++)
		if (averages[i] != NULL)
			named(&rows, averages[i], avg[i]);
	rows_fini(&rows);
	free(sums);
	return RC_OK;
}
