# SPDX-License-Identifier: Apache-2.0
"""Judges what came out of a case. Strict about weir, whose own fields are known; of another proxy only what the rules
say of the message is asked, not the fields it adds."""

import re

from case import CLOSED, FRAMING, KINDS, split
from support.check import envelope

OWN = {"via", "connection", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
       "x-request-id",
       "date", "server", "keep-alive"}
MADE_ID = re.compile(r"[0-9a-f]{32}\Z")
HTTP_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\Z")


class Wrong(AssertionError):
    """What happened is not what the rule says."""


def must(condition, text):
    if not condition:
        raise Wrong(text)


def same(what, got, expected):
    must(got == expected, f"{what}: expected {expected!r}, got {got!r}")


# ---- requests --------------------------------------------------------------------------------------------------------

def judge_request(case, answers, reached, whole, bench):
    if case.status is None:
        return same("what reached the upstream", reached, [])
    expected = [200 if r else 429 for r in case.reached]
    if len(expected) < case.answers:
        expected.append(case.status)
    same("statuses", [a.status for a in answers], expected)
    wanted = [r for r in case.reached if r]
    if case.never_complete:
        must(all(r.body is None for r in reached), f"the upstream saw a whole message: {reached}")
    else:
        same("messages at the upstream", [r.target for r in reached], [w.line.split(" ")[1] for w in wanted])
        for got, want in zip(reached, wanted):
            (same_head if bench.strict else like_head)(case, got, want, bench)
            same("body at the upstream", got.body, want.body)
            same("trailers at the upstream", list(got.trailers or []), [])
    for answer, want in zip(answers, case.reached):
        if want and answer.framing != "none":
            same("whose answer came", answer.body, want.line.split(" ")[1].encode("latin-1"))
    judge_last_answer(case, answers[-1], bench.strict)
    if bench.strict:
        same("request ids of answers and upstream", [a.header("X-Request-ID") for a,
                                                     r in zip(answers, case.reached) if r],
             [r.header("X-Request-ID") for r in reached if r.body is not None])
        if whole:
            same("interim responses", [a.interim for a in answers], [[] for _ in answers])


def judge_last_answer(case, answer, strict):
    if not strict:
        return
    for name, value in case.answer_fields:
        same(f"{name} of the answer", answer.header(name), value)
    same("Connection: close", answer.closes, case.fate == CLOSED)
    kind = case.kind or (KINDS[case.status] if case.status >= 400 else None)
    if kind and answer.framing == "length":
        envelope(answer, case.status, kind)


def same_head(case, got, want, bench):
    """Byte for byte: Host first, what was kept, then weir's own fields."""
    host = want.host or f"127.0.0.1:{bench.recorder.port}"
    request_id = got.header("X-Request-ID")
    if want.request_id:
        same("the request id that was kept", request_id, want.request_id)
    else:
        must(MADE_ID.match(request_id), f"the request id weir makes: {request_id!r}")
    lines = [want.line, f"Host: {host}", *want.kept, want.framing, "X-Forwarded-For: 127.0.0.1",
             "X-Forwarded-Proto: http",
             f"X-Forwarded-Host: {host}" if want.host else None, f"X-Forwarded-Port: {bench.port}",
             f"X-Request-ID: {request_id}",
             f"Via: {want.via}"]
    same("head at the upstream", got.raw.decode("latin-1"),
         "\r\n".join(line for line in lines if line is not None) + "\r\n\r\n")


def like_head(case, got, want, bench):
    method, target, _ = want.line.split(" ")
    same("method and target at the upstream", (got.method, got.target), (method, target))
    if want.host:
        same("Host at the upstream", got.header("Host"), want.host)
    kept = pairs(want.kept)
    same("fields at the upstream", [f for f in pairs_of(got.fields) if f[0] in {n for n, _ in kept}], kept)
    sent = {n.lower() for n, _ in split(case.sent)[1]} if case.answers == 1 else set()
    gone = sent - {n for n, _ in kept} - FRAMING - OWN - {"host"}
    must(not gone & {n for n, _ in pairs_of(got.fields)}, f"fields that must not reach the upstream: {got.fields}")


def pairs(lines):
    return [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)
            if name.lower() not in OWN]


def pairs_of(fields):
    return [(name.lower(), value) for name, value in fields if name.lower() not in OWN]


# ---- responses -------------------------------------------------------------------------------------------------------

def judge_response(case, answer, broken, bench):
    if case.aborted:
        must(broken, f"a response that broke off looks whole: {answer}")
        if case.version == "1.0" and case.framing is None and b"Content-Length" not in case.sent:
            must(broken.reset, "HTTP/1.0 takes a FIN for the end of the body")
        must(case.body.startswith(broken.partial) or not broken.partial.strip(b"0123456789abcdef\r\n"),
             f"more arrived than was good: {broken.partial[:300]!r}")
        return
    must(answer, f"no response: {broken}")
    same("status", answer.status, case.status)
    same("interim responses", [status for status, _ in answer.interim], list(case.interim))
    if case.status == 502 and case.kept is None:
        if bench.strict:
            envelope(answer, 502, "bad_gateway", close=case.fate == CLOSED)
        return
    same("body", answer.body, case.body)
    if bench.strict:
        same_fields(case, answer)
    else:
        same("fields", [f for f in pairs_of(answer.fields) if f[0] in {n for n, _ in pairs(case.kept)}],
             pairs(case.kept))
        sent = {n.lower() for n, _ in split(case.sent)[1]} - {n for n, _ in pairs(case.kept)} - FRAMING - OWN
        must(not sent & {n for n, _ in pairs_of(answer.fields)},
             f"fields that must not reach the client: {answer.fields}")


def same_fields(case, answer):
    """The head a client gets, line by line."""
    date, request_id = answer.header("Date"), answer.header("X-Request-ID")
    must(MADE_ID.match(request_id), f"X-Request-ID: {request_id!r}")
    lines = list(case.kept)
    if case.framing:
        lines.append(case.framing)
    if not any(line.startswith("Date:") for line in lines):
        must(HTTP_DATE.match(date), f"Date: {date!r}")
        lines.append(f"Date: {date}")
    lines += [f"X-Request-ID: {request_id}"]
    lines += ["Via: 1.0 weir" if case.sent.startswith(b"HTTP/1.0") else "Via: 1.1 weir"]
    if case.fate == CLOSED:
        lines.append("Connection: close")
    same("fields", [f"{name}: {value}" for name, value in answer.fields], list(canonical(lines)))


def canonical(lines):
    for line in lines:
        name, _, value = line.partition(":")
        yield f"{name}: {value.strip(' ' + chr(9))}"
