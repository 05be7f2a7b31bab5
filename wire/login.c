/* The login as a step function: one message of the server in, bytes to send out.
 * Everything a server says before ReadyForQuery is hostile until proven otherwise: each
 * message has a place where it may stand, and after SASL began there is no way in without
 * the server's own proof. */
#include "wire/login.h"

#include <ctype.h>
#include <stdio.h>

#include <openssl/crypto.h>

#include "wire/md5.h"

#define PARAMS_MAX 200 /* settings a server may report; PostgreSQL has about fifteen */

enum auth_code {
	AUTH_OK = 0,
	AUTH_CLEARTEXT = 3,
	AUTH_MD5 = 5,
	AUTH_SASL = 10,
	AUTH_SASL_CONTINUE = 11,
	AUTH_SASL_FINAL = 12
};

enum rc
login_init(struct login *l, const struct login_ask *ask, bool tls, bool local,
    struct slice cbind, struct err *e)
{
	uint32_t proto = ask->proto != 0 ? ask->proto : PROTO_3_2;

	memset(l, 0, sizeof *l);
	l->ask = ask;
	l->secure = tls || local;
	l->proto = proto;
	if (tls && cbind.len > 0 && cbind.len <= sizeof l->cbind) {
		memcpy(l->cbind, cbind.ptr, cbind.len);
		l->cbind_len = cbind.len;
	}
	arena_init(&l->arena);
	msgbuf_init(&l->out);
	msg_begin(&l->out, 0);
	msg_int32(&l->out, (int32_t)proto);
	msg_str(&l->out, "user");
	msg_str(&l->out, ask->user);
	if (ask->database != NULL) {
		msg_str(&l->out, "database");
		msg_str(&l->out, ask->database);
	}
	for (size_t i = 0; ask->params != NULL && ask->params[i] != NULL; i += 2) {
		msg_str(&l->out, ask->params[i]);
		msg_str(&l->out, ask->params[i + 1]);
	}
	msg_byte(&l->out, 0);
	msg_end(&l->out);
	if (l->out.len <= STARTUP_PACKET_MAX)
		return RC_OK;
	l->state = LOGIN_FAILED;
	return err_set(e, "54000", BLAST_SESSION,
	    "start-up parameters for the server are longer than %d bytes",
	    STARTUP_PACKET_MAX);
}

void
login_sent(struct login *l)
{
	if (l->out.len > 0)
		OPENSSL_cleanse(l->out.data, l->out.len);
	msgbuf_clear(&l->out);
}

void
login_fini(struct login *l)
{
	login_sent(l);
	msgbuf_fini(&l->out);
	scram_client_fini(&l->scram);
	arena_reset(&l->arena);
}

static enum rc
nonsense(const char *what, struct err *e)
{
	return err_set(e, "08P01", BLAST_SESSION,
	    "the server broke the protocol at login: %s", what);
}

static enum rc
cannot(const char *what, struct err *e)
{
	return err_set(e, "28000", BLAST_SESSION, "the server asks for %s", what);
}

/* ---- answers ---- */

static void
answer_text(struct login *l, const char *text, size_t len)
{
	msg_begin(&l->out, 'p');
	msg_slice_str(&l->out, (struct slice){text, len});
	msg_end(&l->out);
	l->state = LOGIN_ANSWERED;
}

static enum rc
answer_cleartext(struct login *l, struct err *e)
{
	if (l->ask->password == NULL)
		return cannot("a password, and none is known", e);
	if (!l->secure && !l->ask->allow_cleartext)
		return cannot("the password in clear text without TLS: refused", e);
	answer_text(l, l->ask->password, strlen(l->ask->password));
	return RC_AGAIN;
}

static enum rc
answer_md5(struct login *l, struct msgread *r, struct err *e)
{
	struct slice salt = read_bytes(r, MD5_SALT);
	char hex[MD5_HEX], text[MD5_TEXT];
	enum rc rc = RC_OK;

	if (r->bad || read_left(r) > 0)
		return nonsense("salt of md5", e);
	if (l->ask->password != NULL)
		rc = md5_stored(
		    slice_of(l->ask->password), slice_of(l->ask->user), hex, e);
	else if (l->ask->md5 != NULL && strlen(l->ask->md5) == MD5_TEXT)
		memcpy(hex, l->ask->md5 + 3, MD5_HEX);
	else
		return cannot(
		    "an md5 password, and neither password nor hash is known", e);
	if (rc == RC_OK)
		rc = md5_answer(hex, (const unsigned char *)salt.ptr, text, e);
	if (rc == RC_OK)
		answer_text(l, text, sizeof text);
	OPENSSL_cleanse(hex, sizeof hex);
	OPENSSL_cleanse(text, sizeof text);
	return rc == RC_OK ? RC_AGAIN : rc;
}

static enum rc
choose_mechanism(struct msgread *r, bool *plain, bool *plus, struct err *e)
{
	*plain = *plus = false;
	for (;;) {
		struct slice name = read_str(r);

		if (r->bad)
			return nonsense("list of SASL mechanisms", e);
		if (name.len == 0)
			break;
		*plain |= slice_eq_str(name, SCRAM_PLAIN);
		*plus |= slice_eq_str(name, SCRAM_PLUS);
	}
	return read_left(r) == 0 ? RC_OK : nonsense("list of SASL mechanisms", e);
}

static enum rc
start_sasl(struct login *l, struct msgread *r, struct err *e)
{
	const struct login_ask *a = l->ask;
	enum scram_binding binding = SCRAM_BIND_NONE;
	struct msgbuf first;
	bool plain, plus;
	enum rc rc;

	if (choose_mechanism(r, &plain, &plus, e) != RC_OK)
		return RC_ERR;
	if (a->password == NULL && a->keys == NULL)
		return cannot("SCRAM, and neither password nor keys are known", e);
	if (l->cbind_len > 0)
		binding = plus ? SCRAM_BIND_END_POINT : SCRAM_BIND_UNOFFERED;
	if (binding != SCRAM_BIND_END_POINT && !plain)
		return cannot("a SASL mechanism that is not supported", e);
	scram_client_init(&l->scram, slice_of(a->password != NULL ? a->password : ""),
	    a->keys, a->known, binding,
	    (struct slice){(const char *)l->cbind, l->cbind_len});
	msgbuf_init(&first);
	rc = scram_client_first(&l->scram, NULL, &first, e);
	if (rc == RC_OK) {
		msg_begin(&l->out, 'p');
		msg_str(&l->out, scram_client_mechanism(&l->scram));
		msg_int32(&l->out, (int32_t)first.len);
		msg_bytes(&l->out, first.data, first.len);
		msg_end(&l->out);
		l->state = LOGIN_SASL;
		rc = RC_AGAIN;
	}
	msgbuf_fini(&first);
	return rc;
}

static enum rc
continue_sasl(struct login *l, struct msgread *r, struct err *e)
{
	size_t n = read_left(r);
	enum rc rc;

	msg_begin(&l->out, 'p');
	rc = scram_client_next(&l->scram, read_bytes(r, n), &l->out, e);
	if (rc != RC_OK)
		return rc;
	msg_end(&l->out);
	l->state = LOGIN_SASL_FINAL;
	return RC_AGAIN;
}

static enum rc
finish_sasl(struct login *l, struct msgread *r, struct err *e)
{
	size_t n = read_left(r);

	if (scram_client_final(&l->scram, read_bytes(r, n), e) != RC_OK)
		return RC_ERR;
	l->state = LOGIN_ANSWERED;
	return RC_AGAIN;
}

static enum rc
on_auth_request(struct login *l, struct msgread *r, int32_t code, struct err *e)
{
	switch (code) {
	case AUTH_OK:
		l->state = LOGIN_WELCOME;
		return RC_AGAIN;
	case AUTH_CLEARTEXT:
		return answer_cleartext(l, e);
	case AUTH_MD5:
		return answer_md5(l, r, e);
	case AUTH_SASL:
		return start_sasl(l, r, e);
	default:
		return err_set(e, "28000", BLAST_SESSION,
		    "the server asks for authentication method %d, which is not "
		    "supported",
		    code);
	}
}

static enum rc
on_auth(struct login *l, struct slice body, struct err *e)
{
	struct msgread r = msgread_of(body);
	int32_t code = read_int32(&r);

	if (r.bad)
		return nonsense("authentication request", e);
	if (l->state == LOGIN_ASKED)
		return on_auth_request(l, &r, code, e);
	if (l->state == LOGIN_SASL && code == AUTH_SASL_CONTINUE)
		return continue_sasl(l, &r, e);
	if (l->state == LOGIN_SASL_FINAL && code == AUTH_SASL_FINAL)
		return finish_sasl(l, &r, e);
	if (l->state == LOGIN_ANSWERED && code == AUTH_OK) {
		l->state = LOGIN_WELCOME;
		return RC_AGAIN;
	}
	return nonsense("authentication out of order", e);
}

/* ---- the rest ---- */

/* Copies text for a log line or an error: no control characters, no half of a UTF-8
 * character at the end. */
static void
copy_text(char *out, size_t size, struct slice s)
{
	size_t n = s.len < size - 1 ? s.len : size - 1;

	if (n < s.len)
		while (n > 0 && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
			n--;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(iscntrl((unsigned char)s.ptr[i]) ? ' ' : s.ptr[i]);
	out[n] = '\0';
}

static bool
is_sqlstate(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.ptr[i] >= '0' && s.ptr[i] <= '9') &&
		    !(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z'))
			return false;
	return s.len == 5;
}

static enum rc
on_error(struct login *l, struct slice body, struct err *e)
{
	struct slice state = msg_error_field(body, 'C'),
		     text = msg_error_field(body, 'M');

	l->server_error = true;
	(void)err_set(
	    e, "08P01", BLAST_SESSION, "the server refused the login without a reason");
	if (is_sqlstate(state))
		memcpy(e->sqlstate, state.ptr, 5);
	if (text.len > 0)
		copy_text(e->msg, sizeof e->msg, text);
	copy_text(e->hint, sizeof e->hint, msg_error_field(body, 'H'));
	return RC_ERR;
}

static enum rc
on_parameter(struct login *l, struct slice body, struct err *e)
{
	struct msgread r = msgread_of(body);
	struct slice name = read_str(&r), value = read_str(&r);
	size_t i;

	if (r.bad || read_left(&r) > 0 || name.len == 0)
		return nonsense("ParameterStatus", e);
	value.ptr = arena_strndup(&l->arena, value.ptr, value.len);
	for (i = 0; i < l->n_params; i++)
		if (slice_eq(l->params[i].name, name))
			break;
	if (i == PARAMS_MAX)
		return nonsense("too many parameters", e);
	if (i == l->cap_params) {
		size_t cap = l->cap_params == 0 ? 32 : l->cap_params * 2;
		struct startup_param *more =
		    ARENA_NEW_N(&l->arena, struct startup_param, cap);

		if (i > 0)
			memcpy(more, l->params, i * sizeof *more);
		l->params = more;
		l->cap_params = cap;
	}
	if (i == l->n_params) {
		l->params[i].name.ptr = arena_strndup(&l->arena, name.ptr, name.len);
		l->params[i].name.len = name.len;
		l->n_params++;
	}
	l->params[i].value = value;
	return RC_AGAIN;
}

static enum rc
on_key(struct login *l, struct slice body, struct err *e)
{
	struct msgread r = msgread_of(body);
	uint32_t pid = (uint32_t)read_int32(&r);
	struct slice key = read_bytes(&r, read_left(&r));

	if (r.bad || key.len < CANCEL_KEY_MIN || key.len > CANCEL_KEY_MAX)
		return nonsense("BackendKeyData", e);
	l->pid = pid;
	l->key_len = key.len;
	memcpy(l->key, key.ptr, key.len);
	return RC_AGAIN;
}

static enum rc
on_negotiate(struct login *l, struct slice body, struct err *e)
{
	struct msgread r = msgread_of(body);
	uint32_t version = (uint32_t)read_int32(&r);
	int32_t unknown = read_int32(&r);

	/* The message's documentation says "minor version", servers send the whole. */
	if (version <= 0xffff)
		version |= PROTO_3_0;
	if (r.bad || read_left(&r) > 0 || unknown != 0 || l->negotiated ||
	    PROTO_MAJOR(version) != 3 || version > l->proto)
		return nonsense("NegotiateProtocolVersion", e);
	l->negotiated = true;
	l->proto = version;
	return RC_AGAIN;
}

static enum rc
on_ready(struct login *l, struct slice body, struct err *e)
{
	if (!slice_eq_str(body, "I"))
		return nonsense("ReadyForQuery", e);
	l->state = LOGIN_DONE;
	return RC_OK;
}

static enum rc
dispatch(struct login *l, const struct read_msg *m, struct err *e)
{
	bool welcome = l->state == LOGIN_WELCOME;

	if (l->state == LOGIN_DONE || l->state == LOGIN_FAILED)
		return nonsense("message after the end", e);
	l->bytes += m->len;
	if (l->bytes > LOGIN_BYTES_MAX)
		return nonsense("more than 1 MB before ReadyForQuery", e);
	if (m->type == 'E')
		return on_error(l, m->body, e);
	if (m->type == 'N') {
		l->notices++;
		return RC_AGAIN;
	}
	if (m->type == 'R' && !welcome)
		return on_auth(l, m->body, e);
	if (m->type == 'v' && l->state == LOGIN_ASKED)
		return on_negotiate(l, m->body, e);
	if (m->type == 'S' && welcome)
		return on_parameter(l, m->body, e);
	if (m->type == 'K' && welcome)
		return on_key(l, m->body, e);
	if (m->type == 'Z' && welcome)
		return on_ready(l, m->body, e);
	return nonsense("a message that does not belong there", e);
}

enum rc
login_step(struct login *l, const struct read_msg *m, struct err *e)
{
	enum rc rc = dispatch(l, m, e);

	if (rc == RC_ERR) {
		l->state = LOGIN_FAILED;
		login_sent(l);
	}
	return rc;
}
