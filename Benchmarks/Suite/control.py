"""The control plane: how soon ten routers serve a change of the catalog, how soon another manager leads when the one that does is killed, and both with 1,000 shards."""

import contextlib
import http.client
import json
import os
import re
import signal
import threading
import time
import urllib.parse

from cluster import demo, psql
from processes import BenchmarkError, accepts_connections, free_port, run, running, wait_until
from report import Table, median

ROUTERS = 10
MANAGERS = 3
CHANGES, QUICK_CHANGES = 100, 20
KILLS, QUICK_KILLS = 10, 3
LIMIT = 60
# Of 256 vnodes each; they exist nowhere.
SHARDS = 1000
OPERATIONS, QUICK_OPERATIONS = 300, 100
STARTS = 5


class Server:
    """A manager or router of the run, and one kept connection to it."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def call(self, method, path, body=None):
        """Status, and JSON or text; a connection that the server has ended is opened anew once, for reads only."""
        for attempt in range(2):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
                data = json.dumps(body).encode() if body is not None else None
                self.connection.request(method, path, body=data, headers={"Content-Type": "application/json"} if data else {})
                answer = self.connection.getresponse()
                text = answer.read()
                return answer.status, json.loads(text or b"null") if "json" in answer.getheader("Content-Type", "json") else text
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt == 1 or method != "GET":
                    raise

    def ready(self):
        try:
            return self.call("GET", "/ready")[1]
        except (OSError, http.client.HTTPException):
            return {}

    def served_epoch(self):
        """Of the catalog by which a router plans; `/ready` would say what it was up to a second ago."""
        found = re.search(rb"^pgmosaic_catalog_epoch(?:\{[^}]*\})? (\d+)", self.call("GET", "/metrics")[1], re.MULTILINE)
        return int(found.group(1)) if found else 0


@contextlib.contextmanager
def sqlite(options, folder):
    yield "sqlite:" + os.path.join(folder, "catalog.db"), "sqlite:" + os.path.join(folder, "many.db"), {}


@contextlib.contextmanager
def postgresql(options, folder):
    """A database of a demo's first shard's server; the demo is silent."""
    with demo(options.program, folder) as cluster:
        server = cluster.shards[0]["dsn"]
        for name in ("control", "many"):
            psql(server, f"CREATE DATABASE {name}")
        parts = urllib.parse.urlsplit(server)
        password = urllib.parse.unquote(parts.password or "")
        first, second = (f"postgres://{parts.username}@{parts.hostname}:{parts.port}/{name}" + ("?password=env:CONTROL_PASSWORD" if password else "")
                         for name in ("control", "many"))
        yield first, second, {"CONTROL_PASSWORD": password}


@contextlib.contextmanager
def etcd(options, folder):
    """Three members, which write to the disk as etcd does."""
    names = ["a", "b", "c"]
    clients, peers = ([f"http://127.0.0.1:{free_port()}" for _ in names] for _ in range(2))
    members = ",".join(f"{name}={peer}" for name, peer in zip(names, peers))
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(running(
            ["etcd", "--name", name, "--data-dir", os.path.join(folder, "etcd-" + name), "--listen-client-urls", client, "--advertise-client-urls", client,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", members, "--initial-cluster-state", "new"],
            os.path.join(folder, f"etcd-{name}.log"))) for name, client, peer in zip(names, clients, peers)]
        for child, client in zip(children, clients):
            wait_until(lambda: _is_healthy(client), child, "etcd")
        location = "etcd://" + ",".join(client.removeprefix("http://") for client in clients)
        yield location, location + "?prefix=/many/", {}


def _is_healthy(url):
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", "/health")
        return b"true" in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# The name for people, and what starts the store: it gives the locations of two empty catalogs, and the environment in which they are understood.
STORES = [("SQLite", sqlite), ("PostgreSQL", postgresql), ("etcd, three members", etcd)]


@contextlib.contextmanager
def started(program, role, name, catalog, folder):
    """A server over the catalog; gives its process and itself."""
    (location, environment), port, config = catalog, free_port(), os.path.join(folder, name + ".yaml")
    own = f"loops: 1\nwire: {{port: {free_port()}, auth: trust}}\n" if role == "router" else ""
    with open(config, "w") as file:
        file.write(f"id: {name}\ncatalog: \"{location}\"\nhttp: {{port: {port}, auth: none}}\n{own}shutdown: {{grace: 1s}}\n")
    with running([program, role, "--config", config], os.path.join(folder, name + ".log"), env=environment) as child:
        wait_until(lambda: accepts_connections(port), child, f"the {role} {name}")
        yield child, Server(port)


def measure(options, folder, progress):
    figures = {}
    for name, store in STORES:
        own = os.path.join(folder, "control-" + store.__name__)
        # An unprivileged account passes through it.
        os.mkdir(own, 0o755)
        with store(options, own) as (catalog, many, environment):
            figures[name] = _measure(options, (catalog, environment), own, lambda text: progress(f"{name}: {text}"))
            progress(f"{name}: {SHARDS} shards")
            figures[name] |= _scale(options, (many, environment), own)
    return _table(figures), figures


def _measure(options, catalog, folder, progress):
    changes, kills = (QUICK_CHANGES, QUICK_KILLS) if options.quick else (CHANGES, KILLS)
    with contextlib.ExitStack() as stack:
        progress(f"starting {MANAGERS} managers and {ROUTERS} routers")
        managers = {}
        for number in range(MANAGERS):
            name = f"manager-{number}"
            managers[name] = stack.enter_context(started(options.program, "manager", name, catalog, folder))
        leader(managers)
        routers = [stack.enter_context(started(options.program, "router", f"router-{number}", catalog, folder))[1] for number in range(ROUTERS)]
        progress(f"{changes} changes")
        spread = propagation(managers[leader(managers)][1], routers, changes)
        progress(f"{kills} times the leading manager is killed")
        takeover = [killed(managers, options.program, catalog, folder, number, stack) for number in range(kills)]
    return {"routers": ROUTERS, "changes": changes, **spread, "takeover_s": takeover}


def _scale(options, catalog, folder):
    """A router's start over a catalog of many shards, in seconds, and how many of them a manager changes in a second."""
    location, environment = catalog
    filled = os.path.join(folder, "filled.sqlite")
    run([options.tool("CatalogFiller"), filled, str(SHARDS)], "filling a catalog")
    run([options.program, "catalog", "copy", "--from", "sqlite:" + filled, "--to", location], "copying the catalog", env={**os.environ, **environment})
    starts = []
    for number in range(STARTS):
        began = time.monotonic()
        with started(options.program, "router", f"many-{number}", catalog, folder) as (_, server):
            while server.served_epoch() == 0:
                time.sleep(0.01)
            starts.append(time.monotonic() - began)
    operations = QUICK_OPERATIONS if options.quick else OPERATIONS
    with started(options.program, "manager", "many", catalog, folder) as (child, server):
        leader({"many": (child, server)})
        paths = [f"/api/v1/shards/shard-{number + 1}" for number in range(operations)]
        versions = [server.call("GET", path)[1]["version"] for path in paths]
        began = time.monotonic()
        for path, version in zip(paths, versions):
            status, answer = server.call("PUT", path + "/status", {"status": "readonly", "version": version})
            if status == 409:
                # The manager itself notes something of a shard that it sees first.
                status, answer = server.call("PUT", path + "/status", {"status": "readonly", "version": answer["error"]["details"]["current"]["version"]})
            if status != 200:
                raise BenchmarkError(f"a change of a shard's status was answered with {status}: {str(answer)[:300]}")
        return {"start_s": starts, "operations_per_second": operations / (time.monotonic() - began)}


def leader(managers):
    """The name of the manager that leads, once one does."""
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        for name, (child, server) in managers.items():
            if not child.has_ended and server.ready().get("role") == "leader":
                return name
        time.sleep(0.02)
    raise BenchmarkError(f"no manager led within {LIMIT} s")


def propagation(manager, routers, changes):
    """Milliseconds from the answer to a change until a router says that it serves it, of each router and change; and of what it takes to ask a router."""
    epoch = max(router.served_epoch() for router in routers)
    taken, asking, all_of_them = [], [], []
    for number in range(changes):
        epoch += 1
        seen = [None] * len(routers)
        watchers = [threading.Thread(target=_watch, args=(router, epoch, seen, index, asking)) for index, router in enumerate(routers)]
        for watcher in watchers:
            watcher.start()
        status, answer = manager.call("POST", "/api/v1/databases", {"name": f"d{number}"})
        answered = time.monotonic()
        if status != 201:
            raise BenchmarkError(f"a change was answered with {status}: {answer}")
        for watcher in watchers:
            watcher.join()
        if None in seen:
            raise BenchmarkError(f"a router did not serve epoch {epoch} within {LIMIT} s")
        # A router may have it before its author hears of it.
        delays = [max(0.0, moment - answered) * 1000 for moment in seen]
        taken += delays
        all_of_them.append(max(delays))
    return {"p50_ms": median(taken), "p99_ms": _percentile(taken, 99), "all_routers_p99_ms": _percentile(all_of_them, 99), "max_ms": max(taken),
            "asking_p50_ms": median(asking) * 1000}


def _watch(router, epoch, seen, index, asking):
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        asked = time.monotonic()
        found = router.served_epoch()
        now = time.monotonic()
        asking.append(now - asked)
        if found >= epoch:
            seen[index] = now
            return
        # Asking takes processor time from what is measured.
        time.sleep(0.002)


def killed(managers, program, catalog, folder, number, stack):
    """Seconds from SIGKILL of the leading manager until a write is answered by another one; then there is a new manager in its place."""
    name = leader(managers)
    survivor = next(server for other, (_, server) in managers.items() if other != name)
    begun = time.monotonic()
    os.kill(managers[name][0].pid, signal.SIGKILL)
    while True:
        status, answer = survivor.call("POST", "/api/v1/databases", {"name": f"k{number}"})
        if status == 201:
            break
        if status != 503 or time.monotonic() - begun > LIMIT:
            raise BenchmarkError(f"a write after the leader's end was answered with {status}: {answer}")
    seconds = time.monotonic() - begun
    del managers[name]
    new = f"manager-again-{number}"
    managers[new] = stack.enter_context(started(program, "manager", new, catalog, folder))
    return seconds


def _percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _table(figures):
    rows, notes = [], []
    for store, of in figures.items():
        takeover = of["takeover_s"]
        rows += [
            (store, f"a change, until one of {of['routers']} routers serves it", f"{of['changes']} changes", f"{of['p50_ms']:.1f} ms", f"{of['p99_ms']:.1f} ms",
             f"{of['max_ms']:.1f} ms", "100 ms (p99)"),
            (store, "SIGKILL of the leader, until a write is answered", f"{len(takeover)} kills", f"{median(takeover):.2f} s", f"{_percentile(takeover, 99):.2f} s",
             f"{max(takeover):.2f} s", "5 s"),
        ]
        rows += [
            (store, f"a router's start with {SHARDS} shards, until it plans by them", f"{len(of['start_s'])} starts", f"{median(of['start_s']):.2f} s",
             f"{_percentile(of['start_s'], 99):.2f} s", f"{max(of['start_s']):.2f} s", "1 s"),
            (store, f"changes of one of {SHARDS} shards, a second", "one after the other", f"{of['operations_per_second']:.0f}", "", "", "100"),
        ]
        notes.append(f"{store}: all routers serve a change after {of['all_routers_p99_ms']:.1f} ms (p99); a question to a router takes {of['asking_p50_ms']:.1f} ms (median).")
    return Table("Control plane", ("catalog", "from, to", "of", "median", "p99", "longest", "goal"), rows, notes)
