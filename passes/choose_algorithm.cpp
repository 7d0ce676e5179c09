// Direct convolution, as a whole or in parts, or minimal filtering (see choose_algorithm.h), by the cycles that an
// analytical model of the target expects.
//
// A matrix product keeps the multipliers busy but for its rows: few rows share each load of a filter. Minimal filtering
// multiplies n^2 times per tile of m^2 results where direct convolution does 9 m^2, but it transforms tiles, one vector
// operation after another, and its filters are n^2 / 9 times larger. Filters come from memory once per run: a model's
// weights seldom fit into a cache.
#include "choose_algorithm.h"

#include <algorithm>
#include <cmath>

namespace cameo::passes {
namespace {

using graph::Node;
using graph::Op;
using graph::Value;

constexpr double kMemoryBytesPerCycle = 5; ///< of one core
constexpr double kMargin = 0.9;            ///< what replaces the plain form must be faster than that part of its time

const Node *conv_of(const Node &node) {
  if (node.is(Op::conv)) return &node;
  if (node.is(Op::fused))
    for (const Node *inner : node.body()->nodes())
      if (inner->is(Op::conv)) return inner;
  return nullptr;
}

// Vector operations of the transforms of one tile and one vector of channels: arithmetic, loads, and stores at half
// rate.
double input_operations(int64_t m) { return m == 2 ? 32 + 16 + 2 * 16 : 144 + 36 + 2 * 36; }
double output_operations(int64_t m) { return m == 2 ? 24 + 16 + 2 * 4 : 110 + 36 + 2 * 16; }

// Cycles of a product of matrices: rows x depth by depth x columns.
double product_cycles(double rows, double depth, double columns, const loop::Target &target) {
  const double lanes = target.lanes(32), vectors = std::ceil(columns / lanes);
  const double busy = std::min(1.0, 0.4 + rows / 16); // short products wait for loads
  return rows * depth * vectors / target.fma_per_cycle / (0.9 * busy);
}

} // namespace

std::string choose_algorithm(const Node &node, const loop::Target &target, const PlanOptions &options) {
  const std::vector<std::string> known = ops::algorithms(node);
  if (known.empty()) return {};
  const Node *conv = conv_of(node);
  if (known.size() == 1 || !conv || options.plain_schedules) return known.front();
  auto knows = [&](const std::string &name) { return std::find(known.begin(), known.end(), name) != known.end(); };
  const graph::Shape &x = conv->operand(0)->type().shape(), &w = conv->operand(1)->type().shape(),
                     &y = conv->result()->type().shape();
  // Of any number of images, each comes after the other.
  const double images = y[0].is_constant() ? double(y[0].value()) : 1;
  double points = images, filter = 1;
  for (size_t d = 2; d < y.size(); ++d) {
    points *= double(y[d].value());
    filter *= double(w[d].value());
  }
  const double in = double(x[1].value()), out = double(y[1].value());
  auto memory = [&](double filters) { return filters * in * out * 4 / kMemoryBytesPerCycle; };
  auto direct = [&](double rows, double taps) {
    return std::max(product_cycles(rows, taps * in, out, target), memory(taps));
  };
  std::string best = known.front();
  double least = direct(points, filter) * kMargin;
  auto offer = [&](const std::string &name, double cycles) {
    if (cycles >= least) return;
    least = cycles;
    best = name;
  };
  if (knows("parts")) {
    double cycles = 0;
    for (const ops::PartWork &part : ops::part_work(node)) cycles += direct(double(part.points), double(part.taps));
    offer("parts", cycles);
  }
  if (options.winograd == Winograd::off) return best;
  const double lanes = target.lanes(32);
  for (const int64_t m : {int64_t{2}, int64_t{4}}) {
    const std::string name = "winograd" + std::to_string(m);
    if (!knows(name) || (m == 4 && options.winograd == Winograd::f2)) continue;
    const double tiles =
                     images * std::ceil(double(y[2].value()) / double(m)) * std::ceil(double(y[3].value()) / double(m)),
                 filters = double((m + 2) * (m + 2));
    const double products = std::max(filters * product_cycles(tiles, in, out, target), memory(filters));
    const double transforms =
        tiles * (std::ceil(in / lanes) * input_operations(m) + std::ceil(out / lanes) * output_operations(m)) /
        target.fma_per_cycle;
    offer(name, products + transforms);
  }
  return best;
}

} // namespace cameo::passes
