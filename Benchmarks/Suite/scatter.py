"""Statements over all shards, against the same rows in one plain PostgreSQL on the same machine: time and CPU; what asking every shard for one row costs; memory."""

import os
import subprocess
import time

from cluster import psql, settle
from pgbench import point_reads
from processes import BenchmarkError, TreeClock, peak_bytes, resident_bytes, reset_peak
from report import Table, median, size
from wire import IdleClient

EVENTS, BUYERS = 1_000_000, 50_000
QUICK_EVENTS, QUICK_BUYERS = 100_000, 5_000
# A client must see a round of a quick statement for so long, in seconds: the kernel counts processes that have ended in hundredths.
ROUND = 1.0
# Of plain PostgreSQL's rate, for aggregates; of a routed point query's time; bytes that a large answer may add.
RATE_GOAL, POINT_GOAL, MEMORY_GOAL = 0.25, 2.5, 64 << 20
AGGREGATES = ("count(*)", "sum with GROUP BY")

TABLES = {
    "events": ("id", "CREATE TABLE events (id bigint PRIMARY KEY, code bigint, buyer bigint, kind int, amount numeric(12,2), name text)"),
    "buyers": ("buyer_id", "CREATE TABLE buyers (buyer_id bigint PRIMARY KEY, segment int, name text)"),
}


def rows(events, buyers):
    """SQL that gives the rows of each table. 1000003 is a prime: every code comes once."""
    return {
        "events": f"SELECT g, g::bigint * 611953 % 1000003, abs(hashint4(g)::bigint) % {buyers} + 1, abs(hashint4(g + 7)::bigint) % 100, "
                  f"(abs(hashint4(g + 13)::bigint) % 1000000)::numeric(12,2) / 100, md5(g::text) FROM generate_series(1, {events}) g",
        "buyers": f"SELECT g, g % 7, md5(g::text) FROM generate_series(1, {buyers}) g",
    }


def statements(events):
    return {
        "count(*)": "SELECT count(*) FROM events",
        "sum with GROUP BY": "SELECT kind, count(*), sum(amount) FROM events GROUP BY kind",
        "top 20": "SELECT id, amount FROM events ORDER BY amount DESC, id LIMIT 20",
        "distinct": "SELECT DISTINCT buyer FROM events",
        f"{events:,} rows": "SELECT id, buyer, kind FROM events",
        f"{events:,} rows, sorted": "SELECT id, buyer, kind FROM events ORDER BY buyer, id",
        "join on another column": "SELECT b.segment, count(*), sum(e.amount) FROM events e JOIN buyers b ON b.buyer_id = e.buyer GROUP BY b.segment",
    }


def measure(demo, plain, options, folder, progress):
    events, buyers = (QUICK_EVENTS, QUICK_BUYERS) if options.quick else (EVENTS, BUYERS)
    rounds = options.rounds or (3 if options.quick else 5)
    progress(f"scatter: loading {events} rows")
    load(demo, plain, events, buyers)
    servers = [postmaster(shard["dsn"]) for shard in demo.shards]
    sides = {"router": (demo.dsn, TreeClock([*servers, demo.router_pid])), "plain": (plain, TreeClock(servers[:1]))}
    clients = {name: IdleClient(dsn) for name, (dsn, _) in sides.items()}
    figures = []
    try:
        for name, sql in statements(events).items():
            repeats = {}
            for side, client in clients.items():
                client.drain(sql)
                began = time.monotonic()
                answered = client.drain(sql)
                repeats[side] = max(1, int(ROUND / (time.monotonic() - began)))
            readings = {side: [] for side in clients}
            for number in range(rounds):
                progress(f"scatter: {name}, round {number + 1} of {rounds}")
                for side in list(clients) if number % 2 else list(reversed(clients)):
                    clock = sides[side][1]
                    clock.start()
                    began = time.monotonic()
                    for _ in range(repeats[side]):
                        if clients[side].drain(sql) != answered:
                            raise BenchmarkError(f"{name}: {side} gives another number of rows than {answered}")
                    readings[side].append(((time.monotonic() - began) / repeats[side], clock.elapsed() / repeats[side]))
            figures.append(cell(name, readings))
    finally:
        for client in clients.values():
            client.close()
    points = point_queries(demo, options, folder, progress, events, rounds)
    memory = large_answer(demo, events, progress)
    return table(figures, points, memory, events, rounds), {"statements": figures, "points": points, "memory": memory, "rounds": rounds}


def load(demo, plain, events, buyers):
    for name, (key, definition) in TABLES.items():
        psql(demo.dsn, f"SELECT pgmosaic.shard_table('{name}', '{key}')")
        psql(demo.dsn, definition)
        psql(plain, definition)
        psql(plain, f"INSERT INTO {name} {rows(events, buyers)[name]}")
        source = subprocess.Popen(["psql", "-X", "-q", "-d", plain, "-c", f"COPY {name} TO STDOUT"], stdout=subprocess.PIPE)
        try:
            subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", demo.dsn, "-c", f"COPY {name} FROM STDIN"], stdin=source.stdout, check=True)
        finally:
            source.stdout.close()
            source.wait()
    for dsn in (demo.dsn, plain):
        psql(dsn, "CREATE INDEX events_code ON events (code)")
    for dsn in [plain] + [shard["dsn"] for shard in demo.shards]:
        psql(dsn, *(f"VACUUM (ANALYZE, FREEZE) {name}" for name in TABLES), "CHECKPOINT")
    settle()


def postmaster(dsn):
    folder = psql(dsn, "SHOW data_directory", rows=True).strip()
    with open(os.path.join(folder, "postmaster.pid")) as file:
        return int(file.readline())


def cell(name, readings):
    # The two of a round ran one right after the other.
    ratios = [b[0] / a[0] for a, b in zip(readings["router"], readings["plain"])]
    return {"name": name, "rate_ratio": median(ratios), "rate_ratio_min": min(ratios), "rate_ratio_max": max(ratios),
            "cpu_ratio": median(a[1] / b[1] for a, b in zip(readings["router"], readings["plain"])),
            **{f"{side}_{what}": median(reading[place] for reading in values)
               for side, values in readings.items() for place, what in enumerate(("seconds", "cpu_seconds"))}}


def point_queries(demo, options, folder, progress, events, rounds):
    """One row by the key, from its shard; and by another column, from all shards."""
    seconds = 1 if options.quick else 3
    scripts = {
        "routed": f"\\set n random(1, {events})\nSELECT kind FROM events WHERE id = :n;\n",
        "scattered": f"\\set n random(1, {events})\nSELECT kind FROM events WHERE code = :n;\n",
    }
    figures = []
    for mode in ("simple", "prepared"):
        for clients in (1, 8):
            readings = {name: [] for name in scripts}
            for number in range(-1, rounds):
                progress(f"scatter: point queries, {mode}, {clients} clients, round {number + 1} of {rounds}")
                for name in list(scripts) if number % 2 else reversed(scripts):
                    reading = point_reads(demo.dsn, mode, clients, seconds, folder, [scripts[name]])
                    if number >= 0:
                        readings[name].append(reading)
            ratios = [b.p50 / a.p50 for a, b in zip(readings["routed"], readings["scattered"])]
            figures.append({"mode": mode, "clients": clients, "ratio": median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
                            **{f"{name}_p50_ms": median(reading.p50 for reading in values) for name, values in readings.items()},
                            **{f"{name}_per_second": median(reading.per_second for reading in values) for name, values in readings.items()}})
    return figures


def large_answer(demo, events, progress):
    """What the router's memory grows by, at its highest, while an answer of 1 GB goes through it."""
    width = (1 << 30) // events
    progress("scatter: an answer of 1 GB")
    client = IdleClient(demo.dsn)
    try:
        client.drain(f"SELECT id, repeat('x', {width}) FROM events WHERE code < 1000")
        before = resident_bytes(demo.router_pid)
        reset_peak(demo.router_pid)
        began, taken = time.monotonic(), client.taken
        client.drain(f"SELECT id, repeat('x', {width}) FROM events")
        return {"bytes": client.taken - taken, "seconds": time.monotonic() - began, "before": before, "added": peak_bytes(demo.router_pid) - before}
    finally:
        client.close()


def table(figures, points, memory, events, rounds):
    lines = []
    for found in figures:
        missed = " MISSED" if found["name"] in AGGREGATES and found["rate_ratio"] < RATE_GOAL else ""
        lines.append((found["name"], f"{found['rate_ratio']:.2f}{missed}", f"{found['rate_ratio_min']:.2f} to {found['rate_ratio_max']:.2f}",
                      f"{found['router_seconds'] * 1000:,.1f} / {found['plain_seconds'] * 1000:,.1f}", f"{found['cpu_ratio']:.2f}",
                      f"{found['router_cpu_seconds'] * 1000:,.0f} / {found['plain_cpu_seconds'] * 1000:,.0f}"))
    notes = [f"{events:,} rows over four shards, and in one PostgreSQL; one client; medians of {rounds} rounds of each side in turns; CPU of the router and all servers."]
    for found in points:
        missed = " MISSED" if found["clients"] == 1 and found["ratio"] > POINT_GOAL else ""
        notes.append(
            f"point query that asks all shards, {found['mode']}, {found['clients']} clients: {found['ratio']:.2f}{missed} ({found['ratio_min']:.2f} to {found['ratio_max']:.2f}) of a routed one's "
            f"time, {found['scattered_p50_ms']:.2f} / {found['routed_p50_ms']:.2f} ms, {found['scattered_per_second']:,.0f} / {found['routed_per_second']:,.0f} a second")
    missed = " MISSED" if memory["added"] > MEMORY_GOAL else ""
    notes.append(f"an answer of {size(memory['bytes'])} in {memory['seconds']:.1f} s added at most {size(memory['added'])}{missed} to the router's {size(memory['before'])}")
    return Table("Statements over all shards / one PostgreSQL", ("statement", "rate ratio", "range", "ms", "CPU ratio", "CPU ms"), lines, notes)
