#!/usr/bin/env python3
"""A kill -9 at a million series, and the start after it: wall time, CPU, memory, lost samples. One command does all of it.

    tests/bench/recovery.py --tsbench PATH [--targets 1000] [--series 1000] [--ticks 480] [--starts 3] [--keep DIR] [--out FILE]
    tests/bench/recovery.py --from DIR            the starts alone, from what an earlier run kept
    tests/bench/recovery.py --loss [KILLS]        what a kill -9 takes of scrapes each second; needs no tsbench

`tsbench` (../shared/bench) pushes the samples; the last tick is 105 s behind a half hour, so that as much as can be (32 minutes)
is in no segment yet. Each start is from a fresh copy of the directory: `kill` as the crash left it, `clean` after one more start
and SIGTERM. Measured from exec: scraping begins (the log says so), first scrape (of one target with an interval of a second),
ready, the first query (of one metric name, asked at once), every series counted, one query a metric name; once, every
acknowledged sample. VmHWM and CPU seconds at ready and after the queries. TOCSIN_BINARY names the daemon.
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from daemon import Tocsin, cpu_seconds, memory_bytes, wait_until  # noqa: E402
from fakes import NumberedTarget  # noqa: E402

TICK_S = 15
HALF_HOUR_S = 1800
FLAGS = ["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--query.max-samples=100000000000", "--log.level=info"]


def config(addresses):
    return json.dumps(
        {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "loss", "static_configs": [{"targets": addresses}]}],
        }
    )


def mib(pid, field):
    return memory_bytes(pid, field) / 2**20


def instant(daemon, expr, at_s):
    """(value of a one-element answer, 0 for none; seconds)"""
    begun = time.monotonic()
    answer = daemon.get("/api/v1/query", query=expr, time=at_s, timeout="110s")
    took = time.monotonic() - begun
    assert answer.status == 200, answer.text
    result = answer.json()["data"]["result"]
    return (float(result[0]["value"][1]) if result else 0.0), took


def ingest(arguments, daemon):
    """Pushes everything and kills the daemon. What is known of it then."""
    now = time.time()
    last_s = now // HALF_HOUR_S * HALF_HOUR_S + 105
    if last_s > now - 60:
        last_s -= HALF_HOUR_S
    start_s = last_s - (arguments.ticks - 1) * TICK_S
    daemon.start()
    begun = time.monotonic()
    run = subprocess.run(
        [arguments.tsbench, "write", "-targets", str(arguments.targets), "-series", str(arguments.series), "-ticks", str(arguments.ticks),
         "-start", str(int(start_s * 1000)), "-url", daemon.url + "/api/v1/write"],
        stdout=subprocess.PIPE, check=True,
    )
    acknowledged = json.loads(run.stdout)["Acked"]
    pid = daemon.process.pid
    facts = {
        "series": arguments.targets * arguments.series,
        "acknowledged": acknowledged,
        "last_s": last_s,
        "span_s": arguments.ticks * TICK_S,
        "ingest_wall_s": round(time.monotonic() - begun, 1),
        "ingest_cpu_s": round(cpu_seconds(pid), 2),
        "ingest_peak_mib": round(mib(pid, "VmHWM")),
        "ingest_rss_mib": round(mib(pid, "VmRSS")),
    }
    daemon.kill()
    facts["log_mib"] = round(sum(e.stat().st_size for e in os.scandir(os.path.join(daemon.data, "wal"))) / 2**20, 1)
    return facts


def start_once(daemon, target, facts):
    """Starts, waits for readiness, asks at once."""
    scraped_before = len(target.asked)
    logged = len(daemon.log())
    begun = time.monotonic()
    daemon.start(ready=False)
    pid = daemon.process.pid
    wait_until(daemon.is_ready, 120, 0.005, "readiness")
    figures = {"ready_s": time.monotonic() - begun, "ready_cpu_s": cpu_seconds(pid), "ready_peak_mib": mib(pid, "VmHWM")}
    asked = time.monotonic()
    count, figures["first_query_s"] = instant(daemon, 'count(node_cpu_seconds_total{job!="loss"})', facts["last_s"])
    count = sum(instant(daemon, f"count({selector})", facts["last_s"])[0] for selector in selectors(daemon))
    figures.update({"all_counted_s": time.monotonic() - asked, "counted_cpu_s": cpu_seconds(pid), "counted_peak_mib": mib(pid, "VmHWM")})
    assert count == facts["series"], (count, facts["series"])
    begins = re.findall(r'msg=(?:"scraping[^"]*"|ready) after_ms=(\d+)', daemon.log()[logged:])
    figures["scraping_s"] = int(begins[0]) / 1000
    wait_until(lambda: len(target.asked) > scraped_before, 60, 0.01, "a scrape")
    figures["first_scrape_s"] = target.asked[scraped_before] - begun
    return {name: round(value, 3 if name.endswith("_s") else 0) for name, value in figures.items()}


def selectors(daemon):
    """One a metric name; without the series of the scraped target."""
    names = daemon.get("/api/v1/label/__name__/values").json()["data"]
    return ['{__name__="%s",job!="loss"}' % name for name in names]


def count_samples(daemon, facts):
    """Every stored sample."""
    window = f"[{facts['span_s'] + 60}s]"
    return int(sum(instant(daemon, f"sum(count_over_time({s}{window}))", facts["last_s"])[0] for s in selectors(daemon)))


def starts(arguments, kept, facts):
    target = NumberedTarget()
    figures = {"kill": [], "clean": []}
    try:
        for round_ in range(arguments.starts):
            with tempfile.TemporaryDirectory(prefix="tocsin-recovery-") as directory:
                shutil.copytree(kept, os.path.join(directory, "data"))
                daemon = Tocsin(directory, config([target.address]), FLAGS)
                try:
                    figures["kill"].append(start_once(daemon, target, facts))
                    if round_ == 0:
                        figures["lost_samples"] = facts["acknowledged"] - count_samples(daemon, facts)
                    begun = time.monotonic()
                    daemon.stop(60)
                    stopped_s = time.monotonic() - begun
                    figures["clean"].append({"stop_s": round(stopped_s, 3), **start_once(daemon, target, facts)})
                finally:
                    if daemon.process and daemon.process.poll() is None:
                        daemon.kill()
            for kind in ("kill", "clean"):
                print(kind, json.dumps(figures[kind][-1]), flush=True)
    finally:
        target.close()
    return figures


def loss(kills):
    """Pages that were served and are not stored, and how long before the kill the oldest of them was asked for."""
    targets = [NumberedTarget() for _ in range(40)]
    lost_s, served, kill_times = [], 0, []
    with tempfile.TemporaryDirectory(prefix="tocsin-loss-") as directory:
        daemon = Tocsin(directory, config([t.address for t in targets]), FLAGS)
        try:
            for _ in range(kills):
                daemon.start()
                time.sleep(2 + random.random())
                kill_times.append(time.monotonic())
                daemon.kill()
            daemon.start()
            time.sleep(1.5)
            now = time.time()
            for target in targets:
                expr = f'page_number{{instance="{target.address}"}}[1h]'
                result = daemon.get("/api/v1/query", query=expr, time=now).json()["data"]["result"]
                stored = {int(float(v)) for series in result for _, v in series["values"]}
                served += sum(asked <= kill_times[-1] for asked in target.asked)
                lost_s += [s for killed in kill_times for s in target.lost_s(stored, killed)]
        finally:
            if daemon.process and daemon.process.poll() is None:
                daemon.kill()
            for target in targets:
                target.close()
    return {"pages": served, "lost": len(lost_s), "oldest_ms": round(max(lost_s, default=0) * 1000, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tsbench")
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--ticks", type=int, default=480)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--keep", help="where the directory of the killed daemon stays")
    parser.add_argument("--from", dest="kept", help="such a directory")
    parser.add_argument("--loss", type=int, nargs="?", const=10)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    if arguments.loss:
        print(json.dumps(loss(arguments.loss)))
        return
    if not arguments.kept and not arguments.tsbench:
        parser.error("--tsbench or --from")
    with tempfile.TemporaryDirectory(prefix="tocsin-recovery-") as directory:
        kept = arguments.kept or arguments.keep or os.path.join(directory, "kept")
        if arguments.kept:
            with open(os.path.join(kept, "facts.json")) as f:
                facts = json.load(f)
        else:
            daemon = Tocsin(os.path.join(directory, "ingest"), "", FLAGS)
            try:
                facts = ingest(arguments, daemon)
            finally:
                if daemon.process and daemon.process.poll() is None:
                    daemon.kill()
            os.makedirs(kept)
            shutil.move(daemon.data, os.path.join(kept, "data"))
            with open(os.path.join(kept, "facts.json"), "w") as f:
                json.dump(facts, f)
        print(json.dumps(facts), flush=True)
        figures = {"load": os.getloadavg()[0], "facts": facts, **starts(arguments, os.path.join(kept, "data"), facts)}
    print(json.dumps({"lost_samples": figures["lost_samples"]}))
    if arguments.out:
        with open(arguments.out, "w") as f:
            json.dump(figures, f, indent=1)


if __name__ == "__main__":
    main()
