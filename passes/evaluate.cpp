// Evaluation of nodes on constants (see evaluate.h).
//
// A movement is a placement of its operand's memory (views.cpp), read element by element. Anything else is the node's
// kernel with vectors of 256 lanes, which the interpreter runs in tight loops, legalized as for the narrowest machine:
// so results are the same on every host.
#include "evaluate.h"

#include "placement.h"

#include "cameo/loop/apply.h"
#include "cameo/loop/interp.h"
#include "cameo/loop/legalize.h"
#include "cameo/ops/lower.h"

#include <algorithm>
#include <cstring>

namespace cameo::passes {

using graph::Constant;
using graph::ConstantData;
using graph::Node;
using graph::Op;
using graph::Value;

namespace {

// Per dim, the element offset of each index.
std::vector<std::vector<int64_t>> tables(const Placement &place, const std::vector<int64_t> &dims) {
  std::vector<std::vector<int64_t>> out;
  for (size_t d = 0; d < dims.size(); ++d) {
    std::vector<int64_t> table(static_cast<size_t>(dims[d]), 0);
    for (const PlacedTerm &term : place.terms)
      if (term.dim == static_cast<int32_t>(d))
        for (int64_t i = 0; i < dims[d]; ++i) table[static_cast<size_t>(i)] += i * term.stride.value();
    out.push_back(std::move(table));
  }
  return out;
}

// Elements of a view of `from`, in row-major order.
std::vector<std::byte> gather(std::span<const std::byte> from, const Placement &place, const std::vector<int64_t> &dims,
                              size_t width) {
  std::vector<std::vector<int64_t>> table = tables(place, dims);
  if (table.empty()) table.push_back({0});
  int64_t rows = 1;
  for (size_t d = 0; d + 1 < table.size(); ++d) rows *= static_cast<int64_t>(table[d].size());
  const std::vector<int64_t> &row = table.back();
  std::vector<std::byte> out(static_cast<size_t>(rows) * row.size() * width);
  std::byte *to = out.data();
  std::vector<size_t> at(table.size() - 1, 0);
  for (int64_t r = 0; r < rows && !row.empty(); ++r) {
    int64_t base = place.offset.value();
    for (size_t d = 0; d < at.size(); ++d) base += table[d][at[d]];
    for (int64_t offset : row) {
      std::memcpy(to, from.data() + static_cast<size_t>(base + offset) * width, width);
      to += width;
    }
    for (size_t d = at.size(); d-- > 0;) {
      if (++at[d] < table[d].size()) break;
      at[d] = 0;
    }
  }
  return out;
}

std::optional<Constant> moved(const Node &node, const ConstantData &x) {
  if (!moves_only(node)) return std::nullopt;
  const graph::Type &type = node.result()->type();
  const std::vector<int64_t> dims = *type.static_shape();
  if (node.is(Op::relayout)) return std::nullopt; // constants are row-major: each kernel packs its own
  if (node.is(Op::reshape)) return x.dtype() == type.dtype() ? std::optional(x.with_dims(dims)) : std::nullopt;
  graph::Dim bytes;
  const std::optional<Placement> place = view(node, dense(node.operand()->type(), 0, bytes));
  if (!place) return std::nullopt;
  return ConstantData::own(type.dtype(), dims,
                           gather(x.bytes(), *place, dims, static_cast<size_t>(bits(x.dtype())) / 8));
}

loop::Target wide_target() {
  loop::Target target;
  target.name = "interpreter";
  target.vector_bits = 256 * 32;
  target.vector_registers = 32;
  return target;
}

// Runs a kernel without symbols on its buffers, which are row-major.
Result<loop::RunInfo> run_kernel(loop::Kernel kernel, std::vector<loop::Argument> arguments, uint64_t fuel) {
  std::vector<loop::Binding> bindings;
  for (loop::KernelBuffer &b : kernel.buffers) {
    if (b.role == loop::BufferRole::constant) b.role = loop::BufferRole::input; // as it lies, not packed
    bindings.push_back(loop::row_major(b, std::max(1, bits(b.dtype) / 8)));
  }
  const loop::Target target = wide_target();
  loop::Module module;
  const loop::Schedule schedule = loop::default_schedule(kernel, bindings, target);
  const loop::AppliedKernel applied = loop::apply(module, kernel, bindings, target, schedule, "evaluate");
  loop::legalize(module, target);
  std::vector<std::byte> scratch(static_cast<size_t>(applied.scratch_bytes) + 64);
  if (applied.scratch_bytes > 0) {
    const auto address = reinterpret_cast<uintptr_t>(scratch.data());
    arguments.push_back(loop::Argument::buffer(scratch.data() + ((64 - address % 64) % 64), applied.scratch_bytes));
  }
  loop::InterpreterOptions options;
  options.fuel = fuel;
  return loop::interpret(module, applied.function, arguments, options);
}

} // namespace

std::optional<std::vector<Constant>> evaluate(const Node &node, uint64_t fuel) {
  if (node.is(Op::string_call)) return std::nullopt; // the runtime's own
  for (const Value *v : node.operands())
    if (v && (!v->constant() || !v->constant()->available() || v->type().dtype() == DType::string)) return std::nullopt;
  for (const Value *v : node.results())
    if (!v->type().is_tensor() || !v->type().is_ranked() || !v->type().static_shape() ||
        v->type().dtype() == DType::string)
      return std::nullopt;
  if (node.operand_count() > 0 && node.result_count() == 1)
    if (std::optional<Constant> y = moved(node, *node.operand()->constant()))
      return std::vector<Constant>{std::move(*y)};
  Result<ops::Lowered> lowered = ops::lower(node);
  if (!lowered.ok() || !lowered->symbols.empty()) return std::nullopt;

  std::vector<loop::Argument> arguments;
  std::vector<std::vector<std::byte>> results(node.result_count());
  std::vector<std::vector<std::byte>> aligned; // constants that lie at odd places of a mapped model
  aligned.reserve(lowered->arguments.size());
  for (const ops::Argument &a : lowered->arguments) {
    if (a.kind == ops::Argument::Kind::operand) {
      std::span<const std::byte> bytes = node.operand(a.index)->constant()->bytes();
      if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(std::max_align_t) != 0)
        bytes = aligned.emplace_back(bytes.begin(), bytes.end());
      arguments.push_back(loop::Argument::readonly(bytes.data(), static_cast<int64_t>(bytes.size())));
      continue;
    }
    const graph::Type &type = node.result(a.index)->type();
    results[a.index].resize(static_cast<size_t>(byte_size(type.dtype(), type.elements().value()).value_or(0)));
    arguments.push_back(loop::Argument::buffer(results[a.index].data(), static_cast<int64_t>(results[a.index].size())));
  }
  const Result<loop::RunInfo> run = run_kernel(lowered->kernel, std::move(arguments), fuel);
  if (!run.ok()) {
    CAMEO_CHECK(exit_code(run.errors()) == ExitCode::unsupported,
                "evaluation of " + node.str() + ": " + run.errors()[0].what);
    return std::nullopt;
  }
  if (run->status != 0) return std::nullopt;
  std::vector<Constant> out;
  for (size_t i = 0; i < results.size(); ++i) {
    const graph::Type &type = node.result(i)->type();
    out.push_back(ConstantData::own(type.dtype(), *type.static_shape(), std::move(results[i])));
  }
  return out;
}

Constant derive(const loop::Kernel &kernel, const ConstantData &data) {
  CAMEO_CHECK(kernel.buffers.size() == 2, "a derived constant has one source");
  const loop::KernelBuffer &made = kernel.buffers[1];
  std::vector<int64_t> dims;
  int64_t elements = 1;
  for (const loop::Extent &e : made.dims) {
    dims.push_back(e.value);
    elements *= e.value;
  }
  std::vector<std::byte> result(static_cast<size_t>(byte_size(made.dtype, elements).value_or(0)));
  std::span<const std::byte> bytes = data.bytes();
  std::vector<std::byte> aligned;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % alignof(std::max_align_t) != 0) {
    aligned.assign(bytes.begin(), bytes.end());
    bytes = aligned;
  }
  const Result<loop::RunInfo> run =
      run_kernel(kernel,
                 {loop::Argument::readonly(bytes.data(), static_cast<int64_t>(bytes.size())),
                  loop::Argument::buffer(result.data(), static_cast<int64_t>(result.size()))},
                 uint64_t{1} << 50);
  CAMEO_CHECK(run.ok() && run->status == 0, "a derived constant cannot be computed");
  return ConstantData::own(made.dtype, dims, std::move(result));
}

} // namespace cameo::passes
