#include "cameo/loop/visit.h"

#include <vector>

namespace cameo::loop {

void for_each_expr(const Kernel &kernel, int32_t stage, const std::function<void(const Expr &)> &visit) {
  const Stage &s = kernel.stages.at(static_cast<size_t>(stage));
  std::vector<bool> seen(kernel.exprs.size(), false);
  std::vector<ExprId> stack;
  for (const auto *list : {&s.init, &s.next, &s.before}) stack.insert(stack.end(), list->begin(), list->end());
  for (const StageStore &store : s.stores)
    for (const Index &i : store.indices) stack.push_back(i.indirect);
  while (!stack.empty()) {
    const ExprId id = stack.back();
    stack.pop_back();
    if (id < 0 || seen[static_cast<size_t>(id)]) continue;
    seen[static_cast<size_t>(id)] = true;
    const Expr &e = kernel.exprs[static_cast<size_t>(id)];
    stack.insert(stack.end(), e.args.begin(), e.args.end());
    for (const Index &i : e.indices) stack.push_back(i.indirect);
    visit(e);
  }
}

void for_each_expr(const Kernel &kernel, const std::function<void(int32_t, const Expr &)> &visit) {
  for (int32_t s = 0; s < static_cast<int32_t>(kernel.stages.size()); ++s)
    for_each_expr(kernel, s, [&](const Expr &e) { visit(s, e); });
}

void for_each_stage_read(const Kernel &kernel, int32_t stage, const std::function<void(const Expr &)> &visit) {
  for_each_expr(kernel, stage, [&](const Expr &e) {
    if (e.kind == Expr::Kind::stage) visit(e);
  });
}

int32_t axis_of(const Index &index) {
  const bool plain = index.indirect < 0 && index.constant == 0 && index.axes.size() == 1 && index.axes[0].second == 1;
  return plain ? index.axes[0].first : -1;
}

bool pointwise(const Expr &read) {
  for (size_t d = 0; d < read.indices.size(); ++d)
    if (axis_of(read.indices[d]) != static_cast<int32_t>(d)) return false;
  return read.rule == OutOfRange::never;
}

} // namespace cameo::loop
