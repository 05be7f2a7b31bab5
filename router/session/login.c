/* The rest of a login, once the client is known: its settings, what servers report, the greeting. What servers report to a session with the same
 * settings is kept, so that the next such client need not ask one. Replication gets a server of its own. */
#include "router/session/login.h"

#include <ctype.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"

#define LOGINS_MAX 256 /* kinds of logins per database whose parameters are kept */

/* ---- what servers report ---- */

struct login_params {
	struct list node;
	struct varset *vars, *params;
	char *user; /* is_superuser and session_authorization are its own */
};

static void
forget(struct login_params *p)
{
	list_remove(&p->node);
	varset_unref(p->vars);
	varset_unref(p->params);
	free(p->user);
	free(p);
}

void
login_params_clear(struct cluster *c)
{
	while (!list_empty(&c->logins))
		forget(LIST_ENTRY(c->logins.next, struct login_params, node));
}

static struct login_params *
find_params(struct session *s)
{
	LIST_FOREACH(it, &s->db->cluster->logins) {
		struct login_params *p = LIST_ENTRY(it, struct login_params, node);

		if (p->vars == s->start_vars &&
		    strcmp(p->user, s->identity->login.user) == 0)
			return p;
	}
	return NULL;
}

/* With a reference; NULL: no such client has logged in yet. */
static struct varset *
known_params(struct session *s)
{
	struct cluster *c = s->db->cluster;
	struct login_params *p;
	struct varset *params;

	pthread_mutex_lock(&c->lock);
	p = find_params(s);
	params = p == NULL ? NULL : varset_ref(p->params);
	pthread_mutex_unlock(&c->lock);
	return params;
}

static void
remember_params(struct session *s)
{
	struct cluster *c = s->db->cluster;
	struct login_params *p = malloc(sizeof *p);

	if (p == NULL)
		abort();
	p->vars = varset_ref(s->start_vars);
	p->params = varset_ref(s->params);
	p->user = strdup(s->identity->login.user);
	pthread_mutex_lock(&c->lock);
	if (find_params(s) != NULL)
		forget(find_params(s));
	else if (c->n_logins++ >= LOGINS_MAX)
		forget(LIST_ENTRY(c->logins.prev, struct login_params, node));
	list_push_front(&c->logins, &p->node);
	pthread_mutex_unlock(&c->lock);
}

/* ---- the end of a login ---- */

static void
greet(struct session *s)
{
	struct msgbuf out;
	unsigned char key[32];
	size_t len = s->protocol_minor >= 2 ? sizeof key : 4;

	session_cancel_key(s, key, len);
	msgbuf_init(&out);
	msg_begin(&out, 'K');
	msg_int32(&out, (int32_t)session_pid(s));
	msg_bytes(&out, key, len);
	msg_end(&out);
	msg_ready(&out, 'I');
	stream_write(&s->stream, out.data, out.len);
	msgbuf_fini(&out);
}

/* Bytes that the client sent ahead. */
static void
work_through_rest(struct session *s, char *bytes, size_t len)
{
	struct buf *b;

	if (len > 0) {
		b = buf_create(s->w->loop, len);
		memcpy(b->data, bytes, len);
		session_bytes(s, b, 0, (uint32_t)len);
		buf_unref(b);
	}
	free(bytes);
}

static void
login_finish(struct session *s)
{
	struct client_login *l = s->login;
	char *rest = l->in;
	size_t rest_len = l->have;

	greet(s);
	l->in = NULL;
	session_login_end(s);
	timer_stop(&s->timer);
	session_log(s, LOG_DEBUG, "client logged in", NULL);
	session_set_state(s, SESSION_IDLE);
	if (s->x != NULL) {
		session_set_state(s, SESSION_ACTIVE);
		s->x->blocked = BLOCK_NOT;
		if (CONFIG_VALUE(s->identity->conf, s->db->cluster->conf, pool_mode) !=
		    POOL_MODE_SESSION)
			session_release_server(s);
		session_rest(s);
	}
	if (!io_reading(&s->stream.io))
		stream_read_start(&s->stream);
	work_through_rest(s, rest, rest_len);
	if (s->state == SESSION_IDLE)
		session_start_timer(s);
}

static void
login_on_server(struct session *s)
{
	session_report_params(s);
	remember_params(s);
	login_finish(s);
}

static void
tell_params(struct session *s, struct varset *params)
{
	struct msgbuf out;

	msgbuf_init(&out);
	for (int i = 0; params != NULL && i < params->n; i++)
		msg_parameter_status(&out, params->v[i].name, params->v[i].value);
	stream_write(&s->stream, out.data, out.len);
	msgbuf_fini(&out);
	varset_assign(&s->params, varset_ref(params));
}

static void
tell_admin_params(struct session *s)
{
	static const char *const pairs[][2] = {
	    {"server_version", "15.0 (Weir " WEIR_VERSION ")"},
	    {"client_encoding", "UTF8"}, {"server_encoding", "UTF8"},
	    {"DateStyle", "ISO, MDY"}, {"TimeZone", "UTC"}, {"integer_datetimes", "on"},
	    {"standard_conforming_strings", "on"}, {"is_superuser", "on"}};
	struct varset *set = NULL;

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		varset_assign(&set, varset_with(set, pairs[i][0], pairs[i][1]));
	tell_params(s, set);
	varset_unref(set);
}

void
login_need_server(struct session *s)
{
	struct plan plan = {.kind = PLAN_ANY, .shard = 0};
	struct varset *params;
	struct err e;

	session_set_state(s, SESSION_LOGIN);
	if (s->admin) {
		tell_admin_params(s);
		login_finish(s);
		return;
	}
	if (((struct client_login *)s->login)->replication) {
		login_replication(s);
		return;
	}
	params = known_params(s);
	if (params != NULL) {
		tell_params(s, params);
		varset_unref(params);
		login_finish(s);
		return;
	}
	(void)session_exec(s);
	if (s->db->cluster->conf->default_shard > 0)
		plan.shard = s->db->cluster->conf->default_shard;
	switch (session_need_server(s, &plan, login_on_server, &e)) {
	case RC_OK:
		login_on_server(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		session_fatal(s, &e);
		break;
	}
}

/* ---- settings of the start-up packet ---- */

static bool
ignored(const struct settings *set, const char *name)
{
	return setting_list_has(&set->ignore_startup_parameters, slice_of(name));
}

static char *
lower(struct slice name)
{
	char *copy = strndup(name.ptr, name.len);

	for (char *p = copy; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return copy;
}

/* "psql" from 10.0.0.7 port 4711 is "psql - 10.0.0.7:4711". */
static struct slice
with_host(struct session *s, struct slice value)
{
	struct client_login *l = s->login;
	struct sockaddr_storage addr;
	socklen_t len = sizeof addr;
	char host[64], port[8];

	if (s->unix_socket ||
	    getpeername(s->stream.io.fd, (struct sockaddr *)&addr, &len) != 0 ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof host, port,
		sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return value;
	return slice_of(arena_printf(
	    &l->arena, "%.*s - %s:%s", (int)value.len, value.ptr, host, port));
}

static enum rc
start_setting(struct session *s, const char *name, struct slice value, struct err *e)
{
	char *sql;

	if (strncmp(name, "weir.", 5) == 0)
		return session_setting(s, name, value, e);
	if (ignored(&s->db->cluster->conf->settings, name))
		return RC_OK;
	if (strcmp(name, "application_name") == 0 &&
	    s->db->cluster->conf->settings.application_name_add_host)
		value = with_host(s, value);
	sql = session_set_config_sql(name, value, false);
	varset_assign(&s->start_vars, varset_with(s->start_vars, name, sql));
	free(sql);
	return RC_OK;
}

enum rc
login_settings(struct session *s, struct err *e)
{
	struct client_login *l = s->login;
	enum rc rc = RC_OK;

	for (size_t i = 0; i < l->start.n_params && rc == RC_OK; i++) {
		char *name = lower(l->start.params[i].name);

		rc = start_setting(s, name, l->start.params[i].value, e);
		free(name);
	}
	varset_assign(&s->vars, varset_ref(s->start_vars));
	varset_assign(&s->tx_vars, varset_ref(s->start_vars));
	return rc;
}

/* ---- replication: a server of its own, bytes go one to one ---- */

static void
raw_bytes(struct server *server, struct buf *b, uint32_t off, uint32_t len)
{
	struct session *s = server->owner;

	stream_write_buf(&s->stream, b, off, len);
	if (stream_queued(&s->stream) > OUTPUT_HIGH)
		stream_read_stop(&server->stream);
}

static void
raw_drained(struct server *server)
{
	(void)server;
}

static void
raw_lost(struct server *server, int error)
{
	session_lost_server(server->owner, error);
}

static const struct server_owner_ops raw_ops = {raw_bytes, raw_drained, raw_lost};

static void
raw_on_server(struct session *s)
{
	char *rest = ((struct client_login *)s->login)->in;
	size_t len = ((struct client_login *)s->login)->have;

	session_report_params(s);
	greet(s);
	((struct client_login *)s->login)->in = NULL;
	session_login_end(s);
	timer_stop(&s->timer);
	s->server->owner_ops = &raw_ops;
	session_set_state(s, SESSION_RAW);
	if (len > 0)
		stream_write(&s->server->stream, rest, len);
	free(rest);
	if (!io_reading(&s->stream.io))
		stream_read_start(&s->stream);
}

void
login_replication(struct session *s)
{
	struct plan plan = {.kind = PLAN_ANY, .shard = 0};
	struct err e;

	(void)session_exec(s);
	switch (session_need_server(s, &plan, raw_on_server, &e)) {
	case RC_OK:
		raw_on_server(s);
		break;
	case RC_AGAIN:
		break;
	case RC_ERR:
		session_fatal(s, &e);
		break;
	}
}
