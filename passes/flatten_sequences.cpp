// Sequences and optionals become tensors (container.h), so that nothing behind this pass knows of them.
//
//   %s = container_make %dims, %data : seq<f32[?0]>      check 0 <= %dims, ...
//   %t = sequence_insert %s, %x                     =>   %d = concat %dims, [extents of %x]
//   %n = sequence_length %t                              %n = the first extent of %d
//   %d, %e = container_parts %t                          %e = concat %data, reshape %x
//
// What branches and loops hand on as one container they hand on as its parts, whose extents are run-time symbols. An
// element is taken out by a slice and a reshape: its extents are known while running. Elements without a common rank
// can be moved about and counted, not taken out.
//
// Refuses: containers of strings, maps and containers; graphs with containers among the arguments and results of
// functions (expose_containers takes those of main apart). Relies on dead_code before it: checks of what nobody uses
// would stay.
#include "cameo/passes/passes.h"

#include "sequence_parts.h"

#include <unordered_map>

namespace cameo::passes {

namespace {

using namespace graph;

class Flattener {
public:
  explicit Flattener(Graph &graph) : graph_(graph) {}

  Result<bool> run() {
    if (!closed()) return false;
    region(graph_.main().body);
    if (!problems_.empty()) return problems_;
    for (auto it = done_.rbegin(); it != done_.rend(); ++it) graph_.erase(*it);
    if (!done_.empty()) graph_.prune_symbols();
    return !done_.empty();
  }

private:
  // Every container is made and read by nodes that the pass knows.
  bool closed() const {
    if (graph_.functions().size() > 1) return false;
    auto tensors = [](const auto &values) {
      for (const Value *v : values)
        if (v && container_form(v->type())) return false;
      return true;
    };
    const Region *body = graph_.main().body;
    return tensors(body->arguments()) && tensors(body->results());
  }

  const Parts &parts(const Value *container) const {
    const auto it = parts_.find(container);
    CAMEO_CHECK(it != parts_.end(), "a container that no node made: %" + container->name());
    return it->second;
  }
  static ContainerForm form(const Value *container) { return *container_form(container->type()); }

  void refuse(const Node *node, const std::string &what) {
    const std::string where = node->origin().empty() ? std::string(node->info().text) : node->origin()[0];
    problems_.push_back({ExitCode::unsupported, "node '" + escape_name(where) + "'", what});
  }

  void region(const Region *region) {
    for (Node *node : region->node_list()) {
      if (!problems_.empty()) return;
      if (node->is(Op::if_))
        branches(node);
      else if (node->is(Op::loop))
        loop(node);
      else if (involved(node))
        rewrite(node);
      else
        for (size_t i = 0; i < node->region_count(); ++i) this->region(node->body(i));
    }
  }

  static bool involved(const Node *node) {
    for (const Value *v : node->operands())
      if (v && container_form(v->type())) return true;
    for (const Value *v : node->results())
      if (container_form(v->type())) return true;
    return false;
  }

  // ---- one node

  void rewrite(Node *node) {
    for (const Value *v : node->operands())
      if (v && v->type().is_tensor() && !v->type().is_ranked())
        return refuse(node, "an element of unknown rank in a sequence or optional is not supported");
    Builder builder = Builder::ahead_of(graph_, node);
    builder.set_origin(node->origin());
    PartsBuilder b(builder);
    done_.push_back(node);
    if (const Value *y = node->result_count() == 1 ? node->result() : nullptr; y && container_form(y->type())) {
      const ContainerForm to = form(y);
      if (std::optional<Parts> made = make(node, b, to)) parts_[y] = b.convert(*made, to);
      return;
    }
    if (node->is(Op::container_parts)) {
      ContainerForm to = form(node->operand()); // the result may know less than what it is made of
      if (node->result_count() > to.part_count()) to.rank = -1;
      const std::vector<Value *> list = b.convert(parts(node->operand()), to).list();
      for (size_t i = 0; i < list.size(); ++i) graph_.replace(node->result(i), list[i]);
      return;
    }
    if (Value *y = take(node, b)) graph_.replace(node->result(), y);
  }

  // The container that the node makes.
  std::optional<Parts> make(Node *node, PartsBuilder &b, const ContainerForm &to) {
    const Value *s = node->operand();
    switch (node->op()) {
    case Op::container_make: {
      const std::vector<Value *> list = node->operands();
      return b.checked(Parts::of(to, list), to, container_element(node->result()->type()));
    }
    case Op::sequence_construct:
      return b.construct(node->operands(), to);
    case Op::optional_make:
      if (!s) return b.none(to);
      return to.has_present() ? parts(s) : b.construct({node->operand()}, to);
    case Op::optional_get: {
      if (!s->type().is_optional()) return parts(s);
      b.check(parts(s).present, "an optional that is absent was asked for");
      return parts(s);
    }
    case Op::sequence_insert: {
      // Its element may have another rank than those that are there.
      ContainerForm wide = form(s);
      if (to.has_ranks()) wide.rank = -1;
      return b.insert(b.convert(parts(s), wide), node->operand(1), node->operand(2));
    }
    case Op::sequence_erase:
      return b.erase(parts(s), node->operand(1));
    case Op::sequence_split:
      return b.split(node->operand(), node->operand(1), node->integer("axis"), node->flag("keepdims"));
    default:
      refuse(node, "makes a sequence or optional in a way that is not supported");
      return std::nullopt;
    }
  }

  // What the node reads of a container.
  Value *take(Node *node, PartsBuilder &b) {
    const Value *s = node->operand();
    const ContainerForm from = form(s);
    const Type &type = node->result()->type();
    switch (node->op()) {
    case Op::sequence_length:
      return b.length(parts(s));
    case Op::optional_has:
      return from.has_present() ? parts(s).present : b.has_elements(parts(s));
    case Op::sequence_at:
    case Op::optional_get: {
      Value *position = node->is(Op::sequence_at) ? node->operand(1) : b.integer(0);
      if (!type.is_ranked()) break;
      ContainerForm to = from;
      to.rank = type.rank();
      const Type &inside = container_element(s->type());
      return b.at(b.convert(parts(s), to), position, inside.is_ranked() ? inside : type, type);
    }
    case Op::sequence_concat:
      if (from.has_ranks()) break;
      return b.concat(parts(s), node->integer("axis"), node->flag("new_axis"), type);
    default:
      refuse(node, "reads a sequence or optional in a way that is not supported");
      return nullptr;
    }
    refuse(node, "an element of unknown rank in a sequence or optional is not supported");
    return nullptr;
  }

  // ---- branches and loops

  std::vector<Type> fresh_parts(const ContainerForm &form) {
    const Dim count = graph_.new_runtime_symbol(), total = graph_.new_runtime_symbol();
    return form.part_types(count, total);
  }

  // The types of `values` with parts for containers.
  template <class Values> std::vector<Type> part_types(const Values &values) {
    std::vector<Type> types;
    for (const Value *v : values)
      if (v->type().is_tensor() || !container_form(v->type())) {
        types.push_back(v->type());
      } else {
        const std::vector<Type> more = fresh_parts(form(v));
        types.insert(types.end(), more.begin(), more.end());
      }
    return types;
  }

  // What stands for `old`, from `list` on: a value or parts. Returns how many those are.
  size_t stand_in(Value *old, std::span<Value *const> list) {
    const std::optional<ContainerForm> f = container_form(old->type());
    if (!f) {
      list[0]->set_name(old->name());
      graph_.replace(old, list[0]);
      return 1;
    }
    parts_[old] = Parts::of(*f, list);
    return f->part_count();
  }

  // `values` handed on as `targets` (nullptr: as they are), each container as its parts in the target's form.
  std::vector<Value *> handed(const std::vector<Value *> &values, std::span<Value *const> targets, PartsBuilder &b) {
    std::vector<Value *> out;
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i] || !container_form(values[i]->type())) {
        out.push_back(values[i]);
        continue;
      }
      const std::vector<Value *> list = b.convert(parts(values[i]), form(targets[i])).list();
      out.insert(out.end(), list.begin(), list.end());
    }
    return out;
  }

  void yield(Region *body, std::span<Value *const> targets) {
    if (!problems_.empty()) return;
    Builder builder = Builder::at_end(graph_, body);
    builder.set_origin(body->parent()->origin());
    PartsBuilder b(builder);
    graph_.set_results(body, handed(body->results(), targets, b));
  }

  void branches(Node *node) {
    if (!involved(node)) {
      region(node->body(0));
      region(node->body(1));
      return;
    }
    Builder b = Builder::ahead_of(graph_, node);
    b.set_origin(node->origin());
    Node *made = b.node(Op::if_, node->operands(), {}, part_types(node->results()));
    for (size_t r = 0; r < 2; ++r) {
      Region *body = graph_.add_region(made);
      take_over(node->body(r), body);
      region(body);
      yield(body, node->results());
    }
    replace_results(node, made);
  }

  // Operands: trip count, condition, carried; results: carried, slices, which are tensors.
  void loop(Node *node) {
    if (!involved(node)) return region(node->body());
    Builder builder = Builder::ahead_of(graph_, node);
    builder.set_origin(node->origin());
    PartsBuilder b(builder);
    Region *old = node->body();
    std::vector<Value *> arguments(old->arguments().begin(), old->arguments().end());
    Node *made = builder.node(Op::loop, handed(node->operands(), arguments, b), {}, part_types(node->results()));
    Region *body = graph_.add_region(made);
    std::vector<Value *> news;
    for (const Type &type : part_types(arguments)) news.push_back(graph_.add_argument(body, type));
    size_t at = 0;
    for (Value *argument : arguments) at += stand_in(argument, std::span(news).subspan(at));
    take_over(old, body);
    region(body);
    std::vector<Value *> targets = {nullptr}; // the condition
    targets.insert(targets.end(), node->results().begin(), node->results().end());
    for (size_t i = 2; i < arguments.size(); ++i) targets[i - 1] = arguments[i];
    yield(body, targets);
    replace_results(node, made);
  }

  // Nodes and results; the old region yields nothing any more.
  void take_over(Region *from, Region *to) {
    std::vector<Value *> results = from->results();
    graph_.set_results(from, {});
    graph_.splice(from, InsertPoint::end(to));
    graph_.set_results(to, std::move(results));
  }

  void replace_results(Node *old, Node *made) {
    size_t at = 0;
    for (Value *result : old->results()) at += stand_in(result, made->results().subspan(at));
    done_.push_back(old);
  }

  Graph &graph_;
  std::unordered_map<const Value *, Parts> parts_; ///< looked up, never iterated
  std::vector<Node *> done_;                       ///< in order: a user behind what it uses
  Diagnostics problems_;
};

} // namespace

Result<bool> flatten_sequences(Graph &graph, const PassOptions &) { return Flattener(graph).run(); }

} // namespace cameo::passes
