#!/usr/bin/env python3
"""Holds the #include lines and the CMake DEPS lists to the house of ARCHITECTURE.md.

Includes run downwards only:
    daemon > api > {collector, alerting} > {tsdb, query, discovery} > model > base
    (collector and alerting see storage as model::Appender and model::Queryable, never as tsdb)
    dashboards stands on base alone; folders of one floor do not know each other.
Heavy library headers appear in .cc files only. What a folder includes, it names in its DEPS.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()

ALLOWED = {
    "base": set(),
    "model": {"base"},
    "tsdb": {"base", "model"},
    "query": {"base", "model"},
    "discovery": {"base", "model"},
    "collector": {"base", "model", "discovery"},
    "alerting": {"base", "model", "query", "discovery"},
    "dashboards": {"base"},
    "api": {"base", "model", "tsdb", "query", "discovery", "collector", "alerting", "dashboards"},
    "daemon": {"base", "model", "tsdb", "query", "discovery", "collector", "alerting", "dashboards",
               "api"},
}

# Costly to compile or somebody else's types: behind an Impl in a .cc.
HEAVY = re.compile(
    r"#include <(httplib|curl/|google/protobuf|boost/|nlohmann/|yaml-cpp/|spdlog/|fmt/|re2/|leveldb/|"
    r"prometheus/|CLI/|snappy|zstd|zlib|roaring/|openssl/|date/|simdjson|filesystem|regex>|iostream>)")
INCLUDE = re.compile(r'^\s*#include "([a-z_]+)/', re.M)


def sources(folder):
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in (".h", ".cc") and "node_modules" not in path.parts:
            yield path


def deps_of(folder):
    """Folder names in the DEPS of tocsin_library(folder …); helper targets count as their folder."""
    text = (ROOT / folder / "CMakeLists.txt").read_text()
    text = re.sub(r"#.*", "", text)
    deps = set()
    for call in re.findall(r"tocsin_library\(\s*" + folder + r"\b([^)]*)\)", text):
        words = call.split()
        if "DEPS" in words:
            deps.update(w for w in words[words.index("DEPS") + 1:] if w in ALLOWED)
    return deps


def main():
    problems = []
    checked = 0
    for folder, allowed in ALLOWED.items():
        included = set()
        for path in sources(folder):
            checked += 1
            text = path.read_text()
            name = path.relative_to(ROOT)
            for target in INCLUDE.findall(text):
                if target not in ALLOWED or target == folder:
                    continue
                included.add(target)
                if target not in allowed:
                    problems.append(f"{name}: includes {target}/, which {folder}/ may not know")
            if path.suffix == ".h":
                for heavy in HEAVY.findall(text):
                    problems.append(f"{name}: heavy header <{heavy}…> belongs into a .cc")
            if path.suffix == ".h" and "#pragma once" not in text:
                problems.append(f"{name}: no #pragma once")
        deps = deps_of(folder)
        for target in sorted(included - deps):
            problems.append(f"{folder}/CMakeLists.txt: includes {target}/ but DEPS lack it")
        for target in sorted(deps - allowed):
            problems.append(f"{folder}/CMakeLists.txt: DEPS name {target}, which it may not know")
    for problem in problems:
        print(problem)
    print(f"{checked} files checked, {len(problems)} problems")
    if checked == 0:
        print("nothing found to check: wrong directory?")
    return 1 if problems or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
