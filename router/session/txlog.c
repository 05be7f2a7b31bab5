#include "router/session/txlog.h"

#include <stdlib.h>
#include <string.h>

static void
remove_at(struct txlog *l, int i)
{
	free(l->v[i].sql);
	free(l->v[i].name);
	memmove(&l->v[i], &l->v[i + 1], sizeof l->v[0] * (size_t)(l->n - i - 1));
	l->n--;
}

static bool
is_end(const struct txlog_entry *e)
{
	return e->kind == STMT_RELEASE || e->kind == STMT_ROLLBACK_TO;
}

/* The latest savepoint of that name, or -1; also when what stands behind it must stay. */
static int
savepoint_of(const struct txlog *l, const char *name)
{
	for (int i = l->n - 1; i >= 0; i--) {
		if (is_end(&l->v[i]))
			return -1;
		if (l->v[i].kind == STMT_SAVEPOINT && strcmp(l->v[i].name, name) == 0)
			return i;
	}
	return -1;
}

static void
push(struct txlog *l, enum stmt_kind kind, const char *name, struct slice sql)
{
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 4 : l->cap * 2;
		l->v = realloc(l->v, sizeof l->v[0] * (size_t)l->cap);
		if (l->v == NULL)
			abort();
	}
	l->v[l->n] = (struct txlog_entry){
	    strndup(sql.ptr, sql.len), name == NULL ? NULL : strdup(name), kind};
	if (l->v[l->n].sql == NULL || (name != NULL && l->v[l->n].name == NULL))
		abort();
	l->n++;
}

void
txlog_add(
    struct txlog *l, enum stmt_kind kind, const char *name, struct slice sql, int others)
{
	bool ends = kind == STMT_RELEASE || kind == STMT_ROLLBACK_TO;
	int at = ends && name != NULL ? savepoint_of(l, name) : -1;

	if (at < 0 || others > at) { /* some server has the savepoint and must be told */
		push(l, kind, name, sql);
		return;
	}
	if (kind == STMT_ROLLBACK_TO) {
		while (l->n > at + 1)
			remove_at(l, l->n - 1);
		return;
	}
	for (int i = l->n - 1; i >= at; i--)
		if (l->v[i].kind == STMT_SAVEPOINT)
			remove_at(l, i);
}

void
txlog_write(const struct txlog *l, int from, struct msgbuf *sql)
{
	for (int i = from; i < l->n; i++) {
		msg_bytes(sql, l->v[i].sql, strlen(l->v[i].sql));
		msg_bytes(sql, "\n;", 2); /* it may end in a comment */
	}
}

bool
txlog_undoes(const struct txlog *l, int from)
{
	for (int i = from; i < l->n; i++)
		if (l->v[i].kind == STMT_ROLLBACK_TO)
			return true;
	return false;
}

char *
txlog_chain(const struct txlog *l, const char *begin)
{
	struct msgbuf sql;
	char *text;

	msgbuf_init(&sql);
	msg_bytes(&sql, begin, strlen(begin));
	for (int i = 0; i < l->n; i++)
		if (l->v[i].kind == STMT_SET_TRANSACTION) {
			msg_bytes(&sql, ";", 1);
			msg_bytes(&sql, l->v[i].sql, strlen(l->v[i].sql));
		}
	text = strndup(sql.data, sql.len);
	if (text == NULL)
		abort();
	msgbuf_fini(&sql);
	return text;
}

void
txlog_clear(struct txlog *l)
{
	while (l->n > 0)
		remove_at(l, l->n - 1);
	free(l->v);
	*l = (struct txlog){0};
}
