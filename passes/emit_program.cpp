// The program's own functions: @run calls the kernels of the steps in order on addresses in ports, constants and arena;
// @workspace_bytes says how large the arena is; @output_dims what the outputs' extents are.
//
// @run is cut into functions of a limited number of calls, which pass everything on: LLVM takes more than linear time on large
// functions.
#include "emit_program.h"

#include "dim_code.h"
#include "kernel_cache.h"
#include "pack.h"
#include "steps.h"

#include "cameo/loop/legalize.h"
#include "cameo/loop/verify.h"

#include <algorithm>

namespace cameo::passes {

using graph::Dim;
using graph::Value;

namespace {

struct Call {
  const loop::AppliedKernel *kernel;
  BoundStep step;
};

class Emitter {
public:
  Emitter(const graph::Graph &graph, const Plan &plan, const loop::Target &target, ConstantBlock &constants,
          const Interface &interface, const ProgramOptions &options)
      : graph_(graph), plan_(plan), constants_(constants), interface_(interface), options_(options), numbers_(graph) {
    variant_.target = target;
    variant_.plan = plan;
  }

  Result<Variant> run() {
    store_constants();
    KernelCache cache(variant_.code, variant_.target);
    std::vector<Call> calls;
    for (const Step &step : plan_.steps) {
      CAMEO_TRY(BoundStep bound, bind_planned(plan_, step, numbers_));
      const loop::AppliedKernel &applied = cache.get(bound.lowered.kernel, bound.bindings, step.schedule);
      scratch_ = std::max(scratch_, applied.scratch_bytes);
      calls.push_back({&applied, std::move(bound)});
    }
    variant_.kernels = cache.size();
    variant_.calls = static_cast<int64_t>(calls.size());
    emit_run(calls);
    emit_workspace_bytes();
    if (interface_.computed_outputs) emit_output_dims();
    loop::legalize(variant_.code, variant_.target);
    loop::verify_or_die(variant_.code, "build_program");
    return std::move(variant_);
  }

private:
  struct Frame {
    std::vector<loop::Value> inputs, outputs, symbols;
    loop::Value weights, workspace;
    std::vector<loop::Value> all() const {
      std::vector<loop::Value> values = inputs;
      values.insert(values.end(), outputs.begin(), outputs.end());
      values.push_back(weights);
      values.push_back(workspace);
      values.insert(values.end(), symbols.begin(), symbols.end());
      return values;
    }
  };

  // Packed by its placement, or as it is. A constant of the model's file is not copied.
  void store_constants() {
    constant_offsets_.assign(plan_.buffers.size(), -1);
    auto store = [&](int32_t buffer, const Placement *place) {
      int64_t &offset = constant_offsets_[static_cast<size_t>(buffer)];
      const BufferPlan &b = plan_.buffers[static_cast<size_t>(buffer)];
      if (offset >= 0 || b.space != BufferPlan::Space::weights) return;
      const Value *value = numbers_.value(b.port);
      const graph::Constant &data = value->producer()->tensor("value");
      if (!place || is_row_major(*place, value->type(), b.bytes)) {
        offset = constants_.add(data->bytes(), data);
        return;
      }
      auto bytes = std::make_shared<std::vector<std::byte>>(
          pack(*data, *place, b.bytes.value() / std::max(1, bits(data->dtype()) / 8)));
      const std::span<const std::byte> span(*bytes);
      offset = constants_.add(span, std::move(bytes));
    };
    for (const Step &step : plan_.steps)
      for (const auto &[argument, place] : step.packed) store(place.buffer, &place);
    // Those that some kernel reads as they are.
    for (const Step &step : plan_.steps) {
      auto read = [&](int32_t number) {
        if (const ValuePlan *v = plan_.find(number)) store(v->place.buffer, &v->place);
      };
      if (step.kind != Step::Kind::kernel) {
        read(step.value);
        continue;
      }
      const graph::Node &node = *numbers_.node(step.node);
      const Result<ops::Lowered> lowered = ops::lower(node, {step.algorithm});
      CAMEO_CHECK(lowered.ok(), "a planned node has a kernel");
      for (size_t i = 0; i < lowered->arguments.size(); ++i) {
        const bool is_packed = std::any_of(step.packed.begin(), step.packed.end(),
                                           [&](const auto &p) { return p.first == static_cast<int32_t>(i); });
        if (lowered->arguments[i].kind == ops::Argument::Kind::operand && !is_packed)
          read(numbers_.of(argument_value(node, lowered->arguments[i])));
      }
    }
  }

  static int64_t static_elements(const Port &port) {
    const Dim n = graph::product(port.dims);
    return n.is_constant() ? n.value() : -1;
  }

  Frame parameters(loop::Builder &b) {
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
    f.weights = b.buffer_param("weights", loop::Scalar::i8, true, true, -1, 64);
    const Dim bytes = workspace();
    f.workspace =
        b.buffer_param("workspace", loop::Scalar::i8, false, true, bytes.is_constant() ? bytes.value() : -1, 64);
    for (size_t i = 0; i < interface_.symbols.size(); ++i) f.symbols.push_back(b.scalar_param("s" + std::to_string(i)));
    return f;
  }

  static int64_t storage_elements(DType dtype, int64_t n) {
    return n < 0 || bits(dtype) >= 8 ? n : (n * bits(dtype) + 7) / 8;
  }

  DimCode dims(loop::Builder &b, const std::vector<loop::Value> &symbols) {
    std::map<std::string, loop::Value> values;
    for (size_t i = 0; i < symbols.size(); ++i) values.emplace(interface_.symbols[i].key, symbols[i]);
    return DimCode(b, std::move(values));
  }

  Dim workspace() const { return plan_.arena_bytes + scratch_; }

  void emit_run(const std::vector<Call> &calls) {
    const size_t limit = static_cast<size_t>(std::max<int64_t>(1, options_.calls_per_function));
    if (calls.size() <= limit) {
      loop::Builder b(variant_.code, "run");
      b.function().exported = true;
      emit_calls(b, parameters(b), calls, 0, calls.size());
      b.finish();
      return;
    }
    std::vector<std::string> parts;
    for (size_t from = 0; from < calls.size(); from += limit) {
      parts.push_back("run_" + std::to_string(parts.size()));
      loop::Builder b(variant_.code, parts.back());
      b.function().noinline = true;
      emit_calls(b, parameters(b), calls, from, std::min(calls.size(), from + limit));
      b.finish();
    }
    loop::Builder b(variant_.code, "run");
    b.function().exported = true;
    const std::vector<loop::Value> arguments = parameters(b).all();
    for (const std::string &part : parts) b.call(part, arguments);
    b.finish();
  }

  void emit_calls(loop::Builder &b, const Frame &frame, const std::vector<Call> &calls, size_t from, size_t to) {
    DimCode code = dims(b, frame.symbols);
    for (size_t c = from; c < to; ++c) {
      const Call &call = calls[c];
      const loop::Kernel &kernel = call.step.lowered.kernel;
      std::vector<loop::Value> arguments;
      for (size_t i = 0; i < kernel.buffers.size(); ++i)
        arguments.push_back(
            address(b, code, frame, call.step.places[i].buffer, kernel.buffers[i].dtype, call.step.starts[i]));
      if (call.kernel->scratch_bytes > 0) arguments.push_back(b.view(frame.workspace, code.affine(plan_.arena_bytes)));
      for (const Dim &d : call.step.lowered.symbols) arguments.push_back(code.value(d));
      b.call(call.kernel->function, arguments);
    }
  }

  // Where element `start` of a buffer lies, as a buffer of the dtype's storage kind.
  loop::Value address(loop::Builder &b, DimCode &code, const Frame &frame, int32_t buffer, DType dtype,
                      const Dim &start) {
    const BufferPlan &plan = plan_.buffers[static_cast<size_t>(buffer)];
    const loop::Scalar element = loop::storage_type(dtype);
    const Dim bytes = bits(dtype) >= 8 ? start * (bits(dtype) / 8) : start;
    CAMEO_CHECK(bits(dtype) >= 8 || start.is(0), "elements within a byte have no address");
    switch (plan.space) {
    case BufferPlan::Space::weights: {
      const int64_t offset = constant_offsets_[static_cast<size_t>(buffer)];
      CAMEO_CHECK(offset >= 0, "a constant that no kernel reads");
      return b.view(frame.weights, code.affine(bytes + offset), element);
    }
    case BufferPlan::Space::arena:
      return b.view(frame.workspace, code.affine(plan.offset + bytes), element);
    case BufferPlan::Space::input:
    case BufferPlan::Space::output: {
      const bool input = plan.space == BufferPlan::Space::input;
      const loop::Value base = (input ? frame.inputs : frame.outputs)[static_cast<size_t>(plan.port)];
      const bool same = b.type(base).scalar == element;
      return start.is(0) && same ? base : b.view(base, code.affine(start), element);
    }
    }
    CAMEO_UNREACHABLE("buffer space");
  }

  void emit_workspace_bytes() {
    loop::Builder b(variant_.code, "workspace_bytes");
    b.function().exported = true;
    b.set_results({loop::kIndex});
    std::vector<loop::Value> symbols;
    for (size_t i = 0; i < interface_.symbols.size(); ++i) symbols.push_back(b.scalar_param("s" + std::to_string(i)));
    DimCode code = dims(b, symbols);
    b.finish({code.value(workspace())});
  }

  void emit_output_dims() {
    loop::Builder b(variant_.code, "output_dims");
    b.function().exported = true;
    int64_t count = 0;
    for (const Port &port : interface_.outputs) count += static_cast<int64_t>(port.dims.size());
    const loop::Value out = b.buffer_param("dims", loop::Scalar::i64, false, true, count, 8);
    std::vector<loop::Value> symbols;
    for (size_t i = 0; i < interface_.symbols.size(); ++i) symbols.push_back(b.scalar_param("s" + std::to_string(i)));
    DimCode code = dims(b, symbols);
    int64_t at = 0;
    for (const Port &port : interface_.outputs)
      for (const Dim &d : port.dims) b.store(code.value(d), out, loop::Affine(at++));
    b.finish();
  }

  const graph::Graph &graph_;
  const Plan &plan_;
  ConstantBlock &constants_;
  const Interface &interface_;
  const ProgramOptions &options_;
  Numbering numbers_;
  Variant variant_;
  int64_t scratch_ = 0;
  std::vector<int64_t> constant_offsets_; ///< by buffer
};

} // namespace

Result<Variant> emit_program(const graph::Graph &graph, const Plan &plan, const loop::Target &target,
                             ConstantBlock &constants, const Interface &interface, const ProgramOptions &options) {
  return Emitter(graph, plan, target, constants, interface, options).run();
}

} // namespace cameo::passes
