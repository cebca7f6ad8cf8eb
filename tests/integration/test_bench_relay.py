"""`pgairlock-bench serve`, the null backend, with clients that know nothing of it; and `pgairlock-bench relay`, which drives it."""

import csv
import io
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import time
from pathlib import Path

import psycopg2
import pytest

from harness import messages, programs
from harness.cluster import PASSWORDS, WRONG_PASSWORD
from harness.null_server import NullServer
from harness.waiting import PATIENCE, until
from harness.wire import tls_context

BENCH = Path(programs.PGAIRLOCK).parents[1] / "bench/pgairlock-bench"
pytestmark = pytest.mark.skipif(programs.sanitized(), reason="the sanitizers' builds are of the proxy")


@pytest.fixture
def serve(directory, pki):
    """With the certificate that `start` verifies."""
    made = NullServer(BENCH, directory, pki.server)
    yield made
    made.stop()


@pytest.fixture
def clear_serve(directory):
    (directory / "clear").mkdir()
    made = NullServer(BENCH, directory / "clear")
    yield made
    made.stop()


def relay(*arguments, **options) -> subprocess.CompletedProcess:
    return programs.run([BENCH, "relay", *arguments], check=False, **options)


def target(name, where, sslmode="disable", **settings) -> str:
    host, port = where.address
    return f"{name}=host={host} port={port} sslmode={sslmode} " + " ".join(f"{key}={value}" for key, value in settings.items())


def copy_out(connection, count: int) -> bytes:
    received = io.BytesIO()
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY {count} BYTES TO STDOUT", received)
    return received.getvalue()


def copy_in(connection, data: bytes) -> int:
    """What the server says that it got."""
    with connection.cursor() as cursor:
        cursor.copy_expert("COPY anything FROM STDIN", io.BytesIO(data))
        return cursor.rowcount


# --- serve

@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_psql_is_answered(serve, pg, sslmode):
    assert pg("psql", serve, "-XAtc", "select anything", sslmode=sslmode).stdout == "1\n"
    assert len(pg("psql", serve, "-Xc", "copy 100000 bytes to stdout;", sslmode=sslmode).stdout) == 100000
    assert pg("psql", serve, "-Xc", "COPY lines FROM STDIN", sslmode=sslmode, input="12345\n" * 1000).stdout == "COPY 6000\n"


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_psycopg2_copies_exactly_so_many_bytes(serve, connect, sslmode):
    connection = connect(serve, sslmode=sslmode)
    for count in (0, 1, 8187, 8188, 3_000_000):
        assert len(copy_out(connection, count)) == count
        assert copy_in(connection, b"y" * count) == count
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchall() == [(1,)]


def test_direct_tls_needs_alpn(serve, client):
    raw = client(serve).negotiate("direct")
    raw.login()
    assert raw.query("select 1") == [[b"1"]]
    with pytest.raises(ssl.SSLError):
        client(serve).negotiate("direct", tls_context())


def test_without_a_certificate_tls_is_declined(clear_serve, connect, client):
    assert client(clear_serve).request_tls() == b"N"
    connect(clear_serve, sslmode="prefer")
    with pytest.raises(psycopg2.OperationalError, match="server does not support SSL"):
        connect(clear_serve, sslmode="require")


def test_errors_are_told_and_the_session_goes_on(serve, connect, client):
    with connect(serve).cursor() as cursor:
        with pytest.raises(psycopg2.errors.SyntaxError, match="COPY n BYTES TO STDOUT"):
            cursor.copy_expert("COPY lines TO STDOUT", io.BytesIO())
        cursor.execute("select 1")
    raw = client(serve)
    raw.login()
    raw.send(messages.message(b"P", b"\0select 1\0\0\0") + messages.message(b"S", b""))
    assert raw.error().fields["C"] == "0A000"
    assert raw.message() == (b"Z", b"I")


@pytest.mark.parametrize("sent", [
    b"\0" * 8, b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, struct.pack("!II", 8, 80877103) + b"early",
    messages.startup("someone") + b"Q\xff\xff\xff\xff", messages.startup("someone") + b"Q\0\0\0\0", messages.startup("someone") + b"?\0\0\0\4",
    messages.startup("someone") + messages.query("COPY FROM STDIN") + messages.query("now"), messages.startup("someone") + messages.query("x") * 50000,
], ids=range(10))
def test_hostile_bytes_end_one_connection(serve, connect, sent):
    with socket.create_connection(serve.address, PATIENCE) as hostile:
        try:
            hostile.sendall(sent)
            hostile.shutdown(socket.SHUT_WR)
            while hostile.recv(1 << 16):
                pass
        except OSError:  # reset already; shutdown then says ENOTCONN
            pass
    connect(serve)
    assert serve.process.poll() is None


def test_copies_that_nobody_reads_do_not_hold_the_others_up(serve, client, connect):
    deaf = client(serve)
    deaf.login()
    for _ in range(3):
        deaf.send(messages.query("COPY 1000000000000 BYTES TO STDOUT"))
    for _ in range(8):
        connect(serve)


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_the_proxy_relays_copies_exactly(serve, start, connect, sslmode):
    connection = connect(start([serve.host]), sslmode=sslmode)
    data = os.urandom(3_000_001)
    assert len(copy_out(connection, len(data))) == len(data)
    assert copy_in(connection, data) == len(data)


# --- relay

@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_relay_measures_every_workload(serve, start, sslmode):
    proxy = start([serve.host])
    options = ["--repetitions", "2", "--copy-mb", "5", "--copy-clients", "2", "--duration", "300ms", "--clients", "1,4", "--idle", "50",
               "--connect-rate", "20", "--workload", "busy-among-idle,copy-out,copy-in,ping", "--workload", "idle", "--format", "json"]
    done = relay(target("direct", serve, sslmode), target("proxy", proxy, sslmode), "--pid", f"proxy={proxy.process.pid}", *options)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["failure"] is None
    assert [(one["name"], one["encryption"].split()[0], one["pids"]) for one in document["targets"]] == [
        ("direct", "plain" if sslmode == "disable" else "TLSv1.3", []),
        ("proxy", "plain" if sslmode == "disable" else "TLSv1.3", [proxy.process.pid])]
    results = {(result["workload"], result["clients"]): result["targets"] for result in document["results"]}
    assert list(results) == [("idle", 50), ("copy-out", 2), ("copy-in", 2), ("ping", 1), ("ping", 4), ("busy-among-idle", 1)]
    for row, targets in results.items():
        for metric, figures in targets["proxy"].items():
            known = [value for value in figures["values"] if value is not None]
            assert len(figures["values"]) == 2 and all(value >= 0 for value in known), (row, metric, figures)
            if metric == "busiest_thread_share" and not known:  # a target that idles, and uses no tick
                continue
            assert len(known) == 2 or metric == "busiest_thread_share", (row, metric, figures)
            assert figures["spread"]["min"] <= figures["spread"]["median"] <= figures["spread"]["max"]
    assert results["copy-out", 2]["proxy"]["mb_per_second"]["ratio"]["median"] > 0
    for row in (("ping", 1), ("ping", 4), ("busy-among-idle", 1)):
        figures = {metric: values["spread"] for metric, values in results[row]["direct"].items()}
        assert 0 < figures["latency_p50_us"]["median"] <= figures["latency_p99_us"]["median"]
    assert results["ping", 4]["direct"]["cpu_us_per_round_trip"]["spread"] is None
    if not programs.sanitized():
        assert 5 < results["idle", 50]["proxy"]["rss_kib_per_connection"]["values"][0] < 200


def most_at_a_time(proxy) -> int:
    """Sessions, as the audit has them."""
    most = now = 0
    for event in proxy.all_events():
        now += {"connected": 1, "disconnected": -1}.get(event["event"], 0)
        most = max(most, now)
    return most


def test_round_trips_are_measured_beside_idle_connections(serve, start):
    proxy = start([serve.host])
    options = ["--workload", "ping", "--clients", "1,2", "--idle-beside", "0,30", "--duration", "200ms", "--repetitions", "1"]
    done = relay(target("proxy", proxy), "--pid", f"proxy={proxy.process.pid}", *options, "--format", "json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert [(result["clients"], result["idle"]) for result in results] == [(1, 0), (2, 0), (1, 30), (2, 30)]
    assert [result["title"] for result in results][1:3] == ["ping, 2 clients, 0.2 s", "ping, 1 client beside 30 idle, 0.2 s"]
    assert all(result["targets"]["proxy"]["round_trips_per_second"]["values"][0] > 0 for result in results)
    proxy.events("disconnected", 1 + 1 + 2 + 31 + 32)
    assert most_at_a_time(proxy) >= 32


def test_round_trips_that_take_longer_than_the_duration_are_measured_all_the_same(fake):
    def script(peer):
        peer.open(None)
        peer.ready()
        while peer.message()[0] == b"Q":
            time.sleep(0.2)
            peer.send(messages.message(b"C", b"SLOW\0") + messages.READY_FOR_QUERY)

    server = fake(script)
    done = relay(f"slow=host=127.0.0.1 port={server.port} sslmode=disable", "--workload", "ping", "--clients", "1,2", "--duration", "1ms",
                 "--repetitions", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    for result in json.loads(done.stdout)["results"]:
        figures = {metric: values["values"][0] for metric, values in result["targets"]["slow"].items()}
        assert figures["latency_p50_us"] >= 200_000 and 0 < figures["round_trips_per_second"] <= result["clients"] * 5


@pytest.mark.parametrize("threads", [1, 2])
def test_the_busiest_thread_s_share_tells_whether_threads_share_the_work(serve, start, threads):
    proxy = start([serve.host], runtime={"threads": threads})
    # COPY, because it is the same work for each session, whoever gets a processor first.
    done = relay(target("proxy", proxy), "--pid", f"proxy={proxy.process.pid}", "--workload", "copy-out", "--copy-clients", "4", "--copy-mb", "100",
                 "--repetitions", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    share, = json.loads(done.stdout)["results"][0]["targets"]["proxy"]["busiest_thread_share"]["values"]
    assert 0.9 < share <= 1 if threads == 1 else 0.3 < share < 0.85


def test_too_many_connections_for_the_descriptor_limit_say_how_many_are_needed(serve):
    limited = ["sh", "-c", 'ulimit -n 100 && exec "$@"', "sh", BENCH, "relay", target("here", serve), "--threads", "2", "--duration", "100ms",
               "--workload", "ping", "--clients", "1,8", "--repetitions", "1"]
    done = programs.run([*limited, "--idle-beside", "0,5000"], check=False)
    assert done.returncode == 2
    assert "5008 connections at a time need 5024 file descriptors, but the limit is 100: raise ulimit -n" in done.stderr
    assert programs.run([*limited, "--idle-beside", "76"], check=False).returncode == 0


def test_the_table_goes_to_standard_output_or_a_file(serve, directory):
    options = [target("here", serve), "--workload", "copy-out", "--copy-mb", "1", "--repetitions", "1", "--threads", "1"]
    done = relay(*options)
    assert done.returncode == 0, done.stderr
    assert "copy-out, 1 client, 1 MB each" in done.stdout and "copy-out, 1 client, 1 MB each, repetition 1, here:" in done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 120
    rows = list(csv.DictReader(io.StringIO(relay(*options, "--format", "csv").stdout)))
    assert [(row["workload"], row["target"]) for row in rows] == [("copy-out", "here")] * len(rows)
    assert {row["metric"]: row["ratio"] for row in rows}["mb_per_second"] == ""
    silent = relay(*options, "--output", directory / "table")
    assert silent.stdout == "" and "MB/s" in (directory / "table").read_text()


def test_what_cannot_be_reached_is_exit_1(serve):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    done = relay(target("here", serve), f"gone=host=127.0.0.1 port={port} sslmode=disable", "--duration", "100ms")
    assert done.returncode == 1
    assert 'target "gone"' in done.stderr and "refused" in done.stderr


def test_what_fails_halfway_is_exit_1_and_what_was_complete_is_reported(cluster):
    done = relay(target("real", cluster, user="trust_user", dbname="postgres"), "--workload", "ping,copy-out", "--clients", "1", "--duration", "200ms",
                 "--repetitions", "1", "--format", "json")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert "syntax error" in document["failure"] and "copy-out" in document["failure"]
    assert document["results"] == []


class Running:
    """`relay` as a process that a test interrupts."""

    def __init__(self, serve, directory: Path, *arguments, stdout=subprocess.PIPE):
        self.progress = directory / "progress"
        with open(self.progress, "wb") as err:
            command = [str(BENCH), "relay", target("here", serve), "--format", "json", *map(str, arguments)]
            self.process = subprocess.Popen(programs.with_death_signal(command), stdin=subprocess.DEVNULL, stdout=stdout, stderr=err, text=True)

    def wait_for_progress(self) -> None:
        until(lambda: "repetition 1" in self.progress.read_text() or self.process.poll() is not None, what="a repetition")

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def catches_interrupts(self) -> bool:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return bool(int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16) & 1 << (signal.SIGINT - 1))

    def report(self) -> dict:
        """As an interrupt ends it."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, self.progress.read_text()
        document = json.loads(out)
        assert document["interrupted"] is True and document["failure"] is None
        return document


def cpu_seconds(process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def round_trips(result) -> list:
    return result["targets"]["here"]["round_trips_per_second"]["values"]


def test_sigint_ends_relay_with_a_report_of_what_was_complete(serve, directory):
    running = Running(serve, directory, "--workload", "ping,copy-in", "--copy-mb", "1", "--clients", "1,2", "--duration", "1h", "--repetitions", "1")
    running.wait_for_progress()
    running.interrupt()
    results = {(result["workload"], result["clients"]): result for result in running.report()["results"]}
    assert ("copy-in", 1) in results and ("ping", 2) not in results


@pytest.mark.parametrize("workload", ["ping", "busy-among-idle"])
def test_the_round_trips_until_sigint_are_counted(serve, directory, workload):
    # At one connection per second most of those that make them sleep for long.
    running = Running(serve, directory, "--workload", workload, "--clients", "1", "--idle", "3", "--connect-rate", "1", "--duration", "1h")
    # One client and its server take turns: the server's CPU time is less than the time that has passed, of which 0.3 s are not counted.
    until(lambda: cpu_seconds(serve.process) > 0.6 or running.process.poll() is not None, what="round trips")
    running.interrupt()
    result, = running.report()["results"]
    assert len(round_trips(result)) == 1 and round_trips(result)[0] > 0


def test_a_copy_that_sigint_cuts_is_not_counted(serve, directory):
    running = Running(serve, directory, "--workload", "copy-out", "--copy-mb", "1000000")
    until(lambda: cpu_seconds(serve.process) > 0.2 or running.process.poll() is not None, what="a copy")
    running.interrupt()
    assert running.report()["results"] == []


def test_sigint_does_not_wait_for_a_server_that_hangs(serve, directory):
    running = Running(serve, directory, "--workload", "ping", "--clients", "1", "--duration", "1h")
    until(lambda: cpu_seconds(serve.process) > 0.1 or running.process.poll() is not None, what="round trips")
    serve.process.send_signal(signal.SIGSTOP)
    try:
        running.interrupt()
        assert running.report()["results"] == []
    finally:
        serve.process.send_signal(signal.SIGCONT)


def test_the_second_sigint_ends_relay_at_once(serve, directory):
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writable, b"x" * 4096)
    os.set_blocking(writable, True)  # full: the report cannot be written
    running = Running(serve, directory, "--workload", "ping", "--clients", "1", "--duration", "1s", "--repetitions", "1000", stdout=writable)
    running.wait_for_progress()
    assert running.catches_interrupts()
    running.interrupt()
    until(lambda: not running.catches_interrupts(), what="the first SIGINT")
    running.interrupt()
    assert running.process.wait(PATIENCE) == -signal.SIGINT
    os.close(readable)
    os.close(writable)


PING = ["--workload", "ping", "--clients", "1", "--duration", "100ms", "--repetitions", "1"]


def relay_with_password(password, *arguments) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PGPASSWORD"}
    return relay(*arguments, env={**environment, **({"PGPASSWORD": password} if password else {})})


@pytest.mark.parametrize("user", ["md5_user", "password_user", "scram_user"])
def test_a_database_that_asks_for_a_password(cluster, start, user):
    targets = [target(name, where, user=user, dbname="postgres") for name, where in (("direct", cluster), ("proxy", start()))]
    done = relay_with_password(PASSWORDS[user], *targets, *PING, "--idle-beside", "3")
    assert done.returncode == 0, done.stderr
    assert relay_with_password(None, target("conninfo", cluster, user=user, dbname="postgres", password=PASSWORDS[user]), *PING).returncode == 0


@pytest.mark.parametrize("password, words", [(None, "PGPASSWORD"), (WRONG_PASSWORD, "28P01")], ids=["none", "wrong"])
def test_a_password_that_is_missing_or_wrong_is_told_and_not_shown(cluster, password, words):
    done = relay_with_password(password, target("real", cluster, user="scram_user", dbname="postgres"), *PING)
    assert done.returncode == 1
    assert 'target "real"' in done.stderr and words in done.stderr
    assert WRONG_PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments, words", [
    ([], ["targets"]),
    (["nonsense"], ["NAME=CONNINFO"]),
    (["a=host=127.0.0.1 sslmode=disable", "a=host=127.0.0.1 sslmode=disable"], ["two targets", "a"]),
    (["a=host=127.0.0.1 sslmode=disable", "--pid", "b=1"], ["--pid", "no target is named"]),
    (["a=host=127.0.0.1 sslmode=disable", "--pid", "a=x"], ["NAME=PID", "a=x"]),
    (["a=host=127.0.0.1 sslmode=disable", "--pid", "a=99999999"], ["no process 99999999"]),
    (["a=host=127.0.0.1 sslmode=disable", "--workload", "idle"], ["--pid NAME=PID"]),
    (["a=host=127.0.0.1 sslmode=disable", "b=host=127.0.0.1 sslmode=disable", "--pid", "a=1", "--pid", "b=1", "--workload", "idle"], ["same process"]),
    (["a=host=127.0.0.1 sslmode=disable", "--workload", "sleep"], ["copy-out"]),
    (["a=host=127.0.0.1 sslmode=disable", "--duration", "0s"], ["--duration 0s"]),
    (["a=host=127.0.0.1 sslmode=disable", "--idle-beside", "0,x"], ["--idle-beside"]),
    (["a=host=127.0.0.1 sslmode=disable", "--output", "/nowhere/at/all"], ["--output /nowhere/at/all"]),
], ids=lambda value: " ".join(value))
def test_wrong_usage_of_relay_is_exit_2_with_a_reason(arguments, words):
    done = relay(*arguments)
    assert done.returncode == 2, done.stderr
    assert not [word for word in words if word not in done.stderr], done.stderr


@pytest.mark.parametrize("arguments, code", [
    (["--listen", "nonsense"], 2), (["--listen", "192.0.2.1:1"], 1),
    (["--cert-file", "/nowhere"], 2), (["--cert-file", "/nowhere", "--key-file", "/nowhere"], 2),
], ids=lambda value: str(value))
def test_serve_that_cannot_serve_says_why(arguments, code):
    done = programs.run([BENCH, "serve", *arguments], check=False)
    assert done.returncode == code and done.stderr, done.stderr
