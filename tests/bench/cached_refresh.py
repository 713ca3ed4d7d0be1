#!/usr/bin/env python3
"""cached_refresh.py [REFRESHES]: processor time of the daemon for one refresh of a dashboard's panels, from the cache and
without it. Six hours of 400 series at 15 s are pushed, then the panels are asked for again and again with an end that
moves on, as a dashboard does. TOCSIN_BINARY names the binary.
"""

import os
import shutil
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from daemon import Tocsin, cpu_seconds, http  # noqa: E402
from fakes import remote_write  # noqa: E402

PANELS = [
    ("sum by (job) (rate(m_total[5m]))", 60),
    ("avg by (job) (g)", 60),
    ("max by (job) (max_over_time(g[5m]))", 60),
    ("sum(rate(m_total[5m])) / count(g)", 60),
    ("g{i=\"7\"}", 15),
]


def main():
    refreshes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    directory = tempfile.mkdtemp(prefix="tocsin-refresh-")
    daemon = Tocsin(directory, "global: {}\n", ["--web.enable-remote-write-receiver"])
    daemon.start()
    try:
        now = int(time.time()) // 60 * 60 - 300
        series = [({"__name__": name, "job": f"j{i % 4}", "i": str(i)}, i) for name in ("m_total", "g") for i in range(200)]
        for at in range(now - 6 * 3600, now + 300, 900):
            until = min(at + 900, now + 300)
            push = [(labels, [(t * 1000, (t // 15) * (1 + i % 5) / 3) for t in range(at, until, 15)]) for labels, i in series]
            status, text = remote_write(daemon.url, push)
            assert status // 100 == 2, (status, text)

        def ask(expr, step, end, nocache):
            form = {"query": expr, "start": end - 6 * 3600 + 600, "end": end, "step": step, **nocache}
            answer = http("POST", daemon.url + "/api/v1/query_range", urllib.parse.urlencode(form).encode(),
                          {"Content-Type": "application/x-www-form-urlencoded"})
            assert answer.status == 200, answer.text

        print(f"{'panel':45} {'evaluated':>12} {'refresh':>12}")
        for expr, step in PANELS:
            figures = []
            for nocache in ({"nocache": "1"}, {}):
                ask(expr, step, now - refreshes * step // 100, nocache)
                begun = cpu_seconds(daemon.process.pid)
                for n in range(refreshes):
                    ask(expr, step, now - refreshes * step // 100 + n // 100 * step, nocache)
                figures.append((cpu_seconds(daemon.process.pid) - begun) / refreshes * 1000)
            print(f"{expr:45} {figures[0]:9.2f} ms {figures[1]:9.2f} ms")
    finally:
        daemon.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
