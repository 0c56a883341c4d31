# SPDX-License-Identifier: Apache-2.0
# Every test program and what they share.

TESTS := $(sort $(shell find tests/unit tests/laws tests/conform tests/sim tests/fault \
    -name 'test_*.c' 2>/dev/null))
TEST_SUPPORT := $(sort $(shell find tests/unit tests/laws tests/conform tests/sim tests/fault \
    tests/support -name '*.c' ! -name 'test_*.c' 2>/dev/null))
