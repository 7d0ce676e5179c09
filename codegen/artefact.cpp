// Builds artefacts: the variants' code, the stub and the weights become one relocatable object, and that object a
// shared library, an archive, or itself.
//
//   Loop IR --compile_chunks--> objects --+
//   spec    --compile_stub--> object -----+--merge_objects--> one object --link_shared--> library
//   codegen/runtime/ (embedded objects) --+                    + weights, appended as they are
#include "artefact_internal.h"

#include "cameo/codegen/codegen.h"

#include "cameo/abi.h"

#include "elf_merge.h"
#include "link.h"

#include "llvm/Support/xxhash.h"

#include <algorithm>
#include <cstring>

namespace cameo::codegen {
namespace {

alignas(64) constexpr std::byte kZeros[kWeightsAlign] = {};

// Everything outside of the artefact that its code may call: DESIGN, code generation. What is not here is a fault.
const std::set<std::string> kExternals = {
    // memory
    "malloc", "free", "mmap", "munmap", "madvise", "memcpy", "memmove", "memset", "memcmp",
    // workers
    "pthread_create", "pthread_join", "pthread_attr_init", "pthread_attr_setstacksize", "pthread_attr_destroy",
    "pthread_mutex_init", "pthread_mutex_lock", "pthread_mutex_unlock", "pthread_mutex_destroy", "sem_init", "sem_wait",
    "sem_post", "sem_destroy", "getpid"};

bool is_power_of_two(int64_t n) { return n > 0 && (n & (n - 1)) == 0; }

void check_dims(const ArtefactSpec &spec, const PortSpec &port, bool output) {
  for (const DimSpec &dim : port.dims) {
    CAMEO_CHECK(dim.symbol < int32_t(spec.symbols.size()), port.name + ": no such symbol");
    CAMEO_CHECK(output || dim.extent >= 0 || dim.symbol >= 0, port.name + ": an input dim is fixed or a symbol");
  }
  CAMEO_CHECK(port.dtype != DType::string || !spec.strings.empty(), port.name + ": a port of strings without a table");
  CAMEO_CHECK(fixed_bytes(port) >= -1, port.name + ": size overflows");
}

void check_containers(const std::vector<ContainerSpec> &containers, const std::vector<PortSpec> &ports) {
  int32_t end = 0;
  for (const ContainerSpec &c : containers) {
    const bool fits = c.first >= end && c.count >= 2 && c.count <= 4 && c.first + c.count <= int32_t(ports.size());
    CAMEO_CHECK(fits, c.name + ": its tensors are not those of the interface");
    CAMEO_CHECK(int32_t(c.dims.size()) == std::max(c.rank, 0), c.name + ": extents of another rank");
    end = c.first + c.count;
  }
}

void check_function(const VariantSpec &variant, const char *name, size_t buffers, size_t scalars, size_t results) {
  const loop::Function *f = variant.code.find(name);
  const std::string who = variant.target.name + ": @" + name;
  CAMEO_CHECK(f && !f->declaration && f->exported, who + " must be defined and exported");
  CAMEO_CHECK(f->params.size() == buffers + scalars && f->results.size() == results, who + " has the wrong signature");
  for (size_t i = 0; i < f->params.size(); ++i) {
    const loop::Type type = f->type(f->params[i].value);
    CAMEO_CHECK(i < buffers ? type.buffer : type == loop::kIndex, who + " has the wrong signature");
  }
}

void check_spec(const ArtefactSpec &spec) {
  CAMEO_CHECK(spec.prefix == c_identifier(spec.prefix), "prefix " + spec.prefix);
  CAMEO_CHECK(!spec.variants.empty(), "no variant");
  for (const PortSpec &port : spec.inputs) check_dims(spec, port, false);
  for (const PortSpec &port : spec.outputs) check_dims(spec, port, true);
  check_containers(spec.input_containers, spec.inputs);
  check_containers(spec.output_containers, spec.outputs);
  for (size_t s = 0; s < spec.symbols.size(); ++s) {
    const SymbolSpec &symbol = spec.symbols[s];
    CAMEO_CHECK(0 <= symbol.min && symbol.min <= symbol.max, "range of symbol " + symbol.name);
    const bool bound = std::any_of(spec.inputs.begin(), spec.inputs.end(), [&](const PortSpec &port) {
      return std::any_of(port.dims.begin(), port.dims.end(), [&](const DimSpec &d) { return d.symbol == int32_t(s); });
    });
    CAMEO_CHECK(bound, "no input has symbol " + symbol.name);
  }
  CAMEO_CHECK(std::is_sorted(spec.strings.begin(), spec.strings.end()) &&
                  (spec.strings.empty() || spec.strings[0].empty()),
              "the table of strings");
  const OutputDims dims = count_output_dims(spec);
  const size_t ports = spec.inputs.size() + spec.outputs.size(), symbols = spec.symbols.size();
  const size_t run_buffers = ports + (dims.at_run ? 2 : 0) + 2;
  std::set<std::string> names;
  for (const VariantSpec &variant : spec.variants) {
    CAMEO_CHECK(names.insert(variant.target.name).second, "two variants are named " + variant.target.name);
    CAMEO_CHECK(variant.target.triple == spec.variants[0].target.triple, "variants of several architectures");
    check_function(variant, "run", run_buffers, symbols, 0);
    check_function(variant, "workspace_bytes", 0, symbols, 1);
    if (dims.computed) check_function(variant, "output_dims", 1, symbols, 0);
  }
}

// What the runtime keeps on the stack while it computes shapes, and what C can call, is bounded.
Diagnostics unsupported(const ArtefactSpec &spec) {
  constexpr int64_t kMostDims = 2048, kMostSymbols = 256;
  Diagnostics problems;
  auto too_many = [&](const char *what, int64_t count, int64_t most) {
    if (count > most)
      problems.push_back(
          {ExitCode::unsupported, spec.provenance.model_name,
           "the model has " + std::to_string(count) + " " + what + ", a library at most " + std::to_string(most)});
  };
  too_many("dims of outputs", count_output_dims(spec).all, kMostDims);
  too_many("symbols", int64_t(spec.symbols.size()), kMostSymbols);
  return problems;
}

Result<Artefact> text_artefact(const ArtefactSpec &spec, Emit emit, const Options &options) {
  Artefact artefact;
  const char *comment = emit == Emit::llvm_ir ? "; " : "# ";
  for (const VariantSpec &variant : spec.variants) {
    if (spec.variants.size() > 1) artefact.append(comment + ("variant " + variant.target.name) + "\n");
    CAMEO_TRY(std::string text, compile(variant.code, variant.target, emit, options));
    artefact.append(std::move(text));
  }
  return artefact;
}

} // namespace

int64_t Weights::add(std::span<const std::byte> bytes, int64_t align) {
  CAMEO_CHECK(is_power_of_two(align) && align <= kWeightsAlign, "alignment " + std::to_string(align));
  if (bytes.empty()) return 0;
  const uint64_t hash =
      llvm::xxh3_64bits(llvm::ArrayRef(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  for (auto [at, end] = by_hash_.equal_range(hash); at != end; ++at) {
    const Section &known = sections_[at->second];
    if (known.bytes.size() == bytes.size() && known.offset % align == 0 &&
        std::memcmp(known.bytes.data(), bytes.data(), bytes.size()) == 0)
      return known.offset;
  }
  const int64_t offset = (size_ + align - 1) / align * align;
  by_hash_.emplace(hash, sections_.size());
  sections_.push_back({offset, bytes});
  size_ = offset + int64_t(bytes.size());
  return offset;
}

int64_t Weights::add(std::vector<std::byte> bytes, int64_t align) {
  auto kept = std::make_unique<std::vector<std::byte>>(std::move(bytes));
  const size_t sections = sections_.size();
  const int64_t offset = add(std::span<const std::byte>(*kept), align);
  if (sections_.size() > sections) owned_.push_back(std::move(kept));
  return offset;
}

std::vector<std::span<const std::byte>> Weights::pieces() const {
  std::vector<std::span<const std::byte>> pieces;
  int64_t end = 0;
  for (const Section &section : sections_) {
    if (section.offset > end) pieces.push_back(std::span(kZeros).first(size_t(section.offset - end)));
    pieces.push_back(section.bytes);
    end = section.offset + int64_t(section.bytes.size());
  }
  return pieces;
}

int64_t Artefact::size() const {
  int64_t size = 0;
  for (std::span<const std::byte> piece : pieces_) size += int64_t(piece.size());
  return size;
}

std::string Artefact::bytes() const {
  std::string bytes;
  bytes.reserve(size_t(size()));
  for (std::span<const std::byte> piece : pieces_)
    bytes.append(reinterpret_cast<const char *>(piece.data()), piece.size());
  return bytes;
}

void Artefact::append(std::string bytes) {
  if (bytes.empty()) return;
  owned_.push_back(std::make_unique<std::string>(std::move(bytes)));
  append_ref(std::as_bytes(std::span(*owned_.back())));
}

void Artefact::append_ref(std::span<const std::byte> bytes) {
  if (!bytes.empty()) pieces_.push_back(bytes);
}

OutputDims count_output_dims(const ArtefactSpec &spec) {
  OutputDims counts;
  for (const PortSpec &port : spec.outputs) {
    int64_t at_run = 0;
    for (const DimSpec &dim : port.dims) {
      ++counts.all;
      at_run += dim.at_run;
      counts.computed |= dim.extent < 0 && dim.symbol < 0 && !dim.at_run;
    }
    counts.at_run += at_run;
    counts.at_run_outputs += at_run > 0;
  }
  return counts;
}

int64_t fixed_bytes(const PortSpec &port) {
  int64_t count = 1;
  bool empty = false;
  for (const DimSpec &dim : port.dims) {
    if (dim.extent < 0) return -1;
    empty |= dim.extent == 0;
  }
  if (empty) return 0;
  for (const DimSpec &dim : port.dims)
    if (__builtin_mul_overflow(count, dim.extent, &count)) return -2;
  if (port.dtype == DType::string)
    return __builtin_mul_overflow(count, int64_t{sizeof(CameoString)}, &count) ? -2 : count;
  return byte_size(port.dtype, count).value_or(-2);
}

std::string dim_text(const ArtefactSpec &spec, const DimSpec &dim) {
  if (dim.extent >= 0) return std::to_string(dim.extent);
  if (dim.symbol >= 0) return spec.symbols[size_t(dim.symbol)].name;
  return dim.at_run ? "?" : dim.text;
}

uint64_t variant_features(const VariantSpec &variant) {
  return required_cpu_features(variant.target) | variant.more_features;
}

std::string variant_scope(const ArtefactSpec &spec, size_t variant) {
  return spec.prefix + "." + spec.variants[variant].target.name;
}

Result<Artefact> build_artefact(const ArtefactSpec &spec, ArtefactKind kind, const ArtefactOptions &options) {
  check_spec(spec);
  if (Diagnostics problems = unsupported(spec); !problems.empty()) return problems;
  Options compile_options;
  compile_options.jobs = options.jobs;
  compile_options.debug_info = options.debug_info;
  compile_options.source = spec.prefix;
  if (kind == ArtefactKind::assembly) return text_artefact(spec, Emit::assembly, compile_options);
  if (kind == ArtefactKind::llvm_ir) return text_artefact(spec, Emit::llvm_ir, compile_options);

  const std::string stub = compile_stub(spec, manifest_json(spec));
  std::vector<std::vector<std::string>> objects;
  MergeSpec merge;
  merge.inputs.push_back({stub, ""});
  for (std::string_view object : runtime_objects(spec)) merge.inputs.push_back({object, ""});
  for (const VariantSpec &variant : spec.variants) {
    CAMEO_TRY(auto pieces, compile_chunks(variant.code, variant.target, Emit::object, compile_options));
    objects.push_back(std::move(pieces));
  }
  for (size_t i = 0; i < objects.size(); ++i)
    for (const std::string &object : objects[i]) merge.inputs.push_back({object, variant_scope(spec, i)});
  const std::vector<std::string> exports = exported_names(spec);
  merge.file_name = spec.prefix;
  merge.renames = runtime_renames(spec);
  merge.exports.insert(exports.begin(), exports.end());
  merge.hidden = kind != ArtefactKind::so;
  merge.externals = kExternals;
  merge.weights_size = spec.embed_weights ? spec.weights.size() : 0;
  if (merge.weights_size > 0)
    merge.weights = kind == ArtefactKind::so ? WeightsSection::nobits : WeightsSection::follows;

  Artefact artefact;
  std::string object = merge_objects(merge), after;
  if (kind == ArtefactKind::so) {
    const std::string soname = options.soname.empty() ? "lib" + spec.prefix + ".so" : options.soname;
    CAMEO_TRY(object, link_shared(object, soname, merge.weights_size));
  } else if (kind == ArtefactKind::a) {
    auto [before, end] = archive_around(spec.prefix + ".o", int64_t(object.size()) + merge.weights_size, exports);
    artefact.append(std::move(before));
    after = std::move(end);
  }
  artefact.append(std::move(object));
  if (merge.weights_size > 0)
    for (std::span<const std::byte> piece : spec.weights.pieces()) artefact.append_ref(piece);
  artefact.append(std::move(after));
  return artefact;
}

} // namespace cameo::codegen
