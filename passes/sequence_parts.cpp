#include "sequence_parts.h"

#include <algorithm>
#include <numeric>

namespace cameo::passes {

using namespace graph;

std::vector<Value *> Parts::list() const {
  std::vector<Value *> all = {dims, data};
  if (ranks) all.push_back(ranks);
  if (present) all.push_back(present);
  return all;
}

Parts Parts::of(const ContainerForm &form, std::span<Value *const> list) {
  Parts parts;
  parts.dims = list[0];
  parts.data = list[1];
  if (form.has_ranks()) parts.ranks = list[2];
  if (form.has_present()) parts.present = list.back();
  return parts;
}

Value *PartsBuilder::integer(int64_t v) { return b_.constant(ConstantData::scalar_int(DType::i64, v)); }
Value *PartsBuilder::truth(bool v) { return b_.constant(ConstantData::scalar_int(DType::boolean, v)); }

// All elements of the condition; none are true.
void PartsBuilder::check(Value *condition, const char *message) {
  if (const int rank = condition->type().rank(); rank > 0) {
    std::vector<int64_t> axes(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
    Value *least = b_.reduce("min", b_.cast(condition, DType::i64), std::move(axes), false);
    condition = less(integer(0), least);
  }
  b_.node(Op::check, {condition}, {{"message", std::string(message)}}, {});
}

Value *PartsBuilder::count_to(Value *limit) {
  const Type type = Type::tensor(DType::i64, {b_.graph().new_runtime_symbol()});
  return b_.value(Op::range, {integer(0), limit, integer(1)}, {}, type);
}

// x[start : start + size] of a vector.
Value *PartsBuilder::fresh_slice(Value *x, Value *start, Value *size) {
  const Dim extent = b_.graph().new_runtime_symbol(x->type().dim(0));
  return b_.value(Op::slice, {x, b_.reshape(start, {1}), b_.reshape(b_.add(start, size), {1}), b_.ints({1})},
                  {{"axes", std::vector<int64_t>{0}}}, Type::tensor(x->type().dtype(), {extent}));
}

Value *PartsBuilder::shaped(Value *x, Value *shape, Type type) {
  return b_.value(Op::reshape, {x, shape}, {}, std::move(type));
}

Value *PartsBuilder::sum_up(Value *x, bool exclusive) {
  return b_.value(Op::cumulative, {x},
                  {{"axis", int64_t{0}}, {"exclusive", exclusive}, {"fn", std::string("sum")}, {"reverse", false}},
                  x->type());
}

// The number of elements' elements.
Value *PartsBuilder::sizes(const Parts &parts) {
  if (parts.dims->type().dim(1).is(0)) return b_.broadcast(b_.reshape(integer(1), {1}), {parts.count()});
  return b_.reduce("product", parts.dims, {1}, false);
}

// The extents of x, and 1 up to `width`.
Value *PartsBuilder::row_of(Value *x, int64_t width) {
  Shape shape = x->type().shape();
  shape.resize(static_cast<size_t>(width), 1);
  if (width == 0) return b_.constant(ConstantData::of_ints(DType::i64, {1, 0}, {}));
  return b_.reshape(b_.dims(std::move(shape)), {1, width});
}

Parts PartsBuilder::none(const ContainerForm &form) {
  auto empty = [&](DType dtype, std::vector<int64_t> dims) {
    return b_.constant(ConstantData::own(dtype, std::move(dims), {}));
  };
  Parts parts;
  parts.dims = empty(DType::i64, {0, form.has_ranks() ? kMostElementRank : form.rank});
  parts.data = empty(form.dtype, {0});
  if (form.has_ranks()) parts.ranks = empty(DType::i64, {0});
  if (form.has_present()) parts.present = truth(false);
  return parts;
}

Parts PartsBuilder::construct(const std::vector<Value *> &elements, const ContainerForm &form) {
  if (elements.empty()) return none(form);
  std::vector<Value *> rows, data;
  std::vector<int64_t> ranks;
  for (Value *x : elements) {
    rows.push_back(row_of(x, form.has_ranks() ? kMostElementRank : form.rank));
    data.push_back(flat(x));
    ranks.push_back(x->type().rank());
  }
  Parts parts;
  parts.dims = rows.size() == 1 ? rows[0] : b_.concat(std::move(rows), 0);
  parts.data = data.size() == 1 ? data[0] : b_.concat(std::move(data), 0);
  if (form.has_ranks()) parts.ranks = b_.ints(std::move(ranks));
  return parts;
}

Parts PartsBuilder::convert(const Parts &from, const ContainerForm &to) {
  Parts parts = from;
  const int64_t width = from.dims->type().dim(1).value();
  if (to.has_ranks() && !from.ranks) {
    parts.ranks = b_.broadcast(b_.reshape(integer(width), {1}), {from.count()});
    const int64_t more = kMostElementRank - width;
    if (more > 0) {
      Value *ones = b_.broadcast(b_.reshape(integer(1), {1, 1}), {from.count(), more});
      parts.dims = width == 0 ? ones : b_.concat({from.dims, ones}, 1);
    }
  } else if (!to.has_ranks() && from.ranks) {
    check(b_.elementwise(Fn::equal, {from.ranks, integer(to.rank)}), "an element of a sequence has another rank");
    parts.ranks = nullptr;
    parts.dims = b_.slice(from.dims, 1, 0, to.rank);
  }
  if (to.has_present() && !parts.present) parts.present = truth(true);
  if (!to.has_present()) parts.present = nullptr;
  return parts;
}

Value *PartsBuilder::at(const Parts &parts, Value *position, const Type &element, const Type &result) {
  if (const auto fixed = element.static_shape(); fixed && product(element.shape()).value() > 0) {
    Shape shape = element.shape();
    shape.insert(shape.begin(), parts.count());
    return b_.gather(b_.reshape(parts.data, std::move(shape)), position, 0);
  }
  Value *each = sizes(parts);
  Value *x = fresh_slice(parts.data, b_.gather(sum_up(each, true), position, 0), b_.gather(each, position, 0));
  return shaped(x, b_.gather(parts.dims, position, 0), result);
}

// A position counted from the front, below count + beyond.
Value *PartsBuilder::from_front(Value *position, Value *count, int64_t beyond) {
  Value *p = select(less(position, integer(0)), b_.add(position, count), position);
  check(less_equal(integer(0), p), "a position is outside of the sequence");
  check(less(p, beyond ? b_.add(count, integer(beyond)) : count), "a position is outside of the sequence");
  return p;
}

Parts PartsBuilder::insert(const Parts &parts, Value *x, Value *position) {
  Value *row = row_of(x, parts.dims->type().dim(1).value()), *data = flat(x);
  Value *rank = parts.ranks ? b_.ints({x->type().rank()}) : nullptr;
  Parts out;
  out.dims = b_.concat({parts.dims, row}, 0);
  out.data = b_.concat({parts.data, data}, 0);
  if (rank) out.ranks = b_.concat({parts.ranks, rank}, 0);
  if (!position) return out;
  // What was appended moves to where it belongs.
  Value *count = length(parts), *at = from_front(position, count, 1);
  auto moved = [&](const Dim &total, Value *start, Value *size) {
    Value *k = b_.iota(DType::i64, {total}, 0), *last = b_.sub(scalar(total), size);
    Value *behind = b_.sub(k, size), *inside = b_.add(b_.sub(k, start), last);
    return select(less(k, start), k, select(less(behind, start), inside, behind));
  };
  Value *rows = moved(out.count(), at, integer(1));
  Value *zero = b_.ints({0});
  Value *starts = b_.concat({zero, sum_up(sizes(parts), false)}, 0);
  Value *places = moved(out.total(), b_.gather(starts, at, 0), scalar(data->type().dim(0)));
  out.dims = b_.gather(out.dims, rows, 0);
  out.data = b_.gather(out.data, places, 0);
  if (rank) out.ranks = b_.gather(out.ranks, rows, 0);
  return out;
}

Parts PartsBuilder::erase(const Parts &parts, Value *position) {
  Value *count = length(parts);
  Value *at = from_front(position ? position : integer(-1), count, 0);
  Value *each = sizes(parts), *start = b_.gather(sum_up(each, true), at, 0), *size = b_.gather(each, at, 0);
  auto left = [&](Value *limit, Value *from, Value *gap) {
    Value *k = count_to(limit);
    return select(less(k, from), k, b_.add(k, gap));
  };
  Value *rows = left(b_.sub(count, integer(1)), at, integer(1));
  Parts out;
  out.dims = b_.gather(parts.dims, rows, 0);
  out.data = b_.gather(parts.data, left(b_.sub(scalar(parts.total()), size), start, size), 0);
  if (parts.ranks) out.ranks = b_.gather(parts.ranks, rows, 0);
  return out;
}

// Parts along an axis hold [outer, size, inner] each; with the part that holds a from `start` to `end`, element
// (a, o, i) lies at start * outers * inners + o * (end - start) * inners + (a - start) * inners + i.
Value *PartsBuilder::places(Value *sizes, Value *axis, Value *outer, Value *inner, Value *inner_count) {
  const Dim n = sizes->type().dim(0), extent = axis->type().dim(0);
  Value *ends = b_.reshape(sum_up(sizes, false), {1, n}), *starts = b_.reshape(sum_up(sizes, true), {1, n});
  Value *a = b_.reshape(axis, {extent, 1});
  Value *none = integer(0), *far = integer(INT64_MAX);
  Value *start = b_.reduce("max", select(less_equal(starts, a), starts, none), {1}, false);
  Value *end = b_.reduce("min", select(less(a, ends), ends, far), {1}, false);
  const Dim outers = outer->type().dim(0), inners = inner->type().dim(0);
  auto along = [&](Value *v, int axis_of) {
    Shape shape = {1, 1, 1};
    shape[static_cast<size_t>(axis_of)] = v->type().dim(0);
    return b_.reshape(v, std::move(shape));
  };
  Value *before = b_.mul(start, scalar(outers)); // rows of `inner` elements
  Value *within = b_.add(b_.mul(along(outer, 1), along(b_.sub(end, start), 0)), along(b_.sub(axis, start), 0));
  Value *row = b_.add(along(before, 0), within);
  return b_.add(b_.mul(row, inner_count), along(inner, 2));
}

Parts PartsBuilder::split(Value *x, Value *sizes, int64_t axis, bool keepdims) {
  const Shape &shape = x->type().shape();
  const size_t at = static_cast<size_t>(axis);
  const Dim extent = shape[at];
  Value *length = scalar(extent);
  auto rows = [&](Shape row, const Dim &n) {
    const int64_t width = static_cast<int64_t>(row.size());
    if (width == 0) return b_.broadcast(b_.constant(ConstantData::of_ints(DType::i64, {1, 0}, {})), {n, 0});
    return b_.broadcast(b_.reshape(b_.dims(std::move(row)), {1, width}), {n, width});
  };
  // [outer, axis, inner] to [axis, outer, inner]
  const Shape low(shape.begin(), shape.begin() + axis), high(shape.begin() + axis + 1, shape.end());
  const Dim outers = product(low), inners = product(high);
  Value *turned = axis == 0 ? x : b_.transpose(b_.reshape(x, {outers, extent, inners}), {1, 0, 2});
  Parts parts;
  if (!sizes) {
    Shape row = shape;
    row[at] = 1;
    if (!keepdims) row.erase(row.begin() + axis);
    parts.dims = rows(std::move(row), extent);
    parts.data = flat(turned);
    return parts;
  }
  if (sizes->type().rank() == 0) {
    check(less(integer(0), sizes), "a sequence of parts of no size");
    const Type type = Type::tensor(DType::i64, {b_.graph().new_runtime_symbol(extent)});
    Value *starts = b_.value(Op::range, {integer(0), length, sizes}, {}, type);
    sizes = b_.elementwise(Fn::min, {b_.sub(length, starts), sizes});
  } else {
    check(less_equal(integer(0), sizes), "a part of negative size");
    check(b_.elementwise(Fn::equal, {b_.reduce("sum", sizes, {0}, false), length}),
          "the sizes of the parts are not those of the whole");
  }
  const Dim n = sizes->type().dim(0);
  const int64_t width = static_cast<int64_t>(shape.size());
  Value *here = b_.elementwise(Fn::equal, {b_.iota(DType::i64, {1, width}, 1), integer(axis)});
  parts.dims = select(here, b_.reshape(sizes, {n, 1}), rows(shape, n));
  parts.data = flat(turned);
  if (outers.is(1)) return parts;
  Value *place = places(sizes, b_.iota(DType::i64, {extent}, 0), b_.iota(DType::i64, {outers}, 0),
                        b_.iota(DType::i64, {inners}, 0), scalar(inners));
  parts.data = b_.value(Op::scatter_elements, {parts.data, flat(place), parts.data},
                        {{"axis", int64_t{0}}, {"reduction", std::string("none")}}, parts.data->type());
  return parts;
}

Value *PartsBuilder::concat(const Parts &parts, int64_t axis, bool new_axis, const Type &result) {
  const int64_t rank = parts.dims->type().dim(1).value();
  Value *count = length(parts), *zero = integer(0);
  check(less(zero, count), "an empty sequence cannot be concatenated");
  Value *first = b_.gather(parts.dims, zero, 0);
  Value *same = b_.elementwise(Fn::equal, {parts.dims, b_.reshape(first, {1, rank})});
  if (!new_axis)
    same = b_.elementwise(Fn::logical_or,
                          {same, b_.elementwise(Fn::equal, {b_.iota(DType::i64, {1, rank}, 1), integer(axis)})});
  check(same, "the elements of a sequence do not fit together");
  Value *low = b_.slice(first, 0, 0, axis), *high = b_.slice(first, 0, axis + !new_axis, rank - axis - !new_axis);
  auto all = [&](Value *v) { return v->type().dim(0).is(0) ? integer(1) : b_.reduce("product", v, {0}, false); };
  Value *outers = all(low), *inners = all(high);
  Value *extent = count, *each = nullptr;
  if (!new_axis) {
    each = b_.reshape(b_.slice(parts.dims, 1, axis, 1), {parts.count()});
    extent = b_.reduce("sum", each, {0}, false);
  }
  Value *shape = b_.concat({low, b_.reshape(extent, {1}), high}, 0);
  if (axis == 0) return shaped(parts.data, shape, result);
  if (new_axis) {
    const Type type = Type::tensor(parts.data->type().dtype(),
                                   {parts.count(), b_.graph().new_runtime_symbol(), b_.graph().new_runtime_symbol()});
    Value *rows = b_.concat({b_.reshape(count, {1}), b_.reshape(outers, {1}), b_.reshape(inners, {1})}, 0);
    return shaped(b_.transpose(shaped(parts.data, rows, type), {1, 0, 2}), shape, result);
  }
  Value *place = places(each, count_to(extent), count_to(outers), count_to(inners), inners);
  Value *x = b_.gather(parts.data, b_.transpose(place, {1, 0, 2}), 0);
  return shaped(x, shape, result);
}

Parts PartsBuilder::checked(Parts parts, const ContainerForm &form, const Type &element) {
  const int64_t width = parts.dims->type().dim(1).value();
  if (form.has_ranks()) {
    check(less_equal(integer(0), parts.ranks), "the rank of an element is negative");
    check(less_equal(parts.ranks, integer(kMostElementRank)), "the rank of an element is above 8");
    Value *used = less(b_.iota(DType::i64, {1, width}, 1), b_.reshape(parts.ranks, {parts.count(), 1}));
    parts.dims = select(used, parts.dims, integer(1));
  }
  if (width > 0) {
    check(less_equal(integer(0), parts.dims), "an extent of an element is negative");
    check(less_equal(parts.dims, integer(INT32_MAX)), "an extent of an element is too large");
  }
  if (element.is_ranked())
    for (int d = 0; d < element.rank(); ++d)
      if (element.dim(d).is_constant())
        check(b_.elementwise(Fn::equal, {b_.slice(parts.dims, 1, d, 1), integer(element.dim(d).value())}),
              "an extent of an element is not that of the model");
  // In doubles nothing wraps around, and what equals the number of elements is exact.
  Value *total = scalar(parts.total());
  Value *sum = width == 0
                   ? b_.cast(length(parts), DType::f64)
                   : b_.reduce("sum", b_.reduce("product", b_.cast(parts.dims, DType::f64), {1}, false), {0}, false);
  check(b_.elementwise(Fn::equal, {sum, b_.cast(total, DType::f64)}), "the elements are not as many as the data");
  if (form.kind == ContainerForm::Kind::optional)
    check(less_equal(length(parts), integer(1)), "an optional of more than one element");
  return parts;
}

} // namespace cameo::passes
