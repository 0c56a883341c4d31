#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the small programs in examples/ do what they say, twice in the same folder, and that
what they leave is a sound node. MESHSYNC_EXAMPLES is the folder of the built programs."""

import os
import subprocess

from support import ROOT, Place, command, main

EXAMPLES = os.path.abspath(os.environ.get("MESHSYNC_EXAMPLES",
                                          os.path.join(ROOT, "build", "examples")))


def run(checks, place, name, *arguments):
    done = subprocess.run([os.path.join(EXAMPLES, name), *arguments], cwd=place.folder,
                          capture_output=True, timeout=60, check=False)
    checks.that(done.returncode == 0 and done.stderr == b"", name, done)
    return done.stdout.decode()


def test(checks):
    with Place("examples") as place:
        for again in range(2):
            checks.equal(run(checks, place, "hello"), "hello, mesh\n", "hello")
            checks.equal(run(checks, place, "watch"), "".join(
                f"notes/counting = {word}\n" for word in ("one", "two", "three")), "watch")
            sums = [5 * (again + 1), -2 * (again + 1)]
            checks.equal(run(checks, place, "counter"), "".join(
                f"{when}: apples {sums[0]}\n{when}: pears {sums[1]}\n"
                for when in ("in the transaction", "committed")), "counter")
            checks.equal(run(checks, place, "uv_loop"), "seen: turned by the program\n", "uv_loop")
            checks.equal(run(checks, place, "epoll_loop"), "seen: turned by epoll\n", "epoll_loop")
        folders = (place.path("one"), place.path("two"))
        checks.equal(run(checks, place, "two_nodes", *folders),
                     "the second node reads: good morning\n", "two_nodes")
        for folder, space in (("hello-data", "home"), ("counter-data", "shop"), ("one", "shared"),
                              ("two", "shared"), ("uv-loop-data", "home")):
            checks.equal(command(place.path(folder), "verify", space).code, 0, f"{folder} is sound")


if __name__ == "__main__":
    main(test)
