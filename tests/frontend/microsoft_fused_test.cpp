// Fused operators, normalisations and attention of com.microsoft: values worked out by hand, and what is refused.
#include "computed.h"

#include <cmath>

namespace cameo::frontend::test {
namespace {

constexpr DType f32 = DType::f32, i32 = DType::i32, i64 = DType::i64;
using I = std::vector<int64_t>;
using Tensors = std::vector<onnx::TensorProto>;
using Attributes = std::vector<onnx::AttributeProto>;

onnx::AttributeProto reals(const std::string &name, const std::vector<float> &values) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::FLOATS);
  for (float v : values) a.add_floats(v);
  return a;
}

// 1 x 1 x 1 x 2 images of 1 and -2, a kernel of one tap 3, a bias of 1: 4 and -5.
const Tensors &image() {
  static const Tensors tensors = {tensor("x", f32, {1, 1, 1, 2}, {1, -2}), tensor("w", f32, {1, 1, 1, 1}, {3}),
                                  tensor("b", f32, {1}, {1}), tensor("z", f32, {1, 1, 1, 2}, {1, 10})};
  return tensors;
}

TEST(MicrosoftFused, ConvolutionsWithActivations) {
  auto run = [](const std::vector<std::string> &inputs, const Attributes &attributes) {
    return computed(microsoft("FusedConv", inputs, attributes), image());
  };
  const std::string type = "f32[1, 1, 1, 2]";
  const onnx::AttributeProto relu = attribute("activation", std::string("Relu"));
  expect_values(run({"x", "w", "b"}, {}), type, {4, -5});
  expect_values(run({"x", "w", "b"}, {relu}), type, {4, 0});
  expect_values(run({"x", "w", "", "z"}, {relu}), type, {4, 4});
  expect_values(
      run({"x", "w", "b"}, {attribute("activation", std::string("LeakyRelu")), reals("activation_params", {0.5f})}),
      type, {4, -2.5});
  expect_values(
      run({"x", "w", "b"}, {attribute("activation", std::string("Clip")), reals("activation_params", {-1, 2})}), type,
      {2, -1});
  expect_values(computed(microsoft("NhwcFusedConv", {"x", "w", "b"}, {relu}),
                         {tensor("x", f32, {1, 1, 2, 1}, {1, -2}), image()[1], image()[2]}),
                "f32[1, 1, 2, 1]", {4, 0});
}

TEST(MicrosoftFused, Products) {
  const Tensors square = {tensor("a", f32, {2, 2}, {1, 2, 3, 4}), tensor("b", f32, {2, 2}, {1, 0, 1, 1}),
                          tensor("c", f32, {2}, {-9, 1})};
  // [[1, 2], [3, 4]] [[1, 0], [1, 1]] = [[3, 2], [7, 4]]
  expect_values(
      computed(microsoft("FusedGemm", {"a", "b", "c"}, {attribute("activation", std::string("Relu"))}), square),
      "f32[2, 2]", {0, 3, 0, 5});
  // [[1, 3], [2, 4]] [[1, 1], [0, 1]] = [[1, 4], [2, 6]]
  expect_values(
      computed(microsoft("FusedMatMul", {"a", "b"},
                         {attribute("transA", int64_t{1}), attribute("transB", int64_t{1}), attribute("alpha", 0.5f)}),
               square),
      "f32[2, 2]", {0.5, 2, 1, 3});
  // Rows before the batch: of a [2 rows, 3 batches, 1] times [3, 1, 1] = [3, 2, 1]
  expect_values(computed(microsoft("FusedMatMul", {"a", "b"}, {attribute("transBatchA", int64_t{1})}),
                         {tensor("a", f32, {2, 3, 1}, {1, 2, 3, 4, 5, 6}), tensor("b", f32, {3, 1, 1}, {1, 10, 100})}),
                "f32[3, 2, 1]", {1, 4, 20, 50, 300, 600});
}

TEST(MicrosoftFused, Activations) {
  const Tensors x = {tensor("x", f32, {1, 2}, {1, -1}), tensor("b", f32, {2}, {0, 2}),
                     tensor("r", f32, {1, 2}, {5, 6})};
  const double one = 0.5 * (1 + std::erf(1 / std::sqrt(2.0))), fast = 0.5 * (1 + std::tanh(0.7978845608 * 1.044715));
  expect_values(computed(microsoft("BiasGelu", {"x", "b"}), x), "f32[1, 2]", {one, one}, 1e-6);
  expect_values(computed(microsoft("FastGelu", {"x", "b"}), x), "f32[1, 2]", {fast, fast}, 1e-6);
  expect_values(computed(microsoft("QuickGelu", {"x"}, {attribute("alpha", 2.0f)}), x), "f32[1, 2]",
                {1 / (1 + std::exp(-2.0)), -1 / (1 + std::exp(2.0))}, 1e-6);
  // left (1 + 0) times gelu of right (-1 + 2)
  expect_values(computed(microsoft("BiasSplitGelu", {"x", "b"}), x), "f32[1, 1]", {one}, 1e-6);
  expect_values(computed(microsoft("BiasAdd", {"x", "b", "r"}), x), "f32[1, 2]", {6, 7});
  expect_values(computed(microsoft("BiasDropout", {"x", "b", "r"}, {}, {"y", "mask"}), x, 1), "bool[1, 2]", {1, 1});
}

TEST(MicrosoftFused, Normalisations) {
  const Tensors x = {tensor("x", f32, {1, 1, 2}, {1, 2}), tensor("s", f32, {1, 1, 2}, {0, 2}),
                     tensor("g", f32, {2}, {2, 2}), tensor("b", f32, {2}, {0, 1})};
  const Attributes exact = {attribute("epsilon", 0.0f)};
  // The sum 1, 4 has mean 2.5 and deviation 1.5; its root mean square is sqrt(8.5).
  expect_values(computed(microsoft("SkipLayerNormalization", {"x", "s", "g", "b"}, exact), x), "f32[1, 1, 2]", {-2, 3},
                1e-6);
  expect_values(
      computed(microsoft("SkipLayerNormalization", {"x", "s", "g", "", "b"}, exact, {"y", "", "", "sum"}), x, 1),
      "f32[1, 1, 2]", {1, 5});
  expect_values(computed(microsoft("SkipSimplifiedLayerNormalization", {"x", "s", "g"}, exact), x), "f32[1, 1, 2]",
                {2 / std::sqrt(8.5), 8 / std::sqrt(8.5)}, 1e-6);
  // Two groups of one channel, each [1, 3] over two pixels: -1 and 1; silu(1) = 1 / (1 + 1 / e)
  const Tensors pixels = {tensor("x", f32, {1, 1, 2, 2}, {1, 1, 3, 3}), tensor("g", f32, {2}, {1, 0}), x[3]};
  const double silu = 1 / (1 + std::exp(-1.0));
  expect_values(computed(microsoft("GroupNorm", {"x", "g", "b"},
                                   {attribute("groups", int64_t{2}), attribute("activation", int64_t{1})}),
                         pixels),
                "f32[1, 1, 2, 2]", {silu - 1, silu, silu, silu}, 1e-4);
}

TEST(MicrosoftFused, Embeddings) {
  const Tensors tables = {tensor("ids", i32, {1, 2}, {1, 0}),
                          tensor("words", f32, {2, 2}, {0, 2, 4, 8}),
                          tensor("places", f32, {2, 2}, {1, 1, 2, 4}),
                          tensor("g", f32, {2}, {1, 1}),
                          tensor("b", f32, {2}, {0, 0}),
                          tensor("mask", i32, {1, 2}, {1, 0})};
  const auto node = microsoft("EmbedLayerNormalization", {"ids", "", "words", "places", "", "g", "b", "mask"}, {},
                              {"y", "count", "sum"});
  expect_values(computed(node, tables, 0), "f32[1, 2, 2]", {-1, 1, -1, 1}, 1e-6);
  expect_values(computed(node, tables, 1), "i32[1]", {1});
  expect_values(computed(node, tables, 2), "f32[1, 2, 2]", {5, 9, 2, 6});
}

TEST(MicrosoftFused, Rotation) {
  // Position 1 turns (x1, x2) by the angle whose cosine is 0 and sine is 1: (-x2, x1).
  const Tensors heads = {tensor("x", f32, {1, 1, 4}, {1, 2, 3, 4}), tensor("at", i64, {1}, {1}),
                         tensor("cos", f32, {2, 2}, {1, 1, 0, 0}), tensor("sin", f32, {2, 2}, {0, 0, 1, 1})};
  expect_values(computed(microsoft("RotaryEmbedding", {"x", "at", "cos", "sin"}), heads), "f32[1, 1, 4]",
                {-3, -4, 1, 2});
  expect_values(
      computed(microsoft("RotaryEmbedding", {"x", "at", "cos", "sin"}, {attribute("interleaved", int64_t{1})}), heads),
      "f32[1, 1, 4]", {-2, 1, -4, 3});
}

// Two tokens, one head of size 1; q = 0, so that every key that is seen counts the same.
const Tensors &tokens() {
  static const Tensors tensors = {tensor("x", f32, {1, 2, 1}, {1, 3}),
                                  tensor("w", f32, {1, 3}, {0, 1, 2}),
                                  tensor("bias", f32, {3}, {0, 0, 1}),
                                  tensor("mask", i32, {1, 2}, {1, 0}),
                                  tensor("ends", i32, {1}, {1}),
                                  tensor("span", i32, {2}, {2, 1}),
                                  tensor("past", f32, {2, 1, 1, 1, 1}, {5, 11})};
  return tensors;
}

TEST(MicrosoftFused, Attention) {
  const onnx::AttributeProto one = attribute("num_heads", int64_t{1});
  auto run = [&](const std::vector<std::string> &inputs, Attributes attributes = {}) {
    attributes.push_back(one);
    return computed(microsoft("Attention", inputs, attributes), tokens());
  };
  const std::string type = "f32[1, 2, 1]";
  // Values are 2 x + 1: 3 and 7.
  expect_values(run({"x", "w", "bias"}), type, {5, 5}, 1e-6);
  expect_values(run({"x", "w", "bias"}, {attribute("unidirectional", int64_t{1})}), type, {3, 5}, 1e-6);
  expect_values(run({"x", "w", "bias", "mask"}), type, {3, 3}, 1e-6);
  expect_values(run({"x", "w", "bias", "ends"}), type, {3, 3}, 1e-6);
  expect_values(run({"x", "w", "bias", "span"}), type, {7, 7}, 1e-6);
  expect_values(run({"x", "w", "bias", "", "past"}), type, {7, 7}, 1e-6); // 3, 7 and 11
  const auto present = microsoft("Attention", {"x", "w", "bias", "", "past"}, {one}, {"y", "present"});
  expect_values(computed(present, tokens(), 1), "f32[2, 1, 1, 3, 1]", {5, 1, 3, 11, 3, 7});
  // With a filter of log(1/3) the masked key has a third of the other's weight.
  expect_values(run({"x", "w", "bias", "mask"}, {attribute("mask_filter_value", float(-std::log(3.0)))}), type, {4, 4},
                1e-5);
}

TEST(MicrosoftFused, AttentionOfManyHeads) {
  // q = 0 again; two heads of size 1 with values 1, 3 and 2, 4.
  const Tensors operands = {tensor("q", f32, {1, 1, 2}, {0, 0}),
                            tensor("k", f32, {1, 2, 2}, {1, 1, 1, 1}),
                            tensor("v", f32, {1, 2, 2}, {1, 2, 3, 4}),
                            tensor("bias", f32, {6}, {0, 0, 0, 0, 10, 20}),
                            tensor("kv", f32, {1, 2, 2, 2, 1}, {1, 1, 1, 2, 1, 3, 1, 4}),
                            tensor("hk", f32, {1, 2, 2, 1}, {1, 1, 1, 1}),
                            tensor("hv", f32, {1, 2, 2, 1}, {1, 3, 2, 4}),
                            tensor("p", f32, {1, 2, 1, 1}, {8, 9}),
                            tensor("mask", i32, {1, 3}, {0, 1, 1})};
  const Attributes two = {attribute("num_heads", int64_t{2})};
  auto run = [&](const std::vector<std::string> &inputs) {
    return computed(microsoft("MultiHeadAttention", inputs, two), operands);
  };
  expect_values(run({"q", "k", "v"}), "f32[1, 1, 2]", {2, 3}, 1e-6);
  expect_values(run({"q", "k", "v", "bias"}), "f32[1, 1, 2]", {12, 23}, 1e-5);
  expect_values(run({"q", "hk", "hv"}), "f32[1, 1, 2]", {2, 3}, 1e-6);
  expect_values(run({"q", "k", "v", "", "", "", "p", "p"}), "f32[1, 1, 2]", {4, 5}, 1e-5);
  expect_values(run({"q", "k", "v", "", "mask", "", "p", "p"}), "f32[1, 1, 2]", {2, 3}, 1e-6);
  expect_values(
      computed(microsoft("DecoderMaskedMultiHeadAttention", {"q", "k", "v", "mask", "", "p", "p"}, two), operands),
      "f32[1, 1, 2]", {2, 3}, 1e-6);
  // kv: [token, head, key or value]
  expect_values(run({"q", "kv"}), "f32[1, 1, 2]", {2, 3}, 1e-6);
}

TEST(MicrosoftFused, WhatIsHostileIsRefused) {
  struct Refused {
    const char *id, *message;
    onnx::NodeProto node;
    Tensors constants;
    ExitCode code = ExitCode::bad_model;
  };
  auto heads = [](int64_t n) { return attribute("num_heads", n); };
  const Tensors rows = {tensor("x", f32, {1, 2, 3}, {1, 2, 3, 4, 5, 6}),
                        tensor("c", f32, {2, 3}, {1, 2, 3, 4, 5, 6}),
                        tensor("g", f32, {3}, {1, 2, 3}),
                        tensor("two", f32, {2}, {1, 2}),
                        tensor("at", i64, {1}, {0}),
                        tensor("image", f32, {1, 1, 1, 3}, {1, 2, 3})};
  const std::vector<std::string> projected = {"x", "w", "bias"};
  const Refused refused[] = {
      {"an activation of its own", "not supported: activation 'Swoosh'",
       microsoft("FusedConv", {"x", "w"}, {attribute("activation", std::string("Swoosh"))}), image(),
       ExitCode::unsupported},
      {"Clip without bounds", "Clip without its two bounds",
       microsoft("FusedConv", {"x", "w"}, {attribute("activation", std::string("Clip"))}), image()},
      {"three constants", "activation_params has 3 values",
       microsoft("FusedConv", {"x", "w"}, {reals("activation_params", {1, 2, 3})}), image()},
      {"a residual of another shape", "Z is f32[1] where", microsoft("FusedConv", {"x", "w", "", "b"}), image()},
      {"group 0",
       "group 0 must be at least 1",
       microsoft("NhwcConv", {"x", "w"}, {attribute("group", int64_t{0})}),
       {tensor("x", f32, {1, 1, 2, 1}, {1, -2}), image()[1]}},
      {"a bias of another length", "does not fit the last axis", microsoft("BiasGelu", {"x", "two"}), rows},
      {"odd halves", "3 columns have no two halves", microsoft("BiasSplitGelu", {"x", "g"}), rows},
      {"a scale of another length", "does not broadcast", microsoft("SkipLayerNormalization", {"x", "x", "two"}), rows},
      {"a skip of a higher rank", "the sum of input, skip and bias is",
       microsoft("SkipSimplifiedLayerNormalization", {"c", "x", "g"}), rows},
      {"groups 0", "groups is 0",
       microsoft("GroupNorm", {"image", "g", "g"},
                 {attribute("groups", int64_t{0}), attribute("activation", int64_t{0})}),
       rows},
      {"groups 2 of 3", "2 groups do not divide 3 channels",
       microsoft("GroupNorm", {"image", "g", "g"},
                 {attribute("groups", int64_t{2}), attribute("activation", int64_t{0})}),
       rows},
      {"activation 2", "activation is 2",
       microsoft("GroupNorm", {"image", "g", "g"},
                 {attribute("groups", int64_t{3}), attribute("activation", int64_t{2})}),
       rows},
      {"a rotation without heads", "num_heads is 0 with rotary_embedding_dim 2",
       microsoft("RotaryEmbedding", {"x", "at", "c", "c"}, {attribute("rotary_embedding_dim", int64_t{2})}), rows},
      {"a rotation wider than the head", "heads of 6 do not divide 3 columns",
       microsoft("RotaryEmbedding", {"x", "at", "c", "c"}), rows},
      {"no heads", "num_heads is 0", microsoft("Attention", projected, {heads(0)}), tokens()},
      {"negative heads", "num_heads is -1", microsoft("Attention", projected, {heads(-1)}), tokens()},
      {"2 heads of 1 column", "2 heads do not divide 1 columns", microsoft("Attention", projected, {heads(2)}),
       tokens()},
      {"sizes that are not those of the weights", "in weights of 3",
       microsoft("Attention", projected, {heads(1), attribute("qkv_hidden_sizes", I{1, 1, 2})}), tokens()},
      {"sizes that overflow", "heads do not divide",
       microsoft("Attention", projected, {heads(1), attribute("qkv_hidden_sizes", I{INT64_MAX, INT64_MAX, 2})}),
       tokens()},
      {"an infinite scale", "scale is not a number",
       microsoft("Attention", projected, {heads(1), attribute("scale", INFINITY)}), tokens()},
      {"a past of one half", "is not [2, batch", microsoft("Attention", {"x", "w", "bias", "", "x"}, {heads(1)}),
       tokens()},
      {"a shared buffer", "not supported: past_present_share_buffer",
       microsoft("Attention", projected, {heads(1), attribute("past_present_share_buffer", int64_t{1})}), tokens(),
       ExitCode::unsupported},
      {"a past of keys alone", "must come together",
       microsoft("MultiHeadAttention", {"x", "x", "x", "", "", "", "image"}, {heads(1)}), rows},
      {"2 heads of 3 columns", "2 heads do not divide 3 columns",
       microsoft("MultiHeadAttention", {"x", "x", "x"}, {heads(2)}), rows},
      {"a query alone", "not supported: a query alone", microsoft("MultiHeadAttention", {"x"}, {heads(1)}), rows,
       ExitCode::unsupported},
  };
  for (const Refused &row : refused)
    expect_refused(load(microsoft_model(row.node, row.constants)), row.code, row.message, row.id);
}

} // namespace
} // namespace cameo::frontend::test
