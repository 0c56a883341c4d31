#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares what programs rely on with what was accepted: the symbols that the shared library
exports, the status numbers, the numbers of public enums, and the layout of public structs.
With --accept it writes what there is as the accepted state."""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
EXPORTED = re.compile(r"^MESHSYNC_API\s+[^;]*?\b(meshsync_\w+)\s*\(", re.MULTILINE)
ENUM = re.compile(r"\benum\s+\w+\s*\{(.*?)\}", re.DOTALL)
STRUCT = re.compile(r"typedef\s+struct\s+(\w+)\s*\{(.*?)\n\}", re.DOTALL)


def headers():
    """The text of each public header without its comments, by path."""
    texts = {}
    for path in sorted(glob.glob("include/meshsync/*.h")):
        with open(path, encoding="utf-8") as file:
            texts[path] = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    return texts


def declared_symbols():
    """What the headers promise of the shared library; the simulator is a library of its own."""
    return sorted({name for path, text in headers().items() if not path.endswith("/sim.h")
                   for name in EXPORTED.findall(text)})


def exported_symbols(lib):
    done = subprocess.run(["nm", "-D", "--defined-only", lib], stdout=subprocess.PIPE, text=True,
                          check=True)
    names = [line.split() for line in done.stdout.splitlines()]
    # The version node itself is an absolute symbol.
    return sorted(name.split("@", 1)[0] for _, kind, name in names if kind != "A")


def run_c(program):
    """What a C program against the public headers prints."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "program")
        subprocess.run(["cc", "-std=c11", "-Iinclude", "-xc", "-", "-o", out], input=program,
                       text=True, check=True)
        return subprocess.run([out], stdout=subprocess.PIPE, text=True, check=True).stdout


def status_lines():
    with open(os.path.join(HERE, "status.c"), encoding="utf-8") as file:
        return sorted(run_c(file.read()).splitlines())


def layout_lines():
    """Enum constants with their numbers, and members of structs with offset and size."""
    body = []
    includes = []
    for path, text in headers().items():
        includes.append(f"#include <{path[len('include/'):]}>")
        for block in ENUM.findall(text):
            for name in re.findall(r"^\s*(MESHSYNC_\w+)\s*=", block, re.MULTILINE):
                body.append(f'printf("enum {name} %lld\\n", (long long){name});')
        for name, block in STRUCT.findall(text):
            body.append(f'printf("struct {name} size %zu\\n", sizeof({name}));')
            for member in re.findall(r"(\w+)(?:\[[^\]]*\])*;", block):
                body.append(f'printf("struct {name}.{member} at %zu size %zu\\n", '
                            f'offsetof({name}, {member}), sizeof((({name} *)0)->{member}));')
    program = "\n".join(["#include <stddef.h>", "#include <stdio.h>", *includes,
                         "int main(void)", "{", *body, "return 0;", "}", ""])
    return run_c(program).splitlines()


def compare(what, golden, lines, accept):
    """Removed or changed lines break programs; added ones need accepting, by make abi-accept."""
    path = os.path.join(HERE, golden)
    if accept:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        print(f"{what}: {len(lines)} accepted")
        return 0
    with open(path, encoding="utf-8") as file:
        accepted = file.read().splitlines()
    gone = [line for line in accepted if line not in set(lines)]
    new = [line for line in lines if line not in set(accepted)]
    for line in gone:
        print(f"{what}: gone or changed, which breaks programs: {line}")
    for line in new:
        print(f"{what}: not accepted yet (make abi-accept): {line}")
    print(f"{what}: {len(lines)} there, {len(gone)} gone, {len(new)} new")
    return 1 if gone or new else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lib", required=True, help="the shared library")
    parser.add_argument("--accept", action="store_true")
    args = parser.parse_args()
    os.chdir(os.path.join(HERE, "..", ".."))
    failed = compare("status", "status.golden", status_lines(), args.accept)
    failed |= compare("layout", "layout.golden", layout_lines(), args.accept)
    symbols = exported_symbols(args.lib)
    failed |= compare("symbols", "symbols.golden", symbols, args.accept)
    promised = declared_symbols()
    for name in sorted(set(promised) - set(symbols)):
        print(f"symbols: {name} is in the headers and not in the library")
        failed = 1
    for name in sorted(set(symbols) - set(promised)):
        print(f"symbols: {name} is in the library and not in the headers")
        failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
