// External data: tensors whose bytes lie in other files, which a hostile model may name at will.
//
// The policy (RELIABILITY.md, rows B42 to B52):
//   - a location is a relative path without `..`, resolved beneath the model's folder by the kernel (openat2,
//   RESOLVE_BENEATH), so
//     that no symbolic link leads out; where the kernel has no openat2, component by component without following links;
//   - further roots are allowed by name only (--external-data-root). When the model lies inside a root, the location is
//   still
//     relative to the model's folder, but links may lead anywhere inside the root;
//   - regular files only, on the device of the folder; hard links are fine;
//   - offset and length are checked with overflow in mind against the file; length must be what dtype and dims say; an
//   unaligned
//     offset is fine;
//   - a file that changes between check and map, or before the import is over, is an error.
#pragma once

#include "cameo/support/files.h"
#include "cameo/support/result.h"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

namespace cameo::frontend {

class ExternalData {
public:
  /// Keys and values of TensorProto.external_data, as they stand in the model.
  using Entries = std::vector<std::pair<std::string, std::string>>;

  struct Bytes {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner; ///< keeps the mapping alive
  };

  /// `model_path` as the user gave it; its folder is the place where external data lies.
  ExternalData(const std::string &model_path, std::vector<std::string> roots);
  ~ExternalData();
  ExternalData(const ExternalData &) = delete;
  ExternalData &operator=(const ExternalData &) = delete;

  /// The bytes of a tensor that needs `wanted` of them; `where` names the tensor. Errors: 65 against the policy, 66
  /// missing.
  Result<Bytes> resolve(const Entries &entries, uint64_t wanted, const std::string &where);

  /// Fails when a file that was mapped has changed since.
  Status check_unchanged() const;

  struct Used {
    std::string path;
    uint64_t bytes = 0;
  };
  std::vector<Used> files() const; ///< that were mapped, sorted by location

  /// True once an entry had a checksum, which is not verified.
  bool saw_checksum() const { return saw_checksum_; }

  // For tests.
  void disable_openat2() { use_openat2_ = false; }
  std::function<void()> between_check_and_map; ///< called when set

private:
  struct File;
  struct Root {
    std::string path;   ///< for messages
    std::string prefix; ///< of a location, relative to the root: where the model's folder lies inside it
    int fd = -1;
  };
  Result<std::shared_ptr<const File>> open(const std::string &location, const std::string &where);
  int open_beneath(int root, const std::string &path) const;

  std::string folder_;
  std::vector<Root> roots_; ///< [0] is the model's folder
  Diagnostics root_problems_;
  std::map<std::string, std::shared_ptr<const File>> files_;
  bool use_openat2_ = true;
  bool saw_checksum_ = false;
};

} // namespace cameo::frontend
