"""The router against PgBouncer: CPU time per query of the whole process, in turns, the router parsing and routing over four shards."""

from cluster import settle
from pgbench import point_reads
from processes import CPUClock
from report import Table, median, microseconds

# Of the ratio of CPU time, by clients: many share connections, one cannot.
GOALS = {1: 1.3, 32: 1.05}
MODES = ["simple", "extended", "prepared"]
CLIENTS = [1, 32]


class Side:
    """One of the two in one cell of the table: its readings, and its CPU seconds per query, a round each."""

    def __init__(self):
        self.readings, self.costs = [], []

    def measure(self, pid, dsn, mode, clients, seconds, folder):
        clock = CPUClock(pid)
        reading = point_reads(dsn, mode, clients, seconds, folder)
        self.costs.append(clock.elapsed() / reading.count)
        self.readings.append(reading)

    def figures(self):
        return {
            "cpu_us_per_query": median(self.costs) * 1e6,
            "queries_per_second": median(reading.per_second for reading in self.readings),
            "p50_ms": median(reading.p50 for reading in self.readings),
            "p99_ms": median(reading.p99 for reading in self.readings),
            "queries": sum(reading.count for reading in self.readings),
        }


def measure(demo, pgbouncer, options, folder, progress):
    """Answers the table, and the figures of each cell."""
    seconds = 1 if options.quick else 4
    rounds = options.rounds or (3 if options.quick else 5)
    cells = [(mode, clients) for clients in CLIENTS for mode in MODES]
    sides = {cell: (Side(), Side()) for cell in cells}
    # Connections, plans and caches are made before anything counts.
    for mode, clients in cells:
        for dsn in (demo.dsn, _pgbouncer_dsn(pgbouncer, mode)):
            point_reads(dsn, mode, clients, 1, folder)
    settle()
    for number in range(rounds):
        progress(f"router against PgBouncer, round {number + 1} of {rounds}")
        for mode, clients in cells:
            targets = [(demo.router_pid, demo.dsn), (pgbouncer.pid, _pgbouncer_dsn(pgbouncer, mode))]
            order = [0, 1] if number % 2 == 0 else [1, 0]
            for index in order:
                pid, dsn = targets[index]
                sides[mode, clients][index].measure(pid, dsn, mode, clients, seconds, folder)
    figures = [_cell(mode, clients, *sides[mode, clients]) for mode, clients in cells]
    return _table(figures, seconds, rounds), {"goals": GOALS, "rounds": rounds, "seconds": seconds, "cells": figures}


def _pgbouncer_dsn(pgbouncer, mode):
    """Before version 1.21 PgBouncer keeps prepared statements in session mode only."""
    return pgbouncer.session_dsn if mode == "prepared" else pgbouncer.transaction_dsn


def _cell(mode, clients, router, pgbouncer):
    # The two of a round ran one right after the other: what disturbs one disturbs both.
    ratios = [a / b for a, b in zip(router.costs, pgbouncer.costs)]
    return {"mode": mode, "clients": clients, "cpu_ratio": median(ratios), "cpu_ratio_min": min(ratios),
            "cpu_ratio_max": max(ratios), "router": router.figures(), "pgbouncer": pgbouncer.figures()}


def _table(figures, seconds, rounds):
    rows = []
    for cell in figures:
        router, other = cell["router"], cell["pgbouncer"]
        rows.append((
            cell["mode"], str(cell["clients"]),
            f"{cell['cpu_ratio']:.2f}" + ("" if cell["cpu_ratio"] <= GOALS[cell["clients"]] else " MISSED"),
            f"{cell['cpu_ratio_min']:.2f} to {cell['cpu_ratio_max']:.2f}",
            *(f"{microseconds(side['cpu_us_per_query'] / 1e6)}" for side in (router, other)),
            f"{router['queries_per_second']:,.0f} / {other['queries_per_second']:,.0f}",
            f"{router['p50_ms']:.2f} / {other['p50_ms']:.2f}", f"{router['p99_ms']:.2f} / {other['p99_ms']:.2f}"))
    return Table(
        "Router / PgBouncer, point read by key",
        ("mode", "clients", "CPU ratio", "range", "router CPU", "PgBouncer CPU", "queries/s", "p50 ms", "p99 ms"), rows,
        [f"CPU time per query of the whole process; medians of {rounds} rounds of {seconds} s a side, in turns; goals: at most {GOALS[1]} with one client, {GOALS[32]} with 32.",
         "The router parses and routes over four shards, with one event loop; PgBouncer forwards to one database.",
         "PgBouncer in transaction mode, but in session mode for prepared statements, which it cannot carry over before 1.21."])
