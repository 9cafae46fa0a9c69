#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs the tests. The last line is `N passed, N failed`; exit 1 if any failed.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
# shellcheck source=deploy/packages.sh
. deploy/packages.sh

readonly logs=$root/build/logs
suite_timeout_s=1800              # a suite that hangs is a failure, not a night without an answer
readonly fuzz_seconds=${FUZZ_SECONDS:-10}
readonly seed=1
readonly all_parts=(release bench asan conformance integration wire chaos tsan fuzz tidy deploy)

usage() {
  cat <<'TEXT'
Usage: tests/run.sh [PART...]      without PART: all but `unit` and `nightly`, in this order

  release      builds the release preset
  bench        what a request costs in instructions and system calls, against the committed baseline
  asan         unit tests under AddressSanitizer and UndefinedBehaviorSanitizer
  conformance  every store against the decision vectors: memory, Redis, Valkey; the script against its twins and
               mutants; sharing, simulated and on a real Redis
  integration  the real program (asan) between a scripted upstream and a real Redis
  wire         raw bytes of requests and responses through weir (asan); nginx and HAProxy for comparison
  chaos        50 seeds, each of three overlapping faults of Redis, upstream, clients and process (asan)
  tsan         unit tests and a reload and drain under load, under ThreadSanitizer
  fuzz         each fuzz target for FUZZ_SECONDS (10), from its corpus
  tidy         layering, coroutine forms, licences, formatting, clang-tidy
  deploy       the validators of everything under deploy/
  unit         the unit tests alone, plain and quick (`asan` runs the same ones)
  nightly      the long runs, hours of them: full figures, chaos of 200 seeds for 60 s each, the soak of 30 minutes

Logs: build/logs/PART.log
TEXT
}

# ---- Counting --------------------------------------------------------------------------------------
passed=0 failed=0               # of the part that runs
passed_total=0 failed_total=0

# "PASSED FAILED" of the last closing line in a log; nothing if it has none.
closing_counts() {
  awk '/^\[doctest\] test cases:/ { counts = $6 " " $9 }
       /^([A-Za-z_-]+: )?[0-9]+ passed, [0-9]+ failed/ {
         line = $0; sub(/^[A-Za-z_-]+: /, "", line); split(line, word, " "); counts = word[1] " " word[3]
       }
       END { if (counts) print counts }' "$1"
}

bounded() { timeout --kill-after=20 "$suite_timeout_s" "$@" </dev/null; }

# Runs a suite and counts what its closing line says. One that crashes, or counts nothing, is a failure.
suite() { # suite NAME COMMAND...
  local name=$1 output=$logs/suite.out status counts
  shift
  echo "==== $name"
  bounded "$@" >"$output" 2>&1
  status=$?
  cat "$output"
  counts=$(closing_counts "$output")
  rm -f "$output"
  local suite_passed=${counts% *} suite_failed=${counts#* }
  if [ -z "$counts" ]; then
    echo "==== $name: no closing line, exit $status"
    suite_passed=0 suite_failed=1
  elif [ "$status" -ne 0 ] && [ "$suite_failed" -eq 0 ]; then
    echo "==== $name: exit $status after its closing line"
    suite_failed=1
  fi
  passed=$((passed + suite_passed)) failed=$((failed + suite_failed))
}

# A command that is one test by itself.
single() { # single NAME COMMAND...
  echo "==== $1"
  if bounded "${@:2}"; then
    passed=$((passed + 1))
  else
    echo "==== $1: FAILED"
    failed=$((failed + 1))
  fi
}

# A build is no test: it counts only when it fails, and then the part ends.
build() { # build PRESET [TARGET...]
  local preset=$1
  shift
  if cmake --preset "$preset" "${build_options[@]}" && ninja -C "build/$preset" "$@"; then return 0; fi
  echo "==== the build of $preset FAILED"
  failed=$((failed + 1))
  return 1
}
build_options=()

skip() { skipped+=("$1: $2"); }
skipped=()

# ---- Parts -----------------------------------------------------------------------------------------
unit_programs() { # unit_programs PRESET
  ctest --test-dir "build/$1" --show-only=json-v1 | jq -r '.tests[].command[0]' | grep '_tests$'
}

run_unit_programs() { # run_unit_programs PRESET
  local program
  for program in $(unit_programs "$1"); do
    suite "$(basename "$program") ($1)" "$program" --order-by=file --rand-seed="$seed"
  done
}

part_release() { build release weir limiter_conformance; }

part_unit() { build dev && run_unit_programs dev; }

part_asan() {
  build asan weir limiter_conformance limiter_core_tests redis_tests proxy_core_tests proxy_tests config_tests \
    lua_script_tests && run_unit_programs asan
}

part_bench() {
  build release weir || return
  suite 'instructions and system calls per request' python3 tests/bench/gate.py --weir build/release/weir
}

part_tsan() {
  # what runs on several threads: workers, stores, log ring and writer
  local program programs=(limiter_core_tests redis_tests proxy_core_tests proxy_tests)
  build tsan weir "${programs[@]}" || return
  for program in "${programs[@]}"; do
    suite "$program (tsan)" "build/tsan/$program" --order-by=file --rand-seed="$seed"
  done
  suite 'reload and drain under load (tsan)' python3 tests/integration/run.py --weir build/tsan/weir --only operate
}

part_fuzz() {
  local source target corpus targets=()
  for source in tests/fuzz/*_fuzz.cpp; do targets+=("$(basename "$source" .cpp)"); done
  build fuzz "${targets[@]}" || return
  for target in "${targets[@]}"; do
    corpus=tests/fuzz/corpus/${target%_fuzz}
    mkdir -p "build/fuzz/found/$target" # new inputs stay out of the tree
    single "$target" "build/fuzz/$target" -seed="$seed" -max_total_time="$fuzz_seconds" -timeout=10 \
      -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="build/fuzz/found/$target-" \
      "build/fuzz/found/$target" "$corpus"
  done
}

part_integration() {
  build asan weir && build release weir || return
  suite 'integration (asan)' python3 tests/integration/run.py --jobs 2 \
    --weir build/asan/weir --weir-release build/release/weir
}

# The scores of the peers are for comparison: they count neither as passed nor as failed.
part_wire() {
  build asan weir || return
  bounded python3 tests/wire/run.py --peer nginx,haproxy || echo '==== the comparison failed'
  suite 'raw bytes (asan)' python3 tests/wire/run.py --weir build/asan/weir
}

part_chaos() {
  build asan weir || return
  suite 'chaos (asan)' tests/chaos/run.py --weir build/asan/weir
}

part_nightly() {
  local suite_timeout_s=18000
  build release weir || return
  suite 'integration, full figures' tests/integration/run.py --weir build/release/weir --thorough --limit 900
  suite 'chaos, 200 seeds' tests/chaos/run.py --weir build/release/weir --seeds 200 --seconds 60
  suite 'soak' tests/chaos/soak.py --weir build/release/weir --minutes "${SOAK_MINUTES:-30}"
}

part_conformance() {
  local program=build/release/limiter_conformance vectors=tests/conformance/vectors valkey
  build release limiter_conformance limiter_simulation upstream_simulation balanced_driver lua_differential lua_script_tests || return
  single 'the vectors are those of the model' tests/conformance/vectors_are_the_models.sh
  suite 'memory store' "$program" --vectors "$vectors"
  single 'the script against its twins, a million operations' build/release/lua_differential
  suite 'mutants of the script' python3 tests/conformance/mutants.py --build build/release
  suite 'sharing (simulation)' build/release/limiter_simulation
  suite 'upstreams (simulation)' build/release/upstream_simulation
  suite 'sharing (Redis)' tests/conformance/run_with_redis.sh build/release/balanced_driver
  conformance_on redis-server
  if valkey=$(find_valkey); then conformance_on "$valkey"; else skip 'conformance on Valkey' 'no package to be had'; fi
}

conformance_on() { # conformance_on SERVER-PROGRAM
  local folder server
  folder=$(mktemp -d /tmp/weir-store.XXXXXX)
  "$1" --port 0 --unixsocket "$folder/store.sock" --dir "$folder" --save '' --appendonly no >"$folder/log" 2>&1 &
  server=$!
  for _ in $(seq 100); do
    [ ! -S "$folder/store.sock" ] || break
    sleep 0.05
  done
  suite "$("$1" --version | cut -d ' ' -f 1-3)" "$program" --vectors "$vectors" --store "unix:$folder/store.sock"
  kill "$server"
  wait "$server"
  rm -rf "$folder"
}

# Prints the path of a valkey-server: an installed one, or one unpacked under build/ from the backports of this
# Debian, whose suite is asked for privately: the machine's own package sources stay as they are.
find_valkey() {
  local folder=$root/build/valkey site codename apt
  command -v valkey-server && return 0
  if [ ! -x "$folder/usr/bin/valkey-server" ]; then
    # shellcheck disable=SC1091
    codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # apt's own placeholders
    site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $codename" | head -n 1)
    [ -n "$site" ] || return 1
    mkdir -p "$folder/lists/partial" "$folder/packages"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $codename-backports main" \
      >"$folder/sources.list"
    apt=(apt-get -qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=/dev/null
      -o "Dir::State::lists=$folder/lists" -o APT::Sandbox::User=root)
    "${apt[@]}" update >&2 || return 1
    (cd "$folder/packages" && "${apt[@]}" download valkey-server valkey-tools >&2) || return 1
    for package in "$folder"/packages/*.deb; do dpkg -x "$package" "$folder" || return 1; done
  fi
  "$folder/usr/bin/valkey-server" --version >/dev/null || return 1
  echo "$folder/usr/bin/valkey-server"
}

part_tidy() { suite tidy tests/tidy/run.sh; }

part_deploy() {
  build release weir || return
  suite deploy tests/deploy/run.sh --weir build/release/weir
  suite quickstart tests/deploy/quickstart.sh
}

# The lines of a log that name what failed: of our own suites, of doctest, of this script.
named_failures() {
  grep -E '^ *FAILED |^TEST CASE:|^==== .*(FAILED|no closing line|after its closing line)' "$1" | sort -u | head -n 20
}
failures=()

# ---- The run ---------------------------------------------------------------------------------------
run_part() { # run_part NAME
  local begin=$SECONDS log=$logs/$1.log word=ok
  passed=0 failed=0
  "part_$1" >"$log" 2>&1
  if [ "$failed" -gt 0 ]; then word=FAILED; fi
  printf '%-12s %-7s %6d passed, %d failed  %4d s\n' "$1" "$word" "$passed" "$failed" "$((SECONDS - begin))"
  if [ "$failed" -gt 0 ]; then
    echo "  ---- the end of build/logs/$1.log"
    tail -n 60 "$log" | sed 's/^/  /'
    mapfile -t -O "${#failures[@]}" failures < <(named_failures "$log" | sed "s/^ */$1: /")
  fi
  passed_total=$((passed_total + passed)) failed_total=$((failed_total + failed))
}

case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
parts=("$@")
[ "$#" -gt 0 ] || parts=("${all_parts[@]}")
for part in "${parts[@]}"; do
  if ! declare -F "part_$part" >/dev/null; then
    echo "tests/run.sh: no part named $part" >&2
    usage >&2
    exit 64
  fi
done

export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=second_deadlock_stack=1:history_size=4

mkdir -p "$logs"
cat deploy/packages.txt tests/packages.txt | install_missing || exit 1
for part in "${parts[@]}"; do run_part "$part"; done
for line in "${failures[@]}"; do echo "failed $line"; done
for line in "${skipped[@]}"; do echo "skipped $line"; done
echo "$passed_total passed, $failed_total failed"
[ "$failed_total" -eq 0 ]
