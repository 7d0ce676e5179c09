// Non-max suppression as a loop over the boxes in order of their scores, so that nothing behind this pass knows of it.
//
//   %s = nms %boxes, %scores, %most, %iou, %least     =>     order = topk of the scores of each class, all of them
//                                                            alive = score > least
//                                                            for i: box i, when alive and not one too many, ends the
//                                                            life of every later
//                                                                   box that it overlaps by more than iou
//                                                            (batch, class, box) of those alive, in that order
//
// Batches and classes are computed side by side: one step of the loop is a few operations on [batches, classes, boxes].
#include "cameo/passes/passes.h"

#include "cameo/ir/builder.h"

namespace cameo::passes {

namespace {

using namespace graph;

class Expansion {
public:
  Expansion(Graph &graph, Node *nms) : graph_(graph), nms_(nms), b_(Builder::ahead_of(graph, nms)) {
    b_.set_origin(nms->origin());
    shape_ = nms->operand(1)->type().shape(); // [batches, classes, boxes]
  }

  void run() {
    Value *boxes = nms_->operand(0), *scores = nms_->operand(1);
    Node *sorted = b_.node(Op::topk, {scores}, {{"axis", int64_t{2}}, {"largest", true}, {"sorted", true}},
                           {scores->type(), Type::tensor(DType::i64, shape_)});
    order_ = sorted->result(1);
    const bool center = nms_->flag("center_point_box");
    Value *p[4];
    for (int64_t i = 0; i < 4; ++i) p[i] = coordinate(boxes, i);
    if (center) { // x, y of the centre, width, height
      Value *half = b_.scalar(boxes->type().dtype(), 0.5);
      Value *w = b_.mul(p[2], half), *h = b_.mul(p[3], half);
      low_[0] = b_.sub(p[0], w), high_[0] = b_.add(p[0], w);
      low_[1] = b_.sub(p[1], h), high_[1] = b_.add(p[1], h);
    } else { // two corners, in any order
      for (int d = 0; d < 2; ++d) {
        low_[d] = b_.elementwise(Fn::min, {p[d], p[d + 2]});
        high_[d] = b_.elementwise(Fn::max, {p[d], p[d + 2]});
      }
    }
    area_ = b_.mul(b_.sub(high_[0], low_[0]), b_.sub(high_[1], low_[1]));
    Value *alive = nms_->operand(4) ? b_.elementwise(Fn::less, {scalar(nms_->operand(4)), sorted->result(0)})
                                    : b_.elementwise(Fn::equal, {order_, order_});
    finish(suppress(alive));
  }

private:
  Value *scalar(Value *v) { return b_.reshape(v, {}); }
  Value *number(DType dtype, double v) { return b_.scalar(dtype, v); }
  Value *integer(int64_t v) { return b_.constant(ConstantData::scalar_int(DType::i64, v)); }

  // Coordinate `i` of the boxes, in the order of each class.
  Value *coordinate(Value *boxes, int64_t i) {
    const Shape flat{shape_[0], 1, shape_[2]};
    Value *all = b_.broadcast(b_.reshape(b_.slice(boxes, 2, i, 1), flat), shape_);
    return b_.value(Op::gather_elements, {all, order_}, {{"axis", int64_t{2}}}, all->type());
  }

  // Column `i` of each class, [batches, classes, 1].
  static Value *column(Builder &b, Value *x, Value *i) {
    Shape shape = x->type().shape();
    shape[2] = 1;
    return b.reshape(b.gather(x, i, 2), shape);
  }

  Value *suppress(Value *alive) {
    Value *most = nms_->operand(2) ? b_.cast(scalar(nms_->operand(2)), DType::i64) : integer(0);
    Value *threshold = nms_->operand(3) ? scalar(nms_->operand(3)) : number(area_->type().dtype(), 0);
    const Type counts = Type::tensor(DType::i64, {shape_[0], shape_[1], 1});
    Value *none = b_.broadcast(b_.reshape(integer(0), {1, 1, 1}), counts.shape());
    Value *trip = b_.reshape(b_.dims({shape_[2]}), {});
    Node *loop = b_.node(Op::loop, {trip, nullptr, alive, none}, {}, {alive->type(), counts});
    Region *body = graph_.add_region(loop);
    Value *i = graph_.add_argument(body, Type::scalar(DType::i64));
    Value *go = graph_.add_argument(body, Type::scalar(DType::boolean));
    Value *lives = graph_.add_argument(body, alive->type());
    Value *taken = graph_.add_argument(body, counts);
    Builder b = Builder::at_end(graph_, body);
    b.set_origin(nms_->origin());
    Value *takes = b.elementwise(Fn::logical_and, {column(b, lives, i), b.elementwise(Fn::less, {taken, most})});
    // What the boxes have in common with box i.
    Value *common = nullptr;
    for (int d = 0; d < 2; ++d) {
      Value *from = b.elementwise(Fn::max, {low_[d], column(b, low_[d], i)});
      Value *to = b.elementwise(Fn::min, {high_[d], column(b, high_[d], i)});
      Value *side = b.elementwise(Fn::relu, {b.sub(to, from)});
      common = common ? b.mul(common, side) : side;
    }
    Value *both = b.sub(b.add(area_, column(b, area_, i)), common);
    Value *zero = b.scalar(area_->type().dtype(), 0);
    // Boxes without an area overlap nothing: 0 / 0 is not above the threshold either.
    Value *near = b.elementwise(Fn::less, {threshold, b.div(common, both)});
    near = b.elementwise(Fn::logical_and, {near, b.elementwise(Fn::less, {zero, common})});
    Value *position = b.iota(DType::i64, {1, 1, shape_[2]}, 2);
    Value *later = b.elementwise(Fn::less, {i, position}), *self = b.elementwise(Fn::equal, {i, position});
    Value *dies = b.elementwise(Fn::logical_and, {b.elementwise(Fn::logical_and, {later, near}), takes});
    Value *refused = b.elementwise(Fn::logical_and, {self, b.elementwise(Fn::logical_not, {takes})});
    Value *dead = b.elementwise(Fn::logical_or, {dies, refused});
    Value *left = b.elementwise(Fn::logical_and, {lives, b.elementwise(Fn::logical_not, {dead})});
    graph_.set_results(body, {go, left, b.add(taken, b.cast(takes, DType::i64))});
    return loop->result(0);
  }

  // i64[count, 3]: batch, class and number of each box that is left.
  void finish(Value *alive) {
    const Dim count = nms_->result()->type().dim(0);
    Value *found = b_.value(Op::nonzero, {alive}, {}, Type::tensor(DType::i64, {3, count}));
    Value *places = b_.transpose(found, {1, 0});
    Value *box =
        b_.value(Op::gather_nd, {order_, places}, {{"batch_dims", int64_t{0}}}, Type::tensor(DType::i64, {count}));
    Value *y = b_.concat({b_.slice(places, 1, 0, 2), b_.reshape(box, {count, 1})}, 1);
    graph_.replace(nms_->result(), y);
    graph_.erase(nms_);
  }

  Graph &graph_;
  Node *nms_;
  Builder b_;
  Shape shape_;
  Value *order_ = nullptr, *low_[2] = {}, *high_[2] = {}, *area_ = nullptr;
};

} // namespace

Result<bool> expand_nms(Graph &graph, const PassOptions &) {
  bool changed = false;
  for (const Function &function : graph.functions())
    for (Node *node : Graph::all_nodes(function.body))
      if (node->is(Op::nms) && node->operand(0)->type().is_ranked() && node->operand(1)->type().is_ranked()) {
        Expansion(graph, node).run();
        changed = true;
      }
  return changed;
}

} // namespace cameo::passes
