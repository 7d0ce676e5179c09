// Checks and flattens trees (see tree_model.h).
#include "tree_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace cameo::frontend {
namespace {

using Mode = TreeModel::Mode;
constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMaxNodes = int64_t{1} << 28; // node numbers are i32, and twice of them still fit
constexpr int64_t kMaxWeights = int64_t{1} << 27;

// The largest number of the dtype below v; NaN (nothing is at most NaN) when there is none.
double before(double v, DType dtype) {
  if (std::isnan(v) || v == -kInfinity) return kNan;
  if (dtype == DType::f64) return std::nextafter(v, -kInfinity);
  return double(std::nextafterf(float(v), -std::numeric_limits<float>::infinity()));
}

// One test x <= split of an expanded node. Children: other steps, or the node's own.
constexpr int kYes = -1, kNo = -2;
struct Step {
  double split;
  bool missing; ///< NaN counts as at most the split
  int above, at_most;
};

// A search for the interval that x lies in, among bounds[from, to): interval i ends at bounds[i], and odd ones are
// members.
int search(std::vector<Step> &steps, const std::vector<double> &bounds, int from, int to) {
  if (from == to) return from % 2 == 1 ? kYes : kNo;
  const int at = int(steps.size()), middle = from + (to - from) / 2;
  steps.push_back({bounds[size_t(middle)], false, kNo, kNo});
  const int left = search(steps, bounds, from, middle), right = search(steps, bounds, middle + 1, to);
  steps[size_t(at)].at_most = left;
  steps[size_t(at)].above = right;
  return at;
}

std::vector<Step> steps_of(const TreeModel::Node &node, DType dtype) {
  const double t = node.split;
  const bool missing = node.missing_true;
  switch (node.mode) {
  case Mode::less_equal:
    return {{t, missing, kNo, kYes}};
  case Mode::less:
    return {{before(t, dtype), missing, kNo, kYes}};
  // Nothing is above NaN: everything is at most infinity.
  case Mode::greater:
    return {{std::isnan(t) ? kInfinity : t, !missing, kYes, kNo}};
  case Mode::greater_equal:
    return {{std::isnan(t) ? kInfinity : before(t, dtype), !missing, kYes, kNo}};
  case Mode::equal:
    return {{t, missing, kNo, 1}, {before(t, dtype), false, kYes, kNo}};
  case Mode::not_equal:
    return {{t, false, kYes, 1}, {before(t, dtype), false, kNo, kYes}};
  case Mode::member: {
    std::vector<double> members = node.members, bounds;
    std::sort(members.begin(), members.end());
    members.erase(std::unique(members.begin(), members.end()), members.end());
    for (double v : members) {
      bounds.push_back(before(v, dtype));
      bounds.push_back(v);
    }
    std::vector<Step> steps;
    if (missing || bounds.empty()) steps.push_back({kNan, missing, bounds.empty() ? kNo : 1, kYes});
    search(steps, bounds, 0, int(bounds.size()));
    return steps;
  }
  case Mode::leaf:
    break;
  }
  CAMEO_UNREACHABLE("a leaf has no test");
}

// The nodes that the roots reach, parents before children; empty after a problem.
std::vector<int64_t> ordered(NodeImport &n, const TreeModel &model) {
  enum : uint8_t { unseen, open, done };
  std::vector<uint8_t> state(model.nodes.size(), unseen);
  std::vector<int64_t> order;
  const auto count = int64_t(model.nodes.size());
  for (size_t t = model.roots.size(); t-- > 0;) {
    std::vector<std::pair<int64_t, int>> stack{{model.roots[t], 0}};
    if (state[size_t(model.roots[t])] == done) continue;
    while (!stack.empty()) {
      auto &[at, child] = stack.back();
      const TreeModel::Node &node = model.nodes[size_t(at)];
      state[size_t(at)] = open;
      if (node.mode == Mode::leaf || child == 2) {
        state[size_t(at)] = done;
        order.push_back(at);
        stack.pop_back();
        continue;
      }
      const int64_t next = child++ == 0 ? node.no : node.yes;
      if (next < 0 || next >= count) {
        n.fail("tree node " + std::to_string(at) + " has child " + std::to_string(next) + " of " +
               std::to_string(count));
        return {};
      }
      if (state[size_t(next)] == open) {
        n.fail("tree node " + std::to_string(next) + " is its own descendant");
        return {};
      }
      if (state[size_t(next)] == unseen) stack.emplace_back(next, 0);
    }
  }
  std::reverse(order.begin(), order.end());
  return order;
}

// The target that all leaves below each root feed; -1 when they are several. Nodes in `order`.
std::vector<int64_t> single_targets(const TreeModel &model, const std::vector<int64_t> &order) {
  constexpr int64_t kNone = -2, kSeveral = -1;
  std::vector<int64_t> target(model.nodes.size(), kNone);
  auto join = [](int64_t a, int64_t b) { return a == kNone || a == b ? b : b == kNone ? a : kSeveral; };
  for (size_t i = order.size(); i-- > 0;) {
    const TreeModel::Node &node = model.nodes[size_t(order[i])];
    int64_t &mine = target[size_t(order[i])];
    if (node.mode == Mode::leaf)
      for (const auto &weight : node.weights) mine = join(mine, weight.first);
    else
      mine = join(target[size_t(node.no)], target[size_t(node.yes)]);
  }
  std::vector<int64_t> result;
  for (int64_t root : model.roots) result.push_back(target[size_t(root)] == kNone ? 0 : target[size_t(root)]);
  return result;
}

double combine(const std::string &aggregate, double a, double b) {
  return aggregate == "sum" ? a + b : aggregate == "min" ? std::min(a, b) : std::max(a, b);
}

// The arrays of the op: inner nodes in order, then leaves, the last of which has no weight.
struct Flat {
  std::vector<int64_t> roots, features, children, missing;
  std::vector<double> splits;
  std::vector<const TreeModel::Node *> leaves; ///< null: the one without a weight
  int64_t depth = 1;
  bool any_missing = false;
};

Flat flatten(const TreeModel &model, const std::vector<int64_t> &order) {
  Flat flat;
  std::vector<std::vector<Step>> steps(model.nodes.size());
  std::vector<int64_t> number(model.nodes.size(), 0);
  int64_t inner = 0;
  for (int64_t at : order) {
    const TreeModel::Node &node = model.nodes[size_t(at)];
    if (node.mode == Mode::leaf) continue;
    steps[size_t(at)] = steps_of(node, model.dtype);
    number[size_t(at)] = inner;
    inner += int64_t(steps[size_t(at)].size());
  }
  for (int64_t at : order)
    if (model.nodes[size_t(at)].mode == Mode::leaf) {
      number[size_t(at)] = inner + int64_t(flat.leaves.size());
      flat.leaves.push_back(&model.nodes[size_t(at)]);
    }
  flat.leaves.push_back(nullptr);
  for (int64_t at : order) {
    const TreeModel::Node &node = model.nodes[size_t(at)];
    for (const Step &s : steps[size_t(at)]) {
      auto child = [&](int c) {
        return c == kYes ? number[size_t(node.yes)] : c == kNo ? number[size_t(node.no)] : number[size_t(at)] + c;
      };
      flat.features.push_back(node.feature);
      flat.splits.push_back(s.split);
      flat.missing.push_back(s.missing);
      flat.any_missing |= s.missing;
      flat.children.push_back(child(s.above));
      flat.children.push_back(child(s.at_most));
    }
  }
  // A leaf stays where it is.
  for (size_t i = 0; i < flat.leaves.size(); ++i) {
    flat.features.push_back(0);
    flat.splits.push_back(kNan);
    flat.missing.push_back(0);
    flat.children.insert(flat.children.end(), 2, inner + int64_t(i));
  }
  std::vector<int64_t> depth(flat.features.size(), 0);
  for (int64_t i = inner; i-- > 0;)
    depth[size_t(i)] =
        1 + std::max(depth[size_t(flat.children[size_t(2 * i)])], depth[size_t(flat.children[size_t(2 * i + 1)])]);
  for (int64_t root : model.roots) {
    flat.roots.push_back(number[size_t(root)]);
    flat.depth = std::max(flat.depth, depth[size_t(flat.roots.back())]);
  }
  return flat;
}

constexpr int64_t kMostColumns = 4096; // what a kernel keeps of a few rows at hand
constexpr int64_t kBits = 62;          // of a set; the next bit of the word stands for NaN

// The set of whole numbers below kBits that the node's test looks for; nullopt when it is another test, or another set.
std::optional<uint64_t> small_set(const TreeModel::Node &node) {
  std::vector<double> members = node.members;
  if (node.mode == Mode::equal || node.mode == Mode::not_equal)
    members = {node.split};
  else if (node.mode != Mode::member)
    return std::nullopt;
  uint64_t set = node.missing_true && node.mode != Mode::not_equal ? uint64_t{1} << kBits : 0;
  for (double v : members) {
    if (!(v >= 0) || v >= kBits || v != std::floor(v)) return std::nullopt;
    set |= uint64_t{1} << static_cast<int>(v);
  }
  return set;
}

// Tests of membership in small sets become columns of their own behind those of x: 0 where x is in the set, else 1. One
// node tests what would take a search otherwise. Categories are such sets: an ensemble has few different ones.
//   code = x whole and in [0, 62) ? 1 << x : x is NaN ? 1 << 62 : 0, column = (code & set) == 0
Value *with_set_columns(NodeImport &n, TreeModel &model, Value *rows) {
  const Dim &width = rows->type().dim(1);
  if (!width.is_constant()) return rows;
  std::map<std::pair<int64_t, uint64_t>, int64_t> columns;
  std::map<int64_t, int64_t> features; // that are tested, to their place
  for (const TreeModel::Node &node : model.nodes) {
    if (node.mode != Mode::leaf && (node.feature < 0 || node.feature >= width.value())) return rows; // refused below
    if (const auto set = small_set(node)) {
      columns.emplace(std::pair(node.feature, *set), 0);
      features.emplace(node.feature, 0);
    }
  }
  if (columns.empty() || width.value() + int64_t(columns.size()) > kMostColumns) return rows;
  std::vector<int64_t> tested, place, sets;
  for (auto &[feature, at] : features) {
    at = int64_t(tested.size());
    tested.push_back(feature);
  }
  for (auto &[key, number] : columns) {
    number = width.value() + int64_t(sets.size());
    place.push_back(features.at(key.first));
    sets.push_back(int64_t(key.second));
  }
  for (TreeModel::Node &node : model.nodes) {
    const auto set = small_set(node);
    if (!set) continue;
    if (node.mode == Mode::not_equal) std::swap(node.yes, node.no);
    node.feature = columns.at({node.feature, *set});
    node.mode = Mode::less_equal;
    node.split = 0.5;
    node.missing_true = false;
  }
  const DType t = rows->type().dtype();
  auto number = [&](double v) { return n.scalar(t, v); };
  Value *x = n.gather(rows, n.ints_constant(tested), 1);
  Value *in_range =
      n.map(Fn::logical_and, {n.map(Fn::less_equal, {number(0), x}), n.map(Fn::less, {x, number(kBits)})});
  Value *whole = n.map(Fn::logical_and, {in_range, n.map(Fn::equal, {x, n.map(Fn::floor, {x})})});
  Value *other = n.map(Fn::select, {n.map(Fn::is_nan, {x}), number(kBits), number(64)}); // a shift by 64 gives 0
  Value *shift = n.cast(n.map(Fn::select, {whole, x, other}), DType::u64);
  Value *code = n.map(Fn::shift_left, {n.scalar_int(DType::u64, 1), shift});
  const auto count = int64_t(sets.size());
  Value *common = n.map(Fn::bitwise_and, {n.gather(code, n.ints_constant(place), 1),
                                          n.constant(ConstantData::of_ints(DType::u64, {count}, sets))});
  Value *outside = n.map(Fn::equal, {common, n.scalar_int(DType::u64, 0)});
  return n.concat({rows, n.cast(outside, t)}, 1);
}

} // namespace

std::vector<Scored> scored_targets(const TreeModel &model) {
  std::vector<Scored> scored(static_cast<size_t>(model.targets), Scored::never);
  std::vector<int64_t> tree_of(model.nodes.size(), -1);
  // A tree scores a target always when each of its leaves does.
  for (size_t t = 0; t < model.roots.size(); ++t) {
    std::map<int64_t, int64_t> hits; // leaves by target
    std::vector<int64_t> stack{model.roots[t]};
    int64_t leaves = 0;
    while (!stack.empty()) {
      const int64_t at = stack.back();
      stack.pop_back();
      if (tree_of[size_t(at)] == int64_t(t)) continue;
      tree_of[size_t(at)] = int64_t(t);
      const TreeModel::Node &node = model.nodes[size_t(at)];
      if (node.mode != Mode::leaf) {
        stack.push_back(node.yes);
        stack.push_back(node.no);
        continue;
      }
      ++leaves;
      std::vector<int64_t> mine;
      for (const auto &weight : node.weights) mine.push_back(weight.first);
      std::sort(mine.begin(), mine.end());
      mine.erase(std::unique(mine.begin(), mine.end()), mine.end());
      for (int64_t k : mine) ++hits[k];
    }
    for (const auto &[k, hit] : hits)
      scored[size_t(k)] = std::max(scored[size_t(k)], hit == leaves ? Scored::always : Scored::sometimes);
  }
  return scored;
}

Value *tree_scores(NodeImport &n, const TreeModel &given, Value *rows) {
  if (n.failed() || !rows) return nullptr;
  if (given.roots.empty()) return n.fail("has no trees");
  TreeModel model = given;
  rows = with_set_columns(n, model, rows);
  const std::vector<int64_t> order = ordered(n, model);
  if (n.failed()) return nullptr;
  const Dim &columns = rows->type().dim(1);
  int64_t total = 0;
  for (int64_t at : order) {
    const TreeModel::Node &node = model.nodes[size_t(at)];
    if (node.mode == Mode::leaf) continue;
    if (node.feature < 0 || node.feature > INT32_MAX || (columns.is_constant() && node.feature >= columns.value()))
      return n.fail("tree node " + std::to_string(at) + " tests feature " + std::to_string(node.feature) + " of " +
                    columns.str());
    total += 2 * int64_t(node.members.size()) + 2;
  }
  if (total + int64_t(order.size()) > kMaxNodes)
    return n.unsupported("an ensemble of " + std::to_string(total) + " nodes");
  Flat flat = flatten(model, order);
  const int64_t leaves = int64_t(flat.leaves.size()), count = int64_t(flat.features.size());

  // Trees that feed one target each are ordered by it, as many for each; otherwise every leaf has a weight for every
  // target.
  const std::vector<int64_t> target = single_targets(model, order);
  std::vector<std::vector<int64_t>> by_target(static_cast<size_t>(model.targets));
  bool grouped = true;
  for (size_t t = 0; t < target.size(); ++t) {
    if (target[t] < 0)
      grouped = false;
    else
      by_target[size_t(target[t])].push_back(flat.roots[t]);
  }
  size_t most = 0;
  for (const auto &list : by_target) most = std::max(most, list.size());
  grouped &= int64_t(most) * model.targets <= 2 * int64_t(target.size()) + 8;
  const double none = model.aggregate == "sum" ? 0 : model.aggregate == "min" ? kInfinity : -kInfinity;
  const int64_t width = grouped ? 1 : model.targets;
  if (leaves > kMaxWeights / width)
    return n.unsupported(std::to_string(leaves) + " leaves of " + std::to_string(width) + " targets");
  std::vector<double> values(static_cast<size_t>(leaves * width), none);
  for (size_t i = 0; i < flat.leaves.size(); ++i) {
    if (!flat.leaves[i]) continue;
    std::vector<bool> first(static_cast<size_t>(width), true);
    for (const auto &[k, weight] : flat.leaves[i]->weights) {
      const auto column = size_t(grouped ? 0 : k);
      double &value = values[i * size_t(width) + column];
      value = first[column] ? weight : combine(model.aggregate, value, weight);
      first[column] = false;
    }
  }
  if (grouped) {
    flat.roots.clear();
    for (auto &list : by_target) {
      list.resize(most, count - 1);
      flat.roots.insert(flat.roots.end(), list.begin(), list.end());
    }
  }
  auto i32 = [&](std::vector<int64_t> dims, const std::vector<int64_t> &list) {
    return n.constant(ConstantData::of_ints(DType::i32, std::move(dims), list));
  };
  auto reals = [&](std::vector<int64_t> dims, const std::vector<double> &list) {
    return n.constant(ConstantData::of_rounded(model.dtype, std::move(dims), list));
  };
  Value *missing = flat.any_missing ? n.constant(ConstantData::of_ints(DType::i32, {count}, flat.missing)) : nullptr;
  return n.make(Op::tree_ensemble,
                {rows, i32({int64_t(flat.roots.size())}, flat.roots), i32({count}, flat.features),
                 reals({count}, flat.splits), i32({2 * count}, flat.children),
                 grouped ? reals({leaves}, values) : reals({leaves, width}, values), missing},
                {{"aggregate", model.aggregate}, {"depth", flat.depth}, {"targets", model.targets}});
}

} // namespace cameo::frontend
