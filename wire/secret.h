/* wire/secret.h: what is kept to check a user's password by, and files of them.
 * Thread:  a file is immutable and any thread may read it; what is derived from a plain
 * password (a SCRAM secret, thousands of hash rounds) is made once, by whoever needs it
 * first, and published atomically. Memory:  secrets are wiped before they are freed.
 * Failure: errors of a file begin with "FILE:LINE: " and never hold a secret. */
#ifndef WEIR_WIRE_SECRET_H
#define WEIR_WIRE_SECRET_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/slice.h"
#include "wire/md5.h"
#include "wire/scram.h"

enum secret_kind {
	SECRET_NONE,  /* no password: nobody gets in by one */
	SECRET_PLAIN, /* the password */
	SECRET_MD5,   /* md5… as in pg_authid */
	SECRET_SCRAM  /* SCRAM-SHA-256$… as in pg_authid */
};

struct secret {
	enum secret_kind kind;
	char *password;    /* PLAIN, else NULL */
	char md5[MD5_HEX]; /* MD5: without "md5", not zero-terminated */
	_Atomic(struct scram_secret *) scram; /* SCRAM; PLAIN: once it was needed */
};

/* The text of pg_authid.rolpassword or of a users file. A text that begins like a SCRAM
 * secret but is none is refused, else it would be taken for a password. */
enum rc secret_parse(struct slice text, struct secret *, struct err *) WARN_UNUSED;
void secret_fini(struct secret *);

/* For scram-sha-256. RC_ERR (28000): an md5 hash, or no password. */
enum rc secret_scram(
    const struct secret *, const struct scram_secret **, struct err *) WARN_UNUSED;
/* For md5. RC_ERR (28000): a SCRAM secret, or no password. */
enum rc secret_md5(const struct secret *, struct slice user, char hex[MD5_HEX],
    struct err *) WARN_UNUSED;
/* For a password sent in clear, against whatever is kept. RC_ERR: 28P01. */
enum rc secret_check(const struct secret *, struct slice user, struct slice password,
    struct err *) WARN_UNUSED;

/* ---- a users file: `"user" "secret"` a line, "" for a quote, ; begins a comment, more
 * columns are skipped ---- */

struct secret_file;

enum rc secret_file_load(
    const char *path, struct secret_file **, struct err *) WARN_UNUSED;
/* `name` stands in errors. */
enum rc secret_file_parse(
    struct slice text, const char *name, struct secret_file **, struct err *) WARN_UNUSED;
void secret_file_destroy(struct secret_file *);
/* NULL: no such user. */
const struct secret *secret_file_find(const struct secret_file *, struct slice user);
size_t secret_file_count(const struct secret_file *);
/* By position, in the order of names. */
const char *secret_file_user(const struct secret_file *, size_t i);

#endif
