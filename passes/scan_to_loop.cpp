// Scans become loops, so that nothing behind this pass knows of scans.
//
//   %h, %ys = scan %h0, %xs {inputs = 1 ...} (%a, %x) {    %h, %ys = loop %n, _, %h0 (%i, %c, %a) {
//     ... yield %b, %y                                       %x = gather %xs, %i {axis = 0}
//   }                                                   =>   ... yield %true, %b, %y
//                                                          }
//
// The trip count is the number of slices. A sequence that is read backwards is gathered at n - 1 - i; results are
// stacked in order of the iterations along the first axis, and turned around and moved to the axis where they belong
// behind the loop: views, mostly.
#include "cameo/passes/passes.h"

#include "cameo/ir/builder.h"

namespace cameo::passes {

namespace {

using namespace graph;

Value *scalar_of(Builder &b, const Dim &dim) { return b.reshape(b.dims({dim}), {}); }

void lower_scan(Graph &graph, Node *scan) {
  Region *old = scan->body();
  const size_t inputs = static_cast<size_t>(scan->integer("inputs")), states = scan->operand_count() - inputs;
  const std::vector<int64_t> input_axes = scan->ints("input_axes"), input_reverse = scan->ints("input_reverse"),
                             output_axes = scan->ints("output_axes"), output_reverse = scan->ints("output_reverse");
  const Dim length = scan->operand(states)->type().dim(static_cast<int>(input_axes[0]));

  Builder outer = Builder::ahead_of(graph, scan);
  outer.set_origin(scan->origin());
  std::vector<Value *> operands = {scalar_of(outer, length), nullptr};
  std::vector<Type> types;
  for (size_t i = 0; i < states; ++i) {
    operands.push_back(scan->operand(i));
    types.push_back(scan->result(i)->type());
  }
  for (size_t i = states; i < scan->result_count(); ++i) {
    Shape shape = scan->result(i)->type().shape();
    shape.erase(shape.begin() + output_axes[i - states]);
    shape.insert(shape.begin(), length);
    types.push_back(Type::tensor(scan->result(i)->type().dtype(), std::move(shape)));
  }
  Node *loop = outer.node(Op::loop, std::move(operands), {}, std::move(types));
  Region *body = graph.add_region(loop);
  Value *iteration = graph.add_argument(body, Type::scalar(DType::i64));
  graph.add_argument(body, Type::scalar(DType::boolean));
  Builder inner = Builder::at_end(graph, body);
  inner.set_origin(scan->origin());
  for (size_t i = 0; i < states; ++i)
    graph.replace(old->argument(i), graph.add_argument(body, old->argument(i)->type(), old->argument(i)->name()));
  Value *backwards = nullptr;
  for (size_t i = 0; i < inputs; ++i) {
    if (input_reverse[i] && !backwards) backwards = inner.sub(scalar_of(inner, length - 1), iteration);
    Value *slice = inner.gather(scan->operand(states + i), input_reverse[i] ? backwards : iteration, input_axes[i]);
    graph.replace(old->argument(states + i), slice);
  }
  std::vector<Value *> results = old->results();
  graph.set_results(old, {});
  graph.splice(old, InsertPoint::end(body));
  results.insert(results.begin(), Builder::at_end(graph, body).constant(ConstantData::scalar_int(DType::boolean, 1)));
  graph.set_results(body, std::move(results));

  Builder behind = Builder::ahead_of(graph, scan);
  behind.set_origin(scan->origin());
  for (size_t i = 0; i < scan->result_count(); ++i) {
    Value *y = loop->result(i);
    if (i >= states) {
      if (output_reverse[i - states])
        y = behind.value(Op::slice, {y},
                         {{"axes", std::vector<int64_t>{0}},
                          {"starts", std::vector<Dim>{length - 1}},
                          {"steps", std::vector<int64_t>{-1}}},
                         y->type());
      if (const int64_t axis = output_axes[i - states]; axis != 0) {
        std::vector<int64_t> perm;
        for (int64_t d = 1; d < y->type().rank(); ++d) perm.push_back(d);
        perm.insert(perm.begin() + axis, 0);
        y = behind.transpose(y, std::move(perm));
      }
    }
    graph.replace(scan->result(i), y);
  }
  graph.erase(scan);
}

} // namespace

Result<bool> scan_to_loop(Graph &graph, const PassOptions &) {
  bool changed = false;
  for (const Function &function : graph.functions())
    for (Node *node : Graph::all_nodes(function.body))
      if (node->is(Op::scan)) {
        lower_scan(graph, node);
        changed = true;
      }
  return changed;
}

} // namespace cameo::passes
