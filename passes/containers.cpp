#include "cameo/passes/containers.h"

#include "cameo/ir/builder.h"

#include <set>

namespace cameo::passes {

using namespace graph;

namespace {

std::string unique(std::string name, std::set<std::string> &taken) {
  while (!taken.insert(name).second) name += '_';
  return name;
}

Shape extents(const Type &container) {
  const Type &element = container_element(container);
  return element.is_ranked() ? element.shape() : Shape();
}

} // namespace

ContainerPorts expose_containers(Graph &graph) {
  Function &main = graph.main();
  ContainerPorts ports;
  std::set<std::string> names, symbols;
  for (const Value *argument : main.body->arguments()) names.insert(argument->name());
  for (const std::string &key : graph.used_symbols()) symbols.insert(key);
  for (const auto &[key, info] : graph.symbols()) symbols.insert(key);

  const std::vector<Value *> arguments(main.body->arguments().begin(), main.body->arguments().end());
  bool any = false;
  for (const Value *argument : arguments) any |= container_form(argument->type()).has_value();
  if (any) {
    Node *const first = main.body->first();
    Builder b = first ? Builder::ahead_of(graph, first) : Builder::at_end(graph, main.body);
    size_t number = 0;
    for (Value *argument : arguments) { // each anew, so that their order stays
      const std::optional<ContainerForm> form = container_form(argument->type());
      if (!form) {
        graph.replace(argument, graph.add_argument(main.body, argument->type(), argument->name()));
        graph.erase_argument(argument);
        ++number;
        continue;
      }
      auto symbol = [&](const char *of) { // a name may look like a run-time symbol: compared and kept as a key
        Dim d = Dim::symbol(argument->name() + of);
        while (!symbols.insert(d.symbol_key()).second) d = Dim::from_key(d.symbol_key() + "_");
        return d;
      };
      ports.inputs.push_back({argument->name(), *form, extents(argument->type()), number});
      number += form->part_count();
      const Dim length = symbol(".length"), total = symbol(".total");
      const std::vector<Type> types = form->part_types(length, total);
      const std::vector<std::string> part_names = form->part_names();
      std::vector<Value *> parts;
      for (size_t i = 0; i < types.size(); ++i)
        parts.push_back(graph.add_argument(main.body, types[i], unique(argument->name() + "." + part_names[i], names)));
      graph.replace(argument, b.value(Op::container_make, std::move(parts), {}, argument->type()));
      graph.erase_argument(argument);
    }
  }

  std::vector<Value *> results;
  std::vector<std::string> result_names;
  const std::vector<Value *> before = main.body->results();
  Builder b = Builder::at_end(graph, main.body);
  names.clear();
  for (const std::string &name : main.result_names) names.insert(name);
  for (size_t i = 0; i < before.size(); ++i) {
    const std::optional<ContainerForm> form = container_form(before[i]->type());
    if (!form) {
      results.push_back(before[i]);
      result_names.push_back(main.result_names[i]);
      continue;
    }
    ports.outputs.push_back({main.result_names[i], *form, extents(before[i]->type()), results.size()});
    const Dim length = graph.new_runtime_symbol(), total = graph.new_runtime_symbol();
    Node *parts = b.node(Op::container_parts, {before[i]}, {}, form->part_types(length, total));
    results.insert(results.end(), parts->results().begin(), parts->results().end());
    for (const std::string &part : form->part_names())
      result_names.push_back(unique(main.result_names[i] + "." + part, names));
  }
  graph.set_results(main, std::move(results), std::move(result_names));
  return ports;
}

} // namespace cameo::passes
