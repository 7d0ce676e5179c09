// Types as values: construction, access, well-formedness. Their text form is in type_text.cpp.
#include "cameo/ir/type.h"

#include "text.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace cameo::graph {

Layout Layout::channels_last(int rank) {
  CAMEO_CHECK(rank >= 3, "channels last needs rank 3, not " + std::to_string(rank));
  Layout layout;
  layout.order.push_back(0);
  for (int axis = 2; axis < rank; ++axis) layout.order.push_back(axis);
  layout.order.push_back(1);
  return layout;
}

Layout Layout::normalized() const {
  Layout layout = *this;
  if (std::is_sorted(order.begin(), order.end())) layout.order.clear(); // a sorted permutation is the identity
  return layout;
}

std::optional<std::string> Layout::problem(int rank) const {
  if (!order.empty()) {
    std::vector<int32_t> sorted = order, identity(static_cast<size_t>(rank));
    std::sort(sorted.begin(), sorted.end());
    std::iota(identity.begin(), identity.end(), 0);
    if (sorted != identity) return "layout is not a permutation of " + std::to_string(rank) + " axes";
  }
  for (const Block &block : blocks) {
    if (block.axis < 0 || block.axis >= rank) return "layout blocks axis " + std::to_string(block.axis);
    if (block.size < 2) return "layout has a block of " + std::to_string(block.size);
  }
  if (blocks.size() > 4) return "layout has more than 4 blocks";
  return std::nullopt;
}

Type Type::tensor(DType dtype, Shape shape, Layout layout) {
  Type type;
  type.kind_ = TypeKind::tensor;
  type.dtype_ = dtype;
  type.ranked_ = true;
  type.shape_ = std::move(shape);
  return layout.is_row_major() ? type : type.with_layout(std::move(layout));
}

Type Type::unranked(DType dtype) {
  Type type;
  type.kind_ = TypeKind::tensor;
  type.dtype_ = dtype;
  return type;
}

Type Type::sequence(Type element) {
  Type type;
  type.kind_ = TypeKind::sequence;
  type.element_ = std::make_shared<const Type>(std::move(element));
  return type;
}

Type Type::optional(Type element) {
  Type type = sequence(std::move(element));
  type.kind_ = TypeKind::optional;
  return type;
}

Type Type::map(DType key, Type value) {
  Type type = sequence(std::move(value));
  type.kind_ = TypeKind::map;
  type.dtype_ = key;
  return type;
}

DType Type::dtype() const {
  CAMEO_CHECK(is_tensor() || is_map(), "dtype of " + str());
  return dtype_;
}

const Shape &Type::shape() const {
  CAMEO_CHECK(is_ranked(), "shape of " + str());
  return shape_;
}

int Type::rank() const { return static_cast<int>(shape().size()); }

const Dim &Type::dim(int axis) const {
  CAMEO_CHECK(axis >= -rank() && axis < rank(), "axis " + std::to_string(axis) + " of " + str());
  return shape_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)];
}

std::optional<std::vector<int64_t>> Type::static_shape() const {
  std::vector<int64_t> extents;
  for (const Dim &dim : shape()) {
    if (!dim.is_constant()) return std::nullopt;
    extents.push_back(dim.value());
  }
  return extents;
}

const Layout &Type::layout() const {
  static const Layout kRowMajor;
  return layout_ ? *layout_ : kRowMajor;
}

const Type &Type::element() const {
  CAMEO_CHECK(element_, "element of " + str());
  return *element_;
}

Type Type::with_dtype(DType dtype) const {
  CAMEO_CHECK(is_tensor(), "dtype of " + str());
  Type type = *this;
  type.dtype_ = dtype;
  return type;
}

Type Type::with_shape(Shape shape) const {
  CAMEO_CHECK(is_tensor(), "shape of " + str());
  Type type = *this;
  if (!ranked_ || shape.size() != shape_.size()) type.layout_ = nullptr;
  type.ranked_ = true;
  type.shape_ = std::move(shape);
  return type;
}

Type Type::with_layout(Layout layout) const {
  CAMEO_CHECK(is_ranked(), "layout of " + str());
  auto problem = layout.problem(rank());
  CAMEO_CHECK(!problem, *problem);
  Type type = *this;
  layout = layout.normalized();
  type.layout_ = layout.is_row_major() ? nullptr : std::make_shared<const Layout>(std::move(layout));
  return type;
}

Type Type::with_quantization(Quantization quant) const {
  CAMEO_CHECK(is_tensor(), "quantization of " + str());
  Type type = *this;
  type.quant_ = std::make_shared<const Quantization>(std::move(quant));
  return type;
}

Type Type::without_quantization() const {
  Type type = *this;
  type.quant_ = nullptr;
  return type;
}

Type Type::substitute(const Dim::Lookup &lookup) const {
  Type type = *this;
  for (Dim &dim : type.shape_) dim = dim.substitute(lookup);
  if (element_) type.element_ = std::make_shared<const Type>(element_->substitute(lookup));
  return type;
}

void Type::for_each_symbol(const std::function<void(const std::string &)> &visit) const {
  for (const Dim &dim : shape_) dim.for_each_symbol(visit);
  if (element_) element_->for_each_symbol(visit);
}

static std::optional<std::string> problem_of(const Quantization &quant, const Type &type) {
  if (!is_integer(type.dtype())) return "quantization of " + std::string(name(type.dtype())) + " elements";
  if (!is_float(quant.expressed)) return "quantization expresses " + std::string(name(quant.expressed));
  if (quant.scales.empty()) return "quantization without scales";
  if (!quant.zeros.empty() && quant.zeros.size() != quant.scales.size())
    return "quantization with " + std::to_string(quant.scales.size()) + " scales and " +
           std::to_string(quant.zeros.size()) + " zero points";
  for (double scale : quant.scales)
    if (!std::isfinite(scale) || scale <= 0) return "quantization scale " + real_text(scale);
  const auto count = static_cast<int64_t>(quant.scales.size());
  if (quant.axis < 0) {
    if (quant.block != 0) return "quantization with blocks but no axis";
    if (count != 1) return "quantization with " + std::to_string(count) + " scales for the whole tensor";
    return std::nullopt;
  }
  if (quant.block < 0) return "quantization block of " + std::to_string(quant.block);
  if (!type.is_ranked()) return "quantization axis of a tensor of unknown rank";
  if (quant.axis >= type.rank())
    return "quantization axis " + std::to_string(quant.axis) + " of rank " + std::to_string(type.rank());
  if (quant.block == 0 && type.dim(quant.axis) != Dim(count))
    return std::to_string(count) + " quantization scales for an extent of " + type.dim(quant.axis).str();
  if (quant.block > 0) {
    Shape blocks = type.shape();
    Dim &extent = blocks[static_cast<size_t>(quant.axis)];
    extent = ceildiv(extent, quant.block);
    if (product(blocks) != Dim(count))
      return std::to_string(count) + " quantization scales for " + product(blocks).str() + " blocks";
  }
  return std::nullopt;
}

std::optional<std::string> Type::problem() const {
  if (element_) {
    if (is_map() && dtype_ != DType::string && !is_integer(dtype_))
      return "map with " + std::string(name(dtype_)) + " keys";
    if (element_->is_token()) return "token inside another type";
    return element_->problem();
  }
  if (!is_tensor()) return std::nullopt;
  if (ranked_) {
    if (shape_.size() > kMaxRank) return "rank " + std::to_string(shape_.size()) + " above " + std::to_string(kMaxRank);
    for (const Dim &dim : shape_) {
      if (!dim.valid()) return "extent " + std::string(dim.fault_text());
      if (dim.is_constant() && dim.value() < 0) return "negative extent " + dim.str();
    }
    Dim count = product(shape_);
    // A product too complex to write down is no fault of the tensor.
    if (count.fault() == Dim::Fault::overflow) return "number of elements overflows 64 bits";
    if (count.is_constant() && dtype_ != DType::string && !byte_size(dtype_, count.value()))
      return "number of bytes overflows 64 bits";
    if (layout_)
      if (auto bad = layout_->problem(rank())) return bad;
  }
  if (quant_)
    if (auto bad = problem_of(*quant_, *this)) return bad;
  return std::nullopt;
}

bool operator==(const Type &a, const Type &b) {
  auto equal = [](const auto &x, const auto &y) { return x == y || (x && y && *x == *y); };
  return a.kind_ == b.kind_ && a.dtype_ == b.dtype_ && a.ranked_ == b.ranked_ && a.shape_ == b.shape_ &&
         equal(a.layout_, b.layout_) && equal(a.quant_, b.quant_) && equal(a.element_, b.element_);
}

std::optional<Shape> broadcast_shapes(const Shape &a, const Shape &b) {
  const Shape &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const size_t shift = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    Dim &x = out[i + shift];
    const Dim &y = shorter[i];
    if (x == y || y.is(1)) continue;
    if (x.is(1))
      x = y;
    else if (x.is_constant() && y.is_constant())
      return std::nullopt;
    else if (!x.is_constant() && !y.is_constant())
      x = max(x, y);
    else if (y.is_constant())
      x = y;
  }
  return out;
}

} // namespace cameo::graph
