// Operators whose axes are inputs that only the run knows. The rank of the result is known, from how many axes there
// are or from what the model declares; what shape arithmetic would do when compiling becomes arithmetic of the graph.
#include "runtime_axes.h"

#include <algorithm>

namespace cameo::frontend {

bool RuntimeAxes::needed(NodeImport &n, Value *axes) {
  if (!axes || n.ints_of(axes) || !axes->type().is_ranked() || axes->type().rank() != 1) return false;
  const Dim &count = axes->type().dim(0);
  return !count.is_constant() || (count.value() > 0 && count.value() <= n.limits().rank);
}

RuntimeAxes::RuntimeAxes(NodeImport &n, Value *axes, int64_t rank) : n_(n), rank_(rank) {
  if (n.failed()) return;
  count_ = axes->type().dim(0);
  if (count_.is_constant() && count_.value() > rank) {
    n.fail(count_.str() + " axes of a tensor of rank " + std::to_string(rank));
    return;
  }
  Value *normal = n.gather(numbers({rank}, 0), n.cast(axes, DType::i64), 0); // negative ones wrap, others are refused
  hits_ = n.map(Fn::equal, {n.reshape(normal, {count_, 1}), numbers({1, rank}, 1)});
  listed_ = n.reduce("max", n.cast(hits_, DType::i64), {0}, false);
  if (!count_.is_constant()) listed_ = n.map(Fn::max, {listed_, whole(0)}); // there may be none
}

void RuntimeAxes::empty_is_all() {
  if (n_.failed() || count_.is_constant()) return;
  Value *none = n_.map(Fn::equal, {n_.reshape(n_.dims({count_}), {}), whole(0)});
  listed_ = n_.map(Fn::select, {none, whole(1), listed_});
}

Value *RuntimeAxes::numbers(Shape shape, int64_t axis) {
  return n_.make_typed(Op::iota, {}, {{"axis", axis}}, Type::tensor(DType::i64, std::move(shape)));
}

Value *RuntimeAxes::where_listed(Value *yes, Value *no) {
  return n_.map(Fn::select, {n_.cast(listed_, DType::boolean), yes, no});
}

Value *RuntimeAxes::spread(Value *values, int64_t otherwise) {
  if (n_.failed()) return nullptr;
  values = n_.with_shape(values, "a list of one value per axis", {count_});
  if (n_.failed()) return nullptr;
  Value *column = n_.reshape(n_.cast(values, DType::i64), {count_, 1});
  Value *sum = n_.reduce("sum", n_.map(Fn::select, {hits_, column, whole(0)}), {0}, false);
  return where_listed(sum, whole(otherwise));
}

Value *RuntimeAxes::position() {
  return n_.make(Op::cumulative, {n_.map(Fn::sub, {whole(1), listed_})},
                 {{"fn", std::string("sum")}, {"axis", int64_t{0}}, {"exclusive", true}, {"reverse", false}});
}

Value *RuntimeAxes::others(Value *values) {
  const int64_t left = rank_ - count();
  Value *place = n_.map(Fn::equal, {n_.reshape(position(), {1, rank_}), numbers({left, 1}, 0)});
  Value *own = n_.map(Fn::less, {n_.reshape(listed_, {1, rank_}), whole(1)});
  Value *taken = n_.map(Fn::logical_and, {place, own});
  return n_.reduce("sum", n_.map(Fn::select, {taken, n_.reshape(values, {1, rank_}), whole(0)}), {1}, false);
}

Dim largest_extent(const Shape &shape) {
  Dim most = 1;
  for (const Dim &d : shape) most = max(most, d);
  return most;
}

// x[n0, n1, ..] counts as [kept0, reduced0, kept1, reduced1, ..] where one of each pair is 1.
Value *reduce_runtime_axes(NodeImport &n, const std::string &fn, Value *x, Value *axes, bool keepdims, bool all) {
  const Shape &shape = x->type().shape();
  const auto rank = int64_t(shape.size());
  RuntimeAxes a(n, axes, rank);
  if (all) a.empty_is_all();
  if (n.failed()) return nullptr;
  Value *extents = n.shape_of(x);
  Value *kept = a.where_listed(a.whole(1), extents), *reduced = a.where_listed(extents, a.whole(1));
  Value *pairs = n.reshape(n.concat({n.reshape(kept, {rank, 1}), n.reshape(reduced, {rank, 1})}, 1), {2 * rank});
  Shape split;
  std::vector<int64_t> odd;
  for (int64_t d = 0; d < rank; ++d) {
    for (int part = 0; part < 2; ++part) split.push_back(n.fresh_dim(max(shape[size_t(d)], 1)));
    odd.push_back(2 * d + 1);
  }
  Value *y = n.reduce(fn, n.reshape_to(x, pairs, std::move(split)), odd, false);
  if (!keepdims && !n.failed()) {
    Shape left;
    for (int64_t d = a.count(); d < rank; ++d) left.push_back(n.fresh_dim(largest_extent(shape)));
    y = n.reshape_to(y, a.others(extents), std::move(left));
  }
  return y;
}

namespace {

// As many axes as the ranks before and after differ in.
Value *counted(NodeImport &n, Value *axes, int64_t difference) {
  if (axes->type().dim(0).is_constant()) return axes;
  if (!n.declared_rank(0)) return n.unsupported("a number of axes known only at run time");
  return n.with_shape(axes, "axes", {std::max<int64_t>(difference, 0)});
}

} // namespace

void squeeze_runtime_axes(NodeImport &n, Value *x, Value *axes) {
  const Shape &shape = x->type().shape();
  axes = counted(n, axes, int64_t(shape.size()) - n.declared_rank(0).value_or(0));
  if (n.failed()) return;
  RuntimeAxes a(n, axes, int64_t(shape.size()));
  if (n.failed()) return;
  Shape left;
  for (int64_t d = a.count(); d < int64_t(shape.size()); ++d) left.push_back(n.fresh_dim(largest_extent(shape)));
  n.result(n.reshape_to(x, a.others(n.shape_of(x)), std::move(left)));
}

void unsqueeze_runtime_axes(NodeImport &n, Value *x, Value *axes) {
  const Shape &shape = x->type().shape();
  const auto own = int64_t(shape.size());
  axes = counted(n, axes, n.declared_rank(0).value_or(0) - own);
  if (n.failed()) return;
  RuntimeAxes a(n, axes, own + axes->type().dim(0).value());
  if (n.failed()) return;
  Shape wide;
  for (int64_t d = 0; d < own + a.count(); ++d) wide.push_back(n.fresh_dim(largest_extent(shape)));
  Value *extents = a.whole(1);
  if (own > 0) extents = n.gather(n.shape_of(x), n.map(Fn::min, {a.position(), a.whole(own - 1)}), 0);
  n.result(n.reshape_to(x, a.where_listed(a.whole(1), extents), std::move(wide)));
}

Value *along_axis(NodeImport &n, Value *axis, int64_t rank, const std::function<Value *(int64_t)> &make,
                  std::optional<int64_t> count) {
  if (n.failed()) return nullptr;
  if (axis->type().is_ranked())
    if (const Dim numbers = product(axis->type().shape()); numbers.is_constant() && !numbers.is(1))
      return n.fail("the axis is not one number");
  if (const auto known = n.ints_of(axis)) {
    if (known->size() != 1) return n.fail("the axis is not one number");
    const int64_t a = n.axis((*known)[0], rank);
    return n.failed() ? nullptr : make(a);
  }
  if (!n.ranked(axis)) return nullptr;
  const int64_t candidates = count.value_or(rank);
  if (candidates < 1) return n.fail("a tensor of rank " + std::to_string(rank) + " has no such axis");
  std::vector<Value *> results;
  for (int64_t a = 0; a < candidates; ++a) {
    results.push_back(make(a));
    if (n.failed()) return nullptr;
    if (results.back()->type() != results[0]->type()) return n.unsupported("an axis known only at run time");
  }
  // Gathering from 0, 1, ... counts a negative axis from the end and refuses one that is out of range.
  auto numbers = [&](int64_t extent) {
    return n.make_typed(Op::iota, {}, {{"axis", int64_t{0}}}, Type::tensor(DType::i64, {extent}));
  };
  Value *chosen = n.gather(numbers(rank), n.cast(n.reshape(axis, {}), DType::i64), 0);
  if (candidates < rank) chosen = n.gather(numbers(candidates), chosen, 0);
  Value *y = results.back();
  for (int64_t a = candidates - 1; a-- > 0;)
    y = n.map(Fn::select, {n.map(Fn::equal, {chosen, n.scalar_int(DType::i64, a)}), results[size_t(a)], y});
  return y;
}

} // namespace cameo::frontend
