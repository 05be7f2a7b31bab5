#include "wire/md5.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static enum rc
hex_of_two(
    const void *a, size_t a_len, const void *b, size_t b_len, char *hex, struct err *e)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c != NULL && EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 &&
	    EVP_DigestUpdate(c, a, a_len) == 1 && EVP_DigestUpdate(c, b, b_len) == 1 &&
	    EVP_DigestFinal_ex(c, sum, &n) == 1 && n * 2 == MD5_HEX;

	EVP_MD_CTX_free(c);
	if (!ok)
		return err_set(
		    e, "XX000", BLAST_SESSION, "cannot compute MD5 in this OpenSSL");
	for (unsigned i = 0; i < n; i++) {
		hex[2 * i] = digits[sum[i] >> 4];
		hex[2 * i + 1] = digits[sum[i] & 15];
	}
	OPENSSL_cleanse(sum, sizeof sum);
	return RC_OK;
}

enum rc
md5_stored(struct slice password, struct slice user, char hex[MD5_HEX], struct err *e)
{
	return hex_of_two(password.ptr, password.len, user.ptr, user.len, hex, e);
}

enum rc
md5_answer(const char hex[MD5_HEX], const unsigned char salt[MD5_SALT],
    char text[MD5_TEXT], struct err *e)
{
	memcpy(text, "md5", 3);
	return hex_of_two(hex, MD5_HEX, salt, MD5_SALT, text + 3, e);
}

enum rc
md5_check(const char hex[MD5_HEX], const unsigned char salt[MD5_SALT],
    struct slice answer, struct err *e)
{
	char want[MD5_TEXT];
	bool same;

	if (md5_answer(hex, salt, want, e) != RC_OK)
		return RC_ERR;
	same = answer.len == MD5_TEXT && CRYPTO_memcmp(answer.ptr, want, MD5_TEXT) == 0;
	OPENSSL_cleanse(want, sizeof want);
	if (!same)
		return err_set(
		    e, "28P01", BLAST_SESSION, "password authentication failed");
	return RC_OK;
}
