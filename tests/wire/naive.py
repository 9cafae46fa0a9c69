# SPDX-License-Identifier: Apache-2.0
"""A reverse proxy as one would write it in an hour: reads a head, a length, and believes both. The suite must find it
poisonous, or the suite is blind."""

import re
import socket
import threading

from support.ports import free_port

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


class Naive:
    name = "a naive proxy"

    def __init__(self, _directory, upstream):
        self.port, self.upstream, self.pool = free_port(), upstream, []

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        received = bytearray()
        with client:
            try:
                while True:
                    request = message(client, received)
                    server, left = self.pool.pop() if self.pool else (
                        socket.create_connection(("127.0.0.1", self.upstream), 1), bytearray())
                    server.sendall(request)
                    client.sendall(message(server, left))
                    self.pool.append((server, left))
            except OSError:
                return


def message(sock, received):
    """The next message of `sock`; bytes behind it stay in `received`."""
    sock.settimeout(1)
    while (end := received.find(b"\r\n\r\n") + 4) < 4:
        more(sock, received)
    length = LENGTH.search(received[:end])
    end += int(length[1]) if length else 0
    while len(received) < end:
        more(sock, received)
    taken = bytes(received[:end])
    del received[:end]
    return taken


def more(sock, received):
    data = sock.recv(65536)
    if not data:
        raise OSError("closed")
    received += data
