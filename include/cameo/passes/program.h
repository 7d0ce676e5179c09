// The model as a program of Loop IR, ready for codegen: kernels, each distinct one once, and the functions @run,
// @workspace_bytes and @output_dims that cameo/codegen/artefact.h describes, with the block of constants that they
// read.
//
//   graph (imported) ─ run_pipeline ─▶ graph (laid out) ─ make_plan, per target ─▶ plan ─ build_program ─▶ Program
//
// Targets share the block of constants: a constant is stored once for each format in which some kernel of some target
// reads it.
#pragma once

#include "cameo/loop/ir.h"
#include "cameo/passes/plan.h"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace cameo::passes {

/// An input or output of the model. Its tensor is dense and row-major.
struct Port {
  std::string name;
  DType dtype = DType::f32;
  graph::Shape dims; ///< expressions over Program::symbols; of an output also run-time symbols, known only by running
};

/// A symbol that the caller chooses by the shapes of the inputs: exactly one dim of some input at least.
struct Symbol {
  std::string key;                  ///< Dim::symbol_key()
  int64_t min = 0, max = INT32_MAX; ///< chosen so that no size of the program overflows
};

/// The constants that a program reads: pieces at offsets that are multiples of 64, in order, without gaps but for
/// alignment. Equal bytes are stored once.
class ConstantBlock {
public:
  struct Piece {
    int64_t offset;
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner; ///< keeps the bytes alive
  };
  /// Offset of these bytes in the block.
  int64_t add(std::span<const std::byte> bytes, std::shared_ptr<const void> owner);
  int64_t size() const { return size_; }
  const std::vector<Piece> &pieces() const { return pieces_; }

private:
  std::vector<Piece> pieces_;
  std::multimap<uint64_t, size_t> by_hash_;
  int64_t size_ = 0;
};

/// The program for one target.
struct Variant {
  loop::Target target;
  Plan plan;
  loop::Module code;   ///< verified and legalized for the target
  int64_t kernels = 0; ///< distinct ones
  int64_t calls = 0;
  int64_t grown = 0; ///< tensors whose memory is allocated while running: the inputs' shapes do not bound their size
};

struct Program {
  std::vector<Port> inputs, outputs;
  std::vector<Symbol> symbols;
  ConstantBlock constants;
  std::vector<Variant> variants; ///< one per target, in order
};

struct ProgramOptions {
  PlanOptions plan;
  int64_t calls_per_function = 200; ///< @run is cut into functions of at most this many kernel calls
};

/// The program of a graph at stage laid_out (or fused, or canonical) for each target, by the default plans. Errors
/// (unsupported): every node without a lowering, every dtype of a port that has none. The graph's constants must be
/// available and stay alive as long as the program.
Result<Program> build_program(const graph::Graph &graph, std::span<const loop::Target> targets,
                              const ProgramOptions &options = {});

/// The code of one plan. `constants` collects what it reads.
Result<Variant> build_variant(const graph::Graph &graph, const Plan &plan, const loop::Target &target,
                              ConstantBlock &constants, const ProgramOptions &options = {});

} // namespace cameo::passes
