"""pgbench with the point read, and what it says."""

import glob
import os
import re
import subprocess

from cluster import ROWS
from processes import BenchmarkError

SCRIPT = f"\\set aid random(1, {ROWS})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"
# A column's name is part of a statement's shape: next to no text comes twice. Only for `simple`, where pgbench writes values into the text.
NEW_TEXTS = f"\\set aid random(1, {ROWS})\n\\set n random(1, 1000000000)\nSELECT abalance AS c:n FROM pgbench_accounts WHERE aid = :aid;\n"


class Reading:
    """One run of pgbench: `count` transactions, latencies in milliseconds."""

    def __init__(self, count, seconds, latencies):
        self.count = count
        self.per_second = count / seconds
        latencies.sort()
        self.p50 = latencies[len(latencies) // 2]
        self.p99 = latencies[len(latencies) * 99 // 100]


def point_reads(dsn, mode, clients, seconds, folder, scripts=(SCRIPT,)):
    """Runs the point read, or `scripts` at random, and answers its `Reading`. A single failed statement is an error."""
    files = []
    for number, text in enumerate(scripts):
        files += ["-f", os.path.join(folder, f"point-read-{number}.sql")]
        with open(files[-1], "w") as file:
            file.write(text)
    prefix = os.path.join(folder, "latencies")
    command = ["pgbench", "-n", "-M", mode, "-c", str(clients), "-j", "1", "-T", str(seconds), *files,
               "--log", "--log-prefix", prefix, dsn]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        latencies = [int(line.split()[2]) / 1000 for name in glob.glob(prefix + ".*") for line in open(name)]
    finally:
        for name in glob.glob(prefix + ".*"):
            os.remove(name)
    count = re.search(r"transactions actually processed: (\d+)", result.stdout)
    failed = re.search(r"failed transactions: (\d+)", result.stdout)
    rate = re.search(r"tps = ([0-9.]+)", result.stdout)
    if result.returncode != 0 or not count or not rate or (failed and int(failed[1])):
        raise BenchmarkError(f"pgbench failed: {(result.stderr or result.stdout).strip()[-600:]}")
    return Reading(int(count[1]), int(count[1]) / float(rate[1]), latencies)
