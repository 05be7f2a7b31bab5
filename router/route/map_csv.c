#include "router/route/map_csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "router/route/directory.h"

#define FIELDS 2

struct csv {
	FILE *f;
	const char *path;
	int line; /* of the next character */
	char *field[FIELDS];
	size_t len[FIELDS];
	int n_fields; /* of the record; may exceed FIELDS */
	bool too_long;
};

enum record { RECORD_OK, RECORD_EMPTY, RECORD_BAD_QUOTE, RECORD_OPEN_QUOTE, RECORD_END };

static int
next_char(struct csv *c)
{
	int ch = getc_unlocked(c->f);

	if (ch == '\n')
		c->line++;
	return ch;
}

static void
put(struct csv *c, int ch)
{
	int i = c->n_fields - 1;

	if (i >= FIELDS)
		return;
	if (c->len[i] >= DIRECTORY_KEY_MAX)
		c->too_long = true;
	else
		c->field[i][c->len[i]++] = (char)ch;
}

static void
begin_field(struct csv *c)
{
	if (c->n_fields < FIELDS)
		c->len[c->n_fields] = 0;
	c->n_fields++;
}

/* Behind the closing quote is returned what stands there; EOF inside: *open. */
static int
read_quoted(struct csv *c, bool *open)
{
	for (;;) {
		int ch = next_char(c);

		if (ch == EOF) {
			*open = true;
			return ch;
		}
		if (ch == '"') {
			ch = next_char(c);
			if (ch != '"')
				return ch;
		}
		put(c, ch);
	}
}

static int
skip_cr(struct csv *c, int ch)
{
	int next;

	if (ch != '\r')
		return ch;
	next = next_char(c);
	if (next == '\n' || next == EOF)
		return next;
	ungetc(next, c->f);
	return ch;
}

static void
skip_line(struct csv *c, int ch)
{
	while (ch != '\n' && ch != EOF)
		ch = next_char(c);
}

static enum record
read_record(struct csv *c)
{
	int ch = skip_cr(c, next_char(c));

	c->n_fields = 0;
	c->too_long = false;
	if (ch == EOF)
		return RECORD_END;
	if (ch == '\n')
		return RECORD_EMPTY;
	for (;; ch = skip_cr(c, next_char(c))) {
		bool open = false;

		begin_field(c);
		if (ch == '"') {
			ch = skip_cr(c, read_quoted(c, &open));
			if (open)
				return RECORD_OPEN_QUOTE;
			if (ch != ',' && ch != '\n' && ch != EOF) {
				skip_line(c, ch);
				return RECORD_BAD_QUOTE;
			}
		}
		for (; ch != ',' && ch != '\n' && ch != EOF;
		     ch = skip_cr(c, next_char(c)))
			put(c, ch);
		if (ch != ',')
			return RECORD_OK;
	}
}

static void
skip_byte_order_mark(struct csv *c)
{
	static const unsigned char mark[3] = {0xEF, 0xBB, 0xBF};
	unsigned char head[3];

	if (fread(head, 1, 3, c->f) != 3 || memcmp(head, mark, 3) != 0)
		rewind(c->f);
}

static void
add_record(struct map_builder *b, struct csv *c, struct map_loc loc, int dist)
{
	if (c->n_fields != FIELDS)
		map_mistake(b, loc, "%d field%s in this record; \"key,shard\" is needed",
		    c->n_fields, c->n_fields == 1 ? "" : "s");
	else if (c->too_long)
		map_mistake(b, loc, "a field has more than %d bytes", DIRECTORY_KEY_MAX);
	else
		map_add_entry(b, loc, dist, (struct slice){c->field[0], c->len[0]},
		    (struct slice){c->field[1], c->len[1]});
}

static void
read_all(struct map_builder *b, struct csv *c, int dist)
{
	for (;;) {
		struct map_loc loc = {c->path, c->line};

		switch (read_record(c)) {
		case RECORD_OK:
			add_record(b, c, loc, dist);
			break;
		case RECORD_EMPTY:
			break;
		case RECORD_BAD_QUOTE:
			map_mistake(b, loc, "text behind a closing quote");
			break;
		case RECORD_OPEN_QUOTE:
			map_mistake(b, loc, "the quote is not closed");
			return;
		case RECORD_END:
			return;
		}
	}
}

void
map_csv_load(struct map_builder *b, struct map_loc loc, int dist, const char *path)
{
	struct csv c = {.path = path, .line = 1};
	struct stat st;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		map_mistake(b, loc, "%s is not a file", path);
		return;
	}
	c.f = fopen(path, "re");
	if (c.f == NULL) {
		map_mistake(b, loc, "cannot read %s: %s", path, strerror(errno));
		return;
	}
	for (int i = 0; i < FIELDS; i++)
		if ((c.field[i] = malloc(DIRECTORY_KEY_MAX)) == NULL)
			abort();
	skip_byte_order_mark(&c);
	read_all(b, &c, dist);
	if (ferror(c.f))
		map_mistake(
		    b, loc, "cannot read %s to its end: %s", path, strerror(errno));
	for (int i = 0; i < FIELDS; i++)
		free(c.field[i]);
	fclose(c.f);
}
