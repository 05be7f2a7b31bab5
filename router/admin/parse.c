/* Commands are cut by the SQL lexer, so comments, strings and quoted names are what they are in PostgreSQL. */
#include "router/admin/parse.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "router/sql/lexer.h"

const struct admin_command admin_commands[COMMAND_COUNT] = {
#define COMMAND(id, words, syntax, who, arg, columns, help) \
	{words, syntax, WHO_##who, ARG_##arg, TABLE_##columns, help},
#include "router/admin/commands.def"
#undef COMMAND
};

#define TOKENS_MAX 32 /* more are only counted: their text is part of a value */

struct cut {
	struct token v[TOKENS_MAX];
	int n;           /* kept */
	const char *end; /* of the last one */
};

static struct slice
text_of(const struct token *t)
{
	return (struct slice){t->start, (size_t)(t->end - t->start)};
}

static bool
is_word(const struct token *t, const char *word, size_t len)
{
	return (t->kind == TOK_IDENT || t->kind == TOK_INT) &&
	    (size_t)(t->end - t->start) == len && strncasecmp(t->start, word, len) == 0;
}

static bool
is_char(const struct token *t, char c)
{
	return t->kind == TOK_CHAR && *t->start == c;
}

static enum rc
invalid(struct slice sql, struct err *e)
{
	size_t len = sql_char_clip(ENC_UTF8, sql.ptr, sql.len, 60);

	return err_set(e, "42601", BLAST_STMT, "invalid command '%.*s', use SHOW HELP;",
	    (int)len, sql.ptr);
}

/* "10s": PostgreSQL has no such token, but it is a fine value. */
static bool
number_with_unit(struct lexer *l, struct token *t)
{
	const char *p = t->start;

	if (p >= l->end || *p < '0' || *p > '9')
		return false;
	while (p < l->end && (isalnum((unsigned char)*p) || *p == '_' || *p == '.'))
		p++;
	t->kind = TOK_IDENT;
	t->end = p;
	lexer_init(l, (struct slice){p, (size_t)(l->end - p)}, ENC_UTF8, true);
	return true;
}

/* False: what the lexer cannot cut, or something behind a semicolon. */
static bool
cut_tokens(struct slice sql, struct cut *c)
{
	struct lexer l;
	struct token t;
	bool over = false;

	c->n = 0;
	c->end = sql.ptr;
	lexer_init(&l, sql, ENC_UTF8, true);
	for (;;) {
		switch (lexer_next(&l, &t)) {
		case TOK_END:
			return true;
		case TOK_ERROR:
			if (!number_with_unit(&l, &t))
				return false;
			break;
		case TOK_COMMENT:
			continue;
		default:
			break;
		}
		if (is_char(&t, ';')) {
			over = true;
			continue;
		}
		if (over)
			return false;
		if (c->n < TOKENS_MAX)
			c->v[c->n++] = t;
		c->end = t.end;
	}
}

/* How many tokens of the text are the command's words; 0: another command. */
static int
words_match(const struct cut *c, const char *words)
{
	int n = 0;

	for (;;) {
		size_t len = strcspn(words, " ");

		if (n >= c->n || !is_word(&c->v[n], words, len))
			return 0;
		n++;
		if (words[len] == '\0')
			return n;
		words += len + 1;
	}
}

static int
find_command(const struct cut *c, enum admin_command_id *id)
{
	int best = 0;

	for (int i = 0; i < COMMAND_COUNT; i++) {
		int n = words_match(c, admin_commands[i].words);

		if (n > best) {
			best = n;
			*id = (enum admin_command_id)i;
		}
	}
	return best;
}

/* ---- arguments ---- */

/* Without its quotes; a doubled quote is one. */
static struct slice
unquote(struct slice raw, struct arena *a)
{
	char quote = raw.ptr[0], *to = arena_alloc(a, raw.len + 1);
	size_t n = 0;

	for (size_t i = 1; i + 1 < raw.len; i++) {
		to[n++] = raw.ptr[i];
		if (raw.ptr[i] == quote)
			i++;
	}
	return (struct slice){to, n};
}

/* From token `from` on: one quoted thing, or everything as written. */
static struct slice
rest_of(const struct cut *c, int from, struct arena *a)
{
	const struct token *t = &c->v[from];

	if (from >= c->n)
		return (struct slice){"", 0};
	if (c->end == t->end && (t->kind == TOK_QIDENT || t->kind == TOK_STRING))
		return unquote(text_of(t), a);
	return (struct slice){t->start, (size_t)(c->end - t->start)};
}

/* The id of SHOW CLIENTS, or its ptr ("c12"). */
static bool
client_id(struct slice s, uint64_t *id)
{
	size_t i = s.len > 0 && (s.ptr[0] == 'c' || s.ptr[0] == 'C');

	*id = 0;
	if (s.len - i < 1 || s.len - i > 18)
		return false;
	for (; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		*id = *id * 10 + (uint64_t)(s.ptr[i] - '0');
	}
	return true;
}

static struct slice
lower(struct slice s, struct arena *a)
{
	char *to = arena_strndup(a, s.ptr, s.len);

	for (size_t i = 0; i < s.len; i++)
		to[i] = (char)tolower((unsigned char)to[i]);
	return (struct slice){to, s.len};
}

/* SET [SESSION | LOCAL] name { = | TO } value, SET TIME ZONE value, SET SESSION CHARACTERISTICS …; the name may have
 * points or be quoted. */
static bool
parse_set(const struct cut *c, struct arena *a, struct admin_line *line)
{
	int i = 1, first;

	if (i + 1 < c->n &&
	    (is_word(&c->v[i], "session", 7) || is_word(&c->v[i], "local", 5)) &&
	    !is_char(&c->v[i + 1], '='))
		i++;
	first = i;
	if (i + 1 < c->n && is_word(&c->v[i], "time", 4) &&
	    is_word(&c->v[i + 1], "zone", 4)) {
		line->key = SLICE_LIT("timezone");
		line->value = rest_of(c, i + 2, a);
		return i + 2 < c->n;
	}
	while (i < c->n && !is_char(&c->v[i], '=') && !is_word(&c->v[i], "to", 2))
		i++;
	if (first < c->n && is_word(&c->v[first], "characteristics", 15)) {
		line->key = SLICE_LIT("characteristics");
		line->value = rest_of(c, first, a);
		return true;
	}
	if (i == first || i + 1 >= c->n)
		return false;
	line->key = (struct slice){
	    c->v[first].start, (size_t)(c->v[i - 1].end - c->v[first].start)};
	if (i == first + 1 && c->v[first].kind == TOK_QIDENT)
		line->key = unquote(line->key, a);
	line->key = lower(line->key, a);
	line->value = rest_of(c, i + 1, a);
	return true;
}

static enum rc
wants(const struct admin_command *command, struct err *e)
{
	return err_set(e, "42601", BLAST_STMT, "the command is: %s%s%s", command->words,
	    command->syntax[0] == '\0' ? "" : " ", command->syntax);
}

enum rc
admin_parse(struct slice sql, struct arena *a, struct admin_line *line, struct err *e)
{
	const struct admin_command *command;
	struct cut c;
	int n;

	memset(line, 0, sizeof *line);
	if (!cut_tokens(sql, &c))
		return invalid(sql, e);
	line->empty = c.n == 0;
	if (line->empty)
		return RC_OK;
	n = find_command(&c, &line->id);
	if (n == 0)
		return invalid(sql, e);
	command = &admin_commands[line->id];
	line->arg = rest_of(&c, n, a);
	switch (command->arg) {
	case ARG_NONE:
		return n == c.n ? RC_OK : invalid(sql, e);
	case ARG_DB:
		return line->arg.len > 0 ? RC_OK : wants(command, e);
	case ARG_ID:
		return client_id(line->arg, &line->client) ? RC_OK : wants(command, e);
	case ARG_SET:
		return parse_set(&c, a, line) ? RC_OK : wants(command, e);
	case ARG_MODE:
		line->arg = lower(line->arg, a);
		return line->arg.len == 0 ||
			slice_eq_str(line->arg, "wait_for_clients") ||
			slice_eq_str(line->arg, "wait_for_servers")
		    ? RC_OK
		    : wants(command, e);
	case ARG_MAYBE_DB:
	case ARG_REST:
		break;
	}
	return RC_OK;
}

void
admin_tag(enum admin_command_id id, char *buf, size_t size)
{
	const char *words = admin_commands[id].words;

	snprintf(buf, size, "%.*s", (int)strcspn(words, " "), words);
	if (id == COMMAND_select_one)
		snprintf(buf, size, "SELECT 1");
}

bool
admin_ignores_setting(struct slice key)
{
	static const char *const names[] = {"application_name", "bytea_output",
	    "characteristics", "client_encoding", "client_min_messages", "datestyle",
	    "default_transaction_isolation", "default_transaction_read_only",
	    "extra_float_digits", "idle_in_transaction_session_timeout", "intervalstyle",
	    "jit", "lc_messages", "lc_monetary", "lc_numeric", "lc_time", "lock_timeout",
	    "search_path", "standard_conforming_strings", "statement_timeout", "timezone",
	    "work_mem", NULL};

	for (int i = 0; names[i] != NULL; i++)
		if (slice_eq_str(key, names[i]))
			return true;
	return false;
}
