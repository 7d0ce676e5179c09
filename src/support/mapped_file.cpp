// Input files: opened without blocking, regular files only, mapped read-only or copied whole.
#include "cameo/support/files.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace cameo {

namespace {

std::string error_text(int error) { return std::generic_category().message(error); }

// A descriptor that closes itself.
struct Descriptor {
  int fd = -1;
  explicit Descriptor(int f) : fd(f) {}
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

int open_input(const std::string &path) {
  int fd;
  do fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  while (fd < 0 && errno == EINTR);
  return fd;
}

// Size and identity of a regular file of at most max_bytes.
Result<struct stat> check_input(int fd, const std::string &where, int64_t max_bytes) {
  struct stat info;
  if (fstat(fd, &info) != 0) return Diagnostic{ExitCode::io, where, error_text(errno)};
  if (S_ISDIR(info.st_mode)) return Diagnostic{ExitCode::missing, where, "is a directory"};
  if (!S_ISREG(info.st_mode)) return Diagnostic{ExitCode::missing, where, "is not a regular file"};
  if (info.st_size > max_bytes)
    return Diagnostic{ExitCode::bad_model, where,
                      "has " + std::to_string(info.st_size) + " bytes, the limit is " + std::to_string(max_bytes)};
  return info;
}

} // namespace

Result<MappedFile> MappedFile::open(const std::string &path, int64_t max_bytes) {
  const std::string where = escape_name(path);
  Descriptor file(open_input(path));
  if (file.fd < 0) return Diagnostic{ExitCode::missing, where, error_text(errno)};
  return from_fd(file.fd, where, max_bytes);
}

Result<MappedFile> MappedFile::from_fd(int fd, const std::string &where, int64_t max_bytes) {
  CAMEO_TRY(struct stat info, check_input(fd, where, max_bytes));
  MappedFile file;
  file.id_ = {info.st_dev, info.st_ino};
  if (info.st_size == 0) return file; // mmap refuses a length of 0
  void *data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return Diagnostic{ExitCode::io, where, "cannot be mapped: " + error_text(errno)};
  file.data_ = static_cast<const std::byte *>(data);
  file.size_ = static_cast<size_t>(info.st_size);
  return file;
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), id_(other.id_) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(id_, other.id_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte *>(data_), size_);
}

Result<std::string> read_file(const std::string &path, int64_t max_bytes) {
  const std::string where = escape_name(path);
  Descriptor file(open_input(path));
  if (file.fd < 0) return Diagnostic{ExitCode::missing, where, error_text(errno)};
  CAMEO_TRY(struct stat info, check_input(file.fd, where, max_bytes));
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    ssize_t n = read(file.fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Diagnostic{ExitCode::io, where, error_text(errno)};
    if (n == 0) break; // it became shorter meanwhile: what is there counts
    done += static_cast<size_t>(n);
  }
  text.resize(done);
  return text;
}

std::string file_stem(const std::string &path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  const size_t dot = name.find_last_of('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

} // namespace cameo
