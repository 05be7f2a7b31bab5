/* router/sql/siphash.h: SipHash-2-4 with 128 bits of result, fed in pieces.
 * Why:     two texts whose keys are equal share a plan, so a client must not be able to
 *          find such a pair; SipHash is a keyed pseudo-random function, and faster
 *          hashes are not.
 * Source:  Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with the
 *          128-bit extension of its authors.
 * Memory:  on the caller's stack; bytes are gathered in buf, absorbed in words. */
#ifndef WEIR_ROUTER_SQL_SIPHASH_H
#define WEIR_ROUTER_SQL_SIPHASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SIP_BUF   512
#define SIP_SLACK 16 /* bytes behind the buffered ones that a writer may scribble on */

struct sip_key {
	uint64_t k[2];
};

struct sip {
	uint64_t v[4];
	uint64_t absorbed; /* bytes */
	size_t n;          /* bytes in buf */
	uint8_t buf[SIP_BUF + SIP_SLACK];
};

static inline void
sip_init(struct sip *s, const struct sip_key *key)
{
	s->v[0] = 0x736f6d6570736575 ^ key->k[0];
	s->v[1] = 0x646f72616e646f6d ^ key->k[1] ^ 0xee;
	s->v[2] = 0x6c7967656e657261 ^ key->k[0];
	s->v[3] = 0x7465646279746573 ^ key->k[1];
	s->absorbed = 0;
	s->n = 0;
}

#define SIP_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define SIP_ROUND(a, b, c, d)                                             \
	do {                                                              \
		a += b, b = SIP_ROTL(b, 13), b ^= a, a = SIP_ROTL(a, 32); \
		c += d, d = SIP_ROTL(d, 16), d ^= c;                      \
		a += d, d = SIP_ROTL(d, 21), d ^= a;                      \
		c += b, b = SIP_ROTL(b, 17), b ^= c, c = SIP_ROTL(c, 32); \
	} while (0)

/* Takes up the whole words; up to seven bytes stay in the buffer. */
static inline void
sip_absorb(struct sip *s)
{
	uint64_t a = s->v[0], b = s->v[1], c = s->v[2], d = s->v[3], m;
	size_t whole = s->n & ~(size_t)7;

	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&m, s->buf + i, 8);
		m = le64toh(m);
		d ^= m;
		SIP_ROUND(a, b, c, d);
		SIP_ROUND(a, b, c, d);
		a ^= m;
	}
	s->v[0] = a, s->v[1] = b, s->v[2] = c, s->v[3] = d;
	memmove(s->buf, s->buf + whole, 8);
	s->absorbed += whole;
	s->n -= whole;
}

/* Room for n more bytes at the returned place; the caller adds what it wrote to s->n. n
 * <= SIP_BUF - 8. */
static inline uint8_t *
sip_room(struct sip *s, size_t n)
{
	if (s->n + n > SIP_BUF)
		sip_absorb(s);
	return s->buf + s->n;
}

static inline void
sip_byte(struct sip *s, uint8_t b)
{
	*sip_room(s, 1) = b;
	s->n++;
}

static inline void
sip_bytes(struct sip *s, const void *ptr, size_t len)
{
	const uint8_t *p = ptr;

	while (len > 0) {
		size_t n = len < SIP_BUF / 2 ? len : SIP_BUF / 2;

		memcpy(sip_room(s, n), p, n);
		s->n += n;
		p += n;
		len -= n;
	}
}

static inline void
sip_final(struct sip *s, uint64_t out[2])
{
	uint64_t a, b, c, d, m = 0;

	sip_absorb(s);
	a = s->v[0], b = s->v[1], c = s->v[2], d = s->v[3];
	for (size_t i = 0; i < s->n; i++)
		m |= (uint64_t)s->buf[i] << (8 * i);
	m |= (s->absorbed + s->n) << 56;
	d ^= m;
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	a ^= m;
	c ^= 0xee;
	for (int i = 0; i < 4; i++)
		SIP_ROUND(a, b, c, d);
	out[0] = a ^ b ^ c ^ d;
	b ^= 0xdd;
	for (int i = 0; i < 4; i++)
		SIP_ROUND(a, b, c, d);
	out[1] = a ^ b ^ c ^ d;
}

#endif
