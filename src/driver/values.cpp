#include "values.h"

#include "containers.h"

#include "cameo/frontend/tensor_pb.h"
#include "cameo/ir/constant.h"
#include "cameo/support/files.h"
#include "cameo/support/nearest.h"
#include "cameo/support/npy.h"

#include <algorithm>
#include <cctype>

namespace cameo::driver {

namespace {

constexpr int64_t kMaxTensorBytes = int64_t{1} << 32; // of a random tensor

// splitmix64 (Steele, Lea, Flood 2014): every state gives 64 good bits.
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
};

// FNV-1a, so that each input has a sequence of its own.
uint64_t hash(const std::string &text) {
  uint64_t h = 0xcbf29ce484222325;
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3;
  return h;
}

// Random floats are k / 2^n with k in [-2^n, 2^n); n such that the dtype holds all of them.
int fraction_bits(DType dtype) {
  switch (dtype) {
  case DType::f16:
    return 10;
  case DType::bf16:
    return 7;
  case DType::f8e4m3fn:
  case DType::f8e4m3fnuz:
    return 3;
  case DType::f8e5m2:
  case DType::f8e5m2fnuz:
    return 2;
  case DType::f4e2m1:
    return 1;
  default:
    return 23;
  }
}

} // namespace

Result<Tensor> read_tensor_file(const std::string &path, std::optional<DType> wanted) {
  CAMEO_TRY(const MappedFile file, MappedFile::open(path));
  const std::string where = escape_name(path);
  if (file.text().starts_with("\x93NUMPY")) return parse_npy(file.bytes(), where, wanted);
  if (path.ends_with(".npy")) return Diagnostic{ExitCode::bad_model, where, "not a .npy file"};
  if (file.text().starts_with("PK\x03\x04"))
    return Diagnostic{ExitCode::bad_model, where, "is an archive (.npz): give one of its tensors as .npy"};
  auto tensor = frontend::parse_tensor_pb(file.bytes(), where);
  if (!tensor && !path.ends_with(".pb"))
    return Diagnostic{ExitCode::bad_model, where, "is neither a .npy file nor a tensor of ONNX (.pb)"};
  return tensor;
}

Result<Tensor> random_tensor(const PortInfo &port, const std::vector<int64_t> &shape, uint64_t seed) {
  const std::string where = "input '" + escape_name(port.name) + "'";
  const auto count = element_count(shape);
  const auto bytes = count ? byte_size(port.dtype == DType::string ? DType::c128 : port.dtype, *count) : std::nullopt;
  if (!bytes || *bytes > kMaxTensorBytes)
    return Diagnostic{ExitCode::usage, where, "a random tensor " + type_text(port.dtype, shape) + " is too large"};
  Tensor t;
  t.dtype = port.dtype;
  t.shape = shape;
  Random random{seed ^ hash(port.name)};
  if (t.dtype == DType::string) { // words of one to eight letters
    t.strings.resize(static_cast<size_t>(*count));
    for (std::string &s : t.strings) {
      uint64_t letters = random.next();
      s.resize(1 + letters % 8);
      for (char &c : s) c = static_cast<char>('a' + (letters >>= 8) % 26);
    }
    return t;
  }
  const bool complex = kind(t.dtype) == DTypeKind::complex;
  if ((is_float(t.dtype) && t.dtype != DType::f8e8m0) || complex) {
    const int n = fraction_bits(t.dtype);
    const double unit = 1.0 / (int64_t{1} << n);
    const DType part = t.dtype == DType::c64 ? DType::f32 : t.dtype == DType::c128 ? DType::f64 : t.dtype;
    std::vector<double> values(static_cast<size_t>(*count) * (complex ? 2 : 1));
    for (double &v : values) v = (static_cast<int64_t>(random.next() >> (63 - n)) - (int64_t{1} << n)) * unit;
    const auto data = graph::ConstantData::of(part, {static_cast<int64_t>(values.size())}, values);
    t.data.assign(data->bytes().begin(), data->bytes().end());
    return t;
  }
  t.data.resize(static_cast<size_t>(*bytes));
  const bool bit = bits(t.dtype) > 8 || t.dtype == DType::boolean;
  const size_t width = bit ? static_cast<size_t>(bits(t.dtype)) / 8 : 1; // the low byte carries the bit, little endian
  for (size_t i = 0; i < t.data.size(); i += width) {
    const uint64_t r = random.next();
    t.data[i] = static_cast<std::byte>(bit ? r >> 63 : t.dtype == DType::f8e8m0 ? 126 + (r >> 63) : r >> 56);
  }
  if (const int64_t used = *count * bits(t.dtype) % 8; used != 0) // the padding of packed elements is 0
    t.data.back() &= static_cast<std::byte>((1 << used) - 1);
  return t;
}

Result<Given> read_inputs(const std::vector<PortInfo> &ports, const Options &options) {
  Given given;
  Diagnostics problems;
  std::vector<std::string_view> names;
  std::vector<std::string> symbols; // in order of appearance, each once
  for (const PortInfo &port : ports) {
    names.push_back(port.name);
    if (port.kind != PortInfo::Kind::tensor) continue; // each element has extents of its own
    for (const std::string &symbol : port.symbols)
      if (!symbol.empty() && std::find(symbols.begin(), symbols.end(), symbol) == symbols.end())
        symbols.push_back(symbol);
  }
  auto unknown = [&](const char *option, const char *what, const std::string &name,
                     std::span<const std::string_view> all) {
    problems.push_back(
        {ExitCode::usage, "",
         std::string(option) + ": no " + what + " '" + escape_name(name) + "'" + did_you_mean(name, all)});
  };
  for (const auto &[name, value] : options.dims) {
    if (std::find(symbols.begin(), symbols.end(), name) != symbols.end())
      given.symbols[name] = value;
    else
      unknown("--dim", "symbolic dim", name, std::vector<std::string_view>(symbols.begin(), symbols.end()));
  }
  for (const auto &[name, path] : options.inputs) {
    const auto port = std::find_if(ports.begin(), ports.end(), [&](const PortInfo &p) { return p.name == name; });
    if (port == ports.end()) {
      unknown("--input", "input", name, names);
      continue;
    }
    if (port->kind != PortInfo::Kind::tensor) {
      auto value = read_port_pb(path, *port);
      auto parts = value ? to_parts(*port, *value, escape_name(path)) : Result<std::vector<Tensor>>(value.errors());
      if (parts)
        given.containers[name] = std::move(*parts);
      else
        problems.insert(problems.end(), parts.errors().begin(), parts.errors().end());
      continue;
    }
    auto tensor = read_tensor_file(path, port->dtype);
    if (!tensor) {
      problems.insert(problems.end(), tensor.errors().begin(), tensor.errors().end());
      continue;
    }
    std::string wants = std::string(cameo::name(port->dtype)) + "[";
    bool fits = tensor->dtype == port->dtype && tensor->shape.size() == port->dims.size();
    for (size_t d = 0; d < port->dims.size(); ++d) {
      wants += (d ? "," : "") + (port->dims[d] >= 0 ? std::to_string(port->dims[d]) : port->symbols[d]);
      if (!fits) continue;
      int64_t wanted = port->dims[d];
      if (wanted < 0) wanted = given.symbols.try_emplace(port->symbols[d], tensor->shape[d]).first->second;
      fits = wanted == tensor->shape[d];
    }
    if (!fits)
      problems.push_back({ExitCode::bad_model, escape_name(path),
                          "is " + type_text(tensor->dtype, tensor->shape) + ", input '" + escape_name(name) +
                              "' needs " + escape_name(wants) + "]"});
    given.tensors[name] = std::move(*tensor);
  }
  if (!problems.empty()) return problems;
  for (const std::string &symbol : symbols)
    if (given.symbols.try_emplace(symbol, 1).second)
      given.notes.push_back("dim '" + escape_name(symbol) + "' is 1: set it with --dim");
  return given;
}

Result<std::pair<std::vector<Tensor>, std::string>> random_container(const PortInfo &port, uint64_t seed) {
  Random random{seed};
  const int64_t length = 1 + static_cast<int64_t>(random.next() % 3),
                extent = 1 + static_cast<int64_t>(random.next() % 4);
  PortInfo element = port;
  std::vector<int64_t> shape = port.ranked ? port.dims : std::vector<int64_t>{-1};
  for (int64_t &d : shape) d = d < 0 ? extent : d;
  frontend::PbValue list;
  list.kind = graph::TypeKind::sequence;
  for (int64_t k = 0; k < (port.kind == PortInfo::Kind::optional ? 1 : length); ++k) {
    element.name = port.name + "[" + std::to_string(k) + "]";
    frontend::PbValue item;
    CAMEO_TRY(item.tensor, random_tensor(element, shape, seed));
    list.elements.push_back(std::move(item));
  }
  frontend::PbValue value = list;
  if (port.kind != PortInfo::Kind::sequence) value.kind = graph::TypeKind::optional;
  if (port.kind == PortInfo::Kind::optional_sequence) value.elements = {list};
  CAMEO_TRY(std::vector<Tensor> parts, to_parts(port, value, "a random value"));
  return std::pair(std::move(parts), "'" + escape_name(port.name) + "' is " + std::to_string(list.elements.size()) +
                                         " x " + type_text(port.dtype, shape) + ": give another with --input");
}

Result<std::vector<Tensor>> make_inputs(const std::vector<PortInfo> &ports, Given given, uint64_t seed,
                                        std::vector<std::string> *notes) {
  std::vector<Tensor> tensors;
  for (const PortInfo &port : ports) {
    if (port.kind != PortInfo::Kind::tensor) {
      auto parts = given.containers.find(port.name);
      if (parts == given.containers.end()) {
        CAMEO_TRY(auto random, random_container(port, seed));
        if (notes) notes->push_back(std::move(random.second));
        parts = given.containers.emplace(port.name, std::move(random.first)).first;
      }
      for (Tensor &t : parts->second) tensors.push_back(std::move(t));
      continue;
    }
    if (const auto file = given.tensors.find(port.name); file != given.tensors.end()) {
      tensors.push_back(std::move(file->second));
      continue;
    }
    std::vector<int64_t> shape = port.dims;
    for (size_t d = 0; d < shape.size(); ++d)
      if (shape[d] < 0) shape[d] = given.symbols.at(port.symbols[d]);
    CAMEO_TRY(Tensor random, random_tensor(port, shape, seed));
    tensors.push_back(std::move(random));
  }
  return tensors;
}

std::string file_name(const std::string &name) {
  std::string out = name.substr(0, 100);
  for (char &c : out)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') c = '_';
  if (out.empty() || out.front() == '.') out.insert(out.begin(), '_');
  return out;
}

} // namespace cameo::driver
