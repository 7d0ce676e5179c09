// Stored elements to f32 and back (loop/convert.h): elements per clock cycle, out of the L1 cache.
#include "harness.h"

#include "cameo/loop/convert.h"
#include "cameo/loop/legalize.h"

namespace cameo::bench {
namespace {

using namespace loop;

constexpr int64_t kCount = 2048;

Module conversion(const Target &target, DType dtype, bool decode) {
  constexpr int64_t kUnroll = 4;
  int32_t lanes = target.lanes(32);
  Module module;
  Builder b(module, "convert");
  b.function().exported = true;
  Value x = b.buffer_param("x", decode ? storage_type(dtype) : Scalar::f32, true);
  Value y = b.buffer_param("y", decode ? Scalar::f32 : storage_type(dtype), false);
  b.for_range(0, kCount, kUnroll * lanes, [&](Value i) {
    for (int64_t k = 0; k < kUnroll; ++k) {
      Affine address = Affine(i) + k * lanes;
      if (decode)
        b.store(load_as_f32(b, x, address, lanes, dtype), y, address);
      else
        store_from_f32(b, b.load(x, address, lanes), y, address, dtype);
    }
  });
  b.finish();
  legalize(module, target);
  return module;
}

} // namespace

void probes_convert(Bench &bench) {
  constexpr DType kTypes[] = {DType::f16,    DType::bf16,   DType::f8e4m3fn, DType::f8e5m2, DType::f8e4m3fnuz,
                              DType::f8e8m0, DType::f4e2m1, DType::i4,       DType::u2,     DType::i8};
  for (bool decode : {true, false})
    bench.probe(decode ? "convert.to_f32" : "convert.from_f32", Unit::elements, [&](Probe &probe) {
      for (DType dtype : kTypes) {
        auto *convert = bench.compile(conversion(bench.target(), dtype, decode))
                            .function<void(cameo_env *, const void *, void *)>("convert");
        auto x = random_floats(kCount, 1); // as stored elements: any bits
        auto y = zeros<float>(kCount);
        probe.contender(std::string(name(dtype)), kCount, [=, env = bench.env()] { convert(env, x.get(), y.get()); });
      }
    });
}

} // namespace cameo::bench
