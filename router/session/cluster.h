/* router/session/cluster.h: what runs behind one database of the configuration: its backends, shard by shard, and its schema knowledge.
 * A snapshot is the configuration and its clusters; it is replaced whole by a reload. Backends that did not change are taken over.
 * Thread:  any may read; references are atomic. The control thread publishes.
 * Memory:  a cluster holds its snapshot's config; a session holds its cluster (through its worker's view of it). */
#ifndef WEIR_ROUTER_SESSION_CLUSTER_H
#define WEIR_ROUTER_SESSION_CLUSTER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "pool/backend.h"
#include "router/config/config.h"

struct schema;

struct cluster_shard {
	const char *name;
	struct backend **
	    backends; /* [0] the configured primary, then the replicas, then further hosts of these */
	int n;
	_Atomic unsigned cursor; /* round robin */
};

struct cluster {
	atomic_int refs;
	struct config *config;      /* holds a reference */
	const struct db_conf *conf; /* in config */
	struct db_conf *own_conf;   /* of the admin console's; heap */
	char *name; /* the database's name (a wildcard's: what the client asked for) */
	struct cluster_shard *shards;
	int n_shards;
	atomic_int clients; /* connected to it now */
	atomic_bool paused, disabled;
	atomic_bool
	    probed; /* of a wildcard's: somebody logged in, and there is a choice of servers */
	struct list
	    logins; /* login.c's, under lock: what servers report to which kind of login */
	int n_logins;
	/* Schema knowledge; replaced by the schema loader. */
	pthread_mutex_t lock;
	struct schema *schema;  /* under lock */
	atomic_uint schema_gen; /* counts replacements; 0: none yet */
	_Atomic uint64_t ddl; /* counts all that went through, of temporary tables too */
	_Atomic uint64_t schema_wanted; /* counts requests (DDL went through) */
	_Atomic uint64_t schema_done;   /* the count that the schema is as new as */
	char *login_user,
	    *login_password; /* under lock: of a client, for where there is no service_user */
	atomic_bool schema_failed;                  /* the latest reading */
	char schema_version[40], schema_error[400]; /* the loader's own */
};

struct snapshot {
	atomic_int refs;
	uint64_t gen;
	struct config *config;
	pthread_mutex_t lock; /* for clusters: wildcards are added at first use */
	struct cluster **clusters;
	int n;
};

/* `before` may be NULL; backends that are the same are shared with it. Takes a reference to config. */
struct snapshot *snapshot_create(struct config *, struct snapshot *before);
struct snapshot *snapshot_ref(struct snapshot *);
void snapshot_unref(struct snapshot *);
/* With a reference; NULL: no such database. */
struct cluster *snapshot_cluster(struct snapshot *, struct slice name);
void login_params_clear(struct cluster *); /* login.c */
struct cluster *cluster_ref(struct cluster *);
/* The first of each cluster is kept; true: this was it. */
bool cluster_remember_login(struct cluster *, const char *user, const char *password);
void cluster_unref(struct cluster *);
/* Somebody has logged in to it. True: its servers have to be probed from now on (a wildcard's are not before that, since any name makes one). */
bool cluster_wants_probes(struct cluster *);
/* All backends of all clusters, or of those to probe (references are the snapshot's); the caller frees the array. */
struct backend **snapshot_backends(struct snapshot *, bool probed, int *n);

#endif
