// vpdpbusd without the instruction: each lane of 32 bits gets the sum of four products u8 * s8, wrapping.
//
// Bytes become 16-bit halves, even and odd ones apart; two neighbouring products of 16 bits are added in 32, which is
// pmaddwd on any x86: LLVM recognises the multiplication of sign-extended halves followed by the pairwise sum.
#include "expand_math.h"
#include "legalize_ops.h"

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

} // namespace

Value expand_dot_u8s8(Builder &builder, const Replaced &replaced) {
  Type halves{Scalar::i16, 2 * replaced.result.lanes};
  Expr sum{&builder, replaced.operands[0]};
  Expr a{&builder, builder.bitcast(replaced.operands[1], halves)},
      b{&builder, builder.bitcast(replaced.operands[2], halves)};
  Expr even = pairwise_dot(a & 0xff, sar(b << 8, 8));
  Expr odd = pairwise_dot(a >> 8, sar(b, 8));
  return (sum + even + odd).value;
}

} // namespace cameo::loop
