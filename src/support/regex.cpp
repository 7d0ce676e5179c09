// Pattern to tree, by recursive descent as RE2 reads it; tree to program, from its end to its beginning, so that each
// piece knows what follows it.
#include "cameo/support/regex.h"

#include <algorithm>
#include <optional>
#include <string>

namespace cameo {

namespace {

constexpr uint32_t kMaxRune = 0x10ffff;
constexpr int kMaxRepeat = 1000;
constexpr int kMaxDepth = 200; ///< of groups: the parser recurses, under sanitizers with frames of some kilobytes
constexpr size_t kMaxSteps = 100000;

using Range = std::pair<uint32_t, uint32_t>;
using Ranges = std::vector<Range>;

Ranges sorted(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges out;
  for (const Range &r : ranges) {
    if (!out.empty() && r.first <= out.back().second + 1)
      out.back().second = std::max(out.back().second, r.second);
    else
      out.push_back(r);
  }
  return out;
}

Ranges negated(const Ranges &ranges) {
  Ranges out;
  uint32_t next = 0;
  for (const Range &r : sorted(ranges)) {
    if (r.first > next) out.emplace_back(next, r.first - 1);
    next = r.second + 1;
  }
  if (next <= kMaxRune) out.emplace_back(next, kMaxRune);
  return out;
}

const Ranges kDigits = {{'0', '9'}}, kSpaces = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}},
             kWords = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};

std::optional<Ranges> posix_class(std::string_view name) {
  if (name == "alnum") return Ranges{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}};
  if (name == "alpha") return Ranges{{'A', 'Z'}, {'a', 'z'}};
  if (name == "ascii") return Ranges{{0, 0x7f}};
  if (name == "blank") return Ranges{{'\t', '\t'}, {' ', ' '}};
  if (name == "cntrl") return Ranges{{0, 0x1f}, {0x7f, 0x7f}};
  if (name == "digit") return kDigits;
  if (name == "graph") return Ranges{{'!', '~'}};
  if (name == "lower") return Ranges{{'a', 'z'}};
  if (name == "print") return Ranges{{' ', '~'}};
  if (name == "punct") return Ranges{{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}};
  if (name == "space") return Ranges{{'\t', '\r'}, {' ', ' '}};
  if (name == "upper") return Ranges{{'A', 'Z'}};
  if (name == "word") return kWords;
  if (name == "xdigit") return Ranges{{'0', '9'}, {'A', 'F'}, {'a', 'f'}};
  return std::nullopt;
}

struct Node {
  enum class Kind : uint8_t { nothing, runes, any_byte, place, sequence, choice, repeat };
  Kind kind = Kind::nothing;
  Ranges runes; ///< sorted
  RegexPlace place = {};
  std::vector<int> parts; ///< one, of a repetition
  int min = 0, max = 0;   ///< of a repetition; -1: no end
  int copies = 1;         ///< by counted repetitions, at most
};

class Parser {
public:
  explicit Parser(std::string_view pattern) : rest_(pattern) {}

  /// The root, or -1 after a problem.
  int parse() {
    const int root = choice(0);
    if (!failed() && !rest_.empty()) fail("unexpected )");
    return failed() ? -1 : root;
  }
  const std::vector<Node> &nodes() const { return nodes_; }
  bool failed() const { return !problem_.empty(); }
  Diagnostic problem() const { return {supported_ ? ExitCode::bad_model : ExitCode::unsupported, "", problem_}; }

private:
  struct Flags {
    bool fold = false, lines = false, dot_newline = false;
  };

  int fail(const std::string &what) {
    if (problem_.empty()) problem_ = what;
    return 0;
  }
  int refuse(const std::string &what) {
    if (problem_.empty()) supported_ = false;
    return fail(what);
  }

  bool at(char c) const { return !rest_.empty() && rest_[0] == c; }
  bool accept(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  // The next character. 0 after a problem.
  uint32_t rune() {
    if (rest_.empty()) return fail("ends too early");
    const auto first = static_cast<unsigned char>(rest_[0]);
    const size_t length = first < 0x80   ? 1
                          : first < 0xc2 ? 0
                          : first < 0xe0 ? 2
                          : first < 0xf0 ? 3
                          : first < 0xf5 ? 4
                                         : 0;
    if (length == 0 || length > rest_.size()) return fail("is not UTF-8");
    uint32_t value = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; ++i) {
      const auto c = static_cast<unsigned char>(rest_[i]);
      if ((c & 0xc0) != 0x80) return fail("is not UTF-8");
      value = value << 6 | (c & 0x3f);
    }
    constexpr uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > kMaxRune || (value >= 0xd800 && value < 0xe000)) return fail("is not UTF-8");
    rest_.remove_prefix(length);
    return value;
  }

  int add(Node node) {
    for (int part : node.parts) node.copies = std::max(node.copies, nodes_[static_cast<size_t>(part)].copies);
    nodes_.push_back(std::move(node));
    return static_cast<int>(nodes_.size()) - 1;
  }
  int add_place(RegexPlace place) {
    Node n;
    n.kind = Node::Kind::place;
    n.place = place;
    return add(std::move(n));
  }
  int add_runes(Ranges ranges) {
    Node n;
    n.kind = Node::Kind::runes;
    n.runes = sorted(std::move(ranges));
    return add(std::move(n));
  }
  int add_parts(Node::Kind kind, std::vector<int> parts) {
    if (parts.size() == 1) return parts[0];
    Node n;
    n.kind = parts.empty() ? Node::Kind::nothing : kind;
    n.parts = std::move(parts);
    return add(std::move(n));
  }

  // What `(?i)` makes of characters that were written out.
  Ranges folded(Ranges ranges) {
    if (!flags_.fold) return ranges;
    Ranges more;
    for (const Range &r : ranges) {
      if (r.second >= 0x80) refuse("(?i) with characters beyond ASCII is not supported");
      for (uint32_t c = r.first; c <= std::min<uint32_t>(r.second, 0x7f); ++c) {
        const uint32_t letter = c | 0x20;
        if (letter < 'a' || letter > 'z') continue;
        more.emplace_back(c ^ 0x20, c ^ 0x20);
        if (letter == 'k') more.emplace_back(0x212a, 0x212a); // the Kelvin sign
        if (letter == 's') more.emplace_back(0x17f, 0x17f);   // the long s
      }
    }
    ranges.insert(ranges.end(), more.begin(), more.end());
    return ranges;
  }

  int choice(int depth) {
    if (depth > kMaxDepth) return refuse("nests deeper than 200 groups");
    std::vector<int> parts;
    do parts.push_back(sequence(depth));
    while (!failed() && accept("|"));
    return add_parts(Node::Kind::choice, std::move(parts));
  }

  int sequence(int depth) {
    std::vector<int> parts;
    bool repeated = false; // the last part, by an operator
    while (!failed() && !rest_.empty() && !at('|') && !at(')')) {
      int min = 0, max = 0;
      if (repetition(min, max)) {
        if (parts.empty()) return fail("has nothing to repeat");
        accept("?"); // fewest first: of no consequence for the whole text
        if (repeated) return fail("repeats a repetition");
        repeated = true;
        parts.back() = repeat(parts.back(), min, max);
        continue;
      }
      repeated = false;
      if (accept("\\Q")) {
        while (!failed() && !rest_.empty() && !accept("\\E")) parts.push_back(literal(rune()));
        continue;
      }
      const std::optional<int> part = atom(depth);
      if (part) parts.push_back(*part);
    }
    return add_parts(Node::Kind::sequence, std::move(parts));
  }

  // *, +, ?, {n}, {n,}, {n,m}; a brace that is none of these is a character.
  bool repetition(int &min, int &max) {
    if (accept("*")) return min = 0, max = -1, true;
    if (accept("+")) return min = 1, max = -1, true;
    if (accept("?")) return min = 0, max = 1, true;
    if (!at('{')) return false;
    const std::string_view before = rest_;
    rest_.remove_prefix(1);
    const std::optional<int> first = count();
    std::optional<int> last = first;
    if (first && accept(",")) last = at('}') ? std::optional(-1) : count();
    if (!first || !last || !accept("}")) {
      rest_ = before;
      return false;
    }
    min = *first;
    max = *last;
    if (min > kMaxRepeat || max > kMaxRepeat || (max >= 0 && max < min))
      fail("repeats more often than 1000 times, or less than it must");
    return true;
  }

  std::optional<int> count() {
    std::optional<int> n;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      n = std::min(n.value_or(0) * 10 + (rest_[0] - '0'), kMaxRepeat + 1);
      rest_.remove_prefix(1);
    }
    return n;
  }

  int repeat(int part, int min, int max) {
    Node n;
    n.kind = Node::Kind::repeat;
    n.parts = {part};
    n.min = min;
    n.max = max;
    const int number = add(std::move(n));
    Node &added = nodes_[static_cast<size_t>(number)];
    const bool counted = min > 1 || max > 1;
    if (counted) added.copies *= std::max(min, max);
    if (added.copies > kMaxRepeat) fail("repeats more often than 1000 times");
    return number;
  }

  int literal(uint32_t c) { return add_runes(folded({{c, c}})); }

  // Nothing: flags for what follows.
  std::optional<int> atom(int depth) {
    if (accept("(?")) return special_group(depth);
    if (accept("(")) return group(depth, flags_);
    if (accept(".")) return add_runes(flags_.dot_newline ? negated({}) : negated({{'\n', '\n'}}));
    if (accept("^")) return add_place(flags_.lines ? RegexPlace::begin_line : RegexPlace::begin_text);
    if (accept("$")) return add_place(flags_.lines ? RegexPlace::end_line : RegexPlace::end_text);
    if (accept("[")) return add_runes(bracket());
    if (!at('\\')) return literal(rune());
    if (accept("\\A")) return add_place(RegexPlace::begin_text);
    if (accept("\\z")) return add_place(RegexPlace::end_text);
    if (accept("\\b")) return add_place(RegexPlace::word_edge);
    if (accept("\\B")) return add_place(RegexPlace::no_word_edge);
    if (accept("\\C")) {
      Node n;
      n.kind = Node::Kind::any_byte;
      return add(std::move(n));
    }
    if (const std::optional<Ranges> known = perl_class()) return add_runes(*known);
    rest_.remove_prefix(1);
    return literal(escape());
  }

  int group(int depth, Flags inside) {
    const Flags outside = flags_;
    flags_ = inside;
    const int part = choice(depth + 1);
    flags_ = outside;
    if (!accept(")")) return fail("lacks a )");
    return part;
  }

  // Behind `(?`: a name, or flags for the group or for what follows.
  std::optional<int> special_group(int depth) {
    if (accept("P<") || accept("<")) {
      const size_t end = rest_.find('>');
      const std::string name(rest_.substr(0, end));
      const bool good =
          end != std::string_view::npos && !name.empty() && std::all_of(name.begin(), name.end(), is_word);
      if (!good) return fail("has a group of a bad name");
      rest_.remove_prefix(end + 1);
      return group(depth, flags_);
    }
    Flags flags = flags_;
    bool on = true, any = false;
    while (!rest_.empty()) {
      if (accept(":")) return on || any ? group(depth, flags) : fail("has a group of bad flags");
      if (accept(")")) {
        if (!on && !any) return fail("has a group of bad flags");
        flags_ = flags;
        return std::nullopt;
      }
      any = true;
      if (accept("i"))
        flags.fold = on;
      else if (accept("m"))
        flags.lines = on;
      else if (accept("s"))
        flags.dot_newline = on;
      else if (on && accept("-"))
        on = any = false;
      else if (!accept("U")) // most or fewest first
        return fail("has a group of bad flags");
    }
    return fail("lacks a )");
  }

  static bool is_word(char c) { return c == '_' || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

  // \d \D \s \S \w \W and the classes of Unicode.
  std::optional<Ranges> perl_class() {
    if (rest_.size() < 2 || rest_[0] != '\\') return std::nullopt;
    const char c = rest_[1];
    const char kind = static_cast<char>(c | 0x20);
    if (kind == 'p') {
      refuse("classes of Unicode (\\p) are not supported");
      return Ranges();
    }
    if (kind != 'd' && kind != 's' && kind != 'w') return std::nullopt;
    rest_.remove_prefix(2);
    const Ranges ranges = kind == 'd' ? kDigits : kind == 's' ? kSpaces : folded(kWords);
    return c == kind ? ranges : negated(ranges);
  }

  static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char letter = static_cast<char>(c | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
  }

  // Behind a backslash: one character.
  uint32_t escape() {
    const uint32_t c = rune();
    if (failed()) return 0;
    auto octal = [&] { return !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '7'; };
    if (c >= '0' && c <= '7' && (c == '0' || octal())) {
      uint32_t value = c - '0';
      for (int i = 0; i < 2 && octal(); ++i, rest_.remove_prefix(1))
        value = value * 8 + static_cast<uint32_t>(rest_[0] - '0');
      return value;
    }
    if (c == 'x') {
      const bool braces = accept("{");
      uint32_t value = 0;
      size_t digits = 0;
      for (; !rest_.empty() && hex(rest_[0]) >= 0 && (braces || digits < 2) && value <= kMaxRune; ++digits) {
        value = value * 16 + static_cast<uint32_t>(hex(rest_[0]));
        rest_.remove_prefix(1);
      }
      if (value > kMaxRune || (braces ? digits == 0 || !accept("}") : digits != 2)) return fail("has a bad \\x");
      return value;
    }
    constexpr std::string_view letters = "aftnrv", means = "\a\f\t\n\r\v";
    if (c < 0x80)
      if (const size_t i = letters.find(static_cast<char>(c)); i != std::string_view::npos)
        return static_cast<uint32_t>(means[i]);
    if (c >= 0x80 || (is_word(static_cast<char>(c)) && c != '_')) return fail("has a bad escape");
    return c;
  }

  // Behind `[`.
  Ranges bracket() {
    Ranges ranges;
    const bool negate = accept("^");
    for (bool first = true; !failed() && (first || !at(']')); first = false) {
      if (rest_.empty()) return fail("lacks a ]"), ranges;
      if (rest_.starts_with("[:")) {
        if (const size_t end = rest_.find(":]"); end != std::string_view::npos) {
          std::string_view name = rest_.substr(2, end - 2);
          const bool inverse = name.starts_with('^');
          if (inverse) name.remove_prefix(1);
          const std::optional<Ranges> known = posix_class(name);
          if (!known) return fail("has a class of no known name"), ranges;
          rest_.remove_prefix(end + 2);
          const Ranges all = inverse ? negated(folded(*known)) : folded(*known);
          ranges.insert(ranges.end(), all.begin(), all.end());
          continue;
        }
      }
      if (const std::optional<Ranges> known = perl_class()) {
        ranges.insert(ranges.end(), known->begin(), known->end());
        continue;
      }
      const uint32_t low = accept("\\") ? escape() : rune();
      uint32_t high = low;
      if (rest_.size() >= 2 && rest_[0] == '-' && rest_[1] != ']') {
        rest_.remove_prefix(1);
        high = accept("\\") ? escape() : rune();
      }
      if (high < low) return fail("has a range from high to low"), ranges;
      for (const Range &r : folded({{low, high}})) ranges.push_back(r);
    }
    if (!failed()) accept("]");
    return negate ? negated(ranges) : ranges;
  }

  std::string_view rest_;
  Flags flags_;
  std::vector<Node> nodes_;
  std::string problem_;
  bool supported_ = true;
};

class Emitter {
public:
  explicit Emitter(const std::vector<Node> &nodes) : nodes_(nodes) {}

  std::optional<RegexProgram> emit(int root) {
    code_.push_back({}); // the start, which is known last
    const int32_t end = step(RegexStep::accept, 0, 0, 0), start = node(root, end);
    code_[0] = {static_cast<int32_t>(RegexStep::fork), start, start, 0};
    if (code_.size() > kMaxSteps) return std::nullopt;
    return std::move(code_);
  }

private:
  int32_t step(RegexStep kind, int32_t a, int32_t b, int32_t next) {
    if (code_.size() <= kMaxSteps) code_.push_back({static_cast<int32_t>(kind), a, b, next});
    return static_cast<int32_t>(code_.size()) - 1;
  }
  bool full() const { return code_.size() > kMaxSteps; }

  // The step where the node begins, with `next` behind it.
  int32_t node(int number, int32_t next) {
    const Node &n = nodes_[static_cast<size_t>(number)];
    if (full()) return next;
    switch (n.kind) {
    case Node::Kind::nothing:
      return next;
    case Node::Kind::any_byte:
      return step(RegexStep::byte, 0, 255, next);
    case Node::Kind::place:
      return step(RegexStep::holds, static_cast<int32_t>(n.place), 0, next);
    case Node::Kind::runes:
      return runes(n.runes, next);
    case Node::Kind::sequence:
      for (size_t i = n.parts.size(); i-- > 0;) next = node(n.parts[i], next);
      return next;
    case Node::Kind::choice: {
      int32_t start = node(n.parts.back(), next);
      for (size_t i = n.parts.size() - 1; i-- > 0;) start = step(RegexStep::fork, node(n.parts[i], next), start, 0);
      return start;
    }
    case Node::Kind::repeat:
      return repeat(n, next);
    }
    return next;
  }

  // x{2,4} = xx(x(x)?)?, x{2,} = xxx*.
  int32_t repeat(const Node &n, int32_t next) {
    int32_t start = next;
    if (n.max < 0) {
      start = step(RegexStep::fork, 0, next, 0);
      const int32_t body = node(n.parts[0], start);
      if (!full()) code_[static_cast<size_t>(start)][1] = body;
    }
    for (int i = n.min; i < n.max && !full(); ++i) start = step(RegexStep::fork, node(n.parts[0], start), next, 0);
    for (int i = 0; i < n.min && !full(); ++i) start = node(n.parts[0], start);
    return start;
  }

  // Any of the characters, byte by byte.
  int32_t runes(const Ranges &ranges, int32_t next) {
    std::vector<int32_t> starts;
    for (const Range &r : ranges) sequences(r.first, r.second, next, starts);
    if (starts.empty()) return step(RegexStep::byte, 1, 0, next); // no byte
    int32_t start = starts.back();
    for (size_t i = starts.size() - 1; i-- > 0;) start = step(RegexStep::fork, starts[i], start, 0);
    return start;
  }

  // Cuts a range until all of its characters have the same number of bytes and, from some byte on, all bytes.
  void sequences(uint32_t low, uint32_t high, int32_t next, std::vector<int32_t> &starts) {
    if (low > high || full()) return;
    auto cut = [&](uint32_t at) { // `at` begins a part of its own
      sequences(low, at - 1, next, starts);
      sequences(at, high, next, starts);
    };
    if (low < 0xe000 && high >= 0xd800) { // what UTF-8 does not write
      if (low < 0xd800) sequences(low, 0xd7ff, next, starts);
      return sequences(0xe000, high, next, starts);
    }
    for (const uint32_t at : {0x80u, 0x800u, 0x10000u})
      if (low < at && high >= at) return cut(at);
    const int length = high < 0x80 ? 1 : high < 0x800 ? 2 : high < 0x10000 ? 3 : 4;
    for (int i = 1; i < length; ++i) {
      const uint32_t mask = (1u << 6 * i) - 1;
      if ((low & ~mask) == (high & ~mask)) continue;
      if (low & mask) return cut((low | mask) + 1);
      if ((high & mask) != mask) return cut(high & ~mask);
    }
    for (int i = 0; i < length; ++i) { // the last byte first
      const bool first = i == length - 1;
      auto byte = [&](uint32_t c) {
        const uint32_t bits = c >> 6 * i;
        if (!first) return static_cast<int32_t>(0x80 | (bits & 0x3f));
        return static_cast<int32_t>(length == 1 ? bits : (0xf00u >> length & 0xff) | bits);
      };
      next = step(RegexStep::byte, byte(low), byte(high), next);
    }
    starts.push_back(next);
  }

  const std::vector<Node> &nodes_;
  RegexProgram code_;
};

} // namespace

Result<RegexProgram> compile_regex(std::string_view pattern) {
  Parser parser(pattern);
  const int root = parser.parse();
  if (root < 0) return parser.problem();
  std::optional<RegexProgram> program = Emitter(parser.nodes()).emit(root);
  if (!program)
    return Diagnostic{ExitCode::unsupported, "",
                      "needs more than " + std::to_string(kMaxSteps) + " steps of an automaton"};
  return std::move(*program);
}

} // namespace cameo
