#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that nodes which no network joins come to the same data by bundles that are carried from
one to the next: a ring of three, some of them running and some not, each file given to whoever
comes next, in both directions, twice, and late."""

import os

from support import Place, Shapes, digests, main

ROUNDS = 4


class Courier:
    """Carries files between nodes, and knows what it carried last."""

    def __init__(self, checks, place):
        self.checks = checks
        self.place = place
        self.shapes = Shapes()
        self.count = 0

    def name(self):
        self.count += 1
        return f"bundle-{self.count}"

    def ask(self, shape, node, *words):
        answer = node.json(*words, cwd=self.place.folder)
        if not self.checks.equal(answer.code, 0, " ".join(words)):
            print(answer)
            return {}
        self.checks.equal(self.shapes.wrong(shape, answer.one()), "", f"the form of {shape}")
        return answer.one()

    def make(self, node, since=None):
        name = self.name()
        words = ["bundle", "create", "s", name] + (["--since", since] if since else [])
        made = self.ask("bundle-create", node, *words)
        self.checks.equal(made.get("bytes"), os.path.getsize(self.place.path(name)), "its size")
        return name, made.get("changes")

    def request(self, node):
        name = self.name()
        self.ask("bundle-request", node, "bundle", "request", "s", name)
        return name

    def apply(self, node, name):
        return self.ask("bundle-apply", node, "bundle", "apply", name)


def begin(place, courier):
    a, b, c = (place.node(name) for name in "abc")
    a.run("init")
    a.run("space", "create", "s")
    a.run("collection", "s", "r", "--type", "register")
    a.run("collection", "s", "n", "--type", "counter")
    first, _ = courier.make(a)
    for node in (b, c):
        node.run("init")
        node.run("space", "join", "-", data=a.run("space", "invite", "s").out)
    # The invitation was written after the first bundle, so the answer to a request is needed too.
    for node in (b, c):
        courier.apply(node, first)
        asked = courier.request(node)
        courier.apply(node, courier.make(a, asked)[0])
    courier.checks.that(b.start(listen=()), "b runs, and knows nobody")
    return a, b, c


def test(checks):
    with Place("bundle") as place:
        courier = Courier(checks, place)
        a, b, c = begin(place, courier)
        late = []
        for i in range(ROUNDS):
            for node in (a, b, c):
                checks.equal(node.run("put", "s", "r", f"key-{i % 2}",
                                      f"{i} of {os.path.basename(node.folder)}").code, 0, "put")
                checks.equal(node.run("incr", "s", "n", "count", "1").code, 0, "count")
            for giver, taker in ((a, b), (b, c), (c, a)):
                name, changes = courier.make(giver, courier.request(taker))
                late.append((taker, name))
                got = courier.apply(taker, name)
                checks.equal(got.get("accepted"), changes, "all of it is new, and none waits")
        for giver, taker in ((a, b), (b, c)):
            courier.apply(taker, courier.make(giver, courier.request(taker))[0])
        found = digests([a, b, c], "s")
        checks.that(found[0] is not None and len(set(found)) == 1, "all are equal", found)
        for taker, name in late:
            got = courier.apply(taker, name)
            checks.equal((got.get("accepted"), got.get("pending")), (0, 0), "again: nothing")
        checks.equal(digests([a, b, c], "s"), found, "and all are as they were")
        for node in (a, b, c):
            value = node.json("get", "s", "n", "count").one().get("value")
            checks.equal(value, 3 * ROUNDS, "each addition once")
            checks.equal(node.run("verify", "s").code, 0, "verify")
        stranger = place.node("stranger")
        stranger.run("init")
        answer = stranger.json("bundle", "apply", place.path(late[0][1]))
        checks.equal(answer.error().get("name"), "MESHSYNC_E_NOT_FOUND", "a stranger has no space")
        junk = place.write("junk", b"x" * 300)
        checks.equal(b.run("bundle", "apply", junk).code, 4, "no bundle")
        checks.equal(b.stop(), 0, "b ends")


if __name__ == "__main__":
    main(test)
