#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the measuring programs, keeps what they say in bench/results/, and writes the tables of
docs/performance.md between its marks.

usage: bench/run.py [--build build] [--dir FOLDER] [--large] [-- OPTIONS OF THE PROGRAMS]
FOLDER is where the stores are made: the figures are those of its disk."""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile

import nodes

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
DOCUMENT = os.path.join(ROOT, "docs", "performance.md")
BEGIN = "<!-- figures -->"
END = "<!-- figures end -->"
PLOT = "performance.svg"
PROGRAMS = ("local", "read", "replicate", "catchup", "heal", "memory", "idle", "session")
LARGE = ("read", "memory", "catchup", "heal")
SIZE_BYTES_MAX = 600 << 10
SIZES = {"normal": ["--puts", "10000", "--rounds", "10"],
         "large": ["--puts", "1000000", "--batch", "10000", "--rounds", "10", "--sorted", "1"]}
# Row of the targets, and the ratio that is aimed at.
TARGETS = {
    "local: batched": ("1", 0.75),
    "local: batches in flight": ("1b", 2),
    "local: 64 threads singly": ("2", 0.5),
    "local: single": ("3", 0.8),
    "read: random get": ("4", 0.6),
    "read: ordered scan": ("4", 0.4),
    "replicate: throughput, pipelined": ("5", 2),
    "replicate: 64 threads singly": ("6", 0.5),
    "replicate: put to visible": ("7", 1 / 1.3),
    "replicate: put to visible, p99": ("7", 0.5),
    "replicate: wire, batches of 64": ("9", 116 / 142),
    "replicate: wire, singly": ("9", 116 / 396),
    "catchup: bytes of 10, much in common": ("8", 1160 / (1160 * 1.25 + 500)),
    "catchup: bytes of 1000, little in common": ("8", 116000 / (116000 * 1.25 + 500)),
    "catchup: bytes of 1000, much in common": ("8", 116000 / (116000 * 1.25 + 500)),
    "catchup: bytes of 100000, much in common": ("8", 1 / 1.25),
    "catchup: time of 1000, much in common": ("8", 0.8),
    "catchup: time of 100000, much in common": ("8", 0.8),
    "catchup: bytes of 10, 10 M in common": ("8", 1160 / (1160 * 1.25 + 500)),
    "catchup: bytes of 1000, 10 M in common": ("8", 116000 / (116000 * 1.25 + 500)),
    "catchup: time of 1000, 10 M in common": ("8", 0.8),
    "heal: increments of 5 nodes": ("11", 1),
    "memory: an idle node, private": ("12", 1),
    "memory: 100 k keys, private": ("12", 1),
    "memory: 10 M keys, private": ("12", 1),
    "read: disk": ("13", 1 / 2.3),
    "memory: 10 M keys, opening": ("13", 1),
    "size: shared library, stripped": ("14", 1),
    "idle: processor with 10 peers": ("14", 1),
    "meshnode: idle processor with 10 peers": ("14", 1),
    "meshnode: private memory with 10 peers": ("12", 1),
    "session: records in bulk": ("15", 0.9),
    "idle: many spaces, put to visible": ("16", 1 / 1.2),
    "catchup: single ops of 50 actors": ("17", 0.5),
    "catchup: single ops of 1000 actors": ("17", 0.5),
}


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


def name_of(result):
    return f"{result['bench']}: {result['what']}"


def table(results):
    lines = ["| row | what | n | unit | bare, median (min to max) | meshsync, median (min to max) "
             "| ratio | target |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for result in results:
        row, target = TARGETS.get(name_of(result), ("", None))
        cells = [row, name_of(result), f"{result['n']:,}", result["unit"]]
        for side in ("bare", "meshsync"):
            figures = result[side]
            cells.append(f"{number(figures['median'])} ({number(figures['min'])} to "
                         f"{number(figures['max'])})")
        cells.append(f"{result['ratio']:.2f}")
        cells.append("" if target is None else f"{target:.2f}, " +
                     ("met" if result["ratio"] >= target else "missed"))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def against(results):
    lines = ["", "Bare is, for each:", ""]
    for result in results:
        lines.append(f"- {result['bench']}, {result['what']}: {result['against']}")
    return lines


def plot(results):
    """Each row with a target as a bar: how much of its target it reaches."""
    rows = [result for result in results if name_of(result) in TARGETS]
    height = 30 + 24 * len(rows)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" '
             'font-family="sans-serif" font-size="13">',
             f'<rect width="760" height="{height}" fill="#ffffff"/>']
    for i, result in enumerate(rows):
        row, target = TARGETS[name_of(result)]
        part = result["ratio"] / target
        top = 10 + 24 * i
        colour = "#2a7f4f" if part >= 1 else "#b0562a"
        lines.append(f'<text x="270" y="{top + 14}" text-anchor="end">{row}: '
                     f'{name_of(result)}</text>')
        lines.append(f'<rect x="280" y="{top}" width="{min(part, 2) * 180:.0f}" height="18" '
                     f'fill="{colour}"/>')
        lines.append(f'<text x="{288 + min(part, 2) * 180:.0f}" y="{top + 14}">'
                     f'{result["ratio"]:.2f}</text>')
    lines.append(f'<line x1="460" y1="4" x2="460" y2="{height - 18}" stroke="#333333"/>')
    lines.append(f'<text x="460" y="{height - 4}" text-anchor="middle">target</text>')
    return "\n".join(lines + ["</svg>", ""])


def kept(name):
    """What a program said last; nothing when it has not run yet."""
    path = os.path.join(HERE, "results", name + ".json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def profiles():
    path = os.path.join(HERE, "results", "profile.json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    lines = ["", "### Counted", "",
             "`bench/profile.py`: for one op, all threads and, from row 5 on, both nodes together.",
             "", "| row | work | ops | system calls | most of them | allocations | instructions |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for one in found:
        most = ", ".join(f"{name} {count:.3g}" for name, count in one["by_name"].items())
        lines.append(f"| {one['row']} | {one['name']} | {one['ops']:,} | {one['calls']:.3g} | "
                     f"{most} | {one['allocations']:.3g} | {one['instructions']:,.0f} |")
    return lines


def peers():
    path = os.path.join(HERE, "results", "peers.json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    lines = ["", "### Beside peers", "",
             f"`make bench-peers`: {found['puts']:,} puts in transactions of {found['batch']:,}, "
             f"each waiting for the one before, and singly; medians of {found['rounds']} rounds; "
             "clients in Python but for the first two. Puts per second.", "",
             "| who | durability | batched | in flight | singly | 2 nodes | 3 nodes |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for peer in found["peers"]:
        if "not_run" in peer:
            lines.append(f"| {peer['name']} | not run: {peer['not_run']} | | | | | |")
            continue
        cells = [peer["name"], peer["durability"]]
        for key in ("batched", "in_flight", "single", "pair", "three"):
            cells.append("" if peer.get(key) is None else number(peer[key]))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def large():
    results = [result for name in LARGE for result in kept(name + "-large")]
    if not results:
        return []
    return ["", "### Large", "", "`make bench-large`: loaded once, in order of the keys.",
            ""] + table(results)


def conditions(results, folder):
    first = results[0]
    load = os.getloadavg()[0]
    return [f"Commit {commit()}, {datetime.date.today().isoformat()}, {first['cpus']} cores of "
            f"{processor()}, Linux {first['kernel']}, stores on {file_system(folder)}, "
            f"{first['meshsync']['rounds']} rounds, keys of 16 bytes in no order, values of 100 "
            f"bytes. Load at the end, with other programs on the machine: {load:.1f}.", ""]


def write_document(lines):
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    if BEGIN not in text or END not in text:
        sys.exit(f"{DOCUMENT} has not its marks")
    head = text[:text.index(BEGIN) + len(BEGIN)]
    tail = text[text.index(END):]
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(head + "\n\n" + "\n".join(lines) + "\n\n" + tail)


def size(build, like):
    """The shared library without its symbols, in the form of what the programs say."""
    library = os.path.realpath(os.path.join(build, "libmeshsync.so"))
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "--strip-unneeded", "-o", file.name, library], check=True)
        found = os.path.getsize(file.name)
    sides = {"bare": SIZE_BYTES_MAX / 1024, "meshsync": found / 1024}
    result = {key: like[key] for key in ("schema", "library", "kernel", "cpus")}
    result.update(bench="size", what="shared library, stripped", unit="KiB", n=1,
                  against="the most that it may be", ratio=round(SIZE_BYTES_MAX / found, 3))
    for side, value in sides.items():
        result[side] = {"rounds": 1, "min": value, "median": value, "max": value}
    return result


def measure_all(given):
    names = LARGE if given.large else PROGRAMS
    options = given.options or SIZES["large" if given.large else "normal"]
    os.makedirs(os.path.join(HERE, "results"), exist_ok=True)
    results = []
    for name in names:
        program = os.path.join(given.build, "bench", "bench_" + name)
        if not os.access(program, os.X_OK):
            sys.exit(f"no {program}: make benches")
        found = measure(program, given.dir, options)
        if name == "memory" and not given.large:
            found.append(size(given.build, found[0]))
        if name == "idle" and not given.large:
            found += nodes.measure(given.build, found[0])
        file_name = name + ("-large" if given.large else "") + ".json"
        with open(os.path.join(HERE, "results", file_name), "w", encoding="utf-8") as file:
            for result in found:
                file.write(json.dumps(result) + "\n")
        results += found
    if not given.large:
        with open(os.path.join(HERE, "results", "conditions.txt"), "w",
                  encoding="utf-8") as file:
            file.write("\n".join(conditions(results, given.dir)))


def main():
    parser = argparse.ArgumentParser(description="Measures, and writes docs/performance.md.")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    parser.add_argument("--dir", default=os.environ.get("TMPDIR", "/tmp"))
    parser.add_argument("--large", action="store_true", help="10 M rows, loaded sorted once")
    parser.add_argument("--document", action="store_true", help="only writes it anew")
    parser.add_argument("options", nargs="*", help="for the programs, behind --")
    given = parser.parse_args()
    if not given.document:
        measure_all(given)
    results = [result for name in PROGRAMS for result in kept(name)]
    with open(os.path.join(HERE, "results", "conditions.txt"), encoding="utf-8") as file:
        where = file.read()
    with open(os.path.join(ROOT, "docs", PLOT), "w", encoding="utf-8") as file:
        file.write(plot(results))
    write_document([where] + table(results) + ["", f"![Ratios beside their targets]({PLOT})"] +
                   against(results) + large() + profiles() + peers())
    for line in table(results):
        print(line)


if __name__ == "__main__":
    main()
