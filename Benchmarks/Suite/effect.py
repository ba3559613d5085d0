"""A job beside the clients: what their statements take while rows are copied and changes followed, and how much memory the manager takes for it."""

import os
import signal
import subprocess
import time

import cluster
from cluster import psql
from processes import BenchmarkError, peak_bytes, reset_peak, resident_bytes
from report import Table, median, size
from reshard import Manager, pgbench_log

# Over four shards; one of them is the source.
ROWS, QUICK_ROWS = 12_000_000, 3_000_000
# An even number: the vnodes are in the end where they were.
ROUNDS, QUICK_ROUNDS = 6, 2
# Of load without a job, in each round.
SECONDS, QUICK_SECONDS = 25, 12
CLIENTS = 8
# Statements a second, half of them reads: both cores have room.
RATE = 800
# No more than the longest run takes.
LOAD_SECONDS = 7200
# Between two looks at a job.
LOOK = 0.05
GOAL = 1.5
# On the shard that moves.
MEMORY_ROWS, QUICK_MEMORY_ROWS = (1_000_000, 10_000_000), (200_000, 2_000_000)
MEMORY_GOAL = 128 << 20

TABLE = "CREATE TABLE effect (id bigint PRIMARY KEY, v bigint NOT NULL, filler text NOT NULL)"
ROW = "g, 0, md5(g::text) || md5((-g)::text)"
READ = "\\set id random(1, {rows})\nSELECT v, filler FROM effect WHERE id = :id;\n"
UPDATE = "\\set id random(1, {rows})\nUPDATE effect SET v = v + 1 WHERE id = :id;\n"


def measure(demo, options, folder, progress):
    effect, effect_figures = _effect(demo, options, folder, progress)
    memory, memory_figures = _memory(options, folder, progress)
    return Tables(effect, memory), {"foreground": effect_figures, "manager": memory_figures}


class Tables:
    def __init__(self, *tables):
        self.tables = tables

    def text(self):
        return "\n".join(table.text() for table in self.tables)


def fill(source, router, table, row, first, last):
    """Rows are made on one server, and go through the router to their shards."""
    made = subprocess.Popen(["psql", "-Xq", "-d", source, "-c", f"COPY (SELECT {row} FROM generate_series({first}, {last}) g) TO STDOUT"], stdout=subprocess.PIPE)
    taken = subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", router, "-c", f"COPY {table} FROM STDIN"], stdin=made.stdout)
    made.stdout.close()
    if made.wait() != 0 or taken.returncode != 0:
        raise BenchmarkError(f"the rows of {table} could not be loaded")


def tidy(shards, table):
    for shard in shards:
        psql(shard["dsn"], f"VACUUM (ANALYZE) {table}", "CHECKPOINT")


# Effect on the foreground


class Job:
    """A job from its request to the switch, by what the manager says of it many times a second."""

    def __init__(self, manager, body, load):
        self.looks, self.limits, self.commits = [], [], []
        self.began = time.time()
        self.id = manager.call("POST", "reshard/move", body)["id"]
        while True:
            at, job = time.time(), manager.call("GET", f"reshard/jobs/{self.id}")
            if job["status"] in ("failed", "cancelled"):
                raise BenchmarkError(f"job {self.id} {job['status']}: {job.get('error_message')}")
            if load.poll() is not None:
                raise BenchmarkError(f"pgbench ended during job {self.id}: {load.stderr.read()[-600:]}")
            self.looks.append((at, job["status"], job["step"], job["attempts_abandoned"]))
            for shown in job["loads"]:
                self.limits.append(shown.get("bytes_per_second_max"))
                self.commits.append((shown.get("commit_ms_before"), shown.get("commit_ms")))
            if job["status"] == "completed":
                break
            time.sleep(LOOK)
        self.last, self.switched = job, time.time()

    def spans(self, *steps):
        """From look to look: the job was in one of these steps at both ends, and no attempt at the cutover was given up in between."""
        return [(one[0], next[0]) for one, next in zip(self.looks, self.looks[1:]) if one[2] in steps and next[2] in steps and one[3] == next[3]]

    def seconds(self, *steps):
        return sum(end - begin for begin, end in self.spans(*steps))

    @property
    def held_back(self):
        """How often the copy's rate was taken down, and for which share of its time it had a limit."""
        rates = [float("inf") if limit is None else limit for limit in self.limits]
        return sum(next < one for one, next in zip(rates, rates[1:])), sum(limit is not None for limit in self.limits) / max(1, len(rates))


COPY, FOLLOW = ("copying",), ("streaming", "verifying", "arming")


def _effect(demo, options, folder, progress):
    rows = QUICK_ROWS if options.quick else ROWS
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    progress(f"effect: loading {rows} rows")
    psql(demo.dsn, "SELECT pgmosaic.shard_table('effect', 'id')")
    psql(demo.dsn, TABLE)
    fill(demo.shards[0]["dsn"], demo.dsn, "effect", ROW, 1, rows)
    tidy(demo.shards, "effect")
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-R", str(RATE), "-T", str(LOAD_SECONDS)]
    for name, text in ("read", READ), ("update", UPDATE):
        path = os.path.join(folder, f"effect-{name}.sql")
        with open(path, "w") as file:
            file.write(text.format(rows=rows))
        command += ["-f", path]
    prefix = os.path.join(folder, "effect")
    load = subprocess.Popen([*command, "--log", "--log-prefix", prefix, demo.dsn], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        time.sleep(5)
        found = _rounds(demo, rounds, QUICK_SECONDS if options.quick else SECONDS, load, progress)
        # As its own clock would: the end of its time, with all figures.
        load.send_signal(signal.SIGALRM)
        ends = pgbench_log(load, prefix, 60)
    finally:
        load.kill()
    _check(demo, rows, sum(script for *_, script in ends))
    psql(demo.dsn, "DROP TABLE effect")
    return _report(rows, found, ends)


def _rounds(demo, count, seconds, load, progress):
    """Of each round: the time without a job, the job, and the time in which the moved rows left the source."""
    manager = Manager(demo.manager_url)
    first, second = (shard["id"] for shard in demo.shards[:2])
    vnodes = sorted(vnode["id"] for vnode in manager.call("GET", f"shards/{first}")["vnodes"])[::2]
    rounds = []
    for number in range(count):
        progress(f"effect: round {number + 1} of {count}, without a job")
        began = time.time()
        time.sleep(seconds)
        quiet = (began, time.time())
        source, target = (first, second) if number % 2 == 0 else (second, first)
        progress(f"effect: round {number + 1} of {count}, with one")
        job = Job(manager, {"vnodes": vnodes, "source": source, "target": target}, load)
        finishing = time.time()
        manager.call("POST", f"reshard/jobs/{job.id}/finish")
        manager.wait(job.id, lambda found: found["step"] == "over", limit=900)
        rounds.append((quiet, job, (finishing, time.time())))
        # The next round has no dead rows of this one.
        tidy(demo.shards[:2], "effect")
        time.sleep(3)
    return rounds


def _check(demo, rows, updates):
    """Each row is there once, and the rows tell of exactly the updates that were acknowledged."""
    query = "SELECT count(*), coalesce(sum(id), 0), coalesce(sum(hashint8(id)::bigint), 0), coalesce(sum(v), 0) FROM effect"
    found = [list(map(int, psql(shard["dsn"], query, rows=True).split("|"))) for shard in demo.shards]
    count, keys, hashes, acknowledged = map(sum, zip(*found))
    expected = int(psql(demo.shards[0]["dsn"], f"SELECT sum(hashint8(g)::bigint) FROM generate_series(1::bigint, {rows}) g", rows=True))
    if (count, keys, hashes) != (rows, rows * (rows + 1) // 2, expected):
        raise BenchmarkError(f"of {rows} rows the shards have {count}, or not the same ones")
    if acknowledged != updates:
        raise BenchmarkError(f"{updates} updates were acknowledged, and the rows tell of {acknowledged}")


def percentile(latencies, part):
    return latencies[min(len(latencies) - 1, len(latencies) * part // 100)]


def within(ends, spans):
    """The latencies of what ended in one of the spans, sorted."""
    return sorted(latency for begin, end in spans for at, latency, _ in ends if begin <= at < end)


def _report(rows, rounds, ends):
    lines, notes, figures = [], [], []
    for number, (quiet, job, finishing) in enumerate(rounds, 1):
        parts = {
            "quiet": within(ends, [quiet]), "job": within(ends, job.spans(*COPY, *FOLLOW)), "copy": within(ends, job.spans(*COPY)),
            "follow": within(ends, job.spans(*FOLLOW)), "finish": within(ends, [finishing])}
        if min(len(parts["quiet"]), len(parts["job"])) < 1000:
            raise BenchmarkError(f"round {number}: {len(parts['quiet'])} statements without a job and {len(parts['job'])} with one are too few; the job took {job.switched - job.began:.1f} s")
        found = {f"{name}_p{part}_ms": percentile(latencies, part) for name, latencies in parts.items() if latencies for part in (50, 99)}
        found["cutover_longest_ms"] = max(latency for at, latency, _ in ends if job.spans(*FOLLOW)[-1][1] <= at <= job.switched)
        copying = job.seconds(*COPY)
        slowed, share = job.held_back
        found |= {
            "p50_ratio": found["job_p50_ms"] / found["quiet_p50_ms"], "p99_ratio": found["job_p99_ms"] / found["quiet_p99_ms"], "copy_seconds": copying,
            "follow_seconds": job.seconds(*FOLLOW), "verify_seconds": job.seconds("verifying"), "rows": job.last["keys_migrated"],
            "rows_per_second": job.last["keys_migrated"] / max(copying, 0.001), "bytes_read": job.last["bytes_copied"], "slowed": slowed, "limited_share": share,
            "rate_min": min((limit for limit in job.limits if limit is not None), default=None), "commits_ms": job.commits[-1:], "pause_ms": job.last["pause_ms"],
            "finish_seconds": finishing[1] - finishing[0]}
        figures.append(found)
        lines.append((
            str(number), f"{found['quiet_p50_ms']:.2f} / {found['job_p50_ms']:.2f}", f"{found['quiet_p99_ms']:.2f} / {found['job_p99_ms']:.2f}",
            f"{found['p50_ratio']:.2f}", f"{found['p99_ratio']:.2f}", f"{copying:.1f} s", f"{found['rows_per_second'] / 1000:.0f}", f"{slowed} ({share:.0%})",
            f"{found['follow_seconds']:.1f} s"))
    ratio = {part: median([found[f"p{part}_ratio"] for found in figures]) for part in (50, 99)}

    def middle(name):
        return median([found[name] for found in figures if name in found])

    notes += [
        f"median ratio: p50 {ratio[50]:.2f}, p99 {ratio[99]:.2f}; goal: p99 at most {GOAL}, {'met' if ratio[99] <= GOAL else 'missed'}",
        f"p99 of the copy alone {middle('copy_p99_ms'):.2f} ms, of following and comparing {middle('follow_p99_ms'):.2f} ms, "
        f"while the moved rows leave the source {middle('finish_p99_ms'):.2f} ms (medians of the rounds); longest statement of a cutover {max(found['cutover_longest_ms'] for found in figures):.0f} ms",
        f"{len(ends)} statements, {RATE} a second asked for, {sum(script for *_, script in ends)} of them updates: 0 failed; all of {rows} rows are there once, with every update",
        "slowed: how often the copy was told to read less (and the share of its time with a limit)"]
    columns = ("round", "p50 ms, without / with", "p99 ms, without / with", "p50 ratio", "p99 ratio", "copy", "1000 rows/s", "slowed", "follow and compare")
    table = Table(f"Statements of clients while half of a shard is moved, {rows} rows on four shards", columns, lines, notes)
    return table, {"rounds": figures, "p50_ratio": ratio[50], "p99_ratio": ratio[99], "goal": GOAL, "rows": rows, "statements": len(ends)}


# Memory of the manager


def _memory(options, folder, progress):
    """On a demo of two shards, of which one has all rows, and moves to the other."""
    counts = QUICK_MEMORY_ROWS if options.quick else MEMORY_ROWS
    folder = os.path.join(folder, "memory-of-a-job")
    os.mkdir(folder, 0o755)
    with cluster.demo(options.program, folder, shards=2) as demo:
        psql(demo.dsn, "SELECT pgmosaic.shard_table('narrow', 'id')")
        psql(demo.dsn, "CREATE TABLE narrow (id bigint PRIMARY KEY)")
        manager = Manager(demo.manager_url)
        ends = [shard["id"] for shard in demo.shards]
        # The first job pays for what all share.
        fill(demo.shards[0]["dsn"], demo.dsn, "narrow", "g", 1, 1000)
        _merge(demo, manager, *ends[::-1])
        rows, figures = 1000, []
        for number, count in enumerate(counts):
            progress(f"effect: the manager's memory, a shard with {count} rows")
            fill(demo.shards[0]["dsn"], demo.dsn, "narrow", "g", rows + 1, count)
            rows = count
            source, target = ends if number % 2 == 0 else ends[::-1]
            before = resident_bytes(demo.manager_pid)
            reset_peak(demo.manager_pid)
            seconds = _merge(demo, manager, source, target)
            figures.append({"rows": count, "before": before, "peak": peak_bytes(demo.manager_pid), "after": resident_bytes(demo.manager_pid), "seconds": seconds})
            found = [int(psql(shard["dsn"], "SELECT count(*) FROM narrow", rows=True)) for shard in demo.shards]
            if sorted(found) != [0, count]:
                raise BenchmarkError(f"of {count} rows {found} are on the two shards")
    more = figures[-1]["peak"] - figures[0]["peak"]
    lines = [(f"{found['rows']:,}", size(found["before"]), size(found["peak"]), size(found["after"]), f"{found['seconds']:.1f} s") for found in figures]
    table = Table(
        "Memory of the manager while a whole shard is moved", ("rows", "before (VmRSS)", "most (VmHWM)", "after (VmRSS)", "job until the switch"), lines,
        (f"{size(more)} more for ten times the rows; goal: at most {size(MEMORY_GOAL)}, {'met' if more <= MEMORY_GOAL else 'missed'}",))
    return table, {"moves": figures, "more_bytes": more, "goal_bytes": MEMORY_GOAL}


def _merge(demo, manager, source, target):
    """All that one shard has goes to the other, and leaves it. Answers the seconds until the switch."""
    began = time.monotonic()
    job = manager.call("POST", "reshard/merge", {"source_shard_ids": [source], "target_shard": target})["id"]
    manager.wait(job, lambda found: found["status"] == "completed", limit=1800)
    seconds = time.monotonic() - began
    manager.call("POST", f"reshard/jobs/{job}/finish")
    manager.wait(job, lambda found: found["step"] == "over", limit=1800)
    return seconds
