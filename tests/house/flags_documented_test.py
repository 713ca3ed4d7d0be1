"""Every flag of `tocsin serve` stands in the man page, and the man page and the README name no flag of it that there is not.

Usage: flags_documented_test.py SOURCE_DIR
"""

import os
import re
import sys

top = sys.argv[1]


def text(*path):
    with open(os.path.join(top, *path)) as f:
        return f.read()


table = text("daemon", "flags.cc")
table = table[table.index("constexpr FlagSpec kFlags[]") : table.index("enum class Feature")]
flags = dict(re.findall(r'\{"([\w.-]+)",\s*Kind::(\w+),', table))
if len(flags) < 50:
    sys.exit("the table of flags in daemon/flags.cc was not understood")
known = set(flags) | {"no-" + name for name, kind in flags.items() if kind == "kBool"}

page = text("packaging", "tocsin.1").replace("\\-", "-")
options = page[page.index(".SH OPTIONS") : page.index(".SH TOCSIN.YML")]
mentioned = set(re.findall(r"--([a-z][\w.-]*\w)", options))
problems = [f"packaging/tocsin.1 lacks --{name}" for name in flags if name not in mentioned]
problems += [f"packaging/tocsin.1 names --{name}, which is no flag" for name in sorted(mentioned - known - {"no"})]
# Flags with a dot are serve's own; the tools have plain words.
for name in sorted(set(re.findall(r"--([a-z]+\.[a-z][\w.-]*\w)", text("README.md")))):
    if name not in known:
        problems.append(f"README.md names --{name}, which is no flag")
if problems:
    sys.exit("\n".join(problems))
