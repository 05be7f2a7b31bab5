/* weir txn list|resolve: transactions that are prepared on the shards and whose end nobody has seen to. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/commands.h"
#include "router/recovery/pass.h"

static const char help[] =
    "Usage: weir txn list -c FILE [-d DATABASE]\n"
    "       weir txn resolve -c FILE [-d DATABASE] (GID | --all)\n"
    "       weir txn resolve -c FILE [-d DATABASE] GID --force commit|rollback\n\n"
    "list     shows the prepared transactions of Weir's on all shards: where each is, its anchor, age, and the\n"
    "         verdict that stands on the anchor.\n"
    "resolve  does for one (its gid, or its key for all its participants) or for --all what a running Weir does by\n"
    "         itself: asks the anchor, where 'abort' is written if no verdict stands there yet, and finishes it.\n\n"
    "  -c, --config FILE    the configuration\n"
    "  -d, --database NAME  this database alone\n"
    "  -a, --all            all that are older than recovery_grace\n"
    "      --force VERB     commit or roll back without asking the anchor: for one that is lost for good. The other\n"
    "                       participants must get the same\n"
    "  -h, --help           this text\n\n"
    "Exit status: 0 nothing is in doubt (any more), 1 something is, 2 wrong usage.\n";

struct args {
	const char *file, *database, *gid, *force;
	bool list, all;
};

static bool
read_option(struct args *a, int c)
{
	switch (c) {
	case 'c':
		a->file = optarg;
		return true;
	case 'd':
		a->database = optarg;
		return true;
	case 'f':
		a->force = optarg;
		return true;
	case 'a':
		a->all = true;
		return true;
	default:
		return false;
	}
}

static bool
consistent(const struct args *a)
{
	if (a->file == NULL)
		return false;
	if (a->list)
		return a->gid == NULL && !a->all && a->force == NULL;
	if (a->force != NULL && strcmp(a->force, "commit") != 0 &&
	    strcmp(a->force, "rollback") != 0)
		return false;
	return (a->gid != NULL) != a->all && !(a->all && a->force != NULL);
}

static bool
read_args(int argc, char **argv, struct args *a)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
	    {"database", required_argument, NULL, 'd'}, {"all", no_argument, NULL, 'a'},
	    {"force", required_argument, NULL, 'f'}, {NULL, 0, NULL, 0}};
	int c;

	if (argc < 2 || (strcmp(argv[1], "list") != 0 && strcmp(argv[1], "resolve") != 0))
		return false;
	a->list = strcmp(argv[1], "list") == 0;
	optind = 2;
	while ((c = getopt_long(argc, argv, "c:d:a", options, NULL)) != -1)
		if (!read_option(a, c))
			return false;
	if (optind < argc)
		a->gid = argv[optind++];
	return optind == argc && consistent(a);
}

/* ---- one database ---- */

static void
print_head(void)
{
	printf("%-12s %-8s %-8s %8s  %-8s %-10s %s\n", "database", "shard", "anchor",
	    "age_s", "verdict", "owner", "gid");
}

static const char *
verdict_name(enum txn_verdict v)
{
	return v == TXN_VERDICT_COMMIT ? "commit"
	    : v == TXN_VERDICT_ABORT   ? "abort"
				       : "none";
}

static void
print_found(const struct site *s, const struct found *f)
{
	const char *anchor = f->anchor;
	const char *verdict = verdict_name(f->verdict);

	if (anchor == NULL)
		anchor = verdict = "?";
	printf("%-12s %-8s %-8s %8.0f  %-8s %-10s %s\n", s->cluster->name, f->shard,
	    anchor, f->age_s, verdict, f->owner, f->gid);
}

static void
print_result(const struct site *s, const struct found *f)
{
	printf("%s/%s: %s: %s: %s%s%s\n", s->cluster->name, f->shard, f->gid,
	    recover_result_name(f->result), recover_result_text(f->result),
	    f->error[0] == '\0' ? "" : ": ", f->error);
}

static bool
is_meant(const struct args *a, const struct found *f)
{
	if (f->foreign_database)
		return false;
	if (a->all)
		return !f->young;
	return strcmp(a->gid, f->gid) == 0 || strcmp(a->gid, f->key) == 0;
}

static void
resolve(const struct args *a, struct pass *p, struct found *f)
{
	if (a->force == NULL)
		pass_recover(p, f);
	else
		pass_force(p, f,
		    strcmp(a->force, "commit") == 0 ? TXN_VERDICT_COMMIT
						    : TXN_VERDICT_ABORT);
	print_result(p->site, f);
}

struct sums {
	int seen, left, unreachable;
};

static void
look_at(const struct args *a, struct cluster *c, struct sums *sums)
{
	struct site *s = site_create(c);
	struct pass p;

	site_learn(s);
	pass_init(&p, s);
	pass_list(&p);
	for (int i = 0; i < p.n; i++) {
		struct found *f = &p.found[i];

		if (a->list && !f->foreign_database) {
			pass_look(&p, f);
			if (sums->seen == 0)
				print_head();
			print_found(s, f);
		} else if (a->list || !is_meant(a, f)) {
			continue;
		} else {
			resolve(a, &p, f);
		}
		sums->seen++;
		sums->left += !f->tried || !recover_result_done(f->result);
	}
	for (int i = 0; i < s->n; i++)
		if (s->shards[i].error[0] != '\0')
			fprintf(stderr, "weir: %s/%s: %s\n", c->name, s->shards[i].name,
			    s->shards[i].error);
	sums->unreachable += p.unreachable;
	pass_fini(&p);
	site_destroy(s);
}

static int
sum_up(const struct args *a, const struct sums *s)
{
	if (a->gid != NULL && s->seen == 0)
		fprintf(stderr, "weir: %s is not prepared on any shard%s\n", a->gid,
		    s->unreachable > 0 ? " that could be asked" : "");
	else if (s->seen == 0)
		printf("no transaction is in doubt%s\n",
		    s->unreachable > 0 ? " on the shards that could be asked" : "");
	return s->left > 0 || s->unreachable > 0 || (a->gid != NULL && s->seen == 0);
}

static int
run(struct config *config, const struct args *a)
{
	struct snapshot *snap = snapshot_create(config, NULL);
	struct cluster *named =
	    a->database == NULL ? NULL : snapshot_cluster(snap, slice_of(a->database));
	struct sums sums = {0};
	int code = 1;

	if (a->database != NULL && named == NULL) {
		fprintf(stderr, "weir: there is no database \"%s\"\n", a->database);
	} else {
		for (int i = 0; i < snap->n; i++) {
			struct cluster *c = snap->clusters[i];

			if (named != NULL ? c == named : c->n_shards > 1)
				look_at(a, c, &sums);
		}
		code = sum_up(a, &sums);
	}
	cluster_unref(named);
	snapshot_unref(snap);
	return code;
}

int
command_txn(int argc, char **argv)
{
	struct args a = {0};
	struct config *config;
	int code;

	if (command_help(argc, argv, help))
		return 0;
	if (!read_args(argc, argv, &a)) {
		fputs(help, stderr);
		return 2;
	}
	config = command_load(a.file);
	if (config == NULL)
		return 1;
	code = run(config, &a);
	config_unref(config);
	return code;
}
