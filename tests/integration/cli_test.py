# SPDX-License-Identifier: Apache-2.0
"""Verbs that answer and end: what they print, and where, and with which exit code."""

import json
import os
import subprocess

from support.check import equal

BROKEN = """version: 1
upstreams: {web: {url: "http://127.0.0.1:3000"}}
rules:
  - {name: per-ip, key: [client_ip], limit: 10/minute, brust: 20}
"""
WARNED = """version: 1
upstreams: {web: {url: "http://127.0.0.1:3000"}}
"""


def _weir(t, *arguments, stdin=""):
    result = subprocess.run([t.build.path, *arguments], input=stdin, capture_output=True, text=True, timeout=20)
    return result.returncode, result.stdout, result.stderr


def check_finds_the_same_in_every_format(t):
    code, text, _ = _weir(t, "check", "-", stdin=BROKEN)
    equal(code, 78)
    assert "error[E0312]" in text and "<stdin>:4:56" in text and "did you mean `burst`?" in text, text

    code, text, _ = _weir(t, "check", "--format", "json", "-", stdin=BROKEN)
    equal(code, 78)
    (file,) = json.loads(text)
    equal((file["file"], file["ok"]), ("<stdin>", False))
    problem = next(p for p in file["problems"] if p["severity"] == "error")
    equal((problem["code"], problem["line"], problem["column"], problem["width"]), ("E0312", 4, 56, 5))
    equal(problem["path"], "rules[0].brust")

    code, text, _ = _weir(t, "check", "--format", "sarif", "-", stdin=BROKEN)
    equal(code, 78)
    log = json.loads(text)
    equal(log["version"], "2.1.0")
    (run,) = log["runs"]
    (result,) = (r for r in run["results"] if r["level"] == "error")
    equal(result["ruleId"], "E0312")
    equal(result["locations"][0]["physicalLocation"]["region"], {"startLine": 4, "startColumn": 56, "endColumn": 61})
    assert "E0312" in [rule["id"] for rule in run["tool"]["driver"]["rules"]], run["tool"]


def strict_refuses_what_has_warnings_and_only_that(t):
    equal(_weir(t, "check", "-", stdin=WARNED)[0], 0)
    equal(_weir(t, "check", "--strict", "-", stdin=WARNED)[0], 78)
    noted = WARNED + "client_ip: {header: none}\nrules: [{name: r, key: [host], limit: 10/minute}]\n"
    code, text, _ = _weir(t, "check", "--strict", "-", stdin=noted)
    assert code == 0 and "note[W0107]" in text, (code, text)


def every_file_is_checked_and_one_bad_one_is_enough(t):
    good, bad = (os.path.join(t.directory, name) for name in ("good.yaml", "bad.yaml"))
    for path, text in ((good, WARNED), (bad, BROKEN)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    code, text, _ = _weir(t, "check", bad, good)
    equal(code, 78)
    assert "in " + bad in text and "in " + good in text, text


def a_code_and_a_verb_are_explained(t):
    code, text, _ = _weir(t, "help", "E0312")
    equal(code, 0)
    assert text.startswith("E0312: an unknown key\n") and "brust" in text and "burst" in text, text
    code, text, _ = _weir(t, "help", "check")
    equal(code, 0)
    assert "weir check [OPTIONS]" in text and "--strict" in text, text
    code, text, errors = _weir(t, "help", "E031")
    equal((code, text), (64, ""))
    assert "did you mean" in errors, errors
