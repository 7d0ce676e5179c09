// The wire scanner against hostile bytes: one diagnostic, exit code 65, no crash, bounded work.
#include "../../src/frontend/wire.h"

#include <gtest/gtest.h>

#include <random>

using namespace cameo;
using namespace cameo::frontend;

namespace {

// Builds wire format by hand: what no protobuf class would write.
struct Wire {
  std::string bytes;
  Wire &varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) bytes.push_back(char(v | 0x80));
    bytes.push_back(char(v));
    return *this;
  }
  Wire &tag(uint64_t field, int wire) { return varint(field << 3 | uint64_t(wire)); }
  Wire &number(uint64_t field, uint64_t v) { return tag(field, 0).varint(v); }
  Wire &text(uint64_t field, std::string_view s) {
    tag(field, 2).varint(s.size());
    bytes += s;
    return *this;
  }
  Wire &raw(std::string_view s) {
    bytes += s;
    return *this;
  }
};

std::span<const std::byte> span(const std::string &s) { return std::as_bytes(std::span(s)); }
Result<WireScan> scan(const std::string &bytes, const Limits &limits = {}, WireRoot root = WireRoot::model) {
  return scan_wire(span(bytes), root, "m.onnx", limits);
}

// A graph inside an attribute inside a node inside a graph, `depth` times, around an empty graph.
std::string nested_graphs(int depth) {
  std::string graph = Wire().text(2, "leaf").bytes;
  for (int i = 0; i < depth; ++i) graph = Wire().text(1, Wire().text(5, Wire().text(6, graph).bytes).bytes).bytes;
  return Wire().number(1, 8).text(7, graph).bytes;
}

struct BadCase {
  const char *name;
  std::string bytes;
  const char *message; // a part of it
};

TEST(Wire, RefusesMalformedBytes) {
  const BadCase cases[] = {
      {"declared 2 GiB", Wire().tag(7, 2).varint(0x7fffffff).bytes, "declares 2147483647 bytes where 0 are left"},
      {"length of 64 bits", Wire().tag(7, 2).varint(~uint64_t{0}).bytes, "declares 18446744073709551615 bytes"},
      {"NaN as a length", Wire().tag(7, 2).varint(0x7ff8000000000000).raw("xx").bytes, "declares 9221120237041090560"},
      {"overlong varint", Wire().tag(1, 0).raw(std::string(10, '\xff') + '\1').bytes, "more than 64 bits"},
      {"overlong tag", std::string(11, '\x80') + '\0', "more than 64 bits"},
      {"field 0", std::string("\0\0", 2), "field number 0"},
      {"group", Wire().tag(7, 3).bytes, "a group"},
      {"end of group", Wire().tag(7, 4).bytes, "a group"},
      {"wire type 6", Wire().tag(7, 6).bytes, "wire type 6"},
      {"wire type 7", Wire().tag(99, 7).bytes, "wire type 7"},
      {"graph as a number", Wire().number(7, 5).bytes, "ModelProto.graph has wire type 0"},
      {"ir_version as bytes", Wire().text(1, "8").bytes, "ModelProto.ir_version has wire type 2"},
      {"float as a double",
       Wire().text(7, Wire().text(1, Wire().text(5, Wire().tag(2, 1).raw("12345678").bytes).bytes).bytes).bytes,
       "AttributeProto.f has wire type 1"},
      {"packed floats of odd size", Wire().text(7, Wire().text(5, Wire().text(4, "abcde").bytes).bytes).bytes,
       "5 bytes, not a multiple of 4"},
      {"packed ints cut", Wire().text(7, Wire().text(5, Wire().text(1, "\x80").bytes).bytes).bytes, "inside a number"},
      {"fixed32 cut",
       Wire().text(7, Wire().text(1, Wire().text(5, Wire().tag(2, 5).raw("ab").bytes).bytes).bytes).bytes,
       "ends inside a number"},
      {"a name of 1 MiB", Wire().text(7, Wire().text(2, std::string(1 << 20, 'x')).bytes).bytes,
       "a name of 1048576 bytes (limit 4096)"},
      {"33 nested graphs", nested_graphs(33), "nested deeper than 32"},
      {"1000 nested graphs", nested_graphs(1000), "nested deeper than 32"},
  };
  for (const BadCase &c : cases) {
    auto result = scan(c.bytes);
    ASSERT_FALSE(result.ok()) << c.name;
    ASSERT_EQ(result.errors().size(), 1u) << c.name;
    const Diagnostic &d = result.errors()[0];
    EXPECT_EQ(d.code, ExitCode::bad_model) << c.name;
    EXPECT_EQ(d.where, "m.onnx") << c.name;
    EXPECT_NE(d.what.find(c.message), std::string::npos) << c.name << ": " << d.what;
    EXPECT_EQ(d.what.find('\n'), std::string::npos) << c.name;
  }
}

TEST(Wire, AcceptsTheLimitItself) {
  EXPECT_TRUE(scan(nested_graphs(32)).ok());
  EXPECT_TRUE(scan(Wire().text(7, Wire().text(2, std::string(4096, 'x')).bytes).bytes).ok());
  Limits limits;
  limits.nodes = 2;
  const std::string node = Wire().text(1, "").bytes;
  EXPECT_TRUE(scan(Wire().text(7, node + node).bytes, limits).ok());
  EXPECT_FALSE(scan(Wire().text(7, node + node + node).bytes, limits).ok());
}

TEST(Wire, DeepTypesDoNotOverflowTheStack) {
  std::string type = Wire().text(1, Wire().number(1, 1).bytes).bytes;
  for (int i = 0; i < 10000; ++i) type = Wire().text(4, Wire().text(1, type).bytes).bytes;
  auto result = scan(Wire().text(7, Wire().text(11, Wire().text(2, type).bytes).bytes).bytes);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.errors()[0].what.find("nested deeper"), std::string::npos);
}

TEST(Wire, LeavesOutUnknownFieldsAndCountsThem) {
  const std::string graph = Wire().text(2, "g").bytes;
  const std::string clean = Wire().number(1, 8).text(7, graph).bytes;
  const std::string extra = Wire().text(4242, std::string(1 << 20, 'z')).number(31, 7).bytes;
  auto result = scan(clean + extra);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->unknown_fields, 2);
  EXPECT_EQ(result->unknown_bytes, int64_t(extra.size()));
  EXPECT_LT(result->skeleton.size(), 64u);
}

TEST(Wire, ReplacesRawDataByItsPlaceInTheFile) {
  const std::string data(100'000, '\x2a');
  const std::string tensor = Wire().number(1, 25'000).number(2, 1).text(9, data).text(8, "w").bytes;
  const std::string model = Wire().number(1, 8).text(7, Wire().text(5, tensor).bytes).bytes;
  auto result = scan(model);
  ASSERT_TRUE(result.ok());
  EXPECT_LT(result->skeleton.size(), 100u);
  EXPECT_LT(result->visited, 200) << "weights are not read";
  size_t at = result->skeleton.find(Wire().tag(9, 2).varint(kRawRefBytes).bytes);
  ASSERT_NE(at, std::string::npos);
  auto ref = decode_raw_ref(std::string_view(result->skeleton).substr(at + 2, kRawRefBytes));
  ASSERT_TRUE(ref);
  EXPECT_EQ(ref->size, data.size());
  EXPECT_EQ(ref->offset, model.find(data));
}

TEST(Wire, WorkIsLinear) {
  auto visited = [](int nodes) {
    std::string graph;
    for (int i = 0; i < nodes; ++i)
      graph += Wire().text(1, Wire().text(1, "a").text(2, "b").text(4, "Relu").bytes).bytes;
    auto result = scan(Wire().text(7, graph).bytes);
    EXPECT_TRUE(result.ok());
    return result->visited;
  };
  EXPECT_LE(double(visited(20'000)), 2.01 * double(visited(10'000)));
}

TEST(Wire, SurvivesRandomBytes) {
  std::mt19937 random(7);
  std::string model = nested_graphs(5);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = model;
    for (int k = 0; k < 3; ++k) bytes[random() % bytes.size()] = char(random());
    auto result = scan(bytes);
    if (!result.ok()) {
      EXPECT_EQ(exit_code(result.errors()), ExitCode::bad_model);
    }
  }
}

TEST(Wire, SniffsForeignFiles) {
  auto kind = [](std::string head) {
    const std::string s = head;
    return std::string(sniff_foreign_kind(span(s), 1 << 20));
  };
  using namespace std::string_literals;
  EXPECT_EQ(kind("\x7f"
                 "ELF\2\1\1"),
            "an ELF binary");
  EXPECT_NE(kind("PK\x03\x04zzz").find("zip"), std::string::npos);
  EXPECT_NE(kind("\x10\0\0\0\0\0\0\0{\"a\":1}"s).find("safetensors"), std::string::npos);
  EXPECT_NE(kind("version https://git-lfs.github.com/spec/v1\noid").find("git lfs pull"), std::string::npos);
  EXPECT_EQ(kind("hello world"), "text");
  EXPECT_EQ(kind("<!DOCTYPE html>"), "text (HTML or XML)");
  EXPECT_EQ(kind("\x08\x08\x12\x07pytorch"), "");
}

} // namespace
