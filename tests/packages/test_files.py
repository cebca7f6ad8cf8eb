"""What the packages bring along, looked at with the tools that will: lintian, man, shells, apparmor_parser, the linker."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest
import root as clean

DOCS = clean.REPOSITORY / "docs"


@pytest.fixture(scope="session")
def unpacked(packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    for file in packages[0].values():
        subprocess.run(["dpkg-deb", "-x", file, folder], check=True)
    return folder


def run(*command, **more):
    more.setdefault("timeout", 120)
    done = subprocess.run([str(word) for word in command], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=os.environ | {"LC_ALL": "C.UTF-8"} | more.pop("env", {}), **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def pgairlock(build):
    return build / "proxy/pgairlock"


def test_lintian_has_no_error_and_no_warning(packages):
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", *packages[0].values()], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0 and not re.search(r"^[EW]: ", done.stdout, re.MULTILINE), done.stdout


def test_the_same_commit_makes_the_same_bytes(packages, build, tmp_path):
    again = clean.REPOSITORY / "scripts/package"
    subprocess.run([again, "--built", build, "--version", "0.0.1", tmp_path], check=True, stdout=subprocess.DEVNULL)
    for name, file in packages[0].items():
        assert (tmp_path / file.name).read_bytes() == file.read_bytes(), name


@pytest.mark.parametrize("page", ["man1/pgairlock.1.gz", "man1/pgairlock-bench.1.gz", "man5/pgairlock.toml.5.gz"])
def test_man_shows_each_page_without_a_warning(unpacked, page):
    done = subprocess.run(["man", "--warnings", "-l", unpacked / "usr/share/man" / page], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=os.environ | {"LC_ALL": "C.UTF-8", "MANWIDTH": "120"})
    assert done.returncode == 0 and done.stderr == "" and "NAME" in done.stdout
    whatis = run("lexgrog", unpacked / "usr/share/man" / page)
    assert re.search(r'"[a-z.-]+ - .+"', whatis)


def shown(page):
    return run("man", "-P", "cat", "-l", page, env={"MANWIDTH": "200", "MAN_KEEP_FORMATTING": ""})


def commands(pgairlock, *command):
    """All below `command`, as its --help lists them."""
    text = run(pgairlock, *command, "--help").partition("\nSubcommands:\n")[2].partition("\n\n")[0]
    for name in re.findall(r"^  (\S+)", text, re.MULTILINE):
        yield (*command, name)
        yield from commands(pgairlock, *command, name)


def test_every_command_and_option_is_in_the_manual(unpacked, pgairlock):
    page = shown(unpacked / "usr/share/man/man1/pgairlock.1.gz")
    found = list(commands(pgairlock))
    assert ("client", "list") in found and len(found) > 20
    for command in found:
        heading = re.escape(" ".join(("pgairlock", *command)))
        part = re.search(rf"^   {heading}$\n(.*?)(?=^   pgairlock |\Z)", page, re.MULTILINE | re.DOTALL)
        assert part, command
        for option in re.findall(r"^  (?:-\w,)?(--[\w-]+)", run(pgairlock, *command, "--help"), re.MULTILINE):
            assert option in part[1] or option == "--help", (command, option)


def test_every_key_is_in_the_manual_of_the_configuration(unpacked):
    page = shown(unpacked / "usr/share/man/man5/pgairlock.toml.5.gz")
    config = (DOCS / "config.md").read_text()
    sections = re.findall(r"^## `(.*?)`$", config, re.MULTILINE)
    keys = re.findall(r"^\| `(\w+)` \|", config, re.MULTILINE)
    assert len(sections) > 10 and len(keys) > 100
    for section in sections:
        assert re.search(rf"^{re.escape(section)}$", page, re.MULTILINE), section
    assert [key for key in keys if not re.search(rf"^       {key}( |$)", page, re.MULTILINE)] == []


BASH = """
source {script}
COMP_WORDS=({words} "{last}")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
compopt() {{ :; }}
_pgairlock
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize("typed, offered", [
    ("pgairlock cap", ["capture"]),
    ("pgairlock client ", ["accept", "list", "note", "repaired"]),
    ("pgairlock help client re", ["repaired"]),
    ("pgairlock report --format ", ["csv", "html", "json", "table"]),
    ("pgairlock report --fail-on si", ["silent"]),
    ("pgairlock report --grou", ["--group-by"]),
    ("pgairlock health ready", ["readyz"]),
    ("pgairlock completion f", ["fish"]),
])
def test_commands_options_and_values_are_completed(unpacked, typed, offered):
    words, _, last = typed.rpartition(" ")
    script = unpacked / "usr/share/bash-completion/completions/pgairlock"
    assert sorted(run("bash", "--norc", "-c", BASH.format(script=script, words=words, last=last)).split()) == offered
    if shutil.which("fish"):
        script = unpacked / "usr/share/fish/vendor_completions.d/pgairlock.fish"
        said = run("fish", "--no-config", "-c", f"source {script}; complete -C '{typed}'", env={"HOME": str(unpacked), "TERM": "dumb"})
        assert sorted(line.split("\t")[0] for line in said.splitlines()) == offered
    if shutil.which("zsh"):
        script = unpacked / "usr/share/zsh/vendor-completions/_pgairlock"
        assert sorted(zsh_offers(script, words, last)) == offered


# zsh's own part, choosing among what is offered and showing it, needs a terminal; what is offered does not.
ZSH = """
compdef() {{ : }}
_files() {{ print files }}
_describe() {{ local list=${{@[-1]}}; print -rl -- ${{${{(P)list}}%%:*}} }}
compadd() {{ print -rl -- "${{@[2,-1]}}" }}
source {script}
words=({words} "{last}") CURRENT=${{#words}} PREFIX="{last}"
_pgairlock
"""


def zsh_offers(script, words, last):
    said = run("zsh", "-f", "-c", ZSH.format(script=script, words=words, last=last))
    return [word for word in said.split() if word.startswith(last)]


@pytest.mark.parametrize("name", ["pgairlock", "pgairlock-bench"])
def test_each_script_is_one_that_its_shell_can_read(unpacked, name):
    run("bash", "-n", unpacked / f"usr/share/bash-completion/completions/{name}")
    run("zsh", "-n", unpacked / f"usr/share/zsh/vendor-completions/_{name}")
    run("fish", "-n", unpacked / f"usr/share/fish/vendor_completions.d/{name}.fish", env={"HOME": str(unpacked)})


def test_the_apparmor_profile_is_one(unpacked):
    run("apparmor_parser", "--skip-kernel-load", "--skip-cache", unpacked / "etc/apparmor.d/pgairlock")


@pytest.mark.parametrize("program", ["proxy/pgairlock", "bench/pgairlock-bench"])
def test_every_library_that_is_linked_is_in_the_page_of_licences(build, program):
    page = (DOCS / "licenses.md").read_text()
    needed = re.findall(r"\(NEEDED\).*\[(\S+?)(?:-x86-64|-linux-\w+)?\.so", run("readelf", "-d", build / program))
    assert {"libssl", "libpq"} <= set(needed)
    assert [name for name in needed if f"`{name}`" not in page] == []


def test_version_and_licence_are_said_in_one_place(unpacked, pgairlock):
    version = re.search(r"^project\(pgairlock VERSION ([\d.]+) ", (clean.REPOSITORY / "CMakeLists.txt").read_text(), re.MULTILINE)[1]
    assert run(pgairlock, "version").startswith(f"pgairlock {version} ")
    assert f"pgairlock {version}" in shown(unpacked / "usr/share/man/man1/pgairlock.1.gz")
    assert (clean.REPOSITORY / "LICENSE").read_bytes() == pathlib.Path("/usr/share/common-licenses/Apache-2.0").read_bytes()
