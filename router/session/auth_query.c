/* Users who are not in the file are asked for: auth_query, in a dialer thread by libpq. The text and its user are those of the database that the
 * client asks for; auth_database says where else it runs. Failure is not "no such user": nobody can tell then. */
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/log.h"
#include "router/session/login.h"
#include "router/session/service.h"

struct auth_job {
	struct job job;
	struct session *session;       /* NULL: it went away meanwhile */
	struct cluster *asked, *place; /* the client's; where the query runs */
	char *user, *secret;
	struct err err;
	bool failed;
};

static void
run(struct job *job)
{
	struct auth_job *j = LIST_ENTRY(job, struct auth_job, job);
	const struct settings *set = &j->asked->conf->settings;
	int shard = j->place->conf->default_shard < 0 ? 0 : j->place->conf->default_shard;
	PGresult *r = service_query(j->place, shard, set->auth_user, set->auth_query,
	    j->user, "auth_query", &j->err);

	j->failed = r == NULL || PQnfields(r) < 2;
	if (r != NULL && j->failed)
		(void)err_set(&j->err, "42601", BLAST_SESSION,
		    "auth_query must return a name and a secret");
	if (!j->failed && PQntuples(r) == 1 && !PQgetisnull(r, 0, 1))
		j->secret = strdup(PQgetvalue(r, 0, 1));
	PQclear(r);
}

static void
answer(struct auth_job *j)
{
	struct session *s = j->session;
	struct client_login *l = s->login;

	l->job = NULL;
	if (j->failed) {
		log_line(LOG_ERROR, "auth_query failed", "database", j->asked->name,
		    "error", j->err.msg, NULL);
		(void)err_set(&j->err, "08006", BLAST_SESSION,
		    "authentication is not possible now");
		session_fatal(s, &j->err);
		return;
	}
	if (j->secret != NULL &&
	    secret_parse(slice_of(j->secret), &l->fetched, &j->err) == RC_OK) {
		l->has_fetched = true;
		l->secret = &l->fetched;
	}
	auth_choose_method(s);
	session_login_changed(s);
}

static void
done(struct job *job)
{
	struct auth_job *j = LIST_ENTRY(job, struct auth_job, job);

	if (j->session != NULL)
		answer(j);
	cluster_unref(j->asked);
	cluster_unref(j->place);
	free(j->user);
	if (j->secret != NULL)
		OPENSSL_cleanse(j->secret, strlen(j->secret));
	free(j->secret);
	free(j);
}

/* With a reference; NULL: there is no such database. */
static struct cluster *
place_of(struct session *s)
{
	const char *name = s->db->cluster->conf->settings.auth_database;

	return name[0] == '\0' ? cluster_ref(s->db->cluster)
			       : snapshot_cluster(s->w->snap, slice_of(name));
}

bool
auth_query_start(struct session *s)
{
	struct client_login *l = s->login;
	const char *runs_as =
	    s->db == NULL ? "" : s->db->cluster->conf->settings.auth_user;
	struct cluster *place;
	struct auth_job *j;

	if (s->admin || runs_as[0] == '\0' || slice_eq_str(l->start.user, runs_as))
		return false;
	place = place_of(s);
	if (place == NULL)
		return false;
	j = calloc(1, sizeof *j);
	if (j == NULL)
		abort();
	j->session = s;
	j->asked = cluster_ref(s->db->cluster);
	j->place = place;
	j->user = strndup(l->start.user.ptr, l->start.user.len);
	j->job.loop = s->w->loop;
	j->job.run = run;
	j->job.done = done;
	l->job = j;
	dialer_run(s->w->proc->dialer, &j->job);
	return true;
}

void
auth_query_forget(struct auth_job *j)
{
	j->session = NULL;
}
