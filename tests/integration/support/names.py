# SPDX-License-Identifier: Apache-2.0
"""Names that mean what a test wants, and change while weir runs (names.c)."""

import os
import shutil
import subprocess


class Names:
    """`env` goes to the weir; `names["app.test"] = ("127.0.0.1", "127.0.0.2")` says what a name means from now on."""

    def __init__(self, t):
        compiler = next((c for c in ("cc", "gcc", "clang", "clang-19") if shutil.which(c)), None)
        assert compiler, "no C compiler"
        directory = t.folder("names")
        library, self.path = os.path.join(directory, "names.so"), os.path.join(directory, "names")
        source = os.path.join(os.path.dirname(__file__), "names.c")
        subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
        self.env = {"LD_PRELOAD": library, "WEIR_NAMES_FILE": self.path}
        self.known = {}
        self._write()

    def __setitem__(self, name, addresses):
        self.known[name] = (0, addresses)
        self._write()

    def fail(self, name, after_ms=0):
        """The look-up ends with an error."""
        self.known[name] = (after_ms, ())
        self._write()

    def slow(self, name, ms, addresses):
        self.known[name] = (ms, addresses)
        self._write()

    def _write(self):
        with open(self.path + ".new", "w", encoding="ascii") as f:
            for name, (ms, addresses) in self.known.items():
                f.write(" ".join([name, str(ms), *addresses]) + "\n")
        os.replace(self.path + ".new", self.path)
