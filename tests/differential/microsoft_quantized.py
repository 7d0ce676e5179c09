"""Quantised operators of com.microsoft: operands of random shapes, types, scales and zero points, absent where they may be.

A result of 8 bits may be one step off: ONNX Runtime scales by a rounded quotient where the formula divides, so that what is nearly a
tie goes either way.
"""
import numpy as np
from contract import windows
from elementwise import broadcasts, symbols

BYTES = [np.uint8, np.int8]


def byte_values(s, extents, dtype):
    low, high = (0, 256) if dtype == np.uint8 else (-128, 128)
    return s.rng.integers(low, high, extents).astype(dtype)


def weights(s, extents, dtype):
    """Without VNNI, ONNX Runtime sums pairs of products of u8 and i8 in 16 bits, which saturate: of 7 bits they do not."""
    return s.rng.integers(-64, 64, extents).astype(dtype) if dtype == np.int8 else byte_values(s, extents, dtype)


def scale(s, typical=0.05):
    return np.array(typical * s.pick([0.3, 1.0, 1.0, 2.5]) * s.rng.uniform(0.8, 1.2), np.float32)


def zero(s, dtype):
    info = np.iinfo(dtype)
    return np.array(s.pick([0, info.min, info.max, s.integer(info.min, info.max)]), dtype)


def number(s, value, constant=0.9, scalar=False):
    """A scalar, or one element of rank 1."""
    return s.tensor(value.reshape([] if scalar else s.pick([[], [], [1]])), constant)


def parameters(s, dtype, typical=0.05, optional=False, scalar=False):
    """Names of scale and zero point; the latter may be absent."""
    absent = optional and s.chance(0.2)
    return [number(s, scale(s, typical), scalar=scalar), "" if absent else number(s, zero(s, dtype), scalar=scalar)]


def ms(s, op, inputs, outputs=1, **attributes):
    s.steps = 1
    s.results = [s.node(op, inputs, outputs, domain="com.microsoft", **attributes)]


def binary(op):
    def generate(s):
        dtype = s.pick(BYTES)
        operands = []  # ONNX Runtime takes scalars only, and no absent zero point but the last
        for i, extents in enumerate(broadcasts(s, 2)):
            value = byte_values(s, extents, dtype)
            operands += [s.input(value, symbols(s, extents)) if i == 0 else s.tensor(value, 0.4), *parameters(s, dtype, scalar=True)]
        ms(s, op, operands + parameters(s, dtype, 0.05 if op == "QLinearAdd" else 0.3, optional=True, scalar=True))

    return generate


def shape(s, least, most):
    return [s.pick([1, 2, 3, 5, 8, 17]) for _ in range(s.integer(least, most))]


def unary(op, result_scale, **choices):
    def generate(s):
        dtype, extents = s.pick(BYTES), shape(s, 0, 4)
        x = s.input(byte_values(s, extents, dtype), symbols(s, extents))
        attributes = {name: s.pick(values) for name, values in choices.items()}
        ms(s, op, [x, *parameters(s, dtype, optional=True), *parameters(s, dtype, result_scale)], **attributes)

    return generate


def softmax(s):
    dtype, extents = s.pick(BYTES), shape(s, 1, 4)
    x = s.input(byte_values(s, extents, dtype))
    y = [number(s, np.array(1 / 256, np.float32)), number(s, np.array(np.iinfo(dtype).min, dtype))]  # other results of i8 do not saturate there
    ms(s, "QLinearSoftmax", [x, *parameters(s, dtype, 0.03, optional=True), *y], opset=s.pick([11, 12, 13, 18]), axis=s.integer(-len(extents), len(extents) - 1))


def concat(s):
    dtype, extents = s.pick(BYTES), shape(s, 1, 3)
    axis = s.integer(0, len(extents) - 1)
    shared = parameters(s, dtype)
    operands = list(shared)
    for _ in range(s.integer(1, 4)):
        extents[axis] = s.integer(1, 6)
        own = shared if s.chance(0.4) else parameters(s, dtype)
        operands += [s.input(byte_values(s, extents, dtype)), *own]
    ms(s, "QLinearConcat", operands, axis=axis - len(extents) if s.chance(0.3) else axis)


def pool(s):
    dtype, rank, last = s.pick(BYTES), s.pick([1, 2, 2, 3]), s.chance(0.4)
    spatial, _, attributes = windows(s, rank, True)
    del attributes["dilations"]
    attributes.update(count_include_pad=s.pick([0, 1]), ceil_mode=s.pick([0, 0, 1]), channels_last=int(last))
    n, c = s.integer(1, 2), s.pick([1, 3, 8])
    x = s.input(byte_values(s, [n, *spatial, c] if last else [n, c, *spatial], dtype))
    ms(s, "QLinearAveragePool", [x, *parameters(s, dtype, scalar=True), *parameters(s, dtype, 0.04, optional=True, scalar=True)], **attributes)


def global_pool(s):
    dtype, last = s.pick(BYTES), s.chance(0.5)
    spatial, n, c = [s.integer(1, 9) for _ in range(s.integer(1, 3))], s.integer(1, 2), s.pick([1, 3, 8, 17])
    x = s.input(byte_values(s, [n, *spatial, c] if last else [n, c, *spatial], dtype))
    ms(s, "QLinearGlobalAveragePool", [x, *parameters(s, dtype), *parameters(s, dtype, 0.04)], channels_last=int(last))


def where(s):
    dtype = s.pick(BYTES)
    a, b, c = broadcasts(s, 3)
    sides = []
    for extents in (b, c):
        sides += [s.tensor(byte_values(s, extents, dtype), 0.3), s.constant(scale(s)), s.constant(zero(s, dtype))]
    ms(s, "QLinearWhere", [s.input(s.values(a, np.bool_)), *sides, *parameters(s, dtype)])


def per_column(s, extent, dtype):
    """Scale and zero point: one, or one for each column."""
    if s.chance(0.5):
        return s.constant(scale(s, 0.02)), s.constant(zero(s, dtype))
    scales = np.array([scale(s, 0.02) for _ in range(extent)], np.float32)
    zeros = s.rng.integers(0, 5, extent).astype(dtype)
    return s.constant(scales), s.constant(zeros)


def gemm(s):
    m, k, n = (s.pick([1, 2, 5, 16, 17, 33]) for _ in range(3))
    ta, tb = s.chance(0.4), s.chance(0.5)
    a_dtype, b_dtype = s.pick([(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)])
    a = s.input(byte_values(s, [k, m] if ta else [m, k], a_dtype))
    b = s.tensor(weights(s, [n, k] if tb else [k, n], b_dtype), 0.8)
    b_scale, b_zero = per_column(s, n, b_dtype)
    c = s.tensor(s.values(s.pick([[m, n], [n], [1, n], [m, 1], []]), np.int32), 0.7) if s.chance(0.7) else ""
    result = parameters(s, a_dtype, 0.3) if s.chance(0.6) else ["", ""]
    ms(s, "QGemm", [a, *parameters(s, a_dtype, 0.02), b, b_scale, b_zero, c, *result],
       transA=int(ta), transB=int(tb), alpha=s.pick([1.0, 0.5, None]))


def factors(s):
    m, k, n = (s.pick([1, 2, 5, 16, 17, 33]) for _ in range(3))
    lead = [s.integer(1, 3) for _ in range(s.integer(0, 2))]
    return lead + [m, k], ([k, n] if s.chance(0.6) else lead + [k, n]), n


def matmul_to_float(s):
    a_shape, b_shape, n = factors(s)
    a_dtype, b_dtype = s.pick([(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8), (np.int8, np.uint8)])
    b_scale, b_zero = per_column(s, n, b_dtype)
    a_scale, a_zero = parameters(s, a_dtype, 0.02, optional=True)
    bias = s.tensor(s.values([n]), 0.7) if s.chance(0.5) else ""
    b = s.tensor(weights(s, b_shape, b_dtype), 0.8)
    ms(s, "MatMulIntegerToFloat", [s.input(byte_values(s, a_shape, a_dtype)), b, a_scale, b_scale, a_zero, b_zero if s.chance(0.7) else "", bias])


def dynamic_matmul(s):
    a_shape, b_shape, n = factors(s)
    b_dtype = s.pick(BYTES)
    b_scale, b_zero = per_column(s, n, b_dtype)
    bias = s.tensor(s.values([n]), 0.7) if s.chance(0.5) else ""
    b = s.tensor(weights(s, b_shape, b_dtype), 0.8)
    ms(s, "DynamicQuantizeMatMul", [s.input(s.values(a_shape)), b, b_scale, b_zero if s.chance(0.7) else "", bias])


def matmul_integer16(s):
    a, b, _ = factors(s)
    ms(s, "MatMulInteger16", [s.input(s.values(a, np.int16)), s.tensor(s.values(b, np.int16), 0.7)])
    s.steps = 0


def conv(s):
    """Of int8 weights, channels first or last."""
    rank, last = s.pick([1, 2, 2]), s.chance(0.6)
    spatial, kernel, attributes = windows(s, rank, False)
    group = s.pick([1, 1, 2])
    c, m, n = group * s.pick([1, 3, 8]), group * s.pick([1, 5, 8]), s.integer(1, 2)
    dtype = s.pick(BYTES)
    x = s.input(byte_values(s, [n, *spatial, c] if last else [n, c, *spatial], dtype))
    w = s.constant(weights(s, [m, c // group, *kernel], np.int8))
    w_scale = s.constant(np.array([scale(s, 0.01) for _ in range(m)], np.float32)) if s.chance(0.5) else s.constant(scale(s, 0.01))
    bias = s.constant(s.values([m], np.int32)) if s.chance(0.6) else ""
    ms(s, "QLinearConv", [x, *parameters(s, dtype), w, w_scale, s.constant(np.array(0, np.int8)), *parameters(s, dtype, 0.2), bias],
       group=group, channels_last=int(last), **attributes)


def max_pool(s):
    spatial, _, attributes = windows(s, s.pick([1, 2, 2, 3]), True)
    attributes["ceil_mode"] = s.pick([0, 0, 1])
    ms(s, "NhwcMaxPool", [s.input(byte_values(s, [s.integer(1, 2), *spatial, s.pick([1, 3, 8])], s.pick(BYTES)))], **attributes)
    s.steps = 0


def quantize(s):
    extents = [s.integer(1, 5), s.integer(1, 9)]
    dtype = s.pick([np.uint8, np.int8, np.uint16, np.int16])
    axis = s.integer(-2, 1) if s.chance(0.5) else None
    size = [] if axis is None else [extents[axis]]
    step = np.abs(s.values(size)) * np.float32(0.1) + np.float32(0.01)
    start = s.rng.integers(0, 9, size).astype(dtype)
    names = [s.constant(step), s.constant(start)]
    q = s.node("QuantizeLinear", [s.input(s.values(extents)), *names], domain="com.microsoft", axis=axis)
    s.results = [q, s.node("DequantizeLinear", [q, *names], domain="com.microsoft", axis=axis)]
    s.steps = 1


GENERATORS = {
    "ms.QLinearAdd": binary("QLinearAdd"),
    "ms.QLinearMul": binary("QLinearMul"),
    "ms.QLinearSigmoid": unary("QLinearSigmoid", 1 / 256),
    "ms.QLinearLeakyRelu": unary("QLinearLeakyRelu", 0.05, alpha=[0.1, 0.5, None]),
    "ms.QLinearSoftmax": softmax,
    "ms.QLinearConcat": concat,
    "ms.QLinearAveragePool": pool,
    "ms.QLinearGlobalAveragePool": global_pool,
    "ms.QLinearWhere": where,
    "ms.QLinearConv": conv,
    "ms.QGemm": gemm,
    "ms.MatMulIntegerToFloat": matmul_to_float,
    "ms.DynamicQuantizeMatMul": dynamic_matmul,
    "ms.MatMulInteger16": matmul_integer16,
    "ms.NhwcMaxPool": max_pool,
    "ms.QuantizeLinear": quantize,
}
