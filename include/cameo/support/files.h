// Files at the edge of the compiler: inputs that cannot hang or surprise it, outputs that appear whole or not at all.
//
// Inputs are opened without blocking and must be regular files (a FIFO, a device or a directory is an error, not a
// wait), are held against a size limit, and mapped read-only. Outputs are written to temporary files beside their final
// names, flushed to the disk, and renamed over them together; whatever goes wrong before that leaves the old files as
// they were and nothing else behind.
#pragma once

#include "cameo/support/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cameo {

/// Which file it is, whatever it is called.
struct FileId {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileId &, const FileId &) = default;
};

/// A regular file mapped read-only and private. Move-only; unmaps on destruction. Where another process truncates the
/// file while it is mapped, an access raises SIGBUS, which the tool turns into exit code 74.
class MappedFile {
public:
  /// Errors: missing (no such file, not readable, not a regular file), bad_model (more than max_bytes), io.
  static Result<MappedFile> open(const std::string &path, int64_t max_bytes = INT64_MAX);
  /// The same from an open descriptor, which stays the caller's. `where` is for messages.
  static Result<MappedFile> from_fd(int fd, const std::string &where, int64_t max_bytes = INT64_MAX);

  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char *>(data_), size_}; }
  FileId id() const { return id_; }

private:
  const std::byte *data_ = nullptr;
  size_t size_ = 0;
  FileId id_;
};

/// Whole small file as bytes (a copy, so later changes of the file do not matter). Errors as MappedFile::open.
Result<std::string> read_file(const std::string &path, int64_t max_bytes);

/// The outputs of one command, all or none. Use: forbid() the inputs, add() each output, write(), commit(). Not
/// committed: the destructor, SIGINT and SIGTERM (see handle_signals) remove the temporary files; after SIGKILL the
/// next command that writes into the same directory does (an unlocked temporary has no owner: owners hold a flock).
class OutputSet {
public:
  OutputSet();
  OutputSet(OutputSet &&) noexcept;
  OutputSet &operator=(OutputSet &&) noexcept;
  ~OutputSet();

  /// Refuses this file as an output: it is an input of the command.
  void forbid(FileId input);

  /// Creates the temporary file for `path` (mode 0666 less the umask) and returns its number. A symbolic link at `path`
  /// will be replaced, not followed; a device, FIFO, directory, a link into /proc (/dev/stdout), an input or an output
  /// named twice is refused. Errors: cannot_create, io.
  Result<size_t> add(const std::string &path);
  /// Appends to output `number`. Errors: io (the disk is full, a size limit).
  Status write(size_t number, std::span<const std::byte> bytes);
  Status write(size_t number, std::string_view text);
  /// Name of the temporary file, in the directory of the output: for a writer that needs a name.
  std::string temporary(size_t number) const;

  /// Flushes every file to the disk, renames all of them (undoing the ones done when a later one fails) and flushes the
  /// directories. SIGINT and SIGTERM wait until it is over. Without `durable` nothing is flushed: many small files that
  /// can be made again.
  Status commit(bool durable = true);

private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One file through an OutputSet.
Status write_file(const std::string &path, std::string_view text, bool durable = true);

/// For a program's main: from now on SIGINT and SIGTERM remove the temporary files of every OutputSet and exit with 130
/// or 143, SIGBUS (an input file was truncated while mapped) does so and exits with 74, and SIGXFSZ and SIGPIPE are
/// errors of the write, not signals.
void handle_signals();

/// `dir/stem.ext`: the last component without its last suffix (`.onnx`), or the component itself when there is none.
std::string file_stem(const std::string &path);

} // namespace cameo
