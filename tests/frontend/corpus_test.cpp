// Every model at hand is imported: our own under models/, and those of the shared folder (the ONNX backend suite, real
// models) where it is there. Each imports into a graph that the verifier accepts and whose output types agree with the
// expected outputs on disk, or says precisely what is not supported.
#include "cameo/frontend/frontend.h"
#include "cameo/frontend/tensor_pb.h"
#include "cameo/ir/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace cameo::frontend {
namespace {

namespace fs = std::filesystem;

std::string shared_folder() {
  if (const char *given = std::getenv("CAMEO_SHARED")) return given;
  const std::string beside = std::string(CAMEO_SOURCE_DIR) + "/../shared";
  return fs::exists(beside) ? beside : "";
}

std::vector<std::string> models_below(const std::string &folder) {
  std::vector<std::string> paths;
  for (const auto &entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".onnx") paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// What contradicts the inferred type, or nothing.
std::string mismatch(const graph::Type &type, const PbValue &value) {
  if (type.kind() != value.kind) return "another kind than " + type.str();
  if (!type.is_tensor()) return "";
  const Tensor &t = value.tensor;
  bool fits = t.dtype == type.dtype();
  if (fits && type.is_ranked()) {
    fits = type.rank() == int(t.shape.size());
    for (int i = 0; fits && i < type.rank(); ++i) {
      const graph::Dim &d = type.dim(i);
      fits = !d.is_constant() || d.value() == t.shape[size_t(i)];
      const graph::Interval bounds = d.bounds();
      if (bounds.lower && t.shape[size_t(i)] < *bounds.lower) fits = false;
      if (bounds.upper && t.shape[size_t(i)] > *bounds.upper) fits = false;
    }
  }
  return fits ? "" : "inferred " + type.str() + ", expected " + type_text(t.dtype, t.shape);
}

struct Counts {
  int imported = 0, unsupported = 0, outputs = 0;
};

Counts import_all(const std::string &folder) {
  Counts counts;
  for (const std::string &path : models_below(folder)) {
    SCOPED_TRACE(path);
    Result<Model> model = load_model(path);
    if (!model.ok()) {
      EXPECT_EQ(exit_code(model.errors()), ExitCode::unsupported) << to_string(model.errors()[0]);
      for (const Diagnostic &d : model.errors())
        EXPECT_NE(d.what.find("not supported"), std::string::npos) << to_string(d);
      ++counts.unsupported;
      continue;
    }
    ++counts.imported;
    const std::vector<std::string> problems = graph::verify(model->graph);
    EXPECT_TRUE(problems.empty()) << problems[0];
    const fs::path data = fs::path(path).parent_path() / "test_data_set_0";
    const std::vector<graph::Value *> results = model->graph.main().body->results();
    for (size_t i = 0; i < results.size(); ++i) {
      const std::string file = data / ("output_" + std::to_string(i) + ".pb");
      if (!fs::exists(file)) continue;
      Result<PbValue> expected = read_value_pb(file, results[i]->type());
      if (!expected.ok()) {
        ADD_FAILURE() << to_string(expected.errors()[0]);
        continue;
      }
      EXPECT_EQ(mismatch(results[i]->type(), *expected), "") << file;
      ++counts.outputs;
    }
  }
  return counts;
}

TEST(Corpus, OurModels) {
  const Counts counts = import_all(std::string(CAMEO_SOURCE_DIR) + "/models");
  EXPECT_GE(counts.imported, 2);
  EXPECT_EQ(counts.unsupported, 0);
}

TEST(Corpus, RealModels) {
  const std::string shared = shared_folder();
  if (shared.empty()) GTEST_SKIP() << "CAMEO_SHARED is not set and there is no ../shared";
  const Counts counts = import_all(shared + "/models");
  std::cout << "real models: " << counts.imported << " imported, " << counts.unsupported << " not supported, "
            << counts.outputs << " outputs agree in type\n";
  EXPECT_GE(counts.imported, 30);
}

TEST(Corpus, BackendSuite) {
  const std::string shared = shared_folder();
  if (shared.empty()) GTEST_SKIP() << "CAMEO_SHARED is not set and there is no ../shared";
  const Counts counts = import_all(shared + "/onnx-backend");
  std::cout << "backend suite: " << counts.imported << " imported, " << counts.unsupported << " not supported, "
            << counts.outputs << " outputs agree in type\n";
  EXPECT_GE(counts.imported, 1473);
}

} // namespace
} // namespace cameo::frontend
