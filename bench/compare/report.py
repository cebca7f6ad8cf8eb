"""Statistics over the rounds, and the Markdown they are reported in."""

import os
import platform
import re
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from targets import ONE_THREAD

SUBJECT = "pgairlock"


def machine() -> str:
    cpu = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


class Steal:
    """Share of the machine's time that the hypervisor gave to others, since construction."""

    def __init__(self):
        self.begin = self._read()

    def percent(self) -> float:
        steal, total = (now - then for now, then in zip(self._read(), self.begin))
        return 100 * steal / max(total, 1)

    @staticmethod
    def _read() -> tuple[int, int]:
        ticks = [int(value) for value in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return ticks[7], sum(ticks)


class Results:
    """`samples[row name][leg][target name]`: one list of numbers, in the order of the row's metrics, for each round."""

    def __init__(self):
        self.rows = []
        self.samples = {}

    def add(self, row, leg: str, target: str, values: list) -> None:
        if row not in self.rows:
            self.rows.append(row)
        self.samples.setdefault(row.name, {}).setdefault(leg, {}).setdefault(target, []).append(values)

    def markdown(self) -> str:
        parts = []
        for group in dict.fromkeys(row.group for row in self.rows):
            parts.append(f"## {group}\n\n{self._table([row for row in self.rows if row.group == group])}")
        parts.append("## Aims\n\n" + self._aims())
        if any(ONE_THREAD in row.targets for row in self.rows):
            parts.append("## Thread for thread\n\n" + self._thread_for_thread())
        behind = self._behind()
        parts.append("## Behind\n\n" + ("\n".join(f"- {line}" for line in behind) or "Nowhere."))
        return "\n\n".join(parts)

    def _table(self, rows: list) -> str:
        """Cells: median (least to most). Then the ratios to the others."""
        targets = rows[0].targets
        peers = [name for name in targets if name != SUBJECT]
        lines = ["| | " + " | ".join(targets) + " | " + " | ".join(f"{SUBJECT} / {name}" for name in peers) + " |",
                 "|---|" + "---:|" * (len(targets) + len(peers))]
        for row in rows:
            for leg in (leg for leg in row.legs if leg in self.samples[row.name]):
                for index, metric in enumerate(row.metrics):
                    cells = [_spread(self.values(row, leg, name, index), metric.digits) for name in targets]
                    cells += [_ratio(self._ratio(row, leg, name, index), metric, name not in row.not_judged) for name in peers]
                    lines.append(f"| {row.name} {leg}: {metric.name} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def cells(self):
        """(row, leg, metric, its index), in the order of the report."""
        for row in self.rows:
            for leg in (leg for leg in row.legs if leg in self.samples[row.name]):
                for index, metric in enumerate(row.metrics):
                    yield row, leg, metric, index

    def values(self, row, leg: str, target: str, index: int) -> list[float]:
        return [values[index] for values in self.samples[row.name][leg].get(target, []) if values[index] is not None]

    def _aims(self) -> str:
        """docs/performance.md says where the distance comes from."""
        lines = ["| | aim | measured | |", "|---|---|---|---|"]
        for row, leg, metric, index in self.cells():
            ratios = {name: self._ratio(row, leg, name, index) for name in row.targets if name not in (SUBJECT, *row.not_judged)}
            ratios = {name: ratio for name, ratio in ratios.items() if ratio is not None}
            if metric.goal and ratios:
                name = (min if metric.more_is_better else max)(ratios, key=ratios.get)
                met = ratios[name] >= metric.goal if metric.more_is_better else ratios[name] <= metric.goal
                aim = f"{'>=' if metric.more_is_better else '<='} {metric.goal:.2f} x the best peer"
                lines.append(f"| {row.name} {leg}: {metric.name} | {aim} | {ratios[name]:.2f} x {name} | {'met' if met else '**not met**'} |")
            if metric.limit:
                value = median(self.values(row, leg, SUBJECT, index))
                met = value <= metric.limit[leg]
                lines.append(f"| {row.name} {leg}: {metric.name} | <= {metric.limit[leg]} | {value:.{metric.digits}f} | {'met' if met else '**not met**'} |")
        return "\n".join(lines)

    def _thread_for_thread(self) -> str:
        """pgbouncer has one thread, and pgairlock one per core unless it is told otherwise."""
        lines = [f"| | {ONE_THREAD} | pgbouncer | ratio |", "|---|---:|---:|---:|"]
        for row, leg, metric, index in self.cells():
            if ONE_THREAD not in row.targets:
                continue
            cells = [_spread(self.values(row, leg, name, index), metric.digits) for name in (ONE_THREAD, "pgbouncer")]
            cells.append(_ratio(self._ratio(row, leg, "pgbouncer", index, ONE_THREAD), metric, True))
            lines.append(f"| {row.name} {leg}: {metric.name} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _behind(self) -> list[str]:
        found = []
        for row, leg, metric, index in self.cells():
            for name in row.targets:
                ratio = self._ratio(row, leg, name, index) if name not in (SUBJECT, *row.not_judged) else None
                if ratio is not None and _is_behind(ratio, metric):
                    found.append(f"{row.name} {leg}: {metric.name} {ratio:.2f} x {name}")
        return found

    def _ratio(self, row, leg: str, peer: str, index: int, subject: str = SUBJECT) -> float | None:
        """Of each round, then their median: what slows a whole round down cancels out."""
        ours, theirs = self.values(row, leg, subject, index), self.values(row, leg, peer, index)
        ratios = [a / b for a, b in zip(ours, theirs) if b > 0]
        return median(ratios) if ratios else None


def document(results: Results, targets: list, negotiated: dict[str, dict[str, str]], facts: dict[str, str], tools: str, waits: str, bound: str) -> str:
    versions = "\n".join([target.version for target in targets if target.version] + [tools])
    configs = "\n".join(f"### {target.name}\n\n```\n{target.config}```\n" for target in targets if target.config)
    shown = "\n".join(f"- {name}, {leg} clients: {text}" for name, found in negotiated.items() for leg, text in found.items())
    head = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"""# {SUBJECT} beside its peers

{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, by `bench/compare/compare.py`.

{head}

Targets take turns within each round. Cells: median of the rounds (least to most). Ratios: median of each round's own ratio; **bold** where
{SUBJECT} is behind a proxy that does the same work. `pgbouncer` in session mode reuses server connections, `pgbouncer 1:1`
(`server_lifetime = 0`) does not. Proxy CPU is user and system time of the proxy's process. The server leg of every proxy is TLS with the
server's certificate verified in full.

{waits}
{results.markdown()}

{bound}
## Programs

```
{versions}
```

## Encryption as negotiated

{shown}

## Configurations

{configs}"""


def _spread(values: list[float], digits: int) -> str:
    if not values:
        return "–"
    middle = f"{median(values):.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _ratio(ratio: float | None, metric, judged: bool) -> str:
    if ratio is None:
        return "–"
    return f"**{ratio:.2f}**" if judged and _is_behind(ratio, metric) else f"{ratio:.2f}"


def _is_behind(ratio: float, metric) -> bool:
    return round(ratio, 2) < 1 if metric.more_is_better else round(ratio, 2) > 1
