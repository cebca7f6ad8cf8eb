"""Fixtures: one PKI and two clusters for the whole run; proxies, fake servers and raw clients for one test each.

Run with Debian's Python: `/usr/bin/python3 -m pytest tests/integration`, or `... tests/integration/test_audit.py -k sigusr1`.
PGAIRLOCK names another binary than build/proxy/pgairlock, such as one built with a sanitizer. As root or not.
"""

import os
import shutil
import tempfile
from pathlib import Path

import psycopg2
import pytest

from harness import programs, secrets
from harness.bounded import bounded
from harness.cluster import PASSWORDS, Cluster, make_template
from harness.config import configuration
from harness.fake_upstream import FakeUpstream, server_context
from harness.fleet import FleetDatabase
from harness.pki import Pki
from harness.proxy import Proxy
from harness.waiting import PATIENCE
from harness.wire import Client


def pytest_configure(config):
    """libpq must see no settings but the test's."""
    for name in [name for name in os.environ if name.startswith(("PG", "KRB5")) and name != "PGAIRLOCK"]:
        del os.environ[name]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the proxies' logs. After that its files go: those of a whole run are gigabytes to write and to remove."""
    report = (yield).get_result()
    for proxy in getattr(item, "proxies", ()):
        if report.failed:
            report.sections.append((f"log of {proxy.directory.name}", proxy.log()[-6000:]))
            report.sections.append((f"audit of {proxy.directory.name}", proxy.audit_text("replace")[-6000:]))
    if call.when == "teardown" and hasattr(item, "directory"):
        shutil.rmtree(item.directory, ignore_errors=True)


def pytest_terminal_summary(terminalreporter):
    """What tests measured: no verdict, but what people want to know. And which failed, for scripts/test."""
    if listed := os.environ.get("LIST_FAILED_IN"):
        failed = terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
        Path(listed).write_text("".join(f"{name}\n" for name in dict.fromkeys(report.nodeid for report in failed)))
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(value)


@pytest.fixture(scope="session")
def root():
    """Short, because of UNIX-domain sockets, and open to the user postgres, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="pgairlock-"))
    path.chmod(0o755)
    os.environ["HOME"] = str(path)  # no ~/.postgresql
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def pki(root):
    (root / "pki").mkdir()
    return Pki(root / "pki")


@pytest.fixture(scope="session")
def template(root):
    return make_template(root / "template")


@pytest.fixture(scope="session")
def cluster(root, template, pki):
    """TLS with a leaf of the new CA; client certificates of the people CA."""
    made = Cluster(root / "cluster", template, pki.server, pki.people.cert).start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def clear_cluster(root, template):
    """No TLS at all."""
    made = Cluster(root / "clear", template, None).start()
    yield made
    made.stop()


@pytest.fixture
def fleet_database(directory, template):
    """What `audit.inventory` of several proxies may name."""
    made = FleetDatabase(directory / "fleet", template)
    yield made
    made.cluster.stop()


@pytest.fixture(autouse=True)
def time_limit():
    with bounded(1200):
        yield


@pytest.fixture
def directory(root, request):
    path = request.node.directory = Path(tempfile.mkdtemp(dir=root))
    path.chmod(0o755)
    return path


@pytest.fixture
def run_proxy(directory, request):
    """Starts any number of proxies, stops them all, and checks the invariants of each."""
    proxies = request.node.proxies = []
    secrets.forget()

    def run(config=None, *, listeners=1, wait=True, **options) -> Proxy:
        proxy = Proxy(directory / f"proxy{len(proxies)}", config, **options)
        proxies.append(proxy)
        return proxy.wait_until_listening(listeners) if wait else proxy

    yield run
    try:
        for proxy in proxies:
            proxy.stop()
    finally:
        for proxy in proxies:
            proxy.kill()


@pytest.fixture
def start(run_proxy, pki, request):
    """A proxy before the TLS cluster, or before `hosts`; keyword arguments as in harness.config."""
    def start_proxy(hosts=None, *, listeners=1, **tables) -> Proxy:
        hosts = hosts or [request.getfixturevalue("cluster").host]
        return run_proxy(configuration(pki, hosts, **tables), listeners=listeners)
    return start_proxy


@pytest.fixture
def fake():
    """Fake servers by script."""
    servers = []

    def make(script) -> FakeUpstream:
        servers.append(FakeUpstream(script))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def server_tls(pki):
    """For scripts of fake servers: the certificate that `start` verifies."""
    return server_context(pki.server)


@pytest.fixture
def scram_role(cluster):
    """Makes a role that has to use SCRAM, by its password or SCRAM secret."""
    def make(password: str, name=None) -> str:
        name = name or f"role_{os.urandom(6).hex()}"
        quoted = '"%s"' % name.replace('"', '""')
        cluster.sql(f"DROP ROLE IF EXISTS {quoted}")
        cluster.sql(f"CREATE ROLE {quoted} LOGIN IN ROLE scram_users PASSWORD %s", password)
        secrets.tell_password(password)
        return name
    return make


@pytest.fixture
def client():
    """Raw clients, closed at the end of the test, before the proxies are."""
    clients = []

    def make(where, **options) -> Client:
        clients.append(Client(getattr(where, "address", where), **options))
        return clients[-1]

    yield make
    for made in clients:
        made.close()


@pytest.fixture
def connect():
    """psycopg2 connections, closed at the end of the test, before the proxies are."""
    connections = []

    def make(where, user="trust_user", *, sslmode="disable", dbname="postgres", **options):
        address = getattr(where, "address", where)
        host, port = address if isinstance(address, tuple) else (os.path.dirname(address), address.rpartition(".")[2])
        options = {"password": PASSWORDS.get(user), "host": host, **options}
        connection = psycopg2.connect(port=port, user=user, dbname=dbname, sslmode=sslmode, connect_timeout=PATIENCE,
                                      gssencmode="disable", **options)
        connection.autocommit = True
        connections.append(connection)
        return connection

    yield make
    for connection in connections:
        connection.close()


@pytest.fixture
def pg():
    """Runs one of PostgreSQL's client programs: pg("psql", proxy, "-c", "...", user="md5_user", sslmode="require")."""
    def run(program, where, *arguments, user="trust_user", sslmode="disable", dbname="postgres", host=None, sslrootcert="", **options):
        return programs.run([programs.postgres_bin() / program, *arguments],
                            env=client_environment(where, user, sslmode, dbname, host, sslrootcert), **options)
    return run


def client_environment(where, user, sslmode, dbname="postgres", host=None, sslrootcert="") -> dict[str, str]:
    address = getattr(where, "address", where)
    return {**os.environ, "PGHOST": host or address[0], "PGPORT": str(address[1]), "PGUSER": user, "PGDATABASE": dbname, "PGSSLMODE": sslmode,
            "PGSSLROOTCERT": str(sslrootcert), "PGPASSWORD": PASSWORDS.get(user, ""), "PGGSSENCMODE": "disable", "PGCONNECT_TIMEOUT": str(PATIENCE)}
