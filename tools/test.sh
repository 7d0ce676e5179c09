#!/usr/bin/env bash
# Builds Cameo and runs its tests; the last line is `N passed, N failed`, and the exit code is 0 only when nothing failed.
#
#   tools/test.sh          everything once, and a fixed sample under AddressSanitizer and UndefinedBehaviorSanitizer
#   tools/test.sh --full   everything under the sanitizers too
#
# Installs what is missing (as root). Logs are kept in build/logs.
set -euo pipefail
cd "$(dirname "$0")/.."
full=false
case ${1-} in
'') ;;
--full) full=true ;;
*) sed -n '2,7p' "$0" >&2; exit 2 ;;
esac

# What runs under the sanitizers without --full: the areas that read untrusted bytes, and the IRs.
sanitized_areas=(support ir loop frontend driver)
time_limit=900 # seconds per test program

tools/setup.sh
logs=build/logs
mkdir -p $logs
passed=0 failed=0

# configure_and_build PRESET TARGET...: quiet unless it fails; a failure is the end.
configure_and_build() {
  local preset=$1
  shift
  echo "== build $preset"
  cmake --preset "$preset" >"$logs/configure-$preset.log" 2>&1 || { cat "$logs/configure-$preset.log"; finish 1; }
  cmake --build --preset "$preset" ${1:+--target "$@"} >"$logs/build-$preset.log" 2>&1 || { grep -E 'error|FAILED|warning' "$logs/build-$preset.log" | head -n 50; finish 1; }
}

# finish [MORE_FAILURES]
finish() {
  failed=$((failed + ${1:-0}))
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
  exit
}

# run_tests PRESET AREA...: each area's test program; counts its cases. One that dies without its summary counts as a failure.
run_tests() {
  local preset=$1 area program log p f
  shift
  for area in "$@"; do
    program=build/$preset/bin/test_$area
    [ -x "$program" ] || continue
    log=$logs/$preset-$area.log
    local status=0
    timeout -k 10 $time_limit "$program" --gtest_brief=1 >"$log" 2>&1 || status=$?
    p=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) tests?\.$/\1/p' "$log" | tail -n 1)
    f=$(sed -nE 's/^\[  FAILED  \] ([0-9]+) tests?, listed below:$/\1/p' "$log" | tail -n 1)
    if [ "$status" -ne 0 ] && [ -z "$f" ]; then f=1; fi
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0}))
    echo "   $preset/$area: ${p:-0} passed, ${f:-0} failed"
    if [ "$status" -ne 0 ]; then
      grep -E '^\[  FAILED  \]|Failure$|ERROR: |runtime error: ' "$log" | sort -u | head -n 20 || true
      echo "   exit code $status, see $log"
    fi
    sed -nE 's/^\[  SKIPPED \] ([^,(]+)$/   skipped: \1/p' "$log" | sort -u | head -n 20
  done
}

all_areas() { find tests -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort; }

configure_and_build release
run_tests release $(all_areas)

export ASAN_OPTIONS=detect_container_overflow=0:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
if $full; then
  configure_and_build asan
  run_tests asan $(all_areas)
else
  targets=()
  for area in "${sanitized_areas[@]}"; do
    if [ -d "tests/$area" ]; then targets+=("test_$area"); fi
  done
  configure_and_build asan "${targets[@]}"
  run_tests asan "${sanitized_areas[@]}"
fi
finish
