// Constant data: sizes checked once at construction, elements decoded one at a time, content compared and hashed as
// bytes.
#include "cameo/ir/constant.h"

#include "cameo/support/half.h"
#include "cameo/support/tensor.h"

#include <cmath>
#include <cstring>

namespace cameo::graph {

namespace {

constexpr Narrowing kUnsaturated = {false, ScaleRounding::nearest};

int64_t checked_count(const std::vector<int64_t> &dims) {
  auto count = element_count(dims);
  CAMEO_CHECK(count, "dims of a constant overflow or are negative");
  return *count;
}

std::vector<std::byte> zeros(DType dtype, int64_t count) {
  auto size = byte_size(dtype, count);
  CAMEO_CHECK(size, "a constant of " + std::to_string(count) + " " + std::string(name(dtype)));
  return std::vector<std::byte>(static_cast<size_t>(*size));
}

bool fits(DType dtype, int64_t value) {
  const int width = bits(dtype);
  if (dtype == DType::boolean) return value == 0 || value == 1;
  if (kind(dtype) == DTypeKind::unsigned_integer) return width == 64 || (value >= 0 && value >> width == 0);
  return width == 64 || (value >= -(int64_t{1} << (width - 1)) && value < int64_t{1} << (width - 1));
}

} // namespace

Constant ConstantData::view(DType dtype, std::vector<int64_t> dims, std::span<const std::byte> bytes,
                            std::shared_ptr<const void> owner) {
  std::shared_ptr<ConstantData> data(new ConstantData);
  data->dtype_ = dtype;
  data->count_ = checked_count(dims);
  auto size = byte_size(dtype, data->count_);
  CAMEO_CHECK(size && static_cast<size_t>(*size) == bytes.size(),
              std::to_string(bytes.size()) + " bytes for " + type_text(dtype, dims));
  data->dims_ = std::move(dims);
  data->bytes_ = bytes;
  data->owner_ = std::move(owner);
  return data;
}

Constant ConstantData::own(DType dtype, std::vector<int64_t> dims, std::vector<std::byte> bytes) {
  auto buffer = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  std::span<const std::byte> span = *buffer;
  return view(dtype, std::move(dims), span, std::move(buffer));
}

Constant ConstantData::strings(std::vector<int64_t> dims, std::vector<std::string> values) {
  std::shared_ptr<ConstantData> data(new ConstantData);
  data->dtype_ = DType::string;
  data->count_ = checked_count(dims);
  CAMEO_CHECK(static_cast<size_t>(data->count_) == values.size(), "number of strings");
  data->dims_ = std::move(dims);
  data->strings_ = std::make_shared<const std::vector<std::string>>(std::move(values));
  return data;
}

Constant ConstantData::absent(DType dtype, std::vector<int64_t> dims, uint64_t content_hash) {
  std::shared_ptr<ConstantData> data(new ConstantData);
  data->dtype_ = dtype;
  data->count_ = checked_count(dims);
  data->dims_ = std::move(dims);
  data->available_ = false;
  data->hash_ = content_hash;
  return data;
}

Constant ConstantData::of(DType dtype, std::vector<int64_t> dims, std::span<const double> values) {
  if (!is_float(dtype)) {
    std::vector<int64_t> ints;
    for (double value : values) {
      CAMEO_CHECK(value >= -0x1p63 && value < 0x1p63 && value == std::floor(value),
                  "constant is no integer: " + std::to_string(value));
      ints.push_back(static_cast<int64_t>(value));
    }
    return of_ints(dtype, std::move(dims), ints);
  }
  std::vector<std::byte> bytes = zeros(dtype, static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t pattern = encode(dtype, values[i], kUnsaturated);
    double back = decode(dtype, pattern);
    CAMEO_CHECK(back == values[i] || (std::isnan(back) && std::isnan(values[i])),
                std::string(name(dtype)) + " cannot hold " + std::to_string(values[i]));
    store_element(bytes.data(), dtype, static_cast<int64_t>(i), pattern);
  }
  return own(dtype, std::move(dims), std::move(bytes));
}

Constant ConstantData::of_rounded(DType dtype, std::vector<int64_t> dims, std::span<const double> values) {
  CAMEO_CHECK(is_float(dtype), "rounded constant of " + std::string(name(dtype)));
  std::vector<std::byte> bytes = zeros(dtype, static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i)
    store_element(bytes.data(), dtype, static_cast<int64_t>(i), encode(dtype, values[i], kUnsaturated));
  return own(dtype, std::move(dims), std::move(bytes));
}

Constant ConstantData::of_ints(DType dtype, std::vector<int64_t> dims, std::span<const int64_t> values) {
  if (is_float(dtype)) {
    std::vector<double> reals(values.begin(), values.end());
    return of(dtype, std::move(dims), reals);
  }
  CAMEO_CHECK(is_integer(dtype) || dtype == DType::boolean, "integers as " + std::string(name(dtype)));
  std::vector<std::byte> bytes = zeros(dtype, static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    CAMEO_CHECK(fits(dtype, values[i]), std::string(name(dtype)) + " cannot hold " + std::to_string(values[i]));
    store_element(bytes.data(), dtype, static_cast<int64_t>(i), static_cast<uint64_t>(values[i]));
  }
  return own(dtype, std::move(dims), std::move(bytes));
}

std::span<const std::byte> ConstantData::bytes() const {
  CAMEO_CHECK(available_, "bytes of an absent constant");
  return bytes_;
}

const std::vector<std::string> &ConstantData::string_values() const {
  CAMEO_CHECK(available_ && strings_, "strings of a constant that has none");
  return *strings_;
}

uint64_t ConstantData::bits_at(int64_t i) const {
  CAMEO_CHECK(i >= 0 && i < count_ && dtype_ != DType::string && bits(dtype_) <= 64, "element of a constant");
  return load_element(bytes().data(), dtype_, i);
}

double ConstantData::as_double(int64_t i) const {
  if (dtype_ == DType::c64 || dtype_ == DType::c128) {
    CAMEO_CHECK(i >= 0 && i < count_, "element of a constant");
    const DType part = dtype_ == DType::c64 ? DType::f32 : DType::f64;
    return decode(part, load_element(bytes().data(), part, 2 * i));
  }
  if (is_float(dtype_)) return decode(dtype_, bits_at(i));
  if (dtype_ == DType::u64) return static_cast<double>(bits_at(i));
  return static_cast<double>(as_int(i));
}

int64_t ConstantData::as_int(int64_t i) const {
  CAMEO_CHECK(is_integer(dtype_) || dtype_ == DType::boolean, "integer element of " + std::string(name(dtype_)));
  const uint64_t pattern = bits_at(i);
  const int unused = 64 - bits(dtype_);
  if (dtype_ == DType::boolean) return pattern != 0;
  return kind(dtype_) == DTypeKind::signed_integer ? static_cast<int64_t>(pattern << unused) >> unused
                                                   : static_cast<int64_t>(pattern);
}

std::vector<int64_t> ConstantData::as_ints() const {
  std::vector<int64_t> values;
  for (int64_t i = 0; i < count_; ++i) values.push_back(as_int(i));
  return values;
}

Constant ConstantData::with_dims(std::vector<int64_t> dims) const {
  CAMEO_CHECK(checked_count(dims) == count_, "dims of another count");
  CAMEO_CHECK(available_, "dims of an absent constant");
  std::shared_ptr<ConstantData> data(new ConstantData(*this));
  data->dims_ = std::move(dims);
  return data;
}

uint64_t ConstantData::content_hash() const {
  if (!available_) return hash_;
  // 64-bit lanes through a multiply and a rotation; the tail is padded with zeros, the length is mixed in first.
  uint64_t hash = 0x9ae16a3b2f90404full;
  auto mix = [&](uint64_t lane) {
    hash = (hash ^ lane) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 32;
  };
  auto mix_bytes = [&](const void *data, size_t size) {
    mix(size);
    const auto *p = static_cast<const unsigned char *>(data);
    for (; size >= 8; p += 8, size -= 8) {
      uint64_t lane;
      std::memcpy(&lane, p, 8);
      mix(lane);
    }
    uint64_t tail = 0;
    if (size > 0) std::memcpy(&tail, p, size);
    if (size > 0) mix(tail);
  };
  mix(static_cast<uint64_t>(onnx_number(dtype_)));
  for (int64_t dim : dims_) mix(static_cast<uint64_t>(dim));
  if (strings_)
    for (const std::string &text : *strings_) mix_bytes(text.data(), text.size());
  else
    mix_bytes(bytes_.data(), bytes_.size());
  return hash;
}

bool same_content(const ConstantData &a, const ConstantData &b) {
  if (&a == &b) return true;
  if (a.dtype_ != b.dtype_ || a.dims_ != b.dims_) return false;
  if (!a.available_ || !b.available_) return a.content_hash() == b.content_hash();
  if (a.strings_) return *a.strings_ == *b.strings_;
  return a.bytes_.data() == b.bytes_.data() || std::memcmp(a.bytes_.data(), b.bytes_.data(), a.bytes_.size()) == 0;
}

} // namespace cameo::graph
