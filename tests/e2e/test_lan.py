#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that real nodes that were told no address find each other by beacons on one interface,
that a node without the space finds nobody, and what is said about a wrong group or interface."""

import os
import random

from support import Place, converged, digests, main, until

NAMES = ("a", "b", "c")


def group_of_its_own():
    """A port that is shared by all who look: whoever else takes it only hears noise."""
    return f"239.255.77.83:{random.Random(os.getpid()).randrange(20000, 30000)}"


def sessions(node):
    peers = node.json("peers").lines()
    return sum(1 for peer in peers if peer.get("state") in ("syncing", "live"))


def found(checks, nodes):
    first = nodes["a"]
    checks.equal(first.run("space", "create", "home").code, 0, "the space is founded")
    first.run("collection", "home", "notes", "--type", "register")
    ticket = first.json("space", "invite", "home").one().get("ticket", "")
    for name in NAMES[1:]:
        nodes[name].run("init")
        joined = nodes[name].run("space", "join", "-", data=ticket + "\n")
        checks.equal(joined.code, 0, f"{name} joins")


def test(checks):
    group = group_of_its_own()
    look = ("--lan", "127.0.0.1", "--lan-group", group)
    with Place("lan") as place:
        nodes = {name: place.node(name) for name in NAMES}
        stranger = place.node("stranger")
        found(checks, nodes)
        stranger.run("space", "create", "other")
        for node in (*nodes.values(), stranger):
            checks.that(node.start(extra=look), "it runs")
        checks.equal(nodes["a"].run("put", "home", "notes", "k", "v").code, 0, "a put")
        checks.that(converged(list(nodes.values()), "home"), "those who looked agree",
                    digests(list(nodes.values()), "home"))
        checks.equal(nodes["c"].run("get", "home", "notes", "k").out.strip(), "v", "c has it")
        checks.that(until(lambda: all(sessions(node) == 2 for node in nodes.values()), 20),
                    "each is in session with both others")
        checks.equal(sessions(stranger), 0, "the stranger found nobody")

        nodes["b"].kill()
        checks.that(nodes["b"].start(extra=look), "b comes back, at another port")
        nodes["a"].run("put", "home", "notes", "k", "w")
        checks.that(until(lambda: nodes["b"].run("get", "home", "notes", "k").out.strip() == "w",
                          20), "it is found again")
        for wrong in (("--lan", "nowhere"), ("--lan", "all", "--lan-group", "10.0.0.1:1"),
                      ("--lan-group", group)):
            node = place.node("wrong")
            node.run("init")
            answer = node.run("run", *wrong, seconds=20)
            checks.that(answer.code not in (0, None), f"{wrong} is refused", answer)
        for node in (*nodes.values(), stranger):
            checks.equal(node.stop(), 0, "it ends in order")


if __name__ == "__main__":
    main(test)
