"""`pgairlock-bench connect` against a real server and through the proxy: what it counts, what it says, how it exits."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness import programs
from harness.cluster import PASSWORDS, WRONG_PASSWORD
from harness.waiting import PATIENCE, until

BENCH = Path(programs.PGAIRLOCK).parents[1] / "bench/pgairlock-bench"
pytestmark = pytest.mark.skipif(programs.sanitized(), reason="the sanitizers' builds are of the proxy")


def bench(*arguments, password=None, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    return programs.run([BENCH, "connect", *arguments], check=False, env=environment, **options)


def conninfo(name, where, user="trust_user", **settings) -> str:
    host, port = getattr(where, "address", where)
    settings = {"host": host, "port": port, "user": user, "dbname": "postgres", "sslmode": "disable", **settings}
    return f"{name}=" + " ".join(f"{key}='{value}'" for key, value in settings.items())


def report(*arguments, count=10, **options) -> dict:
    """The JSON of a run without failures that made `count` connections to each target."""
    done = bench(*arguments, "--connections", count, "--repetitions", "1", "--format", "json", **options)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    for target in document["targets"]:
        assert (target["connections"], target["failed"], target["errors"]) == (count, 0, []), target
    return document


def phases(target) -> list[str]:
    return list(target["phases"])


def backends_of(cluster, application_name) -> int:
    return cluster.log_file.read_text(errors="replace").count(f"application_name={application_name}")


PLAIN = ["tcp", "startup", "authentication", "total", "query", "close", "overall"]
DIRECT_TLS = ["tcp", "tls", *PLAIN[1:]]
TLS = ["tcp", "sslrequest", *DIRECT_TLS[1:]]


# --- Connections of each kind

def test_clear_connections_to_the_server(cluster):
    target, = report(conninfo("direct", cluster))["targets"]
    assert phases(target) == PLAIN
    assert target["tls"] is None
    assert target["roots_loaded"] == "never"
    assert all(phase["count"] == 10 for phase in target["phases"].values())


def test_verified_connections_to_the_server(cluster, pki):
    target, = report(conninfo("direct", cluster, sslmode="verify-full", sslrootcert=pki.new.cert))["targets"]
    assert phases(target) == TLS
    assert target["tls"]["version"] == "TLSv1.3"
    assert (target["tls"]["key_type"], target["tls"]["key_bits"]) == ("EC", 256)
    assert target["roots_loaded"] == "once"


@pytest.mark.parametrize("user", ["md5_user", "password_user", "scram_user"])
def test_passwords(cluster, user):
    report(conninfo("quoted", cluster, user, password=PASSWORDS[user]), count=2)
    report(conninfo("environment", cluster, user), count=2, password=PASSWORDS[user])


def test_a_unix_domain_socket(cluster):
    target, = report(conninfo("local", (cluster.directory, cluster.port), sslmode="verify-full"), count=2)["targets"]
    assert phases(target) == PLAIN
    assert target["tls"] is None


def test_through_the_proxy(cluster, start, pki):
    proxy = start()
    document = report(conninfo("direct", cluster, sslmode="verify-full", sslrootcert=pki.new.cert),
                      conninfo("plain", proxy),
                      conninfo("tls", proxy, sslmode="verify-full", sslrootcert=pki.front.cert),
                      conninfo("tls_now", proxy, sslmode="verify-full", sslrootcert=pki.front.cert, sslnegotiation="direct"),
                      "--clients", "3", count=9)
    assert [phases(target) for target in document["targets"]] == [TLS, PLAIN, TLS, DIRECT_TLS]
    # One to try each target out, which is not measured.
    assert len(proxy.events("connected", 30)) == 30
    assert {event["negotiation"] for event in proxy.events("connected")} == {"plain", "sslrequest", "direct"}


@pytest.mark.parametrize("user", ["md5_user", "scram_user"])
@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_passwords_through_the_proxy(start, user, sslmode):
    report(conninfo("proxy", start(), user, sslmode=sslmode), count=3, password=PASSWORDS[user])


def test_the_sum_of_the_phases_is_the_total(cluster, pki):
    target, = report(conninfo("direct", cluster, sslmode="require"), count=20)["targets"]
    mean = {name: phase["mean_us"] for name, phase in target["phases"].items()}
    parts = sum(mean[name] for name in ("tcp", "sslrequest", "tls", "startup", "authentication"))
    assert parts == pytest.approx(mean["total"], rel=0.2)
    assert parts <= mean["total"] + 1
    assert mean["total"] + mean["query"] + mean["close"] <= mean["overall"] + 1


# --- What it does

def test_connections_are_those_that_the_server_saw(cluster):
    report(conninfo("direct", cluster, application_name="counted"), count=17)
    assert backends_of(cluster, "counted") == 18  # one to try the target out


def test_no_query(cluster):
    target, = report(conninfo("direct", cluster), "--query", "")["targets"]
    assert "query" not in target["phases"]


def test_the_query_is_that_of_the_user(cluster):
    target, = report(conninfo("direct", cluster), "--query", "SELECT pg_sleep(0.05)", count=2)["targets"]
    assert target["phases"]["query"]["min_us"] >= 50_000


def test_repetitions_alternate_and_are_compared(cluster, start):
    done = bench(conninfo("a", cluster), conninfo("b", start()), "--duration", "100ms", "--repetitions", "3", "--progress", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\d)/3 (\w):", done.stderr, re.MULTILINE) == [("1", "a"), ("1", "b"), ("2", "b"), ("2", "a"), ("3", "a"), ("3", "b")]
    first, second = json.loads(done.stdout)["targets"]
    assert "p50_ratios" not in first
    ratio = second["p50_ratios"]["total"]
    ratios = sorted(b["p50_us"]["total"] / a["p50_us"]["total"] for a, b in zip(first["repetitions"], second["repetitions"]))
    assert [ratio["min"], ratio["median"], ratio["max"]] == pytest.approx(ratios, rel=0.01)
    assert sum(repetition["connections"] for repetition in first["repetitions"]) == first["connections"]


def test_a_fixed_rate(cluster):
    done = bench(conninfo("direct", cluster), "--rate", "20", "--duration", "1s", "--repetitions", "1", "--format", "json")
    target, = json.loads(done.stdout)["targets"]
    assert done.returncode == 0
    assert target["connections"] + target["unstarted"] == 20
    assert target["seconds"] >= 0.9


def test_at_a_fixed_rate_waiting_for_a_client_counts(cluster):
    """One client, connections of 50 ms, due every 10 ms: the last of 20 has waited for about 800 ms."""
    done = bench(conninfo("direct", cluster), "--rate", "100", "--connections", "20", "--clients", "1", "--repetitions", "1",
                 "--query", "SELECT pg_sleep(0.05)", "--format", "json")
    target, = json.loads(done.stdout)["targets"]
    assert target["phases"]["overall"]["max_us"] > 700_000
    assert target["phases"]["total"]["max_us"] > 600_000
    assert target["phases"]["tcp"]["p50_us"] < target["phases"]["overall"]["p50_us"] / 2


def test_threads(cluster):
    report(conninfo("direct", cluster), "--threads", "3", "--clients", "7", count=40)


def test_libpq_reads_the_roots_for_every_connection(cluster, pki):
    target, = report(conninfo("direct", cluster, sslmode="verify-full", sslrootcert=pki.new.cert), "--libpq", "--clients", "2")["targets"]
    assert phases(target) == ["total", "query", "close", "overall"]
    assert target["roots_loaded"] == "per connection"
    assert target["tls"]["key_type"] == "EC"


def test_sigint_ends_the_measurement_with_a_report(cluster):
    process = subprocess.Popen(programs.with_death_signal([str(BENCH), "connect", conninfo("direct", cluster, application_name="interrupted"),
                                                           "--duration", "1h", "--format", "json"]), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    until(lambda: backends_of(cluster, "interrupted") > 20, what="connections")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    document = json.loads(out)
    assert document["interrupted"] is True
    assert document["targets"][0]["connections"] > 0


# --- Failures

def errors_of(done) -> dict[str, list]:
    assert done.returncode == 1, done.stdout + done.stderr
    return {target["name"]: [error["error"] for error in target["errors"]] for target in json.loads(done.stdout)["targets"]}


def test_a_wrong_password_is_told_with_its_sqlstate(cluster, start):
    done = bench(conninfo("direct", cluster, "scram_user"), conninfo("proxy", start(), "scram_user"), "--format", "json", password=WRONG_PASSWORD)
    message = 'authentication: FATAL 28P01: password authentication failed for user "scram_user"'
    assert errors_of(done) == {"direct": [message], "proxy": [message]}
    assert WRONG_PASSWORD not in done.stdout + done.stderr


def test_a_missing_password_is_told(cluster):
    error, = errors_of(bench(conninfo("direct", cluster, "scram_user"), "--format", "json"))["direct"]
    assert "PGPASSWORD" in error


def test_a_server_that_is_not_verified(cluster, pki):
    other = conninfo("other_ca", cluster, sslmode="verify-ca", sslrootcert=pki.old.cert)
    name = conninfo("other_name", cluster, sslmode="verify-full", sslrootcert=pki.new.cert, host="db.example", hostaddr="127.0.0.1")
    errors = errors_of(bench(other, name, "--format", "json"))
    assert errors["other_ca"][0].startswith("tls: certificate verify failed: ")
    assert errors["other_name"] == ["tls: certificate verify failed: hostname mismatch"]


def test_a_server_without_tls(clear_cluster):
    done = bench(conninfo("direct", clear_cluster, sslmode="require"), "--format", "json")
    assert errors_of(done)["direct"] == ["sslrequest: server does not support TLS, but sslmode=require requires it"]


def test_nobody_listens():
    done = bench(conninfo("direct", ("127.0.0.1", 1)), "--format", "json")
    assert errors_of(done)["direct"] == ["tcp: 127.0.0.1:1: Connection refused"]


def test_a_failing_query(cluster):
    error, = errors_of(bench(conninfo("direct", cluster), "--query", "SELECT 1/0", "--format", "json"))["direct"]
    assert error == "query: ERROR 22012: division by zero"


def test_one_bad_target_does_not_keep_the_others_from_being_measured(cluster):
    done = bench(conninfo("bad", ("127.0.0.1", 1)), conninfo("good", cluster), "--connections", "3", "--repetitions", "2", "--format", "json")
    assert done.returncode == 1
    bad, good = json.loads(done.stdout)["targets"]
    assert (bad["connections"], bad["failed"], good["connections"], good["failed"]) == (0, 1, 6, 0)


def test_failures_in_the_middle_are_counted(cluster, scram_role):
    """A role that may have two connections, and five clients."""
    role = scram_role("Secret-limited-8812")
    cluster.sql(f'ALTER ROLE "{role}" CONNECTION LIMIT 2')
    done = bench(conninfo("direct", cluster, role), "--clients", "5", "--connections", "20", "--repetitions", "1",
                 "--query", "SELECT pg_sleep(0.3)", "--format", "json", password="Secret-limited-8812")
    assert any("53300" in error for error in errors_of(done)["direct"])
    target, = json.loads(done.stdout)["targets"]
    assert target["connections"] + target["failed"] == 20


@pytest.mark.parametrize("arguments, said", [
    ([], "targets is required"),
    (["host=127.0.0.1"], "a target is NAME=CONNINFO"),
    (["a=host=h user=u sslmode=prefer"], "say disable, require, verify-ca or verify-full"),
    (["a=host=h user=u", "a=host=i user=u"], 'two targets are named "a"'),
    (["a=host=h user=u sslrootcert=/nonexistent.pem"], "/nonexistent.pem"),
    (["a=host=127.0.0.1 user=u sslmode=disable", "--duration", "5"], "expected a whole number and ms, s, m, h or d"),
    (["a=host=127.0.0.1 user=u sslmode=disable", "--duration", "5s", "--connections", "5"], "--duration and --connections cannot be given together"),
    (["a=host=127.0.0.1 user=u sslmode=disable", "--rate", "0"], "--rate"),
    (["a=host=127.0.0.1 user=u sslmode=disable", "--format", "xml"], "--format"),
    (["a=host=127.0.0.1 user=u sslmode=disable", "--output", "/nonexistent/file"], "--output /nonexistent/file: cannot be written"),
])
def test_usage_errors(arguments, said):
    done = bench(*arguments)
    assert done.returncode == 2
    assert said.lower() in done.stderr.lower()
    assert done.stdout == ""


@pytest.mark.parametrize("line, said", [
    ("conect", 'pgairlock-bench: unknown command "conect"; did you mean "connect"?'),
    ("connect a=host=x --lipq", "pgairlock-bench connect: unknown option --lipq; did you mean --libpq?"),
    ("connect a=host=x --clients x", 'pgairlock-bench connect: --clients: "x" is not a number from 1 to 10000'),
    ("relay a=host=x --workload pig", 'pgairlock-bench relay: --workload: "pig" is not one of copy-out, copy-in, ping, idle, busy-among-idle; did you mean "ping"?'),
    ("serve --cert-file x", "pgairlock-bench serve: --cert-file needs --key-file as well"),
])
def test_a_wrong_command_line_is_told_as_by_pgairlock(line, said):
    done = programs.run([BENCH, *line.split()], check=False)
    asked = said.split(":")[0]
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f'{said}\nTry "{asked} --help" for more information.\n'


def test_defaults_for_all_targets(cluster, pki):
    host, port = cluster.address
    target, = report(f"direct=host={host} port={port}", "--user", "trust_user", "--dbname", "postgres", "--sslmode", "verify-full",
                     "--sslrootcert", pki.new.cert, count=2)["targets"]
    assert target["sslmode"] == "verify-full"


# --- Formats

VOID = {"meta"}


class Checker(HTMLParser):
    """Every element is closed, and nothing is fetched."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], [], ""

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        assert not {"src", "href", "onload", "style"} & {name for name, _ in attrs}, (tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html(cluster, start, directory):
    path = directory / "report.html"
    done = bench(conninfo("direct", cluster), conninfo("proxy", start()), "--connections", "20", "--query", "SELECT '<script>&\"'",
                 "--format", "html", "--output", path)
    assert (done.returncode, done.stdout) == (0, "")
    text = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert "script" not in checker.seen
    assert "SELECT '<script>&\"'" in checker.text
    assert checker.seen.count("svg") == 2
    assert checker.seen.count("table") == 2
    assert "http" not in text.replace("http-equiv", "")


def test_csv(cluster, start):
    done = bench(conninfo("direct", cluster), conninfo("proxy", start()), "--connections", "5", "--repetitions", "2", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["target"], row["phase"]) for row in rows] == [(name, phase) for name in ("direct", "proxy") for phase in PLAIN]
    assert {row["count"] for row in rows} == {"10"}
    assert all(float(row["p50_us"]) <= float(row["max_us"]) for row in rows)
    assert all(bool(row["p50_ratio"]) == (row["target"] == "proxy") for row in rows)


def test_table(cluster, start):
    done = bench(conninfo("direct", cluster), conninfo("proxy", start()), "--connections", "5")
    assert max(map(len, done.stdout.split("\n"))) <= 120
    assert re.search(r"^total( +[\d.]+){6} +[\d.]+ \([\d.]+ to [\d.]+\)$", done.stdout, re.MULTILINE)
    assert done.stderr == ""  # no progress where there is no terminal


def test_progress_on_a_terminal(cluster):
    ours, theirs = pty.openpty()
    done = subprocess.run([str(BENCH), "connect", conninfo("direct", cluster), "--connections", "2", "--repetitions", "1"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, timeout=PATIENCE, check=False)
    os.close(theirs)
    assert done.returncode == 0
    assert b"1/1 direct: 2 connections" in os.read(ours, 4096)
    os.close(ours)


def test_help_and_version():
    text = programs.run([BENCH, "connect", "--help"]).stdout
    assert "Examples:" in text and "Exit: 0" in text
    assert re.fullmatch(r"pgairlock-bench \d+\.\d+\.\d+\n", programs.run([BENCH, "--version"]).stdout)
