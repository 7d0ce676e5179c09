#!/usr/bin/env bash
# Writes the lists of cases that must pass (beside this script) from what passes now. Lists only grow: a case that stops passing is an
# error, not a change of the list.
#
#   tests/cases/update.sh [SHARED]      SHARED: the folder with onnx-backend/ and models/ (default: ../shared)
set -euo pipefail
cd "$(dirname "$0")/../.."
shared=${1:-${CAMEO_SHARED:-../shared}}

update() { # FOLDER of $shared
  local list=tests/cases/$1.txt folders results old
  mapfile -t folders < <(cd "$shared/$1" && for f in *; do [ ! -f "$f/model.onnx" ] || echo "$f"; done | sort)
  results=$(mktemp)
  build/release/bin/cameo test --json "$results" "${folders[@]/#/$shared/$1/}" >/dev/null || true
  # One line per case in the order of the folders: its status.
  paste -d' ' <(grep -oE '"status": "[a-z]+"' "$results" | sed -E 's/.*"([a-z]+)"/\1/') <(printf '%s\n' "${folders[@]}") |
    sed -n 's/^passed //p' | sort >"$results.new"
  old=$(grep -v '^#' "$list" 2>/dev/null | tr ' ' '\n' | grep . | sort || true)
  if [ -n "$old" ] && comm -23 <(echo "$old") "$results.new" | grep . >"$results.lost"; then
    echo "no longer pass:" >&2
    cat "$results.lost" >&2
    exit 1
  fi
  { echo "# Cases of $1/ that must pass; written by tests/cases/update.sh."; fmt -w 120 <(tr '\n' ' ' <"$results.new"); } >"$list"
  echo "$1: $(wc -l <"$results.new") of ${#folders[@]} pass"
  rm -f "$results"*
}
for suite in "$shared"/onnx-backend/*/; do update "onnx-backend/$(basename "$suite")"; done
update models
