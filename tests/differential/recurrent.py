"""LSTM, GRU and RNN with everything that their attributes and optional operands allow."""
import numpy as np

# What ONNX Runtime reads alpha or beta for, and values that keep a sequence bounded.
ACTIVATIONS = {
    "Sigmoid": (None, None),
    "Tanh": (None, None),
    "Relu": (None, None),
    "Affine": (0.7, 0.1),
    "LeakyRelu": (0.05, None),
    "ThresholdedRelu": (0.2, None),
    "ScaledTanh": (0.9, 0.8),
    "HardSigmoid": (0.25, 0.4),
    "Elu": (0.6, None),
    "Softsign": (None, None),
    "Softplus": (None, None),
}

# Of gates that multiply a state: others let it grow until ONNX Runtime's Softplus is not a number.
BOUNDED = ["Sigmoid", "Tanh", "HardSigmoid", "Softsign", "ScaledTanh"]


def recurrent(s, op):
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    hidden = s.pick([1, 2, 3, 4, 7, 8, 16, 20, 31, 48])
    size = s.pick([1, 2, 3, 5, 8, 17])
    steps = s.pick([1, 1, 2, 3, 5, 9])
    batch = s.pick([1, 1, 2, 3, 4, 7, 13])
    direction = s.pick(["forward", "reverse", "bidirectional"])
    directions = 2 if direction == "bidirectional" else 1
    dtype = np.float32
    scale = 0.5 / np.sqrt(hidden)
    attributes = {"hidden_size": hidden, "direction": direction}
    # ONNX Runtime has no batchwise layout.
    x = s.input(s.values([steps, batch, size], dtype), [s.pick([None, "seq"]), s.pick([None, "batch"]), None])
    constant = 0.8
    w = s.tensor(s.values([directions, gates * hidden, size], dtype, scale), constant)
    r = s.tensor(s.values([directions, gates * hidden, hidden], dtype, scale), constant)
    b = s.tensor(s.values([directions, 2 * gates * hidden], dtype, 0.3), constant) if s.chance(0.6) else ""
    # After 0 steps the last state is the first one here, and 0 in ONNX Runtime 1.30; ONNX does not say.
    lengths = s.tensor(s.rng.integers(1, steps + 1, [batch]).astype(np.int32), 0.3) if s.chance(0.35) else ""
    h0 = s.tensor(s.values([directions, batch, hidden], dtype), 0.3) if s.chance(0.5) else ""
    operands = [x, w, r, b, lengths, h0]
    if op == "LSTM":
        operands.append(s.tensor(s.values([directions, batch, hidden], dtype), 0.3) if s.chance(0.5) else "")
        operands.append(s.tensor(s.values([directions, 3 * hidden], dtype, 0.3), constant) if s.chance(0.3) else "")
        if s.chance(0.2):
            attributes["input_forget"] = 1
    if op == "GRU" and s.chance(0.6):
        attributes["linear_before_reset"] = 1
    if s.chance(0.2):
        attributes["clip"] = float(s.pick([0.1, 0.5, 2.0]))
    if s.chance(0.4):
        count = {"LSTM": 3, "GRU": 2, "RNN": 1}[op]
        gate = BOUNDED if op != "RNN" else sorted(ACTIVATIONS)
        names = [s.pick(gate if i % count == 0 else sorted(ACTIVATIONS)) for i in range(count * directions)]
        attributes["activations"] = names
        for i, attribute in enumerate(["activation_alpha", "activation_beta"]):
            values = [ACTIVATIONS[name][i] for name in names if ACTIVATIONS[name][i] is not None]
            if values:
                attributes[attribute] = values
    count = 3 if op == "LSTM" else 2
    wanted = [s.chance(0.7) for _ in range(count)]
    if not any(wanted):
        wanted[s.integer(0, count - 1)] = True
    names = s.node(op, operands, wanted, **attributes)
    s.results = [name for name in names if name]


GENERATORS = {op: (lambda s, op=op: recurrent(s, op)) for op in ("LSTM", "GRU", "RNN")}
