// Extents that decide what a node means but are symbols: the run checks them where the operator or the model says what
// they must be, they are unsupported where nothing says it, and bad where they contradict.
#include "model_builder.h"

namespace cameo::frontend::test {
namespace {

using I = std::vector<int64_t>;

// An input whose extents are symbols, or numbers.
onnx::ValueInfoProto input(const std::string &name, int dtype, const std::vector<std::string> &dims) {
  onnx::ValueInfoProto info = value(name, dtype, I(dims.size(), 0));
  for (size_t i = 0; i < dims.size(); ++i) {
    auto *dim = info.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(int(i));
    if (std::isdigit(dims[i][0]))
      dim->set_dim_value(std::stoll(dims[i]));
    else
      dim->set_dim_param(dims[i]);
  }
  return info;
}

struct Row {
  std::string op;
  std::vector<onnx::ValueInfoProto> inputs;
  std::vector<onnx::AttributeProto> attributes;
  int rank = -1; ///< that the model declares for its output; -1: none
  int outputs = 1;
};

Result<Model> load_row(const Row &row, int64_t opset = 21) {
  onnx::ModelProto model = empty_model(opset);
  std::vector<std::string> names, results;
  for (const auto &i : row.inputs) {
    names.push_back(i.name());
    *model.mutable_graph()->add_input() = i;
  }
  for (int i = 0; i < row.outputs; ++i) results.push_back(i == 0 ? "y" : "y" + std::to_string(i));
  onnx::NodeProto n = node(row.op, names, results);
  for (const auto &a : row.attributes) *n.add_attribute() = a;
  *model.mutable_graph()->add_node() = n;
  for (const std::string &r : results) *model.mutable_graph()->add_output() = untyped(r);
  if (row.rank >= 0) {
    std::vector<std::string> dims;
    for (int i = 0; i < row.rank; ++i) dims.push_back("o" + std::to_string(i));
    *model.mutable_graph()->mutable_output(0) = input("y", row.inputs[0].type().tensor_type().elem_type(), dims);
  }
  return load(model);
}

void expect_type(const Row &row, const std::string &type) {
  const Result<Model> result = load_row(row);
  expect_accepted(result, row.op);
  EXPECT_EQ(output_type(result), type) << row.op;
}

} // namespace

TEST(RuntimeExtents, WhatTheOperatorSaysIsCheckedByTheRun) {
  expect_type({"Gemm", {input("a", 1, {"m", "k"}), input("b", 1, {"k", "n"}), input("c", 1, {"p", "q"})}, {}},
              "f32[m, n]");
  expect_type({"LSTM",
               {input("x", 1, {"t", "b", "i"}), input("w", 1, {"p", "q", "i"}), input("r", 1, {"p", "q", "h"})},
               {attribute("hidden_size", int64_t{3})}},
              "f32[t, 1, b, 3]");
  expect_type({"DequantizeLinear", {input("x", 2, {"n"}), input("s", 1, {}), input("z", 2, {"o"})}, {}}, "f32[n]");
  expect_type({"QuantizeLinear", {input("x", 1, {"n", "c"}), input("s", 1, {"p"}), input("z", 2, {"q"})}, {}},
              "u8[n, c]");
  expect_type({"ScatterND", {input("x", 1, {"n", "m"}), input("i", 7, {"k", "l"}), input("u", 1, {"k", "m"})}, {}},
              "f32[n, m]");
  expect_type({"Conv",
               {input("x", 1, {"n", "3", "h", "w"}), input("f", 1, {"4", "3", "p", "q"})},
               {attribute("kernel_shape", I{3, 3})}},
              "f32[n, 4, h - 2, w - 2]");
  expect_type({"Split", {input("x", 1, {"n"}), input("s", 7, {"k"})}, {}, -1, 2}, "f32[?0]");
  expect_type({"ReduceSum", {input("x", 1, {"4", "5"}), input("a", 7, {"k"})}, {}}, "f32[?0, ?2]");
  expect_type({"TopK", {input("x", 1, {"n"}), input("k", 7, {"l"})}, {}, -1, 2}, "f32[?0]");
}

TEST(RuntimeExtents, RanksThatTheModelDeclares) {
  const auto x = input("x", 1, {"n", "m"}), list = input("s", 7, {"k"});
  for (const auto &[op, rank] : {std::pair{"Reshape", 3}, {"Expand", 3}, {"Unsqueeze", 4}, {"Squeeze", 1}}) {
    const Result<Model> result = load_row({op, {x, list}, {}, rank});
    expect_accepted(result, op);
    EXPECT_EQ(result->graph.main().body->results()[0]->type().rank(), rank) << op;
  }
  expect_type({"ReduceSum", {x, list}, {attribute("keepdims", int64_t{0})}, 1}, "f32[?4]");
  expect_type({"ReduceSum", {x, list}, {attribute("keepdims", int64_t{0})}, 0}, "f32[]");
  expect_type({"GatherND", {x, input("i", 7, {"k", "l"})}, {}, 2}, "f32[k, m]");
  const auto wide = input("x", 1, {"n", "1", "4", "m"});
  expect_type({"Squeeze", {wide}, {}, 3}, "f32[n, 4, m]");
  expect_type({"Squeeze", {wide}, {}, 1}, "f32[4]");
  expect_type({"Squeeze", {wide}, {}}, "f32[n, 4, m]"); // symbols stay, and the run checks that none is 1
}

TEST(RuntimeExtents, WithoutThemTheNodeIsUnsupported) {
  const auto x = input("x", 1, {"n", "m"}), list = input("s", 7, {"k"});
  for (const char *op : {"Reshape", "Expand", "Unsqueeze", "Squeeze"})
    expect_refused(load_row({op, {x, list}, {}}), ExitCode::unsupported, "not supported: ", op);
  expect_refused(load_row({"ReduceSum", {x, list}, {attribute("keepdims", int64_t{0})}}), ExitCode::unsupported,
                 "a number of axes known only at run time", "sum");
  expect_refused(load_row({"Squeeze", {x}, {}, 1}), ExitCode::unsupported, "squeezing whatever extents are 1",
                 "squeeze");
  expect_refused(load_row({"GatherND", {x, input("i", 7, {"k", "l"})}, {}}), ExitCode::unsupported,
                 "index tuples of unknown length", "gather");
}

TEST(RuntimeExtents, WhatCannotFitIsRefused) {
  expect_refused(
      load_row({"Gemm", {input("a", 1, {"4", "k"}), input("b", 1, {"k", "n"}), input("c", 1, {"3", "q"})}, {}}),
      ExitCode::bad_model, "C f32[3, q] does not spread over the product f32[4, n]", "gemm");
  expect_refused(
      load_row({"GRU",
                {input("x", 1, {"t", "b", "2"}), input("w", 1, {"p", "8", "2"}), input("r", 1, {"1", "9", "3"})},
                {}}),
      ExitCode::bad_model, "W is f32[p, 8, 2] where f32[1, 9, 2] is needed", "gru");
  expect_refused(load_row({"ScatterND",
                           {input("x", 1, {"n", "m"}), input("i", 7, {"k", "l"}), input("u", 1, {"k", "m", "p", "q"})},
                           {}}),
                 ExitCode::bad_model, "cannot give rank 4", "scatter");
}

} // namespace cameo::frontend::test
