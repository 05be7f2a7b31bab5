/* router/session/login.h: what a client's login needs until it is done; shared by startup.c, auth.c, auth_query.c and login.c only. */
#ifndef WEIR_ROUTER_SESSION_LOGIN_H
#define WEIR_ROUTER_SESSION_LOGIN_H

#include "router/config/hba.h"
#include "router/session/session.h"
#include "wire/scram.h"
#include "wire/secret.h"
#include "wire/startup.h"

struct auth_job;

struct client_login {
	char *in; /* bytes not worked through */
	size_t have;
	char *packet; /* the start-up packet, which `start` points into */
	struct arena arena;
	struct startup start;
	bool ssl_asked, gss_asked, gss_done;
	bool handshake; /* TLS is being agreed */
	bool direct;    /* TLS without SSLRequest */
	bool wants_password;
	bool replication;
	/* ---- auth.c ---- */
	enum hba_method method;
	const struct secret *secret; /* NULL: unknown user */
	struct secret fetched;       /* by auth_query */
	bool has_fetched;
	unsigned char salt[4];
	struct scram_server scram;
	bool scram_begun, scram_first_done;
	struct scram_secret mock;
	struct auth_job *job; /* auth_query under way */
	struct scram_keys keys;
	bool has_keys;
	char *password; /* sent in clear; heap */
};

/* ---- auth.c: the start-up packet is there ---- */
void auth_begin(struct session *);
void auth_message(struct session *, const struct read_msg *);
void auth_end(struct client_login *);
/* The user's secret is known, or that there is none. */
void auth_choose_method(struct session *);
/* ---- auth_query.c ---- */
/* False: there is nobody to ask. */
bool auth_query_start(struct session *);
void auth_query_forget(struct auth_job *);
/* ---- login.c ---- */
/* Takes the packet's settings over. */
enum rc login_settings(struct session *, struct err *) WARN_UNUSED;
/* Authenticated: what servers report is still needed. */
void login_need_server(struct session *);
void login_replication(struct session *);

#endif
