// Copies of nodes, regions and whole graphs.
#include "cameo/ir/graph.h"

namespace cameo::graph {

class Cloner {
public:
  Cloner(Graph &target, std::unordered_map<const Value *, Value *> &map) : target_(target), map_(map) {}

  // Gives new names to the symbols that `source` (a node or a region of the target) defines.
  void rename_symbols(const Region &source) {
    collect(source);
    rename([&](const Node *definer) { return source.encloses(definer->region()); });
  }
  void rename_symbols(const Node &source) {
    collect(source);
    rename([&](const Node *definer) {
      bool inside = definer == &source;
      for (size_t i = 0; i < source.region_count(); ++i) inside |= source.body(i)->encloses(definer->region());
      return inside;
    });
  }

  Node *copy(const Node &source, InsertPoint to) {
    std::vector<Value *> operands;
    for (Value *value : source.operands()) operands.push_back(mapped(value));
    Attributes attributes = source.attributes();
    for (auto &[name, attribute] : attributes)
      if (auto dim = std::get_if<Dim>(&attribute))
        *dim = dim->substitute(lookup());
      else if (auto dims = std::get_if<std::vector<Dim>>(&attribute))
        for (Dim &each : *dims) each = each.substitute(lookup());
    std::vector<Type> types;
    for (const Value *result : source.results()) types.push_back(type(*result));
    Node *node =
        target_.create(to, source.op(), std::move(operands), std::move(attributes), std::move(types), source.origin());
    for (size_t i = 0; i < source.result_count(); ++i) {
      node->result(i)->set_name(source.result(i)->name());
      map_[source.result(i)] = node->result(i);
    }
    for (size_t i = 0; i < source.region_count(); ++i) {
      Region *region = target_.add_region(node);
      copy_arguments(*source.body(i), region);
      target_.set_results(region, copy_nodes(*source.body(i), InsertPoint::end(region)));
    }
    return node;
  }

  void copy_arguments(const Region &source, Region *region) {
    for (const Value *argument : source.arguments())
      map_[argument] = target_.add_argument(region, type(*argument), argument->name());
  }

  std::vector<Value *> copy_nodes(const Region &source, InsertPoint to) {
    for (const Node *node : source.nodes()) copy(*node, to);
    std::vector<Value *> results;
    for (Value *value : source.results()) results.push_back(mapped(value));
    return results;
  }

private:
  void collect(const Node &node) {
    for (size_t i = 0; i < node.region_count(); ++i) {
      for (const Value *argument : node.body(i)->arguments()) collect(argument->type());
      collect(*node.body(i));
    }
    for (const Value *result : node.results()) collect(result->type());
  }
  void collect(const Region &region) {
    for (const Node *node : region.nodes()) collect(*node);
  }
  void collect(const Type &type) {
    type.for_each_symbol([&](const std::string &key) {
      if (key[0] == '?') symbols_.emplace(key, Dim());
    });
  }

  template <class Inside> void rename(const Inside &inside) {
    if (symbols_.empty()) return; // the scan of the whole graph is for the few regions that mention such symbols
    const std::map<std::string, const Node *> definers = target_.runtime_definers();
    std::erase_if(symbols_, [&](const auto &entry) {
      auto it = definers.find(entry.first);
      return it == definers.end() || !it->second || !inside(it->second);
    });
    for (auto &[key, symbol] : symbols_) symbol = target_.new_runtime_symbol();
    for (auto &[key, symbol] : symbols_) {
      SymbolInfo info = target_.symbol(key);
      if (info.upper) info.upper = info.upper->substitute(lookup());
      target_.set_symbol(symbol, info);
    }
  }

  Type type(const Value &value) { return symbols_.empty() ? value.type() : value.type().substitute(lookup()); }
  Dim::Lookup lookup() {
    return [this](const std::string &key) -> std::optional<Dim> {
      auto it = symbols_.find(key);
      return it == symbols_.end() ? std::nullopt : std::optional(it->second);
    };
  }
  Value *mapped(Value *value) {
    auto it = map_.find(value);
    return it == map_.end() ? value : it->second;
  }

  Graph &target_;
  std::unordered_map<const Value *, Value *> &map_;
  std::map<std::string, Dim> symbols_;
};

std::vector<Value *> Graph::clone(const Region &source, InsertPoint to,
                                  std::unordered_map<const Value *, Value *> &map) {
  Cloner cloner(*this, map);
  cloner.rename_symbols(source);
  return cloner.copy_nodes(source, to);
}

Node *Graph::clone(const Node &source, InsertPoint to, std::unordered_map<const Value *, Value *> &map) {
  Cloner cloner(*this, map);
  cloner.rename_symbols(source);
  return cloner.copy(source, to);
}

Graph Graph::copy() const {
  Graph copy(name_);
  copy.stage_ = stage_;
  copy.symbols_ = symbols_;
  copy.next_runtime_ = next_runtime_;
  std::unordered_map<const Value *, Value *> map;
  Cloner cloner(copy, map);
  for (const Function &function : functions_) {
    Function &target = &function == &main() ? copy.main() : copy.add_function(function.name);
    cloner.copy_arguments(*function.body, target.body);
    copy.set_results(target.body, cloner.copy_nodes(*function.body, InsertPoint::end(target.body)));
    target.result_names = function.result_names;
  }
  return copy;
}

} // namespace cameo::graph
