#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second reader of the change format, written from docs/format.md alone: it takes the changes of
tests/vectors/changes.json apart and recomputes actor ids, op hashes, roots and change hashes."""

import hashlib
import json
import os
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VECTORS = os.path.join(ROOT, "tests", "vectors", "changes.json")


def digest(size, *parts):
    return hashlib.blake2b(b"".join(parts), digest_size=size).digest()


class Reader:
    """Canonical msgpack, as far as the format uses it; `at` is where the next value begins."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at:self.at + count]
        if len(part) != count:
            raise ValueError("cut off")
        self.at += count
        return part

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def value(self):
        head = self.number("B")
        if head <= 0x7f or head >= 0xe0:
            return head if head <= 0x7f else head - 256
        if head <= 0x8f:
            return {self.value(): self.value() for _ in range(head & 15)}
        if head <= 0x9f:
            return [self.value() for _ in range(head & 15)]
        if head <= 0xbf:
            return self.take(head & 31).decode()
        constants = {0xc0: None, 0xc2: False, 0xc3: True}
        if head in constants:
            return constants[head]
        numbers = {0xcb: "d", 0xcc: "B", 0xcd: "H", 0xce: "I", 0xcf: "Q",
                   0xd0: "b", 0xd1: "h", 0xd2: "i", 0xd3: "q"}
        if head in numbers:
            return self.number(numbers[head])
        if 0xd4 <= head <= 0xd8:
            return (self.number("b"), self.take(1 << (head - 0xd4)))
        sizes = {0xc4: "B", 0xc5: "H", 0xc6: "I", 0xd9: "B", 0xda: "H", 0xdb: "I",
                 0xdc: "H", 0xdd: "I"}
        count = self.number(sizes[head])
        if head >= 0xdc:
            return [self.value() for _ in range(count)]
        part = self.take(count)
        return part if head <= 0xc6 else part.decode()

    def raw(self):
        """The value, and the bytes that it is."""
        start = self.at
        value = self.value()
        return value, self.data[start:self.at]


def chacha20(key, count):
    """The key stream from block 0 with the zero nonce."""
    def quarter(x, a, b, c, d):
        for one, two, three, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[one] = (x[one] + x[two]) & 0xffffffff
            x[three] ^= x[one]
            x[three] = (x[three] << turn | x[three] >> (32 - turn)) & 0xffffffff
    out = b""
    while len(out) < count:
        first = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key),
                 len(out) // 64, 0, 0, 0]
        x = list(first)
        for _ in range(10):
            for a in range(4):
                quarter(x, a, a + 4, a + 8, a + 12)
            for a in range(4):
                quarter(x, a, 4 + (a + 1) % 4, 8 + (a + 2) % 4, 12 + (a + 3) % 4)
        out += struct.pack("<16I", *((a + b) & 0xffffffff for a, b in zip(x, first)))
    return out[:count]


def merkle(hashes):
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return digest(32, b"node", merkle(hashes[:half]), merkle(hashes[half:]))


def be32(number):
    return struct.pack(">I", number)


def be64(number):
    return struct.pack(">Q", number)


def read_ops(reader):
    """The ops of a body with the bytes of their payloads."""
    head = reader.number("B")
    count = head & 15 if head & 0xf0 == 0x90 else reader.number("H" if head == 0xdc else "I")
    for _ in range(count):
        if reader.number("B") != 0x95:
            raise ValueError("an op is an array of 5")
        collection, kind, path = reader.value(), reader.value(), reader.value()
        yield collection, kind, path, reader.raw()[1], reader.value()


def op_hashes(header, body):
    """The root, and the op hashes in order, of a body in the full form."""
    actor, seq = header[2], header[3]
    reader = Reader(body)
    if reader.number("B") != 0x96 or reader.value() != 0:
        raise ValueError("not a full body")
    secret, bounds, names, refs = (reader.value() for _ in range(4))
    ops = list(read_ops(reader))
    if reader.at != len(body):
        raise ValueError("something stands behind the body")
    salts = chacha20(digest(32, b"meshsync salts 1", secret), 32 * len(ops))
    hashes = []
    for index, (collection, kind, path, payload, kills) in enumerate(ops):
        name = names[collection].encode()
        skeleton = be32(index) + be32(kind) + bytes([len(name)]) + name + be32(len(kills) // 2)
        for ref, victim in zip(kills[::2], kills[1::2]):
            whose = (actor, seq, 0) if ref == 0 else refs[ref - 1]
            skeleton += whose[0] + be64(whose[1]) + be64(whose[2]) + be32(victim)
        salt = salts[32 * index:32 * index + 32]
        hashes.append(digest(32, b"op", skeleton, digest(32, salt[:16], path),
                             digest(32, salt[16:], payload)))
    parts = [b"root", be32(len(names))]
    for index, name in enumerate(names):
        own = [one for one, op in zip(hashes, ops) if op[0] == index]
        parts += [bytes([len(name.encode())]), name.encode(), be32(len(own)), merkle(own)]
    parts += [be32(len(bounds)), *map(be32, bounds)]
    return digest(32, *parts), hashes


def actor_id(header):
    device, ordinal, tag, before = header[11]
    tail = b"" if before is None else before[0] + be64(before[1]) + before[2]
    return digest(16, b"meshsync actor 1", header[1], device, be64(ordinal), tag, tail)


def differences(vector):
    """What this reader finds other than the vector says."""
    change = bytes.fromhex(vector["change"])
    reader = Reader(change)
    header, header_bytes = reader.raw()
    signature = reader.value()
    root, hashes = op_hashes(header, change[reader.at:])
    found = {"seq": header[3], "hlc": header[5], "root": root.hex(), "actor": header[2].hex(),
             "header": header_bytes.hex(), "signature": signature.hex(),
             "hash": digest(32, header_bytes, signature).hex(),
             "op hashes": [one.hex() for one in hashes]}
    said = {**vector, "op hashes": [op["op_hash"] for op in vector["ops"]]}
    wrong = [name for name, value in found.items() if said[name] != value]
    if header[8] != root:
        wrong.append("the root in the header")
    if header[3] == 1 and actor_id(header) != header[2]:
        wrong.append("the actor's id")
    return wrong


def main():
    with open(VECTORS, encoding="utf-8") as file:
        vectors = json.load(file)["changes"]
    failed = 0
    for vector in vectors:
        wrong = differences(vector)
        failed += 1 if wrong else 0
        print(f"{vector['name']}: {'differs in ' + ', '.join(wrong) if wrong else 'the same'}")
    return 0 if vectors and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
