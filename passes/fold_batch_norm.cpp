// Folds affine maps of channels into the filters in front of them.
//
//   normalize kind = batch with constant scale, bias, mean, variance   =>   x * a[c] + b[c],
//                                        a = scale / sqrt(variance + epsilon), b = bias - mean * a
//   conv(x, w, bias) * a[m]   =>   conv(x, w * a[m], bias * a[m])
//   conv(x, w, bias) + b[m]   =>   conv(x, w, bias + b[m])
//   contract(x, w) * a[n]     =>   contract(x, w * a[n])      where w has the label of the last axis
//
// Computed in double, rounded once. It refuses constants that are not at hand or are not one number per channel,
// convolutions whose result or filters others use, and dtypes other than f32 and f64 (folding would round filters of
// f16 twice).
#include "cameo/passes/passes.h"

#include "cameo/ir/builder.h"

#include <cmath>

namespace cameo::passes {

namespace {

using namespace graph;

bool foldable(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

const ConstantData *data_of(const Value *v) {
  const ConstantData *c = v ? v->constant() : nullptr;
  return c && c->available() ? c : nullptr;
}

std::vector<double> numbers(const ConstantData &c) {
  std::vector<double> out(static_cast<size_t>(c.count()));
  for (int64_t i = 0; i < c.count(); ++i) out[static_cast<size_t>(i)] = c.as_double(i);
  return out;
}

// A constant that is one number, or one per index of `axis` in a tensor of that rank, as a list of `channels` numbers.
std::optional<std::vector<double>> per_channel(const Value *v, size_t rank, size_t axis, int64_t channels) {
  const ConstantData *c = data_of(v);
  if (!c || c->dims().size() > rank) return std::nullopt;
  for (size_t d = 0; d < c->dims().size(); ++d)
    if (c->dims()[d] != 1 && !(rank - c->dims().size() + d == axis && c->dims()[d] == channels)) return std::nullopt;
  std::vector<double> list = numbers(*c);
  if (list.size() == 1) list.assign(static_cast<size_t>(channels), list[0]);
  if (static_cast<int64_t>(list.size()) != channels) return std::nullopt;
  return list;
}

// x * a + b per channel instead of a batch normalisation of constant statistics.
bool rewrite_normalization(Graph &graph, Node *node) {
  if (!node->is(Op::normalize) || node->string("kind") != "batch" || node->result_count() != 1) return false;
  const Type &type = node->operand()->type();
  if (!foldable(type.dtype()) || type.rank() < 2 || !type.dim(1).is_constant()) return false;
  const int64_t channels = type.dim(1).value();
  std::vector<double> parameters[4]; // scale, bias, mean, variance
  for (size_t i = 0; i < 4; ++i) {
    if (!node->operand(i + 1)) {
      parameters[i].assign(static_cast<size_t>(channels), i == 0 ? 1 : 0);
      continue;
    }
    auto list = per_channel(node->operand(i + 1), 1, 0, channels);
    if (!list) return false;
    parameters[i] = std::move(*list);
  }
  std::vector<double> a, b;
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    a.push_back(parameters[0][c] / std::sqrt(parameters[3][c] + node->real_or("epsilon", 0)));
    b.push_back(parameters[1][c] - parameters[2][c] * a[c]);
  }
  std::vector<int64_t> dims(static_cast<size_t>(type.rank()) - 1, 1);
  dims[0] = channels;
  Builder builder = Builder::ahead_of(graph, node);
  builder.set_origin(node->origin());
  Value *scaled = builder.mul(node->operand(), builder.constant(ConstantData::of_rounded(type.dtype(), dims, a)));
  Value *result = builder.add(scaled, builder.constant(ConstantData::of_rounded(type.dtype(), dims, b)));
  graph.replace(node->result(), result);
  graph.erase(node);
  return true;
}

// The filter of a contraction whose columns are the last axis of the result: operand 1 with that label once, and in it
// alone.
std::optional<size_t> column_axis(const Node &contract) {
  const std::string &equation = contract.string("equation");
  const size_t comma = equation.find(','), arrow = equation.find("->");
  if (comma == std::string::npos || arrow + 2 >= equation.size()) return std::nullopt;
  const char label = equation.back();
  const std::string left = equation.substr(0, comma), right = equation.substr(comma + 1, arrow - comma - 1);
  if (left.find(label) != std::string::npos || right.find(label) == std::string::npos) return std::nullopt;
  if (right.find(label) != right.rfind(label)) return std::nullopt;
  return right.find(label);
}

// w with every element multiplied by the number of its index along `axis`.
Constant scaled(const ConstantData &w, size_t axis, const std::vector<double> &a) {
  std::vector<double> list = numbers(w);
  int64_t below = 1;
  for (size_t d = axis + 1; d < w.dims().size(); ++d) below *= w.dims()[d];
  for (size_t i = 0; i < list.size(); ++i)
    list[i] *= a[static_cast<size_t>(static_cast<int64_t>(i) / below % w.dims()[axis])];
  return ConstantData::of_rounded(w.dtype(), w.dims(), list);
}

// A product or sum by numbers per channel behind a convolution or contraction that nobody else reads.
bool fold_affine(Graph &graph, Node *node) {
  if (!node->is(Op::elementwise) || node->operand_count() != 2) return false;
  const bool product = node->fn() == Fn::mul;
  if (!product && node->fn() != Fn::add) return false;
  const DType dtype = node->result()->type().dtype();
  if (!foldable(dtype)) return false;
  for (size_t i = 0; i < 2; ++i) {
    Value *y = node->operand(i);
    Node *anchor = y->producer();
    if (!anchor || !y->has_one_use() || y->type() != node->result()->type()) continue;
    const bool conv = anchor->is(Op::conv) || anchor->is(Op::conv_transpose);
    if (!conv && !(anchor->is(Op::contract) && product)) continue;
    if (conv && (anchor->operand(3) || anchor->operand(4))) continue;
    if (anchor->has_attribute("compute") && anchor->dtype("compute") != dtype) continue;
    const size_t rank = static_cast<size_t>(y->type().rank()), axis = conv ? 1 : rank - 1;
    const ConstantData *w = data_of(anchor->operand(1));
    if (!w || w->dtype() != dtype || rank == 0 || !y->type().shape()[axis].is_constant()) continue;
    const int64_t channels = y->type().shape()[axis].value();
    const auto list = per_channel(node->operand(1 - i), rank, axis, channels);
    if (!list) continue;
    Builder builder = Builder::ahead_of(graph, anchor);
    builder.set_origin(anchor->origin());
    if (!conv) {
      const auto column = column_axis(*anchor);
      if (!column || w->dims()[*column] != channels || anchor->operand(2) || anchor->operand(3)) continue;
      graph.set_operand(anchor, 1, builder.constant(scaled(*w, *column, *list)));
    } else {
      std::vector<double> bias(static_cast<size_t>(channels), 0);
      if (anchor->operand(2)) {
        const auto known = per_channel(anchor->operand(2), 1, 0, channels);
        if (!known) continue;
        bias = *known;
      }
      // Filters of a transposed convolution have the channels of a group along axis 1.
      if (product && anchor->is(Op::conv_transpose) && anchor->integer("group") != 1) continue;
      if (product) graph.set_operand(anchor, 1, builder.constant(scaled(*w, anchor->is(Op::conv) ? 0 : 1, *list)));
      for (size_t c = 0; c < bias.size(); ++c) bias[c] = product ? bias[c] * (*list)[c] : bias[c] + (*list)[c];
      if (!product || anchor->operand(2)) {
        std::vector<Value *> operands = anchor->operands();
        operands.resize(std::max<size_t>(operands.size(), 3));
        operands[2] = builder.constant(ConstantData::of_rounded(dtype, {channels}, bias));
        graph.set_operands(anchor, operands);
      }
    }
    anchor->merge_origin(*node);
    const std::string name = node->result()->name();
    graph.replace(node->result(), y);
    if (!name.empty()) y->set_name(name);
    graph.erase(node);
    return true;
  }
  return false;
}

} // namespace

Result<bool> fold_batch_norm(Graph &graph, const PassOptions &) {
  bool changed = false;
  std::vector<Node *> nodes = Graph::all_nodes(graph.main().body);
  for (Node *node : nodes)
    if (node->is(Op::normalize)) changed |= rewrite_normalization(graph, node);
  for (Node *node : Graph::all_nodes(graph.main().body))
    if (node->is(Op::elementwise)) changed |= fold_affine(graph, node);
  return changed;
}

} // namespace cameo::passes
