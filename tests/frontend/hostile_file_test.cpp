// RELIABILITY rows B01 to B09: what is no ONNX file at all, or is cut, or is too large.
#include "model_builder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace cameo::frontend::test {
namespace {

// A valid model of about 2 KB with every kind of field that matters: weights, attributes, a subgraph, a function.
std::string small_model() {
  onnx::GraphProto branch;
  branch.set_name("branch");
  *branch.add_node() = node("Relu", {"a"}, {"b"}, "inner");
  *branch.add_output() = untyped("b");
  onnx::GraphProto other = branch;
  other.mutable_node(0)->set_output(0, "c");
  other.mutable_output(0)->set_name("c");
  onnx::NodeProto choose = node("If", {"cond"}, {"y"}, "choose");
  *choose.add_attribute() = attribute("then_branch", branch);
  *choose.add_attribute() = attribute("else_branch", other);
  onnx::ModelProto model = model_of({node("Gemm", {"x", "w", "bias"}, {"a"}, "gemm"), choose});
  *model.mutable_graph()->add_input() = value("cond", 9, {});
  std::vector<float> weights(3 * 100, 0.5f);
  *model.mutable_graph()->add_initializer() = floats("w", {3, 100}, weights);
  *model.mutable_graph()->add_initializer() = floats("bias", {100}, std::vector<float>(100, 1.0f));
  model.set_producer_name("test");
  return model.SerializeAsString();
}

TEST(HostileFile, B01_Empty) { expect_refused(load(std::string()), ExitCode::bad_model, "is empty", "an empty file"); }

TEST(HostileFile, B02_Garbage) {
  std::string bytes(4096, '\0');
  uint32_t state = 12345;
  for (char &c : bytes) c = char((state = state * 1664525 + 1013904223) >> 24);
  expect_refused(load(bytes), ExitCode::bad_model, "not a valid ONNX file", "garbage");
}

TEST(HostileFile, B03_TruncatedAtEveryByte) {
  const std::string bytes = small_model();
  ASSERT_GT(bytes.size(), 1500u);
  ASSERT_LT(bytes.size(), 3000u);
  expect_accepted(load(bytes), "the whole model");
  TempFolder folder;
  int accepted = 0;
  for (size_t n = 0; n < bytes.size(); ++n) {
    const Result<Model> result = load_model(folder.write("m.onnx", bytes.substr(0, n)));
    accepted += result.ok();
    if (!result.ok()) {
      EXPECT_EQ(exit_code(result.errors()), ExitCode::bad_model) << n << " bytes: " << to_string(result.errors()[0]);
    }
  }
  EXPECT_EQ(accepted, 0) << "the opset is the last field: every prefix lacks something";
}

TEST(HostileFile, B04_DeclaredLengthOf2GiBIn6Bytes) {
  expect_refused(load(std::string("\x3a\xff\xff\xff\xff\x07", 6)), ExitCode::bad_model, "declares 2147483647 bytes",
                 "2 GiB in 6 bytes");
}

TEST(HostileFile, B05_TrailingUnknownFieldsWarn) {
  std::string bytes = small_model();
  bytes +=
      std::string("\x92\x89\x02", 3) + std::string("\x80\x80\x40", 3) + std::string(1 << 20, 'x'); // field 4242, 1 MiB
  const Result<Model> result = load(bytes);
  expect_accepted(result, "unknown fields");
  ASSERT_EQ(result->warnings.size(), 1u);
  EXPECT_NE(result->warnings[0].what.find("1 unknown fields of 1048582 bytes"), std::string::npos)
      << result->warnings[0].what;
}

TEST(HostileFile, B06_OtherKindsOfFiles) {
  using namespace std::string_literals;
  struct Row {
    const char *what;
    std::string bytes;
    const char *message;
  };
  const Row rows[] = {
      {"elf",
       "\x7f"
       "ELF\2\1\1\0\0\0\0\0"s,
       "an ELF binary"},
      {"zip", "PK\x03\x04\x14\0\0\0"s, "a zip archive"},
      {"text", "import onnx\nprint('hello')\n", "text"},
      {"html", "<!DOCTYPE html><html>not found</html>", "HTML"},
      {"safetensors",
       "\x40\0\0\0\0\0\0\0{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}      \0\0\0\0"s,
       "safetensors"},
      {"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "git lfs pull"},
      {"numpy", "\x93NUMPY\x01\0v\0"s, "NumPy"},
  };
  for (const Row &row : rows) expect_refused(load(row.bytes), ExitCode::bad_model, row.message, row.what);

  TempFolder folder;
  expect_refused(load_model(folder.path()), ExitCode::missing, "is a directory", "a directory");
  expect_refused(load_model(folder.path("none.onnx")), ExitCode::missing, "No such file", "a missing file");
  ASSERT_EQ(::mkfifo(folder.path("fifo").c_str(), 0600), 0);
  expect_refused(load_model(folder.path("fifo")), ExitCode::missing, "not a regular file", "a FIFO");
  expect_refused(load_model("/dev/zero"), ExitCode::missing, "not a regular file", "/dev/zero");
  expect_refused(load_model(folder.path("m.onnx") + std::string("\0x", 2)), ExitCode::missing, "NUL",
                 "a path with NUL");
}

TEST(HostileFile, B07_MoreThan2GiBIsSaidBeforeReading) {
  TempFolder folder;
  const std::string path = folder.write("m.onnx", small_model());
  if (::truncate(path.c_str(), int64_t{3} << 30) != 0) GTEST_SKIP() << "no sparse files here";
  expect_refused(load_model(path), ExitCode::bad_model, "larger models keep their weights in external data", "3 GiB");
  Limits limits;
  const std::string exact = folder.write("exact.onnx", small_model());
  limits.model_bytes = int64_t(small_model().size());
  LoadOptions options;
  options.limits = limits;
  expect_accepted(load_model(exact, options), "at the limit");
  --options.limits.model_bytes;
  expect_refused(load_model(exact, options), ExitCode::bad_model, "bytes where an ONNX file can have",
                 "above the limit");
}

TEST(HostileFile, B08_B09_WireFormat) { // the rest is in wire_test.cpp
  expect_refused(load(std::string("\x38\x05", 2)), ExitCode::bad_model, "ModelProto.graph has wire type 0",
                 "a graph as a number");
  expect_refused(load(std::string("\x3b\x01", 2)), ExitCode::bad_model, "a group", "a group");
}

TEST(HostileFile, RandomChangesNeverCrash) {
  const std::string bytes = small_model();
  TempFolder folder;
  uint32_t state = 99;
  auto next = [&] { return (state = state * 1664525 + 1013904223) >> 8; };
  for (int i = 0; i < 3000; ++i) {
    std::string changed = bytes;
    for (uint32_t k = 1 + next() % 3; k > 0; --k) changed[next() % 700] = char(next()); // the graph, not the weights
    const Result<Model> result = load_model(folder.write("m.onnx", changed));
    if (result.ok()) {
      EXPECT_TRUE(graph::verify(result->graph).empty());
    }
  }
}

} // namespace
} // namespace cameo::frontend::test
