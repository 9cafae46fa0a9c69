# SPDX-License-Identifier: Apache-2.0
"""Files that change while weir runs: noticed, taken over or refused, without a request that notices."""

import base64
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

from support import client
from support.check import alone, equal, fails_with
from support.load import Load
from support.ports import free_port
from support.stalls import Stalls
from support.tls import client_context
from support.weir import listening, wait_until
from tokens_test import token

EFFECTIVE = 2.0     # seconds from the change of a file to the request that it decides


def _run(t, *args):
    return subprocess.run([t.build.path, *args], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def _rule(limit, **more):
    return {"name": "per-ip", "key": ["client_ip"], "limit": limit, "algorithm": "fixed_window", **more}


def _policy(u, limit=1000, **more):
    return {"upstreams": {"app": {"url": u.url}}, "rules": [_rule(f"{limit}/30d")], **more}


def _quota(weir, name="per-ip"):
    """(q, r) of a rule, as one more request is told."""
    response = weir.get()
    def number(field, key):
        return int(re.search(rf'"{name}";(?:\w+=\d+;)*{key}=(\d+)', response.header(field) or "")[1])
    return number("RateLimit-Policy", "q"), number("RateLimit", "r")


def _counts(weir):
    m = weir.metrics()
    return {r: m.sum("weir_config_reloads_total", result=r) for r in ("ok", "rejected", "unchanged")}


def _effective_within(t, weir, limit, begin):
    wait_until(f"the limit is {limit}", lambda: _quota(weir)[0] == limit, 20)
    seconds = time.monotonic() - begin
    assert seconds <= EFFECTIVE * t.slack, f"effective after {seconds:.2f} s"
    return seconds


class Volume:
    """What a mounted ConfigMap looks like: weir.yaml -> ..data/weir.yaml, ..data -> a folder that is swapped."""

    def __init__(self, t, weir):
        self.folder, self.number = t.folder("volume"), 0
        self.weir = weir
        self.files = {}
        weir.policy_path = os.path.join(self.folder, "weir.yaml")

    def swap(self, **files):
        """`files` by name, `_` for the dot: text, or the path of a file to link; others stay as they are."""
        self.number += 1
        self.files |= files
        now = f"..v{self.number}"
        os.mkdir(os.path.join(self.folder, now))
        for name, content in self.files.items():
            path = os.path.join(self.folder, now, name.replace("_", "."))
            if isinstance(content, tuple):
                os.link(content[0], path)
                continue
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)
        for name in files:
            link = os.path.join(self.folder, name.replace("_", "."))
            if not os.path.islink(link):
                os.symlink("..data/" + name.replace("_", "."), link)
        os.symlink(now, os.path.join(self.folder, "..data_tmp"))
        begin = time.monotonic()
        os.rename(os.path.join(self.folder, "..data_tmp"), os.path.join(self.folder, "..data"))
        if self.number > 1:
            shutil.rmtree(os.path.join(self.folder, f"..v{self.number - 1}"))
        return begin

    def text(self, policy):
        self.weir.write_policy(policy)      # fills in the ports
        os.remove(self.weir.policy_path)
        return self.weir.policy


def _on_volume(t, policy, **files):
    """A weir that runs from a volume, not started yet, and the volume."""
    weir = t.weir(policy, start=False)
    text = weir.policy
    volume = Volume(t, weir)
    volume.swap(weir_yaml=text, **files)
    return weir, volume


def _with_limit(weir, limit):
    document = json.loads(weir.policy)
    document["rules"][0]["limit"] = f"{limit}/30d"
    return json.dumps(document)


# ---- noticed -------------------------------------------------------------------------------------------------------

@alone
def a_swapped_volume_takes_effect_within_two_seconds_and_no_request_fails(t):
    weir, volume = _on_volume(t, _policy(t.upstream(), 1_000_000))
    weir.start()
    load = t.bystanders(weir, rate=200, connections=8)
    rounds = 20 if t.build.sanitized and not t.thorough else 100
    slowest = 0.0
    for i in range(1, rounds + 1):
        begin = volume.swap(weir_yaml=_with_limit(weir, 1_000_000 + i))
        slowest = max(slowest, _effective_within(t, weir, 1_000_000 + i, begin))
    figures = load.end()
    figures.assert_served()
    equal(_counts(weir), {"ok": rounds, "rejected": 0, "unchanged": 0})
    used = weir.metrics().sum("weir_decisions_total", rule="per-ip", decision="allow")
    equal(_quota(weir)[1], 1_000_000 + rounds - used - 1, "what is left after all reloads")
    t.note(f"{rounds} swaps, {figures.total} requests, the slowest effective after {slowest:.2f} s")


def every_way_to_write_a_file_is_noticed(t):
    u = t.upstream()
    weir = t.weir(_policy(u, 100))

    def text(limit):
        return _with_limit(weir, limit)

    def replaced(limit):
        with open(weir.policy_path + "~", "w", encoding="utf-8") as f:
            f.write(text(limit))
        os.replace(weir.policy_path + "~", weir.policy_path)

    def in_place(limit):
        with open(weir.policy_path, "w", encoding="utf-8") as f:
            f.write(text(limit))

    def removed_and_written(limit):
        os.remove(weir.policy_path)
        in_place(limit)

    def moved_away_and_written(limit):
        os.rename(weir.policy_path, weir.policy_path + ".bak")
        in_place(limit)

    def in_place_with_the_old_time(limit):
        before = os.stat(weir.policy_path)
        in_place(limit)
        os.utime(weir.policy_path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def by_a_link(limit):
        path = weir.policy_path + f".{limit}"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text(limit))
        os.symlink(path, weir.policy_path + ".link")
        os.replace(weir.policy_path + ".link", weir.policy_path)

    def behind_the_link(limit):
        in_place(limit)     # writes through it

    for i, write in enumerate((replaced, in_place, removed_and_written, moved_away_and_written,
                               in_place_with_the_old_time, by_a_link, behind_the_link)):
        begin = time.monotonic()
        write(101 + i)
        _effective_within(t, weir, 101 + i, begin)
    equal(_counts(weir)["ok"], 7)


def a_half_written_file_is_refused_and_the_whole_one_taken(t):
    weir = t.weir(_policy(t.upstream(), 100))
    whole = _with_limit(weir, 200)
    with open(weir.policy_path, "w", encoding="utf-8") as f:
        f.write(whole[:len(whole) // 2])
        f.flush()
        wait_until("the half is refused", lambda: _counts(weir)["rejected"] == 1, 10)
        equal(_quota(weir)[0], 100)
        equal(weir.metrics().sum("weir_config_last_reload_successful"), 0)
        verbose = weir.admin("/readyz?verbose")
        equal(verbose.status, 200)
        assert b"last reload refused" in verbose.body, verbose.body
        begin = time.monotonic()
        f.write(whole[len(whole) // 2:])
    _effective_within(t, weir, 200, begin)
    equal(weir.metrics().sum("weir_config_last_reload_successful"), 1)
    equal(_counts(weir), {"ok": 1, "rejected": 1, "unchanged": 0})


def a_file_that_a_refused_policy_waits_for_is_noticed(t):
    u = t.upstream()
    weir = t.weir(_policy(u, 100))
    with_list = {**_policy(u, 200), "block": [{"file": "blocked.txt", "by": "client_ip", "reason": "abuse"}]}
    weir.write_policy(with_list)
    wait_until("it is refused without the list", lambda: _counts(weir)["rejected"] == 1, 10)
    begin = time.monotonic()
    with open(os.path.join(weir.directory, "blocked.txt"), "w", encoding="utf-8") as f:
        f.write("192.0.2.0/24\n")
    _effective_within(t, weir, 200, begin)


def a_touched_file_is_unchanged_and_a_changed_note_is_a_reload_that_keeps_every_rule(t):
    weir = t.weir(_policy(t.upstream(), 100))
    before = weir.metrics()
    os.utime(weir.policy_path)
    wait_until("it was read", lambda: _counts(weir)["unchanged"] == 1, 10)
    document = json.loads(weir.policy)
    weir.write_policy(json.dumps({**document, "x-note": "reviewed"}))
    wait_until("it was taken over", lambda: _counts(weir)["ok"] == 1, 10)
    line = [text for text in weir.stderr().splitlines() if " reloaded " in text][-1]
    for wanted in ('why="a file changed"', "rules_kept=per-ip", 'rules_changed=""', 'rules_reset=""',
                   "files=" + weir.policy_path, " -> "):
        assert wanted in line, f"{wanted!r} is not in {line}"
    hashes = [dict(labels)["hash"] for m in (before, weir.metrics()) for (name, labels) in m
              if name == "weir_config_info"]
    assert len(set(hashes)) == 2 and f'"{hashes[0]} -> {hashes[1]}"' in line, (hashes, line)


def other_files_beside_the_policy_cost_nothing(t):
    weir = t.weir(_policy(t.upstream(), 100, access_log={"to": "access.log"}))
    equal(weir.get().status, 200)
    for i in range(20):
        with open(os.path.join(weir.directory, f"other-{i}"), "w", encoding="utf-8") as f:
            f.write("x")
    time.sleep(0.6)
    equal(_counts(weir), {"ok": 0, "rejected": 0, "unchanged": 0})


# ---- everything it reads -------------------------------------------------------------------------------------------

def _tiers(t, name, rows, tier_of_alice):
    path = os.path.join(t.directory, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"alice,{tier_of_alice}\n")
        f.writelines(f"customer-{i:07d},{'gold' if i % 3 else 'silver'}\n" for i in range(rows - 1))
    return path


def _jwks(secret):
    key = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    return json.dumps({"keys": [{"kty": "oct", "k": key, "alg": "HS256"}]})


def _serial(port, ca):
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        with client_context(ca.ca).wrap_socket(sock, server_hostname="localhost") as tls:
            return tls.getpeercert()["serialNumber"]


def _thread(weir, name):
    """The folder of the kernel about it."""
    for folder in glob.glob(f"/proc/{weir.process.pid}/task/*"):
        with open(f"{folder}/comm", encoding="ascii") as f:
            if f.read().strip() == name:
                return folder
    raise AssertionError(f"no thread {name}")


def _without_processor(folder):
    """Seconds that a thread had work to do while others had the processor."""
    with open(f"{folder}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[1]) / 1e9


@alone
def all_files_swapped_at_once_stall_no_loop_and_refill_no_bucket(t):
    """A tiers file of a million rows, keys, certificate and policy change in one swap, with requests under way."""
    rows = 100_000 if t.build.sanitized else 1_000_000
    rounds = 40 if t.thorough else 4
    ca, u = t.authority(), t.upstream()
    pairs, secrets = [ca.server(), ca.server()], [b"a" * 48, b"b" * 48]
    tiers = [_tiers(t, f"tiers-{tier}.csv", rows, tier) for tier in ("gold", "silver")]
    secure = free_port()

    def rules(i):
        return [{"name": "window", "key": ["client_ip"], "limit": f"{1_000_000 + i}/30d", "algorithm": "fixed_window"},
                {"name": "bucket", "key": ["constant:all"], "limit": f"{100_000 + 1000 * i}/30d"},
                {"name": "log", "key": ["route"], "limit": f"{9000 + i}/30d", "algorithm": "sliding_window_log"},
                {"name": "by-claim", "key": ["claim:sub"], "missing": "skip", "limit": "100000/30d"},
                {"name": "gold-only", "match": {"tier": "gold"}, "key": ["user"], "missing": "skip",
                 "limit": "100000/30d"}]

    def files(i):
        return {"tiers_csv": (tiers[i % 2],), "jwks_json": _jwks(secrets[i % 2]),
                "tls_crt": open(pairs[i % 2].certificate, encoding="ascii").read(),
                "tls_key": open(pairs[i % 2].key, encoding="ascii").read()}
    # how long a turn takes is asked of the build that users run: a sanitizer's turns say nothing about it
    weir = t.weir({"version": 1}, start=False, build=t.release)
    plain = f"127.0.0.1:{weir.port}"
    policy = {"upstreams": {"app": {"url": u.url}}, "workers": 2,
              "access_log": {"to": "none"},     # its ring takes memory as it is first used
              "listen": [{"name": "plain", "address": plain},
                         {"name": "secure", "address": f"127.0.0.1:{secure}",
                          "tls": {"certificate": "tls.crt", "key": "tls.key"}}],
              "identity": {"jwt": {"jwks_file": "jwks.json", "algorithms": ["HS256"]},
                           "user": [{"claim": "sub"}, {"header": "X-User"}],
                           "tier": [{"file": "tiers.csv", "by": "user"}, {"constant": "free"}]}, "rules": rules(0)}
    weir.write_policy(policy)
    volume = Volume(t, weir)
    volume.swap(weir_yaml=weir.policy, **files(0))
    weir.start(timeout=60)
    document = json.loads(weir.policy)

    def visible(i):
        """Of this configuration: the certificate, the key of tokens, the tier of alice, the limit of the rule."""
        payload = {"sub": "bob", "exp": time.time() + 600}
        charged = weir.get("/", {"Authorization": "Bearer " + token(payload, secret=secrets[i % 2])})
        alice = weir.get("/", {"X-User": "alice"})
        return ('"by-claim"' in (charged.header("RateLimit-Policy") or ""),
                ('"gold-only"' in (alice.header("RateLimit-Policy") or "")) == (i % 2 == 0),
                f'"window";q={1_000_000 + i};' in (alice.header("RateLimit-Policy") or ""),
                _serial(secure, ca) == serials[i % 2])
    serials = {0: _serial(secure, ca)}
    serials[1] = None
    stalls = t.keep(Stalls(weir))
    load = t.bystanders(weir, rate=100, connections=4)
    took, memory, reader = [], [], _thread(weir, "weir-reload")
    for i in range(1, rounds + 1):
        text = json.dumps({**document, "rules": rules(i)})
        taken_away = _without_processor(reader)
        begin = volume.swap(weir_yaml=text, **files(i))
        if serials[1] is None:
            wait_until("the certificate is another", lambda: _serial(secure, ca) != serials[0], 60)
            serials[1] = _serial(secure, ca)
        wait_until(f"everything of swap {i} decides", lambda: all(visible(i)), 60)
        took.append(time.monotonic() - begin - (_without_processor(reader) - taken_away))
        time.sleep(1.2 if i in (2, rounds) else 0)      # the old tables are freed a second later
        memory.append(weir.memory_bytes())
    stalled = stalls.longest()
    figures = load.end()
    figures.assert_served()
    equal(_counts(weir), {"ok": rounds, "rejected": 0, "unchanged": 0})
    m = weir.metrics()
    left = {name: _quota(weir, name)[1] for name in ("window", "log")}
    used = {name: weir.metrics().sum("weir_decisions_total", rule=name, decision="allow") for name in ("window", "log")}
    equal(left["window"], 1_000_000 + rounds - (used["window"] - 1), "left of the window")
    equal(left["log"], 9000 + rounds - used["log"], "left of the log")
    assert m.sum("weir_config_last_reload_successful") == 1
    capacity = 100_000 + 1000 * rounds
    bucket_left, bucket_used = _quota(weir, "bucket")[1], weir.metrics().sum("weir_decisions_total", rule="bucket", decision="allow")
    # a larger bucket that takes as long until it is full: what was used grows with it, and 30 days give 3 units a minute
    assert capacity - bucket_left >= bucket_used - 20, (capacity, bucket_left, bucket_used)
    assert stalled <= 0.005 * t.slack, f"a loop ran {stalled * 1e3:.1f} ms at a stretch"
    assert max(took) <= EFFECTIVE * t.slack, f"effective after {max(took):.2f} s"
    if not t.build.sanitized and rounds > 2:
        wait_until("the memory of old tables is given back",
                   lambda: weir.memory_bytes() <= min(memory[:4]) * 1.05, 15)
    t.note(f"{rounds} swaps with {rows} rows, {figures.total} requests; effective after {max(took):.2f} s, longest turn "
           f"{stalled * 1e3:.2f} ms, {min(memory[:4]) >> 20} -> {weir.memory_bytes() >> 20} MiB; {figures}")


# ---- asked for -----------------------------------------------------------------------------------------------------

def weir_reload_tells_what_came_of_it(t):
    u = t.upstream()
    weir = t.weir(_policy(u, 100))
    admin = ("--admin", f"http://127.0.0.1:{weir.admin_port}")
    same = _run(t, "reload", *admin)
    equal((same.returncode, same.stdout.split(":")[0]), (0, "unchanged"))
    weir.write_policy(_policy(u, 300))
    done = _run(t, "reload", *admin)
    equal(done.returncode, 0)
    assert re.fullmatch(r"(reloaded: \w{12} -> |unchanged: )\w{12}\n", done.stdout), done.stdout
    equal(_quota(weir)[0], 300)
    weir.write_policy("version: 1\nupstreams:\n  app: {url: \"http://127.0.0.1:1\"}\nrulez: []\n")
    refused = _run(t, "reload", *admin)
    equal(refused.returncode, 78)
    for wanted in ("E0312", "weir.yaml:4:1", "did you mean `rules`?", "the running configuration stays"):
        assert wanted in refused.stderr, refused.stderr
    weir.write_policy(_policy(u, 300, workers=7))
    restart = _run(t, "reload", *admin)
    equal(restart.returncode, 78)
    assert "E0406" in restart.stderr and "workers" in restart.stderr, restart.stderr
    equal(_quota(weir)[0], 300)
    assert re.search(r"audit action=reload peer=127\.0\.0\.1:\d+ result=rejected before=\w+ after=\w+", weir.stderr())
    equal(_run(t, "reload", "--admin", "nonsense:").returncode, 64)
    stranger = _run(t, "reload", "--admin", u.url)      # answers, but is no admin port
    equal(stranger.returncode, 1)
    equal(weir.terminate(), 0)
    equal(_run(t, "reload", *admin).returncode, 69)


def the_admin_port_reloads_for_nobody_but_its_own(t):
    weir = t.weir(_policy(t.upstream(), 100))

    def post(fields, body=b"", host="localhost"):
        return client.fetch(weir.admin_port, "POST", "/api/reload", fields, body, host=host)
    good = {"Content-Type": "application/json"}
    equal(post(good).status, 200)
    equal(post({}).status, 415)
    equal(post({**good, "Origin": "http://evil.example"}).status, 403)
    equal(post(good, host="evil.example").status, 403)
    equal(post(good, b'{"force": true}').status, 400)
    equal(weir.admin("/api/reload").status, 405)
    equal(_counts(weir), {"ok": 0, "rejected": 0, "unchanged": 1})


def many_who_ask_at_once_are_all_answered(t):
    weir = t.weir(_policy(t.upstream(), 100))
    connections = [client.Connection(weir.admin_port) for _ in range(20)]
    request = client.request_bytes("POST", "/api/reload", {"Content-Type": "application/json", "Host": "localhost"}, b"")
    for c in connections:
        c.send(request)
        weir.signal(signal.SIGHUP)
    for c in connections:
        equal(c.read().json()["result"], "unchanged")
        c.close()
    assert 1 <= _counts(weir)["unchanged"] <= 40


# ---- rules and listeners -------------------------------------------------------------------------------------------

def check_against_foretells_what_a_reload_does(t):
    u = t.upstream()

    def rule(name, limit, key=("client_ip",), **more):
        return {"name": name, "key": list(key), "limit": limit, **more}
    before = [rule("kept", "100/30d"), rule("wider", "100/30d"), rule("narrower", "100/30d", algorithm="fixed_window"),
              rule("other-key", "100/30d"), rule("other-algorithm", "100/30d"), rule("gone", "100/30d")]
    after = [rule("wider", "200/30d"), rule("narrower", "30/30d", algorithm="fixed_window"),
             rule("other-key", "100/30d", ["route"]), rule("other-algorithm", "100/30d", algorithm="sliding_window_log"),
             rule("fresh", "100/30d"), rule("kept", "100/30d")]
    weir = t.weir({"upstreams": {"app": {"url": u.url}}, "rules": before})
    old = os.path.join(t.directory, "old.yaml")
    shutil.copyfile(weir.policy_path, old)
    for _ in range(20):
        equal(weir.get().status, 200)
    weir.write_policy({"upstreams": {"app": {"url": u.url}}, "rules": after})
    foretold = _run(t, "check", weir.policy_path, "--against", old, "--format", "json")
    equal(foretold.returncode, 0, foretold.stdout)
    fates = {r["name"]: r for r in json.loads(foretold.stdout)[0]["against"]["rules"]}
    equal({name: r["fate"] for name, r in fates.items()},
          {"wider": "changed", "narrower": "changed", "other-key": "reset", "other-algorithm": "reset", "fresh": "new",
           "kept": "kept", "gone": "removed"})
    assert "who has used 50 of 100 is then at 100 of 200" in fates["wider"]["remarks"][0], fates
    assert "has 0 of 30 left" in fates["narrower"]["remarks"][0], fates
    equal(_run(t, "check", weir.policy_path, "--against", old, "--strict").returncode, 78)
    equal(_run(t, "check", weir.policy_path, "--against", old).returncode, 0)
    weir.reload()
    response = weir.get()
    left = {n: int(r) for n, r in re.findall(r'"([\w-]+)";r=(\d+)', response.header("RateLimit"))}
    # 20 of 100 used is 40 of 200 after the change; one more request since
    equal(left, {"kept": 79, "wider": 159, "narrower": 9, "other-key": 99, "other-algorithm": 99, "fresh": 99})
    line = [text for text in weir.stderr().splitlines() if " reloaded " in text][-1]
    for wanted in ("rules_kept=kept", 'rules_changed="wider narrower"', 'rules_reset="other-key other-algorithm"',
                   "rules_new=fresh", "rules_removed=gone"):
        assert wanted in line, f"{wanted!r} is not in {line}"
    m = weir.metrics()
    rules = {dict(labels)["rule"] for (name, labels) in m if name == "weir_decisions_total"}
    equal(rules, {r["name"] for r in after}, "rules in the metrics")
    restart = os.path.join(t.directory, "restart.yaml")
    with open(restart, "w", encoding="utf-8") as f:
        f.write(json.dumps({**json.loads(weir.policy), "workers": 9}))
    refused = _run(t, "check", restart, "--against", weir.policy_path, "--format", "sarif")
    equal(refused.returncode, 78)
    equal([r["ruleId"] for r in json.loads(refused.stdout)["runs"][0]["results"]].count("E0406"), 1)


def listeners_come_and_go(t):
    u = t.upstream()
    weir = t.weir(_policy(u, 1000), tls=None)
    first, second = f"127.0.0.1:{weir.port}", f"127.0.0.1:{free_port()}"
    load = Load(weir.port, rate=100, connections=4).start()
    weir.reload(_policy(u, 1000, listen=[{"name": "one", "address": first}, {"name": "two", "address": second}]))
    port = int(second.rsplit(":", 1)[1])
    equal(client.fetch(port, "GET", "/").status, 200)
    idle = client.Connection(port)
    equal(idle.request().status, 200)
    weir.reload(_policy(u, 1000, listen=[{"name": "one", "address": first}]))
    assert idle.is_closed(5), "an idle connection of a listener that is gone ends"
    wait_until("nobody listens there", lambda: not listening(second), 5)
    with fails_with(ConnectionRefusedError):
        client.Connection(port)
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    busy = "127.0.0.1:%d" % taken.getsockname()[1]
    weir.reload(_policy(u, 1000, listen=[{"name": "one", "address": first}, {"name": "busy", "address": busy}]))
    taken.close()
    equal(_counts(weir)["rejected"], 1)
    assert f"cannot listen on {busy}" in weir.stderr(), weir.stderr()
    load.stop()
    equal([(s.status, round(s.wall, 3), s.port) for s in load.failed()], [], weir.port)
