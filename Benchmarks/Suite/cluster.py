"""What is measured: a demo cluster of the release build, and PgBouncer in front of one of the same servers."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from processes import BenchmarkError, accepts_connections, free_port, run, running, wait_until

ROWS = 100_000
# Neither side may wait for a backend: 32 clients at most.
POOL = 40


def scratch_folder():
    """A folder that the unprivileged account of a server may enter, too."""
    folder = tempfile.mkdtemp(prefix="pgmosaic-bench-")
    os.chmod(folder, 0o755)
    return folder


@contextlib.contextmanager
def temporary_folder():
    folder = scratch_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Demo:
    """Its shards, a manager and a router with one event loop, as `demo.json` describes them."""

    def __init__(self, description, folder):
        self.folder = folder
        router = description["routers"][0]
        self.router_pid = router["pid"]
        self.manager_pid = description["managers"][0]["pid"]
        self.manager_url = description["managers"][0]["url"]
        self.router_url = router["url"]
        self.dsn = router["dsn"]
        self.database = description["database"]
        self.shards = description["shards"]


@contextlib.contextmanager
def demo(program, folder, shards=4):
    folder = os.path.join(folder, "demo")
    command = [program, "demo", "--dir", folder, "--shards", str(shards), "--dataset", "none",
               "--wire-port", "0", "--router-port", "0", "--manager-port", "0"]
    # One event loop, because PgBouncer has one; the manager's settings have other names.
    environment = {"PGMOSAIC_ROUTER_LOOPS": "1", "PGMOSAIC_ROUTER_POOL_SIZE_MAX": str(POOL),
                   "PGMOSAIC_ROUTER_WIRE_CLIENTS_MAX": "20000"}
    with running(command, folder + ".log", env=environment) as child:
        description = wait_until(lambda: _ready_description(folder), child, "the demo", limit=120)
        yield Demo(description, folder)
        # Its shards' data is a lot to remove; the folder goes with the run.


def _ready_description(folder):
    try:
        with open(os.path.join(folder, "demo.json")) as file:
            description = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    return description if description.get("ready") else None


@contextlib.contextmanager
def router(demo, program, folder, name, loops, wrapper=(), limit=60):
    """A further router over the demo's catalog, with so many event loops; `wrapper` is what runs it. Gives its process and its DSN."""
    wire, http = free_port(), free_port()
    with open(os.path.join(demo.folder, "config", "router-1.yaml")) as file:
        shared = [line for line in file if line.startswith(("catalog:", "secrets:"))]
    config = os.path.join(folder, name + ".yaml")
    with open(config, "w") as file:
        file.write("".join(shared) + f"id: {name}\nloops: {loops}\nwire: {{port: {wire}, auth: scram}}\nhttp: {{port: {http}, auth: none}}\n"
                   f"pool: {{size_max: {POOL}}}\nshutdown: {{grace: 1s}}\n")
    target = urllib.parse.urlsplit(demo.dsn)
    dsn = target._replace(netloc=f"{target.netloc.rpartition('@')[0]}@127.0.0.1:{wire}").geturl()
    with running([*wrapper, program, "router", "--config", config], os.path.join(folder, name + ".log")) as child:
        wait_until(lambda: accepts_connections(wire) and _answers(dsn), child, f"the router {name}", limit=limit)
        yield child, dsn


def _answers(dsn):
    return subprocess.run(["psql", "-X", "-q", "-A", "-t", "-d", dsn, "-c", "SELECT 1"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


def psql(dsn, *statements, stdin=None, rows=False):
    """Runs the statements and answers what psql prints; `rows`: nothing but values."""
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn] + (["-A", "-t"] if rows else [])
    for statement in statements:
        command += ["-c", statement]
    return run(command, "psql", input=stdin)


TABLE = "CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))"
LOAD = "COPY pgbench_accounts FROM STDIN"


def load_accounts(demo):
    """The same rows over the four shards, through the router, and in one database of the first shard's server. Answers the latter's DSN."""
    rows = "".join(f"{aid}\t1\t{aid % 1000}\t\n" for aid in range(1, ROWS + 1))
    psql(demo.dsn, "SELECT pgmosaic.shard_table('pgbench_accounts', 'aid')")
    psql(demo.dsn, TABLE)
    psql(demo.dsn, LOAD, stdin=rows)
    server = urllib.parse.urlsplit(demo.shards[0]["dsn"])
    psql(demo.shards[0]["dsn"], "CREATE DATABASE plain")
    plain = server._replace(path="/plain").geturl()
    psql(plain, TABLE)
    psql(plain, LOAD, stdin=rows)
    for dsn in [plain] + [shard["dsn"] for shard in demo.shards]:
        psql(dsn, "VACUUM (ANALYZE, FREEZE) pgbench_accounts", "CHECKPOINT")
    counts = [int(psql(shard["dsn"], "SELECT count(*) FROM pgbench_accounts", rows=True)) for shard in demo.shards]
    if sum(counts) != ROWS or min(counts) == 0:
        raise BenchmarkError(f"the shards hold {counts} rows, not {ROWS} together")
    return plain


class PgBouncer:
    def __init__(self, pid, port, user, password):
        self.pid = pid
        self.password_dsn = f"postgres://{user}:{password}@127.0.0.1:{port}/plain"
        self.transaction_dsn = f"postgres://{user}@127.0.0.1:{port}/plain"
        self.session_dsn = f"postgres://{user}@127.0.0.1:{port}/plain_session"


@contextlib.contextmanager
def pgbouncer(dsn, folder, clients_max=20_000, name="pgbouncer", auth="trust"):
    """PgBouncer with its defaults in front of one database; two pools of it, which differ in `pool_mode`."""
    program = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise BenchmarkError("pgbouncer is not installed (Debian package pgbouncer)")
    server = urllib.parse.urlsplit(dsn)
    target = f"host=127.0.0.1 port={server.port} dbname={server.path[1:]}"
    port = free_port()
    folder = os.path.join(folder, name)
    os.mkdir(folder, 0o755)
    with open(os.path.join(folder, "users.txt"), "w") as file:
        file.write(f'"{server.username}" "{urllib.parse.unquote(server.password)}"\n')
    with open(os.path.join(folder, "pgbouncer.ini"), "w") as file:
        file.write(
            f"[databases]\nplain = {target} pool_mode=transaction\nplain_session = {target} pool_mode=session\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = {auth}\nauth_file = {folder}/users.txt\npool_mode = transaction\n"
            f"default_pool_size = {POOL}\nmax_client_conn = {clients_max}\nlog_connections = 0\nlog_disconnections = 0\n")
    # It refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    with running([program, os.path.join(folder, "pgbouncer.ini")], folder + ".log", user=user) as child:
        wait_until(lambda: accepts_connections(port), child, "pgbouncer")
        yield PgBouncer(child.pid, port, server.username, server.password)


def settle():
    """Lets what follows a start (the first catalog reads, autovacuum) pass."""
    time.sleep(2)
