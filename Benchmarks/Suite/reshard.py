"""Cutovers under load: vnodes go from one shard to another and back while pgbench writes; how long writes waited, and that none failed."""

import glob
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request

from cluster import ROWS, psql
from processes import BenchmarkError
from report import Table

CUTOVERS, QUICK_CUTOVERS = 20, 4
CLIENTS = 8
VNODES = 64
# Of load for each cutover.
SECONDS = 10
# Updates a second; None: as many as the machine gives.
RATES = [None, 2000]
SCRIPT = f"\\set aid random(1, {ROWS})\nUPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;\n"


class Manager:
    def __init__(self, url):
        self.base = url

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.base + "/api/v1/" + path, method=method, data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise BenchmarkError(f"{method} {path}: {error.code} {error.read().decode()[:400]}")

    def wait(self, job, wanted, limit=300):
        until = time.monotonic() + limit
        while time.monotonic() < until:
            found = self.call("GET", f"reshard/jobs/{job}")
            if found["status"] == "failed":
                raise BenchmarkError(f"job {job} failed: {found}")
            if wanted(found):
                return found
            time.sleep(0.05)
        raise BenchmarkError(f"job {job} did not come so far in {limit} s: {found}")


def measure(demo, options, folder, progress):
    rows, notes, figures = [], [], {}
    for rate in RATES:
        found = _measure(demo, options, folder, progress, rate)
        figures[f"at_{rate}" if rate else "at_most"] = found
        load = f"{found['updates_per_second']:.0f}"
        rows += [(load, "hold to switch, as the manager measures", *spread(found["pauses_ms"])), (load, "longest update of a cutover's job", *spread(found["stalls_ms"]))]
        notes.append(f"{CLIENTS} clients, {load} updates/s: {found['updates']} updates, 0 failed, none lost or doubled; attempts given up: {found['given_up']}")
    count = len(figures["at_most"]["pauses_ms"])
    return Table(f"{count} cutovers of {VNODES} of 1024 vnodes", ("updates/s", "what", "median ms", "p95 ms", "worst ms"), rows, notes), figures


def _measure(demo, options, folder, progress, wanted):
    count = QUICK_CUTOVERS if options.quick else CUTOVERS
    manager = Manager(demo.manager_url)
    shards = [shard["id"] for shard in demo.shards[:2]]
    moved = sorted(manager.call("GET", f"shards/{shards[0]}")["vnodes"], key=lambda vnode: vnode["id"])[:VNODES]
    ids = [vnode["id"] for vnode in moved]
    before = total(demo)
    script = os.path.join(folder, "update.sql")
    with open(script, "w") as file:
        file.write(SCRIPT)
    prefix = os.path.join(folder, "updates")
    # pgbench tells its figures only when its time is over.
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", *(["-R", str(wanted)] if wanted else []), "-T", str(SECONDS * count), "-f", script, "--log", "--log-prefix", prefix, demo.dsn]
    pauses, windows, given_up = [], [], 0
    load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(3)
        for number in range(count):
            if load.poll() is not None:
                raise BenchmarkError(f"pgbench ended before cutover {number + 1}: {load.stderr.read()[-600:]}")
            progress(f"reshard: cutover {number + 1} of {count}")
            source, target = shards if number % 2 == 0 else shards[::-1]
            began = time.time()
            job = manager.call("POST", "reshard/move", {"vnodes": ids, "source": source, "target": target})["id"]
            done = manager.wait(job, lambda found: found["status"] == "completed")
            windows.append((began, time.time()))
            pauses.append(done["pause_ms"])
            given_up += done.get("attempts_abandoned") or 0
            manager.call("POST", f"reshard/jobs/{job}/finish")
            manager.wait(job, lambda found: found["step"] == "over")
        progress("reshard: the rest of pgbench's time")
        ends = pgbench_figures(load, prefix, SECONDS * count + 60)
    finally:
        load.kill()
    after = total(demo)
    if after - before != len(ends):
        raise BenchmarkError(f"{len(ends)} updates were acknowledged, and the rows tell of {after - before}")
    stalls = [max(latency for at, latency in ends if began <= at <= ended) for began, ended in windows]
    rate = len(ends) / (ends[-1][0] - ends[0][0])
    return {"pauses_ms": pauses, "stalls_ms": stalls, "updates_per_second": rate, "updates": len(ends), "given_up": given_up}


def pgbench_figures(load, prefix, limit):
    """Waits for its end. When each transaction ended, and how many milliseconds it took; fails when one of them did."""
    return [(at, latency) for at, latency, _ in pgbench_log(load, prefix, limit)]


def pgbench_log(load, prefix, limit):
    """The same, with the number of each transaction's script."""
    out, err = load.communicate(timeout=limit)
    found = re.search(r"transactions actually processed: (\d+)", out)
    failed = re.search(r"failed transactions: (\d+)", out)
    if not found or failed and int(failed[1]) or "error" in err.lower():
        raise BenchmarkError(f"pgbench failed: {(err or out).strip()[-600:]}")
    lines = [line.split() for name in glob.glob(prefix + ".*") for line in open(name)]
    for name in glob.glob(prefix + ".*"):
        os.remove(name)
    return sorted((int(words[4]) + int(words[5]) / 1e6, int(words[2]) / 1000, int(words[3])) for words in lines)


def total(demo):
    return sum(int(psql(shard["dsn"], "SELECT coalesce(sum(abalance), 0) FROM pgbench_accounts", rows=True)) for shard in demo.shards)


def spread(values):
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f}", f"{ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]:.1f}", f"{ordered[-1]:.1f}"
