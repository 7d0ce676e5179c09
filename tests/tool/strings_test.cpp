// Strings in and out of a compiled model, as a user meets them: a C program against the generated header, and the tool.
#include "../support/scratch.h"
#include "onnx_bytes.h"
#include "process.h"

#include <gtest/gtest.h>

namespace {

using namespace cameo::testing;

std::string strings_tensor(const std::vector<std::string> &values, bool scalar = false, const std::string &name = {}) {
  std::string out = scalar ? "" : number(1, values.size());
  out += number(2, 8);
  for (const std::string &v : values) out += bytes(6, v);
  return name.empty() ? out : out + bytes(8, name);
}

// y = x with "Bob" hidden; hit: where that was.
std::string hiding_model() {
  const GraphBytes g = {{node("Equal", {"x", "bob"}, {"hit"}, "is_bob"), node("Where", {"hit", "mask", "x"}, {"y"})},
                        {value_info("x", {3}, 8)},
                        {value_info("y", {3}, 8), value_info("hit", {3}, 9)},
                        {strings_tensor({"Bob"}, true, "bob"), strings_tensor({"(hidden)"}, true, "mask")}};
  return g.model(19);
}

constexpr const char *kProgram = R"(#include "hide.h"
#include <stdio.h>
#include <string.h>

int main(void) {
  char name[] = "Al\0ice";
  CameoString x[3] = {{name, 6}, {"Bob", 3}, {NULL, 0}}, y[3];
  uint8_t hit[3];
  CameoContext *context;
  if (hide_create(NULL, &context) != CAMEO_OK) return 1;
  if (hide_call(context, x, y, hit) != CAMEO_OK) return 2;
  memset(name, 'x', sizeof name); /* the text of outputs is the context's */
  for (int i = 0; i < 3; ++i) {
    printf("%d %d ", hit[i], (int)y[i].bytes);
    fwrite(y[i].data, 1, (size_t)y[i].bytes, stdout);
    puts(".");
  }
  x[1].bytes = -1;
  int status = hide_call(context, x, y, hit);
  puts(hide_status_text(status));
  return hide_destroy(context);
}
)";

TEST(Strings, ACProgramPassesAndReceivesThem) {
  Scratch s;
  s.write("hide.onnx", hiding_model());
  s.write("main.c", kProgram);
  Ended e = cameo::testing::cameo({"compile", "hide.onnx", "-o", "hide.so"}, s.path());
  ASSERT_EQ(e.code, 0) << e.err;
  for (const char *compiler : {"cc", "c++"}) {
    std::vector<std::string> words = {compiler, "-Wall", "-Wextra", "-Werror", "main.c", "./hide.so", "-o", "main"};
    if (compiler[1] == 'c') words.insert(words.begin() + 1, "-std=c11");
    words.emplace_back("-Wl,-rpath,$ORIGIN");
    e = run_program(words, s.path());
    ASSERT_EQ(e.code, 0) << e.err;
    e = run_program({"./main"}, s.path());
    EXPECT_EQ(e.code, 0) << e.out;
    const std::string name("Al\0ice", 6);
    EXPECT_EQ(e.out,
              "0 6 " + name + ".\n1 8 (hidden).\n0 0 .\na string has a negative or impossible length, or no bytes\n");
  }
}

TEST(Strings, TheToolReadsAndWritesThem) {
  Scratch s;
  s.write("hide.onnx", hiding_model());
  s.write("x.pb", strings_tensor({"Ann", "Bob", "it's \"x\""}));
  Ended e = cameo::testing::cameo({"run", "hide.onnx", "--input", "x=x.pb", "--output-dir", "out"}, s.path());
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_NE(e.out.find("y: string[3] = \"Ann\" \"(hidden)\" \"it\\x27s \\x22x\\x22\""), std::string::npos) << e.out;
  EXPECT_NE(e.out.find("hit: bool[3] = false true false"), std::string::npos) << e.out;
  // What was written reads back.
  e = cameo::testing::cameo({"run", "hide.onnx", "--input", "x=out/y.npy"}, s.path());
  EXPECT_NE(e.out.find("y: string[3] = \"Ann\" \"(hidden)\""), std::string::npos) << e.out << e.err;
  e = cameo::testing::cameo({"inspect", "hide.onnx"}, s.path());
  EXPECT_NE(e.out.find("x: string[3]"), std::string::npos) << e.out;
  ASSERT_EQ(cameo::testing::cameo({"compile", "hide.onnx", "-o", "hide.so"}, s.path()).code, 0);
  e = cameo::testing::cameo({"inspect", "hide.so"}, s.path());
  EXPECT_NE(e.out.find("x: string[3]"), std::string::npos) << e.out;
  e = cameo::testing::cameo({"bench", "hide.so", "--seconds", "0.01"}, s.path());
  EXPECT_EQ(e.code, 0) << e.err; // on made-up words
}

TEST(Strings, WhatIsNotSupportedIsOneLineForEachNode) {
  Scratch s;
  const GraphBytes g = {{node("Unique", {"x"}, {"y"}, "first"), node("Unique", {"x"}, {"z"}, "second")},
                        {value_info("x", {3}, 8)},
                        {value_info("y", {3}, 8), value_info("z", {3}, 8)},
                        {}};
  s.write("u.onnx", g.model());
  const Ended e = cameo::testing::cameo({"compile", "u.onnx"}, s.path());
  EXPECT_EQ(e.code, 69);
  EXPECT_EQ(e.err, "cameo: u.onnx: node 'first': unique of strings is not supported\n"
                   "cameo: u.onnx: node 'second': unique of strings is not supported\n");
}

} // namespace
