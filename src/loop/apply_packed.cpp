// Elements of less than a byte: several of them share one, so they are taken one at a time.
#include "lowerer.h"

#include "cameo/loop/convert.h"

namespace cameo::loop {

// Elements of less than a byte, one at a time: the byte at address / per and the element's place in it.
Lowerer::PackedElement Lowerer::packed_element(const Affine &address, DType dtype) {
  const int64_t per = elements_per_byte(dtype);
  Value element = index_value(address);
  PackedElement out;
  out.byte = Affine(apply_op(Opcode::udiv, {element, integer(kIndex, per)}, Scalar::i64));
  Value within = apply_op(Opcode::urem, {element, integer(kIndex, per)}, Scalar::i64);
  Value shift = apply_op(Opcode::mul, {within, integer(kIndex, bits(dtype))}, Scalar::i64);
  out.shift = apply_op(Opcode::trunc, {shift}, Scalar::i8);
  return out;
}

Value Lowerer::load_packed(Value buffer, const Affine &address, DType dtype, const Point &point, int32_t object) {
  const Type byte{Scalar::i8, 1, false};
  const PackedElement at = packed_element(address, dtype);
  Value v = load_lanes(buffer, Scalar::i8, {at.byte, 0, {}}, point, object, 1);
  v = apply_op(Opcode::shr, {v, at.shift}, Scalar::i8);
  if (is_float(dtype)) return as_computed(v, dtype);
  // The element's bits at the top, then down again with or without its sign.
  Value top = integer(byte, 8 - bits(dtype));
  v = apply_op(Opcode::shl, {v, top}, Scalar::i8);
  return apply_op(kind(dtype) == DTypeKind::signed_integer ? Opcode::sar : Opcode::shr, {v, top}, Scalar::i8);
}

// The other elements of the byte are kept, but for those after a byte's first element: they are written later, in
// order.
void Lowerer::store_packed(Value value, Value buffer, const Affine &address, DType dtype, const Point &point,
                           int32_t object) {
  const Type byte{Scalar::i8, 1, false};
  const PackedElement at = packed_element(address, dtype);
  Value old = load_lanes(buffer, Scalar::i8, {at.byte, 0, {}}, point, object, 1);
  Value below = apply_op(
      Opcode::sub, {apply_op(Opcode::shl, {integer(byte, 1), at.shift}, Scalar::i8), integer(byte, 1)}, Scalar::i8);
  Value kept = apply_op(Opcode::bit_and, {old, below}, Scalar::i8);
  Value bits_of = apply_op(Opcode::bit_and, {value, integer(byte, (1 << bits(dtype)) - 1)}, Scalar::i8);
  Value moved = apply_op(Opcode::shl, {bits_of, at.shift}, Scalar::i8);
  b_.store(apply_op(Opcode::bit_or, {kept, moved}, Scalar::i8), buffer, at.byte, 1);
}

} // namespace cameo::loop
