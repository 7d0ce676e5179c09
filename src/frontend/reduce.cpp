// Reductions, extremes, running sums and softmax.
#include "parts.h"
#include "runtime_axes.h"

#include <numeric>

namespace cameo::frontend {
namespace {

struct Row {
  std::string_view op, fn;
  int axes_input_since; ///< the version from which the axes are an input
};
constexpr Row kRows[] = {
    {"ReduceSum", "sum", 13},        {"ReduceMean", "mean", 18},
    {"ReduceProd", "product", 18},   {"ReduceMax", "max", 18},
    {"ReduceMin", "min", 18},        {"ReduceL1", "l1", 18},
    {"ReduceL2", "l2", 18},          {"ReduceSumSquare", "sum_square", 18},
    {"ReduceLogSum", "log_sum", 18}, {"ReduceLogSumExp", "log_sum_exp", 18},
};

} // namespace

void import_reduce(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const Row *row = nullptr;
  for (const Row &r : kRows)
    if (r.op == n.op()) row = &r;
  CAMEO_CHECK(row, "no reduction " + std::string(n.op()));
  std::vector<int64_t> axes;
  bool none = false;
  if (n.version() < row->axes_input_since) {
    axes = n.ints("axes");
  } else {
    const bool noop = n.integer("noop_with_empty_axes", 0) != 0;
    bool runtime = RuntimeAxes::needed(n, n.input(1)), empty = false;
    Value *list = n.input(1);
    if (runtime && !n.flag("keepdims") && !list->type().dim(0).is_constant()) {
      // What is left tells how many are reduced; all of them may be none as well.
      const std::optional<int64_t> left = n.declared_rank(0);
      if (!left) return void(n.unsupported("a number of axes known only at run time"));
      runtime = noop || *left > 0;
      empty = !runtime;
      if (runtime) list = n.with_shape(list, "axes", {std::max<int64_t>(x->type().rank() - *left, 0)});
      if (n.failed()) return;
    }
    if (runtime) {
      const bool is_bool = x->type().dtype() == DType::boolean;
      Value *y = reduce_runtime_axes(n, std::string(row->fn), is_bool ? n.cast(x, DType::u8) : x, list,
                                     n.flag("keepdims"), !noop);
      return n.result(is_bool ? n.cast(y, DType::boolean) : y);
    }
    empty = empty || (n.has(1) && n.input(1)->type().is_ranked() && product(n.input(1)->type().shape()).is(0));
    if (n.has(1) && !empty) axes = n.need_ints(n.input(1), "axes");
    none = axes.empty() && noop;
  }
  if (n.failed()) return;
  if (none) { // each element is reduced alone: l1 is its magnitude
    Shape shape = x->type().shape();
    shape.push_back(1);
    const int64_t last = x->type().rank();
    return n.result(n.reduce(std::string(row->fn), n.reshape(x, std::move(shape)), {last}, false));
  }
  const int64_t rank = x->type().rank();
  if (axes.empty()) {
    axes.resize(size_t(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  axes = n.axes(std::move(axes), rank);
  const bool keepdims = n.flag("keepdims");
  if (n.failed()) return;
  // Extremes of bools are the logical functions.
  const DType dtype = x->type().dtype();
  if (dtype == DType::boolean) {
    Value *y = n.reduce(std::string(row->fn), n.cast(x, DType::u8), axes, keepdims);
    return n.result(n.cast(y, DType::boolean));
  }
  n.result(n.reduce(std::string(row->fn), x, std::move(axes), keepdims));
}

void import_arg_reduce(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t axis = n.axis(n.integer("axis"), x->type().rank());
  n.result(n.make(Op::arg_reduce, {x},
                  {{"fn", std::string(n.op() == "ArgMax" ? "max" : "min")},
                   {"axis", axis},
                   {"keepdims", n.flag("keepdims")},
                   {"select_last", n.integer("select_last_index", 0) != 0}}));
}

void import_cumulative(NodeImport &n) {
  Value *x = n.input(0);
  if (!n.ranked(x)) return;
  const int64_t rank = x->type().rank();
  n.result(along_axis(n, n.input(1), rank, [&](int64_t axis) {
    return n.make(Op::cumulative, {x},
                  {{"fn", std::string(n.op() == "CumSum" ? "sum" : "product")},
                   {"axis", axis},
                   {"exclusive", n.flag("exclusive")},
                   {"reverse", n.flag("reverse")}});
  }));
}

namespace {

struct Flat {
  Value *x = nullptr;
  int64_t axis = 0;
  Shape shape; ///< to go back to
};
// With the axes from `axis` on taken as one when `flat`.
Flat flatten(NodeImport &n, Value *x, int64_t axis, bool flat) {
  Flat f;
  if (!n.ranked(x)) return f;
  const int64_t rank = x->type().rank();
  f.shape = x->type().shape();
  f.axis = n.axis(axis, std::max<int64_t>(rank, 1));
  f.x = x;
  if (n.failed()) return f;
  if (rank == 0) {
    f.x = n.reshape(x, {1});
    f.axis = 0;
  } else if (flat && f.axis != rank - 1) {
    Dim outer = 1, inner = 1;
    for (int64_t i = 0; i < rank; ++i) (i < f.axis ? outer : inner) *= f.shape[size_t(i)];
    f.x = n.reshape(x, {outer, inner});
    f.axis = 1;
  }
  return f;
}

} // namespace

Value *softmax(NodeImport &n, Value *x, int64_t axis, bool flat, bool log) {
  const Flat f = flatten(n, x, axis, flat);
  if (n.failed() || !f.x) return nullptr;
  Value *y = n.make(Op::softmax, {f.x}, with_compute({{"axis", f.axis}, {"log", log}}, f.x->type().dtype()));
  return n.reshape(y, f.shape);
}

void import_softmax(NodeImport &n) {
  n.result(softmax(n, n.input(0), n.integer("axis"), n.version() < 13, n.op() == "LogSoftmax"));
}

// 1 at the first maximum of the axis, 0 elsewhere.
void import_hardmax(NodeImport &n) {
  const Flat f = flatten(n, n.input(0), n.integer("axis"), n.version() < 13);
  if (n.failed() || !f.x) return;
  Value *best = n.make(Op::arg_reduce, {f.x},
                       {{"fn", std::string("max")}, {"axis", f.axis}, {"keepdims", true}, {"select_last", false}});
  if (n.failed()) return;
  Value *index = n.make_typed(Op::iota, {}, {{"axis", f.axis}}, Type::tensor(DType::i64, f.x->type().shape()));
  n.result(n.reshape(n.cast(n.map(Fn::equal, {index, best}), f.x->type().dtype()), f.shape));
}

} // namespace cameo::frontend
