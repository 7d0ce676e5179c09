// Sequences and optionals at the interface of main: which tensors take their place, in which order and under which
// names.
#include "cameo/passes/containers.h"

#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"

#include <gtest/gtest.h>

namespace cameo::passes {
namespace {

graph::Graph exposed(const std::string &text, ContainerPorts &ports) {
  Result<graph::Graph> g = graph::parse(text, "test.graph");
  EXPECT_TRUE(g.ok()) << to_string(g.errors()[0]);
  ports = expose_containers(*g);
  const std::vector<std::string> problems = graph::verify(*g);
  EXPECT_TRUE(problems.empty()) << problems[0];
  return std::move(*g);
}

std::string interface(const graph::Graph &g) {
  std::string text;
  for (const graph::Value *v : g.main().body->arguments()) text += v->name() + ": " + v->type().str() + "; ";
  text += "->";
  const auto results = g.main().body->results();
  for (size_t i = 0; i < results.size(); ++i)
    text += " " + g.main().result_names[i] + ": " + results[i]->type().str() + ";";
  return text;
}

} // namespace

TEST(Containers, PartsStandInTheirPlace) {
  ContainerPorts ports;
  const graph::Graph g = exposed(R"(graph @g stage canonical {
    main(%x: f32[2], %s: seq<f32[?0, 4]>, %o: opt<seq<i64[*]>>, %z: opt<bool[]>) {
      yield %o as "o", %x as "y", %s as "t"
    }
  })",
                                 ports);
  EXPECT_EQ(
      interface(g),
      "x: f32[2]; s.dims: i64[s.length, 2]; s.data: f32[s.total]; o.dims: i64[o.length, 8]; o.data: i64[o.total]; "
      "o.ranks: i64[o.length]; o.present: bool[]; z.dims: i64[z.length, 0]; z.data: bool[z.total]; -> o.dims: "
      "i64[?1, 8]; o.data: i64[?2]; o.ranks: i64[?1]; o.present: bool[]; y: f32[2]; t.dims: i64[?3, 2]; t.data: "
      "f32[?4];");
  ASSERT_EQ(ports.inputs.size(), 3u);
  EXPECT_EQ(ports.inputs[0].name, "s");
  EXPECT_EQ(ports.inputs[0].first, 1u);
  EXPECT_EQ(ports.inputs[0].form, (graph::ContainerForm{graph::ContainerForm::Kind::sequence, DType::f32, 2}));
  ASSERT_EQ(ports.inputs[0].element.size(), 2u);
  EXPECT_TRUE(ports.inputs[0].element[1].is(4));
  EXPECT_EQ(ports.inputs[1].first, 3u);
  EXPECT_EQ(ports.inputs[1].form,
            (graph::ContainerForm{graph::ContainerForm::Kind::optional_sequence, DType::i64, -1}));
  EXPECT_EQ(ports.inputs[2].first, 7u);
  ASSERT_EQ(ports.outputs.size(), 2u);
  EXPECT_EQ(ports.outputs[0].first, 0u);
  EXPECT_EQ(ports.outputs[1].first, 5u);
}

TEST(Containers, NamesAndSymbolsAreTheirOwn) {
  ContainerPorts ports;
  const graph::Graph g = exposed(R"(graph @g stage canonical {
    main(%s: seq<f32[2]>, %"s.dims": f32["s.length"]) {
      yield %s as "t", %"s.dims" as "t.dims"
    }
  })",
                                 ports);
  EXPECT_EQ(interface(g), "s.dims_: i64[s.length_, 1]; s.data: f32[s.total]; s.dims: f32[s.length]; -> t.dims_: "
                          "i64[?0, 1]; t.data: f32[?1]; t.dims: f32[s.length];");
}

TEST(Containers, OthersStayAsTheyAre) {
  ContainerPorts ports;
  exposed(R"(graph @g stage canonical {
    main(%s: seq<string[2]>, %t: seq<seq<f32[2]>>, %m: map<i64, f32[]>) {
      yield %s as "s", %t as "t"
    }
  })",
          ports);
  EXPECT_TRUE(ports.inputs.empty());
  EXPECT_TRUE(ports.outputs.empty());
}

} // namespace cameo::passes
