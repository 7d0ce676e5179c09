#include "flops.h"

#include "cameo/ops/lower.h"

#include <set>
#include <vector>

namespace cameo::driver {

namespace {

int cost(const loop::Expr &expr) {
  if (expr.kind != loop::Expr::Kind::op || !is_float(expr.type)) return 0;
  switch (loop::op_class(expr.op)) {
  case loop::OpClass::unary:
  case loop::OpClass::binary:
    return 1;
  case loop::OpClass::ternary:
    return 2; // muladd, fma
  case loop::OpClass::compare:
  case loop::OpClass::cast:
  case loop::OpClass::other:
    return 0;
  }
  return 0;
}

// Sum over the distinct expressions that `roots` need.
double cost(const loop::Kernel &kernel, std::vector<loop::ExprId> roots) {
  std::set<loop::ExprId> seen;
  double sum = 0;
  while (!roots.empty()) {
    const loop::ExprId id = roots.back();
    roots.pop_back();
    if (id < 0 || !seen.insert(id).second) continue;
    const loop::Expr &expr = kernel.expr(id);
    sum += cost(expr);
    roots.insert(roots.end(), expr.args.begin(), expr.args.end());
    for (const loop::Index &index : expr.indices) roots.push_back(index.indirect);
  }
  return sum;
}

} // namespace

std::optional<double> flops(const loop::Kernel &kernel) {
  double sum = 0;
  for (const loop::Stage &stage : kernel.stages) {
    double outer = 1, inner = 1; // points without and of the reduction axes
    for (const loop::Axis &axis : stage.axes) {
      if (!axis.extent.is_constant()) return std::nullopt;
      (axis.kind == loop::AxisKind::reduction ? inner : outer) *= static_cast<double>(axis.extent.value);
    }
    sum += outer * (inner * cost(kernel, stage.next) + cost(kernel, stage.init));
  }
  return sum;
}

std::optional<double> flops(const graph::Graph &graph) {
  double sum = 0;
  for (const graph::Node *node : graph.main().body->nodes()) {
    if (node->region_count() > 0 && !node->is(graph::Op::fused)) return std::nullopt;
    if (ops::algorithms(*node).empty()) continue; // views and constants
    auto lowered = ops::lower(*node);
    if (!lowered || !lowered->runtime.empty()) return std::nullopt;
    const auto count = flops(lowered->kernel);
    if (!count) return std::nullopt;
    sum += *count;
  }
  return sum;
}

} // namespace cameo::driver
