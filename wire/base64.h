/* wire/base64.h: strict base64 (RFC 4648: padded, no white space, no stray bits). Pure.
 */
#ifndef WEIR_WIRE_BASE64_H
#define WEIR_WIRE_BASE64_H

#include <stddef.h>

#include "base/slice.h"

#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Writes BASE64_LEN(n) characters, no zero; returns how many. */
size_t base64_encode(const void *ptr, size_t n, char *out);
/* False when it is not base64 or is longer than `cap` bytes; *n is what was written. */
bool base64_decode(struct slice text, void *out, size_t cap, size_t *n);

#endif
