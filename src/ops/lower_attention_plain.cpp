// Scaled dot-product attention with everything that ONNX Attention says, step by step: the plain form, right for every
// attribute.
//
//   score[b, h, s, t] = scale * sum over e of q[b, h, s, e] * k[b, h / each, t, e]
//   capped            = cap * tanh(score / cap)
//   masked            = capped + bias, bias: 0 or the mask, minus infinity where causality or the number of valid keys
//   forbids t p                 = softmax of masked over t; 0 in a row whose bias forbids every key y[b, h, s, u]     =
//   sum over t of p[b, h, s, t] * v[b, h / each, t, u]
//
// `each` query heads share a key head: a head is the pair (g, r) of axes then, where their numbers are known. Keys and
// values of the past stand before k and v. Query i of the block has position past + i, or, where `kv_lengths` says how
// many keys are valid, length - queries + i.
#include "lowering.h"

#include <limits>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

class Attention {
public:
  Attention(Lowering &l, const graph::Node &node)
      : l_(l), node_(node), q_(node.operand(0)), k_(node.operand(1)), v_(node.operand(2)), mask_(node.operand(3)),
        past_key_(node.operand(4)), past_value_(node.operand(5)), lengths_(node.operand(6)) {}

  Problem run() {
    if (node_.region_count() > 0) return "attention with modifiers has no kernel";
    const DType stored = q_->type().dtype();
    for (const Value *v : node_.operands())
      if (v && v != mask_ && v != lengths_ && !is_float(v->type().dtype()))
        return "attention of " + std::string(name(v->type().dtype())) + " has no kernel";
    const DType compute = node_.has_attribute("compute") ? node_.dtype("compute") : stored;
    dtype_ = compute == DType::f64 || stored == DType::f64 ? DType::f64 : DType::f32;
    t_ = value_type(dtype_);
    const graph::Shape &qs = q_->type().shape(), &ks = k_->type().shape();
    if (qs[1].is_constant() && ks[1].is_constant()) {
      groups_ = ks[1].value();
      each_ = groups_ == 0 ? 1 : qs[1].value() / groups_;
    } else if (qs[1] != ks[1]) { // only the run knows which key head a query head has
      const ExprId one = l_.integer(1);
      const ExprId each =
          op(Opcode::max, op(Opcode::div, l_.dim_value(qs[1]), op(Opcode::max, l_.dim_value(ks[1]), one)), one);
      key_head_ = Lowering::at(op(Opcode::div, l_.index_value(loop::axis_index(1)), each));
    }
    past_ = past_key_ ? past_key_->type().shape()[2] : Dim(0);
    keys_ = past_ + ks[2];
    rows_ = heads({qs[0], qs[1], qs[2]});
    scores();
    if (node_.result_count() > 3) {
      const Space space = with(rows_, keys_);
      const std::string_view stage = node_.string_or("qk_output", "raw");
      const ExprId value = stage == "raw"      ? scaled()
                           : stage == "capped" ? capped()
                           : stage == "masked" ? l_.read_stage(masked_)
                                               : l_.read_stage(p_);
      define(node_.result(3), space, value, "qk");
    }
    product();
    if (node_.result_count() > 1) present(node_.result(1), k_, past_key_);
    if (node_.result_count() > 2) present(node_.result(2), v_, past_value_);
    return {};
  }

private:
  ExprId c(double value) { return l_.number(t_, value); }
  ExprId lowest() { return l_.kernel().constant(t_, -std::numeric_limits<double>::infinity()); }
  ExprId op(Opcode code, ExprId a, ExprId b) { return l_.op(code, a, b); }

  // The space of a [b, h, s] tensor: heads as (key head, one of its query heads) where several share one.
  Space heads(const graph::Shape &shape) {
    Space space = l_.space(shape);
    if (each_ == 1) return space;
    space.axes[1] = {"g", loop::Extent(groups_), AxisKind::parallel};
    space.axes.insert(space.axes.begin() + 2, {"r", loop::Extent(each_), AxisKind::parallel});
    space.dims[1] = loop::axis_index(1, each_);
    space.dims[1].axes.emplace_back(2, 1);
    space.dims[2] = loop::axis_index(3);
    return space;
  }
  // One more dim behind.
  Space with(Space space, const Dim &extent) {
    space.dims.push_back(loop::axis_index(static_cast<int32_t>(space.axes.size())));
    space.axes.push_back({"d" + std::to_string(space.dims.size() - 1), l_.extent(extent), AxisKind::parallel});
    return space;
  }
  int32_t last() const { return static_cast<int32_t>(rows_.axes.size()); } ///< the axis behind those of a row

  // Element [b, head, at, column] of the past followed by x.
  ExprId joined(const Value *x, const Value *past, const Index &batch, const Index &head, const Index &at,
                const Index &column) {
    const OutOfRange rule = head.indirect >= 0 ? OutOfRange::clamp : OutOfRange::never;
    if (!past) return convert(l_, l_.read(x, {batch, head, at, column}, rule), x->type().dtype(), t_);
    const ExprId behind = l_.read(x, {batch, head, l_.offset(at, Dim(0) - past_), column}, OutOfRange::clamp);
    const ExprId before = l_.read(past, {batch, head, at, column}, OutOfRange::clamp);
    const ExprId is_past = op(Opcode::lt, l_.index_value(at), l_.dim_value(past_));
    return l_.select(is_past, convert(l_, before, past->type().dtype(), t_),
                     convert(l_, behind, x->type().dtype(), t_));
  }

  ExprId scaled() { return op(Opcode::mul, l_.read_stage(score_), c(node_.real("scale"))); }
  ExprId capped() {
    if (!node_.has_attribute("softcap")) return scaled();
    const double cap = node_.real("softcap");
    return op(Opcode::mul, l_.op(Opcode::tanh, op(Opcode::div, scaled(), c(cap))), c(cap));
  }

  // What is added to the score of key `last()`; -1: nothing.
  ExprId bias() {
    const Index key = loop::axis_index(last());
    ExprId sum = -1, allowed = -1;
    auto also = [&](ExprId condition) { allowed = allowed < 0 ? condition : op(Opcode::bit_and, allowed, condition); };
    if (mask_) {
      std::vector<Index> dims = rows_.dims;
      dims.push_back(key);
      const graph::Shape &qs = q_->type().shape();
      const ExprId m = l_.read_broadcast(mask_, {qs[0], qs[1], qs[2], keys_}, dims);
      if (mask_->type().dtype() == DType::boolean)
        also(m);
      else
        sum = convert(l_, m, mask_->type().dtype(), t_);
    }
    ExprId length = -1;
    if (lengths_) {
      length = convert(l_, l_.read(lengths_, {rows_.dims[0]}), lengths_->type().dtype(), Scalar::i64);
      also(op(Opcode::lt, l_.index_value(key), length));
    }
    if (node_.flag("causal")) {
      const ExprId ahead =
          lengths_ ? op(Opcode::sub, length, l_.dim_value(q_->type().shape()[2])) : l_.dim_value(past_);
      also(op(Opcode::le, l_.index_value(key), op(Opcode::add, l_.index_value(rows_.dims[2]), ahead)));
    }
    if (allowed < 0) return sum;
    return l_.select(allowed, sum < 0 ? c(0) : sum, lowest());
  }

  // A value of `outer` and of the reduction axis behind it, reduced.
  int32_t reduce(const Space &outer, std::string_view name, Opcode code, ExprId init, ExprId element) {
    loop::Stage stage = l_.stage(outer, name);
    Lowering::add_reduction(stage, "t", l_.extent(keys_));
    stage.types = {t_};
    stage.init = {init};
    stage.next = {op(code, l_.kernel().carried(t_), element)};
    stage.combine = code;
    return l_.add_stage(std::move(stage));
  }
  int32_t pointwise(const Space &space, std::string_view name, ExprId value) {
    loop::Stage stage = l_.stage(space, name);
    stage.types = {t_};
    stage.next = {value};
    return l_.add_stage(std::move(stage));
  }
  // A stage over rows and keys, where the axis of keys is parallel or reduced.
  ExprId over_keys(int32_t stage) {
    std::vector<Index> at;
    for (int32_t a = 0; a <= last(); ++a) at.push_back(loop::axis_index(a));
    return l_.kernel().read_stage(stage, at);
  }
  ExprId of_row(int32_t stage) {
    std::vector<Index> at;
    for (int32_t a = 0; a < last(); ++a) at.push_back(loop::axis_index(a));
    return l_.kernel().read_stage(stage, at);
  }

  void scores() {
    const Space full = with(rows_, keys_);
    loop::Stage stage = l_.stage(full, "score");
    const Index e = loop::axis_index(Lowering::add_reduction(stage, "e", l_.extent(q_->type().shape()[3])));
    std::vector<Index> query = rows_.dims;
    query.push_back(e);
    const ExprId a = convert(l_, l_.read(q_, query), q_->type().dtype(), t_);
    const ExprId b = joined(k_, past_key_, rows_.dims[0], key_head_, full.dims[3], e);
    stage.types = {t_};
    stage.init = {c(0)};
    stage.next = {l_.op(Opcode::muladd, a, b, l_.kernel().carried(t_))};
    stage.combine = Opcode::add;
    score_ = l_.add_stage(std::move(stage));

    const ExprId extra = bias();
    masked_ = pointwise(full, "masked", extra < 0 ? capped() : op(Opcode::add, capped(), extra));
    const int32_t top = reduce(rows_, "top", Opcode::max, lowest(), over_keys(masked_));
    const int32_t most = extra < 0 ? -1 : reduce(rows_, "most", Opcode::max, lowest(), bias());
    // A row without a finite or NaN score is one of zeros: exp(-inf - 0) = 0, and the sum of 0 becomes 1.
    auto base = [&] {
      const ExprId m = of_row(top);
      return l_.select(op(Opcode::eq, m, lowest()), c(0), m);
    };
    const int32_t e_stage = pointwise(full, "exp", l_.op(Opcode::exp, op(Opcode::sub, over_keys(masked_), base())));
    const int32_t total = reduce(rows_, "total", Opcode::add, c(0), over_keys(e_stage));
    const ExprId sum = of_row(total);
    ExprId value = op(Opcode::div, over_keys(e_stage), l_.select(op(Opcode::eq, sum, c(0)), c(1), sum));
    if (most >= 0) value = l_.select(op(Opcode::eq, of_row(most), lowest()), c(0), value);
    p_ = pointwise(full, "p", value);
  }

  void product() {
    const Space space = with(rows_, v_->type().shape()[3]);
    loop::Stage stage = l_.stage(space, "sum");
    const Index t = loop::axis_index(Lowering::add_reduction(stage, "t", l_.extent(keys_)));
    std::vector<Index> at;
    for (int32_t a = 0; a < last(); ++a) at.push_back(loop::axis_index(a));
    at.push_back(t);
    const ExprId p = l_.kernel().read_stage(p_, at);
    const ExprId v = joined(v_, past_value_, rows_.dims[0], key_head_, t, space.dims[3]);
    stage.types = {t_};
    stage.init = {c(0)};
    stage.next = {l_.op(Opcode::muladd, p, v, l_.kernel().carried(t_))};
    stage.combine = Opcode::add;
    const int32_t sum = l_.add_stage(std::move(stage));
    const Value *y = node_.result(0);
    if (value_type(y->type().dtype()) == t_)
      l_.define(y, sum, 0, space);
    else
      define(y, space, l_.read_stage(sum), "y");
  }

  void present(const Value *y, const Value *x, const Value *past) {
    const Space space = l_.space(y->type().shape());
    define(y, space, joined(x, past, space.dims[0], space.dims[1], space.dims[2], space.dims[3]), "present");
  }

  void define(const Value *y, const Space &space, ExprId value, std::string_view name) {
    const DType to = y->type().dtype();
    if (value_type(to) != t_) value = cast_value(l_, value, dtype_, to);
    l_.define_pointwise(y, space, value, name);
  }

  Lowering &l_;
  const graph::Node &node_;
  const Value *q_, *k_, *v_, *mask_, *past_key_, *past_value_, *lengths_;
  DType dtype_ = DType::f32;
  Scalar t_ = Scalar::f32;
  int64_t groups_ = 1, each_ = 1;
  Index key_head_ = loop::axis_index(1);
  Dim past_, keys_;
  Space rows_; ///< of [b, h, s]
  int32_t score_ = -1, masked_ = -1, p_ = -1;
};

} // namespace

Problem lower_plain_attention(Lowering &l, const graph::Node &node) { return Attention(l, node).run(); }

} // namespace cameo::ops
