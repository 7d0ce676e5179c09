"""Operators that move elements: shapes, slices, gathers, scatters."""
import numpy as np
from elementwise import shape, symbols

DTYPES = [np.float32, np.float32, np.int64, np.int32, np.uint8, np.float64, np.float16, np.bool_]


def operand(s, rank=None, least=0, dtypes=DTYPES):
    extents = shape(s, rank, least)
    value = s.values(extents, s.pick(dtypes))
    return s.input(value, symbols(s, extents)), value


def i64(values):
    return np.array(values, np.int64)


def axis_of(s, rank):
    return s.integer(-rank, rank - 1)


def concat(s):
    rank = s.integer(1, 4)
    extents, dtype = shape(s, rank), s.pick(DTYPES)
    axis = axis_of(s, rank)
    parts = []
    for _ in range(s.integer(1, 4)):
        own = list(extents)
        own[axis] = s.pick([0, 1, 2, 5, 8])
        parts.append(s.values(own, dtype))
    names = [s.input(parts[0])] + [s.tensor(part, 0.3) for part in parts[1:]]
    s.results = [s.node("Concat", names, axis=axis)]


def slice_(s):
    rank = s.integer(1, 4)
    x, value = operand(s, rank)
    axes = [int(a) for a in s.rng.permutation(rank)[: s.integer(1, rank)]]
    starts, ends, steps = [], [], []
    for a in axes:
        e = value.shape[a]
        starts.append(s.pick([0, 1, -1, -e, e, s.integer(-e - 2, e + 2), -(2**63)]))
        steps.append(s.pick([1, 1, 2, -1, -2, 7]))
        # The largest number ends a backward slice at its start in ONNX Runtime 1.30, against numpy and the standard.
        far = 2**63 - 1 if steps[-1] > 0 else -(2**63)
        ends.append(s.pick([e, -1, 0, s.integer(-e - 2, e + 2), far]))
    axes = [a - rank if s.chance(0.3) else a for a in axes]
    operands = [x] + [s.constant(i64(v)) for v in (starts, ends, axes, steps)]
    s.results = [s.node("Slice", operands)]


def pad(s):
    rank = s.integer(1, 4)
    mode = s.pick(["constant", "constant", "reflect", "edge", "wrap"])
    x, value = operand(s, rank, 1, [np.float32, np.int32, np.float64, np.int64])
    pads = [s.integer(0, 3) for _ in range(2 * rank)]
    if mode == "reflect":
        pads = [min(p, e - 1) for p, e in zip(pads, list(value.shape) * 2)]
    if mode == "wrap":  # ONNX Runtime 1.30 leaves zeros behind the first copy
        pads = [min(p, e) for p, e in zip(pads, list(value.shape) * 2)]
    if mode == "constant" and s.chance(0.3):
        pads = [p - 1 for p in pads]
    fill = s.constant(np.array(s.integer(-3, 3), value.dtype)) if mode == "constant" and s.chance(0.5) else ""
    s.results = [s.node("Pad", [x, s.constant(i64(pads)), fill], mode=mode)]


def transpose(s):
    x, value = operand(s)
    perm = [int(i) for i in s.rng.permutation(value.ndim)]
    s.results = [s.node("Transpose", [x], perm=perm if s.chance(0.8) and perm else None)]


def reshape(s):
    x, value = operand(s, None, 1)
    count, target = value.size, []
    while count > 1:
        factor = s.pick([f for f in range(1, count + 1) if count % f == 0])
        target.append(factor)
        count //= factor
        if len(target) == 4:
            target[-1] *= count
            break
    if target and s.chance(0.5):
        target[s.integer(0, len(target) - 1)] = -1
    s.results = [s.node("Reshape", [x, s.constant(i64(target))])]


def squeeze(s):
    extents = [1 if s.chance(0.5) else s.integer(1, 4) for _ in range(s.integer(1, 5))]
    ones = [i for i, e in enumerate(extents) if e == 1]
    x = s.input(s.values(extents, s.pick(DTYPES)))
    axes = s.constant(i64([a - len(extents) if s.chance(0.3) else a for a in ones[: s.integer(1, len(ones))]])) if ones and s.chance(0.7) else ""
    s.results = [s.node("Squeeze", [x, axes])]


def unsqueeze(s):
    x, value = operand(s)
    rank = value.ndim + s.integer(1, 3)
    axes = [int(a) for a in s.rng.permutation(rank)[: rank - value.ndim]]
    s.results = [s.node("Unsqueeze", [x, s.constant(i64([a - rank if s.chance(0.3) else a for a in axes]))])]


def expand(s):
    extents = shape(s)
    own = [1 if s.chance(0.4) else e for e in extents][s.integer(0, len(extents)):]
    target = [1 if s.chance(0.2) else e for e in extents]
    s.results = [s.node("Expand", [s.input(s.values(own, s.pick(DTYPES[:6]))), s.constant(i64(target))])]


def tile(s):
    x, value = operand(s, s.integer(1, 4), 0, DTYPES[:5])
    s.results = [s.node("Tile", [x, s.constant(i64([s.pick([1, 1, 2, 3]) for _ in value.shape]))])]


def split(s):
    rank = s.integer(1, 4)
    extents, dtype, axis = shape(s, rank), s.pick(DTYPES[:5]), axis_of(s, rank)
    sizes = [s.integer(0, 4) for _ in range(s.integer(1, 4))]
    extents[axis] = sum(sizes)
    x = s.input(s.values(extents, dtype))
    if s.chance(0.5):
        s.results = s.node("Split", [x, s.constant(i64(sizes))], [True] * len(sizes), axis=axis)
    else:
        parts = s.integer(1, 3)
        s.results = s.node("Split", [x], [True] * parts, axis=axis, num_outputs=parts)


def gather(s):
    rank = s.integer(1, 4)
    x, value = operand(s, rank, 1)
    axis = axis_of(s, rank)
    extent = value.shape[axis]
    indices = s.rng.integers(-extent, extent, shape(s, s.integer(0, 2))).astype(s.pick([np.int64, np.int32]))
    s.results = [s.node("Gather", [x, s.tensor(indices)], axis=axis)]


def gather_elements(s):
    rank = s.integer(1, 4)
    x, value = operand(s, rank, 1)
    axis = axis_of(s, rank)
    extent = value.shape[axis]
    own = [s.integer(1, e) for e in value.shape]
    own[axis] = s.integer(1, 6)
    indices = s.rng.integers(-extent, extent, own).astype(s.pick([np.int64, np.int32]))
    s.results = [s.node("GatherElements", [x, s.tensor(indices)], axis=axis)]


def nd_indices(s, value, batch):
    depth = s.integer(1, value.ndim - batch)
    lead = list(value.shape[:batch]) + [s.integer(1, 4) for _ in range(s.integer(0, 2))]
    columns = [s.rng.integers(-e, e, lead) for e in value.shape[batch : batch + depth]]
    return np.stack(columns, -1).astype(np.int64)


def gather_nd(s):
    x, value = operand(s, s.integer(1, 4), 1)
    batch = s.integer(0, value.ndim - 1) if s.chance(0.4) else 0
    s.results = [s.node("GatherND", [x, s.tensor(nd_indices(s, value, batch))], batch_dims=batch)]


def scatter_elements(s):
    rank = s.integer(1, 4)
    x, value = operand(s, rank, 1, [np.float32, np.int64, np.int32])
    axis = axis_of(s, rank)
    extent = value.shape[axis]
    own = [s.integer(1, e) for e in value.shape]
    reduction = s.pick([None, None, "add", "mul", "max", "min"])
    # Without a reduction an index occurs once: the order is not defined.
    order = np.argsort(s.rng.random([own[i] if i != axis % rank else extent for i in range(rank)]), axis=axis)
    indices = np.take(order, range(own[axis]), axis=axis)
    if reduction:
        indices = s.rng.integers(-extent, extent, own)
    updates = s.values(own, value.dtype)
    s.results = [s.node("ScatterElements", [x, s.tensor(indices.astype(np.int64)), s.input(updates)], axis=axis, reduction=reduction)]


def scatter_nd(s):
    x, value = operand(s, s.integer(1, 3), 1, [np.float32, np.int64, np.int32])
    depth = s.integer(1, value.ndim)
    lead = value.shape[:depth]
    places = int(np.prod(lead))
    reduction = s.pick([None, None, "add", "mul", "max", "min"])
    count = s.integer(1, places)
    flat = s.rng.integers(0, places, count) if reduction else s.rng.permutation(places)[:count]
    indices = np.stack(np.unravel_index(flat, lead), -1).astype(np.int64)
    updates = s.values([count, *value.shape[depth:]], value.dtype)
    s.results = [s.node("ScatterND", [x, s.tensor(indices), s.input(updates)], reduction=reduction)]


def depth_space(op):
    def generate(s):
        block = s.integer(1, 3)
        n, c, h, w = s.integer(1, 2), s.integer(1, 4), s.integer(1, 4), s.integer(1, 4)
        extents = [n, c * block * block, h, w] if op == "DepthToSpace" else [n, c, h * block, w * block]
        mode = s.pick(["DCR", "CRD", None]) if op == "DepthToSpace" else None
        s.results = [s.node(op, [s.input(s.values(extents))], blocksize=block, mode=mode)]

    return generate


def flatten(s):
    x, value = operand(s, s.integer(1, 4))
    s.results = [s.node("Flatten", [x], axis=s.integer(-value.ndim, value.ndim))]


def trilu(s):
    x, value = operand(s, s.integer(2, 4), 1, [np.float32, np.int64, np.float64])
    k = s.constant(np.array(s.integer(-4, 4), np.int64)) if s.chance(0.6) else ""
    s.results = [s.node("Trilu", [x, k], upper=s.pick([0, 1, None]))]


def one_hot(s):
    depth = s.integer(1, 9)
    indices = s.rng.integers(-depth - 1, depth + 1, shape(s, s.integer(0, 2), 1)).astype(np.int64)
    values = s.constant(np.array([s.integer(-3, 0), s.integer(1, 4)], np.float32))
    s.results = [s.node("OneHot", [s.input(indices), s.constant(np.array(depth, np.int64)), values], axis=s.integer(-1, indices.ndim))]


def reverse_sequence(s):
    x, value = operand(s, s.integer(2, 4), 1, [np.float32, np.int64])
    time = s.pick([0, 1])
    lengths = s.rng.integers(1, value.shape[time] + 1, [value.shape[1 - time]]).astype(np.int64)
    s.results = [s.node("ReverseSequence", [x, s.tensor(lengths)], time_axis=time, batch_axis=1 - time)]


GENERATORS = {
    "Concat": concat,
    "Slice": slice_,
    "Pad": pad,
    "Transpose": transpose,
    "Reshape": reshape,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Tile": tile,
    "Split": split,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "DepthToSpace": depth_space("DepthToSpace"),
    "SpaceToDepth": depth_space("SpaceToDepth"),
    "Flatten": flatten,
    "Trilu": trilu,
    "OneHot": one_hot,
    "ReverseSequence": reverse_sequence,
}
