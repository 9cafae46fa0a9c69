#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests deploy/quickstart.sh itself. Needs build/release/weir and the ports 8080 and 9901.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
quickstart=$root/deploy/quickstart.sh
# shellcheck source=tests/support/checks.sh
. "$root/tests/support/checks.sh"
work=$checks_work
cd / || exit 1 # it must work from anywhere

left_behind() { find /tmp -maxdepth 1 -name 'weir-quickstart.*'; }

# What it printed holds the refusal, its fields and its log line, and nothing of it is left.
shows_the_first_denial() { # shows_the_first_denial OPTION...
  local output=$work/quickstart.out
  "$quickstart" --once "$@" >"$output" 2>&1 </dev/null || { cat "$output"; return 1; }
  cat "$output"
  grep -q '^  HTTP/1.1 429' "$output" &&
    grep -qi '^  retry-after: [0-9]' "$output" &&
    grep -q '^  {.*"status":429' "$output" &&
    [ -z "$(left_behind)" ] && [ -z "$(ss -ltnH 'sport = :8080 or sport = :9901')" ]
}

within_three_seconds() {
  local output=$work/timed.out
  "$quickstart" --once >"$output" 2>&1 </dev/null
  cat "$output"
  grep -Eq 'first refusal, [0-2]\.[0-9] s after the build' "$output"
}

# Starts it as a person would, waits until it invites to try, edits nothing, and interrupts it.
leaves_on_interrupt() {
  local output=$work/interrupt.out process status
  # A background process of a script ignores SIGINT; a person's does not.
  env --default-signal=INT "$quickstart" >"$output" 2>&1 </dev/null &
  process=$!
  for _ in $(seq 300); do
    ! grep -q '^Ctrl-C stops everything' "$output" || break
    sleep 0.1
  done
  kill -INT "$process"
  wait "$process"
  status=$?
  cat "$output"
  [ "$status" -eq 0 ] && [ -z "$(left_behind)" ] && [ -z "$(ss -ltnH 'sport = :8080 or sport = :9901')" ]
}

with_a_busy_port() {
  local holder status
  python3 -c 'import socket, time
s = socket.create_server(("127.0.0.1", 9901)); print("ready", flush=True); time.sleep(60)' >"$work/holder.out" &
  holder=$!
  until grep -q ready "$work/holder.out"; do sleep 0.02; done
  "$quickstart" --once
  status=$?
  kill "$holder"
  wait "$holder"
  return "$status"
}

# A copy of the tree whose package list names something not installed, seen by a user who may not install.
without_a_package() {
  cp -r "$root/deploy" "$work/deploy"
  echo no-such-package >>"$work/deploy/packages.txt"
  chmod -R a+rX "$work"
  setpriv --reuid=65534 --regid=65534 --clear-groups "$work/deploy/quickstart.sh" --once
}

accepts 'help is given' "$quickstart" --help
refuses 'an unknown option' 'unknown option --what' "$quickstart" --what
accepts 'the first refusal is shown, and nothing stays behind' shows_the_first_denial
accepts 'the same over a private Redis' shows_the_first_denial --redis
accepts 'the first refusal comes within 3 s of the build' within_three_seconds
accepts 'Ctrl-C ends it with 0 and nothing stays behind' leaves_on_interrupt
refuses 'a busy port is named with its holder' 'port 9901 is in use by python3' with_a_busy_port
if [ "$(id -u)" -eq 0 ]; then
  refuses 'a missing package without root' 'apt-get install -y --no-install-recommends no-such-package' without_a_package
else
  skip 'a missing package without root' 'the test must be root'
fi
closing_line
