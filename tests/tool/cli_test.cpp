// The command line itself: help, usage errors, closed and broken standard streams.
#include "../support/scratch.h"
#include "process.h"

#include "cameo/support/nearest.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace {

using cameo::testing::cameo;
using cameo::testing::Ended;
using cameo::testing::Scratch;

constexpr const char *kVerbs[] = {"compile", "run", "test", "bench", "inspect", "opt", "ops"};

TEST(CommandLine, HelpOfEverything) {
  const Ended help = cameo({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_EQ(help.err, "");
  for (const char *verb : kVerbs) {
    EXPECT_NE(help.out.find(std::string("\n  ") + verb + " "), std::string::npos) << verb;
    const Ended own = cameo({verb, "--help"});
    EXPECT_EQ(own.code, 0) << verb;
    EXPECT_NE(own.out.find(std::string("Usage: cameo ") + verb), std::string::npos) << own.out;
    EXPECT_NE(own.out.find("--json"), std::string::npos) << verb;
  }
  EXPECT_EQ(cameo({"--version"}).out.substr(0, 6), "cameo ");
}

TEST(CommandLine, MistakesAreOneLineAndExitCode2) {
  const auto err = [](std::vector<std::string> words) {
    const Ended e = cameo(std::move(words));
    EXPECT_EQ(e.code, 2) << e.err;
    EXPECT_EQ(e.out, "");
    EXPECT_EQ(std::count(e.err.begin(), e.err.end(), '\n'), 1) << e.err;
    return e.err;
  };
  EXPECT_EQ(err({"compiel", "m.onnx"}),
            "cameo: unknown command 'compiel', did you mean 'compile'? (see cameo --help)\n");
  EXPECT_EQ(err({"a\nb"}), "cameo: unknown command 'a\\x0ab' (see cameo --help)\n");
  EXPECT_EQ(err({"compile"}), "cameo: compile: model is required\n");
  EXPECT_EQ(err({"compile", "m.onnx", "--ouput", "x"}),
            "cameo: compile: unknown option '--ouput', did you mean '--output'?\n");
  EXPECT_EQ(err({"compile", "m.onnx", "n.onnx"}), "cameo: compile: unexpected word 'n.onnx'\n");
  EXPECT_EQ(err({"compile", "m.onnx", "--emit", "object"}),
            "cameo: --emit: unknown kind 'object' (so, a, obj, asm, llvm, graph, loops)\n");
  EXPECT_EQ(err({"compile", "m.onnx", "--dim", "batch"}), "cameo: --dim: 'batch' is not NAME=N with N >= 0\n");
  EXPECT_EQ(err({"compile", "m.onnx", "--dim", "batch=-1"}), "cameo: --dim: 'batch=-1' is not NAME=N with N >= 0\n");
  EXPECT_EQ(err({"compile", "m.onnx", "--dim", "batch=99999999999999999999"}),
            "cameo: --dim: 'batch=99999999999999999999' is not NAME=N with N >= 0\n");
  EXPECT_EQ(err({"run", "m.onnx", "--input", "x"}), "cameo: --input: 'x' is not NAME=FILE\n");
  EXPECT_EQ(err({"bench", "m.onnx", "--fail-above", "3"}), "cameo: bench: --fail-above needs --baseline\n");
  err({"compile", "m.onnx", "--winograd", "f4"});
  err({"run", "m.onnx", "--threads", "0"});
  err({"bench", "m.onnx", "--fail-above", "-3"});
  err({"test"});
}

TEST(CommandLine, AllMistakesAreToldAtOnce) {
  const Ended e = cameo({"compile", "m.onnx", "--dim", "a", "--dim", "b=1", "--dim", "b=2", "--emit", "x"});
  EXPECT_EQ(e.code, 2);
  EXPECT_EQ(std::count(e.err.begin(), e.err.end(), '\n'), 3) << e.err;
}

TEST(CommandLine, NoWordsIsHelpAndAnError) {
  const Ended e = cameo({});
  EXPECT_EQ(e.code, 2);
  EXPECT_NE(e.out.find("Subcommands:"), std::string::npos);
}

TEST(CommandLine, AMissingFileIsExitCode66) {
  for (const char *verb : {"compile", "run", "bench", "inspect"}) {
    const Ended e = cameo({verb, "none.onnx"});
    EXPECT_EQ(e.code, 66) << verb;
    EXPECT_EQ(e.err, "cameo: none.onnx: No such file or directory\n");
  }
  EXPECT_EQ(cameo({"opt", "none.graph"}).code, 66);
}

// F14
TEST(StandardStreams, AFullDeviceIsExitCode74) {
  const Ended e = cameo({"--help"}, {}, [] { dup2(open("/dev/full", O_WRONLY), 1); });
  EXPECT_EQ(e.code, 74);
  EXPECT_EQ(e.err, "cameo: stdout: No space left on device\n");
}

TEST(StandardStreams, AReaderThatLeavesIsNoSignal) {
  const Ended e = cameo({"ops", "--json"}, {}, [] {
    int gone[2];
    if (pipe(gone) != 0) _exit(126);
    close(gone[0]);
    dup2(gone[1], 1);
  });
  EXPECT_EQ(e.signal, 0);
  EXPECT_EQ(e.code, 74);
  EXPECT_EQ(e.err, "");
}

TEST(StandardStreams, ClosedOnesDoNotEndUpInFiles) {
  Scratch s;
  s.write("a.loops", "");
  const Ended e = cameo({"opt", "a.loops", "-o", "b.loops"}, s.path(), [] {
    close(0);
    close(1);
    close(2);
  });
  EXPECT_EQ(e.code, 0);
  EXPECT_EQ(s.read("b.loops"), "");
  EXPECT_EQ(cameo({"--help"}, {}, [] { close(1); }).code, 74);
  const Ended loud = cameo({"compile", "none.onnx"}, {}, [] { close(2); }); // nobody hears why, but the code is right
  EXPECT_EQ(loud.code, 66);
}

TEST(Ops, ListsTheStandardsOperators) {
  const auto rows = nlohmann::json::parse(cameo({"ops", "--json"}).out);
  ASSERT_GT(rows.size(), 200u);
  bool conv = false;
  for (const auto &row : rows) {
    EXPECT_TRUE(row["op"].is_string() && row["since"].is_number() && row["supported"].is_boolean());
    if (row["op"] == "Conv") {
      conv = true;
      EXPECT_EQ(row["domain"], "");
      EXPECT_NE(row["dtypes"].dump().find("f32"), std::string::npos);
    }
  }
  EXPECT_TRUE(conv);
  const Ended markdown = cameo({"ops", "--markdown"});
  EXPECT_EQ(markdown.out.substr(0, 12), "| operator |");
  EXPECT_NE(cameo({"ops"}).out.find("\nConv "), std::string::npos);
}

TEST(Opt, PrintsWhatItReads) {
  Scratch s;
  const std::string text = "func @f(%x: buf<f32>, %n: i64) {\n  for %i = 0 to %n step 1 {\n    %v = load %x[%i] : f32\n"
                           "    store %v, %x[%i] : f32\n  }\n  return\n}\n";
  const Ended once = cameo({"opt", s.write("a.loops", text)});
  ASSERT_EQ(once.code, 0) << once.err;
  const Ended twice = cameo({"opt", s.write("b.loops", once.out)});
  EXPECT_EQ(twice.out, once.out);
  const Ended bad = cameo({"opt", s.write("c.loops", "func @f( {")});
  EXPECT_EQ(bad.code, 65);
  EXPECT_NE(bad.err.find("c.loops:1:"), std::string::npos) << bad.err;
  EXPECT_EQ(cameo({"opt", s.write("d.txt", "")}).code, 2);
  EXPECT_EQ(cameo({"opt", s.write("e.loops", text), "--passes", "x"}).code, 2);
}

// What a person writes may be well formed and still break the rules of its operators.
TEST(Opt, HoldsNodesAgainstTheRulesOfTheirOperators) {
  Scratch s;
  auto graph = [](const std::string &node) {
    return "graph @g stage canonical {\n  main(%x: f32[2, 3], %w: f32[3, 4]) {\n    %y = " + node +
           "\n    yield %y as \"y\"\n  }\n}\n";
  };
  const Ended good =
      cameo({"opt", s.write("good.graph", graph("contract %x, %w {equation = \"mk,kn->mn\"} : f32[2, 4]")), "--passes",
             "fuse"});
  EXPECT_EQ(good.code, 0) << good.err;
  for (const char *node :
       {"contract %x, %w {equation = \"mk,kn\"} : f32[2, 4]", "contract %x, %w {equation = \"mk->mk\"} : f32[2, 3]",
        "contract %x, %w {equation = \"mk,kn->mz\"} : f32[2, 4]",
        "contract %x, %w {equation = \"mk,k->mk\"} : f32[2, 3]",
        "contract %x, %w {equation = \"mk,kn->mn\"} : f32[2, 5]"}) {
    const Ended bad = cameo({"opt", s.write("bad.graph", graph(node)), "--passes", "fuse"});
    EXPECT_EQ(bad.code, 65) << node << ": " << bad.err;
    EXPECT_NE(bad.err.find("contract"), std::string::npos) << bad.err;
    EXPECT_EQ(std::count(bad.err.begin(), bad.err.end(), '\n'), 1) << bad.err;
  }
}

} // namespace
