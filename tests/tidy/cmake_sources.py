# SPDX-License-Identifier: Apache-2.0
"""Which target a file belongs to, read from the CMakeLists.txt of the rooms.

Understands what those files use: file(GLOB), set(), list(FILTER), list(REMOVE_ITEM), add_library() and
add_executable(). A header belongs to the target that a source of the same name would belong to.
"""

import fnmatch
import re
from pathlib import Path, PurePosixPath

TOKEN = re.compile(r'#[^\n]*|"((?:[^"\\]|\\.)*)"|([()])|([^\s()"#]+)', re.S)


def commands(text):
    """Yields (name, arguments) of each command of a CMakeLists.txt."""
    name, arguments, depth = None, [], 0
    for match in TOKEN.finditer(text):
        quoted, paren, word = match.groups()
        if paren == "(":
            depth += 1
        elif paren == ")":
            depth -= 1
            if depth == 0:
                yield name, arguments
                arguments = []
        elif depth == 0:
            name = word
        elif quoted is not None:
            arguments.append(re.sub(r"\\(.)", r"\1", quoted))
        elif word is not None:
            arguments.append(word)


def glob(room, files, patterns, recursive):
    found = []
    for pattern in patterns:
        pattern = PurePosixPath(room, pattern.replace("${CMAKE_CURRENT_SOURCE_DIR}/", ""))
        for file in map(PurePosixPath, files):
            in_folder = file.is_relative_to(pattern.parent) if recursive else file.parent == pattern.parent
            if in_folder and fnmatch.fnmatchcase(file.name, pattern.name):
                found.append(str(file))
    return found


def sources_of_room(room, text, files):
    """{target: [source]} of one CMakeLists.txt; `files` are all sources that could exist, relative to the top."""
    variables, targets = {}, {}

    def expand(arguments):
        result = []
        for argument in arguments:
            variable = re.fullmatch(r"\$\{(\w+)\}", argument)
            result += variables.get(variable[1], []) if variable else [argument]
        return result

    for name, arguments in commands(text):
        if name == "file" and arguments[0] in ("GLOB", "GLOB_RECURSE"):
            patterns = [a for a in arguments[2:] if a != "CONFIGURE_DEPENDS"]
            variables[arguments[1]] = glob(room, files, patterns, arguments[0] == "GLOB_RECURSE")
        elif name == "set":
            variables[arguments[0]] = expand(arguments[1:])
        elif name == "list" and arguments[0] == "FILTER":
            _, variable, mode, _, regex = arguments
            keep = mode == "INCLUDE"
            variables[variable] = [f for f in variables[variable] if bool(re.search(regex, f)) == keep]
        elif name == "list" and arguments[0] == "REMOVE_ITEM":
            gone = set(expand(arguments[2:]))
            variables[arguments[1]] = [f for f in variables[arguments[1]] if f not in gone]
        elif name in ("add_library", "add_executable"):
            targets.setdefault(arguments[0], []).extend(
                f if f in files else f"{room}/{f}" for f in expand(arguments[1:]))
    return targets


def as_source(file):
    return re.sub(r"\.(hpp|cxx)$", ".cpp", file)


def owners(root, files):
    """{file: target} for the .hpp, .cpp and .cxx of the rooms; a file of no target is left out."""
    code = [f for f in files if re.search(r"\.(hpp|cpp|cxx)$", f)]
    sources = sorted({as_source(f) for f in code})
    owner_of = {}
    for room in ("limiter", "proxy", "config"):
        text = Path(root, room, "CMakeLists.txt").read_text()
        for target, owned in sources_of_room(room, text, sources).items():
            owner_of.update({as_source(source): target for source in owned})
    result = {f: owner_of[as_source(f)] for f in code if as_source(f) in owner_of}
    result.update({f: "lua_scripts" for f in code if f.startswith("lua/")})
    if "proxy/main.cpp" in code:
        result["proxy/main.cpp"] = "weir"
    return result
