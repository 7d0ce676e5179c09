// What a user of Cameo links: one shared library, archive or object file, and one C header, from the compiled program's
// Loop IR and its weights. The C interface is include/cameo/abi.h; the C code behind it is codegen/runtime/.
//
// A program is a Loop IR module per variant (a CPU that it is compiled for), each with these exported functions, where
// the symbols' values are s0, s1, ... in the order of ArtefactSpec::symbols:
//
//   func @run(%in0: buf, ..., %out0: buf, ..., [%run_dims: buf<i64>, %capacity: buf<i64>],
//             %weights: buf<i8> readonly, %workspace: buf<i8>, %s0: i64, ...)
//   func @workspace_bytes(%s0: i64, ...) -> i64
//   func @output_dims(%dims: buf<i64>, %s0: i64, ...)         only when an output has a computed dim
//
// run: inputs and outputs in the spec's order. A tensor is aligned to its element, outputs and the workspace overlap
// nothing, weights and workspace are aligned to 64 bytes, and what a tensor without elements points to is unspecified.
// Reports a problem through `check`. Where an output has a dim that only a run can tell (DimSpec::at_run), and only
// then, two more buffers are passed: run stores every such dim into run_dims, in the order of outputs and dims, and
// reads from capacity the bytes that may be written to each output that has one; it never writes more, and the caller
// gets CAMEO_BUFFER_TOO_SMALL when the dims it stored need more. workspace_bytes: what run touches at %workspace;
// less than 0 when no run is possible, because a tensor would have a negative extent.
// May be 0. output_dims: stores the dims of all outputs, in order, fixed ones included; at_run dims as -1. Both are
// called with every symbol within its range, so a spec chooses `max` such that they cannot overflow.
//
// A program that needs memory of which only the run knows the size declares these and calls them from the thread of the
// run (codegen/runtime/memory.c): slots[0] becomes where the memory lies, in bytes from %workspace, slots[1] how much
// there is.
//
//   declare @cameo_grow(%workspace: buf<i8>, %slots: buf<i64>, %bytes: i64, %keep: i64) -> i64      0: no memory
//   declare @cameo_release(%workspace: buf<i8>, %slots: buf<i64>)
//
// Strings are i64 numbers to a program: those of ArtefactSpec::strings, and behind them what a run meets. Programs that
// look into strings declare and call @cameo_string_* of codegen/runtime/string_*.c, which get dense buffers and sizes.
//
// Link rule: a shared library is linked by lld in a forked child, so no other thread may exist in the process when
// build_artefact(so) is called. Nothing touches the file system.
#pragma once

#include "cameo/loop/ir.h"
#include "cameo/loop/target.h"
#include "cameo/support/dtype.h"
#include "cameo/support/result.h"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cameo::codegen {

/// A dim that the caller chooses by the shapes of the inputs. Every symbol is a dim of some input.
struct SymbolSpec {
  std::string name;
  int64_t min = 0, max = INT32_MAX; ///< what run accepts; 0 <= min <= max
};

struct DimSpec {
  int64_t extent = -1; ///< >= 0: fixed
  int32_t symbol = -1; ///< >= 0: exactly that symbol
  bool at_run = false; ///< outputs: known only by running
  std::string text;    ///< for people: "(height + 1) / 2"; ignored for fixed dims and symbols

  static DimSpec fixed(int64_t extent) { return {extent, -1, false, {}}; }
  static DimSpec of_symbol(int32_t symbol) { return {-1, symbol, false, {}}; }
  static DimSpec computed(std::string text) { return {-1, -1, false, std::move(text)}; } ///< outputs only
  static DimSpec unknown() { return {-1, -1, true, {}}; }                                ///< outputs only
};

/// What an output's numbers stand for (CameoLabels in abi.h). One of the two lists is empty.
struct LabelSpec {
  enum class Kind : uint8_t { none, elements, columns };
  Kind kind = Kind::none;
  std::vector<std::string> strings;
  std::vector<int64_t> integers;
  size_t count() const { return strings.empty() ? integers.size() : strings.size(); }
};

/// An input or output.
struct PortSpec {
  std::string name;         ///< as in the model: any bytes
  DType dtype = DType::f32; ///< string: the program sees an i64 number for each
  std::vector<DimSpec> dims;
  LabelSpec labels{}; ///< outputs only
};

/// A sequence or optional of the model, which is several inputs or outputs (CameoContainer in abi.h).
struct ContainerSpec {
  enum class Kind : uint8_t { sequence = 1, optional = 2, optional_sequence = 3 };
  std::string name; ///< as in the model
  Kind kind = Kind::sequence;
  DType dtype = DType::f32;
  int32_t rank = -1;         ///< of every element; -1: each its own
  std::vector<DimSpec> dims; ///< of an element: fixed or unknown
  int32_t first = 0, count = 0;
};

/// The constants of a program: one block of bytes behind %weights, laid out as they are added and shared by all
/// variants. Bytes that were added already are not added again.
class Weights {
public:
  /// Offset of these bytes in the block, a multiple of `align` (a power of two, at most 4096). Not copied: they must
  /// live until the artefact is written.
  int64_t add(std::span<const std::byte> bytes, int64_t align = 64);
  /// The same, keeping them.
  int64_t add(std::vector<std::byte> bytes, int64_t align = 64);
  int64_t size() const { return size_; }
  /// The whole block in order, gaps included.
  std::vector<std::span<const std::byte>> pieces() const;

private:
  struct Section {
    int64_t offset;
    std::span<const std::byte> bytes;
  };
  std::vector<Section> sections_;
  std::vector<std::unique_ptr<std::vector<std::byte>>> owned_;
  std::multimap<uint64_t, size_t> by_hash_;
  int64_t size_ = 0;
};

/// The program compiled for one kind of CPU.
struct VariantSpec {
  loop::Target target;
  loop::Module code; ///< verified
  uint64_t more_features =
      0; ///< CPU features that are needed besides the target's (cpu.h); unknown bits: no CPU has them
};

/// Where an artefact comes from: recorded in it.
struct Provenance {
  std::string model_name;                                 ///< file name, no path
  std::string model_sha256;                               ///< of the model file
  std::string compiler_version;                           ///< "cameo 0.1.0"
  std::string flags;                                      ///< options that matter, normalised
  std::vector<std::pair<std::string, std::string>> files; ///< external data: name, sha256
  std::vector<std::pair<std::string, std::string>> facts; ///< more: opset, producer, FLOPs, ...
};

struct ArtefactSpec {
  std::string prefix; ///< of the exported functions: a result of c_identifier()
  std::vector<PortSpec> inputs, outputs;
  std::vector<ContainerSpec> input_containers, output_containers;
  std::vector<SymbolSpec> symbols;
  std::vector<VariantSpec> variants; ///< most capable last; at least one
  /// The model's own strings, by their number: sorted by bytes, distinct, the first one empty. None: no port is a
  /// tensor of strings and no program calls a function for them.
  std::vector<std::string> strings;
  Weights weights;
  bool embed_weights = true; ///< false: create() must be given them
  Provenance provenance;
};

enum class ArtefactKind : uint8_t { so, a, obj, assembly, llvm_ir };

struct ArtefactOptions {
  int jobs = 1;            ///< threads that compile; the bytes do not depend on it
  bool debug_info = false; ///< line tables that name the ONNX nodes
  std::string soname;      ///< of a shared library; empty: lib<prefix>.so
};

/// The bytes of an artefact, in pieces, so that weights are never copied: it refers to the bytes that were added to
/// ArtefactSpec::weights.
class Artefact {
public:
  const std::vector<std::span<const std::byte>> &pieces() const { return pieces_; }
  int64_t size() const;
  std::string bytes() const; ///< all of it, copied

  void append(std::string bytes);
  void append_ref(std::span<const std::byte> bytes); ///< not copied

private:
  std::vector<std::unique_ptr<std::string>> owned_;
  std::vector<std::span<const std::byte>> pieces_;
};

/// Builds the artefact. A spec that breaks the rules above is a CAMEO_CHECK. Deterministic: the bytes depend on the
/// spec, the kind and the options (jobs apart), nothing else. assembly and llvm_ir are the variants' code as text,
/// without stub and weights. Errors: io (no child, no memory file, or lld was killed: out of memory).
Result<Artefact> build_artefact(const ArtefactSpec &spec, ArtefactKind kind, const ArtefactOptions &options = {});

/// The C header of the artefact: self-contained, C11 and C++.
std::string c_header(const ArtefactSpec &spec);

/// The names that the artefact defines, sorted.
std::vector<std::string> exported_names(const ArtefactSpec &spec);

/// `text` as a C and C++ identifier that is no keyword, no name of the C library and not reserved: bytes that cannot be
/// part of one become '_'. Never empty.
std::string c_identifier(std::string_view text);

/// What an artefact says of itself, read from its note `.note.cameo` (shared library, object or archive) without
/// loading it. The file is untrusted: nothing is used unchecked.
struct Manifest {
  int32_t abi_version = 0;
  std::string prefix;
  std::vector<PortSpec> inputs, outputs;
  std::vector<ContainerSpec> input_containers, output_containers;
  std::vector<SymbolSpec> symbols;
  std::vector<std::pair<std::string, std::string>> variants; ///< name; triple, CPU and features
  int64_t weights_bytes = 0;
  bool weights_embedded = true;
  std::string weights_sha256;
  Provenance provenance;
  std::string json; ///< all of it as it stands in the file
};
/// Errors: bad_model (`where: what`). A file with several notes (two models in one archive) gives the first.
Result<Manifest> read_manifest(std::span<const std::byte> file, const std::string &where);

} // namespace cameo::codegen
