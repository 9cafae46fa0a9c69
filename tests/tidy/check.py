#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks of the tree that a compiler does not make. Prints one line per check and `N passed, N failed`."""

import re
import subprocess
import sys
from pathlib import Path

from cmake_sources import owners
from policy_words import policy_words

ROOMS = ("lua", "limiter", "proxy", "config")

# target -> the targets whose headers it may include, itself apart. The arrows of the house; there are no others.
MAY_INCLUDE = {
    "lua_scripts": set(),
    "limiter_core": {"lua_scripts"},
    "limiter": {"limiter_core", "lua_scripts"},
    "proxy_core": {"limiter_core"},
    "proxy": {"proxy_core", "limiter_core", "limiter"},
    "config": {"proxy_core", "limiter_core"},
    "weir_cli": {"proxy", "proxy_core", "limiter", "limiter_core", "config"},
    "weir": {"weir_cli", "proxy", "proxy_core", "limiter", "limiter_core", "config"},
    "asio": set(),
}

# header prefix -> the targets that may include it
LIBRARIES = {
    "boost/asio": {"asio", "limiter", "proxy", "weir_cli", "weir"},
    "boost/beast": {"asio", "proxy", "weir_cli", "weir"},
    "hiredis/": {"limiter"},
    "cjose/": {"proxy_core"},
    "jansson.h": {"proxy_core"},
    "yaml-cpp/": {"config"},
    "CLI/": {"weir_cli", "weir"},
    "sys/socket.h": {"limiter", "proxy", "weir_cli", "weir"},
    "sys/epoll.h": {"limiter", "proxy", "weir_cli", "weir"},
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', re.M)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def layering(root, files):
    """Includes point the way the targets do, and a library is included only where it belongs."""
    owner_of = owners(root, files)
    for file in files:
        if not re.match(rf"({'|'.join(ROOMS)})/.*\.(hpp|cpp|cxx)$", file):
            continue
        target = owner_of.get(file)
        if target is None:
            yield f"{file}: belongs to no target"
            continue
        text = Path(root, file).read_text()
        for match in INCLUDE.finditer(text):
            header, place = match[1], f"{file}:{line_of(text, match.start())}"
            other = owner_of.get(header)
            if other and other != target and other not in MAY_INCLUDE[target]:
                yield f"{place}: {target} must not include {header} of {other}"
            for prefix, allowed in LIBRARIES.items():
                if header.startswith(prefix) and target not in allowed:
                    yield f"{place}: {target} must not include {header}"


def without_comments_and_strings(text):
    """Same length, same lines; what is no code is blank."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def rest_of_expression(text, start):
    """From `start` to the end of its full expression, as far as text tells."""
    depth = 0
    for i in range(start, len(text)):
        if text[i] in "([{":
            depth += 1
        elif text[i] in ")]}":
            depth -= 1
        if depth < 0 or (depth == 0 and text[i] == ";"):
            return text[start:i]
    return text[start:]


AGGREGATE = re.compile(r"\{\s*\.\w+\s*=|[(,]\s*\{\s*[^}\s]")
CAPTURING_LAMBDA = re.compile(r"[(,=]\s*\[[^\]\[]+\]\s*(?:\(|\{|mutable)")
LAMBDA_COROUTINE = re.compile(r"[(,=]\s*\[[^\]\[]+\]\s*(?:\([^()]*\))?[^;{}]*->\s*(?:\w+::)*awaitable\b")


def coroutine_forms(root, files):
    """g++ 12 destroys an aggregate or capturing-lambda temporary beside a co_await twice: name it first, then move it."""
    for file in files:
        if not re.search(r"\.(hpp|cpp|cxx)$", file):
            continue
        text = without_comments_and_strings(Path(root, file).read_text())
        for match in re.finditer(r"\bco_await\b", text):
            expression = rest_of_expression(text, match.start())
            for pattern, what in ((AGGREGATE, "an aggregate"), (CAPTURING_LAMBDA, "a capturing lambda")):
                if pattern.search(expression):
                    yield f"{file}:{line_of(text, match.start())}: {what} inside a co_await expression; name it first"
        for match in LAMBDA_COROUTINE.finditer(text):
            yield f"{file}:{line_of(text, match.start())}: a capturing lambda is a coroutine; make it a named function"


def licence_headers(root, files):
    """Every source says its licence in its first lines. Data of the tests does not."""
    for file in files:
        is_source = re.search(r"(\.(hpp|cpp|cxx|py|sh|lua|mjs|js|css|cmake)|CMakeLists\.txt|Dockerfile|\.ci/run)$", file)
        is_policy = re.search(r"\.ya?ml$", file) and not file.startswith("tests/")
        if is_source or is_policy:
            head = Path(root, file).read_text().splitlines()[:5]
            if not any("SPDX-License-Identifier: Apache-2.0" in line for line in head):
                yield f"{file}: no SPDX-License-Identifier in its first lines"


# Written so that no pattern matches its own text.
FORBIDDEN = {
    r"[.][.]/shared\b": "a path outside the tree",
    r"(?<![\w$}.])/wor[k]/": "a path of one machine",
    r"(?i)\bissue\s+#?\d": "a number of a tracker",
    r"(?i)registry[.]npmjs|deb[.]debian[.]org": "the host of a package registry",
    r"\b(?:TOD[O]|FIXM[E]|XX[X])\b": "a note instead of the work",
}


def forbidden_words(root, files):
    """The tree stands on its own: it names no place, tracker or host outside, and holds no notes to self."""
    for file in files:
        try:
            text = Path(root, file).read_text()
        except UnicodeDecodeError:
            continue
        for pattern, what in FORBIDDEN.items():
            for match in re.finditer(pattern, text):
                yield f"{file}:{line_of(text, match.start())}: {what}: {match[0]}"


def readmes(root, files):
    """Every room has a README, and a link of a README leads somewhere."""
    for room in ("", *ROOMS, "tests", "deploy"):
        if str(Path(room, "README.md")) not in files:
            yield f"{room or 'the top'}: no README.md"
    for file in files:
        if not file.endswith(".md"):
            continue
        text = re.sub(r"```.*?```", lambda m: re.sub(r"[^\n]", " ", m[0]), Path(root, file).read_text(), flags=re.S)
        for match in re.finditer(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            target = match[1]
            if "://" not in target and not Path(root, file).parent.joinpath(target).exists():
                yield f"{file}:{line_of(text, match.start())}: no such file: {target}"


CHECKS = (layering, coroutine_forms, licence_headers, forbidden_words, readmes, policy_words)


def files_of(root):
    """Tracked files and new ones that git would not ignore."""
    listing = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             check=True, capture_output=True, text=True).stdout
    return sorted(f for f in set(listing.split("\0")) if f and Path(root, f).is_file())


def main():
    root = Path(__file__).resolve().parents[2]
    files = files_of(root)
    failed = 0
    for check in CHECKS:
        problems = list(check(root, files))
        failed += bool(problems)
        print(f"{'FAILED' if problems else 'ok':7} {check.__name__.replace('_', ' ')}: {check.__doc__.splitlines()[0]}")
        for problem in problems:
            print(f"        {problem}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
