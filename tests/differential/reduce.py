"""Reductions, normalisations, searches."""
import numpy as np
from elementwise import shape, symbols
from movement import axis_of, i64


def reduce(op, positive=False):
    def generate(s):
        extents = shape(s, s.integer(1, 4), 1)
        dtype = s.pick([np.float32, np.float32, np.float64] + ([np.int32, np.int64] if op in ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd") else []))
        value = s.values(extents, dtype)
        if op == "ReduceProd" and np.dtype(dtype).kind == "i":
            value = np.clip(value, -2, 2)
        if positive:
            value = np.abs(value) + dtype(0.1)
        x = s.input(value, symbols(s, extents))
        rank = len(extents)
        axes = [int(a) for a in s.rng.permutation(rank)[: s.integer(1, rank)]]
        axes = [a - rank if s.chance(0.3) else a for a in axes]
        operand = s.constant(i64(axes)) if s.chance(0.8) else ""
        s.results = [s.node(op, [x, operand], keepdims=s.pick([0, 1, None]), noop_with_empty_axes=s.pick([0, 1, None]))]

    return generate


def arg(op):
    def generate(s):
        extents = shape(s, s.integer(1, 4), 1)
        value = s.values(extents, s.pick([np.float32, np.int32, np.float64]))
        if s.chance(0.5):
            value = np.round(value)  # ties
        x = s.input(value, symbols(s, extents))
        s.results = [s.node(op, [x], axis=axis_of(s, len(extents)), keepdims=s.pick([0, 1]), select_last_index=s.pick([0, 1]))]

    return generate


def cumsum(s):
    extents = shape(s, s.integer(1, 4), 1)
    x = s.input(s.values(extents, s.pick([np.float32, np.int64, np.float64, np.int32])))
    s.results = [s.node("CumSum", [x, s.constant(np.array(axis_of(s, len(extents)), np.int64))], exclusive=s.pick([0, 1]), reverse=s.pick([0, 1]))]


def softmax(op):
    def generate(s):
        extents = shape(s, s.integer(1, 4), 1)
        x = s.input(s.values(extents, s.pick([np.float32, np.float32, np.float64]), s.pick([1, 10])), symbols(s, extents))
        s.results = [s.node(op, [x], axis=axis_of(s, len(extents)))]

    return generate


def layer_norm(s):
    extents = shape(s, s.integer(1, 4), 1)
    axis = s.integer(0, len(extents) - 1)
    x = s.input(s.values(extents), symbols(s, extents))
    scale = s.tensor(s.values(extents[axis:]), 0.7)
    bias = s.tensor(s.values(extents[axis:]), 0.7) if s.chance(0.6) else ""
    wanted = [True, s.chance(0.3), False]
    names = s.node("LayerNormalization", [x, scale, bias], wanted, axis=axis - len(extents) if s.chance(0.5) else axis, epsilon=s.pick([1e-5, 1e-2]))
    s.results = [name for name in names if name]


def image(s, least=1):
    return [s.integer(1, 2), s.integer(least, 6)] + [s.integer(1, 7) for _ in range(s.integer(1, 2))]


def instance_norm(s):
    extents = image(s)
    c = extents[1]
    s.results = [s.node("InstanceNormalization", [s.input(s.values(extents)), s.tensor(s.values([c]), 0.7), s.tensor(s.values([c]), 0.7)])]


def batch_norm(s):
    extents = image(s)
    c = extents[1]
    operands = [s.tensor(s.values([c]), 0.7) for _ in range(3)] + [s.tensor(np.abs(s.values([c])) + np.float32(0.1), 0.7)]
    s.results = [s.node("BatchNormalization", [s.input(s.values(extents))] + operands, epsilon=s.pick([1e-5, 1e-3]))]


def lrn(s):
    s.results = [s.node("LRN", [s.input(s.values(image(s)))], size=s.pick([1, 3, 5, 17]), alpha=0.1, beta=0.75, bias=s.pick([1.0, 2.0]))]


def lp_norm(s):
    extents = shape(s, s.integer(1, 4), 1)
    s.results = [s.node("LpNormalization", [s.input(s.values(extents))], axis=axis_of(s, len(extents)), p=s.pick([1, 2]))]


def top_k(s):
    extents = shape(s, s.integer(1, 3), 1)
    axis = axis_of(s, len(extents))
    value = s.rng.permutation(int(np.prod(extents))).reshape(extents).astype(s.pick([np.float32, np.int64]))
    k = s.constant(i64([s.integer(1, extents[axis])]))
    s.results = s.node("TopK", [s.input(value), k], [True, True], axis=axis, largest=s.pick([0, 1]), sorted=1)


GENERATORS = {
    **{op: reduce(op) for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp")},
    "ReduceLogSum": reduce("ReduceLogSum", True),
    "ArgMax": arg("ArgMax"),
    "ArgMin": arg("ArgMin"),
    "CumSum": cumsum,
    "Softmax": softmax("Softmax"),
    "LogSoftmax": softmax("LogSoftmax"),
    "Hardmax": softmax("Hardmax"),
    "LayerNormalization": layer_norm,
    "InstanceNormalization": instance_norm,
    "BatchNormalization": batch_norm,
    "LRN": lrn,
    "LpNormalization": lp_norm,
    "TopK": top_k,
}
