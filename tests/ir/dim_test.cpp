#include "cameo/ir/dim.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

using namespace cameo;
using namespace cameo::graph;

namespace {

Dim dim(const std::string &text) {
  auto result = parse_dim(text, "test");
  EXPECT_TRUE(result.ok()) << to_string(result.errors()[0]);
  return result.ok() ? *result : Dim::invalid(Dim::Fault::overflow);
}

std::string error(const std::string &text) {
  auto result = parse_dim(text, "t");
  return result.ok() ? "no error: " + result->str() : to_string(result.errors()[0]);
}

TEST(Dim, CanonicalFormsPrintAndCompareEqual) {
  const std::pair<const char *, const char *> rows[] = {
      {"(batch + 1) * 2 - batch", "batch + 2"},
      {"b*a + a*b", "2*a*b"},
      {"n - n", "0"},
      {"(n + 1)*(n - 1) + 1", "n*n"},
      {"3 - n", "-n + 3"},
      {"floordiv(4*n + 3, 4)", "n"},
      {"floordiv(4*n + 7, 4)", "n + 1"},
      {"floordiv(5*n, 4)", "n + floordiv(n, 4)"},
      {"floordiv(6*n + 3, 4)", "n + floordiv(n + 1, 2)"},
      {"floordiv(6*n + 3, 9)", "floordiv(2*n + 1, 3)"},
      {"floordiv(n*seq*768, n*768)", "seq"},
      {"floordiv(2*n + 2, n + 1)", "2"},
      {"floordiv(n*h, n*w)", "floordiv(h, w)"},
      {"floordiv(floordiv(n, 2), 3)", "floordiv(n, 6)"},
      {"floordiv(floordiv(n - 1, 2) + 1, 2)", "floordiv(n + 1, 4)"},
      {"ceildiv(n, 2)", "floordiv(n + 1, 2)"},
      {"ceildiv(7, 2)", "4"},
      {"floordiv(-7, 2)", "-4"},
      {"mod(-7, 4)", "1"},
      {"mod(4*n + 3, 4)", "3"},
      {"mod(6*n, 4)", "2*mod(n, 2)"},
      {"mod(mod(n, 4), 8)", "mod(n, 4)"},
      {"mod(n*h, n)", "0"},
      {"floordiv(mod(n, 4), 4)", "0"},
      {"max(n, 0)", "n"},
      {"min(n, n + 1, 7)", "min(7, n)"},
      {"max(n - 3, 0)", "max(3, n) - 3"},
      {"max(n, min(n, 512))", "n"},
      {"min(n, max(m, n + 2))", "n"},
      {"max(n + 1, min(m, n) + 1)", "n + 1"},
      {"min(n, max(m, n) - 1)", "min(n + 1, max(m, n)) - 1"},
      {"max(max(a, b), max(b, c))", "max(a, b, c)"},
      {"max(a + 1, b + 1)", "max(a, b) + 1"},
      {"?0 + ?0", "2*?0"},
      {"min(\"min\", a) + \"past seq\"", "\"past seq\" + min(a, \"min\")"},
  };
  for (auto [text, want] : rows) {
    EXPECT_EQ(dim(text).str(), want) << text;
    EXPECT_EQ(dim(want), dim(text)) << text;
    EXPECT_EQ(dim(want).hash(), dim(text).hash()) << text;
  }
  EXPECT_NE(dim("floordiv(n, 2)"), dim("floordiv(n + 1, 2)"));
  EXPECT_NE(dim("?1"), dim("\"?1\""));
}

TEST(Dim, FaultsAreValuesNotTraps) {
  Dim big = INT64_MAX;
  EXPECT_EQ((big + 1).fault(), Dim::Fault::overflow);
  EXPECT_EQ((big * 2 - big).fault(), Dim::Fault::overflow);
  EXPECT_EQ((Dim::symbol("n") * big * 2).fault(), Dim::Fault::overflow);
  EXPECT_EQ((Dim(INT64_MIN) - Dim::symbol("n") - 1).fault(), Dim::Fault::overflow);
  EXPECT_EQ(floordiv(Dim::symbol("n"), 0).fault(), Dim::Fault::division);
  EXPECT_EQ(mod(3, -1).fault(), Dim::Fault::division);
  EXPECT_EQ(floordiv(Dim(INT64_MIN), Dim(1)), Dim(INT64_MIN));
  Dim power = Dim::symbol("n");
  for (int i = 0; i < 6; ++i) power = power * power;
  EXPECT_EQ(power.fault(), Dim::Fault::too_complex);
  Dim sum = 0;
  for (int i = 0; i < 100; ++i) sum += Dim::symbol("s" + std::to_string(i));
  EXPECT_EQ(sum.fault(), Dim::Fault::too_complex);
  EXPECT_EQ(product({0, INT64_MAX, INT64_MAX}), Dim(0));
  EXPECT_EQ(product({2, INT64_MAX}).fault(), Dim::Fault::overflow);
}

TEST(Dim, RefusesMalformedText) {
  EXPECT_EQ(error("n +"), "t:1:4: expected a dimension\nn +\n   ^");
  EXPECT_EQ(error("9223372036854775808"), "t:1:1: dimension overflows 64 bits\n9223372036854775808\n^");
  EXPECT_EQ(dim("-9223372036854775808"), Dim(INT64_MIN));
  EXPECT_NE(error("floordiv(n)").find("takes two operands"), std::string::npos);
  EXPECT_NE(error("floordiv(n, 0)").find("divides by a number below 1"), std::string::npos);
  EXPECT_NE(error("n n").find("expected the end"), std::string::npos);
  EXPECT_NE(error(std::string(100, '(') + "n").find("nested deeper than 64"), std::string::npos);
}

TEST(Dim, SubstitutesAndEvaluates) {
  Dim d = dim("floordiv(batch*seq + 1, 2) + ?0");
  auto fixed = d.substitute([](const std::string &key) -> std::optional<Dim> {
    if (key == "batch") return Dim(2);
    if (key == "?0") return Dim::symbol("seq");
    return std::nullopt;
  });
  EXPECT_EQ(fixed.str(), "2*seq");
  std::map<std::string, int64_t> values = {{"batch", 3}, {"seq", 5}, {"?0", 100}};
  auto lookup = [&](const std::string &key) -> std::optional<int64_t> {
    auto it = values.find(key);
    return it == values.end() ? std::nullopt : std::optional(it->second);
  };
  EXPECT_EQ(d.evaluate(lookup), 108);
  values.erase("seq");
  EXPECT_EQ(d.evaluate(lookup), std::nullopt);
}

TEST(Dim, SymbolKeysAreInjective) {
  for (const char *name : {"?3", "\\?3", "n", "\\"}) {
    Dim symbol = Dim::symbol(name);
    EXPECT_EQ(Dim::from_key(symbol.symbol_key()), symbol);
    EXPECT_NE(symbol.symbol_key(), Dim::runtime(3).symbol_key());
  }
  EXPECT_EQ(Dim::from_key("?3"), Dim::runtime(3));
}

TEST(Dim, BoundsFollowFromSymbols) {
  auto lookup = [](const std::string &key) -> std::optional<Interval> {
    if (key == "n") return Interval{1, 8};
    return std::nullopt;
  };
  EXPECT_EQ(dim("2*n + 1").bounds(lookup), (Interval{3, 17}));
  EXPECT_EQ(dim("3 - n").bounds(lookup), (Interval{-5, 2}));
  EXPECT_EQ(dim("m").bounds(lookup), (Interval{0, {}}));
  EXPECT_EQ(dim("mod(m, 4)").bounds(lookup), (Interval{0, 3}));
  EXPECT_EQ(dim("floordiv(n, 3)").bounds(lookup), (Interval{0, 2}));
  EXPECT_EQ(dim("min(m, n)").bounds(lookup), (Interval{0, 8}));
  EXPECT_EQ(dim("n * 4611686018427387904").bounds(lookup), (Interval{4611686018427387904, {}}));
}

// Random expressions against plain integer arithmetic: canonicalisation keeps values, printing reads back, bounds
// contain.
TEST(Dim, RandomExpressionsKeepTheirValue) {
  std::mt19937 random(7);
  auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const char *names[] = {"a", "b", "c"};
  for (int round = 0; round < 3000; ++round) {
    int64_t values[] = {1 + pick(9), 1 + pick(9), 1 + pick(9)};
    struct Pair {
      Dim dim;
      int64_t value;
    };
    std::vector<Pair> pool;
    for (int i = 0; i < 3; ++i) pool.push_back({Dim::symbol(names[i]), values[i]});
    for (int i = 0; i < 3; ++i) {
      int64_t c = pick(7) - 2;
      pool.push_back({c, c});
    }
    for (int step = 0; step < 8; ++step) {
      Pair x = pool[static_cast<size_t>(pick(static_cast<int>(pool.size())))];
      Pair y = pool[static_cast<size_t>(pick(static_cast<int>(pool.size())))];
      auto floor_div = [](int64_t p, int64_t q) { return p / q - (p % q < 0); };
      switch (pick(8)) {
      case 0:
      case 1:
        pool.push_back({x.dim + y.dim, x.value + y.value});
        break;
      case 2:
        pool.push_back({x.dim - y.dim, x.value - y.value});
        break;
      case 3:
        if (std::abs(x.value) < 100000 && std::abs(y.value) < 100000)
          pool.push_back({x.dim * y.dim, x.value * y.value});
        break;
      case 4:
        pool.push_back({min(x.dim, y.dim), std::min(x.value, y.value)});
        break;
      case 5:
        pool.push_back({max(x.dim, y.dim), std::max(x.value, y.value)});
        break;
      default: { // divisors that are positive for all values of the symbols
        Interval bounds = y.dim.bounds([](const std::string &) { return Interval{1, {}}; });
        if (!bounds.lower || *bounds.lower < 1) break;
        if (pick(2))
          pool.push_back({floordiv(x.dim, y.dim), floor_div(x.value, y.value)});
        else
          pool.push_back({mod(x.dim, y.dim), x.value - floor_div(x.value, y.value) * y.value});
      }
      }
      const Pair &last = pool.back();
      if (!last.dim.valid()) {
        pool.pop_back();
        continue;
      }
      auto value = last.dim.evaluate([&](const std::string &key) { return std::optional(values[key[0] - 'a']); });
      ASSERT_EQ(value, last.value) << last.dim.str();
      ASSERT_EQ(dim(last.dim.str()), last.dim);
      Interval bounds = last.dim.bounds();
      ASSERT_TRUE((!bounds.lower || *bounds.lower <= last.value) && (!bounds.upper || *bounds.upper >= last.value))
          << last.dim.str();
    }
  }
}

} // namespace
