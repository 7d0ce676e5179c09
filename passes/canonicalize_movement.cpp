// Laws of ops that move elements and compute nothing.
#include "canonicalize.h"

#include <algorithm>

namespace cameo::passes {

namespace {

using namespace graph;

// reshape, broadcast, transpose, slice, concat, pad, relayout to the type that is there already = x
bool identity(Rewriter &rewriter, Node *node) {
  if (node->operand()->type() != node->result()->type()) return false;
  rewriter.replace(node, node->operand());
  return true;
}

// The extents that a shape operand holds.
std::optional<Shape> known_shape(const Value *shape) {
  if (const Node *dims = producer(shape, Op::dims)) return dims->dims("values");
  auto ints = known_ints(shape);
  if (!ints) return std::nullopt;
  return Shape(ints->begin(), ints->end());
}

// reshape(x, shape) = reshape(x) where the shape is known; broadcast likewise
bool known_extents(Rewriter &rewriter, Node *node) {
  if (node->operand_count() < 2) return false;
  auto shape = known_shape(node->operand(1));
  if (!shape) return false;
  if (node->is(Op::broadcast)) {
    auto joined = broadcast_shapes(node->operand()->type().shape(), *shape);
    if (!joined) return false;
    shape = joined;
  }
  Type type = node->result()->type().with_shape(*shape);
  if (type.problem()) return false; // a run-time error
  rewriter.refine(node, node->result()->type(), type);
  node->result()->set_type(type);
  rewriter.graph().set_operands(node, {node->operand()});
  return true;
}

// reshape(reshape(x)) = reshape(x), whatever the shape between
bool reshape_of_reshape(Rewriter &rewriter, Node *node) {
  Node *inner = producer(node->operand(), Op::reshape);
  if (!inner) return false;
  rewriter.graph().set_operand(node, 0, inner->operand());
  node->merge_origin(*inner);
  return true;
}

// reshape(constant) = constant with those extents
bool reshape_of_constant(Rewriter &rewriter, Node *node) {
  Node *constant = producer(node->operand(), Op::constant);
  auto dims = node->result()->type().static_shape();
  if (!constant || !dims || node->operand_count() > 1) return false;
  const Constant &data = constant->tensor("value");
  if (!data->available() || node->result()->type().elements() != Dim(data->count())) return false;
  Value *value =
      rewriter.builder(node).value(Op::constant, {}, {{"value", data->with_dims(*dims)}}, node->result()->type());
  rewriter.replace(node, value);
  return true;
}

// transpose(transpose(x, p), q) = transpose(x, i -> p[q[i]])
bool transpose_of_transpose(Rewriter &rewriter, Node *node) {
  Node *inner = producer(node->operand(), Op::transpose);
  if (!inner) return false;
  std::vector<int64_t> perm = node->ints("perm");
  for (int64_t &axis : perm) axis = inner->ints("perm")[static_cast<size_t>(axis)];
  node->set("perm", std::move(perm));
  rewriter.graph().set_operand(node, 0, inner->operand());
  node->merge_origin(*inner);
  return true;
}

// transpose(x, p) = reshape(x) when the axes that are not of extent 1 keep their order
bool transpose_of_ones(Rewriter &rewriter, Node *node) {
  const std::vector<int64_t> &perm = node->ints("perm");
  int64_t last = -1;
  for (int64_t axis : perm) {
    if (node->operand()->type().dim(static_cast<int>(axis)).is(1)) continue;
    if (axis < last) return false;
    last = axis;
  }
  rewriter.replace(node, rewriter.builder(node).value(Op::reshape, {node->operand()}, {}, node->result()->type()));
  return true;
}

// transpose(x, identity) = x
bool transpose_identity(Rewriter &rewriter, Node *node) {
  const std::vector<int64_t> &perm = node->ints("perm");
  return std::is_sorted(perm.begin(), perm.end()) && identity(rewriter, node);
}

// concat(x) = x; operands without elements along the axis add nothing; concat(concat(a, b), c) = concat(a, b, c)
bool concat(Rewriter &rewriter, Node *node) {
  const int64_t axis = node->integer("axis");
  std::vector<Value *> operands;
  bool changed = false;
  for (Value *operand : node->operands()) {
    Node *inner = producer(operand, Op::concat);
    if (inner && inner->integer("axis") == axis && operand->has_one_use() && inner->operand_count() < 1024) {
      for (Value *each : inner->operands()) operands.push_back(each);
      node->merge_origin(*inner);
      changed = true;
    } else if (operand->type().is_ranked() && operand->type().dim(static_cast<int>(axis)).is(0) &&
               node->operand_count() > 1) {
      changed = true;
    } else {
      operands.push_back(operand);
    }
  }
  if (operands.empty()) operands.push_back(node->operand()); // all of them were empty
  if (operands.size() == 1) {
    rewriter.replace(node, operands[0]);
    return true;
  }
  if (changed) rewriter.graph().set_operands(node, std::move(operands));
  return changed;
}

// ---- Slices in static form: y[i] = x[start + i * step] per axis.

bool is_static_slice(const Node *node) { return node && node->operand_count() == 1; }

void set_slice(Node *node, const std::vector<int64_t> &axes, std::vector<Dim> starts, std::vector<int64_t> steps) {
  node->set("axes", axes);
  node->set("starts", std::move(starts));
  node->set("steps", std::move(steps));
}

// An axis that is read from the first to the last element with step 1 need not be named
bool slice_of_all(Rewriter &rewriter, Node *node) {
  if (!is_static_slice(node)) return false;
  std::vector<int64_t> axes, steps;
  std::vector<Dim> starts;
  const std::vector<int64_t> &old_axes = node->ints("axes");
  for (size_t i = 0; i < old_axes.size(); ++i) {
    const int axis = static_cast<int>(old_axes[i]);
    const bool whole = node->dims("starts")[i].is(0) && node->ints("steps")[i] == 1 &&
                       node->operand()->type().dim(axis) == node->result()->type().dim(axis);
    if (whole) continue;
    axes.push_back(axis);
    starts.push_back(node->dims("starts")[i]);
    steps.push_back(node->ints("steps")[i]);
  }
  if (axes.empty()) return identity(rewriter, node);
  if (axes.size() == old_axes.size()) return false;
  set_slice(node, axes, std::move(starts), std::move(steps));
  return true;
}

// slice(slice(x, s1, t1), s2, t2) = slice(x, s1 + s2 * t1, t1 * t2) per axis
bool slice_of_slice(Rewriter &rewriter, Node *node) {
  Node *inner = producer(node->operand(), Op::slice);
  if (!is_static_slice(node) || !is_static_slice(inner)) return false;
  const int rank = node->result()->type().rank();
  std::vector<Dim> starts(static_cast<size_t>(rank), 0);
  std::vector<int64_t> steps(static_cast<size_t>(rank), 1);
  for (const Node *slice : {inner, node})
    for (size_t i = 0; i < slice->ints("axes").size(); ++i) {
      const auto axis = static_cast<size_t>(slice->ints("axes")[i]);
      starts[axis] += slice->dims("starts")[i] * Dim(steps[axis]);
      if (!starts[axis].valid() || __builtin_mul_overflow(steps[axis], slice->ints("steps")[i], &steps[axis]))
        return false;
    }
  std::vector<int64_t> axes, kept_steps;
  std::vector<Dim> kept_starts;
  for (int axis = 0; axis < rank; ++axis) {
    const auto at = static_cast<size_t>(axis);
    if (starts[at].is(0) && steps[at] == 1 && inner->operand()->type().dim(axis) == node->result()->type().dim(axis))
      continue;
    axes.push_back(axis);
    kept_starts.push_back(starts[at]);
    kept_steps.push_back(steps[at]);
  }
  set_slice(node, axes, std::move(kept_starts), std::move(kept_steps));
  rewriter.graph().set_operand(node, 0, inner->operand());
  node->merge_origin(*inner);
  return true;
}

// pad(x) by nothing = x
bool pad_nothing(Rewriter &rewriter, Node *node) {
  if (!node->has_attribute("low")) return false;
  for (const char *side : {"low", "high"})
    for (const Dim &amount : node->dims(side))
      if (!amount.is(0)) return false;
  return identity(rewriter, node);
}

// gather(x, i) = reshape(slice(x, i, 1)) for one constant index that is certainly in range
bool gather_one(Rewriter &rewriter, Node *node) {
  auto index = known_ints(node->operand(1));
  if (!index || index->size() != 1 || !node->operand()->type().is_ranked()) return false;
  const int64_t axis = node->integer("axis");
  const Dim &extent = node->operand()->type().dim(static_cast<int>(axis));
  const Interval bounds = rewriter.graph().bounds(extent);
  const int64_t i = (*index)[0], least = i < 0 ? -i : i;
  if (i == INT64_MIN || !bounds.lower || *bounds.lower < (i < 0 ? least : least + 1)) return false;
  Builder builder = rewriter.builder(node);
  Value *slice = builder.slice(node->operand(), axis, i < 0 ? extent + Dim(i) : Dim(i), 1);
  rewriter.push(slice->producer());
  rewriter.replace(node, builder.reshape(slice, node->result()->type().shape()));
  return true;
}

constexpr Law kLaws[] = {
    {Op::reshape, known_extents},
    {Op::reshape, identity},
    {Op::reshape, reshape_of_reshape},
    {Op::reshape, reshape_of_constant},
    {Op::broadcast, known_extents},
    {Op::broadcast, identity},
    {Op::relayout, identity},
    {Op::transpose, transpose_of_transpose},
    {Op::transpose, transpose_identity},
    {Op::transpose, transpose_of_ones},
    {Op::concat, concat},
    {Op::slice, slice_of_slice},
    {Op::slice, slice_of_all},
    {Op::pad, pad_nothing},
    {Op::gather, gather_one},
};

} // namespace

std::span<const Law> movement_rules() { return kLaws; }

} // namespace cameo::passes
