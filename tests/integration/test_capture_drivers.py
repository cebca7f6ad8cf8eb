"""Captures of each payload while drivers and PostgreSQL's own programs plant words: what is in the files, byte by byte."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2
import pytest

from harness import programs
from harness.capture import PACKET, kinds, tshark
from harness.cluster import PASSWORDS
from harness.programs import REPOSITORY
from harness.waiting import PATIENCE, until

PLANTING = REPOSITORY / "tests/drivers/planting"
PAYLOADS = ("headers", "redacted", "full")
JAR = Path("/usr/share/java/postgresql.jar")
NUMBER = b"plantnum"  # eight bytes of a bigint
WORDS = {name: f"planted-{name}-6f3a" for name in ("literal", "bind", "row", "copy", "role")}
ENVIRONMENT = {**{f"PLANT_{name.upper()}": word for name, word in WORDS.items()}, "PLANT_NUMBER": str(int.from_bytes(NUMBER, "big"))}

# A bridged login asks for a password behind an offer of SASL, and Wireshark takes it for an answer to the offer.
MALFORMED = '_ws.malformed and not pgsql.type == "SASLInitialResponse message"'


def node_modules() -> Path | None:
    """Made by `npm ci` of tests/drivers/node; tests/drivers/build-compiled does that."""
    given = os.environ.get("DRIVERS_NODE_MODULES")
    found = Path(given) if given else REPOSITORY / "build/drivers/node/node_modules"
    return found if (found / "pg").is_dir() else None


def python_has(module: str) -> bool:
    return subprocess.run(["/usr/bin/python3", "-c", f"import {module}"], capture_output=True).returncode == 0


class Captured:
    """A proxy with a capture of each payload, commanded through its console."""

    def __init__(self, proxy):
        self.proxy = proxy
        self.command(*(f"CAPTURE START (PAYLOAD {payload}) TO '{payload}.pcapng'" for payload in PAYLOADS))

    def command(self, *statements) -> None:
        connection = psycopg2.connect(host=os.path.dirname(self.proxy.console), port=6434, dbname="pgairlock", user="any")
        connection.autocommit = True
        for statement in statements:
            connection.cursor().execute(statement)
        connection.close()

    def environment(self, user) -> dict[str, str]:
        host, port = self.proxy.address
        return {**os.environ, **ENVIRONMENT, "PGHOST": host, "PGPORT": str(port), "PGUSER": user, "PGPASSWORD": PASSWORDS.get(user, ""),
                "PGDATABASE": "postgres", "PGSSLMODE": "require", "PGSSLROOTCERT": "", "PGGSSENCMODE": "disable"}

    def path(self, payload) -> Path:
        return self.proxy.state_dir / "captures" / f"{payload}.pcapng"

    def end(self) -> dict[str, bytes]:
        """The bytes of each file, when all sessions are over and written."""
        until(lambda: len(self.proxy.events("connected")) == len(self.proxy.events("disconnected")), what="the end of all sessions")
        sessions = [event["session"].encode() for event in self.proxy.events("connected")]

        def written(payload):
            text = self.path(payload).read_bytes()
            return all(text.count(b"PGAIRLOCK_SESSION=" + session + b"\n") >= 2 for session in sessions)
        for payload in PAYLOADS:
            until(lambda: written(payload), what=f"the last events in {payload}.pcapng")
        self.command("CAPTURE STOP")
        for event in self.proxy.events("capture_stopped", len(PAYLOADS)):
            assert event["dropped"] == 0 and event["sessions"] == len(sessions), event
        for payload in PAYLOADS:
            assert kinds(self.path(payload)).count(PACKET) > 10
            assert tshark(self.path(payload), "frame.number", filter=MALFORMED) == []
        return {payload: self.path(payload).read_bytes() for payload in PAYLOADS}


@pytest.fixture
def captured(start):
    return Captured(start())


def check(data, *said, user=None) -> None:
    """`said`: of the words, which were said at all."""
    number = str(int.from_bytes(NUMBER, "big")).encode()
    for payload in ("headers", "redacted"):
        there = [word for word in [*WORDS.values(), number.decode(), NUMBER.decode()] if word.encode() in data[payload]]
        assert there == [], f"in {payload}"
        assert b"framing lost" not in data[payload]
    for name in said:
        there = WORDS[name].encode() in data["full"] if name != "number" else number in data["full"] or NUMBER in data["full"]
        assert there, f"{name} is not in full: was it said?"
    assert WORDS["role"].encode() not in data["full"]
    for password in [PASSWORDS[user]] if user in PASSWORDS else []:
        assert all(password.encode() not in bytes_ for bytes_ in data.values())


DRIVERS = {
    "psycopg": (lambda _: ["/usr/bin/python3", PLANTING / "plant_psycopg.py"], lambda: python_has("psycopg"), "python3-psycopg"),
    "asyncpg": (lambda _: ["/usr/bin/python3", PLANTING / "plant_asyncpg.py"], lambda: python_has("asyncpg"), "python3-asyncpg"),
    "pgjdbc": (lambda directory: java(directory), lambda: shutil.which("javac") and JAR.exists(), "default-jdk-headless, libpostgresql-jdbc-java"),
    "node-postgres": (lambda directory: node(directory), lambda: shutil.which("node") and node_modules(), "node, and tests/drivers/build-compiled"),
}


def java(directory) -> list:
    programs.run(["javac", "-cp", JAR, "-d", directory, PLANTING / "Plant.java"])
    return ["java", "-cp", f"{directory}:{JAR}", "Plant"]


def node(directory) -> list:
    shutil.copy(PLANTING / "plant.mjs", directory)
    (directory / "node_modules").symlink_to(node_modules())
    return ["node", directory / "plant.mjs"]


@pytest.mark.parametrize("user", ["scram_user", "md5_user"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_drivers(captured, directory, driver, user):
    command, is_there, packages = DRIVERS[driver]
    if not is_there():
        pytest.skip(f"needs {packages}")
    programs.run(command(directory), env=captured.environment(user))
    said = {"literal", "bind", "number", "row", "copy"} - ({"copy"} if driver == "node-postgres" else set())
    check(captured.end(), *said, user=user)


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_pgbench(captured, directory, mode):
    script = directory / "script.sql"
    script.write_text(f"SELECT '{WORDS['literal']}';\nSELECT :bind::text, :number::bigint;\n"
                      f"SELECT concat('{WORDS['row'][:9]}', '{WORDS['row'][9:]}');\n")
    bind = f"'{WORDS['bind']}'" if mode == "simple" else WORDS["bind"]
    programs.run([programs.postgres_bin() / "pgbench", "-n", "-M", mode, "-c", "2", "-t", "5", "-D", f"bind={bind}",
                  "-D", f"number={ENVIRONMENT['PLANT_NUMBER']}", "-f", script], env=captured.environment("scram_user"))
    check(captured.end(), "literal", "bind", "number", "row", user="scram_user")


@pytest.fixture
def planted(cluster):
    """A table that holds the words."""
    cluster.sql("DROP TABLE IF EXISTS planted; CREATE TABLE planted (word text DEFAULT %s, number bigint)", WORDS["literal"])
    cluster.sql("INSERT INTO planted VALUES (%s, %s)", WORDS["row"], int(ENVIRONMENT["PLANT_NUMBER"]))
    cluster.sql("GRANT ALL ON planted TO PUBLIC")
    yield
    cluster.sql("DROP TABLE planted")


@pytest.mark.parametrize("inserts", [False, True])
def test_pg_dump(captured, planted, inserts):
    done = programs.run([programs.postgres_bin() / "pg_dump", "-t", "planted", *(["--inserts"] if inserts else [])],
                        env=captured.environment("scram_user"))
    assert WORDS["row"] in done.stdout and WORDS["literal"] in done.stdout
    check(captured.end(), "literal", "row", "number", user="scram_user")


@pytest.mark.parametrize("plugin", ["test_decoding", "pgoutput"])
def test_pg_recvlogical(captured, planted, cluster, directory, plugin):
    """CopyBoth: what it says is rows."""
    out = directory / "changes"
    cluster.sql("SELECT pg_create_logical_replication_slot('planted', %s)", plugin)
    cluster.sql("CREATE PUBLICATION planted FOR TABLE planted")
    options = ["-o", "proto_version=1", "-o", "publication_names=planted"] if plugin == "pgoutput" else []
    process = subprocess.Popen(programs.with_death_signal([
        programs.postgres_bin() / "pg_recvlogical", "-d", "postgres", "-S", "planted", "--start", "-n", "-F", "1", "-f", out, *options]),
        env=captured.environment("repl_user"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        cluster.sql("INSERT INTO planted VALUES (%s, %s)", WORDS["copy"], int(ENVIRONMENT["PLANT_NUMBER"]))
        until(lambda: out.exists() and WORDS["copy"].encode() in out.read_bytes(), what="a change")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0, process.stderr.read()
        check(captured.end(), "copy", "number")
    finally:
        process.kill()
        process.communicate()
        until(lambda: not cluster.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'planted' AND active"), what="the slot's end")
        cluster.sql("SELECT pg_drop_replication_slot('planted')")
        cluster.sql("DROP PUBLICATION planted")
