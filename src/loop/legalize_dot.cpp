// vpdpbusd without the instruction, or of more lanes than a register: each lane of 32 bits gets the sum of four
// products u8 * s8, wrapping.
//
// Bytes become 16-bit halves, even and odd ones apart; two neighbouring products of 16 bits are added in 32, which is
// pmaddwd on any x86: LLVM recognises the multiplication of sign-extended halves followed by the pairwise sum.
#include "expand_math.h"
#include "legalize_ops.h"

#include <numeric>

namespace cameo::loop {

namespace {

using namespace math;

// sum over pairs of a[2i + k] * b[2i + k], i16x2N to i32xN.
Expr pairwise_dot(Expr a, Expr b) {
  Builder &builder = *a.builder;
  Expr products = a.cast(Opcode::sext, Scalar::i32) * b.cast(Opcode::sext, Scalar::i32);
  int32_t lanes = products.type().lanes / 2;
  if (lanes == 1)
    return Expr{&builder, builder.extract(products.value, 0)} + Expr{&builder, builder.extract(products.value, 1)};
  std::vector<int32_t> even, odd;
  for (int32_t i = 0; i < lanes; ++i) {
    even.push_back(2 * i);
    odd.push_back(2 * i + 1);
  }
  return Expr{&builder, builder.shuffle(products.value, products.value, even)} +
         Expr{&builder, builder.shuffle(products.value, products.value, odd)};
}

std::vector<int32_t> range(int32_t first, int32_t count) {
  std::vector<int32_t> lanes(static_cast<size_t>(count));
  std::iota(lanes.begin(), lanes.end(), first);
  return lanes;
}

Value dot(Builder &builder, Value sum, Value a, Value b, const Target &target) {
  Type type = builder.type(sum);
  if (has_dot_u8s8(target, type.lanes)) return builder.target("vpdpbusd", type, {sum, a, b});
  int32_t half = type.lanes / 2;
  if (target.dot_u8s8 && type.lanes > target.lanes(32) && type.lanes % 2 == 0) { // wider than a register: in halves
    auto part = [&](int32_t first) {
      auto of = [&](Value v) { return builder.shuffle(v, v, range(first, half)); };
      return dot(builder, of(sum), of(a), of(b), target);
    };
    Value low = part(0), high = part(half);
    return builder.shuffle(low, high, range(0, type.lanes));
  }
  Type halves{Scalar::i16, 2 * type.lanes};
  Expr x{&builder, builder.bitcast(a, halves)}, y{&builder, builder.bitcast(b, halves)};
  Expr even = pairwise_dot(x & 0xff, sar(y << 8, 8));
  Expr odd = pairwise_dot(x >> 8, sar(y, 8));
  return (Expr{&builder, sum} + even + odd).value;
}

} // namespace

bool has_dot_u8s8(const Target &target, int32_t lanes) {
  return target.dot_u8s8 && lanes >= 4 && lanes <= target.lanes(32) && (lanes & (lanes - 1)) == 0;
}

Value expand_dot_u8s8(Builder &builder, const Replaced &replaced) {
  return dot(builder, replaced.operands[0], replaced.operands[1], replaced.operands[2], replaced.target);
}

} // namespace cameo::loop
