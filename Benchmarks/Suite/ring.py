"""Ring and token: `RingBenchmark` (Benchmarks/Ring) measures and judges, this passes on what it says."""

import re
import subprocess

from processes import BenchmarkError
from report import Table

LINE = re.compile(r"(?P<ratio>[0-9.]+) (\(goal (?P<goal>[0-9.]+)(?P<missed>, MISSED)?\))? ?(?P<name>.*): (?P<ours>[0-9.]+) ns / (?P<theirs>[0-9.]+) ns, median of")


def measure(options, progress):
    progress("ring and token")
    rounds = "5" if options.quick else "31"
    result = subprocess.run([options.tool("RingBenchmark"), rounds], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    found = [match for match in map(LINE.match, result.stdout.splitlines()) if match]
    # Status 1 says that a goal was missed, which the table shows.
    if not found or result.returncode not in (0, 1):
        raise BenchmarkError(f"RingBenchmark failed ({result.returncode}): {result.stderr[-300:]}")
    figures = [{"name": line["name"].strip(), "ratio": float(line["ratio"]), "goal": float(line["goal"]) if line["goal"] else None,
                "ns": [float(line["ours"]), float(line["theirs"])]} for line in found]
    rows = [(figure["name"], f"{figure['ratio']:.2f}", "" if figure["goal"] is None else f"{figure['goal']:.2f}",
             f"{figure['ns'][0]:.1f} ns / {figure['ns'][1]:.1f} ns") for figure in figures]
    return Table("Ring and token", ("compared", "ratio", "goal", "one / the other"), rows), figures
