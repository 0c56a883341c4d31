#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that a store written by version 0.1 opens: it is verified, has the digest and the values it
had, takes new writes in a new epoch, and is left as it was by a reader."""

import os
import tarfile

from support import ROOT, Place, main

KEPT = os.path.join(ROOT, "tests", "vectors", "store-0.1.tar.gz")
CLOCK = "5cf173b15ae71d9edcd9b7cfe5cf4a9b3bb2706ce15f06cb6646d7c925556630"
DIGEST = "bc82fcc0ba4a76b3f7fb523c17a52a0a711fc4b74ec149278c3778c1be9103a1"
DEVICE = "b82769ded1a758b2fc4109bd242be1a2d63d84fd3a620764e39b6170faff9143"


def values(checks, node):
    """What was written by hand with version 0.1."""
    checks.equal(node.json("get", "notes", "words", "hello").one()["value"], "wörld", "a register")
    checks.equal(node.json("get", "notes", "words", "k3").one()["value"], "v3", "a transaction")
    checks.equal(node.run("get", "notes", "words", "gone").code, 1, "a deleted key")
    checks.equal(node.json("get", "notes", "hits", "page").one()["value"], 5, "a counter")
    checks.equal(node.json("members", "notes", "tags", "fruit").lines(),
                 [{"element": "apple"}], "a set")
    field = node.json("mget", "notes", "profile", "ann", "address.city").one()
    checks.equal(field["value"], "Rome", "a map")


def test(checks):
    with Place("kept") as place:
        with tarfile.open(KEPT) as archive:
            archive.extractall(place.folder)
        node = place.node("store")
        checks.equal(node.json("id").one()["id"], DEVICE, "the device")
        before = node.json("digest", "notes").one()
        checks.equal((before["clock"], before["digest"]), (CLOCK, DIGEST), "the digest")
        report = node.json("verify", "notes").one()
        checks.equal((report["changes"], report["damaged_changes"], report["damaged_leaves"]),
                     (14, 0, 0), "verify")
        values(checks, node)
        checks.equal(node.json("digest", "notes").one(), before, "reading changes nothing")
        checks.equal(node.run("put", "notes", "words", "new", "value").code, 0, "a new write")
        after = node.json("digest", "notes").one()
        checks.equal(after["changes"], before["changes"] + 1, "one change more")
        checks.that(after["digest"] != before["digest"], "another digest", after)
        values(checks, node)
        checks.equal(node.run("verify", "notes").code, 0, "verify after the write")


if __name__ == "__main__":
    main(test)
