#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the documents true: C blocks are those of programs that are compiled, names that are
mentioned exist, limits and status numbers have their values, links lead somewhere, and make has
the targets that are named. With --limits it prints the rows for docs/limits.md.

A block is tied to a program by a comment in front of it, <!-- example: examples/hello.c -->, or
<!-- example: examples/hello.c part --> for what stands there between the lines /* [part] */ and
/* [part end] */. A block that is no program is marked as another language than c."""

import glob
import os
import re
import sys

MARK = re.compile(r"<!--\s*example:\s*(\S+)(?:\s+(\S+))?\s*-->")
FENCE = re.compile(r"^(\s*)```(\w*)")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def documents():
    found = glob.glob("*.md") + glob.glob("docs/**/*.md", recursive=True)
    return sorted(found + glob.glob("bindings/**/*.md", recursive=True))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def blocks(text):
    """(line, language, mark or None, lines) of each fenced block."""
    found = []
    lines = text.splitlines()
    at = 0
    mark = None
    while at < len(lines):
        marked = MARK.search(lines[at])
        fence = FENCE.match(lines[at])
        if marked:
            mark = marked.groups()
        elif fence:
            start = at + 1
            at = start
            while at < len(lines) and not lines[at].strip().startswith("```"):
                at += 1
            found.append((start, fence.group(2), mark, lines[start:at]))
            mark = None
        elif lines[at].strip():
            mark = None
        at += 1
    return found


def dedent(lines):
    width = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[width:].rstrip() for line in lines]


def part_of(path, part):
    """The lines of a program, or of one part of it; None when there is no such part."""
    lines = read(path).splitlines()
    if part is None:
        # A licence says nothing about how the library is used.
        return [line.rstrip() for line in lines if "SPDX-License-Identifier" not in line]
    begin, end = f"/* [{part}] */", f"/* [{part} end] */"
    inside = [line.strip() for line in lines]
    if begin not in inside or end not in inside:
        return None
    return dedent(lines[inside.index(begin) + 1:inside.index(end)])


def check_blocks(path, text):
    for line, language, mark, lines in blocks(text):
        if language not in ("c", "C") and mark is None:
            continue
        if mark is None:
            yield line, "a C block that is tied to no compiled program"
            continue
        program, part = mark
        if not os.path.exists(program):
            yield line, f"{program} is not there"
            continue
        wanted = part_of(program, part)
        if wanted is None:
            yield line, f"{program} has no part {part}"
        elif dedent(lines) != wanted:
            yield line, f"differs from {program}{' ' + part if part else ''}"


def check_links(path, text):
    # What stands in code is no link.
    bare = re.sub(r"```.*?```", lambda match: "\n" * match.group(0).count("\n"), text,
                  flags=re.DOTALL)
    for number, line in enumerate(bare.splitlines(), 1):
        for target in LINK.findall(re.sub(r"`[^`]*`", "", line)):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not os.path.exists(os.path.join(os.path.dirname(path), target)):
                yield number, f"link to {target}, which is not there"


def known_names():
    names = set()
    for path in glob.glob("include/meshsync/*.h") + glob.glob("lib/base/limits.h"):
        names |= set(re.findall(r"\b(?:meshsync|MESHSYNC|MSY)_\w+", read(path)))
    # Variables of the environment, and switches of the build.
    for path in glob.glob("tests/**/*.[chp]*", recursive=True) + ["mk/flags.mk"]:
        if os.path.isfile(path) and path.endswith((".c", ".h", ".py", ".mk")):
            names |= set(re.findall(r"\b(?:MESHSYNC|MSY)_[A-Z]\w+", read(path)))
    return names


def check_names(names):
    def check(path, text):
        del path
        for number, line in enumerate(text.splitlines(), 1):
            for name in re.findall(r"\b(?:meshsync_\w+(?=\()|MESHSYNC_E_\w+|MESHSYNC_[A-Z]\w+"
                                   r"|MSY_[A-Z]\w+)", line):
                # "MESHSYNC_E_..." and "MSY_MESH_" speak of all that begin so.
                if name not in names and not name.endswith("_"):
                    yield number, f"{name} does not exist"
    return check


def check_targets(path, text):
    del path
    known = set()
    for makefile in ["Makefile"] + glob.glob("mk/*.mk"):
        for line in re.findall(r"^([\w -]+):(?!=)", read(makefile), re.MULTILINE):
            known |= set(line.split())
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"(?:`|^\s*\$?\s*)make ([a-z][\w-]*)", line):
            if target not in known:
                yield number, f"make {target}: there is no such target"


def status_numbers():
    text = read("include/meshsync/status.h")
    return dict(re.findall(r"X\((MESHSYNC_\w+), (-?\d+), ", text))


def check_status(path, text):
    """Where a table gives a status and a number, it is the right one."""
    del path
    numbers = status_numbers()
    row = re.compile(r"^\|\s*`?(MESHSYNC_(?:E_\w+|OK))`?\s*\|\s*`?(-?\d+)`?\s*\|")
    for number, line in enumerate(text.splitlines(), 1):
        match = row.match(line)
        if match and numbers.get(match.group(1)) != match.group(2):
            yield number, f"{match.group(1)} is {numbers.get(match.group(1))}"


def limits():
    """(name, value, comment) of every limit; products and shifts of numbers are worked out."""
    found = []
    for header in ("include/meshsync/types.h", "lib/base/limits.h"):
        comment = ""
        for line in read(header).splitlines():
            said = re.match(r"\s*/\*+ (.*?)\s*(?:\*/)?$", line)
            comment = said.group(1) if said else comment
            match = re.match(r"#define ((?:MESHSYNC|MSY)_\w+)\s+(.+)$", line)
            if match:
                value = match.group(2)
                for name, known, _ in found:
                    value = re.sub(rf"\b{name}\b", known, value)
                plain = re.sub(r"(?<=\d)[uUlL]+", "", value)
                if re.fullmatch(r"[\d\s()+*<-]+", plain):
                    value = str(eval(plain))  # Digits and operators alone, as just seen.
                found.append((match.group(1), value, comment))
    return found


def check_complete():
    """Tables that promise to have all: every status somewhere, every limit in docs/limits.md."""
    everything = "\n".join(read(path) for path in documents())
    if re.search(r"^\|\s*`?MESHSYNC_E_", everything, re.MULTILINE):
        for name in status_numbers():
            if name not in everything:
                yield f"docs: {name} stands in no document"
    if os.path.exists("docs/limits.md"):
        text = read("docs/limits.md")
        for name, value, _ in limits():
            row = re.search(rf"^\|\s*`{name}`\s*\|\s*([^|]*?)\s*\|", text, re.MULTILINE)
            if row is None:
                yield f"docs/limits.md: no row for {name}"
            elif row.group(1).replace(",", "") != value:
                yield f"docs/limits.md: {name} is {value}, not {row.group(1)}"
    if os.path.exists("docs/options.md"):
        options = read("docs/options.md")
        text = read("include/meshsync/options.h")
        members = text[text.index("typedef struct meshsync_options {"):]
        for name in re.findall(r"(\w+);", members[:members.index("\n}")]):
            if f"`{name}`" not in options:
                yield f"docs/options.md: {name} is missing"


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    if "--limits" in sys.argv[1:]:
        for name, value, comment in limits():
            print(f"| `{name}` | {value} | {comment} |")
        return 0
    checks = [check_blocks, check_links, check_names(known_names()), check_targets, check_status]
    found = []
    paths = documents()
    for path in paths:
        text = read(path)
        for check in checks:
            found += [f"{path}:{line}: {words}" for line, words in check(path, text)]
    found += check_complete()
    for line in found:
        print(line)
    print(f"docs: {len(paths)} documents, {len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
