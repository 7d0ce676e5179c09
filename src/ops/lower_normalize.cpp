// Normalisations: y = (x - mean) / sqrt(variance + epsilon) * scale + bias, with statistics of the tensor's own (layer,
// instance, group: two passes, mean first), without mean (rms), given (batch), or x / norm (l1, l2).
//
// Statistics have the axes that are not reduced; group normalisation splits the channel axis in (group, channel of the
// group).
#include "lowering.h"

#include <algorithm>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

class Normalize {
public:
  Normalize(Lowering &l, const graph::Node &node)
      : l_(l), node_(node), x_(node.operand(0)), y_(node.result(0)), kind_(node.string("kind")),
        t_(value_type(node.has_attribute("compute") ? node.dtype("compute") : x_->type().dtype())) {}

  Problem run() {
    full_ = l_.space(x_->type().shape());
    if (kind_ == "batch") return batch();
    for (int64_t axis : node_.ints("axes")) reduced_.push_back(static_cast<int32_t>(axis));
    if (kind_ == "group" && !split_channels())
      return "group normalisation of a symbolic number of channels has no kernel";
    for (int32_t a = 0; a < static_cast<int32_t>(full_.axes.size()); ++a)
      if (std::find(reduced_.begin(), reduced_.end(), a) == reduced_.end()) kept_.push_back(a);
    if (kind_ == "l1" || kind_ == "l2") return norm();
    int32_t mean = -1;
    if (kind_ != "rms") {
      const int32_t total = sum("total", [&](const std::vector<Index> &at) { return element(at); });
      mean = statistic("mean", [&] { return l_.op(Opcode::div, l_.read_stage(total), count()); });
    }
    auto centred = [&](const std::vector<Index> &at, const std::vector<Index> &outer) {
      const ExprId e = element(at);
      return mean < 0 ? e : l_.op(Opcode::sub, e, l_.kernel().read_stage(mean, outer));
    };
    std::vector<Index> own;
    for (size_t a = 0; a < kept_.size(); ++a) own.push_back(loop::axis_index(static_cast<int32_t>(a)));
    const int32_t squares = sum("squares", [&](const std::vector<Index> &at) {
      const ExprId d = centred(at, own);
      return l_.op(Opcode::mul, d, d);
    });
    const int32_t inverse = statistic("inverse", [&] {
      const ExprId variance = l_.op(Opcode::div, l_.read_stage(squares), count());
      const ExprId root = l_.op(Opcode::sqrt, l_.op(Opcode::add, variance, l_.number(t_, node_.real_or("epsilon", 0))));
      return l_.op(Opcode::div, l_.number(t_, 1), root);
    });
    std::vector<Index> outer;
    for (int32_t a : kept_) outer.push_back(loop::axis_index(a));
    std::vector<Index> at = full_.dims;
    ExprId value = l_.op(Opcode::mul, centred(at, outer), l_.kernel().read_stage(inverse, outer));
    finish(value);
    if (node_.result_count() > 1) statistics_result(node_.result(1), mean);
    if (node_.result_count() > 2) statistics_result(node_.result(2), inverse);
    return {};
  }

private:
  // Channels as axes (group, channel of the group), the second of which is reduced.
  bool split_channels() {
    const Dim &channels = x_->type().dim(1);
    const int64_t groups = node_.integer("groups");
    if (!channels.is_constant()) return false;
    const int64_t each = channels.value() / groups;
    full_.axes[1] = {"g", loop::Extent(groups), AxisKind::parallel};
    full_.axes.insert(full_.axes.begin() + 2, {"c", loop::Extent(each), AxisKind::parallel});
    full_.dims[1] = loop::axis_index(1, each);
    full_.dims[1].axes.emplace_back(2, 1);
    for (size_t d = 2; d < full_.dims.size(); ++d) full_.dims[d] = loop::axis_index(static_cast<int32_t>(d) + 1);
    reduced_.clear();
    for (size_t a = 2; a < full_.axes.size(); ++a) reduced_.push_back(static_cast<int32_t>(a));
    return true;
  }

  ExprId element(const std::vector<Index> &at) { return convert(l_, l_.read(x_, at), x_->type().dtype(), t_); }

  // Elements behind one statistic.
  ExprId count() {
    Dim n = 1;
    if (kind_ == "group") {
      n = floordiv(x_->type().dim(1), node_.integer("groups"));
      for (int d = 2; d < x_->type().rank(); ++d) n = n * x_->type().dim(d);
    } else {
      for (int32_t d : reduced_) n = n * x_->type().dim(d);
    }
    if (n.is_constant()) return l_.number(t_, static_cast<double>(n.value()));
    return l_.kernel().cast(Opcode::sitofp, l_.dim_value(n), t_);
  }

  Space outer_space() const {
    Space s;
    for (int32_t a : kept_) s.axes.push_back(full_.axes[a]);
    for (size_t a = 0; a < kept_.size(); ++a) s.dims.push_back(loop::axis_index(static_cast<int32_t>(a)));
    return s;
  }

  // Sum over the reduced axes of an expression of the element's place.
  template <class F> int32_t sum(std::string_view name, F body) {
    loop::Stage stage = l_.stage(outer_space(), name);
    std::vector<int32_t> axis(full_.axes.size()); // axis of the full space to axis of the stage
    for (size_t a = 0; a < kept_.size(); ++a) axis[kept_[a]] = static_cast<int32_t>(a);
    for (int32_t a : reduced_) axis[a] = Lowering::add_reduction(stage, full_.axes[a].name, full_.axes[a].extent);
    std::vector<Index> at = full_.dims;
    for (Index &i : at)
      for (auto &entry : i.axes) entry.first = axis[entry.first];
    stage.types = {t_};
    stage.init = {l_.number(t_, 0)};
    stage.next = {l_.op(Opcode::add, l_.kernel().carried(t_), body(at))};
    stage.combine = Opcode::add;
    return l_.add_stage(std::move(stage));
  }

  template <class F> int32_t statistic(std::string_view name, F body) {
    loop::Stage stage = l_.stage(outer_space(), name);
    stage.types = {t_};
    stage.next = {body()};
    return l_.add_stage(std::move(stage));
  }

  // Scale and bias: from the right, or along the channels.
  ExprId parameter(const Value *v) {
    const graph::Shape &shape = x_->type().shape();
    ExprId e;
    if (kind_ == "layer" || kind_ == "rms")
      e = l_.read_broadcast(v, shape, full_.dims);
    else if (v->type().rank() == 1 && kind_ == "group" && v->type().dim(0) != shape[1])
      e = l_.read(v, {loop::axis_index(1)}); // one per group
    else
      e = l_.read(v, {full_.dims[1]});
    return convert(l_, e, v->type().dtype(), t_);
  }

  void finish(ExprId value) {
    if (const Value *scale = node_.operand(1)) value = l_.op(Opcode::mul, value, parameter(scale));
    if (const Value *bias = node_.operand(2)) value = l_.op(Opcode::add, value, parameter(bias));
    l_.define_pointwise(y_, full_, value, "normal");
  }

  Problem batch() {
    auto given = [&](size_t i) {
      return convert(l_, l_.read(node_.operand(i), {full_.dims[1]}), node_.operand(i)->type().dtype(), t_);
    };
    const ExprId variance = l_.op(Opcode::add, given(4), l_.number(t_, node_.real_or("epsilon", 0)));
    finish(l_.op(Opcode::div, l_.op(Opcode::sub, element(full_.dims), given(3)), l_.op(Opcode::sqrt, variance)));
    return {};
  }

  Problem norm() {
    const bool absolute = kind_ == "l1";
    const int32_t total = sum("norm", [&](const std::vector<Index> &at) {
      const ExprId e = element(at);
      return absolute ? l_.op(Opcode::abs, e) : l_.op(Opcode::mul, e, e);
    });
    std::vector<Index> outer;
    for (int32_t a : kept_) outer.push_back(loop::axis_index(a));
    ExprId n = l_.kernel().read_stage(total, outer);
    if (!absolute) n = l_.op(Opcode::sqrt, n);
    // A zero vector stays zero.
    const ExprId zero = l_.op(Opcode::eq, n, l_.number(t_, 0));
    finish(l_.op(Opcode::div, element(full_.dims), l_.select(zero, l_.number(t_, 1), n)));
    return {};
  }

  // The statistic as a result, with the reduced axes kept at extent 1.
  void statistics_result(const Value *value, int32_t stage) {
    const Space space = l_.space(value->type().shape());
    std::vector<Index> at;
    for (int32_t a : kept_) at.push_back(space.dims[a]);
    const ExprId e = stage < 0 ? l_.number(t_, 0) : l_.kernel().read_stage(stage, at);
    l_.define_pointwise(value, space, e, "statistic");
  }

  Lowering &l_;
  const graph::Node &node_;
  const Value *x_, *y_;
  std::string kind_;
  Scalar t_;
  Space full_;
  std::vector<int32_t> reduced_, kept_;
};

} // namespace

Problem lower_normalize(Lowering &l, const graph::Node &node) {
  const DType dtype = node.operand()->type().dtype();
  if (!is_float(dtype)) return "normalize of " + std::string(name(dtype)) + " has no kernel";
  return Normalize(l, node).run();
}

} // namespace cameo::ops
