// The lowering of one kernel to explicit Loop IR: state shared by the three parts of it,
//   apply_region.cpp   which part of a stage its readers need, and where it is kept
//   apply_eval.cpp     scalar expressions at a point of a stage: reads, vectors, common subexpressions, hoisting
//   apply_nest.cpp     loops: tiles and remainders, accumulators, placement, tasks
//
// The idea: every axis of a stage has a current range (an affine base over loop variables, a constant extent). Loops
// narrow ranges; when no loop is left the ranges are the point box, which is unrolled. Stages placed at a loop are
// computed in its body for the region that the readers' current ranges imply, so tiles, strips and whole tensors are
// the same mechanism.
#pragma once

#include "cameo/loop/apply.h"
#include "cameo/loop/builder.h"

#include <functional>
#include <map>
#include <memory>

namespace cameo::loop {

/// Indices base .. base + extent - 1 of an axis.
struct Range {
  Affine base;
  int64_t extent = 0;
  Value symbolic; ///< when valid: the extent is this value and `extent` is 0
  Value limit;    ///< when valid: of the `extent` indices only those below this value exist (last vectors of a symbolic
                  ///< axis)
};
using Box = std::vector<Range>;

/// A point of a stage's index space, or a run of `lanes` points along one axis.
struct Point {
  std::vector<Affine> index; ///< per axis; for the vector axis: of lane 0
  int32_t vector_axis = -1;
  int32_t lanes = 1;
  Value active;      ///< when valid: only that many lanes exist (i64)
  int64_t group = 4; ///< of a dot product: that many of 4 neighbours exist
};

/// Where the values of a stage are between their definition and their last use.
struct Storage {
  enum class Kind : uint8_t { none, registers, memory, output };
  Kind kind = Kind::none;
  Box box;                      ///< region held (axes of the stage, reduction axes excluded)
  std::vector<int64_t> strides; ///< memory: per axis; 0 for folded sequential axes
  int32_t rolling_axis = -1;    ///< memory: ring along this axis
  int64_t rolling = 0;
  std::vector<Value> buffers;                                ///< memory: one per component
  std::map<std::vector<int64_t>, std::vector<Value>> values; ///< registers: offsets in the box -> components
};

/// A stage whose loops are being emitted.
struct Frame {
  int32_t stage = -1;
  Box ranges; ///< all axes, as narrowed so far
};

struct OpenLoop {
  int32_t stage, loop;
  Affine counter; ///< number of the iteration, remainders counted on
  int64_t trips;
};

/// Scratch memory: one part shared by all tasks, then one part per task.
struct ScratchPlan {
  int64_t shared = 0, per_task = 0, tasks = 0;
  int64_t total() const { return shared + per_task * tasks; }
};

class Lowerer {
public:
  Lowerer(Module &module, const Kernel &kernel, const std::vector<Binding> &bindings, const Target &target,
          const Schedule &schedule, const std::string &name, ScratchPlan plan);
  ScratchPlan run();

private:
  // ---- apply_region.cpp
  Box full_box(int32_t stage) const;
  Box required(int32_t stage); ///< over the stage's outer axes
  void visit_reads(int32_t reader, int32_t stage, const std::function<void(const Expr &)> &visit) const;
  bool is_read(int32_t stage) const;
  Range index_range(const Index &index, const Box &ranges) const;
  void join(Range &into, const Range &other) const;
  std::optional<std::pair<int64_t, int64_t>> bounds(const Affine &affine) const; ///< smallest and largest value
  void allocate(int32_t stage, const Box &box);
  Value scratch(Scalar type, int64_t elements);
  bool materialised(int32_t stage) const { return storage_[stage].kind != Storage::Kind::none; }
  int32_t sequential_axis(int32_t stage) const;
  Frame *active_frame(int32_t stage) const;

  // ---- apply_eval.cpp
  struct LaneIndex { ///< a coordinate for every lane: base + lane * step (+ extra lanes)
    Affine base;
    int64_t step = 0;
    Value extra; ///< i64 vector, when the coordinate has no constant step
  };
  using Memo = std::map<ExprId, Value>;
  using Inlined = std::map<std::vector<int64_t>, Value>; ///< by stage, component and point
  struct Context {
    int32_t stage;
    const Point &point;
    const std::vector<Value> *carried = nullptr;
    Memo memo{};
    /// Stages computed where they are read, each once per point: what reads a stage twice, which reads another twice,
    /// would otherwise be exponential work.
    std::shared_ptr<Inlined> inlined = nullptr;
  };
  Value eval(ExprId id, Context &context);
  Value eval_new(const Expr &e, Context &context);
  Value read_buffer(const Expr &e, Context &context);
  Value read_stage(const Expr &e, Context &context);
  Value read_inlined(const Expr &e, Context &context);
  LaneIndex lane_index(const Index &index, Context &context);
  /// Conditions under which all coordinates lie in [0, extent), and coordinates made safe; an invalid value: always.
  Value guard(const Expr &e, std::vector<LaneIndex> &coordinates, const std::vector<Range> &domain, const Point &point);
  /// Whether an extent that may be 0 is not; an invalid value: all are.
  Value any_inside(const std::vector<Range> &domain);
  struct Place_ {
    Affine address;
    int64_t step = 0;
    Value extra;
  };
  /// `existing`: how many of the lanes are used; -1: all.
  Place_ place(const std::vector<LaneIndex> &coordinates, const Binding &binding, int32_t lanes, int64_t existing = -1);
  /// The place, or the first element where `some` is false.
  Place_ or_first(Place_ at, Value some, int32_t lanes);
  Value load_lanes(Value buffer, Scalar type, const Place_ &place, const Point &point, int32_t object, int32_t align);
  void store_lanes(Value value, Value buffer, const Place_ &place, const Point &point, int32_t align);
  Value as_stored(Value value, DType dtype, bool saturate);
  Value as_computed(Value value, DType dtype);
  struct PackedElement {
    Affine byte;
    Value shift; ///< i8
  };
  PackedElement packed_element(const Affine &address, DType dtype);
  Value load_packed(Value buffer, const Affine &address, DType dtype, const Point &point, int32_t object);
  void store_packed(Value value, Value buffer, const Affine &address, DType dtype, const Point &point, int32_t object);
  std::vector<Value> lane_vector(const LaneIndex &coordinate, int32_t lanes);
  Value splat(Value value, int32_t lanes);
  Value constant(Scalar type, double real, int64_t integer, int32_t lanes);
  Value integer(Type type, int64_t value) { return constant(type.scalar, 0, value, type.lanes); }
  // Pure operations and loads of read-only buffers: shared, and emitted in the outermost block where their operands
  // exist.
  using Key = std::vector<int64_t>;
  Value shared(Key key, const std::vector<Value> &operands, const std::function<Value()> &make, size_t level = 1);
  size_t level_of(Value v) const;
  size_t level_of(const Affine &a) const;
  Value apply_op(Opcode code, std::vector<Value> operands, Scalar cast_to);
  Value index_value(const Affine &a);
  // Memory is a set of objects: the storage of each stage, each buffer, and one object for all buffers that may
  // overlap. A load is shared until its object is written, and leaves the loops that do not write it.
  using Objects = std::vector<int32_t>;
  int32_t object_of_stage(int32_t stage) const { return stage; }
  int32_t object_of_buffer(int32_t buffer) const;
  Objects written_by(int32_t stage,
                     int32_t loop) const; ///< in the body of that loop of the stage (-1: in all of the stage)
  void touch(int32_t object) { ++version_[object]; }
  void touch(const Objects &objects) {
    for (int32_t object : objects) touch(object);
  }

  // ---- apply_nest.cpp
  struct Segment {
    int64_t tile;  ///< elements per iteration
    int64_t count; ///< iterations (constant extents)
    int64_t start; ///< first element, relative to the range's base
    int64_t first; ///< number of iterations before
  };
  using Values = std::vector<Value>;
  using Body = std::function<Values(Values)>; ///< loop body: carried values in, carried values out
  std::vector<Segment> segments(int64_t extent, const LoopSpec &spec, bool vector) const;
  void compute(int32_t stage, const Box &box);
  void compute_clipped(int32_t stage, Box box);
  void fill(int32_t stage, const Box &box);
  void nest(Frame &frame, size_t loop);
  Values loop_over(Frame &frame, size_t loop, Values carried, const Body &body);
  Values symbolic_loop(Frame &frame, size_t loop, Values carried, const Body &body);
  void parallel_loop(Frame &frame, size_t loop, const std::vector<Segment> &list, const Body &body);
  Values iterate(Frame &frame, size_t loop, const Segment &segment, int64_t trips, Value lower, Value upper,
                 Values carried, const Body &body);
  Values one_tile(Frame &frame, size_t loop, Range tile, Affine counter, int64_t trips, Values carried,
                  const Body &body);
  void before_loop(Frame &frame, size_t loop, const Range &first, bool first_segment);
  void place_stages(Frame &frame, int32_t loop);
  void advance_rolling(Frame &frame, int32_t loop, int32_t stage);
  std::pair<Box, int64_t> rolling_window(Frame &frame, int32_t loop, int32_t stage); ///< region and rows per iteration
  void vectors_of(Frame &frame, int32_t axis, const std::function<void()> &body);
  void initial_state(int32_t stage);
  void points(Frame &frame);
  bool transposed_points(Frame &frame); ///< apply_transpose.cpp; false: not such a copy, nothing emitted
  void reduce(Frame &frame, size_t loop, bool from_memory);
  void accumulate_in_memory(Frame &frame, size_t loop);
  Values reduce_loops(Frame &frame, size_t loop, Values values, const std::vector<Point> &outer);
  Values reduce_points(Frame &frame, Values values, const std::vector<Point> &outer);
  std::vector<Point> box_points(const Frame &frame, bool reduction);
  Value join_partials(const Stage &stage, Values values, Value initial);
  Value look_up(const Expr &e, Context &context);
  Value dot_update(const Frame &frame, const Point &point, Value accumulator);
  Values load_state(int32_t stage, const Point &point);
  void define(int32_t stage, const Point &point, const Values &values);
  void store_result(int32_t stage, const StageStore &store, const Point &point, Value value);
  void emit_prefetch(const Frame &frame);
  Values counted_loop(Value lower, Value upper, std::pair<int64_t, int64_t> iv_bounds, Values inits,
                      const std::function<Values(Value, Values)> &body, bool certain, const Objects &written);
  void guarded(Value condition, const Objects &written, const std::function<void()> &then,
               const std::function<void()> &otherwise);
  void leave_block(size_t depth); ///< forgets what was shared inside blocks of that depth and deeper

  const Kernel &kernel_;
  const std::vector<Binding> &bindings_;
  const Target &target_;
  const Schedule &schedule_;
  Builder b_;
  std::vector<Value> buffers_, symbols_;
  Value scratch_base_;       ///< of the task inside a parallel loop, of the kernel outside
  int64_t scratch_used_ = 0; ///< bytes in use below scratch_base_, released like a stack
  int64_t scratch_peak_ = 0;
  ScratchPlan plan_; ///< sizes found by a first, discarded lowering
  ScratchPlan found_;
  std::vector<Storage> storage_;
  std::vector<Frame *> frames_;
  std::vector<int32_t> resolving_; ///< stages whose required region is being found: state is read in a circle
  std::vector<OpenLoop> open_loops_;
  std::map<uint32_t, size_t> levels_;                      ///< value -> depth of its block
  std::map<uint32_t, std::pair<int64_t, int64_t>> ranges_; ///< loop variable -> smallest and largest value
  std::map<uint32_t, Value> narrow_;                       ///< i64 vector -> the i32 vector that it was extended from
  std::vector<std::map<Key, Value>> table_;                ///< shared values, by block depth
  std::vector<int32_t> hoisted_;                           ///< vector values hoisted into each block
  size_t barrier_ = 1;                                     ///< nothing is hoisted out of this block depth
  std::vector<int64_t> version_;                           ///< per object: counts writes
  std::vector<size_t>
      write_level_; ///< per object: depth of the innermost open block that may be repeated and writes it
};

} // namespace cameo::loop
