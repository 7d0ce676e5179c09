#include "tensor_proto.h"

#include "wire.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace cameo::frontend {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little endian, and so must the host be");

std::string dims_text(const std::vector<int64_t> &dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += (i ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

struct Checked {
  DType dtype = DType::f32;
  std::vector<int64_t> dims;
  int64_t count = 0;
  int64_t bytes = 0; ///< packed; 0 for strings
};

template <class Dims>
Result<Checked> check_type(int64_t data_type, const Dims &dims, const Limits &limits, const std::string &where) {
  auto problem = [&](std::string what) { return Diagnostic{ExitCode::bad_model, where, std::move(what)}; };
  Checked result;
  CAMEO_TRY(result.dtype, decode_dtype(data_type, where));
  if (dims.size() > limits.rank)
    return problem("has rank " + std::to_string(dims.size()) + " (limit " + std::to_string(limits.rank) + ")");
  result.dims.assign(dims.begin(), dims.end());
  for (int64_t d : result.dims)
    if (d < 0) return problem("has the negative dim " + std::to_string(d));
  const std::optional<int64_t> count = element_count(result.dims);
  if (!count) return problem("has more elements than 64 bits can count: " + dims_text(result.dims));
  result.count = *count;
  if (result.dtype == DType::string) return result;
  const std::optional<int64_t> bytes = byte_size(result.dtype, result.count);
  if (!bytes) return problem("has more bytes than 64 bits can count: " + dims_text(result.dims));
  result.bytes = *bytes;
  return result;
}

// Copies a repeated field whose elements are stored as they are.
template <class Field> std::vector<std::byte> copy_field(const Field &field) {
  std::vector<std::byte> bytes(size_t(field.size()) * sizeof(*field.data()));
  if (!bytes.empty()) std::memcpy(bytes.data(), field.data(), bytes.size());
  return bytes;
}

// Narrows values to the elements of a type of `width` bytes; false when one is outside [low, high].
template <class T, class Field>
bool narrow(const Field &field, int64_t low, int64_t high, std::vector<std::byte> &bytes) {
  bytes.resize(size_t(field.size()) * sizeof(T));
  for (int i = 0; i < field.size(); ++i) {
    const auto v = field[i];
    if (std::cmp_less(v, low) || std::cmp_greater(v, high)) return false;
    const T element = static_cast<T>(v);
    std::memcpy(bytes.data() + size_t(i) * sizeof(T), &element, sizeof(T));
  }
  return true;
}

// int32_data holds many types: integers up to 32 bits, bool, and the bits of 16- and 8-bit floats and packed 4-bit
// elements.
bool narrow_int32(const onnx::TensorProto &tensor, DType dtype, std::vector<std::byte> &bytes) {
  const auto &field = tensor.int32_data();
  switch (dtype) {
  case DType::i32:
    bytes = copy_field(field);
    return true;
  case DType::i16:
    return narrow<int16_t>(field, -32768, 32767, bytes);
  case DType::i8:
    return narrow<int8_t>(field, -128, 127, bytes);
  case DType::boolean:
    return narrow<uint8_t>(field, 0, 255, bytes);
  case DType::u16:
  case DType::f16:
  case DType::bf16:
    return narrow<uint16_t>(field, 0, 65535, bytes);
  default:
    return narrow<uint8_t>(field, bits(dtype) < 8 ? -128 : 0, 255, bytes); // packed ones may come sign-extended
  }
}

// The data field that the type uses, other than raw_data: its name and how many values it must hold.
struct TypedField {
  const char *name;
  int size;
  int64_t wanted;
};
TypedField typed_field(const onnx::TensorProto &t, const Checked &c) {
  switch (c.dtype) {
  case DType::f32:
    return {"float_data", t.float_data_size(), c.count};
  case DType::c64:
    return {"float_data", t.float_data_size(), 2 * c.count};
  case DType::f64:
    return {"double_data", t.double_data_size(), c.count};
  case DType::c128:
    return {"double_data", t.double_data_size(), 2 * c.count};
  case DType::i64:
    return {"int64_data", t.int64_data_size(), c.count};
  case DType::u32:
  case DType::u64:
    return {"uint64_data", t.uint64_data_size(), c.count};
  case DType::string:
    return {"string_data", t.string_data_size(), c.count};
  default:
    return {"int32_data", t.int32_data_size(), bits(c.dtype) < 8 ? c.bytes : c.count};
  }
}

int filled_fields(const onnx::TensorProto &t) {
  return (t.float_data_size() > 0) + (t.double_data_size() > 0) + (t.int32_data_size() > 0) +
         (t.int64_data_size() > 0) + (t.uint64_data_size() > 0) + (t.string_data_size() > 0) +
         (t.raw_data().empty() ? 0 : 1);
}

// A constant over bytes that lie in a file.
graph::Constant view(const Checked &type, std::span<const std::byte> bytes, const std::shared_ptr<const void> &owner) {
  // A bool byte other than 0 and 1 would be a different value to each kernel that reads it.
  const bool odd_bool = type.dtype == DType::boolean &&
                        std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return uint8_t(b) > 1; });
  if (owner && !odd_bool) return graph::ConstantData::view(type.dtype, type.dims, bytes, owner);
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  if (odd_bool)
    for (std::byte &b : copy) b = std::byte(b != std::byte(0));
  return graph::ConstantData::own(type.dtype, type.dims, std::move(copy));
}

} // namespace

Result<DType> decode_dtype(int64_t number, const std::string &where) {
  if (auto dtype = dtype_from_onnx(number)) return *dtype;
  if (number == 27 || number == 28)
    return Diagnostic{ExitCode::unsupported, where,
                      "6-bit floats (element type " + std::to_string(number) + ") are not supported"};
  return Diagnostic{ExitCode::bad_model, where, "element type " + std::to_string(number) + " is not defined"};
}

Result<graph::Constant> decode_tensor(const onnx::TensorProto &tensor, const TensorSource &source,
                                      const std::string &where) {
  auto problem = [&](std::string what) { return Diagnostic{ExitCode::bad_model, where, std::move(what)}; };
  CAMEO_TRY(const Checked type, check_type(tensor.data_type(), tensor.dims(), source.limits, where));
  if (tensor.has_segment()) return problem("is stored in segments, which no version of ONNX reads");

  if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
    if (filled_fields(tensor) > 0) return problem("has both external data and data of its own");
    if (type.dtype == DType::string) return problem("has strings as external data");
    if (!source.external) return problem("has external data, which is not allowed here");
    ExternalData::Entries entries;
    for (const auto &entry : tensor.external_data()) entries.emplace_back(entry.key(), entry.value());
    CAMEO_TRY(ExternalData::Bytes data, source.external->resolve(entries, uint64_t(type.bytes), where));
    return view(type, data.bytes, data.owner);
  }
  if (tensor.external_data_size() > 0) return problem("has external data but does not say so (data_location)");
  if (filled_fields(tensor) > 1) return problem("has more than one data field");

  if (!tensor.raw_data().empty()) {
    const std::optional<RawRef> ref = decode_raw_ref(tensor.raw_data());
    CAMEO_CHECK(ref && ref->offset <= source.bytes.size() && ref->size <= source.bytes.size() - ref->offset,
                "a skeleton with a bad reference");
    if (type.dtype == DType::string) return problem("has strings in raw_data");
    if (ref->size != uint64_t(type.bytes))
      return problem("has " + std::to_string(ref->size) + " bytes of raw_data where " + std::string(name(type.dtype)) +
                     dims_text(type.dims) + " needs " + std::to_string(type.bytes));
    return view(type, source.bytes.subspan(ref->offset, ref->size), source.owner);
  }

  const TypedField field = typed_field(tensor, type);
  if (field.size == 0 && filled_fields(tensor) > 0)
    return problem("has its data in a field that " + std::string(name(type.dtype)) + " does not use (it uses " +
                   field.name + ")");
  if (field.size != field.wanted)
    return problem("has " + std::to_string(field.size) + " values in " + field.name + " where " +
                   std::string(name(type.dtype)) + dims_text(type.dims) + " needs " + std::to_string(field.wanted));
  std::vector<std::byte> bytes;
  bool fits = true;
  switch (type.dtype) {
  case DType::string:
    return graph::ConstantData::strings(type.dims, {tensor.string_data().begin(), tensor.string_data().end()});
  case DType::f32:
  case DType::c64:
    bytes = copy_field(tensor.float_data());
    break;
  case DType::f64:
  case DType::c128:
    bytes = copy_field(tensor.double_data());
    break;
  case DType::i64:
    bytes = copy_field(tensor.int64_data());
    break;
  case DType::u64:
    bytes = copy_field(tensor.uint64_data());
    break;
  case DType::u32:
    fits = narrow<uint32_t>(tensor.uint64_data(), 0, UINT32_MAX, bytes);
    break;
  default:
    fits = narrow_int32(tensor, type.dtype, bytes);
    break;
  }
  if (!fits)
    return problem(std::string("has a value in ") + field.name + " that " + std::string(name(type.dtype)) +
                   " cannot hold");
  if (type.dtype == DType::boolean)
    for (std::byte &b : bytes) b = std::byte(b != std::byte(0));
  return graph::ConstantData::own(type.dtype, type.dims, std::move(bytes));
}

Result<graph::Constant> decode_sparse(const onnx::SparseTensorProto &tensor, const TensorSource &source,
                                      const std::string &where) {
  auto problem = [&](std::string what) { return Diagnostic{ExitCode::bad_model, where, std::move(what)}; };
  CAMEO_TRY(graph::Constant values, decode_tensor(tensor.values(), source, where + ", values"));
  CAMEO_TRY(graph::Constant indices, decode_tensor(tensor.indices(), source, where + ", indices"));
  CAMEO_TRY(const Checked type, check_type(tensor.values().data_type(), tensor.dims(), source.limits, where));
  if (values->dims().size() != 1) return problem("sparse values must have rank 1");
  if (type.dtype == DType::string || bits(type.dtype) % 8 != 0)
    return Diagnostic{ExitCode::unsupported, where,
                      "sparse tensors of " + std::string(name(type.dtype)) + " are not supported"};
  const int64_t n = values->count(), rank = int64_t(type.dims.size());
  const bool linear = indices->dims().size() == 1;
  if (indices->dtype() != DType::i64 ||
      indices->dims() != (linear ? std::vector<int64_t>{n} : std::vector<int64_t>{n, rank}))
    return problem("sparse indices must be i64[" + std::to_string(n) + "] or i64[" + std::to_string(n) + "," +
                   std::to_string(rank) + "]");
  const int64_t cap = std::max<int64_t>(int64_t{16} << 20, 64 * int64_t(values->bytes().size()));
  if (type.bytes > cap)
    return problem("a sparse tensor of " + std::to_string(type.bytes) + " bytes (limit " + std::to_string(cap) + ")");
  const size_t width = size_t(bits(type.dtype)) / 8;
  std::vector<std::byte> dense(size_t(type.bytes));
  int64_t previous = -1;
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = 0;
    for (int64_t k = 0; k < (linear ? 1 : rank); ++k) {
      const int64_t index = indices->as_int(linear ? i : i * rank + k),
                    extent = linear ? type.count : type.dims[size_t(k)];
      if (index < 0 || index >= extent)
        return problem("sparse index " + std::to_string(index) + " is outside [0, " + std::to_string(extent) + ")");
      at = at * (linear ? 1 : extent) + index;
    }
    if (at <= previous) return problem("sparse indices are not in ascending order");
    previous = at;
    std::memcpy(dense.data() + size_t(at) * width, values->bytes().data() + size_t(i) * width, width);
  }
  return graph::ConstantData::own(type.dtype, type.dims, std::move(dense));
}

} // namespace cameo::frontend
