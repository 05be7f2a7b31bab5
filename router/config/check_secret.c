/* router/config/check_secret.c: where Weir has only a user's SCRAM secret, it logs in
 * with the keys that the client showed. They fit a server only if that holds the very
 * same secret: salt, iterations and keys. */
#include "router/config/check_server.h"

#include "wire/secret.h"

static const char secret_sql[] =
    "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1";
static const char allowed_sql[] =
    "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')::text";
static const char exists_sql[] =
    "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1 AND rolcanlogin";

static bool
same_scram(const struct scram_secret *a, const struct scram_secret *b)
{
	return a->iterations == b->iterations && a->salt_len == b->salt_len &&
	    memcmp(a->salt, b->salt, a->salt_len) == 0 &&
	    memcmp(a->stored_key, b->stored_key, SCRAM_KEY) == 0 &&
	    memcmp(a->server_key, b->server_key, SCRAM_KEY) == 0;
}

static bool
is_scram(const struct secret *s, const struct scram_secret **scram)
{
	struct err err;

	return s != NULL && s->kind == SECRET_SCRAM &&
	    secret_scram(s, scram, &err) == RC_OK;
}

static bool
server_has(const char *text, const struct scram_secret *wanted)
{
	const struct scram_secret *found;
	struct secret secret;
	struct err err;
	bool same;

	if (text == NULL || secret_parse(slice_of(text), &secret, &err) != RC_OK)
		return false;
	same = is_scram(&secret, &found) && same_scram(found, wanted);
	secret_fini(&secret);
	return same;
}

static void
check_user(
    struct check *c, struct probe *p, const char *user, const struct scram_secret *secret)
{
	const char *text;

	if (check_ask(c, p, exists_sql, user) == NULL)
		return;
	text = check_ask(c, p, secret_sql, user);
	if (!server_has(text, secret))
		check_tell(c, false, p->server,
		    "%s: its secret of user \"%s\" is not the one of the users file, so "
		    "that user cannot log in there",
		    p->label, user);
}

void
check_secrets(struct check *c, struct probe *p)
{
	const struct secret_file *users = p->db->users;
	const struct scram_secret *secret;
	const char *allowed;

	if (users == NULL || p->server->user != NULL || p->db->user != NULL)
		return;
	allowed = check_ask(c, p, allowed_sql, NULL);
	for (size_t i = 0; i < secret_file_count(users); i++) {
		const char *user = secret_file_user(users, i);

		if (!is_scram(secret_file_find(users, slice_of(user)), &secret))
			continue;
		if (allowed == NULL || strcmp(allowed, "true") != 0) {
			check_tell(c, true, p->server,
			    "%s: the user of the check may not read secrets, so they "
			    "were not compared",
			    p->label);
			return;
		}
		check_user(c, p, user, secret);
	}
}
