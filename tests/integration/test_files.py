"""Certificates, keys and CRLs in the shapes in which people have them, each beside what libpq, PostgreSQL or OpenSSL makes of it (docs/files.md)."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import programs
from harness.cluster import Cluster
from harness.config import configuration, to_toml
from harness.pki import HERE
from harness.programs import REPOSITORY, pgairlock
from harness.waiting import until
from harness.wire import tls_context


def clients() -> list[Path]:
    """psql of the system, and libpq 17's where tests/drivers/fetch-newer has put one."""
    newer = [Path(path) for path in (os.environ.get("PSQL17"), *REPOSITORY.glob("build/drivers/newer/psql17-*/psql17")) if path]
    return [programs.postgres_bin() / "psql", *newer[:1]]


def psql(program, cluster, sslrootcert, *, sslmode="verify-full", environment=None, **options):
    address = {"host": "localhost", "port": cluster.port, "user": "tls_user", "dbname": "postgres", "sslmode": sslmode, "gssencmode": "disable",
               "sslrootcert": sslrootcert, **options}
    return programs.run([program, " ".join(f"{key}='{value}'" for key, value in address.items()), "-Atc", "select 1"], check=False,
                        env={**os.environ, **(environment or {})})


@pytest.fixture(scope="module")
def old_cluster(root, template, pki):
    """As `cluster`, but still with a leaf of the old CA."""
    made = Cluster(root / "old-cluster", template, pki.leaf(pki.old, "server.old", HERE), pki.people.cert).start()
    yield made
    made.stop()


@pytest.fixture
def config_file(directory, pki):
    def write(hosts, **tables):
        path = directory / "pgairlock.toml"
        tables.setdefault("runtime", {}).setdefault("state_dir", str(directory / "state"))
        path.write_text(to_toml(configuration(pki, hosts, **tables)))
        return path
    return write


# --- Bundles


@dataclass
class Shape:
    """`verified`: of the servers with a leaf of the old and of the new CA, by libpq and by us alike."""
    name: str
    content: bytes
    verified: tuple[bool, bool]
    said: str = ""


def openssl(*arguments, **options) -> bytes:
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, **options).stdout


def shapes(pki) -> list[Shape]:
    old, new = (ca.cert.read_bytes() for ca in (pki.old, pki.new))
    both, key = old + new, pki.old.key.read_bytes()
    line = old.count(b"\n") + 1
    trusted_old, trusted_new = (openssl("x509", "-trustout", "-in", ca.cert) for ca in (pki.old, pki.new))
    rejected_new = openssl("x509", "-trustout", "-addreject", "serverAuth", "-in", pki.new.cert)
    all_of_it, first_alone, nothing = (True, True), (True, False), (False, False)
    passed_over = f"line {line}: is passed over: "
    return [
        Shape("plain", both, all_of_it),
        Shape("CRLF", both.replace(b"\n", b"\r\n"), all_of_it),
        Shape("a byte order mark at the start", b"\xef\xbb\xbf" + both, all_of_it),
        Shape("a byte order mark in the middle", old + b"\xef\xbb\xbf" + new, all_of_it),
        Shape("trailing blanks", both.replace(b"-----\n", b"-----  \n"), all_of_it),
        Shape("base64 in one line", re.sub(rb"(?<![-])\n(?!-)", b"", both), all_of_it),
        Shape("comments", b"# Amazon RDS\nsubject: x\n" + old + b"text ----- here\n" + new + b"end\n", all_of_it),
        Shape("a key between", old + key + new, all_of_it, f"line {line}: a private key"),
        Shape("the same twice", both + old, all_of_it),
        Shape("the second as TRUSTED CERTIFICATE", old + trusted_new, all_of_it),
        Shape("both as TRUSTED CERTIFICATE", trusted_old + trusted_new, all_of_it),
        Shape("the second rejected by its trust settings", old + rejected_new, first_alone),
        Shape("the second indented", old + b"".join(b"  " + text + b"\n" for text in new.splitlines()), first_alone,
              passed_over + "the line is indented"),
        Shape("the second quoted", old + b'"' + new.strip() + b'"\n', first_alone, passed_over + "the line begins with a quotation mark"),
        Shape("four dashes", old + new[1:], first_alone, passed_over + "4 dashes stand before BEGIN"),
        Shape("UTF-16 appended", old + new.decode().encode("utf-16"), first_alone, passed_over + "it is no text, or text in UTF-16"),
        Shape("the first END line lost", old.replace(b"-----END CERTIFICATE-----\n", b"") + new, first_alone,
              f"line {line - 1}: is passed over: the block before it (line 1) has no END line"),
        Shape("all indented", b"".join(b"    " + text + b"\n" for text in both.splitlines()), nothing, "line 1: is passed over: the line is indented"),
        Shape("no line break between", old.strip() + new, nothing, "the line break between its END and the next BEGIN is missing"),
        Shape("cut in the base64", old + new[:300], nothing, f"line {line}: the file ends within it"),
        Shape("cut after a BEGIN line", old + b"-----BEGIN CERTIFICATE-----\n", nothing, f"line {line}: the file ends within it"),
        Shape("carriage returns alone", both.replace(b"\n", b"\r"), nothing, "convert it with tr "),
        Shape("line breaks as \\n", both.replace(b"\n", b"\\n"), nothing, "convert it with sed "),
        Shape("UTF-16", both.decode().encode("utf-16"), nothing, "convert it with iconv "),
        Shape("PKCS #7", openssl("crl2pkcs7", "-nocrl", "-certfile", pki.old.cert, "-certfile", pki.new.cert), nothing,
              "convert it with openssl pkcs7 -print_certs "),
        Shape("PKCS #7 in DER form", openssl("crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile", pki.old.cert, "-certfile", pki.new.cert),
              nothing, "convert it with openssl pkcs7 -inform DER -print_certs "),
        Shape("DER", openssl("x509", "-outform", "DER", "-in", pki.old.cert), nothing, "convert it with openssl x509 -inform DER "),
        Shape("HTML", b"<!DOCTYPE html><html><body>Moved permanently</body></html>\n", nothing, "it is an HTML page"),
        Shape("nothing", b"", nothing, "it is empty"),
    ]


@pytest.fixture
def check(directory, pki):
    """`pgairlock check` of one CA file against several servers; the answer with its JSON, None where the file is refused."""
    def run(sslrootcert, *clusters, environment=None):
        config = configuration(pki, [])
        config["runtime"]["state_dir"] = str(directory / "state")
        config["upstream"] = {f"server{number}": {"hosts": [f"localhost:{one.port}"], "sslrootcert": sslrootcert, "connect_timeout": "60s"}
                              for number, one in enumerate(clusters)}
        config["listener"][0]["upstream"] = "server0"
        path = directory / "check.toml"
        path.write_text(to_toml(config))
        done = pgairlock("check", "--json", "--config", path, env={**os.environ, **(environment or {})})
        found = json.loads(done.stdout)
        return done, None if found.get("errors") else found
    return run


def verdicts(found, count=2) -> tuple[bool, ...]:
    if not found:
        return (False,) * count
    return tuple(any(one["ok"] for one in found["upstreams"] if one["upstream"] == f"server{number}") for number in range(count))


def test_each_shape_of_a_bundle_is_taken_as_libpq_takes_it_and_what_is_lost_is_said(pki, directory, check, old_cluster, cluster):
    wrong = []
    path = directory / "bundle.pem"
    for shape in shapes(pki):
        path.write_bytes(shape.content)
        libpq = {tuple(psql(program, one, path).returncode == 0 for one in (old_cluster, cluster)) for program in clients()}
        done, found = check([str(path)], old_cluster, cluster)
        ours = verdicts(found)
        if not (libpq == {shape.verified} and ours == shape.verified and shape.said in done.stderr and (shape.said or not done.stderr)):
            wrong.append((shape.name, "libpq", libpq, "we", ours, "said", done.stderr))
        if found:
            counts = [one["certificates"] for one in found["files"] if one["path"] == str(path)]
            assert counts == [1 if shape.verified == (True, False) and "rejected" not in shape.name else 2], shape.name
    assert not wrong, "\n".join(map(str, wrong))


def test_the_commands_that_convert_a_file_make_one_that_is_taken(pki, directory, check, old_cluster, cluster):
    path = directory / "it's a bundle.crt"
    for shape in shapes(pki):
        command = re.search(r"convert it with (.*)", shape.said)
        if not command:
            continue
        path.write_bytes(shape.content)
        done, _ = check([str(path)], old_cluster, cluster)
        printed = re.search(r"convert it with (.*)", done.stderr).group(1)
        result = Path(f"{path}.pem")
        result.unlink(missing_ok=True)
        subprocess.run(["sh", "-c", printed], check=True, capture_output=True)
        done, found = check([str(result)], old_cluster, cluster)
        assert verdicts(found) == ((True, False) if shape.name == "DER" else (True, True)), f"{shape.name}: {printed}\n{done.stderr}"
        assert not done.stderr, shape.name


def test_what_is_in_a_file_is_told_once_by_check_and_in_the_log(start, pki, directory, cluster):
    gone = pki.authority("Test Gone CA", days=(-30, -3))
    path = pki.bundle("three.pem", pki.new, gone, pki.old)
    fact = (f"certificates in {path}: 3 certificates, 1 expired; the next to expire is CN=Test New CA on "
            f"{pki.new.not_after:%Y-%m-%dT%H:%M:%SZ}")
    tables = {"upstream": {"sslrootcert": [str(path)], "sslrootcert_candidate": [str(path)]}}
    proxy = start(**tables)
    assert proxy.log().count(fact) == 1
    config = configuration(pki, [cluster.host], **tables)
    config["upstream"]["again"] = config["upstream"]["orders"]
    file = directory / "check.toml"
    file.write_text(to_toml(config))
    assert pgairlock("check", "--offline", "--config", file).stdout.count(fact) == 1
    found = [one for one in json.loads(pgairlock("check", "--offline", "--json", "--config", file).stdout)["files"] if one["path"] == str(path)]
    assert found == [{"path": str(path), "certificates": 3, "repeated": 0, "expired": 1, "not_yet_valid": 0, "next_expiry": f"{pki.new.not_after:%Y-%m-%dT%H:%M:%SZ}",
                      "next_subject": "CN=Test New CA"}]


def test_a_certificate_that_is_lost_is_said_when_the_file_changes(start, pki, directory):
    path = directory / "ca.pem"
    path.write_bytes(pki.new.cert.read_bytes())
    proxy = start(upstream={"sslrootcert": [str(path)]})
    (directory / "next.pem").write_bytes(pki.new.cert.read_bytes() + b" " + pki.old.cert.read_bytes())
    os.rename(directory / "next.pem", path)
    proxy.event("reloaded")
    assert "is passed over: the line is indented" in proxy.log()
    until(lambda: proxy.log().count(f"certificates in {path}: 1 certificate, 0 expired") == 2)


# --- system


def hashed(folder: Path, *authorities) -> Path:
    folder.mkdir()
    for authority in authorities:
        name = openssl("x509", "-noout", "-subject_hash", "-in", authority.cert).decode().strip()
        shutil.copy(authority.cert, folder / f"{name}.0")
    return folder


def test_system_is_what_it_is_to_libpq(pki, directory, check, old_cluster, cluster):
    """By SSL_CERT_FILE, by SSL_CERT_DIR, by both, and by neither. psql of PostgreSQL 15 has no sslrootcert=system: OpenSSL is asked there."""
    folder, empty = hashed(directory / "hashed", pki.new), directory / "empty"
    empty.mkdir()
    nowhere = str(directory / "nowhere")
    newer = clients()[-1]
    has_system = int(re.search(r"\) (\d+)", programs.run([newer, "--version"]).stdout).group(1)) >= 16
    for file, folders, expected in ((str(pki.old.cert), str(empty), (True, False)), (nowhere, str(folder), (False, True)),
                                    (str(pki.old.cert), f"{empty}:{folder}", (True, True)), (nowhere, str(empty), (False, False))):
        environment = {"SSL_CERT_FILE": file, "SSL_CERT_DIR": folders}
        for leaf_ca, index in ((pki.old, 0), (pki.new, 1)):
            known = subprocess.run(["openssl", "verify", str(leaf_ca.cert)], env={**os.environ, **environment}, capture_output=True)
            assert (known.returncode == 0) == expected[index]
        if has_system:
            assert tuple(psql(newer, one, "system", environment=environment).returncode == 0 for one in (old_cluster, cluster)) == expected
        done, found = check("system", old_cluster, cluster, environment=environment)
        assert verdicts(found) == expected, done.stderr
        assert ("the system has no trusted certificate" in done.stderr) == (expected == (False, False))
    done, found = check("system", old_cluster, cluster)
    assert verdicts(found) == (False, False)


def test_the_candidate_system_is_the_same_system(run_proxy, pki, directory, cluster, connect):
    for environment, ok in (({"SSL_CERT_FILE": str(pki.new.cert), "SSL_CERT_DIR": str(directory)}, True),
                            ({"SSL_CERT_FILE": str(pki.old.cert), "SSL_CERT_DIR": str(directory)}, False)):
        proxy = run_proxy(configuration(pki, [cluster.host], upstream={"sslrootcert_candidate": ["system"]}), environment=environment)
        connect(proxy)
        assert proxy.event("connected")["candidate_ok"] is ok


def test_a_file_of_the_system_that_changes_is_taken_up(run_proxy, pki, directory, cluster, connect):
    path = directory / "system.pem"
    path.write_bytes(pki.old.cert.read_bytes())
    proxy = run_proxy(configuration(pki, [f"localhost:{cluster.port}"], upstream={"sslrootcert": ["system"]}),
                      environment={"SSL_CERT_FILE": str(path), "SSL_CERT_DIR": str(directory)})
    (directory / "next.pem").write_bytes(pki.new.cert.read_bytes())
    os.rename(directory / "next.pem", path)
    proxy.event("reloaded")
    connect(proxy)


# --- Keys


PASS_PHRASE = "Secret-phrase-81c6d2"


def encrypted_keys(pki, directory) -> dict[str, tuple]:
    """(certificate, key) by the shape of the key."""
    made = {}
    for shape, kind, command in (("PKCS #8", "rsa", ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout"]), ("PKCS #1", "rsa", ["rsa", "-aes256", "-traditional", "-passout"]),
                                 ("SEC 1", "ec", ["ec", "-aes256", "-passout"])):
        leaf = pki.leaf(pki.front, f"encrypted.{kind}", HERE, key=kind)
        path = directory / f"{shape.replace(' ', '')}.key"
        openssl(*command, f"pass:{PASS_PHRASE}", "-in", leaf.key, "-out", path)
        if shape == "SEC 1":  # as `openssl ecparam -genkey` has it, parameters first
            path.write_bytes(openssl("ecparam", "-name", "prime256v1") + path.read_bytes())
        path.chmod(0o600)
        made[shape] = (leaf.cert, path)
    return made


@pytest.fixture
def phrase_file(directory):
    path = directory / "phrase"
    path.write_text(PASS_PHRASE + "\n")
    path.chmod(0o600)
    return path


def test_an_encrypted_key_is_opened_as_postgresql_opens_it(start, client, pki, directory, phrase_file, root, template):
    command = f"test '%p' = 'Enter PEM pass phrase:' && cat {phrase_file}"
    for shape, (cert, key) in encrypted_keys(pki, directory).items():
        proxy = start(tls={"cert_file": str(cert), "key_file": str(key), "ssl_passphrase_command": command})
        client(proxy).negotiate("sslrequest", tls_context()).login()
        assert PASS_PHRASE not in proxy.log()
    # PostgreSQL with the last of them. Its user reads another copy.
    postgres = Cluster(directory / "encrypted", template, pki.server, pki.people.cert)
    for source, name in ((cert, "server.crt"), (key, "server.key"), (phrase_file, "phrase")):
        shutil.copy(source, postgres.data / name)
    with open(postgres.data / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write(f"ssl_passphrase_command = '{command.replace(chr(39), chr(39) * 2).replace(str(phrase_file), str(postgres.data / 'phrase'))}'\n")
    programs.give_to_postgres(postgres.directory)
    postgres.start()
    try:
        assert psql(clients()[0], postgres, pki.front.cert).returncode == 0
    finally:
        postgres.stop()


def test_an_encrypted_key_that_is_renewed_is_opened_by_the_reload(start, client, pki, directory, phrase_file):
    keys = encrypted_keys(pki, directory)
    cert, key = directory / "shown.crt", directory / "shown.key"
    shutil.copy(keys["PKCS #1"][0], cert)
    shutil.copy(keys["PKCS #1"][1], key)
    proxy = start(tls={"cert_file": str(cert), "key_file": str(key), "ssl_passphrase_command": f"cat {phrase_file}"})
    client(proxy).negotiate("sslrequest", tls_context()).login()
    shutil.copy(keys["SEC 1"][0], cert)
    shutil.copy(keys["SEC 1"][1], key)
    proxy.event("reloaded")
    client(proxy).negotiate("sslrequest", tls_context()).login()
    phrase_file.write_text("wrong\n")
    shutil.copy(keys["PKCS #1"][0], cert)
    shutil.copy(keys["PKCS #1"][1], key)
    until(lambda: "cannot be opened with the output of ssl_passphrase_command" in proxy.log())
    proxy.event("reload_failed")
    client(proxy).negotiate("sslrequest", tls_context()).login()


@pytest.mark.parametrize("command, said", [
    (None, "is encrypted, and there is no ssl_passphrase_command"),
    ("echo wrong", "cannot be opened with the output of ssl_passphrase_command: the pass phrase does not open it"),
    ("echo {phrase}; exit 4", "ssl_passphrase_command gives no pass phrase: it exited with code 4"),
])
def test_an_encrypted_key_without_its_pass_phrase_is_a_configuration_error(pki, directory, config_file, command, said):
    for cert, key in encrypted_keys(pki, directory).values():
        tls = {"cert_file": str(cert), "key_file": str(key)}
        if command:
            tls["ssl_passphrase_command"] = command.format(phrase=PASS_PHRASE)
        done = pgairlock("check", "--offline", "--config", config_file(["localhost:1"], tls=tls))
        assert done.returncode == 2 and said in done.stderr and PASS_PHRASE not in done.stderr + done.stdout


def test_the_key_of_our_client_certificate_may_be_encrypted(start, connect, pki, directory, phrase_file):
    """Where libpq has sslpassword."""
    person = pki.leaf(pki.people, "cert_user")
    key = directory / "person.key"
    openssl("pkcs8", "-topk8", "-passout", f"pass:{PASS_PHRASE}", "-in", person.key, "-out", key)
    key.chmod(0o600)
    proxy = start(upstream={"sslcert": str(person.cert), "sslkey": str(key), "ssl_passphrase_command": f"cat {phrase_file}"})
    connect(proxy, user="cert_user")


# --- Chains


def test_a_chain_in_any_order_is_sent_in_the_right_one(start, pki, directory):
    intermediate = pki.authority("Test Intermediate CA", issuer=pki.front)
    stranger = pki.authority("Test Stranger CA")
    leaf = pki.leaf(intermediate, "behind.intermediate", HERE)
    orders = {
        "as it should be": ([leaf, intermediate], None),
        "reversed": ([pki.front, intermediate, leaf], "which is sent first; PostgreSQL and libpq want it to stand first"),
        "with a stranger": ([leaf, stranger, intermediate], "CN=Test Stranger CA: has issued none of the certificates before it"),
    }
    for name, (certificates, said) in orders.items():
        chain = pki.bundle("chain.pem", *certificates)
        proxy = start(tls={"cert_file": str(chain), "key_file": str(leaf.key)})
        shown = programs.run([clients()[0], f"host=localhost port={proxy.port} user=tls_user dbname=postgres sslmode=verify-full sslrootcert={pki.front.cert}", "-Atc",
                              "select 1"], check=False)
        assert shown.returncode == 0, f"{name}: {shown.stderr}"
        sent = openssl("s_client", "-connect", f"localhost:{proxy.port}", "-starttls", "postgres", "-showcerts", input=b"").decode()
        subjects = re.findall(r"^ *\d+ s:CN = (.*)$", sent, re.MULTILINE)
        assert subjects[:2] == ["behind.intermediate", "Test Intermediate CA"] and "Test Stranger CA" not in subjects, name
        assert (said in proxy.log()) if said else f'certificate file "{chain}"' not in proxy.log(), name


def test_a_gap_in_a_chain_is_warned_of(pki, directory, config_file):
    intermediate = pki.authority("Test Left Out CA", issuer=pki.front)
    leaf = pki.leaf(intermediate, "without.intermediate", HERE)
    done = pgairlock("check", "--offline", "--config", config_file(["localhost:1"], tls={
        "cert_file": str(pki.bundle("gap.pem", leaf, pki.front)), "key_file": str(leaf.key)}))
    assert done.returncode == 0
    assert "the certificate of CN=Test Left Out CA, which issued CN=without.intermediate, is not in the file" in done.stderr


def test_two_anchors_of_one_name_are_warned_of(pki, directory, config_file):
    again = pki.authority("Test New CA")
    for key in ("sslrootcert", "sslrootcert_candidate"):
        done = pgairlock("check", "--offline", "--config", config_file(["localhost:1"], upstream={key: [str(pki.new.cert), str(again.cert)]}))
        assert done.returncode == 0
        assert f"CN=Test New CA stands with different keys in {pki.new.cert} line 1 and {again.cert} line 1" in done.stderr


# --- CRLs


def test_a_file_of_crls_is_read_in_every_shape(pki, directory, config_file):
    crl = pki.revocations(pki.new).read_bytes()
    path = directory / "ca.crl"
    for content, code, said in (
            (crl, 0, ""), (crl.replace(b"\n", b"\r\n"), 0, ""), (b"\xef\xbb\xbf# CRL\n" + crl + crl, 0, ""),
            (crl + b" " + crl, 0, "is passed over: the line is indented"),
            (crl + pki.new.cert.read_bytes(), 0, "certificates are not trusted from here"),
            (crl[:200], 2, "line 1: the file ends within it: it was cut off"),
            (pki.new.cert.read_bytes(), 2, "holds no CRL in PEM format (-----BEGIN X509 CRL-----), but 1 certificates"),
            (openssl("crl", "-outform", "DER", input=crl), 2, f"convert it with openssl crl -inform DER -in '{path}' ")):
        path.write_bytes(content)
        done = pgairlock("check", "--offline", "--config", config_file(["localhost:1"], upstream={"sslcrl": str(path)}))
        assert done.returncode == code and said in done.stderr and (said or not done.stderr), (content[:60], done.stderr)


def test_where_libpq_is_more_lenient_with_crls_or_stricter_with_chains(pki, directory, check, cluster):
    """The table of differences in docs/files.md."""
    people = pki.leaf(pki.people, "cert_user")
    both = directory / "crl-and-ca.pem"
    both.write_bytes(pki.revocations(pki.new).read_bytes() + pki.new.cert.read_bytes())
    reversed_chain = pki.bundle("reversed.pem", pki.people, people)
    for program in clients():
        assert psql(program, cluster, pki.new.cert, sslcrl="/nowhere.crl").returncode == 0
        assert psql(program, cluster, pki.old.cert).returncode != 0
        assert psql(program, cluster, pki.old.cert, sslcrl=both).returncode == 0
        done = psql(program, cluster, pki.new.cert, user="cert_user", sslcert=reversed_chain, sslkey=people.key)
        assert done.returncode != 0 and "key values mismatch" in done.stderr
        der = directory / "person.der"
        openssl("pkey", "-in", people.key, "-outform", "DER", "-out", der)
        der.chmod(0o600)
        assert psql(program, cluster, pki.new.cert, user="cert_user", sslcert=people.cert, sslkey=der).returncode == 0
