// Quantised operators of com.microsoft. Those on tensors with one scale each are what they say they are: reals of the
// inputs, the operator of the standard, quantised again. The passes over quantised tensors make integers of them.
// Products are sums of integers with scales behind them, as those of the standard.
#include "microsoft.h"
#include "parts.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

// (x - zero) * scale of inputs at, at + 1 and at + 2.
Value *real_input(NodeImport &n, size_t at) {
  Value *x = n.input(at), *scale = one_number(n, n.input(at + 1), "a scale"),
        *zero = one_number(n, n.input(at + 2), "a zero point");
  if (scale_problem(n, scale)) return nullptr;
  return n.make(Op::dequantize, {x, scale, zero}, {}, DType::f32);
}

// saturate(round(y / scale) + zero) with scale and zero point at inputs at and at + 1.
Value *quantized_result(NodeImport &n, Value *y, size_t at, DType dtype) {
  Value *scale = one_number(n, n.input(at), "a scale"), *zero = one_number(n, n.input(at + 1), "a zero point");
  if (scale_problem(n, scale)) return nullptr;
  return n.make(Op::quantize, {y, scale, zero}, {{"saturate", true}}, dtype);
}

bool channels_are_last(NodeImport &n) { return n.integer("channels_last", 0) != 0; }

// A scale or zero point per column of a product: one number, [n], or what broadcasts to the product.
Value *per_column(NodeImport &n, Value *v) { return per_tensor(n, v); }

} // namespace

Value *scaled_product(NodeImport &n, Value *a, Value *b, Value *a_zero, Value *b_zero, Value *a_scale, Value *b_scale,
                      Value *bias) {
  if (scale_problem(n, a_scale) || scale_problem(n, b_scale)) return nullptr;
  Value *sums = integer_matmul(n, a, b, a_zero, b_zero);
  Value *scale = n.map(Fn::mul, {n.cast(a_scale, DType::f32), n.cast(b_scale, DType::f32)});
  if (n.failed()) return nullptr;
  Value *y = n.map(Fn::mul, {n.cast(sums, DType::f32), scale});
  if (bias) y = n.map(Fn::add, {y, n.cast(bias, DType::f32)});
  if (y && y->type().rank() != sums->type().rank())
    return n.fail("scales or bias of a higher rank than the product " + sums->type().str());
  return y;
}

// a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero
void import_qlinear_binary(NodeImport &n) {
  Value *a = real_input(n, 0), *b = real_input(n, 3);
  Value *y = n.map(n.op() == "QLinearAdd" ? Fn::add : Fn::mul, {a, b});
  n.result(quantized_result(n, y, 6, n.input(0)->type().dtype()));
}

// x, x_scale, x_zero, y_scale, y_zero
void import_qlinear_unary(NodeImport &n) {
  Value *x = real_input(n, 0);
  Value *y = n.op() == "QLinearSigmoid" ? n.map(Fn::sigmoid, {x}) : n.map(Fn::leaky_relu, {x}, n.real("alpha", 0.01));
  n.result(quantized_result(n, y, 3, n.input(0)->type().dtype()));
}

// `opset` says which version of Softmax it is: before 13 the axes from `axis` on count as one.
void import_qlinear_softmax(NodeImport &n) {
  const int64_t opset = n.integer("opset", 0);
  if (opset < 1) return void(n.fail("opset is " + std::to_string(opset)));
  Value *y = softmax(n, real_input(n, 0), n.integer("axis"), opset < 13, false);
  n.result(quantized_result(n, y, 3, n.input(0)->type().dtype()));
}

// y_scale, y_zero, then x, x_scale, x_zero of each part.
void import_qlinear_concat(NodeImport &n) {
  const size_t parts = (n.input_count() - 2) / 3;
  if (n.input_count() < 5 || (n.input_count() - 2) % 3 != 0)
    return void(n.fail(std::to_string(n.input_count()) + " inputs, not 2 and 3 for each part"));
  const DType dtype = n.input(1)->type().dtype();
  std::vector<Value *> ys;
  for (size_t i = 0; i < parts && !n.failed(); ++i) {
    const size_t at = 2 + 3 * i;
    if (n.input(at)->type().dtype() == DType::f32 || n.input(at + 1)->type().dtype() != DType::f32 ||
        n.input(at + 2)->type().dtype() != n.input(at)->type().dtype())
      return void(n.fail("part " + std::to_string(i) + " is " + n.input(at)->type().str() + " with scale " +
                         n.input(at + 1)->type().str() + " and zero point " + n.input(at + 2)->type().str()));
    // Each part by itself: one that has the result's scale stays as it is.
    ys.push_back(quantized_result(n, real_input(n, at), 0, dtype));
  }
  if (n.failed() || !n.ranked(ys[0])) return;
  const int64_t axis = n.axis(n.integer("axis"), ys[0]->type().rank());
  n.result(n.concat(std::move(ys), axis));
}

// x, x_scale, x_zero, y_scale, y_zero
void import_qlinear_pool(NodeImport &n) {
  Value *x = real_input(n, 0);
  if (n.failed()) return;
  Value *y = pool(n, channels_are_last(n) ? channels_first(n, x) : x, "average", 1)[0];
  y = quantized_result(n, y, 3, n.input(0)->type().dtype());
  n.result(channels_are_last(n) ? channels_last(n, y) : y);
}

void import_qlinear_global_pool(NodeImport &n) {
  Value *x = real_input(n, 0);
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank(), first = channels_are_last(n) ? 1 : 2;
  if (rank < 3) return void(n.fail("the input has rank " + std::to_string(rank) + ", not [n, c, spatial...]"));
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < rank - 2; ++i) axes.push_back(first + i);
  n.result(quantized_result(n, n.reduce("mean", x, std::move(axes), true), 3, n.input(0)->type().dtype()));
}

void import_qlinear_reduce_mean(NodeImport &n) {
  Value *x = real_input(n, 0);
  if (!n.ranked(x)) return;
  std::vector<int64_t> axes = n.ints("axes");
  for (int64_t i = 0; axes.empty() && i < x->type().rank(); ++i) axes.push_back(i);
  axes = n.axes(std::move(axes), x->type().rank());
  Value *y = n.failed() ? nullptr : n.reduce("mean", x, std::move(axes), n.flag("keepdims"));
  n.result(quantized_result(n, y, 3, n.input(0)->type().dtype()));
}

// condition, x, x_scale, x_zero, y, y_scale, y_zero, z_scale, z_zero
void import_qlinear_where(NodeImport &n) {
  const DType dtype = n.input(1)->type().dtype();
  Value *x = quantized_result(n, real_input(n, 1), 7, dtype), *y = quantized_result(n, real_input(n, 4), 7, dtype);
  n.result(n.map(Fn::select, {n.input(0), x, y}));
}

// a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, y_zero: the sums of products and c are i32; quantised where
// y_zero is there, else f32.
void import_qgemm(NodeImport &n) {
  Value *a = n.input(0), *b = n.input(3), *c = n.input(6);
  if (!n.ranked(a) || !n.ranked(b)) return;
  if (a->type().rank() != 2 || b->type().rank() != 2)
    return void(n.fail("factors " + a->type().str() + " and " + b->type().str() + ", not of rank 2"));
  if (n.has(7) != n.has(8)) return void(n.fail("y_scale and y_zero_point must come together"));
  const double alpha = n.real("alpha");
  if (alpha == 0) return void(n.fail("alpha is 0"));
  Value *a_scale = one_number(n, n.input(1), "a_scale"), *a_zero = one_number(n, n.input(2), "a_zero_point");
  Value *b_scale = per_tensor(n, n.input(4)), *b_zero = per_tensor(n, n.input(5));
  if (scale_problem(n, a_scale) || scale_problem(n, b_scale)) return;
  if (n.flag("transB")) b = n.transpose(b, {1, 0}); // zero points lie along the last axis
  if (n.failed()) return;
  a = with_known_axis(n, a, n.flag("transA") ? 0 : 1, b->type().dim(0));
  const std::string equation = std::string(n.flag("transA") ? "km" : "mk") + ",kn->mn";
  Value *y =
      n.make(Op::contract, {a, b, a_zero, b_zero}, {{"equation", equation}, {"compute", DType::i32}}, DType::i32);
  if (n.failed()) return;
  const Type product = y->type();
  auto spreads = [&](Value *v, const char *what) -> Value * { // the run checks extents that only it knows
    if (!n.ranked(v)) return nullptr;
    const Shape &own = v->type().shape();
    bool fits = own.size() <= 2;
    for (size_t i = 0; fits && i < own.size(); ++i) {
      const Dim &wanted = product.shape()[i + 2 - own.size()];
      fits = !own[i].is_constant() || own[i].is(1) || !wanted.is_constant() || own[i] == wanted;
    }
    if (!fits)
      return n.fail(std::string(what) + " " + v->type().str() + " does not spread over the product " + product.str());
    const std::optional<Shape> sum = graph::broadcast_shapes(product.shape(), own);
    return sum && *sum == product.shape() ? v : n.broadcast(v, product.shape());
  };
  if (c) y = n.map(Fn::add, {y, spreads(c, "C")});
  Value *scale = n.map(Fn::mul, {a_scale, spreads(b_scale, "b_scale")});
  if (alpha != 1) scale = n.map(Fn::mul, {scale, n.scalar(DType::f32, alpha)});
  if (n.failed()) return;
  y = n.map(Fn::mul, {n.cast(y, DType::f32), scale});
  n.result(n.has(8) ? quantized_result(n, y, 7, n.input(8)->type().dtype()) : y);
}

// a, b, a_scale, b_scale, a_zero, b_zero, bias
void import_matmul_integer_to_float(NodeImport &n) {
  Value *y =
      scaled_product(n, n.input(0), n.input(1), one_number(n, n.input(4), "a_zero_point"), per_column(n, n.input(5)),
                     one_number(n, n.input(2), "a_scale"), per_column(n, n.input(3)), n.input(6));
  if (y) n.result(n.cast(y, n.input(2)->type().dtype()));
}

// a, b, b_scale, b_zero, bias: a is quantised to u8 by the range of its values.
void import_dynamic_quantize_matmul(NodeImport &n) {
  const Quantized a = dynamically_quantized(n, n.input(0));
  if (n.failed()) return;
  n.result(scaled_product(n, a.x, n.input(1), a.zero, per_column(n, n.input(3)), a.scale, per_column(n, n.input(2)),
                          n.input(4)));
}

// (a - a_zero)(b - b_zero) in i32
void import_mul_integer(NodeImport &n) {
  auto whole = [&](size_t at) {
    Value *x = n.cast(n.input(at), DType::i32), *zero = one_number(n, n.input(at + 1), "a zero point");
    return zero ? n.map(Fn::sub, {x, n.cast(zero, DType::i32)}) : x;
  };
  Value *a = whole(0), *b = whole(2);
  n.result(n.map(Fn::mul, {a, b}));
}

void import_matmul_integer16(NodeImport &n) {
  for (size_t i : {0, 1})
    if (n.input(i)->type().dtype() != DType::i16) return void(n.unsupported("factors without a sign"));
  n.result(integer_matmul(n, n.input(0), n.input(1), nullptr, nullptr));
}

void import_nhwc_max_pool(NodeImport &n) {
  Value *x = channels_first(n, n.input(0));
  if (n.failed()) return;
  n.result(channels_last(n, pool(n, x, "max", 1)[0]));
}

} // namespace cameo::frontend
