/* wire/saslprep.h: the normal form of a password (RFC 4013) as PostgreSQL takes it: what
 * cannot be prepared (not UTF-8, prohibited characters, nothing left) is used as it is.
 * Tables are libidn's. Memory: the result is on the heap; give it back with
 * saslprep_free(), which wipes it. */
#ifndef WEIR_WIRE_SASLPREP_H
#define WEIR_WIRE_SASLPREP_H

#include "base/slice.h"

struct slice saslprep(struct slice password);
void saslprep_free(struct slice prepared);

#endif
