"""Holds the source tree to the table of promises in tests/README.md.

Every promise has a row; every test that a row names is there; the storage's promises (TESTED_BY_NAME) have a test of which
the name begins with the promise; and every test with a promise in its name is in that promise's row.
Usage: promises_test.py SOURCE_DIR
"""

import os
import re
import sys

PROMISES = [f"R{n}" for n in range(1, 17)]
TESTED_BY_NAME = ["R1", "R2", "R3", "R4", "R9", "R11", "R12", "R13", "R15", "R16"]
CASE = re.compile(r"^(?:BOOST_AUTO_TEST_CASE|BOOST_FIXTURE_TEST_CASE)\((\w+)|^def (test_\w+)", re.MULTILINE)

top = sys.argv[1]
problems = []


def promises_of(test):
    """R1 and R2 of R1R2PowerLoss…, R9 of test_r9_a_full_disk…"""
    prefix = re.match(r"(?:R\d+)+(?=[A-Z])|test_(?:r\d+_)+", test)
    return {"R" + n for n in re.findall(r"[Rr](\d+)", prefix.group())} if prefix else set()


def tests_of(path):
    with open(path) as f:
        return {a or b for a, b in CASE.findall(f.read())}


tests = {}  # by file
for folder, _, names in os.walk(os.path.join(top, "tests")):
    for name in names:
        if name.endswith("_test.cc") or (name.startswith("test_") and name.endswith(".py")):
            path = os.path.join(folder, name)
            tests[os.path.relpath(path, os.path.join(top, "tests"))] = tests_of(path)

rows = {}
with open(os.path.join(top, "tests", "README.md")) as f:
    for line in f:
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 5 and re.fullmatch(r"R\d+", cells[1]):
            rows[cells[1]] = re.findall(r"`([^`:]+):(\w+)`", cells[3])

for promise in PROMISES:
    named = rows.get(promise, [])
    if not named:
        problems.append(f"{promise}: no row with a test in tests/README.md")
    for path, test in named:
        if test not in tests.get(path, ()):
            problems.append(f"{promise}: tests/{path} has no {test}")
    if promise in TESTED_BY_NAME and not any(promise in promises_of(test) for _, test in named):
        problems.append(f"{promise}: no test of that name")
for path, names in sorted(tests.items()):
    for test in sorted(names):
        for promise in promises_of(test):
            if (path, test) not in rows.get(promise, []):
                problems.append(f"{promise}: tests/{path}:{test} is not in its row of tests/README.md")

print(*problems, sep="\n")
sys.exit(1 if problems else 0)
