// Sliding windows: convolution, its transpose, pooling. x: [n, c, spatial...].
//   y = floor((x + pad_low + pad_high - ((kernel - 1) * dilation + 1)) / stride) + 1   per spatial axis
#include "rules.h"

namespace cameo::ops {

using namespace graph;

namespace {

struct Windows {
  Shape extents;
  std::string problem;
};

// Result extents of the spatial axes. `kernel(i)` is the extent of the window.
template <class Kernel> Windows windows(InferContext &c, const Type &x, Kernel kernel) {
  Windows w;
  const int n = x.rank() - 2;
  const auto &strides = c.ints("strides"), &dilations = c.ints("dilations");
  const auto &pads = c.dims("pads");
  if (int(strides.size()) != n || int(dilations.size()) != n || int(pads.size()) != 2 * n) {
    w.problem = "strides, dilations or pads are not those of " + std::to_string(n) + " spatial axes";
    return w;
  }
  for (int i = 0; i < n; ++i) {
    if (strides[size_t(i)] < 1 || dilations[size_t(i)] < 1) {
      w.problem = "stride " + std::to_string(strides[size_t(i)]) + ", dilation " +
                  std::to_string(dilations[size_t(i)]) + " of spatial axis " + std::to_string(i) +
                  " must be at least 1";
      return w;
    }
    const Dim padded = x.dim(i + 2) + pads[size_t(i)] + pads[size_t(n + i)];
    const Dim window = (kernel(i) - 1) * dilations[size_t(i)] + 1;
    const Dim room = padded - window;
    if (room.is_constant() && room.value() < 0) {
      w.problem = "a window of " + window.str() + " does not fit the padded extent " + padded.str() +
                  " of spatial axis " + std::to_string(i);
      return w;
    }
    w.extents.push_back(floordiv(room, strides[size_t(i)]) + 1);
  }
  return w;
}

std::string rank_problem(const Type &x, const Type &w) {
  if (!x.is_ranked() || !w.is_ranked()) return "the rank of an operand is not known";
  if (x.rank() < 3) return "the input has rank " + std::to_string(x.rank()) + ", not [n, c, spatial...]";
  if (w.rank() != x.rank())
    return "weights of rank " + std::to_string(w.rank()) + " for an input of rank " + std::to_string(x.rank());
  return "";
}

std::string bias_problem(InferContext &c, size_t index, const Dim &channels) {
  if (!c.operand(index) || !c.type(index).is_ranked()) return "";
  const Type &bias = c.type(index);
  if (bias.rank() != 1 || !may_be_equal(bias.dim(0), channels))
    return "bias " + shape_text(bias.shape()) + " does not fit " + channels.str() + " output channels";
  return "";
}

std::string group_problem(int64_t group, const Dim &channels, const char *what) {
  if (group < 1) return "group " + std::to_string(group) + " must be at least 1";
  if (channels.is_constant() && channels.value() % group != 0)
    return "group " + std::to_string(group) + " does not divide " + channels.str() + " " + what + " channels";
  return "";
}

} // namespace

// conv, deform_conv: w is [m, c / group, kernel...], bias [m].
Inferred infer_conv(InferContext &c) {
  const Type &x = c.type(0), &w = c.type(1);
  if (std::string problem = rank_problem(x, w); !problem.empty()) return Inferred::wrong(std::move(problem));
  const int64_t group = c.integer("group", 1);
  for (std::string problem : {group_problem(group, x.dim(1), "input"), group_problem(group, w.dim(0), "output"),
                              bias_problem(c, c.node.op == Op::conv ? 2 : 3, w.dim(0))})
    if (!problem.empty()) return Inferred::wrong(std::move(problem));
  if (const Dim wanted = w.dim(1) * group; !may_be_equal(wanted, x.dim(1)))
    return Inferred::wrong("weights " + shape_text(w.shape()) + " in " + std::to_string(group) + " groups need " +
                           wanted.str() + " input channels, not " + x.dim(1).str());
  Windows spatial = windows(c, x, [&](int i) { return w.dim(i + 2); });
  if (!spatial.problem.empty()) return Inferred::wrong(std::move(spatial.problem));
  Shape shape = {x.dim(0), w.dim(0)};
  shape.insert(shape.end(), spatial.extents.begin(), spatial.extents.end());
  if (c.node.op == Op::deform_conv) { // offsets: one per spatial axis and tap of each offset group; mask: one per tap
    Dim taps = c.integer("offset_group");
    for (int i = 2; i < w.rank(); ++i) taps *= w.dim(i);
    for (size_t operand : {size_t{2}, size_t{4}}) {
      if (!c.operand(operand)) continue;
      const Type &t = c.type(operand);
      Shape wanted = shape;
      wanted[1] = operand == 2 ? taps * (x.rank() - 2) : taps;
      bool fits = t.is_ranked() && t.rank() == x.rank();
      for (size_t i = 0; fits && i < wanted.size(); ++i) fits = may_be_equal(t.shape()[i], wanted[i]);
      if (!fits)
        return Inferred::wrong(std::string(operand == 2 ? "offset " : "mask ") + t.str() + " where " +
                               shape_text(wanted) + " is needed");
    }
  }
  return Type::tensor(c.node.dtype.value_or(x.dtype()), std::move(shape));
}

// conv_transpose without output padding: (x - 1) * stride + (kernel - 1) * dilation + 1 - pads; w is [c, m / group,
// kernel...].
Inferred infer_conv_transpose(InferContext &c) {
  const Type &x = c.type(0), &w = c.type(1);
  if (std::string problem = rank_problem(x, w); !problem.empty()) return Inferred::wrong(std::move(problem));
  const int64_t group = c.integer("group", 1);
  const Dim channels = w.dim(1) * group;
  for (std::string problem : {group_problem(group, x.dim(1), "input"), bias_problem(c, 2, channels)})
    if (!problem.empty()) return Inferred::wrong(std::move(problem));
  if (!may_be_equal(w.dim(0), x.dim(1)))
    return Inferred::wrong("weights " + shape_text(w.shape()) + " for " + x.dim(1).str() + " input channels");
  Shape shape = {x.dim(0), channels};
  const size_t n = size_t(x.rank() - 2);
  for (size_t i = 0; i < n; ++i) {
    const int64_t stride = c.ints("strides")[i], dilation = c.ints("dilations")[i];
    if (stride < 1 || dilation < 1)
      return Inferred::wrong("stride " + std::to_string(stride) + ", dilation " + std::to_string(dilation) +
                             " of spatial axis " + std::to_string(i) + " must be at least 1");
    shape.push_back((x.dim(int(i) + 2) - 1) * stride + (w.dim(int(i) + 2) - 1) * dilation + 1 - c.dims("pads")[i] -
                    c.dims("pads")[n + i]);
  }
  return Type::tensor(x.dtype(), std::move(shape));
}

// pool: windows of `kernel`, rounding down. (With ceil_mode the caller states larger extents.)
Inferred infer_pool(InferContext &c) {
  const Type &x = c.type(0);
  if (!x.is_ranked()) return Inferred::wrong("the rank of the input is not known");
  if (x.rank() < 3)
    return Inferred::wrong("the input has rank " + std::to_string(x.rank()) + ", not [n, c, spatial...]");
  const auto &kernel = c.ints("kernel");
  if (int(kernel.size()) != x.rank() - 2) return Inferred::wrong("a kernel of another rank");
  for (size_t i = 0; i < kernel.size(); ++i)
    if (kernel[i] < 1)
      return Inferred::wrong("kernel extent " + std::to_string(kernel[i]) + " of spatial axis " + std::to_string(i) +
                             " must be at least 1");
  Windows spatial = windows(c, x, [&](int i) { return Dim(kernel[size_t(i)]); });
  if (!spatial.problem.empty()) return Inferred::wrong(std::move(spatial.problem));
  Shape shape = {x.dim(0), x.dim(1)};
  shape.insert(shape.end(), spatial.extents.begin(), spatial.extents.end());
  std::vector<Type> types = {Type::tensor(x.dtype(), shape)};
  if (c.wants(1)) types.push_back(Type::tensor(DType::i64, shape));
  return types;
}

} // namespace cameo::ops
