#include "router/recovery/site.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "pool/health.h"

#define ANSWER_MS 10000
#define RETRY_US  UINT64_C(2000000)

/* lock_timeout: an anchor that is committing makes the insert of 'abort' wait. */
static const char settings_sql[] =
    "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; "
    "SET search_path = pg_catalog, pg_temp; SET lock_timeout = '2s'; SET statement_timeout = '8s'; "
    "SET client_min_messages = warning; SET standard_conforming_strings = on; SET application_name = 'weir recovery'";

uint64_t
site_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct site *
site_create(struct cluster *c)
{
	struct site *s = calloc(1, sizeof *s);

	if (s == NULL ||
	    (s->shards = calloc((size_t)c->n_shards, sizeof *s->shards)) == NULL)
		abort();
	s->cluster = cluster_ref(c);
	s->n = c->n_shards;
	for (int i = 0; i < s->n; i++) {
		s->shards[i].name = c->shards[i].name;
		s->shards[i].state =
		    txn_shard_state(c->name, c->shards[i].name, &s->shards[i].identity);
	}
	return s;
}

static void
drop(struct site_shard *h)
{
	PQfinish(h->conn);
	h->conn = NULL;
}

void
site_disconnect(struct site *s)
{
	for (int i = 0; i < s->n; i++)
		drop(&s->shards[i]);
}

void
site_destroy(struct site *s)
{
	if (s == NULL)
		return;
	site_disconnect(s);
	cluster_unref(s->cluster);
	free(s->shards);
	free(s);
}

/* ---- one statement, in limited time ---- */

static bool
wait_readable(PGconn *conn, uint64_t until_us)
{
	uint64_t now = site_now_us();
	struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};

	return now < until_us && fd.fd >= 0 &&
	    poll(&fd, 1, (int)((until_us - now) / 1000) + 1) > 0 &&
	    PQconsumeInput(conn) == 1;
}

/* Result after result; the first error, else the last. NULL: lost. */
static PGresult *
collect(PGconn *conn, uint64_t until_us)
{
	PGresult *kept = NULL, *r;

	for (;;) {
		while (PQisBusy(conn))
			if (!wait_readable(conn, until_us)) {
				PQclear(kept);
				return NULL;
			}
		r = PQgetResult(conn);
		if (r == NULL)
			return PQstatus(conn) == CONNECTION_OK ? kept
							       : (PQclear(kept), NULL);
		if (kept != NULL && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
			PQclear(r);
			continue;
		}
		PQclear(kept);
		kept = r;
	}
}

static PGresult *
run(PGconn *conn, const char *sql)
{
	return PQsendQuery(conn, sql) == 1
	    ? collect(conn, site_now_us() + ANSWER_MS * UINT64_C(1000))
	    : NULL;
}

static bool
succeeded(const PGresult *r)
{
	return PQresultStatus(r) == PGRES_COMMAND_OK ||
	    PQresultStatus(r) == PGRES_TUPLES_OK;
}

static bool
command(PGconn *conn, const char *sql)
{
	PGresult *r = run(conn, sql);
	bool ok = succeeded(r);

	PQclear(r);
	return ok;
}

static bool
is_denied(const PGresult *r)
{
	const char *state = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_SQLSTATE);

	return state != NULL && strcmp(state, "42501") == 0;
}

/* ---- connections ---- */

static struct backend *
primary(struct site *s, int shard)
{
	struct cluster_shard *h = &s->cluster->shards[shard];
	struct backend *b = choose_primary(h->backends, h->n);

	return b != NULL ? b : h->backends[0];
}

static bool
has_login(struct cluster *c, const struct backend *b)
{
	bool has;

	pthread_mutex_lock(&c->lock);
	has = b->target.probe_user != NULL || c->login_user != NULL;
	pthread_mutex_unlock(&c->lock);
	return has;
}

static PGconn *
connection(struct site *s, int shard)
{
	struct site_shard *h = &s->shards[shard];
	struct backend *b = primary(s, shard);
	struct err e = {0};

	if (h->conn != NULL && (h->backend != b || PQstatus(h->conn) != CONNECTION_OK))
		drop(h);
	if (h->conn != NULL)
		return h->conn;
	if (h->backend == b && site_now_us() < h->retry_at_us)
		return NULL;
	h->backend = b;
	if (!has_login(s->cluster, b)) {
		snprintf(h->error, sizeof h->error,
		    "there is no login for it: service_user is not set");
		return NULL;
	}
	h->conn = service_open(s->cluster, shard, NULL, &e);
	if (h->conn != NULL && !command(h->conn, settings_sql)) {
		service_error(h->conn, "recovery's connection", &e);
		drop(h);
	}
	if (h->conn == NULL) {
		h->retry_at_us = site_now_us() + RETRY_US;
		snprintf(h->error, sizeof h->error, "%s", e.msg);
	}
	return h->conn;
}

static PGresult *
run_here(struct site *s, int shard, const char *sql)
{
	struct site_shard *h = &s->shards[shard];
	PGconn *conn = connection(s, shard);
	PGresult *r = conn == NULL ? NULL : run(conn, sql);

	if (conn != NULL && r == NULL) {
		snprintf(h->error, sizeof h->error,
		    "its connection was lost, or it did not answer");
		h->retry_at_us = site_now_us() + RETRY_US;
		drop(h);
	}
	return r;
}

static PGresult *
run_in_role(struct site *s, int shard, const char *owner, const char *sql)
{
	PGconn *conn = s->shards[shard].conn;
	char *name = conn == NULL ? NULL : PQescapeIdentifier(conn, owner, strlen(owner));
	char set[200];
	PGresult *r = NULL;

	if (name == NULL)
		return NULL;
	snprintf(set, sizeof set, "SET ROLE %s", name);
	PQfreemem(name);
	if (!command(conn, set))
		return NULL;
	r = run_here(s, shard, sql);
	if (s->shards[shard].conn != NULL &&
	    !command(s->shards[shard].conn, "RESET ROLE"))
		drop(&s->shards[shard]);
	return r;
}

static PGresult *
run_as_login(struct site *s, int shard, const char *owner, const char *sql)
{
	struct err e;
	PGconn *conn = service_open(s->cluster, shard, owner, &e);
	PGresult *r = conn == NULL ? NULL : run(conn, sql);

	PQfinish(conn);
	return r;
}

PGresult *
site_run(struct site *s, int shard, const char *owner, const char *sql)
{
	PGresult *r = run_here(s, shard, sql), *other;

	if (owner == NULL || !is_denied(r))
		return r;
	other = run_in_role(s, shard, owner, sql);
	if (other == NULL)
		other = run_as_login(s, shard, owner, sql);
	if (other == NULL)
		return r; /* denied is the better word than lost */
	PQclear(r);
	return other;
}

struct recover_reply
site_reply(const PGresult *r)
{
	struct recover_reply reply = {.lost = r == NULL};

	if (r != NULL && !succeeded(r)) {
		reply.sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
		reply.lost = reply.sqlstate == NULL;
	} else if (r != NULL && PQntuples(r) > 0 && !PQgetisnull(r, 0, 0)) {
		reply.value = PQgetvalue(r, 0, 0);
	}
	return reply;
}

/* ---- who is who ---- */

static void
no_catalog(struct site_shard *h, const PGresult *r)
{
	const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	h->state = TXN_SHARD_NO_CATALOG;
	h->identity = (struct txn_identity){""};
	snprintf(h->error, sizeof h->error, "%s",
	    message != NULL ? message : "schema weir is missing");
}

/* False: not reached; what was known of it stays. */
static bool
ask_identity(struct site *s, int shard, bool can_prepare)
{
	struct site_shard *h = &s->shards[shard];
	PGresult *r = run_here(s, shard, RECOVER_SQL_IDENTITY);

	if (r == NULL)
		return false;
	if (!succeeded(r) || PQntuples(r) != 1 ||
	    !txn_identity_parse(slice_of(PQgetvalue(r, 0, 0)), &h->identity))
		no_catalog(h, r);
	else
		h->state = can_prepare ? TXN_SHARD_READY : TXN_SHARD_NO_PREPARE;
	PQclear(r);
	return true;
}

static void
learn(struct site *s, int shard)
{
	struct site_shard *h = &s->shards[shard];
	PGresult *r = run_here(s, shard, RECOVER_SQL_CATALOG);
	bool there, can_prepare;

	if (r == NULL)
		return;
	there = succeeded(r) && PQgetvalue(r, 0, 0)[0] == 't';
	can_prepare = succeeded(r) && strcmp(PQgetvalue(r, 0, 1), "0") != 0;
	h->error[0] = '\0';
	if (!there)
		no_catalog(h, r);
	PQclear(r);
	if (there && !ask_identity(s, shard, can_prepare))
		return;
	txn_shard_learn(s->cluster->name, h->name, h->state, &h->identity);
}

void
site_learn(struct site *s)
{
	for (int i = 0; i < s->n; i++)
		learn(s, i);
}

int
site_shard_of(const struct site *s, const struct txn_identity *identity)
{
	int found = -1;

	for (int i = 0; i < s->n; i++)
		if (txn_identity_eq(&s->shards[i].identity, identity)) {
			if (found >= 0)
				return -1;
			found = i;
		}
	return found;
}

bool
site_incomplete(const struct site *s)
{
	for (int i = 0; i < s->n; i++)
		if (!txn_identity_known(&s->shards[i].identity))
			return true;
	return false;
}
