// The README's commands and its C program, run as they stand there.
#include "../support/scratch.h"
#include "onnx_bytes.h"
#include "process.h"

#include <gtest/gtest.h>

#include <sstream>

namespace {

using namespace cameo::testing;

// The contents of the fenced blocks of one language, in order.
std::vector<std::string> blocks(const std::string &text, const std::string &language) {
  std::vector<std::string> out;
  const std::string fence = "```" + language + "\n";
  for (size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at + 1)) {
    const size_t start = at + fence.size();
    out.push_back(text.substr(start, text.find("```", start) - start));
  }
  return out;
}

std::string readme() {
  std::ifstream in(source("README.md"));
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Readme, ItsCommandsWorkInOrder) {
  const std::string text = readme();
  const std::vector<std::string> programs = blocks(text, "c"), commands = blocks(text, "sh");
  ASSERT_EQ(programs.size(), 1u);
  ASSERT_EQ(commands.size(), 2u);
  Scratch s;
  s.write("main.c", programs[0]);
  symlink(source("models").c_str(), s.path("models").c_str());
  std::string output;
  for (const std::string &block : commands) {
    const Ended e = run_program({"bash", "-e", "-c", block}, s.path(), [] {
      setenv("PATH", (std::string(CAMEO_BINARY_DIR "/bin:") + getenv("PATH")).c_str(), 1);
    });
    EXPECT_EQ(e.code, 0) << block << e.out << e.err;
    output += e.out;
  }
  EXPECT_NE(output.find("2 passed, 0 failed, 0 unsupported\n"), std::string::npos) << output;
  EXPECT_TRUE(output.ends_with("this is a 2\n")) << output; // as the README says, and as its label says
}

TEST(Readme, ItsLinesOfCMakeWork) {
  const std::string text = readme();
  const std::vector<std::string> programs = blocks(text, "c"), lines = blocks(text, "cmake");
  ASSERT_EQ(programs.size(), 1u);
  ASSERT_EQ(lines.size(), 1u);
  Scratch s;
  s.write("main.c", programs[0]);
  symlink(source("models").c_str(), s.path("models").c_str());
  s.write("CMakeLists.txt",
          "cmake_minimum_required(VERSION 3.25)\nproject(p C)\nadd_executable(app main.c)\n" + lines[0]);
  const auto cmake = [&](std::vector<std::string> words) {
    words.insert(words.begin(), cmake_path());
    const Ended e = run_program(words, s.path());
    EXPECT_EQ(e.code, 0) << e.out << e.err;
  };
  cmake({"--install", CAMEO_BINARY_DIR, "--prefix", s.path("cameo")});
  cmake({"-S", ".", "-B", "build", "-DCMAKE_PREFIX_PATH=" + s.path("cameo")});
  cmake({"--build", "build"});
  EXPECT_EQ(run_program({s.path("build/app")}).out, "this is a 2\n");
}

// The example in the comment of the public header.
TEST(Readme, TheHeadersExampleWorks) {
  std::ifstream in(source("include/cameo/abi.h"));
  std::string program = "#include \"net.h\"\n#include <stdio.h>\n";
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    inside |= line.starts_with(" *   int run_batch(");
    if (inside) program += line.substr(std::min<size_t>(line.size(), 5)) + "\n";
    if (line == " *   }") break;
  }
  ASSERT_TRUE(inside);
  program += "int main(void) {\n  float x[16], y[6];\n  for (int i = 0; i < 16; ++i) x[i] = (float)i;\n"
             "  int status = run_batch(2, x, y);\n  printf(\"%d %g %g\", status, y[0], y[5]);\n  return 0;\n}\n";
  // y = x[:, 1:4], f32[batch, 8] -> f32[batch, 3]
  const auto rows = [](const std::string &name, uint64_t columns) {
    const std::string shape = bytes(1, bytes(2, "batch")) + bytes(1, number(1, columns));
    return bytes(1, name) + bytes(2, bytes(1, number(1, 1) + bytes(2, shape)));
  };
  const auto constant = [](const std::string &name, uint64_t value) {
    return number(1, 1) + number(2, 7) + number(7, value) + bytes(8, name); // int64_data
  };
  const GraphBytes graph = {{node("Slice", {"x", "from", "to", "axis"}, {"y"})},
                            {rows("x", 8)},
                            {rows("y", 3)},
                            {constant("from", 1), constant("to", 4), constant("axis", 1)}};
  Scratch s;
  s.write("net.onnx", graph.model());
  s.write("main.c", program);
  Ended e = cameo::testing::cameo({"compile", "net.onnx", "-o", "net.a"}, s.path());
  ASSERT_EQ(e.code, 0) << e.err;
  e = run_program({"cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "main.c", "net.a",
                   "-pthread", "-o", "main"},
                  s.path());
  ASSERT_EQ(e.code, 0) << e.err << program;
  EXPECT_EQ(run_program({s.path("main")}).out, "0 1 11");
}

TEST(Readme, NamesOnlyFilesThatExist) {
  const std::string text = readme();
  for (size_t at = text.find("]("); at != std::string::npos; at = text.find("](", at + 1)) {
    const std::string target = text.substr(at + 2, text.find(')', at) - at - 2);
    EXPECT_TRUE(std::filesystem::exists(source(target))) << target;
  }
  for (const char *command : {"tools/demo.sh", "tools/test.sh", "tools/setup.sh"}) {
    EXPECT_NE(text.find(command), std::string::npos);
    EXPECT_EQ(access(source(command).c_str(), X_OK), 0) << command;
  }
}

} // namespace
