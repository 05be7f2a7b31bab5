# Weir. One Makefile, non-recursive; `make help` lists what it makes.
# MODE=release (default) | asan | tsan | fuzz | debug chooses the build; objects go to build/$(MODE).
# CI=true turns warnings into errors. CC, CFLAGS, LDFLAGS, PREFIX and DESTDIR are as everywhere.

MODE ?= release
ifeq ($(origin CC),default)
CC := gcc
endif
B := build/$(MODE)
VERSION := 0.1.0

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -fno-common
CFLAGS_release := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
CFLAGS_debug := -O0 -g3 -DWEIR_DEBUG
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined -DWEIR_DEBUG -DWEIR_FAULTS
CFLAGS_tsan := -O1 -g -fsanitize=thread -DWEIR_DEBUG -DWEIR_FAULTS
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
LDFLAGS_release := -pie -Wl,-z,relro,-z,now
LDFLAGS_asan := -fsanitize=address,undefined
LDFLAGS_tsan := -fsanitize=thread
LDFLAGS_fuzz := -fsanitize=fuzzer,address,undefined
ifeq ($(MODE),fuzz)
CC := clang
endif
WERROR := $(if $(filter-out false 0,$(CI)),-Werror)
INC := -I. -I$(B)/gen -I/usr/include/postgresql
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' $(WARN) $(WERROR) $(CFLAGS_$(MODE)) $(INC) $(CFLAGS)
LIBS := -lidn -lpg_query -lprotobuf-c -lxxhash -lpq -lconfig -luring -lssl -lcrypto -lidn -lmicrohttpd -ljansson -lresolv -lpthread -lm
export VERSION

# ---- objects: one archive a folder, in the order of the layers (the linker reads them from the top down) ----
FOLDERS := router/admin router/recovery router/session router/config pool router/plan router/route router/sql router/txn wire base
SRC = $(wildcard $(1)/*.c)
OBJ = $(patsubst %.c,$(B)/%.o,$(call SRC,$(1)))
LIB = $(B)/lib$(subst /,-,$(1)).a
ALL_LIBS := $(foreach f,$(FOLDERS),$(if $(call SRC,$(f)),$(call LIB,$(f))))
# the archives that a test of folder $(1) links: its own and those below it
BELOW = $(if $(filter base,$(1)),base,$(if $(filter wire,$(1)),wire base,$(if $(filter router/sql router/txn,$(1)),$(1) base,$(if $(filter router/route,$(1)),router/route router/sql wire base,$(if $(filter router/plan,$(1)),router/plan router/route router/sql wire base,$(if $(filter pool,$(1)),pool wire base,$(FOLDERS)))))))
LIBS_BELOW = $(foreach f,$(call BELOW,$(1)),$(if $(call SRC,$(f)),$(call LIB,$(f))))

.PHONY: all
all: weir
weir: $(B)/weir
	@ln -sf $(B)/weir weir

TOP_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard router/*.c))
$(B)/weir: $(TOP_OBJ) $(ALL_LIBS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_$(MODE)) $(LDFLAGS) -o $@ $^ $(LIBS)

define FOLDER_RULE
$(call LIB,$(1)): $(call OBJ,$(1))
	@rm -f $$@
	@ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call FOLDER_RULE,$(f))))

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# ---- unit tests: tests/unit/FOLDER/test_NAME.c, each a program of its own on cmocka ----
UNIT_SRC := $(shell find tests/unit tests/plan -name 'test_*.c' 2>/dev/null | sort)
UNIT_BIN := $(patsubst %.c,$(B)/%,$(UNIT_SRC))
FOLDER_OF = $(patsubst tests/unit/%,%,$(patsubst %/,%,$(dir $(1))))
define UNIT_RULE
$(B)/$(basename $(1)): $(B)/$(basename $(1)).o $(call LIBS_BELOW,$(call FOLDER_OF,$(1)))
	$$(CC) $$(CFLAGS_ALL) $$(LDFLAGS_$$(MODE)) $$(LDFLAGS) -o $$@ $$^ -lcmocka $$(LIBS)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call UNIT_RULE,$(t))))

.PHONY: unit
unit: $(UNIT_BIN)
	@tests/run-unit $(UNIT_BIN)
# one test: make unit-one T=tests/unit/base/test_timer.c
.PHONY: unit-one
unit-one: $(B)/$(basename $(T))
	$<

# ---- fuzz targets: tests/fuzz/fuzz_NAME.c, by clang; they link what is pure, and the protocol ----
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(FUZZ_SRC))
FUZZ_LIBS := $(foreach f,$(filter-out router/admin router/recovery router/session,$(FOLDERS)),$(if $(call SRC,$(f)),$(call LIB,$(f))))
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(FUZZ_LIBS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_$(MODE)) $(LDFLAGS) -o $@ $^ $(LIBS)
.PHONY: fuzz-build
fuzz-build: $(FUZZ_BIN)

# ---- the simulator: router/txn as it is, but for the mutants that it can be told to have ----
SIM := $(B)/tests/sim/sim
SIM_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/sim/*.c)) $(patsubst %.c,$(B)/tests/sim/%.o,$(filter-out router/txn/registry.c,$(call SRC,router/txn)))
$(B)/tests/sim/router/txn/%.o: router/txn/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -include tests/sim/mutant.h -MMD -MP -c -o $@ $<
$(SIM): $(SIM_OBJ) $(call LIB,base)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_$(MODE)) $(LDFLAGS) -o $@ $^ $(LIBS)
SEEDS ?= 10000
.PHONY: sim
sim: $(SIM)
	@$(SIM) --seeds $(SEEDS)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- what people type ----
PREFIX ?= /usr/local


.PHONY: help demo demo-stop test coverage-sql lint bench fuzz soak install uninstall clean compile_commands.json
help:
	@echo 'make              ./weir'
	@echo 'make demo         a shop over two shards with replicas, behind Weir; says what to try'
	@echo 'make demo-stop    takes it down'
	@echo 'make test         everything, against real servers; the last line counts'
	@echo 'make coverage-sql what share of SQL over several shards is answered, by subject'
	@echo 'make unit         unit tests (MODE=asan: under sanitizers; unit-one T=tests/unit/…/test_x.c: one of them)'
	@echo 'make sim          simulates commits over shards with faults: SEEDS runs (default 10000)'
	@echo 'make lint         format, who includes whom, clang-tidy'
	@echo 'make fuzz         every fuzz target for FUZZ_SECONDS (default 60)'
	@echo 'make soak         all tests on both event loops and under ThreadSanitizer, lint in full, longer fuzzing'
	@echo 'make bench        measures against PgBouncer, HAProxy and others; writes docs/benchmarks.md (QUICK=1: a minute)'
	@echo 'make install      to PREFIX (default /usr/local), under DESTDIR'
	@echo 'make clean'

demo:
	@tools/packages build servers
	@$(MAKE) --no-print-directory weir
	@tools/demo start
demo-stop:
	@tools/demo stop

test:
	@tools/packages build servers test-drivers lint
	@tests/run
coverage-sql:
	@$(MAKE) --no-print-directory -s MODE=asan build/asan/weir
	@tests/differential/run --why
lint:
	@tools/lint
fuzz:
	@tests/fuzz/run
soak:
	@tests/soak
bench:
	@tools/packages build servers
	@$(MAKE) --no-print-directory weir
	@tests/bench/run $(if $(QUICK),--quick)

INSTALL := install
EXAMPLES := $(wildcard configs/*.conf configs/*.map configs/*.txt)
install: weir
	$(INSTALL) -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/man/man8' '$(DESTDIR)$(PREFIX)/share/doc/weir/examples'
	$(INSTALL) -m 755 $(B)/weir '$(DESTDIR)$(PREFIX)/bin/weir'
	$(INSTALL) -m 644 docs/weir.8 '$(DESTDIR)$(PREFIX)/share/man/man8/weir.8'
	$(INSTALL) -m 644 $(wildcard docs/*.md) '$(DESTDIR)$(PREFIX)/share/doc/weir/'
	$(INSTALL) -m 644 $(EXAMPLES) '$(DESTDIR)$(PREFIX)/share/doc/weir/examples/'
uninstall:
	rm -f '$(DESTDIR)$(PREFIX)/bin/weir' '$(DESTDIR)$(PREFIX)/share/man/man8/weir.8'
	rm -rf '$(DESTDIR)$(PREFIX)/share/doc/weir'

# for editors and clang-tidy
compile_commands.json:
	@tools/compile-commands >$@.new
	@mv $@.new $@

clean:
	rm -rf build weir compile_commands.json
