#include "wire/saslprep.h"

#include <stdlib.h>

#include <openssl/crypto.h>
#include <stringprep.h>

static bool
is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return false;
	return true;
}

struct slice
saslprep(struct slice password)
{
	char *raw = malloc(password.len + 1), *out = NULL;
	bool prepared;

	if (raw == NULL)
		abort();
	if (password.len > 0)
		memcpy(raw, password.ptr, password.len);
	raw[password.len] = '\0';
	if (is_ascii(password) || memchr(raw, '\0', password.len) != NULL)
		return (struct slice){raw, password.len};
	prepared = stringprep_profile(raw, &out, "SASLprep", STRINGPREP_NO_UNASSIGNED) ==
		STRINGPREP_OK &&
	    out[0] != '\0';
	if (!prepared) {
		if (out != NULL)
			saslprep_free(slice_of(out));
		return (struct slice){raw, password.len};
	}
	saslprep_free((struct slice){raw, password.len});
	return slice_of(out);
}

void
saslprep_free(struct slice prepared)
{
	void *p = (char *)(size_t)prepared.ptr;

	OPENSSL_cleanse(p, prepared.len);
	free(p);
}
