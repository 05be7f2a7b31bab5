/* SHOW PLANS: the shapes that the workers know, merged by hash. Constants are masked: a sample may hold a password. */
#include <stdlib.h>

#include "router/admin/console.h"
#include "router/sql/stmt.h"

#define SAMPLE_MAX 200

struct plan_record {
	struct plan_record *next;
	uint64_t hash[2], hits;
	int workers, constants;
	const char *statement, *sample;
};

static void
record_shape(const struct shape *shape, void *arg)
{
	struct part *p = arg;
	struct plan_record *rec = ARENA_NEW(&p->arena, struct plan_record);
	const char *sample = shape->sample == NULL ? "" : shape->sample;

	rec->hash[0] = shape->hash[0];
	rec->hash[1] = shape->hash[1];
	rec->hits = shape->hits;
	rec->workers = 1;
	rec->constants = (int)shape->n_consts;
	rec->statement = shape->stmts == NULL ? "error"
	    : shape->stmts->n == 0            ? "empty"
					      : stmt_kind_name(shape->stmts->v[0].kind);
	rec->sample = console_mask(slice_of(sample), SAMPLE_MAX, &p->arena);
	rec->next = p->records;
	p->records = rec;
}

static void
plans_visit(struct round *r, struct part *p)
{
	(void)r;
	shape_cache_each(p->w->shapes, record_shape, p);
}

static int
by_hash(const void *a, const void *b)
{
	const struct plan_record *x = *(struct plan_record *const *)a,
				 *y = *(struct plan_record *const *)b;

	if (x->hash[0] != y->hash[0])
		return x->hash[0] < y->hash[0] ? -1 : 1;
	return x->hash[1] < y->hash[1] ? -1 : x->hash[1] > y->hash[1];
}

static int
by_hits(const void *a, const void *b)
{
	const struct plan_record *x = *(struct plan_record *const *)a,
				 *y = *(struct plan_record *const *)b;

	return x->hits > y->hits ? -1 : x->hits < y->hits;
}

static struct plan_record **
merge(struct round *r, size_t *n)
{
	struct plan_record **v;
	size_t total = 0, kept = 0;

	for (int i = 0; i < r->n_parts; i++)
		for (struct plan_record *rec = r->parts[i].records; rec != NULL;
		     rec = rec->next)
			total++;
	v = ARENA_NEW_N(&r->arena, struct plan_record *, total + 1);
	total = 0;
	for (int i = 0; i < r->n_parts; i++)
		for (struct plan_record *rec = r->parts[i].records; rec != NULL;
		     rec = rec->next)
			v[total++] = rec;
	qsort(v, total, sizeof v[0], by_hash);
	for (size_t i = 0; i < total; i++) {
		if (kept > 0 && by_hash(&v[kept - 1], &v[i]) == 0) {
			v[kept - 1]->hits += v[i]->hits;
			v[kept - 1]->workers += v[i]->workers;
		} else {
			v[kept++] = v[i];
		}
	}
	qsort(v, kept, sizeof v[0], by_hits);
	*n = kept;
	return v;
}

static enum rc
plans_finish(struct round *r, struct msgbuf *out, struct err *e)
{
	struct rows rows;
	size_t n;
	struct plan_record **v = merge(r, &n);

	(void)e;
	rows_init(&rows, TABLE_plans, out);
	for (size_t i = 0; i < n; i++) {
		row_fmt(&rows, "%016llx", (unsigned long long)v[i]->hash[0]);
		row_uint(&rows, v[i]->hits);
		row_int(&rows, v[i]->workers);
		row_text(&rows, v[i]->statement);
		row_int(&rows, v[i]->constants);
		row_text(&rows, v[i]->sample);
		row_end(&rows);
	}
	rows_fini(&rows);
	return RC_OK;
}

enum rc
admin_show_plans(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, plans_visit, plans_finish);
}
