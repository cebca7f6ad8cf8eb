"""Where the proxy listens: both families beside each other, names, and everything."""

import re
import signal
import socket

import pytest

from harness.config import configuration
from harness.programs import pgairlock

EVERYBODY = ["127.0.0.0/8", "::1/128"]


def free_port() -> int:
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        return taken.getsockname()[1]


def hosts(proxy) -> list[str]:
    return [host for host, _ in proxy.addresses]


def test_every_address_of_both_families_stands_beside_each_other(run_proxy, client, pki, cluster):
    port = free_port()
    proxy = run_proxy(configuration(pki, [cluster.host], listener={"listen": [f"0.0.0.0:{port}", f"[::]:{port}"], "allow": EVERYBODY}), listeners=2)
    assert proxy.addresses == [("0.0.0.0", port), ("::", port)]
    for host in ("127.0.0.1", "::1"):
        client((host, port)).login()
    assert [event["client_addr"] for event in proxy.events("connected", 2)] == ["127.0.0.1", "::1"]


def test_every_ipv6_address_is_no_ipv4_address(run_proxy, pki):
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"], listener={"listen": ["[::]:0"], "allow": EVERYBODY}))
    socket.create_connection(("::1", proxy.port), 5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), 5).close()


def test_a_star_is_every_address_of_both_families(run_proxy, client, pki, cluster):
    port = free_port()
    proxy = run_proxy(configuration(pki, [cluster.host], listener={"listen": f"*:{port}", "allow": EVERYBODY}), listeners=2)
    assert sorted(proxy.addresses) == [("0.0.0.0", port), ("::", port)]
    for host in ("127.0.0.1", "::1"):
        client((host, port)).login()


def test_a_name_is_all_of_its_addresses_also_after_a_reload(run_proxy, client, pki, cluster):
    expected = {found[4][0] for found in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    config = configuration(pki, [cluster.host], listener={"listen": ["localhost:0"]})
    proxy = run_proxy(config, listeners=len(expected))
    assert set(hosts(proxy)) == expected
    for address in proxy.addresses:
        client(address).login()
    before = list(proxy.addresses)
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded")
    for address in before:
        client(address).login()
    assert proxy.addresses == before


def test_a_name_that_stands_for_nothing_is_told_with_its_place(run_proxy, pki):
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"], listener={"listen": ["nowhere.invalid:0"]}), wait=False)
    proxy.expect_exit(1)
    assert re.search(r"error: \S+pgairlock\.toml:\d+:\d+: listener\.listen: cannot listen on nowhere\.invalid:0: ", proxy.log())


def test_sockets_that_exclude_each_other_are_told_before_anything_is_bound(directory, pki):
    file = directory / "pgairlock.toml"
    file.write_text('[[listener]]\nlisten = ["127.0.0.1:6432", "0.0.0.0:6432"]\n[upstream.a]\nhosts = "db"\n')
    done = pgairlock("check", "--offline", "--config", file)
    assert done.returncode == 2
    assert re.search(r'pgairlock\.toml:2:\d+: listener\.listen: "0\.0\.0\.0:6432" is listened on already, by line 2: "127\.0\.0\.1:6432"', done.stderr)


def test_each_address_is_told_once_where_both_streams_are_one(run_proxy, pki, directory):
    """A journal, or a container's log, has both."""
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"]), wait=False, wrapper=["sh", "-c", 'exec "$@" >&2', "sh"])
    proxy.wait_for_log("listening on ")
    proxy.stop()
    assert proxy.log().count("listening on ") == 1
