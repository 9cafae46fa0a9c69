# SPDX-License-Identifier: Apache-2.0
"""A Redis Cluster on loopback: three masters and a replica unless told otherwise, with helpers that move slots."""

import os
import time

from .ports import free_port
from .redis import RedisServer, RespError
from .weir import wait_until

SLOTS = 16384


def key_slot(key):
    """CRC16 (XMODEM) of the hash tag, or of the whole key."""
    key = key if isinstance(key, bytes) else key.encode()
    begin = key.find(b"{")
    if begin >= 0:
        end = key.find(b"}", begin + 1)
        if end > begin + 1:
            key = key[begin + 1:end]
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc % SLOTS


class Node(RedisServer):
    def __init__(self, directory, options, node_timeout):
        os.makedirs(directory, exist_ok=True)
        self.bus_port = free_port()
        super().__init__(directory, options=["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
                                             "--cluster-node-timeout", str(node_timeout),
                                             "--cluster-port", str(self.bus_port),
                                             "--cluster-replica-validity-factor", "0", *options])

    def id(self):
        return self.call("CLUSTER", "MYID")

    def info(self):
        lines = self.call("CLUSTER", "INFO").decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def role(self):
        return self.call("ROLE")[0].decode()


class RedisCluster:
    """`nodes[:masters]` start as masters, the others as replicas of them in turn."""

    def __init__(self, directory, masters=3, replicas=1, options=(), node_timeout=1000):
        self.masters = masters
        self.nodes = [Node(os.path.join(directory, f"node-{i}"), options, node_timeout)
                      for i in range(masters + replicas)]

    @property
    def addresses(self):
        """What `store.nodes` wants."""
        return [f"127.0.0.1:{node.port}" for node in self.nodes]

    def start(self):
        for node in self.nodes:
            node.start()
        for epoch, node in enumerate(self.nodes):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch + 1)
        first = self.nodes[0]
        for node in self.nodes[1:]:
            node.call("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus_port)
        for i, node in enumerate(self.nodes[:self.masters]):
            begin, end = SLOTS * i // self.masters, SLOTS * (i + 1) // self.masters - 1
            node.call("CLUSTER", "ADDSLOTSRANGE", begin, end)
        wait_until("every node knows every other",
                   lambda: all(int(n.info()["cluster_known_nodes"]) == len(self.nodes) for n in self.nodes), 30)
        for i, node in enumerate(self.nodes[self.masters:]):
            self._replicate(node, self.nodes[i % self.masters])
        self.wait_until_ok()
        return self

    def _replicate(self, replica, master):
        def accepted():
            try:
                return replica.call("CLUSTER", "REPLICATE", master.id()) == b"OK"
            except RespError:
                return False    # the master is not known as one yet
        wait_until("a replica follows its master", accepted, 20)
        wait_until("the replica is in sync", lambda: replica.call("ROLE")[3] == b"connected", 20)

    def wait_until_ok(self, timeout=30):
        def ok():
            return all(n.info()["cluster_state"] == "ok" and n.info()["cluster_slots_ok"] == str(SLOTS)
                       for n in self.nodes if n.process.poll() is None)
        wait_until("the cluster is ok", ok, timeout)

    def stop(self):
        for node in self.nodes:
            node.kill()

    # ---- who owns what -------------------------------------------------------------------------------------------
    def living(self):
        return [n for n in self.nodes if n.process and n.process.poll() is None]

    def by_port(self, port):
        return next(n for n in self.nodes if n.port == port)

    def owner(self, slot):
        """The master of a slot, as the first living node sees it."""
        for begin, end, master, *_ in self.living()[0].call("CLUSTER", "SLOTS"):
            if begin <= slot <= end:
                return self.by_port(master[1])
        raise AssertionError(f"slot {slot} has no owner")

    def slots_of(self, node):
        return [slot for begin, end, master, *_ in node.call("CLUSTER", "SLOTS") if master[1] == node.port
                for slot in range(begin, end + 1)]

    def master_of(self, key):
        return self.owner(key_slot(key))

    def keys(self):
        """Every key of every living master that holds a decision's state, not the heartbeat's."""
        return sorted(key for n in self.living() if n.role() == "master" for key in n.call("KEYS", "*")
                      if b"{members}" not in key)

    # ---- moving slots --------------------------------------------------------------------------------------------
    def begin_move(self, slot, target):
        """The slot is half-way: its owner answers ASK for keys it no longer has. Returns the owner."""
        source = self.owner(slot)
        assert source is not target
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id())
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id())
        return source

    @staticmethod
    def move_keys(slot, source, target):
        while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)

    def end_move(self, slot, source, target):
        """The others are told too, as redis-cli does; gossip alone would take a moment."""
        identity = target.id()
        for node in [target, source] + [n for n in self.living() if n not in (target, source)]:
            if node.role() == "master":
                node.call("CLUSTER", "SETSLOT", slot, "NODE", identity)

    def move_slot(self, slot, target):
        source = self.begin_move(slot, target)
        self.move_keys(slot, source, target)
        self.end_move(slot, source, target)

    def move_all(self, source, target, slots=None, pause=0.0):
        """Moves all slots of `source` (or those given) one by one over connections that stay open: some 2,000/s."""
        slots = self.slots_of(source) if slots is None else slots
        others = [n.client() for n in self.living() if n not in (source, target) and n.role() == "master"]
        a, b, source_id, target_id = source.client(), target.client(), source.id(), target.id()
        try:
            for slot in slots:
                b.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
                a.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
                while keys := a.call("CLUSTER", "GETKEYSINSLOT", slot, 100):
                    a.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
                for client in (b, a, *others):
                    client.call("CLUSTER", "SETSLOT", slot, "NODE", target_id)
                if pause:
                    time.sleep(pause)
        finally:
            for client in (a, b, *others):
                client.close()
        return len(slots)

    # ---- loss ------------------------------------------------------------------------------------------------------
    def fail_over(self, replica=None):
        """An orderly failover to a replica; returns the new master."""
        replica = replica or self.nodes[self.masters]
        replica.call("CLUSTER", "FAILOVER")
        wait_until("the replica is master", lambda: replica.role() == "master", 20)
        return replica

    def kill_and_wait(self, master, replica=None, timeout=30):
        """SIGKILL for a master; waits until its replica took over."""
        replica = replica or self.nodes[self.masters]
        master.kill()
        wait_until("the replica took over", lambda: replica.role() == "master", timeout)
        self.wait_until_ok(timeout)
        return replica
