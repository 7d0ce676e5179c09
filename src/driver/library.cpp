// Loading through dlopen: files by their own path (so that debuggers find them), bytes through a memory file.
#include "library.h"

#include "containers.h"

#include "cameo/support/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace cameo::driver {

namespace {

constexpr size_t kMessageBytes = 512;
constexpr int64_t kFirstCapacity = 1 << 20; // for an output whose size only a run can tell

Result<void *> open_handle(const std::string &path, const std::string &where) {
  if (void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
  const char *why = dlerror();
  return Diagnostic{ExitCode::bad_model, where, "cannot be loaded: " + escape_name(why ? why : "unknown error")};
}

// The manifest of a library for this version of the C interface.
Result<codegen::Manifest> manifest_of(std::span<const std::byte> file, const std::string &where) {
  CAMEO_TRY(codegen::Manifest manifest, codegen::read_manifest(file, where));
  if (manifest.abi_version != CAMEO_ABI_VERSION)
    return Diagnostic{ExitCode::unsupported, where,
                      "has version " + std::to_string(manifest.abi_version) + " of the C interface, not " +
                          std::to_string(CAMEO_ABI_VERSION)};
  return manifest;
}

Result<const CameoModel *> describe(void *handle, const std::string &prefix, const std::string &where) {
  auto *function = reinterpret_cast<const CameoModel *(*)()>(dlsym(handle, (prefix + "_describe").c_str()));
  if (!function) return Diagnostic{ExitCode::bad_model, where, "does not export '" + prefix + "_describe'"};
  const CameoModel *model = function();
  // Later fields are not read here: libraries of earlier compilers lack them.
  if (!model || model->struct_size < offsetof(CameoModel, input_containers))
    return Diagnostic{ExitCode::bad_model, where, "describes itself in an unknown form"};
  return model;
}

PortInfo port(const CameoValue &value, const CameoModel &model) {
  PortInfo info;
  info.name = value.name;
  info.dtype = dtype_from_onnx(value.dtype).value_or(DType::f32);
  for (int32_t i = 0; i < value.rank; ++i) {
    const CameoDim &dim = value.dims[i];
    info.dims.push_back(dim.extent);
    info.symbols.push_back(dim.extent >= 0 ? "" : dim.symbol >= 0 ? model.symbols[dim.symbol].name : dim.text);
  }
  return info;
}

// Of a tensor in the interface; nullopt: more than int64 holds.
std::optional<int64_t> bytes_of(DType dtype, const std::vector<int64_t> &shape) {
  const auto count = element_count(shape);
  if (!count) return std::nullopt;
  if (dtype != DType::string) return byte_size(dtype, *count);
  int64_t bytes = 0;
  return __builtin_mul_overflow(*count, int64_t{sizeof(CameoString)}, &bytes) ? std::nullopt : std::optional(bytes);
}

// The tensors, and in the place of those of a container the container.
std::vector<PortInfo> ports(const CameoModel &model, const CameoValue *values, int32_t count,
                            const std::vector<codegen::ContainerSpec> &containers) {
  std::vector<PortInfo> out;
  auto container = containers.begin();
  for (int32_t i = 0; i < count;) {
    if (container == containers.end() || container->first != i) {
      out.push_back(port(values[i++], model));
      continue;
    }
    out.push_back(container_port(*container));
    i += container++->count;
  }
  return out;
}

// What a failed call says: its message with the values, else the status in words.
Diagnostic failure(const CameoModel &model, int32_t status, const char *message, ExitCode code) {
  return {code, model.name, message[0] ? escape_name(message, kMessageBytes) : model.status_text(status)};
}

} // namespace

bool is_library(std::span<const std::byte> bytes) {
  constexpr char magic[] = {0x7f, 'E', 'L', 'F'};
  return bytes.size() >= sizeof magic && std::memcmp(bytes.data(), magic, sizeof magic) == 0;
}

void Library::Closer::operator()(void *handle) const { dlclose(handle); }

Result<Library> Library::open(const std::string &path) {
  const std::string where = escape_name(path);
  CAMEO_TRY(const MappedFile file, MappedFile::open(path));
  std::unique_ptr<char, void (*)(void *)> absolute(realpath(path.c_str(), nullptr), std::free);
  if (!absolute) return Diagnostic{ExitCode::missing, where, std::generic_category().message(errno)};
  Library library;
  CAMEO_TRY(library.manifest_, manifest_of(file.bytes(), where));
  CAMEO_TRY(void *handle, open_handle(absolute.get(), where));
  library.handle_.reset(handle);
  CAMEO_TRY(library.model_, describe(handle, library.manifest_.prefix, where));
  return library;
}

Result<Library> Library::load(std::span<const std::span<const std::byte>> pieces, const std::string &where) {
  struct MemoryFile {
    int fd;
    ~MemoryFile() {
      if (fd >= 0) close(fd);
    }
  } file{memfd_create("cameo", MFD_CLOEXEC)};
  auto failed = [&] { return Diagnostic{ExitCode::io, where, std::generic_category().message(errno)}; };
  if (file.fd < 0) return failed();
  for (std::span<const std::byte> piece : pieces)
    while (!piece.empty()) {
      const ssize_t n = write(file.fd, piece.data(), std::min<size_t>(piece.size(), 1 << 30));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed();
      piece = piece.subspan(static_cast<size_t>(n));
    }
  CAMEO_TRY(const MappedFile mapped, MappedFile::from_fd(file.fd, where));
  Library library;
  CAMEO_TRY(library.manifest_, manifest_of(mapped.bytes(), where));
  CAMEO_TRY(void *handle, open_handle("/proc/self/fd/" + std::to_string(file.fd), where));
  library.handle_.reset(handle);
  CAMEO_TRY(library.model_, describe(handle, library.manifest_.prefix, where));
  return library;
}

std::vector<PortInfo> Library::inputs() const {
  return ports(*model_, model_->inputs, model_->input_count, manifest_.input_containers);
}

std::vector<PortInfo> Library::outputs() const {
  return ports(*model_, model_->outputs, model_->output_count, manifest_.output_containers);
}

Result<Session> Session::create(const Library &library, int threads) {
  Session session;
  session.model_ = &library.model();
  session.message_ = std::make_unique<char[]>(kMessageBytes);
  CameoOptions options = {};
  options.struct_size = sizeof options;
  options.threads = threads;
  options.message = session.message_.get();
  options.message_bytes = kMessageBytes;
  CameoContext *context = nullptr;
  const int32_t status = session.model_->create(&options, &context);
  if (status != CAMEO_OK)
    return failure(*session.model_, status, session.message_.get(),
                   status == CAMEO_CPU_UNSUPPORTED ? ExitCode::unsupported : ExitCode::check_failed);
  session.context_ = {context, ContextDestroyer{session.model_}};
  return session;
}

Status Session::bind(const std::vector<Tensor> &inputs) {
  const CameoModel &m = *model_;
  if (inputs.size() != static_cast<size_t>(m.input_count))
    return Diagnostic{ExitCode::bad_model, m.name,
                      "has " + std::to_string(m.input_count) + " inputs, not " + std::to_string(inputs.size())};
  inputs_.clear();
  strings_.clear();
  for (const Tensor &t : inputs) {
    if (t.dtype == DType::string) {
      std::vector<CameoString> &strings = strings_.emplace_back();
      for (const std::string &s : t.strings) strings.push_back({s.data(), static_cast<int64_t>(s.size())});
      inputs_.push_back({strings.data(), static_cast<int64_t>(strings.size() * sizeof(CameoString)), t.shape.data(),
                         CAMEO_STRING, static_cast<int32_t>(t.shape.size())});
      continue;
    }
    inputs_.push_back({t.data.data(), static_cast<int64_t>(t.data.size()), t.shape.data(), onnx_number(t.dtype),
                       static_cast<int32_t>(t.shape.size())});
  }
  outputs_.assign(static_cast<size_t>(m.output_count), {});
  dims_.clear();
  for (size_t i = 0; i < outputs_.size(); ++i) dims_.emplace_back(static_cast<size_t>(m.outputs[i].rank));
  for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i].dims = dims_[i].data();
  const int32_t status = m.shape(inputs_.data(), m.input_count, outputs_.data(), m.output_count);
  if (status != CAMEO_OK)
    return Diagnostic{ExitCode::bad_model, m.name, std::string("inputs: ") + m.status_text(status)};
  data_.assign(outputs_.size(), {});
  for (size_t i = 0; i < outputs_.size(); ++i) {
    CameoOutput &out = outputs_[i];
    if (out.bytes < 0) out.bytes = kFirstCapacity;
    data_[i].resize(static_cast<size_t>(out.bytes));
    out.data = data_[i].data();
  }
  return Ok{};
}

int32_t Session::run() {
  CameoRunOptions options = {};
  options.struct_size = sizeof options;
  options.message = message_.get();
  options.message_bytes = kMessageBytes;
  message_[0] = '\0';
  return model_->run(context_.get(), inputs_.data(), model_->input_count, outputs_.data(), model_->output_count,
                     &options);
}

Status Session::run_checked() {
  int32_t status = run();
  if (status == CAMEO_BUFFER_TOO_SMALL) {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const auto dtype = dtype_from_onnx(outputs_[i].dtype);
      const auto needed = dtype ? bytes_of(*dtype, dims_[i]) : std::nullopt;
      if (!needed || *needed <= outputs_[i].bytes) continue;
      data_[i].resize(static_cast<size_t>(*needed));
      outputs_[i].data = data_[i].data();
      outputs_[i].bytes = *needed;
    }
    status = run();
  }
  if (status != CAMEO_OK) return failure(*model_, status, message_.get(), ExitCode::check_failed);
  return Ok{};
}

std::vector<Tensor> Session::outputs() const {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < outputs_.size(); ++i) {
    Tensor t;
    t.dtype = dtype_from_onnx(outputs_[i].dtype).value_or(DType::f32);
    t.shape = dims_[i];
    const auto bytes = bytes_of(t.dtype, t.shape);
    CAMEO_CHECK(bytes && static_cast<size_t>(*bytes) <= data_[i].size(), "a run reported an impossible output shape");
    if (t.dtype == DType::string) {
      const auto *strings = reinterpret_cast<const CameoString *>(data_[i].data());
      for (int64_t s = 0; s < *element_count(t.shape); ++s)
        t.strings.emplace_back(strings[s].data, static_cast<size_t>(strings[s].bytes));
      tensors.push_back(std::move(t));
      continue;
    }
    t.data.assign(data_[i].begin(), data_[i].begin() + static_cast<std::ptrdiff_t>(*bytes));
    tensors.push_back(std::move(t));
  }
  return tensors;
}

} // namespace cameo::driver
