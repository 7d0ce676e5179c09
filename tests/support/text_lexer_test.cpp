#include "cameo/support/text_lexer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace cameo {

using Kind = Token::Kind;

TEST(TextLexer, TokensOfEveryKind) {
  TextLexer lexer("func @f(%x: f32) -> // comment\n %\"a b\\x00\"#12 %7 1.5e3 0x1f \"q\\n\" reduce.add", "t");
  EXPECT_TRUE(lexer.accept("func"));
  EXPECT_EQ(lexer.expect(Kind::symbol, "a name").text, "f");
  EXPECT_TRUE(lexer.expect("("));
  EXPECT_EQ(lexer.next().text, "x");
  EXPECT_TRUE(lexer.accept(":"));
  EXPECT_TRUE(lexer.accept("f32"));
  EXPECT_TRUE(lexer.accept(")"));
  EXPECT_TRUE(lexer.accept("->"));
  Token odd = lexer.next();
  EXPECT_EQ(odd.text, std::string("a b\0", 4));
  EXPECT_EQ(odd.spelling, "%\"a b\\x00\"#12");
  EXPECT_EQ(lexer.next().text, "7");
  EXPECT_EQ(lexer.real("a number"), 1500.0);
  EXPECT_EQ(lexer.integer("a number"), 31);
  EXPECT_EQ(lexer.next().text, "q\n");
  EXPECT_TRUE(lexer.accept("reduce.add"));
  EXPECT_TRUE(lexer.at(Kind::end));
  EXPECT_FALSE(lexer.failed());
}

TEST(TextLexer, FailurePointsAtTheColumnAndEndsTheText) {
  TextLexer lexer("a\n\tb ? c", "dir/f.loops");
  lexer.next();
  lexer.next();
  EXPECT_FALSE(lexer.expect("!"));
  EXPECT_EQ(to_string(lexer.diagnostic()), "dir/f.loops:2:4: expected '!'\n b ? c\n   ^");
  EXPECT_TRUE(lexer.at(Kind::end));
  EXPECT_FALSE(lexer.fail(0, "a second failure is ignored"));
  EXPECT_EQ(lexer.diagnostic().where, "dir/f.loops:2:4");
}

TEST(TextLexer, NumbersAreRangeChecked) {
  EXPECT_EQ(TextLexer("-9223372036854775808", "t").integer("n"), INT64_MIN);
  for (const char *text : {"9223372036854775808", "-9223372036854775809", "18446744073709551616", "12x", "0x", "%",
                           "@ f", "\"abc", "\"\\q\"", "1e999", "\x01", "\xff"}) {
    TextLexer lexer(text, "t");
    lexer.integer("n");
    EXPECT_TRUE(lexer.failed()) << text;
  }
  TextLexer bounded("5", "t");
  EXPECT_EQ(bounded.integer("count", 0, 4), 0);
  EXPECT_NE(bounded.diagnostic().what.find("count must lie in 0..4"), std::string::npos);
  EXPECT_TRUE(TextLexer("%" + std::string(5000, 'x'), "t").failed());
}

TEST(TextLexer, LongLinesAreCutAroundTheColumn) {
  std::string text(100000, ' ');
  text += "!" + std::string(100000, 'y');
  TextLexer lexer(text, "t");
  lexer.fail_here("no");
  EXPECT_EQ(lexer.diagnostic().where, "t:1:100001");
  EXPECT_LT(lexer.diagnostic().what.size(), 300u);
}

TEST(TextLexer, RealsAndNamesReadBack) {
  for (double value : {0.0, -0.0, 1.0, 0.1, 1e300, -5e-324, std::numeric_limits<double>::max(), HUGE_VAL, -HUGE_VAL}) {
    std::string text = real_text(value);
    TextLexer lexer(text, "t");
    double back = lexer.real("a number");
    EXPECT_TRUE(back == value && std::signbit(back) == std::signbit(value)) << value;
  }
  EXPECT_EQ(sigil_name('%', "conv1.w"), "%conv1.w");
  EXPECT_EQ(sigil_name('%', "12"), "%\"12\"");
  for (std::string name : {std::string("/a//b c\"\\"), std::string("\0\xff\n", 3), std::string("7")}) {
    std::string text = sigil_name('%', name);
    TextLexer lexer(text, "t");
    EXPECT_EQ(lexer.next().text, name);
    EXPECT_TRUE(lexer.at(Kind::end));
  }
}

} // namespace cameo
