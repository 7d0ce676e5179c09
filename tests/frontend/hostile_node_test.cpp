// RELIABILITY rows B61 to B64: attributes that divide by nothing, numbers that are none, results that explode, graphs
// that are long.
#include "model_builder.h"

#include <cmath>

namespace cameo::frontend::test {
namespace {

struct Row {
  const char *id;
  ExitCode code;
  const char *message;
  onnx::NodeProto node;
  std::vector<onnx::TensorProto> constants;
  onnx::ValueInfoProto input = value("x", 1, {1, 4, 8, 8});
  int64_t opset = 17;
};

onnx::NodeProto with(onnx::NodeProto n, const std::vector<onnx::AttributeProto> &attributes) {
  for (const auto &a : attributes) *n.add_attribute() = a;
  return n;
}
using I = std::vector<int64_t>;
constexpr int64_t kMin = INT64_MIN, kMax = INT64_MAX;

onnx::NodeProto conv(const std::vector<onnx::AttributeProto> &attributes) {
  return with(node("Conv", {"x", "w"}, {"y"}), attributes);
}
onnx::NodeProto pool(const std::vector<onnx::AttributeProto> &attributes) {
  return with(node("MaxPool", {"x"}, {"y"}), attributes);
}
onnx::TensorProto kernel(const I &dims = {4, 4, 3, 3}) {
  int64_t n = 1;
  for (int64_t d : dims) n *= d;
  return floats("w", dims, std::vector<float>(size_t(n), 1.0f));
}

Row row(const char *id, const char *message, onnx::NodeProto n, std::vector<onnx::TensorProto> constants = {},
        onnx::ValueInfoProto input = value("x", 1, {1, 4, 8, 8}), int64_t opset = 17) {
  return {id, ExitCode::bad_model, message, std::move(n), std::move(constants), std::move(input), opset};
}

std::vector<Row> rows() {
  const auto matrix = value("x", 1, {2, 3}), vector = value("x", 7, {4});
  return {
      row("conv stride 0", "stride 0 of spatial axis 0", conv({attribute("strides", I{0, 1})}), {kernel()}),
      row("conv stride -1", "stride -1 of spatial axis 1", conv({attribute("strides", I{1, -1})}), {kernel()}),
      row("conv stride max", "stride 9223372036854775807", conv({attribute("strides", I{kMax, 1})}), {kernel()}),
      row("conv dilation 0", "dilation 0 of spatial axis 0", conv({attribute("dilations", I{0, 1})}), {kernel()}),
      row("conv dilation max", "dilation 9223372036854775807", conv({attribute("dilations", I{kMax, 1})}), {kernel()}),
      row("conv group 0", "group 0 must be at least 1", conv({attribute("group", int64_t{0})}), {kernel()}),
      row("conv group -1", "group -1 must be at least 1", conv({attribute("group", int64_t{-1})}), {kernel()}),
      row("conv group 3", "node 'n' (Conv-11): group 3 does not divide 4 input channels",
          conv({attribute("group", int64_t{3})}), {kernel()}),
      row("conv group 2 of full weights", "need 8 input channels, not 4", conv({attribute("group", int64_t{2})}),
          {kernel()}),
      row("conv group max", "group 9223372036854775807 does not divide", conv({attribute("group", kMax)}), {kernel()}),
      row("conv pads of odd length", "pads has 3 values for 4 spatial axes", conv({attribute("pads", I{1, 1, 1})}),
          {kernel()}),
      row("conv negative pad", "pad -1", conv({attribute("pads", I{-1, 0, 0, 0})}), {kernel()}),
      row("conv pad max", "pad 9223372036854775807", conv({attribute("pads", I{kMax, 0, 0, 0})}), {kernel()}),
      row("conv kernel_shape of other weights", "kernel_shape is not that of the weights",
          conv({attribute("kernel_shape", I{5, 5})}), {kernel()}),
      row("conv auto_pad junk", "auto_pad is 'WHATEVER', not one of NOTSET",
          conv({attribute("auto_pad", std::string("WHATEVER"))}), {kernel()}),
      row("conv kernel larger than input", "a window of 9 does not fit the padded extent 8", conv({}),
          {kernel({4, 4, 9, 9})}),
      row("conv bias of another size", "bias [3] does not fit 4 output channels", node("Conv", {"x", "w", "b"}, {"y"}),
          {kernel(), floats("b", {3}, {1, 2, 3})}),
      row("conv of a matrix", "the input has rank 2", conv({}), {kernel()}, matrix),
      row("pool kernel 0", "kernel extent 0 of spatial axis 0", pool({attribute("kernel_shape", I{0, 2})})),
      row("pool kernel min", "kernel extent -9223372036854775808", pool({attribute("kernel_shape", I{kMin, 2})})),
      row("pool kernel of another rank", "kernel_shape has 1 values for 2 spatial axes",
          pool({attribute("kernel_shape", I{2})})),
      row("pool of an empty extent", "does not fit", pool({attribute("kernel_shape", I{2, 2})}), {},
          value("x", 1, {1, 4, 0, 8})),
      row("transposed conv output_padding", "output_padding -1",
          with(node("ConvTranspose", {"x", "w"}, {"y"}), {attribute("output_padding", I{-1, 0})}), {kernel()}),
      row("transposed conv output_shape", "output_shape has 1 values",
          with(node("ConvTranspose", {"x", "w"}, {"y"}), {attribute("output_shape", I{5})}), {kernel()}),
      row("softmax axis", "axis 4 is outside rank 4",
          with(node("Softmax", {"x"}, {"y"}), {attribute("axis", int64_t{4})})),
      row("softmax axis min", "axis -9223372036854775808 is outside rank 4",
          with(node("Softmax", {"x"}, {"y"}), {attribute("axis", kMin)})),
      row("center crop axis, to extents of the run", "axis 1099511627776 is outside rank 2",
          with(node("CenterCropPad", {"w", "x"}, {"y"}), {attribute("axes", I{int64_t{1} << 40, 7})}),
          {floats("w", {2, 3}, {1, 2, 3, 4, 5, 6})}, value("x", 7, {2}), 18),
      row("concat axis max", "axis 9223372036854775807 is outside rank 4",
          with(node("Concat", {"x", "x"}, {"y"}), {attribute("axis", kMax)})),
      row("transpose perm twice", "perm is not a permutation",
          with(node("Transpose", {"x"}, {"y"}), {attribute("perm", I{0, 0, 1, 2})})),
      row("transpose perm min", "perm is not a permutation",
          with(node("Transpose", {"x"}, {"y"}), {attribute("perm", I{kMin, 1, 2, 3})})),
      row("transpose perm too short", "perm is not a permutation",
          with(node("Transpose", {"x"}, {"y"}), {attribute("perm", I{1, 0})})),
      row("flatten axis", "axis 5 is outside rank 4",
          with(node("Flatten", {"x"}, {"y"}), {attribute("axis", int64_t{5})})),
      row("squeeze of what is not 1", "axis 1 has extent 4, not 1", node("Squeeze", {"x", "a"}, {"y"}),
          {ints("a", {1}, {1})}),
      row("unsqueeze twice", "axis 0 is named twice", node("Unsqueeze", {"x", "a"}, {"y"}), {ints("a", {2}, {0, 0})}),
      row("unsqueeze axis", "axis -9223372036854775808 is outside rank 5", node("Unsqueeze", {"x", "a"}, {"y"}),
          {ints("a", {1}, {kMin})}),
      row("split into 0", "a size is -1", node("Split", {"x", "s"}, {"y", "z"}), {ints("s", {2}, {-1, 5})}, vector),
      row("split with another sum", "the sizes sum to 5, the axis has 4", node("Split", {"x", "s"}, {"y", "z"}),
          {ints("s", {2}, {2, 3})}, vector),
      row("split overflow", "the sizes sum to", node("Split", {"x", "s"}, {"y", "z"}), {ints("s", {2}, {kMax, kMax})},
          vector),
      row("slice step 0", "a step is 0", node("Slice", {"x", "s", "s", "s", "s"}, {"y"}), {ints("s", {1}, {0})}),
      row("slice step min", "a step is -9223372036854775808", node("Slice", {"x", "z", "z", "z", "s"}, {"y"}),
          {ints("z", {1}, {0}), ints("s", {1}, {kMin})}),
      row("range step 0", "the step is 0", node("Range", {"z", "l", "z"}, {"y"}),
          {ints("z", {}, {0}), ints("l", {}, {5})}),
      row("range of three", "f32[3] has 3 elements where 1 are needed", node("Range", {"x", "x", "z"}, {"y"}),
          {floats("z", {}, {1})}, value("x", 1, {3})),
      row("topk k", "k is 9 of an axis of 8", node("TopK", {"x", "k"}, {"y", "i"}), {ints("k", {1}, {9})}),
      row("topk k below 0", "k is -1", node("TopK", {"x", "k"}, {"y", "i"}), {ints("k", {1}, {-1})}),
      row("reshape -1 twice", "the shape has -1 twice", node("Reshape", {"x", "s"}, {"y"}), {ints("s", {2}, {-1, -1})}),
      row("reshape to another size", "the input has 256 elements, the shape 255", node("Reshape", {"x", "s"}, {"y"}),
          {ints("s", {1}, {255})}),
      row("reshape -1 that does not divide", "256 elements cannot be divided by 7", node("Reshape", {"x", "s"}, {"y"}),
          {ints("s", {2}, {-1, 7})}),
      row("reshape below -1", "the shape has the extent -2", node("Reshape", {"x", "s"}, {"y"}),
          {ints("s", {1}, {-2})}),
      row("reshape copies an axis that is not there", "axis 4 is to be copied from an input of rank 4",
          node("Reshape", {"x", "s"}, {"y"}), {ints("s", {5}, {1, 4, 8, 8, 0})}),
      row("reshape overflow", "the product of the extents", node("Reshape", {"x", "s"}, {"y"}),
          {ints("s", {2}, {kMax, kMax})}),
      row("depth to space blocksize 0", "blocksize is 0",
          with(node("DepthToSpace", {"x"}, {"y"}), {attribute("blocksize", int64_t{0})})),
      row("depth to space blocksize 3", "4 channels cannot be divided by blocksize 3",
          with(node("DepthToSpace", {"x"}, {"y"}), {attribute("blocksize", int64_t{3})})),
      row("depth to space blocksize max", "blocksize is 9223372036854775807",
          with(node("DepthToSpace", {"x"}, {"y"}), {attribute("blocksize", kMax)})),
      row("space to depth blocksize 5", "extent 8 cannot be divided by blocksize 5",
          with(node("SpaceToDepth", {"x"}, {"y"}), {attribute("blocksize", int64_t{5})})),
      row("einsum junk", "equation 'ij,jk' has 2 terms for 1 inputs",
          with(node("Einsum", {"x"}, {"y"}), {attribute("equation", std::string("ij,jk"))}), {}, matrix),
      row("einsum of another rank", "names 3 axes of input 0, which has rank 2",
          with(node("Einsum", {"x"}, {"y"}), {attribute("equation", std::string("ijk->i"))}), {}, matrix),
      row("einsum unknown letter", "has 'z' in the result but in no input",
          with(node("Einsum", {"x"}, {"y"}), {attribute("equation", std::string("ij->iz"))}), {}, matrix),
      row("einsum symbols", "equation 'i\\x0a->i'",
          with(node("Einsum", {"x"}, {"y"}), {attribute("equation", std::string("i\n->i"))}), {}, matrix),
      row("scan inputs", "num_scan_inputs is 0",
          with(node("Scan", {"x"}, {"y"}),
               {attribute("num_scan_inputs", int64_t{0}), attribute("body", onnx::GraphProto())})),
      row("scan inputs max", "num_scan_inputs is 9223372036854775807",
          with(node("Scan", {"x"}, {"y"}),
               {attribute("num_scan_inputs", kMax), attribute("body", onnx::GraphProto())})),
      row("eye of rank 4", "the input has rank 4, not 2", node("EyeLike", {"x"}, {"y"})),
      row("eye with k max", "k is 9223372036854775807", with(node("EyeLike", {"x"}, {"y"}), {attribute("k", kMax)}), {},
          matrix),
      row("gather axis", "axis 7 is outside rank 4",
          with(node("Gather", {"x", "i"}, {"y"}), {attribute("axis", int64_t{7})}), {ints("i", {1}, {0})}),
      row("gather_nd batch_dims", "batch_dims -1",
          with(node("GatherND", {"x", "i"}, {"y"}), {attribute("batch_dims", int64_t{-1})}), {ints("i", {1, 1}, {0})}),
      row("lrn size", "size is 0", with(node("LRN", {"x"}, {"y"}), {attribute("size", int64_t{0})})),
      row("group normalization", "num_groups is 0",
          with(node("GroupNormalization", {"x", "s", "s"}, {"y"}), {attribute("num_groups", int64_t{0})}),
          {floats("s", {4}, {1, 1, 1, 1})}, value("x", 1, {1, 4, 8, 8}), 21),
      row("group normalization 3", "3 groups do not divide 4 channels",
          with(node("GroupNormalization", {"x", "s", "s"}, {"y"}), {attribute("num_groups", int64_t{3})}),
          {floats("s", {4}, {1, 1, 1, 1})}, value("x", 1, {1, 4, 8, 8}), 21),
      row("matmul", "extents 3 and 4 of axis 'k'", node("MatMul", {"x", "w"}, {"y"}),
          {floats("w", {4, 1}, {1, 2, 3, 4})}, matrix),
      row("gemm rank", "factors of rank 4 and 4, not 2", node("Gemm", {"x", "x"}, {"y"})),
      row("broadcast", "shapes [2, 3] and [4] do not broadcast", node("Add", {"x", "w"}, {"y"}),
          {floats("w", {4}, {1, 2, 3, 4})}, matrix),
      row("reduce axes twice", "axis 1 is named twice",
          with(node("ReduceMean", {"x"}, {"y"}), {attribute("axes", I{1, 1})})),
      row("random shape", "extent -1 is negative", with(node("RandomNormal", {}, {"y"}), {attribute("shape", I{-1})})),
      row("lstm hidden size 0", "hidden size 0",
          with(node("LSTM", {"x", "w", "w"}, {"y"}), {attribute("hidden_size", int64_t{0})}), {kernel({1, 4, 8})},
          value("x", 1, {1, 4, 8})),
      row("cast to nothing", "attribute 'to': element type 0 is not defined",
          with(node("Cast", {"x"}, {"y"}), {attribute("to", int64_t{0})})),
      row("cast to 999", "attribute 'to': element type 999 is not defined",
          with(node("Cast", {"x"}, {"y"}), {attribute("to", int64_t{999})})),
      row("resize scale 0", "a scale is 0.000000", node("Resize", {"x", "", "s"}, {"y"}),
          {floats("s", {4}, {1, 1, 0, 2})}),
      row("resize scale NaN", "a scale is", node("Resize", {"x", "", "s"}, {"y"}),
          {floats("s", {4}, {1, 1, std::nanf(""), 2})}),
      row("resize scale inf", "a scale is inf", node("Resize", {"x", "", "s"}, {"y"}),
          {floats("s", {4}, {1, 1, INFINITY, 2})}),
      row("resize size 0", "a size is 0", node("Resize", {"x", "", "", "s"}, {"y"}), {ints("s", {4}, {1, 4, 0, 8})}),
      row("B62 quantization scale 0", "scales must be finite and above 0", node("QuantizeLinear", {"x", "s"}, {"y"}),
          {floats("s", {}, {0})}),
      row("B62 quantization scale NaN", "scales must be finite and above 0", node("QuantizeLinear", {"x", "s"}, {"y"}),
          {floats("s", {}, {std::nanf("")})}),
      row("B62 quantization scale infinite", "scales must be finite and above 0",
          node("QuantizeLinear", {"x", "s"}, {"y"}), {floats("s", {}, {INFINITY})}),
      row("B62 quantization axis", "axis 9 is outside rank 4",
          with(node("QuantizeLinear", {"x", "s"}, {"y"}), {attribute("axis", int64_t{9})}), {floats("s", {2}, {1, 2})}),
      row("B62 quantization scales do not fit", "scale [3] does not fit axis 1",
          node("QuantizeLinear", {"x", "s"}, {"y"}), {floats("s", {3}, {1, 2, 3})}),
      row("B63 constant of negative shape", "extent -5 is negative", node("ConstantOfShape", {"s"}, {"y"}),
          {ints("s", {1}, {-5})}),
      row("B63 constant of overflowing shape", "the result's extents overflows 64 bits",
          node("ConstantOfShape", {"s"}, {"y"}), {ints("s", {3}, {kMax, kMax, kMax})}),
      row("B63 constant of more bytes than 64 bits count", "number of bytes overflows 64 bits",
          node("ConstantOfShape", {"s"}, {"y"}), {ints("s", {1}, {kMax})}),
      row("B63 expand overflows", "the result's extents overflows 64 bits", node("Expand", {"x", "s"}, {"y"}),
          {ints("s", {6}, {kMax, kMax, 1, 1, 1, 1})}),
      row("B63 tile overflows", "overflows 64 bits", node("Tile", {"x", "s"}, {"y"}),
          {ints("s", {4}, {kMax, kMax, kMax, kMax})}),
      row("B63 tile below 0", "a repeat is -1", node("Tile", {"x", "s"}, {"y"}), {ints("s", {4}, {-1, 1, 1, 1})}),
      row("B63 an overflow behind an empty extent", "overflows 64 bits", node("ConstantOfShape", {"s"}, {"y"}),
          {ints("s", {4}, {0, kMax, kMax, kMax})}),
  };
}

Result<Model> load_row(const Row &row) {
  onnx::ModelProto model = model_of({row.node}, row.opset, row.input);
  for (const onnx::TensorProto &t : row.constants) *model.mutable_graph()->add_initializer() = t;
  return load(model);
}

TEST(HostileNode, B61_B63_EachRowIsRefused) {
  for (const Row &row : rows()) expect_refused(load_row(row), row.code, row.message, row.id);
}

TEST(HostileNode, B63_BombsStaySmallInTheGraph) {
  // Large results are types, not data: nothing is allocated.
  for (const Row &row :
       {row("constant", "", node("ConstantOfShape", {"s"}, {"y"}), {ints("s", {2}, {1 << 20, 1 << 20})}),
        row("expand", "", node("Expand", {"x", "s"}, {"y"}), {ints("s", {6}, {1 << 10, 1 << 10, 1, 4, 8, 8})}),
        row("tile", "", node("Tile", {"x", "s"}, {"y"}), {ints("s", {4}, {1 << 10, 1 << 10, 1 << 10, 1})}),
        row("range", "", node("Range", {"a", "b", "c"}, {"y"}),
            {ints("a", {}, {0}), ints("b", {}, {int64_t{1} << 40}), ints("c", {}, {1})})}) {
    const Result<Model> result = load_row(row);
    expect_accepted(result, row.id);
    EXPECT_LT(result->graph.node_count(), 20u) << row.id;
  }
}

TEST(HostileNode, B63_LoopTripCounts) {
  onnx::GraphProto body;
  body.set_name("body");
  *body.add_input() = value("i", 7, {});
  *body.add_input() = value("c", 9, {});
  *body.add_input() = value("v", 1, {2, 3});
  *body.add_node() = node("Identity", {"c"}, {"c2"});
  *body.add_node() = node("Relu", {"v"}, {"v2"});
  *body.add_output() = untyped("c2");
  *body.add_output() = untyped("v2");
  for (int64_t trip : {int64_t{1} << 62, INT64_MAX, INT64_MIN, int64_t{0}}) {
    onnx::NodeProto loop = node("Loop", {"m", "", "x"}, {"y"});
    *loop.add_attribute() = attribute("body", body);
    onnx::ModelProto model = model_of({loop});
    *model.mutable_graph()->add_initializer() = ints("m", {}, {trip});
    expect_accepted(load(model), "a trip count");
  }
}

TEST(HostileNode, B63_NestedLoopsThatDoNotSettleStop) {
  // Each level doubles its carried value: every body is imported twice per level, 2^levels in all, under a budget.
  onnx::GraphProto body;
  for (int level = 0; level < 20; ++level) {
    const std::string l = std::to_string(level);
    onnx::GraphProto outer;
    outer.set_name("b" + l);
    *outer.add_input() = untyped("i" + l);
    *outer.add_input() = untyped("c" + l);
    *outer.add_input() = untyped("v" + l);
    if (level == 0) {
      *outer.add_node() = with(node("Concat", {"v0", "v0"}, {"w0"}), {attribute("axis", int64_t{0})});
    } else {
      onnx::NodeProto loop = node("Loop", {"m", "", "v" + l}, {"w" + l});
      *loop.add_attribute() = attribute("body", body);
      *outer.add_node() = loop;
    }
    *outer.add_node() = node("Identity", {"c" + l}, {"d" + l});
    *outer.add_output() = untyped("d" + l);
    *outer.add_output() = untyped("w" + l);
    body = outer;
  }
  onnx::NodeProto loop = node("Loop", {"m", "", "x"}, {"y"});
  *loop.add_attribute() = attribute("body", body);
  onnx::ModelProto model = model_of({loop});
  *model.mutable_graph()->add_initializer() = ints("m", {}, {3});
  LoadOptions options;
  options.limits.nodes = 1000;
  const Result<Model> result = load(model, options);
  if (!result.ok()) expect_refused(result, ExitCode::bad_model, "their types do not settle", "nested loops");
}

// The same without a limit that is small: the budget follows the number of nodes.
TEST(HostileNode, B63_NestedLoopsHaveABudgetThatFollowsTheModel) {
  auto nested = [](int depth) {
    onnx::GraphProto body;
    for (int level = 0; level < depth; ++level) {
      const std::string l = std::to_string(level);
      onnx::GraphProto outer;
      outer.set_name("b" + l);
      for (const char *name : {"i", "c", "v"}) *outer.add_input() = untyped(name + l);
      *outer.add_node() = level == 0 ? with(node("Concat", {"v0", "v0"}, {"w0"}), {attribute("axis", int64_t{0})})
                                     : with(node("Loop", {"m", "", "v" + l}, {"w" + l}), {attribute("body", body)});
      *outer.add_node() = node("Identity", {"c" + l}, {"d" + l});
      *outer.add_output() = untyped("d" + l);
      *outer.add_output() = untyped("w" + l);
      body = outer;
    }
    onnx::ModelProto model = model_of({with(node("Loop", {"m", "", "x"}, {"y"}), {attribute("body", body)})});
    *model.mutable_graph()->add_initializer() = ints("m", {}, {3});
    return model;
  };
  expect_accepted(load(nested(4)), "four loops");
  const Result<Model> deep = load(nested(30));
  expect_refused(deep, ExitCode::bad_model, "their types do not settle", "thirty loops");
  EXPECT_EQ(deep.errors().size(), 1u) << "what follows from it is not told";
}

// An If whose branches differ in rank takes one of them in, once per If and not once per way through the Ifs around it.
TEST(HostileNode, B63_NestedBranchesThatDifferInRankAreImportedOnce) {
  onnx::GraphProto inner;
  inner.set_name("inner");
  *inner.add_node() = node("Squeeze", {"x"}, {"v0"});
  *inner.add_output() = untyped("v0");
  constexpr int kDepth = 32;
  for (int level = 1; level <= kDepth; ++level) {
    const std::string l = std::to_string(level);
    onnx::GraphProto other, outer;
    *other.add_node() = node("Identity", {"x"}, {"o" + l});
    *other.add_output() = untyped("o" + l);
    *outer.add_node() =
        with(node("If", {"c"}, {"v" + l}), {attribute("then_branch", inner), attribute("else_branch", other)});
    *outer.add_output() = untyped("v" + l);
    inner = outer;
  }
  onnx::ModelProto model = model_of({});
  *model.mutable_graph()->add_node() = inner.node(0);
  *model.mutable_graph()->mutable_input(0) = value("x", 1, {1, 2, 3});
  *model.mutable_graph()->add_input() = value("c", 9, {});
  model.mutable_graph()->mutable_output(0)->set_name("v" + std::to_string(kDepth));
  const Result<Model> result = load(model);
  expect_accepted(result, "nested branches");
  EXPECT_LT(result->graph.node_count(), 10u * kDepth);
}

TEST(HostileNode, B64_LongAndWideGraphs) {
  // A chain that recursion over its length would not survive, backwards, so that it is sorted too.
  onnx::ModelProto chain = model_of({});
  constexpr int kLength = 50'000;
  for (int i = kLength; i-- > 0;)
    *chain.mutable_graph()->add_node() = node("Relu", {i == 0 ? "x" : "v" + std::to_string(i - 1)},
                                              {i + 1 == kLength ? "y" : "v" + std::to_string(i)}, "");
  const Result<Model> result = load(chain);
  ASSERT_TRUE(result.ok()) << to_string(result.errors()[0]);
  EXPECT_EQ(result->graph.node_count(), size_t(kLength));

  onnx::ModelProto wide = model_of({node("Relu", {"x"}, {"y"})});
  for (int i = 0; i < 50'000; ++i) *wide.mutable_graph()->add_initializer() = floats("w" + std::to_string(i), {1}, {1});
  ASSERT_TRUE(load(wide).ok());

  LoadOptions options;
  options.limits.nodes = 100;
  expect_refused(load(chain, options), ExitCode::bad_model, "more than 100 nodes (limit)", "too many nodes");
}

} // namespace
} // namespace cameo::frontend::test
