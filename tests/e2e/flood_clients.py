"""flood_clients.py URL SECONDS CONNECTIONS: asks the worst questions as fast as they are answered; prints what came back.

A third of the clients hang up before the answer is there. In a process of its own, so that what it burns does not
delay the targets of the test that watches.
"""

import collections
import http.client
import json
import random
import socket
import sys
import threading
import time
import urllib.parse

WORST = [
    '{__name__=~".+"}',
    'sum by (__name__, i) ({__name__=~".+"})',
    'count_values("v", {__name__=~"load_.*"})',
    "load_0 * on () group_left () load_1",
    "load_0 * ignoring (i) group_left () load_0",
    "sum(load_0) by (i) + on (i) group_right () {__name__=~\"load_.*\"}",
    "max_over_time({__name__=~\"load_.*\"}[1h:1s])",
    "sum(max_over_time(rate({__name__=~\"load_.*\"}[1m])[1h:1s]))",
    "quantile by (i) (0.9, rate({__name__=~\"load_.*\"}[5m]))",
    "quantile_over_time(0.5, {__name__=~\"load_.*\"}[1h])",
    'label_replace({__name__=~"load_.*"}, "x", "$1$1$1", "i", "((((a|[0-9])*)*)*)*")',
    'sort(label_join({__name__=~".+"}, "x", "-", "i", "instance", "job", "__name__"))',
    "topk(100000, {__name__=~\"load_.*\"})",
    "load_0" + " or load_1" * 200,
    "load_0 + " * 100 + "load_0",
    "sum_over_time({__name__=~\".+\"}[30d])",
    "(" * 5000 + "load_0" + ")" * 5000,
    '{__name__=~"(.*l.*o.*a.*d.*)+.*_?.*[0-9]*"}',
]

url, seconds, connections = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
host, port = urllib.parse.urlsplit(url).hostname, urllib.parse.urlsplit(url).port
end_at = time.monotonic() + seconds
counts = collections.Counter()
lock = threading.Lock()


def ask(rng, hasty):
    expr = rng.choice(WORST)
    now = time.time()
    path, params = rng.choice(
        [
            ("/api/v1/query", {"query": expr}),
            ("/api/v1/query_range", {"query": expr, "start": now - 11000, "end": now, "step": 1}),
            ("/api/v1/query_range", {"query": expr, "start": now - 30 * 86400, "end": now, "step": 300}),
            ("/api/v1/query_range", {"query": expr, "start": now - 3600, "end": now, "step": 1, "nocache": 1}),
        ]
    )
    timeout = rng.choice([0.05, 0.3, 1]) if hasty else 150
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        body = urllib.parse.urlencode(params)
        connection.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        head = answer.read(300)
        while answer.read(1 << 20):
            pass
        kind = ""
        if answer.status != 200:
            text = head.decode(errors="replace")
            kind = " " + text.split('"errorType":"')[1].split('"')[0] if '"errorType":"' in text else " ?"
        return f"{answer.status}{kind}"
    except (socket.timeout, TimeoutError):
        return "hung up"
    except OSError as e:
        return type(e).__name__
    except http.client.HTTPException as e:
        return type(e).__name__
    finally:
        connection.close()


def client(number):
    rng = random.Random(number)
    while time.monotonic() < end_at:
        outcome = ask(rng, number % 3 == 0)
        with lock:
            counts[outcome] += 1


threads = [threading.Thread(target=client, args=(n,), daemon=True) for n in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(max(0.0, end_at + 5 - time.monotonic()))
with lock:
    print(json.dumps(counts))
