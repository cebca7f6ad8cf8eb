"""`pgairlock-bench forward`, the null proxy."""

import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness import programs
from harness.waiting import PATIENCE, until

BENCH = Path(programs.PGAIRLOCK).parents[1] / "bench/pgairlock-bench"
pytestmark = pytest.mark.skipif(programs.sanitized(), reason="the sanitizers' builds are of the proxy")


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE)
        yield listening


@pytest.fixture
def forward(directory, server):
    """The address of a null proxy before `server`."""
    out = directory / "forward.out"
    with open(out, "wb") as file:
        command = [str(BENCH), "forward", "--to", f"127.0.0.1:{server.getsockname()[1]}"]
        process = subprocess.Popen(programs.with_death_signal(command), stdin=subprocess.DEVNULL, stdout=file)
    found = until(lambda: re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", out.read_text()), what="the null proxy")
    yield "127.0.0.1", int(found[1])
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def pair(forward, server):
    client = socket.create_connection(forward, PATIENCE)
    near, _ = server.accept()
    near.settimeout(PATIENCE)
    return client, near


def receive(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(1 << 16), b""))


@pytest.mark.parametrize("from_client", [True, False], ids=["to server", "to client"])
def test_more_than_the_sockets_hold_arrives_whole_at_a_slow_reader(forward, server, from_client):
    client, near = pair(forward, server)
    sender, reader = (client, near) if from_client else (near, client)
    data = bytes(range(256)) * 80_000  # 20 MB
    thread = threading.Thread(target=sender.sendall, args=(data,))
    thread.start()
    time.sleep(0.2)
    got = bytearray()
    while part := len(got) < len(data) and reader.recv(10_000):
        got += part
    thread.join()
    assert got == data
    sender.close()
    assert receive(reader) == b""


def test_sessions_are_kept_apart_and_both_ways_work(forward, server):
    pairs = [pair(forward, server) for _ in range(50)]
    for number, (client, near) in enumerate(pairs):
        client.sendall(b"question %d" % number)
        near.sendall(b"answer %d" % number)
    for number, (client, near) in enumerate(pairs):
        assert near.recv(100) == b"question %d" % number
        assert client.recv(100) == b"answer %d" % number
        client.close()
    for _, near in pairs:
        assert near.recv(1) == b""


def test_the_end_of_a_server_ends_its_client_alone(forward, server):
    client, near = pair(forward, server)
    other, near_other = pair(forward, server)
    near.close()
    assert client.recv(1) == b""
    other.sendall(b"still here")
    assert near_other.recv(100) == b"still here"


@pytest.mark.parametrize("arguments, said", [
    (["--to", "localhost:1"], "--to localhost:1: expected IP:PORT"),
    (["--to", "127.0.0.1:1", "--listen", "unix:/tmp"], "--listen unix:/tmp: expected IP:PORT"),
])
def test_an_address_that_is_none_is_a_usage_error(arguments, said):
    done = programs.run([BENCH, "forward", *arguments], check=False)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_port_that_is_taken_is_a_failure(server):
    taken = f"127.0.0.1:{server.getsockname()[1]}"
    done = programs.run([BENCH, "forward", "--listen", taken, "--to", "127.0.0.1:1"], check=False)
    assert done.returncode == 1
    assert "in use" in done.stderr
