import os
import pathlib
import subprocess

import pytest
import root as clean


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ.get("PGAIRLOCK_BUILD", clean.REPOSITORY / "build")).resolve()


@pytest.fixture(scope="session")
def packages(build, tmp_path_factory):
    """Of the programs that are built: 0.0.1, and the same once more as a newer version."""
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([clean.REPOSITORY / "scripts/package", "--built", build, "--version", "0.0.1", folder], check=True, stdout=subprocess.DEVNULL)
    before = {file.name.split("_")[0]: file for file in folder.glob("*.deb")}
    assert set(before) == {"pgairlock", "pgairlock-bench"}
    return before, {name: as_version("0.0.2", file, folder / f"{name}.tree") for name, file in before.items()}


def as_version(version, package, tree):
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: 0.0.1\n", f"Version: {version}\n"))
    made = package.with_name(package.name.replace("0.0.1", version))
    subprocess.run(["dpkg-deb", "-Zgzip", "-b", tree, made], check=True, stdout=subprocess.DEVNULL)
    return made


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    if subprocess.run(["unshare", "--mount", "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("only who may mount and chroot can make a clean Debian")
    made = clean.Root(tmp_path_factory.mktemp("root"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def with_dependencies(root, packages):
    """What the packages name is all there is, besides the few that tests need."""
    before, _ = packages
    root.run("apt-get", "-q", "update")
    root.run("apt-get", "-qy", "install", "--no-install-recommends", *root.take(*before.values()), timeout=600)
    return root


@pytest.fixture
def installed(with_dependencies, packages):
    """The version before is installed, as on a machine that has systemd; purged at the end."""
    root = with_dependencies
    before, _ = packages
    root.run("dpkg", "-i", *root.take(*before.values()))
    yield root
    root.run("dpkg", "--purge", "pgairlock", "pgairlock-bench", check=False)
    subprocess.run(["rm", "-rf", root.path / "etc/pgairlock"], check=True)


@pytest.fixture
def systemd(installed):
    stands_in = clean.Systemd(installed)
    yield stands_in
    stands_in.close()
