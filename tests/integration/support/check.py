# SPDX-License-Identifier: Apache-2.0
"""Assertions used by several themes."""

import contextlib
import re

# what no answer of weir's own may contain: where it runs, what it is made of, what went wrong inside
INTERNALS = re.compile(rb"127\.0\.0\.1|localhost|\b\d{4,5}\b|refused|errno|boost|asio|hiredis|redis|lua|exception|"
                       rb"std::|stack|\.cpp|connect:", re.I)

TYPES = {400: "bad_request", 404: "no_route", 408: "request_timeout", 413: "body_too_large", 414: "uri_too_long",
         417: "expectation_failed", 429: "rate_limited", 431: "headers_too_large", 500: "internal",
         501: "not_implemented", 502: "bad_gateway", 504: "upstream_timeout", 505: "version_not_supported",
         405: "method_not_allowed"}


def equal(got, expected, what=""):
    assert got == expected, f"{what or 'value'}: expected {expected!r}, got {got!r}"


def envelope(response, status, kind=None, close=None):
    """The JSON error envelope: shape, headers, no internals. Returns its details."""
    equal(response.status, status, f"status of {response!r}")
    equal(response.header("Content-Type"), "application/json", "Content-Type")
    equal(response.header("Cache-Control"), "no-store", "Cache-Control")
    assert response.framing == "length", f"an error answer carries Content-Length: {response!r}"
    document = response.json()
    equal(set(document), {"error"}, "members of the envelope")
    error = document["error"]
    equal(set(error), {"message", "type", "details"}, "members of error")
    equal(error["type"], kind or TYPES[status], "error.type")
    assert error["message"] and isinstance(error["message"], str), error
    equal(error["details"]["request_id"], response.header("X-Request-ID"), "request_id in body and header")
    found = INTERNALS.search(response.body.replace(error["details"]["request_id"].encode(), b""))
    if status != 429:   # its details carry numbers
        assert not found, f"internals in the answer: {found[0]!r} in {response.body!r}"
    if close is not None:
        equal(response.closes, close, "Connection: close")
    return error["details"]


def alone(test):
    """Marks a test that measures what a busy machine spoils: `run.py --jobs` runs it by itself."""
    test.alone = True
    return test


@contextlib.contextmanager
def fails_with(kind):
    try:
        yield
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}")
