// Models for tests: a few short functions around the ONNX classes, temporary files, and what every refusal must look
// like.
#pragma once

#include "cameo/frontend/frontend.h"
#include "cameo/ir/verify.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace cameo::frontend::test {

/// A folder of its own for the running test, removed at the end.
class TempFolder {
public:
  TempFolder() {
    std::string pattern = testing::TempDir() + "cameo_frontend_XXXXXX";
    const char *made = ::mkdtemp(pattern.data());
    EXPECT_NE(made, nullptr);
    path_ = pattern;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder &) = delete;
  TempFolder &operator=(const TempFolder &) = delete;
  std::string path(const std::string &name = "") const { return name.empty() ? path_ : path_ + "/" + name; }
  std::string write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }

private:
  std::string path_;
};

inline onnx::TypeProto tensor_type(int dtype, const std::vector<int64_t> &dims) {
  onnx::TypeProto type;
  type.mutable_tensor_type()->set_elem_type(dtype);
  auto *shape = type.mutable_tensor_type()->mutable_shape();
  for (int64_t d : dims) shape->add_dim()->set_dim_value(d);
  return type;
}

inline onnx::ValueInfoProto value(const std::string &name, int dtype, const std::vector<int64_t> &dims) {
  onnx::ValueInfoProto info;
  info.set_name(name);
  *info.mutable_type() = tensor_type(dtype, dims);
  return info;
}

/// An output that says nothing of its type.
inline onnx::ValueInfoProto untyped(const std::string &name) {
  onnx::ValueInfoProto info;
  info.set_name(name);
  return info;
}

inline onnx::NodeProto node(const std::string &op, const std::vector<std::string> &inputs,
                            const std::vector<std::string> &outputs, const std::string &name = "n") {
  onnx::NodeProto proto;
  proto.set_op_type(op);
  proto.set_name(name);
  for (const std::string &s : inputs) proto.add_input(s);
  for (const std::string &s : outputs) proto.add_output(s);
  return proto;
}

inline onnx::AttributeProto attribute(const std::string &name, int64_t value) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INT);
  a.set_i(value);
  return a;
}
inline onnx::AttributeProto attribute(const std::string &name, float value) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::FLOAT);
  a.set_f(value);
  return a;
}
inline onnx::AttributeProto attribute(const std::string &name, const std::string &value) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::STRING);
  a.set_s(value);
  return a;
}
inline onnx::AttributeProto attribute(const std::string &name, const std::vector<int64_t> &values) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::INTS);
  for (int64_t v : values) a.add_ints(v);
  return a;
}
inline onnx::AttributeProto attribute(const std::string &name, const onnx::GraphProto &graph) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::GRAPH);
  *a.mutable_g() = graph;
  return a;
}

inline onnx::TensorProto floats(const std::string &name, const std::vector<int64_t> &dims,
                                const std::vector<float> &values) {
  onnx::TensorProto t;
  t.set_name(name);
  t.set_data_type(1);
  for (int64_t d : dims) t.add_dims(d);
  t.set_raw_data(values.data(), values.size() * sizeof(float));
  return t;
}
inline onnx::TensorProto ints(const std::string &name, const std::vector<int64_t> &dims,
                              const std::vector<int64_t> &values) {
  onnx::TensorProto t;
  t.set_name(name);
  t.set_data_type(7);
  for (int64_t d : dims) t.add_dims(d);
  t.set_raw_data(values.data(), values.size() * sizeof(int64_t));
  return t;
}

/// IR version 8, one opset; no nodes yet.
inline onnx::ModelProto empty_model(int64_t opset = 17) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  auto *import = model.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
  model.mutable_graph()->set_name("g");
  return model;
}

/// x: f32[2, 3] through the nodes to y.
inline onnx::ModelProto model_of(const std::vector<onnx::NodeProto> &nodes, int64_t opset = 17,
                                 const onnx::ValueInfoProto &input = value("x", 1, {2, 3})) {
  onnx::ModelProto model = empty_model(opset);
  *model.mutable_graph()->add_input() = input;
  *model.mutable_graph()->add_output() = untyped("y");
  for (const auto &n : nodes) *model.mutable_graph()->add_node() = n;
  return model;
}

inline Result<Model> load(const std::string &bytes, const LoadOptions &options = {}) {
  TempFolder folder;
  return load_model(folder.write("m.onnx", bytes), options);
}
inline Result<Model> load(const onnx::ModelProto &model, const LoadOptions &options = {}) {
  return load(model.SerializeAsString(), options);
}

/// What holds for every refusal: the exit code, a message that contains `part`, each problem one printable line of
/// bounded length.
inline void expect_refused(const Result<Model> &result, ExitCode code, const std::string &part,
                           const std::string &what) {
  ASSERT_FALSE(result.ok()) << what << " was accepted";
  EXPECT_EQ(int(exit_code(result.errors())), int(code)) << what << ": " << to_string(result.errors()[0]);
  bool found = false;
  for (const Diagnostic &d : result.errors()) {
    const std::string line = to_string(d);
    found = found || line.find(part) != std::string::npos;
    EXPECT_FALSE(d.where.empty()) << what;
    EXPECT_LT(line.size(), 2000u) << what;
    for (char c : line) EXPECT_TRUE(uint8_t(c) >= 0x20 && c != 0x7f) << what << ": a control character in: " << line;
  }
  EXPECT_TRUE(found) << what << ": expected '" << part << "' in '" << to_string(result.errors()[0]) << "'";
}

/// Accepted, with a graph that the verifier accepts too.
inline void expect_accepted(const Result<Model> &result, const std::string &what) {
  ASSERT_TRUE(result.ok()) << what << ": " << to_string(result.errors()[0]);
  const std::vector<std::string> problems = graph::verify(result->graph);
  EXPECT_TRUE(problems.empty()) << what << ": " << problems[0];
}

/// The type of the first output as text, or the first problem.
inline std::string output_type(const Result<Model> &result) {
  if (!result.ok()) return to_string(result.errors()[0]);
  return result->graph.main().body->results()[0]->type().str();
}

} // namespace cameo::frontend::test
