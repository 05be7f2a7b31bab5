/* wire/md5.h: PostgreSQL's md5 passwords: what a server keeps is "md5" and
 * hex(md5(password user)); what a client answers to a salt is "md5" and hex(md5(that hex,
 * salt)). Pure. Failure: RC_ERR only where OpenSSL has no MD5 (FIPS). */
#ifndef WEIR_WIRE_MD5_H
#define WEIR_WIRE_MD5_H

#include "base/err.h"
#include "base/slice.h"

#define MD5_HEX  32
#define MD5_TEXT 35 /* with "md5" before it */
#define MD5_SALT 4

/* hex[] is without "md5", and not zero-terminated. */
enum rc md5_stored(struct slice password, struct slice user, char hex[MD5_HEX],
    struct err *) WARN_UNUSED;
enum rc md5_answer(const char hex[MD5_HEX], const unsigned char salt[MD5_SALT],
    char text[MD5_TEXT], struct err *) WARN_UNUSED;
/* RC_ERR with 28P01 when the answer (without its zero) is wrong. */
enum rc md5_check(const char hex[MD5_HEX], const unsigned char salt[MD5_SALT],
    struct slice answer, struct err *) WARN_UNUSED;

#endif
