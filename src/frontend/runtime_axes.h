// Axes that only the run knows, as arithmetic of the graph. Private to the importers.
#pragma once

#include "families.h"

namespace cameo::frontend {

/// A list of axes, different from each other, of a tensor of `rank`. Where only the run knows how many, what has that
/// number in its type (others) cannot be asked.
class RuntimeAxes {
public:
  /// Whether the operand is a list of axes that only the run knows.
  static bool needed(NodeImport &n, Value *axes);
  RuntimeAxes(NodeImport &n, Value *axes, int64_t rank);

  int64_t count() const { return count_.value(); }
  /// An empty list means all axes.
  void empty_is_all();
  Value *whole(int64_t value) { return n_.scalar_int(DType::i64, value); }
  /// i64[rank]: `yes` at the axes of the list, `no` at the others.
  Value *where_listed(Value *yes, Value *no);
  /// i64[rank]: values[k] at axis k of the list, `otherwise` at the others.
  Value *spread(Value *values, int64_t otherwise);
  /// i64[rank]: how many axes before this one are not listed.
  Value *position();
  /// i64[rank - count]: of i64[rank], the values of the axes that are not listed.
  Value *others(Value *values);

private:
  Value *numbers(Shape shape, int64_t axis); ///< 0, 1, ... along the axis
  NodeImport &n_;
  int64_t rank_ = 0;
  Dim count_;
  Value *hits_ = nullptr;   ///< bool[count, rank]
  Value *listed_ = nullptr; ///< i64[rank], 0 or 1
};

/// make(axis) for the axis that the input says (one integer, negative ones count from the end). Where only the run
/// knows it, all axes in [0, count) are computed, which must have results of one type, and the right one is taken.
Value *along_axis(NodeImport &n, Value *axis, int64_t rank, const std::function<Value *(int64_t)> &make,
                  std::optional<int64_t> count = {});

/// `all`: an empty list means all axes.
Value *reduce_runtime_axes(NodeImport &n, const std::string &fn, Value *x, Value *axes, bool keepdims, bool all);
void squeeze_runtime_axes(NodeImport &n, Value *x, Value *axes);
void unsqueeze_runtime_axes(NodeImport &n, Value *x, Value *axes);

} // namespace cameo::frontend
