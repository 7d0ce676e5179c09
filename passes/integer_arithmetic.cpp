// Recovers integer sums of products from reals that stand for integers.
//
//   %a = dequantize %x, 0.1, 3                  %p = pad %x, 3
//   %b = dequantize %w, 0.5              =>     %c = conv %p, %v, %d {compute = i32} : i32
//   %c = conv %a, %b, %bias : f32               %f = cast %c : f32
//                                               %y = mul %f, 0.05
//
// x has 8 bits and one scale; w is a constant of at most 8 bits with one scale, or one per channel of the result. With
// integers
//
//   sum of (x - zx) * sx * (w - zw) * sw + bias = (sum of x * v + d) * (sx * sw),      v = w - zw,   d = bias / (sx *
//   sw) - zx * sum of v
//
// where x is zx outside of its extents. The sums are exact, so this only takes away the rounding of the real ones.
// Signed x counts as x + 128: its quantize is asked for that, or the sign bit is flipped. Integer convolutions with
// zero points (of ONNX's own integer operators) become the same form; there a zero point that only the run knows is
// subtracted behind the sum, or in front of it where there is padding.
//
// Integer operators with v of 9 bits take v - d and add d times the sum of x.
//
// It refuses other v outside of [-128, 127], sums that may leave 32 bits, scales along other axes, and what is not
// constant in w.
#include "cameo/passes/passes.h"

#include "quantized.h"

#include "cameo/ir/builder.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace cameo::passes {

namespace {

using namespace graph;

/// A constant filter or matrix as signed bytes, with what belongs to each channel of the result.
struct Weights {
  Constant bytes; ///< v - offset, of the dims of w
  int64_t offset = 0;
  std::vector<int64_t> sums;   ///< of v, per channel
  std::vector<int64_t> limits; ///< of |v|, per channel
};

// Number of each of `channels` channels: given once for all, or per channel.
std::optional<std::vector<int64_t>> integers_of(const Value *v, int64_t channels) {
  if (!v) return std::vector<int64_t>(static_cast<size_t>(channels), 0);
  const ConstantData *c = data_of(v);
  if (!c || !is_integer(c->dtype()) || (c->count() != 1 && (c->count() != channels || c->dims().size() != 1)))
    return std::nullopt;
  std::vector<int64_t> list = c->as_ints();
  list.resize(static_cast<size_t>(channels), list[0]);
  return list;
}

std::optional<std::vector<float>> reals_of(const Value *v, int64_t channels) {
  const ConstantData *c = data_of(v);
  if (!c || c->dtype() != DType::f32 || (c->count() != 1 && (c->count() != channels || c->dims().size() != 1)))
    return std::nullopt;
  std::vector<float> list;
  for (int64_t i = 0; i < channels; ++i) list.push_back(static_cast<float>(c->as_double(c->count() == 1 ? 0 : i)));
  return list;
}

// v = w - zero with channels along `axis`. Where v spans no more than 256 values but is no signed byte, `offset` makes
// it one.
std::optional<Weights> weights_of(const ConstantData &w, const std::vector<int64_t> &zero, size_t axis) {
  if (!is_integer(w.dtype()) || bits(w.dtype()) > 8) return std::nullopt;
  const int64_t channels = w.dims()[axis];
  int64_t below = 1;
  for (size_t d = axis + 1; d < w.dims().size(); ++d) below *= w.dims()[d];
  Weights out;
  out.sums.assign(static_cast<size_t>(channels), 0);
  out.limits = out.sums;
  std::vector<int64_t> values = w.as_ints();
  for (size_t i = 0; i < values.size(); ++i) {
    const auto channel = static_cast<size_t>(static_cast<int64_t>(i) / below % channels);
    values[i] -= zero[channel];
    out.sums[channel] += values[i];
    out.limits[channel] += std::abs(values[i]);
  }
  if (values.empty()) return std::nullopt;
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  if (*greatest - *least > 255) return std::nullopt;
  out.offset = *greatest > 127 ? *greatest - 127 : std::min<int64_t>(*least + 128, 0);
  const int64_t terms = static_cast<int64_t>(values.size()) / channels;
  for (int64_t &limit : out.limits) limit += std::abs(out.offset) * terms;
  for (int64_t &v : values) v -= out.offset;
  out.bytes = ConstantData::of_ints(DType::i8, w.dims(), values);
  return out;
}

// -zero * sums + bias, unless sums of that many bytes may leave 32 bits.
std::optional<std::vector<int64_t>> folded_bias(const Weights &w, int64_t zero, std::vector<int64_t> bias) {
  for (size_t c = 0; c < bias.size(); ++c) {
    if (255 * w.limits[c] + std::abs(zero * w.sums[c]) + std::abs(bias[c]) > INT32_MAX) return std::nullopt;
    bias[c] -= zero * w.sums[c];
  }
  return bias;
}

/// Where the channels of the result lie, and of which constant.
struct Columns {
  size_t in_w = 0, in_y = 0; ///< axes
};

// Of a contraction of x with a matrix w whose labels are either summed or columns, one column label in all.
std::optional<Columns> columns_of(const Node &contract) {
  const std::string &equation = contract.string("equation");
  const size_t comma = equation.find(','), arrow = equation.find("->");
  if (comma == std::string::npos) return std::nullopt;
  const std::string x = equation.substr(0, comma), w = equation.substr(comma + 1, arrow - comma - 1),
                    y = equation.substr(arrow + 2);
  std::optional<Columns> found;
  for (size_t i = 0; i < w.size(); ++i) {
    const size_t in_x = x.find(w[i]), in_y = y.find(w[i]);
    if (w.find(w[i]) != i || (in_x == std::string::npos) == (in_y == std::string::npos)) return std::nullopt;
    if (in_x != std::string::npos) { // summed: extents must agree, for nothing is broadcast in the sums of v
      if (contract.operand(0)->type().dim(static_cast<int>(in_x)) !=
          contract.operand(1)->type().dim(static_cast<int>(i)))
        return std::nullopt;
      continue;
    }
    if (found) return std::nullopt;
    found = Columns{i, in_y};
  }
  return found && w.size() > 1 ? found : std::nullopt;
}

class Recovery {
public:
  explicit Recovery(Graph &graph) : graph_(graph) {}

  bool run() {
    bool changed = false;
    for (Node *node : Graph::all_nodes(graph_.main().body)) {
      if (node->erased()) continue;
      const bool conv = node->is(Op::conv);
      if (!conv && !node->is(Op::contract)) continue;
      if (node->result()->type().dtype() == DType::f32)
        changed |= conv ? real_conv(node) : real_contract(node);
      else if (node->result()->type().dtype() == DType::i32)
        changed |= conv ? integer_conv(node) : integer_contract(node);
    }
    for (Node *node : Graph::all_nodes(graph_.main().body))
      if (node->is(Op::dequantize)) read_flipped(node);
    return changed;
  }

private:
  // ---- operands

  /// x as unsigned bytes with the zero point that belongs to them.
  std::pair<Value *, int64_t> unsigned_bytes(Value *x, int64_t zero) {
    if (x->type().dtype() == DType::u8) return {x, zero};
    return {flipped(x), zero + 128};
  }

  // The u8 tensor x + 128. What quantises x does it in one step; moves follow.
  Value *flipped(Value *x) {
    if (auto it = flipped_.find(x); it != flipped_.end()) return it->second;
    Node *producer = x->producer();
    const Type type = x->type().with_dtype(DType::u8);
    Value *result = nullptr;
    if (producer && producer->is(Op::quantize) && per_tensor(*producer)) {
      std::vector<Value *> operands = producer->operands();
      Builder builder = Builder::ahead_of(graph_, producer);
      const int64_t zero = per_tensor(*producer)->zero + 128;
      operands.resize(3);
      operands[2] = builder.constant(ConstantData::scalar_int(DType::u8, zero));
      result = graph_
                   .create(InsertPoint::ahead_of(producer), Op::quantize, std::move(operands), producer->attributes(),
                           {type}, producer->origin())
                   ->result();
    } else if (producer && producer->result_count() == 1 && moves(*producer)) {
      std::vector<Value *> operands = producer->operands();
      for (size_t i = 0; i < (producer->is(Op::concat) ? operands.size() : 1); ++i) operands[i] = flipped(operands[i]);
      result = graph_
                   .create(InsertPoint::ahead_of(producer), producer->op(), std::move(operands), producer->attributes(),
                           {type}, producer->origin())
                   ->result();
    } else {
      const InsertPoint at = producer ? behind(producer) : InsertPoint{x->region(), x->region()->first()};
      Builder builder(graph_, at);
      Value *bits = builder.value(Op::bitcast, {x}, {}, type);
      Value *sign = builder.constant(ConstantData::scalar_int(DType::u8, 128));
      result = builder.value(Op::elementwise, {bits, sign}, {{"fn", Fn::bitwise_xor}}, type);
    }
    flipped_[x] = result;
    return result;
  }

  // Nobody else should need the signed bytes.
  void read_flipped(Node *dequantize) {
    const auto it = flipped_.find(dequantize->operand());
    const auto by = it == flipped_.end() ? std::nullopt : per_tensor(*dequantize);
    if (!by) return;
    Builder builder = Builder::ahead_of(graph_, dequantize);
    Value *zero = builder.constant(ConstantData::scalar_int(DType::u8, by->zero + 128));
    graph_.set_operands(dequantize, {it->second, dequantize->operand(1), zero});
  }

  static bool moves(const Node &node) {
    return node.is(Op::reshape) || node.is(Op::transpose) || node.is(Op::slice) || node.is(Op::concat) ||
           node.is(Op::broadcast) || (node.is(Op::pool) && node.string("fn") == "max");
  }

  static InsertPoint behind(Node *node) {
    bool next = false;
    for (Node *other : node->region()->nodes()) {
      if (next) return InsertPoint::ahead_of(other);
      next = other == node;
    }
    return InsertPoint::end(node->region());
  }

  /// dequantize(constant) with scales along `axis`.
  struct RealWeights {
    Weights weights;
    std::vector<float> scales; ///< per channel
  };
  static std::optional<RealWeights> real_weights(const Value *v, size_t axis) {
    const Node *node = v->producer();
    const ConstantData *w = node && node->is(Op::dequantize) ? data_of(node->operand()) : nullptr;
    if (!w || node->has_attribute("block") || w->dims().size() <= axis || v->type().dtype() != DType::f32)
      return std::nullopt;
    const bool per_channel = node->operand(1)->type().rank() > 0 && !node->operand(1)->type().dim(0).is(1);
    if (per_channel && node->integer("axis") != static_cast<int64_t>(axis)) return std::nullopt;
    const int64_t channels = w->dims()[axis];
    const auto zero = integers_of(node->operand(2), channels);
    auto scales = reals_of(node->operand(1), channels);
    if (!zero || !scales) return std::nullopt;
    auto weights = weights_of(*w, *zero, axis);
    if (!weights || weights->offset != 0) return std::nullopt;
    return RealWeights{std::move(*weights), std::move(*scales)};
  }

  // bias = integers * scales exactly.
  static std::optional<std::vector<int64_t>> integer_bias(const Value *bias, const std::vector<float> &scales) {
    const auto channels = static_cast<int64_t>(scales.size());
    if (!bias) return std::vector<int64_t>(scales.size(), 0);
    const Node *node = bias->producer();
    if (!node || !node->is(Op::dequantize) || node->has_attribute("block")) return std::nullopt;
    const auto own = reals_of(node->operand(1), channels);
    if (!own || *own != scales) return std::nullopt;
    const ConstantData *data = data_of(node->operand());
    const auto zero = integers_of(node->operand(2), channels);
    if (!data || !zero || data->count() != channels || bits(data->dtype()) > 32) return std::nullopt;
    std::vector<int64_t> list = data->as_ints();
    for (size_t c = 0; c < list.size(); ++c) list[c] -= (*zero)[c];
    return list;
  }

  // A constant with `list` along axis `axis` of a tensor of that rank; one number when all are equal.
  template <class T>
  Value *channel_constant(Builder &builder, DType dtype, const std::vector<T> &list, size_t rank, size_t axis) {
    std::vector<int64_t> dims(rank - axis, 1);
    dims[0] = static_cast<int64_t>(list.size());
    std::vector<double> values(list.begin(), list.end());
    if (std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; })) {
      dims.clear();
      values.resize(1);
    }
    return builder.constant(ConstantData::of(dtype, dims, values));
  }

  // The real value of integer sums, in place of the node.
  void scale_sums(Node *node, Builder &builder, Value *sums, const std::vector<float> &scales, size_t axis,
                  Value *bias) {
    const auto rank = static_cast<size_t>(node->result()->type().rank());
    Value *real = builder.cast(sums, DType::f32, false);
    real = builder.mul(real, channel_constant(builder, DType::f32, scales, rank, axis));
    if (bias) real = builder.add(real, bias);
    graph_.replace(node->result(), real);
    graph_.erase(node);
  }

  /// Sums over x, in place of `conv`; outside of x there is `zero`.
  Value *integer_sums(const Node &conv, Builder &builder, Value *x, Value *filter, Value *bias, int64_t zero) {
    Attributes attributes = conv.attributes();
    std::vector<Dim> pads = conv.dims("pads");
    const size_t spatial = pads.size() / 2;
    const bool padded = std::any_of(pads.begin(), pads.end(), [](const Dim &d) { return !d.is(0); });
    if (padded && zero != 0) {
      std::vector<Dim> low(2, Dim(0)), high(2, Dim(0));
      low.insert(low.end(), pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(spatial));
      high.insert(high.end(), pads.begin() + static_cast<std::ptrdiff_t>(spatial), pads.end());
      Shape shape = x->type().shape();
      for (size_t d = 0; d < shape.size(); ++d) shape[d] = shape[d] + low[d] + high[d];
      Value *value = builder.constant(ConstantData::scalar_int(DType::u8, zero));
      x = builder.value(Op::pad, {x, value}, {{"high", high}, {"low", low}, {"mode", std::string("constant")}},
                        Type::tensor(DType::u8, std::move(shape)));
      pads.assign(pads.size(), Dim(0));
    }
    for (auto &[name, value] : attributes)
      if (name == "pads") value = pads;
    std::erase_if(attributes, [](const auto &a) { return a.first == "compute"; });
    attributes.insert(attributes.begin(), {"compute", DType::i32});
    std::vector<Value *> operands{x, filter};
    if (bias) operands.push_back(bias);
    return builder.value(Op::conv, std::move(operands), std::move(attributes),
                         conv.result()->type().with_dtype(DType::i32));
  }

  // ---- dequantised operands

  bool real_conv(Node *node) {
    if (node->operand(3) || node->operand(4)) return false;
    if (node->has_attribute("compute") && node->dtype("compute") != DType::f32) return false;
    const auto x = dequantized(node->operand(0));
    const auto w = x ? real_weights(node->operand(1), 0) : std::nullopt;
    if (!w) return false;
    std::vector<float> scales = w->scales;
    for (float &s : scales) s *= x->by.scale;
    const auto known = integer_bias(node->operand(2), scales);
    const auto [bytes, zero] = unsigned_bytes(x->x, x->by.zero);
    const auto bias = folded_bias(w->weights, zero, known ? *known : std::vector<int64_t>(scales.size(), 0));
    if (!bias) return false;
    Builder builder = Builder::ahead_of(graph_, node);
    builder.set_origin(node->origin());
    Value *filter = builder.constant(w->weights.bytes);
    Value *start = builder.constant(ConstantData::of_ints(DType::i32, {static_cast<int64_t>(bias->size())}, *bias));
    Value *sums = integer_sums(*node, builder, bytes, filter, start, zero);
    Value *real = nullptr;
    if (!known) { // one number per channel, along axis 1
      Shape shape(static_cast<size_t>(node->result()->type().rank()) - 1, Dim(1));
      shape[0] = node->operand(2)->type().dim(0);
      real = builder.reshape(node->operand(2), std::move(shape));
    }
    scale_sums(node, builder, sums, scales, 1, real);
    return true;
  }

  bool real_contract(Node *node) {
    if (!node->operand(1) || node->operand(2) || node->operand(3)) return false;
    if (node->has_attribute("compute") && node->dtype("compute") != DType::f32) return false;
    const auto x = dequantized(node->operand(0));
    const auto columns = x ? columns_of(*node) : std::nullopt;
    const auto w = columns ? real_weights(node->operand(1), columns->in_w) : std::nullopt;
    if (!w) return false;
    std::vector<float> scales = w->scales;
    for (float &s : scales) s *= x->by.scale;
    const auto [bytes, zero] = unsigned_bytes(x->x, x->by.zero);
    const auto bias = folded_bias(w->weights, zero, std::vector<int64_t>(scales.size(), 0));
    if (!bias) return false;
    Builder builder = Builder::ahead_of(graph_, node);
    builder.set_origin(node->origin());
    Value *sums = integer_product(node, builder, bytes, w->weights, *bias, *columns);
    scale_sums(node, builder, sums, scales, columns->in_y, nullptr);
    return true;
  }

  // x * v + bias.
  Value *integer_product(const Node *node, Builder &builder, Value *x, const Weights &w,
                         const std::vector<int64_t> &bias, const Columns &columns) {
    const Type type = node->result()->type().with_dtype(DType::i32);
    Value *sums = builder.value(Op::contract, {x, builder.constant(w.bytes)},
                                {{"compute", DType::i32}, {"equation", node->string("equation")}}, type);
    if (std::all_of(bias.begin(), bias.end(), [](int64_t b) { return b == 0; })) return sums;
    return builder.add(sums,
                       channel_constant(builder, DType::i32, bias, static_cast<size_t>(type.rank()), columns.in_y));
  }

  // ---- integer operators with zero points

  // w - w_zero as signed bytes, when x is u8 and there is a zero point to take away.
  static std::optional<Weights> zeroed_weights(const Node &node, size_t x_zero, size_t w_zero, size_t axis) {
    const ConstantData *w = data_of(node.operand(1));
    if (!w || w->dims().size() <= axis || node.operand(0)->type().dtype() != DType::u8) return std::nullopt;
    if (!node.operand(x_zero) && !node.operand(w_zero)) return std::nullopt;
    const auto zero = integers_of(node.operand(w_zero), w->dims()[axis]);
    return zero ? weights_of(*w, *zero, axis) : std::nullopt;
  }

  // A zero point of the whole tensor.
  static bool is_scalar(const Value *zero) { return !zero || product(zero->type().shape()).is(1); }

  // zero * sums, where only the run knows the zero point.
  Value *zero_term(Builder &builder, Value *zero, const Weights &w, size_t rank, size_t axis) {
    Value *scalar = builder.cast(builder.reshape(zero, {}), DType::i32, false);
    return builder.mul(scalar, channel_constant(builder, DType::i32, w.sums, rank, axis));
  }

  // offset * the sum of x over `axis`, which stays with an extent of 1.
  Value *offset_term(Builder &builder, Value *x, int64_t offset, int64_t axis) {
    Value *sum = builder.reduce("sum", builder.cast(x, DType::i32, false), {axis}, true);
    return builder.mul(sum, builder.constant(ConstantData::scalar_int(DType::i32, offset)));
  }

  static bool is_product_of_pixels(const Node &conv) {
    const Shape &filter = conv.operand(1)->type().shape();
    const auto &strides = conv.ints("strides");
    return conv.integer("group") == 1 &&
           std::all_of(filter.begin() + 2, filter.end(), [](const Dim &d) { return d.is(1); }) &&
           std::all_of(strides.begin(), strides.end(), [](int64_t s) { return s == 1; });
  }

  // conv(x - zero, v) in 16 bits: the differences are 0 outside of x, as padding is, whatever the zero point.
  bool centred_conv(Node *node, const Weights &w) {
    const auto none = folded_bias(w, 255, std::vector<int64_t>(w.sums.size(), 0));
    if (!none) return false;
    Builder builder = Builder::ahead_of(graph_, node);
    builder.set_origin(node->origin());
    std::vector<int64_t> values = w.bytes->as_ints();
    for (int64_t &v : values) v += w.offset;
    Value *filter = builder.constant(ConstantData::of_ints(DType::i16, w.bytes->dims(), values));
    Value *zero = builder.cast(builder.reshape(node->operand(3), {}), DType::i16, false);
    Value *x = builder.sub(builder.cast(node->operand(0), DType::i16, false), zero);
    graph_.replace(node->result(), integer_sums(*node, builder, x, filter, node->operand(2), 0));
    graph_.erase(node);
    return true;
  }

  bool integer_conv(Node *node) {
    const auto w = zeroed_weights(*node, 3, 4, 0);
    if (!w || !is_scalar(node->operand(3))) return false;
    const ConstantData *known = data_of(node->operand(3));
    const bool at_run = node->operand(3) && !known;
    const std::vector<Dim> &pads = node->dims("pads");
    const bool padded = !std::all_of(pads.begin(), pads.end(), [](const Dim &d) { return d.is(0); });
    if (padded && at_run) return centred_conv(node, *w);
    if (padded && w->offset != 0) return false;
    if (w->offset != 0 && !is_product_of_pixels(*node)) return false;
    const auto channels = static_cast<int64_t>(w->sums.size());
    const auto own = integers_of(node->operand(2), channels);
    const int64_t zero = known ? known->as_int(0) : 0;
    const auto bias = own ? folded_bias(*w, at_run ? 255 : zero, *own) : std::nullopt;
    if (!bias) return false;
    Builder builder = Builder::ahead_of(graph_, node);
    builder.set_origin(node->origin());
    Value *start = at_run ? node->operand(2) : builder.constant(ConstantData::of_ints(DType::i32, {channels}, *bias));
    Value *sums = integer_sums(*node, builder, node->operand(0), builder.constant(w->bytes), start, zero);
    if (at_run)
      sums = builder.sub(
          sums, zero_term(builder, node->operand(3), *w, static_cast<size_t>(node->result()->type().rank()), 1));
    if (w->offset != 0) sums = builder.add(sums, offset_term(builder, node->operand(0), w->offset, 1));
    graph_.replace(node->result(), sums);
    graph_.erase(node);
    return true;
  }

  // `...k,kn->...n`.
  static bool is_row_product(const std::string &equation) {
    const size_t comma = equation.find(',');
    return equation.size() == 2 * comma + 5 && equation[comma - 1] == equation[comma + 1] &&
           equation.compare(0, comma - 1, equation, comma + 5, comma - 1) == 0 &&
           equation.back() == equation[comma + 2];
  }

  bool integer_contract(Node *node) {
    if (!node->operand(1)) return false;
    const auto columns = columns_of(*node);
    const auto w = columns ? zeroed_weights(*node, 2, 3, columns->in_w) : std::nullopt;
    if (!w || !is_scalar(node->operand(2))) return false;
    // Sums of rows of x stand beside those of the product where the columns of both are last.
    const int last = node->result()->type().rank() - 1;
    if (w->offset != 0 && (node->operand(0)->type().rank() != last + 1 || !is_row_product(node->string("equation"))))
      return false;
    const ConstantData *known = data_of(node->operand(2));
    const bool at_run = node->operand(2) && !known;
    const auto bias = folded_bias(*w,
                                  at_run  ? 255
                                  : known ? known->as_int(0)
                                          : 0,
                                  std::vector<int64_t>(w->sums.size(), 0));
    if (!bias) return false;
    Builder builder = Builder::ahead_of(graph_, node);
    builder.set_origin(node->origin());
    Value *sums = integer_product(node, builder, node->operand(0), *w,
                                  at_run ? std::vector<int64_t>(bias->size(), 0) : *bias, *columns);
    if (at_run)
      sums = builder.sub(sums, zero_term(builder, node->operand(2), *w,
                                         static_cast<size_t>(node->result()->type().rank()), columns->in_y));
    if (w->offset != 0) sums = builder.add(sums, offset_term(builder, node->operand(0), w->offset, last));
    graph_.replace(node->result(), sums);
    graph_.erase(node);
    return true;
  }

  Graph &graph_;
  std::unordered_map<const Value *, Value *> flipped_; ///< looked up, never iterated
};

} // namespace

Result<bool> integer_arithmetic(Graph &graph, const PassOptions &) { return Recovery(graph).run(); }

} // namespace cameo::passes
