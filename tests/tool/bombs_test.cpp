// Small models that ask for much, through the whole tool: rows B53, B57, B63 and B64 of the reliability table. Each
// must end within the memory limit; what would be exponential work would not end at all, and the limit on processor
// time says so.
#include "../support/scratch.h"
#include "onnx_bytes.h"
#include "process.h"

#include <gtest/gtest.h>

#include <sys/resource.h>

namespace {

using namespace cameo::testing;

void limited() {
  const rlimit seconds{120, 120};
  setrlimit(RLIMIT_CPU, &seconds);
#ifndef __SANITIZE_ADDRESS__ // its shadow memory is address space too
  const rlimit memory{rlim_t{3} << 30, rlim_t{3} << 30};
  setrlimit(RLIMIT_AS, &memory);
#endif
}

Ended compile(const std::string &model) {
  Scratch s;
  s.write("m.onnx", model);
  const Ended e = cameo::testing::cameo({"compile", "m.onnx", "-o", "out.so"}, s.path(), limited);
  EXPECT_EQ(e.signal, 0);
  EXPECT_EQ(s.read("out.so") != "(absent)", e.code == 0);
  return e;
}

void compiles(const std::string &model) {
  const Ended e = compile(model);
  EXPECT_EQ(e.code, 0) << e.err;
}

std::string integer_attribute(const std::string &name, uint64_t value) {
  return bytes(5, bytes(1, name) + number(3, value) + number(20, 2));
}
std::string graph_attribute(const std::string &name, const GraphBytes &graph) {
  return bytes(5, bytes(1, name) + bytes(6, graph.graph()) + number(20, 5));
}
std::string name(const char *stem, int i) { return stem + std::to_string(i); }

/// TensorProto of i64[n], or of a scalar.
std::string integers(const std::string &name, const std::vector<int64_t> &values, bool scalar = false) {
  std::string out, data;
  if (!scalar) out += number(1, values.size());
  for (int64_t v : values) data.append(reinterpret_cast<const char *>(&v), sizeof v);
  return out + number(2, 7) + bytes(8, name) + bytes(9, data);
}

// y = op(...op(x, x)..., ...): each value is read twice.
GraphBytes chain(int length, const std::function<std::string(int, const std::string &, const std::string &)> &link) {
  GraphBytes g = relu_graph();
  g.nodes.clear();
  for (int i = 0; i < length; ++i)
    g.nodes.push_back(link(i, i == 0 ? "x" : name("v", i - 1), i + 1 == length ? "y" : name("v", i)));
  return g;
}

TEST(Bombs, B53NestedBranches) {
  GraphBytes inner;
  inner.nodes = {node("Relu", {"x"}, {"v0"})};
  inner.outputs = {value_info("v0", {2, 3})};
  for (int level = 1; level <= 32; ++level) {
    GraphBytes other, outer;
    other.nodes = {node("Abs", {"x"}, {name("o", level)})};
    other.outputs = {value_info(name("o", level), {2, 3})};
    outer.nodes = {node("If", {"c"}, {name("v", level)}, "n",
                        graph_attribute("then_branch", inner) + graph_attribute("else_branch", other))};
    outer.outputs = {value_info(name("v", level), {2, 3})};
    inner = outer;
  }
  inner.inputs = {value_info("x", {2, 3}), value_info("c", {}, 9)};
  compiles(inner.model());
}

TEST(Bombs, B63ResultsThatNoMemoryHoldsAreNotMadeWhileCompiling) {
  GraphBytes g = relu_graph();
  g.inputs.clear();
  g.initializers = {integers("s", {1 << 20, 1 << 20})};
  g.nodes = {node("ConstantOfShape", {"s"}, {"a"}), node("Relu", {"a"}, {"b"}),
             node("ReduceSum", {"b"}, {"y"}, "n", integer_attribute("keepdims", 0))};
  g.outputs = {value_info("y", {})};
  compiles(g.model());
  g.nodes = {node("ConstantOfShape", {"s"}, {"y"})};
  g.outputs = {value_info("y", {1 << 20, 1 << 20})};
  compiles(g.model());

  Scratch s; // the run says that it cannot have the memory
  s.write("m.onnx", g.model());
  const Ended e = cameo::testing::cameo({"run", "m.onnx"}, s.path(), limited);
  EXPECT_EQ(e.signal, 0);
  EXPECT_EQ(e.code, 74) << e.err;
  EXPECT_TRUE(e.err.starts_with("cameo: ")) << e.err;
  EXPECT_NE(e.err.find("memory"), std::string::npos) << e.err;
  EXPECT_EQ(std::count(e.err.begin(), e.err.end(), '\n'), 1) << e.err;
}

TEST(Bombs, B63LoopsOfAnyTripCountAreCompiled) {
  for (int64_t trip : {int64_t{1} << 62, INT64_MAX, INT64_MIN}) {
    GraphBytes body;
    body.inputs = {value_info("i", {}, 7), value_info("c", {}, 9), value_info("v", {2, 3})};
    body.nodes = {node("Identity", {"c"}, {"c2"}), node("Relu", {"v"}, {"v2"})};
    body.outputs = {value_info("c2", {}, 9), value_info("v2", {2, 3})};
    GraphBytes g = relu_graph();
    g.initializers = {integers("m", {trip}, true)};
    g.nodes = {node("Loop", {"m", "", "x"}, {"y"}, "n", graph_attribute("body", body))};
    compiles(g.model());
  }
}

TEST(Bombs, B64ValuesThatAreReadTwiceAreComputedOnce) {
  compiles(chain(500, [](int, const std::string &from, const std::string &to) {
             return node("Add", {from, from}, {to});
           }).model());
  compiles(chain(60, [](int i, const std::string &from, const std::string &to) {
             return node(i % 2 ? "Mul" : "Max", {from, from}, {to});
           }).model());
}

TEST(Bombs, B64LongChains) {
  for (const char *op : {"Relu", "Softmax"})
    compiles(chain(2000, [&](int, const std::string &from, const std::string &to) {
               return node(op, {from}, {to});
             }).model());
}

TEST(Bombs, B64WideNodes) {
  GraphBytes g = relu_graph();
  g.nodes = {node("Concat", std::vector<std::string>(1000, "x"), {"y"}, "n", integer_attribute("axis", 0))};
  g.outputs = {value_info("y", {2000, 3})};
  compiles(g.model());
}

} // namespace
