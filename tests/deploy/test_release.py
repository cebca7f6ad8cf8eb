"""scripts/release without packages, which have tests of their own; and the jobs of deploy/ci."""

import os
import re
import subprocess
import tarfile

import pytest
import yaml

from conftest import REPOSITORY, need, run


@pytest.fixture
def clone(directory):
    """Of what is committed: a release is made of nothing else."""
    run("git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, directory / "clone")
    return directory / "clone"


def test_a_release_is_signed_and_made_of_what_is_committed(clone, directory, binary):
    need("gpg", "strip", "openssl")
    home = directory / "gnupg"
    home.mkdir(mode=0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}
    run("gpg", "--batch", "--passphrase", "", "--quick-generate-key", "release@example.com", "ed25519", "sign", env=environment)
    (clone / "lies-about").write_text("not committed")
    files = directory / "files"
    run("scripts/release", "--gpg", "release@example.com", "--binary", binary, files, cwd=clone, env=environment)

    run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=files)
    run("gpg", "--verify", "SHA256SUMS.asc", "SHA256SUMS", cwd=files, env=environment)
    summed = {line.split(maxsplit=1)[1].strip() for line in (files / "SHA256SUMS").read_text().splitlines()}
    assert summed == {path.name for path in files.iterdir()} - {"SHA256SUMS", "SHA256SUMS.asc"}
    assert {path.suffix for path in files.iterdir()} >= {".gz", ".tar", ".json", ".md"}
    [source] = files.glob("pgairlock-*.tar.gz")
    with tarfile.open(source) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    tracked = set(run("git", "ls-files", cwd=clone).splitlines())
    assert names - {""} >= tracked and "lies-about" not in names
    assert (files / "NOTES.md").read_text().strip() in (clone / "CHANGELOG.md").read_text()
    run("gpgconf", "--kill", "all", env=environment)


def test_a_release_with_changes_that_are_not_committed_is_refused(clone, directory, binary):
    (clone / "README.md").write_text("changed")
    done = subprocess.run(["scripts/release", "--binary", binary, directory / "files"], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 2 and "not committed" in done.stderr


@pytest.mark.parametrize("name", ["github.yml", "gitlab-ci.yml"])
def test_ci_jobs_call_parts_that_there_are(name):
    text = (REPOSITORY / "deploy/ci" / name).read_text()
    jobs = yaml.safe_load(text)
    known = set(re.search(r"scripts/test \[(.*?)\]", (REPOSITORY / "scripts/test").read_text())[1].replace(" ", "").split("|"))
    parts = jobs["jobs"]["test"]["strategy"]["matrix"]["part"] if "jobs" in jobs else jobs["test"]["parallel"]["matrix"][0]["PART"]
    assert set(parts) | {part for part in re.findall(r"scripts/test (\w+)", text)} <= known
    for script in re.findall(r"\bscripts/[a-z-]+", text):
        assert os.access(REPOSITORY / script, os.X_OK), script
