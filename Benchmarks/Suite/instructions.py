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
# A mode beyond its threshold is counted so often; the least counts. What a busy machine adds differs each time, what a change adds does not.
ATTEMPTS = 3
IDLE_SECONDS = 5
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
        # Every connection that is made, and none that counts.
        _point_reads(dsn, "simple", FEW, folder)
        idle = _idle(child, prefix, progress)
        for mode in MODES:
            for attempt in range(1, ATTEMPTS + 1):
                progress(f"instructions of {queries} queries, {mode}" + (f", attempt {attempt} of {ATTEMPTS}" if attempt > 1 else ""))
                counts = _of_a_query(child, prefix, dsn, mode, queries, idle, folder)
                figures[mode] = {name: min(count, figures[mode][name]) for name, count in counts.items()} if attempt > 1 else counts
                if not options.check or not failures({mode: figures[mode]}):
                    break
    return _table(figures, queries), figures


def failures(figures):
    """What is beyond its threshold, a line each."""
    with open(THRESHOLDS) as file:
        thresholds = json.load(file)["per_query"]
    return [f"{mode}: {figures[mode][name]:,.1f} {name} a query, the threshold is {limit:,.1f}"
            for mode, limits in thresholds.items() if mode in figures for name, limit in limits.items() if figures[mode][name] > limit]


def _tool(name, package):
    path = shutil.which(name)
    if path is None:
        raise BenchmarkError(f"{name} is not installed (Debian package {package})")
    return path


def _point_reads(dsn, mode, count, folder):
    script = os.path.join(folder, "counted.sql")
    with open(script, "w") as file:
        file.write(f"\\set aid random(1, {ROWS})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n")
    output = run(["pgbench", "-n", "-M", mode, "-c", "1", "-t", str(count), "-f", script, dsn], "pgbench", timeout=600)
    if f"actually processed: {count}/{count}" not in output:
        raise BenchmarkError("pgbench did not run all of its queries: " + output[-300:])


def _of_a_query(child, prefix, dsn, mode, queries, idle, folder):
    """What one more query costs. A connection is in both counts; timers, which fire more often the longer a run takes, are taken out."""
    # Plans, caches and backends are made before anything counts.
    _point_reads(dsn, mode, FEW, folder)
    _dump(child, prefix)
    few, many = (_counted(child, prefix, dsn, mode, count, folder) for count in (FEW, FEW + queries))
    return {name: (many[name] - few[name] - idle[name] * (many["seconds"] - few["seconds"])) / queries for name in idle}


def _idle(child, prefix, progress):
    """What is counted in a second in which nobody asks for anything."""
    progress("instructions of an idle router")
    _dump(child, prefix)
    start = time.monotonic()
    time.sleep(IDLE_SECONDS)
    counts = _dump(child, prefix)
    return {name: count / (time.monotonic() - start) for name, count in counts.items()}


def _counted(child, prefix, dsn, mode, count, folder):
    start = time.monotonic()
    _point_reads(dsn, mode, count, folder)
    counts = _dump(child, prefix)
    if not counts["allocations"]:
        raise BenchmarkError("callgrind saw no call of malloc, though a connection makes some: are the functions' names not there?")
    return {**counts, "seconds": time.monotonic() - start}


def _dump(child, prefix):
    """What was counted since the last time, of the thread that did most: the event loop."""
    for name in glob.glob(prefix + "*"):
        os.remove(name)
    # Behind the last answer the loop lets go of the connection.
    time.sleep(1)
    run([_tool("callgrind_control", "valgrind"), "--dump", str(child.pid)], "callgrind_control", timeout=120)
    files = wait_until(lambda: glob.glob(prefix + ".*-*"), child, "callgrind's file", limit=120)
    return max((_count(name) for name in files), key=lambda counts: counts["instructions"])


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
