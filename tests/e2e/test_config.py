"""Configuration: errors that name the place, reload that is all or nothing, the check commands."""

import os
import signal
import subprocess

import pytest

from daemon import BINARY, wait_until

GOOD = "scrape_configs: [{job_name: a, static_configs: [{targets: ['127.0.0.1:1']}]}]\n"

BAD = [
    ("broken YAML", "scrape_configs: [\n  {job_name: a\n", ["prometheus.yml:"]),
    ("unknown field", "global:\n  scrape_interval: 1s\n  scrape_intervall: 2s\n", ["prometheus.yml:3:3", "scrape_intervall"]),
    ("duplicate job", "scrape_configs:\n  - job_name: a\n  - job_name: a\n", ["prometheus.yml:3", "job name \"a\""]),
    ("bad regex", "scrape_configs:\n  - job_name: a\n    relabel_configs:\n      - {regex: 'a(', target_label: x}\n", ["prometheus.yml:4", "regexp"]),
    ("bad duration", "global:\n  scrape_interval: 1x\n", ["prometheus.yml:2:20", "1x"]),
    ("timeout above interval", "scrape_configs:\n  - job_name: a\n    scrape_interval: 1s\n    scrape_timeout: 2s\n", ["scrape timeout greater than scrape interval"]),
    ("not built yet", "scrape_configs:\n  - job_name: a\n    consul_sd_configs: [{server: 'localhost:8500'}]\n", ["prometheus.yml:3", "consul_sd_configs"]),
]


@pytest.mark.parametrize("name,text,parts", BAD, ids=[b[0] for b in BAD])
def test_serve_refuses_and_names_the_place(tocsin, name, text, parts):
    daemon = tocsin(text, start=False).start(ready=False)
    assert daemon.process.wait(10) != 0
    for part in parts:
        assert part in daemon.log(), daemon.log()


def test_bad_promql_in_a_rule_names_the_place(tocsin):
    rules = "groups:\n  - name: g\n    rules:\n      - {alert: A, expr: 'sum(up'}\n"
    daemon = tocsin("rule_files: [rules.yml]\n" + GOOD, files={"rules.yml": rules}, start=False).start(ready=False)
    assert daemon.process.wait(10) != 0
    assert "rules.yml" in daemon.log() and "parse error" in daemon.log()


def test_unknown_flag_is_refused(tocsin):
    daemon = tocsin(GOOD, flags=["--no.such.flag"], start=False).start(ready=False)
    assert daemon.process.wait(10) != 0
    assert "no.such.flag" in daemon.log()


def test_reload_is_all_or_nothing(tocsin):
    daemon = tocsin(GOOD, flags=["--web.enable-lifecycle"])
    assert daemon.get("/api/v1/scrape_pools").json()["data"]["scrapePools"] == ["a"]
    daemon.write("prometheus.yml", GOOD + "nonsense: 1\n")
    refused = daemon.post("/-/reload")
    assert refused.status == 500 and "nonsense" in refused.text
    assert daemon.get("/api/v1/scrape_pools").json()["data"]["scrapePools"] == ["a"]
    assert daemon.get("/api/v1/status/runtimeinfo").json()["data"]["reloadConfigSuccess"] is False
    daemon.write("prometheus.yml", GOOD.replace("job_name: a", "job_name: b"))
    assert daemon.post("/-/reload").status == 200
    assert daemon.get("/api/v1/scrape_pools").json()["data"]["scrapePools"] == ["b"]
    daemon.write("prometheus.yml", GOOD.replace("job_name: a", "job_name: c"))
    os.kill(daemon.process.pid, signal.SIGHUP)
    wait_until(lambda: daemon.get("/api/v1/scrape_pools").json()["data"]["scrapePools"] == ["c"], 5, what="SIGHUP")


def test_lifecycle_is_off_by_default(tocsin):
    daemon = tocsin(GOOD)
    assert daemon.post("/-/reload").status == 403
    assert daemon.post("/-/quit").status == 403
    assert daemon.post("/api/v1/write").status == 404
    assert daemon.post("/api/v1/admin/tsdb/compact").status == 500


def test_quit_ends_cleanly(tocsin):
    daemon = tocsin(GOOD, flags=["--web.enable-lifecycle"])
    assert daemon.post("/-/quit").status == 200
    assert daemon.process.wait(15) == 0


def test_start_without_serve_and_version(tocsin):
    out = subprocess.run([BINARY, "version"], capture_output=True, text=True)
    assert out.returncode == 0 and out.stdout.startswith("tocsin")
    daemon = tocsin(GOOD, start=False)
    daemon.command = lambda: [c for c in type(daemon).command(daemon) if c != "serve"]
    daemon.start()
    assert daemon.get("/-/healthy").text == "Prometheus Server is Healthy.\n"


def run(*args, cwd=None):
    out = subprocess.run([BINARY, *args], capture_output=True, text=True, cwd=cwd, timeout=120)
    return out.returncode, out.stdout + out.stderr


def test_check_config_and_rules(tmp_path):
    good = tmp_path / "good.yml"
    good.write_text(GOOD)
    bad = tmp_path / "bad.yml"
    bad.write_text("global:\n  nope: 1\n")
    assert run("check", "config", str(good))[0] == 0
    code, text = run("check", "config", str(bad))
    assert code == 1 and "bad.yml:2:3" in text and "nope" in text
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{record: r, expr: 'sum('}]}]\n")
    code, text = run("check", "rules", str(rules))
    assert code == 1 and "parse error" in text
    later = tmp_path / "later.yml"
    later.write_text("scrape_configs: [{job_name: a, consul_sd_configs: [{server: 'localhost:8500'}]}]\n")
    code, text = run("check", "config", str(later))
    assert code == 0 and "consul_sd_configs" in text


def test_promql_scripts_pass(shared):
    code, text = run("test", "promql", os.path.join(shared, "conformance", "promql", "literals.test"))
    assert code == 0, text
    assert text.strip().splitlines()[-1].endswith("0 failed")
