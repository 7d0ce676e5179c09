// Expected outputs of classifiers: maps as JSON and as ONNX's protobuf, strings by position.
#include "../../src/driver/expected.h"

#include "cameo/frontend/tensor_pb.h"
#include "cameo/support/files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace cameo::driver {
namespace {

namespace fs = std::filesystem;

class Expected : public testing::Test {
protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "cameo_expected_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  fs::path write(const std::string &name, const std::string &bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  fs::path folder_;
};

codegen::LabelSpec columns(std::vector<std::string> strings, std::vector<int64_t> integers) {
  return {codegen::LabelSpec::Kind::columns, std::move(strings), std::move(integers)};
}

TEST_F(Expected, FilesByTheNumberOfTheirOutput) {
  write("output_1_seqmap.json", "[]");
  write("output_10.pb", "");
  write("output_x.pb", "");
  write("input_0.pb", "");
  const auto files = expected_files(folder_);
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files.at(1).filename(), "output_1_seqmap.json");
  EXPECT_EQ(files.at(10).filename(), "output_10.pb");
}

TEST_F(Expected, MapsOfJsonInTheOrderOfTheLabels) {
  const fs::path path = write("output_0_seqmap.json", R"([{"7": 0.25, "3": 1}, {"3": 0, "7": 2}])");
  const Result<Tensor> t = read_expected(path, columns({}, {3, 7}));
  ASSERT_TRUE(t.ok()) << to_string(t.errors()[0]);
  EXPECT_EQ(type_text(t->dtype, t->shape), "f32[2,2]");
  EXPECT_EQ(std::vector<float>(t->as<float>(), t->as<float>() + 4), (std::vector<float>{1, 0.25, 0, 2}));
}

TEST_F(Expected, MapsThatDoNotFitAreRefused) {
  for (const char *text : {R"([{"3": 1}])", R"([{"3": 1, "8": 1}])", R"([{"3": 1, "7": 1, "8": 1}])",
                           R"([{"3": "a", "7": 1}])", "[1]", "{}", "["}) {
    const Result<Tensor> t = read_expected(write("output_0_seqmap.json", text), columns({}, {3, 7}));
    ASSERT_FALSE(t.ok()) << text;
    EXPECT_EQ(exit_code(t.errors()), ExitCode::bad_model) << text;
  }
  EXPECT_FALSE(read_expected(write("output_0_seqmap.json", "[]"), {}).ok()); // of an output that is a tensor
}

TEST_F(Expected, MapsOfProtobuf) {
  frontend::PbValue sequence;
  sequence.kind = graph::TypeKind::sequence;
  for (float v : {0.5f, 0.75f}) {
    frontend::PbValue map;
    map.kind = graph::TypeKind::map;
    map.keys.dtype = DType::string;
    map.keys.shape = {2};
    map.keys.strings = {"b", "a"};
    for (float x : {v, 1 - v}) {
      frontend::PbValue element;
      element.tensor.data.resize(sizeof x);
      element.tensor.as<float>()[0] = x;
      map.elements.push_back(std::move(element));
    }
    sequence.elements.push_back(std::move(map));
  }
  const fs::path path = write("output_0.pb", frontend::print_value_pb(sequence, "p"));
  const Result<Tensor> t = read_expected(path, columns({"a", "b"}, {}));
  ASSERT_TRUE(t.ok()) << to_string(t.errors()[0]);
  EXPECT_EQ(std::vector<float>(t->as<float>(), t->as<float>() + 4), (std::vector<float>{0.5, 0.5, 0.25, 0.75}));
}

TEST_F(Expected, PositionsMeanStrings) {
  Tensor positions{DType::i64, {3}, std::vector<std::byte>(24), {}};
  positions.as<int64_t>()[0] = 1;
  positions.as<int64_t>()[2] = 1;
  const codegen::LabelSpec labels{codegen::LabelSpec::Kind::elements, {"no", "yes"}, {}};
  const Result<Tensor> t = as_expected(positions, labels, "y");
  ASSERT_TRUE(t.ok());
  EXPECT_EQ(t->strings, (std::vector<std::string>{"yes", "no", "yes"}));
  EXPECT_EQ(as_expected(positions, {}, "y")->dtype, DType::i64);
  positions.as<int64_t>()[1] = 2;
  EXPECT_FALSE(as_expected(positions, labels, "y").ok());
}

} // namespace
} // namespace cameo::driver
