#include "wire.h"

#include <array>
#include <cstring>

namespace cameo::frontend {
namespace {

// --- the schema: one row per field of onnx.proto and onnx-data.proto, up to IR version 13
// --------------------------------

enum class M : uint8_t {
  none,
  model,
  graph,
  node,
  attribute,
  tensor,
  segment,
  sparse,
  value_info,
  type,
  type_tensor,
  type_sequence,
  type_map,
  type_optional,
  type_sparse,
  type_opaque,
  shape,
  dimension,
  entry,
  opset,
  function,
  training,
  annotation,
  device,
  node_device,
  sharding,
  int_list,
  sharded_dim,
  simple_dim,
  sequence,
  map,
  optional,
  count
};
constexpr std::array<const char *, size_t(M::count)> kMessageNames = {"",
                                                                      "ModelProto",
                                                                      "GraphProto",
                                                                      "NodeProto",
                                                                      "AttributeProto",
                                                                      "TensorProto",
                                                                      "TensorProto.Segment",
                                                                      "SparseTensorProto",
                                                                      "ValueInfoProto",
                                                                      "TypeProto",
                                                                      "TypeProto.Tensor",
                                                                      "TypeProto.Sequence",
                                                                      "TypeProto.Map",
                                                                      "TypeProto.Optional",
                                                                      "TypeProto.SparseTensor",
                                                                      "TypeProto.Opaque",
                                                                      "TensorShapeProto",
                                                                      "TensorShapeProto.Dimension",
                                                                      "StringStringEntryProto",
                                                                      "OperatorSetIdProto",
                                                                      "FunctionProto",
                                                                      "TrainingInfoProto",
                                                                      "TensorAnnotation",
                                                                      "DeviceConfigurationProto",
                                                                      "NodeDeviceConfigurationProto",
                                                                      "ShardingSpecProto",
                                                                      "IntIntListEntryProto",
                                                                      "ShardedDimProto",
                                                                      "SimpleShardedDimProto",
                                                                      "SequenceProto",
                                                                      "MapProto",
                                                                      "OptionalProto"};

// How a field may be encoded. Repeated scalars may be packed (one length-delimited chunk) or not.
enum class K : uint8_t { none, varint, fixed32, varints, fixed32s, fixed64s, name, bytes, raw, message };

struct Field {
  M in;
  uint8_t number;
  K kind;
  const char *name;
  M message = M::none;
};

constexpr Field kFields[] = {
    {M::model, 1, K::varint, "ir_version"},
    {M::model, 2, K::bytes, "producer_name"},
    {M::model, 3, K::bytes, "producer_version"},
    {M::model, 4, K::name, "domain"},
    {M::model, 5, K::varint, "model_version"},
    {M::model, 6, K::bytes, "doc_string"},
    {M::model, 7, K::message, "graph", M::graph},
    {M::model, 8, K::message, "opset_import", M::opset},
    {M::model, 14, K::message, "metadata_props", M::entry},
    {M::model, 20, K::message, "training_info", M::training},
    {M::model, 25, K::message, "functions", M::function},
    {M::model, 26, K::message, "configuration", M::device},
    {M::graph, 1, K::message, "node", M::node},
    {M::graph, 2, K::name, "name"},
    {M::graph, 5, K::message, "initializer", M::tensor},
    {M::graph, 10, K::bytes, "doc_string"},
    {M::graph, 11, K::message, "input", M::value_info},
    {M::graph, 12, K::message, "output", M::value_info},
    {M::graph, 13, K::message, "value_info", M::value_info},
    {M::graph, 14, K::message, "quantization_annotation", M::annotation},
    {M::graph, 15, K::message, "sparse_initializer", M::sparse},
    {M::graph, 16, K::message, "metadata_props", M::entry},
    {M::node, 1, K::name, "input"},
    {M::node, 2, K::name, "output"},
    {M::node, 3, K::name, "name"},
    {M::node, 4, K::name, "op_type"},
    {M::node, 5, K::message, "attribute", M::attribute},
    {M::node, 6, K::bytes, "doc_string"},
    {M::node, 7, K::name, "domain"},
    {M::node, 8, K::name, "overload"},
    {M::node, 9, K::message, "metadata_props", M::entry},
    {M::node, 10, K::message, "device_configurations", M::node_device},
    {M::attribute, 1, K::name, "name"},
    {M::attribute, 2, K::fixed32, "f"},
    {M::attribute, 3, K::varint, "i"},
    {M::attribute, 4, K::bytes, "s"},
    {M::attribute, 5, K::message, "t", M::tensor},
    {M::attribute, 6, K::message, "g", M::graph},
    {M::attribute, 7, K::fixed32s, "floats"},
    {M::attribute, 8, K::varints, "ints"},
    {M::attribute, 9, K::bytes, "strings"},
    {M::attribute, 10, K::message, "tensors", M::tensor},
    {M::attribute, 11, K::message, "graphs", M::graph},
    {M::attribute, 13, K::bytes, "doc_string"},
    {M::attribute, 14, K::message, "tp", M::type},
    {M::attribute, 15, K::message, "type_protos", M::type},
    {M::attribute, 20, K::varint, "type"},
    {M::attribute, 21, K::name, "ref_attr_name"},
    {M::attribute, 22, K::message, "sparse_tensor", M::sparse},
    {M::attribute, 23, K::message, "sparse_tensors", M::sparse},
    {M::tensor, 1, K::varints, "dims"},
    {M::tensor, 2, K::varint, "data_type"},
    {M::tensor, 3, K::message, "segment", M::segment},
    {M::tensor, 4, K::fixed32s, "float_data"},
    {M::tensor, 5, K::varints, "int32_data"},
    {M::tensor, 6, K::bytes, "string_data"},
    {M::tensor, 7, K::varints, "int64_data"},
    {M::tensor, 8, K::name, "name"},
    {M::tensor, 9, K::raw, "raw_data"},
    {M::tensor, 10, K::fixed64s, "double_data"},
    {M::tensor, 11, K::varints, "uint64_data"},
    {M::tensor, 12, K::bytes, "doc_string"},
    {M::tensor, 13, K::message, "external_data", M::entry},
    {M::tensor, 14, K::varint, "data_location"},
    {M::tensor, 16, K::message, "metadata_props", M::entry},
    {M::segment, 1, K::varint, "begin"},
    {M::segment, 2, K::varint, "end"},
    {M::sparse, 1, K::message, "values", M::tensor},
    {M::sparse, 2, K::message, "indices", M::tensor},
    {M::sparse, 3, K::varints, "dims"},
    {M::value_info, 1, K::name, "name"},
    {M::value_info, 2, K::message, "type", M::type},
    {M::value_info, 3, K::bytes, "doc_string"},
    {M::value_info, 4, K::message, "metadata_props", M::entry},
    {M::type, 1, K::message, "tensor_type", M::type_tensor},
    {M::type, 4, K::message, "sequence_type", M::type_sequence},
    {M::type, 5, K::message, "map_type", M::type_map},
    {M::type, 6, K::bytes, "denotation"},
    {M::type, 7, K::message, "opaque_type", M::type_opaque},
    {M::type, 8, K::message, "sparse_tensor_type", M::type_sparse},
    {M::type, 9, K::message, "optional_type", M::type_optional},
    {M::type_tensor, 1, K::varint, "elem_type"},
    {M::type_tensor, 2, K::message, "shape", M::shape},
    {M::type_sequence, 1, K::message, "elem_type", M::type},
    {M::type_map, 1, K::varint, "key_type"},
    {M::type_map, 2, K::message, "value_type", M::type},
    {M::type_optional, 1, K::message, "elem_type", M::type},
    {M::type_sparse, 1, K::varint, "elem_type"},
    {M::type_sparse, 2, K::message, "shape", M::shape},
    {M::type_opaque, 1, K::name, "domain"},
    {M::type_opaque, 2, K::name, "name"},
    {M::shape, 1, K::message, "dim", M::dimension},
    {M::dimension, 1, K::varint, "dim_value"},
    {M::dimension, 2, K::name, "dim_param"},
    {M::dimension, 3, K::bytes, "denotation"},
    {M::entry, 1, K::bytes, "key"},
    {M::entry, 2, K::bytes, "value"},
    {M::opset, 1, K::name, "domain"},
    {M::opset, 2, K::varint, "version"},
    {M::function, 1, K::name, "name"},
    {M::function, 4, K::name, "input"},
    {M::function, 5, K::name, "output"},
    {M::function, 6, K::name, "attribute"},
    {M::function, 7, K::message, "node", M::node},
    {M::function, 8, K::bytes, "doc_string"},
    {M::function, 9, K::message, "opset_import", M::opset},
    {M::function, 10, K::name, "domain"},
    {M::function, 11, K::message, "attribute_proto", M::attribute},
    {M::function, 12, K::message, "value_info", M::value_info},
    {M::function, 13, K::name, "overload"},
    {M::function, 14, K::message, "metadata_props", M::entry},
    {M::training, 1, K::message, "initialization", M::graph},
    {M::training, 2, K::message, "algorithm", M::graph},
    {M::training, 3, K::message, "initialization_binding", M::entry},
    {M::training, 4, K::message, "update_binding", M::entry},
    {M::annotation, 1, K::name, "tensor_name"},
    {M::annotation, 2, K::message, "quant_parameter_tensor_names", M::entry},
    {M::device, 1, K::bytes, "name"},
    {M::device, 2, K::varint, "num_devices"},
    {M::device, 3, K::bytes, "device"},
    {M::node_device, 1, K::bytes, "configuration_id"},
    {M::node_device, 2, K::message, "sharding_spec", M::sharding},
    {M::node_device, 3, K::varint, "pipeline_stage"},
    {M::sharding, 1, K::bytes, "tensor_name"},
    {M::sharding, 2, K::varints, "device"},
    {M::sharding, 3, K::message, "index_to_device_group_map", M::int_list},
    {M::sharding, 4, K::message, "sharded_dim", M::sharded_dim},
    {M::int_list, 1, K::varint, "key"},
    {M::int_list, 2, K::varints, "value"},
    {M::sharded_dim, 1, K::varint, "axis"},
    {M::sharded_dim, 2, K::message, "simple_sharding", M::simple_dim},
    {M::simple_dim, 1, K::varint, "dim_value"},
    {M::simple_dim, 2, K::bytes, "dim_param"},
    {M::simple_dim, 3, K::varint, "num_shards"},
    {M::sequence, 1, K::bytes, "name"},
    {M::sequence, 2, K::varint, "elem_type"},
    {M::sequence, 3, K::message, "tensor_values", M::tensor},
    {M::sequence, 4, K::message, "sparse_tensor_values", M::sparse},
    {M::sequence, 5, K::message, "sequence_values", M::sequence},
    {M::sequence, 6, K::message, "map_values", M::map},
    {M::sequence, 7, K::message, "optional_values", M::optional},
    {M::map, 1, K::bytes, "name"},
    {M::map, 2, K::varint, "key_type"},
    {M::map, 3, K::varints, "keys"},
    {M::map, 4, K::bytes, "string_keys"},
    {M::map, 5, K::message, "values", M::sequence},
    {M::optional, 1, K::bytes, "name"},
    {M::optional, 2, K::varint, "elem_type"},
    {M::optional, 3, K::message, "tensor_value", M::tensor},
    {M::optional, 4, K::message, "sparse_tensor_value", M::sparse},
    {M::optional, 5, K::message, "sequence_value", M::sequence},
    {M::optional, 6, K::message, "map_value", M::map},
    {M::optional, 7, K::message, "optional_value", M::optional},
};

constexpr int kMaxNumber = 31;
using FieldIndex = std::array<std::array<int16_t, kMaxNumber + 1>, size_t(M::count)>;
constexpr FieldIndex make_index() {
  FieldIndex index{};
  for (auto &row : index)
    for (auto &entry : row) entry = -1;
  for (size_t i = 0; i < std::size(kFields); ++i) index[size_t(kFields[i].in)][kFields[i].number] = int16_t(i);
  return index;
}
constexpr FieldIndex kIndex = make_index();

const Field *find_field(M message, uint32_t number) {
  if (number > kMaxNumber) return nullptr;
  int i = kIndex[size_t(message)][number];
  return i < 0 ? nullptr : &kFields[i];
}

// Wire types of the protobuf encoding. 3 and 4 (groups) and 6 and 7 (undefined) are refused.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// --- the scanner -----------------------------------------------------------------------------------------------------

class Scanner {
public:
  Scanner(std::span<const std::byte> bytes, const std::string &where, const Limits &limits)
      : data_(reinterpret_cast<const uint8_t *>(bytes.data())), size_(bytes.size()), where_(where), limits_(limits) {}

  // One message in [pos, end). Recurses for nested messages: at most kMaxDepth levels.
  bool message(size_t pos, size_t end, M kind, int depth, int graphs);

  WireScan scan;
  std::string error;

private:
  static constexpr int kMaxDepth = 256; // 32 nested subgraphs need 3 * 32 + 8; the rest is for nested types

  bool fail(size_t at, std::string what) {
    error = "byte " + std::to_string(at) + ": " + std::move(what);
    return false;
  }
  std::string place(M kind, const Field *field) const {
    return std::string(kMessageNames[size_t(kind)]) + (field ? std::string(".") + field->name : std::string());
  }
  bool varint(size_t &pos, size_t end, uint64_t &value) {
    size_t start = pos;
    value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (pos == end) return fail(start, "the file ends inside a number");
      uint8_t byte = data_[pos++];
      if (shift == 63 && byte > 1) return fail(start, "a number of more than 64 bits");
      value |= uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80)) return true;
    }
    return fail(start, "a number of more than 64 bits");
  }
  void copy(size_t from, size_t to) { scan.skeleton.append(reinterpret_cast<const char *>(data_ + from), to - from); }
  void put_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) scan.skeleton.push_back(char(value | 0x80));
    scan.skeleton.push_back(char(value));
  }
  // A field with its tag and length in their shortest form: protobuf refuses some of the longer ones that the format
  // allows.
  void put_field(uint64_t tag, uint64_t length, size_t payload, size_t end) {
    put_varint(tag);
    if ((tag & 7) == 2) put_varint(length);
    copy(payload, end);
  }
  bool scalars(size_t pos, size_t end, const Field &field, M kind);

  const uint8_t *data_;
  size_t size_;
  const std::string &where_;
  const Limits &limits_;
};

// A packed chunk of scalars: whole elements only.
bool Scanner::scalars(size_t pos, size_t end, const Field &field, M kind) {
  size_t width = field.kind == K::fixed32s ? 4 : field.kind == K::fixed64s ? 8 : 0;
  if (width) {
    if ((end - pos) % width)
      return fail(pos, place(kind, &field) + " has " + std::to_string(end - pos) + " bytes, not a multiple of " +
                           std::to_string(width));
    return true;
  }
  scan.visited += int64_t(end - pos);
  uint64_t value;
  while (pos < end)
    if (!varint(pos, end, value)) return false;
  return true;
}

bool Scanner::message(size_t pos, size_t end, M kind, int depth, int graphs) {
  if (depth > kMaxDepth) return fail(pos, "messages nested deeper than " + std::to_string(kMaxDepth));
  if (++scan.messages > limits_.messages)
    return fail(pos, "more than " + std::to_string(limits_.messages) + " messages (limit)");
  if (kind == M::graph && ++graphs > limits_.subgraph_nesting + 1)
    return fail(pos, "subgraphs nested deeper than " + std::to_string(limits_.subgraph_nesting) + " (limit)");
  if (kind == M::node && ++scan.nodes > limits_.nodes)
    return fail(pos, "more than " + std::to_string(limits_.nodes) + " nodes (limit)");

  while (pos < end) {
    const size_t start = pos;
    uint64_t tag = 0, length = 0;
    if (!varint(pos, end, tag)) return false;
    const uint64_t number = tag >> 3;
    const uint32_t wire = uint32_t(tag & 7);
    if (number == 0 || number > 0x1fffffff)
      return fail(start, "field number " + std::to_string(number) + " in " + place(kind, nullptr) + " is not valid");
    if (wire == 3 || wire == 4)
      return fail(start,
                  "a group in " + place(kind, nullptr) + " (field " + std::to_string(number) + "); ONNX has none");
    if (wire > 5)
      return fail(start, "wire type " + std::to_string(wire) + " in " + place(kind, nullptr) + " is not defined");

    // The payload's extent, whatever the field.
    size_t payload = pos;
    if (wire == kVarint) {
      if (!varint(pos, end, length)) return false;
    } else if (wire == kBytes) {
      if (!varint(pos, end, length)) return false;
      payload = pos;
      if (length > end - pos)
        return fail(start, "field " + std::to_string(number) + " of " + place(kind, nullptr) + " declares " +
                               std::to_string(length) + " bytes where " + std::to_string(end - pos) + " are left");
      pos += length;
    } else {
      size_t width = wire == kFixed32 ? 4 : 8;
      if (width > end - pos) return fail(start, "the file ends inside a number");
      pos += width;
    }
    scan.visited += int64_t(payload - start) + (wire == kBytes ? 0 : int64_t(pos - payload));

    const Field *field = find_field(kind, uint32_t(std::min<uint64_t>(number, kMaxNumber + 1)));
    if (!field) {
      ++scan.unknown_fields;
      scan.unknown_bytes += int64_t(pos - start);
      continue;
    }
    auto wrong_type = [&] { return fail(start, place(kind, field) + " has wire type " + std::to_string(wire)); };
    switch (field->kind) {
    case K::varint:
      if (wire != kVarint) return wrong_type();
      put_field(tag, length, payload, pos);
      break;
    case K::fixed32:
      if (wire != kFixed32) return wrong_type();
      put_field(tag, length, payload, pos);
      break;
    case K::varints:
    case K::fixed32s:
    case K::fixed64s: {
      uint32_t single = field->kind == K::varints ? kVarint : field->kind == K::fixed32s ? kFixed32 : kFixed64;
      if (wire != single && wire != kBytes) return wrong_type();
      if (wire == kBytes && !scalars(payload, pos, *field, kind)) return false;
      put_field(tag, length, payload, pos);
      break;
    }
    case K::name:
    case K::bytes:
      if (wire != kBytes) return wrong_type();
      if (field->kind == K::name && int64_t(length) > limits_.name_bytes)
        return fail(start, place(kind, field) + " is a name of " + std::to_string(length) + " bytes (limit " +
                               std::to_string(limits_.name_bytes) + ")");
      if (++scan.messages > limits_.messages)
        return fail(pos, "more than " + std::to_string(limits_.messages) + " messages (limit)");
      put_field(tag, length, payload, pos);
      break;
    case K::raw: {
      if (wire != kBytes) return wrong_type();
      if (length == 0) break; // says nothing
      const uint64_t ref[2] = {payload, length};
      static_assert(sizeof ref == kRawRefBytes);
      put_varint(tag);
      put_varint(kRawRefBytes);
      for (uint64_t v : ref)
        for (int i = 0; i < 8; ++i) scan.skeleton.push_back(char(v >> (8 * i)));
      break;
    }
    case K::message: {
      if (wire != kBytes) return wrong_type();
      // The length is known only when the nested message is written: reserve a varint of five bytes, patch it
      // afterwards.
      put_varint(tag);
      const size_t patch = scan.skeleton.size();
      scan.skeleton.append(5, '\0');
      if (!message(payload, pos, field->message, depth + 1, graphs)) return false;
      const uint64_t written = scan.skeleton.size() - patch - 5;
      if (written > INT32_MAX) return fail(start, "more than 2 GiB of graph besides its weights");
      for (int i = 0; i < 5; ++i) scan.skeleton[patch + i] = char(((written >> (7 * i)) & 0x7f) | (i < 4 ? 0x80 : 0));
      break;
    }
    case K::none:
      break;
    }
  }
  return true;
}

bool starts_with(std::span<const std::byte> head, std::string_view magic, size_t at = 0) {
  return head.size() >= at + magic.size() && std::memcmp(head.data() + at, magic.data(), magic.size()) == 0;
}

} // namespace

std::optional<RawRef> decode_raw_ref(std::string_view raw_data) {
  if (raw_data.size() != kRawRefBytes) return std::nullopt;
  auto word = [&](size_t at) {
    uint64_t v = 0;
    for (int i = 7; i >= 0; --i) v = v << 8 | uint8_t(raw_data[at + i]);
    return v;
  };
  return RawRef{word(0), word(8)};
}

Result<WireScan> scan_wire(std::span<const std::byte> bytes, WireRoot root, const std::string &where,
                           const Limits &limits) {
  constexpr M kRoots[] = {M::model, M::tensor, M::sequence, M::optional, M::map};
  Scanner scanner(bytes, where, limits);
  if (!scanner.message(0, bytes.size(), kRoots[size_t(root)], 0, 0))
    return Diagnostic{ExitCode::bad_model, where, "not a valid ONNX file: " + scanner.error};
  return std::move(scanner.scan);
}

std::string_view sniff_foreign_kind(std::span<const std::byte> head, uint64_t file_size) {
  using namespace std::string_view_literals;
  if (starts_with(head, "\x7f"
                        "ELF"sv))
    return "an ELF binary";
  if (starts_with(head, "PK\x03\x04"sv)) return "a zip archive (a PyTorch checkpoint, or a model inside an archive?)";
  if (starts_with(head, "\x1f\x8b"sv)) return "gzip data";
  if (starts_with(head, "\x89HDF\r\n\x1a\n"sv)) return "an HDF5 file (a Keras model?)";
  if (starts_with(head, "version https://git-lfs.github.com/spec"sv))
    return "a Git LFS pointer: the model itself was not fetched (git lfs pull)";
  if (starts_with(head, "TFL3"sv, 4)) return "a TensorFlow Lite model";
  if (starts_with(head, "ORTM"sv, 4)) return "a model in ONNX Runtime's own format";
  if (starts_with(head, "GGUF"sv)) return "a GGUF model";
  if (starts_with(head, "\x93NUMPY"sv)) return "a NumPy array";
  if (starts_with(head, "\x89PNG"sv)) return "a PNG image";
  if (starts_with(head, "%PDF"sv)) return "a PDF document";
  if (head.size() >= 2 && starts_with(head, "\x80"sv) && uint8_t(head[1]) >= 2 && uint8_t(head[1]) <= 5)
    return "a Python pickle";
  if (head.size() > 9 && head[8] == std::byte('{')) {
    uint64_t header = 0; // safetensors: the length of a JSON header, then the header
    for (int i = 7; i >= 0; --i) header = header << 8 | uint8_t(head[size_t(i)]);
    if (header >= 2 && header <= file_size - 8 && header < (uint64_t(1) << 32))
      return "a safetensors file (weights without a graph)";
  }
  // Text: a protobuf message always has bytes below 0x20 near its start (tags, lengths) that text has not.
  size_t printable = 0;
  for (std::byte b : head) {
    auto c = uint8_t(b);
    if (!(c >= 0x20 && c < 0x7f) && c != '\n' && c != '\r' && c != '\t') break;
    ++printable;
  }
  if (printable == head.size() && printable > 0)
    return starts_with(head, "<"sv) ? "text (HTML or XML)" : starts_with(head, "{"sv) ? "text (JSON)" : "text";
  return {};
}

} // namespace cameo::frontend
