# SPDX-License-Identifier: Apache-2.0
"""What the shells complete, what the manual page says, and what a typo on the command line is answered."""

import contextlib
import os
import pathlib
import pty
import re
import select
import shlex
import subprocess
import time

from support.check import equal


def _weir(t, *arguments):
    done = subprocess.run([t.build.path, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def _script(t, shell):
    """The completion script as a file, beside two files to complete."""
    t.need(shell)
    code, text, _ = _weir(t, "completion", shell)
    equal(code, 0)
    path = pathlib.Path(t.directory, "script")
    path.write_text(text, encoding="utf-8")
    for name in ("policy one.yaml", "policy-two.yaml"):
        pathlib.Path(t.directory, name).touch()
    equal(subprocess.run([shell, "-n", path], capture_output=True, text=True, timeout=20).stderr, "")
    return path


def _verbs(t):
    """As the program lists them to somebody who mistypes one."""
    _, _, errors = _weir(t, "no-such-verb")
    return errors.rsplit("verbs: ", 1)[1].split()


def _bash(t, script, *words):
    """What bash offers for the last of `words`, with the cursor behind it."""
    line = " ".join(shlex.quote(word) for word in words)
    program = f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _weir; " \
              "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "--norc", "-c", program], cwd=t.directory, capture_output=True, text=True, timeout=20)
    equal(done.returncode, 0, done.stderr)
    return sorted(done.stdout.split("\n")[:-1])


def bash_completes_verbs_options_words_and_files(t):
    script = _script(t, "bash")
    equal(_bash(t, script, "weir", ""), sorted(_verbs(t)))
    equal(_bash(t, script, "weir", "che"), ["check"])
    equal(_bash(t, script, "weir", "check", "--str"), ["--strict"])
    equal(_bash(t, script, "weir", "check", "--format", ""), ["json", "sarif", "text"])
    equal(_bash(t, script, "weir", "check", "--format", "=", "j"), ["json"])
    equal(_bash(t, script, "weir", "check", "--strict", "pol"), ["policy one.yaml", "policy-two.yaml"])
    equal(_bash(t, script, "weir", "check", "policy-two.yaml", "policy-"), ["policy-two.yaml"])
    equal(_bash(t, script, "weir", "run", "-c", "policy-"), ["policy-two.yaml"])
    equal(_bash(t, script, "weir", "help", "sch"), ["schema"])
    equal(_bash(t, script, "weir", "completion", ""), ["bash", "fish", "zsh"])
    equal(_bash(t, script, "weir", "completion", "bash", "z"), [""])


def _fish(t, script, line):
    program = f"source {script}; complete -C {shlex.quote(line)}"
    done = subprocess.run(["fish", "--no-config", "-c", program], cwd=t.directory, capture_output=True, text=True,
                          timeout=60, env={**os.environ, "HOME": t.directory})
    equal(done.returncode, 0, done.stderr)
    return sorted(text.split("\t")[0] for text in done.stdout.splitlines())


def fish_completes_verbs_options_words_and_files(t):
    script = _script(t, "fish")
    equal(_fish(t, script, "weir "), sorted(_verbs(t)))
    equal(_fish(t, script, "weir check --str"), ["--strict"])
    equal(_fish(t, script, "weir check --format "), ["json", "sarif", "text"])
    equal(_fish(t, script, "weir check --format=j"), ["--format=json"])
    equal(_fish(t, script, "weir check pol"), ["policy one.yaml", "policy-two.yaml"])
    equal(_fish(t, script, "weir help sch"), ["schema"])
    equal(_fish(t, script, "weir completion "), ["bash", "fish", "zsh"])


class Zsh:
    """A zsh at a terminal: what is typed is completed by its tab key, and Ctrl-X shows the line."""

    PATIENCE = 30.0
    SETUP = "autoload -U compinit; compinit -D; source {script}; show() {{ print -r -- \"<$BUFFER>\"; BUFFER=; }}; " \
            "zle -N show; bindkey '^X' show; print rea''dy\n"

    def __init__(self, directory, script):
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(directory)
            os.execvpe("zsh", ["zsh", "-f"], {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": directory})
        self._send(self.SETUP.format(script=script))
        self._read("ready")

    def completed(self, start):
        """The line that `start` becomes."""
        self._send(f"{start}\t\x18")
        return self._read("<(.*)>").strip()

    def _send(self, text):
        os.write(self._terminal, text.encode())

    def _read(self, pattern):
        text, deadline = "", time.monotonic() + self.PATIENCE
        while not (found := re.search(pattern, text)):
            ready, _, _ = select.select([self._terminal], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"zsh is silent; so far {text!r}"
            text += os.read(self._terminal, 65536).decode(errors="replace")
        return found[found.lastindex or 0]

    def stop(self):
        with contextlib.suppress(OSError):
            os.close(self._terminal)
        with contextlib.suppress(OSError):
            os.kill(self._pid, 9)
        os.waitpid(self._pid, 0)


def zsh_completes_verbs_options_words_and_files(t):
    zsh = t.keep(Zsh(t.directory, _script(t, "zsh")))
    equal(zsh.completed("weir che"), "weir check")
    equal(zsh.completed("weir check --str"), "weir check --strict")
    equal(zsh.completed("weir check --format=js"), "weir check --format=json")
    equal(zsh.completed("weir check policy-"), "weir check policy-two.yaml")
    equal(zsh.completed("weir run -c policy-"), "weir run -c policy-two.yaml")
    equal(zsh.completed("weir completion f"), "weir completion fish")


def the_manual_page_is_clean_and_names_every_verb_and_option(t):
    t.need("mandoc")
    code, text, _ = _weir(t, "man")
    equal(code, 0)
    page = pathlib.Path(t.directory, "weir.1")
    page.write_text(text, encoding="utf-8")
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "style", page], capture_output=True, text=True, timeout=20)
    equal(lint.stdout + lint.stderr, "")
    rendered = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=200", page], capture_output=True, text=True,
                              timeout=20).stdout
    plain = "".join(c for i, c in enumerate(rendered) if c != "\b" and rendered[i + 1:i + 2] != "\b")
    for verb in _verbs(t):
        assert f"weir {verb}" in plain, verb
        options = [word.strip(",") for word in _weir(t, verb, "--help")[1].split() if word.startswith("--")]
        for option in options:
            assert option in plain, (verb, option)
    for exit_code in ("0", "1", "64", "69", "78"):
        assert f"\n       {exit_code} " in plain or f"\n     {exit_code} " in plain, exit_code


def a_typo_is_answered_with_what_was_meant(t):
    for arguments, hint in ((["chek", "f"], "did you mean `check`?"), (["check", "--strickt", "f"], "did you mean `--strict`?"),
                            (["check", "--format=jsno", "f"], "did you mean `json`?"),
                            (["completion", "bsh"], "did you mean `bash`?")):
        code, output, errors = _weir(t, *arguments)
        equal((code, output), (64, ""), arguments)
        assert hint in errors, errors
