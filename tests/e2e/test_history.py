#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that what clients of real nodes are told is a possible history: three node processes, four
clients at each, transactions, reads of siblings and additions, while nodes are killed by SIGKILL
and links are taken down and up again. All of it is written down outside of the nodes and judged by
the checker of histories. MESHSYNC_ROUNDS is how often something goes wrong; MESHSYNC_SEED repeats
the draws, not the moments."""

import json
import os
import random
import subprocess
import threading
import time

from support import ROOT, Place, converged, main
from test_kill import Control

ROUNDS = int(os.environ.get("MESHSYNC_ROUNDS", "24"))
SEED = int(os.environ.get("MESHSYNC_SEED", "1"))
JUDGE = os.path.join(os.environ.get("MESHSYNC_BUILD", os.path.join(ROOT, "build")),
                     "tests", "history", "test_history")
NODES, CLIENTS, KEYS, SUMS = 3, 4, 6, 2


class Record:
    """The history: lines in the order of each session, and numbers that are given once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.lines = []
        self.values = 0
        self.sessions = 0
        self.counts = {"ok": 0, "fail": 0, "unknown": 0}

    def session(self):
        with self.lock:
            self.sessions += 1
            return self.sessions - 1

    def value(self):
        with self.lock:
            self.values += 1
            return self.values

    def add(self, session, replica, outcome, ops):
        with self.lock:
            self.lines.append(f"{session} {replica} {outcome} {' '.join(ops)}")
            self.counts[outcome] = self.counts.get(outcome, 0) + 1


class Client(threading.Thread):
    """One that asks a node one thing after the other, also after the node came back."""

    def __init__(self, record, node, replica, seed):
        super().__init__()
        self.record, self.replica = record, replica
        self.control = Control(node.folder)
        self.chance = random.Random(seed)
        self.session = record.session()
        self.ended = False
        self.wrong = []

    def run(self):
        while not self.ended:
            done = self.read() if self.chance.random() < 0.5 else self.write()
            if not done:
                time.sleep(0.02)  # The node is away.

    def read(self):
        key = self.chance.randrange(KEYS + SUMS)
        code, op = read_key(self.control, key)
        if op is None:
            if code not in (None, 3):
                self.wrong.append(("read", key, code))
            return False
        self.record.add(self.session, self.replica, "ok", [op])
        return True

    def write(self):
        ops, lines = [], []
        for key in self.chance.sample(range(KEYS + SUMS), self.chance.randint(1, 3)):
            number = self.record.value()
            if key >= KEYS:
                number = 1 + number % 9
                ops.append(f"a{key}={number}")
                lines.append({"op": "incr", "collection": "sums", "key": str(key), "delta": number})
            elif self.chance.random() < 0.1:
                ops.append(f"d{key}={number}")
                lines.append({"op": "del", "collection": "registers", "key": str(key)})
            else:
                ops.append(f"w{key}={number}")
                lines.append({"op": "put", "collection": "registers", "key": str(key),
                              "value": number})
        data = "\n".join(json.dumps(line) for line in lines).encode()
        code, _ = self.control.ask(["txn", "--json", "--", "s"], data)
        if code == 0:
            self.record.add(self.session, self.replica, "ok", ops)
            return True
        if code not in (None, 3):
            self.wrong.append(("write", ops, code))
        self.record.add(self.session, self.replica, "unknown", ops)
        self.session = self.record.session()
        return False


def read_key(control, key):
    """(exit code, the op of a history), None when the node gave no answer."""
    where = "sums" if key >= KEYS else "registers"
    code, out = control.ask(["get", "--json", "--", "s", where, str(key)])
    if code == 1:
        return code, f"c{key}=0" if key >= KEYS else f"r{key}="
    if code != 0:
        return code, None
    entry = json.loads(out)
    if key >= KEYS:
        return code, f"c{key}={entry['value']}"
    shown = entry["siblings"] or [entry]
    return code, f"r{key}=" + ",".join(str(one["value"]) for one in shown)


class Mesh:
    """Nodes that listen on sockets of their own folders and dial all others."""

    def __init__(self, checks, place):
        self.checks = checks
        self.nodes = [place.node(f"n{i}") for i in range(NODES)]
        self.addresses = [f"unix:{node.folder}.sock" for node in self.nodes]

    def begin(self):
        first = self.nodes[0]
        first.run("init")
        first.run("space", "create", "s")
        first.run("collection", "s", "registers", "--type", "register", "--view", "mv")
        first.run("collection", "s", "sums", "--type", "counter")
        for node in self.nodes[1:]:
            node.run("init")
            node.run("space", "join", "-", data=first.run("space", "invite", "s").out)
        for i in range(NODES):
            self.start(i)
        self.checks.that(converged(self.nodes, "s", 30), "all begin with the same")

    def start(self, i):
        others = [address for k, address in enumerate(self.addresses) if k != i]
        self.checks.that(self.nodes[i].start(listen=(self.addresses[i],), peers=others),
                         f"node {i} starts")

    def link(self, pair, verb):
        for a, b in (pair, pair[::-1]):
            self.nodes[a].run("peer", verb, self.addresses[b])

    def trouble(self, chance):
        """Something goes wrong for a while."""
        if chance.random() < 0.5:
            i = chance.randrange(NODES)
            self.checks.equal(self.nodes[i].kill(), -9, "killed")
            time.sleep(chance.uniform(0, 0.2))
            self.start(i)
        else:
            pair = chance.sample(range(NODES), 2)
            self.link(pair, "remove")
            time.sleep(chance.uniform(0.05, 0.4))
            self.link(pair, "add")


def judge(checks, place, record):
    path = place.write("history", "meshsync-history 1\n" + "\n".join(record.lines) + "\n")
    done = subprocess.run([JUDGE, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, timeout=120)
    print(done.stdout.strip(), flush=True)
    if not checks.equal(done.returncode, 0, "the history is a possible one"):
        print("\n".join(record.lines[:200]))


def test(checks):
    chance = random.Random(SEED)
    record = Record()
    with Place("history") as place:
        mesh = Mesh(checks, place)
        mesh.begin()
        clients = [Client(record, node, i, SEED * 1000 + i * CLIENTS + k)
                   for i, node in enumerate(mesh.nodes) for k in range(CLIENTS)]
        for client in clients:
            client.start()
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.05, 0.25))
            mesh.trouble(chance)
        for client in clients:
            client.ended = True
        for client in clients:
            client.join()
            checks.equal(client.wrong, [], "no other error")
        checks.that(converged(mesh.nodes, "s", 60), "all end with the same")
        for i, node in enumerate(mesh.nodes):
            control = Control(node.folder)
            ops = [read_key(control, key)[1] for key in range(KEYS + SUMS)]
            record.add(record.session(), i, "final", [op or "?" for op in ops])
        print(f"seed {SEED}, {ROUNDS} rounds: {record.counts}", flush=True)
        checks.that(record.counts["ok"] > 100, "clients were served", record.counts)
        judge(checks, place, record)
        for node in mesh.nodes:
            checks.equal(node.stop(), 0, "it ends in order")


if __name__ == "__main__":
    main(test)
