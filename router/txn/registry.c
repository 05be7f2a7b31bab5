#include "router/txn/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct known {
	struct known *next;
	char *database, *shard;
	enum txn_shard_state state;
	struct txn_identity identity;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list entries = {&entries, &entries};
static struct list requests = {&requests, &requests};
static struct known *known;
static void (*service_wake)(void *);
static void *service_arg;

/* ---- transactions under way ---- */

static uint64_t
boot_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void
txn_register(struct txn_entry *e)
{
	e->boot_us = boot_us();
	pthread_mutex_lock(&lock);
	list_push_back(&entries, &e->node);
	pthread_mutex_unlock(&lock);
}

void
txn_unregister(struct txn_entry *e)
{
	pthread_mutex_lock(&lock);
	list_remove(&e->node);
	pthread_mutex_unlock(&lock);
}

void
txn_each(void (*fn)(const struct txn_entry *, void *arg), void *arg)
{
	pthread_mutex_lock(&lock);
	LIST_FOREACH(n, &entries) {
		fn(LIST_ENTRY(n, struct txn_entry, node), arg);
	}
	pthread_mutex_unlock(&lock);
}

uint64_t
txn_age_us(const char *key)
{
	uint64_t age = UINT64_MAX, now = boot_us();

	pthread_mutex_lock(&lock);
	LIST_FOREACH(n, &entries) {
		const struct txn_entry *e = LIST_ENTRY(n, struct txn_entry, node);

		if (strcmp(e->key, key) == 0)
			age = now - e->boot_us;
	}
	pthread_mutex_unlock(&lock);
	return age;
}

bool
txn_is_active(const char *key)
{
	return txn_age_us(key) != UINT64_MAX;
}

/* ---- what is known of shards ---- */

static struct known *
find(const char *database, const char *shard)
{
	for (struct known *k = known; k != NULL; k = k->next)
		if (strcmp(k->database, database) == 0 && strcmp(k->shard, shard) == 0)
			return k;
	return NULL;
}

static struct known *
add(const char *database, const char *shard)
{
	struct known *k = calloc(1, sizeof *k);

	if (k == NULL || (k->database = strdup(database)) == NULL ||
	    (k->shard = strdup(shard)) == NULL)
		abort();
	k->next = known;
	known = k;
	return k;
}

void
txn_shard_learn(const char *database, const char *shard, enum txn_shard_state state,
    const struct txn_identity *identity)
{
	struct known *k;

	pthread_mutex_lock(&lock);
	k = find(database, shard);
	if (k == NULL)
		k = add(database, shard);
	k->state = state;
	k->identity = identity != NULL ? *identity : (struct txn_identity){""};
	pthread_mutex_unlock(&lock);
}

enum txn_shard_state
txn_shard_state(const char *database, const char *shard, struct txn_identity *identity)
{
	enum txn_shard_state state = TXN_SHARD_NOT_YET;
	struct known *k;

	*identity = (struct txn_identity){""};
	pthread_mutex_lock(&lock);
	k = find(database, shard);
	if (k != NULL) {
		state = k->state;
		*identity = k->identity;
	}
	pthread_mutex_unlock(&lock);
	return state;
}

static enum rc
refuse(enum txn_shard_state state, const char *shard, struct err *e)
{
	if (state == TXN_SHARD_NO_PREPARE) {
		(void)err_set(e, "55000", BLAST_TXN,
		    "shard \"%s\" has max_prepared_transactions = 0, so a transaction cannot "
		    "write on it and on others",
		    shard);
		err_hint(e,
		    "Set max_prepared_transactions there to max_connections or more, and restart it.");
	} else if (state == TXN_SHARD_NO_CATALOG) {
		(void)err_set(e, "55000", BLAST_TXN,
		    "shard \"%s\" has no catalog of Weir's, which a commit over several "
		    "shards needs",
		    shard);
		err_hint(e, "Run \"weir catalog init\".");
	} else {
		(void)err_set(e, "55000", BLAST_TXN,
		    "the catalog of shard \"%s\" could not be read yet, which a commit over "
		    "several shards needs",
		    shard);
		err_hint(e,
		    "Try again; Weir's log says what is in the way (it reads the catalog as service_user).");
	}
	return RC_ERR;
}

enum rc
txn_ready(const char *database, struct txn_part *parts, int n, struct err *e)
{
	for (int i = 0; i < n; i++) {
		enum txn_shard_state state =
		    txn_shard_state(database, parts[i].shard, &parts[i].identity);

		if (state != TXN_SHARD_READY)
			return refuse(state, parts[i].shard, e);
	}
	return RC_OK;
}

/* ---- requests to recovery ---- */

static struct txn_request *
copy_of(const struct txn_request *r)
{
	struct txn_request *copy = malloc(sizeof *copy);

	if (copy == NULL)
		abort();
	*copy = *r;
	return copy;
}

void
txn_request(struct txn_request *r)
{
	bool served;

	r->verdict = TXN_VERDICT_UNKNOWN;
	r->taken = r->unwanted = false;
	pthread_mutex_lock(&lock);
	served = service_wake != NULL;
	if (served) {
		if (r->done == NULL)
			r = copy_of(r);
		list_push_back(&requests, &r->node);
		service_wake(service_arg);
	}
	pthread_mutex_unlock(&lock);
	if (!served && r->done != NULL)
		r->done(r);
}

bool
txn_request_forget(struct txn_request *r)
{
	bool mine;

	pthread_mutex_lock(&lock);
	mine = !r->taken;
	if (mine)
		list_remove(&r->node);
	else
		r->unwanted = true;
	pthread_mutex_unlock(&lock);
	return mine;
}

void
txn_service_set(void (*wake)(void *arg), void *arg)
{
	pthread_mutex_lock(&lock);
	service_wake = wake;
	service_arg = arg;
	pthread_mutex_unlock(&lock);
}

struct txn_request *
txn_request_take(void)
{
	struct txn_request *r = NULL;
	struct list *n;

	pthread_mutex_lock(&lock);
	n = list_pop_front(&requests);
	if (n != NULL) {
		r = LIST_ENTRY(n, struct txn_request, node);
		r->taken = true;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

bool
txn_request_wanted(const struct txn_request *r)
{
	bool wanted;

	pthread_mutex_lock(&lock);
	wanted = !r->unwanted;
	pthread_mutex_unlock(&lock);
	return wanted;
}

void
txn_request_answer(struct txn_request *r, enum txn_verdict verdict)
{
	r->verdict = verdict;
	if (r->done != NULL)
		r->done(r);
	else
		free(r);
}
