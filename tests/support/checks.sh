# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by the shell suites: what must be accepted, what must be refused, and the closing line.

checks_work=$(mktemp -d) # a folder for the suite's own files too; gone at its end
trap 'rm -rf "$checks_work"' EXIT
checks_passed=0 checks_failed=0

report() { # report ok|FAILED NAME
  if [ "$1" = ok ]; then checks_passed=$((checks_passed + 1)); else checks_failed=$((checks_failed + 1)); fi
  printf '%-7s %s\n' "$1" "$2"
}

accepts() { # accepts NAME COMMAND...
  local name=$1
  shift
  if "$@" >"$checks_work/output" 2>&1 </dev/null; then
    report ok "$name"
  else
    report FAILED "$name"
    head -n 40 "$checks_work/output"
  fi
}

# The command must fail and say the words: one that fails for another reason proves nothing.
refuses() { # refuses NAME WORDS COMMAND...
  local name=$1 words=$2
  shift 2
  if "$@" >"$checks_work/output" 2>&1 </dev/null; then
    report FAILED "$name: it was accepted"
  elif ! grep -qF -e "$words" "$checks_work/output"; then
    report FAILED "$name: refused without \`$words\`"
    head -n 40 "$checks_work/output"
  else
    report ok "$name"
  fi
}

skip() { # skip NAME WHY
  printf '%-7s %s: %s\n' skipped "$1" "$2"
}

# A copy of FILE after a sed expression; one that changes nothing is a mistake of the test.
broken() { # broken FILE SED-EXPRESSION -> path
  local copy
  copy=$checks_work/$(basename "$1")
  sed -E "$2" "$1" >"$copy"
  if cmp -s "$1" "$copy"; then echo "\`$2\` changes nothing in $1" >&2; fi
  echo "$copy"
}

# Prints the closing line; its status is the suite's.
closing_line() {
  echo "$checks_passed passed, $checks_failed failed"
  [ "$checks_failed" -eq 0 ]
}
