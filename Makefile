# mta-stsd: one makefile for everything. `make help` lists the targets.
#
# Objects go to build/$(BUILD)/; sources are found by folder, so a new file needs no line here.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.SECONDARY:
SHELL := /bin/bash

BUILD  ?= release
PREFIX ?= /usr/local
B      := build/$(BUILD)
Q      := $(if $(V),,@)

# --- Debian packages: the only list ------------------------------------------------------------
BUILD_DEPS := gcc libc6-dev pkg-config libh2o-evloop-dev libssl-dev libyaml-dev libidn2-dev \
	libpsl-dev libsqlite3-dev libsystemd-dev libjansson-dev
RUN_DEPS   := curl openssl
TEST_DEPS  := libcmocka-dev clang libclang-rt-14-dev llvm python3 python3-pytest \
	python3-yaml python3-dnspython python3-cryptography postfix-mta-sts-resolver chasquid \
	knot knot-dnsutils iproute2 util-linux
LINT_DEPS  := clang-format clang-tidy cppcheck shellcheck yamllint mandoc binutils

# --- Compiler ----------------------------------------------------------------------------------
ifeq ($(BUILD),fuzz)
CC := clang
endif
ifeq ($(origin CC),default)
CC := gcc
endif

PKGS     := libh2o-evloop libssl libcrypto yaml-0.1 libidn2 libpsl sqlite3 libsystemd jansson
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wformat=2 -Wundef -Wvla
ifneq ($(CI),)
WARNINGS += -Werror
endif

HARDENING := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 $(HARDENING)
FLAGS_debug   := -O0 -g3 $(HARDENING)
FLAGS_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
FLAGS_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
FLAGS_fuzz    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link \
	-fno-sanitize-recover=all
LINK_release  := -pie -Wl,-z,relro,-z,now,-z,noexecstack
LINK_debug    := $(LINK_release)
LINK_asan     := -fsanitize=address,undefined
LINK_tsan     := -fsanitize=thread
LINK_fuzz     := -fsanitize=address,undefined

# H2O_USE_LIBUV=0: the pkg-config file forgets it, and the wrong layout corrupts memory.
CPPFLAGS += -Iinclude -I. -D_GNU_SOURCE -DH2O_USE_LIBUV=0
CFLAGS   += -std=gnu11 $(WARNINGS) $(FLAGS_$(BUILD))
LDFLAGS  += $(LINK_$(BUILD)) -Wl,--as-needed
LDLIBS   = $(shell pkg-config --libs $(PKGS)) -lpthread

# --- Sources -----------------------------------------------------------------------------------
CORE_DIRS  := base policy dns config
SHELL_DIRS := sys ledger tls snapshot http daemon cli
core_src   := $(sort $(wildcard $(CORE_DIRS:%=server/%/*.c)))
shell_src  := $(filter-out server/cli/main.c,$(sort $(wildcard $(SHELL_DIRS:%=server/%/*.c))))
unit_src   := $(sort $(wildcard tests/unit/test_*.c))
core_obj   := $(core_src:%.c=$(B)/%.o)
shell_obj  := $(shell_src:%.c=$(B)/%.o)
unit_bin   := $(unit_src:tests/unit/%.c=$(B)/tests/unit/%)

.PHONY: all help clean deps test-deps unit

all: $(B)/mta-stsd ## build the server

help: ## list the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(B)/libmtasts.a: $(core_obj)
	@mkdir -p $(@D) && rm -f $@
	$(Q)ar rcs $@ $^

$(B)/libshell.a: $(shell_obj)
	@mkdir -p $(@D) && rm -f $@
	$(Q)ar rcs $@ $^

$(B)/mta-stsd: $(B)/server/cli/main.o $(B)/libshell.a $(B)/libmtasts.a
	@$(if $(V),,echo "  LINK $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC   $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(B)/libshell.a $(B)/libmtasts.a
	@$(if $(V),,echo "  LINK $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

unit: $(unit_bin) ## build and run the unit tests
	@set -e; for t in $(unit_bin); do $$t; done

clean: ## remove everything that was built
	rm -rf build certs-example/out

-include $(shell find $(B) -name '*.d' 2>/dev/null)
