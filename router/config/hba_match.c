/* router/config/hba_match.c: which access rule is a client's: the first that fits in all
 * its columns. Pure. */
#include "router/config/hba_rule.h"

#include <netinet/in.h>

static bool
names_fit(const struct hba_names *names, struct slice name, const struct hba_client *c,
    bool databases)
{
	for (int i = 0; i < names->n; i++) {
		const struct hba_name *n = &names->items[i];
		bool physical = databases && c->replication;

		/* physical replication names no database: only the word for it fits */
		if (n->word == HBA_REPLICATION    ? physical
			: physical                ? false
			: n->word == HBA_ALL      ? true
			: n->word == HBA_SAMEUSER ? slice_eq(c->database, c->user)
						  : slice_eq(n->text, name))
			return true;
	}
	return false;
}

/* IPv4 within IPv6 counts as IPv4, as a socket may listen for both. */
static int
address_of(const struct sockaddr *sa, unsigned char *bytes)
{
	static const unsigned char mapped[12] = {
	    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (sa->sa_family == AF_INET) {
		memcpy(
		    bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
		return AF_INET;
	}
	if (sa->sa_family != AF_INET6)
		return AF_UNSPEC;
	memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	if (memcmp(bytes, mapped, sizeof mapped) != 0)
		return AF_INET6;
	memmove(bytes, bytes + 12, 4);
	return AF_INET;
}

static bool
net_has(const struct hba_net *net, int family, const unsigned char *bytes)
{
	int len = family == AF_INET ? 4 : 16;

	if (net->family != family)
		return false;
	for (int i = 0; i < len; i++)
		if ((net->addr[i] ^ bytes[i]) & net->mask[i])
			return false;
	return true;
}

static bool
address_fits(const struct hba_rule *r, const struct sockaddr *sa)
{
	unsigned char bytes[16] = {0};
	int family = address_of(sa, bytes);

	if (family == AF_UNSPEC)
		return false;
	if (r->any_address)
		return true;
	for (int i = 0; i < r->nets.n; i++)
		if (net_has(&r->nets.items[i], family, bytes))
			return true;
	return false;
}

static bool
rule_fits(const struct hba_rule *r, const struct hba_client *c)
{
	if ((r->conn == HBA_LOCAL) != (c->addr == NULL))
		return false;
	if ((r->conn == HBA_HOSTSSL && !c->tls) || (r->conn == HBA_HOSTNOSSL && c->tls))
		return false;
	return (c->addr == NULL || address_fits(r, c->addr)) &&
	    names_fit(&r->databases, c->database, c, true) &&
	    names_fit(&r->users, c->user, c, false);
}

struct hba_result
hba_match(const struct hba *hba, const struct hba_client *c)
{
	for (int i = 0; i < hba->n_rules; i++) {
		const struct hba_rule *r = &hba->rules[i];

		if (rule_fits(r, c))
			return (struct hba_result){
			    r->method, r->client_cert, r->map, r->line};
	}
	return (struct hba_result){.method = HBA_REJECT};
}
