#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs other databases by package, runs them on loopback in turns with this library, on the
same work, and writes bench/results/peers.json.

usage: bench/peers.py [--dir FOLDER] [--puts N] [--no-install] [--bench build/bench]
Each runs as a competent user would have it for that durability: the answer comes after a sync."""

import argparse
import base64
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH = 1000
SINGLE = 200
ROUNDS = 3
WAIT_S = 30
PACKAGES = {"redis-server": "redis-server", "etcd": "etcd-server", "nats-server": "nats-server",
            "postgres": "postgresql"}
NOT_RUN = ("Yjs", "Automerge", "Loro", "hypercore")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def install(programs):
    for program in programs:
        if find(program) is None:
            subprocess.run(["apt-get", "install", "-y", "--no-install-recommends",
                            PACKAGES[program]], check=False, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)


def find(program):
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    folder = "/usr/lib/postgresql"
    if found is None and program == "postgres" and os.path.isdir(folder):
        for version in sorted(os.listdir(folder), reverse=True):
            found = found or shutil.which(program, path=f"{folder}/{version}/bin")
    return found


class Process:
    """A server in a folder of its own, ended by its id."""

    def __init__(self, arguments, **options):
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, **options)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def connect(port):
    until = time.monotonic() + WAIT_S
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def entries(count, seed):
    source = random.Random(seed)
    return [(b"%016x" % source.getrandbits(64), bytes([65 + i % 26]) * 100)
            for i in range(count)]


# ---- Redis ----

class Redis:
    durability = "AOF, synced before each answer; the replica asynchronous, its AOF too"

    def __init__(self, folder, replica_of=None):
        self.port = free_port()
        os.makedirs(folder)
        arguments = [find("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1",
                     "--dir", folder, "--save", "", "--appendonly", "yes", "--appendfsync",
                     "always"]
        if replica_of:
            arguments += ["--replicaof", "127.0.0.1", str(replica_of)]
        self.server = Process(arguments)
        self.sock = connect(self.port)
        self.file = self.sock.makefile("rb")

    @staticmethod
    def command(*parts):
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)

    def reply(self):
        line = self.file.readline()
        if line[:1] == b"*":
            return [self.reply() for _ in range(int(line[1:]))]
        if line[:1] == b"$":
            return self.file.read(int(line[1:]) + 2)[:-2]
        if line[:1] in (b"-", b""):
            raise OSError(line.decode() or "closed")
        return line[1:-2]

    def put(self, batch):
        commands = [self.command(b"SET", key, value) for key, value in batch]
        if len(batch) > 1:
            commands = [self.command(b"MULTI")] + commands + [self.command(b"EXEC")]
        self.sock.sendall(b"".join(commands))
        for _ in commands:
            self.reply()

    def count(self):
        self.sock.sendall(self.command(b"DBSIZE"))
        return int(self.reply())

    def linked(self):
        self.sock.sendall(self.command(b"INFO", b"replication"))
        return b"master_link_status:up" in self.reply()

    def end(self):
        self.sock.close()
        self.server.end()


# ---- etcd ----

class Etcd:
    durability = "each answer after the log was synced at a quorum"

    def __init__(self, folder, nodes=1):
        ports = [(free_port(), free_port()) for _ in range(nodes)]
        cluster = ",".join(f"n{i}=http://127.0.0.1:{peer}" for i, (_, peer) in enumerate(ports))
        self.servers = []
        for i, (client, peer) in enumerate(ports):
            self.servers.append(Process([
                find("etcd"), "--name", f"n{i}", "--data-dir", f"{folder}-{i}",
                "--listen-client-urls", f"http://127.0.0.1:{client}",
                "--advertise-client-urls", f"http://127.0.0.1:{client}",
                "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-cluster", cluster, "--max-txn-ops", "2000", "--logger", "zap"]))
        connect(ports[0][0]).close()
        self.http = http.client.HTTPConnection("127.0.0.1", ports[0][0], timeout=WAIT_S)
        self.retry()

    def retry(self):
        until = time.monotonic() + WAIT_S
        while True:
            try:
                return self.put([(b"first", b"x")])
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)

    def put(self, batch):
        puts = [{"requestPut": {"key": base64.b64encode(key).decode(),
                                "value": base64.b64encode(value).decode()}}
                for key, value in batch]
        self.http.request("POST", "/v3/kv/txn", json.dumps({"success": puts}))
        answer = self.http.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise OSError(body.decode())

    def end(self):
        self.http.close()
        for server in self.servers:
            server.end()


# ---- NATS JetStream ----

class Nats:
    durability = "file store; the answer comes before a sync"

    def __init__(self, folder):
        self.port = free_port()
        self.server = Process([find("nats-server"), "-a", "127.0.0.1", "-p", str(self.port), "-js",
                               "-sd", folder])
        self.sock = connect(self.port)
        self.file = self.sock.makefile("rb")
        self.file.readline()
        self.sock.sendall(b'CONNECT {"verbose":false}\r\nSUB answer.* 1\r\n')
        stream = json.dumps({"name": "S", "subjects": ["kv.>"], "storage": "file",
                             "max_msgs_per_subject": 1}).encode()
        self.publish(b"$JS.API.STREAM.CREATE.S", stream)
        self.answer()

    def publish(self, subject, payload):
        self.sock.sendall(b"PUB %s answer.1 %d\r\n%s\r\n" % (subject, len(payload), payload))

    def answer(self):
        while True:
            line = self.file.readline()
            if line.startswith(b"PING"):
                self.sock.sendall(b"PONG\r\n")
            elif line.startswith(b"MSG"):
                payload = self.file.read(int(line.split()[-1]) + 2)
                if b'"error"' in payload:
                    raise OSError(payload.decode())
                return
            elif line.startswith(b"-ERR") or not line:
                raise OSError(line.decode() or "closed")

    def put(self, batch):
        self.sock.sendall(b"".join(
            b"PUB kv.%s answer.1 %d\r\n%s\r\n" % (key, len(value), value)
            for key, value in batch))
        for _ in batch:
            self.answer()

    def end(self):
        self.sock.close()
        self.server.end()


# ---- PostgreSQL ----

class Postgres:
    durability = "fsync and synchronous_commit on; the subscriber's own sync too"
    TABLE = "CREATE TABLE IF NOT EXISTS kv (k text PRIMARY KEY, v text)"

    def __init__(self, folder):
        self.bin = os.path.dirname(os.path.realpath(find("postgres")))
        self.port = free_port()
        self.user = {}
        if os.geteuid() == 0: # It refuses to run as root.
            os.makedirs(folder)
            shutil.chown(folder, "postgres", "postgres")
            self.user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        subprocess.run([f"{self.bin}/initdb", "-D", f"{folder}/data", "-U", "bench", "-A", "trust"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/", **self.user)
        self.server = Process([
            f"{self.bin}/postgres", "-D", f"{folder}/data", "-p", str(self.port), "-k", folder,
            "-c", "listen_addresses=127.0.0.1", "-c", "wal_level=logical", "-c",
            "shared_buffers=512MB", "-c", "max_wal_size=4GB"], cwd="/", **self.user)
        connect(self.port).close()
        until = time.monotonic() + WAIT_S
        while self.ready() != 0 and time.monotonic() < until:
            time.sleep(0.1)
        self.shell = subprocess.Popen(
            [f"{self.bin}/psql"] + self.options() + ["-f", "-"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.run(self.TABLE)

    def options(self):
        return ["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench",
                "-d", "postgres", "-v", "ON_ERROR_STOP=1"]

    def ready(self):
        return subprocess.run([f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p",
                               str(self.port)], check=False).returncode

    def run(self, statement):
        """Its last line of output is of the SELECT behind it."""
        self.shell.stdin.write(statement.encode() + b";\nSELECT 'done';\n")
        self.shell.stdin.flush()
        lines = []
        while True:
            line = self.shell.stdout.readline()
            if not line:
                raise OSError("psql ended")
            if line == b"done\n":
                return lines
            lines.append(line)

    def put(self, batch):
        rows = ",".join(f"('{key.decode()}','{value.decode()}')" for key, value in batch)
        self.run(f"INSERT INTO kv VALUES {rows} ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v")

    def count(self):
        return int(self.run("SELECT count(*) FROM kv")[0])

    def end(self):
        self.shell.stdin.close()
        self.shell.wait()
        self.server.end()


# ---- Measuring ----

def rate(server, puts, batch, seed):
    work = entries(puts, seed)
    start = time.monotonic()
    for first in range(0, puts, batch):
        server.put(work[first:first + batch])
    return puts / (time.monotonic() - start)


def local(name, make, folder, options):
    server = make(os.path.join(folder, name))
    try:
        batched = [rate(server, options.puts, BATCH, i) for i in range(ROUNDS)]
        single = [rate(server, SINGLE, 1, 100 + i) for i in range(ROUNDS)]
    finally:
        server.end()
    return {"batched": statistics.median(batched), "single": statistics.median(single)}


def arrive(target, count):
    until = time.monotonic() + WAIT_S
    while target.count() < count:
        if time.monotonic() > until:
            raise OSError("the replica does not come after")
        time.sleep(0.001)


def pair_rate(source, target, options):
    """From the first put until the replica shows the last."""
    rates = []
    for i in range(ROUNDS):
        before = source.count()
        start = time.monotonic()
        rate(source, options.puts, BATCH, 200 + i)
        arrive(target, before + options.puts)
        rates.append(options.puts / (time.monotonic() - start))
    return statistics.median(rates)


def redis_pair(folder, options):
    source = Redis(os.path.join(folder, "primary"))
    target = Redis(os.path.join(folder, "replica"), source.port)
    try:
        until = time.monotonic() + WAIT_S
        while not target.linked() and time.monotonic() < until:
            time.sleep(0.05)
        return pair_rate(source, target, options)
    finally:
        target.end()
        source.end()


def postgres_pair(folder, options):
    source = Postgres(os.path.join(folder, "publisher"))
    target = Postgres(os.path.join(folder, "subscriber"))
    try:
        source.run("CREATE PUBLICATION p FOR TABLE kv")
        target.run("CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port="
                   f"{source.port} user=bench dbname=postgres' PUBLICATION p")
        return pair_rate(source, target, options)
    finally:
        target.run("DROP SUBSCRIPTION s")
        target.end()
        source.end()


def etcd_three(folder, options):
    server = Etcd(os.path.join(folder, "etcd3"), 3)
    try:
        return statistics.median(rate(server, options.puts, BATCH, 300 + i)
                                 for i in range(ROUNDS))
    finally:
        server.end()


def attempt(what, run):
    try:
        return run()
    except (OSError, ValueError, subprocess.SubprocessError, http.client.HTTPException) as error:
        print(f"{what}: {error}", file=sys.stderr)
        return None


def own(folder, options):
    """This library and bare LMDB, on the same disk, in the same run."""
    found = {}
    for program in ("bench_local", "bench_replicate"):
        lines = subprocess.run([os.path.join(options.bench, program), "--puts", str(options.puts),
                                "--rounds", str(ROUNDS)], check=True, stdout=subprocess.PIPE,
                               text=True, env=dict(os.environ, TMPDIR=folder)).stdout
        for line in lines.splitlines():
            result = json.loads(line)
            found[f"{result['bench']}: {result['what']}"] = result
    return found


def measure(folder, options):
    results = []
    ours = own(folder, options)
    results.append({"name": "meshsync", "durability": "synced at each node before it is shown",
                    "batched": ours["local: batched"]["meshsync"]["median"],
                    "in_flight": ours["local: batches in flight"]["meshsync"]["median"],
                    "single": ours["local: single"]["meshsync"]["median"],
                    "pair": ours["replicate: throughput, pipelined"]["meshsync"]["median"]})
    results.append({"name": "bare LMDB, and a loop that copies",
                    "durability": "synced at both",
                    "batched": ours["local: batched"]["bare"]["median"],
                    "single": ours["local: single"]["bare"]["median"],
                    "pair": ours["replicate: throughput, pipelined"]["bare"]["median"]})
    peers = [("Redis", "redis-server", Redis, lambda: redis_pair(folder, options)),
             ("PostgreSQL", "postgres", Postgres, lambda: postgres_pair(folder, options)),
             ("etcd", "etcd", Etcd, lambda: etcd_three(folder, options)),
             ("NATS JetStream", "nats-server", Nats, None)]
    for name, program, make, pair in peers:
        if find(program) is None:
            results.append({"name": name, "not_run": "its package is not served here"})
            continue
        result = {"name": name, "durability": make.durability}
        result.update(attempt(name, lambda m=make, n=name: local(n, m, folder, options)) or {})
        if pair is not None:
            result["three" if name == "etcd" else "pair"] = attempt(f"{name}, replicated", pair)
        results.append(result)
        print(json.dumps(result), flush=True)
    return results + [{"name": name, "not_run": "no program for it here"} for name in NOT_RUN]


def main():
    parser = argparse.ArgumentParser(description="Runs peers beside this library.")
    parser.add_argument("--dir", default=os.environ.get("TMPDIR", "/tmp"))
    parser.add_argument("--bench", default=os.path.join(os.path.dirname(HERE), "build", "bench"))
    parser.add_argument("--puts", type=int, default=20000)
    parser.add_argument("--no-install", action="store_true")
    options = parser.parse_args()
    if not options.no_install:
        install(PACKAGES)
    folder = tempfile.mkdtemp(prefix="meshsync-peers-", dir=options.dir)
    os.chmod(folder, 0o755)
    try:
        results = measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    path = os.path.join(HERE, "results", "peers.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"puts": options.puts, "batch": BATCH, "rounds": ROUNDS, "peers": results}, file,
                  indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
