// Tree ensembles as a walk of arrays, and the coupling of pairwise probabilities.
//
// A tree is walked by all rows and trees alike: `depth` times the node becomes one of its children, and a leaf is its
// own child, so that lanes that arrive early wait. The walk is a stage [row, tree] with the steps as its reduction. A
// second stage sums the leaves' values.
#include "lowering.h"

#include "cameo/abi.h"

#include <algorithm>
#include <limits>

namespace cameo::ops {
namespace {

using graph::Value;

constexpr int64_t kMaxColumns = 4096; ///< features of which a tile of rows stays in the second-level cache
constexpr int64_t kFewRows = 2;       ///< that are faster one by one than as a tile
constexpr int64_t kTileRows = 16;     ///< of a tile, or a multiple of what a tile has

// i32 expression as an index.
Index indirect(Lowering &l, ExprId i32) { return Lowering::at(l.kernel().cast(Opcode::sext, i32, Scalar::i64)); }

// x[from + row, feature], checked where the run alone knows how many features there are.
ExprId element(Lowering &l, const Value *x, const graph::Dim &from, Index feature) {
  const bool checked = !x->type().dim(1).is_constant();
  const ExprId e = l.read(x, {l.offset(loop::axis_index(0), from), std::move(feature)},
                          checked ? OutOfRange::fail : OutOfRange::never);
  if (checked) l.kernel().exprs[e].integer = CAMEO_INDEX_OUT_OF_RANGE;
  return e;
}

// value <= split, or value is NaN and missing (i32, -1: never) says that it counts.
ExprId at_most(Lowering &l, ExprId value, ExprId split, ExprId missing) {
  const ExprId below = l.op(Opcode::le, value, split);
  if (missing < 0) return below;
  const ExprId tracks = l.op(Opcode::ne, missing, l.kernel().constant_int(Scalar::i32, 0));
  return l.op(Opcode::bit_or, below, l.op(Opcode::bit_and, l.op(Opcode::ne, value, value), tracks));
}

// sum[row, target] = aggregate over trees of read(end[row, tree]), where `end` is a stage over so many rows; grouped:
// over the target's own trees. `read` sees the axes row, target, tree.
template <class Read>
int32_t add_sum(Lowering &l, const graph::Node &node, const graph::Dim &rows, int32_t end, int64_t trees, bool grouped,
                Read read) {
  const Value *y = node.result();
  loop::Kernel &k = l.kernel();
  const Scalar t = value_type(y->type().dtype());
  const std::string &aggregate = node.string("aggregate");
  const double infinity = std::numeric_limits<double>::infinity();
  const int64_t each = grouped ? trees / node.integer("targets") : trees;
  loop::Stage sum = l.stage(l.space({rows, y->type().dim(1)}), "sum");
  Index which = loop::axis_index(Lowering::add_reduction(sum, "tree", each));
  if (grouped) which.axes.emplace_back(1, each);
  std::sort(which.axes.begin(), which.axes.end());
  const ExprId score = convert(l, read(k.read_stage(end, {loop::axis_index(0), which})), y->type().dtype(), t);
  const Opcode code = aggregate == "sum" ? Opcode::add : aggregate == "min" ? Opcode::min : Opcode::max;
  sum.types = {t};
  sum.init = {l.number(t, aggregate == "sum" ? 0 : aggregate == "min" ? infinity : -infinity)};
  sum.next = {l.op(code, k.carried(t), score)};
  sum.combine = code;
  return l.add_stage(std::move(sum));
}

// The sums of tree_masks over `rows` rows of x from row `from` on. batch: rows side by side, which read one feature
// each; with the features of a tile of rows as columns that is one load. Otherwise a row has its trees side by side.
int32_t masked_sums(Lowering &l, const graph::Node &node, const graph::Dim &from, const graph::Dim &rows, bool batch) {
  const Value *x = node.operand(0), *features = node.operand(1), *splits = node.operand(2), *masks = node.operand(3),
              *values = node.operand(4), *missing = node.operand_count() > 5 ? node.operand(5) : nullptr;
  loop::Kernel &k = l.kernel();
  const int64_t trees = features->type().dim(1).value();
  const Scalar word = value_type(masks->type().dtype());
  int32_t columns = -1;
  if (batch) {
    loop::Stage column = l.stage(l.space({x->type().dim(1), rows}), "column");
    column.next = {l.read(x, {l.offset(loop::axis_index(1), from), loop::axis_index(0)})};
    column.types = {l.type(column.next[0])};
    columns = l.add_stage(std::move(column));
  }
  loop::Stage left = l.stage(l.space({rows, graph::Dim(trees)}), "leaves");
  const int32_t test = Lowering::add_reduction(left, "test", features->type().dim(0).value());
  const std::vector<Index> at{loop::axis_index(test), loop::axis_index(1)};
  const Index feature = indirect(l, l.read(features, at));
  const ExprId value = batch ? k.read_stage(columns, {feature, loop::axis_index(0)}) : element(l, x, from, feature);
  const ExprId passed = at_most(l, value, l.read(splits, at), missing ? l.read(missing, at) : -1);
  left.types = {word};
  left.init = {k.constant_int(word, -1)};
  const ExprId kept = l.op(Opcode::bit_and, k.carried(word), l.read(masks, at));
  left.next = {l.select(passed, k.carried(word), kept)};
  const int32_t bits = l.add_stage(std::move(left));

  const bool grouped = values->type().rank() == 2;
  const int64_t each = grouped ? trees / node.integer("targets") : trees;
  return add_sum(l, node, rows, bits, trees, grouped, [&](ExprId mask) {
    ExprId leaf = l.op(Opcode::clz, mask);
    if (word == Scalar::i32) leaf = k.cast(Opcode::sext, leaf, Scalar::i64);
    Index tree = loop::axis_index(2);
    if (grouped) tree.axes.insert(tree.axes.begin(), {1, each});
    std::vector<Index> place{tree, Lowering::at(leaf)};
    if (!grouped) place.push_back(loop::axis_index(1));
    return l.read(values, std::move(place));
  });
}

} // namespace

Problem lower_trees(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(0), *roots = node.operand(1), *features = node.operand(2), *splits = node.operand(3),
              *children = node.operand(4), *values = node.operand(5),
              *missing = node.operand_count() > 6 ? node.operand(6) : nullptr;
  loop::Kernel &k = l.kernel();
  const graph::Shape &shape = node.result()->type().shape();
  const int64_t trees = roots->type().dim(0).value(), nodes = features->type().dim(0).value(),
                leaves = values->type().dim(0).value();

  // node after `step` steps, over (row, tree)
  loop::Stage walk = l.stage(l.space({shape[0], graph::Dim(trees)}), "node");
  Lowering::add_reduction(walk, "step", node.integer("depth"));
  const ExprId at = k.carried(Scalar::i32);
  const Index here = indirect(l, at);
  const ExprId passed = at_most(l, element(l, x, 0, indirect(l, l.read(features, {here}))), l.read(splits, {here}),
                                missing ? l.read(missing, {here}) : -1);
  const ExprId side = l.select(passed, k.constant_int(Scalar::i32, 1), k.constant_int(Scalar::i32, 0));
  walk.types = {Scalar::i32};
  walk.init = {l.read(roots, {loop::axis_index(1)})};
  const ExprId pair = l.op(Opcode::shl, at, k.constant_int(Scalar::i32, 1));
  walk.next = {l.read(children, {indirect(l, l.op(Opcode::add, pair, side))})};
  const int32_t node_stage = l.add_stage(std::move(walk));

  const bool grouped = values->type().rank() == 1;
  const int32_t sum = add_sum(l, node, shape[0], node_stage, trees, grouped, [&](ExprId end) {
    std::vector<Index> place{indirect(l, l.op(Opcode::sub, end, k.constant_int(Scalar::i32, nodes - leaves)))};
    if (!grouped) place.push_back(loop::axis_index(1));
    return l.read(values, std::move(place));
  });
  l.define(node.result(), sum, 0, l.space(shape));
  return {};
}

// Every test of a tree is made, and takes away the leaves that a failed one cannot reach: no step waits for another.
// Tiles of rows are taken side by side, but a tile of one or two rows costs more than these rows one by one; so of rows
// whose number only the run knows, the last few are apart.
Problem lower_masks(Lowering &l, const graph::Node &node) {
  const Value *x = node.operand(0), *y = node.result();
  const graph::Dim &rows = y->type().dim(0), &width = x->type().dim(1);
  const bool columns = width.is_constant() && width.value() <= kMaxColumns;
  if (!columns || rows.is_constant()) {
    const bool batch = columns && rows.value() > kFewRows;
    l.define(y, masked_sums(l, node, 0, rows, batch), 0, l.space(y->type().shape()));
    return {};
  }
  // rest = rows mod 16, apart when it is at most kFewRows
  const graph::Dim rest = graph::mod(rows, kTileRows);
  const graph::Dim apart = rest * graph::max(0, graph::min(1, graph::Dim(kFewRows + 1) - rest)), tiled = rows - apart;
  const int32_t buffer = l.define_buffer(y);
  for (const bool batch : {true, false}) {
    const graph::Dim from = batch ? graph::Dim(0) : tiled;
    const int32_t sum = masked_sums(l, node, from, batch ? tiled : apart, batch);
    loop::Stage part = l.stage(l.space({batch ? tiled : apart, y->type().dim(1)}), "part");
    part.next = {l.read_stage(sum)};
    part.types = {l.type(part.next[0])};
    loop::StageStore store;
    store.buffer = buffer;
    store.indices = {l.offset(loop::axis_index(0), from), loop::axis_index(1)};
    part.stores = {store};
    l.add_stage(std::move(part));
  }
  return {};
}

// With r(i, j) = 1 - r(j, i) the probability that i wins against j, minimise sum over i < j of (r(j, i) p(i) - r(i, j)
// p(j))^2 over p >= 0 of sum 1: Q p = (p^T Q p) 1, solved coordinate by coordinate. At most 100 rounds, fewer when all
// Q p are near enough.
Problem lower_coupling(Lowering &l, const graph::Node &node) {
  const Value *r = node.operand(0), *y = node.result();
  const auto classes = static_cast<int32_t>(node.integer("classes"));
  if (classes > 24) return "pairwise_coupling of " + std::to_string(classes) + " classes has no kernel";
  const Scalar t = value_type(r->type().dtype());
  loop::Kernel &k = l.kernel();
  const auto n = static_cast<size_t>(classes);
  auto op = [&](Opcode code, ExprId a, ExprId b) { return l.op(code, a, b); };
  auto number = [&](double v) { return k.constant(t, v); };
  // win(i, j): how often i wins against j.
  auto win = [&](size_t i, size_t j) {
    const size_t low = std::min(i, j), high = std::max(i, j);
    const auto pair = static_cast<int64_t>(low * (2 * n - low - 1) / 2 + high - low - 1);
    const ExprId p = convert(l, l.read(r, {loop::axis_index(0), Index{{}, pair, -1}}), r->type().dtype(), t);
    return i < j ? p : op(Opcode::sub, number(1), p);
  };
  std::vector<std::vector<ExprId>> q(n, std::vector<ExprId>(n, -1));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const ExprId square = op(Opcode::mul, win(j, i), win(j, i));
      q[i][i] = q[i][i] < 0 ? square : op(Opcode::add, q[i][i], square);
      q[i][j] = l.op(Opcode::neg, op(Opcode::mul, win(j, i), win(i, j)));
    }

  const graph::Shape &shape = y->type().shape();
  loop::Stage stage = l.stage(l.space({shape[0]}), "p");
  Lowering::add_reduction(stage, "round", 100);
  std::vector<ExprId> p(n), qp(n);
  for (size_t i = 0; i < n; ++i) p[i] = k.carried(t, static_cast<int32_t>(i));
  const std::vector<ExprId> before = p;
  ExprId pqp = -1;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      const ExprId term = op(Opcode::mul, q[i][j], p[j]);
      qp[i] = j == 0 ? term : op(Opcode::add, qp[i], term);
    }
    const ExprId term = op(Opcode::mul, p[i], qp[i]);
    pqp = i == 0 ? term : op(Opcode::add, pqp, term);
  }
  ExprId error = -1;
  for (size_t i = 0; i < n; ++i) {
    const ExprId e = l.op(Opcode::abs, op(Opcode::sub, qp[i], pqp));
    error = i == 0 ? e : op(Opcode::max, error, e);
  }
  const ExprId done = op(Opcode::lt, error, number(0.005 / classes));
  for (size_t i = 0; i < n; ++i) {
    const ExprId diff = op(Opcode::div, op(Opcode::sub, pqp, qp[i]), q[i][i]), scale = op(Opcode::add, number(1), diff);
    p[i] = op(Opcode::add, p[i], diff);
    const ExprId change = op(Opcode::add, op(Opcode::mul, diff, q[i][i]), op(Opcode::mul, number(2), qp[i]));
    pqp = op(Opcode::div, op(Opcode::div, op(Opcode::add, pqp, op(Opcode::mul, diff, change)), scale), scale);
    for (size_t j = 0; j < n; ++j) {
      qp[j] = op(Opcode::div, op(Opcode::add, qp[j], op(Opcode::mul, diff, q[i][j])), scale);
      p[j] = op(Opcode::div, p[j], scale);
    }
  }
  for (size_t i = 0; i < n; ++i) {
    stage.types.push_back(t);
    stage.init.push_back(number(1.0 / classes));
    stage.next.push_back(l.select(done, before[i], p[i]));
  }
  const int32_t rounds = l.add_stage(std::move(stage));
  const Space space = l.space(shape);
  // Component j at column j.
  ExprId value = k.read_stage(rounds, {loop::axis_index(0)}, 0);
  for (int32_t j = 1; j < classes; ++j)
    value = l.select(l.op(Opcode::eq, k.axis_value(1), l.integer(j)), k.read_stage(rounds, {loop::axis_index(0)}, j),
                     value);
  l.define_pointwise(y, space, value, "y");
  return {};
}

} // namespace cameo::ops
