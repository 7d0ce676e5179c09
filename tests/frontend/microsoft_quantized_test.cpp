// Quantised operators of com.microsoft: values worked out from the formulas of their documentation, and what is
// refused.
#include "computed.h"

namespace cameo::frontend::test {
namespace {

constexpr DType u8 = DType::u8, i8 = DType::i8, f32 = DType::f32, i32 = DType::i32;
using I = std::vector<int64_t>;
using Names = std::vector<std::string>;
using Tensors = std::vector<onnx::TensorProto>;

onnx::TensorProto real(const std::string &name, double value) { return tensor(name, f32, {}, {value}); }
onnx::TensorProto byte(const std::string &name, double value) { return tensor(name, u8, {}, {value}); }

// x = (q - 10) / 2, z = w * 4 + 20: -5, -3, 0, 5 and 15, 20, 25.
Tensors unary(const std::vector<double> &x, const I &dims) {
  return {tensor("x", u8, dims, x), real("s", 0.5), byte("z", 10), real("t", 0.25), byte("w", 20)};
}

TEST(MicrosoftQuantized, Sums) {
  // C = (0.5 (A - 10) + 0.25 (B - 4)) / 0.5 + 1: (0 + 0) and (5 + 1) / 0.5 + 1, (-5 + 62.75) / 0.5 = 115.5, which
  // rounds to even
  const Tensors constants = {tensor("a", u8, {3}, {10, 20, 0}),
                             real("as", 0.5),
                             byte("az", 10),
                             tensor("b", u8, {3}, {4, 8, 255}),
                             real("bs", 0.25),
                             byte("bz", 4),
                             real("cs", 0.5),
                             byte("cz", 1)};
  const Names names = {"a", "as", "az", "b", "bs", "bz", "cs", "cz"};
  expect_values(computed(microsoft("QLinearAdd", names), constants), "u8[3]", {1, 13, 117});
  // C = 0.125 (A - 10)(B - 4) / 0.5 + 1: 0, 40 / 4 + 1, -10 * 251 / 4 + 1 saturates
  expect_values(computed(microsoft("QLinearMul", names), constants), "u8[3]", {1, 11, 0});
  // Without the last zero point it is 0.
  Names fewer = names;
  fewer.pop_back();
  expect_values(computed(microsoft("QLinearAdd", fewer), constants), "u8[3]", {0, 12, 116});
}

TEST(MicrosoftQuantized, Functions) {
  const Names names = {"x", "s", "z", "t", "w"};
  // leaky: alpha 0.5: -5 -> -2.5 / 0.25 + 20, 5 -> 40
  expect_values(computed(microsoft("QLinearLeakyRelu", names, {attribute("alpha", 0.5f)}), unary({0, 10, 20}, {3})),
                "u8[3]", {10, 20, 40});
  // sigmoid(0) = 0.5 -> 22; sigmoid(100) = 1 -> 24
  expect_values(computed(microsoft("QLinearSigmoid", names), unary({10, 210}, {2})), "u8[2]", {22, 24});
  // Two equal values are 0.5 each; in opset 11 axis 0 takes all four as one.
  const Tensors square = unary({10, 10, 10, 10}, {2, 2});
  expect_values(computed(microsoft("QLinearSoftmax", names, {attribute("opset", int64_t{13})}), square), "u8[2, 2]",
                {22, 22, 22, 22});
  expect_values(
      computed(microsoft("QLinearSoftmax", names, {attribute("opset", int64_t{11}), attribute("axis", int64_t{0})}),
               square),
      "u8[2, 2]", {21, 21, 21, 21});
}

TEST(MicrosoftQuantized, Means) {
  const Names names = {"x", "s", "z", "t", "w"};
  // Means of 10, 12, 14, 20 is 14: 2 / 0.25 + 20
  expect_values(computed(microsoft("QLinearAveragePool", names, {attribute("kernel_shape", I{2, 2})}),
                         unary({10, 12, 14, 20}, {1, 1, 2, 2})),
                "u8[1, 1, 1, 1]", {28});
  // Channels last: the channels are 10, 14 and 12, 20.
  for (const char *op : {"QLinearAveragePool", "QLinearGlobalAveragePool"}) {
    std::vector<onnx::AttributeProto> attributes = {attribute("channels_last", int64_t{1})};
    if (op == std::string("QLinearAveragePool")) attributes.push_back(attribute("kernel_shape", I{2, 1}));
    expect_values(computed(microsoft(op, names, attributes), unary({10, 12, 14, 20}, {1, 2, 1, 2})), "u8[1, 1, 1, 2]",
                  {24, 32});
  }
  expect_values(
      computed(microsoft("QLinearReduceMean", names, {attribute("axes", I{-1}), attribute("keepdims", int64_t{0})}),
               unary({10, 12, 14, 20}, {2, 2})),
      "u8[2]", {22, 34});
}

TEST(MicrosoftQuantized, Movement) {
  // The first part has the result's scale and stays; of the second (x - 3) * 1: 2 and 7 are 4 and 14 steps of 0.5.
  const Tensors constants = {real("s", 0.5),
                             byte("z", 10),
                             tensor("a", u8, {1, 2}, {1, 255}),
                             real("t", 1),
                             byte("w", 3),
                             tensor("b", u8, {1, 2}, {5, 10}),
                             tensor("c", DType::boolean, {1, 2}, {1, 0})};
  expect_values(
      computed(microsoft("QLinearConcat", {"s", "z", "a", "s", "z", "b", "t", "w"}, {attribute("axis", int64_t{1})}),
               constants),
      "u8[1, 4]", {1, 255, 14, 24});
  expect_values(computed(microsoft("QLinearWhere", {"c", "a", "s", "z", "b", "t", "w", "s", "z"}), constants),
                "u8[1, 2]", {1, 24});
}

TEST(MicrosoftQuantized, Products) {
  // (a - 1)(b - z) with z per column: [[1, 2]] [[3, 2], [5, 3]] = [13, 8]
  const Tensors constants = {tensor("a", u8, {1, 2}, {2, 3}),
                             real("as", 0.5),
                             byte("az", 1),
                             tensor("b", i8, {2, 2}, {3, 4, 5, 5}),
                             tensor("bs", f32, {2}, {1, 2}),
                             tensor("bz", i8, {2}, {0, 2}),
                             tensor("c", i32, {2}, {7, -4}),
                             real("ys", 0.25),
                             byte("yz", 100),
                             tensor("bias", f32, {2}, {1, -1})};
  const Names names = {"a", "as", "az", "b", "bs", "bz", "c", "ys", "yz"};
  // (20, 4) * (0.5, 1) = (10, 4); / 0.25 + 100
  expect_values(computed(microsoft("QGemm", names), constants), "u8[1, 2]", {140, 116});
  const Names real_names(names.begin(), names.begin() + 7);
  expect_values(computed(microsoft("QGemm", real_names, {attribute("alpha", 2.0f)}), constants), "f32[1, 2]", {20, 8});
  // transB: [[1, 2]] [[3, 2], [5, 3]]^T with zero points of the rows of b
  expect_values(
      computed(microsoft("QGemm", {"a", "as", "az", "b", "bs", "bz"}, {attribute("transB", int64_t{1})}), constants),
      "f32[1, 2]", {(3 + 8) * 0.5, (3 + 6) * 1.0});
  expect_values(computed(microsoft("MatMulIntegerToFloat", {"a", "b", "as", "bs", "az", "bz", "bias"}), constants),
                "f32[1, 2]", {13 * 0.5 + 1, 8 * 1.0 - 1});
  // 0 and 255 quantise to themselves, with scale 1 and zero point 0.
  const Tensors dynamic = {tensor("x", f32, {1, 2}, {0, 255}), tensor("b", i8, {2, 1}, {3, 2}),
                           tensor("bs", f32, {}, {0.5})};
  expect_values(computed(microsoft("DynamicQuantizeMatMul", {"x", "b", "bs"}), dynamic), "f32[1, 1]", {255});
  expect_values(computed(microsoft("MulInteger", {"a", "az", "x"}),
                         {tensor("a", u8, {2}, {0, 255}), byte("az", 1), byte("x", 7)}),
                "i32[2]", {-7, 1778});
  expect_values(computed(microsoft("MatMulInteger16", {"a", "b"}),
                         {tensor("a", DType::i16, {1, 2}, {-300, 200}), tensor("b", DType::i16, {2, 1}, {300, 2})}),
                "i32[1, 1]", {-89600});
}

TEST(MicrosoftQuantized, WindowsWithChannelsLast) {
  // One channel of [[1, 2], [3, 4]], weights 1: 10 / 0.5
  const Tensors constants = {tensor("x", u8, {1, 2, 2, 1}, {1, 2, 3, 4}),
                             real("s", 1),
                             byte("z", 0),
                             tensor("w", i8, {1, 1, 2, 2}, {1, 1, 1, 1}),
                             tensor("v", i8, {}, {0}),
                             real("t", 0.5)};
  expect_values(computed(microsoft("QLinearConv", {"x", "s", "z", "w", "s", "v", "t", "z"},
                                   {attribute("channels_last", int64_t{1})}),
                         constants),
                "u8[1, 1, 1, 1]", {20});
  expect_values(computed(microsoft("NhwcMaxPool", {"x"}, {attribute("kernel_shape", I{1, 2})}), constants),
                "u8[1, 2, 1, 1]", {2, 4});
}

TEST(MicrosoftQuantized, ConversionsOf16Bits) {
  const Tensors constants = {tensor("x", f32, {3}, {1, -1, 40000}), real("s", 0.5), tensor("z", DType::i16, {}, {5})};
  expect_values(computed(microsoft("QuantizeLinear", {"x", "s", "z"}), constants), "i16[3]", {7, 3, 32767});
  expect_values(computed(microsoft("DequantizeLinear", {"q", "s", "z"}),
                         {tensor("q", DType::i16, {2}, {7, 3}), constants[1], constants[2]}),
                "f32[2]", {1, -1});
}

struct Refused {
  const char *id, *message;
  onnx::NodeProto node;
  Tensors constants;
  ExitCode code = ExitCode::bad_model;
};

TEST(MicrosoftQuantized, WhatIsHostileIsRefused) {
  const Tensors five = unary({1, 2, 3, 4}, {1, 1, 2, 2});
  Tensors zero_scale = five, list = five;
  zero_scale[1] = real("s", 0);
  list[1] = tensor("s", f32, {2}, {1, 1});
  const Names names = {"x", "s", "z", "t", "w"};
  const Tensors gemm = {tensor("a", u8, {1, 2}, {2, 3}),
                        real("s", 0.5),
                        byte("z", 1),
                        tensor("b", u8, {2, 2}, {3, 4, 5, 5}),
                        tensor("c", i32, {3}, {1, 2, 3}),
                        tensor("d", u8, {3, 1}, {1, 2, 3})};
  const Refused rows[] = {
      {"scale 0", "a scale is 0", microsoft("QLinearSigmoid", names), zero_scale},
      {"a list of scales", "a scale f32[2] is not one number", microsoft("QLinearSigmoid", names), list},
      {"opset 0", "opset is 0", microsoft("QLinearSoftmax", names, {attribute("opset", int64_t{0})}), five},
      {"axis", "axis 4 is outside rank 4",
       microsoft("QLinearSoftmax", names, {attribute("opset", int64_t{13}), attribute("axis", int64_t{4})}), five},
      {"kernel 0", "kernel extent 0", microsoft("QLinearAveragePool", names, {attribute("kernel_shape", I{0, 1})}),
       five},
      {"concat of a scale alone", "7 inputs, not 2 and 3 for each part",
       microsoft("QLinearConcat", {"s", "z", "x", "s", "z", "x", "s"}, {attribute("axis", int64_t{0})}), five},
      {"concat of reals", "part 0 is f32[] with scale",
       microsoft("QLinearConcat", {"s", "z", "t", "s", "z"}, {attribute("axis", int64_t{0})}), five},
      {"mean over no axis", "axis 9 is outside rank 4",
       microsoft("QLinearReduceMean", names, {attribute("axes", I{9}), attribute("keepdims", int64_t{1})}), five},
      {"gemm of images", "not of rank 2", microsoft("QGemm", {"x", "s", "z", "x", "s", "z"}), five},
      {"gemm with a foreign C", "C i32[3] does not spread", microsoft("QGemm", {"a", "s", "z", "b", "s", "z", "c"}),
       gemm},
      {"gemm with half a result", "must come together", microsoft("QGemm", {"a", "s", "z", "b", "s", "z", "", "s"}),
       gemm},
      {"gemm times 0", "alpha is 0", microsoft("QGemm", {"a", "s", "z", "b", "s", "z"}, {attribute("alpha", 0.0f)}),
       gemm},
      {"factors that do not fit", "differ", microsoft("MatMulIntegerToFloat", {"a", "d", "s", "s"}), gemm},
      {"factors without a sign",
       "not supported: factors without a sign",
       microsoft("MatMulInteger16", {"a", "a"}),
       {tensor("a", DType::u16, {1, 1}, {1})},
       ExitCode::unsupported},
  };
  for (const Refused &row : rows)
    expect_refused(load(microsoft_model(row.node, row.constants)), row.code, row.message, row.id);
}

} // namespace
} // namespace cameo::frontend::test
