// The protobuf wire format of an ONNX file, checked before protobuf sees it.
//
// Protobuf's own parser says only "failed", merges what it does not understand, copies every weight and recurses as
// deep as the file likes. This scanner walks the bytes once against the schema of onnx.proto (IR 13) and answers in one
// line with the offset: wire types, lengths, varints, nesting of subgraphs, lengths of names, number of messages.
//
// On the way it writes the *skeleton*: the same message in which each TensorProto.raw_data is replaced by a 16-byte
// RawRef that says where the bytes lie in the file. The skeleton is what protobuf parses, so that weights are never
// copied: constants point into the mapped file. Fields that no schema knows are left out and counted for a warning.
#pragma once

#include "cameo/frontend/limits.h"
#include "cameo/support/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cameo::frontend {

/// Where a TensorProto's raw_data lies in the file; stored little endian in the skeleton in place of the bytes.
struct RawRef {
  uint64_t offset = 0;
  uint64_t size = 0;
};
inline constexpr size_t kRawRefBytes = 16;
/// Decodes the raw_data of a skeleton; nullopt when it is not one (never for a skeleton that the scanner wrote).
std::optional<RawRef> decode_raw_ref(std::string_view raw_data);

/// The message at the root of a file.
enum class WireRoot : uint8_t { model, tensor, sequence, optional, map };

struct WireScan {
  std::string skeleton; ///< parses as the root message; every raw_data in it is a RawRef into the scanned bytes
  int64_t nodes = 0;    ///< NodeProto messages at all depths
  int64_t messages = 0; ///< messages and repeated strings: what bounds the memory of the parsed form
  int64_t unknown_fields = 0;
  int64_t unknown_bytes = 0; ///< of fields that no ONNX schema up to IR 13 has; left out of the skeleton
  int64_t visited = 0;       ///< bytes looked at (payloads of raw_data and strings are skipped): work, for the tests
};

/// Checks `bytes` as a message of kind `root`; `where` names the file in the diagnostic. Exactly one diagnostic on
/// failure (65). Linear in the file, recursion bounded by the limits.
Result<WireScan> scan_wire(std::span<const std::byte> bytes, WireRoot root, const std::string &where,
                           const Limits &limits = {});

/// What the first bytes of a file say about its kind, when that is certainly not ONNX: "an ELF binary", "a zip archive
/// (a PyTorch checkpoint?)"; empty when it may be a protobuf message.
std::string_view sniff_foreign_kind(std::span<const std::byte> head, uint64_t file_size);

} // namespace cameo::frontend
