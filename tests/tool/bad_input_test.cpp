// Hostile and broken model files through the command line: rows B01 to B21 of the reliability table. The contract,
// asserted for every one: a documented exit code, lines of the form `cameo: FILE: reason` without control characters,
// no signal, no output.
#include "../support/scratch.h"
#include "onnx_bytes.h"
#include "process.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>

namespace {

using namespace cameo::testing;

// Compiles FILE in the scratch directory and checks the contract; the text of stderr, for what is special about the
// case.
std::string refused(const Scratch &s, const std::string &file, int code = 65) {
  const auto before = s.names();
  const Ended e = cameo::testing::cameo({"compile", file, "-o", "out.so"}, s.path(), [] {
    const rlimit memory{rlim_t{3} << 30, rlim_t{3} << 30};
#ifndef __SANITIZE_ADDRESS__
    setrlimit(RLIMIT_AS, &memory);
#else
    (void)memory;
#endif
  });
  EXPECT_EQ(e.signal, 0) << file;
  EXPECT_EQ(e.code, code) << file << ": " << e.err;
  EXPECT_EQ(e.out, "") << file;
  EXPECT_TRUE(e.err.starts_with("cameo: " + file + ": ")) << e.err;
  EXPECT_TRUE(e.err.ends_with("\n")) << e.err;
  for (unsigned char c : e.err) EXPECT_TRUE(c >= 0x20 || c == '\n') << file;
  EXPECT_LT(e.err.size(), 20000u) << file;
  EXPECT_EQ(s.names(), before) << file;
  return e.err;
}

std::string refused(const std::string &model, int code = 65) {
  Scratch s;
  s.write("m.onnx", model);
  return refused(s, "m.onnx", code);
}

// Compiles; the warnings.
std::string accepted(const std::string &model) {
  Scratch s;
  s.write("m.onnx", model);
  const Ended e = cameo::testing::cameo({"compile", "m.onnx", "-o", "out.so"}, s.path());
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_NE(s.read("out.so"), "(absent)");
  return e.err;
}

TEST(BadInput, TheSmallestGoodModelCompiles) { EXPECT_EQ(accepted(relu_graph().model()), ""); }

TEST(BadInput, B01EmptyFile) { refused(""); }

TEST(BadInput, B02Garbage) {
  std::string garbage(4096, '\0');
  uint32_t state = 1;
  for (char &c : garbage) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  refused(garbage);
}

TEST(BadInput, B03TruncatedAtEveryByte) {
  const std::string model = relu_graph().model();
  for (size_t n = 0; n < model.size(); ++n) refused(model.substr(0, n));
}

TEST(BadInput, B04LengthOf2GiBInSixBytes) {
  refused(std::string("\x3a\xff\xff\xff\xff\x07", 6));
  refused(relu_graph().model() + std::string("\x3a\xff\xff\xff\xff\x07", 6));
}

TEST(BadInput, B05UnknownFieldsAreIgnoredWithAWarning) {
  const std::string warning = accepted(relu_graph().model() + bytes(1000, std::string(1 << 20, 'x')));
  EXPECT_NE(warning.find("warning"), std::string::npos) << warning;
}

TEST(BadInput, B06OtherKindsOfFiles) {
  Scratch s;
  s.write("elf", "\x7f"
                 "ELF\x02\x01\x01" +
                     std::string(64, '\0'));
  s.write("zip", "PK\x03\x04" + std::string(64, '\0'));
  s.write("text", "this is a text, not a model\n");
  s.write("safetensors",
          std::string("\x40\0\0\0\0\0\0\0", 8) + "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
  for (const char *name : {"elf", "zip", "text", "safetensors"}) refused(s, name);
  std::filesystem::create_directory(s.path("dir"));
  mkfifo(s.path("fifo").c_str(), 0600);
  EXPECT_EQ(refused(s, "dir", 66), "cameo: dir: is a directory\n");
  EXPECT_EQ(refused(s, "fifo", 66), "cameo: fifo: is not a regular file\n");
  EXPECT_EQ(refused(s, "/dev/zero", 66), "cameo: /dev/zero: is not a regular file\n");
}

TEST(BadInput, B07MoreThan2GiB) {
  Scratch s;
  s.write("huge", "");
  ASSERT_EQ(truncate(s.path("huge").c_str(), (int64_t{1} << 31) + 1), 0); // sparse: nothing is on the disk
  const std::string text = refused(s, "huge");
  EXPECT_NE(text.find("external data"), std::string::npos) << text; // says what to do
}

TEST(BadInput, B08WrongWireTypes) {
  refused(bytes(1, "x") + bytes(7, relu_graph().graph()) + bytes(8, number(2, 17))); // ir_version as bytes
  refused(number(1, 8) + number(7, 5) + bytes(8, number(2, 17)));                    // the graph as a number
}

TEST(BadInput, B09MalformedWireFormat) {
  const std::string model = relu_graph().model();
  refused(model + "\x0b");                                   // a group that never ends
  refused(model + "\x0c");                                   // a group that never began
  refused(model + "\x0e" + std::string(4, '\0'));            // wire type 6
  refused(model + "\x08" + std::string(11, '\xff'));         // a varint of 11 bytes
  refused(std::string("\x00\x00", 2) + model);               // field number 0
  refused(model + "\x3a" + std::string(9, '\xff') + "\x01"); // a length of 2^64 - 1
}

TEST(BadInput, B10Cycle) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Add", {"x", "b"}, {"a"}, "first"), node("Relu", {"a"}, {"b"}, "second"),
             node("Relu", {"b"}, {"y"}, "third")};
  const std::string text = refused(g.model());
  EXPECT_NE(text.find("circle"), std::string::npos) << text;
}

TEST(BadInput, B11SelfLoop) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Add", {"x", "y"}, {"y"}, "loop")};
  refused(g.model());
}

TEST(BadInput, B12UndefinedInput) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Add", {"x", "nothing"}, {"y"}, "adder")};
  const std::string text = refused(g.model());
  EXPECT_NE(text.find("'adder'"), std::string::npos) << text;
  EXPECT_NE(text.find("'nothing'"), std::string::npos) << text;
}

TEST(BadInput, B13UndefinedGraphOutput) {
  GraphBytes g = relu_graph();
  g.outputs = {value_info("z", {2, 3})};
  EXPECT_NE(refused(g.model()).find("'z'"), std::string::npos);
}

TEST(BadInput, B14DuplicateNodeOutputs) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Relu", {"x"}, {"y"}, "a"), node("Abs", {"x"}, {"y"}, "b")};
  EXPECT_NE(refused(g.model()).find("'y'"), std::string::npos);
  g.nodes = {node("Split", {"x"}, {"y", "y"}, "a")};
  refused(g.model());
}

TEST(BadInput, B15DuplicateInitializer) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Add", {"x", "w"}, {"y"})};
  g.initializers = {zeros("w", {3}), zeros("w", {3})};
  EXPECT_NE(refused(g.model()).find("'w'"), std::string::npos);
}

TEST(BadInput, B16DuplicateGraphInput) {
  GraphBytes g = relu_graph();
  g.inputs.push_back(g.inputs[0]);
  EXPECT_NE(refused(g.model()).find("'x'"), std::string::npos);
}

TEST(BadInput, B17DuplicateGraphOutput) {
  GraphBytes g = relu_graph();
  g.outputs.push_back(g.outputs[0]);
  EXPECT_NE(refused(g.model()).find("'y'"), std::string::npos);
}

TEST(BadInput, B18InitializerIsANodesOutput) {
  GraphBytes g = relu_graph();
  g.initializers = {zeros("y", {2, 3})};
  EXPECT_NE(refused(g.model()).find("'y'"), std::string::npos);
}

TEST(BadInput, B19SubgraphShadowsAnOuterName) {
  GraphBytes branch;
  branch.nodes = {node("Relu", {"x"}, {"x"}, "inner")}; // x is the outer graph's input
  branch.outputs = {value_info("x", {2, 3})};
  const auto attribute = [&](const char *name) {
    return bytes(5, bytes(1, name) + bytes(6, branch.graph()) + number(20, 5));
  };
  GraphBytes g = relu_graph();
  g.inputs.push_back(value_info("c", {}, 9));
  g.nodes = {node("If", {"c"}, {"y"}, "choice", attribute("then_branch") + attribute("else_branch"))};
  EXPECT_NE(refused(g.model()).find("'x'"), std::string::npos);
}

TEST(BadInput, B20UnsortedNodesAreSortedWithAWarning) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Relu", {"a"}, {"y"}, "second"), node("Abs", {"x"}, {"a"}, "first")};
  const std::string warning = accepted(g.model());
  EXPECT_NE(warning.find("sorted"), std::string::npos) << warning;
}

TEST(BadInput, B21NoNodesOrNoOutputs) {
  GraphBytes g = relu_graph();
  g.outputs.clear();
  refused(g.model());
  GraphBytes through = relu_graph(); // an output that is an input: a copy
  through.nodes.clear();
  through.outputs = {value_info("x", {2, 3})};
  accepted(through.model());
  GraphBytes nothing;
  refused(nothing.model());
}

// B60: valid but not supported is another exit code, and every such node is told at once.
TEST(BadInput, UnsupportedOperatorsAreToldAllAtOnce) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Relu", {"x"}, {"a"}, "known"), node("Frobnicate", {"a"}, {"b"}, "first", bytes(7, "com.example")),
             node("Relu", {"b"}, {"c"}, "behind"), node("Mystify", {"c"}, {"y"}, "second", bytes(7, "com.example"))};
  const std::string model = g.model() + bytes(8, bytes(1, "com.example") + number(2, 1));
  const std::string text = refused(model, 69);
  EXPECT_NE(text.find("node 'first' (com.example::Frobnicate"), std::string::npos) << text;
  EXPECT_NE(text.find("node 'second' (com.example::Mystify"), std::string::npos) << text;
  EXPECT_EQ(text.find("'known'"), std::string::npos) << text;

  Scratch s; // inspecting it is no error: it says what is there and what is missing
  s.write("m.onnx", model);
  const Ended e = cameo::testing::cameo({"inspect", "m.onnx"}, s.path());
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_NE(e.out.find("Relu:2"), std::string::npos) << e.out;
  EXPECT_NE(e.out.find("supported nodes: 2 of 4\n"), std::string::npos) << e.out;
}

// B22 to B27: what the file calls its values is data in the header, never code, and two that map to one identifier stay
// apart.
TEST(BadInput, B22ToB27NamesInTheHeaderAreData) {
  const std::vector<std::string> names = {"*/ int evil; /*",
                                          "a\nint evil;",
                                          "a\"; int evil; //",
                                          "a?\?/\nint evil;",
                                          "a\\\nint evil;",
                                          std::string("a\0b", 3),
                                          "\xff\xfe",
                                          "a b",
                                          "a_b",
                                          "a.b",
                                          "int",
                                          "\xd0\xb0"};
  GraphBytes g = relu_graph();
  g.nodes.clear();
  g.outputs.clear();
  for (size_t i = 0; i < names.size(); ++i) {
    g.nodes.push_back(node("Relu", {"x"}, {names[i]}, names[i]));
    g.outputs.push_back(value_info(names[i], {2, 3}));
  }
  Scratch s;
  s.write("m.onnx", g.model());
  const Ended e = cameo::testing::cameo({"compile", "m.onnx", "-o", "out.so"}, s.path());
  ASSERT_EQ(e.code, 0) << e.err;
  const std::string header = s.read("out.h");
  for (unsigned char c : header) EXPECT_TRUE((c >= 0x20 && c < 0x7f) || c == '\n') << int(c);
  EXPECT_EQ(header.find("\nint evil"), std::string::npos) << header;
  // A compiler that knows trigraphs sees declarations only: a variable of the name can still be defined, with another
  // type.
  s.write("use.c", "#include \"out.h\"\nstatic double evil;\nint main(void) { return evil != 0; }\n");
  const Ended c = run_program({"cc", "-std=c11", "-fsyntax-only", "-Werror", "use.c"}, s.path());
  if (c.code == 127) GTEST_SKIP() << "needs cc";
  EXPECT_EQ(c.code, 0) << c.err << header;
}

TEST(BadInput, B28AnInputOfUnknownRankIsToldWithTheFile) {
  GraphBytes g = relu_graph();
  g.inputs = {bytes(1, "x") + bytes(2, bytes(1, number(1, 1)))};
  g.outputs = {bytes(1, "y")};
  refused(g.model(), 69);
  Scratch s;
  s.write("m.onnx", g.model());
  const Ended e = cameo::testing::cameo({"run", "m.onnx"}, s.path());
  EXPECT_EQ(e.code, 69);
  EXPECT_TRUE(e.err.starts_with("cameo: m.onnx: 'x': ")) << e.err;
}

TEST(BadInput, NamesAreEscapedAndCut) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Add", {"x", "no\nthing\x1b[31m"}, {"y"}, std::string(5000, 'n'))};
  refused(g.model());
  g.nodes = {node("Add", {"x", std::string(3000, '\xff')}, {"y"}, "a\"*/b'\\")};
  refused(g.model());
}

TEST(BadInput, TheOtherVerbsKeepTheContractToo) {
  Scratch s;
  s.write("m.onnx", "garbage");
  for (const char *verb : {"run", "bench", "inspect"}) {
    const Ended e = cameo::testing::cameo({verb, "m.onnx"}, s.path());
    EXPECT_EQ(e.code, 65) << verb << e.err;
    EXPECT_TRUE(e.err.starts_with("cameo: m.onnx: ")) << e.err;
    EXPECT_EQ(e.out, "");
  }
}

} // namespace
