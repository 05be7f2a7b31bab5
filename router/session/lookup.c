/* A directory key that the cache does not know: its query runs on the default shard's primary, in a dialer thread by libpq, and the
 * session goes on when the answer is learned. */
#include "router/session/session.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/route/route.h"
#include "router/session/service.h"

struct lookup {
	struct job job;
	struct session *session; /* NULL: it went away meanwhile */
	struct cluster *cluster;
	int distribution;
	char *key;
	char *shard; /* answer; NULL: no row */
	struct err err;
	enum rc rc;
};

static void
run(struct job *job)
{
	struct lookup *l = LIST_ENTRY(job, struct lookup, job);
	const struct distribution *d =
	    &l->cluster->conf->map->distributions[l->distribution];
	int shard =
	    l->cluster->conf->default_shard < 0 ? 0 : l->cluster->conf->default_shard;
	PGresult *result = service_query(
	    l->cluster, shard, NULL, d->lookup, l->key, "directory look-up", &l->err);

	l->rc = result == NULL ? RC_ERR : RC_OK;
	if (PQntuples(result) > 0 && !PQgetisnull(result, 0, 0))
		l->shard = strdup(PQgetvalue(result, 0, 0));
	PQclear(result);
}

static void
done(struct job *job)
{
	struct lookup *l = LIST_ENTRY(job, struct lookup, job);
	const struct shard_map *map = l->cluster->conf->map;
	struct session *s = l->session;

	if (l->rc == RC_OK)
		l->rc = shard_map_learn(map, &map->distributions[l->distribution],
		    slice_of(l->key), l->shard, s == NULL ? 0 : loop_now_us(s->w->loop),
		    &l->err);
	if (s != NULL) {
		s->x->lookup = NULL;
		if (l->rc != RC_OK) {
			s->x->resume = NULL;
			s->x->blocked = BLOCK_NOT;
			session_error(s, &l->err);
			if (s->state == SESSION_ACTIVE && s->x != NULL)
				session_run(s);
		} else {
			session_unblock(s);
		}
	}
	cluster_unref(l->cluster);
	free(l->key);
	free(l->shard);
	free(l);
}

void
lookup_start(struct session *s, void (*resume)(struct session *))
{
	struct exec *x = s->x;
	struct lookup *l = calloc(1, sizeof *l);

	if (l == NULL)
		abort();
	l->session = s;
	l->cluster = cluster_ref(s->db->cluster);
	l->distribution = x->plan.lookup.distribution;
	l->key = strndup(x->plan.lookup.key.ptr, x->plan.lookup.key.len);
	l->job.loop = s->w->loop;
	l->job.run = run;
	l->job.done = done;
	x->lookup = l;
	x->resume = resume;
	session_block(s, BLOCK_LOOKUP);
	dialer_run(s->w->proc->dialer, &l->job);
}

void
lookup_forget(struct lookup *l)
{
	l->session = NULL;
}
