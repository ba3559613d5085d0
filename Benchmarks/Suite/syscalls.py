"""System calls of a query, counted by strace: what the router and PgBouncer ask of the kernel, and how often."""

import os
import shutil
import signal
import subprocess
import time

from pgbench import point_reads
from processes import BenchmarkError
from report import Table

MODES = ["simple", "extended", "prepared"]
CLIENTS = [1, 32]
# Of the same kind, whichever of them a program uses.
KINDS = {"read": {"read", "recvfrom", "recvmsg", "readv"}, "write": {"write", "sendto", "sendmsg", "writev"},
         "epoll_wait": {"epoll_wait", "epoll_pwait", "epoll_pwait2"}}


def measure(demo, pgbouncer, options, folder, progress):
    seconds = 1 if options.quick else 3
    figures = []
    for clients in CLIENTS:
        for mode in MODES:
            progress(f"system calls, {mode}, {clients} clients")
            # Before version 1.21 PgBouncer keeps prepared statements in session mode only.
            other = pgbouncer.session_dsn if mode == "prepared" else pgbouncer.transaction_dsn
            figures.append({"mode": mode, "clients": clients,
                            "router": _count(demo.router_pid, demo.dsn, mode, clients, seconds, folder),
                            "pgbouncer": _count(pgbouncer.pid, other, mode, clients, seconds, folder)})
    return _table(figures), figures


def _count(pid, dsn, mode, clients, seconds, folder):
    """Calls of each kind, a query; connections are made before."""
    strace = shutil.which("strace")
    if strace is None:
        raise BenchmarkError("strace is not installed (Debian package strace)")
    point_reads(dsn, mode, clients, 1, folder)
    output = os.path.join(folder, "strace.txt")
    tracer = subprocess.Popen([strace, "-f", "-c", "-o", output, "-p", str(pid)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        count = point_reads(dsn, mode, clients, seconds, folder).count
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(30)
    calls = {}
    with open(output) as file:
        for line in file:
            fields = line.split()
            # "% time, seconds, usecs/call, calls, [errors,] syscall"
            if len(fields) in (5, 6) and fields[3].isdigit() and fields[-1] != "total":
                calls[fields[-1]] = int(fields[3])
    if not calls:
        raise BenchmarkError("strace counted nothing: may this account trace processes?")
    figures = {kind: sum(calls.get(name, 0) for name in names) / count for kind, names in KINDS.items()}
    known = set().union(*KINDS.values())
    others = {name: number / count for name, number in calls.items() if name not in known}
    return {**figures, "other": sum(others.values()), "others": others}


def _table(figures):
    kinds = [*KINDS, "other"]
    rows = [(cell["mode"], str(cell["clients"]), *(f"{cell['router'][kind]:.2f} / {cell['pgbouncer'][kind]:.2f}" for kind in kinds))
            for cell in figures]
    return Table("System calls of a query, router / PgBouncer", ("mode", "clients", *kinds), rows,
                 ["strace -f -c; the calls of setting up the connections are among them."])
