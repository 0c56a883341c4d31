#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the measuring programs, keeps what they say in bench/results/, and writes the tables of
docs/performance.md between its marks.

usage: bench/run.py [--build build] [--dir FOLDER] [-- OPTIONS OF THE PROGRAMS]
FOLDER is where the stores are made: the figures are those of its disk."""

import argparse
import datetime
import glob
import json
import os
import platform
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DOCUMENT = os.path.join(ROOT, "docs", "performance.md")
BEGIN = "<!-- figures -->"
END = "<!-- figures end -->"


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def commit():
    try:
        found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True,
                               capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def file_system(folder):
    found = subprocess.run(["stat", "-f", "-c", "%T", folder], check=True, capture_output=True,
                           text=True)
    return found.stdout.strip()


def measure(program, folder, options):
    environment = dict(os.environ, TMPDIR=folder)
    found = subprocess.run([program] + options, check=True, stdout=subprocess.PIPE, text=True,
                           env=environment)
    return [json.loads(line) for line in found.stdout.splitlines()]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def table(results):
    lines = ["| what | n | unit | bare, median (min to max) | meshsync, median (min to max) "
             "| ratio |", "| --- | --- | --- | --- | --- | --- |"]
    for result in results:
        cells = [f"{result['bench']}: {result['what']}", f"{result['n']:,}", result["unit"]]
        for side in ("bare", "meshsync"):
            figures = result[side]
            cells.append(f"{number(figures['median'])} ({number(figures['min'])} to "
                         f"{number(figures['max'])})")
        cells.append(f"{result['ratio']:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def against(results):
    lines = ["", "Bare is, for each:", ""]
    for result in results:
        lines.append(f"- {result['bench']}, {result['what']}: {result['against']}")
    return lines


def conditions(results, folder):
    first = results[0]
    return [f"Commit {commit()}, {datetime.date.today().isoformat()}, {first['cpus']} cores of "
            f"{processor()}, Linux {first['kernel']}, stores on {file_system(folder)}, "
            f"{first['meshsync']['rounds']} rounds, keys of 16 bytes in no order, values of 100 "
            "bytes. Other programs ran on the machine.", ""]


def write_document(lines):
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        sys.exit(f"{DOCUMENT} has not its marks")
    head = text[:text.index(BEGIN) + len(BEGIN)]
    tail = text[text.index(END):]
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(head + "\n\n" + "\n".join(lines) + "\n\n" + tail)


def main():
    parser = argparse.ArgumentParser(description="Measures, and writes docs/performance.md.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--dir", default=os.environ.get("TMPDIR", "/tmp"))
    parser.add_argument("options", nargs="*", help="for the programs, behind --")
    given = parser.parse_args()
    programs = sorted(path for path in glob.glob(os.path.join(given.build, "bench", "bench_*"))
                      if os.access(path, os.X_OK) and not path.endswith(".json"))
    if not programs:
        sys.exit(f"no programs in {given.build}/bench: make benches")
    os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
    results = []
    for program in programs:
        name = os.path.basename(program)[len("bench_"):]
        found = measure(program, given.dir, given.options)
        with open(os.path.join(HERE, "results", name + ".json"), "w", encoding="utf-8") as file:
            for result in found:
                file.write(json.dumps(result) + "\n")
        results += found
    write_document(conditions(results, given.dir) + table(results) + against(results))
    for line in table(results):
        print(line)


if __name__ == "__main__":
    main()
