# SPDX-License-Identifier: Apache-2.0
# Sources, and how they become the library, meshnode, the small programs, tests and fuzzers.

LIB_DIRS := base clock crdt wire secure store replica mesh shell api
LIB_SOURCES := $(sort $(wildcard $(addprefix lib/,$(addsuffix /*.c,$(LIB_DIRS) ext/*))))
SIM_SOURCES := $(sort $(wildcard lib/sim/*.c))
MESHNODE_SOURCES := $(sort $(wildcard examples/meshnode/*.c))
EXAMPLE_SOURCES := $(sort $(wildcard examples/*.c))
BENCH_SOURCES := $(sort $(wildcard bench/bench_*.c))
BENCH_SUPPORT_SOURCES := $(sort $(filter-out $(BENCH_SOURCES),$(wildcard bench/*.c)))
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_REPLAY_SOURCE := $(wildcard tests/fuzz/replay.c)
FUZZ_SUPPORT_SOURCES := $(sort $(filter-out $(FUZZ_SOURCES) $(FUZZ_REPLAY_SOURCE), \
    $(wildcard tests/fuzz/*.c)))
E2E_SOURCES := $(sort $(wildcard tests/e2e/*.c))
PUBLIC_HEADERS := $(sort $(wildcard include/meshsync/*.h))

objects = $(patsubst %.c,$(O)/obj/%.o,$(1))
LIB_OBJECTS := $(call objects,$(LIB_SOURCES))
SIM_OBJECTS := $(call objects,$(SIM_SOURCES))
MESHNODE_OBJECTS := $(call objects,$(MESHNODE_SOURCES))
EXAMPLES := $(patsubst examples/%.c,$(O)/examples/%,$(EXAMPLE_SOURCES))
BENCHES := $(patsubst bench/%.c,$(O)/bench/%,$(BENCH_SOURCES))
TEST_PROGRAMS := $(patsubst %.c,$(O)/%,$(TESTS))
FUZZERS := $(patsubst %.c,$(O)/%,$(FUZZ_SOURCES))
FUZZ_REPLAYS := $(if $(FUZZ_REPLAY_SOURCE),\
    $(patsubst tests/fuzz/%.c,$(O)/tests/replay/%,$(FUZZ_SOURCES)))

STATIC := $(O)/libmeshsync.a
SIM_STATIC := $(if $(SIM_SOURCES),$(O)/libmeshsync-sim.a)
SHARED_FILE := libmeshsync.so.$(SOVERSION).$(VERSION:0.%=%)
SONAME := libmeshsync.so.$(SOVERSION)
SHARED := $(O)/libmeshsync.so

.PHONY: lib meshnode examples tests test-list fuzzers fuzz-list fuzz-replays replay-list benches \
    bench-list example-list
lib: $(STATIC) $(SIM_STATIC) $(if $(filter plain,$(FLAVOUR)),$(SHARED))
meshnode: $(if $(MESHNODE_SOURCES),$(O)/meshnode)
examples: $(EXAMPLES)
tests: $(TEST_PROGRAMS)
test-list:
	@printf '%s\n' $(TEST_PROGRAMS)
fuzzers: $(FUZZERS)
fuzz-list:
	@printf '%s\n' $(FUZZERS)
fuzz-replays: $(FUZZ_REPLAYS)
replay-list:
	@printf '%s\n' $(FUZZ_REPLAYS)
benches: $(BENCHES)
bench-list:
	@printf '%s\n' $(BENCHES)
example-list:
	@printf '%s\n' $(EXAMPLES)

# One word and the file, or with V=1 the command.
say = $(if $(filter 1,$(V)),,@printf '  %-3s %s\n' $(1) $@; )

# Objects. The rule for the longest stem's folder wins, so each kind of source has its own flags.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(COMPILE) | $(LINK))' | cmp -s - $@ || \
	    echo '$(subst ','\'',$(COMPILE) | $(LINK))' >$@

$(O)/obj/lib/%.o: lib/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) $(LIB_STACK) -Iinclude -Ilib $(DEP_CFLAGS) $(DEPFLAGS) -c $< -o $@

$(O)/obj/examples/%.o: examples/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) -Iinclude $(DEP_CFLAGS) $(JANSSON_CFLAGS) $(DEPFLAGS) -c $< -o $@

$(O)/obj/bench/%.o: bench/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) -Iinclude -Ilib -Ibench $(DEP_CFLAGS) $(DEPFLAGS) -c $< -o $@

$(O)/obj/tests/%.o: tests/%.c $(O)/flags
	@mkdir -p $(@D)
	$(call say,CC)$(COMPILE) -Iinclude -Ilib -Itests -Iexamples $(DEP_CFLAGS) $(CMOCKA_CFLAGS) \
	    $(JANSSON_CFLAGS) $(DEPFLAGS) -c $< -o $@

# Libraries.
$(STATIC): $(LIB_OBJECTS)
$(O)/libmeshsync-sim.a: $(SIM_OBJECTS)
$(O)/tests/libsupport.a: $(call objects,$(TEST_SUPPORT))
$(O)/bench/libsupport.a: $(call objects,$(BENCH_SUPPORT_SOURCES))
$(O)/tests/fuzz/libsupport.a: $(call objects,$(FUZZ_SUPPORT_SOURCES))
# What meshnode is made of, for the fuzz targets that go through its readers.
$(O)/libmeshnode.a: $(filter-out %/main.o,$(MESHNODE_OBJECTS))
$(O)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)$(AR) rcsD $@ $^

$(O)/$(SHARED_FILE): $(LIB_OBJECTS) lib/api/meshsync.map
	$(call say,LD)$(LINK) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=lib/api/meshsync.map \
	    -Wl,-z,defs -Wl,--as-needed -o $@ $(LIB_OBJECTS) $(DEP_LIBS)
$(SHARED): $(O)/$(SHARED_FILE)
	@ln -sf $(SHARED_FILE) $(O)/$(SONAME)
	@ln -sf $(SONAME) $@

# Programs. All link the static library, so that they run where they are.
$(O)/meshnode: $(MESHNODE_OBJECTS) $(STATIC)
	$(call say,LD)$(LINK) -o $@ $(MESHNODE_OBJECTS) $(STATIC) $(JANSSON_LIBS) $(DEP_LIBS)

$(EXAMPLES): $(O)/examples/%: $(O)/obj/examples/%.o $(SIM_STATIC) $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD)$(LINK) -o $@ $< $(SIM_STATIC) $(STATIC) $(DEP_LIBS)

$(BENCHES): $(O)/bench/%: $(O)/obj/bench/%.o $(O)/bench/libsupport.a $(SIM_STATIC) $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD)$(LINK) -o $@ $^ $(DEP_LIBS) -lm

$(TEST_PROGRAMS): $(O)/tests/%: $(O)/obj/tests/%.o $(O)/tests/libsupport.a $(SIM_STATIC) $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD)$(LINK) -o $@ $^ $(CMOCKA_LIBS) $(JANSSON_LIBS) $(DEP_LIBS) -lm

$(patsubst %.c,$(O)/%,$(TESTS_INTERPOSED)): $(call objects,$(TEST_INTERPOSE))

$(FUZZERS): $(O)/tests/%: $(O)/obj/tests/%.o $(O)/tests/fuzz/libsupport.a $(O)/libmeshnode.a \
    $(SIM_STATIC) $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD)$(LINK) -fsanitize=fuzzer -o $@ $^ $(JANSSON_LIBS) $(DEP_LIBS)

# The same targets without the fuzzer: they go through the kept inputs once.
$(FUZZ_REPLAYS): $(O)/tests/replay/%: $(O)/obj/tests/fuzz/%.o $(O)/obj/tests/fuzz/replay.o \
    $(O)/tests/fuzz/libsupport.a $(O)/libmeshnode.a $(SIM_STATIC) $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD)$(LINK) -o $@ $^ $(JANSSON_LIBS) $(DEP_LIBS)

# Test programs of more than one process bring a helper binary of their own.
E2E_HELPERS := $(patsubst %.c,$(O)/%,$(E2E_SOURCES))
tests: $(E2E_HELPERS)
$(E2E_HELPERS): $(O)/tests/%: $(O)/obj/tests/%.o $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD)$(LINK) -o $@ $< $(STATIC) $(DEP_LIBS)

# Objects are wanted again when a test is linked again.
.SECONDARY:

-include $(patsubst %.o,%.d,$(LIB_OBJECTS) $(SIM_OBJECTS) $(MESHNODE_OBJECTS) \
    $(call objects,$(EXAMPLE_SOURCES) $(BENCH_SOURCES) $(BENCH_SUPPORT_SOURCES) $(TESTS) \
    $(TEST_SUPPORT) $(TEST_INTERPOSE) $(FUZZ_SOURCES) $(FUZZ_SUPPORT_SOURCES) \
    $(FUZZ_REPLAY_SOURCE) $(E2E_SOURCES)))
