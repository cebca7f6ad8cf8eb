"""Tests that look at pages in a real browser: `/usr/bin/python3 -m pytest tests/browser`. Skipped where there is no chromium."""

import importlib.util
import sys
from pathlib import Path

INTEGRATION = Path(__file__).resolve().parents[1] / "integration"
sys.path.insert(0, str(INTEGRATION))

# Proxies and clusters as the integration tests have them. Both files are called conftest.
_spec = importlib.util.spec_from_file_location("integration_fixtures", INTEGRATION / "conftest.py")
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
root, pki, template, cluster, directory = _fixtures.root, _fixtures.pki, _fixtures.template, _fixtures.cluster, _fixtures.directory
run_proxy, start, connect = _fixtures.run_proxy, _fixtures.start, _fixtures.connect

from dashboard_page import browser, open_at  # noqa: E402, F401
