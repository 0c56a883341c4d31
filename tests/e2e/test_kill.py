#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that nothing acknowledged is lost when a node is killed by SIGKILL at random moments while
four clients write: MESHSYNC_KILLS times (default 50) the node is killed and started again, what was
acknowledged outside of it is looked for, transactions are whole, and the store is sound. A peer
that runs all the time ends with the same data. Every eighth time the node is also killed while it
opens. MESHSYNC_SEED repeats the moments."""

import json
import os
import random
import socket
import struct
import subprocess
import threading
import time

from support import MESHNODE, Place, converged, digests, main

KILLS = int(os.environ.get("MESHSYNC_KILLS", "50"))
SEED = int(os.environ.get("MESHSYNC_SEED", str(int(time.time()))))
SECONDS_MAX = float(os.environ.get("MESHSYNC_KILL_SECONDS", str(max(90, KILLS))))
CLIENTS = 4
# Enough for a dozen commits of each client; most kills come while one is on its way.
MOMENT_SECONDS_MAX = 0.1


class Control:
    """The control socket, as docs/cli.md describes it."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "control.sock")

    def ask(self, words, data=b""):
        """(exit code or None when the node went away, standard output)."""
        with socket.socket(socket.AF_UNIX) as link:
            try:
                link.connect(self.path)
                request = b"\x01\x00" + b"".join(word.encode() + b"\0" for word in words)
                frames = [(b"A", request)] + ([(b"I", data)] if data else []) + [(b"E", b"")]
                link.sendall(b"".join(kind + struct.pack("<I", len(body)) + body
                                      for kind, body in frames))
                return self.answer(link.makefile("rb"))
            except OSError:
                return None, b""

    @staticmethod
    def answer(stream):
        out = b""
        while True:
            head = stream.read(5)
            if len(head) < 5:
                return None, out
            kind, length = head[:1], struct.unpack("<I", head[1:])[0]
            body = stream.read(length)
            if len(body) < length:
                return None, out
            if kind == b"R":
                return body[0], out
            out += body if kind == b"O" else b""


class Writers:
    """Clients that write until the node is gone, and remember what it acknowledged."""

    def __init__(self, folder, cycle):
        self.control = Control(folder)
        self.cycle = cycle
        self.acknowledged = set()
        self.tried = set()
        self.wrong = []
        self.threads = [threading.Thread(target=self.write, args=(i,)) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def write(self, client):
        for i in range(100000):
            key = f"{self.cycle:04}-{client}-{i:05}"
            lines = [{"op": "put", "collection": "left", "key": key, "value": i},
                     {"op": "put", "collection": "right", "key": key, "value": "x" * (i % 700)},
                     {"op": "incr", "collection": "sums", "key": "all"}]
            data = "\n".join(json.dumps(line) for line in lines).encode()
            self.tried.add(key)
            code, _ = self.control.ask(["txn", "--json", "--", "s"], data)
            if code == 0:
                self.acknowledged.add(key)
            elif code == 3 or code is None:
                return
            else:
                self.wrong.append((key, code))
                return

    def join(self):
        for thread in self.threads:
            thread.join()


def keys_of(node, collection, prefix):
    """Asked of the running node, as a command would, without a process for each."""
    code, out = Control(node.folder).ask(["scan", "--json", "--prefix", prefix, "--", "s",
                                          collection])
    if code != 0:
        return {f"scan ended with {code}"}
    return {json.loads(line)["key"] for line in out.splitlines()}


def kill_opening(node, chance):
    """A process that is killed before it says that it is ready, or just then."""
    process = subprocess.Popen([MESHNODE, "-d", node.folder, "run", "--json"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(chance.uniform(0, 0.03))
    process.kill()
    return process.wait()


def verify_at(cycle):
    """Verifying takes a time that grows with the data, so it becomes rarer."""
    return cycle % 10 == 0 if cycle <= 50 else cycle % 100 == 0


def cycle_once(checks, node, cycle, chance):
    """Starts the node, kills it while it writes; (acknowledged, tried)."""
    if cycle % 8 == 7:
        checks.equal(kill_opening(node, chance), -9, f"cycle {cycle}: killed while it opened")
    if not checks.that(node.start(listen=(), peers=node.peers), f"start {cycle}"):
        with open(node.log, encoding="utf-8") as log:
            print(log.read()[-2000:])
        return set(), set()
    before = keys_of(node, "left", f"{cycle - 1:04}-") if cycle > 0 else set()
    checks.that(node.acknowledged <= before, f"cycle {cycle - 1}: acknowledged and missing",
                sorted(node.acknowledged - before)[:5])
    checks.that(before <= node.tried, f"cycle {cycle - 1}: nothing that nobody wrote",
                sorted(before - node.tried)[:5])
    right = keys_of(node, "right", f"{cycle - 1:04}-") if cycle > 0 else set()
    checks.equal(right, before, f"cycle {cycle - 1}: transactions are whole")
    writers = Writers(node.folder, cycle)
    time.sleep(chance.uniform(0, MOMENT_SECONDS_MAX))
    code = node.kill()
    writers.join()
    checks.equal(code, -9, f"cycle {cycle}: killed, not ended before")
    checks.equal(writers.wrong, [], f"cycle {cycle}: no other error")
    return writers.acknowledged, writers.tried


def kill_node(checks, place, chance):
    node, peer = place.node("killed"), place.node("peer")
    node.run("space", "create", "s")
    for name, kind in (("left", "register"), ("right", "register"), ("sums", "counter")):
        node.run("collection", "s", name, "--type", kind)
    peer.run("init")
    peer.run("space", "join", "-", data=node.run("space", "invite", "s").out)
    checks.that(peer.start(), "the peer runs")
    node.peers = (peer.address(),)
    node.acknowledged, node.tried = set(), set()
    total_acknowledged, total_tried, cycles = 0, 0, 0
    begin = time.monotonic()
    while cycles < KILLS and time.monotonic() - begin < SECONDS_MAX:
        node.acknowledged, node.tried = cycle_once(checks, node, cycles, chance)
        total_acknowledged += len(node.acknowledged)
        total_tried += len(node.tried)
        cycles += 1
        if verify_at(cycles):
            checks.equal(node.run("verify", "s").code, 0, f"sound after {cycles} kills")
    checks.equal(cycles, KILLS, f"kills in {SECONDS_MAX} s")
    checks.that(node.start(listen=(), peers=node.peers), "the last start")
    last = keys_of(node, "left", f"{cycles - 1:04}-")
    checks.that(node.acknowledged <= last <= node.tried, "the last cycle")
    found = len(node.json("scan", "s", "left").lines())
    total = node.json("get", "s", "sums", "all").one().get("value")
    checks.that(total_acknowledged <= found <= total_tried, "keys at the end",
                (total_acknowledged, found, total_tried))
    checks.equal(total, found, "the counter counts each transaction once")
    checks.that(converged([node, peer], "s", 60), "the peer has the same",
                digests([node, peer], "s"))
    for one in (node, peer):
        checks.equal(one.run("verify", "s").code, 0, "sound at the end")
    checks.equal(node.json("space", "info", "s").one().get("tips"), 2,
                 "one entry of the version vector for each device, whatever was killed")
    for one in (node, peer):
        checks.equal(one.stop(), 0, "and stops cleanly")
    print(f"{cycles} kills, {total_acknowledged} of {total_tried} transactions acknowledged, "
          f"{found} found")


def kill_command(checks, place, chance):
    """Single commands on the store, killed at any moment of their short life."""
    node = place.node("commands")
    node.run("space", "create", "s")
    node.run("collection", "s", "left", "--type", "register")
    acknowledged, tried, killed = set(), set(), 0
    lives = []
    for _ in range(5):
        begin = time.monotonic()
        node.run("put", "s", "left", "first", "v")
        lives.append(time.monotonic() - begin)
    span = 1.5 * min(lives)  # Follows the machine's load, so that some come to their end.
    tried.add("first")
    for i in range(2 * KILLS):
        key = f"k{i:05}"
        tried.add(key)
        process = subprocess.Popen([MESHNODE, "-d", node.folder, "put", "s", "left", key, "v"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0, span))
        process.kill()
        code = process.wait()
        killed += code == -9
        span *= 1.02 if code == -9 else 0.95
        if code == 0:
            acknowledged.add(key)
    found = {line["key"] for line in node.json("scan", "s", "left").lines()}
    checks.that(acknowledged <= found <= tried, "what a killed command had acknowledged is there",
                sorted(acknowledged - found)[:5])
    checks.equal(node.run("verify", "s").code, 0, "sound after killed commands")
    checks.equal(node.json("space", "info", "s").one().get("tips"), 1, "one entry in the vector")
    print(f"{killed} of {2 * KILLS} commands killed, {len(acknowledged)} acknowledged, "
          f"{len(found)} found")


def test(checks):
    print(f"MESHSYNC_SEED={SEED} MESHSYNC_KILLS={KILLS}")
    chance = random.Random(SEED)
    with Place("kill") as place:
        kill_node(checks, place, chance)
        kill_command(checks, place, chance)


if __name__ == "__main__":
    main(test)
