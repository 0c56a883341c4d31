# SPDX-License-Identifier: Apache-2.0
"""What a running meshnode costs that has ten peers and nothing to do: processor time of the
process, all its threads, from its scheduler's counts, and its private memory."""

import os
import sys
import time

PEERS = 10
ROUNDS = 3
ROUND_SECONDS = 10
SETTLE_SECONDS = 5
CPU_PERCENT_MAX = 0.1
MEMORY_MIB_MAX = 6


def cpu_seconds(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def private_mib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_")) / 1024


def figures(values):
    ordered = sorted(values)
    return {"rounds": len(ordered), "min": round(ordered[0], 6),
            "median": round(ordered[len(ordered) // 2], 6), "max": round(ordered[-1], 6)}


def report(like, what, unit, most, found):
    result = {key: like[key] for key in ("schema", "library", "kernel", "cpus")}
    own = figures(found)
    result.update(bench="meshnode", what=what, unit=unit, n=PEERS,
                  against="the most that it may be", bare=figures([most]), meshsync=own,
                  ratio=round(most / own["median"], 3) if own["median"] > 0 else 1000000)
    return result


def start(place, support):
    """The first node, running, with all others as its peers; None when they do not come."""
    first = place.node("first")
    first.run("space", "create", "bench")
    if not first.start():
        return None
    ticket = first.run("space", "invite", "bench").out.strip()
    for i in range(PEERS):
        node = place.node(f"peer{i}")
        node.run("space", "join", ticket)
        if not node.start(peers=[first.address()]):
            return None

    def whole():
        peers = [peer for peer in first.json("peers").lines() if peer.get("state") == "live"]
        return len(peers) >= PEERS
    return first if support.until(whole, 60) else None


def measure(build, like):
    """Lines in the form of what the programs say; like is one of those."""
    os.environ["MESHNODE"] = os.path.join(build, "meshnode")
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                    "tests", "e2e"))
    import support  # pylint: disable=import-outside-toplevel
    with support.Place("bench") as place:
        first = start(place, support)
        if first is None:
            sys.exit("meshnode: the nodes do not find each other")
        time.sleep(SETTLE_SECONDS)
        percent = []
        for _ in range(ROUNDS):
            used, at = cpu_seconds(first.process.pid), time.monotonic()
            time.sleep(ROUND_SECONDS)
            percent.append((cpu_seconds(first.process.pid) - used) /
                           (time.monotonic() - at) * 100)
        memory = private_mib(first.process.pid)
    return [report(like, "idle processor with 10 peers", "%", CPU_PERCENT_MAX, percent),
            report(like, "private memory with 10 peers", "MiB", MEMORY_MIB_MAX, [memory])]
