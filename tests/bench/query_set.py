#!/usr/bin/env python3
"""query_set.py TSBENCH SERVER.json… [--work DIR] [--targets 10] [--ticks 5760] [--calls 100] [--rounds 5] [--json FILE]

Wall time (median, p99) and processor time of every query of the set, for each server beside the others: cold and warm,
result cache off and on. TSBENCH is the load tool of ../shared/bench, SERVER.json its server configs; the binaries they
name are found by PATH. Prints markdown tables; --json FILE keeps every single call.

The data are TSBENCH's: targets × 1,000 series × ticks of 15 s by remote write, the same for every server, which then
settles, and takes its `compact` calls for the cold rounds. One server runs at a time, and one call at a time.

  warm  the server as it is after the writes: one call that does not count, then --calls of them
  cold  before each of --rounds rounds: the server is stopped, its files are dropped from the page cache, and it is
        started again; then every query is called once, another one first in each round
  off   the `nocache` variant of the config (Prometheus has no result cache); on: without it

The p99 of few calls is their worst. Processor time is the process' own clock over all calls, by call, so that it counts
what a call leaves to be done after it. The load of the machine is printed: wall times mean something on a quiet one.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

DAY, HOUR = 86400, 3600
RATE = "sum by (mode) (rate(node_cpu_seconds_total[5m]))"
BUCKETS = "rate(http_request_duration_seconds_bucket[5m])"
# Name, expression or path, seconds before the end (0: instant), step.
QUERIES = [
    ("rate by mode, 1 h, 15 s", RATE, HOUR, 15),
    ("rate by mode, 24 h, 60 s", RATE, DAY, 60),
    ("histogram_quantile, 1 h, 60 s", f"histogram_quantile(0.99, sum by (le) ({BUCKETS}))", HOUR, 60),
    ("histogram_quantile by handler, 24 h, 5 m", f"histogram_quantile(0.99, sum by (le, handler) ({BUCKETS}))", DAY, 300),
    ("count of everything by instance", 'count by (instance) ({__name__=~".+"})', 0, 0),
    ("count_over_time 1 h", "sum(count_over_time(node_cpu_seconds_total[1h]))", 0, 0),
    ("topk of rates, 1 h, 60 s", "topk(10, rate(node_network_receive_bytes_total[5m]))", HOUR, 60),
    ("increase 1 h", "sum by (instance) (increase(http_request_duration_seconds_count[1h]))", 0, 0),
    ("avg_over_time 1 h", "avg_over_time(node_cpu_frequency_hertz[1h])", 0, 0),
    ("avg_over_time 1 h, 24 h, 5 m", "avg by (instance) (avg_over_time(node_cpu_frequency_hertz[1h]))", DAY, 300),
    ("ratio, 1 h, 60 s", "max by (instance) (1 - node_filesystem_avail_bytes / node_filesystem_size_bytes)", HOUR, 60),
    ("regex, 1 h, 60 s",
     'sum by (instance) (node_network_receive_bytes_total{instance=~"host-00[0-4].*",device=~"eth.*|bond.*"})', HOUR, 60),
    ("one series, 24 h, 60 s", 'node_load1{instance="host-0003:9100"}', DAY, 60),
    ("series call", "/api/v1/series?match[]=" + urllib.parse.quote('node_cpu_seconds_total{mode="idle"}'), HOUR, 0),
    ("values of instance", "/api/v1/label/instance/values", HOUR, 0),
]


class Server:
    def __init__(self, config, directory):
        self.config, self.directory = config, directory
        self.process = None
        self.connection = None
        self.port = free_port()
        os.makedirs(directory)
        for name, text in config["files"].items():
            with open(os.path.join(directory, name), "w") as f:
                f.write(self.fill(text))

    def fill(self, text):
        return text.replace("{dir}", self.directory).replace("{port}", str(self.port)).replace("{scrape_configs}", "")

    def start(self):
        with open(os.path.join(self.directory, "server.log"), "a") as log:
            self.process = subprocess.Popen([self.fill(a) for a in self.config["cmd"]], stdout=log, stderr=log,
                                            cwd=self.directory)
        deadline = time.time() + 300
        while time.time() < deadline and self.process.poll() is None:
            try:
                if self.get(self.config["ready"])[0] // 100 == 2:
                    return
            except OSError:
                self.connection = None
            time.sleep(0.02)
        sys.exit(f"{self.config['name']} does not become ready, see {self.directory}/server.log")

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(180)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = self.connection = None

    def get(self, path, method="GET"):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.request(method, path)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def call(self, path):
        """Wall seconds."""
        begun = time.perf_counter()
        status, body = self.get(path)
        took = time.perf_counter() - begun
        if status != 200:
            sys.exit(f"{self.config['name']}: {status} {body[:300]!r} to {path}")
        return took

    def cpu(self):
        # clock_getcpuclockid(3) of another process, ns.
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def settle(self):
        quiet, before = 0, self.cpu()
        for _ in range(60):
            time.sleep(1)
            now = self.cpu()
            quiet = quiet + 1 if now - before < 0.05 else 0
            before = now
            if quiet == 3:
                return

    def drop_files(self):
        for folder, _, names in os.walk(self.directory):
            for name in names:
                try:
                    fd = os.open(os.path.join(folder, name), os.O_RDONLY)
                except OSError:
                    continue
                os.fsync(fd)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)

    def variant(self, cache):
        return "" if cache == "on" else self.config.get("query_variants", {}).get("nocache", "")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def path_of(query, end, variant):
    _, expr, seconds, step = query
    if expr.startswith("/"):
        path = expr + ("&" if "?" in expr else "?") + f"start={end - seconds}&end={end}"
    elif seconds == 0:
        path = f"/api/v1/query?query={urllib.parse.quote(expr)}&time={end}"
    else:
        path = f"/api/v1/query_range?query={urllib.parse.quote(expr)}&start={end - seconds}&end={end}&step={step}"
    return path + ("&" + variant if variant else "")


def warm(server, end, cache, calls, seconds):
    figures = {}
    for query in QUERIES:
        path = path_of(query, end, server.variant(cache))
        server.call(path)
        begun, walls, until = server.cpu(), [], time.time() + seconds
        while len(walls) < calls and (len(walls) < 5 or time.time() < until):
            walls.append(server.call(path))
        figures[query[0]] = {"wall": walls, "cpu": (server.cpu() - begun) / len(walls)}
    return figures


def cold(server, end, cache, rounds):
    figures = {query[0]: {"wall": [], "cpus": []} for query in QUERIES}
    for n in range(rounds):
        server.stop()
        server.drop_files()
        server.start()
        server.settle()
        turn = n * len(QUERIES) // rounds
        for query in QUERIES[turn:] + QUERIES[:turn]:
            begun = server.cpu()
            figures[query[0]]["wall"].append(server.call(path_of(query, end, server.variant(cache))))
            figures[query[0]]["cpus"].append(server.cpu() - begun)
    for figure in figures.values():
        figure["cpu"] = quantile(figure.pop("cpus"), 0.5)
    return figures


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(q * len(values)))]


def measure(config, options, end):
    server = Server(config, os.path.join(options.work, config["name"]))
    try:
        server.start()
        subprocess.run([options.tsbench, "write", "-targets", str(options.targets), "-series", "1000", "-ticks",
                        str(options.ticks), "-start", str((end - (options.ticks - 1) * 15) * 1000), "-url",
                        f"http://127.0.0.1:{server.port}{config['write']}"], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        server.settle()
        passes = {}
        for cache in ("off", "on"):
            passes[f"warm, cache {cache}"] = warm(server, end, cache, options.calls, options.seconds)
        for call in config.get("compact", []):
            method, path = call.split(" ", 1)
            server.get(path, method)
        server.settle()
        for cache in ("off", "on"):
            passes[f"cold, cache {cache}"] = cold(server, end, cache, options.rounds)
        return passes
    finally:
        server.stop()
        shutil.rmtree(server.directory, ignore_errors=True)


def report(results):
    names = list(results)
    for turn in next(iter(results.values())):
        print(f"\n{turn}: wall ms median / p99, CPU ms\n")
        print("| query | " + " | ".join(names) + " |")
        print("| --- |" + " --- |" * len(names))
        for query in QUERIES:
            cells = []
            for name in names:
                figure = results[name][turn][query[0]]
                wall = [quantile(figure["wall"], q) * 1000 for q in (0.5, 0.99)]
                cells.append(f"{wall[0]:.1f} / {wall[1]:.1f}, {figure['cpu'] * 1000:.1f}")
            print(f"| {query[0]} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tsbench")
    parser.add_argument("servers", nargs="+")
    parser.add_argument("--work", default=None, help="where the servers keep their data; made and removed")
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--ticks", type=int, default=5760)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20, help="stop repeating a warm query after so long")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", default=None)
    options = parser.parse_args()
    own_work = options.work is None
    options.work = tempfile.mkdtemp(prefix="tocsin-query-set-") if own_work else options.work
    end = (int(time.time()) - 4800) // 15 * 15
    results = {}
    print(f"{options.targets} targets × 1,000 series × {options.ticks} ticks; {time.strftime('%Y-%m-%d %H:%M')} UTC")
    try:
        for path in options.servers:
            with open(path) as f:
                config = json.load(f)
            before = os.getloadavg()[0]
            results[config["name"]] = measure(config, options, end)
            print(f"{config['name']}: load {before:.1f} before, {os.getloadavg()[0]:.1f} after", flush=True)
    finally:
        if own_work:
            shutil.rmtree(options.work, ignore_errors=True)
    report(results)
    if options.json:
        with open(options.json, "w") as f:
            json.dump(results, f)


if __name__ == "__main__":
    main()
