# Weir. One Makefile, non-recursive.
#   make            ./weir                     make demo       a local fleet to try it on
#   make test       everything, real servers   make demo-stop  takes the demo down
#   make lint       format, layers, clang-tidy make bench      measures
# MODE=release (default) | asan | tsan | fuzz | debug chooses the build; objects go to build/$(MODE).

MODE ?= release
CC ?= gcc
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
WERROR := $(if $(CI),-Werror)
INC := -I. -I$(B)/gen -I/usr/include/postgresql
CFLAGS_ALL := -std=gnu11 -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' $(WARN) $(WERROR) $(CFLAGS_$(MODE)) $(INC) $(CFLAGS)
LIBS := -lidn -lpg_query -lprotobuf-c -lxxhash -lpq -lconfig -luring -lssl -lcrypto -lidn -lmicrohttpd -ljansson -lresolv -lpthread -lm
export VERSION

# ---- objects: one archive a folder, in the order of the layers (the linker reads them from the top down) ----
FOLDERS := router/admin router/session router/config pool router/plan router/route router/sql wire base
SRC = $(wildcard $(1)/*.c)
OBJ = $(patsubst %.c,$(B)/%.o,$(call SRC,$(1)))
LIB = $(B)/lib$(subst /,-,$(1)).a
ALL_LIBS := $(foreach f,$(FOLDERS),$(if $(call SRC,$(f)),$(call LIB,$(f))))
# the archives that a test of folder $(1) links: its own and those below it
BELOW = $(if $(filter base,$(1)),base,$(if $(filter wire,$(1)),wire base,$(if $(filter router/sql,$(1)),router/sql base,$(if $(filter router/route,$(1)),router/route router/sql wire base,$(if $(filter router/plan,$(1)),router/plan router/route router/sql wire base,$(if $(filter pool,$(1)),pool wire base,$(FOLDERS)))))))
LIBS_BELOW = $(foreach f,$(call BELOW,$(1)),$(if $(call SRC,$(f)),$(call LIB,$(f))))

.PHONY: all
all: weir
weir: $(B)/weir
	@ln -sf $(B)/weir weir

TOP_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard router/*.c))
$(B)/weir: $(TOP_OBJ) $(ALL_LIBS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_$(MODE)) -o $@ $^ $(LIBS)

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
	$$(CC) $$(CFLAGS_ALL) $$(LDFLAGS_$$(MODE)) -o $$@ $$^ -lcmocka $$(LIBS)
endef
$(foreach t,$(UNIT_SRC),$(eval $(call UNIT_RULE,$(t))))

.PHONY: unit
unit: $(UNIT_BIN)
	@tests/run-unit $(UNIT_BIN)
# one test: make unit-one T=tests/unit/base/test_timer.c
.PHONY: unit-one
unit-one: $(B)/$(basename $(T))
	$<

# ---- fuzz targets: tests/fuzz/fuzz_NAME.c ----
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(patsubst %.c,$(B)/%,$(FUZZ_SRC))
$(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(ALL_LIBS)
	$(CC) $(CFLAGS_ALL) $(LDFLAGS_$(MODE)) -o $@ $^ $(LIBS)
.PHONY: fuzz-build
fuzz-build: $(FUZZ_BIN)

-include $(shell find build -name '*.d' 2>/dev/null)

.PHONY: clean
clean:
	rm -rf build weir
