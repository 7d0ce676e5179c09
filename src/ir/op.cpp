// Turns the rows of ops.def and functions.def into tables. The little languages of a row (operand names, attribute
// schema) are read at compile time: a malformed row does not compile.
#include "cameo/ir/op.h"

#include "cameo/support/check.h"

#include <array>
#include <iterator>
#include <string>

namespace cameo::graph {

namespace {

// The next blank-separated word of `text`, which is taken from it; blanks inside {} do not separate.
constexpr std::string_view next_word(std::string_view &text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  size_t size = 0;
  while (size < text.size() && text[size] != ' ') ++size;
  std::string_view word = text.substr(0, size);
  text.remove_prefix(size);
  return word;
}

constexpr char suffix(std::string_view word) {
  char last = word.empty() ? '\0' : word.back();
  return last == '?' || last == '*' || last == '+' ? last : '\0';
}

// Counts of `a b? c*`: required ones first, then optional ones, at most one variadic at the end.
constexpr void read_arity(std::string_view names, int &min, int &max) {
  min = max = 0;
  for (std::string_view word = next_word(names); !word.empty(); word = next_word(names)) {
    if (max < 0) throw "an operand after a variadic one";
    char mark = suffix(word);
    if (mark == '\0' || mark == '+') min = max + 1; // an optional one ahead of it must then be written, as `_`
    max = mark == '*' || mark == '+' ? -1 : max + 1;
  }
}

constexpr AttrKind read_kind(std::string_view word) {
  constexpr std::pair<std::string_view, AttrKind> kKinds[] = {
      {"int", AttrKind::integer},     {"float", AttrKind::real},    {"bool", AttrKind::boolean},
      {"string", AttrKind::string},   {"dtype", AttrKind::dtype},   {"dim", AttrKind::dim},
      {"fn", AttrKind::fn},           {"ints", AttrKind::integers}, {"floats", AttrKind::reals},
      {"strings", AttrKind::strings}, {"dims", AttrKind::dims},     {"tensor", AttrKind::tensor},
  };
  for (auto [text, kind] : kKinds)
    if (text == word) return kind;
  throw "unknown kind of attribute";
}

constexpr OpInfo read_row(std::string_view text, std::string_view operands, std::string_view results, int regions,
                          uint32_t traits, std::string_view attributes) {
  OpInfo row;
  row.text = text;
  row.operand_names = operands;
  row.result_names = results;
  row.regions = regions;
  row.traits = traits;
  read_arity(operands, row.min_operands, row.max_operands);
  read_arity(results, row.min_results, row.max_results);
  for (std::string_view word = next_word(attributes); !word.empty(); word = next_word(attributes)) {
    AttrSchema schema;
    size_t colon = word.find(':');
    schema.name = word.substr(0, colon);
    std::string_view kind = word.substr(colon + 1);
    if (kind.back() == '?') {
      schema.optional = true;
      kind.remove_suffix(1);
    }
    if (kind.front() == '{') {
      schema.kind = AttrKind::word;
      schema.words = kind.substr(1, kind.size() - 2);
    } else {
      schema.kind = read_kind(kind);
    }
    row.attribute_rows[row.attribute_count++] = schema; // past the end is a compile-time error
  }
  return row;
}

constexpr OpInfo kOps[] = {
#define GRAPH_OP(id, text, operands, results, regions, traits, attributes)                                             \
  read_row(text, operands, results, regions, traits, attributes),
#include "cameo/ir/ops.def"
};

constexpr FnInfo kFns[] = {
#define GRAPH_FN(id, text, arity, result, params, traits) {text, arity, FnResult::result, traits, params},
#include "cameo/ir/functions.def"
};

// A function's name stands where an op's name does, so no name may mean both.
constexpr bool names_are_distinct() {
  for (const OpInfo &op : kOps)
    for (const FnInfo &fn : kFns)
      if (op.text == fn.text) return false;
  return true;
}
static_assert(names_are_distinct());

// Word `index` of `names` without its mark; of a variadic list the last one for every further index.
std::string_view nth_name(std::string_view names, size_t index, char *mark) {
  std::string_view found;
  for (size_t i = 0; i <= index; ++i) {
    std::string_view word = next_word(names);
    if (word.empty()) break;
    found = word;
  }
  *mark = suffix(found);
  if (*mark) found.remove_suffix(1);
  return found;
}

} // namespace

std::string_view name(AttrKind kind) {
  constexpr std::string_view kNames[] = {"int", "float", "bool",   "string",  "word", "dtype", "dim",
                                         "fn",  "ints",  "floats", "strings", "dims", "tensor"};
  return kNames[static_cast<size_t>(kind)];
}

bool AttrSchema::allows(std::string_view word) const {
  for (std::string_view rest = words; !word.empty() && !rest.empty();) {
    size_t bar = rest.find('|');
    if (rest.substr(0, bar) == word) return true;
    rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
  }
  return false;
}

const AttrSchema *OpInfo::attribute(std::string_view name) const {
  for (const AttrSchema &schema : attributes())
    if (schema.name == name) return &schema;
  return nullptr;
}

bool OpInfo::operand_optional(size_t index) const {
  char mark;
  nth_name(operand_names, index, &mark);
  return mark == '?';
}

std::string_view OpInfo::operand_name(size_t index) const {
  char mark;
  return nth_name(operand_names, index, &mark);
}

const OpInfo &info(Op op) { return kOps[static_cast<size_t>(op)]; }
const FnInfo &info(Fn fn) { return kFns[static_cast<size_t>(fn)]; }

std::optional<Op> op_from_name(std::string_view text) {
  for (size_t i = 0; i < std::size(kOps); ++i)
    if (kOps[i].text == text) return static_cast<Op>(i);
  return std::nullopt;
}

std::optional<Fn> fn_from_name(std::string_view text) {
  for (size_t i = 0; i < std::size(kFns); ++i)
    if (kFns[i].text == text) return static_cast<Fn>(i);
  return std::nullopt;
}

} // namespace cameo::graph
