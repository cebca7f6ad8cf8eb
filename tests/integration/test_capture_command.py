"""`pgairlock capture` and CAPTURE on the console: a capture by command, into the proxy's folder, a file, or a pipe."""

import json
import os
import shutil
import signal
import struct
import subprocess
import threading
from datetime import timedelta

import psycopg2
import pytest

from harness import messages, programs
from harness.capture import tshark_program, window
from harness.programs import pgairlock
from harness.waiting import PATIENCE, until
from harness.wire import Client

MAGIC = bytes.fromhex("0a0d0d0a")  # of a section header block
EXTCAP = programs.REPOSITORY / "deploy/wireshark/pgairlock-extcap"


@pytest.fixture(autouse=True)
def own_directory(directory, monkeypatch):
    """What is written by a relative path is written here."""
    monkeypatch.chdir(directory)


def capture(proxy, verb, *arguments, code=0, **options):
    done = pgairlock("capture", verb, "--console", proxy.console, *arguments, **options)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def shown(proxy):
    return json.loads(capture(proxy, "status", "--json").stdout)["captures"]


def running(proxy):
    return [one for one in shown(proxy) if one["state"] in ("running", "ending")]


def streaming(proxy, *arguments, stdout=subprocess.PIPE):
    """A `capture start --write ...` that has begun."""
    process = subprocess.Popen(programs.with_death_signal([programs.PGAIRLOCK, "capture", "start", "--console", proxy.console, *arguments]),
                               stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE)
    until(lambda: running(proxy) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


def ended(process, code=0):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    return out or b""


def blocks(data: bytes) -> list[int]:
    """The types of the blocks of a pcapng file, which must be whole."""
    types, at = [], 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        assert size % 4 == 0 and struct.unpack_from("<I", data, at + size - 4)[0] == size, (at, size, len(data))
        types.append(kind)
        at += size
    return types


def query_something(proxy):
    with Client(proxy.address) as raw:
        raw.login(application_name="captured")
        assert raw.query("SELECT 42 AS something")[0] == [b"42"]
        raw.send(messages.TERMINATE)


# --- into the proxy's folder


def test_a_capture_is_started_shown_and_stopped(start):
    proxy = start()
    started = capture(proxy, "start", "--for", "1h", "--user", "trust_user", "--client", "127.0.0.0/8").stdout
    lines = started.splitlines()
    assert lines[0] == f"capture 1 writes to {proxy.state_dir}/captures"
    assert [line.partition(":")[0] for line in lines[1:]] == ["file", "until", "options", "end it"]
    assert lines[2].split()[1].startswith("20") and lines[4].endswith(f"pgairlock capture stop 1 --console {proxy.console}")
    [one] = shown(proxy)
    assert (one["id"], one["state"], one["ended"], one["from"]) == (1, "running", None, one["started"])
    assert one["options"] == "FOR '1h', PAYLOAD redacted, USER 'trust_user', CLIENT '127.0.0.0/8'"
    assert one["by"].startswith(f"uid {os.getuid()}")
    assert proxy.event("capture_started")["by"] == one["by"]
    query_something(proxy)
    until(lambda: running(proxy)[0]["packets"] > 0)
    table = capture(proxy, "status").stdout.splitlines()
    assert table[0].split()[:4] == ["ID", "STATE", "FROM", "UNTIL"] and len(table) == 2
    assert table[1].split()[:2] == ["1", "running"]
    stopped = json.loads(capture(proxy, "stop", "1", "--json").stdout)["stopped"]
    assert [one["id"] for one in stopped] == [1]
    stopped = proxy.event("capture_stopped")
    assert (stopped["reason"], stopped["stopped_by"], stopped["files_removed"]) == ("stopped", f"uid {os.getuid()}", 0)
    until(lambda: not running(proxy))
    [one] = shown(proxy)
    assert (one["state"], one["reason"], one["stopped_by"], one["packets"]) == ("ended", "stopped", stopped["stopped_by"], stopped["packets"])
    assert f"stopped by uid {os.getuid()}" in capture(proxy, "status").stdout
    files = list((proxy.state_dir / "captures").iterdir())
    assert len(files) == 1 and files[0].read_bytes().startswith(MAGIC)
    assert files[0].stat().st_mode & 0o777 == 0o600


def test_a_capture_ends_when_its_time_has_passed(start):
    proxy = start()
    capture(proxy, "start", "--for", "1s")
    until(lambda: not running(proxy))
    proxy.event("capture_stopped")


def test_stop_without_a_number_stops_all_of_commands(start):
    proxy = start()
    for _ in range(3):
        capture(proxy, "start", "--for", "1h")
    assert capture(proxy, "stop").stdout.count("stopped capture") == 3
    assert "no capture that a command started runs" in capture(proxy, "stop", code=1).stderr


def test_into_one_file_of_a_name(start):
    proxy = start()
    folder = os.path.dirname(proxy.console)
    connection = psycopg2.connect(host=folder, port=6434, dbname="pgairlock", user="any")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("CAPTURE START (FOR '1h') TO 'window.pcapng'")
    query_something(proxy)
    cursor.execute("CAPTURE STOP")
    connection.close()
    path = proxy.state_dir / "captures" / "window.pcapng"
    until(lambda: path.exists() and blocks(path.read_bytes()))


def test_a_capture_without_an_end_says_so_and_as_json(start):
    proxy = start()
    [started] = json.loads(capture(proxy, "start", "--json").stdout)["started"]
    assert (started["id"], started["until"], started["warning"]) == (1, None, None)
    assert "until stop" in capture(proxy, "status").stdout
    assert "--write" in capture(proxy, "start", "--json", "--write", "x.pcapng", code=2).stderr


def test_a_filter_that_leaves_failures_of_tls_out_is_warned_of(start, directory):
    proxy = start()
    assert "warning: connections whose TLS fails are left out" in capture(proxy, "start", "--user", "app").stderr
    assert capture(proxy, "start", "--listener", "legacy").stderr == ""
    capture(proxy, "stop")
    process = streaming(proxy, "--database", "x", "--for", "1s", "--write", str(directory / "x.pcapng"))
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and b"warning: connections whose TLS fails are left out" in err
    proxy.wait_for_log("capture 1 by uid .*: connections whose TLS fails are left out")


def test_windows_that_are_to_open_are_shown_and_what_is_in_their_way_is_said_before(start):
    begin, end = timedelta(hours=1), timedelta(hours=2)
    proxy = start(capture={"windows": [window(begin, end)], "min_free_space": "1000TiB"})
    [planned] = shown(proxy)
    assert (planned["id"], planned["state"], planned["started"]) == (None, "planned", None)
    assert planned["from"] < planned["until"] and planned["by"].startswith("window ")
    assert capture(proxy, "status").stdout.splitlines()[1].split()[0] == "planned"
    proxy.wait_for_log("capture by window .*: will not start as things are: .*capture.dir: .*min_free_space")
    checked = pgairlock("check", "--offline", "--config", str(proxy.config_file))
    assert checked.returncode == 0 and "capture.dir" in checked.stderr and "min_free_space" in checked.stderr


# --- what is refused


def test_wrong_options_are_usage_errors(start):
    proxy = start()
    for arguments, word in ([("--payload", "all"), "redacted"], [("--for", "soon"), "30m"], [("--client", "here"), "10.0.0.0/8"],
                            [("--user", ""), "leave the option out"], [("--max-size", "big"), "1GiB"], [("--max-size", "10B"), "at least 64KiB"]):
        said = capture(proxy, "start", *arguments, code=2).stderr
        assert word in said and said.startswith(f"error: {arguments[0]}: ")
    for number in ("nine", "0", "-1", "99999999999999999999", "1x"):
        said = capture(proxy, "stop", "--", number, code=2).stderr
        assert f'expected the number of a capture, as capture status lists them, not "{number}"' in said
    assert "no capture 9 runs" in capture(proxy, "stop", "9", code=1).stderr
    assert not running(proxy)


def test_nobody_to_ask_is_said_with_what_to_do(directory):
    missing = directory / "nowhere" / ".s.PGSQL.6434"
    done = pgairlock("capture", "status", "--console", str(missing))
    assert done.returncode == 1
    assert f"nobody listens on {missing}: is pgairlock running with [admin] console?" in done.stderr
    done = pgairlock("capture", "status", env={**os.environ, "STATE_DIRECTORY": str(directory)})
    assert done.returncode == 1 and f"{directory}/console/.s.PGSQL.6434" in done.stderr
    done = pgairlock("capture", "status", "--console", str(directory / "no folder"))
    assert done.returncode == 1 and f"nobody listens on {directory}/no folder/.s.PGSQL.6434: is pgairlock running" in done.stderr
    (directory / "a file").touch()
    done = pgairlock("capture", "status", "--console", str(directory / "a file"))
    assert done.returncode == 1 and "is no console: its name is .s.PGSQL.PORT" in done.stderr


def test_a_configuration_says_where_the_console_is(start):
    proxy = start()
    done = pgairlock("capture", "status", "--config", str(proxy.config_file))
    assert (done.returncode, done.stdout) == (0, "no capture runs, is planned, or has run\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_a_user_who_may_not_is_told_whose_permission_is_lacking(start):
    proxy = start()
    for named in (proxy.console, os.path.dirname(proxy.console)):
        done = programs.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--",
                             programs.PGAIRLOCK, "capture", "status", "--console", named], check=False)
        assert done.returncode == 1
        assert "permission denied" in done.stderr and "admin.console_uids" in done.stderr


# --- to the client


def test_a_file_of_the_caller_is_new_and_private(start, directory):
    proxy = start()
    process = streaming(proxy, "--for", "1h", "--write", "mine.pcapng")
    query_something(proxy)
    until(lambda: running(proxy)[0]["packets"] > 0)
    process.send_signal(signal.SIGTERM)
    ended(process)
    path = directory / "mine.pcapng"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(blocks(path.read_bytes())) > 3
    before = path.read_bytes()
    assert "File exists" in capture(proxy, "start", "--write", "mine.pcapng", code=2).stderr
    assert path.read_bytes() == before
    assert not running(proxy)


def test_a_file_of_a_capture_that_is_refused_is_not_left(start, directory):
    proxy = start()
    said = capture(proxy, "start", "--write", "refused.pcapng", "--payload", "all", code=2).stderr
    assert "capturing into" not in said
    assert not (directory / "refused.pcapng").exists()


def test_tshark_reads_what_is_written_to_a_pipe(start):
    proxy = start()
    process = streaming(proxy, "--write", "-")
    reader = subprocess.Popen([tshark_program(), "-l", "-r", "-", "-T", "fields", "-e", "pgsql.query"], stdin=process.stdout, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    process.stdout.close()
    query_something(proxy)
    until(lambda: running(proxy)[0]["packets"] > 0)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0
    out, err = reader.communicate(timeout=PATIENCE)
    assert reader.returncode == 0, err
    assert b"SELECT ** AS something" in out


def test_a_stream_ends_when_its_time_has_passed(start):
    proxy = start()
    done = subprocess.run([programs.PGAIRLOCK, "capture", "start", "--console", proxy.console, "--for", "1s", "--write", "-"],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(MAGIC) and blocks(done.stdout)


def test_a_stream_that_somebody_stops_ends_in_order(start):
    proxy = start()
    process = streaming(proxy, "--write", "-")
    capture(proxy, "stop", str(running(proxy)[0]["id"]))
    assert blocks(ended(process))


def test_the_end_of_the_pipe_is_the_end_of_the_capture(start):
    proxy = start()
    process = streaming(proxy, "--write", "-")
    process.stdout.close()
    assert process.wait(PATIENCE) == 0, process.stderr.read()
    until(lambda: not running(proxy))


def test_a_command_that_is_killed_ends_its_capture(start):
    proxy = start()
    process = streaming(proxy, "--write", "-")
    process.kill()
    process.communicate()
    until(lambda: not running(proxy))
    query_something(proxy)


def test_a_reader_that_stalls_holds_up_nobody(start):
    proxy = start()
    process = streaming(proxy, "--payload", "full", "--write", "-")
    with Client(proxy.address) as raw:
        raw.login()
        for _ in range(20):
            assert len(raw.query("SELECT repeat('x', 100000)")[0][0]) == 100000
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(PATIENCE) in (0, 1)
    until(lambda: not running(proxy))


def test_a_reader_that_stalls_for_long_is_told_that_its_capture_was_given_up(start, directory):
    proxy = start()
    read, write = os.pipe()
    with open(directory / "read.pcapng", "wb") as file:
        reader = subprocess.Popen(programs.with_death_signal(["cat"]), stdin=read, stdout=file)
    os.close(read)
    process = streaming(proxy, "--payload", "full", "--write", "-", stdout=write)
    os.close(write)
    reader.send_signal(signal.SIGSTOP)
    with Client(proxy.address) as raw:
        raw.login()
        while running(proxy):
            raw.query("SELECT repeat('x', 100000)")
    assert proxy.event("capture_stopped")["reason"] == "client"
    reader.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and b"nothing was read for 10 s" in err
    assert reader.wait(PATIENCE) == 0
    assert (directory / "read.pcapng").read_bytes().startswith(MAGIC)


def test_a_stopped_capture_whose_client_takes_a_byte_now_and_then_is_over_soon(start, client):
    proxy = start()
    raw = client(proxy.console)
    raw.login("any")
    raw.send(messages.query("CAPTURE START (PAYLOAD full) TO STDOUT"))
    assert raw.message()[0] == b"H"
    with Client(proxy.address) as one:
        one.login()
        for _ in range(30):
            one.query("SELECT repeat('x', 100000)")
    capture(proxy, "stop")
    stopping = threading.Event()

    def drip():
        while not stopping.wait(0.05):
            raw.sock.recv(1)
    thread = threading.Thread(target=drip)
    thread.start()
    try:
        stopped = proxy.event("capture_stopped")
    finally:
        stopping.set()
        thread.join()
    assert (stopped["reason"], stopped["stopped_by"]) == ("stopped", f"uid {os.getuid()}")
    # A byte that the client takes need not make room for another one.
    assert any(why in stopped["message"] for why in ("too slow", "takes nothing")) and stopped["dropped"] > 0
    assert not running(proxy)


def test_what_a_client_says_while_a_capture_is_written_to_it_is_answered_behind_it(start, client):
    proxy = start()
    raw = client(proxy.console)
    raw.login("any")
    raw.send(messages.query("CAPTURE START (FOR '1s') TO STDOUT") + messages.query("SELECT 'ahead'"))
    assert raw.message()[0] == b"H"
    raw.send(messages.query("SELECT 'later'"))
    while raw.message()[0] != b"Z":
        pass
    assert [raw.rows(), raw.rows()] == [[[b"ahead"]], [[b"later"]]]


def test_the_end_of_the_proxy_is_the_end_of_the_stream(start):
    proxy = start()
    process = streaming(proxy, "--write", "-")
    query_something(proxy)
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    out, _ = process.communicate(timeout=PATIENCE)
    assert blocks(out)


def test_psql_writes_a_capture_and_its_session_goes_on(start):
    proxy = start()
    folder = os.path.dirname(proxy.console)
    done = subprocess.run([programs.postgres_bin() / "psql", "-X", "-At", "-h", folder, "-p", "6434", "-c", "CAPTURE START (FOR '1s') TO STDOUT",
                           "-c", "SELECT 'behind it'", "pgairlock"], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    captured, _, rest = done.stdout.rpartition(b"behind it")
    assert blocks(captured) and rest == b"\n"


def test_only_the_key_of_a_stream_cancels_it(start, client):
    proxy = start()
    raw = client(proxy.console)
    login = raw.login("any")
    raw.send(messages.query("CAPTURE START TO STDOUT"))
    assert raw.message() == (b"H", b"\x01\0\x01\0\x01")
    until(lambda: running(proxy))
    wrong = bytes([login.key[0] ^ 1]) + login.key[1:]
    for pid, key in ((login.backend_pid, wrong), (login.backend_pid + 1, login.key), (login.backend_pid, login.key[:3])):
        other = client(proxy.console)
        other.send(messages.cancel_request(pid, key))
        other.expect_closed()
    assert running(proxy)
    other = client(proxy.console)
    other.send(messages.cancel_request(login.backend_pid, login.key))
    other.expect_closed()
    kinds = []
    while not kinds or kinds[-1] != b"Z":
        kinds.append(raw.message()[0])
    assert kinds[-3:] == [b"c", b"C", b"Z"] and set(kinds[:-3]) <= {b"d"}
    assert raw.query("SELECT 1") == [[b"1"]]
    assert not running(proxy)


def test_many_streams_beside_each_other(start):
    proxy = start()
    processes = [streaming(proxy, "--write", "-") for _ in range(5)]
    until(lambda: len(running(proxy)) == 5)
    query_something(proxy)
    until(lambda: all(one["packets"] > 0 for one in running(proxy)))
    capture(proxy, "stop")
    for process in processes:
        assert len(blocks(ended(process))) > 3


# --- Wireshark's extcap


def test_wireshark_is_told_of_the_interface_and_its_options():
    def said(*arguments):
        return programs.run([EXTCAP, *arguments], check=True).stdout
    assert "interface {value=pgairlock}" in said("--extcap-interfaces", "--extcap-version=4.0")
    assert "{number=101}" in said("--extcap-interface", "pgairlock", "--extcap-dlts")
    config = said("--extcap-interface", "pgairlock", "--extcap-config")
    for option in ("--console", "--payload", "--trigger", "--user", "--for"):
        assert f"{{call={option}}}" in config


def test_wireshark_captures_through_extcap(start, directory):
    proxy = start()
    fifo = directory / "fifo"
    os.mkfifo(fifo)
    process = subprocess.Popen([EXTCAP, "--capture", "--extcap-interface", "pgairlock", "--fifo", str(fifo), "--console", proxy.console,
                                "--user", "trust_user"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env={**os.environ, "PGAIRLOCK": programs.PGAIRLOCK})
    received = bytearray()

    def read():
        with open(fifo, "rb") as pipe:
            while data := pipe.read1(1 << 16):
                received.extend(data)
    thread = threading.Thread(target=read)
    thread.start()
    until(lambda: running(proxy))
    query_something(proxy)
    until(lambda: running(proxy)[0]["packets"] > 0)
    process.terminate()
    assert process.wait(PATIENCE) == 0, process.stderr.read()
    thread.join(PATIENCE)
    assert len(blocks(bytes(received))) > 3
    until(lambda: not running(proxy))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a folder of extcaps of its own")
def test_tshark_captures_from_the_interface(start, directory):
    proxy = start()
    folders = programs.run([tshark_program(), "-G", "folders"], check=True).stdout
    # "Extcap path"; since 4.2 there is a personal one before it, which need not exist.
    extcaps = [line.split(":", 1)[1].strip() for line in folders.splitlines() if "extcap path" in line.split(":")[0].lower()][-1]
    ours = directory / "extcap"
    ours.mkdir()
    shutil.copy(EXTCAP, ours)
    tshark = subprocess.Popen(["unshare", "--mount", "sh", "-c", f"mount --bind {ours} {extcaps}; "
                               "exec tshark -i pgairlock -l -T fields -e pgsql.query"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "PGAIRLOCK": programs.PGAIRLOCK, "STATE_DIRECTORY": str(proxy.state_dir)})
    until(lambda: running(proxy) or tshark.poll() is not None)
    assert tshark.poll() is None, tshark.communicate()
    query_something(proxy)
    assert any("SELECT ** AS something" in line for line in tshark.stdout)
    tshark.send_signal(signal.SIGINT)
    tshark.communicate(timeout=PATIENCE)
    until(lambda: not running(proxy))
