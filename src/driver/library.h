// A compiled model loaded into this process, and its C interface with Tensors instead of pointers.
#pragma once

#include "cameo/abi.h"
#include "cameo/codegen/artefact.h"
#include "cameo/driver/driver.h"

#include <memory>
#include <span>

namespace cameo::driver {

/// A loaded shared library. Loading one runs nothing, using it runs its code: a library is trusted like any program.
class Library {
public:
  /// From a file. Errors: missing, bad_model (not a library of Cameo), unsupported (another version of the C
  /// interface).
  static Result<Library> open(const std::string &path);
  /// From bytes, through a file in memory. `where` is for messages.
  static Result<Library> load(std::span<const std::span<const std::byte>> pieces, const std::string &where);

  const CameoModel &model() const { return *model_; }
  const codegen::Manifest &manifest() const { return manifest_; }
  /// As the model has them: a sequence or optional is one, though the C interface takes several tensors for it.
  std::vector<PortInfo> inputs() const;
  std::vector<PortInfo> outputs() const;

private:
  struct Closer {
    void operator()(void *handle) const;
  };
  std::unique_ptr<void, Closer> handle_;
  const CameoModel *model_ = nullptr;
  codegen::Manifest manifest_;
};

struct ContextDestroyer {
  const CameoModel *model = nullptr;
  void operator()(CameoContext *context) const { model->destroy(context); }
};

/// A context of a library, with inputs bound and room for the outputs. The library must outlive it.
class Session {
public:
  static Result<Session> create(const Library &library, int threads);

  /// Fixes the inputs, which must outlive the runs, and makes room for the outputs. Errors: bad_model, when the tensors
  /// do not fit the model.
  Status bind(const std::vector<Tensor> &inputs);
  /// One run; the status of the C interface. Allocates nothing after the first.
  int32_t run();
  /// run(), and again with more room when an output that only a run can size did not fit. Errors: check_failed.
  Status run_checked();
  /// Outputs of the last run, their shapes as it left them.
  std::vector<Tensor> outputs() const;

private:
  const CameoModel *model_ = nullptr;
  std::unique_ptr<CameoContext, ContextDestroyer> context_;
  std::vector<CameoInput> inputs_;
  std::vector<CameoOutput> outputs_;
  std::vector<std::vector<int64_t>> dims_; // of the outputs
  std::vector<std::vector<std::byte>> data_;
  std::vector<std::vector<CameoString>> strings_; // of the inputs that are such
  std::unique_ptr<char[]> message_;
};

/// Whether the bytes are an ELF file, as opposed to a model.
bool is_library(std::span<const std::byte> bytes);

} // namespace cameo::driver
