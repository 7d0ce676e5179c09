// Sliding windows: convolutions and pooling, with the padding rules of the standard resolved to numbers or expressions.
#include "families.h"
#include "parts.h"

#include <algorithm>

namespace cameo::frontend {
namespace {

// Attributes of windows over the spatial axes, with defaults filled in and lengths checked.
struct Window {
  std::vector<int64_t> kernel, strides, dilations;
  std::vector<Dim> pads; ///< lows, then highs
  bool same = false;     ///< SAME_UPPER or SAME_LOWER: the extents are ceil(x / stride)
  bool ok = false;
};

std::vector<int64_t> list_of(NodeImport &n, std::string_view attribute, size_t length, int64_t value) {
  std::vector<int64_t> list = n.ints(attribute);
  if (!n.has(attribute)) return std::vector<int64_t>(length, value);
  if (list.size() != length)
    n.fail(std::string(attribute) + " has " + std::to_string(list.size()) + " values for " + std::to_string(length) +
           " spatial axes");
  return list;
}

// Not every operator with pads has the attribute.
std::string auto_pad(NodeImport &n) {
  return n.defines("auto_pad") ? n.word("auto_pad", {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}) : "NOTSET";
}

// floor((x + pads - ((kernel - 1) * dilation + 1)) / stride) + 1 when SAME pads: ceil(x / stride).
Window window_of(NodeImport &n, const Shape &x, std::vector<int64_t> kernel) {
  Window w;
  const size_t spatial = x.size() - 2;
  w.kernel = std::move(kernel);
  w.strides = list_of(n, "strides", spatial, 1);
  w.dilations = list_of(n, "dilations", spatial, 1);
  std::vector<int64_t> pads = list_of(n, "pads", 2 * spatial, 0);
  for (size_t i = 0; i < spatial && !n.failed(); ++i) {
    constexpr int64_t limit = INT32_MAX; // beyond it products of extents overflow for no good reason
    if (w.kernel[i] < 1 || w.kernel[i] > limit)
      n.fail("kernel extent " + std::to_string(w.kernel[i]) + " of spatial axis " + std::to_string(i));
    if (w.strides[i] < 1 || w.strides[i] > limit)
      n.fail("stride " + std::to_string(w.strides[i]) + " of spatial axis " + std::to_string(i));
    if (w.dilations[i] < 1 || w.dilations[i] > limit)
      n.fail("dilation " + std::to_string(w.dilations[i]) + " of spatial axis " + std::to_string(i));
  }
  for (int64_t pad : pads)
    if (pad < 0 || pad > INT32_MAX) n.fail("pad " + std::to_string(pad));
  if (n.failed()) return w;
  w.pads.assign(pads.begin(), pads.end());
  const std::string mode = auto_pad(n);
  if (mode == "VALID") w.pads.assign(2 * spatial, Dim(0));
  w.same = mode[0] == 'S';
  for (size_t i = 0; w.same && i < spatial; ++i) {
    // total = max((ceil(x / s) - 1) * s + window - x, 0), the odd one at the end (upper) or the start (lower)
    const Dim &extent = x[i + 2];
    const Dim window = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const Dim total = max((ceildiv(extent, w.strides[i]) - 1) * w.strides[i] + window - extent, 0);
    const Dim less = floordiv(total, 2), more = total - less;
    w.pads[i] = mode == "SAME_UPPER" ? less : more;
    w.pads[spatial + i] = mode == "SAME_UPPER" ? more : less;
  }
  w.ok = !n.failed();
  return w;
}

// The spatial extents of a kernel; those that only the run knows are what the node says.
std::vector<int64_t> kernel_of(NodeImport &n, Value *&weights_value) {
  Shape shape = weights_value->type().shape();
  if (const std::vector<int64_t> said = n.ints("kernel_shape");
      n.has("kernel_shape") && said.size() + 2 == shape.size()) {
    for (size_t i = 0; i < said.size(); ++i)
      if (!shape[i + 2].is_constant() && said[i] > 0) shape[i + 2] = said[i];
    weights_value = n.with_shape(weights_value, "the kernel", std::move(shape));
    if (n.failed()) return {};
  }
  const Type &weights = weights_value->type();
  std::vector<int64_t> kernel;
  for (int i = 2; i < weights.rank(); ++i) {
    if (!weights.dim(i).is_constant()) {
      n.unsupported("a kernel whose extents are not known");
      return {};
    }
    kernel.push_back(weights.dim(i).value());
  }
  if (n.has("kernel_shape") && n.ints("kernel_shape") != kernel)
    n.fail("kernel_shape is not that of the weights " + weights.str());
  return kernel;
}

bool check_ranks(NodeImport &n, Value *x, Value *w) {
  if (!n.ranked(x) || (w && !n.ranked(w))) return false;
  if (x->type().rank() < 3)
    n.fail("the input has rank " + std::to_string(x->type().rank()) + ", not [n, c, spatial...]");
  if (w && !n.failed() && w->type().rank() != x->type().rank())
    n.fail("weights of rank " + std::to_string(w->type().rank()) + " for an input of rank " +
           std::to_string(x->type().rank()));
  return !n.failed();
}

Attributes conv_attributes(const Window &w, int64_t group) {
  return {{"strides", w.strides}, {"dilations", w.dilations}, {"pads", w.pads}, {"group", group}};
}

} // namespace

Value *channels_first(NodeImport &n, Value *x) {
  if (!check_ranks(n, x, nullptr)) return nullptr;
  std::vector<int64_t> perm = {0, x->type().rank() - 1};
  for (int64_t i = 1; i + 1 < x->type().rank(); ++i) perm.push_back(i);
  return n.transpose(x, std::move(perm));
}

Value *channels_last(NodeImport &n, Value *x) {
  if (n.failed()) return nullptr;
  std::vector<int64_t> perm = {0};
  for (int64_t i = 2; i < x->type().rank(); ++i) perm.push_back(i);
  perm.push_back(1);
  return n.transpose(x, std::move(perm));
}

Value *convolve(NodeImport &n, Value *x, Value *weights, Value *bias) {
  if (!check_ranks(n, x, weights)) return nullptr;
  std::vector<int64_t> kernel = kernel_of(n, weights);
  if (n.failed()) return nullptr;
  const Window w = window_of(n, x->type().shape(), std::move(kernel));
  if (!w.ok) return nullptr;
  return n.make(Op::conv, {x, weights, bias}, with_compute(conv_attributes(w, n.integer("group")), x->type().dtype()));
}

void import_conv(NodeImport &n) { n.result(convolve(n, n.input(0), n.input(1), n.input(2))); }

// Zero points are subtracted first; sums are i32. `finish` makes the node's output of the sums.
void import_conv_integer_with(NodeImport &n, Value *x, Value *weights, Value *x_zero, Value *w_zero,
                              const std::function<Value *(Value *)> &finish) {
  if (!check_ranks(n, x, weights)) return;
  std::vector<int64_t> kernel = kernel_of(n, weights);
  if (n.failed()) return;
  const Window w = window_of(n, x->type().shape(), std::move(kernel));
  if (!w.ok) return;
  Attributes attributes = conv_attributes(w, n.integer("group"));
  attributes.emplace_back("compute", DType::i32);
  Value *sums = n.make(Op::conv, {x, weights, nullptr, x_zero, w_zero}, std::move(attributes), DType::i32);
  if (sums) n.result(finish(sums));
}

void import_conv_integer(NodeImport &n) {
  import_conv_integer_with(n, n.input(0), n.input(1), n.input(2), n.input(3), [](Value *sums) { return sums; });
}

// y = (x - 1) * stride + output_padding + window - pads, unless output_shape says it.
void import_conv_transpose(NodeImport &n) {
  Value *x = n.input(0), *weights = n.input(1);
  if (!check_ranks(n, x, weights)) return;
  const Shape &shape = x->type().shape();
  const size_t spatial = shape.size() - 2;
  std::vector<int64_t> kernel = kernel_of(n, weights);
  if (n.failed()) return;
  Window w = window_of(n, shape, std::move(kernel));
  const std::vector<int64_t> extra = list_of(n, "output_padding", spatial, 0);
  const std::string mode = auto_pad(n);
  if (!w.ok || n.failed()) return;
  for (size_t i = 0; i < spatial; ++i)
    if (extra[i] < 0 || extra[i] > INT32_MAX) return void(n.fail("output_padding " + std::to_string(extra[i])));
  std::vector<int64_t> wanted = n.ints("output_shape");
  if (n.has("output_shape")) {
    if (wanted.size() == spatial + 2) wanted.erase(wanted.begin(), wanted.begin() + 2); // older exporters name all axes
    if (wanted.size() != spatial)
      return void(n.fail("output_shape has " + std::to_string(wanted.size()) + " values for " +
                         std::to_string(spatial) + " spatial axes"));
  }
  std::vector<Dim> extents;
  for (size_t i = 0; i < spatial; ++i) {
    const Dim window = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const Dim full = (shape[i + 2] - 1) * w.strides[i] + window + extra[i];
    if (n.has("output_shape") || w.same) {
      const Dim out = n.has("output_shape") ? Dim(wanted[i]) : shape[i + 2] * w.strides[i];
      const Dim total = max(full - out, 0), less = floordiv(total, 2), more = total - less;
      w.pads[i] = mode == "SAME_UPPER" ? less : more;
      w.pads[spatial + i] = mode == "SAME_UPPER" ? more : less;
      extents.push_back(out);
    } else {
      extents.push_back(full - w.pads[i] - w.pads[spatial + i]);
    }
    if (extents.back().is_constant() && extents.back().value() < 1)
      return void(
          n.fail("extent " + extents.back().str() + " of spatial axis " + std::to_string(i) + " of the result"));
  }
  const Attributes attributes = with_compute(conv_attributes(w, n.integer("group")), x->type().dtype());
  // The rule without output padding checks channels, groups and bias; the extents are ours.
  ops::Inferred inferred = ops::infer(n.graph(), {Op::conv_transpose, {x, weights, n.input(2)}, attributes, 1, {}});
  if (!inferred.ok()) return void(n.fail(inferred.problem));
  Shape result = inferred.types[0].shape();
  std::copy(extents.begin(), extents.end(), result.begin() + 2);
  n.result(n.make_typed(Op::conv_transpose, {x, weights, n.input(2)}, attributes,
                        Type::tensor(x->type().dtype(), std::move(result))));
}

void import_deform_conv(NodeImport &n) {
  Value *x = n.input(0), *weights = n.input(1);
  if (!check_ranks(n, x, weights)) return;
  std::vector<int64_t> kernel = kernel_of(n, weights);
  if (n.failed()) return;
  const Window w = window_of(n, x->type().shape(), std::move(kernel));
  if (!w.ok) return;
  Attributes attributes = conv_attributes(w, n.integer("group"));
  attributes.emplace_back("offset_group", n.integer("offset_group"));
  if (n.integer("offset_group") < 1) n.fail("offset_group is " + std::to_string(n.integer("offset_group")));
  n.result(n.make(Op::deform_conv, {x, weights, n.input(2), n.input(3), n.input(4)},
                  with_compute(std::move(attributes), x->type().dtype())));
}

std::vector<Value *> pool(NodeImport &n, Value *x, const std::string &fn, size_t results) {
  if (!check_ranks(n, x, nullptr)) return {results, nullptr};
  const Shape &shape = x->type().shape();
  const size_t spatial = shape.size() - 2;
  const Window w = window_of(n, shape, list_of(n, "kernel_shape", spatial, 1));
  const auto nothing = std::vector<Value *>(results, nullptr);
  if (!w.ok) return nothing;
  Attributes attributes = {
      {"fn", fn}, {"kernel", w.kernel}, {"strides", w.strides}, {"dilations", w.dilations}, {"pads", w.pads}};
  if (fn == "average") attributes.emplace_back("count_include_pad", n.integer("count_include_pad", 0) != 0);
  if (fn == "lp") {
    const int64_t p = n.version() == 1 ? int64_t(n.real("p", 2.0)) : n.integer("p", 2);
    if (p < 1 || p > 1024) {
      n.fail("p is " + std::to_string(p));
      return nothing;
    }
    attributes.emplace_back("p", p);
  }
  if (fn == "max" && n.integer("storage_order", 0) != 0) attributes.emplace_back("column_major", true);
  if (fn != "max") attributes = with_compute(std::move(attributes), x->type().dtype());

  ops::Inferred inferred = ops::infer(n.graph(), {Op::pool, {x}, attributes, results, {}});
  const bool ceil = n.integer("ceil_mode", 0) != 0;
  if (!inferred.ok() && !ceil) {
    n.fail(inferred.problem);
    return nothing;
  }
  Shape result = {shape[0], shape[1]};
  for (size_t i = 0; i < spatial; ++i) {
    const Dim &extent = shape[i + 2];
    if (w.same) {
      result.push_back(ceildiv(extent, w.strides[i]));
      continue;
    }
    const Dim room = extent + w.pads[i] + w.pads[spatial + i] - (w.kernel[i] - 1) * w.dilations[i] - 1;
    Dim out = (ceil ? ceildiv(room, w.strides[i]) : floordiv(room, w.strides[i])) + 1;
    // A window that would start in the padding behind the end is left out.
    if (ceil) out = min(out, ceildiv(extent + w.pads[i], w.strides[i]));
    if (out.is_constant() && out.value() < 1) {
      n.fail("a window of " + std::to_string((w.kernel[i] - 1) * w.dilations[i] + 1) + " does not fit extent " +
             extent.str() + " of spatial axis " + std::to_string(i));
      return nothing;
    }
    result.push_back(std::move(out));
  }
  std::vector<Type> types = {Type::tensor(x->type().dtype(), result)};
  if (results == 2) types.push_back(Type::tensor(DType::i64, result));
  return n.make_many(Op::pool, {x}, std::move(attributes), results, std::move(types));
}

// MaxPool, AveragePool, LpPool.
void import_pool(NodeImport &n) {
  const std::string_view op = n.op();
  const std::vector<Value *> ys = pool(n, n.input(0),
                                       op == "MaxPool"       ? "max"
                                       : op == "AveragePool" ? "average"
                                                             : "lp",
                                       n.wants(1) ? 2 : 1);
  for (size_t i = 0; i < ys.size(); ++i) n.result(i, ys[i]);
}

// Over all spatial axes, which stay with extent 1.
void import_global_pool(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (x->type().rank() < 2)
    return void(n.fail("the input has rank " + std::to_string(x->type().rank()) + ", not [n, c, spatial...]"));
  std::vector<int64_t> axes;
  for (int64_t i = 2; i < x->type().rank(); ++i) axes.push_back(i);
  if (n.op() == "GlobalAveragePool") return n.result(n.reduce("mean", x, axes, true));
  if (n.op() == "GlobalMaxPool") return n.result(n.reduce("max", x, axes, true));
  const int64_t p = n.version() == 1 ? int64_t(n.real("p", 2.0)) : n.integer("p", 2);
  if (p < 1 || p > 1024) return void(n.fail("p is " + std::to_string(p)));
  if (p <= 2) return n.result(n.reduce(p == 1 ? "l1" : "l2", x, axes, true));
  const DType dtype = x->type().dtype();
  Value *powers = n.map(Fn::pow, {n.map(Fn::abs, {x}), n.scalar(dtype, double(p))});
  n.result(n.map(Fn::pow, {n.reduce("sum", powers, axes, true), n.scalar(dtype, 1.0 / double(p))}));
}

// Puts each value at the flat index (over the whole tensor) that the pool remembered; the rest is 0. An output shape
// that is larger adds zeros behind each axis.
void import_max_unpool(NodeImport &n) {
  Value *x = n.input(0), *indices = n.input(1);
  if (!check_ranks(n, x, nullptr) || !n.ranked(indices)) return;
  const Shape &shape = x->type().shape();
  const size_t spatial = shape.size() - 2;
  const Window w = window_of(n, shape, list_of(n, "kernel_shape", spatial, 1));
  if (!w.ok) return;
  Shape natural = {shape[0], shape[1]};
  for (size_t i = 0; i < spatial; ++i)
    natural.push_back((shape[i + 2] - 1) * w.strides[i] - w.pads[i] - w.pads[spatial + i] + w.kernel[i]);
  Dim size = 1;
  for (const Dim &d : natural) size *= d;
  const Dim count = x->type().elements();
  if (!size.valid()) return void(n.fail("the result's size " + std::string(size.fault_text())));
  const DType dtype = x->type().dtype();
  Value *zero = n.scalar(dtype, 0);
  Value *flat =
      n.make(Op::scatter_elements, {n.broadcast(zero, {size}), n.reshape(indices, {count}), n.reshape(x, {count})},
             {{"axis", int64_t{0}}, {"reduction", std::string("none")}});
  Value *y = n.reshape(flat, natural);
  if (!n.has(2)) return n.result(y);
  Value *wanted = n.with_shape(n.input(2), "the output shape", {int64_t(natural.size())});
  if (n.failed()) return;
  std::vector<Dim> low(natural.size(), Dim(0)), high;
  if (const auto known = n.dims_of(n.input(2))) {
    for (size_t i = 0; i < natural.size(); ++i) {
      high.push_back((*known)[i] - natural[i]);
      if (high[i].is_constant() && high[i].value() < 0)
        return void(n.fail("the output shape has " + (*known)[i].str() + " where the values need " + natural[i].str()));
    }
    return n.result(n.make(Op::pad, {y, zero}, {{"mode", std::string("constant")}, {"low", low}, {"high", high}}));
  }
  Value *more = n.map(Fn::sub, {n.cast(wanted, DType::i64), n.dims(natural)});
  n.result(n.make(Op::pad, {y, zero, n.concat({n.dims(low), more}, 0)}, {{"mode", std::string("constant")}}));
}

namespace {

// As import_col2im, where image or block are known only at run time: every column element is added at its place in the
// flat image, or, where that lies in the padding, to one element behind it.
void col2im_to(NodeImport &n, Value *x, Value *image, Value *block) {
  for (Value *v : {image, block})
    if (!v->type().is_ranked() || (v->type().rank() == 1 && !v->type().dim(0).is_constant()))
      return void(n.unsupported("an image or a block of unknown rank"));
  for (Value *v : {image, block})
    if (!v->type().is_ranked() || v->type().rank() != 1 || !v->type().dim(0).is_constant() ||
        v->type().dim(0) != image->type().dim(0))
      return void(n.fail("image " + image->type().str() + " and block " + block->type().str() +
                         " are no lists of equal length"));
  const int64_t spatial = image->type().dim(0).value();
  if (spatial < 1 || spatial + 2 > n.limits().rank || x->type().rank() != 3)
    return void(n.fail("the input must be [n, c * block, blocks]"));
  const auto axes = size_t(spatial);
  const std::vector<int64_t> strides = list_of(n, "strides", axes, 1), dilations = list_of(n, "dilations", axes, 1),
                             pads = list_of(n, "pads", 2 * axes, 0);
  for (size_t i = 0; i < axes && !n.failed(); ++i)
    if (strides[i] < 1 || strides[i] > INT32_MAX || dilations[i] < 1 || dilations[i] > INT32_MAX)
      n.fail("strides and dilations must be at least 1");
  for (int64_t pad : pads)
    if (pad < 0 || pad > INT32_MAX) n.fail("pad " + std::to_string(pad));
  if (n.failed()) return;
  const Dim batch = x->type().dim(0), columns = x->type().dim(1), count = x->type().dim(2);
  auto whole = [&](int64_t v) { return n.scalar_int(DType::i64, v); };
  auto add = [&](Value *a, Value *b) { return n.map(Fn::add, {a, b}); };
  auto mul = [&](Value *a, Value *b) { return n.map(Fn::mul, {a, b}); };
  auto div = [&](Value *a, Value *b) { return n.map(Fn::div, {a, b}); };
  auto at = [&](Value *list, size_t i) { return n.gather(list, whole(int64_t(i)), 0); };
  image = n.cast(image, DType::i64), block = n.cast(block, DType::i64);
  Value *taps = n.reduce("product", block, {0}, false), *pixels = n.reduce("product", image, {0}, false);
  Value *tap =
      n.make_typed(Op::range, {whole(0), taps, whole(1)}, {}, Type::tensor(DType::i64, {n.fresh_dim(columns)}));
  Value *place = n.make_typed(Op::iota, {}, {{"axis", int64_t{1}}}, Type::tensor(DType::i64, {1, count}));
  if (n.failed()) return;
  const Dim tap_count = tap->type().dim(0);
  tap = n.reshape(tap, {tap_count, 1});
  // The digits of tap and place, innermost axis first; the position that they give along the axis.
  Value *flat = whole(0), *inside = n.scalar_int(DType::boolean, 1), *pitch = whole(1);
  for (size_t i = axes; i-- > 0;) {
    Value *extent = at(image, i), *taps_here = at(block, i);
    Value *room = n.map(Fn::sub, {add(extent, whole(pads[i] + pads[axes + i] - 1)),
                                  mul(n.map(Fn::sub, {taps_here, whole(1)}), whole(dilations[i]))});
    Value *places_here = add(div(room, whole(strides[i])), whole(1));
    Value *k = n.map(Fn::mod, {tap, taps_here}), *o = n.map(Fn::mod, {place, places_here});
    tap = div(tap, taps_here), place = div(place, places_here);
    Value *position = add(mul(o, whole(strides[i])), add(mul(k, whole(dilations[i])), whole(-pads[i])));
    Value *low = n.map(Fn::less_equal, {whole(0), position}), *high = n.map(Fn::less, {position, extent});
    inside = n.map(Fn::logical_and, {inside, n.map(Fn::logical_and, {low, high})});
    flat = add(flat, mul(position, pitch));
    pitch = mul(pitch, extent);
  }
  if (n.failed()) return;
  Value *target = n.reshape(n.map(Fn::select, {inside, flat, pixels}), {tap_count * count});
  Value *channels = div(n.reshape(n.dims({columns}), {}), taps);
  const Dim channel_count = n.fresh_dim(columns), slots = n.fresh_dim();
  auto one = [&](Value *v) { return n.reshape(v, {1}); };
  Value *sources = n.reshape_to(x, n.concat({n.dims({batch}), one(channels), n.dims({tap_count * count})}, 0),
                                {batch, channel_count, tap_count * count});
  const DType dtype = x->type().dtype();
  Value *zeros = n.make_typed(Op::broadcast,
                              {is_float(dtype) ? n.scalar(dtype, 0) : n.scalar_int(dtype, 0),
                               n.concat({n.dims({batch, channel_count}), one(add(pixels, whole(1)))}, 0)},
                              {}, Type::tensor(dtype, {batch, channel_count, slots}));
  Value *y =
      n.make(Op::scatter_elements, {zeros, n.broadcast(target, {batch, channel_count, tap_count * count}), sources},
             {{"axis", int64_t{2}}, {"reduction", std::string("add")}});
  y = n.slice(y, 2, 0, slots - 1);
  Shape result = {batch, channel_count};
  for (size_t i = 0; i < axes; ++i) result.push_back(n.fresh_dim());
  n.result(n.reshape_to(y, n.concat({n.dims({batch, channel_count}), image}, 0), std::move(result)));
}

} // namespace

// Sums the blocks of columns back into the image: the transposed convolution with one-hot kernels.
void import_col2im(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (!n.ints_of(n.input(1)) || !n.ints_of(n.input(2))) return col2im_to(n, x, n.input(1), n.input(2));
  const std::vector<int64_t> image = n.need_ints(n.input(1), "an image shape"),
                             block = n.need_ints(n.input(2), "a block shape");
  if (n.failed()) return;
  const size_t spatial = image.size();
  if (x->type().rank() != 3 || block.size() != spatial || spatial < 1)
    return void(n.fail("the input must be [n, c * block, blocks]"));
  Shape windows = {x->type().dim(0), 1};
  windows.insert(windows.end(), image.begin(), image.end());
  const Window w = window_of(n, windows, block);
  if (!w.ok) return;
  int64_t taps = 1;
  Dim blocks = 1;
  Shape counts;
  for (size_t i = 0; i < spatial; ++i) {
    if (__builtin_mul_overflow(taps, block[i], &taps) || taps > 1 << 16)
      return void(n.unsupported("blocks of more than 65536 elements"));
    const Dim room = Dim(image[i]) + w.pads[i] + w.pads[spatial + i] - (block[i] - 1) * w.dilations[i] - 1;
    counts.push_back(floordiv(room, w.strides[i]) + 1);
    blocks *= counts.back();
  }
  const Dim &columns = x->type().dim(1);
  if ((columns.is_constant() && columns.value() % taps != 0) ||
      (x->type().dim(2).is_constant() && blocks.is_constant() && blocks != x->type().dim(2)))
    return void(
        n.fail("input " + x->type().str() + " does not fit " + blocks.str() + " blocks of " + std::to_string(taps)));
  const Dim channels = floordiv(columns, taps);
  // [n * c, taps, blocks...] * w[taps, 1, block...] with w[t, 0, position] = (t == flat(position))
  Shape input = {x->type().dim(0) * channels, taps};
  input.insert(input.end(), counts.begin(), counts.end());
  Shape kernel = {taps, 1};
  kernel.insert(kernel.end(), block.begin(), block.end());
  const DType dtype = x->type().dtype();
  if (!is_float(dtype)) return void(n.unsupported("columns of " + std::string(name(dtype))));
  Value *t = n.make_typed(Op::iota, {}, {{"axis", int64_t{0}}}, Type::tensor(DType::i64, {taps, 1}));
  Value *at = n.make_typed(Op::iota, {}, {{"axis", int64_t{1}}}, Type::tensor(DType::i64, {1, taps}));
  Value *weights = n.reshape(n.cast(n.map(Fn::equal, {t, at}), dtype), std::move(kernel));
  Shape result = {x->type().dim(0) * channels, 1};
  result.insert(result.end(), image.begin(), image.end());
  Value *y = n.make_typed(Op::conv_transpose, {n.reshape(x, std::move(input)), weights},
                          with_compute(conv_attributes(w, 1), dtype), Type::tensor(dtype, std::move(result)));
  Shape shape = {x->type().dim(0), channels};
  shape.insert(shape.end(), image.begin(), image.end());
  n.result(n.reshape(y, std::move(shape)));
}

// Depthwise convolution over concat(past, x); the new state is its last k - 1 columns.
void import_causal_conv(NodeImport &n) {
  Value *x = n.input(0), *weights = n.input(1);
  if (!check_ranks(n, x, weights)) return;
  if (x->type().rank() != 3)
    return void(n.fail("the input has rank " + std::to_string(x->type().rank()) + ", not [n, c, length]"));
  const Shape &shape = x->type().shape();
  const Type &wt = weights->type();
  if (wt.dim(2).is(0)) return void(n.fail("the kernel has no columns"));
  if (!shape[1].is_constant()) return void(n.unsupported("a number of channels that is not known"));
  const Dim state = wt.dim(2) - 1;
  const DType dtype = x->type().dtype();
  Value *past = n.has(3) ? n.input(3) : n.broadcast(n.scalar(dtype, 0), {shape[0], shape[1], state});
  Value *all = n.concat({past, x}, 2);
  Value *y = n.make(Op::conv, {all, weights, n.input(2)},
                    with_compute({{"strides", std::vector<int64_t>{1}},
                                  {"dilations", std::vector<int64_t>{1}},
                                  {"pads", std::vector<Dim>{0, 0}},
                                  {"group", shape[1].value()}},
                                 dtype));
  if (n.word("activation", {"none", "silu", "swish"}) != "none") y = n.map(Fn::swish, {y}, 1.0);
  n.result(0, y);
  if (n.wants(1)) n.result(1, n.slice(all, 2, shape[2], state));
}

} // namespace cameo::frontend
