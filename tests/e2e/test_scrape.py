"""Scraping real and hostile targets."""

import gzip
import time

from daemon import wait_until
from fakes import SilentTarget, send_page


def job(name, address, extra=""):
    return f"""
  - job_name: {name}
    scrape_interval: 1s
    scrape_timeout: 1s
{extra}
    static_configs: [{{targets: ["{address}"]}}]
"""


def target_of(daemon, pool):
    targets = daemon.get("/api/v1/targets").json()["data"]["activeTargets"]
    return next(t for t in targets if t["scrapePool"] == pool)


def wait_for_error(daemon, pool, part):
    def failed():
        target = target_of(daemon, pool)
        return target if target["health"] == "down" and part in target["lastError"] else None

    target = wait_until(failed, 15, what=f"an error with {part!r} on {pool}")
    assert daemon.value(f'up{{job="{pool}"}}') == 0
    return target


def test_node_exporter_is_scraped_whole(tocsin, node_exporter):
    address, _ = node_exporter
    daemon = tocsin("scrape_configs:" + job("node", address))
    wait_until(lambda: daemon.value('up{job="node"}') == 1, what="up")
    scraped = daemon.value('scrape_samples_scraped{job="node"}')
    assert scraped > 300
    assert daemon.value('count({job="node", __name__!~"up|scrape_.*"})') == scraped
    # The page says what it is; the API passes it on.
    meta = daemon.get("/api/v1/metadata", metric="node_cpu_seconds_total").json()["data"]
    assert meta["node_cpu_seconds_total"][0]["type"] == "counter"
    assert daemon.query('node_uname_info{instance="%s"}' % address)


def test_metadata_outlives_a_restart_and_its_target(tocsin, target):
    page = target("# HELP a_total What a is.\n# TYPE a_total counter\na_total 1\n# HELP b Old.\nb 2\n")
    config = "scrape_configs:" + job("j", page.address)
    daemon = tocsin(config)
    wait_until(lambda: daemon.value("a_total") == 1, what="a_total")
    a = {"a_total": [{"type": "counter", "unit": "", "help": "What a is."}]}
    b = {"b": [{"type": "unknown", "unit": "", "help": "Old."}]}
    assert daemon.get("/api/v1/metadata").json()["data"] == a | b
    assert daemon.stop() == 0
    page.page = "# HELP b New.\n# TYPE b gauge\nb 2\n"
    # Nobody is scraped any more, then one again.
    daemon.write("prometheus.yml", "")
    daemon.start()
    assert daemon.get("/api/v1/metadata").json()["data"] == a | b
    assert daemon.get("/api/v1/metadata", metric="a_total").json()["data"] == a
    assert daemon.get("/api/v1/targets/metadata").json()["data"] == []
    assert daemon.stop() == 0
    daemon.write("prometheus.yml", config)
    daemon.start()
    new_b = {"b": [{"type": "gauge", "unit": "", "help": "New."}]}
    wait_until(lambda: daemon.get("/api/v1/metadata").json()["data"] == a | new_b, what="the new word on b")


def test_a_series_that_leaves_the_page_ends_at_once(tocsin, target):
    page = target("a 1\nb 2\n")
    daemon = tocsin("scrape_configs:" + job("j", page.address))
    wait_until(lambda: daemon.value("b") == 2, what="b")
    page.page = "a 1\n"
    wait_until(lambda: daemon.value("b") is None, 5, what="b to go stale")
    assert daemon.value("a") == 1


def test_a_target_that_never_answers_costs_its_timeout_only(tocsin, target):
    silent = SilentTarget()
    good = target("a 1\n")
    try:
        daemon = tocsin("scrape_configs:" + job("silent", silent.address) + job("good", good.address))
        wait_for_error(daemon, "silent", "deadline exceeded")
        assert daemon.value('up{job="good"}') == 1
    finally:
        silent.close()


def test_a_dripping_target_is_cut_at_the_total_deadline(tocsin, target):
    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain; version=0.0.4")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"a 1\n")
            handler.wfile.flush()
            time.sleep(0.2)

    page = target(drip)
    daemon = tocsin("scrape_configs:" + job("drip", page.address))
    failed = wait_for_error(daemon, "drip", "deadline exceeded")
    assert failed["lastScrapeDuration"] < 1.5


def test_a_gigabyte_is_refused_without_memory(tocsin, target):
    line = b"padding_metric_with_a_long_name{label=\"value\"} 1\n" * 2000

    def huge(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain; version=0.0.4")
        handler.send_header("Connection", "close")
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(line)

    page = target(huge)
    daemon = tocsin("scrape_configs:" + job("huge", page.address, "    body_size_limit: 10MB"))
    wait_for_error(daemon, "huge", "body size limit exceeded")
    assert daemon.rss_bytes() < 300 << 20


def test_a_gzip_bomb_is_refused_without_memory(tocsin, target):
    bomb = gzip.compress(b"\n" * (1 << 28), 9)

    page = target(lambda handler: send_page(handler, bomb, Content_Encoding="gzip"))
    daemon = tocsin("scrape_configs:" + job("bomb", page.address, "    body_size_limit: 10MB"))
    wait_for_error(daemon, "bomb", "body size limit exceeded")
    assert daemon.rss_bytes() < 300 << 20


def test_binary_garbage_is_named(tocsin, target):
    page = target(bytes(range(256)) * 50)
    daemon = tocsin("scrape_configs:" + job("garbage", page.address))
    assert wait_for_error(daemon, "garbage", "")["lastError"] != ""


def test_labels_with_html_arrive_as_text(tocsin, target):
    page = target('evil{l="<img src=x onerror=alert(1)>"} 1\n')
    daemon = tocsin("scrape_configs:" + job("evil", page.address))
    wait_until(lambda: daemon.value("evil") == 1, what="the series")
    answer = daemon.get("/api/v1/query", query="evil")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["data"]["result"][0]["metric"]["l"] == "<img src=x onerror=alert(1)>"


def test_sample_limit_refuses_the_page_and_says_so(tocsin, target):
    page = target("".join(f"m{i} 1\n" for i in range(20)))
    daemon = tocsin("scrape_configs:" + job("limited", page.address, "    sample_limit: 10"))
    wait_for_error(daemon, "limited", "sample limit exceeded")
    assert daemon.query("m1") == []
    assert daemon.value("scrape_samples_scraped") == 20


def test_file_discovery_is_watched(tocsin, target, tmp_path):
    one, two = target("a 1\n"), target("a 2\n")
    listing = tmp_path / "targets.json"
    listing.write_text('[{"targets": ["%s"]}]' % one.address)
    daemon = tocsin(
        f"""
scrape_configs:
  - job_name: files
    scrape_interval: 1s
    file_sd_configs: [{{files: ["{tmp_path}/targets.json"]}}]
"""
    )
    wait_until(lambda: daemon.value("a") == 1, what="the first target")
    listing.write_text('[{"targets": ["%s"], "labels": {"zone": "b"}}]' % two.address)
    wait_until(lambda: daemon.value('a{zone="b"}') == 2, what="the second target")
    wait_until(lambda: daemon.query('a{zone=""}') == [], what="the first one's end")
    # A broken file keeps what was known.
    listing.write_text("[{")
    time.sleep(2.5)
    assert daemon.value('up{zone="b"}') == 1
