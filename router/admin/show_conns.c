/* SHOW CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS: each worker writes the rows of its own connections. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>

#include "router/admin/census.h"
#include "router/admin/console.h"

/* ---- addresses ---- */

struct endpoint {
	char host[INET6_ADDRSTRLEN];
	int port;
	bool is_unix;
};

static void
endpoint_of(const struct sockaddr_storage *a, bool known, struct endpoint *to)
{
	const struct sockaddr_in *in = (const void *)a;
	const struct sockaddr_in6 *in6 = (const void *)a;

	memset(to, 0, sizeof *to);
	to->is_unix = known && a->ss_family == AF_UNIX;
	if (known && a->ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, to->host, sizeof to->host);
		to->port = ntohs(in->sin_port);
	} else if (known && a->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, to->host, sizeof to->host);
		to->port = ntohs(in6->sin6_port);
	} else if (to->is_unix) {
		snprintf(to->host, sizeof to->host, "unix");
	}
}

static void
endpoints(int fd, struct endpoint *remote, struct endpoint *local)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof a;

	memset(&a, 0, sizeof a);
	endpoint_of(&a, getpeername(fd, (struct sockaddr *)&a, &len) == 0, remote);
	len = sizeof a;
	memset(&a, 0, sizeof a);
	endpoint_of(&a, getsockname(fd, (struct sockaddr *)&a, &len) == 0, local);
}

/* The process at the other end of a Unix socket. */
static int
peer_pid(int fd)
{
	struct ucred c;
	socklen_t len = sizeof c;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) == 0 ? (int)c.pid : 0;
}

static void
row_tls(struct rows *rows, const struct stream *s)
{
	SSL *ssl = stream_ssl(s);

	if (ssl == NULL)
		row_text(rows, "");
	else
		row_fmt(rows, "%s/%s", SSL_get_version(ssl),
		    SSL_get_cipher_name(ssl) == NULL ? "" : SSL_get_cipher_name(ssl));
}

/* ---- a client ---- */

static const char *
client_state(const struct session *s, bool waits)
{
	if (s->state == SESSION_CLOSING)
		return "closing";
	if (waits)
		return "waiting";
	if (s->identity == NULL || s->state < SESSION_IDLE)
		return "login";
	return s->server != NULL || (s->admin && s->x != NULL) ? "active" : "idle";
}

static const char *
application_of(const struct session *s)
{
	const char *name = varset_get(s->params, "application_name");

	return name == NULL ? "" : name;
}

/* The columns that CLIENTS, SERVERS and SOCKETS share. */
static void
client_columns(struct part *p, struct rows *rows, const struct session *s)
{
	uint64_t now = loop_now_us(p->w->loop), since = now;
	bool waits = census_waits(s, &since);
	uint64_t waited = waits && now > since ? now - since : 0;
	struct endpoint remote, local;
	int fd = s->stream.io.fd;

	endpoints(fd, &remote, &local);
	row_text(rows, "C");
	row_text(rows, session_user(s));
	row_text(rows, session_database(s));
	row_text(rows, s->state == SESSION_RAW ? "yes" : "none");
	row_text(rows, client_state(s, waits));
	row_slice(rows, slice_of(remote.host));
	row_int(rows,
	    remote.is_unix ? p->w->snap->config->settings.listen_port : remote.port);
	row_slice(rows, slice_of(local.host));
	row_int(
	    rows, local.is_unix ? p->w->snap->config->settings.listen_port : local.port);
	row_time(rows, console_wall_us(p->w, s->connected_us));
	row_time(rows, console_wall_us(p->w, s->request_us));
	row_uint(rows, waited / 1000000);
	row_uint(rows, waited % 1000000);
	row_int(rows, 0);
	row_fmt(rows, "c%llu", (unsigned long long)s->id);
	if (s->server != NULL)
		row_fmt(rows, "s%llu", (unsigned long long)s->server->id);
	else
		row_text(rows, "");
	row_int(rows, remote.is_unix ? peer_pid(fd) : 0);
	row_tls(rows, &s->stream);
	row_slice(rows, slice_of(application_of(s)));
	row_int(rows, names_count(s->names));
	row_uint(rows, s->id);
}

static void
row_pins(struct rows *rows, const struct session *s)
{
	static const struct {
		unsigned bit;
		const char *name;
	} pins[] = {{PIN_TEMP, "temporary table"}, {PIN_LISTEN, "listen"},
	    {PIN_CURSOR_HOLD, "cursor with hold"}, {PIN_ADVISORY, "advisory lock"},
	    {PIN_LOAD, "load"}, {PIN_SET_CONFIG, "set_config"},
	    {PIN_USER_STATE, "asked for by the client"}};
	char text[160] = "";
	size_t n = 0;

	if (s->state == SESSION_RAW)
		n = (size_t)snprintf(text, sizeof text, "replication");
	for (size_t i = 0; i < sizeof pins / sizeof pins[0]; i++)
		if (s->pins & pins[i].bit)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
			    n > 0 ? ", " : "", pins[i].name);
	if (n == 0)
		row_null(rows);
	else
		row_slice(rows, slice_of(text));
}

static void
row_waits_for(struct rows *rows, const struct session *s)
{
	const struct exec *x = s->x;
	char reason[300];

	if (x == NULL || x->blocked == BLOCK_NOT)
		row_null(rows);
	else if (x->blocked == BLOCK_SERVER && x->waiter.state != WAITER_OUT)
		row_slice(
		    rows, slice_of(pool_wait_reason(&x->waiter, reason, sizeof reason)));
	else
		row_text(rows, block_name(x->blocked));
}

static const char *
shard_of(const struct session *s)
{
	if (s->x == NULL || s->db == NULL || s->x->shard < 0 ||
	    s->x->shard >= s->db->cluster->n_shards)
		return NULL;
	return s->db->cluster->shards[s->x->shard].name;
}

static void
clients_visit(struct round *r, struct part *p)
{
	struct rows rows;

	(void)r;
	rows_init(&rows, TABLE_clients, &p->rows);
	EACH_SESSION(p->w, s)
	{
		if (s->state == SESSION_CLOSING)
			continue;
		client_columns(p, &rows, s);
		row_waits_for(&rows, s);
		row_pins(&rows, s);
		row_text(&rows, shard_of(s));
		row_text(&rows, s->tx == 'T' ? "open" : s->tx == 'E' ? "failed" : NULL);
		row_int(&rows, p->w->index);
		row_end(&rows);
	}
	rows_fini(&rows);
}

/* ---- a server ---- */

static const char *
server_state(const struct server *sv, uint64_t now_us)
{
	const struct backend *b = pool_backend(sv->pool);

	switch (sv->state) {
	case SERVER_ACTIVE:
		return "active";
	case SERVER_IDLE:
		return now_us - sv->idle_since_us >
			atomic_load(&b->limits.server_check_delay_us)
		    ? "used"
		    : "idle";
	case SERVER_RESETTING:
		return sv->test == TEST_HOLD ? "being_canceled" : "tested";
	case SERVER_MOVING:
	case SERVER_CLOSING:
		break;
	}
	return server_state_name(sv->state);
}

static const struct session *
client_of(const struct server *sv)
{
	return sv->state == SERVER_ACTIVE && sv->owner_ops == &session_server_ops
	    ? sv->owner
	    : NULL;
}

static int
prepared_on(const struct server *sv)
{
	const struct link *l = sv->link;

	return l == NULL ? 0 : (int)l->held_n;
}

static void
server_columns(struct part *p, struct rows *rows, const struct server *sv)
{
	const struct session *client = client_of(sv);
	const struct backend *b = pool_backend(sv->pool);
	struct endpoint remote, local;

	endpoints(sv->stream.io.fd, &remote, &local);
	row_text(rows, "S");
	row_text(rows, pool_user(sv->pool));
	row_text(rows, b->database);
	row_text(rows, sv->replication ? "yes" : "none");
	row_text(rows, server_state(sv, loop_now_us(p->w->loop)));
	row_slice(rows, slice_of(remote.host));
	if (remote.is_unix)
		row_text(rows, b->target.port);
	else
		row_int(rows, remote.port);
	row_slice(rows, slice_of(local.host));
	row_int(rows, local.port);
	row_time(rows, console_wall_us(p->w, sv->connected_us));
	row_time(rows, console_wall_us(p->w, sv->requested_us));
	row_int(rows, 0);
	row_int(rows, 0);
	row_int(rows, sv->close_needed);
	row_fmt(rows, "s%llu", (unsigned long long)sv->id);
	if (client != NULL)
		row_fmt(rows, "c%llu", (unsigned long long)client->id);
	else
		row_text(rows, "");
	row_uint(rows, sv->backend_pid);
	row_tls(rows, &sv->stream);
	row_slice(rows, slice_of(client == NULL ? "" : application_of(client)));
	row_int(rows, prepared_on(sv));
	row_uint(rows, sv->id);
}

static const char *
role_name(enum backend_role role)
{
	return role == ROLE_PRIMARY ? "primary"
	    : role == ROLE_REPLICA  ? "replica"
				    : "unknown";
}

struct server_rows {
	struct part *p;
	struct rows rows;
	bool sockets, active_only;
};

static void
socket_columns(struct rows *rows, const struct stream *s, int worker)
{
	for (int i = 0; i < 6; i++) /* PgBouncer's buffer; there is none here */
		row_null(rows);
	row_uint(rows, stream_queued(s));
	row_int(rows, io_reading(&s->io));
	row_int(rows, worker);
}

static void
server_row(struct server *sv, void *arg)
{
	struct server_rows *to = arg;
	const struct backend *b = pool_backend(sv->pool);

	if (to->active_only && sv->state == SERVER_IDLE)
		return;
	server_columns(to->p, &to->rows, sv);
	if (to->sockets) {
		socket_columns(&to->rows, &sv->stream, to->p->w->index);
	} else {
		row_text(&to->rows, b->shard);
		row_int(&to->rows, b->position);
		row_text(&to->rows, role_name(backend_role(b)));
		row_int(&to->rows, to->p->w->index);
	}
	row_end(&to->rows);
}

static void
pool_rows(struct pool *pool, void *arg)
{
	pool_each_server(pool, server_row, arg);
}

static void
servers_visit(struct round *r, struct part *p)
{
	struct server_rows to = {.p = p};

	(void)r;
	rows_init(&to.rows, TABLE_servers, &p->rows);
	pools_each(p->w->pools, pool_rows, &to);
	rows_fini(&to.rows);
}

static void
sockets_visit(struct round *r, struct part *p)
{
	struct server_rows to = {.p = p,
	    .sockets = true,
	    .active_only = r->line.id == COMMAND_show_active_sockets};

	rows_init(&to.rows, TABLE_sockets, &p->rows);
	EACH_SESSION(p->w, s)
	{
		if (s->state == SESSION_CLOSING ||
		    (to.active_only && s->state == SESSION_IDLE))
			continue;
		client_columns(p, &to.rows, s);
		socket_columns(&to.rows, &s->stream, p->w->index);
		row_end(&to.rows);
	}
	pools_each(p->w->pools, pool_rows, &to);
	rows_fini(&to.rows);
}

/* ---- commands ---- */

static enum rc
all_rows(struct round *r, struct msgbuf *out, struct err *e)
{
	(void)e;
	for (int i = 0; i < r->n_parts; i++)
		msg_bytes(out, r->parts[i].rows.data, r->parts[i].rows.len);
	return RC_OK;
}

enum rc
admin_show_clients(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, clients_visit, all_rows);
}

enum rc
admin_show_servers(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, servers_visit, all_rows);
}

enum rc
admin_show_sockets(struct call *call, struct err *e)
{
	(void)e;
	return round_run(call, sockets_visit, all_rows);
}

enum rc
admin_show_active_sockets(struct call *call, struct err *e)
{
	return admin_show_sockets(call, e);
}
