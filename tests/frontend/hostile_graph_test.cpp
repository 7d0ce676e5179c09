// RELIABILITY rows B10 to B41 and B53 to B60: graphs, names, types, tensors, functions and opsets that are wrong. One
// row, one case.
#include "model_builder.h"

#include <functional>

namespace cameo::frontend::test {
namespace {

using Change = std::function<void(onnx::ModelProto &)>;

struct Row {
  const char *id;
  ExitCode code;
  const char *message;
  Change change; ///< applied to x -> Relu -> y with the weights w: f32[3]
};

onnx::ModelProto base() {
  onnx::ModelProto model = model_of({node("Relu", {"x"}, {"a"}, "first"), node("Add", {"a", "w"}, {"y"}, "second")});
  *model.mutable_graph()->add_initializer() = floats("w", {3}, {1, 2, 3});
  return model;
}

onnx::GraphProto &graph(onnx::ModelProto &m) { return *m.mutable_graph(); }
onnx::TensorProto &weights(onnx::ModelProto &m) { return *graph(m).mutable_initializer(0); }

// If(cond) whose branches are both `branch`, in place of the second node.
void add_if(onnx::ModelProto &m, const onnx::GraphProto &branch) {
  onnx::NodeProto choose = node("If", {"cond"}, {"y"}, "choose");
  *choose.add_attribute() = attribute("then_branch", branch);
  *choose.add_attribute() = attribute("else_branch", branch);
  *graph(m).mutable_node(1) = choose;
  *graph(m).add_input() = value("cond", 9, {});
}

onnx::GraphProto branch_of(const onnx::NodeProto &n, const std::string &output) {
  onnx::GraphProto g;
  g.set_name("branch");
  *g.add_node() = n;
  *g.add_output() = untyped(output);
  return g;
}

constexpr ExitCode kBad = ExitCode::bad_model, kUnsupported = ExitCode::unsupported;

const std::vector<Row> &rows() {
  static const std::vector<Row> table = {
      {"B10 cycle", kBad, "depend on each other in a circle",
       [](auto &m) { *graph(m).mutable_node(0) = node("Add", {"y", "x"}, {"a"}, "first"); }},
      {"B11 self-loop", kBad, "uses its own output", [](auto &m) { graph(m).mutable_node(0)->set_input(0, "a"); }},
      {"B12 undefined input", kBad, "node 'first' (Relu-14): input 'nowhere' is not defined",
       [](auto &m) { graph(m).mutable_node(0)->set_input(0, "nowhere"); }},
      {"B13 undefined output", kBad, "output 'z' is not defined",
       [](auto &m) { graph(m).mutable_output(0)->set_name("z"); }},
      {"B14 duplicate node outputs", kBad, "value 'a' is defined twice",
       [](auto &m) { *graph(m).add_node() = node("Relu", {"x"}, {"a"}, "third"); }},
      {"B15 duplicate initializer", kBad, "initializer 'w' is defined twice",
       [](auto &m) { *graph(m).add_initializer() = weights(m); }},
      {"B16 duplicate graph input", kBad, "input 'x' is listed twice",
       [](auto &m) { *graph(m).add_input() = graph(m).input(0); }},
      {"B17 duplicate graph output", kBad, "output 'y' is listed twice",
       [](auto &m) { *graph(m).add_output() = untyped("y"); }},
      {"B18 initializer is a node's output", kBad, "value 'a' is defined twice",
       [](auto &m) { *graph(m).add_initializer() = floats("a", {1}, {1}); }},
      {"B19 subgraph hides an outer name", kBad, "'a' hides a value of the graph around",
       [](auto &m) { add_if(m, branch_of(node("Relu", {"x"}, {"a"}), "a")); }},
      {"B21 no outputs", kBad, "the graph has no outputs", [](auto &m) { graph(m).clear_output(); }},

      {"B22 a name that is not UTF-8", kBad, "'\\xff\\xfe' is not defined",
       [](auto &m) { graph(m).mutable_node(0)->set_input(0, "\xff\xfe"); }},
      {"B23 a name with NUL", kBad, "'a\\x00b' is not defined",
       [](auto &m) { graph(m).mutable_node(0)->set_input(0, std::string("a\0b", 3)); }},
      {"B24 a name with a newline and quotes", kBad, "'\\x0a*/\\x22\\x27\\x5c' is not defined",
       [](auto &m) { graph(m).mutable_node(0)->set_input(0, "\n*/\"'\\"); }},
      {"B25 a name of 1 MiB", kBad, "a name of 1048576 bytes (limit 4096)",
       [](auto &m) { graph(m).mutable_node(0)->set_input(0, std::string(1 << 20, 'n')); }},
      {"B25 a name of 4096 bytes is echoed in 200", kBad, "nnn...' is not defined",
       [](auto &m) { graph(m).mutable_node(0)->set_input(0, std::string(4096, 'n')); }},
      {"B26 an input without name", kBad, "an input has no name",
       [](auto &m) { graph(m).mutable_input(0)->set_name(""); }},

      {"B28 dtype 999 of an input", kBad, "input 'x': element type 999 is not defined",
       [](auto &m) { graph(m).mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(999); }},
      {"B28 dtype 0 of an input", kBad, "element type 0 is not defined",
       [](auto &m) { graph(m).mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(0); }},
      {"B28 no type of an input", kBad, "input 'x': has no type",
       [](auto &m) { graph(m).mutable_input(0)->clear_type(); }},
      {"B28 dtype 999 of an initializer", kBad, "initializer 'w': element type 999 is not defined",
       [](auto &m) { weights(m).set_data_type(999); }},
      {"B28 a type that Cameo lacks", kUnsupported, "6-bit floats", [](auto &m) { weights(m).set_data_type(27); }},
      {"B29 type mismatch", kBad, "node 'second' (Add-14): input 'B' is f64[3] where another of type T is f32[2, 3]",
       [](auto &m) {
         const double values[3] = {1, 2, 3};
         weights(m).set_data_type(11);
         weights(m).set_raw_data(values, sizeof values);
       }},
      {"B29 a type that the operator does not take", kBad, "input 'X' is bool[2, 3]; the operator takes f32,",
       [](auto &m) { graph(m).mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(9); }},
      {"B30 wrong kind of attribute", kBad, "attribute 'axis' is a float, not an int",
       [](auto &m) {
         *graph(m).mutable_node(1) = node("Softmax", {"a"}, {"y"});
         *graph(m).mutable_node(1)->add_attribute() = attribute("axis", 1.0f);
       }},
      {"B31 unknown attribute", kBad, "the operator has no attribute 'slope'",
       [](auto &m) { *graph(m).mutable_node(0)->add_attribute() = attribute("slope", int64_t{1}); }},
      {"B32 duplicate attribute", kBad, "attribute 'axis' is given twice",
       [](auto &m) {
         *graph(m).mutable_node(1) = node("Softmax", {"a"}, {"y"});
         *graph(m).mutable_node(1)->add_attribute() = attribute("axis", int64_t{1});
         *graph(m).mutable_node(1)->add_attribute() = attribute("axis", int64_t{0});
       }},
      {"B32 missing attribute", kBad, "attribute 'axis' is missing",
       [](auto &m) { *graph(m).mutable_node(1) = node("Concat", {"a"}, {"y"}); }},
      {"B32 an attribute without its tensor", kBad, "attribute 'value' is empty",
       [](auto &m) {
         *graph(m).mutable_node(1) = node("Constant", {}, {"y"});
         graph(m).mutable_node(1)->add_attribute()->set_name("value");
         graph(m).mutable_node(1)->mutable_attribute(0)->set_type(onnx::AttributeProto::TENSOR);
       }},
      {"B32 a reference to an attribute outside a function", kBad, "refers to one of a function, but is in none",
       [](auto &m) {
         *graph(m).mutable_node(1) = node("Softmax", {"a"}, {"y"});
         *graph(m).mutable_node(1)->add_attribute() = attribute("axis", int64_t{1});
         graph(m).mutable_node(1)->mutable_attribute(0)->set_ref_attr_name("k");
       }},
      {"B33 too many inputs", kBad, "has 3 inputs; the operator takes at most 2",
       [](auto &m) { graph(m).mutable_node(1)->add_input("x"); }},
      {"B33 too few inputs", kBad, "has 1 inputs; the operator needs 2",
       [](auto &m) { graph(m).mutable_node(1)->mutable_input()->RemoveLast(); }},
      {"B33 a needed input left empty", kBad, "input 'A' is missing",
       [](auto &m) { graph(m).mutable_node(1)->set_input(0, ""); }},
      {"B33 too many outputs", kBad, "has 2 outputs; the operator has at most 1",
       [](auto &m) { graph(m).mutable_node(1)->add_output("z"); }},
      {"B33 no outputs of a node", kBad, "has 0 outputs", [](auto &m) { graph(m).mutable_node(0)->clear_output(); }},
      {"B34 the declared shape contradicts", kBad, "output 'y': is declared as f32[2, 4] but is f32[2, 3]",
       [](auto &m) { *graph(m).mutable_output(0) = value("y", 1, {2, 4}); }},
      {"B34 the declared rank contradicts", kBad, "is declared as f32[2] but is f32[2, 3]",
       [](auto &m) { *graph(m).mutable_output(0) = value("y", 1, {2}); }},
      {"B34 the declared type contradicts", kBad, "is declared as f64 but is f32",
       [](auto &m) { *graph(m).mutable_output(0) = value("y", 11, {2, 3}); }},
      {"B34 a declared value contradicts", kBad, "value 'a': is declared as f32[9, 9]",
       [](auto &m) { *graph(m).add_value_info() = value("a", 1, {9, 9}); }},
      {"B34 a declared output of an unknown type", kBad, "declares the element type 77",
       [](auto &m) { *graph(m).mutable_output(0) = value("y", 77, {2, 3}); }},

      {"B35 negative dim of an input", kBad, "input 'x': has the negative dim -2",
       [](auto &m) { *graph(m).mutable_input(0) = value("x", 1, {-2, 3}); }},
      {"B35 negative dim of an initializer", kBad, "initializer 'w': has the negative dim -3",
       [](auto &m) { weights(m).set_dims(0, -3); }},
      {"B36 dims product overflows (initializer)", kBad, "more elements than 64 bits can count",
       [](auto &m) { weights(m).set_dims(0, int64_t{1} << 40), weights(m).add_dims(int64_t{1} << 40); }},
      {"B36 dims product overflows (input)", kBad, "more elements than 64 bits can count",
       [](auto &m) { *graph(m).mutable_input(0) = value("x", 1, {int64_t{1} << 40, int64_t{1} << 40}); }},
      {"B36 bytes overflow (input)", kBad, "number of bytes overflows 64 bits",
       [](auto &m) { *graph(m).mutable_input(0) = value("x", 1, {INT64_MAX}); }},
      {"B36 bytes overflow", kBad, "more bytes than 64 bits can count",
       [](auto &m) { weights(m).set_dims(0, INT64_MAX); }},
      {"B37 1e12 elements in 12 bytes", kBad, "has 12 bytes of raw_data where f32[1000000000000] needs 4000000000000",
       [](auto &m) { weights(m).set_dims(0, 1'000'000'000'000); }},
      {"B38 data shorter than dims", kBad, "has 12 bytes of raw_data where f32[4] needs 16",
       [](auto &m) { weights(m).set_dims(0, 4); }},
      {"B38 data longer than dims", kBad, "has 12 bytes of raw_data where f32[2] needs 8",
       [](auto &m) { weights(m).set_dims(0, 2); }},
      {"B38 no data", kBad, "has 0 values in float_data where f32[3] needs 3",
       [](auto &m) { weights(m).clear_raw_data(); }},
      {"B38 too few typed values", kBad, "has 1 values in float_data where f32[3] needs 3",
       [](auto &m) {
         weights(m).clear_raw_data();
         weights(m).add_float_data(1);
       }},
      {"B39 two data fields", kBad, "has more than one data field", [](auto &m) { weights(m).add_float_data(1); }},
      {"B39 the field of another type", kBad, "has its data in a field that f32 does not use (it uses float_data)",
       [](auto &m) {
         weights(m).clear_raw_data();
         for (int i = 0; i < 3; ++i) weights(m).add_int64_data(i);
       }},
      {"B39 strings in raw_data", kBad, "has strings in raw_data", [](auto &m) { weights(m).set_data_type(8); }},
      {"B39 a segment", kBad, "is stored in segments", [](auto &m) { weights(m).mutable_segment()->set_begin(0); }},
      {"B40 odd raw length", kBad, "has 11 bytes of raw_data",
       [](auto &m) { weights(m).mutable_raw_data()->pop_back(); }},
      {"B40 a value that the type cannot hold", kBad, "has a value in int32_data that u8 cannot hold",
       [](auto &m) {
         weights(m).clear_raw_data();
         weights(m).set_data_type(2);
         for (int i = 0; i < 3; ++i) weights(m).add_int32_data(255 + i);
       }},
      {"B41 rank 100000", kBad, "has rank 100000 (limit 64)",
       [](auto &m) {
         for (int i = 1; i < 100'000; ++i) weights(m).add_dims(1);
       }},
      {"B41 rank 65 of an input", kBad, "has rank 65 (limit 64)",
       [](auto &m) { *graph(m).mutable_input(0) = value("x", 1, std::vector<int64_t>(65, 1)); }},

      {"B58 unknown operator", kUnsupported,
       "node 'first' (Frobnicate): not supported: opset 17 of ai.onnx has no such operator",
       [](auto &m) { graph(m).mutable_node(0)->set_op_type("Frobnicate"); }},
      {"B58 an operator of a later opset", kUnsupported, "opset 17 of ai.onnx does not have the operator yet",
       [](auto &m) { graph(m).mutable_node(0)->set_op_type("Swish"); }},
      {"B58 a removed operator", kUnsupported, "the operator was removed in opset 10",
       [](auto &m) { *graph(m).mutable_node(0) = node("Upsample", {"x", "w"}, {"a"}); }},
      {"B58 unknown domain", kUnsupported, "(com.acme::Relu): not supported: operators of domain 'com.acme'",
       [](auto &m) { graph(m).mutable_node(0)->set_domain("com.acme"); }},
      {"B58 a domain that is not imported", kBad, "no opset of ai.onnx.ml is imported",
       [](auto &m) { graph(m).mutable_node(0)->set_domain("ai.onnx.ml"); }},
      {"B59 opset 9999", kUnsupported, "imports opset 9999 of ai.onnx; the newest that is supported is 28",
       [](auto &m) { m.mutable_opset_import(0)->set_version(9999); }},
      {"B59 opset -1", kBad, "imports opset -1 of ai.onnx",
       [](auto &m) { m.mutable_opset_import(0)->set_version(-1); }},
      {"B59 opset 2^40", kUnsupported, "imports opset 1099511627776 of ai.onnx",
       [](auto &m) { m.mutable_opset_import(0)->set_version(int64_t{1} << 40); }},
      {"B59 no opset", kBad, "imports no opset", [](auto &m) { m.clear_opset_import(); }},
      {"B59 an opset twice", kBad, "imports the opset of ai.onnx twice",
       [](auto &m) {
         auto *again = m.add_opset_import();
         again->set_domain("ai.onnx");
         again->set_version(13);
       }},
      {"B60 ir_version 0", kBad, "has ir_version 0", [](auto &m) { m.set_ir_version(0); }},
      {"B60 ir_version 9999", kUnsupported, "has ir_version 9999", [](auto &m) { m.set_ir_version(9999); }},
      {"no graph", kBad, "has no graph", [](auto &m) { m.clear_graph(); }},
  };
  return table;
}

TEST(HostileGraph, EachRowIsRefused) {
  expect_accepted(load(base()), "the model that the rows change");
  for (const Row &row : rows()) {
    onnx::ModelProto model = base();
    row.change(model);
    expect_refused(load(model), row.code, row.message, row.id);
  }
}

TEST(HostileGraph, B20_UnsortedNodesAreSortedWithAWarning) {
  onnx::ModelProto model = base();
  graph(model).mutable_node()->SwapElements(0, 1);
  const Result<Model> result = load(model);
  expect_accepted(result, "unsorted nodes");
  ASSERT_EQ(result->warnings.size(), 1u);
  EXPECT_NE(result->warnings[0].what.find("not in topological order"), std::string::npos);
}

TEST(HostileGraph, B21_NoNodes) {
  onnx::ModelProto model = base();
  graph(model).clear_node();
  graph(model).mutable_output(0)->set_name("x");
  expect_accepted(load(model), "an output that is an input");
  graph(model).mutable_output(0)->set_name("w");
  expect_accepted(load(model), "an output that is an initializer");
}

TEST(HostileGraph, B22_B27_StrangeNamesAreAcceptedAndStayData) {
  for (const std::string &name : {std::string("\xff\xfe"), std::string("a\0b", 3),
                                  std::string("*/\n?"
                                              "?/\\\n\"'"),
                                  std::string(4096, 'n'), std::string("p\xc3\xa4ivi")}) {
    onnx::ModelProto model = base();
    graph(model).mutable_input(0)->set_name(name);
    graph(model).mutable_node(0)->set_input(0, name);
    graph(model).mutable_output(0)->set_name(name + "y");
    graph(model).mutable_node(1)->set_output(0, name + "y");
    if (name.size() == 4096)
      graph(model).mutable_node(1)->set_output(0, "y"), graph(model).mutable_output(0)->set_name("y");
    expect_accepted(load(model), "a strange name");
  }
}

TEST(HostileGraph, B53_B54_NestedSubgraphs) {
  auto nested = [](int depth) {
    onnx::GraphProto g = branch_of(node("Relu", {"x"}, {"v0"}), "v0");
    for (int i = 1; i <= depth; ++i) {
      const std::string name = "v" + std::to_string(i);
      onnx::NodeProto choose = node("If", {"cond"}, {name});
      onnx::GraphProto other = branch_of(node("Abs", {"x"}, {"o" + std::to_string(i)}), "o" + std::to_string(i));
      *choose.add_attribute() = attribute("then_branch", g);
      *choose.add_attribute() = attribute("else_branch", other);
      g = branch_of(choose, name);
    }
    onnx::ModelProto model = empty_model();
    *model.mutable_graph() = g;
    *model.mutable_graph()->add_input() = value("x", 1, {2, 3});
    *model.mutable_graph()->add_input() = value("cond", 9, {});
    return model.SerializeAsString();
  };
  expect_accepted(load(nested(32)), "32 nested graphs");
  expect_refused(load(nested(33)), kBad, "nested deeper than 32 (limit)", "33 nested graphs");
  expect_refused(load(nested(90)), kBad, "nested deeper than 32 (limit)", "90 nested graphs");
}

// f0 calls f1 calls f2 ...; the last one has a Relu.
onnx::ModelProto function_chain(int length) {
  onnx::ModelProto model = model_of({node("f0", {"x"}, {"y"})});
  model.mutable_graph()->mutable_node(0)->set_domain("local");
  model.add_opset_import()->set_domain("local");
  model.mutable_opset_import(1)->set_version(1);
  for (int i = 0; i < length; ++i) {
    onnx::FunctionProto *f = model.add_functions();
    f->set_name("f" + std::to_string(i));
    f->set_domain("local");
    f->add_input("a");
    f->add_output("b");
    f->add_opset_import()->set_version(17);
    f->add_opset_import()->set_domain("local");
    f->mutable_opset_import(1)->set_version(1);
    *f->add_node() = i + 1 < length ? node("f" + std::to_string(i + 1), {"a"}, {"b"}) : node("Relu", {"a"}, {"b"});
    if (i + 1 < length) f->mutable_node(0)->set_domain("local");
  }
  return model;
}

TEST(HostileGraph, B55_FunctionsThatCallThemselves) {
  onnx::ModelProto itself = function_chain(1);
  *itself.mutable_functions(0)->mutable_node(0) = node("f0", {"a"}, {"b"});
  itself.mutable_functions(0)->mutable_node(0)->set_domain("local");
  expect_refused(load(itself), kBad, "function 'f0' calls itself", "self recursion");

  onnx::ModelProto mutual = function_chain(3);
  *mutual.mutable_functions(2)->mutable_node(0) = node("f0", {"a"}, {"b"});
  mutual.mutable_functions(2)->mutable_node(0)->set_domain("local");
  expect_refused(load(mutual), kBad, "calls itself", "mutual recursion");

  onnx::ModelProto hidden = function_chain(1);
  onnx::NodeProto call = node("f0", {"a"}, {"c"});
  call.set_domain("local");
  onnx::NodeProto choose = node("If", {"a"}, {"b"});
  *choose.add_attribute() = attribute("then_branch", branch_of(call, "c"));
  *hidden.mutable_functions(0)->mutable_node(0) = choose;
  expect_refused(load(hidden), kBad, "calls itself", "recursion through a subgraph");
}

TEST(HostileGraph, B56_ChainsOfFunctions) {
  expect_accepted(load(function_chain(100)), "a chain of 100");
  expect_refused(load(function_chain(101)), kBad, "nested deeper than 100 (limit)", "a chain of 101");
  expect_refused(load(function_chain(5000)), kBad, "nested deeper than 100 (limit)", "a chain of 5000");
  expect_refused(load(function_chain(10'001)), kBad, "has 10001 functions (limit 10000)", "10001 functions");
}

// Each function calls the next twice: 2^length nodes.
onnx::ModelProto billion_laughs(int length) {
  onnx::ModelProto model = function_chain(length);
  for (int i = 0; i + 1 < length; ++i) {
    onnx::FunctionProto *f = model.mutable_functions(i);
    f->mutable_node(0)->set_output(0, "m");
    *f->add_node() = node("f" + std::to_string(i + 1), {"m"}, {"b"});
    f->mutable_node(1)->set_domain("local");
  }
  return model;
}

TEST(HostileGraph, B57_BillionLaughsIsCountedNotExpanded) {
  expect_accepted(load(billion_laughs(11)), "2^10 nodes");
  expect_refused(load(billion_laughs(22)), kBad, "has 2097152 nodes once its functions are inlined (limit 1000000)",
                 "2^21");
  expect_refused(load(billion_laughs(41)), kBad, "has 1099511627776 nodes", "2^40");
  expect_refused(load(billion_laughs(90)), kBad, "has more than 2^63 nodes", "2^89");
}

TEST(HostileGraph, FunctionsTakeAttributesAndDefaults) {
  onnx::ModelProto model = function_chain(1);
  onnx::FunctionProto *f = model.mutable_functions(0);
  *f->mutable_node(0) = node("Concat", {"a", "a"}, {"b"});
  *f->mutable_node(0)->add_attribute() = attribute("axis", int64_t{0});
  f->mutable_node(0)->mutable_attribute(0)->set_ref_attr_name("where");
  f->add_attribute("where");
  expect_refused(load(model), kBad, "attribute 'axis' is missing in the call of the function", "no value");
  *model.mutable_graph()->mutable_node(0)->add_attribute() = attribute("where", int64_t{1});
  EXPECT_EQ(output_type(load(model)), "f32[2, 6]");
}

TEST(HostileGraph, B58_AllUnsupportedNodesAreListedAtOnce) {
  onnx::ModelProto model = model_of({node("Frob", {"x"}, {"a"}, "one"), node("Nicate", {"a"}, {"b"}, "two"),
                                     node("Relu", {"b"}, {"c"}, "three"), node("Frob", {"c"}, {"y"}, "four")});
  const Result<Model> result = load(model);
  ASSERT_FALSE(result.ok());
  ASSERT_EQ(result.errors().size(), 3u);
  EXPECT_EQ(exit_code(result.errors()), kUnsupported);
  EXPECT_NE(to_string(result.errors()[0]).find("node 'one' (Frob)"), std::string::npos);
  EXPECT_NE(to_string(result.errors()[1]).find("node 'two' (Nicate)"), std::string::npos);
  EXPECT_NE(to_string(result.errors()[2]).find("node 'four' (Frob)"), std::string::npos);
}

TEST(HostileGraph, ProblemsBeyondTheLimitAreCounted) {
  onnx::ModelProto model = model_of({});
  for (int i = 0; i < 250; ++i)
    *model.mutable_graph()->add_node() = node("Frob", {"x"}, {"v" + std::to_string(i)}, "n" + std::to_string(i));
  const Result<Model> result = load(model);
  ASSERT_FALSE(result.ok());
  ASSERT_EQ(result.errors().size(), 101u);
  EXPECT_EQ(result.errors().back().what, "and 151 more problems");
}

} // namespace
} // namespace cameo::frontend::test
