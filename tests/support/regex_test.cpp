// What RE2 accepts and refuses, and what matches: verdicts of RE2 2025-11-05.
#include "cameo/support/regex.h"

#include <gtest/gtest.h>

#include <set>

namespace cameo {
namespace {

// The machine as sets of steps, one after the other.
bool matches(const RegexProgram &program, const std::string &text) {
  const auto size = static_cast<int64_t>(text.size());
  auto word = [&](int64_t i) {
    return i >= 0 && i < size && (isalnum(static_cast<unsigned char>(text[size_t(i)])) || text[size_t(i)] == '_');
  };
  auto holds = [&](RegexPlace place, int64_t at) {
    switch (place) {
    case RegexPlace::begin_text:
      return at == 0;
    case RegexPlace::end_text:
      return at == size;
    case RegexPlace::begin_line:
      return at == 0 || text[size_t(at - 1)] == '\n';
    case RegexPlace::end_line:
      return at == size || text[size_t(at)] == '\n';
    default:
      return (word(at - 1) != word(at)) == (place == RegexPlace::word_edge);
    }
  };
  std::set<int32_t> now = {0};
  for (int64_t at = 0;; ++at) {
    std::vector<int32_t> open(now.begin(), now.end());
    while (!open.empty()) {
      const auto [kind, a, b, next] = program[size_t(open.back())];
      open.pop_back();
      auto follow = [&](int32_t to) {
        if (now.insert(to).second) open.push_back(to);
      };
      if (static_cast<RegexStep>(kind) == RegexStep::fork) {
        follow(a);
        follow(b);
      }
      if (static_cast<RegexStep>(kind) == RegexStep::holds && holds(static_cast<RegexPlace>(a), at)) follow(next);
    }
    std::set<int32_t> then;
    bool accepted = false;
    for (int32_t step : now) {
      const auto [kind, a, b, next] = program[size_t(step)];
      accepted |= static_cast<RegexStep>(kind) == RegexStep::accept;
      const int32_t c = at < size ? static_cast<unsigned char>(text[size_t(at)]) : -1;
      if (static_cast<RegexStep>(kind) == RegexStep::byte && a <= c && c <= b) then.insert(next);
    }
    if (at == size) return accepted;
    now = std::move(then);
  }
}

TEST(Regex, MatchesAsRe2Does) {
  struct Case {
    const char *pattern;
    std::string text;
    bool match;
  };
  const Case cases[] = {
      {"", "", true},
      {"", "a", false},
      {"a|b*", "bbb", true},
      {"(a|b)*abb", "ababb", true},
      {"(a|b)*abb", "ababbx", false},
      {"a{2,3}", "a", false},
      {"a{2,3}", "aaa", true},
      {"a{2,3}", "aaaa", false},
      {"a{2,}", "aaaaa", true},
      {"a{,2}", "a{,2}", true}, // a brace that repeats nothing is a character
      {"x{0}y", "y", true},
      {".", "\n", false},
      {"(?s).", "\n", true},
      {".", "\xe6\x97\xa5", true},
      {"..", "\xe6\x97\xa5", false},
      {"\\C\\C\\C", "\xe6\x97\xa5", true},
      {".", "\xff", false},
      {"[^a]", "\xc3\xa9", true},
      {"[\xc3\xa0-\xc3\xbc]", "\xc3\xa9", true},
      {"[\xc3\xa0-\xc3\xbc]", "\xc3\xbd", false},
      {"[\\x{7f}-\\x{10ffff}]", "\xf0\x9f\x98\x80", true},
      {"[]a-]+", "a-]", true},
      {"[\\d-z]+", "1-z", true},
      {"[[:alpha:]_]+", "a_Z", true},
      {"[[:^digit:]]", "7", false},
      {"(?i)key", "K\x45y", true},
      {"(?i)k", "\xe2\x84\xaa", true},
      {"(?i:a)b", "AB", false},
      {"a$\nb", "a\nb", false},
      {"(?m)a$\n^b", "a\nb", true},
      {"\\bab\\b", "ab", true},
      {"a\\bb", "ab", false},
      {"\\w+@[a-z]+\\.(com|org)", "some_one1@host.org", true},
      {"\\Qa.b\\E+", "a.bb", true},
      {"\\101\\x42\\_", "AB_", true},
      {"(?P<name>a)(?<other>b)", "ab", true},
      {"(a*)*", "aaa", true},
      {"a+?b??", "aa", true},
      {"[^\\x00-\\x{10FFFF}]", "a", false},
  };
  for (const Case &c : cases) {
    const Result<RegexProgram> program = compile_regex(c.pattern);
    ASSERT_TRUE(program.ok()) << c.pattern << ": " << program.errors()[0].what;
    EXPECT_EQ(matches(*program, c.text), c.match) << c.pattern << " on " << c.text;
  }
}

TEST(Regex, RefusesWhatRe2Refuses) {
  for (const char *pattern : {"(",
                              ")",
                              "a)",
                              "(a",
                              "*",
                              "a|*",
                              "+a",
                              "a**",
                              "a*??",
                              "a{2}{3}",
                              "a{3,2}",
                              "a{1001}",
                              "(a{100}){11}",
                              "[a",
                              "[z-a]",
                              "[[:nothing:]]",
                              "\\",
                              "\\8",
                              "\\1",
                              "\\Z",
                              "\\E",
                              "\\x4",
                              "\\x{110000}",
                              "\\x{",
                              "(?=a)",
                              "(?!a)",
                              "(?<=a)",
                              "(?i",

                              "(?-)",
                              "(?x)",
                              "(?P<n>",
                              "(?P<>a)",
                              "(?P<n-m>a)",
                              "(?P=n)",
                              "\xff",
                              "\xc3",
                              "\xed\xa0\x80"}) {
    const Result<RegexProgram> program = compile_regex(pattern);
    ASSERT_FALSE(program.ok()) << pattern;
    EXPECT_EQ(exit_code(program.errors()), ExitCode::bad_model) << pattern << ": " << program.errors()[0].what;
  }
}

TEST(Regex, LimitsAreNotErrorsOfThePattern) {
  for (const std::string &pattern :
       {std::string("\\pL"), std::string("[\\p{Greek}]"), std::string("(?i)\xc3\xa9"),
        std::string(201, '(') + std::string(201, ')'), std::string("(?:") + std::string(200, 'a') + "){1000}"}) {
    const Result<RegexProgram> program = compile_regex(pattern);
    ASSERT_FALSE(program.ok()) << pattern;
    EXPECT_EQ(exit_code(program.errors()), ExitCode::unsupported) << program.errors()[0].what;
  }
  EXPECT_TRUE(compile_regex(std::string(200, '(') + std::string(200, ')')).ok());
}

} // namespace
} // namespace cameo
