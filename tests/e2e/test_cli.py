#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that every command of meshnode does what docs/cli.md says, in the forms that it shows, both
on the store and in a running node, and that bad input is refused with words and loses nothing."""

import json
import os
import signal
import socket
import subprocess
import time

from support import MESHNODE, Place, Shapes, command, main, until


class Case:
    """One node, one way to run commands, and the checks."""

    def __init__(self, checks, shapes, place, node, running):
        self.checks = checks
        self.shapes = shapes
        self.place = place
        self.node = node
        self.running = running
        self.how = "in the running node" if running else "on the store"

    def done(self, shape, *words, **more):
        """A command with --json that must succeed; its lines, each of the shape."""
        answer = self.node.json(*words, **more)
        what = f"{' '.join(map(str, words))} {self.how}"
        if not self.checks.that(answer.code == 0, what, answer):
            return []
        lines = answer.lines()
        for line in lines:
            wrong = self.shapes.wrong(shape, line)
            if wrong:
                self.checks.that(False, what, wrong)
                break
        self.checks.equal(answer.err, "", f"{what}: standard error")
        return lines

    def one(self, shape, *words, **more):
        lines = self.done(shape, *words, **more)
        self.checks.equal(len(lines), 1, f"{' '.join(map(str, words))} {self.how}: lines")
        return lines[0] if lines else {}

    def fails(self, code, name, *words, says="", **more):
        """A command with --json that must fail so, and again without --json."""
        answer = self.node.json(*words, **more)
        what = f"{' '.join(map(str, words))} {self.how}"
        error = answer.error()
        good = answer.code == code and error.get("name") == name and answer.out == ""
        if self.checks.that(good and says in error.get("message", ""),
                            f"{what} must end with {code} {name} '{says}'", answer):
            wrong = self.shapes.wrong("error", json.loads(answer.err))
            self.checks.equal(wrong, "", f"{what}: the error")
        plain = self.node.run(*words, **more)
        self.checks.that(plain.code == code and plain.err.startswith("meshnode: ") and
                         says in plain.err, f"{what} without --json", plain)
        return error


def base(case):
    """Node and spaces."""
    found = case.one("init", "init")
    case.checks.equal(found.get("created"), False, f"init again {case.how}")
    found_id = case.one("id", "id")
    case.checks.equal(found_id.get("id"), found.get("id"), "id is that of init")
    case.checks.equal(found_id.get("running"), case.running, f"running {case.how}")
    case.checks.equal(case.node.run("id").out.strip(), found.get("id"), "id in words")
    status = case.one("status", "status")
    case.checks.equal((status.get("running"), status.get("pid") is not None),
                      (case.running, case.running), f"status {case.how}")
    case.checks.that("changes_local" in case.node.run("status").out, "status in words")
    name = "space-" + ("running" if case.running else "stored")
    made = case.one("space-create", "space", "create", name)
    case.fails(5, "MESHSYNC_E_EXISTS", "space", "create", name, says=name)
    listed = case.done("space-list", "space", "list")
    case.checks.that(made.get("id") in [line["id"] for line in listed], "the space is listed")
    info = case.one("space-info", "space", "info", name)
    case.checks.equal((info.get("id"), info.get("joined"), info.get("left")),
                      (made.get("id"), True, False), "facts of the space")
    case.checks.that(name in case.node.run("space", "info", name).out, "space info in words")
    case.one("space-invite", "space", "invite", name)
    case.one("space-invite", "space", "invite", name, "--expires", "3600")
    case.fails(2, "MESHSYNC_E_INVALID", "space", "invite", name, "--expires", "soon")
    for other in ("space info", "space invite", "space leave", "digest", "verify", "conflicts",
                  "watch", "wait", "collection list"):
        case.fails(1, "MESHSYNC_E_NOT_FOUND", *other.split(), "nowhere", says="nowhere")
    case.fails(2, "MESHSYNC_E_INVALID", "space", "join", "this is no ticket")
    case.fails(2, "MESHSYNC_E_INVALID", "space", "join", "-", data="nor this\n")
    return name


def collections(case, space):
    for kind in ("register", "counter", "set", "map"):
        made = case.one("collection", "collection", space, kind + "s", "--type", kind)
        case.checks.equal((made.get("type"), made.get("view")), (kind, "lww"), "type and view")
    changed = case.one("collection", "collection", space, "registers", "--type", "register",
                       "--view", "max")
    case.checks.equal(changed.get("view"), "max", "the view changes")
    kept = case.one("collection", "collection", space, "registers", "--type", "register")
    case.checks.equal(kept.get("view"), "max", "the view stays when none is given")
    case.one("collection", "collection", space, "registers", "--type", "register", "--view", "lww")
    listed = case.done("collection", "collection", "list", space)
    case.checks.equal([line["name"] for line in listed],
                      ["counters", "maps", "registers", "sets"], "collections by name")
    case.fails(2, "MESHSYNC_E_INVALID", "collection", space, "x", says="--type")
    case.fails(2, "MESHSYNC_E_INVALID", "collection", space, "x", "--type", "heap", says="heap")
    case.fails(2, "MESHSYNC_E_INVALID", "collection", space, "x", "--type", "set", "--view", "up")
    case.fails(2, "MESHSYNC_E_TYPE", "collection", space, "sets", "--type", "map")
    case.fails(2, "MESHSYNC_E_INVALID", "collection", space, "n" * 65, "--type", "map")


def registers(case, space):
    put = ("put", space, "registers")
    get = ("get", space, "registers")
    case.one("write", *put, "text", "gr\u00fc\u00df dich")
    got = case.one("get", *get, "text")
    case.checks.equal((got.get("key"), got.get("value"), got.get("conflict"),
                       len(got.get("siblings", []))),
                      ("text", "gr\u00fc\u00df dich", False, 1), "get")
    case.checks.equal(case.node.run(*get, "text").out, "gr\u00fc\u00df dich\n", "get in words")
    values = (("42", 42, None), ("-7", -7, None), ("1.5", 1.5, None), ("true", True, None),
              ("null", None, None), ('"s"', "s", None), ("[1, {\"a\":2}]", [1, {"a": 2}], None),
              ("{\"b\": [1.0]}", {"b": [1.0]}, None), ('{"b64":"_w"}', '{"b64":"_w"}', "json"),
              ("9007199254740993", "9007199254740993", "int"))
    for text, value, kind in values:
        case.one("write", *put, "json", text, "--json-value")
        got = case.one("get", *get, "json")
        case.checks.equal((got.get("value"), got.get("type")), (value, kind), f"{text} as JSON")
    for text in ("{", "1 2", "nan", "99999999999999999999", ""):
        case.fails(2, "MESHSYNC_E_INVALID", *put, "json", text, "--json-value", says="JSON")
    raw = case.place.write("raw.bin", bytes(range(256)))
    case.one("write", *put, "file", "--file", raw)
    case.checks.equal(case.node.run(*get, "file").raw, bytes(range(256)), "bytes come back exactly")
    case.checks.equal(sorted(case.one("get", *get, "file").get("value", {})), ["b64"], "b64")
    case.one("write", *put, "file", "--file", "-", data="text from a pipe")
    got = case.one("get", *get, "file")
    case.checks.equal((got.get("value"), got.get("type")), ("text from a pipe", "bytes"),
                      "--file -")
    packed = case.place.write("one.msgpack", b"\x81\xa1a\x01")
    case.one("write", *put, "packed", "--file", packed, "--msgpack")
    case.checks.equal(case.one("get", *get, "packed").get("type"), "msgpack", "msgpack")
    case.one("write", *put, "bytes", b"\xff\xfe")
    case.checks.equal(case.one("get", *get, "bytes").get("value"), {"b64": "__4"}, "bytes as VALUE")
    case.one("write", *put, "-1", "-2")
    case.checks.equal(case.one("get", *get, "-1").get("value"), "-2", "negative numbers are words")
    case.one("write", *put, "--", "--dash", "--value")
    case.checks.equal(case.one("get", *get, "--", "--dash").get("value"), "--value", "after --")
    case.one("write", "del", space, "registers", "-1")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", *get, "-1", says="-1")
    case.one("write", "del", space, "registers", "was never there")
    case.checks.equal(case.node.run(*put, "quiet", "x").out, "", "a put says nothing in words")
    bad_writes(case, space)


def bad_writes(case, space):
    put = ("put", space, "registers")
    case.fails(2, "MESHSYNC_E_LIMIT", *put, "k" * 600, "v")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "put", space, "nothing", "k", "v", says="nothing")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "get", space, "nothing", "k", says="nothing")
    case.fails(2, "MESHSYNC_E_TYPE", "put", space, "counters", "k", "v")
    case.fails(2, "MESHSYNC_E_TYPE", "incr", space, "registers", "k")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "k", says="VALUE")
    case.fails(2, "MESHSYNC_E_INVALID", *put, says="arguments")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "k", "v", "w", says="w")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "k", "v", "--nonsense", says="--nonsense")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "k", "v", "--ack", says="--ack")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "k", "v", "--ack", "maybe", says="maybe")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "k", "v", "--timeout", "soon", says="soon")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "k", "v", "--msgpack")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", *put, "k", "--file", case.place.path("missing"))
    large = case.place.write("large.bin", b"x" * ((4 << 20) + 1))
    case.fails(2, "MESHSYNC_E_LIMIT", *put, "k", "--file", large, says="4194304")
    broken = case.place.write("broken.msgpack", b"\xc1")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "k", "--file", broken, "--msgpack")
    code, name = (1, "MESHSYNC_E_TIMEOUT") if case.running else (3, "MESHSYNC_E_UNREACHABLE")
    error = case.fails(code, name, *put, "acked", "v", "--ack", "1", "--timeout", "0.3")
    case.checks.equal("version" in error, case.running, "the token of an unconfirmed write")
    case.one("write", *put, "k", "v", "--ack", "durable")
    case.one("write", *put, "k", "w", "--ack", "queued", "--timeout", "2.5")
    got = until(lambda: case.node.json("get", space, "registers", "k").one().get("value") == "w", 5)
    case.checks.that(got, "a queued write arrives")


def conditions(case, space):
    put = ("put", space, "registers", "cas")
    case.one("write", *put, "1", "--if-absent")
    case.fails(1, "MESHSYNC_E_CONFLICT", *put, "2", "--if-absent")
    context = case.one("get", "get", space, "registers", "cas").get("context", "")
    case.one("write", *put, "3", "--if-context", context)
    case.fails(1, "MESHSYNC_E_CONFLICT", *put, "4", "--if-context", context)
    case.fails(1, "MESHSYNC_E_CONFLICT", "del", space, "registers", "cas", "--if-context", context)
    case.one("write", *put, "5", "--context", context)
    got = case.one("get", "get", space, "registers", "cas")
    case.checks.equal((got.get("conflict"), [one["value"] for one in got.get("siblings", [])]),
                      (True, ["3", "5"]), "a write with an old context stays beside the newer one")
    listed = case.done("conflicts", "conflicts", space)
    case.checks.equal([line["key"] for line in listed], ["cas"], "conflicts lists it")
    case.checks.that("2 values" in case.node.run("conflicts", space).out, "conflicts in words")
    words = case.node.run("get", space, "registers", "cas")
    case.checks.that(words.out == "5\n" and "concurrently" in words.err, "get says so", words)
    case.fails(2, "MESHSYNC_E_INVALID", *put, "6", "--if-context", "!")
    case.fails(2, "MESHSYNC_E_INVALID", *put, "6", "--if-absent", "--context", context)
    case.one("write", "del", space, "registers", "cas", "--if-context", got.get("context", ""))
    case.checks.equal(case.done("conflicts", "conflicts", space), [], "solved")


def scans(case, space):
    for key in ("s1", "s2", "s3", "t1"):
        case.node.run("put", space, "registers", key, f"of {key}")

    def keys(*more):
        return [line["key"] for line in case.done("scan", "scan", space, "registers", *more)]
    case.checks.equal(keys("--prefix", "s"), ["s1", "s2", "s3"], "scan by prefix")
    case.checks.equal(keys("--prefix", "s", "--from", "s2"), ["s2", "s3"], "scan from a key")
    case.checks.equal(keys("--prefix", "s", "--reverse"), ["s3", "s2", "s1"], "scan downwards")
    case.checks.equal(keys("--from", "s2", "--reverse", "--limit", "2"), ["s2", "s1"],
                      "scan downwards from a key, limited")
    case.checks.equal(keys(), sorted(keys()), "in order")
    words = case.node.run("scan", space, "registers", "--prefix", "s1").out
    case.checks.equal(words, "s1\tof s1\n", "scan in words")
    case.fails(2, "MESHSYNC_E_INVALID", "scan", space, "registers", "--limit", "none")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "scan", space, "nothing", says="nothing")


def counters_and_sets(case, space):
    case.one("write", "incr", space, "counters", "c")
    case.one("write", "incr", space, "counters", "c", "41")
    case.one("write", "incr", space, "counters", "c", "-100")
    case.checks.equal(case.one("get", "get", space, "counters", "c").get("value"), -58,
                      "a counter's sum")
    case.checks.equal(case.node.run("get", space, "counters", "c").out, "-58\n", "and in words")
    case.fails(2, "MESHSYNC_E_INVALID", "incr", space, "counters", "c", "1.5", says="1.5")
    case.fails(2, "MESHSYNC_E_INVALID", "incr", space, "counters", "c", "9223372036854775808")
    case.one("write", "incr", space, "counters", "big", "9007199254740993")
    case.checks.equal(case.one("get", "get", space, "counters", "big").get("value"),
                      "9007199254740993", "beyond 2^53 it is a string")
    case.one("write", "del", space, "counters", "big")
    case.one("write", "add", space, "sets", "k", "b", "a", "c")
    case.one("write", "remove", space, "sets", "k", "b")
    case.checks.equal([line["element"] for line in case.done("members", "members", space, "sets",
                                                             "k")], ["a", "c"], "members")
    case.checks.equal(case.node.run("members", space, "sets", "k").out, "a\nc\n", "and in words")
    asked = case.node.json("members", space, "sets", "k", "a", "b")
    case.checks.equal((asked.code, [line["member"] for line in asked.lines()]), (1, [True, False]),
                      "members that are asked for")
    case.checks.equal(case.shapes.wrong("members-asked", asked.lines()[0]), "", "their form")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "members", space, "sets", "nothing")
    case.fails(2, "MESHSYNC_E_TYPE", "members", space, "maps", "k")
    case.fails(2, "MESHSYNC_E_TYPE", "get", space, "sets", "k", says="members")
    case.fails(2, "MESHSYNC_E_INVALID", "add", space, "sets", "k")
    case.checks.equal(case.done("scan", "scan", space, "sets"), [{"key": "k"}], "a scan of sets")


def maps(case, space):
    mset = ("mset", space, "maps", "m")
    case.one("write", *mset, "name", "Ada")
    case.one("write", *mset, "home.city", "London")
    case.one("write", *mset, "home.since", "1835", "--json-value")
    case.one("write", *mset, r"dotted\.name.\\", "x")
    field = case.one("mget-field", "mget", space, "maps", "m", "home.since")
    case.checks.equal((field.get("field"), field.get("value")), (["home", "since"], 1835), "mget")
    whole = case.one("mget", "mget", space, "maps", "m")
    wanted = {"name": "Ada", "home": {"city": "London", "since": 1835}, "dotted.name": {"\\": "x"}}
    case.checks.equal((whole.get("value"), whole.get("conflicts")), (wanted, 0), "a whole map")
    part = case.one("mget", "mget", space, "maps", "m", "home")
    case.checks.equal((part.get("field"), part.get("value")), (["home"], wanted["home"]), "a part")
    case.checks.equal(json.loads(case.node.run("mget", space, "maps", "m").out), wanted, "in words")
    case.checks.equal(case.node.run("mget", space, "maps", "m", "name").out, "Ada\n", "one field")
    case.one("write", "mdel", space, "maps", "m", "home")
    case.checks.equal(sorted(case.one("mget", "mget", space, "maps", "m").get("value", {})),
                      ["dotted.name", "name"], "mdel takes what is below")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "mget", space, "maps", "m", "home.city")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "mget", space, "maps", "nobody", says="nobody")
    case.fails(2, "MESHSYNC_E_INVALID", *mset, "a..b", "x", says="a..b")
    case.fails(2, "MESHSYNC_E_TYPE", "mget", space, "sets", "k")
    case.fails(2, "MESHSYNC_E_TYPE", "get", space, "maps", "m", says="mget")


def transactions(case, space):
    lines = [{"op": "put", "collection": "registers", "key": "t", "value": [1]},
             {"op": "put", "collection": "registers", "key": {"b64": "_w"}, "value": "5",
              "type": "int"},
             {"op": "del", "collection": "registers", "key": "text"},
             {"op": "incr", "collection": "counters", "key": "t", "delta": -2},
             {"op": "incr", "collection": "counters", "key": "t"},
             {"op": "add", "collection": "sets", "key": "t", "value": "e"},
             {"op": "add", "collection": "sets", "key": "t", "value": {"b64": "_w"}},
             {"op": "remove", "collection": "sets", "key": "t", "value": "e"},
             {"op": "mset", "collection": "maps", "key": "t", "field": ["a", "b.c"], "value": True},
             {"op": "mset", "collection": "maps", "key": "t", "field": ["d"], "value": 1},
             {"op": "mdel", "collection": "maps", "key": "t", "field": ["d"]}]
    before = case.one("digest", "digest", space).get("changes", 0)
    text = "\n".join(json.dumps(line) for line in lines)
    made = case.one("txn", "txn", space, data=text + "\n")
    case.checks.equal(made.get("ops"), len(lines), "ops of the transaction")
    case.checks.equal(case.one("digest", "digest", space).get("changes"), before + 1,
                      "it is one change")
    case.checks.equal(case.one("get", "get", space, "counters", "t").get("value"), -1, "txn: incr")
    case.checks.equal(case.one("mget", "mget", space, "maps", "t").get("value"),
                      {"a": {"b.c": True}}, "txn: mset and mdel")
    case.checks.equal([line["element"] for line in case.done("members", "members", space, "sets",
                                                             "t")], [{"b64": "_w"}], "txn: add")
    good = json.dumps({"op": "put", "collection": "registers", "key": "bad-txn", "value": 1})
    wrongs = (("{", "JSON"), ("[]", "object"), ('{"op":"put"}', "collection"),
              ('{"op":"put","collection":"registers"}', "key"),
              ('{"op":"put","collection":"registers","key":"k"}', "value"),
              ('{"op":"fly","collection":"registers","key":"k"}', "op"),
              ('{"op":"mset","collection":"maps","key":"k","value":1}', "field"),
              ('{"op":"incr","collection":"counters","key":"k","delta":"x"}', "delta"),
              ('{"op":"put","collection":"registers","key":{"b64":"?"},"value":1}', "b64"),
              ('{"op":"put","collection":"registers","key":"k","value":1,"type":"opaque"}', "type"))
    for line, says in wrongs:
        error = case.fails(2, "MESHSYNC_E_INVALID", "txn", space, says=says,
                           data=f"{good}\n\n{line}\n{good}\n")
        case.checks.that("line 3" in error.get("message", ""), f"the line of {line}", error)
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "txn", space, says="line 1",
               data='{"op":"put","collection":"nothing","key":"k","value":1}')
    case.checks.equal(case.node.run("get", space, "registers", "bad-txn").code, 1,
                      "nothing of a refused transaction is there")


def imports(case, space):
    rows = [{"code": f"c{i:04}", "n": i, "note": f"row, \"{i}\"\nend"} for i in range(2500)]
    files = {
        "rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "rows.json": json.dumps({"about": {"x": [1]}, "rows": rows}, indent=1),
        "array.json": json.dumps(rows),
        "rows.csv": "code,n,note\r\n" + "".join(
            '{code},{n},"{0}"\r\n'.format(row["note"].replace('"', '""'), **row) for row in rows)}
    for name, text in files.items():
        collection = "in-" + name.replace(".", "-")
        case.node.run("collection", space, collection, "--type", "register")
        made = case.one("import", "import", space, collection, case.place.write(name, text),
                        "--key", "code")
        case.checks.equal((made.get("rows"), made.get("transactions")), (2500, 3),
                          f"rows of {name}")
        found = case.node.json("scan", space, collection, "--from", "c2499").one()
        wanted = rows[2499] if name != "rows.csv" else {**rows[2499], "n": "2499"}
        case.checks.equal(found.get("value"), wanted, f"the last row of {name}")
    case.node.run("collection", space, "in-maps", "--type", "map")
    case.one("import", "import", space, "in-maps", case.place.path("rows.jsonl"), "--key", "code")
    field = case.one("mget-field", "mget", space, "in-maps", "c0007", "n")
    case.checks.equal(field.get("value"), 7, "members become fields")
    piped = case.one("import", "import", space, "in-maps", "-", "--key", "id", "--format", "json",
                     data='{"a":[{"id":7,"deep":{"er":1}}],"b":2}')
    case.checks.equal(piped.get("rows"), 1, "import from standard input")
    case.checks.equal(case.one("mget", "mget", space, "in-maps", "7").get("value"),
                      {"id": 7, "deep": {"er": 1}}, "objects within become maps")
    members = case.place.write("members.json", '{"a":1,"b":[2],"c":{"b64":"_w"}}')
    case.one("import", "import", space, "registers", members)
    case.checks.equal(case.one("get", "get", space, "registers", "c").get("value"), {"b64": "_w"},
                      "one object of keys and values")
    words = case.node.run("import", space, "in-maps", case.place.path("rows.jsonl"), "--key",
                          "code", "-v")
    case.checks.that("2,500 rows" in words.out and "rows" in words.err, "in words, with progress",
                     words)
    bad_imports(case, space)


def bad_imports(case, space):
    case.node.run("collection", space, "bad", "--type", "register")
    good = "".join(f'{{"key":"k{i}","value":{i}}}\n' for i in range(1500))
    table = "code,name\n" + "".join(f"k{i},n\n" for i in range(1500))
    rows = "[" + ",\n".join(f'{{"id":"k{i}"}}' for i in range(1500))
    wrongs = ((good + '{"key":"x"', "bad.jsonl", (), "line 1501"),
              (good + '{"value":1}\n', "bad.jsonl", (), "line 1501"),
              (good + "7\n", "bad.jsonl", (), "line 1501"),
              (good + '{"key":"x","value":1,"type":"int"}{\n', "bad.jsonl", (), "line 1501"),
              (table + 'x,"cut off', "bad.csv", ("--key", "code"), "line 1502"),
              (table + "x\n", "bad.csv", ("--key", "code"), "line 1502"),
              (table + 'x,a"b\n', "bad.csv", ("--key", "code"), "line 1502"),
              (table, "bad.csv", ("--key", "nope"), "nope"),
              (table, "bad.csv", (), "--key"),
              ("", "bad.csv", ("--key", "code"), "columns"),
              ("a,a\n1,2\n", "bad.csv", ("--key", "a"), "twice"),
              (rows, "bad.json", ("--key", "id"), "line 1500"),
              (rows + ",\n{", "bad.json", ("--key", "id"), "line 1501"),
              (rows + "] x", "bad.json", ("--key", "id"), "follows"),
              (rows + ",\n7]", "bad.json", ("--key", "id"), "line 1501"),
              ("7", "bad.json", ("--key", "id"), "array or an object"),
              ('{"a":1}', "bad.json", ("--key", "id"), "array of rows"),
              (b"\xff\n", "bad.jsonl", (), "line 1"))
    for text, name, more, says in wrongs:
        error = case.fails(2, "MESHSYNC_E_INVALID", "import", space, "bad",
                           case.place.write(name, text), *more, says=says)
        if len(text) > 1000 and "line 1" in says:
            case.checks.that("1,000 rows" in error.get("message", ""), f"{name}: what is there",
                             error)
    scanned = case.node.json("scan", space, "bad").lines()
    case.checks.equal(len(scanned), 1000, "the rows before an error are there, whole transactions")
    case.fails(2, "MESHSYNC_E_INVALID", "import", space, "bad", case.place.write("x.txt", ""),
               says="--format")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "import", space, "bad", case.place.path("none.json"))
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "import", space, "nothing", case.place.path("bad.json"))


def exports(case, space):
    values = [1, -5, 2.5, 1e300, True, None, "text", "b64:text", "", " padded ", 'quo"te,\r\n',
              [1, {}], {"b64": "_wA"}]
    lines = [{"key": f"v{i}", "value": value} for i, value in enumerate(values)]
    lines += [{"key": {"b64": "_w"}, "value": "key of bytes"},
              {"key": "b64:", "value": "key like bytes"},
              {"key": "int", "value": "9223372036854775807", "type": "int"},
              {"key": "inf", "value": "-inf", "type": "float"},
              {"key": "bytes", "value": "text", "type": "bytes"},
              {"key": "json", "value": "{\"a\": 1 }", "type": "json"},
              {"key": "json2", "value": '{"b64":"_w"}', "type": "json"},
              {"key": "msgpack", "value": {"b64": "kQE"}, "type": "msgpack"}]
    sets = [{"key": "k", "value": "a"}, {"key": "k", "value": {"b64": "_w"}}, {"key": "empty"}]
    fields = [{"key": "m", "field": ["a.b", "c\\d"], "value": 1}, {"key": "e", "field": []},
              {"key": "m", "field": [{"b64": "_w"}], "value": "x"},
              {"key": "m", "field": ["q,\""], "value": [True]}]
    sums = [{"key": "c", "value": 5}, {"key": "d", "value": -7}]
    for kind, rows in (("register", lines), ("set", sets), ("map", fields), ("counter", sums)):
        for name in ("a", "b", "c"):
            case.node.run("collection", space, f"ex-{kind}-{name}", "--type", kind)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        case.one("import", "import", space, f"ex-{kind}-a", "-", data=text)
        first = case.node.run("export", space, f"ex-{kind}-a")
        case.checks.that(first.code == 0, f"export of a {kind}", first)
        for line in first.lines():
            case.checks.equal(case.shapes.wrong("export", line), "", f"export of a {kind}")

        def order(row):
            return json.dumps(row, sort_keys=True)
        case.checks.equal(sorted(first.lines(), key=order), sorted(rows, key=order),
                          f"a {kind} is exported as it was imported")
        case.one("import", "import", space, f"ex-{kind}-b", "-", data=first.raw)
        table = case.node.run("export", space, f"ex-{kind}-b", "--format", "csv")
        case.one("import", "import", space, f"ex-{kind}-c", "-", "--format", "csv", data=table.raw)
        case.checks.equal(case.node.run("export", space, f"ex-{kind}-c").out, first.out,
                          f"a {kind} survives jsonl and csv")
    case.fails(2, "MESHSYNC_E_INVALID", "export", space, "registers", "--format", "xml", says="xml")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "export", space, "nothing")


def watches(case, space):
    case.node.run("collection", space, "feed", "--type", "map")
    first = case.done("watch", "watch", space, "--from", "start", "--limit", "3")
    case.checks.equal(len(first), 3, "the first ops")
    rest = case.done("watch", "watch", space, "--from", first[0]["cursor"], "--limit", "2")
    case.checks.equal(rest, first[1:], "a cursor resumes after its line")
    case.fails(2, "MESHSYNC_E_INVALID", "watch", space, "--from", "nonsense!")
    case.fails(2, "MESHSYNC_E_INVALID", "watch", space, "--from", "AAAA")
    late = case.node.json("watch", space, "--timeout", "0.2", "--collection", "feed")
    case.checks.equal((late.code, late.error().get("name")), (1, "MESHSYNC_E_TIMEOUT"), "time over")
    watching = subprocess.Popen(
        [MESHNODE, "-d", case.node.folder, "watch", space, "--collection", "feed", "--limit", "4",
         "--timeout", "30"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.5)
    text = "".join(json.dumps(line) + "\n" for line in (
        {"op": "mset", "collection": "feed", "key": "k", "field": ["a", "b"], "value": 1.5},
        {"op": "mset", "collection": "feed", "key": "k", "field": ["c"], "value": {"b64": "_w"}},
        {"op": "mdel", "collection": "feed", "key": "k", "field": ["a"]},
        {"op": "put", "collection": "registers", "key": "other", "value": 1}))
    made = case.one("txn", "txn", space, data=text)
    case.node.run("del", space, "feed", "k")
    try:
        out, err = watching.communicate(timeout=40)
    except subprocess.TimeoutExpired:
        watching.kill()
        out, err = watching.communicate()
    seen = [json.loads(line) for line in out.splitlines()]
    for line in seen:
        case.checks.equal(case.shapes.wrong("watch", line), "", "a line of watch")
    short = [(line["op"], line.get("field"), line.get("value")) for line in seen]
    case.checks.equal(short[:2], [("mset", ["a", "b"], 1.5), ("mset", ["c"], {"b64": "_w"})],
                      f"what watch showed {case.how} {err!r}")
    case.checks.that(len(seen) == 4 and seen[3]["op"] == "del" and
                     {line["version"] for line in seen[:3]} == {made.get("version")},
                     f"one version for one transaction {case.how}", seen)


def whole(case, space):
    """What speaks of a whole space or node."""
    case.one("digest", "digest", space)
    case.checks.that("digest" in case.node.run("digest", space).out, "digest in words")
    report = case.one("verify", "verify", space)
    case.checks.that(report.get("changes", 0) > 20 and report.get("ops", 0) > 2500, "verify",
                     report)
    case.checks.that("is sound" in case.node.run("verify", space).out, "verify in words")
    token = case.one("write", "put", space, "registers", "waited", "x").get("version", "")
    case.checks.equal(case.one("wait", "wait", space, "--version", token).get("version"), token,
                      "wait for a version")
    case.one("wait", "wait", space)
    case.fails(2, "MESHSYNC_E_INVALID", "wait", space, "--version", "nonsense!")
    code, name = (1, "MESHSYNC_E_TIMEOUT") if case.running else (3, "MESHSYNC_E_UNREACHABLE")
    case.fails(code, name, "wait", space, "--peers", "1", "--timeout", "0.3")
    copy = f"copy-{case.running}"
    made = case.one("backup", "backup", copy, cwd=case.place.folder)
    case.checks.equal(made.get("bytes"), os.path.getsize(case.place.path(copy)), "a backup")
    case.checks.equal(os.stat(case.place.path(copy)).st_mode & 0o777, 0o600, "its mode")
    case.fails(5, "MESHSYNC_E_EXISTS", "backup", case.place.path(copy))
    case.fails(5, "MESHSYNC_E_EXISTS", "restore", case.place.path(copy))
    other = case.place.node(f"restored-{case.running}")
    answer = other.json("restore", case.place.path(copy))
    case.checks.that(answer.code == 0 and case.shapes.wrong("restore", answer.one()) == "",
                     "restore", answer)
    case.checks.equal(other.json("digest", space).one(), case.node.json("digest", space).one(),
                      "a restored node has the same digest")
    case.checks.equal(other.run("put", space, "registers", "after", "restore").code, 0,
                      "and can be written to")
    case.checks.equal(other.run("verify", space).code, 0, "and is sound")
    repair(case, other)
    junk = case.place.write("junk", b"no backup")
    answer = case.place.node(f"junk-{case.running}").json("restore", junk)
    case.checks.equal(answer.code, 4, "what is no backup is not restored")
    left = case.one("space-leave", "space", "leave", space)
    case.checks.equal(left.get("erased"), False, "left")
    case.checks.equal(case.one("space-info", "space", "info", space).get("left"), True,
                      "it says so")
    case.checks.equal(case.one("get", "get", space, "registers", "waited").get("value"), "x",
                      "data stays after leaving")
    erased = case.one("space-leave", "space", "leave", space, "--erase")
    case.checks.equal(erased.get("erased"), True, "left and erased")
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "space", "info", space)


def repair(case, node):
    """A sound store is left alone; one that cannot be opened is moved aside, the key stays."""
    own_id = node.json("id").one().get("id")
    answer = node.json("repair")
    case.checks.that(answer.code == 0 and case.shapes.wrong("repair-sound", answer.one()) == "",
                     "a sound store is left alone", answer)
    os.truncate(os.path.join(node.folder, "data.mdb"), 12288)
    answer = node.json("id")
    case.checks.equal(answer.code, 4, "a store that was cut short is refused")
    answer = node.json("repair")
    case.checks.that(answer.code == 0 and case.shapes.wrong("repair", answer.one()) == "",
                     "and moved aside", answer)
    case.checks.that(os.path.exists(os.path.join(node.folder, "data.mdb.damaged-1")), "it is kept")
    case.checks.equal(node.run("init").code, 0, "the node begins anew")
    case.checks.equal(node.json("id").one().get("id"), own_id, "as the same device")


def peers(case):
    if not case.running:
        case.fails(3, "MESHSYNC_E_UNREACHABLE", "peers")
        case.fails(3, "MESHSYNC_E_UNREACHABLE", "peer", "add", "127.0.0.1:1")
        case.fails(3, "MESHSYNC_E_UNREACHABLE", "peer", "remove", "127.0.0.1:1")
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
        case.one("peer-add", "peer", "add", nobody)
        error = until(lambda: [line for line in case.done("peers", "peers") if line["error"]], 10)
        case.checks.that(error and error[0]["address"] == nobody, "a peer that is not there", error)
        case.checks.that(nobody in case.node.run("peers").out, "peers in words")
        listed = case.one("status", "status").get("peers", [])
        case.checks.equal([line["address"] for line in listed], [nobody], "peers in status")
        case.one("peer-remove", "peer", "remove", nobody)
    case.fails(1, "MESHSYNC_E_NOT_FOUND", "peer", "remove", nobody, says=nobody)
    case.fails(2, "MESHSYNC_E_INVALID", "peer", "add", "no address")


def every_command(case):
    space = base(case)
    collections(case, space)
    registers(case, space)
    conditions(case, space)
    scans(case, space)
    counters_and_sets(case, space)
    maps(case, space)
    transactions(case, space)
    imports(case, space)
    exports(case, space)
    watches(case, space)
    peers(case)
    whole(case, space)


def without_node(checks, shapes, place):
    """Commands that need none, or find none."""
    answer = command(None, "version", "--json")
    checks.that(answer.code == 0 and shapes.wrong("version", answer.one()) == "", "version", answer)
    checks.that(answer.one().get("version", "-") in command(None, "--version").out, "--version")
    everything = command(None, "--help")
    checks.that(everything.code == 0 and "usage" in everything.out, "--help", everything)
    for line in everything.out.splitlines():
        words = line.split()
        if not line.startswith("  ") or line.startswith("   ") or not words:
            continue
        two = words[0] in ("space", "peer", "bundle") or words[:2] == ["collection", "list"]
        name = words[:2] if two else words[:1]
        answer = command(None, *name, "--help")
        checks.that(answer.code == 0 and f"usage: meshnode {' '.join(name)}" in answer.out and
                    "--json" in answer.out, f"help of {name}", answer)
    for words in ((), ("fly",), ("-d",), ("-d", "x"), ("space",), ("space", "fly")):
        checks.equal(command(None, *words).code, 2, f"usage {words}")
    missing = place.path("missing")
    for words in (("get", "s", "c", "k"), ("put", "s", "c", "k", "v"), ("space", "list"), ("id",)):
        answer = command(missing, *words, "--json")
        checks.that(answer.code == 1 and "init" in answer.error().get("message", ""),
                    f"{words} without a node", answer)
        checks.that(not os.path.exists(missing), f"{words} makes no folder")
    home = place.path("from-environment")
    answer = command(None, "init", "--json", env={**os.environ, "MESHNODE_DIR": home})
    checks.that(answer.code == 0 and os.path.isdir(home), "MESHNODE_DIR", answer)
    command(None, "init", cwd=place.folder, env={"PATH": os.environ.get("PATH", "")})
    checks.that(os.path.isdir(place.path("meshnode-data")), "the default folder")
    checks.equal(command(None, "-d", home, "--json", "id").one().get("path"),
                 os.path.realpath(home), "options before the command")


def running(checks, shapes, place, node):
    """What run itself promises."""
    notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notes.bind("\0meshsync-e2e-" + str(os.getpid()))
    notes.settimeout(10)
    os.environ["NOTIFY_SOCKET"] = "@meshsync-e2e-" + str(os.getpid())
    try:
        checks.that(node.start(listen=("127.0.0.1:0", "127.0.0.1:0"), extra=("-v",)), "run starts")
        checks.that(notes.recv(200).startswith(b"READY=1"), "ready is told to the service manager")
        checks.equal(len(node.addresses), 2, "a line for each listener")
        checks.equal(shapes.wrong("run-listening", node.said[0]), "", "its form")
        checks.equal(shapes.wrong("run-ready", node.said[-1]), "", "form of ready")
        control = os.path.join(node.folder, "control.sock")
        checks.equal(os.stat(control).st_mode & 0o777, 0o600, "mode of the control socket")
        second = command(node.folder, "run", "--json")
        checks.that(second.code == 4 and "another" in second.error().get("message", ""),
                    "a second node on the folder", second)
        watching = subprocess.Popen([MESHNODE, "-d", node.folder, "watch", "kept"],
                                    stdout=subprocess.PIPE)
        time.sleep(0.3)
        checks.equal(node.stop(), 0, "SIGTERM stops it")
        checks.that(notes.recv(200).startswith(b"STOPPING=1"), "stopping is told")
        checks.equal(watching.wait(10), 0, "a watch ends with its node")
        watching.stdout.close()
        checks.that(not os.path.exists(control), "the control socket is gone")
        with open(node.log, encoding="utf-8") as log:
            lines = [json.loads(line) for line in log if line.startswith('{"time"')]
        checks.that(lines and all(shapes.wrong("run-log", line) == "" for line in lines),
                    "lines of -v", lines[:1])
        del os.environ["NOTIFY_SOCKET"]
        checks.that(node.start(listen=()), "run without --listen")
        node.kill()
        checks.that(os.path.exists(control), "a killed node leaves its socket")
        checks.equal(node.run("id").code, 0, "which is seen through")
        checks.that(node.start(), "and replaced")
        checks.equal(node.end(signal.SIGINT), 0, "SIGINT stops it")
    finally:
        os.environ.pop("NOTIFY_SOCKET", None)
        notes.close()
    answer = node.json("run", "--listen", "no address")
    checks.that(answer.code == 2 and answer.out == "", "run with a bad address", answer)


def long_folder(checks, place):
    """The name of the data folder may be longer than a socket's address."""
    deep = os.path.join(place.folder, *["d" * 60] * 4)
    os.makedirs(deep)
    node = place.node(os.path.join(deep, "node"))
    checks.equal(node.run("space", "create", "deep").code, 0, "a node in a deep folder")
    if checks.that(node.start(), "runs there"):
        checks.equal(node.json("id").one().get("running"), True, "and is reached there")
        checks.equal(node.stop(), 0, "and stops")


def control_socket(checks, place):
    """What comes to the control socket cannot hurt the node, and who goes away ends its command."""
    node = place.node("control")
    node.run("space", "create", "s")
    if not checks.that(node.start(), "run"):
        return
    path = os.path.join(node.folder, "control.sock")
    tasks = f"/proc/{node.process.pid}/task"
    idle = len(os.listdir(tasks))

    def connect():
        link = socket.socket(socket.AF_UNIX)
        link.connect(path)
        return link
    for junk in (b"", b"A", b"\0" * 64, b"A\xff\xff\xff\xff", b"A\x02\0\0\0\x01\0", b"I\x01\0\0\0x",
                 b"A\x03\0\0\0\x09\0\0", b"A\x04\0\0\0\x01\0x\0", os.urandom(4096)):
        with connect() as link:
            link.sendall(junk)
    with connect() as link:
        link.sendall(b"A\x0b\0\0\0\x01\0txn\0--\0s\0" + b"I\xff\xff\xff\x7f")
        checks.that(b"R" in link.makefile("rb").read(), "a part that is too long ends the command")
    checks.equal(node.run("id").code, 0, "the node goes on")
    many = [connect() for _ in range(64)]
    time.sleep(0.3)
    answer = node.json("id")
    checks.that(answer.code == 5 and answer.error().get("name") == "MESHSYNC_E_BUSY",
                "too many commands at once", answer)
    for link in many:
        link.close()
    checks.that(until(lambda: node.run("id").code == 0, 5), "who goes away makes room")
    checks.that(until(lambda: len(os.listdir(tasks)) <= idle, 5), "no thread is left of them")
    watching = [subprocess.Popen([MESHNODE, "-d", node.folder, "watch", "s"],
                                 stdout=subprocess.DEVNULL) for _ in range(5)]
    checks.that(until(lambda: len(os.listdir(tasks)) >= idle + 5, 5), "each watch has a thread")
    for process in watching:
        process.kill()
        process.wait()
    checks.that(until(lambda: len(os.listdir(tasks)) <= idle, 5), "which ends with its client")
    checks.equal(node.stop(), 0, "stop")


def demo(checks, shapes, place):
    env = {**os.environ, "TMPDIR": place.folder}
    answer = command(None, "demo", "--json", env=env)
    checks.that(answer.code == 0 and shapes.wrong("demo", answer.one()) == "", "demo", answer)
    process = subprocess.Popen([MESHNODE, "demo"], env=env, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    checks.that(process.returncode != 0 and b"\x1b" not in out, "the demo is interrupted", err)
    left = [name for name in os.listdir(place.folder) if name.startswith("meshnode-demo")]
    checks.equal(left, [], "the demo cleans up")


def second_writer(checks, place):
    """Writers take turns on the store; many of them leave one entry in the version vector."""
    node = place.node("turns")
    node.run("space", "create", "s")
    node.run("collection", "s", "c", "--type", "register")
    many = [subprocess.Popen([MESHNODE, "-d", node.folder, "put", "s", "c", f"k{i}", "v"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for i in range(20)]
    codes = []
    for process in many:
        _, err = process.communicate(timeout=60)
        codes.append((process.returncode, err))
    checks.equal([code for code in codes if code[0] != 0], [], "20 writers at once take turns")
    checks.equal(len(node.json("scan", "s", "c").lines()), 20, "and all their puts are there")
    checks.equal(node.json("space", "info", "s").one().get("tips"), 1, "one entry in the vector")
    blocked = subprocess.Popen([MESHNODE, "-d", node.folder, "txn", "s"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(0.5)
    begin = time.monotonic()
    answer = node.json("put", "s", "c", "k", "v")
    spent = time.monotonic() - begin
    checks.that(answer.code == 4 and answer.error().get("name") == "MESHSYNC_E_STORE_LOCKED" and
                4.5 < spent < 9, f"a writer that does not get its turn, {spent:.1f} s", answer)
    checks.equal(node.run("get", "s", "c", "k1").code, 0, "who only reads does not wait")
    out, err = blocked.communicate(b"", timeout=20)
    checks.equal(blocked.returncode, 0, f"the first writer goes on {out!r} {err!r}")


def test(checks):
    shapes = Shapes()
    with Place("cli") as place:
        without_node(checks, shapes, place)
        node = place.node("node")
        made = node.json("init")
        checks.that(made.one().get("created") is True, "init", made)
        checks.equal(shapes.wrong("init", made.one()), "", "form of init")
        every_command(Case(checks, shapes, place, node, False))
        node.run("space", "create", "kept")
        running(checks, shapes, place, node)
        if checks.that(node.start(), "run"):
            every_command(Case(checks, shapes, place, node, True))
            checks.equal(node.stop(), 0, "stop")
        long_folder(checks, place)
        second_writer(checks, place)
        control_socket(checks, place)
        demo(checks, shapes, place)
        unused = sorted(name for name in set(shapes.shapes) - shapes.used
                        if not name.startswith("bundle-"))  # Those are test_bundle's.
        checks.equal(unused, [], "every form in docs/cli.md was seen")


if __name__ == "__main__":
    main(test)
