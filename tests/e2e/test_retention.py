"""Retention by size and the free-space floor on the real binary, a full disk included."""

import contextlib
import os
import subprocess
import time

import pytest

from daemon import wait_until
from fakes import remote_write

FLAGS = ["--web.enable-remote-write-receiver", "--web.enable-lifecycle", "--web.enable-admin-api"]
RULES = "groups: [{name: g, interval: 1s, rules: [{alert: Always, expr: vector(1)}]}]"
CONFIG = "rule_files: [rules.yml]"


def push(daemon, t_ms, value, series=10):
    rows = [({"__name__": "m", "job": "j", "i": str(i)}, [(t_ms, float(value))]) for i in range(series)]
    return remote_write(daemon.url, rows)[0]


def metric(daemon, name):
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(name)


def test_the_free_space_floor_refuses_samples_and_nothing_else(tocsin):
    daemon = tocsin(CONFIG, [*FLAGS, "--tocsin.config-file=tocsin.yml"], {"rules.yml": RULES, "tocsin.yml": ""})
    now = int(time.time() * 1000)
    assert push(daemon, now, 1) == 204

    daemon.write("tocsin.yml", "storage: {free_space_floor: 100%}")
    assert daemon.post("/-/reload").status == 200
    wait_until(lambda: push(daemon, now + 1, 2) == 503, what="refusal below the floor")
    assert metric(daemon, "tocsin_tsdb_below_free_space_floor") == 1
    lost = 'tocsin_lost_samples_total{reason="storage_full"}'
    assert metric(daemon, lost) >= 10
    assert daemon.value("count(m)", now / 1000) == 10
    alerts = wait_until(lambda: daemon.get("/api/v1/alerts").json()["data"]["alerts"], what="the alert")
    assert [a["labels"]["alertname"] for a in alerts] == ["Always"]

    daemon.write("tocsin.yml", "storage: {free_space_floor: 0B}")
    assert daemon.post("/-/reload").status == 200
    wait_until(lambda: push(daemon, now + 2, 3) == 204, what="acceptance above the floor")
    assert daemon.log().count("below the floor: samples are refused") == 1


def test_a_bad_tocsin_yml_changes_nothing(tocsin):
    daemon = tocsin("", [*FLAGS, "--tocsin.config-file=tocsin.yml"], {"tocsin.yml": "storage: {retention: {time: 3d, size: 1GB}}"})
    retention = lambda: daemon.get("/api/v1/status/runtimeinfo").json()["data"]["storageRetention"]
    assert retention() == "3d or 1GB"
    daemon.write("tocsin.yml", "storage: {retention: {time: 4d, syze: 1GB}}")
    answer = daemon.post("/-/reload")
    assert answer.status == 500 and "tocsin.yml:1:33: field syze not found in retention" in answer.text
    assert retention() == "3d or 1GB"
    daemon.write("tocsin.yml", "storage: {retention: {percentage: 50}}")
    assert daemon.post("/-/reload").status == 200
    assert retention() == "50%"


@contextlib.contextmanager
def small_disk(tmp_path, size):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("no mounts here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk):
    """Somebody else fills it; the file that does."""
    ballast = disk / "ballast"
    with open(ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"x" * 65536)
    return ballast


def test_r9_a_restart_on_a_full_disk_serves_alerts_and_forgets_nothing(tocsin, tmp_path):
    with small_disk(tmp_path, "128m") as disk:
        daemon = tocsin(CONFIG, [*FLAGS, f"--storage.tsdb.path={disk}/data"], {"rules.yml": RULES})
        now = int(time.time() * 1000)
        assert push(daemon, now, 1) == 204
        alert = wait_until(lambda: daemon.get("/api/v1/alerts").json()["data"]["alerts"], what="the alert")[0]
        ballast = fill(disk)
        for restart in range(3):
            daemon.kill()
            daemon.start()
            assert daemon.value("count(m)", now / 1000) == 10
            again = wait_until(lambda: daemon.get("/api/v1/alerts").json()["data"]["alerts"], what="the alert")[0]
            assert again["activeAt"] == alert["activeAt"], f"restart {restart}"
        assert "the reserve is given up" in daemon.log()
        assert not [name for name in os.listdir(disk / "data") if "damaged" in name]
        wait_until(lambda: push(daemon, int(time.time() * 1000), 2) == 503, what="refusal")
        os.remove(ballast)
        wait_until(lambda: push(daemon, int(time.time() * 1000), 5) == 204, what="recovery by itself")
        daemon.stop()
        daemon.start()
        assert (disk / "data" / "state" / "RESERVE").exists()
        daemon.stop()


def test_r9_a_full_disk_is_survived_and_recovers(tocsin, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], capture_output=True).returncode != 0:
        pytest.skip("no mounts here")
    try:
        daemon = tocsin(CONFIG, [*FLAGS, f"--storage.tsdb.path={disk}/data", "--tocsin.config-file=tocsin.yml"],
                        {"rules.yml": RULES, "tocsin.yml": "storage: {free_space_floor: 0B}"})
        now = int(time.time() * 1000)
        assert push(daemon, now, 1) == 204
        ballast = disk / "ballast"
        with open(ballast, "wb", buffering=0) as f:  # somebody else fills it
            try:
                while True:
                    f.write(b"x" * 65536)
            except OSError:
                pass
        wait_until(lambda: push(daemon, now + 1 + int(time.time() * 1000) - now, 2, 2000) == 503, what="ENOSPC")
        assert daemon.value("count(m)", now / 1000) >= 10
        wait_until(lambda: daemon.get("/api/v1/alerts").json()["data"]["alerts"], what="an alert on the full disk")
        os.remove(ballast)
        after = wait_until(lambda: (t := int(time.time() * 1000)) and push(daemon, t, 5) == 204 and t, what="recovery by itself")
        assert daemon.stop() == 0
        daemon.start()
        assert daemon.value("count(m == 5)", after / 1000) == 10
        daemon.stop()
    finally:
        if daemon.process and daemon.process.poll() is None:
            daemon.kill()
        subprocess.run(["umount", disk], check=True)


def test_compaction_can_be_paused(tocsin):
    daemon = tocsin("", FLAGS)
    assert daemon.post("/api/v1/admin/tsdb/pause_compaction").status == 204
    assert metric(daemon, "tocsin_tsdb_compaction_paused") == 1
    answer = daemon.post("/api/v1/admin/tsdb/compact")
    assert answer.status == 500 and "compaction is paused" in answer.text
    assert daemon.post("/api/v1/admin/tsdb/resume_compaction").status == 204
    assert daemon.post("/api/v1/admin/tsdb/compact").status == 204
