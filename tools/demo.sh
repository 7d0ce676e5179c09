#!/usr/bin/env bash
# The digits model from ONNX to a running C program, on handwritten digits that it has never seen. Installs and builds what is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh
mkdir -p build/logs
if [ ! -f build/release/build.ninja ]; then
  cmake --preset release >build/logs/configure-release.log 2>&1 || { cat build/logs/configure-release.log >&2; exit 1; }
fi
cmake --build --preset release --target cameo

out=build/demo
mkdir -p $out
start=$(date +%s%N)
build/release/bin/cameo compile models/digits/digits.onnx --dim batch=1 -o $out/digits.so
end=$(date +%s%N)
cc -std=c11 -O2 -Wall -Wextra -Werror -I$out models/digits/demo.c $out/digits.so -Wl,-rpath,'$ORIGIN' -lm -o $out/demo

printf 'compiled      models/digits/digits.onnx to %s in %d ms\n' $out/digits.so $(((end - start) / 1000000))
printf 'library       %d bytes\n' "$(stat -c %s $out/digits.so)"
$out/demo models/digits models/digits/test_predictions.npy
