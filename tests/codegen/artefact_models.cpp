#include "artefact_models.h"

#include "cameo/loop/builder.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <unistd.h>

namespace cameo::codegen {

using loop::Affine;
using loop::Builder;
using loop::kIndex;
using loop::Opcode;
using loop::Scalar;
using loop::Value;
using Values = std::vector<Value>;

namespace {

template <class T> std::vector<std::byte> to_bytes(const T &array) {
  const auto bytes = std::as_bytes(std::span(array));
  return {bytes.begin(), bytes.end()};
}

void add_workspace_bytes(loop::Module &module, int64_t bytes, size_t symbols) {
  Builder b(module, "workspace_bytes");
  for (size_t i = 0; i < symbols; ++i) b.scalar_param("s" + std::to_string(i));
  b.set_results({kIndex});
  b.function().exported = true;
  b.finish({b.index_constant(bytes)});
}

Provenance provenance() {
  Provenance p;
  p.model_name = "test.onnx";
  p.model_sha256 = std::string(64, 'a');
  p.compiler_version = "cameo test";
  p.flags = "--flag";
  p.files = {{"test.bin", std::string(64, 'b')}};
  p.facts = {{"opset", "17"}};
  return p;
}

std::vector<loop::Target> targets(const std::string &cpus) {
  auto targets = resolve_targets(cpus);
  EXPECT_TRUE(targets.ok()) << cpus;
  return *targets;
}

} // namespace

std::array<float, kCells> axpb_scale() { return {0.5f, -1, 2, 3, 0.25f, 7, -0.125f, 1}; }
std::array<float, kCells> axpb_shift() { return {1, 2, 3, 4, -5, -6, -7, -8}; }
std::array<float, kCells> axpb_expected(const float *x) {
  std::array<float, kCells> y;
  for (size_t i = 0; i < kCells; ++i) y[i] = axpb_scale()[i] * x[i] + axpb_shift()[i];
  return y;
}

ArtefactSpec axpb_spec(const std::string &prefix, const std::string &cpus) {
  ArtefactSpec spec;
  spec.prefix = prefix;
  spec.inputs = {{"x", DType::f32, {DimSpec::fixed(2), DimSpec::fixed(4)}}};
  spec.outputs = {{"y", DType::f32, {DimSpec::fixed(2), DimSpec::fixed(4)}}};
  const int64_t scale_at = spec.weights.add(to_bytes(axpb_scale())),
                shift_at = spec.weights.add(to_bytes(axpb_shift()));

  loop::Module module;
  Builder b(module, "run");
  Value x = b.buffer_param("x", Scalar::f32, true), y = b.buffer_param("y", Scalar::f32, false),
        weights = b.buffer_param("weights", Scalar::i8, true, true, -1, 64),
        workspace = b.buffer_param("workspace", Scalar::i8, false, true, -1, 64);
  b.function().exported = true;
  // Two regions, so that the second reads what other threads wrote in the first.
  Value scale = b.view(weights, scale_at, Scalar::f32), shift = b.view(weights, shift_at, Scalar::f32),
        product = b.view(workspace, 0, Scalar::f32);
  b.parallel(b.index_constant(4), [&](Value task) {
    const Affine at(task, 2);
    b.store(b.mul(b.load(scale, at, 2), b.load(x, at, 2)), product, at);
  });
  b.parallel(b.index_constant(4), [&](Value task) {
    const Affine at = Affine(6) - Affine(task, 2);
    b.store(b.add(b.load(product, at, 2), b.load(shift, at, 2)), y, at);
  });
  b.finish();
  add_workspace_bytes(module, 64, 0);
  for (const loop::Target &target : targets(cpus)) spec.variants.push_back({target, module, 0});
  spec.provenance = provenance();
  return spec;
}

ArtefactSpec rows_spec(const std::string &prefix) {
  ArtefactSpec spec;
  spec.prefix = prefix;
  spec.symbols = {{"n", 0, 1000}};
  spec.inputs = {{"x", DType::f32, {DimSpec::of_symbol(0), DimSpec::fixed(3)}},
                 {"bias", DType::f32, {DimSpec::of_symbol(0)}}};
  spec.outputs = {{"y", DType::f32, {DimSpec::of_symbol(0), DimSpec::fixed(3)}},
                  {"half", DType::i64, {DimSpec::computed("n / 2 + 1")}}};
  loop::Module module;
  {
    Builder b(module, "run");
    Value x = b.buffer_param("x", Scalar::f32, true), bias = b.buffer_param("bias", Scalar::f32, true),
          y = b.buffer_param("y", Scalar::f32, false), half = b.buffer_param("half", Scalar::i64, false);
    b.buffer_param("weights", Scalar::i8, true);
    b.buffer_param("workspace", Scalar::i8, false);
    Value n = b.scalar_param("n");
    b.function().exported = true;
    b.for_loop(b.index_constant(0), n, 1, {}, [&](Value i, std::span<const Value>) {
      Value add = b.load(bias, i);
      b.for_range(0, 3, 1, [&](Value j) {
        const Affine at = Affine(i, 3) + Affine(j);
        b.store(b.add(b.load(x, at), add), y, at);
      });
      return Values{};
    });
    Value count = b.add(b.binary(Opcode::div, n, b.index_constant(2)), b.index_constant(1));
    b.for_loop(b.index_constant(0), count, 1, {}, [&](Value i, std::span<const Value>) {
      b.store(i, half, i);
      return Values{};
    });
    b.finish();
  }
  add_workspace_bytes(module, 0, 1);
  {
    Builder b(module, "output_dims");
    Value dims = b.buffer_param("dims", Scalar::i64, false), n = b.scalar_param("n");
    b.function().exported = true;
    b.store(n, dims, 0);
    b.store(b.index_constant(3), dims, 1);
    b.store(b.add(b.binary(Opcode::div, n, b.index_constant(2)), b.index_constant(1)), dims, 2);
    b.finish();
  }
  spec.variants = {{targets("x86-64-v2")[0], module, 0}};
  spec.provenance = provenance();
  return spec;
}

ArtefactSpec where_spec(const std::string &prefix) {
  ArtefactSpec spec;
  spec.prefix = prefix;
  spec.symbols = {{"n", 1, 1000}};
  spec.inputs = {{"x", DType::i64, {DimSpec::of_symbol(0)}}, {"divisor", DType::i64, {DimSpec::fixed(1)}}};
  spec.outputs = {{"where", DType::i64, {DimSpec::unknown()}}};
  loop::Module module;
  Builder b(module, "run");
  Value x = b.buffer_param("x", Scalar::i64, true), divisor = b.buffer_param("divisor", Scalar::i64, true),
        where = b.buffer_param("where", Scalar::i64, false), run_dims = b.buffer_param("run_dims", Scalar::i64, false),
        capacity = b.buffer_param("capacity", Scalar::i64, true);
  b.buffer_param("weights", Scalar::i8, true);
  b.buffer_param("workspace", Scalar::i8, false);
  Value n = b.scalar_param("n");
  b.function().exported = true;
  Value zero = b.index_constant(0), one = b.index_constant(1);
  Value by = b.load(divisor, 0);
  b.check(b.compare(Opcode::ne, by, zero), CAMEO_DIVISION_BY_ZERO);
  Value room = b.binary(Opcode::div, b.load(capacity, 0), b.index_constant(8));
  Value found = b.for_loop(zero, n, 1, {zero}, [&](Value i, std::span<const Value> iters) {
    Value hit = b.compare(Opcode::ne, b.load(x, i), zero);
    Value fits = b.compare(Opcode::lt, iters[0], room);
    b.if_else(b.binary(Opcode::bit_and, hit, fits), [&]() -> Values {
      b.store(b.binary(Opcode::div, i, by), where, iters[0]);
      return {};
    });
    return Values{b.select(hit, b.add(iters[0], one), iters[0])};
  })[0];
  b.store(found, run_dims, 0);
  b.finish();
  add_workspace_bytes(module, 0, 1);
  spec.variants = {{targets("x86-64-v2")[0], module, 0}};
  spec.provenance = provenance();
  return spec;
}

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "cameo-artefact-XXXXXX").string();
  EXPECT_NE(mkdtemp(name.data()), nullptr);
  path_ = name;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string Folder::write(const std::string &name, const std::string &bytes) const {
  const std::string file = path(name);
  std::FILE *out = std::fopen(file.c_str(), "wb");
  EXPECT_NE(out, nullptr);
  EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), out), bytes.size());
  std::fclose(out);
  return file;
}

void Folder::run(const std::string &name, const std::function<void(const CameoModel &)> &use) const {
  void *handle = dlopen(path(name).c_str(), RTLD_NOW);
  ASSERT_NE(handle, nullptr) << dlerror();
  auto describe = reinterpret_cast<const CameoModel *(*)()>(dlsym(handle, "axpb_describe"));
  use(*describe());
  dlclose(handle);
}

std::string build(const ArtefactSpec &spec, ArtefactKind kind, const ArtefactOptions &options) {
  auto artefact = build_artefact(spec, kind, options);
  if (!artefact) {
    ADD_FAILURE() << to_string(artefact.errors()[0]);
    return "";
  }
  return artefact->bytes();
}

Library::Library(const ArtefactSpec &spec, int flags) {
  const std::string file = folder_.write("lib" + spec.prefix + ".so", build(spec, ArtefactKind::so));
  handle_ = dlopen(file.c_str(), RTLD_NOW | flags);
  if (!handle_) {
    ADD_FAILURE() << dlerror();
    std::abort(); // nothing of the test would make sense
  }
  model_ = function<const CameoModel *()>(spec.prefix + "_describe")();
}

Library::~Library() { dlclose(handle_); }

void *Library::symbol(const std::string &name) const {
  void *address = dlsym(handle_, name.c_str());
  EXPECT_NE(address, nullptr) << name;
  return address;
}

} // namespace cameo::codegen
