"""At rest: memory at the start, for each idle client and for each shard of a large catalog; CPU time while nothing happens."""

import os
import time
import urllib.request

from processes import CPUClock, free_port, private_bytes, resident_bytes, run, running, wait_until
from report import Table, median, size
from wire import IdleClient

CLIENTS = 10_000
CLIENTS_QUICK = 500
SHARDS = 1000


def measure(demo, pgbouncer, options, folder, progress):
    progress("memory: CPU time at rest")
    idle = _idle_cpu({"router_idle_cpu": demo.router_pid, "manager_idle_cpu": demo.manager_pid, "pgbouncer_idle_cpu": pgbouncer.pid},
                     2 if options.quick else 10)
    clients = CLIENTS_QUICK if options.quick else CLIENTS
    progress(f"memory: {clients} idle clients")
    figures = {
        **idle,
        "idle_clients": clients,
        "router_idle_client": _per_client(demo.router_pid, demo.dsn, clients),
        "pgbouncer_idle_client": _per_client(pgbouncer.pid, pgbouncer.transaction_dsn, clients),
        "manager_start": _memory(demo.manager_pid),
    }
    starts = 1 if options.quick else 3
    small, large = [], []
    for number in range(starts):
        progress(f"memory: a router with {SHARDS} shards in its catalog, start {number + 1} of {starts}")
        small.append(_router_memory(options, folder, 4))
        large.append(_router_memory(options, folder, SHARDS))
    for kind in ("resident", "private"):
        few, many = (median(memory[kind] for memory in starts) for starts in (small, large))
        figures[f"router_start_{kind}"] = few
        figures[f"router_{SHARDS}_shards_{kind}"] = many
        figures[f"router_shard_{kind}"] = (many - few) / (SHARDS - 4)
    return _table(figures), figures


def _idle_cpu(processes, seconds):
    """The share of a core that each takes while it has nothing to do."""
    clocks = {name: CPUClock(pid) for name, pid in processes.items()}
    time.sleep(seconds)
    return {name: clock.elapsed() / seconds for name, clock in clocks.items()}


def _memory(pid):
    return {"resident": resident_bytes(pid), "private": private_bytes(pid)}


def _per_client(pid, dsn, count):
    """Bytes for each of the clients that have logged in and say nothing, all of them at once."""
    # The first clients pay for what all share.
    clients = [IdleClient(dsn) for _ in range(50)]
    try:
        time.sleep(1)
        before = resident_bytes(pid)
        clients += [IdleClient(dsn) for _ in range(count)]
        time.sleep(1)
        return (resident_bytes(pid) - before) / count
    finally:
        for client in clients:
            client.close()


def _router_memory(options, folder, shards):
    """Of a router just started over a catalog with so many shards, none of which it ever connects to."""
    catalog = os.path.join(folder, f"catalog-{shards}.sqlite")
    if not os.path.exists(catalog):
        run([options.tool("CatalogFiller"), catalog, str(shards)], "filling a catalog")
    http = free_port()
    command = [options.program, "router", "--catalog", f"sqlite:{catalog}", "--wire-port", str(free_port()),
               "--http-port", str(http), "--http-auth", "none", "--loops", "1"]
    with running(command, os.path.join(folder, "memory-router.log")) as child:
        wait_until(lambda: _epoch(http) == 1, child, "the router")
        # Five seconds behind its start a server gives back the pages that only the start needed.
        time.sleep(8)
        return _memory(child.pid)


def _epoch(port):
    """The catalog's epoch that the router serves; its shards need not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return None
    return next((float(line.split()[-1]) for line in lines if line.startswith("pgmosaic_catalog_epoch ")), None)


def _table(figures):
    rows = [
        ("router at its start, 4 shards in the catalog", size(figures["router_start_resident"]), size(figures["router_start_private"])),
        (f"router at its start, {SHARDS} shards", size(figures[f"router_{SHARDS}_shards_resident"]),
         size(figures[f"router_{SHARDS}_shards_private"])),
        ("each shard of the catalog", size(figures["router_shard_resident"]), size(figures["router_shard_private"])),
        ("each idle client of the router", size(figures["router_idle_client"]), ""),
        ("each idle client of PgBouncer", size(figures["pgbouncer_idle_client"]), ""),
        ("manager", size(figures["manager_start"]["resident"]), size(figures["manager_start"]["private"])),
    ]
    return Table("Memory", ("what", "resident", "of it private"), rows,
                 ["At rest, of one core: " + ", ".join(f"{name} {figures[name + '_idle_cpu']:.2%}" for name in ("router", "manager", "pgbouncer")) + ".",
                  f"{figures['idle_clients']} clients logged in with SCRAM-SHA-256, silent; a shard has 256 vnodes and is never connected to.",
                  "A start is looked at eight seconds later. Private: without pages of the program's and libraries' files."])
