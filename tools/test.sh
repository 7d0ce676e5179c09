#!/usr/bin/env bash
# Builds Cameo and runs its tests; the last line is `N passed, N failed`, and the exit code is 0 only when nothing failed.
#
#   tools/test.sh          everything once; samples of ONNX's cases in other forms, and under Address- and UndefinedBehaviorSanitizer
#   tools/test.sh --full   all of these too
#
# ONNX's own test cases and real models are not part of the project: all are used where a folder `shared` lies beside the checkout, or
# $CAMEO_SHARED says where; else the cases that Debian's libonnx-testdata has. Installs what is missing (as root). Logs are kept in
# build/logs.
set -euo pipefail
cd "$(dirname "$0")/.."
full=false
case ${1-} in
'') ;;
--full) full=true ;;
*) sed -n '2,9p' "$0" >&2; exit 2 ;;
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
  local preset=$1 area program log status ran p skipped f
  shift
  for area in "$@"; do
    program=build/$preset/bin/test_$area
    [ -x "$program" ] || continue
    log=$logs/$preset-$area.log
    status=0
    timeout -k 10 $time_limit "$program" --gtest_brief=1 >"$log" 2>&1 || status=$?
    ran=$(sed -nE 's/^\[==========\] ([0-9]+) tests? from .* ran\..*$/\1/p' "$log" | tail -n 1)
    p=$(sed -nE 's/^\[  PASSED  \] ([0-9]+) tests?\.$/\1/p' "$log" | tail -n 1)
    skipped=$(sed -nE 's/^\[  SKIPPED \] ([0-9]+) tests?[.,].*$/\1/p' "$log" | tail -n 1)
    if [ -n "$ran" ]; then f=$((ran - ${p:-0} - ${skipped:-0})); else f=1 p=0; fi
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi # it died after its last test
    passed=$((passed + ${p:-0})) failed=$((failed + f))
    echo "   $preset/$area: ${p:-0} passed, $f failed${skipped:+, $skipped skipped}"
    if [ "$f" -ne 0 ]; then
      grep -E '^\[  FAILED  \]|ERROR: .*Sanitizer|runtime error: ' "$log" | sort -u | head -n 20 || true
      [ -n "$ran" ] || tail -n 15 "$log" # it died: where it was says more than nothing
      echo "   exit code $status, see $log"
    fi
    grep -A1 -E ': Skipped$' "$log" | grep -vE ': Skipped$|^--$' | sort -u | sed 's/^/   skipped: /' || true
  done
}

# run_cases NAME FOLDER [NOT]: the cases that tests/cases/NAME.txt says pass, as far as FOLDER has them, through the tool; without
# those whose name has NOT in it. Then, of ONNX's node tests, a sample in other forms (tests/cases/case_forms.cpp).
run_cases() {
  local cases=() absent=0 case form
  for case in $(grep -v '^#' "tests/cases/$1.txt"); do
    if [ -f "$2/$case/model.onnx" ] && [[ -z ${3-} || $case != *"$3"* ]]; then cases+=("$2/$case"); else absent=$((absent + 1)); fi
  done
  if [ ${#cases[@]} -gt 0 ]; then test_cases "$1" "${cases[@]}"; fi
  if [ $absent -gt 0 ]; then echo "   skipped: $absent cases of $1, which are not in $2"; fi
  if [[ $1 == */node ]]; then
    for form in constants symbols; do test_form "$1" $form "${cases[@]}"; done
  fi
}

# test_cases NAME CASE...: runs them and counts; one that is not supported counts as a failure, unless its name begins with form-.
test_cases() {
  local log=$logs/${1//\//-}.log summary
  build/release/bin/cameo test --json "${log%.log}.json" "${@:2}" >"$log" 2>&1 || true
  summary=$(tail -n 1 "$log")
  if [[ $summary =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ unsupported$ ]]; then
    passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
    if [[ $1 != form-* ]]; then failed=$((failed + BASH_REMATCH[3])); fi
  else
    failed=$((failed + 1))
  fi
  echo "   $1: $summary"
  head -n -1 "$log" | { grep -v '^unsupported' || true; } | head -n 20
}

# test_form NAME FORM CASE...: every tenth case in this form, with --full all of them. What a kernel must know when it is compiled
# may be a symbol in this form, and is not supported then.
test_form() {
  local step=10 sample=() i out=build/forms/$2
  if $full; then step=1; fi
  for ((i = 3; i <= $#; i += step)); do sample+=("${!i}"); done
  rm -rf "$out"
  mkdir -p "$out"
  if [ ${#sample[@]} -eq 0 ]; then return; fi
  build/release/bin/case_forms "$2" "$out" "${sample[@]}" || failed=$((failed + 1))
  test_cases "form-$2" "$out"/*/
}

# run_scripts PRESET: the tests that CMake knows besides the areas' programs (programs that link compiled models).
run_scripts() {
  local log=$logs/$1-scripts.log report=$PWD/$logs/$1-scripts.xml ran f skipped
  rm -f "$report" # the closing line of ctest differs between its versions, its report does not
  ctest --test-dir "build/$1" --exclude-regex "^($(all_areas | paste -sd'|'))\$" --timeout $time_limit --output-on-failure --output-junit "$report" >"$log" 2>&1 || true
  ran=$(sed -nE '1,9s/^.*\btests="([0-9]+)".*$/\1/p' "$report" 2>/dev/null | head -n 1)
  f=$(sed -nE '1,9s/^.*\bfailures="([0-9]+)".*$/\1/p' "$report" 2>/dev/null | head -n 1)
  skipped=$(sed -nE '1,9s/^.*\bskipped="([0-9]+)".*$/\1/p' "$report" 2>/dev/null | head -n 1)
  if [ -n "$ran" ] && [ -n "$f" ] && [ "$ran" -gt 0 ]; then
    passed=$((passed + ran - f - ${skipped:-0})) failed=$((failed + f))
    echo "   $1/scripts: $((ran - f - ${skipped:-0})) passed, $f failed"
  else
    failed=$((failed + 1))
    echo "   $1/scripts: no summary, see $log"
  fi
  sed -nE '/\*\*\*Skipped/!s/^.*Test +#[0-9]+: ([^ ]+) .*\*\*\*.*$/   failed: \1/p' "$log"
  sed -nE 's/^.*Test +#[0-9]+: ([^ ]+) .*\*\*\*Skipped.*$/   skipped: \1 (python3 has no onnx or onnxruntime)/p' "$log"
}

# The folders of tests/ that make a test program; others hold scripts and data.
all_areas() { find tests -mindepth 2 -maxdepth 2 -name '*_test.cpp' -printf '%h\n' | sed 's|^tests/||' | sort -u; }

configure_and_build release
run_tests release $(all_areas)
run_scripts release
shared=${CAMEO_SHARED:-../shared}
for list in tests/cases/onnx-backend/*.txt; do
  suite=$(basename "$list" .txt)
  if [ -d "$shared/onnx-backend" ]; then
    run_cases "onnx-backend/$suite" "$shared/onnx-backend/$suite"
  else
    run_cases "onnx-backend/$suite" "/usr/share/libonnx-testdata/data/$suite" BFLOAT16 # ONNX 1.12 wrote bf16 as u16
  fi
done
run_cases models "$shared/models"

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
