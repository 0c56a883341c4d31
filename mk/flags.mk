# SPDX-License-Identifier: Apache-2.0
# Compiler flags: warnings, and what each flavour adds.

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
    -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wcast-qual -Wcast-align \
    -Wwrite-strings -Wformat=2 -Wnull-dereference -Wswitch-enum -Wimplicit-fallthrough \
    -Wunused-macros -Wdate-time
WARNINGS_gcc := -Wlogical-op -Wduplicated-cond -Wduplicated-branches
WARNINGS_clang := -Wcomma -Wunreachable-code -Wassign-enum -Wshorten-64-to-32
# Frames are bounded where the library may run on a small stack of the application's.
STACK_gcc := -Wstack-usage=4096
STACK_clang :=

# Each flavour is a build of its own, in a folder of its own. In all but the plain one, which is
# what users get, an assertion that does not hold aborts.
SAN_COMMON := -fno-omit-frame-pointer -fno-sanitize-recover=all -DMSY_ASSERT_ABORTS
FLAVOUR_CFLAGS_plain := -fstack-protector-strong
FLAVOUR_CFLAGS_asan := -fsanitize=address,undefined $(SAN_COMMON)
FLAVOUR_CFLAGS_ubsan := -fsanitize=undefined $(SAN_COMMON)
FLAVOUR_CFLAGS_tsan := -fsanitize=thread $(SAN_COMMON)
FLAVOUR_CFLAGS_coverage := --coverage -DMSY_ASSERT_ABORTS
FLAVOUR_CFLAGS_fuzz := -fsanitize=fuzzer-no-link,address,undefined $(SAN_COMMON)
FLAVOUR_LDFLAGS_plain := -Wl,-z,relro,-z,now
FLAVOUR_LDFLAGS_asan := -fsanitize=address,undefined
FLAVOUR_LDFLAGS_ubsan := -fsanitize=undefined
FLAVOUR_LDFLAGS_tsan := -fsanitize=thread
FLAVOUR_LDFLAGS_coverage := --coverage
FLAVOUR_LDFLAGS_fuzz := -fsanitize=address,undefined
ifeq ($(filter plain asan ubsan tsan coverage fuzz,$(FLAVOUR)),)
$(error FLAVOUR=$(FLAVOUR) is none of plain asan ubsan tsan coverage fuzz)
endif

# The user's, with our default where there is none.
ifeq ($(origin CFLAGS),undefined)
CFLAGS := $(if $(filter plain,$(FLAVOUR)),-O2 -g,$(if $(filter coverage,$(FLAVOUR)),-O0 -g,-O1 -g))
endif

MSY_CFLAGS = -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -pthread \
    $(WARNINGS) $(WARNINGS_$(CC_KIND)) $(FLAVOUR_CFLAGS_$(FLAVOUR))
# Instrumented code makes optimisers guess; the plain build is the one that is held to warnings.
ifeq ($(FLAVOUR),plain)
MSY_CFLAGS += $(if $(filter 1,$(WERROR)),-Werror)
LIB_STACK = $(STACK_$(CC_KIND))
else
MSY_CFLAGS += -Wno-null-dereference
endif
MSY_LDFLAGS = -pthread $(FLAVOUR_LDFLAGS_$(FLAVOUR))

COMPILE = $(CC) $(MSY_CFLAGS) $(CPPFLAGS) $(CFLAGS)
LINK = $(CC) $(MSY_LDFLAGS) $(CFLAGS) $(LDFLAGS)
# -MMD -MP: which headers an object was made from, for the next run.
DEPFLAGS = -MMD -MP -MF $(@:.o=.d)
