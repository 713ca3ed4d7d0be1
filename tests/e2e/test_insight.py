"""Looking inside: active queries and their end, top queries, the query log, explain, the result cache, the promql tools."""

import json
import os
import subprocess
import threading
import time

from daemon import BINARY, http, wait_until


def start(tocsin, target, flags=()):
    source = target("".join(f'm_total{{i="{i}"}} {i}\n' for i in range(200)))
    daemon = tocsin(
        f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, query_log_file: queries.log}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: a
    static_configs: [{{targets: ["{source.address}"]}}]
""",
        flags=flags,
        files={"rules.yml": "groups: [{name: g, rules: [{record: r, expr: sum(m_total)}]}]"},
    )
    wait_until(lambda: daemon.value("r") is not None, what="the first rule result")
    return daemon


def data(answer):
    assert answer.status == 200, answer.text
    return answer.json()["data"]


def test_a_running_query_is_seen_and_cancelled(tocsin, target):
    daemon = start(tocsin, target)
    # Pinned, so that there is a sample in every window although the series are some seconds old: ahead
    # of now, since a rounded time may lie before their first sample.
    slow = f"sum(quantile_over_time(0.5, (m_total @ {time.time() + 1:.0f})[2h:1s]))"
    answers = []
    asker = threading.Thread(target=lambda: answers.append(
        daemon.get("/api/v1/query_range", query=slow, start=time.time() - 3000, end=time.time(), step=1)))
    asker.start()

    def running():
        return [q for q in data(daemon.get("/api/v1/status/active_queries"))["queries"] if q["lane"] == "user"]

    wait_until(running, what="the query in the list")
    query = running()[0]
    assert query["query"] == slow and query["type"] == "range" and query["client"] == "127.0.0.1"
    url = f"{daemon.url}/api/v1/status/active_queries/{query['id']}"
    foreign = http("DELETE", url, headers={"Origin": "http://evil.example"})
    assert foreign.status == 403
    assert http("DELETE", url).status == 204
    asker.join(20)
    assert answers[0].status == 499 and answers[0].json()["errorType"] == "canceled"
    assert http("DELETE", url).status == 404
    assert running() == []


def test_explain_tells_what_each_node_did(tocsin, target):
    daemon = start(tocsin, target)
    now = time.time()
    plan = data(daemon.get("/api/v1/explain", query="sum by (job) (rate(m_total[1m])) > 0", start=now - 60, end=now,
                           step=1))
    root = plan["plan"][0]
    assert root["expr"] == "sum by (job) (rate(m_total[1m])) > 0"
    aggregate = root["children"][0]
    rate = aggregate["children"][0]
    selector = rate["children"][0]
    assert (aggregate["series"], rate["series"], selector["expr"]) == (1, 200, "m_total[1m]")
    assert selector["samples"] > 0 and rate["bytes"] > 0 and root["milliseconds"] >= rate["milliseconds"]
    tool = subprocess.run([BINARY, "promql", "explain", f"--server={daemon.url}", "sum(m_total)"],
                          capture_output=True, text=True, timeout=20)
    assert tool.returncode == 0, tool.stderr
    assert "sum(m_total)" in tool.stdout and "  m_total  [newest only]" in tool.stdout
    assert not selector["timesOnly"] and not selector["newestOnly"]
    counted = data(daemon.get("/api/v1/explain", query="count(m_total)"))["plan"][0]["children"][0]
    assert counted["timesOnly"] and counted["newestOnly"]


def test_query_log_and_top_queries(tocsin, target):
    daemon = start(tocsin, target)
    data(daemon.get("/api/v1/query", query="sum(m_total) > 1"))
    path = os.path.join(daemon.dir, "queries.log")

    def lines():
        with open(path) as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    wait_until(lambda: any(e["params"]["query"] == "sum(m_total) > 1" for e in lines()), what="the query in the log")
    mine = [e for e in lines() if e["params"]["query"] == "sum(m_total) > 1"][0]
    assert mine["httpRequest"] == {"clientIP": "127.0.0.1", "method": "GET", "path": "/api/v1/query"}
    assert mine["stats"]["timings"]["execTotalTime"] > 0 and mine["params"]["step"] == 0
    assert any(e.get("ruleGroup", {}).get("name") == "g" for e in lines())
    top = data(daemon.get("/api/v1/status/top_queries", by="runs", limit=5))["queries"]
    assert [q["lane"] for q in top if q["query"] == "sum(m_total)"] == ["rules"]
    assert [q["lane"] for q in top if q["query"] == "sum(m_total) > 1"] == ["user"]
    assert daemon.get("/api/v1/status/top_queries", by="x").status == 400


def test_a_refresh_comes_from_the_cache_and_is_the_same(tocsin, target):
    daemon = start(tocsin, target)
    # An hour of history, so that most of it is settled.
    end = int(time.time())
    params = {"query": "sum(m_total)", "start": end - 7200, "end": end, "step": 15}
    first = daemon.get("/api/v1/query_range", **params)
    second = daemon.get("/api/v1/query_range", **params)
    fresh = daemon.get("/api/v1/query_range", nocache=1, **params)
    assert first.text == second.text == fresh.text
    hits = daemon.get("/metrics").text
    assert "tocsin_query_cache_hits_total" in hits


def test_promql_tools():
    def run(*args, text=None):
        return subprocess.run([BINARY, "promql", *args], input=text, capture_output=True, text=True, timeout=20)

    assert run("format", "sum(rate(x[5m]))by(job)").stdout == "sum by (job) (rate(x[5m]))\n"
    assert run("format", "-", text="1+1").stdout == "1 + 1\n"
    assert json.loads(run("parse", "-x").stdout)["type"] == "unaryExpr"
    bad = run("format", "sum(")
    assert bad.returncode == 1 and bad.stderr == "1:5: parse error: unclosed left parenthesis\n"
    assert run("format").returncode == 2
    assert run("format", "--help").stdout.startswith("usage: tocsin promql") and run("--help").returncode == 0
