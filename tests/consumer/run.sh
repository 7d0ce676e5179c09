#!/usr/bin/env bash
# What a user does with a compiled model, from the outside: links the .so, the .a and the .o of two models, in C11 and C++20,
# with every compiler and linker at hand, and through CMake's find_package(cameo) against an installation.
#
#   run.sh TOOL BUILD_DIR CMAKE MODEL_ONE MODEL_TWO IN OUT [DEFINITION... -- TOOL_OPTION...]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tool=$1 build=$2 cmake=$3 model_one=$(realpath "$4") model_two=$(realpath "$5") in=$6 out=$7
shift 7
definitions=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do definitions+=("$1"); shift; done
[ $# -gt 0 ] && shift
options=("$@")
work=$(mktemp -d "${TMPDIR:-/tmp}/cameo-consumer.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

for suffix in so a o; do
  mkdir "$suffix"
  "$tool" compile "$model_one" -o "$suffix/one.$suffix" --name one "${options[@]}"
  "$tool" compile "$model_two" -o "$suffix/two.$suffix" --name two "${options[@]}"
done
cmp so/one.h a/one.h; cmp so/two.h o/two.h

flags=(-Wall -Wextra -Werror "-DIN=$in" "-DOUT=$out" "${definitions[@]/#/-D}" -I"$here")
check() { # check WHAT COMMAND...: builds ./app, which must say ok
  local what=$1; shift
  rm -f app
  "$@" -o app || { echo "consumer: $what does not build: $*"; exit 1; }
  [ "$(./app)" = ok ] || { echo "consumer: $what fails"; ./app; exit 1; }
  echo "consumer: $what"
}
for suffix in so a o; do
  link=(-I"$suffix" "$work/$suffix/one.$suffix" "$work/$suffix/two.$suffix" -pthread "-Wl,-rpath,$work/$suffix")
  for compiler in gcc clang clang-19; do
    command -v $compiler >/dev/null || continue
    check "C11, $compiler, .$suffix" $compiler -std=c11 "${flags[@]}" "$here/consumer.c" "${link[@]}"
  done
  for compiler in g++ clang++ clang++-19; do
    command -v $compiler >/dev/null || continue
    check "C++20, $compiler, .$suffix" $compiler -std=c++20 "${flags[@]}" "$here/consumer.cpp" "${link[@]}"
  done
done
program=(-std=c11 "${flags[@]}" "$here/consumer.c" -pthread)
c11=(gcc "${program[@]}")
for linker in "gcc -fuse-ld=bfd" "gcc -fuse-ld=gold" "clang-19 -fuse-ld=lld"; do
  $linker -shared -x c /dev/null -o /dev/null 2>/dev/null || continue
  check ".a, $linker, unused sections dropped" $linker "${program[@]}" -Ia a/one.a a/two.a -Wl,--gc-sections
done
check ".a, static" "${c11[@]}" -Ia -static a/one.a a/two.a
check ".o, not position independent" "${c11[@]}" -Io -no-pie o/one.o o/two.o
# Two libraries that each hold a model of the same prefix: neither shows it to the other, nor to the program.
for library in first second; do
  echo "#include \"one.h\"
int32_t ${library}(const CameoModel **model) { *model = one_describe(); return one_create(NULL, NULL); }" >$library.c
  gcc -std=c11 -Wall -Wextra -Werror -shared -fPIC -Ia $library.c a/one.a -Wl,-z,defs -pthread -o lib$library.so
  [ "$(nm -D --defined-only lib$library.so | sed 's/.* //' | sort | xargs)" = $library ] || { nm -D lib$library.so; exit 1; }
done
echo '#include "one.h"
#include <stdio.h>
int32_t first(const CameoModel **), second(const CameoModel **);
int main(void) {
  const CameoModel *a, *b;
  puts(first(&a) == CAMEO_NULL_POINTER && second(&b) == CAMEO_NULL_POINTER && a != b ? "ok" : "one model for two");
}' >both.c
check ".a in two shared libraries" gcc -std=c11 -Wall -Wextra -Werror -Ia both.c libfirst.so libsecond.so "-Wl,-rpath,$work"
cp -r so stripped && strip stripped/one.so stripped/two.so
check ".so, stripped" "${c11[@]}" -Iso "$work/stripped/one.so" "$work/stripped/two.so" "-Wl,-rpath,$work/stripped"

# Names that want to be more than names: the header is still C and C++, even where trigraphs are replaced.
if [[ " ${definitions[*]} " == *" FIXTURE "* ]]; then
  "$tool" hostile-header hostile.h
  printf '#include "hostile.h"\n#include "so/one.h"\nint x;\n' >hostile.c
  gcc -std=c11 -trigraphs -Wall -Wextra -Werror -fsyntax-only hostile.c
  g++ -std=c++20 -trigraphs -Wall -Wextra -Werror -fsyntax-only -x c++ hostile.c
  echo "consumer: hostile names"
fi

# Installed, moved, found.
"$cmake" --install "$build" --prefix "$work/installed" >install.log || { cat install.log; exit 1; }
mv installed moved
IFS=';'
"$cmake" -G Ninja -S "$here/project" -B project -DCMAKE_PREFIX_PATH="$work/moved" -DCAMEO_EXECUTABLE="$tool" -DIN="$in" -DOUT="$out" \
  -DDEFINITIONS="${definitions[*]}" -DOPTIONS="${options[*]}" -DMODEL_ONE="$model_one" -DMODEL_TWO="$model_two" \
  >cmake.log 2>&1 && "$cmake" --build project >>cmake.log 2>&1 || { cat cmake.log; exit 1; }
unset IFS
for app in app app_cpp; do
  [ "$(project/$app)" = ok ] || { echo "consumer: CMake's $app fails"; project/$app; exit 1; }
done
echo "consumer: find_package(cameo), cameo_add_model"
"$cmake" --build project 2>&1 | grep -q Compiling && { echo "consumer: a second build compiles again"; exit 1; }
echo "consumer: a second build has nothing to do"
