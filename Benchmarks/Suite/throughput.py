"""What is not a point read after the other: pipelines, COPY, and connections, the router against PgBouncer in turns."""

import os
import re
import subprocess
import time

from cluster import ROWS, TABLE, pgbouncer, psql
from processes import BenchmarkError, CPUClock, run
from report import Table, median, microseconds

CLIENTS = 8
IN_PIPELINE = 20
COPY_ROWS = 500_000


def pipeline(same_key):
    key = f"\\set aid random(1, {ROWS})\n"
    read = "SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"
    return (key if same_key else "") + "\\startpipeline\n" + ("" if same_key else key).join([""] + [read] * IN_PIPELINE) + "\\endpipeline\n"


class Work:
    """One kind of work: does it once against a server; answers how many units of it were done, and in how many seconds."""

    def __init__(self, name, unit, action):
        self.name, self.unit, self.action = name, unit, action


def measure(demo, plain, options, folder, progress):
    seconds = 1 if options.quick else 4
    rounds = options.rounds or (3 if options.quick else 5)
    copied = os.path.join(folder, "copy.tsv")
    with open(copied, "w") as file:
        file.writelines(f"{aid}\t1\t{aid % 1000}\t{'x' * 40}\n" for aid in range(1, COPY_ROWS + 1))
    for dsn in (demo.dsn, plain):
        if dsn == demo.dsn:
            psql(dsn, "SELECT pgmosaic.shard_table('copied', 'aid')")
        psql(dsn, TABLE.replace("pgbench_accounts", "copied").replace(" PRIMARY KEY", ""))
    works = [
        Work(f"pipeline of {IN_PIPELINE} reads, one key", "reads", lambda dsn: _pgbench(dsn, folder, "one", pipeline(True), seconds, IN_PIPELINE)),
        Work(f"pipeline of {IN_PIPELINE} reads, any keys", "reads", lambda dsn: _pgbench(dsn, folder, "any", pipeline(False), seconds, IN_PIPELINE)),
        Work("COPY FROM STDIN", "rows", lambda dsn: _copy(dsn, "IN", copied)),
        Work("COPY TO STDOUT", "rows", lambda dsn: _copy(dsn, "OUT", copied)),
        Work("connections, SCRAM-SHA-256", "connections", lambda dsn: _connect(dsn, folder, seconds)),
    ]
    figures = []
    with pgbouncer(plain, folder, name="pgbouncer-scram", auth="scram-sha-256") as other:
        for work in works:
            progress(f"{work.name}, {rounds} rounds")
            sides = [("router", demo.router_pid, demo.dsn), ("pgbouncer", other.pid, other.password_dsn)]
            readings = {name: [] for name, _, _ in sides}
            for number in range(-1, rounds):
                for name, pid, dsn in sides if number % 2 else reversed(sides):
                    clock = CPUClock(pid)
                    count, elapsed = work.action(dsn)
                    if number >= 0:
                        readings[name].append((count / elapsed, clock.elapsed() / count))
            ratios = [[a[i] / b[i] for a, b in zip(readings["router"], readings["pgbouncer"])] for i in (0, 1)]
            figures.append({
                "work": work.name, "unit": work.unit, "rate_ratio": median(ratios[0]), "rate_ratio_min": min(ratios[0]), "rate_ratio_max": max(ratios[0]),
                "cpu_ratio": median(ratios[1]),
                **{name: {"per_second": median(r for r, _ in side), "cpu_us": median(c for _, c in side) * 1e6} for name, side in readings.items()}})
    return _table(figures, rounds), figures


def _pgbench(dsn, folder, name, script, seconds, factor):
    path = os.path.join(folder, f"pipeline-{name}.sql")
    with open(path, "w") as file:
        file.write(script)
    return _count(["pgbench", "-n", "-M", "extended", "-c", str(CLIENTS), "-j", "1", "-T", str(seconds), "-f", path, dsn], factor)


def _connect(dsn, folder, seconds):
    path = os.path.join(folder, "connect.sql")
    with open(path, "w") as file:
        file.write(f"\\set aid random(1, {ROWS})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n")
    return _count(["pgbench", "-n", "-C", "-c", str(CLIENTS), "-j", "1", "-T", str(seconds), "-f", path, dsn], 1)


def _count(command, factor):
    started = time.monotonic()
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    elapsed = time.monotonic() - started
    count = re.search(r"transactions actually processed: (\d+)", result.stdout)
    failed = re.search(r"failed transactions: (\d+)", result.stdout)
    if result.returncode != 0 or not count or (failed and int(failed[1])):
        raise BenchmarkError(f"pgbench failed: {(result.stderr or result.stdout).strip()[-600:]}")
    return int(count[1]) * factor, elapsed


def _copy(dsn, direction, path):
    """Into an empty table, or out of a full one."""
    if direction == "IN":
        psql(dsn, "TRUNCATE copied")
    started = time.monotonic()
    with open(path if direction == "IN" else os.devnull, "r") as source, open(os.devnull, "w") as sink:
        statement = "COPY copied FROM STDIN" if direction == "IN" else "COPY copied TO STDOUT"
        result = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", statement], stdin=source, stdout=sink, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        raise BenchmarkError(f"COPY failed: {result.stderr.strip()[-600:]}")
    return COPY_ROWS, time.monotonic() - started


def _table(figures, rounds):
    rows = []
    for cell in figures:
        sides = [cell["router"], cell["pgbouncer"]]
        rows.append((
            cell["work"], f"{cell['rate_ratio']:.2f}", f"{cell['rate_ratio_min']:.2f} to {cell['rate_ratio_max']:.2f}",
            " / ".join(f"{side['per_second']:,.0f}" for side in sides) + f" {cell['unit']}/s", f"{cell['cpu_ratio']:.2f}",
            " / ".join(microseconds(side["cpu_us"] / 1e6) for side in sides)))
    return Table(
        "Router / PgBouncer, throughput", ("work", "rate ratio", "range", "rates", "CPU ratio", "CPU a unit"), rows,
        [f"More is better for rates, less for CPU time; medians of {rounds} rounds, in turns; {CLIENTS} clients, one for COPY.",
         "The router splits COPY by key over four shards and joins it again; PgBouncer passes it on to one database."])
