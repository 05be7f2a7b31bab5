/* router/admin/census.h: who is connected: each worker counts its clients and server connections by database and user,
 * and the counts are merged where the answer is made.
 * Thread:  census_take() in the worker's, census_merge() anywhere afterwards. Memory: the round's. */
#ifndef WEIR_ROUTER_ADMIN_CENSUS_H
#define WEIR_ROUTER_ADMIN_CENSUS_H

#include "router/admin/round.h"

/* One pool, or part of it. */
struct tally {
	struct tally *next;
	const char *database;
	const char *user; /* who logs in to the servers */
	const char
	    *client; /* who came from the client's side; "" for server connections */
	bool admin;
	uint64_t cl_active, cl_waiting, cl_login;
	uint64_t sv_active, sv_idle, sv_used, sv_tested, sv_login, sv_canceled;
	uint64_t max_wait_us;
};

void census_take(struct round *, struct part *);

enum census_by { CENSUS_POOL, CENSUS_DATABASE, CENSUS_CLIENT, CENSUS_USER };
/* Sorted; counts of equal keys added up. In the round's arena. */
struct tally **census_merge(struct round *, enum census_by, int *n);
/* NULL: not in it. */
const struct tally *census_find(
    struct tally *const *, int n, enum census_by, const char *key);

static inline uint64_t
tally_servers(const struct tally *t)
{
	return t->sv_active + t->sv_idle + t->sv_used + t->sv_tested + t->sv_login;
}

/* Does this client wait for something that is not its own, and since when (loop's time)? */
bool census_waits(const struct session *, uint64_t *since_us);

#endif
