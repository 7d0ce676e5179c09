// Output files, all or none. Each is written to `.cameo-<random>.tmp` in its own directory (so that renaming is atomic)
// and commit() renames them all. While a set lives it holds a shared flock on each directory it writes to; whoever gets
// the exclusive lock knows that nobody writes there and removes what a killed process left. No process ids: they mean
// nothing to a neighbour in another container.
#include "cameo/support/files.h"
#include "temporaries.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace cameo {

namespace {

constexpr std::string_view kPrefix = ".cameo-", kSuffix = ".tmp";
constexpr size_t kDigits = 16;

std::string random_name() {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = static_cast<uint64_t>(getpid());
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(bits));
  return std::string(kPrefix) + digits + std::string(kSuffix);
}

bool is_temporary_name(std::string_view name) {
  return name.size() == kPrefix.size() + kDigits + kSuffix.size() && name.starts_with(kPrefix) &&
         name.ends_with(kSuffix) &&
         name.substr(kPrefix.size(), kDigits).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// A full disk and failing hardware are I/O errors at any moment; anything else means that the output cannot be created.
Diagnostic output_error(int error, const std::string &where) {
  const bool io = error == ENOSPC || error == EDQUOT || error == EIO || error == EFBIG;
  return {io ? ExitCode::io : ExitCode::cannot_create, where, std::generic_category().message(error)};
}

FileId id_of(const struct stat &info) { return {info.st_dev, info.st_ino}; }

// /dev/stdout and its like are links into /proc: they stand for a descriptor, whatever it is open on. Replacing one by
// a file would take it away from every process.
bool leads_to_stream(int directory, const std::string &name) {
  char target[32];
  const ssize_t n = readlinkat(directory, name.c_str(), target, sizeof target);
  return n > 0 && std::string_view(target, static_cast<size_t>(n)).starts_with("/proc/");
}

void remove_leftovers(int directory) {
  const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = copy < 0 ? nullptr : fdopendir(copy);
  if (!entries) {
    if (copy >= 0) close(copy);
    return;
  }
  while (const dirent *entry = readdir(entries))
    if (is_temporary_name(entry->d_name)) unlinkat(directory, entry->d_name, 0);
  closedir(entries);
}

// Takes the shared lock, cleaning first when nobody else is here. Somebody else's exclusive lock on the directory
// (`flock DIR cameo
// ...`) keeps cleaners away as well as ours would, so after a while we go on without.
void lock_directory(int directory) {
  if (flock(directory, LOCK_EX | LOCK_NB) == 0) remove_leftovers(directory);
  for (int i = 0; i < 100 && flock(directory, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK; ++i) usleep(1000);
}

struct Directory {
  int fd = -1;
  FileId id;
};

struct Output {
  std::string path;      // as the user gave it, for messages
  std::string directory; // its part before the last component, "" for the current directory, else with a final slash
  std::string name;      // the last component
  std::string temporary; // name of the temporary file in the same directory; empty once renamed
  std::string backup;    // during commit: second name of the file that was replaced
  bool existed = false;  // during commit: there was a file to replace
  size_t where = 0;      // index into State::directories
  int fd = -1;
  int slot = -1, backup_slot = -1;
  bool renamed = false;
};

} // namespace

struct OutputSet::State {
  std::vector<FileId> inputs;
  std::vector<Directory> directories;
  std::vector<Output> outputs;

  int directory_of(const Output &o) const { return directories[o.where].fd; }
  Result<size_t> open_directory(const Output &o);
  Status check_target(const Output &o) const;
  void drop(Output &o);
  void undo();
  ~State();
};

Result<size_t> OutputSet::State::open_directory(const Output &o) {
  const std::string path = o.directory.empty() ? "." : o.directory;
  int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == EACCES) fd = open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); // writable but not readable
  if (fd < 0) {
    Diagnostic problem = output_error(errno, escape_name(o.path));
    problem.what = "cannot open directory '" + escape_name(path) + "': " + problem.what;
    return problem;
  }
  struct stat info;
  if (fstat(fd, &info) != 0) {
    const int error = errno;
    close(fd);
    return output_error(error, escape_name(o.path));
  }
  for (size_t i = 0; i < directories.size(); ++i)
    if (directories[i].id == id_of(info)) {
      close(fd);
      return i;
    }
  lock_directory(fd);
  directories.push_back({fd, id_of(info)});
  return directories.size() - 1;
}

Status OutputSet::State::check_target(const Output &o) const {
  const std::string where = escape_name(o.path);
  auto refuse = [&](const char *why) { return Diagnostic{ExitCode::cannot_create, where, why}; };
  struct stat link, target;
  if (fstatat(directory_of(o), o.name.c_str(), &link, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return Ok{};
    return output_error(errno, where);
  }
  const bool resolved = fstatat(directory_of(o), o.name.c_str(), &target, 0) == 0;
  for (FileId input : inputs)
    if (input == id_of(link) || (resolved && input == id_of(target)))
      return refuse("the output would replace an input");
  if (S_ISDIR(link.st_mode)) return refuse("is a directory");
  if (!S_ISREG(link.st_mode) && !S_ISLNK(link.st_mode)) return refuse("is not a regular file");
  if (S_ISLNK(link.st_mode) && leads_to_stream(directory_of(o), o.name)) return refuse("is an open stream, not a file");
  if (resolved && !S_ISREG(target.st_mode)) return refuse("is a link to something that is not a regular file");
  return Ok{};
}

void OutputSet::State::drop(Output &o) {
  if (o.fd >= 0) close(std::exchange(o.fd, -1));
  if (!o.temporary.empty()) unlinkat(directory_of(o), o.temporary.c_str(), 0);
  if (!o.backup.empty()) unlinkat(directory_of(o), o.backup.c_str(), 0);
  forget_temporary(std::exchange(o.slot, -1));
  forget_temporary(std::exchange(o.backup_slot, -1));
  o.temporary.clear();
  o.backup.clear();
}

// Puts back what commit() has replaced so far.
void OutputSet::State::undo() {
  for (Output &o : outputs) {
    if (!o.renamed) continue;
    if (o.backup.empty())
      unlinkat(directory_of(o), o.name.c_str(), 0);
    else if (renameat(directory_of(o), o.backup.c_str(), directory_of(o), o.name.c_str()) == 0)
      o.backup.clear();
    o.renamed = false;
  }
}

OutputSet::State::~State() {
  SignalsHeld held;
  for (Output &o : outputs) drop(o);
  for (Directory &d : directories) close(d.fd);
}

OutputSet::OutputSet() : state_(std::make_unique<State>()) {}
OutputSet::OutputSet(OutputSet &&) noexcept = default;
OutputSet &OutputSet::operator=(OutputSet &&) noexcept = default;
OutputSet::~OutputSet() = default;

void OutputSet::forbid(FileId input) { state_->inputs.push_back(input); }

Result<size_t> OutputSet::add(const std::string &path) {
  Output o;
  o.path = path;
  const size_t slash = path.find_last_of('/');
  o.directory = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  o.name = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::string where = escape_name(path);
  if (o.name.empty() || o.name == "." || o.name == "..")
    return Diagnostic{ExitCode::cannot_create, where, "is not the name of a file"};
  CAMEO_TRY(o.where, state_->open_directory(o));
  for (const Output &other : state_->outputs)
    if (other.where == o.where && other.name == o.name)
      return Diagnostic{ExitCode::cannot_create, where, "two outputs have this name"};
  CAMEO_TRY_STATUS(state_->check_target(o));

  SignalsHeld held; // no moment at which the file exists and the handlers do not know it
  for (int attempt = 0; attempt < 16 && o.fd < 0; ++attempt) {
    o.temporary = random_name();
    o.fd = openat(state_->directory_of(o), o.temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                  0666);
    if (o.fd < 0 && errno != EEXIST) break;
  }
  if (o.fd < 0) return output_error(errno, where);
  o.slot = note_temporary(state_->directory_of(o), o.temporary.c_str());
  state_->outputs.push_back(std::move(o));
  return state_->outputs.size() - 1;
}

Status OutputSet::write(size_t number, std::span<const std::byte> bytes) {
  CAMEO_CHECK(number < state_->outputs.size(), "no such output");
  const Output &o = state_->outputs[number];
  while (!bytes.empty()) {
    const ssize_t n = ::write(o.fd, bytes.data(), std::min<size_t>(bytes.size(), 1 << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Diagnostic{ExitCode::io, escape_name(o.path), std::generic_category().message(errno)};
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return Ok{};
}

Status OutputSet::write(size_t number, std::string_view text) {
  return write(number, std::as_bytes(std::span(text.data(), text.size())));
}

std::string OutputSet::temporary(size_t number) const {
  CAMEO_CHECK(number < state_->outputs.size(), "no such output");
  return state_->outputs[number].directory + state_->outputs[number].temporary;
}

Status OutputSet::commit(bool durable) {
  for (Output &o : state_->outputs) {
    if (durable && fsync(o.fd) != 0 && errno != EINVAL && errno != EROFS)
      return Diagnostic{ExitCode::io, escape_name(o.path), std::generic_category().message(errno)};
    CAMEO_TRY_STATUS(state_->check_target(o)); // somebody may have put a directory there meanwhile
  }

  SignalsHeld held;
  for (Output &o : state_->outputs) {
    const int directory = state_->directory_of(o);
    if (state_->outputs.size() > 1) { // keep the old file reachable until all have been replaced
      o.backup = random_name();
      o.existed = linkat(directory, o.name.c_str(), directory, o.backup.c_str(), 0) == 0;
      if (o.existed) {
        o.backup_slot = note_temporary(directory, o.backup.c_str());
      } else {
        o.existed = errno != ENOENT; // a file that refuses a second name cannot be brought back
        o.backup.clear();
      }
    }
    if (renameat(directory, o.temporary.c_str(), directory, o.name.c_str()) != 0) {
      const int error = errno;
      state_->undo();
      return output_error(error, escape_name(o.path));
    }
    o.temporary.clear();
    o.renamed = true;
  }
  for (Output &o : state_->outputs) state_->drop(o);
  for (Directory &d : state_->directories)
    if (durable && fsync(d.fd) != 0 && errno == EIO)
      return Diagnostic{ExitCode::io, escape_name(state_->outputs[0].path), std::generic_category().message(errno)};
  return Ok{};
}

Status write_file(const std::string &path, std::string_view text, bool durable) {
  OutputSet set;
  CAMEO_TRY(const size_t number, set.add(path));
  CAMEO_TRY_STATUS(set.write(number, text));
  return set.commit(durable);
}

} // namespace cameo
