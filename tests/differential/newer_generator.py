"""Random PromQL of 3.14 that 2.42 does not know: experimental functions, anchored and smoothed ranges, fill, trims, native
histograms everywhere, duration expressions. No other server here speaks it; promql_self.py asks Tocsin twice instead.
"""

from promql_generator import RANGES, STEPS, Generator, Node, leaf

HISTOGRAMS = ["nh", "nf", "ng", '{__name__=~"nh|ng"}', '{__name__=~"nh|g"}', "h_bucket"]
RATED = ["c_total", "g", "nh", "nf", "ng", "h_bucket", "sparse"]
OVER_TIME = [
    "mad_over_time", "ts_of_min_over_time", "ts_of_max_over_time", "ts_of_first_over_time", "ts_of_last_over_time", "first_over_time",
    "last_over_time",
]
OF_HISTOGRAMS = ["avg_over_time", "sum_over_time", "last_over_time", "first_over_time", "rate", "increase", "delta", "irate", "idelta", "changes", "resets", "count_over_time"]


class NewerGenerator(Generator):
    def vector(self, depth):
        if not self.chance(0.45):
            return super().vector(depth)
        kinds = [
            self.newer_range, self.limit, self.anchored, self.anchored, self.smoothed, self.smoothed, self.filled, self.filled, self.trimmed,
            self.histogram_value, self.quantiles, self.histogram_range, self.histogram_range, self.histogram_aggregate, self.histogram_pair,
            self.computed_durations, self.sorted_or_informed,
        ]
        return self.pick(kinds)(max(depth - 1, 0))

    def histogram(self):
        return self.pick(HISTOGRAMS)

    def newer_range(self, depth):
        if self.chance(0.2):
            return Node("v", f"double_exponential_smoothing({{}}, {self.pick(['0.1', '0.5'])}, {self.pick(['0.3', '0.9'])})", self.matrix(depth))
        return Node("v", self.pick(OVER_TIME) + "({})", self.matrix(depth))

    def limit(self, depth):
        operator, parameter = self.pick([("limitk", "1"), ("limitk", "2"), ("limit_ratio", "0.5"), ("limit_ratio", "-0.3")])
        return Node("v", f"{operator}{self.pick(['', ' by (job)', ' without (instance)'])}({parameter}, {{}})", self.vector(depth))

    def anchored(self, _):
        function = self.pick(["rate", "increase", "delta", "resets", "changes"])
        return leaf("v", f"{function}({self.pick(RATED)}[{self.pick(RANGES)}] anchored{self.modifiers()})")

    def smoothed(self, _):
        if self.chance(0.3):
            return leaf("v", f"{self.pick(['g', 'c_total', 'nh', 'ng', 'sparse'])} smoothed{self.modifiers()}")
        return leaf("v", f"{self.pick(['rate', 'increase', 'delta'])}({self.pick(RATED)}[{self.pick(RANGES)}] smoothed{self.modifiers()})")

    def filled(self, depth):
        operator = self.pick(["+", "-", "*", "/", "==", "> bool", "!="])
        matching = self.pick(["", " on (instance)", " ignoring (mode)", " on (job,instance) group_left"])
        fill = self.pick(["fill(0)", "fill_left(1)", "fill_right(2)", "fill_left(3) fill_right(NaN)"])
        return Node("v", f"({{}} {operator}{matching} {fill} {{}})", self.vector(depth), self.vector(depth))

    def trimmed(self, _):
        return leaf("v", f"{self.histogram()} {self.pick(['</', '>/'])} {self.pick(['1', '0.5', '-1', '3', '0'])}")

    def histogram_value(self, _):
        function = self.pick(["histogram_avg", "histogram_stddev", "histogram_stdvar", "histogram_count", "histogram_sum"])
        h = self.histogram()
        return leaf("v", f"{function}({self.pick([h, f'rate({h}[5m])', f'sum({h})', f'avg by (instance) ({h})'])})")

    def quantiles(self, _):
        h = self.pick([self.histogram(), f"rate({self.histogram()}[5m])"])
        q = self.pick(["0.5", "0.9", "0", "1", 'scalar(g{job="api",instance="a"}) % 1', "(time() % 100) / 100"])
        return leaf("v", self.pick([f"histogram_quantile({q}, {h})", f'histogram_quantiles({h}, "q", 0.123, {q})', f"histogram_fraction({self.pick(['0', '-Inf', '1'])}, {self.pick(['2', 'Inf', '4'])}, {h})"]))

    def histogram_range(self, _):
        step = f":{self.pick(STEPS)}" if self.chance(0.4) else ""
        return leaf("v", f"{self.pick(OF_HISTOGRAMS)}({self.histogram()}[{self.pick(RANGES)}{step}]{self.modifiers()})")

    def histogram_aggregate(self, _):
        return leaf("v", f"{self.pick(['sum', 'avg', 'count', 'group', 'min', 'max', 'stddev'])}{self.pick(['', ' by (instance)'])}({self.histogram()})")

    def histogram_pair(self, _):
        matching = self.pick(["", "on (instance) ", "ignoring (job) "])
        right = self.pick(["nh", "ng", "nf", "g", "2"])
        return leaf("v", f"({self.histogram()} {self.pick(['+', '-', '*', '/', '==', '!='])} {'' if right == '2' else matching}{right})")

    def computed_durations(self, _):
        range_ = self.pick(["5m + 30s", "2 * 1m", "min_of(10m, 7m)", "max_of(30s, 1m) * 2"])
        return leaf("v", f"{self.pick(['rate', 'increase', 'max_over_time', 'avg_over_time'])}(c_total[{range_}] offset {self.pick(['(1m - 30s)', '-30s', '(2 * 10s)'])})")

    def sorted_or_informed(self, depth):
        choice = self.pick(['sort_by_label({}, "instance")', 'sort_by_label_desc({}, "job")', "info({})"])
        return Node("v", choice, self.vector(depth))
