#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the tree to the rules of the house that compilers do not know: who includes whom, lengths,
names, calls, comments of public headers. With --canaries it shows that each gate still bites, on
files made to be rejected."""

import argparse
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rules  # noqa: E402
from source import Source  # noqa: E402

ROOTS = ("include", "lib", "examples", "tests", "bench", "bindings", "mk", "pkgconfig", ".ci")
SKIPPED = ("__pycache__", "corpus", "build")
TEXTS = (".c", ".h", ".py", ".sh", ".mk")
GATES = []
# A variable at the left margin that is neither const nor only declared.
KEPT = re.compile(r"(?:static\s+)?(?!const\b|inline\b|typedef\b|extern\b)"
                  r"(?:(?:struct|enum|unsigned|volatile)\s+)?(?!const\b|struct\b|enum\b)"
                  r"\w+\s+\**(\w+)"
                  r"(?:\[[^\]]*\])*\s*(?:=|;)")


def gate(function):
    """Registers a gate: given a Source and all paths, it yields (line number, complaint)."""
    GATES.append(function)
    return function


# Who includes whom.

def may_include(folder, header):
    target = header.split("/")[0]
    allowed = rules.MAY_INCLUDE.get(folder, ())
    return target == folder or target in allowed or header in allowed


@gate
def layer(source, paths):
    folder = source.folder()
    if folder is None:
        return
    for number, _, header in source.includes():
        ours = f"lib/{header}" in paths or header.split("/")[0] in rules.MAY_INCLUDE
        if ours and not may_include(folder, header):
            yield number, f"lib/{folder} may not include {header}"


@gate
def foreign(source, paths):
    del paths
    folder = source.folder()
    if folder is None:
        return
    for number, _, header in source.includes():
        home = rules.FOREIGN.get(header) or rules.FOREIGN.get(header.split("/")[0])
        if home is not None and home != folder and folder != "ext":
            yield number, f"only lib/{home} may include {header}"
        if header in rules.FOREIGN_NEVER:
            yield number, f"nothing in lib/ may include {header}"
        if (folder in rules.CORE and header in rules.NOT_IN_CORE
                and source.path not in rules.CORE_PORTS):
            yield number, f"the core may not include {header}: no threads, clocks or sockets"


@gate
def dotdot(source, paths):
    del paths
    for number, _, header in source.includes() if source.is_c else ():
        if ".." in header.split("/"):
            yield number, f"an include path has '..': {header}"


@gate
def own_header_first(source, paths):
    if source.folder() is None or not source.path.endswith(".c"):
        return
    own = source.path[:-2] + ".h"
    includes = source.includes()
    if own in paths and (not includes or includes[0][2] != own[len("lib/"):]):
        yield (includes[0][0] if includes else 1), f"the first include must be {own[4:]}"


@gate
def public_includes(source, paths):
    del paths
    if not source.path.startswith("include/"):
        return
    for number, _, header in source.includes():
        if not header.startswith("meshsync/") and header not in rules.PUBLIC_MAY_INCLUDE:
            yield number, f"a public header may not include {header}"


# Size and shape.

@gate
def file_length(source, paths):
    del paths
    limit = rules.TEST_LINES_MAX if source.path.startswith("tests/") else rules.FILE_LINES_MAX
    if len(source.lines) > limit:
        yield limit, f"{len(source.lines)} lines, over {limit}"


@gate
def line_shape(source, paths):
    del paths
    for number, line in enumerate(source.lines, 1):
        if len(line) > rules.LINE_COLUMNS_MAX:
            yield number, f"{len(line)} columns, over {rules.LINE_COLUMNS_MAX}"
        if line != line.rstrip():
            yield number, "white space at the end"
        if "\t" in line and not source.path.endswith(("Makefile", ".mk")):
            yield number, "a tab"
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines), "no end of line at the end of the file"


@gate
def function_shape(source, paths):
    del paths
    for function in source.functions() if source.path.endswith(".c") else ():
        lines = len(function.body) - 1
        if lines > rules.FUNCTION_LINES_MAX:
            yield function.line, (f"{function.name()} has {lines} lines, "
                                  f"over {rules.FUNCTION_LINES_MAX}")
        # Where the error goes, and what belongs to a callback, are not counted.
        count = sum(1 for text in function.parameters()
                    if not text.endswith(("*error", "*user")))
        if count > rules.PARAMETERS_MAX and not source.path.startswith("tests/"):
            yield function.line, (f"{function.name()} has {count} parameters, "
                                  f"over {rules.PARAMETERS_MAX}")
        if function.levels() > rules.LEVELS_MAX:
            yield function.line, (f"{function.name()} is nested {function.levels()} levels deep, "
                                  f"over {rules.LEVELS_MAX}")


@gate
def jumps(source, paths):
    del paths
    for number, line in enumerate(source.code, 1):
        match = re.search(r"\bgoto\s+(\w+)", line)
        if match and match.group(1) != "out":
            yield number, f"goto {match.group(1)}: the one label is out"


@gate
def macros(source, paths):
    del paths
    inside = False
    for number, line in enumerate(source.code, 1):
        inside = inside or bool(re.match(r"\s*#\s*define\b", line))
        if inside and re.search(r"\b(return|goto)\b", line):
            yield number, "a macro that leaves its function"
        inside = inside and line.endswith("\\")


# Names and calls.

@gate
def calls(source, paths):
    del paths
    folder = source.folder()
    banned = dict(rules.BANNED_ANYWHERE)
    if folder is not None:
        banned.update(rules.BANNED_IN_LIB)
    if folder in rules.CORE:
        banned.update(rules.BANNED_IN_CORE)
    for name in rules.MAY_CALL.get(source.path, ()):
        banned.pop(name, None)
    call = re.compile(r"(?<![\w.>])(" + "|".join(map(re.escape, banned)) + r")\s*\(")
    for number, line in enumerate(source.code, 1):
        for match in call.finditer(line):
            yield number, f"{match.group(1)}(): {banned[match.group(1)]}"


@gate
def reserved_names(source, paths):
    del paths
    if source.folder() is None and not source.path.startswith(("include/", "examples/")):
        return
    fine = re.compile("|".join(f"(?:{pattern})$" for pattern in rules.RESERVED_OK))
    for number, line in enumerate(source.code, 1):
        if re.match(r"\s*#\s*include", line):
            continue
        for name in re.findall(r"(?<![\w.])(?:_\w+|[A-Za-z]\w*__\w*)", line):
            if not fine.match(name):
                yield number, f"{name}: names with _ in front or __ inside are not ours"


@gate
def kept_variables(source, paths):
    del paths
    if source.folder() not in rules.CORE:
        return
    for number, line in enumerate(source.code, 1):
        match = KEPT.match(line)
        if match and match.group(1) not in rules.MAY_KEEP.get(source.path, ()):
            yield number, f"{match.group(1)}: the core has no variables outside functions"


# Comments.

@gate
def spdx(source, paths):
    del paths
    # Built from two parts, for this line is none.
    tag = "SPDX-License-" + "Identifier: Apache-2.0"
    if source.is_c:
        if not source.lines or source.lines[0] != f"/* {tag} */":
            yield 1, "the first line must be the licence"
    elif not any(line == f"# {tag}" for line in source.lines[:2]):
        yield 1, "one of the first two lines must be the licence"


@gate
def comment_style(source, paths):
    del paths
    for number, line in enumerate(source.code, 1):
        if "//" in line:
            yield number, "a comment with //"


@gate
def unfinished(source, paths):
    del paths
    words = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"))
    for number, line in enumerate(source.lines, 1):
        match = re.search(rf"\b({words})\b(?!\(#\d+\))", line)
        if match:
            yield number, f"{match.group(1)} without the number of an issue"


@gate
def machine_paths(source, paths):
    del paths
    for number, line in enumerate(source.lines, 1):
        match = re.search(r"(?<![\w.])/(?:work|root|home|farm)/\w*", line)
        if match:
            yield number, f"{match.group(0)}: a path of one machine"


@gate
def test_says_what_it_shows(source, paths):
    del paths
    name = os.path.basename(source.path)
    if not source.path.startswith("tests/") or not re.match(r"test_.*\.c$", name):
        return
    rest = [line for line in source.lines[1:] if line.strip()]
    if not rest or not rest[0].startswith("/*"):
        yield 2, "a test starts with a sentence that says what it shows"


# Public headers.

def declarations(source):
    """(line, comment lines in front, text) of each function that the header exports."""
    for number, line in enumerate(source.code, 1):
        if not line.startswith("MESHSYNC_API "):
            continue
        end = number
        while end < len(source.code) and not source.code[end - 1].rstrip().endswith(";"):
            end += 1
        start = number - 1
        if start > 0 and source.lines[start - 1].strip().endswith("*/"):
            while start > 0 and not source.lines[start - 1].lstrip().startswith("/*"):
                start -= 1
            start -= 1
        yield number, source.lines[start:number - 1], " ".join(source.code[number - 1:end])


@gate
def public_functions(source, paths):
    del paths
    if not source.path.startswith("include/"):
        return
    for number, comment, text in declarations(source):
        for tag in ("@since", "@threads"):
            if not any(tag in line for line in comment):
                yield number, f"a public function without {tag}"
        if re.search(r"\b(bool|_Bool)\b", text):
            yield number, "a public function with a bool"
        if "..." in text:
            yield number, "a public function with varargs"
    if not re.search(r"^ \* @file " + re.escape(os.path.basename(source.path)) + "$", source.text,
                     re.MULTILINE):
        yield 2, "a public header says @file with its own name"


@gate
def public_members(source, paths):
    del paths
    if not source.path.startswith("include/"):
        return
    kind = None
    for number, (line, code) in enumerate(zip(source.lines, source.code), 1):
        opened = re.match(r"(?:typedef\s+)?(struct|enum)\b[^;]*\{\s*$", code)
        if opened:
            kind = opened.group(1)
        elif code.startswith("}"):
            kind = None
        elif kind and re.search(r"[;,]\s*$|\w\s*$", code.rstrip()) and not code.startswith("#"):
            if "/**<" not in line and "MESHSYNC_STATUS_MAP" not in line:
                yield number, "a public member without /**<"
            if kind == "enum" and "=" not in code and "MESHSYNC_STATUS_MAP" not in line:
                yield number, "a public enum constant without its number"


# The whole tree.

def tests_listed(paths):
    """The list of tests is written by hand, so that no test is lost unseen."""
    with open("mk/tests.mk", encoding="utf-8") as file:
        listed = set(re.findall(r"tests/[\w/.-]+\.c", file.read()))
    kinds = ("tests/unit/", "tests/laws/", "tests/conform/", "tests/sim/", "tests/fault/",
             "tests/history/")
    there = {path for path in paths if path.startswith(kinds) and path.endswith(".c")}
    for path in sorted(there - listed):
        yield f"{path}:1: tests_listed: not in mk/tests.mk"
    for path in sorted(listed - there):
        yield f"mk/tests.mk:1: tests_listed: {path} is not there"


def paths_of_tree():
    paths = ["Makefile"]
    for root in ROOTS:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in SKIPPED]
            paths += [os.path.join(folder, name) for name in files]
    scripts = [path for path in paths if path.startswith(".ci/")]
    return sorted(path for path in paths
                  if path.endswith(TEXTS) or path == "Makefile" or path in scripts)


def complaints_of(source, paths):
    for check in GATES:
        for number, words in check(source, paths):
            yield check.__name__, number, words


def check_tree():
    paths = paths_of_tree()
    known = set(paths)
    found = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            source = Source(path, file.read())
        found += [f"{path}:{number}: {name}: {words}"
                  for name, number, words in complaints_of(source, known)]
    found += tests_listed(known)
    for line in found:
        print(line)
    print(f"tidy: {len(paths)} files, {len(GATES) + 1} gates, {len(found)} complaints")
    return 1 if found else 0


def canary(path):
    """A canary's first line names the gate and the path it stands for; '@repeat N' repeats the
    line after it. Returns what is wrong with the gate, or None."""
    with open(path, encoding="utf-8") as file:
        head, *lines = file.read().splitlines()
    name, stands_for = head.split()
    text = []
    times = 1
    for line in lines:
        if line.startswith("@repeat "):
            times = int(line.split()[1])
            continue
        text += [line.replace("@tab", "\t").replace("@space", " ")] * times
        times = 1
    source = Source(stands_for, "\n".join(text) + "\n")
    known = {stands_for, "lib/base/buf.h", "lib/store/store.h", "lib/crdt/leaf.h"}
    if stands_for.endswith(".c"):
        known.add(stands_for[:-2] + ".h")
    found = {gate_name for gate_name, _, _ in complaints_of(source, known)}
    if name == "nothing":
        return f"complains of {', '.join(sorted(found))}" if found else None
    return None if name in found else f"{name} let it pass"


def check_canaries():
    failures = 0
    tried = set()
    paths = sorted(glob.glob(os.path.join("tests", "tidy", "canaries", "*.canary")))
    for path in paths:
        with open(path, encoding="utf-8") as file:
            tried.add(file.readline().split()[0])
        problem = canary(path)
        if problem is not None:
            failures += 1
            print(f"{path}: {problem}")
    for check in GATES:
        if check.__name__ not in tried:
            failures += 1
            print(f"no canary for the gate {check.__name__}")
    listed = list(tests_listed({"tests/unit/test_that_nobody_lists.c"}))
    if not any("nobody_lists" in line for line in listed):
        failures += 1
        print("tests_listed let it pass")
    print(f"tidy: {len(paths)} canaries, {failures} problems")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--canaries", action="store_true", help="try the gates on bad files")
    args = parser.parse_args()
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    return check_canaries() if args.canaries else check_tree()


if __name__ == "__main__":
    sys.exit(main())
