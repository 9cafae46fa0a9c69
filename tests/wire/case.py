# SPDX-License-Identifier: Apache-2.0
"""What a case says: the bytes of one side, and everything the other sides must see.

Texts are latin-1, one character a byte. A case is named by its rule and a sentence."""

from dataclasses import dataclass, field

KINDS = {400: "bad_request", 404: "no_route", 405: "method_not_allowed", 408: "request_timeout", 413: "body_too_large",
         414: "uri_too_long", 417: "expectation_failed", 429: "rate_limited", 431: "headers_too_large",
         501: "not_implemented", 502: "bad_gateway", 504: "upstream_timeout", 505: "version_not_supported"}
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
              "trailer", "transfer-encoding", "upgrade", "http2-settings", "expect"}
FRAMING = {"content-length", "transfer-encoding"}

KEPT, CLOSED, SILENT = "K", "C", "closed without an answer"


@dataclass
class Reached:
    """One message as the upstream must get it; `kept` are the field lines between Host and weir's own."""
    line: str
    host: str = None            # None: the upstream's own authority
    kept: tuple = ()
    framing: str = None         # the framing line
    body: bytes = b""
    via: str = "1.1 weir"
    request_id: str = None      # None: one that weir made


@dataclass
class RequestCase:
    rule: str
    sentence: str
    sent: bytes
    status: int = 200           # None: closed without an answer
    kind: str = None            # error.type, for weir
    fate: str = KEPT
    reached: list = field(default_factory=list)     # nothing else may reach the upstream
    answers: int = 1            # how many responses the bytes deserve; the last one has `status` and `fate`
    answer_fields: tuple = ()   # (name, value) pairs that the last answer carries
    end: str = None             # "fin": the client ends its direction behind the bytes
    never_complete: bool = False   # the upstream may see a beginning, which must never become a whole message
    where: str = "plain"        # the policy it runs under
    peers: bool = True          # False: about weir's own policy, so that peers are not asked
    side = "requests"


@dataclass
class ResponseCase:
    rule: str
    sentence: str
    sent: bytes
    status: int = 200
    kept: tuple = None          # field lines the client gets before weir's own; None: as sent
    framing: str = None         # framing line towards the client
    body: bytes = b""
    interim: tuple = ()         # status of each relayed 1xx
    fate: str = KEPT            # of the client's connection
    pooled: bool = True         # the upstream's connection may serve again
    aborted: bool = False       # `body` is what may arrive at most, and the end must not look clean
    end: str = None             # "fin" or "rst" behind the bytes
    method: str = "GET"
    version: str = "1.1"
    where: str = "plain"
    peers: bool = True
    side = "responses"


@dataclass
class Dialogue:
    """A case that is a conversation: `play(bench)` raises when something is not as it must be."""
    rule: str
    sentence: str
    play: object
    side: str = "requests"
    where: str = "plain"
    peers: bool = False


class Chapter:
    """Collects the cases of one file."""

    def __init__(self):
        self.cases = []

    def refused(self, rule, sentence, status, sent, **more):
        """The bytes get this error, the connection closes, nothing reaches the upstream."""
        more.setdefault("kind", KINDS[status])
        more.setdefault("fate", CLOSED)
        self.cases.append(RequestCase(rule, sentence, raw(sent), status, **more))

    def refused_field(self, rule, sentence, status, line, **more):
        self.refused(rule, sentence, status, with_fields(line), **more)

    def refused_body(self, rule, sentence, status, sent, **more):
        """As refused, but the head may have gone to the upstream before the body was seen to be wrong."""
        self.refused(rule, sentence, status, sent, never_complete=True, **more)

    def silent(self, rule, sentence, sent, **more):
        self.cases.append(RequestCase(rule, sentence, raw(sent), None, fate=SILENT, **more))

    def passed(self, rule, sentence, sent, line=None, kept=None, host="a.example", framing=None, body=None, via=None,
               request_id=None, **more):
        """The message reaches the upstream; what is not given is expected to arrive as it was sent."""
        sent = raw(sent)
        first, fields, rest = split(sent)
        method, target, version = first.split(" ")
        if framing is None:
            framing = next((f"{n}: {v}" for n, v in fields if n.lower() == "content-length"), None)
            if any(n.lower() == "transfer-encoding" for n, _ in fields):
                framing = "Transfer-Encoding: chunked"
            elif framing is None and method in ("POST", "PUT", "PATCH"):
                framing = "Content-Length: 0"
        if kept is None:
            kept = tuple(f"{n}: {v}" for n, v in fields if n.lower() not in FRAMING | {"host"})
        more.setdefault("fate", KEPT if version == "HTTP/1.1" else CLOSED)
        self.cases.append(RequestCase(rule, sentence, sent, reached=[Reached(
            line or f"{method} {target} HTTP/1.1", host, tuple(kept), framing, rest if body is None else raw(body),
            via or ("1.1 weir" if version == "HTTP/1.1" else "1.0 weir"), request_id)], **more))

    def passed_field(self, rule, sentence, line, **more):
        self.passed(rule, sentence, with_fields(line), **more)

    def answered(self, rule, sentence, status, sent, **more):
        """weir answers by itself, and the connection is kept."""
        self.cases.append(RequestCase(rule, sentence, raw(sent), status, **more))

    def pipelined(self, rule, sentence, sent, reached, **more):
        self.cases.append(RequestCase(rule, sentence, raw(sent), reached=list(reached), answers=len(reached), **more))

    # ---- responses ------------------------------------------------------------------------------------------------
    def relayed(self, rule, sentence, sent, **more):
        """The client gets the response; what is not given is expected to arrive as it was sent."""
        sent = raw(sent)
        final = sent
        while final.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):
            final = final[final.index(b"\r\n\r\n") + 4:]
        first, fields, rest = split(final)
        more.setdefault("status", int(first[9:12]))
        if more.get("kept") is None:
            more["kept"] = tuple(f"{n}: {v}" for n, v in fields if n.lower() not in FRAMING | HOP_BY_HOP)
        length = next((v for n, v in fields if n.lower() == "content-length"), None)
        chunked = any(n.lower() == "transfer-encoding" for n, _ in fields)
        if length is not None:
            more.setdefault("framing", f"Content-Length: {length}")
        elif chunked or more["status"] not in (204, 304):
            more.setdefault("framing", "Transfer-Encoding: chunked")
        more.setdefault("body", rest if not chunked else b"")
        self.cases.append(ResponseCase(rule, sentence, sent, **more))

    def bad(self, rule, sentence, sent, **more):
        """502 for the client, whose connection is kept; the upstream's connection is closed."""
        self.cases.append(ResponseCase(rule, sentence, raw(sent), 502, pooled=False, **more))

    def broken(self, rule, sentence, sent, body=b"", **more):
        """The response had begun: it must not end as if it were whole."""
        self.cases.append(ResponseCase(rule, sentence, raw(sent), int(raw(sent)[9:12]), aborted=True, pooled=False,
                                       body=raw(body), fate=CLOSED, **more))

    # ---- conversations ---------------------------------------------------------------------------------------------
    def dialogue(self, rule, sentence, side="requests", where="plain"):
        def add(play):
            self.cases.append(Dialogue(rule, sentence, play, side, where))
            return play
        return add


def raw(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def split(message):
    """(first line, [(name, value)], rest) of a message that is well-formed."""
    head, _, rest = message.lstrip(b"\r\n").partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    return first, [(name, value.strip(" \t")) for name, _, value in pairs], rest


def get(target="/", fields="", host="a.example", method="GET", version="HTTP/1.1"):
    """A request; `fields` are complete lines without their last CRLF."""
    return (f"{method} {target} {version}\r\n" + (f"Host: {host}\r\n" if host is not None else "") +
            (fields + "\r\n" if fields else "") + "\r\n")


def with_fields(lines, body=""):
    return get("/", lines) + body


def post(fields, body="", target="/"):
    return get(target, fields, method="POST") + body


def chunked(body, fields=""):
    """A POST whose body is `body`, already coded."""
    return post("Transfer-Encoding: chunked" + ("\r\n" + fields if fields else ""), body)


def ok(fields="", body="", status="200 OK"):
    """A response; `fields` are complete lines without their last CRLF."""
    return f"HTTP/1.1 {status}\r\n" + (fields + "\r\n" if fields else "") + "\r\n" + body
