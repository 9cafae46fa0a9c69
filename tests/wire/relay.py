# SPDX-License-Identifier: Apache-2.0
"""Random bodies both ways: every byte arrives, however the sender cuts and codes it."""

import random

from bench import deliver
from case import raw
from support import http1

LARGEST = 200 * 1024


def random_body(rng):
    return rng.randbytes(rng.choice((0, 1, rng.randrange(100), rng.randrange(10_000), rng.randrange(LARGEST + 1))))


def coded(rng, body):
    """(framing line, bytes) of a body."""
    if rng.random() < 0.5:
        return f"Content-Length: {len(body)}", body
    sizes = []
    while sum(sizes) < len(body) and len(sizes) < 200:
        sizes.append(1 + rng.randrange(rng.choice((3, 1000, 70_000))))
    return "Transfer-Encoding: chunked", http1.chunked(body, sizes)


def relay(bench, seed, count):
    """(passed, failed): counts as one test."""
    rng = random.Random(seed)
    conn = None
    try:
        conn = bench.connect()
        for i in range(count):
            up, down = random_body(rng), random_body(rng)
            (up_line, up_bytes), (down_line, down_bytes) = coded(rng, up), coded(rng, down)
            cut = rng.randrange(1 << 30)

            def script(x, line=down_line, data=down_bytes, cut=cut):
                x.read_body()
                deliver(x.sock, raw(f"HTTP/1.1 200 OK\r\n{line}\r\n\r\n") + data, cut)
            bench.mark = len(bench.recorder.requests)
            bench.script(script)
            deliver(conn.sock, raw(f"PUT /{i} HTTP/1.1\r\nHost: a.example\r\n{up_line}\r\n\r\n") + up_bytes, cut + 1)
            r = conn.read()
            if (r.status, r.body == down, bench.reached()[0].body == up) != (200, True, True):
                raise AssertionError(f"body {i} of seed {seed}: {up_line} up, {down_line} down: {r}")
            bench.sing()
    except Exception as e:  # noqa: BLE001 - whatever it throws is its failure
        print(f"FAILED  1.35 random bodies: {e!r}"[:2000], flush=True)
        return 0, 1
    finally:
        bench.script(None)
        if conn:
            conn.close()
    print(f"{count} random bodies both ways, byte for byte")
    return 1, 0
