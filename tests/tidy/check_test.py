#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each check of check.py finds what it is there to find, and leaves good code alone."""

import sys
import tempfile
import unittest
from pathlib import Path

import check
from cmake_sources import owners

ROOT = Path(__file__).resolve().parents[2]


class Tree(unittest.TestCase):
    """A small tree with the real CMakeLists.txt of the rooms."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.files = []
        for room in ("limiter", "proxy", "config"):
            self.write(f"{room}/CMakeLists.txt", (ROOT / room / "CMakeLists.txt").read_text())

    def write(self, name, text=""):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        self.files.append(name)

    def problems(self, check_function):
        return list(check_function(self.root, self.files))

    def assert_finds(self, check_function, words):
        found = self.problems(check_function)
        self.assertEqual(len(found), 1, found)
        self.assertIn(words, found[0])

    def assert_content(self, check_function):
        self.assertEqual(self.problems(check_function), [])


class Owners(Tree):
    def test_targets_follow_the_cmake_files(self):
        for name in ("limiter/policy.cpp", "limiter/stores/memory_store.hpp", "limiter/stores/redis_store.hpp",
                     "limiter/asio_impl.cxx", "proxy/settings.hpp", "proxy/runtime/timer_wheel.hpp",
                     "proxy/runtime/worker.cpp", "proxy/main.cpp", "proxy/cli/run.cpp", "config/sections/rules.cpp",
                     "lua/scripts.hpp"):
            self.write(name)
        self.assertEqual(owners(self.root, self.files), {
            "limiter/policy.cpp": "limiter_core", "limiter/stores/memory_store.hpp": "limiter_core",
            "limiter/stores/redis_store.hpp": "limiter", "limiter/asio_impl.cxx": "asio",
            "proxy/settings.hpp": "proxy_core", "proxy/runtime/timer_wheel.hpp": "proxy_core",
            "proxy/runtime/worker.cpp": "proxy", "proxy/main.cpp": "weir", "proxy/cli/run.cpp": "weir_cli",
            "config/sections/rules.cpp": "config", "lua/scripts.hpp": "lua_scripts"})


class Layering(Tree):
    def test_the_limiter_must_not_know_the_proxy(self):
        self.write("proxy/settings.hpp")
        self.write("limiter/policy.cpp", '#include "proxy/settings.hpp"\n')
        self.assert_finds(check.layering, "limiter/policy.cpp:1: limiter_core must not include proxy/settings.hpp")

    def test_pure_code_must_not_include_asio(self):
        self.write("proxy/http/head.cpp", "\n#include <boost/asio/io_context.hpp>\n")
        self.assert_finds(check.layering, "proxy/http/head.cpp:2: proxy_core must not include boost/asio")

    def test_pure_code_must_not_include_code_with_sockets(self):
        self.write("proxy/upstream/pool.hpp")
        self.write("proxy/http/head.cpp", '#include "proxy/upstream/pool.hpp"\n')
        self.assert_finds(check.layering, "proxy_core must not include proxy/upstream/pool.hpp of proxy")

    def test_only_the_verbs_may_include_config(self):
        self.write("config/load.hpp")
        self.write("proxy/cli/check.cpp", '#include "config/load.hpp"\n')
        self.write("proxy/main.cpp", '#include "config/load.hpp"\n')
        self.assert_content(check.layering)
        self.write("proxy/runtime/reload.cpp", '#include "config/load.hpp"\n')
        self.assert_finds(check.layering, "proxy must not include config/load.hpp")

    def test_config_must_not_include_code_with_sockets(self):
        self.write("proxy/admin/admin_server.hpp")
        self.write("config/load.cpp", '#include "proxy/admin/admin_server.hpp"\n#include <yaml-cpp/yaml.h>\n')
        self.assert_finds(check.layering, "config must not include proxy/admin/admin_server.hpp")

    def test_yaml_stays_in_config(self):
        self.write("proxy/settings.cpp", "#include <yaml-cpp/yaml.h>\n")
        self.assert_finds(check.layering, "proxy_core must not include yaml-cpp/yaml.h")

    def test_a_file_without_a_target_is_named(self):
        self.write("proxy/lost/file.cpp")
        self.assert_finds(check.layering, "proxy/lost/file.cpp: belongs to no target")


class CoroutineForms(Tree):
    def code(self, text):
        self.write("proxy/x.cpp", text)

    def test_an_aggregate_beside_co_await(self):
        self.code("void f() {\n  co_await g({.name = s});\n}\n")
        self.assert_finds(check.coroutine_forms, "proxy/x.cpp:2: an aggregate")

    def test_a_positional_aggregate_beside_co_await(self):
        self.code("auto r = co_await g(a, {s, 1});")
        self.assert_finds(check.coroutine_forms, "an aggregate")

    def test_a_capturing_lambda_beside_co_await(self):
        self.code("co_await co_spawn(ex, [s = std::move(s)] { return f(s); }, use_awaitable);")
        self.assert_finds(check.coroutine_forms, "a capturing lambda inside")

    def test_a_lambda_that_is_a_coroutine(self):
        self.code("co_spawn(ex, [this]() -> awaitable<void> { return run(); }, detached);")
        self.assert_finds(check.coroutine_forms, "make it a named function")

    def test_the_named_forms_pass(self):
        self.code('request r{.name = s};\nauto x = co_await g(std::move(r));\nwhile (co_await h(a[i])) { k({1, 2}); }\n'
                  'co_await p([](auto x) { return x; });\n// co_await g({.a = 1});\nlog("co_await g({.a = 1})");\n')
        self.assert_content(check.coroutine_forms)


class Text(Tree):
    def test_a_source_without_a_licence(self):
        self.write("proxy/x.hpp", "#pragma once\n")
        self.assert_finds(check.licence_headers, "proxy/x.hpp: no SPDX")

    def test_a_source_with_a_licence(self):
        self.write("proxy/x.hpp", "// SPDX-License-Identifier: Apache-2.0\n")
        self.assert_content(check.licence_headers)

    def test_words_that_point_outside(self):
        for text in ("see ." + "./shared/x", "lies in /wor" + "k/main", "fixes issu" + "e 7", "TO" + "DO: later"):
            with self.subTest(text):
                self.files = []
                self.write("README.md", "fine\n" + text)
                self.assert_finds(check.forbidden_words, "README.md:2: ")

    def test_ordinary_words_pass(self):
        self.write("a.cpp", 'std::shared_ptr<x> p; "$work/file"; // an issue of order\n')
        self.assert_content(check.forbidden_words)

    def test_a_room_without_a_readme(self):
        for room in ("", "lua/", "limiter/", "config/", "tests/", "deploy/"):
            self.write(room + "README.md")
        self.assert_finds(check.readmes, "proxy: no README.md")

    def test_a_dead_link(self):
        for room in ("", "lua/", "limiter/", "proxy/", "config/", "tests/", "deploy/"):
            self.write(room + "README.md", "[a](https://example.org) [b](README.md#part)\n")
        self.assert_content(check.readmes)
        self.write("proxy/README.md", "\n[c](nowhere.md)\n")
        self.files.pop()
        self.assert_finds(check.readmes, "proxy/README.md:2: no such file: nowhere.md")


class PolicyWords(Tree):
    TABLE = "| `deny.cors` | word | none | `none` `mirror`; pages |\n| `workers` | integer | auto | 1 |\n"

    def setUp(self):
        super().setUp()
        self.write("config/README.md", self.TABLE)
        self.write("limiter/selectors/user.cpp", '    .name = "user",\n')
        self.write("tests/integration/a_test.py", 'policy(deny={"cors": "mirror"}, workers=1, key=["user"])\n')

    def test_all_that_is_used(self):
        self.assertEqual(self.problems(check.policy_words), [])

    def test_a_key_a_word_and_a_selector_that_no_test_uses(self):
        self.write("tests/integration/a_test.py", 'policy(log={"cors": "none"})\n')
        self.assertEqual(self.problems(check.policy_words),
                         ["no test uses deny.cors", "no test uses deny.cors=mirror", "no test uses workers",
                          "no test uses selector user"])

    def test_the_list_of_other_places_holds_nothing_in_vain(self):
        self.write("tests/tidy/policy_words.txt", "# note\nworkers <- tests/integration/a_test.py: all\nnone <- x: y\n")
        self.assertEqual(self.problems(check.policy_words),
                         ["tests/tidy/policy_words.txt: workers is found without it",
                          "tests/tidy/policy_words.txt: there is no none"])


if __name__ == "__main__":
    result = unittest.TextTestRunner(verbosity=0).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    failed = len(result.failures) + len(result.errors)
    print(f"{max(result.testsRun - failed, 0)} passed, {failed} failed")
    sys.exit(1 if failed else 0)
