"""Rollups of backfilled days: equal answers, shown resolution, and a life beyond the raw samples."""

import os
import subprocess
import time

from daemon import BINARY, wait_until
from fakes import remote_write

DAY = 86_400
CONFIG = "storage: {tsdb: {out_of_order_time_window: 30d}}\n"
ROLLUPS = """
storage:
  retention: {time: %s}
  rollups:
    - {resolution: 5m, retention: 180d}
    - {resolution: 1h, retention: 5y}
"""
FLAGS = [
    "--web.enable-remote-write-receiver",
    "--web.enable-admin-api",
    "--web.enable-lifecycle",
    "--tocsin.config-file=tocsin.yml",
]
QUERIES = ["rate(work_total[2h])", "increase(work_total[3h])", "max_over_time(heat[2h])", "count_over_time(heat[4h])"]


def backfill(daemon, start_s):
    """Two days of a counter that restarts and of a gauge, a sample a minute."""
    for hour in range(48):
        total, heat = [], []
        for minute in range(60):
            n = hour * 60 + minute
            t = (start_s + n * 60) * 1000
            total.append((t, float(n % 1000 * 3)))
            heat.append((t, 20 + n * 37 % 101 / 8))
        rows = [({"__name__": "work_total", "job": "x"}, total), ({"__name__": "heat", "job": "x"}, heat)]
        assert remote_write(daemon.url, rows) == (204, "")


def ask(daemon, query, start_s, end_s, step_s=3600):
    answer = daemon.get("/api/v1/query_range", query=query, start=start_s, end=end_s, step=step_s, stats="all").json()
    assert answer["status"] == "success", answer
    return answer["data"]["result"], answer["data"]["stats"]["resolution"], answer.get("warnings", [])


def test_r11_rollups_answer_as_raw_samples_and_outlive_them(tocsin):
    daemon = tocsin(CONFIG, flags=FLAGS, files={"tocsin.yml": ROLLUPS % "90d"})
    start = (int(time.time()) // DAY - 4) * DAY
    end = start + 2 * DAY
    # First, so that the store's time does not jump by days.
    rows = [({"__name__": "now", "job": "x"}, [(int(time.time()) * 1000, 1.0)])]
    assert remote_write(daemon.url, rows) == (204, "")
    backfill(daemon, start)
    raw = {}
    for query in QUERIES:
        raw[query], resolution, warnings = ask(daemon, query, start, end)
        assert resolution == "raw" and raw[query] and not warnings
    assert daemon.post("/api/v1/admin/tsdb/compact").status == 204
    for query in QUERIES:
        assert ask(daemon, query, start, end) == (raw[query], "1h", [])
    assert ask(daemon, "heat", start, end)[1] == "5m"
    assert ask(daemon, "rate(work_total[2h])", start + 1, end)[1] == "raw"

    # The raw samples go by a reload that shortens their retention.
    daemon.write("tocsin.yml", ROLLUPS % "1h")
    assert daemon.post("/-/reload").status == 200
    assert daemon.post("/api/v1/admin/tsdb/compact").status == 204
    wait_until(lambda: "\ntocsin_tsdb_segments 1\n" in daemon.get("/metrics").text, what="raw days to be deleted")
    for query in QUERIES:
        assert ask(daemon, query, start, end) == (raw[query], "1h", [])
    result, resolution, warnings = ask(daemon, "rate(work_total[2h])", start + 1, end)
    assert result and resolution == "5m" and "past their retention" in warnings[0]
    daemon.kill()
    daemon.start()
    assert ask(daemon, QUERIES[0], start, end) == (raw[QUERIES[0]], "1h", [])


def tool(command, daemon):
    done = subprocess.run([BINARY, "tsdb", command, daemon.data], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_tools_know_sound_rollups_from_damaged_ones(tocsin):
    daemon = tocsin(CONFIG, flags=FLAGS, files={"tocsin.yml": ROLLUPS % "90d"})
    rows = [({"__name__": "now", "job": "x"}, [(int(time.time()) * 1000, 1.0)])]
    assert remote_write(daemon.url, rows) == (204, "")
    backfill(daemon, (int(time.time()) // DAY - 4) * DAY)
    assert daemon.post("/api/v1/admin/tsdb/compact").status == 204
    daemon.stop()
    folder = os.path.join(daemon.data, "rollups")
    files = sorted(os.listdir(folder))
    assert len(files) >= 4
    code, text = tool("verify", daemon)
    assert code == 0 and "sound" in text, text
    code, text = tool("repair", daemon)
    assert code == 0 and "nothing was changed" in text, text
    assert sorted(os.listdir(folder)) == files
    path = os.path.join(folder, files[0])
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 0x55]))
    code, text = tool("verify", daemon)
    assert code == 1 and text.count("damaged: ") == 1 and path in text, text
    code, text = tool("repair", daemon)
    assert code == 3 and path in text, text
    assert sorted(os.listdir(folder)) == files[1:]
    daemon.start()
    assert daemon.post("/api/v1/admin/tsdb/compact").status == 204
    daemon.stop()
    assert len(os.listdir(folder)) == len(files), "made anew"
    assert tool("verify", daemon)[0] == 0
