// Kernels in stage form as contenders of a probe: memory laid out by the bindings, code from apply(), results checked
// against the same kernel under the plain schedule.
#pragma once

#include "harness.h"

#include "cameo/loop/apply.h"

namespace cameo::bench {

/// A kernel with the memory that it runs on.
class PreparedKernel {
public:
  /// Compiles `kernel` for the bench's target. `values`: row-major floats or bytes of each input in kernel order,
  /// shared by all contenders of a probe; `copies` > 1 keeps that many copies of the constants and uses them in turn
  /// (weights out of the caches).
  PreparedKernel(Bench &bench, const loop::Kernel &kernel, const std::vector<loop::Binding> &bindings,
                 const loop::Schedule &schedule, const std::vector<std::vector<double>> &values, int copies = 1);
  /// One run on the next copy of the constants. In-place buffers are not restored.
  void run();
  /// Restores the inout buffers to their first values.
  void reset();
  /// Row-major contents of a buffer.
  std::vector<double> result(int32_t buffer) const;
  /// What is wrong with the results of one run from fresh buffers, compared with `reference`; empty when nothing is.
  std::string check(PreparedKernel &reference, double tolerance = 1e-4);
  int64_t scratch_bytes() const { return scratch_bytes_; }

private:
  void fill(int32_t buffer);
  const loop::Kernel kernel_;
  const std::vector<loop::Binding> bindings_;
  std::vector<std::vector<double>> values_;
  std::vector<std::vector<Shared<char>>> memory_; ///< per buffer, per copy
  std::vector<Shared<char>> scratch_;
  int64_t scratch_bytes_ = 0;
  void *function_ = nullptr;
  cameo_env *env_ = nullptr;
  size_t turn_ = 0;
};

/// Random values for every buffer: floats in [-1, 1) scaled by `scale`, small integers.
std::vector<std::vector<double>> random_values(const loop::Kernel &kernel, double scale = 1);

/// The kernel under the plain schedule with dense bindings, run once.
std::shared_ptr<PreparedKernel> plain_reference(Bench &bench, const loop::Kernel &kernel,
                                                const std::vector<std::vector<double>> &values);

/// Dense bindings of all buffers.
std::vector<loop::Binding> dense_bindings(const loop::Kernel &kernel);

/// Adds the kernel as a contender of `work` that is checked against `reference` first.
void add_kernel(Bench &bench, Probe &probe, const std::string &name, double work, const loop::Kernel &kernel,
                const std::vector<loop::Binding> &bindings, const loop::Schedule &schedule,
                const std::vector<std::vector<double>> &values, std::shared_ptr<PreparedKernel> reference,
                int copies = 1, double tolerance = 1e-4);

} // namespace cameo::bench
