#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks everything under deploy/ with its validator, and shows of each validator that it can refuse.
# Usage: tests/deploy/run.sh [--weir PROGRAM]     without --weir the policy files are not checked
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/deploy
weir=''
case ${1:-} in
  --weir) weir=$(realpath "$2") ;;
  '') ;;
  *)
    echo "usage: tests/deploy/run.sh [--weir PROGRAM]" >&2
    exit 64
    ;;
esac

# shellcheck source=tests/support/checks.sh
. "$root/tests/support/checks.sh"
work=$checks_work

install_validators() {
  local stamp=$here/node_modules/.package-lock.json
  if [ "$stamp" -nt "$here/package-lock.json" ]; then return 0; fi
  npm ci --prefix "$here" --no-audit --no-fund --ignore-scripts
}

check_manifests() {
  local sidecar=$root/deploy/kubernetes/sidecar.yaml manifest=(node "$here/manifest.mjs" check) file
  for file in "$root"/deploy/kubernetes/*.yaml; do
    accepts "manifest ${file#"$root/"}" "${manifest[@]}" "$file"
  done
  refuses 'a manifest with a misspelt field' redinessProbe \
    "${manifest[@]}" "$(broken "$sidecar" 's/readinessProbe/redinessProbe/')"
  refuses 'a manifest with a wrong type' 'restartPolicy must be string' \
    "${manifest[@]}" "$(broken "$sidecar" 's/restartPolicy: Always/restartPolicy: 3/')"
  refuses 'a manifest without a required field' 'must have required property' \
    "${manifest[@]}" "$(broken "$sidecar" '/^  selector:$/,+1d')"
  refuses 'a manifest of no kind' 'no such kind' \
    "${manifest[@]}" "$(broken "$sidecar" 's/kind: Service/kind: Servise/')"
  refuses 'a sidecar that closes the door before the app stops' 'preStop' \
    "${manifest[@]}" "$(broken "$sidecar" 's/^( +)(args: \[run.*)/\1\2\n\1lifecycle: {preStop: {sleep: {seconds: 5}}}/')"
  refuses 'a sidecar whose configuration never updates' 'subPath' \
    "${manifest[@]}" "$(broken "$sidecar" 's/mountPath: [^,]+/&, subPath: weir.yaml/')"
}

check_dockerfile() {
  local dockerfile=$root/deploy/Dockerfile lint=("$here/node_modules/.bin/dockerfilelint")
  accepts 'deploy/Dockerfile' "${lint[@]}" "$dockerfile"
  refuses 'a Dockerfile with an unknown instruction' 'Invalid Command' \
    "${lint[@]}" "$(broken "$dockerfile" 's/^EXPOSE/EXPOSES/')"
  accepts 'the image runs as a plain user' grep -qx 'USER 65532:65532' "$dockerfile"
}

check_compose() {
  local compose=$root/deploy/compose.yaml
  accepts 'deploy/compose.yaml' docker-compose -f "$compose" config -q
  refuses 'a compose file with an unknown key' 'read_onlyy' \
    docker-compose -f "$(broken "$compose" 's/read_only: true/read_onlyy: true/')" config -q
}

check_shell_and_yaml() {
  local scripts yaml
  cd "$root" || return
  mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
  accepts "shellcheck of ${#scripts[@]} scripts" shellcheck -x "${scripts[@]}"
  # shellcheck disable=SC2016 # it is the text of the broken script
  echo 'rm $1' >"$work/unquoted.sh"
  refuses 'a script with an unquoted variable' SC2086 shellcheck --shell=sh "$work/unquoted.sh"
  mapfile -t yaml < <(git ls-files '*.yaml' '*.yml' | grep -v '^tests/.*/bad/')
  accepts "yamllint of ${#yaml[@]} files" yamllint --strict "${yaml[@]}"
  printf 'a: 1\na: 2\n' >"$work/twice.yaml"
  refuses 'a YAML file with a key twice' 'duplication of key' yamllint "$work/twice.yaml"
}

check_policies() {
  local policy
  if [ -z "$weir" ]; then
    skip 'policy files' 'no --weir'
    return
  fi
  export REDIS_URL=redis://127.0.0.1:6379 UPSTREAM_URL=http://127.0.0.1:3000
  mkdir "$work/policies"
  node "$here/manifest.mjs" policies "$work/policies" "$root"/deploy/kubernetes/*.yaml
  cp "$root"/deploy/compose/*.yaml "$work/policies"
  for policy in "$work"/policies/*.yaml; do
    accepts "policy of deploy/: $(basename "$policy")" "$weir" check "$policy"
  done
  refuses 'a policy with an unknown key' 'E0312' \
    "$weir" check "$(broken "$root/deploy/compose/weir.yaml" 's/limit:/limitt:/')"
}

accepts 'the validators are installed' install_validators
check_manifests
check_dockerfile
check_compose
check_shell_and_yaml
check_policies
closing_line
