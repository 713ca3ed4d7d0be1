"""Random PromQL over the metrics of dataset.py: typed trees, so that a query that differs can be shrunk.

A Node is a piece of text with holes for its children and a type: v(ector), m(atrix), s(calar), q (a string). h is a vector of
native histograms, apart because 2.42 takes them for numbers in most functions. Whatever is generated is meant to parse and to pass
the type check; what then fails (many-to-many joins, say) must fail for both servers.
"""

import random

METRICS = {
    "c_total": ["job", "instance", "mode"],
    "d_total": ["job", "instance"],
    "g": ["job", "instance"],
    "g2": ["job", "zone"],
    "build_info": ["instance", "version"],
    "special": ["n"],
    "sparse": ["instance"],
    "h_bucket": ["instance", "le"],
    "h_count": ["instance"],
    "h_sum": ["instance"],
}
LABEL_VALUES = {
    "job": ["api", "db"],
    "instance": ["a", "b", "c"],
    "mode": ["idle", "user", "iowait", "nice"],
    "zone": ["z1", "z2"],
    "version": ["1", "2"],
    "n": ["0", "1", "2", "3", "4"],
    "le": ["0.1", "1", "10", "+Inf"],
}
# Native histograms: what 2.42 could do with them already.
HISTOGRAMS = {"nh": ["instance"], "nf": ["instance"], "ng": ["instance"]}
LABELS = ["job", "instance", "mode", "zone", "n"]
# Whole seconds, while query times end in .5 s and samples do not: no sample lies on an edge (see dataset.py).
RANGES = ["30s", "1m", "2m", "5m", "7m", "20m", "1h"]
STEPS = ["15s", "30s", "1m", "2m", "7s"]
OFFSETS = ["10s", "1m", "5m", "13m", "-30s", "-2m"]

MATH = [
    "abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "sin", "cos", "tan", "atan", "asinh", "deg", "rad", "acos",
    "asin", "sinh", "cosh", "tanh", "acosh", "atanh",
]
DATES = ["hour", "minute", "day_of_week", "day_of_month", "day_of_year", "month", "year", "days_in_month"]
STRINGS = ['"a"', "'it\\'s'", "`raw\\n`", '"\\t\\x41\\u00e9\\U0001F600\\101"', '("")', '"{not a hole}"']
# The ways to write a number that both versions know.
NUMBERS = ["0", "1", "2", "0.5", "-1.5", "100", "1e3", "3.14", ".5", "5.", "0x1F", "1e-2", "1E+2", "-0", "nan", "inf", "+Inf", "-INF", "pi()", "time()"]
OVER_TIME = [
    "rate", "increase", "delta", "irate", "idelta", "deriv", "changes", "resets", "avg_over_time", "min_over_time",
    "max_over_time", "sum_over_time", "count_over_time", "stddev_over_time", "stdvar_over_time", "last_over_time",
    "present_over_time", "absent_over_time",
]
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", "<", "<=", ">", ">="]


class Node:
    def __init__(self, type_, text, *children):
        self.type, self.text, self.children = type_, text, list(children)

    def __str__(self):
        return self.text.format(*self.children) if self.children else self.text

    def nodes(self):
        yield self
        for child in self.children:
            yield from child.nodes()

    def replaced(self, old, new):
        if self is old:
            return new
        if not self.children:
            return self
        return Node(self.type, self.text, *(c.replaced(old, new) for c in self.children))


def leaf(type_, text):
    """Braces stand for themselves in a leaf."""
    return Node(type_, text)


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def query(self):
        choice = self.random.random()
        if choice < 0.03:
            return self.scalar(3)
        if choice < 0.04:
            return leaf("q", self.pick(STRINGS))
        if choice < 0.06:
            return self.matrix(2)
        return self.histograms(3) if choice < 0.12 else self.dressed(self.vector(self.random.choice([1, 2, 2, 3, 3, 4])))

    def dressed(self, node):
        """White space, comments and parentheses that change nothing."""
        choice = self.random.random()
        if choice < 0.02:
            return Node("v", "# what is said before\n{} # and after", node)
        if choice < 0.04:
            return Node("v", "\t(\n  {}\n)", node)
        return Node("v", "+{}", node) if choice < 0.05 else node

    # --- helpers ---
    def pick(self, choices):
        return self.random.choice(choices)

    def chance(self, p):
        return self.random.random() < p

    def labels(self, most=2):
        return ", ".join(self.random.sample(LABELS, self.random.randint(0, most)))

    def matchers(self, metric):
        found = []
        for label in METRICS[metric]:
            if not self.chance(0.3):
                continue
            value = self.pick(LABEL_VALUES[label] + ["", "none"])
            if self.chance(0.05):
                found.append(f"{label}=~'{value.replace('+', '[+]')}|x'")
                continue
            kind = self.pick(["=", "!=", "=~", "!~"])
            if kind in ("=~", "!~"):
                value = self.pick([value.replace("+", "\\\\+"), ".*", ".+", "a|b", "i.*", "(?i:API)", "[a-b]", "^db$", "z[12]?"])
            found.append(f'{label}{kind}"{value}"')
        comma = "," if found and self.chance(0.1) else ""
        return "{" + ",".join(found) + comma + "}" if found or self.chance(0.05) else ""

    def modifiers(self):
        text = ""
        if self.chance(0.1):
            text += " offset " + self.pick(OFFSETS)
        if self.chance(0.06):
            text += " @ " + self.pick(["start()", "end()", "TIME", "0", "-1.5"])
            if self.chance(0.2) and "offset" not in text:
                text += " offset " + self.pick(OFFSETS)
        return text

    def selector(self):
        metric = self.pick(list(METRICS))
        if self.chance(0.05):
            return self.pick(['{__name__=~"g|g2|sparse"}', '{__name__="g",job!="db"}', '{job="api",__name__!~"c_total|n.*|h.*"}'])
        return metric + self.matchers(metric)

    # --- types ---
    def vector(self, depth):
        if depth <= 0:
            return leaf("v", self.selector() + self.modifiers())
        kinds = [self.of_range] * 5 + [self.aggregate] * 4 + [self.binary] * 5 + [self.math] * 2 + [self.other] * 2 + [self.of_histograms]
        return self.pick(kinds)(depth - 1)

    def matrix(self, depth):
        if depth > 0 and self.chance(0.25):
            return Node("m", "({})" + f"[{self.pick(RANGES)}:{self.pick(STEPS + [''])}]" + self.modifiers(), self.vector(depth - 1))
        return leaf("m", f"{self.selector()}[{self.pick(RANGES)}]" + self.modifiers())

    def histograms(self, depth):
        choice = self.random.random()
        metric = self.pick(list(HISTOGRAMS))
        if depth <= 0 or choice < 0.25:
            return leaf("h", metric + self.pick(["", '{instance="a"}', '{instance!="a"}', '{instance=~"a|b"}']) + self.modifiers())
        if choice < 0.55:
            function = "delta" if metric == "ng" else self.pick(["rate", "increase"])
            return leaf("h", f"{function}({metric}[{self.pick(RANGES)}]" + self.modifiers() + ")")
        if choice < 0.82:
            clause = self.pick(["", " by (instance)", " without (instance)", " by (job)"])
            return Node("h", "sum" + clause + " ({})", self.histograms(depth - 1))
        if choice < 0.92:
            return Node("h", "({} + on (instance) {})", self.histograms(depth - 1), self.histograms(depth - 1))
        return Node("h", f"({{}} {self.pick(['and', 'unless', 'or'])} on (instance) {{}})", self.histograms(depth - 1), self.histograms(depth - 1))

    def of_histograms(self, depth):
        choice = self.random.random()
        if choice < 0.35:
            return Node("v", self.pick(["histogram_count", "histogram_sum"]) + "({})", self.histograms(depth))
        if choice < 0.5:
            return Node("v", self.pick(["count", "group"]) + self.pick(["", " by (instance)"]) + " ({})", self.histograms(depth))
        if choice < 0.6:
            return leaf("v", f"{self.pick(['count_over_time', 'present_over_time', 'absent_over_time'])}({self.pick(list(HISTOGRAMS))}[{self.pick(RANGES)}]{self.modifiers()})")
        return Node("v", self.pick(["absent", "timestamp"]) + "({})", self.histograms(depth))

    def scalar(self, depth):
        choice = self.random.random()
        if depth <= 0 or choice < 0.6:
            return leaf("s", self.pick(NUMBERS))
        if choice < 0.66:
            return Node("s", f"({{}} {self.pick(COMPARISONS)} bool {{}})", self.scalar(depth - 1), self.scalar(depth - 1))
        if choice < 0.7:
            return Node("s", "-{}", Node("s", "({})", self.scalar(depth - 1)))
        if choice < 0.85:
            return Node("s", "scalar({})", self.vector(depth - 1))
        return Node("s", "({} " + self.pick(["+", "-", "*", "/", "%", "^"]) + " {})", self.scalar(depth - 1), self.scalar(depth - 1))

    # --- vectors ---
    def of_range(self, depth):
        choice = self.random.random()
        if choice < 0.08:
            return Node("v", "quantile_over_time({}, {})", leaf("s", self.pick(["0", "0.5", "0.9", "1", "-1", "2"])), self.matrix(depth))
        if choice < 0.1:
            return Node("v", "quantile_over_time({}, {})", self.scalar(depth), self.matrix(depth))
        if choice < 0.13:
            return Node("v", "predict_linear({}, {})", self.matrix(depth), leaf("s", self.pick(["60", "3600", "-60"])))
        function = self.pick(OVER_TIME)
        if function in ("rate", "increase"):  # of what is far from 0 only: see promql_diff.py
            metric = self.pick(["c_total", "d_total", "h_bucket", "h_count", "h_sum"])
            return Node("v", function + "({})", leaf("m", f"{metric}{self.matchers(metric)}[{self.pick(RANGES)}]" + self.modifiers()))
        return Node("v", function + "({})", self.matrix(depth))

    def aggregate(self, depth):
        grouping = self.pick(["", "by", "by", "without"])
        names = self.labels() + ("," if self.chance(0.05) else "")
        names = "" if names == "," else names
        clause = f" {grouping} ({names}) " if grouping else ""
        if self.chance(0.1):
            clause = clause.upper().replace(names.upper(), names)
        choice = self.random.random()
        inner = self.vector(depth)
        if choice < 0.1:
            return Node("v", f"quantile{clause}({{}}, {{}})", leaf("s", self.pick(["0", "0.25", "0.5", "0.99", "1.5", "-1"])), inner)
        if choice < 0.18:
            return Node("v", f"{self.pick(['topk', 'bottomk'])}{clause}({{}}, {{}})", leaf("s", self.pick(["1", "2", "5", "0"])), inner)
        if choice < 0.24:
            return Node("v", f'count_values{clause}("value", {{}})', inner)
        operator = self.pick(AGGREGATIONS)
        if self.chance(0.25):
            return Node("v", f"{operator}({{}}){clause}", inner)
        return Node("v", f"{operator}{clause}({{}})", inner)

    def bare(self, depth):
        """Operators without parentheses: precedence and grouping are the parser's."""
        vectors = self.chance(0.5)
        operands = [self.vector(0) if vectors or self.chance(0.3) else self.scalar(0) for _ in range(self.random.randint(2, 4))]
        operands[0] = self.vector(0)
        text = self.pick(["", "", "-", "+"]) + "{}"
        for _ in operands[1:]:
            op = self.pick(["+", "-", "*", "/", "%", "^"] + (["==", "!=", "<", ">=", "and", "or", "unless"] if vectors else []))
            text += f" {op} {self.pick(['', '', '-']) if op not in ('and', 'or', 'unless') else ''}{{}}"
        return Node("v", text, *operands)

    def binary(self, depth):
        choice = self.random.random()
        if choice < 0.1:
            return self.bare(depth)
        if choice < 0.35:
            op = self.pick(ARITHMETIC + COMPARISONS)
            flag = " bool" if op in COMPARISONS and self.chance(0.4) else ""
            sides = [self.vector(depth), self.scalar(depth)]
            self.random.shuffle(sides)
            return Node("v", f"({{}} {op}{flag} {{}})", *sides)
        matching = ""
        if self.chance(0.6):
            matching = f" {self.pick(['on', 'ignoring'])} ({self.labels(2)})"
        if choice < 0.5:
            return Node("v", f"({{}} {self.pick(['and', 'or', 'unless'])}{matching} {{}})", self.vector(depth), self.vector(depth))
        op = self.pick(ARITHMETIC + COMPARISONS)
        flag = " bool" if op in COMPARISONS and self.chance(0.4) else ""
        if matching and self.chance(0.5):
            matching += f" {self.pick(['group_left', 'group_right'])} ({self.pick(['', 'version', 'zone'])})"
        left = self.vector(depth)
        right = left if self.chance(0.25) else self.vector(depth)
        return Node("v", f"({{}} {op}{flag}{matching} {{}})", left, right)

    def math(self, depth):
        choice = self.random.random()
        inner = self.vector(depth)
        if choice < 0.1:
            return Node("v", "clamp({}, {}, {})", inner, self.scalar(1), self.scalar(1))
        if choice < 0.2:
            return Node("v", self.pick(["clamp_min", "clamp_max"]) + "({}, {})", inner, self.scalar(0))
        if choice < 0.3:
            return Node("v", "round({}, {})", inner, leaf("s", self.pick(["1", "0.1", "5", "0.25"])))
        if choice < 0.4:
            return Node("v", "-{}", Node("v", "({})", inner))
        return Node("v", self.pick(MATH) + "({})", inner)

    def other(self, depth):
        choice = self.random.random()
        if choice < 0.08:
            return leaf("v", "absent(" + self.pick(["none", "g", 'none{job="a"}', 'none{job="a",job="b",zone="x"}', 'none{job=~"a",zone="x",n!="y"}', 'none{instance="a"} offset 5m', '{__name__="none",job="a"}']) + ")")
        if choice < 0.11:
            return leaf("v", "absent_over_time(" + self.pick(["none", "sparse", 'none{job="a"}', 'none{job="a",job="b",zone="x"}', '{__name__="none",job=~"a|b",zone="z"}']) + f"[{self.pick(RANGES)}])")
        if choice < 0.15:
            return Node("v", "absent({})", self.vector(depth))
        if choice < 0.3:
            return Node("v", "vector({})", self.scalar(depth))
        if choice < 0.4:
            return Node("v", "timestamp({})", self.vector(depth))
        if choice < 0.55:
            regex = self.pick(["(.*)", "(a|b)", "(.)(.*)", "x", "", ".+"])
            to = self.pick(["$1", "x$1", "${{1}}y", "", "$2", "const"])
            names = (self.pick(["dst", "job", "instance"]), self.pick(LABELS))
            return Node("v", f'label_replace({{}}, "{names[0]}", "{to}", "{names[1]}", "{regex}")', self.vector(depth))
        if choice < 0.65:
            return Node("v", f'label_join({{}}, "dst", "{self.pick(["", "-", ","])}", "{self.pick(LABELS)}", "{self.pick(LABELS)}")', self.vector(depth))
        if choice < 0.75:
            return Node("v", self.pick(["sort", "sort_desc"]) + "({})", self.vector(depth))
        if choice < 0.85:
            return Node("v", self.pick(DATES) + "({})", self.vector(depth))
        if choice < 0.87:
            return leaf("v", self.pick(DATES) + "()")
        inner = self.pick(["h_bucket", "rate(h_bucket[5m])", "sum by (le) (rate(h_bucket[5m]))", "increase(h_bucket[7m])"])
        return Node("v", "histogram_quantile({}, {})", leaf("s", self.pick(["0", "0.5", "0.9", "0.99", "1", "-1", "2"])), leaf("v", inner))


def shrink(node, differs):
    """The smallest tree found, by putting children and leaves in the place of nodes, that still differs."""
    progress = True
    while progress:
        progress = False
        for old in list(node.nodes()):
            candidates = [n for n in old.nodes() if n is not old and n.type == old.type]
            if old.children and old.type == "h":
                candidates += [leaf("h", m) for m in HISTOGRAMS]
            if old.children and old.type == "v":
                candidates += [leaf("v", m) for m in METRICS]
            if old.type == "s" and old.text not in ("1", "0"):
                candidates.append(leaf("s", "1"))
            for new in candidates:
                smaller = node.replaced(old, new)
                if len(str(smaller)) < len(str(node)) and differs(smaller):
                    node, progress = smaller, True
                    break
            if progress:
                break
    return node
