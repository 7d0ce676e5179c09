"""Fused operators and normalisations of com.microsoft."""
import numpy as np
from contract import windows
from elementwise import shape, symbols


def ms(s, op, inputs, outputs=1, **attributes):
    names = s.node(op, inputs, outputs, domain="com.microsoft", **attributes)
    s.results = [name for name in (names if isinstance(names, list) else [names]) if name]


def fused_conv(s):
    rank = s.pick([2, 2, 1])
    spatial, kernel, attributes = windows(s, rank, False)
    group = s.pick([1, 1, 2])
    c, m = group * s.pick([1, 3, 8]), group * s.pick([1, 5, 8])
    w = s.tensor(s.values([m, c // group, *kernel], np.float32, 0.3), 0.8)
    b = s.tensor(s.values([m]), 0.8) if s.chance(0.6) else ""
    name, params = s.pick([("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.7]), ("HardSigmoid", [0.3, 0.4]), (None, None)])
    x = s.input(s.values([s.integer(1, 2), c, *spatial]))
    ms(s, "FusedConv", [x, w, b], group=group, activation=name, activation_params=params, **attributes)


def fused_gemm(s):
    m, k, n = (s.pick([1, 2, 5, 16, 17, 33]) for _ in range(3))
    ta, tb = s.chance(0.4), s.chance(0.5)
    a = s.input(s.values([k, m] if ta else [m, k]))
    b = s.tensor(s.values([n, k] if tb else [k, n]), 0.7)
    c = s.tensor(s.values(s.pick([[m, n], [n], [1, n], [m, 1], []])), 0.7) if s.chance(0.7) else ""
    name, constants = s.pick([("Relu", {}), ("Tanh", {}), ("Sigmoid", {}), ("Softplus", {}), ("LeakyRelu", {"activation_alpha": 0.3}), ("Elu", {"activation_alpha": 0.7}),
                              ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4}), ("Relu", {})])
    ms(s, "FusedGemm", [a, b, c], transA=int(ta), transB=int(tb), alpha=s.pick([1.0, 0.5, None]), beta=s.pick([1.0, 2.0, None]), activation=name, **constants)


def fused_matmul(op):
    def generate(s):
        m, k, n = (s.pick([1, 2, 5, 16, 17]) for _ in range(3))
        lead = [s.integer(1, 4) for _ in range(s.integer(0, 2))]
        flags = {flag: s.pick([0, 1]) for flag in ("transA", "transB")}
        if op == "FusedMatMul" and lead:
            flags.update({flag: s.pick([0, 0, 1]) for flag in ("transBatchA", "transBatchB")})

        def stored(row, column, side):
            if flags["trans" + side]:
                row, column = column, row
            return [row, *lead, column] if flags.get("transBatch" + side) else [*lead, row, column]

        dtype = s.pick([np.float32, np.float32, np.float64]) if op == "FusedMatMul" else np.float32
        a, b = stored(m, k, "A"), stored(k, n, "B")
        ms(s, op, [s.input(s.values(a, dtype), symbols(s, a)), s.tensor(s.values(b, dtype), 0.5)], alpha=s.pick([1.0, 0.25, None]), **flags)

    return generate


def gelu(op):
    def generate(s):
        extents = shape(s, s.integer(1, 4), 1)
        inputs = [s.input(s.values(extents, np.float32, 2), symbols(s, extents))]
        if op == "BiasGelu" or (op == "FastGelu" and s.chance(0.5)):
            inputs.append(s.tensor(s.values([extents[-1]]), 0.7))
        ms(s, op, inputs, **({"alpha": s.pick([1.0, 1.702, None])} if op == "QuickGelu" else {}))

    return generate


def skip_norm(op):
    def generate(s):
        b, t, h = s.integer(1, 3), s.pick([1, 3, 7]), s.pick([4, 8, 17, 64])
        centred = op == "SkipLayerNormalization"
        skip = s.pick([[b, t, h], [1, t, h], [t, h]]) if centred else [b, t, h]
        dims = [b, t, h]
        if not centred and s.chance(0.3):
            dims = skip = [b * t, h]
        x, skip = s.input(s.values(dims, np.float32, 2)), s.tensor(s.values(skip), 0.2)
        parameters = [s.tensor(s.values([h]), 0.8)]
        if centred:
            parameters.append(s.tensor(s.values([h]), 0.8) if s.chance(0.7) else "")
        parameters.append(s.tensor(s.values([h]), 0.8) if s.chance(0.5) else "")
        wanted = [True, False, False, True] if s.chance(0.5) else 1
        ms(s, op, [x, skip, *parameters], wanted, epsilon=s.pick([1e-5, 1e-12, None]))

    return generate


def layer_norm(op):
    """ONNX Runtime's own versions, in the domain of the standard."""

    def generate(s):
        dims = [s.integer(1, 3), s.pick([1, 3, 7]), s.pick([4, 17, 64])]
        axis = s.pick([-1, 2, 1, None])
        own = dims[axis:] if axis is not None else dims[-1:]
        inputs = [s.input(s.values(dims, np.float32, 2)), s.tensor(s.values(own), 0.7)]
        if op == "LayerNormalization":
            s.opset = 15
            if s.chance(0.7):
                inputs.append(s.tensor(s.values(own), 0.7))
        wanted = [True, False, True] if op == "LayerNormalization" else [True, True]
        names = s.node(op, inputs, wanted if s.chance(0.4) else 1, axis=axis, epsilon=s.pick([1e-5, 1e-3]))
        s.results = [name for name in (names if isinstance(names, list) else [names]) if name]

    return generate


def embed(s):
    b, t, h, rows = s.integer(1, 3), s.pick([1, 4, 9]), s.pick([4, 16, 33]), 12

    def ids():
        return s.tensor(s.rng.integers(0, rows, [b, t]).astype(np.int32), 0.2)

    def table():
        return s.constant(s.values([rows, h]))

    segments = s.chance(0.6)
    mask = s.input((s.rng.random([b, t]) < 0.7).astype(np.int32)) if s.chance(0.6) else ""
    ids_input = s.input(s.rng.integers(0, rows, [b, t]).astype(np.int32))
    inputs = [ids_input, ids() if segments else "", table(), table(), table() if segments else "", s.constant(s.values([h])), s.constant(s.values([h])), mask,
              ids() if s.chance(0.3) else ""]
    ms(s, "EmbedLayerNormalization", inputs, [True, True, s.chance(0.4)] if mask or s.chance(0.4) else [True, True], epsilon=s.pick([1e-5, None]))


def rotary(s):
    b, t, heads = s.integer(1, 3), s.pick([1, 3, 8]), s.integer(1, 3)
    size = s.pick([8, 16, 32])
    turned = s.pick([0, 0, size // 2])
    rows = 16
    half = (turned or size) // 2
    caches = [s.constant(s.rng.uniform(-1, 1, [rows, half]).astype(np.float32)) for _ in range(2)]
    at = s.tensor(s.rng.integers(0, rows, [b, t]).astype(np.int64) if s.chance(0.6) else np.array([s.integer(0, rows - t)], np.int64), 0.3)
    four = s.chance(0.4)
    x = s.input(s.values([b, heads, t, size] if four else [b, t, heads * size]))
    ms(s, "RotaryEmbedding", [x, at, *caches], interleaved=s.pick([0, 1]), num_heads=heads if turned else s.pick([0, heads]), rotary_embedding_dim=turned or None)


GENERATORS = {
    "ms.FusedConv": fused_conv,
    "ms.FusedGemm": fused_gemm,
    "ms.FusedMatMul": fused_matmul("FusedMatMul"),
    "ms.TransposeMatMul": fused_matmul("TransposeMatMul"),
    **{"ms." + op: gelu(op) for op in ("Gelu", "FastGelu", "BiasGelu", "QuickGelu")},
    **{"ms." + op: skip_norm(op) for op in ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")},
    **{"ort." + op: layer_norm(op) for op in ("LayerNormalization", "SimplifiedLayerNormalization")},
    "ms.EmbedLayerNormalization": embed,
    "ms.RotaryEmbedding": rotary,
}
