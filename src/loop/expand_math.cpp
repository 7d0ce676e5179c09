// The table from mathematical opcode to its expansion.
#include "expand_math.h"

#include <algorithm>

namespace cameo::loop {

math::Expr math::greatest(Expr a) {
  int32_t lanes = a.type().lanes, power = 1;
  while (power < lanes) power *= 2;
  if (power != lanes) { // reductions take a power of two: repeat the last lane
    std::vector<int32_t> mask;
    for (int32_t i = 0; i < power; ++i) mask.push_back(std::min(i, lanes - 1));
    a.value = a.builder->shuffle(a.value, a.value, std::move(mask));
  }
  return {a.builder, a.builder->reduce(Opcode::reduce_max, a.value)};
}

math::Expr math::any(Expr condition) { return greatest(condition.cast(Opcode::zext, Scalar::i32)) != 0; }

Value expand_math(Builder &builder, Opcode code, std::span<const Value> operands, const Target &target) {
  CAMEO_CHECK(!operands.empty(), "a mathematical function without operands");
  math::Expr x{&builder, operands[0]};
  auto expansion = [&]() -> math::Expr {
    switch (code) {
    case Opcode::exp:
      return math::exp(x);
    case Opcode::expm1:
      return math::expm1(x);
    case Opcode::log:
      return math::log(x);
    case Opcode::log1p:
      return math::log1p(x);
    case Opcode::sinh:
      return math::sinh(x);
    case Opcode::cosh:
      return math::cosh(x);
    case Opcode::tanh:
      return math::tanh(x);
    case Opcode::asinh:
      return math::asinh(x);
    case Opcode::acosh:
      return math::acosh(x);
    case Opcode::atanh:
      return math::atanh(x);
    case Opcode::erf:
      return math::erf(x);
    case Opcode::sigmoid:
      return math::sigmoid(x);
    case Opcode::sin:
      return math::sin(x);
    case Opcode::cos:
      return math::cos(x);
    case Opcode::tan:
      return math::tan(x);
    case Opcode::asin:
      return math::asin(x);
    case Opcode::acos:
      return math::acos(x);
    case Opcode::atan:
      return math::atan(x);
    case Opcode::pow:
      CAMEO_CHECK(operands.size() == 2, "pow of one operand");
      return math::pow(x, {&builder, operands[1]}, target);
    default:
      CAMEO_UNREACHABLE("no expansion of " + std::string(name(code)));
    }
  };
  return expansion().value;
}

} // namespace cameo::loop
