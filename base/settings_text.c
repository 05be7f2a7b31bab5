/* base/settings_text.c: settings as text for people: SHOW CONFIG, messages, the page of
 * documentation. */
#include "base/settings.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The first of "name|alias|…". */
static const char *
choice_name(const char *choice, struct arena *a)
{
	return arena_strndup(a, choice, (size_t)(strchrnul(choice, '|') - choice));
}

static const char *
duration_text(uint64_t us, struct arena *a)
{
	char *t;
	size_t len;

	if (us % 1000000 == 0)
		return arena_printf(a, "%" PRIu64, us / 1000000);
	t = arena_printf(a, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
	for (len = strlen(t); t[len - 1] == '0'; len--)
		t[len - 1] = '\0';
	return t;
}

static const char *
list_text(const struct setting_list *l, struct arena *a)
{
	const char *t = "";

	for (int i = 0; i < l->n; i++)
		t = i == 0 ? l->items[0] : arena_printf(a, "%s, %s", t, l->items[i]);
	return t;
}

const char *
setting_text(const struct setting *s, const void *values, struct arena *a)
{
	const void *v = (const char *)values + s->offset;

	switch (s->kind) {
	case SETTING_BOOL:
		return *(const bool *)v ? "true" : "false";
	case SETTING_INT:
		return arena_printf(a, "%d", *(const int *)v);
	case SETTING_DURATION:
		return duration_text(*(const uint64_t *)v, a);
	case SETTING_SIZE:
		return arena_printf(a, "%" PRIu64, *(const uint64_t *)v);
	case SETTING_ENUM:
		return choice_name(s->choices[*(const int *)v], a);
	case SETTING_STRING:
	case SETTING_FILE:
		return *(const char *const *)v;
	case SETTING_LIST:
		return list_text(v, a);
	}
	return "";
}

const char *
setting_limit_text(const struct setting *s, int64_t limit, struct arena *a)
{
	if (s->kind == SETTING_DURATION)
		return arena_printf(a, "%s s", duration_text((uint64_t)limit, a));
	if (s->kind == SETTING_SIZE && limit >= 1 << 20 && limit % (1 << 20) == 0)
		return arena_printf(a, "%" PRId64 " MB", limit >> 20);
	if (s->kind == SETTING_SIZE && limit >= 1024 && limit % 1024 == 0)
		return arena_printf(a, "%" PRId64 " kB", limit >> 10);
	return arena_printf(a, "%" PRId64, limit);
}

static const char *
choices_text(const char *const *choices, struct arena *a)
{
	const char *t = "one of";

	for (int i = 0; choices[i] != NULL; i++)
		if (choices[i][0] != '\0')
			t = arena_printf(a, "%s%s \"%s\"", t, i == 0 ? "" : ",",
			    choice_name(choices[i], a));
	return t;
}

const char *
setting_unit(const struct setting *s, struct arena *a)
{
	switch (s->kind) {
	case SETTING_BOOL:
		return "true or false";
	case SETTING_INT:
		return "a whole number";
	case SETTING_DURATION:
		return "a time (seconds, or \"500ms\", \"10s\", \"5min\", \"1h\")";
	case SETTING_SIZE:
		return "a size (bytes, or \"64kB\", \"16MB\", \"1GB\")";
	case SETTING_ENUM:
		return choices_text(s->choices, a);
	case SETTING_STRING:
		return "a text in quotes";
	case SETTING_FILE:
		return "a path in quotes";
	case SETTING_LIST:
		return "a list of texts";
	}
	return "";
}

/* ---- the page ---- */

static void
put_scopes(unsigned scopes, FILE *f)
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{SCOPE_GLOBAL, "global"}, {SCOPE_DATABASE, "database"},
	    {SCOPE_SHARD, "shard"}, {SCOPE_USER, "user"}};
	const char *between = "";

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (scopes & names[i].bit) {
			fprintf(f, "%s%s", between, names[i].name);
			between = ", ";
		}
}

static void
put_default(const struct setting *s, FILE *f)
{
	bool quoted = s->kind != SETTING_BOOL && s->kind != SETTING_INT;
	char *end;

	if (s->kind == SETTING_DURATION || s->kind == SETTING_SIZE)
		quoted = (strtod(s->default_text, &end), *end != '\0');
	fprintf(f, quoted ? "`\"%s\"`" : "`%s`", s->default_text);
}

static void
put_setting(const struct setting_table *t, const struct setting *s, FILE *f)
{
	struct arena a;
	bool first = true;

	arena_init(&a);
	fprintf(f, "### `%s`\n\n%s\n\n", s->name, s->doc);
	fprintf(f, "- Value: %s", setting_unit(s, &a));
	if (s->min != s->max)
		fprintf(f, ", from %s to %s", setting_limit_text(s, s->min, &a),
		    setting_limit_text(s, s->max, &a));
	fprintf(f, ". Default: ");
	put_default(s, f);
	fprintf(f, ".\n- Where: ");
	put_scopes(s->scopes, f);
	fprintf(f, ". %s.", s->reloadable ? "A reload is enough" : "Takes a restart");
	for (int i = 0; i < t->n_aliases; i++)
		if (strcmp(t->aliases[i].name, s->name) == 0) {
			fprintf(f, "%s`%s`", first ? " Also read as " : ", ",
			    t->aliases[i].alias);
			first = false;
		}
	fprintf(f, "%s\n\n", first ? "" : ".");
	arena_reset(&a);
}

void
settings_docs(const struct setting_table *t, FILE *f)
{
	int section = 0;

	for (int i = 0; i < t->n; i++) {
		if (section < t->n_sections && t->sections[section].first == i)
			fprintf(f, "## %s\n\n", t->sections[section++].title);
		put_setting(t, &t->settings[i], f);
	}
}
