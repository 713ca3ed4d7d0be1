"""Peers that tests control: a scrape target, a webhook receiver, a remote-write sender."""

import http.server
import json
import socket
import struct
import threading
import time
import urllib.error
import urllib.request


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # peers that hang up are part of the tests


def send_page(handler, body, content_type="text/plain; version=0.0.4", **headers):
    """The whole answer, `body` in bytes; `Content_Encoding="gzip"` is a header."""
    handler.send_response(200)
    handler.send_header("Content-Type", content_type)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class FakeTarget:
    """Serves `page` (text, bytes, or a function that writes the whole answer to the handler)."""

    def __init__(self, page=""):
        self.page = page
        self.content_type = "text/plain; version=0.0.4"
        self.scrapes = 0
        self.headers = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.scrapes += 1
                outer.headers = dict(self.headers)
                page = outer.page
                if callable(page):
                    page(self)
                    return
                send_page(self, page.encode() if isinstance(page, str) else page, outer.content_type)

            def log_message(self, *args):
                pass

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class NumberedTarget(FakeTarget):
    """Its n-th page says `page_number n`; `asked[n - 1]` is when it was asked for (monotonic s)."""

    def __init__(self):
        self.asked = []
        super().__init__(self._send)

    def _send(self, handler):
        self.asked.append(time.monotonic())
        send_page(handler, b"page_number %d\n" % len(self.asked))

    def lost_s(self, stored, killed):
        """How long before the kill the pages were asked for that it took: the last ones before it, as far as their numbers are
        not in `stored`. (On a busy machine a scrape may fail by itself: what is missing before a stored one is not the kill's.)"""
        lost = []
        for number in range(sum(asked <= killed for asked in self.asked), 0, -1):
            if number in stored:
                break
            lost.append(killed - self.asked[number - 1])
        return lost


class SilentTarget:
    """Accepts connections and never answers."""

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(16)
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def close(self):
        self.socket.close()


class WebhookSink:
    """Records every POST as (arrival time, body)."""

    def __init__(self):
        self.received = []
        self.status = 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append((time.time(), json.loads(body)))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def alerts(self, name, status):
        """All alerts called `name` that were notified with `status`."""
        return [
            alert
            for _, body in list(self.received)
            for alert in body["alerts"]
            if alert["labels"].get("alertname") == name and alert["status"] == status
        ]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


# ------------------------------------------------------------------------------------------- remote write 1.0, by hand


def _varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def _field(number, payload):
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def snappy_literals(data):
    """The snappy block format with literals only: valid, not compressed."""
    out = bytearray(_varint(len(data)))
    for at in range(0, len(data), 65536):
        chunk = data[at : at + 65536]
        out += b"\xf4" + struct.pack("<H", len(chunk) - 1) + chunk
    return bytes(out)


def _zigzag(n):
    return _varint((n << 1) ^ (n >> 63) if n < 0 else n << 1)


def _double(number, value):
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _native_histogram(t, h):
    """h: {"schema", "sum", "count", "zero_threshold", "zero_count", "positive": {index: count}, "negative": {…}, "float": bool, "gauge": bool}."""
    as_float = h.get("float", False)
    out = bytearray()
    out += _double(2, h["count"]) if as_float else b"\x08" + _varint(int(h["count"]))
    out += _double(3, h["sum"]) + b"\x20" + _zigzag(h["schema"]) + _double(5, h["zero_threshold"])
    out += _double(7, h["zero_count"]) if as_float else b"\x30" + _varint(int(h["zero_count"]))
    for side, spans_field in (("negative", 8), ("positive", 11)):
        spans, counts = [], []
        for index in sorted(h.get(side, {})):
            end = sum(offset + length for offset, length in spans)
            if spans and index == end:
                spans[-1] = (spans[-1][0], spans[-1][1] + 1)
            else:
                spans.append((index - end if spans else index, 1))
            counts.append(h[side][index])
        for offset, length in spans:
            out += _field(spans_field, b"\x08" + _zigzag(offset) + b"\x10" + _varint(length))
        if counts and as_float:
            out += _field(spans_field + 2, b"".join(struct.pack("<d", c) for c in counts))
        elif counts:
            out += _field(spans_field + 1, b"".join(_zigzag(int(b - a)) for a, b in zip([0] + counts, counts)))
    out += b"\x70" + _varint(3 if h.get("gauge") else 0) + b"\x78" + _varint(t & (2**64 - 1))
    return bytes(out)


def _labels(labels):
    return b"".join(_field(1, _field(1, name.encode()) + _field(2, labels[name].encode())) for name in sorted(labels))


def write_request(series, exemplars=(), metadata=()):
    """series: list of (labels dict, [(timestamp ms, value or native histogram)]); exemplars: list of (labels of the series, labels,
    timestamp ms, value); metadata: list of (family, number of the type, help, unit). The uncompressed WriteRequest."""
    out = bytearray()
    for of, labels, t, v in exemplars:
        out += _field(1, _labels(of) + _field(3, _labels(labels) + _double(2, v) + b"\x18" + _varint(t)))
    for family, kind, help_text, unit in metadata:
        one = b"\x08" + _varint(kind) + _field(2, family.encode()) + _field(4, help_text.encode()) + _field(5, unit.encode())
        out += _field(3, one)
    for labels, samples in series:
        one = bytearray(_labels(labels))
        for t, v in samples:
            if isinstance(v, dict):
                one += _field(4, _native_histogram(t, v))
            else:
                one += _field(2, b"\x09" + struct.pack("<d", v) + b"\x10" + _varint(t & (2**64 - 1)))
        out += _field(1, bytes(one))
    return bytes(out)


def remote_write(url, series, timeout=30, **more):
    """(status, body) of one push; OSError when the connection broke."""
    request = urllib.request.Request(
        url + "/api/v1/write",
        data=snappy_literals(write_request(series, **more)),
        headers={
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()
