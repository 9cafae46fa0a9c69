# SPDX-License-Identifier: Apache-2.0
"""Ordinary HTTP clients through weir."""

import http.client
import json
import os
import random
import subprocess

from support import upstream
from support.check import equal

RULES = [{"name": "few", "match": {"path": "/few"}, "key": ["client_ip"], "limit": "1/day"}]


def _weir(t, script=None):
    u = t.upstream(script or upstream.echo([1000]))
    return t.weir({"upstreams": {"app": {"url": u.url}}, "rules": RULES}), u


def curl_is_served(t):
    curl = t.need("curl")
    weir, u = _weir(t)
    folder = t.folder("curl")
    body = os.path.join(folder, "body")
    with open(body, "wb") as f:
        f.write(random.Random(8).randbytes(3_000_000))
    base = f"http://127.0.0.1:{weir.port}"

    def run(*args):
        done = subprocess.run([curl, "-sS", "--max-time", "30", *args], capture_output=True, timeout=60)
        equal(done.returncode, 0, done.stderr.decode())
        return done.stdout
    equal(run(f"{base}/few", "-o", "/dev/null", "-w", "%{http_code}"), b"200")
    equal(run(f"{base}/few", "-o", "/dev/null", "-w", "%{http_code}"), b"429")
    assert b"Retry-After: " in run("-i", f"{base}/few")
    with open(body, "rb") as f:
        content = f.read()
    for extra in ((), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue"), ("-H", "Expect:")):
        assert run("-X", "PUT", "-T", body, *extra, f"{base}/up") == content, f"bytes differ with {extra}"
    equal(run("--http1.0", f"{base}/old"), b"")
    equal(run("-I", f"{base}/head").split(b"\r\n")[0], b"HTTP/1.1 200 Because")
    # 10 requests of one curl use one connection
    run(*(f"{base}/{i}" for i in range(10)))
    equal([r.target for r in u.requests[-10:]], [f"/{i}" for i in range(10)])


def python_http_client_is_served(t):
    weir, _ = _weir(t)
    c = http.client.HTTPConnection("127.0.0.1", weir.port, timeout=20)
    for body in (b"", b"abc", random.Random(9).randbytes(500_000)):
        c.request("POST", "/x?y=1", body=body, headers={"X-A": "1"})
        r = c.getresponse()
        equal((r.status, r.read() == body), (200, True))
    c.request("POST", "/chunks", body=iter([b"one", b"two"]), encode_chunked=True,
              headers={"Transfer-Encoding": "chunked"})
    equal(c.getresponse().read(), b"onetwo")
    for status in (200, 429):
        c.request("GET", "/few")
        r = c.getresponse()
        r.read()
        equal(r.status, status)
    assert r.getheader("RateLimit").startswith('"few";r=0;t='), r.getheaders()
    c.close()


NODE = """
const base = process.argv[2];
const body = 'z'.repeat(200000);
const out = [];
for (let i = 0; i < 3; i++) {
  const r = await fetch(base + '/p' + i, {method: 'POST', body});
  out.push([r.status, (await r.text()) === body]);
}
const many = await Promise.all([...Array(20).keys()].map(async i =>
  (await (await fetch(base + '/m', {method: 'PUT', body: 'n' + i})).text()) === 'n' + i));
out.push(many.every(x => x));
await (await fetch(base + '/few')).text();
const denied = await fetch(base + '/few');
out.push([denied.status, denied.headers.get('retry-after') > 0, (await denied.json()).error.type]);
console.log(JSON.stringify(out));
"""


def node_fetch_is_served(t):
    node = t.need("node")
    weir, _ = _weir(t)
    path = os.path.join(t.folder("node"), "client.mjs")
    with open(path, "w", encoding="utf-8") as f:
        f.write(NODE)
    done = subprocess.run([node, path, f"http://127.0.0.1:{weir.port}"], capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, done.stderr)
    equal(json.loads(done.stdout), [[200, True]] * 3 + [True, [429, True, "rate_limited"]])
