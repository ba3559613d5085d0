"""Results: a table for people, and the same as JSON."""

import os
import platform
import statistics

median = statistics.median


class Table:
    """`rows` are tuples of texts, one a column."""

    def __init__(self, title, columns, rows, notes=()):
        self.title, self.columns, self.rows, self.notes = title, columns, rows, notes

    def text(self):
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]

        def line(cells):
            return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"

        ruler = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        body = "\n".join([line(self.columns), ruler, *map(line, self.rows)])
        return "\n".join([f"\n{self.title}\n", body, *("  " + note for note in self.notes)])


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "system": platform.system(),
            "load": os.getloadavg()[0]}


def microseconds(seconds):
    return f"{seconds * 1e6:.1f} µs"


def size(count):
    return f"{count / 2**20:.1f} MiB" if abs(count) >= 2**20 else f"{count / 1024:.1f} KiB"
