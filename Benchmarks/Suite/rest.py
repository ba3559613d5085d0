"""REST: point reads by POST /v1/execute, with wrk, beside point reads over the wire whose text is new each time, with pgbench."""

import json
import os
import re

from cluster import ROWS
from pgbench import NEW_TEXTS, point_reads
from processes import BenchmarkError, CPUClock, run
from report import Table, median, microseconds

CONNECTIONS = [1, 32]

# One request a key, keys in an order without pattern; an answer that is no row is counted.
SCRIPT = """
-- Global, so that `done` can read it from each thread.
bad = 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) math.randomseed(7); bad = 0 end
function request()
  local body = string.format('{"database": "%s", "query": "SELECT abalance FROM pgbench_accounts WHERE aid = $1", "params": [%d]}', math.random(%d))
  return wrk.format("POST", "/v1/execute", {["Content-Type"] = "application/json"}, body)
end
function response(status, headers, body)
  if status ~= 200 or not string.find(body, '"row_count":1', 1, true) then bad = bad + 1 end
end
function done(summary, latency, requests)
  local all = 0
  for _, thread in ipairs(threads) do all = all + thread:get("bad") end
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration, all,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def measure(demo, options, folder, progress):
    seconds = 2 if options.quick else 5
    rounds = options.rounds or (3 if options.quick else 5)
    script = os.path.join(folder, "execute.lua")
    with open(script, "w") as file:
        # The script's own formats stay; the two of ours are filled in.
        file.write(SCRIPT.replace('"%s"', f'"{demo.database}"').replace("random(%d)", f"random({ROWS})"))
    figures = []
    for connections in CONNECTIONS:
        _requests(demo, script, connections, 1)
        progress(f"REST with {connections} connections, {rounds} rounds")
        taken = []
        for _ in range(rounds):
            taken.append(_requests(demo, script, connections, seconds) | _new_texts(demo, connections, seconds, folder))
        figures.append({"connections": connections, **{name: median(one[name] for one in taken) for name in taken[0]}})
    return _table(figures, seconds, rounds), figures


def _requests(demo, script, connections, seconds):
    clock = CPUClock(demo.router_pid)
    output = run(["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", script, demo.router_url], "wrk")
    cpu = clock.elapsed()
    result = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", output)
    if not result:
        raise BenchmarkError("wrk gave no result: " + output[-300:])
    count, duration, bad, failed, p50, p99 = map(int, result.groups())
    if bad or failed or not count:
        raise BenchmarkError(f"{bad} of {count} REST answers were not one row, {failed} requests failed")
    return {"requests_per_second": count / (duration / 1e6), "cpu_us_per_request": cpu / count * 1e6,
            "p50_ms": p50 / 1000, "p99_ms": p99 / 1000}


def _new_texts(demo, clients, seconds, folder):
    clock = CPUClock(demo.router_pid)
    reading = point_reads(demo.dsn, "simple", clients, seconds, folder, [NEW_TEXTS])
    return {"wire_cpu_us_per_query": clock.elapsed() / reading.count * 1e6}


def _table(figures, seconds, rounds):
    rows = [(str(cell["connections"]), f"{cell['requests_per_second']:,.0f}", microseconds(cell["cpu_us_per_request"] / 1e6),
             f"{cell['p50_ms']:.2f}", f"{cell['p99_ms']:.2f}", microseconds(cell["wire_cpu_us_per_query"] / 1e6),
             f"{cell['cpu_us_per_request'] / cell['wire_cpu_us_per_query']:.2f}") for cell in figures]
    return Table("REST, POST /v1/execute, point read by key", ("connections", "requests/s", "router CPU", "p50 ms", "p99 ms", "wire, new text", "ratio"), rows,
                 [f"CPU time per request of the whole router; medians of {rounds} rounds of {seconds} s; wrk with one thread."])
