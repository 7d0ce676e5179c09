// From a path to a parsed ModelProto: the file's kind, the limits, the wire format, then protobuf.
#pragma once

#include "cameo/frontend/limits.h"
#include "cameo/support/files.h"
#include "cameo/support/result.h"
#include "wire.h"

#include <google/protobuf/arena.h>
#include <memory>
#include <onnx/onnx_pb.h>
#include <string>

namespace cameo::frontend {

/// A file in memory, checked, with its message parsed from the skeleton: each raw_data in it is a RawRef into `file`.
struct ModelFile {
  std::shared_ptr<const MappedFile> file; ///< constants keep it alive
  std::unique_ptr<google::protobuf::Arena> arena;
  const onnx::ModelProto *model = nullptr; ///< in the arena
  int64_t nodes = 0;                       ///< NodeProto messages at all depths
  Diagnostics warnings;
};

/// Errors: 66 (missing, a directory, a device), 65 (another kind of file, malformed, past a limit).
Result<ModelFile> open_model(const std::string &path, const Limits &limits);

/// The file's bytes once they look like ONNX at all: not empty, not of another kind, not past the limit.
Result<std::shared_ptr<const MappedFile>> open_onnx_file(const std::string &path, const Limits &limits);

/// Parses a skeleton; false when protobuf refuses it.
bool parse_skeleton(const std::string &skeleton, google::protobuf::MessageLite &message);

} // namespace cameo::frontend
