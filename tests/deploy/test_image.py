"""The image: put together, looked into, and run with the restrictions of a pod before a real PostgreSQL."""

import gzip
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import tarfile
from pathlib import Path

import psycopg2
import pytest

from conftest import CONTAINER, REPOSITORY, blob, need, need_container, run
from harness.waiting import until
from pod import UID, Pod, empty_dir, secret_volume

HEALTH = ("/usr/bin/pgairlock", "health", "--config", "/etc/pgairlock/pgairlock.toml")


# --- what it is made of


def test_it_has_nothing_that_can_be_run_but_pgairlock(image):
    def is_program(path: Path) -> bool:
        return path.is_file() and not path.is_symlink() and os.access(path, os.X_OK) and ".so" not in path.name
    assert [str(path.relative_to(image)) for path in image.rglob("*") if is_program(path)] == ["usr/bin/pgairlock"]


def test_all_digests_and_sizes_of_the_archive_are_right(archive):
    with tarfile.open(archive) as tar:
        index = json.load(tar.extractfile("index.json"))
        manifest = blob(tar, index["manifests"][0])
        config = blob(tar, manifest["config"])
        layers = [gzip.decompress(blob(tar, layer)) for layer in manifest["layers"]]
        assert [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers] == config["rootfs"]["diff_ids"]


def test_other_tools_read_the_archive(archive, config):
    need("skopeo")
    seen = json.loads(run("skopeo", "inspect", f"oci-archive:{archive}"))
    assert seen["Labels"] == config["config"]["Labels"]
    assert seen["Labels"]["org.opencontainers.image.title"] == "pgairlock"
    assert seen["Os"] == "linux"


def test_the_same_binary_gives_the_same_bytes(made, archive, binary, root):
    again = root / "image-again"
    run(REPOSITORY / "scripts/image", "--by-hand", "--binary", binary, again, umask=0o077)
    for path in made.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
    shutil.rmtree(again)


def test_the_dockerfile_says_the_same_of_users_commands_and_health(config):
    """Each of its variants; what oci-archive writes by hand is what a container tool would."""
    text = (CONTAINER / "Dockerfile").read_text().replace("\\\n", " ")
    for variant in ("slim", "shell-less"):
        stage = re.search(rf"^FROM \S+ AS {variant}\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)[1]
        said = dict(re.findall(r"^(USER|VOLUME|STOPSIGNAL|ENTRYPOINT|CMD|WORKDIR|EXPOSE|ENV|HEALTHCHECK) +(.*)$", stage, re.MULTILINE))
        ours = config["config"]
        assert said["USER"] == ours["User"] == f"{UID}:{UID}"
        assert json.loads(said["ENTRYPOINT"]) == ours["Entrypoint"] and json.loads(said["CMD"]) == ours["Cmd"]
        assert {name: {} for name in json.loads(said["VOLUME"])} == ours["Volumes"]
        assert said["STOPSIGNAL"] == ours["StopSignal"] == "SIGTERM" and said["WORKDIR"] == ours["WorkingDir"]
        assert {name: {} for name in said["EXPOSE"].split()} == ours["ExposedPorts"]
        assert set(said["ENV"].split()) - {"PATH=/usr/bin:/bin"} <= set(ours["Env"])
        options, _, command = said["HEALTHCHECK"].partition(" CMD ")
        health = ours["Healthcheck"]
        assert ["CMD", *json.loads(command)] == health["Test"] == ["CMD", *HEALTH]
        assert options == "--interval=%ds --timeout=%ds --start-period=%ds --retries=%d" % (
            *(health[key] // 10**9 for key in ("Interval", "Timeout", "StartPeriod")), health["Retries"])
        labels = dict(re.findall(r'(org\.opencontainers\.image\.[a-z]+)="([^"]*)"', stage))
        assert {key: value for key, value in labels.items() if "$" not in value}.items() <= ours["Labels"].items()


def test_the_authorities_are_debians_and_openssl_finds_them(image):
    bundle = (image / "etc/ssl/certs/ca-certificates.crt").read_text()
    shipped = run("dpkg-query", "-L", "ca-certificates").split()
    assert bundle.count("BEGIN CERTIFICATE") == sum("/mozilla/" in name for name in shipped) > 100
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=image / "etc/ssl/certs")
    [link, *_] = (image / "etc/ssl/certs").glob("*.0")
    assert link.resolve().is_relative_to(image)


# --- the list of what is in it


def test_the_list_names_every_package_with_version_and_licence(made, image):
    document = json.loads(next(made.glob("*.cdx.json")).read_text())
    listed = {component["name"]: component["version"] for component in document["components"] if component["type"] == "library"}
    recorded = {}
    for path in (image / "var/lib/dpkg/status.d").iterdir():
        recorded[path.name] = re.search(r"^Version: (.*)$", path.read_text(), re.MULTILINE)[1]
        assert (image / "usr/share/doc" / path.name / "copyright").is_file()
    assert listed == recorded
    assert {"libssl3", "libpq5", "libc6", "ca-certificates"} <= listed.keys() or {"libssl3t64", "libpq5", "libc6", "ca-certificates"} <= listed.keys()
    assert all(component["licenses"] for component in document["components"] if component["type"] == "library")
    program = document["metadata"]["component"]
    assert program["hashes"][0]["content"] == hashlib.sha256((image / "usr/bin/pgairlock").read_bytes()).hexdigest()
    assert document["compositions"][0]["aggregate"] == "incomplete"  # nobody said where the binary is from


def test_every_library_in_it_belongs_to_a_listed_package(image):
    listed = {path.name for path in (image / "var/lib/dpkg/status.d").iterdir()}
    libraries = ["/" + str(path.relative_to(image)) for path in image.rglob("*.so*")]
    asked = subprocess.run(["dpkg", "-S", *libraries, *(name.removeprefix("/usr") for name in libraries)], capture_output=True, text=True).stdout
    owners = {name.removeprefix("/usr"): owner.split(":")[0] for owner, _, name in (line.partition(": ") for line in asked.splitlines())}
    assert len(libraries) > 20 and {owners.get(name.removeprefix("/usr")) for name in libraries} <= listed


def test_the_list_is_valid_cyclonedx(made, npm):
    [path] = made.glob("*.cdx.json")
    script = """const {Validation, Spec} = require("@cyclonedx/cyclonedx-library");
        new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(require("fs").readFileSync(process.argv[1], "utf8"))
            .then(errors => { if (errors) { console.log(JSON.stringify(errors)); process.exit(1) } })"""
    run("node", "-e", script, path, cwd=npm.parent)


# --- run as in a pod


@pytest.fixture
def pod(directory, image, pki, cluster, free_port):
    """Before the real cluster; certificate, key and bundle are a Secret, the configuration a ConfigMap, the state an emptyDir."""
    need_container()
    port, http = free_port(), free_port()
    toml = f"""
[runtime]
threads = 2
drain_timeout = "60s"
[[listener]]
listen = ["127.0.0.1:{port}"]
[listener.tls]
mode = "allow"
cert_file = "/etc/pgairlock/tls/tls.crt"
key_file = "/etc/pgairlock/tls/tls.key"
[upstream.orders]
hosts = ["{cluster.host}"]
sslrootcert = ["/etc/pgairlock/ca/ca.crt"]
[admin]
http = "127.0.0.1:{http}"
"""
    volumes = {
        "/etc/pgairlock": secret_volume(directory / "config", {"pgairlock.toml": toml.encode(), "tls": b"", "ca": b""}, mode=0o444),
        "/etc/pgairlock/tls": secret_volume(directory / "tls", {"tls.crt": pki.proxy.cert.read_bytes(), "tls.key": pki.proxy.key.read_bytes()}),
        "/etc/pgairlock/ca": secret_volume(directory / "ca", {"ca.crt": pki.new.cert.read_bytes()}, mode=0o444),
        "/var/lib/pgairlock!": empty_dir(directory / "state"),
    }
    # A mount needs a folder to be on, and the ConfigMap's is not to be written to.
    for name in ("tls", "ca"):
        (directory / "config" / name).unlink()
        (directory / "config" / name).mkdir()
    made = Pod(directory / "pod", image, ["/usr/bin/pgairlock", "run", "--config", "/etc/pgairlock/pgairlock.toml"], volumes,
               ["PATH=/usr/bin", "STATE_DIRECTORY=/var/lib/pgairlock"])
    made.port = port
    yield made
    made.remove()


def test_it_serves_a_login_with_the_restrictions_of_a_pod(pod, connect, pki, record_property):
    seconds = pod.wait_until_healthy(*HEALTH[:2], "startupz", *HEALTH[2:])
    assert pod.exec(*HEALTH).stdout.strip() == "livez: ok"
    for options in ({"sslmode": "disable"}, {"sslmode": "verify-full", "host": "localhost", "sslrootcert": str(pki.front.cert)}):
        with connect(("127.0.0.1", pod.port), "scram_user" if options["sslmode"] != "disable" else "trust_user", **options) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            assert cursor.fetchone() == (True,)

    status = Path(f"/proc/{pod.pid()}/status").read_text()
    fields = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
    assert fields["Uid"].split() == [str(UID)] * 4
    assert all(int(fields[name], 16) == 0 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"
    mounts = [line.split() for line in Path(f"/proc/{pod.pid()}/mountinfo").read_text().splitlines()]
    assert [line[5].split(",")[0] for line in mounts if line[4] == "/"] == ["ro"]
    record_property("figures", f"image: healthy {seconds:.2f} s after the start of the container, {int(fields['VmRSS'].split()[0]) / 1024:.0f} MiB resident")


def test_sigterm_drains_a_pod_and_it_ends_with_0(pod, connect):
    pod.wait_until_healthy(*HEALTH)
    session = connect(("127.0.0.1", pod.port))
    cursor = session.cursor()
    cursor.execute("SELECT 1")
    pod.terminate()
    until(lambda: "drain" in pod.log(), what=pod.log())
    until(lambda: pod.exec(*HEALTH[:2], "readyz", *HEALTH[2:]).returncode == 1, what="not ready")
    with pytest.raises(psycopg2.OperationalError):
        connect(("127.0.0.1", pod.port))
    cursor.execute("SELECT 2")
    assert cursor.fetchone() == (2,)
    session.close()
    assert pod.wait() == 0, pod.log()


def test_a_second_container_of_the_pod_starts_on_the_state_that_the_kubelet_gave_to_its_group(pod, directory):
    """At each mount with an fsGroup the kubelet opens every file to the group, private keys too."""
    pod.wait_until_healthy(*HEALTH)
    pod.terminate()
    assert pod.wait() == 0, pod.log()
    run("chgrp", "-R", UID, directory / "state")
    run("chmod", "-R", "g+rwX", directory / "state")
    second = pod.again(directory / "second")
    try:
        second.wait_until_healthy(*HEALTH)
    finally:
        second.remove()


def test_a_certificate_that_is_changed_in_the_secret_is_shown_to_the_next_client(pod, directory, pki):
    pod.wait_until_healthy(*HEALTH)
    before = shown(pod.port)
    other = pki.leaf(pki.front, "rotated.front", ("DNS:localhost", "IP:127.0.0.1"))
    secret_volume(directory / "tls", {"tls.crt": other.cert.read_bytes(), "tls.key": other.key.read_bytes()})
    until(lambda: shown(pod.port) != before, what=f"another certificate: {pod.log()}")
    assert shown(pod.port) == ssl.PEM_cert_to_DER_cert(other.cert.read_text())


def shown(port: int) -> bytes:
    """The certificate of the listener, by direct TLS as of PostgreSQL 17."""
    import socket
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as encrypted:
        return encrypted.getpeercert(binary_form=True)


def test_without_its_volume_it_says_what_it_needs(image, directory):
    need_container()
    pod = Pod(directory / "bare", image, ["/usr/bin/pgairlock", "run", "--upstream", "localhost:5432"], {}, ["PATH=/usr/bin", "STATE_DIRECTORY=/var/lib/pgairlock"])
    try:
        assert pod.wait() != 0
        assert "/var/lib/pgairlock" in pod.log() and "Read-only file system" in pod.log(), pod.log()
    finally:
        pod.remove()
