"""Graphs as exporters write them where extents are symbols: shape arithmetic, masks, ranges, views and sizes that follow it.

Each graph is compiled once and runs with several extents.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

EXTENTS = [1, 2, 3, 5, 7, 16, 17, 33, 64]


class Dynamic:
    """Inputs with symbols, and steps of shape arithmetic."""

    def __init__(self, s):
        self.s = s
        self.first = {}

    def input(self, extents, dtype=np.float32):
        """Names among the extents are symbols."""
        for e in extents:
            if isinstance(e, str) and e not in self.first:
                self.first[e] = self.s.pick(EXTENTS)
        value = self.s.values([self.first.get(e, e) for e in extents], dtype)
        return self.s.input(value, [e if isinstance(e, str) else None for e in extents])

    def runs(self, results, count=3):
        self.s.results = results
        self.s.others = [{e: self.s.pick(EXTENTS) for e in self.first} for _ in range(count - 1)]

    def i64(self, *values):
        return self.s.constant(np.array(values, np.int64))

    def i64_scalar(self, value):
        return self.s.constant(np.array(value, np.int64))

    def extent(self, x, axis, vector=True):
        """Of x, as i64[1] or i64[]."""
        index = self.i64(axis) if vector else self.s.constant(np.array(axis, np.int64))
        return self.s.node("Gather", [self.s.node("Shape", [x]), index], axis=0)

    def concat(self, *parts):
        return self.s.node("Concat", list(parts), axis=0)

    def node(self, *arguments, **attributes):
        return self.s.node(*arguments, **attributes)


def heads(s):
    """[b, t, c] to [b, h, t, c / h], attention, and back, with a mask of lengths."""
    d = Dynamic(s)
    h, each = s.pick([1, 2, 4]), s.pick([4, 8, 15, 16])
    x = d.input(["batch", "time", h * each])
    batch, time = d.extent(x, 0), d.extent(x, 1)

    def split(w):
        y = d.node("MatMul", [x, s.constant(s.values((h * each, h * each), scale=0.3))])
        y = d.node("Reshape", [y, d.concat(batch, time, d.i64(h), d.i64(each if s.chance(0.5) else -1))])
        return d.node("Transpose", [y], perm=[0, 2, 1, 3] if w else [0, 2, 3, 1])

    scores = d.node("MatMul", [split(True), split(False)])
    if s.chance(0.5):
        row = d.node("Unsqueeze", [d.node("Range", [d.i64_scalar(0), d.extent(x, 1, False), d.i64_scalar(1)]), d.i64(1)])
        column = d.node("Transpose", [row], perm=[1, 0])
        allowed = d.node("GreaterOrEqual", [row, column])
        scores = d.node("Where", [allowed, scores, s.constant(np.float32(-1e9))])
    y = d.node("MatMul", [d.node("Softmax", [scores], axis=-1), split(True)])
    y = d.node("Transpose", [y], perm=[0, 2, 1, 3])
    d.runs([d.node("Reshape", [y, d.concat(batch, time, d.i64(h * each))])])


def mask(s):
    """ConstantOfShape, Expand, Trilu, Where and Cumsum of extents of the run."""
    d = Dynamic(s)
    x = d.input(["n", "m"])
    shape = d.node("Shape", [x])
    ones = d.node("ConstantOfShape", [shape], value=numpy_value(1.0))
    upper = d.node("Trilu", [ones], upper=s.integer(0, 1))
    row = d.node("Expand", [s.constant(s.values((1, 1))), shape])
    kept = d.node("Where", [d.node("Cast", [upper], to=9), x, row])
    total = d.node("CumSum", [kept, s.constant(np.array(s.integer(0, 1), np.int64))])
    mean = d.node("Div", [d.node("ReduceSum", [total, d.i64(1)], keepdims=1), d.node("Cast", [d.extent(x, 1)], to=1)])
    d.runs([total, mean])


def windows(s):
    """Slices, pads, tiles and splits of extents of the run."""
    d = Dynamic(s)
    x = d.input(["n", "m", s.pick([2, 3, 8])])
    axis = s.integer(0, 1)
    half = d.node("Div", [d.extent(x, axis), d.i64(2)])
    first = d.node("Slice", [x, d.i64(0), half, d.i64(axis)])
    second = d.node("Slice", [x, half, d.i64(2**62), d.i64(axis)])
    joined = d.node("Concat", [second, first], axis=axis)
    pads = d.concat(d.i64(0), half, d.i64(0, 0, 1, 0))
    padded = d.node("Pad", [joined, pads, s.constant(np.float32(2))])
    tiled = d.node("Tile", [joined, d.concat(d.i64(s.integer(1, 3)), d.i64(1), d.i64(2))])
    other = d.node("Sub", [d.extent(x, axis), half])
    parts = d.node("Split", [x, d.concat(half, other)], 2, axis=axis)
    d.runs([joined, padded, tiled, *parts])


def image(s):
    """Convolutions, pools and resizes of images of any size, joined by the sizes of others."""
    d = Dynamic(s)
    c, k = s.pick([1, 3, 8, 16]), s.pick([1, 3])
    x = d.input(["batch", c, "height", "width"])
    m = s.pick([4, 8, 17])
    y = d.node("Conv", [x, s.constant(s.values((m, c, k, k), scale=0.4)), s.constant(s.values((m,)))], pads=[k // 2] * 4)
    y = d.node("Relu", [y])
    small = d.node(s.pick(["MaxPool", "AveragePool"]), [y], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    sizes = d.concat(d.node("Slice", [d.node("Shape", [small]), d.i64(0), d.i64(2)]), d.extent(y, 2), d.extent(y, 3))
    mode = s.pick(["nearest", "linear"])
    where, rounding = ("asymmetric", "floor") if mode == "nearest" else ("half_pixel", None)
    big = d.node("Resize", [small, "", "", sizes], mode=mode, coordinate_transformation_mode=where, nearest_mode=rounding)
    both = d.node("Concat", [y, big], axis=1)
    w = s.constant(s.values((m, 2 * m, 1, 1), scale=0.3))
    last = d.node("Conv", [both, w])
    pooled = d.node("Flatten", [d.node("GlobalAveragePool", [last])])
    d.runs([last, d.node("Gemm", [pooled, s.constant(s.values((m, 5)))])])


def branch(s):
    """Convolutions and products in a branch, over a batch of any size."""
    d = Dynamic(s)
    c, m, n = s.pick([1, 3, 8]), s.pick([4, 16]), s.pick([8, 16])
    x = d.input(["batch", c, n])
    flag = d.node("Greater", [d.extent(x, 0, False), d.i64_scalar(s.pick([0, 2, 8]))])

    def body(name, k):
        w, v = s.constant(s.values((m, c, k), scale=0.4)), s.constant(s.values((m * n, 5), scale=0.3))
        nodes = [helper.make_node("Conv", [x, w], [name + "a"], pads=[k // 2] * 2),
                 helper.make_node("Relu", [name + "a"], [name + "b"]),
                 helper.make_node("Flatten", [name + "b"], [name + "c"]),
                 helper.make_node("MatMul", [name + "c", v], [name])]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    d.runs([d.node("If", [flag], then_branch=body("yes", 3), else_branch=body("no", 1))])


def recurrence(s):
    """An LSTM or GRU over sequences of any length, its state made for the batch."""
    d = Dynamic(s)
    inputs, hidden = s.pick([3, 8]), s.pick([4, 7, 16])
    op, gates = s.pick([("LSTM", 4), ("GRU", 3), ("RNN", 1)])
    x = d.input(["time", "batch", inputs])
    rows = gates * hidden
    w, r, b = (s.constant(s.values(e, scale=0.4)) for e in ((1, rows, inputs), (1, rows, hidden), (1, 2 * rows)))
    state = d.node("ConstantOfShape", [d.concat(d.i64(1), d.extent(x, 1), d.i64(hidden))])
    operands = [x, w, r, b, "", state] + ([state] if op == "LSTM" else [])
    y, last = d.node(op, operands, 2, hidden_size=hidden, linear_before_reset=1 if op == "GRU" else None)
    d.runs([d.node("Squeeze", [y, d.i64(1)]), last])


def numpy_value(value):
    return numpy_helper.from_array(np.array([value], np.float32))


GENERATORS = {
    "DynamicHeads": heads,
    "DynamicMask": mask,
    "DynamicWindows": windows,
    "DynamicImage": image,
    "DynamicBranch": branch,
    "DynamicRecurrence": recurrence,
}
