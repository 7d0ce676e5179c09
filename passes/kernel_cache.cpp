// The cache of applied kernels (see kernel_cache.h).
#include "kernel_cache.h"

#include <cstring>

namespace cameo::passes {
namespace {

using loop::Expr;
using loop::ExprId;
using loop::Index;

class Key {
public:
  Key &add(int64_t n) {
    bytes_.append(reinterpret_cast<const char *>(&n), sizeof n);
    return *this;
  }
  Key &add(double x) {
    int64_t n;
    std::memcpy(&n, &x, sizeof n);
    return add(n);
  }
  Key &add(const loop::Extent &e) {
    return add(e.is_constant() ? int64_t{0} : int64_t{1}).add(e.is_constant() ? e.value : int64_t{e.symbol});
  }
  std::string take() { return std::move(bytes_); }

private:
  std::string bytes_;
};

// Expressions in the order in which the stages reach them: dead ones and their numbers do not count.
class Expressions {
public:
  Expressions(const loop::Kernel &kernel, Key &key) : kernel_(kernel), key_(key), numbers_(kernel.exprs.size(), -1) {}

  void add(ExprId id) {
    if (id < 0) {
      key_.add(int64_t{-1});
      return;
    }
    int64_t &number = numbers_[static_cast<size_t>(id)];
    if (number >= 0) {
      key_.add(int64_t{-2}).add(number);
      return;
    }
    const Expr &e = kernel_.exprs[static_cast<size_t>(id)];
    key_.add(int64_t(e.kind)).add(int64_t(e.type)).add(int64_t(e.op)).add(e.real).add(e.integer);
    key_.add(int64_t(e.source)).add(int64_t(e.component)).add(int64_t(e.rule)).add(int64_t(e.args.size()));
    for (ExprId a : e.args) add(a);
    add(e.indices);
    number = next_++;
  }
  void add(const std::vector<Index> &indices) {
    key_.add(int64_t(indices.size()));
    for (const Index &i : indices) {
      key_.add(int64_t(i.axes.size())).add(i.constant);
      for (const auto &[axis, coefficient] : i.axes) key_.add(int64_t(axis)).add(coefficient);
      add(i.indirect);
    }
  }
  void add(const std::vector<ExprId> &list) {
    key_.add(int64_t(list.size()));
    for (ExprId e : list) add(e);
  }

private:
  const loop::Kernel &kernel_;
  Key &key_;
  std::vector<int64_t> numbers_;
  int64_t next_ = 0;
};

} // namespace

std::string kernel_key(const loop::Kernel &kernel, const std::vector<loop::Binding> &bindings,
                       const loop::Schedule &schedule) {
  Key key;
  Expressions expressions(kernel, key);
  key.add(int64_t(kernel.symbols.size())).add(int64_t(kernel.buffers.size())).add(int64_t(kernel.stages.size()));
  for (const loop::KernelBuffer &b : kernel.buffers) {
    key.add(int64_t(b.dtype)).add(int64_t(b.role)).add(int64_t(b.dims.size()));
    for (const loop::Extent &e : b.dims) key.add(e);
  }
  for (const loop::Stage &s : kernel.stages) {
    key.add(int64_t(s.axes.size())).add(int64_t(s.types.size())).add(int64_t(s.stores.size()));
    for (const loop::Axis &a : s.axes) key.add(a.extent).add(int64_t(a.kind));
    for (loop::Scalar t : s.types) key.add(int64_t(t));
    key.add(s.combine ? int64_t(*s.combine) : int64_t{-1});
    expressions.add(s.init);
    expressions.add(s.next);
    expressions.add(s.before);
    for (const loop::StageStore &store : s.stores) {
      key.add(int64_t(store.buffer))
          .add(int64_t(store.rule))
          .add(store.status)
          .add(int64_t(store.accumulate))
          .add(int64_t(store.combine))
          .add(int64_t(store.saturate));
      expressions.add(store.indices);
    }
  }
  for (const loop::Binding &b : bindings) {
    key.add(int64_t(b.terms.size()))
        .add(b.offset)
        .add(b.size)
        .add(int64_t(b.align))
        .add(int64_t(b.aliased))
        .add(b.halo_value);
    for (const loop::LayoutTerm &t : b.terms)
      key.add(int64_t(t.dim)).add(t.divide).add(t.modulo).add(t.stride).add(int64_t(t.stride_symbol));
    key.add(int64_t(b.halo.size()));
    for (const auto &[before, after] : b.halo) key.add(before).add(after);
  }
  return key.take() + loop::print(schedule, kernel);
}

const loop::AppliedKernel &KernelCache::get(const loop::Kernel &kernel, const std::vector<loop::Binding> &bindings,
                                            const loop::Schedule &schedule) {
  std::string key = kernel_key(kernel, bindings, schedule);
  if (auto it = known_.find(key); it != known_.end()) return it->second;
  const int number = names_[kernel.name]++;
  const std::string name = "k_" + kernel.name + (number == 0 ? "" : "_" + std::to_string(number));
  return known_.emplace(std::move(key), loop::apply(module_, kernel, bindings, target_, schedule, name)).first->second;
}

} // namespace cameo::passes
