// .npy (numpy.lib.format): a magic, a version, a header length, a Python dictionary literal of three known keys, then
// the elements. The dictionary is read by a parser of exactly that form.
#include "cameo/support/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>

namespace cameo {

namespace {

constexpr size_t kMaxHeader = 1 << 20;
constexpr size_t kMaxRank = 64; // NumPy's own limit

struct Header {
  std::string descr;
  bool fortran = false;
  std::vector<int64_t> shape;
};

// Reads "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 8), }".
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  // nullopt: not in that form.
  std::optional<Header> parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    if (!take('{')) return std::nullopt;
    while (!take('}')) {
      std::string key;
      if (!quoted(key) || !take(':')) return std::nullopt;
      bool ok = false;
      if (key == "descr" && !descr)
        ok = descr = quoted(header.descr);
      else if (key == "fortran_order" && !order)
        ok = order = boolean(header.fortran);
      else if (key == "shape" && !shape)
        ok = shape = tuple(header.shape);
      if (!ok) return std::nullopt;
      if (!take(',') && !at('}')) return std::nullopt;
    }
    skip();
    if (!rest_.empty() || !descr || !order || !shape) return std::nullopt;
    return header;
  }

private:
  std::string_view rest_;

  void skip() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r"), rest_.size())); }
  bool at(char c) {
    skip();
    return !rest_.empty() && rest_.front() == c;
  }
  bool take(char c) {
    if (!at(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool quoted(std::string &out) {
    skip();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return false;
    const size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return false;
    out = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return true;
  }
  bool boolean(bool &out) {
    skip();
    for (std::string_view word : {"False", "True"})
      if (rest_.starts_with(word)) {
        out = word == "True";
        rest_.remove_prefix(word.size());
        return true;
      }
    return false;
  }
  bool tuple(std::vector<int64_t> &out) {
    if (!take('(')) return false;
    while (!take(')')) {
      skip();
      int64_t dim = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), dim);
      if (error != std::errc() || dim < 0 || out.size() == kMaxRank) return false;
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      if (rest_.starts_with('L')) rest_.remove_prefix(1); // Python 2 wrote long integers so
      out.push_back(dim);
      if (!take(',') && !at(')')) return false;
    }
    return true;
  }
};

struct Descr {
  std::string_view numpy; // without the byte order
  DType dtype;
};
// NumPy's kinds; the first of a dtype is what is written.
constexpr Descr kTypes[] = {
    {"f4", DType::f32},        {"f8", DType::f64},    {"f2", DType::f16},        {"i1", DType::i8},
    {"i2", DType::i16},        {"i4", DType::i32},    {"i8", DType::i64},        {"u1", DType::u8},
    {"u2", DType::u16},        {"u4", DType::u32},    {"u8", DType::u64},        {"b1", DType::boolean},
    {"c8", DType::c64},        {"c16", DType::c128},  {"V2", DType::bf16},       {"V1", DType::f8e4m3fn},
    {"V1", DType::f8e4m3fnuz}, {"V1", DType::f8e5m2}, {"V1", DType::f8e5m2fnuz}, {"V1", DType::f8e8m0},
    {"u1", DType::u4},         {"i1", DType::i4},     {"u1", DType::u2},         {"i1", DType::i2},
    {"V1", DType::f4e2m1},
};

size_t bytes_of(std::string_view numpy) {
  size_t n = 0;
  std::from_chars(numpy.data() + 1, numpy.data() + numpy.size(), n);
  return n;
}

// The dtype for a descr without byte order, with the reader's wish where several dtypes share a form.
std::optional<DType> dtype_of(std::string_view numpy, std::optional<DType> wanted) {
  std::optional<DType> first;
  for (const Descr &row : kTypes) {
    if (row.numpy != numpy) continue;
    if (row.dtype == wanted) return row.dtype;
    if (!first) first = row.dtype;
  }
  if (first && numpy.front() == 'V') return std::nullopt; // raw bytes mean nothing without a wish
  return first;
}

// Element i of C order lies at this element of Fortran order.
std::vector<size_t> fortran_positions(const std::vector<int64_t> &shape, size_t count) {
  std::vector<size_t> strides(shape.size()), positions(count);
  size_t stride = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    strides[d] = stride;
    stride *= static_cast<size_t>(shape[d]);
  }
  std::vector<int64_t> index(shape.size());
  size_t position = 0;
  for (size_t i = 0; i < count; ++i) {
    positions[i] = position;
    for (size_t d = shape.size(); d-- > 0;) {
      position += strides[d];
      if (++index[d] < shape[d]) break;
      position -= strides[d] * static_cast<size_t>(shape[d]);
      index[d] = 0;
    }
  }
  return positions;
}

void append_utf8(std::string &out, uint32_t c) {
  auto add = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) return add(c);
  if (c < 0x800) return add(0xc0 | c >> 6), add(0x80 | (c & 63));
  if (c < 0x10000) return add(0xe0 | c >> 12), add(0x80 | (c >> 6 & 63)), add(0x80 | (c & 63));
  add(0xf0 | c >> 18), add(0x80 | (c >> 12 & 63)), add(0x80 | (c >> 6 & 63)), add(0x80 | (c & 63));
}

// Code points; a byte that is not part of well-formed UTF-8 stands for itself.
std::vector<uint32_t> code_points(std::string_view text) {
  std::vector<uint32_t> out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 1;
    uint32_t c = length == 1 ? lead : lead & (0x7fu >> length);
    bool whole = i + length <= text.size();
    for (size_t k = 1; whole && k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      whole = (next & 0xc0) == 0x80;
      c = c << 6 | (next & 63);
    }
    out.push_back(whole ? c : lead);
    i += whole ? length : 1;
  }
  return out;
}

// `<U5`, `|S5`: fixed width, padded with zeros.
std::optional<std::string> string_at(const std::byte *data, size_t width, bool unicode, bool swapped) {
  std::string out;
  if (!unicode) {
    out.assign(reinterpret_cast<const char *>(data), width);
  } else {
    for (size_t i = 0; i < width; ++i) {
      uint32_t c;
      std::memcpy(&c, data + 4 * i, 4);
      if (swapped) c = __builtin_bswap32(c);
      if (c > 0x10ffff) return std::nullopt;
      append_utf8(out, c);
    }
  }
  const size_t end = out.find_last_not_of('\0');
  out.resize(end == std::string::npos ? 0 : end + 1);
  return out;
}

std::vector<std::byte> pack(const std::vector<std::byte> &elements, int width) {
  std::vector<std::byte> out((elements.size() * static_cast<size_t>(width) + 7) / 8);
  for (size_t i = 0; i < elements.size(); ++i) {
    const unsigned value = static_cast<unsigned>(elements[i]) & ((1u << width) - 1);
    const size_t bit = i * static_cast<size_t>(width);
    out[bit / 8] |= static_cast<std::byte>(value << (bit % 8));
  }
  return out;
}

std::vector<std::byte> unpack(const Tensor &t, size_t count) {
  const int width = bits(t.dtype);
  std::vector<std::byte> out(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t bit = i * static_cast<size_t>(width);
    unsigned value = (static_cast<unsigned>(t.data[bit / 8]) >> (bit % 8)) & ((1u << width) - 1);
    const bool negative = t.dtype == DType::i4 || t.dtype == DType::i2 ? value >> (width - 1) : false;
    if (negative) value |= ~0u << width;
    out[i] = static_cast<std::byte>(value);
  }
  return out;
}

std::vector<std::byte> with_header(const std::string &descr, const std::vector<int64_t> &shape, const void *data,
                                   size_t size) {
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < shape.size(); ++i) header += (i ? ", " : "") + std::to_string(shape[i]);
  header += shape.size() == 1 ? ",), }" : "), }";
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n'; // the data starts at a multiple of 64
  std::vector<std::byte> out(10 + header.size() + size);
  const unsigned char start[] = {0x93,
                                 'N',
                                 'U',
                                 'M',
                                 'P',
                                 'Y',
                                 1,
                                 0,
                                 static_cast<unsigned char>(header.size() & 255),
                                 static_cast<unsigned char>(header.size() >> 8)};
  std::memcpy(out.data(), start, sizeof start);
  std::memcpy(out.data() + sizeof start, header.data(), header.size());
  if (size) std::memcpy(out.data() + sizeof start + header.size(), data, size);
  return out;
}

} // namespace

Result<Tensor> parse_npy(std::span<const std::byte> bytes, const std::string &where, std::optional<DType> wanted) {
  auto bad = [&](const std::string &what) { return Diagnostic{ExitCode::bad_model, where, what}; };
  const auto *p = reinterpret_cast<const unsigned char *>(bytes.data());
  if (bytes.size() < 10 || std::memcmp(p, "\x93NUMPY", 6) != 0) return bad("not a .npy file");
  if (p[6] < 1 || p[6] > 3) return bad("unknown .npy version " + std::to_string(p[6]));
  size_t start = 10, length = p[8] | p[9] << 8;
  if (p[6] >= 2) {
    if (bytes.size() < 12) return bad("the .npy header is cut off");
    start = 12;
    length |= static_cast<size_t>(p[10]) << 16 | static_cast<size_t>(p[11]) << 24;
  }
  if (length > kMaxHeader || length > bytes.size() - start) return bad("the .npy header is cut off or too long");
  const auto header = HeaderParser({reinterpret_cast<const char *>(p) + start, length}).parse();
  if (!header) return bad("malformed .npy header");
  std::span<const std::byte> body = bytes.subspan(start + length);

  Tensor t;
  t.shape = header->shape;
  const auto count = element_count(t.shape);
  if (!count) return bad("the shape in the .npy header overflows");
  const auto elements = static_cast<size_t>(*count);

  std::string_view descr = header->descr;
  bool swapped = false;
  if (!descr.empty() && std::string_view("<>|=").find(descr.front()) != std::string_view::npos) {
    swapped = descr.front() == '>';
    descr.remove_prefix(1);
  }
  if (descr.size() < 2 || descr.size() > 12) return bad("unsupported .npy type '" + escape_name(header->descr) + "'");
  const bool text = descr.front() == 'U' || descr.front() == 'S';
  const auto dtype = text ? std::optional(DType::string) : dtype_of(descr, wanted);
  if (!dtype) return bad("unsupported .npy type '" + escape_name(header->descr) + "'");
  t.dtype = *dtype;

  const size_t width = bytes_of(descr), size = descr.front() == 'U' ? width * 4 : width;
  size_t needed = 0;
  if (__builtin_mul_overflow(elements, size, &needed) || needed != body.size())
    return bad("has " + std::to_string(body.size()) + " bytes of data for " + std::to_string(elements) +
               " elements of " + std::to_string(size) + " bytes");
  if (text && size == 0 && elements > kMaxHeader) return bad("has too many empty strings");

  std::vector<size_t> positions;
  if (header->fortran && t.shape.size() > 1) positions = fortran_positions(t.shape, elements);
  auto source = [&](size_t i) { return body.data() + (positions.empty() ? i : positions[i]) * size; };
  if (text) {
    for (size_t i = 0; i < elements; ++i) {
      auto value = string_at(source(i), width, descr.front() == 'U', swapped);
      if (!value) return bad("element " + std::to_string(i) + " is not a Unicode string");
      t.strings.push_back(std::move(*value));
    }
    return t;
  }
  t.data.assign(body.begin(), body.end());
  if (!positions.empty())
    for (size_t i = 0; i < elements; ++i) std::memcpy(t.data.data() + i * size, source(i), size);
  if (swapped) {
    const size_t unit = kind(t.dtype) == DTypeKind::complex ? size / 2 : size;
    for (size_t i = 0; unit && i < t.data.size(); i += unit)
      std::reverse(t.data.begin() + static_cast<std::ptrdiff_t>(i),
                   t.data.begin() + static_cast<std::ptrdiff_t>(i + unit));
  }
  if (bits(t.dtype) < 8) t.data = pack(t.data, bits(t.dtype));
  return t;
}

std::vector<std::byte> print_npy(const Tensor &t) {
  const auto elements = static_cast<size_t>(*element_count(t.shape));
  if (t.dtype == DType::string) {
    std::vector<std::vector<uint32_t>> rows;
    size_t width = 1; // NumPy has no <U0 on disk that all versions read
    for (const std::string &s : t.strings) width = std::max(width, rows.emplace_back(code_points(s)).size());
    std::vector<uint32_t> data(elements * width);
    for (size_t i = 0; i < rows.size(); ++i)
      std::copy(rows[i].begin(), rows[i].end(), data.begin() + static_cast<std::ptrdiff_t>(i * width));
    return with_header("<U" + std::to_string(width), t.shape, data.data(), data.size() * 4);
  }
  const auto *row =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Descr &d) { return d.dtype == t.dtype; });
  CAMEO_CHECK(row != std::end(kTypes), "a dtype without a .npy form");
  const std::string order = row->numpy.front() == 'V' || bytes_of(row->numpy) == 1 ? "|" : "<";
  if (bits(t.dtype) < 8) {
    const std::vector<std::byte> wide = unpack(t, elements);
    return with_header(order + std::string(row->numpy), t.shape, wide.data(), wide.size());
  }
  return with_header(order + std::string(row->numpy), t.shape, t.data.data(), t.data.size());
}

} // namespace cameo
