"""`pgairlock check`: one meaning of OK, what was sent, what `run` would trip over, and how little a server notices of it."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from harness import programs
from harness.cluster import Cluster
from harness.config import configuration, to_toml
from harness.fake_upstream import accepting, server_context
from harness.pki import HERE
from harness.programs import pgairlock
from harness.waiting import until


@pytest.fixture
def config_file(directory, pki):
    """Writes a configuration and gives its path."""
    def write(hosts, **tables):
        path = directory / "pgairlock.toml"
        tables.setdefault("runtime", {}).setdefault("state_dir", str(directory / "state"))
        path.write_text(to_toml(configuration(pki, hosts, **tables)))
        return path
    return write


def check(*arguments, **options) -> tuple[int, str]:
    done = pgairlock("check", *arguments, **options)
    return done.returncode, done.stdout


def document(*arguments, **options) -> dict:
    """Its JSON, of which `ok` and the exit code say the same."""
    done = pgairlock("check", "--json", *arguments, **options)
    told = json.loads(done.stdout)
    assert (done.returncode == 0) == (told["ok"] and not told["fails_on"]), done
    return told


def first(*arguments) -> dict:
    return document(*arguments)["upstreams"][0]


def finding(told: dict, what: str) -> dict:
    found = [one for one in told["preflight"] if one["what"].startswith(what)]
    assert len(found) == 1, told["preflight"]
    return found[0]


def port_of(sock) -> int:
    return sock.getsockname()[1]


# --- One meaning of OK


def test_ok_is_about_all_ca_files_together_in_text_json_and_exit_code(cluster, pki, config_file):
    file = config_file([cluster.host], upstream={"sslrootcert": [str(pki.old.cert), str(pki.new.cert)]})
    code, text = check("--config", file)
    assert code == 0
    assert "sslmode=verify-full: OK, but 1 of 2 CA files does not suffice alone\n" in text
    told = document("--config", file)
    assert told["ok"] and told["upstreams"][0]["ok"] and told["fails_on"] == []
    assert [verdict["ok"] for verdict in told["upstreams"][0]["ca_files"]] == [False, True]
    # More than that has to be asked for.
    code, text = check("--config", file, "--fail-on", "alone")
    assert code == 1 and "fails on: alone\n" in text
    told = document("--config", file, "--fail-on", "alone")
    assert told["ok"] and told["fails_on"] == ["alone"]
    assert check("--upstream", cluster.host, "--sslrootcert", pki.new.cert, "--fail-on", "alone")[0] == 0


def test_whoever_names_ca_files_on_the_command_line_asks_about_each(cluster, pki):
    files = ["--upstream", cluster.host, "--sslrootcert", pki.old.cert, "--sslrootcert", pki.new.cert]
    code, text = check(*files)
    assert code == 1 and "sslmode=verify-full: OK, but 1 of 2 CA files does not suffice alone\n" in text and "fails on: alone\n" in text
    told = document(*files)
    assert told["ok"] and told["fails_on"] == ["alone"]


def test_failed_is_the_same_in_text_json_and_exit_code(cluster, pki):
    code, text = check("--upstream", cluster.host, "--sslrootcert", pki.old.cert)
    assert code == 1 and ": FAILED\n" in text and ": OK" not in text
    told = first("--upstream", cluster.host, "--sslrootcert", pki.old.cert)
    assert not told["ok"] and told["verify_error"] == "unable to get local issuer certificate"
    assert told["at"] == {"depth": 0, "certificate": "CN=server.new"}


@pytest.mark.parametrize("sslmode, ok", [("require", False), ("verify-ca", False), ("prefer", False)])
def test_ca_files_are_held_to_whenever_they_are_given_as_by_libpq(config_file, cluster, pki, sslmode, ok):
    told = first("--config", config_file([cluster.host], upstream={"sslmode": sslmode, "sslrootcert": [str(pki.old.cert)]}))
    assert told["ok"] is ok and told["ca_files"][0]["ok"] is ok


def test_a_server_without_tls_is_ok_exactly_where_sslmode_goes_on_in_clear_text(config_file, clear_cluster):
    for sslmode, ok in (("prefer", True), ("disable", True), ("require", False)):
        file = config_file([clear_cluster.host], upstream={"sslmode": sslmode, "sslrootcert": None})
        told = first("--config", file)
        assert (told["ok"], told["encrypted"]) == (ok, False), sslmode
        assert ("goes on in clear text" in check("--config", file)[1]) is ok


# --- The candidate


def test_the_candidate_is_rehearsed_for_each_address_and_by_each_of_its_files(config_file, cluster, fake, pki):
    old = fake(accepting(server_context(pki.leaf(pki.old, "server.old", HERE))))
    file = config_file([cluster.host, old.host], upstream={"sslrootcert": [str(pki.new.cert), str(pki.old.cert)],
                                                           "sslrootcert_candidate": [str(pki.people.cert), str(pki.new.cert)]})
    told = document("--config", file)
    assert told["ok"] and told["candidate_ok"] is False
    candidates = [address["candidate"] for address in told["upstreams"]]
    assert [candidate["ok"] for candidate in candidates] == [True, False]
    assert [[verdict["ok"] for verdict in candidate["files"]] for candidate in candidates] == [[False, True], [False, False]]
    assert candidates[0]["files"][1]["ca_file"] == str(pki.new.cert) and candidates[0]["files"][1]["anchor"] == "CN=Test New CA"
    assert "CN=Test Old CA" in candidates[1]["cause"]
    # The server has not moved: its authority does not belong into the candidate.
    assert candidates[1]["hint"].startswith(f"{pki.old.cert}, also configured, verifies this chain. If the server has not moved")
    assert told["upstreams"][1]["ca_files"][0]["hint"].startswith(f"{pki.old.cert}, also configured, verifies this chain. This file alone")
    text = check("--config", file)[1]
    assert f"    CA file:   {pki.new.cert}: suffices alone\n" in text
    assert f"    CA file:   {pki.people.cert}: does not suffice: unable to get local issuer certificate\n" in text
    assert document("--config", file, "--fail-on", "candidate")["fails_on"] == ["candidate"]


# --- What was sent


def test_the_chain_is_shown_by_depth_with_what_was_sent_and_the_anchor(fake, pki):
    intermediate = pki.authority("Test Check Intermediate", issuer=pki.new)
    useless = pki.people
    leaf = pki.leaf(intermediate, "server.chained", HERE)
    context = server_context(leaf)
    context.load_cert_chain(pki.bundle("check-chain.crt", leaf, intermediate, useless), leaf.key)
    server = fake(accepting(context))
    told = first("--upstream", server.host, "--sslrootcert", pki.new.cert)
    chain = told["chain"]
    assert [(one["depth"], one["subject"], one["sent"], one["anchor"]) for one in chain] == [
        (0, "CN=server.chained", True, None), (1, "CN=Test Check Intermediate", True, None),
        (2, "CN=Test New CA", False, str(pki.new.cert)), (None, "CN=Test People CA", True, None)]
    assert chain[1]["issuer"] == "CN=Test New CA" and chain[1]["not_after"] == f"{intermediate.not_after:%Y-%m-%dT%H:%M:%SZ}"
    assert told["anchor"] == "CN=Test New CA"
    text = check("--upstream", server.host, "--sslrootcert", pki.new.cert)[1]
    assert f"  chain:     0 CN=server.chained, until {leaf.not_after:%Y-%m-%d}" in text
    assert re.search(rf"\n +2 CN=Test New CA, until \S+, issued by itself \(anchor of {pki.new.cert}\)\n", text)
    assert "- CN=Test People CA" in text and "(sent, not used)" in text


def test_a_chain_that_does_not_verify_is_shown_as_it_was_sent_with_the_certificate_at_fault(fake, pki):
    stale = pki.authority("Test Check Stale", issuer=pki.new, days=(-30, -2))
    leaf = pki.leaf(stale, "server.stale", HERE)
    context = server_context(leaf)
    context.load_cert_chain(pki.bundle("check-stale.crt", leaf, stale), leaf.key)
    server = fake(accepting(context))
    told = first("--upstream", server.host, "--sslrootcert", pki.new.cert)
    assert [(one["depth"], one["subject"], one["sent"]) for one in told["chain"]] == [
        (0, "CN=server.stale", True), (1, "CN=Test Check Stale", True)]
    assert told["at"] == {"depth": 1, "certificate": "CN=Test Check Stale"} == told["ca_files"][0]["at"]
    assert '"CN=Test Check Stale", which the server sent' in told["cause"]
    assert "    at:        depth 1, CN=Test Check Stale\n" in check("--upstream", server.host, "--sslrootcert", pki.new.cert)[1]


def test_group_and_alpn_are_shown(cluster, fake, pki):
    told = first("--upstream", cluster.host, "--sslrootcert", pki.new.cert)
    assert told["group"] and told["version"] == "TLSv1.3"
    assert f"{told['cipher']}, {told['group']}, " in check("--upstream", cluster.host, "--sslrootcert", pki.new.cert)[1]
    server = fake(accepting(server_context(pki.server, alpn=["postgresql"])))
    assert first("--upstream", server.host, "--sslrootcert", pki.new.cert)["alpn"] == "postgresql"


def by_name(pki, **contexts):
    """A server that shows another certificate to those that send these names."""
    context = server_context(pki.server)
    named = {name: server_context(certificate) for name, certificate in contexts.items()}

    def script(peer):
        assert peer.packet() == "SSLRequest"
        peer.send(b"S")

        def choose(sock, name, _):
            peer.sni = name
            if name in named:
                sock.context = named[name]
        context.sni_callback = choose
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        peer.rest = peer.until_closed()
    return script


def test_a_server_that_shows_another_certificate_by_name_is_seen(fake, pki):
    server = fake(by_name(pki, localhost=pki.leaf(pki.new, "server.named", HERE)))
    told = first("--upstream", f"localhost:{server.port}", "--sslrootcert", pki.new.cert)
    assert told["sni"] == "localhost" and told["leaf"]["subject"] == "CN=server.named"
    assert told["without_sni"]["same"] is False and told["without_sni"]["leaf"]["subject"] == "CN=server.new"
    text = check("--upstream", f"localhost:{server.port}", "--sslrootcert", pki.new.cert)[1]
    assert "  without SNI: CN=server.new, names DNS:localhost, " in text


def test_the_same_certificate_without_sni_is_said(cluster, pki):
    arguments = ["--upstream", f"localhost:{cluster.port}", "--sslrootcert", pki.new.cert]
    assert first(*arguments)["without_sni"]["same"] is True
    assert "  without SNI: same certificate\n" in check(*arguments)[1]
    # No name was sent in the first place.
    assert first("--upstream", cluster.host, "--sslrootcert", pki.new.cert)["without_sni"] is None


# --- How little a server notices


def test_an_address_is_connected_to_once_with_sni_and_once_without_one_after_the_other(fake, pki):
    server = fake(by_name(pki))
    files = [item for one in (pki.old, pki.new, pki.people) for item in ("--sslrootcert", one.cert)]
    assert ": OK, but 2 of 3 CA files do not suffice alone\n" in check("--upstream", f"127.0.0.1:{server.port}", *files)[1]
    assert len(server.peers) == 1
    server = fake(by_name(pki))
    told = first("--upstream", f"localhost:{server.port}", *files)
    assert told["address"].startswith("127.0.0.1") or told["address"].startswith("[::1]")
    peers = [peer for peer in server.peers if hasattr(peer, "rest")]
    assert [peer.sni for peer in peers] == ["localhost", None]
    # close_notify: the server's TLS saw an end, and no reset.
    assert [peer.rest for peer in peers] == [b"", b""] and [peer.ended for peer in peers] == [None, None]


def test_postgresql_has_nothing_to_log(directory, template, pki):
    server = Cluster(directory / "quiet", template, pki.server, pki.people.cert).start()
    try:
        server.sql("ALTER SYSTEM SET log_connections = off")
        server.sql("SELECT pg_reload_conf()")
        until(lambda: "reloading configuration files" in server.log_file.read_text(), what="it reads its configuration")
        until(lambda: server.sql("SHOW log_connections") == [("off",)], what="it takes that up")
        before = server.log_file.read_text()
        for host in ("localhost", "127.0.0.1"):
            for _ in range(5):
                pgairlock("check", "--upstream", f"{host}:{server.port}", "--sslrootcert", pki.old.cert, "--sslrootcert", pki.new.cert)
        server.sql("DO $$BEGIN RAISE LOG 'behind all of that'; END$$")
        until(lambda: "behind all of that" in server.log_file.read_text(), what="the line that is behind")
        said = server.log_file.read_text()[len(before):]
        assert not re.findall(r".*(?:could not|reset by peer|SSL error|alert|EOF).*", said), said
    finally:
        server.stop()


# --- All at once


@pytest.fixture
def silent():
    """Takes connections, and never says a word."""
    sockets = []

    def make() -> str:
        sockets.append(socket.create_server(("127.0.0.1", 0), backlog=64))
        return f"127.0.0.1:{port_of(sockets[-1])}"
    yield make
    for sock in sockets:
        sock.close()


def test_silent_addresses_are_waited_for_together_for_as_long_as_timeout_says(config_file, cluster, silent):
    hosts = [silent() for _ in range(9)]
    hosts.insert(4, cluster.host)
    file = config_file(hosts, upstream={"connect_timeout": "60s"})
    start = time.monotonic()
    told = document("--config", file, "--timeout", "1500ms")
    took = time.monotonic() - start
    assert 1.5 <= took < 9 * 1.5
    assert [one["address"] for one in told["upstreams"]] == hosts, "in the order of the configuration"
    assert [one["ok"] for one in told["upstreams"]] == [host == cluster.host for host in hosts]
    assert {one["error"] for one in told["upstreams"]} == {None, "timeout expired"}


def test_more_addresses_than_are_looked_at_at_once_are_all_looked_at(config_file, fake, pki):
    servers = [fake(accepting(server_context(pki.server))) for _ in range(40)]
    told = document("--config", config_file([server.host for server in servers]))
    assert told["ok"] and [one["address"] for one in told["upstreams"]] == [server.host for server in servers]


def test_a_terminal_is_told_how_far_it_is_and_nobody_else(config_file, cluster, silent):
    file = config_file([cluster.host, silent()])
    command = [programs.PGAIRLOCK, "check", "--config", str(file), "--timeout", "1s"]
    ours, theirs = os.openpty()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    process.communicate(timeout=60)
    said = b""
    try:
        while part := os.read(ours, 4096):
            said += part
    except OSError:
        pass
    os.close(ours)
    assert b"looked at 1 of 2 addresses" in said and said.endswith(b"\r\x1b[K")
    assert "looked at" not in pgairlock("check", "--config", file, "--timeout", "1s").stderr


@pytest.mark.parametrize("arguments, word", [
    (["--timeout", "soon"], '--timeout: "soon" is not a duration'), (["--watch", "0s"], '--watch: "0s" is not a duration'),
    (["--fail-on", "nonsense"], '--fail-on: "nonsense" is not one of alone, candidate'),
    (["--warn-days", "-1"], '--warn-days: "-1" is not a number from 0 to 36500'),
    (["--warn-days", "thirty"], '--warn-days: "thirty" is not a number from 0 to 36500'), (["--offline", "--watch", "1s"], "--offline"),
])
def test_options_that_make_no_sense_are_refused(arguments, word):
    done = pgairlock("check", "--upstream", "127.0.0.1:1", *arguments)
    assert done.returncode == 2 and word in done.stderr


@pytest.mark.parametrize("command", ["check", "run"])
def test_who_names_no_server_is_told_as_of_any_other_usage_error(command):
    done = pgairlock(command)
    assert done.returncode == 2
    assert done.stderr == (f"pgairlock {command}: no server is given: say --config FILE or --upstream HOST:PORT\n"
                           f'Try "pgairlock {command} --help" for more information.\n')


# --- Configuration errors as JSON


def test_configuration_errors_are_json_as_well(directory):
    file = directory / "broken.toml"
    file.write_text('[runtime]\nthread = 2\n[upstream.orders]\nhosts = []\n')
    done = pgairlock("check", "--json", "--config", file)
    assert done.returncode == 2
    told = json.loads(done.stdout)
    assert told["ok"] is False
    errors = {error["key"]: error for error in told["errors"]}
    assert errors["runtime.thread"]["file"] == str(file) and (errors["runtime.thread"]["line"], errors["runtime.thread"]["column"]) == (2, 1)
    assert 'did you mean "threads"' in errors["runtime.thread"]["message"]
    assert errors["upstream.orders.hosts"]["line"] == 4
    assert set(errors["upstream.orders.hosts"]) == {"file", "line", "column", "key", "message"}


def test_files_and_usage_that_are_wrong_are_json_as_well(directory, config_file, pki):
    (directory / "empty").touch()
    done = pgairlock("check", "--json", "--config", config_file(["127.0.0.1:1"], upstream={"sslrootcert": [str(directory / "empty")]}))
    error = json.loads(done.stdout)["errors"][0]
    assert done.returncode == 2 and error["key"] == "upstream.orders.sslrootcert" and error["line"] > 0
    done = pgairlock("check", "--json", "--fail-on", "candidate", "--upstream", "127.0.0.1:1", "--sslrootcert", pki.new.cert)
    assert done.returncode == 2 and "no upstream has" in json.loads(done.stdout)["errors"][0]["message"]


# --- What `run` would trip over


def runs_into(file, word) -> None:
    """`run` ends for the same reason."""
    done = pgairlock("run", "--config", file)
    assert done.returncode != 0 and word in done.stderr, done


def test_the_command_that_gives_a_pass_phrase_is_run_once(config_file, fake, pki, directory):
    """It may ask a hardware token; all connections show the certificate all the same."""
    person, key, runs = pki.leaf(pki.people, "cert_user"), directory / "person.key", directory / "runs"
    subprocess.run(["openssl", "pkcs8", "-topk8", "-passout", "pass:Phrase-5cd1", "-in", str(person.key), "-out", str(key)], check=True, capture_output=True)
    key.chmod(0o600)
    server = fake(accepting(server_context(pki.server, client_ca=pki.people.cert)))
    file = config_file([f"localhost:{server.port}"], upstream={
        "sslcert": str(person.cert), "sslkey": str(key), "ssl_passphrase_command": f"echo once >> {runs}; echo Phrase-5cd1"})
    one = next(one for one in document("--config", file)["upstreams"] if one["encrypted"])  # not [::1], if that is localhost too
    assert one["ok"] and one["without_sni"]["same"], one
    assert runs.read_text() == "once\n"
    # One for TLS without SNI, and both have shown it.
    assert [dict(part[0] for part in peer.client_subject["subject"])["commonName"] for peer in server.peers if peer.client_subject] == ["cert_user"] * 2


@pytest.mark.parametrize(("family", "held", "wanted"), [
    (socket.AF_INET6, "::", "127.0.0.1"), (socket.AF_INET6, "::", "0.0.0.0"), (socket.AF_INET, "127.0.0.1", "0.0.0.0"), (socket.AF_INET6, "::1", "[::]")])
def test_who_has_a_port_is_found_through_ipv6_and_on_one_of_all_addresses(config_file, cluster, family, held, wanted):
    with socket.create_server((held, 0), family=family, dualstack_ipv6=held == "::") as taken:
        address = f"{wanted}:{port_of(taken)}"
        file = config_file([cluster.host], listener={"listen": [address]})
        done = pgairlock("check", "--offline", "--config", file)
        assert done.returncode == 1
        assert re.search(rf"cannot listen on {re.escape(address)}: Address already in use, by \S+ \(process {os.getpid()}\)\n", done.stderr), done.stderr


def test_a_port_that_is_taken(config_file, cluster):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{port_of(taken)}"
        file = config_file([cluster.host], listener={"listen": [address]})
        comm = Path("/proc/self/comm").read_text().strip()
        runs_into(file, f"Address already in use, by {comm} (process {os.getpid()})")
        done = pgairlock("check", "--offline", "--config", file)
        assert done.returncode == 1
        assert re.search(rf"error: \S+pgairlock\.toml:\d+:\d+: listener\.listen: cannot listen on {address}: Address already in use, "
                         rf"by \S+ \(process {os.getpid()}\)\n", done.stderr)
        assert f"preflight error: listener.listen {address}\n" in done.stdout and "configuration is valid" not in done.stdout
        told = document("--config", file)
        assert not told["ok"] and told["upstreams"][0]["ok"], "what the servers show is looked at all the same"
        one = finding(told, "listener.listen")
        assert (one["ok"], one["level"], one["key"]) == (False, "error", "listener.listen") and one["line"] > 0
    # Nothing was left behind that listens.
    assert finding(document("--offline", "--config", file), "listener.listen")["ok"]
    assert pgairlock("check", "--offline", "--config", file).stdout.endswith("configuration is valid\n")


def test_an_address_that_is_not_of_this_host(config_file):
    file = config_file(["127.0.0.1:1"], listener={"listen": ["192.0.2.1:6432"]})
    runs_into(file, "Cannot assign requested address")
    done = pgairlock("check", "--offline", "--config", file)
    assert done.returncode == 1 and "cannot listen on 192.0.2.1:6432: Cannot assign requested address" in done.stderr


def test_a_unix_socket_on_which_somebody_else_listens(config_file, directory):
    path = directory / ".s.PGSQL.6432"
    file = config_file(["127.0.0.1:1"], listener={"listen": [f"unix:{path}"]})
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        runs_into(file, f"another process is listening there, by {Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})")
        done = pgairlock("check", "--offline", "--config", file)
        assert done.returncode == 1 and re.search(rf"another process is listening there, by \S+ \(process {os.getpid()}\)", done.stderr)
    # Left over: `run` removes it, `check` does not.
    assert pgairlock("check", "--offline", "--config", file).returncode == 0 and path.exists()


def test_http_and_console_that_would_not_be_there_are_warned_of(config_file, directory):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{port_of(taken)}"
        (directory / "file").touch()
        file = config_file(["127.0.0.1:1"], admin={"http": address, "console": f"unix:{directory}/file/console/.s.PGSQL.6434"})
        done = pgairlock("check", "--offline", "--config", file)
        assert done.returncode == 0, "run goes on without them"
        assert re.search(rf"warning: \S+: admin\.http: cannot listen on {address}: Address already in use", done.stderr)
        assert re.search(r"warning: \S+: admin\.console: cannot listen on unix:.*/file.*: Not a directory", done.stderr)
        told = document("--offline", "--config", file)
        assert finding(told, "admin.http")["level"] == finding(told, "admin.console")["level"] == "warning"
        assert {warning["key"] for warning in told["warnings"]} >= {"admin.http", "admin.console"}


def test_what_a_running_pgairlock_has_is_not_tried_and_that_is_said(start, cluster, directory):
    proxy = start()
    taken = proxy.config_file
    text = taken.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{proxy.port}"')
    taken.write_text(text)
    told = document("--config", taken)
    assert told["ok"], told
    one = finding(told, "listener.listen")
    assert (one["ok"], one["level"]) == (None, "skipped")
    assert "a pgairlock with this state directory is running (process " in one["message"]
    said = f"preflight skipped: listener.listen 127.0.0.1:{proxy.port}: not tried: a pgairlock with this state directory is running"
    assert said in check("--config", taken)[1]
    # Another state directory: its own pgairlock could not have that port.
    other = directory / "other.toml"
    other.write_text(text.replace(str(proxy.state_dir), str(directory / "other")))
    assert other.read_text() != text
    told = document("--config", other)
    assert finding(told, "listener.listen")["level"] == "error"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of another user")
def test_who_may_not_see_whether_one_runs_is_not_told_that_a_port_is_a_strangers(start, config_file, pki):
    proxy = start()
    file = proxy.config_file
    file.write_text(file.read_text().replace('"127.0.0.1:0"', f'"127.0.0.1:{proxy.port}"'))
    proxy.state_dir.chmod(0o700)
    pki.proxy.key.chmod(0o600)
    readable = file.with_name("readable.toml")
    readable.write_text(re.sub(r"(cert|key)_file = .*\n", "", file.read_text()).replace('"allow"', '"disable"'))
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", programs.PGAIRLOCK, "check", "--offline", "--json", "--config",
                           str(readable)], capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/", check=False)
    one = finding(json.loads(done.stdout), "listener.listen")
    assert (one["level"], done.returncode) == ("warning", 0), done
    assert "Whether that is the pgairlock with this state directory, this user may not see" in one["message"]


def test_check_writes_nothing(config_file, directory, pki):
    state = directory / "state"
    file = config_file(["127.0.0.1:1"], tls={"cert_file": None, "key_file": None}, log={"file": str(directory / "log")})
    pgairlock("check", "--offline", "--config", file)
    pgairlock("check", "--config", file)
    assert not state.exists() and not (directory / "log").exists()


def test_an_inventory_is_opened_and_neither_changed_nor_given_files_beside_it(start, config_file, directory, connect):
    proxy = start()
    connect(proxy).close()
    until(lambda: (proxy.state_dir / "inventory.db").exists(), what="the inventory")
    proxy.stop()
    before = {path.name: path.read_bytes() for path in proxy.state_dir.glob("inventory.db*")}
    file = config_file(["127.0.0.1:1"], runtime={"state_dir": str(proxy.state_dir)})
    assert finding(document("--offline", "--config", file), "audit.inventory")["ok"]
    assert {path.name: path.read_bytes() for path in proxy.state_dir.glob("inventory.db*")} == before
    # Its beginning is SQLite's, and what follows is not.
    broken = directory / "broken.db"
    sqlite3.connect(broken).executescript("CREATE TABLE clients (a); CREATE TABLE b (c);")
    data = bytearray(broken.read_bytes())
    data[100:4096] = os.urandom(3996)
    broken.write_bytes(data)
    one = finding(document("--offline", "--config", config_file(["127.0.0.1:1"], audit={"inventory": str(broken)})), "audit.inventory")
    assert one["level"] == "warning" and "cannot use" in one["message"]


def test_a_fleets_database_is_connected_to_unless_offline(config_file, cluster, pki):
    def told(url, *arguments):
        return finding(document("--config", config_file([cluster.host], audit={"inventory": url}), *arguments), "audit.inventory")
    url = f"postgresql://trust_user:Secret-of-the-fleet@127.0.0.1:{{}}/postgres?sslmode=verify-full&sslrootcert={pki.new.cert}"
    assert told(url.format(cluster.port))["ok"] is True
    assert told(url.format(cluster.port), "--offline")["level"] == "skipped"
    away = told(url.format(1))
    assert away["level"] == "warning" and "Connection refused" in away["message"]
    assert "Secret-of-the-fleet" not in json.dumps(away)


def test_a_fleets_database_that_never_answers_is_not_waited_for(config_file, cluster, silent):
    file = config_file([cluster.host], audit={"inventory": f"postgresql://u@{silent()}/f?sslmode=require"})
    start = time.monotonic()
    one = finding(document("--config", file, "--timeout", "1s"), "audit.inventory")
    assert one["level"] == "warning" and time.monotonic() - start < 30


def test_a_state_directory_below_a_file(config_file, directory):
    (directory / "file").touch()
    file = config_file(["127.0.0.1:1"], runtime={"state_dir": str(directory / "file/state")})
    done = pgairlock("check", "--offline", "--json", "--config", file)
    assert done.returncode == 2 and pgairlock("run", "--config", file).returncode == 2
    assert any("state directory" in error["message"] and "Not a directory" in error["message"] for error in json.loads(done.stdout)["errors"])


def test_flags_alone_ask_for_no_port(cluster, pki):
    """Whoever compares CA files runs no proxy here."""
    told = document("--upstream", cluster.host, "--sslrootcert", pki.new.cert)
    assert not [one for one in told["preflight"] if one["what"].startswith("listener")]


# --- Certificates that end soon


def ends(told: dict) -> list[tuple]:
    return [(one["subject"], one["what"], one["file"]) for one in told["ends_soon"]]


def test_warn_days_is_about_what_is_in_use_here_and_on_the_servers(config_file, fake, directory, pki):
    """A leaf and an intermediate of a server, our certificates, and the anchor and the candidate that its chain ends in: not their neighbours."""
    root = pki.authority("Test Ending Root", days=(-30, 25))
    neighbour = pki.authority("Test Ending Neighbour", days=(-30, 25))
    candidate = pki.authority("Test Lasting Root")
    intermediate = pki.authority("Test Ending Intermediate", issuer=root, days=(-30, 20))
    leaf = pki.leaf(intermediate, "server.ending", HERE, days=(-1, 10))
    shown = pki.leaf(pki.front, "proxy.ending", HERE, days=(-1, 5))
    own = pki.leaf(pki.people, "client.ending", days=(-1, 3))
    bundle, candidates = pki.bundle("ending.pem", root, neighbour), pki.bundle("lasting.pem", candidate, root)
    context = server_context(leaf)
    context.load_cert_chain(pki.bundle("ending-chain.crt", leaf, intermediate), leaf.key)
    server = fake(accepting(context))
    file = config_file([server.host], tls={"cert_file": str(shown.cert), "key_file": str(shown.key)}, upstream={
        "sslrootcert": [str(bundle)], "sslrootcert_candidate": [str(candidates)], "sslcert": str(own.cert), "sslkey": str(own.key)})
    expected = [
        ("CN=proxy.ending", "certificate of listener legacy", str(shown.cert)),
        ("CN=Test Ending Root", "anchor of upstream orders", str(bundle)),
        ("CN=client.ending", "client certificate of upstream orders", str(own.cert)),
        ("CN=Test Ending Root", "candidate anchor of upstream orders", str(candidates)),
        ("CN=server.ending", f"shown by {server.host}", None),
        ("CN=Test Ending Intermediate", f"intermediate sent by {server.host}", None),
    ]
    told = document("--config", file, "--warn-days", "30")
    assert sorted(ends(told), key=str) == sorted(expected, key=str)
    assert told["ok"] and told["fails_on"] == ["expiry"]
    told = document("--config", file, "--warn-days", "15")
    assert {subject for subject, _, _ in ends(told)} == {"CN=proxy.ending", "CN=client.ending", "CN=server.ending"}
    told = document("--config", file, "--warn-days", "1")
    assert told["ends_soon"] == told["fails_on"] == []
    code, text = check("--config", file, "--warn-days", "4")
    assert code == 1 and "fails on: --warn-days\n" in text
    assert re.search(rf"\nexpiring: CN=client\.ending, client certificate of upstream orders, of {own.cert}: ends in \d days?, on {own.not_after:%Y-%m-%d}T", text)
    # Without it, nothing is said of it.
    assert "ends_soon" not in document("--config", file)
    # What needs no server is told without one.
    assert {subject for subject, _, _ in ends(document("--offline", "--config", file, "--warn-days", "15"))} == {"CN=proxy.ending", "CN=client.ending"}


@pytest.mark.parametrize("days, word, counted", [((-20, -10), "has ended on ", "1 certificate, 1 expired\n"),
                                                 ((10, 20), "is not valid before ", "1 certificate, 0 expired, 1 not valid yet; ")])
def test_a_listener_whose_certificate_is_not_valid_now_is_not_ok_but_serves(config_file, run_proxy, pki, cluster, days, word, counted):
    """Clients that verify it cannot connect; those that do not are served."""
    shown = pki.leaf(pki.front, "proxy.untimely", HERE, days=days)
    tls = {"cert_file": str(shown.cert), "key_file": str(shown.key)}
    file = config_file([cluster.host], tls=tls)
    for arguments in ([], ["--offline"], ["--warn-days", "0"]):
        done = pgairlock("check", "--config", file, *arguments)
        assert done.returncode == 1
        assert f"preflight error: certificate of listener legacy {shown.cert}\n" in done.stdout
        assert f"certificates in {shown.cert}: {counted}" in done.stdout
        assert "certificates, keys and secrets" not in done.stdout and "configuration is valid" not in done.stdout
        told = [line for line in done.stderr.splitlines() if str(shown.cert) in line]
        assert len(told) == 1 and told[0].startswith(f"error: {file}:") and word in told[0], told
        assert "Clients that verify it cannot connect" in told[0]
        assert ("expiring: CN=proxy.untimely" in done.stdout) is ("--warn-days" in arguments)
    told = document("--config", file)
    assert not told["ok"] and all(one["ok"] for one in told["upstreams"])
    assert finding(told, "certificate of listener")["level"] == "error"
    proxy = run_proxy(configuration(pki, [cluster.host], tls=tls))
    proxy.wait_for_log(rf"warning.*certificate {re.escape(str(shown.cert))} (has expired|is not valid yet)")


def test_what_has_ended_is_not_said_to_end_soon(fake, pki):
    server = fake(accepting(server_context(pki.leaf(pki.new, "server.over", HERE, days=(-20, -10)))))
    code, text = check("--upstream", server.host, "--sslrootcert", pki.new.cert, "--warn-days", "0")
    assert code == 1 and f"expiring: CN=server.over, shown by {server.host}: has ended on " in text
