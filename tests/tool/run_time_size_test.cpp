// Outputs whose size only a run can tell, through the tool: more room is asked for, nothing is too small, too much is
// refused.
#include "../support/scratch.h"
#include "onnx_bytes.h"
#include "process.h"

#include <gtest/gtest.h>

namespace {

using namespace cameo::testing;

std::string word(int64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
  return bytes;
}

std::string scalar(const std::string &name, int64_t value) {
  return number(2, 7) + bytes(8, name) + bytes(9, word(value));
}

// An i64 scalar as an .npy file.
std::string npy(int64_t value) {
  std::string header = "{'descr': '<i8', 'fortran_order': False, 'shape': (), }";
  header.resize(117, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + word(value);
}

// y = 0, 1, ... below the input.
std::string counting_model() {
  GraphBytes g;
  g.nodes = {node("Range", {"start", "limit", "delta"}, {"y"})};
  g.inputs = {value_info("limit", {}, 7)};
  g.outputs = {bytes(1, "y") + bytes(2, bytes(1, number(1, 7)))};
  g.initializers = {scalar("start", 0), scalar("delta", 1)};
  return g.model();
}

// GlobalAveragePool(MaxPool(x)), f32[1, 1, n], a window of 3: the tensor between has n - 2 elements, which no output
// shows.
TEST(RunTimeSize, AWindowLargerThanItsInputIsAStatus) {
  const std::string window = bytes(5, bytes(1, "kernel_shape") + number(8, 3) + number(20, 7));
  const std::string shape = bytes(1, number(1, 1)) + bytes(1, number(1, 1)) + bytes(1, bytes(2, "n"));
  const std::string x = bytes(1, "x") + bytes(2, bytes(1, number(1, 1) + bytes(2, shape)));
  const GraphBytes graph = {
      {node("MaxPool", {"x"}, {"m"}, "pool", window), node("GlobalAveragePool", {"m"}, {"y"}, "mean")},
      {x},
      {value_info("y", {1, 1, 1})},
      {}};
  Scratch s;
  s.write("m.onnx", graph.model());
  ASSERT_EQ(cameo::testing::cameo({"compile", "m.onnx", "-o", "m.so"}, s.path()).code, 0);
  for (const char *n : {"n=0", "n=1"}) {
    const Ended e = cameo::testing::cameo({"run", "m.so", "--dim", n}, s.path());
    EXPECT_EQ(e.code, 1) << e.out;
    EXPECT_EQ(e.err, "cameo: m.onnx: a tensor inside the model would have a negative extent: an input is too small\n");
  }
  EXPECT_EQ(cameo::testing::cameo({"run", "m.so", "--dim", "n=3"}, s.path()).code, 0);
}

} // namespace

TEST(RunTimeSize, OutputsGetTheRoomThatTheyNeed) {
  const Scratch scratch;
  const std::string model = scratch.write("count.onnx", counting_model());
  const auto run = [&](int64_t limit) {
    return cameo::testing::cameo({"run", model, "--input", "limit=" + scratch.write("limit.npy", npy(limit))});
  };
  EXPECT_NE(run(5).out.find("y: i64[5] = 0 1 2 3 4"), std::string::npos) << run(5).out << run(5).err;
  EXPECT_NE(run(-5).out.find("y: i64[0]"), std::string::npos) << run(-5).out;
  EXPECT_NE(run(400000).out.find("y: i64[400000] = 0 1 2"), std::string::npos) << "more than the first room";
  const Ended much = run(int64_t{1} << 60);
  EXPECT_EQ(much.code, 1) << much.err;
  EXPECT_NE(much.err.find("exceeds its limit"), std::string::npos) << much.err;
  const Ended inspected = cameo::testing::cameo({"inspect", model});
  EXPECT_NE(inspected.out.find("run-time memory: 1 tensor is allocated while running"), std::string::npos)
      << inspected.out;
}
