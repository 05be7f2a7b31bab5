/* Certificates for tests: an authority, and whatever it signs, as PEM files in a folder.
 */
#ifndef WEIR_TESTS_CERTS_H
#define WEIR_TESTS_CERTS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

struct test_cert {
	X509 *cert;
	EVP_PKEY *key;
	char cert_file[200], key_file[200];
};

static inline void
test_cert_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (ext == NULL || X509_add_ext(cert, ext, -1) != 1)
		abort();
	X509_EXTENSION_free(ext);
}

static inline void
test_cert_write(struct test_cert *c, const char *dir, const char *name)
{
	FILE *f;

	snprintf(c->cert_file, sizeof c->cert_file, "%s/%s.crt", dir, name);
	snprintf(c->key_file, sizeof c->key_file, "%s/%s.key", dir, name);
	f = fopen(c->cert_file, "w");
	if (f == NULL || PEM_write_X509(f, c->cert) != 1 || fclose(f) != 0)
		abort();
	f = fopen(c->key_file, "w");
	if (f == NULL ||
	    PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    fclose(f) != 0 || chmod(c->key_file, 0600) != 0)
		abort();
}

/* issuer NULL: an authority, signed by itself. san as in OpenSSL's configuration
 * ("DNS:localhost,IP:127.0.0.1"). */
static inline void
test_cert_make(struct test_cert *c, const char *dir, const char *name, const char *cn,
    const char *san, const EVP_MD *md, const struct test_cert *issuer)
{
	static long serial = 1;
	X509_NAME *subject;

	c->key = EVP_EC_gen("P-256");
	c->cert = X509_new();
	if (c->key == NULL || c->cert == NULL)
		abort();
	X509_set_version(c->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c->cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c->cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(c->cert), 86400);
	subject = X509_get_subject_name(c->cert);
	X509_NAME_add_entry_by_txt(
	    subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(
	    c->cert, issuer == NULL ? subject : X509_get_subject_name(issuer->cert));
	X509_set_pubkey(c->cert, c->key);
	if (issuer == NULL)
		test_cert_extension(
		    c->cert, c->cert, NID_basic_constraints, "critical,CA:TRUE");
	if (san != NULL)
		test_cert_extension(c->cert, issuer == NULL ? c->cert : issuer->cert,
		    NID_subject_alt_name, san);
	if (X509_sign(c->cert, issuer == NULL ? c->key : issuer->key, md) == 0)
		abort();
	test_cert_write(c, dir, name);
}

static inline void
test_cert_free(struct test_cert *c)
{
	X509_free(c->cert);
	EVP_PKEY_free(c->key);
}

#endif
