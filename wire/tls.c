#include "wire/tls.h"

#include <arpa/inet.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

static const unsigned char alpn[] = {
    10, 'p', 'o', 's', 't', 'g', 'r', 'e', 's', 'q', 'l'};

static bool
given(const char *s)
{
	return s != NULL && s[0] != '\0';
}

enum rc
sslmode_parse(const char *word, enum sslmode *mode, struct err *e)
{
	static const struct {
		const char *word;
		enum sslmode mode;
	} words[] = {{"disable", SSLMODE_DISABLE}, {"off", SSLMODE_DISABLE},
	    {"allow", SSLMODE_ALLOW}, {"prefer", SSLMODE_PREFER},
	    {"require", SSLMODE_REQUIRE}, {"verify-ca", SSLMODE_VERIFY_CA},
	    {"verify-full", SSLMODE_VERIFY_FULL}};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(word, words[i].word) == 0) {
			*mode = words[i].mode;
			return RC_OK;
		}
	}
	return err_set(
	    e, "22023", BLAST_SESSION, "invalid sslmode value: \"%.60s\"", word);
}

void
tls_reason(const SSL *ssl, char *out, size_t size)
{
	unsigned long code = ERR_get_error();
	const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
	long verified = ssl == NULL ? X509_V_OK : SSL_get_verify_result(ssl);

	if (reason == NULL)
		reason = "TLS error";
	if (verified != X509_V_OK)
		snprintf(out, size, "%s (%s)", reason,
		    X509_verify_cert_error_string(verified));
	else
		snprintf(out, size, "%s", reason);
	ERR_clear_error();
}

static enum rc
failed(const char *what, const char *file, struct err *e)
{
	char reason[200];

	tls_reason(NULL, reason, sizeof reason);
	return err_set(e, "F0000", BLAST_SESSION, "cannot %s%s%.150s%s: %s", what,
	    file == NULL ? "" : " \"", file == NULL ? "" : file, file == NULL ? "" : "\"",
	    reason);
}

/* OpenSSL would ask for a passphrase at the terminal. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return 0;
}

static SSL_CTX *
ctx_create(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_options(ctx,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
		SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static enum rc
use_certificate(SSL_CTX *ctx, const char *cert, const char *key, struct err *e)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return failed("load certificate", cert, e);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return failed("load private key", key, e);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return failed("use private key for the certificate", key, e);
	return RC_OK;
}

static enum rc
new_with_bios(SSL_CTX *ctx, SSL **out, struct err *e)
{
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *to = BIO_new(BIO_s_mem());

	if (ssl == NULL || in == NULL || to == NULL) {
		SSL_free(ssl);
		BIO_free(in);
		BIO_free(to);
		return failed("set a TLS connection up", NULL, e);
	}
	SSL_set_bio(ssl, in, to);
	*out = ssl;
	return RC_OK;
}

/* ---- server ---- */

static int
select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
    const unsigned char *in, unsigned in_len, void *arg)
{
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, alpn, sizeof alpn, in, in_len) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static enum rc
ask_for_certificates(SSL_CTX *ctx, const char *ca, bool must_show, struct err *e)
{
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca);

	if (names == NULL || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return failed("load certificates of authorities", ca, e);
	}
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx,
	    SSL_VERIFY_PEER | (must_show ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return RC_OK;
}

enum rc
tls_server_create(const char *cert, const char *key, const char *ca, bool must_show,
    SSL_CTX **out, struct err *e)
{
	static const unsigned char id[] = "weir";
	SSL_CTX *ctx = ctx_create(TLS_server_method());
	enum rc rc;

	*out = NULL;
	if (ctx == NULL)
		return failed("set TLS up", NULL, e);
	SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
	rc = use_certificate(ctx, cert, key, e);
	if (rc == RC_OK && SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1) != 1)
		rc = failed("set TLS up", NULL, e);
	if (rc == RC_OK && given(ca))
		rc = ask_for_certificates(ctx, ca, must_show, e);
	if (rc != RC_OK) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*out = ctx;
	return RC_OK;
}

enum rc
tls_server_new(SSL_CTX *ctx, SSL **out, struct err *e)
{
	if (new_with_bios(ctx, out, e) != RC_OK)
		return RC_ERR;
	SSL_set_accept_state(*out);
	return RC_OK;
}

bool
tls_has_alpn(const SSL *ssl)
{
	const unsigned char *chosen;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &chosen, &len);
	return len == sizeof alpn - 1 && memcmp(chosen, alpn + 1, len) == 0;
}

/* ---- client ---- */

static enum rc
trust(SSL_CTX *ctx, const struct tls_client_conf *conf, struct err *e)
{
	if (!given(conf->ca)) {
		if (conf->mode < SSLMODE_VERIFY_CA)
			return RC_OK;
		return err_set(e, "F0000", BLAST_SESSION,
		    "a file of certificate authorities (sslrootcert) is needed to verify "
		    "the server");
	}
	if (strcmp(conf->ca, "system") == 0) {
		if (SSL_CTX_set_default_verify_paths(ctx) != 1)
			return failed(
			    "load the system's certificate authorities", NULL, e);
	} else if (SSL_CTX_load_verify_locations(ctx, conf->ca, NULL) != 1) {
		return failed("load certificates of authorities", conf->ca, e);
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return RC_OK;
}

enum rc
tls_client_create(const struct tls_client_conf *conf, SSL_CTX **out, struct err *e)
{
	SSL_CTX *ctx = ctx_create(TLS_client_method());
	enum rc rc;

	*out = NULL;
	/* This one returns 0 for success. */
	if (ctx == NULL || SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn) != 0) {
		SSL_CTX_free(ctx);
		return failed("set TLS up", NULL, e);
	}
	rc = trust(ctx, conf, e);
	if (rc == RC_OK && given(conf->cert))
		rc = use_certificate(
		    ctx, conf->cert, given(conf->key) ? conf->key : conf->cert, e);
	if (rc != RC_OK) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*out = ctx;
	return RC_OK;
}

static bool
is_address(const char *host)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1;
}

static bool
expect_host(SSL *ssl, const char *host)
{
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1;
}

enum rc
tls_client_new(
    SSL_CTX *ctx, enum sslmode mode, const char *host, SSL **out, struct err *e)
{
	bool ok = true;

	if (mode == SSLMODE_VERIFY_FULL && !given(host))
		return err_set(e, "F0000", BLAST_SESSION,
		    "a host name is needed for sslmode verify-full");
	if (new_with_bios(ctx, out, e) != RC_OK)
		return RC_ERR;
	SSL_set_connect_state(*out);
	if (given(host) && !is_address(host))
		ok = SSL_set_tlsext_host_name(*out, host) == 1;
	if (ok && mode == SSLMODE_VERIFY_FULL)
		ok = expect_host(*out, host);
	if (ok)
		return RC_OK;
	SSL_free(*out);
	*out = NULL;
	return failed("expect the server's name", host, e);
}

/* ---- what was agreed ---- */

/* The hash is that of the certificate's signature, but never weaker than SHA-256 (RFC
 * 5929, 4.1). */
static size_t
end_point(X509 *cert, unsigned char out[TLS_END_POINT_MAX])
{
	int nid;
	unsigned n = 0;
	const EVP_MD *md;

	if (cert == NULL || X509_get_signature_info(cert, &nid, NULL, NULL, NULL) != 1)
		return 0;
	if (nid == NID_md5 || nid == NID_sha1)
		nid = NID_sha256;
	md = EVP_get_digestbynid(nid);
	if (md == NULL || EVP_MD_get_size(md) > TLS_END_POINT_MAX ||
	    X509_digest(cert, md, out, &n) != 1) {
		ERR_clear_error();
		return 0;
	}
	return n;
}

size_t
tls_end_point_own(SSL *ssl, unsigned char out[TLS_END_POINT_MAX])
{
	return end_point(SSL_get_certificate(ssl), out);
}

size_t
tls_end_point_peer(SSL *ssl, unsigned char out[TLS_END_POINT_MAX])
{
	return end_point(SSL_get0_peer_certificate(ssl), out);
}

bool
tls_peer_cn(SSL *ssl, char *out, size_t size)
{
	X509 *cert = SSL_get0_peer_certificate(ssl);
	X509_NAME *name;
	unsigned char *text = NULL;
	int at, len;
	bool ok;

	if (cert == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	name = X509_get_subject_name(cert);
	at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return false;
	len = ASN1_STRING_to_UTF8(
	    &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	ok = len > 0 && (size_t)len < size && memchr(text, '\0', (size_t)len) == NULL;
	if (ok) {
		memcpy(out, text, (size_t)len);
		out[len] = '\0';
	}
	OPENSSL_free(text);
	ERR_clear_error();
	return ok;
}
