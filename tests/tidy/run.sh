#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a compiler does not check: layering and text checks, formatting, clang-tidy.
# Usage: tests/tidy/run.sh [--fast]     --fast leaves clang-tidy out (it takes minutes)
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1
# shellcheck source=tests/support/checks.sh
. tests/support/checks.sh
readonly jobs=2 files_per_process=4

check_text() {
  local word rest closed=''
  accepts 'the checks find what they are there to find' python3 tests/tidy/check_test.py
  while read -r word rest; do
    case $word in
      ok | FAILED) report "$word" "$rest" ;;
      [0-9]*) closed=1 ;;
      *) echo "        $word $rest" ;;
    esac
  done < <(python3 tests/tidy/check.py 2>&1)
  [ -n "$closed" ] || report FAILED 'check.py ended early'
}

# Names the files, not every place in them: `clang-format -i` mends them all.
well_formatted() { # well_formatted FILE...
  clang-format --dry-run -Werror "$@" 2>&1 | sed -nE 's/^([^:]+):[0-9]+:.*/\1: run clang-format -i/p' | sort -u
  return "${PIPESTATUS[0]}"
}

check_format() {
  local sources version
  version=$(clang-format --version | grep -oE 'version [0-9]+')
  if [ "$version" != 'version 14' ]; then
    skip 'formatting' "clang-format is $version, the rules are those of 14"
    return
  fi
  mapfile -t sources < <(git ls-files '*.hpp' '*.cpp' '*.cxx')
  accepts "formatting of ${#sources[@]} files" well_formatted "${sources[@]}"
  printf 'int  f( ){return 1 ;}\n' >"$checks_work/ugly.cpp"
  refuses 'a file not formatted' 'ugly.cpp: run clang-format' well_formatted "$checks_work/ugly.cpp"
}

# The flags come from the dev preset; g++ knows warnings that clang does not, and libstdc++ 12 uses in its own headers
# what clang 19 calls deprecated.
tidy_sources() {
  cmake --preset dev >/dev/null &&
    git ls-files 'limiter/*.cpp' 'proxy/*.cpp' 'config/*.cpp' |
    xargs -P "$jobs" -n "$files_per_process" \
      clang-tidy-19 --quiet -p build/dev --extra-arg=-Wno-unknown-warning-option \
      --extra-arg=-Wno-deprecated-declarations
}

check_tidy() {
  cat >"$checks_work/lambda.cpp" <<'CODE'
#include <coroutine>
struct task {
  struct promise_type {
    task get_return_object() { return {}; }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};
void f(int value) {
  auto coroutine = [value]() -> task { (void)value; co_return; };
  coroutine();
}
CODE
  refuses 'a capturing lambda that is a coroutine' 'avoid-capturing-lambda-coroutines' \
    clang-tidy-19 --quiet --config-file=.clang-tidy "$checks_work/lambda.cpp" -- -std=c++20
  accepts 'clang-tidy of the product' tidy_sources
}

check_text
check_format
if [ "${1:-}" = --fast ]; then skip 'clang-tidy' '--fast'; else check_tidy; fi
closing_line
