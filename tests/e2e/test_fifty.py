#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that fifty real node processes, each of which knows two addresses, become one mesh over
real sockets: what many write at once is the same everywhere; any ten are killed, those who are left
go on and agree; the ten return and have it all. MESHSYNC_PROCESSES (default 50), MESHSYNC_SEED."""

import os
import random
import threading
import time

from support import Place, converged, digests, main, until

COUNT = int(os.environ.get("MESHSYNC_PROCESSES", "50"))
SEED = int(os.environ.get("MESHSYNC_SEED", "1"))
WRITERS, WRITES, KILLED = 10, 4, COUNT // 5
SECONDS = 90


def agreed(nodes, writes):
    """Seconds until all have the same with so many adds in the sum; None: they never had."""
    begin = time.monotonic()

    def same():
        last = nodes[-1].json("get", "many", "sums", "all").one().get("value")
        if last != writes:
            return False
        found = digests(nodes, "many")
        return found[0] is not None and len(set(found)) == 1
    return round(time.monotonic() - begin, 1) if until(same, SECONDS, 0.5) else None


def write(checks, nodes):
    """Some write at once: keys that they share, and a sum."""
    def one(node):
        for i in range(WRITES):
            checks.equal(node.run("put", "many", "keys", f"key {i}", i).code, 0, "a write")
            checks.equal(node.run("incr", "many", "sums", "all").code, 0, "an add")
    threads = [threading.Thread(target=one, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(nodes) * WRITES


def begin(checks, nodes):
    """The first founds the space; each other knows the address of two that run before it."""
    first = nodes[0]
    checks.equal(first.run("space", "create", "many").code, 0, "the space is founded")
    first.run("collection", "many", "keys", "--type", "register")
    first.run("collection", "many", "sums", "--type", "counter")
    ticket = first.json("space", "invite", "many").one().get("ticket", "")
    for i, node in enumerate(nodes):
        if i > 0:
            node.run("init")
            joined = node.run("space", "join", "-", data=ticket + "\n")
            checks.equal(joined.code, 0, f"node {i} joins")
        known = random.sample(nodes[:i], min(2, i))
        checks.that(node.start(peers=[other.address() for other in known]), f"node {i} runs")


def test(checks):
    random.seed(SEED)
    print(f"seed {SEED}, {COUNT} processes")
    with Place("fifty") as place:
        nodes = [place.node(f"n{i}") for i in range(COUNT)]
        start = time.monotonic()
        begin(checks, nodes)
        print(f"all run after {time.monotonic() - start:.1f} s")
        checks.that(converged(nodes, "many", SECONDS), "all know the collections")
        total = write(checks, random.sample(nodes, WRITERS))
        took = agreed(nodes, total)
        checks.that(took is not None, "all agree", len(set(digests(nodes, "many"))))
        print(f"{total} adds of {WRITERS} writers are everywhere, seen after {took} s")
        killed = random.sample(nodes, KILLED)
        for node in killed:
            node.kill()
        left = [node for node in nodes if node not in killed]
        total += write(checks, random.sample(left, WRITERS))
        took = agreed(left, total)
        checks.that(took is not None, "those who are left agree", len(set(digests(left, "many"))))
        print(f"{KILLED} killed: the {len(left)} left agree on {total} adds, seen after {took} s")
        for node in killed:
            checks.that(node.start(peers=[left[0].address()]), "it runs again")
        took = agreed(left + killed, total)
        checks.that(took is not None, "all agree again", len(set(digests(nodes, "many"))))
        print(f"the {KILLED} returned: all {COUNT} agree, seen after {took} s")


if __name__ == "__main__":
    main(test)
