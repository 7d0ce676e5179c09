// Order and search: results whose extents depend on values.
#include "families.h"

namespace cameo::frontend {

void import_topk(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (x->type().rank() == 0) return void(n.fail("the input is a scalar"));
  const int64_t axis = n.axis(n.integer("axis"), x->type().rank());
  Value *k = n.version() < 10 ? n.scalar_int(DType::i64, n.integer("k")) : n.input(1);
  if (n.failed()) return;
  if (k->type().is_ranked() && k->type().rank() > 0) {
    if (const Dim count = product(k->type().shape()); count.is_constant() && !count.is(1))
      return void(n.fail("k has shape " + k->type().str() + ", not one number"));
    k = n.reshape(k, {});
  }
  const std::vector<Value *> ys = n.make_many(
      Op::topk, {x, k},
      {{"axis", axis}, {"largest", n.integer("largest", 1) != 0}, {"sorted", n.integer("sorted", 1) != 0}}, 2);
  n.result(0, ys[0]);
  n.result(1, ys[1]);
}

void import_nonzero(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  if (x->type().rank() == 0) x = n.reshape(x, {1});
  n.result(n.make(Op::nonzero, {x}));
}

void import_unique(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  Attributes attributes = {{"sorted", n.flag("sorted")}};
  if (n.has("axis")) attributes.emplace_back("axis", n.axis(n.integer("axis", 0), x->type().rank()));
  const size_t results = n.output_count();
  const std::vector<Value *> ys = n.make_many(Op::unique, {x}, std::move(attributes), results);
  for (size_t i = 0; i < results; ++i)
    if (n.wants(i)) n.result(i, ys[i]);
}

void import_nms(NodeImport &n) {
  auto scalar = [&](size_t i) -> Value * {
    Value *v = n.input(i);
    return v && v->type().is_ranked() && v->type().rank() > 0 && product(v->type().shape()).is(1) ? n.reshape(v, {})
                                                                                                  : v;
  };
  Value *most = scalar(2) ? scalar(2) : n.scalar_int(DType::i64, 0);
  n.result(n.make(Op::nms, {n.input(0), n.input(1), most, scalar(3), scalar(4)},
                  {{"center_point_box", n.flag("center_point_box")}}));
}

} // namespace cameo::frontend
