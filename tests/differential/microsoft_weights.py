"""Weights of com.microsoft in few bits, and its small operators."""
import numpy as np
from elementwise import shape


def ms(s, op, inputs, outputs=1, **attributes):
    names = s.node(op, inputs, outputs, domain="com.microsoft", **attributes)
    s.results = [name for name in (names if isinstance(names, list) else [names]) if name]


def matmul_nbits(s):
    bits, block = s.pick([4, 4, 8]), s.pick([16, 32, 64])
    k, n = s.pick([16, 32, 48, 64, 100, 129]), s.pick([1, 4, 16, 33])
    blocks = -(-k // block)
    lead = [s.integer(1, 4) for _ in range(s.integer(1, 2))]
    a = s.input(s.values([*lead, k]))
    b = s.constant(s.rng.integers(0, 256, [n, blocks, block * bits // 8]).astype(np.uint8))
    scales = s.constant(s.rng.uniform(0.01, 0.1, [n, blocks]).astype(np.float32))
    form = s.integer(0, 2)
    zero = ""
    if form == 1:
        zero = s.constant(s.rng.integers(0, 256, [n, -(-blocks * bits // 8)]).astype(np.uint8))
    if form == 2 and bits == 4:
        zero = s.constant(s.rng.uniform(0, 15, [n, blocks]).astype(np.float32))
    bias = s.constant(s.values([n])) if s.chance(0.3) else ""
    ms(s, "MatMulNBits", [a, b, scales, zero, "", bias], K=k, N=n, bits=bits, block_size=block)


def gather_blocks(s):
    block = s.pick([16, 32])
    rows, columns = s.integer(2, 9), s.pick([32, 64, 48])
    blocks = -(-columns // block)
    bits = s.pick([4, 8])
    data = s.constant(s.rng.integers(0, 256, [rows, columns * bits // 8]).astype(np.uint8))
    scales = s.constant(s.rng.uniform(0.01, 0.1, [rows, blocks]).astype(np.float32))
    zero = s.constant(s.rng.integers(0, 256, [rows, -(-blocks * bits // 8)]).astype(np.uint8)) if s.chance(0.5) else ""
    indices = s.input(s.rng.integers(0, rows, shape(s, s.integer(0, 2), 1)).astype(s.pick([np.int32, np.int64])))
    ms(s, "GatherBlockQuantized", [data, indices, scales, zero], bits=bits, block_size=block, gather_axis=0, quantize_axis=1)


def expand_dims(s):
    extents = shape(s)
    axis = np.array(s.integer(-len(extents) - 1, len(extents)), np.int32)
    ms(s, "ExpandDims", [s.input(s.values(extents)), s.constant(axis)])


def cdist(s):
    m, k, columns = s.pick([1, 3, 17]), s.pick([1, 5, 16]), s.pick([1, 4, 33])
    dtype = s.pick([np.float32, np.float64])
    ms(s, "CDist", [s.input(s.values([m, columns], dtype)), s.input(s.values([k, columns], dtype))], metric=s.pick(["euclidean", "sqeuclidean"]))


def unique(s):
    ms(s, "Unique", [s.input(s.rng.integers(0, 6, [s.integer(1, 20)]).astype(np.float32))], 3)


def trilu(s):
    extents = shape(s, s.integer(2, 4))
    k = s.tensor(np.array(s.integer(-3, 3), np.int64)) if s.chance(0.6) else ""
    ms(s, "Trilu", [s.input(s.values(extents)), k], upper=s.pick([0, 1, None]))


GENERATORS = {"ms.MatMulNBits": matmul_nbits, "ms.GatherBlockQuantized": gather_blocks, "ms.ExpandDims": expand_dims, "ms.CDist": cdist, "ms.Unique": unique, "ms.Trilu": trilu}
