/* router/config/hba_ident.c: user name maps, in the format of pg_ident.conf: MAP
 * SYSTEM-NAME USER. A system name that starts with a slash is a regular expression (POSIX
 * extended), and \1 in the user stands for its first group. */
#include "router/config/hba_rule.h"

#include "router/config/config.h"

static void
take_system_name(struct hba *hba, struct ident_line *l, const char *name,
    const char *path, int line, struct config_report *report)
{
	char why[200];
	int rc;

	if (name[0] != '/') {
		l->system_name = name;
		return;
	}
	l->regex = ARENA_NEW(&hba->arena, regex_t);
	rc = regcomp(l->regex, name + 1, REG_EXTENDED);
	if (rc == 0)
		return;
	regerror(rc, l->regex, why, sizeof why);
	config_report_add(report, false, path, line, "\"%.100s\": %s", name, why);
	l->regex = NULL;
	l->system_name = name;
}

void
hba_parse_ident(
    struct hba *hba, struct slice text, const char *path, struct config_report *report)
{
	struct slice line;
	int line_no = 0, next_no = 1;

	while (hba_next_line(&text, &line, &line_no, &next_no, &hba->arena)) {
		struct hba_token t[4];
		struct ident_line l = {.map = NULL};
		int n = 0;

		while (n < 4 && hba_next_token(&line, &t[n], &hba->arena))
			n++;
		if (n == 0)
			continue;
		if (n != 3) {
			config_report_add(report, false, path, line_no,
			    "a line has three words: map, system name, user");
			continue;
		}
		l.map = t[0].text.ptr;
		l.user = t[2].text.ptr;
		take_system_name(hba, &l, t[1].text.ptr, path, line_no, report);
		hba->idents = hba_grow(
		    &hba->arena, hba->idents, hba->n_idents, &hba->cap_idents, sizeof l);
		hba->idents[hba->n_idents++] = l;
	}
}

bool
hba_has_map(const struct hba *hba, const char *map)
{
	for (int i = 0; i < hba->n_idents; i++)
		if (strcmp(hba->idents[i].map, map) == 0)
			return true;
	return false;
}

/* Is `user` what `pattern` says once its \1 is the group? */
static bool
user_fits(const char *pattern, struct slice group, struct slice user)
{
	const char *mark = strstr(pattern, "\\1");
	size_t before = mark != NULL ? (size_t)(mark - pattern) : strlen(pattern);
	const char *after = mark != NULL ? mark + 2 : "";

	if (mark == NULL)
		return slice_eq_str(user, pattern);
	return user.len == before + group.len + strlen(after) &&
	    memcmp(user.ptr, pattern, before) == 0 &&
	    memcmp(user.ptr + before, group.ptr, group.len) == 0 &&
	    memcmp(user.ptr + before + group.len, after, strlen(after)) == 0;
}

static bool
line_fits(const struct ident_line *l, struct slice system_name, struct slice user)
{
	regmatch_t m[2];
	char name[1024];
	struct slice group = {"", 0};

	if (l->regex == NULL)
		return slice_eq_str(system_name, l->system_name) &&
		    slice_eq_str(user, l->user);
	if (system_name.len >= sizeof name ||
	    memchr(system_name.ptr, '\0', system_name.len) != NULL)
		return false;
	memcpy(name, system_name.ptr, system_name.len);
	name[system_name.len] = '\0';
	if (regexec(l->regex, name, 2, m, 0) != 0)
		return false;
	if (l->regex->re_nsub > 0 && m[1].rm_so >= 0)
		group =
		    (struct slice){name + m[1].rm_so, (size_t)(m[1].rm_eo - m[1].rm_so)};
	return user_fits(l->user, group, user);
}

bool
hba_map_allows(
    const struct hba *hba, const char *map, struct slice system_name, struct slice user)
{
	if (system_name.len == 0)
		return false;
	if (map == NULL)
		return slice_eq(system_name, user);
	for (int i = 0; i < hba->n_idents; i++)
		if (strcmp(hba->idents[i].map, map) == 0 &&
		    line_fits(&hba->idents[i], system_name, user))
			return true;
	return false;
}
