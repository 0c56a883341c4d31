# SPDX-License-Identifier: Apache-2.0
# meshsync: a library for peer-to-peer mesh replication. 'make help' lists the targets.
#
# PREFIX, DESTDIR, bindir, libdir, includedir, CC, CFLAGS, CPPFLAGS, LDFLAGS, PKG_CONFIG are yours;
# what the project needs is added to them. O is the output folder, FLAVOUR one of mk/flags.mk.

VERSION := 0.1.0
SOVERSION := 0

MAKEFLAGS += --no-builtin-rules --no-builtin-variables --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
SHELL := /bin/sh

PREFIX ?= /usr/local
bindir ?= $(PREFIX)/bin
libdir ?= $(PREFIX)/lib
includedir ?= $(PREFIX)/include
pkgconfigdir ?= $(libdir)/pkgconfig

O ?= build
FLAVOUR ?= plain
PYTHON ?= python3
PKG_CONFIG ?= pkg-config
INSTALL ?= install
ifneq ($(filter undefined default,$(origin CC)),)
CC := cc
endif
ifneq ($(filter undefined default,$(origin AR)),)
AR := ar
endif
# Warnings are errors in a clone of the repository, not in an unpacked release.
WERROR ?= $(if $(wildcard .git),1,0)
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: all
all:

# What the machine offers is found out once, into $(O)/config.mk, by a rule that make itself runs;
# not for the goals that work before anything is installed.
BARE_GOALS := help deps check campaign soak demo asan ubsan tsan coverage fuzz valgrind lint tidy \
    format clean dist uninstall abi-accept
ifneq ($(filter-out $(BARE_GOALS),$(or $(MAKECMDGOALS),all)),)
include $(O)/config.mk
endif
$(O)/config.mk: mk/probe.sh $(if $(filter $(CONFIG_KEY),$(subst $() ,_,$(CC) $(PKG_CONFIG))),,FORCE)
	@mkdir -p $(@D)
	@sh mk/probe.sh "$(CC)" "$(PKG_CONFIG)" >$@.tmp && mv $@.tmp $@ || { rm -f $@.tmp; exit 1; }

.PHONY: FORCE
FORCE:

include mk/flags.mk
include mk/tests.mk
include mk/build.mk
include mk/install.mk
include mk/check.mk

all: lib pc meshnode examples

.PHONY: help
help:
	@echo 'meshsync $(VERSION): targets of this Makefile'
	@echo '  all        the library (shared, static, simulator), meshnode, the small programs'
	@echo '  demo       three nodes, real data, cuts and kills, told step by step'
	@echo '  check      everything that must hold for a change, in about ten minutes'
	@echo '  campaign   the long proofs: TSan, valgrind, fuzzers, more seeds, lint, coverage'
	@echo '  soak       seeds, kills and fuzzers without end, or for HOURS=n; reports each round'
	@echo '  bench      measurements against the raw limits, into docs/performance.md'
	@echo '  bench-large, bench-peers  with 10 M rows; beside other databases'
	@echo '  install    into $$DESTDIR$$PREFIX (PREFIX=$(PREFIX)); uninstall takes it away'
	@echo '  dist       $(O)/meshsync-$(VERSION).tar.gz, the same bytes for the same commit'
	@echo '  deps       install what is missing from Debian, by apt-get'
	@echo '  asan ubsan tsan valgrind   the tests under that tool'
	@echo '  fuzz       each fuzzer for FUZZ_SECONDS (60)'
	@echo '  coverage   lines and branches of the core, as text and as pages in $(O)/coverage'
	@echo '  lint       format, tidy, clang-tidy, cppcheck;  tidy: the rules of the house alone'
	@echo '  format     rewrite the sources by .clang-format'
	@echo '  abi-accept make the exported symbols and status numbers of today the accepted ones'
	@echo '  clean      remove build/'
	@echo 'Variables: CC CFLAGS CPPFLAGS LDFLAGS PKG_CONFIG PREFIX DESTDIR libdir includedir O JOBS'
	@echo '           V=1 (show commands) WERROR=0|1 FLAVOUR=plain|asan|ubsan|tsan|coverage|fuzz'

.PHONY: clean
clean:
	rm -rf build
