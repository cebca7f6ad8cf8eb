"""Prometheus as a process: scrapes proxies every second, with the rules of deploy/prometheus loaded."""

import json
import shutil
import socket
import subprocess
import urllib.parse

import pytest

from . import programs
from .http import ask
from .waiting import PATIENCE, until

RULES = programs.REPOSITORY / "deploy/prometheus/pgairlock.rules.yml"


class Prometheus:
    def __init__(self, directory, *proxies):
        if shutil.which("prometheus") is None:
            pytest.skip("prometheus is not installed")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.web = probe.getsockname()
        targets = ", ".join(f"'127.0.0.1:{proxy.http[1]}'" for proxy in proxies)
        (directory / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: ['{RULES}']\n"
            f"scrape_configs: [{{job_name: pgairlock, static_configs: [{{targets: [{targets}]}}]}}]\n")
        with open(directory / "prometheus.log", "wb") as log:
            self.process = subprocess.Popen(
                programs.with_death_signal(["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/tsdb",
                                            f"--web.listen-address={self.web[0]}:{self.web[1]}", "--enable-feature=exemplar-storage"]),
                stdout=log, stderr=subprocess.STDOUT)
        self.proxies = len(proxies)

    def __enter__(self):
        until(lambda: self.value('count(up{job="pgairlock"} == 1)') == self.proxies, what="Prometheus has scraped")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def answer(self, path, **parameters):
        """What the API says, errors included; None: it has not begun to listen."""
        try:
            return json.loads(ask(self.web, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")[2])
        except (OSError, ValueError):
            return None

    def api(self, path, **parameters):
        return (self.answer(path, **parameters) or {}).get("data")

    def series(self, query) -> list[tuple[dict, float]]:
        """Of an instant query: labels and values."""
        return [(one["metric"], float(one["value"][1])) for one in (self.api("query", query=query) or {}).get("result", [])]

    def value(self, query):
        """Of the first series; None: there is none."""
        found = self.series(query)
        return found[0][1] if found else None

    def firing(self) -> set[str]:
        return {labels["alertname"] for labels, _ in self.series('ALERTS{alertstate="firing"}')}
