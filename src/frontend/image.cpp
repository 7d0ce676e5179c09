// Images: resizing, sampling by grids, regions of interest, decoding.
#include "families.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace cameo::frontend {
namespace {

// floor(extent * scale); nullopt for an expression that a scale of that kind cannot multiply.
std::optional<Dim> scaled(const Dim &extent, double scale) {
  if (extent.is_constant()) {
    const double out = std::floor(double(extent.value()) * scale);
    return out < 0x1p62 ? std::optional(Dim(int64_t(out))) : std::nullopt;
  }
  if (scale == std::floor(scale) && scale < 0x1p31) return extent * int64_t(scale);
  const double inverse = 1 / scale;
  if (inverse == std::floor(inverse) && inverse < 0x1p31) return floordiv(extent, int64_t(inverse));
  return std::nullopt;
}

// What every version of Resize and Upsample comes to.
struct ResizeSpec {
  std::string mode = "nearest", coordinates = "asymmetric", nearest = "floor", keep_aspect = "stretch";
  bool antialias = false, exclude_outside = false;
  double cubic_coeff = -0.75, extrapolation = 0;
  std::vector<int64_t> axes;
  Value *roi = nullptr, *scales = nullptr, *sizes = nullptr;
};

// One scale for all axes, so that the result fits into (covers) the sizes; extents round half up.
void keep_aspect_runtime(NodeImport &n, ResizeSpec &spec) {
  std::vector<Dim> extents;
  for (int64_t axis : spec.axes) extents.push_back(n.input(0)->type().dim(int(axis)));
  Value *from = n.cast(n.dims(extents), DType::f64);
  Value *each = n.map(Fn::div, {n.cast(spec.sizes, DType::f64), from});
  Value *common = n.reduce(spec.keep_aspect == "not_larger" ? "min" : "max", each, {0}, true);
  Value *rounded = n.map(Fn::floor, {n.map(Fn::add, {n.map(Fn::mul, {common, from}), n.scalar(DType::f64, 0.5)})});
  spec.sizes = n.cast(rounded, DType::i64);
  spec.scales = n.broadcast(common, {int64_t(spec.axes.size())});
}

void resize(NodeImport &n, ResizeSpec spec) {
  Value *x = n.input(0);
  if (n.failed()) return;
  Attributes attributes = {{"mode", spec.mode}, {"coordinates", spec.coordinates}, {"antialias", spec.antialias}};
  if (spec.mode == "nearest") attributes.emplace_back("nearest", spec.nearest);
  if (spec.mode == "cubic") {
    attributes.emplace_back("cubic_coeff", spec.cubic_coeff);
    attributes.emplace_back("exclude_outside", spec.exclude_outside);
  }
  const bool crop = spec.coordinates == "tf_crop_and_resize";
  if (crop) attributes.emplace_back("extrapolation", spec.extrapolation);
  if (!crop) spec.roi = nullptr;

  Shape shape = x->type().shape();
  const size_t count = spec.axes.size();
  std::optional<std::vector<double>> scales = spec.scales ? n.reals_of(spec.scales) : std::nullopt;
  std::optional<std::vector<Dim>> sizes = spec.sizes ? n.dims_of(spec.sizes) : std::nullopt;
  for (Value *given : {spec.scales, spec.sizes})
    if (given && given->type().is_ranked() &&
        (given->type().rank() != 1 || (given->type().dim(0).is_constant() && !given->type().dim(0).is(int64_t(count)))))
      return void(n.fail("scales or sizes " + given->type().str() + " for " + std::to_string(count) + " axes"));
  if (scales)
    for (double s : *scales)
      if (!(s > 0) || !(s < 0x1p31)) return void(n.fail("a scale is " + std::to_string(s)));
  auto known = [](const Dim &d) { return d.is_constant(); };
  if (sizes && spec.keep_aspect != "stretch" &&
      !(std::all_of(sizes->begin(), sizes->end(), known) &&
        std::all_of(spec.axes.begin(), spec.axes.end(), [&](int64_t a) { return known(shape[size_t(a)]); })))
    sizes.reset(); // extents are left to the run
  if (sizes && spec.keep_aspect != "stretch") {
    // One scale for all axes, so that the result fits into (covers) the sizes; extents round half up.
    scales.emplace(count, 0.0);
    double common = spec.keep_aspect == "not_larger" ? HUGE_VAL : 0.0;
    for (size_t i = 0; i < count; ++i) {
      const Dim &extent = shape[size_t(spec.axes[i])], &size = (*sizes)[i];
      if (extent.value() < 1) return void(n.fail("axis " + std::to_string(spec.axes[i]) + " is empty"));
      const double s = double(size.value()) / double(extent.value());
      common = spec.keep_aspect == "not_larger" ? std::min(common, s) : std::max(common, s);
    }
    for (size_t i = 0; i < count; ++i) {
      (*scales)[i] = common;
      (*sizes)[i] = int64_t(std::floor(common * double(shape[size_t(spec.axes[i])].value()) + 0.5));
    }
  }
  if ((spec.scales && !scales) || (spec.sizes && !sizes)) { // known only while running
    if (spec.keep_aspect != "stretch") keep_aspect_runtime(n, spec);
    if (n.failed()) return;
    for (int64_t axis : spec.axes) shape[size_t(axis)] = n.fresh_dim();
    attributes.emplace_back("axes", spec.axes);
    Value *size_operand = spec.sizes ? n.cast(spec.sizes, DType::i64) : nullptr;
    return n.result(n.make_typed(Op::resize, {x, spec.roi, spec.scales, size_operand}, std::move(attributes),
                                 Type::tensor(x->type().dtype(), std::move(shape))));
  }

  // Axes that keep their extent at scale 1 are left out.
  std::vector<int64_t> axes;
  std::vector<double> factors;
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return spec.axes[a] < spec.axes[b]; });
  for (size_t i : order) {
    const auto axis = size_t(spec.axes[i]);
    const Dim extent = shape[axis];
    Dim out = extent;
    if (sizes) {
      out = (*sizes)[i];
      if (out.is_constant() && out.value() < 1) return void(n.fail("a size is " + out.str()));
    } else {
      const std::optional<Dim> d = scaled(extent, (*scales)[i]);
      out = d ? *d : n.fresh_dim();
      if (out.is_constant() && out.value() > INT32_MAX) return void(n.fail("an extent of the result is " + out.str()));
    }
    if (out == extent && !crop && (!scales || (*scales)[i] == 1)) continue;
    if (extent.is(0)) return void(n.fail("axis " + std::to_string(axis) + " is empty"));
    shape[axis] = out;
    axes.push_back(int64_t(axis));
    if (scales) factors.push_back((*scales)[i]);
  }
  if (axes.empty()) return n.result(x);
  if (spec.roi && !std::is_sorted(order.begin(), order.end())) { // starts, then ends, in the order of the axes
    std::vector<int64_t> both(order.begin(), order.end());
    for (size_t i : order) both.push_back(int64_t(count + i));
    spec.roi = n.gather(spec.roi, n.ints_constant(both), 0);
  }
  if (crop && axes.size() != count) return void(n.unsupported("cropping some axes"));
  attributes.emplace_back("axes", axes);
  if (scales) attributes.emplace_back("scales", factors);
  n.result(n.make_typed(Op::resize, {x, spec.roi}, std::move(attributes),
                        Type::tensor(x->type().dtype(), std::move(shape))));
}

std::string resize_mode(NodeImport &n) {
  const std::string mode = n.version() >= 11 ? n.word("mode", {"nearest", "linear", "cubic"})
                                             : n.word("mode", {"nearest", "linear", "bilinear"});
  return mode == "bilinear" ? "linear" : mode;
}

std::vector<int64_t> all_axes(const Value *x) {
  std::vector<int64_t> axes(size_t(x->type().rank()));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// An input that is there and not the empty tensor by which opset 11 leaves one out.
Value *given(NodeImport &n, size_t i) {
  Value *v = n.input(i);
  return v && v->type().is_ranked() && v->type().rank() == 1 && v->type().dim(0).is(0) ? nullptr : v;
}

} // namespace

void import_resize(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  ResizeSpec spec;
  spec.mode = resize_mode(n);
  spec.axes = all_axes(x);
  if (n.version() < 11) {
    spec.scales = n.input(1);
    return resize(n, std::move(spec));
  }
  if (n.version() >= 18 && n.has("axes")) spec.axes = n.axes(n.ints("axes"), x->type().rank());
  spec.coordinates =
      n.version() < 13
          ? n.word("coordinate_transformation_mode", {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
                                                      "tf_half_pixel_for_nn", "tf_crop_and_resize"})
          : n.word("coordinate_transformation_mode",
                   {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                    "tf_half_pixel_for_nn", "tf_crop_and_resize"});
  spec.nearest = n.word("nearest_mode", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  spec.cubic_coeff = n.real("cubic_coeff_a");
  spec.exclude_outside = n.flag("exclude_outside");
  spec.extrapolation = n.real("extrapolation_value");
  spec.antialias = n.integer("antialias", 0) != 0;
  if (n.version() >= 18)
    spec.keep_aspect = n.word("keep_aspect_ratio_policy", {"stretch", "not_larger", "not_smaller"});
  spec.roi = given(n, 1);
  spec.scales = given(n, 2);
  spec.sizes = given(n, 3);
  if (spec.coordinates == "tf_crop_and_resize" && !spec.roi) n.fail("tf_crop_and_resize needs a region of interest");
  if (!spec.scales == !spec.sizes) n.fail("needs either scales or sizes");
  resize(n, std::move(spec));
}

void import_upsample(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  ResizeSpec spec;
  spec.mode = resize_mode(n);
  spec.axes = all_axes(x);
  if (n.version() >= 9) {
    spec.scales = n.input(1);
  } else {
    std::vector<double> scales = n.reals("scales");
    if (n.version() < 7) scales = {1, 1, n.real("height_scale", 1.0), n.real("width_scale", 1.0)};
    if (scales.size() != spec.axes.size())
      n.fail(std::to_string(scales.size()) + " scales for rank " + std::to_string(spec.axes.size()));
    if (!n.failed()) spec.scales = n.constant(ConstantData::of(DType::f32, {int64_t(scales.size())}, scales));
  }
  resize(n, std::move(spec));
}

void import_grid_sample(NodeImport &n) {
  std::string mode = n.version() < 20 ? n.word("mode", {"bilinear", "nearest", "bicubic"})
                                      : n.word("mode", {"linear", "nearest", "cubic"});
  if (mode.substr(0, 2) == "bi") mode = mode.substr(2);
  const std::string padding = n.word("padding_mode", {"zeros", "border", "reflection"});
  n.result(n.make(Op::grid_sample, {n.input(0), n.input(1)},
                  {{"mode", mode}, {"padding", padding}, {"align_corners", n.flag("align_corners")}}));
}

// grid[n, d..., r] = sum over k of theta[n, r, k] * base[d..., k], base = (x, y, (z,) 1) in [-1, 1].
void import_affine_grid(NodeImport &n) {
  Value *theta = n.input(0), *size = n.input(1);
  if (!n.ranked(theta) || !n.ranked(size)) return;
  if (theta->type().rank() == 3 && !(theta->type().dim(1).is_constant() && theta->type().dim(2).is_constant()))
    return void(n.unsupported("a number of spatial axes known only at run time"));
  if (theta->type().rank() != 3) return void(n.fail("theta is " + theta->type().str()));
  const int64_t spatial = theta->type().dim(1).value();
  if ((spatial != 2 && spatial != 3) || !theta->type().dim(2).is(spatial + 1))
    return void(n.fail("theta is " + theta->type().str()));
  const DType dtype = theta->type().dtype();
  const bool corners = n.flag("align_corners");
  std::vector<Value *> lines; // coordinates along each axis, outermost first
  Shape extents;
  for (int64_t i = 0; i < spatial; ++i) {
    Value *count = n.gather(size, n.scalar_int(DType::i64, i + 2), 0);
    Value *index = n.make(Op::range, {n.scalar_int(DType::i64, 0), count, n.scalar_int(DType::i64, 1)});
    if (n.failed()) return;
    Value *at = n.cast(index, dtype), *length = n.cast(count, dtype);
    auto number = [&](double v) { return n.scalar(dtype, v); };
    // 2 i / (d - 1) - 1, or (2 i + 1) / d - 1
    Value *top = n.map(Fn::mul, {at, number(2)});
    if (!corners) top = n.map(Fn::add, {top, number(1)});
    Value *bottom = corners ? n.map(Fn::max, {n.map(Fn::sub, {length, number(1)}), number(1)}) : length;
    lines.push_back(n.map(Fn::sub, {n.map(Fn::div, {top, bottom}), number(1)}));
    extents.push_back(index->type().dim(0));
  }
  Shape whole = extents;
  whole.push_back(1);
  std::vector<Value *> columns;
  for (int64_t i = spatial; i-- > 0;) { // x is the innermost axis
    Shape along(size_t(spatial) + 1, Dim(1));
    along[size_t(i)] = extents[size_t(i)];
    columns.push_back(n.broadcast(n.reshape(lines[size_t(i)], along), whole));
  }
  columns.push_back(n.broadcast(n.scalar(dtype, 1), whole));
  Value *base = n.concat(std::move(columns), spatial);
  const std::string equation = spatial == 2 ? "nrk,hwk->nhwr" : "nrk,dhwk->ndhwr";
  n.result(n.make(Op::contract, {theta, base}, with_compute({{"equation", equation}}, dtype)));
}

void import_roi_align(NodeImport &n) {
  Value *x = n.input(0), *rois = n.input(1);
  if (!n.ranked(x) || !n.ranked(rois)) return;
  if (x->type().rank() != 4 || rois->type().rank() != 2 ||
      (rois->type().dim(1).is_constant() && !rois->type().dim(1).is(4)))
    return void(n.fail("input " + x->type().str() + " and regions " + rois->type().str() + " do not fit"));
  if (const Type &batch = n.input(2)->type();
      !n.ranked(n.input(2)) || batch.rank() != 1 ||
      (batch.dim(0).is_constant() && rois->type().dim(0).is_constant() && batch.dim(0) != rois->type().dim(0)))
    return void(n.fail("batch indices " + batch.str() + " for regions " + rois->type().str()));
  const int64_t h = n.integer("output_height"), w = n.integer("output_width"), samples = n.integer("sampling_ratio");
  if (h < 1 || w < 1 || h > INT32_MAX || w > INT32_MAX)
    return void(n.fail("output extents " + std::to_string(h) + " and " + std::to_string(w)));
  if (samples < 0 || samples > 1 << 16) return void(n.fail("sampling_ratio is " + std::to_string(samples)));
  const std::string mode = n.word("mode", {"avg", "max"});
  const std::string coordinates = n.version() < 16
                                      ? "output_half_pixel"
                                      : n.word("coordinate_transformation_mode", {"half_pixel", "output_half_pixel"});
  n.result(n.make_typed(Op::roi_pool, {x, rois, n.input(2)},
                        {{"mode", std::string(mode == "avg" ? "align_average" : "align_max")},
                         {"coordinates", coordinates},
                         {"sampling_ratio", samples},
                         {"spatial_scale", n.real("spatial_scale")}},
                        Type::tensor(x->type().dtype(), {rois->type().dim(0), x->type().dim(1), h, w})));
}

// Regions are (batch, x1, y1, x2, y2).
void import_max_roi_pool(NodeImport &n) {
  Value *x = n.input(0), *rois = n.input(1);
  if (!n.ranked(x) || !n.ranked(rois)) return;
  const std::vector<int64_t> pooled = n.ints("pooled_shape");
  if (x->type().rank() != 4 || rois->type().rank() != 2 || !rois->type().dim(1).is(5))
    return void(n.fail("input " + x->type().str() + " and regions " + rois->type().str() + " do not fit"));
  if (pooled.size() != 2 || pooled[0] < 1 || pooled[1] < 1) return void(n.fail("pooled_shape must be two extents"));
  const Dim count = rois->type().dim(0);
  Value *batch = n.cast(n.reshape(n.slice(rois, 1, 0, 1), {count}), DType::i64);
  n.result(n.make_typed(Op::roi_pool, {x, n.slice(rois, 1, 1, 4), batch},
                        {{"mode", std::string("quantized_max")},
                         {"coordinates", std::string("output_half_pixel")},
                         {"sampling_ratio", int64_t{0}},
                         {"spatial_scale", n.real("spatial_scale")}},
                        Type::tensor(x->type().dtype(), {count, x->type().dim(1), pooled[0], pooled[1]})));
}

void import_image_decoder(NodeImport &n) {
  n.result(
      n.make(Op::image_decode, {n.input(0)}, {{"pixel_format", n.word("pixel_format", {"RGB", "BGR", "Grayscale"})}}));
}

} // namespace cameo::frontend
