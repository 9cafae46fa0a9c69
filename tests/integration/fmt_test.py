# SPDX-License-Identifier: Apache-2.0
"""`weir fmt` on files: what it prints, writes, refuses, and what it leaves alone."""

import json
import os
import pathlib
import random
import shutil
import stat
import subprocess

from support.check import equal

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "config" / "examples"
UNTIDY = """rules:   # every one
- limit: '5/second'
  name: r
  key: [ client_ip ]
upstreams: {web: {url: "http://127.0.0.1:3000"}}
version: 1
"""
TIDY = """version: 1
upstreams: {web: {url: "http://127.0.0.1:3000"}}
rules:   # every one
  - name: r
    key: [client_ip]
    limit: 5/second
"""


def _fmt(t, *arguments, stdin="", cwd=None):
    done = subprocess.run([t.build.path, "fmt", *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=60, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


def _file(t, text, name="weir.yaml"):
    path = pathlib.Path(t.directory, name)
    path.write_text(text, encoding="utf-8")
    return path


def it_prints_the_layout_and_leaves_the_file(t):
    path = _file(t, UNTIDY)
    equal(_fmt(t, path), (0, TIDY, ""))
    equal(path.read_text(encoding="utf-8"), UNTIDY)
    equal(_fmt(t, "-", stdin=UNTIDY), (0, TIDY, ""))


def check_names_what_would_change_and_writes_nothing(t):
    untidy, tidy = _file(t, UNTIDY), _file(t, TIDY, "tidy.yaml")
    equal(_fmt(t, "--check", untidy, tidy), (1, f"{untidy}\n", ""))
    equal(_fmt(t, "--check", tidy), (0, "", ""))
    equal(untidy.read_text(encoding="utf-8"), UNTIDY)


def write_replaces_what_changes_and_keeps_its_mode_and_link(t):
    path, tidy = _file(t, UNTIDY, "real.yaml"), _file(t, TIDY, "tidy.yaml")
    path.chmod(0o640)
    link = pathlib.Path(t.directory, "link.yaml")
    link.symlink_to("real.yaml")
    before = tidy.stat()
    equal(_fmt(t, "--write", link, tidy), (0, f"{link}\n", ""))
    equal(path.read_text(encoding="utf-8"), TIDY)
    equal((stat.S_IMODE(path.stat().st_mode), link.is_symlink()), (0o640, True))
    equal((tidy.stat().st_ino, tidy.stat().st_mtime_ns), (before.st_ino, before.st_mtime_ns), "a file that is tidy already")
    equal(sorted(os.listdir(t.directory)), ["link.yaml", "real.yaml", "tidy.yaml"], "nothing is left behind")


def a_file_with_errors_is_refused_unharmed(t):
    broken = _file(t, UNTIDY.replace("limit", "limmit"))
    fine = _file(t, UNTIDY, "fine.yaml")
    code, output, errors = _fmt(t, "--write", broken, fine)
    equal((code, output), (78, f"{fine}\n"))
    assert "E0312" in errors and "did you mean `limit`?" in errors, errors
    equal(broken.read_text(encoding="utf-8"), UNTIDY.replace("limit", "limmit"))
    equal(fine.read_text(encoding="utf-8"), TIDY)
    code, output, errors = _fmt(t, "-", stdin="version: [1\n")
    equal((code, output), (78, ""))
    assert "E0104" in errors, errors


def a_write_that_fails_changes_nothing(t):
    folder = pathlib.Path(t.folder("full"))
    path = folder / "weir.yaml"
    path.write_text(UNTIDY + "# " + "x" * 200_000 + "\n", encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    limited = f"ulimit -f 64; trap '' XFSZ; exec {t.build.path} fmt --write {path}"     # 64 KiB
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, timeout=60)
    equal((done.returncode, done.stdout), (1, ""))
    assert "cannot write" in done.stderr and "too large" in done.stderr, done.stderr
    equal(path.read_text(encoding="utf-8"), before)
    equal(os.listdir(folder), ["weir.yaml"])


def what_makes_no_sense_is_a_usage_error(t):
    path = _file(t, TIDY)
    for arguments in (["--check", "--write", path], ["--write", "-"], [path, path], [], ["weir.json"]):
        equal(_fmt(t, *arguments)[:2], (64, ""), arguments)
    code, _, errors = _fmt(t, "/no/such/file.yaml")
    equal(code, 78)
    assert "E0501" in errors, errors


def the_examples_check_the_same_before_and_after(t):
    folder = pathlib.Path(t.directory, "examples")
    shutil.copytree(EXAMPLES, folder)
    files = sorted(folder.glob("*.yaml"))

    def rules():
        done = subprocess.run([t.build.path, "check", "--format", "json", *files], capture_output=True, text=True,
                              timeout=60)
        return [(file["ok"], file["rules"], sorted((p["code"], p["path"]) for p in file["problems"]))
                for file in json.loads(done.stdout)]

    before = rules()
    equal(_fmt(t, "--write", *files)[0], 0)
    equal(rules(), before)
    equal(_fmt(t, "--check", *files), (0, "", ""))


class Policies:
    """Random policies in random layouts, with a comment at every place where one may stand."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self.comments = 0

    def text(self):
        r = self._random
        parts = [self._entry("version", "1"), self._upstreams(), self._routes(), self._rules()]
        parts += [self._entry("workers", r.choice(["auto", "2"]))] if r.random() < .5 else []
        parts += [self._entry("drain", self._flow({"delay": "1s", "timeout": "9s"}))] if r.random() < .5 else []
        r.shuffle(parts)
        return "".join(parts) + self._own(0)

    def _upstreams(self):
        names = self._random.sample(["web", "api", "old", "new"], self._random.randint(1, 4))
        self.names = names
        return self._entry("upstreams", "") + "".join(
            self._entry(name, self._flow({"url": '"http://127.0.0.1:3000"', "balance": "round_robin"}), 2)
            for name in names)

    def _routes(self):
        return self._items("routes", [{"name": f"r{i}", "upstream": self._random.choice(self.names), "match":
                                       self._flow({"path": f'"/{i}/**"', "methods": "[GET, POST]"})} for i in range(3)])

    def _rules(self):
        return self._items("rules", [{"name": f"limit-{i}", "limit": self._random.choice(["5/second", '"9/minute"']),
                                      "key": "[client_ip]", "cost": self._flow({"default": "1", "r0": "2"})}
                                     for i in range(self._random.randint(1, 4))])

    def _items(self, key, items):
        shift = self._random.choice([0, 2, 4])
        text = self._entry(key, "")
        for item in items:
            if self._random.random() < .4:
                text += self._own(shift) + " " * shift + "- " + self._flow(item) + self._beside()
                continue
            fields = list(item.items())
            self._random.shuffle(fields)
            for i, (name, value) in enumerate(fields):
                text += self._own(shift + (0 if i == 0 else 2))
                text += " " * shift + ("- " if i == 0 else "  ") + f"{name}: {value}" + self._beside()
        return text

    def _flow(self, fields):
        names = list(fields)
        self._random.shuffle(names)
        return "{" + self._random.choice([", ", " , ", ","]).join(f"{n}: {fields[n]}" for n in names) + "}"

    def _entry(self, key, value, indent=0):
        return self._own(indent) + " " * indent + f"{key}: {value}".rstrip() + self._beside()

    def _own(self, indent):
        text = "\n" * self._random.choice([0, 0, 0, 1, 3])
        if self._random.random() < .4:
            text += " " * max(0, indent + self._random.choice([0, 0, 2, -2])) + self._comment() + "\n"
        return text

    def _beside(self):
        return (" " * self._random.randint(1, 9) + self._comment() if self._random.random() < .3 else "") + "\n"

    def _comment(self):
        self.comments += 1
        return f"# comment {self.comments}: with 'quotes', {{brackets}} and #"


def random_policies_lose_nothing(t):
    count, comments = 1000 if t.thorough else 100, 0
    folder = pathlib.Path(t.folder("random"))
    texts = {}
    for seed in range(count):
        made = Policies(seed)
        path = folder / f"{seed}.yaml"
        texts[path] = made.text()
        comments += made.comments
        path.write_text(texts[path], encoding="utf-8")
    code, _, errors = _fmt(t, "--write", *texts)
    equal((code, errors), (0, ""))
    for path, before in texts.items():
        after = path.read_text(encoding="utf-8")
        equal(sorted(l[l.index("# comment"):].rstrip() for l in after.splitlines() if "# comment" in l),
              sorted(l[l.index("# comment"):].rstrip() for l in before.splitlines() if "# comment" in l), path)
    equal(_fmt(t, "--check", *texts), (0, "", ""))
    t.note(f"{count} policies, {comments} comments")
