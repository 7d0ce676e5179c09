// Elements of constants as text, for the parser: `[1.0, -inf, bits 0x7fc1]`, `["a", "b"]`, `[(1.0, 0.0)]`, `[true,
// false]`.
#include "parse_tensor.h"

#include "cameo/support/half.h"

#include <cmath>
#include <cstring>

namespace cameo::graph {

namespace {

class ElementReader {
public:
  ElementReader(TextLexer &lexer, DType dtype) : lexer_(lexer), dtype_(dtype) {}

  void append() {
    if (dtype_ == DType::string) {
      strings_.push_back(lexer_.expect(Token::Kind::string, "a string").text);
    } else if (dtype_ == DType::c64 || dtype_ == DType::c128) {
      const DType part = dtype_ == DType::c64 ? DType::f32 : DType::f64;
      lexer_.expect("(");
      store(pattern(part), bits(part));
      lexer_.expect(",");
      store(pattern(part), bits(part));
      lexer_.expect(")");
    } else {
      store(pattern(dtype_), bits(dtype_));
    }
  }

  Constant finish(std::vector<int64_t> dims) {
    if (dtype_ == DType::string) return ConstantData::strings(std::move(dims), std::move(strings_));
    return ConstantData::own(dtype_, std::move(dims), std::move(bytes_));
  }

private:
  uint64_t pattern(DType dtype) {
    const int width = bits(dtype);
    size_t start = lexer_.peek().offset;
    if (lexer_.accept("bits")) {
      uint64_t value = lexer_.expect(Token::Kind::integer, "the bits of an element").integer;
      if (width < 64 && value >> width != 0) lexer_.fail(start, "more than " + std::to_string(width) + " bits");
      return value;
    }
    if (is_float(dtype)) {
      const double value = lexer_.real("a number");
      const uint64_t encoded = encode(dtype, value, {false, ScaleRounding::nearest});
      const double back = decode(dtype, encoded);
      if (std::isfinite(value) && !std::isfinite(back))
        lexer_.fail(start, std::string(name(dtype)) + " cannot hold this number");
      return encoded;
    }
    if (dtype == DType::boolean) {
      bool value = lexer_.accept("true");
      if (!value) lexer_.expect("false");
      return value;
    }
    if (dtype == DType::u64) return lexer_.expect(Token::Kind::integer, "a number").integer;
    const bool is_signed = kind(dtype) == DTypeKind::signed_integer;
    const int64_t least = is_signed ? (width == 64 ? INT64_MIN : -(int64_t{1} << (width - 1))) : 0;
    const int64_t most =
        is_signed ? (width == 64 ? INT64_MAX : (int64_t{1} << (width - 1)) - 1) : (int64_t{1} << width) - 1;
    return static_cast<uint64_t>(lexer_.integer("a number", least, most));
  }

  void store(uint64_t value, int width) {
    if (width < 8) {
      if (used_ % 8 == 0) bytes_.push_back(std::byte{0});
      bytes_.back() |= static_cast<std::byte>((value & ((1u << width) - 1)) << (used_ % 8));
      used_ += width;
      return;
    }
    size_t at = bytes_.size();
    bytes_.resize(at + static_cast<size_t>(width / 8));
    std::memcpy(bytes_.data() + at, &value, static_cast<size_t>(width / 8));
  }

  TextLexer &lexer_;
  DType dtype_;
  std::vector<std::byte> bytes_;
  std::vector<std::string> strings_;
  int used_ = 0; ///< bits of the last bytes, for dtypes below a byte
};

} // namespace

Constant read_elements(TextLexer &lexer, DType dtype, const std::vector<int64_t> &dims, int64_t count) {
  size_t start = lexer.peek().offset;
  ElementReader reader(lexer, dtype);
  int64_t read = 0;
  lexer.expect("[");
  while (!lexer.at("]") && !lexer.failed()) {
    if (read > 0) lexer.expect(",");
    reader.append();
    if (++read > count) lexer.fail(start, "more than " + std::to_string(count) + " elements");
  }
  lexer.expect("]");
  if (!lexer.failed() && read != count)
    lexer.fail(start, std::to_string(read) + " elements instead of " + std::to_string(count));
  return lexer.failed() ? nullptr : reader.finish(dims);
}

} // namespace cameo::graph
