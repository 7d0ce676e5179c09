// One kernel under construction: what the lowerings of all op families write against. Private to src/ops.
//
// Every value of the group is a Source: a buffer of the kernel, a component of a stage, or a number. A lowering reads
// operands at indices without asking which; it adds stages and says which result each component is. Most stages have
// one axis per dim of the value that they define. Where an op needs more (a grouped convolution computes channel g *
// size + c at axes g and c), the stage has a Space of its own, and elementwise ops that follow in the group adopt it.
#pragma once

#include "cameo/ops/lower.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cameo::ops {

using loop::AxisKind;
using loop::ExprId;
using loop::Index;
using loop::Opcode;
using loop::OutOfRange;
using loop::Scalar;

/// Why a node cannot be lowered, in words; nullopt: it was.
using Problem = std::optional<std::string>;

/// The index space that a stage computes a tensor in: axes, and the affine index of each dim of the tensor over them.
struct Space {
  std::vector<loop::Axis> axes;
  std::vector<Index> dims;
  bool partial = false; ///< some points lie outside of the tensor: they are not stored, and read whatever is near
};

/// A box of a tensor of that shape, which is computed by stages of its own.
struct Part {
  std::vector<int64_t> shape;
  std::vector<std::pair<int64_t, int64_t>> box; ///< first index and extent, per dim
  int64_t points() const;
};

class Lowering {
public:
  explicit Lowering(std::string name);

  // ---- for the families

  /// Adds a reduction axis to a stage and returns its number.
  static int32_t add_reduction(loop::Stage &stage, std::string name, loop::Extent extent);
  loop::Extent extent(const graph::Dim &dim) { return lowered_.extent(dim); }
  /// One parallel axis per dim: d0, d1, ...; of the part where one is being lowered and `shape` is that of its tensor.
  Space space(const graph::Shape &shape);
  /// The part that is being lowered; null: all of it.
  const Part *part() const { return part_ ? &*part_ : nullptr; }
  /// The space in which an elementwise op of that result shape reads `operands`: that of an operand computed in a space
  /// of its own, else one axis per dim.
  Space space_of(const graph::Shape &shape, const std::vector<graph::Value *> &operands);
  /// A stage over the space, without body.
  loop::Stage stage(const Space &space, std::string_view name);

  /// Element of a value at logical indices over the axes of the stage being built, in the compute type of its dtype
  /// (bool: i1).
  ExprId read(const graph::Value *value, std::vector<Index> indices, OutOfRange rule = OutOfRange::never,
              double fill = 0);
  /// The same as numpy broadcasts `value` to a tensor of that shape, read at `dims`.
  ExprId read_broadcast(const graph::Value *value, const graph::Shape &shape, const std::vector<Index> &dims);
  /// Component of the stage that is added next, one step back along its sequential axis `axis`, at the same place along
  /// `outer` axes.
  ExprId read_previous(Scalar type, int32_t component, int32_t outer, int32_t axis);
  /// Component of a stage at the same position, for a stage over the same outer axes (and perhaps more behind them).
  ExprId read_stage(int32_t stage, int32_t component = 0);
  /// Says that the component of the stage is that value, computed in `space`.
  void define(const graph::Value *value, int32_t stage, int32_t component, const Space &space);
  /// A stage with one component over the space, which is `value`.
  int32_t define_pointwise(const graph::Value *value, const Space &space, ExprId body, std::string_view name);
  /// Whether storing the value in a float of 8 bits or less saturates (it does, unless said otherwise).
  void set_saturate(const graph::Value *value, bool saturate) { source(value).saturate = saturate; }
  int32_t add_stage(loop::Stage stage) { return kernel().add_stage(std::move(stage)); }
  /// A buffer for a value that several stages write, each its part (concat, scatter). It must be a result of the node.
  int32_t define_buffer(const graph::Value *value);
  /// A buffer of i64 for the extents of a node's results (lower_extents).
  int32_t add_extents(int64_t count);
  /// A buffer that holds what `kernel` makes of a constant operand when compiling.
  int32_t derived(const graph::Value *value, std::string name, std::shared_ptr<const loop::Kernel> kernel);
  /// A stage that stores one scalar at `position` of a buffer of rank 1.
  void add_element(int32_t buffer, int64_t position, ExprId value);
  /// Data of a constant operand, null when it is not one or not at hand.
  const graph::ConstantData *constant(const graph::Value *value) const;
  /// `value` is the value of a region's argument inside; this is the same value outside (itself when it is outside).
  const graph::Value *outside(const graph::Value *value) const;

  // ---- expressions

  loop::Kernel &kernel() { return lowered_.kernel; }
  Scalar type(ExprId e) const { return lowered_.kernel.expr(e).type; }
  ExprId number(Scalar type, double value); ///< of any type; integers must hold it exactly
  ExprId integer(int64_t value) { return kernel().constant_int(Scalar::i64, value); }
  ExprId op(Opcode code, ExprId a) { return kernel().op(code, {a}); }
  ExprId op(Opcode code, ExprId a, ExprId b) { return kernel().op(code, {a, b}); }
  ExprId op(Opcode code, ExprId a, ExprId b, ExprId c) { return kernel().op(code, {a, b, c}); }
  ExprId select(ExprId c, ExprId a, ExprId b) { return kernel().op(Opcode::select, {c, a, b}); }
  ExprId dim_value(const graph::Dim &dim); ///< as i64
  ExprId index_value(const Index &index);  ///< as i64
  /// The index plus a dim that may be symbolic.
  Index offset(Index index, const graph::Dim &by);
  /// Index of an i64 expression.
  static Index at(ExprId expression);

  // ---- for lower.cpp

  /// Node operand `index` is this buffer's content.
  void bind_operand(const graph::Value *inside, const graph::Value *outside, size_t index);
  /// From here on stages compute that part. The same nodes are lowered once for each part of their result.
  void begin_part(const Part &part);
  /// Stores result `index` of the node, which is `value`, or the part of it.
  void store_result(const graph::Value *value, size_t index);
  /// Removes stages that nothing needs, verifies and gives the kernel away.
  Lowered finish(std::string origin);

private:
  struct Source {
    int32_t buffer = -1, stage = -1, component = 0;
    Space space;                           ///< of a stage
    bool saturate = true;                  ///< when it is stored
    const graph::Value *outside = nullptr; ///< of an operand
    size_t operand = 0;
    const graph::ConstantData *scalar = nullptr; ///< a constant of one element: no buffer
    bool written = false;                        ///< by stages, part by part: `buffer` is a result
  };
  Source &source(const graph::Value *value);
  int32_t buffer_of(Source &source);
  int32_t add_result_buffer(const graph::Value *value);
  ExprId as_value(ExprId e, DType dtype); ///< a buffer's byte to an i1 where the dtype is bool
  std::string unique(std::string_view name);
  void prune();
  void clamp_partial();

  Lowered lowered_;
  std::map<uint32_t, Source> sources_; ///< by value id
  std::map<std::string, int> names_;
  std::map<size_t, int32_t> results_; ///< buffers by number of the result
  std::optional<Part> part_;
  bool partial_ = false; ///< some stage has points outside of its tensor
};

/// The value of one element as a number of the compute type: what a lowering computes with.
Scalar value_type(DType dtype); ///< compute_type, but i1 for bool

/// x of dtype `from` (in its compute type) in the type `to`, exactly or rounded to nearest: how operands enter a
/// computation of another precision. Integers keep their sign by dtype.
ExprId convert(Lowering &l, ExprId x, DType from, Scalar to);
/// ONNX Cast: x of dtype `from` as a value of dtype `to`, rounded and wrapped as storing it would do.
ExprId cast_value(Lowering &l, ExprId x, DType from, DType to);
/// The function of arguments in the compute type of `dtype`; nullopt: the dtype has no such function.
std::optional<ExprId> elementwise(Lowering &l, graph::Fn fn, DType dtype, const std::vector<ExprId> &args, double alpha,
                                  double beta);

// One function per op family; each adds the stages of a node.
Problem lower_elementwise(Lowering &l, const graph::Node &node);
Problem lower_cast(Lowering &l, const graph::Node &node);
Problem lower_quantize(Lowering &l, const graph::Node &node);
Problem lower_contract(Lowering &l, const graph::Node &node);
Problem lower_conv(Lowering &l, const graph::Node &node);
Problem lower_conv_transpose(Lowering &l, const graph::Node &node);
Problem lower_pool(Lowering &l, const graph::Node &node);
Problem lower_reduce(Lowering &l, const graph::Node &node);
Problem lower_softmax(Lowering &l, const graph::Node &node);
Problem lower_normalize(Lowering &l, const graph::Node &node);
Problem lower_attention(Lowering &l, const graph::Node &node);
Problem lower_movement(Lowering &l, const graph::Node &node);
Problem lower_index(Lowering &l, const graph::Node &node);
Problem lower_resize(Lowering &l, const graph::Node &node);
Problem lower_plain_attention(Lowering &l, const graph::Node &node);
Problem lower_sample(Lowering &l, const graph::Node &node);
Problem lower_topk(Lowering &l, const graph::Node &node);
Problem lower_dft(Lowering &l, const graph::Node &node);
Problem lower_det(Lowering &l, const graph::Node &node);
Problem lower_source(Lowering &l, const graph::Node &node);
Problem lower_extents(Lowering &l, const graph::Node &node);
Problem lower_rnn(Lowering &l, const graph::Node &node);
Problem lower_trees(Lowering &l, const graph::Node &node);
Problem lower_masks(Lowering &l, const graph::Node &node);
Problem lower_coupling(Lowering &l, const graph::Node &node);

/// What the runtime does with strings: buffers without stages.
Lowered lower_string_call(const graph::Node &node);

} // namespace cameo::ops
