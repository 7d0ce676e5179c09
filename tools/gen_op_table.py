#!/usr/bin/env python3
"""Writes src/frontend/op_table/: every version of every operator of the ONNX standard and of ONNX Runtime's own, one line per row.

The sources are the `onnx` Python package (onnx.defs), so the newest one knows the newest operators, and the schemas that
`onnxruntime` registers: the domain com.microsoft, and the operators that it puts into the standard's domain.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx onnxruntime
    /tmp/venv/bin/python tools/gen_op_table.py

The build does not run this script (it must not need a Python package): the written table is committed. The format is explained
at the head of types.def and decoded by src/frontend/op_table.cpp; a test there decodes every row.
"""
import pathlib
import re
import sys

import onnx
import onnxruntime
from onnx import defs
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.preview", "com.microsoft")
RUNTIME_OWN = {("", "LayerNormalization", 1), ("", "SimplifiedLayerNormalization", 1)}  # of ONNX Runtime in the standard's domain
DTYPES = {  # ONNX's name in type strings to TensorProto.DataType
    "float": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "string": 8, "bool": 9,
    "float16": 10, "double": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15, "bfloat16": 16,
    "float8e4m3fn": 17, "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20, "uint4": 21, "int4": 22,
    "float4e2m1": 23, "float8e8m0": 24, "uint2": 25, "int2": 26, "float6e2m3": 27, "float6e3m2": 28,
}
FORMS = (  # the four masks of a set of types
    re.compile(r"tensor\((\w+)\)"),
    re.compile(r"seq\(tensor\((\w+)\)\)"),
    re.compile(r"optional\(tensor\((\w+)\)\)"),
    re.compile(r"optional\(seq\(tensor\((\w+)\)\)\)"),
)
ATTRIBUTES = {"FLOAT": "f", "INT": "i", "STRING": "s", "TENSOR": "t", "GRAPH": "g", "SPARSE_TENSOR": "x",
              "TYPE_PROTO": "p", "FLOATS": "F", "INTS": "I", "STRINGS": "S"}

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "src/frontend/op_table"
FILES = {  # in the order of the rows: which of them, by domain and name
    "onnx_a_l.def": lambda s: s.domain == "" and s.name < "M",
    "onnx_m_z.def": lambda s: s.domain == "" and s.name >= "M",
    "onnx_ml.def": lambda s: s.domain.startswith("ai.onnx"),
    "onnxruntime.def": lambda s: s.domain == "com.microsoft",
}

ORIGIN = "// Written by tools/gen_op_table.py from onnx {version} (opset {opset}), onnxruntime {runtime}; do not edit.\n"
FORMAT = """\
//
// TYPES(id, tensor, sequence, optional, optional_sequence, maps): a set of types. The masks have bit n set for element type n of
// TensorProto.DataType, for tensor(T), seq(tensor(T)), optional(tensor(T)), optional(seq(tensor(T))).
// DOMAIN(domain, newest): the newest opset of a domain that the table knows.
// In the other files, OP(domain, name, since, deprecated, inputs, outputs, types, attributes):
//   inputs, outputs: `name:T` with `?` after the name when optional, `*n` when variadic of one type with at least n, `~n` when
//     each may have its own type; T is a type parameter, or a TYPES id after `#`
//   types: `T=id`
//   attributes: `name:kind`, then `=default` or `!` when it must be given; kinds f i s t g x p and F I S for lists
"""


class TypeSets:
    """Numbers the distinct sets of types in the order of their first use."""

    def __init__(self):
        self.ids = {}

    def id(self, type_strings):
        masks, maps = [0, 0, 0, 0], []
        for text in sorted(set(t.replace(" ", "") for t in type_strings)):
            for i, form in enumerate(FORMS):
                if match := form.fullmatch(text):
                    masks[i] |= 1 << DTYPES[match.group(1)]
                    break
            else:
                maps.append(text)
        return self.ids.setdefault((*masks, " ".join(maps)), len(self.ids))

    def lines(self):
        for (*masks, maps), number in self.ids.items():
            yield 'TYPES({}, {}, "{}")'.format(number, ", ".join(hex(m) for m in masks), maps)


def parameter(formal, sets):
    option = formal.option.name
    suffix = {"Single": "", "Optional": "?"}.get(option)
    if suffix is None:
        suffix = ("*" if formal.is_homogeneous else "~") + str(formal.min_arity)
    kind = "#{}".format(sets.id([formal.type_str])) if "(" in formal.type_str else formal.type_str
    name = re.sub(r"\W+", "", formal.name)
    return f"{name}{suffix}:{kind}"


def default_text(attribute):
    value = onnx.helper.get_attribute_value(attribute.default_value)

    def one(v):
        if isinstance(v, bytes):
            text = v.decode()
            assert " " not in text and "," not in text and '"' not in text, text
            return text
        return format(v, ".9g") if isinstance(v, float) else str(v)

    return ",".join(one(v) for v in value) if isinstance(value, (list, tuple)) else one(value)


def attribute(formal):
    text = f"{formal.name}:{ATTRIBUTES[formal.type.name]}"
    if formal.required:
        return text + "!"
    if formal.default_value.type == onnx.AttributeProto.UNDEFINED:
        return text
    return text + "=" + default_text(formal)


def row(s, sets):
    return 'OP("{}", "{}", {}, {}, "{}", "{}", "{}", "{}")'.format(
        s.domain, s.name, s.since_version, int(s.deprecated),
        " ".join(parameter(p, sets) for p in s.inputs),
        " ".join(parameter(p, sets) for p in s.outputs),
        " ".join(f"{t.type_param_str}={sets.id(t.allowed_type_strs)}" for t in s.type_constraints),
        " ".join(attribute(s.attributes[a]) for a in sorted(s.attributes)))


class RuntimeFormal:
    """A parameter of an ONNX Runtime schema as onnx.defs shows its own. It does not tell how many a variadic one needs at least."""

    def __init__(self, p):
        self.name, self.option, self.type_str, self.is_homogeneous, self.min_arity = p.name, p.option, p.typeStr, p.isHomogeneous, 1


class RuntimeAttribute:
    def __init__(self, a):
        self.name, self.type, self.required = a.name, a.type, a.required
        self.default_value = onnx.AttributeProto.FromString(a._default_value)


class RuntimeSchema:
    def __init__(self, s):
        self.domain, self.name, self.since_version, self.deprecated = s.domain, s.name, s.since_version, s.deprecated
        self.inputs, self.outputs = [RuntimeFormal(p) for p in s.inputs], [RuntimeFormal(p) for p in s.outputs]
        self.type_constraints = s.type_constraints
        self.attributes = {name: RuntimeAttribute(a) for name, a in s.attributes.items()}


def runtime_schemas():
    wanted = (s for s in get_all_operator_schema() if s.domain == "com.microsoft" or (s.domain, s.name, s.since_version) in RUNTIME_OWN)
    return [RuntimeSchema(s) for s in wanted]


def main():
    sets = TypeSets()
    origin = ORIGIN.format(version=onnx.__version__, opset=onnx.defs.onnx_opset_version(), runtime=onnxruntime.__version__)
    schemas = [s for s in defs.get_all_schemas_with_history() if s.domain in DOMAINS] + runtime_schemas()
    schemas.sort(key=lambda s: (DOMAINS.index(s.domain), s.name, s.since_version))
    for name, holds in FILES.items():
        (FOLDER / name).write_text(origin + "".join(row(s, sets) + "\n" for s in schemas if holds(s)))
    newest = {d: max(s.since_version for s in schemas if s.domain == d) for d in DOMAINS}
    newest[""] = onnx.defs.onnx_opset_version()
    domains = (f'DOMAIN("{d}", {newest[d]})' for d in DOMAINS)
    text = "\n".join(["#ifdef TYPES", *sets.lines(), "#endif", "#ifdef DOMAIN", *domains, "#endif", ""])
    (FOLDER / "types.def").write_text(origin + FORMAT + "\n" + text)


if __name__ == "__main__":
    sys.exit(main())
