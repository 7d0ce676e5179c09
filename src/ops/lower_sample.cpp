// Images read between their elements: grid_sample, roi_pool, deform_conv. A coordinate x lies between the elements
// floor(x) and floor(x) + 1; linear weights are 1 - |x - tap|, cubic ones Keys' kernel with a = -0.75.
#include "window.h"

#include "cameo/abi.h"

#include <cmath>
#include <functional>

namespace cameo::ops {
namespace {

using graph::Dim;
using graph::Value;

/// Arithmetic of coordinates, in one float type.
class Coordinates {
public:
  Coordinates(Lowering &l, Scalar t) : l_(l), t_(t) {}

  ExprId c(double value) { return l_.number(t_, value); }
  ExprId op(Opcode code, ExprId a, ExprId b) { return l_.op(code, a, b); }
  ExprId add(ExprId a, ExprId b) { return op(Opcode::add, a, b); }
  ExprId sub(ExprId a, ExprId b) { return op(Opcode::sub, a, b); }
  ExprId mul(ExprId a, ExprId b) { return op(Opcode::mul, a, b); }
  ExprId div(ExprId a, ExprId b) { return op(Opcode::div, a, b); }
  ExprId clamp(ExprId x, ExprId low, ExprId high) { return op(Opcode::min, op(Opcode::max, x, low), high); }
  ExprId extent(const Dim &d) {
    return d.is_constant() ? c(static_cast<double>(d.value())) : from_integer(l_.dim_value(d));
  }
  ExprId from_integer(ExprId i) { return l_.kernel().cast(Opcode::sitofp, i, t_); }
  ExprId to_integer(ExprId x) { return l_.kernel().cast(Opcode::fptosi, x, Scalar::i64); }

  /// The weight of tap `k` (0 and 1, or -1 to 2 when cubic) of a coordinate that is `ratio` behind tap 0.
  ExprId weight(int k, ExprId ratio, bool cubic) {
    if (!cubic) return k == 0 ? sub(c(1), ratio) : ratio;
    constexpr double a = -0.75;
    const ExprId d = k <= 0 ? sub(ratio, c(k)) : sub(c(k), ratio); // |k - ratio|
    const bool near = k == 0 || k == 1;
    const double c3 = near ? a + 2 : a, c2 = near ? -(a + 3) : -5 * a, c1 = near ? 0 : 8 * a, c0 = near ? 1 : -4 * a;
    ExprId e = add(mul(c(c3), d), c(c2));
    e = add(mul(e, d), c(c1));
    return add(mul(e, d), c(c0));
  }

protected:
  Lowering &l_;
  Scalar t_;
};

// The sum over all combinations of one tap per axis of value(taps) * product of weights.
ExprId interpolate(Coordinates &at, const std::vector<ExprId> &ratios, bool cubic,
                   const std::function<ExprId(const std::vector<int> &)> &value) {
  const int first = cubic ? -1 : 0, last = cubic ? 2 : 1;
  std::vector<int> taps(ratios.size(), first);
  ExprId sum = -1;
  for (bool more = true; more;) {
    ExprId term = value(taps);
    for (size_t d = 0; d < taps.size(); ++d) term = at.mul(term, at.weight(taps[d], ratios[d], cubic));
    sum = sum < 0 ? term : at.add(sum, term);
    more = false;
    for (size_t d = taps.size(); d-- > 0 && !more;) {
      if (++taps[d] <= last)
        more = true;
      else
        taps[d] = first;
    }
  }
  return sum;
}

// y[n, c, o...] = x[n, c] at the coordinates that grid[n, o...] gives, innermost axis first, in [-1, 1] from edge to
// edge of the tensor or (align_corners) from centre to centre of its corners. Outside: zeros, the edge, or x mirrored
// at the same edges.
class GridSample : Coordinates {
public:
  GridSample(Lowering &l, const graph::Node &node)
      : Coordinates(l, loop::is_float(value_type(node.operand(1)->type().dtype()))
                           ? value_type(node.operand(1)->type().dtype())
                           : Scalar::f32),
        x_(node.operand(0)), grid_(node.operand(1)), y_(node.result()), mode_(node.string("mode")),
        padding_(node.string("padding")), corners_(node.flag("align_corners")) {}

  Problem run() {
    const DType dtype = x_->type().dtype();
    if (!is_float(dtype) && mode_ != "nearest") return "grid_sample of " + std::string(name(dtype)) + " has no kernel";
    const graph::Shape &shape = y_->type().shape();
    const size_t rank = shape.size() - 2;
    // Where each position looks, the same for all channels.
    graph::Shape places = {shape[0]};
    places.insert(places.end(), shape.begin() + 2, shape.end());
    const Space place = l_.space(places);
    loop::Stage stage = l_.stage(place, "place");
    for (size_t d = 0; d < rank; ++d) {
      stage.types.push_back(t_);
      stage.next.push_back(coordinate(d, place.dims));
    }
    const int32_t at = l_.add_stage(std::move(stage));

    const Space space = l_.space(shape);
    std::vector<Index> outer = {space.dims[0]};
    outer.insert(outer.end(), space.dims.begin() + 2, space.dims.end());
    auto coordinate_of = [&](size_t d) { return l_.kernel().read_stage(at, outer, static_cast<int32_t>(d)); };
    auto element = [&](const std::vector<ExprId> &position) {
      std::vector<Index> indices = {space.dims[0], space.dims[1]};
      for (size_t d = 0; d < rank; ++d) indices.push_back(Lowering::at(inside(d, position[d])));
      return l_.read(x_, indices, padding_ == "zeros" ? OutOfRange::fill : OutOfRange::clamp);
    };
    if (mode_ == "nearest") {
      std::vector<ExprId> position;
      for (size_t d = 0; d < rank; ++d) position.push_back(to_integer(coordinate_of(d)));
      l_.define_pointwise(y_, space, element(position), "sample");
      return {};
    }
    std::vector<ExprId> base, ratio;
    for (size_t d = 0; d < rank; ++d) {
      const ExprId low = l_.op(Opcode::floor, coordinate_of(d));
      base.push_back(to_integer(low));
      ratio.push_back(sub(coordinate_of(d), low));
    }
    ExprId value = interpolate(*this, ratio, mode_ == "cubic", [&](const std::vector<int> &taps) {
      std::vector<ExprId> position;
      for (size_t d = 0; d < rank; ++d) position.push_back(op(Opcode::add, base[d], l_.integer(taps[d])));
      return convert(l_, element(position), x_->type().dtype(), t_);
    });
    if (value_type(dtype) != t_) value = cast_value(l_, value, t_ == Scalar::f64 ? DType::f64 : DType::f32, dtype);
    l_.define_pointwise(y_, space, value, "sample");
    return {};
  }

private:
  const Dim &extent_of(size_t d) const { return x_->type().shape()[d + 2]; }

  // Along spatial axis d, for the dims (n, o...).
  ExprId coordinate(size_t d, std::vector<Index> dims) {
    const size_t rank = x_->type().shape().size() - 2;
    dims.push_back(Index{{}, static_cast<int64_t>(rank - 1 - d), -1});
    const ExprId g = add(convert(l_, l_.read(grid_, dims), grid_->type().dtype(), t_), c(1)), n = extent(extent_of(d));
    const ExprId last = sub(n, c(1));
    ExprId x = corners_ ? mul(mul(g, c(0.5)), last) : mul(sub(mul(g, n), c(1)), c(0.5));
    if (mode_ == "nearest") x = l_.op(Opcode::rint, x);
    if (padding_ == "border") return clamp(x, c(0), last);
    if (padding_ == "zeros") return x;
    // A zigzag between the borders.
    const ExprId low = c(corners_ ? 0 : -0.5), range = op(Opcode::max, corners_ ? last : n, c(corners_ ? 1 : 0));
    const ExprId distance = l_.op(Opcode::abs, sub(x, low));
    const ExprId turn = mul(range, c(2)), rest = l_.op(Opcode::rem, distance, turn);
    const ExprId mirrored = add(low, op(Opcode::min, rest, sub(turn, rest)));
    const ExprId out = op(Opcode::bit_or, op(Opcode::lt, x, low), op(Opcode::gt, x, add(low, corners_ ? last : n)));
    return l_.select(out, mirrored, x);
  }

  // A position that taps may have left, mirrored where that is the rule; the read does the rest.
  ExprId inside(size_t d, ExprId i) {
    if (padding_ != "reflection") return i;
    const ExprId n = l_.dim_value(extent_of(d)), one = l_.integer(1);
    const ExprId last = op(Opcode::sub, n, one);
    ExprId turn = op(Opcode::mul, corners_ ? last : n, l_.integer(2));
    if (corners_) turn = op(Opcode::max, turn, one);
    ExprId rest = op(Opcode::rem, i, turn);
    rest = l_.select(op(Opcode::lt, rest, l_.integer(0)), op(Opcode::add, rest, turn), rest);
    const ExprId back = op(Opcode::sub, corners_ ? turn : op(Opcode::sub, turn, one), rest);
    return op(Opcode::min, rest, back);
  }

  const Value *x_, *grid_, *y_;
  const std::string mode_, padding_;
  const bool corners_;
};

// y[r, c, i, j] = what lies in bin (i, j) of region r of x[batch[r], c]. align: `samples` bilinear samples per bin and
// axis, averaged or (as ONNX defines it) the largest of the weighted elements; without `sampling_ratio`, ceil(bin
// extent) samples. Their average is separable, so it is two small matrices of weights per region around the image,
// whatever the number of samples:
//
//   average = sum over h, w of A[r, i, h] * B[r, j, w] * x[batch[r], c, h, w] / count
//
// quantized: the maximum of the elements of the bin between rounded borders.
class RoiPool : Coordinates {
public:
  RoiPool(Lowering &l, const graph::Node &node)
      : Coordinates(l, node.operand(0)->type().dtype() == DType::f64 ? Scalar::f64 : Scalar::f32), x_(node.operand(0)),
        rois_(node.operand(1)), batch_(node.operand(2)), y_(node.result()), mode_(node.string("mode")),
        half_(node.string("coordinates") == "half_pixel"), ratio_(node.integer("sampling_ratio")),
        scale_(node.real("spatial_scale")) {}

  Problem run() {
    if (!is_float(x_->type().dtype())) return "roi_pool of " + std::string(name(x_->type().dtype())) + " has no kernel";
    if (!is_float(rois_->type().dtype())) return "roi_pool with regions that are not floats has no kernel";
    if (mode_ == "quantized_max") return bins();
    if (ratio_ > 0) return samples();
    if (mode_ == "align_max") return "roi_pool: a maximum over as many samples as the region is large has no kernel";
    return weights();
  }

private:
  struct Axis { ///< along one axis of a region, at the indices of its stage
    ExprId start, bin;
  };

  ExprId corner(const Index &r, int64_t number) {
    const ExprId v = convert(l_, l_.read(rois_, {r, Index{{}, number, -1}}), rois_->type().dtype(), t_);
    return mul(v, c(scale_));
  }
  Axis along(const Index &r, bool rows) {
    const ExprId offset = c(half_ ? 0.5 : 0);
    const ExprId start = sub(corner(r, rows ? 1 : 0), offset), end = sub(corner(r, rows ? 3 : 2), offset);
    ExprId size = sub(end, start);
    if (!half_) size = op(Opcode::max, size, c(1));
    return {start, div(size, extent(y_->type().shape()[rows ? 2 : 3]))};
  }
  const Dim &extent_of(bool rows) const { return x_->type().shape()[rows ? 2 : 3]; }
  Index batch(const Index &r) {
    return Lowering::at(convert(l_, l_.read(batch_, {r}), batch_->type().dtype(), Scalar::i64));
  }

  // Coordinate of sample s out of `count` in bin `bin`.
  ExprId sample(const Axis &a, const Index &bin, ExprId s, ExprId count) {
    const ExprId along_bin = div(mul(add(s, c(0.5)), a.bin), count);
    return add(add(a.start, mul(from_integer(l_.index_value(bin)), a.bin)), along_bin);
  }
  ExprId counts(ExprId x, bool rows) { // samples more than one element outside do not
    return op(Opcode::bit_and, op(Opcode::ge, x, c(-1)), op(Opcode::le, x, extent(extent_of(rows))));
  }
  // The elements around a sample, and how far behind the first it is.
  struct Around {
    ExprId low, high, ratio;
  };
  Around around(ExprId x, bool rows) {
    const ExprId last = sub(extent(extent_of(rows)), c(1));
    const ExprId at = clamp(x, c(0), last), low = l_.op(Opcode::floor, at);
    return {to_integer(low), to_integer(op(Opcode::min, add(low, c(1)), last)), sub(at, low)};
  }

  void define(const Space &space, ExprId value) {
    const DType to = y_->type().dtype();
    if (value_type(to) != t_) value = cast_value(l_, value, t_ == Scalar::f64 ? DType::f64 : DType::f32, to);
    l_.define_pointwise(y_, space, value, "pool");
  }
  // Rows and columns are in range unless a region is no number; a batch index that is not ends the run.
  ExprId image(const Index &r, const Index &channel, const Index &row, const Index &column) {
    auto cut = [&](const Index &i, bool rows) {
      if (i.indirect < 0) return i;
      const ExprId last = op(Opcode::sub, l_.dim_value(extent_of(rows)), l_.integer(1));
      return Lowering::at(op(Opcode::max, op(Opcode::min, i.indirect, last), l_.integer(0)));
    };
    const ExprId e = l_.read(x_, {batch(r), channel, cut(row, true), cut(column, false)}, OutOfRange::fail);
    l_.kernel().exprs[static_cast<size_t>(e)].integer = CAMEO_INDEX_OUT_OF_RANGE;
    return convert(l_, e, x_->type().dtype(), t_);
  }

  // A fixed number of samples.
  Problem samples() {
    const Space space = l_.space(y_->type().shape());
    loop::Stage stage = l_.stage(space, "samples");
    const int32_t i = Lowering::add_reduction(stage, "i", ratio_), j = Lowering::add_reduction(stage, "j", ratio_);
    const Index r = space.dims[0];
    auto coordinate = [&](bool rows, int32_t axis) {
      const ExprId s = from_integer(l_.kernel().axis_value(axis));
      return sample(along(r, rows), space.dims[rows ? 2 : 3], s, c(static_cast<double>(ratio_)));
    };
    const ExprId row = coordinate(true, i), column = coordinate(false, j);
    const ExprId valid = op(Opcode::bit_and, counts(row, true), counts(column, false));
    const Around y = around(row, true), x = around(column, false);
    const bool max = mode_ == "align_max";
    ExprId value = -1;
    for (const bool low_row : {true, false})
      for (const bool low_column : {true, false}) {
        const ExprId a =
            image(r, space.dims[1], Lowering::at(low_row ? y.low : y.high), Lowering::at(low_column ? x.low : x.high));
        const ExprId w = mul(weight(low_row ? 0 : 1, y.ratio, false), weight(low_column ? 0 : 1, x.ratio, false));
        const ExprId term = mul(a, w);
        value = value < 0 ? term : op(max ? Opcode::max : Opcode::add, value, term);
      }
    value = l_.select(valid, value, c(0));
    stage.types = {t_};
    stage.init = {max ? l_.kernel().constant(t_, -HUGE_VAL) : c(0)};
    stage.next = {op(max ? Opcode::max : Opcode::add, l_.kernel().carried(t_), value)};
    stage.combine = max ? Opcode::max : Opcode::add;
    const int32_t sum = l_.add_stage(std::move(stage));
    const ExprId total = l_.read_stage(sum);
    define(space, max ? total : div(total, c(static_cast<double>(ratio_ * ratio_))));
    return {};
  }

  // The sum over the samples of a bin of the weight that each gives to element `at`. Samples are less than one element
  // apart, but in bins of less than one element, which have a single one: those that can reach an element are few.
  int32_t weights_along(bool rows) {
    const graph::Shape &shape = y_->type().shape();
    const Space space = l_.space({shape[0], shape[rows ? 2 : 3], extent_of(rows)});
    loop::Stage stage = l_.stage(space, rows ? "rows" : "columns");
    // Of the count samples, those at most one element before the first one and one behind the last: the clamp moves
    // both to the edge.
    const int32_t s = Lowering::add_reduction(stage, "s", l_.extent(extent_of(rows) * 2 + 5));
    const Axis a = along(space.dims[0], rows);
    const ExprId count = op(Opcode::max, l_.op(Opcode::ceil, a.bin), c(0));
    // sample(first) >= -1: first = ceil((-1 - start of the bin) * count / bin - 0.5)
    const ExprId begin = add(a.start, mul(from_integer(l_.index_value(space.dims[1])), a.bin));
    const ExprId before = sub(div(mul(sub(c(-1), begin), count), a.bin), c(0.5));
    const ExprId first = op(Opcode::max, sub(l_.op(Opcode::floor, before), c(1)), c(0));
    const ExprId number = add(first, from_integer(l_.kernel().axis_value(s)));
    const ExprId at = sample(a, space.dims[1], number, count);
    const ExprId valid = op(Opcode::bit_and, op(Opcode::lt, number, count), counts(at, rows));
    const ExprId place = clamp(at, c(0), sub(extent(extent_of(rows)), c(1)));
    const ExprId away = l_.op(Opcode::abs, sub(place, from_integer(l_.index_value(space.dims[2]))));
    const ExprId w = op(Opcode::max, sub(c(1), away), c(0));
    stage.types = {t_};
    stage.init = {c(0)};
    stage.next = {add(l_.kernel().carried(t_), l_.select(valid, w, c(0)))};
    stage.combine = Opcode::add;
    return l_.add_stage(std::move(stage));
  }
  Problem weights() {
    const int32_t rows = weights_along(true), columns = weights_along(false);
    const graph::Shape &shape = y_->type().shape();
    auto dim = [](int32_t axis) { return loop::axis_index(axis); };
    // t[r, c, i, w] = sum over h of A[r, i, h] * x[c, h, w]
    loop::Stage inner = l_.stage(l_.space({shape[0], shape[1], shape[2], extent_of(false)}), "inner");
    const int32_t h = Lowering::add_reduction(inner, "h", l_.extent(extent_of(true)));
    inner.types = {t_};
    inner.init = {c(0)};
    const ExprId x = image(dim(0), dim(1), dim(h), dim(3));
    inner.next = {
        l_.op(Opcode::muladd, l_.kernel().read_stage(rows, {dim(0), dim(2), dim(h)}), x, l_.kernel().carried(t_))};
    inner.combine = Opcode::add;
    const int32_t t = l_.add_stage(std::move(inner));
    const Space space = l_.space(shape);
    loop::Stage outer = l_.stage(space, "outer");
    const int32_t w = Lowering::add_reduction(outer, "w", l_.extent(extent_of(false)));
    outer.types = {t_};
    outer.init = {c(0)};
    outer.next = {l_.op(Opcode::muladd, l_.kernel().read_stage(t, {dim(0), dim(1), dim(2), dim(w)}),
                        l_.kernel().read_stage(columns, {dim(0), dim(3), dim(w)}), l_.kernel().carried(t_))};
    outer.combine = Opcode::add;
    const int32_t sum = l_.add_stage(std::move(outer));
    auto count = [&](bool r) { return op(Opcode::max, l_.op(Opcode::ceil, along(space.dims[0], r).bin), c(0)); };
    define(space, div(l_.read_stage(sum), op(Opcode::max, mul(count(true), count(false)), c(1))));
    return {};
  }

  // The maximum over the rows of each bin, then over its columns; 0 where a bin has none.
  Problem bins() {
    const graph::Shape &shape = y_->type().shape();
    auto dim = [](int32_t axis) { return loop::axis_index(axis); };
    auto rounded = [&](ExprId v) { return l_.op(Opcode::floor, add(v, c(0.5))); };
    struct Range {
      ExprId begin, end; ///< f
    };
    auto range = [&](const Index &r, const Index &bin, bool rows) {
      const ExprId start = rounded(corner(r, rows ? 1 : 0)), stop = rounded(corner(r, rows ? 3 : 2));
      const ExprId size = op(Opcode::max, add(sub(stop, start), c(1)), c(1));
      const ExprId each = div(size, extent(shape[rows ? 2 : 3])), at = from_integer(l_.index_value(bin));
      const ExprId n = extent(extent_of(rows));
      return Range{clamp(add(l_.op(Opcode::floor, mul(at, each)), start), c(0), n),
                   clamp(add(l_.op(Opcode::ceil, mul(add(at, c(1)), each)), start), c(0), n)};
    };
    auto within = [&](const Range &range, const Index &i) {
      const ExprId at = from_integer(l_.index_value(i));
      return op(Opcode::bit_and, op(Opcode::le, range.begin, at), op(Opcode::lt, at, range.end));
    };
    const ExprId lowest = l_.kernel().constant(t_, -HUGE_VAL);
    loop::Stage inner = l_.stage(l_.space({shape[0], shape[1], shape[2], extent_of(false)}), "inner");
    const int32_t h = Lowering::add_reduction(inner, "h", l_.extent(extent_of(true)));
    inner.types = {t_};
    inner.init = {lowest};
    const ExprId x = image(dim(0), dim(1), dim(h), dim(3));
    inner.next = {
        op(Opcode::max, l_.kernel().carried(t_), l_.select(within(range(dim(0), dim(2), true), dim(h)), x, lowest))};
    inner.combine = Opcode::max;
    const int32_t t = l_.add_stage(std::move(inner));
    const Space space = l_.space(shape);
    loop::Stage outer = l_.stage(space, "outer");
    const int32_t w = Lowering::add_reduction(outer, "w", l_.extent(extent_of(false)));
    outer.types = {t_};
    outer.init = {lowest};
    const ExprId v = l_.kernel().read_stage(t, {dim(0), dim(1), dim(2), dim(w)});
    outer.next = {
        op(Opcode::max, l_.kernel().carried(t_), l_.select(within(range(dim(0), dim(3), false), dim(w)), v, lowest))};
    outer.combine = Opcode::max;
    const int32_t best = l_.add_stage(std::move(outer));
    const Range rows = range(dim(0), dim(2), true), columns = range(dim(0), dim(3), false);
    const ExprId empty =
        op(Opcode::bit_or, op(Opcode::le, rows.end, rows.begin), op(Opcode::le, columns.end, columns.begin));
    define(space, l_.select(empty, c(0), l_.read_stage(best)));
    return {};
  }

  const Value *x_, *rois_, *batch_, *y_;
  const std::string mode_;
  const bool half_;
  const int64_t ratio_;
  const double scale_;
};

// y[n, m, o...] = bias[m] + sum over c, k of w[m, c, k] * mask[n, c's offset group, k, o] * x[n, c] at o * stride + k *
// dilation - pad + offset[n, c's offset group, k, :, o], linear between elements and 0 outside.
class DeformConv : Coordinates {
public:
  DeformConv(Lowering &l, const graph::Node &node, Scalar t)
      : Coordinates(l, t), node_(node), window_(Window::of(node)), x_(node.operand(0)), w_(node.operand(1)),
        offset_(node.operand(2)), bias_(node.operand(3)), mask_(node.operand(4)), y_(node.result()) {}

  Problem run() {
    const graph::Shape &xs = x_->type().shape(), &ws = w_->type().shape(), &ys = y_->type().shape();
    const int64_t groups = node_.integer("group"), offset_groups = node_.integer("offset_group");
    for (size_t d = 2; d < ws.size(); ++d)
      if (!ws[d].is_constant()) return "deform_conv with a kernel of symbolic extents has no kernel";
    if (!xs[1].is_constant() || !ys[1].is_constant())
      return "deform_conv with a symbolic number of channels has no kernel";
    if (xs[1].value() % offset_groups != 0)
      return "deform_conv whose offset groups do not divide the channels has no kernel";
    const size_t rank = ws.size() - 2;

    // sampled[n, c, k..., o...]
    graph::Shape shape = {xs[0], xs[1]};
    shape.insert(shape.end(), ws.begin() + 2, ws.end());
    shape.insert(shape.end(), ys.begin() + 2, ys.end());
    const Space space = l_.space(shape);
    auto tap = [&](size_t d) { return space.dims[2 + d]; };
    auto out = [&](size_t d) { return space.dims[2 + rank + d]; };
    Index flat; // number of the tap in its kernel
    int64_t taps = 1;
    for (size_t d = rank; d-- > 0;) {
      if (ws[d + 2].value() != 1) flat = sum(l_, flat, scaled(tap(d), taps));
      taps *= ws[d + 2].value();
    }
    const int64_t each = xs[1].value() / offset_groups;
    Index group; // of offsets
    if (offset_groups > 1)
      group = Lowering::at(each == 1 ? l_.index_value(space.dims[1])
                                     : op(Opcode::udiv, l_.index_value(space.dims[1]), l_.integer(each)));
    auto at = [&](const Value *v, int64_t per_tap, int64_t part) { // element of offset or mask
      Index channel = scaled(flat, per_tap);
      channel.constant += part;
      if (group.indirect >= 0)
        channel = sum(l_, channel, Lowering::at(op(Opcode::mul, group.indirect, l_.integer(taps * per_tap))));
      std::vector<Index> indices = {space.dims[0], channel};
      for (size_t d = 0; d < rank; ++d) indices.push_back(out(d));
      return convert(l_, l_.read(v, indices), v->type().dtype(), t_);
    };
    std::vector<ExprId> base, ratio;
    for (size_t d = 0; d < rank; ++d) {
      const Index centre = window_.coordinate(l_, d, out(d), tap(d));
      const ExprId x =
          add(from_integer(l_.index_value(centre)), at(offset_, static_cast<int64_t>(rank), static_cast<int64_t>(d)));
      const ExprId low = l_.op(Opcode::floor, x);
      base.push_back(to_integer(low));
      ratio.push_back(sub(x, low));
    }
    ExprId value = interpolate(*this, ratio, false, [&](const std::vector<int> &taps_of) {
      std::vector<Index> indices = {space.dims[0], space.dims[1]};
      for (size_t d = 0; d < rank; ++d)
        indices.push_back(Lowering::at(op(Opcode::add, base[d], l_.integer(taps_of[d]))));
      return convert(l_, l_.read(x_, indices, OutOfRange::fill, 0), x_->type().dtype(), t_);
    });
    if (mask_) value = mul(value, at(mask_, 1, 0));
    loop::Stage sampled = l_.stage(space, "sampled");
    sampled.types = {t_};
    sampled.next = {value};
    const int32_t s = l_.add_stage(std::move(sampled));

    const Space result = l_.space(ys);
    loop::Stage stage = l_.stage(result, "sum");
    const int32_t channel = Lowering::add_reduction(stage, "c", l_.extent(ws[1]));
    std::vector<Index> weight = {result.dims[1], loop::axis_index(channel)}, read = {result.dims[0]};
    Index in = loop::axis_index(channel);
    if (groups > 1) {
      const ExprId g = op(Opcode::udiv, l_.index_value(result.dims[1]), l_.integer(ys[1].value() / groups));
      in = sum(l_, in, Lowering::at(op(Opcode::mul, g, l_.dim_value(ws[1]))));
    }
    read.push_back(in);
    for (size_t d = 0; d < rank; ++d) {
      const int32_t k = Lowering::add_reduction(stage, "k" + std::to_string(d), l_.extent(ws[d + 2]));
      weight.push_back(loop::axis_index(k));
      read.push_back(loop::axis_index(k));
    }
    for (size_t d = 0; d < rank; ++d) read.push_back(result.dims[d + 2]);
    stage.types = {t_};
    stage.init = {bias_ ? convert(l_, l_.read(bias_, {result.dims[1]}), bias_->type().dtype(), t_) : c(0)};
    stage.next = {l_.op(Opcode::muladd, l_.kernel().read_stage(s, read),
                        convert(l_, l_.read(w_, weight), w_->type().dtype(), t_), l_.kernel().carried(t_))};
    stage.combine = Opcode::add;
    const int32_t number = l_.add_stage(std::move(stage));
    if (value_type(y_->type().dtype()) == t_)
      l_.define(y_, number, 0, result);
    else
      l_.define_pointwise(
          y_, result,
          cast_value(l_, l_.read_stage(number), t_ == Scalar::f64 ? DType::f64 : DType::f32, y_->type().dtype()),
          "cast");
    return {};
  }

private:
  const graph::Node &node_;
  const Window window_;
  const Value *x_, *w_, *offset_, *bias_, *mask_, *y_;
};

} // namespace

Problem lower_sample(Lowering &l, const graph::Node &node) {
  const DType dtype = node.operand(0)->type().dtype();
  switch (node.op()) {
  case graph::Op::grid_sample:
    return GridSample(l, node).run();
  case graph::Op::roi_pool:
    return RoiPool(l, node).run();
  default:
    if (!is_float(dtype)) return "deform_conv of " + std::string(name(dtype)) + " has no kernel";
    return DeformConv(l, node, dtype == DType::f64 ? Scalar::f64 : Scalar::f32).run();
  }
}

} // namespace cameo::ops
