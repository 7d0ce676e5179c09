// The manifest: what an artefact says of itself, as JSON in an ELF note that needs no loading to be read.
//
//   section .note.cameo, owner "Cameo", type 1, description: the JSON text and a zero byte
//
// Writing is ours; reading is of untrusted files, so every offset and size is checked against the bytes that are there,
// and the work is bounded by limits below.
#include "artefact_internal.h"

#include "cameo/abi.h"
#include "cameo/codegen/digest.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <optional>

namespace cameo::codegen {
namespace {

using Json = nlohmann::ordered_json;

Json dims_json(const std::vector<DimSpec> &list) {
  Json dims = Json::array();
  for (const DimSpec &dim : list) {
    if (dim.extent >= 0)
      dims.push_back(dim.extent);
    else if (dim.symbol >= 0)
      dims.push_back({{"symbol", dim.symbol}});
    else if (dim.at_run)
      dims.push_back({{"at_run", true}});
    else
      dims.push_back({{"computed", dim.text}});
  }
  return dims;
}

constexpr std::string_view kContainerKinds[] = {"sequence", "optional", "optional sequence"}; // from 1

Json containers_json(const std::vector<ContainerSpec> &containers) {
  Json list = Json::array();
  for (const ContainerSpec &c : containers)
    list.push_back({{"name", c.name},
                    {"kind", kContainerKinds[size_t(c.kind) - 1]},
                    {"dtype", name(c.dtype)},
                    {"rank", c.rank},
                    {"dims", dims_json(c.dims)},
                    {"first", c.first},
                    {"count", c.count}});
  return list;
}

Json ports_json(const std::vector<PortSpec> &ports) {
  Json list = Json::array();
  for (const PortSpec &port : ports) {
    Json item = {{"name", port.name}, {"dtype", name(port.dtype)}, {"dims", dims_json(port.dims)}};
    if (port.labels.kind != LabelSpec::Kind::none) {
      const char *of = port.labels.kind == LabelSpec::Kind::columns ? "columns" : "elements";
      Json values = port.labels.strings.empty() ? Json(port.labels.integers) : Json(port.labels.strings);
      item.push_back({"labels", {{"of", of}, {"values", std::move(values)}}});
    }
    list.push_back(std::move(item));
  }
  return list;
}

Json pairs_json(const std::vector<std::pair<std::string, std::string>> &pairs) {
  Json list = Json::array();
  for (const auto &[key, value] : pairs) list.push_back(Json::array({key, value}));
  return list;
}

} // namespace

std::string manifest_json(const ArtefactSpec &spec) {
  const Provenance &from = spec.provenance;
  Json variants = Json::array();
  for (const VariantSpec &variant : spec.variants)
    variants.push_back({{"name", variant.target.name},
                        {"target", variant.target.triple + " " + variant.target.cpu + " " + variant.target.features}});
  Json symbols = Json::array();
  for (const SymbolSpec &symbol : spec.symbols)
    symbols.push_back({{"name", symbol.name}, {"min", symbol.min}, {"max", symbol.max}});
  const Json json = {{"abi_version", CAMEO_ABI_VERSION},
                     {"compiler", from.compiler_version},
                     {"name", from.model_name},
                     {"prefix", spec.prefix},
                     {"model_sha256", from.model_sha256},
                     {"files", pairs_json(from.files)},
                     {"flags", from.flags},
                     {"variants", std::move(variants)},
                     {"inputs", ports_json(spec.inputs)},
                     {"outputs", ports_json(spec.outputs)},
                     {"input_containers", containers_json(spec.input_containers)},
                     {"output_containers", containers_json(spec.output_containers)},
                     {"symbols", std::move(symbols)},
                     {"weights",
                      {{"bytes", spec.weights.size()},
                       {"embedded", spec.embed_weights},
                       {"sha256", sha256_hex(spec.weights.pieces())}}},
                     {"facts", pairs_json(from.facts)}};
  return json.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
}

namespace {

constexpr uint64_t kLongestManifest = 16 << 20;
constexpr int kMostNotes = 64; // note sections and segments of one object that are looked into
constexpr size_t kMostItems = 1 << 16;

// The T at `offset`, if all of it is there.
template <class T> std::optional<T> read_at(std::string_view bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::optional<std::string_view> range(std::string_view bytes, uint64_t offset, uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return std::nullopt;
  return bytes.substr(offset, size);
}

// The description of our note among the notes of one section or segment.
std::optional<std::string_view> find_in_notes(std::string_view notes) {
  for (uint64_t at = 0;;) {
    const auto header = read_at<Elf64_Nhdr>(notes, at);
    if (!header) return std::nullopt;
    auto padded = [](uint64_t size) { return (size + 3) / 4 * 4; };
    const uint64_t name_at = at + sizeof *header, text_at = name_at + padded(header->n_namesz);
    const auto name = range(notes, name_at, header->n_namesz), text = range(notes, text_at, header->n_descsz);
    if (!name || !text) return std::nullopt;
    if (header->n_type == 1 && name->size() == kManifestOwner.size() + 1 && name->starts_with(kManifestOwner))
      return text;
    at = text_at + padded(header->n_descsz);
  }
}

std::optional<std::string_view> find_in_object(std::string_view file) {
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB) return std::nullopt;
  int looked = 0;
  auto look = [&](uint64_t offset, uint64_t size) -> std::optional<std::string_view> {
    if (size > kLongestManifest || ++looked > kMostNotes) return std::nullopt;
    const auto notes = range(file, offset, size);
    return notes ? find_in_notes(*notes) : std::nullopt;
  };
  auto entry = [](uint64_t table, unsigned i, size_t size) -> uint64_t { // past the end when it overflows
    uint64_t offset;
    return __builtin_add_overflow(table, uint64_t(i) * size, &offset) ? UINT64_MAX : offset;
  };
  for (unsigned i = 0; i < header->e_phnum; ++i) {
    const auto segment = read_at<Elf64_Phdr>(file, entry(header->e_phoff, i, sizeof(Elf64_Phdr)));
    if (!segment) break;
    if (segment->p_type != PT_NOTE) continue;
    if (auto found = look(segment->p_offset, segment->p_filesz)) return found;
  }
  for (unsigned i = 0; i < header->e_shnum; ++i) {
    const auto section = read_at<Elf64_Shdr>(file, entry(header->e_shoff, i, sizeof(Elf64_Shdr)));
    if (!section) break;
    if (section->sh_type != SHT_NOTE) continue;
    if (auto found = look(section->sh_offset, section->sh_size)) return found;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_in_archive(std::string_view file) {
  constexpr size_t kHeader = 60;
  size_t members = 0;
  for (uint64_t at = 8; ++members < kMostItems;) {
    const auto header = range(file, at, kHeader);
    if (!header || header->substr(58) != "`\n") return std::nullopt;
    uint64_t size = 0;
    for (char c : header->substr(48, 10)) {
      if (c == ' ') break;
      if (c < '0' || c > '9') return std::nullopt;
      size = size * 10 + uint64_t(c - '0');
    }
    const auto member = range(file, at + kHeader, size);
    if (!member) return std::nullopt;
    if (auto found = find_in_object(*member)) return found;
    at += kHeader + size + size % 2;
  }
  return std::nullopt;
}

// Typed access to untrusted JSON. The first thing that is missing or of another type is remembered.
class Reader {
public:
  std::string problem;

  const Json *member(const Json &object, const char *key) {
    if (object.is_object())
      if (auto at = object.find(key); at != object.end()) return &*at;
    return fail(std::string("no '") + key + "'");
  }
  std::string text(const Json &object, const char *key) {
    const Json *value = member(object, key);
    return value ? text_of(*value, key) : "";
  }
  std::string text_of(const Json &value, const char *what) {
    if (value.is_string()) return value.get<std::string>();
    fail(std::string("'") + what + "' is not a string");
    return "";
  }
  int64_t number(const Json &object, const char *key, int64_t min, int64_t max) {
    const Json *value = member(object, key);
    return value ? number_of(*value, key, min, max) : 0;
  }
  int64_t number_of(const Json &value, const char *what, int64_t min, int64_t max) {
    if (value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > uint64_t(INT64_MAX)))
      if (const int64_t n = value.get<int64_t>(); n >= min && n <= max) return n;
    fail(std::string("'") + what + "' is not an integer in its range");
    return 0;
  }
  bool truth(const Json &object, const char *key) {
    const Json *value = member(object, key);
    if (value && value->is_boolean()) return value->get<bool>();
    fail(std::string("'") + key + "' is not true or false");
    return false;
  }
  const Json &list(const Json &object, const char *key) {
    const Json *value = member(object, key);
    if (value && value->is_array() && value->size() <= kMostItems) return *value;
    fail(std::string("'") + key + "' is not a list");
    return empty_;
  }
  std::nullptr_t fail(std::string what) {
    if (problem.empty()) problem = std::move(what);
    return nullptr;
  }

private:
  Json empty_ = Json::array();
};

std::vector<std::pair<std::string, std::string>> read_pairs(Reader &reader, const Json &object, const char *key) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Json &item : reader.list(object, key)) {
    if (!item.is_array() || item.size() != 2) {
      reader.fail(std::string("'") + key + "' has an item that is no pair");
      break;
    }
    pairs.emplace_back(reader.text_of(item[0], key), reader.text_of(item[1], key));
  }
  return pairs;
}

DimSpec read_dim(Reader &reader, const Json &dim, size_t symbols) {
  if (dim.is_number()) return DimSpec::fixed(reader.number_of(dim, "dims", 0, INT64_MAX));
  if (dim.is_object() && dim.contains("symbol"))
    return DimSpec::of_symbol(int32_t(reader.number(dim, "symbol", 0, int64_t(symbols) - 1)));
  if (dim.is_object() && dim.contains("at_run")) return DimSpec::unknown();
  return DimSpec::computed(reader.text(dim, "computed"));
}

LabelSpec read_labels(Reader &reader, const Json &json) {
  LabelSpec labels;
  const std::string of = reader.text(json, "of");
  if (of != "columns" && of != "elements") reader.fail("labels of what is neither columns nor elements");
  labels.kind = of == "columns" ? LabelSpec::Kind::columns : LabelSpec::Kind::elements;
  for (const Json &item : reader.list(json, "values")) {
    if (item.is_string())
      labels.strings.push_back(item.get<std::string>());
    else
      labels.integers.push_back(reader.number_of(item, "values", INT64_MIN, INT64_MAX));
  }
  if (!labels.strings.empty() && !labels.integers.empty()) reader.fail("labels of two kinds");
  return labels;
}

std::vector<PortSpec> read_ports(Reader &reader, const Json &json, const char *key, size_t symbols) {
  std::vector<PortSpec> ports;
  for (const Json &item : reader.list(json, key)) {
    PortSpec port;
    port.name = reader.text(item, "name");
    const auto dtype = dtype_from_name(reader.text(item, "dtype"));
    if (!dtype) reader.fail("unknown dtype");
    port.dtype = dtype.value_or(DType::f32);
    for (const Json &dim : reader.list(item, "dims")) port.dims.push_back(read_dim(reader, dim, symbols));
    if (item.is_object() && item.contains("labels")) port.labels = read_labels(reader, item["labels"]);
    ports.push_back(std::move(port));
    if (!reader.problem.empty()) break;
  }
  return ports;
}

// Libraries of earlier compilers have no such list.
std::vector<ContainerSpec> read_containers(Reader &reader, const Json &json, const char *key, size_t ports) {
  std::vector<ContainerSpec> containers;
  if (!json.is_object() || !json.contains(key)) return containers;
  int64_t end = 0;
  for (const Json &item : reader.list(json, key)) {
    ContainerSpec c;
    c.name = reader.text(item, "name");
    const std::string kind = reader.text(item, "kind");
    const auto *found = std::find(std::begin(kContainerKinds), std::end(kContainerKinds), kind);
    if (found == std::end(kContainerKinds)) reader.fail("unknown kind of container");
    c.kind = ContainerSpec::Kind(found - std::begin(kContainerKinds) + 1);
    const auto dtype = dtype_from_name(reader.text(item, "dtype"));
    if (!dtype) reader.fail("unknown dtype");
    c.dtype = dtype.value_or(DType::f32);
    c.rank = int32_t(reader.number(item, "rank", -1, 64));
    for (const Json &dim : reader.list(item, "dims")) c.dims.push_back(read_dim(reader, dim, 0));
    if (int32_t(c.dims.size()) != std::max(c.rank, 0)) reader.fail("a container whose extents are of another rank");
    const int64_t count = 2 + (c.rank < 0) + (c.kind == ContainerSpec::Kind::optional_sequence);
    c.count = int32_t(reader.number(item, "count", count, count));
    c.first = int32_t(reader.number(item, "first", end, int64_t(ports) - count));
    end = c.first + c.count;
    containers.push_back(std::move(c));
    if (!reader.problem.empty()) break;
  }
  return containers;
}

} // namespace

Result<Manifest> read_manifest(std::span<const std::byte> bytes, const std::string &where) {
  auto bad = [&](std::string what) { return Diagnostic{ExitCode::bad_model, where, std::move(what)}; };
  const std::string_view file(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  const auto note = file.starts_with("!<arch>\n") ? find_in_archive(file) : find_in_object(file);
  if (!note) return bad("not a library made by cameo (no note .note.cameo)");
  Manifest manifest;
  manifest.json = note->substr(0, note->find('\0'));
  const Json json = Json::parse(manifest.json, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return bad("the manifest is not JSON");

  Reader reader;
  manifest.abi_version = int32_t(reader.number(json, "abi_version", 1, INT32_MAX));
  manifest.prefix = reader.text(json, "prefix");
  manifest.provenance.compiler_version = reader.text(json, "compiler");
  manifest.provenance.model_name = reader.text(json, "name");
  manifest.provenance.model_sha256 = reader.text(json, "model_sha256");
  manifest.provenance.flags = reader.text(json, "flags");
  manifest.provenance.files = read_pairs(reader, json, "files");
  manifest.provenance.facts = read_pairs(reader, json, "facts");
  for (const Json &item : reader.list(json, "variants"))
    manifest.variants.emplace_back(reader.text(item, "name"), reader.text(item, "target"));
  for (const Json &item : reader.list(json, "symbols"))
    manifest.symbols.push_back({reader.text(item, "name"), reader.number(item, "min", 0, INT64_MAX),
                                reader.number(item, "max", 0, INT64_MAX)});
  manifest.inputs = read_ports(reader, json, "inputs", manifest.symbols.size());
  manifest.outputs = read_ports(reader, json, "outputs", manifest.symbols.size());
  manifest.input_containers = read_containers(reader, json, "input_containers", manifest.inputs.size());
  manifest.output_containers = read_containers(reader, json, "output_containers", manifest.outputs.size());
  if (const Json *weights = reader.member(json, "weights")) {
    manifest.weights_bytes = reader.number(*weights, "bytes", 0, INT64_MAX);
    manifest.weights_embedded = reader.truth(*weights, "embedded");
    manifest.weights_sha256 = reader.text(*weights, "sha256");
  }
  if (manifest.prefix != c_identifier(manifest.prefix)) reader.fail("the prefix is no C identifier");
  if (!reader.problem.empty()) return bad("the manifest is damaged: " + reader.problem);
  return manifest;
}

} // namespace cameo::codegen
