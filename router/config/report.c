/* router/config/report.c: the mistakes of one loading, all of them. */
#include "router/config/config.h"

#include <stdarg.h>
#include <stdlib.h>

#define MISTAKES_MAX 1000

void
config_report_init(struct config_report *r)
{
	*r = (struct config_report){.items = NULL};
	arena_init(&r->arena);
}

void
config_report_fini(struct config_report *r)
{
	arena_reset(&r->arena);
	free(r->items);
	*r = (struct config_report){.items = NULL};
}

static void
grow(struct config_report *r)
{
	r->cap = r->cap == 0 ? 16 : r->cap * 2;
	r->items = realloc(r->items, (size_t)r->cap * sizeof *r->items);
	if (r->items == NULL)
		abort();
}

static bool
known(const struct config_report *r, const char *file, int line, const char *text)
{
	for (int i = 0; i < r->n; i++)
		if (r->items[i].line == line && strcmp(r->items[i].text, text) == 0 &&
		    strcmp(r->items[i].file ? r->items[i].file : "", file ? file : "") ==
			0)
			return true;
	return false;
}

void
config_report_add(struct config_report *r, bool warning, const char *file, int line,
    const char *fmt, ...)
{
	char text[1000];
	va_list ap;

	r->n_errors += !warning;
	if (r->n >= MISTAKES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (known(r, file, line, text))
		return;
	if (r->n == r->cap)
		grow(r);
	r->items[r->n++] = (struct config_mistake){
	    .file = file != NULL ? arena_strdup(&r->arena, file) : NULL,
	    .line = line,
	    .warning = warning,
	    .text = arena_strdup(&r->arena, text),
	};
}

void
config_report_print(const struct config_report *r, FILE *f)
{
	for (int i = 0; i < r->n; i++) {
		const struct config_mistake *m = &r->items[i];

		if (m->file != NULL && m->line > 0)
			fprintf(f, "%s:%d: ", m->file, m->line);
		else if (m->file != NULL)
			fprintf(f, "%s: ", m->file);
		fprintf(f, "%s%s\n", m->warning ? "warning: " : "", m->text);
	}
	if (r->n == MISTAKES_MAX)
		fprintf(f, "(no more than %d are listed)\n", MISTAKES_MAX);
}
