"""What is stored beside samples: HELP, TYPE and UNIT, exemplars, start timestamps; from pages and from remote write, over kill -9."""

import os
import shutil
import time

from daemon import wait_until
from fakes import remote_write

CONFIG = """
global: {scrape_interval: 1s}
scrape_configs: [{job_name: j, static_configs: [{targets: ["%s"]}]}]
storage: {tsdb: {out_of_order_time_window: 30d}, exemplars: {max_exemplars: 1000}}
"""
FLAGS = ["--web.enable-remote-write-receiver", "--web.enable-lifecycle", "--web.enable-admin-api", "--enable-feature=exemplar-storage"]
PAGE = """# HELP cake_seconds How long a \\"cake\\" takes.\\nIn seconds.
# TYPE cake_seconds histogram
# UNIT cake_seconds seconds
cake_seconds_bucket{le="1.0"} 4 # {trace_id="abc",span="1"} 0.67 %(t)s
cake_seconds_bucket{le="+Inf"} 6 # {trace_id="def"} 9.5 %(t)s
cake_seconds_sum 12.5
cake_seconds_count 6
cake_seconds_created %(created)s
# HELP eaten Cakes.
# TYPE eaten counter
eaten_total 17.0 # {trace_id="ghi"} 1.0 %(t)s
eaten_created %(created)s
# EOF
"""


def push(daemon, name, t_ms, value, trace, kind, help_text="", unit=""):
    """One sample with an exemplar and metadata, remote write 1.0."""
    labels = {"__name__": name, "job": "pushed"}
    more = {"exemplars": [(labels, {"trace_id": trace}, t_ms, value)], "metadata": [(name, kind, help_text, unit)]}
    assert remote_write(daemon.url, [(labels, [(t_ms, value)])], **more) == (204, "")


def test_exemplars_and_metadata_come_back_after_a_kill(tocsin, target):
    now = round(time.time(), 3)
    created = now - 3600
    exporter = target(PAGE % {"t": now, "created": created})
    exporter.content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    daemon = tocsin(CONFIG % exporter.address, FLAGS)
    wait_until(lambda: daemon.value("eaten_total") == 17, what="a scrape")
    push(daemon, "pushed_total", round(now * 1000), 5.0, "jkl", 1, "Pushed.", "bytes")
    assert daemon.value("cake_seconds_created") == created

    def exemplars():
        found = {}
        for query in ("cake_seconds_bucket", "eaten_total", "pushed_total"):
            data = daemon.get("/api/v1/query_exemplars", query=query, start=now - 60, end=now + 60).json()["data"]
            for series in data:
                for e in series["exemplars"]:
                    key = (series["seriesLabels"]["__name__"], series["seriesLabels"].get("le"), e["labels"]["trace_id"])
                    found[key] = (e["labels"], float(e["value"]), round(e["timestamp"], 3))
        return found

    want = {
        ("cake_seconds_bucket", "1.0", "abc"): ({"trace_id": "abc", "span": "1"}, 0.67, now),
        ("cake_seconds_bucket", "+Inf", "def"): ({"trace_id": "def"}, 9.5, now),
        ("eaten_total", None, "ghi"): ({"trace_id": "ghi"}, 1.0, now),
        ("pushed_total", None, "jkl"): ({"trace_id": "jkl"}, 5.0, now),
    }
    assert exemplars() == want
    metadata = {
        "cake_seconds": [{"type": "histogram", "unit": "seconds", "help": 'How long a "cake" takes.\nIn seconds.'}],
        "eaten": [{"type": "counter", "unit": "", "help": "Cakes."}],
        "pushed_total": [{"type": "counter", "unit": "bytes", "help": "Pushed."}],
    }
    assert daemon.get("/api/v1/metadata").json()["data"] == metadata
    time.sleep(6)  # metadata is written every five seconds
    daemon.kill()
    daemon.write("prometheus.yml", (CONFIG % exporter.address).replace(exporter.address, "127.0.0.1:1"))
    daemon.start()
    assert exemplars() == want
    assert daemon.get("/api/v1/metadata").json()["data"] == metadata
    assert daemon.value("pushed_total", now + 1) == 5


DAY = 86_400
TOCSIN_YML = """
storage:
  retention: {time: %s}
  rollups: [{resolution: 1h, retention: 5y}]
"""


def test_types_decide_what_rollups_keep(tocsin, target):
    """`jobs` is a counter by remote write's word and `heat` a gauge by a page's; both only rise, and neither name tells."""
    exporter = target("# HELP heat Degrees.\n# TYPE heat gauge\nheat 1\n")
    daemon = tocsin(CONFIG % exporter.address, [*FLAGS, "--tocsin.config-file=tocsin.yml"], {"tocsin.yml": TOCSIN_YML % "90d"})
    wait_until(lambda: daemon.value("heat") == 1, what="a scrape")
    time.sleep(6)  # what pages say is gathered every five seconds
    now = int(time.time())
    push(daemon, "jobs", now * 1000, 1e6, "x", 1)
    start = (now // DAY - 3) * DAY
    for hour in range(24):
        at = [(start + (hour * 60 + minute) * 60) * 1000 for minute in range(60)]
        rows = [({"__name__": name, "job": "past"}, [(t, float(t // 1000 - start)) for t in at]) for name in ("jobs", "heat", "untold")]
        assert remote_write(daemon.url, rows) == (204, "")
    assert daemon.post("/api/v1/admin/tsdb/compact").status == 204
    daemon.write("tocsin.yml", TOCSIN_YML % "1h")
    assert daemon.post("/-/reload").status == 200
    assert daemon.post("/api/v1/admin/tsdb/compact").status == 204
    wait_until(lambda: "\ntocsin_tsdb_segments 1\n" in daemon.get("/metrics").text, what="the raw day to be deleted")

    def is_exact(query):
        answer = daemon.get("/api/v1/query_range", query=query, start=start + 4 * 3600, end=start + 20 * 3600, step=3600).json()
        assert answer["data"]["result"], query
        return not answer.get("warnings")

    for name, counter, gauge in (("jobs", True, False), ("heat", False, True), ("untold", True, True)):
        assert is_exact(f'increase({name}{{job="past"}}[2h])') == counter, name
        assert is_exact(f'max_over_time({name}{{job="past"}}[2h])') == gauge, name
        assert is_exact(f'last_over_time({name}{{job="past"}}[2h])'), name


def test_a_snapshot_has_the_metadata(tocsin):
    daemon = tocsin(flags=FLAGS)
    now = round(time.time() * 1000)
    push(daemon, "muffin_total", now, 1.0, "a", 1, "Muffins.", "")
    want = {"muffin_total": [{"type": "counter", "unit": "", "help": "Muffins."}]}
    assert daemon.get("/api/v1/metadata").json()["data"] == want
    name = daemon.post("/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
    restored = tocsin(start=False, flags=FLAGS)
    shutil.copytree(os.path.join(daemon.data, "snapshots", name), restored.data)
    assert not os.path.exists(os.path.join(restored.data, "state", "RESERVE"))
    restored.start()
    assert restored.value("muffin_total", now / 1000) == 1
    assert restored.get("/api/v1/metadata").json()["data"] == want
