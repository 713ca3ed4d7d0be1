"""Starts the real binary, on loopback and a free port, in a directory of its own; ends it by its process id."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
SHARED = os.path.realpath(os.path.join(TOP, "..", "shared"))
BINARY = os.environ.get("TOCSIN_BINARY", os.path.join(TOP, "build", "ci", "tocsin"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, timeout_s=15.0, every_s=0.05, what="condition"):
    """Polls `condition` until it is truthy and returns its value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out after {timeout_s} s waiting for {what}")
        time.sleep(every_s)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def cpu_seconds(pid):
    """User and system time of all threads so far."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid, field="VmRSS"):
    """Resident memory; VmHWM: its peak."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith(field + ":"))


def http(method, url, body=None, headers=None, timeout=30):
    """One request; any HTTP status is an answer, only a broken connection raises."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=timeout) as r:
            return Answer(r.status, r.headers, r.read())
    except urllib.error.HTTPError as e:
        return Answer(e.code, e.headers, e.read())


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args, **kwargs):
        return None


class Tocsin:
    """One data directory and configuration; start, stop, kill -9 and start again."""

    def __init__(self, directory, config="", flags=(), files=None):
        self.dir = str(directory)
        self.data = os.path.join(self.dir, "data")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.flags = list(flags)
        self.process = None
        self.log_path = os.path.join(self.dir, "tocsin.log")
        self.write("prometheus.yml", config)
        for name, text in (files or {}).items():
            self.write(name, text)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def command(self):
        return [
            BINARY,
            "serve",
            f"--config.file={self.dir}/prometheus.yml",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *self.flags,
        ]

    def start(self, ready=True, timeout_s=30):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.dir)
        if ready:
            wait_until(self.is_ready, timeout_s, 0.02, "readiness; log:\n" + self.log()[-3000:])
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"tocsin ended with {self.process.returncode}:\n{self.log()[-3000:]}")
        try:
            return http("GET", self.url + "/-/ready", timeout=2).status == 200
        except OSError:
            return False

    def stop(self, timeout_s=30):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout_s)
        return self.process.returncode

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.log_path, errors="replace") as f:
                return f.read()
        return ""

    def get(self, path, **params):
        query = urllib.parse.urlencode(params, doseq=True)
        return http("GET", f"{self.url}{path}" + (f"?{query}" if query else ""))

    def post(self, path, body=b"", headers=None):
        return http("POST", self.url + path, body, headers)

    def query(self, expr, time_s=None):
        """The result list of an instant vector query."""
        params = {"query": expr}
        if time_s is not None:
            params["time"] = time_s
        answer = self.get("/api/v1/query", **params)
        assert answer.status == 200, answer.text
        return answer.json()["data"]["result"]

    def value(self, expr, time_s=None):
        """The one value of a query that gives one series; None when it gives none."""
        result = self.query(expr, time_s)
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None

    def rss_bytes(self):
        return memory_bytes(self.process.pid)
