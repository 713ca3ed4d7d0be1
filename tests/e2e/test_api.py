"""The HTTP API as curl, promtool, the Go client and dashboards use it."""

import gzip
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import zlib

import pytest

from daemon import http, wait_until
from fakes import remote_write

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: tocsin
    static_configs: [{targets: ["ADDRESS"]}]
"""


@pytest.fixture
def daemon(tocsin):
    one = tocsin(start=False)
    one.flags += ["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--web.enable-lifecycle"]
    one.write("prometheus.yml", CONFIG.replace("ADDRESS", f"127.0.0.1:{one.port}"))
    one.start()
    wait_until(lambda: one.value("up") == 1, what="up")
    return one


# http-api.md section 1.2: parameters, HTTP status, error type, exact message.
ERRORS = [
    ("query", {"query": "up{"}, 400, "bad_data", 'invalid parameter "query": 1:4: parse error: unexpected end of input inside braces'),
    ("query", {"query": "up +"}, 400, "bad_data", 'invalid parameter "query": 1:5: parse error: unexpected end of input'),
    ("query", {"query": ""}, 400, "bad_data", 'invalid parameter "query": unknown position: parse error: no expression found in input'),
    ("query", {"query": "up", "time": "x"}, 400, "bad_data", 'invalid parameter "time": cannot parse "x" to a valid timestamp'),
    ("query_range", {"query": "up", "start": "", "end": "1", "step": "1"}, 400, "bad_data", 'invalid parameter "start": cannot parse "" to a valid timestamp'),
    ("query_range", {"query": "up", "start": "2", "end": "1", "step": "1"}, 400, "bad_data", 'invalid parameter "end": end timestamp must not be before start time'),
    ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}, 400, "bad_data", 'invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer'),
    ("query_range", {"query": '"s"', "start": "1", "end": "2", "step": "1"}, 400, "bad_data", 'invalid parameter "query": invalid expression type "string" for range query, must be Scalar or instant Vector'),
    ("query_range", {"query": "up[1m]", "start": "1", "end": "2", "step": "1"}, 400, "bad_data", 'invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector'),
    ("query_range", {"query": "up", "start": "0", "end": "20000", "step": "1"}, 400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"),
    ("query", {"query": "up", "limit": "-1"}, 400, "bad_data", 'invalid parameter "limit": limit must be non-negative'),
    ("series", {}, 400, "bad_data", "no match[] parameter provided"),
    ("series", {"match[]": "{a=~'.*'}"}, 400, "bad_data", 'invalid parameter "match[]": match[] must contain at least one non-empty matcher'),
    ("labels", {"match[]": "{a=~'.*'}"}, 400, "bad_data", "match[] must contain at least one non-empty matcher"),
    ("label/a%80b/values", {}, 400, "bad_data", None),
    ("metadata", {"limit": "x"}, 400, "bad_data", "limit must be a number"),
    ("query", {"query": "{__name__=~'up|scrape_duration_seconds'} * on() {__name__=~'up|scrape_duration_seconds'}"}, 422, "execution", None),
]


@pytest.mark.parametrize("path,params,status,kind,message", ERRORS, ids=[f"{e[0]}-{i}" for i, e in enumerate(ERRORS)])
def test_errors_are_the_references(daemon, path, params, status, kind, message):
    answer = daemon.get("/api/v1/" + path, **params)
    body = answer.json()
    assert answer.status == status, answer.text
    assert list(body) == ["status", "errorType", "error"]
    assert body["status"] == "error" and body["errorType"] == kind
    if message is not None:
        assert body["error"] == message
    assert answer.headers["Content-Type"] == "application/json"


def test_wrong_paths_and_methods(daemon):
    assert daemon.get("/nothing").status == 404
    assert daemon.get("/nothing").text.strip() == "404 page not found"
    assert http("DELETE", daemon.url + "/api/v1/query").status == 405
    assert daemon.get("/-/reload").status == 405
    assert http("OPTIONS", daemon.url + "/api/v1/query").status == 204
    assert daemon.get("/").headers["Location"] == "/query"


def test_promtool_asks_the_same_questions(daemon):
    def promtool(*args):
        out = subprocess.run(["promtool", *args], capture_output=True, text=True, timeout=30)
        assert out.returncode == 0, out.stderr
        return out.stdout

    assert "up{" in promtool("query", "instant", daemon.url, "up")
    assert "=> 1" in promtool("query", "instant", daemon.url, "up")
    now = int(time.time()) + 1  # the only sample may be younger than this second's begin
    assert "=>" in promtool("query", "range", f"--start={now - 60}", f"--end={now}", "--step=1s", daemon.url, "sum(up)")
    assert '__name__="up"' in promtool("query", "series", "--match=up", daemon.url)
    assert "tocsin" in promtool("query", "labels", daemon.url, "job")


def test_promtool_accepts_the_configuration_and_metrics(daemon):
    out = subprocess.run(["promtool", "check", "config", daemon.dir + "/prometheus.yml"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    page = daemon.get("/metrics")
    out = subprocess.run(["promtool", "check", "metrics"], input=page.text, capture_output=True, text=True)
    assert out.returncode in (0, 3), out.stderr  # 3: lint remarks, the page parses
    assert "tocsin_" in page.text and "process_resident_memory_bytes" in page.text


def test_compression_is_negotiated(daemon):
    url = daemon.url + "/api/v1/label/__name__/values"
    plain = http("GET", url)
    assert "Content-Encoding" not in plain.headers
    packed = http("GET", url, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    deflated = http("GET", url, headers={"Accept-Encoding": "deflate;q=1, gzip;q=0"})
    assert deflated.headers["Content-Encoding"] == "deflate"
    assert zlib.decompress(deflated.body) == plain.body
    assert "Content-Encoding" not in http("GET", url, headers={"Accept-Encoding": "x-gzipped"}).headers


def test_large_forms_pass_and_huge_ones_are_refused(daemon):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    query = '{__name__=~"up|%s"}' % "|".join(f"name_{i:06}" for i in range(8000))
    assert len(query) > 90_000
    answer = daemon.post("/api/v1/query", urllib.parse.urlencode({"query": query}).encode(), headers)
    assert answer.status == 200, answer.text[:200]
    # The verdict on a huge one comes before its body does.
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as s:
        s.sendall(b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 67108864\r\n\r\nquery=")
        assert s.recv(4096).startswith(b"HTTP/1.1 413")


def test_hostile_framing_is_refused(daemon):
    cases = [
        b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/v1/query HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\nHost: localhost\n\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
    ]
    for case in cases:
        with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as s:
            s.sendall(case)
            answer = s.recv(4096)
            assert answer.startswith(b"HTTP/1.1 400"), (case, answer)


def test_slow_clients_cost_nobody_else(daemon):
    held = [socket.create_connection(("127.0.0.1", daemon.port), timeout=5) for _ in range(100)]
    try:
        for s in held:
            s.sendall(b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: loc")
        started = time.monotonic()
        assert daemon.get("/-/healthy").status == 200
        assert daemon.query("up")
        assert time.monotonic() - started < 2
    finally:
        for s in held:
            s.close()


def test_dns_rebinding_is_refused(daemon):
    assert http("GET", daemon.url + "/api/v1/query?query=1", headers={"Host": "evil.example"}).status == 403


def test_federation_gives_what_a_prometheus_reads(daemon):
    text = daemon.get("/federate", **{"match[]": "up"}).text
    assert "# TYPE up untyped" in text and f'instance="127.0.0.1:{daemon.port}"' in text


def test_remote_write_verdicts(daemon):
    now = int(time.time() * 1000)
    series = {"__name__": "w", "job": "j", "instance": "i"}
    assert remote_write(daemon.url, [(series, [(now - 1000, 1.0), (now, 2.0)])]) == (204, "")
    assert remote_write(daemon.url, [(series, [(now, 2.0)])])[0] == 204  # the same again
    status, text = remote_write(daemon.url, [(series, [(now, 3.0)])])
    assert status == 400 and "duplicate" in text.lower()
    assert remote_write(daemon.url, [(series, [(now + 3_600_000, 1.0)])])[0] == 400
    assert daemon.value("w", now / 1000) == 2
    # Refused requests leave nothing behind.
    other = {"__name__": "other"}
    assert remote_write(daemon.url, [(other, [(now, 1.0)]), (series, [(now, 9.0)])])[0] == 400
    assert daemon.query("other", now / 1000) == []
    bad = daemon.post("/api/v1/write", b"not snappy", {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
    assert bad.status == 400
    assert daemon.post("/api/v1/write", b"", {"Content-Type": "text/plain"}).status == 415
    assert daemon.post("/api/v1/write", b"", {"Content-Encoding": "gzip"}).status == 415


def test_one_label_set_through_three_doors_is_one_series(daemon, target, tmp_path):
    """Scraped, pushed with job and instance, pushed without: one label set, one series."""
    now = int(time.time() * 1000)
    labels = {"__name__": "same", "job": "j", "instance": "i", "extra": "e"}
    assert remote_write(daemon.url, [(labels, [(now - 2000, 1.0)])])[0] == 204
    page = target("same{extra=\"e\"} 2\n")
    daemon.write(
        "prometheus.yml",
        f"""
scrape_configs:
  - job_name: j
    scrape_interval: 1s
    static_configs: [{{targets: ["{page.address}"], labels: {{instance: i}}}}]
""",
    )
    assert daemon.post("/-/reload").status == 200
    wait_until(lambda: daemon.value("same") == 2, what="the scraped sample")
    assert len(daemon.get("/api/v1/series", **{"match[]": "same"}).json()["data"]) == 1
    result = daemon.query("same[1m]")
    assert len(result) == 1 and result[0]["metric"] == labels
    assert [v for _, v in result[0]["values"]][:2] == ["1", "2"]


def test_the_reference_client_is_content(daemon, shared, tmp_path):
    if shutil.which("go") is None:
        pytest.skip("no Go here")
    shutil.copytree(os.path.join(shared, "bench", "prom-client"), tmp_path / "client")
    built = subprocess.run(["go", "build", "-o", "prom-client", "."], cwd=tmp_path / "client", capture_output=True, text=True)
    if built.returncode != 0:
        pytest.skip("the client cannot be built here: " + built.stderr[-200:])
    out = subprocess.run([str(tmp_path / "client" / "prom-client"), "-url", daemon.url, "-metric", "up"], capture_output=True, text=True)
    assert out.returncode == 0, out.stdout + out.stderr
    assert "FAIL" not in out.stdout


def test_status_documents(daemon):
    info = daemon.get("/api/v1/status/buildinfo").json()["data"]
    assert set(info) == {"version", "revision", "branch", "buildUser", "buildDate", "goVersion"}
    assert int(info["version"].split(".")[0]) >= 3
    flags = daemon.get("/api/v1/status/flags").json()["data"]
    assert flags["storage.tsdb.path"] == daemon.data and flags["web.enable-admin-api"] == "true"
    assert flags["web.route-prefix"] == "/"
    assert "job_name: tocsin" in daemon.get("/api/v1/status/config").json()["data"]["yaml"]
    tsdb = daemon.get("/api/v1/status/tsdb").json()["data"]
    assert tsdb["headStats"]["numSeries"] > 10
    assert json.dumps(daemon.get("/api/v1/status/runtimeinfo").json()["data"])


def test_compact_on_request_changes_no_answer(daemon):
    now = int(time.time() * 1000)
    rows = [({"__name__": "c", "k": str(k)}, [(now - 60_000 + i * 1000, float(i * k)) for i in range(50)]) for k in range(20)]
    assert remote_write(daemon.url, rows)[0] == 204
    ask = lambda: sorted(map(json.dumps, daemon.query("c[5m]", now / 1000)))  # noqa: E731
    before = ask()
    assert len(before) == 20
    assert daemon.post("/api/v1/admin/tsdb/compact").status in (200, 204)
    assert any(n.endswith(".seg") for _, _, names in os.walk(daemon.data) for n in names)
    # As promtool and client_golang read them.
    blocks = daemon.get("/api/v1/status/tsdb/blocks").json()["data"]["blocks"]
    mine = [b for b in blocks if b["minTime"] <= now - 60_000 < b["maxTime"]]
    assert mine and all(len(b["ulid"]) == 26 and b["version"] == 1 and b["compaction"]["level"] >= 1 for b in blocks)
    assert len({b["ulid"] for b in blocks}) == len(blocks)
    assert sum(b["stats"]["numSamples"] for b in mine) >= 20 * 50 and all(b["stats"]["numSeries"] >= 1 for b in blocks)
    assert ask() == before
    daemon.kill()
    daemon.start()
    assert ask() == before
