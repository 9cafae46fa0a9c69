# SPDX-License-Identifier: Apache-2.0
"""TLS with clients and with upstreams: certificates right and wrong, names, handshakes that hesitate, rotation."""

import os
import random
import shutil
import signal
import socket
import ssl
import threading
import time

from support import client, http1
from support.check import alone, envelope, equal, fails_with
from support.load import Load
from support.tls import Certificate, client_context, server_context
from support.tls_socket import TlsSocket
from support.upstream import PATIENCE, delayed, echo, ok
from support.weir import wait_until

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def _entry(certificate, **more):
    return {"certificate": certificate.certificate, "key": certificate.key, **more}


def _weir(t, url, tls, settings=None, **policy):
    """weir with one TLS listener; connections to it need `tls=` a context of theirs."""
    weir = t.weir({}, start=False)
    weir.write_policy({"listen": [{"name": "edge", "address": f"127.0.0.1:{weir.port}", "tls": tls}],
                       "upstreams": {"app": {"url": url, "timeout": PATIENCE, **(settings or {})}}, **policy})
    return weir.start()


def _handshakes(weir, result):
    return weir.metrics().sum("weir_tls_handshakes_total", listener="edge", result=result)


def _refused(weir, context, **kwargs):
    """True when no request can be made; TLS 1.3 tells a client of its certificate's refusal after the handshake."""
    try:
        with weir.connect(tls=context, **kwargs) as c:
            c.request()
    except (ssl.SSLError, http1.Closed, OSError):
        return True
    return False


# ---- clients -------------------------------------------------------------------------------------------------------

def a_request_over_tls_reaches_the_upstream_as_https(t):
    ca = t.authority()
    u = t.upstream(ok(b"ok", chunk_sizes=[1]), tls=None)
    weir = _weir(t, u.url, _entry(ca.server()))
    trusting = client_context(ca.ca)
    for only in (V12, V13):
        with weir.connect(tls=client_context(ca.ca, only=only)) as c:
            for _ in range(3):
                equal(c.request(fields={"X-Forwarded-Proto": "http"}).status, 200)
    request = u.requests[-1]
    equal(request.header("X-Forwarded-Proto"), "https")
    equal(request.header("X-Forwarded-Port"), str(weir.port))
    equal(_handshakes(weir, "ok"), 2)
    left = weir.metrics().sum("weir_tls_certificate_expiry_timestamp_seconds", listener="edge") - time.time()
    assert 86400 < left < 3 * 86400, left
    with weir.connect(tls=trusting) as c:     # HTTP/1.0: the end of the body is a close_notify, or this raises
        c.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        r = c.read()
        equal((r.body, r.framing), (b"ok", "close"))
    with weir.connect() as c:                 # no TLS at all
        c.send(client.request_bytes())
        assert b"HTTP" not in c.read_until_close()
    wait_until("the refused handshake is counted", lambda: _handshakes(weir, "failed") == 1)


def the_name_that_a_client_asks_for_picks_the_certificate(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(tls=None).url, [
        _entry(ca.server(["first.example"])), _entry(ca.server(["a.example", "b.example"])),
        _entry(ca.server(["*.wild.example"]), min_version="tls1.3")])

    def names(server_name, **kwargs):
        context = client_context(ca.ca, **kwargs)
        context.check_hostname = False
        with weir.connect(tls=context, server_name=server_name) as c:
            equal(c.request().status, 200)
            return [n for _, n in c.sock.tls.getpeercert()["subjectAltName"]][:-1]
    equal(names("a.example"), ["a.example", "b.example"])
    equal(names("B.example"), ["a.example", "b.example"])
    equal(names("x.wild.example"), ["*.wild.example"])
    for other in ("first.example", "unknown.example", "y.x.wild.example", "wild.example", None):
        equal(names(other), ["first.example"], f"asked for {other}")
    equal(names("a.example", only=V12), ["a.example", "b.example"])
    assert _refused(weir, client_context(only=V12), server_name="x.wild.example"), "TLS 1.2 where 1.3 is wanted"
    equal(names("x.wild.example", only=V13), ["*.wild.example"])


def versions_below_the_wanted_one_are_refused(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(tls=None).url, _entry(ca.server(), min_version="tls1.3"))
    assert _refused(weir, client_context(only=V12))
    assert not _refused(weir, client_context(only=V13))


def clients_show_certificates_as_far_as_the_listener_wants(t):
    ca, other = t.authority(), t.authority(name="another")
    server, good = ca.server(), ca.client("a")
    wrong = {"of another authority": other.client("b"), "expired": ca.client("c", expired=True), "for servers": server}
    u = t.upstream(tls=None)
    for wanted, without in (("none", True), ("optional", True), ("required", False)):
        more = {} if wanted == "none" else {"client_ca": ca.ca, "client_auth": wanted}
        weir = _weir(t, u.url, _entry(server, **more))
        for only in (V12, V13):
            equal(not _refused(weir, client_context(ca.ca, only=only)), without, f"{wanted}: none shown")
            assert not _refused(weir, client_context(ca.ca, good, only=only)), f"{wanted}: a good one"
            for why, bad in wrong.items():
                equal(_refused(weir, client_context(ca.ca, bad, only=only)), wanted != "none", f"{wanted}: {why}")
        weir.terminate()


def a_session_is_not_resumed_past_the_question_for_a_certificate(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(tls=None).url, [
        _entry(ca.server(["open.example"])),
        _entry(ca.server(["closed.example"]), client_ca=ca.ca, client_auth="required")])
    for only in (V12, V13):
        context = client_context(ca.ca, only=only)
        context.check_hostname = False
        with weir.connect(tls=context, server_name="open.example") as c:
            equal(c.request().status, 200)
            session = c.sock.tls.session
        plain = socket.create_connection(("127.0.0.1", weir.port), 5)
        with fails_with((OSError, http1.Closed)):
            resumed = TlsSocket(context, plain, "closed.example", session=session)
            resumed.sendall(client.request_bytes())
            equal(http1.Reader(resumed).line(time.monotonic() + 5, "at the status line"), b"nothing")
        plain.close()


def a_client_that_speaks_only_http2_learns_it_at_once(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(tls=None).url, _entry(ca.server()))
    for offered, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), (None, None)):
        with weir.connect(tls=client_context(ca.ca, alpn=offered)) as c:
            equal(c.sock.tls.selected_alpn_protocol(), chosen)
            equal(c.request().status, 200)
    try:
        weir.connect(tls=client_context(ca.ca, alpn=["h2"]))
        raise AssertionError("accepted")
    except ssl.SSLError as e:
        assert "NO_APPLICATION_PROTOCOL" in str(e).upper().replace(" ", "_"), e


# ---- bytes ---------------------------------------------------------------------------------------------------------

def _client_hello(context):
    """The first bytes of a handshake."""
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def handshakes_and_requests_may_come_byte_by_byte_and_in_tiny_records(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(echo(), tls=None).url, _entry(ca.server()))
    body = random.Random(3).randbytes(700)
    request = client.request_bytes("POST", "/", body=body)
    for only in (V12, V13):
        with client.Connection(weir.port) as c:
            c.sock = TlsSocket(client_context(ca.ca, only=only), c.sock, "localhost", piece=1)
            c.reader = http1.Reader(c.sock)
            for piece in (17, 1):
                c.sock.piece = piece
                c.send(request, pieces=1)           # a record of one byte each
                equal(c.read().body, body)
            c.sock.piece = 97
            c.send(request * 2)                     # two requests in one record, cut anywhere
            equal([c.read().body for _ in range(2)], [body, body])


@alone
def bodies_of_any_size_cross_both_ways_with_backpressure(t):
    ca = t.authority()
    server = ca.server()
    size = (64 if t.thorough else 12) * 1024 * 1024
    rng = random.Random(5)
    body = rng.randbytes(1 << 20) * (size >> 20)
    u = t.upstream(echo(), tls=server_context(server))
    weir = _weir(t, u.url, _entry(server), {"tls": {"ca_file": ca.ca}})
    with weir.connect(tls=client_context(ca.ca), timeout=100) as c:
        for fields in ({}, {"Transfer-Encoding": "chunked"}):
            data = body if not fields else http1.chunked(body, [1, 2, 70000, 16384, 16385])
            c.send(client.request_bytes("POST", "/", fields, None if fields else data) + (data if fields else b""))
            equal(c.read(timeout=100).body == body, True, "the body came back")
    before = weir.memory_bytes()
    with weir.connect(tls=client_context(ca.ca), receive_buffer=8192, timeout=100) as c:
        done = threading.Event()
        threading.Thread(target=lambda: (c.send(client.request_bytes("POST", "/", body=body)), done.set()),
                         daemon=True).start()
        wait_until("the upstream has the body", lambda: u.requests[-1].body, 100)
        time.sleep(0.5)                             # the client does not read
        grown = weir.memory_bytes() - before
        # a sanitizer keeps what was freed
        assert t.build.sanitized or grown < 2 * 1024 * 1024, f"{grown >> 10} KiB held for a client that does not read"
        equal(c.read(timeout=100).body == body, True, "the slow reader has all of it")
        done.wait(10)


def a_response_that_ends_without_close_notify_is_not_complete(t):
    ca = t.authority()
    server = ca.server()

    def until_close(clean):
        def script(x):
            x.read_body()
            x.send(b"HTTP/1.1 200 OK\r\n\r\nall of it?")
            if clean:
                x.sock.say_goodbye()
            x.sock.shutdown(socket.SHUT_WR)
            x.close()
        return script
    for clean in (True, False):
        u = t.upstream(until_close(clean), tls=server_context(server))
        weir = _weir(t, u.url, _entry(server), {"tls": {"ca_file": ca.ca}})
        with weir.connect(tls=client_context(ca.ca)) as c:
            c.send(client.request_bytes())
            if clean:
                equal(c.read().body, b"all of it?")
            else:
                with fails_with(http1.Closed):
                    c.read()
        weir.terminate()


def a_request_that_ends_without_close_notify_or_in_the_middle_is_not_complete(t):
    ca = t.authority()
    u = t.upstream(tls=None)
    weir = _weir(t, u.url, _entry(ca.server()))
    for notify in (True, False):
        c = weir.connect(tls=client_context(ca.ca))
        c.send(b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nfive!")
        wait_until("the upstream sees the head", lambda: u.requests)
        if notify:
            c.half_close()
        c.close()
        wait_until("the upstream sees the end", lambda: u.connections[-1].closed_by_peer)
        equal(u.requests.pop().body, None)


# ---- time ----------------------------------------------------------------------------------------------------------

@alone
def a_handshake_that_stalls_is_closed_at_its_timeout(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(tls=None).url, _entry(ca.server()), limits={"tls_handshake_timeout": "600ms"})
    hello = _client_hello(client_context(ca.ca))
    begin = time.monotonic()
    silent, half, whole = (client.Connection(weir.port) for _ in range(3))
    half.send(hello[:len(hello) // 2])
    whole.send(hello)
    dripping = client.Connection(weir.port)
    for at in range(200):                           # bytes do not prolong it
        try:
            dripping.sock.sendall(hello[at:at + 1])
        except OSError:
            break
        time.sleep(0.02)
        if time.monotonic() - begin > 2 * t.slack:
            raise AssertionError("a dripping handshake goes on")
    ends = time.monotonic() - begin
    assert 0.5 < ends < 0.6 + 0.4 * t.slack, ends
    for c in (silent, half, whole, dripping):
        c.read_until_close(2)
    assert time.monotonic() - begin < 0.6 + 0.6 * t.slack
    wait_until("they are counted", lambda: _handshakes(weir, "timeout") >= 4)
    assert not _refused(weir, client_context(ca.ca))


@alone
def a_flood_of_handshakes_delays_others_little(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(tls=None).url, _entry(ca.server(kind="rsa:3072")), workers=1)   # a dear signature
    context = client_context(ca.ca)
    hello = _client_hello(context)
    flood = [client.Connection(weir.port) for _ in range(200)]
    with weir.connect(tls=context) as c:

        def slowest(seconds):
            worst, end = 0.0, time.monotonic() + seconds
            while time.monotonic() < end:
                begin = time.monotonic()
                equal(c.request().status, 200)
                worst = max(worst, time.monotonic() - begin)
            return worst
        before = slowest(0.5)
        for other in flood:
            other.sock.sendall(hello)
        during = slowest(0.5)
    t.note(f"slowest request {1000 * before:.1f} ms, during 200 handshakes {1000 * during:.1f} ms")
    assert during < before + 0.15 * t.slack, (before, during)
    for other in flood:
        assert other.sock.recv(1) == b"\x16", "a handshake was not answered"
        other.close()


@alone
def idle_connections_are_small(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(tls=None).url, _entry(ca.server()), workers=1)
    count = 2000 if t.thorough else 200
    context = client_context(ca.ca)
    for _ in range(20):                             # whatever the first ones allocate once
        equal(not _refused(weir, context), True)
    before = weir.memory_bytes()
    idle = [weir.connect(tls=context) for _ in range(count)]
    for c in idle:
        equal(c.request().status, 200)
    each = (weir.memory_bytes() - before) / count
    t.note(f"{each / 1024:.1f} KiB each")
    assert each < 19 * 1024 or t.build.sanitized, each
    for c in idle:
        c.close()


def a_drain_finishes_requests_and_ends_idle_connections_cleanly(t):
    ca = t.authority()
    weir = _weir(t, t.upstream(delayed(0.6), tls=None).url, _entry(ca.server()))
    idle, busy = weir.connect(tls=client_context(ca.ca)), weir.connect(tls=client_context(ca.ca))
    shaking = client.Connection(weir.port)
    busy.send(client.request_bytes())
    time.sleep(0.1)
    begin = time.monotonic()
    weir.signal(signal.SIGTERM)
    equal(idle.reader.until_close(time.monotonic() + 5, ""), b"")    # raises without close_notify
    equal(busy.read().body, b"ok")
    equal(busy.reader.until_close(time.monotonic() + 5, ""), b"")
    shaking.read_until_close(5)
    equal(weir.wait(), 0)
    assert time.monotonic() - begin < 2 + t.slack, "a handshake held up the end"


# ---- rotation ------------------------------------------------------------------------------------------------------

def _install(source, target):
    """As a tool that renews certificates does: each file is replaced as a whole."""
    for old, new in ((source.certificate, target.certificate), (source.key, target.key)):
        shutil.copy(old, new + ".new")
        os.replace(new + ".new", new)


def _serial(port, ca):
    with client.Connection(port, tls=client_context(ca.ca)) as c:
        return c.sock.tls.getpeercert()["serialNumber"]


def a_new_certificate_is_served_within_five_seconds_and_no_request_fails(t):
    ca = t.authority()
    pair = Certificate(os.path.join(ca.directory, "live.pem"), os.path.join(ca.directory, "live.key"))
    _install(ca.server(), pair)
    weir = _weir(t, t.upstream(tls=None).url, _entry(pair))
    client.TLS_PORTS[weir.port] = client_context(ca.ca)
    old = weir.connect()
    equal(old.request().status, 200)
    load = Load(weir.port, rate=100, connections=4).start()
    churn = Load(weir.port, rate=20, connections=2,
                 request=lambda i: b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").start()
    for _ in range(5 if t.thorough else 2):
        before = _serial(weir.port, ca)
        _install(ca.server(), pair)
        begin = time.monotonic()
        wait_until("the new certificate is served", lambda: _serial(weir.port, ca) != before, 10)
        seconds = time.monotonic() - begin
        assert seconds < 5 * t.slack, f"took {seconds:.1f} s"
    # a pair that does not fit: the old one goes on
    before, reloads = _serial(weir.port, ca), weir.metrics().sum("weir_config_reloads_total", result="rejected")
    wrong, right = ca.server(), ca.server()
    _install(Certificate(right.certificate, wrong.key), pair)
    wait_until("it is refused",
               lambda: weir.metrics().sum("weir_config_reloads_total", result="rejected") > reloads, 10)
    assert "the key is not that of the certificate" in weir.stderr(), weir.stderr()
    equal(weir.metrics().sum("weir_config_last_reload_successful"), 0)
    equal(_serial(weir.port, ca), before)
    _install(right, pair)
    wait_until("the mended pair is served", lambda: _serial(weir.port, ca) != before, 10)
    for running in (load, churn):
        running.stop()
        equal(running.failed(), [])
    equal(old.request().status, 200)                # a connection of the first certificate
    t.note(f"{len(load.samples) + len(churn.samples)} requests, the last change seen after {seconds:.1f} s")


def a_hangup_reads_the_certificate_again_at_once(t):
    ca = t.authority()
    pair = Certificate(os.path.join(ca.directory, "live.pem"), os.path.join(ca.directory, "live.key"))
    _install(ca.server(), pair)
    weir = _weir(t, t.upstream(tls=None).url, _entry(pair))
    before = _serial(weir.port, ca)
    _install(ca.server(), pair)
    weir.reload()
    assert _serial(weir.port, ca) != before
    weir.reload()
    equal(weir.metrics().sum("weir_config_reloads_total", result="unchanged"), 1)


# ---- upstreams -----------------------------------------------------------------------------------------------------

def _to_upstream(t, server, tls, **kwargs):
    u = t.upstream(tls=server_context(server, **kwargs))
    weir = t.weir({"upstreams": {"app": {"url": u.url, "timeout": PATIENCE, "tls": tls}}}, tls=None)
    return u, weir


def an_upstream_is_verified_by_chain_and_name(t):
    ca, other = t.authority(), t.authority(name="another")
    for server, tls, problem in (
            (ca.server(), {"ca_file": ca.ca}, None),
            (ca.server(), {"ca_file": ca.ca, "min_version": "tls1.3"}, None),
            (ca.server(["api.internal"], []), {"ca_file": ca.ca, "server_name": "api.internal"}, None),
            (ca.server(["localhost"], ["127.0.0.2"]), {"ca_file": ca.ca}, "IP address mismatch"),
            (ca.server(), {"ca_file": ca.ca, "server_name": "api.internal"}, "hostname mismatch"),
            (ca.server(expired=True), {"ca_file": ca.ca}, "certificate has expired"),
            (other.server(), {"ca_file": ca.ca}, "unable to get local issuer certificate"),
            (other.server(), {}, "unable to get local issuer certificate"),
            (other.server(), {"verify": False}, None)):
        u, weir = _to_upstream(t, server, tls)
        r = weir.get()
        if problem is None:
            equal((r.status, r.body), (200, b"ok"), str(tls))
        else:
            envelope(r, 502, close=False)
            assert problem in weir.stderr(), f"{problem}: {weir.stderr()}"
            equal(u.requests, [])
        weir.terminate()


def an_upstream_of_an_old_version_is_refused(t):
    ca = t.authority()
    _, weir = _to_upstream(t, ca.server(), {"ca_file": ca.ca, "min_version": "tls1.3"}, only=V12)
    envelope(weir.get(), 502)


def weir_shows_its_certificate_to_an_upstream_that_asks(t):
    ca = t.authority()
    mine = ca.client("weir")
    for tls, status in (({"certificate": mine.certificate, "key": mine.key}, 200), ({}, 502)):
        u, weir = _to_upstream(t, ca.server(), {"ca_file": ca.ca, **tls}, client_ca=ca.ca, only=V12)
        equal(weir.get().status, status)
        equal(len(u.requests), status == 200)


def upstream_connections_are_kept_over_tls_and_tickets_do_not_end_them(t):
    ca = t.authority()
    for only in (V12, V13):
        u, weir = _to_upstream(t, ca.server(), {"ca_file": ca.ca}, only=only)
        for i in range(6):
            equal(weir.fetch("POST" if i % 2 else "GET", body=b"x" if i % 2 else None).status, 200)
            time.sleep(0.05)
        equal(len(u.connections), weir.metrics().sum("weir_upstream_pool_connections", state="idle"))
        assert len(u.connections) <= 2, len(u.connections)      # one for each worker
        weir.terminate()


@alone
def an_upstream_that_never_finishes_its_handshake_is_given_up(t):
    ca = t.authority()
    silent = socket.create_server(("127.0.0.1", 0))     # accepts and says nothing
    url = f"https://127.0.0.1:{silent.getsockname()[1]}"
    weir = t.weir({"upstreams": {"app": {"url": url, "tls": {"ca_file": ca.ca}, "timeout": {"connect": "400ms"},
                                         "retry": {"attempts": 0}}}}, tls=None)
    begin = time.monotonic()
    envelope(weir.get(), 504)
    assert 0.39 < time.monotonic() - begin < 0.4 + 0.4 * t.slack
    silent.close()


def active_checks_speak_tls_and_verify_as_requests_do(t):
    ca, other = t.authority(), t.authority(name="another")
    for authority, up in ((ca, 1), (other, 0)):
        u = t.upstream(tls=server_context(ca.server()))
        weir = t.weir({"workers": 1, "upstreams": {"app": {
            "url": u.url, "tls": {"ca_file": authority.ca}, "health_check": {"path": "/up", "interval": "100ms"}}}},
            tls=None)
        endpoint = u.url.removeprefix("https://")
        if up:
            wait_until("it is asked again", lambda: len(u.requests) >= 3)
            equal({r.target for r in u.requests}, {"/up"})
        else:
            wait_until("it is out", lambda: weir.metrics().sum("weir_upstream_endpoint_up", endpoint=endpoint) == 0)
            equal(u.requests, [])
        equal(weir.metrics().sum("weir_upstream_endpoint_up", endpoint=endpoint), up)
        weir.terminate()
