"""A flood of the worst queries beside scraping and rules: memory stays under its limit, no tick of a rule is late by more
than a tenth of its interval, no scrape is missed, and the status pages answer.

TOCSIN_FLOOD_SECONDS makes it longer (600: the figures of tests/bench/RESULTS.md); TOCSIN_FLOOD_SERIES and
TOCSIN_FLOOD_CONNECTIONS size it.
"""

import datetime
import json
import os
import subprocess
import sys
import time

from daemon import wait_until

SECONDS = float(os.environ.get("TOCSIN_FLOOD_SECONDS", "6"))
SERIES = int(os.environ.get("TOCSIN_FLOOD_SERIES", "2000"))
CONNECTIONS = int(os.environ.get("TOCSIN_FLOOD_CONNECTIONS", "32"))
INTERVAL = 2.0 if SECONDS < 60 else 5.0
MEMORY = 256 << 20
RULES = f"""
groups:
  - name: a
    interval: {INTERVAL:.0f}s
    rules:
      - {{record: "tick", expr: "sum(load_0)"}}
      - {{alert: Down, expr: "up == 0"}}
  - name: b
    interval: {INTERVAL:.0f}s
    rules:
      - {{record: "by_i", expr: "sum by (i) (rate(load_1[1m]))"}}
"""


def page():
    per_metric = SERIES // 10
    return "".join(
        f"# TYPE load_{m} gauge\n" + "".join(f'load_{m}{{i="{i}"}} {i * 7 % 13 + m}\n' for i in range(per_metric))
        for m in range(10)
    )


def parse(text):
    text = text.rstrip("Z")
    whole, _, fraction = text.partition(".")
    base = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp()
    return base + float("0." + (fraction or "0"))


def test_worst_queries_beside_scraping_and_rules(tocsin, target):
    source = target(page())
    daemon = tocsin(
        f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: load
    static_configs: [{{targets: ["{source.address}"]}}]
""",
        flags=[f"--query.max-memory={MEMORY >> 20}MB", "--query.timeout=20s", "--query.max-concurrency=16"],
        files={"rules.yml": RULES},
    )
    wait_until(lambda: daemon.value("count(load_0)") == SERIES // 10, what="the first scrape")
    wait_until(lambda: daemon.value("tick") is not None, what="the first tick")
    rss_before = daemon.rss_bytes()
    begun = time.time()
    clients = subprocess.Popen(
        ["nice", "-n", "15", sys.executable, os.path.join(os.path.dirname(__file__), "flood_clients.py"), daemon.url,
         str(SECONDS), str(CONNECTIONS)],
        stdout=subprocess.PIPE, text=True,
    )
    ticks = {"a": set(), "b": set()}
    rss, charged, slowest_status, listed = 0, 0, 0.0, 0
    while clients.poll() is None and time.time() - begun < SECONDS + 30:
        asked = time.monotonic()
        for group in daemon.get("/api/v1/rules").json()["data"]["groups"]:
            ticks[group["name"]].add(parse(group["lastEvaluation"]))
        slowest_status = max(slowest_status, time.monotonic() - asked)
        rss = max(rss, daemon.rss_bytes())
        listed = max(listed, len(daemon.get("/api/v1/status/active_queries").json()["data"]["queries"]))
        time.sleep(0.05)
    outcomes = json.loads(clients.communicate(timeout=30)[0])
    took = time.time() - begun
    metrics = dict(
        line.rsplit(" ", 1) for line in daemon.get("/metrics").text.splitlines() if line and line[0] != "#"
    )
    charged = float(metrics["tocsin_query_memory_peak_bytes"])

    lateness = 0.0
    for times in ticks.values():
        times = sorted(t for t in times if t > begun)
        phases = [t % INTERVAL for t in times]
        # Relative to the earliest; a group's phase is fixed, so phases differ by lateness alone.
        turn = min(phases, key=lambda p: sum((q - p) % INTERVAL for q in phases))
        lateness = max([lateness, *((p - turn) % INTERVAL for p in phases)])
        assert len(times) >= took / INTERVAL - 2, f"ticks are missing: {len(times)} in {took:.0f} s"
    samples = daemon.query(f"up[{int(took)}s]")[0]["values"]
    gaps = [later[0] - earlier[0] for earlier, later in zip(samples, samples[1:])]
    missed = sum(round(gap) - 1 for gap in gaps)
    ups = {value for _, value in samples}
    figures = {
        "seconds": round(took, 1), "outcomes": outcomes, "rss_mb": rss >> 20, "rss_before_mb": rss_before >> 20,
        "charged_mb": int(charged) >> 20, "latest_tick_s": round(lateness, 3), "interval_s": INTERVAL,
        "scrapes": len(samples), "missed": missed, "slowest_rules_page_s": round(slowest_status, 3),
        "most_active": listed,
    }
    print(json.dumps(figures))
    assert "200" in outcomes and sum(outcomes.values()) > 20, figures
    assert charged <= MEMORY, figures
    # Charged memory, what is not charged (responses on their way, allocator), and the daemon itself.
    assert rss <= rss_before + 2 * MEMORY, figures
    assert lateness <= 0.1 * INTERVAL, figures
    assert missed == 0 and ups == {"1"}, figures
    assert slowest_status < 2, figures
    assert set(outcomes) <= {"200", "hung up", "422 execution", "503 timeout", "499 canceled", "400 bad_data"}, figures
    # Who hung up stopped the work: nothing is left running.
    wait_until(lambda: daemon.get("/api/v1/status/active_queries").json()["data"]["queries"] == [], 25,
               what="an empty list of queries")
    assert daemon.value("tick") is not None
