// Evaluation of nodes over small known tensors.
#include "cameo/ops/small_value.h"

#include "rules.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace cameo::ops {

using namespace graph;

namespace {

// Row-major strides of constant extents.
std::vector<int64_t> strides_of(const std::vector<int64_t> &dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

int64_t count_of(const std::vector<int64_t> &dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

// Builds the result by naming, for each of its indices, the element of one operand that it copies.
class Gatherer {
public:
  Gatherer(DType dtype, std::vector<int64_t> dims) {
    result.dtype = dtype;
    result.dims = std::move(dims);
  }
  void take(const SmallTensor &from, int64_t element) {
    result.is_real = from.is_real;
    if (from.is_real)
      result.reals.push_back(from.reals[size_t(element)]);
    else
      result.ints.push_back(from.ints[size_t(element)]);
  }
  SmallTensor result;
};

// Calls visit(index) for every index of `dims` in row-major order.
template <class Visit> void for_each_index(const std::vector<int64_t> &dims, Visit visit) {
  std::vector<int64_t> index(dims.size(), 0);
  for (int64_t n = count_of(dims); n > 0; --n) {
    visit(index);
    for (size_t i = dims.size(); i-- > 0;) {
      if (++index[i] < dims[i]) break;
      index[i] = 0;
    }
  }
}

int64_t flat(const std::vector<int64_t> &index, const std::vector<int64_t> &strides) {
  return std::inner_product(index.begin(), index.end(), strides.begin(), int64_t{0});
}

// The element of `from` that numpy broadcasting pairs with `index` of the result.
int64_t broadcast_element(const SmallTensor &from, const std::vector<int64_t> &index) {
  const std::vector<int64_t> strides = strides_of(from.dims);
  const size_t lead = index.size() - from.dims.size();
  int64_t at = 0;
  for (size_t i = 0; i < from.dims.size(); ++i)
    if (from.dims[i] != 1) at += index[lead + i] * strides[i];
  return at;
}

// --- scalar functions -----------------------------------------------------------------------------------------------

bool not_negative(const Dim &d, const Graph &graph) {
  const Interval bounds = graph.bounds(d);
  return bounds.lower && *bounds.lower >= 0;
}

// -1, 0, 1 for the sign of d where it is certain.
std::optional<int> certain_sign(const Dim &d, const Graph &graph) {
  if (d.is_constant()) return (d.value() > 0) - (d.value() < 0);
  const Interval bounds = graph.bounds(d);
  if (bounds.lower && *bounds.lower > 0) return 1;
  if (bounds.upper && *bounds.upper < 0) return -1;
  return std::nullopt;
}

std::optional<Dim> compare(Fn fn, const Dim &a, const Dim &b, const Graph &graph) {
  const Dim d = a - b;
  if (!d.valid()) return std::nullopt;
  if (fn == Fn::equal) {
    if (auto sign = certain_sign(d, graph)) return Dim(*sign == 0);
    return std::nullopt;
  }
  if (auto sign = certain_sign(d, graph)) return Dim(fn == Fn::less ? *sign < 0 : *sign <= 0);
  const Interval bounds = graph.bounds(d);
  if (fn == Fn::less && bounds.lower && *bounds.lower >= 0) return Dim(0);
  if (fn == Fn::less_equal && bounds.upper && *bounds.upper <= 0) return Dim(1);
  return std::nullopt;
}

std::optional<Dim> apply_int(Fn fn, const std::vector<Dim> &x, const Graph &graph) {
  auto constants = [&] { return std::all_of(x.begin(), x.end(), [](const Dim &d) { return d.is_constant(); }); };
  switch (fn) {
  case Fn::add:
    return x[0] + x[1];
  case Fn::sub:
    return x[0] - x[1];
  case Fn::mul:
    return x[0] * x[1];
  case Fn::neg:
    return Dim(0) - x[0];
  case Fn::div: // truncates; floordiv is the same for what is not negative
    if (constants()) {
      if (x[1].is(0) || (x[0].is(INT64_MIN) && x[1].is(-1))) return std::nullopt;
      return Dim(x[0].value() / x[1].value());
    }
    if (!not_negative(x[0], graph) || (x[1].is_constant() ? x[1].value() <= 0 : !not_negative(x[1], graph)))
      return std::nullopt;
    return floordiv(x[0], x[1]);
  case Fn::mod: // the sign of the divisor
    if (x[1].is_constant() ? x[1].value() <= 0 : !not_negative(x[1], graph)) return std::nullopt;
    return mod(x[0], x[1]);
  case Fn::max:
    return max(x[0], x[1]);
  case Fn::min:
    return min(x[0], x[1]);
  case Fn::abs:
    if (x[0].is_constant()) return x[0].is(INT64_MIN) ? std::nullopt : std::optional(Dim(std::abs(x[0].value())));
    return not_negative(x[0], graph) ? std::optional(x[0]) : std::nullopt;
  case Fn::relu:
    return max(x[0], 0);
  case Fn::clip:
    return min(max(x[0], x[1]), x[2]);
  case Fn::sign:
    if (auto sign = certain_sign(x[0], graph)) return Dim(*sign);
    return std::nullopt;
  case Fn::equal:
  case Fn::less:
  case Fn::less_equal:
    return compare(fn, x[0], x[1], graph);
  case Fn::logical_not:
    return x[0].is_constant() ? std::optional(Dim(x[0].is(0))) : std::nullopt;
  case Fn::logical_and:
    return constants() ? std::optional(Dim(!x[0].is(0) && !x[1].is(0))) : std::nullopt;
  case Fn::logical_or:
    return constants() ? std::optional(Dim(!x[0].is(0) || !x[1].is(0))) : std::nullopt;
  case Fn::logical_xor:
    return constants() ? std::optional(Dim(x[0].is(0) != x[1].is(0))) : std::nullopt;
  case Fn::select:
    if (x[1] == x[2]) return x[1];
    return x[0].is_constant() ? std::optional(x[0].is(0) ? x[2] : x[1]) : std::nullopt;
  default:
    return std::nullopt;
  }
}

// Only what IEEE 754 defines to the last bit. In double, then rounded: exact for f32 and narrower (53 >= 2 * 24 + 2).
std::optional<double> apply_real(Fn fn, const std::vector<double> &x) {
  switch (fn) {
  case Fn::add:
    return x[0] + x[1];
  case Fn::sub:
    return x[0] - x[1];
  case Fn::mul:
    return x[0] * x[1];
  case Fn::div:
    return x[0] / x[1];
  case Fn::neg:
    return -x[0];
  case Fn::abs:
    return std::fabs(x[0]);
  case Fn::floor:
    return std::floor(x[0]);
  case Fn::ceil:
    return std::ceil(x[0]);
  case Fn::round:
    return std::nearbyint(x[0]);
  case Fn::sqrt:
    return std::sqrt(x[0]);
  case Fn::reciprocal:
    return 1.0 / x[0];
  case Fn::max:
    return x[0] != x[0] || x[1] != x[1] ? std::nan("") : std::max(x[0], x[1]);
  case Fn::min:
    return x[0] != x[0] || x[1] != x[1] ? std::nan("") : std::min(x[0], x[1]);
  default:
    return std::nullopt;
  }
}

std::optional<double> rounded(double value, DType dtype) {
  if (dtype == DType::f64) return value;
  if (dtype == DType::f32) return double(float(value));
  return std::nullopt; // narrower results are rounded by the compiled code
}

bool fits(const Dim &d, DType dtype) {
  if (!d.valid()) return false;
  if (dtype == DType::boolean) return d.is(0) || d.is(1);
  if (!d.is_constant() || dtype == DType::i64)
    return true; // extents are below 2^31 in practice; others are run-time errors
  const int width = bits(dtype);
  if (kind(dtype) == DTypeKind::unsigned_integer)
    return d.value() >= 0 && (width == 64 || d.value() < int64_t{1} << width);
  return d.value() >= -(int64_t{1} << (width - 1)) && d.value() < int64_t{1} << (width - 1);
}

std::optional<SmallTensor> evaluate_elementwise(Fn fn, const std::vector<SmallTensor> &xs, DType dtype,
                                                const std::vector<int64_t> &dims, const Graph &graph) {
  SmallTensor y;
  y.dtype = dtype;
  y.dims = dims;
  y.is_real = is_float(dtype);
  bool ok = true;
  for_each_index(dims, [&](const std::vector<int64_t> &index) {
    if (!ok) return;
    std::vector<Dim> ints;
    std::vector<double> reals;
    for (const SmallTensor &x : xs) {
      const auto at = size_t(broadcast_element(x, index));
      if (x.is_real)
        reals.push_back(x.reals[at]);
      else
        ints.push_back(x.ints[at]);
    }
    if (y.is_real) {
      if (fn == Fn::select && reals.size() == 2 && ints.size() == 1) {
        ok = ints[0].is_constant();
        if (ok) y.reals.push_back(ints[0].is(0) ? reals[1] : reals[0]);
        return;
      }
      if (reals.size() != xs.size()) return void(ok = false);
      const std::optional<double> v = apply_real(fn, reals);
      const std::optional<double> r = v ? rounded(*v, dtype) : std::nullopt;
      ok = r.has_value();
      if (ok) y.reals.push_back(*r);
    } else if (reals.size() == 2 && xs.size() == 2) {
      ok = fn == Fn::equal || fn == Fn::less || fn == Fn::less_equal;
      if (ok)
        y.ints.push_back(fn == Fn::equal  ? reals[0] == reals[1]
                         : fn == Fn::less ? reals[0] < reals[1]
                                          : reals[0] <= reals[1]);
    } else {
      if (ints.size() != xs.size()) return void(ok = false);
      std::optional<Dim> v = apply_int(fn, ints, graph);
      ok = v && fits(*v, dtype);
      if (ok) y.ints.push_back(std::move(*v));
    }
  });
  return ok ? std::optional(std::move(y)) : std::nullopt;
}

std::optional<SmallTensor> evaluate_cast(const SmallTensor &x, DType dtype) {
  SmallTensor y = x;
  y.dtype = dtype;
  y.is_real = is_float(dtype);
  y.ints.clear();
  y.reals.clear();
  if (!y.is_real && !is_integer(dtype) && dtype != DType::boolean) return std::nullopt;
  for (int64_t i = 0; i < x.count(); ++i) {
    if (y.is_real) {
      if (!x.is_real && !x.ints[size_t(i)].is_constant()) return std::nullopt;
      const double v = x.is_real ? x.reals[size_t(i)] : double(x.ints[size_t(i)].value());
      const std::optional<double> r = rounded(v, dtype);
      if (!r || (!x.is_real && int64_t(v) != x.ints[size_t(i)].value())) return std::nullopt;
      y.reals.push_back(*r);
    } else {
      Dim v = x.is_real ? Dim(0) : x.ints[size_t(i)];
      if (x.is_real) {
        const double r = x.reals[size_t(i)];
        if (dtype == DType::boolean)
          v = r != 0;
        else if (!(std::fabs(r) < 0x1p62))
          return std::nullopt;
        else
          v = int64_t(r);
      } else if (dtype == DType::boolean) {
        if (!v.is_constant()) return std::nullopt;
        v = !v.is(0);
      }
      if (!fits(v, dtype)) return std::nullopt;
      y.ints.push_back(std::move(v));
    }
  }
  return y;
}

std::optional<SmallTensor> evaluate_reduce(InferContext &c, const SmallTensor &x, DType dtype,
                                           const std::vector<int64_t> &dims) {
  const std::string_view fn = c.word("fn");
  const Fn combine = fn == "sum" ? Fn::add : fn == "product" ? Fn::mul : fn == "max" ? Fn::max : Fn::min;
  if (x.is_real || (fn != "sum" && fn != "product" && fn != "max" && fn != "min")) return std::nullopt;
  std::vector<bool> reduced(x.dims.size(), false);
  for (int64_t axis : c.ints("axes")) reduced[size_t(*normal_axis(axis, int64_t(x.dims.size())))] = true;
  std::vector<int64_t> kept = x.dims;
  for (size_t i = 0; i < kept.size(); ++i)
    if (reduced[i]) kept[i] = 1;
  const std::vector<int64_t> strides = strides_of(kept);
  std::vector<std::optional<Dim>> sums(size_t(count_of(kept)));
  int64_t element = 0;
  bool ok = true;
  for_each_index(x.dims, [&](const std::vector<int64_t> &index) {
    int64_t at = 0;
    for (size_t i = 0; i < index.size(); ++i)
      if (!reduced[i]) at += index[i] * strides[i];
    std::optional<Dim> &sum = sums[size_t(at)];
    const Dim &v = x.ints[size_t(element++)];
    sum = sum ? apply_int(combine, {*sum, v}, c.graph) : std::optional(v);
    ok = ok && sum && fits(*sum, dtype);
  });
  SmallTensor y;
  y.dtype = dtype;
  y.dims = dims;
  for (std::optional<Dim> &sum : sums) {
    if (!ok || (!sum && combine != Fn::add && combine != Fn::mul)) return std::nullopt;
    y.ints.push_back(sum ? *sum : Dim(combine == Fn::mul));
  }
  return y;
}

std::optional<SmallTensor> evaluate_movement(InferContext &c, const std::vector<SmallTensor> &xs, DType dtype,
                                             const std::vector<int64_t> &dims) {
  const SmallTensor &x = xs[0];
  const std::vector<int64_t> strides = strides_of(x.dims);
  Gatherer out(dtype, dims);
  out.result.is_real = x.is_real;
  bool ok = true;
  switch (c.node.op) {
  case Op::reshape: {
    SmallTensor y = x;
    y.dims = dims;
    return y;
  }
  case Op::broadcast:
    for_each_index(dims, [&](const auto &index) { out.take(x, broadcast_element(x, index)); });
    break;
  case Op::transpose: {
    const auto &perm = c.ints("perm");
    for_each_index(dims, [&](const auto &index) {
      int64_t at = 0;
      for (size_t i = 0; i < index.size(); ++i) at += index[i] * strides[size_t(perm[i])];
      out.take(x, at);
    });
    break;
  }
  case Op::concat: {
    const auto axis = size_t(*normal_axis(c.integer("axis"), int64_t(dims.size())));
    for_each_index(dims, [&](std::vector<int64_t> index) {
      size_t which = 0;
      while (index[axis] >= xs[which].dims[axis]) index[axis] -= xs[which++].dims[axis];
      out.take(xs[which], flat(index, strides_of(xs[which].dims)));
    });
    break;
  }
  case Op::slice: {
    const auto &axes = c.ints("axes");
    const auto &starts = c.dims("starts");
    const auto &steps = c.ints("steps");
    if (xs.size() > 1) return std::nullopt;
    for (const Dim &start : starts)
      if (!start.is_constant()) return std::nullopt;
    for_each_index(dims, [&](std::vector<int64_t> index) {
      for (size_t i = 0; i < axes.size(); ++i)
        index[size_t(axes[i])] = starts[i].value() + index[size_t(axes[i])] * (steps.empty() ? 1 : steps[i]);
      out.take(x, flat(index, strides));
    });
    break;
  }
  case Op::gather: {
    const SmallTensor &indices = xs[1];
    const auto axis = size_t(*normal_axis(c.integer("axis"), int64_t(x.dims.size())));
    const std::vector<int64_t> index_strides = strides_of(indices.dims);
    for_each_index(dims, [&](const std::vector<int64_t> &index) {
      int64_t at = 0, pick = 0;
      for (size_t i = 0; i < indices.dims.size(); ++i) pick += index[axis + i] * index_strides[i];
      const Dim &chosen = indices.ints[size_t(pick)];
      const int64_t extent = x.dims[axis];
      if (!chosen.is_constant() || chosen.value() < -extent || chosen.value() >= extent) return void(ok = false);
      for (size_t i = 0; i < x.dims.size(); ++i) {
        const int64_t k = i < axis    ? index[i]
                          : i == axis ? (chosen.value() + extent) % extent
                                      : index[i - 1 + indices.dims.size()];
        at += k * strides[i];
      }
      out.take(x, at);
    });
    break;
  }
  default:
    return std::nullopt;
  }
  if (!ok) return std::nullopt;
  return std::move(out.result);
}

// The indices of what is not 0, where that is certain.
std::optional<SmallTensor> evaluate_nonzero(const SmallTensor &x) {
  SmallTensor y;
  const size_t rank = x.dims.size();
  std::vector<std::vector<int64_t>> found;
  int64_t element = 0;
  bool ok = true;
  for_each_index(x.dims, [&](const std::vector<int64_t> &index) {
    const auto at = size_t(element++);
    if (x.is_real ? x.reals[at] != 0 : !x.ints[at].is(0)) found.push_back(index);
    if (!x.is_real && !x.ints[at].is_constant()) ok = false;
  });
  if (!ok) return std::nullopt;
  y.dims = {int64_t(rank), int64_t(found.size())};
  for (size_t i = 0; i < rank; ++i)
    for (const auto &index : found) y.ints.push_back(index[i]);
  return y;
}

std::optional<SmallTensor> evaluate_iota(InferContext &c, DType dtype, const std::vector<int64_t> &dims) {
  if (is_float(dtype)) return std::nullopt;
  SmallTensor y;
  y.dtype = dtype;
  y.dims = dims;
  const auto axis = size_t(c.integer("axis"));
  for_each_index(dims, [&](const std::vector<int64_t> &index) { y.ints.push_back(index[axis]); });
  return y;
}

std::optional<SmallTensor> evaluate_range(const std::vector<SmallTensor> &xs, const std::vector<int64_t> &dims) {
  SmallTensor y;
  y.dtype = xs[0].dtype;
  y.dims = dims;
  if (xs[0].is_real) return std::nullopt;
  for (int64_t i = 0; i < dims[0]; ++i) y.ints.push_back(xs[0].ints[0] + xs[2].ints[0] * i);
  for (const Dim &d : y.ints)
    if (!fits(d, y.dtype)) return std::nullopt;
  return y;
}

} // namespace

std::optional<SmallTensor> evaluate(const NodeSpec &node, const Type &type, const Graph &graph) {
  if (node.op == Op::constant || node.op == Op::dims || !type.is_ranked()) return std::nullopt;
  std::optional<std::vector<int64_t>> dims = type.static_shape();
  if (node.op != Op::nonzero && (!dims || count_of(*dims) > kMaxSmallElements)) return std::nullopt;
  std::vector<SmallTensor> xs;
  for (const Value *operand : node.operands) {
    std::optional<SmallTensor> x = operand ? small_value(operand) : std::nullopt;
    if (!x) return std::nullopt;
    xs.push_back(std::move(*x));
  }
  InferContext c(const_cast<Graph &>(graph), node);
  switch (node.op) {
  case Op::elementwise:
    return evaluate_elementwise(*c.get<Fn>("fn"), xs, type.dtype(), *dims, graph);
  case Op::cast:
    return evaluate_cast(xs[0], type.dtype());
  case Op::reduce:
    return evaluate_reduce(c, xs[0], type.dtype(), *dims);
  case Op::iota:
    return evaluate_iota(c, type.dtype(), *dims);
  case Op::range:
    return evaluate_range(xs, *dims);
  case Op::nonzero:
    return evaluate_nonzero(xs[0]);
  case Op::reshape:
  case Op::broadcast:
  case Op::transpose:
  case Op::concat:
  case Op::slice:
  case Op::gather:
    return evaluate_movement(c, xs, type.dtype(), *dims);
  default:
    return std::nullopt;
  }
}

} // namespace cameo::ops
