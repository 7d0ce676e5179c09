// CMake projects as users have them: an installed Cameo that was moved, awkward paths, several folders, both
// generators, changes between builds, models that do not compile, and Cameo's source tree inside a project.
#include "../support/scratch.h"
#include "onnx_bytes.h"
#include "process.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

namespace {

using namespace cameo::testing;

/// y = x + w, f32[4]; the bytes of w lie in `location`.
std::string external_model(const std::string &location) {
  const auto entry = [](const std::string &key, const std::string &value) { return bytes(1, key) + bytes(2, value); };
  const std::string w = number(1, 4) + number(2, 1) + bytes(8, "w") + bytes(13, entry("location", location)) +
                        number(14, 1); // data_location: EXTERNAL
  return GraphBytes{{node("Add", {"x", "w"}, {"y"})}, {value_info("x", {4})}, {value_info("y", {4})}, {w}}.model();
}

std::string floats(std::vector<float> values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)};
}

class CMake : public ::testing::Test {
protected:
  void SetUp() override {
    const Ended e = run_program({cmake_path(), "--install", CAMEO_BINARY_DIR, "--prefix", s.path("installed")});
    ASSERT_EQ(e.code, 0) << e.err;
    std::filesystem::rename(s.path("installed"), s.path("moved to here"));
  }
  void file(const std::string &name, const std::string &text) {
    std::filesystem::create_directories(std::filesystem::path(s.path(name)).parent_path());
    s.write(name, text);
  }
  Ended configure(const std::string &generator, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        cmake_path(),      "-G", generator,       "-S",
        s.path("project"), "-B", s.path("build"), "-DCMAKE_PREFIX_PATH=" + s.path("moved to here")};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  Ended build() { return run_program({cmake_path(), "--build", s.path("build"), "--parallel", "4"}); }
  void configure_and_build(const std::string &generator) {
    std::filesystem::remove_all(s.path("build"));
    const Ended configured = configure(generator);
    ASSERT_EQ(configured.code, 0) << configured.out << configured.err;
    const Ended built = build();
    ASSERT_EQ(built.code, 0) << built.out << built.err;
  }
  // What a build did, in the words of both generators.
  static std::set<std::string> steps(const std::string &log) {
    std::set<std::string> found;
    for (const char *word : {"Compiling ", "Building C object", "Linking C executable"})
      if (log.find(word) != std::string::npos) found.insert(word);
    return found;
  }
  Scratch s;
};

constexpr const char *kGenerators[] = {"Ninja", "Unix Makefiles"};

TEST_F(CMake, ModelsInAwkwardPlacesAndFolders) {
  const std::string odd = "mo'del \"ü\" s"; // quotes, spaces, letters beyond ASCII
  file("project/models/" + odd + "/1st-model.onnx", external_model("w 0.bin"));
  file("project/models/" + odd + "/w 0.bin", floats({1, 2, 3, 4}));
  file("project/CMakeLists.txt", "cmake_minimum_required(VERSION 3.10)\n" // older policies than the package's
                                 "project(p C)\n"
                                 "set(BUILD_SHARED_LIBS ON)\n"
                                 "add_subdirectory(models)\n"
                                 "add_subdirectory(app)\n");
  file("project/models/CMakeLists.txt",
       "find_package(Cameo REQUIRED)\n" // found here, used next door
       "set(m \"${CMAKE_CURRENT_SOURCE_DIR}/mo'del \\\"ü\\\" s\")\n"
       "cameo_add_model(1st-model NAME first MODEL \"mo'del \\\"ü\\\" s/1st-model.onnx\")\n"
       "add_library(first_model INTERFACE)\n" // a name that a user may want
       "add_custom_command(OUTPUT made/by-the-build.onnx \"made/w 0.bin\"\n"
       "  COMMAND ${CMAKE_COMMAND} -E copy \"${m}/1st-model.onnx\" made/by-the-build.onnx\n"
       "  COMMAND ${CMAKE_COMMAND} -E copy \"${m}/w 0.bin\" made/ DEPENDS \"${m}/1st-model.onnx\" VERBATIM)\n"
       "cameo_add_model(again SHARED MODEL ${CMAKE_CURRENT_BINARY_DIR}/made/by-the-build.onnx)\n"
       "cameo_add_model(third OBJECT MODEL \"${m}/1st-model.onnx\" OPTIONS --target-cpu portable)\n");
  file("project/app/CMakeLists.txt",
       "add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Werror)\n"
       "add_executable(app main.c)\n"
       "target_link_libraries(app PRIVATE 1st-model again third)\n"
       "set_target_properties(app PROPERTIES INSTALL_RPATH \"$ORIGIN/../lib\")\n"
       "install(TARGETS app DESTINATION bin)\n"
       "install(FILES $<TARGET_FILE:again> DESTINATION lib)\n");
  file("project/app/main.c",
       "#include \"again.h\"\n#include \"first.h\"\n#include \"third.h\"\n"
       "int main(void) {\n"
       "  const float x[4] = {0, 0, 0, 0.5f};\n"
       "  float y[4];\n"
       "  if (first(x, y) || y[3] < 4.4f || again(x, y) || y[3] < 4.4f || third(x, y)) return 1;\n"
       "  return y[3] < 4.4f || y[0] < 1 || y[0] > 1;\n"
       "}\n");
  for (const char *generator : kGenerators) {
    configure_and_build(generator);
    EXPECT_EQ(run_program({s.path("build/app/app")}).code, 0) << generator;
  }
  ASSERT_EQ(run_program({cmake_path(), "--install", s.path("build"), "--prefix", s.path("product")}).code, 0);
  std::filesystem::remove_all(s.path("build"));
  std::filesystem::rename(s.path("product"), s.path("shipped"));
  EXPECT_EQ(run_program({s.path("shipped/bin/app")}).code, 0);
}

TEST_F(CMake, OnlyWhatChangedIsBuiltAgain) {
  file("project/models/m.onnx", external_model("weights.bin"));
  file("project/models/other.onnx", relu_graph().model());
  file("project/main.c",
       "#include \"m.h\"\n#include \"other.h\"\n#include <stdio.h>\n"
       "int main(void) {\n  const float x[4] = {0, 0, 0, 0};\n  float y[4];\n"
       "  if (m(x, y)) return 1;\n  printf(\"%g\", (double)y[0]);\n  return other_describe() == NULL;\n}\n");
  file("project/CMakeLists.txt",
       "cmake_minimum_required(VERSION 3.25)\nproject(p C)\nfind_package(cameo REQUIRED)\n"
       "cameo_add_model(m MODEL models/m.onnx)\ncameo_add_model(other MODEL models/other.onnx)\n"
       "add_executable(app main.c)\ntarget_link_libraries(app m other)\n");
  for (const char *generator : kGenerators) {
    file("project/models/weights.bin", floats({1, 2, 3, 4}));
    configure_and_build(generator);
    EXPECT_EQ(run_program({s.path("build/app")}).out, "1");
    EXPECT_EQ(steps(build().out), std::set<std::string>()) << generator;
    // New weights, the same interface: the model, and the link. Nothing that includes its header, and no other model.
    file("project/models/weights.bin", floats({7, 2, 3, 4}));
    std::filesystem::last_write_time(s.path("project/models/weights.bin"),
                                     std::filesystem::file_time_type::clock::now() + std::chrono::seconds(2));
    const Ended again = build();
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(steps(again.out), (std::set<std::string>{"Compiling ", "Linking C executable"}))
        << generator << again.out;
    EXPECT_EQ(again.out.find("Compiling other"), std::string::npos) << again.out;
    EXPECT_EQ(run_program({s.path("build/app")}).out, "7");
  }
}

TEST_F(CMake, AModelThatDoesNotCompileIsOneClearLine) {
  file("project/bad.onnx", "garbage");
  file("project/CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(p C)\nfind_package(cameo REQUIRED)\n"
                                 "cameo_add_model(bad MODEL bad.onnx)\nadd_executable(app main.c)\n"
                                 "target_link_libraries(app bad)\n");
  file("project/main.c", "int main(void) { return 0; }\n");
  for (const char *generator : kGenerators) {
    std::filesystem::remove_all(s.path("build"));
    ASSERT_EQ(configure(generator).code, 0);
    const Ended e = build();
    EXPECT_NE(e.code, 0);
    const std::string log = e.out + e.err;
    const size_t at = log.find("cameo: " + s.path("project/bad.onnx") + ": ");
    ASSERT_NE(at, std::string::npos) << log;
    EXPECT_EQ(log.find("\ncameo: ", at + 1), std::string::npos) << log;
  }
}

TEST_F(CMake, MistakesAreToldWhenConfiguring) {
  const auto configured = [&](const std::string &line) {
    file("project/CMakeLists.txt",
         "cmake_minimum_required(VERSION 3.25)\nproject(p C)\nfind_package(cameo REQUIRED)\n" + line + "\n");
    const Ended e = configure("Ninja");
    EXPECT_NE(e.code, 0) << line;
    return e.err;
  };
  EXPECT_NE(configured("cameo_add_model(a-b MODEL m.onnx)").find("'a-b' is no C identifier: give a NAME"),
            std::string::npos);
  EXPECT_NE(configured("cameo_add_model(m m.onnx)").find("cameo_add_model(<target> MODEL <file>"), std::string::npos);
  EXPECT_NE(configured("cameo_add_model(m SHARED OBJECT MODEL m.onnx)").find("cameo_add_model(<target> MODEL <file>"),
            std::string::npos);
}

// FetchContent and add_subdirectory: the parent gets the tool's target and cameo_add_model, and no tests, no
// installation rules and no settings of ours. (Configured only: the rest is the build that this test comes from.)
TEST_F(CMake, TheSourceTreeInsideAProject) {
  file("project/CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\nproject(parent C CXX)\nenable_testing()\n"
                                 "add_subdirectory(" CAMEO_SOURCE_DIR " cameo)\n"
                                 "if(CMAKE_BUILD_TYPE OR CMAKE_RUNTIME_OUTPUT_DIRECTORY OR CMAKE_CXX_STANDARD)\n"
                                 "  message(FATAL_ERROR \"settings leak\")\nendif()\n"
                                 "cameo_add_model(digits MODEL " CAMEO_SOURCE_DIR "/models/digits/digits.onnx)\n"
                                 "add_executable(app main.c)\ntarget_link_libraries(app digits cameo::abi)\n"
                                 "add_test(NAME app COMMAND app)\ninstall(TARGETS app)\n");
  file("project/main.c", "#include <cameo/abi.h>\n#include \"digits.h\"\nint main(void) { return 0; }\n");
  const Ended e = configure("Ninja");
  ASSERT_EQ(e.code, 0) << e.out << e.err;
  const Ended tests = run_program({"ctest", "-N"}, s.path("build"));
  EXPECT_NE(tests.out.find("Total Tests: 1\n"), std::string::npos) << tests.out;
  EXPECT_EQ(s.read("build/cmake_install.cmake").find("cameo-config.cmake"), std::string::npos);
  EXPECT_EQ(s.read("build/cameo/cmake_install.cmake").find("cameo-config.cmake"), std::string::npos);
  // The model waits for the tool that this build makes.
  const Ended plan = run_program({"ninja", "-t", "commands", "cameo/digits/digits.a"}, s.path("build"));
  EXPECT_NE(plan.out.find(" -o cameo/bin/cameo "), std::string::npos) << plan.err;
}

} // namespace
