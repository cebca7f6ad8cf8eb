"""`capture read`: files that were written by hand, and real conversations that were recorded."""

import json
import os
import signal
import subprocess

import pytest

from harness import messages, programs
from harness.capture import tshark_program
from harness.cluster import PASSWORDS
from harness.pcapng_file import CLIENT, SERVER, CaptureFile, Conversation
from harness.programs import PGAIRLOCK, pgairlock
from harness.recorder import Recorder
from harness.waiting import PATIENCE, until

START = 1_772_330_400_000_000_000  # 2026-03-01T02:00:00Z
MS = 1_000_000
ROW = messages.message(b"D", b"\0\1\0\0\0\1x")
READY = messages.READY_FOR_QUERY
FACTS = {"user": "app", "database": "orders", "client_addr": "10.0.0.7", "ssl": "true", "version": "TLSv1.3",
         "sslmode": "require..verify-full", "verifies": "unknown"}


def complete(tag: str) -> bytes:
    return messages.message(b"C", tag.encode() + b"\0")


def read(*arguments, **options) -> subprocess.CompletedProcess:
    return pgairlock("capture", "read", *arguments, **options)


def read_json(*arguments) -> dict:
    done = read("--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def capture(directory):
    files = []

    def make(name="capture-20260301T020000Z-1.pcapng", **options) -> CaptureFile:
        files.append(CaptureFile(directory / name, **options))
        return files[-1]

    yield make
    for file in files:
        file.close()


@pytest.fixture
def recorder(cluster):
    made = Recorder(cluster.address)
    yield made
    made.close()


def logged_in(file, time=START, **options) -> Conversation:
    talk = Conversation(file, **{"session": "ab-1", **FACTS, **options}).open(time)
    talk.say(time + MS, CLIENT, messages.startup("app", "orders"))
    return talk.say(time + 2 * MS, SERVER, messages.AUTHENTICATION_OK + READY)


def asks(talk, time, sql, answer, took=MS) -> None:
    talk.say(time, CLIENT, messages.query(sql)).say(time + took, SERVER, answer + READY)


def statements(session) -> list[dict]:
    return [entry for entry in session["statements"] if entry["kind"] not in ("gap", "found")]


def test_a_session_is_told_from_its_comment_to_its_last_event(capture):
    with capture(comments=["capture 1 by uid 0; payload=redacted"]) as file:
        talk = logged_in(file, application_name="nightly job")
        asks(talk, START + 10 * MS, "select *\n from t", ROW * 3 + complete("SELECT 3"), took=1500 * MS)
        asks(talk, START + 2000 * MS, "selec", messages.error_response("42601", "syntax error", "ERROR"))
        talk.say(START + 3000 * MS, CLIENT, messages.TERMINATE).close(START + 3001 * MS)
        file.event(START + 3002 * MS, event="disconnected", session="ab-1", usename="app", datname="orders", ssl=True,
                   reason="client_closed", sqlstate=None)
        file.statistics(START + 3003 * MS, dropped=0)
    done = read(file.path)
    assert done.returncode == 0 and not done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == ["What is missing here:", "  - payload is redacted: literals in SQL, values, rows and COPY's data are blanked (*)", "",
                         '2026-03-01T02:00:00.000000Z  ab-1  app@orders  "nightly job"  from 10.0.0.7 port 40001  at orders']
    assert lines[4:6] == ["  TLSv1.3, sslmode require..verify-full, verifies: unknown", "  login by trust accepted after 1.00 ms"]
    assert "    02:00:00.010     1.50 s  SELECT 3                select * from t" in lines
    assert "    02:00:02.000    1.00 ms  ERROR 42601             selec" in lines
    assert "the client took its leave after 3.00 s, reason client_closed" in done.stdout

    report = read_json(file.path)
    (session,) = report["sessions"]
    assert (session["usename"], session["ssl"], session["sslmode_max"], session["login"]) == ("app", True, "verify-full", "accepted")
    first, second = session["statements"]
    assert (first["duration_us"], first["rows"], first["tags"], first["first_row_us"]) == (1_500_000, 3, ["SELECT 3"], 1_500_000)
    assert (second["outcome"], second["error"]["sqlstate"], second["error"]["message"]) == ("failed", "42601", "syntax error")
    assert report["summary"]["slowest"][0]["text"] == "select *\n from t"
    assert report["summary"]["statements"]["errors"]["42601"] == {"count": 1, "example": "syntax error"}


def test_why_handshakes_and_logins_failed_is_said_in_words(capture):
    with capture() as file:
        records = Conversation(file, mapped=True, client=("10.0.0.8", 5001), session="ab-2", client_addr="10.0.0.8").open(START)
        records.say(START, CLIENT, messages.SSL_REQUEST).say(START, SERVER, b"S").say(START, CLIENT, b"\x16\x03\x01 hello")
        records.say(START + MS, CLIENT, b"\x15\x03\x03\0\2\2\x30", comments=["alert unknown_ca (48)"]).close(START + MS)
        file.event(START + 2 * MS, event="tls_failed", session="ab-2", client_addr="10.0.0.8", client_port=5001, alert=48,
                   certificate_shown="/etc/server.crt", negotiation="sslrequest", sslmode_min="verify-ca", sslmode_max="verify-full",
                   verifies="yes", error="alert unknown_ca (48)", reason="tls_abandoned")
        login = Conversation(file, client=("10.0.0.9", 5002), session="ab-3", **{**FACTS, "client_addr": "10.0.0.9"}).open(START)
        login.say(START, CLIENT, messages.startup("app", "orders")).say(START, SERVER, messages.authentication(messages.MD5, b"salt"))
        login.say(START, CLIENT, messages.password("md5*")).say(START, SERVER, messages.error_response("28P01", 'for user "app"')).close(START)
        file.event(START + 3 * MS, event="upstream_failed", session="ab-4", client_addr="10.0.0.10", client_port=5003, usename="app",
                   datname="orders", ssl=False, error="certificate verify failed", verify_error="certificate has expired",
                   sqlstate="57P03", reason="server_certificate_rejected")
    report = read_json(file.path)
    by_name = {session["session"]: session for session in report["sessions"]}
    assert set(by_name) == {"ab-2", "ab-3", "ab-4"}
    assert by_name["ab-2"]["failures"][0]["words"] == "the client does not trust the CA of the certificate that it was shown"
    assert by_name["ab-2"]["opening"] == "tls_records" and by_name["ab-2"]["notes"] == ["alert unknown_ca (48)"]
    assert by_name["ab-3"]["failures"][0]["words"] == "wrong password, no such user, or expired" and by_name["ab-3"]["auth_method"] == "md5"
    assert by_name["ab-4"]["failures"][0]["words"].startswith("the server's certificate was refused: certificate has expired")
    assert report["summary"]["all"] == {"connections": 3, "tls": 1, "plain": 1, "tls_failed": 1, "login_failed": 1, "rejected": 0,
                                        "upstream_failed": 1, "server_certificate_refused": 1, "server_tls_failed": 0, "cancels": 0}
    assert by_name["ab-2"]["end"] == "the client aborted the TLS handshake"
    text = read(file.path).stdout
    assert "FAILED (tls_failed): the client does not trust the CA" in text and "FAILED (auth_failed, SQLSTATE 28P01)" in text


def test_a_rotation_is_compared_before_and_since(capture):
    moment = START + 60_000 * MS
    with capture() as file:
        for number, (at, fails) in enumerate([(START, False), (START + MS, False), (moment, True), (moment + MS, True)], 1):
            if fails:
                file.event(at, event="tls_failed", session=f"ab-{number}", client_addr="10.0.0.7", client_port=number, alert=46,
                           error="alert certificate_unknown (46)", reason="tls_abandoned")
            else:
                logged_in(file, at, session=f"ab-{number}", client=("10.0.0.7", number)).close(at + 3 * MS)
        healthy = {**FACTS, "client_addr": "10.0.0.9"}
        for number, at in ((8, START), (9, moment)):
            logged_in(file, at, client=("10.0.0.9", number), **{**healthy, "session": f"ab-{number}"}).close(at + 3 * MS)
    summary = read_json("--compare-at", "2026-03-01T02:01:00Z", file.path)["summary"]
    clients = {client["client_addr"]: client for client in summary["clients"]}
    broken, whole = clients["10.0.0.7"], clients["10.0.0.9"]
    assert broken["fails_since"] and (broken["before"]["tls"], broken["since"]["tls"], broken["since"]["tls_failed"]) == (2, 0, 2)
    assert not whole["fails_since"] and (whole["before"]["tls"], whole["since"]["tls"]) == (1, 1)
    text = read("--compare-at", "2026-03-01T02:01:00Z", file.path).stdout
    assert "Clients, before > since 2026-03-01T02:01:00.000000Z" in text
    assert "10.0.0.7 app connected before and only fails since: the client refused the certificate" in text


def test_captures_that_ran_side_by_side_are_told_once_from_the_one_that_tells_most(capture):
    files = []
    for number, payload in ((1, "headers"), (2, "redacted")):
        with capture(f"capture-20260301T02000{number}Z-1.pcapng", comments=[f"capture {number} by uid 0; payload={payload}"]) as file:
            talk = logged_in(file)
            asks(talk, START + 10 * MS, "select 1" if payload == "redacted" else "********", ROW + complete("SELECT 1"))
            talk.close(START + 20 * MS)
            file.statistics(START + 30 * MS, dropped=0)
            files.append(file.path)
    for order in (files, files[::-1]):
        report = read_json(*order)
        (session,) = report["sessions"]
        assert [entry["text"] for entry in session["statements"]] == ["select 1"]
        assert report["summary"]["all"]["connections"] == 1
        assert report["incomplete"][0].startswith("these are files of 2 captures (2, payload redacted; 1, payload headers)")


def test_what_is_missing_is_said_first(capture):
    with capture("capture-20260301T020000Z-3.pcapng") as file:
        talk = logged_in(file)
        talk.say(START + 10 * MS, CLIENT, messages.query("select big")).say(START + 11 * MS, SERVER, ROW).skip(SERVER, 1234)
        talk.say(START + 12 * MS, SERVER, ROW[5:] + complete("SELECT 9") + READY, dropped=2)
        asks(talk, START + 20 * MS, "select 2", ROW + complete("SELECT 1"))
        asks(talk, START + 30 * MS, "select 3", ROW + complete("SELECT 1"))
        older = Conversation(file, client=("10.0.0.9", 99)).skip(CLIENT, 5000).skip(SERVER, 5000)
        older.say(START + 40 * MS, SERVER, b"the end of a row" + READY)
        asks(older, START + 50 * MS, "select 4", ROW + complete("SELECT 1"))
        file.statistics(START + 60 * MS, dropped=2)
        file.write(b"\6\0\0\0\x80\0\0\0half a block")
    report = read_json(file.path)
    first, second = report["sessions"]
    assert [(entry["text"], entry["outcome"]) for entry in statements(first)] == \
        [("select big", "unanswered"), ("select 2", "completed"), ("select 3", "completed")]
    assert [entry["kind"] for entry in first["statements"]] == ["gap", "query", "found", "query", "query"]
    assert (second["opening"], second["login"]) == ("established", "not_captured")
    assert [entry["text"] for entry in statements(second)] == ["select 4"]
    incomplete = "\n".join(report["incomplete"])
    for said in ("is cut off at its end", "files 1 to 2 of ", "2 packets found no room and were dropped (orders client leg)",
                 "1234 bytes of 1 session are not in the capture", "1 session began before", "2 sessions had not ended",
                 "cannot be read: where the next message begins is not known"):
        assert said in incomplete
    text = read(file.path).stdout
    assert text.startswith("What is missing here:\n") and "-- 1234 bytes of the server missing here" in text


def test_files_of_a_ring_go_on_with_each_other_in_the_order_of_time(capture):
    first, second = capture("capture-20260301T020000Z-9.pcapng"), capture("capture-20260301T020000Z-10.pcapng")
    talk = logged_in(first)
    talk.say(START + 10 * MS, CLIENT, messages.query("select 1")[:7])
    talk.file = second
    talk.say(START + 20 * MS, CLIENT, messages.query("select 1")[7:]).say(START + 21 * MS, SERVER, complete("SELECT 1") + READY)
    talk.close(START + 30 * MS)
    for order in ((first, second), (second, first), (first, second, second, first)):
        report = read_json(*[file.path for file in order])
        (session,) = report["sessions"]
        assert [entry["text"] for entry in session["statements"]] == ["select 1"]
        assert session["missing_from_client"] == session["unreadable"] == 0
    assert "8 of" in report["incomplete"][0]


def test_only_what_was_asked_for_is_shown(capture):
    with capture() as file:
        for number, user in ((1, "app"), (2, "other")):
            facts = {**FACTS, "user": user, "client_addr": f"10.0.{number}.1"}
            talk = Conversation(file, client=(f"10.0.{number}.1", 1000), session=f"ab-{number}", **facts).open(START)
            talk.say(START, CLIENT, messages.startup(user, "orders"))
            talk.say(START, SERVER, messages.AUTHENTICATION_OK + READY if number == 1 else messages.error_response("28P01", "no"))
            talk.close(START + MS)

    def names(*arguments):
        return [session["session"] for session in read_json(*arguments, file.path)["sessions"]]

    assert names("--user", "app") == names("--session", "ab-1") == names("--client", "10.0.1.0/24") == ["ab-1"]
    assert names("--failed") == ["ab-2"] and names("--database", "orders") == ["ab-1", "ab-2"]
    for nobody in (("--user", "nobody"), ("--session", "nosuch"), ("--client", "10.9.0.0/16")):
        done = read(*nobody, file.path)
        assert done.returncode == 2 and "no session in these files matches" in done.stderr
    assert read_json("--failed", file.path)["summary"]["all"]["connections"] == 2  # or there would be nothing to compare
    assert read_json("--user", "app", file.path)["summary"]["sessions_that_do_not_match"] == 1


def test_nothing_from_the_wire_reaches_the_terminal_as_an_order_to_it(capture):
    evil = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\x9b31m"
    with capture() as file:
        talk = Conversation(file, session="ab-1", user=evil.replace("\x07", ""), client_addr="10.0.0.7").open(START)
        talk.say(START, CLIENT, messages.startup(evil, evil, application_name=evil)).say(START, SERVER, messages.AUTHENTICATION_OK + READY)
        asks(talk, START + MS, f"select '{evil}'", messages.error_response(evil[:5], evil, evil))
        asks(talk, START + 2 * MS, "select 1", complete(evil))
        talk.say(START + 3 * MS, CLIENT, messages.TERMINATE, comments=[evil]).close(START + 3 * MS)
        file.event(START + 4 * MS, event="auth_failed", session="ab-1", usename=evil, message=evil, reason=evil, sqlstate=evil)
        file.event(START + 4 * MS, event="reloaded", session=None, message=evil)
    for arguments in ((), ("--format", "json")):
        out = subprocess.run([PGAIRLOCK, "capture", "read", *arguments, file.path], capture_output=True, check=True).stdout.decode()
        assert not set(out) & set("\x1b\x07\u202e\x9b") and "owned" in out


def test_files_that_cannot_be_read_are_errors(capture, directory):
    (directory / "text").write_text("this is none\n" * 10)
    for path, said in ((directory / "none", "No such file"), (directory / "text", "this is no pcapng file"), (directory, "directory")):
        done = read(path)
        assert (done.returncode, done.stdout) == (1, "") and said in done.stderr
    with capture() as file:
        logged_in(file).close(START + 5 * MS)
        file.write(b"\6\0\0\0\x20\0\0\0" + b"\xff" * 24)
    damaged = read(file.path)
    assert damaged.returncode == 1 and "cannot be read beyond this" in damaged.stdout and "ab-1" in damaged.stdout
    with capture() as empty:
        pass
    empty.path.write_bytes(b"")
    assert f"{empty.path} is empty" in read_json(empty.path)["incomplete"]
    for arguments in (("--client", "10.0.0"), ("--compare-at", "noon"), ("--follow", "--format", "json"), ("--format", "xml"), ("-", "-")):
        assert read(*arguments, *([] if arguments[0] == "-" else [file.path])).returncode == 2
    assert read().returncode == 2
    assert "write 2026-03-01T02:00:00Z for UTC" in read("--compare-at", "2026-03-01T02:00:00", file.path).stderr


def test_standard_input_is_a_file_as_well(capture):
    with capture() as file:
        logged_in(file).close(START + 5 * MS)
    done = subprocess.run([PGAIRLOCK, "capture", "read", "-"], input=file.path.read_bytes(), capture_output=True, check=True)
    assert b"ab-1" in done.stdout


def test_files_are_read_while_they_grow(capture, directory):
    first = capture("capture-20260301T020000Z-1.pcapng")
    logged_in(first).close(START + 5 * MS)
    log = open(directory / "out", "wb")
    process = subprocess.Popen([PGAIRLOCK, "capture", "read", "--follow", first.path], stdout=log, stderr=subprocess.STDOUT)
    try:
        def shown(what):
            return until(lambda: what in (directory / "out").read_text(), what=what)

        shown("missing")
        talk = logged_in(first, START + 1000 * MS, session="ab-2", client=("10.0.0.8", 1))
        talk.say(START + 1010 * MS, CLIENT, messages.query("select 1")[:9])
        talk.say(START + 1011 * MS, CLIENT, messages.query("select 1")[9:]).say(START + 1012 * MS, SERVER, complete("SELECT 1") + READY)
        talk.close(START + 1020 * MS)
        shown("ab-1 ")
        shown("ab-2 ")
        second = capture("capture-20260301T020000Z-2.pcapng")
        talk = logged_in(second, START + 2000 * MS, session="ab-3", client=("10.0.0.9", 1)).close(START + 2010 * MS)
        shown("ab-3 ")
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert "Summary: 3 connections" in (directory / "out").read_text()
    finally:
        process.kill()
        process.wait()
        log.close()


def record(recorder, file, **facts) -> dict:
    recorder.close()
    with file:
        recorder.write(file, **facts)
    return read_json(file.path)


def test_psql_is_read_as_it_spoke(recorder, capture):
    script = """
        create temp table t (a int primary key, b text);
        insert into t select i, repeat('x', 100) from generate_series(1, 5000) i;
        select * from t;
        copy t to stdout;
        copy t from stdin;
5001	one
5002	two
\\.
        do $$ begin raise notice 'well'; end $$;
        insert into t values (1, 'again');
        begin; select 1; select 2 \\; select 3; rollback;
    """
    environment = {**os.environ, "PGPASSWORD": PASSWORDS["scram_user"]}
    done = programs.run(["psql", "-X", "-q", f"host=127.0.0.1 port={recorder.port} user=scram_user dbname=postgres sslmode=disable "
                         "gssencmode=disable application_name=reader"], input=script, env=environment, check=False)
    assert "duplicate key" in done.stderr
    report = record(recorder, capture())
    (session,) = report["sessions"]
    assert (session["usename"], session["application_name"], session["login"], session["auth_method"]) == \
        ("scram_user", "reader", "accepted", "scram-sha-256")
    tags = [(entry["tags"], entry["rows"], entry["outcome"]) for entry in session["statements"]]
    assert tags == [(["CREATE TABLE"], 0, "completed"), (["INSERT 0 5000"], 5000, "completed"), (["SELECT 5000"], 5000, "completed"),
                    (["COPY 5000"], 5000, "completed"), (["COPY 2"], 2, "completed"), (["DO"], 0, "completed"), ([], 0, "failed"),
                    (["BEGIN"], 0, "completed"), (["SELECT 1"], 1, "completed"), (["SELECT 1", "SELECT 1"], 2, "completed"),
                    (["ROLLBACK"], 0, "completed")]
    copy_out, copy_in, notice, failed = session["statements"][3:7]
    assert copy_out["copied_out"] > 500_000 and copy_out["copy_messages"] == 5000 and copy_in["copied_in"] > 10
    assert notice["notices"] == 1 and failed["error"]["sqlstate"] == "23505" and failed["transaction"] == "I"
    assert session["statements"][8]["transaction"] == "T"
    assert session["missing_from_client"] + session["missing_from_server"] + session["unreadable"] == 0
    assert all(entry["duration_us"] > 0 for entry in session["statements"])
    assert session["end"] == "the client took its leave" and session["end_reason"] == "client_closed"


def test_psycopg2_is_read_as_it_spoke(recorder, capture, connect):
    connection = connect(("127.0.0.1", recorder.port), "md5_user", password=PASSWORDS["md5_user"])
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("select generate_series(1, %s)", (7,))
        assert len(cursor.fetchall()) == 7
    connection.rollback()
    connection.close()
    report = record(recorder, capture())
    (session,) = report["sessions"]
    assert [(entry["tags"], entry["rows"]) for entry in session["statements"]][-3:] == [(["BEGIN"], 0), (["SELECT 7"], 7), (["ROLLBACK"], 0)]
    assert session["auth_method"] == "md5"


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
def test_every_transaction_of_pgbench_is_read(recorder, capture, cluster, mode, directory):
    script = directory / "script.sql"
    script.write_text("\\set n random(1, 1000)\nbegin;\nselect :n;\nselect count(*) from generate_series(1, :n);\ncommit;\n")
    done = programs.run(["pgbench", "-n", "-M", mode, "-c", "3", "-t", "50", "-f", script, "-h", "127.0.0.1", "-p", recorder.port,
                         "-U", "trust_user", "postgres"], env={**os.environ, "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"})
    assert "number of transactions actually processed: 150/150" in done.stdout
    report = record(recorder, capture())
    told = [entry for session in report["sessions"] for entry in session["statements"]]
    by_tag = {}
    for entry in told:
        if entry["text"] and ("select" in entry["text"] or entry["text"] in ("begin;", "commit;")) and entry["outcome"] == "completed":
            by_tag[entry["tags"][0]] = by_tag.get(entry["tags"][0], 0) + 1
    assert (by_tag["BEGIN"], by_tag["COMMIT"], by_tag["SELECT 1"]) == (150, 150, 300), by_tag
    assert {entry["kind"] for entry in told} == ({"query"} if mode == "simple" else {"execute"} | ({"query"} & {e["kind"] for e in told}))
    assert report["summary"]["statements"]["failed"] == report["summary"]["statements"]["unanswered"] == 0
    if mode == "prepared":
        assert any(entry["prepared_as"] for entry in told)


@pytest.mark.parametrize("share", [3, 10, 40])
def test_whatever_is_dropped_of_a_real_conversation_nothing_is_invented(recorder, capture, share, directory):
    """Every so-many-th packet is left out: what is told is what was said, or nothing."""
    script = directory / "script.sql"
    script.write_text("\\set n random(1, 100)\nselect :n;\nselect repeat('r', 30000), generate_series(1, 5);\n")
    programs.run(["pgbench", "-n", "-M", "prepared", "-c", "1", "-t", "60", "-f", script, "-h", "127.0.0.1", "-p", recorder.port,
                  "-U", "trust_user", "postgres"], env={**os.environ, "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"})
    recorder.close()
    with capture("whole.pcapng") as whole:
        recorder.write(whole)
    with capture("gaps.pcapng") as gaps:
        recorder.write(gaps, lose=lambda number: number > 0 and number % share == 0)
    everything = {(entry["text"], tuple(entry["tags"])) for session in read_json(whole.path)["sessions"] for entry in session["statements"]}
    report = read_json(gaps.path)
    told = [entry for session in report["sessions"] for entry in statements(session)]
    for entry in told:
        if entry["outcome"] == "completed" and entry["text"] is not None:
            assert (entry["text"], tuple(entry["tags"])) in everything
    assert any("are not in the capture" in text for text in report["incomplete"])
    if share == 40:
        assert sum(entry["outcome"] == "completed" for entry in told) > 20


def test_wireshark_and_we_see_the_same_statements(recorder, capture):
    programs.run(["psql", "-X", "-q", "-c", "select 1", "-c", "select 2", "-c", "selec",
                  f"host=127.0.0.1 port={recorder.port} user=trust_user dbname=postgres sslmode=disable gssencmode=disable"], check=False)
    file = capture()
    report = record(recorder, file)
    shark = programs.run([tshark_program(), "-r", file.path, "-T", "fields", "-e", "pgsql.query", "-Y", "pgsql.query"]).stdout.split("\n")
    assert [entry["text"] for session in report["sessions"] for entry in session["statements"]] == [line for line in shark if line]
