// What the recovery passes find computes what the steps compute: each graph runs as it is and after the pass.
#include "program_runner.h"

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

} // namespace

TEST(Recover, Normalization) {
  for (const auto &[n, symbols] : {std::pair<std::string, std::vector<int64_t>>{"5", {}}, {"n", {5}}}) {
    const std::string type = "f32[" + n + ", 40]", row = "f32[" + n + ", 1]";
    check_against_absence("%x: " + type + ", %g: f32[40], %b: f32[40]",
                          "    %e = constant f32[] [0.00001]\n"
                          "    %m = reduce %x {axes = [1], fn = mean, keepdims = true} : " +
                              row +
                              "\n"
                              "    %d = sub %x, %m : " +
                              type +
                              "\n"
                              "    %q = mul %d, %d : " +
                              type +
                              "\n"
                              "    %v = reduce %q {axes = [1], fn = mean, keepdims = true} : " +
                              row +
                              "\n"
                              "    %s = add %v, %e : " +
                              row +
                              "\n"
                              "    %r = sqrt %s : " +
                              row +
                              "\n"
                              "    %n = div %d, %r : " +
                              type +
                              "\n"
                              "    %t = mul %n, %g : " +
                              type +
                              "\n"
                              "    %y = add %t, %b : " +
                              type + "\n",
                          "recover_normalization", graph::Op::normalize, {some(200, 1), some(40, 2), some(40, 3)}, 1e-5,
                          symbols);
    check_against_absence("%x: " + type,
                          "    %e = constant f32[] [0.00001]\n"
                          "    %q = mul %x, %x : " +
                              type +
                              "\n"
                              "    %v = reduce %q {axes = [1], fn = mean, keepdims = true} : " +
                              row +
                              "\n"
                              "    %s = add %v, %e : " +
                              row +
                              "\n"
                              "    %r = sqrt %s : " +
                              row +
                              "\n"
                              "    %y = div %x, %r : " +
                              type + "\n",
                          "recover_normalization", graph::Op::normalize, {some(200, 1)}, 1e-5, symbols);
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
  for (const auto &[n, symbols] : {std::pair<std::string, std::vector<int64_t>>{"41", {}}, {"n", {41}}})
    check_against_absence("%q: f32[2, " + n + ", 3, 16], %k: f32[2, " + n + ", 3, 16], %v: f32[2, " + n +
                              ", 3, 16], %m: f32[2, 1, 1, " + n + "]",
                          "    %c = constant f32[] [4.0]\n"
                          "    %s = contract %q, %k {equation = \"ambk,anbk->abmn\"} : f32[2, 3, " +
                              n + ", " + n +
                              "]\n"
                              "    %t = div %s, %c : f32[2, 3, " +
                              n + ", " + n +
                              "]\n"
                              "    %u = add %t, %m : f32[2, 3, " +
                              n + ", " + n +
                              "]\n"
                              "    %p = softmax %u {axis = 3, log = false} : f32[2, 3, " +
                              n + ", " + n +
                              "]\n"
                              "    %y = contract %p, %v {equation = \"abmk,akbn->ambn\"} : f32[2, " +
                              n + ", 3, 16]\n",
                          "recover_attention", graph::Op::attention,
                          {some(2 * 41 * 48, 1), some(2 * 41 * 48, 2), some(2 * 41 * 48, 3), some(82, 4)}, 1e-5,
                          symbols);
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
