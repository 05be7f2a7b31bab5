#include "router/config/service.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_FOLDER "/etc/postgresql-common" /* of Debian's libpq */

static char *
trimmed(char *line)
{
	char *end;

	while (*line == ' ' || *line == '\t')
		line++;
	end = line + strcspn(line, "\r\n");
	while (end > line && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	return line;
}

static const char *
home_folder(void)
{
	const char *home = getenv("HOME");
	const struct passwd *pw;

	if (home != NULL && home[0] != '\0')
		return home;
	pw = getpwuid(geteuid());
	return pw != NULL ? pw->pw_dir : "/";
}

/* ---- services ---- */

struct services {
	struct arena *arena;
	const char *wanted;
	struct conf_param *params;
	int n, cap;
	bool found;
};

static void
add_param(struct services *s, const char *name, const char *value)
{
	for (int i = 0; i < s->n; i++)
		if (strcmp(s->params[i].name, name) == 0)
			return; /* the first one counts, as in libpq */
	if (s->n == s->cap) {
		struct conf_param *more;

		s->cap = s->cap == 0 ? 8 : s->cap * 2;
		more = ARENA_NEW_N(s->arena, struct conf_param, (size_t)s->cap);
		if (s->n > 0)
			memcpy(more, s->params, (size_t)s->n * sizeof *more);
		s->params = more;
	}
	s->params[s->n++] = (struct conf_param){
	    arena_strdup(s->arena, name), arena_strdup(s->arena, value)};
}

static enum rc
service_line(struct services *s, char *line, bool *inside, const char *path, int line_no,
    struct err *err)
{
	char *equals;
	size_t len;

	line = trimmed(line);
	if (*line == '\0' || *line == '#')
		return RC_OK;
	if (*line == '[') {
		len = strlen(line);
		*inside = !s->found && line[len - 1] == ']' &&
		    strlen(s->wanted) == len - 2 &&
		    memcmp(line + 1, s->wanted, len - 2) == 0;
		s->found |= *inside;
		return RC_OK;
	}
	if (!*inside)
		return RC_OK;
	equals = strchr(line, '=');
	if (equals == NULL || strncmp(line, "service=", 8) == 0 ||
	    strncmp(line, "ldap", 4) == 0)
		return err_set(err, "F0000", BLAST_SESSION,
		    "%s:%d: a line \"name=value\" is expected (no LDAP, no other "
		    "service)",
		    path, line_no);
	*equals = '\0';
	add_param(s, line, equals + 1);
	return RC_OK;
}

static enum rc
service_file(struct services *s, const char *path, struct err *err)
{
	FILE *f = fopen(path, "re");
	char line[4096];
	bool inside = false;
	enum rc rc = RC_OK;

	if (f == NULL)
		return RC_OK;
	for (int n = 1; rc == RC_OK && fgets(line, sizeof line, f) != NULL; n++)
		rc = service_line(s, line, &inside, path, n, err);
	fclose(f);
	return rc;
}

enum rc
service_read(const char *service, struct arena *arena, struct conf_param **params, int *n,
    struct err *err)
{
	struct services s = {.arena = arena, .wanted = service};
	const char *file = getenv("PGSERVICEFILE"), *folder = getenv("PGSYSCONFDIR");

	if (file == NULL || file[0] == '\0')
		file = arena_printf(arena, "%s/.pg_service.conf", home_folder());
	if (service_file(&s, file, err) != RC_OK)
		return RC_ERR;
	if (!s.found) {
		file = arena_printf(arena, "%s/pg_service.conf",
		    folder != NULL && folder[0] != '\0' ? folder : SYSTEM_FOLDER);
		if (service_file(&s, file, err) != RC_OK)
			return RC_ERR;
	}
	if (!s.found)
		return err_set(err, "F0000", BLAST_SESSION,
		    "the service \"%s\" is in no service file", service);
	*params = s.params;
	*n = s.n;
	return RC_OK;
}

/* ---- passwords ---- */

/* Up to the next colon, unescaped; NULL for "*". *line moves past it. */
static const char *
pass_field(char **line, bool last, struct arena *a)
{
	char *from = *line, *to = *line, *start = *line;
	bool star = from[0] == '*' && (from[1] == ':' || from[1] == '\0');

	while (*from != '\0' && (last || *from != ':')) {
		if (*from == '\\' && from[1] != '\0')
			from++;
		*to++ = *from++;
	}
	*line = *from == ':' ? from + 1 : from;
	return star && !last ? NULL : arena_strndup(a, start, (size_t)(to - start));
}

static int
count_colons(const char *line)
{
	int n = 0;

	for (; *line != '\0'; line++) {
		if (*line == '\\' && line[1] != '\0')
			line++;
		else
			n += *line == ':';
	}
	return n;
}

static void
pass_line(char *line, struct arena *a, struct conf_pass *p)
{
	p->host = pass_field(&line, false, a);
	p->port = pass_field(&line, false, a);
	p->dbname = pass_field(&line, false, a);
	p->user = pass_field(&line, false, a);
	p->password = pass_field(&line, true, a);
}

static enum rc
check_passfile(const char *path, struct err *err)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return err_set(err, "F0000", BLAST_SESSION,
		    "the passfile \"%s\" cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, "F0000", BLAST_SESSION,
		    "the passfile \"%s\" is not a plain file", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(err, "F0000", BLAST_SESSION,
		    "the passfile \"%s\" can be read by others; its mode must be 0600",
		    path);
	return RC_OK;
}

enum rc
passfile_read(const char *path, struct arena *arena, struct conf_pass **passes, int *n,
    struct err *err)
{
	char *line = NULL;
	size_t cap = 0;
	int room = 16;
	FILE *f;

	if (check_passfile(path, err) != RC_OK)
		return RC_ERR;
	f = fopen(path, "re");
	if (f == NULL)
		return err_set(err, "F0000", BLAST_SESSION,
		    "the passfile \"%s\" cannot be read: %s", path, strerror(errno));
	*passes = ARENA_NEW_N(arena, struct conf_pass, (size_t)room);
	*n = 0;
	while (getline(&line, &cap, f) >= 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (line[0] == '#' || count_colons(line) < 4)
			continue;
		if (*n == room) {
			struct conf_pass *more =
			    ARENA_NEW_N(arena, struct conf_pass, (size_t)room * 2);

			memcpy(more, *passes, (size_t)room * sizeof *more);
			*passes = more;
			room *= 2;
		}
		pass_line(line, arena, &(*passes)[(*n)++]);
	}
	free(line);
	fclose(f);
	return RC_OK;
}

static bool
fits(const char *pattern, const char *value)
{
	return pattern == NULL || strcmp(pattern, value) == 0;
}

const char *
server_password(const struct server_conf *s, const struct host_conf *h,
    const char *dbname, const char *user)
{
	const char *host = h->host != NULL ? h->host : h->hostaddr;
	char port[8];

	if (s->password != NULL)
		return s->password;
	/* libpq's rule: its standard socket folders count as localhost */
	if (strcmp(host, "/var/run/postgresql") == 0 || strcmp(host, "/tmp") == 0)
		host = "localhost";
	snprintf(port, sizeof port, "%u", h->port);
	for (int i = 0; i < s->n_passes; i++) {
		const struct conf_pass *p = &s->passes[i];

		if (fits(p->host, host) && fits(p->port, port) &&
		    fits(p->dbname, dbname) && fits(p->user, user))
			return p->password;
	}
	return NULL;
}
