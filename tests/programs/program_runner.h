// Runs a graph as a program: plan, Loop IR, machine code, a call. Values travel as doubles.
#pragma once

#include "cameo/codegen/env.h"
#include "cameo/codegen/jit.h"
#include "cameo/ir/print.h"
#include "cameo/ir/verify.h"
#include "cameo/loop/print.h"
#include "cameo/passes/pass_manager.h"
#include "cameo/passes/program.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <thread>

namespace cameo::passes {

using Values = std::vector<double>;

/// The element of a tensor's bytes as a double, and back (rounded to nearest).
inline double get_element(const std::byte *bytes, DType dtype, int64_t i) {
  const int64_t one[] = {1};
  const size_t width = static_cast<size_t>(bits(dtype)) / 8;
  std::vector<std::byte> element(bytes + static_cast<size_t>(i) * width, bytes + (static_cast<size_t>(i) + 1) * width);
  const auto c = graph::ConstantData::own(dtype, {one, one + 1}, std::move(element));
  return is_float(dtype) ? c->as_double(0) : static_cast<double>(c->as_int(0));
}
inline std::vector<std::byte> to_bytes(DType dtype, const Values &values) {
  const std::vector<int64_t> dims{static_cast<int64_t>(values.size())};
  const auto c = is_float(dtype)
                     ? graph::ConstantData::of_rounded(dtype, dims, values)
                     : graph::ConstantData::of_ints(dtype, dims, std::vector<int64_t>(values.begin(), values.end()));
  return {c->bytes().begin(), c->bytes().end()};
}

/// Small numbers that floats hold exactly, the same for the same seed.
inline Values some(int64_t count, uint32_t seed, double scale = 0.125, int range = 16) {
  Values v;
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    v.push_back((static_cast<int>((seed >> 16) % static_cast<uint32_t>(2 * range + 1)) - range) * scale);
  }
  return v;
}

inline graph::Graph parse_graph(const std::string &text) {
  Result<graph::Graph> g = graph::parse(text, "test.graph");
  if (!g.ok()) {
    ADD_FAILURE() << to_string(g.errors()[0]);
    return graph::Graph("broken");
  }
  const std::vector<std::string> problems = graph::verify(*g);
  EXPECT_TRUE(problems.empty()) << problems[0];
  return std::move(*g);
}

/// What a program that asks for memory calls (codegen/artefact.h); the slots keep what the test frees.
struct GrownMemory {
  std::map<char *, std::unique_ptr<char[]>> blocks;
  int64_t limit = int64_t{1} << 40; ///< bytes that may be asked for at once

  static int64_t grow(cameo_env *env, char *workspace, int64_t *slots, int64_t bytes, int64_t keep) {
    auto &memory = *static_cast<GrownMemory *>(env->pool);
    if (slots[1] > 0 && bytes <= slots[1]) return 1;
    if (bytes > memory.limit) return 0;
    auto block = std::make_unique<char[]>(static_cast<size_t>(bytes) + 128);
    char *at = reinterpret_cast<char *>((reinterpret_cast<uintptr_t>(block.get()) + 63) / 64 * 64);
    std::memset(at, 0x5a, static_cast<size_t>(bytes));
    if (slots[1] > 0 && keep) std::memcpy(at, workspace + slots[0], static_cast<size_t>(slots[1]));
    if (slots[1] > 0) release(env, workspace, slots);
    slots[0] = at - workspace;
    slots[1] = std::max<int64_t>(bytes, 1);
    memory.blocks.emplace(at, std::move(block));
    return 1;
  }
  static void release(cameo_env *env, char *workspace, int64_t *slots) {
    if (slots[1] > 0) {
      EXPECT_EQ(static_cast<GrownMemory *>(env->pool)->blocks.erase(workspace + slots[0]), 1u);
    }
    slots[0] = slots[1] = 0;
  }
};

/// Runs the tasks of a parallel region on env->threads threads, each a contiguous share.
inline void share_tasks(cameo_env *env, int64_t tasks, cameo_task task, void *capture) {
  std::vector<std::thread> workers;
  for (int64_t w = 0; w < env->threads; ++w)
    workers.emplace_back([=] {
      for (int64_t i = w * tasks / env->threads; i < (w + 1) * tasks / env->threads; ++i) task(env, capture, i);
    });
  for (std::thread &worker : workers) worker.join();
}

struct RunResult {
  std::vector<Values> outputs;
  std::vector<std::vector<int64_t>> dims; ///< of the outputs
  size_t leaked = 0;                      ///< blocks that the run asked for and did not give back
  int status = 0;
  int64_t workspace = 0;
  Program program;
};

/// Builds the program of `graph` for this machine and runs it. `symbols`: values in the order of Program::symbols.
/// `room`: bytes for each output whose extents only the run knows; `memory`: the most that the run may ask for at once.
inline RunResult run_graph(const graph::Graph &graph, const std::vector<Values> &inputs,
                           const ProgramOptions &options = {}, const std::vector<int64_t> &symbols = {},
                           int64_t room = 1 << 16, int64_t memory_limit = int64_t{1} << 40, int32_t threads = 1) {
  RunResult result;
  Result<std::vector<loop::Target>> targets = codegen::resolve_targets("native");
  CAMEO_CHECK(targets.ok(), "no native target");
  Result<Program> program = build_program(graph, *targets, options);
  if (!program.ok()) {
    for (const Diagnostic &d : program.errors()) ADD_FAILURE() << to_string(d);
    return result;
  }
  result.program = std::move(*program);
  const Program &p = result.program;
  Result<codegen::Jit> jit = codegen::Jit::create(p.variants[0].code, p.variants[0].target, {},
                                                  {{"cameo_grow", reinterpret_cast<void *>(&GrownMemory::grow)},
                                                   {"cameo_release", reinterpret_cast<void *>(&GrownMemory::release)}});
  if (!jit.ok()) {
    ADD_FAILURE() << to_string(jit.errors()[0]);
    return result;
  }
  auto lookup = [&](const std::string &key) -> std::optional<int64_t> {
    for (size_t i = 0; i < p.symbols.size(); ++i)
      if (p.symbols[i].key == key) return symbols.at(i);
    return std::nullopt;
  };
  auto aligned = [](std::vector<std::byte> &memory, int64_t bytes) { // guard bytes behind
    memory.assign(static_cast<size_t>(bytes) + 192, std::byte{0x5a});
    auto address = reinterpret_cast<uintptr_t>(memory.data());
    return reinterpret_cast<std::byte *>((address + 63) / 64 * 64);
  };
  // Symbols that nobody chooses are known behind the run only.
  std::vector<int64_t> run_dims(64, -1), capacity(p.outputs.size(), room);
  std::array<int64_t, 24> arguments{};
  size_t n = 0;
  std::vector<std::vector<std::byte>> memory(p.inputs.size() + p.outputs.size() + 2);
  size_t m = 0;
  for (size_t i = 0; i < p.inputs.size(); ++i) {
    std::vector<std::byte> bytes = to_bytes(p.inputs[i].dtype, inputs.at(i));
    std::byte *at = aligned(memory[m++], static_cast<int64_t>(bytes.size()));
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    arguments[n++] = reinterpret_cast<int64_t>(at);
  }
  std::vector<std::pair<std::byte *, int64_t>> outputs;
  bool any_at_run = false;
  for (const Port &port : p.outputs) {
    const std::optional<int64_t> count = graph::product(port.dims).evaluate(lookup);
    const int64_t bytes = count ? *byte_size(port.dtype, *count) : room;
    any_at_run |= !count;
    std::byte *at = aligned(memory[m++], bytes);
    outputs.emplace_back(at, bytes);
    arguments[n++] = reinterpret_cast<int64_t>(at);
  }
  if (any_at_run) {
    arguments[n++] = reinterpret_cast<int64_t>(run_dims.data());
    arguments[n++] = reinterpret_cast<int64_t>(capacity.data());
  }
  std::byte *weights = aligned(memory[m++], p.constants.size());
  for (const ConstantBlock::Piece &piece : p.constants.pieces())
    if (!piece.bytes.empty()) std::memcpy(weights + piece.offset, piece.bytes.data(), piece.bytes.size());
  arguments[n++] = reinterpret_cast<int64_t>(weights);
  GrownMemory grown;
  grown.limit = memory_limit;
  cameo_env env{};
  env.pool = &grown;
  env.threads = threads;
  env.parallel = share_tasks;
  using SizeFunction = int64_t(cameo_env *, int64_t, int64_t, int64_t, int64_t);
  std::array<int64_t, 4> s{};
  CAMEO_CHECK(symbols.size() <= s.size(), "too many symbols");
  std::copy(symbols.begin(), symbols.end(), s.begin());
  result.workspace = jit->function<SizeFunction>("workspace_bytes")(&env, s[0], s[1], s[2], s[3]);
  std::byte *workspace = aligned(memory[m++], result.workspace);
  arguments[n++] = reinterpret_cast<int64_t>(workspace);
  for (int64_t v : symbols) arguments[n++] = v;
  CAMEO_CHECK(n <= arguments.size(), "too many arguments");
  using A = int64_t;
  using Run = void(cameo_env *, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A, A);
  const auto &a = arguments;
  jit->function<Run>("run")(&env, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12],
                            a[13], a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23]);
  result.status = env.status;
  result.leaked = grown.blocks.size();
  size_t at_run = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const DType dtype = p.outputs[i].dtype;
    std::vector<int64_t> dims;
    int64_t count = 1;
    for (const graph::Dim &d : p.outputs[i].dims) {
      const std::optional<int64_t> known = d.evaluate(lookup);
      dims.push_back(known ? *known : run_dims.at(at_run++));
      count *= std::max<int64_t>(0, dims.back());
    }
    Values values;
    if (*byte_size(dtype, count) <= outputs[i].second)
      for (int64_t k = 0; k < count; ++k) values.push_back(get_element(outputs[i].first, dtype, k));
    result.outputs.push_back(std::move(values));
    result.dims.push_back(std::move(dims));
    EXPECT_EQ(outputs[i].first[outputs[i].second], std::byte{0x5a}) << "wrote behind output " << i;
  }
  EXPECT_EQ(workspace[result.workspace], std::byte{0x5a}) << "wrote behind the workspace";
  return result;
}

inline void expect_near(const Values &got, const Values &want, double tolerance, const std::string &what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(want[i]) && std::isnan(got[i])) continue;
    if (want[i] == got[i]) continue;
    ASSERT_LE(std::abs(got[i] - want[i]), tolerance * std::max(1.0, std::abs(want[i]))) << what << " at " << i;
  }
}

/// Runs the graph under the default plan, and with each decision of the planner undone; every result must be `want`.
inline void check_graph(const std::string &text, const std::vector<Values> &inputs, const std::vector<Values> &want,
                        double tolerance = 1e-6, const std::vector<int64_t> &symbols = {}) {
  const graph::Graph graph = parse_graph(text);
  std::map<std::string, ProgramOptions> variants;
  variants["default"];
  variants["no views"].plan.views = false;
  variants["no in-place"].plan.in_place = false;
  variants["no halos"].plan.halos = false;
  if (symbols.empty()) variants["plain schedules"].plan.plain_schedules = true;
  for (const auto &[name, options] : variants) {
    const RunResult result = run_graph(graph, inputs, options, symbols);
    EXPECT_EQ(result.status, 0) << name;
    ASSERT_EQ(result.outputs.size(), want.size()) << name;
    for (size_t i = 0; i < want.size(); ++i)
      expect_near(result.outputs[i], want[i], tolerance, name + ": output " + std::to_string(i));
  }
}

} // namespace cameo::passes
