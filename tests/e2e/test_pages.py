"""Every page in a real browser, light, dark and phone size: no console error, no policy violation, no axe finding.

Screenshots are kept under build/screenshots for a person to look at.
"""

import os
import shutil
import subprocess
import time

import pytest

from daemon import TOP, wait_until
from test_alerts import RULES

WORK = os.environ.get("TOCSIN_WEB_WORK", os.path.join(os.path.dirname(os.path.dirname(os.environ.get("TOCSIN_BINARY", ""))), "ci", "dashboards", "embedded", "web"))


def test_every_page(tocsin, target, node_exporter):
    if shutil.which("node") is None or shutil.which("chromium") is None:
        pytest.skip("node or chromium is not installed")
    if not os.path.isdir(os.path.join(WORK, "node_modules", "playwright-core")):
        pytest.skip(f"no browser driver in {WORK}: the pages were not built")
    address, _ = node_exporter
    evil = target('evil_total{path="<img src=x onerror=alert(1)>"} 1\n')
    down = target(lambda handler: handler.send_error(503))
    daemon = tocsin(
        f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: machine
    static_configs: [{{targets: ["{address}"]}}]
  - job_name: node
    static_configs: [{{targets: ["{down.address}"]}}]
  - job_name: evil
    static_configs: [{{targets: ["{evil.address}"]}}]
""",
        files={"rules.yml": RULES},
    )
    wait_until(lambda: daemon.value('ALERTS{alertstate="firing"}') == 1, 20, what="a firing alert")
    time.sleep(8)  # some points for the graph
    shots = os.path.join(TOP, "build", "screenshots")
    os.makedirs(shots, exist_ok=True)
    out = subprocess.run(
        ["node", os.path.join(TOP, "tests", "e2e", "pages.mjs"), daemon.url, WORK, shots],
        capture_output=True, text=True, timeout=240,
    )
    assert out.returncode == 0, out.stdout + out.stderr
    assert "all pages clean" in out.stdout
