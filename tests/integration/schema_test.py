# SPDX-License-Identifier: Apache-2.0
"""`weir schema` in the hands of editors: a JSON Schema validator and the YAML language server."""

import json
import os
import pathlib
import shutil
import subprocess

from support import editor
from support.check import equal

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "config"
EXAMPLES = CONFIG / "examples"


def _schema(t):
    t.need("npm")
    t.need("node")
    path = os.path.join(t.directory, "weir.v1.schema.json")
    done = subprocess.run([t.build.path, "schema"], capture_output=True, timeout=60, check=True)
    with open(path, "wb") as file:
        file.write(done.stdout)
    return path


def the_schema_that_weir_prints_is_the_one_that_comes_with_it(t):
    with open(_schema(t), encoding="utf-8") as printed:
        equal(printed.read(), (CONFIG / "weir.v1.schema.json").read_text(encoding="utf-8"))


def the_examples_are_valid(t):
    files = [str(path) for path in sorted(EXAMPLES.glob("*.yaml"))]
    assert len(files) >= 3, files
    for result in editor.validator(_schema(t), "check", *files):
        equal(result["errors"], [], result["file"])


def a_value_from_the_environment_is_valid_everywhere(t):
    path = os.path.join(t.directory, "variables.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write('version: 1\nworkers: "${WORKERS:-2}"\nlisten: "${LISTEN:-0.0.0.0:8080}"\n'
                   'drain: {delay: "${DELAY:-1s}"}\nupstreams: {web: {url: "${URL:-http://h}", balance: "${B:-round_robin}"}}\n'
                   'rules: [{name: r, key: [client_ip], limit: "${LIMIT:-1/second}", burst: "${BURST:-5}"}]\n')
    equal(editor.validator(_schema(t), "check", path)[0]["errors"], [])
    done = subprocess.run([t.build.path, "check", path], capture_output=True, text=True, timeout=20)
    equal(done.returncode, 0, done.stdout)


def what_the_schema_refuses_weir_refuses_too(t):
    """Every key of the full example misspelt, and every value of it spoilt in some twenty ways."""
    folder = os.path.join(t.directory, "examples")      # with the files that the policy names
    shutil.copytree(EXAMPLES, folder)
    full = os.path.join(folder, "full.yaml")
    sound = subprocess.run([t.build.path, "check", full], capture_output=True, text=True, timeout=60)
    equal(sound.returncode, 0, sound.stdout)
    (counts,) = editor.validator(_schema(t), "spoil", full, folder, "1" if t.thorough else "13")
    t.note(f"{counts['keys']} keys and items: {counts['refused']} spoilt files refused, {counts['accepted']} accepted")
    assert counts["refused"] > 10 * counts["keys"], counts
    names = [f"{number}.json" for number in range(counts["written"])]
    accepted = []
    for begin in range(0, len(names), 200):
        done = subprocess.run([t.build.path, "check", "--format", "json", *names[begin:begin + 200]], cwd=folder,
                              capture_output=True, text=True, timeout=300)
        accepted += [result["file"] for result in json.loads(done.stdout) if result["ok"]]
    spoilt = [json.loads(pathlib.Path(folder, name).read_text(encoding="utf-8"))["x-spoilt"] for name in accepted]
    equal(spoilt, [], "files that weir accepts and the schema refuses")


def an_editor_completes_keys_and_marks_a_misspelt_one(t):
    server = t.keep(editor.LanguageServer(_schema(t)))
    broken = 'version: 1\nupstreams: {web: {url: "http://h"}}\nrules:\n  - name: r\n    key: [client_ip]\n' \
             '    limit: 10/minute\n    brust: 5\n'
    server.open("file:///tmp/broken.yaml", broken)
    (problem,) = server.diagnostics("file:///tmp/broken.yaml")
    assert "brust" in problem["message"] and "not allowed" in problem["message"], problem
    equal((problem["range"]["start"]["line"], problem["range"]["start"]["character"]), (6, 4))

    started = broken.replace("brust: 5", "al")
    server.open("file:///tmp/started.yaml", started)
    offered = server.completions("file:///tmp/started.yaml", 6, 6)
    assert "algorithm" in offered and "burst" in offered and "brust" not in offered, offered

    words = broken.replace("brust: 5", "algorithm: ")
    server.open("file:///tmp/words.yaml", words)
    offered = server.completions("file:///tmp/words.yaml", 6, 15)
    assert {"token_bucket", "sliding_window_log"} <= set(offered), offered


def an_editor_says_what_a_duration_looks_like(t):
    server = t.keep(editor.LanguageServer(_schema(t)))
    server.open("file:///tmp/unit.yaml", 'version: 1\nupstreams: {web: {url: "http://h"}}\ndrain:\n  delay: 5 s\n')
    (problem,) = server.diagnostics("file:///tmp/unit.yaml")
    assert "does not match the pattern" in problem["message"], problem
    equal(problem["range"]["start"]["line"], 3)
