// Images: sampling by a grid, boxes, decoding.
#include "cameo/ops/small_value.h"
#include "rules.h"

namespace cameo::ops {

using namespace graph;

Inferred infer_image(InferContext &c) {
  if (c.node.op == Op::image_decode) {
    const int64_t channels = c.word("pixel_format") == "Grayscale" ? 1 : 3;
    return Type::tensor(DType::u8, {c.fresh(), c.fresh(), channels});
  }
  const Type &a = c.type(0), &b = c.type(1);
  if (!a.is_ranked() || !b.is_ranked()) return Inferred::wrong("the rank of an operand is not known");
  if (c.node.op == Op::grid_sample) { // x: [n, c, spatial...], grid: [n, out..., spatial rank]
    if (a.rank() < 3 || b.rank() != a.rank() || !may_be_equal(b.dim(-1), a.rank() - 2) ||
        !may_be_equal(a.dim(0), b.dim(0)))
      return Inferred::wrong("grid " + shape_text(b.shape()) + " does not fit input " + shape_text(a.shape()));
    Shape shape = {a.dim(0), a.dim(1)};
    shape.insert(shape.end(), b.shape().begin() + 1, b.shape().end() - 1);
    return Type::tensor(a.dtype(), std::move(shape));
  }
  // nms: boxes [batch, n, 4], scores [batch, classes, n]; rows (batch, class, box).
  if (a.rank() != 3 || b.rank() != 3 || !may_be_equal(a.dim(2), 4) || !may_be_equal(a.dim(1), b.dim(2)) ||
      !may_be_equal(a.dim(0), b.dim(0)))
    return Inferred::wrong("boxes " + shape_text(a.shape()) + " and scores " + shape_text(b.shape()) + " do not fit");
  Dim most = product(b.shape());
  if (auto limit = small_value(c.operand(2));
      limit && !limit->is_real && limit->ints.size() == 1 && limit->ints[0].is_constant())
    most = limit->ints[0].value() <= 0 ? Dim(0) : b.dim(0) * b.dim(1) * min(limit->ints[0], b.dim(2));
  return Type::tensor(DType::i64, {most.is(0) ? Dim(0) : c.fresh(most), 3});
}

} // namespace cameo::ops
