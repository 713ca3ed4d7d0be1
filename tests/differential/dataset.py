"""The data that both servers get: counters with resets, gaps, series that end with a staleness marker and come back, NaN and Inf.

Sample timestamps end in 1 … 400 ms, query times in 500: no sample ever lies on the edge of a range, where Prometheus 3 (open on
the left) differs from Prometheus 2 (closed).
"""

import random
import struct

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
STEP_MS = 15_000
ROWS = 240


def series(seed, end_ms):
    """[(labels, [(timestamp ms, value)])], ascending; the last row lies at `end_ms`, a whole second."""
    rng = random.Random(seed)
    start = end_ms - (ROWS - 1) * STEP_MS
    made = []

    def add(labels, value, every=1, gaps=0.03, ends=False, markers=True):
        samples, away = [], 0
        offset = rng.randint(1, 400)
        for row in range(0, ROWS, every):
            if away > 0:
                away -= every
                continue
            t = start + row * STEP_MS + offset + (rng.randint(-3, 3) if offset > 10 and offset < 390 else 0)
            if rng.random() < gaps / 4:
                away = rng.randint(1, 40)
                if markers and (ends or rng.random() < 0.5):
                    samples.append((t, STALE))
                continue
            if rng.random() < gaps:
                continue
            samples.append((t, value(row)))
        made.append((labels, samples))

    def counter(step):
        # Far from 0, where 2.42 and 3.x extrapolate rates in another order of conditions.
        state = [rng.randint(1, 9) * 1e6]

        def value(_):
            if rng.random() < 0.015:
                state[0] *= 0.9
            state[0] += step()
            return state[0]

        return value

    for job in ("api", "db"):
        for instance in ("a", "b", "c"):
            if (job, instance) == ("db", "c"):
                continue
            for mode in ("idle", "user", "iowait", "nice"):
                step = {"idle": lambda: 15.0, "user": lambda: rng.random() * 3, "iowait": lambda: rng.choice([0, 0, 0.25]), "nice": lambda: 0.0}[mode]
                add({"__name__": "c_total", "job": job, "instance": instance, "mode": mode}, counter(step))
            add({"__name__": "d_total", "job": job, "instance": instance}, counter(lambda: rng.randint(0, 1000)), gaps=0.1)
            add({"__name__": "g", "job": job, "instance": instance}, lambda _: rng.randint(-50, 50) / 4, gaps=0.08, ends=True)
        for zone in ("z1", "z2"):
            add({"__name__": "g2", "job": job, "zone": zone}, lambda row: row % 17 + rng.random())
    for instance, version in (("a", "1"), ("b", "2"), ("c", "1")):
        add({"__name__": "build_info", "instance": instance, "version": version}, lambda _: 1.0, gaps=0)
        add({"__name__": "sparse", "instance": instance}, lambda _: rng.random() * 100, every=20)
        counts = [50_000, 40_000, 30_000, 20_000]
        rows = {}

        def observe(row, counts=counts, rows=rows):
            if row not in rows:
                for _ in range(rng.randint(0, 20)):
                    counts[rng.randint(0, 3)] += 1
                rows[row] = list(counts)
            return rows[row]

        for i, le in enumerate(("0.1", "1", "10", "+Inf")):
            add({"__name__": "h_bucket", "instance": instance, "le": le}, lambda row, i=i, o=observe: float(sum(o(row)[: i + 1])), gaps=0)
        add({"__name__": "h_count", "instance": instance}, lambda row, o=observe: float(sum(o(row))), gaps=0)
        add({"__name__": "h_sum", "instance": instance}, lambda row, o=observe: sum(o(row)) * 1.7, gaps=0)
    for instance, kind, schema in (("a", "nh", 0), ("b", "nh", 2), ("c", "nh", 0), ("a", "nf", 1), ("b", "nf", 1), ("a", "ng", 0), ("b", "ng", 0)):
        add({"__name__": kind, "instance": instance}, native_histograms(rng, kind, schema), gaps=0.05, markers=False)  # a float among histograms otherwise
    extremes = [float("nan"), float("inf"), float("-inf"), -0.0, 0.0, 1e300, -1e300, 1e-300, 1.0]
    for n in range(5):
        add({"__name__": "special", "n": str(n)}, (lambda _: rng.choice(extremes)) if n else (lambda _: float("nan")), gaps=0.05)
    return made


def native_histograms(rng, kind, schema):
    """nh: integer counters, nf: float counters, both far from 0; ng: gauges."""
    scale = 0.5 if kind == "nf" else 1
    state = {index: rng.randint(20_000, 40_000) * scale for index in range(-3, 4)}
    negative = {index: rng.randint(20_000, 40_000) * scale for index in (0, 1)}
    zero = [30_000 * scale]

    def value(row):
        if kind != "ng" and rng.random() < 0.01:  # a reset
            for side in (state, negative):
                for index in side:
                    side[index] //= 2
        for _ in range(rng.randint(0, 8)):
            index = rng.randint(-3, 5)
            state[index] = state.get(index, 0) + scale * rng.randint(1, 20)
        zero[0] += scale
        if kind == "ng":
            for index in state:
                state[index] = max(0, state[index] + rng.randint(-50, 50))
        count = sum(state.values()) + sum(negative.values()) + zero[0]
        return {
            "schema": schema, "sum": count * 1.25, "count": count, "zero_threshold": 2.0**-128, "zero_count": zero[0],
            "positive": dict(state), "negative": dict(negative), "float": kind == "nf", "gauge": kind == "ng",
        }

    return value


def pushes(made, rows_a_push=10):
    """The series cut by time into pushes, as a sender would send them."""
    everything = sorted({t // STEP_MS for _, samples in made for t, _ in samples})
    for i in range(0, len(everything), rows_a_push):
        wanted = set(everything[i : i + rows_a_push])
        push = [(labels, [s for s in samples if s[0] // STEP_MS in wanted]) for labels, samples in made]
        yield [(labels, samples) for labels, samples in push if samples]
