/* router/admin/table.h: the answers of SHOW, row by row, over columns.def.
 * Thread:  any; each writer its own struct rows. Memory: rows_fini().
 * Values are added in the order of the columns; how many there are is asserted. */
#ifndef WEIR_ROUTER_ADMIN_TABLE_H
#define WEIR_ROUTER_ADMIN_TABLE_H

#include <stdbool.h>

#include "base/arena.h"
#include "wire/msg.h"

enum table_id {
#define TABLE(id) TABLE_##id,
#define COLUMN(table, name, type)
#define END_TABLE(id)
#include "router/admin/columns.def"
	TABLE_COUNT
};

#define TABLE_COLUMNS_MAX 48

int table_columns(enum table_id);
const char *table_column(enum table_id, int i);
/* RowDescription, or NoData for TABLE_none. */
void table_describe(enum table_id, struct msgbuf *);

/* Bytes of the UTF-8 character at a zero-terminated text's s; 0: it is none. Names come from clients, as any bytes. */
size_t utf8_char(const char *s);

struct rows {
	enum table_id table;
	struct msgbuf *out;
	struct arena arena; /* of the row being made */
	int n;
	const char *v[TABLE_COLUMNS_MAX];
	char numbers[TABLE_COLUMNS_MAX][24];
};

void rows_init(struct rows *, enum table_id, struct msgbuf *out);
void rows_fini(struct rows *);
/* The text must live until row_end(); NULL is SQL's. What is not UTF-8 becomes '?'. */
void row_text(struct rows *, const char *);
void row_slice(struct rows *, struct slice);
void row_fmt(struct rows *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void row_int(struct rows *, int64_t);
void row_uint(struct rows *, uint64_t);
void row_null(struct rows *);
/* Seconds, from microseconds. */
void row_seconds(struct rows *, uint64_t us);
/* Wall clock, microseconds; 0: NULL. */
void row_time(struct rows *, uint64_t us);
/* "16/B374D848"; 0: NULL. */
void row_lsn(struct rows *, uint64_t lsn);
void row_end(struct rows *);

#endif
