"""Splits and merges under load through two routers: no statement may fail, and every acknowledged write must be there, once."""

import os
import random
import subprocess
import threading
import time

import cluster
from cluster import ROWS, psql
from processes import BenchmarkError
from report import Table
from reshard import Manager, SCRIPT, pgbench_figures, spread, total
from wire import IdleClient

JOBS, QUICK_JOBS = 20, 4
# Of pgbench, and of the ledger; for each router.
CLIENTS, WRITERS = 4, 2
# Of load for each job.
SECONDS = 15
# Rows that are read once more through a router in the end.
READ = 2000


class Writer(threading.Thread):
    """Writes rows with keys of its own, one statement at a time, and remembers what was acknowledged."""

    def __init__(self, dsn, lane):
        super().__init__(daemon=True)
        self.client = IdleClient(dsn)
        self.rows, self.failures, self.waits, self.statements = {}, [], [], 0
        self.is_over = threading.Event()
        self.next = lane * 1_000_000_000

    def run(self):
        try:
            while not self.is_over.wait(0.004):
                self.write(random.random())
        except Exception as error:  # A lost connection is a failure like another.
            self.failures.append(f"{type(error).__name__}: {error}")
        finally:
            self.client.close()

    def write(self, choice):
        if not self.rows or choice < 0.3:
            key = self.next
            self.next += 1
            if self.said(f"INSERT INTO ledger VALUES ({key}, 0)", "INSERT 0 1"):
                self.rows[key] = 0
        elif choice < 0.9:
            key = random.choice(tuple(self.rows)[-500:])
            if self.said(f"UPDATE ledger SET v = v + 1 WHERE id = {key}", "UPDATE 1"):
                self.rows[key] += 1
        else:
            key = random.choice(tuple(self.rows)[-500:])
            if self.said(f"DELETE FROM ledger WHERE id = {key}", "DELETE 1"):
                del self.rows[key]

    def said(self, sql, tag):
        began = time.monotonic()
        self.client._send(b"Q", sql.encode() + b"\0")
        answer, kind = None, b""
        while kind != b"Z":
            kind, body = self.client._message()
            if kind in b"CE":
                answer = body.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        self.waits.append((time.time(), (time.monotonic() - began) * 1000))
        self.statements += 1
        if answer != tag:
            self.failures.append(f"{sql}: {answer}")
        return answer == tag


def measure(demo, options, folder, progress):
    # Before the second router is there, so that it knows the table.
    psql(demo.dsn, "SELECT pgmosaic.shard_table('ledger', 'id')")
    psql(demo.dsn, "CREATE TABLE ledger (id bigint PRIMARY KEY, v bigint NOT NULL)")
    with cluster.router(demo, options.program, folder, "splits-2", 1) as (_, second):
        return _measure(demo, second, options, folder, progress)


def _measure(demo, second, options, folder, progress):
    count = QUICK_JOBS if options.quick else JOBS
    routers = [demo.dsn, second]
    before = total(demo)
    script = os.path.join(folder, "splits.sql")
    with open(script, "w") as file:
        file.write(SCRIPT)
    prefixes = [os.path.join(folder, f"splits{number}") for number in range(len(routers))]
    loads = [
        subprocess.Popen(
            ["pgbench", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-T", str(SECONDS * count), "-f", script, "--log", "--log-prefix", prefix, dsn],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for prefix, dsn in zip(prefixes, routers)]
    writers = [Writer(dsn, lane) for lane, dsn in enumerate(routers * WRITERS, 1)]
    try:
        for writer in writers:
            writer.start()
        time.sleep(3)
        jobs = _jobs(demo, count, loads, writers, progress)
        progress("splits: the rest of pgbench's time")
        ends = [pgbench_figures(load, prefix, SECONDS * count + 120) for load, prefix in zip(loads, prefixes)]
    finally:
        for load in loads:
            load.kill()
        for writer in writers:
            writer.is_over.set()
    for writer in writers:
        writer.join(120)
        if writer.is_alive():
            raise BenchmarkError("a writer of the ledger still waits for an answer")
    failures = [failure for writer in writers for failure in writer.failures]
    if failures:
        raise BenchmarkError(f"{len(failures)} statements of the ledger failed: {failures[:3]}")
    updates = sum(map(len, ends))
    if total(demo) - before != updates:
        raise BenchmarkError(f"{updates} updates were acknowledged, and the rows tell of {total(demo) - before}")
    rows = _check(demo, second, writers)
    return _report(count, jobs, ends, writers, updates, rows)


def _jobs(demo, count, loads, writers, progress):
    """Half of the first shard goes to the second one; all of the second goes to the first; and again."""
    manager = Manager(demo.manager_url)
    first, second = (shard["id"] for shard in demo.shards[:2])
    jobs = []
    for number in range(count):
        for load in loads:
            if load.poll() is not None:
                raise BenchmarkError(f"pgbench ended before job {number + 1}: {load.stderr.read()[-600:]}")
        kind, body = [
            ("merge", {"source_shard_ids": [second], "target_shard": first}), ("split", {"source_shard_id": first, "target_shards": [second]}),
        ][number % 2]
        progress(f"splits: job {number + 1} of {count}, a {kind}")
        began = time.time()
        job = manager.call("POST", "reshard/" + kind, body)["id"]
        done = manager.wait(job, lambda found: found["status"] == "completed")
        switched = time.time()
        manager.call("POST", f"reshard/jobs/{job}/finish")
        manager.wait(job, lambda found: found["step"] == "over")
        jobs.append((kind, began, switched, done["pause_ms"], done.get("attempts_abandoned") or 0))
    return jobs


def _check(demo, router, writers):
    """Each row that was acknowledged is on one shard, with its value, and nothing else is; a router finds it there. Answers how many there are."""
    expected = {key: value for writer in writers for key, value in writer.rows.items()}
    found = {}
    for shard in demo.shards:
        for line in psql(shard["dsn"], "SELECT id, v FROM ledger", rows=True).split():
            key, value = map(int, line.split("|"))
            if key in found:
                raise BenchmarkError(f"row {key} of the ledger is on two shards")
            found[key] = value
    if found != expected:
        lost, more = expected.keys() - found.keys(), found.keys() - expected.keys()
        raise BenchmarkError(f"of the ledger's {len(expected)} rows {len(lost)} are lost, {len(more)} are there that should not be, others have other values")
    keys = random.sample(sorted(expected), min(READ, len(expected)))
    statements = [f"SELECT v FROM ledger WHERE id = {key}" for key in keys]
    # One statement at a time: a router is asked, and not all shards.
    answers = psql(router, *statements, rows=True).split() if statements else []
    if list(map(int, answers)) != [expected[key] for key in keys]:
        raise BenchmarkError("a router does not find a row of the ledger where it is")
    return len(expected)


def _report(count, jobs, ends, writers, updates, rows):
    everything = [sample for part in ends for sample in part] + [sample for writer in writers for sample in writer.waits]
    stalls = [max(latency for at, latency in everything if began <= at <= switched) for _, began, switched, _, _ in jobs]
    pauses = [pause for _, _, _, pause, _ in jobs]
    given_up = sum(attempts for *_, attempts in jobs)
    statements = sum(writer.statements for writer in writers)
    times = [at for part in ends for at, _ in part]
    rate = updates / (max(times) - min(times))
    lines = [("hold to switch, as the manager measures", *spread(pauses)), ("longest statement of a job", *spread(stalls))]
    table = Table(
        f"{count} splits and merges of two of four shards, {ROWS} rows, through two routers", ("what", "median ms", "p95 ms", "worst ms"), lines,
        (f"{updates} updates by pgbench, {rate:.0f} a second, and {statements} statements of the ledger: 0 failed",
         f"{rows} rows of the ledger, each on one shard with the value that was acknowledged; attempts given up: {given_up}"))
    return table, {
        "jobs": [kind for kind, *_ in jobs], "pauses_ms": pauses, "stalls_ms": stalls, "updates": updates, "updates_per_second": rate,
        "ledger_statements": statements, "ledger_rows": rows, "failed": 0, "given_up": given_up}
