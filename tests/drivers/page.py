"""The results as Markdown: the tables, and the page docs/compatibility.md around them."""

import re
from datetime import date
from pathlib import Path

from expected import LEGS, WITH_PASSWORD, Setup, directly, settings
from trial import Cell
from world import World, programs

OTHERS = ("md5", "password", "trust", "cert")


class Notes:
    """The errors behind the crosses, each once."""

    def __init__(self):
        self._texts: list[str] = []

    def mark(self, text: str) -> str:
        text = _plain(text)
        if text not in self._texts:
            self._texts.append(text)
        return f"[{self._texts.index(text) + 1}]"

    def list(self) -> str:
        return "".join(f"{number}. {text}\n" for number, text in enumerate(self._texts, 1))


def tables(results, modes) -> str:
    notes = Notes()
    parts = ["### The server asks for SCRAM\n", _scram(results, modes, notes)]
    if "auto" in modes:
        parts += ["### The server asks for something else\n", _others(results, notes)]
    if notes.list():
        parts += ["What is said where there is a ✗:\n", notes.list()]
    return "\n".join(parts)


def _scram(results, modes, notes: Notes) -> str:
    """The legs of `auto`, and a column for each other mode."""
    legs = LEGS if "auto" in modes else ()
    others = [mode for mode in modes if mode != "auto"]
    heads = ["driver", "setting", *(f"auto: {leg.name}" for leg in legs), *others]
    lines = [_line(heads), _rule(len(heads))]
    for title, setup, cells in _setups(results):
        row = [_text(cells.get(("auto", leg.name, "scram")), notes) for leg in legs]
        row += [_all_legs([cell for (name, *_), cell in cells.items() if name.split()[0] == mode], notes) for mode in others]
        lines.append(_line([title, _setting(setup), *row]))
    return "".join(lines)


def _others(results, notes: Notes) -> str:
    """A mark for each leg, as there is little to say."""
    rows: list[list[str]] = []
    for title, setup, cells in _setups(results):
        row = ["".join(_text(cells.get(("auto", leg.name, method)), notes, short=True) for leg in LEGS) for method in OTHERS]
        tried = [cell for (mode, _, method), cell in cells.items() if mode == "auto" and method in WITH_PASSWORD]
        shown = ", ".join(sorted({cell.wrong_password or "text" for cell in tried if cell.ok}))
        if not title and rows[-1][2:] == [*row, shown]:
            rows[-1][1] += f", {_setting(setup)}"
        else:
            rows.append([title, _setting(setup), *row, shown])
    return "".join([_line(["driver", "setting", *OTHERS, "a wrong password shows as"]), _rule(3 + len(OTHERS)), *map(_line, rows)])


def _setups(results):
    """Title of the driver (once), setup, its cells by mode, leg and method."""
    before = ""
    for result in results:
        title = "" if result.title == before else result.title
        before = result.title
        for setup in dict.fromkeys(cell.setup for cell in result.cells):
            cells = {(cell.mode, cell.leg.name, cell.method): cell for cell in result.cells if cell.setup == setup}
            yield title, setup, cells
            title = ""


def _text(cell: Cell | None, notes: Notes, short=False) -> str:
    """None: the client program broke before."""
    if not cell or cell.problems:
        return "!" if short else "**unexpected**"
    if not cell.offered:
        return "–"
    if cell.ok:
        bridged = " bridged" if cell.bridge == "cleartext" and cell.mode == "auto" else ""
        return f"✓{bridged}{' (2nd login)' if cell.second_login else ''}"
    if not directly(cell.setup, cell.leg, cell.method):
        return "·"
    return "✗ " + notes.mark(cell.error)


def _all_legs(cells: list[Cell], notes: Notes) -> str:
    """One mark where all agree, one for TLS where only plain is different."""
    texts: dict[bool, set[str]] = {True: set(), False: set()}
    for cell in cells:
        if cell.offered or cell.problems:
            texts[cell.leg.tls].add(_text(cell, notes))
    plain, tls = (", ".join(sorted(texts[encrypted])) for encrypted in (False, True))
    return (tls if plain == tls else f"{tls} (plain: {plain})") or "**unexpected**"


def _setting(setup: Setup) -> str:
    if setup.setting:
        return f"`{setup.driver.spelling.format(setup.setting)}`"
    return "default" if len(settings(setup.driver, setup.version)) > 1 else ""


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _rule(columns: int) -> str:
    return "|---" * columns + "|\n"


def _plain(error: str) -> str:
    """Without what is different each time: addresses, ports, files. Of several addresses, the last one's error."""
    error = re.sub(r"^DBI connect\(.*?\) failed: | at \S+ line \d+\.$|^psql: error: ", "", error)
    error = re.split(r"connection (?:to server at .*?, port \d+ )?failed: ", error)[-1]
    return " ".join(error.split())


# --- the page


def page(world: World, results, missing: list[str], modes: list[str]) -> str:
    template = (Path(__file__).parent / "page.md").read_text()
    passed, failed = (sum(getattr(result, name) for result in results) for name in ("passed", "failed"))
    facts = {
        "date": date.today().isoformat(),
        "pgairlock": programs.pgairlock("--version").stdout.splitlines()[0],
        "server": world.cluster.sql("SHOW server_version")[0][0],
        "system": re.search(r'^PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text(), re.MULTILINE).group(1),
        "count": f"{passed} cells are as expected" + (f", **{failed} are not**" if failed else ", none is not"),
        "drivers": _drivers(results),
        "missing": f"\nNot available when this page was made: {', '.join(missing)}.\n" if missing else "",
        "tables": tables(results, modes),
    }
    for name, text in facts.items():
        template = template.replace("{" + name + "}", text)
    return template


def _drivers(results) -> str:
    lines = [_line(["language", "driver", "version", "with"]), _rule(4)]
    for result in results:
        name, _, version = result.title.rpartition(" ")
        lines.append(_line([result.client.driver.language, name, version, result.detail or ""]))
    return "".join(dict.fromkeys(lines))
