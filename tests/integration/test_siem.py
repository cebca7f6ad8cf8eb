"""docs/siem.md: its recipes, taken from the page, do on a real audit what the page says."""

import json
import os
import re
import shutil
import socket
import subprocess

import psycopg2
import pytest

from harness.programs import REPOSITORY
from harness.waiting import until

PAGE = (REPOSITORY / "docs/siem.md").read_text()
NASTY = 'quote" back\\slash \\u0041 \\.'

needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")


def recipes(section: str, language="bash") -> list[str]:
    text = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL).group(1)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def audit(start, connect):
    """A proxy that was stopped after logins in clear and by TLS, and one that was denied."""
    proxy = start()
    connect(proxy, "trust_user", sslmode="disable", application_name=NASTY).close()
    connect(proxy, "trust_user", sslmode="require").close()
    with pytest.raises(psycopg2.OperationalError):
        connect(proxy, "md5_user", sslmode="require", password="wrong")
    proxy.events("disconnected", 2)
    proxy.event("auth_failed")
    proxy.stop()
    return proxy


def run(recipe: str, proxy, **environment) -> str:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", recipe], cwd=proxy.state_dir, env={**os.environ, **environment},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr, (recipe, done.stdout, done.stderr)
    return done.stdout


@needs_jq
def test_jq_recipes(audit):
    (minutes,) = recipes("How much it is")
    assert sum(int(line.split()[0]) for line in run(minutes, audit).splitlines()) == len(audit.all_events())
    clear, failures, weak = recipes("jq")
    (line,) = run(clear, audit).splitlines()
    count, fields = line.split(maxsplit=1)
    assert (count, json.loads(fields)) == ("1", ["trust_user", "postgres", "127.0.0.1", NASTY])
    (line,) = run(failures, audit).splitlines()
    assert json.loads(line)[1:5] == ["auth_failed", "server_denied", "127.0.0.1", "md5_user"]
    header, *rows = run(weak, audit).splitlines()
    assert header == '"ts","usename","datname","client_addr","version","sslmode_max"'
    assert [row.split(",")[4] for row in rows] == ['"plain"'] and len(rows) == sum(bool(event.get("weak")) for event in audit.all_events())


def test_postgres_recipes(audit, cluster):
    fill, ask = recipes("PostgreSQL")
    cluster.sql("DROP TABLE IF EXISTS pgairlock_audit")
    environment = {"PGHOST": str(cluster.directory), "PGPORT": str(cluster.port), "PGUSER": "postgres", "PGDATABASE": "postgres"}
    run(fill, audit, **environment)
    assert run(ask, audit, **environment) == "trust_user|127.0.0.1|1\n"
    stored = [line for (line,) in cluster.sql("SELECT line FROM pgairlock_audit")]
    cluster.sql("DROP TABLE pgairlock_audit")
    assert stored == audit.all_events()


@needs_jq
def test_ecs_mapping(audit):
    (program,), (recipe,) = recipes("Elastic Common Schema", "jq"), recipes("Elastic Common Schema")
    (audit.state_dir / "ecs.jq").write_text(program)
    documents = [json.loads(line) for line in run(recipe, audit).splitlines()]
    events = audit.all_events()
    assert [(one["@timestamp"], one["event"]["action"]) for one in documents] == [(one["ts"], one["event"]) for one in events]
    assert not [one for one in documents if "null" in json.dumps(one)]
    by_action = {one["event"]["action"]: one for one in documents}
    connected = [one for one in documents if one["event"]["action"] == "connected"]
    assert [one["tls"]["established"] for one in connected] == [False, True]
    assert connected[0]["pgairlock"]["application_name"] == NASTY
    assert (connected[1]["tls"]["version"], connected[1]["tls"]["version_protocol"]) == ("1.3", "tls")
    assert connected[1]["source"]["ip"] == "127.0.0.1" and connected[1]["user"]["name"] == "trust_user"
    assert connected[1]["destination"]["port"] == int(events[1]["upstream_addr"].rsplit(":")[-1])
    assert by_action["auth_failed"]["event"]["outcome"] == "failure"
    assert by_action["disconnected"]["event"]["duration"] % 1000 == 0
    assert by_action["started"]["event"]["category"] == ["process"]


def test_ecs_mapping_knows_every_event():
    """Those whose names docs/audit.md has as headings."""
    (program,) = recipes("Elastic Common Schema", "jq")
    headings = re.findall(r"^### (.+)$", (REPOSITORY / "docs/audit.md").read_text(), re.MULTILINE)
    names = {name for heading in headings for name in heading.split(", ") if re.fullmatch("[a-z_]+", name)}
    assert "connected" in names and names <= set(re.findall(r"^  ([a-z_]+): +\{category", program, re.MULTILINE))


@needs_jq
def test_journal_recipe_picks_the_audit_out_of_the_log(start, connect, directory):
    proxy = start(audit={"file": "-"}, log={"level": "debug"})
    connect(proxy, "trust_user").close()
    until(lambda: '"disconnected"' in proxy.stdout())
    proxy.stop()
    (journal := directory / "bin").mkdir()
    (journal / "journalctl").write_text(f'#!/bin/sh\ntest "$*" = "-u pgairlock -o cat"\ncat "{proxy.directory}/stderr" "{proxy.directory}/stdout"\n')
    (journal / "journalctl").chmod(0o755)
    (recipe,) = recipes("journald and syslog")
    lines = [json.loads(line) for line in run(recipe, proxy, PATH=f"{journal}:{os.environ['PATH']}").splitlines()]
    assert lines == [json.loads(line) for line in proxy.stdout().splitlines()]


@pytest.mark.skipif(shutil.which("logger") is None, reason="logger is not installed")
def test_logger_cuts_no_line(audit):
    command = re.search(r"\| (logger .*)", PAGE).group(1)
    events, sent = audit.all_events(), []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(audit.directory / "log"))
        syslog.settimeout(60)
        logger = subprocess.Popen(f"{command} -u '{audit.directory}/log' < audit.jsonl", shell=True, cwd=audit.state_dir)
        for _ in events:
            message = syslog.recv(1 << 17).decode()
            sent.append(json.loads(message[message.index("{"):]))
        assert logger.wait(60) == 0
    assert sent == events
