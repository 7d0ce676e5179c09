// Ops that move no data when their result may be a view of their operand's memory: other strides, another offset.
//
//   reshape    dims merge where their strides nest, and split anywhere
//   transpose  terms are renamed
//   slice      offset += start * stride, stride *= step
//   broadcast  stride 0
#include "placement.h"

namespace cameo::passes {
namespace {

using graph::Dim;
using graph::Node;
using graph::Op;
using graph::Shape;

// Neighbouring dims whose products are equal on both sides are merged into one run of memory and cut again.
std::optional<std::vector<Dim>> reshaped(const Shape &from, const std::vector<Dim> &strides, const Shape &to) {
  std::vector<Dim> out(to.size());
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    if (i < from.size() && from[i].is(1)) {
      ++i;
      continue;
    }
    if (j < to.size() && to[j].is(1)) {
      ++j;
      continue;
    }
    if (i == from.size() || j == to.size()) return std::nullopt; // extents that only the run knows to be 1
    size_t i2 = i + 1, j2 = j + 1;
    Dim a = from[i], b = to[j];
    while (a != b) {
      const bool smaller = a.is_constant() && b.is_constant() ? a.value() < b.value() : b.exact_quotient(a).has_value();
      if (smaller && i2 < from.size())
        a = a * from[i2++];
      else if (!smaller && j2 < to.size())
        b = b * to[j2++];
      else
        return std::nullopt;
    }
    for (size_t d = i; d + 1 < i2; ++d) { // dims of the run nest in each other
      size_t next = d + 1;
      while (next < i2 && from[next].is(1)) ++next;
      if (from[d].is(1) || next == i2) continue;
      if (strides[d] != strides[next] * from[next]) return std::nullopt;
    }
    size_t last = i2 - 1;
    while (last > i && from[last].is(1)) --last;
    Dim stride = strides[last];
    for (size_t d = j2; d-- > j;) {
      out[d] = stride;
      stride = stride * to[d];
    }
    i = i2;
    j = j2;
  }
  return out;
}

} // namespace

Placement part(const Placement &whole, size_t axis, const Dim &start) {
  Placement place = whole;
  for (const PlacedTerm &term : whole.terms)
    if (term.dim == static_cast<int32_t>(axis)) place.offset += term.stride * start;
  return place;
}

bool moves_only(const Node &node) {
  switch (node.op()) {
  case Op::reshape:
  case Op::transpose:
  case Op::slice:
  case Op::broadcast:
  case Op::bitcast:
  case Op::relayout:
    return true;
  default:
    return false;
  }
}

std::optional<Placement> view(const Node &node, const Placement &operand) {
  const graph::Value *x = node.operand(), *y = node.result();
  const Shape &from = x->type().shape(), &to = y->type().shape();
  if (bits(x->type().dtype()) < 8) return std::nullopt; // elements within a byte have no address
  const auto own = strides(operand, from.size());
  if (!own) return std::nullopt;
  Placement place;
  place.buffer = operand.buffer;
  place.offset = operand.offset;
  auto set = [&](const std::vector<Dim> &strides) {
    for (size_t d = 0; d < to.size(); ++d)
      if (!to[d].is(1) && !strides[d].is(0)) place.terms.push_back({static_cast<int32_t>(d), 1, 0, strides[d]});
    return place;
  };
  switch (node.op()) {
  case Op::reshape: {
    if (node.operand(1)) return std::nullopt; // a shape of the run
    const auto strides = reshaped(from, *own, to);
    if (!strides) return std::nullopt;
    return set(*strides);
  }
  case Op::bitcast:
    if (bits(x->type().dtype()) != bits(y->type().dtype())) return std::nullopt;
    return operand;
  case Op::relayout: { // a tensor without two dims above 1 has one order only
    Dim bytes;
    const Placement wanted = dense(y->type(), operand.buffer, bytes);
    return strides(wanted, to.size()) == own ? std::optional(operand) : std::nullopt;
  }
  case Op::transpose: {
    std::vector<Dim> strides;
    for (int64_t axis : node.ints("perm")) strides.push_back((*own)[static_cast<size_t>(axis)]);
    Placement result = set(strides);
    if (!operand.halo.empty()) {
      for (int64_t axis : node.ints("perm")) result.halo.push_back(operand.halo[static_cast<size_t>(axis)]);
      result.fill = operand.fill;
    }
    return result;
  }
  case Op::slice: {
    if (!node.has_attribute("starts")) return std::nullopt;
    std::vector<Dim> strides = *own;
    const std::vector<int64_t> &axes = node.ints("axes");
    for (size_t k = 0; k < axes.size(); ++k) {
      const size_t d = static_cast<size_t>(axes[k]);
      const int64_t step = node.has_attribute("steps") ? node.ints("steps")[k] : 1;
      if (step < 0 && !(to[d].is_constant() && strides[d].is_constant())) return std::nullopt;
      place.offset += strides[d] * node.dims("starts")[k];
      strides[d] = strides[d] * step;
    }
    return set(strides);
  }
  case Op::broadcast: {
    std::vector<Dim> strides(to.size());
    const size_t skip = to.size() - from.size();
    for (size_t d = 0; d < from.size(); ++d) {
      if (from[d] == to[skip + d])
        strides[skip + d] = (*own)[d];
      else if (!from[d].is(1))
        return std::nullopt;
    }
    return set(strides);
  }
  default:
    return std::nullopt;
  }
}

} // namespace cameo::passes
