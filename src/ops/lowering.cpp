// The kernel under construction: sources of values, spaces, results (see lowering.h).
#include "lowering.h"

#include <algorithm>

namespace cameo::ops {

using graph::Dim;
using graph::Shape;
using graph::Value;

loop::Extent Lowered::extent(const Dim &dim) {
  CAMEO_CHECK(dim.valid(), "an extent that is no number");
  if (dim.is_constant()) return dim.value();
  for (size_t i = 0; i < symbols.size(); ++i)
    if (symbols[i] == dim) return loop::Extent::of_symbol(static_cast<int32_t>(i));
  symbols.push_back(dim);
  kernel.symbols.push_back("s" + std::to_string(kernel.symbols.size()));
  return loop::Extent::of_symbol(static_cast<int32_t>(symbols.size()) - 1);
}

Dim Lowered::dim(const loop::Extent &extent) const {
  return extent.is_constant() ? Dim(extent.value) : symbols.at(static_cast<size_t>(extent.symbol));
}

void Lowered::add_temporaries(int32_t number) {
  const size_t components = kernel.stages.at(static_cast<size_t>(number)).types.size();
  for (size_t c = 0; c < components; ++c) {
    loop::Stage &stage = kernel.stages[static_cast<size_t>(number)];
    DType dtype = DType::i64;
    switch (stage.types[c]) {
    case Scalar::f32:
      dtype = DType::f32;
      break;
    case Scalar::f64:
      dtype = DType::f64;
      break;
    case Scalar::i8:
      dtype = DType::i8;
      break;
    case Scalar::i16:
      dtype = DType::i16;
      break;
    case Scalar::i32:
      dtype = DType::i32;
      break;
    case Scalar::i64:
      break;
    default:
      CAMEO_UNREACHABLE("stage " + stage.name + " of a type that no buffer has");
    }
    std::vector<loop::Extent> dims;
    loop::StageStore store;
    for (int32_t d = 0; d < stage.outer_rank(); ++d) {
      dims.push_back(stage.axes[static_cast<size_t>(d)].extent);
      store.indices.push_back(loop::axis_index(d));
    }
    store.buffer = kernel.add_buffer("t_" + stage.name + "_" + std::to_string(c), dtype, std::move(dims),
                                     loop::BufferRole::output);
    CAMEO_CHECK(stage.stores.size() <= c || stage.stores[c].buffer < 0, "stage " + stage.name + " has a buffer");
    stage.stores.resize(components);
    stage.stores[c] = store;
    arguments.push_back({Argument::Kind::temporary, static_cast<size_t>(number), static_cast<size_t>(c), nullptr});
  }
}

Scalar value_type(DType dtype) { return dtype == DType::boolean ? Scalar::i1 : loop::compute_type(dtype); }

Lowering::Lowering(std::string name) { lowered_.kernel.name = std::move(name); }

int32_t Lowering::add_reduction(loop::Stage &stage, std::string name, loop::Extent extent) {
  stage.axes.push_back({std::move(name), extent, AxisKind::reduction});
  return static_cast<int32_t>(stage.axes.size()) - 1;
}

Space Lowering::space(const Shape &shape) {
  Space space;
  const bool whole = !part_ || !std::equal(shape.begin(), shape.end(), part_->shape.begin(), part_->shape.end(),
                                           [](const Dim &d, int64_t extent) { return d.is(extent); });
  for (size_t d = 0; d < shape.size(); ++d) {
    const auto [first, count] = whole ? std::pair<int64_t, int64_t>{0, 0} : part_->box[d];
    space.axes.push_back({"d" + std::to_string(d), whole ? extent(shape[d]) : loop::Extent(count), AxisKind::parallel});
    space.dims.push_back(loop::axis_index(static_cast<int32_t>(d), 1, first));
  }
  return space;
}

int64_t Part::points() const {
  int64_t points = 1;
  for (const auto &[first, count] : box) points *= count;
  return points;
}

void Lowering::begin_part(const Part &part) {
  part_ = part;
  std::erase_if(sources_, [](const auto &entry) { return entry.second.stage >= 0; });
}

Space Lowering::space_of(const Shape &shape, const std::vector<Value *> &operands) {
  for (const Value *v : operands) {
    if (!v || v->type().shape() != shape) continue;
    const Source &s = source(v);
    if (s.stage >= 0 && s.space.axes.size() != shape.size()) return s.space;
  }
  return space(shape);
}

loop::Stage Lowering::stage(const Space &space, std::string_view name) {
  loop::Stage stage;
  stage.name = unique(name);
  stage.axes = space.axes;
  return stage;
}

std::string Lowering::unique(std::string_view name) {
  const int number = names_[std::string(name)]++;
  return number == 0 ? std::string(name) : std::string(name) + "_" + std::to_string(number);
}

Lowering::Source &Lowering::source(const Value *value) {
  auto it = sources_.find(value->id());
  CAMEO_CHECK(it != sources_.end(), "value '" + value->name() + "' is read before it is lowered");
  return it->second;
}

int32_t Lowering::buffer_of(Source &s) {
  if (s.buffer >= 0) return s.buffer;
  CAMEO_CHECK(s.outside, "a stage has no buffer");
  std::vector<loop::Extent> dims;
  for (const Dim &d : s.outside->type().shape()) dims.push_back(extent(d));
  const bool constant = s.outside->constant() != nullptr;
  s.buffer = kernel().add_buffer("a" + std::to_string(s.operand), s.outside->type().dtype(), std::move(dims),
                                 constant ? loop::BufferRole::constant : loop::BufferRole::input);
  lowered_.arguments.push_back({Argument::Kind::operand, s.operand, 0, nullptr});
  return s.buffer;
}

ExprId Lowering::as_value(ExprId e, DType dtype) {
  if (dtype != DType::boolean || type(e) == Scalar::i1) return e;
  return op(Opcode::ne, e, kernel().constant_int(type(e), 0));
}

ExprId Lowering::number(Scalar t, double value) {
  if (loop::is_float(t)) return kernel().constant(t, value);
  CAMEO_CHECK(value == static_cast<double>(static_cast<int64_t>(value)), "not an integer");
  return kernel().constant_int(t, static_cast<int64_t>(value));
}

ExprId Lowering::dim_value(const Dim &dim) {
  const loop::Extent e = extent(dim);
  return e.is_constant() ? integer(e.value) : kernel().symbol_value(e.symbol);
}

ExprId Lowering::index_value(const Index &index) {
  ExprId sum = index.indirect;
  for (const auto &[axis, coefficient] : index.axes) {
    ExprId term = kernel().axis_value(axis);
    if (coefficient != 1) term = op(Opcode::mul, term, integer(coefficient));
    sum = sum < 0 ? term : op(Opcode::add, sum, term);
  }
  if (sum < 0) return integer(index.constant);
  return index.constant == 0 ? sum : op(Opcode::add, sum, integer(index.constant));
}

Index Lowering::at(ExprId expression) {
  Index index;
  index.indirect = expression;
  return index;
}

Index Lowering::offset(Index index, const Dim &by) {
  if (by.is_constant()) {
    index.constant += by.value();
    return index;
  }
  const ExprId value = dim_value(by);
  index.indirect = index.indirect < 0 ? value : op(Opcode::add, index.indirect, value);
  return index;
}

ExprId Lowering::read(const Value *value, std::vector<Index> indices, OutOfRange rule, double fill) {
  Source &s = source(value);
  const DType dtype = value->type().dtype();
  if (s.scalar && (rule == OutOfRange::never || rule == OutOfRange::clamp)) {
    const Scalar t = value_type(dtype);
    if (is_float(dtype)) return kernel().constant(t, s.scalar->as_double(0));
    return kernel().constant_int(t, t == Scalar::i1 ? (s.scalar->as_int(0) != 0 ? -1 : 0) : s.scalar->as_int(0));
  }
  if (s.stage < 0) return as_value(kernel().read(buffer_of(s), std::move(indices), rule, fill), dtype);
  // A stage in a space of its own: its axes are found again in the reader's indices, or by division.
  if (s.space.axes.size() == indices.size() && !part_)
    return as_value(kernel().read_stage(s.stage, std::move(indices), s.component, rule, fill), dtype);
  std::vector<Index> axes(s.space.axes.size());
  for (size_t d = 0; d < s.space.dims.size(); ++d) {
    const Index &map = s.space.dims[d];
    Index wanted = indices[d];
    wanted.constant -= map.constant;
    if (map.axes.size() == 1) {
      axes[map.axes[0].first] = wanted;
      continue;
    }
    // dim = sum of coefficient * axis with decreasing coefficients: a mixed-radix number. What lies outside the dim
    // lies outside the first of its axes, since the division is of unsigned numbers: a filled read keeps its meaning.
    bool same = wanted.axes == map.axes && wanted.constant == 0 && wanted.indirect < 0;
    ExprId rest = same ? -1 : index_value(wanted);
    for (const auto &[axis, coefficient] : map.axes) {
      if (same) {
        axes[axis] = loop::axis_index(axis);
        continue;
      }
      axes[axis] = at(op(Opcode::udiv, rest, integer(coefficient)));
      rest = op(Opcode::urem, rest, integer(coefficient));
    }
  }
  CAMEO_CHECK(rule == OutOfRange::never || (rule == OutOfRange::fill && !s.space.partial),
              "a guarded read of a stage in a space of its own");
  return as_value(kernel().read_stage(s.stage, std::move(axes), s.component, rule, fill), dtype);
}

ExprId Lowering::read_broadcast(const Value *value, const Shape &shape, const std::vector<Index> &dims) {
  const Shape &own = value->type().shape();
  CAMEO_CHECK(own.size() <= shape.size(), "an operand of higher rank than the result");
  const size_t skip = shape.size() - own.size();
  std::vector<Index> indices;
  for (size_t d = 0; d < own.size(); ++d) {
    const Index &index = dims[skip + d];
    if (own[d] == shape[skip + d]) {
      indices.push_back(index);
    } else if (own[d].is(1)) {
      indices.emplace_back();
    } else { // an extent that is 1 or that of the result, which only the run knows
      const ExprId last = op(Opcode::sub, dim_value(own[d]), integer(1));
      indices.push_back(at(op(Opcode::min, index_value(index), last)));
    }
  }
  return read(value, std::move(indices));
}

ExprId Lowering::read_stage(int32_t number, int32_t component) {
  std::vector<Index> indices;
  for (int32_t d = 0; d < kernel().stages[number].outer_rank(); ++d) indices.push_back(loop::axis_index(d));
  return kernel().read_stage(number, std::move(indices), component);
}

ExprId Lowering::read_previous(Scalar type, int32_t component, int32_t outer, int32_t axis) {
  loop::Expr e;
  e.kind = loop::Expr::Kind::stage;
  e.type = type;
  e.source = static_cast<int32_t>(kernel().stages.size());
  e.component = component;
  for (int32_t a = 0; a < outer; ++a) e.indices.push_back(loop::axis_index(a, 1, a == axis ? -1 : 0));
  kernel().exprs.push_back(std::move(e));
  return static_cast<ExprId>(kernel().exprs.size()) - 1;
}

void Lowering::define(const Value *value, int32_t number, int32_t component, const Space &space) {
  Source s;
  s.stage = number;
  s.component = component;
  s.space = space;
  partial_ = partial_ || space.partial;
  CAMEO_CHECK(sources_.emplace(value->id(), std::move(s)).second, "a value is lowered twice");
}

int32_t Lowering::define_pointwise(const Value *value, const Space &space, ExprId body, std::string_view name) {
  loop::Stage s = stage(space, name);
  s.types = {type(body)};
  s.next = {body};
  const int32_t number = add_stage(std::move(s));
  define(value, number, 0, space);
  return number;
}

const graph::ConstantData *Lowering::constant(const Value *value) const {
  const Value *v = outside(value);
  const graph::ConstantData *data = v ? v->constant() : nullptr;
  return data && data->available() ? data : nullptr;
}

const Value *Lowering::outside(const Value *value) const {
  if (!value) return nullptr;
  auto it = sources_.find(value->id());
  return it != sources_.end() && it->second.outside ? it->second.outside : value;
}

void Lowering::bind_operand(const Value *inside, const Value *outer, size_t index) {
  if (sources_.count(inside->id())) return; // the same value twice among the operands
  Source s;
  s.outside = outer;
  s.operand = index;
  const graph::ConstantData *data = outer->constant();
  const DType dtype = outer->type().dtype();
  if (data && data->available() && data->count() == 1 && bits(dtype) >= 8 && kind(dtype) != DTypeKind::complex)
    s.scalar = data;
  sources_.emplace(inside->id(), std::move(s));
}

int32_t Lowering::add_result_buffer(const Value *value) {
  std::vector<loop::Extent> dims;
  for (const Dim &d : value->type().shape()) dims.push_back(extent(d));
  lowered_.arguments.push_back({Argument::Kind::result, SIZE_MAX, 0, nullptr});
  return kernel().add_buffer(unique("y"), value->type().dtype(), std::move(dims), loop::BufferRole::output);
}

int32_t Lowering::derived(const Value *value, std::string name, std::shared_ptr<const loop::Kernel> make) {
  const Source &s = source(value);
  CAMEO_CHECK(s.outside && s.outside->constant() && make->buffers.size() == 2, "only constants are derived from");
  lowered_.arguments.push_back({Argument::Kind::operand, s.operand, 0, make});
  const loop::KernelBuffer &made = make->buffers[1];
  return kernel().add_buffer(std::move(name), made.dtype, made.dims, loop::BufferRole::constant);
}

int32_t Lowering::define_buffer(const Value *value) {
  Source s;
  s.buffer = add_result_buffer(value);
  s.written = true;
  const int32_t buffer = s.buffer;
  CAMEO_CHECK(sources_.emplace(value->id(), std::move(s)).second, "a value is lowered twice");
  return buffer;
}

int32_t Lowering::add_extents(int64_t count) {
  lowered_.arguments.push_back({Argument::Kind::extents, 0, 0, nullptr});
  return kernel().add_buffer("extents", DType::i64, {count}, loop::BufferRole::output);
}

void Lowering::add_element(int32_t buffer, int64_t position, ExprId value) {
  loop::Stage s = stage({}, "element");
  s.types = {type(value)};
  s.next = {value};
  s.stores = {loop::StageStore{buffer, {Index{{}, position, -1}}, OutOfRange::never, 0, false, Opcode::add}};
  add_stage(std::move(s));
}

void Lowering::store_result(const Value *value, size_t index) {
  const Shape &shape = value->type().shape();
  Source &s = source(value);
  if (s.written && lowered_.arguments[s.buffer].index == SIZE_MAX) {
    lowered_.arguments[s.buffer].index = index;
    return;
  }
  const auto [known, added] = results_.try_emplace(index, -1); // parts share it
  if (added) known->second = add_result_buffer(value);
  const int32_t buffer = known->second;
  lowered_.arguments[buffer].index = index;
  int32_t number = s.stage, component = s.component;
  Space space = s.space;
  const bool direct = number >= 0 && !kernel().stages[number].is_reduction() &&
                      (kernel().stages[number].stores.empty() || kernel().stages[number].stores[component].buffer < 0);
  if (!direct) {
    space = number >= 0 ? s.space : this->space(shape);
    loop::Stage copy = stage(space, "y");
    const ExprId body = number >= 0 ? read_stage(number, component) : read(value, space.dims);
    copy.types = {type(body)};
    copy.next = {body};
    number = add_stage(std::move(copy));
    component = 0;
  }
  loop::Stage &writer = kernel().stages[number];
  writer.stores.resize(writer.types.size());
  writer.stores[component].buffer = buffer;
  writer.stores[component].indices = space.dims;
  writer.stores[component].saturate = s.saturate;
  if (space.partial) writer.stores[component].rule = OutOfRange::fill;
}

// Stages that store nothing and that no stage with a use reads.
void Lowering::prune() {
  loop::Kernel &k = kernel();
  const int32_t count = static_cast<int32_t>(k.stages.size());
  std::vector<bool> used(k.stages.size(), false);
  std::vector<bool> seen(k.exprs.size(), false);
  auto visit = [&](int32_t s) {
    std::vector<ExprId> stack;
    auto push = [&](ExprId e) {
      if (e < 0 || seen[e]) return;
      seen[e] = true;
      stack.push_back(e);
    };
    for (const auto *list : {&k.stages[s].init, &k.stages[s].next, &k.stages[s].before})
      for (ExprId e : *list) push(e);
    for (const loop::StageStore &store : k.stages[s].stores)
      for (const Index &i : store.indices) push(i.indirect);
    while (!stack.empty()) {
      const loop::Expr &e = k.exprs[stack.back()];
      stack.pop_back();
      for (ExprId a : e.args) push(a);
      for (const Index &i : e.indices) push(i.indirect);
      if (e.kind == loop::Expr::Kind::stage) used[e.source] = true;
    }
  };
  for (int32_t s = count - 1; s >= 0; --s) {
    used[s] = used[s] || !k.stages[s].stores.empty();
    if (used[s]) visit(s);
  }
  std::vector<int32_t> renumbered(k.stages.size(), -1);
  std::vector<loop::Stage> kept;
  for (int32_t s = 0; s < count; ++s) {
    if (!used[s]) continue;
    renumbered[s] = static_cast<int32_t>(kept.size());
    kept.push_back(std::move(k.stages[s]));
  }
  k.stages = std::move(kept);
  for (loop::Expr &e : k.exprs)
    if (e.kind == loop::Expr::Kind::stage) e.source = std::max(renumbered[e.source], 0); // dead ones point anywhere
}

// Points outside of the tensor, which are not stored, must not read outside of other tensors.
void Lowering::clamp_partial() {
  loop::Kernel &k = kernel();
  for (const loop::Stage &reader : k.stages) {
    std::vector<bool> seen(k.exprs.size(), false);
    std::vector<ExprId> stack(reader.next.begin(), reader.next.end());
    stack.insert(stack.end(), reader.init.begin(), reader.init.end());
    while (!stack.empty()) {
      const ExprId id = stack.back();
      stack.pop_back();
      if (seen[id]) continue;
      seen[id] = true;
      loop::Expr &e = k.exprs[id];
      stack.insert(stack.end(), e.args.begin(), e.args.end());
      const bool buffer = e.kind == loop::Expr::Kind::buffer;
      if ((!buffer && e.kind != loop::Expr::Kind::stage) || e.rule != OutOfRange::never) continue;
      for (size_t d = 0; d < e.indices.size(); ++d) {
        const loop::Extent extent = buffer ? k.buffers[e.source].dims[d] : k.stages[e.source].axes[d].extent;
        int64_t first = e.indices[d].constant, last = first;
        for (const auto &[axis, coefficient] : e.indices[d].axes)
          if (reader.axes[axis].extent.is_constant())
            (coefficient < 0 ? first : last) += coefficient * (reader.axes[axis].extent.value - 1);
        if (extent.is_constant() && e.indices[d].indirect < 0 && (first < 0 || last >= extent.value))
          e.rule = OutOfRange::clamp;
      }
    }
  }
}

Lowered Lowering::finish(std::string origin) {
  for (const Argument &a : lowered_.arguments)
    CAMEO_CHECK(a.index != SIZE_MAX, "a value written part by part is no result of its group");
  prune();
  if (partial_) clamp_partial();
  kernel().origin = std::move(origin);
  const std::vector<std::string> problems = loop::verify(kernel());
  CAMEO_CHECK(problems.empty(), problems.empty() ? "" : problems[0]);
  return std::move(lowered_);
}

} // namespace cameo::ops
