/* SaltedPassword = PBKDF2(password, salt, iterations)
 * ClientKey = HMAC(SaltedPassword, "Client Key")      StoredKey = SHA256(ClientKey)
 * ServerKey = HMAC(SaltedPassword, "Server Key")
 * proof     = ClientKey xor HMAC(StoredKey, messages) signature = HMAC(ServerKey,
 * messages) where messages = client-first-bare "," server-first ","
 * client-final-without-proof. So a server that keeps StoredKey and ServerKey learns
 * ClientKey from a good proof, and can then log in elsewhere as that client. */
#include "wire/scram.h"

#include <pthread.h>
#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "wire/base64.h"
#include "wire/saslprep.h"

#define NONCE_BYTES 18
#define NONCE_TEXT  BASE64_LEN(NONCE_BYTES)
#define KEY_TEXT    BASE64_LEN(SCRAM_KEY)
#define SALT_TEXT   BASE64_LEN(SCRAM_SALT_MAX)
/* A client's messages: as much as PostgreSQL takes. */
#define CLIENT_MESSAGE_MAX 1024
#define SERVER_MESSAGE_MAX 16384
#define END_POINT          "tls-server-end-point"
#define PLUS_HEADER        "p=" END_POINT ",,"

enum step { STEP_FIRST, STEP_NEXT, STEP_FINAL, STEP_OVER };

/* ---- hashes ---- */

static enum rc
crypto_failed(struct err *e)
{
	return err_set(
	    e, "XX000", BLAST_SESSION, "a cryptographic function of OpenSSL failed");
}

static bool
hmac(const unsigned char *key, size_t key_len, struct slice data,
    unsigned char out[SCRAM_KEY])
{
	unsigned n = 0;

	return HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)data.ptr,
		   data.len, out, &n) != NULL &&
	    n == SCRAM_KEY;
}

static bool
sha256(const unsigned char in[SCRAM_KEY], unsigned char out[SCRAM_KEY])
{
	unsigned n = 0;

	return EVP_Digest(in, SCRAM_KEY, out, &n, EVP_sha256(), NULL) == 1 &&
	    n == SCRAM_KEY;
}

static void
xor_into(unsigned char *a, const unsigned char *b)
{
	for (size_t i = 0; i < SCRAM_KEY; i++)
		a[i] ^= b[i];
}

static enum rc
keys_of_password(struct slice password, const unsigned char *salt, size_t salt_len,
    uint32_t iterations, struct scram_keys *keys, struct err *e)
{
	struct slice prepared = saslprep(password);
	unsigned char salted[SCRAM_KEY];
	bool ok = prepared.len < INT32_MAX &&
	    PKCS5_PBKDF2_HMAC(prepared.ptr, (int)prepared.len, salt, (int)salt_len,
		(int)iterations, EVP_sha256(), SCRAM_KEY, salted) == 1 &&
	    hmac(salted, SCRAM_KEY, SLICE_LIT("Client Key"), keys->client_key) &&
	    hmac(salted, SCRAM_KEY, SLICE_LIT("Server Key"), keys->server_key);

	saslprep_free(prepared);
	OPENSSL_cleanse(salted, sizeof salted);
	return ok ? RC_OK : crypto_failed(e);
}

/* ---- pieces of messages ---- */

static void
put(struct msgbuf *b, const char *text)
{
	msg_bytes(b, text, strlen(text));
}

static void
put_base64(struct msgbuf *b, const void *ptr, size_t n)
{
	char text[BASE64_LEN(256)];

	msg_bytes(b, text, base64_encode(ptr, n, text));
}

static struct slice
text_of(const struct msgbuf *b)
{
	return (struct slice){b->data, b->len};
}

static bool
take(struct slice *s, const char *literal)
{
	size_t n = strlen(literal);

	if (s->len < n || memcmp(s->ptr, literal, n) != 0)
		return false;
	s->ptr += n;
	s->len -= n;
	return true;
}

/* Up to `stop` (which is skipped) or the end. */
static struct slice
take_until(struct slice *s, char stop)
{
	const char *at = s->len == 0 ? NULL : memchr(s->ptr, stop, s->len);
	struct slice v = {s->ptr, at == NULL ? s->len : (size_t)(at - s->ptr)};
	size_t used = at == NULL ? v.len : v.len + 1;

	if (used > 0)
		s->ptr += used;
	s->len -= used;
	return v;
}

/* The attribute `name` must come next. */
static bool
take_attr(struct slice *s, char name, struct slice *value)
{
	const char start[3] = {name, '=', '\0'};

	if (!take(s, start))
		return false;
	*value = take_until(s, ',');
	return true;
}

/* What is left of a message: nothing, or extensions, each a letter with a value; they are
 * skipped. */
static bool
only_extensions(struct slice s)
{
	while (s.len > 0) {
		struct slice v = take_until(&s, ',');

		if (v.len < 2 || v.ptr[1] != '=' ||
		    !((v.ptr[0] | 32) >= 'a' && (v.ptr[0] | 32) <= 'z'))
			return false;
	}
	return true;
}

static bool
is_nonce(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e || s.ptr[i] == ',')
			return false;
	return s.len > 0;
}

/* 1 to SCRAM_ITERATIONS_MAX, 0 for all else. */
static uint32_t
iterations_of(struct slice s)
{
	uint32_t v = 0;

	if (s.len == 0 || s.len > 8)
		return 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return 0;
		v = v * 10 + (uint32_t)(s.ptr[i] - '0');
	}
	return v <= SCRAM_ITERATIONS_MAX ? v : 0;
}

static bool
key_of(struct slice text, unsigned char key[SCRAM_KEY])
{
	size_t n;

	return base64_decode(text, key, SCRAM_KEY, &n) && n == SCRAM_KEY;
}

static bool
random_nonce(char out[NONCE_TEXT])
{
	unsigned char raw[NONCE_BYTES];

	if (RAND_bytes(raw, sizeof raw) != 1)
		return false;
	base64_encode(raw, sizeof raw, out);
	return true;
}

/* HMAC over client-first-bare "," server-first "," client-final-without-proof. */
static bool
sign(const unsigned char key[SCRAM_KEY], const struct msgbuf *first, struct slice last,
    unsigned char out[SCRAM_KEY])
{
	struct msgbuf all;
	bool ok;

	msgbuf_init(&all);
	msg_bytes(&all, first->data, first->len);
	put(&all, ",");
	msg_bytes(&all, last.ptr, last.len);
	ok = hmac(key, SCRAM_KEY, text_of(&all), out);
	msgbuf_fini(&all);
	return ok;
}

/* base64(gs2 header, channel binding data): what must stand behind c= */
static void
put_binding(
    struct msgbuf *b, const char *header, const unsigned char *cbind, size_t cbind_len)
{
	unsigned char raw[sizeof PLUS_HEADER + SCRAM_CBIND_MAX];
	size_t n = strlen(header);

	memcpy(raw, header, n);
	memcpy(raw + n, cbind, cbind_len);
	put_base64(b, raw, n + cbind_len);
}

/* ---- secrets ---- */

enum rc
scram_secret_parse(struct slice text, struct scram_secret *s, struct err *e)
{
	struct slice rest = text, iterations, salt, stored;
	size_t n = 0;

	memset(s, 0, sizeof *s);
	if (!take(&rest, SCRAM_PLAIN "$"))
		return err_set(e, "22023", BLAST_STMT, "not a SCRAM-SHA-256 secret");
	iterations = take_until(&rest, ':');
	salt = take_until(&rest, '$');
	stored = take_until(&rest, ':');
	s->iterations = iterations_of(iterations);
	if (s->iterations == 0)
		return err_set(e, "22023", BLAST_STMT,
		    "iteration count of the SCRAM secret is invalid");
	if (!base64_decode(salt, s->salt, sizeof s->salt, &n) || n == 0)
		return err_set(
		    e, "22023", BLAST_STMT, "salt of the SCRAM secret is invalid");
	s->salt_len = (uint32_t)n;
	if (!key_of(stored, s->stored_key) || !key_of(rest, s->server_key))
		return err_set(
		    e, "22023", BLAST_STMT, "keys of the SCRAM secret are invalid");
	return RC_OK;
}

enum rc
scram_secret_derive(struct slice password, const unsigned char *salt, size_t salt_len,
    uint32_t iterations, struct scram_secret *s, struct err *e)
{
	struct scram_keys keys;
	bool ok;

	memset(s, 0, sizeof *s);
	s->salt_len = salt == NULL ? 16 : (uint32_t)salt_len;
	s->iterations = iterations;
	if (iterations == 0 || iterations > SCRAM_ITERATIONS_MAX ||
	    s->salt_len > SCRAM_SALT_MAX)
		return err_set(
		    e, "22023", BLAST_STMT, "SCRAM salt or iterations out of range");
	if (salt != NULL)
		memcpy(s->salt, salt, salt_len);
	else if (RAND_bytes(s->salt, 16) != 1)
		return crypto_failed(e);
	if (keys_of_password(password, s->salt, s->salt_len, iterations, &keys, e) !=
	    RC_OK)
		return RC_ERR;
	memcpy(s->server_key, keys.server_key, SCRAM_KEY);
	ok = sha256(keys.client_key, s->stored_key);
	OPENSSL_cleanse(&keys, sizeof keys);
	return ok ? RC_OK : crypto_failed(e);
}

static unsigned char mock_key[SCRAM_KEY];
static bool mock_key_ok;

static void
make_mock_key(void)
{
	mock_key_ok = RAND_bytes(mock_key, sizeof mock_key) == 1;
}

enum rc
scram_secret_mock(struct slice user, struct scram_secret *s, struct err *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned char sum[SCRAM_KEY];

	memset(s, 0, sizeof *s);
	pthread_once(&once, make_mock_key);
	if (!mock_key_ok || !hmac(mock_key, sizeof mock_key, user, sum))
		return crypto_failed(e);
	memcpy(s->salt, sum, 16);
	s->salt_len = 16;
	s->iterations = SCRAM_ITERATIONS;
	return RC_OK;
}

/* ---- server ---- */

void
scram_server_init(struct scram_server *s, const struct scram_secret *secret, bool doomed,
    struct slice cbind)
{
	memset(s, 0, sizeof *s);
	s->secret = *secret;
	s->doomed = doomed;
	if (cbind.len > 0 && cbind.len <= SCRAM_CBIND_MAX) {
		memcpy(s->cbind, cbind.ptr, cbind.len);
		s->cbind_len = cbind.len;
	}
	msgbuf_init(&s->first);
}

void
scram_server_fini(struct scram_server *s)
{
	msgbuf_fini(&s->first);
	OPENSSL_cleanse(s, sizeof *s);
}

static enum rc
malformed(const char *what, struct err *e)
{
	return err_set(e, "08P01", BLAST_SESSION, "malformed SCRAM message (%s)", what);
}

/* A message with a zero byte in it, or too long, is refused whatever it says. */
static enum rc
check_text(struct slice m, size_t most, struct err *e)
{
	if (m.len == 0)
		return malformed("it is empty", e);
	if (m.len > most)
		return malformed("it is too long", e);
	if (memchr(m.ptr, '\0', m.len) != NULL)
		return malformed("length does not match", e);
	return RC_OK;
}

/* n, y or p=name; then the user to act for, which must be empty. */
static enum rc
gs2_header(struct scram_server *s, bool plus, struct slice *m, struct err *e)
{
	struct slice name;

	s->flag = m->ptr[0];
	if (take(m, "p=")) {
		name = take_until(m, ',');
		if (!plus)
			return malformed("channel binding data without " SCRAM_PLUS, e);
		if (!slice_eq_str(name, END_POINT))
			return err_set(e, "08P01", BLAST_SESSION,
			    "unsupported SCRAM channel-binding type");
	} else if (take(m, "n,") || take(m, "y,")) {
		if (plus)
			return malformed("no channel binding data with " SCRAM_PLUS, e);
		/* The client could bind but was told we cannot: somebody cut our offer
		 * out. */
		if (s->flag == 'y' && s->cbind_len > 0) {
			(void)err_set(e, "28000", BLAST_SESSION,
			    "SCRAM channel binding negotiation error");
			err_hint(e,
			    "The client supports SCRAM channel binding but thinks the "
			    "server does not. However, this server does support channel "
			    "binding.");
			return RC_ERR;
		}
	} else {
		return malformed("unexpected channel-binding flag", e);
	}
	if (take(m, "a="))
		return err_set(e, "0A000", BLAST_SESSION,
		    "client uses authorization identity, but it is not supported");
	return take(m, ",") ? RC_OK : malformed("comma expected", e);
}

enum rc
scram_server_first(struct scram_server *s, struct slice mechanism, struct slice m,
    const char *nonce, struct msgbuf *out, struct err *e)
{
	bool plus = slice_eq_str(mechanism, SCRAM_PLUS);
	struct slice bare, user, client_nonce;
	char random[NONCE_TEXT + 1] = "";
	char digits[16];
	size_t server_first;

	if (s->step != STEP_FIRST)
		return malformed("not expected now", e);
	s->step = STEP_OVER;
	if (!(plus && s->cbind_len > 0) && !slice_eq_str(mechanism, SCRAM_PLAIN))
		return err_set(e, "08P01", BLAST_SESSION,
		    "client selected an invalid SASL authentication mechanism");
	if (check_text(m, CLIENT_MESSAGE_MAX, e) != RC_OK ||
	    gs2_header(s, plus, &m, e) != RC_OK)
		return RC_ERR;
	bare = m;
	if (take(&m, "m="))
		return err_set(e, "0A000", BLAST_SESSION,
		    "client requires an unsupported SCRAM extension");
	/* The start-up packet named the user; this name is not looked at, as in
	 * PostgreSQL. */
	if (!take_attr(&m, 'n', &user) || !take_attr(&m, 'r', &client_nonce))
		return malformed("attribute expected", e);
	if (!is_nonce(client_nonce))
		return malformed("nonce", e);
	if (!only_extensions(m))
		return malformed("extensions", e);
	if (nonce == NULL && !random_nonce(random))
		return crypto_failed(e);
	msg_bytes(&s->first, bare.ptr, bare.len);
	put(&s->first, ",");
	server_first = s->first.len;
	put(&s->first, "r=");
	s->nonce_at = s->first.len;
	msg_bytes(&s->first, client_nonce.ptr, client_nonce.len);
	put(&s->first, nonce != NULL ? nonce : random);
	s->nonce_len = s->first.len - s->nonce_at;
	put(&s->first, ",s=");
	put_base64(&s->first, s->secret.salt, s->secret.salt_len);
	snprintf(digits, sizeof digits, ",i=%u", s->secret.iterations);
	put(&s->first, digits);
	msg_bytes(out, s->first.data + server_first, s->first.len - server_first);
	s->step = STEP_FINAL;
	return RC_OK;
}

static enum rc
check_binding(const struct scram_server *s, struct slice got, struct err *e)
{
	const char *header = s->flag == 'p' ? PLUS_HEADER
	    : s->flag == 'y'                ? "y,,"
					    : "n,,";
	struct msgbuf want;
	bool same;

	msgbuf_init(&want);
	put_binding(&want, header, s->cbind, s->flag == 'p' ? s->cbind_len : 0);
	same = slice_eq(got, text_of(&want));
	msgbuf_fini(&want);
	if (same)
		return RC_OK;
	if (s->flag == 'p')
		return err_set(
		    e, "28000", BLAST_SESSION, "SCRAM channel binding check failed");
	return malformed("unexpected channel-binding attribute", e);
}

/* Yields ClientKey where the proof is good. */
static enum rc
check_proof(const struct scram_server *s, struct slice last, const unsigned char *proof,
    struct scram_keys *keys, struct err *e)
{
	unsigned char stored[SCRAM_KEY];
	bool ok, good;

	ok = sign(s->secret.stored_key, &s->first, last, keys->client_key);
	xor_into(keys->client_key, proof);
	ok = ok && sha256(keys->client_key, stored);
	if (!ok)
		return crypto_failed(e);
	good = CRYPTO_memcmp(stored, s->secret.stored_key, SCRAM_KEY) == 0;
	OPENSSL_cleanse(stored, sizeof stored);
	if (!good || s->doomed) {
		OPENSSL_cleanse(keys, sizeof *keys);
		return err_set(
		    e, "28P01", BLAST_SESSION, "password authentication failed");
	}
	memcpy(keys->server_key, s->secret.server_key, SCRAM_KEY);
	return RC_OK;
}

/* Splits ",p=proof" off the end of client-final. */
static bool
split_proof(struct slice *m, unsigned char proof[SCRAM_KEY])
{
	size_t n = 3 + KEY_TEXT;

	if (m->len < n || memcmp(m->ptr + m->len - n, ",p=", 3) != 0)
		return false;
	m->len -= n;
	return key_of((struct slice){m->ptr + m->len + 3, KEY_TEXT}, proof);
}

enum rc
scram_server_final(struct scram_server *s, struct slice m, struct scram_keys *keys,
    struct msgbuf *out, struct err *e)
{
	unsigned char proof[SCRAM_KEY], signature[SCRAM_KEY];
	struct slice last, binding, nonce;

	if (s->step != STEP_FINAL)
		return malformed("not expected now", e);
	s->step = STEP_OVER;
	if (check_text(m, CLIENT_MESSAGE_MAX, e) != RC_OK)
		return RC_ERR;
	if (!split_proof(&m, proof))
		return malformed("proof in client-final-message", e);
	last = m;
	if (!take_attr(&m, 'c', &binding) || !take_attr(&m, 'r', &nonce) ||
	    !only_extensions(m))
		return malformed("attribute expected in client-final-message", e);
	if (check_binding(s, binding, e) != RC_OK)
		return RC_ERR;
	if (!slice_eq(nonce, (struct slice){s->first.data + s->nonce_at, s->nonce_len}))
		return malformed("nonce does not match", e);
	if (check_proof(s, last, proof, keys, e) != RC_OK)
		return RC_ERR;
	if (!sign(s->secret.server_key, &s->first, last, signature))
		return crypto_failed(e);
	put(out, "v=");
	put_base64(out, signature, SCRAM_KEY);
	return RC_OK;
}

/* ---- client ---- */

void
scram_client_init(struct scram_client *c, struct slice password,
    const struct scram_keys *keys, struct scram_known *known, enum scram_binding binding,
    struct slice cbind)
{
	memset(c, 0, sizeof *c);
	c->password = password;
	c->keys = keys;
	c->known = known;
	c->binding = binding;
	if (binding == SCRAM_BIND_END_POINT && cbind.len <= SCRAM_CBIND_MAX) {
		memcpy(c->cbind, cbind.ptr, cbind.len);
		c->cbind_len = cbind.len;
	}
	msgbuf_init(&c->first);
}

void
scram_client_fini(struct scram_client *c)
{
	msgbuf_fini(&c->first);
	OPENSSL_cleanse(c, sizeof *c);
}

const char *
scram_client_mechanism(const struct scram_client *c)
{
	return c->binding == SCRAM_BIND_END_POINT ? SCRAM_PLUS : SCRAM_PLAIN;
}

static const char *
client_header(const struct scram_client *c)
{
	static const char *const header[] = {"n,,", "y,,", PLUS_HEADER};

	return header[c->binding];
}

enum rc
scram_client_first(
    struct scram_client *c, const char *nonce, struct msgbuf *out, struct err *e)
{
	if (c->step != STEP_FIRST)
		return malformed("not expected now", e);
	c->step = STEP_OVER;
	if (nonce != NULL)
		snprintf(c->nonce, sizeof c->nonce, "%s", nonce);
	else if (!random_nonce(c->nonce))
		return crypto_failed(e);
	put(&c->first, "n=,r=");
	put(&c->first, c->nonce);
	put(out, client_header(c));
	msg_bytes(out, c->first.data, c->first.len);
	c->step = STEP_NEXT;
	return RC_OK;
}

/* What to sign with: given keys, known ones, or (the slow way) those of the password. */
static enum rc
choose_keys(struct scram_client *c, struct scram_keys *keys, struct err *e)
{
	const struct scram_known *k = c->known;

	if (c->keys != NULL)
		*keys = *c->keys;
	else if (k != NULL && k->set && k->iterations == c->used.iterations &&
	    k->salt_len == c->used.salt_len &&
	    memcmp(k->salt, c->used.salt, k->salt_len) == 0)
		*keys = k->keys;
	else
		return keys_of_password(c->password, c->used.salt, c->used.salt_len,
		    c->used.iterations, keys, e);
	return RC_OK;
}

static enum rc
read_server_first(
    struct scram_client *c, struct slice m, struct slice *nonce, struct err *e)
{
	struct slice salt, iterations;
	size_t own = strlen(c->nonce), n = 0;

	if (check_text(m, SERVER_MESSAGE_MAX, e) != RC_OK)
		return RC_ERR;
	if (take(&m, "m="))
		return err_set(e, "0A000", BLAST_SESSION,
		    "server requires an unsupported SCRAM extension");
	if (!take_attr(&m, 'r', nonce) || !take_attr(&m, 's', &salt) ||
	    !take_attr(&m, 'i', &iterations) || !only_extensions(m))
		return malformed("server-first-message", e);
	if (!is_nonce(*nonce) || nonce->len <= own ||
	    memcmp(nonce->ptr, c->nonce, own) != 0)
		return malformed("server's nonce", e);
	if (!base64_decode(salt, c->used.salt, sizeof c->used.salt, &n) || n == 0)
		return malformed("server's salt", e);
	c->used.salt_len = (uint32_t)n;
	c->used.iterations = iterations_of(iterations);
	if (c->used.iterations == 0)
		return malformed("server's iteration count", e);
	return RC_OK;
}

enum rc
scram_client_next(
    struct scram_client *c, struct slice m, struct msgbuf *out, struct err *e)
{
	unsigned char stored[SCRAM_KEY], proof[SCRAM_KEY];
	struct scram_keys *keys = &c->used.keys;
	struct slice nonce, last;
	size_t start = out->len;
	bool ok;

	if (c->step != STEP_NEXT)
		return malformed("not expected now", e);
	c->step = STEP_OVER;
	if (read_server_first(c, m, &nonce, e) != RC_OK ||
	    choose_keys(c, keys, e) != RC_OK)
		return RC_ERR;
	put(&c->first, ",");
	msg_bytes(&c->first, m.ptr, m.len);
	put(out, "c=");
	put_binding(out, client_header(c), c->cbind, c->cbind_len);
	put(out, ",r=");
	msg_bytes(out, nonce.ptr, nonce.len);
	last = (struct slice){out->data + start, out->len - start};
	ok = sha256(keys->client_key, stored) && sign(stored, &c->first, last, proof) &&
	    sign(keys->server_key, &c->first, last, c->signature);
	if (!ok)
		return crypto_failed(e);
	xor_into(proof, keys->client_key);
	put(out, ",p=");
	put_base64(out, proof, SCRAM_KEY);
	c->step = STEP_FINAL;
	return RC_OK;
}

enum rc
scram_client_final(struct scram_client *c, struct slice m, struct err *e)
{
	unsigned char got[SCRAM_KEY];
	struct slice value;

	if (c->step != STEP_FINAL)
		return malformed("not expected now", e);
	c->step = STEP_OVER;
	if (check_text(m, SERVER_MESSAGE_MAX, e) != RC_OK)
		return RC_ERR;
	if (take_attr(&m, 'e', &value))
		return err_set(e, "28P01", BLAST_SESSION,
		    "the server refused the SCRAM exchange: %.*s",
		    (int)(value.len < 100 ? value.len : 100), value.ptr);
	if (!take_attr(&m, 'v', &value) || !only_extensions(m) || !key_of(value, got))
		return malformed("server-final-message", e);
	if (CRYPTO_memcmp(got, c->signature, SCRAM_KEY) != 0)
		return err_set(e, "28000", BLAST_SESSION,
		    "the server's SCRAM signature is wrong: it does not know the "
		    "password");
	if (c->known != NULL && c->keys == NULL) {
		*c->known = c->used;
		c->known->set = true;
	}
	return RC_OK;
}
