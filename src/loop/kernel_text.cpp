// Prints and parses kernels in stage form.
//
//   kernel  = "kernel" @name ["origin" string] "{" ["symbols" %name {"," %name}] {buffer} {expr | stage} "}"
//   buffer  = ("in" | "const" | "out" | "inout") %name ":" dtype "[" [extent {"," extent}] "]"
//   extent  = n | "s" k                                            symbol k
//   expr    = "e" n "=" body ":" scalar                            n counts up from 0
//   body    = "const" number | "axis" axis | "symbol" "s" k | "carried" component
//           | "read" %buffer place [rule] | "stage" name place ["component" n] [rule]
//           | "pick" axis e {"," e} | OP e {"," e}
//   place   = "[" [index {"," index}] "]"
//   index   = ["-"] term {("+" | "-") term}                        term = n | [n "*"] axis | "e" n (indirect)
//   axis    = "a" n
//   rule    = "fill" number | "clamp" | "fail" status
//   stage   = "stage" name "[" [name ":" extent ["reduction" | "sequential"] {"," ...}] "]" ":" scalar {"," scalar}
//             ["combine" OP] "{" ["init" es] "next" es ["before" es] {"store" (%buffer place ["fill" | "fail" n]
//             ["accumulate" OP] ["overflow"] | "none")} "}"
#include "cameo/loop/kernel_text.h"

#include "cameo/support/text_lexer.h"

#include <algorithm>
#include <cmath>

namespace cameo::loop {

namespace {

std::string_view role_name(BufferRole role) {
  switch (role) {
  case BufferRole::input:
    return "in";
  case BufferRole::constant:
    return "const";
  case BufferRole::output:
    return "out";
  case BufferRole::inout:
    return "inout";
  }
  CAMEO_UNREACHABLE("buffer role");
}

std::string text(const Extent &extent) {
  return extent.is_constant() ? std::to_string(extent.value) : "s" + std::to_string(extent.symbol);
}

std::string text(const Index &index) {
  std::string out;
  auto add = [&](int64_t coefficient, const std::string &what) {
    if (out.empty())
      out = coefficient < 0 ? "-" : "";
    else
      out += coefficient < 0 ? " - " : " + ";
    const uint64_t magnitude =
        coefficient < 0 ? 0 - static_cast<uint64_t>(coefficient) : static_cast<uint64_t>(coefficient);
    if (what.empty())
      out += std::to_string(magnitude);
    else
      out += (magnitude == 1 ? "" : std::to_string(magnitude) + "*") + what;
  };
  for (auto [axis, coefficient] : index.axes) add(coefficient, "a" + std::to_string(axis));
  if (index.indirect >= 0) add(1, "e" + std::to_string(index.indirect));
  if (index.constant != 0 || out.empty()) add(index.constant, "");
  return out;
}

std::string place(const std::vector<Index> &indices) {
  std::string out = "[";
  for (const Index &i : indices) out += (out.size() > 1 ? ", " : "") + text(i);
  return out + "]";
}

template <class List, class F> std::string join(const List &list, F item) {
  std::string out;
  for (const auto &x : list) out += (out.empty() ? "" : ", ") + item(x);
  return out;
}

std::string expr_name(ExprId id) { return "e" + std::to_string(id); }

std::string body(const Kernel &k, const Expr &e) {
  auto rule = [&]() -> std::string {
    switch (e.rule) {
    case OutOfRange::never:
      return "";
    case OutOfRange::fill:
      return " fill " + real_text(e.real);
    case OutOfRange::clamp:
      return " clamp";
    case OutOfRange::fail:
      return " fail " + std::to_string(e.integer);
    }
    return "";
  };
  const std::string args = join(e.args, expr_name);
  switch (e.kind) {
  case Expr::Kind::constant:
    return "const " + (is_float(e.type) ? real_text(e.real) : std::to_string(e.integer));
  case Expr::Kind::axis:
    return "axis a" + std::to_string(e.integer);
  case Expr::Kind::symbol:
    return "symbol s" + std::to_string(e.integer);
  case Expr::Kind::carried:
    return "carried " + std::to_string(e.component);
  case Expr::Kind::buffer:
    return "read " + sigil_name('%', k.buffers[e.source].name) + place(e.indices) + rule();
  case Expr::Kind::stage:
    return "stage " + k.stages[e.source].name + place(e.indices) +
           (e.component != 0 ? " component " + std::to_string(e.component) : "") + rule();
  case Expr::Kind::pick:
    return "pick a" + std::to_string(e.integer) + " " + args;
  case Expr::Kind::op:
    return std::string(name(e.op)) + " " + args;
  }
  CAMEO_UNREACHABLE("expression kind");
}

std::string stage_text(const Kernel &k, const Stage &s) {
  std::string out = "stage " + s.name + "[" +
                    join(s.axes,
                         [](const Axis &a) {
                           return a.name + ": " + text(a.extent) +
                                  (a.kind == AxisKind::reduction    ? " reduction"
                                   : a.kind == AxisKind::sequential ? " sequential"
                                                                    : "");
                         }) +
                    "] : " + join(s.types, [](Scalar t) { return std::string(name(t)); });
  if (s.combine) out += " combine " + std::string(name(*s.combine));
  out += " {";
  if (!s.init.empty()) out += " init " + join(s.init, expr_name);
  out += " next " + join(s.next, expr_name);
  if (!s.before.empty()) out += " before " + join(s.before, expr_name);
  for (const StageStore &store : s.stores) {
    if (store.buffer < 0) {
      out += " store none";
      continue;
    }
    out += " store " + sigil_name('%', k.buffers[store.buffer].name) + place(store.indices);
    if (store.rule == OutOfRange::fill) out += " fill";
    if (store.rule == OutOfRange::fail) out += " fail " + std::to_string(store.status);
    if (store.accumulate) out += " accumulate " + std::string(name(store.combine));
    if (!store.saturate) out += " overflow";
  }
  return out + " }";
}

} // namespace

std::string print(const Kernel &k) {
  std::string out =
      "kernel " + sigil_name('@', k.name) + (k.origin.empty() ? "" : " origin " + quote(k.origin)) + " {\n";
  if (!k.symbols.empty())
    out += "  symbols " + join(k.symbols, [](const std::string &s) { return sigil_name('%', s); }) + "\n";
  for (const KernelBuffer &b : k.buffers)
    out += "  " + std::string(role_name(b.role)) + " " + sigil_name('%', b.name) + ": " + std::string(name(b.dtype)) +
           "[" + join(b.dims, [](const Extent &e) { return text(e); }) + "]\n";
  for (size_t i = 0; i < k.exprs.size(); ++i)
    out += "  " + expr_name(static_cast<ExprId>(i)) + " = " + body(k, k.exprs[i]) + " : " +
           std::string(name(k.exprs[i].type)) + "\n";
  for (const Stage &s : k.stages) out += "  " + stage_text(k, s) + "\n";
  return out + "}\n";
}

namespace {

constexpr size_t kMaxItems = 1 << 20;
constexpr int64_t kMaxRank = 64;

class KernelParser {
public:
  KernelParser(std::string_view text, const std::string &file) : lex_(text, file) {}

  Result<Kernel> run() {
    lex_.expect("kernel");
    k_.name = lex_.expect(Token::Kind::symbol, "the kernel's name").text;
    if (lex_.accept("origin")) k_.origin = lex_.expect(Token::Kind::string, "a string").text;
    lex_.expect("{");
    if (lex_.accept("symbols")) do
        k_.symbols.push_back(lex_.expect(Token::Kind::value, "a symbol's name").text);
      while (lex_.accept(","));
    while (!lex_.at("}") && !lex_.at(Token::Kind::end) && buffer()) {
    }
    while (!lex_.at("}") && !lex_.at(Token::Kind::end)) {
      if (lex_.at("stage"))
        stage();
      else
        expr();
    }
    const size_t end = lex_.peek().offset;
    lex_.expect("}");
    for (const auto &[id, reference] : stage_reads_) { // stages may be read before they are listed (state)
      const int32_t s = k_.find_stage(reference.first);
      if (s < 0)
        lex_.fail(reference.second, "no stage of this name");
      else
        k_.exprs[id].source = s;
    }
    if (!lex_.failed()) check(end);
    if (lex_.failed()) return lex_.diagnostic();
    return std::move(k_);
  }

private:
  // Numbers after a letter, as in a3, e12, s0.
  int64_t numbered(char letter, std::string_view what, int64_t limit) {
    const Token token = lex_.expect(Token::Kind::word, what);
    int64_t value = 0;
    bool good = token.text.size() > 1 && token.text.size() < 10 && token.text[0] == letter;
    for (size_t i = 1; good && i < token.text.size(); ++i) {
      good = token.text[i] >= '0' && token.text[i] <= '9';
      value = value * 10 + (token.text[i] - '0');
    }
    if (!lex_.failed() && (!good || value >= limit)) lex_.fail(token.offset, "expected " + std::string(what));
    return lex_.failed() ? 0 : value;
  }
  bool at_numbered(char letter) const {
    const Token &t = lex_.peek();
    return t.kind == Token::Kind::word && t.text.size() > 1 && t.text[0] == letter &&
           t.text.find_first_not_of("0123456789", 1) == std::string::npos;
  }
  ExprId expr_ref() {
    return static_cast<ExprId>(numbered('e', "an expression defined above", static_cast<int64_t>(k_.exprs.size())));
  }
  int32_t axis() { return static_cast<int32_t>(numbered('a', "an axis such as a0", kMaxRank)); }
  Extent extent() {
    if (at_numbered('s'))
      return Extent::of_symbol(
          static_cast<int32_t>(numbered('s', "a symbol of the kernel", static_cast<int64_t>(k_.symbols.size()))));
    return lex_.integer("an extent", 0);
  }
  Scalar scalar() {
    const Token token = lex_.expect(Token::Kind::word, "a scalar type");
    for (int i = 0; i <= static_cast<int>(Scalar::f64); ++i)
      if (name(static_cast<Scalar>(i)) == token.text) return static_cast<Scalar>(i);
    lex_.fail(token.offset, "unknown scalar type");
    return Scalar::f32;
  }
  std::optional<Opcode> opcode(const Token &token) {
    static constexpr Opcode kOpcodes[] = {
#define LOOP_OP(id, text, class_) Opcode::id,
#include "cameo/loop/opcodes.def"
    };
    for (Opcode code : kOpcodes)
      if (name(code) == token.text && (op_class(code) != OpClass::other || code == Opcode::select)) return code;
    lex_.fail(token.offset, "unknown operation");
    return std::nullopt;
  }
  int32_t buffer_ref() {
    const Token token = lex_.expect(Token::Kind::value, "a buffer");
    const int32_t b = k_.find_buffer(token.text);
    if (b < 0 && !lex_.failed()) lex_.fail(token.offset, "no buffer of this name");
    return std::max(b, 0);
  }
  std::vector<ExprId> expr_list() {
    std::vector<ExprId> list;
    do list.push_back(expr_ref());
    while (lex_.accept(",") && list.size() < kMaxItems);
    return list;
  }

  bool buffer() {
    BufferRole role{};
    if (lex_.accept("in"))
      role = BufferRole::input;
    else if (lex_.accept("const"))
      role = BufferRole::constant;
    else if (lex_.accept("out"))
      role = BufferRole::output;
    else if (lex_.accept("inout"))
      role = BufferRole::inout;
    else
      return false;
    const Token token = lex_.expect(Token::Kind::value, "a buffer's name");
    lex_.expect(":");
    const Token type = lex_.expect(Token::Kind::word, "an element type");
    const auto dtype = dtype_from_name(type.text);
    if (!lex_.failed() && (!dtype || *dtype == DType::string || *dtype == DType::c64 || *dtype == DType::c128))
      lex_.fail(type.offset, "no kernel element of this type");
    std::vector<Extent> dims;
    lex_.expect("[");
    while (!lex_.at("]") && !lex_.at(Token::Kind::end)) {
      dims.push_back(extent());
      if (dims.size() > kMaxRank) lex_.fail_here("too many dims");
      if (!lex_.accept(",")) break;
    }
    lex_.expect("]");
    if (lex_.failed()) return false;
    if (k_.find_buffer(token.text) >= 0) return lex_.fail(token.offset, "two buffers of this name");
    k_.add_buffer(token.text, *dtype, std::move(dims), role);
    return true;
  }

  std::vector<Index> indices() {
    std::vector<Index> list;
    lex_.expect("[");
    while (!lex_.at("]") && !lex_.at(Token::Kind::end)) {
      list.push_back(index());
      if (list.size() > kMaxRank) lex_.fail_here("too many indices");
      if (!lex_.accept(",")) break;
    }
    lex_.expect("]");
    return list;
  }
  Index index() {
    Index out;
    bool minus = lex_.accept("-");
    do {
      if (at_numbered('e')) {
        if (minus || out.indirect >= 0) lex_.fail_here("one run-time coordinate may be added");
        out.indirect = expr_ref();
      } else {
        int64_t factor = 1;
        bool is_axis = at_numbered('a');
        if (!is_axis) {
          factor = lex_.integer("a coordinate", 0);
          is_axis = lex_.accept("*");
        }
        if (minus) factor = -factor;
        if (is_axis)
          out.axes.emplace_back(axis(), factor);
        else if (__builtin_add_overflow(out.constant, factor, &out.constant))
          lex_.fail_here("coordinate out of range");
      }
      if (out.axes.size() > kMaxRank) lex_.fail_here("too many terms");
      minus = lex_.at("-");
    } while (lex_.accept("+") || lex_.accept("-"));
    return out;
  }
  void rule(Expr &e) {
    if (lex_.accept("fill")) {
      e.rule = OutOfRange::fill;
      e.real = lex_.real("the value outside");
      e.integer = e.real >= -9e18 && e.real <= 9e18 ? static_cast<int64_t>(e.real) : 0;
    } else if (lex_.accept("clamp")) {
      e.rule = OutOfRange::clamp;
    } else if (lex_.accept("fail")) {
      e.rule = OutOfRange::fail;
      e.integer = lex_.integer("a status", 1, INT32_MAX);
    }
  }

  void expr() {
    const size_t at = lex_.peek().offset;
    const int64_t number = numbered('e', "an expression or a stage", INT32_MAX);
    if (!lex_.failed() && number != static_cast<int64_t>(k_.exprs.size()))
      lex_.fail(at, "expressions are numbered in order");
    lex_.expect("=");
    const Token kind = lex_.expect(Token::Kind::word, "an operation");
    Expr e;
    if (kind.text == "const") {
      e.kind = Expr::Kind::constant;
      const bool negative = lex_.accept("-");
      const Token number_token = lex_.next();
      const double sign = negative ? -1 : 1;
      if (number_token.kind == Token::Kind::integer) {
        e.integer = static_cast<int64_t>(negative ? 0 - number_token.integer : number_token.integer);
        e.real = sign * number_token.real;
      } else if (number_token.kind == Token::Kind::real) {
        e.real = sign * number_token.real;
      } else if (number_token.text == "inf" || number_token.text == "nan") {
        e.real = sign * (number_token.text == "inf" ? INFINITY : NAN);
      } else {
        lex_.fail(number_token.offset, "expected a number");
      }
    } else if (kind.text == "axis") {
      e.kind = Expr::Kind::axis;
      e.integer = axis();
    } else if (kind.text == "symbol") {
      e.kind = Expr::Kind::symbol;
      e.integer = numbered('s', "a symbol of the kernel", static_cast<int64_t>(k_.symbols.size()));
    } else if (kind.text == "carried") {
      e.kind = Expr::Kind::carried;
      e.component = static_cast<int32_t>(lex_.integer("a component", 0, 64));
    } else if (kind.text == "read") {
      e.kind = Expr::Kind::buffer;
      e.source = buffer_ref();
      e.indices = indices();
      rule(e);
      if (!lex_.failed() && e.indices.size() != k_.buffers[e.source].dims.size())
        lex_.fail(kind.offset, "index count differs from the buffer's rank");
    } else if (kind.text == "stage") {
      e.kind = Expr::Kind::stage;
      const Token token = lex_.expect(Token::Kind::word, "a stage's name");
      stage_reads_.emplace_back(k_.exprs.size(), std::pair(token.text, token.offset));
      e.indices = indices();
      if (lex_.accept("component")) e.component = static_cast<int32_t>(lex_.integer("a component", 0, 64));
      rule(e);
    } else if (kind.text == "pick") {
      e.kind = Expr::Kind::pick;
      e.integer = axis();
      e.args = expr_list();
    } else if (!lex_.failed()) {
      e.kind = Expr::Kind::op;
      const auto code = opcode(kind);
      if (code) e.op = *code;
      e.args = expr_list();
      const OpClass c = op_class(e.op);
      const size_t count = c == OpClass::unary || c == OpClass::cast         ? 1
                           : c == OpClass::ternary || e.op == Opcode::select ? 3
                                                                             : 2;
      if (!lex_.failed() && e.args.size() != count) lex_.fail(kind.offset, "operand count");
    }
    lex_.expect(":");
    e.type = scalar();
    if (e.kind == Expr::Kind::constant) { // one of the two holds the value
      if (is_float(e.type))
        e.integer = 0;
      else
        e.real = 0;
    }
    k_.exprs.push_back(std::move(e));
  }

  void stage() {
    lex_.expect("stage");
    Stage s;
    const Token token = lex_.expect(Token::Kind::word, "a stage's name");
    s.name = token.text;
    if (k_.find_stage(s.name) >= 0) lex_.fail(token.offset, "two stages of this name");
    lex_.expect("[");
    while (!lex_.at("]") && !lex_.at(Token::Kind::end)) {
      Axis a;
      a.name = lex_.expect(Token::Kind::word, "an axis' name").text;
      lex_.expect(":");
      a.extent = extent();
      if (lex_.accept("reduction"))
        a.kind = AxisKind::reduction;
      else if (lex_.accept("sequential"))
        a.kind = AxisKind::sequential;
      s.axes.push_back(std::move(a));
      if (s.axes.size() > kMaxRank) lex_.fail_here("too many axes");
      if (!lex_.accept(",")) break;
    }
    lex_.expect("]");
    lex_.expect(":");
    do s.types.push_back(scalar());
    while (lex_.accept(",") && s.types.size() < 64);
    if (lex_.accept("combine")) {
      const Token op = lex_.expect(Token::Kind::word, "an operation");
      const auto code = opcode(op);
      if (code && *code != Opcode::add && *code != Opcode::max && *code != Opcode::min)
        lex_.fail(op.offset, "sums combine by add, max or min");
      s.combine = code;
    }
    lex_.expect("{");
    if (lex_.accept("init")) s.init = expr_list();
    lex_.expect("next");
    s.next = expr_list();
    if (lex_.accept("before")) s.before = expr_list();
    while (lex_.accept("store") && s.stores.size() < 64) {
      StageStore store;
      if (!lex_.accept("none")) {
        store.buffer = buffer_ref();
        store.indices = indices();
        if (lex_.accept("fill"))
          store.rule = OutOfRange::fill;
        else if (lex_.accept("fail")) {
          store.rule = OutOfRange::fail;
          store.status = lex_.integer("a status", 1, INT32_MAX);
        }
        if (lex_.accept("accumulate")) {
          store.accumulate = true;
          const auto code = opcode(lex_.expect(Token::Kind::word, "an operation"));
          if (code) store.combine = *code;
        }
        store.saturate = !lex_.accept("overflow");
      }
      s.stores.push_back(std::move(store));
    }
    lex_.expect("}");
    k_.stages.push_back(std::move(s));
  }

  // What the parser did not need to know, the verifier does; its first complaint stands at the end of the kernel.
  void check(size_t end) {
    for (const Expr &e : k_.exprs)
      if (e.kind == Expr::Kind::stage) {
        const Stage &s = k_.stages[e.source];
        if (e.component >= static_cast<int32_t>(s.types.size()) ||
            static_cast<int32_t>(e.indices.size()) != s.outer_rank()) {
          lex_.fail(end, "a read of stage " + s.name + " has other indices or components than it");
          return;
        }
      }
    const std::vector<std::string> errors = verify(k_);
    if (!errors.empty()) lex_.fail(end, errors.front());
  }

  TextLexer lex_;
  Kernel k_;
  std::vector<std::pair<size_t, std::pair<std::string, size_t>>> stage_reads_;
};

} // namespace

Result<Kernel> parse_kernel(std::string_view text, const std::string &file) { return KernelParser(text, file).run(); }

} // namespace cameo::loop
