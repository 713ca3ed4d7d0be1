#!/usr/bin/env python3
"""A real Prometheus as remote-write sender: it scrapes synthetic targets and sends every sample to Prometheus, VictoriaMetrics and
Tocsin at once, so all three receive the same requests at the same time. Prints CPU-seconds a million samples of each receiver, its
resident memory, and whether a count over everything gives what the sender says it has sent.

    tests/bench/prometheus_sender.py TSBENCH [--targets 100] [--series 1000] [--interval 5] [--seconds 120] [--out results.json]

TSBENCH is the load tool built from ../shared/bench. Needs `prometheus` and `victoria-metrics` (Debian's) and TOCSIN_BINARY.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.parse

import real_captures
from daemon import cpu_seconds, free_port, http, memory_bytes, wait_until

SETTLE_S = 20  # until the sender has its final number of shards


def answers(url):
    with contextlib.suppress(OSError):
        return http("GET", url, timeout=5).status == 200
    return False


def sent_samples(url):
    """{receiver: samples it has acknowledged}, by the sender's own counter."""
    page = http("GET", url + "/metrics").text
    found = re.findall(r'prometheus_remote_storage_(samples|samples_failed|samples_dropped)_total\{remote_name="([^"]+)",.*?\} (\S+)', page)
    totals = {}
    for kind, name, value in found:
        totals.setdefault(name, {})[kind] = float(value)
    return totals


def ask(url, path, **parameters):
    answer = http("GET", f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=120)
    if answer.status != 200:
        raise SystemExit(f"{url}: {answer.status} {answer.text}")
    return json.loads(answer.text)["data"]


def count_all(url, at_s, span_s):
    """Samples of every metric in the stretch, asked a name at a time: count_over_time drops the name."""
    total = 0
    for name in ask(url, "label/__name__/values"):
        for series in ask(url, "query", query=f'sum(count_over_time({name}{{job="load"}}[{span_s}s]))', time=at_s)["result"]:
            total += float(series["value"][1])
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tsbench")
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=5, help="seconds between scrapes")
    parser.add_argument("--seconds", type=int, default=120, help="measured time")
    parser.add_argument("--out")
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())

        def start(command, log):
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            return process

        log = stack.enter_context(open(os.path.join(directory, "log"), "wb"))
        receivers = {server.name: stack.enter_context(real_captures.running(server)) for server in real_captures.SERVERS}
        pages = free_port()
        start([args.tsbench, "expose", "-listen", f"127.0.0.1:{pages}", "-targets", str(args.targets), "-series", str(args.series),
               "-step", str(args.interval), "-wall"], log)
        wait_until(lambda: answers(f"http://127.0.0.1:{pages}/t/0/metrics"), 30, what="tsbench expose")
        config = {
            "global": {"scrape_interval": f"{args.interval}s", "scrape_timeout": f"{args.interval}s"},
            "scrape_configs": [{
                "job_name": "load",
                "static_configs": [{"targets": [f"127.0.0.1:{pages}"], "labels": {"__metrics_path__": f"/t/{i}/metrics", "instance": f"t{i}"}}
                                   for i in range(args.targets)]}],
            "remote_write": [{"name": name, "url": url + "/api/v1/write"} for name, (url, _, _) in receivers.items()],
        }
        with open(os.path.join(directory, "sender.yml"), "w") as f:
            json.dump(config, f)  # JSON is YAML
        port = free_port()
        sender = f"http://127.0.0.1:{port}"
        start(["prometheus", f"--config.file={directory}/sender.yml", f"--storage.tsdb.path={directory}/data",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], log)
        wait_until(lambda: answers(sender + "/-/ready"), 60, what="the sender")
        time.sleep(SETTLE_S)
        before, cpu_before = sent_samples(sender), {name: cpu_seconds(pid) for name, (_, _, pid) in receivers.items()}
        time.sleep(args.seconds)
        after, cpu_after = sent_samples(sender), {name: cpu_seconds(pid) for name, (_, _, pid) in receivers.items()}
        results = {}
        for name, (url, _, pid) in receivers.items():
            samples = after[name]["samples"] - before[name]["samples"]
            results[name] = {
                "samples": samples,
                "failed": after[name].get("samples_failed", 0),
                "cpu_s_per_million": (cpu_after[name] - cpu_before[name]) / samples * 1e6,
                "peak_rss_mib": memory_bytes(pid, "VmHWM") / 2**20,
            }
        # The same whole stretch of every receiver, some time ago, when all of it has arrived everywhere.
        time.sleep(3 * args.interval)
        at_s, span_s = int(time.time()) - 3 * args.interval, args.seconds
        for name, (url, _, _) in receivers.items():
            results[name]["counted"] = count_all(url, at_s, span_s)
        for name, one in results.items():
            print(f"{name:17} {one['samples']:.0f} samples sent, {one['failed']:.0f} failed; {one['cpu_s_per_million']:.3f} CPU s per M; "
                  f"peak RSS {one['peak_rss_mib']:.0f} MiB; {one['counted']:.0f} counted in the same {span_s} s")
        print(f"sender's own count {count_all(sender, at_s, span_s):.0f}")
    if args.out:
        with open(args.out, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
