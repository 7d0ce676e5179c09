#include "model_file.h"

#include <cerrno>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/stat.h>
#include <system_error>

namespace cameo::frontend {

Result<std::shared_ptr<const MappedFile>> open_onnx_file(const std::string &path, const Limits &limits) {
  const std::string where = escape_name(path);
  struct stat info{};
  if (path.find('\0') != std::string::npos) return Diagnostic{ExitCode::missing, where, "a path cannot contain a NUL"};
  if (::stat(path.c_str(), &info) != 0)
    return Diagnostic{ExitCode::missing, where, std::generic_category().message(errno)};
  if (S_ISREG(info.st_mode) && info.st_size > limits.model_bytes)
    return Diagnostic{ExitCode::bad_model, where,
                      "has " + std::to_string(info.st_size) + " bytes where an ONNX file can have " +
                          std::to_string(limits.model_bytes) + "; larger models keep their weights in external data"};
  CAMEO_TRY(MappedFile mapped, MappedFile::open(path, limits.model_bytes));
  auto file = std::make_shared<const MappedFile>(std::move(mapped));
  const std::span<const std::byte> bytes = file->bytes();
  if (bytes.empty()) return Diagnostic{ExitCode::bad_model, where, "is empty"};
  const std::string_view foreign = sniff_foreign_kind(bytes.first(std::min<size_t>(bytes.size(), 512)), bytes.size());
  if (!foreign.empty())
    return Diagnostic{ExitCode::bad_model, where, "is not an ONNX model but " + std::string(foreign)};
  return file;
}

bool parse_skeleton(const std::string &skeleton, google::protobuf::MessageLite &message) {
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const uint8_t *>(skeleton.data()),
                                                int(skeleton.size()));
  stream.SetRecursionLimit(300); // the scanner has bounded the depth below this
  return message.ParseFromCodedStream(&stream) && stream.ConsumedEntireMessage();
}

Result<ModelFile> open_model(const std::string &path, const Limits &limits) {
  const std::string where = escape_name(path);
  ModelFile result;
  CAMEO_TRY(result.file, open_onnx_file(path, limits));
  CAMEO_TRY(WireScan scan, scan_wire(result.file->bytes(), WireRoot::model, where, limits));
  result.nodes = scan.nodes;
  if (scan.unknown_fields > 0)
    result.warnings.push_back({ExitCode::ok, where,
                               std::to_string(scan.unknown_fields) + " unknown fields of " +
                                   std::to_string(scan.unknown_bytes) + " bytes are ignored"});
  result.arena = std::make_unique<google::protobuf::Arena>();
  auto *model = google::protobuf::Arena::CreateMessage<onnx::ModelProto>(result.arena.get());
  if (!parse_skeleton(scan.skeleton, *model))
    return Diagnostic{ExitCode::bad_model, where, "not a valid ONNX file: protobuf refuses it"};
  result.model = model;
  return result;
}

} // namespace cameo::frontend
