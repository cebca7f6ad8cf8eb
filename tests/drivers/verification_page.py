"""The results as Markdown: what was reported as what, and the page docs/verification-matrix.md around it."""

import re
from collections import Counter
from datetime import date
from pathlib import Path

from rounds import TOGETHER
from rows import SSLMODES
from world import programs

TABLES = {
    "passive": "Only watching, TLS offered",
    "probes": "With certificate probes, TLS offered",
    TOGETHER: "All rounds together: also before a listener that offers no TLS, and one that demands it",
}
FALLS_BACK = "prefer, verifying, falls back"


def tables(results) -> str:
    parts = []
    for name, title in TABLES.items():
        parts += [f"### {title}\n", _confusion(results, name)]
    parts += ["### Each driver\n", _drivers(results)]
    return "\n".join(parts)


def _confusion(results, name: str) -> str:
    found = Counter((_truth(case), outcome.reported) for result in results for case, outcome in result.outcomes
                    if outcome.round == name and outcome.reported)
    columns = sorted({reported for _, reported in found}, key=lambda interval: [SSLMODES.index(mode) for mode in interval])
    lines = [_line(["really", *map(_interval, columns)]), _rule(len(columns) + 1)]
    for truth in (*SSLMODES[:3], FALLS_BACK, *SSLMODES[3:]):
        counts = [found[truth, column] for column in columns]
        if any(counts):
            lines.append(_line([truth, *(str(count) if count else "" for count in counts)]))
    return "".join(lines)


def _drivers(results) -> str:
    heads = ["driver", "its setting", "really", "passive", "TLS not offered", "TLS demanded", "probes", TOGETHER, "cost"]
    lines = [_line(heads), _rule(len(heads))]
    for result in results:
        for case in result.cases:
            title = result.title if case is result.cases[0] else ""
            cells = [_cell(case.outcomes.get(name)) for name in heads[3:8]]
            lines.append(_line([title, case.spelling, _truth(case), *cells, str(case.outcomes["probes"].cost or "")]))
    return "".join(lines)


def page(results, missing: list[str]) -> str:
    template = Path(__file__).with_name("verification_page.md").read_text()
    outcomes = [outcome for result in results for _, outcome in result.outcomes]
    false = sum(len(outcome.false) for outcome in outcomes)
    facts = {
        "date": date.today().isoformat(),
        "pgairlock": programs.pgairlock("--version").stdout.splitlines()[0],
        "system": re.search(r'^PRETTY_NAME="(.*)"', Path("/etc/os-release").read_text(), re.MULTILINE).group(1),
        "count": f"{len(outcomes)} verdicts on {sum(len(result.cases) for result in results)} settings of {len(results)} drivers; "
                 + (f"**{false} claims are false**" if false else "no claim is false") + ", "
                 + f"{sum(outcome.is_exact for outcome in outcomes)} are as narrow as what was seen allows",
        "budget": f"{sum(result.budget is not None for result in results)} drivers, 30 logins each, `max_per_client = 1`: "
                  f"{sum(result.budget[0] for result in results if result.budget)} logins failed",
        "missing": f"\nNot available when this page was made: {', '.join(missing)}.\n" if missing else "",
        "tables": tables(results),
    }
    for name, text in facts.items():
        template = template.replace("{" + name + "}", text)
    return template


def _truth(case) -> str:
    return FALLS_BACK if case.behaviour.falls_back else case.behaviour.mode


def _interval(interval) -> str:
    least, most = interval
    return least if least == most else f"{least} .. {most}"


def _cell(outcome) -> str:
    if outcome is None or outcome.reported is None:
        return ""
    mark = " **FALSE**" if outcome.false else "" if outcome.is_exact else " (could be narrower)"
    return _interval(outcome.reported) + mark


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns + "\n"
