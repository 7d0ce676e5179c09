// Chooses the order in memory of images: channels last inside, as the model says at its edges.
//
//   main(%x: f32[1, 3, 224, 224])            main(%x: f32[1, 3, 224, 224])
//     %y = conv %x, %w ...                     %l = relayout %x : f32[1, 3, 224, 224] nhwc
//     yield %y                          =>     %y = conv %l, %w ... : f32[1, 64, 112, 112] nhwc
//                                              %r = relayout %y : f32[1, 64, 112, 112]
//                                              yield %r
//
// Windows (convolutions, pools) want their input and give their result with channels last: the channel is then the
// vector, a 1x1 convolution is a matrix product, and padding is a border of whole vectors. So do samples at computed
// places (resize, roi_pool, grid_sample): all channels of one are at the same place. Ops that compute point by
// point keep the layout of what they read, as does a reshape of the spatial axes alone. Ops that number elements in
// row-major order (other reshapes, and everything that this pass does not know) get row-major operands. A relayout is
// made once per value, behind its definition; where all dims but one are 1 it is a view and costs nothing.
//
// Constants are not touched: each kernel packs its own.
#include "cameo/passes/passes.h"

#include <algorithm>
#include <map>

namespace cameo::passes {

namespace {

using namespace graph;

bool is_pointwise(const Node &node) {
  return node.is(Op::elementwise) || node.is(Op::cast) || node.is(Op::quantize) || node.is(Op::dequantize) ||
         (node.is(Op::gather) && node.operand(0)->type().rank() == 1);
}

// The node that says what a group is about: the anchor of a fused node, else the node itself.
const Node &anchor_of(const Node &node) {
  if (!node.is(Op::fused)) return node;
  const Node *last = &node;
  for (const Node *inner : node.body()->nodes()) {
    last = inner;
    if (!is_pointwise(*inner)) return *inner;
  }
  return *last;
}

class LayoutPass {
public:
  explicit LayoutPass(Graph &graph) : graph_(graph) {}

  bool run() {
    visit(*graph_.main().body);
    return changed_;
  }

private:
  // The results of the model, of branches and of loops' steps are row-major, as the arguments of loops are.
  void visit(const Region &region) {
    for (Node *node : region.nodes()) {
      visit(node);
      if (!node->is(Op::fused))
        for (size_t r = 0; r < node->region_count(); ++r) visit(*node->body(r));
    }
    Node *yield = region.yield();
    for (size_t i = 0; i < yield->operand_count(); ++i) set_operand(yield, i, in_layout(yield->operand(i), {}));
  }

  enum class Kind { window, pointwise, row_major };

  static Kind kind_of(const Node &anchor) {
    switch (anchor.op()) {
    case Op::conv:
    case Op::conv_transpose:
    case Op::pool:
    case Op::resize:
    case Op::roi_pool:
    case Op::grid_sample:
      return Kind::window;
    case Op::elementwise:
    case Op::cast:
    case Op::quantize:
    case Op::dequantize:
    case Op::concat:
    case Op::slice:
    case Op::pad:
    case Op::softmax:
    case Op::normalize:
      return Kind::pointwise;
    case Op::gather:
      return is_pointwise(anchor) ? Kind::pointwise : Kind::row_major;
    case Op::reduce:
      return anchor.flag("keepdims") ? Kind::pointwise : Kind::row_major;
    default:
      return Kind::row_major;
    }
  }

  void visit(Node *node) {
    if (node->is(Op::constant) || node->is(Op::relayout)) return;
    const Node &anchor = anchor_of(*node);
    const Kind kind = kind_of(anchor);
    const Type &result = node->result_count() > 0 ? node->result()->type() : Type();
    Layout wanted;
    if (kind == Kind::window && result.is_tensor() && result.rank() >= 3 && result.rank() <= 5)
      wanted = Layout::channels_last(result.rank());
    if (kind == Kind::pointwise && result.is_tensor())
      for (const Value *v : node->operands())
        if (v && v->type().is_tensor() && v->type().rank() == result.rank() && !v->type().layout().is_row_major())
          wanted = v->type().layout();
    if (kind == Kind::row_major && only_moves(*node)) return; // a view of any layout
    if (const int rank = keeps_pixels(*node)) return set_layout(node->result(), Layout::channels_last(rank));
    for (size_t i = 0; i < node->operand_count(); ++i) {
      Value *v = node->operand(i);
      if (!v || !v->type().is_tensor() || !v->type().is_ranked() || v->constant()) continue;
      const bool image = !wanted.is_row_major() && v->type().rank() == result.rank() && takes_layout(anchor, *node, i);
      set_operand(node, i, in_layout(v, image ? wanted : Layout()));
    }
    if (wanted.is_row_major()) return;
    for (Value *v : node->results())
      if (v->type().is_tensor() && v->type().rank() == result.rank()) set_layout(v, wanted);
    if (node->is(Op::fused)) set_inside(*node, wanted);
  }

  // The rank of the result of a reshape that renumbers the pixels of images whose channels come last and leaves images
  // and channels: it is a view, as what sequences of pixels are made by, [n, c, h, w] to [n, c, h * w]. 0: it is none.
  static int keeps_pixels(const Node &node) {
    if (!node.is(Op::reshape) || node.operand_count() != 1) return 0;
    const Type &x = node.operand()->type(), &y = node.result()->type();
    const bool image = x.is_ranked() && x.rank() >= 3 && y.rank() >= 3 && y.rank() <= 5 &&
                       x.layout() == Layout::channels_last(x.rank());
    return image && x.dim(0) == y.dim(0) && x.dim(1) == y.dim(1) ? y.rank() : 0;
  }

  // Axes of a transpose are named: it is a view of whatever there is.
  static bool only_moves(const Node &node) { return node.is(Op::transpose) || node.is(Op::broadcast); }

  // Whether operand i is an image like the result, not a filter.
  static bool takes_layout(const Node &anchor, const Node &node, size_t i) {
    if (&anchor == &node) return i == 0 || anchor.is(Op::elementwise) || anchor.is(Op::concat) || anchor.is(Op::gather);
    const Value *inside = node.body()->argument(i);
    for (const Use &use : inside->uses())
      if (use.node == &anchor && use.index > 0 && !is_pointwise(anchor)) return false;
    return true;
  }

  void set_layout(Value *v, const Layout &layout) {
    if (v->type().layout() == layout) return;
    v->set_type(v->type().with_layout(layout));
    changed_ = true;
  }

  void set_operand(Node *node, size_t i, Value *v) {
    if (node->operand(i) == v) return;
    graph_.set_operand(node, i, v);
    changed_ = true;
  }

  // Types inside a group: arguments as the operands, what is computed as the result.
  void set_inside(const Node &node, const Layout &layout) {
    const int rank = node.result()->type().rank();
    for (size_t i = 0; i < node.operand_count(); ++i) {
      Value *argument = node.body()->argument(i);
      if (node.operand(i)) argument->set_type(argument->type().with_layout(node.operand(i)->type().layout()));
    }
    for (Node *inner : node.body()->nodes())
      for (Value *v : inner->results())
        if (v->type().rank() == rank) v->set_type(v->type().with_layout(layout));
  }

  // The value in that layout, by a relayout where it has another.
  Value *in_layout(Value *v, const Layout &layout) {
    if (!v->type().is_tensor() || !v->type().is_ranked() || v->type().layout() == layout || v->constant()) return v;
    const auto key = std::pair(v->id(), layout);
    if (auto it = made_.find(key); it != made_.end()) return it->second;
    InsertPoint at = InsertPoint::end(v->region());
    if (Node *producer = v->producer())
      at = after(producer);
    else if (Node *first = v->region()->first())
      at = InsertPoint::ahead_of(first);
    Node *relayout = graph_.create(at, Op::relayout, {v}, {}, {v->type().with_layout(layout)});
    if (v->producer()) relayout->merge_origin(*v->producer());
    relayout->result()->set_name(v->name());
    changed_ = true;
    made_.emplace(key, relayout->result());
    made_.emplace(std::pair(relayout->result()->id(), v->type().layout()), v); // and back
    return relayout->result();
  }

  static InsertPoint after(Node *node) {
    auto next = NodeRange(node).begin();
    ++next;
    return *next ? InsertPoint::ahead_of(*next) : InsertPoint::end(node->region());
  }

  Graph &graph_;
  std::map<std::pair<uint32_t, Layout>, Value *> made_; ///< (value, layout) -> the value in it
  bool changed_ = false;
};

} // namespace

Result<bool> choose_layouts(Graph &graph, const PassOptions &) { return LayoutPass(graph).run(); }

} // namespace cameo::passes
