# SPDX-License-Identifier: Apache-2.0
# The goals that install what they need first, then build and run by a make or a runner of
# their own.

# Parallel on its own when the caller did not say how.
SUBMAKE = $(MAKE) $(if $(findstring -j,$(MAKEFLAGS)),,-j$(JOBS))
RUN = $(PYTHON) tests/run.py --make '$(MAKE)' --jobs $(JOBS)
SOURCES_TO_FORMAT = $(sort $(shell find include lib examples tests bench -name '*.[ch]' \
    2>/dev/null))

.PHONY: deps demo check campaign soak asan ubsan tsan valgrind fuzz coverage lint tidy format \
    bench bench-large bench-peers abi-accept
deps:
	@sh mk/deps.sh campaign

demo:
	@sh mk/deps.sh demo
	@mkdir -p $(O)
	@echo 'building meshnode'
	@$(SUBMAKE) meshnode >$(O)/demo.log 2>&1 || { tail -n 40 $(O)/demo.log; exit 1; }
	@$(O)/meshnode demo

check campaign:
	@sh mk/deps.sh $@
	@$(RUN) $@ $(MAKEOVERRIDES)

# HOURS=0, or none: until it is interrupted.
soak:
	@sh mk/deps.sh campaign
	@$(PYTHON) tests/soak.py --make '$(MAKE)' --jobs $(JOBS) --hours $(or $(HOURS),0) \
	    $(MAKEOVERRIDES)

asan ubsan tsan valgrind fuzz coverage lint:
	@sh mk/deps.sh campaign
	@$(RUN) $@ $(MAKEOVERRIDES)

tidy:
	@$(PYTHON) tests/tidy/tidy.py

format:
	clang-format -i $(SOURCES_TO_FORMAT)

# Write bench/results and docs/performance.md; the second loads 10 M rows, the third runs peers.
bench: benches lib meshnode
	@$(PYTHON) bench/run.py --build $(O)
bench-large: benches
	@$(PYTHON) bench/run.py --build $(O) --large
bench-peers: benches
	@$(PYTHON) bench/peers.py --bench $(O)/bench
	@$(PYTHON) bench/run.py --build $(O) --document

abi-accept:
	@$(SUBMAKE) lib
	@$(PYTHON) tests/abi/abi.py --accept --lib $(O)/libmeshsync.so
