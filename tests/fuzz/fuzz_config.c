/* Configuration files, access rules and maps of user names: any bytes give a
 * configuration or mistakes, never a crash. The first byte says which of them the rest
 * is. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "router/config/config.h"
#include "router/config/hba.h"

static void
count(const char *name, const char *value, const char *default_value, bool changeable,
    void *arg)
{
	(void)changeable;
	*(size_t *)arg += strlen(name) + strlen(value) + strlen(default_value);
}

/* What was accepted must be usable. */
static void
use(struct config *cfg)
{
	struct config *changed;
	struct err err;
	size_t n = 0;

	config_show(cfg, count, &n);
	for (int i = 0; i < cfg->n_databases; i++) {
		const struct db_conf *db = &cfg->databases[i];

		if (config_database(cfg, slice_of(db->name)) != db || db->map == NULL ||
		    db->n_shards < 1 || db->shards[0].primary == NULL)
			abort();
	}
	if (config_with(cfg, slice_of("pool_size"), slice_of("7"), &changed, &err) !=
	    RC_OK)
		abort();
	config_unref(changed);
	config_unref(cfg);
}

static void
fuzz_file(const char *text, size_t size)
{
	struct config_report report;
	struct config *cfg;
	struct err err;
	char path[40];
	int fd = memfd_create("conf", MFD_CLOEXEC);

	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	config_report_init(&report);
	if (config_load(path, &cfg, &report, &err) == RC_OK)
		use(cfg);
	else if (report.n_errors == 0)
		abort();
	config_report_fini(&report);
	close(fd);
}

static void
fuzz_hba(struct slice text)
{
	static const unsigned char address[16] = {2, 0, 0, 0, 10};
	struct config_report report;
	const char *zero = memchr(text.ptr, '\0', text.len);
	struct slice ident = {"", 0};
	struct hba *hba;

	if (zero != NULL) {
		ident =
		    (struct slice){zero + 1, text.len - (size_t)(zero + 1 - text.ptr)};
		text.len = (size_t)(zero - text.ptr);
	}
	config_report_init(&report);
	hba = hba_parse(text, ident, NULL, "ident", &report);
	if (hba != NULL) {
		struct hba_client c = {(const struct sockaddr *)(const void *)address,
		    true, false, slice_of("db"), slice_of("user")};

		(void)hba_match(hba, &c);
		c.addr = NULL;
		(void)hba_match(hba, &c);
		(void)hba_map_allows(hba, "m", slice_of("name"), slice_of("user"));
		hba_destroy(hba);
	}
	config_report_fini(&report);
}

static void
fuzz_value(struct slice text)
{
	struct arena a;
	struct settings values, again;
	struct err err;

	arena_init(&a);
	settings_defaults(&config_settings, &values, &a);
	settings_defaults(&config_settings, &again, &a);
	for (int i = 0; i < config_settings.n; i++) {
		const struct setting *s = &config_settings.settings[i];

		if (setting_parse(s, &values, text, &a, &err) != RC_OK)
			continue;
		/* what is shown reads back as the same */
		if (setting_parse(s, &again, slice_of(setting_text(s, &values, &a)), &a,
			&err) != RC_OK ||
		    !setting_equal(s, &values, &again))
			abort();
	}
	arena_reset(&a);
}

/* libconfig loses a string that has no end. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data + 1, size - 1};

	if (size == 0 || size > 65536)
		return 0;
	if (data[0] % 4 == 0)
		fuzz_hba(text);
	else if (data[0] % 4 == 1)
		fuzz_value(text);
	else
		fuzz_file(text.ptr, text.len);
	return 0;
}
