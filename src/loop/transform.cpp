#include "cameo/loop/transform.h"

#include <functional>
#include <limits>

namespace cameo::loop {

Kernel split_reduction(const Kernel &kernel, int32_t stage, int32_t axis, int64_t parts) {
  const Stage &whole = kernel.stages.at(stage);
  CAMEO_CHECK(whole.combine && whole.types.size() == 1, "stage " + whole.name + " cannot be split into partial sums");
  CAMEO_CHECK(whole.axes.at(axis).kind == AxisKind::reduction && whole.axes[axis].extent.is_constant() && parts > 0 &&
                  whole.axes[axis].extent.value % parts == 0,
              "parts of unequal size");
  const int64_t chunk = whole.axes[axis].extent.value / parts;
  Kernel out = kernel;
  const int32_t outer = whole.outer_rank();
  // Copies an expression for the partial stage: axes move up by one, and the split axis is part * chunk + its inner
  // index.
  std::vector<ExprId> copied(kernel.exprs.size(), -1);
  auto moved = [&](int32_t a) { return a + 1; };
  std::function<ExprId(ExprId)> copy = [&](ExprId id) -> ExprId {
    if (id < 0) return id;
    if (copied[id] >= 0) return copied[id];
    Expr e = kernel.exprs[id];
    for (ExprId &a : e.args) a = copy(a);
    for (Index &i : e.indices) {
      std::vector<std::pair<int32_t, int64_t>> axes;
      for (auto [a, c] : i.axes) {
        if (a == axis) axes.emplace_back(0, c * chunk);
        axes.emplace_back(moved(a), c);
      }
      i.axes = std::move(axes);
      i.indirect = copy(i.indirect);
    }
    if (e.kind == Expr::Kind::axis || e.kind == Expr::Kind::pick) {
      CAMEO_CHECK(e.integer != axis, "stage " + whole.name + " uses the index of the axis that is split");
      e.integer = moved(static_cast<int32_t>(e.integer));
    }
    out.exprs.push_back(std::move(e));
    return copied[id] = static_cast<ExprId>(out.exprs.size()) - 1;
  };
  const Scalar type = whole.types[0];
  Expr identity;
  identity.kind = Expr::Kind::constant;
  identity.type = type;
  const int64_t lowest = static_cast<int64_t>(~uint64_t{0} << (bits(type) - 1));
  identity.real = *whole.combine == Opcode::add   ? 0
                  : *whole.combine == Opcode::max ? -std::numeric_limits<double>::infinity()
                                                  : std::numeric_limits<double>::infinity();
  identity.integer = *whole.combine == Opcode::add ? 0 : *whole.combine == Opcode::max ? lowest : ~lowest;

  Stage part = whole;
  part.name += ".part";
  part.axes.insert(part.axes.begin(), {"part", parts});
  part.axes[moved(axis)].extent = chunk;
  part.stores.clear();
  part.next = {copy(whole.next[0])};
  out.exprs.push_back(identity);
  part.init = {static_cast<ExprId>(out.exprs.size()) - 1};

  Stage total = whole;
  total.axes.assign(whole.axes.begin(), whole.axes.begin() + outer);
  total.axes.push_back({"part", parts, AxisKind::reduction});
  Expr read;
  read.kind = Expr::Kind::stage;
  read.type = type;
  read.source = stage;
  read.indices.push_back(axis_index(outer));
  for (int32_t a = 0; a < outer; ++a) read.indices.push_back(axis_index(a));
  out.exprs.push_back(std::move(read));
  const ExprId value = static_cast<ExprId>(out.exprs.size()) - 1;
  total.next = {out.op(*whole.combine, {out.carried(type), value})};
  // References to later stages move by one; those to the split stage now mean the total, which stands one place later.
  for (size_t e = 0; e < out.exprs.size(); ++e) {
    Expr &expr = out.exprs[e];
    if (expr.kind == Expr::Kind::stage && expr.source >= stage && static_cast<ExprId>(e) != value) ++expr.source;
  }
  out.stages[stage] = std::move(part);
  out.stages.insert(out.stages.begin() + stage + 1, std::move(total));
  return out;
}

} // namespace cameo::loop
