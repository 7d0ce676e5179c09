// Slices and padding, with bounds that are numbers, expressions, or known only while running.
#include "runtime_axes.h"

#include <algorithm>
#include <numeric>

namespace cameo::frontend {
namespace {

// One axis of a slice resolved: y[i] = x[start + i * step], `size` of them.
struct Range {
  Dim start, size;
};

bool not_negative(NodeImport &n, const Dim &d) {
  const graph::Interval bounds = n.graph().bounds(d);
  return bounds.lower && *bounds.lower >= 0;
}
Dim at_most(NodeImport &n, const Dim &d, const Dim &limit) {
  return not_negative(n, limit - d) ? d : not_negative(n, d - limit) ? limit : min(d, limit);
}
Dim at_least_0(NodeImport &n, const Dim &d) { return not_negative(n, d) ? d : max(d, 0); }

// A bound as the standard has it: negative counts from the end. Nullopt for an expression whose sign nobody knows.
std::optional<Dim> from_end(NodeImport &n, const Dim &bound, const Dim &extent) {
  if (bound.is_constant())
    return bound.value() < 0 ? (bound.value() <= -(int64_t{1} << 62) ? Dim(-1) : extent + bound) : bound;
  if (not_negative(n, bound)) return bound;
  const graph::Interval bounds = n.graph().bounds(bound);
  if (bounds.upper && *bounds.upper < 0) return extent + bound;
  return std::nullopt;
}

// The standard's clamping. Forwards: start in [0, extent], end in [0, extent]; backwards: start in [0, extent - 1], end
// in [-1, ...].
std::optional<Range> resolve(NodeImport &n, const Dim &extent, const Dim &start, const Dim &end, int64_t step) {
  // The usual way to say: to the end.
  const bool open_end = end.is_constant() && end.value() >= (extent.is_constant() ? extent.value() : INT32_MAX);
  if (step > 0) {
    const std::optional<Dim> s = from_end(n, start, extent),
                             e = open_end ? std::optional(extent) : from_end(n, end, extent);
    if (!s || !e) return std::nullopt;
    const Dim low = at_most(n, at_least_0(n, *s), extent), high = at_most(n, at_least_0(n, *e), extent);
    Dim span = high - low;
    if (high == extent && low != *s && not_negative(n, *s)) span = extent - *s; // max(extent - s, 0), whatever s
    return Range{low, at_least_0(n, ceildiv(at_least_0(n, span), step))};
  }
  const Dim last = extent - 1;
  Dim first;
  if (start.is_constant() && start.value() >= (extent.is_constant() ? extent.value() : INT32_MAX)) {
    first = last;
  } else {
    const std::optional<Dim> s = from_end(n, start, extent);
    if (!s) return std::nullopt;
    first = at_most(n, at_least_0(n, *s), last);
  }
  Dim stop = -1;
  if (!(end.is_constant() && end.value() <= INT32_MIN)) {
    const std::optional<Dim> e = from_end(n, end, extent);
    if (!e) return std::nullopt;
    stop = at_least_0(n, *e + 1) - 1;
    stop = at_most(n, stop, last);
  }
  const Dim span = at_least_0(n, first - stop);
  return Range{at_least_0(n, first), ceildiv(span, -step)};
}

// The positions that bring the axes into order, as the graph wants them.
std::vector<int64_t> sorted_order(const std::vector<int64_t> &axes) {
  std::vector<int64_t> order(axes.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return axes[size_t(a)] < axes[size_t(b)]; });
  return order;
}

template <class T> std::vector<T> permuted(const std::vector<T> &values, const std::vector<int64_t> &order) {
  std::vector<T> result;
  for (int64_t i : order) result.push_back(values[size_t(i)]);
  return result;
}

} // namespace

void import_slice(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank();
  Value *listed = n.version() >= 10 ? n.input(3) : nullptr;
  // Bounds of the first axes, as many as the run knows.
  if (const Type *t = n.version() >= 10 && !listed ? &n.input(1)->type() : nullptr;
      t && t->is_ranked() && t->rank() == 1 && !t->dim(0).is_constant())
    listed = n.make_typed(Op::iota, {}, {{"axis", int64_t{0}}}, Type::tensor(DType::i64, t->shape()));
  if (RuntimeAxes::needed(n, listed)) { // along all axes, whole where they are not listed
    RuntimeAxes list(n, listed, rank);
    if (n.failed()) return;
    Value *steps = n.has(4) ? list.spread(n.input(4), 1) : n.ints_constant(std::vector<int64_t>(size_t(rank), 1));
    std::vector<int64_t> all(static_cast<size_t>(rank));
    std::iota(all.begin(), all.end(), 0);
    return n.result(
        n.make(Op::slice, {x, list.spread(n.input(1), 0), list.spread(n.input(2), INT64_MAX), steps}, {{"axes", all}}));
  }
  std::optional<std::vector<Dim>> starts, ends;
  std::vector<int64_t> axes, steps;
  bool steps_known = true;
  size_t count = 0;
  if (n.version() < 10) {
    const std::vector<int64_t> s = n.ints("starts"), e = n.ints("ends");
    starts.emplace(s.begin(), s.end());
    ends.emplace(e.begin(), e.end());
    axes = n.ints("axes");
    count = s.size();
  } else {
    starts = n.dims_of(n.input(1));
    ends = n.dims_of(n.input(2));
    if (n.has(3)) axes = n.need_ints(n.input(3), "axes");
    if (n.has(4)) {
      auto known = n.ints_of(n.input(4));
      steps_known = known.has_value();
      if (known) steps = std::move(*known);
    }
    const Type &t = n.input(1)->type();
    if (!t.is_ranked() || t.rank() != 1 || !t.dim(0).is_constant())
      return void(n.unsupported("bounds of unknown length"));
    count = size_t(std::min<int64_t>(t.dim(0).value(), 1 << 20));
  }
  if (axes.empty()) {
    axes.resize(std::min(count, size_t(rank) + 1));
    std::iota(axes.begin(), axes.end(), 0);
  }
  axes = n.axes(std::move(axes), rank);
  if (steps.empty()) steps.assign(axes.size(), 1);
  if (n.failed()) return;
  if ((starts && starts->size() != axes.size()) || (ends && ends->size() != axes.size()) ||
      steps.size() != axes.size() || count != axes.size())
    return void(n.fail("starts, ends, axes and steps differ in length"));
  for (int64_t step : steps)
    if (step == 0 || step == INT64_MIN) return void(n.fail("a step is " + std::to_string(step)));

  if (starts && ends && steps_known) {
    Shape shape = x->type().shape();
    std::vector<Dim> firsts;
    bool known = true, whole = true;
    for (size_t i = 0; known && i < axes.size(); ++i) {
      const Dim extent = shape[size_t(axes[i])];
      const std::optional<Range> range = resolve(n, extent, (*starts)[i], (*ends)[i], steps[i]);
      known = range && range->start.valid() && range->size.valid();
      if (!known) break;
      whole = whole && range->start.is(0) && steps[i] == 1 && range->size == extent;
      firsts.push_back(range->start);
      shape[size_t(axes[i])] = range->size;
    }
    if (known && whole) return n.result(x);
    if (known) {
      const std::vector<int64_t> order = sorted_order(axes);
      return n.result(n.make_typed(
          Op::slice, {x},
          {{"axes", permuted(axes, order)}, {"starts", permuted(firsts, order)}, {"steps", permuted(steps, order)}},
          Type::tensor(x->type().dtype(), std::move(shape))));
    }
  }
  if (n.version() < 10) return void(n.unsupported("bounds that depend on " + x->type().str()));
  const std::vector<int64_t> order = sorted_order(axes);
  auto bounds = [&](Value *v) {
    v = n.cast(v, DType::i64);
    return std::is_sorted(order.begin(), order.end()) ? v : n.gather(v, n.ints_constant(order), 0);
  };
  Value *step_values = n.has(4) ? bounds(n.input(4)) : n.ints_constant(std::vector<int64_t>(axes.size(), 1));
  n.result(
      n.make(Op::slice, {x, bounds(n.input(1)), bounds(n.input(2)), step_values}, {{"axes", permuted(axes, order)}}));
}

namespace {

// Pads by mode; what is negative crops first.
Value *pad(NodeImport &n, Value *x, std::vector<Dim> low, std::vector<Dim> high, const std::string &mode, Value *fill) {
  bool any = false;
  for (size_t i = 0; i < low.size(); ++i) {
    const Dim extent = x->type().dim(int(i));
    Dim cut_low = 0, cut_high = 0;
    if (low[i].is_constant() && low[i].value() < 0) cut_low = Dim(0) - low[i], low[i] = 0;
    if (high[i].is_constant() && high[i].value() < 0) cut_high = Dim(0) - high[i], high[i] = 0;
    if (!cut_low.is(0) || !cut_high.is(0)) {
      const Dim left = extent - cut_low - cut_high;
      if (left.is_constant() && left.value() < 0)
        return n.fail("axis " + std::to_string(i) + " of extent " + extent.str() + " is cropped by more");
      x = n.slice(x, int64_t(i), cut_low, left);
      if (n.failed()) return nullptr;
    }
    any = any || !low[i].is(0) || !high[i].is(0);
  }
  if (!any) return x;
  if (mode != "constant") fill = nullptr;
  return n.make(Op::pad, {x, fill}, {{"mode", mode}, {"low", std::move(low)}, {"high", std::move(high)}});
}

// Pads of some axes where these, or the pads, are known only at run time: 0 at the others.
void pad_axes(NodeImport &n, Value *x, Value *fill, Value *axes, const std::string &mode) {
  const Dim count = axes->type().dim(0);
  RuntimeAxes list(n, axes, x->type().rank());
  Value *pads = n.with_shape(n.input(1), "pads", {count * 2});
  if (n.failed()) return;
  Value *lows = n.slice(pads, 0, 0, count), *highs = n.slice(pads, 0, count, count);
  n.result(n.make(Op::pad, {x, fill, n.concat({list.spread(lows, 0), list.spread(highs, 0)}, 0)}, {{"mode", mode}}));
}

} // namespace

void import_pad(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const auto rank = size_t(x->type().rank());
  const std::string mode = n.version() >= 19 ? n.word("mode", {"constant", "reflect", "edge", "wrap"})
                                             : n.word("mode", {"constant", "reflect", "edge"});
  const DType dtype = x->type().dtype();
  Value *fill = nullptr;
  std::optional<std::vector<Dim>> pads;
  if (n.version() < 11) {
    const std::vector<int64_t> list = n.ints(n.version() == 1 ? "paddings" : "pads");
    pads.emplace(list.begin(), list.end());
    fill = n.scalar(dtype, n.real("value"));
  } else {
    pads = n.dims_of(n.input(1));
    fill = n.input(2);
    if (fill && fill->type().is_ranked() && fill->type().rank() > 0) fill = n.reshape(fill, {});
    if (!fill && dtype == DType::string) fill = n.constant(ConstantData::strings({}, {""}));
    if (!fill) fill = is_float(dtype) ? n.scalar(dtype, 0) : n.scalar_int(dtype, 0);
  }
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (n.version() >= 18 && RuntimeAxes::needed(n, n.input(3))) return pad_axes(n, x, fill, n.input(3), mode);
  if (n.version() >= 18 && n.has(3)) axes = n.axes(n.need_ints(n.input(3), "axes"), int64_t(rank));
  if (n.failed()) return;
  if (!pads) {
    if (axes.size() != rank) return pad_axes(n, x, fill, n.ints_constant(axes), mode);
    const Type &t = n.input(1)->type();
    if (t.is_ranked() && (t.rank() != 1 || (t.dim(0).is_constant() && !t.dim(0).is(int64_t(2 * rank)))))
      return void(n.fail("pads must be [" + std::to_string(2 * rank) + "]"));
    return n.result(n.make(Op::pad, {x, fill, n.input(1)}, {{"mode", mode}}));
  }
  if (pads->size() != 2 * axes.size())
    return void(n.fail(std::to_string(pads->size()) + " pads for " + std::to_string(axes.size()) + " axes"));
  std::vector<Dim> low(rank, Dim(0)), high(rank, Dim(0));
  for (size_t i = 0; i < axes.size(); ++i) {
    low[size_t(axes[i])] = (*pads)[i];
    high[size_t(axes[i])] = (*pads)[axes.size() + i];
  }
  n.result(pad(n, x, std::move(low), std::move(high), mode, fill));
}

namespace {

// To extents that only the run knows: a slice from (extent - wanted) / 2, then borders of (wanted - extent) / 2, where
// positive.
void center_crop_pad_to(NodeImport &n, Value *x, const std::vector<int64_t> &axes, Value *wanted) {
  const int64_t rank = x->type().rank();
  RuntimeAxes list(n, n.ints_constant(axes), rank);
  if (n.failed()) return;
  auto map = [&](Fn fn, Value *a, Value *b) { return n.map(fn, {a, b}); };
  Value *extents = n.shape_of(x), *zero = list.whole(0), *two = list.whole(2);
  Value *target = list.where_listed(list.spread(wanted, 0), extents);
  Value *start = map(Fn::div, map(Fn::max, map(Fn::sub, extents, target), zero), two);
  Value *end = map(Fn::add, start, map(Fn::min, extents, target));
  std::vector<int64_t> all(static_cast<size_t>(rank));
  std::iota(all.begin(), all.end(), 0);
  Value *steps = n.ints_constant(std::vector<int64_t>(size_t(rank), 1));
  Value *cropped = n.make(Op::slice, {x, start, end, steps}, {{"axes", all}});
  Value *more = map(Fn::max, map(Fn::sub, target, extents), zero), *low = map(Fn::div, more, two);
  const DType dtype = x->type().dtype();
  Value *fill = is_float(dtype) ? n.scalar(dtype, 0) : n.scalar_int(dtype, 0);
  n.result(n.make(Op::pad, {cropped, fill, n.concat({low, map(Fn::sub, more, low)}, 0)},
                  {{"mode", std::string("constant")}}));
}

} // namespace

// Each axis is cropped or padded around its centre to the wanted extent.
void import_center_crop_pad(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank();
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  if (n.has("axes")) axes = n.axes(n.ints("axes"), rank);
  if (n.failed()) return;
  if (!n.ints_of(n.input(1))) return center_crop_pad_to(n, x, axes, n.input(1));
  const std::vector<int64_t> wanted = n.need_ints(n.input(1), "a shape");
  if (n.failed()) return;
  if (wanted.size() != axes.size())
    return void(n.fail(std::to_string(wanted.size()) + " extents for " + std::to_string(axes.size()) + " axes"));
  std::vector<Dim> low(size_t(rank), Dim(0)), high(size_t(rank), Dim(0));
  Value *y = x;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = size_t(axes[i]);
    const Dim &extent = x->type().dim(int(axis));
    if (!extent.is_constant()) return void(n.unsupported("an extent known only at run time"));
    if (wanted[i] < 0) return void(n.fail("extent " + std::to_string(wanted[i])));
    const int64_t more = wanted[i] - extent.value();
    if (more >= 0) {
      low[axis] = more / 2;
      high[axis] = more - more / 2;
    } else {
      y = n.slice(y, int64_t(axis), -more / 2, wanted[i]);
    }
    if (n.failed()) return;
  }
  const DType dtype = x->type().dtype();
  n.result(pad(n, y, std::move(low), std::move(high), "constant",
               is_float(dtype) ? n.scalar(dtype, 0) : n.scalar_int(dtype, 0)));
}

} // namespace cameo::frontend
