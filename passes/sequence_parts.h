// Operations on sequences that are tensors (container.h): how each is written with slices, gathers and sums.
//
// Element k of a sequence begins where the sizes of those before it end. What inserts or erases says for each place of
// the new tensor which place of the old one it has, so that its extents follow from those of the old one. Positions
// may be negative; those out of range end the run.
#pragma once

#include "cameo/ir/builder.h"
#include "cameo/ir/container.h"

namespace cameo::passes {

/// The tensors of a sequence or optional. `present` is null but for an optional sequence, `ranks` where all elements
/// have one rank.
struct Parts {
  graph::Value *dims = nullptr, *data = nullptr, *ranks = nullptr, *present = nullptr;

  std::vector<graph::Value *> list() const; ///< in the order of ContainerForm::part_names()
  static Parts of(const graph::ContainerForm &form, std::span<graph::Value *const> list);
  graph::Dim count() const { return dims->type().dim(0); }
  graph::Dim total() const { return data->type().dim(0); }
};

/// Builds where `b` points to.
class PartsBuilder {
public:
  explicit PartsBuilder(graph::Builder b) : b_(std::move(b)) {}

  /// No elements; an optional sequence is absent.
  Parts none(const graph::ContainerForm &form);
  Parts construct(const std::vector<graph::Value *> &elements, const graph::ContainerForm &form);
  /// The same value in another form: elements of one rank among those of any, and back, which the run checks.
  Parts convert(const Parts &parts, const graph::ContainerForm &to);
  /// `element`: the type of the elements, whose constant extents are known; ranked.
  graph::Value *at(const Parts &parts, graph::Value *position, const graph::Type &element, const graph::Type &result);
  graph::Value *length(const Parts &parts) { return scalar(parts.count()); }
  /// `position` null: behind the last, or the last. Both keep the form.
  Parts insert(const Parts &parts, graph::Value *x, graph::Value *position);
  Parts erase(const Parts &parts, graph::Value *position);
  Parts split(graph::Value *x, graph::Value *sizes, int64_t axis, bool keepdims);
  graph::Value *concat(const Parts &parts, int64_t axis, bool new_axis, const graph::Type &result);
  /// Parts that come from outside are what they say: extents and ranks in range, as many elements as data, extents
  /// that `element` fixes. Extents behind an element's rank become 1.
  Parts checked(Parts parts, const graph::ContainerForm &form, const graph::Type &element);
  void check(graph::Value *condition, const char *message);
  graph::Value *truth(bool value);
  graph::Value *integer(int64_t v); ///< a scalar
  graph::Value *has_elements(const Parts &parts) { return less(integer(0), length(parts)); }

private:
  graph::Value *scalar(const graph::Dim &d) { return b_.reshape(b_.dims({d}), {}); }
  graph::Value *flat(graph::Value *x) { return b_.reshape(x, {x->type().elements()}); }
  graph::Value *less(graph::Value *x, graph::Value *y) { return b_.elementwise(graph::Fn::less, {x, y}); }
  graph::Value *less_equal(graph::Value *x, graph::Value *y) { return b_.elementwise(graph::Fn::less_equal, {x, y}); }
  graph::Value *select(graph::Value *c, graph::Value *x, graph::Value *y) {
    return b_.elementwise(graph::Fn::select, {c, x, y});
  }
  graph::Value *count_to(graph::Value *limit); ///< 0, 1, ... below a scalar that only the run knows
  graph::Value *fresh_slice(graph::Value *x, graph::Value *start, graph::Value *size);
  graph::Value *shaped(graph::Value *x, graph::Value *shape, graph::Type type);
  graph::Value *sum_up(graph::Value *x, bool exclusive);
  graph::Value *sizes(const Parts &parts);
  graph::Value *row_of(graph::Value *x, int64_t width);
  graph::Value *from_front(graph::Value *position, graph::Value *count, int64_t beyond);
  /// Where in the flat data of a split the element (a, outer, inner) of x lies.
  graph::Value *places(graph::Value *sizes, graph::Value *axis, graph::Value *outer, graph::Value *inner,
                       graph::Value *inner_count);

  graph::Builder b_;
};

} // namespace cameo::passes
