"""Says in ctest's closing lines when ../shared is not here: the unit cases that read it then skip themselves.

Exit code 77 is "skipped" for ctest. Usage: shared_material_test.py SOURCE_DIR
"""

import os
import re
import sys

top = sys.argv[1]
if os.path.isdir(os.path.join(top, "..", "shared", "conformance")):
    sys.exit(0)
readers = []
for folder, _, names in os.walk(os.path.join(top, "tests")):
    for name in names:
        if not name.endswith("_test.cc"):
            continue
        with open(os.path.join(folder, name)) as f:
            if re.search(r"\bTOCSIN_SHARED_DIR\b", f.read()):
                readers.append(os.path.relpath(os.path.join(folder, name), top))
print(f"../shared is not here: cases of {len(readers)} files are skipped:", *sorted(readers), sep="\n  ")
sys.exit(77)
