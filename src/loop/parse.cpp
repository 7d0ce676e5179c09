// Reads the text form of explicit Loop IR: a recursive-descent parser over the shared lexer. It checks syntax, names
// and what it must know to build the tree; the verifier checks the rest. Hostile text ends in a caret error: nesting,
// lanes, address terms and numbers are bounded, and every loop below ends at the lexer's `end` token.
//
//   module    = { function }
//   function  = ("func" | "declare") @name "(" [param {"," param}] ")" ["->" types] {"exported" | "noinline" | "origin"
//   string}
//               [block]                                            a declaration has no block
//   param     = %name ":" type {"readonly" | "noalias" | "align" n | "size" n}
//   type      = scalar ["x" lanes] | "buf" "<" scalar ">"          i1 i8 i16 i32 i64 f16 bf16 f32 f64; f32x16
//   types     = type | "(" [type {"," type}] ")"
//   block     = "{" {op} "}"                                       a region that does not end in yield yields nothing
//   values    = [%name {"," %name}]
//   address   = "[" ["-"] term {("+" | "-") term} "]"              term = n | %name ["*" n]
//   iters     = "iter" "(" %arg "=" %init {"," %arg "=" %init} ")"
//   bound     = %name | n                                          n stands for a constant defined just before
//   op        = [values "="] one of
//     NAME values ":" type                                         every element-wise opcode and cast; broadcast,
//     reduce.*, select "const" (number | "true" | "false" | "bits" n) ":" type      bits: the pattern of a double, for
//     NaNs with a payload "iota" ":" type "extract" %name "[" n "]" ":" type "shuffle" %a "," %b "[" n {"," n} "]" ":"
//     type "target" string "(" values ")" ":" type "index" address ":" type "alloca" n ["align" n] ":" type "view"
//     %buffer address ":" type "load" %buffer address ["align" n] ["active" %n] ":" type "store" %value "," %buffer
//     address ["align" n] ["active" %n] ":" type "gather" %buffer address "at" %indices ["mask" %m] ":" type "scatter"
//     %value "," %buffer address "at" %indices ["mask" %m] ":" type "prefetch" %buffer address "locality" n ["write"]
//     "for" %iv "=" bound "to" bound ["step" n] ["certain"] [iters] block
//     "if" %condition ["->" types] block ["else" block]
//     "while" [iters] block "do" "(" [%name ":" type {"," %name ":" type}] ")" block
//     "parallel" %task "of" (%name | n) block
//     "call" @name "(" values ")" ["->" types]
//     "yield" values | "return" values
//     "check" %condition "status" n
#include "cameo/loop/print.h"

#include "cameo/support/text_lexer.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <unordered_map>

namespace cameo::loop {

namespace {

constexpr int kMaxDepth = 200;
constexpr size_t kMaxTerms = 64;
constexpr size_t kMaxList = 4096; // values, types or mask lanes in one list

std::optional<Scalar> scalar_from_name(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(Scalar::f64); ++i)
    if (name(static_cast<Scalar>(i)) == text) return static_cast<Scalar>(i);
  return std::nullopt;
}

class Parser {
public:
  Parser(std::string_view text, const std::string &file) : lex_(text, file) {}

  Result<Module> run() {
    Module module;
    while (!lex_.at(Kind::end)) module.functions.push_back(parse_function());
    if (lex_.failed()) return lex_.diagnostic();
    return module;
  }

private:
  using Kind = Token::Kind;

  // ---- names

  // One key per name, however it is spelled; `%12` is the number of an unnamed value, `%"12"` a name.
  static std::string key(const Token &token) {
    if (is_number(token)) return token.text;
    size_t quote_end = token.quoted ? token.spelling.rfind('"') : 0;
    size_t suffix = token.spelling.find('#', quote_end);
    return sigil_name('%', token.text) +
           std::string(suffix == std::string_view::npos ? "" : token.spelling.substr(suffix));
  }
  static bool is_number(const Token &token) {
    return !token.quoted && token.text.find_first_not_of("0123456789") == std::string::npos;
  }

  Value define(const Token &token, Type type) {
    if (lex_.failed()) return {};
    Value value = function_.new_value(type, is_number(token) ? std::string() : token.text);
    if (!names_.emplace(key(token), value).second)
      lex_.fail(token.offset, "value " + escape_name(std::string(token.spelling)) + " is defined already");
    return value;
  }

  Value lookup(const Token &token) {
    if (lex_.failed()) return {};
    auto it = names_.find(key(token));
    if (it != names_.end()) return it->second;
    lex_.fail(token.offset, "unknown value " + escape_name(std::string(token.spelling)));
    return {};
  }

  Token name_token(std::string_view what) { return lex_.expect(Kind::value, what); }
  Value use(std::string_view what) { return lookup(name_token(what)); }

  std::vector<Value> use_list() {
    std::vector<Value> list;
    if (!lex_.at(Kind::value)) return list;
    do list.push_back(use("a value"));
    while (!lex_.failed() && bounded(list.size()) && lex_.accept(","));
    return list;
  }

  bool bounded(size_t count) {
    return count < kMaxList || lex_.fail_here("list of more than " + std::to_string(kMaxList));
  }

  const Type &type_of(Value v) const { return function_.type(v); }

  // ---- types

  Type parse_type() {
    Token token = lex_.expect(Kind::word, "a type");
    std::string_view text = token.text;
    if (text == "buf") {
      lex_.expect("<");
      Token element = lex_.expect(Kind::word, "an element type");
      auto scalar = scalar_from_name(element.text);
      if (!scalar) lex_.fail(element.offset, "unknown scalar type '" + element.text.substr(0, 40) + "'");
      lex_.expect(">");
      return buffer_of(scalar.value_or(Scalar::i8));
    }
    size_t cross = text.find('x');
    auto scalar = scalar_from_name(text.substr(0, cross));
    int32_t lanes = 1;
    bool good = scalar.has_value();
    if (good && cross != std::string_view::npos) {
      const char *begin = text.data() + cross + 1, *end = text.data() + text.size();
      auto [rest, error] = std::from_chars(begin, end, lanes);
      good = error == std::errc() && rest == end && *begin != '0' && lanes >= 2;
      if (good && lanes > kMaxLanes) {
        lex_.fail(token.offset, "a vector has at most " + std::to_string(kMaxLanes) + " lanes");
        return {};
      }
    }
    if (!good) {
      lex_.fail(token.offset, "unknown type '" + token.text.substr(0, 40) + "'");
      return {};
    }
    return {*scalar, lanes, false};
  }

  std::vector<Type> parse_types() {
    if (!lex_.accept("(")) return {parse_type()};
    std::vector<Type> types;
    if (lex_.accept(")")) return types;
    do types.push_back(parse_type());
    while (!lex_.failed() && bounded(types.size()) && lex_.accept(","));
    lex_.expect(")");
    return types;
  }

  Type colon_type() {
    lex_.expect(":");
    return parse_type();
  }

  std::vector<Type> arrow_types() { return lex_.accept("->") ? parse_types() : std::vector<Type>(); }

  // ---- pieces of operations

  Affine parse_address() {
    Affine affine;
    lex_.expect("[");
    bool negative = lex_.accept("-");
    size_t terms = 0;
    do {
      if (++terms > kMaxTerms) lex_.fail_here("address of more than " + std::to_string(kMaxTerms) + " terms");
      int64_t sign = negative ? -1 : 1;
      if (lex_.at(Kind::value)) {
        Value v = use("a value");
        // -%v*9223372036854775808 is the one way to write the least coefficient: take the sign into the number.
        affine += lex_.accept("*") ? Affine(v, coefficient(negative)) : Affine(v, sign);
      } else {
        affine += Affine(coefficient(negative));
      }
      negative = lex_.at("-");
    } while (!lex_.failed() && (lex_.accept("+") || lex_.accept("-")));
    lex_.expect("]");
    return affine;
  }

  int64_t coefficient(bool negative) {
    const Token token = lex_.expect(Kind::integer, "a number");
    uint64_t limit = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
    if (token.integer > limit) lex_.fail(token.offset, "number does not fit in 64 bits");
    return static_cast<int64_t>(negative ? 0 - token.integer : token.integer);
  }

  int32_t optional_align() {
    if (!lex_.accept("align")) return 0;
    size_t at = lex_.peek().offset;
    auto align = static_cast<int32_t>(lex_.integer("alignment", 1, 1 << 30));
    if ((align & (align - 1)) != 0) lex_.fail(at, "alignment must be a power of two");
    return align;
  }

  // `%x[%i]` appended to the operation.
  void parse_place(Op &op) {
    op.operands.push_back(use("a buffer"));
    op.address = parse_address();
  }
  void optional_operand(Op &op, std::string_view keyword) {
    if (lex_.accept(keyword)) op.operands.push_back(use("a value"));
  }

  // The type written after a store, which repeats the type of the value.
  void repeated_type(Value v) {
    lex_.expect(":");
    size_t at = lex_.peek().offset;
    Type type = parse_type();
    if (!lex_.failed() && type != type_of(v)) lex_.fail(at, "the value is of type " + to_string(type_of(v)));
  }

  Value parse_bound(Block &block) {
    if (lex_.at(Kind::value)) return use("a bound");
    Op op{};
    op.code = Opcode::constant;
    op.integer = lex_.integer("a bound");
    op.results = {function_.new_value(kIndex)};
    block.ops.push_back(std::move(op));
    return block.ops.back().results[0];
  }

  // `iter (%a = %x, ...)`: arguments of `region`, initial values as operands of `op`.
  void parse_iters(Op &op, Block &region) {
    if (!lex_.accept("iter")) return;
    lex_.expect("(");
    std::vector<Token> names;
    std::vector<Value> inits;
    do {
      names.push_back(name_token("an iteration argument"));
      lex_.expect("=");
      inits.push_back(use("an initial value"));
    } while (!lex_.failed() && bounded(names.size()) && lex_.accept(","));
    lex_.expect(")");
    for (size_t i = 0; i < names.size() && !lex_.failed(); ++i)
      region.args.push_back(define(names[i], type_of(inits[i])));
    op.operands.insert(op.operands.end(), inits.begin(), inits.end());
  }

  // A block in braces; `region`: it yields nothing unless it says what.
  void parse_block(Block &block, bool region) {
    if (++depth_ > kMaxDepth) lex_.fail_here("nested deeper than " + std::to_string(kMaxDepth));
    lex_.expect("{");
    while (!lex_.failed() && !lex_.at("}") && !lex_.at(Kind::end)) parse_op(block);
    lex_.expect("}");
    if (region && (block.ops.empty() || block.ops.back().code != Opcode::yield)) {
      Op op{};
      op.code = Opcode::yield;
      block.ops.push_back(std::move(op));
    }
    --depth_;
  }

  // ---- operations

  void parse_op(Block &block) {
    std::vector<Token> results;
    if (lex_.at(Kind::value)) {
      do results.push_back(name_token("a result"));
      while (!lex_.failed() && bounded(results.size()) && lex_.accept(","));
      lex_.expect("=");
    }
    Token word = lex_.expect(Kind::word, "an operation");
    auto code = opcode_from_name(word.text);
    if (!code) {
      lex_.fail(word.offset, "unknown operation '" + word.text.substr(0, 40) + "'");
      return;
    }
    Op op{};
    op.code = *code;
    std::vector<Type> types = op_class(*code) == OpClass::other ? parse_other(op, block) : parse_plain(op);
    if (lex_.failed()) return;
    if (types.size() != results.size()) {
      lex_.fail(results.empty() ? word.offset : results[0].offset, std::string(name(*code)) + " has " +
                                                                       std::to_string(types.size()) + " results, " +
                                                                       std::to_string(results.size()) + " are named");
      return;
    }
    for (size_t i = 0; i < results.size(); ++i) op.results.push_back(define(results[i], types[i]));
    block.ops.push_back(std::move(op));
  }

  std::vector<Type> parse_plain(Op &op) {
    op.operands = use_list();
    return {colon_type()};
  }

  std::vector<Type> parse_constant(Op &op) {
    // The type follows the value, so an integer is read as a sign and a magnitude first.
    size_t at = lex_.peek().offset;
    bool truth = lex_.at("true") || lex_.at("false"), pattern = lex_.at("bits");
    bool negative = !truth && !pattern && lex_.accept("-");
    Token token = lex_.next();
    if (pattern) token = lex_.expect(Kind::integer, "the bits of a double");
    bool integral = token.kind == Kind::integer;
    bool special = token.kind == Kind::word && (token.text == "inf" || token.text == "nan");
    if (!truth && !integral && !special && token.kind != Kind::real) {
      lex_.fail(at, "expected a number, true or false");
      return {};
    }
    Type type = colon_type();
    if (lex_.failed()) return {};
    if (is_float(type.scalar)) {
      if (truth) lex_.fail(at, "a number of type " + to_string(type) + " is needed");
      double magnitude = special ? (token.text == "inf" ? std::numeric_limits<double>::infinity()
                                                        : std::bit_cast<double>(uint64_t{0x7ff8} << 48))
                                 : token.real;
      op.real = pattern ? std::bit_cast<double>(token.integer) : negative ? -magnitude : magnitude;
      if (type.scalar == Scalar::f32 && op.real == op.real) {
        if (std::abs(op.real) > std::numeric_limits<float>::max() && !special)
          lex_.fail(at, "number out of the range of f32");
        else
          op.real = static_cast<double>(static_cast<float>(op.real));
      }
      return {type};
    }
    if (truth != (type.scalar == Scalar::i1) || (!truth && (!integral || pattern))) {
      lex_.fail(at, "not a constant of type " + to_string(type));
      return {};
    }
    if (truth) {
      op.integer = token.text == "true" ? -1 : 0;
      return {type};
    }
    // Accepts -2^(n-1) to 2^n - 1; the upper half is the unsigned way to write a negative number.
    int width = bits(type.scalar);
    uint64_t most = negative ? uint64_t{1} << (width - 1) : UINT64_MAX >> (64 - width);
    if (token.integer > most) lex_.fail(at, "number does not fit in " + std::string(name(type.scalar)));
    uint64_t value = negative ? 0 - token.integer : token.integer;
    op.integer = static_cast<int64_t>(value << (64 - width)) >> (64 - width);
    return {type};
  }

  std::vector<Type> parse_other(Op &op, Block &block) {
    switch (op.code) {
    case Opcode::constant:
      return parse_constant(op);
    case Opcode::iota:
      return {colon_type()};
    case Opcode::extract:
      op.operands = {use("a vector")};
      lex_.expect("[");
      op.integer = lex_.integer("a lane", 0, kMaxLanes - 1);
      lex_.expect("]");
      return {colon_type()};
    case Opcode::shuffle:
      op.operands = use_list();
      lex_.expect("[");
      do op.mask.push_back(static_cast<int32_t>(lex_.integer("a lane", -1, 2 * kMaxLanes - 1)));
      while (!lex_.failed() && bounded(op.mask.size()) && lex_.accept(","));
      lex_.expect("]");
      return {colon_type()};
    case Opcode::target:
      op.symbol = lex_.expect(Kind::string, "the name of an instruction").text;
      lex_.expect("(");
      op.operands = use_list();
      lex_.expect(")");
      return {colon_type()};
    case Opcode::index:
      op.address = parse_address();
      return {colon_type()};
    case Opcode::alloca:
      op.integer = lex_.integer("the number of elements", 0);
      op.align = optional_align();
      return {colon_type()};
    case Opcode::view:
      parse_place(op);
      return {colon_type()};
    case Opcode::load:
      parse_place(op);
      op.align = optional_align();
      optional_operand(op, "active");
      return {colon_type()};
    case Opcode::store:
      op.operands = {use("a value")};
      lex_.expect(",");
      parse_place(op);
      op.align = optional_align();
      optional_operand(op, "active");
      repeated_type(op.operands[0]);
      return {};
    case Opcode::gather:
      parse_place(op);
      lex_.expect("at");
      op.operands.push_back(use("indices"));
      optional_operand(op, "mask");
      return {colon_type()};
    case Opcode::scatter:
      op.operands = {use("a value")};
      lex_.expect(",");
      parse_place(op);
      lex_.expect("at");
      op.operands.push_back(use("indices"));
      optional_operand(op, "mask");
      repeated_type(op.operands[0]);
      return {};
    case Opcode::prefetch:
      parse_place(op);
      lex_.expect("locality");
      op.integer = lex_.integer("locality", 1, 3);
      op.flag = lex_.accept("write");
      return {};
    case Opcode::call:
      op.symbol = lex_.expect(Kind::symbol, "a function").text;
      lex_.expect("(");
      op.operands = use_list();
      lex_.expect(")");
      return arrow_types();
    case Opcode::yield:
    case Opcode::ret:
      op.operands = use_list();
      return {};
    case Opcode::check:
      op.operands = {use("a condition")};
      lex_.expect("status");
      op.integer = lex_.integer("status", 1, INT32_MAX);
      return {};
    case Opcode::for_loop:
      return parse_for(op, block);
    case Opcode::if_else:
      return parse_if(op);
    case Opcode::while_loop:
      return parse_while(op);
    case Opcode::parallel:
      return parse_parallel(op);
    default:
      return parse_plain(op); // broadcast, reduce.*, select
    }
  }

  std::vector<Type> types_of(std::span<const Value> values) const {
    std::vector<Type> types;
    for (Value v : values) types.push_back(type_of(v));
    return types;
  }

  std::vector<Type> parse_for(Op &op, Block &block) {
    Token iv = name_token("an induction variable");
    lex_.expect("=");
    op.operands.push_back(parse_bound(block));
    lex_.expect("to");
    op.operands.push_back(parse_bound(block));
    op.integer = lex_.accept("step") ? lex_.integer("step", 1) : 1;
    op.flag = lex_.accept("certain");
    Block body;
    parse_iters(op, body);
    body.args.insert(body.args.begin(), define(iv, kIndex)); // not visible to the initial values
    parse_block(body, true);
    if (lex_.failed()) return {};
    std::vector<Type> types = types_of(std::span<const Value>(body.args).subspan(1));
    op.regions.push_back(std::move(body));
    return types;
  }

  std::vector<Type> parse_if(Op &op) {
    op.operands = {use("a condition")};
    std::vector<Type> types = arrow_types();
    op.regions.resize(2);
    parse_block(op.regions[0], true);
    if (lex_.accept("else")) parse_block(op.regions[1], true);
    return types;
  }

  std::vector<Type> parse_while(Op &op) {
    op.regions.resize(2);
    Block &condition = op.regions[0], &body = op.regions[1];
    parse_iters(op, condition);
    parse_block(condition, true);
    lex_.expect("do");
    lex_.expect("(");
    while (!lex_.failed() && !lex_.at(")")) {
      if (!body.args.empty() && !lex_.expect(",")) break;
      Token arg = name_token("an argument");
      body.args.push_back(define(arg, colon_type()));
      if (!bounded(body.args.size())) break;
    }
    lex_.expect(")");
    parse_block(body, true);
    return lex_.failed() ? std::vector<Type>() : types_of(body.args);
  }

  std::vector<Type> parse_parallel(Op &op) {
    Token task = name_token("a task");
    lex_.expect("of");
    if (lex_.at(Kind::value))
      op.operands = {use("the number of tasks")};
    else
      op.integer = lex_.integer("the number of tasks", 0);
    op.regions.resize(1);
    op.regions[0].args.push_back(define(task, kIndex));
    parse_block(op.regions[0], true);
    return {};
  }

  // ---- functions

  Param parse_param() {
    Token token = name_token("a parameter");
    Type type = colon_type();
    Param param;
    param.value = define(token, type);
    for (bool more = true; more && !lex_.failed();) {
      if (lex_.accept("readonly"))
        param.readonly = true;
      else if (lex_.accept("noalias"))
        param.noalias = true;
      else if (lex_.at("align"))
        param.align = optional_align();
      else if (lex_.accept("size"))
        param.size = lex_.integer("size", 0);
      else
        more = false;
    }
    return param;
  }

  Function parse_function() {
    function_ = Function();
    names_.clear();
    depth_ = 0;
    function_.declaration = lex_.accept("declare");
    if (!function_.declaration && !lex_.accept("func")) lex_.fail_here("expected 'func' or 'declare'");
    function_.name = lex_.expect(Kind::symbol, "the name of a function").text;
    lex_.expect("(");
    if (!lex_.at(")")) {
      do function_.params.push_back(parse_param());
      while (!lex_.failed() && bounded(function_.params.size()) && lex_.accept(","));
    }
    lex_.expect(")");
    function_.results = arrow_types();
    for (bool more = true; more && !lex_.failed();) {
      if (lex_.accept("exported"))
        function_.exported = true;
      else if (lex_.accept("noinline"))
        function_.noinline = true;
      else if (lex_.accept("origin"))
        function_.origin = lex_.expect(Kind::string, "a string").text;
      else
        more = false;
    }
    if (!function_.declaration) parse_block(function_.body, false);
    return std::move(function_);
  }

  TextLexer lex_;
  Function function_; // under construction
  std::unordered_map<std::string, Value> names_;
  int depth_ = 0;
};

} // namespace

Result<Module> parse(std::string_view text, const std::string &file) { return Parser(text, file).run(); }

} // namespace cameo::loop
