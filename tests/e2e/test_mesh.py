#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that five real node processes in a ring replicate through each other, go on writing while
the ring is cut in two, and agree afterwards; that two users share a space by tickets; that a
stranger learns nothing; and that another process reads beside a running node."""

import json
import os
import threading
import time

from proxy import Mesh
from support import Place, converged, digests, main, until

NAMES = ("a", "b", "c", "d", "e")
WRITES = 40


def ring_pairs():
    return {frozenset((NAMES[i], NAMES[(i + 1) % 5])) for i in range(5)}


class Ring:
    """Five nodes, each of which knows its next neighbour only and may talk to both neighbours."""

    def __init__(self, place):
        self.place = place
        self.mesh = Mesh()
        self.mesh.only = ring_pairs()
        self.fronts = {name: self.mesh.add(name) for name in NAMES}
        self.nodes = {name: place.node(name) for name in NAMES}

    def start(self, name):
        """Nodes listen on a Unix socket and know others by the fronts."""
        node = self.nodes[name]
        following = NAMES[(NAMES.index(name) + 1) % 5]
        path = self.place.path(name + ".sock")
        for old in (path, path + ".hidden"):
            if os.path.exists(old):
                os.unlink(old)
        if not node.start(listen=(f"unix:{path}",), peers=(self.fronts[following],)):
            return False
        self.mesh.hide(name, path)
        self.mesh.processes[name] = node.process.pid
        return True

    def all(self):
        return list(self.nodes.values())


def found(checks, ring):
    """One founds the space, the others join it before they have met anybody."""
    first = ring.nodes["a"]
    checks.equal(first.run("space", "create", "ring").code, 0, "the space is founded")
    for kind in ("register", "counter", "set", "map"):
        first.run("collection", "ring", kind + "s", "--type", kind)
    ticket = first.json("space", "invite", "ring").one().get("ticket", "")
    for name in NAMES[1:]:
        node = ring.nodes[name]
        node.run("init")
        checks.equal(node.run("space", "join", "-", data=ticket + "\n").code, 0, f"{name} joins")
    for name in NAMES:
        checks.that(ring.start(name), f"{name} runs")
    checks.that(converged(ring.all(), "ring"), "the ring converges", digests(ring.all(), "ring"))
    listed = [ring.nodes[name].json("collection", "list", "ring").lines() for name in NAMES]
    checks.that(all(len(lines) == 4 for lines in listed), "all know the four collections")


def write_some(node, name, problems):
    """Own keys and shared ones, of every type, as one user after another would."""
    for i in range(WRITES):
        lines = [{"op": "put", "collection": "registers", "key": f"{name}{i}", "value": i},
                 {"op": "put", "collection": "registers", "key": f"shared{i % 5}",
                  "value": f"{name} {i}"},
                 {"op": "incr", "collection": "counters", "key": "sum", "delta": i},
                 {"op": "add", "collection": "sets", "key": "who", "value": f"{name}{i % 7}"},
                 {"op": "mset", "collection": "maps", "key": "doc", "field": [name, f"f{i % 3}"],
                  "value": i}]
        answer = node.run("txn", "ring", data="\n".join(json.dumps(line) for line in lines))
        if answer.code != 0:
            problems.append((name, i, answer))


def write_everywhere(ring):
    problems = []
    threads = [threading.Thread(target=write_some, args=(ring.nodes[name], name, problems))
               for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def same_everywhere(checks, ring, rounds):
    nodes = ring.all()
    wanted = rounds * 5 * sum(range(WRITES))
    sums = [node.json("get", "ring", "counters", "sum").one().get("value") for node in nodes]
    checks.equal(sums, [wanted] * 5, "the counter is the same sum everywhere")
    keys = [len(node.json("scan", "ring", "registers").lines()) for node in nodes]
    checks.equal(keys, [5 * WRITES + 5] * 5, "every key is everywhere")
    members = [node.run("members", "ring", "sets", "who").out for node in nodes]
    checks.that(len(set(members)) == 1 and len(members[0].splitlines()) == 35, "one set")
    docs = [node.json("mget", "ring", "maps", "doc").one() for node in nodes]
    checks.that(all(doc == docs[0] for doc in docs) and len(docs[0].get("value", {})) == 5,
                "one map", docs[0])
    lists = [[{**line, "context": ""} for line in node.json("conflicts", "ring").lines()]
             for node in nodes]  # A context belongs to its node.
    checks.that(all(lines == lists[0] for lines in lists), "the same conflicts everywhere",
                [len(lines) for lines in lists])
    checks.that(rounds == 1 or len(lists[0]) >= 5, "what two sides wrote is a conflict", lists[0])
    reads = [node.run("scan", "ring", "registers").out for node in nodes]
    checks.that(len(set(reads)) == 1, "a read shows the same everywhere")


def partition(checks, ring):
    """a, b, c on one side, d and e on the other; both go on."""
    crossing = {frozenset(("c", "d")), frozenset(("e", "a"))}
    ring.mesh.forbid(crossing)
    checks.equal(write_everywhere(ring), [], "all write while the ring is cut")
    left = [ring.nodes[name] for name in "abc"]
    right = [ring.nodes[name] for name in "de"]
    checks.that(converged(left, "ring"), "a, b and c agree", digests(left, "ring"))
    checks.that(converged(right, "ring"), "d and e agree", digests(right, "ring"))
    both = digests([left[0], right[0]], "ring")
    checks.that(both[0] != both[1], "the two sides differ")
    token = ring.nodes["d"].json("put", "ring", "registers", "token", "x").one().get("version", "")
    waited = ring.nodes["a"].json("wait", "ring", "--version", token, "--timeout", "0.5")
    checks.equal(waited.code, 1, "a version of the other side does not come")
    late = ring.nodes["d"].json("put", "ring", "registers", "token", "y", "--ack", "2",
                                "--timeout", "0.5")
    checks.that(late.code == 1 and "version" in late.error(), "two peers cannot confirm", late)
    checks.equal(ring.nodes["e"].kill(), -9, "e is killed")
    checks.that(ring.start("e"), "and comes back")
    begin = time.monotonic()
    ring.mesh.heal()
    waited = ring.nodes["a"].json("wait", "ring", "--version", late.error().get("version", ""))
    checks.equal(waited.code, 0, "after the cut the version comes")
    ring.nodes["a"].run("del", "ring", "registers", "token")
    checks.that(converged(ring.all(), "ring", 60), "the whole ring agrees again",
                digests(ring.all(), "ring"))
    print(f"healed in {time.monotonic() - begin:.2f} s, {ring.mesh.bytes} bytes carried in all")
    same_everywhere(checks, ring, 2)


def acknowledged(checks, ring):
    answer = ring.nodes["a"].json("put", "ring", "registers", "acked", "x", "--ack", "2")
    checks.equal(answer.code, 0, f"two peers confirm a write {answer}")
    answer = ring.nodes["a"].json("wait", "ring", "--peers", "2", "--timeout", "20")
    checks.equal(answer.code, 0, f"both neighbours have everything {answer}")
    checks.that(converged(ring.all(), "ring"), "and then all")
    holders = sum(ring.nodes[name].run("get", "ring", "registers", "acked").code == 0
                  for name in NAMES)
    checks.equal(holders, 5, "the write is at all of them")
    ring.nodes["a"].run("del", "ring", "registers", "acked")
    states = until(lambda: [line for line in ring.nodes["b"].json("peers").lines()
                            if line["state"] == "live" and line["lag"] == 0], 10)
    checks.that(states, "peers shows who is live", ring.nodes["b"].run("peers").out)


def reader(checks, ring):
    """Commands go through the running node; a program of its own would open the store. Both work
    while writers write: reads never wait, and each sees whole transactions."""
    node = ring.nodes["c"]
    torn = []
    problems = []
    writer = threading.Thread(target=write_some, args=(node, "reader", problems))
    writer.start()
    control = os.path.join(node.folder, "control.sock")
    os.rename(control, control + ".away")  # As for a process that knows nothing of the node.
    reads = 0
    while writer.is_alive() and reads < 30:
        answer = node.json("status")
        reads += 1
        if answer.code != 0 or answer.one().get("running") is not False:
            torn.append(answer)
        if reads == 10:
            os.rename(control + ".away", control)
            break
    if os.path.exists(control + ".away"):
        os.rename(control + ".away", control)
    writer.join()
    checks.that(not torn and reads > 3, f"{reads} reads beside the running node", torn[:1])


def two_users(checks, place):
    """Two users share a space by a ticket, and each keeps another to themself."""
    ann, bob = place.node("ann"), place.node("bob")
    ann.run("space", "create", "shared")
    ann.run("space", "create", "anns own")
    ann.run("collection", "shared", "notes", "--type", "register")
    ann.run("collection", "anns own", "diary", "--type", "register")
    ann.run("put", "anns own", "diary", "monday", "nobody's business")
    checks.that(ann.start(), "ann runs")
    ticket = ann.run("space", "invite", "shared").out.strip()
    joined = bob.json("space", "join", ticket, "--as", "ours")
    checks.equal(joined.one().get("name"), "ours", f"bob joins by ticket {joined}")
    again = bob.json("space", "join", ticket)
    checks.equal(again.code, 5, f"but not twice {again}")
    checks.equal(bob.run("collection", "ours", "notes", "--type", "register").code, 0,
                 "bob makes the same collection, offline")
    checks.equal(bob.run("put", "ours", "notes", "from bob", "hello").code, 0,
                 "bob writes before he ever met ann")
    checks.that(bob.start(peers=()), "bob runs; the ticket knows the way")
    checks.equal(ann.run("put", "shared", "notes", "from ann", "hi", "--ack", "1").code, 0,
                 "bob confirms ann's write")

    def agree():
        one, two = ann.json("digest", "shared").one(), bob.json("digest", "ours").one()
        return one.get("digest") == two.get("digest") is not None
    checks.that(until(agree, 20), "both have the same")
    checks.equal(ann.run("get", "shared", "notes", "from bob").out, "hello\n", "ann reads bob's")
    checks.equal(bob.run("get", "ours", "notes", "from ann").out, "hi\n", "bob reads ann's")
    names = [line["name"] for line in bob.json("space", "list").lines()]
    checks.equal(names, ["ours"], "ann's other space stays with her")
    checks.equal(ann.json("space", "info", "shared").one().get("members"), 2, "two members")
    return ann, bob


def stranger(checks, place, ann):
    """A node without a ticket dials, and a node with an expired one."""
    eve = place.node("eve")
    eve.run("space", "create", "eves")
    eve.run("collection", "eves", "loot", "--type", "register")
    before = ann.json("digest", "shared").one()
    spaces = ann.json("space", "list").lines()
    checks.that(eve.start(peers=(ann.address(),)), "eve runs and dials ann")
    met = until(lambda: [line for line in eve.json("peers").lines() if line["bytes_out"] > 0 or
                         line["error"]], 15)
    checks.that(met, "eve reaches ann, or is turned away")
    time.sleep(1)
    checks.equal([line["name"] for line in eve.json("space", "list").lines()], ["eves"],
                 "eve learns of no space")
    checks.equal([line["spaces"] for line in eve.json("peers").lines()], [0], "nothing in common")
    checks.equal(ann.json("digest", "shared").one(), before, "nothing changed at ann's")
    checks.equal([line["id"] for line in ann.json("space", "list").lines()],
                 [line["id"] for line in spaces], "ann has no new space")
    short = ann.run("space", "invite", "shared", "--expires", "0.001").out.strip()
    time.sleep(0.1)
    late = eve.json("space", "join", short)
    checks.equal(late.code, 2, f"an expired ticket lets nobody in {late}")
    ticket = ann.run("space", "invite", "shared").out.strip()
    middle = len(ticket) // 2
    forged = ticket[:middle] + ("A" if ticket[middle] != "A" else "B") + ticket[middle + 1:]
    answer = eve.json("space", "join", forged, "--as", "stolen")
    if answer.code == 0:
        time.sleep(1)
        checks.equal(eve.json("scan", "stolen", "notes").lines(), [],
                     "a forged ticket brings nothing")
    checks.equal(ann.json("space", "info", "shared").one().get("members"), 2,
                 "a forged ticket makes no member")
    checks.equal(eve.stop(), 0, "eve stops")


def restart(checks, ann, bob):
    """A node that was away catches up; addresses are remembered."""
    checks.equal(bob.stop(), 0, "bob stops")
    for i in range(20):
        ann.run("put", "shared", "notes", f"while away {i}", "x")
    checks.equal(bob.run("put", "ours", "notes", "offline", "too").code, 0, "bob writes offline")
    checks.that(bob.start(), "bob is back, and knows ann's address")

    def agree():
        one, two = ann.json("digest", "shared").one(), bob.json("digest", "ours").one()
        return one.get("digest") == two.get("digest") is not None
    checks.that(until(agree, 30), "and catches up")
    for node, name in ((ann, "shared"), (bob, "ours")):
        checks.equal(node.run("verify", name).code, 0, f"{name} is sound")
        checks.equal(node.stop(), 0, f"{name} stops")


def test(checks):
    with Place("mesh") as place:
        ring = Ring(place)
        found(checks, ring)
        checks.equal(write_everywhere(ring), [], "all write at once")
        checks.that(converged(ring.all(), "ring", 60), "and agree", digests(ring.all(), "ring"))
        same_everywhere(checks, ring, 1)
        partition(checks, ring)
        acknowledged(checks, ring)
        reader(checks, ring)
        checks.that(converged(ring.all(), "ring", 60), "agreed at the end",
                    digests(ring.all(), "ring"))
        for name in NAMES:
            checks.equal(ring.nodes[name].run("verify", "ring").code, 0, f"{name} is sound")
            checks.equal(ring.nodes[name].stop(), 0, f"{name} stops")
        ring.mesh.end()
        ann, bob = two_users(checks, place)
        stranger(checks, place, ann)
        restart(checks, ann, bob)


if __name__ == "__main__":
    main(test)
