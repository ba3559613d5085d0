"""Processes of a run: started so that none outlives it, and what they cost in CPU time and memory."""

import contextlib
import ctypes
import os
import pwd
import resource
import signal
import socket
import subprocess
import time


class BenchmarkError(Exception):
    """A benchmark could not be made; the text says why in one line."""


def _end_with_parent():
    """In the child: a killed run leaves nobody behind (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)


class Child:
    """A process in a session of its own, so that Ctrl-C reaches it through `stop` and in the right order only."""

    def __init__(self, command, log, user=None, env=None):
        self.log = log
        account = {}
        if user is not None:
            entry = pwd.getpwnam(user)
            account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with open(log, "wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                preexec_fn=_end_with_parent, env={**os.environ, **(env or {})}, **account)
        self.pid = self.process.pid

    @property
    def has_ended(self):
        return self.process.poll() is not None

    def tail(self, lines=8):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-lines:]).strip()

    def stop(self, patience=30):
        if not self.has_ended:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextlib.contextmanager
def running(command, log, **options):
    child = Child(command, log, **options)
    try:
        yield child
    finally:
        child.stop()


def wait_until(condition, child, what, limit=60):
    """Returns what `condition` answers as soon as it is true; fails when `child` ends or the limit (seconds) passes."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        if child.has_ended:
            raise BenchmarkError(f"{what} ended at its start:\n{child.tail()}")
        time.sleep(0.05)
    raise BenchmarkError(f"{what} was not ready within {limit} s:\n{child.tail()}")


def allow_files(count):
    """Raises the limit of open files, for this process and those that it starts, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count if hard == resource.RLIM_INFINITY else min(count, hard), hard))


def accepts_connections(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(command, what, **options):
    """The standard output of a command that must succeed."""
    try:
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{what} did not end within {error.timeout:.0f} s") from None
    if result.returncode != 0:
        raise BenchmarkError(f"{what} failed ({result.returncode}): {result.stderr.strip()[-600:]}")
    return result.stdout


# What a process costs


class CPUClock:
    """CPU time of all threads of a process, in seconds; nanosecond steps where the kernel counts them (CONFIG_SCHED_INFO)."""

    def __init__(self, pid):
        self.pid = pid
        self.start = self._read()

    def elapsed(self):
        """Seconds since the clock was made. A thread that ended in the meantime is not counted; the servers keep theirs."""
        now = self._read()
        return sum(time - self.start.get(thread, 0) for thread, time in now.items())

    def _read(self):
        try:
            return {
                thread: int(open(f"/proc/{self.pid}/task/{thread}/schedstat").read().split()[0]) / 1e9
                for thread in os.listdir(f"/proc/{self.pid}/task")
            }
        except FileNotFoundError:
            fields = open(f"/proc/{self.pid}/stat").read().rpartition(")")[2].split()
            return {"all": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")}


class TreeClock:
    """CPU time of processes with all that descend from them, in seconds; those that have ended count once their parent has taken note of it. Steps of the system's clock tick."""

    def __init__(self, pids):
        self.pids = pids
        self.start()

    def start(self):
        self.begin = self._read()

    def elapsed(self):
        return self._read() - self.begin

    def _read(self):
        parents, times = {}, {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                fields = open(f"/proc/{name}/stat").read().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents[int(name)], times[int(name)] = int(fields[1]), sum(map(int, fields[11:15]))
        total = 0
        for pid in times:
            ancestor = pid
            while ancestor in parents and ancestor not in self.pids:
                ancestor = parents[ancestor]
            if ancestor in self.pids:
                total += times[pid]
        return total / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    """Memory that is the process's own or touched by it (VmRSS)."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError(f"process {pid} has no memory: it has ended")


def reset_peak(pid):
    """What `peak_bytes` tells begins anew."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")


def peak_bytes(pid):
    """The most that `resident_bytes` has been (VmHWM)."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise BenchmarkError(f"process {pid} has no memory: it has ended")


def private_bytes(pid):
    """Memory that only this process has: what one more of it would cost. Without pages of files that others map, too."""
    total = 0
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith(("Private_Clean:", "Private_Dirty:")):
            total += int(line.split()[1]) * 1024
    return total
