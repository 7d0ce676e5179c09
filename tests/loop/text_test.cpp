// Runs every tests/loop/*.loops file. A file is a list of cases separated by lines that start with `// ----`.
//
// A case without `// error:` comments must parse, verify, and print exactly as written (comments and blank lines
// aside); after a
// `// sugar` comment it may print differently, but what it prints must read back as the same module. Otherwise each
// `// error: text` stands beside the offending line, and the problems that the parser or the verifier finds are exactly
// those, in that order, each containing its text.
#include "cameo/loop/print.h"
#include "cameo/loop/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace cameo::loop {

namespace {

struct Expected {
  size_t line; // from 1
  std::string source, error;
};

struct Case {
  std::string text;      // padded with empty lines, so that line numbers are those of the file
  std::string canonical; // without comments and blank lines
  std::vector<Expected> errors;
  bool sugar = false;
};

std::vector<Case> read_cases(const std::filesystem::path &path) {
  std::vector<Case> cases(1);
  std::ifstream file(path);
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (line.starts_with("// ----")) {
      cases.emplace_back().text.assign(number, '\n');
      continue;
    }
    Case &current = cases.back();
    current.text += line + "\n";
    if (line.starts_with("// sugar")) current.sugar = true;
    if (size_t at = line.find("// error: "); at != std::string::npos)
      current.errors.push_back({number, line.substr(0, at), line.substr(at + 10)});
    size_t comment = line.find("//");
    std::string code = line.substr(0, comment);
    code.erase(code.find_last_not_of(" ") + 1);
    if (!code.empty()) current.canonical += code + "\n";
  }
  std::erase_if(cases, [](const Case &c) { return c.canonical.empty() && c.errors.empty(); });
  return cases;
}

std::string without_blank_lines(const std::string &text) {
  std::istringstream in(text);
  std::string out, line;
  while (std::getline(in, line))
    if (!line.empty()) out += line + "\n";
  return out;
}

void collect_opcodes(const Block &block, std::set<std::string_view> &out) {
  for (const Op &op : block.ops) {
    out.insert(name(op.code));
    for (const Block &region : op.regions) collect_opcodes(region, out);
  }
}

void run_case(const Case &test, const std::string &file, std::set<std::string_view> &opcodes) {
  Result<Module> parsed = parse(test.text, file);
  if (!parsed) {
    const Diagnostic &problem = parsed.errors().at(0);
    ASSERT_EQ(test.errors.size(), 1u) << to_string(problem);
    EXPECT_TRUE(problem.where.starts_with(file + ":" + std::to_string(test.errors[0].line) + ":"))
        << to_string(problem);
    EXPECT_NE(problem.what.find(test.errors[0].error), std::string::npos) << to_string(problem);
    return;
  }
  std::vector<std::string> errors = verify(*parsed);
  for (size_t i = 0; i < std::max(errors.size(), test.errors.size()); ++i) {
    ASSERT_LT(i, errors.size()) << file << ":" << test.errors[i].line << ": expected: " << test.errors[i].error;
    ASSERT_LT(i, test.errors.size()) << file << ": unexpected: " << errors[i];
    const Expected &expected = test.errors[i];
    EXPECT_NE(errors[i].find(expected.error), std::string::npos)
        << file << ":" << expected.line << ": found: " << errors[i];
    // The operation that the message names stands on that line (a yield of nothing at the closing brace).
    if (expected.source.find('}') != std::string::npos) continue;
    size_t open = errors[i].find(" op "), from = errors[i].find('(', open), to = errors[i].find("):", open);
    if (open == std::string::npos || from == std::string::npos || to == std::string::npos) continue;
    EXPECT_NE(expected.source.find(errors[i].substr(from + 1, to - from - 1)), std::string::npos)
        << file << ":" << expected.line << ": found: " << errors[i];
  }
  std::string printed = print(*parsed);
  Result<Module> again = parse(printed, "printed");
  ASSERT_TRUE(again) << to_string(again.errors().at(0)) << "\n" << printed;
  EXPECT_TRUE(same(*parsed, *again)) << printed;
  EXPECT_EQ(print(*again), printed);
  if (!test.errors.empty()) return;
  if (!test.sugar) {
    EXPECT_EQ(without_blank_lines(printed), test.canonical);
  }
  for (const Function &function : parsed->functions) collect_opcodes(function.body, opcodes);
}

TEST(Text, EveryFile) {
  std::set<std::string_view> opcodes;
  std::vector<std::filesystem::path> files;
  for (const auto &entry : std::filesystem::directory_iterator(std::filesystem::path(CAMEO_SOURCE_DIR) / "tests/loop"))
    if (entry.path().extension() == ".loops") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_FALSE(files.empty());
  for (const auto &path : files) {
    size_t index = 0;
    for (const Case &test : read_cases(path)) {
      SCOPED_TRACE(path.filename().string() + ", case " + std::to_string(index++) + ":\n" + test.canonical);
      run_case(test, path.filename().string(), opcodes);
    }
  }
  for (int code = 0; code <= static_cast<int>(Opcode::check); ++code)
    EXPECT_TRUE(opcodes.contains(name(static_cast<Opcode>(code))))
        << "no valid case has " << name(static_cast<Opcode>(code));
}

} // namespace

// Every prefix of a valid text, and every text with one byte changed, ends in a module or in one diagnostic.
TEST(Text, DamagedTextIsRefusedInOrder) {
  for (const char *file : {"control.loops", "memory.loops", "vectors.loops"}) {
    std::ifstream in(std::filesystem::path(CAMEO_SOURCE_DIR) / "tests/loop" / file);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    ASSERT_FALSE(text.empty());
    for (size_t length = 0; length < text.size(); length += 3) {
      Result<Module> parsed = parse(std::string_view(text).substr(0, length), "t");
      if (parsed) verify(*parsed);
    }
    for (size_t i = 0; i < text.size(); i += 2) {
      std::string damaged = text;
      damaged[i] = static_cast<char>("%@{}[](),:=-*\"0x9\x80\x00 \n"[i % 22]);
      if (Result<Module> parsed = parse(damaged, "t")) verify(*parsed);
    }
  }
}

TEST(Text, HostileTextEndsInACaretError) {
  auto error = [](const std::string &text) {
    Result<Module> parsed = parse(text, "t");
    return parsed ? std::string("none") : parsed.errors().at(0).what;
  };
  std::string deep = "func @f(%c: i1) {";
  for (int i = 0; i < 100000; ++i) deep += "if %c {";
  EXPECT_NE(error(deep).find("nested deeper than 200"), std::string::npos);
  EXPECT_NE(error("func @f(%x: f32x99999999999) {}").find("unknown type"), std::string::npos);
  EXPECT_NE(error("func @f(%x: f32x4097) {}").find("at most 4096 lanes"), std::string::npos);
  EXPECT_NE(error("func @f() { %a = const 99999999999999999999 : i64 }").find("64 bits"), std::string::npos);
  EXPECT_NE(error("func @f(%n: i64) { %a = index [" + std::string(100000, '-') + "1] : i64 }").find("expected"),
            std::string::npos);
  std::string terms = "func @f(%n: i64) { %a = index [%n";
  for (int i = 0; i < 100000; ++i) terms += " + %n";
  EXPECT_NE(error(terms).find("more than 64 terms"), std::string::npos);
  std::string mask = "func @f(%v: f32x4) { %a = shuffle %v, %v [0";
  for (int i = 0; i < 100000; ++i) mask += ", 0";
  EXPECT_NE(error(mask).find("list of more than 4096"), std::string::npos);
}

// Names from models are any bytes, and need not be unique; numbers of every kind survive.
TEST(Text, OddNamesAndNumbersReadBack) {
  Module module;
  Function f;
  f.name = "/conv 1/\"weird\"\n";
  f.origin = std::string("node '\0'", 8);
  std::vector<std::string> names = {"x", "x", "12", "a b", "\xff\x01", "x#1", "", "", "%", "x\"#1"};
  for (const std::string &name : names) f.params.push_back({f.new_value(kIndex, name)});
  auto constant = [&](Type type, int64_t integer, double real) {
    Op op{};
    op.code = Opcode::constant;
    op.integer = integer;
    op.real = real;
    op.results = {f.new_value(type)};
    f.body.ops.push_back(op);
  };
  for (int64_t v : {INT64_MIN, INT64_MAX, int64_t{-1}, int64_t{0}}) constant(kIndex, v, 0);
  for (int64_t v : {-128, 127, -1}) constant({Scalar::i8, 16}, v, 0);
  constant(kBool, -1, 0);
  constant(kBool, 0, 0);
  for (double v : {0.0, -0.0, 0.1, 1.0, 5e-324, 1.7976931348623157e308, HUGE_VAL, -HUGE_VAL})
    constant({Scalar::f64}, 0, v);
  for (uint64_t v :
       std::vector<uint64_t>{0x7ff8000000000000, 0xfff8000000000000, 0x7ff8000000000001, 0x7ff0000000000001})
    constant({Scalar::f64}, 0, std::bit_cast<double>(v));
  constant(kF32, 0, static_cast<double>(0.1f));
  Op address{};
  address.code = Opcode::index;
  address.address = Affine(f.params[0].value, INT64_MIN) + Affine(f.params[1].value, -1) +
                    Affine(f.params[2].value, INT64_MAX) + INT64_MIN;
  address.results = {f.new_value(kIndex)};
  f.body.ops.push_back(address);
  Op ret{};
  ret.code = Opcode::ret;
  f.body.ops.push_back(ret);
  module.functions.push_back(f);
  EXPECT_EQ(verify(module), std::vector<std::string>());

  std::string text = print(module);
  Result<Module> back = parse(text, "printed");
  ASSERT_TRUE(back) << to_string(back.errors().at(0)) << text;
  EXPECT_TRUE(same(module, *back)) << text;
  EXPECT_EQ(print(*back), text);
}

TEST(Text, SameSeesEveryDifference) {
  auto module = [](const std::string &text) { return std::move(*parse(text, "t")); };
  Module base = module("func @f(%x: buf<f32>, %i: i64) {\n %a = load %x[%i*2 + 1] align 4 : f32x4\n store %a, %x[0] : "
                       "f32x4\n return\n}");
  EXPECT_TRUE(same(base, base));
  for (const char *text : {
           "func @g(%x: buf<f32>, %i: i64) {\n %a = load %x[%i*2 + 1] align 4 : f32x4\n store %a, %x[0] : f32x4\n "
           "return\n}",
           "func @f(%y: buf<f32>, %i: i64) {\n %a = load %y[%i*2 + 1] align 4 : f32x4\n store %a, %y[0] : f32x4\n "
           "return\n}",
           "func @f(%x: buf<f32> noalias, %i: i64) {\n %a = load %x[%i*2 + 1] align 4 : f32x4\n store %a, %x[0] : "
           "f32x4\n return\n}",
           "func @f(%x: buf<f32>, %i: i64) {\n %a = load %x[%i*3 + 1] align 4 : f32x4\n store %a, %x[0] : f32x4\n "
           "return\n}",
           "func @f(%x: buf<f32>, %i: i64) {\n %a = load %x[%i*2 + 1] align 8 : f32x4\n store %a, %x[0] : f32x4\n "
           "return\n}",
           "func @f(%x: buf<f32>, %i: i64) {\n %a = load %x[%i*2 + 1] align 4 : f32x4\n store %a, %x[1] : f32x4\n "
           "return\n}",
           "func @f(%x: buf<f32>, %i: i64) {\n %a = load %x[%i*2 + 1] align 4 : f32x8\n store %a, %x[0] : f32x8\n "
           "return\n}",
           "func @f(%x: buf<f32>, %i: i64) {\n %a = load %x[%i*2 + 1] align 4 : f32x4\n return\n}",
       })
    EXPECT_FALSE(same(base, module(text))) << text;
}

} // namespace cameo::loop
