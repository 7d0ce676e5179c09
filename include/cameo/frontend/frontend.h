// The frontend: from an ONNX file to Graph IR, with every problem of the file found and told in one line each.
//
// What is accepted beyond the letter of the standard, and what is not:
//   - nodes need not be topologically sorted: they are sorted, stably, and a warning says so; a cycle is an error (65);
//   - a graph without nodes is accepted when its outputs are inputs or initializers; a graph without outputs is an
//   error;
//   - fields that no known schema has are ignored, with a warning;
//   - all unsupported nodes are reported at once (69), each with node, op, opset, dtype and the reason.
// Time and memory are linear in the file; no recursion depends on the length of a graph.
#pragma once

#include "cameo/frontend/limits.h"
#include "cameo/ir/graph.h"
#include "cameo/support/result.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace cameo::frontend {

struct LoadOptions {
  /// `--dim NAME=N`: symbolic dims of the inputs that are fixed. A name that the model has not is an error (usage).
  std::vector<std::pair<std::string, int64_t>> dims;
  /// `--external-data-root DIR`: folders besides the model's own that external data may lie in.
  std::vector<std::string> external_data_roots;
  Limits limits;
};

struct OpsetImport {
  std::string domain; ///< "" is ai.onnx
  int64_t version = 0;
};

/// A file that went into the model: the .onnx itself and each external data file.
struct InputFile {
  std::string path;
  uint64_t bytes = 0;
};

struct ModelInfo {
  std::string path;
  std::string producer_name, producer_version, domain, doc_string;
  int64_t ir_version = 0, model_version = 0;
  std::vector<OpsetImport> opsets;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<InputFile> files; ///< [0] is the model
  std::vector<std::pair<std::string, int64_t>>
      op_counts;     ///< "Conv" or "ai.onnx.ml::Scaler", sorted by name; all graphs
  int64_t nodes = 0; ///< of the file, before inlining, all graphs
};

/// A model in Graph IR. Constants point into the mapped files, which stay mapped as long as a constant refers to them.
struct Model {
  graph::Graph graph;
  ModelInfo info;
  Diagnostics warnings;
};

/// Reads, checks and imports an ONNX model. Errors: 66 missing file, 65 malformed, 69 valid but not supported, 2 an
/// unknown dim name.
Result<Model> load_model(const std::string &path, const LoadOptions &options = {});

/// What the file says of itself, for a model that cannot be imported; `files` has the model only. Errors: 66, 65.
Result<ModelInfo> read_info(const std::string &path, const Limits &limits = {});

} // namespace cameo::frontend
