/* Who is it? Trust, passwords in three ways, certificates, the operating system's word; by one setting or by access rules. Unknown users
 * look like known ones with a wrong password. */
#include <openssl/rand.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/log.h"
#include "router/session/login.h"
#include "router/session/usercount.h"
#include "wire/md5.h"
#include "wire/tls.h"

static struct client_login *
login_of(struct session *s)
{
	return s->login;
}

static void
refuse(struct session *s, const char *sqlstate, const char *what)
{
	struct client_login *l = login_of(s);
	struct err e;

	(void)err_set(&e, sqlstate, BLAST_SESSION, "%s \"%.*s\"", what,
	    (int)l->start.user.len, l->start.user.ptr);
	session_fatal(s, &e);
}

static void
wrong_password(struct session *s)
{
	refuse(s, "28P01", "password authentication failed for user");
}

/* ---- success ---- */

/* Where Weir has no login of its own, the schema is read with the first client's. */
static void
remember_login(struct session *s, const struct pool_login *p)
{
	struct cluster *c = s->db->cluster;

	if (cluster_remember_login(c, p->user, p->password) &&
	    atomic_load(&c->schema_gen) == 0) {
		atomic_fetch_add(&c->schema_wanted, 1); /* statements wait for it */
		s->w->proc->schema_wanted(s->w->proc, c);
	}
}

static void
fill_login(struct session *s, struct pool_login *p)
{
	struct client_login *l = login_of(s);

	memset(p, 0, sizeof *p);
	p->user = arena_strndup(&l->arena, l->start.user.ptr, l->start.user.len);
	p->database = ""; /* each server's own */
	if (s->db->cluster->conf->user != NULL)
		p->user = s->db->cluster->conf->user;
	if (l->password != NULL)
		p->password = l->password;
	else if (l->secret != NULL && l->secret->kind == SECRET_PLAIN)
		p->password = l->secret->password;
	else if (l->secret != NULL && l->secret->kind == SECRET_MD5)
		p->md5 = arena_printf(&l->arena, "md5%.32s", l->secret->md5);
	p->has_scram_keys = l->has_keys && p->password == NULL;
	if (p->has_scram_keys) {
		memcpy(p->client_key, l->keys.client_key, sizeof p->client_key);
		memcpy(p->server_key, l->keys.server_key, sizeof p->server_key);
	}
	if (!s->admin)
		remember_login(s, p);
}

static const char *const *
replication_params(struct client_login *l)
{
	const char **v = ARENA_NEW_N(&l->arena, const char *, l->start.n_params * 2 + 3);
	size_t n = 0;

	v[n++] = "replication";
	v[n++] = l->start.replication == REPLICATION_PHYSICAL ? "true" : "database";
	for (size_t i = 0; i < l->start.n_params; i++) {
		v[n++] = arena_strndup(
		    &l->arena, l->start.params[i].name.ptr, l->start.params[i].name.len);
		v[n++] = arena_strndup(&l->arena, l->start.params[i].value.ptr,
		    l->start.params[i].value.len);
	}
	return v;
}

static enum rc
check_limits(struct session *s, struct err *e)
{
	const struct settings *set = &s->db->cluster->conf->settings;
	const struct user_conf *u = s->identity->conf;
	int per_user = s->db->cluster->config->settings.max_user_client_connections;
	int n = atomic_fetch_add(&s->db->cluster->clients, 1) + 1, users;

	s->counted = true;
	users = usercount_add(s->identity->user);
	if (u != NULL && setting_set_has(&u->set, SETTING_ID_max_user_client_connections))
		per_user = u->settings.max_user_client_connections;
	if (!s->admin && per_user > 0 && users > per_user)
		return err_set(e, "53300", BLAST_SESSION,
		    "user %s has max_user_client_connections (%d) clients",
		    s->identity->user, per_user);
	if (!s->admin && set->max_db_client_connections > 0 &&
	    n > set->max_db_client_connections)
		return err_set(e, "53300", BLAST_SESSION,
		    "database %s has max_db_client_connections (%d) clients",
		    s->db->cluster->name, set->max_db_client_connections);
	return RC_OK;
}

static void
succeed(struct session *s)
{
	struct client_login *l = login_of(s);
	struct pool_login p;
	struct msgbuf out;
	struct err e;

	l->wants_password = false;
	if (s->db == NULL) {
		(void)err_set(&e, "3D000", BLAST_SESSION,
		    "database \"%.*s\" does not exist", (int)l->start.database.len,
		    l->start.database.ptr);
		session_fatal(s, &e);
		return;
	}
	l->replication = l->start.replication != REPLICATION_NONE;
	fill_login(s, &p);
	if (l->replication) {
		p.replication = true;
		p.startup = replication_params(l);
	}
	s->identity = worker_identity(s->w, s->db, l->start.user, &p);
	if (check_limits(s, &e) != RC_OK ||
	    (!s->admin && !l->replication && login_settings(s, &e) != RC_OK)) {
		session_fatal(s, &e);
		return;
	}
	msgbuf_init(&out);
	msg_begin(&out, 'R');
	msg_int32(&out, 0);
	msg_end(&out);
	stream_write(&s->stream, out.data, out.len);
	msgbuf_fini(&out);
	stream_read_stop(&s->stream);
	login_need_server(s);
}

/* ---- asking ---- */

static void
ask(struct session *s, int32_t code, const void *data, size_t len)
{
	struct msgbuf out;

	msgbuf_init(&out);
	msg_begin(&out, 'R');
	msg_int32(&out, code);
	msg_bytes(&out, data, len);
	msg_end(&out);
	stream_write(&s->stream, out.data, out.len);
	msgbuf_fini(&out);
	login_of(s)->wants_password = true;
}

static void
ask_scram(struct session *s)
{
	static const char plain[] = SCRAM_PLAIN "\0";
	static const char plus[] = SCRAM_PLUS "\0" SCRAM_PLAIN "\0";
	struct client_login *l = login_of(s);
	const struct scram_secret *secret = NULL;
	unsigned char binding[TLS_END_POINT_MAX];
	size_t n = stream_is_tls(&s->stream)
	    ? tls_end_point_own(stream_ssl(&s->stream), binding)
	    : 0;
	bool doomed = l->secret == NULL ||
	    secret_scram(l->secret, &secret, &(struct err){0}) != RC_OK;
	struct err e;

	if (doomed) {
		if (scram_secret_mock(l->start.user, &l->mock, &e) != RC_OK) {
			session_fatal(s, &e);
			return;
		}
		secret = &l->mock;
	}
	scram_server_init(&l->scram, secret, doomed, (struct slice){(char *)binding, n});
	l->scram_begun = true;
	if (n > 0)
		ask(s, 10, plus, sizeof plus);
	else
		ask(s, 10, plain, sizeof plain);
}

static void
ask_md5(struct session *s)
{
	struct client_login *l = login_of(s);

	if (RAND_bytes(l->salt, sizeof l->salt) != 1)
		abort();
	ask(s, 5, l->salt, sizeof l->salt);
}

/* ---- certificates and the operating system ---- */

static const struct hba *
rules(const struct session *s)
{
	return s->db != NULL ? s->db->cluster->conf->hba : s->w->snap->config->hba;
}

static void
by_system_name(struct session *s, const char *map, const char *name, const char *what)
{
	struct client_login *l = login_of(s);
	bool ok = rules(s) != NULL
	    ? hba_map_allows(rules(s), map, slice_of(name), l->start.user)
	    : slice_eq_str(l->start.user, name);

	if (ok)
		succeed(s);
	else
		refuse(s, "28000", what);
}

static void
by_certificate(struct session *s, const char *map)
{
	char name[256];

	if (!stream_is_tls(&s->stream) ||
	    !tls_peer_cn(stream_ssl(&s->stream), name, sizeof name))
		refuse(s, "28000",
		    "connection requires a valid client certificate for user");
	else
		by_system_name(
		    s, map, name, "certificate authentication failed for user");
}

static void
by_peer(struct session *s, const char *map)
{
	struct ucred cred;
	socklen_t len = sizeof cred;
	struct passwd pw, *found = NULL;
	char buf[1024];

	if (!s->unix_socket ||
	    getsockopt(s->stream.io.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 ||
	    getpwuid_r(cred.uid, &pw, buf, sizeof buf, &found) != 0 || found == NULL)
		refuse(s, "28000", "peer authentication failed for user");
	else
		by_system_name(
		    s, map, found->pw_name, "peer authentication failed for user");
}

/* ---- the method ---- */

static void
go(struct session *s, const char *map)
{
	struct client_login *l = login_of(s);

	switch (l->method) {
	case HBA_REJECT:
		refuse(s, "28000", "access rules reject user");
		break;
	case HBA_TRUST:
		succeed(s);
		break;
	case HBA_PASSWORD:
		ask(s, 3, NULL, 0);
		break;
	case HBA_MD5:
		if (l->secret != NULL && l->secret->kind == SECRET_SCRAM)
			ask_scram(s);
		else
			ask_md5(s);
		break;
	case HBA_SCRAM:
		ask_scram(s);
		break;
	case HBA_CERT:
		by_certificate(s, map);
		break;
	case HBA_PEER:
		by_peer(s, map);
		break;
	}
}

static struct hba_result
match_rules(struct session *s)
{
	struct client_login *l = login_of(s);
	struct sockaddr_storage addr;
	socklen_t len = sizeof addr;
	struct hba_client c = {.tls = stream_is_tls(&s->stream),
	    .replication = l->start.replication == REPLICATION_PHYSICAL,
	    .database = l->start.database,
	    .user = l->start.user};

	if (!s->unix_socket &&
	    getpeername(s->stream.io.fd, (struct sockaddr *)&addr, &len) == 0)
		c.addr = (struct sockaddr *)&addr;
	return rules(s) == NULL ? (struct hba_result){.method = HBA_REJECT}
				: hba_match(rules(s), &c);
}

void
auth_choose_method(struct session *s)
{
	static const enum hba_method of_type[] = {[AUTH_TRUST] = HBA_TRUST,
	    [AUTH_PASSWORD] = HBA_PASSWORD,
	    [AUTH_MD5] = HBA_MD5,
	    [AUTH_SCRAM] = HBA_SCRAM,
	    [AUTH_CERT] = HBA_CERT,
	    [AUTH_PEER] = HBA_PEER,
	    [AUTH_ANY] = HBA_TRUST};
	struct client_login *l = login_of(s);
	enum auth_type type = s->db != NULL ? s->db->cluster->conf->settings.auth_type
					    : s->w->snap->config->settings.auth_type;
	struct hba_result r = {0};

	if (type == AUTH_HBA) {
		r = match_rules(s);
		l->method = r.method;
		if (r.client_cert != HBA_CERT_NONE && l->method != HBA_REJECT) {
			char name[256];

			if (!stream_is_tls(&s->stream) ||
			    !tls_peer_cn(stream_ssl(&s->stream), name, sizeof name) ||
			    (r.client_cert == HBA_CERT_VERIFY_FULL &&
				!hba_map_allows(
				    rules(s), r.map, slice_of(name), l->start.user))) {
				refuse(s, "28000",
				    "connection requires a valid client certificate for user");
				return;
			}
		}
	} else {
		l->method = of_type[type];
		if (type == AUTH_TRUST && l->secret == NULL) {
			refuse(s, "28000", "unknown user");
			return;
		}
	}
	go(s, r.map);
}

/* ---- begin ---- */

static bool
admin_database(struct slice name)
{
	return slice_eq_str(name, "weir") || slice_eq_str(name, "pgbouncer");
}

static bool
admin_allowed(struct session *s)
{
	const struct settings *set = &s->w->snap->config->settings;
	struct client_login *l = login_of(s);

	s->admin = true;
	s->stats_only = !setting_list_has(&set->admin_users, l->start.user);
	return !s->stats_only || setting_list_has(&set->stats_users, l->start.user);
}

static bool
tls_satisfied(struct session *s)
{
	enum tls_mode mode = s->w->snap->config->settings.listen_tls_mode;

	return mode < TLS_MODE_REQUIRE || s->unix_socket || stream_is_tls(&s->stream);
}

static enum rc
may_come_in(struct session *s, struct err *e)
{
	const struct settings *set = &s->w->snap->config->settings;

	if (atomic_load(&s->w->proc->shutting_down))
		return err_set(e, "57P03", BLAST_SESSION, "the proxy is shutting down");
	if (atomic_load(&s->w->proc->clients) > set->max_client_conn)
		return err_set(e, "53300", BLAST_SESSION,
		    "sorry, too many clients already (max_client_conn)");
	if (!tls_satisfied(s))
		return err_set(
		    e, "28000", BLAST_SESSION, "TLS is required (listen.tls.mode)");
	return RC_OK;
}

void
auth_begin(struct session *s)
{
	struct client_login *l = login_of(s);
	const struct secret_file *users;
	struct msgbuf out;
	struct err e;

	if (may_come_in(s, &e) != RC_OK) {
		session_fatal(s, &e);
		return;
	}
	if (l->start.negotiate) {
		msgbuf_init(&out);
		msg_negotiate(&out, &l->start);
		stream_write(&s->stream, out.data, out.len);
		msgbuf_fini(&out);
	}
	s->protocol_minor = (uint8_t)PROTO_MINOR(l->start.proto);
	session_set_state(s, SESSION_AUTH);
	if (admin_database(l->start.database) &&
	    l->start.replication == REPLICATION_NONE) {
		if (!admin_allowed(s)) {
			refuse(s, "28000", "the admin console is not open to user");
			return;
		}
		s->db = worker_admin_view(s->w);
	} else {
		s->db = worker_view(s->w, l->start.database);
		if (s->db != NULL && atomic_load(&s->db->cluster->disabled)) {
			(void)err_set(&e, "3D000", BLAST_SESSION,
			    "database \"%s\" is disabled", s->db->cluster->name);
			session_fatal(s, &e);
			return;
		}
	}
	users = s->db != NULL && !s->admin ? s->db->cluster->conf->users
					   : s->w->snap->config->user_secrets;
	l->secret = users == NULL ? NULL : secret_file_find(users, l->start.user);
	if (l->secret != NULL || !auth_query_start(s))
		auth_choose_method(s);
}

/* ---- answers ---- */

static void
scram_message(struct session *s, const struct read_msg *m)
{
	struct client_login *l = login_of(s);
	struct msgread r = msgread_of(m->body);
	struct msgbuf sasl, out;
	struct err e;
	enum rc rc;

	msgbuf_init(&sasl);
	if (!l->scram_first_done) {
		struct slice mechanism = read_str(&r);
		int32_t len = read_int32(&r);
		struct slice data =
		    len < 0 ? (struct slice){"", 0} : read_bytes(&r, (size_t)len);

		if (r.bad || read_left(&r) != 0)
			rc =
			    err_set(&e, "08P01", BLAST_SESSION, "malformed SASL message");
		else
			rc = scram_server_first(
			    &l->scram, mechanism, data, NULL, &sasl, &e);
	} else {
		rc = scram_server_final(&l->scram, m->body, &l->keys, &sasl, &e);
	}
	if (rc != RC_OK) {
		msgbuf_fini(&sasl);
		if (strcmp(e.sqlstate, "28P01") == 0)
			wrong_password(s);
		else
			session_fatal(s, &e);
		return;
	}
	msgbuf_init(&out);
	msg_begin(&out, 'R');
	msg_int32(&out, l->scram_first_done ? 12 : 11);
	msg_bytes(&out, sasl.data, sasl.len);
	msg_end(&out);
	stream_write(&s->stream, out.data, out.len);
	msgbuf_fini(&out);
	msgbuf_fini(&sasl);
	if (l->scram_first_done) {
		l->has_keys = true;
		succeed(s);
		return;
	}
	l->scram_first_done = true;
}

static void
password_message(struct session *s, struct slice body)
{
	struct client_login *l = login_of(s);
	struct slice given = {body.ptr, body.len > 0 ? body.len - 1 : 0};
	char hex[MD5_HEX];
	struct err e;

	if (body.len == 0 ||
	    memchr(body.ptr, '\0', body.len) != body.ptr + body.len - 1) {
		(void)err_set(&e, "08P01", BLAST_SESSION, "malformed password message");
		session_fatal(s, &e);
		return;
	}
	if (l->secret == NULL || given.len == 0) {
		wrong_password(s);
		return;
	}
	if (l->method == HBA_PASSWORD) {
		if (secret_check(l->secret, l->start.user, given, &e) != RC_OK) {
			wrong_password(s);
			return;
		}
		l->password = strndup(given.ptr, given.len);
		succeed(s);
		return;
	}
	if (secret_md5(l->secret, l->start.user, hex, &e) != RC_OK ||
	    md5_check(hex, l->salt, given, &e) != RC_OK)
		wrong_password(s);
	else
		succeed(s);
}

void
auth_message(struct session *s, const struct read_msg *m)
{
	if (login_of(s)->scram_begun)
		scram_message(s, m);
	else
		password_message(s, m->body);
}

void
auth_end(struct client_login *l)
{
	if (l->job != NULL)
		auth_query_forget(l->job);
	if (l->scram_begun)
		scram_server_fini(&l->scram);
	if (l->has_fetched)
		secret_fini(&l->fetched);
	if (l->password != NULL)
		OPENSSL_cleanse(l->password, strlen(l->password));
	free(l->password);
}
