#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: units (ctest), pages (vitest, lint), the whole daemon (pytest).
#   ./test.sh                      everything; the last lines are ctest's and pytest's
#   ./test.sh --sanitize=asan      libraries and unit tests only, under AddressSanitizer and UBSan
#   ./test.sh --sanitize=tsan      the same under ThreadSanitizer
set -euo pipefail
cd "$(dirname "$0")"

sanitize=
for argument in "$@"; do
  case $argument in
    --sanitize=asan | --sanitize=tsan) sanitize=${argument#*=} ;;
    *) echo "test.sh: unknown argument $argument" >&2; exit 2 ;;
  esac
done

packaging/install-packages.sh packaging/build-packages.txt packaging/test-packages.txt
if [ -x build/node/bin/node ]; then PATH=$PWD/build/node/bin:$PATH; fi

if [ -n "$sanitize" ]; then
  cmake --preset "$sanitize" >/dev/null
  cmake --build --preset "$sanitize" --target unit_tests
  export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
  export TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan_suppressions.txt second_deadlock_stack=1"
  exec ctest --test-dir "build/$sanitize" --output-on-failure -L unit
fi

cmake --preset ci >/dev/null
cmake --build --preset ci

# Format first: it is the cheapest to mend.
git ls-files '*.h' '*.cc' | xargs clang-format-19 --dry-run --Werror

python=/usr/bin/python3
"$python" -c 'import pytest' 2>/dev/null || python=python3
status=0
ctest --test-dir build/ci --output-on-failure || status=1
dashboards/web/test.sh build/ci/dashboards/embedded/web || status=1
TOCSIN_BINARY=$PWD/build/ci/tocsin "$python" -m pytest -q -rs tests/e2e || status=1
exit $status
