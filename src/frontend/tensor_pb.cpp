// Test data files: TensorProto, SequenceProto, OptionalProto and MapProto.
#include "cameo/frontend/tensor_pb.h"

#include "model_file.h"
#include "tensor_proto.h"

#include <cstring>
#include <onnx/onnx-data_pb.h>

namespace cameo::frontend {
namespace {

Result<Tensor> to_tensor(const onnx::TensorProto &proto, const TensorSource &source, const std::string &where) {
  CAMEO_TRY(graph::Constant data, decode_tensor(proto, source, where));
  Tensor tensor{data->dtype(), data->dims(), {}, {}};
  if (tensor.dtype == DType::string)
    tensor.strings = data->string_values();
  else
    tensor.data.assign(data->bytes().begin(), data->bytes().end());
  return tensor;
}

Result<PbValue> to_value(const onnx::SequenceProto &proto, const TensorSource &source, const std::string &where);
Result<PbValue> to_value(const onnx::OptionalProto &proto, const TensorSource &source, const std::string &where);
Result<PbValue> to_value(const onnx::MapProto &proto, const TensorSource &source, const std::string &where);
Result<PbValue> to_value(const onnx::TensorProto &proto, const TensorSource &source, const std::string &where) {
  PbValue value;
  CAMEO_TRY(value.tensor, to_tensor(proto, source, where));
  return value;
}

template <class List>
Status append(PbValue &value, const List &list, const TensorSource &source, const std::string &where) {
  for (const auto &item : list) {
    CAMEO_TRY(PbValue element, to_value(item, source, where + "[" + std::to_string(value.elements.size()) + "]"));
    value.elements.push_back(std::move(element));
  }
  return Ok{};
}

// The elements stand in the list that elem_type names.
Result<PbValue> to_value(const onnx::SequenceProto &proto, const TensorSource &source, const std::string &where) {
  PbValue value;
  value.kind = graph::TypeKind::sequence;
  switch (proto.elem_type()) {
  case onnx::SequenceProto::UNDEFINED:
  case onnx::SequenceProto::TENSOR:
    CAMEO_TRY_STATUS(append(value, proto.tensor_values(), source, where));
    break;
  case onnx::SequenceProto::SEQUENCE:
    CAMEO_TRY_STATUS(append(value, proto.sequence_values(), source, where));
    break;
  case onnx::SequenceProto::MAP:
    CAMEO_TRY_STATUS(append(value, proto.map_values(), source, where));
    break;
  case onnx::SequenceProto::OPTIONAL:
    CAMEO_TRY_STATUS(append(value, proto.optional_values(), source, where));
    break;
  default:
    return Diagnostic{ExitCode::unsupported, where, "sequences of sparse tensors are not supported"};
  }
  return value;
}

Result<PbValue> to_value(const onnx::OptionalProto &proto, const TensorSource &source, const std::string &where) {
  PbValue value;
  value.kind = graph::TypeKind::optional;
  auto put = [&](Result<PbValue> element) -> Status {
    if (!element.ok()) return element.errors();
    value.elements.push_back(std::move(*element));
    return Ok{};
  };
  switch (proto.elem_type()) {
  case onnx::OptionalProto::UNDEFINED:
    break;
  case onnx::OptionalProto::TENSOR:
    if (proto.has_tensor_value()) CAMEO_TRY_STATUS(put(to_value(proto.tensor_value(), source, where)));
    break;
  case onnx::OptionalProto::SEQUENCE:
    if (proto.has_sequence_value()) CAMEO_TRY_STATUS(put(to_value(proto.sequence_value(), source, where)));
    break;
  case onnx::OptionalProto::MAP:
    if (proto.has_map_value()) CAMEO_TRY_STATUS(put(to_value(proto.map_value(), source, where)));
    break;
  default:
    return Diagnostic{ExitCode::unsupported, where, "optionals of this kind are not supported"};
  }
  return value;
}

Result<PbValue> to_value(const onnx::MapProto &proto, const TensorSource &source, const std::string &where) {
  PbValue value;
  value.kind = graph::TypeKind::map;
  CAMEO_TRY(value.keys.dtype, decode_dtype(proto.key_type(), where));
  if (value.keys.dtype == DType::string) {
    value.keys.strings.assign(proto.string_keys().begin(), proto.string_keys().end());
    value.keys.shape = {proto.string_keys_size()};
  } else {
    const int width = bits(value.keys.dtype) / 8;
    if (!is_integer(value.keys.dtype) || width == 0)
      return Diagnostic{ExitCode::bad_model, where, "a map with keys that are neither integers nor strings"};
    value.keys.data.resize(size_t(proto.keys_size()) * size_t(width));
    for (int i = 0; i < proto.keys_size(); ++i) {
      const int64_t key = proto.keys(i);
      std::memcpy(value.keys.data.data() + size_t(i) * size_t(width), &key, size_t(width));
    }
    value.keys.shape = {proto.keys_size()};
  }
  CAMEO_TRY(PbValue values, to_value(proto.values(), source, where));
  if (int64_t(values.elements.size()) != value.keys.shape[0])
    return Diagnostic{ExitCode::bad_model, where,
                      "a map with " + std::to_string(value.keys.shape[0]) + " keys and " +
                          std::to_string(values.elements.size()) + " values"};
  value.elements = std::move(values.elements);
  return value;
}

template <class Proto>
Result<PbValue> parse_as(std::span<const std::byte> bytes, WireRoot root, const std::string &where) {
  CAMEO_TRY(WireScan scan, scan_wire(bytes, root, where));
  Proto proto;
  if (!parse_skeleton(scan.skeleton, proto))
    return Diagnostic{ExitCode::bad_model, where, "not a valid ONNX file: protobuf refuses it"};
  return to_value(proto, TensorSource{bytes, nullptr, nullptr, {}}, where);
}

void fill(onnx::TensorProto &proto, const Tensor &tensor, const std::string &name) {
  proto.set_data_type(onnx_number(tensor.dtype));
  for (int64_t d : tensor.shape) proto.add_dims(d);
  if (!name.empty()) proto.set_name(name);
  if (tensor.dtype == DType::string)
    for (const std::string &s : tensor.strings) proto.add_string_data(s);
  else
    proto.set_raw_data(tensor.data.data(), tensor.data.size());
}

void fill(onnx::SequenceProto &proto, const PbValue &value);
void fill(onnx::MapProto &proto, const PbValue &value) {
  proto.set_key_type(onnx_number(value.keys.dtype));
  for (const std::string &s : value.keys.strings) proto.add_string_keys(s);
  const size_t width = size_t(bits(value.keys.dtype)) / 8;
  for (size_t at = 0; width > 0 && at + width <= value.keys.data.size(); at += width) {
    int64_t key = 0;
    std::memcpy(&key, value.keys.data.data() + at, width);
    if (kind(value.keys.dtype) == DTypeKind::signed_integer) key = key << (64 - 8 * width) >> (64 - 8 * width);
    proto.add_keys(key);
  }
  fill(*proto.mutable_values(), value);
}
void fill(onnx::OptionalProto &proto, const PbValue &value) {
  if (value.elements.empty()) return;
  const PbValue &element = value.elements[0];
  if (element.kind == graph::TypeKind::tensor) {
    proto.set_elem_type(onnx::OptionalProto::TENSOR);
    fill(*proto.mutable_tensor_value(), element.tensor, "");
  } else if (element.kind == graph::TypeKind::sequence) {
    proto.set_elem_type(onnx::OptionalProto::SEQUENCE);
    fill(*proto.mutable_sequence_value(), element);
  } else {
    proto.set_elem_type(onnx::OptionalProto::MAP);
    fill(*proto.mutable_map_value(), element);
  }
}
void fill(onnx::SequenceProto &proto, const PbValue &value) {
  proto.set_elem_type(onnx::SequenceProto::TENSOR);
  for (const PbValue &element : value.elements) {
    switch (element.kind) {
    case graph::TypeKind::sequence:
      proto.set_elem_type(onnx::SequenceProto::SEQUENCE);
      fill(*proto.add_sequence_values(), element);
      break;
    case graph::TypeKind::optional:
      proto.set_elem_type(onnx::SequenceProto::OPTIONAL);
      fill(*proto.add_optional_values(), element);
      break;
    case graph::TypeKind::map:
      proto.set_elem_type(onnx::SequenceProto::MAP);
      fill(*proto.add_map_values(), element);
      break;
    default:
      fill(*proto.add_tensor_values(), element.tensor, "");
      break;
    }
  }
}

} // namespace

Result<Tensor> parse_tensor_pb(std::span<const std::byte> bytes, const std::string &where) {
  CAMEO_TRY(PbValue value, parse_as<onnx::TensorProto>(bytes, WireRoot::tensor, where));
  return std::move(value.tensor);
}

Result<PbValue> parse_value_pb(std::span<const std::byte> bytes, const graph::Type &type, const std::string &where) {
  switch (type.kind()) {
  case graph::TypeKind::sequence:
    return parse_as<onnx::SequenceProto>(bytes, WireRoot::sequence, where);
  case graph::TypeKind::optional:
    return parse_as<onnx::OptionalProto>(bytes, WireRoot::optional, where);
  case graph::TypeKind::map:
    return parse_as<onnx::MapProto>(bytes, WireRoot::map, where);
  default:
    return parse_as<onnx::TensorProto>(bytes, WireRoot::tensor, where);
  }
}

Result<Tensor> read_tensor_pb(const std::string &path) {
  CAMEO_TRY(MappedFile file, MappedFile::open(path, Limits().model_bytes));
  return parse_tensor_pb(file.bytes(), escape_name(path));
}

Result<PbValue> read_value_pb(const std::string &path, const graph::Type &type) {
  CAMEO_TRY(MappedFile file, MappedFile::open(path, Limits().model_bytes));
  return parse_value_pb(file.bytes(), type, escape_name(path));
}

std::string print_tensor_pb(const Tensor &tensor, const std::string &name) {
  onnx::TensorProto proto;
  fill(proto, tensor, name);
  return proto.SerializeAsString();
}

std::string print_value_pb(const PbValue &value, const std::string &name) {
  auto print = [&](auto proto) {
    fill(proto, value);
    proto.set_name(name);
    return proto.SerializeAsString();
  };
  switch (value.kind) {
  case graph::TypeKind::sequence:
    return print(onnx::SequenceProto());
  case graph::TypeKind::optional:
    return print(onnx::OptionalProto());
  case graph::TypeKind::map:
    return print(onnx::MapProto());
  default:
    return print_tensor_pb(value.tensor, name);
  }
}

Status write_tensor_pb(const std::string &path, const Tensor &tensor, const std::string &name) {
  return write_file(path, print_tensor_pb(tensor, name));
}

} // namespace cameo::frontend
