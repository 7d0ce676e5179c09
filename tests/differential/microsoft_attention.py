"""Attention of com.microsoft: masks of every form, past and present, packed and joined operands."""
import numpy as np
from microsoft_quantized import weights


def ms(s, op, inputs, outputs=1, **attributes):
    names = s.node(op, inputs, outputs, domain="com.microsoft", **attributes)
    s.results = [name for name in (names if isinstance(names, list) else [names]) if name]


def mask_of(s, b, t, keys):
    """None, or a mask of some form in which every query has a key. 0 is padding."""
    form = s.integer(0, 4)
    lengths = s.rng.integers(1, keys + 1, b).astype(np.int32)
    if form == 0:
        return ""
    if form == 1:
        return s.input(lengths)
    if form == 2:
        starts = np.array([s.integer(0, int(end) - 1) for end in lengths], np.int32)
        return s.input(np.concatenate([lengths, starts]))
    if form == 3:
        return s.input((np.arange(keys)[None, :] < lengths[:, None]).astype(np.int32))
    mask = (s.rng.random([b, t, keys]) < 0.7).astype(np.int32)
    mask[:, :, 0] = 1
    return s.input(mask)


def attention(s):
    b, t, heads, size, columns = s.integer(1, 3), s.pick([1, 2, 5, 9]), s.integer(1, 3), s.pick([2, 4, 8]), s.pick([4, 9, 16])
    past = s.pick([0, 0, 1, 4])
    v_size = size if past or s.chance(0.6) else s.pick([2, 4, 8])
    sizes = [heads * size, heads * size, heads * v_size]
    x = s.input(s.values([b, t, columns]))
    w = s.tensor(s.values([columns, sum(sizes)], np.float32, 0.5), 0.8)
    bias = s.tensor(s.values([sum(sizes)]), 0.8)
    keys = past + t
    mask = mask_of(s, b, t, keys)
    past_name = s.input(s.values([2, b, heads, past, size])) if past else ""
    added = s.input(s.values([s.pick([1, b]), s.pick([1, heads]), t, keys])) if not past and s.chance(0.4) else ""  # it refuses both
    wanted = [True, True] if past else 1
    ms(s, "Attention", [x, w, bias, mask, past_name, added], wanted, num_heads=heads, unidirectional=s.pick([0, 0, 1]),
       qkv_hidden_sizes=sizes if v_size != size or s.chance(0.3) else None, scale=s.pick([None, None, 0.3]), mask_filter_value=s.pick([None, -1e4, -50.0]))


def multi_head(s):
    b, t, heads, size = s.integer(1, 3), s.pick([1, 2, 5, 9]), s.integer(1, 3), s.pick([2, 4, 8])
    past = s.pick([0, 0, 1, 4])
    own = t if past else s.pick([t, 3, 7])
    v_size = size if past or s.chance(0.7) else s.pick([2, 4, 8])
    columns = heads * size
    form = "joined" if past else s.pick(["joined", "joined", "heads"])  # packed keys are not implemented there
    if form == "heads":
        key, value = s.input(s.values([b, heads, own, size])), s.input(s.values([b, heads, own, v_size]))
    else:
        key, value = s.input(s.values([b, own, columns])), s.input(s.values([b, own, heads * v_size]))
    query = s.input(s.values([b, t, columns]))
    bias = s.tensor(s.values([2 * columns + heads * v_size]), 0.7) if form == "joined" and s.chance(0.5) else ""
    keys = past + own
    mask = mask_of(s, b, t, keys)
    added = s.input(s.values([s.pick([1, b]), s.pick([1, heads]), t, keys])) if s.chance(0.3) else ""
    pasts = [s.input(s.values([b, heads, past, e])) for e in (size, v_size)] if past else ["", ""]
    ms(s, "MultiHeadAttention", [query, key, value, bias, mask, added, *pasts], [True, True, True] if past else 1, num_heads=heads,
       unidirectional=s.pick([0, 0, 1]) if own == t else 0, scale=s.pick([None, None, 0.3]))


def qattention(s):
    b, t, heads, size, columns = s.integer(1, 3), s.pick([1, 2, 5]), s.integer(1, 3), s.pick([2, 4, 8]), s.pick([4, 9, 16])
    total = 3 * heads * size
    x = s.input(s.rng.integers(0, 256, [b, t, columns]).astype(np.uint8))
    w_dtype = s.pick([np.uint8, np.int8])
    w = s.constant(weights(s, [columns, total], w_dtype))
    each = s.chance(0.4)
    w_scale = s.constant(s.rng.uniform(0.002, 0.01, [total] if each else []).astype(np.float32))
    w_zero = s.constant(s.rng.integers(0, 9, [total] if each else []).astype(w_dtype))
    past = s.pick([0, 0, 3])
    past_name = s.input(s.values([2, b, heads, past, size])) if past else ""
    mask = s.input(s.rng.integers(1, past + t + 1, b).astype(np.int32)) if s.chance(0.5) else ""
    ms(s, "QAttention", [x, w, s.constant(s.values([total])), s.constant(np.array(0.02, np.float32)), w_scale, mask, s.constant(np.array(s.integer(0, 255), np.uint8)), w_zero, past_name],
       [True, True] if past else 1, num_heads=heads, unidirectional=s.pick([0, 1]))


def group_query(s):
    """One step with a past, a prompt, or a part of a prompt; the valid part of the past may be shorter than its room."""
    b, groups, size = s.integer(1, 3), s.integer(1, 2), s.pick([16, 32])
    heads = groups * s.integer(1, 3)
    past, t = s.pick([(0, 1), (0, 5), (4, 1), (7, 1), (6, 3)])
    b = 1 if past and t > 1 else b
    total = past + t
    ragged = past and t == 1 and s.chance(0.4)
    lengths = s.rng.integers(2, total + 1, b) if ragged else np.full(b, total)
    q, k, v = s.values([b, t, heads * size]), s.values([b, t, groups * size]), s.values([b, t, groups * size])
    joined = [s.input(np.concatenate([q, k, v], 2)), "", ""] if s.chance(0.3) else [s.input(q), s.input(k), s.input(v)]
    pasts = [s.input(s.values([b, groups, past, size])) for _ in range(2)]
    sizes = [s.input((lengths - 1).astype(np.int32)), s.constant(np.array(total, np.int32))]
    rotates = s.chance(0.5)
    half = s.pick([size // 2, size // 4])
    caches = [s.constant(s.rng.uniform(-1, 1, [16, half]).astype(np.float32)) for _ in range(2)] if rotates else ["", ""]
    bias = s.input(s.values([s.pick([1, b]), s.pick([1, heads]), t, total])) if not ragged and s.chance(0.3) else ""
    sink = s.constant(s.values([heads])) if s.chance(0.3) else ""
    # What is in the present behind the end of a shorter sequence is nobody's.
    ms(s, "GroupQueryAttention", [*joined, *pasts, *sizes, *caches, "", bias, sink], 3, num_heads=heads, kv_num_heads=groups, do_rotary=int(rotates),
       rotary_interleaved=s.pick([0, 1]) if rotates else None, local_window_size=s.pick([None, None, 2, 5]), softcap=s.pick([None, None, 3.0]), scale=s.pick([None, 0.2]),
       smooth_softmax=s.pick([None, None, 1]) if not sink else None)
    if ragged:
        s.results = s.results[:1]


GENERATORS = {"ms.Attention": attention, "ms.MultiHeadAttention": multi_head, "ms.QAttention": qattention, "ms.GroupQueryAttention": group_query}
