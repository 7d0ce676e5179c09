// Elementwise functions and conversions: y[i] = f(x[i], ...) after numpy broadcasting.
//
// Floats of at most 32 bits are computed in f32, f64 in f64, integers in their own width, wrapping. Formulas are those
// of the ONNX specification (functions.def states them); comparisons are written so that a NaN operand stays NaN where
// it says so.
#include "lowering.h"

#include <cmath>
#include <limits>

namespace cameo::ops {
namespace {

using graph::Fn;

/// A function applied to expressions of one type; `sign` says how integers compare and divide.
class Function {
public:
  Function(Lowering &l, DType dtype, double alpha, double beta)
      : l_(l), dtype_(dtype), t_(value_type(dtype)), alpha_(alpha), beta_(beta) {}

  /// The value, or -1 when the dtype has no such function.
  ExprId apply(Fn fn, const std::vector<ExprId> &args) {
    const ExprId x = args[0], y = args.size() > 1 ? args[1] : -1, z = args.size() > 2 ? args[2] : -1;
    if (ExprId e = any_type(fn, x, y, z); e >= 0) return e;
    if (t_ == Scalar::i1) return boolean(fn, x, y);
    return loop::is_float(t_) ? real(fn, x, y) : integer(fn, x, y);
  }

private:
  bool is_unsigned() const { return kind(dtype_) == DTypeKind::unsigned_integer; }
  ExprId c(double value) { return l_.number(t_, value); }
  ExprId zero() { return c(0); }
  ExprId add(ExprId a, ExprId b) { return l_.op(Opcode::add, a, b); }
  ExprId sub(ExprId a, ExprId b) { return l_.op(Opcode::sub, a, b); }
  ExprId mul(ExprId a, ExprId b) { return l_.op(Opcode::mul, a, b); }
  ExprId div(ExprId a, ExprId b) { return l_.op(Opcode::div, a, b); }
  ExprId un(Opcode code, ExprId a) { return l_.op(code, a); }
  ExprId lt(ExprId a, ExprId b) { return l_.op(is_unsigned() ? Opcode::ult : Opcode::lt, a, b); }
  ExprId le(ExprId a, ExprId b) { return l_.op(is_unsigned() ? Opcode::ule : Opcode::le, a, b); }
  ExprId select(ExprId condition, ExprId a, ExprId b) { return l_.select(condition, a, b); }
  ExprId not_(ExprId a) { return l_.op(Opcode::bit_not, a); }
  /// min(max(x, low), high) where a NaN in x stays.
  ExprId clamp(ExprId x, ExprId low, ExprId high) {
    const ExprId above = select(lt(x, low), low, x);
    return select(lt(high, above), high, above);
  }

  // Functions whose formula is the same for every type that compares.
  ExprId any_type(Fn fn, ExprId x, ExprId y, ExprId z) {
    switch (fn) {
    case Fn::select:
      return select(x, y, z);
    case Fn::equal:
      return l_.op(Opcode::eq, x, y);
    default:
      break;
    }
    if (t_ == Scalar::i1) return -1;
    switch (fn) {
    case Fn::add:
      return add(x, y);
    case Fn::sub:
      return sub(x, y);
    case Fn::mul:
      return mul(x, y);
    case Fn::less:
      return lt(x, y);
    case Fn::less_equal:
      return le(x, y);
    case Fn::relu:
      return select(lt(x, zero()), zero(), x); // max(x, 0), NaN stays
    case Fn::clip:
      return clamp(x, y, z);
    case Fn::prelu:
      return select(lt(x, zero()), mul(y, x), x);
    default:
      return -1;
    }
  }

  ExprId boolean(Fn fn, ExprId x, ExprId y) {
    switch (fn) {
    case Fn::logical_not:
      return not_(x);
    case Fn::logical_and:
    case Fn::bitwise_and:
    case Fn::min:
    case Fn::mul:
      return l_.op(Opcode::bit_and, x, y);
    case Fn::logical_or:
    case Fn::bitwise_or:
    case Fn::max:
    case Fn::add:
      return l_.op(Opcode::bit_or, x, y);
    case Fn::logical_xor:
    case Fn::bitwise_xor:
      return l_.op(Opcode::bit_xor, x, y);
    case Fn::bitwise_not:
      return not_(x);
    case Fn::less:
      return l_.op(Opcode::bit_and, not_(x), y);
    case Fn::less_equal:
      return l_.op(Opcode::bit_or, not_(x), y);
    default:
      return -1;
    }
  }

  ExprId integer(Fn fn, ExprId x, ExprId y) {
    const bool u = is_unsigned();
    switch (fn) {
    case Fn::abs:
      return u ? x : un(Opcode::abs, x);
    case Fn::neg:
      return un(Opcode::neg, x);
    case Fn::sign: {
      const ExprId positive = select(lt(zero(), x), c(1), zero());
      return u ? positive : select(lt(x, zero()), l_.kernel().constant_int(t_, -1), positive);
    }
    case Fn::floor:
    case Fn::ceil:
    case Fn::round:
      return x;
    case Fn::div:
      return l_.op(u ? Opcode::udiv : Opcode::div, x, y);
    case Fn::fmod:
      return l_.op(u ? Opcode::urem : Opcode::rem, x, y);
    case Fn::mod:
      return u ? l_.op(Opcode::urem, x, y) : floored(l_.op(Opcode::rem, x, y), y);
    case Fn::pow:
      return power(x, y);
    case Fn::max:
      return l_.op(u ? Opcode::umax : Opcode::max, x, y);
    case Fn::min:
      return l_.op(u ? Opcode::umin : Opcode::min, x, y);
    case Fn::bitwise_not:
      return not_(x);
    case Fn::bitwise_and:
      return l_.op(Opcode::bit_and, x, y);
    case Fn::bitwise_or:
      return l_.op(Opcode::bit_or, x, y);
    case Fn::bitwise_xor:
      return l_.op(Opcode::bit_xor, x, y);
    case Fn::shift_left:
      return l_.op(Opcode::shl, x, y);
    case Fn::shift_right:
      return l_.op(u ? Opcode::shr : Opcode::sar, x, y);
    default:
      return -1;
    }
  }

  // A remainder with the sign of the divisor out of one with the sign of the dividend.
  ExprId floored(ExprId r, ExprId y) {
    const ExprId differ = l_.op(Opcode::bit_xor, l_.op(Opcode::lt, r, zero()), l_.op(Opcode::lt, y, zero()));
    const ExprId fix = l_.op(Opcode::bit_and, l_.op(Opcode::ne, r, zero()), differ);
    return select(fix, add(r, y), r);
  }

  // Integer power by squaring, modulo 2^width. Exponents above 63 are cut to 62 or 63 of the same parity: exact for the
  // bases 0, 1 and -1, and 0 modulo 2^width for the even ones; a negative exponent gives 0 but for 1 and -1.
  ExprId power(ExprId x, ExprId y) {
    const ExprId one = c(1), odd = l_.op(Opcode::bit_and, y, one);
    const ExprId large = lt(c(63), y);
    ExprId e = select(large, add(c(62), odd), y);
    ExprId result = one, square = x;
    for (int bit = 0; bit < 6; ++bit) {
      const ExprId set = l_.op(Opcode::ne, l_.op(Opcode::bit_and, e, c(1 << bit)), zero());
      result = select(set, mul(result, square), result);
      if (bit < 5) square = mul(square, square);
    }
    if (is_unsigned()) return result;
    const ExprId minus = l_.kernel().constant_int(t_, -1);
    const ExprId unit = select(l_.op(Opcode::eq, odd, one), x, one); // x is 1 or -1
    const ExprId is_unit = l_.op(Opcode::bit_or, l_.op(Opcode::eq, x, one), l_.op(Opcode::eq, x, minus));
    return select(lt(y, zero()), select(is_unit, unit, zero()), result);
  }

  ExprId real(Fn fn, ExprId x, ExprId y) {
    switch (fn) {
    case Fn::abs:
      return un(Opcode::abs, x);
    case Fn::neg:
      return un(Opcode::neg, x);
    case Fn::sign:
      return select(lt(zero(), x), c(1), select(lt(x, zero()), c(-1), x));
    case Fn::floor:
      return un(Opcode::floor, x);
    case Fn::ceil:
      return un(Opcode::ceil, x);
    case Fn::round:
      return un(Opcode::rint, x);
    case Fn::sqrt:
      return un(Opcode::sqrt, x);
    case Fn::reciprocal:
      return div(c(1), x);
    case Fn::exp:
      return un(Opcode::exp, x);
    case Fn::log:
      return un(Opcode::log, x);
    case Fn::sin:
      return un(Opcode::sin, x);
    case Fn::cos:
      return un(Opcode::cos, x);
    case Fn::tan:
      return un(Opcode::tan, x);
    case Fn::asin:
      return un(Opcode::asin, x);
    case Fn::acos:
      return un(Opcode::acos, x);
    case Fn::atan:
      return un(Opcode::atan, x);
    case Fn::sinh:
      return un(Opcode::sinh, x);
    case Fn::cosh:
      return un(Opcode::cosh, x);
    case Fn::tanh:
      return un(Opcode::tanh, x);
    case Fn::asinh:
      return un(Opcode::asinh, x);
    case Fn::acosh:
      return un(Opcode::acosh, x);
    case Fn::atanh:
      return un(Opcode::atanh, x);
    case Fn::erf:
      return un(Opcode::erf, x);
    case Fn::leaky_relu:
      return select(lt(x, zero()), mul(c(alpha_), x), x);
    case Fn::thresholded_relu:
      return select(lt(c(alpha_), x), x, zero());
    case Fn::elu:
      return select(lt(x, zero()), mul(c(alpha_), un(Opcode::expm1, x)), x);
    case Fn::celu:
      return select(lt(x, zero()), mul(c(alpha_), un(Opcode::expm1, div(x, c(alpha_)))), x);
    case Fn::selu:
      return mul(c(beta_), select(le(x, zero()), mul(c(alpha_), un(Opcode::expm1, x)), x));
    case Fn::gelu:
      return mul(mul(x, c(0.5)), add(c(1), un(Opcode::erf, mul(x, c(std::sqrt(0.5))))));
    case Fn::gelu_tanh: {
      const ExprId cube = mul(mul(x, x), x);
      const ExprId inner = mul(c(0.7978845608028654), add(x, mul(c(0.044715), cube))); // sqrt(2 / pi)
      return mul(mul(x, c(0.5)), add(c(1), un(Opcode::tanh, inner)));
    }
    case Fn::sigmoid:
      return un(Opcode::sigmoid, x);
    case Fn::swish:
      return mul(x, un(Opcode::sigmoid, alpha_ == 1 ? x : mul(c(alpha_), x)));
    case Fn::mish:
      return mul(x, un(Opcode::tanh, softplus(x)));
    case Fn::softplus:
      return softplus(x);
    case Fn::softsign:
      return div(x, add(c(1), un(Opcode::abs, x)));
    case Fn::hard_sigmoid:
      return clamp(add(mul(c(alpha_), x), c(beta_)), zero(), c(1));
    case Fn::hard_swish:
      return mul(x, clamp(add(mul(c(1.0 / 6), x), c(0.5)), zero(), c(1)));
    case Fn::shrink:
      return select(lt(x, c(-alpha_)), add(x, c(beta_)), select(lt(c(alpha_), x), sub(x, c(beta_)), zero()));
    case Fn::is_nan:
      return l_.op(Opcode::ne, x, x);
    case Fn::is_inf: {
      const double infinity = std::numeric_limits<double>::infinity();
      ExprId plus = l_.op(Opcode::eq, x, c(infinity)), minus = l_.op(Opcode::eq, x, c(-infinity));
      if (alpha_ != 0 && beta_ != 0) return l_.op(Opcode::bit_or, plus, minus);
      if (alpha_ != 0) return plus;
      if (beta_ != 0) return minus;
      return l_.kernel().constant_int(Scalar::i1, 0);
    }
    case Fn::div:
      return div(x, y);
    case Fn::fmod:
      return l_.op(Opcode::rem, x, y);
    case Fn::mod:
      return floored(l_.op(Opcode::rem, x, y), y);
    case Fn::pow:
      return l_.op(Opcode::pow, x, y);
    case Fn::max:
      return l_.op(Opcode::max, x, y);
    case Fn::min:
      return l_.op(Opcode::min, x, y);
    default:
      return -1;
    }
  }

  // log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)): no overflow.
  ExprId softplus(ExprId x) {
    const ExprId tail = un(Opcode::log1p, un(Opcode::exp, un(Opcode::neg, un(Opcode::abs, x))));
    return add(select(lt(x, zero()), zero(), x), tail);
  }

  Lowering &l_;
  DType dtype_;
  Scalar t_;
  double alpha_, beta_;
};

} // namespace

std::optional<ExprId> elementwise(Lowering &l, Fn fn, DType dtype, const std::vector<ExprId> &args, double alpha,
                                  double beta) {
  const ExprId value = Function(l, dtype, alpha, beta).apply(fn, args);
  return value < 0 ? std::nullopt : std::optional(value);
}

Problem lower_elementwise(Lowering &l, const graph::Node &node) {
  const Fn fn = node.fn();
  const graph::Value *result = node.result();
  const graph::Shape &shape = result->type().shape();
  const std::vector<graph::Value *> operands = node.operands();
  // The dtype that the function works in: of pow's base, of select's branches.
  const DType stored = operands[fn == Fn::select ? 1 : 0]->type().dtype();
  const bool real_power = fn == Fn::pow && !is_float(stored) && is_float(operands[1]->type().dtype());
  const DType dtype = node.has_attribute("compute") ? node.dtype("compute") : real_power ? DType::f64 : stored;
  for (const graph::Value *v : operands)
    if (v->type().dtype() == DType::string || kind(v->type().dtype()) == DTypeKind::complex)
      return std::string(name(fn)) + " of " + std::string(name(v->type().dtype())) + " has no kernel";
  const Space space = l.space_of(shape, operands);
  std::vector<ExprId> args;
  for (size_t i = 0; i < operands.size(); ++i) {
    const DType from = operands[i]->type().dtype();
    ExprId e = l.read_broadcast(operands[i], shape, space.dims);
    const bool condition = fn == Fn::select && i == 0;
    if (!condition && from != dtype) e = cast_value(l, e, from, dtype);
    args.push_back(e);
  }
  Function function(l, dtype, node.real_or("alpha", 0), node.real_or("beta", 0));
  ExprId value = args[0];
  if (args.size() > 1 || info(fn).arity == 1) {
    value = function.apply(
        fn, args.size() > 3 || (args.size() > 2 && info(fn).arity == 2) ? std::vector<ExprId>{args[0], args[1]} : args);
    // Variadic: f(f(a, b), c), ...
    if (info(fn).arity == 2)
      for (size_t i = 2; i < args.size() && value >= 0; ++i) value = function.apply(fn, {value, args[i]});
  }
  if (value < 0) return std::string(name(fn)) + " of " + std::string(name(dtype)) + " has no kernel";
  const DType to = result->type().dtype();
  const DType computed = l.type(value) == Scalar::i1 ? DType::boolean : dtype;
  if (computed != to) value = cast_value(l, value, computed, to);
  l.define_pointwise(result, space, value, name(fn));
  return {};
}

Problem lower_cast(Lowering &l, const graph::Node &node) {
  const graph::Value *x = node.operand(), *y = node.result();
  const DType from = x->type().dtype(), to = y->type().dtype();
  for (DType d : {from, to})
    if (d == DType::string || kind(d) == DTypeKind::complex)
      return "cast from " + std::string(name(from)) + " to " + std::string(name(to)) + " has no kernel";
  const Space space = l.space_of(y->type().shape(), node.operands());
  ExprId value = l.read(x, space.dims);
  if (node.is(graph::Op::bitcast)) {
    if (is_float(from) && bits(from) < 32) return "bitcast of " + std::string(name(from)) + " has no kernel";
    if (is_float(to) && bits(to) < 32) return "bitcast to " + std::string(name(to)) + " has no kernel";
    if (value_type(from) != value_type(to)) value = l.kernel().cast(Opcode::bitcast, value, value_type(to));
  } else {
    value = cast_value(l, value, from, to);
  }
  l.define_pointwise(y, space, value, "cast");
  if (node.is(graph::Op::cast)) l.set_saturate(y, node.flag("saturate"));
  return {};
}

ExprId convert(Lowering &l, ExprId x, DType from, Scalar to) {
  const Scalar t = l.type(x);
  if (t == to) return x;
  const bool is_signed = kind(from) == DTypeKind::signed_integer;
  loop::Kernel &k = l.kernel();
  if (loop::is_float(t)) {
    if (loop::is_float(to)) return k.cast(loop::bits(to) > loop::bits(t) ? Opcode::fpext : Opcode::fptrunc, x, to);
    return k.cast(Opcode::fptosi, x, to);
  }
  if (loop::is_float(to)) return k.cast(is_signed ? Opcode::sitofp : Opcode::uitofp, x, to);
  if (loop::bits(to) < loop::bits(t)) return k.cast(Opcode::trunc, x, to);
  return k.cast(is_signed ? Opcode::sext : Opcode::zext, x, to);
}

namespace {

// A float rounded to what `dtype` holds, in its compute type.
ExprId round_to(Lowering &l, ExprId x, DType dtype) {
  loop::Kernel &k = l.kernel();
  const Scalar t = loop::compute_type(dtype);
  switch (dtype) {
  case DType::f16:
  case DType::bf16:
    return k.cast(Opcode::fpext, k.cast(Opcode::fptrunc, x, loop::storage_type(dtype)), t);
  default:
    return convert(l, x, DType::f64, t);
  }
}

// A float towards zero as an integer of `dtype`; out of range: through 64 bits, then the low bits.
ExprId float_to_integer(Lowering &l, ExprId x, DType dtype) {
  loop::Kernel &k = l.kernel();
  const Scalar t = loop::compute_type(dtype);
  if (dtype == DType::u64) return k.cast(Opcode::fptoui, x, t);
  if (dtype == DType::i64 || dtype == DType::i32) return k.cast(Opcode::fptosi, x, t);
  const Scalar wide = dtype == DType::u32 ? Scalar::i64 : Scalar::i32;
  return convert(l, k.cast(Opcode::fptosi, x, wide), DType::i64, t);
}

} // namespace

ExprId cast_value(Lowering &l, ExprId x, DType from, DType to) {
  if (from == to) return x;
  if (to == DType::boolean) return l.op(Opcode::ne, x, l.number(l.type(x), 0));
  if (from == DType::boolean) {
    const Scalar t = value_type(to);
    return l.select(x, l.number(t, 1), l.number(t, 0));
  }
  if (is_float(from) && is_float(to))
    return bits(to) < bits(from) || (bits(to) == bits(from) && bits(to) < 32) ? round_to(l, x, to)
                                                                              : convert(l, x, from, value_type(to));
  if (is_float(from)) return float_to_integer(l, x, to);
  const ExprId y = convert(l, x, from, value_type(to));
  return is_float(to) && bits(to) < 32 ? round_to(l, y, to) : y;
}

} // namespace cameo::ops
