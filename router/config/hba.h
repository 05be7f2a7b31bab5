/* router/config/hba.h: access rules in the format of pg_hba.conf: who may connect from
 * where to what, and how they prove it.
 *
 *   local                   DATABASE USER                METHOD [name=value …]
 *   host|hostssl|hostnossl  DATABASE USER ADDRESS [MASK] METHOD [name=value …]
 *
 * Databases: names, all, sameuser, replication, @file. Users: names, all, @file.
 * Addresses: CIDR, address and mask, all, samehost, samenet. Methods: trust, reject, md5,
 * scram-sha-256, password, cert, peer. Options: map, clientcert=verify-ca|verify-full.
 * The rest of pg_hba.conf (host names, groups, GSSAPI …) is a mistake, never left out.
 * Thread:  rules are immutable; the matcher is pure.
 * Memory:  one arena, freed by hba_destroy().
 * Failure: every mistake goes to the report, with file and line. */
#ifndef WEIR_ROUTER_CONFIG_HBA_H
#define WEIR_ROUTER_CONFIG_HBA_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/slice.h"

struct config_report;
struct hba;

enum hba_method {
	HBA_REJECT, /* also when no rule matches */
	HBA_TRUST,
	HBA_PASSWORD,
	HBA_MD5, /* SCRAM where the user's secret is a SCRAM one */
	HBA_SCRAM,
	HBA_CERT, /* a certificate whose name is (or maps to) the user */
	HBA_PEER  /* Unix sockets: the operating system's user is (or maps to) the user */
};

enum hba_client_cert { HBA_CERT_NONE, HBA_CERT_VERIFY_CA, HBA_CERT_VERIFY_FULL };

/* A client, as the matcher sees it. */
struct hba_client {
	const struct sockaddr *addr; /* NULL: it came by a Unix socket */
	bool tls;
	bool replication; /* asked for physical replication, which names no database */
	struct slice database, user;
};

struct hba_result {
	enum hba_method method;
	enum hba_client_cert client_cert;
	const char *map; /* NULL: names must be equal */
	int line;        /* of the rule; 0: none matched */
};

/* NULL when there are mistakes. ident_path: file of maps in the format of pg_ident.conf,
 * or NULL ("map=" is a mistake then). */
struct hba *hba_read(const char *path, const char *ident_path, struct config_report *);
/* The same from text; `path` is for messages and for @files beside it; NULL: @files are a
 * mistake. */
struct hba *hba_parse(struct slice text, struct slice ident, const char *path,
    const char *ident_path, struct config_report *);
void hba_destroy(struct hba *);

/* The first rule that fits; else HBA_REJECT with line 0. */
struct hba_result hba_match(const struct hba *, const struct hba_client *);

/* May somebody whom TLS or the system knows as `system_name` log in as `user`, by the map
 * (NULL: the names are equal)? */
bool hba_map_allows(
    const struct hba *, const char *map, struct slice system_name, struct slice user);

#endif
