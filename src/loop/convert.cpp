// Loads, stores and packing around the conversions of convert_float.cpp and convert_int.cpp.
#include "cameo/loop/convert.h"

#include "convert.h"

#include <algorithm>

namespace cameo::loop {

using namespace math;

Value decode_to_f32(Builder &builder, Value x, DType dtype) {
  CAMEO_CHECK(builder.type(x).scalar == storage_type(dtype),
              to_string(builder.type(x)) + " does not hold " + std::string(name(dtype)));
  Expr e{&builder, x};
  return (is_float(dtype) ? decode_float(e, dtype) : decode_integer(e, dtype)).value;
}

Value encode_from_f32(Builder &builder, Value x, DType dtype, Narrowing narrowing) {
  CAMEO_CHECK(builder.type(x).scalar == Scalar::f32, "encoding " + to_string(builder.type(x)));
  Expr e{&builder, x};
  return (is_float(dtype) ? encode_float(e, dtype, narrowing) : encode_integer(e, dtype, narrowing)).value;
}

Value unpack(Builder &builder, Value bytes, DType dtype, int32_t lanes) {
  int32_t per_byte = elements_per_byte(dtype), count = builder.type(bytes).lanes, width = 8 / per_byte;
  CAMEO_CHECK(count == (lanes + per_byte - 1) / per_byte, "bytes do not match elements");
  if (per_byte == 1) return bytes;
  Expr b{&builder, bytes};
  auto field = [&](int k) {
    Expr shifted = k == 0 ? b : b >> (k * width);
    return k == per_byte - 1 ? shifted : shifted & ((1 << width) - 1);
  };
  if (count == 1) b.value = builder.broadcast(bytes, 2); // shuffles take vectors
  int32_t stride = builder.type(b.value).lanes;
  // Lane i of the result is field i % per_byte of byte i / per_byte. Fields are joined in pairs.
  std::vector<Expr> parts;
  for (int k = 0; k < per_byte; ++k) parts.push_back(field(k));
  for (int32_t joined = 1; joined < per_byte; joined *= 2) {
    std::vector<Expr> next;
    size_t half = parts.size() / 2;
    for (size_t k = 0; k < half; ++k) { // field k with field k + half: they are neighbours once all are joined
      std::vector<int32_t> mask;
      for (int32_t i = 0; i < stride * joined; ++i) {
        mask.push_back(i);
        mask.push_back(stride * joined + i);
      }
      next.push_back({&builder, builder.shuffle(parts[k].value, parts[k + half].value, std::move(mask))});
    }
    parts = std::move(next);
  }
  if (stride * per_byte == lanes) return parts[0].value;
  if (lanes == 1) return builder.extract(parts[0].value, 0);
  std::vector<int32_t> mask;
  for (int32_t i = 0; i < lanes; ++i) mask.push_back(i);
  return builder.shuffle(parts[0].value, parts[0].value, std::move(mask));
}

Value pack(Builder &builder, Value elements, DType dtype) {
  int32_t per_byte = elements_per_byte(dtype), lanes = builder.type(elements).lanes, width = 8 / per_byte;
  if (per_byte == 1) return elements;
  int32_t count = (lanes + per_byte - 1) / per_byte;
  Expr e{&builder, elements};
  e = e & ((1 << width) - 1);
  if (lanes == 1) return e.value;
  Expr zero = e.integer(0), packed;
  for (int k = 0; k < per_byte; ++k) {
    std::vector<int32_t> mask;
    for (int32_t i = 0; i < std::max(count, 2); ++i) {
      int32_t from = i * per_byte + k;
      mask.push_back(from < lanes ? from : lanes); // past the end: a zero of the second operand
    }
    Expr part{&builder, builder.shuffle(e.value, zero.value, std::move(mask))};
    packed = k == 0 ? part : packed | (part << (k * width));
  }
  return count == 1 ? builder.extract(packed.value, 0) : packed.value;
}

namespace {

int log2_per_byte(DType dtype) { return elements_per_byte(dtype) == 4 ? 2 : elements_per_byte(dtype) == 2 ? 1 : 0; }

// An address of whole bytes, divided term by term where that is exact, else by a shift.
Affine byte_address(Builder &builder, const Affine &address, DType dtype) {
  int64_t per_byte = elements_per_byte(dtype);
  CAMEO_CHECK(!address.is_constant() || address.constant % per_byte == 0,
              "address of packed " + std::string(name(dtype)) + " is not of whole bytes");
  bool exact = address.constant % per_byte == 0;
  for (const auto &term : address.terms) exact = exact && term.second % per_byte == 0;
  if (!exact) return sar(Expr{&builder, builder.index(address)}, log2_per_byte(dtype)).value;
  Affine bytes(address.constant / per_byte);
  for (const auto &[value, coefficient] : address.terms) bytes += Affine(value, coefficient / per_byte);
  return bytes;
}

Value active_bytes(Builder &builder, Value active, DType dtype) {
  int64_t per_byte = elements_per_byte(dtype);
  if (!active.valid() || per_byte == 1) return active;
  Expr count{&builder, active};
  return ((count + (per_byte - 1)) >> log2_per_byte(dtype)).value;
}

// Lanes from `active` on become 0.
Value zero_inactive(Builder &builder, Value elements, Value active) {
  Type type = builder.type(elements);
  Expr lane{&builder, builder.iota({Scalar::i64, type.lanes})};
  Expr count{&builder, builder.broadcast(active, type.lanes)};
  return builder.select((lane < count).value, elements, builder.constant_int(type, 0));
}

} // namespace

Value load_as_f32(Builder &builder, Value buffer, const Affine &address, int32_t lanes, DType dtype, Value active) {
  int32_t per_byte = elements_per_byte(dtype);
  Value stored = builder.load(buffer, byte_address(builder, address, dtype), (lanes + per_byte - 1) / per_byte, 0,
                              active_bytes(builder, active, dtype));
  Value elements = unpack(builder, stored, dtype, lanes);
  if (per_byte > 1 && active.valid()) elements = zero_inactive(builder, elements, active);
  Value x = decode_to_f32(builder, elements, dtype);
  if (!active.valid() || dtype != DType::f8e8m0) return x;
  // its code 0 is not the number 0
  Type type = builder.type(x);
  Expr lane{&builder, builder.iota({Scalar::i64, type.lanes})};
  return builder.select((lane < Expr{&builder, builder.broadcast(active, type.lanes)}).value, x,
                        builder.constant(type, 0));
}

void store_from_f32(Builder &builder, Value x, Value buffer, const Affine &address, DType dtype, Narrowing narrowing,
                    Value active) {
  Value elements = encode_from_f32(builder, x, dtype, narrowing);
  if (elements_per_byte(dtype) > 1 && active.valid()) elements = zero_inactive(builder, elements, active);
  builder.store(pack(builder, elements, dtype), buffer, byte_address(builder, address, dtype), 0,
                active_bytes(builder, active, dtype));
}

} // namespace cameo::loop
