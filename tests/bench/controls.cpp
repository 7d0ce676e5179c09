#include "controls.h"

#include "cameo/loop/builder.h"

namespace cameo::bench {

using namespace loop;

namespace {

// io = the chains' values, then two operands; n rounds of kUnroll steps of every chain.
Module chains(const std::string &name, Type vector,
              const std::function<Value(Builder &, Value acc, Value a, Value b)> &step) {
  Module module;
  Builder b(module, name);
  b.function().exported = true;
  Value io = b.buffer_param("io", vector.scalar, false), n = b.scalar_param("n");
  std::vector<Value> inits;
  for (int i = 0; i < kChains; ++i) inits.push_back(b.load(io, i * vector.lanes, vector.lanes));
  Value x = b.load(io, kChains * vector.lanes, vector.lanes),
        y = b.load(io, (kChains + 1) * vector.lanes, vector.lanes);
  auto ends = b.for_loop(b.index_constant(0), n, 1, inits, [&](Value, std::span<const Value> values) {
    std::vector<Value> acc(values.begin(), values.end());
    for (int unroll = 0; unroll < kUnroll; ++unroll)
      for (Value &v : acc) v = step(b, v, x, y);
    return acc;
  });
  for (int i = 0; i < kChains; ++i) b.store(ends[size_t(i)], io, i * vector.lanes);
  b.finish();
  return module;
}

} // namespace

Module fma_chains(const Target &target) {
  return chains("fma", {Scalar::f32, target.lanes(32)},
                [](Builder &b, Value acc, Value x, Value y) { return b.muladd(acc, x, y); });
}

Module dot_chains(const Target &target) {
  Type vector{Scalar::i32, target.lanes(32)};
  return chains("dot", vector,
                [&](Builder &b, Value acc, Value x, Value y) { return b.target("vpdpbusd", vector, {acc, x, y}); });
}

Module read_stream(const Target &target, int64_t ahead) {
  Module module;
  Builder b(module, "read");
  b.function().exported = true;
  Type vector{Scalar::i32, target.lanes(32)};
  Value x = b.buffer_param("x", Scalar::i32, true, true, -1, 64), n = b.scalar_param("n");
  Value out = b.buffer_param("out", Scalar::i32, false);
  // A sum for each load, and sums that do not combine to one instruction of two loads: the loads stay in their order,
  // which is what prefetchers follow.
  std::vector<Value> inits(kReads, b.constant_int(vector, 0));
  auto ends = b.for_loop(b.index_constant(0), n, kReads, inits, [&](Value i, std::span<const Value> values) {
    std::vector<Value> sums(values.begin(), values.end());
    for (int k = 0; k < kReads; ++k) {
      const Affine at = (Affine(i) + k) * vector.lanes;
      if (ahead > 0) b.prefetch(x, at + ahead / 4, 2);
      sums[size_t(k)] = b.add(sums[size_t(k)], b.load(x, at, vector.lanes));
    }
    return sums;
  });
  Value digest = ends[0];
  for (size_t k = 1; k < ends.size(); ++k) digest = b.binary(Opcode::bit_xor, digest, ends[k]);
  b.store(digest, out, 0);
  b.finish();
  return module;
}

Module clock_chain() {
  Module module;
  Builder b(module, "clock");
  b.function().exported = true;
  b.set_results({kIndex});
  Value x = b.scalar_param("x"), n = b.scalar_param("n");
  constexpr int kSteps = 8;
  auto end = b.for_loop(b.index_constant(0), n, kSteps, {x}, [&](Value, std::span<const Value> values) {
    Value v = values[0];
    for (int k = 0; k < kSteps; ++k) v = b.add(b.mul(v, v), x);
    return std::vector<Value>{v};
  });
  b.finish({end[0]});
  return module;
}

} // namespace cameo::bench
