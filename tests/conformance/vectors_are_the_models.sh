#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The committed vectors are what the reference model writes today.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d /tmp/weir-vectors.XXXXXX)
trap 'rm -rf "$folder"' EXIT
"$here/reference_model.py" "$folder"
diff -r "$folder" "$here/vectors"
