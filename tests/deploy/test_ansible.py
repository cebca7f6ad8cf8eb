"""The role of deploy/ansible: judged by ansible-lint, and played on this host with the real program in folders of the test."""

import os
import re
import shutil
import signal
import subprocess

import pytest
import yaml

from conftest import REPOSITORY, need, run
from harness import programs
from harness.waiting import PATIENCE, until

ANSIBLE = REPOSITORY / "deploy/ansible"


@pytest.fixture
def environment(directory):
    """Ansible's own files are the test's too."""
    return {**os.environ, "HOME": str(directory), "ANSIBLE_HOME": str(directory / "ansible"), "ANSIBLE_LOCAL_TEMP": str(directory / "tmp"),
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_ROLES_PATH": str(ANSIBLE / "roles"), "LC_ALL": "C.UTF-8", "XDG_CACHE_HOME": str(directory / "cache")}


@pytest.fixture
def play(directory, cluster, pki, binary, free_port, environment):
    """Plays the role here; returns Ansible's output, or raises with it."""
    need("ansible-playbook")
    here = directory / "host"
    (here / "bin").mkdir(parents=True)
    shutil.copy(pki.new.cert, directory / "global-bundle.pem")
    owner, group = run("id", "-un").strip(), run("id", "-gn").strip()
    base = {"pgairlock_binary_src": str(binary), "pgairlock_binary": str(here / "bin/pgairlock"), "pgairlock_config_dir": str(here / "etc"),
            "pgairlock_owner": owner, "pgairlock_group": group, "pgairlock_service": False, "pgairlock_upstream_hosts": [cluster.host],
            "pgairlock_listen": [f"127.0.0.1:{free_port()}"], "pgairlock_http": f"127.0.0.1:{free_port()}",
            "pgairlock_files": [{"src": str(directory / "global-bundle.pem"), "mode": "0644"}],
            "pgairlock_extra_config": f'[runtime]\nstate_dir = "{here}/state"\ndrain_timeout = "2s"'}
    (directory / "play.yml").write_text(yaml.safe_dump([{"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": ["pgairlock"]}]))

    def play(*options, **variables):
        (directory / "vars.yml").write_text(yaml.safe_dump({**base, "ansible_python_interpreter": "/usr/bin/python3", **variables}))
        done = subprocess.run(["ansible-playbook", "-i", "localhost,", "-e", f"@{directory}/vars.yml", *options, directory / "play.yml"], env=environment,
                              capture_output=True, text=True, cwd=directory)
        if done.returncode != 0:
            raise ChildProcessError(done.stdout + done.stderr)
        return done.stdout

    play.here, play.base = here, base
    play.config = here / "etc/pgairlock.toml"
    return play


@pytest.fixture
def running(play, directory):
    """What systemd would have started: the installed program on the installed configuration."""
    play()
    log = open(directory / "log", "wb")
    process = subprocess.Popen(programs.with_death_signal([str(play.here / "bin/pgairlock"), "run", "--config", str(play.config)]), stdin=subprocess.DEVNULL,
                               stdout=log, stderr=log)
    process.log = lambda: (directory / "log").read_text()
    until(lambda: "listening on" in process.log(), what="the start")
    yield process
    if process.poll() is None:
        process.terminate()
    process.wait(PATIENCE)
    log.close()


def changed(output: str) -> int:
    return int(re.search(r"changed=(\d+)", output)[1])


def address(play) -> tuple[str, int]:
    host, _, port = play.base["pgairlock_listen"][0].rpartition(":")
    return host, int(port)


def test_ansible_lint_has_nothing_to_say(environment):
    need("ansible-lint")
    run("ansible-lint", "--offline", "-q", "--profile", "production", "site.yml", "roles/pgairlock", cwd=ANSIBLE, env=environment)


def test_the_syntax_of_the_rolling_play_is_right(environment):
    need("ansible-playbook")
    run("ansible-playbook", "-i", "localhost,", "--syntax-check", "site.yml", cwd=ANSIBLE, env=environment)


def test_a_second_play_changes_nothing(play):
    assert changed(play()) > 0
    assert changed(play()) == 0


def test_a_changed_configuration_is_reloaded_and_sessions_stay(play, running, connect):
    session = connect(address(play))
    assert changed(play(pgairlock_allow=["127.0.0.0/8"])) == 2  # the file, and the reload
    until(lambda: "reloaded" in running.log(), what=running.log())
    cursor = session.cursor()
    cursor.execute("SELECT 1")
    assert cursor.fetchone() == (1,)
    session.close()


def test_a_configuration_that_is_wrong_is_not_put_in_place(play, running, connect):
    before = play.config.read_text()
    with pytest.raises(ChildProcessError, match="hosts"):
        play(pgairlock_upstream_hosts=["no port:x"])
    assert play.config.read_text() == before
    assert "reload failed" not in running.log()
    connect(address(play)).close()


def test_another_binary_takes_over_without_a_gap(play, running, connect, directory, binary):
    session = connect(address(play))
    other = directory / "newer"
    shutil.copy(binary, other)
    with open(other, "ab") as file:
        file.write(b"\0")  # another file, the same program
    play(pgairlock_binary_src=str(other))
    new = connect(address(play))
    for connection in (session, new):
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert running.poll() is None  # it serves the session that it has
    assert "upgrade" in running.log()
    session.close()
    assert running.wait(PATIENCE) == 0
    new.close()
    audit = (play.here / "state/audit.jsonl").read_text()
    [successor] = re.findall(r'"event":"upgraded".*?"pid":(\d+),"sessions"', audit)
    os.kill(int(successor), signal.SIGTERM)
