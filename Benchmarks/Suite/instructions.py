"""Instructions and allocations of a query on the router's event loop, counted by callgrind.

Counts, not times: they do not depend on what else the machine does, so a checked-in threshold can tell a regression from a busy machine.
"""

import glob
import json
import os
import shutil
import time

from cluster import ROWS, router
from processes import BenchmarkError, run, wait_until
from report import Table

MODES = ["simple", "extended", "prepared"]
THRESHOLDS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "thresholds.json")
FEW = 200
# What the C library is asked for: Swift's objects, buffers and closures all end there.
ALLOCATORS = {"malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"}


def measure(demo, options, folder, progress):
    """The counts of each mode, with one client: its queries one after the other, each with reads and writes of its own."""
    queries = 1000 if options.quick else 4000
    figures = {}
    # Reading the debug information of a release build takes callgrind minutes; the names of functions are enough.
    program = os.path.join(folder, "pgmosaic-counted")
    run([_tool("objcopy", "binutils"), "--strip-debug", options.program, program], "objcopy")
    prefix = os.path.join(folder, "callgrind.out")
    callgrind = [_tool("valgrind", "valgrind"), "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={prefix}"]
    progress("starting a router under callgrind")
    with router(demo, program, folder, "counted", loops=1, wrapper=callgrind, limit=300) as (child, dsn):
        for mode in MODES:
            progress(f"instructions of {queries} queries, {mode}")
            # Plans, caches and backends are made before anything counts.
            _point_reads(dsn, mode, FEW, folder)
            _dump(child, prefix)
            few, many = (_counted(child, prefix, dsn, mode, count, folder) for count in (FEW, FEW + queries))
            # What a connection costs is in both.
            figures[mode] = {name: (many[name] - few[name]) / queries for name in many}
    return _table(figures, queries), figures


def failures(figures):
    """What is beyond its threshold, a line each."""
    with open(THRESHOLDS) as file:
        thresholds = json.load(file)["per_query"]
    return [f"{mode}: {figures[mode][name]:,.1f} {name} a query, the threshold is {limit:,.1f}"
            for mode, limits in thresholds.items() for name, limit in limits.items() if figures[mode][name] > limit]


def _tool(name, package):
    path = shutil.which(name)
    if path is None:
        raise BenchmarkError(f"{name} is not installed (Debian package {package})")
    return path


def _point_reads(dsn, mode, count, folder):
    script = os.path.join(folder, "counted.sql")
    with open(script, "w") as file:
        file.write(f"\\set aid random(1, {ROWS})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n")
    output = run(["pgbench", "-n", "-M", mode, "-c", "1", "-t", str(count), "-f", script, dsn], "pgbench")
    if f"actually processed: {count}/{count}" not in output:
        raise BenchmarkError("pgbench did not run all of its queries: " + output[-300:])


def _counted(child, prefix, dsn, mode, count, folder):
    _point_reads(dsn, mode, count, folder)
    return _dump(child, prefix)


def _dump(child, prefix):
    """What was counted since the last time, of the thread that did most: the event loop."""
    for name in glob.glob(prefix + "*"):
        os.remove(name)
    # Behind the last answer the loop lets go of the connection.
    time.sleep(1)
    run([_tool("callgrind_control", "valgrind"), "--dump", str(child.pid)], "callgrind_control")
    files = wait_until(lambda: glob.glob(prefix + ".*-*"), child, "callgrind's file", limit=60)
    counts = max((_count(name) for name in files), key=lambda counts: counts["instructions"])
    return counts


def _count(name):
    """The instructions of a callgrind file, and the calls of the allocators."""
    instructions, allocations, names, called = 0, 0, {}, None
    with open(name, errors="replace") as file:
        for line in file:
            if line.startswith("cfn="):
                number, _, text = line[4:].rstrip("\n").partition(" ")
                if text:
                    names[number] = text
                called = names.get(number, number)
            elif line.startswith("fn="):
                number, _, text = line[3:].rstrip("\n").partition(" ")
                if text:
                    names[number] = text
            elif line.startswith("calls=") and called in ALLOCATORS:
                allocations += int(line[6:].split()[0])
            elif line.startswith(("totals:", "summary:")):
                instructions = max(instructions, int(line.split()[1]))
    return {"instructions": instructions, "allocations": allocations}


def _table(figures, queries):
    with open(THRESHOLDS) as file:
        thresholds = json.load(file)["per_query"]
    rows = [(mode, f"{counts['instructions']:,.0f}", f"{thresholds[mode]['instructions']:,.0f}", f"{counts['allocations']:.1f}",
             f"{thresholds[mode]['allocations']:.1f}") for mode, counts in figures.items()]
    return Table("Instructions and allocations of a query", ("mode", "instructions", "threshold", "allocations", "threshold"), rows,
                 [f"User code of the router's event loop, a point read by key over four shards, one client, {queries} queries (callgrind)."])
