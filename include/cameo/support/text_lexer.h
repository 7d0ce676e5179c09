// Tokens of the text forms of both IRs, with caret errors: `file:line:col: what`, the source line, a caret under the
// column.
//
// The lexer is hardened against hostile text: numbers are range-checked, names are bounded, and after the first failure
// it yields only `end`, so that a recursive-descent parser unwinds by itself: every loop of the parser must stop at
// `end`.
//
//   word     [A-Za-z_][A-Za-z0-9_.]*             func, reduce.add, f32x16
//   value    %name  %12  %"any bytes"  %name#2   `text` is the bare name, `spelling` the whole token (the key of a
//   scope) symbol   @name  @"any bytes" integer  123  0x7f                           never signed: integer() and real()
//   of the lexer take the sign real     1.5  2e-3  1. string   "a\n\x00" punct    ->  and every other single ASCII
//   punctuation character
//   // starts a comment that ends with the line
#pragma once

#include "cameo/support/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace cameo {

struct Token {
  enum class Kind : uint8_t { end, word, value, symbol, integer, real, string, punct };
  Kind kind = Kind::end;
  size_t offset = 0;         ///< of its first byte in the text
  std::string_view spelling; ///< as written; a view into the text
  std::string text;          ///< word, punct: as written; value, symbol, string: unescaped, without sigil and #suffix
  bool quoted = false;       ///< value, symbol: was written with quotes
  uint64_t integer = 0;      ///< magnitude
  double real = 0;           ///< magnitude; of integers as well
};

class TextLexer {
public:
  /// `text` must outlive the lexer; `file` is for messages.
  TextLexer(std::string_view text, std::string file);

  const Token &peek() const { return token_; }
  Token next();
  bool at(Token::Kind kind) const { return token_.kind == kind; }
  /// Is the next token this word or punctuation?
  bool at(std::string_view word_or_punct) const;
  bool accept(std::string_view word_or_punct); ///< consumes it when it is there
  bool expect(std::string_view word_or_punct); ///< fails when it is not there
  /// The next token must be of this kind; fails with "expected <what>" otherwise and returns an `end` token.
  Token expect(Token::Kind kind, std::string_view what);
  /// `[-] integer`, in int64 and within [least, most]; `what` names it in the message. Returns `least` after a failure.
  int64_t integer(std::string_view what, int64_t least = INT64_MIN, int64_t most = INT64_MAX);
  /// `[-] (integer | real | inf | nan)`; 0 after a failure.
  double real(std::string_view what);

  /// Records the first failure at that offset (later ones are ignored) and ends the text. Returns false.
  bool fail(size_t offset, std::string_view what);
  bool fail_here(std::string_view what) { return fail(token_.offset, what); }
  bool failed() const { return failed_; }
  const Diagnostic &diagnostic() const { return diagnostic_; }

private:
  void advance();
  void skip_space();
  bool lex_name(Token &token);
  bool lex_quoted(std::string &out);
  bool lex_number(Token &token);

  std::string_view text_;
  std::string file_;
  size_t at_ = 0;
  Token token_;
  bool failed_ = false;
  Diagnostic diagnostic_;
};

/// `"..."` with quotes, backslashes and every byte outside printable ASCII escaped: what the lexer reads back.
std::string quote(std::string_view bytes);
/// `%name` or `@name`, quoted where the bare form would not read back (empty, all digits, other characters).
std::string sigil_name(char sigil, std::string_view name);
/// Shortest decimal text that reads back as exactly this double and is never taken for an integer; `inf`, `-inf`,
/// `nan`.
std::string real_text(double value);

} // namespace cameo
