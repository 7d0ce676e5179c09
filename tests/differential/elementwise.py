"""Functions of elements, with broadcasting, scalars, empty tensors, and values at the edges of their domains."""
import numpy as np
from onnx import helper

FLOATS = [np.float32, np.float32, np.float32, np.float64, np.float16]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
ORT_INTEGERS = [np.int32, np.int64]  # what ONNX Runtime has kernels for, of nearly every operator
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e-30, 3e4, -3e4]


def shape(s, rank=None, least=0):
    rank = s.integer(0, 4) if rank is None else rank
    extents = [s.pick([1, 2, 3, 5, 8, 17, 33]) if rank < 3 else s.pick([1, 2, 3, 5, 9]) for _ in range(rank)]
    if least == 0 and rank and s.chance(0.05):
        extents[s.integer(0, rank - 1)] = 0
    return extents


def broadcasts(s, count):
    """Shapes that broadcast with each other."""
    full = shape(s)
    shapes = []
    for _ in range(count):
        own = [1 if s.chance(0.2) else extent for extent in full]
        shapes.append(own[s.integer(0, len(own)):] if s.chance(0.3) else own)
    return shapes


def symbols(s, extents):
    return [f"d{i}_{e}" if s.chance(0.15) else None for i, e in enumerate(extents)]


def floats(s, extents, dtype, low=None, high=None):
    value = s.values(extents, dtype, s.pick([0.3, 1, 1, 3, 20]))
    if low is not None:
        value = s.rng.uniform(low, high, extents).astype(dtype)
    elif value.size and s.chance(0.1):
        flat = value.reshape(-1)
        for at in s.rng.integers(0, flat.size, 3):
            flat[at] = s.pick(SPECIAL)
    return value


def unary(op, dtypes, low=None, high=None, **choices):
    def generate(s):
        dtype = s.pick(dtypes)
        extents = shape(s)
        value = floats(s, extents, dtype, low, high) if np.dtype(dtype).kind == "f" else s.values(extents, dtype)
        attributes = {name: s.pick(values) for name, values in choices.items()}
        x = s.input(value, symbols(s, extents))
        s.results = [s.node(op, [x], **attributes)]

    return generate


def binary(op, dtypes, count=2, positive=False, **choices):
    def generate(s):
        dtype = s.pick(dtypes)
        operands = []
        for i, extents in enumerate(broadcasts(s, count)):
            if np.dtype(dtype).kind == "f":
                value = floats(s, extents, dtype)
                if positive and i == 0:
                    value = np.abs(value)
            else:
                value = s.values(extents, dtype)
            if i > 0 and op in ("Div", "Mod") and np.dtype(dtype).kind in "iu":
                value = np.where(value == 0, np.ones_like(value), value)
            operands.append(s.tensor(value, 0.3))
        if not s.feeds:
            return generate(s.again())
        attributes = {name: s.pick(values) for name, values in choices.items()}
        s.results = [s.node(op, operands, **attributes)]

    return generate


def variadic(op, dtypes):
    def generate(s):
        binary(op, dtypes, s.integer(1, 4))(s)

    return generate


def power(s):
    dtype = s.pick([np.float32, np.float64, np.int32, np.int64])
    a, b = broadcasts(s, 2)
    if np.dtype(dtype).kind == "f":
        base, exponent = np.abs(floats(s, a, dtype)), s.pick([s.values(b, dtype), np.full(b, s.pick([0, 0.5, 2, 3, -1]), dtype)])
    else:
        base, exponent = s.rng.integers(-6, 7, a).astype(dtype), s.rng.integers(0, 6, b).astype(dtype)
    s.results = [s.node("Pow", [s.input(base), s.tensor(exponent, 0.5)])]


def where(s):
    dtype = s.pick([np.float32, np.int64, np.uint8, np.int32, np.float64])
    a, b, c = broadcasts(s, 3)
    s.results = [s.node("Where", [s.input(s.values(a, np.bool_)), s.tensor(s.values(b, dtype), 0.3), s.tensor(s.values(c, dtype), 0.3)])]


def clip(s):
    dtype = s.pick([np.float32, np.float64, np.int32, np.int64, np.uint8, np.int8])
    x = s.input(s.values(shape(s), dtype, 3))
    low = s.tensor(np.array(s.integer(0, 5) - (0 if np.dtype(dtype).kind == "u" else 4), dtype)) if s.chance(0.7) else ""
    high = s.tensor(np.array(s.integer(1, 9), dtype)) if s.chance(0.7) else ""
    s.results = [s.node("Clip", [x, low, high])]


def cast(s):
    kinds = [np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.bool_]
    source, target = s.pick(kinds), s.pick(kinds)
    value = s.values(shape(s), source, 20)
    if np.dtype(target).kind == "u":
        value = np.abs(value)
    s.results = [s.node("Cast", [s.input(value)], to=helper.np_dtype_to_tensor_dtype(np.dtype(target)))]


def shift(s):
    dtype = s.pick([np.uint8, np.uint32, np.uint64])
    a, b = broadcasts(s, 2)
    count = s.rng.integers(0, np.dtype(dtype).itemsize * 8, b).astype(dtype)
    s.results = [s.node("BitShift", [s.input(s.values(a, dtype)), s.tensor(count, 0.5)], direction=s.pick(["LEFT", "RIGHT"]))]


def prelu(s):
    extents = shape(s)
    slope = [1 if s.chance(0.4) else e for e in extents][s.integer(0, len(extents)):]
    s.results = [s.node("PRelu", [s.input(s.values(extents)), s.tensor(s.values(slope), 0.7)])]


GENERATORS = {
    **{op: unary(op, [np.float32, np.float64, np.int32, np.int64, np.int8]) for op in ("Abs", "Neg", "Sign")},
    **{op: unary(op, [np.float32, np.float64]) for op in ("Floor", "Ceil", "Round", "Exp", "Erf", "Sigmoid", "Tanh", "Reciprocal")},
    **{op: unary(op, [np.float32, np.float64], 1e-3, 50) for op in ("Log", "Sqrt")},
    **{op: unary(op, [np.float32]) for op in ("Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh", "Softplus", "Softsign", "Mish", "HardSwish")},
    "Tan": unary("Tan", [np.float32], -1.4, 1.4),
    **{op: unary(op, [np.float32], -1, 1) for op in ("Asin", "Acos")},
    "Atanh": unary("Atanh", [np.float32], -0.95, 0.95),
    "Acosh": unary("Acosh", [np.float32], 1, 50),
    "Relu": unary("Relu", [np.float32, np.float64, np.int32, np.int8]),
    "LeakyRelu": unary("LeakyRelu", [np.float32], alpha=[0.01, 0.3, -0.5, None]),
    "Elu": unary("Elu", [np.float32], alpha=[1.0, 0.3, None]),
    "Selu": unary("Selu", [np.float32], alpha=[1.5, None], gamma=[1.1, None]),
    "Celu": unary("Celu", [np.float32], alpha=[0.5, 2.0, None]),
    "ThresholdedRelu": unary("ThresholdedRelu", [np.float32], alpha=[0.5, 0.0, None]),
    "HardSigmoid": unary("HardSigmoid", [np.float32], alpha=[0.3, None], beta=[0.6, None]),
    "Gelu": unary("Gelu", [np.float32], approximate=["none", "tanh", None]),
    "Shrink": unary("Shrink", [np.float32], lambd=[0.3, None], bias=[0.1, None]),
    "Not": unary("Not", [np.bool_]),
    "BitwiseNot": unary("BitwiseNot", INTEGERS),
    "IsNaN": unary("IsNaN", [np.float32, np.float64, np.float16]),
    "IsInf": unary("IsInf", [np.float32, np.float64], detect_negative=[0, 1], detect_positive=[0, 1]),
    **{op: binary(op, [np.float32, np.float64, np.int32, np.int64]) for op in ("Add", "Sub", "Mul", "Div")},
    "Mod": binary("Mod", [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32], fmod=[0, 1]),
    "Pow": power,
    **{op: binary(op, [np.float32, np.float64, np.int32, np.int64]) for op in ("Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal")},
    **{op: binary(op, [np.bool_]) for op in ("And", "Or", "Xor")},
    **{op: binary(op, INTEGERS) for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")},
    **{op: variadic(op, [np.float32, np.float64, np.int32, np.int64]) for op in ("Max", "Min")},
    **{op: variadic(op, [np.float32]) for op in ("Sum", "Mean")},
    "Where": where,
    "Clip": clip,
    "Cast": cast,
    "BitShift": shift,
    "PRelu": prelu,
}
