"""Makes a graph that differs smaller, as long as it keeps differing.

Each step proposes a model that is simpler than the last: one output instead of several, a node replaced by an input that holds its
value, an optional operand or an attribute less. ONNX Runtime has to accept the proposal, and the verdict on it has to be a difference
again (of whatever kind).
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper

from case import Case, reference


def copy_of(model):
    return onnx.ModelProto.FromString(model.SerializeToString())


def pruned(model):
    """Without the nodes, initializers and inputs that no output needs."""
    model = copy_of(model)
    needed = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if any(name in needed for name in node.output if name):
            kept.append(node)
            needed.update(node.input)
            for attribute in node.attribute:  # bodies read values of the graph around them
                if attribute.type == onnx.AttributeProto.GRAPH:
                    needed.update(name for inner in attribute.g.node for name in inner.input)
    kept = [copy_node(node) for node in reversed(kept)]
    inputs = [i for i in model.graph.input if i.name in needed]
    constants = [i for i in model.graph.initializer if i.name in needed]
    outputs = list(model.graph.output)
    graph = helper.make_graph(kept, "g", inputs, outputs, constants)
    result = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    return result


def copy_node(node):
    result = onnx.NodeProto()
    result.CopyFrom(node)
    return result


def proposals(case):
    """Pairs of a model and the values of its inputs, simplest first."""
    model, feeds = case.model, case.feeds
    if len(model.graph.output) > 1:
        for output in model.graph.output:
            smaller = copy_of(model)
            del smaller.graph.output[:]
            smaller.graph.output.append(output)
            yield pruned(smaller), feeds
    produced = {name: node for node in model.graph.node for name in node.output if name}
    results = {output.name for output in model.graph.output}
    # The value between two nodes as the result, or as an input.
    inner = [name for name in produced if name not in results]
    for name in inner:
        smaller = copy_of(model)
        del smaller.graph.output[:]
        smaller.graph.output.append(onnx.ValueInfoProto(name=name))
        yield pruned(smaller), feeds
    if inner:
        full = copy_of(model)
        full.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
        values = reference(full, feeds)
        if values is not None:
            for name, value in zip(inner, values[len(model.graph.output):]):
                if not isinstance(value, np.ndarray):
                    continue
                smaller = copy_of(model)
                for node in smaller.graph.node:
                    for i, output in enumerate(node.output):
                        if output == name:
                            node.output[i] = name + "_unused"
                dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
                smaller.graph.input.append(helper.make_tensor_value_info(name, dtype, value.shape))
                yield pruned(smaller), {**feeds, name: value}
    for at, node in enumerate(model.graph.node):
        for i, name in enumerate(node.input):
            if name:
                smaller = copy_of(model)
                smaller.graph.node[at].input[i] = ""
                yield pruned(smaller), feeds
        for attribute in node.attribute:
            smaller = copy_of(model)
            kept = [a for a in smaller.graph.node[at].attribute if a.name != attribute.name]
            del smaller.graph.node[at].attribute[:]
            smaller.graph.node[at].attribute.extend(kept)
            yield smaller, feeds
    if any(d.dim_param for i in model.graph.input for d in i.type.tensor_type.shape.dim):
        smaller = copy_of(model)
        for i in smaller.graph.input:
            dtype = i.type.tensor_type.elem_type
            i.CopyFrom(helper.make_tensor_value_info(i.name, dtype, feeds[i.name].shape))
        yield smaller, feeds


def shrink(case, verdict):
    """The smallest case that `verdict` still finds different."""
    budget = 60
    progress = True
    while progress and budget > 0:
        progress = False
        for model, feeds in proposals(case):
            if budget == 0:
                break
            # The other runs as well, where the proposal has the inputs that they know.
            others = [values for values, _ in case.runs[1:] if all(i.name in values for i in model.graph.input)]
            try:
                smaller = Case(model, feeds, others, case.steps)
            except Exception:  # a proposal that is no model at all
                continue
            if smaller.model is None or len(smaller.model.SerializeToString()) >= len(case.model.SerializeToString()):
                continue
            budget -= 1
            found = verdict(smaller)
            if found == "same" or found.startswith("unsupported"):
                continue
            case = smaller
            progress = True
            break
    case.verdict = verdict(case)
    return case


def describe(case):
    """The graph in a few lines."""
    lines = [f"  {case.verdict}"]
    for name, value in case.feeds.items():
        dims = [i for i in case.model.graph.input if i.name == name][0].type.tensor_type.shape.dim
        shape = ", ".join(d.dim_param or str(d.dim_value) for d in dims)
        lines.append(f"  input {name}: {value.dtype}[{shape}]{small(value)}")
    for constant in case.model.graph.initializer:
        value = numpy_helper.to_array(constant)
        lines.append(f"  constant {constant.name}: {value.dtype}{list(value.shape)}{small(value)}")
    for node in case.model.graph.node:
        attributes = ", ".join(f"{a.name}={helper.get_attribute_value(a)!r}" for a in node.attribute)
        lines.append(f"  {', '.join(node.output)} = {node.op_type}({', '.join(node.input)}) {attributes}")
    return "\n".join(lines)


def small(value):
    return f" = {value.tolist()}" if value.size <= 8 else ""
