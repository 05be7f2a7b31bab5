#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "wire/base64.h"
#include "wire/md5.h"
#include "wire/saslprep.h"
#include "wire/scram.h"

static struct err err;
static const struct slice no_binding = {"", 0};
static const struct slice binding = {"0123456789abcdef0123456789abcdef", 32};

#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define NONCES       CLIENT_NONCE SERVER_NONCE

static struct slice
text(const struct msgbuf *b)
{
	return (struct slice){b->data, b->len};
}

static void
expect_err(enum rc rc, const char *sqlstate)
{
	assert_int_equal(rc, RC_ERR);
	assert_string_equal(err.sqlstate, sqlstate);
}

static struct scram_secret
secret_of(const char *password)
{
	struct scram_secret s;
	unsigned char salt[16];
	size_t n;

	assert_true(base64_decode(SLICE_LIT("W22ZaJ0SNY7soEsUEjb6gQ=="), salt, 16, &n));
	assert_int_equal(
	    scram_secret_derive(slice_of(password), salt, n, 4096, &s, &err), RC_OK);
	return s;
}

/* ---- base64 ---- */

static void
base64_round_trips(void **state)
{
	unsigned char in[64], back[64];
	char out[BASE64_LEN(64)];

	(void)state;
	for (size_t n = 0; n <= sizeof in; n++) {
		size_t len, got;

		for (size_t i = 0; i < n; i++)
			in[i] = (unsigned char)(i * 37 + n * 11);
		len = base64_encode(in, n, out);
		assert_int_equal(len, BASE64_LEN(n));
		assert_true(base64_decode((struct slice){out, len}, back, n, &got));
		assert_int_equal(got, n);
		assert_memory_equal(in, back, n);
		if (n > 0)
			assert_false(
			    base64_decode((struct slice){out, len}, back, n - 1, &got));
	}
}

static void
base64_is_strict(void **state)
{
	static const char *const bad[] = {"A", "AA", "AAA", "AA=A",
	    "A===", "====", "AA A", "AAA\n", "AAAAA", "AB==", "AAB=", "AA==AAAA", "-_AA",
	    "AA=", "QUJD "};
	unsigned char out[16];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(base64_decode(slice_of(bad[i]), out, sizeof out, &n));
	assert_true(base64_decode(SLICE_LIT(""), out, 0, &n));
	assert_true(base64_decode(SLICE_LIT("QUJD"), out, 3, &n));
	assert_memory_equal(out, "ABC", 3);
}

/* ---- saslprep ---- */

static void
check_prep(const char *in, const char *want)
{
	struct slice got = saslprep(slice_of(in));

	assert_true(slice_eq_str(got, want));
	saslprep_free(got);
}

static void
passwords_are_prepared(void **state)
{
	(void)state;
	check_prep("", "");
	check_prep("plain", "plain");
	check_prep("tab\tis kept in ASCII", "tab\tis kept in ASCII");
	check_prep("I\302\255X", "IX"); /* RFC 4013's own examples */
	check_prep("\342\205\250", "IX");
	check_prep("\302\252", "a");
	check_prep("a\302\240b", "a b");     /* no-break space */
	check_prep("e\314\201", "\303\251"); /* composed */
	check_prep("\302\255", "\302\255");  /* nothing would be left */
	check_prep(
	    "\303\251\007", "\303\251\007"); /* control characters are prohibited */
	check_prep("\330\247\061", "\330\247\061"); /* right-to-left mixed */
	check_prep("\310\241", "\310\241");         /* not assigned in Unicode 3.2 */
	check_prep("\377\376", "\377\376");         /* not UTF-8 */
	check_prep("x\303", "x\303");
}

/* ---- secrets ---- */

static void
secrets_parse(void **state)
{
	static const char good[] = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
				   "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
				   "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
	static const char *const bad[] = {"", "SCRAM-SHA-256", "SCRAM-SHA-256$",
	    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==",
	    "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	    "SCRAM-SHA-256$99999999:W22ZaJ0SNY7soEsUEjb6gQ==$"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	    "SCRAM-SHA-256$4096:$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4g==:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	    "SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
	    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
	    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="};
	struct scram_secret s, want = secret_of("pencil");
	char longer[sizeof good + 1];

	(void)state;
	assert_int_equal(scram_secret_parse(slice_of(good), &s, &err), RC_OK);
	assert_int_equal(s.iterations, 4096);
	assert_int_equal(s.salt_len, 16);
	assert_memory_equal(s.stored_key, want.stored_key, SCRAM_KEY);
	assert_memory_equal(s.server_key, want.server_key, SCRAM_KEY);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect_err(scram_secret_parse(slice_of(bad[i]), &s, &err), "22023");
	snprintf(longer, sizeof longer, "%s ", good);
	expect_err(scram_secret_parse(slice_of(longer), &s, &err), "22023");
	for (size_t n = 0; n < sizeof good - 1; n++)
		expect_err(
		    scram_secret_parse((struct slice){good, n}, &s, &err), "22023");
}

static void
mock_salts_are_stable(void **state)
{
	struct scram_secret a, b, c;

	(void)state;
	assert_int_equal(scram_secret_mock(SLICE_LIT("joe"), &a, &err), RC_OK);
	assert_int_equal(scram_secret_mock(SLICE_LIT("joe"), &b, &err), RC_OK);
	assert_int_equal(scram_secret_mock(SLICE_LIT("jim"), &c, &err), RC_OK);
	assert_memory_equal(&a, &b, sizeof a);
	assert_memory_not_equal(a.salt, c.salt, 16);
	assert_int_equal(a.iterations, 4096);
}

static void
derive_refuses_absurd_numbers(void **state)
{
	struct scram_secret s;

	(void)state;
	expect_err(scram_secret_derive(SLICE_LIT("x"), NULL, 0, 0, &s, &err), "22023");
	expect_err(
	    scram_secret_derive(SLICE_LIT("x"), NULL, 0, 10000001, &s, &err), "22023");
	expect_err(scram_secret_derive(
		       SLICE_LIT("x"), (const unsigned char *)"", 129, 1, &s, &err),
	    "22023");
}

/* ---- server ---- */

struct login {
	struct scram_server server;
	struct msgbuf out;
	struct scram_keys keys;
};

static void
begin(struct login *l, const struct scram_secret *secret, struct slice cbind)
{
	memset(l, 0, sizeof *l);
	scram_server_init(&l->server, secret, false, cbind);
}

static void
end(struct login *l)
{
	scram_server_fini(&l->server);
	msgbuf_fini(&l->out);
}

static enum rc
first(struct login *l, const char *mechanism, const char *message)
{
	msgbuf_clear(&l->out);
	return scram_server_first(&l->server, slice_of(mechanism), slice_of(message),
	    SERVER_NONCE, &l->out, &err);
}

static enum rc
final(struct login *l, const char *message)
{
	msgbuf_clear(&l->out);
	return scram_server_final(&l->server, slice_of(message), &l->keys, &l->out, &err);
}

#define GOOD_FIRST "n,,n=user,r=" CLIENT_NONCE
#define GOOD_PROOF "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="

static void
rfc_7677(void **state)
{
	struct scram_secret secret = secret_of("pencil");
	struct login l;

	(void)state;
	begin(&l, &secret, no_binding);
	assert_int_equal(first(&l, SCRAM_PLAIN, GOOD_FIRST), RC_OK);
	assert_true(
	    slice_eq_str(text(&l.out), "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
	assert_int_equal(final(&l, "c=biws,r=" NONCES ",p=" GOOD_PROOF), RC_OK);
	assert_true(
	    slice_eq_str(text(&l.out), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
	/* once over, it is over */
	expect_err(final(&l, "c=biws,r=" NONCES ",p=" GOOD_PROOF), "08P01");
	end(&l);
}

static void
doomed_users_fail_with_the_right_proof(void **state)
{
	struct scram_secret secret = secret_of("pencil");
	struct login l;

	(void)state;
	begin(&l, &secret, no_binding);
	l.server.doomed = true;
	assert_int_equal(first(&l, SCRAM_PLAIN, GOOD_FIRST), RC_OK);
	expect_err(final(&l, "c=biws,r=" NONCES ",p=" GOOD_PROOF), "28P01");
	end(&l);
}

static void
bad_client_first(void **state)
{
	static const struct {
		const char *mechanism, *message, *sqlstate;
	} bad[] = {
	    {SCRAM_PLUS, GOOD_FIRST, "08P01"}, /* not offered */
	    {"SCRAM-SHA-1", GOOD_FIRST, "08P01"},
	    {"", GOOD_FIRST, "08P01"},
	    {SCRAM_PLAIN, "", "08P01"},
	    {SCRAM_PLAIN, "n", "08P01"},
	    {SCRAM_PLAIN, "n,", "08P01"},
	    {SCRAM_PLAIN, "n,,", "08P01"},
	    {SCRAM_PLAIN, "x,,n=,r=abc", "08P01"},
	    {SCRAM_PLAIN, "n,a=joe,n=,r=abc", "0A000"},
	    {SCRAM_PLAIN, "n,b=joe,n=,r=abc", "08P01"},
	    {SCRAM_PLAIN, "n,,m=x,n=,r=abc", "0A000"},
	    {SCRAM_PLAIN, "n,,r=abc", "08P01"},
	    {SCRAM_PLAIN, "n,,n=,", "08P01"},
	    {SCRAM_PLAIN, "n,,n=,r=", "08P01"},
	    {SCRAM_PLAIN, "n,,n=,r=a b", "08P01"},
	    {SCRAM_PLAIN, "n,,n=,r=\177", "08P01"},
	    {SCRAM_PLAIN, "n,,n=,r=\303\251", "08P01"},
	    {SCRAM_PLAIN, "n,,n=,r=abc,junk", "08P01"},
	    {SCRAM_PLAIN, "n,,n=,r=abc,1=x", "08P01"},
	    {SCRAM_PLAIN, "p=tls-server-end-point,,n=,r=abc", "08P01"},
	    {SCRAM_PLAIN, "p=tls-unique,,n=,r=abc", "08P01"},
	    {SCRAM_PLAIN, "p", "08P01"},
	};
	struct scram_secret secret = secret_of("pencil");
	struct login l;
	char longer[1100];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		begin(&l, &secret, no_binding);
		expect_err(first(&l, bad[i].mechanism, bad[i].message), bad[i].sqlstate);
		end(&l);
	}
	memset(longer, 'x', sizeof longer);
	memcpy(longer, "n,,n=,r=", 8);
	longer[1025] = 0;
	begin(&l, &secret, no_binding);
	expect_err(first(&l, SCRAM_PLAIN, longer), "08P01");
	end(&l);
	longer[1024] = 0;
	begin(&l, &secret, no_binding);
	assert_int_equal(first(&l, SCRAM_PLAIN, longer), RC_OK);
	end(&l);
	begin(&l, &secret, no_binding);
	expect_err(scram_server_first(&l.server, SLICE_LIT(SCRAM_PLAIN),
		       (struct slice){"n,,n=,r=a\0b", 11}, NULL, &l.out, &err),
	    "08P01");
	end(&l);
	/* final before first */
	begin(&l, &secret, no_binding);
	expect_err(final(&l, "c=biws,r=" NONCES ",p=" GOOD_PROOF), "08P01");
	end(&l);
}

static void
bad_client_final(void **state)
{
	static const struct {
		const char *message, *sqlstate;
	} bad[] = {
	    {"", "08P01"},
	    {"c", "08P01"},
	    {"c=biws", "08P01"},
	    {"c=biws,r=" NONCES, "08P01"},
	    {"c=biws,r=" NONCES ",p=", "08P01"},
	    {",p=" GOOD_PROOF, "08P01"},
	    {"p=" GOOD_PROOF, "08P01"},
	    {"c=biws,p=" GOOD_PROOF, "08P01"},
	    {"c=biws,r=" NONCES ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ",
		"08P01"},
	    {"c=biws,r=" NONCES ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVR=",
		"08P01"},
	    {"c=biws,r=" NONCES ",p=" GOOD_PROOF ",x=y", "08P01"},
	    {"c=biws,r=" NONCES "x,p=" GOOD_PROOF, "08P01"},
	    {"c=biws,r=" CLIENT_NONCE ",p=" GOOD_PROOF, "08P01"},
	    {"c=eSws,r=" NONCES ",p=" GOOD_PROOF, "08P01"},
	    {"c=,r=" NONCES ",p=" GOOD_PROOF, "08P01"},
	    {"r=" NONCES ",c=biws,p=" GOOD_PROOF, "08P01"},
	    {"c=biws,r=" NONCES ",x=y,p=" GOOD_PROOF,
		"28P01"}, /* well formed, but not what was signed */
	    {"c=biws,r=" NONCES ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"28P01"},
	};
	struct scram_secret secret = secret_of("pencil");
	struct login l;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		begin(&l, &secret, no_binding);
		assert_int_equal(first(&l, SCRAM_PLAIN, GOOD_FIRST), RC_OK);
		expect_err(final(&l, bad[i].message), bad[i].sqlstate);
		end(&l);
	}
}

static void
false_y_is_refused(void **state)
{
	struct scram_secret secret = secret_of("pencil");
	struct login l;

	(void)state;
	begin(&l, &secret, binding);
	expect_err(first(&l, SCRAM_PLAIN, "y,,n=,r=abc"), "28000");
	end(&l);
	/* true when we offered nothing */
	begin(&l, &secret, no_binding);
	assert_int_equal(first(&l, SCRAM_PLAIN, "y,,n=,r=abc"), RC_OK);
	end(&l);
	/* a client without channel binding may go on though we offered it */
	begin(&l, &secret, binding);
	assert_int_equal(first(&l, SCRAM_PLAIN, "n,,n=,r=abc"), RC_OK);
	end(&l);
	begin(&l, &secret, binding);
	expect_err(first(&l, SCRAM_PLUS, "n,,n=,r=abc"), "08P01");
	end(&l);
	begin(&l, &secret, binding);
	expect_err(first(&l, SCRAM_PLUS, "p=tls-unique,,n=,r=abc"), "08P01");
	end(&l);
}

/* ---- both roles ---- */

struct both {
	const char *server_password, *client_password;
	const struct scram_keys *keys;
	struct scram_known *known;
	enum scram_binding client_binding;
	struct slice client_cbind, server_cbind;
};

static enum rc
exchange(const struct both *b, struct scram_keys *keys)
{
	struct scram_secret secret = secret_of(b->server_password);
	struct scram_client c;
	struct login l;
	struct msgbuf m;
	enum rc rc;

	begin(&l, &secret, b->server_cbind);
	msgbuf_init(&m);
	scram_client_init(&c, slice_of(b->client_password), b->keys, b->known,
	    b->client_binding, b->client_cbind);
	rc = scram_client_first(&c, NULL, &m, &err);
	if (rc == RC_OK)
		rc = scram_server_first(&l.server, slice_of(scram_client_mechanism(&c)),
		    text(&m), NULL, &l.out, &err);
	msgbuf_clear(&m);
	if (rc == RC_OK)
		rc = scram_client_next(&c, text(&l.out), &m, &err);
	msgbuf_clear(&l.out);
	if (rc == RC_OK)
		rc = scram_server_final(&l.server, text(&m), keys, &l.out, &err);
	if (rc == RC_OK)
		rc = scram_client_final(&c, text(&l.out), &err);
	scram_client_fini(&c);
	msgbuf_fini(&m);
	end(&l);
	return rc;
}

static void
roles_agree(void **state)
{
	struct both b = {
	    "pencil", "pencil", NULL, NULL, SCRAM_BIND_NONE, {"", 0}, {"", 0}};
	struct scram_keys keys;

	(void)state;
	assert_int_equal(exchange(&b, &keys), RC_OK);
	b.client_binding = SCRAM_BIND_UNOFFERED;
	assert_int_equal(exchange(&b, &keys), RC_OK);
	b.client_password = "pencils";
	expect_err(exchange(&b, &keys), "28P01");
	/* prepared alike on both sides */
	b.server_password = "I\302\255X";
	b.client_password = "\342\205\250";
	assert_int_equal(exchange(&b, &keys), RC_OK);
}

static void
channel_binding(void **state)
{
	struct both b = {
	    "pencil", "pencil", NULL, NULL, SCRAM_BIND_END_POINT, binding, binding};
	struct scram_keys keys;

	(void)state;
	assert_int_equal(exchange(&b, &keys), RC_OK);
	b.client_cbind = SLICE_LIT("0123456789abcdef0123456789abcdeX");
	expect_err(exchange(&b, &keys), "28000");
	b.server_cbind = no_binding;
	expect_err(exchange(&b, &keys), "08P01");
	b.server_cbind = binding;
	b.client_binding = SCRAM_BIND_UNOFFERED;
	expect_err(exchange(&b, &keys), "28000");
}

static void
keys_pass_through(void **state)
{
	struct both b = {
	    "pencil", "pencil", NULL, NULL, SCRAM_BIND_NONE, {"", 0}, {"", 0}};
	struct scram_keys keys, again;

	(void)state;
	assert_int_equal(exchange(&b, &keys), RC_OK);
	b.client_password = "";
	b.keys = &keys;
	assert_int_equal(exchange(&b, &again), RC_OK);
	assert_memory_equal(&keys, &again, sizeof keys);
	keys.client_key[5] ^= 1;
	expect_err(exchange(&b, &again), "28P01");
}

static void
known_keys_are_kept_and_used(void **state)
{
	struct scram_known known = {0};
	struct both b = {
	    "pencil", "wrong", NULL, &known, SCRAM_BIND_NONE, {"", 0}, {"", 0}};
	struct scram_keys keys;

	(void)state;
	expect_err(exchange(&b, &keys), "28P01");
	assert_false(known.set);
	b.client_password = "pencil";
	assert_int_equal(exchange(&b, &keys), RC_OK);
	assert_true(known.set);
	assert_memory_equal(&known.keys, &keys, sizeof keys);
	/* now the password is not even looked at */
	b.client_password = "never used";
	assert_int_equal(exchange(&b, &keys), RC_OK);
	known.salt[0] ^= 1;
	expect_err(exchange(&b, &keys), "28P01");
}

/* ---- client against hostile servers ---- */

static enum rc
answer_first(const char *server_first)
{
	struct scram_client c;
	struct msgbuf m;
	enum rc rc;

	msgbuf_init(&m);
	scram_client_init(
	    &c, SLICE_LIT("pencil"), NULL, NULL, SCRAM_BIND_NONE, no_binding);
	assert_int_equal(scram_client_first(&c, CLIENT_NONCE, &m, &err), RC_OK);
	msgbuf_clear(&m);
	rc = scram_client_next(&c, slice_of(server_first), &m, &err);
	scram_client_fini(&c);
	msgbuf_fini(&m);
	return rc;
}

static void
hostile_server_first(void **state)
{
	static const char *const bad[] = {"", "r=", "r=" CLIENT_NONCE, "r=" NONCES,
	    "r=" CLIENT_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* nothing added */
	    "r=x" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=" NONCES ",s=,i=4096",
	    "r=" NONCES ",s=!!!!,i=4096",
	    "r=" NONCES ",i=4096,s=W22ZaJ0SNY7soEsUEjb6gQ==",
	    "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==",
	    "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=",
	    "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
	    "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1",
	    "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096x",
	    "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=10000001",
	    "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967297",
	    "r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999999999999999",
	    "r=" CLIENT_NONCE "\001,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"};
	char *big = malloc(20000);

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		expect_err(answer_first(bad[i]), "08P01");
	expect_err(
	    answer_first("m=x,r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), "0A000");
	assert_int_equal(
	    answer_first("r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), RC_OK);
	assert_int_equal(
	    answer_first("r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,z=new"), RC_OK);

	/* a nonce of 10000 characters is only long; a salt of 300 bytes, a message of
	 * 20000 are refused */
	sprintf(big, "r=%s%010000d,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1", NONCES, 7);
	assert_int_equal(answer_first(big), RC_OK);
	sprintf(big, "r=%s%019000d,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1", NONCES, 7);
	expect_err(answer_first(big), "08P01");
	sprintf(big, "r=%s,s=%0400d,i=1", NONCES, 7);
	expect_err(answer_first(big), "08P01");
	free(big);
}

static void
hostile_server_final(void **state)
{
	static const struct {
		const char *message, *sqlstate;
	} bad[] = {{"", "08P01"}, {"v=", "08P01"}, {"v=AAAA", "08P01"}, {"x=y", "08P01"},
	    {"e=invalid-proof", "28P01"},
	    {"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "28000"},
	    {"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=junk", "08P01"}};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct scram_client c;
		struct msgbuf m;

		msgbuf_init(&m);
		scram_client_init(
		    &c, SLICE_LIT("pencil"), NULL, NULL, SCRAM_BIND_NONE, no_binding);
		assert_int_equal(scram_client_first(&c, CLIENT_NONCE, &m, &err), RC_OK);
		assert_int_equal(
		    scram_client_next(&c,
			SLICE_LIT("r=" NONCES ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"), &m,
			&err),
		    RC_OK);
		expect_err(scram_client_final(&c, slice_of(bad[i].message), &err),
		    bad[i].sqlstate);
		scram_client_fini(&c);
		msgbuf_fini(&m);
	}
}

/* ---- md5 ---- */

static void
md5_passwords(void **state)
{
	static const unsigned char salt[4] = {1, 2, 3, 4};
	char hex[MD5_HEX], answer[MD5_TEXT];
	struct slice a = {answer, MD5_TEXT};

	(void)state;
	assert_int_equal(
	    md5_stored(SLICE_LIT("secret"), SLICE_LIT("joe"), hex, &err), RC_OK);
	/* select md5('secretjoe') */
	assert_memory_equal(hex, "c59ec932d911ffdf487595b5a2adf973", MD5_HEX);
	assert_int_equal(md5_answer(hex, salt, answer, &err), RC_OK);
	assert_int_equal(md5_check(hex, salt, a, &err), RC_OK);
	answer[34] = (char)(answer[34] == 'a' ? 'b' : 'a');
	expect_err(md5_check(hex, salt, a, &err), "28P01");
	a.len = 34;
	expect_err(md5_check(hex, salt, a, &err), "28P01");
	expect_err(md5_check(hex, salt, no_binding, &err), "28P01");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base64_round_trips),
	    cmocka_unit_test(base64_is_strict),
	    cmocka_unit_test(passwords_are_prepared),
	    cmocka_unit_test(secrets_parse),
	    cmocka_unit_test(mock_salts_are_stable),
	    cmocka_unit_test(derive_refuses_absurd_numbers),
	    cmocka_unit_test(rfc_7677),
	    cmocka_unit_test(doomed_users_fail_with_the_right_proof),
	    cmocka_unit_test(bad_client_first),
	    cmocka_unit_test(bad_client_final),
	    cmocka_unit_test(false_y_is_refused),
	    cmocka_unit_test(roles_agree),
	    cmocka_unit_test(channel_binding),
	    cmocka_unit_test(keys_pass_through),
	    cmocka_unit_test(known_keys_are_kept_and_used),
	    cmocka_unit_test(hostile_server_first),
	    cmocka_unit_test(hostile_server_final),
	    cmocka_unit_test(md5_passwords),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
