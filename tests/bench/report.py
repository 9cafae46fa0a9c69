#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes RESULTS.md and its plots from what compare.py and growth.py measured.

    tests/bench/report.py build/compare.json build/growth.json [--gate tests/bench/baseline.json] [--out tests/bench]"""

import argparse
import json
import pathlib
import statistics

import svg
from growth import FLAT

HERE = pathlib.Path(__file__).resolve().parent
LONG_NAMES = {"weir": "weir", "nginx": "nginx", "haproxy": "HAProxy", "other": "other weir"}
MEANING = {
    "plain": "GET of 1 KiB on 64 connections; forward, X-Forwarded-For, X-Request-ID",
    "plain, 1 connection": "the same on one connection: every event is a wake-up of its own",
    "plain, 1000 connections": "the same on 1,000",
    "plain, two workers": "two workers on both cores, which load and upstream share",
    "plain, by h2load": "the same by a public tool",
    "TLS, by h2load": "towards the client, TLS 1.3, ECDSA P-256, connections kept",
    "responses of 100 KiB": "", "POST of 10 KiB": "",
    "one local limit": "per user, 10,000 users: memory store, limit_req, stick-table",
    "full": "a limit per user in Redis, fields, a JSON log line, metrics; HAProxy: stick-table and JSON log, no Redis",
    "four limits in Redis": "all or nothing, with log; nginx: one script call of four keys",
    "denied locally": "denial cache, limit_req, stick-table",
    "denied by Redis": "users that no cache knows yet",
}


def peer_name(case, peer):
    with_lua = peer == "nginx" and case in ("full", "four limits in Redis", "denied by Redis", "full at a fixed rate")
    return "nginx+Lua+Redis" if with_lua else LONG_NAMES[peer]


def table(head, rows):
    marks = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [head, marks, *rows]) + "\n"


def grouped(rows, *keys):
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def median(rows, key):
    return statistics.median(row[key] for row in rows)


# ---- Sections --------------------------------------------------------------------------------------------------------
def cost_rows(cases):
    """[(case, [(peer, runs)])] in the order of first measurement, weir first."""
    found = {}
    for (case, peer), rows in grouped(cases, "case", "peer").items():
        found.setdefault(case, {})[peer] = rows
    return [(case, sorted(peers.items(), key=lambda item: list(LONG_NAMES).index(item[0]))) for case, peers in found.items()]


def costs(results):
    parts = []
    for case, peers in cost_rows(results["cases"]):
        ours = median(dict(peers)["weir"], "cpu_us")
        rows = []
        for peer, runs in peers:
            spread = [run["cpu_us"] for run in runs]
            redis = f"{median(runs, 'redis_us'):.1f}" if max(run["redis_us"] for run in runs) > 1 else "–"
            rows.append([peer_name(case, peer), f"{median(runs, 'cpu_us'):.1f}", f"{min(spread):.1f}–{max(spread):.1f}",
                         f"{ours / median(runs, 'cpu_us'):.2f}", redis,
                         f"{statistics.median(run['requests'] / run['seconds'] for run in runs):,.0f}",
                         f"{median(runs, 'rss') / 2**20:.0f}"])
        parts.append(f"**{case}**" + (f": {MEANING[case]}" if MEANING[case] else "") + "\n\n" + table(
            ["", "CPU µs/request", "min–max", "weir / it", "Redis µs", "requests/s", "RSS MiB"], rows))
    return "\n".join(parts)


def cost_plot(results):
    groups = [(case, [(LONG_NAMES[peer], median(runs, "cpu_us"), f"{median(runs, 'cpu_us'):.1f} µs  {peer_name(case, peer)}")
                      for peer, runs in peers]) for case, peers in cost_rows(results["cases"])]
    return svg.bars("CPU time of the proxy per request (each case has its own scale)", groups)


def kept_up(runs, rate):
    return statistics.median(run["requests"] / run["seconds"] for run in runs) >= 0.97 * rate


def latency_series(results):
    """{(what, peer): [(rate, runs)]}"""
    series = {}
    for (case, peer, rate), runs in grouped(results["latencies"], "case", "peer", "rate").items():
        series.setdefault((case, peer), []).append((rate, runs))
    return dict(sorted(series.items(), key=lambda item: (item[0][0] != "plain at a fixed rate", list(LONG_NAMES).index(item[0][1]))))


def latencies(results):
    series = latency_series(results)
    rates = sorted({row["rate"] for row in results["latencies"]})
    rows = []
    for (case, peer), points in series.items():
        cells = {rate: f"{median(runs, 'p50'):,.0f} / {median(runs, 'p99'):,.0f}" if kept_up(runs, rate) else "cannot"
                 for rate, runs in points}
        does = case.removesuffix(" at a fixed rate")
        rows.append([f"{peer_name(case, peer)}, {does}", *(cells[rate] for rate in rates)])
    return table(["p50 / p99 in µs at", *(f"{rate:,}/s" for rate in rates)], rows)


def latency_plot(results):
    lines = []
    for (case, peer), points in latency_series(results).items():
        name = peer_name(case, peer) + (" full" if case.startswith("full") else "")
        able = [(rate, runs) for rate, runs in points if kept_up(runs, rate)]
        if able:
            lines += [(f"{name} p50", False, [(rate, median(runs, "p50")) for rate, runs in able]),
                      (f"{name} p99", True, [(rate, median(runs, "p99")) for rate, runs in able])]
    return svg.lines("Latency over a fixed rate, from the time a request was due", "requests per second", "µs", lines)


def idle(results):
    rows = [[LONG_NAMES[row["peer"]], f"{row['rss'] / 2**20:.1f}", f"{row['own'] / 2**20:.1f}", f"{row['per_connection']:,.0f}"]
            for row in results["idle"]]
    return table(["", "RSS MiB", "of it its own", "bytes per idle connection"], rows)


def curves(growth):
    parts = []
    for name, curve in growth.items():
        first = curve["points"][0][1]
        rows = [[f"{count:,}", f"{cost:,.0f}" if curve["unit"] == "instructions" else f"{cost:.1f}", f"{cost / first - 1:+.1%}",
                 "flat" if abs(cost / first - 1) <= FLAT else "**slope**"] for count, cost in curve["points"]]
        parts.append(table([name, f"{curve['unit']} per request", "change", f"±{FLAT:.0%}"], rows))
    return "\n".join(parts)


def counted(baseline):
    return "\n".join(table([kind, "per request"], [[case, f"{value:,}"] for case, value in cases.items()])
                     for kind, cases in baseline.items())


def about(results):
    a = results["about"]
    versions = "; ".join(line if name.lower() in line.lower() else f"{name} {line}" for name, line in a["versions"].items())
    provisional = a["load_before"] > 0.25 * a["cores"] or results["quick"]
    note = " **Provisional**: a short run, or one beside other work; ratios hold better than times." if provisional else ""
    return (f"{a['date']}, {a['system']}, kernel {a['kernel']}, {a['cores']} cores ({a['cpu']}), {a['memory_gib']} GiB; "
            f"load average before the run {a['load_before']:.1f}. {versions}.{note}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("compared", help="what compare.py wrote")
    parser.add_argument("grown", nargs="?", help="what growth.py wrote")
    parser.add_argument("--gate", default=HERE / "baseline.json", help="what gate.py wrote")
    parser.add_argument("--out", default=HERE, type=pathlib.Path, help="folder for RESULTS.md and the plots")
    args = parser.parse_args()
    results = json.loads(pathlib.Path(args.compared).read_text(encoding="utf-8"))
    values = {"ABOUT": about(results), "COSTS": costs(results), "LATENCIES": latencies(results), "IDLE": idle(results),
              "CURVES": curves(json.loads(pathlib.Path(args.grown).read_text(encoding="utf-8"))) if args.grown else "Not measured.\n",
              "COUNTED": counted(json.loads(pathlib.Path(args.gate).read_text(encoding="utf-8")))}
    text = (HERE / "results.template.md").read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value.rstrip("\n"))
    (args.out / "RESULTS.md").write_text(text, encoding="utf-8")
    (args.out / "cpu.svg").write_text(cost_plot(results), encoding="utf-8")
    (args.out / "latency.svg").write_text(latency_plot(results), encoding="utf-8")


if __name__ == "__main__":
    main()
