// Sequences and optionals through the tool: read from .pb files, made up, printed, written, described; and a C program
// that passes them.
#include "../support/scratch.h"
#include "onnx_bytes.h"
#include "process.h"

#include <gtest/gtest.h>

namespace {

using namespace cameo::testing;

// TypeProtos. Extents that are -1 have no name.
std::string tensor_type(std::vector<int64_t> dims, uint64_t dtype = 1) {
  std::string shape;
  for (int64_t d : dims) shape += bytes(1, d < 0 ? bytes(2, "any") : number(1, static_cast<uint64_t>(d)));
  return bytes(1, number(1, dtype) + bytes(2, shape));
}
std::string any_rank(uint64_t dtype = 1) { return bytes(1, number(1, dtype)); }
std::string sequence_type(const std::string &element) { return bytes(4, bytes(1, element)); }
std::string optional_type(const std::string &element) { return bytes(9, bytes(1, element)); }
std::string typed(const std::string &name, const std::string &type) { return bytes(1, name) + bytes(2, type); }

// TensorProto, SequenceProto, OptionalProto.
std::string tensor(std::vector<uint64_t> dims, const std::vector<float> &values) {
  std::string out;
  for (uint64_t d : dims) out += number(1, d);
  return out + number(2, 1) + bytes(9, {reinterpret_cast<const char *>(values.data()), 4 * values.size()});
}
std::string sequence(const std::vector<std::string> &tensors) {
  std::string out = number(2, 1);
  for (const std::string &t : tensors) out += bytes(3, t);
  return out;
}

std::string pushpop_model() {
  const std::string list = sequence_type(tensor_type({-1, 2}));
  return GraphBytes{
      {node("SequenceInsert", {"xs", "x"}, {"pushed"}, "push"), node("SequenceErase", {"xs"}, {"popped"}, "pop")},
      {typed("xs", list), value_info("x", {1, 2})},
      {typed("pushed", list), typed("popped", list)},
      {}}
      .model();
}

// Takes and gives one value of that type.
std::string identity_model(const std::string &type) {
  return GraphBytes{{node("Identity", {"x"}, {"y"})}, {typed("x", type)}, {typed("y", type)}, {}}.model(18);
}

} // namespace

TEST(SequencesTool, RunReadsPrintsAndWrites) {
  Scratch s;
  s.write("m.onnx", pushpop_model());
  s.write("xs.pb", sequence({tensor({1, 2}, {1, 2}), tensor({2, 2}, {3, 4, 5, 6})}));
  s.write("x.pb", tensor({1, 2}, {7, 8}));
  const std::vector<std::string> inputs = {"--input", "xs=xs.pb", "--input", "x=x.pb", "--output-dir", "out"};
  std::vector<std::string> words = {"run", "m.onnx"};
  words.insert(words.end(), inputs.begin(), inputs.end());
  const Ended e = cameo::testing::cameo(words, s.path());
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(e.out, "pushed: sequence of 3\npushed[0]: f32[1,2] = 1 2\npushed[1]: f32[2,2] = 3 4 5 6\n"
                   "pushed[2]: f32[1,2] = 7 8\npopped: sequence of 1\npopped[0]: f32[1,2] = 1 2\n");
  // What it wrote can be read again.
  const Ended again =
      cameo::testing::cameo({"run", "m.onnx", "--input", "xs=out/pushed.pb", "--input", "x=x.pb"}, s.path());
  EXPECT_NE(again.out.find("popped: sequence of 2\n"), std::string::npos) << again.out << again.err;
}

TEST(SequencesTool, ValuesThatDoNotFitAreRefused) {
  Scratch s;
  s.write("m.onnx", pushpop_model());
  auto refused = [&](const std::string &content) {
    s.write("xs.pb", content);
    const Ended e = cameo::testing::cameo({"run", "m.onnx", "--input", "xs=xs.pb"}, s.path());
    EXPECT_EQ(e.code, 65) << e.out;
    return e.err;
  };
  EXPECT_EQ(refused(sequence({tensor({1, 2}, {1, 2}), tensor({3}, {1, 2, 3})})),
            "cameo: xs.pb: element 1 is f32[3], input 'xs' needs sequence of f32[?,2]\n");
  EXPECT_EQ(refused(sequence({tensor({2, 1}, {1, 2})})),
            "cameo: xs.pb: element 0 is f32[2,1], input 'xs' needs sequence of f32[?,2]\n");
  EXPECT_NE(refused(sequence({sequence({})})), "");
  EXPECT_NE(refused("\xff\xff"), "");
}

TEST(SequencesTool, RandomOnesAreToldOf) {
  Scratch s;
  s.write("m.onnx", pushpop_model());
  const Ended e = cameo::testing::cameo({"run", "m.onnx", "--seed", "3"}, s.path());
  EXPECT_EQ(e.code, 0) << e.err;
  EXPECT_NE(e.err.find("'xs' is "), std::string::npos) << e.err;
  EXPECT_EQ(cameo::testing::cameo({"bench", "m.onnx"}, s.path()).code, 0);
}

TEST(SequencesTool, OptionalsMayBeAbsent) {
  Scratch s;
  auto run = [&](const std::string &type, const std::string &content) {
    s.write("m.onnx", identity_model(type));
    s.write("x.pb", content);
    const Ended e = cameo::testing::cameo({"run", "m.onnx", "--input", "x=x.pb", "--output-dir", "."}, s.path());
    EXPECT_EQ(e.code, 0) << e.err;
    const Ended again = cameo::testing::cameo({"run", "m.onnx", "--input", "x=y.pb"}, s.path());
    EXPECT_EQ(again.out, e.out) << "what was written is read as another value";
    return e.out;
  };
  const std::string one = optional_type(tensor_type({2})), list = optional_type(sequence_type(any_rank()));
  EXPECT_EQ(run(one, number(2, 1) + bytes(3, tensor({2}, {5, 6}))), "y: f32[2] = 5 6\n");
  EXPECT_EQ(run(one, ""), "y: absent\n");
  EXPECT_EQ(run(list, number(2, 3) + bytes(5, sequence({tensor({}, {5}), tensor({1, 2}, {6, 7})}))),
            "y: sequence of 2\ny[0]: f32 = 5\ny[1]: f32[1,2] = 6 7\n");
  EXPECT_EQ(run(list, number(2, 3) + bytes(5, sequence({}))), "y: sequence of 0\n");
  EXPECT_EQ(run(list, number(2, 3)), "y: absent\n");
}

TEST(SequencesTool, InspectSaysWhatTheyAre) {
  Scratch s;
  s.write("m.onnx", pushpop_model());
  ASSERT_EQ(cameo::testing::cameo({"compile", "m.onnx", "-o", "m.so"}, s.path()).code, 0);
  for (const char *file : {"m.onnx", "m.so"}) {
    const Ended e = cameo::testing::cameo({"inspect", file}, s.path());
    EXPECT_EQ(e.code, 0) << e.err;
    EXPECT_NE(e.out.find("input   xs: sequence of f32[?,2]\n"), std::string::npos) << e.out;
    EXPECT_NE(e.out.find("output  popped: sequence of f32[?,2]\n"), std::string::npos) << e.out;
  }
  const Ended json = cameo::testing::cameo({"inspect", "m.so", "--json"}, s.path());
  EXPECT_NE(json.out.find("\"kind\": \"sequence\""), std::string::npos) << json.out;
}

TEST(SequencesTool, ACProgramPassesThem) {
  Scratch s;
  s.write("m.onnx", pushpop_model());
  ASSERT_EQ(cameo::testing::cameo({"compile", "m.onnx", "-o", "pushpop.so"}, s.path()).code, 0);
  std::ifstream header(s.path("pushpop.h"));
  const std::string text((std::istreambuf_iterator<char>(header)), std::istreambuf_iterator<char>());
  EXPECT_NE(text.find("input  'xs': sequence of f32[?][2], as 2 tensors (CameoContainer):"), std::string::npos);
  const Ended built =
      run_program({"cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-I.", source("tests/consumer/sequences.c"),
                   "./pushpop.so", "-Wl,-rpath,$ORIGIN", "-o", "app"},
                  s.path());
  ASSERT_EQ(built.code, 0) << built.err;
  const Ended ran = run_program({"./app"}, s.path());
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "ok\n");
}
