// Types as text.
//
//   type    = dtype "[" ( "*" | [ sum { "," sum } ] ) "]" [ layout ] [ quant ]
//           | "seq" "<" type ">" | "opt" "<" type ">" | "map" "<" dtype "," type ">" | "token"
//   layout  = "nwc" | "nhwc" | "ndhwc" | "nchw" integer "c" (and ncw8c, ncdhw8c)
//           | "order" "(" axis { "," axis } [ ";" axis ":" size { "," axis ":" size } ] ")"
//   quant   = "quant" "(" dtype [ "," "axis" integer ] [ "," "block" integer ] "," "scale" reals [ "," "zero" integers
//   ] ")"
#include "cameo/ir/type.h"
#include "text.h"

#include <numeric>

namespace cameo::graph {

namespace {

// Letters of the logical axes, by rank - 3.
constexpr std::string_view kAxes[] = {"ncw", "nchw", "ncdhw"};
constexpr std::string_view kChannelsLast[] = {"nwc", "nhwc", "ndhwc"};

// `nchw16c` for that rank, as a block size; 0 when the word is not of that form.
int64_t blocked_channels(std::string_view word, std::string_view axes) {
  if (!word.starts_with(axes) || !word.ends_with('c') || word.size() < axes.size() + 2) return 0;
  int64_t size = 0;
  for (char c : word.substr(axes.size(), word.size() - axes.size() - 1)) {
    if (c < '0' || c > '9' || size > 1 << 20) return 0;
    size = size * 10 + (c - '0');
  }
  return size;
}

} // namespace

std::string Layout::str(int rank) const {
  if (is_row_major()) return {};
  if (rank >= 3 && rank <= 5) {
    if (blocks.empty() && *this == channels_last(rank)) return std::string(kChannelsLast[rank - 3]);
    if (order.empty() && blocks.size() == 1 && blocks[0].axis == 1)
      return std::string(kAxes[rank - 3]) + std::to_string(blocks[0].size) + "c";
  }
  std::vector<int32_t> axes = order;
  if (axes.empty()) {
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  std::string out = "order(";
  for (size_t i = 0; i < axes.size(); ++i) out += (i ? ", " : "") + std::to_string(axes[i]);
  for (size_t i = 0; i < blocks.size(); ++i)
    out += (i ? ", " : "; ") + std::to_string(blocks[i].axis) + ":" + std::to_string(blocks[i].size);
  return out + ")";
}

std::string Type::str() const {
  switch (kind_) {
  case TypeKind::sequence:
    return "seq<" + element_->str() + ">";
  case TypeKind::optional:
    return "opt<" + element_->str() + ">";
  case TypeKind::map:
    return "map<" + std::string(name(dtype_)) + ", " + element_->str() + ">";
  case TypeKind::token:
    return "token";
  case TypeKind::tensor:
    break;
  }
  std::string out = std::string(name(dtype_)) + "[";
  if (!ranked_) out += "*";
  for (size_t i = 0; i < shape_.size(); ++i) out += (i ? ", " : "") + shape_[i].str();
  out += "]";
  if (layout_) out += " " + layout_->str(rank());
  if (quant_) {
    out += " quant(" + std::string(name(quant_->expressed));
    if (quant_->axis >= 0) out += ", axis " + std::to_string(quant_->axis);
    if (quant_->block > 0) out += ", block " + std::to_string(quant_->block);
    out += ", scale [";
    for (size_t i = 0; i < quant_->scales.size(); ++i) out += (i ? ", " : "") + real_text(quant_->scales[i]);
    out += "]";
    for (size_t i = 0; i < quant_->zeros.size(); ++i) out += (i ? ", " : ", zero [") + std::to_string(quant_->zeros[i]);
    out += quant_->zeros.empty() ? ")" : "])";
  }
  return out;
}

DType read_dtype(TextLexer &lexer) {
  if (lexer.at(Token::Kind::word))
    if (auto dtype = dtype_from_name(lexer.peek().text)) {
      lexer.next();
      return *dtype;
    }
  lexer.fail_here("expected a dtype");
  return DType::f32;
}

Shape read_shape(TextLexer &lexer) {
  Shape shape;
  size_t start = lexer.peek().offset;
  lexer.expect("[");
  while (!lexer.at("]") && !lexer.failed()) {
    if (!shape.empty()) lexer.expect(",");
    shape.push_back(read_dim(lexer));
    if (shape.size() > kMaxRank) lexer.fail(start, "rank above " + std::to_string(kMaxRank));
  }
  lexer.expect("]");
  return shape;
}

namespace {

int32_t small(TextLexer &lexer, std::string_view what, int64_t least, int64_t most) {
  return static_cast<int32_t>(lexer.integer(what, least, most));
}

Layout read_order(TextLexer &lexer, int rank) {
  Layout layout;
  size_t start = lexer.peek().offset;
  lexer.expect("(");
  do layout.order.push_back(small(lexer, "an axis", 0, rank - 1));
  while (lexer.accept(",") && !lexer.failed());
  if (lexer.accept(";")) do {
      Layout::Block block;
      block.axis = small(lexer, "an axis", 0, rank - 1);
      lexer.expect(":");
      block.size = small(lexer, "a block size", 2, 1 << 20);
      layout.blocks.push_back(block);
    } while (lexer.accept(",") && !lexer.failed());
  lexer.expect(")");
  if (auto problem = layout.problem(rank)) {
    lexer.fail(start, *problem);
    return {};
  }
  return layout;
}

Layout read_layout(TextLexer &lexer, int rank) {
  if (!lexer.at(Token::Kind::word)) return {};
  if (rank > 0 && lexer.accept("order")) return read_order(lexer, rank);
  if (rank < 3 || rank > 5) return {};
  if (lexer.accept(kChannelsLast[rank - 3])) return Layout::channels_last(rank);
  int64_t block = blocked_channels(lexer.peek().text, kAxes[rank - 3]);
  if (block < 2 || block > 1 << 20) return {};
  lexer.next();
  return {{}, {{1, static_cast<int32_t>(block)}}};
}

Quantization read_quantization(TextLexer &lexer) {
  Quantization quant;
  lexer.expect("(");
  quant.expressed = read_dtype(lexer);
  lexer.expect(",");
  if (lexer.accept("axis")) {
    quant.axis = small(lexer, "an axis", 0, kMaxRank);
    lexer.expect(",");
  }
  if (lexer.accept("block")) {
    quant.block = lexer.integer("a block size", 1);
    lexer.expect(",");
  }
  lexer.expect("scale");
  lexer.expect("[");
  do quant.scales.push_back(lexer.real("a scale"));
  while (lexer.accept(",") && !lexer.failed());
  lexer.expect("]");
  if (lexer.accept(",")) {
    lexer.expect("zero");
    lexer.expect("[");
    do quant.zeros.push_back(lexer.integer("a zero point"));
    while (lexer.accept(",") && !lexer.failed());
    lexer.expect("]");
  }
  lexer.expect(")");
  return quant;
}

Type read_type(TextLexer &lexer, int depth) {
  if (depth > kMaxNesting) {
    lexer.fail_here("type nested deeper than " + std::to_string(kMaxNesting));
    return {};
  }
  if (lexer.accept("token")) return Type::token();
  for (std::string_view word : {"seq", "opt", "map"}) {
    if (!lexer.accept(word)) continue;
    lexer.expect("<");
    DType key = DType::i64;
    if (word == "map") {
      key = read_dtype(lexer);
      lexer.expect(",");
    }
    Type element = read_type(lexer, depth + 1);
    lexer.expect(">");
    return word == "seq" ? Type::sequence(element) : word == "opt" ? Type::optional(element) : Type::map(key, element);
  }
  size_t start = lexer.peek().offset;
  if (!lexer.at(Token::Kind::word) || !dtype_from_name(lexer.peek().text)) {
    lexer.fail_here("expected a type");
    return {};
  }
  DType dtype = read_dtype(lexer);
  if (!lexer.at("[")) {
    lexer.fail_here("expected '[' of the shape");
    return {};
  }
  // `[*]` needs one token more of lookahead than the lexer has: a dimension never begins with `*`.
  TextLexer ahead = lexer;
  ahead.next();
  Type type;
  if (ahead.at("*")) {
    lexer.next();
    lexer.next();
    lexer.expect("]");
    type = Type::unranked(dtype);
  } else {
    type = Type::tensor(dtype, read_shape(lexer));
    if (lexer.failed()) return type;
    type = type.with_layout(read_layout(lexer, type.rank()));
  }
  if (lexer.accept("quant")) type = type.with_quantization(read_quantization(lexer));
  if (!lexer.failed())
    if (auto problem = type.problem()) lexer.fail(start, *problem);
  return type;
}

} // namespace

Type read_type(TextLexer &lexer) { return read_type(lexer, 0); }

Result<Type> parse_type(std::string_view text, const std::string &where) {
  TextLexer lexer(text, where);
  Type type = read_type(lexer);
  if (!lexer.failed() && !lexer.at(Token::Kind::end)) lexer.fail_here("expected the end of the type");
  if (lexer.failed()) return lexer.diagnostic();
  return type;
}

} // namespace cameo::graph
