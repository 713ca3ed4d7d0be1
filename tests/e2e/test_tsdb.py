"""`tocsin tsdb`: Prometheus' data in and out, with the real prometheus and promtool."""

import os
import random
import shutil
import struct
import subprocess
import time

import pytest

from daemon import BINARY, free_port, http, wait_until

STALE_BITS = 0x7FF0000000000002


def run(*args, code=0):
    done = subprocess.run([BINARY, "tsdb", *map(str, args)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def promtool(*args):
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(["promtool", *map(str, args)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def promtool_dump(directory):
    os.makedirs(os.path.join(directory, "wal"), exist_ok=True)  # promtool wants one
    return promtool("tsdb", "dump", directory)


# ---- remote write 1.0 by hand: protobuf, and snappy with literals only


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def zigzag(n):
    return varint((n << 1) ^ (n >> 63) if n >= 0 else ((-n) << 1) - 1)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def double(number, bits):
    return varint(number << 3 | 1) + struct.pack("<Q", bits)


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def integer(number, n):
    return varint(number << 3) + varint(n)


def labels(**pairs):
    ordered = sorted(pairs.items())
    return b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in ordered)


def sample(bits, t):
    return field(2, double(1, bits) + integer(2, t))


def histogram(t, count, deltas, total, hint=0):
    spans = integer(1, 2) + integer(2, len(deltas))  # offset 1 as zigzag
    return field(
        4,
        integer(1, count)
        + double(3, bits_of(total))
        + varint(4 << 3) + zigzag(1)
        + double(5, bits_of(1e-128))
        + integer(6, 0)
        + field(11, spans)
        + field(12, b"".join(zigzag(d) for d in deltas))
        + integer(14, hint)
        + integer(15, t),
    )


def snappy(data):
    out = varint(len(data))
    for at in range(0, len(data), 60):
        part = data[at : at + 60]
        out += bytes([(len(part) - 1) << 2]) + part
    return out


def write(url, series):
    body = snappy(b"".join(field(1, one) for one in series))
    headers = {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    answer = http("POST", url + "/api/v1/write", body, headers)
    assert answer.status in (200, 204), answer.text


@pytest.fixture
def prometheus(peer, tmp_path):
    """prometheus(directory, config) serves a data directory: (url, process)."""

    def start(directory, config="", flags=()):
        port = free_port()
        path = tmp_path / f"prometheus{port}.yml"
        path.write_text(config)
        url = f"http://127.0.0.1:{port}"
        process = peer(
            [
                "prometheus",
                f"--config.file={path}",
                f"--storage.tsdb.path={directory}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-remote-write-receiver",
                "--web.enable-admin-api",
                "--enable-feature=native-histograms",
                *flags,
            ],
            url + "/-/ready",
        )
        return url, process

    return start


OPEN_METRICS = "# TYPE g gauge\n" + "".join(
    f'g{{job="j",instance="i{i}",x="{x}"}} {v} {1700000000 + r * 15}.{i:03}\n'
    for i in range(3)
    for x in range(3)
    for r, v in enumerate([0.1, 1e300, "NaN", "+Inf", "-Inf", -0.0, 5e-324] * 200)
) + "# EOF\n"


def test_blocks_come_back_as_they_were(tmp_path):
    (tmp_path / "om.txt").write_text(OPEN_METRICS)
    promtool("tsdb", "create-blocks-from", "openmetrics", tmp_path / "om.txt", tmp_path / "blocks")
    want = promtool_dump(tmp_path / "blocks")
    assert want.count("\n") == 9 * 1400
    run("import", tmp_path / "blocks", f"--storage.tsdb.path={tmp_path}/store")
    assert run("dump", tmp_path / "store") == want
    assert "sound" in run("verify", tmp_path / "store")
    run("export", tmp_path / "out", f"--storage.tsdb.path={tmp_path}/store")
    assert promtool_dump(tmp_path / "out") == want
    assert "Series: 9" in promtool("tsdb", "analyze", tmp_path / "out")


def test_a_whole_data_directory_of_a_real_prometheus(tmp_path, prometheus):
    """Log, head chunks, out of order samples, deletions and native histograms; the log and a snapshot's
    block of the same samples give the same store, and what is exported answers as the original did."""
    data = tmp_path / "prometheus"
    url, process = prometheus(
        data, "storage: {tsdb: {out_of_order_time_window: 1h}}\n", ["--storage.tsdb.wal-compression"]
    )
    now = int(time.time()) * 1000 - 600_000
    nan_payload = 0x7FF8000000001234
    for i in range(300):
        t = now + i * 1000
        write(
            url,
            [
                labels(__name__="up", job="j", instance="a") + sample(bits_of(1.0), t),
                labels(__name__="c_total", job="j", instance="a") + sample(bits_of(i / 3), t),
                labels(__name__="odd", job="j", instance="a")
                + sample([nan_payload, STALE_BITS, bits_of(-0.0)][i % 3], t),
                labels(__name__="gone", job="j", instance="a") + sample(bits_of(float(i)), t),
                labels(__name__="h", job="j", instance="a")
                + histogram(t, 3 * (i % 100) + 3, [i % 100 + 1, 0, 0], i * 0.5),
            ],
        )
    late = labels(__name__="late", job="j", instance="a")
    write(url, [late + sample(bits_of(1.5), now + 200_000)])
    write(url, [late + sample(bits_of(0.5), now + 100_000)])
    deleted = f"/api/v1/admin/tsdb/delete_series?match[]=gone&start={(now + 50_000) / 1000}&end={(now + 60_000) / 1000}"
    assert http("POST", url + deleted).status == 204
    queries = ["c_total", "sum(rate(c_total[1m]))", "late", "histogram_count(h)", "histogram_quantile(0.9, rate(h[1m]))"]

    def answers(at_url):
        results = []
        for query in queries:
            form = f"query={query}&start={now / 1000}&end={now / 1000 + 300}&step=7".replace("+", "%2B")
            results.append(
                http("POST", at_url + "/api/v1/query_range", form.encode(), {"Content-Type": "application/x-www-form-urlencoded"}).json()["data"]["result"]
            )
        return results

    original = answers(url)
    assert all(original)
    snapshot = http("POST", url + "/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
    process.terminate()
    process.wait(30)

    log_report = run("import", data, f"--storage.tsdb.path={tmp_path}/from_log")
    run("import", data / "snapshots" / snapshot, f"--storage.tsdb.path={tmp_path}/from_block")
    from_log = run("dump", "--format=bits", tmp_path / "from_log")
    from_block = run("dump", "--format=bits", tmp_path / "from_block")
    # A snapshot of 2.42 leaves the late sample out.
    def timely(dump):
        return [line for line in dump.splitlines() if '"late"' not in line]

    assert timely(from_log) == timely(from_block), log_report
    assert from_log.count('"gone"') == 300 - 11
    assert from_log.count("7ff8000000001234") == from_log.count("7ff0000000000002") == 100
    assert from_log.count('__name__="h"') == 300
    assert from_log.index("3fe0000000000000") < from_log.index("3ff8000000000000"), "late samples are in order"

    run("export", tmp_path / "out", f"--storage.tsdb.path={tmp_path}/from_log")
    again, _ = prometheus(tmp_path / "out")
    assert answers(again) == original


def test_a_running_prometheus_is_not_imported(tmp_path, prometheus):
    data = tmp_path / "prometheus"
    url, process = prometheus(data, flags=["--storage.tsdb.use-lockfile"])  # Debian's default is none
    write(url, [labels(__name__="up", job="j") + sample(bits_of(1.0), int(time.time()) * 1000)])
    done = tool("import", data, f"--storage.tsdb.path={tmp_path}/store")
    assert done.returncode == 1 and "a Prometheus runs on the data; stop it first" in done.stderr, done
    assert not (tmp_path / "store").exists()
    process.terminate()
    process.wait(30)
    assert "imported 1 samples" in run("import", data, f"--storage.tsdb.path={tmp_path}/store")


def test_a_damaged_directory_is_imported_as_far_as_it_is_sound(tmp_path):
    (tmp_path / "om.txt").write_text(OPEN_METRICS)
    promtool("tsdb", "create-blocks-from", "openmetrics", tmp_path / "om.txt", tmp_path / "blocks")
    block = sorted(p for p in (tmp_path / "blocks").iterdir() if len(p.name) == 26)[0]
    chunks = bytearray((block / "chunks" / "000001").read_bytes())
    chunks[100] ^= 1
    (block / "chunks" / "000001").write_bytes(chunks)
    report = run("import", tmp_path / "blocks", f"--storage.tsdb.path={tmp_path}/store", code=3)
    assert "left out: 1 damaged chunks" in report
    assert "sound" in run("verify", tmp_path / "store")


def test_an_import_that_fails_changes_nothing(tmp_path, tocsin):
    daemon = tocsin()
    done = subprocess.run(
        [BINARY, "tsdb", "import", str(tmp_path), f"--storage.tsdb.path={daemon.data}"], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "no data of Prometheus" in done.stderr
    (tmp_path / "om.txt").write_text(OPEN_METRICS)
    promtool("tsdb", "create-blocks-from", "openmetrics", tmp_path / "om.txt", tmp_path / "blocks")
    before = sorted(os.listdir(os.path.join(daemon.data, "segments")))
    done = subprocess.run(
        [BINARY, "tsdb", "import", str(tmp_path / "blocks"), f"--storage.tsdb.path={daemon.data}"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "in use" in done.stderr or "lock" in done.stderr
    assert sorted(os.listdir(os.path.join(daemon.data, "segments"))) == before


def test_a_running_daemon_can_be_looked_at(tmp_path, tocsin, target):
    page = target("a_metric 5\n")
    daemon = tocsin(
        "scrape_configs:\n- job_name: t\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n"
        f"  static_configs: [{{targets: ['{page.address}']}}]\n"
    )
    wait_until(lambda: "a_metric" in run("dump", "--match=a_metric", daemon.data), what="the sample in the dump")
    assert "log" in run("list", "-r", daemon.data)
    assert "sound" in run("verify", daemon.data)
    assert daemon.is_ready()


def test_openmetrics_text_becomes_a_store_or_blocks(tmp_path):
    (tmp_path / "om.txt").write_text(OPEN_METRICS)
    promtool("tsdb", "create-blocks-from", "openmetrics", tmp_path / "om.txt", tmp_path / "theirs")
    want = promtool_dump(tmp_path / "theirs")
    run("create-blocks-from", "openmetrics", tmp_path / "om.txt", f"--storage.tsdb.path={tmp_path}/store")
    assert run("dump", tmp_path / "store") == want
    run("create-blocks-from", "openmetrics", tmp_path / "om.txt", tmp_path / "ours")
    assert promtool_dump(tmp_path / "ours") == want
    (tmp_path / "again.txt").write_text(run("dump", "--format=openmetrics", tmp_path / "store"))
    run("create-blocks-from", "openmetrics", tmp_path / "again.txt", f"--storage.tsdb.path={tmp_path}/again")
    assert run("dump", tmp_path / "again") == want


@pytest.mark.parametrize(
    "text, error",
    [
        ("a 1 5\nb 2\n# EOF\n", "om.txt:2: expected timestamp for series b, got none"),
        ("a 1 5\na{ 2 7\n# EOF\n", "om.txt:2: "),
        ("a 1 5\n", "om.txt:2: data does not end with # EOF"),
        ("# EOF\na 1 5\n", "om.txt:2: data behind # EOF"),
    ],
)
def test_bad_text_is_refused_whole_and_names_its_line(tmp_path, text, error):
    (tmp_path / "om.txt").write_text(text)
    done = subprocess.run(
        [BINARY, "tsdb", "create-blocks-from", "openmetrics", str(tmp_path / "om.txt"), f"--storage.tsdb.path={tmp_path}/s"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert error in done.stderr
    assert not (tmp_path / "s").exists()


def test_repair_saves_what_is_sound(tmp_path):
    noise = random.Random(1)
    text = "".join(f"m_{i} {noise.random()} {1700006400 + r * 15}\n" for i in range(200) for r in range(300))
    (tmp_path / "om.txt").write_text(text + "# EOF\n")
    store = tmp_path / "store"
    run("create-blocks-from", "openmetrics", tmp_path / "om.txt", f"--storage.tsdb.path={store}")
    sound = run("dump", store).splitlines()
    (segment,) = (store / "segments").glob("*.seg")
    damaged = bytearray(segment.read_bytes())
    damaged[len(damaged) // 3] ^= 0x55
    segment.write_bytes(damaged)
    assert "page checksum" in run("verify", store, code=1)
    report = run("repair", store, code=3)
    assert "columns lost" in report
    saved = run("dump", store).splitlines()
    assert 0 < len(saved) < len(sound) and set(saved) <= set(sound)
    assert "sound" in run("verify", store)
    assert [p.name for p in (store / "quarantine").iterdir()] == [segment.name]
    assert "nothing was changed" in run("repair", store)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_metadata_of_the_log_is_imported(tmp_path, tocsin):
    """A log by hand, since metadata records are an option of later versions of Prometheus than the one here."""

    def text(s):
        return bytes([len(s)]) + s.encode()

    name = text("__name__") + text("cake_seconds_sum")
    t = int(time.time()) * 1000 - 60_000
    series = b"\x01" + struct.pack(">Q", 7) + b"\x01" + name
    sample = b"\x02" + struct.pack(">Qq", 7, t) + b"\x00\x00" + struct.pack(">d", 2.5)
    metadata = b"\x06\x07\x05\x02" + text("UNIT") + text("seconds") + text("HELP") + text("Cakes.")
    log = b"".join(b"\x01" + struct.pack(">HI", len(r), crc32c(r)) + r for r in (series, sample, metadata))
    (tmp_path / "prometheus" / "wal").mkdir(parents=True)
    (tmp_path / "prometheus" / "wal" / "00000000").write_bytes(log)
    daemon = tocsin(start=False)
    report = run("import", tmp_path / "prometheus", f"--storage.tsdb.path={daemon.data}")
    assert "imported 1 samples" in report and "metadata of 1 metric families" in report and "left out" not in report
    daemon.start()
    assert daemon.value("cake_seconds_sum", t / 1000) == 2.5
    want = {"cake_seconds": [{"type": "summary", "unit": "seconds", "help": "Cakes."}]}
    assert daemon.get("/api/v1/metadata").json()["data"] == want


def tool(*args, stdout=subprocess.PIPE):
    return subprocess.run([BINARY, "tsdb", *map(str, args)], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120)


def small_store(directory):
    text = "".join(f'm{{i="{i}"}} {r} {1700006400 + r * 15}\n' for i in range(5) for r in range(10))
    (directory / "om.txt").write_text(text + "# EOF\n")
    run("create-blocks-from", "openmetrics", directory / "om.txt", f"--storage.tsdb.path={directory}/store")
    return directory / "store"


def test_only_a_store_is_looked_at_and_nothing_is_made_elsewhere(tmp_path, tocsin):
    empty = tmp_path / "empty"
    empty.mkdir()
    theirs = tmp_path / "prometheus"
    (theirs / "wal").mkdir(parents=True)
    (theirs / "wal" / "00000000").write_bytes(b"")
    for command in ["list", "analyze", "dump", "verify", "repair", f"export {tmp_path}/out --storage.tsdb.path"]:
        for directory, why in [(empty, "neither a seed nor"), (theirs, "`tocsin tsdb import` takes it over"), (tmp_path / "none", "No such")]:
            arguments = f"{command}={directory}".split() if "=" not in command and "export" in command else [*command.split(), directory]
            done = tool(*arguments)
            assert done.returncode == 1 and why in done.stderr, (arguments, done)
    assert os.listdir(empty) == [] and os.listdir(theirs) == ["wal"] and os.listdir(theirs / "wal") == ["00000000"]
    assert not (tmp_path / "out").exists()
    daemon = tocsin(start=False)
    daemon.data = str(theirs)
    done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "data of Prometheus; `tocsin tsdb import` takes it over" in done.stderr
    assert os.listdir(theirs) == ["wal"] and os.listdir(theirs / "wal") == ["00000000"]


def test_a_full_standard_output_is_a_failure(tmp_path):
    store = small_store(tmp_path)
    for command in ["list", "analyze", "dump", "verify"]:
        with open("/dev/full", "w") as full:
            done = tool(command, store, stdout=full)
        assert done.returncode == 1 and done.stderr == "tocsin: standard output cannot be written\n", (command, done)


def test_a_series_that_two_selectors_match_is_dumped_once(tmp_path):
    store = small_store(tmp_path)
    both = run("dump", "--match", 'm{i=~"[0-3]"}', "--match", 'm{i=~"[2-4]"}', store)
    assert both == run("dump", store)


def test_a_missing_segment_is_told_by_every_tool(tmp_path):
    store = small_store(tmp_path)
    (segment,) = (store / "segments").glob("*.seg")
    segment.unlink()
    told = f"{segment}: missing, with 50 samples from 2023-11-15T00:00:00.000Z to 2023-11-15T00:02:15.000Z"
    for command, code in [("list", 3), ("analyze", 3), ("dump", 3)]:
        done = tool(command, store)
        assert done.returncode == code and done.stderr == f"left out: {told}\n", (command, done)
    assert f"damaged: {told}\n" in run("verify", store, code=1)
    assert f"lost: {told}\n" in run("repair", store, code=3)
    assert "sound" in run("verify", store), "what a repair has told is settled"


def test_one_damaged_manifest_is_no_loss(tmp_path):
    store = small_store(tmp_path)
    (store / "segments" / "manifest").write_bytes(b"?")
    done = tool("dump", store)
    assert done.returncode == 0 and done.stdout.count("\n") == 50
    assert done.stderr == f"damaged, but nothing is lost by it: {store}/segments/manifest: manifest: no header\n"
    assert "damaged: " in run("verify", store, code=1)
    assert "nothing is lost by it" in run("repair", store)
    assert "sound" in run("verify", store)


def test_arguments_that_are_not_understood_are_wrong_usage(tmp_path):
    store = small_store(tmp_path)
    for arguments in [["dump", "--min-time=yesterday"], ["dump", "--match={"], ["analyze", "--match={"], ["list", "--nonsense"],
                      ["dump", "--format=xml"], ["export", "--match={", tmp_path / "out"], ["export", "--block-duration=1s", tmp_path / "out"]]:
        done = tool(*arguments, *([f"--storage.tsdb.path={store}"]))
        assert done.returncode == 2 and done.stderr.startswith(f"tocsin tsdb {arguments[0]}: "), (arguments, done)


def test_text_may_come_through_a_pipe(tmp_path):
    want = run("dump", small_store(tmp_path))
    command = f"cat {tmp_path}/om.txt | {BINARY} tsdb create-blocks-from openmetrics"
    for name in ["-", "/dev/stdin"]:
        subprocess.run(f"{command} {name} --storage.tsdb.path={tmp_path}/piped{len(name)}", shell=True, check=True, timeout=60)
        assert run("dump", tmp_path / f"piped{len(name)}") == want
