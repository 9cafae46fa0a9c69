#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run_with_redis.sh PROGRAM [ARGUMENT...]
# Starts a private redis-server on a unix socket, runs PROGRAM ARGUMENT... --store unix:SOCKET and stops the server.
# Exit 77 (skipped) where no redis-server is installed.
set -u
if ! command -v redis-server >/dev/null; then
  echo "skipped: redis-server is not installed"
  exit 77
fi
folder=$(mktemp -d /tmp/weir-redis.XXXXXX)
redis-server --port 0 --unixsocket "$folder/sock" --dir "$folder" --save '' --appendonly no >"$folder/log" 2>&1 &
server=$!
trap 'kill "$server"; wait "$server"; rm -rf "$folder"' EXIT
for _ in $(seq 200); do
  [ -S "$folder/sock" ] && break
  sleep 0.05
done
"$@" --store "unix:$folder/sock"
