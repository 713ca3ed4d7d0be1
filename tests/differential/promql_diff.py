#!/usr/bin/env python3
"""Random PromQL against a real Prometheus (Debian's) and Tocsin over the same data; what differs is shrunk and printed.

    tests/differential/promql_diff.py --seed 1 --queries 5000 [--prometheus URL --tocsin URL]

Starts both itself when no URLs are given (TOCSIN_BINARY, or build/release/tocsin). Ends with 1 when something differs.

Known differences of the versions (2.42 against 3.x), left out or evened out:
  - ranges and lookback are open on the left since 3.0: samples never lie on an edge (dataset.py); subqueries' times neither
  - which of equal values topk and bottomk keep is free: their values are compared, not their labels
  - sums are compensated since 3.0: floats are compared to 1e-9 of the largest value of the answer, and NaN counts as equal to any
    answer whose data overflows (1e300 squared, Inf - Inf in another order): `special` is left out of sums and deviations
  - one subquery inside another
  - rates next to a counter's 0 (3.x looks at the gap before it looks at the 0): counters of the data set start high
  - atan2 keeps the metric name in 2.42; stddev and stdvar of one infinite value are 0 there and NaN since 3.0
  - native histograms were an experiment in 2.42: they are added, rated, counted and summed there, but most functions take them for
    a 0 (3.x leaves them out), and avg, last_over_time, - and label_replace lose them; float stale markers among them are read otherwise
  - comparisons whose matches are ambiguous fail in 3.x even if the comparison would leave only one
  - texts of errors: that there is an error and its errorType are compared
"""

import argparse
import contextlib
import json
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
sys.path.insert(0, HERE)

import dataset  # noqa: E402
from fakes import remote_write  # noqa: E402
from promql_generator import Generator, leaf, shrink  # noqa: E402


def call(base, path, params):
    """(status, parsed body)."""
    data = urllib.parse.urlencode(params).encode()
    request = urllib.request.Request(base + path, data=data, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as r:
            return r.status, json.load(r)
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read())


class Question:
    """One expression at one time, or over a range."""

    def __init__(self, node, time_s, range_=None):
        self.node, self.time_s, self.range = node, time_s, range_

    def text(self):
        return str(self.node).replace("TIME", f"{self.time_s:.3f}")

    def ask(self, base):
        if self.range is None:
            return call(base, "/api/v1/query", {"query": self.text(), "time": f"{self.time_s:.3f}"})
        start, end, step = self.range
        return call(base, "/api/v1/query_range", {"query": self.text(), "start": f"{start:.3f}", "end": f"{end:.3f}", "step": step})


def values_of(result_type, result):
    """{labels: [(time, value)]}."""
    if result_type in ("scalar", "string"):
        return {"": [tuple(result)]}
    out = {}
    for one in result:
        key = json.dumps(one["metric"], sort_keys=True)
        if key in out:
            return {"duplicate series": [(0, key)]}
        points = one.get("values", [one["value"]] if "value" in one else []) + one.get("histograms", [one["histogram"]] if "histogram" in one else [])
        out[key] = sorted((tuple(v) for v in points), key=lambda v: v[0])
    return out


def histograms_close(a, b):
    """Counts and sums to 1e-9; buckets that hold nothing but a rounding error do not count."""

    def near(x, y, scale):
        x, y = float(x), float(y)
        return x == y or (math.isnan(x) and math.isnan(y)) or abs(x - y) <= 1e-9 * max(abs(x), abs(y), scale)

    scale = max([1.0] + [abs(float(bucket[3])) for bucket in a.get("buckets", [])])
    filled = [{(x, float(low), float(high)): n for x, low, high, n in h.get("buckets", []) if abs(float(n)) > 1e-9 * scale} for h in (a, b)]
    if not near(a["count"], b["count"], scale) or not near(a["sum"], b["sum"], scale) or filled[0].keys() != filled[1].keys():
        return False
    return all(near(n, filled[1][bucket], scale) for bucket, n in filled[0].items())


def close(a, b, scale, tolerance, deviation):
    if isinstance(a, dict) or isinstance(b, dict):
        return isinstance(a, dict) and isinstance(b, dict) and histograms_close(a, b)
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return (math.isnan(x) and math.isnan(y)) or (deviation and x == 0)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs(x - y) <= max(1e-9, tolerance * max(abs(x), abs(y), scale))


def difference(question, expected, got):
    """What is different, in words; None when nothing is."""
    (status_a, a), (status_b, b) = expected, got
    if a["status"] != b["status"]:
        return f"{status_a} {a.get('error', 'ok')!r} against {status_b} {b.get('error', 'ok')!r}"
    if a["status"] == "error":
        return None if a["errorType"] == b["errorType"] else f"errorType {a['errorType']} against {b['errorType']}: {status_a} {a['error']!r} against {b['error']!r}"
    if a["data"]["resultType"] != b["data"]["resultType"]:
        return f"{a['data']['resultType']} against {b['data']['resultType']}"
    left = values_of(a["data"]["resultType"], a["data"]["result"])
    right = values_of(b["data"]["resultType"], b["data"]["result"])
    if a["data"]["resultType"] == "string":
        return None if a["data"] == b["data"] else f"{a['data']} against {b['data']}"
    finite = [abs(float(v)) for vs in left.values() for _, v in vs if not isinstance(v, dict) and math.isfinite(float(v))]
    deviation = re.search("stddev|stdvar", question.text()) is not None
    # Deviations are differences of large numbers, and so are angles.
    tolerance = 1e-4 if re.search("stddev|stdvar|sin|cos|tan", question.text()) else 1e-9
    scale = max((v for v in finite if v < 1e100), default=0.0)
    if re.search(r"\b(topk|bottomk)\b", question.text()):
        ranked = lambda v: (math.isnan(float(v)), 0.0 if math.isnan(float(v)) else float(v))  # noqa: E731
        flat_a = sorted(((t, repr(float(v))) for vs in left.values() for t, v in vs), key=lambda p: (p[0], ranked(p[1])))
        flat_b = sorted(((t, repr(float(v))) for vs in right.values() for t, v in vs), key=lambda p: (p[0], ranked(p[1])))
        if [t for t, _ in flat_a] != [t for t, _ in flat_b]:
            return "another number of values"
        return next((f"{x} against {y}" for x, y in zip(flat_a, flat_b) if not close(x[1], y[1], scale, tolerance, deviation)), None)
    if question.range is None and re.match(r"sort(_desc)?\(", question.text()):
        ranks = [[float(one["value"][1]) for one in body["data"]["result"]] for body in (a, b)]
        if len(ranks[0]) == len(ranks[1]) and not all(close(x, y, scale, tolerance, deviation) for x, y in zip(*ranks)):
            return f"order {ranks[0][:8]} against {ranks[1][:8]}"
    if left.keys() != right.keys():
        return f"only there: {sorted(left.keys() - right.keys())[:3]}; only here: {sorted(right.keys() - left.keys())[:3]}"
    for key, values in left.items():
        if [t for t, _ in values] != [t for t, _ in right[key]]:
            return f"{key}: times {[t for t, _ in values][:5]}… against {[t for t, _ in right[key]][:5]}…"
        for (t, v), (_, w) in zip(values, right[key]):
            if not close(v, w, scale, tolerance, deviation):
                return f"{key} at {t}: {v} against {w}"
    return None


# What the versions are known to answer differently; a reason each.
KNOWN = [
    # Order of summation decides over Inf - Inf and over overflow.
    (re.compile(r"special"), re.compile(r"\b(sum|avg|stddev|stdvar|sum_over_time|avg_over_time|stddev_over_time|stdvar_over_time|deriv|predict_linear|quantile)\b")),
    (re.compile(r"\batan2\b"), re.compile("")),
    # The deviation of one infinite value: see above.
    (re.compile(r"\b(stddev|stdvar)\b"), re.compile(r"(?i)\binf\b")),
    # A string in parentheses is an error there.
    (re.compile(r'^\("'), re.compile("")),
    # The inner one is asked at whole steps, so its range has points on its left edge.
    (re.compile(r":\w*\].*:\w*\]"), re.compile("")),
    # 2.42 stops early where the same rows serve every step.
    (re.compile(r"predict_linear"), re.compile("@")),
    # Sines of what differs in the last of many digits.
    (re.compile(r"\b(sin|cos|tan)\b"), re.compile(r"\^|exp|stdvar|stddev|deg")),
    # count_values and topk above sums that differ in the last digit.
    (re.compile(r"count_values|topk|bottomk|sgn|==|!=|round|floor|ceil|>|<|changes|resets|group|%"), re.compile(r"\b(sum|avg|stddev|stdvar|deriv|predict_linear|rate|increase|delta|exp|hour|minute|day_of_week|month|year|days_in_month|day_of_month|quantile|quantile_over_time|histogram_quantile|time|sin|cos|tan|atan|asinh|acos|asin|sinh|cosh|tanh|acosh|atanh|sqrt|ln|log2|log10|sum_over_time|avg_over_time|stddev_over_time|stdvar_over_time)\b|\^")),
]


# Only where a typing error changed the text:
KNOWN_BROKEN = [
    # 2.42 takes a histogram for a 0 in most functions and leaves its sign alone.
    re.compile(r"\b(nh|nf|ng)\b"),
    # So do selectors without a name, which find histograms too.
    re.compile(r"(^|[^\w:])\{"),
]
# Whatever is selected, whether a text is PromQL does not depend on it.
PARSE_ERROR = re.compile(r"\b400 '")

# 3.x refuses ambiguous matches before a comparison leaves some of them out.
NEWER_MATCHING = re.compile("^200 'ok' against 422 'multiple matches for labels")

# What 3.x takes for an expression and 2.42 does not: durations and numbers stand for each other, names may be quoted or hold colons.
NEWER_GRAMMAR = re.compile("4[02][02] .*(unexpected number of samples|invalid label name|invalid destination label name|trailing commas|in subquery or range|in subquery selector|in grouping opts, expected label|unexpected string .* in label matching|missing unit character in duration|unexpected duration|in offset, expected duration)")


def known(question, what, broken=False):
    text = question.text()
    if any(a.search(text) and b.search(text) for a, b in KNOWN) or NEWER_MATCHING.search(what):
        return True
    if not broken:
        return False
    of_histograms = any(r.search(text) for r in KNOWN_BROKEN) and PARSE_ERROR.search(what) is None
    return of_histograms or NEWER_GRAMMAR.search(what) is not None


TOKENS = ["(", ")", "[", "]", "{", "}", ",", "+", "-", "by", "on", "bool", "offset", "@", "5m", "1", '"x"', "g", "sum", "rate", "=", "=~", "!", "and", "[5m]", "[5m:1m]", "group_left", "0x", "1e", "ignoring ()", "without ()", "#", "'", ":", "..", "inf", "start()", "-1s"]


def mangle(rng, text):
    tokens = re.findall(r'"[^"]*"|[\w.:]+|\s+|.', text)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(len(tokens))
        kind = rng.randint(0, 4)
        if kind == 0 and len(tokens) > 1:
            del tokens[at]
        elif kind == 1:
            tokens.insert(at, rng.choice(TOKENS))
        elif kind == 2:
            tokens[at] = rng.choice(TOKENS)
        elif kind == 3:
            tokens.insert(at, tokens[at])
        else:
            other = rng.randrange(len(tokens))
            tokens[at], tokens[other] = tokens[other], tokens[at]
    return "".join(tokens)


class Differ:
    def __init__(self, prometheus, tocsin, end_ms, log=print):
        self.prometheus, self.tocsin, self.end_ms, self.log = prometheus, tocsin, end_ms, log
        self.asked = self.errors = self.empty = 0

    def compare(self, question):
        expected, got = question.ask(self.prometheus), question.ask(self.tocsin)
        self.asked += 1
        self.errors += expected[1]["status"] == "error"
        self.empty += expected[1]["status"] == "success" and not expected[1]["data"]["result"]
        return difference(question, expected, got)

    def run_broken(self, seed, queries):
        """Texts that a typing error has changed: both must refuse them, or both answer alike."""
        rng = random.Random(-seed)
        found = []
        for number in range(queries):
            at = self.end_ms / 1000 - 599.5
            question = Question(leaf("v", mangle(rng, str(Generator(seed * 7_000_003 + number).query()).replace("TIME", str(at)))), at)
            what = self.compare(question)
            if what is not None and not known(question, what, broken=True):
                found.append((question, what))
                self.log(f"broken {number}: {question.text()}\n    time {at}\n    {what}")
        return found

    def run(self, seed, queries):
        """Differences as [(question, what)], shrunk."""
        rng = random.Random(seed)
        found = []
        for number in range(queries):
            node = Generator(seed * 1_000_003 + number).query()
            at = (self.end_ms - rng.randint(0, 40) * 60_000) // 1000 + 0.5
            range_ = None
            if rng.random() < 0.5:
                step = rng.choice([7, 15, 30, 60, 61, 300])
                range_ = (at - step * rng.randint(1, 60), at, step)
            question = Question(node, at, range_)
            what = self.compare(question)
            if what is None or known(question, what):
                continue
            small = shrink(node, lambda n: self.differs(n, at, range_))
            question = Question(small, at, range_)
            what = self.compare(question)
            found.append((question, what))
            self.log(f"query {number}: {question.text()}\n    time {at} range {range_}\n    {what}\n    was: {node}")
        return found

    def differs(self, node, at, range_):
        question = Question(node, at, range_)
        what = self.compare(question)
        return what is not None and not known(question, what)


def load(urls, seed, end_ms):
    made = dataset.series(seed, end_ms)
    for push in dataset.pushes(made):
        for url in urls:
            status, body = remote_write(url, push)
            if status // 100 != 2:
                raise SystemExit(f"{url} refused the data: {status} {body}")


def tocsin_command(features=""):
    from daemon import BINARY

    command = [os.environ.get("TOCSIN_BINARY", BINARY), "serve", "--web.enable-remote-write-receiver"]
    return command + [f"--enable-feature={features}"] if features else command


@contextlib.contextmanager
def servers(commands):
    """Runs each command (by name) on a loopback port and an empty store; their addresses, once all are ready."""
    from daemon import free_port, http, wait_until

    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "empty.yml"), "w") as f:
            f.write("global: {scrape_interval: 1h}\n")
        running, urls = [], []
        try:
            for name, command in commands.items():
                port = free_port()
                urls.append(f"http://127.0.0.1:{port}")
                command += [f"--config.file={directory}/empty.yml", f"--storage.tsdb.path={directory}/{name}", f"--web.listen-address=127.0.0.1:{port}"]
                with open(os.path.join(directory, name + ".log"), "wb") as log:
                    running.append(subprocess.Popen(command, stdout=log, stderr=log))
            for url in urls:

                def ready(url=url):
                    with contextlib.suppress(OSError):
                        return http("GET", url + "/-/ready", timeout=2).status == 200
                    return False

                wait_until(ready, 30, what=url)
            yield urls
        finally:
            for process in running:
                process.terminate()
                process.wait(20)


def both():
    """Debian's Prometheus and Tocsin."""
    prometheus = ["prometheus", "--web.enable-remote-write-receiver", "--enable-feature=promql-at-modifier,promql-negative-offset,native-histograms"]
    return servers({"prometheus": prometheus, "tocsin": tocsin_command()})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--broken", type=int, default=1000, help="queries with a typing error")
    args = parser.parse_args()
    end_ms = (int(time.time()) // 60 - 5) * 60_000
    with both() as urls:
        load(urls, args.seed, end_ms)
        differ = Differ(*urls, end_ms)
        found = differ.run(args.seed, args.queries) + differ.run_broken(args.seed, args.broken)
    print(f"{args.queries} queries, {args.broken} broken ones, {differ.errors} errors and {differ.empty} empty answers among {differ.asked} calls; {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
