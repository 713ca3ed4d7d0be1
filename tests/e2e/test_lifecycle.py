"""Deletes and snapshots over HTTP, as curl would do them."""
import json
import os
import shutil
import time

from fakes import remote_write

CONFIG = "global:\n  scrape_interval: 1m\n"
FLAGS = ["--web.enable-admin-api", "--web.enable-remote-write-receiver"]


def write(daemon, now, job):
    rows = [({"__name__": "m", "job": job, "k": str(k)}, [(now - 600_000 + i * 1000, float(i * k)) for i in range(50)]) for k in range(5)]
    assert remote_write(daemon.url, rows)[0] == 204


def ask(daemon, now, selector="m"):
    return sorted(map(json.dumps, daemon.query(f"{selector}[1h]", now / 1000)))


def test_delete_clean_restart(tocsin):
    daemon = tocsin(CONFIG, flags=FLAGS)
    now = int(time.time() * 1000)
    write(daemon, now, "a")
    write(daemon, now, "b")
    kept = ask(daemon, now, 'm{job="b"}')
    assert daemon.post("/api/v1/admin/tsdb/delete_series").status == 400
    assert daemon.post('/api/v1/admin/tsdb/delete_series?match[]=m{job="a"}').status == 204
    assert ask(daemon, now) == kept
    assert daemon.get("/api/v1/label/job/values").json()["data"] == ["b"]
    daemon.kill()
    daemon.start()
    assert ask(daemon, now) == kept
    assert daemon.post("/api/v1/admin/tsdb/clean_tombstones").status == 204
    assert ask(daemon, now) == kept
    assert "\ntocsin_tsdb_tombstones 0\n" in daemon.get("/metrics").text
    daemon.kill()
    daemon.start()
    assert ask(daemon, now) == kept


def test_r15_snapshot_restores_to_its_moment(tocsin, tmp_path):
    daemon = tocsin(CONFIG, flags=FLAGS)
    now = int(time.time() * 1000)
    write(daemon, now, "a")
    write(daemon, now, "b")
    assert daemon.post('/api/v1/admin/tsdb/delete_series?match[]=m{k="3"}').status == 204
    before = ask(daemon, now)
    name = daemon.post("/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
    write(daemon, now, "later")
    assert daemon.post('/api/v1/admin/tsdb/delete_series?match[]=m{job="a"}').status == 204
    assert daemon.post("/api/v1/admin/tsdb/clean_tombstones").status == 204
    restored = tocsin(CONFIG, flags=FLAGS, start=False)
    shutil.rmtree(restored.data, ignore_errors=True)
    shutil.copytree(os.path.join(daemon.data, "snapshots", name), restored.data)
    restored.start()
    assert ask(restored, now) == before
    assert daemon.post("/api/v1/admin/tsdb/snapshot?skip_head=maybe").status == 400


def test_disabled_unless_asked_for(tocsin):
    daemon = tocsin(CONFIG)
    for call in ("delete_series?match[]=m", "clean_tombstones", "snapshot"):
        answer = daemon.post("/api/v1/admin/tsdb/" + call)
        assert answer.status == 500
        assert answer.json()["error"] == "admin APIs disabled"
