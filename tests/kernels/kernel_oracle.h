// An oracle for kernels in stage form: evaluates every stage at every point by the definition in cameo/loop/kernel.h,
// one scalar at a time, knowing nothing of schedules, layouts or loops. Floats are computed in double where the kernel
// says f32, so that results differ from compiled code by rounding only.
#pragma once

#include "cameo/loop/kernel.h"

#include <cmath>
#include <functional>
#include <map>
#include <vector>

namespace cameo::loop {

/// A tensor of the oracle: row-major values in the buffer's logical order. Integers are exact below 2^53.
using OracleTensor = std::vector<double>;

class KernelOracle {
public:
  /// `tensors`: one per buffer of the kernel; outputs are resized and written by run(). Symbols have the given values.
  KernelOracle(const Kernel &kernel, std::vector<OracleTensor> &tensors, std::vector<int64_t> symbols = {})
      : k_(kernel), tensors_(tensors), symbols_(std::move(symbols)) {}

  void run() {
    for (size_t b = 0; b < k_.buffers.size(); ++b)
      if (k_.buffers[b].role == BufferRole::output) tensors_[b].assign(elements(b), 0);
    // Stages that share a sequential axis advance together: all of them at step t before any at t + 1.
    values_.resize(k_.stages.size());
    int64_t steps = 1;
    for (const Stage &s : k_.stages)
      for (const Axis &a : s.axes)
        if (a.kind == AxisKind::sequential) steps = std::max(steps, extent(a.extent));
    for (int64_t t = 0; t < steps; ++t)
      for (size_t s = 0; s < k_.stages.size(); ++s) store_stage(static_cast<int32_t>(s), t, t + 1 == steps);
  }

  int status = 0; ///< of the first failed check

private:
  int64_t extent(const Extent &e) const { return e.is_constant() ? e.value : symbols_[e.symbol]; }
  int64_t elements(size_t b) const {
    int64_t n = 1;
    for (const Extent &e : k_.buffers[b].dims) n *= extent(e);
    return n;
  }

  // All points of a stage that has results; others are evaluated where they are read.
  void store_stage(int32_t s, int64_t step, bool last) {
    const Stage &stage = k_.stages[s];
    int32_t sequential = -1;
    for (size_t a = 0; a < stage.axes.size(); ++a)
      if (stage.axes[a].kind == AxisKind::sequential) sequential = static_cast<int32_t>(a);
    if (sequential < 0 && (!last || stage.stores.empty())) return;
    std::vector<int64_t> p(stage.outer_rank(), 0);
    std::function<void(int32_t)> walk = [&](int32_t d) {
      if (d == stage.outer_rank()) {
        const std::vector<double> v = value(s, p);
        for (size_t c = 0; c < stage.stores.size(); ++c) store(stage.stores[c], s, p, v[c]);
        return;
      }
      if (d == sequential) {
        p[d] = step;
        if (step < extent(stage.axes[d].extent)) walk(d + 1);
        return;
      }
      for (p[d] = 0; p[d] < extent(stage.axes[d].extent); ++p[d]) walk(d + 1);
    };
    walk(0);
  }

  void store(const StageStore &store, int32_t s, const std::vector<int64_t> &p, double v) {
    if (store.buffer < 0) return;
    int64_t at = 0;
    const auto &dims = k_.buffers[store.buffer].dims;
    for (size_t d = 0; d < dims.size(); ++d) {
      const int64_t i = index(store.indices[d], s, p, nullptr);
      if (i < 0 || i >= extent(dims[d])) {
        if (store.rule == OutOfRange::fail && status == 0) status = static_cast<int>(store.status);
        return;
      }
      at = at * extent(dims[d]) + i;
    }
    double &element = tensors_[store.buffer][at];
    element = store.accumulate ? element + v : v;
  }

  int64_t index(const Index &i, int32_t s, const std::vector<int64_t> &p, const std::vector<double> *carried) {
    int64_t v = i.constant;
    for (auto [axis, coefficient] : i.axes) v += coefficient * p[axis];
    if (i.indirect >= 0) v += static_cast<int64_t>(eval(i.indirect, s, p, carried));
    return v;
  }

  // Components of a stage at a point of its outer axes.
  const std::vector<double> &value(int32_t s, const std::vector<int64_t> &p) {
    auto found = values_[s].find(p);
    if (found != values_[s].end()) return found->second;
    const Stage &stage = k_.stages[s];
    std::vector<double> v;
    for (size_t d = 0; d < p.size(); ++d)
      if (stage.axes[d].kind == AxisKind::sequential && p[d] < 0) {
        for (ExprId e : stage.before) v.push_back(eval(e, s, p, nullptr));
        return values_[s][p] = v;
      }
    if (!stage.is_reduction()) {
      for (ExprId e : stage.next) v.push_back(eval(e, s, p, nullptr));
      return values_[s][p] = v;
    }
    for (ExprId e : stage.init) v.push_back(eval(e, s, p, nullptr));
    std::vector<int64_t> q = p;
    q.resize(stage.axes.size(), 0);
    std::function<void(size_t)> walk = [&](size_t a) {
      if (a == stage.axes.size()) {
        std::vector<double> next;
        for (ExprId e : stage.next) next.push_back(eval(e, s, q, &v));
        v = next;
        return;
      }
      for (q[a] = 0; q[a] < extent(stage.axes[a].extent); ++q[a]) walk(a + 1);
    };
    walk(p.size());
    return values_[s][p] = v;
  }

  double read(const Expr &e, int32_t s, const std::vector<int64_t> &p, const std::vector<double> *carried) {
    const bool of_stage = e.kind == Expr::Kind::stage;
    std::vector<int64_t> at;
    for (size_t d = 0; d < e.indices.size(); ++d) {
      int64_t i = index(e.indices[d], s, p, carried);
      const int64_t n = extent(of_stage ? k_.stages[e.source].axes[d].extent : k_.buffers[e.source].dims[d]);
      const bool before = of_stage && k_.stages[e.source].axes[d].kind == AxisKind::sequential && i < 0;
      if ((i < 0 || i >= n) && !before) {
        if (e.rule == OutOfRange::fill) return is_float(e.type) ? e.real : static_cast<double>(e.integer);
        if (e.rule == OutOfRange::fail && status == 0) status = static_cast<int>(e.integer);
        CAMEO_CHECK(e.rule != OutOfRange::never, "read out of range");
        i = std::min(std::max<int64_t>(i, 0), n - 1);
      }
      at.push_back(i);
    }
    if (of_stage) return value(e.source, at)[e.component];
    int64_t offset = 0;
    for (size_t d = 0; d < at.size(); ++d) offset = offset * extent(k_.buffers[e.source].dims[d]) + at[d];
    return tensors_[e.source][offset];
  }

  double eval(ExprId id, int32_t s, const std::vector<int64_t> &p, const std::vector<double> *carried) {
    const Expr &e = k_.exprs[id];
    switch (e.kind) {
    case Expr::Kind::constant:
      return is_float(e.type) ? e.real : static_cast<double>(e.integer);
    case Expr::Kind::axis:
      return static_cast<double>(p[e.integer]);
    case Expr::Kind::symbol:
      return static_cast<double>(symbols_[e.integer]);
    case Expr::Kind::carried:
      return (*carried)[e.component];
    case Expr::Kind::pick:
      return eval(e.args[p[e.integer]], s, p, carried);
    case Expr::Kind::buffer:
    case Expr::Kind::stage:
      return read(e, s, p, carried);
    case Expr::Kind::op:
      break;
    }
    double a = eval(e.args[0], s, p, carried);
    if (e.op == Opcode::select) return eval(e.args[a != 0 ? 1 : 2], s, p, carried);
    const double b = e.args.size() > 1 ? eval(e.args[1], s, p, carried) : 0;
    const double c = e.args.size() > 2 ? eval(e.args[2], s, p, carried) : 0;
    const bool real = is_float(e.type);
    const Scalar from = k_.exprs[e.args[0]].type;
    switch (e.op) {
    case Opcode::neg:
      return -a;
    case Opcode::abs:
      return std::fabs(a);
    case Opcode::add:
      return a + b;
    case Opcode::sub:
      return a - b;
    case Opcode::mul:
      return a * b;
    case Opcode::div:
      return real ? a / b : b == 0 ? 0 : std::trunc(a / b);
    case Opcode::min:
      return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b);
    case Opcode::max:
      return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b);
    case Opcode::fma:
    case Opcode::muladd:
      return a * b + c;
    case Opcode::sqrt:
      return std::sqrt(a);
    case Opcode::exp:
      return std::exp(a);
    case Opcode::tanh:
      return std::tanh(a);
    case Opcode::erf:
      return std::erf(a);
    case Opcode::sigmoid:
      return 1 / (1 + std::exp(-a));
    case Opcode::rint:
      return std::nearbyint(a);
    case Opcode::floor:
      return std::floor(a);
    case Opcode::eq:
      return a == b;
    case Opcode::ne:
      return a != b;
    case Opcode::lt:
      return a < b;
    case Opcode::le:
      return a <= b;
    case Opcode::gt:
      return a > b;
    case Opcode::ge:
      return a >= b;
    case Opcode::bit_and:
      return e.type == Scalar::i1 ? (a != 0 && b != 0)
                                  : static_cast<double>(static_cast<int64_t>(a) & static_cast<int64_t>(b));
    case Opcode::bit_or:
      return e.type == Scalar::i1 ? (a != 0 || b != 0)
                                  : static_cast<double>(static_cast<int64_t>(a) | static_cast<int64_t>(b));
    case Opcode::zext:
      return from == Scalar::i8 && a < 0 ? a + 256 : a;
    case Opcode::sext:
      return from == Scalar::i8 && a > 127 ? a - 256 : a;
    case Opcode::trunc:
      return static_cast<double>(static_cast<int8_t>(static_cast<int64_t>(a))); // only to i8 in tests
    case Opcode::sitofp:
    case Opcode::uitofp:
    case Opcode::fpext:
    case Opcode::fptrunc:
      return a;
    case Opcode::fptosi:
    case Opcode::fptoui:
      return std::trunc(a);
    default:
      CAMEO_UNREACHABLE("the oracle lacks " + std::string(name(e.op)));
    }
  }

  const Kernel &k_;
  std::vector<OracleTensor> &tensors_;
  std::vector<int64_t> symbols_;
  std::vector<std::map<std::vector<int64_t>, std::vector<double>>> values_;
};

} // namespace cameo::loop
