// Explicit Loop IR: what a schedule has decided, and all that codegen ever sees.
//
// A Module is a list of functions. A function is a tree of blocks in SSA form: structured loops instead of a
// control-flow graph, loop-carried values as iteration arguments (accumulators stay values), vectors with a lane count,
// and memory addressed by affine forms over index values. It knows no operator and no tensor: a convolution is loops,
// loads, muladds and stores.
//
// Every function has an implicit environment, passed along by calls: the sticky status that `check` sets, and the
// provider of threads that `parallel` uses.
//
// Text form (print.h):
//   func @axpy(%x: buf<f32> readonly noalias, %y: buf<f32>, %n: i64) {
//     %a = const 2.0 : f32x16
//     for %i = 0 to %n step 16 {
//       %v = load %x[%i] : f32x16
//       %w = load %y[%i] : f32x16
//       %r = muladd %a, %v, %w : f32x16
//       store %r, %y[%i] : f32x16
//     }
//     return
//   }
#pragma once

#include "cameo/support/check.h"
#include "cameo/support/result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cameo::loop {

/// Scalar kinds of values and of buffer elements. Integers carry no sign: operations do. f16 and bf16 can be loaded,
/// stored, gathered, scattered, bitcast, fpext, fptrunc and carried through control flow, nothing else.
enum class Scalar : uint8_t { i1, i8, i16, i32, i64, f16, bf16, f32, f64 };
std::string_view name(Scalar scalar);
int bits(Scalar scalar); ///< i1: 1 as a value; an i1 cannot be a buffer element
inline bool is_float(Scalar s) { return s >= Scalar::f16; }
inline bool is_int(Scalar s) { return s <= Scalar::i64; }

inline constexpr int32_t kMaxLanes = 4096; ///< of any vector

/// A scalar (lanes 1), a vector (lanes >= 2) or a buffer (a pointer to elements of `scalar`).
struct Type {
  Scalar scalar = Scalar::i64;
  int32_t lanes = 1;
  bool buffer = false;

  friend bool operator==(const Type &, const Type &) = default;
  bool is_vector() const { return !buffer && lanes > 1; }
  Type with_lanes(int32_t n) const { return {scalar, n, false}; }
  Type with_scalar(Scalar s) const { return {s, lanes, false}; }
  int64_t bytes() const { return int64_t{lanes} * ((bits(scalar) + 7) / 8); } ///< of a value of this type in memory
};
std::string to_string(const Type &type); ///< `f32`, `f32x16`, `buf<f32>`
inline constexpr Type kIndex{Scalar::i64, 1, false};
inline constexpr Type kBool{Scalar::i1, 1, false};
inline constexpr Type kF32{Scalar::f32, 1, false};
inline constexpr Type buffer_of(Scalar s) { return {s, 1, true}; }

/// An SSA value of one function: an index into Function::values.
struct Value {
  uint32_t id = UINT32_MAX;
  friend bool operator==(const Value &, const Value &) = default;
  friend auto operator<=>(const Value &, const Value &) = default;
  bool valid() const { return id != UINT32_MAX; }
};

struct ValueInfo {
  Type type;
  std::string name; ///< unique within the function once printed; may be empty (printed as a number)
};

/// sum(coefficient * value) + constant, over i64 scalars, wrapping. Terms are sorted by value, no coefficient is 0, no
/// value appears twice.
struct Affine {
  std::vector<std::pair<Value, int64_t>> terms;
  int64_t constant = 0;

  Affine() = default;
  Affine(int64_t c) : constant(c) {}
  Affine(Value v, int64_t coefficient = 1);
  bool is_constant() const { return terms.empty(); }
  Affine &operator+=(const Affine &other);
  Affine &operator*=(int64_t factor);
  friend Affine operator+(Affine a, const Affine &b) { return a += b; }
  friend Affine operator-(Affine a, const Affine &b) { return a += Affine(b) * -1; }
  friend Affine operator*(Affine a, int64_t f) { return a *= f; }
  friend bool operator==(const Affine &, const Affine &) = default;
  friend auto operator<=>(const Affine &, const Affine &) = default;
};

enum class Opcode : uint8_t {
#define LOOP_OP(id, text, class_) id,
#include "cameo/loop/opcodes.def"
};
enum class OpClass : uint8_t { unary, binary, ternary, compare, cast, other };
std::string_view name(Opcode opcode);
OpClass op_class(Opcode opcode);
std::optional<Opcode> opcode_from_name(std::string_view text); ///< inverse of name()

struct Op;
struct Block {
  std::vector<Value> args;
  std::vector<Op> ops;
};

/// One operation. Which fields are used, for the opcodes of class `other`:
///
///   constant   results[0] of any scalar or vector type; value: `integer` for ints (sign-extended), `real` for floats
///   (splat) broadcast  TxN(T)                       iota   TxN(): 0, 1, 2, ... of an integer kind extract    T(TxN),
///   lane = integer       shuffle TxM(TxN, TxN), lanes picked by `mask` (0..2N-1; -1: any value) reduce.*   T(TxN), as
///   a tree: lane i with lane i + N/2, then N/4, ... (N a power of two) select     T(i1 | i1xN, T, T): a scalar
///   condition picks a whole vector target     an instruction from the target's table, by `symbol`
///   (target_instructions.h), e.g. "vpdpbusd" index      i64 = address (an affine form as a value) alloca     buffer of
///   `integer` elements, aligned to `align`, local to this call of the function; only in a function's
///              outermost block
///   view       buffer(buffer): operands[0] + address (in elements of operand 0); the result may have another element
///   kind load       T(buffer [, i64 active]): result lanes consecutive elements from address; with `active`, only the
///   first
///              `active` lanes are read and the others are 0. `align` is the known alignment in bytes (0: of the
///              element)
///   store      (T, buffer [, i64 active]) to address
///   gather     TxN(buffer, i64xN | i32xN index [, i1xN mask]): element address + index of each lane; masked-off lanes
///   are 0 scatter    (TxN, buffer, index [, mask]); lanes are stored in order prefetch   (buffer) at address;
///   `integer` = locality 1..3 (L3, L2, L1), `flag` = for writing for        results = final iteration values; operands
///   = {lower, upper, inits...}; `integer` = step > 0; regions[0].args =
///              {iv, iters...}, ends in yield(iters...). Runs while iv < upper. `flag`: at least one iteration is
///              certain
///   if         operands = {i1}; regions[0] = then, regions[1] = else; each ends in yield(results...), but an absent
///   else is a
///              block without operations (only when there are no results)
///   while      operands = inits; regions[0] = condition block (args = iters) ending in yield(i1, values...),
///   regions[1] = body
///              (args = those values) ending in yield(iters...); results = the values when the condition is false
///   parallel   `integer` tasks (or operands[0] of i64); regions[0].args = {task}; tasks may run at once on several
///   threads, in
///              any order, and must not write the same byte; no results
///   call       results(operands...) of the function named `symbol` in the module
///   return     ends the function's body; operands = the function's results
///   check      operands = {i1 condition}: when false, sets the sticky status of this run to `integer` (a CameoStatus)
///   unless it
///              is set already; `integer` is in 1..2^31-1; execution goes on, so a following access uses a safe address
///              (select)
struct Op {
  Opcode code;
  std::vector<Value> operands;
  std::vector<Value> results;
  std::vector<Block> regions;
  Affine address;
  int64_t integer = 0;
  double real = 0;
  int32_t align = 0;
  bool flag = false;
  std::string symbol;
  std::vector<int32_t> mask;
};

struct Param {
  Value value;
  bool readonly = false; ///< buffer: never written through this or a derived view
  bool noalias = false;  ///< buffer: no other parameter reaches the same bytes
  int32_t align = 0;     ///< buffer: known alignment in bytes (0: of the element)
  int64_t size = -1;     ///< buffer: number of elements that may be accessed; -1 unknown. Constant bounds are verified
};

struct Function {
  std::string name;
  std::vector<Param> params;
  std::vector<Type> results;
  Block body; ///< empty for a declaration
  std::vector<ValueInfo> values;
  bool declaration = false; ///< defined elsewhere (support/kernels): body is empty
  bool exported = false;    ///< visible in the object file
  bool noinline = false;    ///< kept as a function of its own (micro-kernels)
  std::string origin;       ///< the ONNX nodes this code comes from, for debug information; may be empty

  Value new_value(Type type, std::string name = {});
  const Type &type(Value v) const {
    CAMEO_CHECK(v.id < values.size(), "value out of range");
    return values[v.id].type;
  }
};

struct Module {
  std::vector<Function> functions;
  const Function *find(std::string_view name) const; ///< nullptr when absent
  Function *find(std::string_view name);
};

} // namespace cameo::loop
