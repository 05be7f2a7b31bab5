/* A hostile server at login: the input is everything that it sends. The first byte
 * chooses TLS and the credential. Once SASL began there is no way in: the fuzzer cannot
 * prove that it knows the keys. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "wire/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static bool
feed(struct login *l, const uint8_t *data, size_t n)
{
	struct reader r;
	struct read_msg m;
	struct err e;
	enum rc rc = RC_AGAIN;
	bool sasl = false;

	reader_init(&r, NULL);
	reader_feed(&r, data, n);
	while (rc == RC_AGAIN && reader_next(&r, LOGIN_BYTES_MAX, &m) == READ_MSG) {
		rc = login_step(l, &m, &e);
		sasl |= l->state == LOGIN_SASL;
		assert((rc == RC_OK) == (l->state == LOGIN_DONE));
		assert((rc == RC_ERR) == (l->state == LOGIN_FAILED));
		login_sent(l);
	}
	reader_fini(&r);
	return sasl && rc == RC_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct scram_keys keys = {"client", "server"};
	struct login_ask ask = {.user = "joe", .database = "shop"};
	struct login l;
	struct err e;

	if (n < 1)
		return 0;
	if (data[0] & 1)
		ask.keys = &keys;
	if (data[0] & 2)
		ask.password = "secret";
	if (data[0] & 4)
		ask.md5 = "md5c59ec932d911ffdf487595b5a2adf973";
	ask.allow_cleartext = (data[0] & 8) != 0;
	/* A password would cost the hash rounds that the server asks for: minutes of the
	 * fuzzer's time. */
	if (ask.password != NULL)
		ask.keys = &keys;
	if (login_init(&l, &ask, (data[0] & 16) != 0, (data[0] & 32) != 0,
		SLICE_LIT("binding"), &e) == RC_OK)
		assert(!feed(&l, data + 1, n - 1));
	login_fini(&l);
	return 0;
}
