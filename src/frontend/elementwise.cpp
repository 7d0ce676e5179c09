// Elementwise operators: unary, activations with constants, binary with old and new broadcasting, variadic,
// comparisons.
#include "families.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

struct Row {
  std::string_view op;
  Fn fn;
};

Fn lookup(std::span<const Row> rows, std::string_view op) {
  auto at = std::find_if(rows.begin(), rows.end(), [&](const Row &row) { return row.op == op; });
  CAMEO_CHECK(at != rows.end(), "no function for " + std::string(op));
  return at->fn;
}

// Before opset 7 the second operand is broadcast only when `broadcast` is 1, its axes lying at `axis` of the first.
Value *old_broadcast(NodeImport &n, Value *a, Value *b) {
  if (n.version() >= 7 || !n.flag("broadcast") || !n.has("axis") || !n.ranked(a) || !n.ranked(b)) return b;
  const int64_t rank = a->type().rank(), own = b->type().rank();
  if (own == 0) return b;
  const int64_t axis = n.axis(n.integer("axis"), rank);
  if (n.failed()) return b;
  if (axis + own > rank) {
    n.fail("axis " + std::to_string(axis) + " leaves no room for " + std::to_string(own) + " axes in rank " +
           std::to_string(rank));
    return b;
  }
  Shape shape = b->type().shape();
  shape.resize(size_t(rank - axis), Dim(1));
  return n.reshape(b, std::move(shape));
}

} // namespace

void import_unary(NodeImport &n) {
  static constexpr Row rows[] = {
      {"Abs", Fn::abs},
      {"Neg", Fn::neg},
      {"Sign", Fn::sign},
      {"Floor", Fn::floor},
      {"Ceil", Fn::ceil},
      {"Round", Fn::round},
      {"Sqrt", Fn::sqrt},
      {"Reciprocal", Fn::reciprocal},
      {"Exp", Fn::exp},
      {"Log", Fn::log},
      {"Sin", Fn::sin},
      {"Cos", Fn::cos},
      {"Tan", Fn::tan},
      {"Asin", Fn::asin},
      {"Acos", Fn::acos},
      {"Atan", Fn::atan},
      {"Sinh", Fn::sinh},
      {"Cosh", Fn::cosh},
      {"Tanh", Fn::tanh},
      {"Asinh", Fn::asinh},
      {"Acosh", Fn::acosh},
      {"Atanh", Fn::atanh},
      {"Erf", Fn::erf},
      {"Relu", Fn::relu},
      {"Sigmoid", Fn::sigmoid},
      {"Softplus", Fn::softplus},
      {"Softsign", Fn::softsign},
      {"Not", Fn::logical_not},
      {"BitwiseNot", Fn::bitwise_not},
      {"IsNaN", Fn::is_nan},
      {"Mish", Fn::mish},
      {"HardSwish", Fn::hard_swish},
  };
  n.result(n.map(lookup(rows, n.op()), {n.input(0)}));
}

// Functions with constants: alpha, beta, gamma as functions.def names them.
void import_activation(NodeImport &n) {
  const std::string_view op = n.op();
  Value *x = n.input(0);
  if (op == "LeakyRelu") return n.result(n.map(Fn::leaky_relu, {x}, n.real("alpha")));
  if (op == "ThresholdedRelu") return n.result(n.map(Fn::thresholded_relu, {x}, n.real("alpha")));
  if (op == "Elu") return n.result(n.map(Fn::elu, {x}, n.real("alpha")));
  if (op == "Celu") {
    if (n.real("alpha") == 0) n.fail("alpha is 0");
    return n.result(n.map(Fn::celu, {x}, n.real("alpha")));
  }
  if (op == "Selu") return n.result(n.map(Fn::selu, {x}, n.real("alpha"), n.real("gamma")));
  if (op == "Swish") return n.result(n.map(Fn::swish, {x}, n.real("alpha")));
  if (op == "HardSigmoid") return n.result(n.map(Fn::hard_sigmoid, {x}, n.real("alpha"), n.real("beta")));
  if (op == "Shrink") return n.result(n.map(Fn::shrink, {x}, n.real("lambd"), n.real("bias")));
  CAMEO_CHECK(op == "Gelu", "no activation " + std::string(op));
  const bool tanh = n.word("approximate", {"none", "tanh"}) == "tanh";
  n.result(n.map(tanh ? Fn::gelu_tanh : Fn::gelu, {x}));
}

void import_binary(NodeImport &n) {
  static constexpr Row rows[] = {
      {"Add", Fn::add},
      {"Sub", Fn::sub},
      {"Mul", Fn::mul},
      {"Div", Fn::div},
      {"Pow", Fn::pow},
      {"And", Fn::logical_and},
      {"Or", Fn::logical_or},
      {"Xor", Fn::logical_xor},
      {"BitwiseAnd", Fn::bitwise_and},
      {"BitwiseOr", Fn::bitwise_or},
      {"BitwiseXor", Fn::bitwise_xor},
  };
  n.result(n.map(lookup(rows, n.op()), {n.input(0), old_broadcast(n, n.input(0), n.input(1))}));
}

void import_compare(NodeImport &n) {
  Value *a = n.input(0), *b = old_broadcast(n, n.input(0), n.input(1));
  if (n.op() == "Equal") return n.result(n.map(Fn::equal, {a, b}));
  if (n.op() == "Less") return n.result(n.map(Fn::less, {a, b}));
  if (n.op() == "LessOrEqual") return n.result(n.map(Fn::less_equal, {a, b}));
  // a > b = b < a
  n.result(n.map(n.op() == "Greater" ? Fn::less : Fn::less_equal, {b, a}));
}

// Sum, Mean, Max, Min of any number of operands, from the left.
void import_variadic(NodeImport &n) {
  const std::string_view op = n.op();
  const Fn fn = op == "Max" ? Fn::max : op == "Min" ? Fn::min : Fn::add;
  Value *y = n.input(0);
  for (size_t i = 1; i < n.input_count(); ++i) y = n.map(fn, {y, n.input(i)});
  if (op == "Mean" && !n.failed() && n.input_count() > 1)
    y = n.map(Fn::div, {y, n.scalar(y->type().dtype(), double(n.input_count()))});
  n.result(y);
}

void import_mod(NodeImport &n) {
  const DType dtype = n.input(0)->type().dtype();
  if (n.version() < 28 && !n.flag("fmod") && is_float(dtype)) n.fail("fmod must be 1 for " + std::string(name(dtype)));
  n.result(n.map(n.flag("fmod") ? Fn::fmod : Fn::mod, {n.input(0), n.input(1)}));
}

void import_bit_shift(NodeImport &n) {
  const bool left = n.word("direction", {"LEFT", "RIGHT"}) == "LEFT";
  n.result(n.map(left ? Fn::shift_left : Fn::shift_right, {n.input(0), n.input(1)}));
}

// Before opset 7 a slope per channel lies along axis 1; since then it broadcasts as in numpy.
void import_prelu(NodeImport &n) {
  Value *x = n.input(0), *slope = n.input(1);
  if (!n.ranked(x) || !n.ranked(slope)) return;
  const int rank = x->type().rank(), own = slope->type().rank();
  if (n.version() < 7 && own == 1 && rank > 1 && !slope->type().dim(0).is(1)) {
    Shape shape(size_t(rank) - 1, Dim(1));
    shape[0] = slope->type().dim(0);
    slope = n.reshape(slope, std::move(shape));
  }
  Value *y = n.map(Fn::prelu, {x, slope});
  if (y && y->type().is_ranked() && y->type().rank() != rank) n.fail("the slope has a higher rank than the input");
  n.result(y);
}

void import_clip(NodeImport &n) {
  Value *x = n.input(0), *low = n.input(1), *high = n.input(2);
  if (n.version() < 11) { // attributes, whose defaults are the ends of f32
    const DType dtype = x->type().dtype();
    if (n.has("min")) low = n.scalar(dtype, n.real("min"));
    if (n.has("max")) high = n.scalar(dtype, n.real("max"));
  }
  for (Value *bound : {low, high})
    if (bound && bound->type().is_ranked() && bound->type().rank() != 0 && !product(bound->type().shape()).is(1))
      n.fail("min and max must be scalars");
  if (n.failed()) return;
  auto scalar = [&](Value *v) { return v && v->type().is_ranked() && v->type().rank() > 0 ? n.reshape(v, {}) : v; };
  low = scalar(low), high = scalar(high);
  if (low && high) return n.result(n.map(Fn::clip, {x, low, high}));
  n.result(low ? n.map(Fn::max, {x, low}) : high ? n.map(Fn::min, {x, high}) : x);
}

void import_where(NodeImport &n) { n.result(n.map(Fn::select, {n.input(0), n.input(1), n.input(2)})); }

void import_is_inf(NodeImport &n) {
  n.result(n.map(Fn::is_inf, {n.input(0)}, double(n.flag("detect_positive")), double(n.flag("detect_negative"))));
}

// Swish_alpha(a) * b
void import_swiglu(NodeImport &n) {
  n.result(n.map(Fn::mul, {n.map(Fn::swish, {n.input(0)}, n.real("alpha")), n.input(1)}));
}

} // namespace cameo::frontend
