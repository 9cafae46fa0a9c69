# SPDX-License-Identifier: Apache-2.0
"""Every key of the policy file, every word a key takes, and every selector is used by a test."""

import re
from pathlib import Path

REFERENCE = "config/README.md"
SELECTORS = "limiter/selectors/"
# These write keys out without looking at what they do.
LOOK_AT_NOTHING = ("tests/unit/config/key_reference_test.cpp", "tests/unit/config/yaml_reader_test.cpp", "tests/fuzz/",
                   "tests/bench/", "tests/tidy/")
# What tests name in a way that the search below does not see, and the test that exercises it.
ELSEWHERE = "tests/tidy/policy_words.txt"


def reference_rows(text):
    """(path of the key, its words but the default); words only of keys that take nothing but words.

    The default is what every test runs with that does not write the key."""
    for line in text.splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 4 or not cells[0].startswith("`"):
            continue
        path, kind, default, meaning = cells
        chosen = kind in ("word", "word or list", "list of words")
        words = re.findall(r"`([^`]*)`", meaning.split(";")[0]) if chosen else []
        yield path.strip("`"), [w for w in words if w != default]


def selectors(root, files):
    for file in files:
        if file.startswith(SELECTORS) and file.endswith(".cpp"):
            for name in re.findall(r'^\s*\.name = "([a-z_]+)"', Path(root, file).read_text(), re.M):
                yield name


def key_pattern(path):
    """The key below its parent, as YAML, JSON or Python write it; without a parent the key alone."""
    parts = [p.removesuffix("[]") for p in path.split(".") if p not in ("NAME", "NAME[]")]
    end = r"""\\?["']?\]?\s*[:=]"""
    leaf = rf"\b{re.escape(parts[-1])}{end}"
    return rf"\b{re.escape(parts[-2])}\b.{{0,600}}?{leaf}" if len(parts) > 1 else leaf


def word_pattern(path, word):
    leaf = re.escape(path.split(".")[-1])
    return rf"""\b{leaf}\\?["']?\s*[:=].{{0,120}}?(?<![\w-]){re.escape(word)}(?![\w-])"""


def tests_of(root, files):
    """The text of each test, that of a Python test with what stands outside of policies, too."""
    for file in files:
        if file.startswith("tests/") and file.endswith(("_test.cpp", "_test.py", "conformance.cpp", ".yaml")):
            if not file.startswith(LOOK_AT_NOTHING):
                yield Path(root, file).read_text()


def wanted(root, files):
    """(what, pattern) of all that must be used."""
    for path, words in reference_rows(Path(root, REFERENCE).read_text()):
        yield path, key_pattern(path)
        for word in words:
            yield f"{path}={word}", word_pattern(path, word)
    for name in selectors(root, files):
        yield f"selector {name}", rf"""["'[ ]{name}(:|["'\],])"""


def policy_words(root, files):
    """Every key, word and selector of the policy file is used by a test."""
    if REFERENCE not in files:
        return
    texts = list(tests_of(root, files))
    elsewhere = {}
    if ELSEWHERE in files:
        for line in Path(root, ELSEWHERE).read_text().splitlines():
            if line and not line.startswith("#"):
                what, _, test = line.partition(" <- ")
                elsewhere[what.strip()] = test.strip()
    known = set()
    for what, pattern in wanted(root, files):
        known.add(what)
        found = any(re.search(pattern, text, re.S) for text in texts)
        if found and what in elsewhere:
            yield f"{ELSEWHERE}: {what} is found without it"
        if not found and what not in elsewhere:
            yield f"no test uses {what}"
    for what, test in elsewhere.items():
        file = test.split(":")[0]
        if what not in known:
            yield f"{ELSEWHERE}: there is no {what}"
        elif file not in files:
            yield f"{ELSEWHERE}: {what} names {file}, which is no file"
