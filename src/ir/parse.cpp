// Text to Graph IR, by recursive descent over regions. A failure is recorded in the lexer, which then yields only
// `end`; everything that builds a part of the graph looks at failed() before.
//
//   graph    = "graph" symbol "stage" word "{" { bound } { function } { blob } "}"
//   bound    = "symbol" dim-symbol "in" "[" integer "," ( dim | "any" ) "]"
//   function = ( "main" | "func" symbol ) region              the main function comes first
//   region   = "(" [ value ":" type { "," value ":" type } ] ")" "{" { node } yield "}"
//   yield    = "yield" [ value [ "as" string ] { "," value [ "as" string ] } ]
//   node     = [ value { "," value } "=" ] name [ operands ] [ attrs ] [ ":" type { "," type } ] { region } [ origin ]
//            | value "=" "constant" type content [ origin ]
//   name     = an op of ops.def, or a function of functions.def
//   operands = ( value | "_" ) { "," ( value | "_" ) }
//   attrs    = "{" word "=" attribute { "," word "=" attribute } "}"
//   attribute: by its kind in ops.def: integer, real, true | false, string, word, dtype, dim, lists in [], or type
//   content content  = "[" elements "]" | "data" hash origin   = "from" string { "," string } blob     = "data" hash
//   "=" ( "hex" string | "strings" "[" strings "]" | "external" string "offset" integer "length" integer )
//
// Types: type_text.cpp. Dims: dim_text.cpp. Tokens: text_lexer.h. A value is visible in its region from its definition
// on, and in the regions inside; its spelling (`%name`, `%name#2`, `%7`) must be free when it is defined.
#include "cameo/ir/print.h"

#include "node_rules.h"
#include "parse_tensor.h"
#include "text.h"

#include "cameo/support/tensor.h"

#include <algorithm>

namespace cameo::graph {

namespace {

constexpr int kMaxRegionNesting = 64;

class Parser {
public:
  Parser(std::string_view text, const std::string &file, const ParseOptions &options)
      : lexer_(text, file), options_(options) {}

  Result<Graph> run() {
    lexer_.expect("graph");
    graph_.set_name(lexer_.expect(Token::Kind::symbol, "the graph's name, @name").text);
    lexer_.expect("stage");
    size_t start = lexer_.peek().offset;
    if (auto stage = stage_from_name(lexer_.next().text))
      graph_.set_stage(*stage);
    else
      lexer_.fail(start, "unknown stage");
    lexer_.expect("{");
    while (lexer_.accept("symbol")) bound();
    lexer_.expect("main");
    function(graph_.main());
    while (lexer_.accept("func")) {
      Token name = lexer_.expect(Token::Kind::symbol, "the function's name, @name");
      if (lexer_.failed()) break;
      if (graph_.find_function(name.text))
        lexer_.fail(name.offset, "function defined twice");
      else
        function(graph_.add_function(name.text));
    }
    while (lexer_.accept("data")) blob();
    lexer_.expect("}");
    if (!lexer_.failed() && !lexer_.at(Token::Kind::end)) lexer_.fail_here("expected the end of the file");
    if (lexer_.failed()) return lexer_.diagnostic();
    fill_in_data();
    graph_.reserve_runtime_symbols(runtime_symbols_);
    return std::move(graph_);
  }

private:
  // ---- Symbols, types: whatever mentions a run-time symbol takes its number.
  void note(const std::string &key) {
    if (key[0] == '?') runtime_symbols_ = std::max(runtime_symbols_, Dim::from_key(key).runtime_number() + 1);
  }
  Dim dim() {
    Dim dim = read_dim(lexer_);
    dim.for_each_symbol([&](const std::string &key) { note(key); });
    return dim;
  }
  Type type() {
    Type type = read_type(lexer_);
    type.for_each_symbol([&](const std::string &key) { note(key); });
    return type;
  }

  void bound() {
    size_t start = lexer_.peek().offset;
    Dim symbol = dim();
    if (!lexer_.failed() && !symbol.is_symbol()) lexer_.fail(start, "expected a symbol");
    SymbolInfo info;
    lexer_.expect("in");
    lexer_.expect("[");
    info.lower = lexer_.integer("a lower bound", 0);
    lexer_.expect(",");
    if (!lexer_.accept("any")) info.upper = dim();
    lexer_.expect("]");
    if (!lexer_.failed()) graph_.set_symbol(symbol, std::move(info));
  }

  // ---- Values and scopes.
  void define(Value *value, const Token &token) {
    bool number =
        !token.quoted && std::all_of(token.text.begin(), token.text.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!number) value->set_name(token.text);
    std::string key(token.spelling);
    if (!scope_.emplace(key, value).second) lexer_.fail(token.offset, "value defined twice");
    defined_.push_back(std::move(key));
  }

  Value *use() {
    Token token = lexer_.expect(Token::Kind::value, "a value");
    if (lexer_.failed()) return nullptr;
    auto it = scope_.find(std::string(token.spelling));
    if (it != scope_.end()) return it->second;
    lexer_.fail(token.offset, "unknown value");
    return nullptr;
  }

  // ---- Regions.
  void function(Function &function) {
    scope_.clear();
    defined_.clear();
    region(function.body, &function.result_names);
  }

  void region(Region *region, std::vector<std::string> *result_names) {
    if (++nesting_ > kMaxRegionNesting) {
      lexer_.fail_here("regions nested deeper than " + std::to_string(kMaxRegionNesting));
      return;
    }
    const size_t outer = defined_.size();
    lexer_.expect("(");
    while (!lexer_.at(")") && !lexer_.failed()) {
      if (!region->arguments().empty()) lexer_.expect(",");
      Token name = lexer_.expect(Token::Kind::value, "an argument");
      lexer_.expect(":");
      Type argument = type();
      if (!lexer_.failed()) define(graph_.add_argument(region, std::move(argument)), name);
    }
    lexer_.expect(")");
    lexer_.expect("{");
    while (!lexer_.at("yield") && !lexer_.failed()) node(region);
    yield(region, result_names);
    lexer_.expect("}");
    for (; defined_.size() > outer; defined_.pop_back()) scope_.erase(defined_.back());
    --nesting_;
  }

  void yield(Region *region, std::vector<std::string> *result_names) {
    lexer_.expect("yield");
    std::vector<Value *> results;
    while (lexer_.at(Token::Kind::value) && !lexer_.failed()) {
      results.push_back(use());
      if (result_names) {
        lexer_.expect("as");
        result_names->push_back(lexer_.expect(Token::Kind::string, "the name of the result").text);
      }
      if (!lexer_.accept(",")) break;
      if (!lexer_.at(Token::Kind::value)) lexer_.fail_here("expected a value");
    }
    if (!lexer_.failed()) graph_.set_results(region, std::move(results));
  }

  // ---- Nodes.
  struct Line {
    std::vector<Token> names;
    size_t offset = 0; ///< of the op's name
    Op op = Op::yield;
    std::vector<Value *> operands;
    Attributes attributes;
    std::vector<Type> types;
    std::vector<std::string> origin;
  };

  void node(Region *region) {
    Line line;
    if (lexer_.at(Token::Kind::value)) {
      do line.names.push_back(lexer_.expect(Token::Kind::value, "a value"));
      while (lexer_.accept(",") && !lexer_.failed());
      lexer_.expect("=");
    }
    line.offset = lexer_.peek().offset;
    std::string name = lexer_.expect(Token::Kind::word, "an op").text;
    if (lexer_.failed()) return;
    if (auto op = op_from_name(name); op && *op != Op::elementwise && *op != Op::yield) {
      line.op = *op;
    } else if (auto fn = fn_from_name(name)) {
      line.op = Op::elementwise;
      line.attributes.emplace_back("fn", *fn);
    } else {
      lexer_.fail(line.offset, "unknown op");
      return;
    }
    if (line.op == Op::constant)
      constant(line);
    else
      operands_and_types(line);
    if (lexer_.failed()) return;
    std::sort(line.attributes.begin(), line.attributes.end(), [](auto &a, auto &b) { return a.first < b.first; });
    if (auto problem = problem_of_node(line.op, line.operands, line.types.size(), line.attributes))
      lexer_.fail(line.offset, *problem);
    else if (line.types.size() != line.names.size())
      lexer_.fail(line.offset, std::to_string(line.names.size()) + " names for " + std::to_string(line.types.size()) +
                                   " result types");
    if (lexer_.failed()) return;
    Node *node = graph_.create(InsertPoint::end(region), line.op, std::move(line.operands), std::move(line.attributes),
                               std::move(line.types));
    while (lexer_.at("(") && !lexer_.failed()) {
      if (node->info().regions == 0 ||
          (node->info().regions > 0 && node->region_count() == static_cast<size_t>(node->info().regions))) {
        lexer_.fail_here("one region too many");
        return;
      }
      this->region(graph_.add_region(node), nullptr);
    }
    if (lexer_.accept("from")) {
      do line.origin.push_back(lexer_.expect(Token::Kind::string, "the name of a node").text);
      while (lexer_.accept(",") && !lexer_.failed());
    }
    if (lexer_.failed()) return;
    node->set_origin(std::move(line.origin));
    for (size_t i = 0; i < line.names.size(); ++i) define(node->result(i), line.names[i]);
    for (const auto &[name, attribute] : node->attributes())
      if (auto data = std::get_if<Constant>(&attribute); data && !(*data)->available())
        unfilled_[(*data)->content_hash()].emplace_back(node, name);
  }

  void constant(Line &line) {
    size_t start = lexer_.peek().offset;
    Type type = this->type();
    if (lexer_.failed()) return;
    if (!type.is_ranked() || !type.static_shape()) {
      lexer_.fail(start, "the shape of a constant must be constant");
      return;
    }
    Constant data = content(type.dtype(), *type.static_shape());
    line.attributes.emplace_back("value", std::move(data));
    line.types.push_back(std::move(type));
  }

  void operands_and_types(Line &line) {
    bool more = lexer_.at(Token::Kind::value) || lexer_.at("_");
    while (more && !lexer_.failed()) {
      line.operands.push_back(lexer_.accept("_") ? nullptr : use());
      more = lexer_.accept(",");
    }
    if (lexer_.accept("{")) {
      do attribute(line);
      while (lexer_.accept(",") && !lexer_.failed());
      lexer_.expect("}");
    }
    if (lexer_.accept(":")) {
      do line.types.push_back(type());
      while (lexer_.accept(",") && !lexer_.failed());
    }
  }

  void attribute(Line &line) {
    Token name = lexer_.expect(Token::Kind::word, "the name of an attribute");
    if (lexer_.failed()) return;
    const AttrSchema *schema = info(line.op).attribute(name.text);
    if (!schema || schema->kind == AttrKind::fn) {
      lexer_.fail(name.offset, "unknown attribute of " + std::string(graph::name(line.op)));
      return;
    }
    lexer_.expect("=");
    line.attributes.emplace_back(name.text, value(*schema));
  }

  template <class T, class Read> std::vector<T> list(const Read &read) {
    std::vector<T> values;
    lexer_.expect("[");
    while (!lexer_.at("]") && !lexer_.failed()) {
      if (!values.empty()) lexer_.expect(",");
      values.push_back(read());
    }
    lexer_.expect("]");
    return values;
  }

  Attribute value(const AttrSchema &schema) {
    switch (schema.kind) {
    case AttrKind::integer:
      return lexer_.integer("an integer");
    case AttrKind::real:
      return lexer_.real("a number");
    case AttrKind::boolean: {
      bool yes = lexer_.accept("true");
      if (!yes) lexer_.expect("false");
      return yes;
    }
    case AttrKind::string:
      return lexer_.expect(Token::Kind::string, "a string").text;
    case AttrKind::word: {
      Token word = lexer_.expect(Token::Kind::word, "a word");
      if (!lexer_.failed() && !schema.allows(word.text))
        lexer_.fail(word.offset, "none of " + std::string(schema.words));
      return word.text;
    }
    case AttrKind::dtype:
      return read_dtype(lexer_);
    case AttrKind::dim:
      return dim();
    case AttrKind::integers:
      return list<int64_t>([&] { return lexer_.integer("an integer"); });
    case AttrKind::reals:
      return list<double>([&] { return lexer_.real("a number"); });
    case AttrKind::strings:
      return list<std::string>([&] { return lexer_.expect(Token::Kind::string, "a string").text; });
    case AttrKind::dims:
      return list<Dim>([&] { return dim(); });
    case AttrKind::tensor: {
      DType dtype = read_dtype(lexer_);
      std::vector<int64_t> dims = list<int64_t>([&] { return lexer_.integer("an extent", 0); });
      return content(dtype, dims);
    }
    case AttrKind::fn:
      break;
    }
    CAMEO_UNREACHABLE("kind of attribute");
  }

  // ---- Data of constants. Never null; absent until the data section was read.
  Constant content(DType dtype, const std::vector<int64_t> &dims) {
    size_t start = lexer_.peek().offset;
    auto count = element_count(dims);
    if (!count || (dtype != DType::string && !byte_size(dtype, *count)))
      lexer_.fail(start, "constant overflows 64 bits");
    Constant data;
    if (lexer_.accept("data")) {
      uint64_t hash = lexer_.expect(Token::Kind::integer, "the hash of the data").integer;
      if (!lexer_.failed() && options_.resolve) data = options_.resolve(hash, dtype, dims);
      if (data && (data->dtype() != dtype || data->dims() != dims)) data = nullptr;
      if (!lexer_.failed() && !data) return ConstantData::absent(dtype, dims, hash);
    } else if (!lexer_.failed()) {
      data = read_elements(lexer_, dtype, dims, *count);
    }
    return data ? data : ConstantData::absent(DType::f32, {}, 0);
  }

  struct Blob {
    std::vector<std::byte> bytes;
    std::vector<std::string> strings;
    size_t offset = 0; ///< in the text, for messages
  };

  void blob() {
    Blob blob;
    blob.offset = lexer_.peek().offset;
    uint64_t hash = lexer_.expect(Token::Kind::integer, "the hash of the data").integer;
    lexer_.expect("=");
    if (lexer_.accept("strings")) {
      blob.strings = list<std::string>([&] { return lexer_.expect(Token::Kind::string, "a string").text; });
    } else if (lexer_.accept("external")) {
      std::string file = lexer_.expect(Token::Kind::string, "a file name").text;
      lexer_.expect("offset");
      int64_t offset = lexer_.integer("an offset", 0);
      lexer_.expect("length");
      int64_t length = lexer_.integer("a length", 0);
      if (lexer_.failed() || !options_.read_external) return;
      auto bytes = options_.read_external(file, offset, length);
      if (!bytes.ok()) {
        lexer_.fail(blob.offset, to_string(bytes.errors()[0]));
        return;
      }
      blob.bytes = std::move(*bytes);
    } else {
      lexer_.expect("hex");
      Token text = lexer_.expect(Token::Kind::string, "hexadecimal bytes");
      auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
      bool good = text.text.size() % 2 == 0;
      for (size_t i = 0; i + 1 < text.text.size() && good; i += 2) {
        int high = digit(text.text[i]), low = digit(text.text[i + 1]);
        good = high >= 0 && low >= 0;
        if (good) blob.bytes.push_back(static_cast<std::byte>(high * 16 + low));
      }
      if (!good) lexer_.fail(text.offset, "expected pairs of hexadecimal digits");
    }
    if (lexer_.failed()) return;
    // The constants that wait for this hash: the data must be as large as their types say.
    for (const auto &[node, name] : unfilled_[hash]) {
      const ConstantData &absent = *node->tensor(name);
      const bool text = absent.dtype() == DType::string;
      const auto size = static_cast<int64_t>(text ? blob.strings.size() : blob.bytes.size());
      const int64_t want = text ? absent.count() : *byte_size(absent.dtype(), absent.count());
      if (size != want) {
        lexer_.fail(blob.offset,
                    std::to_string(size) + (text ? " strings" : " bytes") + " instead of " + std::to_string(want));
        return;
      }
    }
    if (!blobs_.emplace(hash, std::move(blob)).second) lexer_.fail_here("data defined twice");
  }

  void fill_in_data() {
    for (auto &[hash, places] : unfilled_) {
      auto blob = blobs_.find(hash);
      if (blob == blobs_.end()) continue;
      Constant data; // stored once for all places of one type
      for (const auto &[node, name] : places) {
        const ConstantData &absent = *node->tensor(name);
        if (!data || data->dtype() != absent.dtype() || data->dims() != absent.dims())
          data = absent.dtype() == DType::string ? ConstantData::strings(absent.dims(), blob->second.strings)
                                                 : ConstantData::own(absent.dtype(), absent.dims(), blob->second.bytes);
        node->set(name, data);
      }
    }
  }

  TextLexer lexer_;
  const ParseOptions &options_;
  Graph graph_;
  std::unordered_map<std::string, Value *> scope_;
  std::vector<std::string> defined_; ///< keys of scope_, in order of definition
  int nesting_ = 0;
  int64_t runtime_symbols_ = 0;
  std::map<uint64_t, std::vector<std::pair<Node *, std::string>>> unfilled_; ///< attributes that wait for data
  std::map<uint64_t, Blob> blobs_;
};

} // namespace

Result<Graph> parse(std::string_view text, const std::string &file, const ParseOptions &options) {
  return Parser(text, file, options).run();
}

} // namespace cameo::graph
