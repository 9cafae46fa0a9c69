# SPDX-License-Identifier: Apache-2.0
"""An editor without a screen: a JSON Schema validator and the YAML language server, installed by npm once."""

import contextlib
import fcntl
import json
import os
import select
import subprocess
import time

HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "editor")
MODULES = os.path.join(HERE, "node_modules")


def install():
    """`npm ci` unless what is installed is newer than the lock file."""
    lock, stamp = os.path.join(HERE, "package-lock.json"), os.path.join(MODULES, ".package-lock.json")
    with open(os.path.join(HERE, "package.json"), encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)   # tests run beside each other
        if os.path.exists(stamp) and os.path.getmtime(stamp) > os.path.getmtime(lock):
            return
        subprocess.run(["npm", "ci", "--prefix", HERE, "--no-audit", "--no-fund", "--ignore-scripts"], check=True,
                       stdout=subprocess.DEVNULL, timeout=300)


def validator(schema, *arguments):
    """The lines that validate.mjs prints, as objects."""
    install()
    done = subprocess.run(["node", os.path.join(HERE, "validate.mjs"), schema, *arguments], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class LanguageServer:
    """yaml-language-server over stdio, with `schema` for every file."""

    PATIENCE = 60.0

    def __init__(self, schema):
        install()
        program = os.path.join(MODULES, "yaml-language-server", "bin", "yaml-language-server")
        self._settings = {"schemas": {"file://" + schema: ["*.yaml"]}, "validate": True, "completion": True,
                          "schemaStore": {"enable": False}}
        self._process = subprocess.Popen(["node", program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.DEVNULL)
        self._number, self._buffer, self._diagnostics = 0, b"", {}
        self.ask("initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": {
            "workspace": {"configuration": True}, "textDocument": {"completion": {"completionItem": {}}}}})
        self._tell("initialized", {})
        self._tell("workspace/didChangeConfiguration", {"settings": {"yaml": self._settings}})

    def open(self, uri, text):
        self._diagnostics.pop(uri, None)
        self._tell("textDocument/didOpen", {"textDocument": {"uri": uri, "languageId": "yaml", "version": 1,
                                                             "text": text}})

    def diagnostics(self, uri):
        """The first that it publishes for the document."""
        while uri not in self._diagnostics:
            self._receive()
        return self._diagnostics[uri]

    def completions(self, uri, line, character):
        """Labels offered at a place (0-based)."""
        answer = self.ask("textDocument/completion", {"textDocument": {"uri": uri},
                                                      "position": {"line": line, "character": character}})
        return [item["label"] for item in answer["items"]]

    def ask(self, method, parameters):
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._receive()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def stop(self):
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def _tell(self, method, parameters):
        self._send({"method": method, "params": parameters})

    def _send(self, message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self):
        message = self._read()
        if "method" in message and "id" in message:     # it asks for its configuration, or to register something
            wanted = [self._settings if item.get("section") == "yaml" else {} for item in
                      message.get("params", {}).get("items", [])]
            self._send({"id": message["id"], "result": wanted or None})
        elif message.get("method") == "textDocument/publishDiagnostics":
            parameters = message["params"]
            self._diagnostics[parameters["uri"]] = parameters["diagnostics"]
        return message

    def _read(self):
        deadline = time.monotonic() + self.PATIENCE
        while True:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if separator:
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                if len(rest) >= length:
                    self._buffer = rest[length:]
                    return json.loads(rest[:length])
            ready, _, _ = select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the language server says nothing"
            piece = os.read(self._process.stdout.fileno(), 65536)
            assert piece, "the language server is gone"
            self._buffer += piece
