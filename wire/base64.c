#include "wire/base64.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
base64_encode(const void *ptr, size_t n, char *out)
{
	const unsigned char *in = ptr;
	char *at = out;

	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)in[i] << 16;

		if (i + 1 < n)
			v |= (unsigned)in[i + 1] << 8;
		if (i + 2 < n)
			v |= in[i + 2];
		*at++ = alphabet[v >> 18];
		*at++ = alphabet[v >> 12 & 63];
		*at++ = i + 1 < n ? alphabet[v >> 6 & 63] : '=';
		*at++ = i + 2 < n ? alphabet[v & 63] : '=';
	}
	return (size_t)(at - out);
}

static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

bool
base64_decode(struct slice text, void *out, size_t cap, size_t *n)
{
	unsigned char *at = out;
	unsigned bits = 0;
	size_t pad = 0, len;

	*n = 0;
	if (text.len % 4 != 0)
		return false;
	while (pad < 2 && pad < text.len && text.ptr[text.len - 1 - pad] == '=')
		pad++;
	len = text.len / 4 * 3 - pad;
	if (len > cap)
		return false;
	for (size_t i = 0; i < text.len - pad; i++) {
		int d = digit(text.ptr[i]);

		if (d < 0)
			return false;
		bits = bits << 6 | (unsigned)d;
		if (i % 4 == 1)
			*at++ = (unsigned char)(bits >> 4);
		else if (i % 4 == 2)
			*at++ = (unsigned char)(bits >> 2);
		else if (i % 4 == 3)
			*at++ = (unsigned char)bits;
	}
	if ((pad == 1 && (bits & 3) != 0) || (pad == 2 && (bits & 15) != 0))
		return false;
	*n = len;
	return true;
}
