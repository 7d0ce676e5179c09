// Attention of 12 heads, 128 queries and keys of 64 elements, additive mask, under the default schedule.
#include "kernel_probe.h"

#include "cameo/ir/builder.h"
#include "cameo/ops/lower.h"

namespace cameo::bench {

namespace {

loop::Kernel attention(int64_t heads, int64_t queries, int64_t keys, int64_t size) {
  graph::Graph graph("attention");
  graph::Region *body = graph.main().body;
  auto argument = [&](graph::Shape shape) {
    return graph.add_argument(body, graph::Type::tensor(DType::f32, std::move(shape)));
  };
  graph::Value *q = argument({1, heads, queries, size}), *k = argument({1, heads, keys, size}),
               *v = argument({1, heads, keys, size}), *mask = argument({queries, keys});
  graph::Builder builder = graph::Builder::at_end(graph, body);
  const graph::Node *node =
      builder.node(graph::Op::attention, {q, k, v, mask}, {{"scale", 0.125}, {"causal", false}}, {q->type()});
  return ops::lower(*node)->kernel;
}

} // namespace

void probes_attention(Bench &bench) {
  for (const auto &[queries, keys] : {std::pair<int64_t, int64_t>{128, 128}, {100, 100}, {1, 512}}) {
    const std::string name = "attention.12x" + std::to_string(queries) + "x" + std::to_string(keys) + "x64";
    bench.probe(name, Unit::f32_flops, [&bench, queries = queries, keys = keys](Probe &probe) {
      const loop::Kernel kernel = attention(12, queries, keys, 64);
      std::vector<loop::Binding> bindings = dense_bindings(kernel);
      const loop::Schedule schedule = loop::default_schedule(kernel, bindings, bench.target());
      const auto values = random_values(kernel);
      add_kernel(bench, probe, "default", 4.0 * 12 * double(queries * keys) * 64, kernel, bindings, schedule, values,
                 plain_reference(bench, kernel, values));
    });
  }
}

} // namespace cameo::bench
