#include "kernel_probe.h"

#include "cameo/codegen/env.h"
#include "cameo/loop/legalize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

namespace cameo::bench {

using namespace loop;

namespace {

int64_t offset_of(const Binding &binding, const std::vector<int64_t> &index) {
  int64_t offset = binding.offset;
  for (const LayoutTerm &t : binding.terms) {
    int64_t part = index[t.dim] / t.divide;
    if (t.modulo != 0) part %= t.modulo;
    offset += part * t.stride;
  }
  return offset;
}

void for_each_index(const KernelBuffer &buffer, const std::function<void(const std::vector<int64_t> &)> &visit) {
  std::vector<int64_t> index(buffer.dims.size(), 0);
  for (;;) {
    visit(index);
    size_t d = index.size();
    while (d > 0 && ++index[d - 1] == buffer.dims[d - 1].value) index[--d] = 0;
    if (d == 0) return;
  }
}

double load(const char *at, DType dtype) {
  if (dtype == DType::f32) {
    float v;
    std::memcpy(&v, at, 4);
    return v;
  }
  if (dtype == DType::i32) {
    int32_t v;
    std::memcpy(&v, at, 4);
    return v;
  }
  return dtype == DType::i8 ? static_cast<signed char>(*at) : static_cast<unsigned char>(*at);
}

void store(char *at, DType dtype, double value) {
  if (dtype == DType::f32) {
    const auto v = static_cast<float>(value);
    std::memcpy(at, &v, 4);
  } else if (dtype == DType::i32) {
    const auto v = static_cast<int32_t>(value);
    std::memcpy(at, &v, 4);
  } else {
    *at = static_cast<char>(static_cast<int>(value));
  }
}

} // namespace

PreparedKernel::PreparedKernel(Bench &bench, const Kernel &kernel, const std::vector<Binding> &bindings,
                               const Schedule &schedule, const std::vector<std::vector<double>> &values, int copies)
    : kernel_(kernel), bindings_(bindings), values_(values), env_(bench.env()) {
  Module module;
  const AppliedKernel applied = apply(module, kernel, bindings, bench.target(), schedule, "kernel");
  legalize(module, bench.target());
  module.find("kernel")->exported = true;
  function_ = bench.compile(module).symbol("kernel");
  scratch_bytes_ = applied.scratch_bytes;
  scratch_.emplace_back(static_cast<size_t>(std::max<int64_t>(64, scratch_bytes_)));
  for (size_t b = 0; b < kernel.buffers.size(); ++b) {
    const auto bytes = static_cast<size_t>(bindings[b].size * bits(kernel.buffers[b].dtype) / 8 + 64);
    const int count = kernel.buffers[b].role == BufferRole::constant ? copies : 1;
    memory_.emplace_back();
    for (int c = 0; c < count; ++c) memory_.back().emplace_back(bytes);
    fill(static_cast<int32_t>(b));
  }
}

void PreparedKernel::fill(int32_t b) {
  const KernelBuffer &buffer = kernel_.buffers[b];
  const int64_t size = bits(buffer.dtype) / 8;
  for (const Shared<char> &copy : memory_[b]) {
    size_t n = 0;
    for_each_index(buffer, [&](const std::vector<int64_t> &i) {
      const double v = buffer.role == BufferRole::output ? 0 : values_[b][n];
      ++n;
      store(copy.get() + offset_of(bindings_[b], i) * size, buffer.dtype, v);
    });
  }
}

void PreparedKernel::reset() {
  for (size_t b = 0; b < kernel_.buffers.size(); ++b)
    if (kernel_.buffers[b].role == BufferRole::inout) fill(static_cast<int32_t>(b));
}

void PreparedKernel::run() {
  void *a[12] = {};
  size_t n = 0;
  for (const auto &copies : memory_) a[n++] = copies[turn_ % copies.size()].get();
  if (scratch_bytes_ > 0) a[n++] = scratch_[0].get();
  ++turn_;
  using F =
      void(cameo_env *, void *, void *, void *, void *, void *, void *, void *, void *, void *, void *, void *, void *);
  reinterpret_cast<F *>(function_)(env_, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
}

std::vector<double> PreparedKernel::result(int32_t b) const {
  std::vector<double> values;
  const int64_t size = bits(kernel_.buffers[b].dtype) / 8;
  for_each_index(kernel_.buffers[b], [&](const std::vector<int64_t> &i) {
    values.push_back(load(memory_[b][0].get() + offset_of(bindings_[b], i) * size, kernel_.buffers[b].dtype));
  });
  return values;
}

std::string PreparedKernel::check(PreparedKernel &reference, double tolerance) {
  reset();
  run();
  for (size_t b = 0; b < kernel_.buffers.size(); ++b) {
    if (kernel_.buffers[b].role == BufferRole::input || kernel_.buffers[b].role == BufferRole::constant) continue;
    const std::vector<double> got = result(static_cast<int32_t>(b)), want = reference.result(static_cast<int32_t>(b));
    double largest = 0;
    for (double w : want) largest = std::max(largest, std::fabs(w));
    for (size_t i = 0; i < got.size(); ++i)
      if (!(std::fabs(got[i] - want[i]) <= tolerance * std::max(largest, 1e-3)))
        return kernel_.buffers[b].name + "[" + std::to_string(i) + "] is " + std::to_string(got[i]) + ", expected " +
               std::to_string(want[i]);
  }
  return {};
}

std::vector<std::vector<double>> random_values(const Kernel &kernel, double scale) {
  std::mt19937 random(11);
  std::vector<std::vector<double>> values;
  for (const KernelBuffer &buffer : kernel.buffers) {
    int64_t n = 1;
    for (const Extent &e : buffer.dims) n *= e.value;
    std::vector<double> v(static_cast<size_t>(n));
    for (double &x : v)
      x = is_float(buffer.dtype)      ? scale * static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 1000.0f
          : buffer.dtype == DType::u8 ? static_cast<double>(random() % 256)
                                      : static_cast<double>(static_cast<int>(random() % 255) - 127);
    values.push_back(std::move(v));
  }
  return values;
}

std::vector<Binding> dense_bindings(const Kernel &kernel) {
  std::vector<Binding> bindings;
  for (const KernelBuffer &b : kernel.buffers) bindings.push_back(row_major(b));
  return bindings;
}

std::shared_ptr<PreparedKernel> plain_reference(Bench &bench, const Kernel &kernel,
                                                const std::vector<std::vector<double>> &values) {
  auto reference =
      std::make_shared<PreparedKernel>(bench, kernel, dense_bindings(kernel), plain_schedule(kernel), values);
  reference->run();
  return reference;
}

void add_kernel(Bench &bench, Probe &probe, const std::string &name, double work, const Kernel &kernel,
                const std::vector<Binding> &bindings, const Schedule &schedule,
                const std::vector<std::vector<double>> &values, std::shared_ptr<PreparedKernel> reference, int copies,
                double tolerance) {
  auto prepared = std::make_shared<PreparedKernel>(bench, kernel, bindings, schedule, values, copies);
  How how;
  how.verify = [=] { return prepared->check(*reference, tolerance); };
  probe.contender(name, work, [prepared] { prepared->run(); }, how);
}

} // namespace cameo::bench
