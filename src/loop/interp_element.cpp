// Element-wise operations, select and reductions: one functor states the meaning of an opcode, one loop shape per arity
// runs it over the lanes. On x86 with AVX2 and FMA the same loops are compiled a second time; the results are the same
// bits.
#include "interp_machine.h"

#include <bit>
#include <cmath>
#include <type_traits>

#if defined(__x86_64__) && defined(__GNUC__)
#define CAMEO_WIDE_LOOPS 1
#define CAMEO_WIDE __attribute__((target("avx2,fma")))
#else
#define CAMEO_WIDE_LOOPS 0
#endif

namespace cameo::loop::interp {

namespace {

// Kinds of lanes: i1 is bool in a byte, integers are signed; operations that are not say so.
enum Kinds { kInts = 1, kFloats = 2, kBit = 4 };

// Arithmetic that wraps, without the promotion of small types to signed int.
template <class T> using Wide = std::conditional_t<sizeof(T) <= 4, uint32_t, uint64_t>;
template <class T> Wide<T> wide(T a) { return static_cast<Wide<T>>(a); }
template <class T> auto as_unsigned(T a) { return static_cast<std::make_unsigned_t<T>>(a); }
template <class T> constexpr int kWidth = static_cast<int>(sizeof(T) * 8);
template <class T> constexpr bool kIsFloat = std::is_floating_point_v<T>;

#define CAMEO_UNARY(name, expression)                                                                                  \
  struct name {                                                                                                        \
    template <class T> static T run(T a) { return static_cast<T>(expression); }                                        \
  };
#define CAMEO_BINARY(name, expression)                                                                                 \
  struct name {                                                                                                        \
    template <class T> static T run(T a, T b) { return static_cast<T>(expression); }                                   \
  };
#define CAMEO_COMPARE(name, expression)                                                                                \
  struct name {                                                                                                        \
    template <class T> static uint8_t run(T a, T b) { return expression; }                                             \
  };

struct Neg {
  template <class T> static T run(T a) {
    if constexpr (kIsFloat<T>)
      return -a;
    else
      return static_cast<T>(0 - wide(a));
  }
};
struct Abs {
  template <class T> static T run(T a) {
    if constexpr (kIsFloat<T>)
      return std::fabs(a);
    else
      return static_cast<T>(a < 0 ? 0 - wide(a) : wide(a));
  }
};
#define CAMEO_ARITHMETIC(name, op)                                                                                     \
  struct name {                                                                                                        \
    template <class T> static T run(T a, T b) {                                                                        \
      if constexpr (kIsFloat<T>)                                                                                       \
        return a op b;                                                                                                 \
      else                                                                                                             \
        return static_cast<T>(wide(a) op wide(b));                                                                     \
    }                                                                                                                  \
  };
CAMEO_ARITHMETIC(Add, +)
CAMEO_ARITHMETIC(Sub, -)
CAMEO_ARITHMETIC(Mul, *)

struct Div {
  template <class T> static T run(T a, T b) {
    if constexpr (kIsFloat<T>)
      return a / b;
    else
      return b == 0 ? T{0} : b == -1 ? Neg::run(a) : static_cast<T>(a / b);
  }
};
struct Rem {
  template <class T> static T run(T a, T b) {
    if constexpr (kIsFloat<T>)
      return std::fmod(a, b); // exact, whatever the library
    else
      return b == 0 || b == -1 ? T{0} : static_cast<T>(a % b);
  }
};
CAMEO_BINARY(Udiv, b == 0 ? 0 : as_unsigned(a) / as_unsigned(b))
CAMEO_BINARY(Urem, b == 0 ? 0 : as_unsigned(a) % as_unsigned(b))
// A NaN of either operand passes (that of b first); of equal operands the first: min(0, -0) = 0.
CAMEO_BINARY(Min, b < a || b != b ? b : a)
CAMEO_BINARY(Max, b > a || b != b ? b : a)
CAMEO_BINARY(Umin, as_unsigned(b) < as_unsigned(a) ? b : a)
CAMEO_BINARY(Umax, as_unsigned(b) > as_unsigned(a) ? b : a)
CAMEO_BINARY(And, a &b)
CAMEO_BINARY(Or, a | b)
CAMEO_BINARY(Xor, a ^ b)
struct Not {
  template <class T> static T run(T a) {
    return std::is_same_v<T, uint8_t> ? static_cast<T>(a ^ 1) : static_cast<T>(~a);
  }
};
CAMEO_BINARY(Shl, as_unsigned(b) < kWidth<T> ? wide(a) << as_unsigned(b) : 0)
CAMEO_BINARY(Shr, as_unsigned(b) < kWidth<T> ? as_unsigned(a) >> as_unsigned(b) : 0)
CAMEO_BINARY(Sar, a >> (as_unsigned(b) < kWidth<T> ? static_cast<int>(b) : kWidth<T> - 1))
CAMEO_UNARY(Popcount, std::popcount(as_unsigned(a)))
CAMEO_UNARY(Clz, std::countl_zero(as_unsigned(a)))

CAMEO_UNARY(Floor, std::floor(a))
CAMEO_UNARY(Ceil, std::ceil(a))
CAMEO_UNARY(Trunc, std::trunc(a))
CAMEO_UNARY(Sqrt, std::sqrt(a))
CAMEO_BINARY(Copysign, std::copysign(a, b))
struct Rint {
  static float run(float a) { return __builtin_roundevenf(a); }
  static double run(double a) { return __builtin_roundeven(a); }
};
struct Fma {
  static float run(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  static double run(double a, double b, double c) { return __builtin_fma(a, b, c); }
};

CAMEO_COMPARE(Eq, a == b)
CAMEO_COMPARE(Ne, a != b)
CAMEO_COMPARE(Lt, a < b)
CAMEO_COMPARE(Le, a <= b)
CAMEO_COMPARE(Gt, a > b)
CAMEO_COMPARE(Ge, a >= b)
CAMEO_COMPARE(Ult, as_unsigned(a) < as_unsigned(b))
CAMEO_COMPARE(Ule, as_unsigned(a) <= as_unsigned(b))
CAMEO_COMPARE(Ugt, as_unsigned(a) > as_unsigned(b))
CAMEO_COMPARE(Uge, as_unsigned(a) >= as_unsigned(b))

// The loops. The result may share its slot with an operand of the same type (lane k only depends on lane k): hence
// ivdep.
template <class F, class T> struct Unary {
  static const Inst *scalar(Machine &m, const Inst *i) {
    *m.at<T>(i->dst) = F::run(*m.at<T>(i->a));
    return i + 1;
  }
  static void loop(Machine &m, const Inst *i) {
    T *d = m.at<T>(i->dst);
    const T *a = m.at<T>(i->a);
#pragma GCC ivdep
    for (int32_t k = 0, n = i->lanes; k < n; ++k) d[k] = F::run(a[k]);
  }
};
template <class F, class T> struct Binary {
  using R = decltype(F::run(T{}, T{}));
  static const Inst *scalar(Machine &m, const Inst *i) {
    *m.at<R>(i->dst) = F::run(*m.at<T>(i->a), *m.at<T>(i->b));
    return i + 1;
  }
  static void loop(Machine &m, const Inst *i) {
    R *d = m.at<R>(i->dst);
    const T *a = m.at<T>(i->a), *b = m.at<T>(i->b);
#pragma GCC ivdep
    for (int32_t k = 0, n = i->lanes; k < n; ++k) d[k] = F::run(a[k], b[k]);
  }
};
template <class F, class T> struct Ternary {
  static const Inst *scalar(Machine &m, const Inst *i) {
    *m.at<T>(i->dst) = F::run(*m.at<T>(i->a), *m.at<T>(i->b), *m.at<T>(i->c));
    return i + 1;
  }
  static void loop(Machine &m, const Inst *i) {
    T *d = m.at<T>(i->dst);
    const T *a = m.at<T>(i->a), *b = m.at<T>(i->b), *c = m.at<T>(i->c);
#pragma GCC ivdep
    for (int32_t k = 0, n = i->lanes; k < n; ++k) d[k] = F::run(a[k], b[k], c[k]);
  }
};

template <class Shape> const Inst *plain(Machine &m, const Inst *i) {
  Shape::loop(m, i);
  return i + 1;
}
#if CAMEO_WIDE_LOOPS
// `flatten` inlines the loop and the functor, which then use the wider registers.
template <class Shape> CAMEO_WIDE __attribute__((flatten)) const Inst *wide_registers(Machine &m, const Inst *i) {
  Shape::loop(m, i);
  return i + 1;
}
template <class Shape> CAMEO_WIDE __attribute__((flatten)) const Inst *wide_scalar(Machine &m, const Inst *i) {
  return Shape::scalar(m, i);
}
#endif

template <class Shape> Handler shaped(int32_t lanes) {
#if CAMEO_WIDE_LOOPS
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return lanes == 1 ? wide_scalar<Shape> : wide_registers<Shape>;
#endif
  return lanes == 1 ? Shape::scalar : plain<Shape>;
}

template <template <class, class> class Shape, class F, int kKinds> Handler pick(const Type &type) {
  if constexpr ((kKinds & kInts) != 0) switch (type.scalar) {
    case Scalar::i8:
      return shaped<Shape<F, int8_t>>(type.lanes);
    case Scalar::i16:
      return shaped<Shape<F, int16_t>>(type.lanes);
    case Scalar::i32:
      return shaped<Shape<F, int32_t>>(type.lanes);
    case Scalar::i64:
      return shaped<Shape<F, int64_t>>(type.lanes);
    default:
      break;
    }
  if constexpr ((kKinds & kFloats) != 0) switch (type.scalar) {
    case Scalar::f32:
      return shaped<Shape<F, float>>(type.lanes);
    case Scalar::f64:
      return shaped<Shape<F, double>>(type.lanes);
    default:
      break;
    }
  if constexpr ((kKinds & kBit) != 0)
    if (type.scalar == Scalar::i1) return shaped<Shape<F, uint8_t>>(type.lanes);
  CAMEO_UNREACHABLE("no element-wise operation on " + to_string(type));
}

// dst = a ? b : c, one condition per lane; Bits has the lane's width.
template <class Bits> struct Select {
  static void loop(Machine &m, const Inst *i) {
    Bits *d = m.at<Bits>(i->dst);
    const uint8_t *condition = m.at<uint8_t>(i->a);
    const Bits *b = m.at<Bits>(i->b), *c = m.at<Bits>(i->c);
#pragma GCC ivdep
    for (int32_t k = 0, n = i->lanes; k < n; ++k) d[k] = condition[k] ? b[k] : c[k];
  }
  static const Inst *scalar(Machine &m, const Inst *i) {
    *m.at<Bits>(i->dst) = *m.at<uint8_t>(i->a) ? *m.at<Bits>(i->b) : *m.at<Bits>(i->c);
    return i + 1;
  }
};

// One condition for all lanes; imm = bytes.
const Inst *select_whole(Machine &m, const Inst *i) {
  std::memmove(m.at<std::byte>(i->dst), m.at<std::byte>(*m.at<uint8_t>(i->a) ? i->b : i->c),
               static_cast<size_t>(i->imm));
  return i + 1;
}

template <class F, class T> const Inst *reduce(Machine &m, const Inst *i) {
  T *work = m.at<T>(i->b);
  std::memcpy(work, m.at<T>(i->a), static_cast<size_t>(i->lanes) * sizeof(T));
  for (int32_t half = i->lanes / 2; half >= 1; half /= 2)
    for (int32_t k = 0; k < half; ++k) work[k] = F::run(work[k], work[k + half]);
  *m.at<T>(i->dst) = work[0];
  return i + 1;
}

template <class F> Handler pick_reduce(Scalar scalar) {
  switch (scalar) {
  case Scalar::i8:
    return reduce<F, int8_t>;
  case Scalar::i16:
    return reduce<F, int16_t>;
  case Scalar::i32:
    return reduce<F, int32_t>;
  case Scalar::i64:
    return reduce<F, int64_t>;
  case Scalar::f32:
    return reduce<F, float>;
  case Scalar::f64:
    return reduce<F, double>;
  default:
    CAMEO_UNREACHABLE("no reduction of " + std::string(name(scalar)));
  }
}

} // namespace

Handler element_wise_handler(Opcode code, const Type &type) {
  constexpr int kNumbers = kInts | kFloats, kAnyInts = kInts | kBit, kAll = kInts | kFloats | kBit;
  switch (code) {
  case Opcode::neg:
    return pick<Unary, Neg, kNumbers>(type);
  case Opcode::abs:
    return pick<Unary, Abs, kNumbers>(type);
  case Opcode::add:
    return pick<Binary, Add, kNumbers>(type);
  case Opcode::sub:
    return pick<Binary, Sub, kNumbers>(type);
  case Opcode::mul:
    return pick<Binary, Mul, kNumbers>(type);
  case Opcode::div:
    return pick<Binary, Div, kNumbers>(type);
  case Opcode::rem:
    return pick<Binary, Rem, kNumbers>(type);
  case Opcode::udiv:
    return pick<Binary, Udiv, kInts>(type);
  case Opcode::urem:
    return pick<Binary, Urem, kInts>(type);
  case Opcode::min:
    return pick<Binary, Min, kNumbers>(type);
  case Opcode::max:
    return pick<Binary, Max, kNumbers>(type);
  case Opcode::umin:
    return pick<Binary, Umin, kInts>(type);
  case Opcode::umax:
    return pick<Binary, Umax, kInts>(type);
  case Opcode::fma:
  case Opcode::muladd:
    return pick<Ternary, Fma, kFloats>(type);
  case Opcode::bit_and:
    return pick<Binary, And, kAnyInts>(type);
  case Opcode::bit_or:
    return pick<Binary, Or, kAnyInts>(type);
  case Opcode::bit_xor:
    return pick<Binary, Xor, kAnyInts>(type);
  case Opcode::bit_not:
    return pick<Unary, Not, kAnyInts>(type);
  case Opcode::shl:
    return pick<Binary, Shl, kInts>(type);
  case Opcode::shr:
    return pick<Binary, Shr, kInts>(type);
  case Opcode::sar:
    return pick<Binary, Sar, kInts>(type);
  case Opcode::popcount:
    return pick<Unary, Popcount, kInts>(type);
  case Opcode::clz:
    return pick<Unary, Clz, kInts>(type);
  case Opcode::floor:
    return pick<Unary, Floor, kFloats>(type);
  case Opcode::ceil:
    return pick<Unary, Ceil, kFloats>(type);
  case Opcode::rint:
    return pick<Unary, Rint, kFloats>(type);
  case Opcode::ftrunc:
    return pick<Unary, Trunc, kFloats>(type);
  case Opcode::sqrt:
    return pick<Unary, Sqrt, kFloats>(type);
  case Opcode::copysign:
    return pick<Binary, Copysign, kFloats>(type);
  case Opcode::eq:
    return pick<Binary, Eq, kAll>(type);
  case Opcode::ne:
    return pick<Binary, Ne, kAll>(type);
  case Opcode::lt:
    return pick<Binary, Lt, kNumbers>(type);
  case Opcode::le:
    return pick<Binary, Le, kNumbers>(type);
  case Opcode::gt:
    return pick<Binary, Gt, kNumbers>(type);
  case Opcode::ge:
    return pick<Binary, Ge, kNumbers>(type);
  case Opcode::ult:
    return pick<Binary, Ult, kInts>(type);
  case Opcode::ule:
    return pick<Binary, Ule, kInts>(type);
  case Opcode::ugt:
    return pick<Binary, Ugt, kInts>(type);
  case Opcode::uge:
    return pick<Binary, Uge, kInts>(type);
  default:
    CAMEO_UNREACHABLE(std::string(name(code)) + " must be expanded before interpretation");
  }
}

Handler select_handler(const Type &condition, const Type &type) {
  if (condition.lanes != type.lanes) return select_whole;
  switch (lane_bytes(type.scalar)) {
  case 1:
    return shaped<Select<uint8_t>>(type.lanes);
  case 2:
    return shaped<Select<uint16_t>>(type.lanes);
  case 4:
    return shaped<Select<uint32_t>>(type.lanes);
  default:
    return shaped<Select<uint64_t>>(type.lanes);
  }
}

Handler reduce_handler(Opcode code, const Type &operand) {
  switch (code) {
  case Opcode::reduce_add:
    return pick_reduce<Add>(operand.scalar);
  case Opcode::reduce_min:
    return pick_reduce<Min>(operand.scalar);
  default:
    return pick_reduce<Max>(operand.scalar);
  }
}

} // namespace cameo::loop::interp
