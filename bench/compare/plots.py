"""The comparison as one HTML page that needs no other file: for each metric a bar per target, with the rounds' least and most."""

from html import escape
from statistics import median

from report import SUBJECT, Results

WIDTH, BAR, GAP, LABEL = 460, 18, 6, 110  # pixels

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #1b2733; background: #fff }
h2 { margin-top: 2em; border-bottom: 1px solid #d5dde5 }
.plots { display: flex; flex-wrap: wrap; gap: 1.2em 2em }
figure { margin: 0 } figcaption { font-weight: 600; margin-bottom: .3em }
svg text { font: 12px system-ui, sans-serif; fill: #1b2733 } dt { font-weight: 600 }
@media (prefers-color-scheme: dark) { body { color: #dbe4ec; background: #12181e } svg text { fill: #dbe4ec } h2 { border-color: #33404d } }
"""


def page(results: Results, facts: dict[str, str]) -> str:
    parts = []
    for group in dict.fromkeys(row.group for row in results.rows):
        figures = [_figure(results, row, leg, metric, index) for row, leg, metric, index in results.cells() if row.group == group]
        parts.append(f"<h2>{escape(group)}</h2>\n<div class='plots'>\n" + "\n".join(figures) + "\n</div>")
    about = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return (f"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{SUBJECT} beside its peers</title>\n<style>{STYLE}</style>\n"
            f"<h1>{SUBJECT} beside its peers</h1>\n<p>Bars: median of the rounds. Lines: least to most. All tables: docs/benchmarks.md.</p>\n"
            f"<dl>{about}</dl>\n" + "\n".join(parts) + "\n</html>\n")


def _figure(results: Results, row, leg: str, metric, index: int) -> str:
    found = {name: results.values(row, leg, name, index) for name in row.targets}
    found = {name: values for name, values in found.items() if values}
    top = max(max(values) for values in found.values()) or 1
    scale = (WIDTH - LABEL - 70) / top
    bars = []
    for number, (name, values) in enumerate(found.items()):
        y, middle = number * (BAR + GAP), median(values)
        colour = "#1f77b4" if name == SUBJECT else "#9fb3c8"
        bars.append(
            f"<text x='0' y='{y + 13}'>{escape(name)}</text>"
            f"<rect x='{LABEL}' y='{y}' width='{middle * scale:.1f}' height='{BAR}' fill='{colour}'/>"
            f"<line x1='{LABEL + min(values) * scale:.1f}' x2='{LABEL + max(values) * scale:.1f}' y1='{y + 9}' y2='{y + 9}' stroke='#d1495b' stroke-width='2'/>"
            f"<text x='{LABEL + max(values) * scale + 5:.1f}' y='{y + 13}'>{middle:.{metric.digits}f}</text>")
    height = len(found) * (BAR + GAP)
    better = "more is better" if metric.more_is_better else "less is better"
    title = f"{row.name}, {leg} clients: {metric.name}"
    return (f"<figure><figcaption>{escape(title)} ({better})</figcaption>"
            f"<svg role='img' aria-label='{escape(title)}' width='{WIDTH}' height='{height}' viewBox='0 0 {WIDTH} {height}'>{''.join(bars)}</svg></figure>")
