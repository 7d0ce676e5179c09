// The program's own functions: @run runs the steps in order on addresses in ports, constants and arena
// (emit_steps.cpp);
// @workspace_bytes says how large the arena is; @output_dims what the outputs' extents are.
//
// @run is cut into functions of a limited number of steps, which pass everything on: LLVM takes more than linear time
// on large functions.
#include "emitter.h"

#include "evaluate.h"
#include "memory.h"
#include "pack.h"
#include "planner.h"

#include "cameo/loop/legalize.h"
#include "cameo/loop/verify.h"

#include <algorithm>
#include <set>

namespace cameo::passes {

using graph::Dim;
using graph::Value;

namespace {

int64_t static_elements(const Port &port) {
  const Dim n = graph::product(port.dims);
  return n.is_constant() ? n.value() : -1;
}

// Extents that some values of the caller's symbols make negative: `n - 2` after a window of 3. Tensors of such shapes,
// and everything that the plan laid out beside them, would lie outside of their memory.
// What a branch or loop may skip is checked there (Planner::check_sizes).
std::vector<Dim> doubtful_extents(const graph::Graph &graph) {
  std::set<Dim> found;
  auto visit = [&](const graph::Node &node) {
    for (const Value *v : node.results()) {
      if (!v->type().is_tensor() || !v->type().is_ranked()) continue;
      for (const Dim &d : v->type().shape()) {
        bool at_run = false;
        d.for_each_symbol([&](const std::string &key) { at_run |= key[0] == '?'; });
        if (!at_run && may_be_negative(d)) found.insert(d);
      }
    }
  };
  for (const graph::Node *node : graph.main().body->nodes()) {
    visit(*node);
    if (node->is(graph::Op::fused))
      for (const graph::Node *inner : node->body()->nodes()) visit(*inner);
  }
  return {found.begin(), found.end()};
}

int64_t storage_elements(DType dtype, int64_t n) { return n < 0 || bits(dtype) >= 8 ? n : (n * bits(dtype) + 7) / 8; }

} // namespace

std::vector<loop::Value> Emitter::Frame::all() const {
  std::vector<loop::Value> values = inputs;
  values.insert(values.end(), outputs.begin(), outputs.end());
  if (run_dims.valid()) values.insert(values.end(), {run_dims, capacity});
  values.push_back(weights);
  values.push_back(workspace);
  values.insert(values.end(), symbols.begin(), symbols.end());
  return values;
}

Result<Variant> Emitter::run() {
  store_constants();
  KernelCache cache(variant_.code, variant_.target);
  calls_.resize(plan_.steps.size());
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    const Step &step = plan_.steps[s];
    if (!runs_kernel(step.kind)) continue;
    CAMEO_TRY(BoundStep bound, bind_planned(plan_, step, numbers_));
    if (!bound.lowered.runtime.empty()) {
      declare_runtime(bound.lowered);
      calls_[s] = {nullptr, std::move(bound), -1};
      ++variant_.calls;
      continue;
    }
    const loop::AppliedKernel &applied = cache.get(bound.lowered.kernel, bound.bindings, step.schedule);
    if (step.scratch < 0)
      scratch_ = std::max(scratch_, applied.scratch_bytes);
    else
      CAMEO_CHECK(plan_.buffers[static_cast<size_t>(step.scratch)].bytes == Dim(applied.scratch_bytes),
                  "the plan has another size of scratch memory");
    calls_[s] = {&applied, std::move(bound), step.scratch};
    ++variant_.calls;
  }
  variant_.kernels = cache.size();
  variant_.grown = grown_buffers(plan_);
  if (variant_.grown > 0) declare_memory();
  emit_run();
  emit_workspace_bytes();
  if (interface_.computed_outputs) emit_output_dims();
  loop::legalize(variant_.code, variant_.target);
  loop::verify_or_die(variant_.code, "build_program");
  return std::move(variant_);
}

// A function of the runtime: its buffers, then sizes.
void Emitter::declare_runtime(const ops::Lowered &lowered) {
  if (variant_.code.find(lowered.runtime)) return;
  loop::Function f;
  f.name = lowered.runtime;
  f.declaration = true;
  for (const loop::KernelBuffer &b : lowered.kernel.buffers) {
    const bool read = b.role != loop::BufferRole::output;
    f.params.push_back({f.new_value(loop::buffer_of(loop::storage_type(b.dtype)), b.name), read, false, 0, -1});
  }
  for (size_t i = 0; i < lowered.sizes.size(); ++i)
    f.params.push_back({f.new_value(loop::kIndex, "n" + std::to_string(i)), false, false, 0, -1});
  variant_.code.functions.push_back(std::move(f));
}

// Packed by its placement, or as it is. A constant of the model's file is not copied.
void Emitter::store_constants() {
  constant_offsets_.assign(plan_.buffers.size(), -1);
  auto store = [&](int32_t buffer, const Placement *place, const loop::Kernel *derivation = nullptr) {
    int64_t &offset = constant_offsets_[static_cast<size_t>(buffer)];
    const BufferPlan &b = plan_.buffers[static_cast<size_t>(buffer)];
    if (offset >= 0 || b.space != BufferPlan::Space::weights) return;
    const Value *value = numbers_.value(b.port);
    graph::Constant data = value->producer()->tensor("value");
    if (data->bytes().empty()) { // nothing to store: any address serves
      offset = 0;
      return;
    }
    if (derivation) data = derive(*derivation, *data);
    if (!derivation && (!place || is_row_major(*place, value->type(), b.bytes))) {
      offset = constants_.add(data->bytes(), data);
      return;
    }
    auto bytes = std::make_shared<std::vector<std::byte>>(
        pack(*data, *place, b.bytes.value() / std::max(1, bits(data->dtype()) / 8)));
    const std::span<const std::byte> span(*bytes);
    offset = constants_.add(span, std::move(bytes));
  };
  std::vector<ops::Lowered> kernels;
  for (const Step &step : plan_.steps) {
    kernels.emplace_back();
    if (step.kind != Step::Kind::kernel) continue;
    Result<ops::Lowered> lowered = ops::lower(*numbers_.node(step.node), {step.algorithm});
    CAMEO_CHECK(lowered.ok(), "a planned node has a kernel");
    kernels.back() = std::move(*lowered);
    for (const auto &[argument, place] : step.packed)
      store(place.buffer, &place, kernels.back().arguments[static_cast<size_t>(argument)].derive.get());
  }
  // Those that some kernel reads as they are.
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    const Step &step = plan_.steps[s];
    auto read = [&](int32_t number) {
      if (const ValuePlan *v = plan_.find(number)) store(v->place.buffer, &v->place);
    };
    if (step.kind == Step::Kind::fill || step.kind == Step::Kind::copy || step.kind == Step::Kind::check)
      read(step.value);
    if (step.kind == Step::Kind::rules && step.from.buffer >= 0) store(step.from.buffer, &step.from);
    if (step.kind == Step::Kind::branch || step.kind == Step::Kind::loop) {
      const graph::Node &node = *numbers_.node(step.node);
      for (size_t i = 0; i < std::min<size_t>(2, node.operand_count()); ++i)
        if (node.operand(i) && !constant_scalar(node.operand(i))) read(numbers_.of(node.operand(i)));
    }
    if (step.kind == Step::Kind::extents)
      for (const graph::Value *v : numbers_.node(step.node)->operands())
        if (v) read(numbers_.of(v));
    if (step.kind != Step::Kind::kernel) continue;
    const graph::Node &node = *numbers_.node(step.node);
    const std::vector<ops::Argument> &arguments = kernels[s].arguments;
    for (size_t i = 0; i < arguments.size(); ++i) {
      const bool is_packed = std::any_of(step.packed.begin(), step.packed.end(),
                                         [&](const auto &p) { return p.first == static_cast<int32_t>(i); });
      if (arguments[i].kind == ops::Argument::Kind::operand && !is_packed)
        read(numbers_.of(argument_value(node, arguments[i])));
    }
  }
}

Emitter::Frame Emitter::parameters(loop::Builder &b) {
  Frame f;
  int k = 0;
  for (const Port &port : interface_.inputs) {
    const int64_t n = static_elements(port);
    f.inputs.push_back(b.buffer_param("in" + std::to_string(k++), loop::storage_type(port.dtype), true, true,
                                      storage_elements(port.dtype, n), std::max(1, bits(port.dtype) / 8)));
  }
  k = 0;
  for (const Port &port : interface_.outputs) {
    const int64_t n = static_elements(port);
    f.outputs.push_back(b.buffer_param("out" + std::to_string(k++), loop::storage_type(port.dtype), false, true,
                                       storage_elements(port.dtype, n), std::max(1, bits(port.dtype) / 8)));
  }
  if (interface_.any_at_run()) {
    f.run_dims = b.buffer_param("run_dims", loop::Scalar::i64, false, true, -1, 8);
    f.capacity = b.buffer_param("capacity", loop::Scalar::i64, true, true, -1, 8);
  }
  f.weights = b.buffer_param("weights", loop::Scalar::i8, true, true, -1, 64);
  const Dim bytes = workspace();
  // Grown buffers are reached by their distance from the workspace.
  const bool bounded = bytes.is_constant() && grown_buffers(plan_) == 0;
  f.workspace =
      b.buffer_param("workspace", loop::Scalar::i8, false, grown_buffers(plan_) == 0, bounded ? bytes.value() : -1, 64);
  for (size_t i = 0; i < interface_.symbols.size(); ++i) f.symbols.push_back(b.scalar_param("s" + std::to_string(i)));
  return f;
}

DimCode Emitter::dims(loop::Builder &b, const Frame &frame) {
  std::map<std::string, loop::Value> values;
  for (size_t i = 0; i < frame.symbols.size(); ++i) values.emplace(interface_.symbols[i].key, frame.symbols[i]);
  if (!frame.workspace.valid()) return DimCode(b, std::move(values));
  return DimCode(b, std::move(values), [this, &b, workspace = frame.workspace](const std::string &key) {
    return b.load(b.view(workspace, loop::Affine(0), loop::Scalar::i64), loop::Affine(slot(key)));
  });
}

void Emitter::emit_run() {
  loop::Builder b(variant_.code, "run");
  b.function().exported = true;
  const Frame frame = parameters(b);
  Site site{b, frame, dims(b, frame)};
  if (const int64_t bytes = head_bytes(plan_)) {
    b.store(b.index_constant(0), head(site), loop::Affine(0));
    for (int64_t i = 8 * (1 + static_cast<int64_t>(plan_.slots.size())); i < bytes; i += 8)
      b.store(b.index_constant(0), head(site), loop::Affine(i / 8)); // nothing is allocated yet
  }
  emit_range(site, 0, plan_.steps.size());
  if (frame.run_dims.valid()) unless_failed(site, [&](Site &s) { emit_run_dims(s); });
  b.finish();
}

void Emitter::emit_workspace_bytes() {
  loop::Builder b(variant_.code, "workspace_bytes");
  b.function().exported = true;
  b.set_results({loop::kIndex});
  Frame frame;
  for (size_t i = 0; i < interface_.symbols.size(); ++i)
    frame.symbols.push_back(b.scalar_param("s" + std::to_string(i)));
  DimCode code = dims(b, frame);
  const std::vector<Dim> doubtful = doubtful_extents(graph_);
  loop::Value least = b.index_constant(0);
  for (const Dim &d : doubtful) least = b.min(least, code.value(d));
  const loop::Value bytes = code.value(workspace());
  // Less than 0: no run is possible.
  const loop::Value possible = b.compare(loop::Opcode::ge, least, b.index_constant(0));
  b.finish({doubtful.empty() ? bytes : b.select(possible, bytes, b.index_constant(-1))});
}

void Emitter::emit_output_dims() {
  loop::Builder b(variant_.code, "output_dims");
  b.function().exported = true;
  int64_t count = 0;
  for (const Port &port : interface_.outputs) count += static_cast<int64_t>(port.dims.size());
  const loop::Value out = b.buffer_param("dims", loop::Scalar::i64, false, true, count, 8);
  Frame frame;
  for (size_t i = 0; i < interface_.symbols.size(); ++i)
    frame.symbols.push_back(b.scalar_param("s" + std::to_string(i)));
  DimCode code = dims(b, frame);
  int64_t at = 0;
  for (const Port &port : interface_.outputs)
    for (const Dim &d : port.dims)
      b.store(interface_.at_run(d) ? b.index_constant(-1) : code.value(d), out, loop::Affine(at++));
  b.finish();
}

Result<Variant> emit_program(const graph::Graph &graph, const Plan &plan, const loop::Target &target,
                             ConstantBlock &constants, const Interface &interface, const ProgramOptions &options) {
  return Emitter(graph, plan, target, constants, interface, options).run();
}

} // namespace cameo::passes
