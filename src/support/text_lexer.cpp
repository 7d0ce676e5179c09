// The lexer of both text IRs. One token of lookahead, produced on demand, so that memory stays proportional to the
// longest token.
#include "cameo/support/text_lexer.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace cameo {

namespace {

constexpr size_t kMaxName = 4096;
constexpr size_t kMaxEcho = 120; // columns of the source line that a message repeats

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_char(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '$'; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

} // namespace

TextLexer::TextLexer(std::string_view text, std::string file) : text_(text), file_(std::move(file)) { advance(); }

bool TextLexer::fail(size_t offset, std::string_view what) {
  if (failed_) return false;
  failed_ = true;
  offset = std::min(offset, text_.size());
  size_t line = 1 + static_cast<size_t>(std::count(text_.begin(), text_.begin() + offset, '\n'));
  size_t start = offset == 0 ? std::string_view::npos : text_.rfind('\n', offset - 1);
  start = start == std::string_view::npos ? 0 : start + 1;
  size_t end = std::min(text_.find('\n', offset), text_.size());
  size_t column = offset - start;

  // Long lines are cut to a window around the column; bytes that a terminal would act on become '?'.
  size_t from = column > kMaxEcho / 2 ? column - kMaxEcho / 2 : 0;
  std::string echo(text_.substr(start + from, std::min(end - start - from, kMaxEcho)));
  for (char &c : echo)
    if (c == '\t')
      c = ' ';
    else if (c < 0x20 || c > 0x7e)
      c = '?';
  diagnostic_.code = ExitCode::bad_model;
  diagnostic_.where = file_ + ":" + std::to_string(line) + ":" + std::to_string(column + 1);
  diagnostic_.what = std::string(what) + "\n" + echo + "\n" + std::string(column - from, ' ') + "^";
  at_ = text_.size();
  token_ = Token{};
  token_.offset = text_.size();
  return false;
}

void TextLexer::skip_space() {
  while (at_ < text_.size()) {
    char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++at_;
    } else if (text_.substr(at_, 2) == "//") {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else {
      return;
    }
  }
}

// Reads from the opening to the closing quote; at_ is on the opening one.
bool TextLexer::lex_quoted(std::string &out) {
  size_t open = at_++;
  while (at_ < text_.size() && text_[at_] != '"') {
    char c = text_[at_];
    if (c == '\n') break;
    if (c != '\\') {
      out += c;
      ++at_;
      continue;
    }
    char e = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    int high = at_ + 2 < text_.size() ? hex_digit(text_[at_ + 2]) : -1;
    int low = at_ + 3 < text_.size() ? hex_digit(text_[at_ + 3]) : -1;
    if (e == 'n' || e == 't' || e == '"' || e == '\\') {
      out += e == 'n' ? '\n' : e == 't' ? '\t' : e;
      at_ += 2;
    } else if (e == 'x' && high >= 0 && low >= 0) {
      out += static_cast<char>(high * 16 + low);
      at_ += 4;
    } else {
      return fail(at_, "unknown escape: use \\n, \\t, \\\", \\\\ or \\xNN");
    }
  }
  if (at_ >= text_.size() || text_[at_] != '"') return fail(open, "unterminated string");
  ++at_;
  return true;
}

bool TextLexer::lex_name(Token &token) {
  size_t start = at_++;
  const char *what = text_[start] == '%' ? "expected a name after %" : "expected a name after @";
  if (at_ < text_.size() && text_[at_] == '"') {
    token.quoted = true;
    if (!lex_quoted(token.text)) return false;
  } else {
    size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    token.text.assign(text_.data() + begin, at_ - begin);
    if (token.text.empty()) return fail(start, what);
  }
  if (token.text.size() > kMaxName) return fail(start, "name longer than " + std::to_string(kMaxName) + " bytes");
  if (token.kind == Token::Kind::value && at_ + 1 < text_.size() && text_[at_] == '#' && is_digit(text_[at_ + 1])) {
    ++at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  }
  return true;
}

bool TextLexer::lex_number(Token &token) {
  const char *begin = text_.data() + at_, *end = text_.data() + text_.size();
  bool hex = end - begin > 2 && begin[0] == '0' && (begin[1] == 'x' || begin[1] == 'X');
  const char *digits = hex ? begin + 2 : begin, *stop = digits;
  while (stop != end && (hex ? hex_digit(*stop) >= 0 : is_digit(*stop))) ++stop;
  bool real = !hex && stop != end && (*stop == '.' || *stop == 'e' || *stop == 'E');
  if (real) {
    auto [rest, error] = std::from_chars(begin, end, token.real);
    if (error != std::errc()) return fail(at_, "number out of the range of a double");
    stop = rest;
    token.kind = Token::Kind::real;
  } else {
    auto [rest, error] = std::from_chars(digits, end, token.integer, hex ? 16 : 10);
    if (error != std::errc()) return fail(at_, "integer does not fit in 64 bits");
    stop = rest;
    token.real = static_cast<double>(token.integer);
  }
  if (stop != end && is_name_char(*stop)) return fail(at_, "malformed number");
  at_ += static_cast<size_t>(stop - begin);
  return true;
}

void TextLexer::advance() {
  if (failed_) return;
  skip_space();
  Token token;
  token.offset = at_;
  size_t start = at_;
  bool good = true;
  if (at_ < text_.size()) {
    char c = text_[at_];
    if (is_letter(c)) {
      token.kind = Token::Kind::word;
      while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]) || text_[at_] == '.')) ++at_;
      token.text.assign(text_.data() + start, at_ - start);
      if (token.text.size() > kMaxName) good = fail(start, "name longer than " + std::to_string(kMaxName) + " bytes");
    } else if (c == '%' || c == '@') {
      token.kind = c == '%' ? Token::Kind::value : Token::Kind::symbol;
      good = lex_name(token);
    } else if (is_digit(c)) {
      token.kind = Token::Kind::integer;
      good = lex_number(token);
    } else if (c == '"') {
      token.kind = Token::Kind::string;
      good = lex_quoted(token.text);
    } else if (c > 0x20 && c < 0x7f) {
      token.kind = Token::Kind::punct;
      token.text.push_back(c);
      ++at_;
      if (c == '-' && at_ < text_.size() && text_[at_] == '>') token.text.push_back(text_[at_++]);
    } else {
      good = fail(at_, "unexpected character");
    }
  }
  if (!good) return;
  token.spelling = text_.substr(start, at_ - start);
  token_ = std::move(token);
}

Token TextLexer::next() {
  Token token = token_;
  advance();
  return token;
}

bool TextLexer::at(std::string_view word_or_punct) const {
  return (token_.kind == Token::Kind::word || token_.kind == Token::Kind::punct) && token_.text == word_or_punct;
}

bool TextLexer::accept(std::string_view word_or_punct) {
  if (!at(word_or_punct)) return false;
  advance();
  return true;
}

bool TextLexer::expect(std::string_view word_or_punct) {
  return accept(word_or_punct) || fail_here("expected '" + std::string(word_or_punct) + "'");
}

Token TextLexer::expect(Token::Kind kind, std::string_view what) {
  if (token_.kind == kind) return next();
  fail_here("expected " + std::string(what));
  return {};
}

int64_t TextLexer::integer(std::string_view what, int64_t least, int64_t most) {
  size_t start = token_.offset;
  bool negative = accept("-");
  uint64_t magnitude = expect(Token::Kind::integer, what).integer;
  if (failed_) return least;
  constexpr uint64_t kMost = INT64_MAX;
  bool fits = negative ? magnitude <= kMost + 1 : magnitude <= kMost;
  int64_t value = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
  if (fits && value >= least && value <= most) return value;
  fail(start, std::string(what) + " must lie in " + std::to_string(least) + ".." + std::to_string(most));
  return least;
}

double TextLexer::real(std::string_view what) {
  bool negative = accept("-");
  double value = 0;
  if (at(Token::Kind::integer) || at(Token::Kind::real))
    value = next().real;
  else if (accept("inf"))
    value = HUGE_VAL;
  else if (accept("nan"))
    value = std::nan("");
  else
    fail_here("expected " + std::string(what));
  return negative ? -value : value;
}

std::string quote(std::string_view bytes) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (byte >= 0x20 && byte < 0x7f)
      out += c;
    else
      (out += "\\x") += {kHex[byte >> 4], kHex[byte & 15]};
  }
  return out += '"';
}

std::string sigil_name(char sigil, std::string_view name) {
  bool bare = !name.empty() && std::all_of(name.begin(), name.end(), is_name_char) &&
              !std::all_of(name.begin(), name.end(), is_digit);
  return sigil + (bare ? std::string(name) : quote(name));
}

std::string real_text(double value) {
  if (std::isnan(value)) return std::signbit(value) ? "-nan" : "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[40];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  CAMEO_CHECK(error == std::errc(), "a double needs more than 40 characters");
  std::string text(buffer, end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

} // namespace cameo
