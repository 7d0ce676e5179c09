#include "evaluator.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace cameo::test {

namespace {

using namespace graph;
using Dims = std::vector<int64_t>;

int64_t count(const Dims &dims) { return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>()); }

// Calls body(index) for every index of the space, in row-major order.
template <class Body> void for_each_index(const Dims &dims, const Body &body) {
  if (count(dims) == 0) return;
  Dims index(dims.size(), 0);
  for (;;) {
    body(index);
    size_t axis = dims.size();
    while (axis-- > 0 && ++index[axis] == dims[axis]) index[axis] = 0;
    if (axis == SIZE_MAX) return;
  }
}

int64_t offset(const Dims &dims, const Dims &index) {
  int64_t at = 0;
  for (size_t i = 0; i < dims.size(); ++i) at = at * dims[i] + index[i];
  return at;
}

// Element of an operand that is broadcast to `index`.
double broadcast_at(const TestValue &x, const Dims &index) {
  Dims own(x.dims.size());
  for (size_t i = 0; i < own.size(); ++i) own[i] = x.dims[i] == 1 ? 0 : index[index.size() - own.size() + i];
  return x.elements[static_cast<size_t>(offset(x.dims, own))];
}

// A tensor of those dims with y[index] = at(index).
template <class At> TestValue fill(const Dims &dims, const At &at) {
  TestValue y{dims, {}, {}};
  for_each_index(dims, [&](const Dims &index) { y.elements.push_back(at(index)); });
  return y;
}

// Of -0 and 0, the maximum is 0 whichever comes first; the sign of the result is left open by ONNX.
double maximum(double a, double b) { return a == b ? (std::signbit(a) ? b : a) : std::max(a, b); }

double call(const Node &node, const std::vector<double> &x) {
  switch (node.fn()) {
  case Fn::relu:
    return maximum(x[0], 0.0);
  case Fn::neg:
    return -x[0];
  case Fn::abs:
    return std::fabs(x[0]);
  case Fn::floor:
    return std::floor(x[0]);
  case Fn::logical_not:
    return x[0] == 0;
  case Fn::add:
    return x[0] + x[1];
  case Fn::sub:
    return x[0] - x[1];
  case Fn::mul:
    return x[0] * x[1];
  case Fn::div:
    return x[0] / x[1];
  case Fn::pow:
    return std::pow(x[0], x[1]);
  case Fn::max:
    return maximum(x[0], x[1]);
  case Fn::min:
    return -maximum(-x[0], -x[1]);
  case Fn::less:
    return x[0] < x[1];
  case Fn::select:
    return x[0] != 0 ? x[1] : x[2];
  default:
    throw std::runtime_error("function " + std::string(name(node.fn())));
  }
}

class Evaluator {
public:
  explicit Evaluator(const std::map<std::string, int64_t> &symbols) : symbols_(symbols) {}

  std::vector<TestValue> region(const Region &region, const std::vector<TestValue> &arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) set(region.argument(i), arguments[i]);
    for (const Node *node : region.nodes()) {
      std::vector<TestValue> results = this->node(*node);
      for (size_t i = 0; i < results.size(); ++i) set(node->result(i), results[i]);
    }
    std::vector<TestValue> results;
    for (const Value *value : region.results()) results.push_back(get(value));
    return results;
  }

private:
  const TestValue &get(const Value *value) const { return values_.at(value); }

  // Also learns run-time symbols, and holds the value against its type.
  void set(const Value *value, TestValue data) {
    const Type &type = value->type();
    if (type.is_ranked()) {
      if (static_cast<size_t>(type.rank()) != data.dims.size()) throw std::runtime_error("rank of " + type.str());
      for (int i = 0; i < type.rank(); ++i) {
        const int64_t extent = data.dims[static_cast<size_t>(i)];
        if (type.dim(i).is_runtime()) symbols_[type.dim(i).symbol_key()] = extent;
        if (this->extent(type.dim(i)) != extent)
          throw std::runtime_error("extent of " + type.str() + " is " + std::to_string(extent));
      }
    }
    values_[value] = std::move(data);
  }

  int64_t extent(const Dim &dim) const {
    auto value = dim.evaluate([&](const std::string &key) -> std::optional<int64_t> {
      auto it = symbols_.find(key);
      return it == symbols_.end() ? std::nullopt : std::optional(it->second);
    });
    if (!value) throw std::runtime_error("extent " + dim.str());
    return *value;
  }

  Dims extents(const Shape &shape) const {
    Dims dims;
    for (const Dim &dim : shape) dims.push_back(extent(dim));
    return dims;
  }

  std::vector<TestValue> node(const Node &node) {
    if (node.is(Op::loop)) return loop(node);
    if (node.is(Op::if_)) return region(*node.body(get(node.operand()).elements[0] != 0 ? 0 : 1), {});
    if (node.is(Op::fused)) {
      std::vector<TestValue> arguments;
      for (const Value *operand : node.operands()) arguments.push_back(get(operand));
      return region(*node.body(), arguments);
    }
    if (node.is(Op::check)) {
      for (double element : get(node.operand()).elements)
        if (element == 0) throw std::runtime_error("check: " + node.string("message"));
      return {};
    }
    return {value(node)};
  }

  std::vector<TestValue> loop(const Node &node) {
    const size_t carried = node.operand_count() - 2;
    std::vector<TestValue> values;
    for (size_t i = 0; i < carried; ++i) values.push_back(get(node.operand(2 + i)));
    std::vector<std::vector<TestValue>> slices(node.result_count() - carried);
    const double trips = node.operand(0) ? get(node.operand(0)).elements[0] : 1e9;
    bool go = !node.operand(1) || get(node.operand(1)).elements[0] != 0;
    for (int64_t i = 0; go && static_cast<double>(i) < trips; ++i) {
      std::vector<TestValue> arguments = {{{}, {static_cast<double>(i)}, {}}, {{}, {1.0}, {}}};
      arguments.insert(arguments.end(), values.begin(), values.end());
      std::vector<TestValue> results = region(*node.body(), arguments);
      go = results[0].elements[0] != 0;
      values.assign(results.begin() + 1, results.begin() + 1 + static_cast<std::ptrdiff_t>(carried));
      for (size_t s = 0; s < slices.size(); ++s) slices[s].push_back(results[1 + carried + s]);
    }
    for (auto &stack : slices) {
      TestValue whole{stack.empty() ? Dims{} : stack[0].dims, {}, {}};
      whole.dims.insert(whole.dims.begin(), static_cast<int64_t>(stack.size()));
      for (const TestValue &slice : stack)
        whole.elements.insert(whole.elements.end(), slice.elements.begin(), slice.elements.end());
      values.push_back(std::move(whole));
    }
    return values;
  }

  TestValue value(const Node &node) {
    auto operand = [&](size_t i) -> const TestValue & { return get(node.operand(i)); };
    switch (node.op()) {
    case Op::constant: {
      const ConstantData &data = *node.tensor("value");
      TestValue y{data.dims(), {}, {}};
      for (int64_t i = 0; i < data.count(); ++i) y.elements.push_back(data.as_double(i));
      return y;
    }
    case Op::dims: {
      TestValue y{{static_cast<int64_t>(node.dims("values").size())}, {}, {}};
      for (const Dim &dim : node.dims("values")) y.elements.push_back(static_cast<double>(extent(dim)));
      return y;
    }
    case Op::shape_of: {
      const Dims &dims = operand(0).dims;
      return {{static_cast<int64_t>(dims.size())}, {dims.begin(), dims.end()}, {}};
    }
    case Op::elementwise: {
      Dims dims;
      for (size_t i = 0; i < node.operand_count(); ++i) {
        const Dims &own = operand(i).dims;
        if (own.size() > dims.size()) dims.insert(dims.begin(), own.size() - dims.size(), 1);
        for (size_t a = 0; a < own.size(); ++a)
          if (own[a] != 1) dims[dims.size() - own.size() + a] = own[a];
      }
      return fill(dims, [&](const Dims &index) {
        std::vector<double> x;
        for (size_t i = 0; i < node.operand_count(); ++i) x.push_back(broadcast_at(operand(i), index));
        return call(node, x);
      });
    }
    case Op::cast: {
      TestValue y = operand(0);
      const DType to = node.result()->type().dtype();
      for (double &e : y.elements) e = to == DType::boolean ? e != 0 : is_float(to) ? e : std::trunc(e);
      return y;
    }
    case Op::reshape: {
      TestValue y = operand(0);
      if (node.operand_count() > 1) {
        y.dims.clear();
        for (double e : operand(1).elements) y.dims.push_back(static_cast<int64_t>(e));
      } else {
        y.dims = extents(node.result()->type().shape());
      }
      if (count(y.dims) != static_cast<int64_t>(y.elements.size())) throw std::runtime_error("reshape");
      return y;
    }
    case Op::relayout: // layouts are no part of the meaning
      return operand(0);
    case Op::transpose: {
      const auto &perm = node.ints("perm");
      Dims dims;
      for (int64_t axis : perm) dims.push_back(operand(0).dims[static_cast<size_t>(axis)]);
      return fill(dims, [&](const Dims &index) {
        Dims from(index.size());
        for (size_t i = 0; i < index.size(); ++i) from[static_cast<size_t>(perm[i])] = index[i];
        return operand(0).elements[static_cast<size_t>(offset(operand(0).dims, from))];
      });
    }
    case Op::broadcast:
      return fill(extents(node.result()->type().shape()),
                  [&](const Dims &index) { return broadcast_at(operand(0), index); });
    case Op::concat: {
      const auto axis = static_cast<size_t>(node.integer("axis"));
      Dims dims = operand(0).dims;
      for (size_t i = 1; i < node.operand_count(); ++i) dims[axis] += operand(i).dims[axis];
      return fill(dims, [&](Dims index) {
        size_t i = 0;
        while (index[axis] >= operand(i).dims[axis]) index[axis] -= operand(i++).dims[axis];
        return operand(i).elements[static_cast<size_t>(offset(operand(i).dims, index))];
      });
    }
    case Op::slice:
      return fill(extents(node.result()->type().shape()), [&](Dims index) {
        for (size_t i = 0; i < node.ints("axes").size(); ++i) {
          int64_t &at = index[static_cast<size_t>(node.ints("axes")[i])];
          at = extent(node.dims("starts")[i]) + at * node.ints("steps")[i];
        }
        return operand(0).elements.at(static_cast<size_t>(offset(operand(0).dims, index)));
      });
    case Op::pad: {
      const Dims low = extents(node.dims("low")), high = extents(node.dims("high"));
      Dims dims = operand(0).dims;
      for (size_t i = 0; i < dims.size(); ++i) dims[i] += low[i] + high[i];
      return fill(dims, [&](Dims index) {
        for (size_t i = 0; i < index.size(); ++i) {
          index[i] -= low[i];
          if (index[i] < 0 || index[i] >= operand(0).dims[i]) return node.operand(1) ? operand(1).elements[0] : 0.0;
        }
        return operand(0).elements[static_cast<size_t>(offset(operand(0).dims, index))];
      });
    }
    case Op::gather: {
      const auto axis = static_cast<size_t>(node.integer("axis"));
      const Dims &from = operand(0).dims, &middle = operand(1).dims;
      Dims dims(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(axis));
      dims.insert(dims.end(), middle.begin(), middle.end());
      dims.insert(dims.end(), from.begin() + static_cast<std::ptrdiff_t>(axis) + 1, from.end());
      return fill(dims, [&](const Dims &index) {
        Dims which(index.begin() + static_cast<std::ptrdiff_t>(axis),
                   index.begin() + static_cast<std::ptrdiff_t>(axis + middle.size()));
        auto i = static_cast<int64_t>(operand(1).elements[static_cast<size_t>(offset(middle, which))]);
        Dims at(index.begin(), index.begin() + static_cast<std::ptrdiff_t>(axis));
        at.push_back(i < 0 ? i + from[axis] : i);
        at.insert(at.end(), index.begin() + static_cast<std::ptrdiff_t>(axis + middle.size()), index.end());
        return operand(0).elements.at(static_cast<size_t>(offset(from, at)));
      });
    }
    case Op::reduce:
      return reduce(node, operand(0));
    case Op::contract:
      return contract(node);
    case Op::nonzero: {
      std::vector<Dims> found;
      for_each_index(operand(0).dims, [&](const Dims &index) {
        if (operand(0).elements[static_cast<size_t>(offset(operand(0).dims, index))] != 0) found.push_back(index);
      });
      return fill({static_cast<int64_t>(operand(0).dims.size()), static_cast<int64_t>(found.size())},
                  [&](const Dims &index) {
                    return static_cast<double>(found[static_cast<size_t>(index[1])][static_cast<size_t>(index[0])]);
                  });
    }
    case Op::sequence_construct: {
      TestValue y;
      for (const Value *x : node.operands()) y.sequence.push_back(get(x));
      return y;
    }
    case Op::sequence_at: {
      const auto size = static_cast<int64_t>(operand(0).sequence.size());
      const auto i = static_cast<int64_t>(operand(1).elements[0]);
      return operand(0).sequence.at(static_cast<size_t>(i < 0 ? i + size : i));
    }
    case Op::sequence_length:
      return {{}, {static_cast<double>(operand(0).sequence.size())}, {}};
    default:
      throw std::runtime_error("op " + std::string(name(node.op())));
    }
  }

  TestValue reduce(const Node &node, const TestValue &x) {
    const auto &axes = node.ints("axes");
    const std::string &fn = node.string("fn");
    auto reduced = [&](size_t axis) { return std::count(axes.begin(), axes.end(), static_cast<int64_t>(axis)) > 0; };
    Dims dims;
    for (size_t i = 0; i < x.dims.size(); ++i)
      if (!reduced(i))
        dims.push_back(x.dims[i]);
      else if (node.flag("keepdims"))
        dims.push_back(1);
    // -0 is the neutral element of a sum.
    TestValue y{dims, std::vector<double>(static_cast<size_t>(count(dims)), fn == "max" ? -HUGE_VAL : -0.0), {}};
    for_each_index(x.dims, [&](const Dims &index) {
      Dims to;
      for (size_t i = 0; i < index.size(); ++i)
        if (!reduced(i))
          to.push_back(index[i]);
        else if (node.flag("keepdims"))
          to.push_back(0);
      double &sum = y.elements[static_cast<size_t>(offset(dims, to))];
      const double e = x.elements[static_cast<size_t>(offset(x.dims, index))];
      sum = fn == "max" ? maximum(sum, e) : fn == "sum" ? sum + e : throw std::runtime_error("reduce " + fn);
    });
    return y;
  }

  TestValue contract(const Node &node) {
    const std::string &equation = node.string("equation");
    const size_t comma = equation.find(','), arrow = equation.find("->");
    const std::string a = equation.substr(0, comma), b = equation.substr(comma + 1, arrow - comma - 1),
                      out = equation.substr(arrow + 2);
    const TestValue &x = get(node.operand(0)), &z = get(node.operand(1));
    std::map<char, int64_t> extent;
    for (size_t i = 0; i < a.size(); ++i) extent[a[i]] = x.dims[i];
    for (size_t i = 0; i < b.size(); ++i) extent[b[i]] = z.dims[i];
    std::string labels = out;
    for (auto [label, size] : extent)
      if (out.find(label) == std::string::npos) labels += label;
    Dims space, dims;
    for (char label : labels) space.push_back(extent[label]);
    for (char label : out) dims.push_back(extent[label]);
    TestValue y{dims, std::vector<double>(static_cast<size_t>(count(dims)), 0.0), {}};
    for_each_index(space, [&](const Dims &index) {
      auto pick = [&](const std::string &names) {
        Dims at;
        for (char label : names) at.push_back(index[labels.find(label)]);
        return at;
      };
      y.elements[static_cast<size_t>(offset(dims, pick(out)))] +=
          x.elements[static_cast<size_t>(offset(x.dims, pick(a)))] *
          z.elements[static_cast<size_t>(offset(z.dims, pick(b)))];
    });
    return y;
  }

  std::map<std::string, int64_t> symbols_;
  std::unordered_map<const Value *, TestValue> values_;
};

} // namespace

std::vector<TestValue> evaluate(const graph::Graph &graph, const std::vector<TestValue> &inputs,
                                const std::map<std::string, int64_t> &symbols) {
  return Evaluator(symbols).region(*graph.main().body, inputs);
}

} // namespace cameo::test
