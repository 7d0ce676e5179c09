// Expressions at a point: reads become scalar loads, vector loads or gathers, whichever the layout gives; equal
// operations are emitted once, in the outermost block where their operands exist.
#include "lowerer.h"

#include "cameo/loop/convert.h"

#include <algorithm>

namespace cameo::loop {
namespace {

// Vector loads that one block may receive from the loops inside it: more would only be spilled again.
constexpr int32_t kMaxHoistedVectors = 12;

void append_key(std::vector<int64_t> &key, const Affine &a) {
  key.push_back(a.constant);
  for (const auto &[value, coefficient] : a.terms) {
    key.push_back(value.id);
    key.push_back(coefficient);
  }
  key.push_back(INT64_MIN);
}

} // namespace

size_t Lowerer::level_of(Value v) const {
  if (!v.valid()) return 1;
  auto it = levels_.find(v.id);
  return it == levels_.end() ? (b_.known_constant(v) ? 1 : b_.depth()) : it->second;
}

size_t Lowerer::level_of(const Affine &a) const {
  size_t level = 1;
  for (const auto &term : a.terms) level = std::max(level, level_of(term.first));
  return level;
}

Value Lowerer::shared(Key key, const std::vector<Value> &operands, const std::function<Value()> &make, size_t level) {
  for (Value v : operands) key.push_back(v.id);
  for (size_t d = 0; d < table_.size(); ++d)
    if (auto it = table_[d].find(key); it != table_[d].end()) return it->second;
  level = std::max(level, barrier_);
  for (Value v : operands) level = std::max(level, level_of(v));
  level = std::min(level, b_.depth());
  Value value;
  b_.at_depth(level, [&] { value = make(); });
  levels_[value.id] = level;
  if (table_.size() <= level) table_.resize(level + 1);
  table_[level].emplace(std::move(key), value);
  return value;
}

Value Lowerer::index_value(const Affine &a) {
  if (a.is_constant()) return integer(kIndex, a.constant);
  if (a.terms.size() == 1 && a.terms[0].second == 1 && a.constant == 0) return a.terms[0].first;
  Key key{-1};
  append_key(key, a);
  std::vector<Value> operands;
  for (const auto &term : a.terms) operands.push_back(term.first);
  Value v = shared(std::move(key), operands, [&] { return b_.index(a); });
  if (auto range = bounds(a)) ranges_[v.id] = *range;
  return v;
}

Value Lowerer::constant(Scalar type, double real, int64_t integer, int32_t lanes) {
  const Type t{type, lanes, false};
  Value v;
  b_.at_depth(barrier_, [&] { v = is_float(type) ? b_.constant(t, real) : b_.constant_int(t, integer); });
  levels_.emplace(v.id, barrier_);
  return v;
}

Value Lowerer::splat(Value value, int32_t lanes) {
  const Type type = b_.type(value);
  if (lanes == 1 || type.lanes == lanes) return value;
  CAMEO_CHECK(type.lanes == 1, "vector lengths differ in kernel " + kernel_.name);
  return shared({-2, lanes}, {value}, [&] { return b_.broadcast(value, lanes); });
}

Value Lowerer::apply_op(Opcode code, std::vector<Value> operands, Scalar cast_to) {
  int32_t lanes = 1;
  for (Value v : operands) lanes = std::max(lanes, b_.type(v).lanes);
  const bool scalar_condition = code == Opcode::select && b_.type(operands[0]).lanes == 1;
  for (size_t i = scalar_condition ? 1 : 0; i < operands.size(); ++i) operands[i] = splat(operands[i], lanes);
  Key key{-3, static_cast<int64_t>(code), static_cast<int64_t>(cast_to)};
  const Value result = shared(std::move(key), operands, [&]() -> Value {
    switch (op_class(code)) {
    case OpClass::unary:
      return b_.unary(code, operands[0]);
    case OpClass::binary:
      return b_.binary(code, operands[0], operands[1]);
    case OpClass::ternary:
      return b_.ternary(code, operands[0], operands[1], operands[2]);
    case OpClass::compare:
      return b_.compare(code, operands[0], operands[1]);
    case OpClass::cast:
      return code == Opcode::bitcast ? b_.bitcast(operands[0], b_.type(operands[0]).with_scalar(cast_to))
                                     : b_.cast(code, operands[0], cast_to);
    case OpClass::other:
      break;
    }
    CAMEO_CHECK(code == Opcode::select, "not a pure operation");
    return b_.select(operands[0], operands[1], operands[2]);
  });
  if (code == Opcode::sext && cast_to == Scalar::i64 && lanes > 1 && b_.type(operands[0]).scalar == Scalar::i32)
    narrow_[result.id] = operands[0];
  return result;
}

Value Lowerer::eval(ExprId id, Context &context) {
  if (auto it = context.memo.find(id); it != context.memo.end()) return it->second;
  Value v = eval_new(kernel_.exprs[id], context);
  context.memo.emplace(id, v);
  return v;
}

Value Lowerer::eval_new(const Expr &e, Context &context) {
  const Point &point = context.point;
  switch (e.kind) {
  case Expr::Kind::constant:
    return constant(e.type, e.real, e.integer, 1);
  case Expr::Kind::symbol:
    return symbols_[e.integer];
  case Expr::Kind::carried:
    CAMEO_CHECK(context.carried, "carried value outside of a reduction");
    return (*context.carried)[e.component];
  case Expr::Kind::axis: {
    const int32_t axis = static_cast<int32_t>(e.integer);
    Value base = index_value(point.index[axis]);
    if (axis != point.vector_axis || point.lanes == 1) return base;
    const Type type = kIndex.with_lanes(point.lanes);
    Value lanes = shared({-4, point.lanes}, {}, [&] { return b_.iota(type); });
    return apply_op(Opcode::add, {base, lanes}, Scalar::i64);
  }
  case Expr::Kind::pick: {
    const Affine &index = point.index[e.integer];
    CAMEO_CHECK(index.is_constant() && e.integer != point.vector_axis, "pick needs an unrolled axis");
    CAMEO_CHECK(index.constant >= 0 && index.constant < static_cast<int64_t>(e.args.size()), "pick out of range");
    return eval(e.args[index.constant], context);
  }
  case Expr::Kind::op: {
    std::vector<Value> operands;
    for (ExprId a : e.args) operands.push_back(eval(a, context));
    return apply_op(e.op, std::move(operands), e.type);
  }
  case Expr::Kind::buffer:
    return read_buffer(e, context);
  case Expr::Kind::stage:
    return read_stage(e, context);
  }
  CAMEO_UNREACHABLE("expression kind");
}

Value Lowerer::load_lanes(Value buffer, Scalar type, const Place_ &at, const Point &point, int32_t object,
                          int32_t align) {
  const bool uniform = at.step == 0 && !at.extra.valid();
  const int32_t lanes = uniform ? 1 : point.lanes;
  Key key{-5, object < 0 ? -1 : version_[object], lanes};
  append_key(key, at.address);
  key.push_back(at.step);
  std::vector<Value> operands{buffer};
  for (const auto &term : at.address.terms) operands.push_back(term.first);
  if (at.extra.valid()) operands.push_back(at.extra);
  Value active = uniform ? Value{} : point.active;
  if (active.valid()) operands.push_back(active);
  // Loads leave the loops that do not write what they read; vectors do while registers last.
  size_t least = object < 0 ? 1 : write_level_[object];
  if (lanes > 1) {
    size_t level = std::max(barrier_, least);
    for (Value v : operands) level = std::max(level, level_of(v));
    if (level < b_.depth()) {
      if (hoisted_.size() <= level) hoisted_.resize(level + 1, 0);
      if (hoisted_[level] >= kMaxHoistedVectors)
        least = b_.depth();
      else
        ++hoisted_[level];
    }
  }
  return shared(
      std::move(key), operands,
      [&]() -> Value {
        if (uniform || (at.step == 1 && !at.extra.valid())) return b_.load(buffer, at.address, lanes, align, active);
        Value index = at.extra;
        const Type vector = kIndex.with_lanes(lanes);
        if (at.step != 0) {
          Value steps = b_.mul(b_.iota(vector), integer(vector, at.step));
          index = index.valid() ? b_.add(index, steps) : steps;
        } else if (auto it = narrow_.find(index.id); it != narrow_.end()) {
          index = it->second; // half as wide
        }
        Value mask;
        if (active.valid()) mask = b_.compare(Opcode::lt, b_.iota(vector), b_.broadcast(active, lanes));
        (void)type;
        return b_.gather(buffer, at.address, index, mask);
      },
      least);
}

void Lowerer::store_lanes(Value value, Value buffer, const Place_ &at, const Point &point, int32_t align) {
  const int32_t lanes = point.lanes;
  value = splat(value, lanes);
  if (lanes == 1 || (at.step == 1 && !at.extra.valid())) {
    b_.store(value, buffer, at.address, align, lanes == 1 ? Value{} : point.active);
    return;
  }
  const Type vector = kIndex.with_lanes(lanes);
  Value index = at.extra;
  if (at.step != 0) {
    Value steps = b_.mul(b_.iota(vector), integer(vector, at.step));
    index = index.valid() ? b_.add(index, steps) : steps;
  }
  CAMEO_CHECK(index.valid(), "a vector stored to one place");
  Value mask;
  if (point.active.valid()) mask = b_.compare(Opcode::lt, b_.iota(vector), b_.broadcast(point.active, lanes));
  b_.scatter(value, buffer, at.address, index, mask);
}

Value Lowerer::as_computed(Value v, DType dtype) {
  if (dtype == DType::f16 || dtype == DType::bf16) return apply_op(Opcode::fpext, {v}, Scalar::f32);
  if (!is_float(dtype) || bits(dtype) >= 32) return v;
  return shared({-10, static_cast<int64_t>(dtype)}, {v}, [&] { return decode_to_f32(b_, v, dtype); });
}

Value Lowerer::as_stored(Value v, DType dtype, bool saturate) {
  if (dtype == DType::f16 || dtype == DType::bf16) return apply_op(Opcode::fptrunc, {v}, storage_type(dtype));
  if (!is_float(dtype) || bits(dtype) >= 32) return v;
  Narrowing narrowing;
  narrowing.saturate = saturate;
  return encode_from_f32(b_, v, dtype, narrowing);
}

Value Lowerer::read_buffer(const Expr &e, Context &context) {
  if (Value v = look_up(e, context); v.valid()) return v;
  const KernelBuffer &buffer = kernel_.buffers[e.source];
  const Binding &binding = bindings_[e.source];
  std::vector<LaneIndex> coordinates;
  for (const Index &i : e.indices) coordinates.push_back(lane_index(i, context));
  const int32_t lanes = context.point.lanes;
  Value inside, some;
  if (e.rule != OutOfRange::never) {
    const bool halo_serves = e.rule == OutOfRange::fill && !binding.halo.empty() && binding.halo_value == e.real;
    std::vector<Range> domain;
    std::vector<LaneIndex> guarded;
    std::vector<size_t> dims;
    for (size_t d = 0; d < buffer.dims.size(); ++d) {
      Range r;
      if (buffer.dims[d].is_constant()) {
        r.extent = buffer.dims[d].value;
      } else {
        // An axis that runs over the dim stays inside; only a vector may reach over its end.
        const Index &index = e.indices[d];
        if (index.indirect < 0 && index.constant == 0 && index.axes.size() == 1 && index.axes[0].second == 1 &&
            index.axes[0].first != context.point.vector_axis &&
            kernel_.stages[context.stage].axes[index.axes[0].first].extent == buffer.dims[d])
          continue;
        r.symbolic = symbols_[buffer.dims[d].symbol];
      }
      if (halo_serves && !r.symbolic.valid()) {
        r.base += Affine(-binding.halo[d].first);
        r.extent += binding.halo[d].first + binding.halo[d].second;
      }
      domain.push_back(r);
      guarded.push_back(coordinates[d]);
      dims.push_back(d);
    }
    inside = guard(e, guarded, domain, context.point);
    some = any_inside(domain);
    for (size_t i = 0; i < dims.size(); ++i) coordinates[dims[i]] = guarded[i];
    if (e.rule == OutOfRange::fail && inside.valid()) {
      Value all = inside;
      if (b_.type(all).lanes > 1) { // every lane must be inside, of those that exist
        if (context.point.active.valid()) {
          Value missing =
              b_.compare(Opcode::ge, b_.iota({Scalar::i64, lanes, false}), b_.broadcast(context.point.active, lanes));
          all = b_.binary(Opcode::bit_or, all, missing);
        }
        Value bytes = b_.cast(Opcode::zext, all, Scalar::i32);
        all = b_.compare(Opcode::ne, b_.reduce(Opcode::reduce_min, bytes), integer({Scalar::i32, 1, false}, 0));
      }
      b_.check(all, e.integer);
      inside = {};
    }
  }
  const bool writable = buffer.role == BufferRole::output || buffer.role == BufferRole::inout || binding.aliased;
  const Value active = context.point.active;
  const Place_ at =
      or_first(place(coordinates, binding, lanes, active.valid() ? b_.known_constant(active).value_or(lanes) : lanes),
               some, lanes);
  const int32_t element_bytes = std::max(1, bits(buffer.dtype) / 8);
  const int32_t object = writable ? object_of_buffer(e.source) : -1;
  Value v;
  if (bits(buffer.dtype) < 8) {
    CAMEO_CHECK(at.step == 0 && !at.extra.valid(), "vectors of packed elements: " + buffer.name);
    v = load_packed(buffers_[e.source], at.address, buffer.dtype, context.point, object);
  } else {
    v = load_lanes(buffers_[e.source], storage_type(buffer.dtype), at, context.point, object, element_bytes);
    v = as_computed(v, buffer.dtype);
  }
  if (!inside.valid()) return v;
  return apply_op(
      Opcode::select,
      {splat(inside, b_.type(v).lanes > 1 ? lanes : b_.type(inside).lanes), v, constant(e.type, e.real, e.integer, 1)},
      e.type);
}

Value Lowerer::read_stage(const Expr &e, Context &context) {
  const Storage &storage = storage_[e.source];
  const Stage &stage = kernel_.stages[e.source];
  if (storage.kind == Storage::Kind::none) {
    CAMEO_CHECK(schedule_.stages[e.source].place == Place::inlined,
                "stage " + stage.name + " is read before it is computed");
    return read_inlined(e, context);
  }
  std::vector<LaneIndex> coordinates;
  for (const Index &i : e.indices) coordinates.push_back(lane_index(i, context));
  const int32_t lanes = context.point.lanes;
  if (storage.kind == Storage::Kind::output) { // the stage's own result buffer
    const StageStore &store = stage.stores[e.component];
    Value inside, some;
    if (e.rule != OutOfRange::never) {
      inside = guard(e, coordinates, full_box(e.source), context.point);
      some = any_inside(full_box(e.source));
    }
    const KernelBuffer &buffer = kernel_.buffers[store.buffer];
    Place_ at = or_first(place(coordinates, bindings_[store.buffer], lanes), some, lanes);
    Value v = load_lanes(buffers_[store.buffer], storage_type(buffer.dtype), at, context.point,
                         object_of_buffer(store.buffer), std::max(1, bits(buffer.dtype) / 8));
    v = as_computed(v, buffer.dtype);
    return inside.valid() ? apply_op(Opcode::select, {inside, v, constant(e.type, e.real, e.integer, 1)}, e.type) : v;
  }
  if (storage.kind == Storage::Kind::registers) {
    std::vector<int64_t> offsets;
    for (size_t d = 0; d < coordinates.size(); ++d) {
      const Affine offset = coordinates[d].base - storage.box[d].base;
      CAMEO_CHECK(offset.is_constant(), "stage " + stage.name + " in registers is read at a run-time place");
      offsets.push_back(offset.constant);
    }
    auto it = storage.values.find(offsets);
    CAMEO_CHECK(it != storage.values.end(), "stage " + stage.name + " in registers is read where it has no value");
    return it->second[e.component];
  }
  if (e.rule == OutOfRange::clamp || e.rule == OutOfRange::fail) { // storage has a halo for filled reads only
    Value inside = guard(e, coordinates, full_box(e.source), context.point);
    CAMEO_CHECK(e.rule == OutOfRange::clamp || !inside.valid(), "a stage is read with a check: " + stage.name);
  }
  Binding binding;
  for (size_t d = 0; d < coordinates.size(); ++d) {
    LaneIndex &c = coordinates[d];
    c.base += storage.box[d].base * -1;
    if (storage.strides[d] == 0) continue; // folded
    if (static_cast<int32_t>(d) == storage.rolling_axis) {
      // Ring of rows: the absolute index modulo the ring, kept non-negative.
      CAMEO_CHECK(c.step == 0 && !c.extra.valid(), "a rolling axis is not a vector axis");
      Affine row = c.base + storage.box[d].base + Affine(storage.rolling * 1024);
      c.base = row.is_constant()
                   ? Affine(row.constant % storage.rolling)
                   : Affine(apply_op(Opcode::urem, {index_value(row), integer(kIndex, storage.rolling)}, Scalar::i64));
    }
    binding.terms.push_back({static_cast<int32_t>(d), 1, 0, storage.strides[d], -1});
  }
  const Place_ at = place(coordinates, binding, lanes);
  const bool boolean = stage.types[e.component] == Scalar::i1;
  const Scalar type = boolean ? Scalar::i8 : stage.types[e.component];
  Point full = context.point;
  if (at.step == 1 && full.active.valid()) { // rows are padded to whole vectors: no need to cut the last one
    const StageSchedule &plan = schedule_.stages[e.source];
    for (size_t d = 0; d < coordinates.size(); ++d) {
      if (coordinates[d].step != 1 || static_cast<int32_t>(d) != plan.vector_axis) continue;
      const int64_t padded = (storage.box[d].extent + plan.lanes - 1) / plan.lanes * plan.lanes;
      const auto range = bounds(coordinates[d].base);
      if (range && range->second + lanes <= padded) full.active = {};
    }
  }
  Value v =
      load_lanes(storage.buffers[e.component], type, at, full, object_of_stage(e.source), std::max(1, bits(type) / 8));
  if (boolean) v = apply_op(Opcode::ne, {v, constant(Scalar::i8, 0, 0, 1)}, Scalar::i1);
  return v;
}

Value Lowerer::read_inlined(const Expr &e, Context &context) {
  const Stage &stage = kernel_.stages[e.source];
  std::vector<LaneIndex> coordinates;
  for (const Index &i : e.indices) coordinates.push_back(lane_index(i, context));
  Value inside;
  if (e.rule != OutOfRange::never) inside = guard(e, coordinates, full_box(e.source), context.point);
  Point point;
  point.active = context.point.active;
  for (size_t d = 0; d < coordinates.size(); ++d) {
    const LaneIndex &c = coordinates[d];
    CAMEO_CHECK(!c.extra.valid(), "an inlined stage is read at an indirect index: " + stage.name);
    point.index.push_back(c.base);
    if (c.step == 0) continue;
    CAMEO_CHECK(c.step == 1 && point.vector_axis < 0, "an inlined stage is read with a stride: " + stage.name);
    point.vector_axis = static_cast<int32_t>(d);
    point.lanes = context.point.lanes;
  }
  if (point.lanes == 1) point.active = {};
  if (!context.inlined) context.inlined = std::make_shared<Inlined>();
  Key key{e.source, e.component, point.vector_axis, point.lanes, point.active.id};
  for (const Affine &index : point.index) append_key(key, index);
  Value v;
  if (const auto known = context.inlined->find(key); known != context.inlined->end()) {
    v = known->second;
  } else if (stage.is_reduction()) { // unrolled completely
    std::vector<Value> carried;
    Context initial{e.source, point, nullptr, {}, context.inlined};
    for (ExprId i : stage.init) carried.push_back(eval(i, initial));
    std::vector<int64_t> k(stage.axes.size() - stage.outer_rank(), 0);
    const size_t outer = point.index.size();
    for (bool more = true; more;) {
      Point at = point;
      for (int64_t i : k) at.index.emplace_back(i);
      Context body{e.source, at, &carried, {}, context.inlined};
      std::vector<Value> next;
      for (ExprId n : stage.next) next.push_back(eval(n, body));
      carried = std::move(next);
      more = false;
      for (size_t d = k.size(); d-- > 0 && !more;) {
        if (++k[d] < stage.axes[outer + d].extent.value)
          more = true;
        else
          k[d] = 0;
      }
    }
    v = carried[e.component];
  } else {
    Context body{e.source, point, nullptr, {}, context.inlined};
    v = eval(stage.next[e.component], body);
  }
  context.inlined->emplace(std::move(key), v);
  if (!inside.valid()) return v;
  return apply_op(Opcode::select, {inside, v, constant(e.type, e.real, e.integer, 1)}, e.type);
}

} // namespace cameo::loop
