#include "external_data.h"

#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <optional>
#include <sys/syscall.h>
#include <unistd.h>

namespace cameo::frontend {
namespace {

// A file descriptor that closes itself.
struct Fd {
  int fd = -1;
  explicit Fd(int f) : fd(f) {}
  Fd(Fd &&other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Fd(const Fd &) = delete;
  Fd &operator=(Fd &&other) noexcept {
    std::swap(fd, other.fd);
    return *this;
  }
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

std::string folder_of(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::optional<std::string> real_path(const std::string &path) {
  char *resolved = ::realpath(path.c_str(), nullptr);
  if (!resolved) return std::nullopt;
  std::string result = resolved;
  std::free(resolved);
  return result;
}

// `path` relative to `base` ("" when equal); nullopt when it lies elsewhere. Both are real paths.
std::optional<std::string> relative_to(const std::string &path, const std::string &base) {
  if (path == base) return "";
  std::string prefix = base == "/" ? base : base + "/";
  if (path.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  return path.substr(prefix.size()) + "/";
}

// What is wrong with a location, or nullptr.
const char *location_problem(const std::string &location) {
  if (location.empty()) return "is empty";
  if (location.find('\0') != std::string::npos) return "contains a NUL";
  if (location[0] == '/') return "is absolute";
  if (location.size() >= PATH_MAX) return "is too long";
  for (size_t at = 0; at <= location.size();) {
    size_t end = std::min(location.find('/', at), location.size());
    if (location.compare(at, end - at, "..") == 0) return "has a `..`";
    at = end + 1;
  }
  return nullptr;
}

// A decimal number without sign, space or anything else.
std::optional<uint64_t> number(const std::string &text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

bool same_state(const struct stat &a, const struct stat &b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ctim.tv_sec == b.st_ctim.tv_sec && a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

} // namespace

struct ExternalData::File {
  std::string path; ///< for messages
  MappedFile mapping;
  size_t root = 0; ///< index into roots_
  struct stat state{};
};

ExternalData::ExternalData(const std::string &model_path, std::vector<std::string> roots)
    : folder_(folder_of(model_path)) {
  auto open_folder = [](const std::string &path) { return ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); };
  roots_.push_back({folder_, "", open_folder(folder_)});
  const std::optional<std::string> real_folder = real_path(folder_);
  for (std::string &root : roots) {
    int fd = open_folder(root);
    if (fd < 0) {
      root_problems_.push_back({ExitCode::missing, escape_name(root),
                                std::string("cannot be opened as external data root: ") + std::strerror(errno)});
      continue;
    }
    std::string prefix;
    if (auto real = real_path(root); real && real_folder) prefix = relative_to(*real_folder, *real).value_or("");
    roots_.push_back({std::move(root), std::move(prefix), fd});
  }
}

ExternalData::~ExternalData() {
  for (const Root &root : roots_)
    if (root.fd >= 0) ::close(root.fd);
}

// Opens `path` for reading, never leaving `root`; -1 with errno set (EXDEV or ELOOP: it would leave).
int ExternalData::open_beneath(int root, const std::string &path) const {
  constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY; // a FIFO must not hang us
  if (use_openat2_) {
    struct open_how how{};
    how.flags = flags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    for (int attempt = 0; attempt < 8; ++attempt) {
      int fd = int(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
      if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) // EAGAIN: a rename raced with the resolution
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
      if (errno == ENOSYS || errno == EPERM) break; // an old kernel, or a filter that hides the call
    }
  }
  Fd folder(::dup(root));
  for (size_t at = 0;;) {
    size_t end = path.find('/', at);
    const bool last = end == std::string::npos;
    const std::string component = path.substr(at, last ? end : end - at);
    at = end + 1;
    if (last) return ::openat(folder.fd, component.c_str(), flags | O_NOFOLLOW);
    if (component.empty() || component == ".") continue;
    Fd next(::openat(folder.fd, component.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (next.fd < 0) return -1;
    folder = std::move(next);
  }
}

Result<std::shared_ptr<const ExternalData::File>> ExternalData::open(const std::string &location,
                                                                     const std::string &where) {
  if (auto known = files_.find(location); known != files_.end()) return known->second;
  if (!root_problems_.empty()) return root_problems_;
  auto problem = [&](ExitCode code, const std::string &what) {
    return Diagnostic{code, where, "external data '" + escape_name(location) + "' " + what};
  };
  if (const char *wrong = location_problem(location)) return problem(ExitCode::bad_model, wrong);

  Fd fd(-1);
  const Root *used = nullptr;
  int first_error = 0;
  for (const Root &root : roots_) {
    fd = Fd(open_beneath(root.fd, root.prefix + location));
    if (fd.fd >= 0) {
      used = &root;
      break;
    }
    // Leaving a root says more than missing in another.
    if (!first_error || errno == EXDEV || errno == ELOOP) first_error = errno;
  }
  if (!used) {
    if (first_error == EXDEV || first_error == ELOOP)
      return problem(ExitCode::bad_model, "leads out of the model's folder (name its place with --external-data-root)");
    if (first_error == ENOENT || first_error == ENOTDIR) return problem(ExitCode::missing, "does not exist");
    if (first_error == ENXIO) return problem(ExitCode::bad_model, "is not a regular file");
    return problem(ExitCode::missing, std::string("cannot be opened: ") + std::strerror(first_error));
  }

  auto file = std::make_shared<File>();
  file->path = used->path == "." ? used->prefix + location : used->path + "/" + used->prefix + location;
  struct stat folder{};
  if (::fstat(fd.fd, &file->state) != 0 || ::fstat(used->fd, &folder) != 0)
    return problem(ExitCode::io, std::string("cannot be examined: ") + std::strerror(errno));
  if (!S_ISREG(file->state.st_mode)) return problem(ExitCode::bad_model, "is not a regular file");
  if (file->state.st_dev != folder.st_dev)
    return problem(ExitCode::bad_model,
                   "lies on another device than its folder (name its place with --external-data-root)");
  if (between_check_and_map) between_check_and_map();
  CAMEO_TRY(file->mapping, MappedFile::from_fd(fd.fd, where));
  struct stat after{};
  if (::fstat(fd.fd, &after) != 0 || !same_state(file->state, after) ||
      file->mapping.bytes().size() != uint64_t(file->state.st_size))
    return problem(ExitCode::bad_model, "changed while it was read");
  file->root = size_t(used - roots_.data());
  files_.emplace(location, file);
  return std::shared_ptr<const File>(file);
}

Result<ExternalData::Bytes> ExternalData::resolve(const Entries &entries, uint64_t wanted, const std::string &where) {
  auto problem = [&](const std::string &what) { return Diagnostic{ExitCode::bad_model, where, what}; };
  std::optional<std::string> location, offset_text, length_text, checksum;
  for (const auto &[key, value] : entries) {
    std::optional<std::string> *slot = key == "location"   ? &location
                                       : key == "offset"   ? &offset_text
                                       : key == "length"   ? &length_text
                                       : key == "checksum" ? &checksum
                                                           : nullptr;
    if (!slot) return problem("external data has the unknown key '" + escape_name(key) + "'");
    if (*slot) return problem("external data has the key '" + key + "' twice");
    *slot = value;
  }
  if (!location) return problem("external data has no location");
  saw_checksum_ = saw_checksum_ || checksum;

  const std::optional<uint64_t> offset = number(offset_text.value_or("0"));
  if (!offset) return problem("external data offset '" + escape_name(*offset_text) + "' is not a number of bytes");
  if (length_text) {
    const std::optional<uint64_t> length = number(*length_text);
    if (!length) return problem("external data length '" + escape_name(*length_text) + "' is not a number of bytes");
    if (*length != wanted)
      return problem("external data has length " + *length_text + " where dtype and dims need " +
                     std::to_string(wanted));
  }
  CAMEO_TRY(std::shared_ptr<const File> file, open(*location, where));
  const uint64_t size = file->mapping.bytes().size();
  uint64_t end = 0;
  if (__builtin_add_overflow(*offset, wanted, &end) || end > size)
    return problem("external data '" + escape_name(*location) + "' has " + std::to_string(size) + " bytes; " +
                   std::to_string(wanted) + " at offset " + std::to_string(*offset) + " lie outside");
  return Bytes{file->mapping.bytes().subspan(*offset, wanted), file};
}

Status ExternalData::check_unchanged() const {
  Diagnostics problems;
  for (const auto &[location, file] : files_) {
    const Root &root = roots_[file->root];
    const Fd fd(open_beneath(root.fd, root.prefix + location)); // not kept open: a model may have thousands of files
    struct stat now{};
    if (fd.fd < 0 || ::fstat(fd.fd, &now) != 0 || !same_state(now, file->state))
      problems.push_back({ExitCode::bad_model, escape_name(file->path), "changed while it was read"});
  }
  if (!problems.empty()) return problems;
  return Ok{};
}

std::vector<ExternalData::Used> ExternalData::files() const {
  std::vector<Used> result;
  for (const auto &[location, file] : files_) result.push_back({file->path, file->mapping.bytes().size()});
  return result;
}

} // namespace cameo::frontend
