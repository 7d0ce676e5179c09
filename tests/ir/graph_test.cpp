#include "cameo/ir/builder.h"
#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"

#include <gtest/gtest.h>

#include <random>

using namespace cameo;
using namespace cameo::graph;

namespace {

Graph read(const std::string &text) {
  auto graph = parse(text, "test");
  EXPECT_TRUE(graph.ok()) << to_string(graph.errors()[0]);
  return graph.ok() ? std::move(*graph) : Graph();
}

Node *find(Graph &graph, std::string_view result) {
  for (Node *node : Graph::all_nodes(graph.main().body))
    for (Value *value : node->results())
      if (value->name() == result) return node;
  ADD_FAILURE() << "no value " << result;
  return nullptr;
}

const char *kSmall = R"(graph @g stage imported {
  main(%x: f32[4], %c: bool[]) {
    %a = relu %x : f32[4]
    %b = add %a, %a : f32[4]
    %y = if %c : f32[4] () {
      %t = add %b, %x : f32[4]
      yield %t
    } () {
      yield %a
    }
    yield %y as "y", %b as "b"
  }
}
)";

TEST(Graph, KeepsUsesInBothDirections) {
  Graph graph = read(kSmall);
  Value *a = find(graph, "a")->result(), *b = find(graph, "b")->result(), *x = graph.main().body->argument(0);
  EXPECT_EQ(a->uses().size(), 3u); // twice in the add, once in the else branch
  EXPECT_EQ(a->users().size(), 2u);
  graph.set_operand(b->producer(), 0, x);
  EXPECT_EQ(a->uses().size(), 2u);
  EXPECT_EQ(x->uses().size(), 3u);
  graph.replace(a, x);
  EXPECT_TRUE(a->unused());
  EXPECT_EQ(graph.main().body->nodes().first, a->producer());
  graph.erase(a->producer());
  EXPECT_TRUE(verify(graph).empty());
  EXPECT_EQ(graph.node_count(), 3u);
  EXPECT_THROW(graph.erase(b->producer()), InternalError) << "its result is used";
}

TEST(Graph, ReplaceHandsOverTheName) {
  Graph graph = read(kSmall);
  Value *a = find(graph, "a")->result();
  Builder builder = Builder::ahead_of(graph, a->producer());
  Value *clipped = builder.elementwise(Fn::abs, {graph.main().body->argument(0)});
  graph.replace(a, clipped);
  EXPECT_EQ(clipped->name(), "a");
  EXPECT_TRUE(verify(graph).empty());
}

TEST(Graph, ErasesRegionsWithTheirUses) {
  Graph graph = read(kSmall);
  Node *branch = find(graph, "y");
  Value *x = graph.main().body->argument(0), *b = find(graph, "b")->result();
  graph.set_results(graph.main(), {b}, {"b"});
  graph.erase(branch);
  EXPECT_EQ(x->uses().size(), 1u);
  EXPECT_EQ(b->uses().size(), 1u);
  EXPECT_TRUE(verify(graph).empty());
  EXPECT_THROW(graph.erase(branch), InternalError) << "a husk";
}

TEST(Graph, IterationSurvivesErasingAndInserting) {
  Graph graph("g");
  Region *body = graph.main().body;
  Value *x = graph.add_argument(body, Type::tensor(DType::f32, {4}), "x");
  Builder builder = Builder::at_end(graph, body);
  for (int i = 0; i < 10; ++i) builder.elementwise(Fn::relu, {x});
  int visited = 0;
  for (Node *node : body->nodes()) {
    ++visited;
    if (visited == 3) { // the current node and the one behind it go, one comes in behind
      Node *after = body->node_list()[3];
      Builder::ahead_of(graph, body->node_list()[4]).elementwise(Fn::abs, {x});
      graph.erase(after);
      graph.erase(node);
    }
  }
  EXPECT_EQ(visited, 10);
  EXPECT_EQ(body->size(), 9u);
}

TEST(Graph, OrderHoldsUnderInsertionAndMoves) {
  Graph graph("g");
  Region *body = graph.main().body;
  Value *x = graph.add_argument(body, Type::tensor(DType::f32, {4}), "x");
  std::mt19937 random(3);
  std::vector<Node *> order;
  for (int i = 0; i < 500; ++i) {
    size_t at = random() % (order.size() + 1);
    InsertPoint point = at < order.size() ? InsertPoint::ahead_of(order[at]) : InsertPoint::end(body);
    if (order.size() > 2 && random() % 4 == 0) {
      size_t from = random() % order.size();
      if (from == at) continue;
      Node *node = order[from];
      graph.move(node, point);
      order.erase(order.begin() + static_cast<std::ptrdiff_t>(from));
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(at - (from < at)), node);
    } else {
      order.insert(order.begin() + static_cast<std::ptrdiff_t>(at),
                   Builder(graph, point).elementwise(Fn::relu, {x})->producer());
    }
    size_t a = random() % order.size(), b = random() % order.size();
    ASSERT_EQ(Graph::is_before(order[a], order[b]), a < b);
  }
  EXPECT_EQ(body->node_list(), order);
}

TEST(Graph, OrderAndCapturesAcrossRegions) {
  Graph graph = read(kSmall);
  Node *a = find(graph, "a"), *branch = find(graph, "y"), *t = find(graph, "t");
  EXPECT_TRUE(Graph::is_before(a, t));
  EXPECT_FALSE(Graph::is_before(t, a));
  EXPECT_FALSE(Graph::is_before(branch, t)) << "a node is not before what it holds";
  auto captured = Graph::captures(branch->body(0));
  ASSERT_EQ(captured.size(), 2u);
  EXPECT_EQ(captured[0]->name(), "b");
  EXPECT_EQ(captured[1]->name(), "x");
}

TEST(Graph, CloneGivesFreshSymbolsOnlyToWhatItDefines) {
  Graph graph = read(R"(graph @g stage imported {
  symbol ?1 in [0, ?0]
  main(%x: f32[4], %c: bool[]) {
    %n = nonzero %x : i64[1, ?0]
    %y = if %c : i64[?2] () {
      %f = cast %n {saturate = true} : f32[1, ?0]
      %m = nonzero %f : i64[2, ?1]
      %d = dims {values = [?0, ?1]} : i64[2]
      yield %d
    } () {
      %e = dims {values = [?0, 1]} : i64[2]
      yield %e
    }
    yield %y as "y"
  }
})");
  std::unordered_map<const Value *, Value *> map;
  Node *branch = find(graph, "y");
  Value *inner = find(graph, "m")->result();
  std::vector<Value *> results = graph.clone(*branch->body(0), InsertPoint::ahead_of(branch), map);
  EXPECT_TRUE(verify(graph).empty()) << verify(graph)[0];
  EXPECT_EQ(results[0]->producer()->dims("values"), (std::vector<Dim>{Dim::runtime(0), Dim::runtime(3)}));
  EXPECT_EQ(graph.symbol("?3").upper, Dim::runtime(0));
  EXPECT_EQ(map.at(inner)->region(), graph.main().body);
}

TEST(Graph, SubstitutesSymbolsAndReportsWhatDoesNotFit) {
  const char *text = R"(graph @g stage imported {
  symbol n in [1, 64]
  symbol ?0 in [0, 4*n]
  main(%x: f32[n, 4]) {
    %i = nonzero %x : i64[2, ?0]
    %p = pad %x {mode = edge, low = [0, 0], high = [n, 0]} : f32[2*n, 4]
    yield %i as "i", %p as "p"
  }
})";
  Graph graph = read(text);
  EXPECT_EQ(graph.used_symbols(), (std::vector<std::string>{"n", "?0"}));
  EXPECT_EQ(graph.bounds(*parse_dim("?0 + 1")), (Interval{1, 257}));
  ASSERT_TRUE(graph.substitute({{"n", 3}}).ok());
  EXPECT_TRUE(verify(graph).empty());
  EXPECT_EQ(find(graph, "p")->result()->type().str(), "f32[6, 4]");
  EXPECT_EQ(find(graph, "p")->dims("high")[0], Dim(3));
  EXPECT_EQ(graph.symbol("?0").upper, Dim(12));
  EXPECT_EQ(graph.symbols().count("n"), 0u);

  Graph small = read(text);
  auto zero = small.substitute({{"n", 0}});
  ASSERT_FALSE(zero.ok());
  EXPECT_EQ(to_string(zero.errors()[0]), "symbol n: 0 is outside of its bounds, 1 to 64");
  Graph large = read(text);
  large.set_symbol(Dim::symbol("n"), {});
  auto huge = large.substitute({{"n", INT64_MAX / 2}});
  ASSERT_FALSE(huge.ok());
  EXPECT_EQ(exit_code(huge.errors()), ExitCode::bad_model);
  EXPECT_NE(huge.errors()[0].what.find("overflow"), std::string::npos);
}

TEST(Graph, ConstructorsCheckTheRow) {
  Graph graph("g");
  Region *body = graph.main().body;
  Type type = Type::tensor(DType::f32, {4});
  Value *x = graph.add_argument(body, type, "x");
  InsertPoint end = InsertPoint::end(body);
  EXPECT_THROW(graph.create(end, Op::elementwise, {x, x}, {{"fn", Fn::relu}}, {type}), InternalError);
  EXPECT_THROW(graph.create(end, Op::softmax, {x}, {{"axis", 0}}, {type}), InternalError);
  EXPECT_THROW(graph.create(end, Op::softmax, {x}, {{"axis", 0.5}, {"log", false}}, {type}), InternalError);
  EXPECT_THROW(graph.create(end, Op::softmax, {}, {{"axis", 0}, {"log", false}}, {type}), InternalError);
  EXPECT_THROW(graph.create(end, Op::softmax, {x}, {{"axis", 0}, {"log", false}}, {type, type}), InternalError);
  EXPECT_EQ(body->size(), 0u);
  Node *node = graph.create(end, Op::softmax, {x}, {{"log", false}, {"axis", 0}}, {type});
  EXPECT_EQ(node->integer("axis"), 0);
  EXPECT_THROW(node->integer("log"), InternalError);
  EXPECT_THROW(node->set("axis", std::string("0")), InternalError);
  EXPECT_THROW(node->set("base", 2.0), InternalError);
}

TEST(Verify, FindsWhatTextCannotExpress) {
  Graph graph = read(kSmall);
  Node *a = find(graph, "a"), *b = find(graph, "b"), *branch = find(graph, "y"), *t = find(graph, "t");
  auto first = [&] {
    auto problems = verify(graph);
    return problems.empty() ? std::string() : problems[0];
  };
  EXPECT_EQ(first(), "");
  graph.move(a, InsertPoint::ahead_of(branch)); // behind b, which uses it
  EXPECT_NE(first().find("operand %a is not visible here"), std::string::npos) << first();
  graph.move(a, InsertPoint::ahead_of(b));
  EXPECT_EQ(first(), "");
  graph.set_results(graph.main(), {t->result()}, {"y"});
  EXPECT_NE(first().find("operand %t is not visible here"), std::string::npos) << first();
  graph.set_results(graph.main().body, {branch->result(), b->result()});
  EXPECT_NE(first().find("1 names for 2 results"), std::string::npos) << first();
  graph.main().result_names = {"y", "b"};
  b->result()->set_type(Type::tensor(DType::f32, {Dim(INT64_MAX) + 1}));
  EXPECT_NE(first().find("extent overflows 64 bits"), std::string::npos) << first();
  EXPECT_THROW(verify_or_die(graph, "test"), InternalError);
}

// Mutations of every text of tests/ir are answered by a graph or a message, never by an assertion.
TEST(Parse, HostileTextNeverReachesAnAssertion) {
  std::mt19937 random(11);
  const std::string seed = R"(graph @g stage imported {
  symbol n in [1, 64]
  main(%x: f32[n, 4], %l: f32[1, 2, 3, 4] nhwc, %s: seq<opt<map<i64, f32[*]>>>, %q: i8[3] quant(f32, axis 0, scale [1.0, 2.0, 3.0], zero [0, 1, 2])) {
    %w = constant f16[3] [0.1, nan, bits 0x7fff]
    %d = constant u8[20] data 0xaa
    %y, %z = loop _, _, %x : f32[n, 4], f32[?1, ?3, 4] (%i: i64[], %c: bool[], %a: f32[n, 4]) {
      %t = pad %a, _, %w {mode = edge, low = [floordiv(n, 2), 0]} : f32[?0, 4]
      yield %c, %a, %t
    } from "loop"
    %e = constant string[2] ["a", "b"]
    %f = constant i4[3] [1, 2, -1]
    %g = constant c64[] [(1.0, -2.0)]
    yield %y as "y", %z as "z"
  }
  func @f() {
    yield
  }
  data 0xaa = hex "000102030405060708090a0b0c0d0e0f10111213"
})";
  const char *pieces[] = {"%x", "(", ")", "{",  "}",   "[",     "]",  ",",    "-1", "9223372036854775807",
                          "\"", "_", ":", "?0", "f32", "yield", "0x", "data", "=",  "#2",
                          "*",  "\n"};
  EXPECT_EQ(read(seed).node_count(), 7u);
  int accepted = 0;
  for (size_t cut = 0; cut <= seed.size(); ++cut) (void)parse(seed.substr(0, cut), "t").ok();
  for (int round = 0; round < 20000; ++round) {
    std::string text = seed;
    for (int change = 0; change < 1 + round % 3; ++change) {
      size_t at = random() % text.size();
      switch (random() % 4) {
      case 0:
        text.erase(at, 1 + random() % 8);
        break;
      case 1:
        text.insert(at, pieces[random() % std::size(pieces)]);
        break;
      case 2:
        text[at] = static_cast<char>(random());
        break;
      default: { // move a piece elsewhere
        std::string piece = text.substr(at, random() % 30);
        text.insert(random() % text.size(), piece);
      }
      }
      if (text.empty()) text = "x";
    }
    auto graph = parse(text, "t");
    if (!graph.ok()) continue;
    ++accepted;
    (void)verify(*graph);
    PrintOptions options;
    options.data = PrintOptions::Data::hex;
    std::string printed = print(*graph, options);
    auto again = parse(printed, "printed");
    ASSERT_TRUE(again.ok()) << text << "\n" << printed << to_string(again.errors()[0]);
    ASSERT_EQ(print(*again, options), printed);
  }
  EXPECT_GT(accepted, 300);
}

TEST(Parse, NestingIsBounded) {
  std::string open, close;
  for (int i = 0; i < 1000; ++i) {
    open += "%y = if %c : f32[] () {\n";
    close += "yield %c } () { yield %c }\n";
  }
  auto graph = parse("graph @g stage imported { main(%c: bool[]) {\n" + open + close + "yield } }", "t");
  ASSERT_FALSE(graph.ok());
  EXPECT_NE(graph.errors()[0].what.find("regions nested deeper than 64"), std::string::npos);
}

TEST(Print, ExternalDataReadsBack) {
  Graph graph("g");
  Builder builder = Builder::at_end(graph, graph.main().body);
  std::vector<double> values(100);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) / 8;
  Value *a = builder.constant(ConstantData::of(DType::f32, {100}, values), "a");
  Value *b = builder.constant(ConstantData::of(DType::f16, {10, 10}, values), "b");
  graph.set_results(graph.main(), {a, b}, {"a", "b"});
  PrintOptions options;
  options.data = PrintOptions::Data::external;
  options.external_file = "weights.bin";
  std::string bytes = external_data(graph, options);
  EXPECT_EQ(bytes.size(), 600u);
  ParseOptions parsing;
  parsing.read_external = [&](const std::string &file, int64_t offset,
                              int64_t length) -> Result<std::vector<std::byte>> {
    EXPECT_EQ(file, "weights.bin");
    const auto *p = reinterpret_cast<const std::byte *>(bytes.data()) + offset;
    return std::vector<std::byte>(p, p + length);
  };
  auto again = parse(print(graph, options), "t", parsing);
  ASSERT_TRUE(again.ok()) << to_string(again.errors()[0]);
  EXPECT_TRUE(same(graph, *again));
  EXPECT_EQ(find(*again, "b")->tensor("value")->as_double(99), 99.0 / 8);
  // Without the file the data is absent, and the text stays the same.
  auto absent = parse(print(graph), "t");
  ASSERT_TRUE(absent.ok());
  EXPECT_FALSE(find(*absent, "a")->tensor("value")->available());
  EXPECT_EQ(print(*absent), print(graph));
  // A resolver finds it by hash.
  ParseOptions resolving;
  resolving.resolve = [&](uint64_t hash, DType, const std::vector<int64_t> &) {
    return hash == a->constant()->content_hash() ? a->producer()->tensor("value") : nullptr;
  };
  auto resolved = parse(print(graph), "t", resolving);
  ASSERT_TRUE(resolved.ok());
  EXPECT_TRUE(find(*resolved, "a")->tensor("value")->available());
  EXPECT_FALSE(find(*resolved, "b")->tensor("value")->available());
}

TEST(Graph, LargeGraphsStayLinear) {
  // One value with 50,000 users, replaced; a chain of 50,000 nodes, verified, printed, parsed. Quadratic work would not
  // end.
  Graph graph("g");
  Region *body = graph.main().body;
  Type type = Type::tensor(DType::f32, {4});
  Value *x = graph.add_argument(body, type, "x"), *y = graph.add_argument(body, type, "y");
  Builder builder = Builder::at_end(graph, body);
  Value *chain = x;
  for (int i = 0; i < 50000; ++i) chain = builder.add(chain, x);
  graph.set_results(graph.main(), {chain}, {"out"});
  graph.replace(x, y);
  EXPECT_EQ(y->uses().size(), 50001u);
  EXPECT_TRUE(verify(graph).empty());
  auto again = parse(print(graph), "t");
  ASSERT_TRUE(again.ok());
  for (Node *node : again->main().body->nodes()) again->replace(node->result(), again->main().body->argument(1));
  for (Node *node : again->main().body->nodes()) again->erase(node);
  EXPECT_EQ(again->node_count(), 0u);
}

} // namespace
