"""Which drivers there are, and what is known about each from its documentation: the expectations of matrix.py come from here alone."""

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))

from harness import programs  # noqa: E402

Version = tuple[int, ...]
NEVER: Version = (10**6,)
ALWAYS: Version = ()
LIBPQ_SETTINGS = ("disable", "prefer", "require")
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True)
class Behaviour:
    """What a driver does, whatever it calls it: the nearest of libpq's modes. `falls_back`: it refuses a certificate, and goes on in clear."""

    mode: str
    falls_back: bool = False

    @property
    def verifies(self) -> bool:
        return self.mode.startswith("verify")


def _as_named(*modes: str) -> dict[str, Behaviour]:
    return {mode: Behaviour(mode) for mode in modes}


# By its spelling. "with root": with sslrootcert, which verify-* always have.
LIBPQ_BEHAVES = {**_as_named(*SSLMODES), "prefer with root": Behaviour("prefer", falls_back=True), "require with root": Behaviour("verify-ca")}
# Enough to see that the parameters arrive.
LIBPQ_HANDED_ON = ("allow", "prefer with root", "require", "verify-full")


@dataclass(frozen=True)
class Driver:
    """What a driver can do, by the version that began to. `binds_from`: with SCRAM over TLS it uses, or says that it could use, channel
    binding (gs2 flags p and y), unless a setting forbids that; before, its flag is n. `says_y_in_clear`: also where no TLS is.
    `answers_late`: when it is asked for its password after its first SCRAM message, it gives it. `behaves`: what its sslmodes mean, for
    verification.py."""

    name: str
    language: str
    scram_from: Version = ALWAYS
    binds_from: Version = NEVER
    binds_by_default: bool = True
    says_y_in_clear: bool = False
    answers_late: bool = True
    only_scram: bool = False  # told to accept nothing else
    verifies_from: Version = ALWAYS
    verifies_addresses: bool = True
    direct_from: Version = NEVER
    settings: tuple[str | None, ...] = (None,)  # values of channel_binding to try, once the driver binds at all
    spelling: str = "channel_binding={}"
    on_libpq: bool = False  # versions are libpq's
    newer: bool = False  # from a newer Debian, where there is one
    behaves: dict[str, Behaviour] = field(default_factory=dict, hash=False)
    insists_after_no: bool = False  # begins TLS also where it was told that there is none, which leaves no evidence


@dataclass(frozen=True)
class Client:
    """How to start the client program of a driver."""

    driver: Driver
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


def _libpq(name: str, language: str, **more) -> Driver:
    return Driver(name, language, binds_from=(13,), direct_from=(17,), settings=LIBPQ_SETTINGS, on_libpq=True,
                  behaves=LIBPQ_BEHAVES, **more)


def _handing_on_to_libpq(name: str, language: str, **more) -> Driver:
    """libpq itself is tried with others: here only a part."""
    behaves = {spelling: LIBPQ_BEHAVES[spelling] for spelling in LIBPQ_HANDED_ON}
    return replace(_libpq(name, language, **more), settings=("prefer",), behaves=behaves)


def _system_is_new() -> bool:
    """Debian 13 and later: fetch-newer has nothing to add there."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return release.get("ID") == "debian" and int(release.get("VERSION_ID", '"0"').strip('"')) >= 13


PG8000 = {"scram_from": (1, 13), "binds_from": (1, 17), "verifies_from": (1, 14)}
# An SSLContext, or none; ssl_context=None is its `prefer`.
PG8000_BEHAVES = _as_named("disable", "prefer", "require", "verify-ca", "verify-full")
PGJDBC = {"binds_from": (42, 7, 4), "direct_from": (42, 7, 4), "settings": LIBPQ_SETTINGS, "spelling": "channelBinding={}",
          "behaves": {**_as_named(*SSLMODES), "prefer with root": Behaviour("prefer"), "require with root": Behaviour("require")}}

DRIVERS = (
    _libpq("psql", "C"),
    _libpq("psql-newer", "C", newer=True),
    Driver("psql-require-auth", "C", binds_from=(13,), direct_from=(17,), settings=("prefer",), spelling="require_auth=scram-sha-256",
           on_libpq=True, only_scram=True, newer=True),
    _libpq("psycopg2", "Python"),
    _libpq("psycopg", "Python"),
    Driver("asyncpg", "Python", direct_from=(0, 26),
           behaves={**_as_named(*SSLMODES), "prefer with root": Behaviour("prefer"), "require with root": Behaviour("verify-ca")}),
    Driver("pg8000", "Python", **PG8000, behaves=PG8000_BEHAVES if _system_is_new() else _as_named("disable", "require")),
    Driver("pg8000-newer", "Python", newer=True, **PG8000, behaves=PG8000_BEHAVES),
    _libpq("dbd-pg", "Perl"),
    _handing_on_to_libpq("psqlodbc", "ODBC"),
    _handing_on_to_libpq("php-pgsql", "PHP"),
    _handing_on_to_libpq("pdo-pgsql", "PHP"),
    _handing_on_to_libpq("ruby-pg", "Ruby"),
    Driver("pgjdbc", "Java", **PGJDBC),
    Driver("pgjdbc-newer", "Java", newer=True, **PGJDBC),
    Driver("node-postgres", "JavaScript", binds_from=(8, 14), binds_by_default=False, says_y_in_clear=True, direct_from=(8, 16),
           settings=(None, "prefer"), spelling="enableChannelBinding",
           # ssl: {rejectUnauthorized: false}, {ca, checkServerIdentity() {}}, {ca}; and the words of its URLs, with a root certificate.
           behaves={**_as_named("disable", "require", "verify-ca", "verify-full"), "prefer with root": Behaviour("verify-full"),
                    "require with root": Behaviour("verify-full")}),
    Driver("postgres.js", "JavaScript", verifies_addresses=False, direct_from=(3, 4, 6), insists_after_no=True,
           # The same objects, and its words: `allow` is one more for require.
           behaves={**_as_named("disable", "prefer", "require", "verify-ca", "verify-full"), "allow": Behaviour("require")}),
    # mode: "prefer" with {rejectUnauthorized: false}; mode: "require" with the same objects.
    Driver("ts-postgres", "JavaScript", verifies_addresses=False,
           behaves=_as_named("disable", "prefer", "require", "verify-ca", "verify-full")),
    # With a root certificate `require` is `verify-ca`, and that checks the name as well.
    Driver("lib/pq", "Go", behaves={**_as_named("disable", "require", "verify-full"), "verify-ca": Behaviour("verify-full"),
                                    "require with root": Behaviour("verify-full")}),
    Driver("pgx4", "Go", behaves={**_as_named(*SSLMODES), "prefer with root": Behaviour("prefer"), "require with root": Behaviour("verify-ca")}),
    Driver("tokio-postgres", "Rust", binds_from=(0, 5), answers_late=False, direct_from=(0, 7, 13), settings=LIBPQ_SETTINGS,
           behaves=_as_named("disable", "prefer", "require", "verify-ca", "verify-full")),
    # {verify, verify_none}; {verify, verify_peer} with {server_name_indication, disable}, and with a name.
    Driver("p1_pgsql", "Erlang", behaves=_as_named("disable", "require", "verify-ca", "verify-full")),
)


def clients(names: list[str]) -> tuple[list[Client], list[str]]:
    """Those of the named drivers that are here, and the names of those that are not."""
    newer = _fetch_newer() if any(driver.newer for driver in DRIVERS if driver.name in names) else {}
    python, perl, php = HERE / "python", HERE / "perl", HERE / "php/client.php"
    psql = f"{programs.postgres_bin()}/psql"
    newest_psql = psql if _system_is_new() else newer.get("psql17")
    commands = {
        "psql": [f"{python}/psql_client.py", psql],
        "psql-newer": [f"{python}/psql_client.py", newer["psql17"]] if "psql17" in newer else None,
        "psql-require-auth": [f"{python}/psql_client.py", newest_psql] if newest_psql else None,
        "psycopg2": [f"{python}/psycopg2_client.py"],
        "psycopg": [f"{python}/psycopg_client.py"],
        "asyncpg": [f"{python}/asyncpg_client.py"],
        "pg8000": [f"{python}/pg8000_client.py"],
        "pg8000-newer": [f"{python}/pg8000_client.py"] if "pg8000" in newer else None,
        "dbd-pg": [f"{perl}/dbd_pg.pl"],
        "psqlodbc": [f"{python}/odbc_client.py"],
        "php-pgsql": ["php", f"{php}", "pgsql"],
        "pdo-pgsql": ["php", f"{php}", "pdo"],
        "ruby-pg": [f"{HERE}/ruby/pg.rb"],
    }
    if set(names) - set(commands):
        commands.update(_build_compiled(newer.get("pgjdbc")))
    environments = {"pg8000-newer": {"PYTHONPATH": newer.get("pg8000", "")}, "psql-require-auth": {"PGREQUIREAUTH": "scram-sha-256"}}
    found = [Client(driver, commands[driver.name], environments.get(driver.name, {}))
             for driver in DRIVERS if driver.name in names and commands.get(driver.name)]
    here = [client.driver.name for client in found]
    return found, [name for name in names if name not in here and not (_system_is_new() and name.endswith("-newer"))]


def _fetch_newer() -> dict[str, str]:
    return _lines(HERE / "fetch-newer", {})


def _build_compiled(newer_pgjdbc: str | None) -> dict[str, list[str]]:
    if not (HERE / "build-compiled").exists():
        return {}
    lines = _lines(HERE / "build-compiled", {"PGJDBC_NEWER": newer_pgjdbc} if newer_pgjdbc else {}, check=True)
    return {name: shlex.split(command) for name, command in lines.items()}


def _lines(program: Path, environment: dict[str, str], *, check=False) -> dict[str, str]:
    """What it says on standard error is for whoever reads ours."""
    done = subprocess.run([program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
                          timeout=900, check=False)
    if check and done.returncode:
        raise SystemExit(f"matrix: {program} failed")
    return dict(line.split("\t", 1) for line in done.stdout.splitlines())
