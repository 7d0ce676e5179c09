// Data of constant tensors: shared, immutable, never copied. The bytes are a span over a mapped model file, an owned
// buffer, or (in a dump that left them out) absent; whoever owns the memory is kept alive by the ConstantData.
#pragma once

#include "cameo/support/dtype.h"
#include "cameo/support/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace cameo::graph {

class ConstantData;
using Constant = std::shared_ptr<const ConstantData>;

class ConstantData {
public:
  /// `bytes` must be exactly the packed size of dtype x dims (dtype.h) and stay alive as long as `owner`. For 4- and
  /// 2-bit types, low bits first. `dtype` is not string. CAMEO_CHECKs the size: readers of files check it before.
  static Constant view(DType dtype, std::vector<int64_t> dims, std::span<const std::byte> bytes,
                       std::shared_ptr<const void> owner);
  static Constant own(DType dtype, std::vector<int64_t> dims, std::vector<std::byte> bytes);
  static Constant strings(std::vector<int64_t> dims, std::vector<std::string> values);
  /// A constant whose bytes are not at hand, known by the hash of its content: only printing and comparing work.
  static Constant absent(DType dtype, std::vector<int64_t> dims, uint64_t content_hash);

  /// From host values, converted exactly (CAMEO_CHECKs that the dtype holds them): for passes and importers.
  static Constant of(DType dtype, std::vector<int64_t> dims, std::span<const double> values);
  /// Rounded to the nearest value of a float dtype.
  static Constant of_rounded(DType dtype, std::vector<int64_t> dims, std::span<const double> values);
  static Constant of_ints(DType dtype, std::vector<int64_t> dims, std::span<const int64_t> values);
  static Constant scalar(DType dtype, double value) { return of(dtype, {}, {&value, 1}); }
  static Constant scalar_int(DType dtype, int64_t value) { return of_ints(dtype, {}, {&value, 1}); }
  static Constant i64s(std::span<const int64_t> values) {
    return of_ints(DType::i64, {static_cast<int64_t>(values.size())}, values);
  }

  DType dtype() const { return dtype_; }
  const std::vector<int64_t> &dims() const { return dims_; }
  int64_t count() const { return count_; }
  bool available() const { return available_; }
  /// The packed elements, little-endian. CAMEO_CHECKs availability; empty for strings.
  std::span<const std::byte> bytes() const;
  const std::vector<std::string> &string_values() const; ///< CAMEO_CHECKs that it has strings

  /// The bits of element i, zero-extended; dtypes of up to 64 bits.
  uint64_t bits_at(int64_t i) const;
  /// Element i as a double: exact for every float format up to 64 bits and integers up to 2^53; the real part of a
  /// complex.
  double as_double(int64_t i) const;
  /// Element i of an integer or bool dtype; u64 is reinterpreted.
  int64_t as_int(int64_t i) const;
  std::vector<int64_t> as_ints() const;

  /// The same bytes seen with other dims of the same count; shares the owner.
  Constant with_dims(std::vector<int64_t> dims) const;

  /// Hash of dtype, dims and content; the same on every host. Reads all bytes.
  uint64_t content_hash() const;
  /// Same dtype, dims and bytes (hashes are compared when a side is absent).
  friend bool same_content(const ConstantData &a, const ConstantData &b);

private:
  ConstantData() = default;
  DType dtype_ = DType::f32;
  std::vector<int64_t> dims_;
  int64_t count_ = 0;
  bool available_ = true;
  uint64_t hash_ = 0; ///< of an absent one
  std::span<const std::byte> bytes_;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const std::vector<std::string>> strings_; ///< null but for DType::string
};

} // namespace cameo::graph
