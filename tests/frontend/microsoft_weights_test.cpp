// Weights of com.microsoft in few bits, attention with a cache, small operators: values worked out by hand, and what is
// refused.
#include "computed.h"

#include <cmath>

namespace cameo::frontend::test {
namespace {

constexpr DType u8 = DType::u8, f32 = DType::f32, f16 = DType::f16, i32 = DType::i32, i64 = DType::i64;
using I = std::vector<int64_t>;
using Tensors = std::vector<onnx::TensorProto>;
using Attributes = std::vector<onnx::AttributeProto>;

Attributes nbits(int64_t k, int64_t n, int64_t bits, int64_t block) {
  return {attribute("K", k), attribute("N", n), attribute("bits", bits), attribute("block_size", block)};
}

// K = 18 in two blocks of 16, one row: the numbers are 8 but 10 (the third) and 11 (the eighteenth), whose scales are
// 0.5 and 2; a is 1 there.
Tensors weights(int64_t bits, DType dtype) {
  std::vector<double> a(18, 0), bytes(size_t(32 * bits / 8), bits == 4 ? 0x88 : 8);
  a[2] = a[17] = 1;
  if (bits == 4) {
    bytes[1] = 0x8a; // the third number is the low half of the second byte
    bytes[8] = 0xb8;
  } else {
    bytes[2] = 10;
    bytes[17] = 11;
  }
  return {tensor("a", dtype, {1, 18}, a),
          tensor("b", u8, {1, 2, 16 * bits / 8}, bytes),
          tensor("s", dtype, {1, 2}, {0.5, 2}),
          tensor("z", u8, {1, bits == 4 ? 1 : 2}, bits == 4 ? std::vector<double>{0xa9} : std::vector<double>{9, 10}),
          tensor("zr", dtype, {1, 2}, {9.5, 10.5}),
          tensor("bias", dtype, {1}, {100})};
}

TEST(MicrosoftWeights, ProductsOfNumbersInBlocks) {
  for (DType dtype : {f32, f16}) {
    const std::string type = std::string(name(dtype)) + "[1, 1]";
    const Tensors four = weights(4, dtype), eight = weights(8, dtype);
    // Without zero points it is 8: 2 / 2 + 3 * 2; with 9 and 10: 1 / 2 + 1 * 2; with 9.5 and 10.5: 0.25 + 1
    expect_values(computed(microsoft("MatMulNBits", {"a", "b", "s"}, nbits(18, 1, 4, 16)), four), type, {7});
    expect_values(computed(microsoft("MatMulNBits", {"a", "b", "s", "z"}, nbits(18, 1, 4, 16)), four), type, {2.5});
    expect_values(computed(microsoft("MatMulNBits", {"a", "b", "s", "z", "", "bias"}, nbits(18, 1, 8, 16)), eight),
                  type, {102.5});
    expect_values(computed(microsoft("MatMulNBits", {"a", "b", "s", "zr"}, nbits(18, 1, 4, 16)), four), type, {1.25});
  }
}

TEST(MicrosoftWeights, RowsOfNumbersInBlocks) {
  // Row 1 of bytes 0x98: 8 and 9, in blocks of 16 of scale 1 and 0.5.
  std::vector<double> bytes(32, 0x77);
  for (size_t i = 16; i < 32; ++i) bytes[i] = 0x98;
  const Tensors table = {tensor("t", u8, {2, 16}, bytes), tensor("at", i64, {1}, {1}),
                         tensor("s", f32, {2, 2}, {3, 3, 1, 0.5}), tensor("z", u8, {2, 1}, {0, 0x78})};
  const Attributes attributes = {attribute("bits", int64_t{4}), attribute("block_size", int64_t{16})};
  std::vector<double> expected(32), moved(32);
  for (size_t i = 0; i < 32; ++i) {
    expected[i] = i % 2 == 0 ? 0 : i < 16 ? 1 : 0.5;
    moved[i] = i < 16 ? double(i % 2) : 0.5 + double(i % 2) * 0.5; // zero points 8 and 7
  }
  expect_values(computed(microsoft("GatherBlockQuantized", {"t", "at", "s"}, attributes), table), "f32[1, 32]",
                expected);
  expect_values(computed(microsoft("GatherBlockQuantized", {"t", "at", "s", "z"}, attributes), table), "f32[1, 32]",
                moved);
}

TEST(MicrosoftWeights, AttentionWithACache) {
  // Queries are 0: the values 10, 20 of the past and 60 of the new token count alike. Two heads share them.
  const Tensors tensors = {tensor("q", f32, {1, 1, 2}, {0, 0}),
                           tensor("k", f32, {1, 1, 1}, {1}),
                           tensor("v", f32, {1, 1, 1}, {60}),
                           tensor("pk", f32, {1, 1, 2, 1}, {1, 2}),
                           tensor("pv", f32, {1, 1, 2, 1}, {10, 20}),
                           tensor("all", i32, {1}, {2}),
                           tensor("less", i32, {1}, {1}),
                           tensor("total", i32, {}, {3}),
                           tensor("sink", f32, {2}, {0, -INFINITY}),
                           tensor("packed", f32, {1, 1, 4}, {0, 0, 1, 60})};
  const Attributes heads = {attribute("num_heads", int64_t{2}), attribute("kv_num_heads", int64_t{1})};
  auto run = [&](const std::vector<std::string> &inputs, Attributes more = {}, size_t output = 0) {
    more.insert(more.end(), heads.begin(), heads.end());
    return computed(microsoft("GroupQueryAttention", inputs, more, {"y", "pk2", "pv2"}), tensors, output);
  };
  const std::string type = "f32[1, 1, 2]";
  expect_values(run({"q", "k", "v", "pk", "pv", "all", "total"}), type, {30, 30}, 1e-5);
  expect_values(run({"packed", "", "", "pk", "pv", "all", "total"}), type, {30, 30}, 1e-5);
  expect_values(run({"q", "k", "v", "pk", "pv", "all", "total"}, {}, 2), "f32[1, 1, 3, 1]", {10, 20, 60});
  // One row of the past is valid: the new one follows it.
  expect_values(run({"q", "k", "v", "pk", "pv", "less", "total"}), type, {35, 35}, 1e-5);
  expect_values(run({"q", "k", "v", "pk", "pv", "less", "total"}, {}, 2), "f32[1, 1, 3, 1]", {10, 60, 0});
  // A window of two, then a sink that counts as a fourth key of the first head.
  expect_values(run({"q", "k", "v", "pk", "pv", "all", "total"}, {attribute("local_window_size", int64_t{2})}), type,
                {40, 40}, 1e-5);
  expect_values(run({"q", "k", "v", "pk", "pv", "all", "total", "", "", "", "", "sink"}), type, {22.5, 30}, 1e-5);
}

TEST(MicrosoftWeights, SmallOperators) {
  const Tensors rows = {tensor("a", f32, {2, 2}, {0, 0, 3, 4}), tensor("b", f32, {1, 2}, {0, 0}),
                        tensor("at", i32, {}, {-1}), tensor("x", f32, {6}, {2, 1, 1, 3, 4, 3})};
  expect_values(computed(microsoft("CDist", {"a", "b"}, {attribute("metric", std::string("euclidean"))}), rows),
                "f32[2, 1]", {0, 5});
  expect_values(computed(microsoft("ExpandDims", {"b", "at"}), rows), "f32[1, 2, 1]", {0, 0});
  expect_values(computed(microsoft("Trilu", {"a"}), rows), "f32[2, 2]", {0, 0, 0, 4});
}

TEST(MicrosoftWeights, WhatIsHostileIsRefused) {
  struct Refused {
    const char *id, *message;
    onnx::NodeProto node;
    Tensors constants;
    ExitCode code = ExitCode::bad_model;
  };
  auto product = [](int64_t k, int64_t n, int64_t bits, int64_t block) {
    return microsoft("MatMulNBits", {"a", "b", "s"}, nbits(k, n, bits, block));
  };
  const Tensors four = weights(4, f32);
  const Tensors table = {tensor("t", u8, {2, 16}, std::vector<double>(32, 1)), tensor("at", i64, {1}, {1}),
                         tensor("s", f32, {2, 2}, {1, 1, 1, 1}), tensor("list", f32, {2}, {1, 1})};
  auto gather = [](const Attributes &attributes, const char *scales = "s") {
    return microsoft("GatherBlockQuantized", {"t", "at", scales}, attributes);
  };
  const Tensors cache = {tensor("q", f32, {1, 1, 2}, {0, 0}), tensor("k", f32, {1, 1, 1}, {1}),
                         tensor("l", i32, {1}, {0}), tensor("total", i32, {}, {1}), tensor("p", f32, {1, 1, 1}, {1})};
  auto query = [](const std::vector<std::string> &inputs, int64_t heads, int64_t groups, Attributes more = {}) {
    more.insert(more.end(), {attribute("num_heads", heads), attribute("kv_num_heads", groups)});
    return microsoft("GroupQueryAttention", inputs, more);
  };
  const std::vector<std::string> plain = {"q", "k", "k", "", "", "l", "total"};
  const Refused refused[] = {
      {"block 0", "block_size is 0", product(18, 1, 4, 0), four},
      {"block -16", "block_size is -16", product(18, 1, 4, -16), four},
      {"block 24", "block_size is 24", product(18, 1, 4, 24), four},
      {"block min", "block_size is -9223372036854775808", product(18, 1, 4, INT64_MIN), four},
      {"bits 0", "bits is 0", product(18, 1, 0, 16), four},
      {"bits 64", "bits is 64", product(18, 1, 64, 16), four},
      {"3 bits", "not supported: 3 bits", product(18, 1, 3, 16), four, ExitCode::unsupported},
      {"K 0", "K is 0", product(0, 1, 4, 16), four},
      {"N max", "N is 9223372036854775807", product(18, INT64_MAX, 4, 16), four},
      {"K of other weights", "A f32[1, 18] for K 40", product(40, 1, 4, 16), four},
      {"N of other weights", "B is u8[1, 2, 8] where", product(18, 2, 4, 16), four},
      {"gathered block 8", "block_size is 8", gather({attribute("block_size", int64_t{8})}), table},
      {"gathered 5 bits", "bits is 5", gather({attribute("bits", int64_t{5}), attribute("block_size", int64_t{16})}),
       table},
      {"one axis for both", "are both 1",
       gather({attribute("gather_axis", int64_t{1}), attribute("block_size", int64_t{16})}), table},
      {"an axis outside", "quantize_axis 2 is outside rank 2",
       gather({attribute("quantize_axis", int64_t{2}), attribute("block_size", int64_t{16})}), table},
      {"scales of another rank", "are not of the rank", gather({attribute("block_size", int64_t{16})}, "list"), table},
      {"no key heads", "0 key heads do not divide 2", query(plain, 2, 0), cache},
      {"2 key heads of 3", "2 key heads do not divide 3", query(plain, 3, 2), cache},
      {"a window of 0", "local_window_size is 0", query(plain, 2, 1, {attribute("local_window_size", int64_t{0})}),
       cache},
      {"a window both ways", "local_window_size is 3",
       query(plain, 2, 1, {attribute("local_window_size", int64_t{3}), attribute("causal", int64_t{0})}), cache},
      {"a negative cap", "softcap is -1", query(plain, 2, 1, {attribute("softcap", -1.0f)}), cache},
      {"packed heads that do not fit", "do not divide 2 columns", query({"q", "", "", "", "", "l", "total"}, 2, 1),
       cache},
      {"half a past", "must come together", query({"q", "k", "k", "p", "", "l", "total"}, 2, 1), cache},
      {"a past of rank 3", "must have rank 4", query({"q", "k", "k", "p", "p", "l", "total"}, 2, 1), cache},
      {"a rotation without angles", "without cos_cache", query(plain, 2, 1, {attribute("do_rotary", int64_t{1})}),
       cache},
      {"a quantised cache", "not supported: a quantised cache",
       query(plain, 2, 1, {attribute("k_quant_type", std::string("PER_TENSOR"))}), cache, ExitCode::unsupported},
      {"a metric",
       "not supported: metric 'yule'",
       microsoft("CDist", {"x", "x"}, {attribute("metric", std::string("yule"))}),
       {tensor("x", f32, {1, 1}, {1})},
       ExitCode::unsupported},
      {"an axis",
       "axis 5 is outside rank 2",
       microsoft("ExpandDims", {"x", "i"}),
       {tensor("x", f32, {1}, {1}), tensor("i", i32, {}, {5})}},
  };
  for (const Refused &row : refused)
    expect_refused(load(microsoft_model(row.node, row.constants)), row.code, row.message, row.id);
}

} // namespace
} // namespace cameo::frontend::test
