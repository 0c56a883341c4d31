# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: checks that are counted, node processes, commands, shapes."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MESHNODE = os.path.abspath(os.environ.get("MESHNODE", os.path.join(ROOT, "build", "meshnode")))
COMMAND_SECONDS = 60


class Checks:
    """Counts what held and says what did not."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, holds, what, detail=""):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}" + (f": {detail}" if detail != "" else ""), flush=True)
        return bool(holds)

    def equal(self, got, wanted, what):
        return self.that(got == wanted, what, f"got {got!r}, wanted {wanted!r}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.failed == 0 and self.passed > 0 else 1


class Answer:
    """What a command ended with."""

    def __init__(self, code, out, err):
        self.code = code
        self.raw = out
        self.out = out.decode("utf-8", "surrogateescape")
        self.err = err.decode("utf-8", "surrogateescape")

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines() if line]

    def one(self):
        lines = self.lines()
        return lines[0] if len(lines) == 1 else {}

    def error(self):
        try:
            return json.loads(self.err)["error"]
        except (ValueError, KeyError):
            return {}

    def __repr__(self):
        return f"code {self.code}, out {self.out[:300]!r}, err {self.err[:300]!r}"


def command(folder, *words, data=None, cwd=None, env=None, seconds=COMMAND_SECONDS):
    """Runs meshnode on a folder. data: bytes or text for its standard input."""
    argv = [MESHNODE, *[str(word) if not isinstance(word, bytes) else word for word in words]]
    if folder is not None:
        argv[1:1] = ["-d", folder]
    if isinstance(data, str):
        data = data.encode()
    try:
        done = subprocess.run(argv, input=data, capture_output=True, timeout=seconds, cwd=cwd,
                              env=env, check=False,
                              **({} if data is not None else {"stdin": subprocess.DEVNULL}))
    except subprocess.TimeoutExpired as late:
        return Answer(-1, late.stdout or b"", late.stderr or b"timed out")
    return Answer(done.returncode, done.stdout, done.stderr)


class Node:
    """A data folder, and perhaps a node process that runs on it."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.addresses = []
        self.log = folder + ".log"

    def run(self, *words, **more):
        return command(self.folder, *words, **more)

    def json(self, *words, **more):
        return command(self.folder, "--json", *words, **more)

    def start(self, listen=("127.0.0.1:0",), peers=(), extra=()):
        argv = [MESHNODE, "-d", self.folder, "run", "--json", *extra]
        for address in listen:
            argv += ["--listen", address]
        for address in peers:
            argv += ["--peer", address]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log,
                                            stdin=subprocess.DEVNULL)
        self.addresses = []
        self.said = []
        deadline = time.monotonic() + 20
        pending = b""
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.process.stdout], [], [], 0.2)
            part = os.read(self.process.stdout.fileno(), 4096) if ready else None
            if part == b"":
                break
            pending += part or b""
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                said = json.loads(line)
                self.said.append(said)
                if "listening" in said:
                    self.addresses.append(said["listening"])
                if said.get("ready"):
                    return True
        self.kill()
        return False

    def address(self):
        return self.addresses[0] if self.addresses else ""

    def end(self, number):
        """Sends a signal and waits; the exit code, negative for a signal."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        self.process = None
        return code

    def stop(self):
        return self.end(signal.SIGTERM)

    def kill(self):
        return self.end(signal.SIGKILL)


class Place:
    """A temporary folder with nodes in it; at the end they are killed and it is removed."""

    def __init__(self, name):
        self.folder = tempfile.mkdtemp(prefix=f"meshsync-{name}-")
        self.nodes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def node(self, name):
        node = Node(self.path(name))
        self.nodes.append(node)
        return node

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)


def until(condition, seconds, pause=0.05):
    """Calls condition until it holds; its last result."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(pause)


def digests(nodes, space):
    return [node.json("digest", space).one().get("digest") for node in nodes]


def converged(nodes, space, seconds=30):
    def same():
        found = digests(nodes, space)
        return found[0] is not None and len(set(found)) == 1
    return until(same, seconds)


class Shapes:
    """The forms of JSON that docs/cli.md shows, to compare answers with."""

    MARK = re.compile(r"<!-- shape: (\S+)((?: optional:| nullable:|(?: [a-z_]+))*) -->")

    def __init__(self, path=os.path.join(ROOT, "docs", "cli.md")):
        self.shapes = {}
        self.used = set()
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for mark in self.MARK.finditer(text):
            fence = text.index("```json\n", mark.end()) + len("```json\n")
            words = {"optional": set(), "nullable": set()}
            kind = None
            for word in mark.group(2).split():
                if word.endswith(":"):
                    kind = word[:-1]
                else:
                    words[kind].add(word)
            self.shapes[mark.group(1)] = (json.loads(text[fence:text.index("```", fence)]),
                                          words["optional"], words["nullable"])

    def wrong(self, name, got):
        """Words that say how got differs from the shape; "" when it does not."""
        self.used.add(name)
        shape, optional, nullable = self.shapes[name]
        return self.differ(got, shape, optional, nullable, name)

    def differ(self, got, shape, optional, nullable, at):
        if isinstance(shape, dict):
            if not isinstance(got, dict):
                return f"{at} is no object"
            if not shape:
                return ""
            for key in got:
                if key not in shape:
                    return f"{at} has '{key}', which is not in docs/cli.md"
            for key, inner in shape.items():
                if key not in got:
                    if key in optional:
                        continue
                    return f"{at} lacks '{key}'"
                # A value may be of any type; an id or error of a peer may be null.
                loose = key in ("value", "key", "element") or (
                    got[key] is None and (key in nullable or key in ("id", "error")))
                words = "" if loose else self.differ(got[key], inner, optional | {"type"},
                                                     nullable, f"{at}.{key}")
                if words:
                    return words
            return ""
        if isinstance(shape, list):
            if not isinstance(got, list):
                return f"{at} is no array"
            for item in got if shape else []:
                words = "" if at.endswith(".field") else self.differ(item, shape[0], optional,
                                                                     nullable, at)
                if words:
                    return words
            return ""
        same = type(got) is type(shape)
        return "" if same else f"{at} is {type(got).__name__}, not {type(shape).__name__}"


def main(test):
    """Runs test(checks) and ends the process as a test program does."""
    checks = Checks()
    begin = time.monotonic()
    if not os.access(MESHNODE, os.X_OK):
        print(f"FAILED: there is no {MESHNODE}")
        checks.failed += 1
    else:
        try:
            test(checks)
        except Exception as error:  # pylint: disable=broad-except
            checks.that(False, "the test itself", repr(error))
            import traceback
            traceback.print_exc()
    print(f"{time.monotonic() - begin:.1f} s")
    sys.exit(checks.end())
