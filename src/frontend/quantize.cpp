// Quantization: to integers and back, and the operators that compute on quantized tensors.
#include "families.h"
#include "parts.h"

#include <algorithm>
#include <cmath>

namespace cameo::frontend {

Value *per_tensor(NodeImport &n, Value *v) {
  if (!v || n.failed() || !v->type().is_ranked() || v->type().rank() == 0 || !product(v->type().shape()).is(1))
    return v;
  return n.reshape(v, {});
}

Value *one_number(NodeImport &n, Value *v, std::string_view what) {
  if (!v || !n.ranked(v)) return nullptr;
  const Dim count = product(v->type().shape());
  if (count.is_constant() && !count.is(1))
    return n.fail(std::string(what) + " " + v->type().str() + " is not one number");
  return n.reshape(v, {});
}

bool scale_problem(NodeImport &n, const Value *scale) {
  if (n.failed()) return true;
  if (auto known = n.reals_of(scale))
    for (double s : *known)
      if (!(s > 0) || std::isinf(s)) n.fail("a scale is " + std::to_string(s) + "; scales must be finite and above 0");
  return n.failed();
}

namespace {

// A zero point has the shape of the scale, also where only the run knows one of them.
Value *like_scale(NodeImport &n, Value *zero, const Value *scale) {
  if (!zero || n.failed() || !zero->type().is_ranked() || !scale->type().is_ranked()) return zero;
  const Shape &own = zero->type().shape(), &wanted = scale->type().shape();
  const bool known = std::all_of(own.begin(), own.end(), [](const Dim &d) { return d.is_constant(); });
  if (own == wanted || (known && own.size() != wanted.size())) return zero;
  if (wanted.empty()) return n.reshape(zero, {});
  return own.size() == wanted.size() ? n.with_shape(zero, "the zero point", wanted) : zero;
}

// `axis` and `block` where the scale has more than one element.
Attributes grid(NodeImport &n, Value *x, Value *scale) {
  Attributes attributes;
  if (n.failed() || !n.ranked(x) || !n.ranked(scale) || scale->type().rank() == 0) return attributes;
  const int64_t axis = n.integer("axis", 1), block = n.integer("block_size", 0);
  attributes.emplace_back("axis", n.axis(axis, x->type().rank()));
  if (block < 0) n.fail("block_size is " + std::to_string(block));
  if (block > 0) attributes.emplace_back("block", block);
  return attributes;
}

} // namespace

void import_quantize(NodeImport &n) {
  Value *x = n.input(0), *scale = per_tensor(n, n.input(1)), *zero = like_scale(n, per_tensor(n, n.input(2)), scale);
  DType dtype = DType::u8;
  if (n.integer("output_dtype", 0) != 0) { // 0: not said
    dtype = n.dtype("output_dtype", DType::u8);
    if (zero && dtype != zero->type().dtype())
      n.fail("output_dtype is " + std::string(name(dtype)) + ", the zero point " +
             std::string(name(zero->type().dtype())));
  } else if (zero) {
    dtype = zero->type().dtype();
  }
  if (scale_problem(n, scale)) return;
  Attributes attributes = grid(n, x, scale);
  if (n.failed()) return;
  attributes.emplace_back("saturate", n.integer("saturate", 1) != 0);
  // The division happens in `precision`, or in the type of the scale (x may be an integer or narrower).
  DType compute = scale->type().dtype();
  if (n.version() >= 23 && n.integer("precision", 0) != 0) compute = n.dtype("precision", compute);
  if (auto wide = wide_compute(compute); wide && n.version() < 23) compute = *wide;
  if (compute != x->type().dtype()) attributes.emplace_back("compute", compute);
  n.result(n.make(Op::quantize, {x, scale, zero}, std::move(attributes), dtype));
}

void import_dequantize(NodeImport &n) {
  Value *x = n.input(0), *scale = per_tensor(n, n.input(1)), *zero = like_scale(n, per_tensor(n, n.input(2)), scale);
  if (scale_problem(n, scale)) return;
  if (zero && zero->type().dtype() != x->type().dtype())
    return void(n.fail("the zero point has another type than the input"));
  Attributes attributes = grid(n, x, scale);
  DType dtype = scale->type().dtype();
  if (n.version() >= 23 && n.integer("output_dtype", 0) != 0) dtype = n.dtype("output_dtype", dtype);
  n.result(n.make(Op::dequantize, {x, scale, zero}, std::move(attributes), dtype));
}

// zero = saturate(round(0 - min / scale)); y = quantize(x, scale, zero)
Quantized dynamically_quantized(NodeImport &n, Value *x) {
  if (!n.ranked(x)) return {};
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < x->type().rank(); ++i) axes.push_back(i);
  auto f32 = [&](double v) { return n.scalar(DType::f32, v); };
  Value *low = n.map(Fn::min, {n.reduce("min", x, axes, false), f32(0)});
  Value *high = n.map(Fn::max, {n.reduce("max", x, axes, false), f32(0)});
  Value *scale = n.map(Fn::div, {n.map(Fn::sub, {high, low}), f32(255)});
  // All zero: the scale is 1, so that nothing is divided by 0.
  Value *safe = n.map(Fn::select, {n.map(Fn::equal, {scale, f32(0)}), f32(1), scale});
  Value *zero = n.map(Fn::round, {n.map(Fn::clip, {n.map(Fn::div, {n.map(Fn::neg, {low}), safe}), f32(0), f32(255)})});
  zero = n.cast(zero, DType::u8);
  return {n.make(Op::quantize, {x, safe, zero}, {{"saturate", true}}), safe, zero, scale};
}

void import_dynamic_quantize(NodeImport &n) {
  const Quantized q = dynamically_quantized(n, n.input(0));
  if (n.failed()) return;
  n.result(0, q.x);
  if (n.wants(1)) n.result(1, q.range);
  if (n.wants(2)) n.result(2, q.zero);
}

// x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias: y = quantize((conv + bias) * (x_scale * w_scale),
// y_scale, y_zero); that of com.microsoft may have its channels last.
void import_qlinear_conv(NodeImport &n) {
  const bool last = n.integer("channels_last", 0) != 0;
  Value *x = last ? channels_first(n, n.input(0)) : n.input(0), *w = n.input(3);
  if (!n.ranked(x) || !n.ranked(w)) return;
  import_conv_integer_with(n, x, w, per_tensor(n, n.input(2)), per_tensor(n, n.input(5)), [&](Value *acc) -> Value * {
    const int rank = acc->type().rank();
    auto channels = [&](Value *v) { // [m] along axis 1
      if (!v || n.failed() || !v->type().is_ranked() || v->type().rank() != 1) return v;
      Shape shape(size_t(rank) - 1, Dim(1));
      shape[0] = v->type().dim(0);
      return n.reshape(v, std::move(shape));
    };
    if (n.has(8)) acc = n.map(Fn::add, {acc, channels(n.input(8))});
    Value *scale = n.map(Fn::mul, {per_tensor(n, n.input(1)), channels(per_tensor(n, n.input(4)))});
    Value *y = n.map(Fn::mul, {n.cast(acc, DType::f32), scale});
    y = n.make(Op::quantize, {y, per_tensor(n, n.input(6)), per_tensor(n, n.input(7))}, {{"saturate", true}});
    return last ? channels_last(n, y) : y;
  });
}

} // namespace cameo::frontend
