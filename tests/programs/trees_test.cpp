// Tree ensembles as compiled programs against a walk in plain C++: as a walk and as masks, by row and by batch, with
// missing values.
#include "program_runner.h"

#include "cameo/passes/passes.h"

#include <limits>
#include <random>

namespace cameo::passes {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Trees {
  int64_t features = 1, targets = 1, depth = 1;
  std::vector<int64_t> roots, feature, children, missing;
  Values splits, values; ///< values: [leaves, columns]
  int64_t leaves = 0, columns = 1;
  bool grouped = true;
};

// Random trees of at most `most` leaves; inner nodes first, children behind parents.
Trees random_trees(uint32_t seed, int64_t trees, int64_t most, int64_t features, int64_t targets, bool grouped) {
  std::mt19937 random(seed);
  Trees t;
  t.features = features;
  t.targets = targets;
  t.grouped = grouped;
  t.columns = grouped ? 1 : targets;
  struct Shape {
    std::vector<std::pair<int, int>> nodes; ///< children, -1 - leaf
    int leaves;
  };
  std::vector<Shape> shapes;
  int64_t inner = 0;
  for (int64_t i = 0; i < trees; ++i) {
    Shape s{{}, 1};
    std::vector<std::pair<int, bool>> open; // where a leaf hangs
    const int64_t count = 1 + random() % most;
    if (count > 1) {
      s.nodes.push_back({-1, -2});
      s.leaves = 2;
    }
    while (s.leaves < count) {
      const size_t at = random() % s.nodes.size();
      int &child = random() % 2 ? s.nodes[at].first : s.nodes[at].second;
      if (child >= 0) continue;
      const int leaf = child;
      child = static_cast<int>(s.nodes.size());
      s.nodes.push_back({leaf, -1 - s.leaves});
      ++s.leaves;
    }
    inner += static_cast<int64_t>(s.nodes.size());
    t.leaves += s.leaves;
    shapes.push_back(s);
  }
  int64_t first = 0, leaf = inner;
  for (const Shape &s : shapes) {
    auto number = [&](int child) { return child >= 0 ? first + child : leaf + (-1 - child); };
    t.roots.push_back(s.nodes.empty() ? leaf : first);
    std::vector<int64_t> depth(s.nodes.size(), 1);
    for (size_t i = s.nodes.size(); i-- > 0;)
      for (int child : {s.nodes[i].first, s.nodes[i].second})
        if (child >= 0) depth[i] = std::max(depth[i], depth[static_cast<size_t>(child)] + 1);
    if (!depth.empty()) t.depth = std::max(t.depth, depth[0]);
    for (const auto &[no, yes] : s.nodes) {
      t.feature.push_back(static_cast<int64_t>(random() % static_cast<uint32_t>(features)));
      t.splits.push_back((static_cast<int>(random() % 33) - 16) * 0.125);
      t.missing.push_back(static_cast<int64_t>(random() % 2));
      t.children.insert(t.children.end(), {number(no), number(yes)});
    }
    first += static_cast<int64_t>(s.nodes.size());
    leaf += s.leaves;
  }
  for (int64_t i = 0; i < t.leaves; ++i) {
    t.feature.push_back(0);
    t.splits.push_back(kNan);
    t.missing.push_back(0);
    t.children.insert(t.children.end(), 2, inner + i);
  }
  t.values = some(t.leaves * t.columns, seed + 1);
  return t;
}

Values walk(const Trees &t, const Values &x, int64_t rows, const std::string &aggregate, bool missing) {
  Values y;
  const auto inner = static_cast<int64_t>(t.feature.size()) - t.leaves;
  const auto trees = static_cast<int64_t>(t.roots.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t k = 0; k < t.targets; ++k) {
      const double infinity = std::numeric_limits<double>::infinity();
      double sum = aggregate == "sum" ? 0 : aggregate == "min" ? infinity : -infinity;
      const int64_t each = t.grouped ? trees / t.targets : trees, from = t.grouped ? k * each : 0;
      for (int64_t i = from; i < from + each; ++i) {
        int64_t at = t.roots[static_cast<size_t>(i)];
        while (at < inner) {
          const auto n = static_cast<size_t>(at);
          const double v = x[static_cast<size_t>(r * t.features + t.feature[n])];
          const bool yes = v <= t.splits[n] || (std::isnan(v) && missing && t.missing[n] != 0);
          at = t.children[2 * n + (yes ? 1 : 0)];
        }
        const double value = t.values[static_cast<size_t>((at - inner) * t.columns + (t.grouped ? 0 : k))];
        sum = aggregate == "sum" ? sum + value : aggregate == "min" ? std::min(sum, value) : std::max(sum, value);
      }
      y.push_back(sum);
    }
  return y;
}

std::string list(const std::string &type, const std::vector<int64_t> &values) {
  std::string text = type + "[" + std::to_string(values.size()) + "] [";
  for (size_t i = 0; i < values.size(); ++i) text += (i ? ", " : "") + std::to_string(values[i]);
  return text + "]";
}

std::string reals(const std::string &type, const std::string &dims, const Values &values) {
  std::string text = type + "[" + dims + "] [";
  for (size_t i = 0; i < values.size(); ++i) {
    char number[40];
    std::snprintf(number, sizeof number, "%.4f", values[i]);
    text += (i ? ", " : "") + (std::isnan(values[i]) ? std::string("nan") : std::string(number));
  }
  return text + "]";
}

std::string text_of(const Trees &t, const std::string &type, const std::string &rows, const std::string &aggregate,
                    bool missing) {
  const std::string nodes = std::to_string(t.feature.size()), leaves = std::to_string(t.leaves);
  return "graph @g stage canonical {\n  main(%x: " + type + "[" + rows + ", " + std::to_string(t.features) + "]) {\n" +
         "    %r = constant " + list("i32", t.roots) + "\n    %f = constant " + list("i32", t.feature) +
         "\n    %s = constant " + reals(type, nodes, t.splits) + "\n    %c = constant " + list("i32", t.children) +
         "\n    %v = constant " +
         reals(type, t.grouped ? leaves : leaves + ", " + std::to_string(t.columns), t.values) +
         "\n    %m = constant " + list("i32", t.missing) + "\n    %y = tree_ensemble %x, %r, %f, %s, %c, %v" +
         (missing ? ", %m" : "") + " {aggregate = " + aggregate + ", depth = " + std::to_string(t.depth) +
         ", targets = " + std::to_string(t.targets) + "} : " + type + "[" + rows + ", " + std::to_string(t.targets) +
         "]\n    yield %y as \"y\"\n  }\n}\n";
}

Values inputs(const Trees &t, int64_t rows, uint32_t seed, bool missing) {
  Values x = some(rows * t.features, seed);
  for (size_t i = 0; missing && i < x.size(); i += 5) x[i] = kNan;
  return x;
}

TEST(Trees, WalksAndMasksAgreeWithTheTrees) {
  uint32_t seed = 1;
  for (const std::string type : {"f32", "f64"})
    for (const auto &[trees, most] :
         {std::pair<int64_t, int64_t>{1, 1}, {1, 5}, {2, 33}, {6, 9}, {18, 32}, {66, 64}, {12, 150}})
      for (const auto &[targets, grouped] : {std::pair<int64_t, bool>{1, true}, {2, true}, {3, false}})
        for (const std::string rows : {"1", "5", "n"}) {
          if (grouped && trees % targets != 0) continue;
          const std::string aggregate = seed % 3 == 0 ? "min" : seed % 3 == 1 ? "sum" : "max";
          const bool missing = seed % 2 == 0;
          ++seed;
          const Trees t = random_trees(seed, trees, most, 1 + seed % 7, targets, grouped);
          const int64_t count = rows == "n" ? 19 : std::stoll(rows);
          const Values x = inputs(t, count, seed, seed % 4 < 2), want = walk(t, x, count, aggregate, missing);
          graph::Graph graph = parse_graph(text_of(t, type, rows, aggregate, missing));
          for (const bool masks : {false, true}) {
            SCOPED_TRACE(type + ", " + std::to_string(trees) + " trees of " + std::to_string(most) + " leaves, " +
                         rows + " rows, " + std::to_string(targets) + " targets, seed " + std::to_string(seed) +
                         (masks ? ", masks" : ", walk"));
            if (masks && most > 64) continue;
            if (masks) {
              Result<bool> changed = tree_masks(graph, {});
              ASSERT_TRUE(changed.ok());
            }
            const RunResult r =
                run_graph(graph, {x}, {}, rows == "n" ? std::vector<int64_t>{count} : std::vector<int64_t>{});
            ASSERT_EQ(r.status, 0);
            ASSERT_EQ(r.outputs.size(), 1u);
            for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(r.outputs[0][i], want[i], 1e-4) << i;
          }
        }
}

// Columns that the run knows are checked there.
TEST(Trees, AFeatureBehindTheColumnsIsAStatus) {
  const Trees t = random_trees(3, 4, 9, 6, 1, true);
  std::string text = text_of(t, "f32", "2", "sum", false);
  text.replace(text.find("[2, 6]"), 6, "[2, c]");
  const graph::Graph graph = parse_graph(text);
  const Values x = some(12, 3);
  const RunResult good = run_graph(graph, {x}, {}, {6});
  EXPECT_EQ(good.status, 0);
  const Values want = walk(t, x, 2, "sum", false);
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(good.outputs[0][i], want[i], 1e-4);
  EXPECT_EQ(run_graph(graph, {Values(2, 0)}, {}, {1}).status, 32);
}

// The coupled probabilities solve Q p = (p^T Q p) 1: each (Q p)(i) is near their mean.
TEST(Trees, PairwiseCouplingBalancesItsPairs) {
  const graph::Graph graph = parse_graph(R"(graph @g stage canonical {
  main(%r: f32[3, 6]) {
    %p = pairwise_coupling %r {classes = 4} : f32[3, 4]
    yield %p as "p"
  }
}
)");
  const Values r{0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.9, 0.8, 0.7, 0.3, 0.6, 0.2, 0.01, 0.99, 0.5, 0.75, 0.25, 0.4};
  const RunResult run = run_graph(graph, {r});
  ASSERT_EQ(run.status, 0);
  for (size_t row = 0; row < 3; ++row) {
    double win[4][4] = {}, sum = 0, mean = 0, qp[4] = {};
    const double *p = run.outputs[0].data() + 4 * row;
    size_t pair = 0;
    for (size_t i = 0; i < 4; ++i)
      for (size_t j = i + 1; j < 4; ++j, ++pair) {
        win[i][j] = r[6 * row + pair];
        win[j][i] = 1 - win[i][j];
      }
    for (size_t i = 0; i < 4; ++i) {
      sum += p[i];
      for (size_t j = 0; j < 4; ++j)
        if (i != j) qp[i] += win[j][i] * win[j][i] * p[i] - win[j][i] * win[i][j] * p[j];
      mean += p[i] * qp[i];
    }
    EXPECT_NEAR(sum, 1, 1e-5);
    for (double v : qp) EXPECT_NEAR(v, mean, 0.005 / 4 + 1e-5);
  }
  EXPECT_NEAR(run.outputs[0][0], 0.25, 1e-6); // all pairs equal
}

} // namespace
} // namespace cameo::passes
