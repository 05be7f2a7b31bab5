/* router/config/load.c: a file of libconfig's becomes a configuration, or a list of all
 * its mistakes. Nothing of a bad file is used. What libconfig itself calls an error ends
 * the reading, so that one comes alone. */
#include "router/config/load.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/suggest.h"

static const char *const top_members[] = {"databases", "users", "peers", NULL};
static const char *const user_members[] = {"name", NULL};
static const char *const peer_members[] = {"id", "host", "port", NULL};

/* ---- helpers for all of this folder ---- */

static void __attribute__((format(printf, 4, 0))) add(struct loader *l, bool warning,
    const config_setting_t *at, const char *fmt, va_list ap)
{
	char text[600];
	const char *file = config_setting_source_file(at);

	vsnprintf(text, sizeof text, fmt, ap);
	config_report_add(l->report, warning, file != NULL ? file : l->cfg->file,
	    (int)config_setting_source_line(at), "%s", text);
}

void
load_mistake(struct loader *l, const config_setting_t *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, false, at, fmt, ap);
	va_end(ap);
}

void
load_warning(struct loader *l, const config_setting_t *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(l, true, at, fmt, ap);
	va_end(ap);
}

const char *
load_string(struct loader *l, const config_setting_t *group, const char *member)
{
	config_setting_t *s = config_setting_get_member(group, member);
	const char *text;

	if (s == NULL)
		return NULL;
	text = config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s)
							    : NULL;
	if (text == NULL || text[0] == '\0') {
		load_mistake(l, s, "%s: a text in quotes is expected", member);
		return NULL;
	}
	return text;
}

int
load_list(struct loader *l, const config_setting_t *group, const char *member,
    const config_setting_t **list)
{
	config_setting_t *s = config_setting_get_member(group, member);

	*list = s;
	if (s == NULL)
		return 0;
	if (!config_setting_is_list(s) && !config_setting_is_array(s)) {
		load_mistake(l, s, "%s: a list in parentheses is expected", member);
		return 0;
	}
	return config_setting_length(s);
}

/* ---- settings ---- */

struct scope {
	struct loader *l;
	unsigned bit;
	const char *const *const *known;
	struct settings *values;
	struct setting_set *set;
};

static const char *
scope_name(unsigned bit)
{
	return bit == SCOPE_DATABASE ? "a database"
	    : bit == SCOPE_SHARD     ? "a shard"
	    : bit == SCOPE_USER      ? "a user"
				     : "all";
}

static bool
is_group(const char *path)
{
	size_t len = strlen(path);

	for (int i = 0; i < config_settings.n; i++) {
		const char *name = config_settings.settings[i].name;

		if (strncmp(name, path, len) == 0 && name[len] == '.')
			return true;
	}
	return false;
}

static bool
is_known(const struct scope *sc, const char *name)
{
	for (int i = 0; sc->known[i] != NULL; i++)
		for (int j = 0; sc->known[i][j] != NULL; j++)
			if (strcmp(sc->known[i][j], name) == 0)
				return true;
	return false;
}

/* The names that may stand beside `path`: within its group the last part alone. */
static void
unknown(const struct scope *sc, const config_setting_t *s, const char *path)
{
	struct suggest g;

	suggest_init(&g, path);
	for (int i = 0; sc->known[i] != NULL && strchr(path, '.') == NULL; i++)
		for (int j = 0; sc->known[i][j] != NULL; j++)
			suggest_consider(&g, sc->known[i][j]);
	for (int i = 0; i < config_settings.n; i++)
		if (config_settings.settings[i].scopes & sc->bit)
			suggest_consider(&g, config_settings.settings[i].name);
	for (int i = 0; i < config_settings.n_aliases; i++)
		suggest_consider(&g, config_settings.aliases[i].alias);
	if (g.best != NULL)
		load_mistake(sc->l, s, "\"%.100s\" is not known; did you mean \"%s\"?",
		    path, g.best);
	else
		load_mistake(sc->l, s, "\"%.100s\" is not known", path);
}

static enum rc
put_list(const struct scope *sc, const struct setting *s, const config_setting_t *from,
    struct err *err)
{
	int n = config_setting_length(from);
	struct arena *a = &sc->l->cfg->arena;
	const char **items = ARENA_NEW_N(a, const char *, (size_t)n + 1);

	for (int i = 0; i < n; i++) {
		const config_setting_t *e = config_setting_get_elem(from, (unsigned)i);

		if (config_setting_type(e) != CONFIG_TYPE_STRING)
			return err_set(err, "22023", BLAST_STMT,
			    "a list of texts in quotes is expected");
		items[i] = config_setting_get_string(e);
	}
	return setting_put_list(s, sc->values, items, n, a, err);
}

static enum rc
put_text(
    const struct scope *sc, const struct setting *s, const char *text, struct err *err)
{
	struct arena *a = &sc->l->cfg->arena;
	const char **path;

	if (setting_parse(s, sc->values, slice_of(text), a, err) != RC_OK)
		return RC_ERR;
	if (s->kind == SETTING_FILE) {
		path = (const char **)(void *)((char *)sc->values + s->offset);
		*path = config_path(sc->l->cfg, *path, a);
	}
	return RC_OK;
}

static enum rc
put_value(const struct scope *sc, const struct setting *s, const config_setting_t *from,
    struct err *err)
{
	switch (config_setting_type(from)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return setting_put_int(
		    s, sc->values, config_setting_get_int64(from), err);
	case CONFIG_TYPE_FLOAT:
		return setting_put_float(
		    s, sc->values, config_setting_get_float(from), err);
	case CONFIG_TYPE_BOOL:
		return setting_put_bool(
		    s, sc->values, config_setting_get_bool(from) != 0, err);
	case CONFIG_TYPE_STRING:
		return put_text(sc, s, config_setting_get_string(from), err);
	case CONFIG_TYPE_ARRAY:
	case CONFIG_TYPE_LIST:
		return put_list(sc, s, from, err);
	default:
		return err_set(
		    err, "22023", BLAST_STMT, "a value is expected, not a group");
	}
}

static void
take_setting(const struct scope *sc, const config_setting_t *from, const char *path)
{
	int id = setting_find(&config_settings, slice_of(path));
	const struct setting *s = &config_settings.settings[id < 0 ? 0 : id];
	struct err err;

	if (id < 0)
		unknown(sc, from, path);
	else if (!(s->scopes & sc->bit))
		load_mistake(sc->l, from, "\"%s\" cannot be set for %s", path,
		    scope_name(sc->bit));
	else if (setting_set_has(sc->set, id))
		load_mistake(sc->l, from, "\"%s\" is given twice", s->name);
	else if (put_value(sc, s, from, &err) != RC_OK)
		load_mistake(sc->l, from, "%s: %s", path, err.msg);
	else
		setting_set_add(sc->set, id);
}

static void
take_group(const struct scope *sc, const config_setting_t *group, const char *prefix)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const char *name = config_setting_name(s);
		char path[256];

		if (prefix[0] == '\0' && is_known(sc, name))
			continue;
		if (snprintf(path, sizeof path, "%s%s%s", prefix,
			prefix[0] != '\0' ? "." : "", name) >= (int)sizeof path)
			load_mistake(sc->l, s, "the name is too long");
		else if (config_setting_is_group(s) && is_group(path))
			take_group(sc, s, path);
		else
			take_setting(sc, s, path);
	}
}

void
load_settings(struct loader *l, const config_setting_t *group, unsigned scope,
    const char *const *const *known, struct settings *values, struct setting_set *set)
{
	struct scope sc = {l, scope, known, values, set};

	take_group(&sc, group, "");
}

/* ---- users ---- */

static bool
user_is_new(const struct config *c, const char *name)
{
	for (int i = 0; i < c->n_users; i++)
		if (strcmp(c->users[i].name, name) == 0)
			return false;
	return true;
}

static void
load_user(struct loader *l, const config_setting_t *group)
{
	static const char *const *const known[] = {user_members, NULL};
	struct config *c = l->cfg;
	struct user_conf *u = &c->users[c->n_users];
	const char *name;

	if (!config_setting_is_group(group)) {
		load_mistake(l, group, "users: each is a group in braces");
		return;
	}
	name = load_string(l, group, "name");
	if (name == NULL && config_setting_get_member(group, "name") == NULL)
		load_mistake(l, group, "the user has no name");
	else if (name != NULL && !user_is_new(c, name))
		load_mistake(l, group, "the user \"%.100s\" is there twice", name);
	u->settings = c->settings;
	load_settings(l, group, SCOPE_USER, known, &u->settings, &u->set);
	if (name != NULL) {
		u->name = arena_strdup(&c->arena, name);
		c->n_users++;
	}
}

static void
load_users(struct loader *l, const config_setting_t *root)
{
	const config_setting_t *list;
	int n = load_list(l, root, "users", &list);

	l->cfg->users = ARENA_NEW_N(&l->cfg->arena, struct user_conf, (size_t)n);
	for (int i = 0; i < n; i++)
		load_user(l, config_setting_get_elem(list, (unsigned)i));
}

/* ---- peers ---- */

static bool
load_number(struct loader *l, const config_setting_t *group, const char *member,
    int least, int most, int *result)
{
	config_setting_t *s = config_setting_get_member(group, member);
	long long n;

	if (s == NULL)
		return true;
	n = config_setting_get_int64(s);
	if ((config_setting_type(s) != CONFIG_TYPE_INT &&
		config_setting_type(s) != CONFIG_TYPE_INT64) ||
	    n < least || n > most) {
		load_mistake(l, s, "%s: a whole number from %d to %d is expected", member,
		    least, most);
		return false;
	}
	*result = (int)n;
	return true;
}

static bool
peer_is_new(const struct config *c, int id)
{
	for (int i = 0; i < c->n_peers; i++)
		if (c->peers[i].id == id)
			return false;
	return true;
}

static void
load_peer(struct loader *l, const config_setting_t *group)
{
	static const char *const *const known[] = {peer_members, NULL};
	struct config *c = l->cfg;
	struct peer_conf *p = &c->peers[c->n_peers];
	struct settings none;
	struct setting_set none_set = {{0}};
	int port = 6432;

	if (!config_setting_is_group(group)) {
		load_mistake(l, group, "peers: each is a group in braces");
		return;
	}
	load_settings(l, group, 0, known, &none, &none_set);
	p->id = 0;
	p->host = load_string(l, group, "host");
	if (!load_number(l, group, "id", 1, 16383, &p->id) ||
	    !load_number(l, group, "port", 1, 65535, &port))
		return;
	if (p->id == 0 || p->host == NULL) {
		load_mistake(l, group, "a peer needs an id and a host");
		return;
	}
	if (!peer_is_new(c, p->id))
		load_mistake(l, group, "the peer %d is there twice", p->id);
	p->port = (uint16_t)port;
	p->host = arena_strdup(&c->arena, p->host);
	c->n_peers++;
}

static void
load_peers(struct loader *l, const config_setting_t *root)
{
	const config_setting_t *list;
	int n = load_list(l, root, "peers", &list);

	l->cfg->peers = ARENA_NEW_N(&l->cfg->arena, struct peer_conf, (size_t)n);
	for (int i = 0; i < n; i++)
		load_peer(l, config_setting_get_elem(list, (unsigned)i));
}

/* ---- the whole ---- */

static void
load_root(struct loader *l, const config_setting_t *root)
{
	static const char *const *const known[] = {top_members, NULL};
	struct config *c = l->cfg;

	load_settings(l, root, SCOPE_GLOBAL, known, &c->settings, &c->set);
	load_users(l, root);
	load_peers(l, root);
	load_databases(l, root);
	config_index(c);
	load_check(l, root);
}

static void
parse_file(struct loader *l, const char *file)
{
	const char *slash = strrchr(file, '/');
	char *folder =
	    slash == NULL ? strdup(".") : strndup(file, (size_t)(slash - file));
	config_t lib;

	if (folder == NULL)
		abort();
	config_init(&lib);
	config_set_include_dir(&lib, folder[0] == '\0' ? "/" : folder);
	if (config_read_file(&lib, file) == CONFIG_TRUE) {
		load_root(l, config_root_setting(&lib));
	} else {
		const char *where = config_error_file(&lib);

		config_report_add(l->report, false, where != NULL ? where : file,
		    config_error_line(&lib), "%s", config_error_text(&lib));
	}
	config_destroy(&lib);
	free(folder);
}

static const struct config_mistake *
first_mistake(const struct config_report *r)
{
	for (int i = 0; i < r->n; i++)
		if (!r->items[i].warning)
			return &r->items[i];
	return NULL;
}

static enum rc
fail(const struct config_report *r, const char *file, struct err *err)
{
	const struct config_mistake *m = first_mistake(r);

	if (m == NULL)
		return err_set(err, "F0000", BLAST_SESSION, "%s has mistakes", file);
	if (m->file == NULL)
		return err_set(err, "F0000", BLAST_SESSION, "%s", m->text);
	return err_set(
	    err, "F0000", BLAST_SESSION, "%s:%d: %s", m->file, m->line, m->text);
}

enum rc
config_load(const char *file, struct config **result, struct config_report *report,
    struct err *err)
{
	struct loader l = {.report = report};
	int before = report->n_errors;

	scan_file(report, file);
	if (report->n_errors > before)
		return fail(report, file, err);
	l.cfg = config_create(file);
	parse_file(&l, file);
	if (report->n_errors == before) {
		*result = l.cfg;
		return RC_OK;
	}
	config_unref(l.cfg);
	return fail(report, file, err);
}
