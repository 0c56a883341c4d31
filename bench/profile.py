#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What one op of each kind of work costs in system calls, allocations and instructions: the
difference between a run of N ops and one of three times as many, so that what opening and closing
cost falls out. Two nodes are counted together.

usage: bench/profile.py [--build build] [--dir FOLDER] [--perf] [WORK ...]
Needs strace and valgrind; with --perf shows where the time goes instead, by perf."""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RESULT = os.path.join(HERE, "results", "profile.json")
OPS = {True: 100, False: 4000}  # Of works whose ops come singly, or in batches.
CALLS_SHOWN = 3
PERF_OPS = 100000


def run(command, folder):
    environment = dict(os.environ, TMPDIR=folder)
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           env=environment, check=False)
    if found.returncode != 0:
        sys.exit(f"{' '.join(command)}:\n{found.stdout}")
    return found.stdout


def calls(command, folder):
    """System calls of a run, by name."""
    with tempfile.NamedTemporaryFile("r") as file:
        run(["strace", "-f", "-c", "-o", file.name] + command, folder)
        lines = [line.split() for line in file.read().splitlines()]
    return {line[-1]: int(line[3]) for line in lines
            if len(line) >= 5 and line[3].isdigit() and line[-1] != "total"}


def allocations(command, folder):
    text = run(["valgrind", "--tool=memcheck", "--undef-value-errors=no"] + command, folder)
    return int(re.search(r"total heap usage: ([\d,]+) allocs", text).group(1).replace(",", ""))


def instructions(command, folder):
    with tempfile.NamedTemporaryFile() as file:
        text = run(["valgrind", "--tool=callgrind", "--callgrind-out-file=" + file.name] + command,
                   folder)
    return int(re.search(r"Collected : (\d+)", text).group(1))


def profile(program, folder, row, name, step):
    few = max(OPS[step == 1], step)
    sides = [[program, name, str(few)], [program, name, str(few * 3)]]
    made = [calls(side, folder) for side in sides]
    by_name = {key: round((made[1][key] - made[0].get(key, 0)) / (few * 2), 4) for key in made[1]}
    counted = {kind.__name__: [kind(side, folder) for side in sides]
               for kind in (allocations, instructions)}
    result = {"row": row, "name": name, "ops": few * 2, "calls": round(sum(by_name.values()), 4),
              "by_name": dict(sorted(by_name.items(), key=lambda one: -one[1])[:CALLS_SHOWN])}
    for key, (less, more) in counted.items():
        result[key] = round((more - less) / (few * 2), 3)
    return result


def perf(program, folder, name):
    """The functions with the most samples, all threads together."""
    with tempfile.NamedTemporaryFile() as file:
        run(["perf", "record", "-q", "-o", file.name, program, name, str(PERF_OPS)], folder)
        text = run(["perf", "report", "-i", file.name, "--stdio", "--percent-limit", "2",
                    "--sort", "symbol"], folder)
    print(f"{name}, {PERF_OPS:,} ops")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            print("  " + line.strip())


def main():
    parser = argparse.ArgumentParser(description="Counts what an op costs.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--dir", default=os.environ.get("TMPDIR", "/tmp"))
    parser.add_argument("--perf", action="store_true")
    parser.add_argument("works", nargs="*")
    given = parser.parse_args()
    program = os.path.join(given.build, "bench", "bench_profile")
    listed = [line.split() for line in run([program, "--list"], given.dir).splitlines()]
    results = []
    for row, name, step in listed:
        if given.works and name not in given.works:
            continue
        if given.perf:
            perf(program, given.dir, name)
            continue
        results.append(profile(program, given.dir, row, name, int(step)))
        print(json.dumps(results[-1]), flush=True)
    if not given.perf and not given.works:
        with open(RESULT, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
