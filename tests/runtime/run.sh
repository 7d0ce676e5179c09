#!/usr/bin/env bash
# The runtime's C code under each sanitizer that the C compiler has: run.sh CC SOURCE_DIR.
set -euo pipefail
cc=$1 source=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/cameo-runtime.XXXXXX")
trap 'rm -rf "$work"' EXIT
for sanitizer in none thread address,undefined; do
  flags=(-std=c11 -g -O1 -Wall -Wextra -Werror -I"$source/include" -pthread)
  [ $sanitizer = none ] || flags+=(-fsanitize=$sanitizer -fno-sanitize-recover=all)
  echo 'int main(void) { return 0; }' >"$work/probe.c"
  if ! "$cc" "${flags[@]}" "$work/probe.c" -o "$work/probe" 2>/dev/null || ! "$work/probe"; then
    echo "runtime: no $sanitizer sanitizer here: skipped"; continue
  fi
  "$cc" "${flags[@]}" "$source"/tests/runtime/stress.c "$source"/codegen/runtime/*.c -o "$work/stress"
  arguments=(); [ $sanitizer != thread ] || arguments=(--no-fork) # a forked child's threads are beyond it
  [ "$("$work/stress" "${arguments[@]}")" = ok ] || { echo "runtime: fails with sanitizer $sanitizer"; exit 1; }
  "$cc" "${flags[@]}" "$source"/tests/runtime/strings.c "$source"/codegen/runtime/*.c -o "$work/strings"
  [ "$("$work/strings")" = ok ] || { echo "runtime: strings fail with sanitizer $sanitizer"; exit 1; }
  echo "runtime: sanitizer $sanitizer"
done
