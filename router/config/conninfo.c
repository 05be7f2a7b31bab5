/* router/config/conninfo.c: conninfo strings of the configuration, taken apart by libpq.
 * Names that clients send never come here. What a string says and Weir does not do is a
 * mistake where it is about safety, else a warning. */
#include "router/config/load.h"

#include <libpq-fe.h>
#include <stdarg.h>
#include <stdlib.h>

#include "router/config/service.h"

#define HOSTS_MAX       64
#define SOCKET_PATH_MAX 107

enum use { USED, REFUSED, IGNORED };

static const struct {
	const char *keyword;
	enum use use;
	const char *harmless; /* a value that changes nothing */
	const char *why;
} keywords[] = {
    {"channel_binding", REFUSED, "prefer", "use sslmode=verify-full"},
    {"requirepeer", REFUSED, "", "use sslmode=verify-full"},
    {"sslcrl", REFUSED, "", "it cannot be checked"},
    {"sslcrldir", REFUSED, "", "it cannot be checked"},
    {"sslpassword", REFUSED, "", "the key must not be encrypted"},
    {"ssl_min_protocol_version", REFUSED, "TLSv1.2", "it is TLS 1.2"},
    {"ssl_max_protocol_version", REFUSED, "", "there is no upper limit"},
    {"gssencmode", REFUSED, "disable", "it is always \"disable\""},
    {"replication", REFUSED, "", "clients ask for it themselves"},
    {"client_encoding", IGNORED, "auto", "clients say theirs"},
    {"keepalives", IGNORED, "1", "use the setting tcp_keepalive"},
    {"keepalives_idle", IGNORED, "0", "use the setting tcp_keepidle"},
    {"keepalives_interval", IGNORED, "0", "use the setting tcp_keepintvl"},
    {"keepalives_count", IGNORED, "0", "use the setting tcp_keepcnt"},
    {"tcp_user_timeout", IGNORED, "0", "use the setting tcp_user_timeout"},
    {"sslcompression", IGNORED, "0", "there is no compression"},
    {"krbsrvname", IGNORED, "", "GSSAPI is not spoken"},
    {"gsslib", IGNORED, "", "GSSAPI is not spoken"},
};

struct parse {
	struct loader *l;
	struct arena *arena;
	struct server_conf *server;
	bool failed;
};

static void __attribute__((format(printf, 3, 4)))
tell(struct parse *p, bool warning, const char *fmt, ...)
{
	char text[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	config_report_add(
	    p->l->report, warning, p->server->file, p->server->line, "%s", text);
	p->failed |= !warning;
}

/* NULL: not said, or said to be empty. */
static const char *
value_of(const struct server_conf *s, const char *keyword)
{
	for (int i = 0; i < s->n_params; i++)
		if (strcmp(s->params[i].name, keyword) == 0)
			return s->params[i].value;
	return NULL;
}

static void
check_keyword(struct parse *p, const char *keyword, const char *value)
{
	for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
		if (strcmp(keywords[i].keyword, keyword) != 0 ||
		    strcmp(keywords[i].harmless, value) == 0)
			continue;
		tell(p, keywords[i].use == IGNORED, "\"%s\" in a conninfo is not %s (%s)",
		    keyword, keywords[i].use == IGNORED ? "used" : "supported",
		    keywords[i].why);
	}
}

/* ---- the text for people ---- */

static bool
is_secret(const char *keyword)
{
	return strcmp(keyword, "password") == 0 || strcmp(keyword, "sslpassword") == 0;
}

static const char *
quoted(const char *value, struct arena *a)
{
	char *copy, *to;

	if (value[0] != '\0' && strpbrk(value, " \t\n'\\") == NULL)
		return value;
	to = copy = arena_alloc(a, 2 * strlen(value) + 3);
	*to++ = '\'';
	for (; *value != '\0'; value++) {
		if (*value == '\'' || *value == '\\')
			*to++ = '\\';
		*to++ = *value;
	}
	*to = '\'';
	return copy;
}

static const char *
masked(const struct server_conf *s, struct arena *a)
{
	const char *text = "";

	for (int i = 0; i < s->n_params; i++)
		text = arena_printf(a, "%s%s%s=%s", text, i == 0 ? "" : " ",
		    s->params[i].name,
		    is_secret(s->params[i].name) ? "***" : quoted(s->params[i].value, a));
	return text;
}

/* ---- hosts ---- */

static int
split(const char *text, const char **parts, struct arena *a)
{
	int n = 0;

	for (;;) {
		const char *comma = strchrnul(text, ',');

		if (n == HOSTS_MAX)
			return HOSTS_MAX + 1;
		parts[n++] = arena_strndup(a, text, (size_t)(comma - text));
		if (*comma == '\0')
			return n;
		text = comma + 1;
	}
}

static bool
parse_port(const char *text, uint16_t *port)
{
	unsigned long n;
	char *end;

	if (*text == '\0') {
		*port = 5432;
		return true;
	}
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || n < 1 || n > 65535)
		return false;
	*port = (uint16_t)n;
	return true;
}

static const char *
or_null(const char *s)
{
	return s == NULL || s[0] == '\0' ? NULL : s;
}

static void
put_host(struct parse *p, const char *host, const char *addr, const char *port)
{
	struct host_conf *h = &p->server->hosts[p->server->n_hosts++];

	h->host = or_null(host);
	h->hostaddr = or_null(addr);
	if (h->host == NULL && h->hostaddr == NULL)
		tell(p, false, "the conninfo names no host");
	if (!parse_port(port, &h->port))
		tell(p, false, "\"%s\" in the conninfo is not a port", port);
	if (h->host != NULL && h->host[0] == '/' && h->hostaddr == NULL &&
	    strlen(h->host) + strlen("/.s.PGSQL.65535") > SOCKET_PATH_MAX)
		tell(p, false, "the folder of a Unix socket is too long (%zu bytes)",
		    strlen(h->host));
}

static void
parse_hosts(struct parse *p)
{
	const char *hosts[HOSTS_MAX], *addrs[HOSTS_MAX], *ports[HOSTS_MAX];
	const char *host = or_null(value_of(p->server, "host"));
	const char *addr = or_null(value_of(p->server, "hostaddr"));
	const char *port = value_of(p->server, "port");
	int n_hosts = host != NULL ? split(host, hosts, p->arena) : 0;
	int n_addrs = addr != NULL ? split(addr, addrs, p->arena) : 0;
	int n_ports = split(port != NULL ? port : "", ports, p->arena);
	int n = n_addrs > 0 ? n_addrs : n_hosts;

	if (n == 0) {
		tell(p, false, "the conninfo names no host");
		return;
	}
	if (n > HOSTS_MAX || n_ports > HOSTS_MAX) {
		tell(p, false, "the conninfo names more than %d hosts", HOSTS_MAX);
		return;
	}
	if ((n_hosts > 0 && n_hosts != n) || (n_ports > 1 && n_ports != n)) {
		tell(p, false,
		    "the conninfo has %d hosts, %d addresses and %d ports; they must "
		    "match",
		    n_hosts, n_addrs, n_ports);
		return;
	}
	p->server->hosts = ARENA_NEW_N(p->arena, struct host_conf, (size_t)n);
	for (int i = 0; i < n; i++)
		put_host(p, n_hosts > 0 ? hosts[i] : NULL, n_addrs > 0 ? addrs[i] : NULL,
		    ports[n_ports > 1 ? i : 0]);
}

/* ---- TLS ---- */

static void
parse_tls(struct parse *p, const struct settings *tls)
{
	struct server_conf *s = p->server;
	const struct setting *mode =
	    &config_settings.settings[SETTING_ID_server_tls_mode];
	const char *given = or_null(value_of(s, "sslmode"));
	const char *sni = value_of(s, "sslsni");
	const char *root = or_null(value_of(s, "sslrootcert"));
	const char *cert = or_null(value_of(s, "sslcert"));
	const char *key = or_null(value_of(s, "sslkey"));
	struct settings values;
	struct err err;

	s->tls_mode = tls->server_tls_mode;
	if (given != NULL) {
		if (setting_parse(mode, &values, slice_of(given), p->arena, &err) !=
		    RC_OK)
			tell(p, false, "sslmode=%s: %s", given, err.msg);
		else
			s->tls_mode = values.server_tls_mode;
	}
	s->sslsni = sni == NULL || strcmp(sni, "0") != 0;
	s->sslrootcert =
	    config_path(p->l->cfg, root != NULL ? root : tls->server_tls_ca, p->arena);
	s->sslcert =
	    config_path(p->l->cfg, cert != NULL ? cert : tls->server_tls_cert, p->arena);
	s->sslkey =
	    config_path(p->l->cfg, key != NULL ? key : tls->server_tls_key, p->arena);
	if (s->tls_mode >= TLS_MODE_VERIFY_CA && s->sslrootcert[0] == '\0')
		tell(p, false,
		    "the server's certificate is to be verified, but neither sslrootcert "
		    "nor server_tls.ca is given");
	if ((s->sslcert[0] == '\0') != (s->sslkey[0] == '\0'))
		tell(p, false,
		    "a client certificate needs its key, and a key its certificate");
}

/* ---- the rest ---- */

static void
parse_timeout(struct parse *p)
{
	const char *text = or_null(value_of(p->server, "connect_timeout"));
	uint64_t us;
	struct err err;

	if (text == NULL)
		return;
	if (parse_duration(slice_of(text), &us, &err) != RC_OK)
		tell(p, false, "connect_timeout: %s", err.msg);
	else
		p->server->connect_timeout_us = us;
}

static void
take_params(struct parse *p, const PQconninfoOption *options)
{
	struct server_conf *s = p->server;
	int n = 0;

	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		n += o->val != NULL;
	s->params = ARENA_NEW_N(p->arena, struct conf_param, (size_t)n);
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		if (o->val != NULL)
			s->params[s->n_params++] =
			    (struct conf_param){arena_strdup(p->arena, o->keyword),
				arena_strdup(p->arena, o->val)};
}

static void
take_service(struct parse *p)
{
	struct server_conf *s = p->server;
	const char *name = or_null(value_of(s, "service"));
	struct conf_param *found, *all;
	int n = 0, n_all = s->n_params;
	struct err err;

	if (name == NULL)
		return;
	if (service_read(name, p->arena, &found, &n, &err) != RC_OK) {
		tell(p, false, "%s", err.msg);
		return;
	}
	all = ARENA_NEW_N(p->arena, struct conf_param, (size_t)(s->n_params + n));
	memcpy(all, s->params, (size_t)s->n_params * sizeof *all);
	for (int i = 0; i < n; i++)
		if (value_of(s, found[i].name) == NULL)
			all[n_all++] = found[i];
	s->params = all;
	s->n_params = n_all;
}

static bool
read_string(struct parse *p, const char *conninfo)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &why);

	if (options == NULL) {
		/* libpq quotes parts of the text, which may be those of a password */
		bool quiet = strcasestr(conninfo, "pass") != NULL ||
		    strstr(conninfo, "://") != NULL || why == NULL;

		if (!quiet)
			why[strcspn(why, "\n")] = '\0';
		tell(p, false, "the conninfo is wrong%s%s", quiet ? "" : ": ",
		    quiet ? " (values with spaces need quotes)" : why);
		PQfreemem(why);
		return false;
	}
	take_params(p, options);
	PQconninfoFree(options);
	return true;
}

static void
take_fields(struct parse *p, const struct settings *tls)
{
	struct server_conf *s = p->server;

	s->dbname = or_null(value_of(s, "dbname"));
	s->user = or_null(value_of(s, "user"));
	s->password = or_null(value_of(s, "password"));
	s->passfile = or_null(value_of(s, "passfile"));
	s->options = or_null(value_of(s, "options"));
	s->application_name = or_null(value_of(s, "application_name"));
	if (s->application_name == NULL)
		s->application_name = or_null(value_of(s, "fallback_application_name"));
	s->weight = 1;
	parse_timeout(p);
	parse_tls(p, tls);
	parse_hosts(p);
}

static void
read_passfile(struct parse *p)
{
	struct server_conf *s = p->server;
	struct err err;

	if (s->passfile == NULL)
		return;
	s->passfile = config_path(p->l->cfg, s->passfile, p->arena);
	if (passfile_read(s->passfile, p->arena, &s->passes, &s->n_passes, &err) != RC_OK)
		tell(p, false, "%s", err.msg);
}

struct server_conf *
load_server(struct loader *l, const char *conninfo, const char *file, int line,
    const struct settings *tls)
{
	struct parse p = {.l = l, .arena = &l->cfg->arena};
	struct server_conf *s = ARENA_NEW(p.arena, struct server_conf);

	p.server = s;
	s->file = file != NULL ? arena_strdup(p.arena, file) : "";
	s->line = line;
	if (!read_string(&p, conninfo))
		return NULL;
	take_service(&p);
	for (int i = 0; i < s->n_params; i++)
		check_keyword(&p, s->params[i].name, s->params[i].value);
	s->raw = masked(s, p.arena);
	take_fields(&p, tls);
	read_passfile(&p);
	return p.failed ? NULL : s;
}
