// Conversions between lanes of different kinds. All are exact or correctly rounded, with integer arithmetic where the
// host's instructions would depend on the CPU (f16, bf16).
#include "interp_machine.h"

#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

namespace cameo::loop::interp {

namespace {

struct F16 {
  uint16_t bits;
};
struct Bf16 {
  uint16_t bits;
};

constexpr uint32_t kQuiet = 0x00400000; // the bit that makes an f32 NaN quiet

// Every f16 is an f32: normals change their bias (15 to 127), denormals count in units of 2^-24.
float widen(F16 h) {
  uint32_t sign = static_cast<uint32_t>(h.bits & 0x8000) << 16, exponent = h.bits >> 10 & 31, mantissa = h.bits & 1023;
  if (exponent == 0) {
    float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  uint32_t high = exponent == 31 ? 0x7f800000 | (mantissa ? kQuiet : 0) : (exponent + 112) << 23;
  return std::bit_cast<float>(sign | high | mantissa << 13);
}

// A bf16 is the upper half of an f32.
float widen(Bf16 h) {
  uint32_t pattern = static_cast<uint32_t>(h.bits) << 16;
  return std::bit_cast<float>((pattern & 0x7fffffff) > 0x7f800000 ? pattern | kQuiet : pattern);
}

// Rounds a double once, to nearest even, to a sign, `kExponent` and `kMantissa` bits.
template <int kExponent, int kMantissa> uint16_t narrow(double a) {
  constexpr int kBias = (1 << (kExponent - 1)) - 1, kDrop = 52 - kMantissa;
  constexpr uint16_t kInfinity = ((1 << kExponent) - 1) << kMantissa;
  auto pattern = std::bit_cast<uint64_t>(a);
  auto sign = static_cast<uint16_t>(pattern >> 63 << 15);
  uint64_t magnitude = pattern & ~(uint64_t{1} << 63);
  if (magnitude > uint64_t{0x7ff} << 52)
    return static_cast<uint16_t>(sign | kInfinity | 1 << (kMantissa - 1) |
                                 (magnitude >> kDrop & ((1 << kMantissa) - 1)));
  constexpr uint64_t kLeastNormal = static_cast<uint64_t>(1023 + 1 - kBias) << 52;
  if (magnitude < kLeastNormal) {
    // Added to a number whose last place is the unit of the denormals, the value is rounded to that unit by the
    // hardware.
    constexpr double kAligner = std::bit_cast<double>(static_cast<uint64_t>(1023 + 1 - kBias - kMantissa + 52) << 52);
    double aligned = std::bit_cast<double>(magnitude) + kAligner;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint64_t>(aligned) & ((uint64_t{1} << (kMantissa + 1)) - 1)));
  }
  uint64_t rounded = magnitude + (uint64_t{1} << (kDrop - 1)) - 1 + (magnitude >> kDrop & 1);
  uint64_t result = (rounded >> kDrop) - (static_cast<uint64_t>(1023 - kBias) << kMantissa);
  return static_cast<uint16_t>(sign | (result >= kInfinity ? kInfinity : result));
}

template <class To> To narrowed(double a) {
  if constexpr (std::is_same_v<To, F16>)
    return {narrow<5, 10>(a)};
  else if constexpr (std::is_same_v<To, Bf16>)
    return {narrow<8, 7>(a)};
  else
    return static_cast<To>(a);
}

template <class T> struct Tag {
  using type = T;
};

// Calls `f` with the tag of a slot's lane type; i1 is bool.
template <class F> Handler with_lane(Scalar scalar, F f) {
  switch (scalar) {
  case Scalar::i1:
    return f(Tag<bool>());
  case Scalar::i8:
    return f(Tag<int8_t>());
  case Scalar::i16:
    return f(Tag<int16_t>());
  case Scalar::i32:
    return f(Tag<int32_t>());
  case Scalar::i64:
    return f(Tag<int64_t>());
  case Scalar::f16:
    return f(Tag<F16>());
  case Scalar::bf16:
    return f(Tag<Bf16>());
  case Scalar::f32:
    return f(Tag<float>());
  case Scalar::f64:
    return f(Tag<double>());
  }
  CAMEO_UNREACHABLE("scalar kind");
}

template <class T> constexpr bool kIsSlotInt = std::is_integral_v<T>;
template <class T> constexpr bool kIsBit = std::is_same_v<T, bool>;
template <class T> constexpr bool kIsHostFloat = std::is_floating_point_v<T>;

template <class To, class From> To saturated(From a) {
  // The bounds as floats: the least is a power of two, the one above the greatest too.
  constexpr bool kSigned = std::is_signed_v<To>;
  const From above = std::ldexp(From{1}, static_cast<int>(sizeof(To) * 8) - kSigned);
  if (a != a) return 0;
  if (a >= above) return std::numeric_limits<To>::max();
  if (a <= (kSigned ? -above : From{0})) return std::numeric_limits<To>::min();
  return static_cast<To>(a);
}

template <class T> auto unsigned_lane(T a) {
  if constexpr (kIsBit<T>)
    return static_cast<uint8_t>(a);
  else
    return static_cast<std::make_unsigned_t<T>>(a);
}

// One lane of each cast; false types are ruled out by typing.
template <Opcode kCode, class To, class From> To convert(From a) {
  if constexpr (kCode == Opcode::sext && kIsSlotInt<From> && kIsSlotInt<To>) {
    if constexpr (kIsBit<From>)
      return static_cast<To>(-static_cast<int>(a));
    else
      return static_cast<To>(a);
  } else if constexpr (kCode == Opcode::zext && kIsSlotInt<From> && kIsSlotInt<To>) {
    return static_cast<To>(unsigned_lane(a));
  } else if constexpr (kCode == Opcode::trunc && kIsSlotInt<From> && kIsSlotInt<To>) {
    if constexpr (kIsBit<To>)
      return (a & 1) != 0;
    else
      return static_cast<To>(a);
  } else if constexpr (kCode == Opcode::sitofp && kIsSlotInt<From> && kIsHostFloat<To>) {
    if constexpr (kIsBit<From>)
      return static_cast<To>(-static_cast<int>(a));
    else
      return static_cast<To>(a);
  } else if constexpr (kCode == Opcode::uitofp && kIsSlotInt<From> && kIsHostFloat<To>) {
    return static_cast<To>(unsigned_lane(a));
  } else if constexpr (kCode == Opcode::fptosi && kIsHostFloat<From> && kIsSlotInt<To> && !kIsBit<To>) {
    return saturated<To>(a);
  } else if constexpr (kCode == Opcode::fptoui && kIsHostFloat<From> && kIsSlotInt<To> && !kIsBit<To>) {
    return static_cast<To>(saturated<std::make_unsigned_t<To>>(a));
  } else if constexpr (kCode == Opcode::fpext && !kIsSlotInt<From> && kIsHostFloat<To>) {
    if constexpr (kIsHostFloat<From>)
      return static_cast<To>(a);
    else
      return static_cast<To>(widen(a));
  } else if constexpr (kCode == Opcode::fptrunc && kIsHostFloat<From> && !kIsSlotInt<To>) {
    return narrowed<To>(a);
  } else {
    return To{};
  }
}

template <Opcode kCode, class To, class From> const Inst *cast(Machine &m, const Inst *i) {
  To *d = m.at<To>(i->dst);
  const From *a = m.at<From>(i->a);
  for (int32_t k = 0, n = i->lanes; k < n; ++k) d[k] = convert<kCode, To>(a[k]);
  return i + 1;
}

template <Opcode kCode> Handler pick(Scalar from, Scalar to) {
  return with_lane(from, [&](auto from_tag) {
    return with_lane(to, [&](auto to_tag) -> Handler {
      return cast<kCode, typename decltype(to_tag)::type, typename decltype(from_tag)::type>;
    });
  });
}

// Lane k of a mask is bit k of the bytes, lowest first; lanes = lanes of the mask.
const Inst *pack_mask(Machine &m, const Inst *i) {
  auto *d = m.at<uint8_t>(i->dst);
  const auto *a = m.at<uint8_t>(i->a);
  std::memset(d, 0, static_cast<size_t>((i->lanes + 7) / 8));
  for (int32_t k = 0; k < i->lanes; ++k) d[k / 8] = static_cast<uint8_t>(d[k / 8] | a[k] << (k % 8));
  return i + 1;
}
const Inst *unpack_mask(Machine &m, const Inst *i) {
  auto *d = m.at<uint8_t>(i->dst);
  const auto *a = m.at<uint8_t>(i->a);
  for (int32_t k = 0; k < i->lanes; ++k) d[k] = a[k / 8] >> (k % 8) & 1;
  return i + 1;
}

} // namespace

Handler cast_handler(Opcode code, const Type &from, const Type &to) {
  switch (code) {
  case Opcode::sext:
    return pick<Opcode::sext>(from.scalar, to.scalar);
  case Opcode::zext:
    return pick<Opcode::zext>(from.scalar, to.scalar);
  case Opcode::trunc:
    return pick<Opcode::trunc>(from.scalar, to.scalar);
  case Opcode::sitofp:
    return pick<Opcode::sitofp>(from.scalar, to.scalar);
  case Opcode::uitofp:
    return pick<Opcode::uitofp>(from.scalar, to.scalar);
  case Opcode::fptosi:
    return pick<Opcode::fptosi>(from.scalar, to.scalar);
  case Opcode::fptoui:
    return pick<Opcode::fptoui>(from.scalar, to.scalar);
  case Opcode::fpext:
    return pick<Opcode::fpext>(from.scalar, to.scalar);
  case Opcode::fptrunc:
    return pick<Opcode::fptrunc>(from.scalar, to.scalar);
  case Opcode::bitcast:
    if (from.scalar == to.scalar || (from.scalar != Scalar::i1 && to.scalar != Scalar::i1)) return copy_bits;
    return from.scalar == Scalar::i1 ? pack_mask : unpack_mask;
  default:
    CAMEO_UNREACHABLE("not a cast: " + std::string(name(code)));
  }
}

} // namespace cameo::loop::interp
