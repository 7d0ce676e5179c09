// Dimension expressions as text.
//
//   sum     = ["-"] product { ("+" | "-") product }
//   product = factor { "*" factor }
//   factor  = integer | symbol | "?" integer | function "(" sum { "," sum } ")" | "(" sum ")"
//   symbol  = word | string            a name that is no word, or a function's, is quoted
#include "dim_expr.h"
#include "text.h"

#include <algorithm>
#include <iterator>

namespace cameo::graph {

namespace {

struct Function {
  std::string_view name;
  Atom::Kind kind;
  Dim (*apply)(const Dim &, const Dim &);
  bool variadic;
};
constexpr Function kFunctions[] = {
    {"floordiv", Atom::Kind::floordiv, [](const Dim &a, const Dim &b) { return floordiv(a, b); }, false},
    {"ceildiv", Atom::Kind::floordiv, [](const Dim &a, const Dim &b) { return ceildiv(a, b); }, false},
    {"mod", Atom::Kind::mod, [](const Dim &a, const Dim &b) { return mod(a, b); }, false},
    {"min", Atom::Kind::min, [](const Dim &a, const Dim &b) { return min(a, b); }, true},
    {"max", Atom::Kind::max, [](const Dim &a, const Dim &b) { return max(a, b); }, true},
};

const Function *find_function(std::string_view name) {
  auto row = std::find_if(std::begin(kFunctions), std::end(kFunctions), [&](auto &f) { return f.name == name; });
  return row == std::end(kFunctions) ? nullptr : row;
}

bool is_word(std::string_view text) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto digit = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  return letter(text[0]) && std::all_of(text.begin(), text.end(), [&](char c) { return letter(c) || digit(c); });
}

std::string text(const Atom &atom) {
  if (atom.kind == Atom::Kind::runtime) return std::string(1, '?') + std::to_string(atom.number);
  if (atom.kind == Atom::Kind::symbol)
    return is_word(atom.name) && !find_function(atom.name) ? atom.name : quote(atom.name);
  const Function *row =
      std::find_if(std::begin(kFunctions), std::end(kFunctions), [&](auto &f) { return f.kind == atom.kind; });
  std::string out = std::string(row->name) + "(";
  for (size_t i = 0; i < atom.args.size(); ++i) out += (i ? ", " : "") + atom.args[i].str();
  return out + ")";
}

class Reader {
public:
  explicit Reader(TextLexer &lexer) : lexer_(lexer) {}

  Dim sum() {
    if (++depth_ > kMaxNesting) {
      lexer_.fail_here("expression nested deeper than " + std::to_string(kMaxNesting));
      return 0;
    }
    size_t start = lexer_.peek().offset;
    Dim total = lexer_.accept("-") ? product(-1) : product(1);
    while (lexer_.at("+") || lexer_.at("-")) total += product(lexer_.next().text == "-" ? -1 : 1);
    --depth_;
    if (!total.valid()) {
      lexer_.fail(start, "dimension " + std::string(total.fault_text()));
      return 0;
    }
    return total;
  }

private:
  // The sign goes in first, so that the most negative integer can be written.
  Dim product(int sign) {
    Dim result = factor(sign);
    while (lexer_.accept("*")) result *= factor(1);
    return result;
  }

  Dim factor(int sign) {
    if (lexer_.at(Token::Kind::integer)) {
      Token token = lexer_.next();
      uint64_t most = static_cast<uint64_t>(INT64_MAX) + (sign < 0 ? 1 : 0);
      if (token.integer > most) {
        lexer_.fail(token.offset, "dimension overflows 64 bits");
        return 0;
      }
      return static_cast<int64_t>(sign < 0 ? 0 - token.integer : token.integer);
    }
    return Dim(sign) * named_factor();
  }

  Dim named_factor() {
    size_t start = lexer_.peek().offset;
    if (lexer_.accept("?")) return Dim::runtime(lexer_.integer("the number of a run-time symbol", 0, 1 << 30));
    if (lexer_.accept("(")) {
      Dim inner = sum();
      lexer_.expect(")");
      return inner;
    }
    if (lexer_.at(Token::Kind::string)) {
      std::string name = lexer_.next().text;
      if (!name.empty()) return Dim::symbol(std::move(name));
      lexer_.fail(start, "a symbol needs a name");
      return 0;
    }
    std::string name = lexer_.expect(Token::Kind::word, "a dimension").text;
    if (name.empty()) return 0; // failed
    const Function *function = find_function(name);
    if (!function) return Dim::symbol(std::move(name));
    lexer_.expect("(");
    Dim result = sum();
    size_t count = 1;
    while (lexer_.accept(",")) {
      result = function->apply(result, sum());
      ++count;
    }
    lexer_.expect(")");
    if (count != 2 && !(function->variadic && count > 1)) lexer_.fail(start, name + " takes two operands");
    return result;
  }

  TextLexer &lexer_;
  int depth_ = 0;
};

} // namespace

std::string Dim::str() const {
  if (!valid()) return "invalid(" + std::string(fault_text()) + ")";
  if (!expr_) return std::to_string(constant_);
  std::string out;
  for (const Term &term : expr_->terms) {
    bool negative = term.coefficient < 0;
    out += out.empty() ? (negative ? "-" : "") : (negative ? " - " : " + ");
    std::string magnitude = std::to_string(term.coefficient).substr(negative ? 1 : 0);
    bool first = magnitude != "1" || term.factors.empty();
    if (first) out += magnitude;
    for (const AtomPtr &factor : term.factors) {
      if (first) out += "*";
      first = true;
      out += text(*factor);
    }
  }
  return out;
}

Dim read_dim(TextLexer &lexer) { return Reader(lexer).sum(); }

Result<Dim> parse_dim(std::string_view text, const std::string &where) {
  TextLexer lexer(text, where);
  Dim dim = read_dim(lexer);
  if (!lexer.failed() && !lexer.at(Token::Kind::end)) lexer.fail_here("expected the end of the dimension");
  if (lexer.failed()) return lexer.diagnostic();
  return dim;
}

} // namespace cameo::graph
