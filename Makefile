# enma - one non-recursive GNU Makefile.
#
#   make            build everything under build/
#   make run        install what is missing, build, start enma and show one message going through
#   make check      install what is missing, build, run all tests
#   make SAN=address,undefined check       the same under sanitizers, in a build folder of its own
#   make SAN=thread check
#   make bench      throughput, CPU and memory, beside a null filter in the same run
#   make bench-cache    what the shared cache costs
#   make bench-engines  what canonical forms, hashes and signature checks cost, beside bare OpenSSL
#   make install DESTDIR= PREFIX=/usr/local
#
# There is no configure step: pkg-config names the libraries, run-time settings do the rest.

.DEFAULT_GOAL := all
# Another make(1) that did not read BSDmakefile first stops here and says what is needed; for GNU make this is an idle rule.
NOT_GNU_MAKE = yes
.include "BSDmakefile" :

PREFIX     ?= /usr/local
SBINDIR    ?= $(PREFIX)/sbin
BINDIR     ?= $(PREFIX)/bin
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/enma
SYSCONFDIR ?= $(if $(filter /usr,$(PREFIX)),/etc,$(PREFIX)/etc)
UNITDIR    ?= $(if $(filter /usr,$(PREFIX)),/lib/systemd/system,$(PREFIX)/lib/systemd/system)
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d

VERSION := 2.0.0
SAN     ?=
comma   := ,
B       ?= build$(if $(SAN),-$(subst $(comma),-,$(SAN)))

CC       ?= cc
CFLAGS   ?= -O2 -g
STD      := -std=c11 -D_GNU_SOURCE
WARN     := -Wall -Wextra -Wshadow -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wundef
HARD     := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
LINKHARD := -pie -Wl,-z,relro,-z,now
ifdef CI
WARN     += -Werror
endif
ifneq ($(SAN),)
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all
CPPFLAGS += -DENMA_ARENA_MALLOC=1
endif

# Packages whose flags are needed, by what links them.  libmilter has no .pc file.
PKG_COMMON := libunbound libevent libidn2 libpsl lmdb libcrypto
PKG_MASTER := libsystemd
PKG_TOOLS  := jansson
PKG_TEST   := cmocka jansson
pc_cflags   = $(shell pkg-config --cflags $(1) 2>/dev/null)
pc_libs     = $(shell pkg-config --libs $(1) 2>/dev/null)
ALL_CFLAGS  = $(STD) $(WARN) $(HARD) $(SANFLAGS) $(CFLAGS) -pthread -I. -I$(B) $(CPPFLAGS)
ALL_LDFLAGS = $(LINKHARD) $(SANFLAGS) $(LDFLAGS) -pthread
LIB_COMMON := $(call pc_libs,$(PKG_COMMON))
LIB_TOOLS  := $(call pc_libs,$(PKG_TOOLS))

COMMON_SRC := $(sort $(wildcard common/*/*.c) $(wildcard cache/*.c))
# The daemon: supervisor and worker roles in one program.  Files named <tool>*.c are tools of their own.
ENMA_SRC   := $(sort $(filter-out master/enmactl%,$(wildcard master/*.c)) \
                     $(filter-out worker/enmacheck%,$(wildcard worker/*.c)))
CTL_SRC    := $(sort $(wildcard master/enmactl*.c))
# enmacheck runs the worker's own policy and printing, without a milter.
CHECK_SRC  := $(sort $(wildcard worker/enmacheck*.c) $(wildcard $(patsubst %,worker/%.c,policy report message resolver results exclusion mechanisms)))
UNIT       := $(patsubst t/unit/%.c,$(B)/t/%,$(sort $(wildcard t/unit/test_*.c)))
TOOLS      := $(patsubst t/tools/%.c,$(B)/t/%,$(sort $(wildcard t/tools/*.c)))
FUZZ       := $(patsubst t/fuzz/%.c,$(B)/t/%,$(sort $(wildcard t/fuzz/fuzz_*.c)))
PROGRAMS   := $(B)/enma $(B)/enmactl $(B)/enmacheck
# doc/enma.8 is installed as man8/enma.8, doc/ja/enma.8 as ja/man8/enma.8.
MANUALS    := $(sort $(wildcard doc/*.[158] doc/ja/*.[158]))
manual      = $(patsubst doc/%,%,$(dir $(1)))man$(patsubst .%,%,$(suffix $(1)))/$(notdir $(1))

obj = $(patsubst %.c,$(B)/%.o,$(1))

# A locale that is not installed is nobody's concern here.
export PERL_BADLANG := 0

.PHONY: all run check check-unit check-programs bench bench-cache bench-engines bench-tools docs lint fuzz install uninstall clean deps test-tools FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PROGRAMS)

$(B)/libenma.a: $(call obj,$(COMMON_SRC))
	@rm -f $@
	$(AR) rcs $@ $^

$(B)/enma: $(call obj,$(ENMA_SRC)) $(B)/libenma.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -lmilter $(call pc_libs,$(PKG_MASTER)) $(LIB_COMMON)

$(B)/enmactl: $(call obj,$(CTL_SRC)) $(B)/libenma.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_TOOLS) $(LIB_COMMON)

$(B)/enmacheck: $(call obj,$(CHECK_SRC)) $(B)/libenma.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_TOOLS) $(LIB_COMMON)

$(B)/%.o: %.c | $(B)/version.h
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# What the programs know of the installation: written again when it changes, for example by `make install PREFIX=/usr`.
$(B)/version.h: FORCE | $(B)/.deps
	@printf '#define ENMA_VERSION "%s"\n#define ENMA_SYSCONFDIR "%s"\n' '$(VERSION)' '$(SYSCONFDIR)' > $@.$$$$ && \
	    if cmp -s $@.$$$$ $@ 2>/dev/null; then rm $@.$$$$; else mv $@.$$$$ $@; fi

$(B)/.deps: scripts/deps
	@scripts/deps verify
	@mkdir -p $(@D) && touch $@ || { echo "enma: cannot write to $(@D): use another folder with make B=FOLDER" >&2; exit 1; }

FORCE:

UNIT_EXTRA_test_totals   := master/totals.c
# ---- tests -----------------------------------------------------------------------------------
# A unit test that needs a file of worker/ or master/ names it: UNIT_EXTRA_test_policy = worker/policy.c
UNIT_EXTRA_test_policy   := worker/policy.c
UNIT_EXTRA_test_report   := worker/report.c worker/policy.c
UNIT_EXTRA_test_brake    := master/brake.c
UNIT_EXTRA_test_ratio    := master/ratio.c
UNIT_EXTRA_test_cachespace := master/cachespace.c master/outcome.c
UNIT_EXTRA_test_child    := master/child.c master/sig.c
UNIT_EXTRA_test_session  := worker/session.c worker/message.c worker/slots.c worker/apply.c worker/account.c worker/policy.c worker/report.c worker/results.c
UNIT_EXTRA_test_slots    := worker/slots.c

$(UNIT): $(B)/t/%: $(B)/t/unit/%.o $(B)/libenma.a
	$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(B)/libenma.a $(call pc_libs,$(PKG_TEST)) $(LIB_COMMON)
$(foreach u,$(notdir $(UNIT)),$(if $(UNIT_EXTRA_$(u)),$(eval $(B)/t/$(u): $(call obj,$(wildcard $(UNIT_EXTRA_$(u)))))))

$(TOOLS): $(B)/t/%: $(B)/t/tools/%.o $(B)/libenma.a
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $< $(B)/libenma.a $(if $(findstring nullmilter,$@),-lmilter) $(call pc_libs,$(PKG_TEST)) $(LIB_COMMON)

# `make check` replays the corpus through every fuzz target; `make fuzz` searches with libFuzzer (clang).
$(FUZZ): $(B)/t/%: $(B)/t/fuzz/%.o $(B)/t/fuzz/replay.o $(B)/libenma.a
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIB_COMMON)

test-tools: $(TOOLS) $(UNIT) $(FUZZ)

deps:
	@scripts/deps build

# Everything below is built by a fresh make, so that pkg-config is asked again after the installation.  `exec`: a TERM for
# make goes on to the script, not to a shell in between.
check:
	@scripts/deps check
	@scripts/e2e-deps || [ $$? -eq 77 ]
	@$(MAKE) --no-print-directory -j2 SAN=$(SAN) check-programs
	@exec env SAN=$(SAN) ENMA_BUILD=$(B) scripts/check

check-programs: all test-tools

run:
	@scripts/deps build
	@$(MAKE) --no-print-directory -j2 all
	@exec env ENMA_BUILD=$(B) scripts/run

bench:
	@scripts/deps check
	@$(MAKE) --no-print-directory -j2 all test-tools
	@exec env ENMA_BUILD=$(B) perl -It/lib t/bench/bench.pl

bench-cache:
	@scripts/deps check
	@$(MAKE) --no-print-directory -j2 $(B)/t/benchcache
	@exec $(B)/t/benchcache

bench-engines:
	@scripts/deps check
	@$(MAKE) --no-print-directory -j2 $(B)/t/benchengine
	@exec $(B)/t/benchengine

fuzz:
	@scripts/fuzz

# Generated text: the sample configuration and the options part of enma.conf(5), in both languages.
docs: $(B)/t/gendocs
	@ENMA_BUILD=$(B) scripts/gen-docs

lint:
	@scripts/check-layers
	@mandoc -Tlint -Wwarning -K utf-8 $(MANUALS)

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(BINDIR) $(DESTDIR)$(SYSCONFDIR)/enma $(DESTDIR)$(DOCDIR) \
	    $(foreach s,1 5 8,$(DESTDIR)$(MANDIR)/man$s $(DESTDIR)$(MANDIR)/ja/man$s) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR)
	install -m 755 $(B)/enma $(B)/enmactl $(DESTDIR)$(SBINDIR)
	install -m 755 $(B)/enmacheck $(DESTDIR)$(BINDIR)
	$(foreach m,$(MANUALS),install -m 644 $m $(DESTDIR)$(MANDIR)/$(call manual,$m) &&) :
	install -m 644 README.md README.ja.md LICENSE CHANGES doc/*.md $(DESTDIR)$(DOCDIR)
	sed -e 's|@SBINDIR@|$(SBINDIR)|g' -e 's|@SYSCONFDIR@|$(SYSCONFDIR)|g' etc/enma.service > $(DESTDIR)$(UNITDIR)/enma.service
	install -m 644 etc/enma.sysusers $(DESTDIR)$(SYSUSERSDIR)/enma.conf
	install -m 644 etc/enma.conf $(DESTDIR)$(SYSCONFDIR)/enma/enma.conf.sample
	test -e $(DESTDIR)$(SYSCONFDIR)/enma/enma.conf || \
	    install -m 644 etc/enma.conf $(DESTDIR)$(SYSCONFDIR)/enma/enma.conf

uninstall:
	rm -f $(DESTDIR)$(SBINDIR)/enma $(DESTDIR)$(SBINDIR)/enmactl $(DESTDIR)$(BINDIR)/enmacheck
	rm -f $(foreach m,$(MANUALS),$(DESTDIR)$(MANDIR)/$(call manual,$m))
	rm -f $(DESTDIR)$(UNITDIR)/enma.service $(DESTDIR)$(SYSUSERSDIR)/enma.conf $(DESTDIR)$(SYSCONFDIR)/enma/enma.conf.sample
	rm -rf $(DESTDIR)$(DOCDIR)

clean:
	rm -rf build build-*

-include $(wildcard $(patsubst %,$(B)/%/*.d,common/* cache worker master t/*))
