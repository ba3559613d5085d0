"""One client: what the router and PgBouncer add to the median latency of PostgreSQL itself, in turns."""

from cluster import psql, settle
from pgbench import point_reads
from report import Table, median

MODES = ["simple", "extended", "prepared"]
KEYS = 64
DIRECT = "PostgreSQL"


def measure(demo, pgbouncer, plain, options, folder, progress):
    """Answers the table, and the figures of each mode."""
    seconds = 1 if options.quick else 2
    rounds = options.rounds or (3 if options.quick else 9)
    # All sides read the same keys. They are of the shard whose server has the plain database, too: else the router's statements would go to four
    # servers' processes in turns, each of them colder than the one that the others keep busy.
    keys = psql(demo.shards[0]["dsn"], f"SELECT aid FROM pgbench_accounts ORDER BY hashint4(aid) LIMIT {KEYS}", rows=True).split()
    one_shard = [f"\\set aid {key}\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n" for key in keys]
    figures = []
    for mode in MODES:
        sides = {
            DIRECT: (plain, one_shard),
            "PgBouncer": (pgbouncer.session_dsn if mode == "prepared" else pgbouncer.transaction_dsn, one_shard),
            "router": (demo.dsn, one_shard),
            "router, four shards": (demo.dsn, None),
        }
        readings = {name: [] for name in sides}
        for number in range(-1, rounds):
            if number < 0:
                progress(f"latency of one client, {mode}, {rounds} rounds")
                settle()
            for name in list(sides) if number % 2 else reversed(sides):
                dsn, scripts = sides[name]
                reading = point_reads(dsn, mode, 1, seconds, folder, *([scripts] if scripts else []))
                if number >= 0:
                    readings[name].append(reading.p50)
        # The sides of a round ran one right after the other.
        added = {name: [a - b for a, b in zip(values, readings[DIRECT])] for name, values in readings.items()}
        figures.append({"mode": mode, "rounds": rounds, "p50_ms": {name: median(values) for name, values in readings.items()},
                        "added_ms": {name: median(values) for name, values in added.items()},
                        "added_ms_range": {name: [min(values), max(values)] for name, values in added.items()}})
    return _table(figures, seconds, rounds), figures


def _table(figures, seconds, rounds):
    names = list(figures[0]["p50_ms"])
    rows = []
    for cell in figures:
        shown = [f"{cell['p50_ms'][DIRECT] * 1000:.0f}"]
        for name in names[1:]:
            low, high = cell["added_ms_range"][name]
            shown.append(f"{cell['added_ms'][name] * 1000:+.0f} ({low * 1000:.0f} to {high * 1000:.0f})")
        rows.append((cell["mode"], *shown))
    return Table(
        "One client: median latency of PostgreSQL, and what is added to it, in µs", ("mode", *names), rows,
        [f"Medians of {rounds} rounds of {seconds} s a side, in turns; {KEYS} keys of one shard, whose server PostgreSQL's and PgBouncer's side use, too; the last column: all keys of",
         "four shards, whose servers' processes are colder. PgBouncer in transaction mode, in session mode for prepared statements."])
