"""Random PromQL against a real Prometheus over the same data; tests/differential runs it for hours."""

import os
import shutil
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "differential"))

import promql_diff  # noqa: E402
import promql_self  # noqa: E402


@pytest.mark.parametrize("seed", [1, 2])
def test_random_queries_answer_as_prometheus_does(seed):
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    end_ms = (int(time.time()) // 60 - 5) * 60_000
    with promql_diff.both() as urls:
        promql_diff.load(urls, seed, end_ms)
        differ = promql_diff.Differ(*urls, end_ms)
        found = differ.run(seed, 400) + differ.run_broken(seed, 300)
    assert not found, [(q.text(), what) for q, what in found]
    # The queries are worth asking: most are answered, with something.
    assert differ.asked >= 700
    assert differ.errors < 350 and differ.empty < 300


def test_ranges_answer_as_their_steps_do():
    end_ms = (int(time.time()) // 60 - 5) * 60_000
    with promql_self.server() as (url,):
        promql_diff.load([url], 3, end_ms)
        check = promql_self.SelfCheck(url, end_ms)
        found = check.run(3, 150)
    assert not found, found
    assert check.asked >= 120
    assert check.errors < 40 and check.empty < 60
