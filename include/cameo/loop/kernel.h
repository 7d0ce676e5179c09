// A kernel before any decision about how to run it: the algorithm, as a list of stages over index spaces.
//
// A stage defines values at every point of its axes:
//
//   value      y[m, n]   = f(reads of buffers and stages at affine or indirect indices)
//   reduction  acc[m, n] = init, then for every point of its reduction axes: acc = update(acc, reads...)
//   sequence   h[t, j]   = f(h[t-1, .], ...) where t is a sequential axis; h[-1, .] = `before`
//
// Components make tuples: (value, index) of an arg-max, or the cell and the hidden state of an LSTM step, come from one
// stage. Stages are listed in an order in which each reads only earlier ones, or itself and others one step back along
// a sequential axis. What a schedule may do to them is written in schedule.h; apply.h turns both into explicit Loop IR.
//
// Text form (kernel_text.h), a matrix product with bias and ReLU:
//   kernel @dense {
//     in %x: f32[128, 768]
//     const %w: f32[768, 3072]
//     const %b: f32[3072]
//     out %y: f32[128, 3072]
//     e0 = read %b[a1] : f32
//     e1 = read %x[a0, a2] : f32
//     e2 = read %w[a2, a1] : f32
//     e3 = carried 0 : f32
//     e4 = muladd e1, e2, e3 : f32
//     stage acc[m: 128, n: 3072, k: 768 reduction] : f32 combine add { init e0 next e4 }
//     e5 = stage acc[a0, a1] : f32
//     e6 = const 0.0 : f32
//     e7 = max e5, e6 : f32
//     stage y[m: 128, n: 3072] : f32 { next e7 store %y[a0, a1] }
//   }
#pragma once

#include "cameo/loop/element.h"

#include <optional>
#include <string>
#include <vector>

namespace cameo::loop {

/// A constant, or one of the kernel's symbols (an i64 parameter that is >= 0 at run time).
struct Extent {
  int64_t value = 0;
  int32_t symbol = -1; ///< index into Kernel::symbols when >= 0; `value` is then meaningless
  Extent() = default;
  Extent(int64_t v) : value(v) {}
  static Extent of_symbol(int32_t s) {
    Extent e;
    e.symbol = s;
    return e;
  }
  bool is_constant() const { return symbol < 0; }
  friend bool operator==(const Extent &, const Extent &) = default;
};

enum class AxisKind : uint8_t { parallel, reduction, sequential };
struct Axis {
  std::string name;
  Extent extent;
  AxisKind kind = AxisKind::parallel;
  friend bool operator==(const Axis &, const Axis &) = default;
};

enum class BufferRole : uint8_t {
  input,    ///< read only
  constant, ///< read only and known when compiling: may be packed
  output,   ///< written at every point of its index space
  inout,    ///< read and written (residual added in place, scatter)
};

/// A tensor argument of the kernel. Its logical index space is `dims`; where its elements lie is a Binding
/// (schedule.h).
struct KernelBuffer {
  std::string name;
  DType dtype = DType::f32;
  std::vector<Extent> dims;
  BufferRole role = BufferRole::input;
  friend bool operator==(const KernelBuffer &, const KernelBuffer &) = default;
};

using ExprId = int32_t;

/// One coordinate of a read or a store: sum(coefficient * axis) + sum(coefficient * symbol) + constant, or a run-time
/// value.
struct Index {
  std::vector<std::pair<int32_t, int64_t>> axes; ///< (axis of the stage, coefficient)
  int64_t constant = 0;
  ExprId indirect = -1; ///< >= 0: an i64 expression is added
  friend bool operator==(const Index &, const Index &) = default;
};
Index axis_index(int32_t axis, int64_t coefficient = 1, int64_t constant = 0);

/// What a read outside of the index space gives.
enum class OutOfRange : uint8_t {
  never, ///< it is known not to happen
  fill,  ///< Expr::real (or `integer`)
  clamp, ///< the nearest element
  fail,  ///< sets the status Expr::integer of the run and reads a safe element
};

/// Scalar expressions of stage bodies, stored in Kernel::exprs.
struct Expr {
  enum class Kind : uint8_t {
    constant, ///< real or integer of `type`
    axis,     ///< index of an axis as i64 (integer = axis)
    symbol,   ///< run-time symbol as i64 (integer = symbol)
    buffer,   ///< element of buffer `source` at `indices`, converted to its compute type
    stage,    ///< component `component` of stage `source` at `indices`
    carried,  ///< the accumulator's component so far (only in Stage::next)
    op,       ///< a pure Loop IR operation on args
    pick,     ///< args[value of axis `integer`]; the axis is unrolled (constant tables, Winograd matrices)
  };
  Kind kind = Kind::constant;
  Scalar type = Scalar::f32;
  Opcode op = Opcode::add;
  std::vector<ExprId> args;
  double real = 0;
  int64_t integer = 0;
  int32_t source = -1;
  int32_t component = 0;
  std::vector<Index> indices;
  OutOfRange rule = OutOfRange::never;
  friend bool operator==(const Expr &, const Expr &) = default;
};

/// Where a component of a stage goes, when it is a result of the kernel.
struct StageStore {
  int32_t buffer = -1;                 ///< output or inout buffer
  std::vector<Index> indices;          ///< over the stage's non-reduction axes
  OutOfRange rule = OutOfRange::never; ///< fill: points outside are not stored; fail: status `status`, not stored
  int64_t status = 0;
  bool accumulate = false; ///< buffer = combine(buffer, value) (scatter-add); the axes involved are then sequential
  Opcode combine = Opcode::add; ///< of an accumulating store
  bool saturate = true;         ///< to floats of 8 bits and less: values out of range become the largest (ONNX Cast)
  friend bool operator==(const StageStore &, const StageStore &) = default;
};

struct Stage {
  std::string name;
  std::vector<Axis> axes;         ///< parallel and sequential ones first, reduction axes last
  std::vector<Scalar> types;      ///< one per component: the type that it is computed in and kept in
  std::vector<ExprId> init;       ///< reductions: value before the first point, over the non-reduction axes
  std::vector<ExprId> next;       ///< the value, or the reduction's next accumulator
  std::vector<ExprId> before;     ///< stages with a sequential axis: the value at its index -1, over the other axes
  std::vector<StageStore> stores; ///< empty: only read by other stages
  /// For reductions that may be split (partial sums combined afterwards): add, max or min; nullopt: fixed order only.
  std::optional<Opcode> combine;

  bool is_reduction() const { return !init.empty(); }
  int32_t outer_rank() const; ///< number of axes that are not reduction axes
  friend bool operator==(const Stage &, const Stage &) = default;
};

struct Kernel {
  std::string name;
  std::string origin; ///< ONNX nodes, for debug information
  std::vector<std::string> symbols;
  std::vector<KernelBuffer> buffers;
  std::vector<Stage> stages;
  std::vector<Expr> exprs;

  // Construction. Each checks its operands and returns the new expression.
  int32_t add_buffer(std::string name, DType dtype, std::vector<Extent> dims, BufferRole role);
  int32_t add_stage(Stage stage);
  ExprId constant(Scalar type, double value);
  ExprId constant_int(Scalar type, int64_t value);
  ExprId axis_value(int32_t axis);
  ExprId symbol_value(int32_t symbol);
  ExprId read(int32_t buffer, std::vector<Index> indices, OutOfRange rule = OutOfRange::never, double fill = 0);
  ExprId read_stage(int32_t stage, std::vector<Index> indices, int32_t component = 0,
                    OutOfRange rule = OutOfRange::never, double fill = 0);
  ExprId carried(Scalar type, int32_t component = 0);
  ExprId op(Opcode code, std::vector<ExprId> args);
  ExprId cast(Opcode code, ExprId a, Scalar to);
  ExprId pick(int32_t axis, std::vector<ExprId> args);
  const Expr &expr(ExprId id) const;

  int32_t find_stage(std::string_view name) const;  ///< -1 when absent
  int32_t find_buffer(std::string_view name) const; ///< -1 when absent
  friend bool operator==(const Kernel &, const Kernel &) = default;
};

/// Violated invariants in prose, one line each (verify.h has the format); empty when well formed: operand types, index
/// counts equal to ranks, reads of earlier stages only (or one step back along a sequential axis), axes kinds, carried
/// only in `next`.
std::vector<std::string> verify(const Kernel &kernel);

} // namespace cameo::loop
