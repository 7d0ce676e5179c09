"""Graphs of many nodes: what fusion, views, layouts and memory planning meet."""
import numpy as np

UNARY = ["Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Exp", "Erf", "Softplus", "LeakyRelu", "HardSigmoid", "Identity"]
BINARY = ["Add", "Sub", "Mul", "Max", "Min"]


class Chain:
    """Values of known shapes; each step takes some of them and makes one more."""

    def __init__(self, s):
        self.s = s
        self.values = []  # (name, shape)

    def add(self, name, extents):
        self.values.append((name, list(extents)))

    def take(self, rank=None):
        fits = [v for v in self.values if rank is None or len(v[1]) == rank]
        return self.s.pick(fits[-4:] if self.s.chance(0.7) else fits) if fits else None

    def unary(self):
        x, e = self.take()
        y = self.s.node(self.s.pick(UNARY), [x])
        if self.s.nodes[-1].op_type == "Exp":
            y = self.s.node("Tanh", [y])
        self.add(y, e)

    def binary(self):
        x, e = self.take()
        same = [v for v in self.values if v[1] == e]
        if self.s.chance(0.6):
            other = self.s.pick(same)[0]
        else:
            own = [1 if self.s.chance(0.3) else d for d in e][self.s.integer(0, len(e)):]
            other = self.s.constant(self.s.values(own))
        operands = [x, other] if self.s.chance(0.7) else [other, x]
        self.add(self.s.node(self.s.pick(BINARY), operands), e)

    def transpose(self):
        x, e = self.take()
        perm = [int(i) for i in self.s.rng.permutation(len(e))]
        self.add(self.s.node("Transpose", [x], perm=perm), [e[i] for i in perm])

    def reshape(self):
        x, e = self.take()
        if len(e) > 1 and self.s.chance(0.6):
            at = self.s.integer(0, len(e) - 2)
            target = e[:at] + [e[at] * e[at + 1]] + e[at + 2:]
        else:
            target = [1] + e if self.s.chance(0.5) else e + [1]
        if len(target) <= 4:
            self.add(self.s.node("Reshape", [x, self.s.constant(np.array(target, np.int64))]), target)

    def slice(self):
        x, e = self.take()
        axis = self.s.integer(0, len(e) - 1)
        start = self.s.integer(0, e[axis] - 1)
        end = self.s.integer(start + 1, e[axis])
        operands = [self.s.constant(np.array([v], np.int64)) for v in (start, end, axis)]
        self.add(self.s.node("Slice", [x, *operands]), e[:axis] + [end - start] + e[axis + 1:])

    def concat(self):
        x, e = self.take()
        axis = self.s.integer(0, len(e) - 1)
        fits = [v for v in self.values if len(v[1]) == len(e) and v[1][:axis] + v[1][axis + 1:] == e[:axis] + e[axis + 1:]]
        parts = [self.s.pick(fits) for _ in range(self.s.integer(1, 2))] + [(x, e)]
        self.add(self.s.node("Concat", [p[0] for p in parts], axis=axis), e[:axis] + [sum(p[1][axis] for p in parts)] + e[axis + 1:])

    def split(self):
        x, e = self.take()
        axis = self.s.integer(0, len(e) - 1)
        if e[axis] < 2:
            return
        first = self.s.integer(1, e[axis] - 1)
        names = self.s.node("Split", [x, self.s.constant(np.array([first, e[axis] - first], np.int64))], 2, axis=axis)
        for name, size in zip(names, (first, e[axis] - first)):
            self.add(name, e[:axis] + [size] + e[axis + 1:])

    def pad(self):
        x, e = self.take()
        pads = [self.s.integer(0, 2) for _ in range(2 * len(e))]
        self.add(self.s.node("Pad", [x, self.s.constant(np.array(pads, np.int64))]), [d + a + b for d, a, b in zip(e, pads, pads[len(e):])])

    def matmul(self):
        x, e = self.take()
        if len(e) < 2:
            return
        n = self.s.pick([1, 3, 16, 20])
        w = self.s.constant(self.s.values([e[-1], n], np.float32, 0.5 / np.sqrt(e[-1])))
        self.add(self.s.node("MatMul", [x, w]), e[:-1] + [n])

    def attention(self):
        if not (found := self.take(3)):
            return
        x, (b, t, d) = found
        y = self.s.node("MatMul", [self.s.node("Softmax", [self.s.node("MatMul", [x, self.s.node("Transpose", [x], perm=[0, 2, 1])])], axis=-1), x])
        self.add(y, [b, t, d])

    def conv(self):
        if not (found := self.take(4)):
            return
        x, (n, c, h, w) = found
        group = c if self.s.chance(0.3) else 1
        m = c if group > 1 else self.s.pick([1, 4, 8, 16])
        k = self.s.pick([1, 3])
        stride = self.s.pick([1, 1, 2])
        weights = self.s.constant(self.s.values([m, c // group, k, k], np.float32, 0.5 / np.sqrt(c // group * k * k)))
        bias = self.s.constant(self.s.values([m])) if self.s.chance(0.5) else ""
        y = self.s.node("Conv", [x, weights, bias], kernel_shape=[k, k], pads=[k // 2] * 4, strides=[stride] * 2, group=group)
        e = [n, m, (h - 1) // stride + 1, (w - 1) // stride + 1]
        if self.s.chance(0.3):
            stats = [self.s.constant(self.s.values([m])) for _ in range(3)] + [self.s.constant(np.abs(self.s.values([m])) + np.float32(0.5))]
            y = self.s.node("BatchNormalization", [y, *stats])
        self.add(y, e)

    def pool(self):
        if not (found := self.take(4)):
            return
        x, (n, c, h, w) = found
        op = self.s.pick(["MaxPool", "AveragePool"])
        self.add(self.s.node(op, [x], kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2]), [n, c, (h - 1) // 2 + 1, (w - 1) // 2 + 1])

    def reduce(self):
        x, e = self.take()
        axis = self.s.integer(0, len(e) - 1)
        op = self.s.pick(["ReduceSum", "ReduceMean", "ReduceMax"])
        self.add(self.s.node(op, [x, self.s.constant(np.array([axis], np.int64))], keepdims=1), e[:axis] + [1] + e[axis + 1:])

    def normalize(self):
        x, e = self.take()
        if self.s.chance(0.5):
            self.add(self.s.node("Softmax", [x], axis=self.s.integer(0, len(e) - 1)), e)
            return
        scale, bias = self.s.constant(self.s.values(e[-1:])), self.s.constant(self.s.values(e[-1:]))
        self.add(self.s.node("LayerNormalization", [x, scale, bias], axis=-1, epsilon=1e-3), e)


def chain(s):
    c = Chain(s)
    for _ in range(s.integer(1, 2)):
        extents = s.pick([[2, 8, 6, 6], [1, 16, 9, 9], [2, 5, 16], [1, 7, 20], [4, 33], [3, 4, 5]])
        symbols = [f"b{extents[0]}" if s.chance(0.2) else None] + [None] * (len(extents) - 1)
        c.add(s.input(s.values(extents), symbols), extents)
    steps = [c.unary, c.unary, c.binary, c.binary, c.binary, c.transpose, c.reshape, c.slice, c.concat, c.split, c.pad, c.matmul, c.attention,
             c.conv, c.conv, c.pool, c.reduce, c.normalize]
    for _ in range(s.integer(3, 16)):
        s.pick(steps)()
    made = [name for name, _ in c.values if name not in s.feeds]
    if not made:
        return chain(s.again())
    s.results = [made[-1]] + [name for name in made[:-1] if s.chance(0.15)]


GENERATORS = {"Chain": chain}
