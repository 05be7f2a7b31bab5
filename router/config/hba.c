/* router/config/hba.c: reads access rules. A rule that is not understood is a mistake:
 * leaving one out could let somebody in whom a later rule allows. */
#include "router/config/hba_rule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "router/config/config.h"

#define AT_FILE_DEPTH_MAX 5
#define FILE_BYTES_MAX    (64u << 20)

struct parser {
	struct hba *hba;
	struct config_report *report;
	const char *path; /* for messages; never NULL */
	bool at_files;
	int line;
	bool failed;
};

static void __attribute__((format(printf, 2, 3)))
mistake(struct parser *p, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	config_report_add(p->report, false, p->path, p->line, "%s", text);
	p->failed = true;
}

/* ---- words ---- */

void *
hba_grow(struct arena *a, void *items, int n, int *cap, size_t size)
{
	void *more;

	if (n < *cap)
		return items;
	*cap = *cap == 0 ? 8 : *cap * 2;
	more = arena_alloc(a, (size_t)*cap * size);
	if (n > 0)
		memcpy(more, items, (size_t)n * size);
	return more;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v' || c == '\n';
}

static void
skip_blanks(struct slice *s)
{
	while (s->len > 0 && is_blank(s->ptr[0]))
		s->ptr++, s->len--;
}

/* A word with its quotes; two quotes inside quotes do not end them. */
static struct slice
token_extent(struct slice line)
{
	bool in_quotes = false;
	size_t n = 0;

	for (; n < line.len; n++) {
		char c = line.ptr[n];

		if (!in_quotes && (is_blank(c) || c == ',' || c == '#'))
			break;
		in_quotes ^= c == '"';
	}
	return (struct slice){line.ptr, n};
}

bool
hba_next_token(struct slice *line, struct hba_token *t, struct arena *a)
{
	bool in_quotes = false;
	struct slice raw;
	char *to;

	skip_blanks(line);
	while (line->len > 0 && line->ptr[0] == ',') {
		line->ptr++, line->len--;
		skip_blanks(line);
	}
	if (line->len == 0 || line->ptr[0] == '#')
		return false;
	*t = (struct hba_token){.quoted = line->ptr[0] == '"'};
	raw = token_extent(*line);
	to = arena_alloc(a, raw.len + 1);
	t->text.ptr = to;
	for (size_t i = 0; i < raw.len; i++) {
		bool twice =
		    raw.ptr[i] == '"' && i + 1 < raw.len && raw.ptr[i + 1] == '"';

		if (raw.ptr[i] != '"') {
			*to++ = raw.ptr[i];
		} else if (in_quotes && twice) {
			*to++ = '"';
			i++;
		} else {
			in_quotes = !in_quotes;
		}
	}
	line->ptr += raw.len;
	line->len -= raw.len;
	t->text.len = (size_t)(to - t->text.ptr);
	t->more = line->len > 0 && line->ptr[0] == ',';
	return true;
}

bool
hba_next_line(
    struct slice *text, struct slice *line, int *line_no, int *next_no, struct arena *a)
{
	size_t cap = 0;
	char *joined;

	if (text->len == 0)
		return false;
	*line_no = *next_no;
	*line = (struct slice){text->ptr, 0};
	for (const char *p = text->ptr; p < text->ptr + text->len; p++)
		if (*p == '\n' && (p == text->ptr || p[-1] != '\\')) {
			cap = (size_t)(p - text->ptr);
			break;
		}
	if (cap == 0 && text->ptr[0] != '\n')
		cap = text->len;
	joined = arena_alloc(a, cap + 1);
	line->ptr = joined;
	for (size_t i = 0; i < cap; i++) {
		if (text->ptr[i] == '\\' && i + 1 < cap && text->ptr[i + 1] == '\n') {
			i++;
			++*next_no;
			continue;
		}
		joined[line->len++] = text->ptr[i];
	}
	++*next_no;
	cap += cap < text->len;
	text->ptr += cap;
	text->len -= cap;
	return true;
}

static bool
is_word(const struct hba_token *t, const char *word)
{
	return !t->quoted && slice_eq_str(t->text, word);
}

/* ---- lists of names ---- */

static void
add_name(struct parser *p, struct hba_names *names, enum hba_word word, struct slice text)
{
	names->items = hba_grow(
	    &p->hba->arena, names->items, names->n, &names->cap, sizeof *names->items);
	names->items[names->n++] = (struct hba_name){word, text};
}

static char *
read_whole(const char *path, size_t *len)
{
	struct stat st;
	FILE *f;
	char *text;

	if (stat(path, &st) != 0)
		return NULL;
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX) {
		errno = EINVAL;
		return NULL;
	}
	f = fopen(path, "re");
	if (f == NULL)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		abort();
	*len = fread(text, 1, (size_t)st.st_size, f);
	fclose(f);
	return text;
}

static void add_token(struct parser *, struct hba_names *, const struct hba_token *,
    bool databases, int depth);

static void
add_at_file(struct parser *p, struct hba_names *names, struct slice name, bool databases,
    int depth)
{
	const char *slash = strrchr(p->path, '/');
	int folder = slash == NULL || name.ptr[0] == '/' ? 0 : (int)(slash - p->path) + 1;
	const char *path;
	struct slice rest;
	struct hba_token t;
	char *text;

	if (!p->at_files || depth >= AT_FILE_DEPTH_MAX) {
		mistake(p,
		    depth == 0 ? "files of names are not read here"
			       : "files of names include each other too deep");
		return;
	}
	path = arena_printf(
	    &p->hba->arena, "%.*s%.*s", folder, p->path, (int)name.len, name.ptr);
	text = read_whole(path, &rest.len);
	if (text == NULL) {
		mistake(p, "the file of names \"%s\" cannot be read: %s", path,
		    strerror(errno));
		return;
	}
	rest.ptr = text;
	for (struct slice line; rest.len > 0;) {
		const char *end = memchr(rest.ptr, '\n', rest.len);

		line.ptr = rest.ptr;
		line.len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;
		rest.ptr += line.len + (end != NULL);
		rest.len -= line.len + (end != NULL);
		while (hba_next_token(&line, &t, &p->hba->arena))
			add_token(p, names, &t, databases, depth + 1);
	}
	free(text);
}

static void
add_token(struct parser *p, struct hba_names *names, const struct hba_token *t,
    bool databases, int depth)
{
	struct slice text = t->text;

	if (!t->quoted && text.len > 1 && text.ptr[0] == '@') {
		text.ptr++, text.len--;
		add_at_file(p, names, text, databases, depth);
	} else if (is_word(t, "all")) {
		add_name(p, names, HBA_ALL, text);
	} else if (databases && is_word(t, "sameuser")) {
		add_name(p, names, HBA_SAMEUSER, text);
	} else if (databases && is_word(t, "replication")) {
		add_name(p, names, HBA_REPLICATION, text);
	} else if (databases && (is_word(t, "samerole") || is_word(t, "samegroup"))) {
		mistake(p,
		    "\"%.*s\" is not supported: groups of roles are not known here",
		    (int)text.len, text.ptr);
	} else if (!databases && !t->quoted && text.len > 0 && text.ptr[0] == '+') {
		mistake(p,
		    "\"%.*s\" is not supported: groups of roles are not known here",
		    (int)(text.len < 100 ? text.len : 100), text.ptr);
	} else if (!t->quoted && text.len > 0 && text.ptr[0] == '/') {
		mistake(p, "regular expressions are not supported here");
	} else {
		add_name(p, names, HBA_NAME, text);
	}
}

static bool
take_names(struct parser *p, struct slice *line, struct hba_names *names, bool databases)
{
	struct hba_token t;

	do {
		if (!hba_next_token(line, &t, &p->hba->arena)) {
			mistake(p, "the line ends before its %s",
			    databases ? "database" : "user");
			return false;
		}
		add_token(p, names, &t, databases, 0);
	} while (t.more);
	return true;
}

/* ---- addresses ---- */

static void
add_net(struct arena *a, struct hba_nets *nets, const struct hba_net *net)
{
	nets->items = hba_grow(a, nets->items, nets->n, &nets->cap, sizeof *net);
	nets->items[nets->n++] = *net;
}

static bool
parse_address(const char *text, int *family, unsigned char *bytes)
{
	memset(bytes, 0, 16);
	*family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	return inet_pton(*family, text, bytes) == 1;
}

static void
set_prefix(unsigned char *mask, int bits)
{
	for (int i = 0; i < 16; i++, bits -= 8)
		mask[i] = (unsigned char)(bits >= 8 ? 0xff
			: bits <= 0                 ? 0
						    : 0xff << (8 - bits));
}

static bool
parse_prefix(const char *text, int family, unsigned char *mask)
{
	int most = family == AF_INET ? 32 : 128;
	char *end;
	long n = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n > most)
		return false;
	set_prefix(mask, (int)n);
	return true;
}

static void
take_mask(struct parser *p, struct slice *line, struct hba_net *net, const char *address)
{
	struct hba_token t;
	int family;

	if (!hba_next_token(line, &t, &p->hba->arena)) {
		mistake(p,
		    "the address \"%s\" has no mask (write \"%s/%d\" for one address)",
		    address, address, net->family == AF_INET ? 32 : 128);
		return;
	}
	if (!parse_address(t.text.ptr, &family, net->mask) || family != net->family)
		mistake(p, "\"%s\" is not a mask for the address \"%s\"", t.text.ptr,
		    address);
}

static void
take_network(
    struct parser *p, struct slice *line, struct hba_rule *r, const struct hba_token *t)
{
	const char *slash = memchr(t->text.ptr, '/', t->text.len);
	size_t len = slash != NULL ? (size_t)(slash - t->text.ptr) : t->text.len;
	char *address = arena_strndup(&p->hba->arena, t->text.ptr, len);
	struct hba_net net;

	memset(&net, 0, sizeof net);
	if (!parse_address(address, &net.family, net.addr)) {
		mistake(p,
		    "\"%s\" is not an IP address (host names are not supported in access "
		    "rules)",
		    t->text.ptr);
		return;
	}
	if (slash == NULL)
		take_mask(p, line, &net, address);
	else if (!parse_prefix(slash + 1, net.family, net.mask))
		mistake(p, "\"%s\" has no proper number of bits after its slash",
		    t->text.ptr);
	add_net(&p->hba->arena, &r->nets, &net);
}

static bool
take_address(struct parser *p, struct slice *line, struct hba_rule *r)
{
	struct hba_token t;

	if (!hba_next_token(line, &t, &p->hba->arena)) {
		mistake(p, "the line ends before its address");
		return false;
	}
	if (t.more)
		mistake(p, "only one address is possible in a line");
	if (is_word(&t, "all"))
		r->any_address = true;
	else if (is_word(&t, "samehost"))
		r->nets = p->hba->same_host;
	else if (is_word(&t, "samenet"))
		r->nets = p->hba->same_net;
	else
		take_network(p, line, r, &t);
	return true;
}

static bool
net_of(const struct sockaddr *sa, unsigned char *bytes)
{
	if (sa != NULL && sa->sa_family == AF_INET) {
		memcpy(
		    bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
		return true;
	}
	if (sa != NULL && sa->sa_family == AF_INET6) {
		memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
		    16);
		return true;
	}
	return false;
}

/* Addresses and networks of this machine, for samehost and samenet. */
static void
find_interfaces(struct hba *hba)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct hba_net net;

		memset(&net, 0, sizeof net);
		if (!net_of(i->ifa_addr, net.addr) || !net_of(i->ifa_netmask, net.mask))
			continue;
		net.family = i->ifa_addr->sa_family;
		add_net(&hba->arena, &hba->same_net, &net);
		memset(net.mask, 0xff, sizeof net.mask);
		add_net(&hba->arena, &hba->same_host, &net);
	}
	freeifaddrs(all);
}

/* ---- method and options ---- */

static bool
take_method(struct parser *p, struct slice *line, struct hba_rule *r)
{
	static const struct {
		const char *name;
		enum hba_method method;
	} methods[] = {{"trust", HBA_TRUST}, {"reject", HBA_REJECT},
	    {"password", HBA_PASSWORD}, {"md5", HBA_MD5}, {"scram-sha-256", HBA_SCRAM},
	    {"cert", HBA_CERT}, {"peer", HBA_PEER}, {"ident", HBA_PEER}};
	struct hba_token t;
	bool local = r->conn == HBA_LOCAL;

	if (!hba_next_token(line, &t, &p->hba->arena)) {
		mistake(p, "the line ends before its method");
		return false;
	}
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (!slice_eq_str(t.text, methods[i].name))
			continue;
		r->method = methods[i].method;
		if (r->method == HBA_PEER && !local)
			mistake(p, "the method \"%s\" is for \"local\" lines only",
			    t.text.ptr);
		if (r->method == HBA_CERT && r->conn != HBA_HOSTSSL)
			mistake(p, "the method \"cert\" is for \"hostssl\" lines only");
		if (r->method == HBA_CERT)
			r->client_cert = HBA_CERT_VERIFY_FULL;
		return true;
	}
	mistake(p, "the method \"%.100s\" is not supported", t.text.ptr);
	return false;
}

static void
take_client_cert(struct parser *p, struct hba_rule *r, const char *value)
{
	if (r->conn != HBA_HOSTSSL)
		mistake(p, "\"clientcert\" is for \"hostssl\" lines only");
	else if (strcmp(value, "verify-full") == 0)
		r->client_cert = HBA_CERT_VERIFY_FULL;
	else if (strcmp(value, "verify-ca") != 0)
		mistake(p, "clientcert must be \"verify-ca\" or \"verify-full\"");
	else if (r->method == HBA_CERT)
		mistake(p, "clientcert=verify-ca does not go with the method \"cert\"");
	else
		r->client_cert = HBA_CERT_VERIFY_CA;
}

static void
take_options(struct parser *p, struct slice *line, struct hba_rule *r)
{
	struct hba_token t;

	while (hba_next_token(line, &t, &p->hba->arena)) {
		if (strncmp(t.text.ptr, "map=", 4) == 0) {
			r->map = t.text.ptr + 4;
			if (r->method != HBA_CERT && r->method != HBA_PEER &&
			    r->client_cert != HBA_CERT_VERIFY_FULL)
				mistake(p, "\"map\" is for the methods cert and peer");
			else if (!hba_has_map(p->hba, r->map))
				mistake(p, "the map \"%.100s\" is not in auth.ident_file",
				    r->map);
		} else if (strncmp(t.text.ptr, "clientcert=", 11) == 0) {
			take_client_cert(p, r, t.text.ptr + 11);
		} else {
			mistake(p, "the option \"%.100s\" is not known", t.text.ptr);
		}
	}
}

/* ---- lines ---- */

static bool
take_conn(struct parser *p, struct slice *line, struct hba_rule *r)
{
	struct hba_token t;

	if (!hba_next_token(line, &t, &p->hba->arena))
		return false;
	if (slice_eq_str(t.text, "local"))
		r->conn = HBA_LOCAL;
	else if (slice_eq_str(t.text, "host") || slice_eq_str(t.text, "hostnogssenc"))
		r->conn = HBA_HOST;
	else if (slice_eq_str(t.text, "hostssl"))
		r->conn = HBA_HOSTSSL;
	else if (slice_eq_str(t.text, "hostnossl"))
		r->conn = HBA_HOSTNOSSL;
	else {
		mistake(p,
		    "a line starts with local, host, hostssl or hostnossl, not "
		    "\"%.100s\"",
		    t.text.ptr);
		return false;
	}
	return true;
}

static void
parse_line(struct parser *p, struct slice line)
{
	struct hba *hba = p->hba;
	struct hba_rule r = {.line = p->line};

	if (!take_conn(p, &line, &r) || !take_names(p, &line, &r.databases, true) ||
	    !take_names(p, &line, &r.users, false))
		return;
	if (r.conn != HBA_LOCAL && !take_address(p, &line, &r))
		return;
	if (!take_method(p, &line, &r))
		return;
	take_options(p, &line, &r);
	hba->rules =
	    hba_grow(&hba->arena, hba->rules, hba->n_rules, &hba->cap_rules, sizeof r);
	hba->rules[hba->n_rules++] = r;
}

struct hba *
hba_parse(struct slice text, struct slice ident, const char *path, const char *ident_path,
    struct config_report *report)
{
	struct hba *hba = calloc(1, sizeof *hba);
	struct parser p = {.report = report, .path = path != NULL ? path : "hba"};
	int before = report->n_errors, next_no = 1;
	struct slice line;

	if (hba == NULL)
		abort();
	arena_init(&hba->arena);
	p.hba = hba;
	p.at_files = path != NULL;
	if (ident_path != NULL)
		hba_parse_ident(hba, ident, ident_path, report);
	find_interfaces(hba);
	while (hba_next_line(&text, &line, &p.line, &next_no, &hba->arena)) {
		if (memchr(line.ptr, '\0', line.len) != NULL)
			mistake(&p, "the line has a zero byte");
		else
			parse_line(&p, line);
	}
	if (report->n_errors == before)
		return hba;
	hba_destroy(hba);
	return NULL;
}

struct hba *
hba_read(const char *path, const char *ident_path, struct config_report *report)
{
	struct slice text = {NULL, 0}, ident = {NULL, 0};
	char *t, *i = NULL;
	struct hba *hba = NULL;

	t = read_whole(path, &text.len);
	if (t == NULL)
		config_report_add(report, false, path, 0,
		    "the file of access rules cannot be read: %s", strerror(errno));
	if (ident_path != NULL && (i = read_whole(ident_path, &ident.len)) == NULL)
		config_report_add(report, false, ident_path, 0,
		    "the file of user name maps cannot be read: %s", strerror(errno));
	text.ptr = t;
	ident.ptr = i;
	if (t != NULL && (ident_path == NULL || i != NULL))
		hba = hba_parse(text, ident, path, ident_path, report);
	free(t);
	free(i);
	return hba;
}

void
hba_destroy(struct hba *hba)
{
	if (hba == NULL)
		return;
	for (int i = 0; i < hba->n_idents; i++)
		if (hba->idents[i].regex != NULL)
			regfree(hba->idents[i].regex);
	arena_reset(&hba->arena);
	free(hba);
}
