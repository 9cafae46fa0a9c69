#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that the tests notice a wrong decision script.

Each mutant is one textual change of the script's core that changes what it does. It is replayed against the project's
traces, then against the script tests; a mutant that passes both has survived, and the run fails.

    tests/conformance/mutants.py --build build/dev      needs limiter_conformance and lua_script_tests there, and
                                                        redis-server; ends `N passed, N failed`
"""
import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
LUA = HERE.parent.parent / "lua"
CORE = ("token_bucket.lua", "rare_algorithms_begin.lua", "fixed_window.lua", "calendar_window.lua",
        "sliding_window_counter.lua", "sliding_window_log.lua", "concurrency.lua", "penalty.lua", "rare_algorithms_end.lua",
        "decide.lua")
PACK_CORE = (*CORE[:-1], "pack_begin.lua", "decide.lua", "pack.lua")

# what it is, file, text, replacement
MUTANTS = [
    ("retry rounded down", "token_bucket.lua", "-math.floor((free - demand) / r)", "math.floor((demand - free) / r)"),
    ("retry of take_upto rounded down", "token_bucket.lua", "-math.floor((free - q) / r)", "math.floor((q - free) / r)"),
    ("reset rounded down", "token_bucket.lua", "-math.floor(-used / r), used", "math.floor(used / r), used"),
    ("fraction dropped", "token_bucket.lua", "local f = used % r\n    local F = now + (used - f) / r\n",
     "local f, F = 0, now + math.floor(used / r)\n"),
    ("fraction rounded up to a microsecond", "token_bucket.lua", "local f = used % r\n    local F = now + (used - f) / r\n",
     "local f, F = 0, now - math.floor(-used / r)\n"),
    ("denominator of the fraction ignored", "token_bucket.lua", "if f > 0 and r0 ~= r then", "if false then"),
    ("fraction rescaled downwards", "token_bucket.lua", "-math.floor(-product / r0)", "math.floor(product / r0)"),
    ("no repair when the instant is too far ahead", "token_bucket.lua", "beyond and cap or", "false or"),
    ("repair not written", "decide.lua", "(rule[BEYOND] and op ~= 'peek')", "false"),
    ("repair written by a peek", "decide.lua", "(rule[BEYOND] and op ~= 'peek')", "rule[BEYOND]"),
    ("denied takes charged", "token_bucket.lua",
     "return false, demand > cap and -1 or -math.floor((free - demand) / r), 0, used, used, beyond",
     "return false, demand > cap and -1 or -math.floor((free - demand) / r), 0, used, cap, true"),
    ("each rule commits by itself", "decide.lua", "local change = commit and", "local change = rule[ALLOWED] and"),
    ("a peek commits", "decide.lua", "op ~= 'peek' and (admitted > 0", "(admitted > 0"),
    ("last token refused", "token_bucket.lua", "demand <= free", "demand < free"),
    ("cost 0 judged", "token_bucket.lua", "n == 0 or demand <= free", "demand <= free and free > 0"),
    ("a cost above the capacity has a retry", "token_bucket.lua", "demand > cap and -1 or", "demand > cap and 1 or"),
    ("refund below empty", "token_bucket.lua", "demand < used and used - demand or 0", "used - demand"),
    ("aged refund gives everything back", "token_bucket.lua", "if age then demand =", "if false then demand ="),
    ("aged refund gives nothing back", "token_bucket.lua", "age > cap / r and 0 or", "true and 0 or"),
    ("refund ignored", "token_bucket.lua", "demand < used and used - demand or 0", "used"),
    ("take_upto all or nothing", "token_bucket.lua", "math.min(n, (free - free % q) / q)",
     "(n * q <= free and n or 0)"),
    ("a bucket full right now counts as used", "token_bucket.lua", "F >= now and f < r0", "f < r0"),
    ("remaining rounded up", "token_bucket.lua", "return (free - free % q) / q,", "return -math.floor(-free / q),"),
    ("window boundary inclusive", "sliding_window_log.lua", "count_until(list, now - window)",
     "count_until(list, now - window - 1)"),
    ("wait one unit short", "sliding_window_log.lua", "list.at(in_the_way - 1)", "list.at(math.max(0, in_the_way - 2))"),
    ("future stamps kept", "sliding_window_log.lua", "list.newest > now and list.length", "false and list.length"),
    ("future stamps wait for their own time", "sliding_window_log.lua", "min(list.at(in_the_way - 1), now)",
     "list.at(in_the_way - 1)"),
    ("one stamp per take", "sliding_window_log.lua", "list.length - 1 - ahead, ahead + change",
     "list.length - 1 - ahead, ahead + math.min(change, 1)"),
    ("refund takes the oldest", "sliding_window_log.lua", "last, push = last + push, 0", "first, push = first - push, 0"),
    ("reset by the oldest unit", "sliding_window_log.lua", "min(list.newest, now) + window - now or 0",
     "(list.length > 0 and list.at(0) or now) + window - now or 0"),
    ("count may be negative after a reload", "sliding_window_log.lua", "return max(0, limit - used), reset",
     "return limit - used, reset"),
    ("LTRIM of nothing keeps everything", "decide.lua", "if last < first then", "if false then"),
    ("entries by position instead of id", "decide.lua",
     "local _, before = string.find(value, ';' .. id .. '=', 1, true)", "local _, before = string.find(value, '=', 1, true)"),
    ("unknown entries dropped", "decide.lua", "if value and known ~= #value then", "if false then"),
    ("dead entries kept", "decide.lua", "if X and X >= now then", "if X then"),
    ("live entries dropped at their last instant", "decide.lua", "if X and X >= now then", "if X and X > now then"),
    ("replaced entries kept as well", "decide.lua", "local X = not replaced[id] and", "local X ="),
    ("digits of a lone entry ignored", "decide.lua", "if string.sub(value, -3) == ddd then", "if true then"),
    ("lone entry not found once it is one of many", "decide.lua", "id = '#' .. string.sub(name, 5)", "id = '##'"),
    ("TTL rounded down", "decide.lua", "stored, 'PXAT', string.format('%d', X / 1000 + 1)", "stored, 'PXAT', string.format('%d', X / 1000)"),
    ("TTL of the last rule only", "decide.lua", "if at > X then X = at end", "X = at"),
    ("emptied value stays", "decide.lua", "elseif value then\n      redis.call('DEL', key)",
     "elseif false then\n      redis.call('DEL', key)"),
    ("written before the last evaluation", "decide.lua", "  all_allowed = all_allowed and (allowed or shadow)\n",
     "  all_allowed = all_allowed and allowed\n"
     "  if all_allowed and op == 'take' and not own_key and n > 0 then\n"
     "    redis.call('SET', key, string.format('%d%s', now + after / p1, string.sub(name, 5)), 'PXAT', 1)\n"
     "  end\n"),
    ("cost not bounded", "decide.lua", "n >= 0 and n <= 2147483648", "n <= 2147483648"),
    ("window not aligned to the epoch", "fixed_window.lua", "local start = now - now % window", "local start = now - window + 1"),
    ("last unit of a window refused", "fixed_window.lua", "used + n <= limit", "used + n < limit"),
    ("window of a clock that went back forgotten", "fixed_window.lua", "X - W >= start", "X - W == start"),
    ("window ahead not repaired", "fixed_window.lua", "X - W > start -- a", "false -- a"),
    ("window's length dropped over a reload", "fixed_window.lua", "X - W >= start", "X - window >= start"),
    ("dead window counts", "fixed_window.lua", "if X and X >= now and", "if X and"),
    ("refund of a window below empty", "fixed_window.lua", "math.max(0, used - n)", "used - n"),
    ("reset of a window kept when empty", "fixed_window.lua", "used > 0 and window - now % window or 0", "window - now % window"),
    ("remaining of a window negative after a reload", "fixed_window.lua", "return math.max(0, limit - used), used", "return limit - used, used"),
    ("weight of the window before left out", "sliding_window_counter.lua", "prev * rest <= (limit - cur - n) * window",
     "prev <= limit - cur - n"),
    ("weight by the time gone instead of left", "sliding_window_counter.lua", "local rest = start + window - now", "local rest = now - start"),
    ("estimate rounded down", "sliding_window_counter.lua", "prev * rest <= (limit - cur - n) * window",
     "math.floor(prev * rest / window) <= limit - cur - n"),
    ("counts not rolled over", "sliding_window_counter.lua", "cur, prev = 0, cur\n", "cur, prev = 0, 0\n"),
    ("retry beyond the edge one window short", "sliding_window_counter.lua",
     "return rest + math.max(0, window - math.floor((limit - n) * window / cur))", "return rest"),
    ("reset of a counter one window short", "sliding_window_counter.lua", "cur > 0 and rest + window", "cur > 0 and rest"),
    ("refund takes from the window before", "sliding_window_counter.lua", "math.max(0, cur - n), beyond, prev end",
     "math.max(0, cur - n), beyond, math.max(0, prev - n) end"),
    ("counter ahead not repaired", "sliding_window_counter.lua", "      beyond = true", "      beyond = false"),
    ("old counts weigh after two windows", "sliding_window_counter.lua", "began_at == start - window then", "began_at < start then"),
    ("calendar window ends with the caller's", "calendar_window.lua", "stop = math.min(X, stop)", "stop = stop"),
    ("calendar count carried over its end", "calendar_window.lua", "if X and X > now and", "if X and"),
    ("calendar window ahead not repaired", "calendar_window.lua", "X > stop -- a", "false -- a"),
    ("caller's window charged instead of the clock's", "decide.lua", "if now < p3 then p2, p3 = p3, p2", "if true then p2, p3 = p3, p2"),
    ("clock outside the told windows not noticed", "decide.lua", "elsewhere or now < p2 or now >= p4", "false"),
    ("lease counts at its end", "concurrency.lua", "'(' .. whole(now), '+inf') or 0", "whole(now), '+inf') or 0"),
    ("holder counted twice", "concurrency.lua", "if mine then return true, 0, op == 'take_upto' and 1 or 0, held, held, beyond, true end\n", ""),
    ("one slot too many", "concurrency.lua", "if held < limit then", "if held <= limit then"),
    ("renewal without a slot", "concurrency.lua", "return false, 0, 0, held, held, beyond, false end\n    if held",
     "return true, 0, 0, held, held + 1, beyond, true end\n    if held"),
    ("lease not renewed", "concurrency.lua", "redis.call('ZADD', key, ends, holder)", "redis.call('ZADD', key, 'NX', ends, holder)"),
    ("leases beyond the clock kept", "concurrency.lua", "local beyond = set.latest > now + lease", "local beyond = false"),
    ("wait for the first lease though more must end", "concurrency.lua", "'LIMIT', held - limit, 1", "'LIMIT', 0, 1"),
    ("release ignored", "concurrency.lua", "redis.call('ZREM', key, holder)", "redis.call('ZREM', key, '')"),
    ("slots live for ever", "concurrency.lua", "if X > 0 then redis.call('PEXPIREAT'", "if false then redis.call('PEXPIREAT'"),
    ("ended leases pile up", "concurrency.lua", "redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))", ""),
    ("one request too many of k", "decide.lua", "(remaining - remaining % n) / n)", "(remaining - remaining % n) / n + 1)"),
    ("k requests charged as one", "decide.lua", "(rule[AFTER] - rule[USED]) * admitted", "rule[AFTER] - rule[USED]"),
    ("denial of request m + 1 not told", "decide.lua", "      if admitted < k then", "      if false then"),
    ("closed window refunded", "decide.lua", "charged_at < algorithm[BEGAN](now, p2, p3) then n = 0", "false then n = 0"),
    ("a slot that is not held keeps others from being released", "decide.lua", "or op == 'refund' or op == 'renew')", ")"),
    ("lone bucket: last token refused", "decide.lua", "if demand > free then", "if demand >= free then"),
    ("lone bucket: digits of another rule ignored", "decide.lua", "F = string.sub(value, -3) == ddd and ", "F = "),
    ("lone bucket: not repaired", "decide.lua", "if F and F - now <= cap then", "if F then"),
    ("lone bucket: idle time forgotten", "decide.lua", "F > now and F - now or 0", "F - now"),
    ("lone bucket: cost 0 written", "decide.lua", "      if demand > 0 then\n        used, free", "      if true then\n        used, free"),
    ("lone bucket: TTL rounded down", "decide.lua", "string.format('%d', F / 1000 + 1)", "string.format('%d', F / 1000)"),
    ("lone bucket: a cost above the capacity has a retry", "decide.lua", "demand > cap and -1 or demand - free", "demand - free"),
    ("lone bucket: cost not bounded", "decide.lua", "and n <= 2147483648 and n % 1 == 0 and\n      q >= 1", "and n % 1 == 0 and\n      q >= 1"),
    ("several buckets: last token refused", "decide.lua", "if free < 0 then", "if free <= 0 then"),
    ("several buckets: charged although one denies", "decide.lua", "if reply[2] == 1 then\n      redis", "if true then\n      redis"),
    ("several buckets: idle time forgotten", "decide.lua", "local used = F > now and F - now or 0\n    local free", "local used = F - now\n    local free"),
    ("several buckets: not repaired", "decide.lua", "plain = F and F - now <= cap and", "plain = F and"),
    ("several buckets: TTL rounded down", "decide.lua", "string.format('%d', X / 1000 + 1)) -- cut to an integer\n      return reply", "string.format('%d', X / 1000))\n      return reply"),
    ("several buckets: TTL of the first", "decide.lua", "if F > X then X = F end", "if X == 0 then X = F end"),
    ("several buckets: entries by position", "decide.lua", "F = string.sub(fetched, from, from + #id - 1) == id and ", "F = "),
    ("several buckets: entries behind them dropped", "decide.lua", "(not fetched or #fetched == from - 1)", "true"),
    ("several buckets: another op", "decide.lua", "if ARGV[10] == 't' and ARGV[1] == 'take' and", "if ARGV[10] == 't' and"),
    ("several buckets: equal requests counted once", "decide.lua", "ARGV[1] == 'take' and ARGV[2] == '1' and KEYS[1] and", "ARGV[1] == 'take' and KEYS[1] and"),
    ("several buckets: usage of a denied request reported", "decide.lua", "reply[at + 4] - demand\n", "reply[at + 4]\n"),
    ("several buckets: cost not bounded", "decide.lua", "plain = n >= 1 and n <= 2147483648 and", "plain = n >= 1 and"),
    ("a shadow rule denies", "decide.lua", "all_allowed and (allowed or shadow)", "all_allowed and allowed"),
    ("any rule is shadow", "decide.lua", "shadow, penalty = bare and bare ~= letter,", "shadow, penalty = bare,"),
    ("marks where nothing is admitted", "decide.lua", " or letter == 's' or (op ~= 'take' and op ~= 'peek'))", " or letter == 's')"),
    ("marked requests merged", "decide.lua", "if bare and (k > 1 or letter", "if bare and (letter"),
    ("a block that is not stored", "decide.lua", "if store and op == 'take' then", "if false then"),
    ("a peek begins a block", "decide.lua", "if store and op == 'take' then", "if store then"),
    ("a block shown by a peek before it began", "decide.lua", "ends[count + 1] = op == 'take' and till or read", "ends[count + 1] = till"),
    ("units left to a blocked key", "decide.lua", "if ends and ends[i] and ends[i] > now then", "if false then"),
    ("a block of a log beside its stamps", "decide.lua", "if at ~= key then\n      whole", "if false then\n      whole"),
    ("a block found by the digits", "decide.lua", "find_entry(whole, own, '')", "find_entry(whole, own, name)"),
    ("a blocked shadow rule charged", "penalty.lua", "allowed, after = false, used", "allowed = false"),
    ("every denial prolongs the block", "penalty.lua", "elseif not allowed and retry > 0 then", "end\n      if not allowed and retry > 0 then"),
    ("an ended block", "penalty.lua", "if ends > now then", "if ends >= now then"),
    ("a block beyond the penalty kept", "penalty.lua", "math.min(stored, now + length)", "stored"),
    ("a wait shorter than the limit's", "penalty.lua", "retry = math.max(retry, length)", "retry = length"),
    ("a wait longer than the block", "penalty.lua", "retry = math.max(retry, ends - now)", "retry = math.max(retry, length)"),
    ("what is impossible punished", "penalty.lua", "not allowed and retry > 0 then", "not allowed then"),
    ("what costs nothing blocked", "penalty.lua", "if n > 0 then", "if true then"),
    ("a block of an unbounded length", "penalty.lua", "length >= 1 and length < 4503599627370496", "length >= 1"),
    ("granted units not told", "decide.lua", "1 + (commit and rule[GRANTED] or 0)", "1"),
]

PACK_MUTANTS = [
    ("pack: last token refused", "pack.lua", "if demand > cap - used then\n        used = -1", "if demand >= cap - used then\n        used = -1"),
    ("pack: last token of several refused", "pack.lua", "if demand > cap - used then denied", "if demand >= cap - used then denied"),
    ("pack: digits of another rule ignored", "pack.lua", "{ '^(%d+)' .. ddd .. '$'", "{ '^(%d+)%d%d%d$'"),
    ("pack: not repaired", "pack.lua", "if F and F - now <= cap then", "if F then"),
    ("pack: several not repaired", "pack.lua", "F - now <= cap and demand > 0", "demand > 0"),
    ("pack: idle time forgotten", "pack.lua", "local used = F > now and F - now or 0\n      if", "local used = F - now\n      if"),
    ("pack: cost 0 written", "pack.lua", "elseif demand > 0 then", "else"),
    ("pack: TTL rounded down", "pack.lua", "string.format('%d', F / 1000 + 1) -- cut", "string.format('%d', F / 1000) -- cut"),
    ("pack: TTL of the last of several", "pack.lua", "if F > X then X = F end", "X = full[1]"),
    ("pack: what was stored last is stored again", "pack.lua", "if F ~= bucket[FULL_AT] then", "if bucket[FULL_AT] == 0 then"),
    ("pack: cost not bounded", "pack.lua", "n >= 0 and n <= 2147483648 and n % 1 == 0 and", "n % 1 == 0 and"),
    ("pack: rate with fractions", "pack.lua", "and ARGV[i + 4] == '1'", ""),
    ("pack: the key of the one before", "pack.lua", "key, at = key + shape[KEY_COUNT],", "key, at = key + (i == 1 and 0 or shape[KEY_COUNT]),"),
    ("pack: an error is a decision", "pack.lua", ".err then used = FAILED end", ".err then used = used end"),
    ("pack: an error ends them all", "pack.lua", "redis.pcall('SET', own", "redis.call('SET', own"),
    ("pack: denied ones of several charged", "pack.lua", "if plain and not denied then", "if plain then"),
    ("pack: others in the key overwritten", "pack.lua", "plain = not value or full and full[1]", "plain = not value or full"),
    ("pack: an answer of the driver turned round", "pack.lua", "allowed > 0 and used or -1 - used", "used"),
]


def core_text(mutant=None, files=None):
    text = ""
    for name in files or CORE:
        part = (LUA / name).read_text()
        if mutant and mutant[1] == name:
            if mutant[2] not in part:
                raise SystemExit(f"mutant `{mutant[0]}` no longer applies to {name}: change it along with the file")
            part = part.replace(mutant[2], mutant[3])
        text += part
    return text


def passes(command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120).returncode == 0


def killer(build, core, socket):
    """The first suite that notices the core; None when none does."""
    environment = ["env", f"WEIR_TEST_CORE={core}"]
    vectors = [build / "limiter_conformance", "--vectors", HERE / "vectors", "--store", f"unix:{socket}"]
    if not passes([*environment, *vectors]):
        return "traces"
    if not passes([*environment, build / "lua_script_tests"]):
        return "script tests"
    return None


def pack_killer(build, core, _):
    environment = ["env", f"WEIR_TEST_PACK_CORE={core}"]
    if not passes([*environment, build / "lua_differential", "--operations", "60000"]):
        return "twin"
    return None if passes([*environment, build / "lua_script_tests", "-tc=*pack*"]) else "script tests"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--build", type=pathlib.Path, required=True)
    build = arguments.parse_args().build.resolve()
    if shutil.which("redis-server") is None:
        print("skipped: redis-server is not installed")
        return 77
    survivors = 0
    with tempfile.TemporaryDirectory(prefix="weir-mutants.") as folder:
        folder = pathlib.Path(folder)
        core, socket = folder / "core.lua", folder / "sock"
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""],
                                  stdout=subprocess.DEVNULL)
        try:
            while not socket.exists():
                time.sleep(0.02)
            for mutants, files, notices in ((MUTANTS, CORE, killer), (PACK_MUTANTS, PACK_CORE, pack_killer)):
                core.write_text(core_text(None, files))
                if notices(build, core, socket):
                    print("the unchanged script does not pass: nothing to learn from mutants")
                    return 1
                for mutant in mutants:
                    core.write_text(core_text(mutant, files))
                    by = notices(build, core, socket)
                    survivors += by is None
                    print(f"{'survived' if by is None else 'killed':8}  {mutant[0]}{f' (by the {by})' if by else ''}",
                          flush=True)
        finally:
            server.terminate()
            server.wait()
    print(f"{len(MUTANTS) + len(PACK_MUTANTS) - survivors} passed, {survivors} failed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
