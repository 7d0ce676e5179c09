// .npy and tensors: what NumPy writes is read, what is written reads back, hostile headers end in one line.
#include "cameo/support/npy.h"

#include "mutate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace cameo {
namespace {

std::vector<std::byte> as_bytes(const std::string &text) {
  const auto *begin = reinterpret_cast<const std::byte *>(text.data());
  return {begin, begin + text.size()};
}

std::vector<std::byte> npy(const std::string &header, const std::string &data, int version = 1) {
  std::string out = std::string("\x93NUMPY") + static_cast<char>(version) + '\0';
  out += static_cast<char>(header.size() & 255);
  out += static_cast<char>(header.size() >> 8);
  if (version > 1) out += std::string(2, '\0');
  return as_bytes(out + header + data);
}

std::string header(const std::string &descr, const std::string &shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape +
         ", }\n";
}

template <class T> std::string raw(std::initializer_list<T> values) {
  return {reinterpret_cast<const char *>(values.begin()), values.size() * sizeof(T)};
}

std::string shown(const Result<Tensor> &t) {
  if (!t.ok()) return to_string(t.errors()[0]);
  std::string out = type_text(t->dtype, t->shape);
  for (int64_t i = 0; i < *element_count(t->shape); ++i) out += " " + element_text(*t, i);
  return out;
}

std::string read(const std::string &head, const std::string &data, std::optional<DType> wanted = std::nullopt) {
  return shown(parse_npy(npy(head, data), "x.npy", wanted));
}

TEST(Npy, ReadsNumbers) {
  EXPECT_EQ(read(header("<f4", "(2,)"), raw({1.5f, -0.1f})), "f32[2] 1.5 -0.1");
  EXPECT_EQ(read(header("<f8", "()"), raw({0.1})), "f64 0.1");
  EXPECT_EQ(read(header("<i8", "(1, 2)"), raw<int64_t>({INT64_MIN, 7})), "i64[1,2] -9223372036854775808 7");
  EXPECT_EQ(read(header("<u8", "(1,)"), raw<uint64_t>({UINT64_MAX})), "u64[1] 18446744073709551615");
  EXPECT_EQ(read(header("|b1", "(2,)"), raw<uint8_t>({1, 0})), "bool[2] true false");
  EXPECT_EQ(read(header("<f2", "(4,)"), raw<uint16_t>({0x3c00, 0x0001, 0xfc00, 0x7e00})),
            "f16[4] 1 5.9604645e-08 -inf nan");
  EXPECT_EQ(read(header("<c8", "(1,)"), raw({1.f, -2.f})), "c64[1] (1,-2)");
  EXPECT_EQ(read(header("<f4", "(0, 5)"), ""), "f32[0,5]");
  EXPECT_EQ(shown(parse_npy(npy(header("<f4", "(1L,)"), raw({2.f}), 2), "x")), "f32[1] 2");
}

TEST(Npy, ReadsBothByteOrdersAndBothElementOrders) {
  EXPECT_EQ(read(header(">i4", "(2,)"), raw<uint8_t>({0, 0, 1, 0, 255, 255, 255, 254})), "i32[2] 256 -2");
  EXPECT_EQ(read(header(">c8", "(1,)"), raw<uint8_t>({0x3f, 0x80, 0, 0, 0x40, 0, 0, 0})), "c64[1] (1,2)");
  EXPECT_EQ(read(header("|i1", "(2, 3)", true), raw<int8_t>({1, 4, 2, 5, 3, 6})), "i8[2,3] 1 2 3 4 5 6");
  EXPECT_EQ(read(header("|i1", "(2, 2, 2)", true), raw<int8_t>({0, 4, 2, 6, 1, 5, 3, 7})), "i8[2,2,2] 0 1 2 3 4 5 6 7");
  EXPECT_EQ(read(header("<U1", "(2, 1)", true), raw<uint32_t>({'a', 0xe9})), "string[2,1] \"a\" \"\xc3\xa9\"");
}

TEST(Npy, ReadsRawFormsAsWanted) {
  EXPECT_EQ(read(header("|V2", "(1,)"), raw<uint16_t>({0x3f80}), DType::bf16), "bf16[1] 1");
  EXPECT_EQ(read(header("|V2", "(1,)"), raw<uint16_t>({0x3f80})), "x.npy: unsupported .npy type '|V2'");
  EXPECT_EQ(read(header("|V1", "(2,)"), raw<uint8_t>({0x38, 0xff}), DType::f8e4m3fn), "f8e4m3fn[2] 1 nan");
  EXPECT_EQ(read(header("|i1", "(3,)"), raw<int8_t>({-8, 7, -1}), DType::i4), "i4[3] -8 7 -1");
  EXPECT_EQ(read(header("|u1", "(5,)"), raw<uint8_t>({0, 1, 2, 3, 1}), DType::u2), "u2[5] 0 1 2 3 1");
  EXPECT_EQ(read(header("|i1", "(1,)"), raw<int8_t>({-8}), DType::f32),
            "i8[1] -8"); // the wish decides only between equals
}

TEST(Npy, RoundTripsEveryDtype) {
  for (int number = 1; number <= 26; ++number) {
    const auto dtype = dtype_from_onnx(number);
    if (!dtype || *dtype == DType::string) continue;
    Tensor t;
    t.dtype = *dtype;
    t.shape = {3, 2};
    t.data.resize(static_cast<size_t>(*byte_size(t.dtype, 6)));
    for (size_t i = 0; i < t.data.size(); ++i)
      t.data[i] = static_cast<std::byte>(t.dtype == DType::boolean ? i % 2 : 37 * i + 11);
    if (bits(t.dtype) == 2) t.data.back() &= std::byte{0x0f}; // the padding is zero
    const std::vector<std::byte> file = print_npy(t);
    EXPECT_EQ((file.size() - (bits(t.dtype) < 8 ? 6 : t.data.size())) % 64, 0u);
    auto back = parse_npy(file, "x", t.dtype);
    ASSERT_TRUE(back.ok()) << name(t.dtype);
    EXPECT_EQ(back->dtype, t.dtype);
    EXPECT_EQ(back->shape, t.shape);
    EXPECT_EQ(back->data, t.data) << name(t.dtype);
  }
}

TEST(Npy, RoundTripsStrings) {
  Tensor t;
  t.dtype = DType::string;
  t.shape = {4};
  t.strings = {"", "cameo", "\xe2\x82\xac", "\xf0\x9f\x98\x80!"};
  EXPECT_EQ(parse_npy(print_npy(t), "x")->strings, t.strings);
}

TEST(Npy, RefusesHostileHeaders) {
  const std::string f4 = raw({1.f});
  auto refused = [](const std::vector<std::byte> &file) { return shown(parse_npy(file, "x")); };
  EXPECT_EQ(refused({}), "x: not a .npy file");
  EXPECT_EQ(refused(as_bytes("PK\3\4 a zip file")), "x: not a .npy file");
  EXPECT_EQ(refused(npy("", "", 9)), "x: unknown .npy version 9");
  for (const char *head :
       {"", "{", "{}", "[1]", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } x",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os')}"})
    EXPECT_EQ(refused(npy(head, f4)), "x: malformed .npy header") << head;
  EXPECT_EQ(read(header("<f4", "(4294967296, 4294967296)"), f4), "x.npy: the shape in the .npy header overflows");
  EXPECT_EQ(read(header("<f4", "(1000000000000,)"), f4),
            "x.npy: has 4 bytes of data for 1000000000000 elements of 4 bytes");
  EXPECT_EQ(read(header("<f4", "(2305843009213693953,)"), f4),
            "x.npy: has 4 bytes of data for 2305843009213693953 elements of 4 bytes"); // 4 * count wraps to 4
  EXPECT_EQ(read(header("<f4", "(1,)"), f4 + "x"), "x.npy: has 5 bytes of data for 1 elements of 4 bytes");
  EXPECT_EQ(read(header("<f16", "(1,)"), f4), "x.npy: unsupported .npy type '<f16'");
  EXPECT_EQ(read(header("|O", "(1,)"), f4), "x.npy: unsupported .npy type '|O'");
  EXPECT_EQ(read(header("<U0", "(1000000000000,)"), ""), "x.npy: has too many empty strings");
  EXPECT_EQ(read(header("<U1", "(1,)"), raw<uint32_t>({0x110000})), "x.npy: element 0 is not a Unicode string");
}

TEST(Npy, EveryTruncationIsAnError) {
  Tensor t;
  t.shape = {2};
  t.data.resize(8);
  const std::vector<std::byte> file = print_npy(t);
  for (size_t n = 0; n < file.size(); ++n) EXPECT_FALSE(parse_npy(std::span(file).first(n), "x").ok()) << n;
}

TEST(Tensor, CountsElements) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 3}), 6);
  EXPECT_EQ(element_count({INT64_MAX, INT64_MAX, 0}), 0);
  EXPECT_EQ(element_count({INT64_MAX, 2}), std::nullopt);
  EXPECT_EQ(element_count({2, -1}), std::nullopt);
}

TEST(Tensor, ValuesOfNarrowFloats) {
  auto value = [](DType dtype, unsigned bits) {
    Tensor t;
    t.dtype = dtype;
    t.data = {static_cast<std::byte>(bits & 255), static_cast<std::byte>(bits >> 8)};
    return element_value(t, 0);
  };
  EXPECT_EQ(value(DType::f16, 0x7bff), 65504);
  EXPECT_EQ(value(DType::bf16, 0x4049), 3.140625);
  EXPECT_EQ(value(DType::bf16, 0xff80), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(value(DType::f8e4m3fn, 0x7e), 448);
  EXPECT_EQ(value(DType::f8e4m3fn, 0x01), std::ldexp(1, -9));
  EXPECT_EQ(value(DType::f8e4m3fnuz, 0x7f), 240);
  EXPECT_TRUE(std::isnan(value(DType::f8e4m3fnuz, 0x80)));
  EXPECT_EQ(value(DType::f8e5m2, 0x7b), 57344);
  EXPECT_EQ(value(DType::f8e5m2, 0xfc), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(value(DType::f8e5m2fnuz, 0x7f), 57344);
  EXPECT_EQ(value(DType::f8e8m0, 127), 1);
  EXPECT_EQ(value(DType::f4e2m1, 0x7), 6);
  EXPECT_EQ(value(DType::f4e2m1, 0x9), -0.5);
}

// A changed file is refused in one line, or is a tensor of as many elements as it says.
TEST(Npy, ChangedFilesAreRefusedOrTensors) {
  const std::vector<std::byte> files[] = {
      npy(header("<f4", "(2, 3)", true), raw<float>({1, 2, 3, 4, 5, 6})),
      npy(header(">c16", "(2,)"), raw<double>({1, 2, 3, 4}), 2),
      npy(header("<U3", "(2, 1)"), std::string(24, 'x')),
      npy(header("|u1", "(4,)"), "abcd"),
  };
  for (const std::vector<std::byte> &file : files) {
    const std::string text(reinterpret_cast<const char *>(file.data()), file.size());
    for (uint64_t seed = 0; seed < 4000; ++seed) {
      const std::optional<DType> wanted = seed % 3 == 0   ? std::nullopt
                                          : seed % 3 == 1 ? std::optional(DType::i4)
                                                          : DType::f32;
      const auto t = parse_npy(as_bytes(testing::mutated(text, seed)), "x.npy", wanted);
      if (!t.ok()) {
        EXPECT_EQ(t.errors().size(), 1u);
        continue;
      }
      shown(t);
      EXPECT_TRUE(parse_npy(print_npy(*t), "x.npy", t->dtype).ok()) << seed;
    }
  }
}

} // namespace
} // namespace cameo
