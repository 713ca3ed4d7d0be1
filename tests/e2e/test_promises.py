"""Promises of the storage (tests/README.md) as a user would check them on the real binary."""

import random
import re
import threading
import time

from daemon import memory_bytes, wait_until
from fakes import NumberedTarget, remote_write

WRITE = ["--web.enable-remote-write-receiver"]
SCRAPE = """
global: {scrape_interval: 100ms, scrape_timeout: 100ms}
scrape_configs: [{job_name: t, static_configs: [{targets: ["%s"]}]}]
"""


def test_r2_kill_nine_costs_scrapes_of_a_moment(tocsin):
    """100 ms by tests/tsdb/promises_test.cc; here with a scheduler that other tests keep busy."""
    page = NumberedTarget()
    try:
        daemon = tocsin(SCRAPE % page.address)
        for _ in range(3):
            begun = len(page.asked)
            wait_until(lambda: len(page.asked) > begun + 10, what="ten scrapes")
            time.sleep(random.random() * 0.2)
            killed = time.monotonic()
            daemon.kill()
            asked = list(page.asked)
            daemon.start()
            kept = {int(float(v)) for s in daemon.get("/api/v1/query", query="page_number[10m]").json()["data"]["result"] for _, v in s["values"]}
            owed = {n for n, when in enumerate(asked, 1) if when < killed - 1 and n > begun}
            assert owed and owed <= kept, sorted(owed - kept)
    finally:
        page.close()


def test_r4_after_a_kill_every_query_answers_once_ready(tocsin, target):
    series, rows = 2000, 40
    exporter = target("up_and_running 1\n")
    daemon = tocsin((SCRAPE % exporter.address).replace("100ms", "1s"), WRITE)
    now = int(time.time() * 1000)
    for row in range(rows):
        t = now - (rows - row) * 15_000
        pushed = [({"__name__": "m", "k": str(k), "job": "j"}, [(t, float(row * k))]) for k in range(series)]
        assert remote_write(daemon.url, pushed) == (204, "")
    count = f"count(m) == {series} and sum(count_over_time(m[30m])) == {series * rows}"
    assert daemon.value("sum(count_over_time(m[30m]))", now / 1000) == series * rows
    before = daemon.rss_bytes()
    daemon.kill()
    scrapes = exporter.scrapes
    began = time.monotonic()
    daemon.start(ready=False)
    first_scrape = []
    watcher = threading.Thread(
        target=lambda: first_scrape.append(wait_until(lambda: exporter.scrapes > scrapes and time.monotonic() - began, 20, 0.01))
    )
    watcher.start()
    wait_until(daemon.is_ready, 20, 0.01, "readiness")
    assert daemon.value(count, now / 1000) == series
    peak = memory_bytes(daemon.process.pid, "VmHWM")
    watcher.join()
    # Of a machine that does nothing else two seconds; what is free of its load: no more memory than before.
    assert first_scrape[0] < 10
    assert peak < before * 1.1


def lost(daemon):
    """tocsin_lost_samples_total by reason."""
    text = daemon.get("/metrics").text
    return {r: float(v) for r, v in re.findall(r'^tocsin_lost_samples_total\{reason="(\w+)"\} (\S+)$', text, re.MULTILINE)}


def test_r16_every_sample_is_stored_or_counted(tocsin, target):
    exporter = target("".join(f"page{n} 1\n" for n in range(30)) + "page0 2\n")  # one of them twice
    daemon = tocsin((SCRAPE % exporter.address).replace("100ms", "1s"), WRITE)
    wait_until(lambda: daemon.value("page29") == 1, what="a scrape")
    wait_until(lambda: lost(daemon)["repeated_in_page"] >= 1, what="the second page0 to be counted")
    whole = exporter.page
    exporter.page += "not a metric!\n"
    wait_until(lambda: lost(daemon)["page_refused"] >= 31, what="the samples of a broken page to be counted")
    exporter.page = whole
    now = int(time.time() * 1000)
    before = lost(daemon)
    push = lambda name, *samples: remote_write(daemon.url, [({"__name__": name, "job": "j"}, list(samples))])[0]  # noqa: E731
    assert push("a", (now, 1.0), (now + 1, 2.0)) == 204
    assert push("a", (now + 1, 2.0)) == 204  # sent twice
    assert push("a", (now + 1, 3.0)) == 400  # another value
    assert push("a", (now - 10 * 3_600_000, 1.0)) == 400  # too old
    assert push("a", (now + 3_600_000, 1.0)) == 400  # from the future
    rise = {r: v - before.get(r, 0) for r, v in lost(daemon).items() if v != before.get(r, 0) and "page" not in r}
    assert daemon.value("count_over_time(a[1m])", (now + 1000) / 1000) == 2
    assert rise == {"duplicate": 1, "duplicate_timestamp": 1, "too_old": 1, "too_far_in_future": 1}
