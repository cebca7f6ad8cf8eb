"""A process that runs out of something loses what it was just about, and goes on."""

import re
import resource
import signal
from pathlib import Path

import pytest

from harness import programs
from harness.messages import ErrorResponse
from harness.waiting import until


def half_a_login(client, proxy):
    """True: it was taken."""
    try:
        raw = client(proxy, timeout=5).negotiate("sslrequest")
        raw.begin_login("scram_user")
        return True
    except (OSError, EOFError, ErrorResponse, AssertionError):  # also an alert in the place of S or of TLS
        return False


def data_bytes(proxy) -> int:
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    return int(re.search(r"VmData:\s+(\d+) kB", status).group(1)) * 1024


@pytest.mark.skipif(programs.sanitized(), reason="a sanitizer ends the process when it gets no memory")
@pytest.mark.parametrize("room_kib", [0, 256, 2048])
def test_without_memory_the_process_goes_on_and_the_listener_comes_back(start, client, room_kib):
    proxy = start(runtime={"threads": 2})
    client(proxy).login()
    _, most = resource.prlimit(proxy.process.pid, resource.RLIMIT_DATA)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_DATA, (data_bytes(proxy) + room_kib * 1024, most))
    refused = 0
    for _ in range(1500):
        refused += 0 if half_a_login(client, proxy) else 1
        if refused >= 20:
            break
        assert proxy.process.poll() is None, proxy.log()
    assert refused > 0, "there was memory for everybody"
    resource.prlimit(proxy.process.pid, resource.RLIMIT_DATA, (most, most))
    until(lambda: half_a_login(client, proxy), what="a listener that takes connections again")
    client(proxy).negotiate("sslrequest").login()
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)


def test_without_descriptors_sessions_go_on_and_the_listener_comes_back(start, client):
    proxy = start(runtime={"threads": 2})
    established = client(proxy)
    established.login()
    now = len(proxy.fds())
    _, most = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (now + 1, most))
    crowd = [client(proxy) for _ in range(5)]
    proxy.wait_for_log("cannot accept a connection on .*: Too many open files")
    assert established.query("SELECT 1") == [[b"1"]]
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (most, most))
    for raw in crowd:  # each is served, or was closed: none waits
        try:
            raw.negotiate("sslrequest").login()
        except (EOFError, ConnectionError):
            pass
    client(proxy).negotiate("sslrequest").login()
