// Verifies plans. The rules:
//
//   form        every number (buffer, value, node, port, argument, stage) exists; a step has what its kind needs;
//               branches and loops nest and belong to `if` and `loop` nodes; placements have terms and halos of their
//               tensor's rank, no halo along a symbolic dim, and begin at a known distance from element 0
//
//   memory      arena buffers begin at multiples of 64 behind the head, end inside the arena, and do not overlap while
//               both live
//
//   placement   every element of a value, its halo included, lies inside its buffer
//
//   ports       inputs and outputs are row-major and fill their buffers
//
//   order       a step reads only buffers that the caller filled, constants, or what a step before it wrote
//
// Sizes that depend on symbols are compared at several values of them: what is symbolic is linear or close to it. What
// only a run can tell is not compared here: the run checks it against the bounds that sizes were made from.
#include "memory.h"
#include "plan_rules.h"

#include <algorithm>
#include <set>

namespace cameo::passes {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Type;
using graph::Value;

namespace {

using Kind = Step::Kind;
using Space = BufferPlan::Space;

class Verifier {
public:
  Verifier(const Plan &plan, const Numbering &numbers) : plan_(plan), numbers_(numbers) {}

  std::vector<std::string> form() {
    for (size_t b = 0; b < plan_.buffers.size(); ++b) check_buffer(static_cast<int32_t>(b));
    int32_t previous = -1;
    for (const ValuePlan &v : plan_.values) {
      const std::string where = "value " + std::to_string(v.value);
      if (v.value <= previous || v.value >= numbers_.value_count())
        say(where, "does not exist, or stands in the wrong place");
      else
        check_place(where, v.place, numbers_.value(v.value)->type());
      previous = v.value;
    }
    for (step_ = 0; step_ < plan_.steps.size(); ++step_) check_step(plan_.steps[step_]);
    if (!open_.empty()) say("step " + std::to_string(open_.back().first), "has no end");
    return std::move(problems_);
  }

  std::vector<std::string> meaning(const graph::Region &body) {
    check_arena();
    for (const ValuePlan &v : plan_.values)
      check_extent("value " + std::to_string(v.value), v.place, numbers_.value(v.value)->type());
    for (const Value *v : body.arguments()) check_port(v, Space::input, v->index());
    const std::vector<Value *> results = body.results();
    for (size_t port = 0; port < results.size(); ++port) check_port(results[port], Space::output, port);
    check_order();
    return std::move(problems_);
  }

private:
  void say(const std::string &where, const std::string &what) { problems_.push_back(where + " " + what); }
  const BufferPlan &buffer(int32_t b) const { return plan_.buffers[static_cast<size_t>(b)]; }
  bool exists(int32_t b) const { return b >= 0 && b < static_cast<int32_t>(plan_.buffers.size()); }
  bool is_value(int32_t v) const { return v >= 0 && v < numbers_.value_count(); }
  bool is_node(int32_t n) const { return n >= 0 && n < numbers_.node_count(); }
  std::string here() const { return "step " + std::to_string(step_); }

  // ---- form

  void check_buffer(int32_t number) {
    const BufferPlan &b = buffer(number);
    const std::string where = "buffer " + std::to_string(number);
    if (b.space == Space::weights && (!is_value(b.port) || !numbers_.value(b.port)->constant()))
      say(where, "holds value " + std::to_string(b.port) + ", which is no constant");
    if (b.space != Space::arena && b.port < 0) say(where, "has no number");
    if (!b.bytes.valid() || !b.offset.valid()) say(where, "has an invalid size or offset");
  }

  void check_place(const std::string &where, const Placement &p, const Type &type) {
    if (!exists(p.buffer)) return say(where, "lies in buffer " + std::to_string(p.buffer) + ", which does not exist");
    if (!type.is_ranked()) return say(where, "has no shape");
    const size_t rank = type.shape().size();
    for (const PlacedTerm &t : p.terms)
      if (t.dim < 0 || static_cast<size_t>(t.dim) >= rank || t.divide < 1 || t.modulo < 0 || !t.stride.valid())
        return say(where, "has a term of dim " + std::to_string(t.dim) + " of " + type.str());
    if (!p.halo.empty() && p.halo.size() != rank) say(where, "has a halo of another rank than " + type.str());
    for (size_t d = 0; d < p.halo.size() && p.halo.size() == rank; ++d) {
      const auto [before, after] = p.halo[d];
      if (before < 0 || after < 0) say(where, "has a negative halo");
      if ((before != 0 || after != 0) && !type.shape()[d].is_constant())
        say(where, "has a halo along dim " + std::to_string(d) + " of " + type.str() + ", which is symbolic");
    }
    for (const PlacedTerm &t : p.terms) { // where a tensor begins must be known
      const auto d = static_cast<size_t>(t.dim);
      const bool halo = p.halo.size() == rank && p.halo[d].first != 0;
      const bool backwards = t.stride.is_constant() && t.stride.value() < 0;
      if ((halo && !t.stride.is_constant()) || (backwards && !type.shape()[d].is_constant()))
        say(where, "begins a symbolic distance ahead of element 0 along dim " + std::to_string(t.dim));
    }
  }

  void check_step(const Step &s) {
    switch (s.kind) {
    case Kind::kernel:
    case Kind::extents:
      if (!is_node(s.node)) return say(here(), "runs node " + std::to_string(s.node) + ", which does not exist");
      if (s.kind == Kind::kernel)
        check_kernel(s, *numbers_.node(s.node));
      else if (!exists(s.to.buffer))
        say(here(), "writes extents nowhere");
      break;
    case Kind::fill:
    case Kind::copy:
    case Kind::check:
      if (!is_value(s.value)) return say(here(), "is of value " + std::to_string(s.value) + ", which does not exist");
      if (s.from.buffer < 0 && !plan_.find(s.value))
        say(here(), "reads value " + std::to_string(s.value) + ", which has no memory");
      if (s.kind == Kind::copy) check_place(here(), s.to, numbers_.value(s.value)->type());
      if (s.kind == Kind::copy && s.from.buffer >= 0) check_place(here(), s.from, numbers_.value(s.value)->type());
      if (s.kind == Kind::fill && plan_.find(s.value) && plan_.find(s.value)->place.halo.empty())
        say(here(), "fills no halo");
      break;
    case Kind::rules:
      for (const Rule &r : s.rules)
        if (r.element >= 0 && !exists(s.from.buffer)) say(here(), "reads an element of nothing");
      break;
    case Kind::grow:
      if (!exists(s.buffer) || buffer(s.buffer).space != Space::grown) say(here(), "grows a buffer that does not grow");
      break;
    case Kind::branch:
    case Kind::loop:
      open_.emplace_back(static_cast<int32_t>(step_), s.kind);
      if (!is_node(s.node) || numbers_.node(s.node)->op() != (s.kind == Kind::loop ? Op::loop : Op::if_))
        say(here(), "is not of a node that branches or loops");
      break;
    case Kind::otherwise:
      if (open_.empty() || open_.back().second != Kind::branch)
        say(here(), "has no branch");
      else
        open_.back().second = Kind::otherwise;
      break;
    case Kind::end:
      if (open_.empty())
        say(here(), "ends nothing");
      else
        open_.pop_back();
      break;
    }
  }

  void check_kernel(const Step &s, const Node &node) {
    const std::vector<std::string> known = ops::algorithms(node);
    if (std::find(known.begin(), known.end(), s.algorithm) == known.end())
      return say(here(), "has no algorithm '" + s.algorithm + "'");
    const Result<ops::Lowered> lowered = ops::lower(node, {s.algorithm});
    if (!lowered.ok()) return say(here(), "has no kernel");
    const auto count = static_cast<int32_t>(lowered->arguments.size());
    for (const auto &[argument, place] : s.packed) {
      if (argument < 0 || argument >= count || !exists(place.buffer))
        return say(here(), "packs argument " + std::to_string(argument) + ", which does not exist");
      if (buffer(place.buffer).space != Space::weights && lowered->runtime.empty())
        say(here(), "packs an argument that is no constant");
    }
    for (int32_t a = 0; a < count; ++a) {
      const Value *v = argument_value(node, lowered->arguments[static_cast<size_t>(a)]);
      const bool packed = std::any_of(s.packed.begin(), s.packed.end(), [&](const auto &p) { return p.first == a; });
      if (v && !packed && !plan_.find(numbers_.of(v)))
        say(here(), "uses value " + std::to_string(numbers_.of(v)) + ", which has no memory");
    }
    if (s.scratch >= 0 && (!exists(s.scratch) || buffer(s.scratch).space != Space::arena))
      say(here(), "has scratch memory outside of the arena");
    for (const Temporary &t : s.temporaries)
      if (t.stage < 0 || t.stage >= static_cast<int32_t>(lowered->kernel.stages.size()) || !exists(t.buffer) ||
          t.component < 0 ||
          t.component >= static_cast<int32_t>(lowered->kernel.stages[static_cast<size_t>(t.stage)].types.size()))
        say(here(), "has memory for a stage that does not exist");
  }

  // ---- meaning

  static std::optional<int64_t> at(const Dim &dim, int64_t symbol) {
    return dim.evaluate([&](const std::string &key) -> std::optional<int64_t> {
      return key.starts_with('?') ? std::nullopt : std::optional(symbol); // what only a run can tell
    });
  }

  // Values of the symbols at which sizes are compared.
  static constexpr int64_t kSamples[] = {1, 2, 7, 64};

  void check_arena() {
    for (const int64_t n : kSamples) {
      const std::optional<int64_t> arena = at(plan_.arena_bytes, n);
      if (!arena) return say("the arena", "has a size that only a run can tell");
      struct Piece {
        int32_t number;
        int64_t begin, end;
      };
      std::vector<Piece> pieces;
      for (size_t i = 0; i < plan_.buffers.size(); ++i) {
        const BufferPlan &b = plan_.buffers[i];
        if (b.space != Space::arena) continue;
        const std::optional<int64_t> offset = at(b.offset, n), bytes = at(b.bytes, n);
        const std::string where = "buffer " + std::to_string(i);
        if (!offset || !bytes)
          say(where, "has a size that only a run can tell");
        else if (*offset % 64 != 0 || *offset < head_bytes(plan_) || *bytes < 0 || *offset + *bytes > *arena)
          say(where, "does not lie in the arena");
        else if (*bytes > 0)
          pieces.push_back({static_cast<int32_t>(i), *offset, *offset + *bytes});
      }
      std::sort(pieces.begin(), pieces.end(), [](const Piece &a, const Piece &b) { return a.begin < b.begin; });
      for (size_t i = 0; i < pieces.size(); ++i)
        for (size_t j = i + 1; j < pieces.size() && pieces[j].begin < pieces[i].end; ++j) {
          const BufferPlan &a = buffer(pieces[i].number), &b = buffer(pieces[j].number);
          if (a.first <= b.last && b.first <= a.last)
            say("buffer " + std::to_string(pieces[i].number), "overlaps buffer " + std::to_string(pieces[j].number));
        }
      if (!problems_.empty()) return;
    }
  }

  void check_extent(const std::string &where, const Placement &p, const Type &type) {
    const BufferPlan &b = buffer(p.buffer);
    if (b.space == Space::weights || b.space == Space::grown) return; // packed by their terms; sized by the run
    for (const int64_t n : kSamples) {
      std::optional<int64_t> low = at(p.offset, n), high = low;
      const std::optional<int64_t> bytes = at(b.bytes, n);
      bool empty = false;
      for (size_t d = 0; low && high && d < type.shape().size(); ++d) {
        const std::optional<int64_t> extent = at(type.shape()[d], n);
        if (!extent) return;
        empty |= *extent == 0;
        const auto [before, after] = p.halo.empty() ? std::pair<int64_t, int64_t>{0, 0} : p.halo[d];
        for (const PlacedTerm &t : p.terms) {
          if (static_cast<size_t>(t.dim) != d) continue;
          const std::optional<int64_t> stride = at(t.stride, n);
          if (!stride) return;
          const int64_t last = (*extent - 1 + after) / t.divide;
          const int64_t reach = t.modulo > 0 ? std::min(last, t.modulo - 1) : last;
          (*stride > 0 ? *high : *low) += *stride * reach;
          if (t.divide == 1 && t.modulo == 0) (*stride > 0 ? *low : *high) -= *stride * before;
        }
      }
      if (!low || !high || !bytes || empty) continue;
      if (*low < 0 || *high * bits(type.dtype()) / 8 >= *bytes) return say(where, "leaves its buffer");
    }
  }

  void check_port(const Value *v, Space space, size_t port) {
    const ValuePlan *planned = plan_.find(numbers_.of(v));
    if (!planned) return;
    const BufferPlan &b = buffer(planned->place.buffer);
    if (b.space == space && b.port == static_cast<int32_t>(port) && !is_row_major(planned->place, v->type(), b.bytes))
      say("value " + std::to_string(numbers_.of(v)), "is a port and not row-major");
  }

  void check_order() {
    std::set<int32_t> written;
    for (size_t b = 0; b < plan_.buffers.size(); ++b)
      if (plan_.buffers[b].space == Space::input || plan_.buffers[b].space == Space::weights)
        written.insert(static_cast<int32_t>(b));
    auto read = [&](int32_t b) {
      if (!written.count(b)) say(here(), "reads buffer " + std::to_string(b) + " before anything is written there");
    };
    for (step_ = 0; step_ < plan_.steps.size(); ++step_) {
      const Step &s = plan_.steps[step_];
      if (s.kind == Kind::check) read(plan_.find(s.value)->place.buffer);
      if (s.kind == Kind::rules && s.from.buffer >= 0) read(s.from.buffer);
      if (!runs_kernel(s.kind)) continue;
      const Result<BoundStep> bound = bind_planned(plan_, s, numbers_);
      CAMEO_CHECK(bound.ok(), "a planned step has a kernel");
      for (size_t a = 0; a < bound->places.size(); ++a)
        if (bound->lowered.arguments[a].kind == ops::Argument::Kind::operand) read(bound->places[a].buffer);
      for (size_t a = 0; a < bound->places.size(); ++a)
        if (bound->lowered.arguments[a].kind != ops::Argument::Kind::operand) written.insert(bound->places[a].buffer);
    }
  }

  const Plan &plan_;
  const Numbering &numbers_;
  std::vector<std::string> problems_;
  std::vector<std::pair<int32_t, Kind>> open_; ///< steps that wait for their end
  size_t step_ = 0;
};

} // namespace

std::vector<std::string> verify_references(const Plan &plan, const Numbering &numbers) {
  return Verifier(plan, numbers).form();
}

std::vector<std::string> verify(const Plan &plan, const graph::Graph &graph) {
  const Numbering numbers(graph);
  if (std::vector<std::string> problems = verify_references(plan, numbers); !problems.empty()) return problems;
  return Verifier(plan, numbers).meaning(*graph.main().body);
}

} // namespace cameo::passes
