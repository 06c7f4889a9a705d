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
JOBS   := $(shell nproc)

# --- Debian packages: the only list ------------------------------------------------------------
BUILD_DEPS  = $(COMPILER) libc6-dev pkg-config libh2o-evloop-dev libssl-dev libyaml-dev \
	libidn2-dev libpsl-dev libsqlite3-dev libsystemd-dev libjansson-dev libldns-dev nettle-dev
RUN_DEPS   := curl openssl
# packaging/hooks/nsupdate, where it is used, needs python3-dnspython.
TEST_DEPS  := libcmocka-dev binutils python3 python3-pytest python3-yaml python3-dnspython \
	python3-cryptography postfix-mta-sts-resolver chasquid knot knot-dnsutils knot-dnssecutils \
	bind9-utils bind9-dnsutils nsd pdns-server pdns-backend-lmdb iproute2 util-linux systemd \
	libseccomp2 libfaketime chromium chromium-driver python3-selenium python3-html5lib \
	fonts-dejavu-core python3-markdown cmark-gfm jq strace nginx caddy haproxy zsh fish
# Taken from Debian only when the commands are missing: other packages provide them too.
NODE_DEPS  := nodejs npm
FUZZ_DEPS  := clang libclang-rt-14-dev llvm
BENCH_DEPS := python3 nginx haproxy h2o caddy gnuplot-nox
LINT_DEPS  := clang clang-format clang-tidy cppcheck shellcheck yamllint mandoc binutils python3 \
	libcmocka-dev

# --- Compiler ----------------------------------------------------------------------------------
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(BUILD)),clang,gcc)
endif
SANITIZERS := $(if $(filter asan tsan fuzz,$(BUILD)),libclang-rt-14-dev)
COMPILER   := $(if $(filter clang,$(CC)),clang $(SANITIZERS),gcc)

PKGS     := libh2o-evloop libssl libcrypto yaml-0.1 libidn2 libpsl sqlite3 libsystemd jansson ldns nettle
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
VERSION  := 0.1.0
CPPFLAGS += -Iinclude -I. -D_GNU_SOURCE -DH2O_USE_LIBUV=0 -DMTA_STSD_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu11 $(WARNINGS) $(FLAGS_$(BUILD))
LDFLAGS  += $(LINK_$(BUILD)) -Wl,--as-needed
# Asked by the shell that links: when the makefile is read, pkg-config may not be installed yet.
LDLIBS   = $$(pkg-config --libs $(PKGS)) -lpthread

# --- Sources -----------------------------------------------------------------------------------
CORE_DIRS  := base policy dns config
SHELL_DIRS := sys ledger tls snapshot http admin daemon cli
core_src   := $(sort $(wildcard $(CORE_DIRS:%=server/%/*.c)))
shell_src  := $(filter-out server/cli/main.c,$(sort $(wildcard $(SHELL_DIRS:%=server/%/*.c))))
unit_src   := $(sort $(wildcard tests/unit/test_*.c))
fuzz_src   := $(sort $(wildcard tests/fuzz/fuzz_*.c))
all_src    := $(sort $(wildcard server/*/*.c tests/*/*.c))
all_c      := $(all_src) $(sort $(wildcard include/mtasts/*.h server/*/*.h tests/*/*.h))
core_obj   := $(core_src:%.c=$(B)/%.o)
shell_obj  := $(shell_src:%.c=$(B)/%.o)
unit_bin   := $(unit_src:tests/unit/%.c=$(B)/tests/unit/%)
fuzz_names := $(fuzz_src:tests/fuzz/fuzz_%.c=%)
fuzz_bin   := $(fuzz_names:%=$(B)/tests/fuzz/fuzz_%)
replay_bin := $(fuzz_names:%=$(B)/tests/fuzz/replay_%)
bench_bin  := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(sort $(wildcard tests/bench/*.c)))
man_pages  := $(sort $(wildcard packaging/man/*.[1-9]))
libs       := $(B)/libshell.a $(B)/libmtasts.a
LINK       = $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^)

.PHONY: all everything help clean build-deps unit-deps deps test-deps node-deps fuzz-deps \
	lint-deps bench-deps unit unit-bins run test check integration bench bench-bins bench-plots \
	bench-reload layers replay replay-bins fuzz lint lint-format lint-tidy lint-cppcheck lint-shell \
	lint-yaml lint-man lint-gcc lint-clang install FORCE

all: $(B)/mta-stsd ## build the server

help: ## list the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'BUILD=release|debug|asan|tsan|fuzz   CC=gcc|clang   CI=1 (warnings are errors)   V=1'
	@echo 'PREFIX=/usr/local DESTDIR=           FUZZ_SECONDS=60   DEPS=no (packages are not installed)'

# --- Dependencies ------------------------------------------------------------------------------
# Installs what is missing of the packages given; silent and without network when nothing is.
# Targets that make runs at the same time wait for each other here, since apt-get refuses to.
# SYSTEMD_OFFLINE: servers among them are not started; the tests start their own.
define install_missing
	@[ '$(DEPS)' != no ] || exit 0; \
	exec 9<$(firstword $(MAKEFILE_LIST)) && flock 9; \
	have=" $$(dpkg-query -W -f='$${db:Status-Status}:$${Package} ' $(1) 2>/dev/null)"; missing=; \
	for package in $(1); do \
		[[ $$have == *" installed:$$package "* ]] || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null || \
		{ echo "no apt-get here to install, as Debian calls them:$$missing"; exit 0; }; \
	echo "installing from Debian:$$missing"; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -q >/dev/null && \
	$$sudo env DEBIAN_FRONTEND=noninteractive SYSTEMD_OFFLINE=1 \
		apt-get install -y -q --no-install-recommends $$missing >/dev/null
endef

# Every object waits for build-deps: whatever is made first on a new machine, `make -j install` too,
# finds a compiler.
build-deps:
	$(call install_missing,$(BUILD_DEPS))

unit-deps: build-deps
	$(call install_missing,libcmocka-dev)

deps: build-deps ## install what building and running need
	$(call install_missing,$(RUN_DEPS))

test-deps: deps node-deps ## install what the tests need
	$(call install_missing,$(TEST_DEPS))

node_modules := tests/integration/node/node_modules/.package-lock.json
node-deps:
	$(call install_missing,$(if $(shell command -v node && command -v npm),,$(NODE_DEPS)))
	@$(MAKE) -s --no-print-directory $(node_modules)

$(node_modules): tests/integration/node/package-lock.json
	@echo "npm ci in tests/integration/node"
	$(Q)cd tests/integration/node && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund
	@touch $@

fuzz-deps: deps
	$(call install_missing,$(FUZZ_DEPS))

bench-deps: deps ## install the web servers that `make bench` compares with
	$(call install_missing,$(BENCH_DEPS))

lint-deps: deps ## install what the linters need
	$(call install_missing,$(LINT_DEPS))

# --- Building ----------------------------------------------------------------------------------
everything: $(B)/mta-stsd unit-bins replay-bins bench-bins
unit-bins: $(unit_bin)
bench-bins: $(bench_bin)
replay-bins: $(replay_bin)

# Objects of other flags or another compiler are not mixed.
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(CPPFLAGS) $(filter-out -Werror,$(CFLAGS))' | cmp -s - $@ || \
		echo '$(CC) $(CPPFLAGS) $(filter-out -Werror,$(CFLAGS))' >$@

$(B)/libmtasts.a: $(core_obj)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/libshell.a: $(shell_obj)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/mta-stsd: $(B)/server/cli/main.o $(libs)
	@$(if $(V),,echo "  LINK $@")
	$(Q)$(LINK) $(LDLIBS)

$(B)/%.o: %.c $(B)/flags | build-deps
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC   $<")
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(unit_src:%.c=$(B)/%.o): | unit-deps

$(B)/server/dns/page.o: server/dns/page.css server/dns/page.js

$(B)/tests/unit/%: $(B)/tests/unit/%.o $(libs)
	@$(if $(V),,echo "  LINK $@")
	$(Q)$(LINK) $(LDLIBS) -lcmocka

$(B)/tests/bench/%: $(B)/tests/bench/%.o
	@$(if $(V),,echo "  LINK $@")
	$(Q)$(LINK) -lssl -lcrypto -lpthread

$(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(libs)
	@$(if $(V),,echo "  LINK $@")
	$(Q)$(LINK) $(LDLIBS)

$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(libs)
	@$(if $(V),,echo "  LINK $@")
	$(Q)$(LINK) -fsanitize=fuzzer $(LDLIBS)

# --- Trying out and testing --------------------------------------------------------------------
run: deps ## build, make throw-away certificates, serve config/run.yaml on a free port
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@certs-example/run-example.sh $(B)/mta-stsd config/run.yaml

test: test-deps ## everything: unit, fixtures, integration, sanitizers, fuzz replay
	@tests/run_all.py full

check: test-deps ## the quick part of the tests
	@tests/run_all.py quick

unit: unit-bins ## the unit tests of this BUILD
	@$(MAKE) --no-print-directory -k -Otarget $(unit_bin:%=%.run)

$(unit_bin:%=%.run): %.run: %
	@$<

integration: all test-deps ## the integration tests with this BUILD; ARGS="-k name" for pytest
	@MTA_STSD=$(abspath $(B)/mta-stsd) tests/integration/run $(ARGS)

bench-reload: all test-deps ## how soon changes are served, and at what cost; ARGS="--scale 0.1"
	@MTA_STSD=$(abspath $(B)/mta-stsd) tests/bench/reload.py $(ARGS)

N ?= 1000
bench: all bench-bins bench-deps ## N tenants, beside nginx, HAProxy, h2o and Caddy; ARGS="--help"
	@MTA_STSD=$(abspath $(B)/mta-stsd) BENCH_BIN=$(abspath $(B)/tests/bench) \
		tests/bench/bench.py --tenants $(N) $(ARGS)

bench-plots: ## tests/bench/*.svg from the results of `make bench` with several N
	$(call install_missing,gnuplot-nox)
	@tests/bench/plot.py

layers: $(B)/libmtasts.a ## which folder uses what
	$(call install_missing,python3 binutils)
	@tests/layers/check.py $<

# In shell: the corpus of $$n; the golden cases are good beginnings for configurations.
seeds = tests/fuzz/corpus/$$n $$([ $$n != config ] || echo tests/fixtures)
replay: replay-bins ## feed each fuzz corpus to its target
	@set -e; for n in $(fuzz_names); do $(B)/tests/fuzz/replay_$$n $(seeds); done

FUZZ_SECONDS ?= 60
ifeq ($(BUILD),fuzz)
fuzz: fuzz-deps $(fuzz_bin)
	@set -e; for n in $(fuzz_names); do \
		found=$(B)/corpus/$$n; mkdir -p $$found $(B)/crashes; dict=tests/fuzz/$$n.dict; \
		echo "fuzzing $$n for $(FUZZ_SECONDS) s"; \
		$(B)/tests/fuzz/fuzz_$$n -max_total_time=$(FUZZ_SECONDS) -timeout=10 -verbosity=0 \
			-print_final_stats=1 -artifact_prefix=$(B)/crashes/$$n- \
			$$([ ! -e $$dict ] || echo -dict=$$dict) $$found $(seeds); \
	done
else
fuzz: ## fuzz each target for FUZZ_SECONDS with libFuzzer
	@$(MAKE) --no-print-directory BUILD=fuzz fuzz
endif

# --- Lint --------------------------------------------------------------------------------------
scripts = $(shell grep -rlE --exclude-dir=node_modules --exclude-dir=out '^\#!.*\b(ba)?sh\b' \
	$(wildcard certs-example tests packaging .ci))

lint: lint-deps ## all linters
	@$(MAKE) --no-print-directory -k -j$(JOBS) -Otarget lint-format lint-tidy lint-cppcheck \
		lint-shell lint-yaml lint-man layers lint-gcc lint-clang && echo "lint: nothing found"

lint-format:
	@clang-format --dry-run -Werror $(all_c)

lint-tidy:
	@printf '%s\n' $(filter server/% tests/fuzz/%,$(all_src)) | xargs -P $(JOBS) -I{} \
		clang-tidy --quiet --warnings-as-errors='*' {} -- -std=gnu11 $(CPPFLAGS) \
		2> >(grep -v 'warnings\? generated' >&2)

lint-cppcheck:
	@cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j $(JOBS) \
		--enable=warning,portability,performance --suppress=missingIncludeSystem \
		--suppress=readdirCalled \
		--library=posix -Iinclude -I. -D_GNU_SOURCE -DH2O_USE_LIBUV=0 server

lint-shell:
	@shellcheck $(scripts)

lint-yaml:
	@yamllint --strict .

lint-man:
	@[ -z "$(man_pages)" ] || mandoc -Tlint -W warning $(man_pages)

# Both compilers, every warning an error, objects of their own.
lint-gcc lint-clang: lint-%:
	@$(MAKE) --no-print-directory CI=1 CC=$* B=build/lint-$* everything >/dev/null

# --- Installing --------------------------------------------------------------------------------
bindir  := $(DESTDIR)$(PREFIX)/bin
datadir := $(DESTDIR)$(PREFIX)/share
# What is installed names the hooks where they are.
relocate := sed -i 's,/usr/share/mta-stsd,$(PREFIX)/share/mta-stsd,'

# What root compiles in another's checkout is given to that user, whose next make must be able to
# write it.
install: all ## to DESTDIR and PREFIX: program, manual, examples, hooks, completions, service unit
	@if [ "$$(id -u)" = 0 ] && [ "$$(stat -c %u .)" != 0 ]; then \
		[ ! -d build ] || chown --reference=. build; chown -R --reference=. $(B); fi
	install -D -m 755 $(B)/mta-stsd $(bindir)/mta-stsd
	install -d $(DESTDIR)/etc/mta-stsd
	@set -e; for page in $(man_pages); do \
		to=$(datadir)/man/man$${page##*.}/$${page##*/}; \
		install -v -D -m 644 $$page $$to; $(relocate) $$to; done
	@set -e; for file in $(wildcard config/*.yaml config/tenants.d/*.yaml); do \
		to=$(datadir)/doc/mta-stsd/examples/$${file#config/}; install -v -D -m 644 $$file $$to; \
		$(relocate) $$to; done
	@set -e; for file in $(wildcard packaging/hooks/*); do \
		to=$(datadir)/mta-stsd/hooks/$${file##*/}; mode=644; [ ! -x $$file ] || mode=755; \
		install -v -D -m $$mode $$file $$to; $(relocate) $$to; done
	@set -e; for file in $(wildcard packaging/completions/*); do case $$file in \
		*.bash) to=bash-completion/completions/mta-stsd ;; \
		*/_*) to=zsh/site-functions/_mta-stsd ;; \
		*.fish) to=fish/vendor_completions.d/mta-stsd.fish ;; \
		*) continue ;; esac; install -v -D -m 644 $$file $(datadir)/$$to; done
	@set -e; for unit in $(wildcard packaging/systemd/*.service packaging/systemd/*.socket); do \
		to=$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}; install -v -D -m 644 $$unit $$to; \
		sed -i 's,/usr/bin/mta-stsd,$(PREFIX)/bin/mta-stsd,' $$to; done
	install -D -m 644 packaging/systemd/mta-stsd.sysusers.conf \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d/mta-stsd.conf
	$(if $(DESTDIR),,$(make_user))

# On this machine also the user of the unit, who takes over the state of a version that ran as root.
# With a user of the operator's own the state is not root's, and stays that user's.
state := /var/lib/mta-stsd
define make_user
	@set -e; if command -v systemd-sysusers >/dev/null; then \
		systemd-sysusers $(PREFIX)/lib/sysusers.d/mta-stsd.conf; \
	elif ! id mta-stsd >/dev/null 2>&1; then \
		useradd --system --user-group --no-create-home --home-dir $(state) \
			--shell /usr/sbin/nologin mta-stsd; \
	fi; \
	install -d -m 700 $$([ -e $(state) ] || echo -o mta-stsd -g mta-stsd) $(state); \
	if [ "$$(stat -c %u $(state))" = 0 ]; then \
		echo "$(state) was root's and is given to mta-stsd"; \
		chown -hR mta-stsd:mta-stsd $(state); \
	fi
endef

clean: ## remove everything that was built
	rm -rf build certs-example/out tests/integration/node/node_modules

-include $(shell find $(B) -name '*.d' 2>/dev/null)
