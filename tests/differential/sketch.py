"""A random graph under construction: names, inputs with their values, constants, nodes.

A generator is a function `make(sketch)` that adds nodes and says which values are results. All randomness comes from
`sketch.rng`, which is seeded with (seed, number of the graph): the same pair makes the same graph.
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21


class Sketch:
    def __init__(self, seed, number):
        self.rng = np.random.default_rng([seed, number])
        self.opset = OPSET
        self.feeds = {}  # input name -> value
        self.symbols = {}  # input name -> per axis None or the name of a symbol
        self.constants = {}
        self.nodes = []
        self.results = []
        self.others = []  # extents of the symbols, by name, in runs besides the first
        self.steps = 0  # how far integer results may be off: quantised ones that were a tie, or nearly
        self._count = 0

    def again(self):
        """Forgets what was built; the random numbers go on."""
        self.feeds, self.symbols, self.constants, self.nodes, self.results, self.others = {}, {}, {}, [], [], []
        return self

    # Choices.

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def integer(self, low, high):
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    def values(self, shape, dtype=np.float32, scale=1.0):
        dtype = np.dtype(dtype)
        if dtype == np.bool_:
            return self.rng.integers(0, 2, shape).astype(np.bool_)
        if dtype.kind in "iu":
            low = 0 if dtype.kind == "u" else -20
            return self.rng.integers(low, 21, shape).astype(dtype)
        return (self.rng.standard_normal(shape) * scale).astype(dtype)

    # Building. A name of "" is an absent operand.

    def name(self, prefix="v"):
        self._count += 1
        return f"{prefix}{self._count}"

    def input(self, value, symbols=None):
        name = self.name("x")
        self.feeds[name] = np.array(value, order="C")
        self.symbols[name] = symbols or [None] * np.ndim(value)
        return name

    def constant(self, value):
        name = self.name("c")
        self.constants[name] = np.array(value, order="C")
        return name

    def tensor(self, value, constant=0.5):
        """An initializer or an input."""
        return self.constant(value) if self.chance(constant) else self.input(value)

    def node(self, op, inputs, outputs=1, domain="", **attributes):
        """Adds a node; `outputs` is their number, or a list of bools: which are wanted. Gives the name, or the list of names."""
        wanted = [True] * outputs if isinstance(outputs, int) else outputs
        names = [self.name() if want else "" for want in wanted]
        while names and not names[-1]:
            names.pop()
        inputs = list(inputs)
        while inputs and not inputs[-1]:
            inputs.pop()
        attributes = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, name=self.name("n"), **attributes))
        return names[0] if isinstance(outputs, int) and outputs == 1 else names

    def make_symbolic(self, form):
        """Symbols for the inputs' extents: `first` on axis 0 alone, `extent` one for all axes of an extent, `own` one per axis."""
        for name, value in self.feeds.items():
            for axis, extent in enumerate(value.shape):
                shared = f"d{extent}"
                symbol = {"first": shared if axis == 0 else None, "extent": shared, "own": f"{name}_{axis}"}[form]
                self.symbols[name][axis] = self.symbols[name][axis] or symbol

    def more_feeds(self):
        """The values of the inputs in each of the other runs."""
        runs = []
        for extents in self.others:
            feeds = {}
            for name, value in self.feeds.items():
                shape = [extents.get(symbol, e) for symbol, e in zip(self.symbols[name], value.shape)]
                feeds[name] = self.values(shape, value.dtype)
            runs.append(feeds)
        return runs

    def model(self):
        inputs = []
        for name, value in self.feeds.items():
            shape = [symbol or extent for symbol, extent in zip(self.symbols[name], value.shape)]
            inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), shape))
        outputs = [onnx.ValueInfoProto(name=name) for name in self.results]
        initializers = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, initializers)
        opsets = [helper.make_opsetid("", self.opset)]
        if any(node.domain for node in self.nodes):
            opsets.append(helper.make_opsetid("com.microsoft", 1))
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def typed(model, results):
    """The model with the dtypes and ranks of its outputs, from their values."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for output, value in zip(model.graph.output, results):
        shape = [None] * np.ndim(value)
        dtype = helper.np_dtype_to_tensor_dtype(value.dtype) if value.dtype != object else TensorProto.STRING
        output.CopyFrom(helper.make_tensor_value_info(output.name, dtype, shape))
    return model
