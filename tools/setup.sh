#!/usr/bin/env bash
# Installs what building and testing Cameo needs, from Debian's own packages (Debian 12). Run it as often as you like: it does
# nothing when everything is there.
set -euo pipefail

packages=(
  g++ cmake make ninja-build ccache
  llvm-19-dev liblld-19-dev clang-19      # code generation; clang compiles the runtime part of every library
  libonnx-dev libprotobuf-dev             # ONNX's protobuf classes
  libcli11-dev libspdlog-dev nlohmann-json3-dev zlib1g-dev libzstd-dev
  libgtest-dev libonnx-testdata           # tests
)

# Whether what a package is for is there: an own CMake, Ninja or compiler counts as well as Debian's.
installed() {
  case $1 in
  g++ | ccache | make) command -v "$1" >/dev/null && return ;;
  cmake) command -v cmake >/dev/null && printf '3.25\n%s\n' "$(cmake --version | sed -n '1s/[^0-9]*//p')" | sort -CV && return ;;
  ninja-build) command -v ninja >/dev/null && return ;;
  esac
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup.sh: needs Debian 12 or a relative with apt; elsewhere install what is listed in $0" >&2
  exit 1
fi
missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "setup.sh: not installed: ${missing[*]} (run it as root: sudo $0)" >&2
  exit 1
fi

echo "setup.sh: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() {
  "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; echo "setup.sh: failed: $*" >&2; exit 1; }
}
run apt-get -o Acquire::Retries=3 update
run apt-get -o Acquire::Retries=3 install -y --no-install-recommends "${missing[@]}"
