/* router/config/hba_rule.h: the inside of struct hba. Private to hba.c, hba_ident.c and
 * hba_match.c. */
#ifndef WEIR_ROUTER_CONFIG_HBA_RULE_H
#define WEIR_ROUTER_CONFIG_HBA_RULE_H

#include <regex.h>

#include "base/arena.h"
#include "router/config/hba.h"

enum hba_word { HBA_NAME, HBA_ALL, HBA_SAMEUSER, HBA_REPLICATION };

struct hba_name {
	enum hba_word word;
	struct slice text;
};

struct hba_names {
	struct hba_name *items;
	int n, cap;
};

/* family AF_INET uses the first four bytes */
struct hba_net {
	int family;
	unsigned char addr[16], mask[16];
};

struct hba_nets {
	struct hba_net *items;
	int n, cap;
};

enum hba_conn { HBA_LOCAL, HBA_HOST, HBA_HOSTSSL, HBA_HOSTNOSSL };

struct hba_rule {
	enum hba_conn conn;
	struct hba_names databases, users;
	bool any_address;
	struct hba_nets nets;
	enum hba_method method;
	enum hba_client_cert client_cert;
	const char *map;
	int line;
};

struct ident_line {
	const char *map;
	const char *system_name;
	regex_t *regex; /* instead of system_name */
	const char *user;
};

struct hba {
	struct arena arena;
	struct hba_rule *rules;
	int n_rules, cap_rules;
	struct ident_line *idents;
	int n_idents, cap_idents;
	struct hba_nets same_host, same_net; /* this machine's, when the file was read */
};

/* A word of a line: `quoted` words are never keywords. */
struct hba_token {
	struct slice text;
	bool quoted;
	bool more; /* a comma follows */
};

/* Moves *line past one word; false: the line (or its uncommented part) is at its end.
 * *line has no newline. */
bool hba_next_token(struct slice *line, struct hba_token *, struct arena *);
/* Moves *text past one line, joined with those that follow a backslash at its end; false:
 * the text is at its end. *line_no is that of the line, *next_no that of the one after
 * it. */
bool hba_next_line(
    struct slice *text, struct slice *line, int *line_no, int *next_no, struct arena *);
/* Room for one more of `size` bytes in an array in the arena. */
void *hba_grow(struct arena *, void *items, int n, int *cap, size_t size);

/* hba_ident.c */
void hba_parse_ident(
    struct hba *, struct slice text, const char *path, struct config_report *);
bool hba_has_map(const struct hba *, const char *map);

#endif
