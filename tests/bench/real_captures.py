#!/usr/bin/env python3
"""Real exporter pages through Prometheus, VictoriaMetrics and Tocsin: bytes a sample on disk after compaction, and whether what
comes back is what went in, to the bit.

    tests/bench/real_captures.py CAPTURE_DIR [--aligned] [--late] [--out results.json]

CAPTURE_DIR holds one file a scrape, NAME-<unix ms>.txt, as `tsbench capture` of ../shared/bench writes them. Every capture gets
servers of its own. Samples are sent by remote write in time order, with their true timestamps, or rounded to the whole second
with --aligned (what VictoriaMetrics' own scraper does). Needs `prometheus` and `victoria-metrics` (Debian's) and TOCSIN_BINARY.
"""

import argparse
import collections
import contextlib
import glob
import json
import math
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from daemon import BINARY, cpu_seconds, free_port, http, wait_until  # noqa: E402
from fakes import remote_write  # noqa: E402

ROWS_A_PUSH = 20
LINE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?')
ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parse(page, known):
    """[(key, value)]; `known` maps the text of a series to its labels."""
    samples = []
    for line in page.split("\n"):
        if not line or line[0] == "#":
            continue
        series, _, value = line.rpartition(" ")
        if series not in known:
            name, labels, _ = LINE.match(line).groups()
            found = {k: re.sub(r'\\.', lambda m: ESCAPES[m.group()], v) for k, v in LABEL.findall(labels or "")}
            known[series] = {"__name__": name, **{k: v for k, v in found.items() if v}}
        samples.append((series, float(value)))
    return samples


def read_captures(directory, aligned):
    """{name: ({series text: labels}, [(timestamp ms, [(series text, value)])])}, ascending."""
    found = collections.defaultdict(list)
    for path in glob.glob(os.path.join(directory, "*-*.txt")):
        name, ms = os.path.basename(path)[:-4].rsplit("-", 1)
        found[name].append((int(ms), path))
    captures = {}
    for name, pages in sorted(found.items()):
        known, rows = {}, []
        for ms, path in sorted(pages):
            with open(path) as f:
                t = (ms + 500) // 1000 * 1000 if aligned else ms
                if not rows or t > rows[-1][0]:
                    rows.append((t, parse(f.read(), known)))
        captures[name] = (known, rows)
    return captures


def pushes(name, known, rows):
    for i in range(0, len(rows), ROWS_A_PUSH):
        series = collections.defaultdict(list)
        for t, samples in rows[i : i + ROWS_A_PUSH]:
            for key, value in samples:
                series[key].append((t, value))
        yield [({**known[key], "job": name, "instance": name + ":9100"}, samples) for key, samples in series.items()]


def delayed(rows):
    """A tenth of the rows come up to an hour after their time, the same ones in each run."""
    chance = random.Random(11)
    arrivals = []
    for t, samples in rows:
        late = chance.random() < 0.1
        arrivals.append((t + (chance.randrange(3_600_000) if late else 0), t, samples))
    return [(t, samples) for _, t, samples in sorted(arrivals, key=lambda a: a[:2])]


def size(*paths):
    total = 0
    for pattern in paths:
        for path in glob.glob(pattern):
            for directory, _, files in os.walk(path):
                total += sum(os.path.getsize(os.path.join(directory, f)) for f in files)
    return total


class Server:
    def __init__(self, name, command, ready, compact, sizes):
        self.name, self.command, self.ready, self.compact, self.sizes = name, command, ready, compact, sizes


SERVERS = [
    Server(
        "prometheus",
        ["prometheus", "--config.file={dir}/c.yml", "--storage.tsdb.path={dir}/data", "--web.listen-address=127.0.0.1:{port}",
         "--web.enable-remote-write-receiver", "--web.enable-admin-api", "--storage.tsdb.retention.time=100y", "--log.level=warn"],
        "/-/ready", [("POST", "/api/v1/admin/tsdb/snapshot")], {"all": ["{dir}/data/snapshots"]}),
    Server(
        "victoria-metrics",
        ["victoria-metrics", "-storageDataPath={dir}/data", "-retentionPeriod=100y", "-httpListenAddr=127.0.0.1:{port}",
         "-loggerLevel=WARN", "-search.maxPointsPerTimeseries=1000000", "-search.maxStalenessInterval=1s"],
        "/health", [("GET", "/internal/force_flush"), ("GET", "/internal/force_merge")],
        {"all": ["{dir}/data"], "samples and index": ["{dir}/data/data/small", "{dir}/data/data/big", "{dir}/data/data/indexdb", "{dir}/data/indexdb"],
         "samples": ["{dir}/data/data/small", "{dir}/data/data/big"]}),
    Server(
        "tocsin",
        [os.environ.get("TOCSIN_BINARY", BINARY), "serve", "--config.file={dir}/c.yml", "--storage.tsdb.path={dir}/data",
         "--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--web.enable-admin-api",
         "--storage.tsdb.retention.time=100y", "--log.level=warn"],
        "/-/ready", [("POST", "/api/v1/admin/tsdb/compact")], {"all": ["{dir}/data"], "segments": ["{dir}/data/segments"]}),
]


@contextlib.contextmanager
def running(server):
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "c.yml"), "w") as f:
            f.write("global: {scrape_interval: 1h}\nstorage: {tsdb: {out_of_order_time_window: 2h}}\n" if server.name == "tocsin"
                    else "global: {scrape_interval: 1h}\n")
        port = free_port()
        command = [word.format(dir=directory, port=port) for word in server.command]
        with open(os.path.join(directory, "log"), "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:

            def ready():
                with contextlib.suppress(OSError):
                    return http("GET", url + server.ready, timeout=2).status == 200
                return False

            wait_until(ready, 60, what=server.name)
            yield url, directory, process.pid
        finally:
            process.terminate()
            process.wait(60)


def bits(value):
    return "NaN" if math.isnan(value) else struct.pack("<d", value)


def check(url, known, rows):
    """(samples that came back, of them with another value or at a time nobody sent), asked a metric name at a time."""
    sent = {(key, t): bits(v) for t, samples in rows for key, v in samples}
    by_labels = {json.dumps(labels, sort_keys=True): key for key, labels in known.items()}
    span = (rows[-1][0] - rows[0][0]) // 1000 + 5
    got = changed = 0
    for metric in sorted({labels["__name__"] for labels in known.values()}):
        query = urllib.parse.urlencode({"query": f"{metric}[{span}s]", "time": f"{rows[-1][0] / 1000:.3f}"})
        with urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=300) as r:
            result = json.load(r)["data"]["result"]
        for series in result:
            labels = {k: v for k, v in series["metric"].items() if k not in ("job", "instance")}
            key = by_labels.get(json.dumps(labels, sort_keys=True))
            for t, value in series["values"]:
                got += 1
                changed += sent.get((key, round(t * 1000))) != bits(float(value))
    return got, changed


def measure(server, name, known, rows, late):
    samples = sum(len(s) for _, s in rows)
    with running(server) as (url, directory, pid):
        idle = cpu_seconds(pid)
        for push in pushes(name, known, delayed(rows) if late else rows):
            status, body = remote_write(url, push, timeout=120)
            if status // 100 != 2:
                raise SystemExit(f"{server.name} refused {name}: {status} {body}")
        time.sleep(3)  # VictoriaMetrics shows samples a second later
        for method, path in server.compact:
            answer = http(method, url + path, b"" if method == "POST" else None, timeout=300)
            if answer.status // 100 != 2:
                raise SystemExit(f"{server.name}: {path} answered {answer.status} {answer.text}")
        time.sleep(3)
        result = {what: size(*(p.format(dir=directory) for p in paths)) / samples for what, paths in server.sizes.items()}
        result["cpu_ns"] = (cpu_seconds(pid) - idle) * 1e9 / samples
        result["returned"], result["changed"] = check(url, known, rows)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory")
    parser.add_argument("--aligned", action="store_true")
    parser.add_argument("--late", action="store_true", help="a tenth of the rows come up to an hour late")
    parser.add_argument("--only", default="", help="names of servers, comma separated")
    parser.add_argument("--out")
    args = parser.parse_args()
    results = {}
    for name, (known, rows) in read_captures(args.directory, args.aligned).items():
        print(f"{name}: {len(known)} series, {len(rows)} rows, {sum(len(s) for _, s in rows)} samples", flush=True)
        results[name] = {}
        for server in SERVERS:
            if args.only and server.name not in args.only.split(","):
                continue
            one = results[name][server.name] = measure(server, name, known, rows, args.late)
            sizes = ", ".join(f"{what} {one[what]:.3f}" for what in server.sizes)
            print(f"  {server.name:17} bytes/sample: {sizes}; {one['returned']} samples returned, {one['changed']} changed; {one['cpu_ns']:.0f} ns of CPU", flush=True)
    if args.out:
        with open(args.out, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
