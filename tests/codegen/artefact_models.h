// Small models for the tests of artefacts, built by hand as Loop IR, and a loaded library.
#pragma once

#include "cameo/abi.h"
#include "cameo/codegen/artefact.h"
#include "cameo/codegen/codegen.h"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace cameo::codegen {

inline constexpr int64_t kCells = 8;
/// The weights of axpb: y[i] = scale[i] * x[i] + shift[i].
std::array<float, kCells> axpb_scale();
std::array<float, kCells> axpb_shift();
std::array<float, kCells> axpb_expected(const float *x);

/// x: f32[2][4] -> y: f32[2][4], y = a*x + b. Two weights of 32 bytes, 64 bytes of workspace, four parallel tasks. All
/// static.
ArtefactSpec axpb_spec(const std::string &prefix = "axpb", const std::string &cpus = "x86-64-v2");

/// x: f32[n][3], bias: f32[n] -> y: f32[n][3] = x + bias, half: i64[n / 2 + 1] = its index. n is 0..1000. No weights.
ArtefactSpec rows_spec(const std::string &prefix = "rows");

/// x: i64[n], divisor: i64[1] -> where: i64[?], the indices of x's elements that are not 0, each divided by divisor. A
/// zero divisor fails with CAMEO_DIVISION_BY_ZERO.
ArtefactSpec where_spec(const std::string &prefix = "where");

/// A folder of its own, removed at the end.
class Folder {
public:
  Folder();
  ~Folder();
  std::string path(const std::string &name) const { return path_ + "/" + name; }
  /// Writes the bytes and returns the file's name.
  std::string write(const std::string &name, const std::string &bytes) const;
  /// Loads the library of that name, calls use(its model) and unloads it.
  void run(const std::string &name, const std::function<void(const CameoModel &)> &use) const;

private:
  std::string path_;
};

/// A shared library, built and loaded.
class Library {
public:
  explicit Library(const ArtefactSpec &spec, int flags = 0); ///< flags: of dlopen, besides RTLD_NOW
  ~Library();
  const CameoModel &model() const { return *model_; }
  void *symbol(const std::string &name) const;
  template <class Signature> Signature *function(const std::string &name) const {
    return reinterpret_cast<Signature *>(symbol(name));
  }

private:
  Folder folder_;
  void *handle_ = nullptr;
  const CameoModel *model_ = nullptr;
};

/// The bytes of an artefact; a failure of the build is a failed test.
std::string build(const ArtefactSpec &spec, ArtefactKind kind, const ArtefactOptions &options = {});

/// A tensor with its own memory.
template <class T, int kDType> struct Tensor_ {
  std::vector<T> data;
  std::vector<int64_t> dims;
  CameoInput input() const {
    return {data.data(), int64_t(data.size() * sizeof(T)), dims.data(), kDType, int32_t(dims.size())};
  }
  CameoOutput output() {
    return {data.data(), int64_t(data.size() * sizeof(T)), dims.data(), kDType, int32_t(dims.size())};
  }
};
using F32 = Tensor_<float, CAMEO_F32>;
using I64 = Tensor_<int64_t, CAMEO_I64>;

inline CameoOptions no_options() {
  CameoOptions options = {};
  options.struct_size = sizeof options;
  return options;
}
inline CameoRunOptions no_run_options() {
  CameoRunOptions options = {};
  options.struct_size = sizeof options;
  return options;
}

} // namespace cameo::codegen
