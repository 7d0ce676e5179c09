// What the recovery passes find computes what the steps compute: each graph runs as it is and after the pass.
#include "program_runner.h"

#include <regex>

namespace cameo::passes {
namespace {

void check_against_absence(const std::string &arguments, const std::string &body, const std::string &pass,
                           graph::Op found, const std::vector<Values> &inputs, double tolerance,
                           const std::vector<int64_t> &symbols = {}) {
  SCOPED_TRACE(pass + " of " + arguments);
  const graph::Graph steps = parse_graph("graph @g stage canonical {\n  main(" + arguments + ") {\n" + body +
                                         "    yield %y as \"y\"\n  }\n}\n");
  graph::Graph recovered = steps.copy();
  auto list = parse_pass_list(pass + ",dead_code");
  ASSERT_TRUE(list.ok());
  ASSERT_TRUE(run_passes(recovered, *list, {}).ok());
  int count = 0;
  for (const graph::Node *node : recovered.main().body->nodes()) count += node->is(found);
  EXPECT_EQ(count, 1);
  const RunResult want = run_graph(steps, inputs, {}, symbols), got = run_graph(recovered, inputs, {}, symbols);
  ASSERT_EQ(want.outputs.size(), 1u);
  ASSERT_EQ(got.outputs.size(), 1u);
  expect_near(got.outputs[0], want.outputs[0], tolerance, "recovered");
}

// The text with every `T` that stands alone as `wide` and every `R` as `row`.
std::string typed(const std::string &text, const std::string &wide, const std::string &row) {
  return std::regex_replace(std::regex_replace(text, std::regex("\\bT\\b"), wide), std::regex("\\bR\\b"), row);
}

} // namespace

TEST(Recover, Normalization) {
  for (const auto &[n, symbols] : {std::pair<std::string, std::vector<int64_t>>{"5", {}}, {"n", {5}}}) {
    const std::string type = "f32[" + n + ", 40]", row = "f32[" + n + ", 1]";
    const std::string layer_norm = R"(
    %e = constant f32[] [0.00001]
    %m = reduce %x {axes = [1], fn = mean, keepdims = true} : R
    %d = sub %x, %m : T
    %q = mul %d, %d : T
    %v = reduce %q {axes = [1], fn = mean, keepdims = true} : R
    %s = add %v, %e : R
    %r = sqrt %s : R
    %n = div %d, %r : T
    %t = mul %n, %g : T
    %y = add %t, %b : T
)";
    check_against_absence("%x: " + type + ", %g: f32[40], %b: f32[40]", typed(layer_norm, type, row),
                          "recover_normalization", graph::Op::normalize, {some(200, 1), some(40, 2), some(40, 3)}, 1e-5,
                          symbols);
    const std::string rms_norm = R"(
    %e = constant f32[] [0.00001]
    %q = mul %x, %x : T
    %v = reduce %q {axes = [1], fn = mean, keepdims = true} : R
    %s = add %v, %e : R
    %r = sqrt %s : R
    %y = div %x, %r : T
)";
    check_against_absence("%x: " + type, typed(rms_norm, type, row), "recover_normalization", graph::Op::normalize,
                          {some(200, 1)}, 1e-5, symbols);
  }
}

TEST(Recover, Activation) {
  const std::string constants = "    %one = constant f32[] [1.0]\n    %half = constant f32[] [0.5]\n";
  check_against_absence("%x: f32[100]",
                        constants + "    %two = constant f32[] [1.4142135]\n"
                                    "    %a = div %x, %two : f32[100]\n"
                                    "    %b = erf %a : f32[100]\n"
                                    "    %c = add %b, %one : f32[100]\n"
                                    "    %d = mul %x, %c : f32[100]\n"
                                    "    %y = mul %d, %half : f32[100]\n",
                        "recover_activation", graph::Op::elementwise, {some(100, 1, 0.5)}, 1e-6);
  check_against_absence("%x: f32[100]",
                        constants + "    %three = constant f32[] [3.0]\n"
                                    "    %k = constant f32[] [0.044715]\n"
                                    "    %r = constant f32[] [0.7978846]\n"
                                    "    %a = pow %x, %three : f32[100]\n"
                                    "    %b = mul %a, %k : f32[100]\n"
                                    "    %c = add %x, %b : f32[100]\n"
                                    "    %d = mul %c, %r : f32[100]\n"
                                    "    %e = tanh %d : f32[100]\n"
                                    "    %f = add %e, %one : f32[100]\n"
                                    "    %g = mul %x, %half : f32[100]\n"
                                    "    %y = mul %g, %f : f32[100]\n",
                        "recover_activation", graph::Op::elementwise, {some(100, 1, 0.5)}, 1e-6);
  check_against_absence("%x: f32[100]",
                        "    %k = constant f32[] [1.702]\n"
                        "    %t = mul %x, %k : f32[100]\n"
                        "    %s = sigmoid %t : f32[100]\n"
                        "    %y = mul %s, %x : f32[100]\n",
                        "recover_activation", graph::Op::elementwise, {some(100, 1, 0.5)}, 1e-6);
}

TEST(Recover, Attention) {
  for (const auto &[n, symbols] : {std::pair<std::string, std::vector<int64_t>>{"41", {}}, {"n", {41}}}) {
    const std::string heads = "f32[2, " + n + ", 3, 16]", scores = "f32[2, 3, " + n + ", " + n + "]";
    const std::string steps = R"(
    %c = constant f32[] [4.0]
    %s = contract %q, %k {equation = "ambk,anbk->abmn"} : T
    %t = div %s, %c : T
    %u = add %t, %m : T
    %p = softmax %u {axis = 3, log = false} : T
    %y = contract %p, %v {equation = "abmk,akbn->ambn"} : R
)";
    check_against_absence("%q: " + heads + ", %k: " + heads + ", %v: " + heads + ", %m: f32[2, 1, 1, " + n + "]",
                          typed(steps, scores, heads), "recover_attention", graph::Op::attention,
                          {some(2 * 41 * 48, 1), some(2 * 41 * 48, 2), some(2 * 41 * 48, 3), some(82, 4)}, 1e-5,
                          symbols);
  }
}

TEST(Recover, AttentionUnderAChoice) {
  Values allowed;
  for (int i = 0; i < 20; ++i)
    for (int j = 0; j < 30; ++j) allowed.push_back(i == 4 || j <= i ? 1 : 0);
  for (const char *number : {"-3.4028235e38", "-inf"})
    check_against_absence("%q: f32[3, 20, 16], %k: f32[3, 30, 16], %v: f32[3, 30, 8], %c: bool[20, 30]",
                          std::string("    %n = constant f32[] [") + number +
                              "]\n"
                              "    %z = constant f32[] [0.0]\n"
                              "    %s = contract %q, %k {equation = \"bmk,bnk->bmn\"} : f32[3, 20, 30]\n"
                              "    %t = select %c, %s, %n : f32[3, 20, 30]\n"
                              "    %p = softmax %t {axis = 2, log = false} : f32[3, 20, 30]\n"
                              "    %i = is_nan %p : bool[3, 20, 30]\n"
                              "    %w = select %i, %z, %p : f32[3, 20, 30]\n"
                              "    %y = contract %w, %v {equation = \"bmn,bne->bme\"} : f32[3, 20, 8]\n",
                          "recover_attention", graph::Op::attention,
                          {some(3 * 20 * 16, 1), some(3 * 30 * 16, 2), some(3 * 30 * 8, 3), allowed}, 1e-5);
}

} // namespace cameo::passes
