// Convolutions, directly: y[n, m, o...] = bias[m] + sum over c, k of (x[n, c, o * stride + k * dilation - pad] -
// x_zero) * (w[m, c, k] - w_zero), x being x_zero outside. A grouped one computes channel g * size + i at axes g and i;
// a depthwise one has a single channel axis.
#include "window.h"

#include "cameo/ops/stage_builder.h"

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

/// The axes of the result's channels, and what they say of the input's.
struct Channels {
  Space space;  ///< of the result
  Index result; ///< channel of the result
  Index group;  ///< number of the group
  Index within; ///< channel of the result inside its group
};

Channels channels(Lowering &l, const graph::Shape &shape, int64_t groups) {
  Channels c;
  c.space = l.space(shape);
  if (groups == 1) {
    c.result = c.within = loop::axis_index(1);
    return c;
  }
  CAMEO_CHECK(shape[1].is_constant() && shape[1].value() % groups == 0, "groups divide the channels");
  const int64_t each = shape[1].value() / groups;
  if (each == 1) {
    c.result = c.group = loop::axis_index(1);
    return c;
  }
  c.space.axes[1] = {"g", loop::Extent(groups), AxisKind::parallel};
  c.space.axes.insert(c.space.axes.begin() + 2, {"m", loop::Extent(each), AxisKind::parallel});
  c.group = loop::axis_index(1);
  c.within = loop::axis_index(2);
  c.result = loop::axis_index(1, each);
  c.result.axes.emplace_back(2, 1);
  c.space.dims[1] = c.result;
  for (size_t d = 2; d < shape.size(); ++d) c.space.dims[d] = loop::axis_index(static_cast<int32_t>(d) + 1);
  return c;
}

Problem bad_dtype(const graph::Node &node) {
  for (const Value *v : node.operands())
    if (v && (v->type().dtype() == DType::string || kind(v->type().dtype()) == DTypeKind::complex))
      return std::string(name(node.op())) + " of " + std::string(name(v->type().dtype())) + " has no kernel";
  return {};
}

// The result as bias[channel] + the sum of products over the stage's reductions, computed in `compute`.
void sum_products(Lowering &l, loop::Stage stage, std::pair<ExprId, ExprId> factors, const Value *bias,
                  const Index &channel, DType compute, const Value *y, const Space &space) {
  const Scalar t = loop::compute_type(compute);
  const auto [a, b] = factors;
  const ExprId acc = l.kernel().carried(t);
  stage.types = {t};
  stage.init = {bias ? convert(l, l.read(bias, {channel}), bias->type().dtype(), t) : l.number(t, 0)};
  stage.next = {loop::is_float(t) ? l.op(Opcode::muladd, a, b, acc) : l.op(Opcode::add, acc, l.op(Opcode::mul, a, b))};
  stage.combine = Opcode::add;
  const int32_t number = l.add_stage(std::move(stage));
  if (compute == y->type().dtype())
    l.define(y, number, 0, space);
  else
    l.define_pointwise(y, space, cast_value(l, l.read_stage(number), compute, y->type().dtype()), "cast");
}

} // namespace

Problem lower_conv(Lowering &l, const graph::Node &node) {
  if (Problem p = bad_dtype(node)) return p;
  const Value *x = node.operand(0), *w = node.operand(1), *bias = node.operand(2), *y = node.result();
  const Value *x_zero = node.operand(3), *w_zero = node.operand(4);
  const DType stored = x->type().dtype();
  const DType compute = node.has_attribute("compute") ? node.dtype("compute") : y->type().dtype();
  const Scalar t = loop::compute_type(compute);
  const graph::Shape &xs = x->type().shape(), &ws = w->type().shape(), &ys = y->type().shape();
  const int64_t groups = node.integer("group");
  const Window window = Window::of(node);
  if (groups > 1 && !ys[1].is_constant()) return "a grouped conv with a symbolic number of channels has no kernel";

  const Channels c = channels(l, ys, groups);
  loop::Stage stage = l.stage(c.space, "sum");
  // w: [m, c / group, k...]. Channels are summed innermost: neighbours in memory inside, and windows of neighbouring
  // results, which overlap, do not meet in one step.
  std::vector<Index> weight{c.result, {}}, input{c.space.dims[0], c.group};
  bool inside = true;
  for (size_t d = 0; d + 2 < ws.size(); ++d) {
    loop::Extent taps = l.extent(ws[d + 2]);
    int64_t first = 0;
    if (const Part *part = l.part()) {
      const Window::Taps in = window.taps_inside(d, part->box[d + 2].first, xs[d + 2].value(), ws[d + 2].value());
      first = in.first;
      taps = in.count;
    }
    const Index tap = loop::axis_index(Lowering::add_reduction(stage, "k" + std::to_string(d), taps), 1, first);
    weight.push_back(tap);
    input.push_back(window.coordinate(l, d, c.space.dims[d + 2], tap));
    inside = inside && (l.part() || window.inside(d, xs[d + 2], ys[d + 2], ws[d + 2]));
  }
  if (groups == 1 || !ws[1].is(1)) { // else depthwise: the group is the input's channel
    const int32_t channel = Lowering::add_reduction(stage, "c", l.extent(ws[1]));
    weight[1] = input[1] = loop::axis_index(channel);
    if (groups > 1) input[1] = sum(l, scaled(c.group, ws[1].value()), input[1]);
  }
  if (stage.axes.size() == c.space.axes.size())
    Lowering::add_reduction(stage, "one", 1); // depthwise without spatial axes

  const graph::ConstantData *known_zero = x_zero ? l.constant(x_zero) : nullptr;
  const bool clamp = !inside && x_zero && !(known_zero && known_zero->count() == 1);
  const double fill = known_zero && known_zero->count() == 1 ? static_cast<double>(known_zero->as_int(0)) : 0;
  ExprId a = l.read(x, input, inside ? OutOfRange::never : clamp ? OutOfRange::clamp : OutOfRange::fill, fill);
  a = convert(l, a, stored, t);
  auto zero_of = [&](const Value *zero, const Index &channel) {
    std::vector<Index> at;
    if (zero->type().rank() == 1) at.push_back(zero->type().dim(0).is(1) ? Index{} : channel);
    return convert(l, l.read(zero, at), zero->type().dtype(), t);
  };
  if (x_zero) a = l.op(Opcode::sub, a, zero_of(x_zero, {}));
  if (clamp) { // padding counts as zero whatever the zero point is
    for (size_t d = 2; d < xs.size(); ++d) {
      const ExprId at = l.index_value(input[d]);
      const ExprId in = l.op(Opcode::ult, at, l.dim_value(xs[d]));
      a = l.select(in, a, l.number(t, 0));
    }
  }
  ExprId b = convert(l, l.read(w, weight), w->type().dtype(), t);
  if (w_zero) b = l.op(Opcode::sub, b, zero_of(w_zero, c.result));
  sum_products(l, std::move(stage), {a, b}, bias, c.result, compute, y, c.space);
  return {};
}

namespace {

// One spatial axis of a transposed convolution as interleaved convolutions. Results whose position o + pad leaves the
// remainder b when divided by the stride are sums over the taps b, b + stride, ...:
//   o = stride * a + b - pad,   y[o] = sum over t of x[a - t] * w[b + stride * t]
struct Phases {
  int64_t stride, taps, first, count; ///< taps per phase; a goes from `first` over `count` values
  int64_t shift;                      ///< o of a = first, b = 0; it may be negative
  bool partial;                       ///< some o are not in [0, extent)
};

Phases phases_of(int64_t stride, int64_t taps, int64_t pad, int64_t extent) {
  Phases p{};
  p.stride = stride;
  p.taps = (taps + stride - 1) / stride;
  p.first = pad / stride;
  p.count = (extent - 1 + pad) / stride - p.first + 1;
  p.shift = stride * p.first - pad;
  p.partial = p.shift < 0 || p.shift + stride * p.count > extent;
  return p;
}

// u[c, m, b, t, ...] = w[c, m, b + stride * t, ...], 0 behind the last tap.
std::shared_ptr<const loop::Kernel> phase_kernel(const graph::Type &weights, const std::vector<Phases> &phases) {
  auto kernel = std::make_shared<loop::Kernel>();
  kernel->name = "phases";
  const std::vector<int64_t> dims = *weights.static_shape();
  std::vector<loop::Axis> axes{{"c", dims[0], AxisKind::parallel}, {"m", dims[1], AxisKind::parallel}};
  std::vector<Index> at{loop::axis_index(0), loop::axis_index(1)};
  for (const Phases &p : phases) {
    const auto b = static_cast<int32_t>(axes.size());
    axes.push_back({"b" + std::to_string(b), p.stride, AxisKind::parallel});
    axes.push_back({"t" + std::to_string(b), p.taps, AxisKind::parallel});
    at.push_back(window_index(b + 1, p.stride, b, 1, 0));
  }
  std::vector<loop::Extent> from(dims.begin(), dims.end()), to;
  for (const loop::Axis &axis : axes) to.push_back(axis.extent);
  const int32_t w = kernel->add_buffer("w", weights.dtype(), from, loop::BufferRole::input);
  const int32_t u = kernel->add_buffer("u", weights.dtype(), to, loop::BufferRole::output);
  const ExprId value = kernel->read(w, at, OutOfRange::fill, 0);
  const auto rank = static_cast<int32_t>(axes.size());
  kernel->add_stage(stored(stage("u", std::move(axes), kernel->expr(value).type, value), u, identity(rank)));
  return kernel;
}

// Whether the interleaved form applies: filters and extents are known.
bool has_phases(Lowering &l, const graph::Node &node, const Window &window) {
  const Value *w = node.operand(1), *y = node.result();
  if (!l.constant(w) || bits(w->type().dtype()) < 8 || !w->type().static_shape()) return false;
  for (size_t d = 0; d + 2 < w->type().shape().size(); ++d)
    if (window.dilations[d] != 1 || !window.low[d].is_constant() || window.low[d].value() < 0 ||
        !y->type().shape()[d + 2].is_constant() || y->type().shape()[d + 2].is(0))
      return false;
  return true;
}

} // namespace

// y[n, m, o...] = bias[m] + sum over c, k of x[n, c, i] * w[c, m, k] where i * stride + k * dilation - pad = o.
Problem lower_conv_transpose(Lowering &l, const graph::Node &node) {
  if (Problem p = bad_dtype(node)) return p;
  const Value *x = node.operand(0), *w = node.operand(1), *bias = node.operand(2), *y = node.result();
  const DType compute = node.has_attribute("compute") ? node.dtype("compute") : y->type().dtype();
  const Scalar t = loop::compute_type(compute);
  const graph::Shape &ws = w->type().shape(), &ys = y->type().shape();
  const int64_t groups = node.integer("group");
  const Window window = Window::of(node);
  if (groups > 1 && !(ys[1].is_constant() && ws[0].is_constant()))
    return "a grouped conv_transpose with a symbolic number of channels has no kernel";

  const Channels c = channels(l, ys, groups);
  Channels out = c;
  std::vector<Phases> phases;
  if (has_phases(l, node, window)) {
    out.space.axes.resize(c.space.axes.size() - (ys.size() - 2));
    for (size_t d = 0; d + 2 < ws.size(); ++d) {
      phases.push_back(phases_of(window.strides[d], ws[d + 2].value(), window.low[d].value(), ys[d + 2].value()));
      const Phases &p = phases.back();
      const auto axis = static_cast<int32_t>(out.space.axes.size());
      out.space.axes.push_back({"a" + std::to_string(d), p.count, AxisKind::parallel});
      out.space.dims[d + 2] = loop::axis_index(axis, p.stride, p.shift);
      if (p.stride > 1) {
        out.space.axes.push_back({"b" + std::to_string(d), p.stride, AxisKind::parallel});
        out.space.dims[d + 2].axes.emplace_back(axis + 1, 1);
      }
      out.space.partial = out.space.partial || p.partial;
    }
  }
  loop::Stage stage = l.stage(out.space, "sum");
  const Dim inputs = groups == 1 ? ws[0] : Dim(ws[0].value() / groups);
  std::vector<Index> input{c.space.dims[0], {}}, weight{{}, c.within};
  ExprId valid = -1; // positions between the strides have no input
  for (size_t d = 0; d + 2 < ws.size(); ++d) {
    if (!phases.empty()) {
      const Phases &p = phases[d];
      const std::vector<std::pair<int32_t, int64_t>> &axes = out.space.dims[d + 2].axes;
      const int32_t tap = Lowering::add_reduction(stage, "t" + std::to_string(d), p.taps);
      weight.push_back(axes.size() > 1 ? loop::axis_index(axes[1].first) : Index{});
      weight.push_back(loop::axis_index(tap));
      input.push_back(window_index(axes[0].first, 1, tap, -1, p.first));
      continue;
    }
    const int32_t tap = Lowering::add_reduction(stage, "k" + std::to_string(d), l.extent(ws[d + 2]));
    weight.push_back(loop::axis_index(tap));
    Index at = sum(l, c.space.dims[d + 2], scaled(loop::axis_index(tap), -window.dilations[d]));
    at = l.offset(at, window.low[d]);
    const int64_t stride = window.strides[d];
    if (stride != 1) {
      const ExprId position = l.index_value(at);
      const ExprId quotient = l.op(Opcode::div, position, l.integer(stride));
      const ExprId exact = l.op(Opcode::eq, l.op(Opcode::mul, quotient, l.integer(stride)), position);
      valid = valid < 0 ? exact : l.op(Opcode::bit_and, valid, exact);
      at = Lowering::at(quotient);
    }
    input.push_back(at);
  }
  Index in = loop::axis_index(Lowering::add_reduction(stage, "c", l.extent(inputs)));
  if (groups > 1) in = sum(l, scaled(c.group, inputs.value()), in);
  input[1] = weight[0] = in;
  ExprId a = convert(l, l.read(x, input, OutOfRange::fill, 0), x->type().dtype(), t);
  if (valid >= 0) a = l.select(valid, a, l.number(t, 0));
  const ExprId tap =
      phases.empty() ? l.read(w, weight) : l.kernel().read(l.derived(w, "u", phase_kernel(w->type(), phases)), weight);
  const ExprId b = convert(l, tap, w->type().dtype(), t);
  sum_products(l, std::move(stage), {a, b}, bias, c.result, compute, y, out.space);
  return {};
}

} // namespace cameo::ops
