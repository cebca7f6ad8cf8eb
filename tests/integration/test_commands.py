"""The commands: check, gen-cert, version, --help; and what is said about a wrong configuration."""

import json
import os
import re
import sqlite3
import stat
import subprocess

import pytest

from harness import programs
from harness.config import configuration, to_toml
from harness.fake_upstream import accepting, server_context
from harness.pki import HERE
from harness.programs import pgairlock
from harness.waiting import PATIENCE, until
from harness.wire import tls_context


@pytest.fixture
def config_file(directory, pki):
    """Writes a configuration and gives its path."""
    def write(hosts, **tables):
        path = directory / "pgairlock.toml"
        tables.setdefault("runtime", {}).setdefault("state_dir", str(directory / "state"))
        path.write_text(to_toml(configuration(pki, hosts, **tables)))
        return path
    return write


# --- version, --help, usage


def test_version_names_what_it_was_built_with():
    done = pgairlock("version")
    assert done.returncode == 0
    for word in ("pgairlock", "Boost", "OpenSSL"):
        assert word in done.stdout


def test_version_as_json_holds_the_same_facts():
    text = pgairlock("version").stdout
    document = json.loads(pgairlock("version", "--json").stdout)
    assert sorted(document) == ["boost", "commit", "compiler", "openssl", "openssl_loaded", "version"]
    assert all(value in text for value in document.values() if value is not None)


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_the_version_is_asked_for_as_of_postgresqls_own_tools(flag):
    assert pgairlock(flag).stdout == pgairlock("version").stdout


COMMANDS = [["run"], ["check"], ["gen-cert"], ["report"], ["audit", "verify"], ["client", "list"], ["client", "accept"], ["client", "note"],
            ["client", "repaired"], ["capture", "start"], ["capture", "stop"], ["capture", "status"], ["capture", "read"], ["alert", "test"],
            ["health"], ["dashboard"], ["reload"], ["upgrade"], ["sample"], ["version"], ["completion"], ["help"]]
GROUPS = [["audit"], ["client"], ["capture"], ["alert"]]


def help_of(command) -> str:
    done = pgairlock(*command, "--help")
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def listed(text) -> list:
    """The commands below one, as its help has them."""
    return re.findall(r"^  ([a-z-]+) ", text.partition("Subcommands:\n")[2].partition("\n\n")[0], flags=re.MULTILINE)


def options_of(text) -> set:
    """The options that a help explains: they begin its lines."""
    return set(re.findall(r"^ +(?:-\w,)?(--[a-z][a-z-]*)", text, flags=re.MULTILINE)) - {"--help"}


def test_these_are_all_commands():
    assert sorted(listed(help_of([]))) == sorted({command[0] for command in COMMANDS})
    for group in GROUPS:
        assert sorted(listed(help_of(group))) == sorted(command[1] for command in COMMANDS if command[:1] == group), group


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example_and_its_exit_codes(command):
    text = help_of(command)
    assert pgairlock("help", *command).stdout == text
    assert re.search(r"^Examples?:$", text, flags=re.MULTILINE) and re.search(r"^Exit: 0", text, flags=re.MULTILINE), text
    examples = re.findall(r"^  pgairlock (\S.*)$", text.partition("Example")[2], flags=re.MULTILINE)
    assert any(example.startswith(" ".join(command)) for example in examples), text
    for example in examples:
        own = example.split("|")[0].split("   ")[0]
        assert own.split()[:len(command)] == command or command == ["help"], example
        assert set(re.findall(r"--[a-z][a-z-]*", own)) <= options_of(text), example


def documented() -> dict:
    """Per command of docs/commands.md: the text of its section. A group's is that of each of its commands that has none."""
    text = (programs.REPOSITORY / "docs/commands.md").read_text()
    return dict(re.findall(r"^## ([a-z -]+)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))


def section_of(command) -> str:
    sections = documented()
    name = " ".join(command)
    assert name in sections or command[0] in sections, f"docs/commands.md has no section {name}"
    return name if name in sections else command[0]


# Said once: where check and client list have what run and report have.
AS_FOR = {"check": "run", "client": "report"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_option_of_a_help_is_in_the_documentation(command):
    name = section_of(command)
    section = documented()[name] + documented().get(AS_FOR.get(name), "")
    missing = {option for option in options_of(help_of(command)) if not re.search(rf"{option}(?![a-z-])", section)}
    assert not missing, f"docs/commands.md, {section_of(command)}"


@pytest.mark.parametrize("section", sorted({section_of(command) for command in COMMANDS}))
def test_every_option_that_is_documented_is_there(section):
    known = set().union(*(options_of(help_of(command)) for command in COMMANDS if section_of(command) == section))
    text = documented()[section]
    synopsis = text.partition("```\n")[2].partition("```")[0]
    tables = "\n".join(re.findall(r"^\| (`--[^|]*) \|", text, flags=re.MULTILINE))
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", synopsis + tables))
    assert named - {"--help"} <= known, section


def test_nothing_given_is_answered_with_what_there_is():
    done = pgairlock()
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("pgairlock: no command is given; the commands are\n  run ")
    assert done.stderr.endswith('Try "pgairlock --help" for more information.\n')
    assert all(f"\n  {command[0]} " in done.stderr for command in COMMANDS)
    done = pgairlock("client")
    assert done.returncode == 2 and done.stderr.startswith("pgairlock client: no command is given; the commands are\n  list ")


def test_help_is_on_standard_output_and_no_failure():
    assert pgairlock("help").stdout == pgairlock("--help").stdout == pgairlock("-h").stdout
    assert pgairlock("help", "help").stdout == pgairlock("help", "--help").stdout
    for wrong in (["help", "chek"], ["help", "client", "acept"]):
        done = pgairlock(*wrong)
        assert done.returncode == 2 and "did you mean" in done.stderr and not done.stdout


@pytest.mark.parametrize("typed, told, ask", [
    ("chek", 'pgairlock: unknown command "chek"; did you mean "check"?', "pgairlock"),
    ("upgrade-everything", 'pgairlock: unknown command "upgrade-everything"; the commands are run, check, ', "pgairlock"),
    ("client lst", 'pgairlock client: unknown command "lst"; did you mean "list"?', "pgairlock client"),
    ("capture strat --for 1m", 'pgairlock capture: unknown command "strat"; did you mean "start"?', "pgairlock capture"),
    ("check --confg x", "pgairlock check: unknown option --confg; did you mean --config?", "pgairlock check"),
    ("check --confg=x", "pgairlock check: unknown option --confg; did you mean --config?", "pgairlock check"),
    ("check -config x", "pgairlock check: unknown option -config; did you mean --config?", "pgairlock check"),
    ("check --upstream a:1 --sslrotcert x", "pgairlock check: unknown option --sslrotcert; did you mean --sslrootcert?", "pgairlock check"),
    ("check --offline --nonsense-beyond-repair", "pgairlock check: unknown option --nonsense-beyond-repair\n", "pgairlock check"),
    ("client accept --usr a", "pgairlock client accept: unknown option --usr; did you mean --user?", "pgairlock client accept"),
    ("--verison", "pgairlock: unknown option --verison; did you mean --version?", "pgairlock"),
    ("--config x run", "pgairlock: unknown option --config; options of a command stand behind it: pgairlock run --config", "pgairlock"),
    ("run --config a --listen b", "pgairlock run: --config and --listen cannot be given together", "pgairlock run"),
    ("report --format tble", 'pgairlock report: --format: "tble" is not one of table, json, csv, html; did you mean "table"?', "pgairlock report"),
    ("report --width x", 'pgairlock report: --width: "x" is not a whole number', "pgairlock report"),
    ("health --url", "pgairlock health: --url needs a value", "pgairlock health"),
    ("health readz --url x", "pgairlock health: CHECK: \"readz\" is not one of livez, startupz, readyz, upstreamz; did you mean", "pgairlock health"),
    ("health", "pgairlock health: one of --config, --url is needed", "pgairlock health"),
    ("health --config a --url b", "pgairlock health: only one of --config, --url can be given", "pgairlock health"),
    ("health --config a --token-file b", "pgairlock health: --token-file needs --url as well", "pgairlock health"),
    ("gen-cert", "pgairlock gen-cert: --host is required", "pgairlock gen-cert"),
    ("audit verify", "pgairlock audit verify: FILE is required", "pgairlock audit verify"),
    ("version extra", "pgairlock version: too many arguments: it takes options alone", "pgairlock version"),
    ("capture stop 1 2", "pgairlock capture stop: too many arguments", "pgairlock capture stop"),
    ("check --confg x --help", "pgairlock check: unknown option --confg; did you mean --config?", "pgairlock check"),
])
def test_a_slip_on_the_command_line_is_told_as_psql_would(typed, told, ask):
    done = pgairlock(*typed.split(" "))
    assert done.returncode == 2 and not done.stdout, done
    assert done.stderr.startswith(told), done.stderr
    assert done.stderr.endswith(f'Try "{ask} --help" for more information.\n'), done.stderr
    for raw in ("not expected", "Run with", "excludes", "subcommand is required"):
        assert raw not in done.stderr


@pytest.mark.parametrize("arguments", [
    [], ["nonsense"], ["run", "--nonsense"], ["check"], ["run", "--config", "/nowhere.toml"], ["check", "--config", "/nowhere.toml"],
    ["run", "--listen", "127.0.0.1:0", "--upstream", "localhost:5432", "--sslmode", "sometimes"],
    ["run", "--listen", "nonsense", "--upstream", "localhost:5432"],
    ["gen-cert", "--ca-dir"],
], ids=" ".join)
def test_wrong_usage_is_exit_2_with_a_reason(arguments):
    done = pgairlock(*arguments)
    assert done.returncode == 2, done
    assert done.stderr.strip()


@pytest.mark.parametrize("streams", ["one", "two"])
def test_where_it_listens_stands_once_in_what_both_streams_go_to(directory, streams):
    """A journal takes both: whoever reads it wants each line once."""
    command = [programs.PGAIRLOCK, "run", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:1", "--sslmode", "disable",
               "--state-dir", directory / "state"]
    files = {name: directory / name for name in ("out", "log")}
    with open(files["out"], "ab") as out, open(files["log"], "ab") as log:
        process = subprocess.Popen(command, stdout=out, stderr=out if streams == "one" else log)
    try:
        until(lambda: b"listening on " in files["out"].read_bytes(), what="it listens")
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0
    lines = {name: len(re.findall(r"listening on 127", path.read_text())) for name, path in files.items()}
    assert lines == ({"out": 1, "log": 0} if streams == "one" else {"out": 1, "log": 1})


# --- configuration errors


BROKEN = """\
[runtime]
thread = 2
max_connections = "many"
client_login_timeout = "soon"

[[listener]]
name = "legacy"
listen = ["127.0.0.1:0", "nonsense"]
upstream = "nowhere"
allow = ["300.0.0.0/8"]
[listener.tls]
mode = "perhaps"
cert_file = "absent.crt"
key_file = "absent.key"
ssl_min_protocol_version = "TLSv1"

[upstream.orders]
hosts = []
sslmode = "verify-fully"
sslrootcert = ["absent.pem"]
connect_timeout = 5
colour = "red"
"""
WRONG = {2: "thread", 3: "max_connections", 4: "client_login_timeout", 8: "listen", 9: "upstream", 10: "allow", 12: "mode", 13: "cert_file",
         14: "key_file", 15: "ssl_min_protocol_version", 18: "hosts", 19: "sslmode", 20: "sslrootcert", 21: "connect_timeout",
         22: "colour"}


@pytest.mark.parametrize("command", [["check", "--offline"], ["run"]], ids=" ".join)
def test_all_configuration_errors_are_reported_at_once_with_their_places(directory, command):
    file = directory / "broken.toml"
    file.write_text(BROKEN)
    done = pgairlock(*command, "--config", file)
    assert done.returncode == 2
    reported = {int(line): rest for line, rest in re.findall(r"broken\.toml:(\d+):\d+: (.*)", done.stderr)}
    missing = {line: key for line, key in WRONG.items() if key not in reported.get(line, "")}
    assert not missing, done.stderr


@pytest.mark.parametrize("command", [["check", "--offline"], ["run"]], ids=" ".join)
@pytest.mark.parametrize("also", ["", "[log]\nlevl = 'info'\n"], ids=["a file is missing", "and a key is wrong"])
def test_a_missing_file_hides_nothing_of_what_is_wrong_in_the_others(directory, command, also):
    for name in ("no.crt", "no.key", "no.crl"):
        (directory / name).write_text("nothing\n")
        (directory / name).chmod(0o600)
    file = directory / "broken.toml"
    file.write_text(f"""[[listener]]
[listener.tls]
cert_file = "no.crt"
key_file = "no.key"
[upstream.orders]
hosts = ["127.0.0.1:1"]
sslrootcert = ["absent.pem", "no.crt"]
sslcrl = "no.crl"
[runtime]
state_dir = "state"
{also}""")
    done = pgairlock(*command, "--config", file)
    assert done.returncode == 2
    told = re.findall(r"error: \S+broken\.toml:(\d+):\d+: ", done.stderr)
    assert sorted(told, key=int) == sorted(["3", "4", "7", "7", "8"] + (["12"] if also else []), key=int), done.stderr
    assert not (directory / "state").exists()


def test_a_missing_file_on_the_command_line_hides_nothing_of_the_next(directory):
    (directory / "no.pem").write_text("nothing\n")
    absent, bad = directory / "absent.pem", directory / "no.pem"
    done = pgairlock("check", "--offline", "--upstream", "127.0.0.1:1", "--sslrootcert", absent, "--sslrootcert", bad)
    assert done.returncode == 2 and str(absent) in done.stderr and str(bad) in done.stderr, done.stderr
    assert done.stderr.count("error: ") == 2


def test_a_syntax_error_names_its_place(directory):
    file = directory / "syntax.toml"
    file.write_text("[runtime]\nthreads = = 2\n")
    done = pgairlock("check", "--offline", "--config", file)
    assert done.returncode == 2
    assert re.search(r"syntax\.toml:2:\d+", done.stderr)


def test_an_error_says_what_would_be_right(directory):
    file = directory / "mode.toml"
    file.write_text('[[listener]]\nname="a"\nlisten=["127.0.0.1:0"]\nupstream="b"\n[listener.tls]\nmode="perhaps"\n'
                    '[upstream.b]\nhosts=["localhost:1"]\n')
    stderr = pgairlock("check", "--offline", "--config", file).stderr
    assert all(word in stderr for word in ("disable", "allow", "require"))


@pytest.mark.parametrize("mode", [0o644, 0o640 | 0o020, 0o604])
def test_a_key_that_others_can_read_is_refused(directory, pki, config_file, mode):
    key = directory / "open.key"
    key.write_bytes(pki.proxy.key.read_bytes())
    key.chmod(mode)
    file = config_file(["127.0.0.1:1"], tls={"key_file": str(key)})
    for command in (["check", "--offline"], ["run"]):
        done = pgairlock(*command, "--config", file)
        assert done.returncode == 2
        assert "open.key" in done.stderr
        assert re.search(r"pgairlock\.toml:\d+:\d+", done.stderr)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's files may be 0640")
def test_roots_key_may_be_readable_by_its_group_as_in_postgresql(directory, pki, config_file):
    key = directory / "group.key"
    key.write_bytes(pki.proxy.key.read_bytes())
    key.chmod(0o640)
    assert pgairlock("check", "--offline", "--config", config_file(["127.0.0.1:1"], tls={"key_file": str(key)})).returncode == 0


@pytest.mark.parametrize("tables, word", [
    ({"tls": {"key_file": "OTHER"}}, "match"),
    ({"tls": {"ssl_min_protocol_version": "TLSv1.1"}}, "legacy"),
    ({"tls": {"ssl_min_protocol_version": "TLSv1.3", "ssl_max_protocol_version": "TLSv1.2"}}, "ssl_m"),
    ({"tls": {"ssl_ciphers": "NO-SUCH-CIPHER"}}, "ssl_ciphers"),
    ({"tls": {"cert_file": "EMPTY"}}, "cert_file"),
    ({"upstream": {"sslrootcert": ["EMPTY"]}}, "sslrootcert"),
    ({"upstream": {"sslcert": "CERT"}}, "sslkey"),
    ({"upstream": {"sslnegotiation": "direct", "sslmode": "prefer"}}, "sslnegotiation"),
    ({"upstream": {"target_session_attrs": "writable"}}, "target_session_attrs"),
    ({"upstream": {"load_balance_hosts": "round-robin"}}, "load_balance_hosts"),
    ({"admin": {"http": "0.0.0.0:6433"}}, "http_token_file"),
])
def test_contradictions_and_unusable_files_are_configuration_errors(directory, pki, config_file, tables, word):
    (directory / "empty").touch()
    places = {"OTHER": pki.server.key, "EMPTY": directory / "empty", "CERT": pki.proxy.cert}

    def fill(value):
        if isinstance(value, dict):
            return {key: fill(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [fill(inner) for inner in value]
        return str(places.get(value, value))

    done = pgairlock("check", "--offline", "--config", config_file(["127.0.0.1:1"], **fill(tables)))
    assert done.returncode == 2, done
    assert re.search(r"pgairlock\.toml:\d+:\d+: ", done.stderr), done.stderr
    assert word in done.stderr


def test_two_listeners_of_one_name_are_a_configuration_error(directory, pki):
    config = configuration(pki, ["127.0.0.1:1"])
    config["listener"].append({**config["listener"][0], "listen": ["127.0.0.1:0"]})
    (directory / "twice.toml").write_text(to_toml(config))
    done = pgairlock("check", "--offline", "--config", directory / "twice.toml")
    assert done.returncode == 2
    assert "legacy" in done.stderr


# --- check


def test_check_accepts_a_good_configuration(config_file, cluster):
    for arguments in ([], ["--offline"]):
        assert pgairlock("check", *arguments, "--config", config_file([cluster.host])).returncode == 0


def test_offline_does_not_connect(config_file, fake, pki):
    server = fake(accepting(server_context(pki.server)))
    assert pgairlock("check", "--offline", "--config", config_file([server.host])).returncode == 0
    assert not server.peers


def test_check_prints_what_it_found(config_file, cluster, pki):
    done = pgairlock("check", "--config", config_file([cluster.host]))
    for fact in (cluster.host, "TLSv1.3", "TLS_AES_256_GCM_SHA384", "server.new", "localhost", "127.0.0.1", "Test New CA",
                 f"{pki.server.not_after:%Y-%m-%d}", str(pki.new.cert)):
        assert fact in done.stdout, f"{fact} is missing:\n{done.stdout}"


def test_check_as_json_holds_the_same_facts(config_file, cluster, pki):
    done = pgairlock("check", "--json", "--config", config_file([cluster.host]))
    text = json.dumps(json.loads(done.stdout))
    for fact in ("TLSv1.3", "TLS_AES_256_GCM_SHA384", "server.new", "localhost", "Test New CA", f"{pki.server.not_after:%Y-%m-%d}"):
        assert fact in text, fact


def test_check_compares_ca_files(cluster, pki):
    """The question before a rotation: which of my bundles verifies this server?"""
    done = pgairlock("check", "--upstream", cluster.host, "--sslrootcert", pki.new.cert, "--sslrootcert", pki.old.cert)
    assert str(pki.new.cert) in done.stdout and str(pki.old.cert) in done.stdout
    assert re.search(r"issuer|self-signed|trust", done.stdout)


@pytest.mark.parametrize("names, days, ca, code", [
    (HERE, (-1, 90), "new", 0),
    (HERE, (-1, 90), "old", 1),
    (("DNS:elsewhere.test",), (-1, 90), "new", 1),
    (HERE, (-20, -10), "new", 1),
])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_exit_code_of_check_is_the_verdict(fake, pki, form, names, days, ca, code):
    server = fake(accepting(server_context(pki.leaf(pki.new, "server.checked", names, days=days))))
    done = pgairlock("check", *form, "--upstream", server.host, "--sslrootcert", getattr(pki, ca).cert)
    assert done.returncode == code, done.stdout + done.stderr
    assert "server.checked" in done.stdout
    assert not server.peers[0].startup, "check must not log in"


def test_check_judges_by_the_configured_sslmode(config_file, fake, pki):
    server = fake(accepting(server_context(pki.leaf(pki.new, "server.elsewhere", ("DNS:elsewhere.test",)))))
    for sslmode, code in (("verify-ca", 0), ("verify-full", 1)):
        assert pgairlock("check", "--config", config_file([server.host], upstream={"sslmode": sslmode})).returncode == code


def test_check_of_an_unreachable_server_is_exit_1():
    done = pgairlock("check", "--upstream", "127.0.0.1:1", "--sslrootcert", "system")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stdout + done.stderr


def test_check_of_a_server_without_tls_is_exit_1(clear_cluster, pki):
    done = pgairlock("check", "--upstream", clear_cluster.host, "--sslrootcert", pki.new.cert)
    assert done.returncode == 1
    assert clear_cluster.host in done.stdout + done.stderr


def test_check_looks_at_every_host(config_file, cluster):
    done = pgairlock("check", "--config", config_file([cluster.host, "127.0.0.1:1"]))
    assert done.returncode == 1
    assert cluster.host in done.stdout and "127.0.0.1:1" in done.stdout + done.stderr


@pytest.mark.parametrize("candidate, ok, why", [("new", True, None), ("old", False, "unable to get local issuer certificate")])
def test_check_says_what_the_candidate_would_come_to(config_file, cluster, pki, candidate, ok, why):
    file = config_file([cluster.host], upstream={"sslrootcert_candidate": [str(getattr(pki, candidate).cert)]})
    done = pgairlock("check", "--config", file)
    assert done.returncode == 0, done.stdout + done.stderr  # never enforced
    assert ("  candidate: ok\n" if ok else f"  candidate: refused because: {why}\n") in done.stdout
    document = json.loads(pgairlock("check", "--json", "--config", file).stdout)
    assert document["candidate_ok"] is ok
    told = document["upstreams"][0]["candidate"]
    assert (told["ok"], told["judged"], told["reason"]) == (ok, True, why)
    assert pgairlock("check", "--fail-on", "candidate", "--config", file).returncode == (0 if ok else 1)


def test_a_candidate_that_nobody_could_judge_is_not_ready(config_file, cluster, pki):
    file = config_file([cluster.host, "127.0.0.1:1"], upstream={"sslrootcert_candidate": [str(pki.new.cert)]})
    done = pgairlock("check", "--config", file)
    assert "  candidate: ok\n" in done.stdout and "  candidate: not judged: there was no TLS connection\n" in done.stdout
    assert json.loads(pgairlock("check", "--json", "--config", file).stdout)["candidate_ok"] is False


def test_without_a_candidate_nothing_can_fail_on_it(config_file, cluster):
    done = pgairlock("check", "--json", "--config", config_file([cluster.host]))
    assert json.loads(done.stdout)["candidate_ok"] is None and json.loads(done.stdout)["upstreams"][0]["candidate"] is None
    done = pgairlock("check", "--fail-on", "candidate", "--config", config_file([cluster.host]))
    assert done.returncode == 2 and "no upstream has sslrootcert_candidate" in done.stderr


# --- check: what run would trip over


def both(config, code=2) -> str:
    """What `check` says about it, with the exit code. Where that is an error, `run` stops as well."""
    if code:
        assert pgairlock("run", "--config", config).returncode != 0
    done = pgairlock("check", "--offline", "--config", config)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.parametrize("missing", ["ca.key", "ca.crt"])
def test_a_private_ca_of_which_half_is_gone(config_file, directory, missing):
    assert pgairlock("gen-cert", "--state-dir", directory / "state", "--host", "db.internal").returncode == 0
    file = config_file(["127.0.0.1:1"], tls={"cert_file": None, "key_file": None})
    assert pgairlock("check", "--offline", "--config", file).returncode == 0
    (directory / "state/tls" / missing).unlink()
    said = both(file)
    assert re.search(r"pgairlock\.toml:\d+:\d+: .*no cert_file is given and none could be generated: the certificate authority of ", said)
    assert missing in said
    assert not (directory / "state/tls" / missing).exists()


def test_a_socket_whose_folder_is_missing_or_whose_place_is_taken(config_file, directory):
    said = both(config_file(["127.0.0.1:1"], listener={"listen": [f"unix:{directory}/missing/.s.PGSQL.6432"]}))
    assert re.search(rf"pgairlock\.toml:\d+:\d+: listener\.listen: cannot listen on unix:{directory}/missing/.*: No such file or directory", said)
    (directory / "taken").touch()
    assert "the file exists and is no socket" in both(config_file(["127.0.0.1:1"], listener={"listen": [f"unix:{directory}/taken"]}))
    both(config_file(["127.0.0.1:1"], listener={"listen": [f"unix:{directory}/.s.PGSQL.6432"]}), code=0)
    # A service manager makes what is below /run.
    said = both(config_file(["127.0.0.1:1"], listener={"listen": ["unix:/run/pgairlock-not-yet/.s.PGSQL.6432"]}), code=0)
    assert "warning: " in said and "No such file or directory" in said


def test_an_inventory_that_cannot_be_used_is_warned_of(config_file, directory):
    def said(inventory) -> str:
        return both(config_file(["127.0.0.1:1"], audit={"inventory": str(inventory)}), code=0)
    (directory / "text.db").write_text("no database")
    sqlite3.connect(directory / "newer.db").executescript("PRAGMA user_version = 200")
    assert said(directory / "new.db") == said("inventory.db") == ""
    assert f"warning: audit.inventory: cannot use {directory}/text.db: it is no SQLite database" in said(directory / "text.db")
    assert "made by a newer pgairlock (its version is 200" in said(directory / "newer.db")
    assert "No such file or directory" in said(directory / "missing/inventory.db")
    assert "it is no file" in said(directory)
    assert not (directory / "new.db").exists()


# --- gen-cert


FILES = ["ca.crt", "ca.key", "server-ecdsa.crt", "server-ecdsa.key", "server-rsa.crt", "server-rsa.key"]


def test_gen_cert_makes_a_ca_and_two_leaves(directory):
    made = directory / "made"
    assert pgairlock("gen-cert", "--ca-dir", made, "--host", "db.test.internal,10.1.2.3").returncode == 0
    assert sorted(path.name for path in made.glob("[!.]*")) == FILES
    for path in made.glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for kind in ("ecdsa", "rsa"):
        for name in ("db.test.internal", "localhost"):
            programs.run(["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", made / "ca.crt", "-verify_hostname", name,
                          made / f"server-{kind}.crt"])
        for address in ("10.1.2.3", "127.0.0.1", "::1"):
            programs.run(["openssl", "verify", "-CAfile", made / "ca.crt", "-verify_ip", address, made / f"server-{kind}.crt"])


def test_gen_cert_again_keeps_the_ca_and_renews_the_leaves(directory):
    made = directory / "made"
    pgairlock("gen-cert", "--ca-dir", made, "--host", "one.test", check=True)
    before = {name: (made / name).read_bytes() for name in FILES}
    pgairlock("gen-cert", "--ca-dir", made, "--host", "two.test", check=True)
    changed = {name for name in FILES if (made / name).read_bytes() != before[name]}
    assert "server-ecdsa.crt" in changed and "server-rsa.crt" in changed
    assert not changed & {"ca.crt", "ca.key"}
    programs.run(["openssl", "verify", "-CAfile", made / "ca.crt", "-verify_hostname", "two.test", made / "server-rsa.crt"])


def test_gen_cert_defaults_to_tls_in_the_state_directory(directory):
    done = pgairlock("gen-cert", "--host", "db.test", env={**os.environ, "STATE_DIRECTORY": str(directory)})
    assert done.returncode == 0
    assert (directory / "tls" / "ca.crt").exists()


@pytest.mark.parametrize("host", ["not a name", "a..b", "-", ""])
def test_gen_cert_refuses_what_is_no_name(directory, host):
    assert pgairlock("gen-cert", "--ca-dir", directory / "made", "--host", host).returncode == 2


def test_the_generated_files_serve_clients(directory, start, client):
    made = directory / "made"
    pgairlock("gen-cert", "--ca-dir", made, "--host", "db.test", check=True)
    proxy = start(tls={"cert_file": str(made / "server-ecdsa.crt"), "key_file": str(made / "server-ecdsa.key"), "certificate": [
        {"cert_file": str(made / "server-rsa.crt"), "key_file": str(made / "server-rsa.key")}]})
    client(proxy).negotiate("sslrequest", tls_context(ca=made / "ca.crt")).login()


@pytest.mark.parametrize("opened", [False, True], ids=["as it is", "with every commented line"])
def test_the_shipped_configuration_is_valid(directory, pki, opened):
    text = (programs.REPOSITORY / "deploy/pgairlock.toml").read_text()
    if opened:
        text = re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)
        tables = re.findall(r"^\[(\w+)\]", text, flags=re.MULTILINE)
        assert {"admin", "capture"} <= set(tables) and len(tables) == len(set(tables))
    (directory / "global-bundle.pem").write_bytes(pki.new.cert.read_bytes())
    for name, path, mode in (("server.crt", pki.proxy.cert, 0o644), ("server.key", pki.proxy.key, 0o600)):
        (directory / name).write_bytes(path.read_bytes())
        (directory / name).chmod(mode)
    for name in ("http.token", "monitor-password"):
        (directory / name).write_text("0123456789abcdef\n")
        (directory / name).chmod(0o600)
    (directory / "pgairlock.toml").write_text(text)
    done = pgairlock("check", "--offline", "--config", directory / "pgairlock.toml", env={**os.environ, "STATE_DIRECTORY": str(directory / "state")})
    assert done.returncode == 0, done.stderr
