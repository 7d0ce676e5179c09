// Attributes of ai.onnx.ml are as untrusted as any: ids that do not exist, cycles, children and features out of range,
// counts that disagree.
#include "model_builder.h"

#include <functional>

namespace cameo::frontend::test {
namespace {

using I = std::vector<int64_t>;

onnx::AttributeProto reals(const std::string &name, const std::vector<float> &values) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::FLOATS);
  for (float v : values) a.add_floats(v);
  return a;
}

onnx::AttributeProto texts(const std::string &name, const std::vector<std::string> &values) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::STRINGS);
  for (const std::string &v : values) a.add_strings(v);
  return a;
}

onnx::AttributeProto tensor(const std::string &name, int dtype, const std::vector<int64_t> &values) {
  onnx::AttributeProto a;
  a.set_name(name);
  a.set_type(onnx::AttributeProto::TENSOR);
  a.mutable_t()->set_data_type(dtype);
  a.mutable_t()->add_dims(int64_t(values.size()));
  for (int64_t v : values)
    dtype == 1 ? a.mutable_t()->add_float_data(float(v)) : a.mutable_t()->add_int32_data(int32_t(v));
  return a;
}

void replace(onnx::NodeProto &node, const onnx::AttributeProto &attribute) {
  for (auto &a : *node.mutable_attribute())
    if (a.name() == attribute.name()) {
      a = attribute;
      return;
    }
  *node.add_attribute() = attribute;
}

onnx::NodeProto ml_node(const std::string &op, const std::vector<std::string> &inputs,
                        const std::vector<std::string> &outputs, const std::vector<onnx::AttributeProto> &attributes) {
  onnx::NodeProto n = node(op, inputs, outputs);
  n.set_domain("ai.onnx.ml");
  for (const auto &a : attributes) *n.add_attribute() = a;
  return n;
}

// x[1] <= 0.5 ? leaf 1 : (x[2] < 1 ? leaf 3 : leaf 4)
onnx::NodeProto regressor() {
  return ml_node("TreeEnsembleRegressor", {"x"}, {"y"},
                 {attribute("n_targets", int64_t{2}), attribute("nodes_treeids", I{7, 7, 7, 7, 7}),
                  attribute("nodes_nodeids", I{0, 1, 2, 3, 4}), attribute("nodes_featureids", I{1, 0, 2, 0, 0}),
                  texts("nodes_modes", {"BRANCH_LEQ", "LEAF", "BRANCH_LT", "LEAF", "LEAF"}),
                  reals("nodes_values", {0.5f, 0, 1, 0, 0}), attribute("nodes_truenodeids", I{1, 0, 3, 0, 0}),
                  attribute("nodes_falsenodeids", I{2, 0, 4, 0, 0}), attribute("target_treeids", I{7, 7, 7}),
                  attribute("target_nodeids", I{1, 3, 4}), attribute("target_ids", I{0, 1, 1}),
                  reals("target_weights", {1, 2, 3})});
}

onnx::NodeProto ensemble() {
  return ml_node("TreeEnsemble", {"x"}, {"y"},
                 {attribute("n_targets", int64_t{1}), attribute("tree_roots", I{0}),
                  attribute("nodes_featureids", I{0, 1}), tensor("nodes_modes", 2, {0, 6}),
                  tensor("nodes_splits", 1, {1, 0}), attribute("nodes_trueleafs", I{1, 1}),
                  attribute("nodes_truenodeids", I{0, 1}), attribute("nodes_falseleafs", I{0, 1}),
                  attribute("nodes_falsenodeids", I{1, 2}), attribute("leaf_targetids", I{0, 0, 0}),
                  tensor("leaf_weights", 1, {1, 2, 3}), tensor("membership_values", 1, {4, 5})});
}

Result<Model> load_ml(const onnx::NodeProto &n, int64_t opset,
                      const onnx::ValueInfoProto &input = value("x", 1, {2, 3})) {
  onnx::ModelProto model = model_of({n}, 17, input);
  auto *import = model.add_opset_import();
  import->set_domain("ai.onnx.ml");
  import->set_version(opset);
  return load(model);
}

TEST(HostileTrees, TheTreesThatAreChangedBelowAreFine) {
  expect_accepted(load_ml(regressor(), 1), "the regressor");
  expect_accepted(load_ml(ensemble(), 5), "the ensemble");
}

TEST(HostileTrees, RegressorsAreRefused) {
  const std::pair<onnx::AttributeProto, const char *> rows[] = {
      {attribute("nodes_truenodeids", I{1, 0, 9, 0, 0}),
       "node 9 of tree 7, which nodes_truenodeids names, is not there"},
      {attribute("nodes_falsenodeids", I{-1, 0, 4, 0, 0}),
       "node -1 of tree 7, which nodes_falsenodeids names, is not there"},
      {attribute("nodes_falsenodeids", I{2, 0, 0, 0, 0}), "is its own descendant"},
      {attribute("nodes_falsenodeids", I{0, 0, 4, 0, 0}), "is its own descendant"},
      {attribute("nodes_falsenodeids", I{2, 0, 4, 0}), "nodes_falsenodeids has 4 entries for 5"},
      {attribute("nodes_treeids", I{7, 7, 7, 7}), "nodes_treeids has 4 entries for 5"},
      {attribute("nodes_treeids", I{7, 7, 8, 7, 7}), "is not there"},
      {attribute("nodes_nodeids", I{0, 1, 2, 3, 3}), "node 3 of tree 7 is there twice"},
      {attribute("nodes_featureids", I{1, 0, 3, 0, 0}), "tests feature 3 of 3"},
      {attribute("nodes_featureids", I{1, 0, -1, 0, 0}), "tests feature -1 of 3"},
      {attribute("nodes_featureids", I{1, 0, INT64_MAX, 0, 0}), "tests feature 9223372036854775807 of 3"},
      {texts("nodes_modes", {"BRANCH_LEQ", "LEAF", "BRANCH", "LEAF", "LEAF"}), "a node of mode 'BRANCH'"},
      {reals("nodes_values", {0.5f}), "nodes_values has 1 entries for 5"},
      {attribute("nodes_missing_value_tracks_true", I{1}), "nodes_missing_value_tracks_true has 1 entries for 5"},
      {attribute("target_ids", I{0, 1, 2}), "target_ids has 2, there are 2"},
      {attribute("target_ids", I{0, 1, -1}), "target_ids has -1, there are 2"},
      {attribute("target_nodeids", I{1, 3, 44}), "node 44 of tree 7, which a weight names, is not there"},
      {attribute("target_treeids", I{7, 7}), "target_treeids has 2 entries for 3"},
      {reals("target_weights", {1}), "target_weights has 1 entries for 3"},
      {attribute("n_targets", int64_t{0}), "n_targets is 0"},
      {attribute("n_targets", INT64_MAX), "n_targets is 9223372036854775807"},
      {reals("base_values", {1, 2, 3}), "3 base values for 2 targets"},
      {attribute("post_transform", std::string("COSINE")), "post_transform is 'COSINE'"},
      {attribute("aggregate_function", std::string("MEDIAN")), "aggregate_function is 'MEDIAN'"},
  };
  for (const auto &[change, message] : rows) {
    onnx::NodeProto n = regressor();
    replace(n, change);
    expect_refused(load_ml(n, 1), ExitCode::bad_model, message, message);
  }
  onnx::NodeProto none = ml_node("TreeEnsembleRegressor", {"x"}, {"y"}, {attribute("n_targets", int64_t{1})});
  expect_refused(load_ml(none, 1), ExitCode::bad_model, "has no trees", "no trees");
}

TEST(HostileTrees, EnsemblesAreRefused) {
  const std::pair<onnx::AttributeProto, const char *> rows[] = {
      {attribute("tree_roots", I{2}), "tree_roots has 2 of 2 nodes"},
      {attribute("tree_roots", I{-1}), "tree_roots has -1 of 2 nodes"},
      {attribute("tree_roots", I{}), "has no trees"},
      {attribute("nodes_truenodeids", I{3, 1}), "node 0 has leaf 3 of 3"},
      {attribute("nodes_falsenodeids", I{2, 2}), "node 0 has child 2 of 2"},
      {attribute("nodes_falsenodeids", I{0, 2}), "is its own descendant"},
      {tensor("nodes_modes", 2, {0, 7}), "a node of mode 7"},
      {tensor("nodes_modes", 2, {6, 6}), "membership_values has no set for node 1"},
      {tensor("nodes_modes", 2, {0}), "nodes_modes has 1 entries for 2"},
      {tensor("nodes_modes", 6, {0, 0}), "nodes_modes is of i32"},
      {tensor("nodes_splits", 11, {}), "are of f64, the input is of f32"},
      {attribute("leaf_targetids", I{0, 0, 1}), "leaf_targetids has 1, there are 1"},
      {tensor("leaf_weights", 1, {1}), "leaf_weights has 1 entries for 3"},
      {attribute("post_transform", int64_t{5}), "post_transform is 5"},
      {attribute("aggregate_function", int64_t{-1}), "aggregate_function is -1"},
  };
  for (const auto &[change, message] : rows) {
    onnx::NodeProto n = ensemble();
    replace(n, change);
    expect_refused(load_ml(n, 5), ExitCode::bad_model, message, message);
  }
}

// Shared subtrees are few nodes but exponentially many paths.
TEST(HostileTrees, ATreeOfSharedNodesIsWalkedOnce) {
  constexpr int64_t kLevels = 200;
  I tree(kLevels + 1, 0), ids, feature(kLevels + 1, 0), next;
  std::vector<std::string> modes(kLevels, "BRANCH_EQ");
  modes.push_back("LEAF");
  for (int64_t i = 0; i <= kLevels; ++i) {
    ids.push_back(i);
    next.push_back(std::min(i + 1, kLevels));
  }
  const onnx::NodeProto n =
      ml_node("TreeEnsembleRegressor", {"x"}, {"y"},
              {attribute("n_targets", int64_t{1}), attribute("nodes_treeids", tree), attribute("nodes_nodeids", ids),
               attribute("nodes_featureids", feature), texts("nodes_modes", modes),
               reals("nodes_values", std::vector<float>(kLevels + 1, 0)), attribute("nodes_truenodeids", next),
               attribute("nodes_falsenodeids", next), attribute("target_treeids", I{0}),
               attribute("target_nodeids", I{kLevels}), attribute("target_ids", I{0}), reals("target_weights", {1})});
  expect_accepted(load_ml(n, 1), "a chain of shared nodes");
}

TEST(HostileMl, OtherOperatorsAreRefused) {
  struct Row {
    onnx::NodeProto node;
    const char *message;
  };
  const auto labels = attribute("classlabels_ints", I{3, 4});
  const Row rows[] = {
      {ml_node("LinearRegressor", {"x"}, {"y"}, {reals("coefficients", {1, 2})}), "has coefficients for 2 features"},
      {ml_node("LinearRegressor", {"x"}, {"y"}, {reals("coefficients", {1, 2, 3}), attribute("targets", int64_t{0})}),
       "3 coefficients for 0 scores"},
      {ml_node("LinearRegressor", {"x"}, {"y"}, {reals("coefficients", {1, 2, 3}), reals("intercepts", {1, 2})}),
       "2 intercepts for 1 scores"},
      {ml_node("LinearClassifier", {"x"}, {"y", "z"},
               {reals("coefficients", {1, 2, 3, 4, 5, 6, 7, 8, 9}), reals("intercepts", {1, 2, 3}), labels}),
       "2 labels for 3 classes"},
      {ml_node("SVMRegressor", {"x"}, {"y"},
               {reals("coefficients", {1, 2}), reals("rho", {0}), reals("support_vectors", {1, 2, 3}),
                attribute("n_supports", int64_t{2}), reals("kernel_params", {1, 0, 3})}),
       "2 coefficients and 3 numbers in support_vectors for n_supports 2"},
      {ml_node("SVMClassifier", {"x"}, {"y", "z"},
               {reals("coefficients", {1}), reals("rho", {0}), reals("support_vectors", {1, 2, 3, 4, 5, 6}),
                attribute("vectors_per_class", I{1, 1}), labels, reals("kernel_params", {1, 0, 3})}),
       "coefficients has 1 values, needs 2"},
      {ml_node("SVMClassifier", {"x"}, {"y", "z"},
               {reals("coefficients", {1}), reals("rho", {0}), attribute("vectors_per_class", I{-1, 1}), labels}),
       "vectors_per_class has -1"},
      {ml_node("SVMRegressor", {"x"}, {"y"},
               {reals("coefficients", {1, 2, 3}), reals("rho", {0}), reals("kernel_params", {1})}),
       "kernel_params has 1 values"},
      {ml_node("Scaler", {"x"}, {"y"}, {reals("offset", {1, 2}), reals("scale", {1})}), "2 offsets for 3 columns"},
      {ml_node("Imputer", {"x"}, {"y"}, {}), "needs either imputed_value_floats or imputed_value_int64s"},
      {ml_node("Normalizer", {"x"}, {"y"}, {attribute("norm", std::string("L3"))}), "norm is 'L3'"},
      {ml_node("OneHotEncoder", {"x"}, {"y"}, {texts("cats_strings", {"a"})}), "the categories have another type"},
      {ml_node("FeatureVectorizer", {"x"}, {"y"}, {attribute("inputdimensions", I{3, 4})}),
       "2 inputdimensions for 1 inputs"},
      {ml_node("FeatureVectorizer", {"x"}, {"y"}, {attribute("inputdimensions", I{-3})}), "inputdimensions has -3"},
      {ml_node("ZipMap", {"x"}, {"y"}, {attribute("classlabels_int64s", I{1})}), "1 class labels for 3 columns"},
      {ml_node("LabelEncoder", {"x"}, {"y"}, {reals("keys_floats", {1, 2}), reals("values_floats", {1})}),
       "2 keys and 1 values"},
      {ml_node("LabelEncoder", {"x"}, {"y"}, {attribute("keys_int64s", I{1}), reals("values_floats", {1})}),
       "keys of i64 for an input of f32"},
      {ml_node("LabelEncoder", {"x"}, {"y"}, {reals("values_floats", {1})}), "needs exactly one of keys_floats"},
  };
  for (const Row &row : rows) expect_refused(load_ml(row.node, 2), ExitCode::bad_model, row.message, row.message);
}

} // namespace
} // namespace cameo::frontend::test
