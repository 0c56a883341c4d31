#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that each public header compiles alone, in C11 and in C++17, without a warning."""

import glob
import os
import subprocess
import sys

C = "cc -std=c11 -xc".split()
CXX = "c++ -std=c++17 -xc++ -Wold-style-cast -Wzero-as-null-pointer-constant".split()
FLAGS = "-Wall -Wextra -Wpedantic -Wundef -Werror -fsyntax-only -Iinclude -".split()


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    tried = failures = 0
    for path in sorted(glob.glob("include/meshsync/*.h")):
        header = path[len("include/"):]
        # Twice, for its guard; and something, for headers of macros alone.
        text = f"#include <{header}>\n#include <{header}>\ntypedef int something;\n"
        for compiler in (C, CXX):
            tried += 1
            done = subprocess.run([*compiler, *FLAGS], input=text, text=True, check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode != 0:
                failures += 1
                print(f"{header} with {' '.join(compiler[:2])}:\n{done.stdout}")
    print(f"headers: {tried} compilations, {failures} failed")
    return 1 if failures or tried == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
