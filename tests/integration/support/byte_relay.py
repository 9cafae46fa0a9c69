# SPDX-License-Identifier: Apache-2.0
"""A relay between weir and its upstream that understands nothing and does to the bytes what a test wants."""

import select
import socket
import threading
import time

from .upstream import RST

# What may happen to a connection; `fault` may be changed at any time and applies to bytes that come later.
FAULTS = ("refuse", "reset", "reset_answer", "blackhole", "mute", "drip", "delay", "garbage", "truncate", "half_close")
GARBAGE = b"\x00\xff\x16\x03\x01 SSH-2.0-what\n\nHTTP/9.9 999\r\n"


class ByteRelay:
    def __init__(self, target):
        self.target, self.fault = target, None
        self.stopping = False
        self.lock = threading.Lock()
        self.sockets = set()
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self):
        self.stopping = True
        self.listener.close()
        self.cut()

    def cut(self):
        """Ends the connections there are."""
        with self.lock:
            sockets = list(self.sockets)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # ---- inside --------------------------------------------------------------------------------------------------
    def _accept(self):
        while not self.stopping:
            try:
                ready, _, _ = select.select([self.listener], [], [], 0.1)
                if not ready:
                    continue
                client, _ = self.listener.accept()
            except (OSError, ValueError):
                return
            if self.fault in ("refuse", "reset"):
                if self.fault == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
                client.close()
                continue
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            client.close()
            return
        with self.lock:
            self.sockets |= {client, server}
        try:
            self._carry(client, server)
        except OSError:
            pass
        finally:
            with self.lock:
                self.sockets -= {client, server}
            client.close()
            server.close()

    def _carry(self, client, server):
        for sock in (client, server):
            sock.settimeout(5)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not self.stopping:
            ready, _, _ = select.select([client, server], [], [], 0.2)
            for sock in ready:
                data = sock.recv(65536)
                if not data:
                    return
                if sock is client:
                    if self.fault != "blackhole":
                        server.sendall(data)
                elif not self._answer(client, data):
                    return

    def _answer(self, client, data):
        """Bytes of an answer on their way to weir. False: the connection ends here."""
        fault = self.fault
        if fault == "drip":
            for at in range(0, len(data), 16):
                client.sendall(data[at:at + 16])
                if self.fault != "drip":
                    client.sendall(data[at + 16:])
                    break
                time.sleep(0.02)
            return True
        if fault == "delay":
            time.sleep(0.15)
        if fault in ("blackhole", "mute"):
            return True
        if fault == "garbage":
            client.sendall(GARBAGE)
            return False
        if fault == "reset_answer":
            client.sendall(data[:len(data) // 2])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            return False
        if fault == "truncate":
            client.sendall(data[:len(data) - 1])
            return False
        client.sendall(data)
        if fault == "half_close":
            client.shutdown(socket.SHUT_WR)
            time.sleep(0.05)
            return False
        return True
