// What a node computes, for tests with values worked out by hand: a model of one node whose inputs are initializers
// runs through the passes, which fold it with the operator's own lowering.
#pragma once

#include "model_builder.h"

#include "cameo/passes/pass_manager.h"

namespace cameo::frontend::test {

/// Any tensor out of whole or real numbers, rounded to a type that cannot hold them.
inline onnx::TensorProto tensor(const std::string &name, DType dtype, const std::vector<int64_t> &dims,
                                const std::vector<double> &values) {
  const graph::Constant data = is_float(dtype) ? graph::ConstantData::of_rounded(dtype, dims, values)
                                               : graph::ConstantData::of(dtype, dims, values);
  onnx::TensorProto t;
  t.set_name(name);
  t.set_data_type(onnx_number(dtype));
  for (int64_t d : dims) t.add_dims(d);
  t.set_raw_data(data->bytes().data(), data->bytes().size());
  return t;
}

inline onnx::NodeProto microsoft(const std::string &op, const std::vector<std::string> &inputs,
                                 const std::vector<onnx::AttributeProto> &attributes = {},
                                 const std::vector<std::string> &outputs = {"y"}) {
  onnx::NodeProto n = node(op, inputs, outputs);
  n.set_domain("com.microsoft");
  for (const auto &a : attributes) *n.add_attribute() = a;
  return n;
}

/// The outputs of the node are those of the model.
inline onnx::ModelProto microsoft_model(const onnx::NodeProto &node, const std::vector<onnx::TensorProto> &constants,
                                        const std::vector<onnx::ValueInfoProto> &inputs = {}) {
  onnx::ModelProto model = empty_model();
  auto *import = model.add_opset_import();
  import->set_domain("com.microsoft");
  import->set_version(1);
  for (const auto &input : inputs) *model.mutable_graph()->add_input() = input;
  for (const auto &constant : constants) *model.mutable_graph()->add_initializer() = constant;
  *model.mutable_graph()->add_node() = node;
  for (const std::string &name : node.output())
    if (!name.empty()) *model.mutable_graph()->add_output() = untyped(name);
  return model;
}

struct Computed {
  std::string type;
  std::vector<double> values;
};

/// Output `index` of the node.
inline Computed computed(const onnx::NodeProto &node, const std::vector<onnx::TensorProto> &constants,
                         size_t index = 0) {
  Result<Model> model = load(microsoft_model(node, constants));
  if (!model.ok()) return {to_string(model.errors()[0]), {}};
  const Result<bool> ran = passes::run_pipeline(model->graph);
  if (!ran.ok()) return {to_string(ran.errors()[0]), {}};
  const graph::Value *y = model->graph.main().body->results()[index];
  Computed c{y->type().str(), {}};
  const graph::ConstantData *data = y->constant();
  EXPECT_TRUE(data && data->available()) << node.op_type() << " was not computed";
  for (int64_t i = 0; data && i < data->count(); ++i) c.values.push_back(data->as_double(i));
  return c;
}

inline void expect_values(const Computed &found, const std::string &type, const std::vector<double> &values,
                          double tolerance = 0) {
  EXPECT_EQ(found.type, type);
  ASSERT_EQ(found.values.size(), values.size()) << found.type;
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(found.values[i], values[i], tolerance) << "element " << i;
}

} // namespace cameo::frontend::test
