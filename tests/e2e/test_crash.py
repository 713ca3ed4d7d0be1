"""kill -9, damage and a full disk, against an oracle of what was acknowledged."""

import os
import random
import shutil
import subprocess
import threading
import time

import pytest

from daemon import http, wait_until
from fakes import NumberedTarget, remote_write

WRITE = ["--web.enable-remote-write-receiver"]
SERIES = 50


class Oracle:
    """One sender that pushes rows of SERIES samples and remembers the last acknowledged tick."""

    def __init__(self, daemon, start_ms, step_ms=100):
        self.daemon, self.start_ms, self.step_ms = daemon, start_ms, step_ms
        self.acknowledged = 0  # ticks 0 … acknowledged-1 are
        self.running = True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        tick = 0
        while self.running:
            t = self.start_ms + tick * self.step_ms
            rows = [
                ({"__name__": "oracle", "job": "crash", "instance": "i%d" % (k % 5), "k": str(k)}, [(t, float(tick * SERIES + k))])
                for k in range(SERIES)
            ]
            try:
                status, body = remote_write(self.daemon.url, rows, timeout=5)
            except OSError:
                time.sleep(0.02)
                continue  # not acknowledged: sent again, a duplicate of it is no error
            if status == 503:
                time.sleep(0.02)
                continue  # starting or stopping: not acknowledged
            assert status == 204, (status, body)
            tick += 1
            self.acknowledged = tick
            time.sleep(0.002)  # some thousands of ticks in all, whatever the machine: they must not reach the future

    def stop(self):
        self.running = False
        self.thread.join()

    def lost(self):
        """Acknowledged samples that are not there, or not as written."""
        data = self.daemon.post(
            "/api/v1/query",
            f"query=oracle[{(self.acknowledged + 10) * self.step_ms}ms]&time={(self.start_ms + self.acknowledged * self.step_ms) / 1000}".encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        ).json()["data"]["result"]
        have = {(int(s["metric"]["k"]), round(t * 1000)): float(v) for s in data for t, v in s["values"]}
        missing = 0
        for tick in range(self.acknowledged):
            for k in range(SERIES):
                if have.get((k, self.start_ms + tick * self.step_ms)) != float(tick * SERIES + k):
                    missing += 1
        return missing


def test_r1_twenty_kills_lose_nothing_acknowledged(tocsin):
    random.seed(20)
    daemon = tocsin(flags=WRITE)
    oracle = Oracle(daemon, int(time.time() * 1000) - 3_600_000)
    try:
        for kill in range(20):
            before = oracle.acknowledged
            wait_until(lambda: oracle.acknowledged > before + 3, 20, what="acknowledged pushes")
            time.sleep(random.random() * 0.3)
            daemon.kill()
            daemon.start()
    finally:
        oracle.stop()
    assert oracle.acknowledged > 60
    assert oracle.lost() == 0


def test_a_kill_takes_the_last_moments_of_scrapes_and_no_more(tocsin):
    """Every page that was served longer before the kill than the log waits (100 ms, and as much again on a busy machine) is stored."""
    pages = [NumberedTarget() for _ in range(25)]
    config = "global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: j\n  static_configs: [{targets: [%s]}]\n" % ", ".join(
        f'"{p.address}"' for p in pages
    )
    daemon = tocsin(config)
    kills = []
    try:
        for kill in range(3):
            before = sum(len(p.asked) for p in pages)
            wait_until(lambda: sum(len(p.asked) for p in pages) > before + 40, 20, what="scrapes")
            kills.append(time.monotonic())
            daemon.kill()
            daemon.start()
        stored = {p.address: set() for p in pages}
        for series in daemon.query("page_number[5m]"):
            stored[series["metric"]["instance"]].update(int(float(v)) for _, v in series["values"])
    finally:
        for p in pages:
            p.close()
    lost = [s for p in pages for killed in kills for s in p.lost_s(stored[p.address], killed)]
    assert sum(len(s) for s in stored.values()) > 60
    assert max(lost, default=0) < 0.3, sorted(lost)


def test_sigterm_loses_nothing_and_starts_quickly(tocsin):
    daemon = tocsin(flags=WRITE)
    oracle = Oracle(daemon, int(time.time() * 1000) - 600_000)
    wait_until(lambda: oracle.acknowledged > 30, 20, what="acknowledged pushes")
    oracle.stop()
    assert daemon.stop() == 0
    daemon.start()
    assert oracle.lost() == 0


def damage(path, rng):
    """Flips a few bytes or cuts the file at a random place."""
    size = os.path.getsize(path)
    if size == 0:
        return
    with open(path, "r+b") as f:
        if rng.random() < 0.3:
            f.truncate(rng.randrange(size))
            return
        for _ in range(rng.choice([1, 1, 4, 32])):
            at = rng.randrange(size)
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ (1 << rng.randrange(8))]))


def test_r3_damaged_files_never_stop_a_start(tocsin, tmp_path):
    """The unit test does this a thousand times in memory; here the whole daemon does it on real files."""
    rng = random.Random(7)
    daemon = tocsin(flags=WRITE + ["--web.enable-admin-api"])
    now = int(time.time() * 1000)
    for tick in range(60):
        rows = [({"__name__": "m", "k": str(k)}, [(now - 7_200_000 + tick * 60_000, float(tick))]) for k in range(20)]
        assert remote_write(daemon.url, rows)[0] == 204
        if tick == 30:
            assert daemon.post("/api/v1/admin/tsdb/compact").status in (200, 204)
    daemon.kill()
    pristine = tmp_path / "pristine"
    shutil.copytree(daemon.data, pristine)
    files = [os.path.relpath(os.path.join(d, f), pristine) for d, _, fs in os.walk(pristine) for f in fs if f != "lock"]
    assert len(files) >= 3
    for round_ in range(25):
        shutil.rmtree(daemon.data)
        shutil.copytree(pristine, daemon.data)
        hurt = rng.choice(files)
        damage(os.path.join(daemon.data, hurt), rng)
        daemon.start()
        assert http("GET", daemon.url + "/api/v1/query?query=1").status == 200, hurt
        answer = daemon.get("/api/v1/query", query="count(last_over_time(m[3h]))")
        assert answer.status == 200, (hurt, answer.text)
        # And it still accepts and keeps new samples.
        assert remote_write(daemon.url, [({"__name__": "fresh"}, [(now, float(round_))])])[0] == 204, hurt
        assert daemon.value("fresh", now / 1000) == round_, hurt
        daemon.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
def test_r9_a_full_disk_refuses_pushes_and_recovers_by_itself(tocsin):
    daemon = tocsin(flags=WRITE, start=False)
    os.makedirs(daemon.data)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", daemon.data], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        daemon.start()
        now = int(time.time() * 1000)
        push = lambda k: remote_write(daemon.url, [({"__name__": "x", "job": "j"}, [(now + k, float(k))])])  # noqa: E731
        assert push(0)[0] == 204
        ballast = os.path.join(daemon.data, "ballast")
        with open(ballast, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
            except OSError:
                pass
        pad = "v" * 2000
        statuses = set()
        for k in range(1, 200):
            rows = [({"__name__": "pad", "k": f"{k}-{i}", "p": pad}, [(now + k, 1.5 * i)]) for i in range(20)]
            statuses.add(remote_write(daemon.url, rows)[0])
            if 204 not in statuses or len(statuses) > 1:
                break
        assert statuses & {500, 503}, statuses
        # Queries, and everything acknowledged, stay.
        assert daemon.value("x", (now + 1) / 1000) == 0
        os.remove(ballast)
        wait_until(lambda: push(10_000)[0] == 204, 15, 0.2, "recovery after space came back")
        daemon.kill()
        daemon.start()
        assert daemon.value("x", (now + 10_001) / 1000) == 10_000
    finally:
        if daemon.process and daemon.process.poll() is None:
            daemon.kill()
        subprocess.run(["umount", daemon.data], check=True)


def test_two_daemons_on_one_directory_is_refused(tocsin):
    first = tocsin()
    second = tocsin(start=False)
    second.data = first.data
    second.start(ready=False)
    assert second.process.wait(10) != 0
    assert "lock" in second.log()
    assert first.get("/-/healthy").status == 200
