"""Reloading: certificates, keys, CA files and configuration are swapped whole or not at all; sessions never notice."""

import os
import shutil
import signal

import pytest

from harness.config import configuration
from harness.fake_upstream import accepting, server_context
from harness.messages import ErrorResponse
from harness.pki import HERE
from harness.waiting import until
from harness.wire import tls_context


@pytest.fixture
def files(directory, pki):
    """The certificate and key files of a listener, replaceable as an operator's tools do: written beside, then renamed."""
    class Files:
        cert, key = directory / "live.crt", directory / "live.key"

        def install(self, certificate, parts=("cert", "key")):
            for part in parts:
                beside = directory / f"{part}.new"
                shutil.copy(getattr(certificate, part), beside)
                beside.chmod(0o600)
                os.rename(beside, getattr(self, part))

        tls = {"cert_file": str(cert), "key_file": str(key)}

    files = Files()
    files.install(pki.proxy)
    return files


@pytest.fixture
def shown(client, pki):
    """The serial number of the certificate that a new client sees."""
    def look(proxy) -> str:
        raw = client(proxy).negotiate("sslrequest", tls_context(ca=pki.front.cert))
        raw.login()
        return raw.tls.getpeercert()["serialNumber"]
    return look


def test_a_changed_certificate_is_picked_up_by_itself(start, client, shown, pki, files):
    proxy = start(tls=files.tls)
    before = shown(proxy)
    session = client(proxy).negotiate("sslrequest")
    session.login()
    files.install(pki.leaf(pki.front, "proxy.renewed", HERE))
    until(lambda: shown(proxy) != before, interval=0.2)
    assert session.query("SELECT 1") == [[b"1"]]
    assert proxy.events("reloaded")


def test_a_certificate_rewritten_in_place_is_picked_up_too(start, shown, pki, files):
    proxy = start(tls=files.tls)
    before = shown(proxy)
    renewed = pki.leaf(pki.front, "proxy.renewed", HERE)
    files.cert.write_bytes(renewed.cert.read_bytes())
    files.key.write_bytes(renewed.key.read_bytes())
    until(lambda: shown(proxy) != before, interval=0.2)


def test_a_certificate_behind_a_swapped_symlink_is_picked_up_too(start, shown, pki, directory):
    """How Kubernetes updates a mounted secret."""
    for name, certificate in (("one", pki.proxy), ("two", pki.leaf(pki.front, "proxy.renewed", HERE))):
        (directory / name).mkdir()
        shutil.copy(certificate.cert, directory / name / "tls.crt")
        shutil.copy(certificate.key, directory / name / "tls.key")
    os.symlink("one", directory / "data")
    proxy = start(tls={"cert_file": str(directory / "data/tls.crt"), "key_file": str(directory / "data/tls.key")})
    before = shown(proxy)
    os.symlink("two", directory / "data.new")
    os.rename(directory / "data.new", directory / "data")
    until(lambda: shown(proxy) != before, interval=0.2)


def test_sighup_reloads_the_certificate(start, shown, pki, files):
    proxy = start(tls=files.tls)
    before = shown(proxy)
    files.install(pki.leaf(pki.front, "proxy.renewed", HERE))
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded")
    assert shown(proxy) != before


def test_a_mismatched_pair_keeps_the_last_good_one(start, client, shown, pki, files):
    proxy = start(tls=files.tls)
    before = shown(proxy)
    session = client(proxy).negotiate("sslrequest")
    session.login()
    renewed = pki.leaf(pki.front, "proxy.renewed", HERE)
    files.install(renewed, ["cert"])
    proxy.signal(signal.SIGHUP)
    proxy.events("reload_failed")
    proxy.wait_for_log("error")
    assert shown(proxy) == before
    assert session.query("SELECT 1") == [[b"1"]]
    files.install(renewed, ["key"])
    proxy.signal(signal.SIGHUP)
    until(lambda: shown(proxy) != before)
    assert session.query("SELECT 2") == [[b"2"]]


@pytest.mark.parametrize("damage", ["empty", "garbage", "missing", "readable by others"])
def test_a_damaged_file_keeps_the_last_good_pair(start, shown, files, damage):
    proxy = start(tls=files.tls)
    before = shown(proxy)
    if damage == "empty":
        files.cert.write_bytes(b"")
    elif damage == "garbage":
        files.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nnonsense\n")
    elif damage == "missing":
        files.cert.unlink()
    else:
        files.key.chmod(0o644)
    proxy.signal(signal.SIGHUP)
    event = proxy.events("reload_failed")[0]
    assert "live." in str(event)
    assert shown(proxy) == before


def test_a_new_upstream_ca_is_picked_up_by_itself(start, client, pki, directory):
    bundle = directory / "bundle.pem"
    shutil.copy(pki.old.cert, bundle)
    proxy = start(upstream={"sslrootcert": [str(bundle)]})
    with pytest.raises(ErrorResponse):
        client(proxy).login()
    bundle.write_text(pki.old.cert.read_text() + pki.new.cert.read_text())

    def works():
        try:
            return client(proxy).login()
        except ErrorResponse:
            return None

    until(works, interval=0.2)


def test_an_upstream_ca_that_was_taken_away_is_no_longer_trusted(start, client, pki, directory):
    """In-place changes must not leave the old roots behind."""
    bundle = directory / "bundle.pem"
    bundle.write_text(pki.old.cert.read_text() + pki.new.cert.read_text())
    proxy = start(upstream={"sslrootcert": [str(bundle)]})
    session = client(proxy)
    session.login()
    shutil.copy(pki.old.cert, bundle)
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded")
    with pytest.raises(ErrorResponse) as refused:
        client(proxy).login()
    assert refused.value.sqlstate == "08006"
    assert session.query("SELECT 1") == [[b"1"]]


def test_an_upstream_ca_that_breaks_keeps_the_last_good_one(start, client, pki, directory):
    bundle = directory / "bundle.pem"
    shutil.copy(pki.new.cert, bundle)
    proxy = start(upstream={"sslrootcert": [str(bundle)]})
    bundle.write_text("nothing here\n")
    proxy.signal(signal.SIGHUP)
    proxy.events("reload_failed")
    client(proxy).login()


def test_a_watched_file_that_becomes_a_folder_is_told_and_watched_further(start, client, pki, directory):
    bundle = directory / "bundle.pem"
    shutil.copy(pki.new.cert, bundle)
    proxy = start(upstream={"sslrootcert": [str(bundle)]})
    bundle.unlink()
    bundle.mkdir()
    proxy.events("reload_failed")
    client(proxy).login()
    bundle.rmdir()
    bundle.write_text(pki.old.cert.read_text() + pki.new.cert.read_text())
    proxy.events("reloaded")
    client(proxy).login()


def test_sighup_reloads_the_configuration(run_proxy, client, pki, cluster, fake):
    server = fake(accepting(server_context(pki.server)))
    proxy = run_proxy(configuration(pki, [cluster.host]))
    session = client(proxy)
    session.login()
    proxy.write_config(configuration(pki, [server.host], tls={"mode": "require"}))
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded")
    with pytest.raises(ErrorResponse):
        client(proxy).login()
    client(proxy).negotiate("sslrequest").login()
    assert len(server.peers) == 1
    assert session.query("SELECT 1") == [[b"1"]]


def test_a_broken_configuration_changes_nothing(run_proxy, client, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host]))
    broken = configuration(pki, ["127.0.0.1:1"], tls={"mode": "perhaps"})
    proxy.write_config(broken)
    proxy.signal(signal.SIGHUP)
    proxy.events("reload_failed")
    proxy.wait_for_log(r"pgairlock\.toml:\d+:\d+")
    client(proxy).login()


def test_a_changed_listen_address_needs_a_restart_and_says_so(run_proxy, client, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host], listener={"listen": ["127.0.0.1:0"]}))
    proxy.write_config(configuration(pki, [cluster.host], listener={"listen": ["127.0.0.3:0"]}))
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log("restart")
    client(proxy).login()


def test_live_tls_sessions_survive_many_reloads(start, client, pki, files):
    proxy = start(tls=files.tls)
    session = client(proxy).negotiate("sslrequest")
    session.login()
    for number in range(5):
        files.install(pki.leaf(pki.front, f"proxy.{number}", HERE))
        proxy.signal(signal.SIGHUP)
        proxy.events("reloaded", number + 1)
        assert session.query("SELECT repeat('r', 100000)")[0][0] == b"r" * 100_000
