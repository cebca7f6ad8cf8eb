"""bench/budget/instructions.toml: what each unit may cost, by Debian release, because compiler, Boost and OpenSSL come from there."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("instructions.toml")

# Our own part is what a change of ours changes. OpenSSL chooses its code by the CPU, and gets security updates.
OWN_EXCESS, TOTAL_EXCESS = 1.05, 1.25

HEADER = """\
# The instruction budget (docs/performance.md), written by `bench/budget/instructions.py --update`: instructions per unit, as measured then and as
# allowed since. `own`: our binary (Boost included) and libstdc++, 5 % more are allowed; `total`: with OpenSSL and libc, 25 % more.
"""


@dataclass(frozen=True)
class Limit:
    own: int
    own_allowed: int
    total: int
    total_allowed: int


def limit(own: float, total: float) -> Limit:
    return Limit(round(own), round(own * OWN_EXCESS), round(total), round(total * TOTAL_EXCESS))


def release() -> str:
    fields = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return f"{fields['ID']}-{fields.get('VERSION_ID', 'sid')}".replace('"', "").replace(".", "-")


def read(key: str) -> dict[str, Limit]:
    """Empty: nobody has measured there yet."""
    return {name: Limit(**value) for name, value in _all().get(key, {}).items() if isinstance(value, dict)}


def write(key: str, facts: dict[str, str], limits: dict[str, Limit]) -> None:
    """Leaves what was measured on other releases, and what was not measured now, as it is."""
    tables = _all()
    tables[key] = {**facts, **{name: vars(value) for name, value in {**read(key), **limits}.items()}}
    FILE.write_text(HEADER + "".join(f"\n[{name}]\n" + "".join(map(_line, *zip(*content.items()))) for name, content in sorted(tables.items())))


def _line(name: str, value) -> str:
    if isinstance(value, str):
        return f'{name} = "{value}"\n'
    return f"{name} = {{ {', '.join(f'{key} = {number:_}' for key, number in value.items())} }}\n"


def _all() -> dict:
    return tomllib.loads(FILE.read_text()) if FILE.exists() else {}
