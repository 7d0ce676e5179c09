"""Products and windows: matrices, convolutions, pools."""
import numpy as np
from elementwise import symbols


def matmul(s):
    m, k, n = (s.pick([1, 2, 5, 16, 17, 33]) for _ in range(3))
    lead = [s.integer(1, 3) for _ in range(s.integer(0, 2))]
    a, b = lead + [m, k], lead + [k, n]
    if lead and s.chance(0.5):
        a = [1 if s.chance(0.5) else e for e in lead] + [m, k]
    if lead and s.chance(0.4):
        b = [k, n]
    form = s.integer(0, 9)
    if form == 0:
        a = [k]
    if form == 1:
        b = [k]
    dtype = s.pick([np.float32, np.float32, np.float32, np.float64, np.int32])
    s.results = [s.node("MatMul", [s.input(s.values(a, dtype), symbols(s, a)), s.tensor(s.values(b, dtype), 0.6)])]


def gemm(s):
    m, k, n = (s.pick([1, 2, 5, 16, 17, 33]) for _ in range(3))
    ta, tb = s.chance(0.4), s.chance(0.5)
    a = s.input(s.values([k, m] if ta else [m, k]))
    b = s.tensor(s.values([n, k] if tb else [k, n]), 0.7)
    c = s.tensor(s.values(s.pick([[m, n], [n], [1, n], [m, 1], [1], []])), 0.7) if s.chance(0.7) else ""
    s.results = [s.node("Gemm", [a, b, c], transA=int(ta), transB=int(tb), alpha=s.pick([1.0, 0.5, None]), beta=s.pick([1.0, 2.0, None]))]


def einsum(s):
    equation = s.pick(["ij,jk->ik", "bij,bjk->bik", "ij->ji", "ij->i", "i,j->ij", "bhid,bhjd->bhij", "ij,ij->ij", "...ij,...jk->...ik", "bij,kj->bik", "ij,ij->"])
    extents = {label: s.integer(1, 6) for label in "abcdefghijklmnop"}
    lead = [s.integer(1, 3)]
    operands = []
    for labels in equation.split("->")[0].split(","):
        dims = lead if labels.startswith("...") else []
        operands.append(s.tensor(s.values(dims + [extents[label] for label in labels if label != "."]), 0.2 if operands else 0))
    s.results = [s.node("Einsum", operands, equation=equation)]


def windows(s, rank, pool):
    """Spatial extents, kernel, and attributes of a window that fits."""
    kernel = [s.integer(1, 4) for _ in range(rank)]
    strides = [s.integer(1, 3) for _ in range(rank)]
    dilations = [s.pick([1, 1, 2]) for _ in range(rank)]
    spatial = [(k - 1) * d + s.integer(1, 9) for k, d in zip(kernel, dilations)]
    attributes = {"kernel_shape": kernel, "strides": strides, "dilations": dilations}
    if s.chance(0.3):
        attributes["auto_pad"] = s.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
        if pool or attributes["auto_pad"] != "VALID":
            attributes["dilations"] = [1] * rank
    elif s.chance(0.7):
        most = [(k - 1) if pool else k for k in kernel]
        attributes["pads"] = [s.integer(0, most[i % rank]) for i in range(2 * rank)]
    return spatial, kernel, attributes


def conv(s):
    rank = s.pick([1, 2, 2, 2, 3])
    spatial, kernel, attributes = windows(s, rank, False)
    group = s.pick([1, 1, 2, 4])
    c, m = group * s.pick([1, 2, 3, 8]), group * s.pick([1, 2, 5, 8])
    if s.chance(0.2):
        group, m = c, c
    n = s.integer(1, 2)
    x = s.input(s.values([n, c, *spatial]), [s.pick([None, "batch"])] + [None] * (rank + 1))
    w = s.tensor(s.values([m, c // group, *kernel], np.float32, 0.3), 0.8)
    b = s.tensor(s.values([m]), 0.8) if s.chance(0.6) else ""
    s.results = [s.node("Conv", [x, w, b], group=group, **attributes)]


def conv_transpose(s):
    rank = s.pick([1, 2, 2])
    group = s.pick([1, 1, 2])
    c, each = group * s.integer(1, 3), s.integer(1, 4)
    kernel = [s.integer(1, 4) for _ in range(rank)]
    strides = [s.integer(1, 3) for _ in range(rank)]
    dilations = [s.pick([1, 1, 2]) for _ in range(rank)]
    attributes = {"kernel_shape": kernel, "strides": strides, "dilations": dilations}
    if s.chance(0.5):
        attributes["pads"] = [s.integer(0, kernel[i % rank] - 1) for i in range(2 * rank)]
    if s.chance(0.3):
        attributes["output_padding"] = [s.integer(0, max(a, b) - 1) for a, b in zip(strides, dilations)]
    x = s.input(s.values([s.integer(1, 2), c] + [s.integer(2, 6) for _ in range(rank)]))
    w = s.tensor(s.values([c, each, *kernel], np.float32, 0.3), 0.8)
    b = s.tensor(s.values([each * group]), 0.8) if s.chance(0.5) else ""
    s.results = [s.node("ConvTranspose", [x, w, b], group=group, **attributes)]


def pool(op):
    def generate(s):
        rank = s.pick([1, 2, 2, 3])
        spatial, _, attributes = windows(s, rank, True)
        if s.chance(0.4):
            attributes["ceil_mode"] = 1
        if op == "AveragePool":
            attributes["count_include_pad"] = s.pick([0, 1])
        if op == "LpPool":
            attributes["p"] = s.pick([1, 2, 3])
        wanted = [True, s.chance(0.3)] if op == "MaxPool" else [True]
        x = s.input(s.values([s.integer(1, 2), s.integer(1, 5), *spatial]))
        names = s.node(op, [x], wanted, **attributes)
        s.results = [name for name in (names if isinstance(names, list) else [names]) if name]

    return generate


def global_pool(op):
    def generate(s):
        x = s.input(s.values([s.integer(1, 2), s.integer(1, 5)] + [s.integer(1, 9) for _ in range(s.integer(1, 3))]))
        s.results = [s.node(op, [x])]

    return generate


def matmul_integer(s):
    m, k, n = (s.pick([1, 2, 5, 16, 17]) for _ in range(3))
    a_dtype, b_dtype = s.pick([np.uint8, np.int8]), s.pick([np.uint8, np.int8])
    a, b = s.values([m, k], a_dtype), s.values([k, n], b_dtype)
    az = s.constant(np.array(s.integer(0, 5), a_dtype)) if s.chance(0.6) else ""
    bz = s.constant(np.array(s.integer(0, 5), b_dtype)) if s.chance(0.6) else ""
    s.results = [s.node("MatMulInteger", [s.input(a), s.tensor(b, 0.7), az, bz])]


def quantize(s):
    extents = [s.integer(1, 5), s.integer(1, 9)]
    dtype = s.pick([np.uint8, np.int8])
    per_axis = s.chance(0.5)
    axis = s.integer(-2, 1)
    size = [extents[axis]] if per_axis else []
    scale = np.abs(s.values(size)) * np.float32(0.1) + np.float32(0.01)
    zero = s.rng.integers(0, 9, size).astype(dtype)
    q = s.node("QuantizeLinear", [s.input(s.values(extents)), s.constant(scale), s.constant(zero)], axis=axis)
    s.results = [q, s.node("DequantizeLinear", [q, s.constant(scale), s.constant(zero)], axis=axis)]


GENERATORS = {
    "MatMul": matmul,
    "Gemm": gemm,
    "Einsum": einsum,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    **{op: pool(op) for op in ("MaxPool", "AveragePool", "LpPool")},
    **{op: global_pool(op) for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")},
    "MatMulInteger": matmul_integer,
    "QuantizeLinear": quantize,
}
