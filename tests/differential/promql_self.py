#!/usr/bin/env python3
"""Random PromQL of 3.14, asked twice: over a range, and at each of its steps. Values, errors and annotations must agree.

    tests/differential/promql_self.py --seed 1 --queries 1000

A range is evaluated by other code than an instant (sliding windows, streaming aggregations, joins over all steps at once), so
that a mistake of one shows beside the other. Starts Tocsin itself (TOCSIN_BINARY, or build/release/tocsin) with all features of
the language. Ends with 1 when something differs.
"""

import argparse
import json
import math
import os
import random
import re
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
sys.path.insert(0, HERE)

import promql_diff  # noqa: E402
from newer_generator import NewerGenerator  # noqa: E402

FEATURES = "promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers,promql-delayed-name-removal,promql-duration-expr"
STEPS = 5
NOTES_MAX = 10  # of each kind in an answer


def close(x, y):
    if isinstance(x, dict) or isinstance(y, dict):
        return isinstance(x, dict) and isinstance(y, dict) and promql_diff.histograms_close(x, y)
    x, y = float(x), float(y)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return x == y or abs(x - y) <= 1e-9 * max(abs(x), abs(y), 1e-3)


def notes(body):
    """Annotations without what tells of one step or of ranges only."""
    said = body.get("warnings", []) + body.get("infos", [])
    return {re.sub(r", from buckets .*", "", text) for text in said if "sort is ineffective" not in text}


class SelfCheck:
    def __init__(self, url, end_ms, log=print):
        self.url, self.end_ms, self.log = url, end_ms, log
        self.asked = self.errors = self.empty = 0

    def difference(self, query, start, step):
        """In words; None when nothing is different."""
        times = [start + i * step for i in range(STEPS)]
        ends = {"start": f"{times[0]:.3f}", "end": f"{times[-1]:.3f}", "step": step, "nocache": "1"}
        _, body = promql_diff.call(self.url, "/api/v1/query_range", {"query": query, **ends})
        instants = [promql_diff.call(self.url, "/api/v1/query", {"query": query, "time": f"{t:.3f}"})[1] for t in times]
        self.asked += 1
        if any(i["status"] == "success" and i["data"]["resultType"] in ("matrix", "string") for i in instants):
            return None  # has no range
        if body["status"] == "error" or any(i["status"] == "error" for i in instants):
            self.errors += 1
            if body["status"] == "error" and any(i["status"] == "error" for i in instants):
                return None
            return f"range {body.get('error', 'ok')!r} against {[i.get('error', 'ok') for i in instants]}"
        expected, got = {}, {}
        for i, instant in enumerate(instants):
            result = instant["data"]["result"]
            if instant["data"]["resultType"] == "scalar":
                result = [{"metric": {}, "value": result}]
            for one in result:
                expected[json.dumps(one["metric"], sort_keys=True), i] = (one.get("value") or one.get("histogram"))[1]
        for one in body["data"]["result"]:
            for t, value in one.get("values", []) + one.get("histograms", []):
                got[json.dumps(one["metric"], sort_keys=True), round((t - start) / step)] = value
        self.empty += not expected
        if expected.keys() != got.keys():
            return f"only at steps: {sorted(expected.keys() - got.keys())[:2]}; only over the range: {sorted(got.keys() - expected.keys())[:2]}"
        for place, value in expected.items():
            if not close(value, got[place]):
                return f"{place}: {str(value)[:200]} at its step against {str(got[place])[:200]}"
        said = set().union(*(notes(i) for i in instants))
        if len(said) < NOTES_MAX and said != notes(body):
            return f"annotations {sorted(said - notes(body))} at steps, {sorted(notes(body) - said)} over the range"
        return None

    def run(self, seed, queries):
        rng = random.Random(seed)
        found = []
        for number in range(queries):
            end = (self.end_ms - rng.randint(0, 40) * 60_000) // 1000 + rng.choice([0.5, 0.0, 0.251])
            step = rng.choice([7, 15, 60, 61])
            query = str(NewerGenerator(seed * 1_000_003 + number).query()).replace("TIME", f"{end:.3f}")
            if re.search(r"\b(start|end|step)\(\)", query):  # they are another thing over a range
                continue
            if "sort" in query and re.search("limitk|topk|bottomk", query):  # choose by an order that ranges have not
                continue
            what = self.difference(query, end - step * (STEPS - 1), step)
            if what is not None:
                found.append((query, what))
                self.log(f"query {number}: {query}\n    end {end} step {step}\n    {what}")
        return found


def server():
    return promql_diff.servers({"tocsin": promql_diff.tocsin_command(FEATURES)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queries", type=int, default=1000)
    args = parser.parse_args()
    end_ms = (int(time.time()) // 60 - 5) * 60_000
    with server() as (url,):
        promql_diff.load([url], args.seed, end_ms)
        check = SelfCheck(url, end_ms)
        found = check.run(args.seed, args.queries)
    print(f"{check.asked} queries, {check.errors} errors and {check.empty} empty answers; {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
