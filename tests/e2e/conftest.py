"""Fixtures: every server that a test starts ends with the test, by process id."""

import os
import shutil
import subprocess

import pytest

from daemon import BINARY, SHARED, Tocsin, free_port, http, wait_until
from fakes import FakeTarget, WebhookSink


def pytest_configure(config):
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"no binary at {BINARY}: build first (./test.sh) or set TOCSIN_BINARY", returncode=2)


@pytest.fixture
def tocsin(tmp_path):
    """tocsin(config, flags, files) starts a daemon that ends with the test."""
    made = []

    def make(config="", flags=(), files=None, start=True):
        directory = tmp_path / f"tocsin{len(made)}"
        directory.mkdir()
        daemon = Tocsin(directory, config, flags, files)
        made.append(daemon)
        return daemon.start() if start else daemon

    yield make
    for daemon in made:
        if daemon.process and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait(30)


@pytest.fixture
def target():
    """target() is a scrape target whose page the test sets."""
    made = []

    def make(page=""):
        made.append(FakeTarget(page))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def webhook():
    sink = WebhookSink()
    yield sink
    sink.close()


@pytest.fixture
def peer(tmp_path):
    """peer(command, url) starts another program and waits until `url` answers 200."""
    made = []

    def start(command, ready_url, timeout_s=20):
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed")
        log = open(tmp_path / f"peer{len(made)}.log", "wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
        log.close()
        made.append(process)

        def answers():
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            try:
                return http("GET", ready_url, timeout=2).status == 200
            except OSError:
                return False

        wait_until(answers, timeout_s, what=f"{command[0]} at {ready_url}")
        return process

    yield start
    for process in made:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@pytest.fixture
def shared():
    if not os.path.isdir(SHARED):
        pytest.skip("../shared is not here")
    return SHARED


@pytest.fixture
def node_exporter(peer):
    """A real node_exporter of its own: (address, process)."""
    port = free_port()
    process = peer(
        ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"],
        f"http://127.0.0.1:{port}/metrics",
    )
    return f"127.0.0.1:{port}", process
