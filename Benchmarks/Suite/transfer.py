"""Copying the rows of a table to another shard: `TransferBenchmark`, psql piped into psql, and the first copy of PostgreSQL's own logical replication."""

import subprocess
import time

from cluster import psql as run_sql
from processes import BenchmarkError, run
from report import Table, median

ROWS, QUICK_ROWS = 1_000_000, 200_000
TABLE = "CREATE TABLE moved (aid int NOT NULL, bid int, abalance int, filler char(84), at timestamptz)"
FILL = ("INSERT INTO moved SELECT g, g % 100, g * 7, md5(g::text), now() FROM generate_series(1, {rows}) g")


def measure(demo, options, folder, progress):
    rows = QUICK_ROWS if options.quick else ROWS
    rounds = options.rounds or (3 if options.quick else 5)
    progress(f"transfer: {rows} rows")
    ends = [Database(shard) for shard in demo.shards[:2]]
    try:
        for end in ends:
            end.sql("CREATE DATABASE transfer", database="postgres")
            end.sql(TABLE)
        source, target = ends
        source.sql(FILL.format(rows=rows))
        source.sql("VACUUM ANALYZE moved")
        contestants = {
            "one session": lambda: ours(options, source, target, 1, "all"),
            "two sessions": lambda: ours(options, source, target, 2, "all"),
            "half of the rows, two sessions": lambda: ours(options, source, target, 2, "half"),
            "psql | psql, text": lambda: psql(source, target, "text"),
            "psql | psql, binary": lambda: psql(source, target, "binary"),
            "first copy of a subscription": lambda: subscription(source, target),
        }
        seconds = {name: [] for name in contestants}
        memory = 0
        for number in range(rounds):
            progress(f"transfer: round {number + 1} of {rounds}")
            for name, contestant in contestants.items():
                target.sql("TRUNCATE moved")
                target.sql("CHECKPOINT")
                taken, *more = contestant()
                if more:
                    memory = max(memory, more[0])
                expected = rows if "half" not in name else None
                moved = int(target.sql("SELECT count(*) FROM moved"))
                if expected is not None and moved != expected:
                    raise BenchmarkError(f"{name}: {moved} of {expected} rows arrived")
                seconds[name].append(taken)
        return result(rows, seconds, memory)
    finally:
        for end in ends:
            end.sql("DROP DATABASE IF EXISTS transfer WITH (FORCE)", database="postgres")


def result(rows, seconds, memory):
    base = seconds["psql | psql, text"]
    rates = {name: [mine and theirs / mine for mine, theirs in zip(taken, base)] for name, taken in seconds.items()}
    table = [(name, f"{median(taken):.2f} s", f"{rows / median(taken) / 1000:.0f}", f"{median(rates[name]):.2f}",
              f"{min(rates[name]):.2f} to {max(rates[name]):.2f}") for name, taken in seconds.items()]
    figures = {"rows": rows, "seconds": seconds, "rate": rates, "memory_kib": memory}
    return Table("Rows copied to another shard", ("by", "time", "1000 rows/s", "rate / psql, text", "from to"), table,
                 (f"{rows} rows; the memory of TransferBenchmark grew by at most {memory / 1024:.1f} MiB",)), figures


class Database:
    """The database `transfer` on a shard's server."""

    def __init__(self, shard):
        self.base = shard["dsn"].rsplit("/", 1)[0]

    def dsn(self, database="transfer"):
        return f"{self.base}/{database}"

    def sql(self, text, database="transfer"):
        return run_sql(self.dsn(database), text, rows=True).strip()


def ours(options, source, target, sessions, part):
    words = run([options.tool("TransferBenchmark"), source.dsn(), target.dsn(), "moved", "aid", str(sessions), part],
                "TransferBenchmark").split()
    return float(words[0]), int(words[4])


def psql(source, target, form):
    begun = time.monotonic()
    reader = subprocess.Popen(["psql", "-Xq", "-d", source.dsn(), "-c", f"COPY moved TO STDOUT (FORMAT {form})"], stdout=subprocess.PIPE)
    writer = subprocess.run(["psql", "-Xq", "-d", target.dsn(), "-c", f"COPY moved FROM STDIN (FORMAT {form})"], stdin=reader.stdout)
    reader.stdout.close()
    if reader.wait() != 0 or writer.returncode != 0:
        raise BenchmarkError("psql | psql failed")
    return (time.monotonic() - begun,)


def subscription(source, target):
    source.sql("CREATE PUBLICATION transfer FOR TABLE moved")
    begun = time.monotonic()
    try:
        target.sql(f"CREATE SUBSCRIPTION transfer CONNECTION '{source.dsn()}' PUBLICATION transfer")
        while target.sql("SELECT count(*) FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')") != "0":
            time.sleep(0.02)
        return (time.monotonic() - begun,)
    finally:
        target.sql("DROP SUBSCRIPTION IF EXISTS transfer")
        source.sql("DROP PUBLICATION transfer")
