/* SCRAM messages of a hostile client, of a hostile server, and secrets. The first byte
 * chooses which. No input may get anybody in: the fuzzer does not know the keys. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static const struct slice binding = {"0123456789abcdef0123456789abcdef", 32};

static void
hostile_client(struct slice a, struct slice b, bool plus)
{
	struct scram_server s;
	struct scram_secret secret;
	struct scram_keys keys;
	struct msgbuf out;
	struct err e;

	msgbuf_init(&out);
	if (scram_secret_mock(SLICE_LIT("joe"), &secret, &e) != RC_OK)
		abort();
	secret.stored_key[0] = 1;
	scram_server_init(&s, &secret, false, binding);
	if (scram_server_first(&s, plus ? SLICE_LIT(SCRAM_PLUS) : SLICE_LIT(SCRAM_PLAIN),
		a, "abc", &out, &e) == RC_OK)
		assert(scram_server_final(&s, b, &keys, &out, &e) == RC_ERR);
	scram_server_fini(&s);
	msgbuf_fini(&out);
}

static void
hostile_server(struct slice a, struct slice b)
{
	static const struct scram_keys keys = {"client", "server"};
	struct scram_client c;
	struct msgbuf out;
	struct err e;

	msgbuf_init(&out);
	scram_client_init(
	    &c, (struct slice){"", 0}, &keys, NULL, SCRAM_BIND_END_POINT, binding);
	if (scram_client_first(&c, "abc", &out, &e) != RC_OK)
		abort();
	if (scram_client_next(&c, a, &out, &e) == RC_OK)
		assert(scram_client_final(&c, b, &e) == RC_ERR);
	scram_client_fini(&c);
	msgbuf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice a, b = {"", 0};
	const uint8_t *cut;
	struct scram_secret secret;
	struct err e;

	if (n < 2)
		return 0;
	a = (struct slice){(const char *)data + 1, n - 1};
	cut = memchr(data + 1, '\n', n - 1);
	if (cut != NULL) {
		a.len = (size_t)(cut - data) - 1;
		b = (struct slice){(const char *)cut + 1, n - a.len - 2};
	}
	switch (data[0] % 4) {
	case 0:
	case 1:
		hostile_client(a, b, data[0] % 4 == 1);
		break;
	case 2:
		hostile_server(a, b);
		break;
	default:
		(void)!scram_secret_parse(a, &secret, &e);
	}
	return 0;
}
