#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs the library into a folder and builds programs against it by pkg-config alone: in C and
C++, with the shared library, with the static one, and wholly static. Also shows that DESTDIR and
the folders are respected, and that uninstall leaves nothing.
usage: consumer.py MAKE [ARGUMENT...]"""

import glob
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")


class Failed(Exception):
    pass


def run(argv, **env):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, env={**os.environ, **env}, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout}")
    return done.stdout


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder)
                  for at, _, names in os.walk(folder) for name in names)


def expected_files():
    names = []
    with open(os.path.join(HERE, "installed.golden"), encoding="utf-8") as file:
        for line in file.read().split():
            if line == "include/meshsync/*.h":
                names += [path for path in glob.glob(line)]
            else:
                names.append(line)
    return sorted(names)


def check_staged(make, scratch):
    """DESTDIR: what goes where, and that uninstall takes all of it away."""
    stage = os.path.join(scratch, "stage")
    where = [f"DESTDIR={stage}", "PREFIX=/opt/mesh", "libdir=/opt/mesh/lib/deep"]
    run([*make, *where, "install"])
    found = [path.replace("opt/mesh/lib/deep/", "opt/mesh/lib/") for path in files_below(stage)]
    wanted = [f"opt/mesh/{path}" for path in expected_files()]
    if sorted(found) != wanted:
        raise Failed(f"installed: missing {sorted(set(wanted) - set(found))}, "
                     f"not expected {sorted(set(found) - set(wanted))}")
    with open(f"{stage}/opt/mesh/lib/deep/pkgconfig/meshsync.pc", encoding="utf-8") as file:
        text = file.read()
    if "libdir=/opt/mesh/lib/deep\n" not in text or stage in text or "@" in text:
        raise Failed(f"meshsync.pc:\n{text}")
    run([*make, *where, "uninstall"])
    if files_below(stage):
        raise Failed(f"uninstall left {files_below(stage)}")


def build_and_run(name, argv, scratch, **env):
    """Compiles a copy of the program far from the tree, runs it on a new folder."""
    program = os.path.join(scratch, name)
    run([*argv, "-o", program], **env)
    print(f"{name}: {run([program, os.path.join(scratch, name + '-data')], **env).strip()}")
    return program


def check_consumers(make, scratch):
    prefix = os.path.join(scratch, "usr")
    run([*make, f"PREFIX={prefix}", "install"])
    lib = os.path.join(prefix, "lib")
    env = {"PKG_CONFIG_PATH": os.path.join(lib, "pkgconfig")}
    source = shutil.copy(os.path.join(HERE, "consumer", "main.c"), scratch)
    strict = "-Wall -Wextra -Wpedantic -Werror".split()

    def flags(*options):
        return run(["pkg-config", *options, "meshsync"], **env).split()

    shared = flags("--cflags", "--libs")
    if any(flag in shared for flag in ("-luv", "-llmdb", "-lsodium")):
        raise Failed(f"a user of the shared library is told of its insides: {shared}")
    c = ["cc", "-std=c11", *strict, source]
    cxx = ["c++", "-std=c++17", *strict, "-xc++", source, "-xnone"]
    program = build_and_run("shared-c", c + shared, scratch, LD_LIBRARY_PATH=lib, **env)
    if "libmeshsync.so.0" not in run(["readelf", "-d", program]):
        raise Failed("the program does not ask for libmeshsync.so.0")
    build_and_run("shared-cxx", cxx + shared, scratch, LD_LIBRARY_PATH=lib, **env)

    # Without the shared library there, -lmeshsync is the static one.
    for path in glob.glob(os.path.join(lib, "libmeshsync.so*")):
        os.unlink(path)
    static = flags("--static", "--cflags", "--libs")
    build_and_run("static-c", c + static, scratch, **env)
    build_and_run("static-cxx", cxx + static, scratch, **env)
    # The C library warns that looking up names still takes shared parts of it: no -Werror here.
    build_and_run("all-static-c", ["cc", "-std=c11", source, "-static"] + static, scratch, **env)


def main():
    make = sys.argv[1:] or ["make"]
    os.chdir(TOP)
    scratch = tempfile.mkdtemp(prefix="msy-")
    try:
        check_staged(make, scratch)
        check_consumers(make, scratch)
    except Failed as problem:
        print(problem)
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
