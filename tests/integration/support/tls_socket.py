# SPDX-License-Identifier: Apache-2.0
"""TLS over a connected socket. Unlike ssl.SSLSocket it may be read and written by two threads at once, never takes an
end without close_notify for an end, and can say goodbye and go on reading."""

import ssl
import threading


class TlsSocket:
    """Shakes hands at once, within the timeout of `sock`, which is closed when that fails."""

    def __init__(self, context, sock, server_name=None, server_side=False, session=None, piece=None):
        """`piece`: every record travels in pieces of so many bytes."""
        self.sock, self.piece = sock, piece
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_name, session)
        self._state, self._sending = threading.Lock(), threading.Lock()
        try:
            self._until_done(self.tls.do_handshake)
        except (OSError, ValueError):
            sock.close()
            raise

    def __getattr__(self, name):    # settimeout, setsockopt, shutdown, close ...
        return getattr(self.sock, name)

    def recv(self, size):
        try:
            return self._until_done(lambda: self.tls.read(size))
        except ssl.SSLZeroReturnError:
            return b""

    def sendall(self, data):
        with self._sending:
            for at in range(0, len(data), 1 << 20):
                with self._state:
                    self.tls.write(data[at:at + (1 << 20)])
                self._flush()

    def say_goodbye(self):
        """Sends close_notify; what the peer still sends can be read."""
        with self._sending:
            try:
                with self._state:
                    self.tls.unwrap()
            except ssl.SSLError:
                pass
            try:
                self._flush()
            except OSError:
                pass

    def _until_done(self, step):
        while True:
            try:
                with self._state:
                    result = step()
                self._answer()
                return result
            except ssl.SSLWantReadError:
                self._answer()
            except ssl.SSLError:
                self._answer()      # an alert
                raise
            data = self.sock.recv(1 << 16)
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _answer(self):
        if self._outgoing.pending and self._sending.acquire(blocking=False):
            try:
                self._flush()
            except OSError:
                pass
            finally:
                self._sending.release()

    def _flush(self):
        with self._state:
            data = self._outgoing.read()
        for at in range(0, len(data), self.piece or len(data) or 1):
            self.sock.sendall(data[at:at + (self.piece or len(data))])
