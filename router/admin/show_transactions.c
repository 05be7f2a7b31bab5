/* SHOW TRANSACTIONS: commits over shards that are under way in this process, and prepared transactions that its recovery has
 * found and not finished. */
#include <time.h>

#include "router/admin/console.h"
#include "router/recovery/service.h"

static uint64_t
wall_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t
since(uint64_t then_us)
{
	uint64_t now = wall_us();

	return now > then_us ? now - then_us : 0;
}

static void
active_row(const struct txn_entry *t, void *arg)
{
	struct rows *rows = arg;

	row_text(rows, t->database);
	row_text(rows, t->key);
	row_text(rows, txn_state_name((enum txn_state)atomic_load(&t->state)));
	row_null(rows); /* several shards have it */
	row_text(rows, t->anchor);
	row_text(rows, t->user);
	row_seconds(rows, since(t->since_us));
	row_null(rows);
	row_int(rows, t->participants);
	row_uint(rows, t->client_id);
	row_null(rows);
	row_end(rows);
}

static void
found_row(const struct recovery_row *r, void *arg)
{
	struct rows *rows = arg;

	row_text(rows, r->database);
	row_text(rows, r->gid);
	row_text(rows, "IN DOUBT");
	row_text(rows, r->shard);
	row_text(rows, r->anchor[0] == '\0' ? NULL : r->anchor);
	row_text(rows, r->owner);
	row_seconds(rows, (uint64_t)(r->age_s * 1e6) + since(r->found_us));
	row_text(rows,
	    r->verdict == TXN_VERDICT_COMMIT      ? "commit"
		: r->verdict == TXN_VERDICT_ABORT ? "abort"
						  : NULL);
	row_null(rows);
	row_null(rows);
	row_text(rows, r->why);
	row_end(rows);
}

enum rc
admin_show_transactions(struct call *call, struct err *e)
{
	struct rows rows;

	(void)e;
	rows_init(&rows, TABLE_transactions, call->out);
	txn_each(active_row, &rows);
	recovery_each(found_row, &rows);
	rows_fini(&rows);
	return RC_OK;
}
