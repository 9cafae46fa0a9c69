#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds weir and shows it at work: a demo upstream, weir in front of it, and the first refused request.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/packages.sh
. "$root/deploy/packages.sh"

readonly policy=$root/config/examples/quickstart.yaml
readonly weir=$root/build/release/weir
readonly proxy_port=8080 admin_port=9901
readonly requests_max=120
readonly start_timeout_s=5 stop_timeout_s=5

usage() {
  cat <<'TEXT'
Usage: deploy/quickstart.sh [--once] [--redis] [--no-run] [--keep]

Installs missing Debian packages, builds weir, starts it on 127.0.0.1:8080 in front of a demo upstream, and sends
requests until one is refused. Then it runs until Ctrl-C. Nothing is left behind but build/.

  --once     stop after the first refusal
  --redis    keep the counters in a private redis-server instead of in weir's memory
  --no-run   build only
  --keep     leave the logs of the run in their folder and name it
  --help     this text
TEXT
}

seconds_since() { # seconds_since EPOCHREALTIME
  awk -v begin="$1" -v now="$EPOCHREALTIME" 'BEGIN { printf "%.1f", now - begin }'
}

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi

say() { printf '%s%-10s%s %s\n' "$bold" "$1" "$plain" "$2"; }
fail() {
  printf 'quickstart: %s\n' "$1" >&2
  exit 1
}

# ---- Arguments ---------------------------------------------------------------------------------
once='' redis='' run=1 keep=''
for argument in "$@"; do
  case $argument in
    --once) once=1 ;;
    --redis) redis=1 ;;
    --no-run) run='' ;;
    --keep) keep=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "quickstart: unknown option $argument" >&2
      usage >&2
      exit 64
      ;;
  esac
done

# ---- Cleaning up: every process by its id, every file in one private folder ------------------------
work='' weir_pid='' pids=() # pids: helpers, in the order they were started

is_alive() { kill -0 "$1" 2>/dev/null; }

# Asks a process to leave, waits for it, and does not wait for ever.
stop() { # stop PID SIGNAL
  local deadline=$((SECONDS + stop_timeout_s))
  kill -s "$2" "$1" 2>/dev/null || return 0
  while is_alive "$1" && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.02; done
  kill -s KILL "$1" 2>/dev/null || true
}

clean_up() {
  local i
  trap '' INT TERM HUP
  # SIGINT: weir finishes what is in flight, but does not wait for endpoint removal as on SIGTERM.
  if [ -n "$weir_pid" ]; then stop "$weir_pid" INT; fi
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do stop "${pids[i]}" TERM; done
  wait 2>/dev/null || true
  if [ -z "$work" ]; then return; fi
  if [ -n "$keep" ]; then say logs "$work"; else rm -rf "$work"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# ---- Steps ------------------------------------------------------------------------------------------
# Another weir of the same user would silently share the port (SO_REUSEPORT), so look before starting.
require_free_port() {
  local line holder
  line=$(ss -ltnpH "sport = :$1" | head -n 1)
  [ -n "$line" ] || return 0
  holder=$(sed -nE 's/.*users:\(\("([^"]+)",pid=([0-9]+).*/\1 (process \2)/p' <<<"$line")
  fail "port $1 is in use by ${holder:-a process of another user}; stop it and run this again"
}

install_packages() {
  {
    cat "$root/deploy/packages.txt"
    echo 'curl curl'
    echo 'iproute2 ss'
    if [ -n "$redis" ]; then echo 'redis-server redis-server'; fi
  } | install_missing || exit 1
}

build() {
  local begin=$SECONDS log=$work/build.log
  if ! cmake --preset release -S "$root" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    fail 'cmake could not configure the build'
  fi
  if [ -t 1 ]; then
    ninja -C "$root/build/release" weir || fail 'the build failed'
  elif ! ninja -C "$root/build/release" weir >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    fail 'the build failed'
  fi
  say build "build/release/weir ($((SECONDS - begin)) s)"
}

start_redis() {
  redis-server --port 0 --unixsocket "$work/redis.sock" --unixsocketperm 700 --dir "$work" --save '' \
    --appendonly no >"$work/redis.log" 2>&1 &
  pids+=($!)
  wait_for "$work/redis.log" redis-cli -s "$work/redis.sock" ping
  export REDIS_URL="unix:$work/redis.sock"
  say store 'private redis-server on a unix socket'
}

start_upstream() {
  "$weir" echo --listen "unix:$work/upstream.sock" >"$work/upstream.log" 2>&1 &
  pids+=($!)
  wait_for "$work/upstream.log" test -S "$work/upstream.sock"
  export UPSTREAM_URL="unix:$work/upstream.sock"
  say upstream 'weir echo on a unix socket'
}

start_weir() {
  "$weir" run -c "$policy" >"$work/access.log" 2>"$work/weir.log" &
  weir_pid=$!
  wait_for "$work/weir.log" "$weir" health
  say weir "http://127.0.0.1:$proxy_port, admin http://127.0.0.1:$admin_port, process $weir_pid"
}

# Waits until a command succeeds. A process that ended or never got ready is answered with its log.
wait_for() { # wait_for LOG COMMAND...
  local log=$1 pid=$! deadline=$((SECONDS + start_timeout_s))
  shift
  until "$@" >/dev/null 2>&1; do
    if ! is_alive "$pid" || [ "$SECONDS" -ge "$deadline" ]; then
      tail -n 20 "$log" >&2
      fail "$(basename "$log" .log) did not start"
    fi
    sleep 0.02
  done
}

# One curl on one connection, until the first answer that is no success; every answer in a file of its own.
show_first_denial() {
  local sent status reply id line='' deadline
  curl -sS -i --max-time 10 --fail-early --fail-with-body -o "$work/reply-#1" \
    "http://127.0.0.1:$proxy_port/hello?n=[1-$requests_max]" 2>"$work/curl.log" || true
  sent=$(find "$work" -name 'reply-*' | wc -l)
  reply=$work/reply-$sent
  [ -s "$reply" ] || fail "no answer on port $proxy_port: $(tail -n 1 "$work/curl.log")"
  status=$(awk 'NR == 1 { print $2 }' "$reply")
  if [ "$status" != 429 ]; then
    cat "$reply" >&2
    fail "request $sent was answered $status, not refused"
  fi
  say requests "$((sent - 1)) admitted, then the first refusal, $(seconds_since "$built_at") s after the build:"
  printf '\n'
  tr -d '\r' <"$reply" | sed "1s/.*/$bold&$plain/; s/^./  &/; \$a\\"

  # The log is written after the answer, in batches.
  id=$(tr -d '\r' <"$reply" | sed -nE 's/^x-request-id: *//Ip' | head -n 1)
  deadline=$((SECONDS + start_timeout_s))
  until line=$(grep -F "\"$id\"" "$work/access.log"); do
    [ "$SECONDS" -lt "$deadline" ] || fail "no line of request $id in the access log"
    sleep 0.02
  done
  printf '\n%sIts line in the access log:%s\n\n  %s\n\n' "$bold" "$plain" "$line"
}

show_what_to_try() {
  cat <<TEXT
${bold}Try it${plain}
  curl -i http://127.0.0.1:$proxy_port/hello
  curl -s http://127.0.0.1:$admin_port/metrics
  change a limit in ${policy#"$PWD/"}: it counts at once

Ctrl-C stops everything. What weir logs from here on:

TEXT
}

run_until_interrupted() {
  trap 'echo; exit 0' INT TERM
  tail -q -n 0 -f "$work/access.log" "$work/weir.log" &
  pids+=($!)
  wait "$weir_pid" || true
  weir_pid=''
  fail 'weir ended by itself; its last lines are above'
}

# ---- The run ----------------------------------------------------------------------------------------
install_packages
work=$(mktemp -d /tmp/weir-quickstart.XXXXXX) # short: a unix socket's path has 107 bytes
if [ -n "$run" ]; then
  require_free_port "$proxy_port"
  require_free_port "$admin_port"
fi
build
[ -n "$run" ] || exit 0

built_at=$EPOCHREALTIME
if [ -n "$redis" ]; then start_redis; else say store 'in memory'; fi
start_upstream
start_weir
show_first_denial
if [ -n "$once" ]; then exit 0; fi
show_what_to_try
run_until_interrupted
