"""Reloading: certificates, keys, CA files and configuration are swapped whole or not at all; sessions never notice."""

import contextlib
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import time

import pytest

from harness.clock import DAY, Clock
from harness.config import configuration
from harness.fake_upstream import accepting, server_context
from harness.messages import ErrorResponse
from harness.pki import HERE
from harness.programs import pgairlock, run
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
    assert refused.value.sqlstate == "57P03"
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



def reload(proxy, config, event="reloaded") -> None:
    """SIGHUP, and its end."""
    count = sum(one["event"] == event for one in proxy.all_events())
    proxy.write_config(config)
    proxy.signal(signal.SIGHUP)
    proxy.events(event, count + 1)


def refused(address) -> bool:
    try:
        socket.create_connection(address, 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_listener_that_is_added_serves_and_one_that_is_removed_keeps_its_sessions(run_proxy, client, pki, cluster):
    config = configuration(pki, [cluster.host])
    proxy = run_proxy(config)
    first = proxy.address
    session = client(first)
    session.login()
    added = {**config["listener"][0], "name": "added"}
    reload(proxy, {**config, "listener": [config["listener"][0], added]})
    proxy.wait_until_listening(2)
    client(proxy.addresses[1]).login()
    client(first).login()
    reload(proxy, {**config, "listener": [{**added, "listen": ["127.0.0.2:0"]}]})
    proxy.wait_until_listening(3)
    client(proxy.addresses[2]).login()
    assert refused(first) and refused(proxy.addresses[1])
    assert session.query("SELECT 1") == [[b"1"]]
    assert [event["listener"] for event in proxy.events("connected", 4)] == ["legacy", "added", "legacy", "added"]


def test_a_listen_address_is_moved_by_a_reload(run_proxy, client, pki, cluster, directory):
    def config(path):
        return configuration(pki, [cluster.host], listener={"listen": [f"unix:{directory}/{path}"]})

    proxy = run_proxy(config(".s.PGSQL.1"))
    session = client(proxy)
    session.login()
    reload(proxy, config(".s.PGSQL.2"))
    proxy.wait_until_listening(2)
    client(proxy.addresses[1]).login()
    assert not (directory / ".s.PGSQL.1").exists()
    proxy.wait_for_log("no longer listening on unix:")
    assert session.query("SELECT 1") == [[b"1"]]


def test_a_listen_address_that_cannot_be_bound_changes_nothing(run_proxy, client, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host]))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        config = configuration(pki, ["127.0.0.1:1"], listener={"listen": ["127.0.0.2:0", address]})
        reload(proxy, config, "reload_failed")
        proxy.wait_for_log(f"reload failed.*cannot listen on {address}")
        client(proxy).login()


def test_a_listener_that_changes_its_name_keeps_its_socket(run_proxy, client, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host]))
    reload(proxy, configuration(pki, [cluster.host], listener={"name": "renamed"}))
    client(proxy).login()
    assert proxy.event("connected")["listener"] == "renamed"
    assert len(proxy.addresses) == 1


RESTART = "needs a restart; the rest was reloaded"


def test_what_needs_a_restart_is_told_for_as_long_as_it_differs_from_what_runs(run_proxy, pki, cluster):
    began = configuration(pki, [cluster.host], runtime={"threads": 1})
    changed = configuration(pki, [cluster.host], runtime={"threads": 2})
    proxy, told = run_proxy(began), 0
    for config, times in [(changed, 1), (changed, 2), (began, 2)]:
        reload(proxy, config)
        until(lambda: proxy.log().count(" info reloaded: ") > told, what="the log says so as well")
        told += 1
        assert proxy.log().count(f"runtime.threads has changed: that {RESTART}") == times


def test_limits_and_timeouts_are_taken_up_by_a_reload(run_proxy, client, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host]))
    session = client(proxy)
    session.login()
    reload(proxy, configuration(pki, [cluster.host], runtime={"max_connections": 1}))
    with pytest.raises(ErrorResponse) as error:
        client(proxy).login()
    assert error.value.sqlstate == "53300"
    assert RESTART not in proxy.log()


def test_the_log_moves_with_a_reload(run_proxy, pki, cluster, directory):
    proxy = run_proxy(configuration(pki, [cluster.host]))
    file = directory / "moved.log"
    reload(proxy, configuration(pki, [cluster.host], log={"file": str(file), "format": "json", "level": "debug"}))
    until(lambda: "reloaded: SIGHUP" in file.read_text())
    assert all(json.loads(line) for line in file.read_text().splitlines())
    assert "reloaded: SIGHUP" not in proxy.log()
    # What cannot be opened leaves it where it is.
    reload(proxy, configuration(pki, [cluster.host], log={"file": f"{file}/is-no-folder"}), "reload_failed")
    until(lambda: re.search(r"pgairlock.toml:\d+:\d+: log.file: cannot open log file", file.read_text()))


def test_the_retention_of_the_inventory_is_taken_up_by_a_reload(run_proxy, client, pki, cluster):
    def clients():
        with contextlib.closing(sqlite3.connect(proxy.state_dir / "inventory.db", timeout=5)) as inventory:
            return [name for (name,) in inventory.execute("SELECT usename FROM clients")]

    proxy = run_proxy(configuration(pki, [cluster.host]))
    client(proxy).login()
    until(clients)
    with contextlib.closing(sqlite3.connect(proxy.state_dir / "inventory.db", timeout=5)) as inventory, inventory:
        inventory.execute("UPDATE clients SET last_seen = last_seen - 100 * 86400 * 1000000")
    reload(proxy, configuration(pki, [cluster.host], audit={"inventory_retention": "2000h"}))
    until(lambda: not clients(), what="what is older than the retention is gone")


# --- what hangs


def make_fifo_of(path) -> None:
    """Whoever opens it to read waits for a writer."""
    os.rename(path, f"{path}.away")
    os.mkfifo(path, 0o600)


def test_a_ca_file_that_becomes_a_fifo_is_refused(start, client, pki, directory):
    bundle = directory / "bundle.pem"
    shutil.copy(pki.new.cert, bundle)
    proxy = start(upstream={"sslrootcert": [str(bundle)]})
    make_fifo_of(bundle)
    proxy.signal(signal.SIGHUP)
    proxy.wait_for_log("reload failed.*is not a regular file")
    client(proxy).login()


def test_a_reload_that_hangs_holds_up_neither_clients_nor_the_end(run_proxy, client, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host]))
    make_fifo_of(proxy.config_file)
    # Two signals that come at once are one, so: until the second was seen.
    until(lambda: proxy.signal(signal.SIGHUP) or "SIGHUP while a reload is going on" in proxy.log())
    for _ in range(3):
        raw = client(proxy)
        raw.login()
        raw.close()
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    assert not [event for event in proxy.all_events() if event["event"].startswith("reload")]


def test_sighup_during_a_reload_means_one_more_afterwards(run_proxy, client, pki, cluster):
    proxy = run_proxy(configuration(pki, [cluster.host]))
    text = proxy.config_file.read_text()
    make_fifo_of(proxy.config_file)
    proxy.signal(signal.SIGHUP)
    with open(proxy.config_file, "w") as fifo:  # opened once it is being read
        for count in range(3):
            proxy.signal(signal.SIGHUP)
            until(lambda: proxy.log().count("SIGHUP while a reload is going on") == count + 1)
        os.unlink(proxy.config_file)
        proxy.config_file.write_text(text)
        fifo.write(text)
    proxy.events("reloaded", 2)
    proxy.signal(signal.SIGTERM)
    proxy.expect_exit(0)
    assert len(proxy.events("reloaded", 2)) == 2


def test_live_tls_sessions_survive_many_reloads(start, client, pki, files):
    proxy = start(tls=files.tls)
    session = client(proxy).negotiate("sslrequest")
    session.login()
    for number in range(5):
        files.install(pki.leaf(pki.front, f"proxy.{number}", HERE))
        proxy.signal(signal.SIGHUP)
        proxy.events("reloaded", number + 1)
        assert session.query("SELECT repeat('r', 100000)")[0][0] == b"r" * 100_000


# --- nothing is lost


def presented(client, pki, proxy) -> str:
    """The certificate that a new client sees, whatever is behind the proxy."""
    return client(proxy).negotiate("sslrequest", tls_context(ca=pki.front.cert)).tls.getpeercert()["serialNumber"]


def serial_of(certificate) -> str:
    said = run(["openssl", "x509", "-in", certificate.cert, "-noout", "-serial"]).stdout
    return said.strip().removeprefix("serial=")


@pytest.fixture
def renewed(pki):
    return pki.leaf(pki.front, "proxy.renewed", HERE)


HELD = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Asked for once the files have been read, and before anybody waits for a change of them. */
int getrlimit(__rlimit_resource_t resource, struct rlimit* limit) {
    if (resource == RLIMIT_NOFILE) {
        close(open(getenv("HELD_AT"), O_CREAT | O_WRONLY, 0600));
        while (access(getenv("HELD_UNTIL"), F_OK) != 0) usleep(10000);
    }
    return (int)syscall(SYS_prlimit64, 0, resource, NULL, limit);
}
int getrlimit64(__rlimit_resource_t resource, struct rlimit64* limit) { return getrlimit(resource, (struct rlimit*)limit); }
"""


@pytest.fixture
def held(directory):
    """Environment of a proxy that stands still between its reading and its serving, where it is, and what lets it go on."""
    if not shutil.which("cc"):
        pytest.skip("no compiler")
    (directory / "held.c").write_text(HELD)
    run(["cc", "-std=gnu11", "-shared", "-fPIC", "-o", directory / "held.so", directory / "held.c"])
    at, until_there = directory / "held.at", directory / "held.until"
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return {"LD_PRELOAD": str(directory / "held.so"), "HELD_AT": str(at), "HELD_UNTIL": str(until_there),
            "ASAN_OPTIONS": sanitizer.lstrip(":")}, at, until_there


def test_what_changes_while_the_proxy_starts_is_not_lost(run_proxy, client, pki, files, renewed, held):
    environment, at, until_there = held
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"], tls=files.tls), wait=False, environment=environment)
    until(at.exists, what="it has read its files")
    files.install(renewed)
    until_there.touch()
    proxy.wait_until_listening()
    until(lambda: presented(client, pki, proxy) == serial_of(renewed), interval=0.2)


def test_a_key_whose_permissions_come_after_it_is_taken(start, client, pki, files, renewed):
    """As cp and chmod do it."""
    proxy = start(["127.0.0.1:1"], tls=files.tls)
    files.key.chmod(0o644)
    shutil.copyfile(renewed.cert, files.cert)
    shutil.copyfile(renewed.key, files.key)
    proxy.wait_for_log("reload failed.*has group or world access")
    files.key.chmod(0o600)
    until(lambda: presented(client, pki, proxy) == serial_of(renewed), interval=0.2)
    assert re.search(r"reloaded: .* has changed, after \d+ failed attempts? since 20\S+Z", proxy.log())


def test_a_lack_of_descriptors_is_waited_out(start, client, pki, files, renewed):
    proxy = start(["127.0.0.1:1"], tls=files.tls)
    presented(client, pki, proxy)
    before = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    files.install(renewed)
    proxy.wait_for_log("reload failed.*Too many open files")
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, before)
    until(lambda: presented(client, pki, proxy) == serial_of(renewed), interval=0.2)


def test_a_ca_file_that_becomes_readable_later_is_taken(run_proxy, pki, directory):
    bundle = directory / "bundle.pem"
    shutil.copy(pki.new.cert, bundle)
    # Root reads everything, unless it cannot.
    wrapper = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"], upstream={"sslrootcert": [str(bundle)]}), wrapper=wrapper)
    bundle.write_text(pki.old.cert.read_text() + pki.new.cert.read_text())
    bundle.chmod(0)
    proxy.wait_for_log("reload failed.*Permission denied")
    bundle.chmod(0o644)
    proxy.events("reloaded")


def test_files_of_a_new_configuration_may_come_after_its_sighup(run_proxy, client, pki, files, directory, renewed):
    config = configuration(pki, ["127.0.0.1:1"], tls=files.tls)
    proxy = run_proxy(config)
    late = directory / "late"
    reload(proxy, {**config, "listener": [{**config["listener"][0], "tls": {
        "cert_file": str(late / "tls.crt"), "key_file": str(late / "tls.key")}}]}, "reload_failed")
    proxy.wait_for_log(r"reload failed.*late/tls\.crt.*No such file")
    mounted = directory / "mounted"
    mounted.mkdir()
    shutil.copy(renewed.cert, mounted / "tls.crt")
    shutil.copy(renewed.key, mounted / "tls.key")
    os.rename(mounted, late)
    until(lambda: presented(client, pki, proxy) == serial_of(renewed), interval=0.2)
    assert "reloaded: SIGHUP, after " in proxy.log()


def test_a_folder_that_another_one_replaces_is_followed(start, client, pki, directory, renewed):
    for name, certificate in (("live", pki.proxy), ("next", renewed)):
        (directory / name).mkdir()
        shutil.copy(certificate.cert, directory / name / "tls.crt")
        shutil.copy(certificate.key, directory / name / "tls.key")
    proxy = start(["127.0.0.1:1"], tls={"cert_file": str(directory / "live/tls.crt"), "key_file": str(directory / "live/tls.key")})
    os.rename(directory / "live", directory / "before")
    proxy.events("reload_failed")
    os.rename(directory / "next", directory / "live")
    until(lambda: presented(client, pki, proxy) == serial_of(renewed), interval=0.2)


def test_a_failure_that_lasts_is_said_and_counted_once_and_so_is_its_end(start, client, pki, files, renewed):
    proxy = start(["127.0.0.1:1"], tls=files.tls)
    os.rename(files.cert, f"{files.cert}.away")
    proxy.events("reload_failed")
    time.sleep(7)  # two attempts more, which come every 3 s
    files.cert.write_text("nothing\n")
    until(lambda: proxy.log().count("reload failed") == 2, what="the text of another reason")
    files.install(renewed)
    proxy.events("reloaded")
    attempts = re.search(r"after (\d+) failed attempts since", proxy.log())
    assert int(attempts.group(1)) >= 4  # and that with the other text
    assert [event["event"] for event in proxy.all_events() if event["event"].startswith("reload")] == ["reload_failed", "reloaded"]
    assert len(re.findall("reload failed", proxy.log())) == 2


# --- what a reload leaves alone


def test_connections_that_are_ready_stay_when_nothing_of_their_upstream_changes(run_proxy, client, pki, files, fake, renewed, directory):
    server = fake(accepting(server_context(pki.server)))
    bundle = directory / "bundle.pem"
    shutil.copy(pki.new.cert, bundle)
    config = configuration(pki, [server.host], tls=files.tls, runtime={"threads": 1}, upstream={
        "prewarm": 2, "prewarm_max_age": "600s", "sslrootcert": [str(bundle)]})
    proxy = run_proxy(config)
    until(lambda: len(server.peers) == 2, what="two are ready")
    files.install(renewed)
    proxy.events("reloaded", 1)
    proxy.config_file.write_text("# Every line is another one now.\n\n" + proxy.config_file.read_text())
    proxy.signal(signal.SIGHUP)
    proxy.events("reloaded", 2)
    client(proxy).negotiate("sslrequest").login()
    assert proxy.event("connected")["upstream_prewarmed"]
    until(lambda: len(server.peers) >= 3, what="one that takes its place")
    assert len(server.peers) == 3
    bundle.write_text(pki.old.cert.read_text() + pki.new.cert.read_text())
    proxy.events("reloaded", 3)
    until(lambda: len(server.peers) == 5, what="two that trust as the file says now")


def test_generated_certificates_are_renewed_before_they_end(run_proxy, pki, client, directory):
    clock = Clock(directory)
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"], tls={"cert_file": None, "key_file": None}), environment=clock.environment)
    proxy.wait_for_log(r"made a certificate authority: .*tls/ca\.crt")

    def shown() -> str:
        der = client(proxy).negotiate("sslrequest").tls.getpeercert(binary_form=True)
        return hashlib.sha256(der).hexdigest()

    before = shown()
    clock.set(810 * DAY)
    proxy.wait_for_log(r"renewed \S*/tls/server-ecdsa\.crt: valid until 20")
    proxy.wait_for_log("reloaded: generated certificates end soon")
    assert shown() != before


# --- the command


def test_pgairlock_reload_waits_for_the_outcome(run_proxy, pki):
    good = configuration(pki, ["127.0.0.1:1"])
    proxy = run_proxy(good)
    for where in (["--config", proxy.config_file], ["--console", proxy.console]):
        done = pgairlock("reload", *where)
        assert (done.returncode, done.stdout, done.stderr) == (0, "reloaded\n", "")
    assert len([event for event in proxy.all_events() if event["event"] == "reloaded"]) == 2
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        proxy.write_config(configuration(pki, ["127.0.0.1:1"], listener={"listen": [address]}))
        done = pgairlock("reload", "--config", proxy.config_file)
        assert done.returncode == 1
        assert f"the reload failed: {proxy.config_file}:" in done.stderr and f"cannot listen on {address}" in done.stderr
    proxy.write_config("nonsense = ")
    done = pgairlock("reload", "--console", proxy.console)
    assert done.returncode == 1 and "the reload failed: " in done.stderr


def test_pgairlock_reload_warns_of_keys_that_it_does_not_take_up_and_an_upgrade_does(run_proxy, pki):
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"], runtime={"threads": 1}))
    proxy.write_config(configuration(pki, ["127.0.0.1:1"], runtime={"threads": 2}, audit={"process_owner": False}))
    for _ in range(2):
        done = pgairlock("reload", "--console", proxy.console)
        assert (done.returncode, done.stdout) == (0, "reloaded\n")
        assert done.stderr.splitlines() == [f"warning: {key} has changed and is not taken up: that needs a restart, or an upgrade, "
                                            "which takes it up without a gap" for key in ("runtime.threads", "audit.process_owner")]
    assert pgairlock("upgrade", "--console", proxy.console).returncode == 0
    done = pgairlock("reload", "--console", proxy.console)
    assert (done.returncode, done.stdout, done.stderr) == (0, "reloaded\n", "")


def test_pgairlock_reload_without_a_proxy_fails(directory):
    done = pgairlock("reload", "--console", directory / "nobody/.s.PGSQL.6434")
    assert done.returncode == 1 and "nobody listens on" in done.stderr


BROKEN_AND_OF_NO_KNOWN_PROXY = {
    "is not there": None,
    "misspells the key": '[runtime]\nstate_dri = "/elsewhere"\n[upstream.a]\nhosts = ["127.0.0.1:1"]\n',
    "misspells the table": '[runtim]\nstate_dir = "/elsewhere"\n[upstream.a]\nhosts = ["127.0.0.1:1"]\n',
    "has it in another table": '[upstream.a]\nhosts = ["127.0.0.1:1"]\nstate_dir = "/elsewhere"\n',
    "misspells the console": '[admin]\nconsol = "unix:/elsewhere/.s.PGSQL.6434"\n[upstream.a]\nhosts = ["127.0.0.1:1"]\n',
    "is no TOML": '[runtime]\nstate_dir = /elsewhere\n[upstream.a]\nhosts = ["127.0.0.1:1"]\n',
}


@pytest.mark.parametrize("how", BROKEN_AND_OF_NO_KNOWN_PROXY)
@pytest.mark.parametrize("order", ["reload", "upgrade"])
def test_a_configuration_that_does_not_say_which_proxy_it_is_orders_no_other(run_proxy, pki, directory, order, how):
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"]))
    file = directory / "other.toml"
    if BROKEN_AND_OF_NO_KNOWN_PROXY[how] is not None:
        file.write_text(BROKEN_AND_OF_NO_KNOWN_PROXY[how])
    done = pgairlock(order, "--config", file, env={**os.environ, "STATE_DIRECTORY": str(proxy.state_dir)})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {file}:" in done.stderr and "none was asked" in done.stderr
    assert not [event for event in proxy.all_events() if event["event"] in ("reloaded", "reload_failed", "upgraded", "upgrade_failed")]


def test_a_broken_configuration_still_reaches_its_own_proxy_which_tells_of_it(run_proxy, pki):
    config = configuration(pki, ["127.0.0.1:1"], runtime={})
    proxy = run_proxy(config)
    unit = {"STATE_DIRECTORY": str(proxy.state_dir)}
    proxy.write_config({**config, "log": {"levle": "info"}})  # names its state directory
    told = "log.levle: unknown key"
    for environment in ({}, unit):
        done = pgairlock("reload", "--config", proxy.config_file, env={**os.environ, **environment})
        assert done.returncode == 1 and "the reload failed: " in done.stderr and told in done.stderr
    assert all(told in event["message"] for event in proxy.events("reload_failed", 2))
    for text in ('[log]\nlevle = "info"\n', "nonsense = \n"):  # names none: systemd has said which one it is
        proxy.write_config(text)
        done = pgairlock("reload", "--config", proxy.config_file, env={**os.environ, **unit})
        assert done.returncode == 1 and "the reload failed: " in done.stderr


@pytest.mark.parametrize("command", [["reload"], ["upgrade"], ["capture", "status"], ["report"], ["client", "list"], ["health"],
                                     ["dashboard", "--listen", "127.0.0.1:0"], ["alert", "test"]], ids=" ".join)
def test_no_command_goes_on_without_the_configuration_that_it_was_given(directory, command):
    file = directory / "nothere.toml"
    done = pgairlock(*command, "--config", file)
    assert done.returncode == 2 and f"error: {file}: cannot read the configuration file: No such file" in done.stderr
    done = pgairlock(*command, "--config", "")
    assert done.returncode == 2 and "--config: it is empty" in done.stderr


# --- the start


def test_a_start_without_its_files_is_one_to_be_tried_again(run_proxy, pki, directory):
    """systemd starts it anew, unless it ends with 2: a secret may be mounted a second later."""
    config = configuration(pki, ["127.0.0.1:1"], tls={"cert_file": str(directory / "late.crt"), "key_file": str(directory / "late.key")})
    run_proxy(config, wait=False).expect_exit(1)
    config["log"] = {"level": "perhaps"}
    run_proxy(config, wait=False).expect_exit(2)
    assert pgairlock("check", "--offline", "--config", directory / "proxy0/pgairlock.toml").returncode == 2


def test_the_start_says_what_it_is_and_where(run_proxy, pki):
    proxy = run_proxy(configuration(pki, ["127.0.0.1:1"]))
    proxy.wait_for_log(rf"pgairlock \d\S*, OpenSSL 3\.\S+, configuration {proxy.config_file}, state directory {proxy.state_dir}")
