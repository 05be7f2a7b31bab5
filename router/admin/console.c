#include "router/admin/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "router/sql/lexer.h"

atomic_bool console_suspended;
const struct admin_control *console_control;

static enum rc (*const handlers[COMMAND_COUNT])(struct call *, struct err *) = {
#define COMMAND(id, words, syntax, who, arg, columns, help) admin_##id,
#include "router/admin/commands.def"
#undef COMMAND
};

void
admin_set_control(const struct admin_control *c)
{
	console_control = c;
}

/* ---- commands ---- */

void
console_complete(enum admin_command_id id, struct msgbuf *out)
{
	char tag[32];

	admin_tag(id, tag, sizeof tag);
	msg_command_complete(out, tag);
}

/* SET of what drivers set is everybody's; it does nothing. */
static enum rc
check_permission(const struct session *s, const struct admin_line *line, struct err *e)
{
	bool own_setting = line->id == COMMAND_set && !admin_ignores_setting(line->key);

	if (s->stats_only && (admin_commands[line->id].who == WHO_ADMIN || own_setting))
		return err_set(e, "42501", BLAST_STMT,
		    "permission denied: %s is for admin_users",
		    admin_commands[line->id].words);
	return RC_OK;
}

static enum rc
run(struct call *call, struct err *e)
{
	const struct admin_line *line = call->line;
	enum table_id table = admin_commands[line->id].table;
	size_t before = call->out->len;
	enum rc rc;

	if (call->with_columns && table != TABLE_none)
		table_describe(table, call->out);
	rc = handlers[line->id](call, e);
	if (rc == RC_OK)
		console_complete(line->id, call->out);
	else
		call->out->len = before;
	return rc;
}

static enum rc
command(struct session *s, struct slice sql, bool with_columns, struct msgbuf *out,
    struct err *e)
{
	struct admin_line line;
	struct call call = {s, s->w, &line, with_columns, out};
	struct arena arena;
	enum rc rc;

	arena_init(&arena);
	rc = admin_parse(sql, &arena, &line, e);
	if (rc == RC_OK && line.empty) {
		msg_begin(out, 'I');
		msg_end(out);
	} else if (rc == RC_OK) {
		rc = check_permission(s, &line, e);
		if (rc == RC_OK)
			rc = run(&call, e);
	}
	arena_reset(&arena);
	return rc;
}

static void
describe(struct session *s, struct slice sql, struct msgbuf *out)
{
	enum table_id table = TABLE_none;
	struct admin_line line;
	struct arena arena;
	struct err e;

	(void)s;
	arena_init(&arena);
	if (admin_parse(sql, &arena, &line, &e) == RC_OK && !line.empty)
		table = admin_commands[line.id].table;
	table_describe(table, out);
	arena_reset(&arena);
}

const struct admin_ops admin_ops = {command, describe};

/* ---- look-ups ---- */

struct cluster *
console_cluster(struct snapshot *snap, const char *name)
{
	struct cluster *found = NULL;

	pthread_mutex_lock(&snap->lock);
	for (int i = 0; i < snap->n && found == NULL; i++)
		if (strcmp(snap->clusters[i]->name, name) == 0)
			found = cluster_ref(snap->clusters[i]);
	pthread_mutex_unlock(&snap->lock);
	return found;
}

enum rc
console_check_database(struct call *call, struct err *e)
{
	struct slice name = call->line->arg;
	char *copy;
	struct cluster *c;

	if (name.len == 0)
		return RC_OK;
	copy = strndup(name.ptr, name.len);
	c = console_cluster(call->w->snap, copy);
	free(copy);
	if (c == NULL)
		return err_set(e, "3D000", BLAST_STMT, "no such database: %.*s",
		    (int)(name.len > 200 ? 200 : name.len), name.ptr);
	cluster_unref(c);
	return RC_OK;
}

void
console_each_cluster(struct worker *w, const char *name,
    void (*fn)(struct cluster *, void *arg), void *arg)
{
	struct snapshot *snap = w->snap;
	struct cluster **v;
	int n;

	pthread_mutex_lock(&snap->lock);
	n = snap->n;
	v = malloc(sizeof *v * (size_t)(n + 1));
	if (v == NULL)
		abort();
	for (int i = 0; i < n; i++)
		v[i] = cluster_ref(snap->clusters[i]);
	pthread_mutex_unlock(&snap->lock);
	for (int i = 0; i < n; i++) {
		if (name == NULL || strcmp(v[i]->name, name) == 0)
			fn(v[i], arg);
		cluster_unref(v[i]);
	}
	free(v);
}

uint64_t
console_wall_us(const struct worker *w, uint64_t loop_us)
{
	uint64_t now = loop_now_us(w->loop), wall;
	struct timespec ts;

	if (loop_us == 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &ts);
	wall = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
	return loop_us > now ? wall : wall - (now - loop_us);
}

uint64_t
console_resident_bytes(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- masking ---- */

static bool
is_constant(enum token_kind k)
{
	return k == TOK_STRING || k == TOK_ESTRING || k == TOK_USTRING ||
	    k == TOK_DOLLAR || k == TOK_BITS || k == TOK_HEX || k == TOK_INT ||
	    k == TOK_FLOAT;
}

/* Line ends and comments become one space; what cannot be lexed (a sample that was cut inside a string) becomes "…". */
const char *
console_mask(struct slice sql, size_t max, struct arena *a)
{
	char *out = arena_alloc(a, max + 8);
	const char *last = sql.ptr;
	struct lexer l;
	struct token t;
	size_t n = 0;

	lexer_init(&l, sql, ENC_UTF8, true);
	for (enum token_kind k = lexer_next(&l, &t); k != TOK_END;
	     k = lexer_next(&l, &t)) {
		bool constant = is_constant(k) || k == TOK_ERROR;
		size_t len = constant ? 1 : (size_t)(t.end - t.start);

		if (k == TOK_COMMENT)
			continue;
		if (n > 0 && t.start > last && n < max)
			out[n++] = ' ';
		last = t.end;
		if (n + len > max || k == TOK_ERROR) {
			memcpy(out + n, "…", sizeof "…");
			return out;
		}
		memcpy(out + n, constant ? "?" : t.start, len);
		n += len;
	}
	out[n] = '\0';
	return out;
}
