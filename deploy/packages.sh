# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by quickstart.sh and tests/run.sh: installs the Debian packages that a list names and the machine lacks.

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Reads a list (packages.txt tells its form) and prints the packages of each line that is not satisfied.
missing_packages() { # missing_packages <LIST
  local packages command package found
  while read -r packages command; do
    found=
    if [ -n "$command" ] && command -v "$command" >/dev/null; then continue; fi
    for package in ${packages//|/ }; do
      if is_installed "$package"; then found=1; fi
    done
    [ -n "$found" ] || echo "$packages"
  done < <(sed 's/#.*//; /^[[:space:]]*$/d')
}

# The first name of each "A|B" that apt knows. Needs the package index, so it runs after apt-get update.
known_packages() { # known_packages A|B...
  local packages package
  for packages in "$@"; do
    for package in ${packages//|/ }; do
      if apt-cache show "$package" >/dev/null 2>&1; then
        echo "$package"
        continue 2
      fi
    done
    echo "${packages%%|*}" # let apt-get name the problem
  done
}

# Installs what is missing as root; otherwise prints the one command that does, and fails. apt's own output goes to
# standard error, and only when it fails.
install_missing() { # install_missing <LIST
  local missing output
  mapfile -t missing < <(missing_packages)
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "missing packages; as root: apt-get install -y --no-install-recommends ${missing[*]%%|*}" >&2
    return 1
  fi
  output=$(mktemp)
  if ! apt-get update >"$output" 2>&1; then
    echo "apt-get update failed; trying with the package lists at hand" >&2
  fi
  mapfile -t missing < <(known_packages "${missing[@]}")
  echo "installing ${missing[*]}"
  if ! DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" \
    </dev/null >"$output" 2>&1; then
    tail -n 20 "$output" >&2
    rm -f "$output"
    return 1
  fi
  rm -f "$output"
}
