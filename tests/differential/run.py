#!/usr/bin/env python3
"""Compares Cameo with ONNX Runtime on random graphs.

    tests/differential/run.py [--ops LSTM,GRU] [--count 200] [--seed 1] [--only NUMBER] [--symbolic FORM] [--keep DIR]
                              [--cameo build/release/bin/cameo]

Graph `n` of seed `s` is always the same one. Prints one line per operator and one per mismatch, with the seed and number that
make it again, and the smallest graph that still shows it. Graphs that ONNX Runtime refuses are not counted; those that Cameo
does not support are counted apart. Exits with 1 when something differs. Needs the packages onnx and onnxruntime: without them it
says so and exits with 77.
"""
import argparse
import collections
import os
import pathlib
import shutil
import sys

try:
    import numpy
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import generators
import shrink
from case import Case, verdicts
from sketch import Sketch

FORMS = ("first", "extent", "own")


def make(op, seed, number, symbolic=None):
    sketch = Sketch(seed, number)
    generators.ALL[op](sketch)
    if symbolic:
        sketch.make_symbolic(sketch.pick(FORMS) if symbolic == "any" else symbolic)
    return Case(sketch.model(), sketch.feeds, sketch.more_feeds(), sketch.steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", help="comma separated; default: all")
    parser.add_argument("--count", type=int, default=200, help="graphs in all (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one graph")
    parser.add_argument("--symbolic", choices=(*FORMS, "any"), help="symbols for extents (Sketch.make_symbolic)")
    parser.add_argument("--keep", type=pathlib.Path, help="where graphs that differ are written, shrunk")
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--cameo", default=os.environ.get("CAMEO", root / "build/release/bin/cameo"))
    options = parser.parse_args()
    ops = options.ops.split(",") if options.ops else sorted(generators.ALL)
    if unknown := [op for op in ops if op not in generators.ALL]:
        parser.error(f"no generator for {', '.join(unknown)}; there are {', '.join(sorted(generators.ALL))}")
    numbers = [options.only] if options.only is not None else range(options.count)
    counts = collections.defaultdict(collections.Counter)
    reasons = collections.Counter()
    batch = []

    def flush():
        for (op, number, case), verdict in zip(batch, verdicts([b[2] for b in batch], options.cameo)):
            kind = verdict if verdict == "same" else "unsupported" if verdict.startswith("unsupported") else "different"
            counts[op][kind] += 1
            if kind == "unsupported":
                reasons[f"{op}: {verdict.rsplit(': ', 1)[-1]}"] += 1
            if kind != "different":
                continue
            print(f"seed {options.seed} graph {number} {op}: {verdict}")
            small = shrink.shrink(case, lambda c: verdicts([c], options.cameo)[0])
            print(shrink.describe(small))
            if options.keep:
                directory = options.keep / f"{op}_{options.seed}_{number}"
                shutil.rmtree(directory, ignore_errors=True)
                small.write(directory)
            sys.stdout.flush()
        batch.clear()

    for number in numbers:
        op = ops[number % len(ops)]
        case = make(op, options.seed, number, options.symbolic)
        if case.model is None:
            counts[op]["refused"] += 1
            continue
        batch.append((op, number, case))
        if len(batch) == 50:
            flush()
    if batch:
        flush()
    total = collections.Counter()
    for op in sorted(counts):
        total.update(counts[op])
        print(f"{op:24} " + ", ".join(f"{counts[op][k]} {k}" for k in ("same", "different", "unsupported", "refused") if counts[op][k]))
    for reason, times in reasons.most_common():
        print(f"unsupported {times}: {reason}")
    print(f"seed {options.seed}: " + ", ".join(f"{total[k]} {k}" for k in ("same", "different", "unsupported", "refused")))
    return 1 if total["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
