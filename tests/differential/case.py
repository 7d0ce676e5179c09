"""A graph with its inputs, what ONNX Runtime makes of it, and how Cameo's results compare."""
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from sketch import typed

# Per dtype of a result: relative, and absolute as a part of the largest magnitude of the result.
TOLERANCE = {"float16": (5e-3, 5e-3), "bfloat16": (2e-2, 2e-2), "float32": (2e-4, 2e-5), "float64": (1e-9, 1e-10)}


def reference(model, feeds):
    """The results of ONNX Runtime without its own rewriting, or None where it refuses the model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, feeds)
    except Exception:  # whatever it says: there is nothing to compare with
        return None


class Case:
    """A model with the values of its inputs and what ONNX Runtime makes of them, in one run or more."""

    def __init__(self, model, feeds, others=(), steps=0):
        self.runs = []  # (values of the inputs, results)
        self.steps = steps  # by which integers may differ
        self.model = None
        for values in (feeds, *others):
            values = {i.name: values[i.name] for i in model.graph.input}
            expected = reference(model, values)
            if expected is None or not all(isinstance(v, np.ndarray) for v in expected):
                return
            self.runs.append((values, expected))
        self.model = typed(model, self.expected)

    @property
    def feeds(self):
        return self.runs[0][0]

    @property
    def expected(self):
        return self.runs[0][1]

    def write(self, directory):
        directory.mkdir(parents=True)
        (directory / "model.onnx").write_bytes(self.model.SerializeToString())
        for number, (feeds, expected) in enumerate(self.runs):
            data = directory / f"test_data_set_{number}"
            data.mkdir()
            for i, (name, value) in enumerate(feeds.items()):
                (data / f"input_{i}.pb").write_bytes(numpy_helper.from_array(value, name).SerializeToString())
            for i, (output, value) in enumerate(zip(self.model.graph.output, expected)):
                (data / f"output_{i}.pb").write_bytes(numpy_helper.from_array(value, output.name).SerializeToString())


def difference(ours, theirs, steps=0):
    """What is wrong with an output, in words; None: nothing."""
    if ours.dtype != theirs.dtype:
        return f"dtype {ours.dtype} instead of {theirs.dtype}"
    if ours.shape != theirs.shape:
        return f"shape {list(ours.shape)} instead of {list(theirs.shape)}"
    if ours.size == 0:
        return None
    if ours.dtype.name not in TOLERANCE:
        bad = ours != theirs if steps == 0 else np.abs(ours.astype(np.int64) - theirs.astype(np.int64)) > steps
    else:
        relative, absolute = TOLERANCE[ours.dtype.name]
        a, b = ours.astype(np.float64), theirs.astype(np.float64)
        finite = np.isfinite(b)
        scale = float(np.max(np.abs(b[finite]), initial=0))
        with np.errstate(invalid="ignore", over="ignore"):
            bad = ~(np.abs(a - b) <= relative * np.abs(b) + absolute * scale)
        bad &= ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not bad.any():
        return None
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{int(bad.sum())} of {bad.size} elements differ, first at {list(at)}: {ours[at]} instead of {theirs[at]}"


def verdicts(cases, cameo):
    """For each case `same`, `unsupported: why` or what is wrong."""
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        names = [f"case{i}" for i in range(len(cases))]
        for name, case in zip(names, cases):
            case.write(root / name)
        report = root / "report.json"
        command = [cameo, "test", "--jobs", "1", "--json", report, "--output-dir", root / "out", *(root / n for n in names)]
        run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if not report.exists():
            raise RuntimeError(f"cameo test made no report: {run.stderr.decode(errors='replace')[-500:]}")
        found = {c["name"]: c for c in json.loads(report.read_text())["cases"]}
        result = []
        for name, case in zip(names, cases):
            entry = found[name]
            outputs = [root / "out" / name / f"test_data_set_{number}" for number in range(len(case.runs))]
            if entry["status"] == "unsupported":
                result.append("unsupported: " + entry["reason"])
            elif not all(run.exists() for run in outputs):
                result.append(entry["reason"])
            else:
                problems = []
                for number, (run, (_, expected)) in enumerate(zip(outputs, case.runs)):
                    for i, theirs in enumerate(expected):
                        tensor = onnx.TensorProto.FromString((run / f"output_{i}.pb").read_bytes())
                        if problem := difference(numpy_helper.to_array(tensor), theirs, case.steps):
                            problems.append(f"run {number}, output {i}: {problem}")
                result.append("; ".join(problems) or "same")
        return result
