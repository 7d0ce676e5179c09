// Construction and verification of kernels in stage form (see cameo/loop/kernel.h).
#include "cameo/loop/kernel.h"

#include <algorithm>

namespace cameo::loop {

Index axis_index(int32_t axis, int64_t coefficient, int64_t constant) {
  Index index;
  if (coefficient != 0) index.axes.emplace_back(axis, coefficient);
  index.constant = constant;
  return index;
}

int32_t Stage::outer_rank() const {
  return static_cast<int32_t>(
      std::count_if(axes.begin(), axes.end(), [](const Axis &a) { return a.kind != AxisKind::reduction; }));
}

int32_t Kernel::add_buffer(std::string buffer_name, DType dtype, std::vector<Extent> dims, BufferRole role) {
  CAMEO_CHECK(find_buffer(buffer_name) < 0, "two buffers named " + buffer_name);
  buffers.push_back({std::move(buffer_name), dtype, std::move(dims), role});
  return static_cast<int32_t>(buffers.size()) - 1;
}

int32_t Kernel::add_stage(Stage stage) {
  CAMEO_CHECK(find_stage(stage.name) < 0, "two stages named " + stage.name);
  stages.push_back(std::move(stage));
  return static_cast<int32_t>(stages.size()) - 1;
}

namespace {
ExprId append(std::vector<Expr> &exprs, Expr e) {
  exprs.push_back(std::move(e));
  return static_cast<ExprId>(exprs.size()) - 1;
}
Expr make(Expr::Kind kind, Scalar type) {
  Expr e;
  e.kind = kind;
  e.type = type;
  return e;
}
} // namespace

ExprId Kernel::constant(Scalar type, double value) {
  CAMEO_CHECK(is_float(type), "constant() of an integer type");
  Expr e = make(Expr::Kind::constant, type);
  e.real = value;
  return append(exprs, std::move(e));
}

ExprId Kernel::constant_int(Scalar type, int64_t value) {
  CAMEO_CHECK(is_int(type), "constant_int() of a float type");
  Expr e = make(Expr::Kind::constant, type);
  e.integer = value;
  return append(exprs, std::move(e));
}

ExprId Kernel::axis_value(int32_t axis) {
  Expr e = make(Expr::Kind::axis, Scalar::i64);
  e.integer = axis;
  return append(exprs, std::move(e));
}

ExprId Kernel::symbol_value(int32_t symbol) {
  CAMEO_CHECK(symbol >= 0 && symbol < static_cast<int32_t>(symbols.size()), "symbol out of range");
  Expr e = make(Expr::Kind::symbol, Scalar::i64);
  e.integer = symbol;
  return append(exprs, std::move(e));
}

ExprId Kernel::read(int32_t buffer, std::vector<Index> indices, OutOfRange rule, double fill) {
  CAMEO_CHECK(buffer >= 0 && buffer < static_cast<int32_t>(buffers.size()), "buffer out of range");
  CAMEO_CHECK(indices.size() == buffers[buffer].dims.size(), "index count of " + buffers[buffer].name);
  Expr e = make(Expr::Kind::buffer, compute_type(buffers[buffer].dtype));
  e.source = buffer;
  e.indices = std::move(indices);
  e.rule = rule;
  e.real = fill;
  e.integer = static_cast<int64_t>(fill);
  return append(exprs, std::move(e));
}

ExprId Kernel::read_stage(int32_t stage, std::vector<Index> indices, int32_t component, OutOfRange rule, double fill) {
  CAMEO_CHECK(stage >= 0 && stage < static_cast<int32_t>(stages.size()), "stage out of range");
  const Stage &s = stages[stage];
  CAMEO_CHECK(component >= 0 && component < static_cast<int32_t>(s.types.size()), "component of " + s.name);
  CAMEO_CHECK(static_cast<int32_t>(indices.size()) == s.outer_rank(), "index count of " + s.name);
  Expr e = make(Expr::Kind::stage, s.types[component]);
  e.source = stage;
  e.component = component;
  e.indices = std::move(indices);
  e.rule = rule;
  e.real = fill;
  e.integer = static_cast<int64_t>(fill);
  return append(exprs, std::move(e));
}

ExprId Kernel::carried(Scalar type, int32_t component) {
  Expr e = make(Expr::Kind::carried, type);
  e.component = component;
  return append(exprs, std::move(e));
}

ExprId Kernel::op(Opcode code, std::vector<ExprId> args) {
  const OpClass c = op_class(code);
  const size_t count = c == OpClass::unary ? 1 : c == OpClass::ternary || code == Opcode::select ? 3 : 2;
  CAMEO_CHECK(c != OpClass::cast && (c != OpClass::other || code == Opcode::select), "not a pure operation");
  CAMEO_CHECK(args.size() == count, "operand count of " + std::string(loop::name(code)));
  Expr e = make(Expr::Kind::op, c == OpClass::compare ? Scalar::i1 : expr(args.back()).type);
  for (size_t i = code == Opcode::select ? 1 : 0; i + 1 < args.size(); ++i)
    CAMEO_CHECK(expr(args[i]).type == expr(args.back()).type, "operand types of " + std::string(loop::name(code)));
  e.op = code;
  e.args = std::move(args);
  return append(exprs, std::move(e));
}

ExprId Kernel::cast(Opcode code, ExprId a, Scalar to) {
  CAMEO_CHECK(op_class(code) == OpClass::cast, "not a cast");
  Expr e = make(Expr::Kind::op, to);
  e.op = code;
  e.args = {a};
  return append(exprs, std::move(e));
}

ExprId Kernel::pick(int32_t axis, std::vector<ExprId> args) {
  CAMEO_CHECK(!args.empty(), "pick of nothing");
  Expr e = make(Expr::Kind::pick, expr(args[0]).type);
  for (ExprId a : args) CAMEO_CHECK(expr(a).type == e.type, "pick among types");
  e.integer = axis;
  e.args = std::move(args);
  return append(exprs, std::move(e));
}

const Expr &Kernel::expr(ExprId id) const {
  CAMEO_CHECK(id >= 0 && id < static_cast<ExprId>(exprs.size()), "expression out of range");
  return exprs[id];
}

int32_t Kernel::find_stage(std::string_view wanted) const {
  for (size_t i = 0; i < stages.size(); ++i)
    if (stages[i].name == wanted) return static_cast<int32_t>(i);
  return -1;
}

int32_t Kernel::find_buffer(std::string_view wanted) const {
  for (size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].name == wanted) return static_cast<int32_t>(i);
  return -1;
}

namespace {
// Collects violations of the invariants listed at verify() in kernel.h.
class KernelVerifier {
public:
  explicit KernelVerifier(const Kernel &kernel) : k_(kernel) {}

  std::vector<std::string> run() {
    for (size_t s = 0; s < k_.stages.size(); ++s) stage(static_cast<int32_t>(s));
    return std::move(errors_);
  }

private:
  void error(const std::string &what) { errors_.push_back("kernel @" + k_.name + ": stage " + where_ + ": " + what); }

  void stage(int32_t s) {
    const Stage &stage = k_.stages[s];
    where_ = stage.name;
    const int32_t outer = stage.outer_rank();
    bool reduction_seen = false;
    for (const Axis &axis : stage.axes) {
      if (axis.kind == AxisKind::reduction)
        reduction_seen = true;
      else if (reduction_seen)
        error("axis " + axis.name + " follows a reduction axis");
      if (axis.extent.is_constant() ? axis.extent.value < 0
                                    : axis.extent.symbol >= static_cast<int32_t>(k_.symbols.size()))
        error("extent of axis " + axis.name);
    }
    if (stage.next.size() != stage.types.size()) return error("needs one expression per component");
    if (reduction_seen != stage.is_reduction() || (stage.is_reduction() && stage.init.size() != stage.types.size()))
      return error("a reduction needs reduction axes and one initial value per component");
    const bool sequential =
        std::any_of(stage.axes.begin(), stage.axes.end(), [](const Axis &a) { return a.kind == AxisKind::sequential; });
    if (sequential && stage.before.size() != stage.types.size())
      return error("a sequential stage needs its value before the first step");
    for (size_t c = 0; c < stage.types.size(); ++c) {
      typed(stage.next[c], stage.types[c]);
      walk(s, stage.next[c], static_cast<int32_t>(stage.axes.size()), stage.is_reduction());
      if (stage.is_reduction()) {
        typed(stage.init[c], stage.types[c]);
        walk(s, stage.init[c], outer, false);
      }
      if (sequential) walk(s, stage.before[c], outer, false);
    }
    if (!stage.stores.empty() && stage.stores.size() != stage.types.size())
      error("needs one store per component or none");
    for (const StageStore &store : stage.stores) {
      if (store.buffer < 0) continue;
      if (store.buffer >= static_cast<int32_t>(k_.buffers.size())) {
        error("stores to no buffer");
        continue;
      }
      const KernelBuffer &b = k_.buffers[store.buffer];
      if (b.role == BufferRole::input || b.role == BufferRole::constant) error("stores to read-only buffer " + b.name);
      if (store.indices.size() != b.dims.size()) error("index count of the store to " + b.name);
      for (const Index &i : store.indices) index(s, i, outer, false);
    }
  }

  void typed(ExprId e, Scalar type) {
    if (e < 0 || e >= static_cast<ExprId>(k_.exprs.size()))
      error("expression out of range");
    else if (k_.exprs[e].type != type)
      error("component type differs from its expression");
  }

  void index(int32_t s, const Index &i, int32_t axes, bool carried) {
    for (auto [axis, coefficient] : i.axes)
      if (axis < 0 || axis >= axes || coefficient == 0) error("index over an axis that is not in scope");
    if (i.indirect >= 0) {
      typed(i.indirect, Scalar::i64);
      walk(s, i.indirect, axes, carried);
    }
  }

  void walk(int32_t s, ExprId id, int32_t axes, bool carried) {
    if (id < 0 || id >= static_cast<ExprId>(k_.exprs.size())) return error("expression out of range");
    const Expr &e = k_.exprs[id];
    for (ExprId a : e.args) {
      if (a >= id) return error("expression refers forward");
      walk(s, a, axes, carried);
    }
    for (const Index &i : e.indices) index(s, i, axes, carried);
    const bool over_axis = e.kind == Expr::Kind::axis || e.kind == Expr::Kind::pick;
    if (over_axis && (e.integer < 0 || e.integer >= axes)) error("uses an axis that is not in scope");
    if (e.kind == Expr::Kind::carried && !carried) error("carried value outside of a reduction's next");
    if (e.kind == Expr::Kind::stage && e.source >= s && !one_step_back(e))
      error("reads stage " + k_.stages[e.source].name + " before it is defined");
  }

  // h[t-1, ...] of a sequential stage may be read by stages listed before it, and by itself.
  bool one_step_back(const Expr &e) const {
    const Stage &source = k_.stages[e.source];
    for (size_t d = 0; d < e.indices.size(); ++d)
      if (source.axes[d].kind == AxisKind::sequential) {
        const Index &i = e.indices[d];
        return i.axes.size() == 1 && i.axes[0].second == 1 && i.constant < 0 && i.indirect < 0;
      }
    return false;
  }

  const Kernel &k_;
  std::string where_;
  std::vector<std::string> errors_;
};
} // namespace

std::vector<std::string> verify(const Kernel &kernel) { return KernelVerifier(kernel).run(); }

} // namespace cameo::loop
