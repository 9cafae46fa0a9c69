# SPDX-License-Identifier: Apache-2.0
"""T16: every way a Redis can fail that we know of, in each failure mode. The procedure is support/fault_bench.py."""

import signal
import threading
import time

from support import fault_relay as play
from support.check import equal
from support.fault_bench import TIMEOUT, Fault, run_all
from support.load import Load
from support.redis import RespError
from support.upstream import PATIENCE


def _relay(name, script=None, door="open", cut=None, **kwargs):
    return Fault(name, lambda b: b.relay.play(script, door, cut), **kwargs)


def _redis(name, begin, end, **kwargs):
    """`begin` and `end` are commands for the real Redis."""
    return Fault(name, lambda b: [b.redis.call(*c) for c in begin], lambda b: [b.redis.call(*c) for c in end], **kwargs)


def _kill(bench):
    bench.redis.kill()
    bench.relay.cut()


def _stop(bench):
    bench.redis.process.send_signal(signal.SIGSTOP)


def _continue(bench):
    bench.redis.process.send_signal(signal.SIGCONT)


def absent_and_silent_servers(t):
    run_all(t, [
        _relay("refused", door="shut", cut="close"),
        _relay("reset on connect", door="reset", cut="reset"),
        _relay("closed on connect", door="close", cut="close"),
        _relay("accepts and never speaks", door="silent", cut="close"),
        _relay("falls silent", play.silent()),
        _relay("silent to decisions only", play.silent(everything=False)),
        Fault("SIGSTOP", _stop, _continue),
        Fault("killed, back empty", _kill, lambda b: b.redis.start()),
        _relay("executes and never answers", play.executed_but_unanswered()),
        _relay("answers too late", play.late(TIMEOUT * 2.5)),
        _relay("everything too late", play.late(TIMEOUT * 2.5, everything=True)),
        _relay("drips its replies", play.drips(TIMEOUT / 4)),
        _relay("drips the handshake", play.drips(TIMEOUT / 4, everything=True), cut="close"),
    ])


def connections_cut_in_the_middle(t):
    run_all(t, [
        _relay("FIN instead of a reply", play.ends_mid_reply(0)),
        _relay("RST instead of a reply", play.ends_mid_reply(0, reset=True)),
        _relay("FIN within the header", play.ends_mid_reply(2)),
        _relay("FIN within a number", play.ends_mid_reply(9)),
        _relay("FIN before the last byte", play.ends_mid_reply(-1)),
        _relay("RST within a reply", play.ends_mid_reply(9, reset=True)),
        _relay("half-closed before a reply", play.ends_mid_reply(0, half=True)),
        _relay("half-closed within a reply", play.ends_mid_reply(9, half=True)),
        _relay("every third decision gets a FIN", play.every_nth(3, play.ends_mid_reply(0)), partial=True),
        _relay("every third reply is lost", play.every_nth(3, play.executed_but_unanswered()), partial=True),
        _relay("every third reply is truncated", play.every_nth(3, play.ends_mid_reply(9, reset=True)), partial=True),
    ])


def hostile_replies(t):
    flood = b"x" * 65536
    replies = {
        "text of another protocol": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "binary rubbish": bytes(range(256)) * 4,
        "a status": b"+OK\r\n",
        "a single integer": b":1\r\n",
        "a bulk string": b"$2\r\nok\r\n",
        "a bulk string with a wrong end": b"$2\r\nabXX",
        "nil": b"$-1\r\n",
        "a nil array": b"*-1\r\n",
        "an empty array": b"*0\r\n",
        "too few elements": b"*2\r\n:1\r\n:1\r\n",
        "too many elements": b"*9\r\n" + b":1\r\n" * 9,
        "strings for integers": b"*7\r\n" + b"$1\r\n1\r\n" * 7,
        "impossible integers": b"*7\r\n" + b":-99\r\n" * 7,
        "integers that overflow": b"*7\r\n" + b":99999999999999999999999\r\n" * 7,
        "nested arrays": b"*7\r\n" + b"*1\r\n" * 7 + b":1\r\n",
        "a hundred million elements": b"*100000000\r\n",
        "a bulk string of a terabyte": b"$999999999999\r\n",
        "types of RESP3": b"%1\r\n+a\r\n:1\r\n",
        "a push of RESP3": b">2\r\n+invalidate\r\n*0\r\n",
    }
    run_all(t, [_relay(name, play.says(data), hostile=True) for name, data in replies.items()] + [
        _relay("a line without end", play.endless(flood), hostile=True),
        _relay("an error text without end", play.endless(b"-ERR " + flood), hostile=True),
        _relay("integers without end", play.endless(b"*100000000\r\n" + b":1\r\n" * 4096), hostile=True),
        _relay("a bulk string that does come", play.endless(b"$67108864\r\n" + flood), hostile=True),
        _relay("two replies for one command", play.changed(lambda data: data + data), hostile=True, partial=True),
        _relay("a flood during the handshake", play.endless(flood, everything=True), cut="close", hostile=True),
    ])


def error_replies(t):
    errors = {
        "LOADING": b"-LOADING Redis is loading the dataset in memory\r\n",
        "BUSY": b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n",
        "OOM": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        "MISCONF": b"-MISCONF Redis is configured to save RDB snapshots, but is unable to persist to disk.\r\n",
        "NOAUTH": b"-NOAUTH Authentication required.\r\n",
        "NOPERM": b"-NOPERM this user has no permissions to run the 'evalsha' command\r\n",
        "READONLY": b"-READONLY You can't write against a read only replica.\r\n",
        "MASTERDOWN": b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
        "MOVED": b"-MOVED 3999 127.0.0.1:1\r\n",
        "ASK": b"-ASK 3999 127.0.0.1:1\r\n",
        "TRYAGAIN": b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        "CLUSTERDOWN": b"-CLUSTERDOWN The cluster is down\r\n",
        "CROSSSLOT": b"-CROSSSLOT Keys in request don't hash to the same slot\r\n",
        "NOREPLICAS": b"-NOREPLICAS Not enough good replicas to write.\r\n",
        "script error": b"-ERR Error running script (call to f_00): @user_script:1: boom\r\n",
        "unknown command": b"-ERR unknown command 'EVALSHA', with args beginning with: \r\n",
        "NOSCRIPT to everything": b"-NOSCRIPT No matching script. Please use EVAL.\r\n",
        "an error without a code": b"-\r\n",
    }
    run_all(t, [_relay(name, play.says(data)) for name, data in errors.items()] + [
        _relay("LOADING after a restart", play.says(errors["LOADING"], everything=True), cut="close"),
        _relay("NOAUTH after a restart", play.says(errors["NOAUTH"], everything=True), cut="close"),
        _relay("WRONGPASS", play.says(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
                                      everything=True), cut="close"),
        _relay("too many clients", play.says(b"-ERR max number of clients reached\r\n", everything=True), cut="close"),
        _relay("MASTERDOWN after a restart", play.says(errors["MASTERDOWN"], everything=True), cut="close"),
        _relay("a server that is too old", _too_old, cut="close"),
        _relay("SCRIPT LOAD refused", _no_script_load, cut="close"),
        _relay("every third decision OOM", play.every_nth(3, play.says(errors["OOM"])), partial=True),
    ])


def _too_old(x):
    x.say(b"$21\r\nredis_version:5.0.14\n\r\n") if x.name == b"INFO" else x.answer()


def _no_script_load(x):
    x.say(b"-NOPERM this user has no permissions to run the 'script|load' command\r\n") if x.name == b"SCRIPT" \
        else x.answer()


def _busy(bench):
    """A script of somebody else that does not end."""
    def run():
        try:
            bench.redis.client().call("EVAL", "while true do end", 0)
        except (RespError, OSError):
            pass
    bench.redis.call("CONFIG", "SET", "busy-reply-threshold", "50")
    threading.Thread(target=run, daemon=True).start()
    time.sleep(0.2)


def _kill_script(bench):
    """The test's business: weir must never do it."""
    bench.redis.call("SCRIPT", "KILL")


def _fill(bench):
    bench.redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    bench.redis.call("CONFIG", "SET", "maxmemory", "1")


def _disconnect_clients(bench):
    bench.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def a_real_redis_that_refuses(t):
    user = ["ACL", "SETUSER", "default"]
    run_all(t, [
        Fault("OOM of a real Redis", _fill, lambda b: b.redis.call("CONFIG", "SET", "maxmemory", "0")),
        _redis("a replica of nobody", [["REPLICAOF", "127.0.0.1", "1"]], [["REPLICAOF", "NO", "ONE"]]),
        _redis("an ACL without EVALSHA and EVAL", [[*user, "-evalsha", "-eval"]], [[*user, "+@all"]]),
        _redis("an ACL without SET", [[*user, "-set"]], [[*user, "+@all"]]),
        _redis("an ACL without our keys", [[*user, "resetkeys", "~other:*"]], [[*user, "~*"]]),
        _redis("too few replicas", [["CONFIG", "SET", "min-replicas-to-write", "1"]],
               [["CONFIG", "SET", "min-replicas-to-write", "0"]]),
        Fault("BUSY of a real Redis", _busy, _kill_script),
        _redis("CLIENT PAUSE", [["CLIENT", "PAUSE", "20000", "WRITE"]], [["CLIENT", "UNPAUSE"]]),
        Fault("a new password, connections cut",
              lambda b: (b.redis.call("CONFIG", "SET", "requirepass", "new"), b.relay.cut()), _old_password),
    ])


def _old_password(bench):
    bench.redis.password = "new"
    bench.redis.call("CONFIG", "SET", "requirepass", "")
    bench.redis.password = None


def harmless_disturbances(t):
    stopping = {}

    def flush(bench):
        stopping[bench] = threading.Event()

        def run():
            while not stopping[bench].wait(0.02):
                bench.redis.call("SCRIPT", "FLUSH")
        threading.Thread(target=run, daemon=True).start()

    run_all(t, [
        _relay("replies in single bytes", play.split(1), harmless=True),
        _relay("replies in pieces of seven", play.split(7), harmless=True),
        _relay("replies later, but in time", play.late(TIMEOUT / 8), harmless=True),
        Fault("scripts are flushed all the time", flush, lambda b: stopping[b].set(), harmless=True),
        _redis("data is flushed", [["FLUSHALL"]], [], harmless=True),
        _redis("a small memory and volatile-ttl", [["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"],
                                                   ["CONFIG", "SET", "maxmemory", "100mb"]],
               [["CONFIG", "SET", "maxmemory", "0"]], harmless=True),
    ], lanes=1)


def a_full_redis_still_denies_who_is_denied(t):
    """Denials write nothing, so they need no memory."""
    redis = t.redis()
    rules = [{"name": "per-id", "key": ["header:X-Id"], "missing": "skip", "limit": "2/day"}]
    weir = t.weir({"upstreams": {"app": {"url": t.upstream().url, "timeout": PATIENCE}}, "rules": rules,
                   "store": {"url": redis.url, "failure_mode": "allow", "pool": {"command_timeout": "2s"}}})
    equal([weir.get("/", {"X-Id": "a"}).status for _ in range(3)], [200, 200, 429])
    redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.call("CONFIG", "SET", "maxmemory", "1")
    equal([weir.get("/", {"X-Id": "a"}).status for _ in range(9)], [429] * 9, "the id that is denied")
    equal([weir.get("/", {"X-Id": "b"}).status for _ in range(3)], [200] * 3, "an id Redis has no memory for")
    assert weir.metrics().sum("weir_store_errors_total", kind="oom") > 0


def scripts_flushed_every_100_ms_under_load_reach_no_client(t):
    u, redis = t.upstream(), t.redis()
    rules = [{"name": "per-ip", "key": ["client_ip"], "limit": "5000/day"}]
    weir = t.weir({"upstreams": {"app": {"url": u.url, "timeout": PATIENCE}}, "rules": rules,
                   "store": {"url": redis.url, "failure_mode": "deny", "pool": {"command_timeout": "5s"}}})
    load = Load(weir.port, rate=300, connections=16).start()
    for _ in range(40):
        time.sleep(0.1)
        redis.call("SCRIPT", "FLUSH")
    load.stop()
    equal(load.failed(), [])
    state = weir.get().header("RateLimit")
    equal(int(state.split(";r=")[1].split(";")[0]), 5000 - len(load.samples) - 1, "remaining")   # one unit comes back in 17 s
    m = weir.metrics()
    equal(m.sum("weir_failure_mode_decisions_total"), 0, "decisions of the failure mode")
    t.note(f"{len(load.samples)} requests")
