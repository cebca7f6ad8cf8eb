"""`pgairlock check --watch`: what an operator sees during a rotation, with a PostgreSQL that rotates."""

import hashlib
import json
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from harness import programs
from harness.cluster import Cluster
from harness.config import configuration, to_toml
from harness.pki import HERE
from harness.waiting import PATIENCE, until


class Watch:
    """The command as a process; its lines as they come."""

    def __init__(self, *arguments):
        command = [programs.PGAIRLOCK, "check", "--watch", "200ms", *map(str, arguments)]
        self.process = subprocess.Popen(programs.with_death_signal(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def wait_for(self, pattern: str) -> str:
        """The first line with it."""
        found = until(lambda: [line for line in self.lines if re.search(pattern, line)], what=f"{pattern} in {self.lines}")
        return found[0]

    def changes(self) -> list[str]:
        """Without their times."""
        return [line[9:] for line in self.lines if re.match(r"\d\d:\d\d:\d\d ", line)]

    def end(self, how=signal.SIGTERM) -> int:
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def watch():
    made = []

    def begin(*arguments) -> Watch:
        made.append(Watch(*arguments))
        return made[-1]
    yield begin
    for one in made:
        one.kill()


@pytest.fixture
def cluster_with(directory, template, pki):
    """Begins one that shows this certificate until told otherwise."""
    made = []

    def begin(certificate) -> Cluster:
        made.append(Cluster(directory / "rotating", template, certificate, pki.people.cert).start())
        return made[-1]
    yield begin
    for one in made:
        one.stop()


@pytest.fixture
def rotating_cluster(cluster_with, pki):
    """Its certificate is of the old CA until told otherwise."""
    return cluster_with(pki.leaf(pki.old, "server.old", HERE))


def leaf_that_names_a_key(pki, issuer):
    """Its issuer's: so it is verified by the right one of two with one name."""
    return pki.odd(issuer, "server", f"subjectAltName = {','.join(HERE)}\nauthorityKeyIdentifier = keyid")


def key_sha256(certificate) -> str:
    """Of its public key in DER."""
    key = subprocess.run(["openssl", "pkey", "-in", certificate.key, "-pubout", "-outform", "DER"], capture_output=True, check=True)
    return hashlib.sha256(key.stdout).hexdigest()


def show(server: Cluster, certificate) -> None:
    """From now on the server has that one."""
    for name, source in (("server.crt", certificate.cert), ("server.key", certificate.key)):
        shutil.copy(source, server.data / name)
        programs.give_to_postgres(server.data / name)
    server.sql("SELECT pg_reload_conf()")


@pytest.fixture
def config_file(directory, pki):
    def write(hosts, **tables):
        path = directory / "pgairlock.toml"
        tables.setdefault("runtime", {}).setdefault("state_dir", str(directory / "state"))
        path.write_text(to_toml(configuration(pki, hosts, **tables)))
        return path
    return write


def test_a_rotation_is_told_as_it_happens(watch, rotating_cluster, config_file, pki):
    server = rotating_cluster
    file = config_file([server.host], upstream={"sslrootcert": [str(pki.old.cert), str(pki.new.cert)], "sslrootcert_candidate": [str(pki.new.cert)]})
    watching = watch("--config", file)
    watching.wait_for("candidate: refused because: ")
    where = rf"127\.0\.0\.1 \(127\.0\.0\.1:{server.port}\)"
    assert not watching.changes()

    show(server, pki.server)
    line = watching.wait_for("moved from")
    assert re.fullmatch(rf'\d\d:\d\d:\d\d {where}: moved from "Test Old CA" to "Test New CA"', line)
    watching.wait_for(rf"{where}: candidate suffices now$")

    server.stop()
    watching.wait_for(rf"{where}: unreachable: Connection refused$")
    server.start_again()
    watching.wait_for(rf"{where}: back$")

    # The same authority again: another certificate, and no move.
    again = pki.leaf(pki.new, "server.again", HERE)
    show(server, again)
    watching.wait_for(rf'{where}: another certificate of "Test New CA", until {again.not_after:%Y-%m-%dT%H:%M:%SZ}$')
    assert watching.end() == 0
    # What did not change is not told; while it starts, a server may be reached before it can be asked.
    told = [change for change in watching.changes() if "unreachable" not in change and "back" not in change]
    assert [re.sub(rf"^{where}: ", "", change).split(" of ")[0] for change in told] == [
        'moved from "Test Old CA" to "Test New CA"', "candidate suffices now", "another certificate"]


def test_a_ca_of_the_same_name_is_another_one_by_its_key_and_a_renewed_one_is_the_same(watch, cluster_with, pki):
    before, after = pki.authority("Corp Root CA"), pki.authority("Corp Root CA")
    renewed = pki.certified_again(after)
    server = cluster_with(leaf_that_names_a_key(pki, before))
    watching = watch("--json", "--upstream", server.host, "--sslrootcert", pki.bundle("roots.pem", before, after, renewed))
    watching.wait_for('"upstreams"')
    show(server, leaf_that_names_a_key(pki, after))
    watching.wait_for('"change":"moved"')
    show(server, leaf_that_names_a_key(pki, renewed))
    watching.wait_for('"change":"certificate"')
    assert watching.end() == 0
    first, moved, again = map(json.loads, watching.lines)
    assert first["upstreams"][0]["anchor_key_sha256"] == key_sha256(before)
    assert first["upstreams"][0]["leaf"]["issuer_key_id"]
    old, new = moved["from_anchor_key_sha256"], moved["to_anchor_key_sha256"]
    assert (old, new) == (key_sha256(before), key_sha256(after)) and old != new
    assert moved["message"] == f'moved from "Corp Root CA" (key {old[:16]}) to "Corp Root CA" (key {new[:16]})'
    assert (moved["from"], moved["to"]) == ("Corp Root CA", "Corp Root CA")
    assert again["message"].startswith('another certificate of "Corp Root CA", until ') and again["to"] == "Corp Root CA"


def test_a_ca_with_the_same_common_name_is_another_one_by_the_rest_of_its_name(watch, cluster_with, pki):
    before, after = pki.authority("Corp Root CA/O=Old"), pki.authority("Corp Root CA/O=New")
    server = cluster_with(pki.leaf(before, "server.before", HERE))
    watching = watch("--upstream", server.host, "--sslrootcert", pki.bundle("names.pem", before, after))
    watching.wait_for(": OK$")
    show(server, pki.leaf(after, "server.after", HERE))
    assert 'moved from "O=Old,CN=Corp Root CA" to "O=New,CN=Corp Root CA"' in watching.wait_for("moved from .*O=Old")
    assert watching.end() == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_exit_code_is_that_of_the_last_verdict(watch, rotating_cluster, pki, how):
    watching = watch("--upstream", rotating_cluster.host, "--sslrootcert", pki.old.cert)
    watching.wait_for(": OK$")
    show(rotating_cluster, pki.server)
    watching.wait_for("does not verify any more: unable to get local issuer certificate")
    assert watching.end(how) == 1
    assert 'moved from "Test Old CA" to "Test New CA"' in "".join(watching.changes())


def test_it_begins_failed_and_ends_ok(watch, rotating_cluster, pki):
    watching = watch("--upstream", rotating_cluster.host, "--sslrootcert", pki.new.cert)
    watching.wait_for(": FAILED$")
    show(rotating_cluster, pki.server)
    watching.wait_for("verifies now$")
    assert watching.end() == 0


def test_as_json_each_change_is_an_object_on_a_line(watch, rotating_cluster, pki):
    server = rotating_cluster
    watching = watch("--json", "--upstream", server.host, "--sslrootcert", pki.old.cert, "--sslrootcert", pki.new.cert)
    watching.wait_for('"upstreams"')
    show(server, pki.server)
    watching.wait_for('"moved"')
    assert watching.end() == 0
    told, *changes = map(json.loads, watching.lines)
    assert told["ok"] and told["upstreams"][0]["anchor"] == "CN=Test Old CA"
    moved = changes[0]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", moved.pop("ts"))
    assert moved == {"change": "moved", "upstream": "default", "host": "127.0.0.1", "address": server.host, "ok": True,
                     "from": "Test Old CA", "to": "Test New CA", "from_anchor_key_sha256": key_sha256(pki.old),
                     "to_anchor_key_sha256": key_sha256(pki.new), "message": 'moved from "Test Old CA" to "Test New CA"'}


def test_files_that_an_operator_puts_in_place_meanwhile_count(watch, rotating_cluster, config_file, directory, pki):
    bundle = directory / "bundle.pem"
    bundle.write_text(pki.old.cert.read_text())
    file = config_file([rotating_cluster.host], upstream={"sslrootcert": [str(bundle)]})
    watching = watch("--config", file)
    watching.wait_for(": OK$")
    show(rotating_cluster, pki.server)
    watching.wait_for("does not verify any more")
    bundle.write_text("nonsense")
    watching.wait_for(r"files have changed, and cannot be used: .*upstream\.orders\.sslrootcert: ")
    bundle.write_text(pki.old.cert.read_text() + pki.new.cert.read_text())
    watching.wait_for("files have changed, and were read again")
    watching.wait_for("verifies now$")
    # Another address appears, and the first one goes.
    other = f"localhost:{rotating_cluster.port}"
    config_file([other], upstream={"sslrootcert": [str(bundle)]})
    watching.wait_for(rf'^\d\d:\d\d:\d\d localhost \(\S+\): appeared: OK, "Test New CA"$')
    watching.wait_for(rf"127\.0\.0\.1 \(127\.0\.0\.1:{rotating_cluster.port}\): gone$")
    assert watching.end() == 0


def test_ctrl_c_is_obeyed_while_a_server_is_silent(watch, pki):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        watching = watch("--timeout", "10m", "--upstream", f"127.0.0.1:{silent.getsockname()[1]}", "--sslrootcert", pki.new.cert)
        silent.settimeout(PATIENCE)
        peer, _ = silent.accept()
        peer.settimeout(PATIENCE)
        assert peer.recv(8)
        assert watching.end(signal.SIGINT) == 1, "nothing was seen"
        peer.close()
