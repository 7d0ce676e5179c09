// Programs of single ops against plain C++.
#include "program_runner.h"

namespace cameo::passes {
namespace {

std::string one(const std::string &arguments, const std::string &body, const std::string &result = "%y") {
  return "graph @g stage canonical {\n  main(" + arguments + ") {\n    " + body + "\n    yield " + result +
         " as \"y\"\n  }\n}\n";
}

} // namespace

TEST(Programs, AddBroadcasts) {
  const Values a = some(24, 1), b = some(4, 2);
  Values want;
  for (size_t i = 0; i < 24; ++i) want.push_back(a[i] + b[i % 4]);
  check_graph(one("%a: f32[2, 3, 4], %b: f32[4]", "%y = add %a, %b : f32[2, 3, 4]"), {a, b}, {want});
}

TEST(Programs, MatrixProduct) {
  const int64_t m = 5, n = 37, k = 19;
  const Values a = some(m * k, 1), b = some(k * n, 2);
  Values want;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t p = 0; p < k; ++p) sum += a[size_t(i * k + p)] * b[size_t(p * n + j)];
      want.push_back(sum);
    }
  check_graph(one("%a: f32[5, 19], %b: f32[19, 37]", "%y = contract %a, %b {equation = \"mk,kn->mn\"} : f32[5, 37]"),
              {a, b}, {want});
}

} // namespace cameo::passes
