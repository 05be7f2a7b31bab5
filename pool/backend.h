/* pool/backend.h: one database server of one shard, as the whole process sees it:
 * where it is, whether it is well, how many connections it may have. Shared by all
 * workers; kept over a reload when nothing of it changed.
 * Thread:  any. Fields marked (const) never change after creation; the others are
 *          atomics or under `lock`.
 * Memory:  reference-counted. */
#ifndef WEIR_POOL_BACKEND_H
#define WEIR_POOL_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/metric.h"
#include "wire/tls.h"

#define WORKERS_MAX 64
#define QUERY_KINDS 8 /* that are told apart; the session layer says what they are */

struct login_address; /* wire/login.h */

enum backend_role { ROLE_UNKNOWN, ROLE_PRIMARY, ROLE_REPLICA };

/* Circuit breaker, fed by probes and by passive errors (connection refused, reset, login
 * failed with class 57/08/53). */
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

/* How to reach it; texts are owned by the backend. From the config's conninfo (parsed by
 * libpq there). */
struct backend_target {
	const char *host;     /* name, address, or a directory (unix socket) */
	const char *hostaddr; /* or NULL */
	const char *port;
	const char *dbname;
	const char *user;     /* NULL: the client's */
	const char *password; /* NULL: the client's credential */
	const char *sslmode;  /* disable | prefer | require | verify-ca | verify-full */
	const char *sslrootcert, *sslcert, *sslkey;
	const char *options;                     /* or NULL */
	const char *application_name;            /* or NULL; where the client has none */
	const char *probe_user, *probe_password; /* for the probes; NULL: user/password,
						    else no probing by login */
};

/* The limits of one backend; replaced by a reload, so all are atomics. Times in
 * microseconds. */
struct backend_limits {
	atomic_int pool_size, min_pool_size, reserve_pool_size;
	_Atomic uint64_t reserve_pool_timeout_us, server_lifetime_us,
	    server_idle_timeout_us, server_connect_timeout_us, server_login_retry_us,
	    query_wait_timeout_us, cancel_wait_timeout_us;
	_Atomic uint64_t max_replica_lag_us, probe_interval_us, probe_timeout_us,
	    breaker_open_us;
	atomic_int breaker_failures;
	_Atomic uint64_t server_check_delay_us, dns_max_ttl_us;
	atomic_bool server_round_robin;
};

struct backend {
	atomic_int refs;
	const char *database, *shard; /* (const) names in Weir */
	/* (const) "shop/s1/0": database, shard, position (0: the configured primary) */
	char label[160];
	int position;      /* (const) */
	atomic_int weight; /* for the weighted policy; a reload may change it */
	/* (const) Its conninfo names several hosts, each a backend of its own; then the
	 * position of the first of them, else its own. */
	bool several;
	int first;
	struct backend_target target; /* (const) */
	bool named;                   /* (const) its host is a name that is looked up */
	struct backend_limits limits;
	struct quota *quota; /* (const) its database's: max_db_connections */

	/* ---- budget: exact over the whole process ---- */
	/* Open or being opened; never above pool_size and the reserve in use. */
	atomic_int connections;
	/* Waiters in all workers: the only thing that a release must look at. */
	atomic_int waiting;
	struct {
		/* Of waiters that lack a place; monotonic; 0: none. */
		_Alignas(64) _Atomic uint64_t oldest_wait_us;
		/* That worker's connections; for choice and SHOW. */
		atomic_int active, idle;
		/* How long they took here, by kind; each made at the first one. */
		_Atomic(struct histogram *) queries[QUERY_KINDS];
		atomic_int coming; /* places on their way to it by mail */
	} worker[WORKERS_MAX];
	atomic_bool paused, disabled; /* admin: PAUSE, DISABLE of its database */
	/* No longer configured: connections are closed when they come to rest. */
	atomic_bool retired;

	/* ---- health: written by the prober and by passive errors ---- */
	atomic_int role;    /* enum backend_role, as last probed */
	atomic_int breaker; /* enum breaker_state */
	_Atomic uint64_t breaker_until_us;
	/* When the breaker opened last: what rested then is checked before it is lent. */
	_Atomic uint64_t opened_us;
	atomic_int failures; /* in a row */
	/* When the last successful probe was sent (monotonic); 0: never. */
	_Atomic uint64_t probed_us;
	/* At that probe. Primary: where the next record goes; replica: what is replayed.
	 */
	_Atomic uint64_t lsn;
	_Atomic uint32_t timeline;
	/* Replica: time behind; 0 when it is connected and has replayed all it received.
	 */
	_Atomic uint64_t lag_us;
	_Atomic uint64_t latency_us;     /* of the probe, smoothed */
	_Atomic uint64_t hurry_until_us; /* health_hurry() */
	pthread_mutex_t lock;
	char last_error[200];   /* under lock */
	uint64_t last_error_us; /* wall clock, under lock */
	char *check_query;      /* under lock; NULL: an empty query */
	SSL_CTX *tls;           /* under lock; made at first use */
	/* What the name stood for when it was looked up last; under lock; 0: not yet. */
	struct login_address *addresses;
	int n_addresses;
	atomic_uint moves_of_name; /* counts other answers */
	_Atomic uint64_t looked_up_us;
	struct list lanes; /* under lock; of each login, see pool_impl.h */

	/* ---- totals for SHOW and metrics ---- */
	_Atomic uint64_t n_connects, n_connect_failures, n_evictions, n_moves;
};

/* Limits have the settings' defaults; role is unknown. */
struct backend *backend_create(const char *database, const char *shard, int position,
    int weight, const struct backend_target *);
/* Before anybody else knows it: one of several hosts of a conninfo. */
void backend_set_first(struct backend *, int first);
void backend_ref(struct backend *);
void backend_unref(struct backend *);
/* Same place and credentials: a reload keeps the old one. */
bool backend_same(const struct backend *, const char *database, const char *shard,
    int position, const struct backend_target *);

/* How many workers there are (WORKERS_MAX until it is said); before any of them runs. */
void backend_set_workers(int n);
int backend_workers(void);
/* Connections in use now, over all workers. */
int backend_active(const struct backend *);
/* NULL or "": an empty query. */
void backend_set_check_query(struct backend *, const char *sql);
/* How to secure a connection to it; *ctx belongs to the backend, NULL: never with TLS. */
enum rc backend_tls(
    struct backend *, enum sslmode *, SSL_CTX **ctx, struct err *) WARN_UNUSED;
/* Can its role be asked for (is there a login for probes)? Else it is what its position
 * says. */
bool backend_can_probe(const struct backend *);
/* The role as probed, or assumed where it cannot be: position 0 is the primary. */
enum backend_role backend_role(const struct backend *);

/* What its name stands for now. True when that is not what it stood for before. */
bool backend_set_addresses(struct backend *, const struct login_address *, int n);
/* Does its name stand for this address, as far as is known? The text is a numeric one. */
bool backend_is_at(struct backend *, const struct login_address *);
bool backend_is_at_text(struct backend *, const char *address);

/* A query took so long here; by that worker only. */
void backend_query_took(struct backend *, int worker, unsigned kind, uint64_t us);

/* Passive outcome of a connect or of a connection that died in use. */
void backend_failed(struct backend *, const struct err *, uint64_t now_us);
void backend_worked(struct backend *);
/* Keeps the text for SHOW and for errors; says nothing about its health. */
void backend_note(struct backend *, const struct err *);
/* Copies the last error's text; returns its wall-clock time, 0 when there was none. */
uint64_t backend_last_error(struct backend *, char *buf, size_t size);
/* May a new connection or a read be sent there now? (Half-open lets one trial through,
 * and another one when that has told nothing for breaker_open_us.) */
bool backend_usable(struct backend *, uint64_t now_us);
/* The same, without taking the trial. */
bool backend_would_be_usable(const struct backend *, uint64_t now_us);

#endif
