# SPDX-License-Identifier: Apache-2.0
"""A network between node processes whose links can be cut. Each node listens on a Unix socket that
only its front knows; a front is a TCP port, and it sees which process dials it."""

import os
import select
import socket
import threading


class Mesh:
    """The fronts of all nodes, and who may reach whom."""

    def __init__(self):
        self.fronts = {}    # name -> listening socket
        self.hidden = {}    # name -> path of the node's real socket
        self.processes = {} # name -> process id
        self.cut = set()    # pairs (frozenset) that may not talk
        self.only = None    # pairs that may talk at all; None: all
        self.lock = threading.Lock()
        self.links = {}     # pair -> open socket pairs
        self.bytes = 0
        self.ended = False
        self.wake, self.woken = os.pipe()
        self.threads = []

    def add(self, name):
        """Makes the front of a node; its address."""
        front = socket.socket()
        front.bind(("127.0.0.1", 0))
        front.listen(64)
        self.fronts[name] = front
        thread = threading.Thread(target=self.accept, args=(name, front), daemon=True)
        self.threads.append(thread)
        thread.start()
        return f"127.0.0.1:{front.getsockname()[1]}"

    def hide(self, name, path):
        """The node listens at path: moves its socket to where only this object finds it."""
        os.rename(path, path + ".hidden")
        self.hidden[name] = path + ".hidden"

    def dialer(self, peer):
        """Name of the node whose process owns the other end of an accepted connection."""
        wanted = f"{int.from_bytes(socket.inet_aton(peer[0]), 'little'):08X}:{peer[1]:04X}"
        inode = None
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table.readlines()[1:]:
                words = line.split()
                if words[1] == wanted:
                    inode = words[9]
        for name, process in list(self.processes.items()):
            try:
                for entry in os.listdir(f"/proc/{process}/fd"):
                    if os.readlink(f"/proc/{process}/fd/{entry}") == f"socket:[{inode}]":
                        return name
            except OSError:
                continue
        return None

    def allowed(self, pair):
        return pair not in self.cut and (self.only is None or pair in self.only)

    def accept(self, name, front):
        while not self.ended:
            ready, _, _ = select.select([front, self.wake], [], [])
            if self.wake in ready:
                return
            link, peer = front.accept()
            try:
                pair = frozenset((name, self.dialer(peer)))
                inner = socket.socket(socket.AF_UNIX)
                inner.connect(self.hidden[name])
            except (OSError, KeyError):
                link.close()
                continue
            with self.lock:
                if not self.allowed(pair) or len(pair) != 2:
                    link.close()
                    inner.close()
                    continue
                self.links.setdefault(pair, []).append((link, inner))
            thread = threading.Thread(target=self.carry, args=(pair, link, inner), daemon=True)
            thread.start()

    def carry(self, pair, link, inner):
        other = {link: inner, inner: link}
        try:
            while True:
                ready, _, _ = select.select([link, inner], [], [])
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    self.bytes += len(data)
                    other[end].sendall(data)
        except (OSError, ValueError):
            return
        finally:
            self.close(pair, link, inner)

    def close(self, pair, link, inner):
        with self.lock:
            held = self.links.get(pair, [])
            if (link, inner) in held:
                held.remove((link, inner))
        for end in (link, inner):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def forbid(self, pairs):
        """Cuts links at once."""
        with self.lock:
            self.cut |= set(pairs)
            ends = [end for pair in pairs for end in self.links.get(pair, [])]
        for link, inner in ends:
            for end in (link, inner):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def heal(self):
        with self.lock:
            self.cut = set()

    def end(self):
        self.ended = True
        os.write(self.woken, b"x")
        for thread in self.threads:
            thread.join(5)
        for front in self.fronts.values():
            front.close()
