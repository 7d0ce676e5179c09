// Resizing along axes, by the definitions of ONNX Resize.
//
// Position i of the result looks at coordinate x(i) of the input. With base = ceil(x) - 1 and ratio = x - base in (0,
// 1], the taps base + k have weights
//
//   nearest   1 at k = 0 or k = 1, as the rounding says
//   linear    1 - |k - ratio|                          k = 0, 1
//   cubic     Keys' kernel at |k - ratio|              k = -1 .. 2
//
// and, when an antialiased axis shrinks by `scale`, those of the kernel stretched by 1 / scale, divided by their sum.
// Taps outside read the edge. Axes are separable: the weights of all of them are multiplied. Coordinates are computed
// in f64: they are the same for all channels, and an index must not depend on rounding.
#include "lowering.h"

#include <cmath>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

class Resize {
public:
  Resize(Lowering &l, const graph::Node &node)
      : l_(l), node_(node), x_(node.operand(0)), y_(node.result()), mode_(node.string("mode")),
        coordinates_(node.string("coordinates")), axes_(node.ints("axes")) {}

  Problem run() {
    const DType dtype = x_->type().dtype();
    t_ = loop::is_float(value_type(dtype)) ? value_type(dtype) : Scalar::f32;
    if (value_type(dtype) == Scalar::i1 && mode_ != "nearest") return "resize of bool has no kernel";
    // There a scale says less about how many taps there are.
    if (coordinates_ == "tf_crop_and_resize")
      for (size_t k = 0; k < axes_.size(); ++k)
        if (is_open(k)) return "antialiased resize of a region with symbolic extents has no kernel";
    space_ = l_.space(y_->type().shape());
    if (mode_ == "nearest") return nearest();
    for (size_t k = 0; k < axes_.size(); ++k)
      stretched_ = stretched_ || is_open(k) || taps(k).second - taps(k).first + 1 > 4;
    return stretched_ ? reduced() : unrolled();
  }

private:
  ExprId c(double value) { return l_.number(Scalar::f64, value); }
  ExprId op(Opcode code, ExprId a, ExprId b) { return l_.op(code, a, b); }
  ExprId as_f64(ExprId i) { return l_.kernel().cast(Opcode::sitofp, i, Scalar::f64); }
  ExprId extent(const Dim &d) { return d.is_constant() ? c(static_cast<double>(d.value())) : as_f64(l_.dim_value(d)); }
  size_t axis(size_t k) const { return static_cast<size_t>(axes_[k]); }
  const Dim &in(size_t k) const { return x_->type().shape()[axis(k)]; }
  const Dim &out(size_t k) const { return y_->type().shape()[axis(k)]; }

  // Result / input, as a known number when it is one.
  std::optional<double> known_scale(size_t k) const {
    if (node_.has_attribute("scales")) return node_.reals("scales")[k];
    if (node_.operand(2) || !in(k).is_constant() || !out(k).is_constant()) return std::nullopt;
    return static_cast<double>(out(k).value()) / static_cast<double>(in(k).value());
  }
  ExprId scale(size_t k) {
    if (const auto s = known_scale(k)) return c(*s);
    if (const Value *scales = node_.operand(2))
      return convert(l_, l_.read(scales, {Index{{}, static_cast<int64_t>(k), -1}}), scales->type().dtype(),
                     Scalar::f64);
    return op(Opcode::div, extent(out(k)), extent(in(k)));
  }

  // The coordinate in the input of position i along axis k.
  ExprId coordinate(size_t k) {
    const ExprId i = as_f64(l_.index_value(space_.dims[axis(k)]));
    const ExprId half = c(0.5), one = c(1);
    auto half_pixel = [&] { return op(Opcode::sub, op(Opcode::div, op(Opcode::add, i, half), scale(k)), half); };
    if (coordinates_ == "asymmetric") return op(Opcode::div, i, scale(k));
    if (coordinates_ == "half_pixel") return half_pixel();
    if (coordinates_ == "tf_half_pixel_for_nn") return op(Opcode::div, op(Opcode::add, i, half), scale(k));
    const ExprId width = op(Opcode::mul, scale(k), extent(in(k))); // of the result, not rounded
    if (coordinates_ == "pytorch_half_pixel") return l_.select(op(Opcode::eq, width, one), c(-0.5), half_pixel());
    if (coordinates_ == "half_pixel_symmetric") {
      const ExprId adjustment = op(Opcode::div, extent(out(k)), width);
      const ExprId centre = op(Opcode::mul, extent(in(k)), half);
      return op(Opcode::add, op(Opcode::mul, centre, op(Opcode::sub, one, adjustment)), half_pixel());
    }
    const ExprId last = op(Opcode::sub, extent(in(k)), one), rest = op(Opcode::sub, width, one);
    const ExprId single = op(Opcode::eq, width, one);
    if (coordinates_ == "align_corners")
      return l_.select(single, c(0), op(Opcode::div, op(Opcode::mul, i, last), rest));
    // tf_crop_and_resize: between the corners of the region, which are fractions of the input.
    const ExprId from = roi(k), to = roi(axes_.size() + k), size = op(Opcode::sub, to, from);
    const ExprId middle = op(Opcode::mul, op(Opcode::mul, size, last), half);
    const ExprId along = op(Opcode::div, op(Opcode::mul, op(Opcode::mul, i, size), last), rest);
    return op(Opcode::add, l_.select(single, middle, along), op(Opcode::mul, from, last));
  }

  ExprId roi(size_t k) {
    const Value *v = node_.operand(1);
    return convert(l_, l_.read(v, {Index{{}, static_cast<int64_t>(k), -1}}), v->type().dtype(), Scalar::f64);
  }

  int64_t reach() const { return mode_ == "linear" ? 1 : 2; }
  // First and last tap of an axis whose scale is known.
  std::pair<int64_t, int64_t> taps(size_t k) const {
    const double s = stretch(k);
    const int64_t first = static_cast<int64_t>(std::floor(-static_cast<double>(reach()) / s)) + 1;
    return {first, 1 - first};
  }
  double stretch(size_t k) const { return node_.flag("antialias") ? std::min(known_scale(k).value_or(1), 1.0) : 1.0; }
  // Whether only a run can tell how far the kernel of the axis is stretched.
  bool is_open(size_t k) const { return node_.flag("antialias") && !known_scale(k); }
  // The last tap of such an axis, the first being 1 less it: at least reach / scale, since out = floor(in * scale).
  // Weights of taps behind that are 0.
  Dim last_tap(size_t k) const { return max(reach(), ceildiv(reach() * in(k), max(out(k), 1))); }

  struct Place {
    ExprId coordinate, base, ratio; ///< f64
  };
  Place place(size_t k) {
    const ExprId x = coordinate(k);
    const ExprId base = op(Opcode::sub, l_.op(Opcode::ceil, x), c(1));
    return {x, base, op(Opcode::sub, x, base)};
  }

  // Weight of a tap at distance `tap` (f64) from the base.
  ExprId weight(size_t k, const Place &p, ExprId tap) {
    ExprId d = op(Opcode::sub, tap, p.ratio);
    if (is_open(k))
      d = op(Opcode::mul, d, op(Opcode::min, scale(k), c(1)));
    else if (stretch(k) != 1)
      d = op(Opcode::mul, d, c(stretch(k)));
    d = l_.op(Opcode::abs, d);
    if (mode_ == "linear") return op(Opcode::max, op(Opcode::sub, c(1), d), c(0));
    const double a = node_.real_or("cubic_coeff", -0.75);
    auto polynomial = [&](double c3, double c2, double c1, double c0) { // Horner
      ExprId e = op(Opcode::add, op(Opcode::mul, c(c3), d), c(c2));
      e = op(Opcode::add, op(Opcode::mul, e, d), c(c1));
      return op(Opcode::add, op(Opcode::mul, e, d), c(c0));
    };
    const ExprId near = polynomial(a + 2, -(a + 3), 0, 1), far = polynomial(a, -5 * a, 8 * a, -4 * a);
    return l_.select(op(Opcode::le, d, c(1)), near, l_.select(op(Opcode::lt, d, c(2)), far, c(0)));
  }

  // The weight, or 0 when taps outside do not count.
  ExprId counted(size_t k, const Place &p, ExprId tap) {
    const ExprId w = weight(k, p, tap);
    if (!node_.flag("exclude_outside")) return w;
    const ExprId at = op(Opcode::add, p.base, tap), last = op(Opcode::sub, extent(in(k)), c(1));
    const ExprId in_range = op(Opcode::bit_and, op(Opcode::ge, at, c(0)), op(Opcode::le, at, last));
    return l_.select(in_range, w, c(0));
  }
  // Weights sum to 1 but for those that do not count and those of a stretched kernel.
  bool normalized() const {
    bool any = node_.flag("exclude_outside");
    for (size_t k = 0; k < axes_.size(); ++k) any = any || is_open(k) || stretch(k) != 1;
    return any;
  }

  Index position(const Place &p, ExprId tap) {
    return Lowering::at(l_.kernel().cast(Opcode::fptosi, op(Opcode::add, p.base, tap), Scalar::i64));
  }

  void define(ExprId value) {
    if (coordinates_ == "tf_crop_and_resize") { // points outside of the input have a value of their own
      for (size_t k = 0; k < axes_.size(); ++k) {
        const ExprId x = coordinate(k), last = op(Opcode::sub, extent(in(k)), c(1));
        const ExprId inside = op(Opcode::bit_and, op(Opcode::ge, x, c(0)), op(Opcode::le, x, last));
        value = l_.select(inside, value, l_.number(l_.type(value), node_.real_or("extrapolation", 0)));
      }
    }
    const DType to = y_->type().dtype();
    if (l_.type(value) != value_type(to))
      value = cast_value(l_, value, t_ == Scalar::f64 ? DType::f64 : DType::f32, to);
    l_.define_pointwise(y_, space_, value, "resize");
  }

  Problem nearest() {
    const std::string &rounding = node_.string("nearest");
    std::vector<Index> at = space_.dims;
    for (size_t k = 0; k < axes_.size(); ++k) {
      const ExprId x = coordinate(k);
      ExprId i = rounding == "floor"                ? l_.op(Opcode::floor, x)
                 : rounding == "ceil"               ? l_.op(Opcode::ceil, x)
                 : rounding == "round_prefer_floor" ? l_.op(Opcode::ceil, op(Opcode::sub, x, c(0.5)))
                                                    : l_.op(Opcode::floor, op(Opcode::add, x, c(0.5)));
      at[axis(k)] = Lowering::at(l_.kernel().cast(Opcode::fptosi, i, Scalar::i64));
    }
    define(l_.read(x_, at, OutOfRange::clamp));
    return {};
  }

  // All taps of all axes one by one: 2 or 4 along each.
  Problem unrolled() {
    std::vector<Place> places;
    for (size_t k = 0; k < axes_.size(); ++k) places.push_back(place(k));
    ExprId sum = -1, total = -1;
    std::vector<int64_t> tap;
    for (size_t k = 0; k < axes_.size(); ++k) tap.push_back(taps(k).first);
    for (bool more = true; more;) {
      ExprId w = -1;
      std::vector<Index> at = space_.dims;
      for (size_t k = 0; k < axes_.size(); ++k) {
        const ExprId d = c(static_cast<double>(tap[k]));
        const ExprId wk = counted(k, places[k], d);
        w = w < 0 ? wk : op(Opcode::mul, w, wk);
        at[axis(k)] = position(places[k], d);
      }
      const ExprId x = convert(l_, l_.read(x_, at, OutOfRange::clamp), x_->type().dtype(), t_);
      const ExprId product = op(Opcode::mul, x, convert(l_, w, DType::f64, t_));
      sum = sum < 0 ? product : op(Opcode::add, sum, product);
      if (normalized()) total = total < 0 ? w : op(Opcode::add, total, w);
      more = false;
      for (size_t k = axes_.size(); k-- > 0 && !more;) {
        if (++tap[k] <= taps(k).second)
          more = true;
        else
          tap[k] = taps(k).first;
      }
    }
    define(normalized() ? op(Opcode::div, sum, convert(l_, total, DType::f64, t_)) : sum);
    return {};
  }

  // Many taps: sums of weighted elements and of weights over an axis per resized axis.
  Problem reduced() {
    loop::Stage stage = l_.stage(space_, "taps");
    std::vector<Index> at = space_.dims;
    ExprId w = -1;
    for (size_t k = 0; k < axes_.size(); ++k) {
      const Dim last = is_open(k) ? last_tap(k) : Dim(taps(k).second);
      const int32_t r = Lowering::add_reduction(stage, "k" + std::to_string(k), l_.extent(2 * last));
      const ExprId tap = as_f64(l_.index_value(l_.offset(loop::axis_index(r), 1 - last)));
      const Place p = place(k);
      const ExprId wk = counted(k, p, tap);
      w = w < 0 ? wk : op(Opcode::mul, w, wk);
      at[axis(k)] = position(p, tap);
    }
    const ExprId x = convert(l_, l_.read(x_, at, OutOfRange::clamp), x_->type().dtype(), t_);
    const ExprId wt = convert(l_, w, DType::f64, t_);
    stage.types = {t_, t_};
    stage.init = {l_.number(t_, 0), l_.number(t_, 0)};
    stage.next = {op(Opcode::add, l_.kernel().carried(t_, 0), op(Opcode::mul, x, wt)),
                  op(Opcode::add, l_.kernel().carried(t_, 1), wt)};
    const int32_t number = l_.add_stage(std::move(stage));
    define(op(Opcode::div, l_.read_stage(number, 0), l_.read_stage(number, 1)));
    return {};
  }

  Lowering &l_;
  const graph::Node &node_;
  const Value *x_, *y_;
  const std::string mode_, coordinates_;
  const std::vector<int64_t> &axes_;
  Scalar t_ = Scalar::f32;
  Space space_;
  bool stretched_ = false;
};

} // namespace

Problem lower_resize(Lowering &l, const graph::Node &node) { return Resize(l, node).run(); }

} // namespace cameo::ops
