// Prints and parses plans. Only what differs from its default is printed, in this order:
//
//   plan   = "plan" string "for" hexadecimal "{" {"slot" string} "arena" dim {buffer} {value} {step} "}"
//   buffer = "buffer" n space ["bytes" dim] ["at" dim] ["steps" n "to" n]       n counts from 0
//   space  = "input" n | "output" n | "weights" n | "arena" | "grown" n
//   value  = "value" n place
//   place  = "in" n ["offset" dim] ["terms" "(" term {"," term} ")"] ["halo" "(" n n {"," n n} ")" "fill" real]
//   term   = n ["/" n] ["mod" n] "*" dim
//   step   = kind ["node" n] ["value" n] ["buffer" n] ["keep"] ["counter" dim] ["from" place] ["to" place] ["algorithm"
//   string]
//            {"rule" rule} {"packed" n place} {"temporary" "stage" n "component" n "in" n} ["scratch" n] [schedule]
//   rule   = ("define" | "once" | "equal" | "spread" | "size") dim ["most" dim] ["element" n] {"factor" dim}
//
// dim is an expression as in types of Graph IR, schedule as in src/loop/schedule_text.cpp. A line a step, besides its
// schedule.
#include "plan_rules.h"
#include "planner.h"

#include "cameo/ir/dim_text.h"
#include "cameo/support/text_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace cameo::passes {

using graph::Dim;

namespace {

using Kind = Step::Kind;
using Space = BufferPlan::Space;

template <class E> struct Word {
  E value;
  std::string_view text;
};
constexpr std::array kKinds = {
    Word<Kind>{Kind::kernel, "kernel"}, Word<Kind>{Kind::extents, "extents"}, Word<Kind>{Kind::fill, "fill"},
    Word<Kind>{Kind::copy, "copy"},     Word<Kind>{Kind::rules, "rules"},     Word<Kind>{Kind::check, "check"},
    Word<Kind>{Kind::grow, "grow"},     Word<Kind>{Kind::branch, "branch"},   Word<Kind>{Kind::otherwise, "otherwise"},
    Word<Kind>{Kind::loop, "loop"},     Word<Kind>{Kind::end, "end"},
};
constexpr std::array kSpaces = {
    Word<Space>{Space::input, "input"}, Word<Space>{Space::output, "output"}, Word<Space>{Space::weights, "weights"},
    Word<Space>{Space::arena, "arena"}, Word<Space>{Space::grown, "grown"},
};
constexpr std::array kRules = {
    Word<Rule::Kind>{Rule::Kind::define, "define"}, Word<Rule::Kind>{Rule::Kind::once, "once"},
    Word<Rule::Kind>{Rule::Kind::equal, "equal"},   Word<Rule::Kind>{Rule::Kind::spread, "spread"},
    Word<Rule::Kind>{Rule::Kind::size, "size"},
};

template <class E, size_t n> std::string word(const std::array<Word<E>, n> &words, E value) {
  for (const Word<E> &w : words)
    if (w.value == value) return std::string(w.text);
  CAMEO_UNREACHABLE("a kind without a word");
}

template <class E, size_t n> std::optional<E> accept_word(TextLexer &lex, const std::array<Word<E>, n> &words) {
  for (const Word<E> &w : words)
    if (lex.accept(w.text)) return w.value;
  return std::nullopt;
}

std::string text(const Placement &place) {
  std::string out = "in " + std::to_string(place.buffer);
  if (!place.offset.is(0)) out += " offset " + place.offset.str();
  for (size_t i = 0; i < place.terms.size(); ++i) {
    const PlacedTerm &t = place.terms[i];
    out += (i == 0 ? " terms (" : ", ") + std::to_string(t.dim);
    if (t.divide != 1) out += "/" + std::to_string(t.divide);
    if (t.modulo != 0) out += " mod " + std::to_string(t.modulo);
    out += " * " + t.stride.str();
  }
  if (!place.terms.empty()) out += ")";
  for (size_t i = 0; i < place.halo.size(); ++i)
    out +=
        (i == 0 ? " halo (" : ", ") + std::to_string(place.halo[i].first) + " " + std::to_string(place.halo[i].second);
  if (!place.halo.empty()) out += ") fill " + real_text(place.fill);
  return out;
}

std::string text(const Rule &rule) {
  std::string out = word(kRules, rule.kind) + " " + rule.dim.str();
  if (rule.most) out += " most " + rule.most->str();
  if (rule.element >= 0) out += " element " + std::to_string(rule.element);
  for (const Dim &factor : rule.factors) out += " factor " + factor.str();
  return out;
}

std::string indented(const std::string &block) {
  std::string out;
  for (size_t at = 0; at < block.size();) {
    const size_t end = block.find('\n', at);
    out += "    " + block.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

std::string text(const Step &step) {
  std::string out = "  " + word(kKinds, step.kind);
  if (step.node >= 0) out += " node " + std::to_string(step.node);
  if (step.value >= 0) out += " value " + std::to_string(step.value);
  if (step.buffer >= 0) out += " buffer " + std::to_string(step.buffer);
  if (step.keep) out += " keep";
  if (!step.counter.is(0)) out += " counter " + step.counter.str();
  if (step.from.buffer >= 0) out += " from " + text(step.from);
  if (step.to.buffer >= 0) out += " to " + text(step.to);
  if (!step.algorithm.empty()) out += " algorithm " + quote(step.algorithm);
  for (const Rule &rule : step.rules) out += " rule " + text(rule);
  for (const auto &[argument, place] : step.packed) out += " packed " + std::to_string(argument) + " " + text(place);
  for (const Temporary &t : step.temporaries)
    out += " temporary stage " + std::to_string(t.stage) + " component " + std::to_string(t.component) + " in " +
           std::to_string(t.buffer);
  if (step.scratch >= 0) out += " scratch " + std::to_string(step.scratch);
  return out + "\n";
}

constexpr int32_t kMost = 1 << 24; ///< of anything that is counted

class PlanParser {
public:
  PlanParser(std::string_view text, const graph::Graph &graph, const std::string &file)
      : text_(text), file_(file), lex_(text, file), graph_(graph), numbers_(graph) {}

  Result<Plan> run() {
    lex_.expect("plan");
    plan_.target = lex_.expect(Token::Kind::string, "the target's name").text;
    lex_.expect("for");
    plan_.graph_hash = hash();
    lex_.expect("{");
    while (lex_.accept("slot")) plan_.slots.push_back(lex_.expect(Token::Kind::string, "a symbol's key").text);
    lex_.expect("arena");
    plan_.arena_bytes = graph::read_dim(lex_);
    while (lex_.accept("buffer")) buffer();
    while (lex_.accept("value")) value();
    while (!lex_.at("}") && !lex_.at(Token::Kind::end)) step();
    lex_.expect("}");
    if (!lex_.failed() && !lex_.at(Token::Kind::end)) lex_.fail_here("expected the end of the plan");
    if (lex_.failed()) return lex_.diagnostic();
    // Schedules are read against kernels, and kernels are made from what the plan says: that must be sound before.
    if (const std::vector<std::string> problems = verify_references(plan_, numbers_); !problems.empty())
      return Diagnostic{ExitCode::bad_model, file_, problems.front()};
    for (size_t s = 0; s < plan_.steps.size(); ++s)
      if (sources_[s].second > 0) CAMEO_TRY_STATUS(read_schedule(s));
    return std::move(plan_);
  }

private:
  int32_t small(std::string_view what, int32_t least = 0) {
    return static_cast<int32_t>(lex_.integer(what, least, kMost));
  }

  uint64_t hash() {
    const Token token = lex_.expect(Token::Kind::integer, "the graph's hash");
    if (!lex_.failed() && token.integer != hash_of(graph_)) lex_.fail(token.offset, "the plan is for another graph");
    return token.integer;
  }

  void buffer() {
    BufferPlan b;
    const size_t offset = lex_.peek().offset;
    if (small("a buffer") != static_cast<int32_t>(plan_.buffers.size()))
      lex_.fail(offset, "buffers are numbered in order");
    const std::optional<Space> space = accept_word(lex_, kSpaces);
    if (!space) lex_.fail_here("expected input, output, weights, arena or grown");
    b.space = space.value_or(Space::arena);
    if (b.space != Space::arena) b.port = small("a number");
    if (lex_.accept("bytes")) b.bytes = graph::read_dim(lex_);
    if (lex_.accept("at")) b.offset = graph::read_dim(lex_);
    if (lex_.accept("steps")) {
      b.first = static_cast<int32_t>(lex_.integer("a step", -1, INT32_MAX));
      lex_.expect("to");
      b.last = static_cast<int32_t>(lex_.integer("a step", -1, INT32_MAX));
    }
    plan_.buffers.push_back(std::move(b));
  }

  void value() {
    const size_t offset = lex_.peek().offset;
    ValuePlan v{small("a value"), {}};
    if (!plan_.values.empty() && v.value <= plan_.values.back().value)
      lex_.fail(offset, "values are in ascending order");
    v.place = place();
    plan_.values.push_back(std::move(v));
  }

  Placement place() {
    Placement p;
    lex_.expect("in");
    p.buffer = small("a buffer");
    if (lex_.accept("offset")) p.offset = graph::read_dim(lex_);
    if (lex_.accept("terms")) {
      lex_.expect("(");
      do {
        PlacedTerm t;
        t.dim = static_cast<int32_t>(lex_.integer("a dim", 0, 63));
        if (lex_.accept("/")) t.divide = lex_.integer("a divisor", 1);
        if (lex_.accept("mod")) t.modulo = lex_.integer("a modulus", 1);
        lex_.expect("*");
        t.stride = graph::read_dim(lex_);
        p.terms.push_back(std::move(t));
      } while (lex_.accept(","));
      lex_.expect(")");
    }
    if (lex_.accept("halo")) {
      lex_.expect("(");
      do {
        const int64_t before = lex_.integer("elements", 0, kMost);
        p.halo.emplace_back(before, lex_.integer("elements", 0, kMost));
      } while (lex_.accept(","));
      lex_.expect(")");
      lex_.expect("fill");
      p.fill = lex_.real("a number");
    }
    return p;
  }

  Rule rule() {
    Rule r;
    const std::optional<Rule::Kind> kind = accept_word(lex_, kRules);
    if (!kind) lex_.fail_here("expected define, once, equal, spread or size");
    r.kind = kind.value_or(Rule::Kind::define);
    r.dim = graph::read_dim(lex_);
    if (lex_.accept("most")) r.most = graph::read_dim(lex_);
    if (lex_.accept("element")) r.element = small("an element");
    while (lex_.accept("factor")) r.factors.push_back(graph::read_dim(lex_));
    return r;
  }

  void step() {
    Step s;
    const std::optional<Kind> kind = accept_word(lex_, kKinds);
    if (!kind) {
      lex_.fail_here("expected a step");
      return;
    }
    s.kind = *kind;
    if (lex_.accept("node")) s.node = small("a node");
    if (lex_.accept("value")) s.value = small("a value");
    if (lex_.accept("buffer")) s.buffer = small("a buffer");
    s.keep = lex_.accept("keep");
    if (lex_.accept("counter")) s.counter = graph::read_dim(lex_);
    if (lex_.accept("from")) s.from = place();
    if (lex_.accept("to")) s.to = place();
    if (lex_.accept("algorithm")) s.algorithm = lex_.expect(Token::Kind::string, "an algorithm").text;
    while (lex_.accept("rule")) s.rules.push_back(rule());
    while (lex_.accept("packed")) {
      const int32_t argument = small("an argument");
      s.packed.emplace_back(argument, place());
    }
    while (lex_.accept("temporary")) {
      Temporary t;
      lex_.expect("stage");
      t.stage = small("a stage");
      lex_.expect("component");
      t.component = small("a component");
      lex_.expect("in");
      t.buffer = small("a buffer");
      s.temporaries.push_back(t);
    }
    if (lex_.accept("scratch")) s.scratch = small("a buffer");
    std::pair<size_t, size_t> source{0, 0};
    if (lex_.at("schedule")) {
      source.first = lex_.peek().offset;
      while (!lex_.at("}") && !lex_.at(Token::Kind::end)) lex_.next();
      source.second = lex_.peek().offset + 1 - source.first;
      lex_.expect("}");
    }
    sources_.push_back(source);
    plan_.steps.push_back(std::move(s));
  }

  // The schedule's text where it stands in the file, for the sake of messages.
  Status read_schedule(size_t number) {
    const auto [offset, length] = sources_[number];
    for (; counted_ < offset; ++counted_) {
      if (text_[counted_] == '\n') {
        ++lines_;
        line_start_ = counted_ + 1;
      }
    }
    const std::string padded =
        std::string(lines_, '\n') + std::string(offset - line_start_, ' ') + std::string(text_.substr(offset, length));
    Step &step = plan_.steps[number];
    CAMEO_TRY(const BoundStep bound, bind_planned(plan_, step, numbers_));
    CAMEO_TRY(step.schedule, loop::parse_schedule(padded, bound.lowered.kernel, file_));
    return Ok{};
  }

  std::string_view text_;
  std::string file_;
  TextLexer lex_;
  const graph::Graph &graph_;
  Numbering numbers_;
  Plan plan_;
  std::vector<std::pair<size_t, size_t>> sources_; ///< of schedules, by step: offset and length; length 0: none
  size_t counted_ = 0, lines_ = 0, line_start_ = 0;
};

} // namespace

std::string print(const Plan &plan, const graph::Graph &graph) {
  const Numbering numbers(graph);
  std::array<char, 16> digits{};
  char *end = std::to_chars(digits.data(), digits.data() + digits.size(), plan.graph_hash, 16).ptr;
  std::string out = "plan " + quote(plan.target) + " for 0x" + std::string(digits.data(), end) + " {\n";
  for (const std::string &slot : plan.slots) out += "  slot " + quote(slot) + "\n";
  out += "  arena " + plan.arena_bytes.str() + "\n";
  for (size_t i = 0; i < plan.buffers.size(); ++i) {
    const BufferPlan &b = plan.buffers[i];
    out += "  buffer " + std::to_string(i) + " " + word(kSpaces, b.space);
    if (b.space != Space::arena) out += " " + std::to_string(b.port);
    if (!b.bytes.is(0)) out += " bytes " + b.bytes.str();
    if (!b.offset.is(0)) out += " at " + b.offset.str();
    if (b.first != 0 || b.last != 0) out += " steps " + std::to_string(b.first) + " to " + std::to_string(b.last);
    out += "\n";
  }
  for (const ValuePlan &v : plan.values) out += "  value " + std::to_string(v.value) + " " + text(v.place) + "\n";
  for (const Step &step : plan.steps) {
    out += text(step);
    if (step.schedule.stages.empty()) continue;
    const Result<BoundStep> bound = bind_planned(plan, step, numbers);
    CAMEO_CHECK(bound.ok(), "a planned step has a kernel");
    out += indented(loop::print(step.schedule, bound->lowered.kernel));
  }
  return out + "}\n";
}

Result<Plan> parse_plan(std::string_view text, const graph::Graph &graph, const std::string &file) {
  return PlanParser(text, graph, file).run();
}

} // namespace cameo::passes
