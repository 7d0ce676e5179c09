#include "containers.h"

#include "cameo/ir/container.h"
#include "cameo/support/files.h"

#include <cstring>

namespace cameo::driver {

namespace {

using frontend::PbValue;
using graph::TypeKind;

constexpr int64_t kRow = graph::kMostElementRank;

bool has_ranks(const PortInfo &port) { return !port.ranked; }
bool has_present(const PortInfo &port) { return port.kind == PortInfo::Kind::optional_sequence; }

Tensor integers(std::vector<int64_t> shape, const std::vector<int64_t> &values) {
  Tensor t{DType::i64, std::move(shape), {}, {}};
  t.data.resize(values.size() * sizeof(int64_t));
  if (!values.empty()) std::memcpy(t.data.data(), values.data(), t.data.size());
  return t;
}

// Packed elements, low bits first: `count` bits from `from` at bit `source` to bit `target` of `to`.
void copy_bits(std::vector<std::byte> &to, int64_t target, const std::vector<std::byte> &from, int64_t source,
               int64_t count) {
  if (count == 0) return;
  if (target % 8 == 0 && source % 8 == 0 && count % 8 == 0) {
    std::memcpy(to.data() + target / 8, from.data() + source / 8, static_cast<size_t>(count / 8));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const auto bit = std::to_integer<unsigned>(from[static_cast<size_t>((source + i) / 8)]) >> (source + i) % 8 & 1u;
    to[static_cast<size_t>((target + i) / 8)] |= static_cast<std::byte>(bit << (target + i) % 8);
  }
}

bool fits(const PortInfo &port, const Tensor &t) {
  if (t.dtype != port.dtype || !t.strings.empty()) return false;
  if (has_ranks(port)) return t.shape.size() <= static_cast<size_t>(kRow);
  if (t.shape.size() != port.dims.size()) return false;
  for (size_t d = 0; d < t.shape.size(); ++d)
    if (port.dims[d] >= 0 && port.dims[d] != t.shape[d]) return false;
  return true;
}

} // namespace

PortInfo container_port(const codegen::ContainerSpec &container) {
  using Kind = codegen::ContainerSpec::Kind;
  PortInfo port;
  port.name = container.name;
  port.kind = container.kind == Kind::sequence   ? PortInfo::Kind::sequence
              : container.kind == Kind::optional ? PortInfo::Kind::optional
                                                 : PortInfo::Kind::optional_sequence;
  port.dtype = container.dtype;
  port.ranked = container.rank >= 0;
  for (const codegen::DimSpec &dim : container.dims) {
    port.dims.push_back(dim.extent >= 0 ? dim.extent : -1);
    port.symbols.push_back(dim.extent >= 0 ? "" : "?");
  }
  return port;
}

size_t part_count(const PortInfo &port) {
  return port.kind == PortInfo::Kind::tensor ? 1 : 2u + has_ranks(port) + has_present(port);
}

std::string port_type_text(const PortInfo &port) {
  std::string text;
  if (port.kind == PortInfo::Kind::sequence) text = "sequence of ";
  if (port.kind == PortInfo::Kind::optional) text = "optional ";
  if (port.kind == PortInfo::Kind::optional_sequence) text = "optional sequence of ";
  text += std::string(name(port.dtype)) + "[";
  if (!port.ranked) return text + "*]";
  for (size_t i = 0; i < port.dims.size(); ++i)
    text += (i ? "," : "") + (port.dims[i] >= 0 ? std::to_string(port.dims[i]) : escape_name(port.symbols[i]));
  return text + "]";
}

Result<PbValue> read_port_pb(const std::string &path, const PortInfo &port) {
  const graph::Type element = graph::Type::unranked(port.dtype);
  switch (port.kind) {
  case PortInfo::Kind::tensor:
    return frontend::read_value_pb(path, element);
  case PortInfo::Kind::sequence:
    return frontend::read_value_pb(path, graph::Type::sequence(element));
  case PortInfo::Kind::optional:
  case PortInfo::Kind::optional_sequence:
    return frontend::read_value_pb(path, graph::Type::optional(element));
  }
  CAMEO_UNREACHABLE("kind of port");
}

bool is_present(const PbValue &value) { return value.kind != TypeKind::optional || !value.elements.empty(); }

std::vector<Tensor> elements_of(const PbValue &value) {
  const PbValue *list = &value;
  if (value.kind == TypeKind::optional && !value.elements.empty() && value.elements[0].kind == TypeKind::sequence)
    list = &value.elements[0];
  std::vector<Tensor> tensors;
  for (const PbValue &element : list->elements) tensors.push_back(element.tensor);
  return tensors;
}

Result<std::vector<Tensor>> to_parts(const PortInfo &port, const PbValue &value, const std::string &where) {
  auto bad = [&](const std::string &what) {
    return Diagnostic{ExitCode::bad_model, where,
                      what + ", input '" + escape_name(port.name) + "' needs " + port_type_text(port)};
  };
  const bool sequence = port.kind == PortInfo::Kind::sequence;
  const PbValue *list = &value;
  if (value.kind != (sequence ? TypeKind::sequence : TypeKind::optional)) return bad("is of another kind");
  if (has_present(port) && !value.elements.empty()) list = &value.elements[0];
  if (has_present(port) && !value.elements.empty() && list->kind != TypeKind::sequence)
    return bad("is an optional of something else");
  std::vector<int64_t> dims, ranks;
  int64_t total = 0;
  for (const PbValue &element : list->elements) {
    const Tensor &t = element.tensor;
    if (element.kind != TypeKind::tensor || !fits(port, t))
      return bad("element " + std::to_string(ranks.size()) +
                 (element.kind == TypeKind::tensor ? " is " + type_text(t.dtype, t.shape) : " is no tensor"));
    if (__builtin_add_overflow(total, *element_count(t.shape), &total)) return bad("has too many elements");
    ranks.push_back(static_cast<int64_t>(t.shape.size()));
    dims.insert(dims.end(), t.shape.begin(), t.shape.end());
    if (has_ranks(port)) dims.resize(ranks.size() * static_cast<size_t>(kRow), 1);
  }
  const auto bytes = byte_size(port.dtype, total);
  if (!bytes) return bad("has too many elements");
  Tensor data{port.dtype, {total}, std::vector<std::byte>(static_cast<size_t>(*bytes)), {}};
  int64_t at = 0;
  for (const PbValue &element : list->elements) {
    const int64_t size = *element_count(element.tensor.shape) * bits(port.dtype);
    copy_bits(data.data, at, element.tensor.data, 0, size);
    at += size;
  }
  const int64_t count = static_cast<int64_t>(ranks.size());
  std::vector<Tensor> parts;
  parts.push_back(integers({count, has_ranks(port) ? kRow : static_cast<int64_t>(port.dims.size())}, dims));
  parts.push_back(std::move(data));
  if (has_ranks(port)) parts.push_back(integers({count}, ranks));
  if (has_present(port)) parts.push_back({DType::boolean, {}, {static_cast<std::byte>(is_present(value))}, {}});
  return parts;
}

Result<PbValue> from_parts(const PortInfo &port, std::span<const Tensor> parts) {
  auto bad = [&] {
    return Diagnostic{ExitCode::check_failed, "output '" + escape_name(port.name) + "'",
                      "a run gave tensors that are no " + port_type_text(port)};
  };
  const Tensor &dims = parts[0], &data = parts[1];
  const int64_t count = dims.shape[0], width = dims.shape[1];
  PbValue list;
  list.kind = TypeKind::sequence;
  int64_t at = 0;
  for (int64_t k = 0; k < count; ++k) {
    const int64_t rank = has_ranks(port) ? parts[2].as<int64_t>()[k] : width;
    if (rank < 0 || rank > width) return bad();
    PbValue element;
    const int64_t *row = dims.as<int64_t>() + k * width;
    element.tensor = {port.dtype, std::vector<int64_t>(row, row + rank), {}, {}};
    const auto elements = element_count(element.tensor.shape);
    const auto bytes = elements ? byte_size(port.dtype, *elements) : std::nullopt;
    if (!bytes || *elements > data.shape[0] - at) return bad();
    element.tensor.data.resize(static_cast<size_t>(*bytes));
    copy_bits(element.tensor.data, 0, data.data, at * bits(port.dtype), *elements * bits(port.dtype));
    at += *elements;
    list.elements.push_back(std::move(element));
  }
  if (at != data.shape[0]) return bad();
  if (port.kind == PortInfo::Kind::sequence) return list;
  if (port.kind == PortInfo::Kind::optional) {
    if (count > 1) return bad();
    list.kind = TypeKind::optional;
    return list;
  }
  PbValue optional;
  optional.kind = TypeKind::optional;
  if (parts.back().data[0] != std::byte{0}) optional.elements.push_back(std::move(list));
  return optional;
}

} // namespace cameo::driver
