"""More event loops: what a query costs, and how many of them a router serves, with 1, 2 and 4 loops."""

from cluster import router
from pgbench import point_reads
from processes import CPUClock
from report import Table, median, microseconds

LOOPS = [1, 2, 4]
CLIENTS = 32


def measure(demo, options, folder, progress):
    seconds = 1 if options.quick else 4
    rounds = options.rounds or (3 if options.quick else 5)
    readings = {loops: [] for loops in LOOPS}
    for number in range(rounds):
        progress(f"1, 2 and 4 loops, round {number + 1} of {rounds}")
        for loops in LOOPS:
            with router(demo, options.program, folder, f"loops-{loops}", loops) as (child, dsn):
                point_reads(dsn, "prepared", CLIENTS, 1, folder)
                clock = CPUClock(child.pid)
                reading = point_reads(dsn, "prepared", CLIENTS, seconds, folder)
                readings[loops].append((clock.elapsed() / reading.count, reading))
    figures = [_figures(loops, readings[loops]) for loops in LOOPS]
    return _table(figures, seconds, rounds), figures


def _figures(loops, rounds):
    return {"loops": loops, "cpu_us_per_query": median(cost for cost, _ in rounds) * 1e6,
            "queries_per_second": median(reading.per_second for _, reading in rounds),
            "p50_ms": median(reading.p50 for _, reading in rounds), "p99_ms": median(reading.p99 for _, reading in rounds)}


def _table(figures, seconds, rounds):
    rows = [(str(cell["loops"]), microseconds(cell["cpu_us_per_query"] / 1e6), f"{cell['queries_per_second']:,.0f}",
             f"{cell['p50_ms']:.2f}", f"{cell['p99_ms']:.2f}") for cell in figures]
    return Table(f"Event loops, point read by key, prepared, {CLIENTS} clients", ("loops", "router CPU", "queries/s", "p50 ms", "p99 ms"), rows,
                 [f"CPU time per query of the whole router; medians of {rounds} rounds of {seconds} s, in turns.",
                  "pgbench, with one thread, and the servers have the same cores: where these are few, more loops show in the CPU time only."])
