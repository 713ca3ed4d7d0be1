"""From a dead exporter to a webhook, a real Alertmanager and the page; and through kill -9."""

import json
import subprocess
import time

from daemon import free_port, http, wait_until

RULES = """
groups:
  - name: host
    interval: 1s
    rules:
      - alert: Down
        expr: up{job="node"} == 0
        for: 2s
        labels: {severity: critical}
        annotations:
          summary: '{{ $labels.instance }} of {{ $labels.job }} is down, value {{ $value | printf "%.1f" }}'
      - record: job:up:sum
        expr: sum by (job) (up)
"""


def config(address, alertmanager_port=None):
    external = (
        f"""
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{alertmanager_port}"]}}]
"""
        if alertmanager_port
        else ""
    )
    return f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s, external_labels: {{site: test}}}}
rule_files: [rules.yml]
{external}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["{address}"]}}]
"""


def notifier(url):
    return f"""
route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}}
receivers:
  - name: hook
    webhook_configs: [{{url: "{url}"}}]
"""


def start(tocsin, address, webhook, alertmanager_port=None):
    daemon = tocsin(
        config(address, alertmanager_port),
        files={"rules.yml": RULES, "alertmanager.yml": notifier(webhook.url)},
        start=False,
    )
    daemon.flags.append(f"--alertmanager.config-file={daemon.dir}/alertmanager.yml")
    return daemon.start()


def alert_of(daemon):
    alerts = daemon.get("/api/v1/alerts").json()["data"]["alerts"]
    return alerts[0] if alerts else None


def wait_for_state(daemon, state, timeout_s=15):
    return wait_until(lambda: (a := alert_of(daemon)) and a["state"] == state and a, timeout_s, what=f"alert {state}")


def test_a_dead_exporter_reaches_webhook_and_alertmanager(tocsin, node_exporter, webhook, peer, tmp_path):
    address, exporter = node_exporter
    port = free_port()
    am_config = tmp_path / "am.yml"
    am_config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    peer(
        [
            "prometheus-alertmanager",
            f"--config.file={am_config}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            f"--storage.path={tmp_path}/am",
        ],
        f"http://127.0.0.1:{port}/-/ready",
    )
    daemon = start(tocsin, address, webhook, port)
    wait_until(lambda: daemon.value('up{job="node"}') == 1, what="up")
    active = daemon.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"]
    assert active == [{"url": f"http://127.0.0.1:{port}/api/v2/alerts"}]
    wait_until(lambda: daemon.value('job:up:sum{job="node"}') == 1, what="the recording rule")

    exporter.terminate()
    exporter.wait()
    pending = wait_for_state(daemon, "pending", 6)
    firing = wait_for_state(daemon, "firing", 8)
    assert firing["activeAt"] == pending["activeAt"]
    assert firing["annotations"]["summary"] == f"{address} of node is down, value 0.0"
    assert firing["labels"] == {"alertname": "Down", "instance": address, "job": "node", "severity": "critical"}
    wait_until(lambda: daemon.value('ALERTS{alertname="Down", alertstate="firing"}') == 1, 5, what="the ALERTS series")

    wait_until(lambda: webhook.alerts("Down", "firing"), 10, what="the webhook")
    _, body = webhook.received[0]
    assert body["version"] == "4" and body["status"] == "firing" and body["receiver"] == "hook"
    assert body["groupLabels"] == {"alertname": "Down"}
    assert body["commonLabels"]["severity"] == "critical"

    def at_alertmanager():
        return [a for a in http("GET", f"http://127.0.0.1:{port}/api/v2/alerts").json() if a["labels"]["alertname"] == "Down"]

    received = wait_until(at_alertmanager, 10, what="the alert at the real Alertmanager")
    assert received[0]["labels"]["site"] == "test"
    assert received[0]["generatorURL"].startswith("http")
    listed = subprocess.run(
        ["amtool", f"--alertmanager.url=http://127.0.0.1:{port}", "alert", "query", "-o", "json"],
        capture_output=True, text=True, check=True,
    )
    assert json.loads(listed.stdout)[0]["labels"]["alertname"] == "Down"


def test_a_firing_alert_survives_kill_nine(tocsin, target, webhook):
    page = target("a 1\n")
    daemon = start(tocsin, page.address, webhook)
    wait_until(lambda: daemon.value('up{job="node"}') == 1, what="up")
    page.page = lambda handler: handler.send_error(500)
    firing = wait_for_state(daemon, "firing")
    wait_until(lambda: webhook.alerts("Down", "firing"), 10, what="the first notification")
    daemon.kill()
    time.sleep(0.5)
    daemon.start()
    again = wait_for_state(daemon, "firing", 5)
    assert again["activeAt"] == firing["activeAt"]
    time.sleep(5)  # longer than group_wait and group_interval
    assert wait_for_state(daemon, "firing", 1)["activeAt"] == firing["activeAt"]
    assert len(webhook.alerts("Down", "firing")) == 1, webhook.received
    # Resolution is told once the page is back.
    page.page = "a 1\n"
    wait_until(lambda: webhook.alerts("Down", "resolved"), 15, what="the resolved notification")
    assert alert_of(daemon) is None


def test_a_failing_webhook_is_tried_again(tocsin, target, webhook):
    page = target(lambda handler: handler.send_error(500))
    webhook.status = 503
    daemon = start(tocsin, page.address, webhook)
    wait_until(lambda: len(webhook.received) >= 2, 20, what="a second try")
    webhook.status = 200
    before = len(webhook.received)
    wait_until(lambda: len(webhook.received) > before, 20, what="the delivery")
    time.sleep(3)
    assert len(webhook.received) == before + 1
    assert wait_for_state(daemon, "firing", 1)


def test_rules_page_data(tocsin, target, webhook):
    daemon = start(tocsin, target("a 1\n").address, webhook)
    wait_until(lambda: daemon.value('job:up:sum{job="node"}') == 1, what="the recording rule")
    group = daemon.get("/api/v1/rules").json()["data"]["groups"][0]
    assert group["name"] == "host" and group["interval"] == 1 and group["file"].endswith("rules.yml")
    alerting, recording = group["rules"]
    assert alerting["type"] == "alerting" and alerting["state"] == "inactive" and alerting["duration"] == 2
    assert recording["query"] == "sum by (job) (up)" and recording["health"] == "ok"
    only = daemon.get("/api/v1/rules", type="record").json()["data"]["groups"][0]["rules"]
    assert [r["type"] for r in only] == ["recording"]
