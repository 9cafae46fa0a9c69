#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures everything on a machine that does nothing else, and writes RESULTS.md and its plots. Some 12 minutes.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cmake --preset release >/dev/null
ninja -C build/release weir bench_load
export PYTHONDONTWRITEBYTECODE=1
tests/bench/compare.py --build build/release --out build/compare.json "$@"
tests/bench/growth.py --build build/release --out build/growth.json
tests/bench/report.py build/compare.json build/growth.json
echo 'tests/bench/RESULTS.md is written'
