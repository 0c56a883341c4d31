#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that commands without a running node, each of which opens the store anew and so is an epoch
of its own, leave one entry in the version vector and a store that grows by the log alone.
MESHSYNC_OPENINGS is how many."""

import os

from support import Place, main

OPENINGS = int(os.environ.get("MESHSYNC_OPENINGS", "200"))
KEYS = 10
LOG_BYTES_MAX = 2048  # Of a small change, with its place in the indexes.


def used(node):
    return node.json("status").one()["stats"]["store_used_bytes"]


def test(checks):
    with Place("openings") as place:
        node = place.node("alone")
        node.run("init")
        node.run("space", "create", "s")
        node.run("collection", "s", "c", "--type", "register")
        first = node.json("space", "info", "s").one()
        begin = used(node)
        failed = [i for i in range(OPENINGS)
                  if node.run("put", "s", "c", f"k{i % KEYS}", f"v{i}").code != 0]
        checks.equal(failed, [], "every put")
        info = node.json("space", "info", "s").one()
        checks.equal((info["tips"], info["heads"], info["members"]), (1, 1, 1), "one entry")
        checks.equal(info["changes"], first["changes"] + OPENINGS, "all changes")
        checks.equal(info["entries"], first["entries"] + KEYS, "all keys")
        grown = used(node) - begin
        checks.that(grown <= OPENINGS * LOG_BYTES_MAX, "the growth", grown)
        print(f"{OPENINGS} openings: {grown // OPENINGS} bytes each")
        checks.equal(node.run("verify", "s").code, 0, "verify")


if __name__ == "__main__":
    main(test)
