// The main job on real data, through the command line: the digits networks compiled, run, tested, measured, inspected.
#include "../support/scratch.h"
#include "process.h"

#include "cameo/support/npy.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstring>

namespace {

using namespace cameo::testing;
using Json = nlohmann::json;

std::string digits() { return source("models/digits/digits.onnx"); }

Json json_of(const Ended &e) {
  EXPECT_EQ(e.code, 0) << e.err;
  return Json::parse(e.out, nullptr, false);
}

TEST(Digits, TheDemoProgramAgreesWithOnnxRuntimeOnEveryHeldOutDigit) {
  Scratch s;
  Ended e = cameo::testing::cameo({"compile", digits(), "--dim", "batch=1", "-o", "digits.so"}, s.path());
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_EQ(e.out + e.err, ""); // quiet by default
  EXPECT_LT(std::filesystem::file_size(s.path("digits.so")), 250'000u);
  e = run_program({"cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-I.", source("models/digits/demo.c"),
                   "./digits.so", "-Wl,-rpath,$ORIGIN", "-lm", "-o", "demo"},
                  s.path());
  ASSERT_EQ(e.code, 0) << e.err;
  e = run_program({"./demo", source("models/digits"), source("models/digits/test_predictions.npy")}, s.path());
  EXPECT_EQ(e.code, 0) << e.out << e.err; // not 0 when one prediction differs
  EXPECT_NE(e.out.find("accuracy      0.9956 (448 of 450 held-out digits)"), std::string::npos) << e.out;
  EXPECT_NE(e.out.find("\n  3 not 8 "), std::string::npos) << e.out; // shows a mistake
}

TEST(Digits, TestPassesOnBothModelsAndWritesWhatItComputed) {
  Scratch s;
  const Ended e = cameo::testing::cameo(
      {"test", source("models/digits"), source("models/digits_mlp"), "--json", "r.json", "--output-dir", "o"},
      s.path());
  EXPECT_EQ(e.code, 0) << e.out << e.err;
  EXPECT_EQ(e.out, "2 passed, 0 failed, 0 unsupported\n");
  const Json report = Json::parse(s.read("r.json"));
  EXPECT_EQ(report["passed"], 2);
  EXPECT_EQ(report["failed"], 0);
  EXPECT_EQ(report["unsupported"], 0);
  ASSERT_EQ(report["cases"].size(), 2u);
  EXPECT_EQ(report["cases"][0]["name"], "digits");
  EXPECT_EQ(report["cases"][0]["status"], "passed");
  EXPECT_EQ(report["cases"][0]["reason"], "");
  EXPECT_NE(report["cases"][0]["tolerance"], "");
  EXPECT_GT(report["cases"][0]["seconds"], 0.0);
  for (const char *set : {"test_data_set_0", "test_data_set_1"})
    EXPECT_TRUE(std::filesystem::exists(s.path("o/digits/" + std::string(set) + "/output_0.pb"))) << set;
}

TEST(Digits, TestTellsWhatFails) {
  Scratch s;
  for (const char *name : {"wrong", "broken", "empty"})
    std::filesystem::create_directories(s.path(std::string(name) + "/test_data_set_0"));
  const auto copy = [&](const std::string &from, const std::string &to) {
    std::filesystem::copy_file(source("models/digits/" + from), s.path(to));
  };
  copy("digits.onnx", "wrong/model.onnx");
  copy("test_data_set_0/input_0.pb", "wrong/test_data_set_0/input_0.pb");
  std::filesystem::copy_file(source("models/digits_mlp/test_data_set_0/output_0.pb"),
                             s.path("wrong/test_data_set_0/output_0.pb"));
  s.write("broken/model.onnx", "garbage");
  const Ended e = cameo::testing::cameo({"test", "wrong", "broken", "empty", "none", "--json", "-"}, s.path());
  EXPECT_EQ(e.code, 1);
  const Json report = Json::parse(e.out);
  EXPECT_EQ(report["failed"], 4);
  EXPECT_NE(report["cases"][0]["reason"].get<std::string>().find(
                "output 'logits': 10 of 10 elements differ, first at [0,0]: "),
            std::string::npos)
      << e.out;
  EXPECT_NE(report["cases"][1]["reason"].get<std::string>().find("broken/model.onnx: "), std::string::npos) << e.out;
  EXPECT_EQ(report["cases"][2]["reason"], "empty: has no model.onnx");
  EXPECT_EQ(report["cases"][3]["reason"], "none: No such file or directory");
}

TEST(Digits, WhatDoesNothingForALibraryIsRefused) {
  Scratch s;
  ASSERT_EQ(cameo::testing::cameo({"compile", digits(), "-o", "d.so"}, s.path()).code, 0);
  ASSERT_EQ(cameo::testing::cameo({"compile", digits(), "-o", "d.a"}, s.path()).code, 0);
  const auto err = [&](std::vector<std::string> words) {
    const Ended e = cameo::testing::cameo(std::move(words), s.path());
    EXPECT_EQ(e.code, 2) << e.out;
    return e.err;
  };
  for (const char *verb : {"run", "bench", "inspect"}) {
    EXPECT_EQ(err({verb, "d.so", "--target-cpu", "portable"}), "cameo: --target-cpu: d.so is compiled already\n");
    EXPECT_EQ(err({verb, "d.so", "--winograd", "off"}), "cameo: --winograd: d.so is compiled already\n");
  }
  EXPECT_EQ(err({"inspect", "d.so", "--dim", "batch=1"}), "cameo: --dim: d.so is compiled already\n");
  EXPECT_EQ(err({"run", "d.a"}), "cameo: d.a: is a static library: only a .so can be run\n");
  EXPECT_EQ(err({"compile", digits(), "--target-cpu", "", "-o", "e.so"}),
            "cameo: --target-cpu: empty name in the list of target CPUs\n");
}

TEST(Digits, InputFilesOfOtherKindsAreNamed) {
  Scratch s;
  s.write("a.npz", std::string("PK\3\4") + std::string(60, '\0'));
  s.write("a.raw", std::string(256, '\0'));
  const auto err = [&](const char *input) {
    const Ended e = cameo::testing::cameo({"run", digits(), "--input", input}, s.path());
    EXPECT_EQ(e.code, 65) << input;
    return e.err;
  };
  EXPECT_EQ(err("image=a.npz"), "cameo: a.npz: is an archive (.npz): give one of its tensors as .npy\n");
  EXPECT_EQ(err("image=a.raw"), "cameo: a.raw: is neither a .npy file nor a tensor of ONNX (.pb)\n");
}

TEST(Digits, RunReadsInputsAndWritesOutputs) {
  Scratch s;
  const std::string input =
      "image=" + source("models/digits/test_data_set_1/input_0.pb"); // five images: batch follows from the file
  const Json report =
      json_of(cameo::testing::cameo({"run", digits(), "--input", input, "--output-dir", "out", "--json"}, s.path()));
  EXPECT_EQ(report["outputs"][0]["name"], "logits");
  EXPECT_EQ(report["outputs"][0]["dtype"], "f32");
  EXPECT_EQ(report["outputs"][0]["shape"], Json({5, 10}));
  EXPECT_EQ(report["outputs"][0]["first"].size(), 8u);
  EXPECT_EQ(report["outputs"][0]["file"], "out/logits.npy");
  const std::string npy = s.read("out/logits.npy");
  auto tensor = cameo::parse_npy(std::as_bytes(std::span(npy.data(), npy.size())), "logits.npy");
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->shape, (std::vector<int64_t>{5, 10}));
  // What was written is read again as an input of the right kind only.
  EXPECT_EQ(cameo::testing::cameo({"run", digits(), "--input", "image=out/logits.npy"}, s.path()).code, 65);
}

TEST(Digits, RunMakesUpInputsFromTheSeed) {
  Scratch s;
  const auto run = [&](const char *seed) { return cameo::testing::cameo({"run", digits(), "--seed", seed}, s.path()); };
  const Ended once = run("1");
  EXPECT_EQ(once.code, 0) << once.err;
  EXPECT_TRUE(once.out.starts_with("logits: f32[1,10] = ")) << once.out;
  EXPECT_TRUE(once.out.ends_with(" ...\n")) << once.out;
  EXPECT_EQ(once.err, "cameo: dim 'batch' is 1: set it with --dim\n");
  EXPECT_EQ(run("1").out, once.out);
  EXPECT_NE(run("2").out, once.out);
}

TEST(Digits, AModelAndItsLibraryGiveTheSameBits) {
  Scratch s;
  ASSERT_EQ(cameo::testing::cameo({"compile", digits(), "--dim", "batch=1", "-o", "d.so"}, s.path()).code, 0);
  EXPECT_EQ(cameo::testing::cameo({"run", "d.so"}, s.path()).out,
            cameo::testing::cameo({"run", digits()}, s.path()).out);
  EXPECT_EQ(cameo::testing::cameo({"run", "d.so", "--threads", "2"}, s.path()).out,
            cameo::testing::cameo({"run", "d.so"}, s.path()).out);
  EXPECT_EQ(cameo::testing::cameo({"run", "d.so", "--dim", "batch=1"}, s.path()).code, 2); // fixed already
}

TEST(Digits, EveryKindOfOutput) {
  Scratch s;
  for (const char *file : {"d.so", "d.a", "d.o", "d.s", "d.ll", "d.graph", "d.loops"}) {
    const Ended e = cameo::testing::cameo({"compile", digits(), "--dim", "batch=1", "-o", file, "--json"}, s.path());
    const Json report = json_of(e);
    EXPECT_EQ(report["files"][0], file);
    EXPECT_EQ(report["bytes"], s.read(file).size()) << file;
    EXPECT_GT(s.read(file).size(), 100u) << file;
  }
  EXPECT_TRUE(s.read("d.a").starts_with("!<arch>\n"));
  EXPECT_NE(s.read("d.ll").find("define "), std::string::npos);
  EXPECT_NE(s.read("d.graph").find("graph @"), std::string::npos);
  EXPECT_NE(s.read("d.loops").find("func @run("), std::string::npos);
  for (const char *file : {"d.graph", "d.loops"}) { // the text is read back
    const Ended e = cameo::testing::cameo({"opt", file}, s.path());
    EXPECT_EQ(e.code, 0) << e.err;
    EXPECT_EQ(e.out, s.read(file)) << file;
  }
  const Ended named =
      cameo::testing::cameo({"compile", digits(), "--emit", "obj", "--name", "my_net", "-o", "x.bin"}, s.path());
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_NE(s.read("x.h").find("my_net_run"), std::string::npos);
  EXPECT_EQ(cameo::testing::cameo({"compile", digits(), "--name", "not a name"}, s.path()).code, 2);
}

TEST(Digits, TheDefaultOutputIsTheModelsStem) {
  Scratch s;
  ASSERT_EQ(cameo::testing::cameo({"compile", digits()}, s.path()).code, 0);
  EXPECT_EQ(s.names(), (std::set<std::string>{"digits.h", "digits.so"}));
}

TEST(Digits, TheSameBytesEverywhere) {
  Scratch s, other;
  ASSERT_EQ(cameo::testing::cameo({"compile", digits(), "-o", "d.so", "--jobs", "1"}, s.path()).code, 0);
  const Ended e = cameo::testing::cameo(
      {"compile", std::filesystem::relative(digits(), other.path()).string(), "-o", "d.so", "--jobs", "2"},
      other.path(), [] {
        setenv("HOME", "/nonexistent", 1);
        setenv("TMPDIR", "/nonexistent", 1);
        setenv("TZ", "Asia/Tokyo", 1);
        setenv("LANG", "tr_TR.UTF-8", 1);
        setenv("SOURCE_DATE_EPOCH", "1", 1);
      });
  ASSERT_EQ(e.code, 0) << e.err;
  EXPECT_TRUE(s.read("d.so") == other.read("d.so"));
  EXPECT_TRUE(s.read("d.h") == other.read("d.h"));
}

TEST(Digits, InspectSaysWhatModelAndLibraryAre) {
  Scratch s;
  const Json model = json_of(cameo::testing::cameo({"inspect", digits(), "--json"}));
  EXPECT_EQ(model["kind"], "model");
  EXPECT_EQ(model["inputs"][0], Json({{"name", "image"}, {"dtype", "f32"}, {"shape", {"batch", 1, 8, 8}}}));
  EXPECT_EQ(model["outputs"][0], Json({{"name", "logits"}, {"dtype", "f32"}, {"shape", {"batch", 10}}}));
  EXPECT_EQ(model["ops"]["Conv"], 3);
  EXPECT_EQ(model["unsupported"], Json::array());
  EXPECT_EQ(model["facts"]["opset"], "18");
  ASSERT_EQ(cameo::testing::cameo({"compile", digits(), "-o", "d.so"}, s.path()).code, 0);
  const Json library = json_of(cameo::testing::cameo({"inspect", "d.so", "--json"}, s.path()));
  EXPECT_EQ(library["kind"], "library");
  EXPECT_EQ(library["inputs"], model["inputs"]);
  EXPECT_EQ(library["outputs"], model["outputs"]);
  EXPECT_EQ(library["facts"]["model"], "digits.onnx");
  EXPECT_EQ(library["facts"]["model sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(library["facts"]["opset"], "18");
  EXPECT_NE(cameo::testing::cameo({"inspect", "d.so"}, s.path()).out.find("input   image: f32[batch,1,8,8]\n"),
            std::string::npos);

  const std::string bytes = s.read("d.so"); // never trusted, never loaded
  for (size_t n : {size_t{4}, size_t{64}, bytes.size() / 2, bytes.size() - 1}) {
    s.write("cut.so", bytes.substr(0, n));
    const Ended e = cameo::testing::cameo({"inspect", "cut.so"}, s.path());
    EXPECT_TRUE(e.code == 65 || e.code == 0) << n << e.err;
    EXPECT_EQ(e.signal, 0) << n;
  }
}

TEST(Digits, BenchReportsAndComparesWithABaseline) {
  Scratch s;
  const auto bench = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"bench", digits(), "--seconds", "0.05", "--json", "-"});
    return cameo::testing::cameo(more, s.path());
  };
  Json report = json_of(bench({}));
  for (const char *key :
       {"iterations", "warmup", "min_seconds", "mean_seconds", "p50_seconds", "p90_seconds", "p99_seconds"})
    EXPECT_GT(report[key].get<double>(), 0) << key;
  EXPECT_LE(report["min_seconds"], report["p50_seconds"]);
  EXPECT_LE(report["p50_seconds"], report["p90_seconds"]);
  EXPECT_LE(report["p90_seconds"], report["p99_seconds"]);

  report["noise_percent"] = 0;
  report["p50_seconds"] = 1.0; // a second: this run is certainly faster
  s.write("slow.json", report.dump());
  EXPECT_EQ(bench({"--baseline", "slow.json", "--fail-above", "5"}).code, 0);
  report["p50_seconds"] = 1e-12;
  s.write("fast.json", report.dump());
  const Ended slower = bench({"--baseline", "fast.json", "--fail-above", "5"});
  EXPECT_EQ(slower.code, 1);
  EXPECT_EQ(Json::parse(slower.out)["regressed"], true);
  EXPECT_EQ(bench({"--baseline", "fast.json"}).code, 0); // told, not judged
  report["noise_percent"] = 1e18;
  s.write("noisy.json", report.dump());
  EXPECT_EQ(bench({"--baseline", "noisy.json", "--fail-above", "5"}).code, 0); // within the noise
  EXPECT_EQ(bench({"--baseline", s.write("bad.json", "[1]")}).code, 65);
  EXPECT_EQ(bench({"--baseline", "none.json"}).code, 66);
}

} // namespace
