// Types of Graph IR values. A value's dtype says how it is *stored*; the precision in which a node computes is the
// node's attribute `compute` (absent: the storage dtype), so an f16 graph says where rounding happens.
//
//   f32[batch, 3, 224, 224]                    tensor, row-major
//   f32[1, 64, 56, 56] nhwc                    same logical shape, other order in memory (rank 3: nwc, rank 5: ndhwc)
//   f32[64, 3, 7, 7] order(2, 3, 1, 0; 0:16)   outer axes in that order, then a block of 16 of axis 0
//   i8[64, 3] quant(f32, axis 0, scale [0.5, ...], zero [0, ...])
//   f32[*]                                     unknown rank
//   seq<f32[*]>  opt<seq<f32[2]>>  map<string, f32[]>  token
//
// A dim that nobody knows before the run is a run-time symbol (dim.h), never "unknown". Only values of unknown rank
// have no shape; the verifier refuses them from stage `canonical` on, except as elements of sequences and optionals.
#pragma once

#include "cameo/ir/dim.h"
#include "cameo/support/dtype.h"

#include <memory>
#include <string>
#include <vector>

namespace cameo::graph {

/// How a tensor's elements lie in memory: the logical axes, outermost first, followed by inner blocks of some of them.
/// `nchw16c` is order {0,1,2,3} with block {axis 1, size 16}.
struct Layout {
  struct Block {
    int32_t axis = 0;
    int32_t size = 1;
    friend auto operator<=>(const Block &, const Block &) = default;
  };
  std::vector<int32_t> order; ///< a permutation of 0..rank-1; empty: row-major
  std::vector<Block> blocks;  ///< each size >= 2; the extent of the axis is padded to a multiple
  friend auto operator<=>(const Layout &, const Layout &) = default;

  bool is_row_major() const { return order.empty() && blocks.empty(); }
  static Layout channels_last(int rank); ///< rank >= 3: nwc, nhwc, ndhwc
  /// Drops what says nothing: an identity order without blocks becomes empty.
  Layout normalized() const;
  /// Nullopt when well formed for that rank, else what is wrong.
  std::optional<std::string> problem(int rank) const;
  std::string str(int rank) const; ///< `nhwc`, `nchw16c`, `order(...)`; empty for row-major
};

/// Annotation of an integer tensor: real = (stored - zero_point) * scale. One entry per tensor, per index of `axis`, or
/// per block of `block` indices of `axis` (then in row-major order of the scale tensor).
struct Quantization {
  DType expressed = DType::f32;
  int32_t axis = -1;          ///< -1: per tensor
  int64_t block = 0;          ///< 0: not blocked
  std::vector<double> scales; ///< finite, > 0
  std::vector<int64_t> zeros; ///< empty: all zero; else as many as scales
  friend bool operator==(const Quantization &, const Quantization &) = default;
};

enum class TypeKind : uint8_t { tensor, sequence, optional, map, token };

/// Immutable value; cheap enough to copy (a tensor's shape is one vector).
class Type {
public:
  Type() : kind_(TypeKind::token) {}
  static Type tensor(DType dtype, Shape shape, Layout layout = {});
  static Type unranked(DType dtype);
  static Type scalar(DType dtype) { return tensor(dtype, {}); }
  static Type sequence(Type element);
  static Type optional(Type element);
  static Type map(DType key, Type value); ///< key: string or an integer dtype
  static Type token() { return Type(); }

  TypeKind kind() const { return kind_; }
  bool is_tensor() const { return kind_ == TypeKind::tensor; }
  bool is_sequence() const { return kind_ == TypeKind::sequence; }
  bool is_optional() const { return kind_ == TypeKind::optional; }
  bool is_map() const { return kind_ == TypeKind::map; }
  bool is_token() const { return kind_ == TypeKind::token; }

  // Tensors (CAMEO_CHECKed).
  DType dtype() const; ///< of a tensor; key dtype of a map
  bool is_ranked() const { return is_tensor() && ranked_; }
  int rank() const;               ///< of a ranked tensor
  const Shape &shape() const;     ///< of a ranked tensor
  const Dim &dim(int axis) const; ///< axis in [-rank, rank)
  Dim elements() const { return product(shape()); }
  /// The extents when all are constants.
  std::optional<std::vector<int64_t>> static_shape() const;
  const Layout &layout() const; ///< row-major when nothing was said
  const Quantization *quantization() const { return quant_.get(); }
  // Sequences, optionals, maps (CAMEO_CHECKed).
  const Type &element() const; ///< element of a sequence or optional, value of a map

  Type with_dtype(DType dtype) const;
  Type with_shape(Shape shape) const; ///< keeps dtype; layout becomes row-major when the rank changes
  Type with_layout(Layout layout) const;
  Type with_quantization(Quantization quant) const;
  Type without_quantization() const;
  Type substitute(const Dim::Lookup &lookup) const;
  void for_each_symbol(const std::function<void(const std::string &)> &visit) const;

  /// Nullopt when the type can be stored, else what is wrong with it: an invalid or negative extent, more elements than
  /// int64, rank above 64, a bad layout or quantization. Importers report it as the user's fault.
  std::optional<std::string> problem() const;

  friend bool operator==(const Type &a, const Type &b);
  std::string str() const;

private:
  TypeKind kind_;
  DType dtype_ = DType::f32;
  bool ranked_ = false;
  Shape shape_;
  std::shared_ptr<const Layout> layout_;      ///< null: row-major
  std::shared_ptr<const Quantization> quant_; ///< null: none
  std::shared_ptr<const Type> element_;
};

/// Numpy broadcasting of two shapes, aligned at the last axis. Equal extents stay, 1 stretches, a constant above 1
/// against a symbol gives the constant; two different symbolic extents give their maximum (the run refuses sizes that
/// do not broadcast, and 0 against 1). nullopt when two constants disagree.
std::optional<Shape> broadcast_shapes(const Shape &a, const Shape &b);

/// Reads the syntax of Type::str().
Result<Type> parse_type(std::string_view text, const std::string &where = {});

} // namespace cameo::graph
