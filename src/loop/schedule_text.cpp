// Prints and parses schedules, one line per stage in the kernel's order.
//
//   schedule = "schedule" @kernel "{" {stage} "}"
//   stage    = name place ["loops" "[" [loop {"," loop}] "]"] {item}
//   place    = "inline" | "root" | ("registers" | "local") "at" name ["loop" n]       without a loop: in front of the
//   first loop     = axis "/" tile ["unequal"] ["overlap"] ["parallel" n] ["zigzag" axis]               axis = a n item
//   = "vector" axis "by" lanes | "partials" n | "rolling" axis "rows" n | "dot"
//            | "prefetch" %buffer "panel" n "of" name "loop" n
#include "cameo/loop/schedule.h"

#include "cameo/support/text_lexer.h"

namespace cameo::loop {

std::string print(const Schedule &schedule, const Kernel &kernel) {
  CAMEO_CHECK(schedule.stages.size() == kernel.stages.size(), "one schedule per stage");
  std::string out = "schedule " + sigil_name('@', kernel.name) + " {\n";
  auto axis = [](int32_t a) { return "a" + std::to_string(a); };
  for (size_t s = 0; s < schedule.stages.size(); ++s) {
    const StageSchedule &p = schedule.stages[s];
    out += "  " + kernel.stages[s].name;
    if (p.place == Place::inlined) out += " inline";
    if (p.place == Place::root) out += " root";
    if (p.place == Place::registers || p.place == Place::local) {
      out += std::string(p.place == Place::local ? " local" : " registers") + " at " + kernel.stages[p.at_stage].name;
      if (p.at_loop >= 0) out += " loop " + std::to_string(p.at_loop);
    }
    if (!p.loops.empty()) {
      std::string list;
      for (const LoopSpec &l : p.loops) {
        list += (list.empty() ? "" : ", ") + axis(l.axis) + "/" + std::to_string(l.tile);
        if (!l.balanced) list += " unequal";
        if (l.overlap) list += " overlap";
        if (l.parallel_tasks > 0) list += " parallel " + std::to_string(l.parallel_tasks);
        if (l.zigzag >= 0) list += " zigzag " + axis(l.zigzag);
      }
      out += " loops [" + list + "]";
    }
    if (p.vector_axis >= 0) out += " vector " + axis(p.vector_axis) + " by " + std::to_string(p.lanes);
    if (p.partials != 1) out += " partials " + std::to_string(p.partials);
    if (p.rolling_axis >= 0) out += " rolling " + axis(p.rolling_axis) + " rows " + std::to_string(p.rolling);
    if (p.dot) out += " dot";
    if (p.prefetch_buffer >= 0)
      out += " prefetch " + sigil_name('%', kernel.buffers[p.prefetch_buffer].name) + " panel " +
             std::to_string(p.prefetch_panel) + " of " + kernel.stages[p.prefetch_loop_stage].name + " loop " +
             std::to_string(p.prefetch_loop);
    out += "\n";
  }
  return out + "}\n";
}

namespace {

constexpr int32_t kMaxTile = 1 << 20; // of a point box: more would unroll without end
constexpr int32_t kMaxTasks = 4096;

class ScheduleParser {
public:
  ScheduleParser(std::string_view text, const Kernel &kernel, const std::string &file) : lex_(text, file), k_(kernel) {}

  Result<Schedule> run() {
    Schedule schedule;
    lex_.expect("schedule");
    const Token name = lex_.expect(Token::Kind::symbol, "the kernel's name");
    if (name.text != k_.name) lex_.fail(name.offset, "schedule of another kernel");
    lex_.expect("{");
    for (const Stage &s : k_.stages) {
      const Token token = lex_.expect(Token::Kind::word, "stage " + s.name);
      if (token.text != s.name) lex_.fail(token.offset, "expected stage " + s.name);
      schedule.stages.push_back(stage(s));
    }
    lex_.expect("}");
    if (lex_.failed()) return lex_.diagnostic();
    return schedule;
  }

private:
  int32_t axis(const Stage &s) {
    const Token token = lex_.expect(Token::Kind::word, "an axis such as a0");
    int32_t number = 0;
    bool good = token.text.size() > 1 && token.text.size() < 6 && token.text[0] == 'a';
    for (size_t i = 1; good && i < token.text.size(); ++i) {
      good = token.text[i] >= '0' && token.text[i] <= '9';
      number = number * 10 + (token.text[i] - '0');
    }
    if (!good || number >= static_cast<int32_t>(s.axes.size())) {
      lex_.fail(token.offset, "no such axis of stage " + s.name);
      return 0;
    }
    return number;
  }
  int32_t stage_ref() {
    const Token token = lex_.expect(Token::Kind::word, "a stage");
    const int32_t s = k_.find_stage(token.text);
    if (s < 0) lex_.fail(token.offset, "no stage of this name");
    return std::max(s, 0);
  }
  int32_t small(std::string_view what, int64_t least, int64_t most) {
    return static_cast<int32_t>(lex_.integer(what, least, most));
  }

  StageSchedule stage(const Stage &s) {
    StageSchedule p;
    if (lex_.accept("inline")) {
      p.place = Place::inlined;
    } else if (lex_.accept("root")) {
      p.place = Place::root;
    } else if (lex_.accept("registers") || lex_.at("local")) {
      p.place = lex_.accept("local") ? Place::local : Place::registers;
      lex_.expect("at");
      p.at_stage = stage_ref();
      if (lex_.accept("loop")) p.at_loop = small("a loop", 0, 63);
    } else {
      lex_.fail_here("expected inline, root, registers or local");
    }
    if (lex_.accept("loops")) {
      lex_.expect("[");
      while (!lex_.at("]") && !lex_.at(Token::Kind::end)) {
        LoopSpec l;
        l.axis = axis(s);
        lex_.expect("/");
        l.tile = lex_.integer("a tile", 1, kMaxTile);
        l.balanced = !lex_.accept("unequal");
        l.overlap = lex_.accept("overlap");
        if (lex_.accept("parallel")) l.parallel_tasks = small("a number of tasks", 1, kMaxTasks);
        if (lex_.accept("zigzag")) l.zigzag = axis(s);
        p.loops.push_back(l);
        if (p.loops.size() > 64) lex_.fail_here("too many loops");
        if (!lex_.accept(",")) break;
      }
      lex_.expect("]");
    }
    for (;;) {
      if (lex_.accept("vector")) {
        p.vector_axis = axis(s);
        lex_.expect("by");
        p.lanes = small("lanes", 1, 64);
      } else if (lex_.accept("partials")) {
        p.partials = small("partial sums", 1, 64);
      } else if (lex_.accept("rolling")) {
        p.rolling_axis = axis(s);
        lex_.expect("rows");
        p.rolling = lex_.integer("rows", 1, kMaxTile);
      } else if (lex_.accept("dot")) {
        p.dot = true;
      } else if (lex_.accept("prefetch")) {
        const Token token = lex_.expect(Token::Kind::value, "a buffer");
        p.prefetch_buffer = k_.find_buffer(token.text);
        if (p.prefetch_buffer < 0) lex_.fail(token.offset, "no buffer of this name");
        lex_.expect("panel");
        p.prefetch_panel = lex_.integer("elements", 1, INT32_MAX);
        lex_.expect("of");
        p.prefetch_loop_stage = stage_ref();
        lex_.expect("loop");
        p.prefetch_loop = small("a loop", 0, 63);
      } else {
        return p;
      }
    }
  }

  TextLexer lex_;
  const Kernel &k_;
};

} // namespace

Result<Schedule> parse_schedule(std::string_view text, const Kernel &kernel, const std::string &file) {
  return ScheduleParser(text, kernel, file).run();
}

} // namespace cameo::loop
